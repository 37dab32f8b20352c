#include "tend/control_access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "tend/base.h"

static bool among(gid_t group, const gid_t *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == group)
            return true;
    return false;
}

/* Where the kernel does not tell its supplementary groups (before Linux 4.13), it is in none. */
static bool has_group(int fd, gid_t group)
{
    gid_t few[64], *many;
    socklen_t size = sizeof few;
    bool has;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, few, &size) == 0)
        return among(group, few, size / sizeof few[0]);
    many = errno == ERANGE ? malloc(size) : NULL;
    has = many && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, many, &size) == 0 &&
          among(group, many, size / sizeof many[0]);
    free(many);
    return has;
}

enum control_rights control_rights(const struct control *c, int fd, struct ucred *peer)
{
    socklen_t size = sizeof *peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &size))
        return CONTROL_NOTHING;
    if (peer->uid == 0 || (peer->uid == geteuid() && peer->uid != c->no_user))
        return CONTROL_ALL;
    if (c->group == (gid_t)-1 || c->group == c->no_group)
        return CONTROL_NOTHING;
    return peer->gid == c->group || has_group(fd, c->group) ? CONTROL_PART : CONTROL_NOTHING;
}

/* ---- user namespaces ---- */

/* The nth number in a small file. */
static unsigned long number_in(const char *path, int nth, unsigned long otherwise)
{
    char text[128], *at = text;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    unsigned long number = otherwise;

    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    for (int i = 0; n > 0 && i < nth; i++)
        number = strtoul(at, &at, 10);
    return number;
}

/* The third number of a map's first line tells how many there are: all of them, where no other
 * namespace's can be seen. */
static id_t overflow_id(const char *map, const char *overflow)
{
    return number_in(map, 3, 0) == UINT32_MAX ? (id_t)-1 : (id_t)number_in(overflow, 1, 65534);
}

void control_learn_overflow(struct control *c)
{
    c->no_user = overflow_id("/proc/self/uid_map", "/proc/sys/kernel/overflowuid");
    c->no_group = overflow_id("/proc/self/gid_map", "/proc/sys/kernel/overflowgid");
}
