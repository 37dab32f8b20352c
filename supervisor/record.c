#include "tend/record.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static long long milliseconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void put(int fd, char *line, size_t n)
{
    line[n] = '\n';
    if (write(fd, line, n + 1) < 0)
        return; /* nobody is to wait for it, or to hear of it again and again */
}

int record_open(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                  0644);
    char line[100];

    if (fd < 0)
        return -1;
    put(fd, line,
        (size_t)snprintf(line, sizeof line, "tend-record version=1 at=%lld wall=%lld",
                         milliseconds(CLOCK_MONOTONIC), milliseconds(CLOCK_REALTIME)));
    return fd;
}

void record_write(int fd, const struct history_record *r)
{
    char line[HISTORY_FIELDS_MAX + 1];

    if (fd >= 0)
        put(fd, line, history_fields(r, line, HISTORY_FIELDS_MAX));
}
