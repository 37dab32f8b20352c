/* The invariants, by the names that they have in the project's catalogue of faults. */
#include <signal.h>

#include "sim.h"

#define EDGES(...) (0 __VA_ARGS__)
#define TO(state)  | 1u << SERVICE_##state

/* P06: the changes of state that are declared. */
static const unsigned edges[SERVICE_STATE_COUNT] = {
    [SERVICE_DOWN] = EDGES(TO(PENDING)),
    [SERVICE_PENDING] = EDGES(TO(STARTING) TO(DOWN)),
    [SERVICE_STARTING] = EDGES(TO(RUNNING) TO(STOPPING) TO(BACKOFF)),
    [SERVICE_RUNNING] = EDGES(TO(STOPPING)),
    [SERVICE_DONE] = EDGES(TO(STOPPING) TO(DOWN) TO(PENDING)),
    [SERVICE_STOPPING] = EDGES(TO(KILLING) TO(DOWN) TO(PENDING) TO(DONE) TO(BACKOFF) TO(FAILED)),
    [SERVICE_KILLING] = EDGES(TO(STUCK) TO(DOWN) TO(PENDING) TO(DONE) TO(BACKOFF) TO(FAILED)),
    [SERVICE_STUCK] = EDGES(TO(DOWN) TO(PENDING) TO(DONE) TO(BACKOFF) TO(FAILED)),
    [SERVICE_BACKOFF] = EDGES(TO(PENDING) TO(DOWN)),
    [SERVICE_FAILED] = EDGES(TO(PENDING) TO(DOWN)),
};

/* The exception: it is told, once, that what is pending waits in vain. */
void check_edge(struct world *w, const struct engine_change *c)
{
    if (c->from == SERVICE_PENDING && c->to == SERVICE_PENDING && will_not_come(c->service))
        return;
    if (!(edges[c->from] >> c->to & 1))
        broken(w, "P06", "%s: %s -> %s", service_name(c->service), service_state_name(c->from),
               service_state_name(c->to));
}

/* ---- starts ---- */

/* Not by itself: it gave up, is not wanted, is done without being ready, or requires such a one. */
bool will_not_come(const struct service *d)
{
    if (!d->wanted || d->state == SERVICE_FAILED ||
        (d->state == SERVICE_DONE && !d->ready && !d->again))
        return true;
    for (size_t i = 0; i < d->n_needs; i++)
        if (d->needs[i].kind == EDGE_REQUIRES && will_not_come(d->needs[i].to))
            return true;
    return false;
}

static const char *missing(const struct world *w, const struct service *d, enum edge_kind kind)
{
    if (!d)
        return "is not there";
    if (kind != EDGE_REQUIRES && will_not_come(d))
        return NULL;
    if (!d->wanted || d->again || w->engine.shutdown)
        return "is to go";
    if (d->state == SERVICE_DONE && (kind != EDGE_REQUIRES || d->conf->type == CONF_ONESHOT))
        return NULL;
    return d->state == SERVICE_RUNNING ? NULL : "is not ready";
}

/* P12: every start has its time, and what lies between before_start and command is not counted. */
static void check_start_time(struct world *w, const struct service *s, struct book *b)
{
    b->start_by = w->now + (s->prepared ? b->start_left : b->spec.timeout);
    if (s->deadline != b->start_by)
        broken(w, "P12", "%s: has to be ready by %lld, not %lld", service_name(s),
               (long long)b->start_by, (long long)s->deadline);
}

/* P09, P10, P01: at the decision. */
void check_clear(struct world *w, const struct service *s)
{
    struct book *b = &w->book[s->slot];
    const char *name = service_name(s), *why;

    for (unsigned i = 0; i < b->n_needs; i++)
        if ((why = missing(w, book_service(w, b->needs[i]), b->kinds[i])))
            broken(w, "P09", "%s starts, but what it needs (%u) %s", name, i, why);
    for (unsigned i = 0; i < SLOTS; i++)
        if (w->book[i].id && w->book[i].id != b->id && w->book[i].name == b->name)
            broken(w, "P01", "%s starts beside its predecessor", name);
    check_start_time(w, s, b);
    if (b->retried && w->now < b->started + b->spec.delay)
        broken(w, "P11", "%s starts again after %lld ms", name, (long long)(w->now - b->started));
}

/* At the fork. */
void check_spawn(struct world *w, const struct service *s)
{
    const struct book *b = &w->book[s->slot];

    if (w->kept_shutdown)
        broken(w, "P17", "%s starts during the shutdown", service_name(s));
    if (!b->wanted || b->doomed)
        broken(w, "P10", "%s starts and is not wanted", service_name(s));
    if (s->preparing && !s->conf->before_start)
        broken(w, "P08", "%s prepares without a command", service_name(s));
    for (unsigned pid = TEND_PID + 1; pid < w->kernel.pids; pid++) {
        const struct proc *p = &w->kernel.at[pid];
        if (p->owner == b->id && proc_lives(p) && p->found)
            broken(w, "P01", "%s starts while pid %u of it lives", service_name(s), pid);
    }
}

/* P11: after a backoff there are no more starts in the window than the limit allows. */
void check_rate(struct world *w, const struct service *s)
{
    const struct book *b = &w->book[s->slot];
    unsigned n = 0;

    if (!b->retried || b->spec.limit == 0 || b->spec.limit > TRIES_KEPT)
        return;
    for (unsigned i = 0; i < b->n_recent; i++)
        n += b->recent[i] > w->now - b->spec.window;
    if (n > b->spec.limit)
        broken(w, "P11", "%s: start %u in %lld ms, %ld are allowed", service_name(s), n,
               (long long)b->spec.window, b->spec.limit);
}

static msec least_delay(const struct spec *s, unsigned failures)
{
    msec delay = s->delay;

    for (unsigned i = 1; i < failures && delay < s->max_delay; i++)
        delay *= 2;
    delay = delay < s->max_delay ? delay : s->max_delay;
    return failures > 1 && delay - delay / 8 > s->delay ? delay - delay / 8 : s->delay;
}

/* P11: the delay is in its range, grows, and does not shrink before a healthy run. */
void check_backoff(struct world *w, const struct service *s)
{
    struct book *b = &w->book[s->slot];
    msec delay = s->tries.delay, due = b->started + delay;

    if (w->now - b->started >= b->spec.healthy)
        b->failures = b->n_recent = 0, b->delay = 0;
    b->failures++;
    b->retried = true;
    if (delay < least_delay(&b->spec, b->failures) || delay > b->spec.max_delay || delay < b->delay)
        broken(w, "P11", "%s: delay %lld after %lld, failure %u", service_name(s), (long long)delay,
               (long long)b->delay, b->failures);
    if (s->deadline != (due < w->now ? w->now : due))
        broken(w, "P11", "%s: next try at %lld, due at %lld", service_name(s),
               (long long)s->deadline, (long long)due);
    b->delay = delay;
}

/* ---- stops ---- */

static bool process_lives(const struct world *w, unsigned id)
{
    for (unsigned pid = TEND_PID + 1; pid < w->kernel.pids; pid++) {
        const struct proc *p = &w->kernel.at[pid];
        if (p->owner == id && p->found &&
            (proc_lives(p) ||
             (p->forked && !p->former && p->state == PROC_ZOMBIE && p->visible > w->now)))
            return true;
    }
    return false;
}

/* P16: told to stop only when no dependent that is to stop as well still lives. */
void check_quiet(struct world *w, const struct service *s, enum service_state from)
{
    unsigned id = w->book[s->slot].id;

    if (w->engine.hurry || (from == SERVICE_STARTING && s->pid == 0))
        return;
    for (unsigned i = 0; i < SLOTS; i++) {
        const struct book *b = &w->book[i];
        for (unsigned k = 0; b->id && k < b->n_needs; k++) {
            const struct service *dependent = w->engine.graph.at[i];
            if (b->needs[k] != id || dependent->state == SERVICE_STUCK)
                continue;
            if (b->kinds[k] != EDGE_REQUIRES && !dependent->going)
                continue;
            if (b->doomed && w->crashes) /* whom it knew is not recorded */
                continue;
            if (process_lives(w, b->id) || dependent->state == SERVICE_DONE)
                broken(w, "P16", "%s is told to stop, but %s (%s) lives", service_name(s),
                       service_name(dependent), service_state_name(dependent->state));
        }
    }
}

/* As the configs leave them: TERM, and ABRT where the watchdog was not fed. */
static int signal_of(const struct book *b, unsigned step)
{
    if (step > STEP_SIGNAL)
        return b->spec.then[step - STEP_SIGNAL - 1].signal;
    return b->starved ? SIGABRT : SIGTERM;
}

void check_signal(struct world *w, const struct service *s, struct proc *p, int signal)
{
    const struct book *b = &w->book[s->slot];

    if (p->pid <= 1 || p->state == PROC_FREE || p->owner != b->id)
        broken(w, "P05", "%s: signal %d to pid %d, which is not its own", service_name(s), signal,
               (int)p->pid);
    if (signal == SIGKILL)
        return;
    if (signal != signal_of(b, s->step))
        broken(w, "P15", "%s: signal %d in step %u, not %d", service_name(s), signal, s->step,
               signal_of(b, s->step));
    if (p->told != stop_step(s))
        p->times_told = 0;
    p->told = stop_step(s);
    if (++p->times_told > 1 + b->excuses)
        broken(w, "P15", "%s: pid %d gets signal %d again", service_name(s), (int)p->pid, signal);
}

msec step_wait(const struct spec *s, unsigned step)
{
    return step == STEP_SIGNAL ? s->grace : s->then[step - STEP_SIGNAL - 1].wait;
}

/* What is left of a wait in any case. */
static msec least(const struct world *w, msec wait)
{
    return w->kept_gone_by != NEVER && wait > ENGINE_FLOOR ? ENGINE_FLOOR : wait;
}

/* Never before the time that the step before it has. */
static void check_signal_time(struct world *w, const struct service *s, const struct book *b)
{
    if (s->step == STEP_SIGNAL && b->drains && !b->main_died && !b->spec.command &&
        w->now < b->began + least(w, b->spec.drain))
        broken(w, "P14", "%s: signal before it drained", service_name(s));
    if (s->step > STEP_SIGNAL &&
        (b->last_signal == NEVER ||
         w->now < b->last_signal + least(w, step_wait(&b->spec, s->step - 1))))
        broken(w, "P14", "%s: step %u too early", service_name(s), s->step);
    if (s->step > STEP_SIGNAL + b->spec.n_then)
        broken(w, "P14", "%s: no such step %u", service_name(s), s->step);
}

static void check_kill_time(struct world *w, const struct service *s, struct book *b)
{
    if (w->engine.hurry || (b->spec.to == CONF_TO_MIXED && s->pid == 0))
        return;
    if (b->last_signal == NEVER ||
        w->now < b->last_signal +
                     least(w, step_wait(&b->spec, STEP_SIGNAL + (unsigned)b->spec.n_then)) ||
        (b->excuses == 0 && b->signals != 1 + b->spec.n_then))
        broken(w, "P14", "%s: KILL after %u signals, the last at %lld", service_name(s), b->signals,
               (long long)b->last_signal);
}

void check_action(struct world *w, const struct service *s, enum service_action what)
{
    struct book *b = &w->book[s->slot];

    if (s->conf->line != b->line)
        broken(w, "P22", "%s: %d is in force, not %d", service_name(s), s->conf->line, b->line);
    switch (what) {
    case ACTION_SIGNAL:
        if (b->leaving && s->step == STEP_SIGNAL)
            broken(w, "P14", "%s stops by itself, and is told to", service_name(s));
        check_signal_time(w, s, b);
        b->signals++;
        break;
    case ACTION_KILL:
        check_kill_time(w, s, b);
        break;
    case ACTION_COMMAND:
        if (b->commanded && b->excuses == 0)
            broken(w, "P01", "%s: second stop command", service_name(s));
        b->commanded = true;
        break;
    case ACTION_SPAWN:
    case ACTION_COMMAND_END:
    case ACTION_SWEEP:
    case ACTION_NAME_STUCK:
        break;
    case ACTION_FREE:
        if (!b->doomed || process_lives(w, b->id))
            broken(w, "P22", "%s: is forgotten too early", service_name(s));
        break;
    }
}
