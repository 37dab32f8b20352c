#include "tend/notify_server.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tend/notify_server_apart.h"

/* So many messages are thrown away at once, and so many children are had for that. */
enum { DROP = 1024, DROP_CHILDREN = 16 };

static const char FOLDER[] = "notify";

/* ---- the folder ---- */

/* Others have to go through it, and may not read it. */
static int check_folder(int fd)
{
    struct stat st;

    if (fstat(fd, &st))
        return -1;
    if (st.st_uid != geteuid()) {
        errno = EPERM;
        return -1;
    }
    return (st.st_mode & 07777) == 0711 ? 0 : fchmod(fd, 0711);
}

static int close_keeping_errno(int fd)
{
    int error = errno;

    close(fd);
    errno = error;
    return -1;
}

static int open_folder(int dir)
{
    int fd;

    if (mkdirat(dir, FOLDER, 0711) && errno != EEXIST)
        return -1;
    fd = openat(dir, FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 && check_folder(fd) ? close_keeping_errno(fd) : fd;
}

/* ---- a name in it ---- */

/* A dead tend leaves its sockets; anything else is not ours to remove. */
static int remove_old(int folder, const char *name)
{
    struct stat st;

    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW))
        return errno == ENOENT ? 0 : -1;
    if (S_ISSOCK(st.st_mode))
        return unlinkat(folder, name, 0);
    errno = EEXIST;
    return -1;
}

static int bind_to(int fd, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strcpy(address.sun_path, path);
    return bind(fd, (const struct sockaddr *)&address, sizeof address);
}

/* There is no bindat(2). Whoever may not search the present folder could not come back to it. */
static int bind_in(int fd, int folder, const char *name, const char *path)
{
    int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), rc = -1, error;

    if (here < 0)
        return bind_to(fd, path);
    if (fchdir(folder) == 0)
        rc = bind_to(fd, name);
    error = errno;
    if (fchdir(here))
        rc = -1;
    close(here);
    errno = error;
    return rc;
}

/* Nobody else may write there: what stands there is ours. */
static int give_to(struct notify_server *s, int folder, const char *name, uid_t uid)
{
    struct stat st;

    if (uid != geteuid() && fchownat(folder, name, uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW))
        return -1;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW))
        return -1;
    s->dev = st.st_dev;
    s->ino = st.st_ino;
    return 0;
}

static int bind_in_folder(struct notify_server *s, int folder, const char *name, uid_t uid)
{
    mode_t before;
    int rc;

    if (remove_old(folder, name))
        return -1;
    before = umask(0177);
    rc = bind_in(s->fd, folder, name, s->address);
    umask(before);
    if (rc)
        return -1;
    if (give_to(s, folder, name, uid) == 0)
        return 0;
    rc = errno;
    unlinkat(folder, name, 0);
    errno = rc;
    return -1;
}

static int bind_in_directory(struct notify_server *s, int dir, const char *name, uid_t uid)
{
    int folder = open_folder(dir), rc;

    if (folder < 0)
        return -1;
    s->in_directory = true;
    rc = bind_in_folder(s, folder, name, uid);
    close_keeping_errno(folder);
    return rc;
}

/* ---- a name in no directory ---- */

/* Where the kernel is not ready to (at boot), less than a secret will do. */
static int get_random(uint64_t *number)
{
    if (getrandom(number, sizeof *number, GRND_NONBLOCK) == sizeof *number)
        return 0;
    return getrandom(number, sizeof *number, GRND_INSECURE) == sizeof *number ? 0 : -1;
}

static int bind_abstract(struct notify_server *s, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    uint64_t number;
    size_t n;

    if (get_random(&number))
        return -1;
    n = (size_t)snprintf(s->address, sizeof s->address, "@tend-%d-%.64s-%016llx", (int)getpid(),
                         name, (unsigned long long)number);
    memcpy(address.sun_path + 1, s->address + 1, n - 1);
    return bind(s->fd, (const struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}

/* ---- opening and closing ---- */

static bool has_room(char *address, const char *path, const char *name)
{
    int n = snprintf(address, NOTIFY_ADDRESS_MAX, "%s/%s/%s", path, FOLDER, name);

    return n > 0 && n < NOTIFY_ADDRESS_MAX;
}

static int open_socket(struct notify_server *s, int dir, const char *path, const char *name,
                       uid_t uid)
{
    s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || setsockopt(s->fd, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)))
        return -1;
    if (dir >= 0 && has_room(s->address, path, name))
        return bind_in_directory(s, dir, name, uid);
    return bind_abstract(s, name);
}

int notify_server_open(struct notify_server *s, int dir, const char *path, const char *name,
                       uid_t uid)
{
    *s = (struct notify_server){.fd = -1, .closer = s->closer};
    if (open_socket(s, dir, path, name, uid) == 0)
        return 0;
    if (s->fd >= 0)
        close_keeping_errno(s->fd);
    *s = (struct notify_server){.fd = -1, .closer = s->closer};
    return -1;
}

bool notify_server_stands(const struct notify_server *s, int dir, const char *name)
{
    char path[sizeof FOLDER + NOTIFY_ADDRESS_MAX];
    struct stat st;

    if (s->fd < 0 || !s->in_directory)
        return s->fd >= 0;
    snprintf(path, sizeof path, "%s/%s", FOLDER, name);
    return fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode) &&
           st.st_dev == s->dev && st.st_ino == s->ino;
}

static void remove_name(const struct notify_server *s, int dir, const char *name)
{
    char path[sizeof FOLDER + NOTIFY_ADDRESS_MAX];

    if (!s->in_directory || !notify_server_stands(s, dir, name))
        return;
    snprintf(path, sizeof path, "%s/%s", FOLDER, name);
    unlinkat(dir, path, 0);
}

/* ---- one message ---- */

struct received {
    size_t n; /* no more than there was room for */
    bool brings_descriptors;
    struct notify_sender sender;
};

static struct notify_sender sender_of(struct msghdr *message)
{
    struct ucred who = {.pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1};

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS &&
            c->cmsg_len == CMSG_LEN(sizeof who))
            memcpy(&who, CMSG_DATA(c), sizeof who);
    return (struct notify_sender){who.pid, who.uid};
}

/* Leaves it where it is. There is room for its sender, but not for a descriptor: the kernel tells
 * that some are there, and gives us none. */
static bool look(int fd, char *buf, size_t size, struct received *r)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct ucred))];
    struct iovec part = {.iov_base = buf, .iov_len = size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    ssize_t n;

    do
        n = recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return false;
    r->n = (size_t)n;
    r->brings_descriptors = message.msg_flags & MSG_CTRUNC;
    r->sender = sender_of(&message);
    return true;
}

static void remove_first(int fd)
{
    char byte;

    while (recv(fd, &byte, sizeof byte, MSG_DONTWAIT) < 0 && errno == EINTR)
        ;
}

/* False: it has to wait for the closer that is at work, or for one that could not be had. */
static bool remove_by_closer(struct notify_server *s, unsigned *descriptors)
{
    pid_t pid;

    if (s->closer)
        return false;
    pid = notify_server_receive_apart(s->fd, descriptors);
    if (pid > 0)
        s->closer = pid;
    return *descriptors > 0;
}

enum notify_taken notify_server_take(struct notify_server *s, char buf[static NOTIFY_MAX + 1],
                                     struct notify *message, struct notify_sender *sender,
                                     unsigned *descriptors)
{
    struct received r;

    *descriptors = 0;
    *message = (struct notify){0};
    if (s->fd < 0 || !look(s->fd, buf, NOTIFY_MAX + 1, &r))
        return NOTIFY_NONE;
    if (!r.brings_descriptors)
        remove_first(s->fd);
    else if (!remove_by_closer(s, descriptors))
        return NOTIFY_NONE;
    *sender = r.sender;
    return notify_parse(buf, r.n, message) ? NOTIFY_MESSAGE : NOTIFY_BROKEN;
}

void notify_server_closed(struct notify_server *s)
{
    s->closer = 0;
}

/* ---- all of them ---- */

/* False: something is left. */
static bool drop_all(int fd, int children)
{
    struct received r;
    unsigned descriptors;
    char byte;

    for (int i = 0; i < DROP; i++) {
        if (!look(fd, &byte, sizeof byte, &r))
            return true;
        if (!r.brings_descriptors)
            remove_first(fd);
        else if (children-- <= 0 || notify_server_receive_apart(fd, &descriptors) < 0)
            return false;
    }
    return false;
}

void notify_server_drop(struct notify_server *s)
{
    if (s->fd >= 0)
        drop_all(s->fd, DROP_CHILDREN);
}

/* After the shutdown nothing more comes. Where no child can be had for what is left, the descriptor
 * is: its close could keep us. */
void notify_server_close(struct notify_server *s, int dir, const char *name)
{
    if (s->fd < 0)
        return;
    remove_name(s, dir, name);
    shutdown(s->fd, SHUT_RDWR);
    if (drop_all(s->fd, 0))
        close(s->fd);
    else
        notify_server_close_apart(s->fd);
    s->fd = -1;
}
