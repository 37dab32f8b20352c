/* A set as it is written: what is missing, what waits for itself, in which order it starts; also
 * when it is long or wide, within a stack of 256 KiB and a second. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "make.h"
#include "tend/graph.h"

/* ---- a set, and what is said of it ---- */

enum { MANY = 50000, WIDE = 5000 };

static struct conf_set set;
static size_t *order;
static char said[8][4096]; /* "name: why" */
static int n_said;

static void say(void *self, const struct conf *at, const char *why)
{
    assert_ptr_equal(self, &set);
    if (n_said < (int)ARRAY_SIZE(said))
        snprintf(said[n_said], sizeof said[0], "%s: %s", at->name, why);
    n_said++;
}

static int setup(void **state)
{
    (void)state;
    set.at = calloc(MANY + WIDE, sizeof(struct conf *));
    order = calloc(MANY + WIDE, sizeof *order);
    set.n = 0;
    n_said = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < set.n; i++)
        conf_free(set.at[i]);
    free(set.at);
    free(order);
    return 0;
}

static struct conf *add(const char *name, const char *requires, const char *wants,
                        const char *after)
{
    return set.at[set.n++] = make_conf(name, requires, wants, after);
}

static int check(void)
{
    int n = graph_check(&set, say, &set, order);

    assert_int_equal(n, n_said);
    return n;
}

/* "a b c": the names in the order of start. */
static void assert_order(const char *expected)
{
    char text[256] = "";

    for (size_t i = 0; i < set.n; i++) {
        strcat(text, i ? " " : "");
        strcat(text, set.at[order[i]]->name);
    }
    assert_string_equal(text, expected);
}

/* ---- order ---- */

static void test_empty(void **state)
{
    (void)state;
    assert_int_equal(check(), 0);
}

static void test_as_written(void **state)
{
    (void)state;
    add("zeta", NULL, NULL, NULL);
    add("alpha", NULL, NULL, NULL);
    add("mid", NULL, NULL, NULL);
    assert_int_equal(check(), 0);
    assert_order("zeta alpha mid");
}

static void test_dependencies_first(void **state)
{
    (void)state;
    add("web", "db", "cache", "log");
    add("cache", "db", NULL, NULL);
    add("db", NULL, NULL, "disk");
    add("log", NULL, NULL, NULL);
    add("disk", NULL, NULL, NULL);
    assert_int_equal(check(), 0);
    assert_order("disk db cache log web");
}

static void test_diamond(void **state)
{
    (void)state;
    add("base", NULL, NULL, NULL);
    add("top", "left right", NULL, NULL);
    add("right", "base", NULL, NULL);
    add("left", "base", NULL, NULL);
    assert_int_equal(check(), 0);
    assert_order("base left right top");
}

/* ---- what is wrong ---- */

static void test_self(void **state)
{
    (void)state;
    add("web", "web", NULL, NULL);
    assert_int_equal(check(), 1);
    assert_string_equal(said[0], "web: waits for itself: web requires web; take one of these out");
}

static void test_two(void **state)
{
    (void)state;
    add("a", "b", NULL, NULL);
    add("b", NULL, NULL, "a");
    assert_int_equal(check(), 1);
    assert_string_equal(said[0],
                        "a: waits for itself: a requires b, b is after a; take one of these out");
}

/* The way that leads to the cycle is no part of it. */
static void test_three(void **state)
{
    (void)state;
    add("a", NULL, "b", NULL);
    add("b", "c", NULL, NULL);
    add("c", NULL, NULL, "a");
    add("in", "b", NULL, NULL);
    assert_int_equal(check(), 1);
    assert_string_equal(said[0], "b: waits for itself: b requires c, c is after a, a wants b; "
                                 "take one of these out");
}

static void test_two_cycles(void **state)
{
    (void)state;
    add("a", "b", NULL, NULL);
    add("b", "a", NULL, NULL);
    add("x", "y", NULL, NULL);
    add("y", "x", NULL, NULL);
    assert_int_equal(check(), 2);
    assert_string_equal(said[1],
                        "x: waits for itself: x requires y, y requires x; take one of these out");
}

static void test_missing(void **state)
{
    (void)state;
    add("web", "db", NULL, NULL);
    assert_int_equal(check(), 1);
    assert_string_equal(said[0], "web: web requires db, but there is no service db; "
                                 "define it or take the name out");
}

static void test_missing_with_its_chain(void **state)
{
    (void)state;
    add("db", NULL, NULL, "disk");
    add("web", "cache", NULL, NULL);
    add("cache", NULL, "db", NULL);
    assert_int_equal(check(), 1);
    assert_string_equal(said[0],
                        "db: web requires cache, cache wants db, db is after disk, but there is no "
                        "service disk; define it or take the name out");
}

/* A chain is told from its beginning, wherever that is written. */
static void test_chain_from_its_beginning(void **state)
{
    (void)state;
    add("db", "disk", NULL, NULL);
    add("log", NULL, NULL, NULL);
    add("web", "log db", NULL, NULL);
    assert_int_equal(check(), 1);
    assert_int_equal(strncmp(said[0], "db: web requires db, db requires disk, but", 41), 0);
}

static void test_all_at_once(void **state)
{
    (void)state;
    add("a", "x y", "z", "a");
    assert_int_equal(check(), 4);
    assert_non_null(strstr(said[0], "no service x"));
    assert_non_null(strstr(said[1], "no service y"));
    assert_non_null(strstr(said[2], "no service z"));
    assert_non_null(strstr(said[3], "a is after a"));
}

/* ---- long and wide ---- */

static const char *number(size_t i)
{
    static char names[2][24];
    static int turn;

    turn = !turn;
    snprintf(names[turn], sizeof names[0], "s%zu", i);
    return names[turn];
}

/* Recursion of any kind would not fit into this stack. */
static void *check_small(void *result)
{
    *(int *)result = graph_check(&set, say, &set, order);
    return NULL;
}

static int check_quickly(void)
{
    struct timespec a, b;
    pthread_attr_t attr;
    pthread_t thread;
    int result;

    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstacksize(&attr, 256 * 1024), 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    assert_int_equal(pthread_create(&thread, &attr, check_small, &result), 0);
    pthread_join(thread, NULL);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    pthread_attr_destroy(&attr);
    assert_true((double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9 < 1.0);
    assert_int_equal(result, n_said);
    return result;
}

/* Whatever the order of the text, each comes after what it needs. */
static void assert_right_order(void)
{
    size_t *place = calloc(set.n, sizeof *place);

    for (size_t i = 0; i < set.n; i++)
        place[order[i]] = i + 1;
    for (size_t i = 0; i < set.n; i++) {
        assert_int_not_equal(place[i], 0);
        for (size_t k = 0; set.at[i]->requires && set.at[i]->requires[k]; k++)
            assert_true(place[strtoul(set.at[i]->requires[k] + 1, NULL, 10)] < place[i]);
    }
    free(place);
}

static void test_long_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < MANY; i++)
        add(number(i), i + 1 < MANY ? number(i + 1) : NULL, NULL, NULL);
    assert_int_equal(check_quickly(), 0);
    assert_right_order();
}

static void test_long_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < MANY; i++)
        add(number(i), i ? number(i - 1) : NULL, NULL, NULL);
    assert_int_equal(check_quickly(), 0);
    assert_right_order();
}

/* Of a chain that long the end is told, with the name that is missing. */
static void test_long_missing(void **state)
{
    (void)state;
    for (size_t i = 0; i < MANY; i++)
        add(number(i), i + 1 < MANY ? number(i + 1) : "gone", NULL, NULL);
    assert_int_equal(check_quickly(), 1);
    assert_int_equal(strncmp(said[0], "s49999: ... s49976 requires s49977, ", 36), 0);
    assert_non_null(strstr(said[0], ", s49999 requires gone, but there is no service gone; "
                                    "define it or take the name out"));
}

static void test_long_cycle(void **state)
{
    (void)state;
    for (size_t i = 0; i < MANY; i++)
        add(number(i), number((i + 1) % MANY), NULL, NULL);
    assert_int_equal(check_quickly(), 1);
    assert_non_null(strstr(said[0], "waits for itself: ... "));
    assert_non_null(strstr(said[0], "s49999 requires s0; take one of these out"));
}

/* Every step of the way misses something. */
static void test_long_and_all_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < WIDE; i++)
        add(number(i), i + 1 < WIDE ? number(i + 1) : NULL, "gone", NULL);
    assert_int_equal(check_quickly(), WIDE);
}

static void test_longest_names(void **state)
{
    char name[CONF_NAME_MAX + 1], next[CONF_NAME_MAX + 1];

    (void)state;
    memset(name, 'x', CONF_NAME_MAX);
    memset(next, 'x', CONF_NAME_MAX);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(name + CONF_NAME_MAX - 4, 5, "%04u", i);
        snprintf(next + CONF_NAME_MAX - 4, 5, "%04u", i + 1);
        add(name, NULL, NULL, next);
    }
    assert_int_equal(check(), 1);
    assert_non_null(strstr(said[0], "0100; define it or take the name out"));
}

static void test_wide(void **state)
{
    char **all = calloc(WIDE + 1, sizeof *all);

    (void)state;
    for (size_t i = 0; i < WIDE; i++) {
        add(number(i), NULL, NULL, NULL);
        all[i] = strdup(number(i));
    }
    add("hub", NULL, NULL, NULL)->requires = all;
    assert_int_equal(check_quickly(), 0);
    assert_int_equal(order[WIDE], WIDE);
    assert_right_order();
}

static void test_wide_the_other_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < WIDE; i++)
        add(number(i), number(WIDE), NULL, NULL);
    add(number(WIDE), NULL, NULL, NULL);
    assert_int_equal(check_quickly(), 0);
    assert_int_equal(order[0], WIDE);
    assert_right_order();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_empty),
        TEST(test_as_written),
        TEST(test_dependencies_first),
        TEST(test_diamond),
        TEST(test_self),
        TEST(test_two),
        TEST(test_three),
        TEST(test_two_cycles),
        TEST(test_missing),
        TEST(test_missing_with_its_chain),
        TEST(test_chain_from_its_beginning),
        TEST(test_all_at_once),
        TEST(test_long_down),
        TEST(test_long_up),
        TEST(test_long_missing),
        TEST(test_long_cycle),
        TEST(test_long_and_all_wrong),
        TEST(test_longest_names),
        TEST(test_wide),
        TEST(test_wide_the_other_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
