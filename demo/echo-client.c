/* A TCP client that sends a numbered line now and then, and checks that it comes back.
 *
 * Ends with 1 and a message when the server closes, resets, alters or keeps silent; says goodbye
 * and ends with 0 on SIGTERM or after --count lines. */
#include <getopt.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "demo.h"

enum {
    PATIENCE_MS = 3000,   /* for a server that has just been started */
    BETWEEN_TRIES = 100,  /* ms */
    ANSWER_S = 5,         /* for each connect, send and receive */
    REPORT_EVERY = 10000, /* ms */
};

static volatile sig_atomic_t stopping;
static sigset_t while_waiting; /* the signal mask inside ppoll */

static void on_signal(int signal)
{
    (void)signal;
    stopping = 1;
}

/* Blocked except inside ppoll: so a stop never comes in the middle of an exchange, and never just
 * before the wait that it should end. */
static void signals_init(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, &while_waiting);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigdelset(&while_waiting, SIGTERM);
    sigdelset(&while_waiting, SIGINT);
    signal(SIGPIPE, SIG_IGN); /* a server that went away is EPIPE, which we report */
}

/* A negative fd is ignored: then it is only the time and the signal that end the wait. */
static int wait_until(int fd, msec end)
{
    msec left = end - clock_now();
    struct timespec timeout = clock_timespec(left > 0 ? left : 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return ppoll(&p, 1, &timeout, &while_waiting);
}

/* ---- connect ---- */

static int connect_once(const struct addrinfo *list)
{
    const struct timeval limit = {.tv_sec = ANSWER_S};
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (!connect(fd, a->ai_addr, a->ai_addrlen))
            return fd;
        int e = errno;
        close(fd); /* a socket whose connect failed is of no more use: each try needs a new one */
        errno = e;
    }
    return -1;
}

static int connect_patiently(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    msec end = clock_now() + PATIENCE_MS;
    int fd, e = getaddrinfo(host, port, &hints, &list);
    if (e)
        errx(1, "--host %s: %s", host, gai_strerror(e));
    while ((fd = connect_once(list)) < 0) {
        if (clock_now() >= end)
            err(1, "cannot connect to port %s of %s", port, host);
        wait_until(-1, clock_now() + BETWEEN_TRIES);
        if (stopping)
            exit(0);
    }
    freeaddrinfo(list);
    printf("echo-client: connected to port %s of %s\n", port, host);
    return fd;
}

/* ---- talk ---- */

/* n is what recv or send returned: 0 for the end, or less for an error. */
static _Noreturn void lost(ssize_t n, unsigned long line)
{
    if (n == 0)
        errx(1, "line %lu: the server closed the connection", line);
    if (errno == EAGAIN)
        errx(1, "line %lu: no answer in %d s", line, ANSWER_S);
    err(1, "line %lu: the connection is lost", line);
}

/* EINTR: a call with a timeout does not go on by itself after SIGSTOP and SIGCONT, see signal(7).
 */
static void send_all(int fd, const char *data, size_t size, unsigned long line)
{
    while (size > 0) {
        ssize_t n = send(fd, data, size, 0);
        if (n < 0 && errno != EINTR)
            lost(n, line);
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
}

/* A stream keeps no borders: the line may come back in any number of pieces. */
static void receive_all(int fd, char *data, size_t size, unsigned long line)
{
    while (size > 0) {
        ssize_t n = recv(fd, data, size, 0);
        if (n == 0 || (n < 0 && errno != EINTR))
            lost(n, line);
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
}

static void exchange(int fd, unsigned long line)
{
    char sent[64], got[64];
    size_t size = (size_t)snprintf(sent, sizeof sent, "line %lu\n", line);
    send_all(fd, sent, size, line);
    receive_all(fd, got, size, line);
    if (memcmp(sent, got, size))
        errx(1, "line %lu came back altered", line);
}

/* Nothing is to be read between two exchanges but bad news, which this finds at once. It waits at
 * least once, be it for no time, since only a wait lets a signal in. */
static void idle_until(int fd, msec end, unsigned long line)
{
    do {
        if (wait_until(fd, end) > 0) {
            char byte;
            ssize_t n = recv(fd, &byte, 1, 0);
            if (n > 0)
                errx(1, "line %lu: more came back than was sent", line);
            lost(n, line);
        }
    } while (!stopping && clock_now() < end);
}

static unsigned long talk(int fd, msec every, unsigned long count)
{
    unsigned long line = 0;
    msec report = clock_now() + REPORT_EVERY;
    while (!stopping) {
        msec next = clock_now() + every;
        exchange(fd, ++line);
        if (line == count)
            break;
        if (clock_now() >= report) {
            printf("echo-client: %lu lines came back\n", line);
            report += REPORT_EVERY;
        }
        idle_until(fd, next, line);
    }
    return line;
}

/* To end only our direction tells the server that nothing follows, and hears it out. */
static void say_goodbye(int fd, unsigned long line)
{
    char byte;
    ssize_t n;
    shutdown(fd, SHUT_WR);
    while ((n = recv(fd, &byte, 1, 0)) > 0 || (n < 0 && errno == EINTR))
        ;
    if (n < 0)
        lost(n, line);
    printf("echo-client: goodbye, %lu lines came back\n", line);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                            {"host", required_argument, NULL, 'h'},
                                            {"every", required_argument, NULL, 'e'},
                                            {"count", required_argument, NULL, 'c'},
                                            {0}};
    const char *port = "7007", *host = "127.0.0.1";
    msec every = 1000;
    unsigned long count = 0; /* no end */
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'p')
            option_number("port", port = optarg, 1, 65535);
        else if (c == 'h')
            host = optarg;
        else if (c == 'e')
            every = option_duration("every", optarg);
        else if (c == 'c')
            count = (unsigned long)option_number("count", optarg, 1, 1000000000);
        else
            return 2;
    }
    if (optind < argc)
        errx(2, "unknown argument %s", argv[optind]);

    setvbuf(stdout, NULL, _IOLBF, 0);
    signals_init();
    int fd = connect_patiently(host, port);
    say_goodbye(fd, talk(fd, every, count));
    return 0;
}
