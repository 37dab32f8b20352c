/* The command of our command line: its start, its signals, its terminal. */
#include "tend/entrypoint.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tend/inherited.h"
#include "tend/log.h"
#include "tend/process.h"
#include "tend/terminal.h"
#include "tend/world.h"

/* As PID 1 we are not stopped, but the job that we belong to may be, outside of our namespace,
 * where our group has no number: then the shell there takes the terminal within this time. */
enum { SHELL_TIME = 300 };

/* A stop so soon after a signal that was sent through us is taken for its effect. */
enum { STOP_TIME = 1000 };

static struct service *command_of(const struct world *w)
{
    return w->engine.graph.at[0];
}

/* ---- the start ---- */

static int by_value(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void close_one(int fd)
{
    close(fd);
}

static void close_inherited(const struct world *w)
{
    const struct spawn *child = w->lives[0].main;
    int ours[] = {STDERR_FILENO, w->common.null,  w->terminal,
                  w->store.fd,   log_fd(),        w->record,
                  w->loop.epoll, w->loop.signals, child ? spawn_fd(child) : -1,
                  w->ready_fd};
    unsigned first = STDERR_FILENO + 1;

    qsort(ours, ARRAY_SIZE(ours), sizeof *ours, by_value);
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
        if (ours[i] > (int)first && syscall(SYS_close_range, first, ours[i] - 1, 0))
            return inherited_each(close_one);
        if (ours[i] >= (int)first)
            first = (unsigned)ours[i] + 1;
    }
    if (syscall(SYS_close_range, first, ~0u, 0))
        inherited_each(close_one);
}

/* A reader would wait for the end of a pipe that we hold, a folder could not be unmounted. */
static void let_go_of_callers(const struct world *w)
{
    if (w->common.null >= 0) {
        dup2(w->common.null, STDIN_FILENO);
        dup2(w->common.null, STDOUT_FILENO);
    }
    close_inherited(w);
    if (chdir("/"))
        log_warn("/");
}

static struct conf_set *set_of_one(struct conf *conf)
{
    struct conf_set *set = calloc(1, sizeof *set);

    if (set)
        set->at = calloc(1, sizeof(struct conf *));
    if (!set || !set->at) {
        free(set);
        return NULL;
    }
    conf_supervisor_init(&set->supervisor);
    set->supervisor.cgroup = CONF_CGROUP_NO;
    set->supervisor.grace = conf->stop.grace;
    set->at[0] = conf;
    set->n = 1;
    return set;
}

static int take(struct world *w)
{
    struct conf_set *set = set_of_one(w->entrypoint->conf);

    if (!set || config_take(w, set))
        return -1;
    conf_set_free(set);
    return 0;
}

int entrypoint_start(struct world *w)
{
    if (take(w))
        return -1;
    w->foreground = w->entrypoint->caller.terminal >= 0;
    act(w);
    let_go_of_callers(w);
    if (command_of(w)->cause != CAUSE_FORK)
        return 0;
    errno = command_of(w)->error;
    log_warn("%s", spawn_step_name(command_of(w)->error_step));
    w->status = WORLD_NO_SYSTEM;
    w->over = true;
    return 0;
}

/* ---- signals ---- */

static void send(struct world *w, int signal)
{
    const struct service *s = command_of(w);

    if (s->conf->stop.to == CONF_TO_MAIN)
        process_signal(s->pid, signal);
    else
        process_signal_group(s->pid, signal);
}

static bool stops(int signal)
{
    return signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU || signal == SIGSTOP;
}

/* The calling shell has put us into the foreground again, or into the background. In a pipeline the
 * terminal is not for us to give away: another stage may be reading from it. */
static void continued(struct world *w)
{
    w->stop_sent = w->resume_at = NEVER;
    if ((w->foreground || w->had_foreground) && terminal_is_ours(w->terminal)) {
        terminal_give(w->terminal, command_of(w)->pid);
        w->foreground = true;
    }
}

/* From the first TERM on: the grace period, and the deadline. */
static void begin_times(struct world *w)
{
    const struct entrypoint *e = w->entrypoint;

    if (w->kill_at == NEVER && e->grace != NEVER)
        w->kill_at = w->now + e->grace;
    if (w->engine.gone_by == NEVER && w->deadline != NEVER)
        engine_limit(&w->engine, w->now, w->now + w->deadline);
}

bool entrypoint_forward(struct world *w, int signal, bool sent)
{
    const struct entrypoint *e = w->entrypoint;
    struct service *s = command_of(w);
    int to = e->rewrite[signal];

    if (signal == SIGTERM)
        begin_times(w);
    if (!s->pid)
        return false;
    if (signal == SIGCONT)
        continued(w);
    if (signal == SIGCHLD || to == 0)
        return true;
    if (sent && stops(to))
        w->stop_sent = w->now;
    if (to == SIGTERM && s->conf->stop.to == CONF_TO_GROUP)
        w->term_tick = roster_tick();
    send(w, to);
    return true;
}

/* ---- job control ---- */

/* A command that goes on after HUP, and wants the terminal again, has it only now and then. */
static void hang_up(struct world *w)
{
    bool again = w->hung_up != NEVER && w->now - w->hung_up < STOP_TIME;

    send(w, SIGHUP);
    w->hung_up = w->now;
    if (again)
        w->resume_at = w->now + STOP_TIME;
    else
        send(w, SIGCONT);
}

/* As the terminal would have stopped us together with the command, had we been one job; so the
 * shell finds out, also one that is not our parent. Where nobody could ever continue us it is as if
 * the command's own group were orphaned: no TSTP from the terminal, and HUP instead of an endless
 * wait for the foreground (POSIX, XSH 2.4.3 and 3.2.2.2). */
static void suspended(struct world *w, int signal)
{
    bool asked = w->stop_sent != NEVER && w->now - w->stop_sent < STOP_TIME;

    if (process_suspend()) { /* to be continued with CONT, which is sent on */
        w->had_foreground = w->foreground;
        w->foreground = false;
    } else if (getpgrp() == 0) {
        if (signal == SIGTSTP && !asked)
            w->resume_at = loop_now() + SHELL_TIME;
    } else if (signal == SIGTSTP && !asked) {
        send(w, SIGCONT);
    } else if (signal == SIGTTIN || signal == SIGTTOU) {
        hang_up(w);
    }
}

void entrypoint_resume(struct world *w)
{
    pid_t command = command_of(w)->pid;

    w->resume_at = NEVER;
    if (command && (w->hung_up != NEVER || terminal_has(w->terminal, command) ||
                    terminal_is_ours(w->terminal)))
        send(w, SIGCONT);
}

static void stopped(struct world *w, int signal)
{
    pid_t command = command_of(w)->pid;

    if (w->terminal < 0)
        return;
    if ((signal == SIGTTIN || signal == SIGTTOU) && terminal_is_ours(w->terminal)) {
        terminal_give(w->terminal, command);
        w->foreground = true;
        send(w, SIGCONT);
    } else if (signal != SIGSTOP || terminal_has(w->terminal, command)) {
        suspended(w, signal);
    }
}

void entrypoint_look(struct world *w)
{
    struct service *s = command_of(w);
    int signal = s->pid ? process_stopped(s->pid) : 0;

    if (signal)
        stopped(w, signal);
}

void entrypoint_ended(struct world *w)
{
    if (w->foreground)
        terminal_give(w->terminal, getpgrp());
    w->foreground = false;
}
