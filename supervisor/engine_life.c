/* The life of one service: what each event does in each state. */
#include "tend/engine_life.h"

#include <assert.h>
#include <errno.h>

typedef void engine_cell(struct engine *, struct service *, msec now, const struct engine_fact *);

static const char *const event_names[] = {
    [EVENT_UP] = "up",
    [EVENT_DOWN] = "down",
    [EVENT_AGAIN] = "again",
    [EVENT_CLEAR] = "clear",
    [EVENT_QUIET] = "quiet",
    [EVENT_FORKED] = "forked",
    [EVENT_NO_FORK] = "no-fork",
    [EVENT_EXEC_OK] = "exec-ok",
    [EVENT_READY] = "ready",
    [EVENT_SIGNALLED] = "signalled",
    [EVENT_COMMAND] = "command",
    [EVENT_COMMAND_ENDED] = "command-ended",
    [EVENT_EXITED] = "exited",
    [EVENT_GONE] = "gone",
    [EVENT_FAULT] = "fault",
    [EVENT_HURRY] = "hurry",
    [EVENT_DEADLINE] = "deadline",
};
static_assert(ARRAY_SIZE(event_names) == EVENT_COUNT, "a name for each event");

const char *engine_event_name(enum engine_event event)
{
    return event_names[event];
}

static void set_deadline(struct engine *e, struct service *s, msec at)
{
    s->deadline = at;
    if (at < e->earliest)
        e->earliest = at;
}

static msec later(msec now, msec wait)
{
    return wait >= NEVER - now ? NEVER : now + wait;
}

/* ---- moving between states ---- */

static void tell(struct engine *e, const struct service *s, enum service_state from,
                 enum engine_event event, msec now, bool impossible)
{
    struct engine_change change = {s, from, s->state, event, now, impossible};

    if (e->changed)
        e->changed(e->self, &change);
}

static void enter(struct engine *e, struct service *s, enum service_state state, msec now,
                  enum engine_event event)
{
    enum service_state from = s->state;

    s->state = state;
    s->since = now;
    engine_touch(e, s);
    tell(e, s, from, event, now, false);
}

/* The only place that kills. */
static void kill_all(struct engine *e, struct service *s, msec now, enum engine_event event)
{
    s->killed = true;
    s->ready = false;
    s->pending &= ~(unsigned)(ACTION_SIGNAL | ACTION_SWEEP | ACTION_COMMAND);
    engine_want(e, s, s->command ? ACTION_KILL | ACTION_COMMAND_END : ACTION_KILL);
    set_deadline(e, s, later(now, ENGINE_KILL_WAIT));
    enter(e, s, SERVICE_KILLING, now, event);
}

static msec step_wait(const struct service *s)
{
    const struct conf *c = s->conf;

    if (s->step == STEP_DRAIN)
        return c->stop.drain;
    if (s->step == STEP_COMMAND)
        return c->stop.command_timeout;
    return s->step == STEP_SIGNAL ? c->stop.grace : c->stop.then[s->step - STEP_SIGNAL - 1].wait;
}

/* mixed: what the main process leaves behind gets KILL alone. */
static bool none_to_tell(const struct service *s)
{
    return s->step >= STEP_SIGNAL && s->conf->stop.to == CONF_TO_MIXED && s->pid == 0;
}

/* Enters the present step, or the first after it that has something to do. */
static void do_step(struct engine *e, struct service *s, msec now, enum engine_event event)
{
    if (s->step == STEP_DRAIN && s->conf->stop.drain == 0)
        s->step++;
    if (s->step == STEP_COMMAND && !s->conf->stop.command)
        s->step++;
    if (s->step > STEP_SIGNAL + s->conf->stop.n_then || none_to_tell(s)) {
        kill_all(e, s, now, event);
        return;
    }
    if (s->step == STEP_COMMAND)
        engine_want(e, s, ACTION_COMMAND);
    if (s->step >= STEP_SIGNAL)
        engine_want(e, s, ACTION_SIGNAL);
    set_deadline(e, s, later(now, step_wait(s)));
}

static void next_step(struct engine *e, struct service *s, msec now, enum engine_event event)
{
    if (s->command)
        engine_want(e, s, ACTION_COMMAND_END);
    s->step++;
    do_step(e, s, now, event);
}

static void begin_stop(struct engine *e, struct service *s, enum service_cause cause, unsigned step,
                       msec now, enum engine_event event)
{
    s->cause = cause;
    s->stop_began = now;
    s->step = step;
    s->killed = false;
    s->pending &= ~(unsigned)ACTION_SPAWN;
    enter(e, s, SERVICE_STOPPING, now, event);
    s->ready = false;
    do_step(e, s, now, event);
    if (e->hurry && s->state == SERVICE_STOPPING)
        kill_all(e, s, now, event);
}

static enum service_cause why_going(const struct engine *e, const struct service *s)
{
    return e->shutdown  ? CAUSE_SHUTDOWN
           : s->doomed  ? CAUSE_REMOVED
           : !s->wanted ? CAUSE_REQUEST
           : s->again   ? CAUSE_AGAIN
                        : CAUSE_REQUIREMENT;
}

static void take_next_conf(struct service *s)
{
    if (!s->next_conf)
        return;
    conf_free(s->conf);
    s->conf = s->next_conf;
    s->next_conf = NULL;
}

/* ---- the end of a life ---- */

static bool succeeded(const struct service *s)
{
    const struct service_exit *x = &s->last_exit;

    if (s->cause != CAUSE_EXIT)
        return false;
    return x->how == EXIT_CODE     ? conf_success_has_code(&s->conf->success, x->number)
           : x->how == EXIT_SIGNAL ? conf_success_has_signal(&s->conf->success, x->number)
                                   : false;
}

static void settle_down(struct engine *e, struct service *s, msec now, enum engine_event event)
{
    s->again = s->prepared = s->ready = false;
    if (s->doomed && !e->shutdown) /* the report is to tell of it */
        engine_want(e, s, ACTION_FREE);
    enter(e, s, SERVICE_DOWN, now, event);
}

static void settle_pending(struct engine *e, struct service *s, msec now, enum engine_event event)
{
    s->again = false;
    s->ready = false;
    enter(e, s, SERVICE_PENDING, now, event);
}

static void settle_by_policy(struct engine *e, struct service *s, msec now, enum engine_event event)
{
    msec next = NEVER;
    bool success = succeeded(s);

    s->prepared = false;
    if (s->start_by == NEVER)
        backoff_ran(s->conf, &s->tries, s->stop_began - s->started);
    switch (backoff_after(s->conf, &s->tries, success, s->started, now, &next)) {
    case BACKOFF_DONE:
        s->ready = s->conf->type == CONF_ONESHOT;
        enter(e, s, SERVICE_DONE, now, event);
        break;
    case BACKOFF_WAIT:
        set_deadline(e, s, next);
        enter(e, s, SERVICE_BACKOFF, now, event);
        break;
    case BACKOFF_GIVE_UP:
        enter(e, s, SERVICE_FAILED, now, event);
        break;
    }
}

static void settle(struct engine *e, struct service *s, msec now, enum engine_event event)
{
    bool was_preparing = s->preparing && s->cause == CAUSE_EXIT && s->last_exit.how == EXIT_CODE &&
                         s->last_exit.number == 0;

    s->deadline = NEVER;
    s->pending &= ~(unsigned)(ACTION_SIGNAL | ACTION_SWEEP | ACTION_KILL | ACTION_COMMAND |
                              ACTION_COMMAND_END | ACTION_NAME_STUCK);
    take_next_conf(s);
    if (s->preparing && s->cause == CAUSE_EXIT && !was_preparing)
        s->cause = CAUSE_BEFORE;
    if (!s->wanted || e->shutdown) {
        settle_down(e, s, now, event);
    } else if (s->again || s->cause == CAUSE_REQUIREMENT || s->cause == CAUSE_AGAIN ||
               s->cause == CAUSE_REQUEST || s->going) {
        s->prepared = false;
        settle_pending(e, s, now, event);
    } else if (was_preparing) {
        s->prepared = true;
        settle_pending(e, s, now, event);
    } else {
        settle_by_policy(e, s, now, event);
    }
    s->preparing = false;
}

/* ---- cells; unused parameters are the price of one type ---- */

#define CELL(name)                                                                                 \
    static void name(struct engine *e, struct service *s, msec now, const struct engine_fact *fact)
#define UNUSED_CELL ((void)e, (void)s, (void)now, (void)fact)

CELL(same)
{
    UNUSED_CELL;
}

CELL(want)
{
    (void)now, (void)fact;
    s->wanted = true;
    engine_touch(e, s);
}

CELL(unwant)
{
    (void)now, (void)fact;
    s->wanted = false;
    s->again = false;
    engine_touch(e, s);
}

CELL(want_again)
{
    want(e, s, now, fact);
    s->again = true;
    engine_touch(e, s);
}

CELL(to_pending)
{
    (void)fact;
    s->wanted = true;
    s->deadline = NEVER;
    take_next_conf(s);
    enter(e, s, SERVICE_PENDING, now, EVENT_UP);
}

CELL(forgive)
{
    backoff_forget(&s->tries);
    to_pending(e, s, now, fact);
}

CELL(retry)
{
    (void)fact;
    s->deadline = NEVER;
    enter(e, s, SERVICE_PENDING, now, EVENT_DEADLINE);
}

CELL(to_down)
{
    (void)fact;
    s->wanted = false;
    s->deadline = NEVER;
    take_next_conf(s);
    settle_down(e, s, now, EVENT_DOWN);
}

/* Over before_start and command together, but not over what lies between them: the end of what
 * before_start left behind, and dependencies that went. */
static msec start_limit(const struct service *s, msec now)
{
    msec left = s->start_by - s->stop_began;

    if (!s->prepared)
        return later(now, s->conf->ready.timeout);
    return later(now, left > 0 ? left : 0);
}

CELL(spawn)
{
    (void)fact;
    s->preparing = s->conf->before_start && !s->prepared;
    s->generation++;
    s->last_exit = (struct service_exit){0};
    s->error = s->error_step = 0;
    s->executed = s->adopted = false;
    s->cause = CAUSE_NONE;
    s->start_by = start_limit(s, now);
    set_deadline(e, s, s->start_by);
    engine_want(e, s, ACTION_SPAWN);
    enter(e, s, SERVICE_STARTING, now, EVENT_CLEAR);
}

CELL(forked)
{
    (void)e;
    s->pid = fact->pid;
    if (!s->prepared) {
        s->restarts += s->started != 0;
        backoff_started(s->conf, &s->tries, now);
    }
    s->started = now;
}

CELL(no_fork)
{
    s->cause = CAUSE_FORK;
    s->error = fact->error;
    s->error_step = fact->error_step;
    s->prepared = s->preparing = false;
    set_deadline(e, s, later(now, ENGINE_FORK_WAIT));
    enter(e, s, SERVICE_BACKOFF, now, EVENT_NO_FORK);
}

CELL(become_ready)
{
    (void)fact;
    if (s->preparing)
        return;
    s->ready = true;
    s->start_by = NEVER;
    /* nothing to forget, nothing to wake up for */
    set_deadline(e, s, s->tries.failures ? later(s->started, s->conf->restart.healthy) : NEVER);
    enter(e, s, SERVICE_RUNNING, now, EVENT_READY);
}

CELL(exec_ok)
{
    if (s->preparing)
        return;
    s->executed = true;
    if (s->state == SERVICE_STARTING && s->conf->ready.on == CONF_READY_EXEC)
        become_ready(e, s, now, fact);
}

CELL(stop_starting)
{
    (void)fact;
    begin_stop(e, s, why_going(e, s), STEP_SIGNAL, now, EVENT_QUIET);
}

CELL(stop_running)
{
    (void)fact;
    begin_stop(e, s, why_going(e, s), s->ready ? STEP_DRAIN : STEP_COMMAND, now, EVENT_QUIET);
}

CELL(stop_late)
{
    (void)fact;
    begin_stop(e, s, CAUSE_TIMEOUT, STEP_SIGNAL, now, EVENT_DEADLINE);
}

CELL(stop_faulty)
{
    (void)fact;
    begin_stop(e, s, CAUSE_FAULT, STEP_SIGNAL, now, EVENT_FAULT);
}

/* Only its stop command is left to run. */
CELL(stop_done)
{
    (void)fact;
    s->cause = why_going(e, s);
    if (!s->conf->stop.command) {
        settle(e, s, now, EVENT_QUIET);
        return;
    }
    begin_stop(e, s, s->cause, STEP_COMMAND, now, EVENT_QUIET);
}

static void note_exit(struct service *s, const struct engine_fact *fact)
{
    s->pid = 0;
    s->last_exit = fact->exit;
    if (fact->error) {
        s->error = fact->error;
        s->error_step = fact->error_step;
    }
}

/* Its main process ended by itself: the rest of it is stopped before anything else follows. */
CELL(exited_alone)
{
    note_exit(s, fact);
    s->pending &= ~(unsigned)(ACTION_SIGNAL | ACTION_KILL);
    begin_stop(e, s, fact->error ? CAUSE_EXEC : CAUSE_EXIT, STEP_SIGNAL, now, EVENT_EXITED);
}

CELL(exited_stopping)
{
    note_exit(s, fact);
    if (none_to_tell(s)) {
        kill_all(e, s, now, EVENT_EXITED);
    } else if (s->step == STEP_DRAIN) {
        s->step = STEP_SIGNAL;
        do_step(e, s, now, EVENT_EXITED);
    } else if (s->step >= STEP_SIGNAL) {
        engine_want(e, s, ACTION_SWEEP);
    }
}

CELL(exited_killing)
{
    (void)e, (void)now;
    note_exit(s, fact);
}

CELL(gone)
{
    (void)fact;
    settle(e, s, now, EVENT_GONE);
}

CELL(command)
{
    s->command = fact->pid;
    if (!fact->pid)
        next_step(e, s, now, EVENT_COMMAND);
}

CELL(command_ended)
{
    (void)fact;
    s->command = 0;
    if (s->state == SERVICE_STOPPING && s->step == STEP_COMMAND)
        next_step(e, s, now, EVENT_COMMAND_ENDED);
}

/* The wait counts from the moment at which the signal was really sent. */
CELL(signalled)
{
    (void)fact;
    set_deadline(e, s, later(now, s->state == SERVICE_KILLING ? ENGINE_KILL_WAIT : step_wait(s)));
}

CELL(step_over)
{
    (void)fact;
    if (s->pending & ACTION_SIGNAL)
        set_deadline(e, s, later(now, step_wait(s)));
    else
        next_step(e, s, now, EVENT_DEADLINE);
}

CELL(stuck)
{
    (void)fact;
    s->deadline = NEVER;
    engine_want(e, s, ACTION_NAME_STUCK);
    enter(e, s, SERVICE_STUCK, now, EVENT_DEADLINE);
}

CELL(kill_now)
{
    (void)fact;
    kill_all(e, s, now, EVENT_HURRY);
}

CELL(healthy)
{
    (void)e, (void)now, (void)fact;
    s->deadline = NEVER;
    backoff_forget(&s->tries);
}

CELL(impossible)
{
    UNUSED_CELL;
}

/* ---- the table ---- */

static engine_cell *const table[SERVICE_STATE_COUNT][EVENT_COUNT] = {
#define ROW(up, down, again, clear, quiet, forked_, no_fork_, exec_ok_, ready_, signalled_,        \
            command_, ended, exited, gone_, fault, hurry, deadline)                                \
    {                                                                                              \
        [EVENT_UP] = up, [EVENT_DOWN] = down, [EVENT_AGAIN] = again, [EVENT_CLEAR] = clear,        \
        [EVENT_QUIET] = quiet, [EVENT_FORKED] = forked_, [EVENT_NO_FORK] = no_fork_,               \
        [EVENT_EXEC_OK] = exec_ok_, [EVENT_READY] = ready_, [EVENT_SIGNALLED] = signalled_,        \
        [EVENT_COMMAND] = command_, [EVENT_COMMAND_ENDED] = ended, [EVENT_EXITED] = exited,        \
        [EVENT_GONE] = gone_, [EVENT_FAULT] = fault, [EVENT_HURRY] = hurry,                        \
        [EVENT_DEADLINE] = deadline                                                                \
    }
#define X impossible
    /* clang-format off */
    /*                           UP          DOWN     AGAIN       CLEAR  QUIET          FORKED  NO_FORK  EXEC_OK  READY         SIGNALLED  COMMAND  C_ENDED        EXITED           GONE  FAULT        HURRY     DEADLINE */
    [SERVICE_DOWN]     = ROW(to_pending, unwant,  to_pending, X,     same,          X,      X,       X,       X,            X,         X,       X,             X,               X,    X, X,           X),
    [SERVICE_PENDING]  = ROW(same,       to_down, same,       spawn, same,          X,      X,       X,       X,            X,         X,       X,             X,               X,    X, X,           X),
    [SERVICE_STARTING] = ROW(want,       unwant,  want_again, X,     stop_starting, forked, no_fork, exec_ok, become_ready, X,         X,       X,             exited_alone,    X,    stop_faulty, X, stop_late),
    [SERVICE_RUNNING]  = ROW(want,       unwant,  want_again, X,     stop_running,  X,      X,       exec_ok, same,         X,         X,       X,             exited_alone,    X,    stop_faulty, X, healthy),
    [SERVICE_DONE]     = ROW(want,       unwant,  want_again, X,     stop_done,     X,      X,       X,       X,            X,         X,       X,             X,               X,    X, X,           X),
    [SERVICE_STOPPING] = ROW(want,       unwant,  want_again, X,     same,          X,      X,       exec_ok, same,         signalled, command, command_ended, exited_stopping, gone, same, kill_now,        step_over),
    [SERVICE_KILLING]  = ROW(want,       unwant,  want_again, X,     same,          X,      X,       exec_ok, same,         signalled, X,       command_ended, exited_killing,  gone, same, same,        stuck),
    [SERVICE_STUCK]    = ROW(want,       unwant,  want_again, X,     same,          X,      X,       exec_ok, same,         X,         X,       command_ended, exited_killing,  gone, X, same,           X),
    [SERVICE_BACKOFF]  = ROW(forgive,    to_down, forgive,    X,     same,          X,      X,       X,       X,            X,         X,       X,             X,               X,    X, X,           retry),
    [SERVICE_FAILED]   = ROW(forgive,    to_down, forgive,    X,     same,          X,      X,       X,       X,            X,         X,       X,             X,               X,    X, X,           X),
/* clang-format on */
#undef X
#undef ROW
};

void engine_event(struct engine *e, struct service *s, enum engine_event event, msec now,
                  const struct engine_fact *fact)
{
    static const struct engine_fact nothing = {0};
    engine_cell *cell = table[s->state][event];

    if (cell == impossible) {
        e->impossible++;
        tell(e, s, s->state, event, now, true);
        return;
    }
    cell(e, s, now, fact ? fact : &nothing);
}
