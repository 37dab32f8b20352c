/* What clients are told, a piece at a time: each reply goes on where there was no more room, or
 * nothing more to tell. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tend/serve.h"

/* ---- last lines ---- */

bool serve_ok(struct world *w, struct client *c, const char *format, ...)
{
    struct text t = control_room(c, ANSWER_MAX);
    char fields[128];
    va_list args;

    if (!t.at)
        return false;
    va_start(args, format);
    vsnprintf(fields, sizeof fields, format, args);
    va_end(args);
    text_put(&t, "ok%s at=%lld\n", fields, (long long)w->now);
    control_put(c, &t);
    return true;
}

void serve_error(struct text *t, const char *code, const char *name, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    text_put(t, "error");
    text_word(t, "code", code);
    text_word(t, "name", name);
    text_rest(t, "text", text);
    text_put(t, "\n");
}

static enum serve_outcome over(bool told)
{
    return told ? SERVE_OVER : SERVE_MORE;
}

/* ---- services ---- */

static struct service *at_slot(const struct world *w, size_t slot)
{
    return slot < w->engine.graph.n ? w->engine.graph.at[slot] : NULL;
}

/* Who is gone from the config since the request came is not told any more. */
struct service *serve_service(struct world *w, struct serving *s)
{
    struct service *found = NULL;

    serve_charge(w, 1);
    if (s->request.n_names)
        while (s->at < s->request.n_names && !(found = graph_find_any(&w->engine.graph, s->name)))
            serve_next(s);
    else
        while (s->at < w->engine.graph.n && !(found = at_slot(w, s->at)))
            s->at++;
    return found;
}

void serve_next(struct serving *s)
{
    s->at++;
    s->edge = 0;
    if (s->at < s->request.n_names)
        s->name = request_next_name(s->name);
}

void serve_rewind(struct serving *s)
{
    s->at = s->edge = 0;
    s->name = s->request.names;
}

/* What is known of it beside the engine. */
static void add_checkup(struct answer_more *more, const struct checkup *c)
{
    more->probed = c->health.phase == HEALTH_RUNNING;
    more->unhealthy = c->health.marked;
    more->failures = c->health.failures;
    more->fault = c->fault;
    more->watchdog = c->health.watchdog;
}

static struct answer_more more_of(const struct world *w, const struct service *s)
{
    struct answer_more more = {.step = s->error ? spawn_step_name(s->error_step) : NULL};
    const struct life *l = world_life(w, s);

    if (l->talk) {
        more.status = l->talk->status;
        more.error = l->talk->error;
        more.reloading = l->talk->reloading && service_live(s);
    }
    if (l->checkup)
        add_checkup(&more, l->checkup);
    more.probed = more.probed && conf_has_health(s->conf);
    return more;
}

bool serve_one(struct world *w, struct client *c, const struct service *s)
{
    struct answer_more more = more_of(w, s);
    struct text t = control_room(c, ANSWER_MAX);

    if (!t.at)
        return false;
    answer_service(&t, s, w->engine.shutdown, &more, w->now);
    control_put(c, &t);
    return true;
}

static enum serve_outcome reply_services(struct world *w, struct client *c, struct serving *s)
{
    for (const struct service *service; (service = serve_service(w, s)); serve_next(s))
        if (serve_is_enough(w) || !serve_one(w, c, service))
            return SERVE_MORE;
    return over(serve_ok(w, c, "%s", ""));
}

/* Those that are named, or all that are wanted. */
static enum serve_outcome reply_ready(struct world *w, struct client *c, struct serving *s)
{
    for (const struct service *service; (service = serve_service(w, s)); serve_next(s)) {
        bool counts = service->wanted || s->request.n_names,
             up = answer_is_up(service, more_of(w, service).unhealthy);
        if (serve_is_enough(w))
            return SERVE_MORE;
        if (counts && !up && !serve_one(w, c, service))
            return SERVE_MORE;
        s->n_wanted += counts;
        s->n_ready += counts && up;
    }
    return over(serve_ok(w, c, "%s count=%u of=%u",
                         s->n_ready == s->n_wanted && !w->engine.shutdown ? " ready=1" : "",
                         s->n_ready, s->n_wanted));
}

static enum serve_outcome reply_graph(struct world *w, struct client *c, struct serving *s)
{
    for (const struct service *service; (service = serve_service(w, s)); serve_next(s)) {
        if (serve_is_enough(w) || (s->edge == 0 && !serve_one(w, c, service)))
            return SERVE_MORE;
        for (s->edge += s->edge == 0; s->edge <= service->n_needs; s->edge++) {
            struct text t = control_room(c, ANSWER_MAX);
            if (!t.at)
                return SERVE_MORE;
            answer_edge(&t, service, &service->needs[s->edge - 1]);
            control_put(c, &t);
        }
    }
    return over(serve_ok(w, c, "%s", ""));
}

/* ---- waiting ---- */

static enum answer_reached reached(const struct world *w, const struct service *s,
                                   enum request_goal goal, struct text *why)
{
    const struct life *l = s ? world_life(w, s) : NULL;

    if (goal != GOAL_RELOADED)
        return answer_reached(s, goal, w->engine.shutdown, why);
    if (l && (l->reload_pid || (l->talk && l->talk->reload_due)))
        return ANSWER_NOT_YET;
    if (l && !l->reload_failed)
        return ANSWER_YES;
    text_put(why, l ? "its reload failed" : "it is gone from the config");
    return ANSWER_NEVER;
}

/* Of the names, those that are gone count too. */
static const struct service *awaited(struct world *w, struct serving *s, bool *any)
{
    const struct service *service;

    if (!s->request.n_names) {
        while ((service = serve_service(w, s)) && !service->wanted && s->request.goal == GOAL_READY)
            serve_next(s);
        *any = service != NULL;
        return service;
    }
    *any = s->at < s->request.n_names;
    return *any ? graph_find_any(&w->engine.graph, s->name) : NULL;
}

/* All of them, as one that will never reach it decides, wherever it stands: s is left at that one.
 */
static enum answer_reached walk(struct world *w, struct serving *s, struct text *why)
{
    enum answer_reached all = ANSWER_YES;
    const struct service *service;
    bool any;

    for (serve_rewind(s); (service = awaited(w, s, &any), any); serve_next(s)) {
        enum answer_reached r = reached(w, service, s->request.goal, why);
        if (r == ANSWER_NEVER)
            return r;
        if (r == ANSWER_NOT_YET)
            all = r;
    }
    return all;
}

static bool tell_never(struct world *w, struct client *c, struct serving *s, const char *why)
{
    const struct service *service = at_slot(w, s->at);
    struct text t = control_room(c, ANSWER_MAX);

    if (!t.at)
        return false;
    serve_error(&t, "failed",
                s->request.n_names ? s->name
                : service          ? service_name(service)
                                   : NULL,
                "%s", why);
    control_put(c, &t);
    return true;
}

static enum serve_outcome tell_awaited(struct world *w, struct client *c, struct serving *s)
{
    const struct service *service;
    bool any;

    for (; (service = awaited(w, s, &any), any); serve_next(s))
        if (service && !serve_one(w, c, service))
            return SERVE_MORE;
    return over(serve_ok(w, c, "%s", ""));
}

enum { WAIT_ALL, WAIT_TELL };

static enum serve_outcome reply_wait(struct world *w, struct client *c, struct serving *s)
{
    char reason[ANSWER_WHY_MAX] = "";
    struct text why = {reason, 0, sizeof reason};

    if (s->phase == WAIT_ALL) {
        enum answer_reached r = walk(w, s, &why);
        if (r == ANSWER_NOT_YET)
            return SERVE_WAITS;
        if (r == ANSWER_NEVER)
            return over(tell_never(w, c, s, reason));
        serve_rewind(s);
        s->phase = WAIT_TELL;
    }
    return tell_awaited(w, c, s);
}

/* ---- events ---- */

bool serve_record(struct client *c, const struct history_record *r)
{
    struct text t = control_room(c, ANSWER_MAX);

    if (!t.at)
        return false;
    answer_record(&t, r);
    control_put(c, &t);
    return true;
}

static bool tell_missed(struct client *c, uint64_t missed)
{
    struct text t = control_room(c, ANSWER_MAX);

    if (!t.at)
        return false;
    text_put(&t, "missed count=%llu\n", (unsigned long long)missed);
    control_put(c, &t);
    return true;
}

static uint64_t oldest(const struct world *w)
{
    return w->history.last > HISTORY_ROOM ? w->history.last - HISTORY_ROOM : 0;
}

static enum serve_outcome reply_events(struct world *w, struct client *c, struct serving *s)
{
    const struct history_record *r;
    uint64_t missed;

    if (s->phase == 0) {
        s->phase = 1;
        s->after = s->request.has_after ? s->request.after
                   : s->request.follow  ? w->history.last
                                        : oldest(w);
        if (s->after > w->history.last) /* of another tend */
            s->after = 0;
    }
    while ((r = history_next(&w->history, s->after, &missed))) {
        if (missed && !tell_missed(c, missed))
            return SERVE_MORE;
        s->after += missed;
        if (!serve_record(c, r))
            return SERVE_MORE;
        s->after = r->sequence;
    }
    return s->request.follow ? SERVE_WAITS : over(serve_ok(w, c, "%s", ""));
}

static bool is_named(const struct request *r, const char *name)
{
    const char *at = r->names;

    for (unsigned i = 0; i < r->n_names; i++, at = request_next_name(at))
        if (!strcmp(at, name))
            return true;
    return r->n_names == 0;
}

static enum serve_outcome reply_history(struct world *w, struct client *c, struct serving *s)
{
    const struct history_record *r;

    while ((r = history_deaths_next(&w->deaths, s->after))) {
        serve_charge(w, SERVE_LOOKS_OF_A_DEATH + s->request.n_names);
        if (serve_is_enough(w))
            return SERVE_MORE;
        if (is_named(&s->request, r->name) && !serve_record(c, r))
            return SERVE_MORE;
        s->after = r->sequence;
    }
    return over(serve_ok(w, c, "%s", ""));
}

/* ---- the rest ---- */

static enum serve_outcome reply_help(struct world *w, struct client *c, struct serving *s)
{
    for (; s->at < REQUEST_VERB_COUNT; s->at++) {
        struct text t = control_room(c, ANSWER_MAX);
        if (!t.at)
            return SERVE_MORE;
        text_put(&t, "request");
        text_rest(&t, "text", request_usage((enum request_verb)s->at));
        text_put(&t, "\n");
        control_put(c, &t);
    }
    return over(serve_ok(w, c, "%s", ""));
}

enum serve_outcome serve_reply(struct world *w, struct client *c, struct serving *s)
{
    switch (s->request.verb) {
    case REQUEST_STATUS:
    case REQUEST_START:
    case REQUEST_STOP:
    case REQUEST_RESTART:
        return reply_services(w, c, s);
    case REQUEST_WAIT:
        return reply_wait(w, c, s);
    case REQUEST_READY:
        return reply_ready(w, c, s);
    case REQUEST_PLAN:
    case REQUEST_RELOAD:
        return serve_reply_load(w, c, s);
    case REQUEST_WHY:
        return serve_reply_why(w, c, s);
    case REQUEST_GRAPH:
        return reply_graph(w, c, s);
    case REQUEST_EVENTS:
        return reply_events(w, c, s);
    case REQUEST_HISTORY:
        return reply_history(w, c, s);
    case REQUEST_HELP:
        return reply_help(w, c, s);
    case REQUEST_RELOAD_SERVICE:
    case REQUEST_SIGNAL:
    case REQUEST_SHUTDOWN:
    case REQUEST_VERB_COUNT:
        break;
    }
    return over(serve_ok(w, c, "%s", ""));
}
