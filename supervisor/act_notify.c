/* What services say of themselves: their sockets, and what is said there. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tend/log.h"
#include "tend/world.h"

enum {
    MESSAGES_IN_A_TURN = 16, /* of one service: whoever floods us delays nobody else */
    LAST_WORDS = 64,
    TOLD_IN_A_WHILE = 20, /* in the log */
    RETRY = 100,
};

/* ---- the socket ---- */

static uid_t user_of(const struct service *s)
{
    return s->conf->has_ids ? s->conf->uid : geteuid();
}

static void close_socket(struct world *w, struct service *s)
{
    struct talk *t = world_life(w, s)->talk;

    if (t->server.fd >= 0)
        loop_remove(&w->loop, t->server.fd);
    notify_server_close(&t->server, w->runtime.dir, service_name(s));
}

static int open_socket(struct world *w, struct service *s, struct talk *t)
{
    t->uid = user_of(s);
    if (notify_server_open(&t->server, w->runtime.dir, w->runtime.dir < 0 ? NULL : w->runtime.path,
                           service_name(s), t->uid))
        return -1;
    if (loop_add(&w->loop, t->server.fd, SOURCE_NOTIFY, s->slot) == 0) {
        if (t->server.closer || t->again_at)
            loop_want(&w->loop, t->server.fd, SOURCE_NOTIFY, s->slot, false, false);
        return 0;
    }
    close_socket(w, s);
    return -1;
}

/* A message of an earlier life that nobody has read yet is not one of this. */
static void begin_anew(struct talk *t)
{
    notify_server_drop(&t->server);
    t->reloading = false;
    t->error = 0;
    t->refused = 0;
    t->renamed = (struct rate){0};
    t->status[0] = '\0';
}

int act_notify_open(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);

    if (!conf_wants_notify(s->conf)) {
        act_notify_free(w, s);
        return 0;
    }
    if (!l->talk) {
        l->talk = calloc(1, sizeof *l->talk);
        if (!l->talk)
            return -1;
        l->talk->server.fd = -1;
    }
    if (l->talk->server.fd >= 0 && l->talk->uid != user_of(s))
        close_socket(w, s);
    if (l->talk->server.fd < 0 && open_socket(w, s, l->talk))
        return -1;
    begin_anew(l->talk);
    return 0;
}

void act_notify_again(struct world *w, struct service *s)
{
    struct talk *t = world_life(w, s)->talk;

    if (!t || notify_server_stands(&t->server, w->runtime.dir, service_name(s)))
        return;
    close_socket(w, s);
    if (open_socket(w, s, t))
        log_warn("%s: its notify socket", service_name(s));
}

static void close_ready(struct world *w, struct life *l)
{
    if (!l->ready)
        return;
    loop_remove(&w->loop, l->ready);
    close(l->ready);
    l->ready = 0;
}

void act_notify_free(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);

    close_ready(w, l);
    if (!l->talk)
        return;
    if (l->talk->server.fd >= 0)
        close_socket(w, s);
    w->put_off -= l->talk->again_at != 0;
    free(l->talk);
    l->talk = NULL;
}

/* Before it has a process, whatever is said is of an earlier life, or of nobody. */
static bool is_heard(const struct service *s)
{
    return service_live(s) && (s->pid || s->state != SERVICE_STARTING);
}

void act_notify_close(struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++)
        if (w->engine.graph.at[i])
            act_notify_free(w, w->engine.graph.at[i]);
}

/* ---- ready.fd ---- */

int act_notify_ready_fd(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);
    int ends[2];

    close_ready(w, l);
    if (pipe2(ends, O_CLOEXEC))
        return -1;
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) || loop_add(&w->loop, ends[0], SOURCE_READY, s->slot)) {
        int error = errno;
        close(ends[0]);
        close(ends[1]);
        errno = error;
        return -1;
    }
    l->ready = ends[0];
    return ends[1];
}

/* Whatever stands before the newline is passed over; whoever closes it without one has had its say.
 */
void act_notify_read_ready(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);
    char bytes[512];
    ssize_t n;

    if (!l->ready)
        return;
    n = read(l->ready, bytes, sizeof bytes);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0 && !memchr(bytes, '\n', (size_t)n))
        return;
    close_ready(w, l);
    if (n > 0 && is_heard(s))
        engine_event(&w->engine, s, EVENT_READY, w->now, NULL);
    else if (s->state == SERVICE_STARTING && s->executed && !s->preparing)
        log_warnx("%s: closed descriptor %d without a newline: it never says that it is ready",
                  service_name(s), s->conf->ready.fd);
}

/* ---- what they say ---- */

static bool may_tell(struct talk *t, msec now)
{
    return rate_allows(&t->told, now, TOLD_IN_A_WHILE);
}

static void hear_status(struct world *w, struct service *s, const struct notify *m)
{
    struct talk *t = world_life(w, s)->talk;
    char status[sizeof t->status];

    notify_printable(m->status, m->status_length, status, sizeof status);
    if (strcmp(status, t->status) == 0)
        return;
    memcpy(t->status, status, sizeof status);
    if (may_tell(t, w->now)) /* else it would drive out what others have to say */
        observe_status(w, s, status);
}

static void hear_error(struct world *w, struct service *s, int error)
{
    struct talk *t = world_life(w, s)->talk;

    if (error == t->error)
        return;
    t->error = error;
    if (error && may_tell(t, w->now))
        observe_notify(w, s, "errno %d (%s)", error, strerror(error));
}

static void hear_ready(struct world *w, struct service *s)
{
    struct talk *t = world_life(w, s)->talk;

    if (t->reloading && (t->reload_due || may_tell(t, w->now))) /* who waits hears of records */
        observe_notify(w, s, "reloaded");
    t->reloading = false;
    act_reload_answered(w, s);
    if (s->conf->ready.on == CONF_READY_NOTIFY)
        engine_event(&w->engine, s, EVENT_READY, w->now, NULL);
}

static void hear_reloading(struct world *w, struct service *s, uint64_t usec)
{
    struct talk *t = world_life(w, s)->talk;

    if (!t->reloading && may_tell(t, w->now))
        observe_notify(w, s, "reloading");
    t->reloading = true;
    act_reload_heard(w, s, usec);
}

/* While it runs, it is the watchdog and the answer to a reload that it may be late for. */
static void hear_extend(struct world *w, struct service *s, msec wait)
{
    const struct engine_fact more = {.wait = wait};
    struct talk *t = world_life(w, s)->talk;
    msec by = loop_now_up() + wait;

    engine_event(&w->engine, s, EVENT_EXTEND, w->now, &more);
    act_health_extend(w, s, wait);
    if (t->reload_due && by > t->reload_by)
        t->reload_by = by;
}

static void hear_watchdog(struct world *w, struct service *s, const struct notify *m)
{
    if (m->said & NOTIFY_WATCHDOG_TIME)
        act_health_set_watchdog(w, s, m->watchdog);
    if (m->said & NOTIFY_WATCHDOG)
        act_health_fed(w, s);
    if (m->said & NOTIFY_TRIGGER)
        act_health_starved(w, s, "it says so itself (WATCHDOG=trigger)");
}

/* Which process is meant comes first, and the state last: it may end the life that the rest is of.
 */
static void hear(struct world *w, struct service *s, const struct notify *m,
                 const struct notify_sender *sender)
{
    if (m->bad)
        act_sender_refuse(w, s, REFUSED_VALUE, sender->pid);
    if (m->said & (NOTIFY_STORE | NOTIFY_STORE_REMOVE))
        act_sender_refuse(w, s, REFUSED_STORE, sender->pid);
    if (m->said & NOTIFY_MAIN_PID)
        act_sender_refuse(w, s, act_main_named(w, s, m->main_pid, sender), sender->pid);
    if (m->said & NOTIFY_STATUS)
        hear_status(w, s, m);
    if (m->said & NOTIFY_ERRNO)
        hear_error(w, s, m->error);
    if (m->said & NOTIFY_EXIT_STATUS && may_tell(world_life(w, s)->talk, w->now))
        observe_notify(w, s, "exit status %d", m->exit_status);
    if (m->said & NOTIFY_EXTEND)
        hear_extend(w, s, m->extend);
    hear_watchdog(w, s, m);
    if (m->said & NOTIFY_RELOADING)
        hear_reloading(w, s, m->reloading_usec);
    if (m->said & NOTIFY_READY)
        hear_ready(w, s);
    if (m->said & NOTIFY_STOPPING)
        engine_event(&w->engine, s, EVENT_LEAVING, w->now, NULL);
}

/* ---- taking it ---- */

static void listen_to(struct world *w, const struct service *s, bool wanted)
{
    const struct talk *t = world_life(w, s)->talk;

    if (t->server.fd >= 0)
        loop_want(&w->loop, t->server.fd, SOURCE_NOTIFY, s->slot, wanted, false);
}

/* Until the closer has ended nothing more is read here. */
static void note_closer(struct world *w, struct service *s)
{
    pid_t closer = world_life(w, s)->talk->server.closer;

    if (!closer || child_find(&w->children, closer))
        return;
    child_add(&w->children, closer, CHILD_CLOSER, s);
    w->childless = false;
    listen_to(w, s, false);
}

void act_notify_closed(struct world *w, struct service *s)
{
    struct talk *t = s ? world_life(w, s)->talk : NULL;

    if (!t)
        return;
    notify_server_closed(&t->server);
    listen_to(w, s, true);
}

static void judge(struct world *w, struct service *s, enum notify_taken taken,
                  const struct notify *message, const struct notify_sender *sender)
{
    enum refusal refusal = act_sender_judge(w, s, sender);

    if (!refusal && taken == NOTIFY_BROKEN)
        refusal = REFUSED_BROKEN;
    if (refusal)
        act_sender_refuse(w, s, refusal, sender->pid);
    else
        hear(w, s, message, sender);
}

/* Returns how many there were. */
static int take(struct world *w, struct service *s, int most)
{
    struct talk *t = world_life(w, s)->talk;
    char buf[NOTIFY_MAX + 1];
    struct notify message;
    struct notify_sender sender;
    unsigned descriptors;
    int n = 0;

    for (; t && n < most && child_reserve(&w->children) == 0; n++) {
        enum notify_taken taken =
            notify_server_take(&t->server, buf, &message, &sender, &descriptors);
        note_closer(w, s);
        if (taken == NOTIFY_NONE)
            break;
        if (is_heard(s))
            judge(w, s, taken, &message, &sender);
    }
    return n;
}

/* There is one that brings descriptors, and no child could be had to take it. */
static void put_off(struct world *w, struct service *s)
{
    struct talk *t = world_life(w, s)->talk;

    act_sender_refuse(w, s, REFUSED_FOR_NOW, 0);
    listen_to(w, s, false);
    t->again_at = w->now + RETRY;
    w->put_off++;
}

/* Its exec is known first: what may count only after it is not to be refused. */
void act_notify_take(struct world *w, struct service *s)
{
    struct talk *t = world_life(w, s)->talk;
    int n;

    act_read_report(w, s, CHILD_MAIN);
    if (!t)
        return;
    n = take(w, s, MESSAGES_IN_A_TURN);
    if (n == MESSAGES_IN_A_TURN)
        t->unread = w->turn;
    if (n == 0 && !t->server.closer && !t->again_at)
        put_off(w, s);
}

static void take_up(struct world *w, const struct service *s)
{
    struct talk *t = world_life(w, s)->talk;

    t->again_at = 0;
    w->put_off--;
    if (!t->server.closer)
        listen_to(w, s, true);
}

void act_notify_expire(struct world *w)
{
    for (size_t i = 0; w->put_off && i < w->engine.graph.n; i++) {
        const struct talk *t = w->engine.graph.at[i] ? w->lives[i].talk : NULL;
        if (t && t->again_at && t->again_at <= w->now)
            take_up(w, w->engine.graph.at[i]);
    }
}

msec act_notify_deadline(const struct world *w)
{
    msec first = NEVER;

    for (size_t i = 0; w->put_off && i < w->engine.graph.n; i++) {
        const struct talk *t = w->engine.graph.at[i] ? w->lives[i].talk : NULL;
        if (t && t->again_at && t->again_at < first)
            first = t->again_at;
    }
    return first;
}

void act_notify_last_words(struct world *w, struct service *s)
{
    act_notify_read_ready(w, s);
    take(w, s, LAST_WORDS);
}
