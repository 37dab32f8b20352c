/* Pending actions to effects, and their results back as events. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tend/log.h"
#include "tend/process.h"
#include "tend/world.h"

/* So many starts, then a look at what else there is; this also bounds the open report pipes, which
 * each further child would have to close. */
enum { SPAWNS_IN_A_TURN = 16 };

int act_room(struct world *w, size_t n)
{
    struct life *lives;
    unsigned *moved;

    if (store_grow(&w->store, n))
        return -1;
    if (n <= w->n_lives)
        return 0;
    lives = realloc(w->lives, n * sizeof *lives);
    if (!lives)
        return -1;
    memset(lives + w->n_lives, 0, (n - w->n_lives) * sizeof *lives);
    w->lives = lives;
    moved = realloc(w->moved, n * sizeof *moved);
    if (!moved)
        return -1;
    w->moved = moved;
    w->n_lives = n;
    return 0;
}

void act_save(struct world *w, const struct service *s)
{
    struct life *l = world_life(w, s);

    persist_save(&w->store.area, s, l->leader);
    l->unsaved = false;
}

void act_changed(void *world, const struct engine_change *c)
{
    struct world *w = world;

    observe_change(w, c);
    w->stirred = true;
    if (c->from != c->to)
        act_health_moved(w, c->service);
}

/* ---- stopping ---- */

static void stop_command(struct world *w, struct service *s)
{
    struct spawn_order order = {.argv = s->conf->stop.command};
    struct engine_fact fact = {0};

    act_save(w, s);
    fact.pid = act_start_child(w, s, &order, CHILD_COMMAND, &fact);
    if (fact.pid < 0) {
        fact.pid = 0;
        w->look = true;
        log_warnx("%s: stop command: %s: %s", service_name(s), spawn_step_name(fact.error_step),
                  strerror(fact.error));
    }
    if (fact.pid)
        observe_forked(w, s, CHILD_COMMAND, fact.pid);
    engine_event(&w->engine, s, EVENT_COMMAND, w->now, &fact);
    act_save(w, s);
}

/* Whoever has left its group has it as a parent yet, and so is found now or never. */
void act_end_child(struct world *w, struct service *s, pid_t pid)
{
    roster_refresh(w, s);
    process_signal_group(pid, SIGKILL);
}

/* A stopped process acts on no signal but KILL and CONT (signal(7)). */
static void tell_main(struct world *w, struct service *s, int signal, bool group)
{
    act_main_signal(w, s, signal, group);
    if (signal != SIGKILL)
        act_main_signal(w, s, SIGCONT, group);
}

static void begin_telling(struct service *s, struct life *l)
{
    if (l->told_step == s->step + 1)
        return;
    l->told_step = s->step + 1;
    l->told_tick = 0;
    for (unsigned i = 0; i < l->members.n; i++)
        l->members.at[i].told = false;
}

static void tell(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);
    int signal = service_stop_signal(s);
    bool all = s->conf->stop.to == CONF_TO_GROUP || !s->pid;
    unsigned others = 0;

    begin_telling(s, l);
    if (l->in_cgroup)
        cgroup_thaw(&w->cgroup, service_name(s));
    /* a main process may end before we look; its children then have another parent */
    if (s->pid)
        roster_refresh(w, s);
    if (s->pid && !l->told_tick) {
        tell_main(w, s, signal, all);
        l->told_tick = l->main_fd ? 0 : roster_tick(); /* of that one's group nobody was told */
    }
    if (all)
        others = roster_tell(w, s, signal, l->told_tick + 1);
    if (s->pid || others)
        observe_signal(w, s, signal, others);
    if (!s->pid && !others)
        w->look = true;
    engine_event(&w->engine, s, EVENT_SIGNALLED, loop_now_up(), NULL);
}

static void sweep(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);
    int signal = service_stop_signal(s);
    unsigned others;

    begin_telling(s, l);
    others = roster_tell(w, s, signal, l->told_tick);
    if (others)
        observe_signal(w, s, signal, others);
}

static void kill_all(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);
    unsigned others = 0;

    if (s->pid)
        tell_main(w, s, SIGKILL, true);
    if (s->command)
        process_signal_group(s->command, SIGKILL);
    if (l->in_cgroup && cgroup_kill(&w->cgroup, service_name(s)) == 0)
        l->cgroup_used_up = true;
    else
        others = roster_tell(w, s, SIGKILL, UINT64_MAX);
    observe_signal(w, s, SIGKILL, others);
    w->killed = true;
    if (!s->pid)
        w->look = true;
    engine_event(&w->engine, s, EVENT_SIGNALLED, loop_now_up(), NULL);
}

static bool was_group_told(const struct service *s)
{
    return s->state == SERVICE_STOPPING && s->step >= STEP_SIGNAL &&
           !(s->by_itself && s->step == STEP_SIGNAL) && s->conf->stop.to == CONF_TO_GROUP;
}

/* While the zombie stands its number cannot become another group's. A stop command that still runs
 * may count on the rest of the service. */
void act_on_death(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);
    bool stopping = s->state == SERVICE_STOPPING;
    bool killing = s->state == SERVICE_KILLING || s->state == SERVICE_STUCK ||
                   s->conf->stop.to == CONF_TO_MIXED;
    unsigned step = stopping && s->step > STEP_SIGNAL ? s->step : STEP_SIGNAL;

    if (l->main_fd || was_group_told(s) || (stopping && s->step == STEP_COMMAND))
        return;
    if (w->term_tick && !killing) /* to its own caller's TERM: nobody is told twice */
        return;
    tell_main(w, s,
              killing              ? SIGKILL
              : step > STEP_SIGNAL ? service_stop_signal(s)
                                   : s->conf->stop.signal,
              true);
    l->told_step = step + 1;
    l->told_tick = roster_tick();
}

static void forget(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);

    act_drop_reports(w, s);
    child_forget(&w->children, s); /* a former main process, or a closer, may be reaped later */
    act_main_close(w, s);
    act_notify_free(w, s);
    act_health_free(w, s);
    members_free(&l->members);
    act_leave_cgroup(w, s);
    *l = (struct life){0};
    persist_clear(&w->store.area, s->slot);
    engine_forget(&w->engine, s);
}

static void carry_out(struct world *w, struct service *s, enum service_action what)
{
    switch (what) {
    case ACTION_SPAWN:
        act_spawn(w, s);
        return;
    case ACTION_COMMAND:
        stop_command(w, s);
        return;
    case ACTION_COMMAND_END:
        if (s->command)
            act_end_child(w, s, s->command);
        break;
    case ACTION_SIGNAL:
        tell(w, s);
        break;
    case ACTION_SWEEP:
        sweep(w, s);
        break;
    case ACTION_KILL:
        kill_all(w, s);
        break;
    case ACTION_NAME_STUCK:
        observe_stuck(w, s);
        break;
    case ACTION_FREE:
        forget(w, s);
        return;
    }
    world_life(w, s)->unsaved = true;
}

/* A process that ends of what it is told is not to be found to have failed by a tend that crashed
 * right after the telling: the record knows of the stop before. */
static void save_next(struct world *w)
{
    const struct service *s = engine_peek_action(&w->engine);

    if (s && world_life(w, s)->unsaved)
        act_save(w, s);
}

void act(struct world *w)
{
    enum service_action what;
    struct service *s;
    int spawns = 0;

    for (;;) {
        if (w->look)
            roster_check(w);
        engine_settle(&w->engine, w->now);
        act_health_follow(w);
        if (w->reloads || w->reloads_due)
            act_end_reloads(w);
        save_next(w);
        s = engine_next_action(&w->engine, &what);
        if (!s && !w->look)
            return;
        if (s)
            carry_out(w, s, what);
        if (s && what == ACTION_SPAWN && ++spawns == SPAWNS_IN_A_TURN) {
            w->again = w->crowded = true;
            return;
        }
    }
}
