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

/* Of a service that gave up, whoever comes to require it is stopped: it is not forgiven. */
static void test_a_requirement_that_will_not_come(void **unused)
{
    struct conf *cache = service("cache");

    (void)unused;
    cache->restart.policy = CONF_NEVER_AGAIN;
    RELOAD(service("db"), service("api"), needs("web", "api"), cache);
    leave("cache", 1);
    expect_state("cache", SERVICE_FAILED);
    PLAN(service("db"), needs("api", "cache"), needs("web", "api"), service("cache"));
    expect_plan("stop api requires <cache, change cache restart.policy, stop web <cache");
    d.trace[0] = '\0';
    RELOAD(service("db"), needs("api", "cache"), needs("web", "api"), service("cache"));
    die("web");
    die("api");
    expect("web:TERM web:sweep api:TERM api:sweep");
    expect_state("api", SERVICE_PENDING);
    expect_state("web", SERVICE_PENDING);
}

/* What was stopped, or is manual, is started where a service that is to be up comes to depend on
 * it; and with it all that it needs. */
static void test_a_new_dependency_is_started(void **unused)
{
    (void)unused;
    RELOAD(service("db"), manual(service("disk")), service("api"), needs("web", "api"));
    tell("db", EVENT_DOWN);
    die("db");
    PLAN(service("db"), manual(service("disk")), needs("api", "db"), needs("web", "api"));
    expect_plan("change api requires, start db <api");
    PLAN(needs("db", "disk"), manual(service("disk")), make_conf("api", NULL, "db", NULL),
         needs("web", "api"));
    expect_plan("change api wants, start db requires <api, start disk <api");
    PLAN(service("db"), manual(service("disk")), make_conf("api", NULL, NULL, "db"),
         needs("web", "api"));
    expect_plan("change api after");
    PLAN(needs("api", "cache"), needs("web", "api"), manual(service("cache")));
    expect_plan("change api requires, start cache <api, forget db, forget disk");
    d.trace[0] = '\0';
    RELOAD(needs("db", "disk"), manual(service("disk")), needs("api", "db"), needs("web", "api"));
    expect("disk:spawn db:spawn");
    expect_state("api", SERVICE_RUNNING);
    expect_state("web", SERVICE_RUNNING);
}

/* What an operator stopped stays so for those who knew of it, also when more changes in them. */
static void test_an_old_dependency_is_not_started(void **unused)
{
    (void)unused;
    RELOAD(service("db"), make_conf("api", NULL, "db", NULL), make_conf("log", NULL, NULL, "db"));
    tell("db", EVENT_DOWN);
    die("db");
    PLAN(service("db"), changed(make_conf("api", NULL, "db", NULL)),
         make_conf("log", NULL, NULL, "db"));
    expect_plan("restart api command");
    PLAN(service("db"), needs("api", "db"), make_conf("log", NULL, NULL, "db"));
    expect_plan("stop api requires <db");
    PLAN(service("db"), make_conf("api", NULL, "db", NULL), needs("log", "db"));
    expect_plan("start db <log, change log requires");
}

/* Whom a service depends on is started also while it waits for its own next try, or gave up. */
static void test_who_only_depends_is_not_forgiven(void **unused)
{
    (void)unused;
    for (int i = 0; i < 2; i++) {
        struct conf *was = service("web"), *is = needs("web", "db");
        drive_setup(NULL);
        was->restart.limit = is->restart.limit = 1 + (1 - i);
        RELOAD(was, manual(service("db")));
        leave("web", 1);
        expect_state("web", i ? SERVICE_FAILED : SERVICE_BACKOFF);
        d.trace[0] = '\0';
        RELOAD(is, manual(service("db")));
        expect("db:spawn");
        expect_state("web", i ? SERVICE_FAILED : SERVICE_BACKOFF);
        drive_teardown(NULL);
    }
}

/* Without a wish for it nothing is started for a service. */
static void test_who_is_not_wanted_starts_nobody(void **unused)
{
    (void)unused;
    RELOAD(service("web"), manual(service("db")));
    tell("web", EVENT_DOWN);
    die("web");
    PLAN(needs("web", "db"), manual(service("db")));
    expect_plan("change web requires");
    d.trace[0] = '\0';
    RELOAD(needs("web", "db"), manual(service("db")));
    expect("");
}

/* Against the conf that waits for its next start, if there is one. */
static void test_a_dependency_after_a_change_that_waits(void **unused)
{
    (void)unused;
    RELOAD(service("web"), manual(service("db")), manual(service("disk")));
    RELOAD(changed(needs("web", "db")), manual(service("db")), manual(service("disk")));
    expect("web:spawn web:TERM db:spawn");
    tell("db", EVENT_DOWN);
    die("db");
    d.trace[0] = '\0';
    PLAN(changed(make_conf("web", "db", "disk", NULL)), manual(service("db")),
         manual(service("disk")));
    expect_plan("start disk <web, change web wants");
    RELOAD(changed(make_conf("web", "db", "disk", NULL)), manual(service("db")),
           manual(service("disk")));
    expect("disk:spawn");
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
        TEST(test_who_is_taken_along),
        TEST(test_a_requirement_that_will_not_come),
        TEST(test_a_new_dependency_is_started),
        TEST(test_an_old_dependency_is_not_started),
        cmocka_unit_test(test_who_only_depends_is_not_forgiven),
        TEST(test_who_is_not_wanted_starts_nobody),
        TEST(test_a_dependency_after_a_change_that_waits),
        TEST(test_who_is_started_along),
        cmocka_unit_test(test_started_while_it_is_to_stop),
        cmocka_unit_test(test_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
