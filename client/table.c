#include "client/table.h"

#include <assert.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

enum { GAP = 2, INDENT = 2 };

static const char *const codes[] = {
    [PAINT_NONE] = "",        [PAINT_GOOD] = "\033[32m", [PAINT_MOVING] = "\033[33m",
    [PAINT_BAD] = "\033[31m", [PAINT_DIM] = "\033[2m",
};
static_assert(ARRAY_SIZE(codes) == PAINT_COUNT, "a code for each");

void paint_begin(FILE *out, enum paint paint, bool colored)
{
    if (colored)
        fputs(codes[paint], out);
}

void paint_end(FILE *out, enum paint paint, bool colored)
{
    if (colored && paint != PAINT_NONE)
        fputs("\033[0m", out);
}

/* ---- widths ---- */

/* The columns and bytes of the character that text begins with; a byte that is none counts as one.
 */
static size_t character(const char *text, size_t *width)
{
    mbstate_t state = {0};
    wchar_t c;
    size_t n = mbrtowc(&c, text, strlen(text), &state);
    int columns;

    *width = 1;
    if (n == 0 || n > MB_LEN_MAX)
        return 1;
    columns = wcwidth(c);
    *width = columns > 0 ? (size_t)columns : 0;
    return n;
}

size_t text_width(const char *text)
{
    size_t total = 0, width;

    while (*text) {
        text += character(text, &width);
        total += width;
    }
    return total;
}

size_t text_fitting(const char *text, size_t width)
{
    const char *at = text;
    size_t one;

    while (*at) {
        size_t n = character(at, &one);
        if (one > width)
            break;
        width -= one;
        at += n;
    }
    return (size_t)(at - text);
}

/* ---- cells ---- */

void table_put(struct table *t, enum paint paint, const char *format, ...)
{
    struct cell cell = {.paint = paint};
    va_list list;

    if (t->n == t->room) {
        size_t room = t->room ? t->room * 2 : 64;
        struct cell *grown = reallocarray(t->cells, room, sizeof *grown);
        if (!grown) {
            t->no_memory = true;
            return;
        }
        t->cells = grown;
        t->room = room;
    }
    va_start(list, format);
    if (vasprintf(&cell.text, format, list) < 0)
        t->no_memory = true;
    else
        t->cells[t->n++] = cell;
    va_end(list);
}

void table_titles(struct table *t)
{
    t->titled = true;
    for (size_t i = 0; i < t->n_columns; i++)
        table_put(t, PAINT_NONE, "%s", t->columns[i].title);
}

void table_free(struct table *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->cells[i].text);
    free(t->cells);
    t->cells = NULL;
    t->n = t->room = 0;
}

/* ---- printing ---- */

/* What one print needs to know. */
struct sheet {
    const struct table *table;
    FILE *out;
    size_t *widths, width;
    size_t gap;   /* between columns */
    size_t begin; /* of the last column */
    bool colored, folded;
};

static void put_blanks(FILE *out, size_t n)
{
    fprintf(out, "%*s", (int)n, "");
}

/* Within so many columns, 0: any number. */
static void put_cut(const struct sheet *s, struct cell cell, size_t width)
{
    size_t n = strlen(cell.text);
    bool cut = width && text_width(cell.text) > width;

    if (cut)
        n = text_fitting(cell.text, width > 3 ? width - 3 : 0);
    paint_begin(s->out, cell.paint, s->colored);
    fprintf(s->out, "%.*s%.*s", (int)n, cell.text, cut ? (int)(width < 3 ? width : 3) : 0, "...");
    paint_end(s->out, cell.paint, s->colored);
}

static void put_last(const struct sheet *s, struct cell cell, bool title)
{
    if (!s->folded) {
        put_cut(s, cell, s->width ? s->width - s->begin : 0);
    } else if (*cell.text && !title) {
        fputc('\n', s->out);
        put_blanks(s->out, INDENT);
        put_cut(s, cell, s->width > INDENT ? s->width - INDENT : 1);
    }
    fputc('\n', s->out);
}

static void put_row(const struct sheet *s, const struct cell *row)
{
    const struct table *t = s->table;
    size_t last = t->n_columns - 1, waiting = 0;

    for (size_t i = 0; i < last; i++) {
        size_t fill = s->widths[i] - text_width(row[i].text);
        put_blanks(s->out, waiting + (t->columns[i].right ? fill : 0));
        put_cut(s, row[i], 0);
        waiting = s->gap + (t->columns[i].right ? 0 : fill);
    }
    if (*row[last].text && !s->folded)
        put_blanks(s->out, last ? waiting : 0);
    put_last(s, row[last], row == t->cells && t->titled);
}

static void measure(struct sheet *s)
{
    const struct table *t = s->table;
    size_t last = t->n_columns - 1;

    for (size_t i = 0; i < t->n; i++) {
        size_t width = text_width(t->cells[i].text), *widest = &s->widths[i % t->n_columns];
        if (width > *widest)
            *widest = width;
    }
    for (size_t i = 0; i < last; i++)
        s->begin += s->widths[i] + GAP;
    if (!s->width)
        return;
    if (last && s->begin > s->width + GAP) {
        s->gap = 1;
        s->begin -= last * (GAP - 1);
    }
    s->folded = t->folds && s->begin + s->widths[last] > s->width;
    if (!s->folded && s->begin >= s->width)
        s->width = s->begin + 1; /* the terminal breaks such lines */
}

int table_print(const struct table *t, FILE *out, size_t width, bool colored)
{
    struct sheet s = {.table = t,
                      .out = out,
                      .width = width,
                      .gap = GAP,
                      .colored = colored,
                      .widths = calloc(t->n_columns, sizeof *s.widths)};

    if (!s.widths || t->no_memory) {
        free(s.widths);
        return -1;
    }
    measure(&s);
    for (size_t i = 0; i + t->n_columns <= t->n; i += t->n_columns)
        put_row(&s, t->cells + i);
    free(s.widths);
    return 0;
}
