/* Text to value and back, over tables and over every value that is written. */
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tend/units.h"

static void test_duration(void **state)
{
    static const struct {
        const char *text;
        msec value;
    } good[] = {
        {"0", 0},
        {"0s", 0},
        {"1ms", 1},
        {"250ms", 250},
        {"90s", 90000},
        {"1m30s", 90000},
        {"1h30m", 5400000},
        {"2d", 172800000},
        {"1d1h1m1s1ms", 90061001},
        {"1h1ms", 3600001},
        {"9223372036854775806ms", INT64_MAX - 1},
    };
    static const char *const bad[] = {
        "",
        "10",
        "s",
        "1",
        "01s",
        "00",
        "-1s",
        "+1s",
        "1.5s",
        " 1s",
        "1s ",
        "1 s",
        "1S",
        "1x",
        "1sm",
        "1s1m",
        "1s1s",
        "1ms1s",
        "1min",
        "1hour",
        "0x1s",
        "1m30",
        "1d2",
        "9223372036854775807ms",
        "18446744073709551617ms",
        "99999999999999999999d",
        "9223372036854775807d",
        "106751991168d",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        msec value = -1;
        assert_int_equal(units_duration(good[i].text, &value), 0);
        assert_int_equal(value, good[i].value);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        msec value = 77;
        if (units_duration(bad[i], &value) != -1 || value != 77)
            fail_msg("accepted %s", bad[i]);
    }
}

static void test_duration_text(void **state)
{
    char buf[UNITS_DURATION_MAX];
    unsigned long long seed = 1;

    (void)state;
    assert_string_equal(units_duration_text(NEVER, buf), "never");
    assert_string_equal(units_duration_text(0, buf), "0s");
    assert_string_equal(units_duration_text(90061001, buf), "1d1h1m1s1ms");
    assert_string_equal(units_duration_text(-1500, buf), "-1s500ms");
    assert_string_equal(units_duration_text(INT64_MIN, buf), "-106751991167d7h12m55s808ms");
    for (int i = 0; i < 100000; i++) {
        msec value, back;
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        value = (msec)(seed >> 1 >> (seed & 63));
        if (value == NEVER)
            continue;
        assert_int_equal(units_duration(units_duration_text(value, buf), &back), 0);
        assert_int_equal(back, value);
    }
}

static void test_duration_short(void **state)
{
    static const struct {
        msec value;
        const char *text;
    } cases[] = {
        {0, "0s"},          {1, "1ms"},       {350, "350ms"},      {999, "999ms"},
        {1000, "1s"},       {1040, "1s"},     {1050, "1.1s"},      {4200, "4.2s"},
        {4249, "4.2s"},     {9949, "9.9s"},   {9950, "10s"},       {10499, "10s"},
        {59600, "1m"},      {60000, "1m"},    {90400, "1m30s"},    {3599600, "1h"},
        {5400000, "1h30m"}, {86399999, "1d"}, {180000000, "2d2h"}, {-4200, "-4.2s"},
        {NEVER, "never"},
    };
    char buf[UNITS_DURATION_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_string_equal(units_duration_short(cases[i].value, buf), cases[i].text);
    units_duration_short(INT64_MIN, buf);
    units_duration_short(INT64_MAX - 1, buf);
}

static void test_size(void **state)
{
    static const char *const bad[] = {"",         "K",  "1k", "1KB", "1.5M", "-1",
                                      " 1",       "1 ", "01", "0x1", "1P",   "18446744073709551616",
                                      "16777216T"};
    uint64_t size = 5;

    (void)state;
    assert_true(units_size("0", &size) == 0 && size == 0);
    assert_true(units_size("65536", &size) == 0 && size == 65536);
    assert_true(units_size("64K", &size) == 0 && size == 65536);
    assert_true(units_size("10M", &size) == 0 && size == 10 << 20);
    assert_true(units_size("2G", &size) == 0 && size == UINT64_C(2) << 30);
    assert_true(units_size("16777215T", &size) == 0 && size == UINT64_C(16777215) << 40);
    assert_true(units_size("18446744073709551615", &size) == 0 && size == UINT64_MAX);
    size = 5;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (units_size(bad[i], &size) != -1 || size != 5)
            fail_msg("accepted %s", bad[i]);
}

static void test_number(void **state)
{
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      "01",
                                      "0x1",
                                      " 1",
                                      "1 ",
                                      "1a",
                                      "-0",
                                      "--1",
                                      "-01",
                                      "21",
                                      "-21",
                                      "99999999999999999999",
                                      "18446744073709551617",
                                      "-9223372036854775808"};
    long number = 5;

    (void)state;
    assert_true(units_number("0", -20, 20, &number) == 0 && number == 0);
    assert_true(units_number("-20", -20, 20, &number) == 0 && number == -20);
    assert_true(units_number("20", -20, 20, &number) == 0 && number == 20);
    assert_true(units_number("9223372036854775807", 0, LONG_MAX, &number) == 0);
    assert_int_equal(number, LONG_MAX);
    assert_int_equal(units_number("-1", 0, 20, &number), -1);
    number = 5;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (units_number(bad[i], -20, 20, &number) != -1 || number != 5)
            fail_msg("accepted %s", bad[i]);
}

static void test_octal(void **state)
{
    static const char *const bad[] = {"", "0", "22", "00022", "088", "1000", "0x22", "-22", "022 "};
    unsigned mode = 5;

    (void)state;
    assert_true(units_octal("022", &mode) == 0 && mode == 022);
    assert_true(units_octal("0077", &mode) == 0 && mode == 077);
    assert_true(units_octal("777", &mode) == 0 && mode == 0777);
    mode = 5;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (units_octal(bad[i], &mode) != -1 || mode != 5)
            fail_msg("accepted %s", bad[i]);
}

static void test_signal(void **state)
{
    static const char *const bad[] = {"",       "0",          "-1",       "65",       "term",
                                      "SIG",    "SIGSIGTERM", "TERM ",    "RTMIN-1",  "RTMAX+1",
                                      "RTMIN+", "RTMIN+31",   "RTMAX-31", "RTMIN+01", "FOO"};
    int number = 5;

    (void)state;
    assert_true(units_signal("TERM", &number) == 0 && number == SIGTERM);
    assert_true(units_signal("SIGTERM", &number) == 0 && number == SIGTERM);
    assert_true(units_signal("15", &number) == 0 && number == SIGTERM);
    assert_true(units_signal("CLD", &number) == 0 && number == SIGCHLD);
    assert_true(units_signal("RTMIN", &number) == 0 && number == SIGRTMIN);
    assert_true(units_signal("SIGRTMIN+3", &number) == 0 && number == SIGRTMIN + 3);
    assert_true(units_signal("RTMAX-1", &number) == 0 && number == SIGRTMAX - 1);
    number = 5;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (units_signal(bad[i], &number) != -1 || number != 5)
            fail_msg("accepted %s", bad[i]);
}

/* Every number has a name, which for all that can be caught reads back. */
static void test_signal_name(void **state)
{
    char buf[UNITS_SIGNAL_MAX];

    (void)state;
    for (int i = 1; i <= SIGRTMAX; i++) {
        const char *name = units_signal_name(i, buf);
        int back = 0;
        if (i == 32 || i == 33) {
            assert_true(strncmp(name, "signal ", 7) == 0);
            continue;
        }
        assert_int_equal(units_signal(name, &back), 0);
        assert_int_equal(back, i);
    }
    assert_string_equal(units_signal_name(SIGTERM, buf), "TERM");
    assert_string_equal(units_signal_name(SIGABRT, buf), "ABRT");
    assert_string_equal(units_signal_name(SIGRTMIN + 3, buf), "RTMIN+3");
    assert_string_equal(units_signal_name(99, buf), "signal 99");
    assert_string_equal(units_signal_name(0, buf), "signal 0");
    units_signal_name(INT_MIN, buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_duration),       cmocka_unit_test(test_duration_text),
        cmocka_unit_test(test_duration_short), cmocka_unit_test(test_size),
        cmocka_unit_test(test_number),         cmocka_unit_test(test_octal),
        cmocka_unit_test(test_signal),         cmocka_unit_test(test_signal_name),
    };

    return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
