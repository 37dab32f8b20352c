/* Text that is put together in a buffer of somebody else; what has no room is cut off. */
#ifndef TEND_TEXT_H
#define TEND_TEXT_H

#include "tend/base.h"

struct text {
    char *at;
    size_t n, size; /* n < size */
};

void text_put(struct text *, const char *format, ...) PRINTF(2, 3);

/* Fields of a record for programs, " key=value". What is NULL, empty or zero is left out. A byte of
 * a word that is no printable ASCII, a blank or a backslash is written as \xHH. */
void text_word(struct text *, const char *key, const char *value);
void text_number(struct text *, const char *key, int64_t value);
/* The last field of a record, to the end of its line: blanks are written as they are. */
void text_rest(struct text *, const char *key, const char *value);

#endif
