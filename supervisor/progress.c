/* What is waited for, told while it is: who, its processes, and how long yet. On a terminal one
 * line that is drawn again and again, elsewhere a line now and then. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tend/log.h"
#include "tend/units.h"
#include "tend/world.h"

/* A wait that is shorter is not told; a line is drawn again, or told again, after so long. */
enum { WAIT = 1000, REDRAW = 200, AGAIN_MAX = 30000 };
enum { TOLD_PROCESSES = 3 };

struct line {
    char text[400];
    size_t n;
};

PRINTF(2, 3)
static void put(struct line *l, const char *format, ...)
{
    va_list list;
    int n;

    va_start(list, format);
    n = vsnprintf(l->text + l->n, sizeof l->text - l->n, format, list);
    va_end(list);
    if (n > 0)
        l->n = (size_t)n < sizeof l->text - l->n ? l->n + (size_t)n : sizeof l->text - 1;
}

/* ---- who ---- */

static bool is_stopping(const struct service *s)
{
    return s->state == SERVICE_STOPPING || s->state == SERVICE_KILLING;
}

/* In command mode the command is waited for by its caller, and what it left behind by us. */
static bool is_waited_for(const struct world *w, const struct service *s)
{
    if (w->entrypoint && s->pid && !w->engine.shutdown)
        return false;
    return is_stopping(s) || (s->state == SERVICE_STARTING && !w->engine.shutdown);
}

static msec waited_since(const struct service *s)
{
    return s->state == SERVICE_KILLING ? s->stop_began : s->since;
}

/* How many are waited for, and for which one the longest. */
static unsigned find_longest(const struct world *w, const struct service **longest)
{
    unsigned n = 0;

    *longest = NULL;
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        if (!s || !is_waited_for(w, s))
            continue;
        n++;
        if (!*longest || waited_since(s) < waited_since(*longest))
            *longest = s;
    }
    return n;
}

static void put_count(struct line *l, const struct world *w)
{
    unsigned done = 0, all = 0;

    for (size_t i = 0; i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        if (!s || (w->engine.shutdown ? !w->endings || !w->endings[i].live : !s->wanted))
            continue;
        all++;
        done += w->engine.shutdown ? !service_live(s) : s->ready || s->state == SERVICE_DONE;
    }
    put(l, "%s %u/%u, ", w->engine.shutdown ? "stopping" : "ready", done, all);
}

/* ---- what it does ---- */

static void put_process(struct line *l, const struct world *w, pid_t pid)
{
    struct process_stat p = {.state = '?'};
    char command[32], where[64];

    if (members_stat(w->proc, pid, &p))
        return;
    observe_read_word(w, pid, "comm", command, sizeof command);
    observe_read_word(w, pid, "wchan", where, sizeof where);
    put(l, "%spid %d (%s) %c", l->text[l->n - 1] == '(' ? "" : ", ", (int)pid, command, p.state);
    if (*where && strcmp(where, "0") != 0)
        put(l, " in %s", where);
}

static void put_processes(struct line *l, struct world *w, const struct service *s)
{
    const struct members *m = &world_life(w, s)->members;
    unsigned told = 0;

    roster_open(w);
    put(l, " (");
    if (s->pid)
        put_process(l, w, s->pid), told++;
    if (s->command)
        put_process(l, w, s->command), told++;
    for (unsigned i = 0; i < m->n && told < TOLD_PROCESSES; i++, told++)
        put_process(l, w, m->at[i].pid);
    for (size_t i = 0; !told && i < w->n_unknown && i < TOLD_PROCESSES; i++)
        put_process(l, w, w->unknown[i].pid);
    if (l->text[l->n - 1] == '(')
        l->text[l->n -= 2] = '\0';
    else
        put(l, ")");
}

/* Tenths of a second where it is short: it is read while it passes. */
static void put_left(struct line *l, msec left)
{
    char time[UNITS_DURATION_MAX];

    if (left < 0)
        left = 0;
    if (left < 10000)
        put(l, "%d.%d s left", (int)(left / 1000), (int)(left % 1000 / 100));
    else
        put(l, "%s left", units_duration_short(left, time));
}

static void put_wait(struct line *l, struct world *w, const struct service *s, unsigned others)
{
    bool timed = s->deadline != NEVER;

    put(l, "%s%s", !is_stopping(s) || !timed ? "waiting for " : "", service_name(s));
    put_processes(l, w, s);
    if (timed) {
        put(l, is_stopping(s) ? " has " : ", ");
        put_left(l, s->deadline - w->now);
    }
    if (others)
        put(l, ", and %u more", others);
}

/* ---- when ---- */

static void tell(struct world *w, const struct service *s, unsigned n)
{
    struct progress *p = &w->progress;
    struct line l = {.n = 0};

    put_count(&l, w);
    put_wait(&l, w, s, n - 1);
    if (p->live) {
        log_live(l.text);
        p->next = w->now + REDRAW;
    } else {
        log_info("%s", l.text);
        p->again = p->again ? p->again * 2 : WAIT;
        p->next = w->now + (p->again < AGAIN_MAX ? p->again : AGAIN_MAX);
    }
}

/* Another one that is waited for is told anew. */
void progress_look(struct world *w)
{
    struct progress *p = &w->progress;
    const struct service *s;
    unsigned n = find_longest(w, &s);

    if (!s) {
        log_live("");
        *p = (struct progress){.live = p->live, .next = NEVER};
        return;
    }
    if (p->service != s->slot || p->since != waited_since(s)) {
        *p = (struct progress){.live = p->live, .service = s->slot, .since = waited_since(s)};
        p->next = p->since + WAIT;
    }
    if (w->now >= p->next)
        tell(w, s, n);
}
