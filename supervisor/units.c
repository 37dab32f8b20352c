#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tend/units.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

/* Largest first: the order in which a duration is written. */
static const struct unit {
    const char *name;
    msec length;
} units[] = {{"d", DAY}, {"h", HOUR}, {"m", MINUTE}, {"s", SECOND}, {"ms", 1}};

static const struct {
    int number;
    const char *name;
} signals[] = {
    {SIGHUP, "HUP"},   {SIGINT, "INT"},       {SIGQUIT, "QUIT"}, {SIGILL, "ILL"},
    {SIGTRAP, "TRAP"}, {SIGABRT, "ABRT"},     {SIGBUS, "BUS"},   {SIGFPE, "FPE"},
    {SIGKILL, "KILL"}, {SIGUSR1, "USR1"},     {SIGSEGV, "SEGV"}, {SIGUSR2, "USR2"},
    {SIGPIPE, "PIPE"}, {SIGALRM, "ALRM"},     {SIGTERM, "TERM"}, {SIGSTKFLT, "STKFLT"},
    {SIGCHLD, "CHLD"}, {SIGCONT, "CONT"},     {SIGSTOP, "STOP"}, {SIGTSTP, "TSTP"},
    {SIGTTIN, "TTIN"}, {SIGTTOU, "TTOU"},     {SIGURG, "URG"},   {SIGXCPU, "XCPU"},
    {SIGXFSZ, "XFSZ"}, {SIGVTALRM, "VTALRM"}, {SIGPROF, "PROF"}, {SIGWINCH, "WINCH"},
    {SIGIO, "IO"},     {SIGPWR, "PWR"},       {SIGSYS, "SYS"},   {SIGABRT, "IOT"},
    {SIGCHLD, "CLD"},  {SIGIO, "POLL"},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Decimal digits without a needless leading zero; moves *text behind them. */
static int digits(const char **text, uint64_t *out)
{
    const char *p = *text;
    uint64_t value = 0;

    if (!is_digit(*p) || (*p == '0' && is_digit(p[1])))
        return -1;
    for (; is_digit(*p); p++) {
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return -1;
    }
    *text = p;
    *out = value;
    return 0;
}

static size_t letters(const char *text)
{
    size_t n = 0;

    while (text[n] >= 'a' && text[n] <= 'z')
        n++;
    return n;
}

/* The unit at text, searched from `from` on, so that no unit comes twice or out of order. */
static size_t unit_find(const char *text, size_t from)
{
    size_t n = letters(text);

    for (; from < ARRAY_SIZE(units); from++)
        if (strlen(units[from].name) == n && memcmp(units[from].name, text, n) == 0)
            break;
    return from;
}

int units_duration(const char *text, msec *out)
{
    msec total = 0;
    size_t next = 0;

    if (strcmp(text, "0") == 0) {
        *out = 0;
        return 0;
    }
    do {
        uint64_t value;
        msec part;
        size_t unit;
        if (digits(&text, &value) != 0)
            return -1;
        unit = unit_find(text, next);
        if (unit == ARRAY_SIZE(units) || value > INT64_MAX ||
            __builtin_mul_overflow((msec)value, units[unit].length, &part) ||
            __builtin_add_overflow(total, part, &total))
            return -1;
        text += strlen(units[unit].name);
        next = unit + 1;
    } while (*text != '\0');
    if (total == NEVER)
        return -1;
    *out = total;
    return 0;
}

/* value and unit for the largest units of t, at most `most` of them. */
static void duration_write(uint64_t t, size_t most, char *buf, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < ARRAY_SIZE(units) && most > 0; i++) {
        uint64_t value = t / (uint64_t)units[i].length;
        if (value == 0)
            continue;
        t -= value * (uint64_t)units[i].length;
        used += (size_t)snprintf(buf + used, size - used, "%llu%s", (unsigned long long)value,
                                 units[i].name);
        most--;
    }
    if (used == 0)
        snprintf(buf, size, "0s");
}

const char *units_duration_text(msec t, char buf[static UNITS_DURATION_MAX])
{
    uint64_t size = t < 0 ? -(uint64_t)t : (uint64_t)t;
    size_t sign = t < 0;

    if (t == NEVER)
        return strcpy(buf, "never");
    buf[0] = '-';
    duration_write(size, ARRAY_SIZE(units), buf + sign, UNITS_DURATION_MAX - sign);
    return buf;
}

static uint64_t round_to(uint64_t t, uint64_t step)
{
    return (t + step / 2) / step * step;
}

const char *units_duration_short(msec t, char buf[static UNITS_DURATION_MAX])
{
    uint64_t size = t < 0 ? -(uint64_t)t : (uint64_t)t;
    size_t sign = t < 0;

    if (t == NEVER)
        return strcpy(buf, "never");
    if (size >= SECOND)
        size = round_to(size, size < 9950 ? SECOND / 10 : SECOND);
    if (size >= HOUR)
        size = round_to(size, size < DAY ? MINUTE : HOUR);
    buf[0] = '-';
    if (size > SECOND && size < 10 * SECOND && size % SECOND != 0)
        snprintf(buf + sign, UNITS_DURATION_MAX - sign, "%u.%us", (unsigned)(size / SECOND),
                 (unsigned)(size % SECOND / 100));
    else
        duration_write(size, 2, buf + sign, UNITS_DURATION_MAX - sign);
    return buf;
}

int units_size(const char *text, uint64_t *out)
{
    static const char suffixes[] = "KMGT";
    const char *suffix;
    uint64_t value;

    if (digits(&text, &value) != 0)
        return -1;
    if (*text != '\0') {
        suffix = strchr(suffixes, *text);
        if (suffix == NULL || text[1] != '\0' ||
            __builtin_mul_overflow(value, UINT64_C(1024) << (10 * (suffix - suffixes)), &value))
            return -1;
    }
    *out = value;
    return 0;
}

int units_number(const char *text, long low, long high, long *out)
{
    bool negative = *text == '-';
    uint64_t value;
    long number;

    text += negative;
    if (digits(&text, &value) != 0 || *text != '\0' || value > LONG_MAX)
        return -1;
    if (negative && value == 0)
        return -1;
    number = negative ? -(long)value : (long)value;
    if (number < low || number > high)
        return -1;
    *out = number;
    return 0;
}

int units_octal(const char *text, unsigned *out)
{
    size_t n = strspn(text, "01234567");
    unsigned value = 0;

    if (n < 3 || n > 4 || text[n] != '\0')
        return -1;
    for (; *text != '\0'; text++)
        value = value * 8 + (unsigned)(*text - '0');
    if (value > 0777)
        return -1;
    *out = value;
    return 0;
}

/* "", "+3" or "-1" behind RTMIN or RTMAX. */
static int signal_offset(const char *text, char sign, long base, int *out)
{
    long offset = 0;

    if (*text != '\0' &&
        (*text != sign || units_number(text + 1, 0, SIGRTMAX - SIGRTMIN, &offset) != 0))
        return -1;
    *out = (int)(sign == '+' ? base + offset : base - offset);
    return 0;
}

int units_signal(const char *text, int *out)
{
    long number;

    if (units_number(text, 1, SIGRTMAX, &number) == 0) {
        *out = (int)number;
        return 0;
    }
    if (strncmp(text, "SIG", 3) == 0)
        text += 3;
    if (strncmp(text, "RTMIN", 5) == 0)
        return signal_offset(text + 5, '+', SIGRTMIN, out);
    if (strncmp(text, "RTMAX", 5) == 0)
        return signal_offset(text + 5, '-', SIGRTMAX, out);
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        if (strcmp(text, signals[i].name) == 0) {
            *out = signals[i].number;
            return 0;
        }
    }
    return -1;
}

const char *units_signal_name(int signal, char buf[static UNITS_SIGNAL_MAX])
{
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        if (signal == signals[i].number)
            return signals[i].name;
    if (signal == SIGRTMIN)
        return "RTMIN";
    if (signal > SIGRTMIN && signal <= SIGRTMAX)
        snprintf(buf, UNITS_SIGNAL_MAX, "RTMIN+%d", signal - SIGRTMIN);
    else
        snprintf(buf, UNITS_SIGNAL_MAX, "signal %d", signal);
    return buf;
}
