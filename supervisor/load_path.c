#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tend/load_host.h"

enum { LINKS_MAX = 40 }; /* path_resolution(7) */

/* The path so far, with no slash at its end, so that "/" is empty; and what is still to be gone. */
struct way {
    char *real;
    size_t n;
    char rest[PATH_MAX];
};

static int too_long(void)
{
    errno = ENAMETOOLONG;
    return -1;
}

static void go_up(struct way *w)
{
    while (w->n > 0 && w->real[--w->n] != '/')
        ;
    w->real[w->n] = '\0';
}

static int go_down(struct way *w, const char *name, size_t length)
{
    if (w->n + 1 + length >= PATH_MAX)
        return too_long();
    w->real[w->n] = '/';
    memcpy(w->real + w->n + 1, name, length);
    w->n += 1 + length;
    w->real[w->n] = '\0';
    return 0;
}

/* 1: what we are at is a link, and where it leads is to be gone now; 0: it is none. */
static int follow(struct way *w, const char *rest)
{
    char target[PATH_MAX], joined[2 * PATH_MAX];
    ssize_t n = readlink(w->real, target, sizeof target - 1);

    if (n < 0)
        return errno == EINVAL ? 0 : -1;
    target[n] = '\0';
    snprintf(joined, sizeof joined, "%s/%s", target, rest);
    if (strlen(joined) >= sizeof w->rest)
        return too_long();
    memcpy(w->rest, joined, strlen(joined) + 1);
    go_up(w);
    if (target[0] == '/')
        w->n = 0;
    return 1;
}

static int begin(struct way *w, const char *path)
{
    if (strlen(path) >= sizeof w->rest)
        return too_long();
    memcpy(w->rest, path, strlen(path) + 1);
    w->real[0] = '\0';
    if (path[0] == '/')
        return 0;
    if (!getcwd(w->real, PATH_MAX))
        return -1;
    w->n = strcmp(w->real, "/") == 0 ? 0 : strlen(w->real);
    return 0;
}

int host_real_path(const char *path, char *real)
{
    struct way w = {.real = real};
    char *at = w.rest;
    int links = 0;

    if (begin(&w, path))
        return -1;
    while (at += strspn(at, "/"), *at) {
        size_t length = strcspn(at, "/");
        bool up = length == 2 && at[0] == '.' && at[1] == '.';
        int link = 0;
        if (up)
            go_up(&w);
        else if (length > 1 || at[0] != '.')
            link = go_down(&w, at, length) ? -1 : follow(&w, at + length);
        if (link < 0)
            return -1;
        if (link > 0 && ++links > LINKS_MAX) {
            errno = ELOOP;
            return -1;
        }
        at = link ? w.rest : at + length;
    }
    if (w.n == 0)
        memcpy(real, "/", 2);
    return 0;
}
