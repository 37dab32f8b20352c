/* The set as it is written: every name must be there, and no service may wait for itself. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tend/graph.h"

/* Of a longer chain only the end is told. */
enum { WHY_MAX = 4096, CHAIN_SHOWN = 24 };
enum colour { WHITE, GREY, BLACK }; /* not seen, on the present path, finished */

struct frame {
    size_t at;   /* index in the set */
    size_t next; /* its next dependency */
};

struct check {
    const struct conf_set *set;
    void (*report)(void *self, const struct conf *at, const char *why);
    void *self;
    size_t *sorted; /* indices by name */
    unsigned char *colour;
    struct frame *path; /* the present one, from a root down */
    size_t depth;
    size_t *order, n_order;
    int problems;
};

/* The names of a conf's dependencies one after the other, with their kind. */
static const char *dependency(const struct conf *c, size_t i, const char **kind)
{
    char *const *const lists[] = {c->requires, c->wants, c->after};
    static const char *const kinds[] = {"requires", "wants", "is after"};

    for (size_t k = 0; k < ARRAY_SIZE(lists); k++)
        for (size_t j = 0; lists[k] && lists[k][j]; j++)
            if (i-- == 0) {
                *kind = kinds[k];
                return lists[k][j];
            }
    return NULL;
}

static int by_conf_name(const void *a, const void *b, void *set)
{
    struct conf **at = ((const struct conf_set *)set)->at;

    return strcmp(at[*(const size_t *)a]->name, at[*(const size_t *)b]->name);
}

static bool find(const struct check *k, const char *name, size_t *out)
{
    size_t low = 0, high = k->set->n;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(k->set->at[k->sorted[middle]]->name, name);
        if (order == 0) {
            *out = k->sorted[middle];
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* Appends to why what has room there. */
static void add(char *why, const char *text)
{
    size_t have = strlen(why);

    snprintf(why + have, WHY_MAX - have, "%s", text);
}

/* "a requires b, b wants c, " from the frame first to the top of the path. */
static void add_chain(const struct check *k, size_t first, char *why)
{
    size_t shown = k->depth - first > CHAIN_SHOWN ? k->depth - CHAIN_SHOWN : first;

    for (size_t i = shown; i < k->depth; i++) {
        const struct conf *c = k->set->at[k->path[i].at];
        const char *kind, *name = dependency(c, k->path[i].next - 1, &kind);

        add(why, i > shown ? ", " : i > first ? "... " : "");
        add(why, c->name);
        add(why, " ");
        add(why, kind);
        add(why, " ");
        add(why, name);
    }
}

static void report_missing(struct check *k, const char *name)
{
    char why[WHY_MAX] = "";

    if (!conf_name_valid(name))
        return; /* which conf_check tells */
    add_chain(k, 0, why);
    add(why, ", but there is no service ");
    add(why, name);
    add(why, "; define it or take the name out");
    k->problems++;
    k->report(k->self, k->set->at[k->path[k->depth - 1].at], why);
}

static void report_cycle(struct check *k, size_t at)
{
    char why[WHY_MAX] = "waits for itself: ";
    size_t first = 0;

    while (k->path[first].at != at)
        first++;
    add_chain(k, first, why);
    add(why, "; take one of these out");
    k->problems++;
    k->report(k->self, k->set->at[at], why);
}

static void push(struct check *k, size_t at)
{
    k->colour[at] = GREY;
    k->path[k->depth++] = (struct frame){at, 0};
}

static void step(struct check *k)
{
    struct frame *top = &k->path[k->depth - 1];
    const char *kind, *name = dependency(k->set->at[top->at], top->next, &kind);
    size_t to;

    if (!name) {
        k->colour[top->at] = BLACK;
        k->order[k->n_order++] = top->at;
        k->depth--;
        return;
    }
    top->next++;
    if (!find(k, name, &to))
        report_missing(k, name);
    else if (k->colour[to] == GREY)
        report_cycle(k, to);
    else if (k->colour[to] == WHITE)
        push(k, to);
}

/* Whom nobody depends on comes first, so that a chain is told from its beginning. */
static void mark_needed(const struct check *k, unsigned char *needed)
{
    for (size_t i = 0; i < k->set->n; i++) {
        const char *kind, *name;
        size_t to;
        for (size_t j = 0; (name = dependency(k->set->at[i], j, &kind)); j++)
            if (find(k, name, &to))
                needed[to] = 1;
    }
}

static void walk(struct check *k, const unsigned char *needed)
{
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < k->set->n; i++)
            if (k->colour[i] == WHITE && (round == 1 || !needed[i])) {
                push(k, i);
                while (k->depth)
                    step(k);
            }
}

int graph_check(const struct conf_set *set,
                void (*report)(void *self, const struct conf *at, const char *why), void *self,
                size_t *order)
{
    size_t n = set->n + 1;
    unsigned char *needed = calloc(n, 1);
    struct check k = {.set = set,
                      .report = report,
                      .self = self,
                      .order = order,
                      .sorted = calloc(n, sizeof(size_t)),
                      .colour = calloc(n, 1),
                      .path = calloc(n, sizeof(struct frame))};

    if (needed && k.sorted && k.colour && k.path) {
        for (size_t i = 0; i < set->n; i++)
            k.sorted[i] = i;
        qsort_r(k.sorted, set->n, sizeof(size_t), by_conf_name, (void *)(uintptr_t)set);
        mark_needed(&k, needed);
        walk(&k, needed);
    } else {
        errno = ENOMEM;
        k.problems = -1;
    }
    free(needed);
    free(k.sorted);
    free(k.colour);
    free(k.path);
    return k.problems;
}
