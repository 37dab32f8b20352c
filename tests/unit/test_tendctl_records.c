/* A line of tend taken apart: fields, escapes, and what a terminal must never get. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/records.h"

static struct record *record(const char *line, enum record_for whom)
{
    struct record *r = record_new(line, strlen(line), whom);

    assert_non_null(r);
    return r;
}

static void test_fields(void **state)
{
    struct record *r = record("service name=web state=running ready=1 pid=34 for=5120 exit=0",
                              RECORD_FOR_PROGRAMS);

    (void)state;
    assert_true(record_is(r, "service"));
    assert_false(record_is(r, "serv"));
    assert_string_equal(record_get(r, "name"), "web");
    assert_string_equal(record_text(r, "state"), "running");
    assert_true(record_flag(r, "ready"));
    assert_false(record_flag(r, "wanted"));
    assert_false(record_flag(r, "exit"));
    assert_string_equal(record_get(r, "exit"), "0");
    assert_int_equal(record_number(r, "for"), 5120);
    assert_null(record_get(r, "up"));
    assert_string_equal(record_text(r, "up"), "");
    assert_int_equal(r->n, 6);
    free(r);
}

static void test_text_goes_to_the_end(void **state)
{
    struct record *r =
        record("error code=failed name=web text=needs db: a=b  and \\x5c", RECORD_FOR_PROGRAMS);

    (void)state;
    assert_string_equal(record_get(r, "text"), "needs db: a=b  and \\");
    assert_null(record_get(r, "a"));
    free(r);
}

static void test_numbers(void **state)
{
    static const struct {
        const char *line;
        int64_t value;
    } rows[] = {
        {"x n=12", 12},
        {"x n=-3", -3},
        {"x n=0", 0},
        {"x n=", 0},
        {"x n=-", 0},
        {"x n=12a", 0},
        {"x n=9223372036854775807", INT64_MAX},
        {"x n=9223372036854775808", 0},
        {"x n=99999999999999999999", 0},
        {"x", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct record *r = record(rows[i].line, RECORD_FOR_PROGRAMS);
        assert_int_equal(record_number(r, "n"), rows[i].value);
        free(r);
    }
}

static void test_cut_lines(void **state)
{
    static const char line[] = "service name=we\\x62 text=a b";

    (void)state;
    for (size_t n = 0; n < sizeof line; n++) {
        struct record *r = record_new(line, n, RECORD_FOR_PEOPLE);
        assert_non_null(r);
        assert_memory_equal(r->word, line, strlen(r->word));
        if (n == 15 + 3)
            assert_string_equal(record_get(r, "name"), "we\\x6");
        if (n >= 15 + 4)
            assert_string_equal(record_get(r, "name"), "web");
        free(r);
    }
}

static void test_escapes_for_programs(void **state)
{
    static const struct {
        const char *line, *value;
    } rows[] = {
        {"x v=a\\x20b", "a b"},
        {"x v=\\x1b[31m", "\033[31m"},
        {"x v=\\xc3\\xa4", "\xc3\xa4"},
        {"x v=\\x00", "\\x00"}, /* could not be kept */
        {"x v=\\", "\\"},
        {"x v=\\x", "\\x"},
        {"x v=\\xg1", "\\xg1"},
        {"x v=\\xC3", "\\xC3"}, /* lower case only */
        {"x v=\\x5cx41", "\\x41"},
        {"x v==", "="},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct record *r = record(rows[i].line, RECORD_FOR_PROGRAMS);
        assert_string_equal(record_get(r, "v"), rows[i].value);
        free(r);
    }
}

static void test_escapes_for_people(void **state)
{
    static const struct {
        const char *line, *utf8, *plain;
    } rows[] = {
        {"x v=a\\x20b", "a b", "a b"},
        {"x v=\\x1b[31m", "\\x1b[31m", "\\x1b[31m"},
        {"x v=\\x0a\\x7f\\x00", "\\x0a\\x7f\\x00", "\\x0a\\x7f\\x00"},
        {"x v=\\xc3\\xa4", "\xc3\xa4", "\\xc3\\xa4"},
        {"x v=\\xe2\\x82\\xac5",
         "\xe2\x82\xac"
         "5",
         "\\xe2\\x82\\xac5"},
        {"x v=\\xc2\\x9b31m", "\\xc2\\x9b31m", "\\xc2\\x9b31m"},       /* CSI in one character */
        {"x v=\\xe2\\x80\\xae", "\\xe2\\x80\\xae", "\\xe2\\x80\\xae"}, /* right to left */
        {"x v=\\xff\\xfe", "\\xff\\xfe", "\\xff\\xfe"},
        {"x v=\\xc3", "\\xc3", "\\xc3"},
        {"x v=\\xc3z", "\\xc3z", "\\xc3z"},
        {"x v=\033[0m", "?[0m", "?[0m"},
        {"x v=\\x5cx1b", "\\x1b", "\\x1b"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct record *r;
        assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
        r = record(rows[i].line, RECORD_FOR_PEOPLE);
        assert_string_equal(record_get(r, "v"), rows[i].utf8);
        free(r);
        setlocale(LC_CTYPE, "C");
        r = record(rows[i].line, RECORD_FOR_PEOPLE);
        assert_string_equal(record_get(r, "v"), rows[i].plain);
        free(r);
    }
}

static void test_odd_lines(void **state)
{
    struct record *r = record("", RECORD_FOR_PROGRAMS);

    (void)state;
    assert_string_equal(r->word, "");
    assert_int_equal(r->n, 0);
    free(r);
    r = record("   ok   at=5   word  =x a=", RECORD_FOR_PROGRAMS);
    assert_true(record_is(r, "ok"));
    assert_int_equal(record_number(r, "at"), 5);
    assert_string_equal(record_get(r, "a"), "");
    assert_int_equal(r->n, 2);
    free(r);
    r = record_new("ok\0at=5", 7, RECORD_FOR_PROGRAMS);
    assert_non_null(r);
    assert_true(record_is(r, "ok"));
    assert_null(record_get(r, "at"));
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_text_goes_to_the_end),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_cut_lines),
        cmocka_unit_test(test_escapes_for_programs),
        cmocka_unit_test(test_escapes_for_people),
        cmocka_unit_test(test_odd_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
