/* Every request as it is written, and what is said to what is not. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tend/conf.h"
#include "tend/request.h"

static struct request r;
static char line[REQUEST_LINE_MAX + 1], reply[REQUEST_ERROR_MAX];

static bool parse_bytes(const char *bytes, size_t n)
{
    struct text error = {reply, 0, sizeof reply};

    assert_true(n < sizeof line);
    memcpy(line, bytes, n);
    line[n] = '!'; /* where the newline was: anything may stand there */
    memset(&r, 0xaa, sizeof r);
    reply[0] = '\0';
    return request_parse(line, n, &r, &error);
}

static void expect(const char *text, enum request_verb verb)
{
    if (!parse_bytes(text, strlen(text)))
        fail_msg("%s: %s", text, reply);
    assert_string_equal(reply, "");
    assert_int_equal(r.verb, verb);
}

static void expect_names(const char *names)
{
    char all[REQUEST_LINE_MAX] = "";
    const char *name = r.names;

    for (unsigned i = 0; i < r.n_names; i++, name = request_next_name(name))
        sprintf(all + strlen(all), "%s%s", i ? " " : "", name);
    assert_string_equal(all, names);
}

static void expect_error_of(const char *bytes, size_t n, const char *why)
{
    char expected[REQUEST_ERROR_MAX];

    snprintf(expected, sizeof expected, "error code=usage text=%s\n", why);
    assert_false(parse_bytes(bytes, n));
    assert_string_equal(reply, expected);
}

static void expect_error(const char *text, const char *why)
{
    expect_error_of(text, strlen(text), why);
}

/* ---- what is understood ---- */

static void test_each_alone(void **state)
{
    static const struct {
        const char *line;
        enum request_verb verb;
        bool all_rights;
    } all[] = {
        {"status", REQUEST_STATUS, false},
        {"start web", REQUEST_START, false},
        {"stop web", REQUEST_STOP, false},
        {"restart web", REQUEST_RESTART, false},
        {"reload-service web", REQUEST_RELOAD_SERVICE, true},
        {"signal signal=HUP web", REQUEST_SIGNAL, true},
        {"wait for=ready", REQUEST_WAIT, false},
        {"ready", REQUEST_READY, false},
        {"plan", REQUEST_PLAN, true},
        {"reload", REQUEST_RELOAD, true},
        {"why web", REQUEST_WHY, false},
        {"graph", REQUEST_GRAPH, false},
        {"events", REQUEST_EVENTS, false},
        {"history", REQUEST_HISTORY, false},
        {"shutdown", REQUEST_SHUTDOWN, true},
        {"help", REQUEST_HELP, false},
    };

    (void)state;
    assert_int_equal(ARRAY_SIZE(all), REQUEST_VERB_COUNT);
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        const char *name = request_verb_name(all[i].verb), *usage = request_usage(all[i].verb);
        expect(all[i].line, all[i].verb);
        assert_int_equal(r.n_names, strstr(all[i].line, "web") != NULL);
        assert_int_equal(request_needs_all_rights(all[i].verb), all[i].all_rights);
        assert_memory_equal(all[i].line, name, strlen(name));
        assert_memory_equal(usage, name, strlen(name));
        assert_true(usage[strlen(name)] == ' ' || usage[strlen(name)] == '\0');
    }
}

static void test_nothing_by_default(void **state)
{
    (void)state;
    expect("shutdown", REQUEST_SHUTDOWN);
    assert_false(r.now);
    assert_int_equal(r.deadline, NEVER);
    expect("events", REQUEST_EVENTS);
    assert_false(r.follow || r.has_after);
    expect("signal signal=TERM a", REQUEST_SIGNAL);
    assert_false(r.group);
    expect("status", REQUEST_STATUS);
    assert_null(r.names);
}

static void test_options(void **state)
{
    static const char *const goals[] = {"wait for=ready", "wait for=down", "wait for=failed",
                                        "wait for=reloaded"};

    (void)state;
    for (int i = 0; i < REQUEST_GOAL_COUNT; i++) {
        expect(goals[i], REQUEST_WAIT);
        assert_int_equal(r.goal, i);
    }
    expect("signal to=group signal=SIGUSR1 a b", REQUEST_SIGNAL);
    assert_true(r.group);
    assert_int_equal(r.signal, SIGUSR1);
    expect_names("a b");
    expect("signal signal=RTMIN+1 to=main a", REQUEST_SIGNAL);
    assert_false(r.group);
    assert_int_equal(r.signal, SIGRTMIN + 1);
    expect("shutdown now", REQUEST_SHUTDOWN);
    assert_true(r.now);
    expect("shutdown deadline=1m30s", REQUEST_SHUTDOWN);
    assert_false(r.now);
    assert_int_equal(r.deadline, 90000);
    expect("events follow after=18446744073709551615", REQUEST_EVENTS);
    assert_true(r.follow && r.has_after);
    assert_true(r.after == UINT64_MAX);
    expect("events after=0", REQUEST_EVENTS);
    assert_true(r.has_after && !r.follow);
    assert_true(r.after == 0);
}

static void test_blanks(void **state)
{
    (void)state;
    expect("  wait \t for=down   web    db cache\t", REQUEST_WAIT);
    expect_names("web db cache");
    expect("help\r", REQUEST_HELP);
    expect("status web \r", REQUEST_STATUS);
    expect_names("web");
    assert_true(r.names > line && r.names < line + sizeof line);
}

/* Words that are options elsewhere. */
static void test_names_that_look_like_options(void **state)
{
    (void)state;
    expect("start now follow signal for deadline", REQUEST_START);
    expect_names("now follow signal for deadline");
    expect("wait for=down for", REQUEST_WAIT);
    expect_names("for");
    expect("status status status", REQUEST_STATUS);
    expect_names("status status");
}

static void test_as_many_names_as_fit(void **state)
{
    static char text[REQUEST_LINE_MAX];
    const char *name;
    size_t n;

    (void)state;
    strcpy(text, "status");
    for (n = 6; n + 2 < sizeof text; n += 2)
        memcpy(text + n, " a", 2);
    text[n] = '\0';
    expect(text, REQUEST_STATUS);
    assert_int_equal(r.n_names, (n - 6) / 2);
    name = r.names;
    for (unsigned i = 0; i < r.n_names; i++, name = request_next_name(name))
        assert_string_equal(name, "a");
    assert_true(name <= line + n + 1);
}

/* ---- what is not ---- */

static void test_nothing_asked(void **state)
{
    static const char *const empty[] = {"", " ", "\t  ", "\r", "  \r"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(empty); i++)
        expect_error(empty[i], "nothing asked: try help");
}

static void test_errors(void **state)
{
    static const struct {
        const char *line, *why;
    } all[] = {
        {"stat", "there is no request \"stat\": try help"},
        {"STATUS", "there is no request \"STATUS\": try help"},
        {"name=web", "there is no request \"name=web\": try help"},
        {"for=ready wait", "there is no request \"for=ready\": try help"},
        /* names */
        {"start", "start needs a name: write start NAME..."},
        {"stop ", "stop needs a name: write stop NAME..."},
        {"restart", "restart needs a name: write restart NAME..."},
        {"reload-service", "reload-service needs a name: write reload-service NAME..."},
        {"why", "why needs a name: write why NAME"},
        {"why web db", "why takes one name: write why NAME"},
        {"signal signal=HUP",
         "signal needs a name: write signal signal=SIGNAL [to=main|group] NAME..."},
        {"plan web", "plan does not know \"web\": write plan"},
        {"reload web", "reload does not know \"web\": write reload"},
        {"graph web", "graph does not know \"web\": write graph"},
        {"help status", "help does not know \"status\": write help"},
        {"events web", "events does not know \"web\": write events [after=SEQUENCE] [follow]"},
        {"shutdown -f", "shutdown does not know \"-f\": write shutdown [now] [deadline=TIME]"},
        {"status a/b", "\"a/b\" is no name of a service: at most 64 letters, digits and . _ - @, "
                       "first a letter or digit"},
        {"start web -x", "\"-x\" is no name of a service: at most 64 letters, digits and . _ - @, "
                         "first a letter or digit"},
        /* options */
        {"status for=ready", "status has no option \"for\": write status [NAME...]"},
        {"status =", "status has no option \"\": write status [NAME...]"},
        {"status web x=1", "status has no option \"x\": write status [NAME...]"},
        {"shutdown follow", "shutdown does not know \"follow\": write shutdown [now] "
                            "[deadline=TIME]"},
        {"wait web for=down", "for= stands after a name: write wait for=ready|down|failed|reloaded "
                              "[NAME...]"},
        {"wait", "wait needs for=: write wait for=ready|down|failed|reloaded [NAME...]"},
        {"wait for ready", "wait needs for=: write wait for=ready|down|failed|reloaded [NAME...]"},
        {"signal web", "signal needs signal=: write signal signal=SIGNAL [to=main|group] NAME..."},
        {"wait for=ready for=ready", "for is given twice: once is enough"},
        {"shutdown now now", "now is given twice: once is enough"},
        {"shutdown now=1", "now has no value: write now alone"},
        {"shutdown now=", "now has no value: write now alone"},
        {"events follow=yes", "follow has no value: write follow alone"},
        {"events after", "events does not know \"after\": write events [after=SEQUENCE] [follow]"},
        /* values */
        {"wait for=up", "for=up is not known: write ready, down, failed or reloaded"},
        {"wait for=", "for= is not known: write ready, down, failed or reloaded"},
        {"wait for=Ready", "for=Ready is not known: write ready, down, failed or reloaded"},
        {"signal signal=FOO web",
         "signal=FOO is not known: write a signal, such as TERM, RTMIN+1 or 10"},
        {"signal signal=0 web",
         "signal=0 is not known: write a signal, such as TERM, RTMIN+1 or 10"},
        {"signal to=all signal=HUP web", "to=all is not known: write main or group"},
        {"events after=-1", "after=-1 is not known: write a number, the seq of an event"},
        {"events after=", "after= is not known: write a number, the seq of an event"},
        {"events after=4K", "after=4K is not known: write a number, the seq of an event"},
        {"events after=18446744073709551616",
         "after=18446744073709551616 is not known: write a number, the seq of an event"},
        {"shutdown deadline=30", "deadline=30 is not known: write a time, such as 30s or 1m30s"},
        {"shutdown deadline=0", "deadline=0 is not known: write a time, such as 30s or 1m30s"},
        {"shutdown deadline=0s", "deadline=0s is not known: write a time, such as 30s or 1m30s"},
        {"shutdown deadline=366d",
         "deadline=366d is not known: write a time, such as 30s or 1m30s"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        expect_error(all[i].line, all[i].why);
}

static void test_name_too_long(void **state)
{
    char text[100] = "status ";

    (void)state;
    memset(text + 7, 'a', CONF_NAME_MAX);
    expect(text, REQUEST_STATUS);
    text[7 + CONF_NAME_MAX] = 'a';
    assert_false(parse_bytes(text, strlen(text)));
}

/* Every byte that is not printable ASCII, a blank or a tab: named, and never sent back. */
static void test_bytes(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        char text[] = "status web?", why[80];
        if ((byte >= ' ' && byte <= '~') || byte == '\t' || byte == '\r')
            continue;
        text[10] = (char)byte;
        snprintf(why, sizeof why, "byte 11 is 0x%02x: write words of printable ASCII", byte);
        expect_error_of(text, 11, why);
    }
    expect_error("a\rb", "byte 2 is 0x0d: write words of printable ASCII");
    expect_error("help\r\r", "byte 5 is 0x0d: write words of printable ASCII");
    expect_error_of("\0status", 7, "byte 1 is 0x00: write words of printable ASCII");
}

/* The worst that can be repeated: what must be escaped, and more of it than is told. */
static void test_errors_fit(void **state)
{
    static const char *const before[] = {
        "", "status ", "help ", "wait for=", "events x=", "status wait=", "why "};
    char text[REQUEST_LINE_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
        size_t n = strlen(before[i]);
        memcpy(text, before[i], n);
        memset(text + n, '\\', sizeof text - 1 - n);
        assert_false(parse_bytes(text, sizeof text - 1));
        assert_true(strlen(reply) < sizeof reply - 1);
        assert_int_equal(strcspn(reply, "\n"), strlen(reply) - 1);
        assert_null(strstr(reply, "\\\\"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_alone),
        cmocka_unit_test(test_nothing_by_default),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_blanks),
        cmocka_unit_test(test_names_that_look_like_options),
        cmocka_unit_test(test_as_many_names_as_fit),
        cmocka_unit_test(test_nothing_asked),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_name_too_long),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_errors_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
