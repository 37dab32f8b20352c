/* What records say, in words for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/words.h"

struct row {
    const char *line, *text;
};

static void check(void (*words)(struct text *, const struct record *), const struct row *rows,
                  size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char buf[1024] = "";
        struct text t = {buf, 0, sizeof buf};
        struct record *r = record_new(rows[i].line, strlen(rows[i].line), RECORD_FOR_PEOPLE);
        assert_non_null(r);
        words(&t, r);
        assert_string_equal(buf, rows[i].text);
        free(r);
    }
}

static void test_end(void **state)
{
    static const struct row rows[] = {
        {"service", ""},
        {"service exit=3", "exit 3"},
        {"service exit=lost", "gone, status unknown"},
        {"service killed_by=SEGV core=1", "signal SEGV (core dumped)"},
        {"service killed_by=KILL oom=1", "signal KILL (out of memory)"},
        {"service killed_by=signal\\x2099", "signal 99"},
        {"service exit=127 errno=2 step=exec", "exec: No such file or directory"},
    };

    (void)state;
    check(words_end, rows, ARRAY_SIZE(rows));
}

static void test_end_short(void **state)
{
    static const struct row rows[] = {
        {"service", ""},
        {"service exit=0", "exit 0"},
        {"service exit=lost", "lost"},
        {"service killed_by=SEGV core=1", "SEGV core"},
        {"service killed_by=KILL oom=1", "KILL oom"},
        {"service exit=127 errno=13 step=exec", "EACCES"},
        {"service errno=9999", "error"},
    };

    (void)state;
    check(words_end_short, rows, ARRAY_SIZE(rows));
}

static void test_note(void **state)
{
    static const struct row rows[] = {
        {"service name=web state=running ready=1 wanted=1", ""},
        {"service name=web state=pending waits_for=db", "waits for db"},
        {"service name=web state=pending waits_for=db in_vain=1", "waits for db, in vain"},
        {"service name=web state=pending waits_for=web", "waits for the old one to end"},
        {"service name=web state=running waits_for=api", "to be stopped after api"},
        {"service name=web state=running again=1", "to be restarted"},
        {"service name=web state=running ready=1 changed=1", "new config at the next start"},
        {"service name=web state=starting next=27000", "ready within 27s"},
        {"service name=web state=stopping next=2000 members=2",
         "2 more processes, next step in 2s"},
        {"service name=web state=killing next=4000 members=1", "1 more process, given up in 4s"},
        {"service name=web state=stuck", "KILL has no effect"},
        {"service name=web state=backoff next=2100", "next try in 2.1s"},
        {"service name=web state=failed limit=5 window=60000", "gave up after 5 starts in 1m"},
        {"service name=web state=running ready=1 health=well watchdog=5000", ""},
        {"service name=web state=running health=failing health_failures=2 health_fault=exit\\x201 "
         "changed=1 reloading=1",
         "probe failed: exit 1 (2 in a row), new config at the next start, reloading"},
        {"service name=web state=running health=unhealthy health_failures=3", /* of no said fault */
         "unhealthy (3 in a row)"},
    };

    (void)state;
    check(words_note, rows, ARRAY_SIZE(rows));
}

static void test_service(void **state)
{
    static const struct row rows[] = {
        {"service name=web state=starting pid=12", "starting, pid 12"},
        {"service name=web state=running pid=12 ready=1", "running, pid 12"},
        {"service name=web state=running pid=12", "running, not ready, pid 12"},
        {"service name=web state=down exit=0 cause=request", "down"},
        {"service name=web state=done exit=0 ready=1", "done, exit 0"},
        {"service name=db state=backoff exit=1 cause=exit next=3000",
         "backoff, exit 1, next try in 3s"},
        {"service name=db state=failed cause=timeout killed_by=TERM", "failed, not ready in time"},
        {"service name=db state=failed cause=before_start exit=2 process=before_start",
         "failed, before_start: exit 2"},
        {"service name=db state=backoff cause=watchdog killed_by=ABRT next=3000",
         "backoff, its watchdog expired, next try in 3s"},
        {"service name=db state=failed cause=fault exit=0", "failed, unhealthy"},
        {"service name=db state=running ready=1 pid=3 health=unhealthy health_failures=1 "
         "health_fault=refused status=3\\x20of\\x205",
         "running, pid 3, unhealthy: refused, says: 3 of 5"},
    };

    (void)state;
    check(words_service, rows, ARRAY_SIZE(rows));
}

static void test_ready_on(void **state)
{
    static const struct row rows[] = {
        {"service state=starting", ""},
        {"service state=starting ready_on=later ready_at=x", ""},
        {"service state=starting ready_on=notify", "its READY=1"},
        {"service state=starting ready_on=fd ready_fd=3", "a newline on its descriptor 3"},
        {"service state=starting ready_on=tcp ready_at=[::1]:80", "a connection to [::1]:80"},
        {"service state=starting ready_on=unix ready_at=@a\\x20b", "a connection to @a b"},
        {"service state=starting ready_on=command", "its ready.command to succeed"},
    };

    (void)state;
    check(words_ready_on, rows, ARRAY_SIZE(rows));
}

static void test_there(void **state)
{
    static const struct {
        const char *line;
        bool there;
    } rows[] = {
        {"service state=running ready=1", true},
        {"service state=running", false},
        {"service state=done", true},
        {"service state=running ready=1 health=failing", true},
        {"service state=running ready=1 health=unhealthy", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct record *r = record_new(rows[i].line, strlen(rows[i].line), RECORD_FOR_PEOPLE);
        assert_non_null(r);
        assert_int_equal(words_is_there(r), rows[i].there);
        free(r);
    }
}

/* However little room there is, no half of a character is left. */
static void test_whole_characters(void **state)
{
    static const char said[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80";
    static const size_t whole[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};

    (void)state;
    for (size_t room = 0; room < ARRAY_SIZE(whole); room++) {
        char buf[16] = "";
        struct text t = {buf, 0, room + 1};
        words_put(&t, said);
        assert_int_equal(t.n, whole[room]);
        assert_int_equal(strlen(buf), t.n);
        assert_memory_equal(buf, said, t.n);
    }
}

static void test_paint(void **state)
{
    static const struct {
        const char *line;
        enum paint paint;
    } rows[] = {
        {"service state=running ready=1", PAINT_GOOD},
        {"service state=done ready=1", PAINT_GOOD},
        {"service state=running ready=1 health=failing", PAINT_GOOD},
        {"service state=running ready=1 health=unhealthy", PAINT_BAD},
        {"service state=stopping health=unhealthy", PAINT_MOVING},
        {"service state=done", PAINT_NONE},
        {"service state=running", PAINT_MOVING},
        {"service state=stopping ready=1", PAINT_MOVING},
        {"service state=pending waits_for=db", PAINT_MOVING},
        {"service state=pending waits_for=db in_vain=1", PAINT_BAD},
        {"service state=failed", PAINT_BAD},
        {"service state=stuck", PAINT_BAD},
        {"service state=down", PAINT_DIM},
        {"service state=later", PAINT_MOVING},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct record *r = record_new(rows[i].line, strlen(rows[i].line), RECORD_FOR_PEOPLE);
        assert_non_null(r);
        assert_int_equal(words_paint(r), rows[i].paint);
        free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end),   cmocka_unit_test(test_end_short),
        cmocka_unit_test(test_note),  cmocka_unit_test(test_service),
        cmocka_unit_test(test_paint), cmocka_unit_test(test_ready_on),
        cmocka_unit_test(test_there), cmocka_unit_test(test_whole_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
