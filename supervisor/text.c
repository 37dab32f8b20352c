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
