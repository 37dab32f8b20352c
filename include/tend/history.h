/* What happened: a bounded ring of fixed records, one format for the log, for events and for the
 * timeline, so that they cannot disagree. Pure. */
#ifndef TEND_HISTORY_H
#define TEND_HISTORY_H

#include "tend/engine.h"
#include "tend/text.h"

enum history_kind {
    HISTORY_STATE,    /* a change of state */
    HISTORY_FORKED,   /* a process of a service was made */
    HISTORY_SIGNAL,   /* a signal was sent to a service's processes */
    HISTORY_EXIT,     /* a process of a service ended while its state did not change */
    HISTORY_STRAY,    /* orphans that belong to no service were reaped */
    HISTORY_SHUTDOWN, /* the shutdown began (age 0) or ended */
    HISTORY_CONFIG,   /* one came into force, or was refused */
    HISTORY_STATUS,   /* a service says how it is (STATUS) */
    HISTORY_NOTIFY,   /* it says something else that is to be known: "reloading", "reloaded", ... */
    HISTORY_HEALTH,   /* its probes fail, or succeed again */
    HISTORY_REQUEST,  /* somebody asked for something to be done */
    HISTORY_DEATH,    /* a life is over: of a main process or before_start, with all that it left */
    HISTORY_KIND_COUNT
};

/* Which of a service's processes. */
enum history_process {
    HISTORY_MAIN,
    HISTORY_BEFORE,  /* before_start */
    HISTORY_COMMAND, /* the stop command */
    HISTORY_RELOAD,  /* the reload command */
    HISTORY_PROBE,   /* the command of ready or health */
    HISTORY_PROCESS_COUNT
};

enum { HISTORY_WHAT_MAX = 2 * CONF_NAME_MAX };
struct history_record {
    uint64_t sequence; /* counts all records ever, from 1 */
    msec at;
    enum history_kind kind;
    char name[CONF_NAME_MAX + 1]; /* of the service, "" for tend itself */
    uint8_t from, to;             /* enum service_state */
    uint8_t event;                /* enum engine_event */
    uint8_t cause;                /* enum service_cause */
    uint8_t process;              /* enum history_process: whose pid or exit this is */
    bool group;                   /* SIGNAL: to the group of pid */
    pid_t pid;                    /* 0: none; REQUEST: of who asked */
    int number;                   /* SIGNAL: the signal; REQUEST: the user id of who asked */
    /* SIGNAL: to how many beside pid, both 0: to all. STRAY: how many. To STUCK: how many live.
     * To FAILED: how many starts were too many, 0: that was not why. CONFIG: of services. */
    unsigned count;
    struct service_exit exit;
    int error, error_step;
    const char *step;            /* of error_step: constant text, filled by the caller; or NULL */
    char what[HISTORY_WHAT_MAX]; /* what could not be executed (of a long path the end); to PENDING:
                                  * whom it needs in vain. CONFIG: "loaded", "reloaded", "refused".
                                  * REQUEST: what, and of whom. STATUS, NOTIFY: what it says, made
                                  * printable. HEALTH: what is wrong, "": nothing more */
    unsigned tries;              /* failures in a row */
    msec next;   /* to BACKOFF: until the next try; to FAILED: the window of count */
    msec age;    /* what ended had lasted so long: a life, a stop, a start; DEATH: its stop */
    msec ran;    /* DEATH: from its fork to its exit */
    bool killed; /* DEATH: KILL was sent */
};

enum { HISTORY_ROOM = 128 };
struct history {
    struct history_record at[HISTORY_ROOM];
    uint64_t last; /* sequence of the newest, 0: none */
};

/* Adds a copy with the next sequence; the oldest is overwritten. Returns it. */
const struct history_record *history_add(struct history *, const struct history_record *);
/* The record with the lowest sequence above after, NULL: none. *missed gets how many above after
 * were overwritten. */
const struct history_record *history_next(const struct history *, uint64_t after, uint64_t *missed);

/* From a change of state that the engine tells, while it tells it. */
struct history_record history_from_change(const struct engine_change *);

/* The same of the life that is over with this change; false where none is. One that no process
 * could be made for counts, with no pid. */
bool history_death(const struct engine_change *, struct history_record *);

/* Sets what: of text too long the beginning, in whole characters of UTF-8. */
void history_set_what(struct history_record *, const char *text);

/* One line for people, without newline, never longer than size - 1: "web: ready after 30ms, pid
 * 12", "web: exit 3 after 2m". Nothing in it needs escapes: names and paths were checked, what
 * services say was made printable. Returns its length. */
enum { HISTORY_TEXT_MAX = 320 };
size_t history_text(const struct history_record *, char *buf, size_t size);

/* The same for programs: "seq=7 at=81234 kind=state service=web from=starting to=running ...",
 * without newline. Times are in milliseconds; what is zero or does not apply is left out; a byte of
 * a value that is no printable ASCII, a blank or a backslash is written as \xHH. Returns its
 * length, less than size. */
enum { HISTORY_FIELDS_MAX = 1024 };
size_t history_fields(const struct history_record *, char *buf, size_t size);
/* Of them " exit=3" or " killed_by=TERM", " core=1" and " oom=1"; of what has not ended nothing. */
void history_exit_fields(struct text *, const struct service_exit *);

/* ---- the deaths, which are kept for longer ---- */

/* A new one takes the place of the oldest of its service where there are so many of that, else of
 * the oldest of all. Memory is used as deaths come. */
enum { HISTORY_DEATHS = 256, HISTORY_DEATHS_OF_ONE = 16 };
struct history_deaths {
    unsigned n;
    struct history_record at[HISTORY_DEATHS]; /* in no order */
};

/* A copy, with the sequence that history_add gave it. */
void history_deaths_add(struct history_deaths *, const struct history_record *);
/* The one with the lowest sequence above after, whosever it is; NULL: none. */
const struct history_record *history_deaths_next(const struct history_deaths *, uint64_t after);

#endif
