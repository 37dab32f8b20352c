/* Config files to a set. Of its parts load_parse.c alone includes the parser, load_host.c reads
 * files, load_ids.c looks up names, load_text.c judges the text before the parser sees it. Runs in
 * a child of limited means, since the parser and the name service may block, crash or exit (FIFO as
 * a file, exit(2) inside the lexer), which PID 1 may not. */
#ifndef TEND_LOAD_H
#define TEND_LOAD_H

#include "tend/conf.h"

/* Loads paths (NULL-terminated; each a file, or a folder whose *.conf files are read in order of
 * name; NULL: the default places). Returns a new set, or NULL with *problems a new
 * NULL-terminated list of lines "file:line: service: what is wrong, what would be right". All
 * errors are found at once, in order of file and line. */
struct conf_set *load_files(char *const *paths, char ***problems);

/* The life of the loading child: limits itself, loads, writes one packed reply to fd. Returns the
 * exit status and frees nothing: what is left is to _exit with it. */
int load_child(char *const *paths, int fd);

#endif
