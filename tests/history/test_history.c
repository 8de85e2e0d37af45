/* The judge, judged: histories that are fine, and such as are not. */
#include "history/history.h"

#include <string.h>

#include "unit/suite.h"

#define OP(kind_, value_, from_, to_, rev, ...)                             \
    {                                                                       \
        .kind = (kind_), .value = (value_), .start = (from_), .end = (to_), \
        .ok = (rev) > 0, .revision = (rev), __VA_ARGS__                     \
    }

static const struct case_row {
    const char *name;
    struct op ops[4];
    size_t count;
    bool fine;
} cases[] = {
    {"in order",
     {OP(PUT, 1, 0, 10, 5, .wrote = true),
      OP(GET, 2, 11, 20, 5, .saw = true, .mod = 5, .seen = 1)},
     2,
     true},
    {"stale read",
     {OP(PUT, 1, 0, 10, 5, .wrote = true),
      OP(GET, 2, 11, 20, 4, .saw = true, .mod = 0)},
     2,
     false},
    {"overlapping read may be old",
     {OP(PUT, 1, 0, 30, 5, .wrote = true),
      OP(GET, 2, 11, 20, 4, .saw = true, .mod = 0)},
     2,
     true},
    {"lost write",
     {OP(PUT, 1, 0, 10, 5, .wrote = true), OP(PUT, 2, 11, 20, 6, .wrote = true),
      OP(GET, 3, 21, 30, 7, .saw = true, .mod = 5, .seen = 1)},
     3,
     false},
    {"revision twice",
     {OP(PUT, 1, 0, 10, 5, .wrote = true), OP(PUT, 2, 5, 20, 5, .wrote = true)},
     2,
     false},
    {"revision goes back",
     {OP(PUT, 1, 0, 10, 5, .wrote = true),
      OP(PUT, 2, 11, 20, 4, .wrote = true)},
     2,
     false},
    {"unanswered write is seen",
     {OP(PUT, 1, 0, 10, 0),
      OP(GET, 2, 11, 20, 5, .saw = true, .mod = 5, .seen = 1)},
     2,
     true},
    {"unanswered write is seen at two places",
     {OP(PUT, 1, 0, 10, 0),
      OP(GET, 2, 11, 20, 5, .saw = true, .mod = 5, .seen = 1),
      OP(GET, 3, 21, 30, 6, .saw = true, .mod = 6, .seen = 1)},
     3,
     false},
    {"out of nowhere",
     {OP(GET, 1, 0, 10, 5, .saw = true, .mod = 5, .seen = 99)},
     1,
     false},
    {"deleted comes back",
     {OP(PUT, 1, 0, 10, 5, .wrote = true),
      OP(DELETE, 2, 11, 20, 6, .wrote = true),
      OP(GET, 3, 21, 30, 6, .saw = true, .mod = 5, .seen = 1)},
     3,
     false},
};

START_TEST(judge_knows_right_from_wrong)
{
    const struct case_row *row = &cases[_i];
    struct op ops[4];
    struct history h = {.ops = ops, .count = row->count};

    memcpy(ops, row->ops, sizeof(ops));
    ck_assert_msg(history_judge(&h) == row->fine, "wrong about: %s", row->name);
}
END_TEST

UNIT_MAIN("history", tcase_add_loop_test(tc, judge_knows_right_from_wrong, 0,
                                         COUNT_OF(cases));)
