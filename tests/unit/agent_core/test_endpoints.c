#include "agent/core/endpoints.h"

#include "suite.h"

#define SEEDS 300

static size_t lose(struct endpoints *e)
{
    endpoints_failed(e);
    ck_assert(endpoints_next(e));
    return e->current;
}

static void check_round(size_t count, uint64_t seed)
{
    bool tried[LIMIT_STORE_ENDPOINTS] = {false};
    struct endpoints e;

    endpoints_init(&e, count, seed);
    for (size_t i = 0; i < count; i++) {
        ck_assert(!tried[e.current]);
        tried[e.current] = true;
        (void)lose(&e);
    }
}

START_TEST(each_is_tried_before_one_is_tried_again)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        check_round(1 + seed % LIMIT_STORE_ENDPOINTS, seed);
    }
}
END_TEST

START_TEST(later_rounds_keep_their_order)
{
    struct endpoints e;
    size_t first[3];

    endpoints_init(&e, 3, 7);
    for (size_t i = 0; i < 3; i++) {
        first[i] = e.current;
        (void)lose(&e);
    }
    for (size_t i = 0; i < 30; i++) {
        ck_assert_uint_eq(e.current, first[i % 3]);
        (void)lose(&e);
    }
}
END_TEST

START_TEST(who_loses_one_spreads_over_the_others)
{
    unsigned began[3] = {0};
    unsigned went[3] = {0};

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct endpoints e;

        endpoints_init(&e, 3, seed);
        began[e.current]++;
        if (e.current == 0) {
            went[lose(&e)]++;
        }
    }
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_gt(began[i], SEEDS / 5);
    }
    ck_assert_uint_eq(went[0], 0);
    ck_assert_uint_gt(went[1], began[0] / 4);
    ck_assert_uint_gt(went[2], began[0] / 4);
}
END_TEST

START_TEST(the_dead_one_comes_last)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct endpoints e;
        size_t dead;
        size_t third;

        endpoints_init(&e, 3, seed);
        dead = e.current;
        (void)lose(&e);
        endpoints_serves(&e);
        third = 3 - dead - e.current;
        ck_assert_uint_eq(lose(&e), third);
        ck_assert_uint_eq(lose(&e), dead);
    }
}
END_TEST

START_TEST(success_is_remembered)
{
    struct endpoints e;
    size_t good;

    endpoints_init(&e, 2, 1);
    (void)lose(&e);
    (void)lose(&e);
    ck_assert(endpoints_all_failed(&e));
    good = e.current;
    endpoints_serves(&e);
    ck_assert(!endpoints_all_failed(&e));
    ck_assert_uint_eq(e.items[good].failures, 0);
    ck_assert_uint_eq(e.items[1 - good].failures, 1);
    ck_assert_uint_eq(endpoints_pause_ms(&e), 0);
}
END_TEST

START_TEST(failures_are_told_once_then_every_five_minutes)
{
    /* What the failure at that second is; S: all is well again. */
    static const struct {
        unsigned at_s;
        char expect;
    } story[] = {{1, 'F'},   {1, 'F'},   {2, 'A'},   {3, 'A'},   {300, 'A'},
                 {301, '!'}, {302, 'A'}, {600, 'A'}, {601, '!'}, {602, 'S'},
                 {603, 'F'}, {604, 'F'}, {605, 'A'}, {904, '!'}};
    static const char told[] = {[ENDPOINTS_FIRST] = 'F',
                                [ENDPOINTS_AGAIN] = 'A',
                                [ENDPOINTS_STILL] = '!'};
    struct endpoints e;

    endpoints_init(&e, 2, 1);
    for (size_t i = 0; i < sizeof(story) / sizeof(story[0]); i++) {
        if (story[i].expect == 'S') {
            endpoints_serves(&e);
            continue;
        }
        (void)lose(&e);
        ck_assert_msg(told[endpoints_tell(&e, 1000 * story[i].at_s)] ==
                          story[i].expect,
                      "at %u s", story[i].at_s);
    }
}
END_TEST

START_TEST(busy_ones_are_passed_over)
{
    struct endpoints e;
    size_t first;

    endpoints_init(&e, 3, 1);
    first = e.current;
    e.items[(first + 1) % 3].busy = true;
    ck_assert_uint_eq(lose(&e), (first + 2) % 3);
    e.items[first].busy = true;
    ck_assert_uint_eq(lose(&e), (first + 2) % 3);
    e.items[(first + 2) % 3].busy = true;
    endpoints_failed(&e);
    ck_assert(!endpoints_next(&e));
    ck_assert_uint_eq(e.current, (first + 2) % 3);
}
END_TEST

/* What follows the nth failure in a row of `count` endpoints. */
static const struct {
    size_t count;
    unsigned failures;
    uint64_t pause_ms; /* The longest; the shortest is half. */
    uint64_t connect_ms;
} paces[] = {
    {3, 0, 0, 1000},     {3, 1, 0, 1000},      {3, 2, 0, 1000},
    {3, 3, 100, 2000},   {3, 4, 0, 2000},      {3, 6, 200, 4000},
    {3, 9, 400, 5000},   {3, 12, 800, 5000},   {3, 15, 1600, 5000},
    {3, 18, 2000, 5000}, {3, 300, 2000, 5000}, {1, 1, 100, 2000},
    {1, 2, 200, 4000},   {1, 3, 400, 5000},    {1, 100, 2000, 5000},
    {16, 15, 0, 1000},   {16, 16, 100, 2000},
};

START_TEST(pace_by_row)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct endpoints e;
        uint64_t pause_ms;

        endpoints_init(&e, paces[_i].count, seed);
        for (unsigned i = 0; i < paces[_i].failures; i++) {
            (void)lose(&e);
        }
        pause_ms = endpoints_pause_ms(&e);
        ck_assert_uint_ge(pause_ms, paces[_i].pause_ms / 2);
        ck_assert_uint_le(pause_ms, paces[_i].pause_ms);
        ck_assert_uint_eq(endpoints_connect_ms(&e), paces[_i].connect_ms);
    }
}
END_TEST

UNIT_MAIN("endpoints", {
    tcase_add_test(tc, each_is_tried_before_one_is_tried_again);
    tcase_add_test(tc, later_rounds_keep_their_order);
    tcase_add_test(tc, who_loses_one_spreads_over_the_others);
    tcase_add_test(tc, the_dead_one_comes_last);
    tcase_add_test(tc, success_is_remembered);
    tcase_add_test(tc, failures_are_told_once_then_every_five_minutes);
    tcase_add_test(tc, busy_ones_are_passed_over);
    tcase_add_loop_test(tc, pace_by_row, 0, COUNT_OF(paces));
})
