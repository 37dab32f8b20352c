#include "tend/cgroup.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tend/conf.h"

/* Our subtree is "tend.PID", a service's group in it "NAME.service": no file of the kernel's ends
 * like that. Groups nested deeper than this below a service are left to cgroup.kill. */
enum { DEPTH_MAX = 32, OWN_NAMES = 8 };
static const char OWN_PREFIX[] = "tend.", SUFFIX[] = ".service";

static void close_keeping_errno(int fd)
{
    int error = errno;

    close(fd);
    errno = error;
}

static int open_directory(int at, const char *path)
{
    return openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* ---- small files ---- */

static ssize_t file_read(int dir, const char *file, char *text, size_t size)
{
    int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    ssize_t n = read(fd, text, size - 1);
    close_keeping_errno(fd);
    if (n >= 0)
        text[n] = '\0';
    return n;
}

static int file_write(int dir, const char *file, const char *text)
{
    int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    ssize_t n = write(fd, text, strlen(text));
    close_keeping_errno(fd);
    return n < 0 ? -1 : 0;
}

/* What is removed between open and read answers ENODEV. */
static bool is_gone(int error)
{
    return error == ENOENT || error == ENODEV;
}

static int populated_at(int dir)
{
    char text[256];

    if (file_read(dir, "cgroup.events", text, sizeof(text)) < 0)
        return -1;
    const char *value = strstr(text, "populated ");
    if (!value) {
        errno = EPROTO;
        return -1;
    }
    return value[strlen("populated ")] != '0';
}

/* ---- lists of pids ---- */

struct pid_list {
    pid_t *at;
    size_t n, room;
};

static int list_push(struct pid_list *list, pid_t pid)
{
    if (list->n == list->room) {
        size_t larger = list->room ? list->room * 2 : 64;
        pid_t *grown = reallocarray(list->at, larger, sizeof(*grown));
        if (!grown)
            return -1;
        list->at = grown;
        list->room = larger;
    }
    list->at[list->n++] = pid;
    return 0;
}

/* One pid a line, of any number of lines; 0 stands for one outside our PID namespace. */
static int read_pids(int fd, int (*each)(void *arg, pid_t), void *arg)
{
    char text[4096];
    int64_t pid = 0;
    ssize_t n;

    while ((n = read(fd, text, sizeof(text))) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (isdigit((unsigned char)text[i])) {
                pid = pid < INT_MAX / 10 ? pid * 10 + (text[i] - '0') : 0;
                continue;
            }
            if (pid > 0 && each(arg, (pid_t)pid) < 0)
                return -1;
            pid = 0;
        }
    }
    return n < 0 ? -1 : 0;
}

static int each_pid(int dir, int (*each)(void *arg, pid_t), void *arg)
{
    int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    int result = read_pids(fd, each, arg);
    close_keeping_errno(fd);
    return result;
}

static int collect_pid(void *arg, pid_t pid)
{
    return list_push(arg, pid);
}

/* ---- a group and those below ---- */

static int walk(int dir, int depth, int (*visit)(int dir, void *arg), void *arg, bool removing);

static int walk_child(int dir, const char *name, int depth, int (*visit)(int, void *), void *arg,
                      bool removing)
{
    int child = open_directory(dir, name);

    if (child < 0)
        return errno == ENOENT ? 0 : -1;
    int result = walk(child, depth, visit, arg, removing);
    close_keeping_errno(child);
    if (result == 0 && removing && unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        result = -1;
    return result;
}

static int walk(int dir, int depth, int (*visit)(int dir, void *arg), void *arg, bool removing)
{
    if (visit && visit(dir, arg) < 0 && !is_gone(errno))
        return -1;
    int fd = depth > 0 ? open_directory(dir, ".") : -1;
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (!list) {
        if (fd >= 0)
            close_keeping_errno(fd);
        return depth <= 0 || errno == ENOENT ? 0 : -1;
    }
    const struct dirent *entry;
    int result = 0;
    while (result == 0 && (entry = readdir(list))) {
        if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            result = walk_child(dir, entry->d_name, depth - 1, visit, arg, removing);
    }
    int error = errno;
    closedir(list);
    errno = error;
    return result;
}

/* Of a threaded group the processes are listed by the group above it. */
static int visit_pids(int dir, void *list)
{
    return each_pid(dir, collect_pid, list) < 0 && errno != EOPNOTSUPP ? -1 : 0;
}

static int visit_thaw(int dir, void *unused)
{
    char text[8];

    (void)unused;
    if (file_read(dir, "cgroup.freeze", text, sizeof(text)) < 0)
        return -1;
    return text[0] == '1' ? file_write(dir, "cgroup.freeze", "0") : 0;
}

/* ---- opening ---- */

/* The mount to use, or -1. On version 1 and hybrid /sys/fs/cgroup is a tmpfs, in which a directory
 * can be made just as well. */
static int open_mount(const char **path)
{
    static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        struct statfs fs;
        int fd = open_directory(AT_FDCWD, places[i]);
        if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC) {
            *path = places[i];
            return fd;
        }
        if (fd >= 0)
            close(fd);
    }
    return -1;
}

/* Our own group as the kernel names it, to be freed; NULL without /proc. */
static char *own_group(void)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char *line = NULL, *found = NULL;
    size_t room = 0;

    if (!file)
        return NULL;
    while (!found && getline(&line, &room, file) > 0) {
        if (strncmp(line, "0::/", 4) == 0)
            found = strndup(line + 3, strcspn(line + 3, "\n"));
    }
    free(line);
    fclose(file);
    return found;
}

static int is_self(void *arg, pid_t pid)
{
    if (pid == getpid())
        *(bool *)arg = true;
    return 0;
}

/* A mount may begin above our cgroup namespace: then the same path is another group, which is not
 * ours to touch. */
static enum cgroup_found check_parent(int parent, int mode, bool booted)
{
    bool inside = false;

    if (mode == CONF_CGROUP_AUTO && !booted && faccessat(parent, "cgroup.type", F_OK, 0) < 0)
        return CGROUP_NOT_DELEGATED;
    if (each_pid(parent, is_self, &inside) < 0)
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
        return errno == ENOENT && faccessat(dir, "cgroup.events", R_OK, 0) == 0;
    close(kill);
    return true;
}

/* again: only what is there already, with somebody in it. */
static int take_named(struct cgroup *c, int parent, const char *name, bool again)
{
    bool made = !again && mkdirat(parent, name, 0755) == 0;

    if (!again && !made && errno != EEXIST)
        return -1;
    int dir = open_directory(parent, name);
    int lock = dir < 0 || (again && populated_at(dir) != 1) ? -1 : lock_group(dir);
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
        if (i >= OWN_NAMES && errno != EAGAIN && errno != EACCES && !is_gone(errno))
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

/* Its services' processes may live on in it: only an empty one goes. */
static void remove_left(int parent, const char *name)
{
    int dir = open_directory(parent, name);

    if (dir < 0)
        return;
    int lock = populated_at(dir) == 0 ? lock_group(dir) : -1;
    if (lock >= 0) {
        if (walk(dir, DEPTH_MAX, NULL, NULL, true) == 0)
            unlinkat(parent, name, AT_REMOVEDIR);
        close(lock);
    }
    close(dir);
}

static void remove_all_left(int parent, const char *own)
{
    int fd = open_directory(parent, ".");
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
    int parent = open_directory(mount, group[1] ? group + 1 : ".");
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
    char *group = own_group();
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
    if (c->own >= 0 && populated_at(c->own) == 0)
        walk(c->own, DEPTH_MAX, NULL, NULL, true);
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

/* ---- the group of a service ---- */

struct group_name {
    char text[CONF_NAME_MAX + sizeof(SUFFIX)];
};

static int name_of(const char *service, struct group_name *out)
{
    size_t n = strlen(service);

    if (n == 0 || n > CONF_NAME_MAX || service[0] == '.' || strpbrk(service, "/\n")) {
        errno = EINVAL;
        return -1;
    }
    memcpy(out->text, service, n);
    memcpy(out->text + n, SUFFIX, sizeof(SUFFIX));
    return 0;
}

static int group_open(const struct cgroup *c, const char *service)
{
    struct group_name name;

    return name_of(service, &name) < 0 ? -1 : open_directory(c->own, name.text);
}

int cgroup_make(struct cgroup *c, const char *service)
{
    struct group_name name;

    if (name_of(service, &name) < 0)
        return -1;
    if (mkdirat(c->own, name.text, 0755) < 0 && errno != EEXIST)
        return -1;
    return open_directory(c->own, name.text);
}

int cgroup_populated(struct cgroup *c, const char *service)
{
    int dir = group_open(c, service);
    int populated = dir < 0 ? -1 : populated_at(dir);

    if (dir >= 0)
        close_keeping_errno(dir);
    return populated < 0 && is_gone(errno) ? 0 : populated;
}

int cgroup_pids(struct cgroup *c, const char *service, pid_t **pids, size_t *room)
{
    struct pid_list list = {*pids, 0, *room};
    int dir = group_open(c, service);

    if (dir < 0)
        return errno == ENOENT ? 0 : -1;
    int result = walk(dir, DEPTH_MAX, visit_pids, &list, false);
    close_keeping_errno(dir);
    *pids = list.at;
    *room = list.room;
    return result < 0 ? -1 : (int)list.n;
}

int cgroup_kill(struct cgroup *c, const char *service)
{
    int dir = group_open(c, service);

    if (dir < 0)
        return errno == ENOENT ? 0 : -1;
    int result = file_write(dir, "cgroup.kill", "1");
    close_keeping_errno(dir);
    return result;
}

int cgroup_thaw(struct cgroup *c, const char *service)
{
    int dir = group_open(c, service);

    if (dir < 0)
        return errno == ENOENT ? 0 : -1;
    int result = walk(dir, DEPTH_MAX, visit_thaw, NULL, false);
    close_keeping_errno(dir);
    return result;
}

int cgroup_remove(struct cgroup *c, const char *service)
{
    struct group_name name;
    int dir = group_open(c, service);

    if (dir < 0)
        return errno == ENOENT ? 0 : -1;
    int result = populated_at(dir) == 0 ? walk(dir, DEPTH_MAX, NULL, NULL, true) : 0;
    close_keeping_errno(dir);
    if (result < 0)
        return -1;
    name_of(service, &name);
    return unlinkat(c->own, name.text, AT_REMOVEDIR) < 0 && errno != ENOENT ? -1 : 0;
}

/* ---- news ---- */

int cgroup_watch(struct cgroup *c, const char *service)
{
    char path[PATH_MAX];
    struct group_name name;

    if (name_of(service, &name) < 0)
        return -1;
    if (!c->path) {
        errno = EBADF;
        return -1;
    }
    int n = snprintf(path, sizeof(path), "%s/%s/cgroup.events", c->path, name.text);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return inotify_add_watch(c->inotify, path, IN_MODIFY);
}

void cgroup_unwatch(struct cgroup *c, int watch)
{
    if (watch >= 0)
        inotify_rm_watch(c->inotify, watch);
}

/* Events on a file have no name, so room for one without name reads exactly one. */
int cgroup_next(struct cgroup *c)
{
    struct inotify_event event;

    while (read(c->inotify, &event, sizeof(event)) == sizeof(event)) {
        if (event.mask & IN_Q_OVERFLOW)
            return 0;
        if (event.mask & IN_MODIFY)
            return event.wd;
    }
    return -1;
}
