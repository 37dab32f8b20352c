/* Starts, crashes, wishes and restarts, with a virtual clock and no process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drive.h"

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
    struct engine_fact fact = {
        .exit = {.how = EXIT_CODE, .number = 127}, .error = ENOENT, .error_step = 9};
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
    assert_false(get("web")->preparing);
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

/* Whoever only wants one that waits in vain starts without it, and the waiting is told once. */
static void test_waiting_in_vain(void **state)
{
    (void)state;
    d.silent = true;
    RELOAD(limited(service("db"), 1), needs("cache", "db"), make_conf("web", NULL, "cache", NULL));
    d.changes[0] = '\0';
    leave("db", 3);
    expect("db:spawn db:TERM web:spawn");
    assert_non_null(strstr(d.changes, "cache:pending>pending"));
    d.changes[0] = '\0';
    drive();
    tell("cache", EVENT_UP);
    assert_string_equal(d.changes, "");
    tell("db", EVENT_UP);
    tell("db", EVENT_EXEC_OK);
    expect("db:spawn cache:spawn");
    d.changes[0] = '\0';
    leave("db", 3);
    die("cache");
    assert_non_null(strstr(d.changes, "cache:pending>pending"));
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

/* One that was healthy from its first start forgets that start. */
static void test_first_healthy_run(void **state)
{
    struct conf *web = limited(service("web"), 2);

    (void)state;
    web->restart.healthy = 500;
    RELOAD(web);
    pass(600);
    leave("web", 1);
    pass(100);
    leave("web", 1);
    expect_state("web", SERVICE_BACKOFF);
    pass(200);
    leave("web", 1);
    expect_state("web", SERVICE_FAILED);
}

static void test_what_counts_as_success(void **state)
{
    struct conf *web = service("web");

    (void)state;
    web->restart.policy = CONF_ON_FAILURE;
    web->restart.limit = 0;
    web->success.signals = UINT64_C(1) << (SIGTERM - 1);
    web->success.codes[0] |= 1u << 3;
    RELOAD(web);
    leave("web", 3);
    expect_state("web", SERVICE_DONE);
    tell("web", EVENT_AGAIN);
    die("web");
    expect_state("web", SERVICE_DONE);
    tell("web", EVENT_AGAIN);
    end("web", EXIT_SIGNAL, SIGKILL, 0);
    expect_state("web", SERVICE_BACKOFF);
    pass(1000);
    end("web", EXIT_LOST, 0, 0);
    expect_state("web", SERVICE_BACKOFF);
    pass(1000);
    leave("web", 1);
    expect_state("web", SERVICE_BACKOFF);
}

/* What is kept of a life, and what the next one begins with. */
static void test_fields(void **state)
{
    struct engine_fact fact = {
        .exit = {.how = EXIT_CODE, .number = 127}, .error = ENOENT, .error_step = 9};
    struct service *s;

    (void)state;
    RELOAD(service("web"));
    s = get("web");
    assert_true(s->pid == 100 && s->generation == 1 && s->executed && s->restarts == 0);
    assert_true(s->since == d.now && s->started == d.now && s->start_by == NEVER);
    d.silent = true;
    leave("web", 3);
    assert_true(s->pid == 0 && s->last_exit.how == EXIT_CODE && s->last_exit.number == 3);
    assert_int_equal(s->cause, CAUSE_EXIT);
    s->adopted = true;
    pass(100);
    assert_true(s->pid == 101 && s->generation == 2 && !s->executed && s->restarts == 1);
    assert_true(s->last_exit.how == EXIT_NONE && s->cause == CAUSE_NONE && !s->adopted);
    assert_int_equal(s->start_by, d.now + 90000);
    engine_event(&d.e, s, EVENT_EXITED, d.now, &fact);
    drive();
    assert_true(s->error == ENOENT && s->error_step == 9);
    d.silent = false;
    pass(1000);
    assert_true(s->error == 0 && s->error_step == 0 && s->restarts == 2 && s->executed);
}

static void test_no_fork_after_before_start(void **state)
{
    (void)state;
    RELOAD(prepares(service("web")));
    d.no_fork = true;
    leave("web", 0);
    d.no_fork = false;
    assert_false(get("web")->preparing);
    pass(ENGINE_FORK_WAIT);
    expect("web:before web:TERM web:spawn web:before");
}

/* Its deadline is seen though nobody asked for it. */
static void test_expire_unasked(void **state)
{
    (void)state;
    d.silent = true;
    RELOAD(service("web"));
    engine_expire(&d.e, d.now + 89999);
    drive();
    expect("web:spawn");
    d.now += 90000;
    engine_expire(&d.e, d.now);
    drive();
    expect("web:TERM");
}

/* ---- wishes ---- */

static void test_down_without_a_process(void **state)
{
    (void)state;
    RELOAD(service("db"), needs("web", "db"));
    leave("db", 1);
    tell("db", EVENT_DOWN);
    expect("db:spawn web:spawn db:TERM web:TERM");
    die("web");
    assert_false(get("db")->wanted);
    expect_state("web", SERVICE_PENDING);
    tell("web", EVENT_DOWN);
    expect_state("web", SERVICE_DOWN);
    assert_false(get("web")->wanted);
    assert_int_equal(engine_deadline(&d.e), NEVER);
    tell("web", EVENT_UP);
    expect_state("web", SERVICE_PENDING);
}

static void test_up_ends_the_wait(void **state)
{
    (void)state;
    RELOAD(service("db"), needs("web", "db"));
    leave("web", 1);
    leave("db", 1);
    d.trace[0] = '\0';
    tell("web", EVENT_UP);
    expect_state("web", SERVICE_PENDING);
    assert_int_equal(get("web")->deadline, NEVER);
    assert_int_equal(get("web")->tries.failures, 0);
    tell("db", EVENT_UP);
    expect("db:spawn web:spawn");
}

/* A stop that waits for its turn can still be taken back. */
static void test_up_before_the_stop(void **state)
{
    (void)state;
    RELOAD(service("db"), needs("web", "db"));
    d.trace[0] = '\0';
    tell("db", EVENT_DOWN);
    tell("db", EVENT_UP);
    die("web");
    expect("web:TERM web:sweep web:spawn");
    tell("db", EVENT_AGAIN);
    tell("db", EVENT_DOWN);
    tell("db", EVENT_UP);
    die("web");
    expect("web:TERM web:sweep web:spawn");
    expect_state("db", SERVICE_RUNNING);
}

/* ---- restart ---- */

static void test_restart_prepares_anew(void **state)
{
    (void)state;
    RELOAD(prepares(service("web")));
    leave("web", 0);
    d.trace[0] = '\0';
    tell("web", EVENT_AGAIN);
    die("web");
    expect("web:TERM web:sweep web:before");
}

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
        TEST(test_waiting_in_vain),
        TEST(test_dependents_in_backoff),
        TEST(test_first_healthy_run),
        TEST(test_what_counts_as_success),
        TEST(test_fields),
        TEST(test_no_fork_after_before_start),
        TEST(test_expire_unasked),
        TEST(test_down_without_a_process),
        TEST(test_up_ends_the_wait),
        TEST(test_up_before_the_stop),
        TEST(test_restart_prepares_anew),
        TEST(test_restart_takes_dependents_along),
        TEST(test_end_on_the_way_is_no_failure),
        TEST(test_restart_of_one_that_is_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
