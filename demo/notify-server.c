/* A TCP server that tells its supervisor how it is, as sd_notify(3) asks of a daemon: ready once it
 * listens, its clients as they come and go, a reload on SIGHUP, a stop on SIGTERM, and by the
 * watchdog that its event loop still turns.
 *
 * It answers each line with its greeting, which it reads again on SIGHUP. Without a supervisor
 * that wants to hear, all of that does nothing. What sd_notify returns is not looked at: a
 * supervisor that does not listen is no reason to serve worse. */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "listener.h"

enum {
    CLIENTS_MAX = 64,
    PAUSE_MS = 100,        /* before the next accept, when the system lacks something */
    EXTEND_EVERY_MS = 500, /* while clients are waited for */
    EXTEND_BY_MS = 3000,
};

struct server {
    int signals;
    int listener; /* -1: it takes no more clients */
    msec accept_at;
    int clients[CLIENTS_MAX];
    size_t n;

    const char *file; /* of the greeting; NULL: a fixed one */
    char greeting[256];

    msec feed_every, feed_at; /* the watchdog; NEVER: nobody wants it */
    msec hang_at;
    msec drain;
    bool stopping;
    msec stop_by, extend_at; /* while stopping */
};

/* ---- what the supervisor hears ---- */

static void say_clients(const struct server *s)
{
    const char *noun = s->n == 1 ? "client" : "clients";
    if (s->stopping)
        sd_notifyf(0, "STATUS=stopping, %zu %s left", s->n, noun);
    else
        sd_notifyf(0, "STATUS=%zu %s", s->n, noun);
}

/* Half the interval: a loop that is late once does not look dead. WATCHDOG_PID tells whether it is
 * meant for us, and sd_watchdog_enabled looks at that too. */
static void watchdog_init(struct server *s)
{
    uint64_t usec;
    s->feed_every = s->feed_at = NEVER;
    if (sd_watchdog_enabled(0, &usec) > 0) {
        s->feed_every = usec >= 2000 ? (msec)(usec / 2000) : 1;
        s->feed_at = clock_now();
    }
}

static void watchdog_feed(struct server *s, msec now)
{
    if (now < s->feed_at)
        return;
    sd_notify(0, "WATCHDOG=1");
    s->feed_at = now + s->feed_every;
}

/* A stop may take longer than was granted, as long as we say so again and again. */
static void extend_stop(struct server *s, msec now)
{
    if (!s->stopping || now < s->extend_at)
        return;
    sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%d", EXTEND_BY_MS * 1000);
    s->extend_at = now + EXTEND_EVERY_MS;
}

/* ---- signals ---- */

/* What cannot be read leaves the old greeting as it is. */
static void read_greeting(struct server *s)
{
    char line[sizeof s->greeting - 1];
    FILE *f = s->file ? fopen(s->file, "re") : NULL;
    if (f && fgets(line, sizeof line, f))
        snprintf(s->greeting, sizeof s->greeting, "%.*s\n", (int)strcspn(line, "\n"), line);
    else if (s->file)
        warn("no greeting in %s", s->file);
    if (f)
        fclose(f);
}

/* The time tells the supervisor which of its signals this reload answers. */
static void reload(struct server *s)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
               (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000);
    read_greeting(s);
    printf("notify-server: reloaded\n");
    sd_notify(0, "READY=1");
}

static void stop(struct server *s)
{
    if (s->stopping)
        return;
    printf("notify-server: stopping\n");
    close(s->listener);
    s->listener = -1;
    s->stopping = true;
    s->extend_at = clock_now();
    s->stop_by = s->extend_at + s->drain;
    sd_notify(0, "STOPPING=1");
    say_clients(s);
}

static void take_signal(struct server *s)
{
    struct signalfd_siginfo info;
    if (read(s->signals, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGHUP && !s->stopping)
        reload(s);
    else if (info.ssi_signo != SIGHUP)
        stop(s);
}

static int signals_open(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN); /* a client that went away is EPIPE, not our death */
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        err(1, "signalfd");
    return fd;
}

/* ---- clients ---- */

static void accept_client(struct server *s)
{
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (accept_error(errno))
            s->accept_at = clock_now() + PAUSE_MS;
        return;
    }
    s->clients[s->n++] = fd;
    say_clients(s);
}

/* False: it is gone, or does not read what it asks for. */
static bool answer(const struct server *s, int client)
{
    char lines[4096];
    ssize_t n = recv(client, lines, sizeof lines, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    size_t length = strlen(s->greeting);
    for (ssize_t i = 0; i < n; i++)
        if (lines[i] == '\n' && send(client, s->greeting, length, 0) != (ssize_t)length)
            return false;
    return n > 0;
}

static void serve(struct server *s, const struct pollfd *fds)
{
    size_t before = s->n, kept = 0;
    for (size_t i = 0; i < before; i++) {
        if (!fds[i].revents || answer(s, s->clients[i]))
            s->clients[kept++] = s->clients[i];
        else
            close(s->clients[i]);
    }
    s->n = kept;
    if (kept != before)
        say_clients(s);
}

/* ---- the event loop ---- */

/* What an operator would call a bug: the process lives, but serves nobody and hears no TERM. */
static void hang(const struct server *s, msec now)
{
    if (now < s->hang_at)
        return;
    printf("notify-server: hangs, on purpose\n");
    for (;;)
        pause();
}

static msec sooner(msec a, msec b)
{
    return a < b ? a : b;
}

static int time_to_wait(const struct server *s, msec now)
{
    msec next = sooner(s->feed_at, s->hang_at);
    if (s->stopping)
        next = sooner(next, sooner(s->extend_at, s->stop_by));
    if (s->accept_at > now)
        next = sooner(next, s->accept_at);
    if (next == NEVER)
        return -1;
    return (int)sooner(next > now ? next - now : 0, 60000);
}

static void turn(struct server *s)
{
    struct pollfd fds[2 + CLIENTS_MAX];
    msec now = clock_now();
    bool room = s->n < CLIENTS_MAX && now >= s->accept_at;
    fds[0] = (struct pollfd){.fd = s->signals, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = room ? s->listener : -1, .events = POLLIN};
    for (size_t i = 0; i < s->n; i++)
        fds[2 + i] = (struct pollfd){.fd = s->clients[i], .events = POLLIN};
    if (poll(fds, 2 + s->n, time_to_wait(s, now)) > 0) {
        serve(s, fds + 2);
        if (fds[1].revents)
            accept_client(s);
        if (fds[0].revents)
            take_signal(s);
    }
    now = clock_now();
    hang(s, now);
    watchdog_feed(s, now);
    extend_stop(s, now);
}

static bool is_over(const struct server *s)
{
    return s->stopping && (s->n == 0 || clock_now() >= s->stop_by);
}

struct settings {
    const char *host, *port, *file;
    msec hang_after, drain; /* NEVER: it does not hang */
};

static struct settings options_read(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},       {"host", required_argument, NULL, 'h'},
        {"greeting", required_argument, NULL, 'g'},   {"drain", required_argument, NULL, 'd'},
        {"hang-after", required_argument, NULL, 'a'}, {0}};
    struct settings o = {.host = "127.0.0.1", .port = "7008", .hang_after = NEVER, .drain = 5000};
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'p')
            option_number("port", o.port = optarg, 0, 65535);
        else if (c == 'h')
            o.host = optarg;
        else if (c == 'g')
            o.file = optarg;
        else if (c == 'd')
            o.drain = option_duration("drain", optarg);
        else if (c == 'a')
            o.hang_after = option_duration("hang-after", optarg);
        else
            exit(2);
    }
    if (optind < argc)
        errx(2, "unknown argument %s", argv[optind]);
    return o;
}

int main(int argc, char **argv)
{
    struct settings o = options_read(argc, argv);
    struct server s = {.file = o.file, .drain = o.drain, .greeting = "hello\n", .hang_at = NEVER};
    setvbuf(stdout, NULL, _IOLBF, 0);
    s.signals = signals_open();
    read_greeting(&s);
    s.listener = listener_open(o.host, o.port);
    print_address("notify-server", s.listener);
    if (o.hang_after != NEVER)
        s.hang_at = clock_now() + o.hang_after;
    watchdog_init(&s);
    sd_notify(0, "READY=1\nSTATUS=0 clients");

    while (!is_over(&s))
        turn(&s);
    printf("notify-server: done, %zu clients left\n", s.n);
    return 0;
}
