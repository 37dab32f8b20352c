/* why: a few sentences from the records of a reply. */
#include <stdlib.h>
#include <string.h>

#include "client/show.h"
#include "client/words.h"

enum { LINE_ROOM = 1024 };

static bool is(const struct record *r, const char *key, const char *value)
{
    return strcmp(record_text(r, key), value) == 0;
}

static void say_fault(struct text *t, const struct record *r, const char *before)
{
    const char *fault = record_get(r, "health_fault");

    if (!fault)
        return;
    text_put(t, "%s", before);
    words_put(t, fault);
}

/* What it answers to probes, and says of itself. */
static void say_condition(struct text *t, const struct record *r)
{
    int64_t failures = record_number(r, "health_failures"),
            error = record_number(r, "notify_errno");

    if (failures > 0 || words_is_unhealthy(r)) {
        text_put(t, " %s: ", words_is_unhealthy(r) ? "It is unhealthy" : "It may be unhealthy");
        if (failures > 1)
            text_put(t, "its last %lld probes failed", (long long)failures);
        else
            text_put(t, "its last probe failed");
        say_fault(t, r, failures > 1 ? ", the last: " : ": ");
        text_put(t, ".");
    }
    if (record_flag(r, "reloading"))
        text_put(t, " It reads its config again.");
    if (error > 0)
        text_put(t, " It tells of an error: %s.", strerror((int)error));
}

/* In a line of its own, as it may be of any length and words. */
static void say_status(const struct record *r)
{
    const char *status = record_get(r, "status");

    if (status)
        printf("It says: %s\n", status);
}

/* ---- the sentences, one for each state ---- */

static void say_pending(struct text *t, const struct record *r)
{
    const char *other = record_get(r, "waits_for");

    text_put(t, "%s is pending", record_text(r, "name"));
    words_time(t, " for ", record_number(r, "for"));
    if (!other)
        text_put(t, ": it is about to be started.");
    else if (is(r, "name", other))
        text_put(t, ": it waits for the one before it, of the same name, to end.");
    else if (record_flag(r, "in_vain"))
        text_put(t, ": it waits for %s, which will not become ready by itself.", other);
    else
        text_put(t, ": it waits for %s.", other);
}

static void say_held(struct text *t, const struct record *r)
{
    const char *other = record_get(r, "waits_for");

    if (other)
        text_put(t, " It is to be %s, and waits for the end of %s.",
                 record_flag(r, "again") ? "restarted" : "stopped", other);
    else if (record_flag(r, "again"))
        text_put(t, " It is to be restarted.");
}

static void say_ready_on(struct text *t, const struct record *r)
{
    char buf[512] = "";
    struct text what = {buf, 0, sizeof buf};

    words_ready_on(&what, r);
    if (!what.n || is(r, "process", "before_start"))
        return;
    text_put(t, " It is not ready: it waits for ");
    words_put(t, buf);
    say_fault(t, r, "; the last try: ");
    text_put(t, ".");
}

static void say_starting(struct text *t, const struct record *r)
{
    text_put(t, "%s is starting", record_text(r, "name"));
    words_time(t, " for ", record_number(r, "for"));
    if (is(r, "process", "before_start"))
        text_put(t, ", with before_start first");
    if (record_get(r, "pid"))
        text_put(t, ", pid %s", record_text(r, "pid"));
    words_time(t, "; it must be ready within ", record_number(r, "next"));
    text_put(t, ".");
    say_ready_on(t, r);
    say_held(t, r);
}

static void say_running(struct text *t, const struct record *r)
{
    text_put(t, "%s is running%s, pid %s", record_text(r, "name"),
             record_flag(r, "ready") ? " and ready" : ", but not ready", record_text(r, "pid"));
    words_time(t, ", for ", record_number(r, "up"));
    text_put(t, ".");
    say_held(t, r);
}

static void say_done(struct text *t, const struct record *r)
{
    text_put(t, "%s is done: ", record_text(r, "name"));
    words_end(t, r);
    words_time(t, " ", record_number(r, "for"));
    text_put(t, record_number(r, "for") ? " ago." : ".");
    say_held(t, r);
}

static void say_stopping(struct text *t, const struct record *r)
{
    text_put(t, "%s is stopping", record_text(r, "name"));
    words_time(t, " for ", record_number(r, "for"));
    if (is(r, "cause", "exit") && record_get(r, "pid")) {
        text_put(t, " (by itself)");
    } else if (record_get(r, "cause")) {
        text_put(t, " (");
        words_cause(t, r);
        text_put(t, ")");
    }
    words_time(t, "; the next step comes in ", record_number(r, "next"));
    text_put(t, ".");
    if (record_flag(r, "again") || (record_flag(r, "wanted") && is(r, "cause", "restart")))
        text_put(t, " It will be started again.");
}

static void say_killing(struct text *t, const struct record *r)
{
    text_put(t, "%s does not end by itself: KILL was sent", record_text(r, "name"));
    words_time(t, " ", record_number(r, "for"));
    text_put(t, record_number(r, "for") ? " ago" : "");
    words_time(t, "; it is given up in ", record_number(r, "next"));
    text_put(t, ".");
}

static void say_stuck(struct text *t, const struct record *r)
{
    text_put(t, "%s is stuck", record_text(r, "name"));
    words_time(t, " for ", record_number(r, "for"));
    text_put(t, ": KILL has no effect on its processes.");
}

static void say_backoff(struct text *t, const struct record *r)
{
    int64_t failures = record_number(r, "failures");

    text_put(t, "%s is in backoff: ", record_text(r, "name"));
    words_reason(t, r);
    if (failures > 1)
        text_put(t, ", %lld failures in a row", (long long)failures);
    words_time(t, ", next try in ", record_number(r, "next"));
    text_put(t, ".");
}

static void say_failed(struct text *t, const struct record *r)
{
    int64_t limit = record_number(r, "limit");

    text_put(t, "%s failed: ", record_text(r, "name"));
    words_reason(t, r);
    if (limit) {
        text_put(t, "; it gave up after %lld %s", (long long)limit,
                 limit == 1 ? "start" : "starts");
        words_time(t, " in ", record_number(r, "window"));
    }
    text_put(t, ". `tendctl start %s` tries again.", record_text(r, "name"));
}

static void say_down(struct text *t, const struct record *r)
{
    text_put(t, "%s is down", record_text(r, "name"));
    if (record_get(r, "cause") && !is(r, "cause", "exit")) {
        text_put(t, ": ");
        words_cause(t, r);
    } else if (is(r, "start", "manual")) {
        text_put(t, ": it is started by request only");
    }
    text_put(t, ". `tendctl start %s` starts it.", record_text(r, "name"));
}

static const struct {
    const char *state;
    void (*say)(struct text *, const struct record *);
} sentences[] = {
    {"down", say_down},       {"pending", say_pending}, {"starting", say_starting},
    {"running", say_running}, {"done", say_done},       {"stopping", say_stopping},
    {"killing", say_killing}, {"stuck", say_stuck},     {"backoff", say_backoff},
    {"failed", say_failed},
};

static void say_service(struct client *c, const struct record *r)
{
    char buf[LINE_ROOM] = "";
    struct text t = {buf, 0, sizeof buf};
    enum paint paint = words_paint(r);

    for (size_t i = 0; i < ARRAY_SIZE(sentences); i++)
        if (is(r, "state", sentences[i].state))
            sentences[i].say(&t, r);
    if (!t.n)
        text_put(&t, "%s: %s.", record_text(r, "name"), record_text(r, "state"));
    if (record_flag(r, "changed"))
        text_put(&t, " A new config of it waits for its next start.");
    say_condition(&t, r);
    paint_begin(stdout, paint, c->colored);
    fputs(buf, stdout);
    paint_end(stdout, paint, c->colored);
    putchar('\n');
    say_status(r);
}

/* ---- what holds it up, and how it ended ---- */

static void say_process(const struct record *r)
{
    const char *where = record_get(r, "where");

    printf("  pid %s (%s) of %s, state %s%s%s\n", record_text(r, "pid"), record_text(r, "command"),
           record_text(r, "service"), record_text(r, "state"), where ? ", in " : "",
           where ? where : "");
}

/* Of a life that tend had to end since something was wrong: what. */
static void put_fault(struct text *t, const struct record *r)
{
    if (!is(r, "cause", "timeout") && !is(r, "cause", "fault") && !is(r, "cause", "watchdog"))
        return;
    text_put(t, " (");
    words_cause(t, r);
    text_put(t, ")");
}

static void say_death(struct client *c, const struct record *r)
{
    char end[256] = "", ran[64] = "", ago[64] = "", fault[64] = "";
    struct text end_text = {end, 0, sizeof end}, ran_text = {ran, 0, sizeof ran},
                ago_text = {ago, 0, sizeof ago}, fault_text = {fault, 0, sizeof fault};

    words_end(&end_text, r);
    words_time(&ran_text, " after ", record_number(r, "ran"));
    words_time(&ago_text, "", connection_now() + c->clock_ahead - record_number(r, "at"));
    put_fault(&fault_text, r);
    printf("The last life of %s ended %s%s%s%s%s%s.\n", record_text(r, "service"),
           *ago ? ago : "now", *ago ? " ago: " : ": ", end, ran,
           record_flag(r, "killed") ? ", by KILL" : "", fault);
}

static void print_json(struct client *c, const struct reply *r)
{
    client_list(c, "services");
    client_list(c, "processes");
    client_put(c, c->document, "death", json_null());
    for (size_t i = 0; i < r->n; i++) {
        if (record_is(r->at[i], "service"))
            client_append(c, "services", json_record(r->at[i], json_service));
        else if (record_is(r->at[i], "process"))
            client_append(c, "processes", json_record(r->at[i], json_process));
        else if (record_is(r->at[i], "death"))
            client_put(c, c->document, "death", show_dated(c, r->at[i], json_death));
    }
}

int show_why(struct client *c)
{
    struct reply r;

    session_open(c);
    session_get(c, &r, "why", c->names, c->n_names);
    if (c->json)
        print_json(c, &r);
    for (size_t i = 0; !c->json && i < r.n; i++) {
        if (record_is(r.at[i], "service"))
            say_service(c, r.at[i]);
        else if (record_is(r.at[i], "process"))
            say_process(r.at[i]);
        else if (record_is(r.at[i], "death"))
            say_death(c, r.at[i]);
    }
    reply_free(&r);
    return CLIENT_DONE;
}
