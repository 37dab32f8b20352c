/* Saying that all is ready on a descriptor that whoever started us has left open for that: one
 * newline, then its end (s6-notifyoncheck and others). */
#ifndef TEND_READY_FD_H
#define TEND_READY_FD_H

/* 1: it was said; 0: there is no room now; -1 with errno. Never waits, and leaves the file
 * description, which others may share, as it is. Closes fd unless it returns 0. */
int ready_fd_say(int fd);

#endif
