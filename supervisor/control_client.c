/* One client: lines in, text out, and how long it may take. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tend/control.h"
#include "tend/control_access.h"

/* ---- lines in ---- */

static size_t line_size(const struct client *e)
{
    const char *begin = e->in + e->used;
    const char *end = memchr(begin, '\n', e->n_in - e->used);

    return end ? (size_t)(end - begin) + 1 : 0;
}

bool control_has_line(const struct client *e)
{
    return !e->used && !e->closing && line_size(e) > 0;
}

static bool is_full(const struct client *e)
{
    return e->n_in == REQUEST_LINE_MAX;
}

bool control_wants_read(const struct client *e)
{
    return !e->eof && !e->closing && !is_full(e) && !control_has_output(e);
}

static bool hung_up(const struct client *e)
{
    struct pollfd p = {.fd = e->fd};

    return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR));
}

void control_read(struct client *e, msec now)
{
    ssize_t n;

    if (!control_wants_read(e)) {
        e->gone |= hung_up(e);
        return;
    }
    n = control_receive(e->fd, e->no_passrights, e->in + e->n_in, REQUEST_LINE_MAX - e->n_in);
    if (n > 0) {
        /* a line that comes byte by byte began with the first of them */
        if (e->n_in == 0)
            e->half = now;
        e->n_in += (size_t)n;
    } else if (n < 0 && errno == EBADMSG) {
        e->closing = e->gone = true;
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        e->eof = true;
        e->gone |= n < 0;
    }
}

static void refuse_long_line(struct client *e)
{
    struct text t = control_room(e, 80);

    if (!t.at)
        return;
    text_put(&t, "error code=too-long text=a line has at most %d bytes\n", REQUEST_LINE_MAX);
    control_put(e, &t);
    e->closing = true;
}

char *control_line(struct client *e, size_t *n)
{
    if (!control_has_line(e)) {
        if (!e->used && !e->closing && is_full(e))
            refuse_long_line(e);
        return NULL;
    }
    e->used = line_size(e);
    *n = e->used - 1;
    e->in[*n] = '\0';
    return e->in;
}

/* Until now nobody had to send the rest of the next line. */
void control_done(struct client *e, msec now)
{
    e->n_in -= e->used;
    memmove(e->in, e->in + e->used, e->n_in);
    e->used = 0;
    e->since = e->half = now;
}

/* ---- text out ---- */

bool control_has_output(const struct client *e)
{
    return !e->gone && e->sent < e->n_out;
}

struct text control_room(struct client *e, size_t least)
{
    if (e->gone)
        e->sent = e->n_out = 0;
    if (e->sent > 0 && CONTROL_OUT_MAX - e->n_out < least) {
        e->n_out -= e->sent;
        memmove(e->out, e->out + e->sent, e->n_out);
        e->sent = 0;
    }
    if (CONTROL_OUT_MAX - e->n_out < least)
        return (struct text){0};
    /* One more than is kept: text ends with a NUL. */
    return (struct text){.at = e->out + e->n_out, .size = CONTROL_OUT_MAX + 1 - e->n_out};
}

void control_put(struct client *e, const struct text *t)
{
    e->n_out += t->n;
}

static bool write_some(struct client *e, msec now)
{
    ssize_t n = send(e->fd, e->out + e->sent, e->n_out - e->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n > 0) {
        e->sent += (size_t)n;
        e->since = e->half = now;
        e->refused = NEVER;
        return true;
    }
    e->gone |= errno != EAGAIN && errno != EINTR;
    if (e->refused == NEVER)
        e->refused = now;
    return false;
}

void control_write(struct client *e, msec now)
{
    while (control_has_output(e) && write_some(e, now))
        ;
}

/* What it asked for before it went is still to be done, unless nobody but itself has any of it. */
bool control_is_over(const struct client *e)
{
    if (control_has_output(e))
        return false;
    if (e->closing || e->waits)
        return e->closing || e->gone;
    return e->eof && !e->used && !control_has_line(e);
}

/* ---- time ---- */

static msec deadline(const struct client *e)
{
    if (control_has_output(e))
        return e->refused == NEVER ? NEVER : e->refused + CONTROL_STALL;
    if (e->waits)
        return NEVER;
    if (!e->used && e->n_in > 0 && !line_size(e))
        return e->half + CONTROL_STALL;
    return e->since + CONTROL_IDLE;
}

msec control_deadline(const struct control *c)
{
    msec first = c->socket >= 0 && c->paused ? c->paused : NEVER;

    for (size_t i = 0; c->at && i < CONTROL_CLIENTS; i++) {
        msec when = c->at[i].fd >= 0 ? deadline(&c->at[i]) : NEVER;
        if (when < first)
            first = when;
    }
    return first;
}

int control_expired(struct control *c, msec now)
{
    if (now >= c->paused)
        c->paused = 0;
    for (int i = 0; c->at && i < CONTROL_CLIENTS; i++)
        if (c->at[i].fd >= 0 && deadline(&c->at[i]) <= now)
            return i;
    return -1;
}
