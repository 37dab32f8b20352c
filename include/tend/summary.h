/* How all services together are, in one line for whoever started us. Pure. */
#ifndef TEND_SUMMARY_H
#define TEND_SUMMARY_H

#include "tend/engine.h"

enum { SUMMARY_MAX = 160 };

struct summary {
    size_t wanted, ready;   /* services that are wanted; of these ready, or done well */
    bool all_ready;         /* none that is wanted is missing */
    char text[SUMMARY_MAX]; /* "5/5 ready", "3/5 ready, waiting for db", "4/5 ready, db failed",
                             * "stopping, 2 left, waiting for db" */
};

/* Levels are settled. */
void summary_make(struct summary *, const struct engine *);

#endif
