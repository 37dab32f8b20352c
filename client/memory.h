/* How much memory services use, from /proc as we see it. */
#ifndef CLIENT_MEMORY_H
#define CLIENT_MEMORY_H

#include <sys/types.h>

#include "client/records.h"

/* For each of n services, found by the pid of its main process, the bytes of its processes: their
 * share of what several have in memory (Pss) where that may be read, else what is resident. -1:
 * unknown, or no process. tend: the pid of their supervisor. */
void memory_of(struct record *const *services, size_t n, pid_t tend, int64_t *bytes);

#endif
