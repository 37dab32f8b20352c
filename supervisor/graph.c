#include "tend/graph.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct service *graph_find_any(const struct graph *g, const char *name)
{
    size_t low = 0, high = g->n_sorted;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(service_name(g->sorted[middle]), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < g->n_sorted && !strcmp(service_name(g->sorted[low]), name) ? g->sorted[low] : NULL;
}

struct service *graph_find(const struct graph *g, const char *name)
{
    struct service *s = graph_find_any(g, name);

    return s && !s->doomed ? s : NULL;
}

static size_t graph_free_slot(const struct graph *g)
{
    for (size_t i = 0; i < g->n; i++)
        if (!g->at[i])
            return i;
    return g->n;
}

struct service *graph_add(struct graph *g, struct conf *conf)
{
    size_t slot = g->n < g->room ? g->n : graph_free_slot(g);
    struct service *s;

    if (slot == g->room) {
        size_t room = g->room ? g->room * 2 : 16;
        struct service **at = realloc(g->at, room * sizeof(struct service *));
        if (!at)
            return NULL;
        g->at = at;
        g->room = room;
    }
    s = service_new(conf, (unsigned)slot);
    if (!s)
        return NULL;
    s->fresh = true;
    g->at[slot] = s;
    if (slot == g->n)
        g->n++;
    return s;
}

static void edges_drop(struct edge *edges, size_t *n, const struct service *to)
{
    size_t kept = 0;

    for (size_t i = 0; i < *n; i++)
        if (edges[i].to != to)
            edges[kept++] = edges[i];
    *n = kept;
}

void graph_remove(struct graph *g, struct service *gone)
{
    for (size_t i = 0; i < g->n; i++) {
        struct service *s = g->at[i];
        if (!s || s == gone)
            continue;
        edges_drop(s->needs, &s->n_needs, gone);
        edges_drop(s->needed_by, &s->n_needed_by, gone);
        if (s->predecessor == gone)
            s->predecessor = gone->predecessor;
    }
    for (size_t i = 0, kept = 0, n = g->n_sorted; i < n; i++) {
        if (g->sorted[i] == gone)
            g->n_sorted--;
        else
            g->sorted[kept++] = g->sorted[i];
    }
    g->at[gone->slot] = NULL;
    service_free(gone);
}

void graph_free(struct graph *g)
{
    for (size_t i = 0; i < g->n; i++)
        service_free(g->at[i]);
    free(g->at);
    free(g->sorted);
    *g = (struct graph){0};
}

/* ---- edges ---- */

/* Services by name, and of one name those that are not doomed first. */
static int by_name(const void *a, const void *b)
{
    const struct service *x = *(struct service *const *)a, *y = *(struct service *const *)b;
    int order = strcmp(service_name(x), service_name(y));

    return order ? order : (int)x->doomed - (int)y->doomed;
}

static int sort(const struct graph *g, struct graph *sorted)
{
    sorted->sorted = malloc((g->n + 1) * sizeof(struct service *));
    if (!sorted->sorted)
        return -1;
    for (size_t i = 0; i < g->n; i++)
        if (g->at[i])
            sorted->sorted[sorted->n_sorted++] = g->at[i];
    qsort(sorted->sorted, sorted->n_sorted, sizeof(struct service *), by_name);
    return 0;
}

static size_t list_length(char *const *list)
{
    size_t n = 0;

    while (list && list[n])
        n++;
    return n;
}

static void edges_from(const struct graph *index, char *const *names, enum edge_kind kind,
                       struct edge *edges, size_t *n)
{
    for (; names && *names; names++) {
        struct service *to = graph_find_any(index, *names);
        if (to)
            edges[(*n)++] = (struct edge){to, kind};
    }
}

static struct edge *edges_of(const struct graph *index, const struct conf *c, size_t *n)
{
    struct edge *edges =
        calloc(list_length(c->requires) + list_length(c->wants) + list_length(c->after) + 1,
               sizeof *edges);

    *n = 0;
    if (!edges)
        return NULL;
    edges_from(index, c->requires, EDGE_REQUIRES, edges, n);
    edges_from(index, c->wants, EDGE_WANTS, edges, n);
    edges_from(index, c->after, EDGE_AFTER, edges, n);
    return edges;
}

/* New edges for all, in memory of their own: nothing changes unless all could be made. */
struct new_edges {
    struct edge *needs, *needed_by;
    size_t n_needs, n_needed_by;
};

static int edges_reverse(const struct graph *g, struct new_edges *all)
{
    for (size_t i = 0; i < g->n; i++)
        for (size_t k = 0; k < all[i].n_needs; k++)
            all[all[i].needs[k].to->slot].n_needed_by++;
    for (size_t i = 0; i < g->n; i++) {
        if (!all[i].n_needed_by)
            continue;
        all[i].needed_by = calloc(all[i].n_needed_by, sizeof(struct edge));
        if (!all[i].needed_by)
            return -1;
        all[i].n_needed_by = 0;
    }
    for (size_t i = 0; i < g->n; i++)
        for (size_t k = 0; k < all[i].n_needs; k++) {
            struct new_edges *to = &all[all[i].needs[k].to->slot];
            to->needed_by[to->n_needed_by++] = (struct edge){g->at[i], all[i].needs[k].kind};
        }
    return 0;
}

/* A doomed service depends to its end on those whom it knew, not on who came later under the same
 * name; only names are known of one that comes out of a record, and is fresh. Edges to the doomed
 * come from the doomed alone, and never from one doomed later: so they make no cycle. */
static struct edge *edges_kept(const struct service *s, size_t *n)
{
    struct edge *edges = calloc(s->n_needs + 1, sizeof *edges);

    *n = s->n_needs;
    if (edges && s->n_needs)
        memcpy(edges, s->needs, s->n_needs * sizeof *edges);
    return edges;
}

/* A conf that waits for the end of a life already says what the service depends on. */
static int edges_make(const struct graph *g, const struct graph *index, struct new_edges *all)
{
    for (size_t i = 0; i < g->n; i++) {
        struct service *s = g->at[i];
        if (!s)
            continue;
        all[i].needs = s->doomed && !s->fresh ? edges_kept(s, &all[i].n_needs)
                                              : edges_of(index, service_latest(s), &all[i].n_needs);
        if (!all[i].needs)
            return -1;
        if (all[i].n_needs == 0) {
            free(all[i].needs);
            all[i].needs = NULL;
        }
    }
    return edges_reverse(g, all);
}

static void edges_swap(struct service *s, struct new_edges *e)
{
    struct new_edges old = {s->needs, s->needed_by, s->n_needs, s->n_needed_by};

    s->needs = e->needs;
    s->needed_by = e->needed_by;
    s->n_needs = e->n_needs;
    s->n_needed_by = e->n_needed_by;
    *e = old;
}

static void predecessors(const struct graph *g)
{
    for (size_t i = 0; i < g->n_sorted; i++) {
        bool same = i + 1 < g->n_sorted &&
                    !strcmp(service_name(g->sorted[i]), service_name(g->sorted[i + 1]));
        g->sorted[i]->predecessor = same ? g->sorted[i + 1] : NULL;
    }
}

int graph_link(struct graph *g)
{
    struct graph index = {0};
    struct new_edges *all = calloc(g->n + 1, sizeof *all);
    int result = all ? sort(g, &index) : -1;

    if (!result)
        result = edges_make(g, &index, all);
    if (!result) {
        for (size_t i = 0; i < g->n; i++)
            if (g->at[i])
                edges_swap(g->at[i], &all[i]);
        free(g->sorted);
        g->sorted = index.sorted;
        g->n_sorted = index.n_sorted;
        index.sorted = NULL;
        predecessors(g);
    }
    for (size_t i = 0; all && i < g->n; i++) {
        free(all[i].needs);
        free(all[i].needed_by);
    }
    free(all);
    free(index.sorted);
    if (result)
        errno = ENOMEM;
    return result;
}

/* ---- levels ---- */

bool graph_going(const struct service *s, bool shutdown)
{
    if (shutdown || !s->wanted || s->again)
        return true;
    for (size_t i = 0; i < s->n_needs; i++)
        if (s->needs[i].kind == EDGE_REQUIRES &&
            (s->needs[i].to->going || s->needs[i].to->state == SERVICE_FAILED))
            return true;
    return false;
}

static bool gave_up(const struct service *s)
{
    return s->state == SERVICE_FAILED || !s->wanted;
}

bool graph_hopeless(const struct service *s)
{
    if ((s->ready || (s->state == SERVICE_STARTING && !s->preparing)) && !s->going)
        return false; /* it has come, or is about to, whatever has become of those it requires */
    if (gave_up(s) || (s->state == SERVICE_DONE && !s->ready && !s->going))
        return true;
    for (size_t i = 0; i < s->n_needs; i++)
        if (s->needs[i].kind == EDGE_REQUIRES && s->needs[i].to->hopeless)
            return true;
    return false;
}

/* Only requires waits for what will not become ready by itself. */
static bool edge_satisfied(const struct edge *e)
{
    if (e->to->ready && !e->to->going)
        return true;
    return e->kind != EDGE_REQUIRES && (gave_up(e->to) || e->to->hopeless);
}

/* A process that ended well is done, not ready; whoever only wants it has waited enough. */
static bool edge_over(const struct edge *e)
{
    return edge_satisfied(e) ||
           (e->kind != EDGE_REQUIRES && e->to->state == SERVICE_DONE && !e->to->going);
}

bool graph_clear(const struct service *s)
{
    if (!s->wanted || s->going || s->predecessor)
        return false;
    for (size_t i = 0; i < s->n_needs; i++)
        if (!edge_over(&s->needs[i]))
            return false;
    return true;
}

/* Still to be waited for at a stop. One that is done may have a stop command to run; one that is
 * stuck was named and left. */
static bool service_holds(const struct service *s)
{
    return s->state == SERVICE_DONE || (service_live(s) && s->state != SERVICE_STUCK);
}

const struct service *graph_holder(const struct service *s)
{
    for (size_t i = 0; i < s->n_needed_by; i++)
        if (s->needed_by[i].to->going && service_holds(s->needed_by[i].to))
            return s->needed_by[i].to;
    return NULL;
}

bool graph_quiet(const struct service *s)
{
    return s->going && !graph_holder(s);
}

const struct service *graph_blocker(const struct service *s, bool *failed)
{
    const struct service *first = s->predecessor;

    *failed = false;
    for (size_t i = 0; i < s->n_needs; i++) {
        const struct edge *e = &s->needs[i];
        bool fails = e->kind == EDGE_REQUIRES && (gave_up(e->to) || e->to->hopeless);
        if (fails) {
            *failed = true;
            return e->to;
        }
        if (!first && !edge_over(e))
            first = e->to;
    }
    return first;
}
