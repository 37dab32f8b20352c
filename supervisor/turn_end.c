/* The end of it all: when it has come, what belongs to no service, the exit status. */
#include <signal.h>
#include <unistd.h>

#include "tend/log.h"
#include "tend/process.h"
#include "tend/world.h"

enum {
    SWEEP_KILL_TIME = 5000,
    LAST_WORDS_TIME = 500,
    GUESTS_TIME = 100, /* between two looks at those whose end nobody tells us */
};

static bool all_down(const struct world *w)
{
    return (!w->loader || w->engine.shutdown) && engine_idle(&w->engine);
}

static const struct service *find_main(const struct world *w)
{
    for (size_t i = 0; w->has_main && i < w->engine.graph.n; i++)
        if (w->engine.graph.at[i] && w->engine.graph.at[i]->conf->main)
            return w->engine.graph.at[i];
    return NULL;
}

static bool any_failed(const struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        if (s && (s->state == SERVICE_FAILED || s->state == SERVICE_PENDING))
            return true;
    }
    return false;
}

/* What it needs failed, and was not only stopped by somebody who may start it again. */
static bool waits_in_vain(const struct service *s)
{
    bool failed = s->state == SERVICE_PENDING && s->hopeless;

    while (failed && s->state == SERVICE_PENDING)
        s = graph_blocker(s, &failed);
    return failed && s->wanted;
}

/* For good: it is done, gave up, or waits in vain. */
static bool is_over(const struct service *s)
{
    return s->state == SERVICE_DONE || s->state == SERVICE_FAILED || waits_in_vain(s);
}

/* Somebody can come and start one. */
static bool can_be_started(const struct world *w)
{
    for (size_t i = 0; serve_was_open(w) && i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        if (s && s->state == SERVICE_DOWN && !s->doomed)
            return true;
    }
    return false;
}

/* Nothing will come up by itself any more, or the service that decides has ended for good. */
void turn_maybe_end(struct world *w)
{
    const struct service *m = find_main(w);

    if (w->engine.shutdown || !w->loaded)
        return;
    w->in_vain = m && waits_in_vain(m);
    if (m && m->wanted && is_over(m))
        turn_shutdown(
            w, w->in_vain ? "the main service waits in vain" : "the main service has ended", 1);
    else if (all_down(w) && !can_be_started(w))
        turn_shutdown(w,
                      any_failed(w) ? "nothing is left to run, and not all went well"
                                    : "all services have ended",
                      any_failed(w) ? 1 : 0);
}

static void sweep_tell(struct world *w, int signal)
{
    if (w->proc < 0 && getpid() != 1)
        log_info("somebody is left, who cannot be found without /proc");
    else
        observe_strays(w, signal);
    roster_sweep(w, signal);
}

static msec earlier(msec a, msec b)
{
    return a < b ? a : b;
}

/* The last quarter of what is kept of a deadline is for our own end. */
static msec last_moment(const struct world *w)
{
    const struct engine *e = &w->engine;

    return e->gone_by == NEVER ? NEVER : e->gone_by - (e->gone_by - e->kill_at) / 4;
}

static void sweep_kill(struct world *w)
{
    w->killed = true;
    w->sweep = SWEEP_KILL;
    w->sweep_by = earlier(w->now + SWEEP_KILL_TIME, last_moment(w));
    sweep_tell(w, SIGKILL);
}

static void sweep_begin(struct world *w)
{
    w->sweep = SWEEP_TERM;
    w->sweep_by =
        w->engine.hurry ? w->now : earlier(w->now + w->supervisor.grace, w->engine.kill_at);
    if (!roster_strangers(w))
        w->sweep = SWEEP_OVER;
    else if (w->engine.hurry)
        sweep_kill(w);
    else
        sweep_tell(w, SIGTERM);
}

/* What belongs to no service goes last: told, given its time, killed. */
void turn_sweep(struct world *w)
{
    if (!w->engine.shutdown || w->again || !all_down(w))
        return;
    if (w->sweep == SWEEP_NOT_YET)
        sweep_begin(w);
    else if (w->sweep != SWEEP_OVER && !roster_strangers(w))
        w->sweep = SWEEP_OVER;
    else if (w->sweep == SWEEP_TERM && (w->engine.hurry || w->now >= w->sweep_by))
        sweep_kill(w);
    else if (w->sweep == SWEEP_KILL && w->now >= w->sweep_by)
        w->sweep = SWEEP_OVER;
    else if (w->sweep == SWEEP_KILL)
        roster_sweep(w, SIGKILL);
    w->over = w->sweep == SWEEP_OVER;
}

msec turn_end_deadline(const struct world *w)
{
    msec first = NEVER;

    if (w->sweep == SWEEP_TERM || w->sweep == SWEEP_KILL)
        first = w->sweep_by;
    if (w->sweep != SWEEP_NOT_YET && w->childless && w->now + GUESTS_TIME < first)
        first = w->now + GUESTS_TIME;
    return first;
}

/* ---- the exit status ---- */

static bool is_success(const struct conf_success *success, const struct service_exit *exit)
{
    return (exit->how == EXIT_SIGNAL && conf_success_has_signal(success, exit->number)) ||
           conf_success_has_code(success, exit_shell_code(exit));
}

static bool any_left(const struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++)
        if (w->engine.graph.at[i] && w->engine.graph.at[i]->state == SERVICE_STUCK)
            return true;
    return false;
}

/* Somebody whom KILL did not end is left: that is no success, and of a main service it is what it
 * would end with. */
static int status_of_rest(const struct world *w, const struct service *m)
{
    if (m && m->state == SERVICE_STUCK)
        return 128 + SIGKILL;
    return w->status == 0 && any_left(w) ? 1 : w->status;
}

int turn_exit_status(const struct world *w)
{
    const struct service *m = find_main(w);

    if (w->strict && w->killed)
        return WORLD_KILLED;
    if (!m || m->last_exit.how == EXIT_NONE || w->in_vain)
        return status_of_rest(w, m);
    if (w->entrypoint && is_success(&m->conf->success, &m->last_exit))
        return 0;
    return exit_shell_code(&m->last_exit);
}

/* Our own end comes before the deadline too. */
msec turn_last_words(const struct world *w)
{
    msec left = w->engine.gone_by == NEVER ? NEVER : (w->engine.gone_by - loop_now()) / 2;

    return earlier(left, LAST_WORDS_TIME);
}
