/* The command line. */
#ifndef TEND_OPTIONS_H
#define TEND_OPTIONS_H

#include "tend/check.h"
#include "tend/entrypoint.h"

struct options {
    char **paths; /* of the config, NULL-terminated; NULL: none given */
    size_t n_paths;
    bool check, list; /* --check, --options */
    enum check_format format;
    bool strict;
    msec deadline;                /* of the shutdown, from its beginning; NEVER: none given */
    const char *record;           /* NULL: none */
    char *runtime;                /* NULL: none given */
    struct entrypoint entrypoint; /* conf NULL: service mode */
    int parent_death;             /* signal, 0: none */
    int ready_fd;                 /* open for writing, close-on-exec; -1: none */
};

/* Ends the process for --help and --version, and with WORLD_BAD_USAGE, after a message, for what
 * cannot be. */
void options_parse(struct options *, int argc, char **argv);

#endif
