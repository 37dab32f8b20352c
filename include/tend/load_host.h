/* What the loader asks of the host: files it may trust, users and groups, environment files.
 * Runs in the loading child, since any of it may block.
 *
 * Functions return NULL or -1 and put into why (of size n) what is wrong and what would be right,
 * without the place. */
#ifndef TEND_LOAD_HOST_H
#define TEND_LOAD_HOST_H

#include <limits.h>

#include "tend/conf.h"

enum { HOST_FILE_MAX = 256 * 1024 };

/* All bytes of a regular file and a NUL behind them; free(). With trusted and when we are root,
 * nobody but root may be able to change the file or replace it; trusted (of size PATH_MAX, first
 * empty) remembers the last good folder. *missing is set where it or its folder does not exist. */
char *host_read_file(const char *path, char *trusted, size_t *size, bool *missing, char *why,
                     size_t n);

/* The folder of the file at path, absolute and without links. */
int host_folder(const char *path, char folder[static PATH_MAX], char *why, size_t n);

/* The names in folder that end in ".conf", without hidden and backup files, sorted bytewise;
 * a NULL-terminated list. */
char **host_list_folder(const char *folder, bool *missing, char *why, size_t n);

/* uid, gid, gids, logname, home and shell from user, group and groups. On error *key gets the key
 * at fault. */
int host_find_ids(struct conf *, const struct conf_key **key, char *why, size_t n);

/* The same from a conf that has them, if it asks for the same: 1, or 0 if not, -1 without memory.
 */
int host_copy_ids(struct conf *, const struct conf *known);

/* The lines NAME=value of an environment file into conf->file_environment, each name once. On
 * error *line gets the line in that file, 0 for the file as a whole. */
int host_read_environment(struct conf *, int *line, char *why, size_t n);

#endif
