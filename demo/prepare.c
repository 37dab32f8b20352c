/* Prepares a place for state, as a oneshot does before the services that need it.
 *
 *     prepare NAME      makes $TMPDIR/NAME-UID (or /tmp/NAME-UID) with a file `prepared`
 *
 * In a folder that all may write someone else may have put there whatever he likes under our name:
 * so nothing is followed, and what is not ours alone is refused. To run it twice does no harm. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "demo.h"

static const char *base_path(void)
{
    const char *path = getenv("TMPDIR");
    return path && *path ? path : "/tmp";
}

static int base_open(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        err(1, "%s", path);
    return fd;
}

/* Whether the folder is new or old, what is checked is the one that was opened: a look at the path
 * before or after could be at another one. */
static int state_open(int base, const char *name)
{
    struct stat s;
    if (mkdirat(base, name, 0700) && errno != EEXIST)
        err(1, "cannot make %s", name);
    int fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
        errx(1, "%s is there and is no folder", name);
    if (fd < 0 || fstat(fd, &s))
        err(1, "cannot open %s", name);
    if (s.st_uid != geteuid())
        errx(1, "%s belongs to user %u", name, (unsigned)s.st_uid);
    if (s.st_mode & (S_IWGRP | S_IWOTH))
        errx(1, "%s can be written by others", name);
    return fd;
}

static void write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno != EINTR)
            err(1, "write");
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
}

/* A reader, or a crash at any moment, finds the old file or the new one, never a part: the bytes
 * are on disk before they get the name, and the name before we say that it is done. */
static void replace_file(int folder, const char *name, const char *text)
{
    static const char temporary[] = ".new";
    if (flock(folder, LOCK_EX)) /* until we exit: two of us would share the temporary name */
        err(1, "flock");
    if (unlinkat(folder, temporary, 0) && errno != ENOENT)
        err(1, "cannot remove %s", temporary);
    int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        err(1, "cannot make %s", temporary);
    write_all(fd, text, strlen(text));
    if (fsync(fd) || close(fd))
        err(1, "cannot save %s", temporary);
    if (renameat(folder, temporary, folder, name) || fsync(folder))
        err(1, "cannot save %s", name);
}

int main(int argc, char **argv)
{
    char name[128], text[64];
    if (argc != 2 || !*argv[1] || *argv[1] == '.' || strchr(argv[1], '/'))
        errx(2, "usage: prepare NAME, without a slash and not beginning with a dot");
    if (snprintf(name, sizeof name, "%s-%u", argv[1], (unsigned)geteuid()) >= (int)sizeof name)
        errx(2, "the name is too long");

    int folder = state_open(base_open(base_path()), name);
    snprintf(text, sizeof text, "prepared at %lld\n", (long long)time(NULL));
    replace_file(folder, "prepared", text);
    printf("prepare: %s/%s is ready\n", base_path(), name);
    return 0;
}
