/* From the decision to start a process to its exec. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tend/log.h"
#include "tend/world.h"

/* ---- exec reports ---- */

static void drop_report(struct world *w, struct spawn **spawn)
{
    if (!*spawn)
        return;
    loop_remove(&w->loop, spawn_fd(*spawn));
    spawn_free(*spawn);
    *spawn = NULL;
}

void act_drop_reports(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);

    drop_report(w, &l->main);
    drop_report(w, &l->command);
    drop_report(w, &l->reload);
    if (l->checkup)
        drop_report(w, &l->checkup->spawn);
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
    if (kind == CHILD_PROBE)
        return (struct way){&l->checkup->spawn, &l->checkup->failure, SOURCE_PROBE_REPORT};
    return (struct way){&l->main, &l->main_failure, SOURCE_MAIN_REPORT};
}

void act_read_report(struct world *w, struct service *s, enum child_kind kind)
{
    struct life *l = world_life(w, s);
    struct way way;
    enum spawn_report said;

    if (kind == CHILD_PROBE && !l->checkup)
        return;
    way = way_of(l, kind);
    if (!*way.spawn)
        return;
    while ((said = spawn_read(*way.spawn, &way.failure->step, &way.failure->error)) == SPAWN_FAILED)
        ;
    if (said == SPAWN_WAIT)
        return;
    drop_report(w, way.spawn);
    if (kind == CHILD_MAIN && !way.failure->error) {
        engine_event(&w->engine, s, EVENT_EXEC_OK, w->now, NULL);
        act_health_executed(w, s);
    }
    l->unsaved = true;
}

/* ---- starting ---- */

void act_leave_cgroup(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);

    if (!l->in_cgroup)
        return;
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
        act_leave_cgroup(w, s);
    return cgroup_make(&w->cgroup, service_name(s));
}

/* Where it finds its service, and whom it notifies. -1 with errno. */
static int complete_order(struct world *w, struct service *s, struct spawn_order *order,
                          enum child_kind kind)
{
    const struct life *l = world_life(w, s);

    order->is_main = kind == CHILD_MAIN && !s->preparing;
    order->main = s->pid;
    order->notify = l->talk && kind != CHILD_PROBE ? l->talk->server.address : NULL;
    order->watchdog = order->is_main ? s->conf->watchdog : 0;
    order->cgroup = -1;
    if (order->is_main && s->conf->ready.on == CONF_READY_FD) {
        order->ready = act_notify_ready_fd(w, s);
        if (order->ready < 0)
            return -1;
    }
    if (kind == CHILD_MAIN || l->in_cgroup)
        order->cgroup = cgroup_of(w, s);
    return 0;
}

/* Where it cannot be in its cgroup it starts without. *in_cgroup: it is in it. */
static pid_t start_in_cgroup(struct world *w, struct service *s, struct spawn_order *order,
                             struct spawn **out, enum spawn_step *step, bool *in_cgroup)
{
    pid_t pid = spawn_start(&w->common, s->conf, order, out, step);
    int error = errno;

    *in_cgroup = order->cgroup >= 0 && pid > 0;
    if (order->cgroup >= 0)
        close(order->cgroup);
    errno = error;
    if (pid > 0 || *step != SPAWN_CGROUP)
        return pid;
    order->cgroup = -1;
    return spawn_start(&w->common, s->conf, order, out, step);
}

static void note_start(struct world *w, struct service *s, pid_t pid, enum child_kind kind,
                       const struct way *way)
{
    child_add(&w->children, pid, kind, s);
    w->childless = false;
    if (loop_add(&w->loop, spawn_fd(*way->spawn), way->source, s->slot))
        log_warn("%s: its start cannot be watched", service_name(s));
}

/* Everything that can fail is done before the fork, so that a child is in the table from its birth.
 */
pid_t act_start_child(struct world *w, struct service *s, struct spawn_order *order,
                      enum child_kind kind, struct engine_fact *fact)
{
    struct life *l = world_life(w, s);
    struct way way = way_of(l, kind);
    enum spawn_step step = SPAWN_PREPARE;
    bool in_cgroup = false;
    pid_t pid = -1;

    drop_report(w, way.spawn);
    *way.failure = (struct start_failure){0};
    order->ready = -1;
    if (child_reserve(&w->children) == 0 && complete_order(w, s, order, kind) == 0)
        pid = start_in_cgroup(w, s, order, way.spawn, &step, &in_cgroup);
    fact->error = errno;
    fact->error_step = (int)step;
    if (order->ready >= 0)
        close(order->ready);
    if (pid < 0)
        return -1;
    if (kind == CHILD_MAIN) /* where the main process is, there its service is looked for */
        l->in_cgroup = in_cgroup;
    note_start(w, s, pid, kind, &way);
    return pid;
}

/* What it says before it has a process can only be of an earlier life. */
static pid_t start_main(struct world *w, struct service *s, struct engine_fact *fact)
{
    struct spawn_order order = {.argv = s->preparing ? s->conf->before_start : s->conf->command};

    fact->error_step = SPAWN_PREPARE;
    if (act_notify_open(w, s) || act_health_begin(w, s)) {
        fact->error = errno;
        return -1;
    }
    world_life(w, s)->born = roster_tick();
    return act_start_child(w, s, &order, CHILD_MAIN, fact);
}

void act_spawn(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);
    struct engine_fact fact = {0};

    l->leader = 0;
    l->told_step = 0;
    l->told_tick = 0;
    l->reload_failed = false;
    act_save(w, s);
    fact.pid = start_main(w, s, &fact);
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
