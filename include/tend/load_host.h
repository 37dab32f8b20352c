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

/* What was last found about folders: files come folder by folder, drop-ins between those of the
 * folder above. First all zero. */
struct host_folders {
    struct {
        char asked[PATH_MAX], real[PATH_MAX];
    } known[2];
    unsigned last;
    char trusted[PATH_MAX]; /* with all above it */
    bool asked_root, is_root;
};

/* All bytes of a regular file and a NUL behind them; free(). Where folders is given and we are
 * root, nobody else may be able to change the file or to replace it. *missing is set where it or
 * its folder does not exist. */
char *host_read_file(struct host_folders *folders, const char *path, size_t *size, bool *missing,
                     char *why, size_t n);

/* The folder of the file at path, absolute and without links; valid until the next call. */
const char *host_folder(struct host_folders *, const char *path, char *why, size_t n);

/* Of an existing path, absolute and without links, to real[PATH_MAX]; -1 with errno. realpath(3)
 * does not do: it may ask faccessat2(2), which a filter older than that call denies with EPERM. */
int host_real_path(const char *path, char *real);

/* The names in folder that end in ".conf", or in ".conf.d" for the folders of drop-ins, without
 * hidden and backup files, sorted bytewise; a NULL-terminated list of *count. */
char **host_list_folder(const char *folder, size_t *count, bool *missing, char *why, size_t n);

/* uid, gid, gids, logname, home and shell from user, group and groups. On error *key gets the key
 * at fault. */
int host_find_ids(struct conf *, const struct conf_key **key, char *why, size_t n);

/* The group of the supervisor's key of that name. */
int host_find_group(const char *name, gid_t *gid, char *why, size_t n);

/* What host_find_ids would find, from a conf that has it and asks for the same: 1, or 0 if it does
 * not, -1 without memory. */
int host_copy_ids(struct conf *, const struct conf *known);

/* The lines NAME=value of an environment file into conf->file_environment, each name once. On
 * error *line gets the line in that file, 0 for the file as a whole. */
int host_read_environment(struct conf *, int *line, char *why, size_t n);

#endif
