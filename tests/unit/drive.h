/* A driver for the engine with a clock that is a number and processes that are two of them: what
 * the engine asks for is written to a trace, "db:spawn web:TERM"; what happens is told by the test.
 * Needs cmocka.h before it. */
#ifndef TEND_TEST_DRIVE_H
#define TEND_TEST_DRIVE_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "make.h"
#include "tend/engine.h"
#include "tend/units.h"

enum { DRIVE_SLOTS = 64, DRIVE_TRACE = 4096 };

struct drive {
    struct engine e;
    msec now;
    pid_t next_pid;
    unsigned left[DRIVE_SLOTS]; /* members beside the main process, by slot */
    bool silent;                /* a new process does not execute by itself */
    bool no_fork, no_command;   /* no process can be made */
    char trace[DRIVE_TRACE];
    char changes[DRIVE_TRACE]; /* "web:down>pending" */
};

static struct drive d;

static inline void drive_note(char *to, const char *name, const char *what)
{
    assert_true(strlen(to) + strlen(name) + strlen(what) + 3 < DRIVE_TRACE);
    sprintf(to + strlen(to), "%s%s:%s", *to ? " " : "", name, what);
}

static inline void drive_changed(void *self, const struct engine_change *c)
{
    char text[64];

    assert_ptr_equal(self, &d);
    if (c->impossible)
        fail_msg("%s: %s in %s", service_name(c->service), engine_event_name(c->event),
                 service_state_name(c->from));
    assert_int_equal(c->now, d.now);
    assert_int_equal(c->to, c->service->state);
    snprintf(text, sizeof text, "%s>%s", service_state_name(c->from), service_state_name(c->to));
    drive_note(d.changes, service_name(c->service), text);
}

static inline int drive_setup(void **state)
{
    (void)state;
    memset(&d, 0, sizeof d);
    d.now = 1000;
    d.next_pid = 100;
    engine_init(&d.e, drive_changed, &d);
    return 0;
}

static inline int drive_teardown(void **state)
{
    (void)state;
    engine_free(&d.e);
    return 0;
}

/* ---- confs ---- */

static inline struct conf *service(const char *name)
{
    return make_conf(name, NULL, NULL, NULL);
}

static inline struct conf *needs(const char *name, const char *requires)
{
    return make_conf(name, requires, NULL, NULL);
}

static inline struct conf *oneshot(const char *name, int policy)
{
    struct conf *c = service(name);

    c->type = CONF_ONESHOT;
    c->ready.on = CONF_READY_EXIT;
    c->restart.policy = policy;
    return c;
}

static inline struct conf *prepares(struct conf *c)
{
    make_set(&c->before_start, "/bin/prepare");
    return c;
}

static inline struct conf *says_goodbye(struct conf *c)
{
    make_set(&c->stop.command, "/bin/goodbye");
    c->stop.command_timeout = 7000;
    return c;
}

static inline struct conf *manual(struct conf *c)
{
    c->start = CONF_MANUAL;
    return c;
}

/* ---- effects ---- */

static inline void drive_spawn(struct service *s)
{
    struct engine_fact fact = {.pid = d.next_pid++, .error = EAGAIN, .error_step = 3};

    assert_false(d.e.shutdown);
    assert_true(service_gone(s));
    drive_note(d.trace, service_name(s), s->preparing ? "before" : "spawn");
    engine_event(&d.e, s, d.no_fork ? EVENT_NO_FORK : EVENT_FORKED, d.now, &fact);
    if (!d.no_fork && !d.silent)
        engine_event(&d.e, s, EVENT_EXEC_OK, d.now, NULL);
}

static inline void drive_command(struct service *s)
{
    struct engine_fact fact = {.pid = d.no_command ? 0 : d.next_pid++};

    drive_note(d.trace, service_name(s), "command");
    engine_event(&d.e, s, EVENT_COMMAND, d.now, &fact);
}

static inline void drive_signal(struct service *s, const char *what)
{
    drive_note(d.trace, service_name(s), what);
    engine_event(&d.e, s, EVENT_SIGNALLED, d.now, NULL);
}

static inline void drive_action(struct service *s, enum service_action what)
{
    char name[UNITS_SIGNAL_MAX];

    switch (what) {
    case ACTION_SPAWN:
        drive_spawn(s);
        break;
    case ACTION_COMMAND:
        drive_command(s);
        break;
    case ACTION_COMMAND_END:
        drive_note(d.trace, service_name(s), "command-end");
        break;
    case ACTION_SIGNAL:
        drive_signal(s, units_signal_name(service_stop_signal(s), name));
        break;
    case ACTION_SWEEP:
        drive_note(d.trace, service_name(s), "sweep");
        break;
    case ACTION_KILL:
        drive_signal(s, "KILL");
        break;
    case ACTION_NAME_STUCK:
        drive_note(d.trace, service_name(s), "stuck");
        break;
    case ACTION_FREE:
        drive_note(d.trace, service_name(s), "free");
        engine_forget(&d.e, s);
        break;
    }
}

static inline bool drive_waits_for_its_end(const struct service *s)
{
    return s->pid == 0 && (s->state == SERVICE_STOPPING || s->state == SERVICE_KILLING ||
                           s->state == SERVICE_STUCK);
}

/* One look at who is left; whether that said GONE to anybody. */
static inline bool drive_look(void)
{
    bool any = false;

    for (size_t i = 0; i < d.e.graph.n; i++) {
        struct service *s = d.e.graph.at[i];
        enum service_state before = s ? s->state : SERVICE_DOWN;
        if (!s || !drive_waits_for_its_end(s))
            continue;
        engine_members(&d.e, s, d.left[i], d.now);
        any |= s->state != before;
    }
    return any;
}

/* Until nothing is pending. */
static inline void drive(void)
{
    enum service_action what;
    struct service *s;

    do {
        engine_settle(&d.e, d.now);
        while ((s = engine_next_action(&d.e, &what)))
            drive_action(s, what);
        engine_settle(&d.e, d.now);
    } while (d.e.queue[QUEUE_ACTION].first || drive_look());
}

/* ---- what happens ---- */

static inline struct service *get(const char *name)
{
    struct service *s = graph_find_any(&d.e.graph, name);

    if (!s)
        fail_msg("there is no %s", name);
    return s;
}

/* A new set; takes the confs. */
static inline int reload(struct conf **confs, size_t n)
{
    struct conf_set set = {.at = confs, .n = n};
    int result = engine_reload(&d.e, &set, d.now);

    for (size_t i = 0; i < n; i++)
        conf_free(set.at[i]);
    drive();
    return result;
}

#define RELOAD(...)                                                                                \
    do {                                                                                           \
        struct conf *confs_[] = {__VA_ARGS__};                                                     \
        assert_int_equal(reload(confs_, ARRAY_SIZE(confs_)), 0);                                   \
    } while (0)

static inline void tell(const char *name, enum engine_event event)
{
    engine_event(&d.e, get(name), event, d.now, NULL);
    drive();
}

/* Its main process ends, and leaves so many others. */
static inline void end(const char *name, enum exit_how how, int number, unsigned left)
{
    struct service *s = get(name);
    struct engine_fact fact = {.exit = {.how = how, .number = number}};

    assert_int_not_equal(s->pid, 0);
    d.left[s->slot] = left;
    engine_event(&d.e, s, EVENT_EXITED, d.now, &fact);
    drive();
}

static inline void leave(const char *name, int code)
{
    end(name, EXIT_CODE, code, 0);
}

static inline void die(const char *name)
{
    end(name, EXIT_SIGNAL, SIGTERM, 0);
}

/* What was left is gone too. */
static inline void all_gone(const char *name)
{
    d.left[get(name)->slot] = 0;
    drive();
}

static inline void command_ends(const char *name)
{
    tell(name, EVENT_COMMAND_ENDED);
}

/* Every deadline on the way is kept to the millisecond. */
static inline void pass(msec time)
{
    msec until = d.now + time, next;

    while ((next = engine_deadline(&d.e)) <= until) {
        d.now = next;
        engine_expire(&d.e, d.now);
        drive();
    }
    d.now = until;
}

/* ---- what is expected ---- */

/* What was asked for since the last time. */
static inline void expect(const char *trace)
{
    if (strcmp(d.trace, trace) != 0)
        fail_msg("expected \"%s\", got \"%s\"", trace, d.trace);
    d.trace[0] = '\0';
}

static inline void expect_state(const char *name, enum service_state state)
{
    struct service *s = get(name);

    if (s->state != state)
        fail_msg("%s is %s, not %s", name, service_state_name(s->state), service_state_name(state));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, drive_setup, drive_teardown)

#endif
