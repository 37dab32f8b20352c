/* An event in the words of the log (supervisor/history.c), from its fields alone. */
#include <string.h>

#include "client/words.h"

static bool is(const struct record *r, const char *key, const char *value)
{
    return strcmp(record_text(r, key), value) == 0;
}

static bool was_stopping(const struct record *r)
{
    return is(r, "from", "stopping") || is(r, "from", "killing") || is(r, "from", "stuck");
}

static void put_pid(struct text *t, const struct record *r)
{
    if (record_get(r, "pid"))
        text_put(t, ", pid %s", record_text(r, "pid"));
}

/* Nothing for the main process. */
static void put_process(struct text *t, const struct record *r)
{
    if (is(r, "process", "before_start"))
        text_put(t, "before_start: ");
    else if (is(r, "process", "stop_command"))
        text_put(t, "stop command: ");
    else if (is(r, "process", "reload_command"))
        text_put(t, "reload command: ");
}

static void put_error(struct text *t, const struct record *r)
{
    int64_t error = record_number(r, "errno");

    if (record_get(r, "what") && is(r, "step", "exec"))
        text_put(t, "could not execute \"%s\": %s", record_text(r, "what"), strerror((int)error));
    else
        text_put(t, "could not start: %s%s%s", record_text(r, "step"),
                 record_get(r, "step") ? ": " : "", strerror((int)error));
}

/* ---- changes of state ---- */

static void put_down(struct text *t, const struct record *r)
{
    text_put(t, "down");
    if (was_stopping(r) && !is(r, "cause", "exit"))
        words_time(t, " after ", record_number(r, "age"));
}

static void put_pending(struct text *t, const struct record *r)
{
    if (is(r, "process", "before_start") && was_stopping(r)) {
        text_put(t, "before_start done");
        words_time(t, " after ", record_number(r, "age"));
    } else if (record_get(r, "what")) {
        text_put(t, "failed: needs %s", record_text(r, "what"));
    } else if (was_stopping(r)) {
        put_down(t, r);
        text_put(t, ", to start again");
    } else {
        text_put(t, is(r, "from", "backoff") ? "next try" : "to start");
    }
}

static void put_starting(struct text *t, const struct record *r)
{
    text_put(t, is(r, "process", "before_start") ? "starting, before_start first" : "starting");
    put_pid(t, r);
}

static void put_running(struct text *t, const struct record *r)
{
    text_put(t, "ready");
    words_time(t, " after ", record_number(r, "age"));
    put_pid(t, r);
}

static void put_done(struct text *t, const struct record *r)
{
    text_put(t, "done: ");
    words_end(t, r);
    words_time(t, " after ", record_number(r, "age"));
}

static void put_stopping(struct text *t, const struct record *r)
{
    if (is(r, "cause", "exec")) {
        put_process(t, r);
        put_error(t, r);
    } else if (!is(r, "cause", "exit")) {
        text_put(t, "stopping (");
        words_cause(t, r);
        text_put(t, ")");
    } else {
        put_process(t, r);
        words_end(t, r);
        words_time(t, " after ", record_number(r, "age"));
    }
}

static void put_killing(struct text *t, const struct record *r)
{
    if (is(r, "event", "deadline")) {
        text_put(t, "not gone");
        words_time(t, " after ", record_number(r, "age"));
    } else {
        text_put(t, is(r, "event", "exited") ? "what it left behind goes" : "hurry");
    }
    text_put(t, ": KILL");
}

static void put_count(struct text *t, const struct record *r, const char *one, const char *more)
{
    int64_t n = record_number(r, "count");

    text_put(t, "%lld %s", (long long)n, n == 1 ? one : more);
}

static void put_stuck(struct text *t, const struct record *r)
{
    text_put(t, "KILL has no effect on ");
    put_count(t, r, "process", "processes");
}

static void put_backoff(struct text *t, const struct record *r)
{
    int64_t tries = record_number(r, "tries"), next = record_number(r, "next");

    if (is(r, "cause", "fork")) {
        put_error(t, r);
        text_put(t, ", ");
    }
    text_put(t, next > 0 ? "next try" : "next try at once");
    words_time(t, " in ", next);
    if (tries > 1 && !is(r, "cause", "fork"))
        text_put(t, " (%lld in a row)", (long long)tries);
}

static void put_failed(struct text *t, const struct record *r)
{
    text_put(t, "failed: ");
    words_reason(t, r);
    if (record_number(r, "count")) {
        text_put(t, ", gave up after ");
        put_count(t, r, "start", "starts");
        words_time(t, " in ", record_number(r, "next"));
    }
}

static const struct {
    const char *state;
    void (*put)(struct text *, const struct record *);
} states[] = {
    {"down", put_down},       {"pending", put_pending}, {"starting", put_starting},
    {"running", put_running}, {"done", put_done},       {"stopping", put_stopping},
    {"killing", put_killing}, {"stuck", put_stuck},     {"backoff", put_backoff},
    {"failed", put_failed},
};

static void put_state(struct text *t, const struct record *r)
{
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        if (is(r, "to", states[i].state)) {
            states[i].put(t, r);
            return;
        }
    }
    text_put(t, "%s -> %s", record_text(r, "from"), record_text(r, "to"));
}

/* ---- the others ---- */

static void put_forked(struct text *t, const struct record *r)
{
    put_process(t, r);
    text_put(t, "pid %s", record_text(r, "pid"));
}

static void put_signal(struct text *t, const struct record *r)
{
    bool group = record_flag(r, "group");

    text_put(t, "signal %s to ", record_text(r, "signal"));
    if (record_get(r, "pid")) {
        text_put(t, "%s %s", group ? "group" : "pid", record_text(r, "pid"));
        if (record_get(r, "count"))
            text_put(t, " and %s more", record_text(r, "count"));
    } else if (record_get(r, "count")) {
        put_count(t, r, "process", "processes");
    } else {
        text_put(t, "all");
    }
}

static void put_exit(struct text *t, const struct record *r)
{
    put_process(t, r);
    if (record_number(r, "errno"))
        put_error(t, r);
    else
        words_end(t, r);
}

static void put_stray(struct text *t, const struct record *r)
{
    put_count(t, r, "process", "processes");
    text_put(t, " of no service ended");
}

static void put_shutdown(struct text *t, const struct record *r)
{
    text_put(t, record_get(r, "age") ? "shutdown complete" : "shutting down");
    words_time(t, " after ", record_number(r, "age"));
}

static void put_death(struct text *t, const struct record *r)
{
    put_process(t, r);
    words_end(t, r);
    words_time(t, " after ", record_number(r, "ran"));
}

static const struct {
    const char *kind;
    void (*put)(struct text *, const struct record *);
} kinds[] = {
    {"state", put_state}, {"forked", put_forked},     {"signal", put_signal}, {"exit", put_exit},
    {"stray", put_stray}, {"shutdown", put_shutdown}, {"death", put_death},
};

void words_event(struct text *t, const struct record *r)
{
    const char *kind = record_text(r, "kind");

    text_put(t, "%s: ", record_get(r, "service") ? record_text(r, "service") : "tend");
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (strcmp(kind, kinds[i].kind) == 0) {
            kinds[i].put(t, r);
            return;
        }
    }
    text_put(t, "%s", kind);
}
