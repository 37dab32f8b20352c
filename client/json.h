/* Records as objects of JSON: which fields there are, under which name, of which kind. Pure. */
#ifndef CLIENT_JSON_H
#define CLIENT_JSON_H

#include <jansson.h>

#include "client/records.h"

enum json_kind {
    JSON_KIND_TEXT,   /* absent: null */
    JSON_KIND_NUMBER, /* absent, or no number: null */
    JSON_KIND_COUNT,  /* absent: 0 */
    JSON_KIND_FLAG,   /* absent: false */
    JSON_KIND_LOST    /* whether the field says "lost" */
};

struct json_key {
    const char *field, *name;
    enum json_kind kind;
};

/* Each ends with a key whose field is NULL. */
extern const struct json_key json_service[], json_event[], json_death[], json_edge[], json_change[],
    json_process[], json_greeting[];

/* A fresh object with every key of the table; NULL: no memory. */
json_t *json_record(const struct record *, const struct json_key *);

#endif
