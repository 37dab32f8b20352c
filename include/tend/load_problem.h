/* What is wrong with the config: collected while loading, sorted at the end.
 * And the loader's memory: it is a child that may die of its lack. */
#ifndef TEND_LOAD_PROBLEM_H
#define TEND_LOAD_PROBLEM_H

#include <stdarg.h>

#include "tend/base.h"

struct problem {
    const char *file;
    int line;
    size_t order;
    char *text;
};

struct problems {
    struct problem *at;
    size_t n;
    bool unread; /* of some file not all could be read: what it defines is not known */
};

/* "FILE:LINE: NAME: WHY"; line 0 and an empty name are left out. file must outlive the list. */
PRINTF(5, 6)
void problem_add(struct problems *, const char *file, int line, const char *name, const char *why,
                 ...);
PRINTF(5, 0)
void problem_add_list(struct problems *, const char *file, int line, const char *name,
                      const char *why, va_list);

/* All of them by file and line as a new NULL-terminated list; leaves none behind. */
char **problems_take(struct problems *);

/* Returns memory, or ends the process if that is NULL. */
void *load_must(void *memory);

/* The list with room for one more than n entries. */
void *load_grow(void *list, size_t n, size_t size);

void load_words_free(char **words);

#endif
