/* Plays a service that speaks sd_notify(3) with libsystemd itself: teller JOURNAL NAME STEP...
 *
 * Its journal has the form of an actor's, so that the same words find what happened. What a
 * function returned is noted after its name. In TEXT a bar stands for a newline. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "tend/base.h"

static const char *journal, *name;

PRINTF(1, 2) static void note(const char *format, ...)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    FILE *f = fopen(journal, "ae");
    if (!f)
        _exit(119); /* a journal that lies is worse than none */
    va_list args;
    va_start(args, format);
    char event[256];
    vsnprintf(event, sizeof event, format, args);
    va_end(args);
    fprintf(f, "%lld %d %s %s\n", (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000, (int)getpid(),
            name, event);
    fclose(f);
}

static void wait_ms(long ms)
{
    poll(NULL, 0, (int)ms);
}

static const char *lines(const char *text)
{
    static char copy[4096];
    snprintf(copy, sizeof copy, "%s", text);
    for (char *c = copy; *c; c++)
        if (*c == '|')
            *c = '\n';
    return copy;
}

/* ---- the steps ---- */

static void say(const char *text)
{
    note("say %d", sd_notify(0, lines(text)));
}

/* One end of a pipe goes along: "closed" when no copy of it is left, "kept" when one is. */
static void send_along(const char *text)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        exit(118);
    int told = sd_pid_notify_with_fds(0, 0, lines(text), &ends[1], 1);
    close(ends[1]);
    note("along %d", told);
    struct pollfd p = {.fd = ends[0]};
    note(poll(&p, 1, 5000) > 0 && p.revents & POLLHUP ? "closed" : "kept");
    close(ends[0]);
}

static void barrier(const char *ms)
{
    note("barrier %d", sd_notify_barrier(0, strtoull(ms, NULL, 10) * 1000));
}

static void ask_watchdog(const char *unused)
{
    uint64_t usec = 0;
    (void)unused;
    int enabled = sd_watchdog_enabled(0, &usec);
    note("watchdog %d %" PRIu64, enabled, usec);
}

/* feed=MS: from now on, so often; never returns */
static void feed(const char *ms)
{
    long every = strtol(ms, NULL, 10);
    for (;;) {
        sd_notify(0, "WATCHDOG=1");
        wait_ms(every);
    }
}

static void step_sleep(const char *ms)
{
    wait_ms(strtol(ms, NULL, 10));
}

static void step_note(const char *event)
{
    note("%s", event);
}

static void step_pause(const char *unused)
{
    (void)unused;
    for (;;)
        pause();
}

static void step_exit(const char *code)
{
    exit((int)strtol(code, NULL, 10));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*does)(const char *argument);
    } steps[] = {{"say", say},        {"along", send_along}, {"barrier", barrier},
                 {"feed", feed},      {"sleep", step_sleep}, {"watchdog", ask_watchdog},
                 {"exit", step_exit}, {"note", step_note},   {"pause", step_pause}};
    if (argc < 3)
        return 2;
    journal = argv[1];
    name = argv[2];
    note("start");
    for (int i = 3; i < argc; i++) {
        char *argument = strchr(argv[i], '=');
        if (argument)
            *argument = '\0';
        size_t k = 0;
        while (k < ARRAY_SIZE(steps) && strcmp(steps[k].name, argv[i]) != 0)
            k++;
        if (k == ARRAY_SIZE(steps)) {
            fprintf(stderr, "teller: no step %s\n", argv[i]);
            return 2;
        }
        steps[k].does(argument ? argument + 1 : "");
    }
    return 0;
}
