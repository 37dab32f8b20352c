/* The state machine of all services, and the shutdown as a whole. Pure.
 *
 * The engine is told what happened and what time it is; it changes the services and leaves pending
 * actions on them. It forks nothing, kills nothing, logs nothing, asks no clock. Whoever drives it
 * (act.c, or the simulator) does this, over and over:
 *
 *     engine_event(...)          for what happened, as often as needed
 *     engine_settle(e, now)      levels become events: CLEAR starts, QUIET stops
 *     while ((s = engine_next_action(e, &what)))
 *         carry it out, feed FORKED, NO_FORK, SIGNALLED or ENDED back
 *
 * until nothing is pending, and sleeps until engine_deadline().
 *
 * Wishes (UP, DOWN, AGAIN) only set what is wanted. Levels (CLEAR, QUIET) come from the graph, and
 * only they start and stop. Facts (FORKED ... GONE, FAULT) report. DEADLINE is time.
 *
 * Exactly one cell of the table spawns, PENDING x CLEAR, and CLEAR is never said once a shutdown
 * has begun. KILL comes from one function. A life ends in one function (settle), which decides
 * what follows it:
 *   1. not wanted, or shutdown: DOWN (freed when doomed)
 *   2. to be restarted, or a requirement went: PENDING, no try counted
 *   3. success by its policy: DONE
 *   4. the backoff says: BACKOFF or FAILED
 * A before_start command is a life of its own, after which the service is PENDING again, prepared.
 *
 * An event that cannot happen in a state is counted, told to the observer, and changes nothing. */
#ifndef TEND_ENGINE_H
#define TEND_ENGINE_H

#include "tend/backoff.h"
#include "tend/plan.h"

enum engine_event {
    EVENT_UP,
    EVENT_DOWN,
    EVENT_AGAIN,
    EVENT_CLEAR,
    EVENT_QUIET,
    EVENT_FORKED,  /* ACTION_SPAWN: pid */
    EVENT_NO_FORK, /* ACTION_SPAWN: error, error_step */
    EVENT_EXEC_OK,
    EVENT_READY,
    EVENT_MAIN,      /* another process is its main process from now on: pid */
    EVENT_EXTEND,    /* it asks for more time for its start or stop: wait, from now */
    EVENT_LEAVING,   /* it has begun to stop by itself */
    EVENT_SIGNALLED, /* ACTION_SIGNAL or ACTION_KILL was done, at now: from here the wait counts */
    EVENT_COMMAND,   /* ACTION_COMMAND: pid, or 0 where none could be made */
    EVENT_COMMAND_ENDED,
    EVENT_EXITED, /* the main process was reaped: exit; error where it could not exec */
    EVENT_GONE,   /* service_gone() became true */
    EVENT_FAULT,  /* cause: CAUSE_FAULT or CAUSE_WATCHDOG */
    EVENT_HURRY,  /* wait for nobody: KILL */
    EVENT_DEADLINE,
    EVENT_COUNT
};

struct engine_fact {
    pid_t pid;
    struct service_exit exit;
    int error, error_step;
    enum service_cause cause;
    msec wait;
};

/* What an observer is told: a change of state, an event in an impossible place, or, with from and
 * to PENDING, that what the service requires will not come by itself. */
struct engine_change {
    const struct service *service;
    enum service_state from, to;
    enum engine_event event;
    msec now;
    bool impossible;
};

struct engine {
    struct graph graph;
    bool shutdown;
    bool hurry; /* order waived: KILL to all */
    msec shutdown_began;
    msec gone_by;        /* the deadline of the shutdown; NEVER: none */
    msec kill_at;        /* when the order is waived and KILL goes to all, so that it is kept */
    bool overdue;        /* that came */
    uint64_t impossible; /* events that cannot happen */
    void (*changed)(void *self, const struct engine_change *);
    void *self;

    /* kept by the engine */
    struct {
        struct service *first, *last;
    } queue[SERVICE_QUEUE_COUNT];
    msec earliest; /* no deadline is before this */
};

/* An engine with no service. changed may be NULL. */
void engine_init(struct engine *, void (*changed)(void *self, const struct engine_change *),
                 void *self);
void engine_free(struct engine *);

/* fact may be NULL for events that carry none. */
void engine_event(struct engine *, struct service *, enum engine_event, msec now,
                  const struct engine_fact *fact);

/* Sets what was last seen of its members and says GONE when nothing is left. */
void engine_members(struct engine *, struct service *, unsigned members, msec now);

/* Wants it up, and with it all that it requires or wants. */
void engine_start(struct engine *, struct service *, msec now);

/* Takes over a new set: what is not in it is doomed and stopped under its old settings; what
 * differs in more than policy is restarted; new services that are not manual are started, and what
 * a wanted one requires or wants and did not before. The set was checked. Takes all confs out of
 * the set. -1 with ENOMEM and nothing changed. */
int engine_reload(struct engine *, struct conf_set *, msec now);

/* From now on nothing starts and everything is told to stop, in order. Idempotent. */
void engine_shutdown(struct engine *, msec now);
/* Of a shutdown: all are to be gone by then. What is left of it goes to the waits before each KILL,
 * in the measure of the configs, along the longest way on from each service, but no less than
 * ENGINE_FLOOR to any; a part is kept for the KILL that comes to all when that is not enough. To be
 * called again with another time. */
void engine_limit(struct engine *, msec now, msec gone_by);
/* A shutdown that waits for nobody: KILL to all that lives, now. */
void engine_hurry(struct engine *, msec now);

/* Forgets a service that is down: for ACTION_FREE. */
void engine_forget(struct engine *, struct service *);

/* Turns levels into events until none is left. */
void engine_settle(struct engine *, msec now);

/* The next service with a pending action, and the one action to carry out; NULL: none. */
struct service *engine_next_action(struct engine *, enum service_action *what);
/* Whose action that would be; NULL: none. */
const struct service *engine_peek_action(const struct engine *);

/* The earliest time at which engine_expire has something to do; NEVER: none. */
msec engine_deadline(struct engine *);
void engine_expire(struct engine *, msec now);

/* Nothing lives, waits for a time, is to be done, or will come up by itself. What is STUCK was
 * named and is left. */
bool engine_idle(const struct engine *);

/* Takes a service as persist.c found it after a crash of ours: its state is as stored, and it is
 * looked at anew. */
void engine_adopt(struct engine *, struct service *, msec now);

const char *engine_event_name(enum engine_event);

/* The least that a deadline leaves of a wait, and the most that is kept for the last KILL. */
enum { ENGINE_FLOOR = 500, ENGINE_RESERVE = 1000 };
/* Until the next try when no process could be made. */
enum { ENGINE_FORK_WAIT = 1000 };

#endif
