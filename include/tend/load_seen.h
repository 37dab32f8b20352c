/* What was read, and whether it still stands there: a set whose files were exchanged or written
 * meanwhile would be a mix of what was and what is. */
#ifndef TEND_LOAD_SEEN_H
#define TEND_LOAD_SEEN_H

#include <sys/stat.h>

#include "tend/base.h"

struct seen_path {
    char *path;
    struct stat st;
    bool there;
};

struct seen {
    struct seen_path *at;
    size_t n;
    size_t changed; /* the first that did while it was read, counted from 1; 0: none */
};

/* Before and after a file or a folder is read; no other comes between the two. */
void seen_before(struct seen *, const char *path);
void seen_after(struct seen *);

/* The path of one that is not what it was when it was read; NULL: none. */
const char *seen_changed(const struct seen *);

void seen_free(struct seen *);

#endif
