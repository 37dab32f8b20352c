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

    if (store_grow(&w->store, n))
        return -1;
    if (n <= w->n_lives)
        return 0;
    lives = realloc(w->lives, n * sizeof *lives);
    if (!lives)
        return -1;
    memset(lives + w->n_lives, 0, (n - w->n_lives) * sizeof *lives);
    w->lives = lives;
    w->n_lives = n;
    return 0;
}

void act_save(struct world *w, const struct service *s)
{
    struct life *l = world_life(w, s);

    persist_save(&w->store.area, s, l->leader);
    l->unsaved = false;
}

/* ---- exec reports ---- */

static void drop_report(struct world *w, struct spawn **spawn)
{
    if (!*spawn)
        return;
    loop_remove(&w->loop, spawn_fd(*spawn));
    spawn_free(*spawn);
    *spawn = NULL;
}

/* A child on its way: where it is kept, what goes wrong, and who says so. */
struct way {
    struct spawn **spawn;
    struct start_failure *failure;
    enum source source;
};

static struct way way_of(struct life *l, enum child_kind kind)
{
    if (kind == CHILD_COMMAND)
        return (struct way){&l->command, &l->command_failure, SOURCE_COMMAND_REPORT};
    if (kind == CHILD_RELOAD)
        return (struct way){&l->reload, &l->reload_failure, SOURCE_RELOAD_REPORT};
    return (struct way){&l->main, &l->main_failure, SOURCE_MAIN_REPORT};
}

void act_read_report(struct world *w, struct service *s, enum child_kind kind)
{
    struct life *l = world_life(w, s);
    struct way way = way_of(l, kind);
    enum spawn_report said;

    if (!*way.spawn)
        return;
    while ((said = spawn_read(*way.spawn, &way.failure->step, &way.failure->error)) == SPAWN_FAILED)
        ;
    if (said == SPAWN_WAIT)
        return;
    drop_report(w, way.spawn);
    if (kind == CHILD_MAIN && !way.failure->error)
        engine_event(&w->engine, s, EVENT_EXEC_OK, w->now, NULL);
    l->unsaved = true;
}

/* ---- starting ---- */

static void leave_cgroup(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);

    if (l->watch)
        cgroup_unwatch(&w->cgroup, l->watch);
    l->watch = 0;
    cgroup_remove(&w->cgroup, service_name(s));
    l->cgroup_used_up = false;
}

/* A kernel may kill whatever is later cloned into a group that cgroup.kill was written to (seen on
 * Linux 6.18): such a group is made anew. */
static int cgroup_of(struct world *w, struct service *s)
{
    if (w->cgroup.own < 0)
        return -1;
    if (world_life(w, s)->cgroup_used_up)
        leave_cgroup(w, s);
    return cgroup_make(&w->cgroup, service_name(s));
}

/* Everything that can fail is done before the fork, so that a child is in the table from its birth.
 */
pid_t act_start_child(struct world *w, struct service *s, char *const *argv, enum child_kind kind,
                      struct engine_fact *fact)
{
    struct life *l = world_life(w, s);
    struct way way = way_of(l, kind);
    enum spawn_step step = SPAWN_PREPARE;
    bool in_cgroup = false;
    int cgroup = -1;
    pid_t pid = -1;

    drop_report(w, way.spawn);
    *way.failure = (struct start_failure){0};
    if (child_reserve(&w->children) == 0) {
        if (kind == CHILD_MAIN || l->in_cgroup)
            cgroup = cgroup_of(w, s);
        pid = spawn_start(&w->common, s->conf, argv, s->pid, cgroup, way.spawn, &step);
        in_cgroup = cgroup >= 0 && pid > 0;
        if (pid < 0 && step == SPAWN_CGROUP)
            pid = spawn_start(&w->common, s->conf, argv, s->pid, -1, way.spawn, &step);
    }
    fact->error = errno;
    fact->error_step = (int)step;
    if (cgroup >= 0)
        close(cgroup);
    if (pid < 0)
        return -1;
    if (kind == CHILD_MAIN) /* where the main process is, there its service is looked for */
        l->in_cgroup = in_cgroup;
    child_add(&w->children, pid, kind, s);
    w->childless = false;
    if (loop_add(&w->loop, spawn_fd(*way.spawn), way.source, s->slot))
        log_warn("%s: its start cannot be watched", service_name(s));
    return pid;
}

static void spawn(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);
    struct engine_fact fact = {0};

    l->leader = 0;
    l->told_step = 0;
    l->told_tick = 0;
    l->reload_failed = false;
    act_save(w, s);
    fact.pid = act_start_child(w, s, s->preparing ? s->conf->before_start : s->conf->command,
                               CHILD_MAIN, &fact);
    if (fact.pid > 0) {
        l->leader = fact.pid;
        fact.error = fact.error_step = 0;
        observe_forked(w, s, CHILD_MAIN, fact.pid);
        engine_event(&w->engine, s, EVENT_FORKED, loop_now_up(), &fact);
    } else {
        engine_event(&w->engine, s, EVENT_NO_FORK, w->now, &fact);
    }
    act_save(w, s);
}

static void stop_command(struct world *w, struct service *s)
{
    struct engine_fact fact = {0};

    act_save(w, s);
    fact.pid = act_start_child(w, s, s->conf->stop.command, CHILD_COMMAND, &fact);
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

/* ---- stopping ---- */

/* Of whom it has in other sessions we know by their parents alone: so before it is gone. */
static void end_command(struct world *w, struct service *s)
{
    if (!s->command)
        return;
    roster_refresh(w, s);
    process_signal_group(s->command, SIGKILL);
}

/* A stopped process acts on no signal but KILL and CONT (signal(7)). */
static void tell_main(struct service *s, int signal, bool group)
{
    int (*send)(pid_t, int) = group ? process_signal_group : process_signal;

    send(s->pid, signal);
    if (signal != SIGKILL)
        send(s->pid, SIGCONT);
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
        tell_main(s, signal, all);
        l->told_tick = roster_tick();
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
        tell_main(s, SIGKILL, true);
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
           s->conf->stop.to == CONF_TO_GROUP;
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

    if (was_group_told(s) || (stopping && s->step == STEP_COMMAND))
        return;
    if (w->term_tick && !killing) /* to its own caller's TERM: nobody is told twice */
        return;
    tell_main(s,
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

    drop_report(w, &l->main);
    drop_report(w, &l->command);
    drop_report(w, &l->reload);
    members_free(&l->members);
    if (l->in_cgroup)
        leave_cgroup(w, s);
    *l = (struct life){0};
    persist_clear(&w->store.area, s->slot);
    engine_forget(&w->engine, s);
}

static void carry_out(struct world *w, struct service *s, enum service_action what)
{
    switch (what) {
    case ACTION_SPAWN:
        spawn(w, s);
        return;
    case ACTION_COMMAND:
        stop_command(w, s);
        return;
    case ACTION_COMMAND_END:
        end_command(w, s);
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
        if (w->reloads)
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
