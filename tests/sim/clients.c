/* The clients of the control socket: they come, ask, wait, read slowly, vanish and come back. What
 * they do is drawn from a generator of their own, so that lives without them stay as they are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients.h"

/* One life in so many has some. */
enum { LIVES_WITH_CLIENTS = 4, IDLE_MAX = 12000 };

static uint64_t done[REQUEST_VERB_COUNT], refused, left;

/* A tend that has been up for long. */
static void remember(struct world *w)
{
    struct history_record r = {.kind = HISTORY_DEATH, .cause = CAUSE_EXIT, .pid = 7, .ran = 5};

    for (unsigned n = rng_below(&w->clients->rng, 400); n > 0; n--) {
        memcpy(r.name, "old-a", sizeof "old-a");
        r.name[4] = (char)('a' + rng_below(&w->clients->rng, 24));
        r.at = w->now;
        history_keep_death(w, &r);
    }
}

void clients_begin(struct world *w)
{
    struct clients *all;

    if (w->seed % LIVES_WITH_CLIENTS)
        return;
    all = w->clients = calloc(1, sizeof *all);
    rng_seed(&all->rng, ~w->seed);
    all->n = 1 + rng_below(&all->rng, CLIENTS);
    for (unsigned i = 0; i < all->n; i++)
        all->at[i].next = w->now + rng_time(&all->rng, 0, IDLE_MAX);
    if (rng_chance(&all->rng, 1, 2))
        remember(w);
}

void clients_free(struct world *w)
{
    free(w->clients);
}

msec clients_next(const struct world *w)
{
    msec next = NEVER;

    for (unsigned i = 0; w->clients && i < w->clients->n; i++)
        if (w->clients->at[i].next < next)
            next = w->clients->at[i].next;
    return next;
}

/* ---- one of them ---- */

/* Whoever comes back goes on after the last event that it has seen. */
static void come(struct world *w, struct client *c)
{
    uint64_t seen = c->seen;

    *c = (struct client){.here = true, .reads = true, .next = c->next, .seen = seen};
    c->all_rights = rng_chance(&w->clients->rng, 2, 3);
    TRACE(w, "client %d comes, with %s rights", (int)(c - w->clients->at),
          c->all_rights ? "all" : "part of the");
}

static void ask(struct world *w, struct client *c)
{
    char reply[REQUEST_ERROR_MAX] = "";
    struct text error = {reply, 0, sizeof reply};
    size_t n = client_writes(w, c);
    uint64_t print = engine_print(&w->engine);
    const char *code = "usage";
    bool well;

    TRACE(w, "client %d: %.100s", (int)(c - w->clients->at), c->line);
    well = request_parse(c->line, n, &c->request, &error);
    check_parsed(w, c, well, &error);
    if (well)
        code = client_does(w, c);
    TRACE(w, "client %d: %s", (int)(c - w->clients->at), code ? code : "is served");
    check_done(w, c, code, engine_print(&w->engine) != print);
    c->asks = code == NULL;
    if (code)
        refused++;
    else
        done[c->asked.verb]++;
    if (engine_print(&w->engine) == print)
        return;
    save_all(w);
    w->may_stop = UINT64_MAX; /* more than what a load in this turn has planned */
}

/* What the loading child has read is taken, or is too late. */
static void load(struct world *w, struct client *c)
{
    if (!w->kept_shutdown && c->request.verb == REQUEST_RELOAD) {
        op_reload(w);
        save_all(w);
    }
    client_finish(c);
}

static void act(struct world *w, struct client *c)
{
    struct rng *r = &w->clients->rng;

    c->next = w->now + (rng_chance(r, 1, 4) ? rng_time(r, 0, 40) : rng_time(r, 1, IDLE_MAX));
    if (!c->here) {
        come(w, c);
    } else if (rng_chance(r, 1, c->asks ? 12 : 30)) {
        TRACE(w, "client %d vanishes", (int)(c - w->clients->at));
        left += c->asks;
        c->here = c->asks = false;
    } else if (c->loads) {
        load(w, c);
    } else if (!c->asks) {
        c->reads = c->reads || rng_chance(r, 1, 2);
        ask(w, c);
    } else {
        c->reads = !rng_chance(r, 1, 3);
    }
}

/* They too like to come while actions are pending. */
void clients_act(struct world *w)
{
    for (unsigned i = 0; w->clients && !w->calm && i < w->clients->n; i++) {
        struct client *c = &w->clients->at[i];
        if (w->now >= c->next || (w->again && rng_chance(&w->clients->rng, 1, 12)))
            act(w, c);
    }
}

/* ---- all of them ---- */

void clients_answer(struct world *w)
{
    for (unsigned i = 0; w->clients && i < w->clients->n; i++) {
        struct client *c = &w->clients->at[i];
        bool slow = rng_chance(&w->clients->rng, 1, 4);
        c->reads = c->reads || w->calm;
        c->room = !c->reads          ? 0
                  : slow && !w->calm ? 1 + rng_below(&w->clients->rng, 6)
                                     : UINT32_MAX;
        if (c->here && c->asks && !c->loads)
            client_answer(w, c);
    }
    if (w->clients)
        check_clients(w);
}

/* As often as half of the ring is written, also in the middle of a turn. */
void clients_follow(struct world *w)
{
    for (unsigned i = 0; w->clients && i < w->clients->n; i++) {
        struct client *c = &w->clients->at[i];
        if (c->here && c->asks && c->request.verb == REQUEST_EVENTS && c->request.follow) {
            c->room = c->reads ? UINT32_MAX : 0;
            client_answer(w, c);
        }
    }
}

/* Their connections are gone with the tend that crashed. */
void clients_lose(struct world *w)
{
    if (!w->clients)
        return;
    clients_wished(w);
    for (unsigned i = 0; i < w->clients->n; i++)
        w->clients->at[i].here = w->clients->at[i].asks = false;
}

/* What rests until somebody asks for it. */
void clients_wished(struct world *w)
{
    if (w->clients)
        memset(w->clients->latch, 0, sizeof w->clients->latch);
}

/* Whether each request was met. */
bool clients_print(void)
{
    bool all = check_waits_print();

    all = check_events_print() && refused && left && all;

    printf("requests: %llu refused, %llu left open;", (unsigned long long)refused,
           (unsigned long long)left);
    for (int i = 0; i < REQUEST_VERB_COUNT; i++) {
        printf(" %s %llu", request_verb_name((enum request_verb)i), (unsigned long long)done[i]);
        all = all && done[i];
    }
    printf("\n");
    return all;
}
