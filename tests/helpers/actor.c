/* Plays every child in the live tests: actor JOURNAL NAME STEP...
 *
 * Each line of the journal is "MS PID NAME EVENT", one O_APPEND write, MS from CLOCK_MONOTONIC.
 * JOURNAL - is stdout. A step is WORD or WORD=ARGUMENT; blocks (fork, daemon, at, if, unless) reach
 * to the matching "end". A name in NAME's place of a block becomes the name in the journal.
 *
 * Signals named by on= are blocked and taken by the steps that wait (sleep, pause), so that no
 * handler runs and none merges with another while a step is busy. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "tend/base.h"

static const char *journal, *name;
static char **step;      /* the one that runs */
static pid_t last_child; /* of fork= */

/* ---- the journal ---- */

static msec now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (msec)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Opened for each line: no descriptor of ours shows among those that tend handed down. */
PRINTF(1, 2) static void note(const char *format, ...)
{
    char line[8192];
    int n = snprintf(line, sizeof(line), "%lld %d %s ", (long long)now(), (int)getpid(), name);
    va_list args;
    va_start(args, format);
    n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, args);
    va_end(args);
    if (n > (int)sizeof(line) - 2)
        n = sizeof(line) - 2;
    line[n++] = '\n';

    bool to_stdout = strcmp(journal, "-") == 0;
    int fd = to_stdout ? 1 : open(journal, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd == -1 || write(fd, line, (size_t)n) != n)
        _exit(119); /* a journal that lies is worse than none */
    if (!to_stdout)
        close(fd);
}

static void die(const char *what)
{
    fprintf(stderr, "actor %s: %s: %s\n", name, what, strerror(errno));
    _exit(118);
}

/* ---- signals ---- */

enum reaction { NOTHING, NOTE, EXIT, CLEAN, REAP };
static struct {
    enum reaction reaction;
    int code;
    msec wait;
} on[NSIG];
static uint64_t mine;          /* by the bare call: libc hides 32 and 33 */
static msec finish_at = NEVER; /* "clean" has begun */
static int finish_code;

static const struct {
    const char *name;
    int number;
} signals[] = {{"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"ABRT", SIGABRT},
               {"KILL", SIGKILL}, {"USR1", SIGUSR1}, {"SEGV", SIGSEGV}, {"USR2", SIGUSR2},
               {"PIPE", SIGPIPE}, {"ALRM", SIGALRM}, {"TERM", SIGTERM}, {"CHLD", SIGCHLD},
               {"CONT", SIGCONT}, {"STOP", SIGSTOP}, {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN},
               {"TTOU", SIGTTOU}, {"URG", SIGURG},   {"PWR", SIGPWR},   {"WINCH", SIGWINCH}};

static uint64_t bit(int number)
{
    return UINT64_C(1) << (number - 1);
}

static void block(int how, uint64_t set)
{
    syscall(SYS_rt_sigprocmask, how, &set, NULL, sizeof(set));
}

static int signal_by_name(const char *word)
{
    if (atoi(word) > 0 && atoi(word) < NSIG)
        return atoi(word);
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        if (strcmp(word, signals[i].name) == 0)
            return signals[i].number;
    errno = EINVAL;
    die(word);
    return 0;
}

static const char *signal_name(int number)
{
    static char other[16];
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        if (signals[i].number == number)
            return signals[i].name;
    snprintf(other, sizeof(other), "%d", number);
    return other;
}

static void reap(void)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        if (WIFEXITED(status))
            note("child %d exited %d", (int)pid, WEXITSTATUS(status));
        else
            note("child %d killed %s", (int)pid, signal_name(WTERMSIG(status)));
}

static void finish(int code)
{
    note("exit %d", code);
    _exit(code);
}

static void got(const siginfo_t *info)
{
    int number = info->si_signo;
    if (on[number].reaction == REAP) {
        reap();
        return;
    }
    note("got %s from %d", signal_name(number), (int)info->si_pid);
    if (on[number].reaction == EXIT)
        finish(on[number].code);
    if (on[number].reaction == CLEAN && finish_at == NEVER) {
        finish_at = now() + on[number].wait;
        finish_code = on[number].code;
    }
}

static void wait_until(msec until)
{
    for (msec t; (t = now()) < until;) {
        if (t >= finish_at) {
            note("cleaned");
            finish(finish_code);
        }
        msec first = until < finish_at ? until : finish_at;
        struct timespec left = {.tv_sec = (first - t) / 1000,
                                .tv_nsec = (first - t) % 1000 * 1000000};
        siginfo_t info;
        if (syscall(SYS_rt_sigtimedwait, &mine, &info, first == NEVER ? NULL : &left,
                    sizeof(mine)) > 0)
            got(&info);
    }
}

/* on=SIG:note | on=SIG:exit:CODE | on=SIG:clean:MS:CODE | on=CHLD:reap; SIG may be "any". */
static void step_on(char *arg)
{
    char *at = arg, *sig = strsep(&at, ":"), *what = strsep(&at, ":");
    char *first = strsep(&at, ":"), *second = strsep(&at, ":");
    uint64_t set = 0;
    bool any = strcmp(sig, "any") == 0;
    int only = any ? 0 : signal_by_name(sig);
    for (int i = 1; i < NSIG; i++) {
        if (any ? i == SIGKILL || i == SIGSTOP || i == SIGCHLD : i != only)
            continue;
        set |= bit(i);
        on[i].reaction = NOTE;
        if (what && strcmp(what, "exit") == 0) {
            on[i].reaction = EXIT;
            on[i].code = first ? atoi(first) : 0;
        } else if (what && strcmp(what, "clean") == 0) {
            on[i].reaction = CLEAN;
            on[i].wait = first ? atoi(first) : 0;
            on[i].code = second ? atoi(second) : 0;
        } else if (what && strcmp(what, "reap") == 0) {
            on[i].reaction = REAP;
        }
    }
    mine |= set;
    block(SIG_BLOCK, set);
}

static void step_ignore(char *arg)
{
    for (char *word; (word = strsep(&arg, ","));)
        signal(signal_by_name(word), SIG_IGN);
}

static void step_kill(char *arg)
{
    int number = signal_by_name(arg);
    note("kill %s", arg);
    if (number != SIGKILL && number != SIGSTOP)
        signal(number, SIG_DFL);
    block(SIG_UNBLOCK, bit(number));
    kill(getpid(), number);
}

static void step_stop(char *arg)
{
    (void)arg;
    note("stop");
    raise(SIGSTOP);
    note("continued");
}

static void step_traceme(char *arg)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1)
        die("traceme");
    note("traced");
    raise(signal_by_name(arg));
    note("untraced");
}

/* ---- waiting and ending ---- */

static void step_sleep(char *arg)
{
    wait_until(now() + atoll(arg));
}

static void step_await(char *arg)
{
    while (access(arg, F_OK) != 0)
        wait_until(now() + 5);
}

static void step_pause(char *arg)
{
    (void)arg;
    note("up");
    wait_until(NEVER);
}

static void step_exit(char *arg)
{
    finish(arg ? atoi(arg) : 0);
}

static void step_note(char *arg)
{
    note("%s", arg);
}

static void step_now(char *arg)
{
    (void)arg;
    printf("%lld\n", (long long)now());
    fflush(stdout);
}

/* Notes when a foreign process, a zombie already, is gone: exact even when KILL ended it. */
static void step_watch(char *arg)
{
    int fd = (int)syscall(SYS_pidfd_open, atoi(arg), 0);
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    note("watching %s", arg);
    if (fd != -1)
        while (poll(&poller, 1, -1) != 1)
            ;
    note("died %s", arg);
    close(fd);
}

/* host=PID:MS: stops a container as its host does, TERM now and KILL after MS. Notes "gone MS", or
 * "killed MS", and how long at most this process itself was kept waiting for its turn. */
static void step_host(char *arg)
{
    pid_t pid = atoi(arg);
    msec limit = atoll(strchr(arg, ':') + 1), stalled = 0, begin, last, t;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    if (fd == -1)
        die("host");
    begin = last = now();
    kill(pid, SIGTERM);
    do {
        poll(&poller, 1, 5);
        t = now();
        if (t - last - 5 > stalled)
            stalled = t - last - 5;
        last = t;
    } while (!poller.revents && t - begin < limit);
    if (!poller.revents)
        kill(pid, SIGKILL);
    note("%s %lld stalled %lld", poller.revents ? "gone" : "killed", (long long)(t - begin),
         (long long)stalled);
    close(fd);
}

/* Traces a foreign process, and lets it stand still where KILL leads it: KILL does not end it as
 * long as we live. */
static void step_hold(char *arg)
{
    if (ptrace(PTRACE_SEIZE, atoi(arg), NULL, (void *)PTRACE_O_TRACEEXIT) == -1)
        die("hold");
    note("holding %s", arg);
}

/* ---- processes ---- */

static char **end_of_block(char **at)
{
    static const char *const blocks[] = {"fork=", "daemon=", "at=", "if=", "unless="};
    int depth = 1;
    for (; *at; at++) {
        for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
            depth += strncmp(*at, blocks[i], strlen(blocks[i])) == 0;
        if (strcmp(*at, "end") == 0 && --depth == 0)
            return at;
    }
    errno = EINVAL;
    die("no end");
    return NULL;
}

static void skip_block(void)
{
    step = end_of_block(step + 1);
}

/* The child goes on with the block as an actor of its own. */
static void become(const char *who)
{
    *end_of_block(step + 1) = NULL;
    name = who;
    memset(on, 0, sizeof(on));
    mine = 0;
    finish_at = NEVER;
    block(SIG_SETMASK, 0);
    note("start");
}

static pid_t fork_or_die(void)
{
    pid_t pid = fork();
    if (pid == -1)
        die("fork");
    return pid;
}

static void step_fork(char *arg)
{
    last_child = fork_or_die();
    if (last_child == 0)
        become(arg);
    else
        skip_block();
}

/* The usual daemon: fork, setsid, fork again. */
static void step_daemon(char *arg)
{
    pid_t pid = fork_or_die();
    if (pid == 0) {
        setsid();
        if (fork_or_die() != 0)
            _exit(0);
        become(arg);
        return;
    }
    waitpid(pid, NULL, 0);
    skip_block();
}

/* at=PID:NAME: the block runs in a process of exactly that pid (free in this namespace). */
static void step_at(char *arg)
{
    char *who = strchr(arg, ':');
    *who++ = '\0';
    pid_t want = atoi(arg);
    for (int i = 0; i < 100; i++) {
        char text[16];
        int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
        int n = snprintf(text, sizeof(text), "%d", (int)want - 1);
        if (fd == -1 || write(fd, text, (size_t)n) != n)
            die("ns_last_pid");
        close(fd);
        pid_t pid = fork_or_die();
        if (pid == 0) {
            if (getpid() != want)
                _exit(117);
            become(who);
            return;
        }
        int status;
        if (pid == want) {
            skip_block();
            return;
        }
        waitpid(pid, &status, 0);
    }
    note("missed %d", (int)want);
    skip_block();
}

static void step_if(char *arg)
{
    if (access(arg, F_OK) != 0)
        skip_block();
}

static void step_unless(char *arg)
{
    if (access(arg, F_OK) == 0)
        skip_block();
}

static void step_end(char *arg)
{
    (void)arg;
}

/* orphans=COUNT:MS: they live MS and exit with 9; in batches whose parent exits at once. */
static void step_orphans(char *arg)
{
    int count = atoi(arg), life = atoi(strchr(arg, ':') + 1);
    while (count > 0) {
        int batch = count < 50 ? count : 50;
        count -= batch;
        pid_t pid = fork_or_die();
        if (pid == 0) {
            for (int i = 0; i < batch; i++)
                if (fork() == 0) {
                    usleep((useconds_t)life * 1000);
                    _exit(9);
                }
            _exit(0);
        }
        waitpid(pid, NULL, 0);
    }
    note("orphaned");
}

static void step_setsid(char *arg)
{
    (void)arg;
    if (setsid() == -1)
        die("setsid");
}

static void step_setpgid(char *arg)
{
    (void)arg;
    if (setpgid(0, 0) == -1)
        die("setpgid");
}

/* tty: the rest is a command on a terminal of its own whose output is stopped (Ctrl-S) and read by
 * nobody. Ends as the command does. */
static void step_tty(char *arg)
{
    (void)arg;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master == -1 || grantpt(master) != 0 || unlockpt(master) != 0)
        die("pty");
    pid_t pid = fork_or_die();
    if (pid == 0) {
        setsid();
        int slave = open(ptsname(master), O_RDWR);
        if (slave == -1 || ioctl(slave, TIOCSCTTY, 0) != 0 || tcflow(slave, TCOOFF) != 0)
            die("terminal");
        for (int i = 0; i < 3; i++)
            dup2(slave, i);
        if (slave > 2)
            close(slave);
        execvp(step[1], step + 1);
        die(step[1]);
    }
    note("command %d", (int)pid);
    int status;
    while (waitpid(pid, &status, 0) != pid)
        ;
    finish(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* ---- holding things ---- */

static void step_flock(char *arg)
{
    int fd = open(arg, O_RDWR | O_CREAT, 0666);
    note(fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == 0 ? "locked" : "lock refused");
}

static void step_bind(char *arg)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(arg)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    bool bound = bind(fd, (const struct sockaddr *)&to, sizeof(to)) == 0 && listen(fd, 5) == 0;
    note(bound ? "bound" : "bind refused");
}

static void step_touch(char *arg)
{
    close(open(arg, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
}

static void step_close(char *arg)
{
    (void)arg;
    for (int fd = 0; fd < 3; fd++)
        close(fd);
}

/* write=FD:TEXT, in which "/" is a newline. */
static void step_write(char *arg)
{
    char *text = strchr(arg, ':') + 1;
    ssize_t length = (ssize_t)strlen(text);
    for (char *at = text; (at = strchr(at, '/'));)
        *at = '\n';
    note(write(atoi(arg), text, (size_t)length) == length ? "wrote" : "write refused");
}

static void step_shut(char *arg)
{
    note(close(atoi(arg)) == 0 ? "shut" : "shut refused");
}

/* Uses so many MiB. */
static void step_hog(char *arg)
{
    size_t n = (size_t)atoi(arg) << 20;
    char *at = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        die("hog");
    memset(at, 1, n);
    note("hogged");
}

static void step_print(char *arg)
{
    for (int i = 0, n = atoi(arg); i < n; i++)
        dprintf(1, "line %d of %s\n", i, name);
}

/* ---- what is said to NOTIFY_SOCKET ---- */

/* A bar is a newline, %p we, %P our parent, %c the last child of fork=, %xHH a byte. */
static size_t message(const char *text, char *out, size_t size)
{
    size_t n = 0;
    for (const char *at = text; *at && n + 16 < size; at++) {
        unsigned byte;
        if (strncmp(at, "%x", 2) == 0 && sscanf(at + 2, "%2x", &byte) == 1) {
            out[n++] = (char)byte;
            at += 3;
        } else if (*at == '%' && at[1] && strchr("pPc", at[1])) {
            pid_t pid = *++at == 'p' ? getpid() : *at == 'P' ? getppid() : last_child;
            n += (size_t)snprintf(out + n, size - n, "%d", (int)pid);
        } else {
            out[n++] = *at;
            if (*at == '|')
                out[n - 1] = '\n';
        }
    }
    return n;
}

/* With a copy of that descriptor, where it is one; waits while the socket is full. */
static bool say(const char *bytes, size_t n, int fd)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t length = path ? strlen(path) : 0;
    struct iovec part = {.iov_base = (char *)(uintptr_t)bytes, .iov_len = n};
    char control[CMSG_SPACE(sizeof(int))] = "";
    struct msghdr all = {.msg_name = &to, .msg_iov = &part, .msg_iovlen = 1};
    if (length == 0 || length > sizeof(to.sun_path)) {
        errno = ENOENT;
        return false;
    }
    memcpy(to.sun_path, path, length);
    if (path[0] == '@')
        to.sun_path[0] = '\0';
    all.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (fd >= 0) {
        all.msg_control = control;
        all.msg_controllen = sizeof(control);
        *CMSG_FIRSTHDR(&all) = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&all)), &fd, sizeof(int));
    }
    int to_tend = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool sent = sendmsg(to_tend, &all, MSG_NOSIGNAL) == (ssize_t)n;
    int error = errno;
    close(to_tend);
    errno = error;
    return sent;
}

static bool say_text(const char *text)
{
    char bytes[8192];
    return say(bytes, message(text, bytes, sizeof(bytes)), -1);
}

static void step_notify(char *arg)
{
    if (say_text(arg))
        note("notified");
    else
        note("notify refused %d", errno);
}

static void step_address(char *arg)
{
    setenv("NOTIFY_SOCKET", arg, 1);
}

/* flood=MS:TEXT, as fast as it goes */
static void step_flood(char *arg)
{
    const char *text = strchr(arg, ':') + 1;
    msec end = now() + atoll(arg);
    long n = 0;
    while (now() < end && say_text(text))
        n++;
    note("flooded %ld", n);
}

/* along=TEXT, with one end of a pipe: "closed" when no copy of it is left, "kept" after 10 s. */
static void step_along(char *arg)
{
    char bytes[8192];
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) == -1)
        die("pipe");
    bool sent = say(bytes, message(arg, bytes, sizeof(bytes)), ends[1]);
    close(ends[1]);
    struct pollfd poller = {.fd = ends[0]};
    note(!sent ? "along refused" : poll(&poller, 1, 10000) == 1 ? "closed" : "kept");
    close(ends[0]);
}

/* ---- facts: "fact KEY VALUE", from system calls where one tells ---- */

static void fact_signals(void)
{
    unsigned long long blocked = 0, ignored = 0;
    sigset_t set;
    sigprocmask(SIG_SETMASK, NULL, &set);
    for (int i = 1; i < NSIG; i++) {
        struct sigaction action;
        if (sigismember(&set, i) == 1)
            blocked |= 1ULL << (i - 1);
        if (sigaction(i, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            ignored |= 1ULL << (i - 1);
    }
    note("fact blocked %llx", blocked);
    note("fact ignored %llx", ignored);
}

static int by_number(const void *a, const void *b)
{
    gid_t x = *(const gid_t *)a, y = *(const gid_t *)b;
    return (x > y) - (x < y);
}

static void fact_ids(void)
{
    uid_t u[3];
    gid_t g[3], groups[256];
    char list[2048] = "";
    size_t used = 0;
    getresuid(&u[0], &u[1], &u[2]);
    getresgid(&g[0], &g[1], &g[2]);
    note("fact uid %u %u %u", u[0], u[1], u[2]);
    note("fact gid %u %u %u", g[0], g[1], g[2]);
    int n = getgroups(ARRAY_SIZE(groups), groups);
    if (n > 0)
        qsort(groups, (size_t)n, sizeof(groups[0]), by_number);
    for (int i = 0; i < n && used < sizeof(list) - 16; i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, " %u", groups[i]);
    note("fact groups%s", list);
}

static void fact_descriptors(void)
{
    for (int fd = 0; fd < 4096; fd++) {
        char path[64], target[512];
        if (fcntl(fd, F_GETFD) == -1)
            continue;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        struct stat st;
        if (n <= 0 && fstat(fd, &st) == 0)
            n = snprintf(target, sizeof(target), "mode-%o-rdev-%lx", st.st_mode,
                         (unsigned long)st.st_rdev);
        note("fact fd %d %.*s", fd, n > 0 ? (int)n : 0, target);
    }
}

static void fact_limits(void)
{
    static const struct {
        const char *name;
        int resource;
    } limits[] = {{"as", RLIMIT_AS},
                  {"core", RLIMIT_CORE},
                  {"cpu", RLIMIT_CPU},
                  {"data", RLIMIT_DATA},
                  {"fsize", RLIMIT_FSIZE},
                  {"memlock", RLIMIT_MEMLOCK},
                  {"nofile", RLIMIT_NOFILE},
                  {"nproc", RLIMIT_NPROC},
                  {"stack", RLIMIT_STACK},
                  {"sigpending", RLIMIT_SIGPENDING},
                  {"msgqueue", RLIMIT_MSGQUEUE}};
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        struct rlimit limit;
        getrlimit((__rlimit_resource_t)limits[i].resource, &limit);
        note("fact limit %s %lld %lld", limits[i].name, (long long)limit.rlim_cur,
             (long long)limit.rlim_max);
    }
}

static void fact_rest(void)
{
    char text[4096] = "";
    mode_t mask = umask(0);
    umask(mask);
    note("fact umask %03o", mask);
    note("fact nice %d", getpriority(PRIO_PROCESS, 0));
    note("fact sched %d", sched_getscheduler(0));
    note("fact no_new_privs %d", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    note("fact cwd %s", getcwd(text, sizeof(text)) ? text : "?");
    note("fact parent %d", (int)getppid());
    note("fact group %s", getpgrp() == getpid() ? "own" : "other");
    note("fact session %s", getsid(0) == getpid() ? "own" : "other");
    int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd == -1 ? -1 : read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n > 0)
        note("fact oom_score_adj %.*s", (int)n - 1, text);
    for (char **at = environ; *at; at++)
        note("fact env %.2000s", *at);
}

static void step_facts(char *arg)
{
    (void)arg;
    fact_descriptors();
    fact_signals();
    fact_ids();
    fact_limits();
    fact_rest();
    note("facts done");
}

/* ---- the steps ---- */

static const struct {
    const char *word;
    void (*run)(char *arg);
} steps[] = {{"address", step_address}, {"along", step_along},   {"at", step_at},
             {"await", step_await},     {"bind", step_bind},     {"close", step_close},
             {"daemon", step_daemon},   {"end", step_end},       {"exit", step_exit},
             {"facts", step_facts},     {"flock", step_flock},   {"flood", step_flood},
             {"fork", step_fork},       {"hog", step_hog},       {"hold", step_hold},
             {"host", step_host},       {"if", step_if},         {"ignore", step_ignore},
             {"kill", step_kill},       {"note", step_note},     {"notify", step_notify},
             {"now", step_now},         {"on", step_on},         {"orphans", step_orphans},
             {"pause", step_pause},     {"print", step_print},   {"setpgid", step_setpgid},
             {"setsid", step_setsid},   {"shut", step_shut},     {"sleep", step_sleep},
             {"stop", step_stop},       {"touch", step_touch},   {"traceme", step_traceme},
             {"tty", step_tty},         {"unless", step_unless}, {"watch", step_watch},
             {"write", step_write}};

/* The argument is copied: a step may cut it up, and /proc/PID/cmdline stays readable. */
static void run(const char *text)
{
    size_t length = strcspn(text, "=");
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
        if (strlen(steps[i].word) == length && memcmp(steps[i].word, text, length) == 0) {
            steps[i].run(text[length] ? strdup(text + length + 1) : NULL);
            return;
        }
    errno = ENOSYS;
    die(text);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: actor JOURNAL NAME STEP...\n");
        return 118;
    }
    journal = argv[1];
    name = argv[2];
    step = argv + 3;
    bool tool = strcmp(*step, "now") == 0;
    if (strcmp(*step, "first") == 0) { /* the step after it comes before anything else */
        run(step[1]);
        step += 2;
    }
    if (!tool)
        note("start");
    for (; *step; step++)
        run(*step);
    if (!tool)
        note("exit 0");
    return 0;
}
