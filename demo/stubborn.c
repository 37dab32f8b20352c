/* A service that does not go when it is told to: only SIGKILL ends it (and SIGINT, for people at a
 * terminal). Shows why every stop needs a last step. */
#include <signal.h>
#include <stdio.h>

#include "demo.h"

/* Blocked and fetched by sigwait, a signal needs no handler, so printf is safe. */
int main(void)
{
    sigset_t set;
    int signal_number;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("stubborn: here I stay\n");
    for (;;) {
        errno = sigwait(&set, &signal_number);
        if (errno)
            err(1, "sigwait");
        printf("stubborn: got SIGTERM, and stay\n");
    }
}
