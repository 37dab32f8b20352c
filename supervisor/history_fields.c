/* A record for programs. */
#include <assert.h>

#include "tend/history.h"
#include "tend/text.h"
#include "tend/units.h"

static const char *const kinds[] = {
    [HISTORY_STATE] = "state",   [HISTORY_FORKED] = "forked", [HISTORY_SIGNAL] = "signal",
    [HISTORY_EXIT] = "exit",     [HISTORY_STRAY] = "stray",   [HISTORY_SHUTDOWN] = "shutdown",
    [HISTORY_DEATH] = "death",   [HISTORY_CONFIG] = "config", [HISTORY_REQUEST] = "request",
    [HISTORY_STATUS] = "status", [HISTORY_NOTIFY] = "notify", [HISTORY_HEALTH] = "health",
};
static_assert(ARRAY_SIZE(kinds) == HISTORY_KIND_COUNT, "a word for each");

static const char *const processes[] = {
    [HISTORY_MAIN] = "main",
    [HISTORY_BEFORE] = "before_start",
    [HISTORY_COMMAND] = "stop_command",
    [HISTORY_RELOAD] = "reload_command",
    [HISTORY_PROBE] = "probe",
};
static_assert(ARRAY_SIZE(processes) == HISTORY_PROCESS_COUNT, "a word for each");

static void put_change(struct text *t, const struct history_record *r)
{
    text_word(t, "from", service_state_name((enum service_state)r->from));
    text_word(t, "to", service_state_name((enum service_state)r->to));
    text_word(t, "event", engine_event_name((enum engine_event)r->event));
}

/* What a service tells, or is found to be, is of no single process. */
static bool tells_process(const struct history_record *r)
{
    return r->name[0] && r->kind != HISTORY_STATUS && r->kind != HISTORY_NOTIFY &&
           r->kind != HISTORY_HEALTH;
}

void history_exit_fields(struct text *t, const struct service_exit *e)
{
    char name[UNITS_SIGNAL_MAX];

    if (e->how == EXIT_CODE)
        text_put(t, " exit=%d", e->number);
    if (e->how == EXIT_SIGNAL)
        text_word(t, "killed_by", units_signal_name(e->number, name));
    if (e->how == EXIT_LOST)
        text_word(t, "exit", "lost");
    text_number(t, "core", e->core);
    text_number(t, "oom", e->oom);
}

size_t history_fields(const struct history_record *r, char *buf, size_t size)
{
    struct text t = {buf, 0, size};
    char name[UNITS_SIGNAL_MAX];

    if (size == 0)
        return 0;
    buf[0] = '\0';
    text_put(&t, "seq=%llu at=%lld kind=%s", (unsigned long long)r->sequence, (long long)r->at,
             kinds[r->kind]);
    text_word(&t, "service", r->name);
    if (r->kind == HISTORY_STATE)
        put_change(&t, r);
    if (r->kind == HISTORY_STATE || r->kind == HISTORY_SIGNAL || r->kind == HISTORY_DEATH)
        text_word(&t, "cause", service_cause_word((enum service_cause)r->cause));
    if (tells_process(r))
        text_word(&t, "process", processes[r->process]);
    text_number(&t, "pid", r->pid);
    if (r->kind == HISTORY_REQUEST)
        text_put(&t, " uid=%u", (unsigned)r->number);
    if (r->kind == HISTORY_SIGNAL)
        text_word(&t, "signal", units_signal_name(r->number, name));
    text_number(&t, "group", r->group);
    text_number(&t, "count", r->count);
    history_exit_fields(&t, &r->exit);
    text_number(&t, "errno", r->error);
    text_word(&t, "step", r->step);
    text_word(&t, "what", r->what);
    text_number(&t, "tries", r->tries);
    text_number(&t, "next", r->next);
    text_number(&t, "age", r->age);
    text_number(&t, "ran", r->ran);
    text_number(&t, "killed", r->killed);
    return t.n;
}
