/* What processes say to the socket of their service, and what the driver makes of it, as
 * act_notify.c and act_main.c have it. */
#include <stdio.h>

#include "talk.h"

static uint64_t heard[WORD_COUNT], refused, renamed, renamed_back;

/* ---- processes ---- */

void proc_says(struct kernel *k, const struct proc *p, enum word word, msec value)
{
    if (k->n_said < MESSAGES_MAX)
        k->said[k->n_said++] = (struct message){word, p->owner, p->life, p->pid, p->birth, value};
}

/* Nothing, a little, much, or for ever. */
static msec some_time(struct rng *r)
{
    switch (rng_below(r, 8)) {
    case 0:
        return 0;
    case 1:
        return NEVER;
    case 2:
        return CONF_TIME_MAX * 2;
    case 3:
    case 4:
        return rng_time(r, 1, 60000);
    default:
        return rng_time(r, 1, 4000);
    }
}

/* One of its own service as a rule, dead or alive, else any number. */
static pid_t some_pid(struct kernel *k, const struct proc *p)
{
    unsigned first = rng_below(&k->talk, k->pids);

    for (unsigned i = 0; i < k->pids && !rng_chance(&k->talk, 1, 50); i++) {
        const struct proc *other = &k->at[(first + i) % k->pids];
        if (proc_lives(other) && other->owner == p->owner && other != p &&
            (other->found || rng_chance(&k->talk, 1, 4)))
            return other->pid;
    }
    return (pid_t)first;
}

/* As a rule it then ends. */
static void leave(struct kernel *k, struct proc *p, msec now)
{
    proc_says(k, p, SAYS_LEAVING, 0);
    if (rng_chance(&k->talk, 1, 3))
        return;
    p->exit_at = now + rng_time(&k->talk, 0, rng_chance(&k->talk, 1, 2) ? 50 : 8000);
    p->exit_status = rng_chance(&k->talk, 2, 3) ? 0 : 1 << 8;
}

void proc_talks(struct kernel *k, struct proc *p, msec now)
{
    static const enum word words[] = {SAYS_EXTEND, SAYS_EXTEND, SAYS_MAIN,     SAYS_MAIN,
                                      SAYS_READY,  SAYS_ALIVE,  SAYS_WATCHDOG, SAYS_LEAVING};
    struct rng *r = &k->talk;
    enum word word = rng_chance(r, 1, 20) ? SAYS_TRIGGER : words[rng_below(r, ARRAY_SIZE(words))];

    p->say_at = --p->says_left ? now + rng_time(r, 0, 5000) : NEVER;
    if (word == SAYS_LEAVING)
        leave(k, p, now);
    else if (word == SAYS_MAIN)
        proc_says(k, p, word, some_pid(k, p));
    else if (word == SAYS_WATCHDOG)
        proc_says(k, p, word, rng_chance(r, 1, 3) ? 0 : rng_time(r, 1, 6000));
    else
        proc_says(k, p, word, word == SAYS_EXTEND ? some_time(r) : 0);
}

/* To what it was told to stop by. */
void proc_answers(struct kernel *k, const struct proc *p)
{
    if (rng_chance(&k->talk, 3, 4))
        proc_says(k, p, SAYS_EXTEND, some_time(&k->talk));
    else
        proc_says(k, p, SAYS_MAIN, some_pid(k, p));
}

/* ---- another main process ---- */

/* A child of ours stays one; of another only its descriptor is held. */
static void replace(struct world *w, struct service *s, struct proc *p)
{
    struct proc *old = &w->kernel.at[s->pid];

    child_reserve(&w->children);
    if (old->forked)
        child_find(&w->children, old->pid)->kind = CHILD_FORMER;
    else
        child_remove(&w->children, old->pid);
    old->former = old->forked;
    renamed++;
    renamed_back += p->former;
    p->kept = !p->forked;
    child_add(&w->children, p->pid, CHILD_MAIN, s);
}

/* Until it is recorded, a crash may make the old one the main process again. */
static void forget_old(struct world *w, pid_t old, pid_t new)
{
    w->kernel.at[old].kept = false;
    w->kernel.at[new].former = false;
}

static bool may_be_named(const struct world *w, const struct service *s, const struct message *m)
{
    const struct proc *sender = &w->kernel.at[m->pid], *p = &w->kernel.at[m->value];

    return proc_lives(sender) && sender->birth == m->birth &&
           (sender->pid == s->pid || is_member(w, s, sender)) && is_member(w, s, p);
}

/* Before the exec, and when it was killed, the engine is asked all the same: it must say no. */
static void name_main(struct world *w, struct service *s, const struct message *m)
{
    bool late = s->state == SERVICE_KILLING || s->state == SERVICE_STUCK;
    bool may = s->pid && s->executed && !s->preparing && !late;
    struct engine_fact fact = {.pid = (pid_t)m->value};
    pid_t before = s->pid;

    if (m->value <= TEND_PID || m->value >= w->kernel.pids || m->value == s->pid)
        return;
    if (may && !may_be_named(w, s, m))
        return;
    if (may)
        replace(w, s, &w->kernel.at[m->value]);
    if (may)
        life_renamed(w, s, fact.pid);
    event(w, s, EVENT_MAIN, &fact);
    save(w, s);
    if (may)
        forget_old(w, before, fact.pid);
    check_main(w, s, before, fact.pid, may);
}

/* ---- the driver ---- */

/* By whom it is said, of which life, and whether it may say so. */
static bool is_heard(const struct service *s, const struct message *m)
{
    if (!s || !service_live(s) || m->life != s->generation)
        return false;
    if (m->word == SAYS_READY && s->conf->ready.on == CONF_READY_FD)
        return true;
    return conf_wants_notify(s->conf) && (s->conf->access == CONF_ACCESS_ALL || m->pid == s->pid);
}

static void hear_ready(struct world *w, struct service *s)
{
    if (s->conf->ready.on == CONF_READY_NOTIFY || s->conf->ready.on == CONF_READY_FD)
        event(w, s, EVENT_READY, NULL);
}

static void hear(struct world *w, struct service *s, const struct message *m)
{
    struct engine_fact more = {.wait = m->value};

    heard[m->word]++;
    switch (m->word) {
    case SAYS_READY:
        hear_ready(w, s);
        break;
    case SAYS_MAIN:
        name_main(w, s, m);
        break;
    case SAYS_EXTEND:
        event(w, s, EVENT_EXTEND, &more);
        break;
    case SAYS_LEAVING:
        event(w, s, EVENT_LEAVING, NULL);
        break;
    case SAYS_ALIVE:
        probes_fed(w, s);
        break;
    case SAYS_WATCHDOG:
        probes_watchdog(w, s, m->value);
        break;
    case SAYS_TRIGGER:
        probes_trigger(w, s);
        break;
    case WORD_COUNT:
        break;
    }
}

/* What is told of a life, by whomever, is noted before the driver judges it. */
static void note(struct world *w, const struct service *s, const struct message *m)
{
    if (s && m->word == SAYS_READY)
        w->book[s->slot].said_ready = m->life;
}

/* Where tend has not come to send the signal of a step yet. */
static void interject(struct world *w)
{
    for (size_t i = 0; w->again && w->config.talks && !w->calm && i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        if (s && s->pid && s->pending & ACTION_SIGNAL && rng_chance(&w->talk, 1, 4))
            proc_says(&w->kernel, &w->kernel.at[s->pid], SAYS_EXTEND, some_time(&w->talk));
    }
}

/* What was read is lost in a crash. */
void talk_hear(struct world *w)
{
    struct kernel *k = &w->kernel;

    interject(w);
    while (k->n_said) {
        struct message m = k->said[0];
        struct service *s = book_service(w, m.owner);
        k->n_said--;
        for (unsigned i = 0; i < k->n_said; i++)
            k->said[i] = k->said[i + 1];
        note(w, s, &m);
        if (is_heard(s, &m))
            hear(w, s, &m);
        else
            refused++;
    }
}

bool talk_print(void)
{
    static const char *const names[] = {"ready", "main",     "extend", "leaving",
                                        "alive", "watchdog", "trigger"};
    bool all = refused && renamed && renamed_back;

    printf("messages: %llu refused, %llu main processes named, %llu again;",
           (unsigned long long)refused, (unsigned long long)renamed,
           (unsigned long long)renamed_back);
    for (int i = 0; i < WORD_COUNT; i++) {
        printf(" %s %llu", names[i], (unsigned long long)heard[i]);
        all = all && heard[i];
    }
    printf("\n");
    return all;
}
