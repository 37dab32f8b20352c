/* Records as JSON: each key there, absent ones as null, false or 0; any bytes as a string. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/json.h"
#include "client/json_string.h"

static json_t *object(const char *line, const struct json_key *keys)
{
    struct record *r = record_new(line, strlen(line), RECORD_FOR_PROGRAMS);
    json_t *json;

    assert_non_null(r);
    json = json_record(r, keys);
    assert_non_null(json);
    free(r);
    return json;
}

static void check(const char *line, const struct json_key *keys, const char *expected)
{
    json_t *json = object(line, keys);
    char *text = json_dumps(json, JSON_COMPACT);

    assert_string_equal(text, expected);
    free(text);
    json_decref(json);
}

static void test_small(void **state)
{
    (void)state;
    check("edge from=web to=db kind=requires", json_edge,
          "{\"from\":\"web\",\"to\":\"db\",\"kind\":\"requires\"}");
    check("change name=web do=restart key=command", json_change,
          "{\"name\":\"web\",\"do\":\"restart\",\"key\":\"command\",\"because\":null}");
    check("process pid=3 state=D where=nfs_wait command=a\\x20\\x22b later=1", json_process,
          "{\"service\":null,\"pid\":3,\"state\":\"D\",\"where\":\"nfs_wait\","
          "\"command\":\"a \\\"b\"}");
}

static void test_absent(void **state)
{
    (void)state;
    check("death", json_death,
          "{\"seq\":null,\"at_ms\":null,\"service\":null,\"process\":null,\"pid\":null,"
          "\"exit\":null,\"lost\":false,\"killed_by\":null,\"core\":false,\"oom\":false,\"cause\":"
          "null,"
          "\"errno\":null,\"step\":null,\"tries\":0,\"ran_ms\":null,\"age_ms\":null,"
          "\"killed\":false}");
}

static void test_service(void **state)
{
    json_t *json = object("service name=web type=process start=auto state=running ready=1 pid=34 "
                          "for=5120 up=5123 exit=0 restarts=2 description=a\\x20b",
                          json_service);

    (void)state;
    assert_string_equal(json_string_value(json_object_get(json, "state")), "running");
    assert_true(json_is_true(json_object_get(json, "ready")));
    assert_true(json_is_false(json_object_get(json, "wanted")));
    assert_int_equal(json_integer_value(json_object_get(json, "for_ms")), 5120);
    assert_int_equal(json_integer_value(json_object_get(json, "up_ms")), 5123);
    assert_int_equal(json_integer_value(json_object_get(json, "restarts")), 2);
    assert_int_equal(json_integer_value(json_object_get(json, "failures")), 0);
    assert_true(json_is_integer(json_object_get(json, "exit")));
    assert_true(json_is_null(json_object_get(json, "next_ms")));
    assert_true(json_is_null(json_object_get(json, "waits_for")));
    assert_string_equal(json_string_value(json_object_get(json, "description")), "a b");
    json_decref(json);
}

static void test_what_it_says(void **state)
{
    json_t *json =
        object("service name=web status=a\\x20\\x5cx1b\\xff notify_errno=111 reloading=1 "
               "health=failing health_failures=2 health_fault=exit\\x201 watchdog=5000 "
               "ready_on=fd ready_fd=3",
               json_service);

    (void)state;
    assert_string_equal(json_string_value(json_object_get(json, "status")), "a \\x1b\xef\xbf\xbd");
    assert_int_equal(json_integer_value(json_object_get(json, "notify_errno")), 111);
    assert_true(json_is_true(json_object_get(json, "reloading")));
    assert_string_equal(json_string_value(json_object_get(json, "health")), "failing");
    assert_int_equal(json_integer_value(json_object_get(json, "health_failures")), 2);
    assert_string_equal(json_string_value(json_object_get(json, "health_fault")), "exit 1");
    assert_int_equal(json_integer_value(json_object_get(json, "watchdog_ms")), 5000);
    assert_string_equal(json_string_value(json_object_get(json, "ready_on")), "fd");
    assert_true(json_is_null(json_object_get(json, "ready_at")));
    assert_int_equal(json_integer_value(json_object_get(json, "ready_fd")), 3);
    json_decref(json);
    json = object("service name=web", json_service);
    assert_true(json_is_null(json_object_get(json, "status")));
    assert_true(json_is_null(json_object_get(json, "health")));
    assert_true(json_is_false(json_object_get(json, "reloading")));
    assert_true(json_is_null(json_object_get(json, "watchdog_ms")));
    json_decref(json);
}

static void test_lost(void **state)
{
    json_t *json = object("service name=web exit=lost", json_service);

    (void)state;
    assert_true(json_is_null(json_object_get(json, "exit")));
    assert_true(json_is_true(json_object_get(json, "lost")));
    json_decref(json);
    json = object("service name=web exit=1", json_service);
    assert_true(json_is_false(json_object_get(json, "lost")));
    json_decref(json);
}

static void test_any_string(void **state)
{
    static const struct {
        const char *bytes, *text;
    } rows[] = {
        {"", ""},
        {"web", "web"},
        {"\xc3\xa4", "\xc3\xa4"},
        {"a\xff"
         "b",
         "a\xef\xbf\xbd"
         "b"},
        {"\xc3", "\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* half a surrogate pair */
        {"\xf0\x9f\x98\x80\xf0\x9f", "\xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbd"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *json = json_any_string(rows[i].bytes, strlen(rows[i].bytes));
        assert_non_null(json);
        assert_string_equal(json_string_value(json), rows[i].text);
        json_decref(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),      cmocka_unit_test(test_absent),
        cmocka_unit_test(test_service),    cmocka_unit_test(test_lost),
        cmocka_unit_test(test_any_string), cmocka_unit_test(test_what_it_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
