/* One probe against real servers of this test's own: what it says of whatever they answer, in
 * whatever pieces, and what they see of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "tend/address.h"
#include "tend/probe.h"

enum { LIMIT = 20000 }; /* for what takes no time, in ms */

static struct probe p;
static struct address to;
static int listener;
static char url[128], request[2048];

/* What stands in for the kernel where a test says so. */
static bool from_there;   /* a connection comes from where it goes to */
static int refuse_socket; /* an errno */
static int take;          /* of each request so many bytes, then none; -1: all */

int __real_connect(int fd, const struct sockaddr *a, socklen_t n);
int __wrap_connect(int fd, const struct sockaddr *a, socklen_t n);
int __wrap_connect(int fd, const struct sockaddr *a, socklen_t n)
{
    if (from_there)
        assert_int_equal(bind(fd, a, n), 0);
    return __real_connect(fd, a, n);
}

int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol)
{
    if (!refuse_socket)
        return __real_socket(family, type, protocol);
    errno = refuse_socket;
    return -1;
}

ssize_t __real_send(int fd, const void *bytes, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t n, int flags)
{
    static bool full;

    if (take < 0 || fd != p.fd)
        return __real_send(fd, bytes, n, flags);
    full = !full;
    if (full)
        return __real_send(fd, bytes, (size_t)take < n ? (size_t)take : n, flags);
    errno = EAGAIN;
    return -1;
}

/* ---- the server ---- */

static void be_patient(int fd)
{
    const struct timeval limit = {.tv_sec = LIMIT / 1000};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
}

/* A port of the kernel's choice, where somebody listens or not. */
static int bound(int backlog)
{
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&to.storage;
    int fd = __real_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memset(&to, 0, sizeof to);
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.length = sizeof *in;
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, &to.any, to.length), 0);
    assert_int_equal(getsockname(fd, &to.any, &(socklen_t){sizeof *in}), 0);
    if (backlog >= 0)
        assert_int_equal(listen(fd, backlog), 0);
    be_patient(fd);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/health?full=1", ntohs(in->sin_port));
    return fd;
}

static int setup(void **state)
{
    (void)state;
    take = -1;
    listener = bound(16);
    p = (struct probe){.fd = -1};
    return 0;
}

/* Also where a test ended early. */
static int teardown(void **state)
{
    (void)state;
    from_there = false;
    refuse_socket = 0;
    probe_end(&p);
    return close(listener);
}

static int let_in(void)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    assert_true(fd >= 0);
    be_patient(fd);
    return fd;
}

static void say_bytes(int fd, const char *bytes, size_t n)
{
    assert_int_equal(__real_send(fd, bytes, n, MSG_NOSIGNAL), n);
}

static void say(int fd, const char *text)
{
    say_bytes(fd, text, strlen(text));
}

/* What the server sees at last: 0: an end in order, or errno. */
static int end_seen(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);
    int error = errno;

    assert_true(n <= 0);
    close(fd);
    return n == 0 ? 0 : error;
}

/* ---- the probe ---- */

static enum probe_state go_on_when_ready(void)
{
    struct pollfd ready = {.fd = p.fd, .events = probe_wants(&p) == EPOLLIN ? POLLIN : POLLOUT};

    assert_int_equal(poll(&ready, 1, LIMIT), 1);
    return probe_go_on(&p);
}

static enum probe_state finish(enum probe_state state)
{
    for (; state == PROBE_WAIT; state = go_on_when_ready())
        ;
    assert_true(p.over);
    assert_int_equal(probe_go_on(&p), state);
    assert_int_equal(probe_late(&p), state);
    return state;
}

static void must_fail(enum probe_state state, int error)
{
    assert_int_equal(finish(state), PROBE_ILL);
    assert_int_equal(p.error, error);
    assert_int_equal(p.status, 0);
    probe_end(&p);
    assert_int_equal(p.error, error);
    assert_int_equal(p.fd, -1);
}

/* A server that has heard all that is asked. */
static int asked(void)
{
    size_t n = 0;
    int fd;

    if (probe_begin(&p, &to, url) != PROBE_WAIT)
        fail_msg("over at once: errno %d", p.error);
    fd = let_in();
    while (p.sent < p.size)
        assert_int_equal(go_on_when_ready(), PROBE_WAIT);
    for (*request = '\0'; !strstr(request, "\r\n\r\n"); request[n] = '\0') {
        ssize_t got = recv(fd, request + n, sizeof request - 1 - n, 0);
        assert_true(got > 0);
        n += (size_t)got;
    }
    return fd;
}

/* ---- a bare connection ---- */

static void a_connection_that_is_made_is_well(void **state)
{
    int fd;

    (void)state;
    assert_int_equal(finish(probe_begin(&p, &to, NULL)), PROBE_WELL);
    assert_int_equal(p.error, 0);
    fd = let_in();
    probe_end(&p);
    assert_int_equal(end_seen(fd), 0);
}

static void nobody_there_is_refused(void **state)
{
    (void)state;
    close(listener);
    listener = bound(-1);
    for (int http = 0; http < 2; http++) {
        must_fail(probe_begin(&p, &to, http ? url : NULL), ECONNREFUSED);
        assert_false(p.ours);
    }
}

static void whoever_does_not_answer_is_waited_for(void **state)
{
    int before[16], n = 0;
    struct pollfd made = {.events = POLLOUT};

    (void)state;
    close(listener);
    listener = bound(0);
    do {
        before[n] = __real_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        __real_connect(before[n], &to.any, to.length);
        made.fd = before[n++];
    } while (n < 16 && poll(&made, 1, 200) == 1);
    assert_true(n > 1 && n < 16);
    for (int http = 0; http < 2; http++) {
        assert_int_equal(probe_begin(&p, &to, http ? url : NULL), PROBE_WAIT);
        for (int i = 0; i < 10; i++)
            assert_int_equal(probe_go_on(&p), PROBE_WAIT);
        assert_int_equal(probe_wants(&p), EPOLLOUT);
        assert_false(p.connected);
        assert_int_equal(probe_late(&p), PROBE_ILL);
        must_fail(probe_go_on(&p), ETIMEDOUT);
    }
    while (n--)
        close(before[n]);
}

/* Which nobody listens at; and it is free for the service at once. */
static void a_connection_to_ourselves_is_none(void **state)
{
    (void)state;
    for (int http = 0; http < 2; http++) {
        int fd;
        close(listener);
        close(bound(-1));
        from_there = true;
        must_fail(probe_begin(&p, &to, http ? url : NULL), ECONNREFUSED);
        from_there = false;
        fd = __real_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fd, &to.any, to.length), 0);
        assert_int_equal(listen(fd, 1), 0);
        listener = fd;
    }
}

static void the_other_family_is_no_other(void **state)
{
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)(void *)&to.storage;
    int fd;

    (void)state;
    memset(&to, 0, sizeof to);
    in->sin6_family = AF_INET6;
    in->sin6_addr = in6addr_loopback;
    to.length = sizeof *in;
    close(listener);
    listener = __real_socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, &to.any, to.length)) {
        listener = listener < 0 ? dup(0) : listener;
        skip();
    }
    assert_int_equal(getsockname(listener, &to.any, &(socklen_t){sizeof *in}), 0);
    assert_int_equal(listen(listener, 1), 0);
    be_patient(listener);
    assert_int_equal(finish(probe_begin(&p, &to, NULL)), PROBE_WELL);
    close(let_in());
    probe_end(&p);
    snprintf(url, sizeof url, "http://[::1]:%d/", ntohs(in->sin6_port));
    fd = asked();
    assert_non_null(strstr(request, "\r\nHost: [::1]:"));
    say(fd, "HTTP/1.0 200 OK\r\n\r\n");
    shutdown(fd, SHUT_WR);
    assert_int_equal(finish(PROBE_WAIT), PROBE_WELL);
    close(fd);
}

/* ---- HTTP: what is asked ---- */

static void is_asked_for(const char *path, const char *expected)
{
    char all[512], host[32];
    int fd;

    snprintf(host, sizeof host, "127.0.0.1:%d",
             ntohs(((struct sockaddr_in *)(void *)&to.storage)->sin_port));
    snprintf(url, sizeof url, "http://%s%s", host, path);
    snprintf(all, sizeof all,
             "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: tend\r\nAccept: */*\r\n"
             "Connection: close\r\n\r\n",
             expected, host);
    fd = asked();
    assert_string_equal(request, all);
    probe_end(&p);
    close(fd);
}

static void it_asks_as_any_server_understands(void **state)
{
    (void)state;
    is_asked_for("/health", "/health");
    is_asked_for("/a/b?c=d&e=%20", "/a/b?c=d&e=%20");
    is_asked_for("/", "/");
    is_asked_for("", "/");
}

static void a_request_may_be_taken_in_pieces(void **state)
{
    (void)state;
    for (take = 1; take < 50; take += 7)
        is_asked_for("/health", "/health");
}

static void the_longest_path_is_asked_for(void **state)
{
    char path[1200], longest[1300];
    int fd;

    (void)state;
    memset(path, 'x', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    snprintf(longest, sizeof longest, "http://127.0.0.1:80%s", path);
    assert_int_equal(probe_begin(&p, &to, longest), PROBE_WAIT);
    fd = let_in();
    while (p.sent < p.size)
        go_on_when_ready();
    assert_int_equal(p.size, strlen(p.request));
    assert_memory_equal(p.request + 4, path, strlen(path));
    close(fd);
}

/* ---- HTTP: what is answered ---- */

static const struct {
    const char *answer;
    enum probe_state verdict;
    int status, error;
} answers[] = {
    {"HTTP/1.0 200 OK\r\n\r\nok", PROBE_WELL, 200, 0},
    {"HTTP/1.1 200\r\n\r\n", PROBE_WELL, 200, 0},
    {"HTTP/1.1 204 No Content\nX: y\n\n", PROBE_WELL, 204, 0},
    {"HTTP/1.1 299 \r\n", PROBE_WELL, 299, 0},
    {"HTTP/1.1 301 Moved\r\nLocation: /there\r\n\r\n<html>it is there</html>", PROBE_WELL, 301, 0},
    {"HTTP/1.1 399 \r\n\r\n", PROBE_WELL, 399, 0},
    {"HTTP/9.9 200 \r\n\r\n", PROBE_WELL, 200, 0},
    {"HTTP/1.1 400 Bad Request\r\n\r\nwhat?", PROBE_ILL, 400, 0},
    {"HTTP/1.1 404 Not Found\r\n\r\n", PROBE_ILL, 404, 0},
    {"HTTP/1.1 500 Internal Server Error\r\n\r\nsorry", PROBE_ILL, 500, 0},
    {"HTTP/1.1 503 Service Unavailable\r\n\r\n", PROBE_ILL, 503, 0},
    {"HTTP/1.1 199 \r\n\r\n", PROBE_ILL, 199, 0},
    {"HTTP/1.1 100 Continue\r\n\r\n", PROBE_ILL, 100, 0},
    {"HTTP/1.1 999 \r\n\r\n", PROBE_ILL, 999, 0},
    {"HTTP/1.1 000 \r\n\r\n", PROBE_ILL, 0, EPROTO},
    {"HTTP/1.1 2000 \r\n\r\n", PROBE_ILL, 0, EPROTO},
    {"HTTP/1.1  200 OK\r\n\r\n", PROBE_ILL, 0, EPROTO},
    {"HTTP/1.1 20 OK\r\n\r\n", PROBE_ILL, 0, EPROTO},
    {"HTTP/1.1 2x0 OK\r\n\r\n", PROBE_ILL, 0, EPROTO},
    {"HTTP/1.1\t200 OK\r\n\r\n", PROBE_ILL, 0, EPROTO},
    {"HTTP/11 200 OK\r\n\r\n", PROBE_ILL, 0, EPROTO},
    {"http/1.1 200 OK\r\n\r\n", PROBE_ILL, 0, EPROTO},
    {" HTTP/1.1 200 OK\r\n\r\n", PROBE_ILL, 0, EPROTO},
    {"\r\nHTTP/1.1 200 OK\r\n\r\n", PROBE_ILL, 0, EPROTO},
    {"SSH-2.0-OpenSSH_9.2\r\n", PROBE_ILL, 0, EPROTO},
    {"\x16\x03\x01\x02", PROBE_ILL, 0, EPROTO},
    {"HTTP/1.1 200", PROBE_ILL, 0, ENODATA},
    {"HTTP/1.", PROBE_ILL, 0, ENODATA},
    {"H", PROBE_ILL, 0, ENODATA},
    {"", PROBE_ILL, 0, ENODATA},
};

static void must_be_said_of(size_t i, enum probe_state verdict)
{
    if (verdict != answers[i].verdict || p.status != answers[i].status ||
        p.error != answers[i].error)
        fail_msg("%s: %d, status %d, errno %d", answers[i].answer, verdict, p.status, p.error);
}

static void each_answer_has_its_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        int fd = asked();
        say(fd, answers[i].answer);
        shutdown(fd, SHUT_WR);
        must_be_said_of(i, finish(PROBE_WAIT));
        probe_end(&p);
        if (answers[i].error != EPROTO)
            assert_int_equal(end_seen(fd), 0);
        else
            close(fd);
    }
}

/* Nothing is judged before it is there, and what writes a short answer sees an end in order. */
static void an_answer_may_come_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        const char *text = answers[i].answer;
        enum probe_state verdict = PROBE_WAIT;
        int fd = asked();
        for (; *text && verdict == PROBE_WAIT; text++) {
            assert_int_equal(probe_go_on(&p), PROBE_WAIT);
            say_bytes(fd, text, 1);
            verdict = go_on_when_ready();
        }
        assert_true(!*text || answers[i].error == EPROTO);
        shutdown(fd, SHUT_WR);
        must_be_said_of(i, finish(verdict));
        probe_end(&p);
        if (answers[i].error != EPROTO)
            assert_int_equal(end_seen(fd), 0);
        else
            close(fd);
    }
}

static void every_part_of_a_status_line_is_judged_alike(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        enum probe_state verdict = PROBE_WAIT;
        for (size_t n = 0; n <= strlen(answers[i].answer); n++) {
            int status = -1;
            enum probe_state now = probe_status_line(answers[i].answer, n, &status);
            assert_true(verdict == PROBE_WAIT || now == verdict);
            assert_int_equal(status, n < PROBE_HEAD ? 0 : answers[i].status);
            verdict = now;
        }
        if (answers[i].error == ENODATA)
            assert_int_equal(verdict, PROBE_WAIT);
        else
            assert_int_equal(verdict, answers[i].verdict);
    }
}

/* ---- HTTP: servers that do not end ---- */

static void a_verdict_is_known_before_the_answer_ends(void **state)
{
    static const struct {
        const char *said;
        enum probe_state verdict;
        int status, error;
    } all[] = {
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", PROBE_WELL, 200, 0},
        {"HTTP/1.1 302 ", PROBE_WELL, 302, 0},
        {"HTTP/1.1 503 \r\n", PROBE_ILL, 503, 0},
        {"HTTP/1.1 200", PROBE_ILL, 0, ETIMEDOUT},
        {"", PROBE_ILL, 0, ETIMEDOUT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        int fd = asked();
        if (*all[i].said) {
            say(fd, all[i].said);
            assert_int_equal(go_on_when_ready(), PROBE_WAIT);
        }
        assert_int_equal(probe_wants(&p), EPOLLIN);
        assert_int_equal(probe_late(&p), all[i].verdict);
        assert_int_equal(finish(probe_go_on(&p)), all[i].verdict);
        assert_int_equal(p.status, all[i].status);
        assert_int_equal(p.error, all[i].error);
        probe_end(&p);
        assert_int_equal(end_seen(fd), ECONNRESET); /* it is not to go on */
    }
}

static void no_http_is_not_waited_for(void **state)
{
    int fd = asked();

    (void)state;
    say(fd, "220 mail ready\r\n");
    assert_int_equal(go_on_when_ready(), PROBE_ILL);
    assert_int_equal(p.error, EPROTO);
    probe_end(&p);
    assert_int_equal(end_seen(fd), ECONNRESET);
}

/* However much there is, little is read, and less at a time. */
static void of_an_endless_answer_the_beginning_is_enough(void **state)
{
    static char body[65536];
    enum probe_state verdict = PROBE_WAIT;
    unsigned before = 0, most = 0;
    int fd = asked();

    (void)state;
    say(fd, "HTTP/1.1 200 OK\r\n\r\n");
    for (int i = 0; i < 10000 && verdict == PROBE_WAIT; i++) {
        while (__real_send(fd, body, sizeof body, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
            ;
        verdict = go_on_when_ready();
        if (p.n_answer - before > most)
            most = p.n_answer - before;
        before = p.n_answer;
    }
    assert_int_equal(verdict, PROBE_WELL);
    assert_in_range(p.n_answer, PROBE_ANSWER_MAX, PROBE_ANSWER_MAX + 4096);
    assert_true(most <= PROBE_ANSWER_MAX / 4);
    probe_end(&p);
    assert_int_equal(end_seen(fd), ECONNRESET);
}

/* ---- servers that end early ---- */

static void who_closes_at_once_is_ill(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        enum probe_state verdict = probe_begin(&p, &to, url);
        close(let_in());
        assert_int_equal(finish(verdict), PROBE_ILL);
        if (p.error != ENODATA && p.error != ECONNRESET)
            fail_msg("errno %d", p.error);
        probe_end(&p);
    }
}

/* And then all that is left is a reset. */
static void who_answers_without_listening_has_answered(void **state)
{
    (void)state;
    for (int again = 0; again < 2; again++) {
        enum probe_state verdict = probe_begin(&p, &to, url);
        int fd = let_in();
        struct pollfd unread = {.fd = fd, .events = POLLIN}, reset = {.fd = p.fd};
        while (p.sent < p.size)
            verdict = go_on_when_ready();
        assert_int_equal(poll(&unread, 1, LIMIT), 1);
        say(fd, "HTTP/1.1 503 Too many\r\n\r\n");
        close(fd);
        assert_int_equal(poll(&reset, 1, LIMIT), 1);
        if (again)
            p.sent = 0; /* as if it had come before the request was sent */
        assert_int_equal(finish(verdict), PROBE_ILL);
        assert_int_equal(p.status, 503);
        assert_int_equal(p.error, 0);
        probe_end(&p);
    }
}

static void who_dies_before_the_request_raises_no_signal(void **state)
{
    struct pollfd reset = {.events = 0};

    (void)state;
    assert_int_equal(probe_begin(&p, &to, url), PROBE_WAIT);
    while (p.sent < p.size)
        go_on_when_ready();
    close(let_in());
    reset.fd = p.fd;
    assert_int_equal(poll(&reset, 1, LIMIT), 1);
    for (int i = 0; i < 2; i++) {
        p.sent = 0;
        p.over = false;
        assert_int_equal(probe_go_on(&p), PROBE_ILL);
    }
}

/* ---- what it takes of ours ---- */

static void nobody_else_gets_its_descriptor(void **state)
{
    (void)state;
    probe_begin(&p, &to, NULL);
    assert_true(p.fd > 2);
    assert_true(fcntl(p.fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(p.fd, F_GETFL) & O_NONBLOCK);
}

static void nothing_is_left_behind(void **state)
{
    int first = dup(listener), next;

    (void)state;
    close(first);
    for (int i = 0; i < 300; i++) {
        bool http = i % 3;
        enum probe_state begun = probe_begin(&p, &to, http ? url : NULL);
        int fd = let_in();
        if (i % 3 == 2) {
            say(fd, "HTTP/1.0 200 OK\r\n\r\n");
            shutdown(fd, SHUT_WR);
            finish(begun);
        }
        probe_end(&p);
        probe_end(&p);
        assert_int_equal(p.fd, -1);
        close(fd);
    }
    next = dup(listener);
    assert_int_equal(next, first);
    close(next);
}

static void what_we_have_not_is_told_apart(void **state)
{
    static const struct {
        int error;
        bool ours;
    } all[] = {{EMFILE, true}, {ENFILE, true},        {ENOBUFS, true},
               {ENOMEM, true}, {EAFNOSUPPORT, false}, {EACCES, false}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        refuse_socket = all[i].error;
        must_fail(probe_begin(&p, &to, i % 2 ? url : NULL), all[i].error);
        assert_int_equal(p.ours, all[i].ours);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_connection_that_is_made_is_well),
        TEST(nobody_there_is_refused),
        TEST(whoever_does_not_answer_is_waited_for),
        TEST(a_connection_to_ourselves_is_none),
        TEST(the_other_family_is_no_other),
        TEST(it_asks_as_any_server_understands),
        TEST(a_request_may_be_taken_in_pieces),
        TEST(the_longest_path_is_asked_for),
        TEST(each_answer_has_its_verdict),
        TEST(an_answer_may_come_byte_by_byte),
        TEST(every_part_of_a_status_line_is_judged_alike),
        TEST(a_verdict_is_known_before_the_answer_ends),
        TEST(no_http_is_not_waited_for),
        TEST(of_an_endless_answer_the_beginning_is_enough),
        TEST(who_closes_at_once_is_ill),
        TEST(who_answers_without_listening_has_answered),
        TEST(who_dies_before_the_request_raises_no_signal),
        TEST(nobody_else_gets_its_descriptor),
        TEST(nothing_is_left_behind),
        TEST(what_we_have_not_is_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
