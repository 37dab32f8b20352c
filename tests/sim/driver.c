/* One wake-up and the actions, in the order in which the real driver does them. */
#include <assert.h>
#include <signal.h>

#include "sim.h"

/* The next instruction may be the last one of this tend. */
void crash_point(struct world *w)
{
    if (w->crash_in < 0 || w->crash_in-- > 0)
        return;
    longjmp(w->crashed, 1);
}

void save(struct world *w, const struct service *s)
{
    persist_save(&w->store[s->slot], s);
    w->kept_book[s->slot] = w->book[s->slot];
    w->dirty &= ~(UINT64_C(1) << s->slot);
}

static bool is_fork(enum engine_event e)
{
    return e == EVENT_FORKED || e == EVENT_NO_FORK || e == EVENT_COMMAND;
}

static void save_unless_late(struct world *w, const struct service *s)
{
    if (w->late)
        w->dirty |= UINT64_C(1) << s->slot;
    else
        save(w, s);
}

void save_all(struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++)
        if (w->engine.graph.at[i])
            save(w, w->engine.graph.at[i]);
}

static void save_dirty(struct world *w)
{
    for (size_t i = 0; w->dirty && i < w->engine.graph.n; i++)
        if (w->dirty >> i & 1 && w->engine.graph.at[i])
            save(w, w->engine.graph.at[i]);
    w->dirty = 0;
}

void event(struct world *w, struct service *s, enum engine_event e, const struct engine_fact *fact)
{
    TRACE(w, "%s %s", service_name(s), engine_event_name(e));
    book_event(w, s, e);
    engine_event(&w->engine, s, e, w->now, fact);
    crash_point(w);
    if (is_fork(e))
        save(w, s);
    else
        save_unless_late(w, s);
}

/* ---- what processes say ---- */

static struct service *main_service(const struct world *w, const struct proc *p)
{
    const struct child *c = p->forked ? child_find(&w->children, p->pid) : NULL;

    return c && c->kind == CHILD_MAIN ? c->service : NULL;
}

/* The report's pipe closes at the exec, and at a death before it as well. */
static void hear(struct world *w, struct proc *p)
{
    struct service *s = main_service(w, p);
    bool closed = p->executed || (p->state == PROC_ZOMBIE && !p->exec_failed);

    if (closed && !p->reported && s)
        event(w, s, EVENT_EXEC_OK, NULL);
    p->reported = closed;
    if (p->says_ready && !p->heard && s)
        event(w, s, EVENT_READY, NULL);
    p->heard = p->says_ready;
}

static void hear_all(struct world *w)
{
    for (unsigned pid = TEND_PID + 1; pid < w->kernel.pids; pid++)
        if (w->kernel.at[pid].forked && proc_lives(&w->kernel.at[pid]))
            hear(w, &w->kernel.at[pid]);
}

/* ---- deaths ---- */

static void reap_main(struct world *w, struct proc *p, struct service *s)
{
    struct engine_fact fact = {.error = p->exec_failed ? p->exec_error : 0,
                               .error_step = p->exec_failed};

    hear(w, p);
    if (!exit_from_status(p->status, &fact.exit))
        broken(w, "P07", "%s: status %d is no exit", service_name(s), p->status);
    persist_exit(&w->store[s->slot], s, &fact.exit, fact.error, fact.error_step);
    w->kept_book[s->slot] = w->book[s->slot];
    crash_point(w);
    child_remove(&w->children, p->pid);
    kernel_wait(&w->kernel, p);
    crash_point(w);
    event(w, s, EVENT_EXITED, &fact);
}

static void reap_command(struct world *w, struct proc *p, struct service *s)
{
    persist_command_ended(&w->store[s->slot], s);
    w->kept_book[s->slot] = w->book[s->slot];
    crash_point(w);
    child_remove(&w->children, p->pid);
    kernel_wait(&w->kernel, p);
    crash_point(w);
    event(w, s, EVENT_COMMAND_ENDED, NULL);
}

static void reap(struct world *w, struct proc *p)
{
    const struct child *c = child_find(&w->children, p->pid);

    TRACE(w, "pid %d ended with %#x%s", (int)p->pid, (unsigned)p->status, c ? "" : ", a stranger");
    if (!c) {
        kernel_wait(&w->kernel, p);
        return;
    }
    check_reap(w, p, c);
    if (c->kind == CHILD_MAIN)
        reap_main(w, p, c->service);
    else
        reap_command(w, p, c->service);
}

static void reap_all(struct world *w)
{
    for (unsigned pid = TEND_PID + 1; pid < w->kernel.pids; pid++) {
        struct proc *p = &w->kernel.at[pid];
        if (p->state == PROC_ZOMBIE && p->parent == TEND_PID && p->visible <= w->now) {
            reap(w, p);
            crash_point(w);
        }
    }
}

/* ---- members ---- */

bool is_member(const struct world *w, const struct service *s, const struct proc *p)
{
    return proc_lives(p) && p->found && p->owner == w->book[s->slot].id && p->pid != s->pid &&
           p->pid != s->command;
}

static unsigned count_members(const struct world *w, const struct service *s)
{
    unsigned n = 0;

    for (unsigned pid = TEND_PID + 1; pid < w->kernel.pids; pid++)
        n += is_member(w, s, &w->kernel.at[pid]);
    return n;
}

/* Before a stop step, while the leader lives: who descends from those that are known. */
static void find_members(struct world *w, const struct service *s)
{
    bool more = s->pid != 0 && !w->kernel.cgroup;

    while (more) {
        more = false;
        for (unsigned pid = TEND_PID + 1; pid < w->kernel.pids; pid++) {
            struct proc *p = &w->kernel.at[pid], *parent = &w->kernel.at[p->parent];
            if (!proc_lives(p) || p->found || p->parent == TEND_PID || p->role != ROLE_MEMBER ||
                !parent->found || parent->role == ROLE_COMMAND)
                continue;
            p->found = more = true;
        }
    }
}

bool cleaning_up(const struct service *s)
{
    return (s->state == SERVICE_STOPPING || s->state == SERVICE_KILLING ||
            s->state == SERVICE_STUCK) &&
           s->pid == 0 && s->command == 0;
}

static void look_at_members(struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        struct service *s = w->engine.graph.at[i];
        if (!s || !cleaning_up(s))
            continue;
        engine_members(&w->engine, s, count_members(w, s), w->now);
        crash_point(w);
        save_unless_late(w, s);
    }
}

/* ---- actions ---- */

static void send(struct world *w, struct service *s, struct proc *p, int signal)
{
    TRACE(w, "%s: signal %d to pid %d", service_name(s), signal, (int)p->pid);
    check_signal(w, s, p, signal);
    kernel_signal(&w->kernel, p, signal, w->now);
    if (signal != SIGKILL)
        kernel_signal(&w->kernel, p, SIGCONT, w->now);
}

enum { TO_MAIN = 1, TO_MEMBERS = 2, TO_COMMAND = 4, ONLY_NEW = 8 };

static bool is_meant(const struct world *w, const struct service *s, const struct proc *p,
                     unsigned whom)
{
    if (whom & ONLY_NEW && p->told == stop_step(s))
        return false;
    return (whom & TO_MAIN && p->pid == s->pid) || (whom & TO_COMMAND && p->pid == s->command) ||
           (whom & TO_MEMBERS && is_member(w, s, p));
}

/* Where nobody was reached, no death will wake us: we look again at once. */
static void send_to(struct world *w, struct service *s, unsigned whom, int signal)
{
    bool meant[PIDS_MAX], reached = false;

    for (unsigned pid = TEND_PID + 1; pid < w->kernel.pids; pid++)
        meant[pid] = is_meant(w, s, &w->kernel.at[pid], whom);
    for (unsigned pid = TEND_PID + 1; pid < w->kernel.pids; pid++)
        if (meant[pid]) {
            reached = true;
            send(w, s, &w->kernel.at[pid], signal);
            crash_point(w);
        }
    w->again = w->again || !reached;
}

static unsigned whom_to_tell(const struct service *s)
{
    if (s->conf->stop.to == CONF_TO_GROUP)
        return TO_MAIN | TO_MEMBERS;
    return s->pid || s->conf->stop.to == CONF_TO_MIXED ? TO_MAIN : TO_MEMBERS;
}

static void do_spawn(struct world *w, struct service *s)
{
    struct book *b = &w->book[s->slot];
    enum proc_role role = s->preparing ? ROLE_PREPARE : ROLE_MAIN;
    struct engine_fact fact = {0};
    pid_t pid;

    check_spawn(w, s);
    save(w, s);
    crash_point(w);
    pid = child_reserve(&w->children)
              ? -1
              : kernel_fork(&w->kernel, w->now, role, &b->spec, b->id, s->generation);
    coverage_fork(role, pid < 0 ? -pid : 0);
    TRACE(w, "%s: fork gives %d", service_name(s), (int)pid);
    crash_point(w);
    if (pid < 0) {
        fact.error = -pid;
        event(w, s, EVENT_NO_FORK, &fact);
        return;
    }
    child_add(&w->children, pid, CHILD_MAIN, s);
    fact.pid = pid;
    event(w, s, EVENT_FORKED, &fact);
}

static void do_command(struct world *w, struct service *s)
{
    struct book *b = &w->book[s->slot];
    struct engine_fact fact = {0};
    pid_t pid;

    save(w, s);
    crash_point(w);
    pid = child_reserve(&w->children)
              ? -1
              : kernel_fork(&w->kernel, w->now, ROLE_COMMAND, &b->spec, b->id, s->generation);
    coverage_fork(ROLE_COMMAND, pid < 0 ? -pid : 0);
    TRACE(w, "%s: fork of its stop command gives %d", service_name(s), (int)pid);
    crash_point(w);
    if (pid > 0) {
        child_add(&w->children, pid, CHILD_COMMAND, s);
        fact.pid = pid;
    }
    event(w, s, EVENT_COMMAND, &fact);
}

static void do_free(struct world *w, struct service *s)
{
    unsigned slot = s->slot;

    persist_clear(&w->store[slot]);
    crash_point(w);
    engine_forget(&w->engine, s);
    w->book[slot] = w->kept_book[slot] = (struct book){0};
}

static void carry_out(struct world *w, struct service *s, enum service_action what)
{
    coverage_action(what);
    check_action(w, s, what);
    switch (what) {
    case ACTION_SPAWN:
        do_spawn(w, s);
        break;
    case ACTION_COMMAND:
        do_command(w, s);
        break;
    case ACTION_COMMAND_END:
        send_to(w, s, TO_COMMAND, SIGKILL);
        break;
    case ACTION_SIGNAL:
        find_members(w, s);
        send_to(w, s, whom_to_tell(s), service_stop_signal(s));
        event(w, s, EVENT_SIGNALLED, NULL);
        break;
    case ACTION_SWEEP:
        if (s->conf->stop.to != CONF_TO_MIXED)
            send_to(w, s, TO_MEMBERS | ONLY_NEW, service_stop_signal(s));
        break;
    case ACTION_KILL:
        find_members(w, s);
        send_to(w, s, TO_MAIN | TO_MEMBERS | TO_COMMAND, SIGKILL);
        event(w, s, EVENT_SIGNALLED, NULL);
        break;
    case ACTION_NAME_STUCK:
        break;
    case ACTION_FREE:
        do_free(w, s);
        return;
    }
    crash_point(w);
    save_unless_late(w, s);
}

/* All that is pending; or, where tend is lazy, a little of it. */
void pump(struct world *w)
{
    unsigned budget = w->lazy ? 1 + rng_below(&w->rng, 3) : UINT32_MAX;
    enum service_action what;
    struct service *s;
    unsigned done = 0;

    w->again = false;
    do {
        engine_settle(&w->engine, w->now);
        crash_point(w);
        if (!w->late)
            save_dirty(w);
        crash_point(w);
        while ((s = engine_next_action(&w->engine, &what))) {
            TRACE(w, "%s: action %s", service_name(s), action_name(what));
            carry_out(w, s, what);
            crash_point(w);
            if (++done >= budget) {
                w->again = true;
                return;
            }
            if (done > TURN_ENDLESS)
                broken(w, "P32", "%u actions in one turn", done);
        }
    } while (w->engine.queue[QUEUE_LEVEL].first || w->engine.queue[QUEUE_GOING].first);
}

void turn(struct world *w)
{
    hear_all(w);
    reap_all(w);
    look_at_members(w);
    ops_due(w);
    crash_point(w);
    if (w->now >= engine_deadline(&w->engine)) {
        engine_expire(&w->engine, w->now);
        crash_point(w);
        w->dirty = UINT64_MAX;
    }
    pump(w);
    save_dirty(w);
    check_turn(w);
}

void world_changed(void *self, const struct engine_change *change)
{
    struct world *w = self;

    if (change->impossible)
        broken(w, "P06", "%s: %s in state %s", service_name(change->service),
               engine_event_name(change->event), service_state_name(change->from));
    TRACE(w, "%s: %s -> %s (%s, %s)", service_name(change->service),
          service_state_name(change->from), service_state_name(change->to),
          engine_event_name(change->event), service_cause_text(change->service->cause));
    w->dirty |= UINT64_C(1) << change->service->slot;
    book_change(w, change);
    history_note(w, change);
}
