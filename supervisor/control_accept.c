/* Who comes in, and whose place it gets. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tend/control.h"
#include "tend/control_access.h"

/* TRIES: so many are sent away, or so much is thrown away, before others get their turn.
 * KERNEL_OUT: what the kernel keeps of our output for one client; it takes it twice, for its own
 * needs. */
enum { TRIES = 64, KERNEL_OUT = 32768 };

/* ---- descriptors may run out ---- */

/* Needs no device and no file system. */
void control_keep_spare(struct control *c)
{
    if (c->spare > 0)
        return;
    c->spare = open("/", O_PATH | O_CLOEXEC);
    if (c->spare < 0)
        c->spare = 0;
}

static int take_next(const struct control *c)
{
    return accept4(c->socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* A child that was forked may have it too, and the client is to hear of it nevertheless. What is
 * unread would be told to it as an error, before it has read why. */
static void hang_up(int fd)
{
    char rest[REQUEST_LINE_MAX];

    shutdown(fd, SHUT_RDWR);
    for (int i = 0; i < TRIES && recv(fd, rest, sizeof rest, MSG_DONTWAIT) > 0; i++)
        ;
    close(fd);
}

static void send_away(int fd, const char *line)
{
    send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);
    hang_up(fd);
}

static void say_busy(int fd)
{
    send_away(fd, "error code=busy text=too many clients\n");
}

/* Who is not told would wait, and the socket stay readable. errno as of accept(2). */
static bool shed_one(struct control *c)
{
    int fd, error;

    if (c->spare <= 0)
        return false;
    close(c->spare);
    c->spare = 0;
    fd = take_next(c);
    error = errno;
    if (fd >= 0)
        send_away(fd, "error code=busy text=no more descriptors\n");
    control_keep_spare(c);
    errno = error;
    return fd >= 0;
}

/* Whether the next may be tried. What accept(2) says of a single connection cannot come from a
 * socket of this family, but for one that was aborted. Without a descriptor it does not look
 * whether there is anybody. */
static bool go_on_after_error(struct control *c, msec now)
{
    if ((errno == EMFILE || errno == ENFILE) && shed_one(c))
        return true;
    if (errno == EINTR || errno == ECONNABORTED)
        return true;
    if (errno != EAGAIN)
        c->paused = now + CONTROL_PAUSE;
    return false;
}

/* ---- room ---- */

static bool may_make_room(const struct client *e, bool partial)
{
    bool quiet = control_has_output(e) || (!e->waits && e->used == 0);

    return e->fd >= 0 && (partial ? !e->all_rights : quiet);
}

static struct client *longest(const struct control *c, bool partial)
{
    struct client *found = NULL;

    for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
        struct client *e = &c->at[i];
        if (may_make_room(e, partial) && (!found || e->since < found->since))
            found = e;
    }
    return found;
}

static bool make_room(struct control *c, bool all_rights)
{
    struct client *victim;

    if (!all_rights)
        return c->n < CONTROL_CLIENTS && c->n_partial < CONTROL_PARTIAL;
    if (c->n < CONTROL_CLIENTS)
        return true;
    victim = longest(c, false);
    if (!victim)
        victim = longest(c, true);
    if (victim)
        control_drop(c, victim);
    return victim != NULL;
}

static bool make_table(struct control *c)
{
    if (c->at)
        return true;
    c->at = calloc(CONTROL_CLIENTS, sizeof *c->at);
    for (size_t i = 0; c->at && i < CONTROL_CLIENTS; i++)
        c->at[i].fd = -1;
    return c->at != NULL;
}

/* ---- coming in ---- */

static struct client *place(const struct control *c)
{
    size_t i = 0;

    while (c->at[i].fd >= 0)
        i++;
    return &c->at[i];
}

static int add(struct control *c, int fd, const struct ucred *peer, bool all_rights, msec now)
{
    char *in = malloc(REQUEST_LINE_MAX + CONTROL_OUT_MAX + 1);
    struct client *e;

    if (!in || !make_table(c) || !make_room(c, all_rights)) {
        free(in);
        return -1;
    }
    e = place(c);
    *e = (struct client){.fd = fd,
                         .serial = ++c->serial,
                         .uid = peer->uid,
                         .pid = peer->pid,
                         .all_rights = all_rights,
                         .since = now,
                         .refused = NEVER,
                         .in = in,
                         .out = in + REQUEST_LINE_MAX};
    c->n++;
    c->n_partial += !all_rights;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){KERNEL_OUT}, sizeof(int));
    return (int)(e - c->at);
}

static int admit(struct control *c, int fd, msec now)
{
    struct ucred peer;
    enum control_rights rights = control_rights(fd, c->group, &peer);
    int i;

    if (rights == CONTROL_NOTHING) {
        send_away(fd, "error code=denied text=neither root, nor the user of tend, nor its group\n");
        return -1;
    }
    i = add(c, fd, &peer, rights == CONTROL_ALL, now);
    if (i < 0)
        say_busy(fd);
    return i;
}

int control_accept(struct control *c, msec now)
{
    control_keep_spare(c);
    if (now >= c->paused)
        c->paused = 0;
    for (int i = 0; i < TRIES && control_wants_accept(c, now); i++) {
        int fd = take_next(c);
        int index = fd >= 0 ? admit(c, fd, now) : -1;
        if (index >= 0)
            return index;
        if (fd < 0 && !go_on_after_error(c, now))
            return -1;
    }
    return -1;
}

bool control_wants_accept(const struct control *c, msec now)
{
    return c->socket >= 0 && now >= c->paused;
}

void control_drop(struct control *c, struct client *e)
{
    if (e->fd < 0)
        return;
    if (c->before_close)
        c->before_close(c->arg, e->fd);
    hang_up(e->fd);
    free(e->in);
    c->n--;
    c->n_partial -= !e->all_rights;
    *e = (struct client){.fd = -1};
}
