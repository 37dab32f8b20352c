#include "tend/check_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 12, INDENT = 3 };

enum shown { NOT_YET, BELOW, ABOVE };

struct child {
    size_t at;
    enum edge_kind kind;
};

struct level {
    size_t next, end; /* of the children that are still to come */
};

struct tree {
    const struct check_plan *p;
    const char *const *lines;
    struct child *children;
    size_t *first, *end; /* of the children of each, which stand in an order of start */
    enum shown *shown;
    size_t *later, n_later; /* to be shown at a root of their own */
    struct level path[DEPTH_MAX + 1];
    size_t depth;
};

enum { LINE_FORK, LINE_LAST, LINE_ON, LINE_NONE };
static const char *const ascii[] = {"|- ", "`- ", "|  ", "   "};
static const char *const utf8_lines[] = {"├─ ", "└─ ", "│  ", "   "};

/* ---- who hangs below whom ---- */

/* Of several edges between two services the strongest comes first, and is the one that is shown. */
static void add_children(struct tree *t, const struct service *s, size_t *last_child)
{
    for (size_t k = 0; k < s->n_needs; k++) {
        size_t to = s->needs[k].to->slot;
        if (last_child[to] == s->slot)
            continue;
        last_child[to] = s->slot;
        t->children[t->end[to]++] = (struct child){s->slot, s->needs[k].kind};
    }
}

static int find_children(struct tree *t)
{
    const struct check_plan *p = t->p;
    size_t edges = 0, *last_child = malloc((p->set->n + 1) * sizeof *last_child);

    for (size_t i = 0; i < p->set->n; i++) {
        t->first[i] = t->end[i] = edges;
        edges += p->graph.at[i]->n_needed_by;
    }
    t->children = calloc(edges + 1, sizeof *t->children);
    if (!t->children || !last_child) {
        free(last_child);
        return -1;
    }
    for (size_t i = 0; i < p->set->n; i++)
        last_child[i] = SIZE_MAX;
    for (size_t i = 0; i < p->set->n; i++)
        add_children(t, p->graph.at[p->order[i]], last_child);
    free(last_child);
    return 0;
}

/* ---- one line ---- */

/* The lines of the levels above, then those of its own. */
static void put_prefix(const struct tree *t, bool own)
{
    for (size_t i = 0; i < t->depth; i++) {
        bool more = t->path[i].next < t->path[i].end;
        if (i + 1 == t->depth && own)
            fputs(t->lines[more ? LINE_FORK : LINE_LAST], stdout);
        else
            fputs(t->lines[more ? LINE_ON : LINE_NONE], stdout);
    }
}

/* "NAME (requires, manual, above)"; what is in parentheses goes below where there is no room. */
static void put_service(const struct tree *t, size_t at, const char *kind, const char *where)
{
    const struct conf *c = t->p->set->at[at];
    const char *words[] = {kind, c->start == CONF_MANUAL ? "manual" : NULL, where};
    char notes[100] = "";

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (words[i])
            sprintf(notes + strlen(notes), "%s%s", *notes ? ", " : " (", words[i]);
    if (*notes)
        strcat(notes, ")");
    put_prefix(t, true);
    fputs(c->name, stdout);
    if (t->depth * INDENT + strlen(c->name) + strlen(notes) > CHECK_WIDTH) {
        printf("\n");
        put_prefix(t, false);
        printf(" ");
    }
    printf("%s\n", notes);
}

/* ---- the tree ---- */

static void go_below(struct tree *t, size_t at)
{
    t->shown[at] = ABOVE;
    t->path[t->depth++] = (struct level){t->first[at], t->end[at]};
}

static bool fits(const struct tree *t, size_t at)
{
    if (t->depth >= DEPTH_MAX)
        return false;
    for (size_t i = t->first[at]; i < t->end[at]; i++)
        if ((t->depth + 1) * INDENT + strlen(t->p->set->at[t->children[i].at]->name) > CHECK_WIDTH)
            return false;
    return true;
}

static void show_child(struct tree *t, struct child c)
{
    static const char *const kinds[] = {
        [EDGE_REQUIRES] = "requires", [EDGE_WANTS] = "wants", [EDGE_AFTER] = "after"};
    bool unseen = t->shown[c.at] == NOT_YET;

    if (unseen && !fits(t, c.at)) {
        t->shown[c.at] = BELOW;
        t->later[t->n_later++] = c.at;
    }
    put_service(t, c.at, kinds[c.kind],
                t->shown[c.at] == BELOW   ? "below"
                : t->shown[c.at] == ABOVE ? "above"
                                          : NULL);
    if (t->shown[c.at] == NOT_YET)
        go_below(t, c.at);
}

static void show_root(struct tree *t, size_t at, const char *where)
{
    put_service(t, at, NULL, where);
    go_below(t, at);
    while (t->depth) {
        struct level *level = &t->path[t->depth - 1];
        if (level->next < level->end)
            show_child(t, t->children[level->next++]);
        else
            t->depth--;
    }
}

static void show_all(struct tree *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->p->set->n; i++) {
        size_t at = t->p->order[i];
        if (t->p->graph.at[at]->n_needs)
            continue;
        show_root(t, at, NULL);
        for (; n < t->n_later; n++)
            show_root(t, t->later[n], "from above");
    }
}

int check_tree(const struct check_plan *p, bool utf8)
{
    size_t n = p->set->n + 1;
    struct tree t = {.p = p,
                     .lines = utf8 ? utf8_lines : ascii,
                     .first = calloc(n, sizeof(size_t)),
                     .end = calloc(n, sizeof(size_t)),
                     .shown = calloc(n, sizeof(enum shown)),
                     .later = calloc(n, sizeof(size_t))};
    int result = -1;

    if (t.first && t.end && t.shown && t.later && find_children(&t) == 0) {
        show_all(&t);
        result = 0;
    } else {
        errno = ENOMEM;
    }
    free(t.children);
    free(t.first);
    free(t.end);
    free(t.shown);
    free(t.later);
    return result;
}
