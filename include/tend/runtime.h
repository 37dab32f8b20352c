/* The runtime directory: what exists while tend runs, and the lock by which one tend has it. */
#ifndef TEND_RUNTIME_H
#define TEND_RUNTIME_H

#include <sys/types.h>

#include "tend/base.h"

struct runtime {
    int dir;    /* -1: there is none */
    int lock;   /* held as long as we live */
    char *path; /* absolute; NULL: no place for one is known */
};

enum runtime_found {
    RUNTIME_OPEN,
    RUNTIME_NONE, /* cannot be had: why tells; we do without */
    RUNTIME_TAKEN /* another tend has it: why tells, with its pid where that is a pid of ours */
};

/* given: from the command line, or NULL; then TEND_RUNTIME, /run/tend as root,
 * $XDG_RUNTIME_DIR/tend. A directory that is missing is made (0711), its parent is not. Opened
 * once, without following a link; must be ours and writable by nobody else. The lock comes before
 * anything in it is replaced. A relative path is taken from the present folder. */
enum runtime_found runtime_open(struct runtime *, const char *given, char *why, size_t n);
/* After it may have vanished, or could not be had: a directory and lock of the same path, made anew
 * where they are gone. RUNTIME_OPEN with nothing changed where they are still there; anything else,
 * and nothing is changed either. What was in the old directory is the caller's to make anew. */
enum runtime_found runtime_again(struct runtime *, char *why, size_t n);
/* The directory stays, and the lock file: whoever comes next may have opened it already. */
void runtime_close(struct runtime *);

#endif
