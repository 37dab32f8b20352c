#include "tend/terminal.h"

#include <fcntl.h>
#include <unistd.h>

/* TIOCGPGRP is answered for one's own controlling terminal alone. */
static bool controls_us(int fd)
{
    return tcgetpgrp(fd) >= 0;
}

/* Where there is no /dev/tty a descriptor that we were given may still be it. */
int terminal_open(void)
{
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

    for (int given = STDIN_FILENO; fd < 0 && given <= STDERR_FILENO; given++)
        if (controls_us(given))
            fd = fcntl(given, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    return fd;
}

bool terminal_is_stdio(void)
{
    return controls_us(STDIN_FILENO) && controls_us(STDOUT_FILENO);
}

/* Of nothing: only whether we may read. */
bool terminal_is_ours(int fd)
{
    char none;

    return fd >= 0 && read(fd, &none, 0) == 0;
}

bool terminal_has(int fd, pid_t group)
{
    return fd >= 0 && tcgetpgrp(fd) == group;
}

void terminal_give(int fd, pid_t group)
{
    if (fd >= 0)
        tcsetpgrp(fd, group);
}
