/* persist.c: what is written comes back, whatever else lies there does not, and no crash in between
 * costs more than the write under way. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tend/persist.h"

/* ---- a service to play with ---- */

enum { SLOTS = 3 };

struct memory {
    struct persist_undo undo;
    struct persist_record at[SLOTS];
};

/* The service has slot 0 unless a test gives it another. */
struct fixture {
    struct engine engine;
    struct service *s;
    pid_t leader;
    struct memory memory;
};

static struct persist_area area_of(struct memory *m)
{
    return (struct persist_area){&m->undo, m->at, SLOTS};
}

static void save(struct fixture *f)
{
    struct persist_area area = area_of(&f->memory);

    persist_save(&area, f->s, f->leader);
}

static const struct persist_record *find(struct fixture *f)
{
    struct persist_area area = area_of(&f->memory);

    return persist_find(&area, f->s->slot);
}

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
    const struct persist_record *r = find(f);
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
    s->killed = below(2);
    s->by_itself = below(2);
    s->pid = below(2) ? (pid_t)below(40000) : 0;
    s->command = below(3) ? 0 : (pid_t)below(40000);
    s->generation = below(1000);
    s->members = below(2) ? 0 : below(9);
    s->last_exit = (struct service_exit){(enum exit_how)below(EXIT_HOW_COUNT), (int)below(256),
                                         below(2), below(2)};
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
        const struct persist_record *r;
        memset(&f.memory, 0, sizeof f.memory);
        memset(&g.memory, 0, sizeof g.memory);
        scramble(f.s);
        f.leader = below(2) ? (pid_t)below(40000) : 0;
        save(&f);
        r = find(&f);
        if (!r)
            continue;
        good++;
        persist_load(r, g.s);
        g.leader = r->leader;
        save(&g);
        assert_memory_equal(&g.memory, &f.memory, sizeof g.memory);
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
        save(&f);
        if (find(&f)) {
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

static void flip(void *at, size_t bit)
{
    ((unsigned char *)at)[bit / 8] ^= (unsigned char)(1 << bit % 8);
}

static void bytes_that_are_no_record_are_refused(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, make_conf());
    assert_null(find(&f));
    be(f.s, SERVICE_RUNNING, 12, 0, 0);
    save(&f);
    save(&f);
    for (size_t bit = 0; bit < sizeof f.memory.at[0] * 8; bit++) {
        flip(&f.memory.at[0], bit);
        assert_null(find(&f));
        flip(&f.memory.at[0], bit);
        assert_non_null(find(&f));
    }
    f.s->slot = SLOTS;
    assert_null(find(&f));
    for (int i = 0; i < 100000; i++) {
        for (size_t k = 0; k < sizeof f.memory; k++)
            ((unsigned char *)&f.memory)[k] = (unsigned char)below(256);
        f.memory.undo.valid = PERSIST_UNDO;
        f.memory.undo.slot = 0;
        for (f.s->slot = 0; f.s->slot < SLOTS; f.s->slot++)
            assert_null(find(&f));
    }
    end(&f);
}

/* In the middle of a write, when it is all that there is. */
static void bytes_that_are_no_undo_are_refused(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, make_conf());
    be(f.s, SERVICE_RUNNING, 12, 0, 0);
    save(&f);
    save(&f);
    f.memory.at[0].sum = 0;
    f.memory.undo.valid = PERSIST_UNDO;
    assert_non_null(find(&f));
    for (size_t bit = 0; bit < sizeof f.memory.undo * 8; bit++) {
        flip(&f.memory.undo, bit);
        assert_null(find(&f));
        flip(&f.memory.undo, bit);
    }
    for (f.s->slot = 1; f.s->slot <= SLOTS; f.s->slot++)
        assert_null(find(&f));
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
        save(&f);                                                                                  \
        assert_non_null(find(&f));                                                                 \
        __VA_ARGS__;                                                                               \
        save(&f);                                                                                  \
        assert_null(find(&f));                                                                     \
        end(&f);                                                                                   \
    } while (0)
    REFUSED(s->pid = 1);
    REFUSED(s->pid = -4);
    REFUSED(s->command = 1);
    REFUSED(s->pid = 0, f.leader = 1);
    REFUSED(s->pid = 0, f.leader = -4);
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

static void assert_pid(struct memory *m, unsigned slot, pid_t pid)
{
    struct persist_area area = area_of(m);
    const struct persist_record *r = persist_find(&area, slot);

    assert_non_null(r);
    assert_int_equal(r->pid, pid);
}

enum { STAGES = 7, WHOLE = 5 };

/* A write as persist.c does it; from WHOLE on the new record counts. */
static void make_stages(const struct memory *before, const struct memory *after,
                        struct memory stages[STAGES])
{
    for (int i = 0; i < STAGES; i++) {
        stages[i] = *before;
        if (i >= 1)
            stages[i].undo = after->undo;
        if (i >= 2 && i < 6)
            stages[i].undo.valid = PERSIST_UNDO;
        if (i >= 4)
            stages[i].at[0] = after->at[0];
        if (i == 3 || i == 4)
            stages[i].at[0].sum = 0;
    }
    assert_memory_equal(&stages[STAGES - 1], after, sizeof *after);
}

/* The first bytes of one and the rest of the other, at every byte. */
static void tear(const struct memory *from, const struct memory *to, pid_t old, pid_t new)
{
    for (size_t n = 0; n <= sizeof *to; n++)
        for (int backwards = 0; backwards < 2; backwards++) {
            struct memory torn = backwards ? *to : *from;
            memcpy(&torn, backwards ? from : to, n);
            assert_pid(&torn, 0, memcmp(&torn, to, sizeof torn) ? old : new);
            assert_pid(&torn, 1, 99);
        }
}

static void torn_writes_cost_only_themselves(void **state)
{
    struct fixture f;
    struct memory before, stages[STAGES];

    (void)state;
    begin(&f, make_conf());
    be(f.s, SERVICE_RUNNING, 99, 0, 0);
    f.s->slot = 1;
    save(&f);
    f.s->slot = 0;
    for (pid_t pid = 10; pid < 16; pid++) {
        before = f.memory;
        f.s->pid = pid;
        f.s->generation++;
        save(&f);
        if (pid == 10)
            continue;
        make_stages(&before, &f.memory, stages);
        for (int i = 0; i + 1 < STAGES; i++)
            tear(&stages[i], &stages[i + 1], i < WHOLE ? pid - 1 : pid,
                 i + 1 < WHOLE ? pid - 1 : pid);
    }
    end(&f);
}

static void torn_first_write_leaves_none(void **state)
{
    const size_t sum = sizeof(uint32_t);
    struct fixture f;
    struct memory whole;

    (void)state;
    begin(&f, make_conf());
    be(f.s, SERVICE_RUNNING, 10, 0, 0);
    save(&f);
    whole = f.memory;
    for (size_t n = sum; n <= sizeof whole.at[0]; n++) {
        memset(&f.memory, 0, sizeof f.memory);
        memcpy((char *)&f.memory.at[0] + sum, (char *)&whole.at[0] + sum, n - sum);
        assert_null(find(&f));
    }
    end(&f);
}

/* Whatever goes on in the same memory after a crash. */
static void torn_write_is_undone_by_the_next(void **state)
{
    struct fixture f;
    struct memory torn;
    struct persist_area area;

    (void)state;
    begin(&f, make_conf());
    be(f.s, SERVICE_RUNNING, 10, 0, 0);
    save(&f);
    f.s->pid = 11;
    save(&f);
    f.memory.undo.valid = PERSIST_UNDO;
    f.memory.at[0].sum = 0;
    torn = f.memory;
    f.s->slot = 2;
    save(&f);
    assert_pid(&f.memory, 0, 10);
    assert_pid(&f.memory, 2, 11);
    f.memory = torn;
    area = area_of(&f.memory);
    persist_clear(&area, 2);
    assert_pid(&f.memory, 0, 10);
    f.memory = torn;
    f.s->slot = 0;
    f.s->pid = 12;
    save(&f);
    assert_pid(&f.memory, 0, 12);
    f.memory = torn;
    persist_clear(&area, 0);
    assert_null(persist_find(&area, 0));
    end(&f);
}

static void undo_of_a_slot_that_is_not_there_is_nothing(void **state)
{
    struct fixture f;
    struct persist_area small;
    struct persist_record last;

    (void)state;
    begin(&f, make_conf());
    be(f.s, SERVICE_RUNNING, 10, 0, 0);
    f.s->slot = 2;
    save(&f);
    save(&f);
    f.memory.undo.valid = PERSIST_UNDO;
    f.memory.at[2].sum = 0;
    last = f.memory.at[2];
    small = area_of(&f.memory);
    small.n = 2;
    assert_non_null(find(&f));
    assert_null(persist_find(&small, 2));
    f.s->slot = 0;
    persist_save(&small, f.s, 0);
    assert_memory_equal(&f.memory.at[2], &last, sizeof last);
    assert_pid(&f.memory, 0, 10);
    end(&f);
}

static void cleared_slots_stay_empty(void **state)
{
    struct fixture f;
    struct persist_area area = area_of(&f.memory);

    (void)state;
    begin(&f, make_conf());
    for (pid_t pid = 10; pid < 14; pid++) {
        be(f.s, SERVICE_RUNNING, pid, 0, 0);
        save(&f);
    }
    persist_clear(&area, 0);
    assert_null(find(&f));
    f.s->slot = 1;
    save(&f);
    save(&f);
    f.s->slot = 0;
    assert_null(find(&f));
    save(&f);
    assert_pid(&f.memory, 0, 13);
    end(&f);
}

/* ---- crashes at every instruction of a write ---- */

static void write_over(struct persist_area *area, struct fixture *f)
{
    f->s->pid = 11;
    persist_save(area, f->s, 0);
}

static void write_exit(struct persist_area *area, struct fixture *f)
{
    struct service_exit died = {EXIT_SIGNAL, SIGSEGV, true, false};

    persist_exit(area, f->s, &died, 0, 0);
}

static void write_nothing(struct persist_area *area, struct fixture *f)
{
    persist_clear(area, f->s->slot);
}

static pid_t start_traced(void (*write)(struct persist_area *, struct fixture *),
                          struct persist_area *area, struct fixture *f)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) || raise(SIGSTOP))
            _exit(1);
        write(area, f);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSTOPPED(status))
        return 0;
    ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)PTRACE_O_EXITKILL);
    return child;
}

/* False at its end. */
static bool step(pid_t child)
{
    int status;

    assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSTOPPED(status))
        assert_int_equal(WSTOPSIG(status), SIGTRAP);
    else
        assert_int_equal(status, 0);
    return WIFSTOPPED(status);
}

/* What the slot holds, of the two that it may hold; 0: none. */
static uint32_t see(struct memory *m, const uint32_t may[2])
{
    struct persist_area area = area_of(m);
    const struct persist_record *r = persist_find(&area, 0);
    uint32_t sum = r ? r->sum : 0;

    assert_true(sum == may[0] || sum == may[1]);
    return sum;
}

/* Another one begins in that memory, with another slot. */
static void go_on(const struct memory *crashed, struct fixture *f, const uint32_t may[2])
{
    struct memory m = *crashed;
    struct persist_area area = area_of(&m);
    uint32_t was = see(&m, may);

    f->s->slot = 1;
    persist_save(&area, f->s, 0);
    f->s->slot = 0;
    assert_int_equal(see(&m, may), was);
    assert_pid(&m, 1, f->s->pid);
}

static void follow(pid_t child, struct memory *m, struct fixture *f, const uint32_t may[2])
{
    bool changed = false;

    while (step(child)) {
        bool is_new = see(m, may) == may[1];
        assert_true(is_new || !changed);
        changed = is_new;
        go_on(m, f, may);
    }
    assert_true(changed);
}

static void at_every_instruction(void (*write)(struct persist_area *, struct fixture *),
                                 unsigned writes_before)
{
    struct memory *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct persist_area area;
    struct fixture f;
    struct memory after;
    uint32_t may[2];
    pid_t child;

    assert_true(shared != MAP_FAILED);
    begin(&f, make_conf());
    be(f.s, SERVICE_RUNNING, 10, 0, 0);
    for (unsigned i = 0; i < writes_before; i++)
        save(&f);
    *shared = f.memory;
    after = f.memory;
    area = area_of(&after);
    write(&area, &f);
    f.s->pid = 10;
    may[0] = shared->at[0].sum;
    may[1] = after.at[0].sum;
    area = area_of(shared);
    child = start_traced(write, &area, &f);
    if (child)
        follow(child, shared, &f, may);
    end(&f);
    munmap(shared, sizeof *shared);
    if (!child)
        skip();
}

static void overwriting_may_end_anywhere(void **state)
{
    (void)state;
    at_every_instruction(write_over, 3);
}

static void writing_an_exit_may_end_anywhere(void **state)
{
    (void)state;
    at_every_instruction(write_exit, 1);
}

static void first_write_may_end_anywhere(void **state)
{
    (void)state;
    at_every_instruction(write_over, 0);
}

static void clearing_may_end_anywhere(void **state)
{
    (void)state;
    at_every_instruction(write_nothing, 2);
}

/* ---- after a crash ---- */

static void fork_not_yet_decided_is_done_once(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, make_conf());
    be(f.s, SERVICE_STARTING, 0, 0, 0);
    f.s->pending = ACTION_SPAWN;
    save(&f);
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
        save(&f);
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
        save(&f);
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
    save(&f);
    crash(&f, (struct persist_world){.pid_is_ours = true});
    assert_int_equal(f.s->state, SERVICE_RUNNING);
    assert_int_equal(f.s->pid, 12);
    assert_true(f.s->adopted && f.s->ready && f.s->executed && f.s->wanted && !f.s->fresh);
    end(&f);
}

static void exit_written_ahead_is_told(void **state)
{
    static const struct service_exit died[] = {{EXIT_SIGNAL, SIGSEGV, true, false},
                                               {EXIT_SIGNAL, SIGKILL, false, true}};

    (void)state;
    for (int recycled = 0; recycled < 2; recycled++) {
        struct fixture f;
        struct persist_area area;
        struct persist_record r;
        pid_t pid, command;
        begin(&f, make_conf());
        be(f.s, SERVICE_RUNNING, 12, 0, 0);
        save(&f);
        area = area_of(&f.memory);
        persist_exit(&area, f.s, &died[recycled], 0, 0);
        r = crash(&f, (struct persist_world){.pid_is_ours = recycled});
        persist_ended(&r, &pid, &command);
        assert_int_equal(pid, 12);
        assert_int_equal(command, 0);
        assert_int_equal(r.leader, 12);
        assert_int_equal(f.s->state, SERVICE_STOPPING);
        assert_int_equal(f.s->cause, CAUSE_EXIT);
        assert_int_equal(f.s->pid, 0);
        assert_int_equal(f.s->last_exit.how, EXIT_SIGNAL);
        assert_int_equal(f.s->last_exit.number, died[recycled].number);
        assert_int_equal(f.s->last_exit.core, died[recycled].core);
        assert_int_equal(f.s->last_exit.oom, died[recycled].oom);
        end(&f);
    }
}

static void failed_exec_written_ahead_is_told(void **state)
{
    struct fixture f;
    struct persist_area area = area_of(&f.memory);
    struct service_exit code = {.how = EXIT_CODE, .number = 127};

    (void)state;
    begin(&f, make_conf());
    be(f.s, SERVICE_STARTING, 12, 0, 0);
    persist_exit(&area, f.s, &code, 2, 7);
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
    save(&f);
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
        struct persist_area area = area_of(&f.memory);
        begin(&f, make_conf_with_stop());
        be(f.s, SERVICE_STOPPING, 12, 13, STEP_COMMAND);
        save(&f);
        if (written)
            persist_command_ended(&area, f.s, 0);
        crash(&f, (struct persist_world){.pid_is_ours = true, .command_is_ours = written});
        assert_int_equal(f.s->command, 0);
        assert_int_equal(f.s->step, STEP_SIGNAL);
        assert_int_equal(f.s->pending, ACTION_SIGNAL);
        end(&f);
    }
}

/* Its number still names what it left behind. */
static void dead_leader_is_kept(void **state)
{
    (void)state;
    for (pid_t leader = 0; leader <= 12; leader += 12) {
        struct fixture f;
        struct persist_record r;
        begin(&f, make_conf());
        be(f.s, SERVICE_STOPPING, 0, 0, STEP_SIGNAL);
        f.s->members = 1;
        f.leader = leader;
        save(&f);
        r = crash(&f, (struct persist_world){0});
        assert_int_equal(r.leader, leader);
        assert_int_equal(f.s->state, SERVICE_STOPPING);
        end(&f);
    }
}

/* It has named another main process: its number is still that of its session. */
static void leader_outlives_its_office(void **state)
{
    static const struct service_exit died = {EXIT_CODE, 0, false, false};

    (void)state;
    for (int ended = 0; ended < 2; ended++) {
        struct fixture f;
        struct persist_area area = area_of(&f.memory);
        struct persist_record r;
        begin(&f, make_conf());
        be(f.s, SERVICE_RUNNING, 12, 0, 0);
        f.s->executed = true;
        f.leader = 12;
        save(&f);
        engine_event(&f.engine, f.s, EVENT_MAIN, 4000, &(struct engine_fact){.pid = 34});
        save(&f);
        if (ended)
            persist_exit(&area, f.s, &died, 0, 0);
        r = crash(&f, (struct persist_world){.pid_is_ours = true});
        assert_int_equal(r.pid, 34);
        assert_int_equal(r.leader, 12);
        assert_int_equal(f.s->pid, ended ? 0 : 34);
        assert_true(f.s->adopted);
        end(&f);
    }
}

/* Who leaves by itself gets no signal for that after a crash either. */
static void leaving_goes_on(void **state)
{
    struct fixture f;
    enum service_action what;

    (void)state;
    begin(&f, make_conf_with_stop());
    be(f.s, SERVICE_RUNNING, 12, 0, 0);
    f.s->executed = true;
    f.leader = 12;
    engine_event(&f.engine, f.s, EVENT_LEAVING, 4000, NULL);
    save(&f);
    crash(&f, (struct persist_world){.pid_is_ours = true});
    assert_true(f.s->by_itself);
    assert_null(engine_next_action(&f.engine, &what));
    engine_expire(&f.engine, f.s->deadline);
    assert_ptr_equal(engine_next_action(&f.engine, &what), f.s);
    assert_int_equal(what, ACTION_SIGNAL);
    assert_int_equal(service_stop_signal(f.s), SIGINT);
    end(&f);
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
    save(&f);
    crash(&f, (struct persist_world){.pid_is_ours = true});
    assert_ptr_equal(engine_peek_action(&f.engine), f.s);
    assert_ptr_equal(engine_next_action(&f.engine, &what), f.s);
    assert_int_equal(what, ACTION_SIGNAL);
    assert_null(engine_peek_action(&f.engine));
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
        save(&f);
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
        cmocka_unit_test(bytes_that_are_no_undo_are_refused),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(torn_writes_cost_only_themselves),
        cmocka_unit_test(torn_first_write_leaves_none),
        cmocka_unit_test(torn_write_is_undone_by_the_next),
        cmocka_unit_test(undo_of_a_slot_that_is_not_there_is_nothing),
        cmocka_unit_test(cleared_slots_stay_empty),
        cmocka_unit_test(overwriting_may_end_anywhere),
        cmocka_unit_test(writing_an_exit_may_end_anywhere),
        cmocka_unit_test(first_write_may_end_anywhere),
        cmocka_unit_test(clearing_may_end_anywhere),
        cmocka_unit_test(fork_not_yet_decided_is_done_once),
        cmocka_unit_test(intended_fork_is_found_or_done),
        cmocka_unit_test(intended_command_is_found_or_done),
        cmocka_unit_test(living_process_is_taken_over),
        cmocka_unit_test(exit_written_ahead_is_told),
        cmocka_unit_test(failed_exec_written_ahead_is_told),
        cmocka_unit_test(vanished_process_is_lost),
        cmocka_unit_test(ended_command_is_told),
        cmocka_unit_test(dead_leader_is_kept),
        cmocka_unit_test(leader_outlives_its_office),
        cmocka_unit_test(leaving_goes_on),
        cmocka_unit_test(undone_signal_is_sent),
        cmocka_unit_test(step_is_cut_to_the_conf),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
