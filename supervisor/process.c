#include "tend/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct service_exit exit_from_info(const siginfo_t *info)
{
    if (info->si_code == CLD_EXITED)
        return (struct service_exit){.how = EXIT_CODE, .number = info->si_status & 0xff};
    return (struct service_exit){
        .how = EXIT_SIGNAL, .number = info->si_status, .core = info->si_code == CLD_DUMPED};
}

/* The low byte is the signal; what is above it tells a ptrace event stop, which has none. */
static void let_go(const siginfo_t *info)
{
    long signal = info->si_status >> 8 ? 0 : info->si_status & 0x7f;

    if (signal == SIGTRAP)
        signal = 0;
    ptrace(PTRACE_DETACH, info->si_pid, NULL, signal);
}

pid_t process_peek(struct service_exit *exit)
{
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT)) {
            if (errno == EINTR)
                continue;
            return errno == ECHILD ? -1 : 0;
        }
        if (info.si_pid == 0)
            return 0;
        if (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED ||
            info.si_code == CLD_DUMPED) {
            *exit = exit_from_info(&info);
            return info.si_pid;
        }
        let_go(&info);
    }
}

bool process_can_wait(void)
{
    siginfo_t info;

    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno == ECHILD;
}

void process_reap(pid_t pid)
{
    while (waitpid(pid, NULL, WNOHANG) < 0 && errno == EINTR)
        ;
}

int process_stopped(pid_t child)
{
    siginfo_t info = {0};

    if (waitid(P_PID, (id_t)child, &info, WSTOPPED | WNOHANG) || info.si_pid != child)
        return 0;
    return info.si_code == CLD_STOPPED ? info.si_status : 0;
}

bool process_group_has_child(pid_t group)
{
    siginfo_t info;

    return group > 1 && waitid(P_PGID, (id_t)group, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static bool allowed(pid_t pid)
{
    static pid_t self;

    if (!self)
        self = getpid();
    return pid > 1 && pid != self;
}

static int refuse(void)
{
    errno = EINVAL;
    return -1;
}

int process_signal(pid_t child, int signal)
{
    return allowed(child) ? kill(child, signal) : refuse();
}

int process_signal_group(pid_t leader, int signal)
{
    if (!allowed(leader) || leader == getpgrp())
        return refuse();
    if (kill(-leader, signal) == 0)
        return 0;
    return errno == ESRCH ? kill(leader, signal) : -1;
}

int process_signal_held(int fd, int signal)
{
    return (int)syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0);
}

int process_signal_other(pid_t pid, int signal, bool (*same)(void *arg, pid_t), void *arg)
{
    int fd, result;

    if (!allowed(pid))
        return refuse();
    fd = process_open(pid);
    if (!same(arg, pid)) {
        if (fd >= 0)
            close(fd);
        errno = ESRCH;
        return -1;
    }
    if (fd < 0)
        return errno == ESRCH ? -1 : kill(pid, signal);
    result = process_signal_held(fd, signal);
    if (result && errno != ESRCH)
        result = kill(pid, signal);
    close(fd);
    return result;
}

int process_open(pid_t pid)
{
    return allowed(pid) ? (int)syscall(SYS_pidfd_open, pid, 0) : refuse();
}

bool process_is_child(pid_t pid)
{
    siginfo_t info;

    return pid > 1 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

bool process_has_ended(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

bool process_suspend(void)
{
    sigset_t stop, pending;

    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    kill(0, SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &stop, NULL);
    /* stopped here */
    sigprocmask(SIG_BLOCK, &stop, NULL);
    return sigpending(&pending) == 0 && sigismember(&pending, SIGCONT) == 1;
}

bool process_is_alone(void)
{
    return process_signal_all(0) && errno == ESRCH;
}

int process_signal_all(int signal)
{
    if (getpid() != 1) {
        errno = EPERM;
        return -1;
    }
    return kill(-1, signal);
}

bool process_reaps_orphans(void)
{
    return getpid() == 1 || prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L) == 0;
}
