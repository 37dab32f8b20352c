/* What a start and a shutdown will be, from the configs alone: for `tend --check`. Pure.
 * check_text.c tells it to people, check_records.c to programs. */
#ifndef TEND_CHECK_PLAN_H
#define TEND_CHECK_PLAN_H

#include <stdio.h>

#include "tend/plan.h"

/* One wait of a stop, and what a deadline leaves of it when all before it took all their time. */
struct check_step {
    unsigned step; /* enum of service.h */
    int signal;    /* from STEP_SIGNAL on */
    msec wait, left;
};

/* Services one after the other, and how long that takes. */
struct check_chain {
    size_t *at; /* indices of the set */
    size_t n;
    msec time;
};

struct check_plan {
    const struct conf_set *set;
    struct graph graph; /* its slots are the indices of the set */
    size_t *order;      /* an order of start */
    bool *starts;       /* without being told to: not manual, or required or wanted by such */
    struct check_step *steps;
    size_t *first_step; /* of each service, and where those of the last end */

    struct check_chain start, stop;
    struct plan shutdown; /* the time of each node is the worst case of its stop */
    msec sweep, worst;    /* of what belongs to no service; of the whole shutdown */

    msec deadline; /* NEVER: none */
    msec too_long; /* 0: the worst case fits */
    msec kill_at;  /* when the order is waived, so that the deadline is kept; only if too long */
    bool waived;   /* services are still waiting for their turn or their time then */
};

/* -1 with ENOMEM. The set was checked, stays the caller's, and must outlive the plan. */
int check_plan_make(struct check_plan *, const struct conf_set *, msec deadline);
void check_plan_free(struct check_plan *);

/* A way through it is too long for the deadline. */
bool check_plan_too_long(const struct check_plan *, size_t service);
/* The worst case, or the deadline where that is shorter. */
msec check_plan_end(const struct check_plan *);
/* So many seconds should whoever stops tend wait before it is killed. */
msec check_plan_timeout(const struct check_plan *);

/* To stdout, for people; -1 with ENOMEM. */
int check_text(const struct check_plan *);
/* For programs. */
void check_records(const struct check_plan *, FILE *);
/* The same of a config with errors. */
void check_records_problems(char *const *problems, FILE *);

#endif
