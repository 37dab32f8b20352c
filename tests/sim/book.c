/* A second account of every service, kept from what operators asked for, from what the kernel did
 * and from the changes of state: check.c holds the engine to it. */
#include <stdlib.h>
#include <string.h>

#include "talk.h"

struct service *book_service(const struct world *w, unsigned id)
{
    for (size_t i = 0; i < w->engine.graph.n; i++)
        if (w->engine.graph.at[i] && w->book[i].id == id)
            return w->engine.graph.at[i];
    return NULL;
}

static bool stops(enum service_state state)
{
    return state == SERVICE_STOPPING || state == SERVICE_KILLING || state == SERVICE_STUCK;
}

static bool has_life(enum service_state state)
{
    return stops(state) || state == SERVICE_STARTING || state == SERVICE_RUNNING ||
           state == SERVICE_DONE;
}

/* ---- wishes ---- */

static unsigned slot_of(const struct world *w, unsigned id)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (w->book[i].id == id)
            return i;
    abort();
}

static void forgive(struct book *b)
{
    b->failures = b->n_recent = 0;
    b->delay = 0;
    b->retried = false;
}

static void want(struct book *b)
{
    b->wanted = true;
    if (b->state == SERVICE_BACKOFF || b->state == SERVICE_FAILED)
        forgive(b);
}

void book_again(struct book *b)
{
    want(b);
    b->returns = b->returns || has_life(b->state);
}

/* What it was told before no longer counts, unless it is being stopped for that. */
void book_down(struct book *b)
{
    b->wanted = false;
    b->returns = b->quiet && stops(b->state);
}

/* Up, and with it all that it needs and that is not wanted yet. */
void book_up(struct world *w, struct book *first)
{
    unsigned todo[SLOTS * NAMES_MAX], n = 0;

    todo[n++] = first->id;
    while (n) {
        struct book *b = &w->book[slot_of(w, todo[--n])];
        want(b);
        for (unsigned i = 0; i < b->n_needs; i++)
            if (b->kinds[i] != EDGE_AFTER && !w->book[slot_of(w, b->needs[i])].wanted)
                todo[n++] = b->needs[i];
    }
}

/* ---- a load ---- */

static void link_one(struct world *w, struct book *b, unsigned set, enum edge_kind kind)
{
    for (unsigned name = 0; name < NAMES_MAX; name++)
        for (unsigned i = 0; set >> name & 1 && i < SLOTS; i++)
            if (w->book[i].id && w->book[i].name == name && !w->book[i].doomed) {
                b->needs[b->n_needs] = w->book[i].id;
                b->kinds[b->n_needs++] = kind;
            }
}

/* Who is doomed keeps whom it knew. */
static void link_all(struct world *w)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        struct book *b = &w->book[i];
        const struct spec *s = b->next_line ? &b->next_spec : &b->spec;
        if (!b->id || b->doomed)
            continue;
        b->n_needs = 0;
        link_one(w, b, s->requires, EDGE_REQUIRES);
        link_one(w, b, s->wants, EDGE_WANTS);
        link_one(w, b, s->after, EDGE_AFTER);
    }
}

/* When a change comes into force. */
static bool at_once(enum service_state state, enum conf_difference difference)
{
    switch (state) {
    case SERVICE_DOWN:
    case SERVICE_PENDING:
    case SERVICE_BACKOFF:
    case SERVICE_FAILED:
        return true;
    case SERVICE_STARTING:
    case SERVICE_RUNNING:
    case SERVICE_DONE:
        return difference == CONF_POLICY;
    case SERVICE_STOPPING:
    case SERVICE_KILLING:
    case SERVICE_STUCK:
    case SERVICE_STATE_COUNT:
        break;
    }
    return false;
}

static void change_spec(struct book *b, const struct spec *to, int line)
{
    const struct spec *from = b->next_line ? &b->next_spec : &b->spec;
    enum conf_difference difference = spec_compare(from, to);

    b->rises = from->start == CONF_MANUAL && to->start == CONF_AUTO;
    if (b->wanted)
        b->pulls = (to->requires | to->wants) & ~(from->requires | from->wants);
    if (difference == CONF_SAME)
        return;
    forgive(b);
    if (difference == CONF_SPAWN && b->wanted && has_life(b->state))
        b->returns = true;
    if (!b->next_line && at_once(b->state, difference)) {
        b->spec = *to;
        b->line = line;
    } else {
        b->next_spec = *to;
        b->next_line = line;
    }
}

static void take_record(struct world *w, unsigned slot)
{
    const struct service *s = w->engine.graph.at[slot];
    struct book *b = &w->book[slot];
    unsigned name = name_index(service_name(s));

    *b = (struct book){.id = ++w->ids,
                       .name = name,
                       .state = s->state,
                       .spec = w->config.at[name],
                       .line = w->config.version[name],
                       .rises = w->config.at[name].start == CONF_AUTO,
                       .started = NEVER};
}

static void change_record(struct world *w, unsigned slot)
{
    struct book *b = &w->book[slot];

    if (b->doomed)
        return;
    if (!w->config.at[b->name].present) {
        b->doomed = true;
        b->wanted = false;
        return;
    }
    change_spec(b, &w->config.at[b->name], w->config.version[b->name]);
}

/* What it did not depend on before. */
static void pull(struct world *w, const struct book *b)
{
    for (unsigned i = 0; b->pulls && i < b->n_needs; i++) {
        struct book *to = &w->book[slot_of(w, b->needs[i])];
        if (b->kinds[i] != EDGE_AFTER && b->pulls >> to->name & 1)
            to->rises = true;
    }
}

void book_reload(struct world *w)
{
    for (unsigned i = 0; i < w->engine.graph.n; i++) {
        w->book[i].rises = false;
        w->book[i].pulls = 0;
        if (w->engine.graph.at[i] && w->book[i].id)
            change_record(w, i);
        else if (w->engine.graph.at[i])
            take_record(w, i);
    }
    link_all(w);
    for (unsigned i = 0; i < w->engine.graph.n; i++)
        pull(w, &w->book[i]);
    for (unsigned i = 0; i < SLOTS; i++)
        if (w->book[i].rises && !w->book[i].wanted)
            book_up(w, &w->book[i]);
    for (unsigned i = 0; i < w->engine.graph.n; i++)
        if (w->engine.graph.at[i])
            w->book[i].state = w->engine.graph.at[i]->state;
}

/* ---- changes of state ---- */

static void take_next(struct book *b)
{
    if (!b->next_line)
        return;
    b->spec = b->next_spec;
    b->line = b->next_line;
    b->next_line = 0;
}

static void note_stop(struct world *w, struct book *b, const struct engine_change *c)
{
    b->commanded = false;
    b->quiet = c->event == EVENT_QUIET;
    b->leaving = c->event == EVENT_LEAVING;
    b->alone = c->event == EVENT_EXITED || b->leaving;
    b->starved = c->event == EVENT_FAULT && b->starves;
    b->starves = false;
    b->lost = w->lost_ever;
    b->returns = b->returns || b->quiet;
    b->commands = b->quiet && c->from != SERVICE_STARTING && b->spec.command;
    b->drains = c->event == EVENT_QUIET && c->from == SERVICE_RUNNING;
    b->began = w->now;
    b->start_left = b->start_by > w->now ? b->start_by - w->now : 0;
    b->last_signal = b->leaving ? w->now : NEVER; /* as if it had been told */
    b->signals = b->leaving;
    b->main_died = c->event == EVENT_EXITED;
    if (c->event == EVENT_QUIET)
        check_quiet(w, c->service, c->from);
}

/* A life is over: what was waiting is taken. */
static void note_end(struct world *w, struct book *b, const struct engine_change *c)
{
    if (stops(c->from) && b->commands && !b->commanded && !b->main_died && !w->engine.hurry)
        broken(w, "P31", "%s: its stop command was left out", service_name(c->service));
    take_next(b);
    if (b->returns && b->wanted && !w->engine.shutdown && c->to != SERVICE_PENDING)
        broken(w, "P13", "%s was to start anew, but is %s", service_name(c->service),
               service_state_name(c->to));
    check_followed(w, c);
    b->returns = false;
    if (c->to == SERVICE_BACKOFF)
        check_backoff(w, c->service);
}

void book_change(struct world *w, const struct engine_change *c)
{
    struct book *b = &w->book[c->service->slot];

    if (!b->id) /* comes with the load that is under way */
        return;
    check_edge(w, c);
    if (c->from == c->to)
        return;
    if (c->from == SERVICE_RUNNING && w->now - b->started >= b->spec.healthy)
        forgive(b);
    if (c->to == SERVICE_STOPPING)
        note_stop(w, b, c);
    if (c->to == SERVICE_RUNNING)
        check_ready(w, c->service);
    if (c->to == SERVICE_KILLING)
        check_stretch(w, c->service);
    if (c->to == SERVICE_STARTING) {
        check_clear(w, c->service);
        b->excuses = 0;
    }
    if ((stops(c->from) && !stops(c->to)) || (c->from == SERVICE_DONE && c->to != SERVICE_STOPPING))
        note_end(w, b, c);
    if (c->event == EVENT_NO_FORK || (c->from == SERVICE_BACKOFF && c->event != EVENT_DEADLINE))
        b->retried = false;
    if (c->from == SERVICE_BACKOFF && c->to == SERVICE_PENDING && c->event == EVENT_UP)
        forgive(b);
    b->state = c->to;
}

static void note_start(struct world *w, struct book *b, const struct service *s)
{
    if (s->prepared)
        return;
    if (b->n_recent == TRIES_KEPT)
        memmove(b->recent, b->recent + 1, --b->n_recent * sizeof *b->recent);
    b->recent[b->n_recent++] = w->now;
    check_rate(w, s);
    b->retried = false;
}

/* Before the engine is told. */
void book_event(struct world *w, const struct service *s, enum engine_event e)
{
    struct book *b = &w->book[s->slot];

    if (e == EVENT_FORKED) {
        note_start(w, b, s);
        b->started = w->now;
    }
    if (e == EVENT_EXITED) {
        b->main_died = true;
        b->died_in = w->turns;
    }
    if (e == EVENT_FAULT)
        check_fault(w, s);
    if (e == EVENT_SIGNALLED)
        b->last_signal = w->now;
}
