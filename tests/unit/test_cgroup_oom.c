/* Whose end is told to be for want of memory, from files as the kernel writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tend/cgroup_oom.h"

struct format {
    const char *before, *after;
};
static const struct format formats[] = {
    {"low 0\nhigh 12\nmax 7\noom 99\noom_kill ", "\noom_group_kill 5\n"},
    {"oom_kill_disable 0\nunder_oom 1\noom_kill ", "\n"},
};

static void count_is(const struct cgroup_oom *o, const struct format *f, int n)
{
    assert_int_equal(ftruncate(o->fd, 0), 0);
    assert_int_equal(lseek(o->fd, 0, SEEK_SET), 0);
    assert_true(dprintf(o->fd, "%s%d%s", f->before, n, f->after) > 0);
}

static struct cgroup_oom with_count(const struct format *f, int n)
{
    struct cgroup_oom o = {.fd = memfd_create("events", MFD_CLOEXEC)};

    assert_true(o.fd >= 0);
    count_is(&o, f, n);
    o.counted = (uint64_t)n;
    return o;
}

static void each_victim_is_told_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        struct cgroup_oom o = with_count(&formats[i], 9);
        assert_false(cgroup_oom_took_one(&o, 1000));
        count_is(&o, &formats[i], 10);
        assert_true(cgroup_oom_took_one(&o, 2000));
        assert_false(cgroup_oom_took_one(&o, 2000));
        cgroup_oom_close(&o);
    }
}

static void victims_of_one_moment_end_one_after_the_other(void **state)
{
    struct cgroup_oom o = with_count(&formats[0], 0);

    (void)state;
    count_is(&o, &formats[0], 3);
    assert_true(cgroup_oom_took_one(&o, 1000));
    assert_true(cgroup_oom_took_one(&o, 1400));
    count_is(&o, &formats[0], 4);
    assert_true(cgroup_oom_took_one(&o, 1800));
    assert_true(cgroup_oom_took_one(&o, 2700));
    assert_false(cgroup_oom_took_one(&o, 2700));
    cgroup_oom_close(&o);
}

/* As when a process below a service was the other victim. */
static void what_was_not_asked_for_in_time_is_forgotten(void **state)
{
    struct cgroup_oom o = with_count(&formats[0], 0);

    (void)state;
    count_is(&o, &formats[0], 2);
    assert_true(cgroup_oom_took_one(&o, 1000));
    assert_false(cgroup_oom_took_one(&o, 60000));
    count_is(&o, &formats[0], 3);
    assert_true(cgroup_oom_took_one(&o, 61000));
    assert_false(cgroup_oom_took_one(&o, 61000));
    cgroup_oom_close(&o);
}

static void nobody_counts(void **state)
{
    struct cgroup_oom o = {.fd = -1};

    (void)state;
    assert_false(cgroup_oom_took_one(&o, 1000));
    cgroup_oom_close(&o);
}

/* Before Linux 4.13 there is no such line. */
static void a_file_without_the_count(void **state)
{
    static const struct format old = {"oom_kill_disable 1\nunder_oom ", "\n"};
    struct cgroup_oom o = with_count(&old, 0);

    (void)state;
    count_is(&o, &old, 2);
    assert_false(cgroup_oom_took_one(&o, 1000));
    cgroup_oom_close(&o);
    o = with_count(&old, 4);
    assert_int_equal(ftruncate(o.fd, 0), 0);
    assert_false(cgroup_oom_took_one(&o, 1000));
    cgroup_oom_close(&o);
}

static void opening_is_harmless(void **state)
{
    struct cgroup_oom o;

    (void)state;
    cgroup_oom_open(&o);
    assert_int_equal(o.left, 0);
    cgroup_oom_close(&o);
    assert_int_equal(o.fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_victim_is_told_once),
        cmocka_unit_test(victims_of_one_moment_end_one_after_the_other),
        cmocka_unit_test(what_was_not_asked_for_in_time_is_forgotten),
        cmocka_unit_test(nobody_counts),
        cmocka_unit_test(a_file_without_the_count),
        cmocka_unit_test(opening_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
