/* `tend --check` and `tend --options`: what can be told without running anything. */
#ifndef TEND_CHECK_H
#define TEND_CHECK_H

#include "tend/base.h"

enum check_format { CHECK_TEXT, CHECK_JSON, CHECK_RECORDS, CHECK_FORMAT_COUNT };
extern const char *const check_formats[]; /* their names */

/* Loads in a child as the daemon does; prints every problem to stderr, or to stdout what start and
 * shutdown will be. deadline: of a shutdown, NEVER: that of the config. Returns the exit status, 1
 * where the worst case does not fit the deadline. For JSON the process becomes another program that
 * ends with it. */
int check_config(char *const *paths, msec deadline, enum check_format);

/* Prints every key of the config with its kind, default and sentence. Returns the exit status. */
int check_options(void);

#endif
