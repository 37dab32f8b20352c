/* The child's side of a spawn: from the fork to the exec. */
#ifndef TEND_SPAWN_CHILD_H
#define TEND_SPAWN_CHILD_H

#include "tend/spawn_block.h"

/* What it writes into the pipe when a step fails: so little that all of it comes, or nothing. */
struct spawn_failure {
    int32_t step, error;
};

static const char spawn_oom_score_file[] = "/proc/self/oom_score_adj";

/* As clone(2) calls it, with its struct spawn. */
int spawn_child(void *) __attribute__((noreturn));

#endif
