/* What a reload is planned to do where services hang together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "foretell.h"

static void test_who_is_taken_along(void **unused)
{
    (void)unused;
    RELOAD(service("db"), needs("api", "db"), needs("web", "api"),
           make_conf("log", NULL, "db", NULL), make_conf("job", NULL, NULL, "db"));
    PLAN(changed(service("db")), needs("api", "db"), needs("web", "api"),
         make_conf("log", NULL, "db", NULL), make_conf("job", NULL, NULL, "db"));
    expect_plan("restart api <db, restart db command, restart web <db");
    PLAN(service("db"), service("api"), needs("web", "api"), service("log"), service("job"));
    expect_plan("change api requires, change job after, change log wants");
    leave("web", 0);
    PLAN(changed(service("db")), needs("api", "db"), service("job"));
    expect_plan("restart api <db, restart db command, change job after, stop log, forget web");
}

/* Of a service that will not come by itself, whoever comes to require it is stopped. */
static void test_a_requirement_that_will_not_come(void **unused)
{
    (void)unused;
    RELOAD(service("db"), service("api"), needs("web", "api"));
    tell("db", EVENT_DOWN);
    die("db");
    PLAN(service("db"), needs("api", "db"), needs("web", "api"));
    expect_plan("stop api requires <db, stop web <db");
    PLAN(service("db"), needs("api", "cache"), needs("web", "api"), manual(service("cache")));
    expect_plan("stop api requires <cache, add cache, stop web <cache");
    d.trace[0] = '\0';
    RELOAD(service("db"), needs("api", "db"), needs("web", "api"));
    die("web");
    die("api");
    expect("web:TERM web:sweep api:TERM api:sweep");
    expect_state("api", SERVICE_PENDING);
    expect_state("web", SERVICE_PENDING);
}

static void test_who_is_started_along(void **unused)
{
    (void)unused;
    RELOAD(manual(service("db")), manual(needs("api", "db")), manual(service("cache")));
    PLAN(manual(service("db")), manual(needs("api", "db")), manual(service("cache")),
         make_conf("web", "api", "cache", NULL), manual(service("extra")));
    expect_plan("start api <web, start cache <web, start db <web, add extra, start web");
    PLAN(manual(changed(service("db"))), needs("api", "db"), manual(service("cache")));
    expect_plan("start api start, start db command <api");
}

/* One that waits to be stopped, as others need it, comes with its new settings when it is wanted
 * again, wherever those who want it stand. */
static void test_started_while_it_is_to_stop(void **unused)
{
    (void)unused;
    for (int i = 0; i < 2; i++) {
        struct conf *first = manual(make_conf(i ? "a" : "c", "b", NULL, NULL));
        struct conf *then = make_conf(i ? "a" : "c", "b", NULL, NULL);
        drive_setup(NULL);
        if (i)
            RELOAD(first, service("b"), needs("web", "b"));
        else
            RELOAD(service("b"), needs("web", "b"), first);
        tell("b", EVENT_DOWN);
        expect("b:spawn web:spawn web:TERM");
        RELOAD(changed(service("b")), needs("web", "b"), then);
        die("web");
        die("b");
        assert_string_equal(get("b")->conf->command[0], "/bin/other");
        assert_null(get("b")->next_conf);
        expect_state("b", SERVICE_RUNNING);
        drive_teardown(NULL);
    }
}

static void test_words(void **unused)
{
    static const char *const words[] = {"start", "add", "restart", "stop", "forget", "change"};

    (void)unused;
    for (int i = 0; i < DOES_COUNT; i++)
        assert_string_equal(engine_does_name((enum engine_does)i), words[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_who_is_taken_along),   TEST(test_a_requirement_that_will_not_come),
        TEST(test_who_is_started_along), cmocka_unit_test(test_started_while_it_is_to_stop),
        cmocka_unit_test(test_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
