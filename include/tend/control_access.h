/* Who comes in, and how one is left, for the other files of this module. */
#ifndef TEND_CONTROL_ACCESS_H
#define TEND_CONTROL_ACCESS_H

#include <sys/socket.h>

#include "tend/control.h"

enum control_rights { CONTROL_NOTHING, CONTROL_PART, CONTROL_ALL };

/* The ids that stand for all which our user namespace does not have. */
void control_learn_overflow(struct control *);
/* What a peer may do, by the kernel's word when it connected. */
enum control_rights control_rights(const struct control *, int fd, struct ucred *peer);

/* Makes sure of ->spare, where there is a descriptor left. */
void control_keep_spare(struct control *);

/* recv(2) that does not wait. -1 with EBADMSG: a descriptor came with it, and nothing more may be
 * read. */
ssize_t control_receive(int fd, bool no_passrights, char *at, size_t size);
/* Tells the peer, and closes. */
void control_hang_up(struct control *, int fd);
/* Closes it, whatever waits in it. Until a child could be had for that it is among ->left. */
void control_let_go(struct control *, int fd);
/* Tries those again; whether none is left. */
bool control_let_go_left(struct control *);

#endif
