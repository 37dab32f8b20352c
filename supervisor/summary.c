#include "tend/summary.h"

#include <stdio.h>

static bool is_up(const struct service *s)
{
    return s->ready || s->state == SERVICE_DONE;
}

/* What people want to know of first: a failure, then whoever others wait for, then any. */
static unsigned weight(const struct service *s)
{
    return s->state == SERVICE_FAILED ? 3 : s->state != SERVICE_PENDING ? 2 : 1;
}

static const struct service *heavier(const struct service *a, const struct service *b)
{
    return !a || weight(b) > weight(a) ? b : a;
}

static void tell_start(struct summary *sum, const struct service *missing)
{
    int n = snprintf(sum->text, sizeof sum->text, "%zu/%zu ready", sum->ready, sum->wanted);

    if (missing && missing->state == SERVICE_FAILED)
        snprintf(sum->text + n, sizeof sum->text - (size_t)n, ", %s failed", service_name(missing));
    else if (missing)
        snprintf(sum->text + n, sizeof sum->text - (size_t)n, ", waiting for %s",
                 service_name(missing));
}

static void summarize_start(struct summary *sum, const struct engine *e)
{
    const struct service *missing = NULL;

    for (size_t i = 0; i < e->graph.n; i++) {
        const struct service *s = e->graph.at[i];
        if (!s || !s->wanted)
            continue;
        sum->wanted++;
        if (is_up(s))
            sum->ready++;
        else
            missing = heavier(missing, s);
    }
    sum->all_ready = !missing;
    tell_start(sum, missing);
}

/* What is done may have a stop command to run. */
static bool is_left(const struct service *s)
{
    if (s->state == SERVICE_DONE)
        return s->conf->stop.command != NULL;
    return service_live(s) && s->state != SERVICE_STUCK;
}

/* Whoever is told to stop is waited for, not whoever waits for it. */
static void summarize_end(struct summary *sum, const struct engine *e)
{
    const struct service *ending = NULL;
    size_t left = 0;

    for (size_t i = 0; i < e->graph.n; i++) {
        const struct service *s = e->graph.at[i];
        if (!s || !is_left(s))
            continue;
        left++;
        if (!ending && service_is_ending(s))
            ending = s;
    }
    if (ending)
        snprintf(sum->text, sizeof sum->text, "stopping, %zu left, waiting for %s", left,
                 service_name(ending));
    else
        snprintf(sum->text, sizeof sum->text, "stopping, %zu left", left);
}

void summary_make(struct summary *sum, const struct engine *e)
{
    *sum = (struct summary){0};
    if (e->shutdown)
        summarize_end(sum, e);
    else
        summarize_start(sum, e);
}
