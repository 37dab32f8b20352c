/* The connection, against a socket of our own: found under a name of any length, lines however
 * they arrive, and an end to every wait. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/connection.h"

enum { LONG = 10000 };

static char top[] = "/tmp/tendctl-test.XXXXXX", directory[4096];
static int listening = -1;

/* In a directory whose name is far longer than the address of a socket. */
static int set_up(void **state)
{
    static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "control"};
    int back = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char name[151];

    (void)state;
    memset(name, 'd', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    if (back < 0 || !mkdtemp(top))
        return -1;
    snprintf(directory, sizeof directory, "%s/%s", top, name);
    listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (mkdir(directory, 0700) || chdir(directory) || listening < 0 ||
        bind(listening, (const struct sockaddr *)&address, sizeof address) ||
        listen(listening, 5) || fchdir(back))
        return -1;
    return close(back);
}

static int tear_down(void **state)
{
    char path[sizeof directory + 16];

    (void)state;
    close(listening);
    snprintf(path, sizeof path, "%s/control", directory);
    unlink(path);
    rmdir(directory);
    return rmdir(top);
}

static void say(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void expect_line(struct connection *c, const char *expected)
{
    const char *line;
    size_t n;

    assert_int_equal(connection_line(c, &line, &n), 1);
    assert_int_equal(n, strlen(expected));
    assert_memory_equal(line, expected, n);
}

static int meet(struct connection *c, msec limit)
{
    int fd;

    assert_int_equal(connection_open(c, directory, connection_now() + limit), 0);
    fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void test_lines(void **state)
{
    struct connection c;
    char here[4096], there[4096], got[16];
    const char *line;
    size_t n;
    int fd;

    (void)state;
    assert_non_null(getcwd(here, sizeof here));
    fd = meet(&c, LONG);
    assert_string_equal(getcwd(there, sizeof there), here);
    assert_int_equal(c.peer, getpid());
    say(fd, "one\ntwo\n\nhal");
    expect_line(&c, "one");
    assert_true(connection_has_line(&c));
    expect_line(&c, "two");
    expect_line(&c, "");
    assert_false(connection_has_line(&c));
    say(fd, "f\nrest");
    expect_line(&c, "half");
    assert_int_equal(connection_send(&c, "status\n", 7), 0);
    assert_int_equal(read(fd, got, sizeof got), 7);
    assert_memory_equal(got, "status\n", 7);
    close(fd);
    assert_int_equal(connection_line(&c, &line, &n), 0);
    connection_close(&c);
}

static void test_timeout(void **state)
{
    struct connection c;
    const char *line;
    size_t n;
    int fd = meet(&c, 50);

    (void)state;
    say(fd, "half");
    assert_int_equal(connection_line(&c, &line, &n), -1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_true(connection_now() >= c.deadline);
    close(fd);
    connection_close(&c);
}

static void test_endless_line(void **state)
{
    static char many[CONNECTION_LINE_MAX + 1];
    struct connection c;
    const char *line;
    size_t n;
    int fd = meet(&c, LONG);

    (void)state;
    memset(many, 'x', sizeof many - 1);
    say(fd, many);
    assert_int_equal(connection_line(&c, &line, &n), -1);
    assert_int_equal(errno, EPROTO);
    close(fd);
    connection_close(&c);
}

/* Who waits for events is to end when nobody reads what it would print. */
static void test_reader_gone(void **state)
{
    struct connection c;
    const char *line;
    int fd = meet(&c, LONG), ends[2];
    size_t n;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    c.watched = ends[1];
    close(ends[0]);
    say(fd, "last\n");
    expect_line(&c, "last");
    assert_int_equal(connection_line(&c, &line, &n), -1);
    assert_int_equal(errno, EPIPE);
    close(ends[1]);
    close(fd);
    connection_close(&c);
}

static void test_nobody(void **state)
{
    struct connection c;

    (void)state;
    assert_int_equal(connection_open(&c, "/nonexistent/tend", NEVER), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(connection_open(&c, top, NEVER), -1);
    assert_int_equal(errno, ENOENT);
}

static void test_directory(void **state)
{
    char buf[256];

    (void)state;
    unsetenv("XDG_RUNTIME_DIR");
    unsetenv("TEND_RUNTIME");
    assert_string_equal(connection_directory(NULL, buf, sizeof buf), "/run/tend");
    setenv("TEND_RUNTIME", "/a/b", 1);
    assert_string_equal(connection_directory(NULL, buf, sizeof buf), "/a/b");
    assert_string_equal(connection_directory("/c", buf, sizeof buf), "/c");
    setenv("TEND_RUNTIME", "", 1);
    setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
    assert_string_equal(connection_directory(NULL, buf, sizeof buf), "/run/tend");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_endless_line), cmocka_unit_test(test_reader_gone),
        cmocka_unit_test(test_nobody),       cmocka_unit_test(test_directory),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
