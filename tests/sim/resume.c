/* A crash of tend: everything is gone but the records, the configs and the processes. */
#include <stdlib.h>
#include <string.h>

#include "talk.h"

struct memory {
    struct store store;
    struct persist_area area;
    struct book book[SLOTS];
    const struct persist_record *record[SLOTS]; /* by slot of the new engine */
};

static bool is_child(const struct world *w, pid_t pid)
{
    return pid > 0 && w->kernel.at[pid].state != PROC_FREE && w->kernel.at[pid].parent == TEND_PID;
}

static bool is_stored(const struct memory *m, pid_t pid)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        const struct persist_record *r = persist_find(&m->area, i);
        if (r && (r->pid == pid || r->command == pid))
            return true;
    }
    return false;
}

/* Time passes, and the status of a dead child that is known may be lost for ever. */
static void downtime(struct world *w, const struct memory *m)
{
    msec lost = rng_chance(&w->rng, 1, 4) ? rng_time(&w->rng, 0, 40) : 0;

    w->crashes++;
    w->now += lost;
    w->lost += lost;
    w->lost_ever += lost;
    w->late_now += lost;
    kernel_run(&w->kernel, w->now);
    for (unsigned pid = TEND_PID + 1; pid < w->kernel.pids; pid++) {
        struct proc *p = &w->kernel.at[pid];
        if (p->state == PROC_ZOMBIE && is_child(w, p->pid) && rng_chance(&w->rng, 1, 30) &&
            is_stored(m, p->pid)) {
            TRACE(w, "the status of pid %u is lost", pid);
            kernel_wait(&w->kernel, p);
        }
    }
}

static void check_record(const struct world *w, const struct persist_record *r,
                         const struct service *s, const struct book *b)
{
    const struct proc *p = &w->kernel.at[r->pid];

    if (s->state != b->state)
        broken(w, "P06", "%s was %s, not %s", service_name(s), service_state_name(b->state),
               service_state_name(s->state));
    if (service_is_ending(s) && s->by_itself != b->leaving)
        broken(w, "P14", "%s: who began its stop is forgotten", service_name(s));
    if (r->leader != b->leader)
        broken(w, "P05", "%s: pid %d led, not %d", service_name(s), (int)b->leader, (int)r->leader);
    if ((s->state == SERVICE_STARTING || s->state == SERVICE_RUNNING) && r->pid &&
        p->owner == b->id && p->told >> 16 == s->generation)
        broken(w, "P13", "%s was told to stop: that would count as its own end", service_name(s));
}

/* The confs of a record are kept as the record is. */
static void restore(struct world *w, struct memory *m, unsigned slot)
{
    const struct persist_record *r = persist_find(&m->area, slot);
    struct book *b = &m->book[slot];
    struct service *s;

    if (!r && b->id && !(b->doomed && b->state == SERVICE_DOWN))
        broken(w, "P02", "the record of slot %u is lost", slot);
    if (!r)
        return;
    s = graph_add(&w->engine.graph, spec_build(&b->spec, b->name, b->line));
    if (b->next_line)
        s->next_conf = spec_build(&b->next_spec, b->name, b->next_line);
    persist_load(r, s);
    m->record[s->slot] = r;
    w->book[s->slot] = *b;
    w->book[s->slot].excuses++;
    w->book[s->slot].died_in = 0; /* it may have had children since */
    check_record(w, r, s, b);
}

/* Where an exit was written ahead, a process that lives has got the pid since. */
static bool names(const struct world *w, const struct persist_record *r, pid_t pid)
{
    pid_t ended[2];

    persist_ended(r, &ended[0], &ended[1]);
    if (pid == ended[0] || pid == ended[1])
        return w->kernel.at[pid].state == PROC_ZOMBIE;
    return r->pid == pid || r->command == pid;
}

static bool is_recorded(const struct world *w, const struct memory *m, pid_t pid)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (m->record[i] && names(w, m->record[i], pid))
            return true;
    return false;
}

/* It was known by its number and the time of its birth. */
static bool is_held(const struct world *w, pid_t pid)
{
    return w->kernel.at[pid].kept && proc_lives(&w->kernel.at[pid]);
}

static pid_t find_unrecorded(const struct world *w, const struct memory *m)
{
    for (unsigned pid = TEND_PID + 1; pid < w->kernel.pids; pid++)
        if (w->kernel.at[pid].forked && is_child(w, (pid_t)pid) && !w->kernel.at[pid].former &&
            !is_recorded(w, m, (pid_t)pid))
            return (pid_t)pid;
    return 0;
}

static void reap_ended(struct world *w, const struct persist_record *r)
{
    pid_t ended[2];

    persist_ended(r, &ended[0], &ended[1]);
    for (int i = 0; i < 2; i++)
        if (is_child(w, ended[i]) && w->kernel.at[ended[i]].state == PROC_ZOMBIE)
            kernel_wait(&w->kernel, &w->kernel.at[ended[i]]);
}

static void reconcile(struct world *w, const struct memory *m, struct service *s)
{
    const struct persist_record *r = m->record[s->slot];
    bool ours = is_child(w, r->pid) || is_held(w, r->pid);
    struct persist_world world = {.pid_is_ours = ours, .command_is_ours = is_child(w, r->command)};

    if (persist_forking(s)) {
        world.unrecorded = find_unrecorded(w, m);
        if (world.unrecorded)
            book_event(w, s, s->state == SERVICE_STARTING ? EVENT_FORKED : EVENT_COMMAND);
        if (world.unrecorded && s->state == SERVICE_STARTING)
            w->book[s->slot].leader = world.unrecorded;
    }
    reap_ended(w, r);
    if (r->pid && (!ours || !names(w, r, r->pid)))
        book_event(w, s, EVENT_EXITED);
    persist_resume(&w->engine, s, r, &world, w->now);
    if (s->pid)
        child_add(&w->children, s->pid, CHILD_MAIN, s);
    else
        w->kernel.at[r->pid].kept = false;
    if (s->command)
        child_add(&w->children, s->command, CHILD_COMMAND, s);
}

/* Those who were main processes, and those that are and are no children of ours: by the records,
 * which may be older than what was done last. */
static void restore_kept(struct world *w, const struct memory *m)
{
    bool main[PIDS_MAX] = {false};

    for (unsigned i = 0; i < SLOTS; i++)
        if (m->record[i])
            main[m->record[i]->pid] = true;
    for (unsigned pid = TEND_PID + 1; pid < w->kernel.pids; pid++) {
        struct proc *p = &w->kernel.at[pid];
        p->former = p->former && !main[pid];
        p->kept = p->kept && main[pid];
        if (p->former && p->state != PROC_FREE) {
            child_reserve(&w->children);
            child_add(&w->children, p->pid, CHILD_FORMER, book_service(w, p->owner));
        }
    }
}

/* The end of a report can be read once more. */
static void hear_again(struct world *w)
{
    for (unsigned pid = TEND_PID + 1; pid < w->kernel.pids; pid++)
        w->kernel.at[pid].reported = false;
}

static void restore_all(struct world *w, struct memory *m, size_t slots)
{
    for (unsigned i = 0; i < slots; i++)
        restore(w, m, i);
    restore_kept(w, m);
    graph_link(&w->engine.graph);
    for (size_t i = 0; i < w->engine.graph.n; i++)
        engine_adopt(&w->engine, w->engine.graph.at[i], w->now);
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        child_reserve(&w->children);
        child_reserve(&w->children);
        reconcile(w, m, w->engine.graph.at[i]);
    }
}

void world_resume(struct world *w)
{
    struct memory *m = calloc(1, sizeof *m);
    size_t slots = w->engine.graph.n;

    TRACE(w, "---- crash ----");
    clients_lose(w);
    lives_excuse(w);
    m->store = w->store;
    m->area = area_of(&m->store);
    memcpy(m->book, w->kept_book, sizeof m->book);
    memset(&w->store, 0, sizeof w->store);
    memset(w->book, 0, sizeof w->book);
    memset(w->kept_book, 0, sizeof w->kept_book);
    downtime(w, m);
    engine_free(&w->engine);
    child_table_free(&w->children);
    engine_init(&w->engine, world_changed, w);
    w->engine.shutdown = w->kept_shutdown;
    w->engine.hurry = w->kept_hurry;
    w->engine.shutdown_began = w->kept_began;
    w->gone_by = w->kill_at = NEVER;
    w->may_stop = UINT64_MAX;
    restore_all(w, m, slots);
    probes_resume(w);
    if (rng_chance(&w->talk, 1, 2))
        w->kernel.n_said = 0;
    if (w->kept_gone_by != NEVER) {
        engine_limit(&w->engine, w->now, w->kept_gone_by);
        check_limit(w);
    }
    save_all(w);
    hear_again(w);
    free(m);
}
