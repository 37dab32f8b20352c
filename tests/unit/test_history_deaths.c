/* One record for each life that is over, and how long they are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drive.h"
#include "tend/history.h"

/* ---- what is kept ---- */

static struct history_deaths kept;
static uint64_t sequence;

static void forget_all(void)
{
    memset(&kept, 0, sizeof kept);
    sequence = 0;
}

static void add(const char *name)
{
    struct history_record r = {.kind = HISTORY_DEATH};

    sequence++;
    snprintf(r.name, sizeof r.name, "%s", name);
    r.sequence = sequence;
    r.number = (int)sequence;
    history_deaths_add(&kept, &r);
}

/* How many there are of a name (NULL: of all), in order and each as it was; *first gets the oldest.
 */
static unsigned count(const char *name, uint64_t *first)
{
    const struct history_record *r;
    uint64_t after = 0;
    unsigned n = 0;

    while ((r = history_deaths_next(&kept, after))) {
        assert_true(r->sequence > after);
        assert_int_equal(r->number, r->sequence);
        after = r->sequence;
        if (name && strcmp(r->name, name) != 0)
            continue;
        if (n++ == 0)
            *first = r->sequence;
    }
    return n;
}

static void test_none(void **state)
{
    (void)state;
    forget_all();
    assert_null(history_deaths_next(&kept, 0));
    assert_null(history_deaths_next(&kept, UINT64_MAX));
}

/* One that dies all the time takes nobody else's place. */
static void test_the_own_oldest_goes(void **state)
{
    uint64_t first = 0;

    (void)state;
    forget_all();
    add("db");
    for (unsigned i = 1; i <= 3 * HISTORY_DEATHS; i++) {
        add("web");
        assert_int_equal(count("web", &first),
                         i < HISTORY_DEATHS_OF_ONE ? i : HISTORY_DEATHS_OF_ONE);
        assert_int_equal(first, i < HISTORY_DEATHS_OF_ONE ? 2 : i + 2 - HISTORY_DEATHS_OF_ONE);
        assert_int_equal(count("db", &first), 1);
    }
    assert_int_equal(kept.n, HISTORY_DEATHS_OF_ONE + 1);
    add("db");
    assert_int_equal(count("db", &first), 2);
}

static void test_the_oldest_of_all_goes(void **state)
{
    char name[16];
    uint64_t first = 0;

    (void)state;
    forget_all();
    for (unsigned i = 1; i <= 2 * HISTORY_DEATHS; i++) {
        snprintf(name, sizeof name, "s%u", i);
        add(name);
        assert_int_equal(count(NULL, &first), i < HISTORY_DEATHS ? i : HISTORY_DEATHS);
        assert_int_equal(first, i < HISTORY_DEATHS ? 1 : i + 1 - HISTORY_DEATHS);
    }
    for (unsigned i = 0; i < HISTORY_DEATHS_OF_ONE + 3; i++)
        add("web");
    assert_int_equal(count("web", &first), HISTORY_DEATHS_OF_ONE);
    assert_int_equal(count(NULL, &first), HISTORY_DEATHS);
}

/* ---- lives ---- */

static char lines[DRIVE_TRACE], fields[DRIVE_TRACE];
static unsigned deaths;

static void write_down(void *self, const struct engine_change *c)
{
    struct history_record r;
    char text[HISTORY_FIELDS_MAX];

    (void)self;
    if (!history_death(c, &r))
        return;
    deaths++;
    assert_int_equal(r.at, c->now);
    assert_int_equal(r.kind, HISTORY_DEATH);
    if (r.error)
        r.step = "exec";
    history_text(&r, text, sizeof text);
    sprintf(lines + strlen(lines), "%s\n", text);
    history_fields(&r, text, sizeof text);
    assert_true(strlen(fields) + strlen(text) + 2 < sizeof fields);
    sprintf(fields + strlen(fields), "%s\n", strstr(text, "kind="));
}

static int setup(void **state)
{
    drive_setup(state);
    d.e.changed = write_down;
    lines[0] = fields[0] = '\0';
    deaths = 0;
    return 0;
}

static void expect_death(const char *text, const char *values)
{
    assert_string_equal(lines, text);
    assert_string_equal(fields, values);
    lines[0] = fields[0] = '\0';
}

static struct conf *web(void)
{
    return make_conf("web", NULL, NULL, NULL);
}

static void test_by_itself(void **state)
{
    (void)state;
    RELOAD(web());
    pass(120000);
    expect_death("", "");
    leave("web", 3);
    expect_death("web: exit 3, ran 2m\n",
                 "kind=death service=web cause=exit process=main pid=100 exit=3 tries=1 "
                 "ran=120000\n");
}

/* Its own life ends with it, the record waits for what it left behind. */
static void test_with_what_it_left(void **state)
{
    (void)state;
    RELOAD(web());
    pass(500);
    end("web", EXIT_SIGNAL, SIGSEGV, 2);
    pass(30);
    expect_death("", "");
    all_gone("web");
    expect_death("web: signal SEGV, ran 500ms, stopped in 30ms\n",
                 "kind=death service=web cause=exit process=main pid=100 killed_by=SEGV tries=1 "
                 "age=30 ran=500\n");
}

static void test_stopped(void **state)
{
    (void)state;
    RELOAD(web());
    pass(2000);
    tell("web", EVENT_DOWN);
    pass(40);
    die("web");
    expect_death("web: signal TERM, ran 2s, stopped in 40ms\n",
                 "kind=death service=web cause=request process=main pid=100 killed_by=TERM "
                 "age=40 ran=2040\n");
}

static void test_killed(void **state)
{
    (void)state;
    RELOAD(web());
    tell("web", EVENT_AGAIN);
    pass(10000);
    end("web", EXIT_SIGNAL, SIGKILL, 0);
    expect_death("web: signal KILL, ran 10s, stopped in 10s, killed\n",
                 "kind=death service=web cause=restart process=main pid=100 killed_by=KILL "
                 "age=10000 ran=10000 killed=1\n");
    tell("web", EVENT_DOWN);
    die("web");
    assert_null(strstr(lines, "killed"));
}

/* One that KILL did not end at first is over when it is gone, once. */
static void test_stuck(void **state)
{
    (void)state;
    RELOAD(web());
    tell("web", EVENT_DOWN);
    end("web", EXIT_CODE, 0, 1);
    pass(20000);
    expect_state("web", SERVICE_STUCK);
    expect_death("", "");
    all_gone("web");
    expect_death("web: exit 0, ran 0s, stopped in 20s, killed\n",
                 "kind=death service=web cause=request process=main pid=100 exit=0 age=20000 "
                 "killed=1\n");
}

/* before_start is a life of its own. */
static void test_before_start(void **state)
{
    (void)state;
    RELOAD(prepares(web()));
    pass(50);
    leave("web", 0);
    expect_death("web: before_start: exit 0, ran 50ms\n",
                 "kind=death service=web cause=exit process=before_start pid=100 exit=0 ran=50\n");
    leave("web", 0);
    expect_death("web: exit 0, ran 0s\n",
                 "kind=death service=web cause=exit process=main pid=101 exit=0 tries=1\n");
    pass(1000);
    leave("web", 7);
    expect_death("web: before_start: exit 7, ran 900ms\n",
                 "kind=death service=web cause=before_start process=before_start pid=102 exit=7 "
                 "tries=2 ran=900\n");
}

static void test_cannot_execute(void **state)
{
    struct engine_fact fact = {
        .exit = {.how = EXIT_CODE, .number = 127}, .error = ENOENT, .error_step = 9};

    (void)state;
    d.silent = true;
    RELOAD(web());
    engine_event(&d.e, get("web"), EVENT_EXITED, d.now, &fact);
    drive();
    expect_death("web: could not start: exec: No such file or directory\n",
                 "kind=death service=web cause=exec process=main pid=100 exit=127 errno=2 "
                 "step=exec tries=1\n");
}

static void test_no_process(void **state)
{
    (void)state;
    d.no_fork = true;
    RELOAD(prepares(web()));
    expect_death("web: before_start: could not start: exec: Resource temporarily unavailable\n",
                 "kind=death service=web cause=fork process=before_start errno=11 step=exec\n");
    pass(ENGINE_FORK_WAIT);
    assert_int_equal(deaths, 2);
}

/* Nothing was forked yet, or is any more: no life is over. */
static void test_nobody_died(void **state)
{
    (void)state;
    RELOAD(says_goodbye(oneshot("job", CONF_NEVER_AGAIN)), needs("web", "job"));
    leave("job", 0);
    assert_int_equal(deaths, 1);
    tell("web", EVENT_DOWN);
    die("web");
    assert_int_equal(deaths, 2);
    tell("job", EVENT_DOWN); /* its stop command is run */
    expect_state("job", SERVICE_STOPPING);
    command_ends("job");
    expect_state("job", SERVICE_DOWN);
    assert_int_equal(deaths, 2);
    engine_start(&d.e, get("web"), d.now);
    engine_settle(&d.e, d.now);
    expect_state("job", SERVICE_STARTING); /* and before its fork */
    tell("job", EVENT_DOWN);
    expect_state("job", SERVICE_DOWN);
    assert_int_equal(deaths, 2);
}

/* The clock that dates a fork is finer than that of a death. */
static void test_no_time_below_zero(void **state)
{
    (void)state;
    RELOAD(web());
    get("web")->started = d.now + 1;
    leave("web", 0);
    assert_non_null(strstr(lines, "ran 0s"));
    assert_null(strstr(fields, " ran="));
}

#define LIFE(name) cmocka_unit_test_setup_teardown(name, setup, drive_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_the_own_oldest_goes),
        cmocka_unit_test(test_the_oldest_of_all_goes),
        LIFE(test_by_itself),
        LIFE(test_with_what_it_left),
        LIFE(test_stopped),
        LIFE(test_killed),
        LIFE(test_stuck),
        LIFE(test_before_start),
        LIFE(test_cannot_execute),
        LIFE(test_no_process),
        LIFE(test_nobody_died),
        LIFE(test_no_time_below_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
