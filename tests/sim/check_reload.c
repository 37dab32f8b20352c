/* P21: the plan of a load says what the load does, and changes nothing. */
#include <string.h>

#include "sim.h"
#include "tend/engine_plan.h"

enum { NOBODY = -1 };

struct foretold {
    bool named;
    enum engine_does does;
    const struct conf_key *key;
    int because; /* index of a name, or NOBODY */
};

/* The world before the load, and what was said of it. */
static struct {
    bool there[SLOTS], going[SLOTS], has_an_end[SLOTS];
    uint64_t starts_with[SLOTS]; /* by index of a name: what its latest conf requires or wants */
    struct service service[SLOTS];
    struct foretold of[NAMES_MAX];
    char last_name[16];
    unsigned n;
} before;

/* ---- the plan ---- */

static void note(void *self, const struct engine_planned *p)
{
    struct foretold *f = &before.of[name_index(p->name)];

    if (before.n && strcmp(before.last_name, p->name) >= 0)
        broken(self, "P21", "%s is told after %s", p->name, before.last_name);
    strcpy(before.last_name, p->name);
    *f = (struct foretold){.named = true,
                           .does = p->does,
                           .key = p->key,
                           .because = p->because ? (int)name_index(p->because) : NOBODY};
    before.n++;
    TRACE((const struct world *)self, "plan: %s %s%s%s", engine_does_name(p->does), p->name,
          p->because ? " because of " : "", p->because ? p->because : "");
}

static uint64_t add_to(uint64_t sum, const void *bytes, size_t n)
{
    for (const unsigned char *at = bytes; n > 0; n--)
        sum = (sum ^ *at++) * UINT64_C(1099511628211);
    return sum;
}

static uint64_t print_of(const struct engine *e)
{
    uint64_t sum = add_to(0, e, sizeof *e);

    sum = add_to(sum, e->graph.at, e->graph.n * sizeof(struct service *));
    sum = add_to(sum, e->graph.sorted, e->graph.n_sorted * sizeof(struct service *));
    for (size_t i = 0; i < e->graph.n; i++) {
        const struct service *s = e->graph.at[i];
        if (!s)
            continue;
        sum = add_to(sum, s, sizeof *s);
        sum = add_to(sum, s->needs, s->n_needs * sizeof *s->needs);
        sum = add_to(sum, s->needed_by, s->n_needed_by * sizeof *s->needed_by);
        sum = add_to(sum, s->conf, sizeof *s->conf);
    }
    return sum;
}

/* So many allocations succeed; negative: all. */
static void plan(struct world *w, const struct conf_set *set, int allocations)
{
    uint64_t print = print_of(&w->engine);
    int result;

    before.n = 0;
    memset(before.of, 0, sizeof before.of);
    allocations_left = allocations;
    result = engine_plan(&w->engine, set, note, w);
    allocations_left = -1;
    if (print_of(&w->engine) != print)
        broken(w, "P21", "the plan has changed something");
    if (result && (allocations < 0 || before.n))
        broken(w, "P21", "the plan failed%s", before.n ? ", but not as a whole" : "");
}

/* What must go, by wishes and edges alone: levels may not have settled. */
static void find_going(const struct engine *e, bool going[SLOTS])
{
    bool more = true;

    memset(going, 0, SLOTS * sizeof *going);
    while (more) {
        more = false;
        for (size_t i = 0; i < e->graph.n; i++) {
            const struct service *s = e->graph.at[i];
            bool goes = s && (!s->wanted || s->again);
            for (size_t k = 0; s && k < s->n_needs; k++)
                goes |= s->needs[k].kind == EDGE_REQUIRES &&
                        (going[s->needs[k].to->slot] || s->needs[k].to->state == SERVICE_FAILED);
            more |= goes != going[i];
            going[i] = goes;
        }
    }
}

/* There is something of it to stop. */
static bool has_an_end(const struct service *s)
{
    return service_live(s) || (s->state == SERVICE_DONE && s->conf->stop.command);
}

static uint64_t names(char *const *list)
{
    uint64_t bits = 0;

    for (; list && *list; list++)
        bits |= UINT64_C(1) << name_index(*list);
    return bits;
}

void foretell(struct world *w, const struct conf_set *set)
{
    memset(before.there, 0, sizeof before.there);
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        before.there[i] = s != NULL;
        if (!s)
            continue;
        memcpy(&before.service[i], s, sizeof *s);
        before.has_an_end[i] = has_an_end(s);
        before.starts_with[i] =
            names(service_latest(s)->requires) | names(service_latest(s)->wants);
    }
    find_going(&w->engine, before.going);
    plan(w, set, (int)(w->turns % 9));
    plan(w, set, -1);
}

/* ---- against what was done ---- */

static bool runs(const struct service *s)
{
    return s->state == SERVICE_STARTING || s->state == SERVICE_RUNNING || s->state == SERVICE_DONE;
}

/* But for edges and the order among those of one name, whose other ends may have changed, and for
 * the queues of a look at the levels. */
static bool same(const struct service *a, const struct service *b)
{
    struct service x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    x.needs = y.needs = x.needed_by = y.needed_by = NULL;
    x.predecessor = y.predecessor = NULL;
    x.n_needed_by = y.n_needed_by = x.queued = y.queued = 0;
    memset(x.next, 0, sizeof x.next);
    memset(y.next, 0, sizeof y.next);
    return memcmp(&x, &y, sizeof x) == 0;
}

static bool same_wishes(const struct service *a, const struct service *b)
{
    return a->wanted == b->wanted && a->again == b->again && a->doomed == b->doomed &&
           a->state == b->state;
}

static const struct service *because(const struct world *w, const struct foretold *f)
{
    char name[16] = "s";

    if (f->because == NOBODY)
        return NULL;
    name[1] = (char)('0' + f->because / 10);
    name[2] = (char)('0' + f->because % 10);
    if (f->because < 10) {
        name[1] = name[2];
        name[2] = '\0';
    }
    return graph_find(&w->engine.graph, name);
}

/* Some time before, or by itself. */
static bool may_start_others(const struct world *w, const struct foretold *f)
{
    const struct service *by = because(w, f);

    return by && by->wanted &&
           ((before.there[by->slot] && before.service[by->slot].wanted) ||
            w->config.at[f->because].start == CONF_AUTO);
}

/* The changes of a service that was there and still is. */
static bool as_foretold(const struct world *w, const struct foretold *f, const struct service *old,
                        const struct service *s, bool going)
{
    const struct service *by = because(w, f);
    bool own = f->because == NOBODY, spawn = f->key && f->key->change == CONF_SPAWN;

    switch (f->does) {
    case DOES_START:
        return s->wanted && s->again == old->again && (!old->wanted || s->state != old->state) &&
               (own || may_start_others(w, f));
    case DOES_RESTART:
        if (own)
            return spawn && s->again && s->wanted && s->next_conf && s->state == old->state &&
                   old->state != SERVICE_DOWN && old->state != SERVICE_PENDING;
        return same_wishes(old, s) && runs(s) && going && by && by->again;
    case DOES_STOP:
        return !own && same_wishes(old, s) && runs(s) && going && by &&
               (!by->wanted || by->state == SERVICE_FAILED);
    case DOES_CHANGE:
        return own && f->key && same_wishes(old, s) && (!spawn || !s->wanted || !runs(s));
    case DOES_ADD:
    case DOES_FORGET:
    case DOES_COUNT:
        break;
    }
    return false;
}

static bool is_right(const struct world *w, const struct service *s, bool going)
{
    const struct foretold *f = &before.of[name_index(service_name(s))];
    const struct service *old = &before.service[s->slot];
    bool renewed = s->conf != old->conf || s->next_conf != old->next_conf;
    bool taken_along = runs(s) && s->wanted && !s->again && going && !before.going[s->slot];
    bool to_go = f->named && (f->does == DOES_STOP || f->does == DOES_RESTART);

    if (!before.there[s->slot])
        return f->named && f->because != (int)name_index(service_name(s)) &&
               f->does == (s->wanted ? DOES_START : DOES_ADD);
    if (old->doomed)
        return same(old, s);
    if (s->doomed)
        return f->named && f->because == NOBODY &&
               f->does == (before.has_an_end[s->slot] ? DOES_STOP : DOES_FORGET);
    if (taken_along && !to_go)
        return false;
    if (!f->named)
        return same(old, s);
    return renewed == (f->key != NULL) && as_foretold(w, f, old, s, going);
}

/* P21: what it did not depend on before, and what it brings when it is wanted only now. */
static void check_started(struct world *w, const struct service *s)
{
    bool was = before.there[s->slot] && before.service[s->slot].wanted;

    if (!s->wanted || s->doomed)
        return;
    for (size_t i = 0; i < s->n_needs; i++) {
        const struct service *to = s->needs[i].to;
        bool known = was && before.starts_with[s->slot] >> name_index(service_name(to)) & 1;
        if (s->needs[i].kind != EDGE_AFTER && !known && !to->wanted)
            broken(w, "P21", "%s comes to depend on %s, which is not started", service_name(s),
                   service_name(to));
    }
}

static bool may_stop(const struct service *s)
{
    const struct foretold *f = &before.of[name_index(service_name(s))];

    if (before.there[s->slot] && before.going[s->slot])
        return true;
    return f->named && (f->does == DOES_STOP || f->does == DOES_RESTART || f->does == DOES_FORGET);
}

/* From here to the end of the turn levels stop only those whom the plan has named, and those that
 * were on their way out before. */
void check_foretold(struct world *w)
{
    bool going[SLOTS];

    find_going(&w->engine, going);
    w->may_stop = 0;
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        if (s && !is_right(w, s, going[i]))
            broken(w, "P21", "%s: what is done is not what is planned", service_name(s));
        if (s)
            check_started(w, s);
        if (s && may_stop(s))
            w->may_stop |= UINT64_C(1) << i;
    }
}

void check_taken_along(struct world *w, const struct engine_change *c)
{
    if (c->event == EVENT_QUIET && !(w->may_stop >> c->service->slot & 1))
        broken(w, "P21", "%s is stopped (%s), which was not planned", service_name(c->service),
               service_cause_text(c->service->cause));
}
