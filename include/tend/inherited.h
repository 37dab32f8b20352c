/* Descriptors above the first three that whoever started us has left open: where close_range(2) is
 * not to be had, they are found one by one. */
#ifndef TEND_INHERITED_H
#define TEND_INHERITED_H

/* Calls each for those that are open and not close-on-exec, as all of ours are. It may close them.
 */
void inherited_each(void (*each)(int fd));
/* The same for all that are open. */
void inherited_or_ours_each(void (*each)(int fd));

#endif
