/* The control socket as lines: found, connected, read and written, within a time. Knows no request
 * and no record. */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

#include <sys/types.h>

#include "tend/base.h"

/* No line of tend is so long. */
enum { CONNECTION_LINE_MAX = 16384 };

struct connection {
    int fd;
    pid_t peer;    /* who answers, as the kernel knows it here; 0: not in our PID namespace */
    int process;   /* a pidfd of it, -1: none */
    msec deadline; /* when a call gives up with ETIMEDOUT; NEVER */
    int watched;   /* a descriptor whose reader may go away, which ends a wait with EPIPE; -1 */
    char *in;
    size_t n, used;
};

/* The directory in which tend is expected: given, or TEND_RUNTIME, or by who we are. */
const char *connection_directory(const char *given, char *buf, size_t size);

/* Connects to "control" in that directory. The name may be longer than an address of a socket can
 * be. 0, or -1 with errno. The present folder is as before, though other threads would notice. */
int connection_open(struct connection *, const char *directory, msec deadline);
void connection_close(struct connection *);

/* Once the connection is at its end: whether that is because the other side has ended. Waits for
 * that a moment. */
bool connection_has_ended(const struct connection *, const char *directory);

/* 0, or -1 with errno. */
int connection_send(struct connection *, const char *text, size_t n);

/* The next line, without newline, valid until the next call. Its length in *n. 1; 0: there are no
 * more; -1 with errno, EPROTO for a line that has no end. */
int connection_line(struct connection *, const char **line, size_t *n);
/* Whether connection_line has one without waiting. */
bool connection_has_line(const struct connection *);

msec connection_now(void);

#endif
