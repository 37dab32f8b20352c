#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tend/load_token.h"

PRINTF(3, 0)
static void say_list(struct scan *s, int line, const char *format, va_list ap)
{
    char why[400];

    vsnprintf(why, sizeof(why), format, ap);
    s->report(s->self, line, s->title, why);
}

void scan_say(struct scan *s, int line, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    say_list(s, line, format, ap);
    va_end(ap);
}

void scan_fail(struct scan *s, int line, const char *format, ...)
{
    va_list ap;

    if (s->failed)
        return;
    s->failed = true;
    va_start(ap, format);
    say_list(s, line, format, ap);
    va_end(ap);
}

void scan_blank(struct scan *s, size_t from, size_t to)
{
    for (; from < to; from++)
        if (s->text[from] != '\n')
            s->text[from] = ' ';
}

/* ---- bytes ---- */

void scan_check_bytes(struct scan *s)
{
    int line = 1;

    if (s->size >= 3 && memcmp(s->text, "\xEF\xBB\xBF", 3) == 0)
        scan_fail(s, 1, "begins with a byte order mark: save the file without it");
    for (size_t i = 0; i < s->size && !s->failed; i++) {
        unsigned char c = (unsigned char)s->text[i];
        if (c >= ' ' && c != 0x7f)
            continue;
        if (c == '\r' && s->text[i + 1] == '\n')
            s->text[i] = ' ';
        else if (c == '\n')
            line++;
        else if (c == '\0')
            scan_fail(s, line, "has a NUL byte: is this a text file?");
        else if (c != '\t')
            scan_fail(s, line,
                      "has the control byte 0x%02x: leave it out, or write \\x%02x in quotes", c,
                      c);
    }
}

/* ---- tokens ---- */

static void skip_comment(struct scan *s)
{
    size_t start = s->at;

    while (s->at < s->size && s->text[s->at] != '\n')
        s->at++;
    scan_blank(s, start, s->at);
}

static void skip_long_comment(struct scan *s)
{
    const char *end = strstr(s->text + s->at + 2, "*/");
    size_t start = s->at;

    if (end == NULL) {
        scan_fail(s, s->line, "has a comment without end: write */ behind it");
        return;
    }
    for (; s->text + s->at < end + 2; s->at++)
        s->line += s->text[s->at] == '\n';
    scan_blank(s, start, s->at);
}

static void skip_blanks(struct scan *s)
{
    while (s->at < s->size && !s->failed) {
        const char *p = s->text + s->at;
        if (*p == ' ' || *p == '\t' || *p == '\n') {
            s->line += *p == '\n';
            s->at++;
        } else if (*p == '#' || (*p == '/' && p[1] == '/'))
            skip_comment(s);
        else if (*p == '/' && p[1] == '*')
            skip_long_comment(s);
        else
            return;
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
        scan_fail(s, s->line, "${ expands in values only: write the name out");
    else if (n == 0 || isdigit((unsigned char)start[2]) || start[2 + n] != '}')
        scan_fail(s, s->line,
                  "${ begins no variable: write ${NAME}, or \\${ for the two characters");
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
            scan_fail(s, s->line, "\\%.*s is no byte: write three octal digits, or \\x41", (int)n,
                      text);
        else if (value == 0 || value == TEXT_VARIABLE)
            scan_fail(s, s->line, "\\%.*s cannot be part of a value", (int)n, text);
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
            scan_fail(s, s->line,
                      "has a string without end on this line: write %c, or \\n for a newline",
                      quote);
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
        scan_fail(s, s->line, "${ expands in double quotes only: write \"${NAME}\"");
    else if (slashes != NULL)
        scan_fail(s, s->line, "// in a word without quotes: write it in quotes");
    else if (n == 0 && s->text[s->at] == ';')
        scan_fail(s, s->line, "; ends nothing here: leave it out");
    else if (strchr("()+*;", s->text[s->at]) != NULL && s->text[s->at] != '\0')
        scan_fail(s, s->line, "%c outside of quotes: write the value in quotes", s->text[s->at]);
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

struct token token_next(struct scan *s, bool value)
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

struct shown token_text(const struct scan *s, const struct token *t)
{
    size_t quotes = t->kind == STRING, n = t->end - t->start - 2 * quotes;
    struct shown shown = {.text = ""};

    if (t->kind == END)
        strcpy(shown.text, "the end of the file");
    else
        memcpy(shown.text, s->text + t->start + quotes, n < TITLE_MAX ? n : TITLE_MAX - 1);
    return shown;
}

bool token_is(const struct scan *s, const struct token *t, const char *word)
{
    size_t n = strlen(word);

    return t->kind == WORD && t->end - t->start == n && memcmp(s->text + t->start, word, n) == 0;
}
