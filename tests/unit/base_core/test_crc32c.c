#include "base/core/crc32c.h"

#include "suite.h"

static const struct {
    const char *name;
    const char *text;
    uint32_t crc;
} rows[] = {
    {"empty", "", 0},
    {"the usual check value", "123456789", 0xe3069283u},
    {"one byte", "a", 0xc1d04330u},
};

START_TEST(crc_of_row)
{
    ck_assert_uint_eq(crc32c(0, slice_str(rows[_i].text)), rows[_i].crc);
}
END_TEST

START_TEST(crc_continues)
{
    struct slice all = slice_str("the whole of it");

    for (size_t cut = 0; cut <= all.len; cut++) {
        uint32_t head = crc32c(0, slice_of(all.data, cut));

        ck_assert_uint_eq(crc32c(head, slice_skip(all, cut)), crc32c(0, all));
    }
}
END_TEST

UNIT_MAIN("crc32c", {
    tcase_add_loop_test(tc, crc_of_row, 0, COUNT_OF(rows));
    tcase_add_test(tc, crc_continues);
})
