/* One wake-up in its order: last words before the obituary, what happened before what is asked. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "tend/log.h"
#include "tend/process.h"
#include "tend/world.h"

enum {
    EVENTS_IN_A_TURN = 64,
    SIGNALS_IN_A_TURN = 32,
    STRANGERS_IN_A_TURN = 256,
};

void turn_shutdown(struct world *w, const char *why, int status)
{
    if (w->engine.shutdown)
        return;
    w->status = status;
    observe_shutdown(w, why);
    engine_shutdown(&w->engine, w->now);
    if (w->deadline != NEVER && w->engine.gone_by == NEVER)
        engine_limit(&w->engine, w->now, w->now + w->deadline);
    config_stop(w);
}

/* ---- deaths ---- */

static bool is_unexplained(const struct service *s, const struct service_exit *exit)
{
    if (exit->how != EXIT_SIGNAL || exit->number != SIGKILL)
        return false;
    return s->state == SERVICE_STARTING || s->state == SERVICE_RUNNING ||
           (s->state == SERVICE_STOPPING && service_stop_signal(s) != SIGKILL);
}

static void bury_main(struct world *w, struct service *s, pid_t pid,
                      const struct service_exit *exit)
{
    struct life *l = world_life(w, s);
    struct engine_fact fact;

    fact = (struct engine_fact){
        .exit = *exit, .error = l->main_failure.error, .error_step = l->main_failure.step};
    fact.exit.oom = is_unexplained(s, exit) && cgroup_oom_took_one(&w->oom, w->now);
    act_on_death(w, s);
    persist_exit(&w->store.area, s, &fact.exit, fact.error, fact.error_step);
    if (w->entrypoint)
        entrypoint_ended(w);
    process_reap(pid);
    child_remove(&w->children, pid);
    act_main_close(w, s);
    engine_event(&w->engine, s, EVENT_EXITED, w->now, &fact);
    l->unsaved = true;
}

static void bury_plain(struct world *w, pid_t pid)
{
    process_reap(pid);
    child_remove(&w->children, pid);
}

/* Its last words may be that another process is the main one now. */
static void bury_main_or_former(struct world *w, struct service *s, pid_t pid,
                                const struct service_exit *exit)
{
    act_read_report(w, s, CHILD_MAIN);
    act_notify_last_words(w, s);
    if (pid == s->pid) {
        bury_main(w, s, pid, exit);
        return;
    }
    bury_plain(w, pid);
}

/* Of a stop command nothing is left either. */
static void bury_command(struct world *w, struct service *s, pid_t pid,
                         const struct service_exit *exit)
{
    act_read_report(w, s, CHILD_COMMAND);
    process_signal_group(pid, SIGKILL);
    persist_command_ended(&w->store.area, s, world_life(w, s)->leader);
    process_reap(pid);
    child_remove(&w->children, pid);
    observe_command(w, s, CHILD_COMMAND, pid, exit);
    engine_event(&w->engine, s, EVENT_COMMAND_ENDED, w->now, NULL);
    world_life(w, s)->unsaved = true;
}

/* Nor of its group is anything of a reload command or a probe; who left the group stays a part of
 * the service, which is seen while its session is known. */
static void bury_errand(struct world *w, struct service *s, const struct child *c)
{
    act_read_report(w, s, c->kind);
    roster_refresh_orphans(w, s);
    process_signal_group(c->pid, SIGKILL);
    bury_plain(w, c->pid);
}

static void bury_child(struct world *w, const struct child *child, const struct service_exit *exit)
{
    struct child c = *child;

    if (!c.service && c.kind != CHILD_LOADER) { /* it is forgotten already */
        bury_plain(w, c.pid);
        return;
    }
    switch (c.kind) {
    case CHILD_MAIN:
        bury_main_or_former(w, c.service, c.pid, exit);
        break;
    case CHILD_COMMAND:
        bury_command(w, c.service, c.pid, exit);
        break;
    case CHILD_RELOAD:
        bury_errand(w, c.service, &c);
        act_reload_ended(w, c.service, exit);
        break;
    case CHILD_PROBE:
        bury_errand(w, c.service, &c);
        act_probe_ended(w, c.service, exit);
        break;
    case CHILD_FORMER:
        bury_plain(w, c.pid);
        break;
    case CHILD_LOADER:
        bury_plain(w, c.pid);
        config_ended(w, c.pid);
        break;
    case CHILD_CLOSER:
        bury_plain(w, c.pid);
        act_notify_closed(w, c.service);
        break;
    case CHILD_KIND_COUNT:
        break;
    }
}

static void bury(struct world *w)
{
    struct service_exit exit;
    unsigned strangers = 0;
    pid_t pid;

    w->zombies = false;
    while ((pid = process_peek(&exit)) > 0) {
        const struct child *c = child_find(&w->children, pid);
        w->look = true;
        if (c) {
            bury_child(w, c, &exit);
            continue;
        }
        process_reap(pid);
        if (++strangers == STRANGERS_IN_A_TURN) {
            w->zombies = w->again = true;
            break;
        }
    }
    w->childless = pid < 0;
    if (strangers)
        observe_reaped(w, strangers);
}

/* ---- signals ---- */

/* While the orders of an operator are repeated, one is enough; a second INT says: at once. */
static void interrupted(struct world *w)
{
    if (++w->interrupts > 1) {
        if (!w->engine.hurry)
            log_info("hurry: KILL to all");
        engine_hurry(&w->engine, w->now);
    } else if (w->engine.shutdown) {
        log_info("the shutdown is under way; INT again: KILL to all");
    } else {
        turn_shutdown(w, "signal INT (again: KILL to all)", 0);
        if (w->entrypoint)
            log_info("INT again: KILL to what is left");
    }
}

static void make_again(struct world *w)
{
    serve_again(w);
    for (size_t i = 0; i < w->engine.graph.n; i++)
        if (w->engine.graph.at[i])
            act_notify_again(w, w->engine.graph.at[i]);
}

static void obey(struct world *w, const struct loop_signal *s)
{
    int signal = s->number;

    if (w->entrypoint && entrypoint_forward(w, signal, s->sent))
        return;
    if (signal == SIGTERM)
        turn_shutdown(w, "signal TERM", 0);
    else if (signal == SIGPWR)
        turn_shutdown(w, "signal PWR", 0);
    else if (signal == SIGRTMIN + 3)
        turn_shutdown(w, "signal RTMIN+3", 0);
    else if (signal == SIGINT)
        interrupted(w);
    else if (signal == SIGQUIT) {
        w->interrupts = 1;
        turn_shutdown(w, "signal QUIT", 0);
        interrupted(w);
    } else if (signal == SIGHUP && w->has_tty)
        turn_shutdown(w, "terminal hung up", 0);
    else if (signal == SIGHUP && !w->entrypoint && !w->engine.shutdown)
        config_ask(w, true);
    else if (signal == SIGUSR1 && !w->entrypoint)
        make_again(w);
}

/* ---- what is ready ---- */

static struct service *service_at(const struct world *w, uint32_t slot)
{
    return slot < w->engine.graph.n ? w->engine.graph.at[slot] : NULL;
}

static void read_reports(struct world *w, const struct loop_event *events, int n)
{
    for (int i = 0; i < n; i++) {
        struct service *s = service_at(w, events[i].index);
        if (s && events[i].kind == SOURCE_MAIN_REPORT)
            act_read_report(w, s, CHILD_MAIN);
        if (s && events[i].kind == SOURCE_COMMAND_REPORT)
            act_read_report(w, s, CHILD_COMMAND);
        if (s && events[i].kind == SOURCE_RELOAD_REPORT)
            act_read_report(w, s, CHILD_RELOAD);
        if (s && events[i].kind == SOURCE_PROBE_REPORT)
            act_read_report(w, s, CHILD_PROBE);
    }
}

static void read_messages(struct world *w, const struct loop_event *events, int n)
{
    for (int i = 0; i < n; i++) {
        struct service *s = service_at(w, events[i].index);
        if (s && events[i].kind == SOURCE_NOTIFY)
            act_notify_take(w, s);
        if (s && events[i].kind == SOURCE_READY)
            act_notify_read_ready(w, s);
    }
}

/* After the deaths: who has just died does not answer any more. */
static void read_answers(struct world *w, const struct loop_event *events, int n)
{
    act_health_follow(w);
    for (int i = 0; i < n; i++) {
        struct service *s = service_at(w, events[i].index);
        if (s && events[i].kind == SOURCE_MAIN)
            act_main_woken(w, s);
        if (s && events[i].kind == SOURCE_PROBE)
            act_probe_woken(w, s);
    }
}

static bool is_ready(const struct loop_event *events, int n, enum source source)
{
    for (int i = 0; i < n; i++)
        if (events[i].kind == source)
            return true;
    return false;
}

static int take_signals(struct world *w, struct loop_signal *signals)
{
    int n = 0;

    while (n < SIGNALS_IN_A_TURN && (signals[n] = loop_signal(&w->loop)).number) {
        if (signals[n].number == SIGCHLD)
            w->zombies = true;
        n++;
    }
    if (n == SIGNALS_IN_A_TURN)
        w->again = true;
    return n;
}

/* Of the others the engine has the time. */
static void expire_child(struct world *w, const struct child *c)
{
    switch (c->kind) {
    case CHILD_LOADER:
        config_late(w, c->pid);
        break;
    case CHILD_RELOAD:
        act_reload_late(w, c->service);
        break;
    case CHILD_MAIN:
    case CHILD_COMMAND:
    case CHILD_PROBE:
    case CHILD_FORMER:
    case CHILD_CLOSER:
    case CHILD_KIND_COUNT:
        break;
    }
}

static void expire(struct world *w)
{
    struct child *c;

    if (w->now >= w->kill_at) {
        w->kill_at = NEVER;
        log_info("the grace period is over: KILL to all");
        turn_shutdown(w, "the grace period is over", 0);
        engine_hurry(&w->engine, w->now);
    }
    if (w->now >= w->resume_at)
        entrypoint_resume(w);
    if (w->now >= w->engine.kill_at && !w->engine.overdue) {
        log_info("deadline: KILL to all that is left, in no order");
        turn_shutdown(w, "deadline", 0);
    }
    engine_expire(&w->engine, w->now);
    act_health_expire(w);
    act_reload_expire(w);
    act_notify_expire(w);
    while ((c = child_expired(&w->children, w->now)))
        expire_child(w, c);
    if (w->now >= w->look_at)
        w->look = true;
}

/* ---- the loop ---- */

static void save_changes(struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++)
        if (w->engine.graph.at[i] && w->lives[i].unsaved)
            act_save(w, w->engine.graph.at[i]);
}

/* A load, and a crowd of children on their way, take for a moment several times what stays. */
static void give_back(struct world *w)
{
    for (size_t i = 0; i < w->n_lives; i++)
        if (w->lives[i].main)
            return;
    w->crowded = false;
    malloc_trim(0);
}

static msec next_deadline(struct world *w)
{
    msec first = engine_deadline(&w->engine), other = child_deadline(&w->children);

    if (w->again || w->zombies || w->serves_on)
        return w->now;
    if (other < first)
        first = other;
    if (w->look_at < first)
        first = w->look_at;
    if (w->kill_at < first)
        first = w->kill_at;
    if (w->resume_at < first)
        first = w->resume_at;
    if (w->progress.next < first)
        first = w->progress.next;
    if (log_wait() < NEVER && w->now + log_wait() < first)
        first = w->now + log_wait();
    if (turn_end_deadline(w) < first)
        first = turn_end_deadline(w);
    if (serve_deadline(w) < first)
        first = serve_deadline(w);
    if (act_health_deadline(w) < first)
        first = act_health_deadline(w);
    if (act_notify_deadline(w) < first)
        first = act_notify_deadline(w);
    if (act_reload_deadline(w) < first)
        first = act_reload_deadline(w);
    if (announce_deadline(w) < first)
        first = announce_deadline(w);
    return first;
}

static void turn(struct world *w)
{
    struct loop_event events[EVENTS_IN_A_TURN];
    struct loop_signal signals[SIGNALS_IN_A_TURN];
    int n = loop_wait(&w->loop, w->now, next_deadline(w), events, EVENTS_IN_A_TURN), n_signals;

    log_hold();
    w->now = loop_now();
    w->turn++;
    w->again = w->serves_on = false;
    read_reports(w, events, n);
    read_messages(w, events, n);
    n_signals = take_signals(w, signals);
    if (w->zombies && w->entrypoint)
        entrypoint_look(w);
    if (w->zombies)
        bury(w);
    read_answers(w, events, n);
    if (is_ready(events, n, SOURCE_LOADER))
        config_read(w);
    for (int i = 0; i < n_signals; i++)
        obey(w, &signals[i]);
    if (is_ready(events, n, SOURCE_CGROUP))
        roster_woken(w);
    serve_take(w, events, n);
    expire(w);
    act(w);
    turn_maybe_end(w);
    act(w);
    turn_sweep(w);
    save_changes(w);
    serve_answer(w);
    announce_look(w);
    progress_look(w);
    if (w->crowded && !w->again)
        give_back(w);
    log_release();
}

int turn_run(struct world *w)
{
    w->now = loop_now();
    if (w->entrypoint ? entrypoint_start(w) != 0 : config_ask(w, true) == 0) {
        log_warn(w->entrypoint ? "command" : "config");
        return WORLD_NO_SYSTEM;
    }
    w->progress.live = log_can_redraw();
    if (!w->entrypoint)
        cgroup_oom_open(&w->oom); /* while the loading child is busy */
    while (!w->over)
        turn(w);
    observe_report(w);
    act_notify_close(w);
    serve_close(w, turn_last_words(w));
    announce_close(w, turn_last_words(w));
    log_drain(turn_last_words(w));
    return turn_exit_status(w);
}
