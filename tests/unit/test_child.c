/* The wait table against a model that is only an array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tend/child.h"

/* xorshift: the same on every machine. */
static uint32_t seed;
static uint32_t pick(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % below;
}

static struct child *add(struct child_table *t, pid_t pid)
{
    assert_int_equal(child_reserve(t), 0);
    return child_add(t, pid, CHILD_MAIN, NULL);
}

static void test_empty(void **state)
{
    struct child_table t = {0};

    (void)state;
    assert_null(child_find(&t, 1));
    assert_null(child_find(&t, 0));
    assert_null(child_find(&t, -1));
    child_remove(&t, 1);
    assert_int_equal(child_deadline(&t), NEVER);
    assert_null(child_expired(&t, NEVER - 1));
    child_table_free(&t);
}

static void test_fields(void **state)
{
    struct child_table t = {0};
    struct service s = {.generation = 9};
    struct child *c;

    (void)state;
    assert_int_equal(child_reserve(&t), 0);
    c = child_add(&t, 42, CHILD_COMMAND, &s);
    assert_ptr_equal(child_find(&t, 42), c);
    assert_true(c->pid == 42 && c->kind == CHILD_COMMAND && c->service == &s);
    assert_int_equal(c->generation, 9);
    assert_int_equal(c->deadline, NEVER);
    assert_null(child_find(&t, 43));
    assert_null(child_find(&t, 0));
    assert_null(child_find(&t, -42));
    child_table_free(&t);
}

enum { PIDS = 4096, STEPS = 100000 };

/* The model: by number of the pid, its deadline; 0: not there. */
static msec model[PIDS];
static size_t in_model;

static void compare(const struct child_table *t, pid_t stride)
{
    msec earliest = NEVER;
    size_t n = 0;

    for (int i = 0; i < PIDS; i++) {
        const struct child *c = child_find(t, 2 + i * stride);
        assert_int_equal(c != NULL, model[i] != 0);
        if (!c)
            continue;
        assert_int_equal(c->pid, 2 + i * stride);
        assert_int_equal(c->deadline, model[i]);
        earliest = c->deadline < earliest ? c->deadline : earliest;
        n++;
    }
    assert_int_equal(n, t->n);
    assert_int_equal(n, in_model);
    assert_int_equal(child_deadline(t), earliest);
}

/* Grows and shrinks in waves, so that the table is seen from empty to full. */
static void random_walk(pid_t stride)
{
    struct child_table t = {0};

    memset(model, 0, sizeof model);
    in_model = 0;
    seed = 2463534242u;
    for (int step = 0; step < STEPS; step++) {
        uint32_t i = pick(PIDS), grow = step / 5000 % 2 ? 3 : 7;
        pid_t pid = 2 + (pid_t)i * stride;
        if (model[i] == 0 && pick(10) < grow) {
            struct child *c = add(&t, pid);
            model[i] = c->deadline = pick(4) ? 1 + pick(1000) : NEVER;
            in_model++;
        } else if (model[i] != 0 && pick(10) >= grow) {
            child_remove(&t, pid);
            model[i] = 0;
            in_model--;
        } else if (model[i] == 0) {
            child_remove(&t, pid);
            assert_null(child_find(&t, pid));
        }
        if (step % 1000 == 0)
            compare(&t, stride);
    }
    compare(&t, stride);
    child_table_free(&t);
}

static void test_random(void **state)
{
    (void)state;
    random_walk(1);
}

static void test_random_clustered(void **state)
{
    (void)state;
    random_walk(64);
    random_walk(1024);
}

/* Each removal from the middle of a run, around the end of the array too. */
static void test_remove_in_runs(void **state)
{
    (void)state;
    for (int gone = 0; gone < 60; gone++) {
        struct child_table t = {0};
        for (int i = 0; i < 60; i++)
            add(&t, 10 + i * 65536);
        child_remove(&t, 10 + gone * 65536);
        for (int i = 0; i < 60; i++)
            assert_int_equal(child_find(&t, 10 + i * 65536) != NULL, i != gone);
        child_table_free(&t);
    }
}

/* How far a look-up goes in all. */
static size_t effort(const struct child_table *t)
{
    size_t run = 0, sum = 0;

    for (size_t i = 0; i < 2 * t->room; i++) {
        run = t->at[i % t->room].pid ? run + 1 : 0;
        sum += run;
    }
    return sum / (2 * t->n);
}

/* Pids that lie a power of two apart, as where each service forks as many: no long runs. */
static void test_no_clusters(void **state)
{
    (void)state;
    for (pid_t stride = 1; stride <= 4096; stride *= 2) {
        struct child_table t = {0};
        for (int i = 0; i < 1000; i++)
            add(&t, 2 + i * stride);
        assert_true(t.room <= 2048);
        if (effort(&t) > 8)
            fail_msg("stride %d: %zu", (int)stride, effort(&t));
        child_table_free(&t);
    }
}

static void test_deadlines(void **state)
{
    struct child_table t = {0};
    struct child *c;
    size_t n = 0;

    (void)state;
    for (int i = 0; i < 100; i++)
        add(&t, 100 + i)->deadline = i % 2 ? NEVER : 1000 + i;
    assert_int_equal(child_deadline(&t), 1000);
    assert_null(child_expired(&t, 999));
    for (; (c = child_expired(&t, 1050)); n++) {
        assert_true(c->pid <= 150 && c->pid % 2 == 0);
        assert_int_equal(c->deadline, NEVER);
    }
    assert_int_equal(n, 26);
    assert_int_equal(child_deadline(&t), 1052);
    child_remove(&t, 152);
    assert_int_equal(child_deadline(&t), 1054);
    child_table_free(&t);
}

/* A pid that is used again after its end is another child. */
static void test_reuse(void **state)
{
    struct child_table t = {0};
    struct service one = {.generation = 1}, two = {.generation = 5};

    (void)state;
    assert_int_equal(child_reserve(&t), 0);
    child_add(&t, 7, CHILD_MAIN, &one)->deadline = 3;
    child_remove(&t, 7);
    child_add(&t, 7, CHILD_COMMAND, &two);
    assert_ptr_equal(child_find(&t, 7)->service, &two);
    assert_int_equal(child_find(&t, 7)->generation, 5);
    assert_int_equal(child_deadline(&t), NEVER);
    assert_int_equal(t.n, 1);
    child_table_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),          cmocka_unit_test(test_fields),
        cmocka_unit_test(test_random),         cmocka_unit_test(test_random_clustered),
        cmocka_unit_test(test_remove_in_runs), cmocka_unit_test(test_no_clusters),
        cmocka_unit_test(test_deadlines),      cmocka_unit_test(test_reuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
