/* tend -- COMMAND: one command in the session, the environment and the terminal of our caller.
 *
 * It is a service like any other to the engine: it is never restarted, and its end is the end of
 * all. What differs is here: signals are sent on to it instead of obeyed, and it is the job that
 * the shell which started us sees, so that stopping and continuing it stops and continues us. */
#ifndef TEND_ENTRYPOINT_H
#define TEND_ENTRYPOINT_H

#include "tend/conf.h"
#include "tend/spawn.h"

enum { ENTRYPOINT_SIGNALS = 65 };

struct entrypoint {
    struct conf *conf;          /* the command; goes over to the engine */
    struct spawn_caller caller; /* what it gets back */
    msec grace;                 /* from TERM to KILL for all that is left; NEVER: none */
    bool subreaper;             /* it was asked for */
    unsigned char rewrite[ENTRYPOINT_SIGNALS]; /* what each is sent on as; 0: not at all */
};

struct world;

/* Starts the command; -1 with errno when there is no memory. From then on nothing that was our
 * caller's is held by us but stderr. */
int entrypoint_start(struct world *);
/* Sends the signal on; sent: it came from a process, not from the terminal. False: the command has
 * ended, so that it is to be obeyed. */
bool entrypoint_forward(struct world *, int signal, bool sent);
/* A child may have stopped. */
void entrypoint_look(struct world *);
/* It was stopped, and nobody would ever continue it: it goes on. */
void entrypoint_resume(struct world *);
/* The command has ended: the terminal is for its caller again. */
void entrypoint_ended(struct world *);

#endif
