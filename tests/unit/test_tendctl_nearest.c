/* Which name somebody may have meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/nearest.h"

static void test_distance(void **state)
{
    static const struct {
        const char *a, *b;
        size_t distance;
    } rows[] = {
        {"", "", 0},         {"web", "web", 0},        {"", "web", 3},          {"wbe", "web", 1},
        {"we", "web", 1},    {"webb", "web", 1},       {"wxb", "web", 1},       {"ca", "abc", 3},
        {"abcd", "badc", 2}, {"kitten", "sitting", 3}, {"status", "stauts", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(nearest_distance(rows[i].a, rows[i].b), rows[i].distance);
        assert_int_equal(nearest_distance(rows[i].b, rows[i].a), rows[i].distance);
    }
}

static void test_long_words(void **state)
{
    char a[1000], b[1000];

    (void)state;
    memset(a, 'a', sizeof a - 1);
    memset(b, 'b', sizeof b - 1);
    a[sizeof a - 1] = b[sizeof b - 1] = '\0';
    assert_int_equal(nearest_distance(a, a), 0);
    assert_int_equal(nearest_distance(a, b), 64);
}

static void test_nearest(void **state)
{
    static const char *const names[] = {"start", "status", "stop", "database-primary", "db"};
    static const struct {
        const char *written, *found;
    } rows[] = {
        {"stauts", "status"},
        {"stat", "status"}, /* it begins so */
        {"strt", "start"},
        {"stpo", "stop"},
        {"data-base-primry", "database-primary"},
        {"dbaseprimary", "database-primary"}, /* 4: a third of 12 */
        {"dtbsprmry", NULL},
        {"bd", "db"},
        {"xy", NULL}, /* every letter would have to be changed */
        {"", NULL},
        {"elephant", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *found = nearest(rows[i].written, names, sizeof names / sizeof *names);
        if (!rows[i].found)
            assert_null(found);
        else
            assert_string_equal(found ? found : "none", rows[i].found);
    }
    assert_null(nearest("web", names, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_long_words),
        cmocka_unit_test(test_nearest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
