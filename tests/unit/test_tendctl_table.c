/* Tables: columns, cutting, folding, colour; characters of any width. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/table.h"

static const struct column columns[] = {{"NAME", false}, {"PID", true}, {"NOTE", false}};

static struct table table(const char *note)
{
    struct table t = {.columns = columns, .n_columns = 3};

    table_titles(&t);
    table_put(&t, PAINT_NONE, "web");
    table_put(&t, PAINT_GOOD, "%d", 12345);
    table_put(&t, PAINT_NONE, "%s", "");
    table_put(&t, PAINT_NONE, "database");
    table_put(&t, PAINT_NONE, "-");
    table_put(&t, PAINT_BAD, "%s", note);
    return t;
}

static void check(struct table t, size_t width, bool colored, const char *expected)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    assert_non_null(out);
    assert_int_equal(table_print(&t, out, width, colored), 0);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
    table_free(&t);
}

static void test_columns(void **state)
{
    (void)state;
    check(table("waits for web, in vain"), 0, false,
          "NAME        PID  NOTE\n"
          "web       12345\n"
          "database      -  waits for web, in vain\n");
    check(table("waits for web, in vain"), 80, false,
          "NAME        PID  NOTE\n"
          "web       12345\n"
          "database      -  waits for web, in vain\n");
}

static void test_cut(void **state)
{
    static const char *const lines[] = {
        [1] = ".", [2] = "..", [3] = "...", [4] = "w...", [5] = "wa...", [9] = "waits ...",
    };
    char expected[200];

    (void)state;
    for (size_t i = 1; i < sizeof lines / sizeof *lines; i++) {
        if (!lines[i])
            continue;
        snprintf(expected, sizeof expected,
                 "NAME        PID  %s\nweb       12345\ndatabase      -  %s\n",
                 i < 3    ? lines[i]
                 : i == 3 ? "..."
                          : "NOTE",
                 lines[i]);
        check(table("waits for web"), 17 + i, false, expected);
    }
}

static void test_too_narrow(void **state)
{
    (void)state;
    check(table("waits"), 15, false, "NAME        PID  .\nweb       12345\ndatabase      -  .\n");
    check(table("waits"), 14, false, "NAME       PID .\nweb      12345\ndatabase     - .\n");
    check(table("waits"), 5, false, "NAME       PID .\nweb      12345\ndatabase     - .\n");
}

static void test_folds(void **state)
{
    struct table t = table("waits for web, in vain");

    (void)state;
    t.folds = true;
    check(t, 24, false,
          "NAME        PID\n"
          "web       12345\n"
          "database      -\n"
          "  waits for web, in vain\n");
    t = table("waits for web, in vain");
    t.folds = true;
    check(t, 38, false,
          "NAME        PID\n"
          "web       12345\n"
          "database      -\n"
          "  waits for web, in vain\n");
    t = table("waits for web, in vain");
    t.folds = true;
    check(t, 39, false,
          "NAME        PID  NOTE\n"
          "web       12345\n"
          "database      -  waits for web, in vain\n");
    t = table("short");
    t.folds = true;
    check(t, 24, false, "NAME        PID  NOTE\nweb       12345\ndatabase      -  short\n");
}

static void test_colour(void **state)
{
    (void)state;
    check(table("bad"), 80, true,
          "NAME        PID  NOTE\n"
          "web       \033[32m12345\033[0m\n"
          "database      -  \033[31mbad\033[0m\n");
}

static void test_widths(void **state)
{
    (void)state;
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    assert_int_equal(text_width(""), 0);
    assert_int_equal(text_width("web"), 3);
    assert_int_equal(text_width("\xc3\xa4\xc3\xb6"), 2);
    assert_int_equal(text_width("\xe6\x97\xa5\xe6\x9c\xac"), 4); /* two wide characters */
    assert_int_equal(text_width("\xc3"), 1);
    assert_int_equal(text_width("\xff\xfe"), 2);
    assert_int_equal(text_fitting("\xe6\x97\xa5\xe6\x9c\xac", 3), 3);
    assert_int_equal(text_fitting("\xc3\xa4\xc3\xb6", 1), 2);
    assert_int_equal(text_fitting("web", 0), 0);
    assert_int_equal(text_fitting("web", 9), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),    cmocka_unit_test(test_cut),
        cmocka_unit_test(test_too_narrow), cmocka_unit_test(test_folds),
        cmocka_unit_test(test_colour),     cmocka_unit_test(test_widths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
