/* What tend's records say, in words for people. Pure: from a record to a part of a sentence, which
 * may be empty. */
#ifndef CLIENT_WORDS_H
#define CLIENT_WORDS_H

#include "client/records.h"
#include "client/table.h"
#include "tend/text.h"

enum paint words_paint(const struct record *);

/* Its probes have failed too often in a row. */
bool words_is_unhealthy(const struct record *);
/* Whether it is as it should be: ready or done, and not unhealthy. */
bool words_is_there(const struct record *);

/* How a life ended, also of an event or a death: "exit 3", "signal SEGV (core dumped)", "exec: No
 * such file or directory". */
void words_end(struct text *, const struct record *);
/* The same for a column: "exit 3", "SEGV core", "ENOENT". */
void words_end_short(struct text *, const struct record *);

/* Why it stopped: "by request". */
void words_cause(struct text *, const struct record *);

/* Why it did not stay up: how it ended, or what else was the reason. */
void words_reason(struct text *, const struct record *);

/* What comes next, and what it waits for: "waits for db", "next try in 3s". */
void words_note(struct text *, const struct record *);

/* What its probes tell: "unhealthy: connection refused (3 in a row)". */
void words_health(struct text *, const struct record *);
/* What it says of itself: "says: 3 of 5 loaded". */
void words_status(struct text *, const struct record *);
/* What is to come before it is ready: "its READY=1", "a connection to [::1]:80". */
void words_ready_on(struct text *, const struct record *);
/* Text of another program, whole characters where there is no room for all. */
void words_put(struct text *, const char *text);

/* "starting, pid 12"; "backoff, exit 1, next try in 3s". */
void words_service(struct text *, const struct record *);

/* " for 3s", with what stands before it; nothing for 0. */
void words_time(struct text *, const char *before, int64_t duration);

#endif
