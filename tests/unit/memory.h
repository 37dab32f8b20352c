/* Memory that runs out when a test says so. The program is linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc. */
#ifndef TEND_TEST_MEMORY_H
#define TEND_TEST_MEMORY_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);

/* So many allocations succeed, then none; negative: all do. */
static int allowed = -1;

static bool may_allocate(void)
{
    if (allowed == 0)
        errno = ENOMEM;
    return allowed != 0 && (allowed < 0 || allowed--);
}

void *__wrap_malloc(size_t n)
{
    return may_allocate() ? __real_malloc(n) : NULL;
}

void *__wrap_calloc(size_t n, size_t size)
{
    return may_allocate() ? __real_calloc(n, size) : NULL;
}

void *__wrap_realloc(void *old, size_t n)
{
    return may_allocate() ? __real_realloc(old, n) : NULL;
}

#endif
