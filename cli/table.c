#include "cli/table.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/core/check.h"

#define CELL_BYTES_MAX 1024 /* Longer text ends in "...". */

struct table_cell {
    const char *text;
    size_t width;
    enum table_paint paint;
};

/* Characters, not bytes: UTF-8's continuation bytes take no column. */
static size_t text_width(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return width;
}

void table_init(struct table *t, const char *const *heads, size_t columns)
{
    CHECK(columns > 0);
    CHECK(columns <= TABLE_COLUMNS_MAX);
    *t = (struct table){.columns = columns};
    for (size_t i = 0; i < columns; i++) {
        table_add(t, TABLE_PLAIN, heads[i]);
    }
}

void table_release(struct table *t)
{
    free(t->cells);
    arena_release(&t->arena);
    *t = (struct table){0};
}

static struct table_cell *next_cell(struct table *t)
{
    if (t->cells_count == t->cells_cap) {
        t->cells_cap = t->cells_cap ? t->cells_cap * 2 : 64;
        t->cells = reallocarray(t->cells, t->cells_cap, sizeof(*t->cells));
        CHECK(t->cells != NULL);
    }
    return &t->cells[t->cells_count++];
}

void table_add(struct table *t, enum table_paint paint, const char *text)
{
    size_t column = t->cells_count % t->columns;
    struct table_cell *cell = next_cell(t);
    size_t len = strnlen(text, CELL_BYTES_MAX);
    char *copy = arena_printf(&t->arena, "%.*s%s", (int)len, text,
                              text[len] ? "..." : "");

    for (char *c = copy; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7F) {
            *c = '?';
        }
    }
    *cell = (struct table_cell){
        .text = copy, .width = text_width(copy), .paint = paint};
    if (cell->width > t->widths[column]) {
        t->widths[column] = cell->width;
    }
}

void table_addf(struct table *t, enum table_paint paint, const char *format,
                ...)
{
    char text[CELL_BYTES_MAX + 2];
    va_list values;

    va_start(values, format);
    (void)vsnprintf(text, sizeof(text), format, values);
    va_end(values);
    table_add(t, paint, text);
}

static const char *paint_code(enum table_paint paint)
{
    switch (paint) {
    case TABLE_PLAIN:
        return "";
    case TABLE_GOOD:
        return "\033[32m";
    case TABLE_FAIR:
        return "\033[33m";
    case TABLE_BAD:
        return "\033[31m";
    }
    UNREACHABLE();
}

static void write_cell(const struct table *t, size_t column,
                       const struct table_cell *cell, bool coloured,
                       struct buf *out)
{
    bool painted = coloured && cell->paint != TABLE_PLAIN;
    bool last = column + 1 == t->columns;

    CHECK(buf_addf(out, "%s%s%s", painted ? paint_code(cell->paint) : "",
                   cell->text, painted ? "\033[0m" : "") == ST_OK);
    if (last) {
        CHECK(buf_add_u8(out, '\n') == ST_OK);
    } else {
        CHECK(buf_addf(out, "%*s", (int)(t->widths[column] - cell->width) + 2,
                       "") == ST_OK);
    }
}

void table_write(const struct table *t, bool coloured, struct buf *out)
{
    CHECK(t->cells_count % t->columns == 0);
    for (size_t i = 0; i < t->cells_count; i++) {
        write_cell(t, i % t->columns, &t->cells[i], coloured, out);
    }
}

static bool wants_colour(void)
{
    const char *no_color = getenv("NO_COLOR"); /* NOLINT(concurrency-*) */
    const char *term = getenv("TERM");         /* NOLINT(concurrency-*) */

    return isatty(STDOUT_FILENO) && (no_color == NULL || *no_color == '\0') &&
           term != NULL && strcmp(term, "dumb") != 0;
}

void table_print(const struct table *t)
{
    struct buf out;

    buf_init(&out, SIZE_MAX);
    table_write(t, wants_colour(), &out);
    (void)fwrite(out.data, 1, out.len, stdout);
    buf_release(&out);
}
