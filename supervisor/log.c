#include "tend/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* A pipe takes up to PIPE_BUF bytes whole or not at all. */
enum { LINE_MAX_BYTES = 1024, HELD_MAX = 4096 };

enum way { WAY_PLAIN, WAY_REOPENED, WAY_SOCKET, WAY_NOWAIT };

bool log_verbose;
static enum way way = WAY_PLAIN;
static int fd = STDERR_FILENO;
static unsigned lost;
static bool holding;
static char held[HELD_MAX];
static size_t n_held;
static unsigned lines_held;

/* A regular file keeps the shared description: with one of our own, our lines and those of the
 * services would overwrite each other. */
void log_open(void)
{
    struct stat st;

    if (fstat(STDERR_FILENO, &st) || S_ISREG(st.st_mode))
        return;
    if (S_ISSOCK(st.st_mode)) {
        way = WAY_SOCKET;
        return;
    }
    fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_APPEND | O_NOCTTY | O_CLOEXEC);
    way = fd >= 0 ? WAY_REOPENED : WAY_NOWAIT;
    if (fd < 0)
        fd = STDERR_FILENO;
}

static bool writable(void)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

static bool put(char *text, size_t n)
{
    struct iovec v = {text, n};

    switch (way) {
    case WAY_SOCKET:
        return send(fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n;
    case WAY_NOWAIT:
        if (pwritev2(fd, &v, 1, -1, RWF_NOWAIT) == (ssize_t)n)
            return true;
        return errno == EOPNOTSUPP && writable() && write(fd, text, n) == (ssize_t)n;
    case WAY_PLAIN:
    case WAY_REOPENED:
        break;
    }
    return write(fd, text, n) == (ssize_t)n;
}

static void tell_lost(void)
{
    char line[80];
    int n = snprintf(line, sizeof line, "tend: %u messages lost: stderr takes no more\n", lost);

    if (put(line, (size_t)n))
        lost = 0;
}

static void put_held(void)
{
    if (lost)
        tell_lost();
    if (n_held && (lost || !put(held, n_held)))
        lost += lines_held;
    n_held = lines_held = 0;
}

void log_hold(void)
{
    holding = true;
}

void log_release(void)
{
    int saved = errno;

    put_held();
    holding = false;
    errno = saved;
}

static void add(const char *line, size_t n)
{
    if (n_held + n > sizeof held)
        put_held();
    memcpy(held + n_held, line, n);
    n_held += n;
    lines_held++;
    if (!holding)
        put_held();
}

static void PRINTF(1, 0) say(const char *format, va_list args, const char *why)
{
    char line[LINE_MAX_BYTES];
    size_t n = (size_t)snprintf(line, sizeof line, "tend: ");
    int more = vsnprintf(line + n, sizeof line - n, format, args);

    if (more > 0)
        n += (size_t)more;
    if (n < sizeof line - 1 && why)
        n += (size_t)snprintf(line + n, sizeof line - n, ": %s", why);
    if (n > sizeof line - 2)
        n = sizeof line - 2;
    line[n++] = '\n';
    add(line, n);
}

void log_info(const char *format, ...)
{
    int saved = errno;
    va_list args;

    va_start(args, format);
    say(format, args, NULL);
    va_end(args);
    errno = saved;
}

void log_warn(const char *format, ...)
{
    int saved = errno;
    va_list args;

    va_start(args, format);
    say(format, args, strerror(saved));
    va_end(args);
    errno = saved;
}

void log_warnx(const char *format, ...)
{
    int saved = errno;
    va_list args;

    va_start(args, format);
    say(format, args, NULL);
    va_end(args);
    errno = saved;
}

void log_debug(const char *format, ...)
{
    int saved = errno;
    va_list args;

    if (!log_verbose)
        return;
    va_start(args, format);
    say(format, args, NULL);
    va_end(args);
    errno = saved;
}
