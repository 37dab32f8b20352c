/* A shutdown with a deadline: what is left of it is shared, and kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drive.h"

/* From now on a shutdown that is over in so long. */
static void down_within(msec limit)
{
    engine_shutdown(&d.e, d.now);
    engine_limit(&d.e, d.now, d.now + limit);
    d.trace[0] = '\0';
    drive();
}

static struct conf *with_grace(struct conf *c, msec grace)
{
    c->stop.grace = grace;
    return c;
}

static msec wait_of(const char *name)
{
    return get(name)->deadline - d.now;
}

static void test_enough(void **state)
{
    (void)state;
    RELOAD(service("db"), needs("web", "db"));
    down_within(21000);
    assert_int_equal(wait_of("web"), 10000);
    pass(10000);
    expect("web:TERM web:KILL");
    die("web");
    assert_int_equal(wait_of("db"), 10000);
    assert_false(d.e.overdue);
}

/* 9 s are to be shared by two that want 10 s each, one of them after the other. */
static void test_shared(void **state)
{
    (void)state;
    RELOAD(service("db"), needs("web", "db"), with_grace(service("alone"), 8000));
    down_within(10000);
    assert_int_equal(wait_of("web"), 4500);
    assert_int_equal(wait_of("alone"), 8000); /* nobody has to wait for it */
    pass(4500);
    expect("web:TERM alone:TERM web:KILL");
    die("web");
    assert_int_equal(wait_of("db"), 4500);
}

/* What one does not need is for those that come after it. */
static void test_unused_time_goes_on(void **state)
{
    (void)state;
    RELOAD(service("db"), needs("web", "db"));
    down_within(10000);
    pass(1000);
    die("web");
    assert_int_equal(wait_of("db"), 8000);
}

/* By the weight of what the configs say. */
static void test_in_proportion(void **state)
{
    (void)state;
    RELOAD(with_grace(service("db"), 30000), with_grace(needs("web", "db"), 10000));
    down_within(21000);
    assert_int_equal(wait_of("web"), 5000);
    pass(5000);
    die("web");
    assert_int_equal(wait_of("db"), 15000);
}

static void test_every_step(void **state)
{
    struct conf *c = says_goodbye(service("web"));

    (void)state;
    c->stop.drain = 3000; /* and 7 s and 10 s: 20 s become 10 s */
    RELOAD(c);
    down_within(11000);
    assert_int_equal(wait_of("web"), 1500);
    pass(1500);
    assert_int_equal(wait_of("web"), 3500);
    pass(3500);
    assert_int_equal(wait_of("web"), 5000);
    pass(5000);
    expect("web:command web:command-end web:TERM web:command-end web:KILL");
}

/* Ten in a chain within 3 s: none has less than the floor, and at the reserve all get KILL. */
static void test_overdue(void **state)
{
    (void)state;
    RELOAD(service("a0"), needs("a1", "a0"), needs("a2", "a1"), needs("a3", "a2"),
           needs("a4", "a3"), needs("a5", "a4"), needs("a6", "a5"), needs("a7", "a6"),
           needs("a8", "a7"), needs("a9", "a8"));
    down_within(3000);
    assert_int_equal(wait_of("a9"), ENGINE_FLOOR);
    for (const char *name = "a9"; name; name = strcmp(name, "a9") == 0 ? "a8" : NULL) {
        pass(ENGINE_FLOOR);
        die(name);
    }
    d.trace[0] = '\0';
    pass(1249);
    assert_false(d.e.overdue);
    pass(1);
    assert_true(d.e.overdue);
    for (int i = 0; i < 8; i++) {
        char name[] = "a0";
        name[1] = (char)('0' + i);
        expect_state(name, SERVICE_KILLING);
        die(name);
    }
    assert_true(engine_idle(&d.e));
}

/* Whom KILL does not end is named and left before the time is over. */
static void test_unkillable(void **state)
{
    (void)state;
    RELOAD(service("web"));
    down_within(2000);
    pass(1500);
    expect("web:TERM web:KILL");
    pass(250);
    expect("web:stuck");
    assert_true(engine_idle(&d.e));
}

/* A stop that was under way is shortened, and not begun anew. */
static void test_shortens(void **state)
{
    (void)state;
    RELOAD(service("web"), service("db"));
    d.trace[0] = '\0';
    tell("web", EVENT_DOWN);
    tell("db", EVENT_DOWN);
    pass(10000);
    die("db");
    expect("web:TERM db:TERM web:KILL db:KILL");
    pass(1000);
    down_within(2000);
    assert_int_equal(wait_of("web"), 1750);
    expect("");
}

static void test_again(void **state)
{
    (void)state;
    RELOAD(service("web"));
    down_within(100000);
    pass(1000);
    engine_limit(&d.e, d.now, d.now + 5000);
    assert_int_equal(wait_of("web"), 4000);
}

/* Also one that begins after it. */
static void test_short_waits_stay(void **state)
{
    (void)state;
    RELOAD(with_grace(service("a"), 100), with_grace(needs("b", "a"), 0),
           with_grace(needs("c", "b"), 60000));
    down_within(4000);
    assert_int_equal(wait_of("c"), (msec)(60000.0 * 3000 / 60100));
    pass(wait_of("c"));
    die("c");
    pass(0);
    expect_state("b", SERVICE_KILLING);
    die("b");
    assert_int_equal(wait_of("a"), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_enough),        TEST(test_shared),
        TEST(test_in_proportion), TEST(test_unused_time_goes_on),
        TEST(test_every_step),    TEST(test_overdue),
        TEST(test_unkillable),    TEST(test_shortens),
        TEST(test_again),         TEST(test_short_waits_stay),
    };

    return cmocka_run_group_tests_name("engine-limit", tests, NULL, NULL);
}
