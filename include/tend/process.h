/* Children that have ended, and signals to those that live.
 *
 * This is the only place that waits and the only one that kills. A signal goes to a child that was
 * not yet reaped, to the group of one, or to a process whose identity was verified, just now or
 * when a descriptor took hold of it: never to a pid <= 1, to ourselves, or to our own group or
 * session. */
#ifndef TEND_PROCESS_H
#define TEND_PROCESS_H

#include <sys/types.h>

#include "tend/service.h"

/* The next child that has ended, left as a zombie, so that its pid and its group cannot be reused
 * while its last words are read (waitid(2), WNOWAIT). 0: none by now. -1: there is no child at all.
 * A child that stopped because it is traced, which a child can ask for itself (PTRACE_TRACEME), is
 * let go with its signal, since it would be reported for ever. */
pid_t process_peek(struct service_exit *exit);

/* Whether the kernel lets us peek at all; errno otherwise. */
bool process_can_wait(void);

/* Reaps it; a zombie that was peeked at does not block. */
void process_reap(pid_t);

/* The signal that stopped this child since it was last asked; 0: none. */
int process_stopped(pid_t child);

/* Whether a child of ours, alive or not, is in the process group: without /proc the only way to
 * know. */
bool process_group_has_child(pid_t group);

/* 0, or -1 with errno; ESRCH: gone. EINVAL: the target is none that we may signal. */
int process_signal(pid_t child, int signal);
/* The group that child leads, or made no group yet: the child alone then. */
int process_signal_group(pid_t leader, int signal);

/* To a process that is not our child: by pidfd where there is one, after same(arg) has confirmed
 * that the pid still names whom we mean. */
int process_signal_other(pid_t, int signal, bool (*same)(void *arg, pid_t), void *arg);

/* A descriptor that holds a process, whoever it is; -1 with errno; ESRCH: gone. Whether the pid
 * still named whom we mean is to be looked at after this. */
int process_open(pid_t);
/* To whom the descriptor holds; 0, or -1 with errno; ESRCH: gone. */
int process_signal_held(int fd, int signal);

/* Whether it is a child of ours that was not reaped. */
bool process_is_child(pid_t);
/* Whether it has ended, waited for or not. */
bool process_has_ended(int fd);

/* Stops our own process group with TSTP, as the terminal does: the one case in which we signal it.
 * Returns true after somebody has continued us. False: the kernel let it be, as there is nobody who
 * could (POSIX, XBD 3.264 orphaned process group; PID 1). */
bool process_suspend(void);

/* Whether nobody else is in our PID namespace. False also where we are not its PID 1. */
bool process_is_alone(void);

/* kill(-1): everybody but us. Only as PID 1 of a PID namespace, at the very end; else EPERM. */
int process_signal_all(int signal);

/* Orphans of our descendants come to us (PR_SET_CHILD_SUBREAPER); as PID 1 they do anyway. */
bool process_reaps_orphans(void);

#endif
