#include "base/core/bytes.h"

#include "base/core/arena.h"
#include "base/core/wire.h"
#include "suite.h"

START_TEST(buf_refuses_to_pass_its_limit)
{
    struct buf b;

    buf_init(&b, 8);
    ck_assert_int_eq(buf_add_str(&b, "12345678"), ST_OK);
    ck_assert_int_eq(buf_add_u8(&b, '9'), ST_TOO_BIG);
    ck_assert(slice_eq(buf_slice(&b), slice_str("12345678")));
    buf_drop(&b, 3);
    ck_assert(slice_eq(buf_slice(&b), slice_str("45678")));
    buf_release(&b);
}
END_TEST

START_TEST(slices_order_by_bytes)
{
    ck_assert_int_lt(slice_cmp(slice_str("a"), slice_str("b")), 0);
    ck_assert_int_lt(slice_cmp(slice_str("a"), slice_str("aa")), 0);
    ck_assert_int_eq(slice_cmp(slice_str(""), slice_str(NULL)), 0);
    ck_assert_int_gt(slice_cmp(slice_str("\xff"), slice_str("a")), 0);
}
END_TEST

START_TEST(cursor_fails_once_and_stays_failed)
{
    uint8_t bytes[] = {1, 2, 3, 4, 5};
    struct wire_reader r = {.rest = slice_of(bytes, sizeof(bytes))};

    ck_assert_uint_eq(wire_u32(&r), 0x04030201);
    ck_assert_uint_eq(wire_u64(&r), 0);
    ck_assert_uint_eq(wire_u8(&r), 0);
    ck_assert_int_eq(wire_finish(&r), ST_TRUNCATED);
}
END_TEST

START_TEST(arena_keeps_what_it_gave)
{
    struct arena a = {0};
    char *first = arena_strdup(&a, slice_str("first"));

    for (int i = 0; i < 1000; i++) {
        (void)arena_zalloc(&a, 1, (size_t)i * 7);
    }
    ck_assert_str_eq(first, "first");
    arena_reset(&a);
    ck_assert_str_eq(arena_printf(&a, "%d", 42), "42");
    arena_release(&a);
}
END_TEST

UNIT_MAIN("bytes", {
    tcase_add_test(tc, buf_refuses_to_pass_its_limit);
    tcase_add_test(tc, slices_order_by_bytes);
    tcase_add_test(tc, cursor_fails_once_and_stays_failed);
    tcase_add_test(tc, arena_keeps_what_it_gave);
})
