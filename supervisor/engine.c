/* All services together: levels, deadlines, shutdown, reload. */
#include "tend/engine.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tend/engine_life.h"

void engine_init(struct engine *e, void (*changed)(void *self, const struct engine_change *),
                 void *self)
{
    *e = (struct engine){
        .changed = changed, .self = self, .earliest = NEVER, .gone_by = NEVER, .kill_at = NEVER};
}

void engine_free(struct engine *e)
{
    graph_free(&e->graph);
}

/* ---- queues ---- */

static void push(struct engine *e, enum service_queue q, struct service *s)
{
    if (s->queued & (1u << q))
        return;
    s->queued |= 1u << q;
    s->next[q] = NULL;
    if (e->queue[q].last)
        e->queue[q].last->next[q] = s;
    else
        e->queue[q].first = s;
    e->queue[q].last = s;
}

static struct service *pop(struct engine *e, enum service_queue q)
{
    struct service *s = e->queue[q].first;

    if (!s)
        return NULL;
    e->queue[q].first = s->next[q];
    if (!e->queue[q].first)
        e->queue[q].last = NULL;
    s->queued &= ~(1u << q);
    return s;
}

void engine_want(struct engine *e, struct service *s, unsigned action)
{
    s->pending |= action;
    push(e, QUEUE_ACTION, s);
}

/* Levels depend on the neighbours alone, `going` and `hopeless` on what is required. */
void engine_touch(struct engine *e, struct service *s)
{
    push(e, QUEUE_GOING, s);
    push(e, QUEUE_LEVEL, s);
    for (size_t i = 0; i < s->n_needs; i++)
        push(e, QUEUE_LEVEL, s->needs[i].to);
    for (size_t i = 0; i < s->n_needed_by; i++) {
        push(e, QUEUE_GOING, s->needed_by[i].to);
        push(e, QUEUE_LEVEL, s->needed_by[i].to);
    }
}

static void touch_all(struct engine *e)
{
    for (size_t i = 0; i < e->graph.n; i++)
        if (e->graph.at[i])
            engine_touch(e, e->graph.at[i]);
}

/* A service stays queued while it has another action, which then follows at once. */
struct service *engine_next_action(struct engine *e, enum service_action *what)
{
    struct service *s;

    while ((s = e->queue[QUEUE_ACTION].first)) {
        if (s->pending) {
            *what = (enum service_action)(s->pending & -s->pending);
            s->pending &= s->pending - 1;
            return s;
        }
        pop(e, QUEUE_ACTION);
    }
    return NULL;
}

const struct service *engine_peek_action(const struct engine *e)
{
    const struct service *s = e->queue[QUEUE_ACTION].first;

    while (s && !s->pending)
        s = s->next[QUEUE_ACTION];
    return s;
}

/* ---- levels ---- */

/* Settled before any level is read: a dependency must not be stopped because its dependent has
 * not yet been found to be going. */
static void settle_going(struct engine *e)
{
    struct service *s;

    while ((s = pop(e, QUEUE_GOING))) {
        bool going = graph_going(s, e->shutdown), hopeless;
        bool changed = going != s->going;
        s->going = going;
        hopeless = graph_hopeless(s);
        changed = changed || hopeless != s->hopeless;
        s->hopeless = hopeless;
        if (changed)
            engine_touch(e, s);
    }
}

static bool stoppable(const struct service *s)
{
    return s->state == SERVICE_STARTING || s->state == SERVICE_RUNNING || s->state == SERVICE_DONE;
}

/* A process that was not made yet is not made at all: there is nothing to wait for. */
static bool may_stop(const struct engine *e, const struct service *s)
{
    return e->hurry || graph_quiet(s) || (s->going && s->pending & ACTION_SPAWN);
}

/* It does not change its state, but now waits for what will not come by itself. Told only when
 * `hopeless` has settled: on its way through the set it may come and go. */
static void tell_in_vain(struct engine *e, struct service *s, msec now)
{
    struct engine_change change = {
        .service = s, .from = s->state, .to = s->state, .event = EVENT_CLEAR, .now = now};

    if (s->hopeless && !s->in_vain && e->changed)
        e->changed(e->self, &change);
    s->in_vain = s->hopeless;
}

static void look(struct engine *e, struct service *s, msec now)
{
    if (s->state != SERVICE_PENDING)
        s->in_vain = false;
    if (e->shutdown && (s->state == SERVICE_PENDING || s->state == SERVICE_BACKOFF))
        engine_event(e, s, EVENT_DOWN, now, NULL);
    else if (s->state == SERVICE_PENDING && graph_clear(s))
        engine_event(e, s, EVENT_CLEAR, now, NULL);
    else if (s->state == SERVICE_PENDING)
        tell_in_vain(e, s, now);
    else if (stoppable(s) && may_stop(e, s))
        engine_event(e, s, EVENT_QUIET, now, NULL);
}

void engine_settle(struct engine *e, msec now)
{
    struct service *s;

    settle_going(e);
    while ((s = pop(e, QUEUE_LEVEL))) {
        look(e, s, now);
        settle_going(e);
    }
}

/* ---- time ---- */

/* earliest may be too early, never too late; it is made exact when it was reached. */
static void find_earliest(struct engine *e)
{
    e->earliest = NEVER;
    for (size_t i = 0; i < e->graph.n; i++)
        if (e->graph.at[i] && e->graph.at[i]->deadline < e->earliest)
            e->earliest = e->graph.at[i]->deadline;
}

msec engine_deadline(struct engine *e)
{
    find_earliest(e);
    return !e->overdue && e->kill_at < e->earliest ? e->kill_at : e->earliest;
}

void engine_expire(struct engine *e, msec now)
{
    if (now >= e->kill_at && !e->overdue) {
        e->overdue = true;
        engine_hurry(e, now);
    }
    if (now < e->earliest)
        return;
    for (size_t i = 0; i < e->graph.n; i++) {
        struct service *s = e->graph.at[i];
        if (s && s->deadline <= now) {
            s->deadline = NEVER;
            engine_event(e, s, EVENT_DEADLINE, now, NULL);
        }
    }
    find_earliest(e);
}

/* ---- wishes about more than one ---- */

void engine_start(struct engine *e, struct service *first, msec now)
{
    struct service *s;

    push(e, QUEUE_WISH, first);
    while ((s = pop(e, QUEUE_WISH))) {
        engine_event(e, s, EVENT_UP, now, NULL);
        for (size_t i = 0; i < s->n_needs; i++)
            if (s->needs[i].kind != EDGE_AFTER && !s->needs[i].to->wanted)
                push(e, QUEUE_WISH, s->needs[i].to);
    }
}

void engine_shutdown(struct engine *e, msec now)
{
    if (e->shutdown)
        return;
    e->shutdown = true;
    e->shutdown_began = now;
    touch_all(e);
}

/* Without memory for it, each has its own time up to the last KILL. */
static void find_ways(struct engine *e)
{
    struct plan p;
    bool found = plan_of_waits(&p, &e->graph) == 0;

    for (size_t i = 0; i < e->graph.n; i++)
        if (e->graph.at[i])
            e->graph.at[i]->after = found ? p.at[i].after : 0;
    if (found)
        plan_free(&p);
}

/* A wait that is under way. */
static void shorten(struct engine *e, struct service *s, msec now)
{
    msec wait = s->deadline - now;

    if (s->deadline == NEVER || wait <= 0)
        return;
    if (s->state == SERVICE_STOPPING)
        life_shorten_stop(e, s, now);
    else if (s->state == SERVICE_KILLING && life_kill_wait(e, now) < wait)
        life_deadline(e, s, now + life_kill_wait(e, now));
}

void engine_limit(struct engine *e, msec now, msec gone_by)
{
    msec quarter = (gone_by - now) / 4;

    e->gone_by = gone_by;
    e->kill_at = gone_by - (quarter < ENGINE_RESERVE ? quarter : ENGINE_RESERVE);
    find_ways(e);
    for (size_t i = 0; i < e->graph.n; i++)
        if (e->graph.at[i])
            shorten(e, e->graph.at[i], now);
}

void engine_hurry(struct engine *e, msec now)
{
    engine_shutdown(e, now);
    e->hurry = true;
    touch_all(e);
    for (size_t i = 0; i < e->graph.n; i++) {
        struct service *s = e->graph.at[i];
        if (s && s->state == SERVICE_STOPPING)
            engine_event(e, s, EVENT_HURRY, now, NULL);
    }
}

void engine_members(struct engine *e, struct service *s, unsigned members, msec now)
{
    s->members = members;
    if (service_gone(s) && !(s->pending & ACTION_COMMAND) && service_is_ending(s))
        engine_event(e, s, EVENT_GONE, now, NULL);
}

bool engine_idle(const struct engine *e)
{
    for (size_t i = 0; i < e->graph.n; i++) {
        const struct service *s = e->graph.at[i];
        if (s && s->state != SERVICE_STUCK && (service_live(s) || s->state == SERVICE_BACKOFF))
            return false;
    }
    return e->queue[QUEUE_ACTION].first == NULL;
}

void engine_adopt(struct engine *e, struct service *s, msec now)
{
    (void)now;
    s->fresh = false;
    if (s->deadline < e->earliest)
        e->earliest = s->deadline;
    if (s->pending)
        push(e, QUEUE_ACTION, s);
    engine_touch(e, s);
}

static void queue_drop(struct engine *e, enum service_queue q, const struct service *gone)
{
    struct service *all = e->queue[q].first, *s;

    e->queue[q].first = e->queue[q].last = NULL;
    while ((s = all)) {
        all = s->next[q];
        s->queued &= ~(1u << q);
        if (s != gone)
            push(e, q, s);
    }
}

void engine_forget(struct engine *e, struct service *s)
{
    for (unsigned i = 0; i < e->graph.n; i++)
        if (e->graph.at[i] && e->graph.at[i]->predecessor == s)
            engine_touch(e, e->graph.at[i]);
    for (int q = 0; q < SERVICE_QUEUE_COUNT; q++)
        if (s->queued & (1u << q))
            queue_drop(e, (enum service_queue)q, s);
    graph_remove(&e->graph, s);
}
