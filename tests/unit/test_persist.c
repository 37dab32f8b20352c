/* persist.c: what is written comes back, whatever else lies there does not, and no crash in between
 * costs more than the write under way. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tend/persist.h"

/* ---- a service to play with ---- */

struct fixture {
    struct engine engine;
    struct service *s;
    struct persist_slot slot;
};

static struct conf *make_conf(void)
{
    struct conf *c = conf_new("web", "test", 1);
    struct conf_supervisor supervisor;

    conf_supervisor_init(&supervisor);
    c->command = calloc(2, sizeof(char *));
    c->command[0] = strdup("/bin/true");
    conf_finish(c, &supervisor);
    return c;
}

static struct conf *make_conf_with_stop(void)
{
    struct conf *c = make_conf();

    c->stop.command = calloc(2, sizeof(char *));
    c->stop.command[0] = strdup("/bin/false");
    c->stop.n_then = 1;
    c->stop.then = calloc(1, sizeof *c->stop.then);
    c->stop.then[0] = (struct conf_step){SIGINT, 1000};
    return c;
}

static void begin(struct fixture *f, struct conf *c)
{
    memset(f, 0, sizeof *f);
    engine_init(&f->engine, NULL, NULL);
    f->s = graph_add(&f->engine.graph, c);
    assert_int_equal(graph_link(&f->engine.graph), 0);
    f->s->wanted = true;
}

static void end(struct fixture *f)
{
    engine_free(&f->engine);
}

/* The record of a service in that state, taken up by a tend that begins anew. */
static struct persist_record crash(struct fixture *f, struct persist_world world)
{
    struct conf *c = f->s->conf;
    const struct persist_record *r = persist_newest(&f->slot);
    struct persist_record copy;

    assert_non_null(r);
    copy = *r;
    f->s->conf = NULL;
    engine_free(&f->engine);
    engine_init(&f->engine, NULL, NULL);
    f->s = graph_add(&f->engine.graph, c);
    persist_load(&copy, f->s);
    assert_int_equal(graph_link(&f->engine.graph), 0);
    engine_adopt(&f->engine, f->s, 5000);
    persist_resume(&f->engine, f->s, &copy, &world, 5000);
    assert_int_equal(f->engine.impossible, 0);
    return copy;
}

static void be(struct service *s, enum service_state state, pid_t pid, pid_t command, unsigned step)
{
    s->state = state;
    s->pid = pid;
    s->command = command;
    s->step = step;
    s->deadline = 9000;
    s->start_by = 9000;
    s->ready = state == SERVICE_RUNNING;
}

/* ---- chance ---- */

static uint64_t chance = 1;
static unsigned below(unsigned n)
{
    chance = chance * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((chance >> 33) % n);
}

/* ---- writing and reading ---- */

static void scramble(struct service *s)
{
    s->state = (enum service_state)below(SERVICE_STATE_COUNT);
    s->cause = (enum service_cause)below(CAUSE_COUNT);
    s->wanted = below(2);
    s->again = below(2);
    s->doomed = below(2);
    s->ready = below(2);
    s->preparing = below(2);
    s->prepared = below(2);
    s->executed = below(2);
    s->adopted = below(2);
    s->told = below(2);
    s->killed = below(2);
    s->pid = below(2) ? (pid_t)below(40000) : 0;
    s->command = below(3) ? 0 : (pid_t)below(40000);
    s->generation = below(1000);
    s->members = below(2) ? 0 : below(9);
    s->last_exit =
        (struct service_exit){(enum exit_how)below(EXIT_HOW_COUNT), (int)below(256), below(2)};
    s->error = (int)below(100);
    s->error_step = (int)below(10);
    s->step = below(STEP_SIGNAL + 2);
    s->since = below(100000);
    s->started = below(100000);
    s->stop_began = below(100000);
    s->start_by = below(2) ? NEVER : (msec)below(100000);
    s->deadline = below(2) ? NEVER : (msec)below(100000);
    s->tries.failures = below(10);
    s->tries.starts = below(TRIES_KEPT + 1);
    for (int i = 0; i < TRIES_KEPT; i++)
        s->tries.recent[i] = below(100000);
    s->tries.delay = below(100000);
    s->restarts = below(10);
    s->pending = below(2) ? 0 : 1u << below(9);
    if (s->pending & ACTION_COMMAND)
        s->step = STEP_COMMAND;
}

static void round_trip_is_equal(void **state)
{
    struct fixture f, g;
    unsigned good = 0;

    (void)state;
    begin(&f, make_conf_with_stop());
    begin(&g, make_conf_with_stop());
    for (int i = 0; i < 200000; i++) {
        struct persist_slot again = {0};
        const struct persist_record *r;
        memset(&f.slot, 0, sizeof f.slot);
        scramble(f.s);
        persist_save(&f.slot, f.s);
        r = persist_newest(&f.slot);
        if (!r)
            continue;
        good++;
        persist_load(r, g.s);
        persist_save(&again, g.s);
        assert_memory_equal(&again, &f.slot, sizeof again);
    }
    assert_true(good > 1000);
    end(&f);
    end(&g);
}

/* Whatever is accepted is a state with which the engine can go on. */
static void accepted_services_go_on(void **state)
{
    struct engine_fact fact = {.pid = 77};

    (void)state;
    for (int i = 0; i < 50000; i++) {
        struct fixture f;
        enum service_action what;
        begin(&f, make_conf_with_stop());
        scramble(f.s);
        persist_save(&f.slot, f.s);
        if (persist_newest(&f.slot)) {
            crash(&f, (struct persist_world){below(2), below(2), (pid_t)(below(2) * 99)});
            assert_true(f.s->pid == 0 || service_live(f.s));
            for (int n = 0; n < 20; n++) {
                engine_event(&f.engine, f.s, (enum engine_event)below(EVENT_COUNT), 6000, &fact);
                engine_settle(&f.engine, 6000);
                while (engine_next_action(&f.engine, &what))
                    continue;
                engine_expire(&f.engine, 6000 + n * 1000);
            }
        }
        end(&f);
    }
}

static void bytes_that_are_no_record_are_refused(void **state)
{
    struct fixture f;
    struct persist_slot bad;

    (void)state;
    begin(&f, make_conf());
    be(f.s, SERVICE_RUNNING, 12, 0, 0);
    persist_save(&f.slot, f.s);
    assert_null(persist_newest(&(struct persist_slot){0}));
    for (size_t i = 0; i < sizeof(struct persist_record); i++)
        for (int bit = 0; bit < 8; bit++) {
            bad = f.slot;
            ((unsigned char *)&bad.at[0])[i] ^= (unsigned char)(1 << bit);
            assert_null(persist_newest(&bad));
        }
    for (int i = 0; i < 100000; i++) {
        for (size_t k = 0; k < sizeof bad; k++)
            ((unsigned char *)&bad)[k] = (unsigned char)below(256);
        assert_null(persist_newest(&bad));
    }
    end(&f);
}

/* Fields in range that contradict each other, or are out of it, in records that are whole. */
static void contradictions_are_refused(void **state)
{
    (void)state;
#define REFUSED(...)                                                                               \
    do {                                                                                           \
        struct fixture f;                                                                          \
        struct service *s;                                                                         \
        begin(&f, make_conf());                                                                    \
        s = f.s;                                                                                   \
        be(s, SERVICE_STOPPING, 12, 13, STEP_SIGNAL);                                              \
        persist_save(&f.slot, s);                                                                  \
        assert_non_null(persist_newest(&f.slot));                                                  \
        memset(&f.slot, 0, sizeof f.slot);                                                         \
        __VA_ARGS__;                                                                               \
        persist_save(&f.slot, s);                                                                  \
        assert_null(persist_newest(&f.slot));                                                      \
        end(&f);                                                                                   \
    } while (0)
    REFUSED(s->pid = 1);
    REFUSED(s->pid = -4);
    REFUSED(s->command = 1);
    REFUSED(s->command = 12);
    REFUSED(s->deadline = NEVER);
    REFUSED(s->deadline = -1);
    REFUSED(s->since = -1);
    REFUSED(s->ready = true);
    REFUSED(s->pending = ACTION_SPAWN);
    REFUSED(s->pending = ACTION_KILL);
    REFUSED(s->pending = 1u << 8);
    REFUSED(s->step = STEP_SIGNAL + CONF_STEPS_MAX + 1);
    REFUSED(s->tries.starts = TRIES_KEPT + 1);
    REFUSED(s->tries.delay = CONF_TIME_MAX + 1);
    REFUSED(s->error = -1);
    REFUSED(s->last_exit.number = 256);
    REFUSED(s->last_exit.how = EXIT_HOW_COUNT);
    REFUSED(s->cause = CAUSE_COUNT);
    REFUSED(be(s, SERVICE_STATE_COUNT, 0, 0, 0));
    REFUSED(be(s, SERVICE_RUNNING, 0, 0, 0));
    REFUSED(be(s, SERVICE_RUNNING, 12, 13, 0));
    REFUSED(be(s, SERVICE_DOWN, 12, 0, 0));
    REFUSED(be(s, SERVICE_DOWN, 0, 0, 0), s->members = 1);
    REFUSED(be(s, SERVICE_DOWN, 0, 0, 0), s->pending = ACTION_FREE);
    REFUSED(be(s, SERVICE_STARTING, 12, 0, 0), s->pending = ACTION_SPAWN);
    REFUSED(be(s, SERVICE_BACKOFF, 0, 0, 0), s->deadline = NEVER);
#undef REFUSED
}

/* ---- crashes in the middle of a write ---- */

static void assert_pid(const struct persist_slot *slot, pid_t pid)
{
    const struct persist_record *r = persist_newest(slot);

    assert_non_null(r);
    assert_int_equal(r->pid, pid);
}

static void torn_writes_cost_only_themselves(void **state)
{
    struct fixture f;
    struct persist_slot before, after;

    (void)state;
    begin(&f, make_conf());
    be(f.s, SERVICE_RUNNING, 10, 0, 0);
    for (pid_t pid = 11; pid < 20; pid++) {
        persist_save(&f.slot, f.s);
        before = f.slot;
        f.s->pid = pid;
        f.s->generation++;
        persist_save(&f.slot, f.s);
        after = f.slot;
        for (size_t n = 0; n <= sizeof after; n++) { /* forwards */
            struct persist_slot torn = before;
            memcpy(&torn, &after, n);
            assert_pid(&torn, memcmp(&torn, &after, sizeof torn) ? pid - 1 : pid);
        }
        for (size_t n = 0; n <= sizeof after; n++) { /* backwards */
            struct persist_slot torn = after;
            memcpy(&torn, &before, n);
            assert_pid(&torn, memcmp(&torn, &after, sizeof torn) ? pid - 1 : pid);
        }
    }
    end(&f);
}

static void clearing_never_brings_the_old_one_back(void **state)
{
    struct fixture f;
    struct persist_slot before, half;

    (void)state;
    begin(&f, make_conf());
    for (pid_t pid = 10; pid < 14; pid++) {
        be(f.s, SERVICE_RUNNING, pid, 0, 0);
        persist_save(&f.slot, f.s);
    }
    before = f.slot;
    persist_clear(&f.slot);
    assert_null(persist_newest(&f.slot));
    for (int first = 0; first < 2; first++) {
        half = before;
        half.at[first].sum = 0;
        if (before.at[first].pid == 12) /* the older one, which goes first */
            assert_pid(&half, 13);
    }
    persist_save(&f.slot, f.s);
    assert_pid(&f.slot, 13);
    end(&f);
}

static void sequence_may_wrap(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, make_conf());
    f.slot.at[1].sequence = UINT32_MAX - 3;
    for (pid_t pid = 10; pid < 20; pid++) {
        be(f.s, SERVICE_RUNNING, pid, 0, 0);
        persist_save(&f.slot, f.s);
        assert_pid(&f.slot, pid);
    }
    end(&f);
}

/* ---- after a crash ---- */

static void fork_not_yet_decided_is_done_once(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, make_conf());
    be(f.s, SERVICE_STARTING, 0, 0, 0);
    f.s->pending = ACTION_SPAWN;
    persist_save(&f.slot, f.s);
    assert_false(persist_forking(f.s));
    crash(&f, (struct persist_world){.unrecorded = 44});
    assert_int_equal(f.s->pending, ACTION_SPAWN);
    assert_int_equal(f.s->pid, 0);
    end(&f);
}

static void intended_fork_is_found_or_done(void **state)
{
    (void)state;
    for (int found = 0; found < 2; found++) {
        struct fixture f;
        begin(&f, make_conf());
        be(f.s, SERVICE_STARTING, 0, 0, 0);
        assert_true(persist_forking(f.s));
        persist_save(&f.slot, f.s);
        crash(&f, (struct persist_world){.unrecorded = found ? 44 : 0});
        assert_int_equal(f.s->state, SERVICE_STARTING);
        assert_int_equal(f.s->pid, found ? 44 : 0);
        assert_int_equal(f.s->pending, found ? 0 : ACTION_SPAWN);
        assert_int_equal(f.s->tries.starts, found);
        end(&f);
    }
}

static void intended_command_is_found_or_done(void **state)
{
    (void)state;
    for (int found = 0; found < 2; found++) {
        struct fixture f;
        begin(&f, make_conf_with_stop());
        be(f.s, SERVICE_STOPPING, 12, 0, STEP_COMMAND);
        assert_true(persist_forking(f.s));
        persist_save(&f.slot, f.s);
        crash(&f, (struct persist_world){.pid_is_ours = true, .unrecorded = found ? 44 : 0});
        assert_int_equal(f.s->command, found ? 44 : 0);
        assert_int_equal(f.s->pending, found ? 0 : ACTION_COMMAND);
        end(&f);
    }
}

static void living_process_is_taken_over(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, make_conf());
    be(f.s, SERVICE_RUNNING, 12, 0, 0);
    f.s->executed = true;
    persist_save(&f.slot, f.s);
    crash(&f, (struct persist_world){.pid_is_ours = true});
    assert_int_equal(f.s->state, SERVICE_RUNNING);
    assert_int_equal(f.s->pid, 12);
    assert_true(f.s->adopted && f.s->ready && f.s->executed && f.s->wanted && !f.s->fresh);
    end(&f);
}

static void exit_written_ahead_is_told(void **state)
{
    struct service_exit died = {EXIT_SIGNAL, SIGSEGV, true};

    (void)state;
    for (int recycled = 0; recycled < 2; recycled++) {
        struct fixture f;
        struct persist_record r;
        pid_t pid, command;
        begin(&f, make_conf());
        be(f.s, SERVICE_RUNNING, 12, 0, 0);
        persist_save(&f.slot, f.s);
        persist_exit(&f.slot, f.s, &died, 0, 0);
        r = crash(&f, (struct persist_world){.pid_is_ours = recycled});
        persist_ended(&r, &pid, &command);
        assert_int_equal(pid, 12);
        assert_int_equal(command, 0);
        assert_int_equal(f.s->state, SERVICE_STOPPING);
        assert_int_equal(f.s->cause, CAUSE_EXIT);
        assert_int_equal(f.s->pid, 0);
        assert_int_equal(f.s->last_exit.how, EXIT_SIGNAL);
        assert_int_equal(f.s->last_exit.number, SIGSEGV);
        assert_true(f.s->last_exit.core);
        end(&f);
    }
}

static void failed_exec_written_ahead_is_told(void **state)
{
    struct fixture f;
    struct service_exit code = {EXIT_CODE, 127, false};

    (void)state;
    begin(&f, make_conf());
    be(f.s, SERVICE_STARTING, 12, 0, 0);
    persist_exit(&f.slot, f.s, &code, 2, 7);
    crash(&f, (struct persist_world){0});
    assert_int_equal(f.s->cause, CAUSE_EXEC);
    assert_int_equal(f.s->error, 2);
    assert_int_equal(f.s->error_step, 7);
    end(&f);
}

static void vanished_process_is_lost(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, make_conf());
    be(f.s, SERVICE_RUNNING, 12, 0, 0);
    persist_save(&f.slot, f.s);
    crash(&f, (struct persist_world){0});
    assert_int_equal(f.s->pid, 0);
    assert_int_equal(f.s->last_exit.how, EXIT_LOST);
    engine_members(&f.engine, f.s, 0, 5000);
    assert_int_equal(f.s->state, SERVICE_BACKOFF);
    end(&f);
}

static void ended_command_is_told(void **state)
{
    (void)state;
    for (int written = 0; written < 2; written++) {
        struct fixture f;
        begin(&f, make_conf_with_stop());
        be(f.s, SERVICE_STOPPING, 12, 13, STEP_COMMAND);
        persist_save(&f.slot, f.s);
        if (written)
            persist_command_ended(&f.slot, f.s);
        crash(&f, (struct persist_world){.pid_is_ours = true, .command_is_ours = written});
        assert_int_equal(f.s->command, 0);
        assert_int_equal(f.s->step, STEP_SIGNAL);
        assert_int_equal(f.s->pending, ACTION_SIGNAL);
        end(&f);
    }
}

static void undone_signal_is_sent(void **state)
{
    struct fixture f;
    enum service_action what;

    (void)state;
    begin(&f, make_conf());
    be(f.s, SERVICE_STOPPING, 12, 0, STEP_SIGNAL);
    f.s->wanted = false;
    f.s->pending = ACTION_SIGNAL;
    persist_save(&f.slot, f.s);
    crash(&f, (struct persist_world){.pid_is_ours = true});
    assert_ptr_equal(engine_next_action(&f.engine, &what), f.s);
    assert_int_equal(what, ACTION_SIGNAL);
    assert_true(engine_deadline(&f.engine) <= 9000);
    end(&f);
}

/* The record is of a stop with more steps than the conf of today has. */
static void step_is_cut_to_the_conf(void **state)
{
    static const struct {
        unsigned step, becomes;
        pid_t command;
    } cases[] = {{STEP_DRAIN, STEP_DRAIN, 0},
                 {STEP_COMMAND, STEP_SIGNAL, 0},
                 {STEP_COMMAND, STEP_COMMAND, 13},
                 {STEP_SIGNAL + 5, STEP_SIGNAL, 0}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture f;
        begin(&f, make_conf());
        be(f.s, SERVICE_STOPPING, 12, cases[i].command, cases[i].step);
        persist_save(&f.slot, f.s);
        crash(&f, (struct persist_world){.pid_is_ours = true, .command_is_ours = true});
        assert_int_equal(f.s->step, cases[i].becomes);
        engine_event(&f.engine, f.s, EVENT_DEADLINE, 9000, NULL);
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip_is_equal),
        cmocka_unit_test(accepted_services_go_on),
        cmocka_unit_test(bytes_that_are_no_record_are_refused),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(torn_writes_cost_only_themselves),
        cmocka_unit_test(clearing_never_brings_the_old_one_back),
        cmocka_unit_test(sequence_may_wrap),
        cmocka_unit_test(fork_not_yet_decided_is_done_once),
        cmocka_unit_test(intended_fork_is_found_or_done),
        cmocka_unit_test(intended_command_is_found_or_done),
        cmocka_unit_test(living_process_is_taken_over),
        cmocka_unit_test(exit_written_ahead_is_told),
        cmocka_unit_test(failed_exec_written_ahead_is_told),
        cmocka_unit_test(vanished_process_is_lost),
        cmocka_unit_test(ended_command_is_told),
        cmocka_unit_test(undone_signal_is_sent),
        cmocka_unit_test(step_is_cut_to_the_conf),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
