#include "agent/core/knock.h"

#include <stdio.h>

#include "suite.h"

static uint64_t next(struct knocks *k, const char *address)
{
    struct knock_target t;

    ck_assert(knocks_next(k, &t));
    ck_assert_str_eq(t.address, address);
    return t.id;
}

static bool nobody(struct knocks *k)
{
    struct knock_target t;

    return !knocks_next(k, &t);
}

START_TEST(an_answer_is_good_for_five_seconds)
{
    struct knocks *k = knocks_new();
    uint64_t id;

    knocks_want(k, "10.0.0.1", 80, 1000);
    knocks_want(k, "10.0.0.1", 80, 1000);
    id = next(k, "10.0.0.1");
    ck_assert(nobody(k));
    knocks_want(k, "10.0.0.1", 80, 1500); /* Under way. */
    ck_assert(nobody(k));
    ck_assert_int_eq(knocks_verdict(k, "10.0.0.1", 80), KNOCK_UNKNOWN);
    ck_assert(knocks_done(k, id, KNOCK_SHUT, 2000));
    ck_assert_int_eq(knocks_verdict(k, "10.0.0.1", 80), KNOCK_SHUT);
    ck_assert_int_eq(knocks_verdict(k, "10.0.0.1", 81), KNOCK_UNKNOWN);
    knocks_want(k, "10.0.0.1", 80, 2000 + KNOCK_FRESH_MS - 1);
    ck_assert(nobody(k));
    knocks_want(k, "10.0.0.1", 80, 2000 + KNOCK_FRESH_MS);
    id = next(k, "10.0.0.1");
    ck_assert_int_eq(knocks_verdict(k, "10.0.0.1", 80), KNOCK_SHUT);
    ck_assert(!knocks_done(k, id, KNOCK_SHUT, 8000)); /* As it was. */
    ck_assert_uint_eq(knocks_total(k), 2);
    knocks_free(k);
}
END_TEST

START_TEST(at_most_fifty_at_a_time_in_the_order_asked)
{
    struct knocks *k = knocks_new();
    uint64_t first = 0;
    char address[32];

    for (int i = 0; i < KNOCKS_MAX + 10; i++) {
        (void)snprintf(address, sizeof(address), "10.0.0.%d", i);
        knocks_want(k, address, 80, 1000);
    }
    for (int i = 0; i < KNOCKS_MAX; i++) {
        uint64_t id;

        (void)snprintf(address, sizeof(address), "10.0.0.%d", i);
        id = next(k, address);
        first = i == 0 ? id : first;
    }
    ck_assert(nobody(k));
    ck_assert_uint_eq(knocks_under_way(k), KNOCKS_MAX);
    ck_assert(knocks_done(k, first, KNOCK_OPEN, 1100));
    (void)next(k, "10.0.0.50");
    ck_assert(nobody(k));
    knocks_free(k);
}
END_TEST

START_TEST(what_cannot_be_tried_is_not)
{
    struct knocks *k = knocks_new();
    char address[1000];

    memset(address, 'a', sizeof(address) - 1);
    address[sizeof(address) - 1] = '\0';
    knocks_want(k, "10.0.0.1", 0, 1000);
    knocks_want(k, "", 80, 1000);
    knocks_want(k, address, 80, 1000);
    ck_assert(nobody(k));
    ck_assert_int_eq(knocks_verdict(k, address, 80), KNOCK_UNKNOWN);
    knocks_free(k);
}
END_TEST

/* The end of a guard while connections are under way. */
START_TEST(what_is_forgotten_ends_in_silence)
{
    struct knocks *k = knocks_new();
    uint64_t id;

    knocks_want(k, "10.0.0.1", 80, 1000);
    knocks_want(k, "10.0.0.2", 80, 1000);
    id = next(k, "10.0.0.1");
    knocks_clear(k);
    ck_assert(nobody(k));
    (void)knocks_done(k, id, KNOCK_OPEN, 1100);
    ck_assert_int_eq(knocks_verdict(k, "10.0.0.1", 80), KNOCK_UNKNOWN);
    ck_assert_uint_eq(knocks_under_way(k), 0);
    knocks_free(k);
}
END_TEST

UNIT_MAIN("knock", {
    tcase_add_test(tc, an_answer_is_good_for_five_seconds);
    tcase_add_test(tc, at_most_fifty_at_a_time_in_the_order_asked);
    tcase_add_test(tc, what_cannot_be_tried_is_not);
    tcase_add_test(tc, what_is_forgotten_ends_in_silence);
})
