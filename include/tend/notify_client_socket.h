/* How one message goes to the socket of whoever started us: by libsystemd's sd_notify where that
 * can be loaded, else by a datagram of our own.
 *
 * Never waits: before each message a connected socket is asked whether the receiver has room, and a
 * timer interrupts a call that lost that race. As that is SIGALRM's, which is unblocked for the
 * call alone, only one may exist. */
#ifndef TEND_NOTIFY_CLIENT_SOCKET_H
#define TEND_NOTIFY_CLIENT_SOCKET_H

#include "tend/address.h"

struct notify_client_socket {
    struct address address;
    int fd;
    void *library;                                        /* NULL: none */
    int (*say)(int unset_environment, const char *state); /* of the library */
};

/* -1 with errno, and nothing left behind. */
int notify_client_socket_open(struct notify_client_socket *, const char *address);
void notify_client_socket_close(struct notify_client_socket *);

/* 1: it was said; 0: not now, for want of room; -1 with errno: nobody takes it. */
int notify_client_socket_say(struct notify_client_socket *, const char *message);
/* Waits for room, at most so long. */
void notify_client_socket_await(const struct notify_client_socket *, msec limit);

#endif
