#include "tend/check_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tend/engine_life.h"

/* ---- the services and their steps ---- */

static int make_graph(struct check_plan *p)
{
    for (size_t i = 0; i < p->set->n; i++)
        if (!graph_add(&p->graph, p->set->at[i]))
            return -1;
    return graph_link(&p->graph);
}

static void ignore_problem(void *self, const struct conf *at, const char *why)
{
    (void)self, (void)at, (void)why;
}

static size_t count_steps(const struct conf *c)
{
    return STEP_SIGNAL + 1 + c->stop.n_then;
}

static bool has_step(const struct conf *c, unsigned step)
{
    return step == STEP_DRAIN     ? c->stop.drain > 0
           : step == STEP_COMMAND ? c->stop.command != NULL
                                  : true;
}

static struct check_step step_of(struct service *s, unsigned step)
{
    msec wait = plan_steps(s->conf, step) - plan_steps(s->conf, step + 1);

    s->step = step;
    return (struct check_step){step, service_stop_signal(s), wait, wait};
}

static int make_steps(struct check_plan *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->set->n; i++)
        n += count_steps(p->set->at[i]);
    p->steps = calloc(n + 1, sizeof *p->steps);
    if (!p->steps)
        return -1;
    n = 0;
    for (size_t i = 0; i < p->set->n; i++) {
        const struct conf *c = p->set->at[i];
        p->first_step[i] = n;
        for (unsigned step = STEP_DRAIN; step < count_steps(c); step++)
            if (has_step(c, step))
                p->steps[n++] = step_of(p->graph.at[i], step);
    }
    p->first_step[p->set->n] = n;
    return 0;
}

/* ---- the longest ways ---- */

static int make_chain(struct check_chain *chain, const struct plan *plan)
{
    size_t at;

    chain->time = plan_longest(plan, &at);
    chain->at = calloc(plan->n + 1, sizeof *chain->at);
    if (!chain->at)
        return -1;
    for (; at != PLAN_NONE; at = plan->at[at].next)
        chain->at[chain->n++] = at;
    return 0;
}

/* As engine_start does it. */
static int find_who_starts(struct check_plan *p)
{
    size_t *queue = malloc((p->set->n + 1) * sizeof *queue), n = 0;

    if (!queue)
        return -1;
    for (size_t i = 0; i < p->set->n; i++)
        if (p->set->at[i]->start != CONF_MANUAL) {
            p->starts[i] = true;
            queue[n++] = i;
        }
    for (size_t i = 0; i < n; i++) {
        const struct service *s = p->graph.at[queue[i]];
        for (size_t k = 0; k < s->n_needs; k++) {
            size_t to = s->needs[k].to->slot;
            if (s->needs[k].kind == EDGE_AFTER || p->starts[to])
                continue;
            p->starts[to] = true;
            queue[n++] = to;
        }
    }
    free(queue);
    return 0;
}

/* Nobody waits for a service that does not start. */
static int make_start(struct check_plan *p)
{
    struct conf_set some = {.at = calloc(p->set->n + 1, sizeof(struct conf *))};
    size_t *index = calloc(p->set->n + 1, sizeof *index);
    struct plan plan = {0};
    int result = -1;

    for (size_t i = 0; some.at && index && i < p->set->n; i++)
        if (p->starts[i]) {
            index[some.n] = i;
            some.at[some.n++] = p->set->at[i];
        }
    if (some.at && index && plan_of_start(&plan, &some) == 0) {
        result = make_chain(&p->start, &plan);
        for (size_t i = 0; i < p->start.n; i++)
            p->start.at[i] = index[p->start.at[i]];
    }
    plan_free(&plan);
    free(some.at);
    free(index);
    return result;
}

/* ---- the deadline ---- */

/* What the engine would leave of each wait of one service whose stop begins at now. Returns when it
 * gets its KILL. */
static msec share_one(struct check_plan *p, const struct engine *e, struct service *s, msec now)
{
    for (size_t i = p->first_step[s->slot]; i < p->first_step[s->slot + 1]; i++) {
        struct check_step *step = &p->steps[i];
        s->step = step->step;
        step->left = life_step_wait(e, s, now);
        if (step->left > e->kill_at - now) {
            step->left = e->kill_at - now;
            p->waived = true;
        }
        now += step->left;
    }
    return now;
}

/* The engine of a tend in which all services run, ignore every signal, and go at their KILL. */
static int share(struct check_plan *p)
{
    msec *begin = calloc(p->set->n + 1, sizeof *begin);
    struct engine e;

    if (!begin)
        return -1;
    engine_init(&e, NULL, NULL);
    e.graph = p->graph;
    for (size_t i = 0; i < p->set->n; i++)
        p->graph.at[i]->state = SERVICE_RUNNING;
    engine_limit(&e, 0, p->deadline);
    p->kill_at = e.kill_at;
    for (size_t i = p->set->n; i-- > 0;) { /* whom others depend on comes after them */
        struct service *s = p->graph.at[p->order[i]];
        msec end = share_one(p, &e, s, begin[s->slot]);
        for (size_t k = 0; k < s->n_needs; k++)
            if (begin[s->needs[k].to->slot] < end)
                begin[s->needs[k].to->slot] = end;
    }
    free(begin);
    return 0;
}

/* ---- the whole ---- */

static int make_shutdown(struct check_plan *p)
{
    if (plan_of_shutdown(&p->shutdown, p->set) || make_chain(&p->stop, &p->shutdown))
        return -1;
    p->sweep = plan_sweep(p->set->supervisor.grace);
    p->worst = plan_sum(p->stop.time, p->sweep);
    p->too_long = p->worst > p->deadline ? p->worst - p->deadline : 0;
    return p->too_long ? share(p) : 0;
}

int check_plan_make(struct check_plan *p, const struct conf_set *set, msec deadline)
{
    size_t n = set->n + 1;

    *p = (struct check_plan){.set = set,
                             .deadline = deadline,
                             .kill_at = NEVER,
                             .order = calloc(n, sizeof *p->order),
                             .starts = calloc(n, sizeof *p->starts),
                             .first_step = calloc(n, sizeof *p->first_step)};
    if (p->order && p->starts && p->first_step && make_graph(p) == 0 &&
        graph_check(set, ignore_problem, NULL, p->order) == 0 && make_steps(p) == 0 &&
        find_who_starts(p) == 0 && make_start(p) == 0 && make_shutdown(p) == 0)
        return 0;
    check_plan_free(p);
    errno = ENOMEM;
    return -1;
}

void check_plan_free(struct check_plan *p)
{
    for (size_t i = 0; i < p->graph.n; i++)
        p->graph.at[i]->conf = NULL; /* the set's */
    graph_free(&p->graph);
    free(p->order);
    free(p->starts);
    free(p->steps);
    free(p->first_step);
    free(p->start.at);
    free(p->stop.at);
    plan_free(&p->shutdown);
}

bool check_plan_too_long(const struct check_plan *p, size_t service)
{
    const struct plan_node *n = &p->shutdown.at[service];
    msec way = plan_sum(plan_sum(n->before, n->time), n->after);

    return plan_sum(way, p->sweep) > p->deadline;
}

msec check_plan_end(const struct check_plan *p)
{
    return p->too_long ? p->deadline : p->worst;
}

msec check_plan_timeout(const struct check_plan *p)
{
    return (check_plan_end(p) + 999) / 1000 + 1;
}
