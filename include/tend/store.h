/* The memory that outlives an exec: a memfd with a record for each service behind the undo record,
 * mapped and shared, so that writing costs no system call and a crash loses nothing that was
 * written. */
#ifndef TEND_STORE_H
#define TEND_STORE_H

#include "tend/persist.h"

struct store {
    int fd; /* -1: plain memory, which does not outlive anything */
    struct persist_area area;
};

/* An empty store. False when memfd_create(2) is denied: it works all the same, in plain memory. */
bool store_open(struct store *);

/* Makes sure of n slots; -1 with errno and the store as it was. */
int store_grow(struct store *, size_t n);

void store_close(struct store *);

#endif
