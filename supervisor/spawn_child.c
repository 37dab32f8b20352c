/* What a child does between its fork and its exec: system calls only, on data built before, since
 * it may share our memory. */
#include "tend/spawn_child.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "tend/raw.h"

/* Without close_range(2): as many as we may ever have open. */
enum { CLOSED_ONE_BY_ONE = 1 << 16 };

static void leave(int code) __attribute__((noreturn));
static void fail(const struct spawn *s, enum spawn_step step, long error) __attribute__((noreturn));

static void leave(int code)
{
    for (;;)
        raw(SYS_exit_group, code, 0, 0, 0, 0);
}

static void fail(const struct spawn *s, enum spawn_step step, long error)
{
    const struct spawn_failure f = {step, (int32_t)-error};

    raw(SYS_write, s->report_out, (long)&f, sizeof f, 0, 0);
    leave(f.error == ENOENT ? 127 : 126);
}

static void must(const struct spawn *s, enum spawn_step step, long result)
{
    if (result < 0)
        fail(s, step, result);
}

static void set_limits(const struct spawn *s)
{
    if (s->nofile.rlim_max != RLIM_INFINITY || s->nofile.rlim_cur != RLIM_INFINITY)
        raw(SYS_prlimit64, 0, RLIMIT_NOFILE, (long)&s->nofile, 0, 0);
    for (size_t i = 0; i < s->n_limits; i++)
        must(s, SPAWN_LIMITS,
             raw(SYS_prlimit64, 0, s->limits[i].resource, (long)&s->limits[i].limit, 0, 0));
}

static void set_oom_score(const struct spawn *s)
{
    long fd = raw(SYS_openat, AT_FDCWD, (long)spawn_oom_score_file, O_WRONLY | O_CLOEXEC, 0, 0);
    long result = fd;

    if (fd >= 0) {
        result = raw(SYS_write, fd, (long)s->oom_score_adj, s->oom_length, 0, 0);
        raw(SYS_close, fd, 0, 0, 0, 0);
    }
    if (s->oom_asked_for) /* else where /proc is read-only our own protection stays */
        must(s, SPAWN_OOM_SCORE, result);
}

/* Groups first: the right to change them goes with the user (setgroups(2), setresuid(2)). */
static void set_ids(const struct spawn *s)
{
    const struct conf *c = s->conf;

    must(s, SPAWN_GROUPS, raw(SYS_setgroups, (long)c->n_gids, (long)c->gids, 0, 0, 0));
    must(s, SPAWN_GROUP, raw(SYS_setresgid, c->gid, c->gid, c->gid, 0, 0));
    must(s, SPAWN_USER, raw(SYS_setresuid, c->uid, c->uid, c->uid, 0, 0));
}

/* A command of a command line is what a shell would make of it: a file that no format claims is a
 * script (execvp(3)). */
static long execute_path(const struct spawn *s, char *path)
{
    static char shell[] = "/bin/sh";
    long result = raw(SYS_execve, (long)path, (long)s->argv, (long)s->envp, 0, 0);
    char **argv = s->argv - 1;

    if (result != -ENOEXEC || !s->caller)
        return result;
    argv[0] = shell;
    argv[1] = path;
    return raw(SYS_execve, (long)shell, (long)argv, (long)s->envp, 0, 0);
}

/* As execvp(3) goes through PATH: what is missing or forbidden is passed over. */
static long execute(const struct spawn *s)
{
    long result = -ENOENT;
    bool forbidden = false;

    for (char **path = s->paths; *path; path++) {
        result = execute_path(s, *path);
        if (result == -EACCES)
            forbidden = true;
        else if (result != -ENOENT && result != -ENOTDIR)
            return result;
    }
    return forbidden ? -EACCES : result;
}

/* Not to be waited for: a line without carrier blocks a plain open (termios(3)). Nobody is robbed
 * of a terminal that is in use (ioctl_tty(2), TIOCSCTTY). */
static void take_terminal(const struct spawn *s)
{
    long fd =
        raw(SYS_openat, AT_FDCWD, (long)s->tty, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0, 0);

    must(s, SPAWN_TTY, fd);
    must(s, SPAWN_TTY, raw(SYS_ioctl, fd, TIOCSCTTY, 0, 0, 0));
    must(s, SPAWN_TTY, raw(SYS_fcntl, fd, F_SETFL, O_RDWR, 0, 0));
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
        must(s, SPAWN_TTY, raw(SYS_dup3, fd, i, 0, 0, 0));
}

static void close_range_of(unsigned first, unsigned last)
{
    if (first > last || raw(SYS_close_range, first, last, 0, 0, 0) == 0)
        return;
    for (unsigned fd = first; fd <= last && fd < CLOSED_ONE_BY_ONE; fd++)
        raw(SYS_close, fd, 0, 0, 0, 0);
}

/* What others leave to close-on-exec. */
static void close_all_but(unsigned kept)
{
    close_range_of(3, kept - 1);
    close_range_of(kept + 1, ~0u);
}

/* dup3(2) refuses to do nothing. */
static void hand_over_ready(const struct spawn *s)
{
    if (s->ready == s->ready_at)
        must(s, SPAWN_READY, raw(SYS_fcntl, s->ready, F_SETFD, 0, 0, 0));
    else
        must(s, SPAWN_READY, raw(SYS_dup3, s->ready, s->ready_at, 0, 0, 0));
}

static void become_service(const struct spawn *s)
{
    must(s, SPAWN_SESSION, raw(SYS_setsid, 0, 0, 0, 0, 0));
    if (s->tty)
        take_terminal(s);
    else if (s->null >= 0)
        must(s, SPAWN_STDIN, raw(SYS_dup3, s->null, STDIN_FILENO, 0, 0, 0));
    if (s->local.length)
        close_all_but((unsigned)s->report_out);
    else
        raw(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC, 0, 0);
    if (s->ready >= 0)
        hand_over_ready(s);
}

static void write_number(char *to, long number)
{
    char digits[SPAWN_PID_MAX];
    int n = 0;

    for (; number; number /= 10)
        digits[n++] = (char)('0' + number % 10);
    while (n > 0)
        *to++ = digits[--n];
    *to = '\0';
}

/* We may be in the background of the terminal by now; as TTOU is blocked that does not stop us
 * (tcsetpgrp(3)). */
static void become_command(const struct spawn *s)
{
    /* as the kernel has it: handler, flags, restorer, mask */
    static const uint64_t ignore[4] = {(uint64_t)(uintptr_t)SIG_IGN};
    pid_t self = (pid_t)raw(SYS_getpid, 0, 0, 0, 0, 0);

    must(s, SPAWN_PROCESS_GROUP, raw(SYS_setpgid, 0, 0, 0, 0, 0));
    if (s->caller->terminal >= 0)
        raw(SYS_ioctl, s->caller->terminal, TIOCSPGRP, (long)&self, 0, 0);
    for (int i = 0; i < 64; i++)
        if (s->caller->ignored >> i & 1)
            raw(SYS_rt_sigaction, i + 1, (long)ignore, 0, sizeof s->caller->ignored, 0);
}

static void write_own_pid(const struct spawn *s)
{
    for (size_t i = 0; i < ARRAY_SIZE(s->own_pid); i++)
        if (s->own_pid[i])
            write_number(s->own_pid[i], raw(SYS_getpid, 0, 0, 0, 0, 0));
}

/* That may take for ever (a full backlog, a file system that hangs): who waits for the answer ends
 * it when he does not want to any longer, and it does not outlive him. */
static void connect_and_leave(const struct spawn *s) __attribute__((noreturn));
static void connect_and_leave(const struct spawn *s)
{
    long fd, result;

    raw(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    fd = raw(SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0, 0);
    result = fd < 0 ? fd : raw(SYS_connect, fd, (long)&s->local.local, s->local.length, 0, 0);
    leave((int)-result);
}

int spawn_child(void *arg)
{
    const struct spawn *s = arg;
    static const uint64_t no_signal = 0;
    const uint64_t *blocked = s->caller ? &s->caller->blocked : &no_signal;

    if (s->caller)
        become_command(s);
    else
        become_service(s);
    write_own_pid(s);
    set_limits(s);
    if (s->nice_set)
        must(s, SPAWN_NICE, raw(SYS_setpriority, PRIO_PROCESS, 0, s->nice, 0, 0));
    if (s->oom_length)
        set_oom_score(s);
    if (s->has_ids)
        set_ids(s);
    if (s->no_new_privs)
        must(s, SPAWN_PRIVILEGES, raw(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    raw(SYS_umask, s->umask, 0, 0, 0, 0);
    if (s->directory)
        must(s, SPAWN_DIRECTORY, raw(SYS_chdir, (long)s->directory, 0, 0, 0, 0));
    raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)blocked, 0, sizeof *blocked, 0);
    if (s->local.length)
        connect_and_leave(s);
    fail(s, SPAWN_EXEC, execute(s));
}
