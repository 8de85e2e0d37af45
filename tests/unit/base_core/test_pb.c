#include "base/core/pb.h"

#include "suite.h"

START_TEST(nested_length_is_patched)
{
    struct buf b;
    struct slice rest;
    struct pb_field outer;
    struct pb_field inner;
    uint8_t body[300] = {7};

    buf_init(&b, 4096);
    size_t mark = pb_begin(&b, 3);
    pb_bytes(&b, 1, slice_of(body, sizeof(body)));
    pb_end(&b, mark);
    pb_int(&b, 4, -1);

    rest = buf_slice(&b);
    ck_assert(pb_next(&rest, &outer));
    ck_assert_uint_eq(outer.number, 3);
    ck_assert(pb_next(&outer.bytes, &inner));
    ck_assert(slice_eq(inner.bytes, slice_of(body, sizeof(body))));
    ck_assert(pb_next(&rest, &outer));
    ck_assert_uint_eq(outer.value, UINT64_MAX);
    ck_assert(!pb_next(&rest, &outer));
    ck_assert_uint_eq(rest.len, 0);
    buf_release(&b);
}
END_TEST

START_TEST(damage_is_told_from_the_end)
{
    uint8_t short_of_bytes[] = {0x0a, 0x05, 'x'};
    struct slice rest = slice_of(short_of_bytes, sizeof(short_of_bytes));
    struct pb_field field;

    ck_assert(!pb_next(&rest, &field));
    ck_assert_uint_eq(rest.len, sizeof(short_of_bytes));
}
END_TEST

UNIT_MAIN("pb", {
    tcase_add_test(tc, nested_length_is_patched);
    tcase_add_test(tc, damage_is_told_from_the_end);
})
