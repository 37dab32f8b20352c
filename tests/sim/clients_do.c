/* What clients ask to be done: as serve_do.c has it, around the same pure parts. */
#include <stdio.h>
#include <string.h>

#include "clients.h"

/* What is on its way out of the config may be asked about and stopped, not started. */
static struct service *find(const struct world *w, enum request_verb verb, const char *name)
{
    bool starts = verb == REQUEST_START || verb == REQUEST_RESTART;

    return (starts ? graph_find : graph_find_any)(&w->engine.graph, name);
}

static bool know_all(const struct world *w, const struct request *r)
{
    const char *name = r->names;

    for (unsigned i = 0; i < r->n_names; i++, name = request_next_name(name))
        if (!find(w, r->verb, name))
            return false;
    return true;
}

static void note(struct world *w, const struct client *c)
{
    struct history_record r = {.at = w->now, .kind = HISTORY_REQUEST, .number = 1000, .pid = 99};

    snprintf(r.what, sizeof r.what, "%s", request_verb_name(c->request.verb));
    clients_note(w, history_add(&w->history, &r));
}

static void wish(struct world *w, struct service *s, enum request_verb verb)
{
    struct book *b = &w->book[s->slot];

    if (verb == REQUEST_STOP) {
        book_down(b);
        engine_event(&w->engine, s, EVENT_DOWN, w->now, NULL);
        return;
    }
    book_up(w, b);
    engine_start(&w->engine, s, w->now);
    if (verb == REQUEST_START)
        return;
    book_again(b);
    engine_event(&w->engine, s, EVENT_AGAIN, w->now, NULL);
}

static const char *steer(struct world *w, struct client *c)
{
    struct service *s;

    note(w, c);
    clients_wished(w);
    for (client_rewind(c); (s = client_service(w, c)); client_next(c))
        wish(w, s, c->request.verb);
    for (client_rewind(c); (s = client_service(w, c)); client_next(c))
        if (c->request.verb == REQUEST_STOP)
            check_stopped(w, s);
    return NULL;
}

static const char *send(struct world *w, struct client *c, int signal)
{
    struct service *s;

    for (client_rewind(c); (s = client_service(w, c)); client_next(c))
        if (!s->pid)
            return "down";
    note(w, c);
    for (client_rewind(c); (s = client_service(w, c)); client_next(c))
        kernel_signal(&w->kernel, &w->kernel.at[s->pid], signal, w->now);
    return NULL;
}

static const char *end(struct world *w, const struct client *c)
{
    const struct request *r = &c->request;

    note(w, c);
    op_shutdown(w, false);
    if (r->deadline != NEVER)
        op_limit(w, r->deadline);
    if (r->now)
        op_shutdown(w, true);
    return NULL;
}

static bool is_too_late(const struct world *w, enum request_verb verb)
{
    return w->engine.shutdown && (verb == REQUEST_START || verb == REQUEST_RESTART ||
                                  verb == REQUEST_PLAN || verb == REQUEST_RELOAD);
}

static const char *carry_out_request(struct world *w, struct client *c)
{
    const struct request *r = &c->request;

    switch (r->verb) {
    case REQUEST_START:
    case REQUEST_STOP:
    case REQUEST_RESTART:
        return steer(w, c);
    case REQUEST_RELOAD_SERVICE:
        return send(w, c, 1);
    case REQUEST_SIGNAL:
        return send(w, c, r->signal);
    case REQUEST_PLAN:
    case REQUEST_RELOAD:
        if (r->verb == REQUEST_RELOAD)
            note(w, c);
        c->loads = true;
        c->next = w->now + rng_time(&w->clients->rng, 0, 300);
        return NULL;
    case REQUEST_SHUTDOWN:
        return end(w, c);
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
    return NULL;
}

const char *client_does(struct world *w, struct client *c)
{
    const char *code = NULL;

    if (!c->all_rights && request_needs_all_rights(c->request.verb))
        return "denied";
    if (is_too_late(w, c->request.verb))
        return "shutdown";
    if (!know_all(w, &c->request))
        return "unknown";
    code = carry_out_request(w, c);
    client_rewind(c);
    c->phase = false;
    c->after = 0;
    return code;
}
