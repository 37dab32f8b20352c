/* The reload of one service: a signal to its main process, or a command of its own. */
#include <errno.h>
#include <signal.h>
#include <string.h>

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
    errno = !is_there(s) ? ESRCH : world_life(w, s)->reload_pid ? EBUSY : 0;
    return errno ? -1 : 0;
}

static int send(struct world *w, struct service *s)
{
    if (process_signal(s->pid, s->conf->reload.signal))
        return -1;
    observe_sent(w, s, s->conf->reload.signal, false);
    return 0;
}

static int start(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);
    struct engine_fact fact = {0};
    pid_t pid = act_start_child(w, s, s->conf->reload.command, CHILD_RELOAD, &fact);

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

int act_reload(struct world *w, struct service *s)
{
    int result;

    if (act_can_reload(w, s))
        return -1;
    result = s->conf->reload.command ? start(w, s) : send(w, s);
    world_life(w, s)->reload_failed = result != 0;
    return result;
}

/* Whoever has left its group has it as a parent yet, and so is found now or never. */
static void end(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);

    roster_refresh(w, s);
    process_signal_group(l->reload_pid, SIGKILL);
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
    l->reload_failed = exit->how != EXIT_CODE || exit->number != 0;
    l->reload_pid = 0;
    w->reloads--;
}

void act_end_reloads(struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        struct service *s = w->engine.graph.at[i];
        if (s && w->lives[i].reload_pid && !w->lives[i].reload_killed && !is_there(s))
            end(w, s);
    }
}
