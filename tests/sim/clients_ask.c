/* What clients ask: lines of words, and what is meant by them. Some are spoilt. */
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "clients.h"

/* As the protocol has it. */
static const struct {
    const char *word;
    bool part;          /* is for members of the group, too */
    unsigned low, high; /* names */
    unsigned weight;
} verbs[] = {
    [REQUEST_STATUS] = {"status", true, 0, 3, 4},
    [REQUEST_START] = {"start", true, 1, 3, 8},
    [REQUEST_STOP] = {"stop", true, 1, 3, 8},
    [REQUEST_RESTART] = {"restart", true, 1, 3, 8},
    [REQUEST_RELOAD_SERVICE] = {"reload-service", false, 1, 2, 2},
    [REQUEST_SIGNAL] = {"signal", false, 1, 2, 3},
    [REQUEST_WAIT] = {"wait", true, 0, 3, 16},
    [REQUEST_READY] = {"ready", true, 0, 3, 3},
    [REQUEST_PLAN] = {"plan", false, 0, 0, 1},
    [REQUEST_RELOAD] = {"reload", false, 0, 0, 3},
    [REQUEST_WHY] = {"why", true, 1, 1, 4},
    [REQUEST_GRAPH] = {"graph", true, 0, 0, 2},
    [REQUEST_EVENTS] = {"events", true, 0, 0, 8},
    [REQUEST_HISTORY] = {"history", true, 0, 3, 3},
    [REQUEST_SHUTDOWN] = {"shutdown", false, 0, 0, 1},
    [REQUEST_HELP] = {"help", true, 0, 0, 1},
};
static_assert(ARRAY_SIZE(verbs) == REQUEST_VERB_COUNT, "a row for each");

bool asked_is_for_part(enum request_verb verb)
{
    return verbs[verb].part;
}

static const char *const goals[] = {"ready", "down", "failed", "reloaded"};
static const struct {
    const char *word;
    int number;
} signals[] = {{"TERM", SIGTERM}, {"SIGHUP", SIGHUP}, {"KILL", SIGKILL}, {"10", 10}};

/* A request on its way to a line: the verb, options, then names. */
struct words {
    char at[WORDS_MAX][WORD_MAX];
    unsigned n, n_options;
};

static char *add(struct words *x, const char *word)
{
    return strcpy(x->at[x->n++], word);
}

/* ---- as it should be ---- */

static enum request_verb some_verb(struct rng *r)
{
    unsigned sum = 0, at;

    for (int i = 0; i < REQUEST_VERB_COUNT; i++)
        sum += verbs[i].weight;
    at = rng_below(r, sum);
    for (int i = 0; i < REQUEST_VERB_COUNT; i++) {
        if (at < verbs[i].weight)
            return (enum request_verb)i;
        at -= verbs[i].weight;
    }
    return REQUEST_HELP;
}

static void signal_options(struct rng *r, struct words *x, struct asked *a)
{
    unsigned which = rng_below(r, ARRAY_SIZE(signals));

    sprintf(add(x, ""), "signal=%s", signals[which].word);
    a->signal = signals[which].number;
    a->group = rng_chance(r, 1, 3);
    if (a->group || rng_chance(r, 1, 2))
        sprintf(add(x, ""), "to=%s", a->group ? "group" : "main");
}

static void events_options(const struct world *w, struct rng *r, const struct client *c,
                           struct words *x, struct asked *a)
{
    const uint64_t after[] = {0, c->seen, rng_below(r, 100), w->history.last + rng_below(r, 9)};

    a->follow = rng_chance(r, 2, 3);
    if (a->follow)
        add(x, "follow");
    a->has_after = rng_chance(r, 1, 2);
    if (!a->has_after)
        return;
    a->after = after[rng_below(r, ARRAY_SIZE(after))];
    sprintf(add(x, ""), "after=%llu", (unsigned long long)a->after);
}

static void shutdown_options(struct rng *r, struct words *x, struct asked *a)
{
    a->now = rng_chance(r, 1, 4);
    if (a->now)
        add(x, "now");
    if (rng_chance(r, 1, 2))
        return;
    a->deadline = rng_time(r, 1, 60) * 1000;
    sprintf(add(x, ""), rng_chance(r, 1, 2) ? "deadline=%llds" : "deadline=%lld000ms",
            (long long)a->deadline / 1000);
}

static void options(const struct world *w, struct rng *r, const struct client *c, struct words *x,
                    struct asked *a)
{
    if (a->verb == REQUEST_SIGNAL)
        signal_options(r, x, a);
    if (a->verb == REQUEST_WAIT) {
        a->goal = (enum request_goal)rng_below(r, ARRAY_SIZE(goals));
        sprintf(add(x, ""), "for=%s", goals[a->goal]);
    }
    if (a->verb == REQUEST_EVENTS)
        events_options(w, r, c, x, a);
    if (a->verb == REQUEST_SHUTDOWN)
        shutdown_options(r, x, a);
    x->n_options = x->n - 1;
    if (x->n_options == 2 && rng_chance(r, 1, 2)) {
        char first[WORD_MAX];
        memcpy(first, x->at[1], sizeof first);
        memcpy(x->at[1], x->at[2], sizeof first);
        memcpy(x->at[2], first, sizeof first);
    }
}

/* Most are there, some are not. */
static void names(const struct world *w, struct rng *r, struct words *x, struct asked *a)
{
    static const char *const odd[] = {"s", "S1", "s01", "nobody@home", "s1.", "t1"};
    unsigned low = verbs[a->verb].low, high = verbs[a->verb].high;

    a->n_names = low + rng_below(r, high - low + 1);
    if (high > 1 && rng_chance(r, 1, 60))
        a->n_names = 30;
    for (unsigned i = 0; i < a->n_names; i++) {
        sprintf(a->names[i], "s%u", rng_below(r, w->config.n));
        if (rng_chance(r, 1, 40))
            strcpy(a->names[i], odd[rng_below(r, ARRAY_SIZE(odd))]);
        add(x, a->names[i]);
    }
}

/* ---- as it should not be ---- */

/* An option that this request has not, twice one that it has, or one with a wrong value. */
static void spoil_option(struct rng *r, struct words *x)
{
    static const char *const wrong[] = {
        "for=up",       "signal=NO", "to=all",     "after=x", "after=9K", "deadline=0s",
        "deadline=-1s", "deadline=", "follow=yes", "now=1",   "=",        "force=1"};

    memmove(x->at[2], x->at[1], (x->n - 1) * sizeof x->at[0]);
    if (x->n_options == 0 || rng_chance(r, 1, 2))
        strcpy(x->at[1], wrong[rng_below(r, ARRAY_SIZE(wrong))]);
    x->n++;
    x->n_options++;
}

static void spoil_names(struct rng *r, const struct asked *a, struct words *x)
{
    static const char *const bad[] = {"-s1", ".", "s/1", "s1,s2", "\"s1\""};
    unsigned low = verbs[a->verb].low, high = verbs[a->verb].high;

    if (low && rng_chance(r, 1, 2)) {
        x->n = 1 + x->n_options;
    } else if (high <= 1) {
        add(x, "s1");
    } else if (rng_chance(r, 1, 2)) {
        memset(x->at[x->n], 'n', CONF_NAME_MAX + 1);
        x->at[x->n++][CONF_NAME_MAX + 1] = '\0';
    } else {
        add(x, bad[rng_below(r, ARRAY_SIZE(bad))]);
    }
}

/* An option that is needed is missing, or stands behind a name. */
static void spoil_order(struct asked *a, struct words *x)
{
    char first[WORD_MAX];

    if (!x->n_options || (a->verb != REQUEST_WAIT && a->verb != REQUEST_SIGNAL)) {
        strcat(x->at[0], "x");
        return;
    }
    memcpy(first, x->at[1], sizeof first);
    memmove(x->at[1], x->at[2], (x->n - 2) * sizeof x->at[0]);
    x->n--;
    x->n_options--;
    if (a->n_names)
        add(x, first);
}

static void spoil(struct rng *r, struct asked *a, struct words *x)
{
    a->well = false;
    switch (rng_below(r, 5)) {
    case 0:
        spoil_option(r, x);
        break;
    case 1:
        spoil_names(r, a, x);
        break;
    case 2:
        spoil_order(a, x);
        break;
    case 3:
        strcat(x->at[0], rng_chance(r, 1, 2) ? "x" : "=1");
        break;
    case 4:
        x->n = 0;
        break;
    }
}

/* No printable ASCII. */
static size_t spoil_bytes(struct rng *r, char *line, size_t n)
{
    static const char bytes[] = {'\0', '\1', '\r', '\x1b', '\x1f', '\x7f', '\x80', '\xff'};
    size_t at = rng_below(r, (unsigned)n);

    memmove(line + at + 1, line + at, n - at);
    line[at] = bytes[rng_below(r, sizeof bytes)];
    return n + 1;
}

/* ---- the line ---- */

static size_t blanks(struct rng *r, char *line, size_t n, unsigned least)
{
    unsigned more = rng_chance(r, 1, 8) ? 1 + rng_below(r, 3) : 0;

    for (unsigned i = 0; i < least + more; i++)
        line[n++] = rng_chance(r, 1, 16) ? '\t' : ' ';
    return n;
}

static size_t join(struct rng *r, const struct words *x, char *line)
{
    size_t n = blanks(r, line, 0, 0);

    for (unsigned i = 0; i < x->n; i++) {
        memcpy(line + n, x->at[i], strlen(x->at[i]));
        n += strlen(x->at[i]);
        n = blanks(r, line, n, i + 1 < x->n);
    }
    return n;
}

size_t client_writes(struct world *w, struct client *c)
{
    struct rng *r = &w->clients->rng;
    struct words x = {.n = 0};
    struct asked *a = &c->asked;
    size_t n;

    *a = (struct asked){.verb = some_verb(r), .well = true, .deadline = NEVER};
    if (a->verb == REQUEST_SHUTDOWN && w->shutdown_at == NEVER)
        a->verb = REQUEST_HELP;
    add(&x, verbs[a->verb].word);
    options(w, r, c, &x, a);
    names(w, r, &x, a);
    if (rng_chance(r, 1, 8))
        spoil(r, a, &x);
    n = join(r, &x, c->line);
    if (n > 0 && rng_chance(r, 1, 40)) {
        n = spoil_bytes(r, c->line, n);
        a->well = false;
    }
    if (a->well && rng_chance(r, 1, 8))
        c->line[n++] = '\r';
    c->line[n] = '\0';
    return n;
}
