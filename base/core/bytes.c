#include "base/core/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"

enum {
    FIRST_CAPACITY = 64
};

void buf_init(struct buf *b, size_t limit)
{
    *b = (struct buf){.limit = limit};
}

void buf_release(struct buf *b)
{
    free(b->data);
    *b = (struct buf){.limit = b->limit};
}

static void buf_grow(struct buf *b, size_t need)
{
    size_t cap = b->cap < FIRST_CAPACITY ? FIRST_CAPACITY : b->cap;

    while (cap < need) {
        cap += cap / 2;
    }
    if (cap > b->limit) {
        cap = b->limit;
    }
    b->data = realloc(b->data, cap);
    CHECK(b->data != NULL);
    b->cap = cap;
}

enum status buf_reserve(struct buf *b, size_t more, uint8_t **out_space)
{
    CHECK(b->len <= b->limit);
    if (more > b->limit - b->len) {
        return ST_TOO_BIG;
    }
    if (b->len + more > b->cap) {
        buf_grow(b, b->len + more);
    }
    *out_space = b->data + b->len;
    return ST_OK;
}

enum status buf_add(struct buf *b, struct slice bytes)
{
    uint8_t *space;
    enum status st;

    if (bytes.len == 0) {
        return ST_OK;
    }
    st = buf_reserve(b, bytes.len, &space);
    if (st) {
        return st;
    }
    memcpy(space, bytes.data, bytes.len);
    b->len += bytes.len;
    return ST_OK;
}

enum status buf_add_str(struct buf *b, const char *text)
{
    return buf_add(b, slice_str(text));
}

enum status buf_add_u8(struct buf *b, uint8_t byte)
{
    return buf_add(b, slice_of(&byte, 1));
}

enum status buf_addf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_list again;
    uint8_t *space;
    enum status st;
    int len;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CHECK(len >= 0);
    st = buf_reserve(b, (size_t)len + 1, &space); /* vsnprintf adds a NUL. */
    if (st == ST_OK) {
        (void)vsnprintf((char *)space, (size_t)len + 1, format, again);
        b->len += (size_t)len;
    }
    va_end(again);
    return st;
}

void buf_drop(struct buf *b, size_t count)
{
    CHECK(count <= b->len);
    if (count == 0) {
        return;
    }
    memmove(b->data, b->data + count, b->len - count);
    b->len -= count;
}

const char *buf_cstr(struct buf *b)
{
    uint8_t *space;

    CHECK(buf_reserve(b, 1, &space) == ST_OK);
    *space = '\0';
    return (const char *)b->data;
}
