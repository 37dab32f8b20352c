/* What each event does in each state of a service: the cells, and their table. */
#include "tend/engine_life.h"

#include <assert.h>

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
    [EVENT_MAIN] = "main",
    [EVENT_EXTEND] = "extend",
    [EVENT_LEAVING] = "leaving",
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
    life_take_next_conf(s);
    life_enter(e, s, SERVICE_PENDING, now, EVENT_UP);
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
    life_enter(e, s, SERVICE_PENDING, now, EVENT_DEADLINE);
}

CELL(to_down)
{
    (void)fact;
    s->wanted = false;
    s->deadline = NEVER;
    life_take_next_conf(s);
    life_settle_down(e, s, now, EVENT_DOWN);
}

/* Over before_start and command together, but not over what lies between them: the end of what
 * before_start left behind, and dependencies that went. */
static msec start_limit(const struct service *s, msec now)
{
    msec left = s->start_by - s->stop_began;

    if (!s->prepared)
        return life_later(now, s->conf->ready.timeout);
    return life_later(now, left > 0 ? left : 0);
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
    life_deadline(e, s, s->start_by);
    engine_want(e, s, ACTION_SPAWN);
    life_enter(e, s, SERVICE_STARTING, now, EVENT_CLEAR);
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
    s->prepared = false;
    life_deadline(e, s, life_later(now, ENGINE_FORK_WAIT));
    life_enter(e, s, SERVICE_BACKOFF, now, EVENT_NO_FORK);
    s->preparing = false;
}

CELL(become_ready)
{
    (void)fact;
    if (s->preparing || !s->pid)
        return;
    s->ready = true;
    s->start_by = NEVER;
    /* nothing to forget, nothing to wake up for */
    life_deadline(e, s,
                  s->tries.failures ? life_later(s->started, s->conf->restart.healthy) : NEVER);
    life_enter(e, s, SERVICE_RUNNING, now, EVENT_READY);
}

CELL(exec_ok)
{
    if (s->preparing)
        return;
    s->executed = true;
    if (s->state == SERVICE_STARTING && s->conf->ready.on == CONF_READY_EXEC)
        become_ready(e, s, now, fact);
}

/* Not its before_start, nor only what its main process has left. */
static bool has_main(const struct service *s)
{
    return s->pid && s->executed;
}

/* Of the one before the engine hears as of any other member. */
CELL(new_main)
{
    (void)e, (void)now;
    if (!has_main(s))
        return;
    s->pid = fact->pid;
    s->adopted = true;
}

/* NEVER would be a start that is over. */
CELL(extend_start)
{
    msec by = life_later(now, fact->wait < CONF_TIME_MAX ? fact->wait : CONF_TIME_MAX);

    if (by <= s->start_by)
        return;
    s->start_by = by;
    life_deadline(e, s, by);
}

CELL(extend_stop)
{
    life_extend_stop(e, s, now, fact->wait);
}

CELL(leave)
{
    (void)fact;
    if (has_main(s))
        life_begin_stop(e, s, CAUSE_EXIT, STEP_SIGNAL, now, EVENT_LEAVING);
}

CELL(stop_starting)
{
    (void)fact;
    life_begin_stop(e, s, life_why_going(e, s), STEP_SIGNAL, now, EVENT_QUIET);
}

CELL(stop_running)
{
    (void)fact;
    life_begin_stop(e, s, life_why_going(e, s), s->ready ? STEP_DRAIN : STEP_COMMAND, now,
                    EVENT_QUIET);
}

CELL(stop_late)
{
    (void)fact;
    life_begin_stop(e, s, CAUSE_TIMEOUT, STEP_SIGNAL, now, EVENT_DEADLINE);
}

CELL(stop_faulty)
{
    if (s->preparing || !s->pid)
        return;
    life_begin_stop(e, s, fact->cause == CAUSE_WATCHDOG ? CAUSE_WATCHDOG : CAUSE_FAULT, STEP_SIGNAL,
                    now, EVENT_FAULT);
}

/* Only its stop command is left to run. */
CELL(stop_done)
{
    (void)fact;
    s->cause = life_why_going(e, s);
    if (!s->conf->stop.command) {
        life_settle(e, s, now, EVENT_QUIET);
        return;
    }
    life_begin_stop(e, s, s->cause, STEP_COMMAND, now, EVENT_QUIET);
}

static void note_exit(struct service *s, msec now, const struct engine_fact *fact)
{
    s->last_pid = s->pid;
    s->ended = now;
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
    note_exit(s, now, fact);
    s->pending &= ~(unsigned)(ACTION_SIGNAL | ACTION_KILL);
    life_begin_stop(e, s, fact->error ? CAUSE_EXEC : CAUSE_EXIT, STEP_SIGNAL, now, EVENT_EXITED);
}

CELL(exited_stopping)
{
    note_exit(s, now, fact);
    if (life_none_to_tell(s)) {
        life_kill(e, s, now, EVENT_EXITED);
    } else if (s->step == STEP_DRAIN) {
        s->step = STEP_SIGNAL;
        life_do_step(e, s, now, EVENT_EXITED);
    } else if (s->step >= STEP_SIGNAL) {
        engine_want(e, s, ACTION_SWEEP);
    }
}

CELL(exited_killing)
{
    (void)e;
    note_exit(s, now, fact);
}

CELL(gone)
{
    (void)fact;
    life_settle(e, s, now, EVENT_GONE);
}

CELL(command)
{
    s->command = fact->pid;
    if (!fact->pid)
        life_next_step(e, s, now, EVENT_COMMAND);
}

CELL(command_ended)
{
    (void)fact;
    s->command = 0;
    if (s->state == SERVICE_STOPPING && s->step == STEP_COMMAND)
        life_next_step(e, s, now, EVENT_COMMAND_ENDED);
}

/* The wait counts from the moment at which the signal was really sent; more may have been asked for
 * before. */
CELL(signalled)
{
    bool kill = s->state == SERVICE_KILLING;
    msec by = life_later(now, kill ? life_kill_wait(e, now) : life_step_wait(e, s, now));

    (void)fact;
    s->killed = s->killed || kill;
    if (kill || by > s->deadline)
        life_deadline(e, s, by);
}

CELL(step_over)
{
    (void)fact;
    if (s->pending & ACTION_SIGNAL)
        life_deadline(e, s, life_later(now, life_step_wait(e, s, now)));
    else
        life_next_step(e, s, now, EVENT_DEADLINE);
}

CELL(stuck)
{
    (void)fact;
    if (s->pending & ACTION_KILL) {
        life_deadline(e, s, life_later(now, life_kill_wait(e, now)));
        return;
    }
    s->deadline = NEVER;
    engine_want(e, s, ACTION_NAME_STUCK);
    life_enter(e, s, SERVICE_STUCK, now, EVENT_DEADLINE);
}

CELL(kill_now)
{
    (void)fact;
    life_kill(e, s, now, EVENT_HURRY);
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
#define ROW(up, down, again, clear, quiet, forked_, no_fork_, exec_ok_, ready_, main_, extend,     \
            leaving, signalled_, command_, ended, exited, gone_, fault, hurry, deadline)           \
    {                                                                                              \
        [EVENT_UP] = up, [EVENT_DOWN] = down, [EVENT_AGAIN] = again, [EVENT_CLEAR] = clear,        \
        [EVENT_QUIET] = quiet, [EVENT_FORKED] = forked_, [EVENT_NO_FORK] = no_fork_,               \
        [EVENT_EXEC_OK] = exec_ok_, [EVENT_READY] = ready_, [EVENT_MAIN] = main_,                  \
        [EVENT_EXTEND] = extend, [EVENT_LEAVING] = leaving, [EVENT_SIGNALLED] = signalled_,        \
        [EVENT_COMMAND] = command_, [EVENT_COMMAND_ENDED] = ended, [EVENT_EXITED] = exited,        \
        [EVENT_GONE] = gone_, [EVENT_FAULT] = fault, [EVENT_HURRY] = hurry,                        \
        [EVENT_DEADLINE] = deadline                                                                \
    }
#define X impossible
    /* clang-format off */
    /*                           UP          DOWN     AGAIN       CLEAR  QUIET          FORKED  NO_FORK  EXEC_OK  READY         MAIN      EXTEND        LEAVING SIGNALLED  COMMAND  C_ENDED        EXITED           GONE  FAULT        HURRY     DEADLINE */
    [SERVICE_DOWN]     = ROW(to_pending, unwant,  to_pending, X,     same,          X,      X,       X,       X,            X,        X,            X,      X,         X,       X,             X,               X,    X, X,           X),
    [SERVICE_PENDING]  = ROW(same,       to_down, same,       spawn, same,          X,      X,       X,       X,            X,        X,            X,      X,         X,       X,             X,               X,    X, X,           X),
    [SERVICE_STARTING] = ROW(want,       unwant,  want_again, X,     stop_starting, forked, no_fork, exec_ok, become_ready, new_main, extend_start, leave,  X,         X,       X,             exited_alone,    X,    stop_faulty, X, stop_late),
    [SERVICE_RUNNING]  = ROW(want,       unwant,  want_again, X,     stop_running,  X,      X,       exec_ok, same,         new_main, same,         leave,  X,         X,       X,             exited_alone,    X,    stop_faulty, X, healthy),
    [SERVICE_DONE]     = ROW(want,       unwant,  want_again, X,     stop_done,     X,      X,       X,       X,            X,        X,            X,      X,         X,       X,             X,               X,    X, X,           X),
    [SERVICE_STOPPING] = ROW(want,       unwant,  want_again, X,     same,          X,      X,       exec_ok, same,         new_main, extend_stop,  same,   signalled, command, command_ended, exited_stopping, gone, same, kill_now,        step_over),
    [SERVICE_KILLING]  = ROW(want,       unwant,  want_again, X,     same,          X,      X,       exec_ok, same,         same,     same,         same,   signalled, X,       command_ended, exited_killing,  gone, same, same,        stuck),
    [SERVICE_STUCK]    = ROW(want,       unwant,  want_again, X,     same,          X,      X,       exec_ok, same,         same,     same,         same,   X,         X,       command_ended, exited_killing,  gone, X, same,           X),
    [SERVICE_BACKOFF]  = ROW(forgive,    to_down, forgive,    X,     same,          X,      X,       X,       X,            X,        X,            X,      X,         X,       X,             X,               X,    X, X,           retry),
    [SERVICE_FAILED]   = ROW(forgive,    to_down, forgive,    X,     same,          X,      X,       X,       X,            X,        X,            X,      X,         X,       X,             X,               X,    X, X,           X),
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
        life_tell(e, s, s->state, event, now, true);
        return;
    }
    cell(e, s, now, fact ? fact : &nothing);
}
