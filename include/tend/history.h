/* What happened: a bounded ring of fixed records, one format for the log, for events and for the
 * timeline, so that they cannot disagree. Pure. */
#ifndef TEND_HISTORY_H
#define TEND_HISTORY_H

#include "tend/engine.h"

enum history_kind {
    HISTORY_STATE,    /* a change of state */
    HISTORY_SIGNAL,   /* a signal was sent to a service's processes */
    HISTORY_EXIT,     /* a process of a service ended */
    HISTORY_STRAY,    /* an orphan that belongs to no service was reaped: number is how many */
    HISTORY_SHUTDOWN, /* the shutdown began or ended */
    HISTORY_KIND_COUNT
};

struct history_record {
    uint64_t sequence; /* counts all records ever, from 1 */
    msec at;
    enum history_kind kind;
    char name[CONF_NAME_MAX + 1]; /* of the service, "" for tend itself */
    uint8_t from, to;             /* enum service_state */
    uint8_t cause;                /* enum service_cause */
    bool ready;
    bool preparing;
    pid_t pid;
    int number;     /* HISTORY_SIGNAL: the signal, HISTORY_STRAY: how many */
    unsigned count; /* HISTORY_SIGNAL: to how many processes, 0: to the group */
    struct service_exit exit;
    int error, error_step;
    const char *step; /* of error_step, constant text; NULL where error is 0 */
    const char *what; /* the path that could not be executed; valid for history_text alone */
    unsigned tries; /* failures in a row */
    msec next;      /* BACKOFF: wait until the next try; a duration */
    msec age;       /* how long the life or the state before lasted */
};

enum { HISTORY_ROOM = 128 };
struct history {
    struct history_record at[HISTORY_ROOM];
    uint64_t last; /* sequence of the newest, 0: none */
};

/* Adds a copy with the next sequence; the oldest is overwritten. Returns it. */
const struct history_record *history_add(struct history *, const struct history_record *);
/* The record with the lowest sequence above after, NULL: none. *missed gets how many were
 * overwritten. */
const struct history_record *history_next(const struct history *, uint64_t after, uint64_t *missed);

/* From a change of the engine. */
struct history_record history_from_change(const struct engine_change *);

/* One line for people, without newline, never longer than size - 1: "web: running, pid 12, ready
 * after 30ms", "web: exit 3 after 2m, next try in 400ms". Returns its length. */
enum { HISTORY_TEXT_MAX = 320 };
size_t history_text(const struct history_record *, char *buf, size_t size);

#endif
