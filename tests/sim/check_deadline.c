/* What a deadline and what is asked for beyond must come to, by formulas of their own: each share
 * from what is to come, each step from what it may be stretched to. */
#include "sim.h"

/* As the manual has them. */
enum { FLOOR = 500, RESERVE = 1000, KILL_WAIT = 5000 };

static msec least(msec a, msec b)
{
    return a < b ? a : b;
}

static msec longer(msec a, msec b)
{
    return a > b ? a : b;
}

/* So much of a wait as the deadline leaves. What is to come after it is known from when that was
 * set. */
static msec share(struct world *w, const struct book *b, unsigned step, msec wait)
{
    msec left = w->kill_at - w->now, all = wait + stop_from(&b->spec, step + 1) + b->after;

    if (w->gone_by == NEVER || all <= left)
        return wait;
    if (left > 0 && wait * left / all >= least(wait, FLOOR))
        return wait * left / all;
    w->excused = w->excused || wait > 0;
    return least(wait, FLOOR);
}

/* After half of the reserve the unkillable are left. */
static msec kill_wait(const struct world *w)
{
    msec left = w->gone_by - (w->gone_by - w->kill_at) / 2 - w->now;

    if (w->gone_by == NEVER)
        return KILL_WAIT;
    return left > 0 ? least(left, KILL_WAIT) : 0;
}

static bool waits(const struct service *s)
{
    return s->state == SERVICE_STOPPING || s->state == SERVICE_KILLING;
}

void check_until(const struct world *w, const struct service *s)
{
    if (s->state == SERVICE_STARTING && s->deadline != w->book[s->slot].start_by)
        broken(w, "P12", "%s: has to be ready by %lld, not %lld", service_name(s),
               (long long)w->book[s->slot].start_by, (long long)s->deadline);
    if (waits(s) && s->deadline != w->book[s->slot].until)
        broken(w, "P29", "%s: step %u until %lld, not %lld", service_name(s), s->step,
               (long long)s->deadline, (long long)w->book[s->slot].until);
}

/* To which this step can be stretched: what comes after it keeps its time, as does whoever comes
 * after this service. */
static msec stretch(const struct world *w, const struct book *b, unsigned step)
{
    msec end = b->began + stop_most(&b->spec);

    if (w->gone_by != NEVER)
        end = least(end, w->kill_at - b->after);
    return end - stop_from(&b->spec, step + 1);
}

/* Of what is written it keeps its share, of the rest what is to spare. */
static void shorten(struct world *w, struct book *b, const struct service *s)
{
    msec wait = b->until - w->now, kept;

    if (!waits(s) || wait <= 0)
        return;
    if (s->state == SERVICE_KILLING) {
        b->until = w->now + least(wait, kill_wait(w));
        return;
    }
    kept = share(w, b, s->step, least(wait, step_time(&b->spec, s->step)));
    b->until = longer(w->now + kept, least(b->until, stretch(w, b, s->step)));
}

/* It asks for more, from now on. */
static void extend(struct world *w, struct book *b, enum service_state state, unsigned step,
                   msec wait)
{
    msec by = w->now + least(wait, NEVER / 2);

    if (state == SERVICE_STARTING)
        b->start_by = longer(b->start_by, w->now + least(wait, CONF_TIME_MAX));
    if (state == SERVICE_STOPPING)
        b->until = longer(b->until, least(by, stretch(w, b, step)));
}

/* P17: so long a stop takes and no longer, whatever it asks for, but for what we lose. */
void check_stretch(const struct world *w, const struct service *s)
{
    const struct book *b = &w->book[s->slot];

    if (w->now - b->began > stop_most(&b->spec) + w->lost_ever - b->lost)
        broken(w, "P17", "%s: KILL comes %lld ms after its stop began, not %lld", service_name(s),
               (long long)(w->now - b->began), (long long)stop_most(&b->spec));
}

/* The engine was told. */
void check_limit(struct world *w)
{
    msec after[SLOTS];

    w->gone_by = w->kept_gone_by;
    w->kill_at = w->gone_by - least((w->gone_by - w->now) / 4, RESERVE);
    w->excused = !all_known(w) || w->kill_at <= w->now;
    ways_on(w, after);
    for (unsigned i = 0; i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        if (!s)
            continue;
        w->book[i].after = all_known(w) ? after[i] : s->after;
        shorten(w, &w->book[i], s);
        check_until(w, s);
    }
}

/* What was asked for before its signal was sent is not lost by that. */
static void begin_wait(struct world *w, struct book *b, const struct service *s, bool anew)
{
    msec until =
        w->now + (s->state == SERVICE_KILLING ? kill_wait(w)
                                              : share(w, b, s->step, step_time(&b->spec, s->step)));

    b->until = anew && s->state == SERVICE_STOPPING ? longer(until, b->until) : until;
}

/* A wait begins with its step, and anew when its signal is really sent, or could not be yet. */
void check_step(struct world *w, const struct service *s, enum service_state from, unsigned step,
                enum engine_event event, msec wait)
{
    struct book *b = &w->book[s->slot];

    if (b->id && event == EVENT_EXTEND)
        extend(w, b, from, step, wait);
    if (b->id && event == EVENT_DEADLINE && from == SERVICE_STARTING && w->now < b->start_by)
        broken(w, "P12", "%s: its start is over %lld ms too early", service_name(s),
               (long long)(b->start_by - w->now));
    if (!b->id || !waits(s))
        return;
    if (event == EVENT_DEADLINE && from == SERVICE_STOPPING && w->now < b->until)
        broken(w, "P14", "%s: step %u is over %lld ms too early", service_name(s), step,
               (long long)(b->until - w->now));
    if (s->state != from || s->step != step || event == EVENT_SIGNALLED || event == EVENT_DEADLINE)
        begin_wait(w, b, s, s->state == from && s->step == step && event == EVENT_SIGNALLED);
    check_until(w, s);
}

/* P16: it is time to waive the order. All have had their share by then, and nobody waits, unless it
 * was spent otherwise: by the least time of each, by KILLs that took their time, by our lateness.
 */
static void check_shared(const struct world *w)
{
    if (w->excused || w->late_now)
        return;
    for (unsigned i = 0; i < SLOTS; i++)
        if (w->book[i].id && left_of(w, i, 0) > 0)
            broken(w, "P16", "%s lacks %lld ms of its share", service_name(w->engine.graph.at[i]),
                   (long long)left_of(w, i, 0));
}

/* Before the engine is told the time. */
void check_waived(const struct world *w)
{
    if (w->now >= w->kill_at && !w->kept_hurry)
        check_shared(w);
}

/* And after it. */
void check_order(struct world *w)
{
    if (!w->engine.hurry || w->kept_hurry)
        return;
    if (w->now < w->kill_at)
        broken(w, "P16", "the order is waived %lld ms too early", (long long)(w->kill_at - w->now));
    w->waived = !shutdown_over(w);
}

/* Time that is about to pass, and was not to be shared. */
void check_excuse(struct world *w)
{
    w->excused = w->excused || w->late_now;
    for (unsigned i = 0; i < SLOTS && !w->again; i++)
        w->excused = w->excused || (w->book[i].id && w->book[i].state == SERVICE_KILLING);
}

/* P17: half of the reserve is left when all are gone, or was lost by waking up late this once. */
void check_deadline(const struct world *w)
{
    msec end = w->gone_by - (w->gone_by - w->kill_at) / 2;

    if (w->gone_by != NEVER && !w->again && w->now > end + w->late_now && !shutdown_over(w))
        broken(w, "P17", "the deadline passes, %lld ms after the begin",
               (long long)(w->gone_by - w->kept_began));
}
