/* The only wait table: every child that we forked, from fork to wait, and nowhere else.
 *
 * An open hash by pid. A pid that is not in it is a stranger: an orphan that came to us. */
#ifndef TEND_CHILD_H
#define TEND_CHILD_H

#include <sys/types.h>

#include "tend/service.h"

enum child_kind {
    CHILD_MAIN,    /* a service's main process, or its before_start command */
    CHILD_COMMAND, /* a service's stop command */
    CHILD_RELOAD,  /* a service's reload command */
    CHILD_PROBE,   /* a service's probe: a command, or a connection to a local socket */
    CHILD_FORMER,  /* was the main process until the service named another (MAINPID) */
    CHILD_LOADER,  /* reads the config */
    CHILD_CLOSER,  /* closes what came with a service's messages */
    CHILD_KIND_COUNT
};

struct child {
    pid_t pid; /* 0: free */
    enum child_kind kind;
    bool named;              /* we did not fork it: its service has named it as its main process */
    struct service *service; /* NULL for those of no service */
    uint32_t generation;     /* of the service, at the fork */
    msec deadline;           /* KILL at this time, NEVER: none */
};

struct child_table {
    struct child *at; /* room is a power of two */
    size_t n, room;
};

/* Makes room for one more, before the fork; -1 with ENOMEM. */
int child_reserve(struct child_table *);
/* Cannot fail after child_reserve. The pid must not be in the table. */
struct child *child_add(struct child_table *, pid_t, enum child_kind, struct service *);
/* NULL for a stranger. The pointer holds until the table changes. */
struct child *child_find(const struct child_table *, pid_t);
void child_remove(struct child_table *, pid_t);
/* The service is forgotten: its entries are of no service from now on. */
void child_forget(struct child_table *, const struct service *);
/* The earliest deadline of all. */
msec child_deadline(const struct child_table *);
/* The next child whose deadline is at or before now, NULL: none. Takes its deadline away. */
struct child *child_expired(struct child_table *, msec now);
void child_table_free(struct child_table *);

#endif
