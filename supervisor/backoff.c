#include "tend/backoff.h"

void backoff_forget(struct tries *t)
{
    *t = (struct tries){0};
}

void backoff_ran(const struct conf *c, struct tries *t, msec ran)
{
    if (ran >= c->restart.healthy)
        backoff_forget(t);
}

static unsigned kept(const struct conf *c)
{
    return c->restart.limit < TRIES_KEPT ? (unsigned)c->restart.limit : TRIES_KEPT;
}

void backoff_started(const struct conf *c, struct tries *t, msec now)
{
    unsigned keep = kept(c);

    if (keep == 0)
        return;
    if (t->starts >= keep) {
        unsigned drop = t->starts - keep + 1;
        for (unsigned i = drop; i < t->starts; i++)
            t->recent[i - drop] = t->recent[i];
        t->starts -= drop;
    }
    t->recent[t->starts++] = (uint32_t)now;
}

/* A start is dated by the end of its millisecond, so it may lie in what is yet to come. */
static msec since(uint32_t start, msec now)
{
    uint32_t passed = (uint32_t)now - start;

    return passed == UINT32_MAX ? 0 : (msec)passed;
}

static bool over_limit(const struct conf *c, const struct tries *t, msec now)
{
    unsigned keep = kept(c);
    msec span;

    if (keep == 0 || t->starts < keep)
        return false;
    span = (unsigned)c->restart.limit == keep
               ? c->restart.window
               : (msec)((double)c->restart.window * keep / (double)c->restart.limit);
    return since(t->recent[t->starts - keep], now) < span;
}

/* Spreads those who fail together; the same for the same service and life. */
static msec spread(const char *name, msec delay, msec started, uint32_t failures)
{
    uint32_t mixed = (uint32_t)started ^ failures * 2654435769u;

    for (; *name; name++)
        mixed = (mixed ^ (unsigned char)*name) * 16777619u;
    mixed = (mixed ^ mixed >> 15) * 2246822519u;
    mixed ^= mixed >> 13;
    return delay - delay / 8 * (msec)(mixed & 1023) / 1024;
}

static msec next_delay(const struct conf *c, const struct tries *t, msec started)
{
    msec base = c->restart.delay, delay = base;
    msec cap = base ? c->restart.max_delay : 0; /* nothing does not double */

    for (uint32_t i = 1; i < t->failures && delay < cap; i++)
        delay = delay > cap / 2 ? cap : delay * 2;
    if (t->failures > 1)
        delay = spread(c->name, delay, started, t->failures);
    if (delay < t->delay)
        delay = t->delay;
    return delay < base ? base : delay > cap ? cap : delay;
}

enum backoff backoff_after(const struct conf *c, struct tries *t, bool success, msec started,
                           msec now, msec *next)
{
    if (c->restart.policy != CONF_ALWAYS && success)
        return BACKOFF_DONE;
    if (c->restart.policy == CONF_NEVER_AGAIN)
        return BACKOFF_GIVE_UP;
    if (over_limit(c, t, now))
        return BACKOFF_GIVE_UP;
    t->failures++;
    t->delay = next_delay(c, t, started);
    *next = started + t->delay;
    if (*next < now)
        *next = now;
    return BACKOFF_WAIT;
}
