/* After a life: done, wait how long, or give up. Tables, edges, and random lives with what must
 * hold for all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "make.h"
#include "tend/backoff.h"

static struct conf *conf;
static struct tries tries;

static int setup(void **state)
{
    (void)state;
    conf = make_conf("web", NULL, NULL, NULL);
    conf->restart.policy = CONF_ALWAYS;
    conf->restart.delay = 100;
    conf->restart.max_delay = 30000;
    conf->restart.limit = 0;
    conf->restart.window = 60000;
    conf->restart.healthy = 60000;
    tries = (struct tries){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    conf_free(conf);
    return 0;
}

/* A life of no length: the delay after it, -1: gave up, -2: done. */
static msec fail_at(msec now)
{
    msec next = -7;
    enum backoff b;

    backoff_started(conf, &tries, now);
    b = backoff_after(conf, &tries, false, now, now, &next);
    if (b != BACKOFF_WAIT)
        assert_int_equal(next, -7);
    return b == BACKOFF_WAIT ? next - now : b == BACKOFF_GIVE_UP ? -1 : -2;
}

/* ---- policy ---- */

static void test_policies(void **state)
{
    static const struct {
        int policy;
        enum backoff success, failure;
    } all[] = {
        {CONF_ALWAYS, BACKOFF_WAIT, BACKOFF_WAIT},
        {CONF_ON_FAILURE, BACKOFF_DONE, BACKOFF_WAIT},
        {CONF_NEVER_AGAIN, BACKOFF_DONE, BACKOFF_GIVE_UP},
    };
    msec next;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        conf->restart.policy = all[i].policy;
        assert_int_equal(backoff_after(conf, &tries, true, 0, 1, &next), all[i].success);
        assert_int_equal(backoff_after(conf, &tries, false, 0, 1, &next), all[i].failure);
    }
}

/* What is done did not fail, and what gives up has no next start. */
static void test_done_counts_nothing(void **state)
{
    struct tries before;
    msec next = -7;

    (void)state;
    conf->restart.policy = CONF_ON_FAILURE;
    fail_at(1000);
    before = tries;
    assert_int_equal(backoff_after(conf, &tries, true, 1100, 1200, &next), BACKOFF_DONE);
    assert_memory_equal(&before, &tries, sizeof tries);
    assert_int_equal(next, -7);
}

/* ---- delay ---- */

static void test_doubles_to_the_cap(void **state)
{
    msec full = 100, last = 0;

    (void)state;
    for (int i = 1; i <= 40; i++, full = full * 2 > 30000 ? 30000 : full * 2) {
        msec delay = fail_at(1000000 * (msec)i);
        msec least = i == 1 ? full : full - full / 8;
        if (delay > full || delay < least || delay < last)
            fail_msg("failure %d: %lld, not in %lld..%lld, before %lld", i, (long long)delay,
                     (long long)least, (long long)full, (long long)last);
        last = delay;
    }
}

/* From start to start, not from end to start. */
static void test_counts_from_the_start(void **state)
{
    msec next;

    (void)state;
    conf->restart.delay = 5000;
    assert_int_equal(backoff_after(conf, &tries, false, 1000, 3000, &next), BACKOFF_WAIT);
    assert_int_equal(next, 6000);
    backoff_forget(&tries);
    assert_int_equal(backoff_after(conf, &tries, false, 1000, 9000, &next), BACKOFF_WAIT);
    assert_int_equal(next, 9000);
}

static void test_extremes(void **state)
{
    static const struct {
        msec delay, max_delay;
    } all[] = {{0, 0}, {0, 30000}, {1, 1}, {1, CONF_TIME_MAX}, {CONF_TIME_MAX, CONF_TIME_MAX}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        msec last = 0;
        backoff_forget(&tries);
        conf->restart.delay = all[i].delay;
        conf->restart.max_delay = all[i].max_delay;
        for (int k = 0; k < 200; k++) {
            msec delay = fail_at(CONF_TIME_MAX * (1 + k));
            assert_true(delay >= last && delay >= all[i].delay && delay <= all[i].max_delay);
            last = delay;
        }
        assert_true(last >= all[i].max_delay - all[i].max_delay / 8 || all[i].delay == 0);
    }
}

/* A counter at its end: the delay stays, and nothing takes long. */
static void test_many_failures(void **state)
{
    (void)state;
    tries.failures = UINT32_MAX - 2;
    tries.delay = 29000;
    assert_in_range(fail_at(1000), 29000, 30000);
    conf->restart.delay = 0;
    for (int i = 0; i < 3; i++)
        assert_int_equal(fail_at(1000), 0);
}

/* Thousand services that started in the same millisecond do not come back in the same one. */
static void test_spread(void **state)
{
    enum { N = 1000, BUCKETS = 10 };
    size_t bucket[BUCKETS] = {0};
    char name[16];

    (void)state;
    conf->restart.delay = 16000;
    for (int i = 0; i < N; i++) {
        msec delay;
        snprintf(name, sizeof name, "web%d", i);
        free(conf->name);
        conf->name = strdup(name);
        backoff_forget(&tries);
        tries.failures = 1;
        conf->restart.max_delay = 16000;
        conf->restart.delay = 8000;
        delay = fail_at(777);
        assert_in_range(delay, 14000, 16000);
        bucket[(delay - 14000) * BUCKETS / 2001]++;
    }
    for (size_t i = 0; i < BUCKETS; i++)
        if (bucket[i] < N / BUCKETS / 2 || bucket[i] > N / BUCKETS * 2)
            fail_msg("%zu of %d in part %zu", bucket[i], N, i);
}

static void test_same_life_same_delay(void **state)
{
    struct tries before = {.failures = 3, .delay = 200};
    msec one, two;

    (void)state;
    tries = before;
    one = fail_at(5555);
    tries = before;
    two = fail_at(5555);
    assert_int_equal(one, two);
}

/* ---- healthy ---- */

static void test_healthy_forgets(void **state)
{
    static const struct tries none;

    (void)state;
    conf->restart.limit = 5;
    fail_at(1000);
    fail_at(2000);
    backoff_ran(conf, &tries, 59999);
    assert_int_equal(tries.failures, 2);
    assert_int_equal(tries.starts, 2);
    backoff_ran(conf, &tries, 60000);
    assert_memory_equal(&tries, &none, sizeof tries);
    assert_int_equal(fail_at(100000), 100);
}

/* ---- limit ---- */

/* Starts one after the other, gap apart: how many lives until it gives up; 0: it goes on. */
static int lives(msec gap, msec begin)
{
    backoff_forget(&tries);
    for (int i = 1; i <= 4000; i++) {
        tries.delay = 0;
        if (fail_at(begin + i * gap) == -1)
            return i;
    }
    return 0;
}

static void test_limit_is_exact(void **state)
{
    (void)state;
    for (long limit = 1; limit <= TRIES_KEPT; limit++) {
        conf->restart.limit = limit;
        conf->restart.window = 10000 * limit;
        assert_int_equal(lives(0, 1000), limit);
        assert_int_equal(lives(1, 1000), limit);
        if (limit == 1)
            continue;
        /* (limit - 1) gaps between so many starts: just inside the window, just outside */
        assert_int_equal(lives((conf->restart.window - 1) / (limit - 1), 1000), limit);
        assert_int_equal(lives(conf->restart.window / (limit - 1) + 1, 1000), 0);
    }
}

static void test_window_edge(void **state)
{
    msec next;

    (void)state;
    conf->restart.limit = 2;
    for (int past = -1; past <= 1; past++) {
        backoff_forget(&tries);
        backoff_started(conf, &tries, 1000);
        backoff_started(conf, &tries, 2000);
        assert_int_equal(backoff_after(conf, &tries, false, 2000, 61000 + past, &next),
                         past < 0 ? BACKOFF_GIVE_UP : BACKOFF_WAIT);
    }
}

/* The fork was dated a moment later than the death that follows. */
static void test_limit_of_one_that_dies_at_once(void **state)
{
    struct tries t = {0};
    msec next;

    (void)state;
    conf->restart.limit = 1;
    backoff_started(conf, &t, 1001);
    assert_int_equal(backoff_after(conf, &t, false, 1001, 1000, &next), BACKOFF_GIVE_UP);
}

static void test_limit_zero_is_none(void **state)
{
    (void)state;
    assert_int_equal(lives(0, 1000), 0);
    assert_int_equal(tries.starts, 0);
}

/* More than can be kept: the same rate, over a shorter time. */
static void test_limit_as_a_rate(void **state)
{
    (void)state;
    conf->restart.limit = 100;
    conf->restart.window = 100000;
    assert_int_equal(lives(0, 1000), TRIES_KEPT);
    assert_int_equal(lives(900, 1000), TRIES_KEPT);
    assert_int_equal(lives(1200, 1000), 0);
    conf->restart.limit = 1000000;
    conf->restart.window = CONF_TIME_MAX;
    assert_int_equal(lives(30000, 1000), TRIES_KEPT);
    assert_int_equal(lives(40000, 1000), 0);
}

/* A reload may change the limit between two starts, in both directions. */
static void test_limit_changes(void **state)
{
    (void)state;
    conf->restart.limit = 8;
    for (int i = 1; i <= 7; i++)
        assert_int_not_equal(fail_at(1000 + i), -1);
    conf->restart.limit = 5;
    assert_int_equal(fail_at(1020), -1);
    assert_int_equal(tries.starts, 5);
    conf->restart.limit = 7;
    assert_int_not_equal(fail_at(1030), -1);
    assert_int_equal(fail_at(1031), -1);
    conf->restart.limit = 0;
    assert_int_not_equal(fail_at(1032), -1);
}

/* Times are kept in 32 bits: 49 days after boot they begin anew. */
static void test_time_wraps(void **state)
{
    const msec wrap = INT64_C(1) << 32;

    (void)state;
    conf->restart.limit = 5;
    for (msec begin = wrap - 10; begin <= wrap + 10; begin++) {
        assert_int_equal(lives(1, begin), 5);
        assert_int_equal(lives(14999, begin - 45000), 5);
        assert_int_equal(lives(15001, begin - 45000), 0);
    }
}

/* ---- any life ---- */

static uint32_t seed = 1;
static uint32_t pick(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % below;
}

/* Lives one after the other, the next start as told or later: delays in range and never shorter, no
 * more starts in a window than the limit. */
static void random_lives(void)
{
    msec start = 1 + pick(1000), recent[TRIES_KEPT] = {0}, delay = 0, next, end;
    long limit = conf->restart.limit;

    for (int i = 0; i < 60; i++) {
        backoff_started(conf, &tries, start);
        if (i >= limit && limit)
            assert_true(start - recent[i % limit] >= conf->restart.window);
        recent[limit ? i % limit : 0] = start;
        end = start + pick(pick(4) ? 50 : 50000);
        if (backoff_after(conf, &tries, pick(2), start, end, &next) != BACKOFF_WAIT)
            return;
        assert_true(next >= end && next >= start + conf->restart.delay);
        assert_true(tries.delay >= delay && tries.delay <= conf->restart.max_delay);
        assert_true(next == end || next - start == tries.delay);
        delay = tries.delay;
        start = next + pick(3) * pick(100);
    }
}

static void test_random_lives(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        conf->restart.delay = pick(1000);
        conf->restart.max_delay = conf->restart.delay + pick(60000);
        conf->restart.limit = pick(TRIES_KEPT + 1);
        conf->restart.window = 1 + pick(200000);
        backoff_forget(&tries);
        random_lives();
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_policies),
        TEST(test_done_counts_nothing),
        TEST(test_doubles_to_the_cap),
        TEST(test_counts_from_the_start),
        TEST(test_extremes),
        TEST(test_many_failures),
        TEST(test_spread),
        TEST(test_same_life_same_delay),
        TEST(test_healthy_forgets),
        TEST(test_limit_is_exact),
        TEST(test_window_edge),
        TEST(test_limit_of_one_that_dies_at_once),
        TEST(test_limit_zero_is_none),
        TEST(test_limit_as_a_rate),
        TEST(test_limit_changes),
        TEST(test_time_wraps),
        TEST(test_random_lives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
