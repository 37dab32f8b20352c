/* Who belongs to a service where it has no cgroup: read from /proc/PID/stat.
 *
 * Evidence is kinship alone: session, process group, parent. An environment variable is never
 * evidence, since any process may set it. Parsing and attribution are pure; only members_stat,
 * members_children and snapshot_take read files, none of which can block. Nothing here is vital:
 * without /proc every function fails with an errno and the caller falls back to the process group.
 */
#ifndef TEND_MEMBERS_H
#define TEND_MEMBERS_H

#include <sys/types.h>

#include "tend/base.h"

struct process_stat {
    pid_t pid, ppid, pgrp, session;
    char state;    /* as in proc(5): 'Z' zombie, 'X' dead, 'D', 'T', 't' traced ... */
    uint64_t born; /* field starttime, in clock ticks: with pid it names a process for ever */
};

/* The text of /proc/PID/stat; the command name may hold spaces, parentheses and newlines, so the
 * last ')' counts. False when it is not such a text. */
bool members_parse_stat(const char *text, size_t n, struct process_stat *out);

/* A descriptor (CLOEXEC) of /proc, the proc of all calls below; -1 with errno. ENOENT also where
 * /proc shows another PID namespace than ours: there its numbers name other processes. */
int members_open(void);

/* 0, or -1 with errno (ENOENT, ESRCH: gone). */
int members_stat(int proc, pid_t pid, struct process_stat *out);

/* Our own children, zombies included, from /proc/self/task/TID/children, into *pids (grown with
 * realloc, owned by the caller, *room its size). Returns how many, or -1 with errno (ENOENT where
 * the kernel has no such file). Complete only while no child is forked or reaped meanwhile,
 * which is so in a single thread, but for orphans that arrive: those are seen next time. */
int members_children(int proc, pid_t **pids, size_t *room);

/* All processes that /proc shows at one reading, in order of pid. */
struct snapshot {
    struct process_stat *at;
    size_t n, room;
};
/* Fills *out for a process about which the caller knows enough not to read its stat. */
typedef bool snapshot_known(void *arg, pid_t pid, struct process_stat *out);

/* 0, or -1 with errno and an empty snapshot. Reuses the memory; a process that ends meanwhile is
 * left out. known, where not NULL, is asked first: out->pid must be pid, and a parent that is said
 * to be born at 0 is older than any child. */
int snapshot_take(int proc, struct snapshot *, snapshot_known *known, void *arg);
void snapshot_free(struct snapshot *);
const struct process_stat *snapshot_find(const struct snapshot *, pid_t);

/* Fills owner[i] for every process of the snapshot: what direct says of it (>= 0), else the owner
 * of its parent, and so on up to but without self; -1: nobody's. Linear; a cycle of parents (a pid
 * reused between two reads) ends as nobody's. */
void snapshot_attribute(const struct snapshot *, pid_t self,
                        int (*direct)(void *arg, const struct process_stat *), void *arg,
                        int *owner);

/* The processes of one service that are known by name, main not among them. */
struct member {
    pid_t pid;
    uint64_t born;
    bool told; /* got the stop signal of this stop */
    bool seen; /* in the current sweep: members_begin, members_see, members_end */
};
struct members {
    struct member *at;
    unsigned n, room;
};
bool members_has(const struct members *, pid_t, uint64_t born);
void members_begin(struct members *);
/* Adds or marks; -1 with ENOMEM. */
int members_see(struct members *, pid_t, uint64_t born);
void members_end(struct members *); /* forgets who was not seen since members_begin */
void members_free(struct members *);

#endif
