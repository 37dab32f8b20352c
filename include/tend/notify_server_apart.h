/* What another process does for a notify socket, so that nothing sent to it keeps us. */
#ifndef TEND_NOTIFY_SERVER_APART_H
#define TEND_NOTIFY_SERVER_APART_H

#include <sys/types.h>

#include "tend/base.h"

/* Receives the next message with all that came with it. Returns a child of ours that has it, and
 * closes that as it exits, and how many those were; 0: the child died before it could. -1 with
 * errno: there is no child. */
pid_t notify_server_receive_apart(int fd, unsigned *descriptors);
/* Closes it with whatever waits in it; false: there is no child. */
bool notify_server_close_apart(int fd);

#endif
