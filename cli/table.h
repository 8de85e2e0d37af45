/*
 * table.h - aligned columns for people.
 *
 *     NAME  HEALTH   INSTANCES
 *     web   passing          2
 *
 * Cells are added row by row, left to right. The last column is not padded.
 * Health words are coloured when the output is a terminal that wants it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/core/arena.h"
#include "base/core/bytes.h"

#define TABLE_COLUMNS_MAX 8

enum table_paint {
    TABLE_PLAIN,
    TABLE_GOOD, /* Green. */
    TABLE_FAIR, /* Yellow. */
    TABLE_BAD,  /* Red. */
};

struct table {
    struct arena arena;
    size_t columns;
    struct table_cell *cells; /* Row after row. */
    size_t cells_count;
    size_t cells_cap;
    size_t widths[TABLE_COLUMNS_MAX];
};

/* `heads`: the first row, `columns` words. */
void table_init(struct table *t, const char *const *heads, size_t columns);
void table_release(struct table *t);

/* The text is copied; control characters in it are shown as '?', so that a
 * service's name cannot drive a terminal. */
void table_add(struct table *t, enum table_paint paint, const char *text);
void table_addf(struct table *t, enum table_paint paint, const char *format,
                ...) __attribute__((format(printf, 3, 4)));

/* The whole table; the last row must be complete. */
void table_write(const struct table *t, bool coloured, struct buf *out);

/* To standard output, coloured if that is a terminal (and NO_COLOR is unset,
 * and TERM is not dumb). */
void table_print(const struct table *t);
