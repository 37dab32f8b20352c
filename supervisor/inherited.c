#include "tend/inherited.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* fs.nr_open, unless somebody has raised it: no limit can be above (proc_sys_fs(5)). */
enum { DESCRIPTORS_MAX = 1 << 20 };

static void visit(int fd, bool ours, void (*each)(int fd))
{
    int flags = fd > STDERR_FILENO ? fcntl(fd, F_GETFD) : -1;

    if (flags == 0 || (ours && flags > 0))
        each(fd);
}

static void visit_all(bool ours, void (*each)(int fd))
{
    DIR *own = opendir("/proc/self/fd");
    const struct dirent *entry;

    for (int fd = 0; !own && fd < DESCRIPTORS_MAX; fd++)
        visit(fd, ours, each);
    while (own && (entry = readdir(own)))
        if (atoi(entry->d_name) != dirfd(own))
            visit(atoi(entry->d_name), ours, each);
    if (own)
        closedir(own);
}

void inherited_each(void (*each)(int fd))
{
    visit_all(false, each);
}

void inherited_or_ours_each(void (*each)(int fd))
{
    visit_all(true, each);
}
