/* One client of the control socket, a real one, under a clock that the test sets: lines in, text
 * out, its end, and how long it may take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "peer.h"

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
    assert_false(control_is_over(e));
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

/* Also with more lines behind it, and with more than there is room for. */
static void who_waits_with_more_to_ask_and_closes_is_over(void **state)
{
    static char more[8000];

    (void)state;
    memset(more, '\n', sizeof more);
    for (int i = 0; i < 2; i++) {
        int fd;
        size_t n;
        struct client *e = come_in(&fd);
        say(fd, "start web\nstatus\n");
        if (i == 1)
            say_bytes(fd, more, sizeof more);
        control_read(e, START);
        assert_non_null(control_line(e, &n));
        e->waits = true;
        control_read(e, START);
        assert_false(control_is_over(e));
        close(fd);
        for (int j = 0; j < 2; j++)
            control_read(e, START);
        assert_true(control_is_over(e));
        control_drop(&c, e);
    }
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
    for (int i = 0; i < 2; i++) { /* there is room to throw away */
        struct text t = control_room(e, CONTROL_OUT_MAX);
        assert_non_null(t.at);
        t.n = CONTROL_OUT_MAX;
        control_put(e, &t);
    }
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
    expires_at(e, START + CONTROL_IDLE);
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
    /* the least, so that the kernel takes only a part */
    assert_int_equal(setsockopt(e->fd, SOL_SOCKET, SO_SNDBUF, &(int){0}, sizeof(int)), 0);
    fill(e, START);
    control_write(e, START + 9000);
    expires_at(e, START + CONTROL_STALL);
    assert_true(recv(fd, all, sizeof all, MSG_DONTWAIT) > 0);
    control_write(e, START + 9999);
    assert_true(control_has_output(e));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CONTROL(lines_may_be_cut_anywhere),
        WITH_CONTROL(lines_may_come_byte_by_byte),
        WITH_CONTROL(one_line_is_under_way_at_a_time),
        WITH_CONTROL(any_byte_may_be_in_a_line),
        WITH_CONTROL(the_longest_line_fits),
        WITH_CONTROL(a_longer_one_ends_the_connection),
        WITH_CONTROL(half_a_line_at_the_end_is_nothing),
        WITH_CONTROL(who_only_sends_no_more_is_answered),
        WITH_CONTROL(who_waits_and_closes_is_over),
        WITH_CONTROL(who_waits_with_more_to_ask_and_closes_is_over),
        WITH_CONTROL(who_closes_with_replies_unread_is_gone),
        WITH_CONTROL(what_was_asked_before_the_end_is_done),
        WITH_CONTROL(a_reset_is_an_end),
        WITH_CONTROL(a_thousand_that_ask_and_go),
        WITH_CONTROL(nothing_goes_before_it_is_said),
        WITH_CONTROL(output_arrives_in_order),
        WITH_CONTROL(room_is_what_it_says),
        WITH_CONTROL(who_does_not_read_is_not_read),
        WITH_CONTROL(who_asks_nothing_is_closed),
        WITH_CONTROL(who_waits_is_not),
        WITH_CONTROL(a_dribble_is_no_progress),
        WITH_CONTROL(half_a_line_has_its_time_while_it_is_read),
        WITH_CONTROL(each_byte_that_it_reads_counts),
        WITH_CONTROL(output_has_its_own_time),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
