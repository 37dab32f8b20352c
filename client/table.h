/* Tables for people: columns as wide as what stands in them. Pure, but for the printing. */
#ifndef CLIENT_TABLE_H
#define CLIENT_TABLE_H

#include <stdio.h>

#include "tend/base.h"

enum paint { PAINT_NONE, PAINT_GOOD, PAINT_MOVING, PAINT_BAD, PAINT_DIM, PAINT_COUNT };

struct column {
    const char *title;
    bool right; /* numbers are read by their last digit */
};

struct cell {
    char *text;
    enum paint paint;
};

struct table {
    const struct column *columns;
    size_t n_columns;
    bool folds; /* what has no room in the last column has a line of its own below */
    struct cell *cells;
    size_t n, room;
    bool titled, no_memory;
};

/* The first row: the titles. */
void table_titles(struct table *);
/* The next cell, row by row. */
void table_put(struct table *, enum paint, const char *format, ...) PRINTF(3, 4);
/* width: of the terminal, to which the last column is cut; 0: there is none. -1 where there was no
 * memory. */
int table_print(const struct table *, FILE *, size_t width, bool colored);
void table_free(struct table *);

void paint_begin(FILE *, enum paint, bool colored);
void paint_end(FILE *, enum paint, bool colored);

/* How many columns of a terminal the text takes. */
size_t text_width(const char *text);
/* How many bytes of it fit into so many columns, whole characters. */
size_t text_fitting(const char *text, size_t width);

#endif
