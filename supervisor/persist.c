#include "tend/persist.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "tend/engine_life.h"

enum {
    WANTED = 1 << 0,
    AGAIN = 1 << 1,
    DOOMED = 1 << 2,
    READY = 1 << 3,
    PREPARING = 1 << 4,
    PREPARED = 1 << 5,
    EXECUTED = 1 << 6,
    ADOPTED = 1 << 7,
    KILLED = 1 << 8,
    CORE = 1 << 9,
    ENDED = 1 << 10,         /* pid has ended, with the exit of this record */
    COMMAND_ENDED = 1 << 11, /* command has ended */
    OOM = 1 << 12,
    BY_ITSELF = 1 << 13,
    ALL_FLAGS = (1 << 14) - 1,
};

static_assert(sizeof(int) == sizeof(int32_t) && sizeof(pid_t) == sizeof(int32_t),
              "kept as 32 bits");

/* ---- writing ---- */

/* Of all words that follow the sum itself, up to the end of what is that long. Never 0, which
 * stands for a record under way. */
static uint32_t sum_after(const uint32_t *sum, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)sum;
    uint64_t h = 0x9e3779b97f4a7c15u;
    uint32_t word;

    for (size_t i = sizeof word; i + sizeof word <= size; i += sizeof word) {
        memcpy(&word, bytes + i, sizeof word);
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 29;
    }
    word = (uint32_t)(h ^ h >> 32);
    return word ? word : 1;
}

static_assert(sizeof(struct persist_record) % sizeof(uint32_t) == 0 &&
                  sizeof(struct persist_undo) % sizeof(uint32_t) == 0,
              "summed up in words");

static uint32_t sum_of(const struct persist_record *r)
{
    return sum_after(&r->sum, sizeof *r);
}

static uint32_t sum_of_undo(const struct persist_undo *u)
{
    return sum_after(&u->sum, sizeof *u - offsetof(struct persist_undo, sum));
}

static bool whole(const struct persist_record *r)
{
    return r->sum != 0 && r->sum == sum_of(r);
}

static bool undoes(const struct persist_undo *u, unsigned slot)
{
    return u->valid == PERSIST_UNDO && u->slot == slot && u->sum == sum_of_undo(u);
}

/* A crash handler of this very process reads what is written here: the order of the stores must be
 * that of the program, no more. */
static void in_order(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}

static void put(struct persist_record *to, const struct persist_record *r)
{
    to->sum = 0;
    in_order();
    memcpy((char *)to + sizeof to->sum, (const char *)r + sizeof r->sum, sizeof *r - sizeof r->sum);
    in_order();
    to->sum = sum_of(r);
    in_order();
}

static void undo_void(struct persist_undo *u)
{
    u->valid = 0;
    in_order();
}

static void undo_keep(struct persist_undo *u, unsigned slot, const struct persist_record *r)
{
    u->slot = slot;
    memcpy(&u->record, r, sizeof *r);
    u->sum = sum_of_undo(u);
    in_order();
    u->valid = PERSIST_UNDO;
    in_order();
}

/* The undo record is about to be taken for another write: what a crash left of an earlier one comes
 * back first. */
static void undo_use(const struct persist_area *a)
{
    struct persist_undo *u = a->undo;

    if (u->valid != PERSIST_UNDO)
        return;
    if (u->slot < a->n && undoes(u, u->slot) && !whole(&a->at[u->slot]))
        put(&a->at[u->slot], &u->record);
    undo_void(u);
}

static void write_record(const struct persist_area *a, unsigned slot,
                         const struct persist_record *r)
{
    undo_use(a);
    if (whole(&a->at[slot]))
        undo_keep(a->undo, slot, &a->at[slot]);
    put(&a->at[slot], r);
    undo_void(a->undo);
}

static uint32_t flags_of_exit(const struct service_exit *exit)
{
    return (exit->core ? CORE : 0u) | (exit->oom ? OOM : 0u);
}

static uint32_t flags_of(const struct service *s)
{
    return (s->wanted ? WANTED : 0u) | (s->again ? AGAIN : 0u) | (s->doomed ? DOOMED : 0u) |
           (s->ready ? READY : 0u) | (s->preparing ? PREPARING : 0u) |
           (s->prepared ? PREPARED : 0u) | (s->executed ? EXECUTED : 0u) |
           (s->adopted ? ADOPTED : 0u) | (s->killed ? KILLED : 0u) |
           (s->by_itself ? BY_ITSELF : 0u) | flags_of_exit(&s->last_exit);
}

/* The exit as s knows it. */
static void fill(struct persist_record *r, const struct service *s, pid_t leader)
{
    memset(r, 0, sizeof *r);
    r->generation = s->generation;
    r->pid = s->pid;
    r->command = s->command;
    r->leader = leader ? leader : s->pid;
    r->error = s->error;
    r->error_step = s->error_step;
    r->exit_number = s->last_exit.number;
    r->exit_how = (uint8_t)s->last_exit.how;
    r->since = s->since;
    r->started = s->started;
    r->stop_began = s->stop_began;
    r->start_by = s->start_by;
    r->deadline = s->deadline;
    r->delay = s->tries.delay;
    r->failures = s->tries.failures;
    r->starts = s->tries.starts;
    memcpy(r->recent, s->tries.recent, sizeof r->recent);
    r->restarts = s->restarts;
    r->members = s->members;
    r->flags = flags_of(s);
    r->pending = s->pending;
    r->step = (uint16_t)s->step;
    r->state = (uint8_t)s->state;
    r->cause = (uint8_t)s->cause;
    memcpy(r->name, service_name(s), strnlen(service_name(s), CONF_NAME_MAX));
}

void persist_save(const struct persist_area *a, const struct service *s, pid_t leader)
{
    struct persist_record r;

    fill(&r, s, leader);
    write_record(a, s->slot, &r);
}

void persist_exit(const struct persist_area *a, const struct service *s,
                  const struct service_exit *exit, int error, int error_step)
{
    const struct persist_record *last = &a->at[s->slot]; /* knows the leader */
    struct persist_record r;

    fill(&r, s, whole(last) ? last->leader : 0);
    r.flags = (r.flags & ~(uint32_t)(CORE | OOM)) | ENDED | flags_of_exit(exit);
    r.exit_how = (uint8_t)exit->how;
    r.exit_number = exit->number;
    r.error = error;
    r.error_step = error_step;
    write_record(a, s->slot, &r);
}

void persist_command_ended(const struct persist_area *a, const struct service *s, pid_t leader)
{
    struct persist_record r;

    fill(&r, s, leader);
    r.flags |= COMMAND_ENDED;
    write_record(a, s->slot, &r);
}

void persist_clear(const struct persist_area *a, unsigned slot)
{
    undo_use(a);
    a->at[slot].sum = 0;
    in_order();
}

/* ---- reading: total ---- */

static bool pid_in_range(int32_t pid)
{
    return pid == 0 || pid > 1;
}

static bool time_in_range(msec at)
{
    return at >= 0;
}

static bool fields_in_range(const struct persist_record *r)
{
    return r->state < SERVICE_STATE_COUNT && r->cause < CAUSE_COUNT &&
           r->exit_how < EXIT_HOW_COUNT && r->unused == 0 &&
           (r->flags & ~(uint32_t)ALL_FLAGS) == 0 && r->step <= STEP_SIGNAL + CONF_STEPS_MAX &&
           r->starts <= TRIES_KEPT && pid_in_range(r->pid) && pid_in_range(r->command) &&
           pid_in_range(r->leader) && r->error >= 0 && r->error_step >= 0 && r->exit_number >= 0 &&
           r->exit_number < 256 && time_in_range(r->since) && time_in_range(r->started) &&
           time_in_range(r->stop_began) && time_in_range(r->start_by) &&
           time_in_range(r->deadline) && r->delay >= 0 && r->delay <= CONF_TIME_MAX &&
           memchr(r->name, '\0', sizeof r->name) && conf_name_valid(r->name);
}

/* Which processes, actions, deadline and readiness each state may have. */
static const struct shape {
    bool live;    /* may have a main process and members */
    bool command; /* may have a stop command */
    bool timed;   /* has a deadline, else nothing would ever end it */
    bool ready;   /* may be ready */
    unsigned pending;
} shapes[SERVICE_STATE_COUNT] = {
    [SERVICE_DOWN] = {.pending = ACTION_FREE},
    [SERVICE_STARTING] = {.live = true, .timed = true, .pending = ACTION_SPAWN},
    [SERVICE_RUNNING] = {.live = true, .ready = true},
    [SERVICE_DONE] = {.ready = true},
    [SERVICE_STOPPING] = {.live = true,
                          .command = true,
                          .timed = true,
                          .pending =
                              ACTION_COMMAND | ACTION_COMMAND_END | ACTION_SIGNAL | ACTION_SWEEP},
    [SERVICE_KILLING] = {.live = true,
                         .command = true,
                         .timed = true,
                         .pending = ACTION_COMMAND_END | ACTION_KILL},
    [SERVICE_STUCK] = {.live = true, .command = true, .pending = ACTION_NAME_STUCK},
    [SERVICE_BACKOFF] = {.timed = true},
};

static bool fits_its_state(const struct persist_record *r)
{
    const struct shape *shape = &shapes[r->state];

    return (shape->live || (r->pid == 0 && r->members == 0)) &&
           (shape->command || r->command == 0) && (!shape->timed || r->deadline != NEVER) &&
           (shape->ready || !(r->flags & READY)) && (r->pending & ~shape->pending) == 0;
}

static bool consistent(const struct persist_record *r)
{
    if (r->pid != 0 && r->pid == r->command)
        return false;
    if ((r->state == SERVICE_RUNNING || r->flags & ENDED) && r->pid == 0)
        return false;
    if (r->flags & COMMAND_ENDED && r->command == 0)
        return false;
    if (r->pending & ACTION_SPAWN && r->pid != 0)
        return false;
    if (r->pending & ACTION_FREE && !(r->flags & DOOMED))
        return false;
    return true;
}

static bool good(const struct persist_record *r)
{
    return whole(r) && fields_in_range(r) && fits_its_state(r) && consistent(r);
}

const struct persist_record *persist_find(const struct persist_area *a, unsigned slot)
{
    const struct persist_record *r;

    if (slot >= a->n)
        return NULL;
    r = whole(&a->at[slot]) || !undoes(a->undo, slot) ? &a->at[slot] : &a->undo->record;
    return good(r) ? r : NULL;
}

/* ---- a service again ---- */

static void load_flags(uint32_t flags, struct service *s)
{
    s->wanted = flags & WANTED;
    s->again = flags & AGAIN;
    s->doomed = flags & DOOMED;
    s->ready = flags & READY;
    s->preparing = flags & PREPARING;
    s->prepared = flags & PREPARED;
    s->executed = flags & EXECUTED;
    s->adopted = flags & ADOPTED;
    s->killed = flags & KILLED;
    s->by_itself = flags & BY_ITSELF;
}

static void load_times(const struct persist_record *r, struct service *s)
{
    s->since = r->since;
    s->started = r->started;
    s->stop_began = r->stop_began;
    s->start_by = r->start_by;
    s->deadline = r->deadline;
    s->tries.delay = r->delay;
    s->tries.failures = r->failures;
    s->tries.starts = r->starts;
    memcpy(s->tries.recent, r->recent, sizeof r->recent);
}

/* The conf may have been replaced since the record was written. */
static unsigned load_step(const struct persist_record *r, const struct conf *c)
{
    unsigned last = STEP_SIGNAL + (unsigned)c->stop.n_then;

    if (r->step == STEP_COMMAND && !c->stop.command && r->command == 0)
        return STEP_SIGNAL;
    return r->step < last ? r->step : last;
}

static struct service_exit exit_of(const struct persist_record *r)
{
    return (struct service_exit){(enum exit_how)r->exit_how, r->exit_number, r->flags & CORE,
                                 r->flags & OOM};
}

/* An exit that the service has not been told of is left to persist_resume. */
void persist_load(const struct persist_record *r, struct service *s)
{
    load_flags(r->flags, s);
    load_times(r, s);
    s->state = (enum service_state)r->state;
    s->cause = (enum service_cause)r->cause;
    s->generation = r->generation;
    s->pid = r->pid;
    s->command = r->command;
    s->members = r->members;
    s->restarts = r->restarts;
    s->step = load_step(r, s->conf);
    s->pending = r->pending;
    if (s->step != STEP_COMMAND)
        s->pending &= ~(unsigned)ACTION_COMMAND;
    s->error = s->error_step = 0;
    s->last_exit = (struct service_exit){0};
    if (r->flags & ENDED)
        return;
    s->error = r->error;
    s->error_step = r->error_step;
    s->last_exit = exit_of(r);
}

static bool spawn_intended(const struct service *s)
{
    return s->state == SERVICE_STARTING && s->pid == 0 && !(s->pending & ACTION_SPAWN);
}

static bool command_intended(const struct service *s)
{
    return s->state == SERVICE_STOPPING && s->step == STEP_COMMAND && s->command == 0 &&
           !(s->pending & ACTION_COMMAND);
}

bool persist_forking(const struct service *s)
{
    return spawn_intended(s) || command_intended(s);
}

void persist_ended(const struct persist_record *r, pid_t *pid, pid_t *command)
{
    *pid = r->flags & ENDED ? r->pid : 0;
    *command = r->flags & COMMAND_ENDED ? r->command : 0;
}

static void resume_fork(struct engine *e, struct service *s, pid_t found, msec now)
{
    const struct engine_fact fact = {.pid = found};

    if (spawn_intended(s) && found)
        engine_event(e, s, EVENT_FORKED, now, &fact);
    else if (spawn_intended(s))
        engine_want(e, s, ACTION_SPAWN);
    else if (command_intended(s) && found)
        engine_event(e, s, EVENT_COMMAND, now, &fact);
    else if (command_intended(s))
        engine_want(e, s, ACTION_COMMAND);
}

/* With an exit written ahead, whoever has that pid now is somebody else. */
static void resume_main(struct engine *e, struct service *s, const struct persist_record *r,
                        bool ours, msec now)
{
    struct engine_fact fact = {.exit = {.how = EXIT_LOST}};

    if (r->flags & ENDED) {
        fact = (struct engine_fact){
            .exit = exit_of(r), .error = r->error, .error_step = r->error_step};
    } else if (ours) {
        s->adopted = true;
        return;
    }
    engine_event(e, s, EVENT_EXITED, now, &fact);
}

void persist_resume(struct engine *e, struct service *s, const struct persist_record *r,
                    const struct persist_world *world, msec now)
{
    if (persist_forking(s))
        resume_fork(e, s, world->unrecorded, now);
    if (r->command && (r->flags & COMMAND_ENDED || !world->command_is_ours))
        engine_event(e, s, EVENT_COMMAND_ENDED, now, NULL);
    if (r->pid)
        resume_main(e, s, r, world->pid_is_ours, now);
}
