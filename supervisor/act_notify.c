/* What services say of themselves: their sockets, who may speak there, and what it means. */
#include <assert.h>
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
    STATUS_IN_A_WHILE = 20, /* that are told in the log */
    A_WHILE = 10000,
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
    if (loop_add(&w->loop, t->server.fd, SOURCE_NOTIFY, s->slot) == 0)
        return 0;
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

    if (!t || t->server.fd < 0 || notify_server_stands(&t->server, w->runtime.dir, service_name(s)))
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
    struct child *c;

    close_ready(w, l);
    if (!l->talk)
        return;
    if (l->talk->server.fd >= 0)
        close_socket(w, s);
    c = child_find(&w->children, l->talk->server.closer);
    if (c)
        c->service = NULL;
    free(l->talk);
    l->talk = NULL;
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
    if (n > 0 && service_live(s))
        engine_event(&w->engine, s, EVENT_READY, w->now, NULL);
    else if (s->state == SERVICE_STARTING && s->pid)
        log_warnx("%s: closed descriptor %d without a newline: it never says that it is ready",
                  service_name(s), s->conf->ready.fd);
}

/* ---- who may speak ---- */

/* What is said once of a life's messages, as whoever sends them may do so for ever. */
enum refusal {
    REFUSED_NOT,
    REFUSED_OUTSIDE,
    REFUSED_USER,
    REFUSED_NOT_MAIN,
    REFUSED_OTHER,
    REFUSED_EARLIER,
    REFUSED_BROKEN,
    REFUSED_VALUE,
    REFUSED_STORE,
    REFUSAL_COUNT
};

static const char *const refusals[] = {
    [REFUSED_NOT] = "",
    [REFUSED_OUTSIDE] = "its sender is not of our PID namespace",
    [REFUSED_USER] = "its sender is neither root nor the service's user",
    [REFUSED_NOT_MAIN] = "its sender is not the main process, and notify.access is main",
    [REFUSED_OTHER] = "its sender belongs to another service",
    [REFUSED_EARLIER] = "its sender is older than this life of the service",
    [REFUSED_BROKEN] = "it is empty, too long, or no text",
    [REFUSED_VALUE] = "a line of it has a value that cannot be",
    [REFUSED_STORE] = "descriptors are not kept for services (FDSTORE)",
};
static_assert(ARRAY_SIZE(refusals) == REFUSAL_COUNT, "a text for each");

static void tell_refusal(struct world *w, const struct service *s, enum refusal why, pid_t pid)
{
    struct talk *t = world_life(w, s)->talk;

    if (t->refused & 1u << why)
        return;
    t->refused |= 1u << why;
    log_warnx("%s: a message of pid %d is passed over: %s", service_name(s), (int)pid,
              refusals[why]);
}

static bool is_of_another(const struct world *w, const struct service *s, pid_t pid)
{
    const struct child *c = child_find(&w->children, pid);

    return c && c->service && c->service != s;
}

/* One that has ended meanwhile may be anybody of the right user: it may have been made to say this
 * alone (systemd-notify(1)). */
static enum refusal judge_process(struct world *w, const struct service *s, pid_t pid)
{
    struct process_stat p;

    if (is_of_another(w, s, pid))
        return REFUSED_OTHER;
    roster_open(w);
    if (w->proc < 0 || pid == s->pid || members_stat(w->proc, pid, &p))
        return REFUSED_NOT;
    if (is_of_another(w, s, p.session) || is_of_another(w, s, p.pgrp))
        return REFUSED_OTHER;
    return p.born < world_life(w, s)->born ? REFUSED_EARLIER : REFUSED_NOT;
}

static enum refusal judge(struct world *w, const struct service *s,
                          const struct notify_sender *sender)
{
    if (sender->pid <= 0)
        return REFUSED_OUTSIDE;
    if (sender->uid != 0 && sender->uid != geteuid() && sender->uid != world_life(w, s)->talk->uid)
        return REFUSED_USER;
    if (s->conf->access == CONF_ACCESS_MAIN && sender->pid != s->pid)
        return REFUSED_NOT_MAIN;
    return judge_process(w, s, sender->pid);
}

/* ---- what they say ---- */

static bool may_tell(struct rate *r, msec now)
{
    if (now - r->since >= A_WHILE)
        *r = (struct rate){.since = now};
    return r->n++ < STATUS_IN_A_WHILE;
}

static void hear_status(struct world *w, struct service *s, const struct notify *m)
{
    struct talk *t = world_life(w, s)->talk;
    char status[sizeof t->status];

    notify_printable(m->status, m->status_length, status, sizeof status);
    if (strcmp(status, t->status) == 0)
        return;
    memcpy(t->status, status, sizeof status);
    observe_status(w, s, status, !may_tell(&t->told, w->now));
}

static void hear_error(struct world *w, struct service *s, int error)
{
    struct talk *t = world_life(w, s)->talk;

    if (error == t->error)
        return;
    t->error = error;
    if (error && may_tell(&t->told, w->now))
        observe_notify(w, s, "errno %d (%s)", error, strerror(error));
}

static void hear_ready(struct world *w, struct service *s)
{
    struct talk *t = world_life(w, s)->talk;

    if (t->reloading && may_tell(&t->told, w->now))
        observe_notify(w, s, "reloaded");
    t->reloading = false;
    act_reload_answered(w, s);
    if (s->conf->ready.on == CONF_READY_NOTIFY)
        engine_event(&w->engine, s, EVENT_READY, w->now, NULL);
}

static void hear_reloading(struct world *w, struct service *s, uint64_t usec)
{
    struct talk *t = world_life(w, s)->talk;

    if (!t->reloading && may_tell(&t->told, w->now))
        observe_notify(w, s, "reloading");
    t->reloading = true;
    act_reload_heard(w, s, usec);
}

static void hear_watchdog(struct world *w, struct service *s, const struct notify *m)
{
    if (m->said & NOTIFY_WATCHDOG_TIME)
        act_probe_set_watchdog(w, s, m->watchdog);
    if (m->said & NOTIFY_WATCHDOG)
        act_probe_fed(w, s);
    if (m->said & NOTIFY_TRIGGER)
        act_probe_starved(w, s, "it says so itself (WATCHDOG=trigger)");
}

/* Which process is meant comes first, and the state last: it may end the life that the rest is of.
 */
static void hear(struct world *w, struct service *s, const struct notify *m,
                 const struct notify_sender *sender)
{
    const struct engine_fact more = {.wait = m->extend};

    if (m->bad)
        tell_refusal(w, s, REFUSED_VALUE, sender->pid);
    if (m->said & (NOTIFY_STORE | NOTIFY_STORE_REMOVE))
        tell_refusal(w, s, REFUSED_STORE, sender->pid);
    if (m->said & NOTIFY_MAIN_PID)
        act_main_named(w, s, m->main_pid, sender);
    if (m->said & NOTIFY_STATUS)
        hear_status(w, s, m);
    if (m->said & NOTIFY_ERRNO)
        hear_error(w, s, m->error);
    if (m->said & NOTIFY_EXIT_STATUS && may_tell(&world_life(w, s)->talk->told, w->now))
        observe_notify(w, s, "exit status %d", m->exit_status);
    if (m->said & NOTIFY_EXTEND)
        engine_event(&w->engine, s, EVENT_EXTEND, w->now, &more);
    hear_watchdog(w, s, m);
    if (m->said & NOTIFY_RELOADING)
        hear_reloading(w, s, m->reloading_usec);
    if (m->said & NOTIFY_READY)
        hear_ready(w, s);
    if (m->said & NOTIFY_STOPPING)
        engine_event(&w->engine, s, EVENT_LEAVING, w->now, NULL);
}

/* ---- taking it ---- */

/* Until the closer has ended nothing more is read here. */
static void note_closer(struct world *w, struct service *s)
{
    struct notify_server *server = &world_life(w, s)->talk->server;

    if (!server->closer || child_find(&w->children, server->closer))
        return;
    child_add(&w->children, server->closer, CHILD_CLOSER, s);
    w->childless = false;
    loop_want(&w->loop, server->fd, SOURCE_NOTIFY, s->slot, false, false);
}

void act_notify_closed(struct world *w, struct service *s)
{
    struct talk *t = s ? world_life(w, s)->talk : NULL;

    if (!t)
        return;
    notify_server_closed(&t->server);
    if (t->server.fd >= 0)
        loop_want(&w->loop, t->server.fd, SOURCE_NOTIFY, s->slot, true, false);
}

static void take(struct world *w, struct service *s, int most)
{
    struct talk *t = world_life(w, s)->talk;
    char buf[NOTIFY_MAX + 1];
    struct notify message;
    struct notify_sender sender;
    enum notify_taken taken;
    enum refusal refusal;
    unsigned descriptors;

    while (t && most-- > 0 && child_reserve(&w->children) == 0) {
        taken = notify_server_take(&t->server, buf, &message, &sender, &descriptors);
        note_closer(w, s);
        if (taken == NOTIFY_NONE)
            return;
        if (!service_live(s))
            continue;
        refusal = judge(w, s, &sender);
        if (!refusal && taken == NOTIFY_BROKEN)
            refusal = REFUSED_BROKEN;
        if (refusal)
            tell_refusal(w, s, refusal, sender.pid);
        else
            hear(w, s, &message, &sender);
    }
}

void act_notify_take(struct world *w, struct service *s)
{
    take(w, s, MESSAGES_IN_A_TURN);
}

void act_notify_last_words(struct world *w, struct service *s)
{
    act_notify_read_ready(w, s);
    take(w, s, LAST_WORDS);
}
