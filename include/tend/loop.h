/* Waiting: descriptors, signals as data, one deadline. Knows no service.
 *
 * It hands out what is ready as (kind, index) pairs and calls nothing back; the turn goes through
 * them in its own fixed order. */
#ifndef TEND_LOOP_H
#define TEND_LOOP_H

#include <signal.h>

#include "tend/base.h"

struct loop {
    int epoll, signals;
};

struct loop_event {
    uint32_t kind, index;
};

/* CLOCK_MONOTONIC, rounded down; and rounded up, for a time from which a wait counts: waits are
 * then never short. */
msec loop_now(void);
msec loop_now_up(void);

/* All signals of the set must be blocked. They arrive under signal_kind. NULL, or the
 * system call that failed, with errno. */
const char *loop_open(struct loop *, const sigset_t *, uint32_t signal_kind);

/* Level-triggered, for reading. The caller removes a descriptor before it closes it, unless it is
 * the only one for its file. */
int loop_add(struct loop *, int fd, uint32_t kind, uint32_t index);
void loop_remove(struct loop *, int fd);
/* What a descriptor that was added is waited for: to be readable, writable, both, or, with neither,
 * for the end of the other side. */
int loop_want(struct loop *, int fd, uint32_t kind, uint32_t index, bool read, bool write);

/* Sleeps until something is ready or the deadline has come (NEVER: none), never shorter; fills at
 * most max events and returns how many. */
int loop_wait(struct loop *, msec now, msec deadline, struct loop_event *events, int max);

struct loop_signal {
    int number; /* 0: none */
    bool sent;  /* by a process, and not by the kernel */
};
/* The next pending signal. */
struct loop_signal loop_signal(struct loop *);

#endif
