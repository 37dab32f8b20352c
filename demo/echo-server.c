/* A concurrent TCP echo server: one process for each connection.
 *
 * Told to stop by SIGTERM, it takes no more connections, answers what has already come, and exits
 * with 0 when the last connection is served. It never ends for what a client does, nor for what
 * the system lacks for a while. */
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "listener.h"

enum {
    PAUSE_MS = 100,   /* before the next accept, when the system lacks something */
    STALL_S = 5,      /* a client that reads nothing for so long may not hold up a stop */
    LINGER_MS = 1000, /* for the client to close, after we did */
    IDLE_S = 60,      /* then the kernel asks whether the client's host still lives */
};

struct server {
    int listener;
    int alive[2]; /* a pipe without a byte: its reader sees when the last writer is gone */
};

static volatile sig_atomic_t stopping;
static sigset_t while_waiting; /* the signal mask inside ppoll */

static void on_signal(int signal)
{
    if (signal != SIGCHLD) /* which has done its work by ending the wait */
        stopping = 1;
}

/* Our signals are blocked except inside ppoll, so that none is lost between the look at `stopping`
 * and the wait, and none interrupts another call. */
static void signals_init(void)
{
    static const int ours[] = {SIGCHLD, SIGTERM, SIGINT};
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
        sigaddset(&set, ours[i]);
    sigprocmask(SIG_BLOCK, &set, &while_waiting);
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
        sigaction(ours[i], &action, NULL);
        sigdelset(&while_waiting, ours[i]); /* whoever started us may have blocked it */
    }
    signal(SIGPIPE, SIG_IGN); /* a client that went away is EPIPE, not our death */
}

/* Where something is always ready ppoll never lets a signal in: it looks for signals only before it
 * would sleep. The second, which has nothing to find, does. */
static int wait_ready(struct pollfd *fds, nfds_t n, const struct timespec *timeout)
{
    int ready = ppoll(fds, n, timeout, &while_waiting);
    if (ready > 0)
        ppoll(NULL, 0, &(struct timespec){0}, &while_waiting);
    return ready;
}

/* ---- the process of a connection ---- */

/* A send with a timeout ends with EINTR when the process was stopped and continued, even though
 * it has no handler for that: see signal(7). */
static int send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, data, size, 0);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

/* Answers one read. Returns its size, or 0 or less when the connection is over. */
static ssize_t echo_once(int conn)
{
    char data[16384];
    ssize_t n = recv(conn, data, sizeof data, 0);
    return n > 0 && send_all(conn, data, (size_t)n) ? -1 : n;
}

/* A close with bytes still unread sends RST, which destroys the answers that the client has not
 * read yet. So read on, for a moment, until the client closes too. */
static void wait_for_close(int conn)
{
    char waste[4096];
    struct pollfd p = {.fd = conn, .events = POLLIN};
    msec left, end = clock_now() + LINGER_MS;
    while ((left = end - clock_now()) > 0 && poll(&p, 1, (int)left) > 0)
        if (recv(conn, waste, sizeof waste, 0) <= 0)
            return;
}

/* What has come until now is answered, what comes later is not: a busy client would keep us. */
static void drain(int conn)
{
    int left;
    if (ioctl(conn, FIONREAD, &left))
        return;
    while (left > 0) {
        ssize_t n = echo_once(conn);
        if (n <= 0)
            return;
        left -= (int)n;
    }
    shutdown(conn, SHUT_WR);
    wait_for_close(conn);
}

/* Two things end it: SIGTERM, which comes to each process of a group, and the end of the parent's
 * pipe. The signal alone would miss a process forked just after it was sent. */
static void serve(int conn, int parent)
{
    struct pollfd fds[] = {{.fd = conn, .events = POLLIN}, {.fd = parent}};
    for (;;) {
        int n = wait_ready(fds, ARRAY_SIZE(fds), NULL);
        if (stopping || fds[1].revents || (n < 0 && errno != EINTR))
            break;
        if (n > 0 && echo_once(conn) <= 0)
            return;
    }
    drain(conn);
}

static _Noreturn void child(const struct server *s, int conn)
{
    signal(SIGCHLD, SIG_DFL);
    close(s->listener);
    close(s->alive[1]);
    struct timeval stall = {.tv_sec = STALL_S};
    setsockopt(conn, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof stall);
    set_option(conn, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(conn, IPPROTO_TCP, TCP_KEEPIDLE, IDLE_S);
    serve(conn, s->alive[0]);
    _exit(0);
}

/* ---- the parent ---- */

/* As accept_error: 0, or the errno of what is lacking. */
static int accept_one(const struct server *s)
{
    int conn = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
    if (conn < 0)
        return accept_error(errno);
    pid_t pid = fork();
    if (pid == 0)
        child(s, conn);
    int e = pid < 0 ? errno : 0;
    close(conn);
    return e;
}

/* One SIGCHLD can stand for many ends, since signals do not queue: so until there is none. */
static void reap(int options)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, options)) > 0)
        if (WIFSIGNALED(status))
            printf("echo-server: process %d of a connection: %s\n", (int)pid,
                   strsignal(WTERMSIG(status)));
}

static void say_lacking(int before, int now)
{
    if (now && !before)
        printf("echo-server: cannot accept: %s; trying again\n", strerror(now));
    else if (before && !now)
        printf("echo-server: accepting again\n");
}

/* While something is lacking the listener is left out of the wait, which ends after a pause, or
 * when a child ends: that may have freed what was lacking. */
static void accept_until_stopped(const struct server *s)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    int lacking = 0;
    while (!stopping) {
        struct pollfd p = {.fd = lacking ? -1 : s->listener, .events = POLLIN};
        int n = wait_ready(&p, 1, lacking ? &pause : NULL);
        if (n < 0 && errno != EINTR)
            err(1, "ppoll");
        reap(WNOHANG);
        if (!stopping && (n > 0 || lacking)) {
            int before = lacking;
            lacking = accept_one(s);
            say_lacking(before, lacking);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'}, {"host", required_argument, NULL, 'h'}, {0}};
    const char *port = "7007", *host = "127.0.0.1";
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'p')
            option_number("port", port = optarg, 0, 65535);
        else if (c == 'h')
            host = optarg;
        else
            return 2;
    }
    if (optind < argc)
        errx(2, "unknown argument %s", argv[optind]);

    setvbuf(stdout, NULL, _IOLBF, 0); /* a child must not inherit half a line */
    signals_init();
    struct server s = {.listener = listener_open(host, port)};
    if (pipe2(s.alive, O_CLOEXEC))
        err(1, "pipe");
    print_address("echo-server", s.listener);

    accept_until_stopped(&s);

    close(s.listener);
    close(s.alive[1]);
    printf("echo-server: stopping, answering what has come\n");
    reap(0);
    printf("echo-server: done\n");
    return 0;
}
