/* What the files about readiness and health share: talk.c and probes.c (what services say, how they
 * are probed), and those that check it. */
#ifndef TEND_SIM_TALK_H
#define TEND_SIM_TALK_H

#include "sim.h"

/* ---- what services say, and how they are probed ---- */
void talk_hear(struct world *);
bool talk_print(void);
void probes_off(struct world *, const struct service *);
void probes_executed(struct world *, struct service *);
void probes_moved(struct world *, const struct engine_change *);
void probes_follow(struct world *);
void probes_reconfigured(struct world *);
void probes_resume(struct world *);
void probes_answers(struct world *);
void probes_expire(struct world *);
void probes_fed(struct world *, struct service *);
void probes_watchdog(struct world *, struct service *, msec interval);
void probes_trigger(struct world *, struct service *);
msec probes_next(const struct world *);
bool probes_print(void);

/* ---- check_talk.c ---- */
void check_ready(const struct world *, const struct service *);
void check_main(const struct world *, const struct service *, pid_t before, pid_t named, bool may);
void check_followed(const struct world *, const struct engine_change *);

/* ---- check_health.c ---- */
void sound_off(struct world *, const struct service *);
void sound_starting(struct world *, const struct service *);
void sound_running(struct world *, const struct service *);
void sound_changed(struct world *, const struct service *);
void sound_due(struct world *, const struct service *, enum health_due, enum health_verdict);
void sound_begun(struct world *, const struct service *);
void sound_skipped(struct world *, const struct service *);
void sound_answered(struct world *, const struct service *, bool well, enum health_verdict);
void sound_fed(struct world *, const struct service *);
void sound_watchdog(struct world *, const struct service *, msec interval);
void check_fault(struct world *, const struct service *);
void check_sound(const struct world *, const struct service *);

#endif
