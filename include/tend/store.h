/* The memory that outlives an exec: a memfd with a slot for each service, mapped and shared, so
 * that writing costs no system call and a crash loses nothing that was written. */
#ifndef TEND_STORE_H
#define TEND_STORE_H

#include "tend/persist.h"

struct store {
    int fd; /* -1: plain memory, which does not outlive anything */
    struct persist_slot *slots;
    size_t room;
};

/* An empty store. False when memfd_create(2) is denied: it works all the same, in plain memory. */
bool store_open(struct store *);

/* Makes sure of n slots; -1 with errno and the store as it was. Earlier pointers are void. */
int store_grow(struct store *, size_t n);

void store_close(struct store *);

#endif
