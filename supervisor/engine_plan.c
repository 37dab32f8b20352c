/* What a new set would do to the services that live: engine_reload.c, without doing it. */
#include "tend/engine_plan.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What becomes of what runs, in order of weight. */
enum fate { STAYS, RETURNS, ENDS };

/* One name, and what holds of it when the set is in force. */
struct entry {
    const char *name;
    const struct service *service; /* NULL: new */
    const struct conf *conf;       /* NULL: removed */
    enum conf_difference difference;
    const struct conf_key *key;
    bool wanted, again;
    bool starts, restarts;
    const struct entry *starter; /* for whom it is started; NULL: for itself */
    enum fate fate;
    const struct entry *origin; /* from whom it has its fate */
    bool moved;                 /* and has it because of this set */
};

struct look {
    struct entry *at;       /* those of the set, in its order, then those that it has not */
    struct entry **by_name; /* those of the set */
    struct entry **list;    /* for all, at different times */
    size_t *order;          /* of the set: what is depended on first */
    size_t n, n_set;
};

static const char *const names[] = {
    [DOES_START] = "start", [DOES_ADD] = "add",       [DOES_RESTART] = "restart",
    [DOES_STOP] = "stop",   [DOES_FORGET] = "forget", [DOES_CHANGE] = "change",
};
static_assert(ARRAY_SIZE(names) == DOES_COUNT, "a word for each");

const char *engine_does_name(enum engine_does does)
{
    return names[does];
}

/* ---- who is there ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(struct entry *const *)a)->name, (*(struct entry *const *)b)->name);
}

static struct entry *find(const struct look *l, const char *name)
{
    struct entry key = {.name = name}, *at = &key, **found;

    found = bsearch(&at, l->by_name, l->n_set, sizeof(struct entry *), compare_names);
    return found ? *found : NULL;
}

/* At least one of the two is there. */
static void add(struct look *l, const char *name, const struct service *s, const struct conf *conf)
{
    struct entry *e = &l->at[l->n++];

    *e = (struct entry){.name = name,
                        .service = s,
                        .conf = conf,
                        .wanted = s && conf && s->wanted,
                        .again = s && conf && s->again};
    if (s && conf)
        e->difference = conf_compare(service_latest(s), conf, &e->key);
}

static void add_all(struct look *l, const struct graph *g, const struct conf_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        add(l, set->at[i]->name, graph_find(g, set->at[i]->name), set->at[i]);
        l->by_name[i] = &l->at[i];
    }
    l->n_set = l->n;
    qsort(l->by_name, l->n_set, sizeof(struct entry *), compare_names);
    for (size_t i = 0; i < g->n; i++)
        if (g->at[i] && !g->at[i]->doomed && !find(l, service_name(g->at[i])))
            add(l, service_name(g->at[i]), g->at[i], NULL);
}

/* ---- what is started ---- */

static bool starts_by_itself(const struct entry *e)
{
    if (e->conf->start != CONF_AUTO)
        return false;
    return !e->service || (service_latest(e->service)->start == CONF_MANUAL && !e->service->wanted);
}

/* What is to be up already is not started anew for the names that its conf before had. */
static bool is_known(const struct entry *e, const char *name)
{
    const struct conf *old = e->starts ? NULL : service_latest(e->service);

    return old && (conf_list_has(old->requires, name) || conf_list_has(old->wants, name));
}

static void pull(struct look *l, const struct entry *by, char *const *needed, size_t *n,
                 const struct entry *starter)
{
    for (; needed && *needed; needed++) {
        struct entry *e = find(l, *needed);
        if (!e || e->wanted || is_known(by, *needed))
            continue;
        e->wanted = e->starts = true;
        e->starter = starter;
        l->list[(*n)++] = e;
    }
}

static void pull_all(struct look *l, const struct entry *first)
{
    const struct entry *e = first;
    size_t n = 0;

    for (;;) {
        pull(l, e, e->conf->requires, &n, first);
        pull(l, e, e->conf->wants, &n, first);
        if (n == 0)
            return;
        e = l->list[--n];
    }
}

static void find_starts(struct look *l)
{
    for (size_t i = 0; i < l->n_set; i++)
        if (starts_by_itself(&l->at[i]))
            l->at[i].wanted = l->at[i].starts = true;
    for (size_t i = 0; i < l->n_set; i++)
        if (l->by_name[i]->wanted && !l->by_name[i]->starter)
            pull_all(l, l->by_name[i]);
}

/* ---- what becomes of what runs ---- */

static bool runs(const struct service *s)
{
    return s->state == SERVICE_STARTING || s->state == SERVICE_RUNNING || s->state == SERVICE_DONE;
}

/* With a change that it can only take by a new start. */
static void renew(struct entry *e)
{
    if (!e->service || e->difference != CONF_SPAWN || !e->wanted)
        return;
    if (e->service->state == SERVICE_BACKOFF || e->service->state == SERVICE_FAILED)
        e->starts = true;
    else if (service_live(e->service) || e->service->state == SERVICE_DONE)
        e->restarts = e->again = true;
}

static bool gave_up(const struct entry *e)
{
    return !e->wanted || (e->service && e->service->state == SERVICE_FAILED && !e->starts);
}

static bool is_new_need(const struct entry *e, const char *name)
{
    return e->service && !conf_list_has(service_latest(e->service)->requires, name);
}

/* After those of all that it requires. */
static void find_fate(const struct look *l, struct entry *e)
{
    e->origin = e;
    e->fate = gave_up(e) ? ENDS : e->again ? RETURNS : STAYS;
    e->moved = e->restarts;
    for (char **name = e->conf->requires; name && *name && e->fate != ENDS; name++) {
        const struct entry *to = find(l, *name);
        if (!to || to->fate == STAYS)
            continue;
        e->moved = e->moved || to->moved || is_new_need(e, *name);
        if (to->fate > e->fate) {
            e->fate = to->fate;
            e->origin = to->origin;
        }
    }
}

/* ---- telling ---- */

/* What is done may have a stop command to run. */
static enum engine_does without_conf(const struct service *s)
{
    bool stop = service_live(s) || (s->state == SERVICE_DONE && s->conf->stop.command);

    return stop ? DOES_STOP : DOES_FORGET;
}

static bool is_taken_along(const struct entry *e)
{
    return e->moved && e->wanted && !e->again && runs(e->service);
}

/* Whether there is anything to tell. */
static bool decide(const struct entry *e, struct engine_planned *p)
{
    *p = (struct engine_planned){.name = e->name, .does = DOES_CHANGE, .key = e->key};
    if (!e->conf) {
        p->does = without_conf(e->service);
    } else if (e->restarts) {
        p->does = DOES_RESTART;
    } else if (e->starts) {
        p->does = DOES_START;
        p->because = e->starter ? e->starter->name : NULL;
    } else if (!e->service) {
        p->does = DOES_ADD;
    } else if (is_taken_along(e)) {
        p->does = e->fate == ENDS ? DOES_STOP : DOES_RESTART;
        p->because = e->origin->name;
    }
    return p->does != DOES_CHANGE || e->difference != CONF_SAME;
}

static void tell(const struct look *l, engine_report *report, void *self)
{
    struct engine_planned planned;

    for (size_t i = 0; i < l->n; i++)
        l->list[i] = &l->at[i];
    qsort(l->list, l->n, sizeof(struct entry *), compare_names);
    for (size_t i = 0; i < l->n; i++)
        if (decide(l->list[i], &planned))
            report(self, &planned);
}

/* ---- all of it ---- */

static void ignore(void *self, const struct conf *at, const char *why)
{
    (void)self, (void)at, (void)why;
}

static int make_room(struct look *l, size_t n)
{
    l->at = calloc(n + 1, sizeof *l->at);
    l->by_name = calloc(n + 1, sizeof(struct entry *));
    l->list = calloc(n + 1, sizeof(struct entry *));
    l->order = calloc(n + 1, sizeof *l->order);
    return l->at && l->by_name && l->list && l->order ? 0 : -1;
}

static void free_room(struct look *l)
{
    free(l->at);
    free(l->by_name);
    free(l->list);
    free(l->order);
}

int engine_plan(const struct engine *e, const struct conf_set *set, engine_report *report,
                void *self)
{
    struct look l = {0};
    int result = make_room(&l, e->graph.n + set->n);

    if (!result)
        result = graph_check(set, ignore, NULL, l.order) < 0 ? -1 : 0;
    if (!result) {
        add_all(&l, &e->graph, set);
        find_starts(&l);
        for (size_t i = 0; i < l.n_set; i++) {
            renew(&l.at[l.order[i]]);
            find_fate(&l, &l.at[l.order[i]]);
        }
        tell(&l, report, self);
    }
    free_room(&l);
    if (result)
        errno = ENOMEM;
    return result;
}
