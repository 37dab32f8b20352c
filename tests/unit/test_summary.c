/* How all services together are, in one line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drive.h"
#include "tend/summary.h"

static void expect_summary(const char *text, size_t ready, size_t wanted)
{
    struct summary sum;

    summary_make(&sum, &d.e);
    assert_string_equal(sum.text, text);
    assert_int_equal(sum.ready, ready);
    assert_int_equal(sum.wanted, wanted);
    assert_int_equal(sum.all_ready, ready == wanted && !d.e.shutdown);
}

static struct conf *notifies(struct conf *c)
{
    c->ready.on = CONF_READY_NOTIFY;
    return c;
}

static void test_nothing(void **state)
{
    (void)state;
    expect_summary("0/0 ready", 0, 0);
}

static void test_start(void **state)
{
    (void)state;
    RELOAD(notifies(service("db")), notifies(needs("web", "db")), service("cache"),
           manual(service("tool")));
    expect_summary("1/3 ready, waiting for db", 1, 3);
    tell("db", EVENT_READY);
    expect_summary("2/3 ready, waiting for web", 2, 3);
    tell("web", EVENT_READY);
    expect_summary("3/3 ready", 3, 3);
    tell("tool", EVENT_UP);
    expect_summary("4/4 ready", 4, 4);
    tell("tool", EVENT_DOWN);
    expect_summary("3/3 ready", 3, 3);
}

/* Whoever is waited for, not who waits, in whatever order they are written. */
static void test_who_is_waited_for(void **state)
{
    (void)state;
    RELOAD(needs("web", "db"), notifies(service("db")));
    expect_summary("0/2 ready, waiting for db", 0, 2);
}

static void test_failures(void **state)
{
    struct conf *job = oneshot("job", CONF_NEVER_AGAIN);

    (void)state;
    RELOAD(notifies(service("db")), needs("web", "job"), job, service("cache"));
    leave("job", 1);
    expect_summary("1/4 ready, job failed", 1, 4);
    leave("cache", 1); /* is tried again */
    expect_summary("0/4 ready, job failed", 0, 4);
    tell("job", EVENT_UP);
    leave("job", 0);
    expect_state("job", SERVICE_DONE);
    tell("db", EVENT_READY);
    expect_summary("3/4 ready, waiting for cache", 3, 4);
    pass(1000);
    expect_summary("4/4 ready", 4, 4);
}

/* What has ended well is up, a oneshot or not. */
static void test_done(void **state)
{
    struct conf *web = service("web");

    (void)state;
    web->restart.policy = CONF_ON_FAILURE;
    RELOAD(web, oneshot("job", CONF_NEVER_AGAIN));
    leave("web", 0);
    expect_summary("1/2 ready, waiting for job", 1, 2);
    leave("job", 0);
    expect_summary("2/2 ready", 2, 2);
}

static void test_restart(void **state)
{
    (void)state;
    RELOAD(service("web"));
    tell("web", EVENT_AGAIN);
    expect_summary("0/1 ready, waiting for web", 0, 1);
}

/* Only what is left has a part in it: what is stuck is not waited for. */
static void test_shutdown(void **state)
{
    (void)state;
    RELOAD(says_goodbye(oneshot("mount", CONF_NEVER_AGAIN)), needs("db", "mount"),
           needs("web", "db"), oneshot("job", CONF_NEVER_AGAIN), manual(service("tool")));
    leave("mount", 0);
    leave("job", 0);
    engine_shutdown(&d.e, d.now);
    expect_summary("stopping, 3 left", 0, 0);
    drive();
    expect_summary("stopping, 3 left, waiting for web", 0, 0);
    die("web");
    expect_summary("stopping, 2 left, waiting for db", 0, 0);
    pass(10000 + PLAN_KILL_WAIT);
    expect_state("db", SERVICE_STUCK);
    expect_summary("stopping, 1 left, waiting for mount", 0, 0);
    command_ends("mount");
    expect_summary("stopping, 0 left", 0, 0);
}

/* The longest that there can be. */
static void test_length(void **state)
{
    char name[CONF_NAME_MAX + 1], text[SUMMARY_MAX];

    (void)state;
    memset(name, 'x', CONF_NAME_MAX);
    name[CONF_NAME_MAX] = '\0';
    RELOAD(service(name));
    engine_shutdown(&d.e, d.now);
    drive();
    snprintf(text, sizeof text, "stopping, 1 left, waiting for %s", name);
    expect_summary(text, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing), TEST(test_start),   TEST(test_who_is_waited_for), TEST(test_failures),
        TEST(test_done),    TEST(test_restart), TEST(test_shutdown),          TEST(test_length),
    };

    return cmocka_run_group_tests_name("summary", tests, NULL, NULL);
}
