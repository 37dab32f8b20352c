/* The control socket: who may come in, whole lines in, whole lines out, and bounds on all of it.
 * Knows no request and no service (request.h, serve.c). Nothing here waits.
 *
 * Rights come from the peer's credentials (unix(7), SO_PEERCRED, SO_PEERGROUPS): root and our own
 * user have all of them; the group of the socket has part; everybody else is told so and closed. */
#ifndef TEND_CONTROL_H
#define TEND_CONTROL_H

#include <sys/types.h>

#include "tend/request.h"

enum {
    CONTROL_CLIENTS = 256,  /* at once */
    CONTROL_PARTIAL = 128,  /* of them, with part of the rights */
    CONTROL_OUT_MAX = 8192, /* kept for one client until it reads */
    CONTROL_STALL = 10000,  /* msec for half a line, and for output that nobody reads */
    CONTROL_IDLE = 300000,  /* msec without any request */
};

struct client {
    int fd;          /* -1: free */
    uint32_t serial; /* of all that ever came: tells a new one in the same place apart */
    uid_t uid;
    pid_t pid;
    bool all_rights;
    bool closing; /* as soon as it has read what there is */
    bool waits;   /* an answer is still to come: neither idle nor stalled while it reads */
    bool eof;     /* it sends no more */
    msec since;   /* of the last whole request, or of the last byte that it read */
    char *in;     /* n_in bytes, of which the first used were a request that is under way */
    size_t n_in, used;
    char *out; /* bytes sent..n_out are to be written */
    size_t n_out, sent;
};

struct control {
    int socket;        /* listening, non-blocking; -1: none */
    gid_t group;       /* (gid_t)-1: none */
    struct client *at; /* CONTROL_CLIENTS, allocated with the first */
    unsigned n, n_partial;
    uint32_t serial;
};

/* The socket "control" in that directory, in place of what is there: 0600, or 0660 for a group. The
 * caller holds the lock of the directory. -1 with errno, and no socket. */
int control_open(struct control *, int dir, gid_t group);
/* Its mode and group anew; -1 with errno. */
int control_set_group(struct control *, int dir, gid_t group);
/* Whether what stands in the directory is still our socket. */
bool control_is_there(const struct control *, int dir);
/* Removes it too. */
void control_close(struct control *, int dir);

/* The next who comes in, an index into at; -1: nobody now. Who may not come in, or for whom there
 * is no room, has been told so and closed. For a newcomer with all rights room is made by closing
 * who is idle or stalled for longest, else one with part of the rights; the place of the closed one
 * may be the newcomer's: its serial tells. */
int control_accept(struct control *, msec now);

/* Reads what there is, without waiting. */
void control_read(struct client *, msec now);
/* The next whole line, NUL in place of its newline; valid until control_done. NULL: none. A line
 * that is too long is answered and ends the connection. */
char *control_line(struct client *, size_t *n);
/* That line was answered. */
void control_done(struct client *, msec now);

/* Room for text in the output, of at least `least` bytes; at NULL where there is not so much. What
 * was put there counts with control_put. */
struct text control_room(struct client *, size_t least);
void control_put(struct client *, const struct text *);
/* Writes what there is; what is left is to be written when the socket is writable. */
void control_write(struct client *, msec now);
bool control_has_output(const struct client *);
/* Nothing more is to be done for it: gone, or closing with nothing left to write. */
bool control_is_over(const struct client *);
void control_drop(struct control *, struct client *);

/* When the first of them has stalled or is idle; NEVER: none. */
msec control_deadline(const struct control *);
/* The next who has, -1: none. */
int control_expired(const struct control *, msec now);

#endif
