/* Stops and shutdowns, to the millisecond of a virtual clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drive.h"

/* ---- stop ---- */

static struct conf *steps(struct conf *c)
{
    c->stop.drain = 2000;
    c->stop.grace = 3000;
    c->stop.then = calloc(1, sizeof *c->stop.then);
    c->stop.then[0] = (struct conf_step){SIGINT, 4000};
    c->stop.n_then = 1;
    return c;
}

/* Each step at its time, to the millisecond. */
static void test_whole_stop(void **state)
{
    (void)state;
    RELOAD(says_goodbye(steps(service("web"))));
    d.trace[0] = '\0';
    tell("web", EVENT_DOWN);
    expect("");
    assert_false(get("web")->ready);
    pass(1999);
    expect("");
    pass(1);
    expect("web:command");
    pass(6999);
    expect("");
    pass(1);
    expect("web:command-end web:TERM");
    command_ends("web");
    pass(2999);
    expect("");
    pass(1);
    expect("web:INT");
    pass(3999);
    expect("");
    pass(1);
    expect("web:KILL");
    expect_state("web", SERVICE_KILLING);
    pass(PLAN_KILL_WAIT - 1);
    expect_state("web", SERVICE_KILLING);
    pass(1);
    expect("web:stuck");
    expect_state("web", SERVICE_STUCK);
    assert_true(engine_idle(&d.e)); /* left to itself */
    assert_int_equal(engine_deadline(&d.e), NEVER);
    die("web");
    expect_state("web", SERVICE_DOWN);
}

static void test_each_step_ends_with_the_service(void **state)
{
    (void)state;
    RELOAD(steps(service("web")));
    tell("web", EVENT_DOWN);
    leave("web", 0);
    expect("web:spawn web:TERM");
    expect_state("web", SERVICE_DOWN);
    assert_int_equal(engine_deadline(&d.e), NEVER);
}

static void test_command_ends_its_step(void **state)
{
    (void)state;
    RELOAD(says_goodbye(service("web")));
    tell("web", EVENT_DOWN);
    expect("web:spawn web:command");
    command_ends("web");
    expect("web:TERM");
}

/* It is not gone while its stop command runs. */
static void test_command_outlives_the_main_process(void **state)
{
    (void)state;
    RELOAD(says_goodbye(service("web")));
    tell("web", EVENT_DOWN);
    leave("web", 0);
    expect("web:spawn web:command");
    expect_state("web", SERVICE_STOPPING);
    command_ends("web");
    expect("web:TERM");
    expect_state("web", SERVICE_DOWN);
}

static void test_command_cannot_be_made(void **state)
{
    (void)state;
    d.no_command = true;
    RELOAD(says_goodbye(service("web")));
    tell("web", EVENT_DOWN);
    expect("web:spawn web:command web:TERM");
}

static void test_kill_takes_the_command_too(void **state)
{
    (void)state;
    RELOAD(says_goodbye(service("web")));
    tell("web", EVENT_DOWN);
    engine_hurry(&d.e, d.now);
    drive();
    expect("web:spawn web:command web:command-end web:KILL");
    leave("web", 0);
    expect_state("web", SERVICE_KILLING);
    command_ends("web");
    expect_state("web", SERVICE_DOWN);
}

/* The leader's death tells the rest, and the clock runs on. */
static void test_one_clock(void **state)
{
    (void)state;
    RELOAD(service("web"));
    tell("web", EVENT_DOWN);
    expect("web:spawn web:TERM");
    pass(6000);
    end("web", EXIT_CODE, 0, 1);
    expect("web:sweep");
    pass(3999);
    expect("");
    pass(1);
    expect("web:KILL");
    all_gone("web");
    expect_state("web", SERVICE_DOWN);
}

/* What a main process leaves behind by its own end is stopped like the rest. */
static void test_rest_after_a_crash(void **state)
{
    (void)state;
    RELOAD(steps(service("web")));
    end("web", EXIT_CODE, 1, 3);
    expect("web:spawn web:TERM");
    pass(3000);
    expect("web:INT");
    pass(4000);
    expect("web:KILL");
    all_gone("web");
    expect_state("web", SERVICE_BACKOFF);
    assert_int_equal(get("web")->tries.failures, 1);
}

static void test_killed(void **state)
{
    struct service *s;

    (void)state;
    RELOAD(steps(service("web")));
    s = get("web");
    tell("web", EVENT_AGAIN);
    assert_false(s->killed);
    pass(2000);
    assert_false(s->killed);
    pass(7000);
    assert_true(s->killed);
    die("web");
    expect("web:spawn web:TERM web:INT web:KILL web:spawn");
    tell("web", EVENT_DOWN);
    assert_false(s->killed);
}

/* Time that passes before a signal could be sent is no grace. */
static void test_signal_comes_late(void **state)
{
    (void)state;
    RELOAD(service("web"));
    engine_event(&d.e, get("web"), EVENT_DOWN, d.now, NULL);
    engine_settle(&d.e, d.now);
    d.now += 20000;
    engine_expire(&d.e, d.now);
    expect_state("web", SERVICE_STOPPING);
    drive();
    expect("web:spawn web:TERM");
    pass(9999);
    expect("");
    pass(1);
    expect("web:KILL");
}

/* In the drain the leader's death leads on to the signal: there is nothing more to drain. */
static void test_death_in_the_drain(void **state)
{
    (void)state;
    RELOAD(says_goodbye(steps(service("web"))));
    tell("web", EVENT_DOWN);
    pass(500);
    end("web", EXIT_CODE, 0, 1);
    expect("web:spawn web:TERM");
    pass(3000);
    expect("web:INT");
}

static void test_mixed(void **state)
{
    struct conf *web = service("web");

    (void)state;
    web->stop.to = CONF_TO_MIXED;
    RELOAD(web);
    tell("web", EVENT_DOWN);
    expect("web:spawn web:TERM");
    pass(1000);
    end("web", EXIT_CODE, 0, 2);
    expect("web:KILL");
    all_gone("web");
    expect_state("web", SERVICE_DOWN);
    tell("web", EVENT_UP);
    end("web", EXIT_CODE, 0, 2);
    expect("web:spawn web:KILL");
}

static void test_main(void **state)
{
    struct conf *web = service("web");

    (void)state;
    web->stop.to = CONF_TO_MAIN;
    RELOAD(web);
    tell("web", EVENT_DOWN);
    end("web", EXIT_CODE, 0, 2);
    expect("web:spawn web:TERM web:sweep");
    pass(10000);
    expect("web:KILL");
}

/* No drain and no command for one that was never ready or is not well. */
static void test_fault(void **state)
{
    (void)state;
    RELOAD(says_goodbye(steps(service("web"))));
    tell("web", EVENT_FAULT);
    expect("web:spawn web:TERM");
    die("web");
    expect_state("web", SERVICE_BACKOFF);
    assert_int_equal(get("web")->cause, CAUSE_FAULT);
    assert_int_equal(get("web")->tries.failures, 1);
}

/* A stop that is not asked for does not wait for the dependents. */
static void test_fault_waits_for_nobody(void **state)
{
    (void)state;
    RELOAD(service("db"), needs("web", "db"));
    tell("db", EVENT_FAULT);
    expect("db:spawn web:spawn db:TERM");
    expect_state("web", SERVICE_RUNNING);
}

static void test_up_during_stop(void **state)
{
    (void)state;
    RELOAD(service("web"));
    tell("web", EVENT_DOWN);
    tell("web", EVENT_UP);
    expect("web:spawn web:TERM");
    die("web");
    expect("web:sweep web:spawn");
    tell("web", EVENT_DOWN);
    tell("web", EVENT_UP);
    tell("web", EVENT_DOWN);
    die("web");
    expect("web:TERM web:sweep");
    expect_state("web", SERVICE_DOWN);
}

static void test_done_runs_its_stop_command(void **state)
{
    (void)state;
    RELOAD(says_goodbye(oneshot("mount", CONF_NEVER_AGAIN)), needs("web", "mount"));
    leave("mount", 0);
    expect("mount:spawn mount:TERM web:spawn");
    engine_shutdown(&d.e, d.now);
    drive();
    expect("web:TERM");
    die("web");
    expect("web:sweep mount:command");
    expect_state("mount", SERVICE_STOPPING);
    command_ends("mount");
    expect("mount:TERM");
    expect_state("mount", SERVICE_DOWN);
}

/* Whom KILL does not end holds up nobody, and does not come back beside itself. */
static void test_stuck(void **state)
{
    (void)state;
    RELOAD(service("db"), needs("web", "db"));
    d.trace[0] = '\0';
    tell("db", EVENT_AGAIN);
    pass(15000);
    expect("web:TERM web:KILL web:stuck db:TERM");
    die("db");
    expect("db:sweep db:spawn");
    expect_state("web", SERVICE_STUCK);
    die("web");
    expect("web:spawn");
}

/* ---- shutdown ---- */

static void down(void)
{
    engine_shutdown(&d.e, d.now);
    drive();
}

static void test_shutdown_in_order(void **state)
{
    (void)state;
    RELOAD(service("db"), needs("web", "db"), make_conf("log", NULL, NULL, NULL),
           make_conf("late", NULL, "web", "log"));
    d.trace[0] = '\0';
    down();
    expect("late:TERM");
    die("late");
    expect("late:sweep web:TERM log:TERM");
    die("web");
    expect("web:sweep db:TERM");
    down();
    expect("");
    die("db");
    die("log");
    assert_true(engine_idle(&d.e));
    assert_int_equal(engine_deadline(&d.e), NEVER);
    tell("db", EVENT_UP);
    tell("web", EVENT_AGAIN);
    expect_state("db", SERVICE_DOWN);
    expect("db:sweep log:sweep");
}

static void test_idle(void **state)
{
    (void)state;
    assert_true(engine_idle(&d.e));
    RELOAD(service("web"));
    assert_false(engine_idle(&d.e));
    leave("web", 1);
    expect_state("web", SERVICE_BACKOFF);
    assert_false(engine_idle(&d.e));
    tell("web", EVENT_DOWN);
    assert_true(engine_idle(&d.e));
    d.now += 5;
    down();
    assert_int_equal(d.e.shutdown_began, d.now);
    d.now += 5;
    down();
    assert_int_equal(d.e.shutdown_began, d.now - 5);
}

/* After a crash of ours: its deadline and its actions are where they were. */
static void test_adopt(void **state)
{
    struct service *s = graph_add(&d.e.graph, service("web"));

    (void)state;
    assert_int_equal(graph_link(&d.e.graph), 0);
    s->state = SERVICE_STOPPING;
    s->pid = 77;
    s->step = STEP_SIGNAL;
    s->pending = ACTION_SIGNAL;
    s->deadline = d.now + 500;
    engine_adopt(&d.e, s, d.now);
    assert_false(s->fresh);
    engine_expire(&d.e, d.now + 499);
    assert_int_equal(s->deadline, d.now + 500);
    drive();
    expect("web:TERM");
    pass(10000);
    expect("web:KILL");
    die("web");
    expect_state("web", SERVICE_DOWN);
}

static void test_shutdown_during_start(void **state)
{
    (void)state;
    d.silent = true;
    RELOAD(service("db"), needs("web", "db"));
    down();
    expect("db:spawn db:TERM");
    expect_state("web", SERVICE_DOWN);
    die("db");
    expect_state("db", SERVICE_DOWN);
}

/* Between the decision and the fork: nothing is made, nothing is told. */
static void test_shutdown_before_the_fork(void **state)
{
    struct conf *web = service("web");
    struct conf_set set = {.at = &web, .n = 1};

    (void)state;
    assert_int_equal(engine_reload(&d.e, &set, d.now), 0);
    engine_settle(&d.e, d.now);
    expect_state("web", SERVICE_STARTING);
    down();
    expect("web:TERM");
    expect_state("web", SERVICE_DOWN);
}

static void test_shutdown_during_backoff(void **state)
{
    (void)state;
    RELOAD(service("web"));
    leave("web", 1);
    down();
    expect("web:spawn web:TERM");
    expect_state("web", SERVICE_DOWN);
    assert_int_equal(engine_deadline(&d.e), NEVER);
}

static void test_shutdown_during_stop(void **state)
{
    (void)state;
    RELOAD(service("web"));
    tell("web", EVENT_AGAIN);
    pass(4000);
    down();
    expect("web:spawn web:TERM");
    pass(5999);
    expect("");
    pass(1);
    expect("web:KILL");
    die("web");
    expect_state("web", SERVICE_DOWN);
}

static void test_shutdown_while_preparing(void **state)
{
    (void)state;
    RELOAD(prepares(service("web")));
    leave("web", 0);
    down();
    expect("web:before web:TERM web:spawn web:TERM");
}

/* KILL to all that lives, whoever depends on whom, in every state. */
static void test_hurry(void **state)
{
    (void)state;
    RELOAD(service("db"), needs("web", "db"), says_goodbye(service("slow")),
           oneshot("done", CONF_NEVER_AGAIN), service("again"), prepares(service("first")));
    leave("done", 0);
    leave("again", 1);
    tell("slow", EVENT_DOWN);
    d.trace[0] = '\0';
    engine_hurry(&d.e, d.now);
    drive();
    assert_non_null(strstr(d.trace, "db:KILL"));
    assert_non_null(strstr(d.trace, "web:KILL"));
    assert_non_null(strstr(d.trace, "slow:command-end slow:KILL"));
    assert_non_null(strstr(d.trace, "first:KILL"));
    assert_null(strstr(d.trace, "TERM"));
    assert_null(strstr(d.trace, "spawn"));
    d.trace[0] = '\0';
    expect_state("done", SERVICE_DOWN);
    expect_state("again", SERVICE_DOWN);
    engine_hurry(&d.e, d.now);
    drive();
    expect("");
    pass(PLAN_KILL_WAIT);
    expect("db:stuck web:stuck slow:stuck first:stuck");
}

/* No stop command is begun when nobody waits. */
static void test_hurry_skips_commands(void **state)
{
    (void)state;
    RELOAD(says_goodbye(oneshot("mount", CONF_NEVER_AGAIN)), says_goodbye(service("web")));
    leave("mount", 0);
    d.trace[0] = '\0';
    engine_hurry(&d.e, d.now);
    drive();
    expect("mount:KILL web:KILL");
    expect_state("mount", SERVICE_DOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_whole_stop),
        TEST(test_each_step_ends_with_the_service),
        TEST(test_command_ends_its_step),
        TEST(test_command_outlives_the_main_process),
        TEST(test_command_cannot_be_made),
        TEST(test_kill_takes_the_command_too),
        TEST(test_one_clock),
        TEST(test_rest_after_a_crash),
        TEST(test_killed),
        TEST(test_signal_comes_late),
        TEST(test_death_in_the_drain),
        TEST(test_mixed),
        TEST(test_main),
        TEST(test_fault),
        TEST(test_fault_waits_for_nobody),
        TEST(test_up_during_stop),
        TEST(test_done_runs_its_stop_command),
        TEST(test_stuck),
        TEST(test_shutdown_in_order),
        TEST(test_idle),
        TEST(test_adopt),
        TEST(test_shutdown_during_start),
        TEST(test_shutdown_before_the_fork),
        TEST(test_shutdown_during_backoff),
        TEST(test_shutdown_during_stop),
        TEST(test_shutdown_while_preparing),
        TEST(test_hurry),
        TEST(test_hurry_skips_commands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
