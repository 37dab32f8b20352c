/* tend's own messages: whole lines to stderr, which never block and never fail.
 *
 * What stderr cannot take is dropped and counted; the count is told with the next line that gets
 * through. errno is kept. Only layers 3 and above log. */
#ifndef TEND_LOG_H
#define TEND_LOG_H

#include "tend/base.h"

/* From the next line on writes to stderr without blocking, and without changing the file
 * description that we share with others. Before it, and where there is no way, lines are written as
 * they are. */
void log_open(void);
/* The descriptor that lines go to: stderr, or one of our own. */
int log_fd(void);

/* Between the two, lines are gathered and then written together; nothing may sleep meanwhile. */
void log_hold(void);
void log_release(void);
/* A line without an end, which stands below all others on a terminal until it is replaced; "":
 * none. Only where log_can_redraw. */
void log_live(const char *text);
bool log_can_redraw(void);
/* How long until what stderr did not take should be tried again, by log_release; NEVER: nothing. */
msec log_wait(void);
/* A write that fails with one of two errors has raised a signal, too (write(2)), which would be
 * taken for one that somebody sent us, and by waking us might lead to the next write: with all
 * signals blocked, takes it back. False: this error raises none. */
bool log_take_back_signal(int error);
/* At the very end: waits for stderr to take the rest, at most so long. */
void log_drain(msec limit);

extern bool log_verbose; /* every step is to be told */

void log_info(const char *format, ...) PRINTF(1, 2);
/* Something is wrong, but we go on. log_warn adds the text of errno. */
void log_warn(const char *format, ...) PRINTF(1, 2);
void log_warnx(const char *format, ...) PRINTF(1, 2);

#endif
