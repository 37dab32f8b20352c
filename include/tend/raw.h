/* System calls without errno: for a child that shares our memory, and so our thread's errno, until
 * its exec. They return -errno on failure. */
#ifndef TEND_RAW_H
#define TEND_RAW_H

#include <errno.h>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__) && !defined(__ILP32__)
#define RAW_WITHOUT_ERRNO 1
static inline long raw(long number, long a, long b, long c, long d, long e)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}

/* clone3(2) with a stack of its own for the child, which calls run(arg) there and may not return.
 */
static inline long raw_clone3(const struct clone_args *args, int (*run)(void *), void *arg)
{
    register int (*r8)(void *) __asm__("r8") = run;
    register void *r9 __asm__("r9") = arg;
    long result;

    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "mov %%r9, %%rdi\n\t"
                     "call *%%r8\n\t"
                     "hlt\n"
                     "1:"
                     : "=a"(result)
                     : "a"(SYS_clone3), "D"(args), "S"(sizeof *args), "r"(r8), "r"(r9)
                     : "rcx", "r11", "cc", "memory");
    return result;
}
#elif defined(__aarch64__)
#define RAW_WITHOUT_ERRNO 1
static inline long raw(long number, long a, long b, long c, long d, long e)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;

    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
}

static inline long raw_clone3(const struct clone_args *args, int (*run)(void *), void *arg)
{
    register long x8 __asm__("x8") = SYS_clone3;
    register long x0 __asm__("x0") = (long)args;
    register long x1 __asm__("x1") = sizeof *args;
    register int (*x9)(void *) __asm__("x9") = run;
    register void *x10 __asm__("x10") = arg;

    __asm__ volatile("svc 0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, xzr\n\t"
                     "mov x0, x10\n\t"
                     "blr x9\n\t"
                     "brk 0\n"
                     "1:"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x9), "r"(x10)
                     : "cc", "memory");
    return x0;
}
#else
#define RAW_WITHOUT_ERRNO 0
static inline long raw(long number, long a, long b, long c, long d, long e)
{
    long result = syscall(number, a, b, c, d, e);

    return result < 0 ? -errno : result;
}

static inline long raw_clone3(const struct clone_args *args, int (*run)(void *), void *arg)
{
    (void)args, (void)run, (void)arg;
    return -ENOSYS;
}
#endif

#endif
