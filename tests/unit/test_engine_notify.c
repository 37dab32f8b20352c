/* What services tell of themselves: another main process, more time, that they leave, and what the
 * watchdog makes of silence. To the millisecond of a virtual clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drive.h"

static void tell_more(const char *name, enum engine_event event, struct engine_fact fact)
{
    engine_event(&d.e, get(name), event, d.now, &fact);
    drive();
}

static void name_main(const char *name, pid_t pid)
{
    tell_more(name, EVENT_MAIN, (struct engine_fact){.pid = pid});
}

static void ask(const char *name, msec wait)
{
    tell_more(name, EVENT_EXTEND, (struct engine_fact){.wait = wait});
}

static void bite(const char *name)
{
    tell_more(name, EVENT_FAULT, (struct engine_fact){.cause = CAUSE_WATCHDOG});
}

/* Becomes ready when it says so. */
static struct conf *notifies(struct conf *c)
{
    c->ready.on = CONF_READY_NOTIFY;
    c->access = CONF_ACCESS_ALL;
    return c;
}

/* A drain of 2 s, a command of 7 s, TERM 3 s, INT 4 s: 16 s are written. */
static struct conf *steps(struct conf *c)
{
    says_goodbye(c);
    c->stop.drain = 2000;
    c->stop.grace = 3000;
    c->stop.then = calloc(1, sizeof *c->stop.then);
    assert_non_null(c->stop.then);
    c->stop.then[0] = (struct conf_step){SIGINT, 4000};
    c->stop.n_then = 1;
    return c;
}

static struct conf *at_most(struct conf *c, msec max)
{
    c->access = CONF_ACCESS_ALL;
    c->stop.max = max;
    return c;
}

/* ---- another main process ---- */

static void test_new_main(void **state)
{
    (void)state;
    RELOAD(service("web"));
    name_main("web", 500);
    assert_int_equal(get("web")->pid, 500);
    assert_true(get("web")->adopted);
    expect_state("web", SERVICE_RUNNING);
    expect("web:spawn");
    end("web", EXIT_CODE, 3, 2); /* the one before it may be among the others */
    expect("web:TERM");
    assert_int_equal(get("web")->last_pid, 500);
    all_gone("web");
    expect_state("web", SERVICE_BACKOFF);
    assert_int_equal(get("web")->last_exit.number, 3);
    pass(1000);
    assert_false(get("web")->adopted);
}

static void test_new_main_while_starting(void **state)
{
    (void)state;
    RELOAD(notifies(service("web")));
    name_main("web", 500);
    assert_int_equal(get("web")->pid, 500);
    expect_state("web", SERVICE_STARTING);
    tell("web", EVENT_READY);
    leave("web", 0);
    expect("web:spawn web:TERM");
    expect_state("web", SERVICE_BACKOFF); /* that it starts again is its policy */
}

static void test_new_main_while_stopping(void **state)
{
    (void)state;
    RELOAD(service("web"));
    tell("web", EVENT_DOWN);
    name_main("web", 500);
    assert_int_equal(get("web")->pid, 500);
    end("web", EXIT_CODE, 0, 1);
    expect("web:spawn web:TERM web:sweep");
    name_main("web", 501); /* it has none any more: its end is known */
    assert_int_equal(get("web")->pid, 0);
    all_gone("web");
    expect_state("web", SERVICE_DOWN);
}

static void test_no_main_of_before_start(void **state)
{
    pid_t pid;

    (void)state;
    RELOAD(prepares(service("web")));
    pid = get("web")->pid;
    name_main("web", 500);
    assert_int_equal(get("web")->pid, pid);
    tell("web", EVENT_DOWN);
    name_main("web", 500);
    assert_int_equal(get("web")->pid, pid);
}

static void test_no_main_before_the_exec(void **state)
{
    (void)state;
    d.silent = true;
    RELOAD(service("web"));
    name_main("web", 500);
    tell("web", EVENT_LEAVING);
    expect_state("web", SERVICE_STARTING);
    assert_int_equal(get("web")->pid, 100);
}

static void test_no_main_of_the_killed(void **state)
{
    (void)state;
    RELOAD(service("web"));
    tell("web", EVENT_DOWN);
    pass(10000);
    name_main("web", 500);
    assert_int_equal(get("web")->pid, 100);
    pass(PLAN_KILL_WAIT);
    expect_state("web", SERVICE_STUCK);
    name_main("web", 500);
    assert_int_equal(get("web")->pid, 100);
}

/* ---- more time to start ---- */

static void test_extends_start(void **state)
{
    static const struct {
        msec wait, until; /* asked for at 500 of 1000 ms */
    } cases[] = {
        {5000, 5500}, {501, 1001},   {500, 1000},
        {0, 1000},    {-9000, 1000}, {NEVER, CONF_TIME_MAX + 500},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct conf *web = notifies(service("web"));
        msec began = d.now;
        web->ready.timeout = 1000;
        RELOAD(web);
        pass(500);
        ask("web", cases[i].wait);
        assert_int_equal(get("web")->deadline - began, cases[i].until);
        assert_int_equal(get("web")->start_by - began, cases[i].until);
        pass(cases[i].until - 501);
        expect_state("web", SERVICE_STARTING);
        pass(1);
        expect("web:spawn web:TERM");
        assert_int_equal(get("web")->cause, CAUSE_TIMEOUT);
        drive_teardown(state);
        drive_setup(state);
    }
}

/* Again and again, however long that takes. */
static void test_start_without_end(void **state)
{
    struct conf *web = notifies(service("web"));

    (void)state;
    web->ready.timeout = 1000;
    RELOAD(web);
    for (int i = 0; i < 1000; i++) {
        ask("web", 1000);
        pass(900);
    }
    expect_state("web", SERVICE_STARTING);
    tell("web", EVENT_READY);
    assert_int_equal(get("web")->deadline, NEVER);
    ask("web", 1000); /* there is nothing to extend */
    assert_int_equal(get("web")->deadline, NEVER);
    expect("web:spawn");
}

/* One time for before_start and the command. */
static void test_extends_before_start(void **state)
{
    struct conf *web = prepares(notifies(service("web")));

    (void)state;
    web->ready.timeout = 1000;
    RELOAD(web);
    ask("web", 5000);
    pass(2000);
    leave("web", 0);
    expect("web:before web:TERM web:spawn");
    pass(2999);
    expect_state("web", SERVICE_STARTING);
    pass(1);
    expect("web:TERM");
}

/* ---- more time to stop ---- */

/* When the step that is under way is over, from the beginning of the stop on. */
static void test_extends_stop(void **state)
{
    static const struct {
        msec max, at, wait, until;
    } cases[] = {
        /* the whole is as long as it is written: nothing was left over */
        {0, 0, 60000, 2000},
        {0, 2500, 60000, 9000},
        {0, 9500, 60000, 12000},
        {0, 12500, 60000, 16000},
        {16000, 12500, 60000, 16000},
        /* what comes later keeps its time */
        {20000, 0, 60000, 6000},
        {20000, 2500, 60000, 13000},
        {20000, 9500, 60000, 16000},
        {20000, 12500, 60000, 20000},
        {20000, 12500, NEVER, 20000},
        /* as long as was asked for */
        {20000, 0, 3000, 3000},
        {60000, 9500, 5000, 14500},
        {60000, 12500, 3501, 16001},
        /* nothing gets shorter */
        {60000, 9500, 100, 12000},
        {60000, 9500, -5000, 12000},
        {60000, 9500, 0, 12000},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        RELOAD(at_most(steps(service("web")), cases[i].max));
        tell("web", EVENT_DOWN);
        pass(cases[i].at);
        ask("web", cases[i].wait);
        if (get("web")->deadline - get("web")->stop_began != cases[i].until)
            fail_msg("case %zu: %lld, not %lld", i,
                     (long long)(get("web")->deadline - get("web")->stop_began),
                     (long long)cases[i].until);
        drive_teardown(state);
        drive_setup(state);
    }
}

/* What earlier steps have left over. */
static void test_extends_by_what_is_left(void **state)
{
    (void)state;
    RELOAD(at_most(steps(service("web")), 0));
    tell("web", EVENT_DOWN);
    pass(3000);
    command_ends("web");
    d.trace[0] = '\0';
    ask("web", 60000);
    pass(8999);
    expect("");
    pass(1);
    expect("web:INT");
    pass(4000);
    expect("web:KILL");
}

/* From the signal on, as it is not well: also then all of stop.max is there. */
static void test_extends_a_stop_for_a_fault(void **state)
{
    (void)state;
    RELOAD(at_most(steps(service("web")), 30000));
    tell("web", EVENT_FAULT);
    ask("web", 60000);
    pass(25999);
    expect("web:spawn web:TERM");
    pass(1);
    expect("web:INT");
    ask("web", 60000);
    pass(4000);
    expect("web:KILL");
    ask("web", 60000);
    pass(PLAN_KILL_WAIT);
    expect("web:stuck");
    ask("web", 60000);
    assert_int_equal(get("web")->deadline, NEVER);
}

static void test_not_asked_is_as_ever(void **state)
{
    (void)state;
    RELOAD(at_most(steps(service("web")), 60000));
    tell("web", EVENT_DOWN);
    pass(15999);
    expect("web:spawn web:command web:command-end web:TERM web:command-end web:INT");
    pass(1);
    expect("web:command-end web:KILL");
}

/* Asked for before the signal could be sent. */
static void test_extends_before_the_signal(void **state)
{
    (void)state;
    RELOAD(at_most(service("web"), 60000));
    engine_event(&d.e, get("web"), EVENT_DOWN, d.now, NULL);
    engine_settle(&d.e, d.now);
    engine_event(&d.e, get("web"), EVENT_EXTEND, d.now, &(struct engine_fact){.wait = 40000});
    drive();
    pass(39999);
    expect("web:spawn web:TERM");
    pass(1);
    expect("web:KILL");
}

static uint64_t random_state = 1;

static unsigned pick(unsigned n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random_state >> 33) % n;
}

static struct conf *pick_conf(void)
{
    struct conf *c = steps(service("web"));

    c->access = CONF_ACCESS_ALL;
    c->stop.drain = pick(2) ? pick(5000) : 0;
    c->stop.grace = pick(5000);
    c->stop.then[0].wait = pick(5000);
    if (pick(2))
        make_set(&c->stop.command, "");
    if (pick(2))
        c->stop.max = plan_steps(c, STEP_DRAIN) + pick(30000);
    return c;
}

static enum engine_event pick_reason(void)
{
    static const enum engine_event reasons[] = {EVENT_DOWN, EVENT_FAULT, EVENT_LEAVING};

    return reasons[pick(ARRAY_SIZE(reasons))];
}

/* Whatever is asked for, whenever: KILL comes within the worst case, and no service that talks can
 * make the plan wrong; some do use all of it. */
static void test_never_beyond_the_plan(void **state)
{
    unsigned full = 0;

    for (int round = 0; round < 2000; round++) {
        struct service *s;
        msec worst;
        RELOAD(pick_conf());
        s = get("web");
        worst = plan_stop(s->conf, STEP_DRAIN);
        tell("web", pick_reason());
        while (s->state == SERVICE_STOPPING) {
            d.trace[0] = d.changes[0] = '\0';
            ask("web", pick(2) ? pick(5000) : NEVER);
            if (s->command && pick(3) == 0)
                command_ends("web");
            if (pick(8) == 0 && s->pid)
                end("web", EXIT_CODE, 0, 1);
            assert_true(d.now + plan_stop(s->conf, s->step) >= s->deadline);
            pass(pick(2) ? pick(2000) : s->deadline - d.now);
        }
        assert_int_equal(s->state, SERVICE_KILLING);
        assert_true(s->since - s->stop_began <= worst);
        full += s->since - s->stop_began == worst;
        drive_teardown(state);
        drive_setup(state);
    }
    assert_in_range(full, 200, 2000);
}

/* ---- and within a deadline ---- */

static msec wait_of(const char *name)
{
    return get(name)->deadline - d.now;
}

static void down(void)
{
    engine_shutdown(&d.e, d.now);
    drive();
}

/* 30 s, of which db has its 10 in any case. */
static void test_extends_by_what_others_leave(void **state)
{
    (void)state;
    RELOAD(service("db"), at_most(needs("web", "db"), 60000));
    down();
    engine_limit(&d.e, d.now, d.now + 31000);
    assert_int_equal(wait_of("web"), 10000);
    for (int i = 0; i < 10; i++) {
        ask("web", 60000);
        pass(1000);
    }
    assert_int_equal(wait_of("web"), 10000);
    pass(10000);
    die("web");
    assert_int_equal(wait_of("db"), 10000);
    assert_int_equal(get("db")->deadline, d.e.kill_at);
}

/* Where there is too little for all, there is nothing more for anybody; asking is no use. */
static void test_extends_nobody_in_need(void **state)
{
    (void)state;
    RELOAD(service("db"), at_most(needs("web", "db"), 60000));
    down();
    engine_limit(&d.e, d.now, d.now + 10000);
    assert_int_equal(wait_of("web"), 4500);
    for (int i = 0; i < 9; i++) {
        ask("web", 60000);
        pass(500);
    }
    expect_state("web", SERVICE_KILLING);
    die("web");
    assert_int_equal(wait_of("db"), 4500);
}

/* The deadline comes when more time was given already. */
static void test_deadline_takes_it_back(void **state)
{
    static const struct {
        msec limit, wait;
    } cases[] = {
        {100000, 50000},                /* all of it can stay */
        {31000, 20000},                 /* 10 s are for db */
        {21000, 10000},  {20000, 9500}, /* what is written is shared */
        {10000, 4500},   {1000, 500},   /* the floor */
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        RELOAD(service("db"), at_most(needs("web", "db"), 60000));
        down();
        ask("web", 50000);
        assert_int_equal(wait_of("web"), 50000);
        engine_limit(&d.e, d.now, d.now + cases[i].limit);
        assert_int_equal(wait_of("web"), cases[i].wait);
        drive_teardown(state);
        drive_setup(state);
    }
}

/* What a service could ask for is no reason to take time from others. */
static void test_shares_are_of_what_is_written(void **state)
{
    (void)state;
    RELOAD(at_most(service("db"), 600000), needs("web", "db"));
    down();
    engine_limit(&d.e, d.now, d.now + 21000);
    assert_int_equal(wait_of("web"), 10000);
}

/* ---- leaving by itself ---- */

static void test_leaves(void **state)
{
    (void)state;
    RELOAD(steps(service("web")));
    tell("web", EVENT_LEAVING);
    expect("web:spawn");
    expect_state("web", SERVICE_STOPPING);
    assert_true(get("web")->by_itself);
    assert_false(get("web")->ready);
    assert_int_equal(wait_of("web"), 3000);
    pass(2999);
    leave("web", 0);
    expect("web:sweep");
    assert_int_equal(get("web")->cause, CAUSE_EXIT);
    pass(60000);
    tell("web", EVENT_DOWN);
    assert_false(get("web")->by_itself);
}

/* What follows is what would follow such an exit. */
static void test_what_follows_leaving(void **state)
{
    static const struct {
        int policy, code;
        enum service_state after;
    } cases[] = {
        {CONF_ALWAYS, 0, SERVICE_BACKOFF},   {CONF_ALWAYS, 1, SERVICE_BACKOFF},
        {CONF_ON_FAILURE, 0, SERVICE_DONE},  {CONF_ON_FAILURE, 1, SERVICE_BACKOFF},
        {CONF_NEVER_AGAIN, 0, SERVICE_DONE}, {CONF_NEVER_AGAIN, 1, SERVICE_FAILED},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct conf *web = service("web");
        web->restart.policy = cases[i].policy;
        RELOAD(web);
        tell("web", EVENT_LEAVING);
        leave("web", cases[i].code);
        expect_state("web", cases[i].after);
        assert_int_equal(get("web")->cause, CAUSE_EXIT);
        drive_teardown(state);
        drive_setup(state);
    }
}

/* Who says so and stays is stopped by what comes after the signal. */
static void test_leaves_and_stays(void **state)
{
    (void)state;
    RELOAD(steps(service("web")));
    tell("web", EVENT_LEAVING);
    pass(3000);
    expect("web:spawn web:INT");
    pass(4000);
    expect("web:KILL");
    end("web", EXIT_SIGNAL, SIGKILL, 0);
    expect_state("web", SERVICE_BACKOFF);
    assert_int_equal(get("web")->tries.failures, 1);
}

static void test_leaves_others_behind(void **state)
{
    struct conf *mixed = service("mixed");

    (void)state;
    mixed->stop.to = CONF_TO_MIXED;
    RELOAD(service("web"), mixed);
    tell("web", EVENT_LEAVING);
    pass(4000);
    end("web", EXIT_CODE, 0, 2);
    expect("web:spawn mixed:spawn web:sweep");
    pass(6000);
    expect("web:KILL");
    tell("mixed", EVENT_LEAVING);
    end("mixed", EXIT_CODE, 0, 2);
    expect("mixed:KILL");
}

/* A wish that comes meanwhile decides what follows, and hastens nothing. */
static void test_wishes_while_leaving(void **state)
{
    static const struct {
        enum engine_event wish;
        enum service_state after;
    } cases[] = {
        {EVENT_DOWN, SERVICE_DOWN},     {EVENT_AGAIN, SERVICE_RUNNING},
        {EVENT_UP, SERVICE_BACKOFF},    {EVENT_LEAVING, SERVICE_BACKOFF},
        {EVENT_READY, SERVICE_BACKOFF}, {EVENT_FAULT, SERVICE_BACKOFF},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        RELOAD(service("web"));
        tell("web", EVENT_LEAVING);
        pass(2000);
        tell("web", cases[i].wish);
        assert_int_equal(wait_of("web"), 8000);
        expect("web:spawn");
        leave("web", 0);
        expect_state("web", cases[i].after);
        drive_teardown(state);
        drive_setup(state);
    }
}

static void test_shutdown_while_leaving(void **state)
{
    (void)state;
    RELOAD(service("db"), needs("web", "db"));
    tell("web", EVENT_LEAVING);
    d.trace[0] = '\0';
    down();
    pass(9999);
    expect("");
    pass(1);
    expect("web:KILL");
    die("web");
    expect("db:TERM");
    expect_state("web", SERVICE_DOWN);
}

static void test_hurry_while_leaving(void **state)
{
    (void)state;
    RELOAD(service("web"), service("late"));
    tell("web", EVENT_LEAVING);
    d.trace[0] = '\0';
    engine_hurry(&d.e, d.now);
    drive();
    expect("web:KILL late:KILL");
}

/* It asks for more time of it, too. */
static void test_extends_leaving(void **state)
{
    (void)state;
    RELOAD(at_most(service("web"), 60000));
    tell("web", EVENT_LEAVING);
    ask("web", 45000);
    pass(44999);
    expect("web:spawn");
    pass(1);
    expect("web:KILL");
}

static void test_leaves_while_starting(void **state)
{
    (void)state;
    RELOAD(notifies(service("web")), prepares(service("first")),
           oneshot("mount", CONF_NEVER_AGAIN));
    d.trace[0] = '\0';
    tell("web", EVENT_LEAVING);
    expect_state("web", SERVICE_STOPPING);
    leave("web", 0);
    expect_state("web", SERVICE_BACKOFF);
    tell("mount", EVENT_LEAVING);
    leave("mount", 0);
    expect_state("mount", SERVICE_DONE);
    tell("first", EVENT_LEAVING); /* before_start says nothing of the service */
    expect_state("first", SERVICE_STARTING);
    expect("web:sweep mount:sweep");
}

/* ---- the watchdog ---- */

static void test_watchdog(void **state)
{
    struct conf *web = says_goodbye(steps(service("web")));

    (void)state;
    web->watchdog_signal = SIGQUIT;
    RELOAD(web);
    bite("web");
    expect("web:spawn web:QUIT");
    assert_int_equal(get("web")->cause, CAUSE_WATCHDOG);
    pass(3000);
    expect("web:INT");
    end("web", EXIT_SIGNAL, SIGINT, 1);
    expect("web:sweep");
    all_gone("web");
    expect_state("web", SERVICE_BACKOFF);
    assert_int_equal(get("web")->cause, CAUSE_WATCHDOG);
    assert_int_equal(get("web")->tries.failures, 1);
    pass(1000);
    expect_state("web", SERVICE_RUNNING);
    tell("web", EVENT_DOWN);
    pass(9000);
    expect("web:spawn web:command web:command-end web:TERM");
}

/* Also one whose exit would be a success: it has not gone by itself. */
static void test_watchdog_is_a_failure(void **state)
{
    struct conf *web = service("web");

    (void)state;
    web->restart.policy = CONF_ON_FAILURE;
    RELOAD(web);
    bite("web");
    expect("web:spawn web:ABRT");
    leave("web", 0);
    expect_state("web", SERVICE_BACKOFF);
}

static void test_watchdog_while_starting(void **state)
{
    (void)state;
    RELOAD(notifies(service("web")), prepares(service("first")));
    d.trace[0] = '\0';
    bite("web");
    bite("first");
    expect("web:ABRT");
    expect_state("first", SERVICE_STARTING);
}

/* Between the decision to start it and its process, whatever is said is of an earlier life. */
static void test_nothing_counts_before_the_fork(void **state)
{
    struct service *s;

    (void)state;
    RELOAD(notifies(service("web")));
    s = get("web");
    leave("web", 1);
    d.now += 60000;
    engine_expire(&d.e, d.now);
    engine_settle(&d.e, d.now);
    assert_int_equal(s->state, SERVICE_STARTING);
    assert_int_equal(s->pid, 0);
    engine_event(&d.e, s, EVENT_READY, d.now, NULL);
    engine_event(&d.e, s, EVENT_FAULT, d.now, NULL);
    engine_event(&d.e, s, EVENT_LEAVING, d.now, NULL);
    assert_int_equal(s->state, SERVICE_STARTING);
    assert_false(s->ready);
    drive();
    assert_true(s->pid > 0);
    assert_int_equal(d.e.impossible, 0);
}

/* In a stop it does not matter any more; the signal is that of the stop. */
static void test_watchdog_while_stopping(void **state)
{
    (void)state;
    RELOAD(says_goodbye(service("web")));
    tell("web", EVENT_DOWN);
    bite("web");
    command_ends("web");
    expect("web:spawn web:command web:TERM");
    pass(10000);
    bite("web");
    expect("web:KILL");
    assert_int_equal(get("web")->cause, CAUSE_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_new_main),
        TEST(test_new_main_while_starting),
        TEST(test_new_main_while_stopping),
        TEST(test_no_main_of_before_start),
        TEST(test_no_main_before_the_exec),
        TEST(test_no_main_of_the_killed),
        TEST(test_extends_start),
        TEST(test_start_without_end),
        TEST(test_extends_before_start),
        TEST(test_extends_stop),
        TEST(test_extends_by_what_is_left),
        TEST(test_extends_a_stop_for_a_fault),
        TEST(test_not_asked_is_as_ever),
        TEST(test_extends_before_the_signal),
        TEST(test_never_beyond_the_plan),
        TEST(test_extends_by_what_others_leave),
        TEST(test_extends_nobody_in_need),
        TEST(test_deadline_takes_it_back),
        TEST(test_shares_are_of_what_is_written),
        TEST(test_leaves),
        TEST(test_what_follows_leaving),
        TEST(test_leaves_and_stays),
        TEST(test_leaves_others_behind),
        TEST(test_wishes_while_leaving),
        TEST(test_shutdown_while_leaving),
        TEST(test_hurry_while_leaving),
        TEST(test_extends_leaving),
        TEST(test_leaves_while_starting),
        TEST(test_watchdog),
        TEST(test_watchdog_is_a_failure),
        TEST(test_watchdog_while_starting),
        TEST(test_watchdog_while_stopping),
        TEST(test_nothing_counts_before_the_fork),
    };

    return cmocka_run_group_tests_name("engine-notify", tests, NULL, NULL);
}
