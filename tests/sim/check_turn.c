/* What must hold whenever tend goes to sleep, and at the end. */
#include "talk.h"

/* P02, P03: an exit goes to the service whose process it was. */
void check_reap(struct world *w, const struct proc *p, const struct child *c)
{
    const struct service *s = c->service;

    if ((!p->forked && !p->kept) || p->owner != w->book[s->slot].id || p->life != s->generation ||
        c->generation != s->generation)
        broken(w, "P03", "pid %d of record %u, life %u is taken for %s, life %u", (int)p->pid,
               p->owner, p->life, service_name(s), s->generation);
    if ((c->kind == CHILD_COMMAND) != (p->role == ROLE_COMMAND) ||
        (c->kind == CHILD_MAIN && s->pid != p->pid))
        broken(w, "P03", "pid %d is taken for something else of %s", (int)p->pid, service_name(s));
}

static void check_process(struct world *w, const struct service *s, pid_t pid, bool command)
{
    /* cppcheck-suppress arrayIndexOutOfBoundsCond ; pid 0 is a caller's, too */
    const struct proc *p = pid > 0 && (unsigned)pid < w->kernel.pids ? &w->kernel.at[pid] : NULL;
    const struct child *c = child_find(&w->children, pid);

    if (pid == 0)
        return;
    if (!p || !(p->kept || (p->forked && p->state != PROC_FREE)) || p->owner != w->book[s->slot].id)
        broken(w, "P02", "%s: pid %d is not its own", service_name(s), (int)pid);
    if (!c || c->service != s || c->kind != (command ? CHILD_COMMAND : CHILD_MAIN))
        broken(w, "P02", "%s: pid %d is not in the table", service_name(s), (int)pid);
}

/* P31: nothing waits for what cannot come. */
static void check_waiting(struct world *w, const struct service *s)
{
    bool timed = s->deadline != NEVER || s->pending;

    switch (s->state) {
    case SERVICE_STARTING:
    case SERVICE_STOPPING:
    case SERVICE_KILLING:
    case SERVICE_BACKOFF:
        if (!timed)
            broken(w, "P31", "%s is %s without a deadline", service_name(s),
                   service_state_name(s->state));
        break;
    case SERVICE_RUNNING:
        if (!s->pid)
            broken(w, "P12", "%s is running without a process", service_name(s));
        break;
    case SERVICE_DOWN:
    case SERVICE_PENDING:
    case SERVICE_DONE:
    case SERVICE_STUCK:
    case SERVICE_FAILED:
    case SERVICE_STATE_COUNT:
        break;
    }
}

/* What is shown as the reason for waiting is one. */
static void check_blocker(struct world *w, const struct service *s)
{
    bool failed;
    const struct service *blocker = graph_blocker(s, &failed);

    if (!blocker)
        broken(w, "P30", "%s waits and nobody knows why", service_name(s));
    if (failed && !will_not_come(blocker))
        broken(w, "P30", "%s: %s is said to have failed", service_name(s), service_name(blocker));
}

/* No level was overlooked: what may start does, what may stop does. */
static void check_levels(struct world *w, const struct service *s)
{
    bool stoppable =
        s->state == SERVICE_STARTING || s->state == SERVICE_RUNNING || s->state == SERVICE_DONE;

    if (s->going != graph_going(s, w->engine.shutdown))
        broken(w, "P30", "%s: whether it is to go was overlooked", service_name(s));
    if (s->hopeless != graph_hopeless(s))
        broken(w, "P30", "%s: whether it has hope was overlooked", service_name(s));
    if (s->state == SERVICE_PENDING && (graph_clear(s) || w->engine.shutdown))
        broken(w, "P30", "%s was not started", service_name(s));
    if (s->state == SERVICE_PENDING)
        check_blocker(w, s);
    if (stoppable && graph_quiet(s))
        broken(w, "P30", "%s was not stopped", service_name(s));
}

/* P15: when the leader is gone, all that is left of it has had the signal of this step. */
static void check_told(struct world *w, const struct service *s)
{
    const struct book *b = &w->book[s->slot];

    if (b->died_in != w->turns || s->state != SERVICE_STOPPING || s->step < STEP_SIGNAL || w->again)
        return;
    for (unsigned pid = TEND_PID + 1; pid < w->kernel.pids; pid++)
        if (is_member(w, s, &w->kernel.at[pid]) && w->kernel.at[pid].told != stop_step(s))
            broken(w, "P15", "%s: pid %u was not told", service_name(s), pid);
}

static void check_service(struct world *w, const struct service *s)
{
    const struct book *b = &w->book[s->slot];
    bool may_be_ready =
        s->state == SERVICE_RUNNING || (s->state == SERVICE_DONE && s->conf->type == CONF_ONESHOT);

    if (s->state != b->state)
        broken(w, "P06", "%s: %s, untold", service_name(s), service_state_name(s->state));
    if (s->ready != may_be_ready)
        broken(w, "P12", "%s: %sready while %s", service_name(s), s->ready ? "" : "not ",
               service_state_name(s->state));
    if (!w->engine.shutdown && (s->wanted != b->wanted || s->doomed != b->doomed))
        broken(w, "P10", "%s: %swanted", service_name(s), s->wanted ? "" : "not ");
    if (s->conf->line != b->line || (s->next_conf ? s->next_conf->line : 0) != b->next_line)
        broken(w, "P22", "%s: config %d, not %d", service_name(s), s->conf->line, b->line);
    check_process(w, s, s->pid, false);
    check_process(w, s, s->command, true);
    check_waiting(w, s);
    check_told(w, s);
    check_until(w, s);
    check_sound(w, s);
    if (!w->again)
        check_levels(w, s);
}

/* P02, P07. */
static void check_children(struct world *w)
{
    size_t known = 0;

    for (size_t i = 0; i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        known += s ? (s->pid != 0) + (s->command != 0) : 0;
    }
    for (unsigned pid = TEND_PID + 1; pid < w->kernel.pids; pid++)
        known += w->kernel.at[pid].former && w->kernel.at[pid].state != PROC_FREE;
    if (known != w->children.n)
        broken(w, "P02", "%zu in the table, %zu known", w->children.n, known);
    for (unsigned pid = TEND_PID + 1; pid < w->kernel.pids; pid++) {
        const struct proc *p = &w->kernel.at[pid];
        if (p->forked && proc_lives(p) && !child_find(&w->children, (pid_t)pid))
            broken(w, "P02", "pid %u is in no table", pid);
        if (p->state == PROC_ZOMBIE && p->parent == TEND_PID && p->visible < w->now)
            broken(w, "P07", "pid %u is still a zombie", pid);
    }
}

/* Whoever has just been found to be ready may have been healthy for long enough before. */
static bool has_just_come(const struct world *w, msec deadline)
{
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        if (s && s->state == SERVICE_RUNNING && s->since == w->now && s->deadline == deadline)
            return true;
    }
    return false;
}

void check_turn(struct world *w)
{
    msec deadline = engine_deadline(&w->engine);

    for (size_t i = 0; i < w->engine.graph.n; i++)
        if (w->engine.graph.at[i])
            check_service(w, w->engine.graph.at[i]);
    check_children(w);
    if (!w->again && deadline < w->now && !has_just_come(w, deadline))
        broken(w, "P32", "a deadline is %lld ms old", (long long)(w->now - deadline));
    if (w->kept_shutdown && w->now > w->bound + w->lost && !shutdown_over(w))
        broken(w, "P17", "the shutdown takes longer than %lld ms",
               (long long)(w->bound - w->kept_began));
    check_kept(w);
    check_deadline(w);
    check_excuse(w);
}

static bool anything_of(const struct world *w, unsigned id)
{
    for (unsigned pid = TEND_PID + 1; pid < w->kernel.pids; pid++)
        if (w->kernel.at[pid].owner == id && w->kernel.at[pid].state != PROC_FREE)
            return true;
    return false;
}

/* P31: before time passes, nobody waits for processes that are all gone. */
void check_sleep(struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        if (s && cleaning_up(s) && !anything_of(w, w->book[i].id))
            broken(w, "P31", "%s is %s and waits for nobody", service_name(s),
                   service_state_name(s->state));
    }
}

bool shutdown_over(const struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        if (s && s->state != SERVICE_DOWN && s->state != SERVICE_FAILED &&
            s->state != SERVICE_STUCK)
            return false;
    }
    return true;
}

/* ---- when faults are lifted ---- */

/* P30: it may stay pending only for a requirement that will not come by itself. */
void check_calm(struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        bool up;
        if (!s)
            continue;
        up = s->state == SERVICE_RUNNING || s->state == SERVICE_DONE || s->state == SERVICE_FAILED;
        if (s->doomed)
            broken(w, "P22", "%s is removed and still %s", service_name(s),
                   service_state_name(s->state));
        if (s->wanted ? !up && !(s->state == SERVICE_PENDING && will_not_come(s))
                      : s->state != SERVICE_DOWN)
            broken(w, "P30", "%s is %swanted and stays %s", service_name(s),
                   s->wanted ? "" : "not ", service_state_name(s->state));
    }
}

/* P18, P02, P03. */
void check_end(struct world *w)
{
    for (unsigned pid = TEND_PID + 1; pid < w->kernel.pids; pid++)
        if (w->kernel.at[pid].state != PROC_FREE)
            broken(w, "P18", "pid %u is left", pid);
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        if (s && s->state != SERVICE_DOWN && s->state != SERVICE_FAILED)
            broken(w, "P17", "%s stays %s", service_name(s), service_state_name(s->state));
    }
    if (w->kernel.forks != w->kernel.waits)
        broken(w, "P02", "%u forks, %u waits", w->kernel.forks, w->kernel.waits);
    if (w->children.n || !engine_idle(&w->engine))
        broken(w, "P18", "%zu children in the table", w->children.n);
}
