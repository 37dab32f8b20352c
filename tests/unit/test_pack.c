/* Configs to bytes and back: nothing lost, nothing accepted that was not written so. */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tend/pack.h"

static void set_key(struct conf *conf, const char *section, const char *name, const char *a,
                    const char *b)
{
    char why[256], one[64], two[64], *words[] = {one, NULL, NULL};

    strcpy(one, a);
    if (b != NULL) {
        strcpy(two, b);
        words[1] = two;
    }
    for (size_t i = 0; i < conf_keys_n; i++)
        if (strcmp(conf_keys[i].section, section) == 0 && strcmp(conf_keys[i].name, name) == 0)
            assert_int_equal(conf_set_key(conf, &conf_keys[i], words, why, sizeof(why)), 0);
}

static struct conf *full_conf(const char *name)
{
    const struct conf_supervisor supervisor = {.grace = 10000};
    struct conf *conf = conf_new(name, "a.conf", 3);

    assert_non_null(conf);
    set_key(conf, "", "description", "", NULL);
    set_key(conf, "", "command", "/bin/true", "");
    set_key(conf, "", "before_start", "/bin/a", "b");
    set_key(conf, "", "requires", "a", "b");
    set_key(conf, "", "wants", "a", "b");
    set_key(conf, "", "after", "a", "b");
    set_key(conf, "", "environment", "A=b", "C=");
    set_key(conf, "", "user", "nobody", NULL);
    set_key(conf, "", "group", "x", NULL);
    set_key(conf, "", "groups", "x", "y");
    set_key(conf, "", "directory", "/srv", NULL);
    set_key(conf, "", "umask", "077", NULL);
    set_key(conf, "", "environment_file", "/e", NULL);
    set_key(conf, "", "success", "7", "TERM");
    set_key(conf, "", "nice", "-5", NULL);
    set_key(conf, "", "oom_score_adj", "0", NULL);
    set_key(conf, "", "no_new_privs", "true", NULL);
    set_key(conf, "stop", "then", "INT 5s", "QUIT 1s");
    set_key(conf, "stop", "signal", "RTMIN+3", NULL);
    set_key(conf, "stop", "command", "/bin/stop", "now");
    set_key(conf, "reload", "signal", "USR1", NULL);
    set_key(conf, "reload", "command", "/bin/reload", "now");
    set_key(conf, "reload", "command_timeout", "7s", NULL);
    set_key(conf, "ready", "unix", "/run/x", NULL);
    set_key(conf, "health", "http", "http://[::1]:8080/x", NULL);
    set_key(conf, "health", "failures", "1000", NULL);
    set_key(conf, "", "watchdog", "5s", NULL);
    set_key(conf, "stop", "max", "1h", NULL);
    set_key(conf, "restart", "limit", "0", NULL);
    set_key(conf, "limits", "nofile", "5:7", NULL);
    set_key(conf, "limits", "core", "unlimited", NULL);
    conf->has_ids = true;
    conf->uid = 65534;
    conf->gid = 7;
    conf->gids = calloc(2, sizeof(gid_t));
    conf->gids[1] = 9;
    conf->n_gids = 2;
    conf->logname = strdup("nobody");
    conf->home = strdup("/");
    conf->shell = strdup("/bin/sh");
    conf->file_environment = calloc(2, sizeof(char *));
    conf->file_environment[0] = strdup("E=1");
    conf_finish(conf, &supervisor);
    return conf;
}

static struct conf *plain_conf(const char *name)
{
    const struct conf_supervisor supervisor = {.grace = 10000};
    struct conf *conf = conf_new(name, "a.conf", 3);

    set_key(conf, "", "command", "/bin/true", NULL);
    conf_finish(conf, &supervisor);
    return conf;
}

static struct pack pack_of(struct conf *first, struct conf *second)
{
    struct conf *confs[] = {first, second};
    struct conf_set set = {.supervisor = {.grace = 5,
                                          .deadline = 7,
                                          .cgroup = CONF_CGROUP_NO,
                                          .has_group = true,
                                          .gid = 50},
                           .at = confs,
                           .n = second != NULL ? 2 : first != NULL};
    struct pack pack = {0};

    assert_int_equal(pack_set(&set, &pack), 0);
    conf_free(first);
    conf_free(second);
    return pack;
}

static void expect_refused(const void *data, size_t size)
{
    struct conf_set *set = (struct conf_set *)(uintptr_t)1;
    char **problems = (char **)(uintptr_t)2;

    errno = 0;
    assert_int_equal(pack_read(data, size, &set, &problems), -1);
    assert_int_equal(errno, EBADMSG);
    assert_int_equal((uintptr_t)set, 1);
    assert_int_equal((uintptr_t)problems, 2);
}

static void test_round(void **state)
{
    struct conf *a = full_conf("web"), *b = plain_conf("db");
    struct pack pack = pack_of(full_conf("web"), plain_conf("db"));
    const struct conf_key *key;
    struct conf_set *set;
    char **problems;

    (void)state;
    assert_int_equal(pack_read(pack.data, pack.size, &set, &problems), 0);
    assert_null(problems);
    assert_int_equal(set->n, 2);
    assert_int_equal(set->supervisor.grace, 5);
    assert_int_equal(set->supervisor.deadline, 7);
    assert_int_equal(set->supervisor.cgroup, CONF_CGROUP_NO);
    assert_true(set->supervisor.has_group);
    assert_int_equal(set->supervisor.gid, 50);
    assert_int_equal(conf_compare(a, set->at[0], &key), CONF_SAME);
    assert_int_equal(conf_compare(b, set->at[1], &key), CONF_SAME);
    assert_int_equal(conf_compare(a, b, &key), CONF_SPAWN);
    assert_string_equal(set->at[0]->name, "web");
    assert_null(set->at[0]->file);
    assert_int_equal(set->at[0]->line, 3);
    assert_string_equal(set->at[0]->command[1], "");
    assert_null(set->at[0]->command[2]);
    assert_string_equal(set->at[0]->file_environment[0], "E=1");
    assert_int_equal(set->at[0]->gids[1], 9);
    assert_int_equal(set->at[0]->n_limits, 2);
    assert_null(set->at[1]->requires);
    assert_null(set->at[1]->limits);
    conf_free(a);
    conf_free(b);
    conf_set_free(set);
    free(pack.data);
}

static void test_empty_and_behind(void **state)
{
    struct pack pack = pack_of(NULL, NULL);
    struct conf_set empty = {.supervisor = {.grace = 1}}, *set;
    char **problems;
    size_t first = pack.size;

    (void)state;
    assert_int_equal(pack_read(pack.data, pack.size, &set, &problems), 0);
    assert_int_equal(set->n, 0);
    conf_set_free(set);
    assert_int_equal(pack_set(&empty, &pack), 0);
    assert_int_equal(pack_read(pack.data + first, pack.size - first, &set, &problems), 0);
    assert_int_equal(set->supervisor.grace, 1);
    assert_false(set->supervisor.has_group);
    conf_set_free(set);
    expect_refused(pack.data, pack.size);
    free(pack.data);
}

static void test_problems(void **state)
{
    char one[] = "a.conf:1: wrong", two[] = "", *lines[] = {one, two, NULL}, *none[] = {NULL};
    struct conf_set *set;
    char **problems;
    struct pack pack = {0};

    (void)state;
    assert_int_equal(pack_problems(lines, &pack), 0);
    assert_int_equal(pack_read(pack.data, pack.size, &set, &problems), 0);
    assert_null(set);
    assert_string_equal(problems[0], one);
    assert_string_equal(problems[1], "");
    assert_null(problems[2]);
    free(problems[0]);
    free(problems[1]);
    free(problems);
    for (size_t i = 0; i < pack.size; i++)
        expect_refused(pack.data, i);
    pack.size = 0;
    assert_int_equal(pack_problems(none, &pack), 0);
    assert_int_equal(pack_read(pack.data, pack.size, &set, &problems), 0);
    assert_null(problems[0]);
    free(problems);
    free(pack.data);
}

static void test_cut_short(void **state)
{
    struct pack pack = pack_of(full_conf("web"), plain_conf("db"));

    (void)state;
    for (size_t i = 0; i < pack.size; i++) {
        /* In a block of its own size, so that a sanitizer sees the first byte too many. */
        void *copy = malloc(i > 0 ? i : 1);
        memcpy(copy, pack.data, i);
        expect_refused(copy, i);
        free(copy);
    }
    assert_true(pack.size < pack.room);
    pack.data[pack.size] = 0;
    expect_refused(pack.data, pack.size + 1);
    free(pack.data);
}

/* Every byte changed to every value: refused, or the same bytes come out again. */
static void test_every_byte(void **state)
{
    struct pack pack = pack_of(full_conf("web"), NULL);
    size_t accepted = 0;

    (void)state;
    for (size_t i = 0; i < pack.size; i++) {
        unsigned char before = pack.data[i];
        for (int value = 0; value < 256; value++) {
            struct conf_set *set = NULL;
            struct pack again = {0};
            char **problems = NULL;
            pack.data[i] = (unsigned char)value;
            if (pack_read(pack.data, pack.size, &set, &problems) != 0)
                continue;
            accepted++;
            assert_non_null(set);
            assert_int_equal(pack_set(set, &again), 0);
            assert_int_equal(again.size, pack.size);
            assert_memory_equal(again.data, pack.data, pack.size);
            conf_set_free(set);
            free(again.data);
        }
        pack.data[i] = before;
    }
    assert_true(accepted > pack.size && accepted < 200 * pack.size);
    free(pack.data);
}

/* What a written config could not be: set in the struct, packed, and refused on the other side. */
static void refuse_changed(void (*change)(struct conf *))
{
    struct conf *conf = full_conf("web");
    struct pack pack;

    change(conf);
    pack = pack_of(conf, NULL);
    expect_refused(pack.data, pack.size);
    free(pack.data);
}

static void bad_grace(struct conf *conf)
{
    conf->stop.grace = NEVER;
}
static void bad_delay(struct conf *conf)
{
    conf->restart.delay = -1;
}
static void bad_policy(struct conf *conf)
{
    conf->restart.policy = CONF_RESTART_DEFAULT;
}
static void bad_type(struct conf *conf)
{
    conf->type = CONF_TYPE_COUNT;
}
static void bad_nice(struct conf *conf)
{
    conf->nice = 20;
}
static void bad_limit(struct conf *conf)
{
    conf->restart.limit = -1;
}
static void bad_signal(struct conf *conf)
{
    conf->stop.signal = 65;
}
static void bad_reload(struct conf *conf)
{
    conf->reload.signal = 0;
}
static void bad_reload_command(struct conf *conf)
{
    conf->type = CONF_ONESHOT;
    conf->restart.policy = CONF_NEVER_AGAIN;
}
static void bad_reload_timeout(struct conf *conf)
{
    conf->reload.command_timeout = 0;
}
static void bad_address(struct conf *conf)
{
    *conf->ready.local = 'x';
}
static void bad_url(struct conf *conf)
{
    conf->health.http[4] = 's';
}
static void bad_descriptor(struct conf *conf)
{
    conf->ready.fd = 2;
}
static void bad_on(struct conf *conf)
{
    conf->ready.on = CONF_READY_TCP;
}
static void bad_access(struct conf *conf)
{
    conf->access = CONF_ACCESS_DEFAULT;
}
static void bad_failures(struct conf *conf)
{
    conf->health.failures = 0;
}
static void bad_target(struct conf *conf)
{
    conf->health.tcp = strdup("127.0.0.1:1");
}
static void bad_max(struct conf *conf)
{
    conf->stop.max = 1;
}
static void bad_step(struct conf *conf)
{
    conf->stop.then[1].signal = 0;
}
static void bad_wait(struct conf *conf)
{
    conf->stop.then[1].wait = CONF_TIME_MAX + 1;
}
static void bad_umask(struct conf *conf)
{
    conf->umask = 01000;
}
static void bad_success(struct conf *conf)
{
    conf->success.codes[0] = 0;
}
static void bad_resource(struct conf *conf)
{
    conf->limits[1].resource = RLIM_NLIMITS;
}
static void bad_order(struct conf *conf)
{
    conf->limits[1].resource = conf->limits[0].resource;
}
static void bad_soft(struct conf *conf)
{
    conf->limits[1].soft = conf->limits[1].hard + 1;
}
static void bad_uid(struct conf *conf)
{
    conf->uid = (uid_t)-1;
}
static void bad_gid(struct conf *conf)
{
    conf->gid = (gid_t)-1;
}
static void bad_name(struct conf *conf)
{
    strcpy(conf->name, "a/b");
}
static void bad_environment(struct conf *conf)
{
    strcpy(conf->environment[0], "A");
}
static void bad_line(struct conf *conf)
{
    conf->line = -1;
}
static void bad_user(struct conf *conf)
{
    *conf->user = '\0';
}

static void test_values(void **state)
{
    static void (*const changes[])(struct conf *) = {
        bad_grace,
        bad_delay,
        bad_policy,
        bad_type,
        bad_nice,
        bad_limit,
        bad_signal,
        bad_step,
        bad_wait,
        bad_umask,
        bad_success,
        bad_resource,
        bad_order,
        bad_soft,
        bad_uid,
        bad_gid,
        bad_name,
        bad_environment,
        bad_line,
        bad_user,
        bad_reload,
        bad_reload_command,
        bad_reload_timeout,
        bad_address,
        bad_url,
        bad_descriptor,
        bad_on,
        bad_access,
        bad_failures,
        bad_target,
        bad_max,
    };
    struct pack pack = pack_of(plain_conf("web"), plain_conf("web"));

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
        refuse_changed(changes[i]);
    expect_refused(pack.data, pack.size);
    free(pack.data);
}

/* The words of the supervisor are not sent: only what the loader found for them. */
static void test_group(void **state)
{
    char group[] = "staff";
    struct conf_set set = {.supervisor = {.group = group, .has_group = true, .gid = 0}}, *back;
    struct pack pack = {0};
    char **problems;

    (void)state;
    assert_int_equal(pack_set(&set, &pack), 0);
    assert_int_equal(pack_read(pack.data, pack.size, &back, &problems), 0);
    assert_true(back->supervisor.has_group && back->supervisor.gid == 0);
    assert_null(back->supervisor.group);
    conf_set_free(back);
    set.supervisor.gid = (gid_t)-1;
    pack.size = 0;
    assert_int_equal(pack_set(&set, &pack), 0);
    expect_refused(pack.data, pack.size);
    free(pack.data);
}

/* A thousand services: one allocation each, little memory, little time. */
static void test_thousand(void **state)
{
    enum { N = 1000 };
    static struct conf *confs[N];
    struct conf_set set = {.supervisor = {.grace = 1}, .at = confs, .n = N}, *back;
    struct mallinfo2 before, after;
    struct timespec start, end;
    struct pack pack = {0};
    char **problems;
    double ms, best = 1e9;

    (void)state;
    for (int i = 0; i < N; i++) {
        char name[16];
        snprintf(name, sizeof(name), "s%d", i);
        confs[i] = plain_conf(name);
    }
    assert_int_equal(pack_set(&set, &pack), 0);
    before = mallinfo2();
    for (int i = 0; i < 5; i++) {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
        assert_int_equal(pack_read(pack.data, pack.size, &back, &problems), 0);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
        after = mallinfo2();
        conf_set_free(back);
        ms =
            (double)(end.tv_sec - start.tv_sec) * 1e3 + (double)(end.tv_nsec - start.tv_nsec) / 1e6;
        best = ms < best ? ms : best;
    }
    /* Under a sanitizer mallinfo2 shows nothing and all is slower. */
    assert_true(after.uordblks - before.uordblks < (size_t)N * 600);
    assert_true(best < 50);
    print_message("# 1,000 services: %zu bytes, read in %.2f ms, %zu bytes held\n", pack.size, best,
                  after.uordblks - before.uordblks);
    for (int i = 0; i < N; i++)
        conf_free(confs[i]);
    free(pack.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round),      cmocka_unit_test(test_empty_and_behind),
        cmocka_unit_test(test_problems),   cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_every_byte), cmocka_unit_test(test_values),
        cmocka_unit_test(test_group),      cmocka_unit_test(test_thousand),
    };

    return cmocka_run_group_tests_name("pack", tests, NULL, NULL);
}
