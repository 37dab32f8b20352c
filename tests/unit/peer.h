/* Peers of a real control socket, for its tests. */
#ifndef TEND_TEST_PEER_H
#define TEND_TEST_PEER_H

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tend/control.h"

static const msec START = 1000000;

static char folder[64];
static int dir;
static struct control c;
static rlim_t descriptors; /* that we may have, but where a test says so */

static inline char *path_of(const char *name)
{
    static char path[200];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static inline int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/tend-control-XXXXXX");
    if (!mkdtemp(folder) || chmod(folder, 0711))
        return -1;
    dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir < 0;
}

static inline int remove_folder(void **state)
{
    char command[128];

    (void)state;
    close(dir);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static inline int open_control(void **state)
{
    struct rlimit limit;

    (void)state;
    getrlimit(RLIMIT_NOFILE, &limit);
    descriptors = limit.rlim_cur;
    c = (struct control){.socket = -1};
    return control_open(&c, dir, (gid_t)-1);
}

static inline void limit_descriptors(rlim_t n)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = n;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Also where a test ended early. */
static inline int close_control(void **state)
{
    (void)state;
    limit_descriptors(descriptors);
    control_close(&c, dir);
    return c.n != 0 || c.n_partial != 0 || c.socket != -1;
}

/* ---- the other side ---- */

static inline int connect_to(const char *path)
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

static inline int knock(void)
{
    int fd = connect_to(path_of("control"));

    assert_true(fd >= 0);
    return fd;
}

static inline struct client *let_in(msec now)
{
    int i = control_accept(&c, now);

    assert_in_range(i, 0, CONTROL_CLIENTS - 1);
    return &c.at[i];
}

static inline struct client *come_in(int *fd)
{
    *fd = knock();
    return let_in(START);
}

static inline void say_bytes(int fd, const char *bytes, size_t n)
{
    assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
}

static inline void say(int fd, const char *text)
{
    say_bytes(fd, text, strlen(text));
}

/* All that comes until the end; an error is none. */
static inline char *hear_all(int fd)
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

static inline bool is_closed(int fd)
{
    struct pollfd p = {.fd = fd};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP);
}

/* ---- our side ---- */

static inline void line_is(struct client *e, const char *expected)
{
    size_t n = 0;
    char *line = control_line(e, &n);

    assert_non_null(line);
    assert_int_equal(n, strlen(expected));
    assert_string_equal(line, expected);
    control_done(e, START);
}

static inline void no_line(struct client *e)
{
    size_t n;

    assert_false(control_has_line(e));
    assert_null(control_line(e, &n));
}

static inline void reply(struct client *e, const char *words, msec now)
{
    struct text t = control_room(e, strlen(words));

    assert_non_null(t.at);
    text_put(&t, "%s", words);
    control_put(e, &t);
    control_write(e, now);
}

/* More than the kernel takes. */
static inline void fill(struct client *e, msec now)
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

static inline void has_expired(const struct client *e, msec now)
{
    int i = control_expired(&c, now);

    assert_true(i >= 0);
    assert_ptr_equal(&c.at[i], e);
}

/* It lives to the last moment, and not longer. */
static inline void expires_at(const struct client *e, msec when)
{
    assert_true(control_deadline(&c) == when);
    assert_int_equal(control_expired(&c, when - 1), -1);
    has_expired(e, when);
}

#define WITH_CONTROL(f) cmocka_unit_test_setup_teardown(f, open_control, close_control)

#endif
