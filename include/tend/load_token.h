/* The tokens of a config text, below load_text.c. Pure; reports the first syntax error. */
#ifndef TEND_LOAD_TOKEN_H
#define TEND_LOAD_TOKEN_H

#include "tend/load_text.h"

enum { TITLE_MAX = 80 };

enum token_kind { END, WORD, STRING, EQUALS, PLUS_EQUALS, OPEN, CLOSE, COMMA };

/* Where it stands in the text; a STRING with its quotes. */
struct token {
    enum token_kind kind;
    int line;
    size_t start, end;
};

struct scan {
    char *text;
    size_t at, size;
    int line;
    bool failed;
    const struct conf_key *keys; /* of the section being read */
    size_t n_keys;
    char title[TITLE_MAX];
    struct text_outline *outline;
    text_report *report;
    void *self;
};

/* A mistake after which the text can be read on. */
PRINTF(3, 4)
void scan_say(struct scan *, int line, const char *format, ...);

/* The one syntax error of a file: what follows would only be its consequence. */
PRINTF(3, 4)
void scan_fail(struct scan *, int line, const char *format, ...);

/* Blanks all from one offset to before another, but not the ends of lines. */
void scan_blank(struct scan *, size_t from, size_t to);

/* Refuses bytes that no config has; CR LF becomes LF. */
void scan_check_bytes(struct scan *);

/* The next token, END after a failure. value: a ${NAME} may stand here. */
struct token token_next(struct scan *, bool value);

bool token_is(const struct scan *, const struct token *, const char *word);

/* The text of a token for a message: cut, without quotes. */
struct shown {
    char text[TITLE_MAX];
};
struct shown token_text(const struct scan *, const struct token *);

#endif
