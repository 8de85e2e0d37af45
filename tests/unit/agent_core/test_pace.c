#include "agent/core/pace.h"

#include "suite.h"

START_TEST(a_burst_then_a_rate_for_each)
{
    struct paces p = {.burst = 3, .refill_ms = 1000};

    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(paces_take(&p, 7, 5000), 0);
    }
    ck_assert_uint_eq(paces_take(&p, 7, 5400), 6000);
    ck_assert_uint_eq(paces_take(&p, 8, 5400), 0); /* Another one. */
    ck_assert_uint_eq(paces_take(&p, 7, 6000), 0);
    ck_assert_uint_eq(paces_take(&p, 7, 6999), 7000);
    /* Two seconds later there are two. */
    ck_assert_uint_eq(paces_take(&p, 7, 8500), 0);
    ck_assert_uint_eq(paces_take(&p, 7, 8500), 0);
    ck_assert_uint_eq(paces_take(&p, 7, 8500), 9000);
    /* Never more than the burst. */
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(paces_take(&p, 7, 900000), 0);
    }
    ck_assert_uint_eq(paces_take(&p, 7, 900000), 901000);
}
END_TEST

START_TEST(those_that_are_full_make_room)
{
    struct paces p = {.burst = 1, .refill_ms = 1000};

    for (uint64_t key = 0; key < PACES_MAX; key++) {
        ck_assert_uint_eq(paces_take(&p, key, 1000 + key), 0);
    }
    ck_assert_uint_eq(p.count, PACES_MAX);
    ck_assert_uint_eq(paces_take(&p, 9999, 2000), 0); /* Instead of 0. */
    ck_assert_uint_eq(p.count, PACES_MAX);
    ck_assert_uint_eq(paces_take(&p, 9999, 2001), 3000);
    ck_assert_uint_eq(paces_take(&p, PACES_MAX - 1, 2100), 2255);
    /* All are busy: one is forgotten, none is refused for that. */
    for (uint64_t key = 0; key < PACES_MAX + 10; key++) {
        (void)paces_take(&p, 20000 + key, 2101);
    }
    ck_assert_uint_eq(p.count, PACES_MAX);
}
END_TEST

UNIT_MAIN("pace", {
    tcase_add_test(tc, a_burst_then_a_rate_for_each);
    tcase_add_test(tc, those_that_are_full_make_room);
})
