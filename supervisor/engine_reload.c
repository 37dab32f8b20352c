/* A new set of configs for services that live: all of it or nothing. */
#include <stdlib.h>

#include "tend/engine_life.h"

/* What is put back where memory runs out. */
struct undo {
    size_t n;                         /* slots before */
    struct conf **next_conf;          /* by slot, as it was */
    bool *doomed;                     /* by slot: doomed by this reload */
    enum conf_difference *difference; /* by slot */
};

static struct conf *latest(const struct service *s)
{
    return s->next_conf ? s->next_conf : s->conf;
}

/* Every known service either gets its new conf beside the old one, or is doomed. */
static void compare(struct engine *e, struct conf_set *set, struct undo *undo)
{
    for (size_t i = 0; i < undo->n; i++)
        if (e->graph.at[i] && !e->graph.at[i]->doomed)
            undo->doomed[i] = e->graph.at[i]->doomed = true;
    for (size_t i = 0; i < set->n; i++) {
        struct service *s = graph_find_any(&e->graph, set->at[i]->name);
        const struct conf_key *key;
        if (!s || !undo->doomed[s->slot])
            continue;
        undo->doomed[s->slot] = s->doomed = false;
        undo->difference[s->slot] = conf_compare(latest(s), set->at[i], &key);
        if (undo->difference[s->slot] == CONF_SAME)
            continue;
        undo->next_conf[s->slot] = s->next_conf;
        s->next_conf = set->at[i];
        set->at[i] = NULL;
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

static void give_back(struct engine *e, const struct undo *undo)
{
    for (size_t i = 0; i < undo->n; i++) {
        struct service *s = e->graph.at[i];
        if (!s)
            continue;
        if (undo->doomed[i])
            s->doomed = false;
        if (undo->difference[i] != CONF_SAME) {
            conf_free(s->next_conf);
            s->next_conf = undo->next_conf[i];
        }
    }
    for (size_t i = 0; i < e->graph.n; i++)
        if (e->graph.at[i] && e->graph.at[i]->fresh)
            graph_remove(&e->graph, e->graph.at[i]);
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

static void apply(struct engine *e, struct service *s, enum conf_difference difference,
                  const struct conf *waited, msec now)
{
    const struct conf *before = waited ? waited : s->conf;
    bool automatic = s->next_conf->start == CONF_AUTO && before->start == CONF_MANUAL;

    if (!waited && takes_at_once(s, difference))
        swap_conf(s);
    if (difference == CONF_SPAWN)
        s->prepared = false;
    if (difference == CONF_SPAWN && s->wanted) {
        if (s->state == SERVICE_BACKOFF || s->state == SERVICE_FAILED)
            engine_event(e, s, EVENT_UP, now, NULL);
        else if (s->state != SERVICE_DOWN && s->state != SERVICE_PENDING)
            engine_event(e, s, EVENT_AGAIN, now, NULL);
    }
    if (automatic && !s->wanted)
        engine_start(e, s, now);
}

static void doom(struct engine *e, struct service *s, msec now)
{
    if (s->state == SERVICE_DOWN)
        engine_want(e, s, ACTION_FREE);
    engine_event(e, s, EVENT_DOWN, now, NULL);
}

static void commit(struct engine *e, const struct undo *undo, msec now)
{
    for (size_t i = 0; i < undo->n; i++) {
        struct service *s = e->graph.at[i];
        if (!s || s->fresh)
            continue;
        if (undo->difference[i] != CONF_SAME) {
            apply(e, s, undo->difference[i], undo->next_conf[i], now);
            conf_free(undo->next_conf[i]);
        }
        if (undo->doomed[i])
            doom(e, s, now);
    }
}

/* Edges may have changed for everybody. */
static void start_new(struct engine *e, msec now)
{
    for (size_t i = 0; i < e->graph.n; i++) {
        struct service *s = e->graph.at[i];
        if (!s)
            continue;
        if (s->fresh && s->conf->start == CONF_AUTO)
            engine_start(e, s, now);
        s->fresh = false;
        engine_touch(e, s);
    }
}

int engine_reload(struct engine *e, struct conf_set *set, msec now)
{
    size_t n = e->graph.n;
    struct undo undo = {n, calloc(n + 1, sizeof(struct conf *)), calloc(n + 1, sizeof(bool)),
                        calloc(n + 1, sizeof(enum conf_difference))};
    int result = undo.next_conf && undo.doomed && undo.difference ? 0 : -1;

    if (!result) {
        compare(e, set, &undo);
        result = add_new(e, set);
        if (result) {
            give_back(e, &undo);
        } else {
            commit(e, &undo, now);
            start_new(e, now);
        }
    }
    free(undo.next_conf);
    free(undo.doomed);
    free(undo.difference);
    return result;
}
