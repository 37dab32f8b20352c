/* One probe by TCP: a connection that is made, or an HTTP GET on it. Never blocks: whoever drives
 * it waits for the descriptor, and gives it up in time. Other probes are children (spawn.h), since
 * looking up a path in the file system can wait. */
#ifndef TEND_PROBE_H
#define TEND_PROBE_H

#include "tend/base.h"

struct address;

enum probe_state { PROBE_WAIT, PROBE_WELL, PROBE_ILL };

enum {
    PROBE_HEAD = 13,             /* as much of an answer says how it is */
    PROBE_ANSWER_MAX = 64 * 1024 /* as much of it is read */
};

struct probe {
    int fd; /* -1: none */
    bool connected;
    bool over;
    bool ended;    /* nothing of an answer is unread: closed without a reset */
    bool ours;     /* it failed for want of something of ours: that says nothing of the service */
    char *request; /* of HTTP; NULL: a bare connection */
    unsigned size, sent;
    unsigned n_answer;        /* bytes that were read; the first of them are in head */
    enum probe_state verdict; /* of the status line, as soon as it is there; then of all */
    int error;                /* errno of what went wrong, 0: none. EPROTO: it is no HTTP; ENODATA:
                               * it was closed before that could be told; ETIMEDOUT: probe_late */
    int status;               /* of HTTP, 0: none was read */
    char head[PROBE_HEAD];
};

/* Begins it; http: an address_http URL, or NULL for a bare connection. PROBE_WAIT: to be gone on
 * with when the descriptor is ready for what probe_wants says. It may be over at once. Whatever it
 * is, probe_end is to follow. */
enum probe_state probe_begin(struct probe *, const struct address *, const char *http);
/* EPOLLIN or EPOLLOUT. */
unsigned probe_wants(const struct probe *);
/* Also where there was no reason to. What is over stays so. */
enum probe_state probe_go_on(struct probe *);
/* Its time is over: what it amounts to. The verdict is known before the rest of an answer has come,
 * and some never end. */
enum probe_state probe_late(struct probe *);
/* Closes it; without unsent data, and with a reset rather than a wait (SO_LINGER 0) where the
 * answer was not read to its end. What is known of it stays. Idempotent. */
void probe_end(struct probe *);

/* What an answer's beginning says: PROBE_WELL for a status 2xx or 3xx, PROBE_ILL for any other or
 * no HTTP at all, PROBE_WAIT where more is needed. Total; *status gets the number, 0: none yet. */
enum probe_state probe_status_line(const char *bytes, size_t n, int *status);

#endif
