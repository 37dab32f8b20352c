/* What was read, and whether it still stands there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tend/load_seen.h"

static char folder[] = "/tmp/tend-seen.XXXXXX";
static struct seen seen;

static const char *in_folder(const char *name)
{
    static char path[2][64];
    static int i;

    snprintf(path[i ^= 1], sizeof path[0], "%s/%s", folder, name);
    return path[i];
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(in_folder(name), "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void put_link(const char *name, const char *to)
{
    unlink(in_folder("new"));
    assert_int_equal(symlink(to, in_folder("new")), 0);
    assert_int_equal(rename(in_folder("new"), in_folder(name)), 0);
}

/* The kernel's clock for files goes on by ticks. */
static void wait_a_tick(void)
{
    usleep(20000);
}

static void see(const char *name)
{
    seen_before(&seen, in_folder(name));
    seen_after(&seen);
}

static int setup(void **unused)
{
    (void)unused;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(mkdir(in_folder("v1"), 0755), 0);
    assert_int_equal(mkdir(in_folder("v2"), 0755), 0);
    write_file("v1/a", "1");
    write_file("v2/a", "2");
    put_link("now", "v1");
    put_link("a", "now/a");
    wait_a_tick();
    return 0;
}

static int teardown(void **unused)
{
    static const char *const names[] = {"v1/a", "v2/a", "v2/b", "now", "a", "b", "v1", "v2", ""};

    (void)unused;
    seen_free(&seen);
    seen = (struct seen){0};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        remove(in_folder(names[i]));
    return 0;
}

static void expect_changed(const char *name)
{
    const char *changed = seen_changed(&seen);

    if (!name) {
        assert_null(changed);
        return;
    }
    assert_non_null(changed);
    assert_string_equal(changed, in_folder(name));
}

static void test_nothing_changed(void **unused)
{
    (void)unused;
    expect_changed(NULL);
    see("v1");
    see("a");
    see("nosuch");
    see("now/a");
    expect_changed(NULL);
    write_file("v2/a", "nobody has read it");
    expect_changed(NULL);
}

static void test_written_over(void **unused)
{
    (void)unused;
    see("v2/a");
    see("v1/a");
    write_file("v1/a", "3");
    expect_changed("v1/a");
}

static void test_written_while_it_is_read(void **unused)
{
    (void)unused;
    see("v2/a");
    seen_before(&seen, in_folder("v1/a"));
    write_file("v1/a", "12");
    seen_after(&seen);
    see("now");
    expect_changed("v1/a");
}

static void test_exchanged(void **unused)
{
    (void)unused;
    see("a");
    see("now/a");
    put_link("now", "v2");
    expect_changed("a");
    put_link("now", "v1");
    expect_changed(NULL);
}

static void test_its_rights(void **unused)
{
    (void)unused;
    see("v1/a");
    assert_int_equal(chmod(in_folder("v1/a"), 0666), 0);
    expect_changed("v1/a");
}

static void test_it_comes_and_goes(void **unused)
{
    (void)unused;
    see("b");
    write_file("b", "");
    expect_changed("b");
    remove(in_folder("b"));
    expect_changed(NULL);
    see("v1/a");
    remove(in_folder("v1/a"));
    expect_changed("v1/a");
}

static void test_a_folder(void **unused)
{
    (void)unused;
    see("v2");
    write_file("v2/b", "");
    expect_changed("v2");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_changed), TEST(test_written_over), TEST(test_written_while_it_is_read),
        TEST(test_exchanged),       TEST(test_its_rights),   TEST(test_it_comes_and_goes),
        TEST(test_a_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
