/* What --check says of a deadline is what the engine does with it, in sets of every shape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drive.h"
#include "tend/check_plan.h"

enum { SERVICES = 12, ROUNDS = 3000 };

static uint64_t random_state;

static unsigned pick(unsigned n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random_state >> 33) % n;
}

static msec pick_time(void)
{
    static const msec longest[] = {1, 400, 3000, 20000};

    return (msec)pick((unsigned)longest[pick(ARRAY_SIZE(longest))]);
}

/* The i-th, which depends on some of those before it. */
static struct conf *pick_conf(size_t i)
{
    char name[8], needs_names[200] = "";
    struct conf *c;

    for (size_t k = 0; k < i; k++)
        if (pick(5) == 0)
            sprintf(needs_names + strlen(needs_names), " s%zu", k);
    snprintf(name, sizeof name, "s%zu", i);
    c = *needs_names ? needs(name, needs_names) : service(name);
    c->stop.grace = pick_time();
    if (pick(3) == 0)
        c->stop.drain = pick_time();
    if (pick(3) == 0) {
        says_goodbye(c);
        c->stop.command_timeout = 1 + pick_time();
    }
    if (pick(3) == 0) {
        c->stop.n_then = 1 + pick(2);
        c->stop.then = calloc(c->stop.n_then, sizeof *c->stop.then);
        assert_non_null(c->stop.then);
        for (size_t k = 0; k < c->stop.n_then; k++)
            c->stop.then[k] = (struct conf_step){SIGINT, pick_time()};
    }
    if (pick(4) == 0) { /* nobody asks for it */
        c->access = CONF_ACCESS_ALL;
        c->stop.max = plan_steps(c, STEP_DRAIN) + pick_time();
    }
    return c;
}

static void pick_set(struct conf **confs, uint64_t seed)
{
    random_state = seed * 2 + 1;
    for (size_t i = 0; i < SERVICES; i++)
        confs[i] = pick_conf(i);
}

/* Each ignores everything until it is killed; its stop takes as long as was said. */
static void end_stop_commands(void)
{
    for (size_t i = 0; i < d.e.graph.n; i++) {
        struct service *s = d.e.graph.at[i];
        if (s->command && (s->state == SERVICE_KILLING || s->step > STEP_COMMAND))
            engine_event(&d.e, s, EVENT_COMMAND_ENDED, d.now, NULL);
    }
    drive();
}

static bool bury_one(msec *took)
{
    for (size_t i = 0; i < d.e.graph.n; i++) {
        struct service *s = d.e.graph.at[i];
        if (s->state != SERVICE_KILLING || !s->pid)
            continue;
        took[i] = d.now - s->stop_began;
        die(service_name(s));
        return true;
    }
    return false;
}

static void shut_down(msec deadline, msec *took)
{
    engine_shutdown(&d.e, d.now);
    engine_limit(&d.e, d.now, d.now + deadline);
    drive();
    while (!engine_idle(&d.e)) {
        end_stop_commands();
        d.trace[0] = d.changes[0] = '\0';
        if (bury_one(took))
            continue;
        d.now = engine_deadline(&d.e);
        engine_expire(&d.e, d.now);
        drive();
    }
}

static msec said(const struct check_plan *p, size_t service)
{
    msec sum = 0;

    for (size_t i = p->first_step[service]; i < p->first_step[service + 1]; i++)
        sum += p->steps[i].left;
    return sum;
}

static void check_one(uint64_t seed, unsigned *waived, unsigned *kept)
{
    struct conf *confs[SERVICES], *same[SERVICES];
    struct conf_set set = {.supervisor = {.grace = 1000}, .at = confs, .n = SERVICES};
    struct check_plan plan;
    msec took[SERVICES] = {0}, began;

    pick_set(same, seed);
    pick_set(confs, seed);
    assert_int_equal(check_plan_make(&plan, &set, 1 + pick_time() * (pick(2) ? 1 : 10)), 0);
    assert_int_equal(reload(same, SERVICES), 0);
    began = d.now;
    shut_down(plan.deadline, took);
    for (size_t i = 0; i < SERVICES; i++)
        if (took[i] != said(&plan, i))
            fail_msg("seed %llu, s%zu: %lld ms, but %lld were said", (unsigned long long)seed, i,
                     (long long)took[i], (long long)said(&plan, i));
    assert_true(d.e.overdue || !plan.waived);
    assert_true(d.now - began <= plan.deadline);
    *waived += plan.waived;
    *kept += plan.too_long == 0;
    check_plan_free(&plan);
    for (size_t i = 0; i < SERVICES; i++)
        conf_free(confs[i]);
}

static void test_as_the_engine_does(void **state)
{
    unsigned waived = 0, kept = 0;

    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        check_one(seed, &waived, &kept);
        drive_teardown(state);
        drive_setup(state);
    }
    assert_in_range(waived, ROUNDS / 20, ROUNDS - ROUNDS / 20);
    assert_in_range(kept, ROUNDS / 100, ROUNDS);
}

/* ---- by hand ---- */

static void expect_chain(const struct check_plan *p, const struct check_chain *chain, msec time,
                         const char *names)
{
    char text[200] = "";

    for (size_t i = 0; i < chain->n; i++)
        sprintf(text + strlen(text), "%s%s", *text ? " " : "", p->set->at[chain->at[i]]->name);
    assert_string_equal(text, names);
    assert_int_equal(chain->time, time);
}

/* A manual one counts for the start only where somebody takes it along; `after` does not. */
static void test_who_starts(void **state)
{
    struct conf *confs[] = {
        manual(service("tool")),
        manual(make_conf("cache", NULL, "disk", NULL)),
        manual(service("disk")),
        make_conf("web", NULL, "cache", "tool"),
    };
    static const bool starts[] = {false, true, true, true};
    struct conf_set set = {.supervisor = {.grace = 1000}, .at = confs, .n = ARRAY_SIZE(confs)};
    struct check_plan plan;

    (void)state;
    confs[0]->ready.timeout = 500000;
    confs[3]->ready.timeout = 7;
    assert_int_equal(check_plan_make(&plan, &set, NEVER), 0);
    for (size_t i = 0; i < set.n; i++)
        assert_int_equal(plan.starts[i], starts[i]);
    expect_chain(&plan, &plan.start, 180007, "disk cache web");
    expect_chain(&plan, &plan.stop, 45000, "web cache disk");
    assert_int_equal(plan.worst, 45000 + 6000);
    assert_int_equal(check_plan_timeout(&plan), 52);
    check_plan_free(&plan);
    for (size_t i = 0; i < set.n; i++)
        conf_free(confs[i]);
}

/* To the millisecond, and rounded up. */
static void test_edge(void **state)
{
    struct conf *confs[] = {service("a")};
    struct conf_set set = {.supervisor = {.grace = 0}, .at = confs, .n = 1};
    struct check_plan plan;

    (void)state;
    confs[0]->stop.grace = 1;
    assert_int_equal(check_plan_make(&plan, &set, 10001), 0);
    assert_int_equal(plan.too_long, 0);
    assert_int_equal(check_plan_timeout(&plan), 12);
    check_plan_free(&plan);
    assert_int_equal(check_plan_make(&plan, &set, 10000), 0);
    assert_int_equal(plan.too_long, 1);
    assert_true(check_plan_too_long(&plan, 0));
    assert_false(plan.waived);
    assert_int_equal(plan.kill_at, 9000);
    assert_int_equal(check_plan_timeout(&plan), 11);
    check_plan_free(&plan);
    conf_free(confs[0]);
}

/* Its worst case is what it may ask for; its steps are those that are written. */
static void test_stretched(void **state)
{
    struct conf *confs[] = {service("db"), needs("web", "db")};
    struct conf_set set = {.supervisor = {.grace = 1000}, .at = confs, .n = ARRAY_SIZE(confs)};
    struct check_plan plan;

    (void)state;
    confs[0]->access = CONF_ACCESS_ALL;
    confs[0]->stop.max = 60000;
    assert_int_equal(check_plan_make(&plan, &set, 40000), 0);
    assert_int_equal(plan.shutdown.at[0].time, 65000);
    assert_int_equal(plan.shutdown.at[1].time, 15000);
    expect_chain(&plan, &plan.stop, 80000, "web db");
    assert_int_equal(plan.worst, 80000 + 6000);
    assert_int_equal(plan.too_long, 46000);
    assert_int_equal(plan.first_step[1], 1);
    for (size_t i = 0; i < 2; i++) { /* nobody's wait is cut for what is not asked for */
        assert_int_equal(plan.steps[i].wait, 10000);
        assert_int_equal(plan.steps[i].left, 10000);
    }
    check_plan_free(&plan);
    for (size_t i = 0; i < set.n; i++)
        conf_free(confs[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_as_the_engine_does),
        TEST(test_who_starts),
        TEST(test_edge),
        TEST(test_stretched),
    };

    return cmocka_run_group_tests_name("check-plan", tests, NULL, NULL);
}
