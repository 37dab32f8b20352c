/* Who comes in, and whose place it gets. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tend/control.h"
#include "tend/control_access.h"

/* TRIES: so many are sent away before others get their turn.
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

/* Out of band, what comes could not be seen before it is read. */
static int take_next(const struct control *c)
{
    int fd = accept4(c->socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0 && c->no_passrights)
        setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &(int){1}, sizeof(int));
    return fd;
}

/* Who is not told would wait, and the socket stay readable. */
static int take_next_with_spare(struct control *c, bool *scarce)
{
    int fd = take_next(c);

    *scarce = fd < 0 && (errno == EMFILE || errno == ENFILE) && c->spare > 0;
    if (!*scarce)
        return fd;
    close(c->spare);
    c->spare = 0;
    return take_next(c);
}

static int send_away(struct control *c, int fd, const char *line)
{
    send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);
    control_hang_up(c, fd);
    return -1;
}

static bool pause_accept(struct control *c, msec now)
{
    c->paused = now + CONTROL_PAUSE;
    return false;
}

/* Whether the next may be tried. What accept(2) says of a single connection cannot come from a
 * socket of this family, but for one that was aborted. Without a descriptor it does not look
 * whether there is anybody. */
static bool go_on_after_error(struct control *c, msec now)
{
    if (errno == EINTR || errno == ECONNABORTED)
        return true;
    return errno != EAGAIN && pause_accept(c, now);
}

/* ---- room ---- */

static struct client *longer(struct client *e, struct client *than)
{
    return than && than->since <= e->since ? than : e;
}

static struct client *longest_with_part(const struct control *c)
{
    struct client *found = NULL;

    for (size_t i = 0; c->at && i < CONTROL_CLIENTS; i++)
        if (c->at[i].fd >= 0 && !c->at[i].all_rights)
            found = longer(&c->at[i], found);
    return found;
}

static bool is_idle_or_stalled(const struct client *e)
{
    return e->fd >= 0 && (control_has_output(e) || (!e->waits && e->used == 0));
}

static struct client *longest_idle_or_stalled(const struct control *c)
{
    struct client *found = NULL;

    for (size_t i = 0; c->at && i < CONTROL_CLIENTS; i++)
        if (is_idle_or_stalled(&c->at[i]))
            found = longer(&c->at[i], found);
    return found;
}

static bool close_one_of(struct control *c, struct client *first, struct client *otherwise)
{
    if (!first)
        first = otherwise;
    if (first)
        control_drop(c, first);
    return first != NULL;
}

static unsigned places_with_part(const struct control *c, uid_t uid)
{
    unsigned n = 0;

    for (size_t i = 0; i < CONTROL_CLIENTS; i++)
        n += c->at[i].fd >= 0 && !c->at[i].all_rights && c->at[i].uid == uid;
    return n;
}

static bool has_room(const struct control *c, bool all_rights, uid_t uid)
{
    unsigned most = c->limit ? c->limit : CONTROL_CLIENTS;

    if (c->n >= most)
        return false;
    return all_rights || (c->n_partial < most / 2 && places_with_part(c, uid) < CONTROL_OF_USER);
}

static bool close_one_for_room(struct control *c)
{
    return close_one_of(c, longest_idle_or_stalled(c), longest_with_part(c));
}

static bool close_one_for_its_descriptor(struct control *c)
{
    return close_one_of(c, longest_with_part(c), longest_idle_or_stalled(c));
}

void control_set_limit(struct control *c, unsigned clients)
{
    c->limit = clients < CONTROL_LEAST     ? CONTROL_LEAST
               : clients > CONTROL_CLIENTS ? CONTROL_CLIENTS
                                           : clients;
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

    if (!in || !make_table(c) ||
        !(has_room(c, all_rights, peer->uid) || (all_rights && close_one_for_room(c)))) {
        free(in);
        return -1;
    }
    e = place(c);
    *e = (struct client){.fd = fd,
                         .serial = ++c->serial,
                         .uid = peer->uid,
                         .pid = peer->pid,
                         .all_rights = all_rights,
                         .no_passrights = c->no_passrights,
                         .since = now,
                         .refused = NEVER,
                         .in = in,
                         .out = in + REQUEST_LINE_MAX};
    c->n++;
    c->n_partial += !all_rights;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){KERNEL_OUT}, sizeof(int));
    return (int)(e - c->at);
}

/* scarce: it has the last descriptor. */
static int admit(struct control *c, int fd, bool scarce, msec now)
{
    struct ucred peer;
    enum control_rights rights = control_rights(c, fd, &peer);
    int i;

    if (rights == CONTROL_NOTHING)
        return send_away(
            c, fd, "error code=denied text=neither root, nor the user of tend, nor its group\n");
    if (scarce && !(rights == CONTROL_ALL && close_one_for_its_descriptor(c)))
        return send_away(c, fd, "error code=busy text=no more descriptors\n");
    i = add(c, fd, &peer, rights == CONTROL_ALL, now);
    return i < 0 ? send_away(c, fd, "error code=busy text=too many clients\n") : i;
}

static bool can_take(struct control *c, msec now)
{
    if (!control_wants_accept(c, now))
        return false;
    return control_let_go_left(c) || pause_accept(c, now);
}

int control_accept(struct control *c, msec now)
{
    int index = -1;
    bool scarce, go_on = true;

    control_keep_spare(c);
    for (int i = 0; i < TRIES && index < 0 && go_on && can_take(c, now); i++) {
        int fd = take_next_with_spare(c, &scarce);
        go_on = fd >= 0 || go_on_after_error(c, now);
        if (fd >= 0)
            index = admit(c, fd, scarce, now);
        control_keep_spare(c);
    }
    return index;
}

bool control_wants_accept(const struct control *c, msec now)
{
    return c->socket >= 0 && now >= c->paused;
}
