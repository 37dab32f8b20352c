/* How processes behave: in each life of tend some faults are frequent, others do not occur. */
#include <errno.h>
#include <signal.h>

#include "sim.h"

static unsigned some(struct rng *r, unsigned most)
{
    return rng_chance(r, 1, 3) ? 0 : rng_below(r, most + 1);
}

void habits_random(struct habits *h, struct rng *r)
{
    h->crash = some(r, 80);
    h->deaf = some(r, 60);
    h->forky = some(r, 60);
    h->escape = some(r, 50);
    h->hang = some(r, 20);
    h->stop = some(r, 20);
    h->exec_fail = some(r, 20);
    h->late = some(r, 60);
    h->frozen = some(r, 15);
    h->fork_fail = some(r, 25);
}

static bool often(struct kernel *k, unsigned percent)
{
    return !k->calm && rng_chance(&k->rng, percent, 100);
}

static void give_end(struct kernel *k, struct proc *p, const struct spec *spec, msec now)
{
    static const int statuses[] = {0, 1 << 8, 3 << 8, SIGSEGV | 0x80, SIGKILL, SIGTERM, 0};
    bool ends = p->role != ROLE_MEMBER && (p->role != ROLE_MAIN || spec->oneshot);

    if (k->calm && !ends)
        return;
    if (k->calm) {
        p->exit_at = now + rng_time(&k->rng, 0, 50);
    } else if (often(k, k->habits.crash) || (ends && !often(k, k->habits.hang))) {
        bool soon = rng_chance(&k->rng, 1, 2);
        p->exit_at = now + rng_time(&k->rng, 0, soon ? 20 : 20000);
        p->exit_status = statuses[rng_below(&k->rng, ARRAY_SIZE(statuses))];
    }
}

static void give_start(struct kernel *k, struct proc *p, const struct spec *spec, msec now)
{
    bool hangs = often(k, k->habits.hang);

    p->exec_at = hangs ? NEVER : now + (often(k, k->habits.late) ? rng_time(&k->rng, 1, 300) : 0);
    if (often(k, k->habits.exec_fail))
        p->exec_error = rng_chance(&k->rng, 1, 2) ? ENOENT : EACCES;
    if (hangs)
        p->exit_at = NEVER;
    else if (p->exit_at < p->exec_at)
        p->exit_at = p->exec_at;
    if (p->role == ROLE_MAIN && !spec->oneshot &&
        (spec->ready == CONF_READY_EXIT || spec->ready == CONF_READY_NOTIFY ||
         spec->ready == CONF_READY_FD) &&
        !hangs && !often(k, k->habits.hang))
        p->ready_at = p->exec_at + (often(k, k->habits.late) ? rng_time(&k->rng, 0, 8000) : 0);
    if (p->role == ROLE_PREPARE && often(k, 5)) /* which it never is */
        p->ready_at = p->exec_at;
}

static void give_faults(struct kernel *k, struct proc *p, msec now)
{
    if (often(k, k->habits.forky)) {
        p->forks_left = 1 + rng_below(&k->rng, 3);
        p->fork_at = now + rng_time(&k->rng, 1, 500);
    }
    if (often(k, k->habits.stop))
        p->stop_at = now + rng_time(&k->rng, 1, 3000);
    if (often(k, k->habits.frozen))
        p->thaw_at = rng_chance(&k->rng, 1, 2) ? now + rng_time(&k->rng, 1, 30000) : NEVER;
    p->careless = often(k, 30);
}

/* Some become a crowd, in which another can be the main process; some say that they are ready and
 * die. */
static void give_company(struct kernel *k, struct proc *p, msec now)
{
    struct rng *r = &k->talk;

    if (rng_chance(r, 1, 3) && p->role == ROLE_MAIN && p->fork_at == NEVER) {
        p->forks_left = 1 + rng_below(r, 2);
        p->fork_at = now + rng_time(r, 1, 300);
    }
    if (p->ready_at != NEVER && rng_chance(r, 1, 8))
        p->exit_at = p->ready_at;
}

static void give_words(struct kernel *k, struct proc *p, const struct spec *spec, msec now)
{
    struct rng *r = &k->talk;

    if (k->calm)
        return;
    give_company(k, p, now);
    if (rng_chance(r, 1, 2)) {
        p->says_left = 1 + rng_below(r, 5);
        p->say_at = now + (rng_chance(r, 1, 2) ? rng_time(r, 0, 400) : rng_time(r, 0, 9000));
    }
    if (p->role != ROLE_MAIN || !spec->watchdog || rng_chance(r, 1, 5))
        return;
    p->feeds_left = 1 + rng_below(r, 30);
    p->feed_every = rng_chance(r, 3, 4) ? spec->watchdog / 2 : rng_time(r, 1, spec->watchdog);
    p->feed_at = now + p->feed_every;
}

void habits_give(struct kernel *k, struct proc *p, const struct spec *spec, msec now)
{
    p->manner = often(k, k->habits.deaf) ? (rng_chance(&k->rng, 1, 2) ? IS_DEAF : DIES_LATER)
                                         : (enum proc_manner)rng_below(&k->rng, 2);
    give_end(k, p, spec, now);
    if (p->forked)
        give_start(k, p, spec, now);
    give_faults(k, p, now);
    if (k->talks)
        give_words(k, p, spec, now);
}
