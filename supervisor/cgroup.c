#include "tend/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tend/cgroup_files.h"
#include "tend/conf.h"

/* A service's group is "NAME.service": no file of the kernel's ends like that. */
static const char SUFFIX[] = ".service";

/* ---- names ---- */

/* Of a group, or of a file in it. */
struct group_path {
    char text[CONF_NAME_MAX + sizeof(SUFFIX) + 16];
    size_t n; /* without the file */
};

static int path_of(const char *service, const char *file, struct group_path *out)
{
    size_t n = strlen(service);

    if (n == 0 || n > CONF_NAME_MAX || service[0] == '.' || strpbrk(service, "/\n")) {
        errno = EINVAL;
        return -1;
    }
    memcpy(out->text, service, n);
    strcpy(out->text + n, SUFFIX);
    out->n = n + strlen(SUFFIX);
    strcpy(out->text + out->n, file);
    return 0;
}

/* The kernel counts a directory's own ones in its links. */
static bool has_groups(const struct cgroup *c, struct group_path *path)
{
    struct stat st;

    path->text[path->n] = '\0';
    return fstatat(c->own, path->text, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_nlink > 2;
}

/* Visits the group and those below; one that is gone has none. */
static int walk_group(const struct cgroup *c, struct group_path *path,
                      int (*visit)(int dir, void *arg), void *arg)
{
    path->text[path->n] = '\0';
    int dir = group_open(c->own, path->text);
    if (dir < 0)
        return group_is_gone(errno) ? 0 : -1;
    int result = group_walk(dir, visit, arg);
    close_keeping_errno(dir);
    return result;
}

/* ---- the group of a service ---- */

int cgroup_make(struct cgroup *c, const char *service)
{
    struct group_path path;

    if (path_of(service, "", &path) < 0)
        return -1;
    if (mkdirat(c->own, path.text, 0755) < 0 && errno != EEXIST)
        return -1;
    return group_open(c->own, path.text);
}

int cgroup_populated(struct cgroup *c, const char *service)
{
    struct group_path path;

    if (path_of(service, "/cgroup.events", &path) < 0)
        return -1;
    int populated = group_populated(c->own, path.text);
    return populated < 0 && group_is_gone(errno) ? 0 : populated;
}

struct pid_list {
    pid_t *at;
    size_t n, room;
};

static int collect_pid(void *self, pid_t pid)
{
    struct pid_list *list = self;

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

/* Of a threaded group the processes are listed by the group above it. */
static int collect_pids(int at, const char *procs, struct pid_list *list)
{
    return group_each_pid(at, procs, collect_pid, list) < 0 && errno != EOPNOTSUPP ? -1 : 0;
}

static int visit_pids(int dir, void *list)
{
    return collect_pids(dir, "cgroup.procs", list);
}

/* The list comes before the look for groups below: nobody slips through who moves there. */
int cgroup_pids(struct cgroup *c, const char *service, pid_t **pids, size_t *room)
{
    struct pid_list list = {*pids, 0, *room};
    struct group_path path;

    if (path_of(service, "/cgroup.procs", &path) < 0)
        return -1;
    int result = collect_pids(c->own, path.text, &list);
    if (result < 0 && group_is_gone(errno))
        result = 0;
    if (result == 0 && has_groups(c, &path)) {
        list.n = 0;
        result = walk_group(c, &path, visit_pids, &list);
    }
    *pids = list.at;
    *room = list.room;
    return result < 0 ? -1 : (int)list.n;
}

int cgroup_kill(struct cgroup *c, const char *service)
{
    struct group_path path;

    if (path_of(service, "/cgroup.kill", &path) < 0)
        return -1;
    if (group_write(c->own, path.text, "1") == 0)
        return 0;
    int error = errno;
    path.text[path.n] = '\0';
    if (error == ENOENT && !group_has(c->own, path.text))
        return 0;
    errno = error;
    return -1;
}

static int thaw(int at, const char *freeze)
{
    char text[8];

    if (group_read(at, freeze, text, sizeof(text)) < 0)
        return -1;
    return text[0] == '1' ? group_write(at, freeze, "0") : 0;
}

static int visit_thaw(int dir, void *unused)
{
    (void)unused;
    return thaw(dir, "cgroup.freeze");
}

/* Its cgroup.events would say nothing of one below that is frozen alone. */
int cgroup_thaw(struct cgroup *c, const char *service)
{
    struct group_path path;

    if (path_of(service, "/cgroup.freeze", &path) < 0)
        return -1;
    if (thaw(c->own, path.text) < 0 && !group_is_gone(errno))
        return -1;
    return has_groups(c, &path) ? walk_group(c, &path, visit_thaw, NULL) : 0;
}

static int remove_with_all_below(struct cgroup *c, const char *group)
{
    int dir = group_open(c->own, group);

    if (dir < 0)
        return errno == ENOENT ? 0 : -1;
    int result = group_populated(dir, "cgroup.events") == 0 ? group_remove_below(dir) : 0;
    close_keeping_errno(dir);
    if (result < 0)
        return -1;
    return unlinkat(c->own, group, AT_REMOVEDIR) < 0 && errno != ENOENT ? -1 : 0;
}

int cgroup_remove(struct cgroup *c, const char *service)
{
    struct group_path path;

    if (path_of(service, "", &path) < 0)
        return -1;
    if (unlinkat(c->own, path.text, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    return remove_with_all_below(c, path.text);
}

/* ---- news ---- */

int cgroup_watch(struct cgroup *c, const char *service)
{
    char path[PATH_MAX];
    struct group_path group;

    if (path_of(service, "/cgroup.events", &group) < 0)
        return -1;
    if (!c->path) {
        errno = EBADF;
        return -1;
    }
    int n = snprintf(path, sizeof(path), "%s/%s", c->path, group.text);
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
