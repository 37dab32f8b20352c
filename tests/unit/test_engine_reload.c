/* A new set of configs for services in every state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drive.h"
#include "memory.h"

static struct conf *web(void)
{
    struct conf *c = make_conf("web", NULL, NULL, NULL);

    c->restart.limit = 2;
    return c;
}

/* Different in what it executes, in what can change under a running process, not at all. */
static struct conf *spawn_change(void)
{
    struct conf *c = web();

    make_set(&c->command, "/bin/other");
    return c;
}

static struct conf *policy_change(void)
{
    struct conf *c = web();

    c->stop.signal = SIGINT;
    return c;
}

static struct conf *on_failure(struct conf *c)
{
    c->restart.policy = CONF_ON_FAILURE;
    return c;
}

static struct conf *requires(struct conf *c, const char *names)
{
    make_set(&c->requires, names);
    return c;
}

static struct conf *other(void)
{
    return make_conf("other", NULL, NULL, NULL);
}

/* ---- every state ---- */

static void to_down(void)
{
    RELOAD(web(), other());
    tell("web", EVENT_DOWN);
    leave("web", 0);
}

static void to_pending(void)
{
    RELOAD(requires(web(), "other"), other());
    tell("other", EVENT_DOWN);
    leave("web", 0);
    leave("other", 0);
}

static void to_starting(void)
{
    d.silent = true;
    RELOAD(web(), other());
}

static void to_running(void)
{
    RELOAD(web(), other());
}

static void to_done(void)
{
    RELOAD(on_failure(web()), other());
    leave("web", 0);
    RELOAD(web(), other());
}

static void to_stopping(void)
{
    to_running();
    end("web", EXIT_CODE, 1, 1);
}

static void to_killing(void)
{
    to_stopping();
    pass(10000);
}

static void to_stuck(void)
{
    to_killing();
    pass(PLAN_KILL_WAIT);
}

static void to_backoff(void)
{
    to_running();
    leave("web", 1);
}

static void to_failed(void)
{
    to_backoff();
    pass(1000);
    leave("web", 1);
}

static void (*const get_to[SERVICE_STATE_COUNT])(void) = {
    [SERVICE_DOWN] = to_down,         [SERVICE_PENDING] = to_pending,
    [SERVICE_STARTING] = to_starting, [SERVICE_RUNNING] = to_running,
    [SERVICE_DONE] = to_done,         [SERVICE_STOPPING] = to_stopping,
    [SERVICE_KILLING] = to_killing,   [SERVICE_STUCK] = to_stuck,
    [SERVICE_BACKOFF] = to_backoff,   [SERVICE_FAILED] = to_failed,
};

static void start_from(enum service_state state)
{
    drive_setup(NULL);
    get_to[state]();
    expect_state("web", state);
    d.trace[0] = d.changes[0] = '\0';
}

static struct conf *same(enum service_state state)
{
    return state == SERVICE_PENDING ? requires(web(), "other") : web();
}

static void test_same_changes_nothing(void **unused)
{
    (void)unused;
    for (int state = 0; state < SERVICE_STATE_COUNT; state++) {
        struct service before, after;
        start_from((enum service_state)state);
        before = *get("web");
        RELOAD(same((enum service_state)state), other());
        after = *get("web");
        after.needs = before.needs, after.needed_by = before.needed_by;
        memcpy(after.next, before.next, sizeof after.next);
        assert_memory_equal(&before, &after, sizeof before);
        expect("");
        assert_string_equal(d.changes, "");
        drive_teardown(NULL);
    }
}

/* What is done at once, and what follows when what lives has ended. */
struct row {
    const char *at_once, *then;
    enum service_state state;
};

static void finish(void)
{
    struct service *s = graph_find_any(&d.e.graph, "web");

    if (!s || !service_live(s) || s->state == SERVICE_STARTING || s->state == SERVICE_RUNNING)
        return;
    d.left[s->slot] = 0;
    if (s->pid)
        die("web");
    else
        drive();
}

static void check(const struct row *row, enum service_state state, struct conf *changed)
{
    start_from(state);
    if (changed)
        RELOAD(changed, other());
    else
        RELOAD(other());
    expect(row->at_once);
    finish();
    if (strcmp(d.trace, row->then) != 0)
        fail_msg("%s: expected \"%s\", got \"%s\"", service_state_name(state), row->then, d.trace);
    if (!changed) {
        assert_null(graph_find_any(&d.e.graph, "web"));
    } else {
        expect_state("web", row->state);
        assert_ptr_equal(get("web")->conf, changed);
        assert_null(get("web")->next_conf);
    }
    drive_teardown(NULL);
}

static void test_removed(void **unused)
{
    static const struct row rows[SERVICE_STATE_COUNT] = {
        [SERVICE_DOWN] = {"web:free", "", 0},
        [SERVICE_PENDING] = {"web:free", "", 0},
        [SERVICE_STARTING] = {"web:TERM", "web:sweep web:free", 0},
        [SERVICE_RUNNING] = {"web:TERM", "web:sweep web:free", 0},
        [SERVICE_DONE] = {"web:free", "", 0},
        [SERVICE_STOPPING] = {"", "web:free", 0},
        [SERVICE_KILLING] = {"", "web:free", 0},
        [SERVICE_STUCK] = {"", "web:free", 0},
        [SERVICE_BACKOFF] = {"web:free", "", 0},
        [SERVICE_FAILED] = {"web:free", "", 0},
    };

    (void)unused;
    for (int state = 0; state < SERVICE_STATE_COUNT; state++)
        check(&rows[state], (enum service_state)state, NULL);
}

static void test_spawn_changed(void **unused)
{
    static const struct row rows[SERVICE_STATE_COUNT] = {
        [SERVICE_DOWN] = {"", "", SERVICE_DOWN},
        [SERVICE_PENDING] = {"web:spawn", "", SERVICE_RUNNING},
        [SERVICE_STARTING] = {"web:TERM", "web:sweep web:spawn", SERVICE_STARTING},
        [SERVICE_RUNNING] = {"web:TERM", "web:sweep web:spawn", SERVICE_RUNNING},
        [SERVICE_DONE] = {"web:spawn", "", SERVICE_RUNNING},
        [SERVICE_STOPPING] = {"", "web:spawn", SERVICE_RUNNING},
        [SERVICE_KILLING] = {"", "web:spawn", SERVICE_RUNNING},
        [SERVICE_STUCK] = {"", "web:spawn", SERVICE_RUNNING},
        [SERVICE_BACKOFF] = {"web:spawn", "", SERVICE_RUNNING},
        [SERVICE_FAILED] = {"web:spawn", "", SERVICE_RUNNING},
    };

    (void)unused;
    for (int state = 0; state < SERVICE_STATE_COUNT; state++)
        check(&rows[state], (enum service_state)state, spawn_change());
}

static void test_policy_changed(void **unused)
{
    static const struct row rows[SERVICE_STATE_COUNT] = {
        [SERVICE_DOWN] = {"", "", SERVICE_DOWN},
        [SERVICE_PENDING] = {"web:spawn", "", SERVICE_RUNNING},
        [SERVICE_STARTING] = {"", "", SERVICE_STARTING},
        [SERVICE_RUNNING] = {"", "", SERVICE_RUNNING},
        [SERVICE_DONE] = {"", "", SERVICE_DONE},
        [SERVICE_STOPPING] = {"", "", SERVICE_BACKOFF},
        [SERVICE_KILLING] = {"", "", SERVICE_BACKOFF},
        [SERVICE_STUCK] = {"", "", SERVICE_BACKOFF},
        [SERVICE_BACKOFF] = {"", "", SERVICE_BACKOFF},
        [SERVICE_FAILED] = {"", "", SERVICE_FAILED},
    };

    (void)unused;
    for (int state = 0; state < SERVICE_STATE_COUNT; state++)
        check(&rows[state], (enum service_state)state, policy_change());
}

/* The new one waits until nothing is left of the old one. */
static void test_removed_and_added_again(void **unused)
{
    (void)unused;
    for (int state = 0; state < SERVICE_STATE_COUNT; state++) {
        bool live;
        start_from((enum service_state)state);
        live = service_live(get("web"));
        RELOAD(other());
        d.trace[0] = '\0';
        RELOAD(web(), other());
        expect(live ? "" : "web:spawn");
        if (live) {
            struct service *old = get("web")->predecessor;
            struct engine_fact fact = {.exit = {.how = EXIT_CODE, .number = 0}};
            assert_non_null(old);
            expect_state("web", SERVICE_PENDING);
            d.left[old->slot] = 0;
            if (old->pid)
                engine_event(&d.e, old, EVENT_EXITED, d.now, &fact);
            drive();
            assert_non_null(strstr(d.trace, "web:free web:spawn"));
        }
        assert_null(get("web")->predecessor);
        assert_int_equal(graph_find(&d.e.graph, "web")->generation, 1);
        drive_teardown(NULL);
    }
}

/* One that is down already has nothing to be told. */
static void test_removed_during_shutdown(void **unused)
{
    (void)unused;
    for (int state = 0; state < SERVICE_STATE_COUNT; state++) {
        start_from((enum service_state)state);
        engine_shutdown(&d.e, d.now);
        RELOAD(other());
        finish();
        /* kept, so that the report can tell of it */
        if (graph_find_any(&d.e.graph, "web"))
            assert_false(service_live(get("web")));
        assert_null(strstr(d.trace, "spawn"));
        drive_teardown(NULL);
    }
}

/* ---- settings in force ---- */

static void test_stops_under_its_old_settings(void **unused)
{
    struct conf *c = spawn_change();

    (void)unused;
    RELOAD(web());
    c->stop.signal = SIGINT;
    RELOAD(c);
    expect("web:spawn web:TERM");
    die("web");
    tell("web", EVENT_DOWN);
    expect("web:sweep web:spawn web:INT");
}

static void test_policy_is_taken_under_a_running_process(void **unused)
{
    (void)unused;
    RELOAD(web());
    RELOAD(policy_change());
    tell("web", EVENT_DOWN);
    expect("web:spawn web:INT");
}

/* A stop that has begun ends as it began. */
static void test_policy_waits_for_the_end_of_a_stop(void **unused)
{
    struct conf *c = web();

    (void)unused;
    RELOAD(web());
    tell("web", EVENT_AGAIN);
    c->stop.grace = 1;
    RELOAD(c);
    pass(9999);
    expect("web:spawn web:TERM");
    die("web");
    assert_int_equal(get("web")->conf->stop.grace, 1);
}

/* A change of policy on top of one that waits for a restart waits with it. */
static void test_policy_after_spawn(void **unused)
{
    struct conf *c = spawn_change();

    (void)unused;
    RELOAD(web(), requires(other(), "web"));
    RELOAD(spawn_change(), requires(other(), "web"));
    expect("web:spawn other:spawn other:TERM");
    c->stop.signal = SIGINT;
    RELOAD(c, requires(other(), "web"));
    die("other");
    expect("other:sweep web:TERM");
    die("web");
    expect("web:sweep web:spawn other:spawn");
    assert_int_equal(get("web")->conf->stop.signal, SIGINT);
}

static void test_there_and_back(void **unused)
{
    (void)unused;
    RELOAD(web());
    RELOAD(spawn_change());
    RELOAD(web());
    expect("web:spawn web:TERM");
    die("web");
    expect("web:sweep web:spawn");
    assert_string_equal(get("web")->conf->command[0], "/bin/true");
    assert_null(get("web")->next_conf);
}

static void test_prepares_anew(void **unused)
{
    struct conf *a = requires(web(), "other"), *b = requires(spawn_change(), "other");

    (void)unused;
    make_set(&a->before_start, "/bin/prepare");
    make_set(&b->before_start, "/bin/prepare");
    RELOAD(a, other());
    leave("other", 1);
    leave("web", 0);
    expect_state("web", SERVICE_PENDING);
    RELOAD(b, other());
    d.trace[0] = '\0';
    pass(100);
    expect("other:spawn web:before");
}

/* ---- who comes and goes ---- */

static void test_new_ones_start(void **unused)
{
    (void)unused;
    RELOAD(web());
    RELOAD(web(), requires(other(), "web"), manual(make_conf("asked", NULL, NULL, NULL)));
    expect("web:spawn other:spawn");
    expect_state("asked", SERVICE_DOWN);
}

static void test_from_manual_to_auto(void **unused)
{
    (void)unused;
    RELOAD(manual(web()), other());
    expect("other:spawn");
    RELOAD(web(), other());
    expect("web:spawn");
    RELOAD(manual(web()), other());
    expect("");
}

/* What was stopped by request stays so. */
static void test_stopped_stays_stopped(void **unused)
{
    (void)unused;
    to_down();
    RELOAD(spawn_change(), other());
    expect("web:spawn other:spawn web:TERM web:sweep");
    tell("web", EVENT_UP);
    assert_string_equal(get("web")->conf->command[0], "/bin/other");
}

static void test_a_new_requirement(void **unused)
{
    (void)unused;
    RELOAD(web());
    RELOAD(requires(web(), "other"), other());
    expect("web:spawn other:spawn");
    tell("other", EVENT_AGAIN);
    expect("web:TERM");
}

/* A dependency that waited for its dependent does not wait for ever when the edge goes. */
static void test_an_edge_goes_during_a_stop(void **unused)
{
    (void)unused;
    RELOAD(requires(web(), "other"), other());
    tell("other", EVENT_AGAIN);
    expect("other:spawn web:spawn web:TERM");
    RELOAD(web(), other());
    expect("other:TERM");
}

/* Both go, and in order. */
static void test_two_removed_in_order(void **unused)
{
    (void)unused;
    RELOAD(requires(web(), "other"), other());
    d.trace[0] = '\0';
    RELOAD(make_conf("last", NULL, NULL, NULL));
    expect("web:TERM last:spawn");
    die("web");
    expect("web:sweep web:free other:TERM");
    die("other");
    expect("other:sweep other:free");
}

/* What the engine has and does, without what a refused reload may leave behind unseen. */
static void write_down(char *text)
{
    text[0] = '\0';
    for (size_t i = 0; i < d.e.graph.n; i++) {
        const struct service *s = d.e.graph.at[i];
        if (!s)
            continue;
        sprintf(text + strlen(text), "%s %p %p %d%d%d%d %s %zu:", service_name(s), (void *)s->conf,
                (void *)s->next_conf, s->wanted, s->again, s->doomed, s->fresh,
                service_state_name(s->state), s->n_needed_by);
        for (size_t k = 0; k < s->n_needs; k++)
            sprintf(text + strlen(text), " %s", service_name(s->needs[k].to));
        strcat(text, "\n");
    }
}

/* A change, an addition, a removal, an edge: all of it or nothing. */
static void test_without_memory(void **unused)
{
    char before[1024], after[1024];
    int n = 0, result;

    (void)unused;
    RELOAD(web(), requires(other(), "web"), make_conf("third", NULL, NULL, NULL));
    RELOAD(spawn_change(), requires(other(), "web"), make_conf("third", NULL, NULL, NULL));
    d.trace[0] = '\0';
    write_down(before);
    do {
        struct conf *confs[] = {requires(policy_change(), "new"), other(),
                                make_conf("new", NULL, NULL, NULL)};
        allowed = n++;
        result = reload(confs, ARRAY_SIZE(confs));
        allowed = -1;
        write_down(after);
        assert_int_equal(strcmp(before, after) == 0, result != 0);
        if (result)
            expect("");
    } while (result);
    assert_true(n > 8);
    expect("web:TERM new:spawn third:TERM");
}

static void test_many_times(void **unused)
{
    (void)unused;
    for (int i = 0; i < 200; i++) {
        if (i % 3 == 0)
            RELOAD(web(), other());
        else if (i % 3 == 1)
            RELOAD(spawn_change(), other());
        else
            RELOAD(other());
        finish();
        assert_in_range(d.e.graph.n, 1, 16);
        d.trace[0] = d.changes[0] = '\0';
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_changes_nothing),
        cmocka_unit_test(test_removed),
        cmocka_unit_test(test_spawn_changed),
        cmocka_unit_test(test_policy_changed),
        cmocka_unit_test(test_removed_and_added_again),
        cmocka_unit_test(test_removed_during_shutdown),
        TEST(test_stops_under_its_old_settings),
        TEST(test_policy_is_taken_under_a_running_process),
        TEST(test_policy_waits_for_the_end_of_a_stop),
        TEST(test_policy_after_spawn),
        TEST(test_there_and_back),
        TEST(test_prepares_anew),
        TEST(test_new_ones_start),
        TEST(test_from_manual_to_auto),
        TEST(test_stopped_stays_stopped),
        TEST(test_a_new_requirement),
        TEST(test_an_edge_goes_during_a_stop),
        TEST(test_two_removed_in_order),
        TEST(test_without_memory),
        TEST(test_many_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
