/* How long it can take: a stop, the whole shutdown, the whole start, from the configs alone. Pure.
 *
 *     W(s)     = drain + stop command's timeout + grace + the waits of stop.then + PLAN_KILL_WAIT
 *     shutdown = the longest way along the dependencies, each service by its W, + the sweep
 *     sweep    = the supervisor's grace + PLAN_KILL_WAIT, for what belongs to no service
 *     start    = the longest way along the dependencies, each service by its ready.timeout
 *
 * Where stop.max is longer than what stands before PLAN_KILL_WAIT there, it takes its place: so
 * long a service may stretch its stop by EXTEND_TIMEOUT_USEC.
 *
 * Services that do not depend on each other stop at the same time, so the longest way is the worst
 * case: nothing else is waited for. */
#ifndef TEND_PLAN_H
#define TEND_PLAN_H

#include "tend/graph.h"

/* From KILL until those whom it did not end are named and left. */
enum { PLAN_KILL_WAIT = 5000 };

#define PLAN_NONE SIZE_MAX

/* One service on the way. */
struct plan_node {
    msec time;             /* its own */
    msec before, after;    /* the longest way to it, and on from its end */
    size_t previous, next; /* the services on these ways; PLAN_NONE: none */
};

/* A node for each conf of a set, or for each slot of a graph. */
struct plan {
    struct plan_node *at;
    size_t n;
};

/* What a stop that is at this step (enum of service.h) can still take until KILL is sent; from
 * STEP_DRAIN on it is W without PLAN_KILL_WAIT. */
msec plan_stop(const struct conf *, unsigned step);
/* The same as it is written, when the service does not ask for more. */
msec plan_steps(const struct conf *, unsigned step);
msec plan_sweep(msec grace);

/* The three return 0, or -1 with ENOMEM; the set must have been checked. */
int plan_of_shutdown(struct plan *, const struct conf_set *);
int plan_of_start(struct plan *, const struct conf_set *);
/* The shutdown of the services as they live, from the steps where they stand, with so long for each
 * KILL. */
int plan_of_living(struct plan *, const struct graph *, msec kill_wait);
/* The same as it is written, and without KILLs: what a deadline is shared by. */
int plan_of_waits(struct plan *, const struct graph *);
/* The same with these times, by slot. */
int plan_of_times(struct plan *, const struct graph *, const msec *times);
void plan_free(struct plan *);

/* The longest way of all. *first: where it begins; PLAN_NONE where nothing takes any time. */
msec plan_longest(const struct plan *, size_t *first);

/* A and b together; NEVER is more than any sum. */
static inline msec plan_sum(msec a, msec b)
{
    return a >= NEVER - b ? NEVER : a + b;
}

#endif
