/*
 * bytes.h - byte strings: struct slice borrows, struct buf owns.
 *
 * A buf is born with its limit, so no input can make it grow past what its
 * owner has planned for. Growing aborts when memory is gone; passing the limit
 * is an ordinary status.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/core/status.h"

/* A borrowed view. Never freed; must not outlive what it points into. `data`
 * may be NULL when len is 0. */
struct slice {
    const uint8_t *data;
    size_t len;
};

/* An owned, growing byte string that refuses to exceed `limit`. */
struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
    size_t limit;
};

static inline struct slice slice_of(const void *data, size_t len)
{
    return (struct slice){.data = data, .len = len};
}

/* A NUL-terminated string without its NUL; NULL is the empty slice. */
static inline struct slice slice_str(const char *text)
{
    return slice_of(text, text == NULL ? 0 : strlen(text));
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Byte order, shorter first when one is the other's beginning: <0, 0, >0. */
static inline int slice_cmp(struct slice a, struct slice b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);

    if (order != 0) {
        return order;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

static inline bool slice_starts(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len &&
           (prefix.len == 0 || memcmp(s.data, prefix.data, prefix.len) == 0);
}

/* `s` without its first `count` bytes; count must be within. */
static inline struct slice slice_skip(struct slice s, size_t count)
{
    return slice_of(s.data + count, s.len - count);
}

void buf_init(struct buf *b, size_t limit);
void buf_release(struct buf *b); /* Safe on a zeroed or released buf. */

static inline void buf_clear(struct buf *b)
{
    b->len = 0;
}

static inline struct slice buf_slice(const struct buf *b)
{
    return slice_of(b->data, b->len);
}

/* Make room for `more` bytes behind the present ones; *out_space is where they
 * go, and b->len is raised by the caller once they are written.
 * ST_TOO_BIG: the limit would be passed; the buffer is unchanged. */
enum status buf_reserve(struct buf *b, size_t more, uint8_t **out_space);

/* ST_TOO_BIG: the limit would be passed; the buffer is unchanged. */
enum status buf_add(struct buf *b, struct slice bytes);
enum status buf_add_str(struct buf *b, const char *text);
enum status buf_add_u8(struct buf *b, uint8_t byte);

/* printf into the buffer. ST_TOO_BIG: unchanged. */
enum status buf_addf(struct buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Drop the first `count` bytes; count must be within. */
void buf_drop(struct buf *b, size_t count);

/* A NUL behind the content (not counted in len), so that it can be read as a
 * C string. Needs one byte of room below the limit; CHECKs it. */
const char *buf_cstr(struct buf *b);
