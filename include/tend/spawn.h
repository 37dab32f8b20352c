/* One child: fork, set-up, execve. Never waits for it.
 *
 * Everything the child needs is built before the fork, in one block of memory that lives until the
 * child has executed or is gone; from the fork on it makes system calls only. What went wrong comes
 * back through a pipe as {step, errno}; end of file without that is success (the write end is
 * closed by the exec, close-on-exec, pipe2(2)).
 *
 * Where nothing speaks against it the child borrows our memory instead of a copy (clone(2) with
 * CLONE_VM), on a stack of its own, which is twice as fast with many services and, unlike
 * vfork(2), does not suspend us when the exec blocks. It does not where it would change its
 * identity (another user could then look into our memory) or its OOM score (the kernel sets that
 * for all who share memory), nor where it makes no exec, since the kernel ends all who share memory
 * when it ends one for want of it.
 */
#ifndef TEND_SPAWN_H
#define TEND_SPAWN_H

#include <sys/resource.h>
#include <sys/types.h>

#include "tend/conf.h"

enum spawn_step {
    SPAWN_NONE,
    SPAWN_PREPARE, /* in the parent: memory, the pipe */
    SPAWN_CGROUP,
    SPAWN_FORK,
    SPAWN_SESSION,
    SPAWN_PROCESS_GROUP,
    SPAWN_TTY,
    SPAWN_STDIN,
    SPAWN_READY, /* the descriptor for its readiness */
    SPAWN_LIMITS,
    SPAWN_NICE,
    SPAWN_OOM_SCORE,
    SPAWN_GROUPS,
    SPAWN_GROUP,
    SPAWN_USER,
    SPAWN_PRIVILEGES,
    SPAWN_DIRECTORY,
    SPAWN_EXEC,
    SPAWN_STEP_COUNT
};
const char *spawn_step_name(int step);

/* What the command of our own command line gets back from our caller. It stays in the session and
 * the directory, with the descriptors and the environment that we were given; a service has a
 * session of its own and nothing of these. */
struct spawn_caller {
    uint64_t blocked, ignored; /* signals: a bit for each, SIGHUP is the lowest */
    int terminal;              /* where its process group is to be in the foreground; -1: nowhere */
};

/* What is the same for all children. */
struct spawn_common {
    int null;             /* /dev/null, for stdin */
    struct rlimit nofile; /* as we were given it; ours is higher */
    char **environment;   /* ours; for services less what concerns us and our starter alone */
    bool protected;       /* our own OOM score is negative, which is not meant for services */
    const struct spawn_caller *caller; /* NULL: the children are services */
};
/* Raises our own limit of descriptors, opens /dev/null and sorts the environment. Fails soft. */
void spawn_common_open(struct spawn_common *, char *const *environment,
                       const struct spawn_caller *);
void spawn_common_close(struct spawn_common *);

/* A child on its way to its exec. */
struct spawn;

/* What a child is to be, beside what its conf says. */
struct spawn_order {
    char *const
        *argv; /* conf's command or one of its other commands; NULL: it connects to `local` */
    const char
        *local;   /* of address_unix: exits 0 when somebody accepts there, else with its errno */
    bool is_main; /* the command itself: it has WATCHDOG_USEC and the descriptor of ready.fd */
    pid_t main;   /* for the others, as MAINPID; 0: there is none */
    const char *notify; /* NOTIFY_SOCKET; NULL: none */
    msec watchdog;      /* WATCHDOG_USEC, with WATCHDOG_PID its own number; 0: none */
    int ready;          /* is at conf's ready.fd in the child; -1: none. Stays the caller's */
    int cgroup;         /* a descriptor of its group, -1: none */
};
/* Returns the pid and *out, to be ended with spawn_free once spawn_read says so; or -1 with errno
 * and *step, and nothing left behind. */
pid_t spawn_start(const struct spawn_common *, const struct conf *, const struct spawn_order *,
                  struct spawn **out, enum spawn_step *step);

/* The descriptor to poll. */
int spawn_fd(const struct spawn *);

/* What the pipe says by now. FAILED is said once, with step and errno; more may be due until OVER:
 * the child has executed or ended, and spawn_free is allowed. */
enum spawn_report { SPAWN_WAIT, SPAWN_FAILED, SPAWN_OVER };
enum spawn_report spawn_read(struct spawn *, int *step, int *error);

void spawn_free(struct spawn *);

#endif
