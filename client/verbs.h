/* The table of verbs, and what --help says of them. */
#ifndef CLIENT_VERBS_H
#define CLIENT_VERBS_H

#include <stdio.h>

#include "client/client.h"

/* Options that only some verbs have. */
enum {
    TAKES_WAIT = 1 << 0,
    TAKES_GROUP = 1 << 1,
    TAKES_FOR = 1 << 2,
    TAKES_DOT = 1 << 3,
    TAKES_FOLLOW = 1 << 4,
    TAKES_NOW = 1 << 5,
    TAKES_DEADLINE = 1 << 6,
};

struct verb {
    const char *name, *synopsis, *summary;
    unsigned options;   /* of the above */
    size_t least, most; /* how many words may follow */
    int (*run)(struct client *);
    const char *goal; /* what --wait waits for */
    const char *help;
};

extern const struct verb verbs[];
extern const size_t verbs_n;

const struct verb *verb_find(const char *name);
const char *verb_nearest(const char *name);

void help_general(FILE *);
void help_verb(const struct verb *);
/* "usage: tendctl start NAME..." */
void help_usage(FILE *, const struct verb *);

#endif
