#include "tend/ready_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tend/log.h"

/* By the file, or by the kernel or a filter, which knows of no such call. */
static bool cannot_nowait(int error)
{
    return error == EOPNOTSUPP || error == ENOSYS || error == EPERM;
}

/* By a description of our own, which may be non-blocking. Where there is none to be had, nobody
 * else is taken to fill a pipe between the two calls. */
static ssize_t put_reopened(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    char path[32];
    ssize_t n;
    int own, error;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own < 0)
        return poll(&p, 1, 0) == 1 ? write(fd, "\n", 1) : 0;
    n = write(own, "\n", 1);
    error = errno;
    close(own);
    errno = error;
    return n;
}

static ssize_t put(int fd)
{
    static char newline = '\n';
    const struct iovec v = {&newline, 1};
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st))
        return -1;
    if (S_ISREG(st.st_mode))
        return write(fd, "\n", 1);
    if (S_ISSOCK(st.st_mode))
        return send(fd, "\n", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    n = pwritev2(fd, &v, 1, -1, RWF_NOWAIT);
    return n < 0 && cannot_nowait(errno) ? put_reopened(fd) : n;
}

int ready_fd_say(int fd)
{
    ssize_t n = put(fd);
    int error = errno;

    if (n == 0 || (n < 0 && (error == EAGAIN || error == EINTR)))
        return 0;
    if (n < 0)
        log_take_back_signal(error);
    close(fd);
    errno = error;
    return n < 0 ? -1 : 1;
}
