/* Whom the kernel ended for want of memory, as far as the group of the memory controller counts
 * them that we are in (memory.events of cgroup v2, which also counts those below;
 * memory.oom_control of version 1). What the kernel counts is counted before the victim gets its
 * KILL. */
#ifndef TEND_CGROUP_OOM_H
#define TEND_CGROUP_OOM_H

#include <stdint.h>

#include "tend/base.h"

struct cgroup_oom {
    int fd; /* of the file, -1: nobody counts */
    uint64_t counted;
    uint64_t left; /* counted, and not told yet whose end that was */
    msec until;    /* they have ended by then, or were no process that is asked about */
};

/* Counts from now on. Needs no right to write anything. */
void cgroup_oom_open(struct cgroup_oom *);
/* A process was ended by a KILL that nobody here sent: was that for want of memory? */
bool cgroup_oom_took_one(struct cgroup_oom *, msec now);
void cgroup_oom_close(struct cgroup_oom *);

#endif
