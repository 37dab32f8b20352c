#include "tend/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "tend/log.h"

static long long milliseconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* line: room for a newline, then n bytes, then room for another. What the file does not take is
 * lost: nobody is to wait for it, or to hear of it again and again. After half a line the next one
 * begins with the end of that. */
static void put(int fd, char *line, size_t n)
{
    static bool torn;
    size_t size = n + 1 + torn;
    ssize_t taken;

    line[0] = line[n + 1] = '\n';
    taken = write(fd, torn ? line : line + 1, size);
    if (taken < 0)
        log_take_back_signal(errno);
    else
        torn = (size_t)taken < size;
}

int record_open(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                  0644);
    char line[100];
    int n;

    if (fd < 0)
        return -1;
    n = snprintf(line + 1, sizeof line - 2, "tend-record version=1 at=%lld wall=%lld",
                 milliseconds(CLOCK_MONOTONIC), milliseconds(CLOCK_REALTIME));
    put(fd, line, (size_t)n);
    return fd;
}

void record_write(int fd, const struct history_record *r)
{
    char line[HISTORY_FIELDS_MAX + 2];

    if (fd >= 0)
        put(fd, line, history_fields(r, line + 1, HISTORY_FIELDS_MAX));
}
