/* What the files of tendctl share: the command line as it was understood, the connection, how it
 * ends. */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <jansson.h>

#include "client/connection.h"
#include "client/records.h"

/* The exit codes, as `tendctl --help` tells them. */
enum client_status {
    CLIENT_DONE = 0,
    CLIENT_NOT_COME = 1,  /* failed, not ready, will not be */
    CLIENT_NOT_READY = 3, /* status: not all of those that were named */
    CLIENT_UNKNOWN = 4,
    CLIENT_USAGE = 64,
    CLIENT_NO_TEND = 69,
    CLIENT_SYSTEM = 71,
    CLIENT_DENIED = 77,
    CLIENT_CONFIG = 78,
    CLIENT_TIMEOUT = 124
};

enum client_color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER, CLIENT_COLOR_COUNT };

struct verb;

struct client {
    /* the command line */
    const struct verb *verb;
    const char *runtime; /* NULL: not given */
    enum client_color color;
    bool json, wait, group, now, follow, dot;
    msec timeout;         /* as given; NEVER: none */
    const char *goal;     /* of wait */
    const char *shutdown; /* the time of --deadline, as written; NULL */
    const char *signal;   /* NULL: not that verb */
    char **names;
    size_t n_names;

    /* the terminal */
    bool colored, utf8;
    size_t width; /* 0: lines may be of any length */

    /* the other side */
    const char *directory;
    char directory_room[4096];
    msec deadline;                 /* when the timeout is over; NEVER */
    void (*late)(struct client *); /* what is to be told then; NULL */
    bool connected;
    struct connection connection;
    struct record *greeting;
    msec clock_ahead; /* tend's clock less ours */
    msec epoch;       /* the time of day when tend's clock was 0 */

    json_t *document; /* what --json is to print at the end; NULL: lines of their own */
};

/* ---- ends (output.c) ---- */

void client_fail(struct client *, enum client_status, const char *code, const char *name,
                 const char *format, ...) __attribute__((noreturn)) PRINTF(5, 6);
/* For what cannot go on: no memory, a call that is refused. */
void client_system(struct client *, const char *what) __attribute__((noreturn));
void *client_must(struct client *, void *allocated);
/* Prints the document, if there is one, and sees that all was written. */
int client_finish(struct client *, enum client_status);
/* What was printed so far is to be seen before a wait. */
void client_flush(struct client *);
void client_set_terminal(struct client *);

/* ---- the document of --json ---- */

/* Adds to an object, which may be the document; takes the value. */
void client_put(struct client *, json_t *object, const char *key, json_t *value);
/* Adds an entry to the list of that name in the document. */
void client_append(struct client *, const char *list, json_t *value);
/* That list, made where it is missing: one that stays empty is to be seen too. */
json_t *client_list(struct client *, const char *list);
/* A line of its own. */
void client_print_line(struct client *, json_t *value);

/* ---- verbs ---- */

int show_status(struct client *);
int show_ready(struct client *);
int show_changes(struct client *);
int show_why(struct client *);
int show_graph(struct client *);
int show_events(struct client *);
int show_history(struct client *);
int show_version(struct client *);
int show_names(struct client *);
int steer(struct client *);
int steer_shutdown(struct client *);
/* Becomes tend. */
int check(struct client *, char **arguments);

#endif
