/* A newline and the end, on whatever descriptor; by each way that there is to say it without
 * waiting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tend/ready_fd.h"

/* What stands in for an older kernel, and for a system without /proc. */
static bool no_nowait, no_proc;

ssize_t __real_pwritev2(int fd, const struct iovec *v, int n, off_t at, int flags);
ssize_t __wrap_pwritev2(int fd, const struct iovec *v, int n, off_t at, int flags);
ssize_t __wrap_pwritev2(int fd, const struct iovec *v, int n, off_t at, int flags)
{
    if (!no_nowait)
        return __real_pwritev2(fd, v, n, at, flags);
    errno = EOPNOTSUPP;
    return -1;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    if (!no_proc)
        return __real_open(path, flags);
    errno = ENOENT;
    return -1;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static bool none_is_pending(void)
{
    sigset_t set;

    sigpending(&set);
    return !sigismember(&set, SIGPIPE) && !sigismember(&set, SIGXFSZ);
}

/* No matter what else somebody wrote there. */
static bool ends_with_newline(int fd)
{
    char bytes[4096], last = 0;
    ssize_t n;

    while ((n = read(fd, bytes, sizeof bytes)) > 0)
        last = bytes[n - 1];
    close(fd);
    return n == 0 && last == '\n';
}

static void says(int to, int from)
{
    assert_int_equal(ready_fd_say(to), 1);
    assert_false(is_open(to));
    if (from >= 0)
        assert_true(ends_with_newline(from));
}

/* The description is shared: it has to be as it was, also meanwhile. */
static void tries_until_there_is_room(int to, int from)
{
    char bytes[4096] = "";
    int flags = fcntl(to, F_GETFL);

    fcntl(to, F_SETFL, flags | O_NONBLOCK);
    while (write(to, bytes, sizeof bytes) > 0)
        ;
    while (write(to, bytes, 1) > 0)
        ;
    fcntl(to, F_SETFL, flags);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(ready_fd_say(to), 0);
        assert_int_equal(fcntl(to, F_GETFL), flags);
    }
    for (int i = 0; i < 2; i++)
        assert_true(read(from, bytes, sizeof bytes) > 0);
    says(to, from);
}

static void fails(int to, int error)
{
    assert_int_equal(ready_fd_say(to), -1);
    assert_int_equal(errno, error);
    assert_false(is_open(to));
    assert_true(none_is_pending());
}

static void two(int ends[2], bool sockets)
{
    assert_int_equal(sockets ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends), 0);
}

static void a_pipe(void **state)
{
    int ends[2];

    (void)state;
    two(ends, false);
    says(ends[1], ends[0]);
    two(ends, false);
    tries_until_there_is_room(ends[1], ends[0]);
    two(ends, false);
    close(ends[0]);
    fails(ends[1], EPIPE);
}

static void a_socket(void **state)
{
    int ends[2];

    (void)state;
    two(ends, true);
    says(ends[1], ends[0]);
    two(ends, true);
    tries_until_there_is_room(ends[1], ends[0]);
    two(ends, true);
    close(ends[0]);
    fails(ends[1], EPIPE);
}

static void a_file(void **state)
{
    char path[] = "/tmp/tend-ready-fd-XXXXXX";
    int fd = mkstemp(path), other = __real_open(path, O_RDONLY);

    (void)state;
    assert_int_equal(write(fd, "before", 6), 6);
    says(fd, other);
    unlink(path);
}

static void what_takes_everything_or_nothing(void **state)
{
    (void)state;
    says(__real_open("/dev/null", O_WRONLY), -1);
    fails(__real_open("/dev/full", O_WRONLY), ENOSPC);
    assert_int_equal(ready_fd_say(999), -1);
    assert_int_equal(errno, EBADF);
}

static int plainly(void **state)
{
    (void)state;
    no_nowait = no_proc = false;
    return 0;
}

static int on_an_older_kernel(void **state)
{
    plainly(state);
    no_nowait = true;
    return 0;
}

static int without_proc(void **state)
{
    on_an_older_kernel(state);
    no_proc = true;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipe),
        cmocka_unit_test(a_socket),
        cmocka_unit_test(a_file),
        cmocka_unit_test(what_takes_everything_or_nothing),
    };
    sigset_t all;
    int failed;

    sigfillset(&all);
    sigdelset(&all, SIGTERM);
    sigprocmask(SIG_SETMASK, &all, NULL);
    failed = cmocka_run_group_tests_name("plainly", tests, plainly, NULL);
    failed += cmocka_run_group_tests_name("on an older kernel", tests, on_an_older_kernel, NULL);
    return failed + cmocka_run_group_tests_name("without /proc", tests, without_proc, NULL);
}
