/* What a datagram says, whatever is in it, and how a status is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tend/conf.h"
#include "tend/notify.h"

static_assert(NOTIFY_TIME_MAX == CONF_TIME_MAX, "as long as what a config can say");

static struct notify m;

/* What it says; bad as it is given. */
static unsigned said(const char *text, bool bad)
{
    assert_true(notify_parse(text, strlen(text), &m));
    assert_int_equal(m.bad, bad);
    return m.said;
}

static void is_bad(const char *text)
{
    assert_int_equal(said(text, true), 0);
}

static void is_none(const char *bytes, size_t n)
{
    m.said = NOTIFY_READY;
    assert_false(notify_parse(bytes, n, &m));
    assert_int_equal(m.said, 0);
}

/* ---- words ---- */

static void each_word(void **state)
{
    (void)state;
    assert_int_equal(said("READY=1", false), NOTIFY_READY);
    assert_int_equal(said("RELOADING=1", false), NOTIFY_RELOADING);
    assert_int_equal(said("STOPPING=1", false), NOTIFY_STOPPING);
    assert_int_equal(said("WATCHDOG=1", false), NOTIFY_WATCHDOG);
    assert_int_equal(said("WATCHDOG=trigger", false), NOTIFY_TRIGGER);
    assert_int_equal(said("BARRIER=1", false), NOTIFY_BARRIER);
    assert_int_equal(said("FDSTORE=1", false), NOTIFY_STORE);
    assert_int_equal(said("FDSTOREREMOVE=1", false), NOTIFY_STORE_REMOVE);
    is_bad("READY=0");
    is_bad("READY=");
    is_bad("READY=11");
    is_bad("READY= 1");
    is_bad("RELOADING=yes");
    is_bad("STOPPING=true");
    is_bad("WATCHDOG=0");
    is_bad("WATCHDOG=triggers");
    is_bad("FDSTORE=2");
}

static void numbers(void **state)
{
    (void)state;
    assert_int_equal(said("ERRNO=111\nEXIT_STATUS=7\nMAINPID=4711", false),
                     NOTIFY_ERRNO | NOTIFY_EXIT_STATUS | NOTIFY_MAIN_PID);
    assert_int_equal(m.error, 111);
    assert_int_equal(m.exit_status, 7);
    assert_int_equal(m.main_pid, 4711);
    assert_int_equal(said("ERRNO=0\nEXIT_STATUS=0\nMAINPID=1", false),
                     NOTIFY_ERRNO | NOTIFY_EXIT_STATUS | NOTIFY_MAIN_PID);
    assert_int_equal(said("ERRNO=4095\nEXIT_STATUS=255\nMAINPID=2147483647", false),
                     NOTIFY_ERRNO | NOTIFY_EXIT_STATUS | NOTIFY_MAIN_PID);
    assert_int_equal(m.error, 4095);
    assert_int_equal(m.exit_status, 255);
    assert_int_equal(m.main_pid, INT_MAX);
}

static void what_is_no_number(void **state)
{
    static const char *const values[] = {"",
                                         "-1",
                                         "+1",
                                         " 1",
                                         "1 ",
                                         "0x1",
                                         "01",
                                         "00",
                                         "1.5",
                                         "1s",
                                         "1e3",
                                         "a",
                                         "4096000000",
                                         "18446744073709551616",
                                         "18446744073709551621",
                                         "99999999999999999999999999999999999999"};
    static const char *const names[] = {"ERRNO", "EXIT_STATUS", "MAINPID"};
    char line[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        for (size_t j = 0; j < ARRAY_SIZE(values); j++) {
            snprintf(line, sizeof line, "%s=%s", names[i], values[j]);
            is_bad(line);
            assert_int_equal(m.error | m.exit_status | m.main_pid, 0);
        }
    is_bad("ERRNO=4096");
    is_bad("EXIT_STATUS=256");
    is_bad("MAINPID=0");
    is_bad("MAINPID=2147483648");
    is_bad("WATCHDOG_USEC=18446744073709551616");
    is_bad("EXTEND_TIMEOUT_USEC=-1");
    is_bad("MONOTONIC_USEC=x");
}

static msec watchdog_of(const char *text)
{
    assert_int_equal(said(text, false), NOTIFY_WATCHDOG_TIME);
    return m.watchdog;
}

static msec extend_of(const char *text)
{
    assert_int_equal(said(text, false), NOTIFY_EXTEND);
    return m.extend;
}

static void times_are_rounded_up(void **state)
{
    (void)state;
    assert_int_equal(watchdog_of("WATCHDOG_USEC=0"), 0);
    assert_int_equal(watchdog_of("WATCHDOG_USEC=1"), 1);
    assert_int_equal(watchdog_of("WATCHDOG_USEC=1000"), 1);
    assert_int_equal(watchdog_of("WATCHDOG_USEC=1001"), 2);
    assert_int_equal(watchdog_of("WATCHDOG_USEC=18446744073709551615"), NOTIFY_TIME_MAX);
    assert_int_equal(extend_of("EXTEND_TIMEOUT_USEC=10000000"), 10000);
    assert_int_equal(extend_of("EXTEND_TIMEOUT_USEC=10000999"), 10001);
    assert_int_equal(extend_of("EXTEND_TIMEOUT_USEC=31536000000001"), NOTIFY_TIME_MAX);
}

static void reloading_says_since_when(void **state)
{
    (void)state;
    assert_int_equal(said("RELOADING=1\nMONOTONIC_USEC=18446744073709551615", false),
                     NOTIFY_RELOADING);
    assert_true(m.reloading_usec == UINT64_MAX);
    assert_int_equal(said("MONOTONIC_USEC=5", false), 0);
    assert_int_equal(said("RELOADING=1", false), NOTIFY_RELOADING);
    assert_true(m.reloading_usec == 0);
}

/* ---- status ---- */

static void status_is(const char *text, const char *expected)
{
    assert_true(said(text, false) & NOTIFY_STATUS);
    assert_int_equal(m.status_length, strlen(expected));
    assert_memory_equal(m.status, expected, m.status_length);
}

static void a_status_is_any_text(void **state)
{
    (void)state;
    status_is("STATUS=3 of 5 loaded", "3 of 5 loaded");
    status_is("STATUS=", "");
    status_is("STATUS=a=b", "a=b");
    status_is("READY=1\nSTATUS=\x01\xff\nWATCHDOG=1", "\x01\xff");
}

/* `before` letters, then a character until it is far too long. */
static size_t length_kept(size_t before, const char *character)
{
    char text[NOTIFY_MAX] = "STATUS=";
    size_t n = strlen(text);

    memset(text + n, 'x', before);
    text[n + before] = '\0';
    for (n += before; n < 2 * NOTIFY_STATUS_MAX; n += strlen(character))
        strcpy(text + n, character);
    assert_int_equal(said(text, false), NOTIFY_STATUS);
    return m.status_length;
}

static void a_long_one_is_cut_between_characters(void **state)
{
    (void)state;
    assert_int_equal(length_kept(0, "x"), 256);
    assert_int_equal(length_kept(0, "\xc3\xa4"), 256);
    assert_int_equal(length_kept(1, "\xc3\xa4"), 255);
    assert_int_equal(length_kept(0, "\xe2\x82\xac"), 255);
    assert_int_equal(length_kept(1, "\xe2\x82\xac"), 256);
    assert_int_equal(length_kept(2, "\xe2\x82\xac"), 254);
    assert_int_equal(length_kept(0, "\xf0\x9f\x98\x80"), 256);
    assert_int_equal(length_kept(1, "\xf0\x9f\x98\x80"), 253);
    assert_int_equal(length_kept(2, "\xf0\x9f\x98\x80"), 254);
    assert_int_equal(length_kept(3, "\xf0\x9f\x98\x80"), 255);
    assert_int_equal(length_kept(0, "\x80"), 256);
    assert_int_equal(length_kept(0, "\xff"), 256);
    assert_int_equal(length_kept(1, "\xf0\x9f"), 256);
}

/* ---- lines ---- */

static void the_first_of_a_name_counts(void **state)
{
    (void)state;
    assert_int_equal(said("MAINPID=5\nMAINPID=6", false), NOTIFY_MAIN_PID);
    assert_int_equal(m.main_pid, 5);
    is_bad("MAINPID=x\nMAINPID=6");
    assert_int_equal(said("WATCHDOG=1\nWATCHDOG=trigger", false), NOTIFY_WATCHDOG);
    status_is("STATUS=a\nSTATUS=b", "a");
}

static void a_bad_line_spoils_no_other(void **state)
{
    (void)state;
    assert_int_equal(said("ERRNO=x\nREADY=1\nMAINPID=-1\nSTOPPING=1", true),
                     NOTIFY_READY | NOTIFY_STOPPING);
}

static void what_is_unknown_is_passed_over(void **state)
{
    (void)state;
    assert_int_equal(said("X_VENDOR=1\nREADY=1\nFDNAME=x\nFDPOLL=0", false), NOTIFY_READY);
    assert_int_equal(said("READY", false), 0);
    assert_int_equal(said("=1", false), 0);
    assert_int_equal(said("ready=1", false), 0);
    assert_int_equal(said(" READY=1", false), 0);
    assert_int_equal(said("READYX=1\nREAD=1", false), 0);
    assert_int_equal(said("\n", false), 0);
}

static void how_lines_end(void **state)
{
    (void)state;
    assert_int_equal(said("READY=1\n", false), NOTIFY_READY);
    assert_int_equal(said("READY=1\r\nSTOPPING=1\r\n", false), NOTIFY_READY | NOTIFY_STOPPING);
    assert_int_equal(said("\n\nREADY=1\n\nSTOPPING=1\n\n", false), NOTIFY_READY | NOTIFY_STOPPING);
}

static void a_barrier_stands_alone(void **state)
{
    (void)state;
    assert_int_equal(said("BARRIER=1\n", false), NOTIFY_BARRIER);
    is_bad("BARRIER=1\nREADY=1");
    is_bad("READY=1\nBARRIER=1");
    is_bad("STATUS=x\nBARRIER=1");
    assert_null(m.status);
    is_bad("BARRIER=1\nX=1");
    is_bad("BARRIER=1\nBARRIER=1");
    assert_int_equal(said("BARRIER=0\nREADY=1", true), NOTIFY_READY);
}

static void what_is_no_message(void **state)
{
    char text[NOTIFY_MAX + 2];

    (void)state;
    is_none("", 0);
    is_none("\0", 1);
    is_none("\0\0", 2);
    is_none("READY=1\0\0", 9);
    is_none("READY=1\0STOPPING=1", 18);
    is_none("\0READY=1", 8);
    assert_true(notify_parse("READY=1\0", 8, &m));
    assert_int_equal(m.said, NOTIFY_READY);
    strcpy(text, "READY=1");
    memset(text + 7, '\n', sizeof text - 7);
    assert_true(notify_parse(text, NOTIFY_MAX, &m));
    assert_int_equal(m.said, NOTIFY_READY);
    is_none(text, NOTIFY_MAX + 1);
}

/* ---- for people ---- */

static void shown(const char *bytes, const char *expected)
{
    char buf[1024];

    notify_printable(bytes, strlen(bytes), buf, sizeof buf);
    assert_string_equal(buf, expected);
}

static void what_may_be_shown_is(void **state)
{
    (void)state;
    shown("", "");
    shown("3 of 5 ~!\"", "3 of 5 ~!\"");
    shown("\xc2\xa0\xc3\xa4\xdf\xbf", "\xc2\xa0\xc3\xa4\xdf\xbf");
    shown("\xe0\xa0\x80\xe2\x82\xac\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
          "\xe0\xa0\x80\xe2\x82\xac\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf");
    shown("\xf0\x90\x80\x80\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf",
          "\xf0\x90\x80\x80\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf");
}

static void what_may_not_is_escaped(void **state)
{
    char buf[16];

    (void)state;
    shown("\x1b[2J\t\r\n\x7f", "\\x1b[2J\\x09\\x0d\\x0a\\x7f");
    shown("\\x41", "\\x5cx41");
    shown("\xc2\x80\xc2\x9b\xc2\x9f", "\\xc2\\x80\\xc2\\x9b\\xc2\\x9f");
    shown("\x80\xbf\xff\xfe", "\\x80\\xbf\\xff\\xfe");
    shown("\xc0\x80\xc1\xbf", "\\xc0\\x80\\xc1\\xbf");
    shown("\xe0\x9f\xbf", "\\xe0\\x9f\\xbf");
    shown("\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf");
    shown("\xed\xa0\x80", "\\xed\\xa0\\x80");
    shown("\xf4\x90\x80\x80\xf5", "\\xf4\\x90\\x80\\x80\\xf5");
    shown("\xe2\x82", "\\xe2\\x82");
    shown("\xc3x\xf0\x9f\x98y", "\\xc3x\\xf0\\x9f\\x98y");
    notify_printable("a\0b", 3, buf, sizeof buf);
    assert_string_equal(buf, "a\\x00b");
    notify_printable("\xe2\x82\xac", 2, buf, sizeof buf);
    assert_string_equal(buf, "\\xe2\\x82");
}

static void cut_to(size_t size, const char *bytes, const char *expected)
{
    char *buf = malloc(size + 1); /* no more, for a sanitizer */

    assert_non_null(buf);
    memset(buf, '!', size + 1);
    notify_printable(bytes, strlen(bytes), buf, size);
    assert_string_equal(buf, expected);
    assert_true(size == 0 || buf[size] == '!');
    free(buf);
}

static void what_has_no_room_is_cut_off_whole(void **state)
{
    char none = '!';

    (void)state;
    cut_to(9, "12345678", "12345678");
    cut_to(9, "123456789", "12345...");
    cut_to(9, "1234\0016", "1234...");
    cut_to(9, "1234\001", "1234\\x01");
    cut_to(9, "\001 6789", "\\x01 ...");
    cut_to(9, "1234\342\202\254", "1234\342\202\254");
    cut_to(9, "1234\342\202\2545", "1234\342\202\2545");
    cut_to(9, "1234\342\202\25456", "1234...");
    cut_to(4, "1234", "...");
    cut_to(3, "123", "..");
    cut_to(1, "1", "");
    notify_printable("1", 1, &none, 0);
    assert_int_equal(none, '!');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_word),
        cmocka_unit_test(numbers),
        cmocka_unit_test(what_is_no_number),
        cmocka_unit_test(times_are_rounded_up),
        cmocka_unit_test(reloading_says_since_when),
        cmocka_unit_test(a_status_is_any_text),
        cmocka_unit_test(a_long_one_is_cut_between_characters),
        cmocka_unit_test(the_first_of_a_name_counts),
        cmocka_unit_test(a_bad_line_spoils_no_other),
        cmocka_unit_test(what_is_unknown_is_passed_over),
        cmocka_unit_test(how_lines_end),
        cmocka_unit_test(a_barrier_stands_alone),
        cmocka_unit_test(what_is_no_message),
        cmocka_unit_test(what_may_be_shown_is),
        cmocka_unit_test(what_may_not_is_escaped),
        cmocka_unit_test(what_has_no_room_is_cut_off_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
