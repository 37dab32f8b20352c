#include "tend/notify.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* ---- text ---- */

struct span {
    const char *at;
    size_t n;
};

static bool is_word(struct span s, const char *word)
{
    return s.n == strlen(word) && !memcmp(s.at, word, s.n);
}

/* Digits alone; one with a needless zero before it could be meant as octal. */
static bool read_number(struct span s, uint64_t high, uint64_t *out)
{
    uint64_t value = 0;

    if (s.n == 0 || (s.at[0] == '0' && s.n > 1))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.at[i] < '0' || s.at[i] > '9' || __builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.at[i] - '0'), &value))
            return false;
    *out = value;
    return value <= high;
}

static bool is_continuation(const unsigned char *p, size_t i, size_t n)
{
    return i < n && (p[i] & 0xc0) == 0x80;
}

/* Bytes of the well-formed UTF-8 character at p (RFC 3629); 0: there is none. */
static size_t character(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t length = p[0] < 0x80   ? 1
                    : p[0] < 0xc2 ? 0
                    : p[0] < 0xe0 ? 2
                    : p[0] < 0xf0 ? 3
                    : p[0] < 0xf5 ? 4
                                  : 0;

    for (size_t i = 1; i < length; i++)
        if (!is_continuation(p, i, n))
            return 0;
    /* longer than needed, a surrogate, beyond U+10FFFF */
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return length;
}

/* ---- fields ---- */

/* What is no zero stays none: zero would be "off". */
static msec rounded_up(uint64_t usec)
{
    uint64_t time = usec / 1000 + (usec % 1000 != 0);

    return time < NOTIFY_TIME_MAX ? (msec)time : NOTIFY_TIME_MAX;
}

static bool read_status(struct span s, struct notify *m)
{
    size_t n = s.n;

    if (n > NOTIFY_STATUS_MAX) {
        n = NOTIFY_STATUS_MAX;
        for (size_t back = 1; back < 4; back++)
            if (character(s.at + n - back, s.n - n + back) > back) {
                n -= back;
                break;
            }
    }
    m->status = s.at;
    m->status_length = n;
    return true;
}

static bool read_main_pid(struct span s, struct notify *m)
{
    uint64_t pid;

    if (!read_number(s, INT_MAX, &pid) || pid == 0)
        return false;
    m->main_pid = (pid_t)pid;
    return true;
}

static bool read_error(struct span s, struct notify *m)
{
    uint64_t error;

    if (!read_number(s, 4095, &error))
        return false;
    m->error = (int)error;
    return true;
}

static bool read_exit_status(struct span s, struct notify *m)
{
    uint64_t status;

    if (!read_number(s, 255, &status))
        return false;
    m->exit_status = (int)status;
    return true;
}

static bool read_watchdog(struct span s, struct notify *m)
{
    bool trigger = is_word(s, "trigger");

    if (trigger || is_word(s, "1"))
        m->said |= trigger ? NOTIFY_TRIGGER : NOTIFY_WATCHDOG;
    return trigger || is_word(s, "1");
}

static bool read_watchdog_time(struct span s, struct notify *m)
{
    uint64_t usec;

    if (!read_number(s, UINT64_MAX, &usec))
        return false;
    m->watchdog = rounded_up(usec);
    return true;
}

static bool read_extend(struct span s, struct notify *m)
{
    uint64_t usec;

    if (!read_number(s, UINT64_MAX, &usec))
        return false;
    m->extend = rounded_up(usec);
    return true;
}

static bool read_monotonic(struct span s, struct notify *m)
{
    uint64_t usec;

    if (!read_number(s, UINT64_MAX, &usec))
        return false;
    m->reloading_usec = usec;
    return true;
}

static const struct field {
    const char *name;
    unsigned word;                              /* is said then; 0: nothing, or what read says */
    bool (*read)(struct span, struct notify *); /* NULL: only "1" is a value */
} fields[] = {
    {"READY", NOTIFY_READY, NULL},
    {"RELOADING", NOTIFY_RELOADING, NULL},
    {"STOPPING", NOTIFY_STOPPING, NULL},
    {"STATUS", NOTIFY_STATUS, read_status},
    {"ERRNO", NOTIFY_ERRNO, read_error},
    {"EXIT_STATUS", NOTIFY_EXIT_STATUS, read_exit_status},
    {"MAINPID", NOTIFY_MAIN_PID, read_main_pid},
    {"WATCHDOG", 0, read_watchdog},
    {"WATCHDOG_USEC", NOTIFY_WATCHDOG_TIME, read_watchdog_time},
    {"EXTEND_TIMEOUT_USEC", NOTIFY_EXTEND, read_extend},
    {"MONOTONIC_USEC", 0, read_monotonic},
    {"BARRIER", NOTIFY_BARRIER, NULL},
    {"FDSTORE", NOTIFY_STORE, NULL},
    {"FDSTOREREMOVE", NOTIFY_STORE_REMOVE, NULL},
};

/* ARRAY_SIZE(fields): none of that name. */
static size_t find_field(struct span name)
{
    size_t i = 0;

    while (i < ARRAY_SIZE(fields) && !is_word(name, fields[i].name))
        i++;
    return i;
}

static void read_line(struct span line, unsigned *seen, struct notify *m)
{
    const char *equals = memchr(line.at, '=', line.n);
    struct span name = {line.at, equals ? (size_t)(equals - line.at) : line.n}, value;
    size_t i = find_field(name);

    if (!equals || i == ARRAY_SIZE(fields) || (*seen >> i & 1))
        return;
    static_assert(ARRAY_SIZE(fields) <= sizeof *seen * CHAR_BIT, "a bit for each");
    *seen |= 1u << i;
    value = (struct span){equals + 1, line.n - name.n - 1};
    if (fields[i].read ? fields[i].read(value, m) : is_word(value, "1"))
        m->said |= fields[i].word;
    else
        m->bad = true;
}

static size_t length_of_line(const char *at, size_t n)
{
    size_t i = 0;

    while (i < n && at[i] != '\n' && at[i] != '\r')
        i++;
    return i;
}

bool notify_parse(const char *bytes, size_t n, struct notify *m)
{
    unsigned seen = 0, lines = 0;

    *m = (struct notify){0};
    if (n > NOTIFY_MAX)
        return false;
    n -= n > 0 && bytes[n - 1] == '\0';
    if (n == 0 || memchr(bytes, '\0', n))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct span line = {bytes + i, length_of_line(bytes + i, n - i)};
        lines += line.n > 0;
        read_line(line, &seen, m);
        i += line.n;
    }
    if ((m->said & NOTIFY_BARRIER) && lines > 1)
        *m = (struct notify){.bad = true};
    return true;
}

/* ---- for people ---- */

/* Bytes of text that are written, into piece; *used: bytes that were read for it. */
static size_t printable(const char *text, size_t n, char piece[static 5], size_t *used)
{
    size_t length = character(text, n);
    unsigned char first = (unsigned char)text[0];
    bool c1 = length == 2 && first == 0xc2 && (unsigned char)text[1] < 0xa0;

    *used = 1;
    if (length == 0 || c1 || first < ' ' || first == 0x7f || first == '\\')
        return (size_t)snprintf(piece, 5, "\\x%02x", first);
    memcpy(piece, text, length);
    *used = length;
    return length;
}

void notify_printable(const char *bytes, size_t n, char *buf, size_t size)
{
    static const char dots[] = "...";
    size_t out = 0, cut = 0, used, room = size ? size - 1 : 0; /* cut: where the dots have room */

    for (size_t i = 0; i < n; i += used) {
        char piece[5];
        size_t length = printable(bytes + i, n - i, piece, &used);
        if (out + length > room) {
            size_t more = room - cut < sizeof dots - 1 ? room - cut : sizeof dots - 1;
            memcpy(buf + cut, dots, more);
            out = cut + more;
            break;
        }
        memcpy(buf + out, piece, length);
        out += length;
        if (out + sizeof dots - 1 <= room)
            cut = out;
    }
    if (size)
        buf[out] = '\0';
}
