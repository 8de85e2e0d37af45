#include "base/core/pb.h"
#include "suite.h"

#include "store/kv/record.h"

START_TEST(a_row_key_is_etcds)
{
    struct rev_key put = rev_key_pack((struct kv_rev){258, 3}, false);
    struct rev_key gone = rev_key_pack((struct kv_rev){258, 3}, true);
    struct kv_rev rev;
    bool tombstone;

    ck_assert_uint_eq(put.len, 17);
    ck_assert_mem_eq(put.bytes, "\0\0\0\0\0\0\1\2_\0\0\0\0\0\0\0\3", 17);
    ck_assert_uint_eq(gone.len, 18);
    ck_assert_int_eq(gone.bytes[17], 't');
    ck_assert(rev_key_parse(rev_key_slice(&gone), &rev, &tombstone));
    ck_assert(tombstone);
    ck_assert_int_eq(rev.main, 258);
    ck_assert_int_eq(rev.sub, 3);
}
END_TEST

static const struct {
    const char *name;
    const char *bytes;
    size_t len;
} bad_keys[] = {
    {"empty", "", 0},
    {"short", "\0\0\0\0\0\0\0\1_\0\0\0\0\0\0\0", 16},
    {"long", "\0\0\0\0\0\0\0\1_\0\0\0\0\0\0\0\0tt", 19},
    {"no line", "\0\0\0\0\0\0\0\1-\0\0\0\0\0\0\0\0", 17},
    {"no t", "\0\0\0\0\0\0\0\1_\0\0\0\0\0\0\0\0x", 18},
    {"revision 0", "\0\0\0\0\0\0\0\0_\0\0\0\0\0\0\0\0", 17},
    {"negative", "\200\0\0\0\0\0\0\1_\0\0\0\0\0\0\0\0", 17},
    {"sub too large", "\0\0\0\0\0\0\0\1_\0\0\0\1\0\0\0\0", 17},
};

START_TEST(other_row_keys_are_refused)
{
    struct kv_rev rev;
    bool tombstone;

    ck_assert_msg(!rev_key_parse(slice_of(bad_keys[_i].bytes, bad_keys[_i].len),
                                 &rev, &tombstone),
                  "%s", bad_keys[_i].name);
}
END_TEST

/* The bytes as Go's generated code writes them: zero values left out. */
START_TEST(a_row_is_etcds_to_the_byte)
{
    struct kv_fields f = {.key = slice_str("a"),
                          .create = 2,
                          .version = 300,
                          .value = slice_str("xy"),
                          .lease = -1};
    struct record *r = record_put((struct kv_rev){3, 0}, &f);
    struct record *gone =
        record_tombstone((struct kv_rev){4, 0}, slice_str("a"));

    ck_assert(slice_eq(record_row(r),
                       slice_of("\x0a\x01"
                                "a\x10\x02\x18\x03\x20\xac\x02\x2a\x02xy\x30"
                                "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                                25)));
    ck_assert(slice_eq(record_key(r), slice_str("a")));
    ck_assert(slice_eq(record_event(r),
                       slice_of("\x5a\x1b\x12\x19\x0a\x01"
                                "a\x10\x02\x18\x03\x20\xac\x02\x2a\x02xy\x30"
                                "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                                29)));
    ck_assert(slice_eq(record_row(gone), slice_of("\x0a\x01"
                                                  "a",
                                                  3)));
    ck_assert(
        slice_eq(record_event(gone), slice_of("\x5a\x09\x08\x01\x12\x05\x0a\x01"
                                              "a\x18\x04",
                                              11)));
    record_unref(r);
    record_unref(gone);
}
END_TEST

/* Whether made at once, from a row, or with a former row: the same event. */
START_TEST(an_event_from_history_is_the_live_one)
{
    static const size_t lens[] = {0, 1, 100, 127, 128, 20000, 2100000};
    size_t len = lens[_i];
    uint8_t *bytes = calloc(1, len + 1);
    struct kv_fields f = {.key = slice_str("key"),
                          .create = 1,
                          .version = 1,
                          .value = slice_of(bytes, len)};
    struct kv_rev rev = {77, 1};
    struct record *r = record_put(rev, &f);
    struct slice prev = slice_of("\x0a\x01"
                                 "k",
                                 3);
    struct buf again;

    buf_init(&again, SIZE_MAX);
    event_append(&again, rev, false, record_row(r), slice_of(NULL, 0));
    ck_assert(slice_eq(buf_slice(&again), record_event(r)));
    buf_clear(&again);
    record_set_prev(r, prev);
    event_append(&again, rev, false, record_row(r), prev);
    ck_assert(slice_eq(buf_slice(&again), r->with_prev));
    buf_release(&again);
    record_unref(r);
    free(bytes);
}
END_TEST

START_TEST(the_value_can_be_left_out)
{
    struct kv_fields f = {.key = slice_str("k"),
                          .create = 1,
                          .version = 2,
                          .value = slice_str("value"),
                          .lease = 9};
    struct record *r = record_put((struct kv_rev){3, 0}, &f);
    struct kv_fields back;
    struct buf out;

    buf_init(&out, SIZE_MAX);
    kv_fields_without_value(&out, record_row(r));
    ck_assert_uint_eq(out.len, record_row(r).len - 7);
    ck_assert(kv_fields_parse(buf_slice(&out), &back));
    ck_assert_int_eq(back.lease, 9);
    ck_assert_uint_eq(back.value.len, 0);
    buf_release(&out);
    record_unref(r);
}
END_TEST

UNIT_MAIN("kv_record", {
    tcase_add_test(tc, a_row_key_is_etcds);
    tcase_add_loop_test(tc, other_row_keys_are_refused, 0, COUNT_OF(bad_keys));
    tcase_add_test(tc, a_row_is_etcds_to_the_byte);
    tcase_add_loop_test(tc, an_event_from_history_is_the_live_one, 0, 7);
    tcase_add_test(tc, the_value_can_be_left_out);
})
