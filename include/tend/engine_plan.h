/* What engine_reload would do, told and not done. Pure. */
#ifndef TEND_ENGINE_PLAN_H
#define TEND_ENGINE_PLAN_H

#include "tend/engine.h"

enum engine_does {
    DOES_START,   /* it will be wanted, or what gave up or waits for its next try starts anew */
    DOES_ADD,     /* new, and nobody wants it */
    DOES_RESTART, /* it is stopped and comes back */
    DOES_STOP,    /* removed; or because of one that will not come by itself, for which it waits */
    DOES_FORGET,  /* removed, and there is nothing to stop */
    DOES_CHANGE,  /* in place, or for its next start */
    DOES_COUNT
};

/* Of one service. The pointers are good until the engine or the set changes. */
struct engine_planned {
    const char *name;
    enum engine_does does;
    const struct conf_key *key; /* the first setting that differs; NULL: none, or what was looked up
                                 * for one: ids, the content of environment_file */
    const char *because; /* the service that takes it along, where that is not itself; NULL */
};
typedef void engine_report(void *self, const struct engine_planned *);

/* Tells each service that engine_reload would touch, or that would be stopped for one of those, in
 * order of name. The set was checked, no shutdown has begun. -1 with ENOMEM, nothing told. */
int engine_plan(const struct engine *, const struct conf_set *, engine_report *report, void *self);

const char *engine_does_name(enum engine_does);

#endif
