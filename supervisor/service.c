#include "tend/service.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tend/units.h"

static const char *const state_names[] = {
    [SERVICE_DOWN] = "down",       [SERVICE_PENDING] = "pending", [SERVICE_STARTING] = "starting",
    [SERVICE_RUNNING] = "running", [SERVICE_DONE] = "done",       [SERVICE_STOPPING] = "stopping",
    [SERVICE_KILLING] = "killing", [SERVICE_STUCK] = "stuck",     [SERVICE_BACKOFF] = "backoff",
    [SERVICE_FAILED] = "failed",
};
static_assert(ARRAY_SIZE(state_names) == SERVICE_STATE_COUNT, "a name for each state");

static const char *const cause_texts[] = {
    [CAUSE_NONE] = "none",
    [CAUSE_REQUEST] = "by request",
    [CAUSE_REMOVED] = "removed from the config",
    [CAUSE_AGAIN] = "to be restarted",
    [CAUSE_SHUTDOWN] = "shutdown",
    [CAUSE_REQUIREMENT] = "what it requires went",
    [CAUSE_EXIT] = "it ended",
    [CAUSE_EXEC] = "it could not be executed",
    [CAUSE_FORK] = "no process could be made",
    [CAUSE_BEFORE] = "before_start did not succeed",
    [CAUSE_TIMEOUT] = "not ready in time",
    [CAUSE_FAULT] = "unhealthy",
    [CAUSE_WATCHDOG] = "its watchdog was not fed",
};
static_assert(ARRAY_SIZE(cause_texts) == CAUSE_COUNT, "a text for each cause");

static const char *const cause_words[] = {
    [CAUSE_NONE] = "",
    [CAUSE_REQUEST] = "request",
    [CAUSE_REMOVED] = "removed",
    [CAUSE_AGAIN] = "restart",
    [CAUSE_SHUTDOWN] = "shutdown",
    [CAUSE_REQUIREMENT] = "requirement",
    [CAUSE_EXIT] = "exit",
    [CAUSE_EXEC] = "exec",
    [CAUSE_FORK] = "fork",
    [CAUSE_BEFORE] = "before_start",
    [CAUSE_TIMEOUT] = "timeout",
    [CAUSE_FAULT] = "fault",
    [CAUSE_WATCHDOG] = "watchdog",
};
static_assert(ARRAY_SIZE(cause_words) == CAUSE_COUNT, "a word for each");

const char *service_state_name(enum service_state state)
{
    return state_names[state];
}

const char *service_cause_text(enum service_cause cause)
{
    return cause_texts[cause];
}

const char *service_cause_word(enum service_cause cause)
{
    return cause_words[cause];
}

bool exit_from_status(int status, struct service_exit *out)
{
    if (WIFEXITED(status))
        *out = (struct service_exit){.how = EXIT_CODE, .number = WEXITSTATUS(status)};
    else if (WIFSIGNALED(status))
        *out = (struct service_exit){
            .how = EXIT_SIGNAL, .number = WTERMSIG(status), .core = WCOREDUMP(status)};
    else
        return false;
    return true;
}

const char *exit_text(const struct service_exit *e, char buf[static EXIT_TEXT_MAX])
{
    char name[UNITS_SIGNAL_MAX];
    const char *signal;

    switch (e->how) {
    case EXIT_CODE:
        snprintf(buf, EXIT_TEXT_MAX, "exit %d", e->number);
        break;
    case EXIT_SIGNAL:
        signal = units_signal_name(e->number, name);
        snprintf(buf, EXIT_TEXT_MAX, "%s%s%s", strncmp(signal, "signal ", 7) ? "signal " : "",
                 signal,
                 e->oom    ? " (out of memory)"
                 : e->core ? " (core dumped)"
                           : "");
        break;
    case EXIT_LOST:
        snprintf(buf, EXIT_TEXT_MAX, "gone, status unknown");
        break;
    case EXIT_NONE:
    case EXIT_HOW_COUNT:
        snprintf(buf, EXIT_TEXT_MAX, "not ended");
        break;
    }
    return buf;
}

int exit_shell_code(const struct service_exit *e)
{
    return e->how == EXIT_CODE ? e->number : e->how == EXIT_SIGNAL ? 128 + e->number : 1;
}

struct service *service_new(struct conf *conf, unsigned slot)
{
    struct service *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->conf = conf;
    s->slot = slot;
    s->deadline = s->start_by = NEVER;
    return s;
}

void service_free(struct service *s)
{
    if (!s)
        return;
    conf_free(s->conf);
    conf_free(s->next_conf);
    free(s->needs);
    free(s->needed_by);
    free(s);
}

bool service_live(const struct service *s)
{
    switch (s->state) {
    case SERVICE_STARTING:
    case SERVICE_RUNNING:
    case SERVICE_STOPPING:
    case SERVICE_KILLING:
    case SERVICE_STUCK:
        return true;
    case SERVICE_DOWN:
    case SERVICE_PENDING:
    case SERVICE_DONE:
    case SERVICE_BACKOFF:
    case SERVICE_FAILED:
    case SERVICE_STATE_COUNT:
        break;
    }
    return false;
}

int service_stop_signal(const struct service *s)
{
    if (s->step > STEP_SIGNAL && s->step - STEP_SIGNAL <= s->conf->stop.n_then)
        return s->conf->stop.then[s->step - STEP_SIGNAL - 1].signal;
    if (s->step == STEP_SIGNAL && s->cause == CAUSE_WATCHDOG)
        return s->conf->watchdog_signal;
    return s->conf->stop.signal;
}
