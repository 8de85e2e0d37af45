#include <stdio.h>

#include "base/core/limits.h"
#include "base/core/rng.h"
#include "suite.h"

#include "store/kv/rows.h"

enum {
    KEYS = 2000,
    VALUE_LEN = 40 * 1024
};

static struct record *record_of(struct index *x, struct index_key *k,
                                int64_t main, size_t len)
{
    static uint8_t value[2 * ROWS_ROW_MAX];
    struct kv_fields f = {.key = index_key_slice(k),
                          .create = main,
                          .version = 1,
                          .value = slice_of(value, len)};

    index_push(x, k, (struct index_rev){.main = main}, main, 1);
    return record_put((struct kv_rev){.main = main}, &f);
}

static struct index_key *key_number(struct index *x, uint64_t number)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "%u", (unsigned)number);

    return index_find_or_add(x, slice_of(text, (size_t)len));
}

/* More rows than there is room for, some of them read again and again. */
START_TEST(there_is_a_bound_and_what_is_read_stays)
{
    struct index x;
    struct rows rows;
    struct rng rng;

    rng_init(&rng, 1);
    index_init(&x);
    rows_init(&rows);
    for (int64_t i = 2; i < 3 * KEYS; i++) {
        struct index_key *k = key_number(&x, 10 + rng_below(&rng, KEYS));
        struct record *r;

        rows_drop(&rows, k);
        r = record_of(&x, k, i, VALUE_LEN);
        rows_keep(&rows, k, r);
        record_unref(r);
        ck_assert_ptr_eq(rows_find(k), r);
        if (i == 2) {
            k = key_number(&x, 1);
            r = record_of(&x, k, 2, VALUE_LEN);
            rows_keep(&rows, k, r);
            record_unref(r);
        }
        ck_assert_ptr_nonnull(rows_find(key_number(&x, 1)));
        if (i % 500 == 0) {
            rows_verify(&rows);
        }
    }
    ck_assert_uint_gt(rows.bytes, LIMIT_ROWS_BYTES - 2 * VALUE_LEN);
    rows_release(&rows);
    ck_assert_uint_eq(rows.bytes, 0);
    index_release(&x);
}
END_TEST

START_TEST(a_large_row_is_not_kept_nor_is_what_was_before)
{
    struct index x;
    struct rows rows;
    struct index_key *k;
    struct record *r;

    index_init(&x);
    rows_init(&rows);
    k = key_number(&x, 1);
    r = record_of(&x, k, 2, 10);
    rows_keep(&rows, k, r);
    record_unref(r);
    r = record_of(&x, k, 3, ROWS_ROW_MAX);
    rows_keep(&rows, k, r);
    record_unref(r);
    ck_assert_ptr_null(rows_find(k));
    rows_verify(&rows);
    rows_release(&rows);
    index_release(&x);
}
END_TEST

UNIT_MAIN("kv_rows", {
    tcase_add_test(tc, there_is_a_bound_and_what_is_read_stays);
    tcase_add_test(tc, a_large_row_is_not_kept_nor_is_what_was_before);
})
