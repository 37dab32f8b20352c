/* F010: every change of a config under a service in every state: what the plan says, what is done
 * at once, what follows when all that is to end has ended, and where the service is then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "foretell.h"

/* ---- the confs: web is after gate; other is there to be required ---- */

static struct conf *web(void)
{
    struct conf *c = make_conf("web", NULL, NULL, "gate");

    c->restart.policy = CONF_ON_FAILURE;
    c->restart.limit = 2;
    return c;
}

static struct conf *needs_other(void)
{
    struct conf *c = web();

    make_set(&c->requires, "other");
    return c;
}

static struct conf *asked_for(void)
{
    return manual(web());
}

static struct conf *with_file(const char *line)
{
    struct conf *c = web();

    c->environment_file = strdup("/etc/web.env");
    make_set(&c->file_environment, line);
    return c;
}

static struct conf *with_old_file(void)
{
    return with_file("A=1");
}

static struct conf *with_new_file(void)
{
    return with_file("A=2");
}

static struct conf *elsewhere(void)
{
    struct conf *c = web();

    free(c->file);
    c->file = strdup("other.conf");
    c->line = 99;
    return c;
}

static struct conf *other_signal(void)
{
    struct conf *c = web();

    c->stop.signal = SIGINT;
    return c;
}

static struct conf *other_command(void)
{
    struct conf *c = web();

    make_set(&c->command, "/bin/other");
    return c;
}

static struct conf *other_user(void)
{
    struct conf *c = web();

    c->user = strdup("nobody");
    return c;
}

static struct conf *other_type(void)
{
    struct conf *c = web();

    c->type = CONF_ONESHOT;
    c->ready.on = CONF_READY_EXIT;
    return c;
}

static struct conf *other_name(void)
{
    struct conf *c = web();

    free(c->name);
    c->name = strdup("www");
    return c;
}

/* ---- every state ---- */

static void load(struct conf *c)
{
    RELOAD(c, service("gate"), service("other"));
    if (get("web")->conf->start == CONF_MANUAL)
        engine_start(&d.e, get("web"), d.now);
    drive();
}

static void become_ready(const char *name)
{
    if (get(name)->state == SERVICE_STARTING)
        tell(name, EVENT_EXEC_OK);
}

static void to_pending(struct conf *c)
{
    d.silent = true;
    load(c);
}

static void to_starting(struct conf *c)
{
    to_pending(c);
    become_ready("gate");
    become_ready("other");
}

static void to_done(struct conf *c)
{
    load(c);
    leave("web", 0);
}

static void to_down(struct conf *c)
{
    load(c);
    tell("web", EVENT_DOWN);
    leave("web", 0);
}

static void to_stopping(struct conf *c)
{
    load(c);
    end("web", EXIT_CODE, 1, 1);
}

static void to_killing(struct conf *c)
{
    to_stopping(c);
    pass(10000);
}

static void to_stuck(struct conf *c)
{
    to_killing(c);
    pass(PLAN_KILL_WAIT);
}

static void to_backoff(struct conf *c)
{
    load(c);
    leave("web", 1);
}

static void to_failed(struct conf *c)
{
    to_backoff(c);
    pass(1000);
    leave("web", 1);
}

static void (*const get_to[SERVICE_STATE_COUNT])(struct conf *) = {
    [SERVICE_DOWN] = to_down,         [SERVICE_PENDING] = to_pending,
    [SERVICE_STARTING] = to_starting, [SERVICE_RUNNING] = load,
    [SERVICE_DONE] = to_done,         [SERVICE_STOPPING] = to_stopping,
    [SERVICE_KILLING] = to_killing,   [SERVICE_STUCK] = to_stuck,
    [SERVICE_BACKOFF] = to_backoff,   [SERVICE_FAILED] = to_failed,
};

static void start_from(enum service_state state, struct conf *c)
{
    drive_setup(NULL);
    get_to[state](c);
    expect_state("web", state);
    d.silent = false;
    d.trace[0] = '\0';
}

/* All that is to end does, all that waits for gate goes on. */
static void finish(void)
{
    const struct engine_fact fact = {.exit = {.how = EXIT_SIGNAL, .number = SIGTERM}};

    for (size_t i = 0; i < d.e.graph.n; i++) {
        struct service *s = d.e.graph.at[i];
        if (!s || !service_live(s) || s->state == SERVICE_STARTING || s->state == SERVICE_RUNNING)
            continue;
        d.left[i] = 0;
        if (s->pid)
            engine_event(&d.e, s, EVENT_EXITED, d.now, &fact);
        drive();
    }
    become_ready("gate");
    become_ready("other");
}

/* ---- the matrix ---- */

/* then: when all that is to end has ended. */
struct cell {
    const char *plan, *at_once, *then, *state;
};

struct column {
    const char *name;
    struct conf *(*from)(void), *(*to)(void); /* to NULL: removed */
    bool in_two;                              /* first removed */
    struct cell cell[SERVICE_STATE_COUNT];
};

static size_t make(const struct column *column, struct conf *confs[3])
{
    size_t n = 0;

    if (column->to == elsewhere) { /* and in another order */
        confs[n++] = service("other");
        confs[n++] = service("gate");
        confs[n++] = column->to();
        return n;
    }
    if (column->to)
        confs[n++] = column->to();
    confs[n++] = service("gate");
    confs[n++] = service("other");
    return n;
}

/* Appends the state at the end; the conf in force is then the new one, where it is another. */
static void look_at_end(const struct column *column, const struct conf *given, char *text)
{
    const struct service *s = graph_find_any(&d.e.graph, column->to == other_name ? "www" : "web");

    sprintf(text + strlen(text), "%s", s ? service_state_name(s->state) : "none");
    assert_true((s != NULL) == (column->to != NULL));
    if (!s)
        return;
    assert_false(s->doomed || s->again);
    assert_null(s->next_conf);
    assert_null(s->predecessor);
    if (*planned)
        assert_ptr_equal(s->conf, given);
}

static void go_through(const struct column *column, char *text)
{
    struct conf *confs[3];
    const struct conf *given;
    size_t n;

    if (column->in_two)
        RELOAD(service("gate"), service("other"));
    d.trace[0] = '\0';
    n = make(column, confs);
    given = confs[0];
    plan(confs, n);
    assert_int_equal(reload(confs, n), 0);
    assert_true(*planned || is_as_before());
    sprintf(text, "%s | %s | ", planned, d.trace);
    d.trace[0] = '\0';
    finish();
    sprintf(text + strlen(text), "%s | ", d.trace);
    look_at_end(column, given, text);
}

/* clang-format off */
/* Nothing that runs is touched. */
#define IN_PLACE(plan)                                                                             \
    [SERVICE_PENDING] = {plan, "", "web:spawn", "running"},                                        \
    [SERVICE_STARTING] = {plan, "", "", "starting"}, [SERVICE_RUNNING] = {plan, "", "", "running"}, \
    [SERVICE_DONE] = {plan, "", "", "done"}, [SERVICE_STOPPING] = {plan, "", "", "backoff"},       \
    [SERVICE_KILLING] = {plan, "", "", "backoff"}, [SERVICE_STUCK] = {plan, "", "", "backoff"},    \
    [SERVICE_BACKOFF] = {plan, "", "", "backoff"}, [SERVICE_FAILED] = {plan, "", "", "failed"}
/* A new start is needed. up: the state of one that has just started. */
#define RENEWED(key, up)                                                                           \
    [SERVICE_DOWN] = {"change web" key, "", "", "down"},                                           \
    [SERVICE_PENDING] = {"change web" key, "", "web:spawn", up},                                   \
    [SERVICE_STARTING] = {"restart web" key, "web:TERM", "web:sweep web:spawn", up},               \
    [SERVICE_RUNNING] = {"restart web" key, "web:TERM", "web:sweep web:spawn", up},                \
    [SERVICE_DONE] = {"restart web" key, "web:spawn", "", up},                                     \
    [SERVICE_STOPPING] = {"restart web" key, "", "web:spawn", up},                                 \
    [SERVICE_KILLING] = {"restart web" key, "", "web:spawn", up},                                  \
    [SERVICE_STUCK] = {"restart web" key, "", "web:spawn", up},                                    \
    [SERVICE_BACKOFF] = {"start web" key, "web:spawn", "", up},                                    \
    [SERVICE_FAILED] = {"start web" key, "web:spawn", "", up}

static const struct column columns[] = {
    {.name = "nothing", .from = web, .to = web,
     .cell = {[SERVICE_DOWN] = {"", "", "", "down"}, IN_PLACE("")}},
    {.name = "the place and the order", .from = web, .to = elsewhere,
     .cell = {[SERVICE_DOWN] = {"", "", "", "down"}, IN_PLACE("")}},
    {.name = "a policy", .from = web, .to = other_signal,
     .cell = {[SERVICE_DOWN] = {"change web stop.signal", "", "", "down"}, IN_PLACE("change web stop.signal")}},
    {.name = "the command", .from = web, .to = other_command,
     .cell = {RENEWED(" command", "running")}},
    {.name = "the user", .from = web, .to = other_user,
     .cell = {RENEWED(" user", "running")}},
    {.name = "a requirement comes", .from = web, .to = needs_other,
     .cell = {[SERVICE_DOWN] = {"change web requires", "", "", "down"}, IN_PLACE("change web requires")}},
    {.name = "a requirement goes", .from = needs_other, .to = web,
     .cell = {[SERVICE_DOWN] = {"change web requires", "", "", "down"}, IN_PLACE("change web requires")}},
    {.name = "the type", .from = web, .to = other_type,
     .cell = {RENEWED(" type", "starting")}},
    {.name = "it is removed", .from = web, .to = NULL,
     .cell = {
         [SERVICE_DOWN] = {"forget web", "web:free", "", "none"},
         [SERVICE_PENDING] = {"forget web", "web:free", "", "none"},
         [SERVICE_STARTING] = {"stop web", "web:TERM", "web:sweep web:free", "none"},
         [SERVICE_RUNNING] = {"stop web", "web:TERM", "web:sweep web:free", "none"},
         [SERVICE_DONE] = {"forget web", "web:free", "", "none"},
         [SERVICE_STOPPING] = {"stop web", "", "web:free", "none"},
         [SERVICE_KILLING] = {"stop web", "", "web:free", "none"},
         [SERVICE_STUCK] = {"stop web", "", "web:free", "none"},
         [SERVICE_BACKOFF] = {"forget web", "web:free", "", "none"},
         [SERVICE_FAILED] = {"forget web", "web:free", "", "none"},
     }},
    {.name = "it is removed, and comes back", .from = web, .to = web, .in_two = true,
     .cell = {
         [SERVICE_DOWN] = {"start web", "web:spawn", "", "running"},
         [SERVICE_PENDING] = {"start web", "", "web:spawn", "running"},
         [SERVICE_STARTING] = {"start web", "", "web:sweep web:free web:spawn", "running"},
         [SERVICE_RUNNING] = {"start web", "", "web:sweep web:free web:spawn", "running"},
         [SERVICE_DONE] = {"start web", "web:spawn", "", "running"},
         [SERVICE_STOPPING] = {"start web", "", "web:free web:spawn", "running"},
         [SERVICE_KILLING] = {"start web", "", "web:free web:spawn", "running"},
         [SERVICE_STUCK] = {"start web", "", "web:free web:spawn", "running"},
         [SERVICE_BACKOFF] = {"start web", "web:spawn", "", "running"},
         [SERVICE_FAILED] = {"start web", "web:spawn", "", "running"},
     }},
    {.name = "its name", .from = web, .to = other_name,
     .cell = {
         [SERVICE_DOWN] = {"forget web, start www", "web:free www:spawn", "", "running"},
         [SERVICE_PENDING] = {"forget web, start www", "web:free", "www:spawn", "running"},
         [SERVICE_STARTING] = {"stop web, start www", "web:TERM www:spawn", "web:sweep web:free", "running"},
         [SERVICE_RUNNING] = {"stop web, start www", "web:TERM www:spawn", "web:sweep web:free", "running"},
         [SERVICE_DONE] = {"forget web, start www", "web:free www:spawn", "", "running"},
         [SERVICE_STOPPING] = {"stop web, start www", "www:spawn", "web:free", "running"},
         [SERVICE_KILLING] = {"stop web, start www", "www:spawn", "web:free", "running"},
         [SERVICE_STUCK] = {"stop web, start www", "www:spawn", "web:free", "running"},
         [SERVICE_BACKOFF] = {"forget web, start www", "web:free www:spawn", "", "running"},
         [SERVICE_FAILED] = {"forget web, start www", "web:free www:spawn", "", "running"},
     }},
    {.name = "manual to auto", .from = asked_for, .to = web,
     .cell = {[SERVICE_DOWN] = {"start web start", "web:spawn", "", "running"}, IN_PLACE("change web start")}},
    {.name = "auto to manual", .from = web, .to = asked_for,
     .cell = {[SERVICE_DOWN] = {"change web start", "", "", "down"}, IN_PLACE("change web start")}},
    {.name = "the content of a file", .from = with_old_file, .to = with_new_file,
     .cell = {RENEWED("", "running")}},
};
/* clang-format on */

static bool is_wrong(const struct column *column, enum service_state state)
{
    const struct cell *c = &column->cell[state];
    char text[2 * DRIVE_TRACE], expected[DRIVE_TRACE];

    start_from(state, column->from());
    go_through(column, text);
    drive_teardown(NULL);
    snprintf(expected, sizeof expected, "%s | %s | %s | %s", c->plan, c->at_once, c->then,
             c->state);
    if (!strcmp(text, expected))
        return false;
    print_error("%s while %s: \"%s\", not \"%s\"\n", column->name, service_state_name(state), text,
                expected);
    return true;
}

static void test_matrix(void **unused)
{
    unsigned wrong = 0;

    (void)unused;
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
        for (int state = 0; state < SERVICE_STATE_COUNT; state++)
            wrong += is_wrong(&columns[i], (enum service_state)state);
    assert_int_equal(wrong, 0);
}

/* F032: what needs no new start never makes one, and is in force. */
static void test_a_thousand_times(void **unused)
{
    (void)unused;
    RELOAD(web(), service("gate"), service("other"));
    d.trace[0] = '\0';
    for (int i = 0; i < 1000; i++) {
        struct conf *c = i % 2 ? elsewhere() : other_signal();
        c->stop.grace = i;
        c->restart.policy = i % 3 ? CONF_ALWAYS : CONF_NEVER_AGAIN;
        RELOAD(service("other"), c, service("gate"));
        assert_ptr_equal(get("web")->conf, c);
    }
    expect("");
    assert_int_equal(get("web")->generation, 1);
    leave("web", 1);
    expect("web:TERM");                  /* to what it may have left */
    expect_state("web", SERVICE_FAILED); /* never again */
}

/* ---- all or nothing ---- */

/* Byte for byte, in every state, whenever memory runs out. */
static void test_without_memory(void **unused)
{
    (void)unused;
    for (int state = 0; state < SERVICE_STATE_COUNT; state++) {
        int left = 0, result;
        start_from((enum service_state)state, web());
        take_image(&before);
        do {
            struct conf *confs[] = {changed(needs_other()), service("other"), needs("new", "web")};
            allowed = left++;
            result = reload(confs, ARRAY_SIZE(confs));
            allowed = -1;
            assert_true(result == 0 || is_as_before());
        } while (result);
        assert_true(left > 8);
        assert_false(is_as_before());
        drive_teardown(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix),
        TEST(test_a_thousand_times),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
