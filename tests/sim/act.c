/* Actions to effects, and their results back as events. */
#include <signal.h>

#include "sim.h"

/* ---- members ---- */

bool is_member(const struct world *w, const struct service *s, const struct proc *p)
{
    return proc_lives(p) && p->found && p->owner == w->book[s->slot].id && p->pid != s->pid &&
           p->pid != s->command;
}

unsigned count_members(const struct world *w, const struct service *s)
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
    bool meant[PIDS_MAX] = {false}, reached = false;

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
    check_rests(w, s);
    b->leader = 0;
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
    fact.pid = b->leader = pid;
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
    struct persist_area area = area_of(&w->store);
    unsigned slot = s->slot;

    persist_clear(&area, slot);
    crash_point(w);
    engine_forget(&w->engine, s);
    w->book[slot] = w->kept_book[slot] = (struct book){0};
    w->checkups[slot] = (struct checkup){.answer_at = NEVER};
}

void carry_out(struct world *w, struct service *s, enum service_action what)
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
        w->lives[s->slot].killed = true;
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
