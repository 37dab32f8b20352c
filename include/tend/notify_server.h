/* The socket at which one service notifies us: one for each, so that the socket names the service,
 * and one service that floods its own delays nobody else.
 *
 * Knows no service. Never blocks: the descriptors that a message brings along never come to us. A
 * child receives such a message, and closes them as it exits, which may wait (a FUSE file, a socket
 * that lingers); one at a time, so that until it has ended nothing more that brings descriptors is
 * taken from this socket. */
#ifndef TEND_NOTIFY_SERVER_H
#define TEND_NOTIFY_SERVER_H

#include <sys/types.h>

#include "tend/notify.h"

enum { NOTIFY_ADDRESS_MAX = 108 };

/* To begin with: .fd = -1, all else zero. */
struct notify_server {
    int fd;            /* -1: none */
    pid_t closer;      /* closes descriptors; 0: none is at it */
    bool in_directory; /* else in the abstract namespace */
    dev_t dev;         /* of its name in the directory */
    ino_t ino;
    char address[NOTIFY_ADDRESS_MAX]; /* as NOTIFY_SOCKET is to say it, "@..." where abstract */
};

/* Opens one: in the folder "notify" of the runtime directory (made 0711 where it is missing), mode
 * 0600, owned by uid; where there is no such directory (dir -1) or its path is too long for a
 * socket, under a name in the abstract namespace that has our pid and a random number in it, where
 * credentials alone tell who sends. name is that of a service, checked; an old socket of that name
 * is replaced. Close-on-exec, SO_PASSCRED set before it has a name. -1 with errno, and none. A
 * closer of the one before, which was closed, stays noted. */
int notify_server_open(struct notify_server *, int dir, const char *path, const char *name,
                       uid_t uid);
/* Closes and removes it; who waits to send is told so. A closer goes on by itself, and stays
 * noted. */
void notify_server_close(struct notify_server *, int dir, const char *name);
/* Whether the socket is still where its address says (USR1 makes what was deleted anew). */
bool notify_server_stands(const struct notify_server *, int dir, const char *name);

/* Who sent a message. */
struct notify_sender {
    pid_t pid; /* 0: not of our PID namespace */
    uid_t uid;
};

enum notify_taken {
    NOTIFY_NONE,    /* nothing there, or what is there needs a child: the closer is at work still,
                     * or (closer is 0) none could be had */
    NOTIFY_MESSAGE, /* *message is filled */
    NOTIFY_BROKEN,  /* one was there, and is none: too long, empty, a NUL in it */
};

/* Takes the next message into buf, which *message points into. *descriptors: how many came with it,
 * all of them closed by then or in the hands of the closer: closer is then its pid, a child of ours
 * to be reaped. */
enum notify_taken notify_server_take(struct notify_server *, char buf[static NOTIFY_MAX + 1],
                                     struct notify *message, struct notify_sender *,
                                     unsigned *descriptors);
/* The closer was reaped. */
void notify_server_closed(struct notify_server *);
/* Throws away what waits there: it is of an earlier life. At most 1,024 messages, and of those that
 * bring descriptors 16, each by a child that goes on by itself. */
void notify_server_drop(struct notify_server *);

#endif
