#include "client/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { ENDING = 5000 /* msec from the last word to the end */ };

static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "control"};

msec connection_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (msec)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- where ---- */

static bool has_socket(const char *directory)
{
    char path[4096];
    struct stat s;
    int n = snprintf(path, sizeof path, "%s/control", directory);

    return n > 0 && (size_t)n < sizeof path && stat(path, &s) == 0 && S_ISSOCK(s.st_mode);
}

const char *connection_directory(const char *given, char *buf, size_t size)
{
    const char *variable = getenv("TEND_RUNTIME"), *own = getenv("XDG_RUNTIME_DIR");

    if (given)
        return given;
    if (variable && *variable)
        return variable;
    if (geteuid() != 0 && own && *own) {
        int n = snprintf(buf, size, "%s/tend", own);
        if (n > 0 && (size_t)n < size && has_socket(buf))
            return buf;
    }
    return "/run/tend";
}

/* ---- connecting ---- */

/* A tend that stands still, with a full queue before its socket, is not waited for without end. */
static void limit_connect(const struct connection *c)
{
    msec left = c->deadline - connection_now();
    struct timeval t;

    if (c->deadline == NEVER)
        return;
    if (left < 1)
        left = 1;
    t = (struct timeval){.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
}

/* From the directory itself, so that its name may be of any length. */
static int connect_from(const struct connection *c, const char *directory)
{
    int back = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), result, error;

    if (back < 0)
        return -1;
    result = chdir(directory);
    if (result == 0) {
        result = connect(c->fd, (const struct sockaddr *)&address, sizeof address);
        error = errno == EAGAIN ? ETIMEDOUT : errno;
        if (fchdir(back))
            return -1;
    } else {
        error = errno;
    }
    close(back);
    errno = error;
    return result;
}

static void find_peer(struct connection *c)
{
    struct ucred peer;
    socklen_t size = sizeof peer;

    if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
        c->peer = peer.pid;
    if (c->peer)
        c->process = (int)syscall(SYS_pidfd_open, c->peer, 0);
}

int connection_open(struct connection *c, const char *directory, msec deadline)
{
    *c = (struct connection){.process = -1, .deadline = deadline, .watched = -1};
    c->in = malloc(CONNECTION_LINE_MAX);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->in && c->fd >= 0) {
        limit_connect(c);
        if (connect_from(c, directory) == 0 &&
            fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) | O_NONBLOCK) == 0) {
            find_peer(c);
            return 0;
        }
    }
    int error = errno;
    connection_close(c);
    errno = error;
    return -1;
}

void connection_close(struct connection *c)
{
    if (c->fd >= 0)
        close(c->fd);
    if (c->process >= 0)
        close(c->process);
    free(c->in);
    *c = (struct connection){.fd = -1, .process = -1, .watched = -1};
}

/* ---- lines ---- */

static int time_left(const struct connection *c)
{
    msec left;

    if (c->deadline == NEVER)
        return -1;
    left = c->deadline - connection_now();
    return left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
}

static int wait_for(const struct connection *c, short events)
{
    struct pollfd fds[] = {{.fd = c->fd, .events = events}, {.fd = c->watched}};

    for (;;) {
        int left = time_left(c), n = poll(fds, ARRAY_SIZE(fds), left);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0 && fds[0].revents)
            return 0;
        if (n > 0 && (fds[1].revents & (POLLERR | POLLHUP))) {
            errno = EPIPE;
            return -1;
        }
        if (n == 0 && left == 0) {
            errno = ETIMEDOUT;
            return -1;
        }
    }
}

int connection_send(struct connection *c, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(c->fd, text, n, MSG_NOSIGNAL);
        if (sent >= 0) {
            text += sent;
            n -= (size_t)sent;
        } else if (errno == EAGAIN) {
            if (wait_for(c, POLLOUT))
                return -1;
        } else if (errno != EINTR) {
            if (errno == EPIPE)
                errno = ECONNRESET; /* EPIPE tells of the watched one */
            return -1;
        }
    }
    return 0;
}

bool connection_has_line(const struct connection *c)
{
    return memchr(c->in + c->used, '\n', c->n - c->used);
}

/* 1: there is more; 0: there will be no more; -1 with errno. */
static int read_more(struct connection *c)
{
    ssize_t n;

    memmove(c->in, c->in + c->used, c->n - c->used);
    c->n -= c->used;
    c->used = 0;
    if (c->n == CONNECTION_LINE_MAX) {
        errno = EPROTO;
        return -1;
    }
    while ((n = read(c->fd, c->in + c->n, CONNECTION_LINE_MAX - c->n)) < 0) {
        if (errno == ECONNRESET)
            return 0;
        if (errno != EINTR && (errno != EAGAIN || wait_for(c, POLLIN)))
            return -1;
    }
    c->n += (size_t)n;
    return n > 0;
}

int connection_line(struct connection *c, const char **line, size_t *n)
{
    while (!connection_has_line(c)) {
        int more = read_more(c);
        if (more <= 0)
            return more;
    }
    char *end = memchr(c->in + c->used, '\n', c->n - c->used);
    *line = c->in + c->used;
    *n = (size_t)(end - *line);
    c->used += *n + 1;
    return 1;
}

/* One that still lives greets whoever comes. */
static bool greets(const char *directory)
{
    struct connection again;
    const char *line;
    size_t n;
    bool found = connection_open(&again, directory, connection_now() + ENDING) == 0 &&
                 connection_line(&again, &line, &n) > 0;

    connection_close(&again);
    return found;
}

bool connection_has_ended(const struct connection *c, const char *directory)
{
    struct pollfd process = {.fd = c->process, .events = POLLIN};

    return c->process >= 0 ? poll(&process, 1, ENDING) > 0 : !greets(directory);
}
