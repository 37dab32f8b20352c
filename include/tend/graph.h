/* The set of services: who is there, who depends on whom, and the levels that follow from it.
 *
 * An edge s -> d says that s starts after d is ready and is gone before d is told to stop.
 * requires: shared fate; wants: the same order, and d is started too; after: the order alone.
 * Nothing here recurses: a chain may be 50,000 long. */
#ifndef TEND_GRAPH_H
#define TEND_GRAPH_H

#include "tend/service.h"

struct graph {
    struct service **at;     /* by slot; NULL: free */
    size_t n, room;          /* slots in use or once used */
    struct service **sorted; /* by name as of the last graph_link; of one name the doomed last */
    size_t n_sorted;
};

/* ---- a set as it is written ---- */

/* Calls report for every missing dependency (with the chain that leads to it) and every cycle
 * (whole), with the service where it stands. Fills order, of set->n entries, with the indices in an
 * order of start: what is depended on first, else as written. Returns the number of problems, or -1
 * with ENOMEM. */
int graph_check(const struct conf_set *set,
                void (*report)(void *self, const struct conf *at, const char *why), void *self,
                size_t *order);

/* ---- services as they live ---- */

/* The service of that name that is not doomed; as of the last graph_link. */
struct service *graph_find(const struct graph *, const char *name);
/* The same, but one that is on its way out where there is no other. */
struct service *graph_find_any(const struct graph *, const char *name);
/* A new, fresh service in a free slot; takes conf. NULL with ENOMEM, conf stays the caller's then.
 */
struct service *graph_add(struct graph *, struct conf *conf);
/* Frees it, and takes it out of every edge. */
void graph_remove(struct graph *, struct service *);
/* Edges and predecessors anew from the confs. The set was checked before, so that every name is
 * found. -1 with ENOMEM and the edges as they were. */
int graph_link(struct graph *);
void graph_free(struct graph *);

/* must_go: not wanted, to be restarted, or a requirement failed or must go; or all must. */
bool graph_going(const struct service *, bool shutdown);
/* Gave up, is not wanted, is done without being ready, or requires one of those. */
bool graph_hopeless(const struct service *);
/* May start: wanted, not going, everything it depends on ready or never to be, predecessor gone. */
bool graph_clear(const struct service *);
/* The first dependent that is going too and still there; NULL: none. */
const struct service *graph_holder(const struct service *);
/* May stop: going, and nobody holds it. */
bool graph_quiet(const struct service *);
/* What a pending service waits for first; NULL: nothing. *failed: it will not come by itself. */
const struct service *graph_blocker(const struct service *, bool *failed);

#endif
