#include "tend/load_seen.h"

#include <stdlib.h>
#include <string.h>

#include "tend/load_problem.h"

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Also whom it belongs to and who may write it: that changes the second of the times. */
static bool is_same(const struct seen_path *s)
{
    struct stat now;

    if (stat(s->path, &now) != 0)
        return !s->there;
    return s->there && now.st_dev == s->st.st_dev && now.st_ino == s->st.st_ino &&
           now.st_size == s->st.st_size && is_same_time(&now.st_mtim, &s->st.st_mtim) &&
           is_same_time(&now.st_ctim, &s->st.st_ctim);
}

void seen_before(struct seen *seen, const char *path)
{
    struct seen_path *s;

    seen->at = load_grow(seen->at, seen->n, sizeof(*seen->at));
    s = &seen->at[seen->n++];
    s->path = load_must(strdup(path));
    s->there = stat(path, &s->st) == 0;
}

void seen_after(struct seen *seen)
{
    if (seen->changed == 0 && !is_same(&seen->at[seen->n - 1]))
        seen->changed = seen->n;
}

const char *seen_changed(const struct seen *seen)
{
    if (seen->changed > 0)
        return seen->at[seen->changed - 1].path;
    for (size_t i = 0; i < seen->n; i++)
        if (!is_same(&seen->at[i]))
            return seen->at[i].path;
    return NULL;
}

void seen_free(struct seen *seen)
{
    for (size_t i = 0; i < seen->n; i++)
        free(seen->at[i].path);
    free(seen->at);
}
