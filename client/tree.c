#include "client/tree.h"

#include <stdlib.h>
#include <string.h>

#include "client/words.h"

enum { DEPTH_MAX = 12, INDENT = 3, WIDTH = 80 };

enum shown { NOT_YET, BELOW, ABOVE };

struct child {
    size_t at;
    const char *kind;
};

struct level {
    size_t next, end; /* of the children that are still to come */
};

struct tree {
    const struct client *client;
    struct record *const *services;
    size_t n;
    const char *const *lines;
    struct child *children;
    size_t *first; /* n + 1: of the children of each, where those of the next begin */
    size_t *needs; /* how many each depends on */
    enum shown *shown;
    size_t *later, n_later; /* to be shown at a root of their own */
    struct level path[DEPTH_MAX + 1];
    size_t depth;
};

enum { LINE_FORK, LINE_LAST, LINE_ON, LINE_NONE };
static const char *const ascii[] = {"|- ", "`- ", "|  ", "   "};
static const char *const utf8[] = {"├─ ", "└─ ", "│  ", "   "};

/* ---- who hangs below whom ---- */

/* In the order of the edges, which is that of the names. */
static void find_children(struct tree *t, const struct tree_edge *edges, size_t n_edges)
{
    for (size_t i = 0; i < n_edges; i++) {
        t->first[edges[i].to + 1]++;
        t->needs[edges[i].from]++;
    }
    for (size_t i = 0; i < t->n; i++)
        t->first[i + 1] += t->first[i];
    for (size_t i = n_edges; i-- > 0;)
        t->children[--t->first[edges[i].to + 1]] = (struct child){edges[i].from, edges[i].kind};
    /* first[i + 1] is now where the children of i begin, and those of n - 1 end at n_edges. */
    memmove(t->first, t->first + 1, t->n * sizeof *t->first);
    t->first[t->n] = n_edges;
}

/* ---- one line ---- */

static void put_prefix(const struct tree *t)
{
    for (size_t i = 0; i < t->depth; i++) {
        bool more = t->path[i].next < t->path[i].end;
        if (i + 1 == t->depth)
            fputs(t->lines[more ? LINE_FORK : LINE_LAST], stdout);
        else
            fputs(t->lines[more ? LINE_ON : LINE_NONE], stdout);
    }
}

/* "web running (requires, above)". */
static void put_service(const struct tree *t, size_t at, const char *kind, const char *where)
{
    const struct record *r = t->services[at];
    enum paint paint = words_paint(r);
    bool running = !strcmp(record_text(r, "state"), "running");

    put_prefix(t);
    printf("%s ", record_text(r, "name"));
    paint_begin(stdout, paint, t->client->colored);
    printf("%s%s", record_text(r, "state"),
           !running || words_is_there(r) ? ""
           : words_is_unhealthy(r)       ? ", unhealthy"
                                         : ", not ready");
    paint_end(stdout, paint, t->client->colored);
    if (kind || where)
        printf(" (%s%s%s)", kind ? kind : "", kind && where ? ", " : "", where ? where : "");
    putchar('\n');
}

/* ---- the tree ---- */

static void go_below(struct tree *t, size_t at)
{
    t->shown[at] = ABOVE;
    t->path[t->depth++] = (struct level){t->first[at], t->first[at + 1]};
}

static bool fits(const struct tree *t, size_t at)
{
    if (t->depth >= DEPTH_MAX)
        return false;
    for (size_t i = t->first[at]; i < t->first[at + 1]; i++)
        if ((t->depth + 1) * INDENT + strlen(record_text(t->services[t->children[i].at], "name")) >
            WIDTH)
            return false;
    return true;
}

static void show_child(struct tree *t, struct child c)
{
    bool leaf = t->first[c.at] == t->first[c.at + 1];

    if (t->shown[c.at] == NOT_YET && !leaf && !fits(t, c.at)) {
        t->shown[c.at] = BELOW;
        t->later[t->n_later++] = c.at;
    }
    put_service(t, c.at, c.kind,
                t->shown[c.at] == BELOW            ? "below"
                : t->shown[c.at] == ABOVE && !leaf ? "above"
                                                   : NULL);
    if (t->shown[c.at] == NOT_YET && !leaf)
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

    for (size_t i = 0; i < t->n; i++) {
        if (t->needs[i])
            continue;
        show_root(t, i, NULL);
        for (; n < t->n_later; n++)
            show_root(t, t->later[n], "from above");
    }
}

int tree_print(const struct client *c, struct record *const *services, size_t n,
               const struct tree_edge *edges, size_t n_edges)
{
    struct tree t = {.client = c,
                     .services = services,
                     .n = n,
                     .lines = c->utf8 ? utf8 : ascii,
                     .children = calloc(n_edges + 1, sizeof *t.children),
                     .first = calloc(n + 2, sizeof *t.first),
                     .needs = calloc(n + 1, sizeof *t.needs),
                     .shown = calloc(n + 1, sizeof *t.shown),
                     .later = calloc(n + 1, sizeof *t.later)};
    bool room = t.children && t.first && t.needs && t.shown && t.later;

    if (room) {
        find_children(&t, edges, n_edges);
        show_all(&t);
    }
    free(t.children);
    free(t.first);
    free(t.needs);
    free(t.shown);
    free(t.later);
    return room ? 0 : -1;
}
