/* The reload of one service: a signal to its main process, or a command of its own. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "tend/log.h"
#include "tend/process.h"
#include "tend/world.h"

static bool is_there(const struct service *s)
{
    return s->executed && !s->preparing &&
           (s->state == SERVICE_STARTING || s->state == SERVICE_RUNNING);
}

int act_can_reload(const struct world *w, const struct service *s)
{
    const struct life *l = world_life(w, s);
    bool busy = l->reload_pid || (l->talk && l->talk->reload_due);

    errno = !is_there(s) ? ESRCH : busy ? EBUSY : 0;
    return errno ? -1 : 0;
}

static int send(struct world *w, struct service *s)
{
    if (act_main_signal(w, s, s->conf->reload.signal, false))
        return -1;
    observe_sent(w, s, s->conf->reload.signal, false);
    return 0;
}

static int start(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);
    struct spawn_order order = {.argv = s->conf->reload.command};
    struct engine_fact fact = {0};
    pid_t pid = act_start_child(w, s, &order, CHILD_RELOAD, &fact);

    if (pid < 0) {
        log_warnx("%s: reload command: %s: %s", service_name(s), spawn_step_name(fact.error_step),
                  strerror(fact.error));
        errno = fact.error;
        return -1;
    }
    child_find(&w->children, pid)->deadline = w->now + s->conf->reload.command_timeout;
    l->reload_pid = pid;
    l->reload_killed = false;
    w->reloads++;
    observe_forked(w, s, CHILD_RELOAD, pid);
    return 0;
}

/* ---- the answer ---- */

/* As MONOTONIC_USEC counts (sd_notify(3)). */
static uint64_t microseconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void await(struct world *w, struct service *s)
{
    struct talk *t = world_life(w, s)->talk;

    if (s->conf->reload.on != CONF_RELOAD_NOTIFY || !t)
        return;
    t->reload_due = true;
    t->reload_begun = false;
    t->reload_asked = microseconds();
    t->reload_by = loop_now_up() + s->conf->reload.command_timeout;
    w->reloads_due++;
}

static void await_no_more(struct world *w, struct service *s, bool failed)
{
    struct life *l = world_life(w, s);

    if (!l->talk || !l->talk->reload_due)
        return;
    l->talk->reload_due = false;
    w->reloads_due--;
    l->reload_failed |= failed;
}

void act_reload_heard(struct world *w, struct service *s, uint64_t usec)
{
    struct talk *t = world_life(w, s)->talk;

    if (t->reload_due && (!usec || usec >= t->reload_asked))
        t->reload_begun = true;
}

void act_reload_answered(struct world *w, struct service *s)
{
    if (world_life(w, s)->talk->reload_begun)
        await_no_more(w, s, false);
}

void act_reload_expire(struct world *w)
{
    for (size_t i = 0; w->reloads_due && i < w->engine.graph.n; i++) {
        struct service *s = w->engine.graph.at[i];
        const struct talk *t = s ? w->lives[i].talk : NULL;
        if (!t || !t->reload_due || t->reload_by > w->now)
            continue;
        observe_notify(w, s, "has not answered in time that it has reloaded");
        await_no_more(w, s, true);
    }
}

msec act_reload_deadline(const struct world *w)
{
    msec first = NEVER;

    for (size_t i = 0; w->reloads_due && i < w->engine.graph.n; i++) {
        const struct talk *t = w->engine.graph.at[i] ? w->lives[i].talk : NULL;
        if (t && t->reload_due && t->reload_by < first)
            first = t->reload_by;
    }
    return first;
}

/* ---- asking for it ---- */

int act_reload(struct world *w, struct service *s)
{
    int result;

    if (act_can_reload(w, s))
        return -1;
    await(w, s); /* its answer may be there before we look again */
    result = s->conf->reload.command ? start(w, s) : send(w, s);
    world_life(w, s)->reload_failed = result != 0;
    if (result)
        await_no_more(w, s, true);
    return result;
}

static void end(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);

    act_end_child(w, s, l->reload_pid);
    l->reload_killed = true;
}

void act_reload_late(struct world *w, struct service *s)
{
    if (world_life(w, s)->reload_killed)
        return;
    log_warnx("%s: reload command not done in time: KILL", service_name(s));
    end(w, s);
}

void act_reload_ended(struct world *w, struct service *s, const struct service_exit *exit)
{
    struct life *l = world_life(w, s);

    observe_command(w, s, CHILD_RELOAD, l->reload_pid, exit);
    l->reload_failed |= exit->how != EXIT_CODE || exit->number != 0;
    l->reload_pid = 0;
    w->reloads--;
    if (l->reload_failed)
        await_no_more(w, s, true);
}

void act_end_reloads(struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        struct service *s = w->engine.graph.at[i];
        if (!s || is_there(s))
            continue;
        if (w->lives[i].reload_pid && !w->lives[i].reload_killed)
            end(w, s);
        await_no_more(w, s, true);
    }
}
