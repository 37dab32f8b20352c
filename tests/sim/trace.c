/* What happened, for people; which cells and which errors were met. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

enum { LINES = 32, LINE_MAX = 160 };
bool tracing, tracing_aloud;
int allocations_left = -1;

static char lines[LINES][LINE_MAX];
static unsigned n_lines;
static uint64_t cells[SERVICE_STATE_COUNT][EVENT_COUNT];
static uint64_t actions[8];
static uint64_t forks[ROLE_COUNT][FORK_ERRORS + 1];
static uint64_t events;

void trace(const struct world *w, const char *format, ...)
{
    char *line = lines[n_lines++ % LINES];
    int n = snprintf(line, LINE_MAX, "%8lld %4u  ", (long long)w->now, w->turns);
    va_list ap;

    va_start(ap, format);
    vsnprintf(line + n, LINE_MAX - (size_t)n, format, ap);
    va_end(ap);
    if (tracing_aloud)
        puts(line);
}

/* A failure is told with what led to it, which the second time is noted down. */
void broken(const struct world *w, const char *invariant, const char *format, ...)
{
    va_list ap;

    if (!tracing) {
        tracing = true;
        live(w->seed);
        printf("seed %llu: %s is broken, but only the first time\n", (unsigned long long)w->seed,
               invariant);
        exit(1);
    }
    for (unsigned i = n_lines > LINES ? n_lines - LINES : 0; i < n_lines && !tracing_aloud; i++)
        puts(lines[i % LINES]);
    printf("seed %llu, turn %u, time %lld: %s: ", (unsigned long long)w->seed, w->turns,
           (long long)w->now, invariant);
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    printf("\n");
    exit(1);
}

const char *action_name(enum service_action a)
{
    static const char *const names[] = {"spawn", "command", "command-end", "signal",
                                        "sweep", "kill",    "name-stuck",  "free"};

    return names[__builtin_ctz(a)];
}

/* P03: each change leaves one record, with a text that fits. */
void history_note(struct world *w, const struct engine_change *change)
{
    struct history_record r = history_from_change(change);
    uint64_t before = w->history.last, missed;
    char text[HISTORY_TEXT_MAX];
    const struct history_record *added = history_add(&w->history, &r);

    clients_note(w, added);
    if (added->sequence != before + 1 ||
        history_next(&w->history, before, &missed)->sequence != before + 1 || missed)
        broken(w, "P03", "%s: its record is not there", service_name(change->service));
    if ((events & 31) == 0 && history_text(&r, text, sizeof text) >= sizeof text)
        broken(w, "P03", "%s: its text is too long", service_name(change->service));
    if (added->sequence % (HISTORY_ROOM / 2) == 0)
        clients_follow(w);
}

/* ---- coverage ---- */

void __real_engine_event(struct engine *, struct service *, enum engine_event, msec,
                         const struct engine_fact *);
void __wrap_engine_event(struct engine *, struct service *, enum engine_event, msec,
                         const struct engine_fact *);
void __wrap_engine_event(struct engine *e, struct service *s, enum engine_event event, msec now,
                         const struct engine_fact *fact)
{
    enum service_state from = s->state;
    unsigned step = s->step;

    cells[from][event]++;
    events++;
    __real_engine_event(e, s, event, now, fact);
    if (e->self)
        check_step(e->self, s, from, step, event, fact ? fact->wait : 0);
}

uint64_t coverage_events(void)
{
    return events;
}

void coverage_fork(enum proc_role role, int error)
{
    int i = 0;

    while (error && i < FORK_ERRORS && fork_errors[i] != error)
        i++;
    forks[role][error ? i + 1 : 0]++;
}

void coverage_action(enum service_action a)
{
    actions[__builtin_ctz(a)]++;
}

/* Asks the table itself, with a service that has nothing to lose. */
static bool is_possible(enum service_state state, enum engine_event event)
{
    struct engine e;
    struct service *s;
    struct spec spec = {.present = true};
    bool possible;

    engine_init(&e, NULL, NULL);
    s = graph_add(&e.graph, spec_build(&spec, 0, 1));
    s->state = state;
    __real_engine_event(&e, s, event, 1000, NULL);
    possible = e.impossible == 0;
    engine_free(&e);
    return possible;
}

/* The engine says QUIET only to what can stop, HURRY only to what is stopping. */
static bool is_said(enum service_state state, enum engine_event event)
{
    if (event == EVENT_QUIET)
        return state == SERVICE_STARTING || state == SERVICE_RUNNING || state == SERVICE_DONE;
    return event != EVENT_HURRY || state == SERVICE_STOPPING;
}

static bool print_cells(void)
{
    unsigned live = 0, met = 0;

    for (int s = 0; s < SERVICE_STATE_COUNT; s++)
        for (int e = 0; e < EVENT_COUNT; e++) {
            if (!is_said((enum service_state)s, (enum engine_event)e) ||
                !is_possible((enum service_state)s, (enum engine_event)e))
                continue;
            live++;
            met += cells[s][e] != 0;
            if (!cells[s][e])
                printf("not met: %s in %s\n", engine_event_name((enum engine_event)e),
                       service_state_name((enum service_state)s));
        }
    printf("cells of the table: %u of %u met\n", met, live);
    return met == live;
}

bool coverage_print(void)
{
    static const char *const roles[] = {"main", "before_start", "stop command"};
    bool all = print_cells();

    for (int r = 0; r < ROLE_MEMBER; r++) {
        printf("forks of %s: %llu;", roles[r], (unsigned long long)forks[r][0]);
        for (int i = 0; i < FORK_ERRORS; i++) {
            printf(" %s %llu", strerrorname_np(fork_errors[i]),
                   (unsigned long long)forks[r][i + 1]);
            all = all && forks[r][i + 1];
        }
        printf("\n");
    }
    for (unsigned i = 0; i < ARRAY_SIZE(actions); i++) {
        printf("%s%s %llu", i ? ", " : "actions: ", action_name((enum service_action)(1u << i)),
               (unsigned long long)actions[i]);
        all = all && actions[i];
    }
    printf("\n");
    return all;
}

/* ---- memory that runs out ---- */

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);

static bool may_allocate(void)
{
    if (allocations_left > 0)
        allocations_left--;
    return allocations_left != 0;
}

void *__wrap_malloc(size_t n)
{
    return may_allocate() ? __real_malloc(n) : NULL;
}

void *__wrap_calloc(size_t n, size_t size)
{
    return may_allocate() ? __real_calloc(n, size) : NULL;
}

void *__wrap_realloc(void *p, size_t n)
{
    return may_allocate() ? __real_realloc(p, n) : NULL;
}
