/* One probe: a question to a connection or a child, and from its answer to the engine. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "tend/address.h"
#include "tend/log.h"
#include "tend/world.h"

static void end_connection(struct world *w, struct checkup *c)
{
    if (c->probe.fd >= 0)
        loop_remove(&w->loop, c->probe.fd);
    probe_end(&c->probe);
}

void act_probe_end(struct world *w, struct service *s)
{
    struct checkup *c = world_life(w, s)->checkup;

    end_connection(w, c);
    if (c->pid && !c->given_up)
        act_end_child(w, s, c->pid);
    c->given_up = true;
}

/* ---- answers ---- */

void act_probe_judge(struct world *w, struct service *s, enum health_verdict verdict)
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
    c->skipped = false;
    act_probe_judge(w, s, health_answer(&c->health, s->conf, well, loop_now_up()));
}

/* For want of something of ours, which says nothing of the service; that may go on for long, and is
 * said once. */
static void skip(struct world *w, struct service *s, const char *why)
{
    struct checkup *c = world_life(w, s)->checkup;

    if (!c->skipped)
        log_warnx("%s: cannot be probed: %s", service_name(s), why);
    c->skipped = true;
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
    else if (exit->how == EXIT_CODE && c->connects)
        answer(w, s, false, "%s", strerror(exit->number));
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
    char why[128];

    c->given_up = false;
    c->connects = !q->command;
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
void act_probe_ask(struct world *w, struct service *s)
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

void act_probe_late(struct world *w, struct service *s)
{
    struct checkup *c = world_life(w, s)->checkup;

    /* an answer that is good so far may be one that does not end */
    answer_connection(w, s, probe_late(&c->probe));
}
