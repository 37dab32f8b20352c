/* The table, cell by cell: every event in every state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "make.h"
#include "tend/engine.h"

/* What a cell does:
 *   x         impossible: counted and told, nothing changes
 *   =         nothing changes
 *   .         the state stays, something is noted
 *   wanted, unwanted, again     only that wish
 *   +sweep    the state stays, and this is to be done
 *   running   this state is entered; stopping+signal: and this is to be done
 *
 * A wanted process at the beginning; what it starts from is in begin(). */
/* clang-format off */
static const char *const cells[EVENT_COUNT][SERVICE_STATE_COUNT] = {
/*                          DOWN       PENDING           STARTING           RUNNING            DONE        STOPPING        KILLING         STUCK       BACKOFF    FAILED */
    [EVENT_UP]            = {"pending", "=",              "wanted",          "wanted",          "wanted",   "wanted",       "wanted",       "wanted",   "pending", "pending"},
    [EVENT_DOWN]          = {"=",       "down",           "unwanted",        "unwanted",        "unwanted", "unwanted",     "unwanted",     "unwanted", "down",    "down"},
    [EVENT_AGAIN]         = {"pending", "=",              "again",           "again",           "again",    "again",        "again",        "again",    "pending", "pending"},
    [EVENT_CLEAR]         = {"x",       "starting+spawn", "x",               "x",               "x",        "x",            "x",            "x",        "x",       "x"},
    [EVENT_QUIET]         = {"=",       "=",              "stopping+signal", "stopping+signal", "pending",  "=",            "=",            "=",        "=",       "="},
    [EVENT_FORKED]        = {"x",       "x",              ".",               "x",               "x",        "x",            "x",            "x",        "x",       "x"},
    [EVENT_NO_FORK]       = {"x",       "x",              "backoff",         "x",               "x",        "x",            "x",            "x",        "x",       "x"},
    [EVENT_EXEC_OK]       = {"x",       "x",              "running",         ".",               "x",        ".",            ".",            ".",        "x",       "x"},
    [EVENT_READY]         = {"x",       "x",              "running",         "=",               "x",        "=",            "=",            "=",        "x",       "x"},
    [EVENT_MAIN]          = {"x",       "x",              ".",               ".",               "x",        ".",            "=",            "=",        "x",       "x"},
    [EVENT_EXTEND]        = {"x",       "x",              ".",               "=",               "x",        ".",            "=",            "=",        "x",       "x"},
    [EVENT_LEAVING]       = {"x",       "x",              "stopping",        "stopping",        "x",        "=",            "=",            "=",        "x",       "x"},
    [EVENT_SIGNALLED]     = {"x",       "x",              "x",               "x",               "x",        ".",            ".",            "x",        "x",       "x"},
    [EVENT_COMMAND]       = {"x",       "x",              "x",               "x",               "x",        ".",            "x",            "x",        "x",       "x"},
    [EVENT_COMMAND_ENDED] = {"x",       "x",              "x",               "x",               "x",        ".",            ".",            ".",        "x",       "x"},
    [EVENT_EXITED]        = {"x",       "x",              "stopping+signal", "stopping+signal", "x",        "+sweep",       ".",            ".",        "x",       "x"},
    [EVENT_GONE]          = {"x",       "x",              "x",               "x",               "x",        "backoff",      "backoff",      "backoff",  "x",       "x"},
    [EVENT_FAULT]         = {"x",       "x",              "stopping+signal", "stopping+signal", "x",        "=",            "=",            "x",        "x",       "x"},
    [EVENT_HURRY]         = {"x",       "x",              "x",               "x",               "x",        "killing+kill", "=",            "=",        "x",       "x"},
    [EVENT_DEADLINE]      = {"x",       "x",              "stopping+signal", "stays",           "x",        "killing+kill", "stuck+stuck",  "x",        "pending", "x"},
};
/* clang-format on */

static const char *action_name(unsigned bit)
{
    switch ((enum service_action)(1u << bit)) {
    case ACTION_SPAWN:
        return "spawn";
    case ACTION_COMMAND:
        return "command";
    case ACTION_COMMAND_END:
        return "command-end";
    case ACTION_SIGNAL:
        return "signal";
    case ACTION_SWEEP:
        return "sweep";
    case ACTION_KILL:
        return "kill";
    case ACTION_NAME_STUCK:
        return "stuck";
    case ACTION_FREE:
        return "free";
    }
    return "?";
}

/* ---- one cell ---- */

static struct engine engine;
static struct engine_change told[4];
static size_t n_told;

static void changed(void *self, const struct engine_change *c)
{
    assert_ptr_equal(self, &engine);
    assert_true(n_told < ARRAY_SIZE(told));
    told[n_told++] = *c;
}

static bool has_process(enum service_state state)
{
    return state == SERVICE_STARTING || state == SERVICE_RUNNING || state == SERVICE_STOPPING ||
           state == SERVICE_KILLING || state == SERVICE_STUCK;
}

/* A service in this state as it may be met there, alone in the engine. */
static struct service *begin(enum service_state state)
{
    struct conf *c = make_conf("web", NULL, NULL, NULL);
    struct service *s;

    engine_init(&engine, changed, &engine);
    s = graph_add(&engine.graph, c);
    assert_int_equal(graph_link(&engine.graph), 0);
    n_told = 0;
    s->fresh = false;
    s->state = state;
    s->wanted = state != SERVICE_DOWN;
    s->ready = state == SERVICE_RUNNING;
    s->pid = has_process(state) ? 100 : 0;
    s->generation = 1;
    s->since = s->started = 500;
    s->stop_began = 600;
    s->start_by = state == SERVICE_STARTING ? 90500 : NEVER;
    s->deadline = state == SERVICE_BACKOFF ? 1000 : state == SERVICE_STOPPING ? 5000 : NEVER;
    s->tries.failures = state == SERVICE_RUNNING || state == SERVICE_FAILED;
    s->step = STEP_SIGNAL;
    return s;
}

/* What has to be so that the event can be told at all. */
static void before(struct service *s, enum engine_event event)
{
    if (event == EVENT_UP && s->state > SERVICE_PENDING && s->state < SERVICE_BACKOFF)
        s->wanted = false;
    if (event == EVENT_FORKED || event == EVENT_NO_FORK || event == EVENT_GONE)
        s->pid = 0;
    if (event == EVENT_GONE) {
        s->cause = CAUSE_EXIT;
        s->last_exit = (struct service_exit){.how = EXIT_CODE, .number = 1};
    }
    if (event == EVENT_COMMAND_ENDED)
        s->command = 200;
    if (event == EVENT_MAIN || event == EVENT_LEAVING)
        s->executed = true;
    if (event == EVENT_DEADLINE)
        s->deadline = NEVER;
}

/* "pending", "stopping+signal", "+sweep", "." */
static void describe(const struct service *s, const struct service *was, char *text)
{
    if (s->state != was->state)
        strcpy(text, service_state_name(s->state));
    else
        strcpy(text, s->pending ? "" : ".");
    for (unsigned bit = 0; bit < 8; bit++)
        if (s->pending & 1u << bit)
            sprintf(text + strlen(text), "+%s", action_name(bit));
}

static bool is_same(const struct service *s, struct service *as)
{
    as->queued = s->queued;
    memcpy(as->next, s->next, sizeof as->next);
    return memcmp(s, as, sizeof *s) == 0;
}

/* What a word for a cell without a change of state promises, as a service. */
static bool promise(const char *cell, struct service *s)
{
    if (!strcmp(cell, "wanted"))
        s->wanted = true;
    else if (!strcmp(cell, "unwanted"))
        s->wanted = s->again = false;
    else if (!strcmp(cell, "again"))
        s->wanted = s->again = true;
    else if (!strcmp(cell, "stays"))
        s->tries = (struct tries){0};
    else
        return !strcmp(cell, "=") || !strcmp(cell, "x");
    return true;
}

static void assert_told(const char *cell, enum service_state from, const struct service *s,
                        enum engine_event event)
{
    bool impossible = !strcmp(cell, "x");

    assert_int_equal(engine.impossible, impossible);
    assert_int_equal(n_told, impossible || s->state != from);
    if (!n_told)
        return;
    assert_ptr_equal(told[0].service, s);
    assert_int_equal(told[0].impossible, impossible);
    assert_int_equal(told[0].from, from);
    assert_int_equal(told[0].to, s->state);
    assert_int_equal(told[0].now, 1000);
    if (impossible)
        assert_int_equal(told[0].event, event);
}

static size_t check_cell(enum service_state state, enum engine_event event)
{
    const char *cell = cells[event][state];
    struct engine_fact fact = {.pid = 100, .exit = {.how = EXIT_CODE, .number = 1}, .wait = 100000};
    struct service *s = begin(state), was;
    char text[64];
    size_t wrong;

    before(s, event);
    was = *s;
    engine_event(&engine, s, event, 1000, &fact);
    describe(s, &was, text);
    if (cell && promise(cell, &was))
        wrong = !is_same(s, &was);
    else
        wrong = !cell || strcmp(cell, text) != 0 || is_same(s, &was);
    if (wrong)
        print_error("%s in %s: expected \"%s\", got \"%s\"\n", engine_event_name(event),
                    service_state_name(state), cell ? cell : "(an empty cell)", text);
    else
        assert_told(cell, state, s, event);
    engine_free(&engine);
    return wrong;
}

static void test_table(void **state)
{
    size_t wrong = 0;

    (void)state;
    for (int event = 0; event < EVENT_COUNT; event++)
        for (int s = 0; s < SERVICE_STATE_COUNT; s++)
            wrong += check_cell((enum service_state)s, (enum engine_event)event);
    assert_int_equal(wrong, 0);
}

/* The two promises that the table makes visible. */
static void test_one_cell_spawns(void **state)
{
    size_t spawns = 0, kills = 0;

    (void)state;
    for (int event = 0; event < EVENT_COUNT; event++)
        for (int s = 0; s < SERVICE_STATE_COUNT; s++) {
            spawns += strstr(cells[event][s], "+spawn") != NULL;
            kills += strstr(cells[event][s], "+kill") != NULL;
        }
    assert_int_equal(spawns, 1);
    assert_int_equal(kills, 2);
}

static void test_event_names(void **state)
{
    (void)state;
    for (int i = 0; i < EVENT_COUNT; i++) {
        const char *name = engine_event_name((enum engine_event)i);
        assert_true(name && *name);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(name, engine_event_name((enum engine_event)k));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_one_cell_spawns),
        cmocka_unit_test(test_event_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
