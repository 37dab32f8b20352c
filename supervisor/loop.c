#include "tend/loop.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

static int64_t nanoseconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

msec loop_now(void)
{
    return nanoseconds() / 1000000;
}

msec loop_now_up(void)
{
    return (nanoseconds() + 999999) / 1000000;
}

int loop_add(struct loop *l, int fd, uint32_t kind, uint32_t index)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)kind << 32 | index};

    return epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &event);
}

int loop_want(struct loop *l, int fd, uint32_t kind, uint32_t index, bool read, bool write)
{
    struct epoll_event event = {.events = (read ? EPOLLIN : 0u) | (write ? EPOLLOUT : 0u),
                                .data.u64 = (uint64_t)kind << 32 | index};

    return epoll_ctl(l->epoll, EPOLL_CTL_MOD, fd, &event);
}

void loop_remove(struct loop *l, int fd)
{
    epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL);
}

const char *loop_open(struct loop *l, const sigset_t *signals, uint32_t signal_kind)
{
    l->signals = -1;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll < 0)
        return "epoll_create1";
    l->signals = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (l->signals < 0)
        return "signalfd4";
    return loop_add(l, l->signals, signal_kind, 0) ? "epoll_ctl" : NULL;
}

static int timeout(msec now, msec deadline)
{
    if (deadline == NEVER)
        return -1;
    if (deadline <= now)
        return 0;
    return deadline - now > INT_MAX ? INT_MAX : (int)(deadline - now);
}

int loop_wait(struct loop *l, msec now, msec deadline, struct loop_event *events, int max)
{
    struct epoll_event ready[64];
    int room = max < (int)ARRAY_SIZE(ready) ? max : (int)ARRAY_SIZE(ready);
    int n = epoll_wait(l->epoll, ready, room, timeout(now, deadline));

    /* we were stopped: what came meanwhile comes before the deadlines that passed meanwhile */
    if (n < 0 && errno == EINTR)
        n = epoll_wait(l->epoll, ready, room, 0);
    for (int i = 0; i < n; i++)
        events[i] =
            (struct loop_event){(uint32_t)(ready[i].data.u64 >> 32), (uint32_t)ready[i].data.u64};
    return n < 0 ? 0 : n;
}

struct loop_signal loop_signal(struct loop *l)
{
    struct signalfd_siginfo info;

    if (read(l->signals, &info, sizeof info) != (ssize_t)sizeof info)
        return (struct loop_signal){0};
    return (struct loop_signal){(int)info.ssi_signo, info.ssi_code <= SI_USER};
}
