/* Random sets of services, and what operators do to them between two loads. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

static int versions; /* counted over all lives: only equality matters */

/* ---- random ---- */

static void spec_stop(struct spec *s, struct rng *r)
{
    static const int signals[] = {SIGINT, SIGQUIT, SIGTERM};

    s->to = (int)rng_below(r, CONF_TO_COUNT);
    s->drain = rng_chance(r, 1, 3) ? rng_time(r, 1, 3000) : 0;
    s->grace = rng_chance(r, 1, 10) ? 0 : rng_time(r, 100, 6000);
    s->command = rng_chance(r, 1, 4);
    s->command_timeout = rng_time(r, 1, 4000);
    s->n_then = rng_chance(r, 1, 3) ? 1 + rng_below(r, STEPS_MAX) : 0;
    for (size_t i = 0; i < s->n_then; i++)
        s->then[i] = (struct conf_step){signals[rng_below(r, ARRAY_SIZE(signals))],
                                        rng_chance(r, 1, 6) ? 0 : rng_time(r, 1, 3000)};
}

static void spec_restart(struct spec *s, struct rng *r)
{
    static const long limits[] = {0, 1, 2, 5, 16, 40};

    s->policy =
        s->oneshot ? CONF_ON_FAILURE + (int)rng_below(r, 2) : CONF_ALWAYS + (int)rng_below(r, 3);
    s->delay = rng_chance(r, 1, 8) ? 0 : rng_time(r, 1, 1000);
    s->max_delay = s->delay + rng_time(r, 0, 8000);
    s->limit = limits[rng_below(r, ARRAY_SIZE(limits))];
    s->window = rng_time(r, 1, 60000);
    s->healthy = rng_chance(r, 1, 8) ? 0 : rng_time(r, 1, 30000);
    s->timeout = rng_time(r, 50, 6000);
    s->start = rng_chance(r, 1, 4) ? CONF_MANUAL : CONF_AUTO;
}

static void spec_spawn(struct spec *s, struct rng *r)
{
    s->marker = rng_below(r, 1000);
    s->oneshot = rng_chance(r, 1, 4);
    s->before = rng_chance(r, 1, 5);
    s->ready = rng_chance(r, 1, 3) ? CONF_READY_EXIT : CONF_READY_EXEC;
}

/* ---- readiness and health ---- */

static msec written(const struct spec *s)
{
    msec sum = s->drain + (s->command ? s->command_timeout : 0) + s->grace;

    for (size_t i = 0; i < s->n_then; i++)
        sum += s->then[i].wait;
    return sum;
}

/* Of a process, as `exit` is for what ends. */
static int ready_of(const struct spec *s)
{
    return s->ready == CONF_READY_EXIT && !s->oneshot ? CONF_READY_NOTIFY : s->ready;
}

int spec_access(const struct spec *s)
{
    if (s->access)
        return s->access;
    return ready_of(s) == CONF_READY_NOTIFY || s->watchdog ? CONF_ACCESS_ALL : CONF_ACCESS_NONE;
}

static void spec_health(struct spec *s, struct rng *r)
{
    s->health = (struct spec_health){.every = rng_time(r, 10, 8000),
                                     .timeout = rng_time(r, 1, 3000),
                                     .failures = 1 + (int)rng_below(r, 4),
                                     .then = (int)rng_below(r, CONF_THEN_COUNT)};
    s->health.target = rng_chance(r, 1, 2) ? 1 + rng_below(r, 3) : 0;
    s->ready_target = rng_below(r, 3);
    s->ready_every = rng_time(r, 1, 600);
}

/* Whoever is waited for may speak; only what stays is probed and watched. */
static void spec_fit(struct spec *s)
{
    if (s->access == CONF_ACCESS_NONE && ready_of(s) == CONF_READY_NOTIFY)
        s->access = CONF_ACCESS_MAIN;
    if (s->access == CONF_ACCESS_NONE)
        s->watchdog = 0;
    if (!s->oneshot)
        return;
    s->health.target = 0;
    s->watchdog = 0;
    if (s->ready != CONF_READY_EXEC)
        s->ready = CONF_READY_EXIT;
}

static void spec_talk(struct spec *s, struct rng *r)
{
    static const int kinds[] = {CONF_READY_EXEC, CONF_READY_NOTIFY,  CONF_READY_NOTIFY,
                                CONF_READY_TCP,  CONF_READY_COMMAND, CONF_READY_FD};

    s->ready = s->oneshot ? s->ready : kinds[rng_below(r, ARRAY_SIZE(kinds))];
    s->access = (int)rng_below(r, 3) ? CONF_ACCESS_ALL : (int)rng_below(r, CONF_ACCESS_ALL);
    s->watchdog = rng_chance(r, 1, 3) ? rng_time(r, 500, 9000) : 0;
    s->more = rng_chance(r, 1, 2) ? rng_time(r, 1, 15000) : 0;
    spec_health(s, r);
}

/* ---- dependencies ---- */

static unsigned upstream(enum shape shape, unsigned i, struct rng *r)
{
    switch (shape) {
    case SHAPE_CHAIN:
        return i ? 1u << (i - 1) : 0;
    case SHAPE_DIAMOND: /* layers of 1, 2, 1, 2 ... */
        return i == 0 ? 0 : i % 3 == 0 ? 3u << (i - 2) : i % 3 == 1 ? 1u << (i - 1) : 1u << (i - 2);
    case SHAPE_WIDE:
        return i ? 1 : 0;
    case SHAPE_RANDOM:
    case SHAPE_COUNT:
        break;
    }
    return (rng_below(r, 1u << NAMES_MAX) & rng_below(r, 1u << NAMES_MAX)) & ((1u << i) - 1);
}

static void spec_edges(struct spec *s, const struct config *c, unsigned i, struct rng *r)
{
    unsigned all = upstream(c->shape, i, r);

    s->requires = s->wants = s->after = 0;
    for (unsigned k = 0; k < i; k++) {
        unsigned kind = rng_below(r, 5);
        if (!(all >> k & 1) || !c->at[k].present)
            continue;
        if (kind < 3)
        s->requires |= 1u << k;
        else if (kind == 3) s->wants |= 1u << k;
        else s->after |= 1u << k;
    }
}

static void spec_random(struct config *c, unsigned i, struct rng *r)
{
    struct spec *s = &c->at[i];

    *s = (struct spec){.present = true};
    spec_spawn(s, r);
    spec_restart(s, r);
    spec_stop(s, r);
    spec_edges(s, c, i, r);
    if (c->talks && rng_chance(&c->talk, 3, 4))
        spec_talk(s, &c->talk);
    spec_fit(s);
    c->version[i] = ++versions;
}

/* Lives in which nobody says or probes anything are as they ever were. */
void config_random(struct config *c, struct rng *r)
{
    *c = (struct config){.n = 1 + rng_below(r, NAMES_MAX),
                         .talks = c->talks,
                         .talk = c->talk,
                         .shape = (enum shape)rng_below(r, SHAPE_COUNT)};
    for (unsigned i = 0; i < c->n; i++)
        if (!rng_chance(r, 1, 8))
            spec_random(c, i, r);
}

/* ---- edits ---- */

static void drop(struct config *c, unsigned gone)
{
    c->at[gone].present = false;
    for (unsigned i = gone + 1; i < c->n; i++) {
        struct spec *s = &c->at[i];
        unsigned all = s->requires | s->wants | s->after;
        if (!s->present || !(all >> gone & 1))
            continue;
        s->requires &= ~(1u << gone);
        s->wants &= ~(1u << gone);
        s->after &= ~(1u << gone);
        c->version[i] = ++versions;
    }
}

/* With all that needs it. */
static void drop_branch(struct config *c, unsigned first)
{
    unsigned gone = 1u << first;

    for (unsigned i = first + 1; i < c->n; i++)
        if ((c->at[i].requires | c->at[i].wants | c->at[i].after) & gone)
            gone |= 1u << i;
    for (unsigned i = c->n; i-- > first;)
        if (gone >> i & 1 && c->at[i].present)
            drop(c, i);
}

static void edit_one(struct config *c, struct rng *r)
{
    unsigned i = rng_below(r, c->n);
    struct spec *s = &c->at[i];

    if (!s->present) {
        spec_random(c, i, r);
        return;
    }
    c->version[i] = ++versions;
    switch (rng_below(r, 6)) {
    case 0:
        drop(c, i);
        break;
    case 1:
        spec_spawn(s, r);
        if (s->oneshot && s->policy == CONF_ALWAYS)
            s->policy = CONF_ON_FAILURE;
        break;
    case 2:
        spec_restart(s, r);
        break;
    case 3:
        spec_stop(s, r);
        break;
    case 4:
        spec_edges(s, c, i, r);
        break;
    case 5:
        drop_branch(c, i);
        break;
    }
    if (s->present && c->talks && rng_chance(&c->talk, 1, 4))
        spec_talk(s, &c->talk);
    else if (s->present && c->talks && rng_chance(&c->talk, 1, 2))
        spec_health(s, &c->talk);
    spec_fit(s);
}

void config_edit(struct config *c, struct rng *r)
{
    for (unsigned n = rng_below(r, 4); n > 0; n--)
        edit_one(c, r);
}

static bool same_steps(const struct spec *a, const struct spec *b)
{
    if (a->n_then != b->n_then)
        return false;
    for (size_t i = 0; i < a->n_then; i++)
        if (a->then[i].signal != b->then[i].signal || a->then[i].wait != b->then[i].wait)
            return false;
    return true;
}

static msec longest_stop(const struct spec *s)
{
    return s->more ? written(s) + s->more : 0;
}

static bool same_health(const struct spec *a, const struct spec *b)
{
    const struct spec_health *x = &a->health, *y = &b->health;

    return x->target == y->target && x->every == y->every && x->timeout == y->timeout &&
           x->failures == y->failures && x->then == y->then && a->ready_target == b->ready_target &&
           a->ready_every == b->ready_every && longest_stop(a) == longest_stop(b);
}

enum conf_difference spec_compare(const struct spec *a, const struct spec *b)
{
    if (a->marker != b->marker || a->oneshot != b->oneshot || a->before != b->before ||
        ready_of(a) != ready_of(b) || spec_access(a) != spec_access(b) ||
        a->watchdog != b->watchdog)
        return CONF_SPAWN;
    if (a->start != b->start || a->policy != b->policy || a->to != b->to ||
        a->timeout != b->timeout || a->delay != b->delay || a->max_delay != b->max_delay ||
        a->window != b->window || a->healthy != b->healthy || a->limit != b->limit ||
        a->drain != b->drain || a->grace != b->grace || a->command_timeout != b->command_timeout ||
        a->command != b->command || a->requires != b->requires || a->wants != b->wants ||
        a->after != b->after || !same_steps(a, b) || !same_health(a, b))
        return CONF_POLICY;
    return CONF_SAME;
}

/* ---- confs ---- */

unsigned name_index(const char *name)
{
    return (unsigned)atoi(name + 1);
}

static char **words(const char *first, unsigned number)
{
    char **list = calloc(3, sizeof(char *)), text[16];

    if (!list)
        return NULL;
    snprintf(text, sizeof text, "%u", number);
    list[0] = strdup(first);
    list[1] = strdup(text);
    return list;
}

static char **names(unsigned set)
{
    char **list = set ? calloc(NAMES_MAX + 1, sizeof(char *)) : NULL, text[16];
    size_t n = 0;

    for (unsigned i = 0; list && i < NAMES_MAX; i++)
        if (set >> i & 1) {
            snprintf(text, sizeof text, "s%u", i);
            list[n++] = strdup(text);
        }
    return list;
}

static void fill_policy(struct conf *c, const struct spec *s)
{
    c->start = s->start;
    c->ready.timeout = s->timeout;
    c->restart.policy = s->policy;
    c->restart.delay = s->delay;
    c->restart.max_delay = s->max_delay;
    c->restart.limit = s->limit;
    c->restart.window = s->window;
    c->restart.healthy = s->healthy;
    c->stop.to = s->to;
    c->stop.drain = s->drain;
    c->stop.grace = s->grace;
    c->stop.command_timeout = s->command_timeout;
    c->stop.command = s->command ? words("/bin/stop", 0) : NULL;
    c->stop.n_then = s->n_then;
    c->stop.then = s->n_then ? calloc(s->n_then, sizeof *c->stop.then) : NULL;
    if (s->n_then)
        memcpy(c->stop.then, s->then, s->n_then * sizeof *s->then);
    c->stop.max = longest_stop(s);
    c->requires = names(s->requires);
    c->wants = names(s->wants);
    c->after = names(s->after);
}

static char *target(unsigned number)
{
    char text[24];

    snprintf(text, sizeof text, "127.0.0.1:%u", 1000 + number);
    return strdup(text);
}

static void fill_health(struct conf *c, const struct spec *s)
{
    c->ready.on = ready_of(s);
    c->ready.every = s->ready_every;
    if (c->ready.on == CONF_READY_TCP)
        c->ready.tcp = target(s->ready_target);
    if (c->ready.on == CONF_READY_COMMAND)
        c->ready.command = words("/bin/ready", s->ready_target);
    c->access = spec_access(s);
    c->watchdog = s->watchdog;
    c->health.every = s->health.every;
    c->health.timeout = s->health.timeout;
    c->health.failures = s->health.failures;
    c->health.then = s->health.then;
    if (s->health.target)
        c->health.tcp = target(s->health.target);
}

struct conf *spec_build(const struct spec *s, unsigned i, int version)
{
    char name[16];
    struct conf *c;

    snprintf(name, sizeof name, "s%u", i);
    c = conf_new(name, "sim", version);
    if (!c)
        return NULL;
    c->command = words("/bin/service", s->marker);
    c->before_start = s->before ? words("/bin/before", 0) : NULL;
    c->type = s->oneshot ? CONF_ONESHOT : CONF_PROCESS;
    fill_health(c, s);
    fill_policy(c, s);
    return c;
}

struct conf_set *config_build(const struct config *c)
{
    struct conf_set *set = calloc(1, sizeof *set);

    set->at = calloc(NAMES_MAX, sizeof(struct conf *));
    for (unsigned i = 0; i < c->n; i++)
        if (c->at[i].present)
            set->at[set->n++] = spec_build(&c->at[i], i, c->version[i]);
    return set;
}
