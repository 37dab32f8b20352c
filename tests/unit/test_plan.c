/* The worst case of a stop, a start and a shutdown: by hand for small sets, by rule for large ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "make.h"
#include "tend/plan.h"

enum { CHAIN = 1000, MANY = 50000 };

static struct conf_set set;
static struct plan plan;

static int setup(void **state)
{
    (void)state;
    set = (struct conf_set){.at = calloc(MANY, sizeof(struct conf *))};
    plan = (struct plan){0};
    return set.at ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < set.n; i++)
        conf_free(set.at[i]);
    free(set.at);
    plan_free(&plan);
    return 0;
}

/* Its stop takes 5 s more than grace. */
static struct conf *add(const char *name, const char *requires, msec grace)
{
    struct conf *c = make_conf(name, requires, NULL, NULL);

    c->stop.grace = grace;
    set.at[set.n++] = c;
    return c;
}

static void expect_way(msec longest, const char *names)
{
    char way[400] = "";
    size_t at;

    assert_int_equal(plan_longest(&plan, &at), longest);
    for (; at != PLAN_NONE; at = plan.at[at].next)
        sprintf(way + strlen(way), "%s%s", *way ? " " : "", set.at[at]->name);
    assert_string_equal(way, names);
}

static void expect_shutdown(msec longest, const char *names)
{
    plan_free(&plan);
    assert_int_equal(plan_of_shutdown(&plan, &set), 0);
    expect_way(longest, names);
}

/* ---- one service ---- */

static void test_stop_of_one(void **state)
{
    static struct conf_step then[] = {{2, 3000}, {3, 400}};
    struct conf *c = add("a", NULL, 10000);

    (void)state;
    c->stop.drain = 20;
    c->stop.command_timeout = 7000; /* of no command */
    assert_int_equal(plan_stop(c, STEP_DRAIN), 10020);
    make_set(&c->stop.command, "/bin/bye");
    c->stop.then = malloc(sizeof then);
    memcpy(c->stop.then, then, sizeof then);
    c->stop.n_then = 2;
    assert_int_equal(plan_stop(c, STEP_DRAIN), 20 + 7000 + 10000 + 3400);
    assert_int_equal(plan_stop(c, STEP_COMMAND), 7000 + 10000 + 3400);
    assert_int_equal(plan_stop(c, STEP_SIGNAL), 10000 + 3400);
    assert_int_equal(plan_stop(c, STEP_SIGNAL + 1), 3400);
    assert_int_equal(plan_stop(c, STEP_SIGNAL + 2), 400);
    assert_int_equal(plan_stop(c, STEP_SIGNAL + 3), 0);
    expect_shutdown(20 + 7000 + 10000 + 3400 + PLAN_KILL_WAIT, "a");
}

/* stop.max, of who asks and who does not; and who asks may use what earlier steps have left. */
static void test_stretched_stop(void **state)
{
    static const struct {
        int access;
        msec max, drain, signal, after; /* from the drain on, from the signal on, after that */
    } cases[] = {
        {CONF_ACCESS_NONE, 0, 13000, 10000, 0},
        {CONF_ACCESS_NONE, 60000, 60000, 60000, 60000},
        {CONF_ACCESS_MAIN, 0, 13000, 13000, 13000},
        {CONF_ACCESS_ALL, 13000, 13000, 13000, 13000},
        {CONF_ACCESS_ALL, 60000, 60000, 60000, 60000},
    };
    struct conf *c = add("a", NULL, 10000);

    (void)state;
    c->stop.drain = 3000;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        c->access = cases[i].access;
        c->stop.max = cases[i].max;
        assert_int_equal(plan_stop(c, STEP_DRAIN), cases[i].drain);
        assert_int_equal(plan_stop(c, STEP_SIGNAL), cases[i].signal);
        assert_int_equal(plan_stop(c, STEP_SIGNAL + 1), cases[i].after);
        assert_int_equal(plan_steps(c, STEP_DRAIN), 13000);
        assert_int_equal(plan_steps(c, STEP_SIGNAL), 10000);
        assert_int_equal(plan_steps(c, STEP_SIGNAL + 1), 0);
        expect_shutdown(cases[i].drain + PLAN_KILL_WAIT, "a");
    }
}

static void test_nothing(void **state)
{
    (void)state;
    expect_shutdown(0, "");
    assert_int_equal(plan_sweep(10000), 15000);
    assert_int_equal(plan_sweep(NEVER), NEVER);
}

/* ---- sets ---- */

static void test_independent(void **state)
{
    (void)state;
    add("a", NULL, 1000);
    add("b", NULL, 3000);
    add("c", NULL, 2000);
    expect_shutdown(8000, "b");
}

static void test_diamond(void **state)
{
    (void)state;
    add("top", "left right", 100);
    add("left", "base", 2000);
    add("right", "base", 1000);
    add("base", NULL, 0);
    expect_shutdown(100 + 2000 + 3 * PLAN_KILL_WAIT, "top left base");
    assert_int_equal(plan.at[3].before, 100 + 2000 + 2 * PLAN_KILL_WAIT);
    assert_int_equal(plan.at[2].before, 100 + PLAN_KILL_WAIT);
    assert_int_equal(plan.at[2].after, PLAN_KILL_WAIT);
    assert_int_equal(plan.at[0].after, 2000 + 2 * PLAN_KILL_WAIT);
    assert_int_equal(plan.at[3].previous, 1);
}

static void test_every_kind_of_edge(void **state)
{
    (void)state;
    set.at[set.n++] = make_conf("a", NULL, "b", NULL);
    set.at[set.n++] = make_conf("b", NULL, NULL, "c");
    set.at[set.n++] = make_conf("c", "d", NULL, "nobody");
    set.at[set.n++] = make_conf("d", NULL, NULL, NULL);
    expect_shutdown(60000, "a b c d");
}

/* A short way with long stops, and a long way with short ones. */
static void test_longest_is_not_most(void **state)
{
    (void)state;
    add("a1", "a2", 0);
    add("a2", "a3", 0);
    add("a3", NULL, 0);
    add("b1", "b2", 9000);
    add("b2", NULL, 9000);
    expect_shutdown(28000, "b1 b2");
    set.at[3]->stop.grace = 0;
    set.at[4]->stop.grace = 0;
    expect_shutdown(15000, "a1 a2 a3");
}

static void add_chain(size_t n, msec grace)
{
    char name[16], next[16];

    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "s%zu", i);
        snprintf(next, sizeof next, "s%zu", i + 1);
        add(name, i + 1 < n ? next : NULL, grace);
    }
}

static void test_chain(void **state)
{
    size_t at;

    (void)state;
    add_chain(CHAIN, 1000);
    assert_int_equal(plan_of_shutdown(&plan, &set), 0);
    assert_int_equal(plan_longest(&plan, &at), CHAIN * 6000);
    assert_int_equal(at, 0);
    assert_int_equal(plan.at[CHAIN - 1].before, (CHAIN - 1) * 6000);
    assert_int_equal(plan.at[CHAIN / 2].after, (CHAIN - 1 - CHAIN / 2) * 6000);
}

/* The largest values that a config can have do not overflow. */
static void test_maximum(void **state)
{
    size_t at;

    (void)state;
    add_chain(MANY, CONF_TIME_MAX);
    for (size_t i = 0; i < set.n; i++)
        set.at[i]->ready.timeout = CONF_TIME_MAX;
    assert_int_equal(plan_of_shutdown(&plan, &set), 0);
    assert_int_equal(plan_longest(&plan, &at), MANY * (CONF_TIME_MAX + PLAN_KILL_WAIT));
    plan_free(&plan);
    assert_int_equal(plan_of_start(&plan, &set), 0);
    assert_int_equal(plan_longest(&plan, &at), MANY * CONF_TIME_MAX);
    assert_int_equal(at, MANY - 1);
    assert_int_equal(plan_sum(NEVER, 1), NEVER);
    assert_int_equal(plan_sum(NEVER - 1, 5), NEVER);
}

static void test_start(void **state)
{
    (void)state;
    add("web", "db cache", 0)->ready.timeout = 1000;
    add("db", "disk", 0)->ready.timeout = 20000;
    add("cache", NULL, 0)->ready.timeout = 21000;
    add("disk", NULL, 0)->ready.timeout = 5000;
    assert_int_equal(plan_of_start(&plan, &set), 0);
    expect_way(26000, "disk db web");
    assert_int_equal(plan.at[0].before, 25000);
}

/* ---- services as they live ---- */

static struct graph graph;

static struct service *live(const char *name, const char *requires, enum service_state state)
{
    struct service *s = graph_add(&graph, make_conf(name, requires, NULL, NULL));

    assert_non_null(s);
    s->state = state;
    return s;
}

static msec longest_living(msec kill_wait)
{
    size_t first;

    assert_int_equal(graph_link(&graph), 0);
    plan_free(&plan);
    assert_int_equal(plan_of_living(&plan, &graph, kill_wait), 0);
    return plan_longest(&plan, &first);
}

/* Each has a drain of 1 s, a stop command of 2 s and a grace period of 10 s. */
static void test_living(void **state)
{
    static const struct {
        enum service_state state;
        msec longest;
    } cases[] = {
        {SERVICE_DOWN, 0},         {SERVICE_PENDING, 0},  {SERVICE_STARTING, 10100},
        {SERVICE_RUNNING, 13100},  {SERVICE_DONE, 12100}, {SERVICE_KILLING, 100},
        {SERVICE_STOPPING, 12100}, {SERVICE_STUCK, 0},    {SERVICE_BACKOFF, 0},
        {SERVICE_FAILED, 0},
    };
    struct service *s = live("a", NULL, SERVICE_DOWN);

    (void)state;
    s->conf->stop.drain = 1000;
    make_set(&s->conf->stop.command, "/bin/bye");
    s->conf->stop.command_timeout = 2000;
    s->step = STEP_COMMAND;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        s->state = cases[i].state;
        assert_int_equal(longest_living(100), cases[i].longest);
    }
    make_set(&s->conf->stop.command, "");
    s->state = SERVICE_DONE; /* nothing of it is left to stop */
    assert_int_equal(longest_living(100), 0);
    graph_free(&graph);
}

static void test_living_order(void **state)
{
    (void)state;
    live("web", "db", SERVICE_RUNNING);
    live("db", NULL, SERVICE_KILLING);
    live("other", "db", SERVICE_FAILED);
    assert_int_equal(longest_living(PLAN_KILL_WAIT), 10000 + 2 * PLAN_KILL_WAIT);
    assert_int_equal(longest_living(0), 10000);
    assert_int_equal(plan.at[0].after, 0);
    graph_free(&graph);
}

/* What starts while others depend on it may become ready before its turn, and then has all steps.
 */
static void test_living_becomes_ready(void **state)
{
    struct service *web = live("web", "db", SERVICE_RUNNING);

    (void)state;
    live("db", NULL, SERVICE_STARTING)->conf->stop.drain = 1000;
    assert_int_equal(longest_living(0), 10000 + 11000);
    web->state = SERVICE_DONE; /* its own dependents may still be there */
    assert_int_equal(longest_living(0), 11000);
    web->state = SERVICE_BACKOFF;
    assert_int_equal(longest_living(0), 10000);
    graph_free(&graph);
}

/* What they could ask for is in the worst case, and in nobody's share of a deadline. */
static void test_living_stretched(void **state)
{
    struct service *s = live("db", NULL, SERVICE_RUNNING);
    size_t first;

    (void)state;
    live("web", "db", SERVICE_RUNNING);
    s->conf->access = CONF_ACCESS_ALL;
    s->conf->stop.max = 60000;
    assert_int_equal(longest_living(100), 10000 + 60000 + 200);
    plan_free(&plan);
    assert_int_equal(plan_of_waits(&plan, &graph), 0);
    assert_int_equal(plan_longest(&plan, &first), 20000);
    assert_int_equal(plan.at[1].after, 10000);
    s->state = SERVICE_STOPPING;
    s->step = STEP_SIGNAL;
    assert_int_equal(longest_living(0), 10000 + 60000);
    graph_free(&graph);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_stop_of_one),
        TEST(test_stretched_stop),
        TEST(test_nothing),
        TEST(test_independent),
        TEST(test_diamond),
        TEST(test_every_kind_of_edge),
        TEST(test_longest_is_not_most),
        TEST(test_chain),
        TEST(test_maximum),
        TEST(test_start),
        TEST(test_living),
        TEST(test_living_order),
        TEST(test_living_becomes_ready),
        TEST(test_living_stretched),
    };

    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
