/* Requests and replies. What goes wrong ends the program, as an operator and its exit code are to
 * hear of it. */
#ifndef CLIENT_SESSION_H
#define CLIENT_SESSION_H

#include "client/client.h"

struct reply {
    struct record **at; /* all before the end */
    size_t n, room;
    struct record *end; /* "ok" or "error" */
};

/* Connects and takes the greeting. */
void session_open(struct client *);
/* The same, but false where nobody answers. */
bool session_try(struct client *);

/* "request name name". */
void session_ask(struct client *, const char *request, char *const *names, size_t n);
/* The next reply, whole, an error too. */
void session_reply(struct client *, struct reply *);
/* Both, and an error ends the program. */
void session_get(struct client *, struct reply *, const char *request, char *const *names,
                 size_t n);
/* One record; NULL: the connection is at its end. */
struct record *session_record(struct client *);
/* Tells the error that a reply ended with, with the nearest name where that is the reason. */
void session_refused(struct client *, const struct record *) __attribute__((noreturn));
void reply_free(struct reply *);

/* A time of tend's clock as one of the wall, in milliseconds since 1970. */
msec session_wall(const struct client *, msec at);

#endif
