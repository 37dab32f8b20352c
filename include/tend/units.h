/* Text to value and back for what an operator writes: durations, sizes, numbers, signals.
 * Pure and total. Used by the config, the command line and everything that prints.
 *
 * Every parse function returns 0, or -1 with *out untouched. */
#ifndef TEND_UNITS_H
#define TEND_UNITS_H

#include <sys/types.h>

#include "tend/base.h"

/* "1h30m", "90s", "250ms", "2d": digits and unit (ms s m h d), largest first, no spaces, no
 * fraction. A bare "0" is allowed, any other bare number is not. Overflow is an error. */
int units_duration(const char *text, msec *out);

/* The shortest text that units_duration reads back as the same value, "never" for NEVER.
 * Returns buf. */
enum { UNITS_DURATION_MAX = 48 };
const char *units_duration_text(msec t, char buf[static UNITS_DURATION_MAX]);

/* The same for people who read a log: "4.2s", "350ms", "1m30s"; rounded to what matters. */
const char *units_duration_short(msec t, char buf[static UNITS_DURATION_MAX]);

/* "65536", "64K", "10M", "2G" (powers of 1024). */
int units_size(const char *text, uint64_t *out);

/* Whole decimal number from low to high: no sign but '-' where low is negative, no blank, no
 * leading zero (it would look octal), no base prefix. */
int units_number(const char *text, long low, long high, long *out);

/* Three or four octal digits, at most 0777: a umask. */
int units_octal(const char *text, unsigned *out);

/* "TERM", "SIGTERM", "RTMIN+3", "SIGRTMAX-1" or a number from 1 to SIGRTMAX. */
int units_signal(const char *text, int *out);

/* "TERM", "RTMIN+3"; "signal 99" for what has no name. Returns buf or a constant. */
enum { UNITS_SIGNAL_MAX = 16 };
const char *units_signal_name(int signal, char buf[static UNITS_SIGNAL_MAX]);

#endif
