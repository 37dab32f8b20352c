/* Any bytes as a string of JSON. */
#ifndef CLIENT_JSON_STRING_H
#define CLIENT_JSON_STRING_H

#include <jansson.h>

/* JSON is UTF-8, a path or an argument may be of any bytes: those that are not UTF-8 become the
 * replacement character. NULL: no memory. */
json_t *json_any_string(const char *text, size_t n);

#endif
