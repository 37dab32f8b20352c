/* The control socket with real peers, a clock that the test sets, and memory and descriptors that
 * run out when it says so. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "memory.h"
#include "tend/control.h"

enum { GROUP = 4711, OTHER = 4712, NOBODY = 65534 };
static const msec START = 1000000;

static char folder[64];
static int dir;
static struct control c;
static rlim_t descriptors; /* that we may have, but where a test says so */

static char *path_of(const char *name)
{
    static char path[200];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/tend-control-XXXXXX");
    if (!mkdtemp(folder) || chmod(folder, 0711))
        return -1;
    dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir < 0;
}

static int remove_folder(void **state)
{
    char command[128];

    (void)state;
    close(dir);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static int open_control(void **state)
{
    struct rlimit limit;

    (void)state;
    getrlimit(RLIMIT_NOFILE, &limit);
    descriptors = limit.rlim_cur;
    c = (struct control){.socket = -1};
    return control_open(&c, dir, (gid_t)-1);
}

static void limit_descriptors(rlim_t n)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = n;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Also where a test ended early. */
static int close_control(void **state)
{
    (void)state;
    allowed = -1;
    limit_descriptors(descriptors);
    control_close(&c, dir);
    return c.n != 0 || c.n_partial != 0 || c.socket != -1;
}

/* ---- the other side ---- */

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = 20};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) {
        close(fd);
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

static int knock(void)
{
    int fd = connect_to(path_of("control"));

    assert_true(fd >= 0);
    return fd;
}

static struct client *let_in(msec now)
{
    int i = control_accept(&c, now);

    assert_in_range(i, 0, CONTROL_CLIENTS - 1);
    return &c.at[i];
}

static struct client *come_in(int *fd)
{
    *fd = knock();
    return let_in(START);
}

static void say_bytes(int fd, const char *bytes, size_t n)
{
    assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
}

static void say(int fd, const char *text)
{
    say_bytes(fd, text, strlen(text));
}

/* All that comes until the end; an error is none. */
static char *hear_all(int fd)
{
    static char text[4096];
    size_t n = 0;
    ssize_t got;

    while ((got = recv(fd, text + n, sizeof text - 1 - n, 0)) > 0)
        n += (size_t)got;
    assert_int_equal(got, 0);
    text[n] = '\0';
    close(fd);
    return text;
}

static bool is_closed(int fd)
{
    struct pollfd p = {.fd = fd};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP);
}

/* ---- our side ---- */

static void line_is(struct client *e, const char *expected)
{
    size_t n = 0;
    char *line = control_line(e, &n);

    assert_non_null(line);
    assert_int_equal(n, strlen(expected));
    assert_string_equal(line, expected);
    control_done(e, START);
}

static void no_line(struct client *e)
{
    size_t n;

    assert_false(control_has_line(e));
    assert_null(control_line(e, &n));
}

static void reply(struct client *e, const char *words, msec now)
{
    struct text t = control_room(e, strlen(words));

    assert_non_null(t.at);
    text_put(&t, "%s", words);
    control_put(e, &t);
    control_write(e, now);
}

/* More than the kernel takes. */
static void fill(struct client *e, msec now)
{
    for (int i = 0; i < 10000; i++) {
        struct text t = control_room(e, 1000);
        if (!t.at)
            return;
        text_put(&t, "%0999d\n", i);
        control_put(e, &t);
        control_write(e, now);
    }
    fail_msg("all of it was taken");
}

static void has_expired(const struct client *e, msec now)
{
    int i = control_expired(&c, now);

    assert_true(i >= 0);
    assert_ptr_equal(&c.at[i], e);
}

/* It lives to the last moment, and not longer. */
static void expires_at(const struct client *e, msec when)
{
    assert_true(control_deadline(&c) == when);
    assert_int_equal(control_expired(&c, when - 1), -1);
    has_expired(e, when);
}

/* ---- the socket ---- */

static struct stat stat_of(const char *name)
{
    struct stat st;

    assert_int_equal(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st;
}

static void only_we_may_connect(void **state)
{
    static const mode_t umasks[] = {0, 022, 0777};
    mode_t before = umask(0);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(umasks); i++) {
        umask(umasks[i]);
        assert_int_equal(control_open(&c, dir, (gid_t)-1), 0);
        assert_int_equal(stat_of("control").st_mode, S_IFSOCK | 0600);
        assert_int_equal(umask(before), umasks[i]);
        assert_true(fcntl(c.socket, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(c.socket, F_GETFL) & O_NONBLOCK);
    }
    assert_int_equal(control_accept(&c, START), -1);
}

static void a_group_is_let_in_and_out(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(control_open(&c, dir, GROUP), 0);
    assert_int_equal(stat_of("control").st_mode & 07777, 0660);
    assert_int_equal(stat_of("control").st_gid, GROUP);
    assert_int_equal(control_set_group(&c, dir, OTHER), 0);
    assert_int_equal(stat_of("control").st_mode & 07777, 0660);
    assert_int_equal(stat_of("control").st_gid, OTHER);
    assert_int_equal(control_set_group(&c, dir, (gid_t)-1), 0);
    assert_int_equal(stat_of("control").st_mode & 07777, 0600);
    assert_int_equal(unlinkat(dir, "control", 0), 0);
    assert_int_equal(control_set_group(&c, dir, GROUP), -1);
    assert_int_equal(errno, ENOENT);
}

static void a_left_socket_is_replaced(void **state)
{
    char before[PATH_MAX], after[PATH_MAX];

    (void)state;
    assert_non_null(getcwd(before, sizeof before));
    close(c.socket); /* as if we had died */
    c.socket = -1;
    assert_true(connect_to(path_of("control")) < 0);
    assert_int_equal(errno, ECONNREFUSED);
    assert_int_equal(control_open(&c, dir, (gid_t)-1), 0);
    close(knock());
    assert_non_null(getcwd(after, sizeof after));
    assert_string_equal(after, before);
}

static void what_is_no_socket_stays(void **state)
{
    (void)state;
    control_close(&c, dir);
    assert_int_equal(mkdirat(dir, "control", 0700), 0);
    assert_int_equal(control_open(&c, dir, (gid_t)-1), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(c.socket, -1);
    assert_int_equal(unlinkat(dir, "control", AT_REMOVEDIR), 0);
    assert_int_equal(symlinkat("elsewhere", dir, "control"), 0);
    assert_int_equal(control_open(&c, dir, (gid_t)-1), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(unlinkat(dir, "control", 0), 0);
}

static void it_is_known_whether_it_is_there(void **state)
{
    struct control other = {.socket = -1};
    struct client *e;
    int ours;

    (void)state;
    assert_true(control_is_there(&c, dir));
    assert_int_equal(unlinkat(dir, "control", 0), 0);
    assert_false(control_is_there(&c, dir));
    assert_int_equal(control_open(&other, dir, (gid_t)-1), 0);
    assert_false(control_is_there(&c, dir));
    /* what is another's is not removed */
    control_close(&c, dir);
    assert_true(control_is_there(&other, dir));
    control_close(&other, dir);
    assert_false(control_is_there(&other, dir));
    assert_int_equal(faccessat(dir, "control", F_OK, 0), -1);
    assert_int_equal(open_control(NULL), 0);
    /* those who are in stay when it is made anew */
    e = come_in(&ours);
    assert_int_equal(unlinkat(dir, "control", 0), 0);
    assert_int_equal(control_open(&c, dir, (gid_t)-1), 0);
    assert_true(control_is_there(&c, dir));
    say(ours, "status\n");
    control_read(e, START);
    line_is(e, "status");
    close(ours);
}

static void its_path_may_be_longer_than_an_address(void **state)
{
    struct control far = {.socket = -1};
    char name[201] = "", path[300];
    int below;

    (void)state;
    memset(name, 'x', sizeof name - 1);
    assert_int_equal(mkdirat(dir, name, 0711), 0);
    below = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(control_open(&far, below, (gid_t)-1), 0);
    assert_true(control_is_there(&far, below));
    snprintf(path, sizeof path, "/proc/self/fd/%d/control", below);
    int fd = connect_to(path);
    assert_true(fd >= 0);
    assert_true(control_accept(&far, START) >= 0);
    close(fd);
    control_close(&far, below);
    close(below);
}

/* Not even root may read such a folder's name once it is gone; a bind needs only the way back. */
static void the_present_folder_may_be_gone(void **state)
{
    int here = open(".", O_PATH | O_CLOEXEC);

    (void)state;
    assert_int_equal(mkdirat(dir, "left", 0700), 0);
    assert_int_equal(chdir(path_of("left")), 0);
    assert_int_equal(unlinkat(dir, "left", AT_REMOVEDIR), 0);
    assert_int_equal(control_open(&c, dir, (gid_t)-1), 0);
    assert_int_equal(faccessat(AT_FDCWD, "control", F_OK, 0), -1);
    assert_int_equal(fchdir(here), 0);
    close(here);
    close(knock());
}

/* ---- lines ---- */

static const char stream[] = "status\nstart a b\n\nstop web\n";
static const char *const lines[] = {"status", "start a b", "", "stop web"};

static void lines_may_be_cut_anywhere(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof stream; cut++) {
        int fd;
        struct client *e = come_in(&fd);
        size_t taken = 0;
        for (int half = 0; half < 2; half++) {
            if (half == 0 ? cut > 0 : cut < sizeof stream - 1)
                say_bytes(fd, half ? stream + cut : stream, half ? sizeof stream - 1 - cut : cut);
            control_read(e, START);
            while (control_has_line(e))
                line_is(e, lines[taken++]);
        }
        assert_int_equal(taken, ARRAY_SIZE(lines));
        no_line(e);
        control_drop(&c, e);
        close(fd);
    }
}

static void lines_may_come_byte_by_byte(void **state)
{
    int fd;
    struct client *e = come_in(&fd);
    size_t taken = 0;

    (void)state;
    for (size_t i = 0; i < sizeof stream - 1; i++) {
        say_bytes(fd, &stream[i], 1);
        control_read(e, START);
        assert_int_equal(control_has_line(e), stream[i] == '\n');
        if (stream[i] == '\n')
            line_is(e, lines[taken++]);
    }
    no_line(e);
    close(fd);
}

static void one_line_is_under_way_at_a_time(void **state)
{
    int fd;
    struct client *e = come_in(&fd);
    size_t n;

    (void)state;
    say(fd, "status a\nstop b\n");
    control_read(e, START);
    char *line = control_line(e, &n);
    assert_string_equal(line, "status a");
    no_line(e);
    /* it stays as it is while more comes */
    say(fd, "start c\n");
    control_read(e, START);
    no_line(e);
    assert_string_equal(line, "status a");
    control_done(e, START);
    line_is(e, "stop b");
    line_is(e, "start c");
    close(fd);
}

static void any_byte_may_be_in_a_line(void **state)
{
    int fd;
    struct client *e = come_in(&fd);
    size_t n;

    (void)state;
    say_bytes(fd, "a\0b\xff\r\n", 6);
    control_read(e, START);
    assert_memory_equal(control_line(e, &n), "a\0b\xff\r", 6);
    assert_int_equal(n, 5);
    close(fd);
}

static void the_longest_line_fits(void **state)
{
    char longest[REQUEST_LINE_MAX + 1] = "";
    int fd;
    struct client *e = come_in(&fd);

    (void)state;
    memset(longest, 'x', REQUEST_LINE_MAX - 1);
    say(fd, longest);
    control_read(e, START);
    no_line(e);
    assert_false(e->closing);
    say(fd, "\nstatus\n");
    control_read(e, START);
    line_is(e, longest);
    control_read(e, START);
    line_is(e, "status");
    close(fd);
}

static void a_longer_one_ends_the_connection(void **state)
{
    char longer[3 * REQUEST_LINE_MAX + 1] = "";
    int fd;
    struct client *e = come_in(&fd);

    (void)state;
    memset(longer, 'x', sizeof longer - 1);
    say(fd, "status\n");
    say(fd, longer);
    control_read(e, START);
    line_is(e, "status");
    control_read(e, START);
    no_line(e);
    assert_true(e->closing);
    assert_false(control_is_over(e)); /* it is to be told */
    assert_false(control_wants_read(e));
    control_write(e, START);
    assert_true(control_is_over(e));
    control_drop(&c, e);
    assert_string_equal(hear_all(fd), "error code=too-long text=a line has at most 4096 bytes\n");
}

/* ---- the end of a client ---- */

static void half_a_line_at_the_end_is_nothing(void **state)
{
    int fd;
    struct client *e = come_in(&fd);

    (void)state;
    say(fd, "status\nshutdo");
    control_read(e, START);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    control_read(e, START);
    assert_true(e->eof);
    assert_false(control_wants_read(e)); /* else it would be readable for ever */
    assert_false(control_is_over(e));
    line_is(e, "status");
    no_line(e);
    assert_true(control_is_over(e));
    close(fd);
}

static void who_only_sends_no_more_is_answered(void **state)
{
    int fd;
    size_t n;
    struct client *e = come_in(&fd);

    (void)state;
    say(fd, "wait for=ready\n");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    control_read(e, START);
    assert_non_null(control_line(e, &n));
    e->waits = true;
    control_read(e, START);
    assert_true(e->eof);
    control_read(e, START);
    assert_false(e->gone);
    assert_false(control_is_over(e));
    assert_true(control_deadline(&c) == NEVER);
    e->waits = false;
    reply(e, "ok at=1\n", START);
    control_done(e, START);
    assert_true(control_is_over(e));
    control_drop(&c, e);
    assert_string_equal(hear_all(fd), "ok at=1\n");
}

static void who_waits_and_closes_is_over(void **state)
{
    int fd;
    size_t n;
    struct client *e = come_in(&fd);

    (void)state;
    say(fd, "events follow\n");
    control_read(e, START);
    assert_non_null(control_line(e, &n));
    e->waits = true;
    control_write(e, START);
    assert_false(control_is_over(e));
    close(fd);
    for (int i = 0; i < 2; i++)
        control_read(e, START);
    assert_true(control_is_over(e));
}

/* A hang-up is seen where nothing is to be read. */
static void who_closes_with_replies_unread_is_gone(void **state)
{
    int fd;
    struct client *e = come_in(&fd);

    (void)state;
    fill(e, START);
    control_read(e, START);
    assert_false(e->gone);
    close(fd);
    control_read(e, START);
    assert_true(e->gone);
    assert_false(control_has_output(e));
    control_read(e, START);
    assert_true(control_is_over(e));
}

static void what_was_asked_before_the_end_is_done(void **state)
{
    int fd;
    struct client *e = come_in(&fd);

    (void)state;
    say(fd, "stop a\nstop b\n");
    close(fd);
    control_read(e, START);
    line_is(e, "stop a");
    reply(e, "ok\n", START); /* which raises no SIGPIPE */
    assert_true(e->gone);
    assert_false(control_is_over(e));
    line_is(e, "stop b");
    reply(e, "ok\n", START);
    control_read(e, START);
    assert_true(control_is_over(e));
}

/* One with unread replies makes of the end an error. */
static void a_reset_is_an_end(void **state)
{
    int fd;
    char byte;
    struct client *e = come_in(&fd);

    (void)state;
    reply(e, "tend protocol=1\nmore\n", START);
    assert_int_equal(recv(fd, &byte, 1, 0), 1);
    close(fd);
    control_read(e, START);
    assert_true(e->gone && e->eof);
    assert_true(control_is_over(e));
}

static void a_thousand_that_ask_and_go(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    for (int i = 0; i < 1000; i++) {
        int fd;
        struct client *e = come_in(&fd);
        say(fd, "status\n");
        close(fd);
        control_read(e, START);
        line_is(e, "status");
        reply(e, "ok\n", START);
        control_read(e, START);
        assert_true(control_is_over(e));
        control_drop(&c, e);
    }
    assert_int_equal(c.n, 0);
    int next = dup(fds[0]);
    assert_true(next < fds[1] + 8); /* no descriptor stayed */
    close(next);
    close(fds[0]);
    close(fds[1]);
}

static void nothing_goes_before_it_is_said(void **state)
{
    int fd;
    struct client *e = come_in(&fd);

    (void)state;
    reply(e, "ok\n", START);
    e->closing = true;
    assert_true(control_is_over(e));
    e->closing = false;
    fill(e, START);
    e->closing = true;
    assert_false(control_is_over(e));
    expires_at(e, START + CONTROL_STALL);
    close(fd);
}

/* ---- output ---- */

static void output_arrives_in_order(void **state)
{
    int fd, made = 0, heard = 0;
    struct client *e = come_in(&fd);
    FILE *f = fdopen(dup(fd), "r");
    char line[64];

    (void)state;
    assert_non_null(f);
    while (heard < 20000) {
        while (made < 20000) {
            struct text t = control_room(e, 20);
            if (!t.at)
                break;
            text_put(&t, "event seq=%d\n", made++);
            control_put(e, &t);
        }
        control_write(e, START);
        for (int i = 0; i < 100 && heard < made; i++) {
            assert_non_null(fgets(line, sizeof line, f));
            assert_int_equal(atoi(line + strlen("event seq=")), heard++);
        }
    }
    assert_false(control_has_output(e));
    fclose(f);
    close(fd);
}

static void room_is_what_it_says(void **state)
{
    int fd;
    struct client *e = come_in(&fd);
    struct text t = control_room(e, CONTROL_OUT_MAX);

    (void)state;
    assert_non_null(t.at);
    text_put(&t, "%0*d", CONTROL_OUT_MAX, 7);
    assert_int_equal(t.n, CONTROL_OUT_MAX);
    control_put(e, &t);
    assert_null(control_room(e, 1).at);
    assert_false(control_wants_read(e));
    control_write(e, START);
    assert_false(control_has_output(e));
    assert_non_null(control_room(e, CONTROL_OUT_MAX).at);
    assert_null(control_room(e, CONTROL_OUT_MAX + 1).at);
    close(fd);
}

static void who_does_not_read_is_not_read(void **state)
{
    int fd;
    struct client *e = come_in(&fd);
    char all[4096];

    (void)state;
    fill(e, START);
    say(fd, "status\n");
    assert_false(control_wants_read(e));
    control_read(e, START);
    no_line(e);
    while (control_has_output(e)) {
        assert_true(recv(fd, all, sizeof all, MSG_DONTWAIT) > 0);
        control_write(e, START);
    }
    assert_true(control_wants_read(e));
    control_read(e, START);
    line_is(e, "status");
    close(fd);
}

/* ---- time ---- */

static void who_asks_nothing_is_closed(void **state)
{
    int fd;
    struct client *e;

    (void)state;
    assert_true(control_deadline(&c) == NEVER);
    e = come_in(&fd);
    expires_at(e, START + CONTROL_IDLE);
    say(fd, "status\n");
    control_read(e, START + 1000);
    assert_int_equal(control_expired(&c, START + CONTROL_IDLE - 1), -1);
    size_t n;
    assert_non_null(control_line(e, &n));
    control_done(e, START + 1000);
    expires_at(e, START + 1000 + CONTROL_IDLE);
    control_drop(&c, e);
    assert_true(control_deadline(&c) == NEVER);
    assert_true(is_closed(fd));
    close(fd);
}

static void who_waits_is_not(void **state)
{
    int fd;
    size_t n;
    struct client *e = come_in(&fd);

    (void)state;
    say(fd, "wait for=ready\nsta");
    control_read(e, START);
    assert_non_null(control_line(e, &n));
    e->waits = true;
    assert_true(control_deadline(&c) == NEVER);
    assert_int_equal(control_expired(&c, START + 100 * (msec)CONTROL_IDLE), -1);
    /* but is to read what it gets */
    fill(e, START + 5 * CONTROL_IDLE);
    expires_at(e, START + 5 * CONTROL_IDLE + CONTROL_STALL);
    close(fd);
}

static void a_dribble_is_no_progress(void **state)
{
    int fd;
    struct client *e = come_in(&fd);

    (void)state;
    for (int i = 0; i < 9; i++) {
        say(fd, "x");
        control_read(e, START + 50000 + i * 1000);
        no_line(e);
        expires_at(e, START + 50000 + CONTROL_STALL);
    }
    /* a line that ends has ended, and the next one has its own time */
    say(fd, "\nhal");
    control_read(e, START + 59000);
    expires_at(e, START + CONTROL_IDLE);
    size_t n;
    assert_non_null(control_line(e, &n));
    control_done(e, START + 59500);
    expires_at(e, START + 59500 + CONTROL_STALL);
    close(fd);
}

static void half_a_line_has_its_time_while_it_is_read(void **state)
{
    int fd;
    size_t n;
    struct client *e = come_in(&fd);

    (void)state;
    say(fd, "status\nsta");
    control_read(e, START);
    assert_non_null(control_line(e, &n));
    fill(e, START + 100000);
    expires_at(e, START + 100000 + CONTROL_STALL);
    control_done(e, START + 100000);
    char all[4096];
    while (control_has_output(e)) {
        assert_true(recv(fd, all, sizeof all, MSG_DONTWAIT) > 0);
        control_write(e, START + 109000);
    }
    expires_at(e, START + 109000 + CONTROL_STALL);
    say(fd, "tus\n");
    control_read(e, START + 110000);
    line_is(e, "status");
    close(fd);
}

static void each_byte_that_it_reads_counts(void **state)
{
    int fd;
    struct client *e = come_in(&fd);
    char all[65536];

    (void)state;
    fill(e, START);
    control_write(e, START + 9000);
    expires_at(e, START + CONTROL_STALL);
    assert_true(recv(fd, all, sizeof all, MSG_DONTWAIT) > 0);
    control_write(e, START + 9999);
    fill(e, START + 9999);
    expires_at(e, START + 9999 + CONTROL_STALL);
    close(fd);
}

/* Idle for long, it is not late with output that has just come. */
static void output_has_its_own_time(void **state)
{
    int fd;
    struct client *e = come_in(&fd);

    (void)state;
    fill(e, START + CONTROL_IDLE - 1);
    expires_at(e, START + CONTROL_IDLE - 1 + CONTROL_STALL);
    close(fd);
}

/* ---- bounds ---- */

static int crowd[CONTROL_CLIENTS + 1];

/* All with all rights, each a millisecond after the one before. */
static void fill_house(void)
{
    for (int i = 0; i < CONTROL_CLIENTS; i++) {
        crowd[i] = knock();
        assert_int_equal(let_in(START + i) - c.at, i);
    }
    assert_int_equal(c.n, CONTROL_CLIENTS);
}

static void leave_house(void)
{
    for (int i = 0; i < CONTROL_CLIENTS; i++)
        close(crowd[i]);
}

static void the_longest_idle_makes_room(void **state)
{
    uint32_t serial;

    (void)state;
    fill_house();
    say(crowd[0], "status\n");
    control_read(&c.at[0], START + 5000);
    size_t n;
    assert_non_null(control_line(&c.at[0], &n));
    control_done(&c.at[0], START + 5000);
    serial = c.at[1].serial;
    int fd = knock();
    assert_ptr_equal(let_in(START + 6000), &c.at[1]);
    assert_int_not_equal(c.at[1].serial, serial);
    assert_true(is_closed(crowd[1]));
    assert_false(is_closed(crowd[0]));
    assert_int_equal(c.n, CONTROL_CLIENTS);
    close(fd);
    leave_house();
}

static void have_all_wait(void)
{
    size_t n;

    for (int i = 0; i < CONTROL_CLIENTS; i++) {
        say(crowd[i], "wait for=ready\n");
        control_read(&c.at[i], START + i);
        assert_non_null(control_line(&c.at[i], &n));
        c.at[i].waits = true;
    }
}

static void who_does_not_read_makes_room_though_it_waits(void **state)
{
    (void)state;
    fill_house();
    have_all_wait();
    fill(&c.at[77], START + 1000);
    int fd = knock();
    assert_ptr_equal(let_in(START + 2000), &c.at[77]);
    assert_true(is_closed(crowd[77]));
    close(fd);
    leave_house();
}

static void where_all_are_busy_so_are_we(void **state)
{
    (void)state;
    fill_house();
    have_all_wait();
    int fd = knock();
    say(fd, "status\nstatus\n");
    assert_int_equal(control_accept(&c, START), -1);
    assert_string_equal(hear_all(fd), "error code=busy text=too many clients\n");
    assert_int_equal(c.n, CONTROL_CLIENTS);
    leave_house();
}

static size_t resident(void)
{
    size_t all, in_memory;
    FILE *f = fopen("/proc/self/statm", "re");

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%zu %zu", &all, &in_memory), 2);
    fclose(f);
    return in_memory * (size_t)sysconf(_SC_PAGESIZE);
}

/* As many as want: half a command, never reading, a byte each second. Whoever comes then is
 * answered at once; all of them are gone in time. */
static void two_hundred_hostile_ones(void **state)
{
    size_t before = resident();
    static char big[20000];

    (void)state;
    memset(big, 'y', sizeof big);
    for (int i = 0; i < 200; i++) {
        struct client *e = come_in(&crowd[i]);
        if (i % 4 == 0)
            say(crowd[i], "stat");
        control_read(e, START);
        if (i % 4 == 1)
            fill(e, START);
        if (i % 4 == 2)
            send(crowd[i], big, sizeof big, MSG_DONTWAIT);
    }
    for (msec now = START + 1000; now <= START + CONTROL_STALL; now += 1000) {
        int fd, stale;
        for (int i = 3; i < 200; i += 4)
            send(crowd[i], "x", 1, MSG_NOSIGNAL);
        for (int i = 0; i < CONTROL_CLIENTS; i++) {
            size_t n;
            if (c.at[i].fd < 0)
                continue;
            control_read(&c.at[i], now);
            assert_null(control_line(&c.at[i], &n));
            control_write(&c.at[i], now);
            if (control_is_over(&c.at[i]))
                control_drop(&c, &c.at[i]);
        }
        while ((stale = control_expired(&c, now)) >= 0)
            control_drop(&c, &c.at[stale]);
        fd = knock();
        struct client *good = let_in(now);
        say(fd, "status\n");
        control_read(good, now);
        line_is(good, "status");
        reply(good, "ok\n", now);
        control_drop(&c, good);
        assert_string_equal(hear_all(fd), "ok\n");
    }
    /* those who dribble began a second after the others */
    assert_int_equal(c.n, 50);
    int stale;
    while ((stale = control_expired(&c, START + 1000 + CONTROL_STALL)) >= 0)
        control_drop(&c, &c.at[stale]);
    assert_int_equal(c.n, 0);
    assert_true(resident() - before < 8 << 20);
    for (int i = 0; i < 200; i++)
        close(crowd[i]);
}

static void where_memory_is_short_we_are_busy(void **state)
{
    (void)state;
    for (int n = 0; n < 2; n++) {
        int fd = knock();
        allowed = n;
        assert_int_equal(control_accept(&c, START), -1);
        allowed = -1;
        assert_int_equal(c.n, 0);
        assert_string_equal(hear_all(fd), "error code=busy text=too many clients\n");
    }
    int fd = knock();
    let_in(START);
    close(fd);
}

/* ---- descriptors run out ---- */

static void leave_no_descriptor(void)
{
    int next = dup(dir);

    close(next);
    limit_descriptors((rlim_t)next);
    assert_int_equal(dup(dir), -1);
}

static void who_cannot_have_a_descriptor_is_told(void **state)
{
    int fds[100];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fds[i] = knock();
    leave_no_descriptor();
    assert_int_equal(control_accept(&c, START), -1);
    /* others have a turn between */
    assert_false(is_closed(fds[99]));
    assert_int_equal(control_accept(&c, START), -1);
    assert_true(control_wants_accept(&c, START));
    limit_descriptors(descriptors);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        assert_string_equal(hear_all(fds[i]), "error code=busy text=no more descriptors\n");
    int fd = knock();
    let_in(START);
    close(fd);
}

/* Somebody else was faster to take the spare one. */
static void without_a_spare_one_there_is_a_pause(void **state)
{
    int fd = knock();

    (void)state;
    assert_true(c.spare > 0);
    int taken = dup(dir);
    leave_no_descriptor();
    close(c.spare);
    int hole = dup(dir);
    assert_int_equal(hole, c.spare);
    c.spare = 0;
    assert_int_equal(control_accept(&c, START), -1);
    assert_false(control_wants_accept(&c, START + CONTROL_PAUSE - 1));
    assert_int_equal(control_accept(&c, START + CONTROL_PAUSE - 1), -1);
    assert_true(control_deadline(&c) == START + CONTROL_PAUSE);
    assert_int_equal(control_expired(&c, START + CONTROL_PAUSE), -1);
    assert_true(control_deadline(&c) == NEVER);
    assert_true(control_wants_accept(&c, START + CONTROL_PAUSE));
    limit_descriptors(descriptors);
    close(hole);
    close(taken);
    let_in(START + CONTROL_PAUSE);
    assert_true(c.spare > 0);
    close(fd);
}

/* ---- rights ---- */

/* Of a child, where a test ends early; a change of identity would undo it. */
static void end_with_us(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* A child of that identity that connects n times and stays. */
static pid_t others(uid_t uid, gid_t gid, gid_t more, int n)
{
    int ends[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        gid_t list[100];
        for (gid_t i = 0; i < 100; i++)
            list[i] = i < 99 ? 5000 + i : more;
        if (setgroups(more == gid ? 0 : 100, list) || setresgid(gid, gid, gid) ||
            setresuid(uid, uid, uid))
            _exit(1);
        for (int i = 0; i < n; i++)
            if (connect_to(path_of("control")) < 0)
                _exit(errno == EACCES ? 2 : 3);
        end_with_us();
        if (write(ends[1], "", 1) == 1)
            pause();
        _exit(4);
    }
    close(ends[1]);
    /* the end of the pipe, where it was not let in */
    assert_true(read(ends[0], &byte, 1) >= 0);
    close(ends[0]);
    return pid;
}

static int end_others(pid_t pid)
{
    int status;

    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

static void open_to_the_group(void)
{
    assert_int_equal(control_set_group(&c, dir, GROUP), 0);
}

static void the_group_has_part(void **state)
{
    static const struct {
        gid_t gid, more;
    } peers[] = {{GROUP, GROUP}, {OTHER, GROUP}};

    (void)state;
    if (geteuid() != 0)
        skip();
    open_to_the_group();
    for (size_t i = 0; i < ARRAY_SIZE(peers); i++) {
        pid_t pid = others(NOBODY, peers[i].gid, peers[i].more, 1);
        struct client *e = let_in(START);
        assert_false(e->all_rights);
        assert_int_equal(e->uid, NOBODY);
        assert_int_equal(e->pid, pid);
        assert_int_equal(c.n_partial, 1);
        control_drop(&c, e);
        assert_int_equal(c.n_partial, 0);
        assert_int_equal(end_others(pid), 0);
    }
}

static void others_are_not_let_in(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    open_to_the_group();
    assert_int_equal(end_others(others(NOBODY, OTHER, OTHER, 1)), 2);
    /* and where the mode lets them in: told, and closed */
    assert_int_equal(fchmodat(dir, "control", 0666, 0), 0);
    pid_t pid = others(NOBODY, OTHER, OTHER, 1);
    assert_int_equal(control_accept(&c, START), -1);
    assert_int_equal(end_others(pid), 0);
    assert_int_equal(control_set_group(&c, dir, (gid_t)-1), 0);
    assert_int_equal(fchmodat(dir, "control", 0666, 0), 0);
    pid = others(NOBODY, GROUP, GROUP, 1);
    assert_int_equal(control_accept(&c, START), -1);
    assert_int_equal(c.n, 0);
    assert_int_equal(end_others(pid), 0);
}

static int ask_as_nobody(void)
{
    char line[100] = "";
    int fd;

    if (setgroups(0, NULL) || setresgid(OTHER, OTHER, OTHER) || setresuid(NOBODY, NOBODY, NOBODY))
        return 1;
    fd = connect_to(path_of("control"));
    if (fd < 0)
        return 2;
    send(fd, "shutdown now\n", 13, MSG_NOSIGNAL); /* it may have been closed by now */
    while (strlen(line) + 1 < sizeof line && recv(fd, line + strlen(line), 1, 0) == 1)
        ;
    return strncmp(line, "error code=denied text=", 23) || !strchr(line, '\n') ? 3 : 0;
}

static void who_is_denied_is_told(void **state)
{
    int status = 0;
    pid_t pid;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(fchmodat(dir, "control", 0666, 0), 0);
    pid = fork();
    if (pid == 0)
        _exit(ask_as_nobody());
    struct pollfd p = {.fd = c.socket, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 20000), 1);
    assert_int_equal(control_accept(&c, START), -1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void we_and_root_have_all(void **state)
{
    int fd;
    struct client *e = come_in(&fd);

    (void)state;
    assert_true(e->all_rights);
    assert_int_equal(e->uid, geteuid());
    assert_int_equal(e->pid, getpid());
    close(fd);
    if (geteuid() != 0)
        skip();
    /* root is root to another user too */
    fd = knock();
    assert_int_equal(seteuid(NOBODY), 0);
    int i = control_accept(&c, START);
    assert_int_equal(seteuid(0), 0);
    assert_true(i >= 0 && c.at[i].all_rights);
    close(fd);
}

static void the_group_has_half_of_the_places(void **state)
{
    unsigned in = 0;

    (void)state;
    if (geteuid() != 0)
        skip();
    open_to_the_group();
    pid_t pid = others(NOBODY, GROUP, GROUP, CONTROL_PARTIAL + 100);
    for (int i = 0; i < 100; i++)
        while (control_accept(&c, START) >= 0)
            in++;
    assert_int_equal(in, CONTROL_PARTIAL);
    assert_int_equal(c.n_partial, CONTROL_PARTIAL);
    int fd = knock();
    assert_true(let_in(START)->all_rights);
    assert_int_equal(c.n, CONTROL_PARTIAL + 1);
    close(fd);
    assert_int_equal(end_others(pid), 0);
}

/* Idle ones go first, whoever they are; then those with part of the rights, the longest idle
 * first. */
static void the_group_makes_room(void **state)
{
    size_t n;

    (void)state;
    if (geteuid() != 0)
        skip();
    open_to_the_group();
    fill_house();
    have_all_wait();
    for (int i = 10; i < 13; i++) {
        control_drop(&c, &c.at[i]);
        close(crowd[i]);
    }
    pid_t pid = others(NOBODY, GROUP, GROUP, 3);
    for (int i = 10; i < 13; i++) {
        struct client *e = let_in(START + 9000 - i);
        e->waits = true;
        crowd[i] = dup(dir);
    }
    int first = knock();
    assert_ptr_equal(let_in(START + 9000), &c.at[12]);
    say(first, "status\n");
    control_read(&c.at[12], START + 9000);
    assert_non_null(control_line(&c.at[12], &n));
    int second = knock();
    assert_ptr_equal(let_in(START + 9000), &c.at[11]);
    int third = knock(); /* an idle one with all rights goes before */
    assert_ptr_equal(let_in(START + 9001), &c.at[11]);
    assert_true(is_closed(second));
    assert_int_equal(c.n_partial, 1);
    close(first);
    close(second);
    close(third);
    assert_int_equal(end_others(pid), 0);
    leave_house();
}

static void whose_rights_are_taken_is_over(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    open_to_the_group();
    pid_t pid = others(NOBODY, OTHER, GROUP, 1);
    struct client *e = let_in(START);
    e->waits = true;
    assert_int_equal(control_set_group(&c, dir, OTHER), 0);
    assert_false(control_is_over(e));
    assert_int_equal(control_set_group(&c, dir, (gid_t)-1), 0);
    assert_true(control_is_over(e));
    assert_int_equal(end_others(pid), 0);
}

/* ---- children, descriptors ---- */

static unsigned unwatched;
static void unwatch(void *arg, int fd)
{
    assert_ptr_equal(arg, &unwatched);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    unwatched++;
}

static void it_is_told_before_each_close(void **state)
{
    int fd;

    (void)state;
    unwatched = 0;
    c.before_close = unwatch;
    c.arg = &unwatched;
    fill_house();
    fd = knock();
    let_in(START + 1000); /* in the place of another */
    assert_int_equal(unwatched, 1);
    control_drop(&c, &c.at[0]);
    control_drop(&c, &c.at[0]); /* once */
    assert_int_equal(unwatched, 2);
    assert_int_equal(control_open(&c, dir, (gid_t)-1), 0);
    assert_int_equal(unwatched, 3);
    control_close(&c, dir);
    assert_int_equal(unwatched, 3 + CONTROL_CLIENTS - 1 + 1);
    close(fd);
    leave_house();
}

static void a_child_that_has_it_too_keeps_nobody(void **state)
{
    int fd, ends[2];
    struct client *e = come_in(&fd);
    char byte;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        close(fd);
        end_with_us();
        if (write(ends[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    reply(e, "ok\n", START);
    control_drop(&c, e);
    assert_string_equal(hear_all(fd), "ok\n");
    assert_int_equal(end_others(pid), 0);
    close(ends[0]);
    close(ends[1]);
}

/* The close of a descriptor that was sent to us could block. Linux 6.16 refuses it. */
static void no_descriptor_comes_with_a_line(void **state)
{
    int fd, on = 1;
    socklen_t size = sizeof on;
    struct client *e = come_in(&fd);
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec v = {(char[]){"status\n"}, 7};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);

    (void)state;
    *h = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(h), &dir, sizeof(int));
    if (getsockopt(e->fd, SOL_SOCKET, 83, &on, &size) == 0 && on == 0) {
        assert_int_equal(sendmsg(fd, &m, MSG_NOSIGNAL), -1);
        assert_int_equal(errno, EPERM);
        close(fd);
        return;
    }
    assert_int_equal(sendmsg(fd, &m, MSG_NOSIGNAL), 7);
    int next = dup(dir);
    close(next);
    control_read(e, START);
    line_is(e, "status");
    int again = dup(dir);
    assert_int_equal(again, next);
    close(again);
    close(fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_control, close_control)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_we_may_connect),
        TEST(a_group_is_let_in_and_out),
        TEST(a_left_socket_is_replaced),
        TEST(what_is_no_socket_stays),
        TEST(it_is_known_whether_it_is_there),
        TEST(its_path_may_be_longer_than_an_address),
        TEST(the_present_folder_may_be_gone),
        TEST(lines_may_be_cut_anywhere),
        TEST(lines_may_come_byte_by_byte),
        TEST(one_line_is_under_way_at_a_time),
        TEST(any_byte_may_be_in_a_line),
        TEST(the_longest_line_fits),
        TEST(a_longer_one_ends_the_connection),
        TEST(half_a_line_at_the_end_is_nothing),
        TEST(who_only_sends_no_more_is_answered),
        TEST(who_waits_and_closes_is_over),
        TEST(who_closes_with_replies_unread_is_gone),
        TEST(what_was_asked_before_the_end_is_done),
        TEST(a_reset_is_an_end),
        TEST(a_thousand_that_ask_and_go),
        TEST(nothing_goes_before_it_is_said),
        TEST(output_arrives_in_order),
        TEST(room_is_what_it_says),
        TEST(who_does_not_read_is_not_read),
        TEST(who_asks_nothing_is_closed),
        TEST(who_waits_is_not),
        TEST(a_dribble_is_no_progress),
        TEST(half_a_line_has_its_time_while_it_is_read),
        TEST(each_byte_that_it_reads_counts),
        TEST(output_has_its_own_time),
        TEST(the_longest_idle_makes_room),
        TEST(who_does_not_read_makes_room_though_it_waits),
        TEST(where_all_are_busy_so_are_we),
        TEST(two_hundred_hostile_ones),
        TEST(where_memory_is_short_we_are_busy),
        TEST(who_cannot_have_a_descriptor_is_told),
        TEST(without_a_spare_one_there_is_a_pause),
        TEST(the_group_has_part),
        TEST(others_are_not_let_in),
        TEST(who_is_denied_is_told),
        TEST(we_and_root_have_all),
        TEST(the_group_has_half_of_the_places),
        TEST(the_group_makes_room),
        TEST(whose_rights_are_taken_is_over),
        TEST(it_is_told_before_each_close),
        TEST(a_child_that_has_it_too_keeps_nobody),
        TEST(no_descriptor_comes_with_a_line),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
