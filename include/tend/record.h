/* The records of a run, written to a file as they come, one line each as history_fields has them.
 * The first line is "tend-record version=1 at=MS wall=MS": the time of the records, and since 1970,
 * at the same moment. What the file does not take is lost. */
#ifndef TEND_RECORD_H
#define TEND_RECORD_H

#include "tend/history.h"

/* A new file, or one that is emptied; -1 with errno. Never waits for a reader of a pipe. */
int record_open(const char *path);
void record_write(int fd, const struct history_record *);

#endif
