/* Arguments, the first acts of a process that may be PID 1, and its last. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tend/check.h"
#include "tend/inherited.h"
#include "tend/log.h"
#include "tend/options.h"
#include "tend/process.h"
#include "tend/raw.h"
#include "tend/record.h"
#include "tend/terminal.h"
#include "tend/world.h"

/* ---- first acts ---- */

/* A descriptor that is missing would be given to the first file that we open, and services would
 * write into it. */
static void open_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            open("/dev/null", O_RDWR | O_NOCTTY); /* gets the lowest number that is free */
}

static void close_on_exec(int fd)
{
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* What our starter left open is not meant for services. */
static void keep_from_services(void)
{
    if (syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC))
        inherited_each(close_on_exec);
}

/* Blocked signals wait for us, also those that are ignored and those that PID 1 would otherwise not
 * get at all (signal(7)). By plain system calls, since the C library hides two signals that others
 * may send all the same (nptl(7)). */
static void block_signals(struct spawn_caller *caller)
{
    static const uint64_t all = UINT64_MAX;

    raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&caller->blocked, sizeof all, 0);
}

static void stop_ignoring(int signal, struct spawn_caller *caller)
{
    /* as the kernel has it: handler, flags, restorer, mask */
    static const uint64_t standard[4] = {(uint64_t)(uintptr_t)SIG_DFL};
    uint64_t old[4] = {0};

    if (raw(SYS_rt_sigaction, signal, (long)standard, (long)old, sizeof *old, 0) == 0 &&
        old[0] == (uint64_t)(uintptr_t)SIG_IGN)
        caller->ignored |= UINT64_C(1) << (signal - 1);
}

/* A SIGCHLD that is ignored loses every exit (wait(2)), and a TSTP does not stop us. The rest is as
 * good as it is for a command; what our starter ignored would be ignored by our services. */
static void take_over_signals(struct spawn_caller *caller, bool for_command)
{
    stop_ignoring(SIGCHLD, caller);
    stop_ignoring(SIGTSTP, caller);
    for (int i = 1; !for_command && i <= 64; i++)
        stop_ignoring(i, caller);
}

static void make_absolute(char **path, const char *here)
{
    char *absolute;

    if (!*path || **path == '/' || !**path || !here ||
        asprintf(&absolute, "%s/%s", strcmp(here, "/") != 0 ? here : "", *path) < 0)
        return;
    free(*path);
    *path = absolute;
}

/* Our folder must not keep a file system busy; the paths given are relative to the old one. */
static void leave_folder(struct options *o)
{
    char *here = getcwd(NULL, 0);
    const char *runtime = getenv("TEND_RUNTIME");

    if (!o->runtime && runtime && *runtime)
        o->runtime = strdup(runtime);
    for (size_t i = 0; i < o->n_paths; i++)
        make_absolute(&o->paths[i], here);
    make_absolute(&o->runtime, here);
    free(here);
    if (chdir("/"))
        log_warn("/");
}

/* Where somebody sits before the terminal, the command has it from its first instruction on. Not
 * where we could not give it back, as our group has no number in our PID namespace: then it has it
 * as soon as it asks. */
static void open_terminal(struct world *w, struct options *o)
{
    struct spawn_caller *caller = &o->entrypoint.caller;
    bool now;

    w->terminal = terminal_open();
    w->has_tty = w->terminal >= 0;
    now = w->entrypoint && getpgrp() != 0 && terminal_is_stdio() && terminal_is_ours(w->terminal);
    caller->terminal = now ? w->terminal : -1;
}

static void tell_reaping(const struct world *w)
{
    if (!w->reaper)
        log_warnx("orphans do not come here: %s", w->entrypoint
                                                      ? "what leaves the command's session is lost"
                                                      : "services are followed by session");
    else if (w->entrypoint && getpid() != 1)
        log_info("not PID 1: a subreaper, so that orphans come here all the same");
}

/* NULL, or what we cannot do without and cannot have, with errno. */
static const char *open_needed(struct world *w, const struct options *o)
{
    sigset_t signals;

    memset(&signals, 0xff, sizeof signals); /* sigfillset leaves the hidden ones out */
    w->reaper = process_reaps_orphans();
    if (!w->reaper && o->entrypoint.subreaper)
        return "being a subreaper";
    if (!process_can_wait())
        return "waitid";
    return loop_open(&w->loop, &signals, SOURCE_SIGNAL);
}

/* The command of a command line talks to our starter itself. */
static void open_starter(struct world *w)
{
    if (w->entrypoint)
        return;
    w->starter = notify_client_open(getenv("NOTIFY_SOCKET"), getenv("WATCHDOG_USEC"),
                                    getenv("WATCHDOG_PID"));
    if (!w->starter && errno)
        log_warn("NOTIFY_SOCKET");
}

static int open_world(struct world *w, struct options *o)
{
    const char *missing;

    /* field by field: the history is large, and its pages stay untouched until they are needed */
    w->paths = o->paths;
    w->entrypoint = o->entrypoint.conf ? &o->entrypoint : NULL;
    w->strict = o->strict;
    w->ready_fd = o->ready_fd;
    w->runtime.dir = w->runtime.lock = w->control.socket = -1;
    w->group = (gid_t)-1;
    w->loader_fd = w->proc = w->store.fd = w->cgroup.own = w->cgroup.inotify = w->oom.fd = -1;
    w->extend_at = w->look_at = w->kill_at = w->resume_at = w->stop_sent = w->hung_up =
        w->progress.next = NEVER;
    w->deadline = o->deadline ? o->deadline : NEVER; /* 0: none, whatever the config says */
    w->deadline_given = o->deadline != NEVER;
    engine_init(&w->engine, act_changed, w);
    open_terminal(w, o);
    spawn_common_open(&w->common, environ, w->entrypoint ? &o->entrypoint.caller : NULL);
    missing = open_needed(w, o);
    if (missing) {
        log_warn("cannot run without %s", missing);
        return -1;
    }
    if (!w->entrypoint && !store_open(&w->store))
        log_warn("memfd");
    if (!w->entrypoint && serve_open(w, o->runtime))
        return -1;
    tell_reaping(w);
    open_starter(w);
    if (!w->entrypoint)
        roster_open(w);
    return 0;
}

static void close_world(struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        struct service *s = w->engine.graph.at[i];
        if (s)
            act_health_free(w, s);
        members_free(&w->lives[i].members);
        if (w->engine.graph.at[i] && w->lives[i].in_cgroup)
            cgroup_remove(&w->cgroup, service_name(w->engine.graph.at[i]));
    }
    if (w->cgroup.own >= 0)
        cgroup_close(&w->cgroup);
    cgroup_oom_close(&w->oom);
    serve_free(w);
    engine_free(&w->engine);
    child_table_free(&w->children);
    snapshot_free(&w->snapshot);
    store_close(&w->store);
    spawn_common_close(&w->common);
    config_close(w);
    free(w->moved);
    free(w->lives);
    free(w->endings);
    free(w->owners);
    free(w->pids);
    free(w->unknown);
}

int main(int argc, char **argv)
{
    static struct world world;
    static struct options options;
    struct spawn_caller caller = {.terminal = -1};
    int status;

    block_signals(&caller);
    open_standard();
    options_parse(&options, argc, argv);
    take_over_signals(&caller, options.entrypoint.conf != NULL);
    options.entrypoint.caller = caller;
    if (options.list)
        return check_options();
    if (options.check) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        return check_config(options.paths, options.deadline, options.format);
    }
    log_open();
    world.record = options.record ? record_open(options.record) : -1;
    if (options.record && world.record < 0) {
        log_warn("--record %s", options.record);
        return WORLD_NO_SYSTEM;
    }
    if (options.parent_death)
        prctl(PR_SET_PDEATHSIG, options.parent_death);
    if (options.entrypoint.conf) {
        options.entrypoint.conf->umask = umask(022);
    } else {
        keep_from_services();
        leave_folder(&options);
        umask(022);
    }
    if (open_world(&world, &options))
        return WORLD_NO_SYSTEM;
    /* From here on nothing ends the process but the end of all services. */
    status = turn_run(&world);
    if (!world.entrypoint) /* else there is nothing that the kernel does not do faster */
        close_world(&world);
    return status;
}
