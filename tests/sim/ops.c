/* What operators ask for, at any time. */
#include <stdlib.h>
#include <string.h>

#include "talk.h"

static struct service *any_service(struct world *w)
{
    char name[16] = {'s'};
    unsigned i = rng_below(&w->rng, w->config.n);

    name[1] = (char)('0' + i / 10);
    name[2] = (char)('0' + i % 10);
    if (i < 10) {
        name[1] = name[2];
        name[2] = '\0';
    }
    return graph_find(&w->engine.graph, name);
}

static void op_wish(struct world *w, enum engine_event wish)
{
    struct service *s = any_service(w);
    struct book *b;

    if (!s)
        return;
    TRACE(w, "operator: %s %s", engine_event_name(wish), service_name(s));
    clients_wished(w);
    b = &w->book[s->slot];
    if (wish == EVENT_UP) {
        book_up(w, b);
        engine_start(&w->engine, s, w->now);
        return;
    }
    if (wish == EVENT_AGAIN)
        book_again(b);
    else
        book_down(b);
    engine_event(&w->engine, s, wish, w->now, NULL);
}

/* A probe or a watchdog found fault. */
static void op_fault(struct world *w)
{
    struct service *s = any_service(w);

    if (!s || !service_live(s) || s->state == SERVICE_STUCK || !s->pid)
        return;
    TRACE(w, "fault of %s", service_name(s));
    engine_event(&w->engine, s, EVENT_FAULT, w->now, NULL);
}

/* ---- loads ---- */

struct state {
    struct persist_record record[SLOTS];
    const struct conf *conf[SLOTS], *next_conf[SLOTS];
    size_t n_needs[SLOTS], n_needed_by[SLOTS];
};

static struct state *state_of(const struct world *w)
{
    struct state *all = calloc(1, sizeof *all);
    struct persist_undo undo = {0};
    struct persist_area area = {&undo, all->record, SLOTS};

    for (size_t i = 0; i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        if (!s)
            continue;
        persist_save(&area, s, 0);
        all->conf[i] = s->conf;
        all->next_conf[i] = s->next_conf;
        all->n_needs[i] = s->n_needs;
        all->n_needed_by[i] = s->n_needed_by;
    }
    return all;
}

/* P21: when memory runs out at any point, nothing has changed. */
static void load_without_memory(struct world *w, const struct config *next)
{
    struct config before = w->config;
    struct state *old = state_of(w), *new;
    struct conf_set *set = config_build(next);
    int result;

    foretell(w, set);
    w->config = *next;
    allocations_left = (int)rng_below(&w->rng, 40);
    result = engine_reload(&w->engine, set, w->now);
    allocations_left = -1;
    new = state_of(w);
    if (result) {
        w->config = before;
        if (memcmp(old, new, sizeof *old) != 0)
            broken(w, "P21", "a load that failed has changed something");
    } else {
        check_foretold(w);
        book_reload(w);
        clients_wished(w);
        probes_reconfigured(w);
    }
    TRACE(w, "operator: load, %s memory", result ? "no" : "enough");
    conf_set_free(set);
    free(old);
    free(new);
}

static void load(struct world *w, const struct config *next)
{
    struct conf_set *set = config_build(next);

    TRACE(w, "operator: load of %zu services", set->n);
    check_plan(w, next, set);
    foretell(w, set);
    w->config = *next;
    if (engine_reload(&w->engine, set, w->now))
        broken(w, "P21", "a load failed");
    check_foretold(w);
    book_reload(w);
    clients_wished(w);
    probes_reconfigured(w);
    conf_set_free(set);
}

void op_reload(struct world *w)
{
    struct config next = w->config;

    if (w->kept_shutdown || w->engine.graph.n > SLOTS - 2 * NAMES_MAX)
        return;
    config_edit(&next, &w->rng);
    if (rng_chance(&w->rng, 1, 6))
        load_without_memory(w, &next);
    else
        load(w, &next);
}

void op_load(struct world *w)
{
    load(w, &w->config);
    save_all(w);
}

/* ---- the end ---- */

/* Much too short, too short or not, or enough. */
static msec some_deadline(struct world *w)
{
    msec worst = check_bound(w) - w->now;

    switch (rng_below(&w->rng, 3)) {
    case 0:
        return rng_time(&w->rng, 200, 5000);
    case 1:
        return worst / 4 + rng_time(&w->rng, 200, 200 + worst);
    default:
        return rng_time(&w->rng, 200, 90000);
    }
}

void op_limit(struct world *w, msec whole)
{
    TRACE(w, "operator: within %lld ms", (long long)whole);
    w->kept_gone_by = w->now + whole;
    engine_limit(&w->engine, w->now, w->kept_gone_by);
    check_limit(w);
}

void op_shutdown(struct world *w, bool hurry)
{
    msec bound = w->kept_shutdown ? w->bound : check_bound(w);

    TRACE(w, "operator: shutdown%s", hurry ? ", hurry" : "");
    if (!w->kept_shutdown) {
        w->lost = 0;
        w->kept_began = w->now;
    }
    w->bound = hurry && w->now + PLAN_KILL_WAIT < bound ? w->now + PLAN_KILL_WAIT : bound;
    w->kept_shutdown = true;
    w->kept_hurry = w->kept_hurry || hurry;
    if (hurry)
        engine_hurry(&w->engine, w->now);
    else
        engine_shutdown(&w->engine, w->now);
    if (rng_chance(&w->rng, 1, 3) && w->kept_gone_by == NEVER)
        op_limit(w, some_deadline(w));
    save_all(w);
}

static void op_random(struct world *w)
{
    switch (rng_below(&w->rng, 10)) {
    case 0:
    case 1:
        op_wish(w, EVENT_UP);
        break;
    case 2:
    case 3:
        op_wish(w, EVENT_DOWN);
        break;
    case 4:
    case 5:
        op_wish(w, EVENT_AGAIN);
        break;
    case 6:
        op_fault(w);
        break;
    case 7:
    case 8:
        op_reload(w);
        break;
    case 9:
        if (w->kept_shutdown && rng_chance(&w->rng, 1, 4))
            op_shutdown(w, true);
        else if (w->kept_shutdown)
            op_limit(w, some_deadline(w));
        break;
    }
}

/* While one starts that others, which run, depend on. */
static bool is_tempting(const struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        for (size_t k = 0; s && s->pid && s->state == SERVICE_STARTING && k < s->n_needed_by; k++)
            if (s->needed_by[k].to->state == SERVICE_RUNNING)
                return true;
    }
    return false;
}

/* They like to come while actions are pending. Either done and recorded, or not done. */
void ops_due(struct world *w)
{
    bool soon = w->again && rng_chance(&w->rng, 1, 5);

    if (soon && !w->calm && w->shutdown_at != NEVER && rng_chance(&w->rng, 1, 20))
        w->shutdown_at = w->now;
    if (!w->calm && w->shutdown_at != NEVER && is_tempting(w) && rng_chance(&w->rng, 1, 10))
        w->shutdown_at = w->now;
    if (w->now >= w->shutdown_at && !w->kept_shutdown) {
        op_shutdown(w, rng_chance(&w->rng, 1, 10));
        return;
    }
    if (w->calm || (w->now < w->next_op && !soon))
        return;
    w->next_op = w->now + (rng_chance(&w->rng, 1, 4) ? 0 : rng_time(&w->rng, 1, 4000));
    op_random(w);
    save_all(w);
}
