#include "tend/health.h"

#include <limits.h>

static msec later(msec from, msec span)
{
    return span < NEVER - from ? from + span : NEVER;
}

static bool is_over(const struct health *h)
{
    return h->phase == HEALTH_OFF || h->phase == HEALTH_TOLD;
}

/* ---- who is asked ---- */

static bool asks_for_readiness(const struct conf *c)
{
    return c->ready.on == CONF_READY_TCP || c->ready.on == CONF_READY_UNIX ||
           c->ready.on == CONF_READY_COMMAND;
}

static uint32_t mix(uint32_t hash, const char *word)
{
    for (; word && *word; word++)
        hash = (hash ^ (unsigned char)*word) * 16777619u;
    return (hash ^ 0x100) * 16777619u; /* the end of a word is no byte */
}

static uint32_t target_of(const struct health *h, const struct conf *c)
{
    bool runs = h->phase == HEALTH_RUNNING;
    char *const *words = runs ? c->health.command : c->ready.command;
    uint32_t hash = mix(2166136261u, runs ? c->health.tcp : c->ready.tcp);

    hash = mix(hash, runs ? c->health.local : c->ready.local);
    hash = mix(hash, runs ? c->health.http : NULL);
    for (; words && *words; words++)
        hash = mix(hash, *words);
    return hash;
}

/* ---- when ---- */

static msec limit(const struct health *h, const struct conf *c)
{
    if (h->phase == HEALTH_RUNNING)
        return c->health.timeout;
    return c->ready.on == CONF_READY_COMMAND ? c->ready.command_timeout : HEALTH_CONNECT_LIMIT;
}

static msec pause_of(const struct health *h, const struct conf *c)
{
    msec pause = h->phase == HEALTH_RUNNING ? c->health.every : h->wait;

    return pause > 0 ? pause : 1;
}

static void schedule(struct health *h, const struct conf *c, msec from)
{
    h->from = from;
    h->probe_at = later(from, h->probing ? limit(h, c) : pause_of(h, c));
}

static void rest(struct health *h, const struct conf *c, msec now)
{
    h->probing = false;
    if (h->phase == HEALTH_STARTING) {
        h->wait = h->wait ? h->wait * 2 : HEALTH_FIRST_WAIT;
        if (h->wait > c->ready.every)
            h->wait = c->ready.every;
    }
    schedule(h, c, now);
}

static void ask_nobody(struct health *h)
{
    h->probing = h->marked = false;
    h->failures = 0;
    h->probe_at = NEVER;
}

/* ---- its life ---- */

void health_off(struct health *h)
{
    *h = (struct health){.probe_at = NEVER, .fed_by = NEVER};
}

void health_starting(struct health *h, const struct conf *c, msec now)
{
    if (h->phase != HEALTH_OFF)
        health_off(h);
    h->phase = HEALTH_STARTING;
    h->fed_by = NEVER;
    h->wait = 0;
    h->target = target_of(h, c);
    ask_nobody(h);
    if (asks_for_readiness(c))
        h->from = h->probe_at = now;
}

void health_running(struct health *h, const struct conf *c, msec now)
{
    if (h->phase == HEALTH_RUNNING)
        return;
    h->phase = HEALTH_RUNNING;
    if (!h->own_watchdog)
        h->watchdog = c->watchdog;
    h->fed_by = h->watchdog > 0 ? later(now, h->watchdog) : NEVER;
    h->target = target_of(h, c);
    ask_nobody(h);
    if (conf_has_health(c))
        schedule(h, c, now);
}

static void changed_target(struct health *h, const struct conf *c, msec now)
{
    h->target = target_of(h, c);
    h->failures = 0;
    h->probing = false;
    schedule(h, c, now);
}

void health_changed(struct health *h, const struct conf *c, msec now)
{
    bool asked = h->probe_at != NEVER;

    if (is_over(h) || (h->phase == HEALTH_STARTING && !asked))
        return;
    if (!(h->phase == HEALTH_RUNNING ? conf_has_health(c) : asks_for_readiness(c))) {
        ask_nobody(h);
        return;
    }
    if (h->wait > c->ready.every)
        h->wait = c->ready.every;
    if (!asked || h->target != target_of(h, c))
        changed_target(h, c, now);
    else if (h->probing || h->phase == HEALTH_RUNNING || h->wait)
        schedule(h, c, h->from);
}

/* ---- what is due ---- */

msec health_deadline(const struct health *h)
{
    if (is_over(h))
        return NEVER;
    return h->probe_at < h->fed_by ? h->probe_at : h->fed_by;
}

enum health_due health_expire(struct health *h, const struct conf *c, msec now,
                              enum health_verdict *verdict)
{
    if (now < health_deadline(h))
        return HEALTH_NOTHING;
    if (h->probing && h->probe_at <= now) {
        *verdict = health_answer(h, c, false, now);
        return HEALTH_LATE;
    }
    if (h->fed_by <= now) {
        h->phase = HEALTH_TOLD;
        h->probing = false;
        return HEALTH_STARVED;
    }
    h->probing = true;
    schedule(h, c, now);
    return HEALTH_PROBE;
}

void health_begun(struct health *h, const struct conf *c, msec now)
{
    if (h->probing)
        schedule(h, c, now);
}

void health_skipped(struct health *h, const struct conf *c, msec now)
{
    if (h->probing)
        rest(h, c, now);
}

/* ---- what the answers amount to ---- */

static enum health_verdict well(struct health *h)
{
    bool was_marked = h->marked;

    if (h->phase == HEALTH_STARTING) {
        h->probe_at = NEVER;
        return HEALTH_READY;
    }
    h->failures = 0;
    h->marked = false;
    return was_marked ? HEALTH_WELL : HEALTH_SAME;
}

static enum health_verdict ill(struct health *h, const struct conf *c)
{
    if (h->phase == HEALTH_STARTING)
        return HEALTH_SAME;
    if (h->failures < UINT_MAX)
        h->failures++;
    if (h->failures < (unsigned)c->health.failures)
        return HEALTH_SAME;
    if (c->health.then == CONF_THEN_RESTART) {
        h->phase = HEALTH_TOLD;
        return HEALTH_FAULT;
    }
    if (h->marked)
        return HEALTH_SAME;
    h->marked = true;
    return HEALTH_ILL;
}

enum health_verdict health_answer(struct health *h, const struct conf *c, bool is_well, msec now)
{
    if (!h->probing)
        return HEALTH_SAME;
    rest(h, c, now);
    return is_well ? well(h) : ill(h, c);
}

/* ---- the watchdog ---- */

void health_fed(struct health *h, msec now)
{
    if (h->phase == HEALTH_RUNNING && h->watchdog > 0)
        h->fed_by = later(now, h->watchdog);
}

void health_extend(struct health *h, msec now, msec wait)
{
    if (h->fed_by < later(now, wait))
        h->fed_by = later(now, wait);
}

/* Before it is known to be executed, too: a message may be faster. */
void health_set_watchdog(struct health *h, msec interval, msec now)
{
    if (h->phase == HEALTH_TOLD)
        return;
    h->own_watchdog = true;
    h->watchdog = interval;
    h->fed_by = NEVER;
    health_fed(h, now);
}
