/* graph: a tree, a document, or a drawing by graphviz. */
#include <stdlib.h>
#include <string.h>

#include "client/show.h"
#include "client/tree.h"
#include "client/verbs.h"
#include "client/words.h"

struct graph {
    struct reply reply; /* services first, by name */
    size_t n;
    struct tree_edge *edges;
    size_t n_edges;
};

/* ---- edges as numbers ---- */

static int by_name(const void *key, const void *at)
{
    return strcmp(key, record_text(*(struct record *const *)at, "name"));
}

/* Where it stands among the services; n where it does not. */
static size_t place(const struct graph *g, const char *name)
{
    struct record **found =
        g->n ? bsearch(name, g->reply.at, g->n, sizeof(struct record *), by_name) : NULL;

    return found ? (size_t)(found - g->reply.at) : g->n;
}

static int by_ends(const void *a, const void *b)
{
    const struct tree_edge *left = a, *right = b;

    if (left->from != right->from)
        return left->from < right->from ? -1 : 1;
    return (left->to > right->to) - (left->to < right->to);
}

static void find_edges(struct client *c, struct graph *g)
{
    const struct reply *r = &g->reply;

    g->edges = client_must(c, calloc(r->n + 1, sizeof *g->edges));
    for (size_t i = g->n; i < r->n; i++) {
        size_t from = place(g, record_text(r->at[i], "from")),
               to = place(g, record_text(r->at[i], "to"));
        if (record_is(r->at[i], "edge") && from < g->n && to < g->n)
            g->edges[g->n_edges++] = (struct tree_edge){from, to, record_text(r->at[i], "kind")};
    }
    if (g->n_edges)
        qsort(g->edges, g->n_edges, sizeof *g->edges, by_ends);
}

/* ---- for programs ---- */

static void print_json(struct client *c, const struct graph *g)
{
    client_list(c, "services");
    client_list(c, "edges");
    for (size_t i = 0; i < g->reply.n; i++) {
        if (i < g->n)
            client_append(c, "services", json_record(g->reply.at[i], json_service));
        else if (record_is(g->reply.at[i], "edge"))
            client_append(c, "edges", json_record(g->reply.at[i], json_edge));
    }
}

static const char *fill(const struct record *r)
{
    switch (words_paint(r)) {
    case PAINT_GOOD:
        return "palegreen";
    case PAINT_MOVING:
        return "khaki";
    case PAINT_BAD:
        return "lightcoral";
    case PAINT_DIM:
        return "lightgrey";
    case PAINT_NONE:
    case PAINT_COUNT:
        break;
    }
    return "white";
}

static const char *style(const char *kind)
{
    return strcmp(kind, "requires") == 0 ? "solid"
           : strcmp(kind, "wants") == 0  ? "dashed"
                                         : "dotted";
}

/* Names are of letters, digits and . _ - @ only: nothing in them ends a quotation. */
static void print_dot(const struct graph *g)
{
    struct record *const *at = g->reply.at;

    puts("digraph tend {\n"
         "    rankdir = RL;\n"
         "    node [shape = box, style = \"rounded,filled\", fontname = \"sans-serif\"];\n"
         "    edge [fontname = \"sans-serif\", fontsize = 10];");
    for (size_t i = 0; i < g->n; i++)
        printf("    \"%s\" [fillcolor = %s, label = \"%s\\n%s\"];\n", record_text(at[i], "name"),
               fill(at[i]), record_text(at[i], "name"), record_text(at[i], "state"));
    for (size_t i = 0; i < g->n_edges; i++)
        printf("    \"%s\" -> \"%s\" [style = %s, label = \"%s\"];\n",
               record_text(at[g->edges[i].from], "name"), record_text(at[g->edges[i].to], "name"),
               style(g->edges[i].kind), g->edges[i].kind);
    puts("}");
}

int show_graph(struct client *c)
{
    struct graph g = {0};

    if (c->dot && c->json)
        client_fail(c, CLIENT_USAGE, "usage", NULL, "--dot and --json do not go together");
    session_open(c);
    session_get(c, &g.reply, "graph", NULL, 0);
    g.n = show_sort_services(&g.reply);
    find_edges(c, &g);
    if (c->json)
        print_json(c, &g);
    else if (c->dot)
        print_dot(&g);
    else if (tree_print(c, g.reply.at, g.n, g.edges, g.n_edges))
        client_must(c, NULL);
    free(g.edges);
    reply_free(&g.reply);
    return CLIENT_DONE;
}
