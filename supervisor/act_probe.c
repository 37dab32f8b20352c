/* Probes of readiness and health, and the watchdog: what is due to connections and children, their
 * answers to the engine. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tend/address.h"
#include "tend/log.h"
#include "tend/process.h"
#include "tend/units.h"
#include "tend/world.h"

/* ---- which there are ---- */

static bool needs_checkup(const struct conf *c)
{
    return c->watchdog || conf_wants_notify(c) || conf_has_health(c) ||
           c->ready.on == CONF_READY_TCP || c->ready.on == CONF_READY_UNIX ||
           c->ready.on == CONF_READY_COMMAND;
}

int act_probe_room(struct world *w, struct service *s)
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

static void end_connection(struct world *w, struct checkup *c)
{
    if (c->probe.fd >= 0)
        loop_remove(&w->loop, c->probe.fd);
    probe_end(&c->probe);
}

/* Whoever has left its group has it as a parent yet, and so is found now or never. */
static void end_child(struct world *w, struct service *s)
{
    struct checkup *c = world_life(w, s)->checkup;

    if (!c->pid || c->given_up)
        return;
    roster_refresh(w, s);
    process_signal_group(c->pid, SIGKILL);
    c->given_up = true;
}

static void end(struct world *w, struct service *s)
{
    end_connection(w, world_life(w, s)->checkup);
    end_child(w, s);
}

void act_probe_free(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);

    if (!l->checkup)
        return;
    end_connection(w, l->checkup);
    free(l->checkup);
    l->checkup = NULL;
    w->checkups--;
}

/* ---- answers ---- */

static void act_on(struct world *w, struct service *s, enum health_verdict verdict)
{
    const struct engine_fact unhealthy = {.cause = CAUSE_FAULT};
    const struct checkup *c = world_life(w, s)->checkup;
    char what[HISTORY_WHAT_MAX];

    snprintf(what, sizeof what, "%s (%u in a row)", c->fault, c->health.failures);
    switch (verdict) {
    case HEALTH_SAME:
        break;
    case HEALTH_READY:
        engine_event(&w->engine, s, EVENT_READY, w->now, NULL);
        break;
    case HEALTH_WELL:
        observe_health(w, s, "");
        break;
    case HEALTH_ILL:
        observe_health(w, s, what);
        break;
    case HEALTH_FAULT:
        observe_health(w, s, what);
        engine_event(&w->engine, s, EVENT_FAULT, w->now, &unhealthy);
        break;
    }
}

PRINTF(4, 5)
static void answer(struct world *w, struct service *s, bool well, const char *format, ...)
{
    struct checkup *c = world_life(w, s)->checkup;
    va_list ap;

    va_start(ap, format);
    vsnprintf(c->fault, sizeof c->fault, format, ap);
    va_end(ap);
    act_on(w, s, health_answer(&c->health, s->conf, well, loop_now_up()));
}

/* For want of something of ours, which says nothing of the service; that may go on for long, and is
 * said once. */
static void skip(struct world *w, struct service *s, const char *why)
{
    struct checkup *c = world_life(w, s)->checkup;

    if (strcmp(c->fault, why) != 0)
        log_warnx("%s: cannot be probed: %s", service_name(s), why);
    snprintf(c->fault, sizeof c->fault, "%s", why);
    health_skipped(&c->health, s->conf, loop_now_up());
}

static void answer_connection(struct world *w, struct service *s, enum probe_state state)
{
    struct checkup *c = world_life(w, s)->checkup;
    int error = c->probe.error, status = c->probe.status;

    end_connection(w, c);
    if (c->probe.ours)
        skip(w, s, strerror(error));
    else if (state == PROBE_WELL)
        answer(w, s, true, "%s", "");
    else if (status)
        answer(w, s, false, "HTTP status %d", status);
    else
        answer(w, s, false, "%s", error ? strerror(error) : "no HTTP answer");
}

void act_probe_ended(struct world *w, struct service *s, const struct service_exit *exit)
{
    struct checkup *c = world_life(w, s)->checkup;
    char text[EXIT_TEXT_MAX];
    bool counts = !c->given_up;

    c->pid = 0;
    if (!counts)
        return;
    if (c->failure.error)
        answer(w, s, false, "%s: %s", spawn_step_name(c->failure.step), strerror(c->failure.error));
    else if (exit->how == EXIT_CODE && exit->number == 0)
        answer(w, s, true, "%s", "");
    else
        answer(w, s, false, "%s", exit_text(exit, text));
}

/* ---- probing ---- */

/* What is asked: one of the three. */
struct question {
    const char *tcp, *http, *local;
    char *const *command;
};

static struct question question_of(const struct service *s, enum health_phase phase)
{
    const struct conf *c = s->conf;

    if (phase == HEALTH_RUNNING)
        return (struct question){c->health.tcp, c->health.http, c->health.local, c->health.command};
    return (struct question){
        .tcp = c->ready.on == CONF_READY_TCP ? c->ready.tcp : NULL,
        .local = c->ready.on == CONF_READY_UNIX ? c->ready.local : NULL,
        .command = c->ready.on == CONF_READY_COMMAND ? c->ready.command : NULL,
    };
}

static void wait_for(struct world *w, struct service *s, struct probe *p)
{
    unsigned wants = probe_wants(p);

    loop_want(&w->loop, p->fd, SOURCE_PROBE, s->slot, wants & EPOLLIN, wants & EPOLLOUT);
}

static void connect_to(struct world *w, struct service *s, const struct question *q)
{
    struct checkup *c = world_life(w, s)->checkup;
    enum probe_state state = PROBE_ILL;
    struct address to;
    const char *path;

    c->probe = (struct probe){.fd = -1, .over = true};
    if (q->http ? address_http(q->http, &to, &path) == 0 : address_tcp(q->tcp, &to) == 0)
        state = probe_begin(&c->probe, &to, q->http);
    if (state == PROBE_WAIT && loop_add(&w->loop, c->probe.fd, SOURCE_PROBE, s->slot)) {
        c->probe.ours = true;
        c->probe.error = errno;
        state = PROBE_ILL;
    }
    if (state != PROBE_WAIT) {
        answer_connection(w, s, state);
        return;
    }
    wait_for(w, s, &c->probe);
    health_begun(&c->health, s->conf, loop_now_up());
}

static void ask_child(struct world *w, struct service *s, const struct question *q)
{
    struct spawn_order order = {.argv = q->command, .local = q->local};
    struct checkup *c = world_life(w, s)->checkup;
    struct engine_fact fact = {0};
    char why[sizeof c->fault];

    c->given_up = false;
    c->pid = act_start_child(w, s, &order, CHILD_PROBE, &fact);
    if (c->pid > 0) {
        observe_forked(w, s, CHILD_PROBE, c->pid);
        health_begun(&c->health, s->conf, loop_now_up());
        return;
    }
    c->pid = 0;
    snprintf(why, sizeof why, "%s: %s", spawn_step_name(fact.error_step), strerror(fact.error));
    skip(w, s, why);
}

/* The child of the last probe, which did not answer in time, may not have ended yet. */
static void probe(struct world *w, struct service *s)
{
    struct checkup *c = world_life(w, s)->checkup;
    struct question q = question_of(s, c->health.phase);

    if (c->pid)
        answer(w, s, false, "the last probe has not ended yet");
    else if (q.command || q.local)
        ask_child(w, s, &q);
    else
        connect_to(w, s, &q);
}

void act_probe_woken(struct world *w, struct service *s)
{
    struct checkup *c = world_life(w, s)->checkup;
    enum probe_state state;

    if (!c || c->probe.fd < 0)
        return;
    state = probe_go_on(&c->probe);
    if (state == PROBE_WAIT)
        wait_for(w, s, &c->probe);
    else
        answer_connection(w, s, state);
}

/* ---- time ---- */

void act_probe_starved(struct world *w, struct service *s, const char *why)
{
    const struct engine_fact fact = {.cause = CAUSE_WATCHDOG};

    if (s->state != SERVICE_RUNNING && (s->state != SERVICE_STARTING || s->preparing))
        return;
    log_warnx("%s: watchdog: %s", service_name(s), why);
    engine_event(&w->engine, s, EVENT_FAULT, w->now, &fact);
}

static void starve(struct world *w, struct service *s)
{
    char interval[UNITS_DURATION_MAX], why[UNITS_DURATION_MAX + 48];

    units_duration_short(world_life(w, s)->checkup->health.watchdog, interval);
    snprintf(why, sizeof why, "it has not said for %s that it is alive", interval);
    act_probe_starved(w, s, why);
}

static void expire(struct world *w, struct service *s)
{
    struct checkup *c = world_life(w, s)->checkup;
    enum health_verdict verdict = HEALTH_SAME;

    /* an answer that is good so far may be one that does not end */
    if (c->probe.fd >= 0 && c->health.probing && c->health.probe_at <= w->now) {
        answer_connection(w, s, probe_late(&c->probe));
        return;
    }
    switch (health_expire(&c->health, s->conf, w->now, &verdict)) {
    case HEALTH_NOTHING:
        break;
    case HEALTH_PROBE:
        probe(w, s);
        break;
    case HEALTH_LATE:
        end(w, s);
        snprintf(c->fault, sizeof c->fault, "no answer in time");
        act_on(w, s, verdict);
        break;
    case HEALTH_STARVED:
        starve(w, s);
        break;
    }
}

void act_probe_expire(struct world *w)
{
    for (size_t i = 0; w->checkups && i < w->engine.graph.n; i++) {
        struct service *s = w->engine.graph.at[i];
        while (s && w->lives[i].checkup && health_deadline(&w->lives[i].checkup->health) <= w->now)
            expire(w, s);
    }
}

msec act_probe_deadline(const struct world *w)
{
    msec first = NEVER;

    for (size_t i = 0; w->checkups && i < w->engine.graph.n; i++) {
        const struct checkup *c = w->engine.graph.at[i] ? w->lives[i].checkup : NULL;
        if (c && health_deadline(&c->health) < first)
            first = health_deadline(&c->health);
    }
    return first;
}

void act_probe_fed(struct world *w, struct service *s)
{
    struct checkup *c = world_life(w, s)->checkup;

    if (c)
        health_fed(&c->health, loop_now_up());
}

void act_probe_set_watchdog(struct world *w, struct service *s, msec interval)
{
    struct checkup *c = world_life(w, s)->checkup;

    if (c)
        health_set_watchdog(&c->health, interval, loop_now_up());
}

/* ---- what becomes of the service ---- */

void act_probe_executed(struct world *w, struct service *s)
{
    struct checkup *c = world_life(w, s)->checkup;

    if (c && s->state == SERVICE_STARTING && s->executed)
        health_starting(&c->health, s->conf, loop_now_up());
}

void act_probe_moved(struct world *w, const struct service *s)
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
            end(w, s);
    } else if (s->state != SERVICE_STARTING) {
        health_off(&c->health);
        end(w, s);
    }
    c->fault[0] = '\0';
}

void act_probe_follow(struct world *w)
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
        end(w, s);
    if (marked && !c->health.marked)
        observe_health(w, s, "");
}

/* One that was not probed before may be now. */
void act_probe_reconfigured(struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        struct service *s = w->engine.graph.at[i];
        if (!s || !service_live(s))
            continue;
        if (act_probe_room(w, s))
            log_warnx("%s: cannot be probed: %s", service_name(s), strerror(ENOMEM));
        if (w->lives[i].checkup)
            reconfigure(w, s);
    }
}
