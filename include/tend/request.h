/* One request of the control protocol (docs/PROTOCOL.md): a line of words. Pure and total: any
 * bytes give a request or an error to be sent back. */
#ifndef TEND_REQUEST_H
#define TEND_REQUEST_H

#include "tend/text.h"

enum request_verb {
    REQUEST_STATUS,
    REQUEST_START,
    REQUEST_STOP,
    REQUEST_RESTART,
    REQUEST_RELOAD_SERVICE,
    REQUEST_SIGNAL,
    REQUEST_WAIT,
    REQUEST_READY,
    REQUEST_PLAN,
    REQUEST_RELOAD,
    REQUEST_WHY,
    REQUEST_GRAPH,
    REQUEST_EVENTS,
    REQUEST_HISTORY,
    REQUEST_SHUTDOWN,
    REQUEST_HELP,
    REQUEST_VERB_COUNT
};

/* What is waited for. */
enum request_goal { GOAL_READY, GOAL_DOWN, GOAL_FAILED, GOAL_RELOADED, REQUEST_GOAL_COUNT };

/* The longest line, its newline included. */
enum { REQUEST_LINE_MAX = 4096 };

struct request {
    enum request_verb verb;
    enum request_goal goal; /* WAIT */
    int signal;             /* SIGNAL */
    bool group;             /* SIGNAL: to the group of the main process, not to it alone */
    bool now;               /* SHUTDOWN */
    msec deadline;          /* SHUTDOWN, from now on; NEVER: none */
    bool follow;            /* EVENTS */
    bool has_after;         /* EVENTS */
    uint64_t after;         /* EVENTS: those with a greater sequence */
    const char *names;      /* of services: n_names words in the line, each ended by NUL */
    unsigned n_names;
};

/* Reads the n bytes of line, newline not among them (a last CR is of the newline), and cuts it into
 * words in place: names then point into it. line[n] must be writable. False: *error, which has room
 * for REQUEST_ERROR_MAX, gets the whole reply, "error code=usage text=..." with its newline. Names
 * are not looked up, but each could be one (conf_name_valid). */
enum { REQUEST_ERROR_MAX = 512 };
bool request_parse(char *line, size_t n, struct request *out, struct text *error);

/* The name after this one, of those of a request; not to be read after the last. */
const char *request_next_name(const char *name);

/* Whether only root and our own user may ask for it. */
bool request_needs_all_rights(enum request_verb);
const char *request_verb_name(enum request_verb);
/* "wait for=ready|down|failed|reloaded [NAME...]", for help. */
const char *request_usage(enum request_verb);

#endif
