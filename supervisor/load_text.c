#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- reports ---- */

PRINTF(3, 0)
static void say_list(struct scan *s, int line, const char *format, va_list ap)
{
    char why[400];

    vsnprintf(why, sizeof(why), format, ap);
    s->report(s->self, line, s->title, why);
}

PRINTF(3, 4)
static void say(struct scan *s, int line, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    say_list(s, line, format, ap);
    va_end(ap);
}

/* The one syntax error of a file: what follows would only be its consequence. */
PRINTF(3, 4)
static void fail(struct scan *s, int line, const char *format, ...)
{
    va_list ap;

    if (s->failed)
        return;
    s->failed = true;
    va_start(ap, format);
    say_list(s, line, format, ap);
    va_end(ap);
}

static void add_item(struct scan *s, enum text_what what, int line, bool add,
                     const struct conf_key *key)
{
    struct text_outline *o = s->outline;

    if (o->n == o->room) {
        size_t room = o->room == 0 ? 64 : 2 * o->room;
        struct text_item *items = reallocarray(o->items, room, sizeof(*items));
        if (items == NULL) {
            fail(s, line, "does not fit into memory");
            return;
        }
        o->items = items;
        o->room = room;
    }
    o->items[o->n++] = (struct text_item){.what = what, .line = line, .add = add, .key = key};
}

static void blank(struct scan *s, size_t from, size_t to)
{
    for (; from < to; from++)
        if (s->text[from] != '\n')
            s->text[from] = ' ';
}

/* ---- bytes ---- */

static void check_bytes(struct scan *s)
{
    int line = 1;

    if (s->size >= 3 && memcmp(s->text, "\xEF\xBB\xBF", 3) == 0)
        fail(s, 1, "begins with a byte order mark: save the file without it");
    for (size_t i = 0; i < s->size && !s->failed; i++) {
        unsigned char c = (unsigned char)s->text[i];
        if (c == '\r' && s->text[i + 1] == '\n')
            s->text[i] = ' ';
        else if (c == '\n')
            line++;
        else if (c == '\0')
            fail(s, line, "has a NUL byte: is this a text file?");
        else if (c != '\t' && (c < ' ' || c == 0x7f))
            fail(s, line, "has the control byte 0x%02x: leave it out, or write \\x%02x in quotes",
                 c, c);
    }
}

/* ---- tokens ---- */

static void skip_comment(struct scan *s)
{
    size_t start = s->at;

    while (s->at < s->size && s->text[s->at] != '\n')
        s->at++;
    blank(s, start, s->at);
}

static void skip_long_comment(struct scan *s)
{
    const char *end = strstr(s->text + s->at + 2, "*/");
    size_t start = s->at;

    if (end == NULL) {
        fail(s, s->line, "has a comment without end: write */ behind it");
        return;
    }
    for (; s->text + s->at < end + 2; s->at++)
        s->line += s->text[s->at] == '\n';
    blank(s, start, s->at);
}

static void skip_blanks(struct scan *s)
{
    while (s->at < s->size && !s->failed) {
        const char *p = s->text + s->at;
        if (*p == '#' || strncmp(p, "//", 2) == 0)
            skip_comment(s);
        else if (strncmp(p, "/*", 2) == 0)
            skip_long_comment(s);
        else if (*p != ' ' && *p != '\t' && *p != '\n')
            return;
        else {
            s->line += *p == '\n';
            s->at++;
        }
    }
}

/* libconfuse would expand it, and an unset variable to nothing: hide it where a value stands. */
static void read_variable(struct scan *s, bool value)
{
    char *start = s->text + s->at;
    size_t n = strspn(start + 2, "abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789_");

    if (!value)
        fail(s, s->line, "${ expands in values only: write the name out");
    else if (n == 0 || isdigit((unsigned char)start[2]) || start[2 + n] != '}')
        fail(s, s->line, "${ begins no variable: write ${NAME}, or \\${ for the two characters");
    else
        *start = TEXT_VARIABLE;
    s->at += 2;
}

static int hex_digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* What libconfuse makes of a number behind a backslash; -1 where it refuses it. */
static int escape_value(const char *text, size_t *length)
{
    size_t n = strspn(text, "0123456789");
    int value = 0;

    if (*text == 'x' && isxdigit((unsigned char)text[1])) {
        *length = isxdigit((unsigned char)text[2]) ? 3 : 2;
        for (size_t i = 1; i < *length; i++)
            value = value * 16 + hex_digit(text[i]);
        return value;
    }
    *length = n;
    if (n > 3 || strspn(text, "01234567") < n)
        return -1;
    for (size_t i = 0; i < n; i++)
        value = value * 8 + (text[i] - '0');
    return value > 255 ? -1 : value;
}

static void read_escape(struct scan *s)
{
    const char *text = s->text + s->at + 1;
    size_t n = 1;
    int value;

    if (isdigit((unsigned char)*text) || (*text == 'x' && isxdigit((unsigned char)text[1]))) {
        value = escape_value(text, &n);
        if (value < 0)
            fail(s, s->line, "\\%.*s is no byte: write three octal digits, or \\x41", (int)n, text);
        else if (value == 0 || value == TEXT_VARIABLE)
            fail(s, s->line, "\\%.*s cannot be part of a value", (int)n, text);
    } else if (*text == '\n' || *text == '\0') {
        return;
    }
    s->at += n;
}

static void read_string(struct scan *s, bool value)
{
    char quote = s->text[s->at++];

    while (!s->failed) {
        const char *p = s->text + s->at;
        if (*p == '\n' || s->at >= s->size)
            fail(s, s->line,
                 "has a string without end on this line: write %c, or \\n for a newline", quote);
        else if (*p == '\\' && quote == '"')
            read_escape(s);
        else if (*p == '\\' && (p[1] == '\\' || p[1] == '\''))
            s->at++;
        else if (*p == '$' && p[1] == '{' && quote == '"') {
            read_variable(s, value);
            continue;
        }
        if (s->text[s->at++] == quote && *p == quote)
            return;
    }
}

static void read_word(struct scan *s)
{
    size_t start = s->at, n = strcspn(s->text + s->at, " \t\n#\"'={}()+,*;");
    const char *word = s->text + start, *slashes = memmem(word, n, "//", 2);

    s->at += n;
    if (strncmp(s->text + s->at, "+=", 2) == 0)
        return;
    if (n > 0 && s->text[s->at] == '{' && s->text[s->at - 1] == '$')
        fail(s, s->line, "${ expands in double quotes only: write \"${NAME}\"");
    else if (slashes != NULL)
        fail(s, s->line, "// in a word without quotes: write it in quotes");
    else if (n == 0 && s->text[s->at] == ';')
        fail(s, s->line, "; ends nothing here: leave it out");
    else if (strchr("()+*;", s->text[s->at]) != NULL && s->text[s->at] != '\0')
        fail(s, s->line, "%c outside of quotes: write the value in quotes", s->text[s->at]);
}

static enum token_kind token_read(struct scan *s, bool value)
{
    char c = s->text[s->at];

    switch (c) {
    case '=':
        s->at++;
        return EQUALS;
    case '{':
        s->at++;
        return OPEN;
    case '}':
        s->at++;
        return CLOSE;
    case ',':
        s->at++;
        return COMMA;
    case '"':
    case '\'':
        read_string(s, value);
        return STRING;
    default:
        if (c == '+' && s->text[s->at + 1] == '=') {
            s->at += 2;
            return PLUS_EQUALS;
        }
        read_word(s);
        return WORD;
    }
}

/* value: a ${NAME} may stand here. */
static struct token token_next(struct scan *s, bool value)
{
    struct token t = {.kind = END};

    skip_blanks(s);
    t.line = s->line;
    t.start = s->at;
    if (s->at < s->size && !s->failed)
        t.kind = token_read(s, value);
    if (s->failed)
        t.kind = END;
    t.end = s->at;
    return t;
}

/* The text of a token for a message: cut, without quotes. */
struct shown {
    char text[TITLE_MAX];
};

static struct shown token_text(const struct scan *s, const struct token *t)
{
    size_t quotes = t->kind == STRING, n = t->end - t->start - 2 * quotes;
    struct shown shown = {.text = ""};

    if (t->kind == END)
        strcpy(shown.text, "the end of the file");
    else
        memcpy(shown.text, s->text + t->start + quotes, n < TITLE_MAX ? n : TITLE_MAX - 1);
    return shown;
}

static bool token_is(const struct scan *s, const struct token *t, const char *word)
{
    size_t n = strlen(word);

    return t->kind == WORD && t->end - t->start == n && memcmp(s->text + t->start, word, n) == 0;
}

/* ---- unknown keys ---- */

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* How many letters must be put in, left out or changed. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[TITLE_MAX + 1];
    size_t n = strlen(b);

    for (size_t j = 0; j <= n; j++)
        row[j] = (unsigned)j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        unsigned corner = row[0];
        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < n; j++) {
            unsigned up = row[j + 1];
            row[j + 1] = least(up + 1, row[j] + 1, corner + (a[i] != b[j]));
            corner = up;
        }
    }
    return row[n];
}

static void suggest(const char *word, const char *known, const char **best,
                    unsigned *least_distance)
{
    unsigned d = distance(word, known);

    if (d < *least_distance) {
        *least_distance = d;
        *best = known;
    }
}

/* section NULL: at the top of the file. */
static void say_unknown(struct scan *s, const struct token *t, const char *section)
{
    struct shown word = token_text(s, t);
    unsigned near = strlen(word.text) < 4 ? 2 : 4;
    const char *best = NULL;
    char name[CONF_KEY_NAME_MAX];

    if (section == NULL) {
        suggest(word.text, "service", &best, &near);
        suggest(word.text, "supervisor", &best, &near);
    }
    for (size_t i = 0; i < s->n_keys && section != NULL; i++) {
        if (strcmp(s->keys[i].section, section) == 0)
            suggest(word.text, s->keys[i].name, &best, &near);
        else if (*section == '\0')
            suggest(word.text, s->keys[i].section, &best, &near);
        if (strcmp(word.text, s->keys[i].name) == 0) {
            say(s, t->line, "unknown key %s here: it belongs to %s", word.text,
                conf_key_name(&s->keys[i], name));
            return;
        }
    }
    if (best != NULL)
        say(s, t->line, "unknown key %s: did you mean %s?", word.text, best);
    else
        say(s, t->line, "unknown key %s: see tend --options for all that are known", word.text);
}

/* ---- grammar ---- */

static const struct conf_key *find_key(const struct scan *s, const char *section,
                                       const struct token *t)
{
    for (size_t i = 0; i < s->n_keys; i++)
        if (strcmp(s->keys[i].section, section) == 0 && token_is(s, t, s->keys[i].name))
            return &s->keys[i];
    return NULL;
}

/* The name of the section within a service that t names, or NULL. */
static const char *find_section(const struct scan *s, const struct token *t)
{
    for (size_t i = 0; i < s->n_keys; i++)
        if (*s->keys[i].section != '\0' && token_is(s, t, s->keys[i].section))
            return s->keys[i].section;
    return NULL;
}

static void read_list(struct scan *s, const struct token *key)
{
    for (;;) {
        struct token t = token_next(s, true);
        if (t.kind == CLOSE || s->failed)
            return;
        if (t.kind == WORD || t.kind == STRING) {
            t = token_next(s, false);
            if (t.kind == COMMA)
                continue;
            if (t.kind == CLOSE)
                return;
        }
        if (t.kind == END)
            fail(s, key->line, "the list of %s has no end: write }", token_text(s, key).text);
        else if (t.kind == EQUALS)
            fail(s, t.line, "= in the list of %s: write the word in quotes",
                 token_text(s, key).text);
        else
            fail(s, t.line, "%s in the list of %s: write a comma between its words",
                 token_text(s, &t).text, token_text(s, key).text);
        return;
    }
}

/* Whether it was a list; on return s->at is behind the value. */
static bool read_value(struct scan *s, const struct token *key)
{
    struct token t = token_next(s, true);

    if (t.kind == OPEN)
        read_list(s, key);
    else if ((t.kind != WORD && t.kind != STRING) || (t.kind == WORD && t.line != key->line))
        fail(s, key->line, "%s has no value: write one behind the =", token_text(s, key).text);
    return t.kind == OPEN;
}

/* What can be seen without the value; false: it was reported and is to be left out. */
static bool check_use(struct scan *s, const struct conf_key *key, int line, bool add, bool list)
{
    bool takes_list = conf_kind_is_list(key->kind);
    char name[CONF_KEY_NAME_MAX];

    conf_key_name(key, name);
    if (!takes_list && add)
        say(s, line, "%s is no list: write = instead of +=", name);
    else if (!takes_list && list)
        say(s, line, "%s is no list: write one value without braces", name);
    else if (takes_list && !list && key->kind != CONF_NAMES)
        say(s, line, "%s is a list: write %s = {\"...\", \"...\"}", name, key->name);
    else
        return true;
    return false;
}

static void read_key(struct scan *s, const char *section, const struct token *t, bool add)
{
    const struct conf_key *key = section == NULL ? NULL : find_key(s, section, t);
    bool list = read_value(s, t);

    if (s->failed)
        return;
    if (key != NULL && check_use(s, key, t->line, add, list)) {
        add_item(s, TEXT_KEY, t->line, add, key);
        return;
    }
    if (key == NULL && section != NULL && *section == '\0' && find_section(s, t) != NULL)
        say(s, t->line, "%s is a section: write %s { ... }", token_text(s, t).text,
            token_text(s, t).text);
    else if (key == NULL)
        say_unknown(s, t, section);
    blank(s, t->start, s->at);
}

/* A section that nobody knows, from its name to its closing brace. */
static void skip_section(struct scan *s, const struct token *name)
{
    for (size_t depth = 1; depth > 0 && !s->failed;) {
        struct token t = token_next(s, true);
        if (t.kind == END)
            fail(s, name->line, "%s { has no end: write }", token_text(s, name).text);
        depth += t.kind == OPEN;
        depth -= t.kind == CLOSE;
    }
    if (!s->failed)
        blank(s, name->start, s->at);
}

static void read_body(struct scan *s, const char *section, const struct token *opened);

/* A word that is followed by a brace, or by a title and a brace. */
static void read_inner(struct scan *s, const char *section, const struct token *name)
{
    const char *inner = *section == '\0' ? find_section(s, name) : NULL;

    if (inner != NULL) {
        read_body(s, inner, name);
        return;
    }
    if (find_key(s, section, name) != NULL)
        say(s, name->line, "%s is no section: write %s = and a value", token_text(s, name).text,
            token_text(s, name).text);
    else
        say_unknown(s, name, section);
    skip_section(s, name);
}

/* Keys and inner sections up to the closing brace. */
static void read_body(struct scan *s, const char *section, const struct token *opened)
{
    while (!s->failed) {
        struct token name = token_next(s, false), t;
        if (name.kind == CLOSE)
            return;
        if (name.kind == END)
            fail(s, opened->line, "%s { has no end: write }", token_text(s, opened).text);
        else if (token_is(s, &name, "service") || token_is(s, &name, "supervisor"))
            fail(s, name.line, "%s within %s, which line %d opens: write } before it",
                 token_text(s, &name).text, token_text(s, opened).text, opened->line);
        else if (name.kind != WORD)
            fail(s, name.line, "%s where a key is due: write KEY = VALUE",
                 token_text(s, &name).text);
        if (s->failed)
            return;
        t = token_next(s, false);
        if (t.kind == EQUALS || t.kind == PLUS_EQUALS)
            read_key(s, section, &name, t.kind == PLUS_EQUALS);
        else if (t.kind == OPEN)
            read_inner(s, section, &name);
        else if (find_key(s, section, &name) != NULL || find_section(s, &name) != NULL)
            fail(s, name.line, "%s has no value: write = and one", token_text(s, &name).text);
        else
            fail(s, name.line, "unknown key %s: see tend --options for all that are known",
                 token_text(s, &name).text);
    }
}

static void open_service(struct scan *s, const struct token *name)
{
    struct token title = token_next(s, false);

    if (title.kind != WORD && title.kind != STRING) {
        fail(s, name->line, "service without a name: write service NAME { ... }");
        return;
    }
    if (token_next(s, false).kind != OPEN) {
        fail(s, name->line, "service %s without {: write service NAME { ... }",
             token_text(s, &title).text);
        return;
    }
    strcpy(s->title, token_text(s, &title).text);
    s->keys = conf_keys;
    s->n_keys = conf_keys_n;
    add_item(s, TEXT_SERVICE, name->line, false, NULL);
    read_body(s, "", name);
    s->title[0] = '\0';
}

static void open_supervisor(struct scan *s, const struct token *name)
{
    if (token_next(s, false).kind != OPEN) {
        fail(s, name->line, "supervisor without {: write supervisor { ... }");
        return;
    }
    s->keys = conf_supervisor_keys;
    s->n_keys = conf_supervisor_keys_n;
    add_item(s, TEXT_SUPERVISOR, name->line, false, NULL);
    read_body(s, "", name);
}

static void open_unknown(struct scan *s, const struct token *name)
{
    struct token t = token_next(s, false);

    if (t.kind == EQUALS || t.kind == PLUS_EQUALS) {
        read_key(s, NULL, name, false);
        return;
    }
    if (t.kind == WORD || t.kind == STRING)
        t = token_next(s, false);
    if (t.kind != OPEN) {
        fail(s, name->line, "%s is no section: write service NAME { ... }",
             token_text(s, name).text);
        return;
    }
    say_unknown(s, name, NULL);
    skip_section(s, name);
}

int text_scan(char *text, size_t size, struct text_outline *outline, text_report *report,
              void *self)
{
    struct scan s = {
        .text = text, .size = size, .line = 1, .outline = outline, .report = report, .self = self};
    struct token t;

    check_bytes(&s);
    while (!s.failed && (t = token_next(&s, false)).kind != END) {
        if (token_is(&s, &t, "service"))
            open_service(&s, &t);
        else if (token_is(&s, &t, "supervisor"))
            open_supervisor(&s, &t);
        else if (t.kind == CLOSE)
            fail(&s, t.line, "} closes nothing: leave it out");
        else if (t.kind != WORD)
            fail(&s, t.line, "%s where a section is due: write service NAME { ... }",
                 token_text(&s, &t).text);
        else
            open_unknown(&s, &t);
    }
    return s.failed ? -1 : 0;
}
