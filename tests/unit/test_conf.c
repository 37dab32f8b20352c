/* The table of keys, the rules for one service, and the comparison of two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tend/conf.h"

static const struct conf_supervisor supervisor = {.grace = 9000};

static const struct conf_key *key_of(const char *section, const char *name)
{
    for (size_t i = 0; i < conf_keys_n; i++)
        if (strcmp(conf_keys[i].section, section) == 0 && strcmp(conf_keys[i].name, name) == 0)
            return &conf_keys[i];
    fail_msg("no key %s.%s", section, name);
    return NULL;
}

static int set(struct conf *conf, const struct conf_key *key, const char *word)
{
    char copy[64], why[256], *words[] = {copy, NULL};

    strcpy(copy, word);
    return conf_set_key(conf, key, words, why, sizeof(why));
}

static struct conf *conf_good(void)
{
    struct conf *conf = conf_new("web", "a.conf", 3);

    assert_non_null(conf);
    assert_int_equal(set(conf, key_of("", "command"), "/bin/true"), 0);
    return conf;
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < conf_keys_n; i++) {
        const struct conf_key *key = &conf_keys[i];
        char name[CONF_KEY_NAME_MAX];
        assert_true(key->kind < CONF_KIND_COUNT);
        assert_true(key->change == CONF_POLICY || key->change == CONF_SPAWN);
        assert_true(strlen(key->sentence) > 4);
        assert_true(strlen(conf_key_name(key, name)) < CONF_KEY_NAME_MAX - 1);
        assert_true((key->kind == CONF_CHOICE) == (key->choices != NULL));
        for (size_t j = 0; j < i; j++) {
            assert_false(strcmp(conf_keys[j].section, key->section) == 0 &&
                         strcmp(conf_keys[j].name, key->name) == 0);
            assert_true(key->kind == CONF_LIMIT || conf_keys[j].offset != key->offset);
        }
        /* The rows of a section follow each other: the parser's options rely on it. */
        for (size_t j = 1; j < i; j++)
            if (strcmp(conf_keys[j - 1].section, key->section) == 0)
                assert_string_equal(conf_keys[j].section, key->section);
    }
}

/* Every resource of the kernel can be limited, each by one key. */
static void test_limits(void **state)
{
    unsigned seen = 0;

    (void)state;
    for (size_t i = 0; i < conf_keys_n; i++) {
        if (conf_keys[i].kind != CONF_LIMIT)
            continue;
        assert_int_equal(seen >> conf_keys[i].low & 1, 0);
        seen |= 1u << conf_keys[i].low;
    }
    assert_int_equal(seen, (1u << RLIM_NLIMITS) - 1);
}

static void test_defaults(void **state)
{
    struct conf *conf = conf_good();
    struct conf_supervisor ours;

    (void)state;
    assert_int_equal(conf->type, CONF_PROCESS);
    assert_int_equal(conf->start, CONF_AUTO);
    assert_false(conf->main || conf->no_new_privs || conf->nice_set || conf->oom_score_adj_set);
    assert_int_equal(conf->umask, 022);
    assert_int_equal(conf->ready.timeout, 90000);
    assert_int_equal(conf->ready.on, CONF_READY_DEFAULT);
    assert_int_equal(conf->ready.fd, 3);
    assert_false(conf->ready_fd_set);
    assert_int_equal(conf->ready.command_timeout, 10000);
    assert_int_equal(conf->ready.every, 500);
    assert_int_equal(conf->access, CONF_ACCESS_DEFAULT);
    assert_false(conf_wants_notify(conf)); /* a command in command mode is never finished */
    assert_int_equal(conf->watchdog, 0);
    assert_int_equal(conf->watchdog_signal, 6);
    assert_int_equal(conf->health.every, 10000);
    assert_int_equal(conf->health.timeout, 2000);
    assert_int_equal(conf->health.failures, 3);
    assert_int_equal(conf->health.then, CONF_THEN_RESTART);
    assert_int_equal(conf->restart.delay, 100);
    assert_int_equal(conf->restart.max_delay, 30000);
    assert_int_equal(conf->restart.limit, 5);
    assert_int_equal(conf->restart.window, 60000);
    assert_int_equal(conf->restart.healthy, 60000);
    assert_int_equal(conf->stop.drain, 0);
    assert_int_equal(conf->stop.signal, 15);
    assert_true(conf->stop.grace == NEVER);
    assert_int_equal(conf->stop.command_timeout, 10000);
    assert_int_equal(conf->stop.to, CONF_TO_GROUP);
    assert_int_equal(conf->stop.max, 0);
    assert_int_equal(conf->reload.signal, 1);
    assert_null(conf->reload.command);
    assert_int_equal(conf->reload.command_timeout, 10000);
    assert_int_equal(conf->n_limits, 0);
    for (int i = 0; i < 256; i++)
        assert_int_equal(conf_success_has_code(&conf->success, i), i == 0);
    for (int i = -1; i < 70; i++)
        assert_false(conf_success_has_signal(&conf->success, i));
    assert_false(conf_success_has_code(&conf->success, -1));
    assert_false(conf_success_has_code(&conf->success, 256));
    conf_finish(conf, &supervisor);
    assert_int_equal(conf->stop.grace, 9000);
    assert_int_equal(conf->ready.on, CONF_READY_EXEC);
    assert_int_equal(conf->access, CONF_ACCESS_NONE);
    assert_false(conf_wants_notify(conf) || conf_has_health(conf));
    assert_int_equal(conf->restart.policy, CONF_ALWAYS);
    conf_free(conf);
    conf_supervisor_init(&ours);
    assert_int_equal(ours.grace, 10000);
    assert_int_equal(ours.deadline, 0);
    assert_int_equal(ours.cgroup, CONF_CGROUP_AUTO);
    assert_null(ours.group);
    assert_false(ours.has_group);
    conf_free(NULL);
    conf_set_free(NULL);
}

static void test_names(void **state)
{
    char name[CONF_NAME_MAX + 2];

    (void)state;
    for (int c = 1; c < 256; c++) {
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        name[0] = (char)c;
        name[1] = '\0';
        assert_int_equal(conf_name_valid(name), letter);
        name[0] = 'a';
        name[1] = (char)c;
        name[2] = '\0';
        assert_int_equal(conf_name_valid(name), letter || strchr("._-@", c) != NULL);
    }
    assert_false(conf_name_valid(""));
    memset(name, 'a', sizeof(name));
    name[CONF_NAME_MAX + 1] = '\0';
    assert_false(conf_name_valid(name));
    name[CONF_NAME_MAX] = '\0';
    assert_true(conf_name_valid(name));
}

static void test_refused_leaves_field(void **state)
{
    struct conf *conf = conf_good();
    char one[] = "QUIT 1s", two[] = "no", *words[] = {one, two, NULL}, why[256];
    const struct conf_key *then = key_of("stop", "then"), *success = key_of("", "success");

    (void)state;
    assert_int_equal(set(conf, then, "INT 5s"), 0);
    assert_int_equal(conf_set_key(conf, then, words, why, sizeof(why)), -1);
    assert_int_equal(conf->stop.n_then, 1);
    assert_int_equal(conf->stop.then[0].wait, 5000);
    assert_int_equal(set(conf, success, "7"), 0);
    assert_int_equal(conf_add_key(conf, success, words, why, sizeof(why)), -1);
    assert_true(conf_success_has_code(&conf->success, 7));
    assert_int_equal(conf_set_key(conf, key_of("", "user"), words, why, sizeof(why)), -1);
    assert_string_equal(why, "user is no list: write one value after =");
    assert_int_equal(conf_set_key(conf, key_of("", "user"), words, why, 5), -1);
    assert_string_equal(why, "user");
    conf_free(conf);
}

static void test_too_many(void **state)
{
    static char *words[CONF_WORDS_MAX + 2];
    static char word[] = "TERM 1s";
    struct conf *conf = conf_good();
    char why[256];

    (void)state;
    for (size_t i = 0; i <= CONF_WORDS_MAX; i++)
        words[i] = word;
    assert_int_equal(conf_set_key(conf, key_of("", "command"), words, why, sizeof(why)), -1);
    assert_string_equal(why, "command has more than 4096 entries");
    words[CONF_WORDS_MAX] = NULL;
    assert_int_equal(conf_set_key(conf, key_of("", "command"), words, why, sizeof(why)), 0);
    words[1] = NULL;
    assert_int_equal(conf_add_key(conf, key_of("", "command"), words, why, sizeof(why)), -1);
    for (int i = 0; i < CONF_STEPS_MAX; i++)
        assert_int_equal(conf_add_key(conf, key_of("stop", "then"), words, why, sizeof(why)), 0);
    assert_int_equal(conf_add_key(conf, key_of("stop", "then"), words, why, sizeof(why)), -1);
    assert_int_equal(conf->stop.n_then, CONF_STEPS_MAX);
    conf_free(conf);
}

/* ---- rules ---- */

struct broken {
    const struct conf_key *key;
    size_t n;
};

static void note(void *self, const struct conf_key *key, const char *why)
{
    struct broken *broken = self;

    assert_true(strlen(why) > 10);
    broken->key = key;
    broken->n++;
}

static void expect_rule(const char *section, const char *name, const char *word, size_t n)
{
    struct conf *conf = conf_good();
    struct broken broken = {0};

    assert_int_equal(set(conf, key_of(section, name), word), 0);
    assert_int_equal(conf_check(conf, note, &broken), n);
    assert_int_equal(broken.n, n);
    assert_int_equal(conf_check(conf, NULL, NULL), n);
    if (n > 0)
        assert_string_equal(broken.key->name, name);
    conf_free(conf);
}

static void test_rules(void **state)
{
    struct conf *conf = conf_new("a/b", "f", 1);
    struct broken broken = {0};

    (void)state;
    assert_int_equal(conf_check(conf, note, &broken), 2); /* no command either */
    conf_free(conf);
    expect_rule("", "command", "prog", 0);
    expect_rule("", "command", "bin/prog", 1);
    expect_rule("", "command", "", 1);
    expect_rule("", "before_start", "bin/prog", 1);
    expect_rule("stop", "command", "./x", 1);
    expect_rule("reload", "command", "./x", 1);
    expect_rule("reload", "command", "x", 0);
    expect_rule("reload", "signal", "KILL", 1);
    expect_rule("reload", "signal", "STOP", 1);
    expect_rule("reload", "signal", "USR1", 0);
    expect_rule("reload", "on", "notify", 1);
    expect_rule("reload", "on", "sent", 0);
    expect_rule("", "requires", "db", 0);
    expect_rule("", "wants", "a b", 1);
    expect_rule("", "environment", "=x", 1);
    expect_rule("", "environment", "a-b=x", 1);
    expect_rule("", "environment", "A=", 0);
    expect_rule("", "description", "a\033b", 1);
    expect_rule("", "description", "", 0);
    expect_rule("ready", "on", "exit", 1);
    expect_rule("restart", "max_delay", "99ms", 1);
    expect_rule("restart", "max_delay", "100ms", 0);
}

static void test_oneshot_has_no_reload(void **state)
{
    struct conf *conf = conf_good();

    (void)state;
    set(conf, key_of("", "type"), "oneshot");
    set(conf, key_of("reload", "signal"), "USR1");
    assert_int_equal(conf_check(conf, NULL, NULL), 0);
    set(conf, key_of("reload", "command"), "x");
    assert_int_equal(conf_check(conf, NULL, NULL), 1);
    set(conf, key_of("", "type"), "process");
    assert_int_equal(conf_check(conf, NULL, NULL), 0);
    conf_free(conf);
}

static void test_reload_is_answered_by_who_may_notify(void **state)
{
    struct conf *conf = conf_good();

    (void)state;
    set(conf, key_of("reload", "on"), "notify");
    assert_int_equal(conf_check(conf, NULL, NULL), 1);
    set(conf, key_of("notify", "access"), "main");
    assert_int_equal(conf_check(conf, NULL, NULL), 0);
    conf_finish(conf, &supervisor);
    assert_int_equal(conf_check(conf, NULL, NULL), 0);
    conf_free(conf);
    conf = conf_good();
    set(conf, key_of("reload", "on"), "notify");
    set(conf, key_of("ready", "on"), "notify");
    assert_int_equal(conf_check(conf, NULL, NULL), 0);
    conf_free(conf);
}

/* What makes it ready follows from what is written, and whose messages count from that. */
static void expect_finished(const char *section, const char *name, const char *word,
                            enum conf_ready on, enum conf_access access)
{
    struct conf *conf = conf_good();

    if (*name != '\0')
        assert_int_equal(set(conf, key_of(section, name), word), 0);
    assert_int_equal(conf_check(conf, NULL, NULL), 0);
    conf_finish(conf, &supervisor);
    assert_int_equal(conf->ready.on, on);
    assert_int_equal(conf->access, access);
    assert_int_equal(conf_wants_notify(conf), access != CONF_ACCESS_NONE);
    assert_int_equal(conf->ready_fd_set, on == CONF_READY_FD);
    assert_int_equal(conf_check(conf, NULL, NULL), 0);
    conf_free(conf);
}

static void test_finished(void **state)
{
    (void)state;
    expect_finished("", "", "", CONF_READY_EXEC, CONF_ACCESS_NONE);
    expect_finished("ready", "on", "notify", CONF_READY_NOTIFY, CONF_ACCESS_ALL);
    expect_finished("ready", "on", "fd", CONF_READY_FD, CONF_ACCESS_NONE);
    expect_finished("ready", "fd", "3", CONF_READY_FD, CONF_ACCESS_NONE);
    expect_finished("ready", "tcp", "127.0.0.1:1", CONF_READY_TCP, CONF_ACCESS_NONE);
    expect_finished("ready", "unix", "@x", CONF_READY_UNIX, CONF_ACCESS_NONE);
    expect_finished("ready", "command", "x", CONF_READY_COMMAND, CONF_ACCESS_NONE);
    expect_finished("", "watchdog", "1s", CONF_READY_EXEC, CONF_ACCESS_ALL);
    expect_finished("notify", "access", "main", CONF_READY_EXEC, CONF_ACCESS_MAIN);
    expect_finished("notify", "access", "none", CONF_READY_EXEC, CONF_ACCESS_NONE);
    expect_finished("health", "command", "x", CONF_READY_EXEC, CONF_ACCESS_NONE);
}

/* Written or not: the same descriptor is no change. */
static void test_default_descriptor(void **state)
{
    struct conf *a = conf_good(), *b = conf_good();
    const struct conf_key *key = NULL;

    (void)state;
    set(a, key_of("ready", "on"), "fd");
    set(b, key_of("ready", "fd"), "3");
    conf_finish(a, &supervisor);
    conf_finish(b, &supervisor);
    assert_int_equal(conf_compare(a, b, &key), CONF_SAME);
    conf_free(a);
    conf_free(b);
}

static void test_has_health(void **state)
{
    static const char *const keys[] = {"command", "tcp", "unix", "http"};
    static const char *const words[] = {"x", "[::1]:1", "/x", "http://[::1]"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        struct conf *conf = conf_good();
        set(conf, key_of("health", keys[i]), words[i]);
        assert_true(conf_has_health(conf));
        if (i > 0) {
            set(conf, key_of("health", keys[i]), "");
            assert_false(conf_has_health(conf));
        }
        conf_free(conf);
    }
}

/* All that a stop may take; before conf_finish the supervisor's grace is unknown. */
static void test_stop_max(void **state)
{
    struct conf *conf = conf_good();
    struct broken broken = {0};

    (void)state;
    set(conf, key_of("stop", "drain"), "1s");
    set(conf, key_of("stop", "command"), "x");
    set(conf, key_of("stop", "then"), "INT 2s");
    set(conf, key_of("stop", "max"), "21999ms");
    assert_int_equal(conf_check(conf, NULL, NULL), 0);
    conf_finish(conf, &supervisor); /* 1s + 10s + 9s + 2s */
    assert_int_equal(conf_check_finished(conf, note, &broken), 1);
    assert_string_equal(broken.key->name, "max");
    assert_int_equal(conf_check(conf, NULL, NULL), 1);
    set(conf, key_of("stop", "max"), "22s");
    assert_int_equal(conf_check_finished(conf, NULL, NULL), 0);
    set(conf, key_of("stop", "max"), "0s");
    assert_int_equal(conf_check(conf, NULL, NULL), 0);
    conf_free(conf);
}

static void test_directory_allows_relative(void **state)
{
    struct conf *conf = conf_good();

    (void)state;
    set(conf, key_of("", "command"), "bin/prog");
    assert_int_equal(conf_check(conf, NULL, NULL), 1);
    set(conf, key_of("", "directory"), "/srv");
    assert_int_equal(conf_check(conf, NULL, NULL), 0);
    conf_free(conf);
}

/* ---- comparison ---- */

/* A value for every key that differs from its default. */
static const char *other_value(const struct conf_key *key)
{
    switch (key->kind) {
    case CONF_STRING:
    case CONF_LIST:
        return "x";
    case CONF_NAMES:
        return "y";
    case CONF_BOOL:
        return "true";
    case CONF_NUMBER:
        return key->low > 0 ? "7" : "0";
    case CONF_COUNT:
        return "0";
    case CONF_TCP:
        return "[::1]:9";
    case CONF_UNIX:
        return "@x";
    case CONF_HTTP:
        return "http://[::1]";
    case CONF_DURATION:
        return "7s";
    case CONF_SIGNAL:
        return "INT";
    case CONF_STEPS:
        return "INT 1s";
    case CONF_OCTAL:
        return "077";
    case CONF_EXITS:
        return "4";
    case CONF_LIMIT:
        return "5:7";
    case CONF_CHOICE:
        for (int i = 0; key->choices[i + 1] != NULL; i++)
            if (*key->choices[i] != '\0' && strcmp(key->choices[i], "process") != 0 &&
                strcmp(key->choices[i], "auto") != 0 && strcmp(key->choices[i], "group") != 0 &&
                strcmp(key->choices[i], "always") != 0 && strcmp(key->choices[i], "restart") != 0 &&
                strcmp(key->choices[i], "sent") != 0)
                return key->choices[i];
        for (int i = 0;; i++)
            if (key->choices[i + 1] == NULL)
                return key->choices[i];
    case CONF_KIND_COUNT:
        break;
    }
    return NULL;
}

/* Each key alone makes a difference, of its kind and both ways round. */
static void test_compare_every_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < conf_keys_n; i++) {
        struct conf *a = conf_good(), *b = conf_good();
        const struct conf_key *key = NULL;
        b->line = 99;
        assert_int_equal(conf_compare(a, b, &key), CONF_SAME);
        assert_int_equal(set(b, &conf_keys[i], other_value(&conf_keys[i])), 0);
        assert_int_equal(conf_compare(a, b, &key), conf_keys[i].change);
        assert_ptr_equal(key, &conf_keys[i]);
        assert_int_equal(conf_compare(b, a, &key), conf_keys[i].change);
        assert_int_equal(conf_compare(b, b, &key), CONF_SAME);
        conf_free(a);
        conf_free(b);
    }
}

static void test_compare_limits(void **state)
{
    struct conf *a = conf_good(), *b = conf_good();
    const struct conf_key *key = NULL, *cpu = key_of("limits", "cpu");

    (void)state;
    set(a, cpu, "5:7");
    set(b, cpu, "5:8");
    assert_int_equal(conf_compare(a, b, &key), CONF_SPAWN);
    assert_ptr_equal(key, cpu);
    set(b, cpu, "4:7");
    assert_int_equal(conf_compare(a, b, &key), CONF_SPAWN);
    set(b, cpu, "5:7");
    assert_int_equal(conf_compare(a, b, &key), CONF_SAME);
    assert_int_equal(b->n_limits, 1);
    conf_free(a);
    conf_free(b);
}

static void test_compare_worst(void **state)
{
    struct conf *a = conf_good(), *b = conf_good();
    const struct conf_key *key = NULL;

    (void)state;
    set(b, key_of("", "description"), "x");
    set(b, key_of("stop", "grace"), "1s");
    assert_int_equal(conf_compare(a, b, &key), CONF_POLICY);
    assert_string_equal(key->name, "description");
    set(b, key_of("", "umask"), "077");
    assert_int_equal(conf_compare(a, b, &key), CONF_SPAWN);
    assert_string_equal(key->name, "umask");
    conf_free(b);
    b = conf_good();
    b->has_ids = true;
    assert_int_equal(conf_compare(a, b, &key), CONF_SPAWN);
    assert_null(key);
    b->has_ids = false;
    b->gids = calloc(1, sizeof(*b->gids));
    b->n_gids = 1;
    assert_int_equal(conf_compare(a, b, &key), CONF_SPAWN);
    b->n_gids = 0;
    assert_int_equal(conf_compare(a, b, &key), CONF_SAME);
    b->file_environment = calloc(2, sizeof(char *));
    b->file_environment[0] = strdup("A=1");
    assert_int_equal(conf_compare(a, b, &key), CONF_SPAWN);
    conf_free(a);
    conf_free(b);
}

/* What the manual does not tell, no operator finds. */
static void test_manual(void **state)
{
    static char text[1 << 17];
    FILE *file = fopen("man/tend.conf.5", "r");

    (void)state;
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    for (size_t i = 0; i < conf_keys_n; i++) {
        char name[CONF_KEY_NAME_MAX], line[64];
        snprintf(line, sizeof(line), "\n.It Ic %s\n", conf_key_name(&conf_keys[i], name));
        if (strstr(text, line) == NULL)
            fail_msg("man/tend.conf.5 has no entry%s", line);
        if (conf_keys[i].fallback != NULL && conf_keys[i].kind != CONF_BOOL) {
            const char *entry = strstr(text, line), *end = strstr(entry + 5, "\n.It");
            snprintf(line, sizeof(line), "%s", conf_keys[i].fallback);
            entry = strstr(entry, line);
            if (entry == NULL || (end != NULL && entry > end))
                fail_msg("man/tend.conf.5 names no default of %s", name);
        }
    }
    for (size_t i = 0; i < conf_supervisor_keys_n; i++) {
        char line[64];
        snprintf(line, sizeof(line), "\n.It Ic %s\n", conf_supervisor_keys[i].name);
        if (strstr(text, line) == NULL)
            fail_msg("man/tend.conf.5 has no entry%s", line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_refused_leaves_field),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_oneshot_has_no_reload),
        cmocka_unit_test(test_reload_is_answered_by_who_may_notify),
        cmocka_unit_test(test_finished),
        cmocka_unit_test(test_default_descriptor),
        cmocka_unit_test(test_has_health),
        cmocka_unit_test(test_stop_max),
        cmocka_unit_test(test_directory_allows_relative),
        cmocka_unit_test(test_compare_every_key),
        cmocka_unit_test(test_compare_limits),
        cmocka_unit_test(test_compare_worst),
        cmocka_unit_test(test_manual),
    };

    return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
