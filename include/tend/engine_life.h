/* What the parts of the engine share. engine_table.c: what each event does in each state;
 * engine_life.c: how a stop goes on and how a life ends; engine.c: all services together. */
#ifndef TEND_ENGINE_LIFE_H
#define TEND_ENGINE_LIFE_H

#include "tend/engine.h"

/* ---- engine.c ---- */

/* Leaves an action (a set of enum service_action) on the service. */
void engine_want(struct engine *, struct service *, unsigned action);
/* Its levels and those of its neighbours are to be looked at anew. */
void engine_touch(struct engine *, struct service *);

/* ---- engine_life.c; the event is what it is told to the observer as ---- */

void life_deadline(struct engine *, struct service *, msec at);
/* NEVER where the sum would be. */
msec life_later(msec now, msec wait);
void life_tell(struct engine *, const struct service *, enum service_state from, enum engine_event,
               msec now, bool impossible);
void life_enter(struct engine *, struct service *, enum service_state, msec now, enum engine_event);

/* The only place that kills. */
void life_kill(struct engine *, struct service *, msec now, enum engine_event);
/* How long the present step lasts when it begins now. */
msec life_step_wait(const struct engine *, const struct service *, msec now);
/* So much of a wait as a deadline leaves. */
msec life_share(const struct engine *, const struct service *, msec now, msec wait);
/* From KILL until the unkillable are named and left. */
msec life_kill_wait(const struct engine *, msec now);
/* mixed: what the main process leaves behind gets KILL alone. */
bool life_none_to_tell(const struct service *);
/* Enters the present step, or the first after it that has something to do; or the one after it. */
void life_do_step(struct engine *, struct service *, msec now, enum engine_event);
void life_next_step(struct engine *, struct service *, msec now, enum engine_event);
void life_begin_stop(struct engine *, struct service *, enum service_cause, unsigned step, msec now,
                     enum engine_event);
/* The present step is to last so long from now: as far as KILL still comes when it is planned. */
void life_extend_stop(struct engine *, struct service *, msec now, msec wait);
/* A deadline was set, and the present step is under way. */
void life_shorten_stop(struct engine *, struct service *, msec now);
enum service_cause life_why_going(const struct engine *, const struct service *);

void life_take_next_conf(struct service *);
void life_settle_down(struct engine *, struct service *, msec now, enum engine_event);
/* The only place that decides what follows a life; see engine.h. */
void life_settle(struct engine *, struct service *, msec now, enum engine_event);

#endif
