/* The lives that are over: one record for each, of which more are kept than of others. */
#include <stdio.h>
#include <string.h>

#include "tend/history.h"

/* ---- from the engine ---- */

static bool is_over(const struct engine_change *c)
{
    if (c->impossible)
        return false;
    return c->event == EVENT_NO_FORK || (service_state_is_ending(c->from) &&
                                         !service_state_is_ending(c->to) && c->service->last_pid);
}

bool history_death(const struct engine_change *c, struct history_record *r)
{
    const struct service *s = c->service;
    bool lived = s->last_pid != 0;

    if (!is_over(c))
        return false;
    *r = (struct history_record){.at = c->now,
                                 .kind = HISTORY_DEATH,
                                 .cause = (uint8_t)s->cause,
                                 .process = s->preparing ? HISTORY_BEFORE : HISTORY_MAIN,
                                 .pid = s->last_pid,
                                 .exit = s->last_exit,
                                 .error = s->error,
                                 .error_step = s->error_step,
                                 .tries = s->tries.failures,
                                 .age = lived ? c->now - s->stop_began : 0,
                                 .ran = lived && s->ended > s->started ? s->ended - s->started : 0,
                                 .killed = lived && s->killed};
    snprintf(r->name, sizeof r->name, "%s", service_name(s));
    return true;
}

/* ---- what is kept ---- */

static struct history_record *older(struct history_record *a, struct history_record *b)
{
    return a && a->sequence < b->sequence ? a : b;
}

static struct history_record *place_for(struct history_deaths *d, const char *name)
{
    struct history_record *own = NULL, *any = NULL;
    unsigned n_own = 0;

    for (unsigned i = 0; i < d->n; i++) {
        struct history_record *r = &d->at[i];
        any = older(any, r);
        if (strcmp(r->name, name) != 0)
            continue;
        own = older(own, r);
        n_own++;
    }
    if (n_own == HISTORY_DEATHS_OF_ONE)
        return own;
    return d->n < HISTORY_DEATHS ? &d->at[d->n++] : any;
}

void history_deaths_add(struct history_deaths *d, const struct history_record *r)
{
    *place_for(d, r->name) = *r;
}

const struct history_record *history_deaths_next(const struct history_deaths *d, uint64_t after)
{
    const struct history_record *next = NULL;

    for (unsigned i = 0; i < d->n; i++)
        if (d->at[i].sequence > after && (!next || d->at[i].sequence < next->sequence))
            next = &d->at[i];
    return next;
}
