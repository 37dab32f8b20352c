#include "client/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/nearest.h"
#include "tend/conf.h"
#include "tend/request.h"
#include "tend/units.h"

/* How long a tend may take to greet: it waits for nobody, so one that takes longer stands still. */
enum { GREETING = 10000 };

/* ---- the beginning ---- */

static void does_not_answer(struct client *c)
{
    bool over = connection_now() >= c->deadline;

    client_fail(c, over ? CLIENT_TIMEOUT : CLIENT_NO_TEND, over ? "timeout" : "no-tend", NULL,
                "tend does not answer at %s/control: does it stand still?", c->directory);
}

static void no_tend(struct client *c, int error)
{
    const char *where = c->directory;

    if (error == EACCES || error == EPERM)
        client_fail(c, CLIENT_DENIED, "denied", NULL,
                    "not permitted: %s/control is for root, the user of tend and its group", where);
    if (error == ENOENT || error == ENOTDIR || error == ECONNREFUSED)
        client_fail(c, CLIENT_NO_TEND, "no-tend", NULL,
                    "no tend answers at %s/control: %s. Is it running? "
                    "Another directory is named by --runtime or TEND_RUNTIME",
                    where,
                    error == ECONNREFUSED ? "the tend that made it has ended" : strerror(error));
    if (error == ETIMEDOUT)
        does_not_answer(c);
    errno = error;
    client_system(c, where);
}

/* Returns 0, or an errno. */
static int connect_and_greet(struct client *c)
{
    msec limit = connection_now() + GREETING;
    struct timespec t;

    c->directory = connection_directory(c->runtime, c->directory_room, sizeof c->directory_room);
    if (c->deadline < limit)
        limit = c->deadline;
    if (connection_open(&c->connection, c->directory, limit))
        return errno;
    c->connected = true;
    free(c->greeting);
    c->greeting = NULL;
    c->greeting = session_record(c);
    if (!c->greeting)
        return ECONNREFUSED;
    c->connection.deadline = c->deadline;
    c->clock_ahead = record_number(c->greeting, "at") - connection_now();
    clock_gettime(CLOCK_REALTIME, &t);
    c->epoch = (msec)t.tv_sec * 1000 + t.tv_nsec / 1000000 - record_number(c->greeting, "at");
    return 0;
}

bool session_try(struct client *c)
{
    int error = connect_and_greet(c);

    return !error && record_is(c->greeting, "tend");
}

void session_open(struct client *c)
{
    int error = connect_and_greet(c);

    if (error)
        no_tend(c, error);
    if (record_is(c->greeting, "error"))
        session_refused(c, c->greeting);
    if (!record_is(c->greeting, "tend") || record_number(c->greeting, "protocol") != 1)
        client_fail(c, CLIENT_SYSTEM, "system", NULL,
                    "%s/control: what answers there does not speak version 1 of the protocol",
                    c->directory);
}

msec session_wall(const struct client *c, msec at)
{
    return c->epoch + at;
}

/* ---- requests ---- */

/* A name that could not be one would not be one word of the request. */
static void look_at_name(struct client *c, const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz"
                            "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                            "0123456789._-@");

    if (!*name || name[n] || n > CONF_NAME_MAX)
        client_fail(c, CLIENT_UNKNOWN, "unknown", name,
                    "no service can have this name: letters, digits, and . _ - @ are allowed");
}

void session_ask(struct client *c, const char *request, char *const *names, size_t n)
{
    char line[REQUEST_LINE_MAX];
    size_t used = strlen(request);

    memcpy(line, request, used);
    for (size_t i = 0; i < n; i++) {
        look_at_name(c, names[i]);
        size_t length = strlen(names[i]);
        if (used + 1 + length + 1 > sizeof line)
            client_fail(
                c, CLIENT_USAGE, "usage", NULL,
                "too many names for one request, which has at most %d bytes: name fewer at a time",
                REQUEST_LINE_MAX);
        line[used] = ' ';
        memcpy(line + used + 1, names[i], length);
        used += 1 + length;
    }
    line[used++] = '\n';
    if (connection_send(&c->connection, line, used) && errno != ECONNRESET)
        client_system(c, "the request");
}

/* ---- replies ---- */

static void timed_out(struct client *c)
{
    char time[UNITS_DURATION_MAX];
    void (*late)(struct client *) = c->late;

    if (late) {
        c->late = NULL;
        late(c);
    } else if (!c->greeting) {
        no_tend(c, ETIMEDOUT);
    }
    client_fail(c, CLIENT_TIMEOUT, "timeout", NULL, "it did not come within %s",
                units_duration_text(c->timeout, time));
}

struct record *session_record(struct client *c)
{
    const char *line;
    size_t n;
    int got;

    if (!connection_has_line(&c->connection))
        client_flush(c);
    got = connection_line(&c->connection, &line, &n);
    if (got < 0 && errno == ETIMEDOUT)
        timed_out(c);
    if (got < 0)
        client_system(c, "the reply");
    return got ? client_must(c,
                             record_new(line, n, c->json ? RECORD_FOR_PROGRAMS : RECORD_FOR_PEOPLE))
               : NULL;
}

static void add(struct client *c, struct reply *r, struct record *record)
{
    if (r->n == r->room) {
        r->room = r->room ? r->room * 2 : 64;
        r->at = client_must(c, reallocarray(r->at, r->room, sizeof(struct record *)));
    }
    r->at[r->n++] = record;
}

void session_reply(struct client *c, struct reply *r)
{
    *r = (struct reply){0};
    for (;;) {
        struct record *record = session_record(c);
        if (!record)
            client_fail(c, CLIENT_NO_TEND, "no-tend", NULL, "tend has ended the connection");
        if (record_is(record, "ok") || record_is(record, "error")) {
            r->end = record;
            return;
        }
        add(c, r, record);
    }
}

void session_get(struct client *c, struct reply *r, const char *request, char *const *names,
                 size_t n)
{
    session_ask(c, request, names, n);
    session_reply(c, r);
    if (record_is(r->end, "error"))
        session_refused(c, r->end);
}

void reply_free(struct reply *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(r->at[i]);
    free(r->at);
    free(r->end);
    *r = (struct reply){0};
}

/* ---- errors ---- */

static const struct {
    const char *code;
    enum client_status status;
} codes[] = {
    {"usage", CLIENT_USAGE},   {"too-long", CLIENT_USAGE},    {"unknown", CLIENT_UNKNOWN},
    {"denied", CLIENT_DENIED}, {"shutdown", CLIENT_NOT_COME}, {"failed", CLIENT_NOT_COME},
    {"down", CLIENT_NOT_COME}, {"config", CLIENT_CONFIG},     {"busy", CLIENT_SYSTEM},
    {"system", CLIENT_SYSTEM},
};

/* Asks for all names on a connection of its own, as replies may be under way on this one. */
static const char *nearest_service(struct client *c, const char *name, struct reply *all)
{
    const char **names, *found;
    size_t n = 0;

    connection_close(&c->connection);
    if (!session_try(c))
        return NULL;
    session_ask(c, "status", NULL, 0);
    session_reply(c, all);
    names = client_must(c, calloc(all->n + 1, sizeof *names));
    for (size_t i = 0; i < all->n; i++)
        if (record_is(all->at[i], "service"))
            names[n++] = record_text(all->at[i], "name");
    found = nearest(name, names, n);
    free(names);
    return found;
}

/* Whether the text names the service, as a word. */
static bool mentions(const char *text, const char *name)
{
    static const char separators[] = " :,\"";
    size_t n = strlen(name), length;

    for (text += strspn(text, separators); *text;
         text += length + strspn(text + length, separators)) {
        length = strcspn(text, separators);
        if (length == n && strncmp(text, name, n) == 0)
            return true;
    }
    return false;
}

void session_refused(struct client *c, const struct record *error)
{
    const char *code = record_text(error, "code"), *name = record_get(error, "name"),
               *text = record_text(error, "text"), *near = NULL;
    enum client_status status = CLIENT_SYSTEM;
    struct reply all = {0};

    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (strcmp(code, codes[i].code) == 0)
            status = codes[i].status;
    if (status == CLIENT_UNKNOWN && name)
        near = nearest_service(c, name, &all);
    if (near && strcmp(near, name) != 0)
        client_fail(c, status, code, name, "no service \"%s\": did you mean \"%s\"?", name, near);
    if (name && !mentions(text, name))
        client_fail(c, status, code, name, "%s: %s", name, *text ? text : code);
    client_fail(c, status, code, name, "%s", *text ? text : code);
}
