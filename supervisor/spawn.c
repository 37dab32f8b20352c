#include "tend/spawn.h"

#include <assert.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tend/raw.h"
#include "tend/spawn_child.h"

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
    [SPAWN_READY] = "ready.fd",
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

const char *spawn_step_name(int step)
{
    return step > 0 && step < SPAWN_STEP_COUNT ? step_names[step] : "";
}

/* ---- what all children share ---- */

/* Meant for us alone, by whoever started us. */
static bool is_managers(const char *entry)
{
    static const char *const prefixes[] = {
        "NOTIFY_SOCKET=", "LISTEN_PID=",    "LISTEN_FDS=", "LISTEN_FDNAMES=", "LISTEN_PIDFDID=",
        "WATCHDOG_PID=",  "WATCHDOG_USEC=", "MAINPID=",    "MAINPIDFDID="};

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

static bool is_protected(void)
{
    char first = 0;
    int fd = open(spawn_oom_score_file, O_RDONLY | O_CLOEXEC);

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

/* ---- in the parent ---- */

static bool may_share(const struct spawn *s, const struct conf *c)
{
    return CAN_SHARE && !c->has_ids && !s->oom_length && !s->local.length;
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
    pid = raw_clone3(&args, spawn_child, s);
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
        return clone(spawn_child, s->stack + SPAWN_STACK, CLONE_VM | SIGCHLD, s);
    pid = cgroup >= 0 ? clone_into(s, cgroup, share) : fork();
    if (pid == 0)
        spawn_child(s);
    return pid;
}

/* The child's end must not be where the descriptor for its readiness is to be. */
static int open_report(struct spawn *s)
{
    int ends[2], moved;

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
        return -1;
    s->report = ends[0];
    s->report_out = ends[1];
    if (s->ready < 0 || ends[1] != s->ready_at)
        return 0;
    moved = fcntl(ends[1], F_DUPFD_CLOEXEC, ends[1] + 1);
    close(ends[1]);
    s->report_out = moved;
    return moved < 0 ? -1 : 0;
}

static pid_t give_up(struct spawn *s, int error)
{
    spawn_free(s);
    errno = error;
    return -1;
}

pid_t spawn_start(const struct spawn_common *common, const struct conf *c,
                  const struct spawn_order *order, struct spawn **out, enum spawn_step *step)
{
    struct spawn *s = spawn_block_new(common, c, order);
    pid_t pid;
    int error;

    *step = SPAWN_PREPARE;
    if (!s || open_report(s))
        return give_up(s, errno);
    *step = order->cgroup >= 0 ? SPAWN_CGROUP : SPAWN_FORK;
    pid = fork_child(s, c, order->cgroup);
    error = errno;
    /* the number stays: the child may still read it, for its copy */
    close(s->report_out);
    if (pid < 0)
        return give_up(s, error);
    *out = s;
    return pid;
}

int spawn_fd(const struct spawn *s)
{
    return s->report;
}

enum spawn_report spawn_read(struct spawn *s, int *step, int *error)
{
    struct spawn_failure r;
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
