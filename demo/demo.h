/* What the demo programs share: values of options, and a clock.
 *
 * A wrong option ends the program with status 2 and says what would be right. */
#ifndef DEMO_H
#define DEMO_H

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tend/base.h"

static inline msec clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (msec)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline struct timespec clock_timespec(msec t)
{
    return (struct timespec){.tv_sec = t / 1000, .tv_nsec = t % 1000 * 1000000};
}

static inline long option_number(const char *option, const char *text, long low, long high)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (end == text || *end || errno || n < low || n > high)
        errx(2, "--%s %s: should be a number from %ld to %ld", option, text, low, high);
    return n;
}

static inline msec option_duration(const char *option, const char *text)
{
    static const struct {
        const char *name;
        msec length;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}};
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (end != text && !errno && n >= 0 && n <= 1000000 && !strcmp(end, units[i].name))
            return n * units[i].length;
    errx(2, "--%s %s: should be a duration like 500ms, 2s or 1m", option, text);
}

#endif
