/* How a service is: when it is to be probed, what the answers amount to, and whether it has fed its
 * watchdog. Pure; whoever drives it probes, and tells the engine.
 *
 * While a service starts, its readiness is asked for by the same probes (ready.on = tcp, unix,
 * command): the first at once, then after waits of 10 ms that double up to ready.every; the start
 * timeout is the engine's. While it runs, health.every counts from the end of one probe to the
 * begin of the next, and the watchdog from the last message. One probe at a time.
 *
 * Nothing is early where times from which something counts are rounded up, and those of
 * health_expire down. It is to be asked after what has come meanwhile was told: then a machine that
 * stood still harms nobody. */
#ifndef TEND_HEALTH_H
#define TEND_HEALTH_H

#include "tend/service.h"

enum {
    HEALTH_FIRST_WAIT = 10,      /* of readiness, in ms */
    HEALTH_CONNECT_LIMIT = 1000, /* for a connection that asks for readiness, in ms */
};

enum health_phase {
    HEALTH_OFF,
    HEALTH_STARTING,
    HEALTH_RUNNING,
    HEALTH_TOLD, /* it is to be restarted: nothing more is said of this life */
};

/* What is wrong, or no more. */
enum health_verdict {
    HEALTH_SAME,  /* nothing new */
    HEALTH_READY, /* it answers: it is ready */
    HEALTH_WELL,  /* it was marked, and answers again */
    HEALTH_ILL,   /* failures in a row: marked (health.then = mark) */
    HEALTH_FAULT, /* failures in a row: to be restarted (health.then = restart) */
};

struct health {
    enum health_phase phase;
    bool marked;       /* unhealthy, and left to run */
    bool probing;      /* a probe is under way */
    bool own_watchdog; /* the service has set it itself */
    unsigned failures; /* in a row, while it runs */
    uint32_t target;   /* of whom is asked: a hash */
    msec from;         /* from when probe_at counts */
    msec probe_at;     /* when the next probe begins; while one is under way: when it is given up */
    msec wait;         /* of readiness: the last wait */
    msec watchdog;     /* how often it is to say that it is alive; 0: it need not */
    msec fed_by;       /* when it will be too late; NEVER: see watchdog */
};

/* What is due. */
enum health_due {
    HEALTH_NOTHING,
    HEALTH_PROBE,   /* begin a probe: it counts as under way from now on */
    HEALTH_LATE,    /* the probe under way is to be ended: health_answer(false) was done */
    HEALTH_STARVED, /* the watchdog was not fed; said once */
};

/* Its command was executed: readiness may be asked for (nothing where ready.on needs no probe).
 * A watchdog that the service has set itself before that was known is kept. */
void health_starting(struct health *, const struct conf *, msec now);
/* It has become ready: the watchdog, if any, and the first wait for a probe begin. A watchdog that
 * the service has set itself before that is kept. Nothing where it runs already. */
void health_running(struct health *, const struct conf *, msec now);
/* Its stop has begun, or it has ended: nothing is due any more, and nothing is kept. A probe under
 * way no longer counts. */
void health_off(struct health *);

/* What is due at now, one thing after the other until HEALTH_NOTHING. *verdict gets what a
 * HEALTH_LATE amounts to. */
enum health_due health_expire(struct health *, const struct conf *, msec now,
                              enum health_verdict *verdict);
msec health_deadline(const struct health *);

/* The probe of HEALTH_PROBE has begun only now: its limit counts from here. */
void health_begun(struct health *, const struct conf *, msec now);
/* The probe under way has ended. */
enum health_verdict health_answer(struct health *, const struct conf *, bool well, msec now);
/* It could not be made, for want of something of ours: that says nothing of the service. */
void health_skipped(struct health *, const struct conf *, msec now);

/* WATCHDOG=1; WATCHDOG_USEC (0: off), which also counts as that. */
void health_fed(struct health *, msec now);
void health_set_watchdog(struct health *, msec interval, msec now);
/* EXTEND_TIMEOUT_USEC: the watchdog is not late before that. */
void health_extend(struct health *, msec now, msec wait);

/* Its settings were replaced while it lives (a reload), or may have been: what is due follows the
 * new ones. Where somebody else is asked from now on, failures are counted anew; a probe under way
 * no longer counts, there and where there are none any more. The watchdog stays, since the service
 * knows of that one. */
void health_changed(struct health *, const struct conf *, msec now);

#endif
