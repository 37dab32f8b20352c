/* What is waited for, told while it is: who, its processes, and how long yet. On a terminal one
 * line that is drawn again and again, elsewhere a line now and then. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tend/log.h"
#include "tend/terminal.h"
#include "tend/text.h"
#include "tend/units.h"
#include "tend/world.h"

/* A wait that is shorter is not told; a line is drawn again, or told again, after so long. */
enum { WAIT = 1000, REDRAW = 200, AGAIN_MAX = 30000 };
enum { TOLD_PROCESSES = 3, LINE_MAX_BYTES = 400 };

/* In the place of a slot: what belongs to no service. */
#define STRAYS UINT_MAX

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

static bool is_sweeping(const struct world *w)
{
    return w->sweep == SWEEP_TERM || w->sweep == SWEEP_KILL;
}

/* Who is waited for the longest, and how many others are. */
struct wait {
    const struct service *s; /* NULL: what belongs to no service */
    unsigned slot;
    msec since, until;
    unsigned others;
};

/* False: nobody is. Strays come when no service is waited for any more. */
static bool find_wait(const struct world *w, struct wait *wait)
{
    bool sweeping = is_sweeping(w), known = sweeping && w->progress.service == STRAYS;

    *wait = (struct wait){
        .slot = STRAYS, .since = known ? w->progress.since : w->now, .until = w->sweep_by};
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        if (!s || !is_waited_for(w, s))
            continue;
        wait->others += wait->s != NULL;
        if (!wait->s || waited_since(s) < wait->since) {
            wait->s = s;
            wait->slot = s->slot;
            wait->since = waited_since(s);
            wait->until = s->deadline;
        }
    }
    return wait->s || sweeping;
}

/* Of one command there is nothing to count. */
static void put_count(struct text *l, const struct world *w)
{
    unsigned done = 0, all = 0;

    for (size_t i = 0; i < w->engine.graph.n && !w->entrypoint; i++) {
        const struct service *s = w->engine.graph.at[i];
        if (!s || (w->engine.shutdown ? !w->endings || !w->endings[i].live : !s->wanted))
            continue;
        all++;
        done += w->engine.shutdown ? !service_live(s) : s->ready || s->state == SERVICE_DONE;
    }
    if (all)
        text_put(l, "%s %u/%u, ", w->engine.shutdown ? "stopping" : "ready", done, all);
}

/* ---- what it does ---- */

struct line {
    struct text *text;
    const struct world *w;
    unsigned told;
};

static bool put_process(void *self, const struct process_stat *p)
{
    struct line *l = self;
    char command[32], where[64];

    l->told++;
    observe_read_word(l->w, p->pid, "comm", command, sizeof command);
    observe_read_where(l->w, p->pid, where, sizeof where);
    text_put(l->text, "%spid %d (%s) %c%s%s", l->told == 1 ? " (" : ", ", (int)p->pid, command,
             p->state, *where ? " in " : "", where);
    return l->told < TOLD_PROCESSES;
}

static void put_processes(struct text *l, struct world *w, const struct service *s)
{
    struct line line = {l, w, 0};

    roster_each(w, s, put_process, &line);
    if (line.told)
        text_put(l, ")");
}

/* Tenths of a second where it is short: it is read while it passes. */
static void put_left(struct text *l, msec left)
{
    char time[UNITS_DURATION_MAX];

    if (left < 0)
        left = 0;
    if (left < 10000)
        text_put(l, "%d.%d s left", (int)(left / 1000), (int)(left % 1000 / 100));
    else
        text_put(l, "%s left", units_duration_short(left, time));
}

static void put_service(struct text *l, struct world *w, const struct service *s, msec until)
{
    bool left = w->entrypoint && !s->pid, has = until != NEVER && is_stopping(s) && !left;

    text_put(l, "%s%s", left ? "left behind by " : has ? "" : "waiting for ", service_name(s));
    put_processes(l, w, s);
    if (until == NEVER)
        return;
    text_put(l, has ? " has " : ", ");
    put_left(l, until - w->now);
}

static void put_strays(struct text *l, struct world *w, msec until)
{
    text_put(l, "processes of no service");
    put_processes(l, w, NULL);
    text_put(l, " have ");
    put_left(l, until - w->now);
}

/* ---- when ---- */

/* Below the prompt of a shell nothing is to be drawn. */
static bool may_draw(const struct world *w)
{
    return w->progress.live && (w->terminal < 0 || terminal_is_ours(w->terminal));
}

static void tell(struct world *w, const struct wait *wait)
{
    struct progress *p = &w->progress;
    char line[LINE_MAX_BYTES] = "";
    struct text l = {line, 0, sizeof line};

    put_count(&l, w);
    if (wait->s)
        put_service(&l, w, wait->s, wait->until);
    else
        put_strays(&l, w, wait->until);
    if (wait->others)
        text_put(&l, ", and %u more", wait->others);
    p->drawn = may_draw(w);
    p->until = wait->until;
    if (p->drawn) {
        log_live(line);
        p->next = w->now + REDRAW;
        return;
    }
    log_info("%s", line);
    p->again = !p->again ? WAIT : p->again < AGAIN_MAX / 2 ? p->again * 2 : AGAIN_MAX;
    p->next = w->now + p->again;
}

/* Another one that is waited for is told anew, and of what is drawn another time at once. */
void progress_look(struct world *w)
{
    struct progress *p = &w->progress;
    struct wait wait;
    bool any = find_wait(w, &wait);

    if (!any || p->service != wait.slot || p->since != wait.since) {
        log_live("");
        *p = (struct progress){.live = p->live, .service = wait.slot, .since = wait.since};
        p->next = any ? p->since + WAIT : NEVER;
    }
    if (w->now >= p->next || (p->drawn && p->until != wait.until))
        tell(w, &wait);
}
