#include "client/records.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

/* ---- values ---- */

static int hex(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* The byte that text begins with, and how many characters it is written as. A NUL could not be
 * kept and stays as it is written. */
static char decode(const char *text, size_t *length)
{
    int high = text[0] == '\\' && text[1] == 'x' ? hex(text[2]) : -1,
        low = high >= 0 ? hex(text[3]) : -1;

    *length = 1;
    if (low < 0 || high * 16 + low == 0)
        return *text;
    *length = 4;
    return (char)(high * 16 + low);
}

/* How many characters of text are one that a terminal may get; its bytes go to out. 0: none. */
static size_t take_printable(const char *text, char out[static 4], size_t *bytes)
{
    size_t used = 0, length, n;

    for (*bytes = 1; *bytes <= 4 && text[used]; ++*bytes) {
        mbstate_t state = {0};
        wchar_t c;
        out[*bytes - 1] = decode(text + used, &length);
        used += length;
        n = mbrtowc(&c, out, *bytes, &state);
        if (n == *bytes)
            return iswprint((wint_t)c) && wcwidth(c) > 0 ? used : 0;
        if (n != (size_t)-2)
            return 0;
    }
    return 0;
}

/* In place: what comes out is never longer than what it is made from. */
static void unescape_for_people(char *text)
{
    static const char digits[] = "0123456789abcdef";
    char *out = text, good[4];
    size_t used, bytes, length;

    while (*text) {
        used = take_printable(text, good, &bytes);
        if (used) {
            memcpy(out, good, bytes);
            out += bytes;
            text += used;
            continue;
        }
        unsigned char bad = (unsigned char)decode(text, &length);
        if (length == 4) {
            memcpy(out, (char[]){'\\', 'x', digits[bad / 16], digits[bad % 16]}, 4);
            out += 4;
        } else {
            *out++ = '?'; /* tend never sends such a byte */
        }
        text += length;
    }
    *out = '\0';
}

static void unescape(char *text)
{
    char *out = text;
    size_t length;

    for (; *text; text += length)
        *out++ = decode(text, &length);
    *out = '\0';
}

/* ---- the record ---- */

/* The next word of the line, ended by NUL; NULL: there is none. */
static char *take_word(char **line)
{
    char *word = *line + strspn(*line, " "), *end = word + strcspn(word, " ");

    if (!*word)
        return NULL;
    *line = *end ? end + 1 : end;
    *end = '\0';
    return word;
}

static void take_fields(struct record *r, char *line, enum record_for whom)
{
    for (;;) {
        char *word = line + strspn(line, " "), *value;
        if (strncmp(word, "text=", 5) == 0)
            line = word + strlen(word);
        else if (!(word = take_word(&line)))
            return;
        value = strchr(word, '=');
        if (!value || value == word)
            continue;
        *value++ = '\0';
        if (whom == RECORD_FOR_PEOPLE)
            unescape_for_people(value);
        else
            unescape(value);
        r->at[r->n++] = (struct field){word, value};
    }
}

static size_t count(const char *line, size_t n, char what)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        found += line[i] == what;
    return found;
}

struct record *record_new(const char *line, size_t n, enum record_for whom)
{
    size_t fields = count(line, n, '=');
    struct record *r = malloc(sizeof *r + fields * sizeof *r->at + n + 1);
    char *copy, *word;

    if (!r)
        return NULL;
    *r = (struct record){.at = (struct field *)(r + 1)};
    copy = (char *)(r->at + fields);
    memcpy(copy, line, n);
    copy[n] = '\0';
    word = take_word(&copy);
    r->word = word ? word : copy;
    take_fields(r, copy, whom);
    return r;
}

bool record_is(const struct record *r, const char *word)
{
    return strcmp(r->word, word) == 0;
}

const char *record_get(const struct record *r, const char *key)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->at[i].key, key) == 0)
            return r->at[i].value;
    return NULL;
}

const char *record_text(const struct record *r, const char *key)
{
    const char *value = record_get(r, key);

    return value ? value : "";
}

int64_t record_number(const struct record *r, const char *key)
{
    const char *text = record_text(r, key);
    bool minus = *text == '-';
    int64_t value = 0;

    text += minus;
    if (!*text)
        return 0;
    for (; *text; text++)
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *text - '0', &value))
            return 0;
    return minus ? -value : value;
}

bool record_flag(const struct record *r, const char *key)
{
    return record_number(r, key) != 0;
}
