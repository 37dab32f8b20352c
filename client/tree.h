/* Services and their edges, as a tree of lines: each below those that it depends on. */
#ifndef CLIENT_TREE_H
#define CLIENT_TREE_H

#include "client/client.h"

struct tree_edge {
    size_t from, to; /* from depends on to */
    const char *kind;
};

/* To stdout. The n services are sorted by name. -1: no memory. */
int tree_print(const struct client *, struct record *const *services, size_t n,
               const struct tree_edge *, size_t n_edges);

#endif
