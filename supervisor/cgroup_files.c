#include "tend/cgroup_files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int group_open(int at, const char *path)
{
    return openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

bool group_has(int at, const char *file)
{
    struct stat st;

    return fstatat(at, file, &st, 0) == 0;
}

ssize_t group_read(int at, const char *file, char *text, size_t size)
{
    int fd = openat(at, file, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    ssize_t n = read(fd, text, size - 1);
    close_keeping_errno(fd);
    if (n >= 0)
        text[n] = '\0';
    return n;
}

int group_write(int at, const char *file, const char *text)
{
    int fd = openat(at, file, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    ssize_t n = write(fd, text, strlen(text));
    close_keeping_errno(fd);
    return n < 0 ? -1 : 0;
}

bool group_is_gone(int error)
{
    return error == ENOENT || error == ENODEV;
}

int group_populated(int at, const char *events)
{
    char text[256];

    if (group_read(at, events, text, sizeof(text)) < 0)
        return -1;
    const char *value = strstr(text, "populated ");
    if (!value) {
        errno = EPROTO;
        return -1;
    }
    return value[strlen("populated ")] != '0';
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

int group_each_pid(int at, const char *procs, int (*each)(void *arg, pid_t), void *arg)
{
    int fd = openat(at, procs, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    int result = read_pids(fd, each, arg);
    close_keeping_errno(fd);
    return result;
}

/* ---- our own ---- */

static bool is_in(const char *list, size_t n, const char *word)
{
    const char *end = list + n;
    size_t length = strlen(word);

    for (const char *at = list; at <= end; at += strcspn(at, ",:") + 1)
        if (strcspn(at, ",:") == length && !strncmp(at, word, length))
            return true;
    return false;
}

/* A line is "NUMBER:CONTROLLER,...:/PATH" (cgroups(7)). */
static char *path_in(char *line, const char *controller)
{
    char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;

    if (!path || path[1] != '/' || !is_in(list + 1, (size_t)(path - list - 1), controller))
        return NULL;
    return strndup(path + 1, strcspn(path + 1, "\n"));
}

char *group_own(const char *controller)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char *line = NULL, *found = NULL;
    size_t room = 0;

    if (!file)
        return NULL;
    while (!found && getline(&line, &room, file) > 0)
        found = path_in(line, controller);
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

int group_has_self(int dir)
{
    bool found = false;

    return group_each_pid(dir, "cgroup.procs", is_self, &found) < 0 ? -1 : found;
}

/* ---- a group and those below ---- */

/* Groups nested deeper than this are left to cgroup.kill. */
enum { DEPTH_MAX = 32 };

static int walk(int dir, int depth, int (*visit)(int dir, void *arg), void *arg, bool removing);

static int walk_child(int dir, const char *name, int depth, int (*visit)(int, void *), void *arg,
                      bool removing)
{
    int child = group_open(dir, name);

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
    if (visit && visit(dir, arg) < 0 && !group_is_gone(errno))
        return -1;
    int fd = depth > 0 ? group_open(dir, ".") : -1;
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

int group_walk(int dir, int (*visit)(int dir, void *arg), void *arg)
{
    return walk(dir, DEPTH_MAX, visit, arg, false);
}

int group_remove_below(int dir)
{
    return walk(dir, DEPTH_MAX, NULL, NULL, true);
}
