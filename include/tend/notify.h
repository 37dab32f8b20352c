/* One datagram of the sd_notify protocol (sd_notify(3)), read. Pure and total. */
#ifndef TEND_NOTIFY_H
#define TEND_NOTIFY_H

#include <sys/types.h>

#include "tend/base.h"

/* What a message says; a set of bits. */
enum notify_word {
    NOTIFY_READY = 1 << 0,
    NOTIFY_RELOADING = 1 << 1, /* reloading_usec, 0: it does not say */
    NOTIFY_STOPPING = 1 << 2,
    NOTIFY_STATUS = 1 << 3,
    NOTIFY_ERRNO = 1 << 4,
    NOTIFY_EXIT_STATUS = 1 << 5,
    NOTIFY_MAIN_PID = 1 << 6,
    NOTIFY_WATCHDOG = 1 << 7,      /* it is alive */
    NOTIFY_TRIGGER = 1 << 8,       /* WATCHDOG=trigger: act as if it were not */
    NOTIFY_WATCHDOG_TIME = 1 << 9, /* watchdog */
    NOTIFY_EXTEND = 1 << 10,       /* extend */
    NOTIFY_BARRIER = 1 << 11,      /* BARRIER=1 and nothing else */
    NOTIFY_STORE = 1 << 12,        /* FDSTORE=1 */
    NOTIFY_STORE_REMOVE = 1 << 13, /* FDSTOREREMOVE=1 */
};

/* The longest that is read; what is longer is refused as a whole. */
enum { NOTIFY_MAX = 4096 };
/* The longest duration that one comes to: a year. */
#define NOTIFY_TIME_MAX (INT64_C(365) * 24 * 3600 * 1000)
/* How much of a STATUS is kept, without the end of the text. */
enum { NOTIFY_STATUS_MAX = 256 };

struct notify {
    unsigned said; /* enum notify_word */
    bool bad; /* a line had a value that is none and was passed over, or BARRIER=1 was not alone:
               * then all of it is, as sd_notify(3) says */
    const char *status;   /* into the datagram, without end of text; as it came, any bytes */
    size_t status_length; /* at most NOTIFY_STATUS_MAX, never in the middle of a UTF-8 character */
    pid_t main_pid;       /* > 0 */
    int error;            /* 0 to 4095 */
    int exit_status;      /* 0 to 255 */
    msec watchdog;        /* 0: off; else at least 1: rounded up */
    msec extend;          /* rounded up; like watchdog at most NOTIFY_TIME_MAX */
    uint64_t reloading_usec; /* MONOTONIC_USEC, 0: not said */
};

/* Reads n bytes: lines NAME=value, the first of a name counts, unknown names are passed over. One
 * NUL at the end is allowed. False, and nothing said: empty, too long, or a NUL within. */
bool notify_parse(const char *bytes, size_t n, struct notify *);

/* Copies a status so that a terminal, a log and a record of one line can show it: printable ASCII
 * and well-formed UTF-8 above U+009F as they are, all else (control bytes, C1, a backslash, bytes
 * that are no UTF-8) as \xHH; cut, with "..." at the end, to what fits. */
void notify_printable(const char *bytes, size_t n, char *buf, size_t size);

#endif
