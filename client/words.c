#include "client/words.h"

#include <string.h>

#include "tend/units.h"

static bool is(const struct record *r, const char *key, const char *value)
{
    return strcmp(record_text(r, key), value) == 0;
}

void words_time(struct text *t, const char *before, int64_t duration)
{
    char buf[UNITS_DURATION_MAX];

    if (duration > 0)
        text_put(t, "%s%s", before, units_duration_short(duration, buf));
}

void words_put(struct text *t, const char *text)
{
    size_t n = strlen(text), room = t->size - t->n - 1;

    if (n > room)
        for (n = room; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
            n--;
    text_put(t, "%.*s", (int)n, text);
}

typedef void part(struct text *, const struct record *);

/* With a comma between those that are not empty. */
static void join(struct text *t, const struct record *r, part *const *parts, size_t n)
{
    bool first = true;

    for (size_t i = 0; i < n; i++) {
        char buf[512] = "";
        struct text one = {buf, 0, sizeof buf};
        parts[i](&one, r);
        if (one.n == 0)
            continue;
        text_put(t, "%s", first ? "" : ", ");
        words_put(t, buf);
        first = false;
    }
}

/* ---- states ---- */

bool words_is_unhealthy(const struct record *r)
{
    return is(r, "health", "unhealthy");
}

bool words_is_there(const struct record *r)
{
    return !words_is_unhealthy(r) && (record_flag(r, "ready") || is(r, "state", "done"));
}

enum paint words_paint(const struct record *r)
{
    static const struct {
        const char *state;
        enum paint paint;
    } paints[] = {
        {"down", PAINT_DIM}, {"failed", PAINT_BAD}, {"stuck", PAINT_BAD}, {"done", PAINT_NONE}};

    if (words_is_unhealthy(r) && is(r, "state", "running"))
        return PAINT_BAD;
    if (record_flag(r, "ready") && (is(r, "state", "running") || is(r, "state", "done")))
        return PAINT_GOOD;
    for (size_t i = 0; i < ARRAY_SIZE(paints); i++)
        if (is(r, "state", paints[i].state))
            return paints[i].paint;
    return record_flag(r, "in_vain") ? PAINT_BAD : PAINT_MOVING;
}

/* ---- ends ---- */

void words_end(struct text *t, const struct record *r)
{
    const char *exit = record_get(r, "exit"), *signal = record_get(r, "killed_by");
    int64_t error = record_number(r, "errno");

    if (error > 0) {
        text_put(t, "%s%s%s", record_text(r, "step"), record_get(r, "step") ? ": " : "",
                 strerror((int)error));
    } else if (signal) {
        text_put(t, "%s%s%s", strncmp(signal, "signal ", 7) ? "signal " : "", signal,
                 record_flag(r, "oom")    ? " (out of memory)"
                 : record_flag(r, "core") ? " (core dumped)"
                                          : "");
    } else if (exit) {
        if (strcmp(exit, "lost") == 0)
            text_put(t, "gone, status unknown");
        else
            text_put(t, "exit %s", exit);
    }
}

void words_end_short(struct text *t, const struct record *r)
{
    const char *exit = record_get(r, "exit"), *signal = record_get(r, "killed_by"), *name;
    int64_t error = record_number(r, "errno");

    if (error > 0) {
        name = strerrorname_np((int)error);
        text_put(t, "%s", name ? name : "error");
    } else if (signal) {
        text_put(t, "%s%s", signal,
                 record_flag(r, "oom")    ? " oom"
                 : record_flag(r, "core") ? " core"
                                          : "");
    } else if (exit) {
        text_put(t, strcmp(exit, "lost") == 0 ? "%s" : "exit %s", exit);
    }
}

void words_cause(struct text *t, const struct record *r)
{
    static const char *const causes[][2] = {
        {"request", "by request"},
        {"removed", "removed from the config"},
        {"restart", "to be restarted"},
        {"requirement", "what it requires went"},
        {"exit", "it ended"},
        {"exec", "it could not be executed"},
        {"fork", "no process could be made"},
        {"before_start", "before_start did not succeed"},
        {"timeout", "not ready in time"},
        {"fault", "unhealthy"},
        {"watchdog", "its watchdog expired"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(causes); i++) {
        if (is(r, "cause", causes[i][0])) {
            text_put(t, "%s", causes[i][1]);
            return;
        }
    }
    text_put(t, "%s", record_text(r, "cause"));
}

void words_reason(struct text *t, const struct record *r)
{
    if (is(r, "cause", "timeout") || is(r, "cause", "fault") || is(r, "cause", "watchdog")) {
        words_cause(t, r);
        return;
    }
    if (is(r, "cause", "before_start"))
        text_put(t, "before_start: ");
    words_end(t, r);
}

/* ---- what it says, and what it answers ---- */

static void put_failures(struct text *t, const struct record *r)
{
    int64_t failures = record_number(r, "health_failures");

    if (failures > 1)
        text_put(t, " (%lld in a row)", (long long)failures);
}

void words_health(struct text *t, const struct record *r)
{
    const char *fault = record_get(r, "health_fault");

    if (words_is_unhealthy(r))
        text_put(t, "unhealthy");
    else if (is(r, "health", "failing"))
        text_put(t, "probe failed");
    else
        return;
    if (fault) {
        text_put(t, ": ");
        words_put(t, fault);
    }
    put_failures(t, r);
}

void words_status(struct text *t, const struct record *r)
{
    if (!record_get(r, "status"))
        return;
    text_put(t, "says: ");
    words_put(t, record_text(r, "status"));
}

void words_ready_on(struct text *t, const struct record *r)
{
    static const char *const waits[][3] = {
        {"notify", "its READY=1", NULL},
        {"fd", "a newline on its descriptor ", "ready_fd"},
        {"tcp", "a connection to ", "ready_at"},
        {"unix", "a connection to ", "ready_at"},
        {"command", "its ready.command to succeed", NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
        if (!is(r, "ready_on", waits[i][0]))
            continue;
        text_put(t, "%s", waits[i][1]);
        if (waits[i][2])
            words_put(t, record_text(r, waits[i][2]));
    }
}

/* ---- notes ---- */

static void put_wait(struct text *t, const struct record *r)
{
    const char *other = record_get(r, "waits_for");

    if (!other)
        return;
    if (is(r, "state", "pending"))
        text_put(t, "waits for %s%s", is(r, "name", other) ? "the old one to end" : other,
                 record_flag(r, "in_vain") ? ", in vain" : "");
    else
        text_put(t, "to be stopped after %s", other);
}

static void put_next(struct text *t, const struct record *r)
{
    int64_t next = record_number(r, "next");

    if (is(r, "state", "backoff"))
        words_time(t, "next try in ", next);
    else if (is(r, "state", "starting"))
        words_time(t, "ready within ", next);
    else if (is(r, "state", "stopping"))
        words_time(t, "next step in ", next);
    else if (is(r, "state", "killing"))
        words_time(t, "given up in ", next);
}

static void put_limit(struct text *t, const struct record *r)
{
    int64_t limit = record_number(r, "limit");

    if (!limit)
        return;
    text_put(t, "gave up after %lld %s", (long long)limit, limit == 1 ? "start" : "starts");
    words_time(t, " in ", record_number(r, "window"));
}

static void put_effect(struct text *t, const struct record *r)
{
    int64_t members = record_number(r, "members");

    if (is(r, "state", "stuck"))
        text_put(t, "KILL has no effect");
    else if (members && (is(r, "state", "stopping") || is(r, "state", "killing")))
        text_put(t, "%lld more %s", (long long)members, members == 1 ? "process" : "processes");
}

static void put_reloading(struct text *t, const struct record *r)
{
    if (record_flag(r, "reloading"))
        text_put(t, "reloading");
}

static void put_plans(struct text *t, const struct record *r)
{
    if (record_flag(r, "again") && !is(r, "state", "pending") && !record_get(r, "waits_for"))
        text_put(t, "to be restarted");
}

static void put_changed(struct text *t, const struct record *r)
{
    if (record_flag(r, "changed"))
        text_put(t, "new config at the next start");
}

void words_note(struct text *t, const struct record *r)
{
    static part *const parts[] = {put_effect, words_health, put_wait,    put_next,
                                  put_limit,  put_plans,    put_changed, put_reloading};

    join(t, r, parts, ARRAY_SIZE(parts));
}

/* ---- one line ---- */

static void put_state(struct text *t, const struct record *r)
{
    bool unready = is(r, "state", "running") && !record_flag(r, "ready");

    text_put(t, "%s%s", record_text(r, "state"), unready ? ", not ready" : "");
}

static void put_pid(struct text *t, const struct record *r)
{
    if (record_get(r, "pid"))
        text_put(t, "pid %s", record_text(r, "pid"));
}

/* Of a life that is over and explains the state. */
static void put_last_end(struct text *t, const struct record *r)
{
    if (is(r, "state", "backoff") || is(r, "state", "failed"))
        words_reason(t, r);
    else if (is(r, "state", "done"))
        words_end(t, r);
}

void words_service(struct text *t, const struct record *r)
{
    static part *const parts[] = {put_state, put_pid, put_last_end, words_note, words_status};

    join(t, r, parts, ARRAY_SIZE(parts));
}
