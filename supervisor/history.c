#include "tend/history.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tend/text.h"
#include "tend/units.h"

/* ---- the ring ---- */

const struct history_record *history_add(struct history *h, const struct history_record *r)
{
    struct history_record *at = &h->at[h->last % HISTORY_ROOM];

    *at = *r;
    at->sequence = ++h->last;
    return at;
}

const struct history_record *history_next(const struct history *h, uint64_t after, uint64_t *missed)
{
    uint64_t oldest = h->last > HISTORY_ROOM ? h->last - HISTORY_ROOM : 0;

    *missed = after < oldest ? oldest - after : 0;
    if (after >= h->last)
        return NULL;
    return &h->at[(after < oldest ? oldest : after) % HISTORY_ROOM];
}

/* ---- from the engine ---- */

/* Of a path too long its end, which tells the most. */
static void set_what(struct history_record *r, const struct service *s)
{
    const char *path = s->preparing ? s->conf->before_start[0] : s->conf->command[0];
    size_t n = strlen(path);

    if (n < sizeof r->what)
        memcpy(r->what, path, n + 1);
    else
        snprintf(r->what, sizeof r->what, "...%s", path + n - (sizeof r->what - 4));
}

/* How long what came to an end with this change had lasted: a stop, or a life or the start of one.
 */
static msec age_of(const struct engine_change *c)
{
    const struct service *s = c->service;
    msec stop = service_state_is_ending(c->from) ? c->now - s->stop_began : 0;

    switch (c->to) {
    case SERVICE_RUNNING:
    case SERVICE_STOPPING:
        return c->now - s->started;
    case SERVICE_DONE:
        return s->stop_began - s->started;
    case SERVICE_PENDING:
        return s->prepared ? s->stop_began - s->started : stop;
    case SERVICE_DOWN:
    case SERVICE_STARTING:
    case SERVICE_KILLING:
    case SERVICE_STUCK:
    case SERVICE_BACKOFF:
    case SERVICE_FAILED:
    case SERVICE_STATE_COUNT:
        break;
    }
    return stop;
}

/* Too many starts are the reason only where the policy would have had it go on. */
static void set_limit(struct history_record *r, const struct conf *c)
{
    if (c->restart.policy == CONF_NEVER_AGAIN)
        return;
    r->count = (unsigned)c->restart.limit;
    r->next = c->restart.window;
}

/* What a pending service needs and will not get by itself: told without a change of state. */
static void set_need(struct history_record *r, const struct service *s)
{
    bool failed;
    const struct service *blocker = graph_blocker(s, &failed);

    if (blocker && failed)
        snprintf(r->what, sizeof r->what, "%s", service_name(blocker));
}

/* Pending again because before_start has done its part, not because it was given up. */
static uint8_t process_of(const struct engine_change *c)
{
    const struct service *s = c->service;
    bool before = c->to == SERVICE_PENDING ? s->prepared : s->preparing;

    return before ? HISTORY_BEFORE : HISTORY_MAIN;
}

struct history_record history_from_change(const struct engine_change *c)
{
    const struct service *s = c->service;
    struct history_record r = {.at = c->now,
                               .kind = HISTORY_STATE,
                               .from = (uint8_t)c->from,
                               .to = (uint8_t)c->to,
                               .event = (uint8_t)c->event,
                               .cause = (uint8_t)s->cause,
                               .process = process_of(c),
                               .pid = s->pid,
                               .exit = s->last_exit,
                               .error = s->error,
                               .error_step = s->error_step,
                               .tries = s->tries.failures,
                               .age = age_of(c)};

    snprintf(r.name, sizeof r.name, "%s", service_name(s));
    if (r.age < 0)
        r.age = 0; /* a fork is dated by the end of its millisecond */
    if (c->to == SERVICE_STOPPING && r.error)
        set_what(&r, s);
    if (c->to == SERVICE_BACKOFF)
        r.next = s->deadline - c->now;
    if (c->to == SERVICE_FAILED)
        set_limit(&r, s->conf);
    if (c->to == SERVICE_PENDING && c->from == SERVICE_PENDING)
        set_need(&r, s);
    if (c->to == SERVICE_STUCK)
        r.count = s->members + (s->pid != 0) + (s->command != 0);
    return r;
}

void history_set_what(struct history_record *r, const char *text)
{
    size_t n = strnlen(text, sizeof r->what);

    if (n == sizeof r->what)
        for (n--; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
            n--;
    memcpy(r->what, text, n);
    r->what[n] = '\0';
}

/* ---- for people ---- */

static void put_duration(struct text *t, const char *before, msec duration)
{
    char buf[UNITS_DURATION_MAX];

    text_put(t, "%s%s", before, units_duration_short(duration, buf));
}

static void put_pid(struct text *t, const struct history_record *r)
{
    if (r->pid)
        text_put(t, ", pid %d", (int)r->pid);
}

static const char *plural(unsigned n, const char *one, const char *more)
{
    return n == 1 ? one : more;
}

/* "before_start: ", "stop command: ", nothing for the main process. */
static void put_process(struct text *t, const struct history_record *r)
{
    static const char *const names[] = {
        [HISTORY_MAIN] = "",
        [HISTORY_BEFORE] = "before_start: ",
        [HISTORY_COMMAND] = "stop command: ",
        [HISTORY_RELOAD] = "reload command: ",
        [HISTORY_PROBE] = "probe: ",
    };
    static_assert(ARRAY_SIZE(names) == HISTORY_PROCESS_COUNT, "a name for each process");

    text_put(t, "%s", names[r->process]);
}

static void put_exit(struct text *t, const struct history_record *r)
{
    char buf[EXIT_TEXT_MAX];

    text_put(t, "%s", exit_text(&r->exit, buf));
}

/* "could not execute "/x": No such file", "could not start: user: Operation not permitted". */
static void put_error(struct text *t, const struct history_record *r)
{
    if (r->what[0] && r->step && !strcmp(r->step, "exec"))
        text_put(t, "could not execute \"%s\": ", r->what);
    else
        text_put(t, "could not start: %s%s", r->step ? r->step : "", r->step ? ": " : "");
    text_put(t, "%s", strerror(r->error));
}

static void put_stopping(struct text *t, const struct history_record *r)
{
    if (r->cause == CAUSE_EXEC) {
        put_process(t, r);
        put_error(t, r);
    } else if (r->event == EVENT_LEAVING) {
        text_put(t, "stopping by itself");
    } else if (r->cause != CAUSE_EXIT) {
        text_put(t, "stopping (%s)", service_cause_text((enum service_cause)r->cause));
    } else if (r->process == HISTORY_BEFORE && (r->exit.how != EXIT_CODE || r->exit.number != 0)) {
        text_put(t, "before_start failed: ");
        put_exit(t, r);
    } else {
        put_process(t, r);
        put_exit(t, r);
        put_duration(t, " after ", r->age);
    }
}

static bool was_stopping(const struct history_record *r)
{
    return service_state_is_ending((enum service_state)r->from);
}

static void put_down(struct text *t, const struct history_record *r)
{
    text_put(t, "down");
    if (was_stopping(r) && r->cause != CAUSE_EXIT)
        put_duration(t, " after ", r->age);
}

static void put_pending(struct text *t, const struct history_record *r)
{
    if (r->process == HISTORY_BEFORE && was_stopping(r)) {
        put_duration(t, "before_start done after ", r->age);
    } else if (r->what[0]) {
        text_put(t, "failed: needs %s", r->what);
    } else if (was_stopping(r)) {
        put_down(t, r);
        text_put(t, ", to start again");
    } else {
        text_put(t, r->from == SERVICE_BACKOFF ? "next try" : "to start");
    }
}

static void put_backoff(struct text *t, const struct history_record *r)
{
    if (r->cause == CAUSE_FORK) {
        put_error(t, r);
        text_put(t, ", ");
    }
    if (r->next > 0)
        put_duration(t, "next try in ", r->next);
    else
        text_put(t, "next try at once");
    if (r->tries > 1 && r->cause != CAUSE_FORK)
        text_put(t, " (%u in a row)", r->tries);
}

static void put_killing(struct text *t, const struct history_record *r)
{
    if (r->event == EVENT_DEADLINE)
        put_duration(t, "not gone after ", r->age);
    else
        text_put(t, r->event == EVENT_EXITED ? "what it left behind goes" : "hurry");
    text_put(t, ": KILL");
}

static void put_failed(struct text *t, const struct history_record *r)
{
    text_put(t, "failed: ");
    if (r->cause == CAUSE_BEFORE)
        text_put(t, "before_start: ");
    if (r->cause == CAUSE_EXEC)
        text_put(t, "%s", strerror(r->error));
    else if (r->cause == CAUSE_EXIT || r->cause == CAUSE_BEFORE)
        put_exit(t, r);
    else
        text_put(t, "%s", service_cause_text((enum service_cause)r->cause));
    if (!r->count)
        return;
    text_put(t, ", gave up after %u %s", r->count, plural(r->count, "start", "starts"));
    put_duration(t, " in ", r->next);
}

static void put_state(struct text *t, const struct history_record *r)
{
    switch ((enum service_state)r->to) {
    case SERVICE_DOWN:
        put_down(t, r);
        break;
    case SERVICE_PENDING:
        put_pending(t, r);
        break;
    case SERVICE_STARTING:
        text_put(t, r->process == HISTORY_BEFORE ? "starting, before_start first" : "starting");
        put_pid(t, r);
        break;
    case SERVICE_RUNNING:
        text_put(t, "ready");
        if (r->age)
            put_duration(t, " after ", r->age);
        put_pid(t, r);
        break;
    case SERVICE_DONE:
        text_put(t, "done: ");
        put_exit(t, r);
        put_duration(t, " after ", r->age);
        break;
    case SERVICE_STOPPING:
        put_stopping(t, r);
        break;
    case SERVICE_KILLING:
        put_killing(t, r);
        break;
    case SERVICE_STUCK:
        text_put(t, "KILL has no effect on %u %s", r->count,
                 plural(r->count, "process", "processes"));
        break;
    case SERVICE_BACKOFF:
        put_backoff(t, r);
        break;
    case SERVICE_FAILED:
        put_failed(t, r);
        break;
    case SERVICE_STATE_COUNT:
        break;
    }
}

static void put_signal(struct text *t, const struct history_record *r)
{
    char buf[EXIT_TEXT_MAX];

    text_put(t, "%s to ",
             exit_text(&(struct service_exit){.how = EXIT_SIGNAL, .number = r->number}, buf));
    if (r->pid)
        text_put(t, "%s %d", r->group ? "group" : "pid", (int)r->pid);
    if (r->pid && r->count)
        text_put(t, " and %u more", r->count);
    else if (!r->pid && !r->count)
        text_put(t, "all");
    else if (!r->pid)
        text_put(t, "%u %s", r->count, plural(r->count, "process", "processes"));
}

static void put_forked(struct text *t, const struct history_record *r)
{
    put_process(t, r);
    text_put(t, "starting");
    put_pid(t, r);
}

static bool ended_by_itself(const struct history_record *r)
{
    return r->cause == CAUSE_EXIT || r->cause == CAUSE_EXEC || r->cause == CAUSE_BEFORE;
}

/* "exit 3, ran 2m, stopped in 30ms, killed". */
static void put_death(struct text *t, const struct history_record *r)
{
    put_process(t, r);
    if (r->error)
        put_error(t, r);
    else
        put_exit(t, r);
    if (r->pid && !r->error)
        put_duration(t, ", ran ", r->ran);
    if (r->age || (r->pid && !ended_by_itself(r)))
        put_duration(t, ", stopped in ", r->age);
    if (r->killed)
        text_put(t, ", killed");
}

static void put_config(struct text *t, const struct history_record *r)
{
    if (!strcmp(r->what, "refused"))
        text_put(t, "config refused: nothing was changed");
    else
        text_put(t, "config %s, %u %s", r->what, r->count, plural(r->count, "service", "services"));
}

static void put_event(struct text *t, const struct history_record *r)
{
    switch (r->kind) {
    case HISTORY_STATE:
        put_state(t, r);
        break;
    case HISTORY_FORKED:
        put_forked(t, r);
        break;
    case HISTORY_SIGNAL:
        put_signal(t, r);
        break;
    case HISTORY_EXIT:
        put_process(t, r);
        put_exit(t, r);
        put_pid(t, r);
        break;
    case HISTORY_STRAY:
        text_put(t, "reaped %u %s of no service", r->count, plural(r->count, "orphan", "orphans"));
        break;
    case HISTORY_SHUTDOWN:
        if (r->age)
            put_duration(t, "shutdown complete in ", r->age);
        else
            text_put(t, "shutdown begins");
        break;
    case HISTORY_CONFIG:
        put_config(t, r);
        break;
    case HISTORY_STATUS:
        text_put(t, "%s%s", r->what[0] ? "says: " : "says nothing more", r->what);
        break;
    case HISTORY_NOTIFY:
        text_put(t, "%s", r->what);
        break;
    case HISTORY_HEALTH:
        text_put(t, "%s%s", r->what[0] ? "unhealthy: " : "healthy again", r->what);
        break;
    case HISTORY_REQUEST:
        text_put(t, "asked by uid %u, pid %d: %s", (unsigned)r->number, (int)r->pid, r->what);
        break;
    case HISTORY_DEATH:
        put_death(t, r);
        break;
    case HISTORY_KIND_COUNT:
        break;
    }
}

size_t history_text(const struct history_record *r, char *buf, size_t size)
{
    struct text t = {buf, 0, size};

    if (size == 0)
        return 0;
    buf[0] = '\0';
    if (r->name[0])
        text_put(&t, "%s: ", r->name);
    put_event(&t, r);
    return t.n;
}
