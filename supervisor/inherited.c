#include "tend/inherited.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* fs.nr_open, unless somebody has raised it: no limit can be above (proc_sys_fs(5)). */
enum { DESCRIPTORS_MAX = 1 << 20 };

static void visit(int fd, void (*each)(int fd))
{
    if (fd > STDERR_FILENO && fcntl(fd, F_GETFD) == 0)
        each(fd);
}

void inherited_each(void (*each)(int fd))
{
    DIR *own = opendir("/proc/self/fd");
    const struct dirent *entry;

    for (int fd = 0; !own && fd < DESCRIPTORS_MAX; fd++)
        visit(fd, each);
    while (own && (entry = readdir(own)))
        visit(atoi(entry->d_name), each);
    if (own)
        closedir(own);
}
