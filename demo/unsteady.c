/* A service that does not last: after a time between --min and --max it ends badly, in one of the
 * ways in which programs do. Shows restarts and their growing delay. */
#include <getopt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "demo.h"

struct end {
    const char *what;
    int code, signal;
};

static const struct end ends[] = {
    {"gives up with 1", 1, 0},
    {"gives up with 75", 75, 0},
    {"aborts", 0, SIGABRT},
    {"reads where nothing is", 0, SIGSEGV},
};

/* Below limit. The remainder favours small numbers by less than limit in 2^64. */
static uint64_t random_below(uint64_t limit)
{
    uint64_t r;
    if (getrandom(&r, sizeof r, 0) != sizeof r)
        err(1, "getrandom");
    return r % limit;
}

static void live(msec t)
{
    struct timespec end = clock_timespec(clock_now() + t);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR)
        ;
}

/* No core file: the limit does not hold where cores go to a program, not being dumpable does. */
static void die_by(int signal_number)
{
    const struct rlimit none = {0};
    sigset_t set;
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
    signal(signal_number, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, signal_number);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(signal_number);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"min", required_argument, NULL, 'i'}, {"max", required_argument, NULL, 'a'}, {0}};
    msec min = 2000, max = 20000;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'i')
            min = option_duration("min", optarg);
        else if (c == 'a')
            max = option_duration("max", optarg);
        else
            return 2;
    }
    if (optind < argc)
        errx(2, "unknown argument %s", argv[optind]);
    if (min > max)
        errx(2, "--min should not be longer than --max");

    msec t = min + (msec)random_below((uint64_t)(max - min) + 1);
    const struct end *end = &ends[random_below(ARRAY_SIZE(ends))];
    setvbuf(stdout, NULL, _IOLBF, 0); /* a line that waits in a buffer would be lost in a crash */
    printf("unsteady: started\n");
    live(t);
    printf("unsteady: %s after %lld ms\n", end->what, (long long)t);
    if (end->signal)
        die_by(end->signal);
    return end->code;
}
