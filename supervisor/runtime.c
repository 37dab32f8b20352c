#include "tend/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each further try means that somebody removed the lock file under us. */
enum { TRIES = 100 };

/* ---- the path ---- */

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

/* Behind a slash at its end a link would be followed. */
static char *tidy(char *path)
{
    size_t n = path ? strlen(path) : 0;

    while (n > 1 && path[n - 1] == '/')
        path[--n] = '\0';
    return path;
}

static char *join(const char *folder, const char *name)
{
    char *path;

    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : tidy(path);
}

static char *absolute(const char *path)
{
    char *folder, *joined;

    if (*path == '/')
        return tidy(strdup(path));
    if (!*path) {
        errno = ENOENT;
        return NULL;
    }
    folder = getcwd(NULL, 0);
    joined = folder ? join(folder, path) : NULL;
    free(folder);
    return joined;
}

static char *choose(const char *given, char *why, size_t n)
{
    const char *chosen = given ? given : variable("TEND_RUNTIME");
    const char *own = variable("XDG_RUNTIME_DIR");
    char *path = NULL;

    if (!chosen && geteuid() == 0)
        chosen = "/run/tend";
    if (chosen)
        path = absolute(chosen);
    else if (own && *own == '/')
        path = join(own, "tend");
    if (path)
        return path;
    if (chosen)
        snprintf(why, n, "cannot use \"%.256s\": %s", chosen, strerror(errno));
    else
        snprintf(why, n, "XDG_RUNTIME_DIR is not %s", own ? "an absolute path" : "set");
    return NULL;
}

/* ---- the directory ---- */

static enum runtime_found none(const struct runtime *r, const char *what, int error, char *why,
                               size_t n)
{
    snprintf(why, n, "cannot %s %.256s: %s", what, r->path, strerror(error));
    return RUNTIME_NONE;
}

static int open_path(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && errno == ENOTDIR)
        errno = lstat(path, &st) == 0 && S_ISLNK(st.st_mode) ? ELOOP : ENOTDIR;
    return fd;
}

static enum runtime_found check(const struct runtime *r, char *why, size_t n)
{
    struct stat st;

    if (fstat(r->dir, &st))
        return none(r, "look at", errno, why, n);
    if (st.st_uid != geteuid())
        snprintf(why, n, "%.256s belongs to user %u, and we are user %u", r->path, st.st_uid,
                 geteuid());
    else if (st.st_mode & (S_IWGRP | S_IWOTH))
        snprintf(why, n, "%.256s can be written by others: its mode is %04o", r->path,
                 st.st_mode & 07777);
    else
        return RUNTIME_OPEN;
    return RUNTIME_NONE;
}

static enum runtime_found open_directory(struct runtime *r, char *why, size_t n)
{
    bool made = false;

    r->dir = open_path(r->path);
    if (r->dir < 0 && errno == ENOENT) {
        made = mkdir(r->path, 0711) == 0;
        if (!made && errno != EEXIST)
            return none(r, "make", errno, why, n);
        r->dir = open_path(r->path);
    }
    if (r->dir < 0 && errno == ELOOP) {
        snprintf(why, n, "%.256s is a symbolic link", r->path);
        return RUNTIME_NONE;
    }
    if (r->dir < 0)
        return none(r, "open", errno, why, n);
    if (made && fchmod(r->dir, 0711)) /* the umask may have taken from it */
        return none(r, "change the mode of", errno, why, n);
    return check(r, why, n);
}

/* ---- the lock ----
 * A record lock: no child inherits it, not even one that never execs, so it is gone with us. It
 * would go with any descriptor of that file which we close, so it is opened only where it is not
 * ours. */

static const char LOCK[] = "lock";

static bool is_the_one(int dir, int lock)
{
    struct stat there, ours;

    return dir >= 0 && lock >= 0 && fstatat(dir, LOCK, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstat(lock, &ours) == 0 && there.st_dev == ours.st_dev && there.st_ino == ours.st_ino;
}

static enum runtime_found open_lock(struct runtime *r, char *why, size_t n)
{
    struct stat st;

    r->lock = openat(r->dir, LOCK,
                     O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
    if (r->lock < 0)
        return none(r, "open the lock in", errno, why, n);
    if (fstat(r->lock, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid())
        return RUNTIME_OPEN;
    snprintf(why, n, "the lock in %.256s is no file of ours", r->path);
    return RUNTIME_NONE;
}

/* 1: we have it, 0: *holder has, -1 with errno. */
static int try_lock(int fd, pid_t *holder)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(fd, F_SETLK, &all) == 0)
        return 1;
    if (errno != EAGAIN && errno != EACCES)
        return -1;
    *holder = fcntl(fd, F_GETLK, &all) == 0 && all.l_type != F_UNLCK ? all.l_pid : 0;
    return 0;
}

/* For people: nobody here reads it. */
static void write_pid(int fd)
{
    char line[16];
    int n = snprintf(line, sizeof line, "%d\n", (int)getpid());

    if (ftruncate(fd, 0) == 0 && pwrite(fd, line, (size_t)n, 0) < 0)
        return;
}

static enum runtime_found taken(const struct runtime *r, pid_t holder, char *why, size_t n)
{
    /* The kernel gives 0 for one outside of our PID namespace. */
    if (holder > 0)
        snprintf(why, n, "another tend, pid %d, has %.256s", (int)holder, r->path);
    else
        snprintf(why, n, "another tend has %.256s", r->path);
    return RUNTIME_TAKEN;
}

static enum runtime_found take_lock(struct runtime *r, char *why, size_t n)
{
    pid_t holder = 0;
    int got;

    for (int i = 0; i < TRIES; i++) {
        if (open_lock(r, why, n) != RUNTIME_OPEN)
            return RUNTIME_NONE;
        got = try_lock(r->lock, &holder);
        if (got < 0)
            return none(r, "lock", errno, why, n);
        if (got == 0)
            return taken(r, holder, why, n);
        if (is_the_one(r->dir, r->lock)) {
            write_pid(r->lock);
            return RUNTIME_OPEN;
        }
        close(r->lock);
        r->lock = -1;
    }
    return none(r, "keep the lock in", ENOENT, why, n);
}

/* ---- both ---- */

static void close_both(struct runtime *r)
{
    if (r->lock >= 0)
        close(r->lock);
    if (r->dir >= 0)
        close(r->dir);
    r->lock = r->dir = -1;
}

enum runtime_found runtime_open(struct runtime *r, const char *given, char *why, size_t n)
{
    *r = (struct runtime){.dir = -1, .lock = -1, .path = choose(given, why, n)};
    return r->path ? runtime_again(r, why, n) : RUNTIME_NONE;
}

enum runtime_found runtime_again(struct runtime *r, char *why, size_t n)
{
    struct runtime fresh = {.dir = -1, .lock = -1, .path = r->path};
    enum runtime_found found;

    if (!r->path) {
        snprintf(why, n, "no place for a runtime directory is known");
        return RUNTIME_NONE;
    }
    found = open_directory(&fresh, why, n);
    if (found == RUNTIME_OPEN && is_the_one(fresh.dir, r->lock)) {
        close_both(&fresh);
        return found;
    }
    if (found == RUNTIME_OPEN)
        found = take_lock(&fresh, why, n);
    if (found == RUNTIME_OPEN) {
        close_both(r);
        *r = fresh;
    } else {
        close_both(&fresh);
    }
    return found;
}

void runtime_close(struct runtime *r)
{
    close_both(r);
    free(r->path);
    r->path = NULL;
}
