#include "tend/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* A pipe takes up to PIPE_BUF bytes whole or not at all. */
enum { LINE_MAX_BYTES = 1024, HELD_MAX = 4096, FIRST_WAIT = 10, LONGEST_WAIT = 1000 };

enum way { WAY_PLAIN, WAY_REOPENED, WAY_SOCKET, WAY_NOWAIT };

bool log_verbose;
static enum way way = WAY_PLAIN;
static bool opened = true; /* false: the way is to be found with the next line */
static int fd = STDERR_FILENO;
static char live[512]; /* the line that is drawn anew */
static bool drawn;     /* one stands on the terminal */
static bool stale;     /* that is not the present one */
static unsigned lost;
static bool holding;
static char held[HELD_MAX];
static size_t n_held;
static msec wait; /* until the next try */

/* A regular file keeps the shared description: with one of our own, our lines and those of the
 * services would overwrite each other. */
static void find_way(void)
{
    struct stat st;

    opened = true;
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

/* By the file, or by the kernel or a filter, which knows of no such call. */
static bool cannot_nowait(int error)
{
    return error == EOPNOTSUPP || error == ENOSYS || error == EPERM;
}

void log_open(void)
{
    opened = false;
}

int log_fd(void)
{
    return fd;
}

/* As it is for this thread alone, it comes before one that was sent. */
bool log_take_back_signal(int error)
{
    static const struct timespec at_once;
    sigset_t raised;

    if (error != EPIPE && error != EFBIG)
        return false;
    sigemptyset(&raised);
    sigaddset(&raised, error == EPIPE ? SIGPIPE : SIGXFSZ);
    sigtimedwait(&raised, NULL, &at_once);
    return true;
}

/* Bytes that were taken; 0: none now, -1: never. */
static ssize_t put(const char *text, size_t n)
{
    struct iovec v = {(void *)(uintptr_t)text, n};
    struct pollfd p = {.events = POLLOUT};
    ssize_t taken = -1;

    if (!opened)
        find_way();
    p.fd = fd;
    switch (way) {
    case WAY_SOCKET:
        taken = send(fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        break;
    case WAY_NOWAIT:
        taken = pwritev2(fd, &v, 1, -1, RWF_NOWAIT);
        if (taken < 0 && cannot_nowait(errno))
            taken = poll(&p, 1, 0) == 1 ? write(fd, text, n) : 0;
        break;
    case WAY_PLAIN:
    case WAY_REOPENED:
        taken = write(fd, text, n);
        break;
    }
    if (taken < 0 && way != WAY_SOCKET && log_take_back_signal(errno))
        return -1;
    return taken < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : taken;
}

static unsigned count_lines(const char *text, size_t n)
{
    unsigned lines = 0;

    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    return lines;
}

/* What is not taken now is kept for the next time: a terminal also refuses while somebody else
 * writes to it. False when something is left. */
static bool put_held(void)
{
    ssize_t taken = n_held ? put(held, n_held) : 0;

    if (taken < 0) {
        lost += count_lines(held, n_held);
        taken = (ssize_t)n_held;
    }
    n_held -= (size_t)taken;
    memmove(held, held + taken, n_held);
    return n_held == 0;
}

/* ---- the live line ---- */

static const char erase[] = "\r\033[K";

/* It stands below all others, and is drawn only where nothing waits to be written: on a terminal
 * that takes no more it does not take the room of what is to be kept. */
static void draw(void)
{
    char text[sizeof erase + sizeof live];
    size_t n;
    ssize_t taken;

    if (!stale || !*live || n_held)
        return;
    n = (size_t)snprintf(text, sizeof text, "%s%s", drawn ? erase : "", live);
    taken = put(text, n);
    if (taken <= 0)
        return;
    drawn = true;
    stale = false;
    n_held = n - (size_t)taken;
    memcpy(held, text + taken, n_held);
}

static size_t columns(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool log_can_redraw(void)
{
    const char *term = getenv("TERM");

    return isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

/* ---- whole lines ---- */

static void tell_lost(void)
{
    char line[80 + sizeof erase];
    int n = snprintf(line, sizeof line, "%stend: %u messages lost: stderr takes no more\n",
                     drawn ? erase : "", lost);

    if (put(line, (size_t)n) <= 0)
        return;
    lost = 0;
    drawn = false;
    stale = true;
}

void log_hold(void)
{
    holding = true;
}

void log_release(void)
{
    int saved = errno;

    holding = false;
    if (put_held())
        wait = 0;
    else
        wait = wait ? wait * 2 : FIRST_WAIT;
    if (wait > LONGEST_WAIT)
        wait = LONGEST_WAIT;
    if (lost && !n_held)
        tell_lost();
    draw();
    errno = saved;
}

msec log_wait(void)
{
    return n_held ? wait : NEVER;
}

void log_drain(msec limit)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};

    for (; !put_held() && limit > 0; limit -= FIRST_WAIT)
        poll(&p, way == WAY_REOPENED ? 0 : 1, FIRST_WAIT);
}

/* False where there is no room. */
static bool add(const char *text, size_t n)
{
    if (n_held + n > sizeof held)
        put_held();
    if (n_held + n > sizeof held)
        return false;
    memcpy(held + n_held, text, n);
    n_held += n;
    if (!holding)
        put_held();
    return true;
}

static void wipe(void)
{
    drawn = drawn && !add(erase, sizeof erase - 1);
    stale = true;
}

void log_live(const char *text)
{
    size_t most;

    if (!*text) {
        *live = '\0';
        wipe();
        return;
    }
    most = columns();
    snprintf(live, most < sizeof live ? most : sizeof live, "tend: %s", text);
    stale = true;
    if (!holding)
        draw();
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
    wipe();
    lost += !add(line, n);
    if (!holding)
        draw();
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
