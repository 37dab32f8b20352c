#include "tend/probe.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tend/address.h"

enum { READS = 4 }; /* at a time: others are waiting too */

static enum probe_state end_with(struct probe *p, enum probe_state verdict, int error)
{
    p->over = true;
    p->error = error;
    return p->verdict = verdict;
}

static enum probe_state fail(struct probe *p, int error)
{
    return end_with(p, PROBE_ILL, error);
}

/* ---- the request ---- */

/* The URL is of the form that address_http lets pass. */
static char *make_request(const char *url, unsigned *size)
{
    const char *host = url + strlen("http://"), *path = host + strcspn(host, "/");
    char *request = NULL;
    int n = asprintf(&request,
                     "GET %s HTTP/1.0\r\nHost: %.*s\r\nUser-Agent: tend\r\nAccept: */*\r\n"
                     "Connection: close\r\n\r\n",
                     *path ? path : "/", (int)(path - host), host);

    *size = n < 0 ? 0 : (unsigned)n;
    return n < 0 ? NULL : request;
}

/* False: nobody reads it any more; but it may have been answered. */
static bool send_request(struct probe *p)
{
    while (p->sent < p->size) {
        ssize_t n =
            send(p->fd, p->request + p->sent, p->size - p->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0)
            p->sent += (unsigned)n;
        else if (errno == EAGAIN)
            return true;
        else if (errno != EINTR)
            return false;
    }
    return true;
}

/* ---- the answer ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200 OK" */
static bool may_stand_there(char c, size_t i)
{
    static const char form[] = "HTTP/0.0 000";

    if (i == sizeof form - 1)
        return c == ' ' || c == '\r' || c == '\n';
    return form[i] == '0' ? is_digit(c) : c == form[i];
}
static_assert(PROBE_HEAD == sizeof "HTTP/0.0 000", "and what ends the number");

enum probe_state probe_status_line(const char *bytes, size_t n, int *status)
{
    *status = 0;
    for (size_t i = 0; i < n && i < PROBE_HEAD; i++)
        if (!may_stand_there(bytes[i], i))
            return PROBE_ILL;
    if (n < PROBE_HEAD)
        return PROBE_WAIT;
    *status = (bytes[9] - '0') * 100 + (bytes[10] - '0') * 10 + (bytes[11] - '0');
    return *status >= 200 && *status < 400 ? PROBE_WELL : PROBE_ILL;
}

static void take_answer(struct probe *p, const char *bytes, size_t n)
{
    size_t kept = p->n_answer < PROBE_HEAD ? p->n_answer : PROBE_HEAD;
    size_t more = n < PROBE_HEAD - kept ? n : PROBE_HEAD - kept;

    memcpy(p->head + kept, bytes, more);
    p->n_answer += (unsigned)n;
    if (p->verdict == PROBE_WAIT)
        p->verdict = probe_status_line(p->head, kept + more, &p->status);
}

/* What came before the end is what counts. */
static enum probe_state judge(struct probe *p, int error)
{
    return p->verdict == PROBE_WAIT ? fail(p, error) : end_with(p, p->verdict, 0);
}

/* A short answer is read to its end, so that whoever still writes it is not interrupted. */
static enum probe_state read_answer(struct probe *p)
{
    char bytes[4096];

    for (int i = 0; i < READS; i++) {
        ssize_t n = recv(p->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return PROBE_WAIT;
        if (n <= 0) {
            p->ended = true;
            return judge(p, n < 0 ? errno : ENODATA);
        }
        take_answer(p, bytes, (size_t)n);
        if (p->verdict == PROBE_ILL && !p->status)
            return fail(p, EPROTO);
        if (p->n_answer >= PROBE_ANSWER_MAX)
            return judge(p, 0);
    }
    return PROBE_WAIT;
}

/* ---- the connection ---- */

/* A port that nobody listens at, and that may be given to whoever connects, can be given to us:
 * then we have connected to ourselves. */
static bool is_ourselves(int fd, bool *gone)
{
    struct sockaddr_storage own = {0}, other = {0};
    socklen_t own_size = sizeof own, other_size = sizeof other;

    *gone = getpeername(fd, (struct sockaddr *)&other, &other_size) != 0;
    return !*gone && !getsockname(fd, (struct sockaddr *)&own, &own_size) &&
           own_size == other_size && !memcmp(&own, &other, own_size);
}

static enum probe_state finish_connect(struct probe *p)
{
    struct pollfd ready = {.fd = p->fd, .events = POLLOUT};
    int error = 0;
    bool gone;

    if (poll(&ready, 1, 0) <= 0)
        return PROBE_WAIT;
    if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error}))
        error = errno;
    if (error)
        return fail(p, error);
    if (is_ourselves(p->fd, &gone))
        return fail(p, ECONNREFUSED);
    if (gone)
        return fail(p, ECONNRESET);
    p->connected = true;
    return p->request ? PROBE_WAIT : end_with(p, PROBE_WELL, 0);
}

/* An address that is none here is not among them: it may be that of the service, and wrong. */
static enum probe_state not_begun(struct probe *p, int error)
{
    p->ours = error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
    return fail(p, error);
}

enum probe_state probe_begin(struct probe *p, const struct address *a, const char *http)
{
    *p = (struct probe){.fd = -1};
    if (http) {
        p->request = make_request(http, &p->size);
        if (!p->request)
            return not_begun(p, ENOMEM);
    }
    p->fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0)
        return not_begun(p, errno);
    if (connect(p->fd, &a->any, a->length) && errno != EINPROGRESS && errno != EINTR)
        return not_begun(p, errno);
    return probe_go_on(p);
}

unsigned probe_wants(const struct probe *p)
{
    return !p->connected || p->sent < p->size ? EPOLLOUT : EPOLLIN;
}

enum probe_state probe_go_on(struct probe *p)
{
    if (!p->over && !p->connected)
        finish_connect(p);
    if (p->over)
        return p->verdict;
    if (!p->connected)
        return PROBE_WAIT;
    if (!send_request(p))
        p->sent = p->size;
    return p->sent < p->size ? PROBE_WAIT : read_answer(p);
}

enum probe_state probe_late(struct probe *p)
{
    return p->over ? p->verdict : judge(p, ETIMEDOUT);
}

void probe_end(struct probe *p)
{
    static const struct linger reset = {.l_onoff = 1};

    if (p->fd > STDERR_FILENO) {
        /* also where we have connected to ourselves: the port should be free again at once */
        if (!p->ended && (p->request || p->verdict != PROBE_WELL))
            setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(p->fd);
    }
    free(p->request);
    p->request = NULL;
    p->fd = -1;
    p->over = true;
}
