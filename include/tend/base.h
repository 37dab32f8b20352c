/* What every file may use: the unit of time, a few macros. Knows nothing. */
#ifndef TEND_BASE_H
#define TEND_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A point in time or a duration in milliseconds of CLOCK_MONOTONIC: never the wall clock, which
 * steps. */
typedef int64_t msec;

/* As a point in time: not at all. Compares as later than every other. */
#define NEVER INT64_MAX

#define ARRAY_SIZE(a)       (sizeof(a) / sizeof((a)[0]))
#define PRINTF(text, first) __attribute__((format(printf, text, first)))

#endif
