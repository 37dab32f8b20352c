#include "tend/notify_client_socket.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* Microseconds. It repeats, as the first may come before the call has begun to wait. */
enum { INTERRUPT_EVERY = 20000 };

/* A static program has no library to load. */
#ifdef TEND_STATIC
static void load_library(struct notify_client_socket *s)
{
    (void)s;
}
#else
static void load_library(struct notify_client_socket *s)
{
    s->library = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
    if (s->library)
        *(void **)&s->say = dlsym(s->library, "sd_notify");
}
#endif

int notify_client_socket_open(struct notify_client_socket *s, const char *address)
{
    *s = (struct notify_client_socket){.fd = -1};
    if (address_unix(address, &s->address)) {
        errno = strlen(address) < sizeof s->address.local.sun_path ? EINVAL : ENAMETOOLONG;
        return -1;
    }
    s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0)
        return -1;
    load_library(s);
    return 0;
}

void notify_client_socket_close(struct notify_client_socket *s)
{
    if (s->fd >= 0)
        close(s->fd);
#ifndef TEND_STATIC
    if (s->library)
        dlclose(s->library);
#endif
    *s = (struct notify_client_socket){.fd = -1};
}

/* ---- by the library ---- */

static void do_nothing(int signal)
{
    (void)signal;
}

/* Everything is blocked but for this call, and taken by a signalfd: what has come until the timer
 * is stopped is taken here. The mask is not set to what it was, since the C library would leave out
 * the two signals that it hides. */
static int say_interruptibly(const struct notify_client_socket *s, const char *message)
{
    static const struct itimerval interrupts = {{0, INTERRUPT_EVERY}, {0, INTERRUPT_EVERY}}, none;
    const struct sigaction interrupt = {.sa_handler = do_nothing};
    struct sigaction before;
    sigset_t alarm;
    int said;

    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigaction(SIGALRM, &interrupt, &before);
    sigprocmask(SIG_UNBLOCK, &alarm, NULL);
    setitimer(ITIMER_REAL, &interrupts, NULL);
    said = s->say(0, message);
    setitimer(ITIMER_REAL, &none, NULL);
    sigprocmask(SIG_BLOCK, &alarm, NULL);
    sigaction(SIGALRM, &before, NULL);
    return said;
}

/* ---- either way ---- */

/* What is wrong with us, and may be over soon, says nothing of the receiver. */
static int judge(int error)
{
    switch (error) {
    case EAGAIN:
    case EINTR:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return 0;
    }
    errno = error;
    return -1;
}

static bool has_room(const struct notify_client_socket *s, int limit)
{
    struct pollfd p = {.fd = s->fd, .events = POLLOUT};

    return poll(&p, 1, limit) == 1;
}

/* 0: the library has found no address in the environment; EINVAL: it takes none of this length. */
static bool is_declined(int said)
{
    return said == 0 || said == -EINVAL;
}

/* Connected each time, as the receiver may be another one by now. */
int notify_client_socket_say(struct notify_client_socket *s, const char *message)
{
    if (connect(s->fd, &s->address.any, s->address.length))
        return judge(errno);
    if (s->say) {
        int said = has_room(s, 0) ? say_interruptibly(s, message) : -EAGAIN;
        if (!is_declined(said))
            return said > 0 ? 1 : judge(-said);
    }
    if (send(s->fd, message, strlen(message), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return judge(errno);
    return 1;
}

void notify_client_socket_await(const struct notify_client_socket *s, msec limit)
{
    has_room(s, limit < INT_MAX ? (int)limit : INT_MAX);
}
