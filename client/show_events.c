/* events and history: what was, with the time of the wall. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/show.h"
#include "client/words.h"
#include "tend/units.h"

enum { TIME_ROOM = 40 };

/* ---- times ---- */

static void local_time(msec wall, struct tm *out)
{
    time_t seconds = (time_t)(wall / 1000);

    localtime_r(&seconds, out);
}

/* "2024-11-24 14:31:02", with milliseconds where events follow each other. */
static void put_time(char buf[static TIME_ROOM], msec wall, bool fine)
{
    struct tm tm;
    size_t n;

    local_time(wall, &tm);
    n = strftime(buf, TIME_ROOM, "%Y-%m-%d %H:%M:%S", &tm);
    if (fine)
        snprintf(buf + n, TIME_ROOM - n, ".%03d", (int)(wall % 1000));
}

/* "2024-11-24T13:31:02.123Z". */
static json_t *json_time(msec wall)
{
    time_t seconds = (time_t)(wall / 1000);
    char buf[TIME_ROOM];
    struct tm tm;
    size_t n;

    gmtime_r(&seconds, &tm);
    n = strftime(buf, sizeof buf, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buf + n, sizeof buf - n, ".%03dZ", (int)(wall % 1000));
    return json_string(buf);
}

json_t *show_dated(struct client *c, const struct record *r, const struct json_key *keys)
{
    json_t *object = client_must(c, json_record(r, keys));

    client_put(c, object, "time", json_time(session_wall(c, record_number(r, "at"))));
    return object;
}

/* ---- events ---- */

static enum paint event_paint(const struct record *r)
{
    const char *to = record_text(r, "to");

    if (strcmp(record_text(r, "kind"), "health") == 0)
        return record_get(r, "what") ? PAINT_BAD : PAINT_GOOD;
    if (strcmp(to, "running") == 0)
        return PAINT_GOOD;
    if (strcmp(to, "failed") == 0 || strcmp(to, "stuck") == 0)
        return PAINT_BAD;
    return strcmp(to, "backoff") == 0 || strcmp(to, "killing") == 0 ? PAINT_MOVING : PAINT_NONE;
}

static void print_event(struct client *c, const struct record *r)
{
    char time[TIME_ROOM];
    enum paint paint = event_paint(r);

    put_time(time, session_wall(c, record_number(r, "at")), true);
    printf("%s  ", time);
    paint_begin(stdout, paint, c->colored);
    fputs(record_text(r, "text"), stdout);
    paint_end(stdout, paint, c->colored);
    putchar('\n');
}

static void print_missed(struct client *c, const struct record *r)
{
    long long count = (long long)record_number(r, "count");
    json_t *line;

    if (!c->json) {
        printf("... %lld %s missed\n", count, count == 1 ? "event" : "events");
        return;
    }
    line = client_must(c, json_object());
    client_put(c, line, "missed", json_integer(count));
    client_print_line(c, line);
}

static void take_event(struct client *c, const struct record *r)
{
    if (record_is(r, "missed"))
        print_missed(c, r);
    else if (record_is(r, "event") && c->json)
        client_print_line(c, show_dated(c, r, json_event));
    else if (record_is(r, "event"))
        print_event(c, r);
}

int show_events(struct client *c)
{
    struct record *r;
    bool over = false;

    session_open(c);
    c->connection.watched = STDOUT_FILENO;
    session_ask(c, c->follow ? "events follow" : "events", NULL, 0);
    while (!over && (r = session_record(c))) {
        if (record_is(r, "error"))
            session_refused(c, r);
        over = record_is(r, "ok");
        take_event(c, r);
        free(r);
    }
    if (over)
        return CLIENT_DONE;
    if (!c->follow || !connection_has_ended(&c->connection, c->directory))
        client_fail(c, CLIENT_SYSTEM, "system", NULL, "tend has closed the connection, and lives");
    client_flush(c);
    fputs("tend has ended\n", stderr);
    return CLIENT_DONE;
}

/* ---- history ---- */

static const struct column columns[] = {
    {"NAME", false}, {"WHEN", false},  {"RAN", true},
    {"EXIT", false}, {"CAUSE", false}, {"STOP TOOK", false},
};

static void put_row(struct client *c, struct table *t, const struct record *r)
{
    char when[TIME_ROOM], ran[UNITS_DURATION_MAX], took[UNITS_DURATION_MAX], last[64] = "";
    struct text last_text = {last, 0, sizeof last};
    bool before = strcmp(record_text(r, "process"), "before_start") == 0;
    const char *cause = record_get(r, "cause");

    put_time(when, session_wall(c, record_number(r, "at")), false);
    words_end_short(&last_text, r);
    table_put(t, PAINT_NONE, "%s", record_text(r, "service"));
    table_put(t, PAINT_NONE, "%s", when);
    table_put(t, PAINT_NONE, "%s", units_duration_short(record_number(r, "ran"), ran));
    table_put(t, PAINT_NONE, "%s%s", *last ? last : "-", before ? " (before_start)" : "");
    table_put(t, PAINT_NONE, "%s", cause ? cause : "-");
    table_put(t, PAINT_NONE, "%s%s", show_time(record_number(r, "age"), took),
              record_flag(r, "killed") ? ", KILL" : "");
}

int show_history(struct client *c)
{
    struct table t = {.columns = columns, .n_columns = ARRAY_SIZE(columns)};
    struct reply r;

    session_open(c);
    session_get(c, &r, "history", c->names, c->n_names);
    if (c->json)
        client_list(c, "deaths");
    table_titles(&t);
    for (size_t i = 0; i < r.n; i++) {
        if (!record_is(r.at[i], "death"))
            continue;
        if (c->json)
            client_append(c, "deaths", show_dated(c, r.at[i], json_death));
        else
            put_row(c, &t, r.at[i]);
    }
    if (!c->json && t.n > t.n_columns)
        show_table(c, &t);
    else if (!c->json)
        puts("no deaths");
    table_free(&t);
    reply_free(&r);
    return CLIENT_DONE;
}
