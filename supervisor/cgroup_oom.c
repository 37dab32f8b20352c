#include "tend/cgroup_oom.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tend/cgroup_files.h"

/* Victims of the same moment end one after the other. */
enum { ENDING_TIME = 1000 };

/* The memory controller is in one hierarchy only, so the first file is the one. */
static const struct place {
    const char *mount, *controller, *file;
} places[] = {
    {"/sys/fs/cgroup", "", "memory.events"},
    {"/sys/fs/cgroup/unified", "", "memory.events"},
    {"/sys/fs/cgroup/memory", "memory", "memory.oom_control"},
};

static int open_counter(int group, const char *file)
{
    int fd = openat(group, file, O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && group_has_self(group) != 1) {
        close(fd);
        return -1;
    }
    return fd;
}

/* A container may see its own group as the mount, and be told its name on the host. */
static int open_place(const struct place *p)
{
    int mount = group_open(AT_FDCWD, p->mount), group = -1, fd = -1;
    char *name = mount >= 0 ? group_own(p->controller) : NULL;

    if (name && name[1])
        group = group_open(mount, name + 1);
    if (group >= 0) {
        fd = open_counter(group, p->file);
        close(group);
    }
    if (name && fd < 0)
        fd = open_counter(mount, p->file);
    if (mount >= 0)
        close(mount);
    free(name);
    return fd;
}

static uint64_t count(const struct cgroup_oom *o)
{
    static const char key[] = "oom_kill ";
    char text[512];
    ssize_t n = pread(o->fd, text, sizeof text - 1, 0);
    const char *at;

    text[n > 0 ? n : 0] = '\0';
    at = strstr(text, key);
    return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

void cgroup_oom_open(struct cgroup_oom *o)
{
    *o = (struct cgroup_oom){.fd = -1};
    for (size_t i = 0; i < ARRAY_SIZE(places) && o->fd < 0; i++)
        o->fd = open_place(&places[i]);
    if (o->fd >= 0)
        o->counted = count(o);
}

bool cgroup_oom_took_one(struct cgroup_oom *o, msec now)
{
    uint64_t counted = o->fd >= 0 ? count(o) : 0;

    if (now > o->until)
        o->left = 0;
    if (counted > o->counted) {
        o->left += counted - o->counted;
        o->counted = counted;
        o->until = now + ENDING_TIME;
    }
    if (o->left == 0)
        return false;
    o->left--;
    return true;
}

void cgroup_oom_close(struct cgroup_oom *o)
{
    if (o->fd >= 0)
        close(o->fd);
    o->fd = -1;
}
