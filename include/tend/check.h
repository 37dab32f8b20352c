/* `tend --check` and `tend --options`: what can be told without running anything. */
#ifndef TEND_CHECK_H
#define TEND_CHECK_H

/* Loads in a child as the daemon does; prints every problem to stderr, or OK and the order of
 * start to stdout. Returns the exit status. */
int check_config(char *const *paths);

/* Prints every key of the config with its kind, default and sentence. Returns the exit status. */
int check_options(void);

#endif
