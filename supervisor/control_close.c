/* How a client is left, so that nothing it sent us keeps us.
 *
 * A descriptor that came with a message (SCM_RIGHTS) is closed when the message is read or thrown
 * away, and its last close(2) may block: a TCP socket that lingers, a file on a dead server. Where
 * the kernel does not refuse it for us (SO_PASSRIGHTS, Linux 6.16), we do not read such a message,
 * and have a child close what it waits in. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tend/control.h"
#include "tend/control_access.h"

/* TRIES: so much is thrown away before others get their turn. */
enum { TRIES = 64, STACK = 16384 };

ssize_t control_receive(int fd, bool no_passrights, char *at, size_t size)
{
    struct iovec room = {.iov_base = at, .iov_len = size};
    struct msghdr message = {.msg_iov = &room, .msg_iovlen = 1};
    ssize_t n;

    if (no_passrights) {
        n = recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT);
        if (n <= 0)
            return n;
        errno = EBADMSG;
        if (message.msg_flags & MSG_CTRUNC)
            return -1;
        size = (size_t)n; /* the next may be another one */
    }
    return recv(fd, at, size, MSG_DONTWAIT);
}

/* It shares our descriptors, and must not keep them, and the lock that is ours, without us. */
static int close_as_child(void *arg)
{
    const int *fd = arg;
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(*fd);
    _exit(0);
}

static bool close_apart(int fd)
{
    _Alignas(16) char stack[STACK];

    return clone(close_as_child, stack + sizeof stack, CLONE_FILES | SIGCHLD, &fd) > 0;
}

void control_let_go(struct control *c, int fd)
{
    if (!c->no_passrights)
        close(fd);
    else if (!close_apart(fd) && c->n_left < ARRAY_SIZE(c->left))
        c->left[c->n_left++] = fd;
}

bool control_let_go_left(struct control *c)
{
    while (c->n_left > 0 && close_apart(c->left[c->n_left - 1]))
        c->n_left--;
    return c->n_left == 0;
}

/* A child that was forked may have it too, and the client is to hear of it nevertheless. What is
 * unread would be told to it as an error, before it has read why. After the shutdown nothing more
 * comes: at the end, nothing is left that could be closed with it. */
void control_hang_up(struct control *c, int fd)
{
    char rest[REQUEST_LINE_MAX];
    ssize_t n = 1;

    shutdown(fd, SHUT_RDWR);
    for (int i = 0; i < TRIES && n > 0; i++)
        n = control_receive(fd, c->no_passrights, rest, sizeof rest);
    if (n == 0)
        close(fd);
    else
        control_let_go(c, fd);
}

void control_drop(struct control *c, struct client *e)
{
    if (e->fd < 0)
        return;
    if (c->before_close)
        c->before_close(c->arg, e->fd);
    control_hang_up(c, e->fd);
    free(e->in);
    c->n--;
    c->n_partial -= !e->all_rights;
    *e = (struct client){.fd = -1};
}
