/* The socket itself: its name, its mode, its group. */
#include "tend/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tend/control_access.h"

/* The kernel takes no more than net.core.somaxconn. */
enum { BACKLOG = 4096 };

static const char NAME[] = "control";

/* Linux 6.16; the number of all processors that number SO_PEERGROUPS so. */
#if !defined(SO_PASSRIGHTS) && defined(SO_PEERGROUPS) && SO_PEERGROUPS == 59
#define SO_PASSRIGHTS 83
#endif

/* ---- its name ---- */

bool control_is_there(const struct control *c, int dir)
{
    struct stat st;

    return c->socket >= 0 && fstatat(dir, NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISSOCK(st.st_mode) && st.st_dev == c->dev && st.st_ino == c->ino;
}

static int remember_name(struct control *c, int dir)
{
    struct stat st;

    if (fstatat(dir, NAME, &st, AT_SYMLINK_NOFOLLOW))
        return -1;
    c->dev = st.st_dev;
    c->ino = st.st_ino;
    return 0;
}

/* A dead tend leaves its socket; anything else is not ours to remove. */
static int remove_old(int dir)
{
    struct stat st;

    if (fstatat(dir, NAME, &st, AT_SYMLINK_NOFOLLOW))
        return errno == ENOENT ? 0 : -1;
    if (S_ISSOCK(st.st_mode))
        return unlinkat(dir, NAME, 0);
    errno = EEXIST;
    return -1;
}

static int bind_path(int fd, int dir)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (dir >= 0)
        snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", dir, NAME);
    else
        memcpy(address.sun_path, NAME, sizeof NAME);
    return bind(fd, (const struct sockaddr *)&address, sizeof address);
}

/* -1 too where the way back is barred. */
static int bind_from(int fd, int dir, int here)
{
    int rc = -1, error;

    if (fchdir(dir) == 0)
        rc = bind_path(fd, -1);
    error = errno;
    if (fchdir(here))
        return -1;
    errno = error;
    return rc;
}

/* There is no bindat(2), and the path of the directory may be longer than an address. Whoever may
 * not search the present folder could not come back to it. */
static int bind_in(int fd, int dir)
{
    int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), rc, error;

    if (here < 0)
        return bind_path(fd, dir);
    rc = bind_from(fd, dir, here);
    error = errno;
    close(here);
    errno = error;
    return rc;
}

/* ---- its mode ---- */

/* Nothing more is done or told for those who lost their rights. */
static void check_clients(struct control *c)
{
    struct ucred peer;

    for (size_t i = 0; c->at && i < CONTROL_CLIENTS; i++) {
        struct client *e = &c->at[i];
        if (e->fd >= 0 && !e->all_rights && control_rights(c, e->fd, &peer) == CONTROL_NOTHING)
            e->closing = e->gone = true;
    }
}

/* The mode first, and last: no other group is let in meanwhile. */
static int set_mode(int dir, gid_t group)
{
    if (fchmodat(dir, NAME, 0600, 0))
        return -1;
    if (group == (gid_t)-1)
        return 0;
    if (fchownat(dir, NAME, (uid_t)-1, group, AT_SYMLINK_NOFOLLOW))
        return -1;
    return fchmodat(dir, NAME, 0660, 0);
}

int control_set_group(struct control *c, int dir, gid_t group)
{
    int rc = -1, error = ENOENT;

    if (control_is_there(c, dir)) {
        rc = set_mode(dir, group);
        error = errno;
    }
    c->group = rc ? (gid_t)-1 : group;
    check_clients(c);
    errno = error;
    return rc;
}

/* ---- opening ---- */

/* Who is let in could send us a descriptor whose closing blocks. */
static bool refuse_descriptors(int fd)
{
#ifdef SO_PASSRIGHTS
    return setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &(int){0}, sizeof(int)) == 0;
#else
    (void)fd;
    return false;
#endif
}

static int open_socket(struct control *c, int dir)
{
    mode_t umask_before;
    int rc;

    c->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->socket < 0 || remove_old(dir))
        return -1;
    c->no_passrights = !refuse_descriptors(c->socket);
    umask_before = umask(0177);
    rc = bind_in(c->socket, dir);
    umask(umask_before);
    if (rc)
        return -1;
    return remember_name(c, dir) || listen(c->socket, BACKLOG) ? -1 : 0;
}

/* Keeps errno. Those who were not accepted yet go with it, and what they sent. */
static void close_socket(struct control *c)
{
    int error = errno;

    if (c->socket < 0)
        return;
    if (c->before_close)
        c->before_close(c->arg, c->socket);
    shutdown(c->socket, SHUT_RDWR);
    control_let_go(c, c->socket);
    c->socket = -1;
    errno = error;
}

int control_open(struct control *c, int dir, gid_t group)
{
    close_socket(c);
    c->group = (gid_t)-1;
    c->paused = 0;
    if (open_socket(c, dir)) {
        close_socket(c);
        return -1;
    }
    control_keep_spare(c);
    control_learn_overflow(c);
    control_set_group(c, dir, group);
    return 0;
}

void control_close(struct control *c, int dir)
{
    for (size_t i = 0; c->at && i < CONTROL_CLIENTS; i++)
        control_drop(c, &c->at[i]);
    if (control_is_there(c, dir))
        unlinkat(dir, NAME, 0);
    close_socket(c);
    control_let_go_left(c);
    if (c->spare > 0)
        close(c->spare);
    free(c->at);
    c->spare = 0;
    c->at = NULL;
}
