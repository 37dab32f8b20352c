/* Processes, as far as a supervisor can tell. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "sim.h"

const int fork_errors[FORK_ERRORS] = {EAGAIN, ENOMEM, EMFILE, ENFILE, ENOSYS};

void kernel_init(struct kernel *k, struct rng *rng)
{
    k->rng = *rng;
    k->pids = 24 + rng_below(&k->rng, PIDS_MAX - 24 + 1);
    k->last_pid = TEND_PID;
    k->cgroup = rng_chance(&k->rng, 1, 2);
    k->zombie_delay = rng_chance(&k->rng, 1, 2) ? 0 : rng_time(&k->rng, 1, 40);
    k->next = NEVER;
    for (unsigned pid = 0; pid < PIDS_MAX; pid++)
        k->at[pid] = (struct proc){.pid = (pid_t)pid, .next = NEVER};
    habits_random(&k->habits, &k->rng);
}

bool proc_lives(const struct proc *p)
{
    return p->state == PROC_RUNS || p->state == PROC_STOPPED;
}

static msec earlier(msec a, msec b)
{
    return a < b ? a : b;
}

/* A process that is stopped or frozen does nothing until it goes on. */
void proc_schedule(struct kernel *k, struct proc *p)
{
    msec own = earlier(earlier(p->exec_at, p->ready_at), earlier(p->exit_at, p->fork_at));

    own = earlier(earlier(own, p->stop_at), earlier(p->say_at, p->feed_at));
    switch (p->state) {
    case PROC_RUNS:
        p->next = p->thaw_at ? p->thaw_at : own;
        break;
    case PROC_STOPPED:
        p->next = NEVER;
        break;
    case PROC_ZOMBIE:
        p->next = p->parent == TEND_PID ? p->visible : NEVER;
        break;
    case PROC_FREE:
        p->next = NEVER;
        break;
    }
    k->next = earlier(k->next, p->next);
}

static struct proc *new_proc(struct kernel *k)
{
    for (unsigned tried = 0; tried < k->pids; tried++) {
        k->last_pid = (unsigned)k->last_pid + 1 < k->pids ? k->last_pid + 1 : TEND_PID + 1;
        if (k->at[k->last_pid].state == PROC_FREE && !k->at[k->last_pid].kept) {
            struct proc *p = &k->at[k->last_pid];
            *p = (struct proc){.state = PROC_RUNS, .pid = k->last_pid, .birth = ++k->births};
            p->next = p->exec_at = p->ready_at = p->exit_at = p->fork_at = p->stop_at = NEVER;
            p->say_at = p->feed_at = NEVER;
            return p;
        }
    }
    return NULL;
}

pid_t kernel_fork(struct kernel *k, msec now, enum proc_role role, const struct spec *spec,
                  unsigned owner, uint32_t life)
{
    struct proc *p;

    if (!k->calm && rng_chance(&k->rng, k->habits.fork_fail, 100))
        return -fork_errors[rng_below(&k->rng, FORK_ERRORS)];
    p = new_proc(k);
    if (!p)
        return -EAGAIN;
    k->forks++;
    p->role = role;
    p->parent = TEND_PID;
    p->owner = owner;
    p->life = life;
    p->forked = p->found = true;
    habits_give(k, p, spec, now);
    proc_schedule(k, p);
    return p->pid;
}

/* Its children come to tend, the zombies among them too. */
static void die(struct kernel *k, struct proc *p, int status, msec now)
{
    struct proc *parent = &k->at[p->parent];

    p->state = PROC_ZOMBIE;
    p->status = status;
    p->visible = now + (k->calm ? 0 : rng_time(&k->rng, 0, k->zombie_delay));
    for (unsigned pid = TEND_PID + 1; pid < k->pids; pid++) {
        struct proc *child = &k->at[pid];
        if (child->state == PROC_FREE || child->parent != p->pid || child == p)
            continue;
        child->parent = TEND_PID;
        if (child->state == PROC_ZOMBIE && child->visible < now)
            child->visible = now;
        proc_schedule(k, child);
    }
    if (p->parent != TEND_PID && !parent->careless)
        p->state = PROC_FREE;
    proc_schedule(k, p);
}

void kernel_wait(struct kernel *k, struct proc *p)
{
    if (p->forked)
        k->waits++;
    p->state = PROC_FREE;
    p->next = NEVER;
}

static void act_on_signal(struct kernel *k, struct proc *p, int signal, msec now)
{
    if (k->talks && !k->calm && rng_chance(&k->talk, 1, 3))
        proc_answers(k, p);
    switch (p->manner) {
    case DIES_AT_ONCE:
        die(k, p, signal, now);
        break;
    case DIES_WELL:
        die(k, p, 0, now);
        break;
    case DIES_LATER:
        p->exit_at = earlier(p->exit_at, now + rng_time(&k->rng, 1, 9000));
        proc_schedule(k, p);
        break;
    case IS_DEAF:
    case MANNER_COUNT:
        break;
    }
}

void kernel_signal(struct kernel *k, struct proc *p, int signal, msec now)
{
    if (!proc_lives(p))
        return;
    if (signal == SIGKILL && !p->thaw_at) {
        die(k, p, SIGKILL, now);
    } else if (signal == SIGKILL) {
        p->doomed = true;
    } else if (signal == SIGCONT) {
        bool poked = p->poked && !p->thaw_at;
        p->state = PROC_RUNS;
        p->poked = p->poked && !poked;
        proc_schedule(k, p);
        if (poked)
            act_on_signal(k, p, SIGTERM, now);
    } else if (p->state == PROC_STOPPED || p->thaw_at) {
        p->poked = true;
    } else {
        act_on_signal(k, p, signal, now);
    }
}

/* Three ways to have a child: an ordinary one; one in a session of its own, to be found below its
 * parent while that lives; one whose parent is gone at once, which nobody can attribute. */
static void have_child(struct kernel *k, struct proc *p, msec now)
{
    bool away = rng_chance(&k->rng, k->habits.escape, 100);
    bool lost = away && rng_chance(&k->rng, 1, 2);
    bool orphan = lost || rng_chance(&k->rng, 1, 4);
    struct proc *child = new_proc(k);

    p->forks_left--;
    p->fork_at = p->forks_left ? now + rng_time(&k->rng, 1, 4000) : NEVER;
    if (!child)
        return;
    child->role = ROLE_MEMBER;
    child->parent = orphan ? TEND_PID : p->pid;
    child->owner = p->owner;
    child->life = p->life;
    child->found = k->cgroup || (p->found && p->role != ROLE_COMMAND && !away);
    habits_give(k, child, NULL, now);
    proc_schedule(k, child);
}

static void exec_now(struct kernel *k, struct proc *p, msec now)
{
    p->exec_at = NEVER;
    if (p->exec_error) {
        p->exec_failed = true;
        die(k, p, 127 << 8, now);
        return;
    }
    p->executed = true;
    if (k->calm && k->talks && p->role == ROLE_MAIN) /* else there is no rest */
        proc_says(k, p, SAYS_WATCHDOG, 0);
}

static void thaw(struct kernel *k, struct proc *p, msec now)
{
    bool poked = p->poked && p->state == PROC_RUNS;

    p->thaw_at = 0;
    if (p->doomed && p->ready_at <= now) /* it hung in the call that says so */
        proc_says(k, p, SAYS_READY, 0);
    if (p->doomed && p->say_at <= now)
        proc_talks(k, p, now);
    if (p->doomed) {
        die(k, p, SIGKILL, now);
    } else if (poked) {
        p->poked = false;
        act_on_signal(k, p, SIGTERM, now);
    }
}

static void step(struct kernel *k, struct proc *p, msec now)
{
    if (p->thaw_at) {
        thaw(k, p, now);
    } else if (p->exec_at <= now) {
        exec_now(k, p, now);
    } else if (p->ready_at <= now) {
        p->ready_at = rng_chance(&k->rng, 1, 3) ? now + rng_time(&k->rng, 1, 2000) : NEVER;
        proc_says(k, p, SAYS_READY, 0);
    } else if (p->say_at <= now) {
        proc_talks(k, p, now);
    } else if (p->feed_at <= now) {
        p->feed_at = --p->feeds_left ? now + p->feed_every : NEVER;
        proc_says(k, p, SAYS_ALIVE, 0);
    } else if (p->fork_at <= now) {
        have_child(k, p, now);
    } else if (p->stop_at <= now) {
        p->stop_at = NEVER;
        p->state = PROC_STOPPED;
    } else if (p->exit_at <= now) {
        die(k, p, p->exit_status, now);
    }
    proc_schedule(k, p);
}

/* In an order that nobody can rely on. */
void kernel_run(struct kernel *k, msec now)
{
    unsigned first = rng_below(&k->rng, k->pids);

    if (now < k->next)
        return;
    for (unsigned i = 0; i < k->pids; i++) {
        struct proc *p = &k->at[(first + i) % k->pids];
        for (int n = 0; n < 8 && proc_lives(p) && p->next <= now; n++)
            step(k, p, now);
    }
}

msec kernel_next(struct kernel *k)
{
    k->next = NEVER;
    for (unsigned pid = TEND_PID + 1; pid < k->pids; pid++)
        k->next = earlier(k->next, k->at[pid].next);
    return k->next;
}

void kernel_calm(struct kernel *k, msec now)
{
    k->calm = true;
    for (unsigned pid = TEND_PID + 1; pid < k->pids; pid++) {
        struct proc *p = &k->at[pid];
        if (!proc_lives(p))
            continue;
        p->forks_left = 0;
        p->fork_at = p->stop_at = p->say_at = p->feed_at = NEVER;
        if (p->thaw_at)
            p->thaw_at = now;
        if (k->talks && p->role != ROLE_COMMAND)
            proc_says(k, p, SAYS_WATCHDOG, 0);
        if (p->role == ROLE_MEMBER) {
            p->state = PROC_RUNS;
            p->exit_at = now;
        }
        proc_schedule(k, p);
    }
}
