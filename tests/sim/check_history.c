/* P03: each life that is over leaves one record, which tells what the fake kernel knows of it, and
 * the newest of them are kept; whoever follows the events sees each once, or how many are missed.
 */
#include <stdio.h>
#include <string.h>

#include "clients.h"

static uint64_t told, passed_over;

/* ---- one life ---- */

void life_begins(struct world *w, const struct service *s, pid_t pid)
{
    struct life *l = &w->lives[s->slot];

    if (l->pid && !l->excused)
        broken(w, "P03", "%s: a life begins while the one of pid %d is not over", service_name(s),
               (int)l->pid);
    *l = (struct life){.pid = pid, .began = w->now};
}

/* Before it is waited for. */
void life_ends(struct world *w, const struct service *s, const struct proc *p)
{
    struct life *l = &w->lives[s->slot];

    l->over = true;
    l->status = p->status;
    l->error = p->exec_failed ? p->exec_error : 0;
    l->prepared = p->role == ROLE_PREPARE;
    l->ended = w->now;
}

/* The same life goes on with another process. */
void life_renamed(struct world *w, const struct service *s, pid_t pid)
{
    w->lives[s->slot].pid = pid;
}

void life_lost(struct world *w, const struct service *s)
{
    struct life *l = &w->lives[s->slot];

    l->over = l->lost = true;
    l->ended = w->now;
}

/* Of what was under way at a crash of ours a record may be missing, and the times of it. */
void lives_excuse(struct world *w)
{
    for (unsigned i = 0; i < SLOTS; i++)
        w->lives[i] = (struct life){.excused = true};
}

static bool stops(enum service_state state)
{
    return state == SERVICE_STOPPING || state == SERVICE_KILLING || state == SERVICE_STUCK;
}

static bool same_exit(const struct life *l, const struct service_exit *e)
{
    int signal = l->status & 0x7f;

    if (l->lost)
        return e->how == EXIT_LOST;
    return signal ? e->how == EXIT_SIGNAL && e->number == signal
                  : e->how == EXIT_CODE && e->number == l->status >> 8;
}

static void check_lived(const struct world *w, const struct life *l, const struct history_record *r)
{
    if (r->pid != l->pid || !same_exit(l, &r->exit) || r->error != l->error)
        broken(w, "P03", "%s: pid %d ended with %#x, told is pid %d with %d", r->name, (int)l->pid,
               (unsigned)l->status, (int)r->pid, r->exit.number);
    if (r->ran != l->ended - l->began)
        broken(w, "P03", "%s: pid %d ran %lld ms, not %lld", r->name, (int)l->pid,
               (long long)(l->ended - l->began), (long long)r->ran);
    if (r->process != (l->prepared ? HISTORY_BEFORE : HISTORY_MAIN))
        broken(w, "P03", "%s: pid %d was another process", r->name, (int)l->pid);
    if (l->killed != r->killed)
        broken(w, "P03", "%s: pid %d was %skilled", r->name, (int)l->pid, l->killed ? "" : "not ");
}

static void check_unborn(const struct world *w, const struct history_record *r)
{
    if (r->pid || r->ran || r->age || r->exit.how != EXIT_NONE || !r->error || r->killed)
        broken(w, "P03", "%s: told to have lived", r->name);
}

/* r: NULL where none was made. */
static void check_death(struct world *w, const struct engine_change *c,
                        const struct history_record *r)
{
    struct life *l = &w->lives[c->service->slot];
    bool unborn = c->event == EVENT_NO_FORK, excused = l->excused;
    bool over = unborn || (l->over && stops(c->from) && !stops(c->to));

    if (!excused && over != (r != NULL))
        broken(w, "P03", "%s: %s record of the life of pid %d", service_name(c->service),
               r ? "a" : "no", (int)l->pid);
    if (!r)
        return;
    if (r->kind != HISTORY_DEATH || strcmp(r->name, service_name(c->service)) != 0 ||
        r->cause == CAUSE_NONE || r->at != w->now)
        broken(w, "P03", "%s: a life ends for no cause", service_name(c->service));
    if (unborn)
        check_unborn(w, r);
    else if (!excused)
        check_lived(w, l, r);
    if (!unborn && !excused && r->age != w->now - w->book[c->service->slot].began)
        broken(w, "P03", "%s: its stop took %lld ms, told are %lld", r->name,
               (long long)(w->now - w->book[c->service->slot].began), (long long)r->age);
    *l = (struct life){.excused = false};
}

/* As the real observer has it: first the life, then what follows from it. */
void history_note_death(struct world *w, const struct engine_change *c)
{
    struct history_record r;
    bool dies = history_death(c, &r);

    check_death(w, c, dies ? &r : NULL);
    if (dies)
        history_keep_death(w, &r);
}

/* ---- which are kept ---- */

static void drop(struct kept_deaths *k, unsigned at)
{
    k->n--;
    memmove(&k->at[at], &k->at[at + 1], (k->n - at) * sizeof k->at[0]);
}

static void keep(struct kept_deaths *k, const struct history_record *r)
{
    unsigned own = 0, oldest = 0;

    k->at[k->n].sequence = r->sequence;
    memcpy(k->at[k->n++].name, r->name, sizeof k->at[0].name);
    for (unsigned i = k->n; i-- > 0;)
        if (!strcmp(k->at[i].name, r->name)) {
            oldest = i;
            own++;
        }
    if (own > 16)
        drop(k, oldest);
    else if (k->n > 256)
        drop(k, 0);
}

void history_keep_death(struct world *w, struct history_record *r)
{
    *r = *history_add(&w->history, r);
    clients_note(w, r);
    history_deaths_add(&w->deaths, r);
    keep(&w->kept_deaths, r);
    if (r->sequence % 8 == 0)
        check_deaths(w);
}

void check_deaths(struct world *w)
{
    const struct history_record *r;
    uint64_t after = 0;

    for (unsigned i = 0; i < w->kept_deaths.n; i++) {
        r = history_deaths_next(&w->deaths, after);
        if (!r || r->sequence != w->kept_deaths.at[i].sequence ||
            strcmp(r->name, w->kept_deaths.at[i].name) != 0)
            broken(w, "P03", "death %u of %u that are kept is another", i, w->kept_deaths.n);
        after = w->kept_deaths.at[i].sequence;
    }
    if (history_deaths_next(&w->deaths, after))
        broken(w, "P03", "more than %u deaths are kept", w->kept_deaths.n);
}

void check_lives_end(struct world *w)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (w->lives[i].pid && !w->lives[i].excused)
            broken(w, "P03", "the life of pid %d has no end", (int)w->lives[i].pid);
    check_deaths(w);
}

/* ---- events ---- */

static uint64_t print_of(const struct history_record *r)
{
    const int64_t fields[] = {r->at,
                              (int64_t)r->kind,
                              r->from,
                              r->to,
                              r->event,
                              r->pid,
                              r->exit.number,
                              r->age,
                              r->ran,
                              r->cause,
                              r->next,
                              (int64_t)r->count,
                              r->name[0] ? r->name[1] : 0};

    uint64_t sum = 0;

    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        sum = (sum ^ (uint64_t)fields[i]) * UINT64_C(0x9e3779b97f4a7c15);
    return sum ^ sum >> 32;
}

void clients_note(struct world *w, const struct history_record *r)
{
    if (w->clients)
        w->clients->prints[r->sequence % (2 * HISTORY_ROOM)] = print_of(r);
}

static uint64_t gone(const struct world *w)
{
    return w->history.last > HISTORY_ROOM ? w->history.last - HISTORY_ROOM : 0;
}

void check_events_begin(struct world *w, struct client *c)
{
    c->seen = c->asked.has_after ? c->asked.after : c->asked.follow ? w->history.last : gone(w);
}

void check_missed(struct world *w, struct client *c, uint64_t missed)
{
    if (c->seen + missed != gone(w))
        broken(w, "P03", "%llu events are missed after %llu", (unsigned long long)missed,
               (unsigned long long)c->seen);
    c->seen += missed;
    passed_over += missed;
}

void check_event(struct world *w, struct client *c, const struct history_record *r)
{
    told++;
    if (r->sequence != ++c->seen)
        broken(w, "P03", "event %llu follows on %llu", (unsigned long long)r->sequence,
               (unsigned long long)c->seen - 1);
    if (print_of(r) != w->clients->prints[r->sequence % (2 * HISTORY_ROOM)])
        broken(w, "P03", "event %llu is another one", (unsigned long long)r->sequence);
}

void check_events_end(struct world *w, const struct client *c)
{
    if (c->seen < w->history.last)
        broken(w, "P03", "event %llu is not told", (unsigned long long)c->seen + 1);
}

bool check_events_print(void)
{
    printf("events: %llu, %llu missed\n", (unsigned long long)told,
           (unsigned long long)passed_over);
    return told && passed_over;
}
