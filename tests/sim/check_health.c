/* When a service is to be probed, what the answers come to, and when its watchdog is starved, by an
 * account of its own: every time exact, every verdict the one that is due. */
#include "talk.h"

/* As the manual has them. */
enum { FIRST_PAUSE = 10, CONNECT_LIMIT = 1000 };

static struct sound *sound_of(struct world *w, const struct service *s)
{
    return &w->sounds[s->slot];
}

static const struct spec *spec_of(const struct world *w, const struct service *s)
{
    return &w->book[s->slot].spec;
}

static msec least(msec a, msec b)
{
    return a < b ? a : b;
}

/* ---- when ---- */

static bool is_asked(const struct world *w, const struct service *s)
{
    const struct spec *spec = spec_of(w, s);

    return w->sounds[s->slot].runs
               ? spec->health.target != 0
               : spec->ready == CONF_READY_TCP || spec->ready == CONF_READY_COMMAND;
}

static unsigned target_of(const struct world *w, const struct service *s)
{
    return w->sounds[s->slot].runs ? spec_of(w, s)->health.target : spec_of(w, s)->ready_target;
}

static void set_due(struct world *w, const struct service *s, msec since)
{
    struct sound *x = sound_of(w, s);
    const struct spec *spec = spec_of(w, s);
    msec span;

    if (x->probing && x->runs)
        span = spec->health.timeout;
    else if (x->probing)
        span = spec->ready == CONF_READY_TCP ? CONNECT_LIMIT : s->conf->ready.command_timeout;
    else
        span = x->runs ? spec->health.every : x->pause ? x->pause : 1;
    x->since = since;
    x->due = since + span;
}

/* Of readiness: 10 ms, then twice as long each time, up to ready.every. */
static void pause_now(struct world *w, const struct service *s)
{
    struct sound *x = sound_of(w, s);

    x->probing = false;
    if (!x->runs)
        x->pause = least(x->pause ? 2 * x->pause : FIRST_PAUSE, spec_of(w, s)->ready_every);
    set_due(w, s, w->now);
}

static msec deadline_of(const struct sound *x)
{
    return !x->on || x->told ? NEVER : least(x->asked ? x->due : NEVER, x->fed_by);
}

/* P29: neither early nor forgotten. */
void check_sound(const struct world *w, const struct service *s)
{
    const struct sound *x = &w->sounds[s->slot];
    const struct health *h = &w->checkups[s->slot].health;

    if (health_deadline(h) != deadline_of(x))
        broken(w, "P29", "%s: to be looked after at %lld, not %lld", service_name(s),
               (long long)deadline_of(x), (long long)health_deadline(h));
    if (!w->again && deadline_of(x) <= w->now)
        broken(w, "P29", "%s was to be looked after at %lld", service_name(s),
               (long long)deadline_of(x));
    if (x->on && (h->marked != x->marked || h->failures != x->ill))
        broken(w, "P29", "%s: %u ill answers are counted, not %u", service_name(s), h->failures,
               x->ill);
    if (w->book[s->slot].faulty)
        broken(w, "P29", "%s: a fault was not told", service_name(s));
    if (!w->again && x->on && x->runs != (s->state == SERVICE_RUNNING))
        broken(w, "P12", "%s is looked after as if it were %s", service_name(s),
               x->runs ? "running" : "starting");
}

/* ---- its life ---- */

void sound_off(struct world *w, const struct service *s)
{
    *sound_of(w, s) = (struct sound){.fed_by = NEVER};
}

static void ask_nobody(struct sound *x)
{
    x->asked = x->probing = x->marked = false;
    x->ill = 0;
}

/* It has set its watchdog itself, in this life. */
static bool is_own(const struct sound *x, const struct service *s)
{
    return x->own_watchdog && x->said_in == s->generation;
}

void sound_starting(struct world *w, const struct service *s)
{
    struct sound *x = sound_of(w, s);

    *x = (struct sound){.on = true,
                        .fed_by = NEVER,
                        .own_watchdog = !x->on && is_own(x, s),
                        .said_in = x->said_in,
                        .watchdog = x->on ? 0 : x->watchdog};
    x->asked = is_asked(w, s);
    x->target = target_of(w, s);
    x->since = x->due = w->now;
}

void sound_running(struct world *w, const struct service *s)
{
    struct sound *x = sound_of(w, s);

    if (x->on && x->runs)
        return;
    x->on = x->runs = true;
    ask_nobody(x);
    if (!is_own(x, s))
        x->watchdog = spec_of(w, s)->watchdog;
    x->fed_by = x->watchdog ? w->now + x->watchdog : NEVER;
    x->asked = is_asked(w, s);
    x->target = target_of(w, s);
    set_due(w, s, w->now);
}

/* By the new settings, from when it counts; anew where somebody else is asked. */
void sound_changed(struct world *w, const struct service *s)
{
    struct sound *x = sound_of(w, s);
    bool anew = !x->asked || x->target != target_of(w, s);

    if (!x->on || x->told || (!x->runs && !x->asked))
        return;
    x->pause = least(x->pause, spec_of(w, s)->ready_every);
    if (!is_asked(w, s)) {
        ask_nobody(x);
        return;
    }
    x->asked = true;
    x->target = target_of(w, s);
    if (anew) {
        x->ill = 0;
        x->probing = false;
        set_due(w, s, w->now);
    } else if (x->probing || x->runs || x->pause) {
        set_due(w, s, x->since);
    }
}

/* ---- what is due ---- */

/* P12: nobody is asked who is not there. */
static void check_probe(const struct world *w, const struct service *s)
{
    const struct proc *p = &w->kernel.at[s->pid];
    bool runs = s->state == SERVICE_RUNNING && spec_of(w, s)->health.target;
    bool executed = p->executed || p->role == ROLE_MEMBER;
    bool starts = s->state == SERVICE_STARTING && !s->preparing && s->pid && executed &&
                  (s->conf->ready.on == CONF_READY_TCP || s->conf->ready.on == CONF_READY_COMMAND);

    if (!(w->sounds[s->slot].runs ? runs : starts))
        broken(w, "P12", "%s is probed while it is %s", service_name(s),
               service_state_name(s->state));
}

static enum health_verdict ill(struct world *w, const struct service *s)
{
    struct sound *x = sound_of(w, s);
    bool was = x->marked;

    if (!x->runs || ++x->ill < (unsigned)spec_of(w, s)->health.failures)
        return HEALTH_SAME;
    if (spec_of(w, s)->health.then == CONF_THEN_MARK) {
        x->marked = true;
        return was ? HEALTH_SAME : HEALTH_ILL;
    }
    x->told = w->book[s->slot].faulty = true;
    return HEALTH_FAULT;
}

static enum health_verdict well(struct world *w, const struct service *s)
{
    struct sound *x = sound_of(w, s);
    bool was = x->marked;

    if (!x->runs) {
        x->asked = false;
        w->book[s->slot].said_ready = s->generation;
        return HEALTH_READY;
    }
    x->ill = 0;
    x->marked = false;
    return was ? HEALTH_WELL : HEALTH_SAME;
}

void sound_answered(struct world *w, const struct service *s, bool is_well,
                    enum health_verdict verdict)
{
    enum health_verdict expected = HEALTH_SAME;

    if (sound_of(w, s)->probing) {
        pause_now(w, s);
        expected = is_well ? well(w, s) : ill(w, s);
    }
    if (verdict != expected)
        broken(w, "P29", "%s: %u ill answers, %u are allowed: verdict %d, not %d", service_name(s),
               sound_of(w, s)->ill, (unsigned)spec_of(w, s)->health.failures, (int)expected,
               (int)verdict);
}

static enum health_due expect(const struct world *w, const struct sound *x)
{
    if (!x->on || x->told)
        return HEALTH_NOTHING;
    if (x->asked && x->probing && x->due <= w->now)
        return HEALTH_LATE;
    if (x->fed_by <= w->now)
        return HEALTH_STARVED;
    return x->asked && !x->probing && x->due <= w->now ? HEALTH_PROBE : HEALTH_NOTHING;
}

void sound_due(struct world *w, const struct service *s, enum health_due due,
               enum health_verdict verdict)
{
    struct sound *x = sound_of(w, s);

    if (due != expect(w, x))
        broken(w, "P29", "%s: %d is due, not %d", service_name(s), (int)expect(w, x), (int)due);
    if (due == HEALTH_LATE)
        sound_answered(w, s, false, verdict);
    if (due == HEALTH_STARVED) {
        x->told = w->book[s->slot].faulty = true;
        x->probing = false;
    }
    if (due == HEALTH_PROBE) {
        check_probe(w, s);
        x->probing = true;
        set_due(w, s, w->now);
    }
}

void sound_begun(struct world *w, const struct service *s)
{
    if (sound_of(w, s)->probing)
        set_due(w, s, w->now);
}

void sound_skipped(struct world *w, const struct service *s)
{
    if (sound_of(w, s)->probing)
        pause_now(w, s);
}

/* Only what was found faulty is, and each fault is told once. */
void check_fault(struct world *w, const struct service *s)
{
    struct book *b = &w->book[s->slot];

    if (!b->faulty)
        broken(w, "P29", "%s: a fault that it does not have", service_name(s));
    b->faulty = false;
}

/* ---- the watchdog ---- */

void sound_fed(struct world *w, const struct service *s)
{
    struct sound *x = sound_of(w, s);

    if (x->on && x->runs && !x->told && x->watchdog)
        x->fed_by = w->now + x->watchdog;
}

void sound_watchdog(struct world *w, const struct service *s, msec interval)
{
    struct sound *x = sound_of(w, s);

    if (x->told)
        return;
    x->own_watchdog = true;
    x->said_in = s->generation;
    x->watchdog = interval;
    x->fed_by = NEVER;
    sound_fed(w, s);
}
