/* When services are probed and for how long, their watchdogs, and what a change of their state or
 * of the config makes of both. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tend/log.h"
#include "tend/units.h"
#include "tend/world.h"

enum { LONG_TALK = 1000 };

/* ---- which there are ---- */

static bool needs_checkup(const struct conf *c)
{
    return c->watchdog || conf_wants_notify(c) || conf_has_health(c) ||
           c->ready.on == CONF_READY_TCP || c->ready.on == CONF_READY_UNIX ||
           c->ready.on == CONF_READY_COMMAND;
}

static int make_room(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);

    if (l->checkup || !needs_checkup(s->conf))
        return 0;
    l->checkup = calloc(1, sizeof *l->checkup);
    if (!l->checkup)
        return -1;
    l->checkup->probe.fd = -1;
    health_off(&l->checkup->health);
    w->checkups++;
    return 0;
}

/* What was said when the last life ended is not of this one. */
int act_health_begin(struct world *w, struct service *s)
{
    struct checkup *c;

    if (make_room(w, s))
        return -1;
    c = world_life(w, s)->checkup;
    if (c) {
        health_off(&c->health);
        c->fault[0] = '\0';
    }
    return 0;
}

void act_health_free(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);

    if (!l->checkup)
        return;
    act_probe_end(w, s);
    free(l->checkup);
    l->checkup = NULL;
    w->checkups--;
}

/* ---- time ---- */

void act_health_starved(struct world *w, struct service *s, const char *why)
{
    const struct engine_fact fact = {.cause = CAUSE_WATCHDOG};

    if (s->state != SERVICE_RUNNING && (s->state != SERVICE_STARTING || s->preparing || !s->pid))
        return;
    log_warnx("%s: watchdog: %s", service_name(s), why);
    engine_event(&w->engine, s, EVENT_FAULT, w->now, &fact);
}

static void starve(struct world *w, struct service *s)
{
    char interval[UNITS_DURATION_MAX], why[UNITS_DURATION_MAX + 48];

    units_duration_short(world_life(w, s)->checkup->health.watchdog, interval);
    snprintf(why, sizeof why, "it has not said for %s that it is alive", interval);
    act_health_starved(w, s, why);
}

static void expire(struct world *w, struct service *s)
{
    struct checkup *c = world_life(w, s)->checkup;
    enum health_verdict verdict = HEALTH_SAME;

    if (c->probe.fd >= 0 && c->health.probing && c->health.probe_at <= w->now) {
        act_probe_late(w, s);
        return;
    }
    switch (health_expire(&c->health, s->conf, w->now, &verdict)) {
    case HEALTH_NOTHING:
        break;
    case HEALTH_PROBE:
        act_probe_ask(w, s);
        break;
    case HEALTH_LATE:
        act_probe_end(w, s);
        snprintf(c->fault, sizeof c->fault, "no answer in time");
        act_probe_judge(w, s, verdict);
        break;
    case HEALTH_STARVED:
        starve(w, s);
        break;
    }
}

/* One of the messages that are yet to be read may say that it is alive; but nobody talks for ever.
 */
static bool has_more_to_say(const struct world *w, const struct life *l)
{
    return l->talk && l->talk->unread == w->turn &&
           health_deadline(&l->checkup->health) > w->now - LONG_TALK;
}

void act_health_expire(struct world *w)
{
    act_health_follow(w);
    for (size_t i = 0; w->checkups && i < w->engine.graph.n; i++) {
        struct service *s = w->engine.graph.at[i];
        struct life *l = &w->lives[i];
        if (!s || !l->checkup || has_more_to_say(w, l))
            continue;
        while (health_deadline(&l->checkup->health) <= w->now)
            expire(w, s);
    }
}

msec act_health_deadline(const struct world *w)
{
    msec first = NEVER;

    for (size_t i = 0; w->checkups && i < w->engine.graph.n; i++) {
        const struct checkup *c = w->engine.graph.at[i] ? w->lives[i].checkup : NULL;
        if (c && health_deadline(&c->health) < first)
            first = health_deadline(&c->health);
    }
    return first;
}

void act_health_fed(struct world *w, struct service *s)
{
    struct checkup *c = world_life(w, s)->checkup;

    if (c)
        health_fed(&c->health, loop_now_up());
}

void act_health_extend(struct world *w, struct service *s, msec wait)
{
    struct checkup *c = world_life(w, s)->checkup;

    if (c)
        health_extend(&c->health, loop_now_up(), wait);
}

void act_health_set_watchdog(struct world *w, struct service *s, msec interval)
{
    struct checkup *c = world_life(w, s)->checkup;

    if (c && !service_is_ending(s))
        health_set_watchdog(&c->health, interval, loop_now_up());
}

/* ---- what becomes of the service ---- */

void act_health_executed(struct world *w, struct service *s)
{
    struct checkup *c = world_life(w, s)->checkup;

    if (c && s->state == SERVICE_STARTING && s->executed)
        health_starting(&c->health, s->conf, loop_now_up());
}

void act_health_moved(struct world *w, const struct service *s)
{
    struct life *l = world_life(w, s);

    if (!l->checkup || l->moved)
        return;
    l->moved = true;
    w->moved[w->n_moved++] = s->slot;
}

static void follow(struct world *w, struct service *s)
{
    struct checkup *c = world_life(w, s)->checkup;

    if (s->state == SERVICE_RUNNING) {
        health_running(&c->health, s->conf, loop_now_up());
        if (!c->health.probing)
            act_probe_end(w, s);
    } else if (s->state != SERVICE_STARTING) {
        health_off(&c->health);
        act_probe_end(w, s);
    }
    c->fault[0] = '\0';
}

void act_health_follow(struct world *w)
{
    while (w->n_moved) {
        unsigned slot = w->moved[--w->n_moved];
        w->lives[slot].moved = false;
        if (w->engine.graph.at[slot] && w->lives[slot].checkup)
            follow(w, w->engine.graph.at[slot]);
    }
}

static void reconfigure(struct world *w, struct service *s)
{
    struct checkup *c = world_life(w, s)->checkup;
    bool marked = c->health.marked;

    if (s->state == SERVICE_RUNNING && c->health.phase == HEALTH_OFF)
        health_running(&c->health, s->conf, loop_now_up());
    else
        health_changed(&c->health, s->conf, loop_now_up());
    if (!c->health.probing)
        act_probe_end(w, s);
    if (marked && !c->health.marked)
        observe_health(w, s, "");
}

/* One that was not probed before may be now. */
void act_health_reconfigured(struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        struct service *s = w->engine.graph.at[i];
        if (!s || !service_live(s))
            continue;
        if (make_room(w, s))
            log_warnx("%s: cannot be probed: %s", service_name(s), strerror(ENOMEM));
        if (w->lives[i].checkup)
            reconfigure(w, s);
    }
}
