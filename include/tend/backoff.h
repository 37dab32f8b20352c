/* After a life: wait how long, be done, or give up. Pure: policy, history and now are given. */
#ifndef TEND_BACKOFF_H
#define TEND_BACKOFF_H

#include "tend/service.h"

enum backoff { BACKOFF_WAIT, BACKOFF_DONE, BACKOFF_GIVE_UP };

/* A life that began at started is over at now; success as the policy sees it. On WAIT, *next is
 * when the next start is due, never before now.
 *
 * Two starts are at least `delay` apart, and twice as far after each failure in a row, up to
 * max_delay; so a service that had lived longer than that is back at once. Services that fail
 * together are spread by up to an eighth of the delay, which never makes it shorter than the one
 * before. More than `limit` starts within `window` is giving up; above TRIES_KEPT the limit is kept
 * as a rate. */
enum backoff backoff_after(const struct conf *, struct tries *, bool success, msec started,
                           msec now, msec *next);

/* Notes a start; to be called at each fork. */
void backoff_started(const struct conf *, struct tries *, msec now);

/* A life that had become ready ran so long until it ended or was told to: a run of at least
 * `healthy` forgets all failures. */
void backoff_ran(const struct conf *, struct tries *, msec ran);

void backoff_forget(struct tries *);

#endif
