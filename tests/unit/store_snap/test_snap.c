/*
 * What is written is read again, whatever it is; what is damaged is refused or
 * read, but never runs away.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/rng.h"
#include "base/core/wire.h"
#include "store/snap/page.h"
#include "store/snap/reader.h"
#include "store/snap/writer.h"
#include "suite.h"

#define ROWS_MAX 20000

/* Rows of one file, as they must come back. */
struct rows {
    size_t per_bucket[3];
    size_t value_max;
    uint64_t seed;
};

static const char *const names[] = {"alarm", "key", "meta"};

static void make_row(const struct rows *r, size_t bucket, size_t i,
                     uint8_t key[12], struct buf *value)
{
    struct rng rng;
    uint8_t *at;
    size_t len;

    rng_init(&rng, r->seed * 1000003 + bucket * 7919 + i);
    wire_put_u64be(key, i);
    wire_put_u32be(key + 8, (uint32_t)bucket);
    len = (size_t)rng_below(&rng, r->value_max + 1);
    buf_clear(value);
    ck_assert(buf_reserve(value, len, &at) == ST_OK);
    for (size_t j = 0; j < len; j++) {
        at[j] = (uint8_t)(i * 31 + j);
    }
    value->len = len;
}

static void feed(const struct rows *r, struct snap_writer *w)
{
    struct buf value;
    uint8_t key[12];

    buf_init(&value, SIZE_MAX);
    for (size_t b = 0; b < 3; b++) {
        snap_bucket(w, slice_str(names[b]));
        for (size_t i = 0; i < r->per_bucket[b]; i++) {
            make_row(r, b, i, key, &value);
            snap_row(w, slice_of(key, sizeof(key)), buf_slice(&value));
        }
    }
    snap_end(w);
    buf_release(&value);
}

static struct buf write_file(const struct rows *r)
{
    struct snap_writer w;
    struct buf out;
    uint64_t pages;

    buf_init(&out, SIZE_MAX);
    snap_writer_init(&w, SNAP_MEASURE, 0, &out);
    feed(r, &w);
    pages = snap_writer_pages(&w);
    snap_writer_release(&w);
    ck_assert_uint_eq(out.len, 0);

    snap_writer_init(&w, SNAP_WRITE, pages, &out);
    feed(r, &w);
    snap_writer_release(&w);
    ck_assert_uint_eq(out.len, pages * SNAP_PAGE_BYTES);
    return out;
}

struct check {
    const struct rows *rows; /* NULL: anything may come. */
    size_t bucket;           /* 1 more than the one being read. */
    size_t next;
    struct buf value;
};

static bool on_bucket(void *ctx, struct slice name)
{
    struct check *c = ctx;

    if (c->rows == NULL) {
        return true;
    }
    if (c->bucket > 0) {
        ck_assert_uint_eq(c->next, c->rows->per_bucket[c->bucket - 1]);
    }
    ck_assert_uint_lt(c->bucket, 3);
    ck_assert(slice_eq(name, slice_str(names[c->bucket])));
    c->bucket++;
    c->next = 0;
    return true;
}

static enum status on_row(void *ctx, struct slice key, struct slice value)
{
    struct check *c = ctx;
    uint8_t wanted[12];

    if (c->rows == NULL) {
        return ST_OK;
    }
    make_row(c->rows, c->bucket - 1, c->next++, wanted, &c->value);
    ck_assert(slice_eq(key, slice_of(wanted, sizeof(wanted))));
    ck_assert(slice_eq(value, buf_slice(&c->value)));
    return ST_OK;
}

static enum status read_file(struct slice file, const struct rows *rows)
{
    struct check c = {.rows = rows};
    struct snap_hooks hooks = {
        .ctx = &c, .on_bucket = on_bucket, .on_row = on_row};
    struct err err = {0};
    enum status st;

    buf_init(&c.value, SIZE_MAX);
    st = snap_read(file, &hooks, &err);
    buf_release(&c.value);
    if (st == ST_OK && rows != NULL) {
        ck_assert_uint_eq(c.bucket, 3);
        ck_assert_uint_eq(c.next, rows->per_bucket[2]);
    }
    ck_assert((st == ST_OK) == (err.text[0] == '\0'));
    return st;
}

static const struct rows files[] = {
    {{0, 0, 0}, 0, 1},        {{0, 1, 0}, 10, 2},      {{3, 200, 5}, 100, 3},
    {{1, 20000, 2}, 50, 4},   {{0, 300, 2}, 20000, 5}, {{0, 3, 1}, 3000000, 6},
    {{500, 5000, 500}, 0, 7},
};

START_TEST(what_is_written_is_read)
{
    struct buf file = write_file(&files[_i]);

    ck_assert_int_eq(read_file(buf_slice(&file), &files[_i]), ST_OK);
    ck_assert_uint_eq(snap_file_bytes(buf_slice(&file)), file.len);
    buf_release(&file);
}
END_TEST

/* Many leaves, so that there are branches of branches. */
START_TEST(trees_may_be_high)
{
    static const struct rows high = {{0, 20000, 0}, 60000, 8};
    struct buf file = write_file(&high);

    ck_assert_int_eq(read_file(buf_slice(&file), &high), ST_OK);
    buf_release(&file);
}
END_TEST

START_TEST(what_is_cut_is_refused)
{
    struct buf file = write_file(&files[2]);

    for (size_t len = 0; len < file.len; len += 97) {
        uint8_t *copy = malloc(len + 1); /* Its end is guarded. */

        CHECK(copy != NULL);
        memcpy(copy, file.data, len);
        ck_assert_int_eq(read_file(slice_of(copy, len), NULL), ST_CORRUPT);
        free(copy);
    }
    buf_release(&file);
}
END_TEST

START_TEST(flipped_bits_do_no_harm)
{
    struct buf file = write_file(&files[2]);

    for (size_t at = 0; at < file.len; at++) {
        file.data[at] ^= (uint8_t)(1u << (at % 8));
        (void)read_file(buf_slice(&file), NULL);
        file.data[at] ^= (uint8_t)(1u << (at % 8));
    }
    ck_assert_int_eq(read_file(buf_slice(&file), &files[2]), ST_OK);
    buf_release(&file);
}
END_TEST

UNIT_MAIN("snap", {
    tcase_add_loop_test(tc, what_is_written_is_read, 0, COUNT_OF(files));
    tcase_add_test(tc, trees_may_be_high);
    tcase_add_test(tc, what_is_cut_is_refused);
    tcase_add_test(tc, flipped_bits_do_no_harm);
})
