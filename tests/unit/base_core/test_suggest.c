#include "base/core/suggest.h"

#include "tests/unit/suite.h"

static const struct {
    const char *a;
    const char *b;
    size_t distance;
} distances[] = {
    {"", "", 0},           {"abc", "abc", 0},    {"", "abc", 3},
    {"abc", "", 3},        {"abc", "abd", 1},    {"abc", "ab", 1},
    {"abc", "abcd", 1},    {"abc", "acb", 1},    {"kitten", "sitting", 3},
    {"store", "sotre", 1}, {"nodes", "node", 1}, {"ca", "abc", 3},
};

START_TEST(distance_follows_row)
{
    ck_assert_uint_eq(suggest_distance(distances[_i].a, distances[_i].b),
                      distances[_i].distance);
}
END_TEST

static const char *const known[] = {"data-dir", "name", "listen-client-urls",
                                    "listen-peer-urls"};

static const struct {
    const char *typed;
    const char *wanted; /* NULL: nothing is near. */
} rows[] = {
    {"data_dir", "data-dir"},
    {"datadir", "data-dir"},
    {"nmae", "name"},
    {"listen-client-url", "listen-client-urls"},
    {"listen-peers-url", "listen-peer-urls"},
    {"xyzzy", NULL},
    {"a", NULL},
    {"a-word-that-is-longer-than-any-flag-could-ever-be-in-this-program-of-"
     "ours",
     NULL},
};

START_TEST(suggestion_follows_row)
{
    struct suggestion s = {0};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        suggest_consider(&s, rows[_i].typed, known[i]);
    }
    if (rows[_i].wanted == NULL) {
        ck_assert_ptr_null(s.word);
    } else {
        ck_assert_ptr_nonnull(s.word);
        ck_assert_str_eq(s.word, rows[_i].wanted);
    }
}
END_TEST

UNIT_MAIN("suggest", {
    tcase_add_loop_test(tc, distance_follows_row, 0, COUNT_OF(distances));
    tcase_add_loop_test(tc, suggestion_follows_row, 0, COUNT_OF(rows));
})
