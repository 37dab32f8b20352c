/* What is waited for, by formulas of their own over the fields of services: levels by going round
 * until nothing changes. */
#include <stdio.h>
#include <string.h>

#include "clients.h"

static uint64_t over, in_vain;

/* ---- levels ---- */

static bool ended_well(const struct service *s)
{
    return s->state == SERVICE_DONE && s->conf->type != CONF_ONESHOT;
}

bool is_up(const struct service *s)
{
    return s->state == SERVICE_RUNNING ||
           (s->state == SERVICE_DONE && s->conf->type == CONF_ONESHOT);
}

static bool has_required(const struct service *s, const bool level[SLOTS])
{
    for (size_t i = 0; i < s->n_needs; i++)
        if (s->needs[i].kind == EDGE_REQUIRES && level[s->needs[i].to->slot])
            return true;
    return false;
}

typedef bool level_of(const struct world *, const struct levels *, const struct service *);

static bool is_going(const struct world *w, const struct levels *l, const struct service *s)
{
    bool failed = false;

    for (size_t i = 0; i < s->n_needs; i++)
        failed |= s->needs[i].kind == EDGE_REQUIRES && s->needs[i].to->state == SERVICE_FAILED;
    return w->kept_shutdown || !s->wanted || s->again || failed || has_required(s, l->going);
}

/* These are to be read once who is going is known. */
static bool is_lost(const struct levels *l, const struct service *s)
{
    return !s->wanted || s->state == SERVICE_FAILED || (ended_well(s) && !l->going[s->slot]);
}

/* Whoever is ready has come, whatever has become of those whom it requires. */
static bool is_vain(const struct world *w, const struct levels *l, const struct service *s)
{
    (void)w;
    bool comes = is_up(s) || (s->state == SERVICE_STARTING && !s->preparing);
    return (!comes || l->going[s->slot]) && (is_lost(l, s) || has_required(s, l->vain));
}

static bool has_failed(const struct world *w, const struct levels *l, const struct service *s)
{
    (void)w;
    if (!s->wanted || (ended_well(s) && !l->going[s->slot]))
        return s->state == SERVICE_FAILED;
    return s->state == SERVICE_FAILED || has_required(s, l->gave_up);
}

static bool has_not_failed(const struct world *w, const struct levels *l, const struct service *s)
{
    (void)w;
    return (!s->wanted && s->state != SERVICE_FAILED) || (ended_well(s) && !l->going[s->slot]) ||
           has_required(s, l->otherwise);
}

static void find_level(const struct world *w, const struct levels *l, level_of *is,
                       bool level[SLOTS])
{
    bool more = true;

    while (more) {
        more = false;
        for (size_t i = 0; i < w->engine.graph.n; i++) {
            const struct service *s = w->engine.graph.at[i];
            if (!s || level[i] || !is(w, l, s))
                continue;
            level[i] = more = true;
        }
    }
}

struct levels levels_of(const struct world *w)
{
    struct levels l = {0};

    find_level(w, &l, is_going, l.going);
    find_level(w, &l, is_vain, l.vain);
    find_level(w, &l, has_failed, l.gave_up);
    find_level(w, &l, has_not_failed, l.otherwise);
    return l;
}

/* ---- goals ---- */

static enum answer_reached ready_of(const struct world *w, const struct levels *l,
                                    const struct service *s)
{
    if (!s || w->kept_shutdown || s->state == SERVICE_STUCK)
        return ANSWER_NEVER;
    if (is_up(s) && !l->going[s->slot])
        return ANSWER_YES;
    return l->vain[s->slot] ? ANSWER_NEVER : ANSWER_NOT_YET;
}

static enum answer_reached down_of(const struct levels *l, const struct service *s)
{
    if (!s || s->state == SERVICE_DOWN || s->state == SERVICE_FAILED)
        return ANSWER_YES;
    if (s->state == SERVICE_STUCK)
        return ANSWER_NEVER;
    if (s->state == SERVICE_DONE)
        return l->going[s->slot] ? ANSWER_NOT_YET : ANSWER_YES;
    if (s->state == SERVICE_PENDING || s->state == SERVICE_BACKOFF)
        return l->vain[s->slot] ? ANSWER_YES : ANSWER_NOT_YET;
    return ANSWER_NOT_YET;
}

/* Of several reasons one is told, and need not be that one. */
static bool is_unclear(const struct levels *l, const struct service *s)
{
    return s && l->gave_up[s->slot] && l->otherwise[s->slot];
}

static enum answer_reached failed_of(const struct world *w, const struct levels *l,
                                     const struct service *s)
{
    if (s && l->gave_up[s->slot] && !is_unclear(l, s))
        return ANSWER_YES;
    return !s || w->kept_shutdown ? ANSWER_NEVER : ANSWER_NOT_YET;
}

static enum answer_reached expect(const struct world *w, const struct levels *l,
                                  const struct service *s, enum request_goal goal)
{
    switch (goal) {
    case GOAL_READY:
        return ready_of(w, l, s);
    case GOAL_DOWN:
        return down_of(l, s);
    case GOAL_FAILED:
        return failed_of(w, l, s);
    case GOAL_RELOADED:
    case REQUEST_GOAL_COUNT:
        break;
    }
    return s ? ANSWER_YES : ANSWER_NEVER;
}

static void check_goal(const struct world *w, const struct levels *l, const struct service *s,
                       enum request_goal goal, enum answer_reached told, const struct text *why)
{
    static const char *const names[] = {"not yet", "yes", "never"};
    enum answer_reached expected = expect(w, l, s, goal);

    if (told != expected && !(goal == GOAL_FAILED && told == ANSWER_YES && is_unclear(l, s)))
        broken(w, "P31", "%s: goal %d is told as %s, it is %s: %s", s ? service_name(s) : "nobody",
               (int)goal, names[told], names[expected], why->at);
    if ((told == ANSWER_NEVER) != (why->n > 0) || why->n >= ANSWER_WHY_MAX - 1)
        broken(w, "P31", "goal %d is told as %s: \"%s\"", (int)goal, names[told], why->at);
}

void check_reached(struct world *w, const struct service *s, enum request_goal goal,
                   enum answer_reached told, const struct text *why)
{
    struct levels l = levels_of(w);

    check_goal(w, &l, s, goal, told, why);
}

void check_goals(struct world *w, const struct levels *l, const struct service *s)
{
    for (int goal = 0; goal < GOAL_RELOADED; goal++) {
        char reason[ANSWER_WHY_MAX] = "";
        struct text why = {reason, 0, sizeof reason};
        enum answer_reached told =
            answer_reached(s, (enum request_goal)goal, w->kept_shutdown, &why);
        check_goal(w, l, s, (enum request_goal)goal, told, &why);
    }
}

/* ---- what cannot come about by itself ---- */

static struct latch *latch_of(struct world *w, const struct service *s)
{
    struct latch *l = &w->clients->latch[s->slot];

    if (l->id != w->book[s->slot].id)
        *l = (struct latch){.id = w->book[s->slot].id};
    return l;
}

void check_stopped(struct world *w, const struct service *s)
{
    latch_of(w, s)->rests = true;
}

/* What is stuck may come free one day. */
void check_answered(struct world *w, const struct service *s, enum request_goal goal,
                    enum answer_reached r)
{
    over += r == ANSWER_YES;
    in_vain += r == ANSWER_NEVER;
    if (r == ANSWER_NEVER && s->state == SERVICE_STUCK)
        return;
    if (r == ANSWER_NEVER)
        latch_of(w, s)->never |= 1u << goal;
    if (r == ANSWER_YES ? goal == GOAL_DOWN || goal == GOAL_FAILED : goal == GOAL_READY)
        latch_of(w, s)->rests = true;
}

void check_rests(struct world *w, const struct service *s)
{
    if (w->clients && latch_of(w, s)->rests)
        broken(w, "P10", "%s starts, and nobody has asked for it", service_name(s));
}

void check_latches(struct world *w, const struct levels *l)
{
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        unsigned never = s ? latch_of(w, s)->never : 0;
        for (unsigned goal = 0; never >> goal; goal++)
            if (never >> goal & 1 && expect(w, l, s, (enum request_goal)goal) == ANSWER_YES)
                broken(w, "P31", "%s: goal %u was never to be reached, and is", service_name(s),
                       goal);
    }
}

/* ---- waits ---- */

/* Of everybody, or those who are wanted; else of the names, also of those who are gone. */
static void count_answers(const struct world *w, const struct levels *l, const struct client *c,
                          unsigned counts[3])
{
    const struct asked *a = &c->asked;

    for (unsigned i = 0; i < a->n_names; i++)
        counts[expect(w, l, client_named(w, a->names[i]), a->goal)]++;
    for (size_t i = 0; a->n_names == 0 && i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        if (s && (s->wanted || a->goal != GOAL_READY))
            counts[expect(w, l, s, a->goal)]++;
    }
}

static bool waits(const struct client *c)
{
    return c->here && c->asks && c->asked.verb == REQUEST_WAIT && !c->phase;
}

/* It is over as soon as all have come, or one will not. */
void check_open(struct world *w, const struct levels *l, const struct client *c)
{
    unsigned counts[3] = {0};

    if (!waits(c) || c->room == 0)
        return;
    count_answers(w, l, c, counts);
    if (counts[ANSWER_NEVER] || !counts[ANSWER_NOT_YET])
        broken(w, "P31", "a client waits for what has come or will not");
}

/* Nothing more happens by itself: whoever waits for somebody to be ready has been told. */
void check_clients_rest(struct world *w)
{
    clients_answer(w);
    for (unsigned i = 0; w->clients && i < w->clients->n; i++)
        if (waits(&w->clients->at[i]) && w->clients->at[i].asked.goal == GOAL_READY)
            broken(w, "P31", "client %u waits for what does not come", i);
}

void check_clients_end(struct world *w)
{
    clients_answer(w);
    for (unsigned i = 0; w->clients && i < w->clients->n; i++)
        if (waits(&w->clients->at[i]))
            broken(w, "P31", "client %u still waits at the end", i);
}

bool check_waits_print(void)
{
    printf("waits: for %llu that came, %llu that did not\n", (unsigned long long)over,
           (unsigned long long)in_vain);
    return over && in_vain;
}
