/* The text of one config file to services as far as they are written: the only user of libconfuse.
 * Says what is wrong as problems; opens no file, looks nothing up. */
#ifndef TEND_LOAD_PARSE_H
#define TEND_LOAD_PARSE_H

#include "tend/conf.h"
#include "tend/load_problem.h"

struct load_file {
    char *path;   /* as given, for messages */
    char *folder; /* absolute; NULL if it is gone */
    bool drop_in; /* changes the services of another file instead of bringing its own */
};

/* Where a key was written last; file NULL: nowhere. */
struct load_place {
    const struct load_file *file;
    int line;
};

/* A service to which drop-ins may still come. */
struct load_draft {
    struct conf *conf;
    struct load_place *places; /* one for each of conf_keys */
};

/* What the files read so far amount to. */
struct load_drafts {
    struct conf_supervisor supervisor;
    struct load_place *supervisor_places; /* one for each of conf_supervisor_keys */
    struct load_draft *at;
    size_t n;
};

struct parser *parser_new(struct problems *);
void parser_free(struct parser *);

/* Reads text (size bytes and a NUL, changed on the way): adds the services of a file to the
 * drafts, or lets a drop-in change those that are there. file must outlive the drafts. */
void parser_read(struct parser *, const struct load_file *file, char *text, size_t size,
                 struct load_drafts *);

#endif
