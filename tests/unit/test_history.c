/* The ring, and what people read: whole lives through the real engine, and each odd line alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drive.h"
#include "tend/history.h"

/* ---- the ring ---- */

static struct history ring;

static void test_empty(void **state)
{
    uint64_t missed = 7;

    (void)state;
    memset(&ring, 0, sizeof ring);
    assert_null(history_next(&ring, 0, &missed));
    assert_int_equal(missed, 0);
    assert_null(history_next(&ring, 99, &missed));
    assert_int_equal(missed, 0);
    assert_null(history_next(&ring, UINT64_MAX, &missed));
    assert_int_equal(missed, 0);
}

static void add(unsigned n)
{
    while (n--) {
        struct history_record r = {.number = (int)ring.last + 1};
        const struct history_record *added = history_add(&ring, &r);
        assert_int_equal(added->sequence, ring.last);
        assert_int_equal(added->number, ring.last);
    }
}

static void test_all_are_read_once(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 3 * HISTORY_ROOM; n++) {
        uint64_t after = 0, missed, sum = 0;
        const struct history_record *r;
        unsigned seen = 0;
        memset(&ring, 0, sizeof ring);
        add(n);
        for (; (r = history_next(&ring, after, &missed)); after = r->sequence, seen++) {
            assert_int_equal(r->sequence, after + missed + 1);
            assert_int_equal(r->number, r->sequence);
            sum += missed;
        }
        assert_int_equal(seen + sum, n);
        assert_int_equal(seen, n < HISTORY_ROOM ? n : HISTORY_ROOM);
    }
}

static void test_late_reader(void **state)
{
    uint64_t missed;

    (void)state;
    memset(&ring, 0, sizeof ring);
    add(10);
    assert_int_equal(history_next(&ring, 9, &missed)->sequence, 10);
    assert_null(history_next(&ring, 10, &missed));
    add(HISTORY_ROOM);
    assert_int_equal(history_next(&ring, 10, &missed)->sequence, 11);
    assert_int_equal(missed, 0);
    add(1);
    assert_int_equal(history_next(&ring, 10, &missed)->sequence, 12);
    assert_int_equal(missed, 1);
}

/* ---- lives ---- */

static char lines[DRIVE_TRACE];

static void write_down(void *self, const struct engine_change *c)
{
    struct history_record r = history_from_change(c);
    char text[HISTORY_TEXT_MAX];
    size_t n;

    (void)self;
    if (r.error)
        r.step = "exec";
    assert_int_equal(r.at, c->now);
    n = history_text(&r, text, sizeof text);
    assert_int_equal(n, strlen(text));
    assert_true(strlen(lines) + strlen(text) + 2 < sizeof lines);
    sprintf(lines + strlen(lines), "%s\n", text);
}

static int setup(void **state)
{
    drive_setup(state);
    d.e.changed = write_down;
    lines[0] = '\0';
    return 0;
}

static void expect_lines(const char *text)
{
    assert_string_equal(lines, text);
    lines[0] = '\0';
}

static struct conf *web(void)
{
    return make_conf("web", NULL, NULL, NULL);
}

static void test_start_and_stop(void **state)
{
    (void)state;
    d.silent = true;
    RELOAD(web());
    pass(30);
    tell("web", EVENT_EXEC_OK);
    tell("web", EVENT_DOWN);
    pass(120);
    die("web");
    expect_lines("web: to start\n"
                 "web: starting\n"
                 "web: ready after 30ms, pid 100\n"
                 "web: stopping (by request)\n"
                 "web: down after 120ms\n");
}

static void test_crashes(void **state)
{
    struct conf *c = web();

    (void)state;
    c->restart.limit = 3;
    c->restart.delay = 20000;
    c->restart.max_delay = 20000;
    RELOAD(c);
    lines[0] = '\0';
    pass(1200);
    leave("web", 3);
    expect_lines("web: exit 3 after 1.2s\n"
                 "web: next try in 19s\n");
    pass(20000);
    expect_lines("web: next try\n"
                 "web: starting\n"
                 "web: ready, pid 101\n");
    pass(5000);
    end("web", EXIT_SIGNAL, SIGSEGV, 0);
    expect_lines("web: signal SEGV after 6.2s\n"
                 "web: next try in 14s (2 in a row)\n");
    pass(20000);
    lines[0] = '\0';
    leave("web", 1);
    expect_lines("web: exit 1 after 6.2s\n"
                 "web: failed: exit 1, gave up after 3 starts in 1m\n");
}

static void test_delay_already_over(void **state)
{
    (void)state;
    RELOAD(web());
    lines[0] = '\0';
    pass(3600000);
    leave("web", 0);
    expect_lines("web: exit 0 after 1h\n"
                 "web: next try at once\n");
}

static void test_never_again(void **state)
{
    struct conf *c = web();

    (void)state;
    c->restart.policy = CONF_NEVER_AGAIN;
    RELOAD(c);
    lines[0] = '\0';
    leave("web", 1);
    expect_lines("web: exit 1 after 0s\n"
                 "web: failed: exit 1\n");
    tell("web", EVENT_UP);
    lines[0] = '\0';
    pass(40);
    leave("web", 0);
    expect_lines("web: exit 0 after 40ms\n"
                 "web: done: exit 0 after 40ms\n");
}

static void test_exec_fails(void **state)
{
    struct engine_fact fact = {
        .exit = {.how = EXIT_CODE, .number = 127}, .error = ENOENT, .error_step = 9};
    struct conf *c = web();

    (void)state;
    d.silent = true;
    make_set(&c->command, "/x/y");
    c->restart.limit = 1;
    RELOAD(c);
    lines[0] = '\0';
    engine_event(&d.e, get("web"), EVENT_EXITED, d.now, &fact);
    drive();
    expect_lines("web: could not execute \"/x/y\": No such file or directory\n"
                 "web: failed: No such file or directory, gave up after 1 start in 1m\n");
}

/* A reload has taken the before_start away by the time at which its failure is settled. */
static void test_exec_of_what_is_no_more(void **state)
{
    struct engine_fact fact = {.exit = {.how = EXIT_CODE, .number = 127}, .error = EACCES};
    struct conf *c = web();

    (void)state;
    d.silent = true;
    make_set(&c->before_start, "/x/prepare");
    RELOAD(c);
    lines[0] = '\0';
    d.left[0] = 1;
    engine_event(&d.e, get("web"), EVENT_EXITED, d.now, &fact);
    drive();
    expect_lines("web: before_start: could not execute \"/x/prepare\": Permission denied\n");
    RELOAD(web());
    all_gone("web");
    expect_lines("web: down after 0s, to start again\n"
                 "web: starting\n");
}

static void test_no_fork(void **state)
{
    (void)state;
    d.no_fork = true;
    RELOAD(web());
    lines[0] = '\0';
    pass(ENGINE_FORK_WAIT);
    expect_lines("web: next try\n"
                 "web: starting\n"
                 "web: could not start: exec: Resource temporarily unavailable, next try in 1s\n");
}

static void test_before_start(void **state)
{
    struct conf *c = web();

    (void)state;
    make_set(&c->before_start, "/bin/prepare");
    c->restart.limit = 1;
    RELOAD(c);
    pass(50);
    end("web", EXIT_CODE, 0, 1);
    pass(100);
    all_gone("web");
    expect_lines("web: to start\n"
                 "web: starting, before_start first\n"
                 "web: before_start: exit 0 after 50ms\n"
                 "web: before_start done after 50ms\n"
                 "web: starting\n"
                 "web: ready, pid 101\n");
    tell("web", EVENT_DOWN);
    leave("web", 0);
    tell("web", EVENT_UP);
    lines[0] = '\0';
    leave("web", 1);
    expect_lines("web: before_start failed: exit 1\n"
                 "web: failed: before_start: exit 1, gave up after 1 start in 1m\n");
}

static void test_timeout(void **state)
{
    struct conf *c = web();

    (void)state;
    d.silent = true;
    c->restart.policy = CONF_NEVER_AGAIN;
    RELOAD(c);
    lines[0] = '\0';
    pass(90000);
    die("web");
    expect_lines("web: stopping (not ready in time)\n"
                 "web: failed: not ready in time\n");
}

static void test_stuck(void **state)
{
    (void)state;
    RELOAD(web());
    engine_shutdown(&d.e, d.now);
    drive();
    lines[0] = '\0';
    pass(1000);
    end("web", EXIT_CODE, 0, 2);
    pass(14000);
    expect_lines("web: not gone after 10s: KILL\n"
                 "web: KILL has no effect on 2 processes\n");
    all_gone("web");
    expect_lines("web: down after 15s\n");
}

static void test_kill_has_no_effect(void **state)
{
    (void)state;
    RELOAD(web());
    tell("web", EVENT_DOWN);
    get("web")->members = 2;
    lines[0] = '\0';
    pass(15000);
    expect_lines("web: not gone after 10s: KILL\n"
                 "web: KILL has no effect on 3 processes\n");
}

static void test_mixed_and_hurry(void **state)
{
    struct conf *c = web();

    (void)state;
    c->stop.to = CONF_TO_MIXED;
    RELOAD(c, make_conf("db", NULL, NULL, NULL));
    lines[0] = '\0';
    end("web", EXIT_CODE, 0, 1);
    expect_lines("web: exit 0 after 0s\n"
                 "web: what it left behind goes: KILL\n");
    engine_hurry(&d.e, d.now);
    drive();
    expect_lines("db: stopping (shutdown)\n"
                 "db: hurry: KILL\n");
}

static void test_taken_along(void **state)
{
    (void)state;
    RELOAD(web(), make_conf("api", "web", NULL, NULL));
    tell("web", EVENT_AGAIN);
    lines[0] = '\0';
    die("api");
    die("web");
    expect_lines("api: down after 0s, to start again\n"
                 "web: stopping (to be restarted)\n"
                 "web: down after 0s, to start again\n"
                 "web: starting\n"
                 "web: ready, pid 102\n"
                 "api: starting\n"
                 "api: ready, pid 103\n");
}

/* Told once, when it is certain, to each that waits. */
static void test_needs_in_vain(void **state)
{
    struct conf *c = web();

    (void)state;
    c->restart.policy = CONF_NEVER_AGAIN;
    RELOAD(c, make_conf("api", "web", NULL, NULL), make_conf("front", "api", NULL, NULL));
    tell("api", EVENT_DOWN);
    lines[0] = '\0';
    die("front");
    expect_lines("front: down after 0s, to start again\n"
                 "front: failed: needs api\n"
                 "api: stopping (by request)\n");
    die("api");
    lines[0] = '\0';
    leave("web", 1);
    expect_lines("web: exit 1 after 0s\n"
                 "web: failed: exit 1\n");
    tell("api", EVENT_UP);
    expect_lines("api: to start\n"
                 "api: failed: needs web\n");
    tell("web", EVENT_UP);
    tell("api", EVENT_UP);
    expect_lines("web: to start\n"
                 "web: starting\n"
                 "web: ready, pid 103\n"
                 "api: starting\n"
                 "api: ready, pid 104\n"
                 "front: starting\n"
                 "front: ready, pid 105\n");
}

/* ---- other lines ---- */

static void test_lines(void **state)
{
    static const struct {
        struct history_record r;
        const char *text;
    } all[] = {
        {{.kind = HISTORY_SIGNAL, .name = "web", .number = SIGTERM, .pid = 42, .group = true},
         "web: signal TERM to group 42"},
        {{.kind = HISTORY_SIGNAL, .name = "web", .number = SIGTERM, .pid = 42},
         "web: signal TERM to pid 42"},
        {{.kind = HISTORY_SIGNAL,
          .name = "web",
          .number = SIGTERM,
          .pid = 42,
          .group = true,
          .count = 2},
         "web: signal TERM to group 42 and 2 more"},
        {{.kind = HISTORY_SIGNAL, .name = "web", .number = SIGKILL, .count = 1},
         "web: signal KILL to 1 process"},
        {{.kind = HISTORY_SIGNAL, .name = "web", .number = SIGKILL, .count = 3},
         "web: signal KILL to 3 processes"},
        {{.kind = HISTORY_SIGNAL, .name = "web", .number = 32}, "web: signal 32 to all"},
        {{.kind = HISTORY_FORKED, .name = "web", .pid = 4242}, "web: starting, pid 4242"},
        {{.kind = HISTORY_FORKED, .name = "web", .pid = 42, .process = HISTORY_BEFORE},
         "web: before_start: starting, pid 42"},
        {{.kind = HISTORY_FORKED, .name = "web", .pid = 42, .process = HISTORY_COMMAND},
         "web: stop command: starting, pid 42"},
        {{.kind = HISTORY_EXIT, .name = "web", .exit = {.how = EXIT_CODE, .number = 0}, .pid = 42},
         "web: exit 0, pid 42"},
        {{.kind = HISTORY_EXIT,
          .name = "web",
          .exit = {.how = EXIT_SIGNAL, .number = SIGABRT, .core = true},
          .process = HISTORY_COMMAND},
         "web: stop command: signal ABRT (core dumped)"},
        {{.kind = HISTORY_STRAY, .count = 1}, "reaped 1 orphan of no service"},
        {{.kind = HISTORY_STRAY, .count = 3}, "reaped 3 orphans of no service"},
        {{.kind = HISTORY_CONFIG, .count = 1, .what = "loaded"}, "config loaded, 1 service"},
        {{.kind = HISTORY_CONFIG, .what = "reloaded"}, "config reloaded, 0 services"},
        {{.kind = HISTORY_CONFIG, .what = "refused"}, "config refused: nothing was changed"},
        {{.kind = HISTORY_REQUEST, .number = 1000, .pid = 12, .what = "stop web"},
         "asked by uid 1000, pid 12: stop web"},
        {{.kind = HISTORY_SHUTDOWN}, "shutdown begins"},
        {{.kind = HISTORY_SHUTDOWN, .age = 1234}, "shutdown complete in 1.2s"},
    };
    char text[HISTORY_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        assert_int_equal(history_text(&all[i].r, text, sizeof text), strlen(all[i].text));
        assert_string_equal(text, all[i].text);
    }
}

/* Of a long path the end is told. */
static void test_long_path(void **state)
{
    struct engine_fact fact = {.exit = {.how = EXIT_CODE, .number = 127}, .error = ENOENT};
    struct conf *c = web();
    char path[300];

    (void)state;
    d.silent = true;
    memset(path, 'x', sizeof path);
    path[0] = '/';
    strcpy(path + sizeof path - 6, "/tail");
    make_set(&c->command, path);
    RELOAD(c);
    lines[0] = '\0';
    engine_event(&d.e, get("web"), EVENT_EXITED, d.now, &fact);
    drive();
    assert_non_null(strstr(lines, "could not execute \"...xxx"));
    assert_non_null(strstr(lines, "xxx/tail\": No such file"));
}

/* Every value of every enum, into every size: a text that ends within it, and never an empty one
 * where there is room. */
static void test_total(void **state)
{
    struct history_record r = {.name = "web", .error = EIO, .step = "exec", .what = "/x"};
    char text[HISTORY_TEXT_MAX + 1];
    size_t whole;

    (void)state;
    memset(r.name, 'n', CONF_NAME_MAX);
    memset(r.what, 'w', HISTORY_WHAT_MAX - 1);
    r.age = r.next = CONF_TIME_MAX + 1001;
    r.count = r.tries = UINT32_MAX;
    r.pid = INT32_MAX;
    for (int i = 0; i < HISTORY_KIND_COUNT * SERVICE_STATE_COUNT * CAUSE_COUNT; i++)
        for (int k = 0; k < SERVICE_STATE_COUNT * HISTORY_PROCESS_COUNT; k++) {
            r.kind = (enum history_kind)(i % HISTORY_KIND_COUNT);
            r.to = (uint8_t)(i / HISTORY_KIND_COUNT % SERVICE_STATE_COUNT);
            r.cause = (uint8_t)(i / HISTORY_KIND_COUNT / SERVICE_STATE_COUNT);
            r.from = (uint8_t)(k % SERVICE_STATE_COUNT);
            r.process = (uint8_t)(k / SERVICE_STATE_COUNT);
            whole = history_text(&r, text, sizeof text);
            assert_in_range(whole, CONF_NAME_MAX + 6, HISTORY_TEXT_MAX - 1);
        }
    for (size_t size = 0; size < HISTORY_TEXT_MAX; size++) {
        memset(text, '#', sizeof text);
        assert_true(history_text(&r, text, size) < size || size == 0);
        assert_int_equal(text[size], '#');
        assert_true(size == 0 || strlen(text) < size);
    }
}

/* ---- for programs ---- */

static void expect_fields(const struct history_record *r, const char *expected)
{
    char line[HISTORY_FIELDS_MAX];

    assert_int_equal(history_fields(r, line, sizeof line), strlen(expected));
    assert_string_equal(line, expected);
}

static void test_fields(void **state)
{
    struct history_record change = {.sequence = 7,
                                    .at = 81234,
                                    .kind = HISTORY_STATE,
                                    .name = "web",
                                    .from = SERVICE_RUNNING,
                                    .to = SERVICE_STOPPING,
                                    .event = EVENT_EXITED,
                                    .cause = CAUSE_EXIT,
                                    .pid = 12,
                                    .exit = {.how = EXIT_SIGNAL, .number = SIGSEGV, .core = true},
                                    .age = 1500};
    struct history_record told = {.sequence = 8,
                                  .at = 1,
                                  .kind = HISTORY_SIGNAL,
                                  .name = "db",
                                  .cause = CAUSE_SHUTDOWN,
                                  .pid = 3,
                                  .group = true,
                                  .number = SIGTERM,
                                  .count = 2};
    struct history_record failed = {.sequence = 9,
                                    .at = 2,
                                    .kind = HISTORY_EXIT,
                                    .name = "db",
                                    .process = HISTORY_COMMAND,
                                    .exit = {.how = EXIT_CODE},
                                    .error = ENOENT,
                                    .step = "exec",
                                    .what = "/a b\\\n\303"};
    struct history_record end = {.sequence = 10, .at = 3, .kind = HISTORY_SHUTDOWN, .age = 42};

    (void)state;
    expect_fields(&change, "seq=7 at=81234 kind=state service=web from=running to=stopping "
                           "event=exited cause=exit process=main pid=12 killed_by=SEGV core=1 "
                           "age=1500");
    expect_fields(&told, "seq=8 at=1 kind=signal service=db cause=shutdown process=main pid=3 "
                         "signal=TERM group=1 count=2");
    expect_fields(&failed, "seq=9 at=2 kind=exit service=db process=stop_command exit=0 errno=2 "
                           "step=exec what=/a\\x20b\\x5c\\x0a\\xc3");
    expect_fields(&end, "seq=10 at=3 kind=shutdown age=42");
}

/* What a service says or is found to be: of no process. */
static void test_notes(void **state)
{
    struct history_record r = {.sequence = 1, .at = 2, .name = "web", .what = "3 of 5"};
    char text[HISTORY_TEXT_MAX];

    (void)state;
    r.kind = HISTORY_STATUS;
    history_text(&r, text, sizeof text);
    assert_string_equal(text, "web: says: 3 of 5");
    expect_fields(&r, "seq=1 at=2 kind=status service=web what=3\\x20of\\x205");
    r.what[0] = '\0';
    history_text(&r, text, sizeof text);
    assert_string_equal(text, "web: says nothing more");
    r.kind = HISTORY_NOTIFY;
    strcpy(r.what, "reloading");
    history_text(&r, text, sizeof text);
    assert_string_equal(text, "web: reloading");
    expect_fields(&r, "seq=1 at=2 kind=notify service=web what=reloading");
    r.kind = HISTORY_HEALTH;
    strcpy(r.what, "exit 1 (3 in a row)");
    history_text(&r, text, sizeof text);
    assert_string_equal(text, "web: unhealthy: exit 1 (3 in a row)");
    r.what[0] = '\0';
    history_text(&r, text, sizeof text);
    assert_string_equal(text, "web: healthy again");
    expect_fields(&r, "seq=1 at=2 kind=health service=web");
    r.kind = HISTORY_EXIT;
    r.process = HISTORY_PROBE;
    r.exit = (struct service_exit){.how = EXIT_CODE, .number = 1};
    history_text(&r, text, sizeof text);
    assert_string_equal(text, "web: probe: exit 1");
    expect_fields(&r, "seq=1 at=2 kind=exit service=web process=probe exit=1");
}

/* It has not ended yet: its last exit is that of an earlier life. */
static void test_leaving(void **state)
{
    struct history_record r = {.kind = HISTORY_STATE,
                               .name = "web",
                               .from = SERVICE_RUNNING,
                               .to = SERVICE_STOPPING,
                               .event = EVENT_LEAVING,
                               .cause = CAUSE_EXIT,
                               .exit = {.how = EXIT_CODE, .number = 3},
                               .pid = 12};
    char text[HISTORY_TEXT_MAX];

    (void)state;
    history_text(&r, text, sizeof text);
    assert_string_equal(text, "web: stopping by itself");
}

/* In whole characters, up to the last byte that there is room for. */
static void test_what_is_cut(void **state)
{
    struct history_record r;
    char text[HISTORY_WHAT_MAX + 8];

    (void)state;
    for (size_t n = 0; n < HISTORY_WHAT_MAX + 2; n++) {
        memset(text, 'a', n);
        strcpy(text + n, "\xe2\x82\xac");
        memset(&r, '#', sizeof r);
        history_set_what(&r, text);
        assert_int_equal(strlen(r.what), n + 3 < HISTORY_WHAT_MAX ? n + 3
                                         : n < HISTORY_WHAT_MAX   ? n
                                                                  : HISTORY_WHAT_MAX - 1);
        assert_memory_equal(r.what, text, strlen(r.what));
    }
}

/* However long, whatever the room. */
static void test_fields_are_bounded(void **state)
{
    struct history_record r = {.kind = HISTORY_EXIT, .sequence = UINT64_MAX, .at = NEVER};
    char line[HISTORY_FIELDS_MAX + 1];

    (void)state;
    memset(r.name, 1, sizeof r.name - 1);
    memset(r.what, 0xff, sizeof r.what - 1);
    r.step = "supplementary groups";
    assert_in_range(history_fields(&r, line, HISTORY_FIELDS_MAX), 500, HISTORY_FIELDS_MAX - 50);
    for (size_t size = 1; size < HISTORY_FIELDS_MAX; size++) {
        line[size] = 'x';
        assert_true(history_fields(&r, line, size) < size);
        assert_int_equal(line[size], 'x');
    }
}

#define LIFE(name) cmocka_unit_test_setup_teardown(name, setup, drive_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_all_are_read_once),
        cmocka_unit_test(test_late_reader),
        LIFE(test_start_and_stop),
        LIFE(test_crashes),
        LIFE(test_delay_already_over),
        LIFE(test_never_again),
        LIFE(test_exec_fails),
        LIFE(test_exec_of_what_is_no_more),
        LIFE(test_no_fork),
        LIFE(test_before_start),
        LIFE(test_timeout),
        LIFE(test_stuck),
        LIFE(test_kill_has_no_effect),
        LIFE(test_mixed_and_hurry),
        LIFE(test_taken_along),
        LIFE(test_needs_in_vain),
        cmocka_unit_test(test_lines),
        LIFE(test_long_path),
        cmocka_unit_test(test_total),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_notes),
        cmocka_unit_test(test_leaving),
        cmocka_unit_test(test_what_is_cut),
        cmocka_unit_test(test_fields_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
