/* The service that every supervisor under test runs.
 *
 * svc FIFO,ID    one argument, so that "#!/path/svc FIFO,ID" is a run script without a shell
 * svc FIFO,ID!   writes its record and exits
 * svc            exits at once
 *
 * Writes a record to FIFO when it starts, waits for SIGTERM, writes another and exits with 0.
 * With -DBARE (x86-64) it has no C library, whose start-up would be half of what is measured. */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifdef BARE
static long call(long number, long a, long b, long c, long d)
{
    register long fourth __asm__("r10") = d;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
                     : "rcx", "r11", "memory");
    return result;
}
#else
#define call syscall
#endif

struct record {
    uint64_t ns; /* CLOCK_MONOTONIC */
    uint32_t id;
    uint32_t kind; /* 'S' started, 'T' got SIGTERM, 'F' started and exits */
};

static uint64_t now(void)
{
    struct timespec t;
    call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&t, 0, 0);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void report(long fifo, uint64_t ns, uint32_t id, char kind)
{
    struct record r = {ns, id, (uint32_t)kind};
    call(SYS_write, fifo, (long)&r, sizeof r, 0);
}

static char *last_comma(char *argument)
{
    char *comma = argument;
    for (char *p = argument; *p; p++)
        if (*p == ',')
            comma = p;
    return comma;
}

static uint32_t number(const char **digits)
{
    uint32_t n = 0;
    while (**digits >= '0' && **digits <= '9')
        n = n * 10 + (uint32_t)(*(*digits)++ - '0');
    return n;
}

static int serve(uint64_t started, char **argv)
{
    uint64_t term = 1u << (SIGTERM - 1);
    if (!argv[0] || !argv[1])
        return 0;
    char *comma = last_comma(argv[1]);
    const char *digits = comma + 1;
    uint32_t id = number(&digits);
    call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&term, 0, sizeof term);
    *comma = 0;
    long fifo = call(SYS_openat, AT_FDCWD, (long)argv[1], O_WRONLY | O_NONBLOCK | O_CLOEXEC, 0);
    *comma = ','; /* the bench tells services apart by /proc/PID/cmdline */
    report(fifo, started, id, *digits == '!' ? 'F' : 'S');
    if (*digits == '!')
        return 0;
    while (call(SYS_rt_sigtimedwait, (long)&term, 0, 0, sizeof term) != SIGTERM)
        ;
    report(fifo, now(), id, 'T');
    return 0;
}

#ifdef BARE
__asm__(".globl _start\n_start: xor %ebp,%ebp; mov %rsp,%rdi; and $-16,%rsp; call begin");

_Noreturn void begin(char **stack);
_Noreturn __attribute__((used)) void begin(char **stack)
{
    call(SYS_exit_group, serve(now(), stack + 1), 0, 0, 0);
    __builtin_unreachable();
}
#else
int main(int argc, char **argv)
{
    (void)argc;
    return serve(now(), argv);
}
#endif
