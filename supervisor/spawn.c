#include "tend/spawn.h"

#include <assert.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "tend/raw.h"
#include "tend/spawn_block.h"

#if RAW_WITHOUT_ERRNO && !defined(__SANITIZE_ADDRESS__)
#define CAN_SHARE true
#else
#define CAN_SHARE false
#endif

static const char *const step_names[] = {
    [SPAWN_NONE] = "",
    [SPAWN_PREPARE] = "preparing",
    [SPAWN_CGROUP] = "cgroup",
    [SPAWN_FORK] = "fork",
    [SPAWN_SESSION] = "session",
    [SPAWN_PROCESS_GROUP] = "process group",
    [SPAWN_TTY] = "tty",
    [SPAWN_STDIN] = "stdin",
    [SPAWN_LIMITS] = "limits",
    [SPAWN_NICE] = "nice",
    [SPAWN_OOM_SCORE] = "oom_score_adj",
    [SPAWN_GROUPS] = "groups",
    [SPAWN_GROUP] = "group",
    [SPAWN_USER] = "user",
    [SPAWN_PRIVILEGES] = "no_new_privs",
    [SPAWN_DIRECTORY] = "directory",
    [SPAWN_EXEC] = "exec",
};
static_assert(ARRAY_SIZE(step_names) == SPAWN_STEP_COUNT, "a name for each step");

struct report {
    int32_t step, error;
};

const char *spawn_step_name(int step)
{
    return step > 0 && step < SPAWN_STEP_COUNT ? step_names[step] : "";
}

/* ---- what all children share ---- */

/* Meant for us alone, by whoever started us. */
static bool is_managers(const char *entry)
{
    static const char *const prefixes[] = {
        "NOTIFY_SOCKET=", "LISTEN_PID=",    "LISTEN_FDS=", "LISTEN_FDNAMES=",
        "WATCHDOG_PID=",  "WATCHDOG_USEC=", "MAINPID="};

    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (!strncmp(entry, prefixes[i], strlen(prefixes[i])))
            return true;
    return false;
}

static char **environment_of(char *const *environment, bool verbatim)
{
    size_t n = 0, kept = 0;
    char **result;

    while (environment && environment[n])
        n++;
    result = calloc(n + 1, sizeof(char *));
    for (size_t i = 0; result && i < n; i++)
        if (verbatim || !is_managers(environment[i]))
            result[kept++] = environment[i];
    return result;
}

static const char oom_score_file[] = "/proc/self/oom_score_adj";

static bool is_protected(void)
{
    char first = 0;
    int fd = open(oom_score_file, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    if (read(fd, &first, 1) < 0)
        first = 0;
    close(fd);
    return first == '-';
}

void spawn_common_open(struct spawn_common *c, char *const *environment,
                       const struct spawn_caller *caller)
{
    struct rlimit raised;

    c->caller = caller;
    c->protected = !caller && is_protected();
    c->null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
    c->environment = environment_of(environment, caller != NULL);
    if (getrlimit(RLIMIT_NOFILE, &c->nofile)) {
        c->nofile = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
        return;
    }
    raised = (struct rlimit){c->nofile.rlim_max, c->nofile.rlim_max};
    setrlimit(RLIMIT_NOFILE, &raised);
}

void spawn_common_close(struct spawn_common *c)
{
    if (c->null >= 0)
        close(c->null);
    free(c->environment);
}

/* ---- in the child: system calls only, on data built before ---- */

static void fail(const struct spawn *s, enum spawn_step step, long error) __attribute__((noreturn));

static void fail(const struct spawn *s, enum spawn_step step, long error)
{
    struct report r = {step, (int32_t)-error};

    raw(SYS_write, s->report_out, (long)&r, sizeof r, 0, 0);
    for (;;)
        raw(SYS_exit_group, r.error == ENOENT ? 127 : 126, 0, 0, 0, 0);
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
    long fd = raw(SYS_openat, AT_FDCWD, (long)oom_score_file, O_WRONLY | O_CLOEXEC, 0, 0);
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

static void become_service(const struct spawn *s)
{
    must(s, SPAWN_SESSION, raw(SYS_setsid, 0, 0, 0, 0, 0));
    if (s->tty)
        take_terminal(s);
    else if (s->null >= 0)
        must(s, SPAWN_STDIN, raw(SYS_dup3, s->null, STDIN_FILENO, 0, 0, 0));
    raw(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC, 0, 0);
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
    for (size_t i = 0; i < ARRAY_SIZE(s->own_pid); i++)
        if (s->own_pid[i])
            write_number(s->own_pid[i], self);
}

static int child_main(void *arg)
{
    const struct spawn *s = arg;
    static const uint64_t no_signal = 0;
    const uint64_t *blocked = s->caller ? &s->caller->blocked : &no_signal;

    if (s->caller)
        become_command(s);
    else
        become_service(s);
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
    fail(s, SPAWN_EXEC, execute(s));
}

/* ---- in the parent ---- */

static bool may_share(const struct spawn *s, const struct conf *c)
{
    return CAN_SHARE && !c->has_ids && !s->oom_length;
}

/* clone3(2) alone can start a child in a cgroup. */
static pid_t clone_into(struct spawn *s, int cgroup, bool share)
{
    struct clone_args args = {
        .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)cgroup};
    long pid;

    if (!share)
        return (pid_t)syscall(SYS_clone3, &args, sizeof args);
    args.flags |= CLONE_VM;
    args.stack = (uint64_t)(uintptr_t)s->stack;
    args.stack_size = SPAWN_STACK;
    pid = raw_clone3(&args, child_main, s);
    if (pid >= 0)
        return (pid_t)pid;
    errno = (int)-pid;
    return -1;
}

static pid_t fork_child(struct spawn *s, const struct conf *c, int cgroup)
{
    bool share = may_share(s, c);
    pid_t pid;

    if (share && cgroup < 0)
        return clone(child_main, s->stack + SPAWN_STACK, CLONE_VM | SIGCHLD, s);
    pid = cgroup >= 0 ? clone_into(s, cgroup, share) : fork();
    if (pid == 0)
        child_main(s);
    return pid;
}

static pid_t give_up(struct spawn *s, int error)
{
    spawn_free(s);
    errno = error;
    return -1;
}

pid_t spawn_start(const struct spawn_common *common, const struct conf *c, char *const *argv,
                  pid_t main, int cgroup, struct spawn **out, enum spawn_step *step)
{
    struct spawn *s = spawn_block_new(common, c, argv, main);
    int ends[2];
    pid_t pid;

    *step = SPAWN_PREPARE;
    if (!s || pipe2(ends, O_CLOEXEC | O_NONBLOCK))
        return give_up(s, s ? errno : ENOMEM);
    s->report = ends[0];
    s->report_out = ends[1];
    *step = cgroup >= 0 ? SPAWN_CGROUP : SPAWN_FORK;
    pid = fork_child(s, c, cgroup);
    if (pid < 0) {
        int error = errno;
        close(ends[1]);
        return give_up(s, error);
    }
    /* the child may still read s->report_out: it is its copy */
    close(ends[1]);
    *out = s;
    return pid;
}

int spawn_fd(const struct spawn *s)
{
    return s->report;
}

enum spawn_report spawn_read(struct spawn *s, int *step, int *error)
{
    struct report r;
    ssize_t n = read(s->report, &r, sizeof r);

    if (n == (ssize_t)sizeof r && !s->failed) {
        s->failed = true;
        *step = r.step;
        *error = r.error;
        return SPAWN_FAILED;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? SPAWN_WAIT : SPAWN_OVER;
}

void spawn_free(struct spawn *s)
{
    if (!s)
        return;
    if (s->report >= 0)
        close(s->report);
    free(s);
}
