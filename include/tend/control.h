/* The control socket: who may come in, whole lines in, whole lines out, and bounds on all of it.
 * Knows no request and no service (request.h, serve.c). Nothing here waits.
 *
 * Rights come from the peer's credentials (unix(7), SO_PEERCRED, SO_PEERGROUPS): root and our own
 * user have all of them; the group of the socket has part; everybody else is told so and closed.
 * Where our user namespace lacks ids, the one that stands for all of those gives none.
 *
 * A client is watched for EPOLLIN while control_wants_read, for EPOLLOUT while control_has_output,
 * and for neither otherwise, where a hang-up is still told. After any of its events come
 * control_read and control_write, in this order; then, as after all that is done to it,
 * control_is_over. */
#ifndef TEND_CONTROL_H
#define TEND_CONTROL_H

#include <sys/types.h>

#include "tend/request.h"

enum {
    CONTROL_CLIENTS = 256,  /* at once, at most; half of them with part of the rights */
    CONTROL_LEAST = 8,      /* however few descriptors there are */
    CONTROL_OF_USER = 32,   /* of one user with part of the rights */
    CONTROL_OUT_MAX = 8192, /* kept for one client until it reads */
    CONTROL_STALL = 10000,  /* msec for half a line, and for output that nobody reads */
    CONTROL_IDLE = 300000,  /* msec without any request */
    CONTROL_PAUSE = 100,    /* msec without accept(2) after it failed */
};

struct client {
    int fd;          /* -1: free */
    uint32_t serial; /* of all that ever came: tells a new one in the same place apart */
    uid_t uid;
    pid_t pid;
    bool all_rights;
    bool no_passrights; /* as in struct control */
    bool closing;       /* as soon as it has read what there is */
    bool waits;         /* an answer is still to come: neither idle nor stalled while it reads */
    bool eof;           /* it sends no more */
    bool gone;          /* it reads no more: its output is thrown away */
    msec since;         /* of the last whole request, or of the last byte that it read */
    msec half;          /* the line of which only a part is there began */
    msec refused; /* since then it has read nothing of what there is; NEVER: nothing was refused */
    char *in;     /* n_in bytes, of which the first used are a request that is under way */
    size_t n_in, used;
    char *out; /* bytes sent..n_out are to be written */
    size_t n_out, sent;
};

/* To begin with: .socket = -1, all else zero. */
struct control {
    int socket; /* listening, non-blocking; -1: none */
    dev_t dev;  /* of its name in the directory */
    ino_t ino;
    gid_t group;  /* that is let in; (gid_t)-1: none */
    id_t no_user; /* ids that stand for any other; (id_t)-1: none */
    id_t no_group;
    bool no_passrights; /* descriptors may come with what is sent to us (before Linux 6.16) */
    int spare;          /* given up to tell somebody that there are no more descriptors; 0: none */
    msec paused;        /* no accept(2) before; 0: none */
    struct client *at;  /* CONTROL_CLIENTS, allocated with the first */
    unsigned n, n_partial;
    unsigned limit; /* of clients; 0: CONTROL_CLIENTS */
    uint32_t serial;
    /* Still to be closed, by a child that could not be had: clients, one who was sent away, and a
     * socket. Nobody comes in meanwhile. */
    int left[CONTROL_CLIENTS + 2];
    unsigned n_left;
    /* NULL, or called before any descriptor of ours is closed, to unwatch it: an epoll(7) goes on
     * with it as long as a child that was forked has it too. */
    void (*before_close)(void *arg, int fd);
    void *arg;
};

/* The socket "control" in that directory, in place of a socket that is there: 0600, or 0660 for a
 * group. The caller holds the lock of the directory. -1 with errno, and no socket. If only the
 * group could not be set, it is 0600 and ->group is (gid_t)-1. May be called again, also for
 * another directory: clients stay. */
int control_open(struct control *, int dir, gid_t group);
/* Its mode and group anew; -1 with errno, and then it is 0600 and for no group. Clients who had
 * part of the rights, and now have none, are over. */
int control_set_group(struct control *, int dir, gid_t group);
/* Whether what stands in the directory is still our socket. */
bool control_is_there(const struct control *, int dir);
/* Drops all clients, removes the socket too. */
void control_close(struct control *, int dir);
/* So many clients, between CONTROL_LEAST and CONTROL_CLIENTS, half of them with part of the rights;
 * who is in stays. */
void control_set_limit(struct control *, unsigned clients);

/* The next who comes in, an index into at; -1: nobody now. Who may not come in, or for whom there
 * is no room, has been told so and closed. For a newcomer with all rights room is made by closing
 * who is idle or stalled for longest, else one with part of the rights; the other way round where
 * descriptors have run out. The place of the closed one may be the newcomer's: its serial tells. */
int control_accept(struct control *, msec now);
/* Whether the socket is to be watched: not for a moment after accept(2) failed with somebody still
 * waiting. control_deadline tells when it is again. */
bool control_wants_accept(const struct control *, msec now);

/* Reads what there is, without waiting; nothing unless control_wants_read, but sees a hang-up. */
void control_read(struct client *, msec now);
/* Not what comes behind a full buffer or behind replies that it has not read. */
bool control_wants_read(const struct client *);
/* Whether control_line has one. */
bool control_has_line(const struct client *);
/* The next whole line, NUL in place of its newline; valid until control_done. NULL: none, or one is
 * under way. A line that is too long is answered and ends the connection. */
char *control_line(struct client *, size_t *n);
/* That line was answered. */
void control_done(struct client *, msec now);

/* Room for text in the output, of at least `least` bytes; at NULL where there is not so much. What
 * was put there counts with control_put. */
struct text control_room(struct client *, size_t least);
void control_put(struct client *, const struct text *);
/* Writes what there is; what is left is to be written when the socket is writable. Called after
 * output was put too: who does not read is told by it. */
void control_write(struct client *, msec now);
bool control_has_output(const struct client *);
/* Nothing more is to be done for it: closing or at its end, with nothing left to read, to do or to
 * write; or gone while it waits. */
bool control_is_over(const struct client *);
void control_drop(struct control *, struct client *);

/* When the first of them has stalled or is idle, or accept(2) is to be tried again; NEVER: none. To
 * be asked when all that came was read. */
msec control_deadline(const struct control *);
/* The next who has, -1: none. To be called whenever the deadline has come. */
int control_expired(struct control *, msec now);

#endif
