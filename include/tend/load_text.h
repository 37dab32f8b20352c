/* The text of one config file, made fit for the parser: what libconfuse 3.3 would let pass in
 * silence (a missing brace, an open comment, a NUL byte) or place on a wrong line (everything below
 * a comment) is found here. Pure; knows the keys, but no file and no parser.
 *
 * The outline that comes out says what libconfuse does not: the line of each key, and whether it
 * was written with = or +=. */
#ifndef TEND_LOAD_TEXT_H
#define TEND_LOAD_TEXT_H

#include "tend/conf.h"

/* Stands in the text, and so in parsed values, for the $ of ${NAME}. */
enum { TEXT_VARIABLE = '\1' };

enum text_what { TEXT_SERVICE, TEXT_SUPERVISOR, TEXT_KEY };

/* A section begins, or a key of the section that began last gets a value. */
struct text_item {
    enum text_what what;
    int line;
    bool add;                   /* += */
    const struct conf_key *key; /* of TEXT_KEY */
};

struct text_outline {
    struct text_item *items;
    size_t n, room;
};

/* title is that of the service around the line, or empty. */
typedef void text_report(void *self, int line, const char *title, const char *why);

/* Checks text (size bytes and a NUL) and changes it in place, never its lines: comments become
 * blanks, and so do unknown and misused keys, each of which is reported. 0, or -1 after the first
 * syntax error, which is reported too. The outline is to be freed either way: free(items). */
int text_scan(char *text, size_t size, struct text_outline *, text_report *, void *self);

#endif
