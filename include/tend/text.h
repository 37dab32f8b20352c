/* Text that is put together in a buffer of somebody else; what has no room is cut off. */
#ifndef TEND_TEXT_H
#define TEND_TEXT_H

#include "tend/base.h"

struct text {
    char *at;
    size_t n, size; /* n < size */
};

void text_put(struct text *, const char *format, ...) PRINTF(2, 3);

#endif
