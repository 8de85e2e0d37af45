#include "base/core/limits.h"
#include "base/core/pb.h"
#include "suite.h"

#include "store/kv/kv.h"
#include "store/kv/request.h"

#define BYTES(text) text, sizeof(text) - 1

/* A PutRequest as it comes: fine or not, and what is understood. */
static const struct {
    const char *name;
    const char *bytes;
    size_t len;
    bool fine;
    size_t key_len;
    int64_t lease;
    bool prev_kv;
} puts_rows[] = {
    {"empty", BYTES(""), true, 0, 0, false},
    {"key", BYTES("\x0a\x01k"), true, 1, 0, false},
    {"all", BYTES("\x0a\x02kk\x12\x01v\x18\x07\x20\x01"), true, 2, 7, true},
    {"the last counts", BYTES("\x18\x07\x18\x08\x20\x01\x20\x00"), true, 0, 8,
     false},
    {"negative lease", BYTES("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
     true, 0, -1, false},
    {"over-long number", BYTES("\x18\x87\x80\x80\x00"), true, 0, 7, false},
    {"unknown fields",
     BYTES("\xba\x06\x01z\x78\x05\x7d"
           "1234\x79"
           "12345678\x18\x07"),
     true, 0, 7, false},
    {"cut in a tag", BYTES("\x8a"), false, 0, 0, false},
    {"cut in a length", BYTES("\x0a"), false, 0, 0, false},
    {"cut in a key", BYTES("\x0a\x05key"), false, 0, 0, false},
    {"a number for a key", BYTES("\x08\x05"), false, 0, 0, false},
    {"bytes for a lease", BYTES("\x1a\x01x"), false, 0, 0, false},
    {"a group", BYTES("\x0b\x0c"), false, 0, 0, false},
    {"number of eleven bytes",
     BYTES("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), false, 0, 0,
     false},
};

START_TEST(a_put_is_understood)
{
    struct slice bytes = slice_of(puts_rows[_i].bytes, puts_rows[_i].len);
    struct put_request r;
    bool fine = put_request_parse(bytes, &r);

    ck_assert_msg(fine == puts_rows[_i].fine, "%s", puts_rows[_i].name);
    if (fine) {
        ck_assert_uint_eq(r.key.len, puts_rows[_i].key_len);
        ck_assert_int_eq(r.lease, puts_rows[_i].lease);
        ck_assert(r.prev_kv == puts_rows[_i].prev_kv);
    }
}
END_TEST

/* `depth` txns, one in the other, around a put. */
static void nest(struct buf *out, unsigned depth)
{
    size_t marks[2 * (LIMIT_TXN_DEPTH + 2)];
    unsigned count = 0;
    size_t mark;

    for (unsigned i = 1; i < depth; i++) {
        marks[count++] = pb_begin(out, 2);
        marks[count++] = pb_begin(out, 4);
    }
    mark = pb_begin(out, 2);
    marks[count++] = mark;
    marks[count++] = pb_begin(out, 2);
    pb_bytes(out, 1, slice_str("k"));
    while (count > 0) {
        pb_end(out, marks[--count]);
    }
}

static const struct {
    const char *name;
    unsigned depth;
    bool fine;
} depths[] = {
    {"flat", 1, true},
    {"nested", 3, true},
    {"as deep as may be", LIMIT_TXN_DEPTH, true},
    {"deeper", LIMIT_TXN_DEPTH + 1, false},
};

START_TEST(txns_nest_to_a_limit)
{
    struct arena arena = {0};
    struct txn_request txn;
    struct buf bytes;

    buf_init(&bytes, SIZE_MAX);
    nest(&bytes, depths[_i].depth);
    ck_assert_msg(txn_request_parse(&arena, buf_slice(&bytes), &txn) ==
                      depths[_i].fine,
                  "%s", depths[_i].name);
    buf_release(&bytes);
    arena_release(&arena);
}
END_TEST

/* Of several members of a oneof the last one counts. */
START_TEST(a_oneof_has_one_member)
{
    static const char bytes[] = "\x12\x0a\x0a\x03\x0a\x01r\x12\x03\x0a\x01p";
    static const char compare[] = "\x0a\x0b\x10\x01\x1a\x01k\x20\x05\x28\x06"
                                  "\x10\x01";
    struct arena arena = {0};
    struct txn_request txn;

    ck_assert(
        txn_request_parse(&arena, slice_of(bytes, sizeof(bytes) - 1), &txn));
    ck_assert_uint_eq(txn.success.count, 1);
    ck_assert_int_eq(txn.success.list[0].type, OP_PUT);
    ck_assert(txn_request_parse(&arena, slice_of(compare, sizeof(compare) - 1),
                                &txn));
    ck_assert_uint_eq(txn.compares_count, 1);
    ck_assert_uint_eq(txn.compares[0].operand, 5);
    ck_assert_int_eq(txn.compares[0].number, 6);
    arena_release(&arena);
}
END_TEST

UNIT_MAIN("kv_request", {
    tcase_add_loop_test(tc, a_put_is_understood, 0, COUNT_OF(puts_rows));
    tcase_add_loop_test(tc, txns_nest_to_a_limit, 0, COUNT_OF(depths));
    tcase_add_test(tc, a_oneof_has_one_member);
})
