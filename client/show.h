/* What several verbs show in the same way. */
#ifndef CLIENT_SHOW_H
#define CLIENT_SHOW_H

#include "client/json.h"
#include "client/session.h"
#include "client/table.h"
#include "tend/text.h"

/* "web: starting, pid 12" for each service of the reply, or its entry in the document. */
void show_services(struct client *, const struct reply *);
/* The services of a reply come first, by name; returns how many there are. */
size_t show_sort_services(struct reply *);
/* A record with at=, and the time of the wall that this was. */
json_t *show_dated(struct client *, const struct record *, const struct json_key *);
/* Prints, or ends for want of memory. */
void show_table(struct client *, struct table *);

enum { SHOW_SIZE_MAX = 16 };
/* "812K", "1.2M"; "-" for less than 0. */
const char *show_size(int64_t bytes, char buf[static SHOW_SIZE_MAX]);
/* "12s", "-" for 0. */
const char *show_time(int64_t duration, char *buf);

#endif
