#include "tend/text.h"

#include <stdarg.h>
#include <stdio.h>

void text_put(struct text *t, const char *format, ...)
{
    va_list list;
    int n;

    va_start(list, format);
    n = vsnprintf(t->at + t->n, t->size - t->n, format, list);
    va_end(list);
    if (n > 0)
        t->n = (size_t)n < t->size - t->n ? t->n + (size_t)n : t->size - 1;
}

/* What is cut off is whole: no half of an escape stays. */
static void put_escaped(struct text *t, const char *value, bool blanks)
{
    for (; *value && t->size - t->n > sizeof "\\xHH" - 1; value++)
        if ((*value > ' ' && *value <= '~' && *value != '\\') || (blanks && *value == ' '))
            text_put(t, "%c", *value);
        else
            text_put(t, "\\x%02x", (unsigned char)*value);
}

void text_word(struct text *t, const char *key, const char *value)
{
    if (!value || !*value)
        return;
    text_put(t, " %s=", key);
    put_escaped(t, value, false);
}

void text_number(struct text *t, const char *key, int64_t value)
{
    if (value)
        text_put(t, " %s=%lld", key, (long long)value);
}

void text_rest(struct text *t, const char *key, const char *value)
{
    if (!value || !*value)
        return;
    text_put(t, " %s=", key);
    put_escaped(t, value, true);
}
