#include "tend/plan.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- one service ---- */

msec plan_steps(const struct conf *c, unsigned step)
{
    msec sum = 0;

    if (step <= STEP_DRAIN)
        sum = plan_sum(sum, c->stop.drain);
    if (step <= STEP_COMMAND && c->stop.command)
        sum = plan_sum(sum, c->stop.command_timeout);
    if (step <= STEP_SIGNAL)
        sum = plan_sum(sum, c->stop.grace);
    for (size_t i = step > STEP_SIGNAL ? step - STEP_SIGNAL - 1 : 0; i < c->stop.n_then; i++)
        sum = plan_sum(sum, c->stop.then[i].wait);
    return sum;
}

/* Who notifies us may stretch a step by what those before it have left over. */
msec plan_stop(const struct conf *c, unsigned step)
{
    msec sum = plan_steps(c, conf_wants_notify(c) ? STEP_DRAIN : step);

    return sum > c->stop.max ? sum : c->stop.max;
}

msec plan_sweep(msec grace)
{
    return plan_sum(grace, PLAN_KILL_WAIT);
}

/* ---- the longest way ---- */

/* From a node to those that come after it: an adjacency list in one block. */
struct links {
    size_t *to;    /* all targets, by source */
    size_t *begin; /* of each source, and the end of the last */
    size_t *open;  /* how many sources of each target are not done */
    size_t *ready; /* a queue; before that the end of what each source has so far */
};

static int links_open(struct links *l, size_t n, size_t n_links)
{
    *l = (struct links){malloc((n_links + 1) * sizeof(size_t)), calloc(n + 2, sizeof(size_t)),
                        calloc(n + 1, sizeof(size_t)), malloc((n + 1) * sizeof(size_t))};
    return l->to && l->begin && l->open && l->ready ? 0 : -1;
}

static void links_close(struct links *l)
{
    free(l->to);
    free(l->begin);
    free(l->open);
    free(l->ready);
}

static void pass_on(struct plan *p, size_t from, size_t to)
{
    struct plan_node *a = &p->at[from], *b = &p->at[to];
    msec way = plan_sum(a->before, a->time);

    if (way > b->before) {
        b->before = way;
        b->previous = from;
    }
}

static void pass_back(struct plan *p, size_t from, size_t to)
{
    struct plan_node *a = &p->at[from], *b = &p->at[to];
    msec way = plan_sum(b->time, b->after);

    if (way > a->after) {
        a->after = way;
        a->next = to;
    }
}

/* In an order in which every source comes before its targets, and then back. */
static void solve(struct plan *p, struct links *l)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n; i++)
        if (!l->open[i])
            l->ready[n++] = i;
    for (size_t i = 0; i < n; i++) {
        size_t from = l->ready[i];
        for (size_t k = l->begin[from]; k < l->begin[from + 1]; k++) {
            pass_on(p, from, l->to[k]);
            if (--l->open[l->to[k]] == 0)
                l->ready[n++] = l->to[k];
        }
    }
    while (n-- > 0)
        for (size_t k = l->begin[l->ready[n]]; k < l->begin[l->ready[n] + 1]; k++)
            pass_back(p, l->ready[n], l->to[k]);
}

/* pairs: source and target, n_pairs of them. */
static int solve_pairs(struct plan *p, const size_t (*pairs)[2], size_t n_pairs)
{
    struct links l;

    if (links_open(&l, p->n, n_pairs)) {
        links_close(&l);
        errno = ENOMEM;
        return -1;
    }
    for (size_t i = 0; i < n_pairs; i++) {
        l.begin[pairs[i][0] + 1]++;
        l.open[pairs[i][1]]++;
    }
    for (size_t i = 0; i < p->n; i++)
        l.begin[i + 1] += l.begin[i];
    memcpy(l.ready, l.begin, p->n * sizeof *l.ready);
    for (size_t i = 0; i < n_pairs; i++)
        l.to[l.ready[pairs[i][0]]++] = pairs[i][1];
    solve(p, &l);
    links_close(&l);
    return 0;
}

static int nodes_open(struct plan *p, size_t n)
{
    *p = (struct plan){calloc(n + 1, sizeof *p->at), n};
    if (!p->at) {
        errno = ENOMEM;
        return -1;
    }
    for (size_t i = 0; i < n; i++)
        p->at[i].previous = p->at[i].next = PLAN_NONE;
    return 0;
}

void plan_free(struct plan *p)
{
    free(p->at);
    *p = (struct plan){0};
}

msec plan_longest(const struct plan *p, size_t *first)
{
    msec longest = 0;

    *first = PLAN_NONE;
    for (size_t i = 0; i < p->n; i++) {
        msec way = plan_sum(p->at[i].time, p->at[i].after);
        if (way > longest) {
            longest = way;
            *first = i;
        }
    }
    return longest;
}

/* ---- the set as it is written ---- */

struct pairs {
    size_t (*at)[2];
    size_t n, room;
};

static int pairs_add(struct pairs *p, size_t from, size_t to)
{
    if (p->n == p->room) {
        size_t room = p->room ? p->room * 2 : 64;
        size_t(*at)[2] = realloc(p->at, room * sizeof *at);
        if (!at)
            return -1;
        p->at = at;
        p->room = room;
    }
    p->at[p->n][0] = from;
    p->at[p->n++][1] = to;
    return 0;
}

static int by_name(const void *a, const void *b, void *set)
{
    struct conf **at = ((const struct conf_set *)set)->at;

    return strcmp(at[*(const size_t *)a]->name, at[*(const size_t *)b]->name);
}

static size_t *sort(const struct conf_set *set)
{
    size_t *sorted = malloc((set->n + 1) * sizeof *sorted);

    for (size_t i = 0; sorted && i < set->n; i++)
        sorted[i] = i;
    if (sorted)
        qsort_r(sorted, set->n, sizeof *sorted, by_name, (void *)(uintptr_t)set);
    return sorted;
}

static size_t find(const struct conf_set *set, const size_t *sorted, const char *name)
{
    size_t low = 0, high = set->n;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(set->at[sorted[middle]]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set->n && !strcmp(set->at[sorted[low]]->name, name) ? sorted[low] : PLAN_NONE;
}

/* Each service and what it depends on. */
static int pairs_of_set(struct pairs *pairs, const struct conf_set *set)
{
    size_t *sorted = sort(set);
    int result = sorted ? 0 : -1;

    for (size_t i = 0; sorted && i < set->n; i++) {
        const struct conf *c = set->at[i];
        char **lists[] = {c->requires, c->wants, c->after};
        for (size_t k = 0; k < ARRAY_SIZE(lists); k++)
            for (char **name = lists[k]; name && *name; name++) {
                size_t to = find(set, sorted, *name);
                if (to != PLAN_NONE && pairs_add(pairs, i, to))
                    result = -1;
            }
    }
    free(sorted);
    return result;
}

static void turn_round(struct pairs *pairs)
{
    for (size_t i = 0; i < pairs->n; i++) {
        size_t from = pairs->at[i][0];
        pairs->at[i][0] = pairs->at[i][1];
        pairs->at[i][1] = from;
    }
}

static int solve_set(struct plan *p, const struct conf_set *set, bool start)
{
    struct pairs pairs = {0};
    int result = pairs_of_set(&pairs, set);

    if (start)
        turn_round(&pairs);
    if (result == 0)
        result = solve_pairs(p, pairs.at, pairs.n);
    free(pairs.at);
    if (result) {
        plan_free(p);
        errno = ENOMEM;
    }
    return result;
}

int plan_of_shutdown(struct plan *p, const struct conf_set *set)
{
    if (nodes_open(p, set->n))
        return -1;
    for (size_t i = 0; i < set->n; i++)
        p->at[i].time = plan_sum(plan_stop(set->at[i], STEP_DRAIN), PLAN_KILL_WAIT);
    return solve_set(p, set, false);
}

int plan_of_start(struct plan *p, const struct conf_set *set)
{
    if (nodes_open(p, set->n))
        return -1;
    for (size_t i = 0; i < set->n; i++)
        p->at[i].time = set->at[i]->ready.timeout;
    return solve_set(p, set, true);
}

/* ---- services as they live ---- */

static bool is_to_stop(const struct service *s)
{
    if (s->state == SERVICE_DONE)
        return s->conf->stop.command != NULL;
    return service_live(s) && s->state != SERVICE_STUCK;
}

/* For its turn, and until then it may become ready. One that is done may wait for others itself. */
static bool has_to_wait(const struct service *s)
{
    for (size_t i = 0; i < s->n_needed_by; i++)
        if (s->needed_by[i].to->state == SERVICE_DONE || is_to_stop(s->needed_by[i].to))
            return true;
    return false;
}

typedef msec stop_time(const struct conf *, unsigned step);

static msec time_to_kill(const struct service *s, stop_time *stop)
{
    switch (s->state) {
    case SERVICE_STARTING:
        return stop(s->conf, has_to_wait(s) ? STEP_DRAIN : STEP_SIGNAL);
    case SERVICE_RUNNING:
        return stop(s->conf, STEP_DRAIN);
    case SERVICE_DONE:
        return stop(s->conf, STEP_COMMAND);
    case SERVICE_STOPPING:
        return stop(s->conf, s->step);
    case SERVICE_KILLING:
    case SERVICE_DOWN:
    case SERVICE_PENDING:
    case SERVICE_STUCK:
    case SERVICE_BACKOFF:
    case SERVICE_FAILED:
    case SERVICE_STATE_COUNT:
        break;
    }
    return 0;
}

static int plan_of_stops(struct plan *p, const struct graph *g, stop_time *stop, msec kill_wait)
{
    msec *times = calloc(g->n + 1, sizeof *times);
    int result;

    if (!times)
        return -1;
    for (size_t i = 0; i < g->n; i++)
        if (g->at[i] && is_to_stop(g->at[i]))
            times[i] = plan_sum(time_to_kill(g->at[i], stop), kill_wait);
    result = plan_of_times(p, g, times);
    free(times);
    return result;
}

int plan_of_living(struct plan *p, const struct graph *g, msec kill_wait)
{
    return plan_of_stops(p, g, plan_stop, kill_wait);
}

int plan_of_waits(struct plan *p, const struct graph *g)
{
    return plan_of_stops(p, g, plan_steps, 0);
}

int plan_of_times(struct plan *p, const struct graph *g, const msec *times)
{
    struct pairs pairs = {0};
    int result = 0;

    if (nodes_open(p, g->n))
        return -1;
    for (size_t i = 0; i < g->n && result == 0; i++) {
        const struct service *s = g->at[i];
        p->at[i].time = times[i];
        for (size_t k = 0; s && k < s->n_needs && result == 0; k++)
            result = pairs_add(&pairs, i, s->needs[k].to->slot);
    }
    if (result == 0)
        result = solve_pairs(p, pairs.at, pairs.n);
    free(pairs.at);
    if (result)
        plan_free(p);
    return result;
}
