#include "client/json_string.h"

#include <stdlib.h>
#include <string.h>

/* How many bytes the character has that text begins with; 0: it begins with none. */
static size_t character(const char *text, size_t n)
{
    for (size_t length = 1; length <= 4 && length <= n; length++) {
        json_t *one = json_stringn(text, length);
        json_decref(one);
        if (one)
            return length;
    }
    return 0;
}

static json_t *replace_bad(const char *text, size_t n)
{
    char *good = calloc(n + 1, 3), *out = good;
    json_t *value;

    if (!good)
        return NULL;
    while (n > 0) {
        size_t length = character(text, n);
        if (length)
            out = mempcpy(out, text, length);
        else
            out = stpcpy(out, "\xef\xbf\xbd");
        length = length ? length : 1;
        text += length;
        n -= length;
    }
    value = json_stringn(good, (size_t)(out - good));
    free(good);
    return value;
}

json_t *json_any_string(const char *text, size_t n)
{
    json_t *value = json_stringn(text, n);

    return value ? value : replace_bad(text, n);
}
