/* What clients are told: as serve_reply.c has it, around the same pure parts. */
#include <string.h>

#include "clients.h"

/* ---- where a request stands ---- */

void client_rewind(struct client *c)
{
    c->at = 0;
    c->name = c->request.names;
}

void client_next(struct client *c)
{
    c->at++;
    if (c->at < c->request.n_names)
        c->name = request_next_name(c->name);
}

/* Of the names, or of all; who is gone since is left out. */
struct service *client_service(const struct world *w, struct client *c)
{
    const struct graph *g = &w->engine.graph;
    struct service *found = NULL;

    if (c->request.n_names)
        while (c->at < c->request.n_names && !(found = graph_find_any(g, c->name)))
            client_next(c);
    else
        while (c->at < g->n && !(found = g->at[c->at]))
            c->at++;
    return found;
}

/* ---- lines ---- */

void client_finish(struct client *c)
{
    c->asks = c->loads = false;
}

static bool tell_service(struct world *w, struct client *c, const struct service *s)
{
    char line[ANSWER_MAX] = "";
    struct text t = {line, 0, sizeof line};
    struct answer_more more = {.step = s->error ? "exec" : NULL};

    if (c->room == 0)
        return false;
    answer_service(&t, s, w->engine.shutdown, &more, w->now);
    check_service_line(w, s, &t);
    c->room--;
    return true;
}

static bool tell_record(struct world *w, struct client *c, const struct history_record *r)
{
    char line[ANSWER_MAX] = "";
    struct text t = {line, 0, sizeof line};

    if (c->room == 0)
        return false;
    answer_record(&t, r);
    check_line(w, &t, r->kind == HISTORY_DEATH ? "death seq=" : "event seq=");
    c->room--;
    return true;
}

static void over(struct client *c)
{
    if (c->room > 0)
        client_finish(c);
}

/* ---- replies ---- */

static void reply_services(struct world *w, struct client *c)
{
    for (const struct service *s; (s = client_service(w, c)); client_next(c))
        if (!tell_service(w, c, s))
            return;
    over(c);
}

static void reply_ready(struct world *w, struct client *c)
{
    for (const struct service *s; (s = client_service(w, c)); client_next(c))
        if (s->wanted && !answer_is_up(s, false) && !tell_service(w, c, s))
            return;
    over(c);
}

static void reply_graph(struct world *w, struct client *c)
{
    for (const struct service *s; (s = client_service(w, c)); client_next(c)) {
        if (!tell_service(w, c, s))
            return;
        for (size_t i = 0; i < s->n_needs; i++) {
            char line[ANSWER_MAX] = "";
            struct text t = {line, 0, sizeof line};
            answer_edge(&t, s, &s->needs[i]);
            check_line(w, &t, "edge from=");
        }
    }
    over(c);
}

static enum answer_reached reached(struct world *w, const struct service *s, enum request_goal goal)
{
    char reason[ANSWER_WHY_MAX] = "";
    struct text why = {reason, 0, sizeof reason};
    enum answer_reached r;

    if (goal == GOAL_RELOADED)
        return s ? ANSWER_YES : ANSWER_NEVER;
    r = answer_reached(s, goal, w->engine.shutdown, &why);
    check_reached(w, s, goal, r, &why);
    return r;
}

/* Of the names, those that are gone count too. */
static const struct service *awaited(const struct world *w, struct client *c, bool *any)
{
    const struct service *s;

    if (!c->request.n_names) {
        while ((s = client_service(w, c)) && !s->wanted && c->request.goal == GOAL_READY)
            client_next(c);
        *any = s != NULL;
        return s;
    }
    *any = c->at < c->request.n_names;
    return *any ? graph_find_any(&w->engine.graph, c->name) : NULL;
}

/* All of them, as one that will never reach it decides, wherever it stands. */
static enum answer_reached walk(struct world *w, struct client *c)
{
    enum answer_reached all = ANSWER_YES;
    const struct service *s;
    bool any;

    for (client_rewind(c); (s = awaited(w, c, &any), any); client_next(c)) {
        enum answer_reached r = reached(w, s, c->request.goal);
        if (r == ANSWER_NEVER && s)
            check_answered(w, s, c->request.goal, r);
        if (r == ANSWER_NEVER)
            return r;
        if (r == ANSWER_NOT_YET)
            all = r;
    }
    return all;
}

static void tell_awaited(struct world *w, struct client *c)
{
    const struct service *s;
    bool any;

    for (; (s = awaited(w, c, &any), any); client_next(c))
        if (s && !tell_service(w, c, s))
            return;
    over(c);
}

static void reply_wait(struct world *w, struct client *c)
{
    enum answer_reached r = c->phase || c->room == 0 ? ANSWER_NOT_YET : walk(w, c);
    const struct service *s;
    bool any;

    if (r != ANSWER_NOT_YET)
        TRACE(w, "client %d: its wait is %s", (int)(c - w->clients->at),
              r == ANSWER_YES ? "over" : "in vain");
    if (r == ANSWER_NEVER)
        over(c);
    if (r == ANSWER_YES) {
        for (client_rewind(c); (s = awaited(w, c, &any), any); client_next(c))
            if (s)
                check_answered(w, s, c->request.goal, r);
        client_rewind(c);
        c->phase = true;
    }
    if (c->phase)
        tell_awaited(w, c);
}

static void reply_why(struct world *w, struct client *c)
{
    const struct service *s;
    bool in_vain;

    client_rewind(c);
    s = client_service(w, c);
    for (unsigned n = 0; s && n < 16; n++) {
        if (!tell_service(w, c, s))
            return;
        s = answer_waits_for(s, w->engine.shutdown, &in_vain);
    }
    over(c);
}

static void events_begin(struct world *w, struct client *c)
{
    uint64_t last = w->history.last;

    c->phase = true;
    c->after = c->request.has_after  ? c->request.after
               : c->request.follow   ? last
               : last > HISTORY_ROOM ? last - HISTORY_ROOM
                                     : 0;
    check_events_begin(w, c);
}

static void reply_events(struct world *w, struct client *c)
{
    const struct history_record *r;
    uint64_t missed;

    if (!c->phase)
        events_begin(w, c);
    while ((r = history_next(&w->history, c->after, &missed))) {
        if (c->room == 0)
            return;
        if (missed) {
            check_missed(w, c, missed);
            c->after += missed;
            c->room--;
        }
        if (!tell_record(w, c, r))
            return;
        check_event(w, c, r);
        c->after = r->sequence;
    }
    check_events_end(w, c);
    if (!c->request.follow)
        over(c);
}

static bool is_named(const struct request *r, const char *name)
{
    const char *at = r->names;

    for (unsigned i = 0; i < r->n_names; i++, at = request_next_name(at))
        if (!strcmp(at, name))
            return true;
    return r->n_names == 0;
}

static void reply_history(struct world *w, struct client *c)
{
    const struct history_record *r;

    while ((r = history_deaths_next(&w->deaths, c->after))) {
        if (is_named(&c->request, r->name) && !tell_record(w, c, r))
            return;
        c->after = r->sequence;
    }
    over(c);
}

void client_answer(struct world *w, struct client *c)
{
    switch (c->request.verb) {
    case REQUEST_STATUS:
    case REQUEST_START:
    case REQUEST_STOP:
    case REQUEST_RESTART:
        reply_services(w, c);
        return;
    case REQUEST_WAIT:
        reply_wait(w, c);
        return;
    case REQUEST_READY:
        reply_ready(w, c);
        return;
    case REQUEST_WHY:
        reply_why(w, c);
        return;
    case REQUEST_GRAPH:
        reply_graph(w, c);
        return;
    case REQUEST_EVENTS:
        reply_events(w, c);
        return;
    case REQUEST_HISTORY:
        reply_history(w, c);
        return;
    case REQUEST_PLAN:
    case REQUEST_RELOAD:
    case REQUEST_RELOAD_SERVICE:
    case REQUEST_SIGNAL:
    case REQUEST_SHUTDOWN:
    case REQUEST_HELP:
    case REQUEST_VERB_COUNT:
        break;
    }
    over(c);
}
