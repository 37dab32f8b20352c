/* Who comes in, for the other files of this module. */
#ifndef TEND_CONTROL_ACCESS_H
#define TEND_CONTROL_ACCESS_H

#include <sys/socket.h>

#include "tend/control.h"

enum control_rights { CONTROL_NOTHING, CONTROL_PART, CONTROL_ALL };

/* What a peer may do, by the kernel's word when it connected. group: (gid_t)-1 for none. */
enum control_rights control_rights(int fd, gid_t group, struct ucred *peer);

/* Makes sure of ->spare, where there is a descriptor left. */
void control_keep_spare(struct control *);

#endif
