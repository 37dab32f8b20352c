#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tend/cgroup.h"
#include "tend/cgroup_files.h"
#include "tend/conf.h"

/* Our subtree is "tend.PID". */
enum { OWN_NAMES = 8 };
static const char OWN_PREFIX[] = "tend.";

/* ---- where we are ---- */

/* The mount to use, or -1. On version 1 and hybrid /sys/fs/cgroup is a tmpfs, in which a directory
 * can be made just as well. */
static int open_mount(const char **path)
{
    static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        struct statfs fs;
        int fd = group_open(AT_FDCWD, places[i]);
        if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC) {
            *path = places[i];
            return fd;
        }
        if (fd >= 0)
            close(fd);
    }
    return -1;
}

/* A mount may begin above our cgroup namespace: then the same path is another group, which is not
 * ours to touch. */
static enum cgroup_found check_parent(int parent, int mode, bool booted)
{
    int inside;

    if (mode == CONF_CGROUP_AUTO && !booted && !group_has(parent, "cgroup.type"))
        return CGROUP_NOT_DELEGATED;
    inside = group_has_self(parent);
    if (inside < 0)
        return CGROUP_NOT_WRITABLE;
    if (!inside)
        return CGROUP_NOT_DELEGATED;
    /* Who moves a process between two groups must be let write their common ancestor's list. */
    int fd = openat(parent, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return CGROUP_NOT_WRITABLE;
    close(fd);
    return CGROUP_USABLE;
}

/* ---- our own subtree ---- */

/* A record lock, since no child inherits it, not even one that never execs; it would go with any
 * descriptor of that file which we close, so nothing else here opens it. */
static int lock_group(int dir)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = openat(dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);

    if (fd >= 0 && fcntl(fd, F_SETLK, &all) < 0) {
        close_keeping_errno(fd);
        return -1;
    }
    return fd;
}

/* Whoever took it for a left one had the lock before us, so once we have it, it is there or not.
 * cgroup.kill is missing before Linux 5.14. */
static bool try_group(int dir)
{
    int kill = openat(dir, "cgroup.kill", O_WRONLY | O_CLOEXEC);

    if (kill < 0)
        return errno == ENOENT && group_has(dir, "cgroup.events");
    close(kill);
    return true;
}

/* again: only what is there already, with somebody in it. */
static int take_named(struct cgroup *c, int parent, const char *name, bool again)
{
    bool made = !again && mkdirat(parent, name, 0755) == 0;

    if (!again && !made && errno != EEXIST)
        return -1;
    int dir = group_open(parent, name);
    int lock =
        dir < 0 || (again && group_populated(dir, "cgroup.events") != 1) ? -1 : lock_group(dir);
    if (lock >= 0 && try_group(dir)) {
        c->own = dir;
        c->lock = lock;
        return 0;
    }
    int error = errno;
    if (made)
        unlinkat(parent, name, AT_REMOVEDIR);
    if (lock >= 0)
        close(lock);
    if (dir >= 0)
        close(dir);
    errno = error;
    return -1;
}

/* The plain name is ours unless a tend of the same pid in another PID namespace has it, or one that
 * starts at the same moment takes it for a left one. Whichever we got, after a re-exec it is ours
 * again: so first comes the one that somebody is in. */
static int take_own(struct cgroup *c, int parent, char *name, size_t size)
{
    for (int i = 0; i < 2 * OWN_NAMES; i++) {
        int n = snprintf(name, size, "%s%d", OWN_PREFIX, (int)getpid());
        if (i % OWN_NAMES > 0)
            snprintf(name + n, size - (size_t)n, ".%d", i % OWN_NAMES);
        if (take_named(c, parent, name, i < OWN_NAMES) == 0)
            return 0;
        if (i >= OWN_NAMES && errno != EAGAIN && errno != EACCES && !group_is_gone(errno))
            return -1;
    }
    return -1;
}

static bool is_own_name(const char *name)
{
    size_t n = strlen(OWN_PREFIX);

    return strncmp(name, OWN_PREFIX, n) == 0 && isdigit((unsigned char)name[n]) &&
           name[n + strspn(name + n, "0123456789.")] == '\0';
}

/* ---- what others left ---- */

/* Its services' processes may live on in it: only an empty one goes. */
static void remove_left(int parent, const char *name)
{
    int dir = group_open(parent, name);

    if (dir < 0)
        return;
    int lock = group_populated(dir, "cgroup.events") == 0 ? lock_group(dir) : -1;
    if (lock >= 0) {
        if (group_remove_below(dir) == 0)
            unlinkat(parent, name, AT_REMOVEDIR);
        close(lock);
    }
    close(dir);
}

static void remove_all_left(int parent, const char *own)
{
    int fd = group_open(parent, ".");
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (!list) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((entry = readdir(list))) {
        if (entry->d_type == DT_DIR && is_own_name(entry->d_name) && strcmp(entry->d_name, own))
            remove_left(parent, entry->d_name);
    }
    closedir(list);
}

/* ---- opening ---- */

static char *join(const char *mount, const char *group, const char *name)
{
    char *path;

    return asprintf(&path, "%s%s/%s", mount, strcmp(group, "/") ? group : "", name) < 0 ? NULL
                                                                                        : path;
}

static enum cgroup_found open_below(struct cgroup *c, int parent, const char *mount,
                                    const char *group)
{
    char name[32];

    if (take_own(c, parent, name, sizeof(name)) < 0)
        return CGROUP_NOT_WRITABLE;
    c->path = join(mount, group, name);
    c->inotify = c->path ? inotify_init1(IN_NONBLOCK | IN_CLOEXEC) : -1;
    if (c->inotify < 0) {
        int error = errno;
        cgroup_close(c);
        unlinkat(parent, name, AT_REMOVEDIR);
        errno = error;
        return CGROUP_NOT_WRITABLE;
    }
    remove_all_left(parent, name);
    return CGROUP_USABLE;
}

static enum cgroup_found open_group(struct cgroup *c, int mount, const char *path,
                                    const char *group, int mode, bool booted)
{
    /* The kernel's way to say: outside of our cgroup namespace. */
    if (strncmp(group, "/..", 3) == 0 && (group[3] == '/' || group[3] == '\0'))
        return CGROUP_NOT_DELEGATED;
    int parent = group_open(mount, group[1] ? group + 1 : ".");
    if (parent < 0)
        return CGROUP_NOT_WRITABLE;
    enum cgroup_found found = check_parent(parent, mode, booted);
    if (found == CGROUP_USABLE)
        found = open_below(c, parent, path, group);
    close_keeping_errno(parent);
    return found;
}

enum cgroup_found cgroup_open(struct cgroup *c, int mode, bool booted)
{
    const char *path;

    *c = (struct cgroup){.own = -1, .lock = -1, .inotify = -1};
    if (mode == CONF_CGROUP_NO)
        return CGROUP_OFF;
    int mount = open_mount(&path);
    if (mount < 0)
        return CGROUP_NOT_MOUNTED;
    char *group = group_own("");
    enum cgroup_found found = CGROUP_NOT_MOUNTED;
    if (group || booted)
        found = open_group(c, mount, path, group ? group : "/", mode, booted);
    int error = errno;
    free(group);
    close(mount);
    errno = error;
    return found;
}

void cgroup_close(struct cgroup *c)
{
    if (c->own >= 0 && group_populated(c->own, "cgroup.events") == 0)
        group_remove_below(c->own);
    if (c->path)
        rmdir(c->path);
    if (c->own >= 0)
        close(c->own);
    if (c->lock >= 0)
        close(c->lock);
    if (c->inotify >= 0)
        close(c->inotify);
    free(c->path);
    *c = (struct cgroup){.own = -1, .lock = -1, .inotify = -1};
}
