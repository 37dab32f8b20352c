#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tend/load_problem.h"

void *load_must(void *memory)
{
    if (memory == NULL) {
        fputs("tend: the config does not fit into memory\n", stderr);
        _exit(2);
    }
    return memory;
}

/* Doubled at each power of two, so that no size needs to be kept. */
void *load_grow(void *list, size_t n, size_t size)
{
    if ((n & (n - 1)) != 0)
        return list;
    return load_must(reallocarray(list, n == 0 ? 1 : 2 * n, size));
}

void load_words_free(char **words)
{
    for (size_t i = 0; words != NULL && words[i] != NULL; i++)
        free(words[i]);
    free(words);
}

void problem_add_list(struct problems *problems, const char *file, int line, const char *name,
                      const char *why, va_list ap)
{
    const char *colon = *name != '\0' ? ": " : "";
    char *text = NULL, *whole = NULL;
    int n = vasprintf(&text, why, ap);

    if (n >= 0)
        n = line > 0 ? asprintf(&whole, "%s:%d: %s%s%s", file, line, name, colon, text)
                     : asprintf(&whole, "%s: %s%s%s", file, name, colon, text);
    if (n < 0)
        load_must(NULL);
    free(text);
    problems->at = load_grow(problems->at, problems->n, sizeof(*problems->at));
    problems->at[problems->n] = (struct problem){file, line, problems->n, whole};
    problems->n++;
}

void problem_add(struct problems *problems, const char *file, int line, const char *name,
                 const char *why, ...)
{
    va_list ap;

    va_start(ap, why);
    problem_add_list(problems, file, line, name, why, ap);
    va_end(ap);
}

static int compare(const void *a, const void *b)
{
    const struct problem *x = a, *y = b;
    int order = strcmp(x->file, y->file);

    if (order != 0)
        return order;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

char **problems_take(struct problems *problems)
{
    char **lines = load_must(calloc(problems->n + 1, sizeof(*lines)));

    if (problems->n > 0)
        qsort(problems->at, problems->n, sizeof(*problems->at), compare);
    for (size_t i = 0; i < problems->n; i++)
        lines[i] = problems->at[i].text;
    free(problems->at);
    *problems = (struct problems){0};
    return lines;
}
