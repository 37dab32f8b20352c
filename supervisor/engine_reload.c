/* A new set of configs for services that live: all of it or nothing. */
#include <stdlib.h>

#include "tend/engine_life.h"

/* What one service goes through, and what is put back where memory runs out. */
struct change {
    enum conf_difference difference;
    struct conf *waited; /* the conf that waited so far */
    bool doomed;         /* by this reload */
    bool rises;          /* from manual to auto */
    bool needed;         /* by a wanted service whose conf did not name it before */
};

struct changes {
    size_t n;          /* slots before */
    struct change *at; /* with room for all that is new */
};

static void compare_one(struct service *s, struct conf **conf, struct change *change)
{
    const struct conf_key *key;

    s->doomed = change->doomed = false;
    change->difference = conf_compare(service_latest(s), *conf, &key);
    if (change->difference == CONF_SAME)
        return;
    change->rises = service_latest(s)->start == CONF_MANUAL && (*conf)->start == CONF_AUTO;
    change->waited = s->next_conf;
    s->next_conf = *conf;
    *conf = NULL;
}

/* Every known service either gets its new conf beside the old one, or is doomed. */
static void compare(struct engine *e, struct conf_set *set, struct changes *changes)
{
    for (size_t i = 0; i < changes->n; i++)
        if (e->graph.at[i] && !e->graph.at[i]->doomed)
            changes->at[i].doomed = e->graph.at[i]->doomed = true;
    for (size_t i = 0; i < set->n; i++) {
        struct service *s = graph_find_any(&e->graph, set->at[i]->name);
        if (s && changes->at[s->slot].doomed)
            compare_one(s, &set->at[i], &changes->at[s->slot]);
    }
}

/* What is left in the set and has no service is new. */
static int add_new(struct engine *e, struct conf_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        struct service *s;
        if (!set->at[i])
            continue;
        s = graph_find_any(&e->graph, set->at[i]->name);
        if (s && !s->doomed)
            continue;
        if (!graph_add(&e->graph, set->at[i]))
            return -1;
        set->at[i] = NULL;
    }
    return graph_link(&e->graph);
}

static void give_back(struct engine *e, const struct changes *changes)
{
    for (size_t i = 0; i < changes->n; i++) {
        struct service *s = e->graph.at[i];
        if (!s)
            continue;
        if (changes->at[i].doomed)
            s->doomed = false;
        if (changes->at[i].difference != CONF_SAME) {
            conf_free(s->next_conf);
            s->next_conf = changes->at[i].waited;
        }
    }
    for (size_t i = 0; i < e->graph.n; i++)
        if (e->graph.at[i] && e->graph.at[i]->fresh)
            graph_remove(&e->graph, e->graph.at[i]);
}

/* The edges are the new ones already, the confs not yet. */
static void find_needs(const struct service *s, const struct changes *changes)
{
    const struct change *change = &changes->at[s->slot];
    const struct conf *old = change->waited ? change->waited : s->conf;

    if (s->fresh || s->doomed || !s->wanted || change->difference == CONF_SAME)
        return;
    for (size_t i = 0; i < s->n_needs; i++) {
        const struct service *to = s->needs[i].to;
        if (!to->wanted && s->needs[i].kind != EDGE_AFTER &&
            !conf_list_has(old->requires, service_name(to)) &&
            !conf_list_has(old->wants, service_name(to)))
            changes->at[to->slot].needed = true;
    }
}

static void swap_conf(struct service *s)
{
    conf_free(s->conf);
    s->conf = s->next_conf;
    s->next_conf = NULL;
}

/* Under a process that is being stopped the old settings stay in force to its end; what needs a
 * restart waits for it, and whatever came after that. */
static bool takes_at_once(const struct service *s, enum conf_difference difference)
{
    switch (s->state) {
    case SERVICE_DOWN:
    case SERVICE_PENDING:
    case SERVICE_BACKOFF:
    case SERVICE_FAILED:
        return true;
    case SERVICE_STARTING:
    case SERVICE_RUNNING:
    case SERVICE_DONE:
        return difference == CONF_POLICY;
    case SERVICE_STOPPING:
    case SERVICE_KILLING:
    case SERVICE_STUCK:
    case SERVICE_STATE_COUNT:
        break;
    }
    return false;
}

static void take(struct service *s, const struct change *change)
{
    if (change->difference == CONF_SAME)
        return;
    if (!change->waited && takes_at_once(s, change->difference))
        swap_conf(s);
    if (change->difference == CONF_SPAWN)
        s->prepared = false;
    conf_free(change->waited);
}

static void renew(struct engine *e, struct service *s, msec now)
{
    if (!s->wanted)
        return;
    if (s->state == SERVICE_BACKOFF || s->state == SERVICE_FAILED)
        engine_event(e, s, EVENT_UP, now, NULL);
    else if (s->state != SERVICE_DOWN && s->state != SERVICE_PENDING)
        engine_event(e, s, EVENT_AGAIN, now, NULL);
}

static void doom(struct engine *e, struct service *s, msec now)
{
    if (s->state == SERVICE_DOWN)
        engine_want(e, s, ACTION_FREE);
    engine_event(e, s, EVENT_DOWN, now, NULL);
}

static bool is_to_start(const struct service *s, const struct change *change)
{
    if (s->wanted)
        return false;
    return change->needed || (s->fresh ? s->conf->start == CONF_AUTO : change->rises);
}

/* What is to be up comes first: whether a change needs a restart depends on who is wanted. */
static void start(struct engine *e, const struct changes *changes, msec now)
{
    for (size_t i = 0; i < e->graph.n; i++)
        if (e->graph.at[i] && is_to_start(e->graph.at[i], &changes->at[i]))
            engine_start(e, e->graph.at[i], now);
}

static void wish(struct engine *e, struct service *s, const struct change *change, msec now)
{
    if (change->difference == CONF_SPAWN)
        renew(e, s, now);
    if (change->doomed)
        doom(e, s, now);
}

/* First all confs, then what follows from them: a start may reach any service. Edges may have
 * changed for everybody. */
static void commit(struct engine *e, const struct changes *changes, msec now)
{
    for (size_t i = 0; i < e->graph.n; i++)
        if (e->graph.at[i])
            find_needs(e->graph.at[i], changes);
    for (size_t i = 0; i < e->graph.n; i++) {
        struct service *s = e->graph.at[i];
        if (!s)
            continue;
        if (!s->fresh)
            take(s, &changes->at[i]);
        engine_touch(e, s);
    }
    start(e, changes, now);
    for (size_t i = 0; i < e->graph.n; i++) {
        struct service *s = e->graph.at[i];
        if (s && !s->fresh)
            wish(e, s, &changes->at[i], now);
        if (s)
            s->fresh = false;
    }
}

int engine_reload(struct engine *e, struct conf_set *set, msec now)
{
    struct changes changes = {e->graph.n, calloc(e->graph.n + set->n + 1, sizeof(struct change))};
    int result = changes.at ? 0 : -1;

    if (!result) {
        compare(e, set, &changes);
        result = add_new(e, set);
        if (result)
            give_back(e, &changes);
        else
            commit(e, &changes, now);
    }
    free(changes.at);
    return result;
}
