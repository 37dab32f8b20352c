/* plan and reload. */
#include <stdio.h>
#include <string.h>

#include "client/json_string.h"
#include "client/show.h"
#include "client/verbs.h"

static const struct column columns[] = {{"", false}, {"", false}, {"", false}};

/* Each "do" of the protocol, and what people are told where it has no reason of its own. */
static const struct {
    const char *does;
    enum paint paint;
    const char *otherwise;
} kinds[] = {
    {"start", PAINT_GOOD, ""},
    {"add", PAINT_GOOD, "new, not started"},
    {"restart", PAINT_MOVING, ""},
    {"stop", PAINT_BAD, "removed from the config"},
    {"forget", PAINT_DIM, "removed from the config, is not running"},
    {"change", PAINT_NONE, "in place"},
};

/* "because db restarts": because of what the same reply tells of that one. */
static void put_because(struct table *t, const struct reply *all, const char *because)
{
    const char *what = "changes";

    for (size_t i = 0; i < all->n; i++) {
        if (strcmp(record_text(all->at[i], "name"), because) != 0)
            continue;
        if (strcmp(record_text(all->at[i], "do"), "restart") == 0)
            what = "restarts";
        else if (strcmp(record_text(all->at[i], "do"), "stop") == 0)
            what = "stops";
        else if (strcmp(record_text(all->at[i], "do"), "start") == 0)
            what = "starts";
    }
    table_put(t, PAINT_NONE, "because %s %s", because, what);
}

static void put_change(struct table *t, const struct reply *all, const struct record *r)
{
    const char *does = record_text(r, "do"), *key = record_get(r, "key"),
               *because = record_get(r, "because"), *otherwise = "";
    enum paint paint = PAINT_NONE;

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (strcmp(does, kinds[i].does) == 0) {
            paint = kinds[i].paint;
            otherwise = kinds[i].otherwise;
        }
    }
    table_put(t, paint, "%s", does);
    table_put(t, PAINT_NONE, "%s", record_get(r, "name") ? record_text(r, "name") : "-");
    if (because)
        put_because(t, all, because);
    else if (key && strcmp(does, "change") == 0)
        table_put(t, PAINT_NONE, "%s differs, in place", key);
    else if (key)
        table_put(t, PAINT_NONE, "%s differs", key);
    else
        table_put(t, PAINT_NONE, "%s", otherwise);
}

static void print_text(struct client *c, const struct reply *r, bool refused)
{
    struct table t = {.columns = columns, .n_columns = ARRAY_SIZE(columns)};

    for (size_t i = 0; i < r->n; i++) {
        if (record_is(r->at[i], "change"))
            put_change(&t, r, r->at[i]);
        else if (record_is(r->at[i], "problem"))
            fprintf(stderr, "%s\n", record_text(r->at[i], "text"));
    }
    if (t.n == 0 && !refused)
        puts(strcmp(c->verb->name, "plan") == 0 ? "nothing would change" : "nothing has changed");
    show_table(c, &t);
}

static void print_json(struct client *c, const struct reply *r)
{
    client_list(c, "changes");
    client_list(c, "problems");
    for (size_t i = 0; i < r->n; i++) {
        const char *text = record_text(r->at[i], "text");
        if (record_is(r->at[i], "change"))
            client_append(c, "changes", json_record(r->at[i], json_change));
        else if (record_is(r->at[i], "problem"))
            client_append(c, "problems", json_any_string(text, strlen(text)));
    }
}

int show_changes(struct client *c)
{
    struct reply r;
    bool refused;

    session_open(c);
    session_ask(c, c->verb->name, NULL, 0);
    session_reply(c, &r);
    refused = record_is(r.end, "error");
    if (c->json)
        print_json(c, &r);
    else
        print_text(c, &r, refused);
    if (refused)
        session_refused(c, r.end);
    reply_free(&r);
    return CLIENT_DONE;
}
