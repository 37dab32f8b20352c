#include "client/json.h"

#include <string.h>

#include "client/json_string.h"

#define TEXT(field)                                                                                \
    {                                                                                              \
        field, field, JSON_KIND_TEXT                                                               \
    }
#define NUMBER(field)                                                                              \
    {                                                                                              \
        field, field, JSON_KIND_NUMBER                                                             \
    }
#define COUNT(field)                                                                               \
    {                                                                                              \
        field, field, JSON_KIND_COUNT                                                              \
    }
#define FLAG(field)                                                                                \
    {                                                                                              \
        field, field, JSON_KIND_FLAG                                                               \
    }
#define TIME(field)                                                                                \
    {                                                                                              \
        field, field "_ms", JSON_KIND_NUMBER                                                       \
    }
#define LOST                                                                                       \
    {                                                                                              \
        "exit", "lost", JSON_KIND_LOST                                                             \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, NULL, JSON_KIND_TEXT                                                                 \
    }

const struct json_key json_service[] = {
    TEXT("name"),
    TEXT("type"),
    TEXT("start"),
    FLAG("main"),
    TEXT("state"),
    FLAG("ready"),
    FLAG("wanted"),
    FLAG("again"),
    FLAG("changed"),
    NUMBER("pid"),
    TEXT("process"),
    TIME("for"),
    TIME("up"),
    COUNT("restarts"),
    COUNT("failures"),
    NUMBER("exit"),
    LOST,
    TEXT("killed_by"),
    FLAG("core"),
    FLAG("oom"),
    TEXT("cause"),
    NUMBER("errno"),
    TEXT("step"),
    TIME("next"),
    NUMBER("limit"),
    TIME("window"),
    TEXT("waits_for"),
    FLAG("in_vain"),
    COUNT("members"),
    TEXT("description"),
    TEXT("status"),
    NUMBER("notify_errno"),
    FLAG("reloading"),
    TEXT("health"),
    COUNT("health_failures"),
    TEXT("health_fault"),
    TIME("watchdog"),
    TEXT("ready_on"),
    TEXT("ready_at"),
    NUMBER("ready_fd"),
    END,
};

const struct json_key json_event[] = {
    NUMBER("seq"),
    TIME("at"),
    TEXT("kind"),
    TEXT("service"),
    TEXT("from"),
    TEXT("to"),
    TEXT("event"),
    TEXT("cause"),
    TEXT("process"),
    NUMBER("pid"),
    NUMBER("uid"),
    TEXT("signal"),
    FLAG("group"),
    COUNT("count"),
    NUMBER("exit"),
    LOST,
    TEXT("killed_by"),
    FLAG("core"),
    FLAG("oom"),
    NUMBER("errno"),
    TEXT("step"),
    TEXT("what"),
    COUNT("tries"),
    TIME("next"),
    TIME("age"),
    TEXT("text"),
    END,
};

const struct json_key json_death[] = {
    NUMBER("seq"),
    TIME("at"),
    TEXT("service"),
    TEXT("process"),
    NUMBER("pid"),
    NUMBER("exit"),
    LOST,
    TEXT("killed_by"),
    FLAG("core"),
    FLAG("oom"),
    TEXT("cause"),
    NUMBER("errno"),
    TEXT("step"),
    COUNT("tries"),
    TIME("ran"),
    TIME("age"),
    FLAG("killed"),
    END,
};

const struct json_key json_edge[] = {TEXT("from"), TEXT("to"), TEXT("kind"), END};

const struct json_key json_change[] = {TEXT("name"), TEXT("do"), TEXT("key"), TEXT("because"), END};

const struct json_key json_process[] = {
    TEXT("service"), NUMBER("pid"), TEXT("state"), TEXT("where"), TEXT("command"), END,
};

const struct json_key json_greeting[] = {
    TEXT("version"), NUMBER("protocol"), NUMBER("pid"), TEXT("rights"), TIME("at"), END,
};

static json_t *number(const char *text, const struct record *r, const char *field)
{
    if (!text || !*text || text[strspn(text, "-0123456789")])
        return json_null();
    return json_integer(record_number(r, field));
}

static json_t *value(const struct record *r, const struct json_key *key)
{
    const char *text = record_get(r, key->field);

    switch (key->kind) {
    case JSON_KIND_TEXT:
        return text ? json_any_string(text, strlen(text)) : json_null();
    case JSON_KIND_NUMBER:
        return number(text, r, key->field);
    case JSON_KIND_COUNT:
        return json_integer(record_number(r, key->field));
    case JSON_KIND_FLAG:
        return json_boolean(record_flag(r, key->field));
    case JSON_KIND_LOST:
        return json_boolean(text && strcmp(text, "lost") == 0);
    }
    return NULL;
}

json_t *json_record(const struct record *r, const struct json_key *keys)
{
    json_t *object = json_object();

    for (; object && keys->field; keys++) {
        if (json_object_set_new(object, keys->name, value(r, keys))) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}
