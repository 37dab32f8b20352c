/* What the plan must come to, by formulas of its own: each stop from its steps, each longest way by
 * recursion. */
#include <string.h>

#include "sim.h"

/* As the manual has them. */
enum { KILL_WAIT = 5000 };

static msec longer(msec a, msec b)
{
    return a > b ? a : b;
}

/* ---- one stop ---- */

msec step_time(const struct spec *s, unsigned step)
{
    if (step == STEP_DRAIN)
        return s->drain;
    if (step == STEP_COMMAND)
        return s->command ? s->command_timeout : 0;
    return step_wait(s, step);
}

/* From this step on until KILL. */
msec stop_from(const struct spec *s, unsigned step)
{
    msec sum = 0;

    for (; step <= STEP_SIGNAL + s->n_then; step++)
        sum += step_time(s, step);
    return sum;
}

/* Whoever may ask for more can have what earlier steps have left, and stop.max in any case. */
msec stop_most(const struct spec *s)
{
    return stop_from(s, STEP_DRAIN) + s->more;
}

static msec stop_longest(const struct spec *s, unsigned step)
{
    msec steps = stop_from(s, spec_access(s) != CONF_ACCESS_NONE ? STEP_DRAIN : step);

    return s->more && stop_most(s) > steps ? stop_most(s) : steps;
}

static bool is_to_stop(const struct book *b)
{
    return b->state == SERVICE_STARTING || b->state == SERVICE_RUNNING ||
           b->state == SERVICE_STOPPING || b->state == SERVICE_KILLING ||
           (b->state == SERVICE_DONE && b->spec.command);
}

/* One that is done counts, as it may have to wait itself. */
static bool has_dependents(const struct world *w, const struct book *b)
{
    for (unsigned i = 0; i < SLOTS; i++)
        for (unsigned k = 0; w->book[i].id && k < w->book[i].n_needs; k++)
            if (w->book[i].needs[k] == b->id &&
                (w->book[i].state == SERVICE_DONE || is_to_stop(&w->book[i])))
                return true;
    return false;
}

/* Where its stop is, or will begin: what starts may become ready while it waits for its turn. */
static unsigned step_of(const struct world *w, unsigned slot)
{
    const struct book *b = &w->book[slot];

    if (b->state == SERVICE_STARTING)
        return has_dependents(w, b) ? STEP_DRAIN : STEP_SIGNAL;
    if (b->state == SERVICE_DONE)
        return STEP_COMMAND;
    return b->state == SERVICE_RUNNING ? STEP_DRAIN : w->engine.graph.at[slot]->step;
}

/* What may come of it in a shutdown, with so long for its KILL. */
static msec stop_of(const struct world *w, unsigned slot, msec kill_wait)
{
    const struct book *b = &w->book[slot];

    if (!is_to_stop(b))
        return 0;
    if (b->state == SERVICE_KILLING)
        return kill_wait;
    if (kill_wait)
        return stop_longest(&b->spec, step_of(w, slot)) + kill_wait;
    return stop_from(&b->spec, step_of(w, slot));
}

/* The same to the millisecond, while a stop is under way; with KILLs, for what it may be stretched
 * to yet. */
msec left_of(const struct world *w, unsigned slot, msec kill_wait)
{
    const struct book *b = &w->book[slot];
    msec left = b->until - w->now + stop_from(&b->spec, step_of(w, slot) + 1);

    if (b->state == SERVICE_STOPPING && kill_wait && spec_access(&b->spec) != CONF_ACCESS_NONE)
        return longer(left, b->began + stop_most(&b->spec) - w->now) + kill_wait;
    if (b->state == SERVICE_STOPPING)
        return left + kill_wait;
    if (b->state == SERVICE_KILLING && kill_wait)
        return b->until - w->now;
    return stop_of(w, slot, kill_wait);
}

/* ---- the longest ways ---- */

struct ways {
    unsigned n;
    uint64_t next[SLOTS]; /* who comes after each: a set of bits */
    msec time[SLOTS];
    msec after[SLOTS], before[SLOTS]; /* -1: not known yet */
};

static void ways_begin(struct ways *x, unsigned n)
{
    *x = (struct ways){.n = n};
    memset(x->after, -1, sizeof x->after);
    memset(x->before, -1, sizeof x->before);
}

static msec way_after(struct ways *x, unsigned i)
{
    if (x->after[i] >= 0)
        return x->after[i];
    x->after[i] = 0;
    for (unsigned k = 0; k < x->n; k++)
        if (x->next[i] >> k & 1 && x->time[k] + way_after(x, k) > x->after[i])
            x->after[i] = x->time[k] + x->after[k];
    return x->after[i];
}

static msec way_before(struct ways *x, unsigned i)
{
    if (x->before[i] >= 0)
        return x->before[i];
    x->before[i] = 0;
    for (unsigned k = 0; k < x->n; k++)
        if (x->next[k] >> i & 1 && x->time[k] + way_before(x, k) > x->before[i])
            x->before[i] = x->time[k] + x->before[k];
    return x->before[i];
}

static msec longest(struct ways *x)
{
    msec most = 0;

    for (unsigned i = 0; i < x->n; i++)
        if (x->time[i] + way_after(x, i) > most)
            most = x->time[i] + x->after[i];
    return most;
}

static unsigned slot_of(const struct world *w, unsigned id)
{
    const struct service *s = book_service(w, id);

    return s ? s->slot : SLOTS;
}

/* The shutdown of those who live, from where they stand. */
static void ways_of_living(const struct world *w, msec kill_wait, struct ways *x)
{
    ways_begin(x, (unsigned)w->engine.graph.n);
    for (unsigned i = 0; i < x->n; i++) {
        const struct book *b = &w->book[i];
        if (!b->id)
            continue;
        x->time[i] = stop_of(w, i, kill_wait);
        for (unsigned k = 0; k < b->n_needs; k++) {
            unsigned to = slot_of(w, b->needs[k]);
            if (to < SLOTS)
                x->next[i] |= UINT64_C(1) << to;
        }
    }
}

/* Of the present services of a config, by their place in its set. */
static void ways_of_config(const struct config *c, bool start, struct ways *x)
{
    unsigned place[NAMES_MAX] = {0}, n = 0;

    for (unsigned i = 0; i < c->n; i++)
        if (c->at[i].present)
            place[i] = n++;
    ways_begin(x, n);
    for (unsigned i = 0; i < c->n; i++) {
        const struct spec *s = &c->at[i];
        if (!s->present)
            continue;
        x->time[place[i]] = start ? s->timeout : stop_most(s) + KILL_WAIT;
        for (unsigned k = 0; k < i; k++)
            if ((s->requires | s->wants | s->after) >> k & 1)
                x->next[place[start ? k : i]] |= UINT64_C(1) << place[start ? i : k];
    }
}

/* Without KILLs, on from the end of each. */
void ways_on(const struct world *w, msec after[SLOTS])
{
    struct ways x;

    ways_of_living(w, 0, &x);
    for (unsigned i = 0; i < x.n; i++)
        after[i] = way_after(&x, i);
}

/* ---- the plan ---- */

/* A way is named by its next service, and ends with none. */
static bool leads_on(const struct ways *x, const struct plan *p, unsigned i)
{
    const struct plan_node *n = &p->at[i];
    bool on = n->next == PLAN_NONE
                  ? n->after == 0
                  : x->next[i] >> n->next & 1 && x->time[n->next] + x->after[n->next] == n->after;
    bool back = n->previous == PLAN_NONE
                    ? n->before == 0
                    : x->next[n->previous] >> i & 1 &&
                          x->time[n->previous] + x->before[n->previous] == n->before;

    return on && back;
}

static void compare_one(const struct world *w, struct ways *x, const struct plan *p, unsigned i,
                        const char *what)
{
    const struct plan_node *n = &p->at[i];
    msec after = way_after(x, i), before = way_before(x, i);

    if (n->time != x->time[i] || n->after != after || n->before != before)
        broken(w, "P17", "%s: %u takes %lld ms, then %lld, before it %lld, not %lld, %lld, %lld",
               what, i, (long long)n->time, (long long)n->after, (long long)n->before,
               (long long)x->time[i], (long long)after, (long long)before);
    if (!leads_on(x, p, i))
        broken(w, "P17", "%s: the longest way through %u is none", what, i);
}

static void compare(const struct world *w, struct ways *x, const struct plan *p, const char *what)
{
    msec most = longest(x);
    size_t first;

    for (unsigned i = 0; i < x->n; i++)
        compare_one(w, x, p, i, what);
    if (plan_longest(p, &first) != most || (first == PLAN_NONE) != (most == 0))
        broken(w, "P17", "%s: %lld ms, not %lld", what, (long long)plan_longest(p, &first),
               (long long)most);
}

/* Of the removed it is not recorded whom they knew. */
bool all_known(const struct world *w)
{
    for (unsigned i = 0; w->crashes && i < SLOTS; i++)
        if (w->book[i].id && w->book[i].doomed)
            return false;
    return true;
}

void check_plan(const struct world *w, const struct config *c, const struct conf_set *set)
{
    struct ways x;
    struct plan p;

    ways_of_config(c, false, &x);
    if (plan_of_shutdown(&p, set))
        broken(w, "P17", "no plan of a shutdown");
    compare(w, &x, &p, "plan of a shutdown");
    plan_free(&p);
    ways_of_config(c, true, &x);
    if (plan_of_start(&p, set))
        broken(w, "P17", "no plan of a start");
    compare(w, &x, &p, "plan of a start");
    plan_free(&p);
}

/* A shutdown is never worse than its config says, where that is all there is. */
static void check_worst(const struct world *w, msec living)
{
    struct ways x;

    for (unsigned i = 0; i < SLOTS; i++)
        if (w->book[i].id && (w->book[i].doomed || w->book[i].next_line))
            return;
    ways_of_config(&w->config, false, &x);
    if (living > longest(&x))
        broken(w, "P17", "the shutdown can take %lld ms, more than the planned %lld",
               (long long)living, (long long)longest(&x));
}

msec check_bound(const struct world *w)
{
    struct ways x;
    struct plan p;

    ways_of_living(w, KILL_WAIT, &x);
    if (plan_of_living(&p, &w->engine.graph, KILL_WAIT))
        broken(w, "P17", "no plan of those who live");
    if (all_known(w))
        compare(w, &x, &p, "plan of those who live");
    plan_free(&p);
    check_worst(w, longest(&x));
    return w->now + longest(&x);
}

/* P17: whatever happens in a shutdown, what may still come is never more than was planned. */
void check_kept(const struct world *w)
{
    struct ways x;
    msec most;

    if (!w->kept_shutdown || w->again || !all_known(w))
        return;
    ways_of_living(w, KILL_WAIT, &x);
    for (unsigned i = 0; i < x.n; i++) {
        if (w->book[i].id)
            x.time[i] = left_of(w, i, KILL_WAIT);
        if (w->engine.hurry)
            x.next[i] = 0;
    }
    most = longest(&x);
    if (most > 0 && w->now + most > w->bound + w->lost)
        broken(w, "P17", "the shutdown can take %lld ms yet, %lld are left of the plan",
               (long long)most, (long long)(w->bound + w->lost - w->now));
}
