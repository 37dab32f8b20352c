/* status, ready, names, version, and the lines on services of other verbs. */
#include <stdlib.h>
#include <string.h>

#include "client/json_string.h"
#include "client/memory.h"
#include "client/show.h"
#include "client/words.h"
#include "tend/units.h"

enum { LINE_MAX_SIZE = 1024 };

/* ---- parts ---- */

static int by_name(const void *a, const void *b)
{
    const struct record *left = *(struct record *const *)a, *right = *(struct record *const *)b;
    int kind = record_is(right, "service") - record_is(left, "service");

    return kind ? kind : strcmp(record_text(left, "name"), record_text(right, "name"));
}

size_t show_sort_services(struct reply *r)
{
    size_t n = 0;

    if (r->n)
        qsort(r->at, r->n, sizeof(struct record *), by_name);
    while (n < r->n && record_is(r->at[n], "service"))
        n++;
    return n;
}

void show_services(struct client *c, const struct reply *r)
{
    if (c->json)
        client_list(c, "services");
    for (size_t i = 0; i < r->n; i++) {
        char buf[LINE_MAX_SIZE] = "";
        struct text t = {buf, 0, sizeof buf};
        enum paint paint = words_paint(r->at[i]);
        if (!record_is(r->at[i], "service"))
            continue;
        if (c->json) {
            client_append(c, "services", json_record(r->at[i], json_service));
            continue;
        }
        words_service(&t, r->at[i]);
        printf("%s: ", record_text(r->at[i], "name"));
        paint_begin(stdout, paint, c->colored);
        fputs(buf, stdout);
        paint_end(stdout, paint, c->colored);
        putchar('\n');
    }
}

void show_table(struct client *c, struct table *t)
{
    if (table_print(t, stdout, c->width, c->colored))
        client_must(c, NULL);
    table_free(t);
}

const char *show_size(int64_t bytes, char buf[static SHOW_SIZE_MAX])
{
    static const char units[] = "KMGTP";
    double size = (double)bytes / 1024;
    size_t unit = 0;

    if (bytes < 0)
        return "-";
    for (; size >= 999.5 && unit + 2 < sizeof units; unit++)
        size /= 1024;
    snprintf(buf, SHOW_SIZE_MAX, unit > 0 && size < 9.95 ? "%.1f%c" : "%.0f%c", size, units[unit]);
    return buf;
}

const char *show_time(int64_t duration, char *buf)
{
    return duration > 0 ? units_duration_short(duration, buf) : "-";
}

/* ---- status ---- */

static const struct column columns[] = {
    {"NAME", false},    {"STATE", false},     {"READY", false}, {"PID", true},   {"UPTIME", true},
    {"RESTARTS", true}, {"LAST EXIT", false}, {"MEMORY", true}, {"NOTE", false},
};

static const char *ready_word(const struct record *r)
{
    return record_flag(r, "ready") ? "yes" : record_flag(r, "wanted") ? "no" : "-";
}

/* Of one that was started again tend tells the last end as a death alone. */
static const struct record *last_end(const struct record *service, const struct reply *deaths)
{
    const char *name = record_text(service, "name");

    if (record_get(service, "exit") || record_get(service, "killed_by"))
        return service;
    for (size_t i = deaths->n; i-- > 0;)
        if (strcmp(record_text(deaths->at[i], "service"), name) == 0 &&
            strcmp(record_text(deaths->at[i], "process"), "main") == 0)
            return deaths->at[i];
    return service;
}

/* says: whether the note is the place for what it says of itself. */
static void put_row(struct table *t, const struct record *r, const struct record *end,
                    int64_t memory, bool says)
{
    char time[UNITS_DURATION_MAX], size[SHOW_SIZE_MAX], last[64] = "", note[LINE_MAX_SIZE] = "";
    struct text last_text = {last, 0, sizeof last}, note_text = {note, 0, sizeof note};
    enum paint paint = words_paint(r);

    words_end_short(&last_text, end);
    words_note(&note_text, r);
    if (says && record_get(r, "status")) {
        text_put(&note_text, "%s", *note ? ", " : "");
        words_status(&note_text, r);
    }
    table_put(t, PAINT_NONE, "%s", record_text(r, "name"));
    table_put(t, paint, "%s", record_text(r, "state"));
    table_put(t, PAINT_NONE, "%s", ready_word(r));
    table_put(t, PAINT_NONE, "%s", record_get(r, "pid") ? record_get(r, "pid") : "-");
    table_put(t, PAINT_NONE, "%s", show_time(record_number(r, "up"), time));
    table_put(t, PAINT_NONE, "%lld", (long long)record_number(r, "restarts"));
    table_put(t, PAINT_NONE, "%s", *last ? last : "-");
    table_put(t, PAINT_NONE, "%s", show_size(memory, size));
    table_put(t, PAINT_NONE, "%s", note);
}

static size_t count_state(struct record *const *services, size_t n, const char *state)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++) {
        enum paint paint = words_paint(services[i]);
        const char *word = record_text(services[i], "state");
        if (paint == PAINT_GOOD)
            word = "ready";
        else if (paint == PAINT_BAD && strcmp(word, "running") == 0)
            word = "unhealthy";
        found += strcmp(word, state) == 0;
    }
    return found;
}

/* "5 services: 3 ready, 1 backoff, 1 failed", broken where the terminal ends. */
static void put_summary(const struct client *c, struct record *const *services, size_t n)
{
    static const char *const states[] = {"ready",    "unhealthy", "done",     "running",
                                         "starting", "pending",   "stopping", "killing",
                                         "backoff",  "stuck",     "failed",   "down"};
    size_t used = (size_t)printf("%zu services", n);
    const char *before = ": ";

    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        size_t found = count_state(services, n, states[i]);
        char one[64];
        int length = snprintf(one, sizeof one, "%zu %s", found, states[i]);
        if (!found)
            continue;
        used += strlen(before) + (size_t)length;
        if (c->width && used + 1 > c->width) { /* with the comma behind it */
            before = ",\n  ";
            used = 2 + (size_t)length;
        }
        printf("%s%s", before, one);
        before = ", ";
    }
    putchar('\n');
}

static void put_detail(const char *title, const char *text)
{
    if (*text)
        printf("  %s: %s\n", title, text);
}

/* Of a single one there is room for all that it says and answers. */
static void put_details(const struct record *r)
{
    char health[LINE_MAX_SIZE] = "", ready[LINE_MAX_SIZE] = "", time[UNITS_DURATION_MAX];
    struct text health_text = {health, 0, sizeof health}, ready_text = {ready, 0, sizeof ready};
    int64_t error = record_number(r, "notify_errno"), watchdog = record_number(r, "watchdog");

    words_health(&health_text, r);
    if (strcmp(record_text(r, "state"), "starting") == 0)
        words_ready_on(&ready_text, r);
    put_detail("status", record_text(r, "status"));
    put_detail("error", error > 0 ? strerror((int)error) : "");
    put_detail("waits for", ready);
    put_detail("health", *health ? health : record_text(r, "health"));
    put_detail("watchdog", watchdog > 0 ? units_duration_short(watchdog, time) : "");
}

static void print_table(struct client *c, struct record *const *services, size_t n,
                        const int64_t *memory)
{
    struct reply deaths;
    struct table t = {.columns = columns, .n_columns = ARRAY_SIZE(columns), .folds = true};

    session_ask(c, "history", c->names, c->n_names);
    session_reply(c, &deaths); /* an error: one of them is gone by now */
    table_titles(&t);
    for (size_t i = 0; i < n; i++)
        put_row(&t, services[i], last_end(services[i], &deaths), memory[i], n > 1);
    reply_free(&deaths);
    if (n > 0)
        show_table(c, &t);
    if (n == 1)
        put_details(services[0]);
    else
        put_summary(c, services, n);
    table_free(&t);
}

static void print_json(struct client *c, struct record *const *services, size_t n,
                       const int64_t *memory)
{
    client_list(c, "services");
    for (size_t i = 0; i < n; i++) {
        json_t *service = client_must(c, json_record(services[i], json_service));
        client_put(c, service, "memory_bytes",
                   memory[i] < 0 ? json_null() : json_integer(memory[i]));
        client_append(c, "services", service);
    }
}

/* /proc shows the processes that tend speaks of only where both count them alike. */
static bool same_pids(const struct client *c)
{
    return c->connection.peer != 0 && c->connection.peer == record_number(c->greeting, "pid");
}

int show_status(struct client *c)
{
    enum client_status status = CLIENT_DONE;
    struct reply r;
    int64_t *memory;
    size_t n;

    session_open(c);
    session_get(c, &r, "status", c->names, c->n_names);
    n = show_sort_services(&r);
    memory = client_must(c, calloc(n + 1, sizeof *memory));
    memory_of(r.at, same_pids(c) ? n : 0, c->connection.peer, memory);
    for (size_t i = 0; !same_pids(c) && i < n; i++)
        memory[i] = -1;
    if (c->json)
        print_json(c, r.at, n, memory);
    else
        print_table(c, r.at, n, memory);
    for (size_t i = 0; c->n_names && i < n; i++)
        if (!words_is_there(r.at[i]))
            status = CLIENT_NOT_READY;
    free(memory);
    reply_free(&r);
    return (int)status;
}

/* ---- ready, names, version ---- */

int show_ready(struct client *c)
{
    struct reply r;
    bool ready;

    session_open(c);
    session_get(c, &r, "ready", c->names, c->n_names);
    show_sort_services(&r);
    ready = record_flag(r.end, "ready");
    show_services(c, &r);
    if (c->json) {
        client_put(c, c->document, "ready", json_boolean(ready));
        client_put(c, c->document, "count", json_integer(record_number(r.end, "count")));
        client_put(c, c->document, "of", json_integer(record_number(r.end, "of")));
    } else {
        printf("%lld of %lld ready\n", (long long)record_number(r.end, "count"),
               (long long)record_number(r.end, "of"));
    }
    reply_free(&r);
    return ready ? CLIENT_DONE : CLIENT_NOT_COME;
}

int show_names(struct client *c)
{
    struct reply r;
    size_t n;

    session_open(c);
    session_get(c, &r, "status", NULL, 0);
    n = show_sort_services(&r);
    if (c->json)
        client_list(c, "names");
    for (size_t i = 0; i < n; i++)
        if (c->json)
            client_append(c, "names", json_string(record_text(r.at[i], "name")));
        else
            puts(record_text(r.at[i], "name"));
    reply_free(&r);
    return CLIENT_DONE;
}

static void print_tend(struct client *c, bool found)
{
    const struct record *g = c->greeting;

    if (found)
        printf("tend %s, pid %s, protocol %s, %s rights, at %s\n", record_text(g, "version"),
               record_text(g, "pid"), record_text(g, "protocol"), record_text(g, "rights"),
               c->directory);
    else
        printf("no tend answers at %s\n", c->directory);
}

int show_version(struct client *c)
{
    bool found = session_try(c);
    json_t *tend;

    if (!c->json) {
        puts("tendctl " TEND_VERSION);
        print_tend(c, found);
        return CLIENT_DONE;
    }
    client_put(c, c->document, "tendctl", json_string(TEND_VERSION));
    client_put(c, c->document, "directory", json_any_string(c->directory, strlen(c->directory)));
    tend = found ? client_must(c, json_record(c->greeting, json_greeting)) : json_null();
    client_put(c, c->document, "tend", tend);
    return CLIENT_DONE;
}
