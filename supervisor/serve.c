/* The clients of the control socket: who comes in, whose turn it is, and that nobody is waited
 * for. */
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "tend/serve.h"

/* What one turn does for clients, so that it does not keep it from its services. */
enum { ACCEPTS_IN_A_TURN = 32, BYTES_IN_A_TURN = 64 * 1024 };
enum { LAST_EVENTS_TIME = 200 };
/* A look at a service costs about as much as so many bytes of a reply; a request besides. */
enum { BYTES_OF_A_LOOK = 16, LOOKS_OF_A_REQUEST = 16 };

void serve_charge(struct world *w, size_t looks)
{
    w->served += looks * BYTES_OF_A_LOOK;
}

bool serve_is_enough(const struct world *w)
{
    return w->served >= BYTES_IN_A_TURN;
}

/* ---- clients ---- */

static void forget(struct world *w, struct serving *s)
{
    w->followers -=
        s->stage != SERVE_NOTHING && s->request.verb == REQUEST_EVENTS && s->request.follow;
    serve_leave_load(s);
    *s = (struct serving){0};
}

/* The place may have been given to another one. */
static struct serving *serving_of(struct world *w, unsigned place)
{
    struct serving *s = &w->serving[place];

    if (s->serial != w->control.at[place].serial) {
        forget(w, s);
        s->serial = w->control.at[place].serial;
    }
    return s;
}

static void drop(struct world *w, unsigned place)
{
    forget(w, serving_of(w, place));
    control_drop(&w->control, &w->control.at[place]);
}

static void greet(struct world *w, struct client *c)
{
    struct text t = control_room(c, ANSWER_MAX);

    text_put(&t, "tend protocol=1 version=" TEND_VERSION " pid=%d rights=%s at=%lld\n",
             (int)getpid(), c->all_rights ? "all" : "part", (long long)w->now);
    control_put(c, &t);
}

static void come_in(struct world *w)
{
    int place;

    for (unsigned i = 0; i < ACCEPTS_IN_A_TURN; i++) {
        if ((place = control_accept(&w->control, w->now)) < 0)
            return;
        if (!w->serving)
            w->serving = calloc(CONTROL_CLIENTS, sizeof *w->serving);
        if (!w->serving ||
            loop_add(&w->loop, w->control.at[place].fd, SOURCE_CLIENT, (uint32_t)place)) {
            control_drop(&w->control, &w->control.at[place]);
            continue;
        }
        serving_of(w, (unsigned)place)->reads = true;
        greet(w, &w->control.at[place]);
    }
}

/* ---- requests ---- */

static void refuse(struct client *c, const struct text *error)
{
    struct text t = control_room(c, ANSWER_MAX);

    text_put(&t, "%s", error->at);
    control_put(c, &t);
}

static void finish(struct world *w, struct client *c, struct serving *s)
{
    struct serving next = {.serial = s->serial, .reads = s->reads, .writes = s->writes};

    forget(w, s);
    *s = next;
    c->waits = false;
    control_done(c, w->now);
    w->serves_on = w->serves_on || c->n_in > 0;
}

/* The next request of it, where the one before was answered. */
static void take(struct world *w, struct client *c, struct serving *s)
{
    char reply[ANSWER_MAX] = "", *line;
    struct text error = {reply, 0, sizeof reply};
    size_t n;

    if (s->stage != SERVE_NOTHING || !control_room(c, ANSWER_MAX).at ||
        !(line = control_line(c, &n)))
        return;
    serve_charge(w, LOOKS_OF_A_REQUEST);
    if (!request_parse(line, n, &s->request, &error)) {
        refuse(c, &error);
        finish(w, c, s);
        return;
    }
    s->stage = SERVE_HELD;
    serve_rewind(s);
    w->followers += s->request.verb == REQUEST_EVENTS && s->request.follow;
}

/* Until the first config has come there are no services to be asked about. */
static bool may_do(const struct world *w, const struct serving *s)
{
    return w->loaded || w->engine.shutdown || s->request.verb == REQUEST_HELP ||
           s->request.verb == REQUEST_SHUTDOWN || s->request.verb == REQUEST_EVENTS;
}

static void carry_out(struct world *w, struct client *c, struct serving *s)
{
    char reply[ANSWER_MAX] = "";
    struct text error = {reply, 0, sizeof reply};

    take(w, c, s);
    if (s->stage != SERVE_HELD)
        return;
    c->waits = !may_do(w, s);
    if (c->waits)
        return;
    s->stage = SERVE_REPLYING;
    if (!serve_do(w, c, s, &error)) {
        refuse(c, &error);
        finish(w, c, s);
        return;
    }
    serve_rewind(s);
}

static void read_clients(struct world *w, const struct loop_event *events, int n)
{
    for (int i = 0; i < n; i++) {
        unsigned place = events[i].index;
        struct client *c = &w->control.at[place];
        if (events[i].kind != SOURCE_CLIENT || c->fd < 0)
            continue;
        control_read(c, w->now);
        control_write(c, w->now);
    }
}

/* We may have been stopped since the loop looked: what came meanwhile counts. */
static void drop_stale(struct world *w)
{
    int place;

    while ((place = control_expired(&w->control, w->now)) >= 0) {
        control_read(&w->control.at[place], w->now);
        control_write(&w->control.at[place], w->now);
        if (control_expired(&w->control, w->now) == place)
            drop(w, (unsigned)place);
    }
}

void serve_take(struct world *w, const struct loop_event *events, int n)
{
    w->served = 0;
    if (w->control.n > 0)
        read_clients(w, events, n);
    drop_stale(w);
    for (int i = 0; i < n; i++)
        if (events[i].kind == SOURCE_CONTROL)
            come_in(w);
    serve_watch_socket(w);
    for (unsigned i = 0; i < CONTROL_CLIENTS && w->control.n > 0; i++) {
        unsigned place = (w->first_served + i) % CONTROL_CLIENTS;
        if (serve_is_enough(w)) {
            w->serves_on = true;
            return;
        }
        if (w->control.at[place].fd >= 0)
            carry_out(w, &w->control.at[place], serving_of(w, place));
    }
}

/* ---- answers ---- */

static bool has_news(const struct world *w, const struct serving *s)
{
    return s->seen == 0 || s->seen != w->history.last || s->loaded ||
           (s->load && w->engine.shutdown);
}

static void refuse_ending(struct client *c)
{
    struct text t = control_room(c, ANSWER_MAX);

    serve_error(&t, "shutdown", NULL, "tend is shutting down");
    control_put(c, &t);
}

/* A load that was asked for and will not come. */
static bool is_in_vain(const struct world *w, struct client *c, const struct serving *s)
{
    if (!s->load || s->loaded || !w->engine.shutdown)
        return false;
    refuse_ending(c);
    return true;
}

static void go_on(struct world *w, struct client *c, struct serving *s)
{
    enum serve_outcome outcome;

    if (s->stage != SERVE_REPLYING || !control_room(c, ANSWER_MAX).at ||
        (c->waits && !has_news(w, s)))
        return;
    outcome = is_in_vain(w, c, s) ? SERVE_OVER : serve_reply(w, c, s);
    c->waits = outcome == SERVE_WAITS;
    s->seen = w->history.last;
    if (outcome == SERVE_OVER)
        finish(w, c, s);
}

static void set_interest(struct world *w, unsigned place, struct serving *s)
{
    struct client *c = &w->control.at[place];
    bool reads = control_wants_read(c), writes = control_has_output(c);

    if (reads == s->reads && writes == s->writes)
        return;
    s->reads = reads;
    s->writes = writes;
    loop_want(&w->loop, c->fd, SOURCE_CLIENT, place, reads, writes);
}

static void serve(struct world *w, unsigned place)
{
    struct client *c = &w->control.at[place];
    struct serving *s = serving_of(w, place);
    size_t before = c->n_out - c->sent;

    go_on(w, c, s);
    w->served += c->n_out - c->sent - before;
    if (c->refused == NEVER) /* else the loop tells when it reads on */
        control_write(c, w->now);
    if (control_is_over(c)) {
        drop(w, place);
        return;
    }
    if (s->stage == SERVE_REPLYING && !c->waits && !control_has_output(c))
        w->serves_on = true;
    set_interest(w, place, s);
}

/* Who had to wait for the next turn is the first in it. */
void serve_answer(struct world *w)
{
    unsigned first = w->first_served;

    w->served = 0;
    for (unsigned i = 0; i < CONTROL_CLIENTS && w->control.n > 0; i++) {
        unsigned place = (first + i) % CONTROL_CLIENTS;
        if (w->control.at[place].fd < 0)
            continue;
        serve(w, place);
        if (serve_is_enough(w)) {
            w->first_served = (place + 1) % CONTROL_CLIENTS;
            w->serves_on = true;
            return;
        }
    }
}

/* All that is new may be more than is kept for one client. */
static void tell_all(struct world *w, struct client *c, struct serving *s)
{
    uint64_t before;

    do {
        before = s->after;
        go_on(w, c, s);
        control_write(c, w->now);
    } while (s->after != before && !control_has_output(c));
}

void serve_followers(struct world *w)
{
    for (unsigned i = 0; w->followers && i < CONTROL_CLIENTS; i++) {
        struct client *c = &w->control.at[i];
        struct serving *s = c->fd >= 0 ? serving_of(w, i) : NULL;
        if (!s || s->stage == SERVE_NOTHING || s->request.verb != REQUEST_EVENTS ||
            !s->request.follow)
            continue;
        tell_all(w, c, s);
    }
}

msec serve_deadline(const struct world *w)
{
    return control_deadline(&w->control);
}

/* ---- the end ---- */

/* Held until the first config would come. */
static void refuse_held(struct world *w)
{
    for (unsigned i = 0; w->control.n && i < CONTROL_CLIENTS; i++) {
        struct client *c = &w->control.at[i];
        struct serving *s = c->fd >= 0 ? serving_of(w, i) : NULL;
        if (!s || s->stage != SERVE_HELD || !control_room(c, ANSWER_MAX).at)
            continue;
        refuse_ending(c);
        control_write(c, w->now);
    }
}

/* Who follows and has not been told everything, at most n of them. */
static nfds_t find_late(struct world *w, struct pollfd *late, nfds_t n)
{
    nfds_t found = 0;

    for (unsigned i = 0; w->followers && i < CONTROL_CLIENTS && found < n; i++) {
        const struct client *c = &w->control.at[i];
        if (c->fd >= 0 && w->serving[i].stage == SERVE_REPLYING && control_has_output(c))
            late[found++] = (struct pollfd){.fd = c->fd, .events = POLLOUT};
    }
    return found;
}

/* The last events are worth a moment of our end, and no more. */
static void tell_last_events(struct world *w, msec limit)
{
    struct pollfd late[CONTROL_CLIENTS];
    msec end = loop_now() + limit, left;
    nfds_t n;

    serve_followers(w);
    while ((n = find_late(w, late, CONTROL_CLIENTS)) && (left = end - loop_now()) > 0 &&
           poll(late, n, (int)left) > 0)
        serve_followers(w);
}

void serve_close(struct world *w, msec limit)
{
    if (w->control.n)
        tell_last_events(w, limit < LAST_EVENTS_TIME ? limit : LAST_EVENTS_TIME);
    refuse_held(w);
    control_close(&w->control, w->runtime.dir);
    runtime_close(&w->runtime);
}

void serve_free(struct world *w)
{
    for (unsigned i = 0; w->serving && i < CONTROL_CLIENTS; i++)
        serve_leave_load(&w->serving[i]);
    free(w->serving);
}
