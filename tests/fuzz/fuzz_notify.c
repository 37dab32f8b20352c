/* Any bytes as a datagram: nothing is read beyond them, what is said is in range, and a status is
 * shown as whole characters of one line. */
#include "tend/notify.h"

#include "driver.h"

#ifndef LIBFUZZER
const char *const fuzz_words[] = {
    "READY=1",
    "RELOADING=1",
    "STOPPING=1",
    "STATUS=",
    "ERRNO=",
    "EXIT_STATUS=",
    "MAINPID=",
    "WATCHDOG=1",
    "trigger",
    "WATCHDOG_USEC=",
    "BARRIER=1",
    "MONOTONIC_USEC=",
    "FDSTORE=1",
    "FDNAME=",
    "EXTEND_TIMEOUT_USEC=",
    "=",
    "1",
    "0",
    "-",
    "18446744073709551615",
    "\n",
    "\r\n",
    "\xe2\x82\xac",
    "\xc2\x9b",
    "\xf0\x9f\x98\x80",
    "\xed\xa0\x80",
    "\\",
    "FDSTOREREMOVE=1",
    "2147483647",
    "\x1b[2J",
    NULL,
};

static void fuzz_seeds(void)
{
    if (driver_n == 0)
        driver_add_folder("tests/fuzz/corpus/notify");
}
#endif

static bool says(const struct notify *m, unsigned word)
{
    return (m->said & word) != 0;
}

static void check_ranges(const struct notify *m)
{
    FUZZ_ASSERT(m->error >= 0 && m->error <= 4095 && (says(m, NOTIFY_ERRNO) || m->error == 0));
    FUZZ_ASSERT(m->exit_status >= 0 && m->exit_status <= 255);
    FUZZ_ASSERT(m->main_pid >= 0 && says(m, NOTIFY_MAIN_PID) == (m->main_pid > 0));
    FUZZ_ASSERT(m->watchdog >= 0 && m->watchdog <= NOTIFY_TIME_MAX);
    FUZZ_ASSERT(m->extend >= 0 && m->extend <= NOTIFY_TIME_MAX);
    FUZZ_ASSERT(!says(m, NOTIFY_WATCHDOG) || !says(m, NOTIFY_TRIGGER));
    FUZZ_ASSERT(!says(m, NOTIFY_BARRIER) || (m->said == NOTIFY_BARRIER && !m->bad));
}

static void check_status(const struct notify *m, const char *bytes, size_t n)
{
    FUZZ_ASSERT(says(m, NOTIFY_STATUS) == (m->status != NULL));
    if (!m->status)
        return;
    FUZZ_ASSERT(m->status > bytes && m->status + m->status_length <= bytes + n);
    FUZZ_ASSERT(m->status_length <= NOTIFY_STATUS_MAX);
    FUZZ_ASSERT(!memchr(m->status, '\n', m->status_length));
}

/* What is shown once is shown the same again, but for the backslashes of what was escaped. */
static void check_shown(const char *bytes, size_t n, size_t size)
{
    char *shown = malloc(size), again[8 * NOTIFY_MAX + 1];

    if (shown == NULL)
        abort();
    notify_printable(bytes, n, shown, size);
    FUZZ_ASSERT(strnlen(shown, size) < size);
    for (const char *p = shown; *p; p++)
        FUZZ_ASSERT((unsigned char)*p >= ' ' && *p != 0x7f);
    for (char *p = shown; (p = strchr(p, '\\')) != NULL;)
        *p = '/';
    notify_printable(shown, strlen(shown), again, sizeof again);
    FUZZ_ASSERT(!strcmp(shown, again));
    free(shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = malloc(size ? size : 1); /* no more, for a sanitizer */
    struct notify m = {.said = ~0u};

    if (bytes == NULL)
        abort();
    memcpy(bytes, data, size);
    if (notify_parse(bytes, size, &m)) {
        FUZZ_ASSERT(size > 0 && size <= NOTIFY_MAX && !memchr(bytes, 0, size - 1));
        check_ranges(&m);
        check_status(&m, bytes, size);
    } else {
        FUZZ_ASSERT(m.said == 0 && !m.bad && m.status == NULL);
    }
    if (size <= NOTIFY_MAX) {
        check_shown(bytes, size, 4 * size + 1);
        check_shown(bytes, size, size % 300 + 1);
    }
    free(bytes);
    return 0;
}
