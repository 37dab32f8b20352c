#include "tend/control_access.h"

#include <errno.h>
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

enum control_rights control_rights(int fd, gid_t group, struct ucred *peer)
{
    socklen_t size = sizeof *peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &size))
        return CONTROL_NOTHING;
    if (peer->uid == 0 || peer->uid == geteuid())
        return CONTROL_ALL;
    if (group != (gid_t)-1 && (peer->gid == group || has_group(fd, group)))
        return CONTROL_PART;
    return CONTROL_NOTHING;
}
