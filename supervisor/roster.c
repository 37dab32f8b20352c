/* Who is left of a service, and telling those whom no signal to a group reaches. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tend/log.h"
#include "tend/process.h"
#include "tend/world.h"

uint64_t roster_tick(void)
{
    struct timespec t;
    long hz = sysconf(_SC_CLK_TCK);

    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * (uint64_t)hz + (uint64_t)t.tv_nsec / (1000000000u / (uint64_t)hz);
}

void roster_open(struct world *w)
{
    if (w->proc_tried)
        return;
    w->proc_tried = true;
    w->proc = members_open();
    if (w->proc < 0)
        log_warnx("no /proc: who belongs to a service is told by its process group alone");
}

/* Its main process is gone, but not yet everything. */
static bool waits_for_end(const struct service *s)
{
    return s && s->pid == 0 && service_is_ending(s);
}

/* The number of its leader may be somebody else's, when nobody of its session is left. */
static bool has_lost_leader(const struct world *w, const struct service *s)
{
    return waits_for_end(s) || (s && w->lives[s->slot].main_fd);
}

/* ---- attribution ---- */

/* In a snapshot, for those in the wait table, in place of a state of proc(5). */
enum { OWN_CHILD = 'c' };

static bool is_alive(const struct process_stat *p)
{
    return p->state != 'Z' && p->state != 'X';
}

static bool is_kin(const struct life *l, const struct process_stat *p)
{
    return l->leader && (p->session == l->leader || p->pgrp == l->leader);
}

static int owner_by_leader(const struct world *w, pid_t leader)
{
    const struct child *c = child_find(&w->children, leader);

    return c && c->service ? (int)c->service->slot : -1;
}

/* Direct evidence: main process or other command of a service, session or group of one, or known
 * from an earlier look. What comes to us in command mode is the command's. */
static int direct(void *world, const struct process_stat *p)
{
    const struct world *w = world;
    int owner = owner_by_leader(w, p->pid);

    if (owner < 0 && w->entrypoint && p->ppid == getpid())
        owner = 0;
    if (owner < 0)
        owner = owner_by_leader(w, p->session);
    if (owner < 0)
        owner = owner_by_leader(w, p->pgrp);
    for (size_t i = 0; owner < 0 && i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        const struct life *l = &w->lives[i];
        if (s &&
            ((has_lost_leader(w, s) && is_kin(l, p)) || members_has(&l->members, p->pid, p->born)))
            owner = (int)i;
    }
    return owner;
}

const struct service *roster_owner(struct world *w, const struct process_stat *p)
{
    int owner = direct(w, p);

    return owner < 0 ? NULL : w->engine.graph.at[owner];
}

/* They are no members, only what descends from them is; so it is enough to know that they are ours.
 * Of none has the number been given away, as we have not waited for it. */
static bool is_own_child(void *world, pid_t pid, struct process_stat *out)
{
    const struct world *w = world;
    const struct child *c = child_find(&w->children, pid);

    if (!c || !c->service || c->kind == CHILD_FORMER ||
        (c->kind == CHILD_MAIN && c->service->adopted))
        return false;
    *out = (struct process_stat){
        .pid = pid, .ppid = getpid(), .pgrp = pid, .session = pid, .state = OWN_CHILD};
    return true;
}

static bool read_snapshot(struct world *w, snapshot_known *known)
{
    if (snapshot_take(w->proc, &w->snapshot, known, w))
        return false;
    if (w->snapshot.n > w->n_owners) {
        int *owners = realloc(w->owners, w->snapshot.n * sizeof *owners);
        if (!owners)
            return false;
        w->owners = owners;
        w->n_owners = w->snapshot.n;
    }
    return true;
}

static void drop_leader(struct life *l)
{
    l->unsaved = l->unsaved || l->leader;
    l->leader = 0;
}

/* A process that is not ours and has the number of a dead main process shows that nobody is left in
 * that one's session and group: they would have kept the number. */
static void drop_taken_numbers(struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        struct life *l = &w->lives[i];
        if (has_lost_leader(w, w->engine.graph.at[i]) && l->leader &&
            snapshot_find(&w->snapshot, l->leader) && !child_find(&w->children, l->leader))
            drop_leader(l);
    }
}

/* One reading of all processes serves a whole turn. */
static bool take_snapshot(struct world *w)
{
    if (w->snapshot_turn == w->turn)
        return true;
    if (!read_snapshot(w, is_own_child))
        return false;
    drop_taken_numbers(w);
    snapshot_attribute(&w->snapshot, getpid(), direct, w, w->owners);
    w->snapshot_turn = w->turn;
    return true;
}

static bool counts(const struct world *w, const struct service *s, const struct process_stat *p)
{
    const struct life *l = world_life(w, s);

    return p->pid != s->pid && p->pid != s->command && p->pid != l->reload_pid &&
           p->pid != act_probe_pid(l) && p->state != OWN_CHILD && is_alive(p);
}

static void refresh_from_snapshot(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);

    members_begin(&l->members);
    for (size_t i = 0; i < w->snapshot.n; i++)
        if (w->owners[i] == (int)s->slot && counts(w, s, &w->snapshot.at[i]))
            members_see(&l->members, w->snapshot.at[i].pid, w->snapshot.at[i].born);
    members_end(&l->members);
}

static void refresh_from_cgroup(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);
    int n = cgroup_pids(&w->cgroup, service_name(s), &w->pids, &w->n_pids);
    struct process_stat p;

    members_begin(&l->members);
    for (int i = 0; i < n; i++)
        if (members_stat(w->proc, w->pids[i], &p) == 0 && counts(w, s, &p))
            members_see(&l->members, p.pid, p.born);
    members_end(&l->members);
}

void roster_refresh(struct world *w, struct service *s)
{
    roster_open(w);
    if (world_life(w, s)->in_cgroup)
        refresh_from_cgroup(w, s);
    else if (take_snapshot(w))
        refresh_from_snapshot(w, s);
}

/* ---- who is left ---- */

/* Without /proc: the group alone, as far as the kernel tells of our own children. */
static unsigned count_blind(const struct world *w, const struct service *s)
{
    return process_group_has_child(w->lives[s->slot].leader) ? 1 : 0;
}

static int keep_unknown(struct world *w, size_t n, const struct process_stat *p)
{
    if (n == w->unknown_room) {
        size_t room = n ? n * 2 : 16;
        struct process_stat *at = realloc(w->unknown, room * sizeof *at);
        if (!at)
            return -1;
        w->unknown = at;
        w->unknown_room = room;
    }
    w->unknown[n] = *p;
    return 0;
}

/* In the wait table; but one that was a main process is the service's as any other is. */
static bool is_counted_elsewhere(const struct world *w, pid_t pid)
{
    const struct child *c = child_find(&w->children, pid);

    return c && c->kind != CHILD_FORMER;
}

/* Our children that live and that nobody forked here: the rest of some service, or strays. -1 where
 * it cannot be told. */
static int find_unknown(struct world *w)
{
    size_t found = 0;
    int n = -1;

    w->n_unknown = 0;
    if (w->reaper && w->childless)
        return 0;
    roster_open(w);
    if (w->reaper && w->proc >= 0)
        n = members_children(w->proc, &w->pids, &w->n_pids);
    for (int i = 0; i < n; i++) {
        struct process_stat p;
        if (is_counted_elsewhere(w, w->pids[i]) || members_stat(w->proc, w->pids[i], &p) ||
            !is_alive(&p))
            continue;
        if (keep_unknown(w, found++, &p))
            return -1;
    }
    w->n_unknown = found;
    return n < 0 ? -1 : (int)found;
}

/* All that lived below a child that has ended came to us: where nobody did, the table of members is
 * as it was. */
void roster_refresh_orphans(struct world *w, struct service *s)
{
    if (find_unknown(w) != 0)
        roster_refresh(w, s);
}

/* When the last one of a session and group is gone, their number may be given to anybody. */
static unsigned count_kin(const struct world *w, struct life *l, int unknown)
{
    unsigned kin = 0, others = 0;

    for (int i = 0; i < unknown; i++) {
        const struct process_stat *p = &w->unknown[i];
        if (is_kin(l, p))
            kin++;
        else
            others += w->entrypoint || members_has(&l->members, p->pid, p->born);
    }
    if (kin == 0)
        drop_leader(l);
    return kin + others;
}

static unsigned count_members(struct world *w, struct service *s, int unknown)
{
    struct life *l = world_life(w, s);

    if (l->in_cgroup)
        return unknown != 0 && cgroup_populated(&w->cgroup, service_name(s)) == 1;
    if (w->proc < 0)
        return count_blind(w, s);
    if (unknown >= 0)
        return count_kin(w, l, unknown);
    roster_refresh(w, s);
    return l->members.n;
}

/* Into a PID namespace others may have come that are nobody's children there (setns(2)). */
static bool has_guest(struct world *w)
{
    w->snapshot_turn = 0;
    if (!take_snapshot(w))
        return false;
    for (size_t i = 0; i < w->snapshot.n; i++) {
        const struct process_stat *p = &w->snapshot.at[i];
        if (p->pid != 1 && is_alive(p) && !child_find(&w->children, p->pid))
            return true;
    }
    return false;
}

bool roster_strangers(struct world *w)
{
    bool guests = getpid() == 1 && !process_is_alone();

    if (w->childless && !guests)
        return false;
    roster_open(w);
    return w->proc < 0 || find_unknown(w) != 0 || (guests && has_guest(w));
}

struct showing {
    struct world *w;
    roster_show *show;
    void *self;
    unsigned looks; /* that are left */
};

/* Of those that are not in the wait table, one that is dead already waits for its parent, not we
 * for it. False: enough. */
static bool show_one(struct showing *s, pid_t pid, bool own)
{
    struct process_stat p;

    if (!pid || members_stat(s->w->proc, pid, &p) || (!own && !is_alive(&p)))
        return s->looks > 0 && s->looks--;
    return s->show(s->self, &p);
}

static bool is_unknown_of(const struct world *w, const struct service *s,
                          const struct process_stat *p)
{
    const struct life *l = s ? world_life(w, s) : NULL;

    if (l && (s->pid || members_has(&l->members, p->pid, p->born)))
        return false;
    return !l || w->entrypoint || is_kin(l, p);
}

void roster_each(struct world *w, const struct service *s, roster_show *show, void *self)
{
    struct showing all = {w, show, self, 64};
    const struct life *l = s ? world_life(w, s) : NULL;
    bool more = true;

    roster_open(w);
    if (l)
        more = show_one(&all, s->pid, true) && show_one(&all, s->command, true) &&
               show_one(&all, l->reload_pid, true) && show_one(&all, act_probe_pid(l), true);
    for (unsigned i = 0; more && l && i < l->members.n; i++)
        more = show_one(&all, l->members.at[i].pid, false);
    for (size_t i = 0; more && i < w->n_unknown; i++)
        if (is_unknown_of(w, s, &w->unknown[i]))
            more = show_one(&all, w->unknown[i].pid, false);
}

void roster_woken(struct world *w)
{
    while (cgroup_next(&w->cgroup) >= 0)
        w->look = true;
}

static void watch(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);

    if (l->in_cgroup && !l->watch) {
        int number = cgroup_watch(&w->cgroup, service_name(s));
        l->watch = number > 0 ? number : 0;
    }
    /* an orphan that does not come to us ends without our being told */
    if (!w->reaper)
        w->look_at = w->now + 100;
}

static void feed(struct world *w, struct service *s, unsigned members)
{
    struct life *l = world_life(w, s);

    unsigned others = (l->reload_pid != 0) + (act_probe_pid(l) != 0);

    if (members) {
        observe_left(w, s);
        watch(w, s);
        if (s->state == SERVICE_KILLING && s->killed)
            roster_tell(w, s, SIGKILL, UINT64_MAX);
    } else {
        if (!others && !s->command) /* what is below these comes to us when they end */
            members_free(&l->members);
        drop_leader(l);
    }
    engine_members(&w->engine, s, members + others, w->now);
}

/* All that lived below a main process came to us when it ended; so where we have no child that is
 * not in the table, nothing is left of any service without a main process. */
void roster_check(struct world *w)
{
    bool any_waits = false;
    int unknown;

    w->look = false;
    w->look_at = NEVER;
    for (size_t i = 0; i < w->engine.graph.n && !any_waits; i++)
        any_waits = waits_for_end(w->engine.graph.at[i]);
    if (!any_waits)
        return;
    unknown = find_unknown(w);
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        struct service *s = w->engine.graph.at[i];
        if (waits_for_end(s))
            feed(w, s, unknown == 0 ? 0 : count_members(w, s, unknown));
    }
}

/* ---- telling ---- */

struct identity {
    const struct world *w;
    uint64_t born;
};

static bool same(void *arg, pid_t pid)
{
    const struct identity *who = arg;
    struct process_stat p;

    return members_stat(who->w->proc, pid, &p) == 0 && p.born == who->born;
}

static bool send(struct world *w, pid_t pid, uint64_t born, int signal)
{
    struct identity who = {w, born};

    if (process_signal_other(pid, signal, same, &who))
        return false;
    if (signal != SIGKILL)
        process_signal_other(pid, SIGCONT, same, &who);
    return true;
}

/* The signal to the group reached all who were in it, and whoever is born after it has a parent
 * that was told: a helper of somebody's clean-up is not to be cut short. */
static bool was_told(const struct world *w, const struct life *l, const struct member *m,
                     uint64_t born_before)
{
    struct process_stat p;

    if (m->told || (l->told_tick && m->born >= born_before))
        return true;
    if (!l->told_tick && m->born > w->term_tick)
        return false;
    return members_stat(w->proc, m->pid, &p) == 0 && p.pgrp == l->leader;
}

static unsigned tell_blind(const struct world *w, const struct service *s, int signal)
{
    const struct life *l = world_life(w, s);

    if (s->pid || (l->told_tick && signal != SIGKILL) || !process_group_has_child(l->leader))
        return 0;
    return process_signal_group(l->leader, signal) == 0;
}

unsigned roster_tell(struct world *w, struct service *s, int signal, uint64_t born_before)
{
    struct life *l = world_life(w, s);
    unsigned told = 0;

    roster_open(w);
    if (w->proc < 0)
        return tell_blind(w, s, signal);
    roster_refresh(w, s);
    for (unsigned i = 0; i < l->members.n; i++) {
        struct member *m = &l->members.at[i];
        if (signal != SIGKILL && was_told(w, l, m, born_before))
            continue;
        m->told = true;
        told += send(w, m->pid, m->born, signal);
    }
    return told;
}

static int child_of(void *self, const struct process_stat *p)
{
    return p->ppid == *(const pid_t *)self ? 0 : -1;
}

/* As PID 1 everybody in the namespace is ours; else who descends from us. */
unsigned roster_sweep(struct world *w, int signal)
{
    pid_t self = getpid();
    unsigned told = 0;

    if (process_signal_all(signal) == 0) {
        if (signal != SIGKILL)
            process_signal_all(SIGCONT);
        return 1;
    }
    w->snapshot_turn = 0;
    roster_open(w);
    if (w->proc < 0 || !read_snapshot(w, NULL))
        return 0;
    snapshot_attribute(&w->snapshot, self, child_of, &self, w->owners);
    for (size_t i = 0; i < w->snapshot.n; i++) {
        const struct process_stat *p = &w->snapshot.at[i];
        if (w->owners[i] == 0 && is_alive(p))
            told += send(w, p->pid, p->born, signal);
    }
    return told;
}
