/* One wake-up, in the order of the real driver. */
#include <string.h>

#include "talk.h"

/* The next instruction may be the last one of this tend. */
static bool is_last(struct world *w)
{
    return w->crash_in >= 0 && w->crash_in-- == 0;
}

void crash_point(struct world *w)
{
    if (is_last(w))
        longjmp(w->crashed, 1);
}

/* ---- records ---- */

/* In the middle of the write that took the place of old: the undo record is there, the slot has
 * bytes of both. */
_Noreturn static void crash_in_write(struct world *w, unsigned slot,
                                     const struct persist_record *old)
{
    struct persist_record *r = &w->store.at[slot], new = *r;
    size_t n = rng_below(&w->rng, sizeof new + 1);
    bool forwards = rng_chance(&w->rng, 1, 2);

    TRACE(w, "in the write of slot %u", slot);
    memcpy(r, forwards ? &new : old, n);
    memcpy((char *)r + n, (const char *)(forwards ? old : &new) + n, sizeof new - n);
    r->sum = 0;
    w->store.undo.valid = PERSIST_UNDO;
    longjmp(w->crashed, 1);
}

/* old: what the slot held, NULL: nobody can have come in between. */
static void written(struct world *w, const struct service *s, const struct persist_record *old)
{
    if (old && is_last(w))
        crash_in_write(w, s->slot, old);
    w->kept_book[s->slot] = w->book[s->slot];
}

void save(struct world *w, const struct service *s)
{
    struct persist_area area = area_of(&w->store);
    struct persist_record old = w->store.at[s->slot];

    persist_save(&area, s, w->book[s->slot].leader);
    written(w, s, &old);
    w->dirty &= ~(UINT64_C(1) << s->slot);
}

static bool is_fork(enum engine_event e)
{
    return e == EVENT_FORKED || e == EVENT_NO_FORK || e == EVENT_COMMAND;
}

void save_unless_late(struct world *w, const struct service *s)
{
    if (w->late)
        w->dirty |= UINT64_C(1) << s->slot;
    else
        save(w, s);
}

/* Before its signal is sent, it is known to be stopped. */
static void save_next(struct world *w)
{
    const struct service *s = engine_peek_action(&w->engine);

    if (s && w->dirty >> s->slot & 1)
        save(w, s);
}

void save_all(struct world *w)
{
    struct persist_area area = area_of(&w->store);

    for (size_t i = 0; i < w->engine.graph.n; i++) {
        if (!w->engine.graph.at[i])
            continue;
        persist_save(&area, w->engine.graph.at[i], w->book[i].leader);
        written(w, w->engine.graph.at[i], NULL);
    }
    w->dirty = 0;
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
    if (e == EVENT_FORKED)
        life_begins(w, s, fact->pid);
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

    if (closed && !p->reported && s) {
        event(w, s, EVENT_EXEC_OK, NULL);
        probes_executed(w, s);
    }
    p->reported = closed;
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
    struct persist_area area = area_of(&w->store);
    struct persist_record old;

    hear(w, p);
    if (!exit_from_status(p->status, &fact.exit))
        broken(w, "P07", "%s: status %d is no exit", service_name(s), p->status);
    old = w->store.at[s->slot];
    persist_exit(&area, s, &fact.exit, fact.error, fact.error_step);
    written(w, s, &old);
    crash_point(w);
    child_remove(&w->children, p->pid);
    kernel_wait(&w->kernel, p);
    crash_point(w);
    event(w, s, EVENT_EXITED, &fact);
}

static void reap_command(struct world *w, struct proc *p, struct service *s)
{
    struct persist_area area = area_of(&w->store);
    struct persist_record old = w->store.at[s->slot];

    persist_command_ended(&area, s, w->book[s->slot].leader);
    written(w, s, &old);
    crash_point(w);
    child_remove(&w->children, p->pid);
    kernel_wait(&w->kernel, p);
    crash_point(w);
    event(w, s, EVENT_COMMAND_ENDED, NULL);
}

/* Of a main process that is no child of ours only its end can be seen, not how it ended. */
static bool has_lost_main(const struct world *w, const struct service *s)
{
    const struct proc *p = &w->kernel.at[s->pid];

    return s->pid && p->kept && !proc_lives(p) && (p->state == PROC_FREE || p->parent != TEND_PID);
}

void lose_main(struct world *w, struct service *s)
{
    struct engine_fact fact = {.exit = {.how = EXIT_LOST}};
    struct persist_area area = area_of(&w->store);
    struct persist_record old = w->store.at[s->slot];

    TRACE(w, "pid %d is gone", (int)s->pid);
    life_lost(w, s);
    persist_exit(&area, s, &fact.exit, 0, 0);
    written(w, s, &old);
    crash_point(w);
    child_remove(&w->children, s->pid);
    w->kernel.at[s->pid].kept = false;
    event(w, s, EVENT_EXITED, &fact);
}

static void look_at_mains(struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++)
        if (w->engine.graph.at[i] && has_lost_main(w, w->engine.graph.at[i]))
            lose_main(w, w->engine.graph.at[i]);
}

static void reap(struct world *w, struct proc *p)
{
    const struct child *c = child_find(&w->children, p->pid);

    TRACE(w, "pid %d ended with %#x%s", (int)p->pid, (unsigned)p->status, c ? "" : ", a stranger");
    if (!c || c->kind == CHILD_FORMER) {
        child_remove(&w->children, p->pid);
        kernel_wait(&w->kernel, p);
        return;
    }
    check_reap(w, p, c);
    if (c->kind == CHILD_MAIN)
        life_ends(w, c->service, p);
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
        probes_follow(w);
        crash_point(w);
        if (!w->late)
            save_dirty(w);
        crash_point(w);
        while (save_next(w), (s = engine_next_action(&w->engine, &what))) {
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
    w->may_stop = UINT64_MAX;
    hear_all(w);
    talk_hear(w);
    reap_all(w);
    look_at_mains(w);
    probes_answers(w);
    look_at_members(w);
    ops_due(w);
    clients_act(w);
    crash_point(w);
    if (w->now >= engine_deadline(&w->engine)) {
        check_waived(w);
        engine_expire(&w->engine, w->now);
        check_order(w);
        w->kept_hurry |= w->engine.hurry;
        crash_point(w);
        w->dirty = UINT64_MAX;
    }
    probes_expire(w);
    pump(w);
    save_dirty(w);
    clients_answer(w);
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
    check_taken_along(w, change);
    w->dirty |= UINT64_C(1) << change->service->slot;
    book_change(w, change);
    probes_moved(w, change);
    history_note_death(w, change);
    history_note(w, change);
}
