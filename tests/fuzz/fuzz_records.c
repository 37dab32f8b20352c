/* Any bytes as a line of tend: a record whose values a terminal may get, and JSON of it. */
#include <ctype.h>

#include "client/json.h"
#include "client/words.h"

#include "driver.h"

#ifndef LIBFUZZER
const char *const fuzz_words[] = {
    "service", "event kind=state", " name=", " text=", "\\x1b", "\\xc3", "\\",
    "=",       " state=",          NULL};

static void fuzz_seeds(void)
{
    static const char *const lines[] = {
        "service name=web type=process start=auto state=running ready=1 wanted=1 pid=34 for=5120",
        "service name=db state=failed limit=5 window=60000 errno=2 step=exec cause=exec exit=127",
        "event seq=7 at=81234 kind=state service=web from=starting to=running age=30 pid=12",
        "event seq=8 at=81234 kind=signal service=web signal=TERM pid=7 group=1 count=2",
        "death seq=9 service=web killed_by=SEGV core=1 ran=3 age=2 killed=1 description=a\\x20b",
        "service name=web state=running health=unhealthy health_failures=3 health_fault=no",
        "service name=web ready=1 status=3\\x20of\\x205 notify_errno=111 reloading=1 watchdog=5000",
        "service name=db state=starting ready_on=unix ready_at=@a\\xc3 cause=watchdog",
        "service name=db state=starting ready_on=fd ready_fd=3 health=failing health_failures=1",
        "event seq=8 at=1 kind=health service=web what=unhealthy text=web: unhealthy",
        "error code=unknown name=wbe text=no service wbe",
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        driver_add(lines[i], strlen(lines[i]));
}
#endif

static void look(const struct record *r)
{
    static void (*const all[])(struct text *, const struct record *) = {
        words_end,     words_end_short, words_cause,  words_note,     words_reason,
        words_service, words_health,    words_status, words_ready_on,
    };
    char buf[512] = "";

    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        struct text t = {buf, 0, sizeof buf};
        all[i](&t, r);
        FUZZ_ASSERT(t.n < sizeof buf);
    }
    words_paint(r);
}

static void check_json(const struct record *r)
{
    static const struct json_key *const tables[] = {json_service, json_event,  json_death,
                                                    json_edge,    json_change, json_process};

    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        json_t *json = json_record(r, tables[i]);
        char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
        FUZZ_ASSERT(text != NULL);
        free(text);
        json_decref(json);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record *r = record_new((const char *)data, size, RECORD_FOR_PEOPLE);

    FUZZ_ASSERT(r != NULL);
    for (size_t i = 0; i < r->n; i++)
        for (const char *at = r->at[i].value; *at; at++)
            FUZZ_ASSERT(isprint((unsigned char)*at));
    look(r);
    free(r);
    r = record_new((const char *)data, size, RECORD_FOR_PROGRAMS);
    FUZZ_ASSERT(r != NULL);
    check_json(r);
    free(r);
    return 0;
}
