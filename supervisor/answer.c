#include "tend/answer.h"

#include <assert.h>

/* ---- a service ---- */

static const char *const types[] = {[CONF_PROCESS] = "process", [CONF_ONESHOT] = "oneshot"};
static_assert(ARRAY_SIZE(types) == CONF_TYPE_COUNT, "a word for each");

static const char *const starts[] = {[CONF_AUTO] = "auto", [CONF_MANUAL] = "manual"};
static_assert(ARRAY_SIZE(starts) == CONF_START_COUNT, "a word for each");

/* Where being ready is more than to be executed, or to have ended. */
static const char *const ready_words[] = {
    [CONF_READY_NOTIFY] = "notify", [CONF_READY_FD] = "fd",           [CONF_READY_TCP] = "tcp",
    [CONF_READY_UNIX] = "unix",     [CONF_READY_COMMAND] = "command",
};
static_assert(ARRAY_SIZE(ready_words) == CONF_READY_COUNT, "a place for each");

/* As the log would tell of its present state. */
static struct history_record record_of(const struct service *s)
{
    struct engine_change change = {
        .service = s, .from = s->state, .to = s->state, .event = EVENT_GONE};
    struct history_record r = history_from_change(&change);

    r.name[0] = '\0';
    return r;
}

static void put_wishes(struct text *t, const struct service *s)
{
    text_number(t, "ready", s->ready);
    text_number(t, "wanted", s->wanted);
    text_number(t, "again", s->again);
    text_number(t, "changed", s->next_conf != NULL);
}

/* Nothing where it would be less: a fork is dated by the end of its millisecond. */
static void put_span(struct text *t, const char *key, msec from, msec to)
{
    if (from < to && to != NEVER)
        text_number(t, key, to - from);
}

static void put_life(struct text *t, const struct service *s, msec now)
{
    text_number(t, "pid", s->pid);
    text_word(t, "process", s->preparing ? "before_start" : NULL);
    if (s->since)
        put_span(t, "for", s->since, now);
    if (s->pid)
        put_span(t, "up", s->started, now);
    text_number(t, "restarts", s->restarts);
    text_number(t, "failures", s->tries.failures);
}

static void put_end(struct text *t, const struct service *s, const char *step)
{
    history_exit_fields(t, &s->last_exit);
    text_word(t, "cause", service_cause_word(s->cause));
    text_number(t, "errno", s->error);
    text_word(t, "step", s->error ? step : NULL);
}

/* The deadline of a running one only forgets its failures. */
static bool waits_for_time(const struct service *s)
{
    return s->state == SERVICE_STARTING || s->state == SERVICE_BACKOFF ||
           s->state == SERVICE_STOPPING || s->state == SERVICE_KILLING;
}

static void put_limit(struct text *t, const struct service *s)
{
    struct history_record r = record_of(s);

    text_number(t, "limit", r.count);
    text_number(t, "window", r.count ? r.next : 0);
}

static void put_wait(struct text *t, const struct service *s, bool shutdown)
{
    bool in_vain;
    const struct service *other = answer_waits_for(s, shutdown, &in_vain);

    text_word(t, "waits_for", other ? service_name(other) : NULL);
    text_number(t, "in_vain", in_vain);
}

static const char *ready_target(const struct conf *c)
{
    if (c->ready.on == CONF_READY_TCP)
        return c->ready.tcp;
    return c->ready.on == CONF_READY_UNIX ? c->ready.local : NULL;
}

static void put_ready_on(struct text *t, const struct conf *c)
{
    text_word(t, "ready_on", ready_words[c->ready.on]);
    text_word(t, "ready_at", ready_target(c));
    text_number(t, "ready_fd", c->ready.on == CONF_READY_FD ? c->ready.fd : 0);
}

static const char *health_word(const struct answer_more *m)
{
    if (m->unhealthy)
        return "unhealthy";
    return m->failures ? "failing" : "well";
}

static void put_more(struct text *t, const struct answer_more *m)
{
    text_word(t, "status", m->status);
    text_number(t, "notify_errno", m->error);
    text_number(t, "reloading", m->reloading);
    if (m->probed) {
        text_word(t, "health", health_word(m));
        text_number(t, "health_failures", m->failures);
    }
    text_word(t, "health_fault", m->fault);
    text_number(t, "watchdog", m->watchdog);
}

void answer_service(struct text *t, const struct service *s, bool shutdown,
                    const struct answer_more *more, msec now)
{
    const struct conf *c = s->conf;

    text_put(t, "service");
    text_word(t, "name", c->name);
    text_word(t, "type", types[c->type]);
    text_word(t, "start", starts[c->start]);
    text_number(t, "main", c->main);
    text_word(t, "state", service_state_name(s->state));
    put_wishes(t, s);
    put_life(t, s, now);
    put_end(t, s, more->step);
    if (waits_for_time(s))
        put_span(t, "next", now, s->deadline);
    if (s->state == SERVICE_FAILED)
        put_limit(t, s);
    put_wait(t, s, shutdown);
    text_number(t, "members", s->members);
    text_word(t, "description", c->description);
    put_more(t, more);
    put_ready_on(t, c);
    text_put(t, "\n");
}

/* Its stop has not begun. */
static bool may_be_held(const struct service *s)
{
    return s->state == SERVICE_STARTING || s->state == SERVICE_RUNNING || s->state == SERVICE_DONE;
}

const struct service *answer_waits_for(const struct service *s, bool shutdown, bool *in_vain)
{
    *in_vain = false;
    if (s->state == SERVICE_PENDING)
        return graph_blocker(s, in_vain);
    return may_be_held(s) && graph_going(s, shutdown) ? graph_holder(s) : NULL;
}

/* ---- other records ---- */

void answer_edge(struct text *t, const struct service *s, const struct edge *e)
{
    static const char *const kinds[] = {
        [EDGE_REQUIRES] = "requires", [EDGE_WANTS] = "wants", [EDGE_AFTER] = "after"};
    static_assert(ARRAY_SIZE(kinds) == EDGE_KIND_COUNT, "a word for each");

    text_put(t, "edge");
    text_word(t, "from", service_name(s));
    text_word(t, "to", service_name(e->to));
    text_word(t, "kind", kinds[e->kind]);
    text_put(t, "\n");
}

void answer_record(struct text *t, const struct history_record *r)
{
    char line[HISTORY_TEXT_MAX];

    text_put(t, r->kind == HISTORY_DEATH ? "death " : "event ");
    t->n += history_fields(r, t->at + t->n, t->size - t->n);
    history_text(r, line, sizeof line);
    text_rest(t, "text", line);
    text_put(t, "\n");
}

/* ---- what is waited for ---- */

/* It will not become ready by itself, whatever it requires. */
static bool is_at_fault(const struct service *s)
{
    return s->state == SERVICE_FAILED || !s->wanted ||
           (s->state == SERVICE_DONE && !s->ready && !s->going);
}

/* Of those it requires in vain one that failed before others: that is what people must know. */
static const struct service *lost_requirement(const struct service *s)
{
    const struct service *first = NULL;

    for (size_t i = 0; i < s->n_needs; i++) {
        const struct service *to = s->needs[i].to;
        if (s->needs[i].kind != EDGE_REQUIRES || !to->hopeless)
            continue;
        if (to->state == SERVICE_FAILED)
            return to;
        first = first ? first : to;
    }
    return first;
}

/* The one because of which a service is hopeless, often itself. */
static const struct service *root(const struct service *s)
{
    for (const struct service *next = s; next; next = is_at_fault(s) ? NULL : lost_requirement(s))
        s = next;
    return s;
}

static bool tells_by_its_state(const struct service *s)
{
    return s->state == SERVICE_FAILED || s->state == SERVICE_STUCK ||
           (s->state == SERVICE_DONE && s->wanted);
}

static enum answer_reached never_by(struct text *why, const struct service *s)
{
    struct history_record r = record_of(s);
    char text[HISTORY_TEXT_MAX];

    if (tells_by_its_state(s)) {
        history_text(&r, text, sizeof text);
        text_put(why, "%s", text);
    } else {
        text_put(why, s->doomed ? "removed from the config" : "not wanted");
    }
    return ANSWER_NEVER;
}

static enum answer_reached never(struct text *why, const char *text)
{
    text_put(why, "%s", text);
    return ANSWER_NEVER;
}

static enum answer_reached reached_ready(const struct service *s, bool shutdown, struct text *why)
{
    const struct service *at;

    if (!s)
        return never(why, "not in the config");
    if (shutdown)
        return never(why, "tend is shutting down");
    if (s->ready && !s->going && !s->again)
        return ANSWER_YES;
    if (s->state == SERVICE_STUCK)
        return never_by(why, s);
    if (!s->hopeless)
        return ANSWER_NOT_YET;
    at = root(s);
    if (at != s)
        text_put(why, "needs %s: ", service_name(at));
    return never_by(why, at);
}

static enum answer_reached reached_down(const struct service *s, struct text *why)
{
    bool down = true;

    if (!s)
        return ANSWER_YES;
    switch (s->state) {
    case SERVICE_STUCK:
        return never_by(why, s);
    case SERVICE_STARTING:
    case SERVICE_RUNNING:
    case SERVICE_STOPPING:
    case SERVICE_KILLING:
        down = false;
        break;
    case SERVICE_PENDING:
    case SERVICE_BACKOFF:
        down = s->hopeless;
        break;
    case SERVICE_DONE:
        down = !s->going; /* else it has a stop command to run, or starts again */
        break;
    case SERVICE_DOWN:
    case SERVICE_FAILED:
    case SERVICE_STATE_COUNT:
        break;
    }
    return down ? ANSWER_YES : ANSWER_NOT_YET;
}

static enum answer_reached reached_failed(const struct service *s, bool shutdown, struct text *why)
{
    if (!s)
        return never(why, "not in the config");
    if (root(s)->state == SERVICE_FAILED)
        return ANSWER_YES;
    return shutdown ? never(why, "tend is shutting down") : ANSWER_NOT_YET;
}

enum answer_reached answer_reached(const struct service *s, enum request_goal goal, bool shutdown,
                                   struct text *why)
{
    switch (goal) {
    case GOAL_READY:
        return reached_ready(s, shutdown, why);
    case GOAL_DOWN:
        return reached_down(s, why);
    case GOAL_FAILED:
        return reached_failed(s, shutdown, why);
    case GOAL_RELOADED:
    case REQUEST_GOAL_COUNT:
        break;
    }
    return ANSWER_NOT_YET;
}

bool answer_is_up(const struct service *s, bool unhealthy)
{
    return !unhealthy && (s->ready || s->state == SERVICE_DONE);
}
