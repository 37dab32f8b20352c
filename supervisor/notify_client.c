#include "tend/notify_client.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tend/notify_client_socket.h"
#include "tend/text.h"
#include "tend/units.h"

enum {
    STATUS_EVERY = 100,
    FIRST_WAIT = 50,
    LONGEST_WAIT = 1000,
    LAST_TRIES = 20,
    MESSAGE_MAX = 512
};

/* How we are, of which the last counts. */
enum word { WORD_READY, WORD_RELOADING, WORD_STOPPING, WORD_COUNT };

static const char *const words[] = {
    [WORD_READY] = "READY=1",
    [WORD_RELOADING] = "RELOADING=1",
    [WORD_STOPPING] = "STOPPING=1",
};
static_assert(ARRAY_SIZE(words) == WORD_COUNT, "each word has its line");

struct notify_client {
    struct notify_client_socket socket;
    uint64_t marks;             /* counts them */
    uint64_t order[WORD_COUNT]; /* which one it was; 0: not marked */
    uint64_t reloading_at;      /* microseconds */
    msec extend;                /* 0: not marked */
    bool has_status;
    char status[MESSAGE_MAX / 2];
    msec status_at;   /* not by itself before */
    msec feed_every;  /* 0: there is no watchdog */
    msec feed_at;     /* when it is due */
    msec retry_at;    /* nothing before */
    msec wait;        /* between the tries; 0: the last one went well */
    msec stuck_since; /* where it did not */
    bool lost;        /* nobody was there, which was told */
};

/* One message: what of all that is marked it has. */
struct message {
    enum word word; /* WORD_COUNT: none */
    bool status, extend, feed;
};

static uint64_t microseconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- from the environment ---- */

/* Half of what we are given; a watchdog of another process is not ours. */
static msec feed_interval(const char *usec, const char *pid)
{
    long interval, whose;

    if (pid && (units_number(pid, 1, INT32_MAX, &whose) || whose != getpid()))
        return 0;
    if (!usec || units_number(usec, 1, LONG_MAX, &interval))
        return 0;
    return interval < 2000 ? 1 : interval / 2000;
}

struct notify_client *notify_client_open(const char *socket, const char *watchdog_usec,
                                         const char *watchdog_pid)
{
    struct notify_client *c;

    errno = 0;
    if (!socket || !*socket)
        return NULL;
    c = calloc(1, sizeof *c);
    if (c && notify_client_socket_open(&c->socket, socket)) {
        free(c);
        return NULL;
    }
    if (c)
        c->feed_every = feed_interval(watchdog_usec, watchdog_pid);
    return c;
}

void notify_client_close(struct notify_client *c)
{
    notify_client_socket_close(&c->socket);
    free(c);
}

/* ---- what is to be said ---- */

static void mark(struct notify_client *c, enum word word)
{
    c->order[word] = ++c->marks;
}

void notify_client_ready(struct notify_client *c)
{
    mark(c, WORD_READY);
}

/* A receiver compares it with the moment at which it asked for the reload: that of the loop, which
 * was read before the request, would be too early. */
void notify_client_reloading(struct notify_client *c)
{
    mark(c, WORD_RELOADING);
    c->reloading_at = microseconds();
}

void notify_client_stopping(struct notify_client *c)
{
    mark(c, WORD_STOPPING);
}

void notify_client_status(struct notify_client *c, const char *status)
{
    struct text t = {c->status, 0, sizeof c->status};

    text_put(&t, "%s", status);
    for (char *at = c->status; *at; at++)
        if (*at == '\n')
            *at = ' ';
    c->has_status = true;
}

void notify_client_extend(struct notify_client *c, msec by)
{
    c->extend = by;
}

static enum word first_word(const struct notify_client *c)
{
    enum word first = WORD_COUNT;

    for (enum word word = 0; word < WORD_COUNT; word++)
        if (c->order[word] && (first == WORD_COUNT || c->order[word] < c->order[first]))
            first = word;
    return first;
}

/* ---- one message ---- */

static struct message next_message(const struct notify_client *c, msec now)
{
    struct message m = {.word = first_word(c), .extend = c->extend > 0};

    m.status = c->has_status && (m.word != WORD_COUNT || now >= c->status_at);
    m.feed = c->feed_every && now >= c->feed_at;
    return m;
}

static bool is_empty(const struct message *m)
{
    return m->word == WORD_COUNT && !m->status && !m->extend && !m->feed;
}

static void write_message(const struct notify_client *c, const struct message *m, struct text *t)
{
    if (m->word != WORD_COUNT)
        text_put(t, "%s\n", words[m->word]);
    if (m->word == WORD_RELOADING)
        text_put(t, "MONOTONIC_USEC=%llu\n", (unsigned long long)c->reloading_at);
    if (m->status)
        text_put(t, "STATUS=%s\n", c->status);
    if (m->extend)
        text_put(t, "EXTEND_TIMEOUT_USEC=%lld\n", (long long)c->extend * 1000);
    if (m->feed)
        text_put(t, "WATCHDOG=1\n");
    t->at[--t->n] = '\0';
}

static void was_said(struct notify_client *c, const struct message *m, msec now)
{
    if (m->word != WORD_COUNT)
        c->order[m->word] = 0;
    if (m->status) {
        c->has_status = false;
        c->status_at = now + STATUS_EVERY;
    }
    if (m->extend)
        c->extend = 0;
    if (m->feed)
        c->feed_at = now + c->feed_every;
    c->wait = 0;
    c->lost = false;
}

static void try_again(struct notify_client *c, msec now, msec wait)
{
    if (!c->wait)
        c->stuck_since = now;
    c->wait = wait < LONGEST_WAIT ? wait : LONGEST_WAIT;
    c->retry_at = now + c->wait;
}

/* ---- when ---- */

/* As notify_client_socket_say. */
static int say(struct notify_client *c, const struct message *m, msec now)
{
    char bytes[MESSAGE_MAX];
    struct text t = {bytes, 0, sizeof bytes};
    int said;

    write_message(c, m, &t);
    said = notify_client_socket_say(&c->socket, bytes);
    if (said > 0)
        was_said(c, m, now);
    else
        try_again(c, now, said < 0 ? LONGEST_WAIT : c->wait ? 2 * c->wait : FIRST_WAIT);
    return said;
}

const char *notify_client_send(struct notify_client *c, msec now)
{
    struct message m = next_message(c, now);
    int said = 1;

    if (now < c->retry_at)
        return NULL;
    while (said > 0 && !is_empty(&m)) {
        said = say(c, &m, now);
        m = next_message(c, now);
    }
    if (said >= 0 || c->lost)
        return NULL;
    c->lost = true;
    return "it cannot be told how we are";
}

static msec earlier(msec a, msec b)
{
    return a < b ? a : b;
}

static msec later(msec a, msec b)
{
    return a > b ? a : b;
}

msec notify_client_deadline(const struct notify_client *c, msec now)
{
    msec due = NEVER;

    if (first_word(c) != WORD_COUNT || c->extend)
        due = now;
    if (c->has_status)
        due = earlier(due, later(c->status_at, now));
    if (c->feed_every)
        due = earlier(due, later(c->feed_at, now));
    return due == NEVER ? NEVER : later(due, c->retry_at);
}

/* ---- the end ---- */

void notify_client_drain(struct notify_client *c, msec limit)
{
    msec now = (msec)(microseconds() / 1000), end = now + limit;

    if (c->wait && c->stuck_since < now - limit)
        end = now;
    for (int i = 0; i < LAST_TRIES; i++) {
        c->retry_at = c->status_at = now;
        notify_client_send(c, now);
        if ((first_word(c) == WORD_COUNT && !c->has_status) || c->lost || now >= end)
            return;
        notify_client_socket_await(&c->socket, end - now);
        now = (msec)(microseconds() / 1000);
    }
}
