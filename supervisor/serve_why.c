/* Why a service is as it is: whom it waits for in turn, whose processes hold the last of them up,
 * how it last ended. */
#include <string.h>

#include "tend/serve.h"

/* One who waits for another who waits ... */
enum { WHY_MAX = 16, PROCESSES_MAX = 16, PROCESS_MAX = 384 };
/* Three files of /proc. */
enum { LOOKS_OF_A_PROCESS = 64 };

static_assert(PROCESSES_MAX * PROCESS_MAX <= CONTROL_OUT_MAX, "all of them fit at once");

/* The service at this place of the chain of those who wait for each other. */
static const struct service *link_of(const struct world *w, const struct service *first, size_t n)
{
    const struct service *s = first;
    bool in_vain;

    while (s && n--)
        s = answer_waits_for(s, w->engine.shutdown, &in_vain);
    return s;
}

struct process_list {
    struct world *w;
    struct text text;
    const struct service *s;
    unsigned n;
};

static bool put_process(void *self, const struct process_stat *p)
{
    struct process_list *l = self;
    char command[32], where[64];
    const char state[] = {p->state, '\0'};

    serve_charge(l->w, LOOKS_OF_A_PROCESS);
    observe_read_word(l->w, p->pid, "comm", command, sizeof command);
    observe_read_where(l->w, p->pid, where, sizeof where);
    text_put(&l->text, "process");
    text_word(&l->text, "service", service_name(l->s));
    text_number(&l->text, "pid", p->pid);
    text_word(&l->text, "state", state);
    text_word(&l->text, "where", where);
    text_word(&l->text, "command", command);
    text_put(&l->text, "\n");
    return ++l->n < PROCESSES_MAX;
}

/* Whom a stop waits for, as of the last look. */
static bool tell_processes(struct world *w, struct client *c, const struct service *s)
{
    struct process_list list = {w, control_room(c, PROCESSES_MAX * PROCESS_MAX), s, 0};

    if (!list.text.at)
        return false;
    roster_each(w, s, put_process, &list);
    control_put(c, &list.text);
    return true;
}

static const struct history_record *last_death(struct world *w, const struct service *s)
{
    const struct history_record *r = NULL, *found = NULL;
    uint64_t after = 0;

    while ((r = history_deaths_next(&w->deaths, after))) {
        serve_charge(w, SERVE_LOOKS_OF_A_DEATH);
        if (!strcmp(r->name, service_name(s)))
            found = r;
        after = r->sequence;
    }
    return found;
}

enum { WHY_CHAIN, WHY_PROCESSES, WHY_DEATH, WHY_END };

/* The service whose place in the chain is s->at is next; false: no room for it now. */
static bool tell_chain(struct world *w, struct client *c, struct serving *s,
                       const struct service *first)
{
    const struct service *next;

    while (s->at < WHY_MAX && (next = link_of(w, first, s->at))) {
        serve_charge(w, s->at);
        if (!serve_one(w, c, next))
            return false;
        s->at++;
    }
    s->phase = WHY_PROCESSES;
    return true;
}

enum serve_outcome serve_reply_why(struct world *w, struct client *c, struct serving *s)
{
    const struct service *first = graph_find_any(&w->engine.graph, s->request.names), *last;
    const struct history_record *death;

    if (!first)
        return serve_ok(w, c, "%s", "") ? SERVE_OVER : SERVE_MORE;
    if (s->phase == WHY_CHAIN && !tell_chain(w, c, s, first))
        return SERVE_MORE;
    last = link_of(w, first, s->at - 1);
    if (!last)
        last = first;
    if (s->phase == WHY_PROCESSES && service_is_ending(last) && !tell_processes(w, c, last))
        return SERVE_MORE;
    if (s->phase == WHY_PROCESSES)
        s->phase = WHY_DEATH;
    death = s->phase == WHY_DEATH ? last_death(w, last) : NULL;
    if (death && !serve_record(c, death))
        return SERVE_MORE;
    s->phase = WHY_END;
    return serve_ok(w, c, "%s", "") ? SERVE_OVER : SERVE_MORE;
}
