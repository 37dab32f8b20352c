/* Probes and watchdogs, as act_probe.c has them around health.c: what is asked is answered well or
 * ill, at once, in time, late or never. */
#include <stdio.h>

#include "talk.h"

enum answer { ANSWER_AT_ONCE, ANSWER_SKIPPED, ANSWER_NONE, ANSWER_LATER, ANSWER_COUNT };

static uint64_t begun[2], answers[ANSWER_COUNT], lingered;
static uint64_t verdicts[HEALTH_FAULT + 1], late, starved, triggered;

static struct checkup *checkup_of(struct world *w, const struct service *s)
{
    return &w->checkups[s->slot];
}

/* An answer that nobody waits for any more may be on its way. */
static void drop_answer(struct world *w, struct checkup *c)
{
    if (!c->health.probing && c->answer_at != NEVER && rng_chance(&w->talk, 2, 3))
        c->answer_at = NEVER;
}

void probes_off(struct world *w, const struct service *s)
{
    sound_off(w, s);
    health_off(&checkup_of(w, s)->health);
    drop_answer(w, checkup_of(w, s));
}

/* ---- answers ---- */

static void find_fault(struct world *w, struct service *s, enum service_cause cause)
{
    const struct engine_fact fact = {.cause = cause};

    w->book[s->slot].starves = cause == CAUSE_WATCHDOG;
    event(w, s, EVENT_FAULT, &fact);
}

static void act_on(struct world *w, struct service *s, enum health_verdict verdict)
{
    verdicts[verdict]++;
    switch (verdict) {
    case HEALTH_READY:
        event(w, s, EVENT_READY, NULL);
        break;
    case HEALTH_FAULT:
        find_fault(w, s, CAUSE_FAULT);
        break;
    case HEALTH_SAME:
    case HEALTH_WELL:
    case HEALTH_ILL:
        break;
    }
}

static void answer(struct world *w, struct service *s, bool well)
{
    struct checkup *c = checkup_of(w, s);
    enum health_verdict verdict = health_answer(&c->health, s->conf, well, w->now);

    TRACE(w, "%s: probe: %s", service_name(s), well ? "well" : "ill");
    c->answer_at = NEVER;
    sound_answered(w, s, well, verdict);
    act_on(w, s, verdict);
}

void probes_answers(struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        struct checkup *c = &w->checkups[i];
        if (w->engine.graph.at[i] && c->answer_at <= w->now)
            answer(w, w->engine.graph.at[i], c->answers_well);
    }
}

/* ---- probing ---- */

static enum answer some_answer(struct world *w)
{
    if (w->calm)
        return ANSWER_AT_ONCE;
    switch (rng_below(&w->talk, 12)) {
    case 0:
        return ANSWER_SKIPPED;
    case 1:
        return ANSWER_NONE;
    case 2:
    case 3:
    case 4:
    case 5:
        return ANSWER_AT_ONCE;
    default:
        return ANSWER_LATER;
    }
}

static void begin(struct world *w, struct service *s)
{
    struct checkup *c = checkup_of(w, s);

    sound_begun(w, s);
    health_begun(&c->health, s->conf, w->now);
}

static void probe(struct world *w, struct service *s)
{
    struct checkup *c = checkup_of(w, s);
    enum answer how = some_answer(w);
    bool well = w->calm || !rng_chance(&w->talk, w->ill, 100);

    c->answer_at = NEVER;
    begun[s->state == SERVICE_RUNNING]++;
    if (c->lingers > w->now && !w->calm) {
        lingered++;
        answer(w, s, false);
        return;
    }
    answers[how]++;
    switch (how) {
    case ANSWER_AT_ONCE:
        answer(w, s, well);
        break;
    case ANSWER_SKIPPED:
        sound_skipped(w, s);
        health_skipped(&c->health, s->conf, w->now);
        break;
    case ANSWER_LATER:
        c->answer_at = w->now + rng_time(&w->talk, 0, rng_chance(&w->talk, 1, 2) ? 50 : 3000);
        c->answers_well = well;
        begin(w, s);
        break;
    case ANSWER_NONE:
        begin(w, s);
        break;
    case ANSWER_COUNT:
        break;
    }
}

static void give_up(struct world *w, struct service *s, enum health_verdict verdict)
{
    struct checkup *c = checkup_of(w, s);

    late++;
    c->answer_at = NEVER;
    if (rng_chance(&w->talk, 1, 4))
        c->lingers = w->now + rng_time(&w->talk, 0, 4000);
    act_on(w, s, verdict);
}

/* ---- time ---- */

static bool may_be_starved(const struct service *s)
{
    return s->state == SERVICE_RUNNING || (s->state == SERVICE_STARTING && !s->preparing);
}

static void expire(struct world *w, struct service *s)
{
    struct checkup *c = checkup_of(w, s);
    enum health_verdict verdict = HEALTH_SAME;
    enum health_due due = health_expire(&c->health, s->conf, w->now, &verdict);

    TRACE(w, "%s: due: %d", service_name(s), (int)due);
    sound_due(w, s, due, verdict);
    switch (due) {
    case HEALTH_NOTHING:
        break;
    case HEALTH_PROBE:
        probe(w, s);
        break;
    case HEALTH_LATE:
        give_up(w, s, verdict);
        break;
    case HEALTH_STARVED:
        starved++;
        c->answer_at = NEVER;
        if (may_be_starved(s))
            find_fault(w, s, CAUSE_WATCHDOG);
        break;
    }
}

void probes_expire(struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++)
        for (int n = 0; w->engine.graph.at[i] && health_deadline(&w->checkups[i].health) <= w->now;
             n++) {
            if (n > 8)
                broken(w, "P32", "%s: probes without end", service_name(w->engine.graph.at[i]));
            expire(w, w->engine.graph.at[i]);
        }
}

/* Without faults they go on for ever, and do not matter. */
msec probes_next(const struct world *w)
{
    msec next = NEVER;

    for (size_t i = 0; w->config.talks && i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        const struct checkup *c = &w->checkups[i];
        if (!s || (w->calm && s->state == SERVICE_RUNNING))
            continue;
        if (health_deadline(&c->health) < next)
            next = health_deadline(&c->health);
        if (c->answer_at < next)
            next = c->answer_at;
    }
    return next;
}

/* ---- what its processes say ---- */

void probes_fed(struct world *w, struct service *s)
{
    sound_fed(w, s);
    health_fed(&checkup_of(w, s)->health, w->now);
}

void probes_watchdog(struct world *w, struct service *s, msec interval)
{
    sound_watchdog(w, s, interval);
    health_set_watchdog(&checkup_of(w, s)->health, interval, w->now);
}

void probes_trigger(struct world *w, struct service *s)
{
    if (!may_be_starved(s))
        return;
    triggered++;
    w->book[s->slot].faulty = true;
    find_fault(w, s, CAUSE_WATCHDOG);
}

/* ---- what becomes of the service ---- */

void probes_executed(struct world *w, struct service *s)
{
    if (s->state != SERVICE_STARTING || !s->executed)
        return;
    sound_starting(w, s);
    health_starting(&checkup_of(w, s)->health, s->conf, w->now);
}

/* Whoever ends is not looked after from that moment on: it may have started anew before the levels
 * are looked at. */
void probes_moved(struct world *w, const struct engine_change *c)
{
    if (c->from == c->to)
        return;
    if (c->to == SERVICE_STARTING || c->to == SERVICE_RUNNING)
        w->moved |= UINT64_C(1) << c->service->slot;
    else
        probes_off(w, c->service);
}

static void follow(struct world *w, const struct service *s)
{
    if (s->state != SERVICE_RUNNING)
        return;
    sound_running(w, s);
    health_running(&checkup_of(w, s)->health, s->conf, w->now);
    drop_answer(w, checkup_of(w, s));
}

void probes_follow(struct world *w)
{
    for (size_t i = 0; w->moved && i < w->engine.graph.n; i++)
        if (w->moved >> i & 1 && w->engine.graph.at[i])
            follow(w, w->engine.graph.at[i]);
    w->moved = 0;
}

static void reconfigure(struct world *w, const struct service *s)
{
    struct checkup *c = checkup_of(w, s);

    if (s->state == SERVICE_RUNNING && c->health.phase == HEALTH_OFF) {
        sound_running(w, s);
        health_running(&c->health, s->conf, w->now);
    } else {
        sound_changed(w, s);
        health_changed(&c->health, s->conf, w->now);
    }
    drop_answer(w, c);
}

void probes_reconfigured(struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++)
        if (w->engine.graph.at[i] && service_live(w->engine.graph.at[i]))
            reconfigure(w, w->engine.graph.at[i]);
}

/* Nothing of it is kept; the reports are read once more. */
void probes_resume(struct world *w)
{
    w->moved = 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        w->sounds[i] = (struct sound){.fed_by = NEVER};
        w->checkups[i] = (struct checkup){.answer_at = NEVER};
        health_off(&w->checkups[i].health);
    }
    for (size_t i = 0; i < w->engine.graph.n; i++)
        if (w->engine.graph.at[i])
            follow(w, w->engine.graph.at[i]);
}

bool probes_print(void)
{
    printf("probes: %llu of readiness, %llu of health; %llu answered at once, %llu skipped, "
           "%llu without an answer, %llu late, %llu met the last one\n",
           (unsigned long long)begun[0], (unsigned long long)begun[1],
           (unsigned long long)answers[ANSWER_AT_ONCE], (unsigned long long)answers[ANSWER_SKIPPED],
           (unsigned long long)answers[ANSWER_NONE], (unsigned long long)late,
           (unsigned long long)lingered);
    printf("health: ready %llu, well %llu, ill %llu, fault %llu, starved %llu, trigger %llu\n",
           (unsigned long long)verdicts[HEALTH_READY], (unsigned long long)verdicts[HEALTH_WELL],
           (unsigned long long)verdicts[HEALTH_ILL], (unsigned long long)verdicts[HEALTH_FAULT],
           (unsigned long long)starved, (unsigned long long)triggered);
    return begun[0] && begun[1] && answers[ANSWER_SKIPPED] && answers[ANSWER_NONE] && late &&
           lingered && verdicts[HEALTH_READY] && verdicts[HEALTH_WELL] && verdicts[HEALTH_ILL] &&
           verdicts[HEALTH_FAULT] && starved && triggered;
}
