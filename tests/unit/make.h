/* Configs for tests, as short as they can be written. Needs cmocka.h before it. */
#ifndef TEND_TEST_MAKE_H
#define TEND_TEST_MAKE_H

#include <stdlib.h>
#include <string.h>

#include "tend/conf.h"

/* "a b c" as a list. */
static inline char **make_list(const char *words)
{
    char **list = calloc(strlen(words) / 2 + 2, sizeof *list), *copy = strdup(words), *rest = copy;
    size_t n = 0;

    assert_non_null(list);
    assert_non_null(copy);
    for (char *word; (word = strtok_r(rest, " ", &rest));)
        list[n++] = strdup(word);
    free(copy);
    return list;
}

static inline void make_set(char ***list, const char *words)
{
    for (size_t i = 0; *list && (*list)[i]; i++)
        free((*list)[i]);
    free(*list);
    *list = *words ? make_list(words) : NULL;
}

/* A process with all defaults, a stop of 10 s, and these dependencies (NULL: none). */
static inline struct conf *make_conf(const char *name, const char *requires, const char *wants,
                                     const char *after)
{
    struct conf_supervisor supervisor = {.grace = 10000};
    struct conf *c = conf_new(name, "test.conf", 1);

    assert_non_null(c);
    make_set(&c->command, "/bin/true");
    if (requires)
        make_set(&c->requires, requires);
    if (wants)
        make_set(&c->wants, wants);
    if (after)
        make_set(&c->after, after);
    conf_finish(c, &supervisor);
    return c;
}

#endif
