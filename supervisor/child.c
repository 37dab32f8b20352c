#include "tend/child.h"

#include <errno.h>
#include <stdlib.h>

static size_t child_slot(const struct child_table *t, pid_t pid)
{
    uint32_t mixed = (uint32_t)pid * 2654435769u;

    return (mixed ^ mixed >> 15) & (t->room - 1);
}

/* The entry of pid, or the free one where it would go. */
static struct child *child_probe(const struct child_table *t, pid_t pid)
{
    size_t i = child_slot(t, pid);

    while (t->at[i].pid && t->at[i].pid != pid)
        i = (i + 1) & (t->room - 1);
    return &t->at[i];
}

int child_reserve(struct child_table *t)
{
    struct child_table bigger = {.n = t->n, .room = t->room ? t->room * 2 : 64};

    if (t->room && (t->n + 1) * 2 <= t->room)
        return 0;
    bigger.at = calloc(bigger.room, sizeof *bigger.at);
    if (!bigger.at) {
        errno = ENOMEM;
        return -1;
    }
    for (size_t i = 0; i < t->room; i++)
        if (t->at[i].pid)
            *child_probe(&bigger, t->at[i].pid) = t->at[i];
    free(t->at);
    *t = bigger;
    return 0;
}

struct child *child_add(struct child_table *t, pid_t pid, enum child_kind kind, struct service *s)
{
    struct child *c = child_probe(t, pid);

    if (c->pid == 0)
        t->n++;
    *c = (struct child){.pid = pid,
                        .kind = kind,
                        .service = s,
                        .generation = s ? s->generation : 0,
                        .deadline = NEVER};
    return c;
}

struct child *child_find(const struct child_table *t, pid_t pid)
{
    struct child *c = t->room && pid > 0 ? child_probe(t, pid) : NULL;

    return c && c->pid ? c : NULL;
}

void child_remove(struct child_table *t, pid_t pid)
{
    struct child *gone = child_find(t, pid);
    size_t i, hole;

    if (!gone)
        return;
    t->n--;
    /* close the gap, so that a probe for a later entry does not end at it */
    for (i = hole = (size_t)(gone - t->at);;) {
        i = (i + 1) & (t->room - 1);
        if (!t->at[i].pid)
            break;
        if (((i - child_slot(t, t->at[i].pid)) & (t->room - 1)) >= ((i - hole) & (t->room - 1))) {
            t->at[hole] = t->at[i];
            hole = i;
        }
    }
    t->at[hole].pid = 0;
}

void child_forget(struct child_table *t, const struct service *s)
{
    for (size_t i = 0; i < t->room; i++)
        if (t->at[i].pid && t->at[i].service == s)
            t->at[i].service = NULL;
}

msec child_deadline(const struct child_table *t)
{
    msec earliest = NEVER;

    for (size_t i = 0; i < t->room; i++)
        if (t->at[i].pid && t->at[i].deadline < earliest)
            earliest = t->at[i].deadline;
    return earliest;
}

struct child *child_expired(struct child_table *t, msec now)
{
    for (size_t i = 0; i < t->room; i++)
        if (t->at[i].pid && t->at[i].deadline <= now) {
            t->at[i].deadline = NEVER;
            return &t->at[i];
        }
    return NULL;
}

void child_table_free(struct child_table *t)
{
    free(t->at);
    *t = (struct child_table){0};
}
