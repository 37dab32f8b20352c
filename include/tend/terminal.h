/* Our controlling terminal, and which process group is in its foreground (tcsetpgrp(3); POSIX, XBD
 * 11.1). Nothing here acquires a terminal. TTOU has to be blocked: then we may change the
 * foreground from the background too. TTIN has to be as well: a read from the background then
 * fails. */
#ifndef TEND_TERMINAL_H
#define TEND_TERMINAL_H

#include <stdbool.h>
#include <sys/types.h>

/* A descriptor of our own, CLOEXEC; -1: there is none. */
int terminal_open(void);

/* Whether stdin and stdout both are that terminal: somebody sits before it, and no other process of
 * a pipeline reads from it. */
bool terminal_is_stdio(void);

/* Whether our own process group is in the foreground; right also where that group has no number
 * that we could see, since its leader is outside of our PID namespace. */
bool terminal_is_ours(int fd);
bool terminal_has(int fd, pid_t group);
void terminal_give(int fd, pid_t group);

#endif
