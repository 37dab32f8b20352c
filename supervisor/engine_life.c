/* How a stop goes on, and how a life ends. */
#include "tend/engine_life.h"

void life_deadline(struct engine *e, struct service *s, msec at)
{
    s->deadline = at;
    if (at < e->earliest)
        e->earliest = at;
}

msec life_later(msec now, msec wait)
{
    return wait >= NEVER - now ? NEVER : now + wait;
}

/* ---- moving between states ---- */

void life_tell(struct engine *e, const struct service *s, enum service_state from,
               enum engine_event event, msec now, bool impossible)
{
    struct engine_change change = {s, from, s->state, event, now, impossible};

    if (e->changed)
        e->changed(e->self, &change);
}

void life_enter(struct engine *e, struct service *s, enum service_state state, msec now,
                enum engine_event event)
{
    enum service_state from = s->state;

    s->state = state;
    s->since = now;
    engine_touch(e, s);
    life_tell(e, s, from, event, now, false);
}

/* The only place that kills. */
void life_kill(struct engine *e, struct service *s, msec now, enum engine_event event)
{
    s->ready = false;
    s->pending &= ~(unsigned)(ACTION_SIGNAL | ACTION_SWEEP | ACTION_COMMAND);
    engine_want(e, s, s->command ? ACTION_KILL | ACTION_COMMAND_END : ACTION_KILL);
    life_deadline(e, s, life_later(now, life_kill_wait(e, now)));
    life_enter(e, s, SERVICE_KILLING, now, event);
}

/* Half of what is kept for the last KILL is for what comes after it. */
msec life_kill_wait(const struct engine *e, msec now)
{
    msec last;

    if (e->gone_by == NEVER)
        return PLAN_KILL_WAIT;
    last = e->gone_by - (e->gone_by - e->kill_at) / 2;
    if (last <= now)
        return 0;
    return last - now < PLAN_KILL_WAIT ? last - now : PLAN_KILL_WAIT;
}

msec life_share(const struct engine *e, const struct service *s, msec now, msec wait)
{
    msec rest = plan_sum(plan_sum(wait, plan_steps(s->conf, s->step + 1)), s->after);
    msec left = e->kill_at - now, share, floor = wait < ENGINE_FLOOR ? wait : ENGINE_FLOOR;

    if (e->gone_by == NEVER || rest <= left)
        return wait;
    share = left > 0 ? (msec)((double)wait * (double)left / (double)rest) : 0;
    return share > floor ? share : floor;
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

msec life_step_wait(const struct engine *e, const struct service *s, msec now)
{
    return life_share(e, s, now, step_wait(s));
}

/* mixed: what the main process leaves behind gets KILL alone. */
bool life_none_to_tell(const struct service *s)
{
    return s->step >= STEP_SIGNAL && s->conf->stop.to == CONF_TO_MIXED && s->pid == 0;
}

/* Enters the present step, or the first after it that has something to do. */
void life_do_step(struct engine *e, struct service *s, msec now, enum engine_event event)
{
    if (s->step == STEP_DRAIN && s->conf->stop.drain == 0)
        s->step++;
    if (s->step == STEP_COMMAND && !s->conf->stop.command)
        s->step++;
    if (s->step > STEP_SIGNAL + s->conf->stop.n_then || life_none_to_tell(s)) {
        life_kill(e, s, now, event);
        return;
    }
    if (s->step == STEP_COMMAND)
        engine_want(e, s, ACTION_COMMAND);
    if (s->step > STEP_SIGNAL || (s->step == STEP_SIGNAL && !s->by_itself))
        engine_want(e, s, ACTION_SIGNAL);
    life_deadline(e, s, life_later(now, life_step_wait(e, s, now)));
}

void life_next_step(struct engine *e, struct service *s, msec now, enum engine_event event)
{
    if (s->command)
        engine_want(e, s, ACTION_COMMAND_END);
    s->step++;
    life_do_step(e, s, now, event);
}

void life_begin_stop(struct engine *e, struct service *s, enum service_cause cause, unsigned step,
                     msec now, enum engine_event event)
{
    s->cause = cause;
    s->stop_began = now;
    s->step = step;
    s->killed = false;
    s->by_itself = event == EVENT_LEAVING;
    s->pending &= ~(unsigned)ACTION_SPAWN;
    life_enter(e, s, SERVICE_STOPPING, now, event);
    s->ready = false;
    life_do_step(e, s, now, event);
    if (e->hurry && s->state == SERVICE_STOPPING)
        life_kill(e, s, now, event);
}

/* How far the present step can be stretched: the later ones keep their time, and so do the waits of
 * those that stop after this service, where there is a deadline. */
static msec step_limit(const struct engine *e, const struct service *s)
{
    msec last = life_later(s->stop_began, plan_stop(s->conf, STEP_DRAIN));
    msec way = e->kill_at - s->after;

    return (last < way ? last : way) - plan_steps(s->conf, s->step + 1);
}

void life_extend_stop(struct engine *e, struct service *s, msec now, msec wait)
{
    msec by = life_later(now, wait), limit = step_limit(e, s);

    if (by > limit)
        by = limit;
    if (by > s->deadline)
        life_deadline(e, s, by);
}

/* Of what is written it keeps its share, of what it was given beyond that what is to spare. */
void life_shorten_stop(struct engine *e, struct service *s, msec now)
{
    msec wait = s->deadline - now, written = step_wait(s), limit = step_limit(e, s);
    msec share = life_share(e, s, now, wait < written ? wait : written);

    if (limit > s->deadline)
        limit = s->deadline;
    life_deadline(e, s, now + share > limit ? now + share : limit);
}

enum service_cause life_why_going(const struct engine *e, const struct service *s)
{
    return e->shutdown  ? CAUSE_SHUTDOWN
           : s->doomed  ? CAUSE_REMOVED
           : !s->wanted ? CAUSE_REQUEST
           : s->again   ? CAUSE_AGAIN
                        : CAUSE_REQUIREMENT;
}

void life_take_next_conf(struct service *s)
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

void life_settle_down(struct engine *e, struct service *s, msec now, enum engine_event event)
{
    s->again = s->prepared = s->ready = false;
    if (s->doomed && !e->shutdown) /* the report is to tell of it */
        engine_want(e, s, ACTION_FREE);
    life_enter(e, s, SERVICE_DOWN, now, event);
}

static void settle_pending(struct engine *e, struct service *s, msec now, enum engine_event event)
{
    s->again = false;
    s->ready = false;
    life_enter(e, s, SERVICE_PENDING, now, event);
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
        life_enter(e, s, SERVICE_DONE, now, event);
        break;
    case BACKOFF_WAIT:
        life_deadline(e, s, next);
        life_enter(e, s, SERVICE_BACKOFF, now, event);
        break;
    case BACKOFF_GIVE_UP:
        life_enter(e, s, SERVICE_FAILED, now, event);
        break;
    }
}

void life_settle(struct engine *e, struct service *s, msec now, enum engine_event event)
{
    bool was_preparing = s->preparing && s->cause == CAUSE_EXIT && s->last_exit.how == EXIT_CODE &&
                         s->last_exit.number == 0;

    s->deadline = NEVER;
    s->pending &= ~(unsigned)(ACTION_SIGNAL | ACTION_SWEEP | ACTION_KILL | ACTION_COMMAND |
                              ACTION_COMMAND_END | ACTION_NAME_STUCK);
    life_take_next_conf(s);
    if (s->preparing && s->cause == CAUSE_EXIT && !was_preparing)
        s->cause = CAUSE_BEFORE;
    if (!s->wanted || e->shutdown) {
        life_settle_down(e, s, now, event);
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
    s->last_pid = 0;
}
