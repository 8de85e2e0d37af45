#include "base/core/utf8.h"

#include "suite.h"

static const struct {
    const char *text;
    size_t first; /* Of the sequence that it begins with. */
    bool is;
} rows[] = {
    {"", 0, true},
    {"a", 0, true},
    {"\xc3\xa4", 2, true},
    {"\xc3\xa4\x80", 2, false},
    {"\xe2\x82\xac", 3, true},
    {"\xf0\x9f\x92\xa9z", 4, true},
    {"\x80", 0, false},             /* Goes on without a beginning. */
    {"\xc3", 0, false},             /* Breaks off. */
    {"\xe2\x82", 0, false},         /* Breaks off. */
    {"\xe2\x82z", 0, false},        /* Breaks off. */
    {"\xc0\xaf", 0, false},         /* Overlong. */
    {"\xe0\x9f\xbf", 0, false},     /* Overlong. */
    {"\xf0\x8f\xbf\xbf", 0, false}, /* Overlong. */
    {"\xed\x9f\xbf", 3, true},
    {"\xed\xa0\x80", 0, false}, /* A surrogate. */
    {"\xee\x80\x80", 3, true},
    {"\xf4\x8f\xbf\xbf", 4, true},
    {"\xf4\x90\x80\x80", 0, false}, /* Above U+10FFFF. */
    {"\xf8\x88\x80\x80\x80", 0, false},
    {"\xff", 0, false},
};

START_TEST(texts_by_row)
{
    struct slice text = slice_str(rows[_i].text);

    ck_assert(utf8_is(text) == rows[_i].is);
    if (text.len > 0) {
        ck_assert_uint_eq(utf8_sequence(text.data, text.len), rows[_i].first);
    }
}
END_TEST

START_TEST(a_cut_keeps_sequences_whole)
{
    struct slice text = slice_str("a\xc3\xa9\xe2\x82\xac");
    static const size_t wanted[] = {0, 1, 1, 3, 3, 3, 6, 6};

    for (size_t max = 0; max < COUNT_OF(wanted); max++) {
        ck_assert_uint_eq(utf8_cut(text, max).len, wanted[max]);
    }
}
END_TEST

UNIT_MAIN("utf8", {
    tcase_add_test(tc, a_cut_keeps_sequences_whole);
    tcase_add_loop_test(tc, texts_by_row, 0, COUNT_OF(rows));
})
