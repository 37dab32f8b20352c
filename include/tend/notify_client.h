/* What we tell whoever started us, by the sd_notify protocol as its client: what is to be said, and
 * when.
 *
 * PID 1 never waits for it (notify_client_socket.h). What could not be said is kept, the newest of
 * each kind, and said with the next message. */
#ifndef TEND_NOTIFY_CLIENT_H
#define TEND_NOTIFY_CLIENT_H

#include "tend/base.h"

struct notify_client;

/* From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID as we were given them; the first must stay in
 * our environment, where the library looks for it. NULL, and errno 0: nobody wants to hear; NULL
 * and errno: it is no address that can be. Loads the library. */
struct notify_client *notify_client_open(const char *socket, const char *watchdog_usec,
                                         const char *watchdog_pid);
void notify_client_close(struct notify_client *);

/* Each marks what is to be said; notify_client_send says it. status is copied. */
void notify_client_ready(struct notify_client *);
/* Now: the time of this call is said, too. */
void notify_client_reloading(struct notify_client *);
void notify_client_stopping(struct notify_client *);
void notify_client_status(struct notify_client *, const char *status);
void notify_client_extend(struct notify_client *, msec by);

/* Says what is marked and due, as far as the receiver has room: a status by itself at most once
 * each 100 ms; each of ready, reloading and stopping in a message of its own, in their order, as
 * receivers differ in which of several counts. NULL, or what went wrong where that is new, once,
 * with errno. */
const char *notify_client_send(struct notify_client *, msec now);
/* When notify_client_send has something to do; NEVER: nothing is marked, and no watchdog is fed. */
msec notify_client_deadline(const struct notify_client *, msec now);
/* Waits at most so long for what is marked to be said: at the very end. A receiver that has had no
 * room for longer than that is not waited for. */
void notify_client_drain(struct notify_client *, msec limit);

#endif
