/* What whoever started us is told: how all services together are. */
#include <errno.h>
#include <string.h>

#include "tend/log.h"
#include "tend/ready_fd.h"
#include "tend/world.h"

enum { EXTEND_EVERY = 5000, EXTEND_BY = 15000, READY_RETRY = 500 };

static bool anybody(const struct world *w)
{
    return w->starter || w->ready_fd >= 0;
}

/* ---- ready ---- */

static void say_on_descriptor(struct world *w)
{
    int said = ready_fd_say(w->ready_fd);

    if (said < 0)
        log_warn("--ready-fd");
    if (said != 0)
        w->ready_fd = -1;
}

static void say_ready(struct world *w)
{
    if (w->starter && !w->said_ready)
        notify_client_ready(w->starter);
    w->said_ready = true;
}

/* ---- stopping ---- */

/* As long as the shutdown is on its plan, and no longer: a tend that hangs is to be ended. */
static void ask_for_time(struct world *w)
{
    msec end = plan_sum(w->engine.shutdown_began, w->worst);
    msec left = end - w->now;

    w->extend_at = NEVER;
    if (!w->starter || left <= 0)
        return;
    notify_client_extend(w->starter, left < EXTEND_BY ? left + EXTEND_EVERY : EXTEND_BY);
    w->extend_at = w->now + EXTEND_EVERY;
}

static void say_stopping(struct world *w)
{
    if (w->starter)
        notify_client_stopping(w->starter);
    w->said_stopping = true;
    ask_for_time(w);
}

/* ---- as it changes ---- */

static void summarize(struct world *w)
{
    struct summary now;

    summary_make(&now, &w->engine);
    w->stirred = false;
    if (now.all_ready && !w->engine.shutdown)
        say_ready(w);
    if (!w->starter || strcmp(now.text, w->said) == 0)
        return;
    memcpy(w->said, now.text, sizeof w->said);
    notify_client_status(w->starter, w->said);
}

void announce_look(struct world *w)
{
    const char *wrong = NULL;

    if (!anybody(w))
        return;
    if (w->engine.shutdown && !w->said_stopping)
        say_stopping(w);
    if (w->now >= w->extend_at)
        ask_for_time(w);
    if (w->stirred && (w->loaded || w->entrypoint))
        summarize(w);
    if (w->said_ready && w->ready_fd >= 0)
        say_on_descriptor(w);
    if (w->starter)
        wrong = notify_client_send(w->starter, w->now);
    if (wrong)
        log_warn("NOTIFY_SOCKET: %s", wrong);
}

/* Only what was ready once reloads; it is ready again when the config is read, whatever then
 * becomes of the services: a reload that waited for them would not end. */
void announce_reload(struct world *w, bool begins)
{
    if (!w->starter || w->engine.shutdown || (begins ? !w->said_ready : !w->said_reloading))
        return;
    if (begins)
        notify_client_reloading(w->starter);
    else
        notify_client_ready(w->starter);
    w->said_reloading = begins;
}

msec announce_deadline(const struct world *w)
{
    msec first = w->extend_at, other;

    if (w->said_ready && w->ready_fd >= 0)
        first = w->now + READY_RETRY < first ? w->now + READY_RETRY : first;
    other = w->starter ? notify_client_deadline(w->starter, w->now) : NEVER;
    return other < first ? other : first;
}

void announce_close(struct world *w, msec limit)
{
    if (!w->starter)
        return;
    notify_client_drain(w->starter, limit);
    notify_client_close(w->starter);
    w->starter = NULL;
}
