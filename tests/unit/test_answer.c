/* Records of services through whole lives, the longest that there can be, and what is waited for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drive.h"
#include "tend/answer.h"

static char buf[ANSWER_MAX];

static struct text empty(void)
{
    buf[0] = '\0';
    return (struct text){buf, 0, sizeof buf};
}

static void expect_more(const char *name, const struct answer_more *more, const char *line)
{
    struct text t = empty();

    answer_service(&t, get(name), d.e.shutdown, more, d.now);
    assert_string_equal(buf, line);
    assert_int_equal(t.n, strlen(buf));
}

static void expect_service(const char *name, const char *line)
{
    expect_more(name, &(struct answer_more){.step = "exec"}, line);
}

static void expect_reached(const char *name, enum request_goal goal, enum answer_reached expected,
                           const char *why)
{
    struct text t = empty();
    struct service *s = graph_find_any(&d.e.graph, name);
    enum answer_reached reached = answer_reached(s, goal, d.e.shutdown, &t);

    if (reached != expected)
        fail_msg("%s: goal %d is %d: %s", name, (int)goal, (int)reached, buf);
    assert_string_equal(buf, why);
}

static void expect_not_yet(const char *name, enum request_goal goal)
{
    expect_reached(name, goal, ANSWER_NOT_YET, "");
}

static void expect_yes(const char *name, enum request_goal goal)
{
    expect_reached(name, goal, ANSWER_YES, "");
}

static void expect_never(const char *name, enum request_goal goal, const char *why)
{
    expect_reached(name, goal, ANSWER_NEVER, why);
}

static void expect_waits_for(const char *name, const char *other, bool vain)
{
    bool in_vain = !vain;
    const struct service *s = answer_waits_for(get(name), d.e.shutdown, &in_vain);

    assert_string_equal(s ? service_name(s) : "nobody", other);
    assert_int_equal(in_vain, vain);
}

static struct conf *once(struct conf *c)
{
    c->restart.policy = CONF_NEVER_AGAIN;
    return c;
}

/* ---- services ---- */

static void test_life(void **state)
{
    struct conf *c = service("web");

    (void)state;
    c->main = true;
    c->description = strdup("the \"front\\end\", \xc3\xa9");
    c->stop.grace = 8000;
    d.silent = true;
    RELOAD(c);
    pass(30);
    expect_service("web", "service name=web type=process start=auto main=1 state=starting wanted=1 "
                          "pid=100 for=30 up=30 next=89970 "
                          "description=the\\x20\"front\\x5cend\",\\x20\\xc3\\xa9\n");
    free(c->description);
    c->description = NULL;
    tell("web", EVENT_EXEC_OK);
    pass(5000);
    expect_service("web", "service name=web type=process start=auto main=1 state=running ready=1 "
                          "wanted=1 pid=100 for=5000 up=5030\n");
    tell("web", EVENT_AGAIN);
    pass(1000);
    expect_service("web", "service name=web type=process start=auto main=1 state=stopping wanted=1 "
                          "again=1 pid=100 for=1000 up=6030 cause=restart next=7000\n");
    end("web", EXIT_SIGNAL, SIGTERM, 3);
    expect_service("web", "service name=web type=process start=auto main=1 state=stopping wanted=1 "
                          "again=1 for=1000 killed_by=TERM cause=restart next=7000 members=3\n");
    pass(7000);
    expect_service("web", "service name=web type=process start=auto main=1 state=killing wanted=1 "
                          "again=1 killed_by=TERM cause=restart next=5000 members=3\n");
    all_gone("web");
    expect_service("web", "service name=web type=process start=auto main=1 state=starting wanted=1 "
                          "pid=101 restarts=1 next=90000\n");
    tell("web", EVENT_DOWN);
    leave("web", 0);
    pass(5);
    expect_service("web", "service name=web type=process start=auto main=1 state=down for=5 "
                          "restarts=1 exit=0 cause=request\n");
}

static void test_never_started(void **state)
{
    (void)state;
    RELOAD(manual(oneshot("job", CONF_NEVER_AGAIN)));
    pass(100);
    expect_service("job", "service name=job type=oneshot start=manual state=down\n");
}

static void test_oneshot(void **state)
{
    (void)state;
    RELOAD(prepares(oneshot("job", CONF_NEVER_AGAIN)));
    pass(10);
    expect_service("job", "service name=job type=oneshot start=auto state=starting wanted=1 "
                          "pid=100 process=before_start for=10 up=10 next=89990\n");
    leave("job", 0);
    leave("job", 0);
    expect_service("job", "service name=job type=oneshot start=auto state=done ready=1 wanted=1 "
                          "exit=0 cause=exit\n");
}

static void test_failures(void **state)
{
    struct conf *c = service("web");

    (void)state;
    c->restart.limit = 2;
    c->restart.delay = 3000;
    c->restart.window = 50000;
    RELOAD(c);
    pass(1000);
    leave("web", 3);
    expect_service("web", "service name=web type=process start=auto state=backoff wanted=1 "
                          "failures=1 exit=3 cause=exit next=2000\n");
    pass(2000);
    expect_service("web", "service name=web type=process start=auto state=running ready=1 wanted=1 "
                          "pid=101 restarts=1 failures=1\n");
    get("web")->last_exit = (struct service_exit){0};
    end("web", EXIT_SIGNAL, SIGSEGV, 0);
    get("web")->last_exit.core = true;
    expect_service("web", "service name=web type=process start=auto state=failed wanted=1 "
                          "restarts=1 failures=1 killed_by=SEGV core=1 cause=exit limit=2 "
                          "window=50000\n");
    get("web")->conf->restart.limit = 0; /* since, by a reload */
    expect_service("web", "service name=web type=process start=auto state=failed wanted=1 "
                          "restarts=1 failures=1 killed_by=SEGV core=1 cause=exit\n");
}

static void test_failed_without_limit(void **state)
{
    (void)state;
    RELOAD(once(service("web")));
    end("web", EXIT_LOST, 0, 0);
    expect_service("web", "service name=web type=process start=auto state=failed wanted=1 "
                          "exit=lost cause=exit\n");
}

static void test_no_fork(void **state)
{
    (void)state;
    d.no_fork = true;
    RELOAD(service("web"));
    expect_service("web", "service name=web type=process start=auto state=backoff wanted=1 "
                          "cause=fork errno=11 step=exec next=1000\n");
}

static void test_changed(void **state)
{
    struct conf *c = service("web");

    (void)state;
    RELOAD(service("web"));
    make_set(&c->command, "/bin/other");
    RELOAD(c);
    expect_service("web", "service name=web type=process start=auto state=stopping wanted=1 "
                          "again=1 changed=1 pid=100 cause=restart next=10000\n");
}

#define WEB "service name=web type=process start=auto state=running ready=1 wanted=1 pid=100"

static void test_what_it_says(void **state)
{
    struct conf *c = service("web");

    (void)state;
    c->description = strdup("front end");
    RELOAD(c);
    expect_more("web", &(struct answer_more){0}, WEB " description=front\\x20end\n");
    expect_more("web", &(struct answer_more){.status = ""}, WEB " description=front\\x20end\n");
    expect_more(
        "web",
        &(struct answer_more){
            .status = "3 of 5, \xc3\xa9 \\x0a", .error = 111, .reloading = true, .watchdog = 10000},
        WEB " description=front\\x20end status=3\\x20of\\x205,\\x20\\xc3\\xa9\\x20\\x5cx0a "
            "notify_errno=111 reloading=1 watchdog=10000\n");
}

static void test_health(void **state)
{
    (void)state;
    RELOAD(service("web"));
    expect_more("web", &(struct answer_more){.unhealthy = true, .failures = 3}, WEB "\n");
    expect_more("web", &(struct answer_more){.probed = true}, WEB " health=well\n");
    expect_more("web",
                &(struct answer_more){.probed = true, .failures = 2, .fault = "HTTP status 503"},
                WEB " health=failing health_failures=2 health_fault=HTTP\\x20status\\x20503\n");
    expect_more(
        "web",
        &(struct answer_more){.probed = true, .unhealthy = true, .failures = 3, .fault = "exit 1"},
        WEB " health=unhealthy health_failures=3 health_fault=exit\\x201\n");
    expect_more("web", &(struct answer_more){.fault = "connection refused"},
                WEB " health_fault=connection\\x20refused\n");
}

static void test_ready_on(void **state)
{
    struct conf *c = service("web");

    (void)state;
    RELOAD(c);
    c->ready.fd = 5;
    c->ready.on = CONF_READY_NOTIFY;
    expect_service("web", WEB " ready_on=notify\n");
    c->ready.on = CONF_READY_FD;
    expect_service("web", WEB " ready_on=fd ready_fd=5\n");
    c->ready.on = CONF_READY_COMMAND;
    expect_service("web", WEB " ready_on=command\n");
    c->ready.tcp = strdup("[::1]:5432");
    c->ready.local = strdup("@a b");
    c->ready.on = CONF_READY_TCP;
    expect_service("web", WEB " ready_on=tcp ready_at=[::1]:5432\n");
    c->ready.on = CONF_READY_UNIX;
    expect_service("web", WEB " ready_on=unix ready_at=@a\\x20b\n");
    c->ready.on = CONF_READY_EXEC;
    expect_service("web", WEB "\n");
}

/* A fork is dated by the end of its millisecond. */
static void test_times_are_never_negative(void **state)
{
    (void)state;
    RELOAD(service("web"));
    get("web")->started = d.now + 1;
    get("web")->since = d.now + 1;
    expect_service("web", "service name=web type=process start=auto state=running ready=1 wanted=1 "
                          "pid=100\n");
    tell("web", EVENT_DOWN);
    get("web")->deadline = d.now - 1;
    get("web")->since = d.now;
    get("web")->started = d.now;
    expect_service("web", "service name=web type=process start=auto state=stopping pid=100 "
                          "cause=request\n");
}

static void set_long(char *to, size_t n, char c)
{
    memset(to, c, n);
    to[n] = '\0';
}

/* Each field as long as it can be, whether together or not; what states exclude by turns. */
static void test_longest_service(void **state)
{
    char name[CONF_NAME_MAX + 1], other[CONF_NAME_MAX + 1], description[201];
    char status[257], fault[64], local[108];
    struct answer_more more = {"process group", status, INT32_MIN,    true, true, true,
                               UINT32_MAX,      fault,  CONF_TIME_MAX};
    struct conf *c, *old;
    struct service *s;

    (void)state;
    set_long(name, CONF_NAME_MAX, 'n');
    set_long(other, CONF_NAME_MAX, 'o');
    set_long(description, 200, '\xff');
    old = needs(name, other);
    old->description = strdup(description);
    old->type = CONF_ONESHOT;
    old->start = CONF_MANUAL;
    old->main = true;
    old->restart.limit = 1000000;
    old->restart.window = CONF_TIME_MAX;
    RELOAD(old, manual(service(other)));
    set_long(status, sizeof status - 1, '\xff');
    set_long(fault, sizeof fault - 1, '\xff');
    set_long(local, sizeof local - 1, '\xff');
    old->ready.on = CONF_READY_UNIX;
    old->ready.local = strdup(local);
    s = get(name);
    c = service(name);
    s->next_conf = c;
    s->wanted = s->again = s->ready = s->preparing = true;
    s->pid = s->command = INT32_MAX;
    s->members = s->restarts = s->tries.failures = UINT32_MAX;
    s->last_exit = (struct service_exit){EXIT_SIGNAL, INT32_MIN, true, true};
    s->error = s->error_step = INT32_MIN;
    s->since = s->started = 1;
    s->deadline = NEVER - 1;
    for (int i = 0; i < SERVICE_STATE_COUNT; i++)
        for (int cause = 0; cause < CAUSE_COUNT; cause++) {
            struct text t = empty();
            s->state = (enum service_state)i;
            s->cause = (enum service_cause)cause;
            answer_service(&t, s, false, &more, INT64_MAX / 2);
            assert_int_equal(t.n, strlen(buf));
            assert_in_range(t.n, 2800, ANSWER_MAX - 200);
            assert_int_equal(strcspn(buf, "\n"), t.n - 1);
            if (s->state == SERVICE_PENDING)
                assert_non_null(strstr(buf, " in_vain=1 "));
        }
    s->state = SERVICE_DOWN;
    s->pid = s->command = 0;
    s->members = 0;
}

/* ---- whom it waits for ---- */

static void test_waits_to_start(void **state)
{
    (void)state;
    d.silent = true;
    RELOAD(needs("web", "db cache"), service("db"), service("cache"));
    expect_waits_for("web", "db", false);
    expect_waits_for("db", "nobody", false);
    expect_service("web", "service name=web type=process start=auto state=pending wanted=1 "
                          "waits_for=db\n");
    tell("db", EVENT_EXEC_OK);
    expect_waits_for("web", "cache", false);
    tell("cache", EVENT_EXEC_OK);
    expect_waits_for("web", "nobody", false);
}

static void test_waits_in_vain(void **state)
{
    (void)state;
    RELOAD(needs("web", "app"), needs("app", "db"), once(service("db")));
    d.silent = true;
    leave("db", 1);
    die("web");
    die("app");
    expect_state("app", SERVICE_PENDING);
    expect_waits_for("web", "app", true);
    expect_waits_for("app", "db", true);
    expect_waits_for("db", "nobody", false);
    expect_service("app", "service name=app type=process start=auto state=pending wanted=1 "
                          "killed_by=TERM cause=requirement waits_for=db in_vain=1\n");
}

/* The other way round, through all that stand between. */
static void test_waits_to_stop(void **state)
{
    (void)state;
    RELOAD(needs("web", "app"), make_conf("app", NULL, "db", NULL), service("db"));
    expect_waits_for("db", "nobody", false);
    engine_shutdown(&d.e, d.now);
    drive();
    expect_waits_for("db", "app", false);
    expect_waits_for("app", "web", false);
    expect_waits_for("web", "nobody", false);
    expect_service("db", "service name=db type=process start=auto state=running ready=1 wanted=1 "
                         "pid=100 waits_for=app\n");
    die("web");
    expect_waits_for("app", "nobody", false);
    expect_waits_for("db", "app", false);
    die("app");
    expect_waits_for("db", "nobody", false);
}

/* What has ended by itself stops by its own clock, whoever is still there. */
static void test_ended_waits_for_nobody(void **state)
{
    (void)state;
    RELOAD(needs("web", "db"), service("db"));
    end("db", EXIT_CODE, 1, 1);
    tell("db", EVENT_DOWN);
    expect_state("web", SERVICE_STOPPING);
    expect_state("db", SERVICE_STOPPING);
    expect_waits_for("db", "nobody", false);
}

static void test_waits_for_its_predecessor(void **state)
{
    bool in_vain;
    const struct service *s;

    (void)state;
    RELOAD(service("web"));
    RELOAD(service("other"));
    RELOAD(service("web"), service("other"));
    expect_state("web", SERVICE_PENDING);
    s = answer_waits_for(get("web"), false, &in_vain);
    assert_non_null(s);
    assert_true(s->doomed && s != get("web"));
    assert_string_equal(service_name(s), "web");
}

/* ---- other records ---- */

static void test_edges(void **state)
{
    static const char *const lines[] = {"edge from=web to=db kind=requires\n",
                                        "edge from=web to=cache kind=wants\n",
                                        "edge from=web to=log kind=after\n"};

    (void)state;
    RELOAD(make_conf("web", "db", "cache", "log"), service("db"), service("cache"), service("log"));
    assert_int_equal(get("web")->n_needs, ARRAY_SIZE(lines));
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct text t = empty();
        answer_edge(&t, get("web"), &get("web")->needs[i]);
        assert_string_equal(buf, lines[i]);
        assert_int_equal(t.n, strlen(buf));
    }
}

static void test_records(void **state)
{
    struct history_record r = {
        .sequence = 7, .at = 81234, .kind = HISTORY_FORKED, .name = "web", .pid = 5};
    struct text t = empty();

    (void)state;
    answer_record(&t, &r);
    assert_string_equal(buf, "event seq=7 at=81234 kind=forked service=web process=main pid=5 "
                             "text=web: starting, pid 5\n");
    assert_int_equal(t.n, strlen(buf));
    r.kind = HISTORY_DEATH;
    t = empty();
    answer_record(&t, &r);
    assert_memory_equal(buf, "death seq=7 at=81234 ", 21);
    assert_int_equal(buf[t.n - 1], '\n');
}

/* What a service says is escaped once more: a client gets it back as it is. */
static void test_notes(void **state)
{
    struct history_record r = {
        .sequence = 7, .at = 5, .kind = HISTORY_STATUS, .name = "web", .what = "a \\x1b \xc3\xa9"};
    struct text t = empty();

    (void)state;
    answer_record(&t, &r);
    assert_string_equal(buf, "event seq=7 at=5 kind=status service=web "
                             "what=a\\x20\\x5cx1b\\x20\\xc3\\xa9 "
                             "text=web: says: a \\x5cx1b \\xc3\\xa9\n");
    r.kind = HISTORY_HEALTH;
    r.what[0] = '\0';
    t = empty();
    answer_record(&t, &r);
    assert_string_equal(buf, "event seq=7 at=5 kind=health service=web text=web: healthy again\n");
}

static void test_longest_record(void **state)
{
    struct history_record r = {.sequence = UINT64_MAX,
                               .at = INT64_MAX,
                               .from = SERVICE_STOPPING,
                               .to = SERVICE_STOPPING,
                               .event = EVENT_COMMAND_ENDED,
                               .cause = CAUSE_BEFORE,
                               .process = HISTORY_BEFORE,
                               .group = true,
                               .pid = INT32_MAX,
                               .number = INT32_MIN,
                               .count = UINT32_MAX,
                               .exit = {EXIT_SIGNAL, INT32_MIN, true, true},
                               .error = INT32_MIN,
                               .step = "process group",
                               .tries = UINT32_MAX,
                               .next = INT64_MIN,
                               .age = INT64_MIN};

    (void)state;
    set_long(r.name, CONF_NAME_MAX, 'n');
    set_long(r.what, HISTORY_WHAT_MAX - 1, ' ');
    for (int kind = 0; kind < HISTORY_KIND_COUNT; kind++) {
        struct text t = empty();
        r.kind = (enum history_kind)kind;
        answer_record(&t, &r);
        assert_int_equal(t.n, strlen(buf));
        assert_true(t.n < ANSWER_MAX - 1);
        assert_int_equal(strcspn(buf, "\n"), t.n - 1);
        if (strstr(buf, " what="))
            assert_non_null(strstr(buf, "\\x20 tries="));
    }
}

/* ---- what is waited for ---- */

static void test_ready(void **state)
{
    (void)state;
    d.silent = true;
    RELOAD(needs("web", "db"), service("db"));
    expect_not_yet("web", GOAL_READY);
    expect_not_yet("db", GOAL_READY);
    tell("db", EVENT_EXEC_OK);
    expect_yes("db", GOAL_READY);
    tell("web", EVENT_EXEC_OK);
    expect_yes("web", GOAL_READY);
    engine_event(&d.e, get("db"), EVENT_AGAIN, d.now, NULL);
    expect_not_yet("db", GOAL_READY); /* even before anything has come of it */
    drive();
    expect_state("db", SERVICE_RUNNING);
    expect_not_yet("db", GOAL_READY);
    expect_not_yet("web", GOAL_READY);
    die("web");
    die("db");
    tell("db", EVENT_EXEC_OK);
    tell("web", EVENT_EXEC_OK);
    expect_yes("web", GOAL_READY);
    leave("web", 1);
    expect_state("web", SERVICE_BACKOFF);
    expect_not_yet("web", GOAL_READY);
}

static void test_never_ready(void **state)
{
    struct conf *limited = service("limited");

    (void)state;
    limited->restart.limit = 1;
    limited->restart.window = 60000;
    RELOAD(limited, once(service("failed")), once(service("done")), manual(service("manual")));
    pass(30);
    leave("limited", 3);
    end("failed", EXIT_SIGNAL, SIGKILL, 0);
    leave("done", 0);
    expect_never("limited", GOAL_READY, "failed: exit 3, gave up after 1 start in 1m");
    expect_never("failed", GOAL_READY, "failed: signal KILL");
    expect_never("done", GOAL_READY, "done: exit 0 after 30ms");
    expect_never("manual", GOAL_READY, "not wanted");
    expect_never("nobody", GOAL_READY, "not in the config");
    tell("done", EVENT_AGAIN);
    expect_yes("done", GOAL_READY);
}

static void test_oneshot_is_ready_when_done(void **state)
{
    (void)state;
    RELOAD(oneshot("job", CONF_NEVER_AGAIN));
    expect_not_yet("job", GOAL_READY);
    leave("job", 0);
    expect_yes("job", GOAL_READY);
    expect_yes("job", GOAL_DOWN);
}

/* The one that failed is told, not the first that is missing, nor those between. */
static void test_requirement(void **state)
{
    (void)state;
    RELOAD(needs("web", "app"), needs("app", "lazy db"), manual(service("lazy")),
           once(service("db")));
    tell("lazy", EVENT_DOWN);
    die("web");
    die("app");
    die("lazy");
    leave("db", 2);
    expect_state("web", SERVICE_PENDING);
    expect_waits_for("app", "lazy", true);
    expect_never("web", GOAL_READY, "needs db: failed: exit 2");
    expect_never("app", GOAL_READY, "needs db: failed: exit 2");
    expect_yes("web", GOAL_FAILED);
    expect_yes("web", GOAL_DOWN);
}

static void test_requirement_not_wanted(void **state)
{
    (void)state;
    RELOAD(needs("web", "db"), service("db"));
    tell("db", EVENT_DOWN);
    expect_never("web", GOAL_READY, "needs db: not wanted");
    expect_not_yet("web", GOAL_DOWN);
    die("web");
    die("db");
    expect_state("web", SERVICE_PENDING);
    expect_yes("web", GOAL_DOWN);
    expect_not_yet("web", GOAL_FAILED);
    expect_not_yet("db", GOAL_FAILED);
}

static void test_removed(void **state)
{
    (void)state;
    RELOAD(service("web"), service("db"));
    RELOAD(service("db"));
    expect_never("web", GOAL_READY, "removed from the config");
    expect_not_yet("web", GOAL_DOWN);
    die("web");
    assert_null(graph_find_any(&d.e.graph, "web"));
    expect_yes("web", GOAL_DOWN);
    expect_never("web", GOAL_READY, "not in the config");
    expect_never("web", GOAL_FAILED, "not in the config");
}

static void test_down(void **state)
{
    (void)state;
    RELOAD(service("web"), once(service("failed")), manual(service("manual")));
    expect_not_yet("web", GOAL_DOWN);
    expect_yes("manual", GOAL_DOWN);
    leave("failed", 1);
    expect_yes("failed", GOAL_DOWN);
    leave("web", 1);
    expect_state("web", SERVICE_BACKOFF);
    expect_not_yet("web", GOAL_DOWN);
    tell("web", EVENT_DOWN);
    expect_yes("web", GOAL_DOWN);
    tell("web", EVENT_UP);
    tell("web", EVENT_DOWN);
    end("web", EXIT_SIGNAL, SIGTERM, 1);
    expect_not_yet("web", GOAL_DOWN);
    all_gone("web");
    expect_yes("web", GOAL_DOWN);
}

static void test_pending_is_not_down(void **state)
{
    (void)state;
    d.silent = true;
    RELOAD(needs("web", "db"), service("db"));
    expect_state("web", SERVICE_PENDING);
    expect_not_yet("web", GOAL_DOWN);
}

/* One that is done may have a stop command to run, and then to start again. */
static void test_done_is_down_until_it_goes(void **state)
{
    (void)state;
    RELOAD(says_goodbye(once(service("web"))));
    leave("web", 0);
    expect_yes("web", GOAL_DOWN);
    engine_event(&d.e, get("web"), EVENT_DOWN, d.now, NULL);
    get("web")->going = true;
    expect_not_yet("web", GOAL_DOWN);
    drive();
    expect_not_yet("web", GOAL_DOWN);
    command_ends("web");
    expect_yes("web", GOAL_DOWN);
}

static void test_stuck(void **state)
{
    (void)state;
    RELOAD(service("web"));
    tell("web", EVENT_AGAIN);
    end("web", EXIT_SIGNAL, SIGTERM, 2);
    expect_not_yet("web", GOAL_DOWN);
    expect_not_yet("web", GOAL_READY);
    pass(15000);
    expect_state("web", SERVICE_STUCK);
    expect_never("web", GOAL_DOWN, "KILL has no effect on 2 processes");
    expect_never("web", GOAL_READY, "KILL has no effect on 2 processes");
    all_gone("web");
    expect_yes("web", GOAL_READY);
}

static void test_failed(void **state)
{
    (void)state;
    RELOAD(make_conf("web", "db", "cache", NULL), once(service("db")), once(service("cache")));
    expect_not_yet("web", GOAL_FAILED);
    leave("cache", 1);
    expect_yes("cache", GOAL_FAILED);
    expect_not_yet("web", GOAL_FAILED); /* which it only wants */
    leave("db", 1);
    expect_yes("db", GOAL_FAILED);
    expect_yes("web", GOAL_FAILED);
    tell("web", EVENT_DOWN);
    expect_not_yet("web", GOAL_FAILED);
}

static void test_shutdown(void **state)
{
    (void)state;
    RELOAD(needs("web", "db"), service("db"), once(service("failed")));
    leave("failed", 1);
    engine_shutdown(&d.e, d.now);
    drive();
    expect_never("web", GOAL_READY, "tend is shutting down");
    expect_never("db", GOAL_READY, "tend is shutting down");
    expect_never("db", GOAL_FAILED, "tend is shutting down");
    expect_yes("failed", GOAL_FAILED);
    expect_not_yet("db", GOAL_DOWN);
    die("web");
    die("db");
    expect_yes("db", GOAL_DOWN);
}

static void test_long_reason_fits(void **state)
{
    char name[CONF_NAME_MAX + 1], why[ANSWER_WHY_MAX] = "";
    struct text t = {why, 0, sizeof why};
    struct conf *c;

    (void)state;
    set_long(name, CONF_NAME_MAX, 'n');
    c = prepares(service(name));
    c->restart.limit = 1;
    c->restart.window = CONF_TIME_MAX;
    RELOAD(needs("web", name), c);
    end(name, EXIT_SIGNAL, SIGRTMIN + 14, 0);
    get(name)->last_exit.core = true;
    assert_int_equal(answer_reached(get("web"), GOAL_READY, false, &t), ANSWER_NEVER);
    assert_true(t.n < sizeof why - 1);
    assert_string_equal(why + 6 + CONF_NAME_MAX,
                        ": failed: before_start: signal RTMIN+14 (core dumped), "
                        "gave up after 1 start in 365d");
}

static void test_up(void **state)
{
    (void)state;
    d.silent = true;
    RELOAD(service("web"), once(service("done")), oneshot("job", CONF_NEVER_AGAIN),
           manual(service("manual")), once(service("failed")));
    assert_false(answer_is_up(get("web"), false));
    assert_false(answer_is_up(get("manual"), false));
    tell("web", EVENT_EXEC_OK);
    assert_true(answer_is_up(get("web"), false));
    assert_false(answer_is_up(get("web"), true));
    leave("done", 0);
    leave("job", 0);
    leave("failed", 1);
    assert_true(answer_is_up(get("done"), false));
    assert_true(answer_is_up(get("job"), false));
    assert_false(answer_is_up(get("failed"), false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_life),
        TEST(test_never_started),
        TEST(test_oneshot),
        TEST(test_failures),
        TEST(test_failed_without_limit),
        TEST(test_no_fork),
        TEST(test_changed),
        TEST(test_what_it_says),
        TEST(test_health),
        TEST(test_ready_on),
        TEST(test_times_are_never_negative),
        TEST(test_longest_service),
        TEST(test_waits_to_start),
        TEST(test_waits_in_vain),
        TEST(test_waits_to_stop),
        TEST(test_ended_waits_for_nobody),
        TEST(test_waits_for_its_predecessor),
        TEST(test_edges),
        TEST(test_records),
        TEST(test_notes),
        TEST(test_longest_record),
        TEST(test_ready),
        TEST(test_never_ready),
        TEST(test_oneshot_is_ready_when_done),
        TEST(test_requirement),
        TEST(test_requirement_not_wanted),
        TEST(test_removed),
        TEST(test_down),
        TEST(test_pending_is_not_down),
        TEST(test_done_is_down_until_it_goes),
        TEST(test_stuck),
        TEST(test_failed),
        TEST(test_shutdown),
        TEST(test_long_reason_fits),
        TEST(test_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
