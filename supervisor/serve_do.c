/* What clients ask to be done. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tend/log.h"
#include "tend/process.h"
#include "tend/serve.h"
#include "tend/units.h"

/* Requests of the group that are told in so many msec. */
enum { TOLD_REQUESTS = 20 };

/* What is on its way out of the config may be asked about and stopped, not started. */
static bool starts(enum request_verb verb)
{
    return verb == REQUEST_START || verb == REQUEST_RESTART;
}

static bool know(struct world *w, const struct request *r, const char *name, struct text *error)
{
    const struct graph *g = &w->engine.graph;
    const struct service *s = graph_find_any(g, name);

    if (!s)
        serve_error(error, "unknown", name, "no service is called %s", name);
    else if (starts(r->verb) && !graph_find(g, name))
        serve_error(error, "unknown", name, "%s is on its way out of the config", name);
    else if (world_life(w, s)->asked == w->requests)
        serve_error(error, "usage", name, "%s is named twice", name);
    else
        return true;
    return false;
}

/* Nothing is done where one of the names is unknown. */
static bool know_all(struct world *w, struct serving *s, struct text *error)
{
    const char *name = s->request.names;

    w->requests++;
    serve_charge(w, s->request.n_names);
    for (unsigned i = 0; i < s->request.n_names; i++, name = request_next_name(name)) {
        if (!know(w, &s->request, name, error))
            return false;
        world_life(w, graph_find_any(&w->engine.graph, name))->asked = w->requests;
    }
    return true;
}

/* A member of the group may ask as often as it likes; who reads the log is told of the first. */
static bool is_told(struct world *w, const struct client *c)
{
    if (c->all_rights)
        return true;
    if (rate_allows(&w->told, w->now, TOLD_REQUESTS))
        return true;
    if (w->told.n == TOLD_REQUESTS + 1)
        log_info("more requests of the group are not told for a while");
    return false;
}

/* As many names as there is room for. */
static void tell(struct world *w, const struct client *c, const struct request *r, const char *what)
{
    char text[HISTORY_WHAT_MAX];
    struct text t = {text, 0, sizeof text};
    const char *name = r->names;
    unsigned told = 0;

    text_put(&t, "%s", what);
    for (; told < r->n_names && t.n + strlen(name) + sizeof " and 1000 more" < t.size; told++) {
        text_put(&t, " %s", name);
        name = request_next_name(name);
    }
    if (told < r->n_names)
        text_put(&t, " %s%u %s", told ? "and " : "", r->n_names - told, told ? "more" : "services");
    if (is_told(w, c))
        observe_request(w, c->uid, c->pid, text);
}

static void wish(struct world *w, struct service *s, enum request_verb verb)
{
    struct engine *e = &w->engine;

    serve_charge(w, s->n_needs + s->n_needed_by + 1);
    if (verb == REQUEST_STOP)
        engine_event(e, s, EVENT_DOWN, w->now, NULL);
    else
        engine_start(e, s, w->now);
    if (verb == REQUEST_RESTART)
        engine_event(e, s, EVENT_AGAIN, w->now, NULL);
}

static bool steer(struct world *w, struct client *c, struct serving *s)
{
    struct service *service;

    tell(w, c, &s->request, request_verb_name(s->request.verb));
    for (serve_rewind(s); (service = serve_service(w, s)); serve_next(s))
        wish(w, service, s->request.verb);
    return true;
}

/* ---- signals ---- */

static bool all_live(struct world *w, struct serving *s, struct text *error)
{
    struct service *service;

    for (serve_rewind(s); (service = serve_service(w, s)); serve_next(s))
        if (!service->pid) {
            serve_error(error, "down", service_name(service), "%s has no process",
                        service_name(service));
            return false;
        }
    return true;
}

static bool send(struct world *w, struct client *c, struct serving *s, struct text *error)
{
    const struct request *r = &s->request;
    struct service *service;
    char name[UNITS_SIGNAL_MAX], what[64];

    if (!all_live(w, s, error))
        return false;
    snprintf(what, sizeof what, "signal %s", units_signal_name(r->signal, name));
    tell(w, c, r, what);
    for (serve_rewind(s); (service = serve_service(w, s)); serve_next(s)) {
        if (act_main_signal(w, service, r->signal, r->group)) {
            serve_error(error, "system", service_name(service), "%s", strerror(errno));
            return false;
        }
        observe_sent(w, service, r->signal, r->group);
    }
    return true;
}

static bool tell_no_reload(const struct service *service, struct text *error)
{
    serve_error(error, errno == ESRCH ? "down" : "system", service_name(service), "%s",
                errno == ESRCH   ? "it does not run yet"
                : errno == EBUSY ? "its last reload is not over yet"
                                 : strerror(errno));
    return false;
}

static bool reload_services(struct world *w, struct client *c, struct serving *s,
                            struct text *error)
{
    struct service *service;

    if (!all_live(w, s, error))
        return false;
    for (serve_rewind(s); (service = serve_service(w, s)); serve_next(s))
        if (act_can_reload(w, service))
            return tell_no_reload(service, error);
    tell(w, c, &s->request, "reload-service");
    for (serve_rewind(s); (service = serve_service(w, s)); serve_next(s))
        if (act_reload(w, service))
            return tell_no_reload(service, error);
    return true;
}

/* ---- all of it ---- */

static bool load(struct world *w, struct client *c, struct serving *s, struct text *error)
{
    bool take = s->request.verb == REQUEST_RELOAD;

    if (take)
        tell(w, c, &s->request, "reload");
    s->load = config_ask(w, take);
    if (s->load)
        return true;
    if (w->lost_loader)
        serve_error(error, "system", NULL, "the last loading process, pid %d, has not ended yet",
                    w->lost_loader);
    else
        serve_error(error, "system", NULL, "%s", strerror(errno));
    return false;
}

static bool end(struct world *w, struct client *c, const struct request *r)
{
    tell(w, c, r, r->now ? "shutdown now" : "shutdown");
    turn_shutdown(w, "by request", 0);
    if (r->deadline != NEVER)
        engine_limit(&w->engine, w->now, w->now + r->deadline);
    if (r->now)
        engine_hurry(&w->engine, w->now);
    return true;
}

/* What makes no sense once a shutdown has begun. */
static bool is_too_late(const struct world *w, enum request_verb verb)
{
    return w->engine.shutdown && (verb == REQUEST_START || verb == REQUEST_RESTART ||
                                  verb == REQUEST_PLAN || verb == REQUEST_RELOAD);
}

bool serve_do(struct world *w, struct client *c, struct serving *s, struct text *error)
{
    const struct request *r = &s->request;

    if (!c->all_rights && request_needs_all_rights(r->verb)) {
        serve_error(error, "denied", NULL, "%s is for root and the user of tend",
                    request_verb_name(r->verb));
        return false;
    }
    if (is_too_late(w, r->verb)) {
        serve_error(error, "shutdown", NULL, "tend is shutting down");
        return false;
    }
    if (!know_all(w, s, error))
        return false;
    switch (r->verb) {
    case REQUEST_START:
    case REQUEST_STOP:
    case REQUEST_RESTART:
        return steer(w, c, s);
    case REQUEST_RELOAD_SERVICE:
        return reload_services(w, c, s, error);
    case REQUEST_SIGNAL:
        return send(w, c, s, error);
    case REQUEST_PLAN:
    case REQUEST_RELOAD:
        return load(w, c, s, error);
    case REQUEST_SHUTDOWN:
        return end(w, c, r);
    case REQUEST_STATUS:
    case REQUEST_WAIT:
    case REQUEST_READY:
    case REQUEST_WHY:
    case REQUEST_GRAPH:
    case REQUEST_EVENTS:
    case REQUEST_HISTORY:
    case REQUEST_HELP:
    case REQUEST_VERB_COUNT:
        break;
    }
    return true;
}
