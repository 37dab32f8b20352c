/* A plan for people, in lines of 80 columns. */
#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tend/check_plan.h"
#include "tend/check_tree.h"
#include "tend/engine.h"
#include "tend/units.h"

enum { NAME_WIDTH = 24, WORD_MAX = 200 };

/* ---- a line that breaks between words ---- */

struct line {
    size_t indent, used;
};

PRINTF(2, 3)
static void put(struct line *l, const char *format, ...)
{
    char word[WORD_MAX];
    bool first = l->used <= l->indent;
    va_list args;
    size_t n;

    va_start(args, format);
    n = (size_t)vsnprintf(word, sizeof word, format, args);
    va_end(args);
    if (!first && l->used + 1 + n > CHECK_WIDTH) {
        printf("\n%*s", (int)l->indent, "");
        l->used = l->indent;
        first = true;
    }
    l->used += n + (first ? 0 : 1);
    printf("%s%s", first ? "" : " ", word);
}

static struct line begin(size_t indent)
{
    printf("%*s", (int)indent, "");
    return (struct line){indent, indent};
}

static void put_words(struct line *l, const char *words)
{
    for (size_t n; *words; words += n + (words[n] == ' ')) {
        n = strcspn(words, " ");
        put(l, "%.*s", (int)n, words);
    }
}

PRINTF(2, 3)
static void say(size_t indent, const char *format, ...)
{
    struct line l = begin(indent);
    char text[1000];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put_words(&l, text);
    printf("\n");
}

/* ---- the table ---- */

static const char *step_name(const struct check_step *s, char buf[static UNITS_SIGNAL_MAX])
{
    return s->step == STEP_DRAIN     ? "drain"
           : s->step == STEP_COMMAND ? "command"
                                     : units_signal_name(s->signal, buf);
}

static bool is_stretched(const struct conf *c)
{
    return plan_stop(c, STEP_DRAIN) > plan_steps(c, STEP_DRAIN);
}

/* With what a deadline leaves of them, or as they are written. */
static void put_steps(struct line *l, const struct check_plan *p, size_t service, bool shortened)
{
    char name[UNITS_SIGNAL_MAX], wait[UNITS_DURATION_MAX], left[UNITS_DURATION_MAX];

    for (size_t i = p->first_step[service]; i < p->first_step[service + 1]; i++) {
        const struct check_step *s = &p->steps[i];
        if (shortened && s->wait && !s->left)
            continue; /* it does not come to that */
        put(l, "%s %s%s%s,", step_name(s, name), units_duration_text(s->wait, wait),
            shortened && s->left < s->wait ? "->" : "",
            shortened && s->left < s->wait ? units_duration_text(s->left, left) : "");
    }
    put(l, "KILL");
    if (!shortened && is_stretched(p->set->at[service]))
        put(l, "(stop.max %s)", units_duration_text(p->set->at[service]->stop.max, wait));
    printf("\n");
}

static size_t name_width(const struct check_plan *p)
{
    size_t width = strlen("SERVICE");

    for (size_t i = 0; i < p->set->n; i++) {
        size_t n = strlen(p->set->at[i]->name);
        if (n > width && n <= NAME_WIDTH)
            width = n;
    }
    return width;
}

/* A longer name has a line for itself. */
static void put_name(size_t indent, const char *name, size_t width)
{
    printf("%*s%-*s", (int)indent, "", (int)width, name);
    if (strlen(name) > width)
        printf("\n%*s", (int)(indent + width), "");
}

static void print_table(const struct check_plan *p)
{
    size_t width = name_width(p), time_width = strlen("AT MOST");
    char time[UNITS_DURATION_MAX];

    for (size_t i = 0; i < p->set->n; i++) {
        size_t n = strlen(units_duration_text(p->shutdown.at[i].time, time));
        time_width = n > time_width ? n : time_width;
    }
    printf("%-*s  %*s  ITS STOP (KILL: 5s)\n", (int)width, "SERVICE", (int)time_width, "AT MOST");
    for (size_t i = 0; i < p->set->n; i++) {
        size_t at = p->order[i];
        struct line l = {width + time_width + 4, 0};
        put_name(0, p->set->at[at]->name, width);
        printf("  %*s  ", (int)time_width, units_duration_text(p->shutdown.at[at].time, time));
        l.used = l.indent;
        put_steps(&l, p, at, false);
    }
}

/* ---- the longest ways ---- */

static void put_chain(struct line *l, const struct check_plan *p, const struct check_chain *chain,
                      bool start)
{
    char time[UNITS_DURATION_MAX];

    for (size_t i = 0; i < chain->n; i++) {
        size_t at = chain->at[i];
        put(l, "%s %s%s", p->set->at[at]->name,
            units_duration_text(start ? p->set->at[at]->ready.timeout : p->shutdown.at[at].time,
                                time),
            i + 1 < chain->n ? "," : "");
    }
}

static void print_start(const struct check_plan *p)
{
    char time[UNITS_DURATION_MAX];
    struct line l;

    if (!p->start.n) {
        say(0, "Start: no service starts by itself");
        return;
    }
    say(0, "Start, at most %s:", units_duration_text(p->start.time, time));
    l = begin(2);
    put_chain(&l, p, &p->start, true);
    printf("\n");
}

static void print_shutdown(const struct check_plan *p)
{
    char time[UNITS_DURATION_MAX], grace[UNITS_DURATION_MAX];
    struct line l;

    say(0, "Shutdown, at most %s:", units_duration_text(p->worst, time));
    l = begin(2);
    put_chain(&l, p, &p->stop, false);
    put(&l, "%ssweep %s", p->stop.n ? "+ " : "", units_duration_text(p->sweep, time));
    put(&l, "(TERM %s, KILL)", units_duration_text(p->set->supervisor.grace, grace));
    printf("\n");
}

/* ---- the deadline ---- */

static msec waits_of(const struct check_plan *p, size_t service)
{
    return plan_stop(p->set->at[service], STEP_DRAIN);
}

/* Each with what can be taken away. */
static void print_waits(const struct check_plan *p)
{
    char time[UNITS_DURATION_MAX];
    struct line l = begin(4);

    for (size_t i = 0; i < p->stop.n; i++) {
        size_t at = p->stop.at[i];
        put(&l, "%s %s,", p->set->at[at]->name, units_duration_text(waits_of(p, at), time));
    }
    put(&l, "supervisor.grace %s", units_duration_text(p->set->supervisor.grace, time));
    printf("\n");
}

static void print_what_to_shorten(const struct check_plan *p)
{
    char too_long[UNITS_DURATION_MAX], deadline[UNITS_DURATION_MAX], all[UNITS_DURATION_MAX];
    msec waits = p->set->supervisor.grace;

    for (size_t i = 0; i < p->stop.n; i++)
        waits = plan_sum(waits, waits_of(p, p->stop.at[i]));
    units_duration_text(p->too_long, too_long);
    units_duration_text(p->deadline, deadline);
    units_duration_text(waits, all);
    say(0, "Deadline %s: it does NOT fit, the worst case is %s too long.", deadline, too_long);
    if (waits >= p->too_long)
        say(2, "To make it fit, take %s out of the waits of this chain, which are %s in all:",
            too_long, all);
    else
        say(2,
            "The waits of this chain are %s in all, so that none at all would not do either: 5s "
            "after each of %zu KILLs remain. Put fewer services in a row:",
            all, p->stop.n + 1);
    print_waits(p);
}

static bool *on_chain(const struct check_plan *p)
{
    bool *on = calloc(p->set->n + 1, sizeof *on);

    for (size_t i = 0; on && i < p->stop.n; i++)
        on[p->stop.at[i]] = true;
    return on;
}

/* What a cure of the longest chain alone would leave. */
static void print_others(const struct check_plan *p)
{
    bool *on = on_chain(p);
    struct line l;
    size_t n = 0;

    for (size_t i = 0; on && i < p->set->n; i++) {
        size_t at = p->order[i];
        if (on[at] || !check_plan_too_long(p, at))
            continue;
        if (n++ == 0) {
            l = begin(2);
            put_words(&l, "The ways through these are too long as well:");
        }
        put(&l, "%s", p->set->at[at]->name);
    }
    if (n)
        printf("\n");
    free(on);
}

static bool any_is_stretched(const struct check_plan *p)
{
    for (size_t i = 0; i < p->stop.n; i++)
        if (is_stretched(p->set->at[p->stop.at[i]]))
            return true;
    return false;
}

static bool is_shortened(const struct check_plan *p)
{
    for (size_t i = 0; i < p->stop.n; i++) {
        size_t at = p->stop.at[i];
        for (size_t k = p->first_step[at]; k < p->first_step[at + 1]; k++)
            if (p->steps[k].left < p->steps[k].wait)
                return true;
    }
    return false;
}

static void print_run_time(const struct check_plan *p)
{
    char at[UNITS_DURATION_MAX], before[UNITS_DURATION_MAX], floor[UNITS_DURATION_MAX];
    size_t width = name_width(p);

    say(2, "%s",
        is_shortened(p) ? "As it is, tend shortens them, where all of them are used up:"
        : any_is_stretched(p)
            ? "As it is, tend shortens none of these; only what stop.max gives beyond them, the "
              "times after KILL and the sweep may be cut off:"
            : "As it is, tend shortens none of these; only the times after KILL and the sweep may "
              "be cut off:");
    for (size_t i = 0; i < p->stop.n; i++) {
        struct line l = {width + 6, width + 6};
        put_name(4, p->set->at[p->stop.at[i]]->name, width);
        printf("  ");
        put_steps(&l, p, p->stop.at[i], true);
    }
    units_duration_text(p->kill_at, at);
    units_duration_text(p->deadline - p->kill_at, before);
    units_duration_text(ENGINE_FLOOR, floor);
    if (p->waived)
        say(2,
            "No wait is made shorter than %s, so that this is still too long: at %s, %s before the "
            "deadline, the order is waived, KILL goes to all that is left and cuts these off.",
            floor, at, before);
    else
        say(2, "At %s, %s before the deadline, KILL goes to all that is left, in no order.", at,
            before);
}

static void print_deadline(const struct check_plan *p)
{
    char deadline[UNITS_DURATION_MAX], spare[UNITS_DURATION_MAX];

    if (p->deadline == NEVER)
        return;
    printf("\n");
    if (p->too_long) {
        print_what_to_shorten(p);
        print_others(p);
        print_run_time(p);
    } else {
        say(0, "Deadline %s: it fits, %s are left.", units_duration_text(p->deadline, deadline),
            units_duration_text(p->deadline - p->worst, spare));
    }
}

/* ---- the whole ---- */

static void print_hint(const struct check_plan *p)
{
    long long seconds = check_plan_timeout(p);

    printf("\nGive tend %llds before it is killed (%s and 1s of reserve):\n", seconds,
           p->too_long ? "the deadline" : "the worst case");
    printf("  Kubernetes  terminationGracePeriodSeconds: %lld\n", seconds);
    printf("  Compose     stop_grace_period: %llds\n", seconds);
    printf("  Docker      docker stop -t %lld\n", seconds);
    printf("  Podman      podman run --stop-timeout %lld\n", seconds);
}

int check_text(const struct check_plan *p)
{
    bool utf8;

    setlocale(LC_CTYPE, "");
    utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    printf("OK, %zu service%s\n\n", p->set->n, p->set->n == 1 ? "" : "s");
    print_table(p);
    printf("\nWhat hangs below another starts after it, and is gone before that is stopped:\n");
    if (check_tree(p, utf8))
        return -1;
    printf("\n");
    print_start(p);
    print_shutdown(p);
    print_deadline(p);
    print_hint(p);
    return 0;
}
