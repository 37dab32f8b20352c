/* A line that tend sends, taken apart: "service name=web state=running ..." (docs/PROTOCOL.md).
 * Pure and total: any bytes give a record. */
#ifndef CLIENT_RECORDS_H
#define CLIENT_RECORDS_H

#include "tend/base.h"

struct field {
    const char *key, *value;
};

/* One block, to be given to free(). */
struct record {
    const char *word; /* "service", "ok"; never NULL */
    struct field *at;
    size_t n;
};

/* For whom the values are: for people what could be no text on a terminal stays written as \xHH. */
enum record_for { RECORD_FOR_PROGRAMS, RECORD_FOR_PEOPLE };

/* From a line without its newline; NULL: no memory. */
struct record *record_new(const char *line, size_t n, enum record_for);

bool record_is(const struct record *, const char *word);
/* NULL: it has no such field. */
const char *record_get(const struct record *, const char *key);
/* "": it has no such field. */
const char *record_text(const struct record *, const char *key);
/* 0: it has no such field, or that is no whole number. */
int64_t record_number(const struct record *, const char *key);
/* Whether the field stands there and is true. */
bool record_flag(const struct record *, const char *key);

#endif
