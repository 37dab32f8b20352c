/* What a client can send besides text: a descriptor whose last close(2) blocks, here a TCP socket
 * that lingers, where the kernel does not refuse it for us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "peer.h"

/* Seconds; a close that blocks takes all of the first. */
enum { LINGER = 60, AT_ONCE = 15, PASSRIGHTS = 83 };

/* ---- an old kernel, and one without room for a child ---- */

int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __real_clone(int (*run)(void *), void *stack, int flags, void *arg, ...);
int __wrap_clone(int (*run)(void *), void *stack, int flags, void *arg, ...);

static bool is_new;
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    if (is_new || level != SOL_SOCKET || name != PASSRIGHTS)
        return __real_setsockopt(fd, level, name, value, size);
    errno = ENOPROTOOPT;
    return -1;
}

static bool no_child;
int __wrap_clone(int (*run)(void *), void *stack, int flags, void *arg, ...)
{
    if (!no_child)
        return __real_clone(run, stack, flags, arg);
    errno = EAGAIN;
    return -1;
}

/* ---- a descriptor that is slow to close ---- */

static int far_end = -1;

static int connected_tcp(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int near = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(socket_, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(socket_, 1), 0);
    assert_int_equal(getsockname(socket_, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(connect(near, (struct sockaddr *)&address, size), 0);
    far_end = accept4(socket_, NULL, NULL, SOCK_CLOEXEC);
    assert_true(far_end >= 0);
    close(socket_);
    return near;
}

static int slow_one(void)
{
    static const char much[65536];
    const struct linger linger = {.l_onoff = 1, .l_linger = LINGER};
    int fd = connected_tcp();

    while (send(fd, much, sizeof much, MSG_DONTWAIT) > 0)
        ;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    return fd;
}

/* The last of it is what was sent. */
static bool send_slow_one(int fd, const char *text, int flags)
{
    int slow = slow_one();
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec words = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
    struct msghdr message = {
        .msg_iov = &words, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    ssize_t n;

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof slow);
    memcpy(CMSG_DATA(head), &slow, sizeof slow);
    n = sendmsg(fd, &message, MSG_NOSIGNAL | flags);
    if (n < 0)
        close(far_end); /* else this close is slow */
    close(slow);
    return n == (ssize_t)strlen(text);
}

/* ---- what became of it ---- */

static struct timespec began;

static void begin(void)
{
    clock_gettime(CLOCK_MONOTONIC, &began);
}

static void nothing_blocked(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    assert_true(now.tv_sec - began.tv_sec < AT_ONCE);
}

static unsigned open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* The child took it from us, and waits in close(2) until the far end goes. */
static void a_child_closes(int fd)
{
    int status;

    for (int i = 0; i < 2000 && fcntl(fd, F_GETFD) >= 0; i++)
        usleep(10000);
    assert_true(fcntl(fd, F_GETFD) < 0);
    assert_int_equal(waitpid(-1, &status, WNOHANG), 0);
    nothing_blocked();
    close(far_end);
    assert_true(waitpid(-1, &status, 0) > 0);
    assert_int_equal(status, 0);
    assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
}

/* Reads nothing of it, is over, and is left. */
static void is_seen_and_left(struct client *e)
{
    int fd = e->fd;

    control_read(e, START);
    assert_true(e->gone);
    assert_false(control_wants_read(e));
    assert_true(control_is_over(e));
    no_line(e);
    control_drop(&c, e);
    a_child_closes(fd);
}

static int open_old(void **state)
{
    is_new = no_child = false;
    return open_control(state);
}

/* ---- tests ---- */

static void text_is_text(void **state)
{
    int fd, status;
    struct client *e = come_in(&fd);

    (void)state;
    assert_true(c.no_passrights && e->no_passrights);
    say(fd, "status\nstop web\n");
    control_read(e, START);
    line_is(e, "status");
    line_is(e, "stop web");
    control_read(e, START);
    assert_false(e->eof);
    say(fd, "unread\n");
    control_drop(&c, e);
    assert_string_equal(hear_all(fd), "");
    /* and no child is needed */
    assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
}

static void a_descriptor_is_never_read(void **state)
{
    int fd;
    unsigned before = open_descriptors();
    struct client *e = come_in(&fd);

    (void)state;
    begin();
    assert_true(send_slow_one(fd, "status\n", 0));
    is_seen_and_left(e);
    assert_true(is_closed(fd));
    close(fd);
    assert_int_equal(open_descriptors(), before);
}

static void what_came_before_it_is_read(void **state)
{
    int fd;
    struct client *e = come_in(&fd);

    (void)state;
    begin();
    say(fd, "status\n");
    assert_true(send_slow_one(fd, "stop web\n", 0));
    control_read(e, START);
    if (control_has_line(e)) /* the kernel may show both at once */
        line_is(e, "status");
    is_seen_and_left(e);
    close(fd);
}

static void nor_where_it_is_out_of_band(void **state)
{
    int fd;
    struct client *e = come_in(&fd);

    (void)state;
    begin();
    if (!send_slow_one(fd, "s", MSG_OOB)) {
        close(fd);
        skip(); /* Linux 5.15 */
    }
    say(fd, "tatus\n");
    is_seen_and_left(e);
    close(fd);
}

static void nor_where_nothing_is_read(void **state)
{
    int fd;
    struct client *e = come_in(&fd);
    int ours = e->fd;

    (void)state;
    begin();
    say(fd, "status\n");
    assert_true(send_slow_one(fd, "status\n", 0));
    control_drop(&c, e);
    a_child_closes(ours);
    assert_true(is_closed(fd));
    close(fd);
}

static void nor_of_who_is_sent_away(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    begin();
    assert_int_equal(fchmodat(dir, "control", 0666, 0), 0);
    assert_int_equal(seteuid(65534), 0);
    int fd = knock();
    assert_int_equal(seteuid(0), 0);
    assert_true(send_slow_one(fd, "status\n", 0));
    int next = dup(dir);
    close(next);
    assert_int_equal(control_accept(&c, START), -1);
    a_child_closes(next);
    close(fd);
}

static void nor_of_who_was_not_let_in_yet(void **state)
{
    int fd = knock(), ours = c.socket;

    (void)state;
    begin();
    assert_true(send_slow_one(fd, "status\n", 0));
    control_close(&c, dir);
    a_child_closes(ours);
    close(fd);
}

static void without_a_child_nobody_comes_in(void **state)
{
    int fd;
    struct client *e = come_in(&fd);
    int ours = e->fd;

    (void)state;
    begin();
    assert_true(send_slow_one(fd, "status\n", 0));
    no_child = true;
    control_drop(&c, e);
    assert_true(is_closed(fd));
    assert_int_equal(c.n_left, 1);
    assert_int_equal(control_accept(&c, START), -1);
    assert_false(control_wants_accept(&c, START));
    assert_true(control_deadline(&c) == START + CONTROL_PAUSE);
    no_child = false;
    assert_int_equal(control_accept(&c, START + CONTROL_PAUSE), -1);
    assert_int_equal(c.n_left, 0);
    a_child_closes(ours);
    close(fd);
    fd = knock();
    let_in(START + CONTROL_PAUSE);
    close(fd);
}

static void a_new_kernel_refuses_it(void **state)
{
    int fd;

    (void)state;
    is_new = true;
    assert_int_equal(control_open(&c, dir, (gid_t)-1), 0);
    while (waitpid(-1, NULL, 0) > 0) /* it closed the socket of before */
        ;
    if (c.no_passrights)
        skip();
    come_in(&fd);
    assert_false(send_slow_one(fd, "status\n", 0));
    assert_int_equal(errno, EPERM);
    close(fd);
}

static int close_old(void **state)
{
    int failed = close_control(state);

    while (waitpid(-1, NULL, 0) > 0)
        ;
    return failed;
}

#define OLD(f) cmocka_unit_test_setup_teardown(f, open_old, close_old)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OLD(text_is_text),
        OLD(a_descriptor_is_never_read),
        OLD(what_came_before_it_is_read),
        OLD(nor_where_it_is_out_of_band),
        OLD(nor_where_nothing_is_read),
        OLD(nor_of_who_is_sent_away),
        OLD(nor_of_who_was_not_let_in_yet),
        OLD(without_a_child_nobody_comes_in),
        OLD(a_new_kernel_refuses_it),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
