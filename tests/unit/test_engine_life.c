/* Lives of services from end to end, with a virtual clock and no process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drive.h"

static struct conf *service(const char *name)
{
    return make_conf(name, NULL, NULL, NULL);
}

static struct conf *needs(const char *name, const char *requires)
{
    return make_conf(name, requires, NULL, NULL);
}

static struct conf *oneshot(const char *name, int policy)
{
    struct conf *c = service(name);

    c->type = CONF_ONESHOT;
    c->ready.on = CONF_READY_EXIT;
    c->restart.policy = policy;
    return c;
}

static struct conf *prepares(struct conf *c)
{
    make_set(&c->before_start, "/bin/prepare");
    return c;
}

static struct conf *says_goodbye(struct conf *c)
{
    make_set(&c->stop.command, "/bin/goodbye");
    c->stop.command_timeout = 7000;
    return c;
}

static struct conf *manual(struct conf *c)
{
    c->start = CONF_MANUAL;
    return c;
}

/* ---- start ---- */

static void test_start_in_order(void **state)
{
    (void)state;
    d.silent = true;
    RELOAD(needs("web", "db cache"), needs("cache", "db"), service("db"), service("log"));
    expect("db:spawn log:spawn");
    tell("db", EVENT_EXEC_OK);
    expect("cache:spawn");
    tell("log", EVENT_EXEC_OK);
    expect("");
    tell("cache", EVENT_EXEC_OK);
    expect("web:spawn");
    expect_state("web", SERVICE_STARTING);
    tell("web", EVENT_EXEC_OK);
    expect_state("web", SERVICE_RUNNING);
}

static void test_start_wants_the_others(void **state)
{
    (void)state;
    RELOAD(manual(make_conf("web", "db", "cache", "log")), manual(service("db")),
           manual(service("cache")), manual(service("log")));
    expect("");
    engine_start(&d.e, get("web"), d.now);
    drive();
    expect("db:spawn cache:spawn web:spawn");
    expect_state("log", SERVICE_DOWN);
}

static void test_oneshot_is_ready_when_it_has_ended(void **state)
{
    (void)state;
    RELOAD(oneshot("migrate", CONF_NEVER_AGAIN), needs("web", "migrate"));
    expect("migrate:spawn");
    expect_state("migrate", SERVICE_STARTING);
    leave("migrate", 0);
    expect_state("migrate", SERVICE_DONE);
    expect("migrate:TERM web:spawn");
}

static void test_process_that_ended_well_is_not_ready(void **state)
{
    struct conf *db = service("db");

    (void)state;
    db->restart.policy = CONF_ON_FAILURE;
    RELOAD(db, make_conf("web", NULL, "db", NULL), manual(needs("api", "db")));
    expect("db:spawn web:spawn");
    leave("db", 0);
    expect_state("db", SERVICE_DONE);
    expect("db:TERM");
    tell("api", EVENT_UP);
    expect_state("api", SERVICE_PENDING);
    expect_state("web", SERVICE_RUNNING);
}

static void test_no_fork(void **state)
{
    (void)state;
    d.no_fork = true;
    RELOAD(service("web"));
    expect("web:spawn");
    expect_state("web", SERVICE_BACKOFF);
    assert_int_equal(get("web")->cause, CAUSE_FORK);
    assert_int_equal(get("web")->error, EAGAIN);
    assert_int_equal(get("web")->error_step, 3);
    pass(ENGINE_FORK_WAIT - 1);
    expect("");
    d.no_fork = false;
    pass(1);
    expect("web:spawn");
    assert_int_equal(get("web")->tries.failures, 0);
    assert_int_equal(get("web")->tries.starts, 1);
}

static void test_exec_fails(void **state)
{
    struct engine_fact fact = {.exit = {EXIT_CODE, 127, false}, .error = ENOENT, .error_step = 9};
    struct conf *web = service("web");

    (void)state;
    d.silent = true;
    web->success.codes[127 / 8] |= 1u << 127 % 8;
    web->restart.policy = CONF_ON_FAILURE;
    RELOAD(web);
    engine_event(&d.e, get("web"), EVENT_EXITED, d.now, &fact);
    drive();
    expect_state("web", SERVICE_BACKOFF);
    assert_int_equal(get("web")->cause, CAUSE_EXEC);
    assert_int_equal(get("web")->error, ENOENT);
    assert_int_equal(get("web")->error_step, 9);
}

static void test_start_timeout(void **state)
{
    struct conf *web = service("web");

    (void)state;
    d.silent = true;
    web->ready.timeout = 3000;
    RELOAD(web);
    pass(2999);
    expect("web:spawn");
    pass(1);
    expect("web:TERM");
    assert_int_equal(get("web")->cause, CAUSE_TIMEOUT);
    die("web");
    expect("web:sweep");
    expect_state("web", SERVICE_BACKOFF);
    assert_int_equal(get("web")->tries.failures, 1);
}

/* ---- before_start ---- */

static void test_before_start(void **state)
{
    (void)state;
    RELOAD(prepares(service("web")));
    expect("web:before");
    expect_state("web", SERVICE_STARTING);
    leave("web", 0);
    expect("web:TERM web:spawn");
    expect_state("web", SERVICE_RUNNING);
    assert_int_equal(get("web")->tries.starts, 1);
    leave("web", 1);
    pass(100);
    expect("web:TERM web:before");
    assert_int_equal(get("web")->restarts, 1);
}

static void test_before_start_fails(void **state)
{
    (void)state;
    RELOAD(prepares(service("web")));
    leave("web", 2);
    expect("web:before web:TERM");
    expect_state("web", SERVICE_BACKOFF);
    assert_int_equal(get("web")->cause, CAUSE_BEFORE);
    pass(100);
    expect("web:before");
}

/* What before_start leaves behind is gone before the command starts. */
static void test_before_start_leaves_some(void **state)
{
    (void)state;
    RELOAD(prepares(service("web")));
    end("web", EXIT_CODE, 0, 2);
    expect("web:before web:TERM");
    pass(9999);
    expect("");
    all_gone("web");
    expect("web:spawn");
}

/* One start timeout over both; the time between them does not count. */
static void test_before_start_has_part_of_the_timeout(void **state)
{
    struct conf *web = prepares(service("web"));

    (void)state;
    d.silent = true;
    web->ready.timeout = 3000;
    RELOAD(web);
    pass(2000);
    end("web", EXIT_CODE, 0, 1);
    pass(5000);
    all_gone("web");
    expect("web:before web:TERM web:spawn");
    pass(999);
    expect("");
    pass(1);
    expect("web:TERM");
}

static void test_stop_during_before_start(void **state)
{
    (void)state;
    RELOAD(prepares(service("web")));
    tell("web", EVENT_DOWN);
    expect("web:before web:TERM");
    leave("web", 0);
    expect("web:sweep");
    expect_state("web", SERVICE_DOWN);
    tell("web", EVENT_UP);
    expect("web:before");
}

/* ---- crash, backoff, limit ---- */

static void test_crash_and_backoff(void **state)
{
    (void)state;
    RELOAD(service("web"));
    expect("web:spawn");
    leave("web", 3);
    expect("web:TERM");
    expect_state("web", SERVICE_BACKOFF);
    assert_int_equal(engine_deadline(&d.e), d.now + 100);
    pass(99);
    expect("");
    pass(1);
    expect("web:spawn");
    leave("web", 3);
    assert_in_range(engine_deadline(&d.e) - d.now, 175, 200);
    pass(200);
    expect("web:TERM web:spawn");
    pass(60000);
    assert_int_equal(get("web")->tries.failures, 0);
    assert_int_equal(engine_deadline(&d.e), NEVER);
    leave("web", 3);
    expect("web:TERM");
    pass(0);
    expect("web:spawn");
}

static void fail_often(const char *name, int n)
{
    for (int i = 0; i < n; i++) {
        leave(name, 3);
        pass(30000);
    }
    d.trace[0] = '\0';
}

static struct conf *limited(struct conf *c, long limit)
{
    c->restart.limit = limit;
    c->restart.window = 1000000;
    c->restart.healthy = 500000;
    return c;
}

static void test_limit_gives_up(void **state)
{
    (void)state;
    RELOAD(limited(service("web"), 3));
    fail_often("web", 2);
    expect_state("web", SERVICE_RUNNING);
    leave("web", 3);
    expect_state("web", SERVICE_FAILED);
    assert_int_equal(engine_deadline(&d.e), NEVER);
    tell("web", EVENT_UP);
    expect("web:TERM web:spawn");
    fail_often("web", 2);
    expect_state("web", SERVICE_RUNNING);
}

/* A start that hangs and a stop that takes long are no healthy run. */
static void test_slow_failures_are_failures(void **state)
{
    struct conf *web = limited(service("web"), 3);

    (void)state;
    d.silent = true;
    web->restart.healthy = 1000;
    web->ready.timeout = 5000;
    RELOAD(web);
    for (int i = 0; i < 3; i++) {
        pass(5000);
        pass(9000);
        die("web");
        pass(30000);
    }
    expect_state("web", SERVICE_FAILED);
    assert_int_equal(get("web")->tries.failures, 2);
}

static void test_dependents_of_a_failed_one(void **state)
{
    (void)state;
    RELOAD(limited(service("db"), 1), needs("web", "db"), needs("proxy", "web"),
           make_conf("other", NULL, "db", NULL));
    expect("db:spawn web:spawn other:spawn proxy:spawn");
    leave("db", 3);
    expect_state("db", SERVICE_FAILED);
    expect("db:TERM proxy:TERM");
    die("proxy");
    expect("proxy:sweep web:TERM");
    die("web");
    expect("web:sweep");
    expect_state("web", SERVICE_PENDING);
    expect_state("proxy", SERVICE_PENDING);
    expect_state("other", SERVICE_RUNNING);
    assert_int_equal(get("web")->cause, CAUSE_REQUIREMENT);
    assert_int_equal(get("web")->tries.failures, 0);
    tell("db", EVENT_UP);
    expect("db:spawn web:spawn proxy:spawn");
}

/* Running dependents stay while what they need is started anew; none starts without it. */
static void test_dependents_in_backoff(void **state)
{
    (void)state;
    RELOAD(service("db"), needs("web", "db"), manual(needs("api", "db")));
    leave("db", 3);
    tell("api", EVENT_UP);
    expect("db:spawn web:spawn db:TERM");
    expect_state("web", SERVICE_RUNNING);
    expect_state("api", SERVICE_PENDING);
    pass(100);
    expect("db:spawn api:spawn");
}

/* ---- restart ---- */

static void test_restart_takes_dependents_along(void **state)
{
    (void)state;
    RELOAD(service("db"), needs("web", "db"), needs("proxy", "web"), service("log"));
    d.trace[0] = '\0';
    tell("db", EVENT_AGAIN);
    expect("proxy:TERM");
    die("proxy");
    expect("proxy:sweep web:TERM");
    die("web");
    expect("web:sweep db:TERM");
    die("db");
    expect("db:sweep db:spawn web:spawn proxy:spawn");
    expect_state("log", SERVICE_RUNNING);
    assert_int_equal(get("db")->tries.failures, 0);
    assert_int_equal(get("db")->restarts, 1);
    assert_false(get("db")->again);
}

/* One that ends by itself while it is about to be taken along did not fail. */
static void test_end_on_the_way_is_no_failure(void **state)
{
    (void)state;
    RELOAD(service("db"), limited(needs("web", "db"), 1), needs("proxy", "web"));
    d.trace[0] = '\0';
    tell("db", EVENT_AGAIN);
    leave("web", 1);
    expect("proxy:TERM web:TERM db:TERM");
    expect_state("web", SERVICE_PENDING);
    die("proxy");
    die("db");
    expect("proxy:sweep db:sweep db:spawn web:spawn proxy:spawn");
}

static void test_restart_of_one_that_is_done(void **state)
{
    (void)state;
    RELOAD(oneshot("migrate", CONF_NEVER_AGAIN));
    leave("migrate", 0);
    tell("migrate", EVENT_UP);
    expect("migrate:spawn migrate:TERM");
    tell("migrate", EVENT_AGAIN);
    expect("migrate:spawn");
}

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
    pass(ENGINE_KILL_WAIT - 1);
    expect_state("web", SERVICE_KILLING);
    pass(1);
    expect("web:stuck");
    expect_state("web", SERVICE_STUCK);
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
    pass(ENGINE_KILL_WAIT);
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
        TEST(test_start_in_order),
        TEST(test_start_wants_the_others),
        TEST(test_oneshot_is_ready_when_it_has_ended),
        TEST(test_process_that_ended_well_is_not_ready),
        TEST(test_no_fork),
        TEST(test_exec_fails),
        TEST(test_start_timeout),
        TEST(test_before_start),
        TEST(test_before_start_fails),
        TEST(test_before_start_leaves_some),
        TEST(test_before_start_has_part_of_the_timeout),
        TEST(test_stop_during_before_start),
        TEST(test_crash_and_backoff),
        TEST(test_limit_gives_up),
        TEST(test_slow_failures_are_failures),
        TEST(test_dependents_of_a_failed_one),
        TEST(test_dependents_in_backoff),
        TEST(test_restart_takes_dependents_along),
        TEST(test_end_on_the_way_is_no_failure),
        TEST(test_restart_of_one_that_is_done),
        TEST(test_whole_stop),
        TEST(test_each_step_ends_with_the_service),
        TEST(test_command_ends_its_step),
        TEST(test_command_outlives_the_main_process),
        TEST(test_command_cannot_be_made),
        TEST(test_kill_takes_the_command_too),
        TEST(test_one_clock),
        TEST(test_rest_after_a_crash),
        TEST(test_death_in_the_drain),
        TEST(test_mixed),
        TEST(test_main),
        TEST(test_fault),
        TEST(test_fault_waits_for_nobody),
        TEST(test_up_during_stop),
        TEST(test_done_runs_its_stop_command),
        TEST(test_stuck),
        TEST(test_shutdown_in_order),
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
