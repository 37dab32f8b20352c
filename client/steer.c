/* start, stop, restart, reload-service, signal, wait, shutdown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/show.h"
#include "client/verbs.h"

enum { REQUEST_ROOM = 128, LATE = 1000 /* msec to tell of it */ };

/* Both requests are sent at once: nothing can come between them. */
static void ask_to_wait(struct client *c, const char *goal)
{
    char request[REQUEST_ROOM];

    snprintf(request, sizeof request, "wait for=%s", goal);
    session_ask(c, request, c->names, c->n_names);
}

static void take_reply(struct client *c, struct reply *r)
{
    session_reply(c, r);
    if (!record_is(r->end, "error"))
        return;
    if (c->json)
        show_services(c, r);
    session_refused(c, r->end);
}

static void get_words(const struct client *c, char request[static REQUEST_ROOM])
{
    if (c->signal)
        snprintf(request, REQUEST_ROOM, "signal signal=%s to=%s", c->signal,
                 c->group ? "group" : "main");
    else if (c->verb->goal)
        snprintf(request, REQUEST_ROOM, "%s", c->verb->name);
    else
        snprintf(request, REQUEST_ROOM, "wait for=%s", c->goal ? c->goal : "ready");
}

/* How far those have come that were waited for. */
static void tell_how_far(struct client *c)
{
    struct reply r;

    connection_close(&c->connection);
    c->deadline = connection_now() + LATE;
    if (!session_try(c))
        return;
    session_ask(c, c->n_names ? "status" : "ready", c->names, c->n_names);
    session_reply(c, &r);
    show_services(c, &r);
    reply_free(&r);
}

int steer(struct client *c)
{
    char request[REQUEST_ROOM];
    struct reply r;

    session_open(c);
    get_words(c, request);
    session_ask(c, request, c->names, c->n_names);
    if (c->n_names || !c->goal || strcmp(c->goal, "ready") == 0)
        c->late = tell_how_far;
    if (c->wait)
        ask_to_wait(c, c->verb->goal);
    take_reply(c, &r);
    if (c->wait) {
        reply_free(&r);
        take_reply(c, &r);
    }
    show_services(c, &r);
    reply_free(&r);
    return CLIENT_DONE;
}

/* Events go on as long as tend lives, and it does not close a client that reads them. */
static void wait_for_end(struct client *c)
{
    struct record *r;

    session_ask(c, "events follow", NULL, 0);
    while ((r = session_record(c))) {
        if (record_is(r, "error"))
            session_refused(c, r);
        free(r);
    }
    if (!connection_has_ended(&c->connection, c->directory))
        client_fail(c, CLIENT_SYSTEM, "system", NULL, "tend has closed the connection, and lives");
}

int steer_shutdown(struct client *c)
{
    char request[REQUEST_ROOM];
    struct reply r;

    session_open(c);
    snprintf(request, sizeof request, "shutdown%s%s%s", c->now ? " now" : "",
             c->shutdown ? " deadline=" : "", c->shutdown ? c->shutdown : "");
    session_get(c, &r, request, NULL, 0);
    reply_free(&r);
    if (c->wait)
        wait_for_end(c);
    return CLIENT_DONE;
}
