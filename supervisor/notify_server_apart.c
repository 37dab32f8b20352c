/* A descriptor that comes with a message (SCM_RIGHTS) is closed by whoever receives it, or throws
 * it away, and close(2) may block: at the last one where a TCP socket lingers, at each one where a
 * FUSE server answers late. So it is never received here.
 *
 * The child that does has a copy of our descriptors, so that none of its own is ever in ours, and
 * in what is forked of us. We are suspended until it has left our memory (CLONE_VFORK), which it
 * does as it exits, before it closes anything (exit(2)): by then the message is out of the queue.
 */
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tend/notify_server_apart.h"
#include "tend/raw.h"

#if RAW_WITHOUT_ERRNO && !defined(__SANITIZE_ADDRESS__)
enum { SHARE = CLONE_VM };
#else
enum { SHARE = 0 };
#endif

/* MOST: of one message (unix(7)). ROOM: descriptors that the child may have then.
 * OLD_KERNEL: so many it closes where there is no close_range(2). */
enum { MOST = 253, ROOM = 512, OLD_KERNEL = 1024, STACK = 16384 };

struct receiver {
    int fd;
    bool received;
    unsigned descriptors;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct ucred)) +
                                          CMSG_SPACE(MOST * sizeof(int))];
    _Alignas(16) char stack[STACK];
};

/* ---- in the child: system calls only ---- */

/* It may last, and must not keep what is ours. */
static void close_but(long fd)
{
    if (raw(SYS_close_range, fd + 1, ~0u, 0, 0, 0) == 0) {
        if (fd > 0)
            raw(SYS_close_range, 0, fd - 1, 0, 0, 0);
        return;
    }
    for (long i = 0; i < OLD_KERNEL; i++)
        if (i != fd)
            raw(SYS_close, i, 0, 0, 0, 0);
}

static void count(struct receiver *r, struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            r->descriptors = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
}

/* What finds no room is closed before recvmsg(2) returns, while we are suspended: so there is to be
 * room. Whoever may not raise its limit to that is no PID 1 of a machine. */
static void receive(struct receiver *r)
{
    static const struct rlimit room = {ROOM, ROOM};
    char byte;
    struct iovec part = {.iov_base = &byte, .iov_len = sizeof byte};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = r->control,
                             .msg_controllen = sizeof r->control};

    close_but(r->fd);
    raw(SYS_prlimit64, 0, RLIMIT_NOFILE, (long)&room, 0, 0);
    if (raw(SYS_recvmsg, r->fd, (long)&message, MSG_DONTWAIT, 0, 0) < 0)
        return;
    r->received = true;
    count(r, &message);
    raw(SYS_close, r->fd, 0, 0, 0, 0);
}

static int child_main(void *arg)
{
    receive(arg);
    return 0; /* to _exit(2), see clone(2) */
}

/* ---- in the parent ---- */

/* One for all: nobody else is awake while it is used. */
static struct receiver *receiver(void)
{
    static struct receiver *r;
    void *at;

    if (!r) {
        at = mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (at != MAP_FAILED)
            r = at;
    }
    return r;
}

/* A handler must not run in the child, on our memory. */
static pid_t clone_blocked(struct receiver *r)
{
    sigset_t all, before;
    pid_t pid;
    int error;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid = clone(child_main, r->stack + sizeof r->stack, CLONE_VFORK | SHARE | SIGCHLD, r);
    error = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return pid;
}

pid_t notify_server_receive_apart(int fd, unsigned *descriptors)
{
    struct receiver *r = receiver();
    pid_t pid;

    *descriptors = 0;
    if (!r)
        return -1;
    r->fd = fd;
    r->received = false;
    r->descriptors = 0;
    pid = clone_blocked(r);
    if (pid > 0 && r->received)
        *descriptors = r->descriptors ? r->descriptors : 1;
    return pid;
}

/* It shares our descriptors: else ours could be the last. It must not keep them without us. */
static int close_as_child(void *arg)
{
    const int *fd = arg;
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(*fd);
    _exit(0);
}

bool notify_server_close_apart(int fd)
{
    _Alignas(16) char stack[STACK];

    return clone(close_as_child, stack + sizeof stack, CLONE_FILES | SIGCHLD, &fd) > 0;
}
