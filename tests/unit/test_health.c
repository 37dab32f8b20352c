/* When is a service probed, what do the answers amount to, when is its watchdog late: to the
 * millisecond, and through random lives with what must hold for all of them. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tend/health.h"

static const msec START = 1000000;

static struct conf conf;
static struct health h;
static char there[] = "127.0.0.1:80", elsewhere[] = "127.0.0.1:81";

static int setup(void **state)
{
    (void)state;
    conf = (struct conf){.ready = {.on = CONF_READY_EXEC, .every = 500, .command_timeout = 10000},
                         .health = {.every = 10000, .timeout = 2000, .failures = 3}};
    health_off(&h);
    return 0;
}

static void with_health(enum conf_then then)
{
    conf.health.tcp = there;
    conf.health.then = then;
}

/* ---- what is due ---- */

static void nothing_at(msec now)
{
    enum health_verdict verdict = HEALTH_FAULT;

    assert_int_equal(health_expire(&h, &conf, now, &verdict), HEALTH_NOTHING);
    assert_int_equal(verdict, HEALTH_FAULT); /* left alone */
}

/* Not a millisecond earlier, and nothing else with it. */
static enum health_verdict exactly_at(msec when, enum health_due due)
{
    enum health_verdict verdict = HEALTH_SAME;

    assert_true(health_deadline(&h) == when);
    nothing_at(when - 1);
    assert_int_equal(health_expire(&h, &conf, when, &verdict), due);
    return verdict;
}

static void nothing_more(void)
{
    assert_true(health_deadline(&h) == NEVER);
    nothing_at(NEVER - 1);
}

static enum health_verdict answer_at(msec now, bool well)
{
    return health_answer(&h, &conf, well, now);
}

/* A whole probe that takes 5 ms; the time of the next. */
static msec probe(msec when, bool well, enum health_verdict verdict)
{
    exactly_at(when, HEALTH_PROBE);
    assert_true(h.probing);
    assert_int_equal(answer_at(when + 5, well), verdict);
    assert_false(h.probing);
    return when + 5 + conf.health.every;
}

/* ---- readiness ---- */

static void who_is_ready_otherwise_is_not_asked(void **state)
{
    static const int kinds[] = {CONF_READY_EXEC, CONF_READY_EXIT, CONF_READY_NOTIFY, CONF_READY_FD};

    (void)state;
    with_health(CONF_THEN_RESTART);
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        health_off(&h);
        conf.ready.on = kinds[i];
        health_starting(&h, &conf, START);
        nothing_more();
    }
}

static void readiness_is_asked_at_once_then_ever_more_rarely(void **state)
{
    static const int kinds[] = {CONF_READY_TCP, CONF_READY_UNIX, CONF_READY_COMMAND};
    static const msec waits[] = {10, 20, 40, 80, 160, 320, 500, 500, 500};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        msec when = START;
        health_off(&h);
        conf.ready.on = kinds[i];
        health_starting(&h, &conf, when);
        for (size_t j = 0; j < ARRAY_SIZE(waits); j++) {
            exactly_at(when, HEALTH_PROBE);
            assert_int_equal(answer_at(when + 3, false), HEALTH_SAME);
            when += 3 + waits[j];
        }
        exactly_at(when, HEALTH_PROBE);
        assert_int_equal(answer_at(when, true), HEALTH_READY);
        nothing_more();
    }
}

static void the_first_wait_is_no_longer_than_every(void **state)
{
    (void)state;
    conf.ready.on = CONF_READY_TCP;
    conf.ready.every = 1;
    health_starting(&h, &conf, START);
    for (int i = 0; i < 5; i++) {
        exactly_at(START + i, HEALTH_PROBE);
        answer_at(START + i, false);
    }
}

static void a_connection_for_readiness_has_a_second(void **state)
{
    (void)state;
    conf.ready.on = CONF_READY_TCP;
    health_starting(&h, &conf, START);
    exactly_at(START, HEALTH_PROBE);
    assert_int_equal(exactly_at(START + 1000, HEALTH_LATE), HEALTH_SAME);
    exactly_at(START + 1010, HEALTH_PROBE);
}

static void a_command_for_readiness_has_its_own_time(void **state)
{
    (void)state;
    conf.ready.on = CONF_READY_COMMAND;
    conf.ready.command_timeout = 7000;
    health_starting(&h, &conf, START);
    exactly_at(START, HEALTH_PROBE);
    assert_int_equal(exactly_at(START + 7000, HEALTH_LATE), HEALTH_SAME);
    exactly_at(START + 7010, HEALTH_PROBE);
}

/* Else what is due would never end. */
static void no_wait_is_nothing(void **state)
{
    enum health_verdict verdict = HEALTH_SAME;

    (void)state;
    conf.ready.on = CONF_READY_TCP;
    conf.ready.every = 0;
    health_starting(&h, &conf, START);
    exactly_at(START, HEALTH_PROBE);
    answer_at(START, false);
    exactly_at(START + 1, HEALTH_PROBE);
    conf.health.tcp = there;
    conf.health.every = conf.health.timeout = 0;
    health_running(&h, &conf, START);
    exactly_at(START + 1, HEALTH_PROBE);
    assert_int_equal(health_expire(&h, &conf, START + 1, &verdict), HEALTH_LATE);
    exactly_at(START + 2, HEALTH_PROBE);
}

/* ---- health ---- */

static void who_has_no_health_is_not_asked(void **state)
{
    (void)state;
    health_running(&h, &conf, START);
    nothing_more();
}

static void every_kind_of_target_is_asked(void **state)
{
    char *words[] = {there, NULL};

    (void)state;
    for (int i = 0; i < 4; i++) {
        setup(state);
        if (i == 0)
            conf.health.command = words;
        else
            *(i == 1 ? &conf.health.tcp : i == 2 ? &conf.health.local : &conf.health.http) = there;
        health_running(&h, &conf, START);
        exactly_at(START + 10000, HEALTH_PROBE);
    }
}

static void waits_count_from_end_to_begin(void **state)
{
    msec when = START + 10000;

    (void)state;
    with_health(CONF_THEN_RESTART);
    health_running(&h, &conf, START);
    for (int i = 0; i < 10; i++)
        when = probe(when, true, HEALTH_SAME);
    exactly_at(when, HEALTH_PROBE);
    assert_int_equal(exactly_at(when + 2000, HEALTH_LATE), HEALTH_SAME);
    exactly_at(when + 2000 + 10000, HEALTH_PROBE);
}

static void a_limit_counts_from_the_real_begin(void **state)
{
    (void)state;
    with_health(CONF_THEN_RESTART);
    health_running(&h, &conf, START);
    exactly_at(START + 10000, HEALTH_PROBE);
    health_begun(&h, &conf, START + 10007);
    exactly_at(START + 12007, HEALTH_LATE);
    health_begun(&h, &conf, START + 13000); /* none is under way */
    exactly_at(START + 22007, HEALTH_PROBE);
}

static void failures_in_a_row_are_a_fault(void **state)
{
    msec when = START + 10000;

    (void)state;
    with_health(CONF_THEN_RESTART);
    health_running(&h, &conf, START);
    when = probe(when, false, HEALTH_SAME);
    when = probe(when, false, HEALTH_SAME);
    assert_int_equal(h.failures, 2);
    when = probe(when, true, HEALTH_SAME);
    assert_int_equal(h.failures, 0);
    when = probe(when, false, HEALTH_SAME);
    exactly_at(when, HEALTH_PROBE);
    assert_int_equal(exactly_at(when + 2000, HEALTH_LATE), HEALTH_SAME);
    probe(when + 12000, false, HEALTH_FAULT);
    assert_int_equal(h.failures, 3);
    nothing_more();
}

static void the_last_failure_may_be_a_late_one(void **state)
{
    (void)state;
    with_health(CONF_THEN_RESTART);
    conf.health.failures = 1;
    health_running(&h, &conf, START);
    exactly_at(START + 10000, HEALTH_PROBE);
    assert_int_equal(exactly_at(START + 12000, HEALTH_LATE), HEALTH_FAULT);
    nothing_more();
}

static void a_mark_is_put_once_and_taken_once(void **state)
{
    msec when = START + 10000;

    (void)state;
    with_health(CONF_THEN_MARK);
    health_running(&h, &conf, START);
    for (int round = 0; round < 2; round++) {
        when = probe(when, false, HEALTH_SAME);
        when = probe(when, false, HEALTH_SAME);
        when = probe(when, false, HEALTH_ILL);
        assert_true(h.marked);
        for (int i = 0; i < 5; i++)
            when = probe(when, false, HEALTH_SAME);
        assert_int_equal(h.failures, 8);
        when = probe(when, true, HEALTH_WELL);
        assert_false(h.marked);
        when = probe(when, true, HEALTH_SAME);
    }
}

static void failures_do_not_overflow(void **state)
{
    msec when = START + 10000;

    (void)state;
    with_health(CONF_THEN_MARK);
    health_running(&h, &conf, START);
    for (int i = 0; i < 3; i++)
        when = probe(when, false, i < 2 ? HEALTH_SAME : HEALTH_ILL);
    h.failures = UINT_MAX;
    probe(when, false, HEALTH_SAME);
    assert_true(h.failures == UINT_MAX);
}

static void what_could_not_be_made_says_nothing(void **state)
{
    msec when = START + 10000;

    (void)state;
    with_health(CONF_THEN_RESTART);
    health_running(&h, &conf, START);
    when = probe(when, false, HEALTH_SAME);
    for (int i = 0; i < 5; i++, when += 10000) {
        exactly_at(when, HEALTH_PROBE);
        health_skipped(&h, &conf, when);
    }
    assert_int_equal(h.failures, 1);
    when = probe(when, false, HEALTH_SAME);
    probe(when, false, HEALTH_FAULT);
    nothing_more();
    health_off(&h);
    health_running(&h, &conf, START);
    health_skipped(&h, &conf, START + 5); /* none is under way */
    exactly_at(START + 10000, HEALTH_PROBE);
}

static void readiness_that_could_not_be_asked_for_is_not_asked_for_at_once(void **state)
{
    (void)state;
    conf.ready.on = CONF_READY_TCP;
    health_starting(&h, &conf, START);
    exactly_at(START, HEALTH_PROBE);
    health_skipped(&h, &conf, START);
    exactly_at(START + 10, HEALTH_PROBE);
}

/* ---- when it changes its state ---- */

static void an_answer_after_the_end_is_ignored(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        conf.ready.on = CONF_READY_TCP;
        with_health(CONF_THEN_RESTART);
        conf.health.failures = 1;
        if (i == 0)
            health_starting(&h, &conf, START);
        else
            health_running(&h, &conf, START - 10000);
        exactly_at(START, HEALTH_PROBE);
        health_off(&h);
        assert_int_equal(answer_at(START + 1, i == 0), HEALTH_SAME);
        nothing_more();
    }
}

static void an_answer_after_it_was_late_is_ignored(void **state)
{
    (void)state;
    with_health(CONF_THEN_RESTART);
    health_running(&h, &conf, START);
    exactly_at(START + 10000, HEALTH_PROBE);
    exactly_at(START + 12000, HEALTH_LATE);
    assert_int_equal(answer_at(START + 12001, true), HEALTH_SAME);
    assert_int_equal(h.failures, 1);
    assert_true(health_deadline(&h) == START + 22000);
}

static void a_probe_for_readiness_is_none_for_health(void **state)
{
    (void)state;
    conf.ready.on = CONF_READY_TCP;
    with_health(CONF_THEN_RESTART);
    conf.health.failures = 1;
    health_starting(&h, &conf, START);
    exactly_at(START, HEALTH_PROBE);
    health_running(&h, &conf, START + 100);
    assert_int_equal(answer_at(START + 101, false), HEALTH_SAME);
    exactly_at(START + 10100, HEALTH_PROBE);
}

static void each_life_begins_anew(void **state)
{
    msec when = START + 10000;

    (void)state;
    with_health(CONF_THEN_MARK);
    conf.health.failures = 2;
    conf.watchdog = 100000;
    health_running(&h, &conf, START);
    when = probe(when, false, HEALTH_SAME);
    when = probe(when, false, HEALTH_ILL);
    health_off(&h);
    nothing_more();
    health_starting(&h, &conf, when);
    nothing_more();
    health_running(&h, &conf, when);
    assert_false(h.marked);
    assert_int_equal(h.failures, 0);
    probe(when + 10000, false, HEALTH_SAME);
}

/* Also where nobody told of the end of the one before. */
static void a_start_begins_a_life(void **state)
{
    (void)state;
    conf.ready.on = CONF_READY_TCP;
    with_health(CONF_THEN_RESTART);
    conf.watchdog = 7000;
    health_running(&h, &conf, START);
    health_set_watchdog(&h, 100, START);
    health_starting(&h, &conf, START + 50);
    exactly_at(START + 50, HEALTH_PROBE);
    assert_int_equal(answer_at(START + 60, true), HEALTH_READY);
    nothing_more();
    health_running(&h, &conf, START + 60);
    exactly_at(START + 7060, HEALTH_STARVED);
}

static void after_a_fault_there_is_nothing_until_it_runs_again(void **state)
{
    (void)state;
    with_health(CONF_THEN_RESTART);
    conf.health.failures = 1;
    conf.watchdog = 11000;
    for (int starved = 0; starved < 2; starved++) {
        health_running(&h, &conf, START);
        if (starved) {
            probe(START + 10000, true, HEALTH_SAME);
            exactly_at(START + 11000, HEALTH_STARVED);
        } else {
            probe(START + 10000, false, HEALTH_FAULT);
        }
        health_fed(&h, START + 12000);
        health_set_watchdog(&h, 1, START + 12000);
        health_changed(&h, &conf, START + 12000);
        assert_int_equal(answer_at(START + 12000, false), HEALTH_SAME);
        nothing_more();
    }
    health_running(&h, &conf, START + 20000);
    probe(START + 30000, false, HEALTH_FAULT);
}

static void what_runs_goes_on(void **state)
{
    (void)state;
    with_health(CONF_THEN_RESTART);
    conf.watchdog = 5000;
    health_running(&h, &conf, START);
    health_running(&h, &conf, START + 3000);
    exactly_at(START + 5000, HEALTH_STARVED);
}

/* ---- the watchdog ---- */

static void the_watchdog_is_fed_in_time_or_starves(void **state)
{
    (void)state;
    conf.watchdog = 5000;
    health_starting(&h, &conf, START);
    nothing_more();
    health_running(&h, &conf, START + 90000);
    nothing_at(START + 94999);
    health_fed(&h, START + 94999);
    nothing_at(START + 95000);
    health_fed(&h, START + 99000);
    exactly_at(START + 104000, HEALTH_STARVED);
    nothing_more();
}

/* Which was read only after the time was over: it stood in line. */
static void a_late_message_that_is_told_first_counts(void **state)
{
    (void)state;
    conf.watchdog = 5000;
    health_running(&h, &conf, START);
    health_fed(&h, START + 60000);
    exactly_at(START + 65000, HEALTH_STARVED);
}

static void the_service_may_set_its_watchdog(void **state)
{
    (void)state;
    health_running(&h, &conf, START);
    health_fed(&h, START);
    nothing_more();
    health_set_watchdog(&h, 3000, START + 1000);
    assert_true(health_deadline(&h) == START + 4000);
    health_set_watchdog(&h, 8000, START + 2000);
    assert_true(health_deadline(&h) == START + 10000);
    health_fed(&h, START + 5000);
    assert_true(health_deadline(&h) == START + 13000);
    health_set_watchdog(&h, 0, START + 6000);
    nothing_more();
    health_fed(&h, START + 7000);
    nothing_more();
    health_set_watchdog(&h, 1000, START + 8000);
    exactly_at(START + 9000, HEALTH_STARVED);
}

static void the_watchdog_waits_as_long_as_it_is_asked_to(void **state)
{
    (void)state;
    health_extend(&h, START, 5000);
    nothing_more();
    conf.watchdog = 5000;
    health_running(&h, &conf, START);
    health_extend(&h, START + 1000, 3000);
    assert_true(health_deadline(&h) == START + 5000);
    health_extend(&h, START + 1000, 9000);
    nothing_at(START + 9999);
    exactly_at(START + 10000, HEALTH_STARVED);
    health_extend(&h, START + 11000, 5000);
    nothing_more();
}

/* Also before it is known that it was executed; but not longer than it lives. */
static void a_watchdog_set_while_it_starts_is_kept(void **state)
{
    static const msec intervals[] = {3000, 0};

    (void)state;
    conf.watchdog = 5000;
    for (int early = 0; early < 2; early++) {
        for (size_t i = 0; i < ARRAY_SIZE(intervals); i++) {
            health_off(&h);
            if (early)
                health_set_watchdog(&h, intervals[i], START);
            health_starting(&h, &conf, START + 1);
            if (!early)
                health_set_watchdog(&h, intervals[i], START + 2);
            nothing_more();
            health_running(&h, &conf, START + 60000);
            assert_true(health_deadline(&h) == (i == 0 ? START + 63000 : NEVER));
        }
        health_off(&h);
        health_starting(&h, &conf, START);
        health_running(&h, &conf, START);
        exactly_at(START + 5000, HEALTH_STARVED);
    }
}

static void no_interval_is_too_long(void **state)
{
    (void)state;
    conf.watchdog = NEVER;
    health_running(&h, &conf, START);
    nothing_more();
    health_set_watchdog(&h, NEVER - 5, START);
    nothing_more();
}

static void who_starves_is_not_probed_any_more(void **state)
{
    enum health_verdict verdict = HEALTH_SAME;

    (void)state;
    with_health(CONF_THEN_RESTART);
    conf.watchdog = 10000;
    health_running(&h, &conf, START);
    exactly_at(START + 10000, HEALTH_STARVED); /* and not begun */
    nothing_more();

    setup(state);
    with_health(CONF_THEN_RESTART);
    conf.watchdog = 11000;
    health_running(&h, &conf, START);
    exactly_at(START + 10000, HEALTH_PROBE);
    exactly_at(START + 11000, HEALTH_STARVED);
    assert_int_equal(answer_at(START + 11001, false), HEALTH_SAME);
    assert_int_equal(health_expire(&h, &conf, START + 20000, &verdict), HEALTH_NOTHING);
}

/* ---- a machine that stood still ---- */

static void a_pause_is_one_probe_and_one_failure(void **state)
{
    enum health_verdict verdict = HEALTH_SAME;
    msec after = START + 3600 * 1000;

    (void)state;
    with_health(CONF_THEN_RESTART);
    health_running(&h, &conf, START);
    assert_int_equal(health_expire(&h, &conf, after, &verdict), HEALTH_PROBE);
    nothing_at(after);
    after *= 2;
    assert_int_equal(health_expire(&h, &conf, after, &verdict), HEALTH_LATE);
    assert_int_equal(verdict, HEALTH_SAME);
    assert_int_equal(h.failures, 1);
    nothing_at(after);
    exactly_at(after + 10000, HEALTH_PROBE);
}

static void there_is_one_fault_however_late_it_is_seen(void **state)
{
    enum health_verdict verdict = HEALTH_SAME;
    msec after = START + 3600 * 1000;

    (void)state;
    with_health(CONF_THEN_RESTART);
    conf.health.failures = 1;
    conf.watchdog = 60000;
    health_running(&h, &conf, START);
    exactly_at(START + 10000, HEALTH_PROBE);
    assert_int_equal(health_expire(&h, &conf, after, &verdict), HEALTH_LATE);
    assert_int_equal(verdict, HEALTH_FAULT);
    nothing_more();
}

/* ---- a reload ---- */

static void new_times_hold_at_once(void **state)
{
    (void)state;
    with_health(CONF_THEN_RESTART);
    health_running(&h, &conf, START);
    conf.health.every = 30000;
    health_changed(&h, &conf, START + 5000);
    assert_true(health_deadline(&h) == START + 30000);
    conf.health.every = 1000;
    health_changed(&h, &conf, START + 5000);
    assert_int_equal(health_expire(&h, &conf, START + 5000, NULL), HEALTH_PROBE);
    conf.health.timeout = 300;
    health_changed(&h, &conf, START + 5100);
    exactly_at(START + 5300, HEALTH_LATE);
}

/* However often it is said that something may be new. */
static void what_did_not_change_is_left_alone(void **state)
{
    struct health before;
    msec when = START + 10000;

    (void)state;
    with_health(CONF_THEN_MARK);
    conf.watchdog = 50000;
    conf.health.failures = 1;
    health_running(&h, &conf, START);
    when = probe(when, false, HEALTH_ILL);
    for (int i = 0; i < 2; i++) {
        before = h;
        for (int j = 0; j < 10; j++)
            health_changed(&h, &conf, START + 11000 + j);
        assert_memory_equal(&before, &h, sizeof h);
        if (i == 0)
            exactly_at(when, HEALTH_PROBE);
    }
}

static void health_may_come_and_go(void **state)
{
    (void)state;
    conf.health.failures = 1;
    health_running(&h, &conf, START);
    with_health(CONF_THEN_MARK);
    health_changed(&h, &conf, START + 5000);
    probe(START + 15000, false, HEALTH_ILL);
    exactly_at(START + 25005, HEALTH_PROBE);
    conf.health.tcp = NULL;
    health_changed(&h, &conf, START + 26000);
    assert_false(h.marked || h.probing || h.failures);
    assert_int_equal(answer_at(START + 26001, false), HEALTH_SAME);
    nothing_more();
    conf.health.http = there;
    health_changed(&h, &conf, START + 30000);
    exactly_at(START + 40000, HEALTH_PROBE);
}

static void failures_of_another_target_do_not_count(void **state)
{
    msec when = START + 10000;

    (void)state;
    with_health(CONF_THEN_RESTART);
    health_running(&h, &conf, START);
    when = probe(when, false, HEALTH_SAME);
    when = probe(when, false, HEALTH_SAME);
    exactly_at(when, HEALTH_PROBE);
    conf.health.tcp = elsewhere;
    health_changed(&h, &conf, when + 100);
    assert_false(h.probing);
    assert_int_equal(answer_at(when + 101, false), HEALTH_SAME);
    when = probe(when + 10100, false, HEALTH_SAME);
    when = probe(when, false, HEALTH_SAME);
    probe(when, false, HEALTH_FAULT);
}

static void each_word_is_part_of_a_target(void **state)
{
    static char ab[] = "/bin/ab", rest[] = "c", one[] = "/bin/a", other[] = "bc";
    char *words[] = {ab, rest, NULL}, *cut[] = {one, other, NULL}, *shorter[] = {ab, NULL};
    char **all[] = {words, cut, words, shorter};

    (void)state;
    conf.health.command = cut;
    health_running(&h, &conf, START);
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        h.failures = 2;
        conf.health.command = all[i];
        health_changed(&h, &conf, START);
        assert_int_equal(h.failures, 0);
    }
    conf.health.command = NULL;
    for (int i = 0; i < 6; i++) {
        char **key = i < 2 ? &conf.health.tcp : i < 4 ? &conf.health.local : &conf.health.http;
        conf.health.tcp = conf.health.local = conf.health.http = NULL;
        *key = i % 2 ? there : elsewhere;
        h.failures = 2;
        health_changed(&h, &conf, START);
        assert_int_equal(h.failures, 0);
    }
}

static void a_lower_limit_is_judged_at_the_next_failure(void **state)
{
    msec when = START + 10000;

    (void)state;
    with_health(CONF_THEN_MARK);
    conf.health.failures = 2;
    health_running(&h, &conf, START);
    when = probe(when, false, HEALTH_SAME);
    when = probe(when, false, HEALTH_ILL);
    conf.health.then = CONF_THEN_RESTART;
    conf.health.failures = 1;
    health_changed(&h, &conf, when - 1);
    probe(when, false, HEALTH_FAULT);
}

static void readiness_follows_a_reload(void **state)
{
    msec when = START;

    (void)state;
    conf.ready.on = CONF_READY_TCP;
    conf.ready.tcp = there;
    health_starting(&h, &conf, START);
    health_changed(&h, &conf, START); /* before the first */
    for (int i = 0; i < 8; i++) {
        exactly_at(when, HEALTH_PROBE);
        answer_at(when, false);
        when = health_deadline(&h);
    }
    conf.ready.every = 100;
    health_changed(&h, &conf, when - 500);
    exactly_at(when - 400, HEALTH_PROBE);
    conf.ready.tcp = elsewhere;
    health_changed(&h, &conf, when);
    assert_int_equal(answer_at(when, true), HEALTH_SAME);
    exactly_at(when + 100, HEALTH_PROBE);
    assert_int_equal(answer_at(when + 100, true), HEALTH_READY);
    health_changed(&h, &conf, when + 200);
    nothing_more();
}

static void the_watchdog_outlives_a_reload(void **state)
{
    (void)state;
    conf.watchdog = 5000;
    health_running(&h, &conf, START);
    conf.watchdog = 1;
    health_changed(&h, &conf, START + 1000);
    exactly_at(START + 5000, HEALTH_STARVED);
}

/* ---- random lives ---- */

static struct {
    msec begun, ended; /* a probe; NEVER: none */
    msec fed;
    msec watchdog;
    unsigned row;
    bool running, over, marked;
} model;

static void must_agree(enum health_verdict verdict)
{
    bool enough = model.row >= (unsigned)conf.health.failures;
    bool restarts = conf.health.then == CONF_THEN_RESTART;
    enum health_verdict expected = HEALTH_SAME;

    if (model.row && enough && restarts)
        expected = HEALTH_FAULT;
    else if (model.row && enough && !model.marked)
        expected = HEALTH_ILL;
    else if (!model.row && model.marked)
        expected = HEALTH_WELL;
    assert_int_equal(verdict, expected);
    model.marked = model.row && (model.marked || enough);
    model.over = expected == HEALTH_FAULT;
}

static void model_answer(msec now, bool well)
{
    model.begun = NEVER;
    model.ended = now;
    model.row = well ? 0 : model.row + 1;
}

static void model_due(msec now)
{
    enum health_verdict verdict = HEALTH_SAME;
    enum health_due due = health_expire(&h, &conf, now, &verdict);

    for (; due != HEALTH_NOTHING; due = health_expire(&h, &conf, now, &verdict)) {
        assert_true(model.running && !model.over);
        if (due == HEALTH_PROBE) {
            assert_true(model.begun == NEVER && now >= model.ended + conf.health.every);
            model.begun = now;
        } else if (due == HEALTH_LATE) {
            assert_true(model.begun != NEVER && now >= model.begun + conf.health.timeout);
            model_answer(now, false);
            must_agree(verdict);
        } else {
            assert_true(model.watchdog && now >= model.fed + model.watchdog);
            model.over = true;
        }
    }
    if (!model.running || model.over)
        assert_true(health_deadline(&h) == NEVER);
    else
        assert_true(health_deadline(&h) > now);
}

static void model_run(msec now)
{
    health_off(&h);
    health_starting(&h, &conf, now);
    health_running(&h, &conf, now);
    memset(&model, 0, sizeof model);
    model.running = true;
    model.begun = NEVER;
    model.ended = model.fed = now;
    model.watchdog = conf.watchdog;
}

static void model_step(msec now)
{
    bool well = rand() % 3 != 0;

    switch (rand() % 12) {
    case 0:
        health_off(&h);
        model.running = false;
        break;
    case 1:
        health_changed(&h, &conf, now);
        break;
    case 2:
        if (model.over || !model.running)
            model_run(now);
        break;
    case 3:
        health_set_watchdog(&h, conf.watchdog, now);
        health_fed(&h, now);
        model.fed = now;
        break;
    case 4:
    case 5:
        health_fed(&h, now);
        model.fed = now;
        break;
    default:
        if (!model.running || model.over || model.begun == NEVER) {
            assert_int_equal(answer_at(now, well), HEALTH_SAME);
            break;
        }
        model_answer(now, well);
        must_agree(answer_at(now, well));
    }
}

static void random_lives_hold_their_rules(void **state)
{
    srand(1);
    for (int life = 0; life < 2000; life++) {
        msec now = START;
        setup(state);
        with_health(rand() % 2 ? CONF_THEN_MARK : CONF_THEN_RESTART);
        conf.health.every = 1 + rand() % 50;
        conf.health.timeout = 1 + rand() % 50;
        conf.health.failures = 1 + rand() % 4;
        conf.watchdog = rand() % 3 ? 1 + rand() % 300 : 0;
        model_run(now);
        for (int i = 0; i < 300; i++) {
            now += rand() % 8 ? rand() % 10 : rand() % 200;
            if (rand() % 2)
                model_step(now);
            model_due(now);
        }
    }
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_is_ready_otherwise_is_not_asked),
        TEST(readiness_is_asked_at_once_then_ever_more_rarely),
        TEST(the_first_wait_is_no_longer_than_every),
        TEST(a_connection_for_readiness_has_a_second),
        TEST(a_command_for_readiness_has_its_own_time),
        TEST(no_wait_is_nothing),
        TEST(who_has_no_health_is_not_asked),
        TEST(every_kind_of_target_is_asked),
        TEST(waits_count_from_end_to_begin),
        TEST(a_limit_counts_from_the_real_begin),
        TEST(failures_in_a_row_are_a_fault),
        TEST(the_last_failure_may_be_a_late_one),
        TEST(a_mark_is_put_once_and_taken_once),
        TEST(failures_do_not_overflow),
        TEST(what_could_not_be_made_says_nothing),
        TEST(readiness_that_could_not_be_asked_for_is_not_asked_for_at_once),
        TEST(an_answer_after_the_end_is_ignored),
        TEST(an_answer_after_it_was_late_is_ignored),
        TEST(a_probe_for_readiness_is_none_for_health),
        TEST(each_life_begins_anew),
        TEST(a_start_begins_a_life),
        TEST(after_a_fault_there_is_nothing_until_it_runs_again),
        TEST(what_runs_goes_on),
        TEST(the_watchdog_is_fed_in_time_or_starves),
        TEST(a_late_message_that_is_told_first_counts),
        TEST(the_service_may_set_its_watchdog),
        TEST(the_watchdog_waits_as_long_as_it_is_asked_to),
        TEST(a_watchdog_set_while_it_starts_is_kept),
        TEST(no_interval_is_too_long),
        TEST(who_starves_is_not_probed_any_more),
        TEST(a_pause_is_one_probe_and_one_failure),
        TEST(there_is_one_fault_however_late_it_is_seen),
        TEST(new_times_hold_at_once),
        TEST(what_did_not_change_is_left_alone),
        TEST(health_may_come_and_go),
        TEST(failures_of_another_target_do_not_count),
        TEST(each_word_is_part_of_a_target),
        TEST(a_lower_limit_is_judged_at_the_next_failure),
        TEST(readiness_follows_a_reload),
        TEST(the_watchdog_outlives_a_reload),
        TEST(random_lives_hold_their_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
