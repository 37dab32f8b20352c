/* What happened, told to people: from changes to the history, from the history to the log. */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tend/log.h"
#include "tend/record.h"
#include "tend/units.h"
#include "tend/world.h"

/* The command of a command line speaks for itself; what is done to it, or to what it left behind,
 * without its caller having asked for it, is told. */
static bool concerns_caller(const struct history_record *r)
{
    return (r->kind == HISTORY_SIGNAL && r->number == SIGKILL) ||
           (r->kind == HISTORY_STATE && r->to == SERVICE_STUCK);
}

static const struct history_record *note(struct world *w, const struct history_record *r)
{
    const struct history_record *added = history_add(&w->history, r);

    record_write(w->record, added);
    if (added->sequence % (HISTORY_ROOM / 2) == 0)
        serve_followers(w);
    return added;
}

static void add(struct world *w, const struct history_record *r, bool quiet)
{
    char line[HISTORY_TEXT_MAX];
    const struct history_record *added = note(w, r);

    if (!log_verbose && (w->entrypoint ? !concerns_caller(r) : quiet))
        return;
    history_text(added, line, sizeof line);
    log_info("%s", line);
}

/* A change that only leads to the next one is for --verbose. */
static bool is_detail(const struct engine_change *c)
{
    switch (c->to) {
    case SERVICE_PENDING:
        return c->from != SERVICE_PENDING; /* else: it waits in vain */
    case SERVICE_STARTING:
        return true;
    case SERVICE_DOWN:
        return c->from == SERVICE_PENDING || c->from == SERVICE_BACKOFF;
    case SERVICE_STOPPING:
        return c->service->cause == CAUSE_EXIT && c->service->conf->type == CONF_ONESHOT &&
               c->service->last_exit.how == EXIT_CODE && c->service->last_exit.number == 0;
    case SERVICE_KILLING:
        return c->event == EVENT_EXITED; /* where KILL goes to somebody, that is told */
    case SERVICE_RUNNING:
    case SERVICE_DONE:
    case SERVICE_STUCK:
    case SERVICE_BACKOFF:
    case SERVICE_FAILED:
    case SERVICE_STATE_COUNT:
        break;
    }
    return false;
}

static void note_told(struct world *w, const struct service *s, int signal, unsigned others)
{
    struct ending *e = w->endings ? &w->endings[s->slot] : NULL;

    if (!e)
        return;
    if (!e->signal)
        e->signal = signal;
    e->killed |= signal == SIGKILL;
    e->swept |= others > 0 && !s->pid;
}

static void note_ending(struct world *w, const struct engine_change *c)
{
    const struct service *s = c->service;
    struct ending *e = w->endings ? &w->endings[s->slot] : NULL;

    if (!e || (c->to != SERVICE_DOWN && c->to != SERVICE_STUCK))
        return;
    e->took = c->now - s->stop_began;
    e->exit = s->last_exit;
    e->stuck = c->to == SERVICE_STUCK;
    e->any = service_state_is_ending(c->from);
}

/* As a shell would. */
static void tell_failure(const struct history_record *r)
{
    if (r->error_step == SPAWN_EXEC)
        log_warnx("%s: %s", r->what, strerror(r->error));
    else
        log_warnx("%s: %s: %s", r->what, r->step, strerror(r->error));
}

/* The copy that is kept for longer has the same sequence. */
static void add_death(struct world *w, struct history_record *r)
{
    if (r->error)
        r->step = spawn_step_name(r->error_step);
    add(w, r, true);
    r->sequence = w->history.last;
    history_deaths_add(&w->deaths, r);
}

void observe_change(struct world *w, const struct engine_change *c)
{
    struct history_record r, death;

    if (c->impossible) {
        log_warnx("%s: event %s cannot be in state %s: a fault of tend", service_name(c->service),
                  engine_event_name(c->event), service_state_name(c->from));
        return;
    }
    world_life(w, c->service)->unsaved = true;
    note_ending(w, c);
    r = history_from_change(c);
    if (r.error)
        r.step = spawn_step_name(r.error_step);
    if (w->entrypoint && r.error && c->to == SERVICE_STOPPING)
        tell_failure(&r);
    if (history_death(c, &death))
        add_death(w, &death);
    add(w, &r, is_detail(c));
}

static struct history_record record_of(const struct world *w, const struct service *s,
                                       enum history_kind kind)
{
    struct history_record r = {.at = w->now,
                               .kind = kind,
                               .from = (uint8_t)s->state,
                               .to = (uint8_t)s->state,
                               .cause = (uint8_t)s->cause};

    snprintf(r.name, sizeof r.name, "%s", service_name(s));
    return r;
}

void observe_signal(struct world *w, struct service *s, int signal, unsigned others)
{
    struct history_record r = record_of(w, s, HISTORY_SIGNAL);

    r.pid = s->pid;
    r.group = s->conf->stop.to == CONF_TO_GROUP || signal == SIGKILL;
    r.number = signal;
    r.count = others;
    note_told(w, s, signal, others);
    add(w, &r, true);
}

void observe_sent(struct world *w, const struct service *s, int signal, bool group)
{
    struct history_record r = record_of(w, s, HISTORY_SIGNAL);

    r.pid = s->pid;
    r.group = group;
    r.number = signal;
    add(w, &r, true);
}

static uint8_t process_of(const struct service *s, enum child_kind kind)
{
    if (kind == CHILD_COMMAND)
        return HISTORY_COMMAND;
    if (kind == CHILD_RELOAD)
        return HISTORY_RELOAD;
    if (kind == CHILD_PROBE)
        return HISTORY_PROBE;
    return s->preparing ? HISTORY_BEFORE : HISTORY_MAIN;
}

void observe_forked(struct world *w, const struct service *s, enum child_kind kind, pid_t pid)
{
    struct history_record r = record_of(w, s, HISTORY_FORKED);

    r.process = process_of(s, kind);
    r.pid = pid;
    add(w, &r, true);
}

/* A reload of our own config may have taken the command away while it ran. */
static void tell_command_failure(struct world *w, const struct service *s, enum child_kind kind)
{
    const struct life *l = world_life(w, s);
    bool reload = kind == CHILD_RELOAD;
    const struct start_failure *failure = reload ? &l->reload_failure : &l->command_failure;
    char *const *argv = reload ? s->conf->reload.command : s->conf->stop.command;

    log_warnx("%s: %s command \"%s\": %s: %s", service_name(s), reload ? "reload" : "stop",
              argv ? argv[0] : "", spawn_step_name(failure->step), strerror(failure->error));
}

void observe_command(struct world *w, struct service *s, enum child_kind kind, pid_t pid,
                     const struct service_exit *exit)
{
    const struct life *l = world_life(w, s);
    bool failed = kind == CHILD_RELOAD ? l->reload_failure.error : l->command_failure.error;
    struct history_record r = record_of(w, s, HISTORY_EXIT);

    if (failed)
        tell_command_failure(w, s, kind);
    r.process = process_of(s, kind);
    r.pid = pid;
    r.exit = *exit;
    add(w, &r, failed || (exit->how == EXIT_CODE && exit->number == 0));
}

void observe_config(struct world *w, const char *what, size_t services)
{
    struct history_record r = {.at = w->now, .kind = HISTORY_CONFIG, .count = (unsigned)services};

    snprintf(r.what, sizeof r.what, "%s", what);
    add(w, &r, false);
}

void observe_request(struct world *w, uid_t uid, pid_t pid, const char *what)
{
    struct history_record r = {
        .at = w->now, .kind = HISTORY_REQUEST, .number = (int)uid, .pid = pid};

    snprintf(r.what, sizeof r.what, "%s", what);
    add(w, &r, false);
}

void observe_status(struct world *w, const struct service *s, const char *status)
{
    struct history_record r = record_of(w, s, HISTORY_STATUS);

    history_set_what(&r, status);
    add(w, &r, false);
}

void observe_notify(struct world *w, const struct service *s, const char *format, ...)
{
    struct history_record r = record_of(w, s, HISTORY_NOTIFY);
    va_list ap;

    va_start(ap, format);
    vsnprintf(r.what, sizeof r.what, format, ap);
    va_end(ap);
    add(w, &r, false);
}

void observe_health(struct world *w, const struct service *s, const char *what)
{
    struct history_record r = record_of(w, s, HISTORY_HEALTH);

    history_set_what(&r, what);
    add(w, &r, false);
}

void observe_reaped(struct world *w, unsigned strays)
{
    struct history_record r = {.at = w->now, .kind = HISTORY_STRAY, .count = strays};

    add(w, &r, true);
}

/* ---- what KILL did not end ---- */

void observe_read_word(const struct world *w, pid_t pid, const char *file, char *buf, size_t size)
{
    char path[48];
    ssize_t n = -1;
    int fd;

    snprintf(path, sizeof path, "%d/%s", (int)pid, file);
    fd = w->proc < 0 ? -1 : openat(w->proc, path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, buf, size - 1);
        close(fd);
    }
    buf[n > 0 ? n : 0] = '\0';
    buf[strcspn(buf, "\n")] = '\0';
    for (; *buf; buf++) /* a process gives itself any name, also one that a terminal obeys */
        if (*buf < ' ' || *buf > '~')
            *buf = '?';
}

/* Without what the compiler adds to a name. */
void observe_read_where(const struct world *w, pid_t pid, char *buf, size_t size)
{
    observe_read_word(w, pid, "wchan", buf, size);
    buf[strcspn(buf, ".")] = '\0';
    if (strcmp(buf, "0") == 0)
        *buf = '\0';
}

static void name_process(const struct world *w, const struct service *s, pid_t pid)
{
    struct process_stat p;
    char command[32], where[64];

    if (members_stat(w->proc, pid, &p)) {
        log_warnx("%s: KILL has no effect on pid %d", service_name(s), (int)pid);
        return;
    }
    if (pid != s->pid && p.state == 'Z') /* its parent does not wait for it */
        return;
    observe_read_word(w, pid, "comm", command, sizeof command);
    observe_read_where(w, pid, where, sizeof where);
    log_warnx("%s: KILL has no effect on pid %d (%s), state %c%s%s", service_name(s), (int)pid,
              command, p.state, *where ? ", in " : "", where);
}

void observe_stuck(struct world *w, struct service *s)
{
    const struct members *m = &world_life(w, s)->members;

    if (s->pid)
        name_process(w, s, s->pid);
    if (world_life(w, s)->reload_pid)
        name_process(w, s, world_life(w, s)->reload_pid);
    if (act_probe_pid(world_life(w, s)))
        name_process(w, s, act_probe_pid(world_life(w, s)));
    for (unsigned i = 0; i < m->n && i < 16; i++)
        name_process(w, s, m->at[i].pid);
}

/* ---- the shutdown ---- */

/* As of the last look. */
static void name_strangers(const struct world *w)
{
    char command[32];

    for (size_t i = 0; i < w->n_unknown && i < 16; i++) {
        observe_read_word(w, w->unknown[i].pid, "comm", command, sizeof command);
        log_info("  pid %d (%s), state %c", (int)w->unknown[i].pid, command, w->unknown[i].state);
    }
}

void observe_strays(struct world *w, int signal)
{
    char name[UNITS_SIGNAL_MAX];

    if (!w->strays.signal) {
        w->strays.signal = signal;
        w->strays_since = w->now;
    }
    w->strays.killed |= signal == SIGKILL;
    log_info("processes of no service are left: %s", units_signal_name(signal, name));
    name_strangers(w);
}

void observe_left(struct world *w, const struct service *s)
{
    msec kill_at = w->kill_at < w->engine.kill_at ? w->kill_at : w->engine.kill_at;
    msec until = s->deadline < kill_at ? s->deadline : kill_at;
    char wait[UNITS_DURATION_MAX];

    if (!w->entrypoint || w->left_told || s->state != SERVICE_STOPPING)
        return;
    w->left_told = true;
    log_info("left behind by %s: TERM, and KILL in %s", service_name(s),
             units_duration_short(until > w->now ? until - w->now : 0, wait));
    name_strangers(w);
}

/* What it can take, as planned, with all that is still to come. */
static void find_worst(struct world *w)
{
    struct plan plan;
    size_t first;

    w->worst = NEVER;
    if (plan_of_living(&plan, &w->engine.graph, PLAN_KILL_WAIT))
        return;
    w->worst = plan_sum(plan_longest(&plan, &first), plan_sweep(w->supervisor.grace));
    plan_free(&plan);
}

void observe_shutdown(struct world *w, const char *why)
{
    struct history_record r = {.at = w->now, .kind = HISTORY_SHUTDOWN};

    w->endings = calloc(w->n_lives + 1, sizeof *w->endings);
    for (size_t i = 0; w->endings && i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        w->endings[i].live = s && service_live(s);
        w->endings[i].stuck = w->endings[i].any = s && s->state == SERVICE_STUCK;
    }
    find_worst(w);
    note(w, &r);
    if (!w->entrypoint || log_verbose)
        log_info("shutdown: %s", why);
}

static const char *outcome(const struct ending *e)
{
    return e->stuck    ? "left, KILL had no effect"
           : e->killed ? "killed"
           : e->swept  ? "swept"
           : e->signal ? "on its signal"
                       : "by itself";
}

static const char strays[] = "(strays)"; /* no name of a service */

static int name_width(const struct world *w)
{
    int width = w->strays.signal ? (int)sizeof strays - 1 : 0;

    for (size_t i = 0; i < w->engine.graph.n; i++)
        if (w->engine.graph.at[i]) {
            int n = (int)strlen(service_name(w->engine.graph.at[i]));
            width = n > width ? n : width;
        }
    return width;
}

static void report(const struct world *w, const struct service *s, int width)
{
    const struct ending *e = &w->endings[s->slot];
    char took[UNITS_DURATION_MAX], name[UNITS_SIGNAL_MAX], exit[EXIT_TEXT_MAX];

    if (e->any)
        log_info("  %-*s %7s  %-5s %-24s %s", width, service_name(s),
                 units_duration_short(e->took, took),
                 e->signal ? units_signal_name(e->signal, name) : "-", outcome(e),
                 exit_text(&e->exit, exit));
    else if (s->last_exit.how != EXIT_NONE)
        log_info("  %-*s %7s  %-5s %-24s %s", width, service_name(s), "-", "-",
                 s->state == SERVICE_FAILED ? "had failed" : "had ended",
                 exit_text(&s->last_exit, exit));
    else
        log_info("  %-*s %7s  %-5s %s", width, service_name(s), "-", "-", "was not running");
}

static void report_strays(const struct world *w, int width)
{
    char took[UNITS_DURATION_MAX], name[UNITS_SIGNAL_MAX];

    if (w->strays.signal)
        log_info("  %-*s %7s  %-5s %s", width, strays,
                 units_duration_short(w->now - w->strays_since, took),
                 units_signal_name(w->strays.signal, name), outcome(&w->strays));
}

/* The way through the shutdown that took longest, where there is more than one service on it. */
static void report_chain(const struct world *w)
{
    char line[400] = "", took[UNITS_DURATION_MAX];
    struct plan plan;
    size_t at, n = 0;
    msec *times = calloc(w->n_lives + 1, sizeof *times);

    for (size_t i = 0; times && i < w->engine.graph.n; i++)
        times[i] = w->endings[i].any ? w->endings[i].took : 0;
    if (!times || plan_of_times(&plan, &w->engine.graph, times)) {
        free(times);
        return;
    }
    plan_longest(&plan, &at);
    for (; at != PLAN_NONE && strlen(line) < sizeof line - 100; at = plan.at[at].next, n++)
        sprintf(line + strlen(line), "%s%s %s", n ? ", then " : "",
                service_name(w->engine.graph.at[at]), units_duration_short(times[at], took));
    if (n > 1)
        log_info("the longest chain: %s%s", line, at != PLAN_NONE ? ", then ..." : "");
    plan_free(&plan);
    free(times);
}

/* Against the plan, which is the worst case. */
static void report_total(const struct world *w, msec took)
{
    const struct engine *e = &w->engine;
    char line[3 * UNITS_DURATION_MAX + 60], text[UNITS_DURATION_MAX];
    int n = sprintf(line, "shutdown complete in %s", units_duration_short(took, text));

    if (w->worst < NEVER)
        n += sprintf(line + n, ", at most %s", units_duration_short(w->worst, text));
    if (e->gone_by < NEVER)
        sprintf(line + n, ", deadline %s",
                units_duration_short(e->gone_by - e->shutdown_began, text));
    log_info("%s", line);
}

void observe_report(struct world *w)
{
    msec took = w->now - w->engine.shutdown_began;
    struct history_record r = {.at = w->now, .kind = HISTORY_SHUTDOWN, .age = took > 0 ? took : 1};
    int width = name_width(w);

    if (!w->engine.shutdown)
        return;
    note(w, &r);
    if (!w->endings || (w->entrypoint && !log_verbose))
        return;
    for (size_t i = 0; i < w->engine.graph.n; i++)
        if (w->engine.graph.at[i])
            report(w, w->engine.graph.at[i], width);
    report_strays(w, width);
    report_chain(w);
    report_total(w, took);
}
