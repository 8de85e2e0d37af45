#include "agent/core/duration.h"

#include "suite.h"

static const struct {
    const char *text;
    uint64_t ms;
    const char *written;
} good[] = {
    {"0", 0, "0s"},
    {"10s", 10000, "10s"},
    {"1m30s", 90000, "1m30s"},
    {"1.5h", 5400000, "1h30m0s"},
    {"800ms", 800, "800ms"},
    {"1.5s", 1500, "1.5s"},
    {"0.3s", 300, "300ms"},
    {"100us", 1, "1ms"},
    {"1ns", 1, "1ms"},
    {"2\xc2\xb5s", 1, "1ms"},
    {"120000ms", 120000, "2m0s"},
    {"72h", 259200000, "72h0m0s"},
};

static const char *const bad[] = {
    "",    "s",  "10",    "10 s",       "-1s",  "1x",
    "1s2", ".s", "1..2s", "999999999h", "1e3s", "0x10s",
};

START_TEST(good_text_is_read)
{
    char text[DURATION_TEXT];
    uint64_t ms = 0;

    ck_assert_int_eq(duration_parse(slice_str(good[_i].text), &ms), ST_OK);
    ck_assert_uint_eq(ms, good[_i].ms);
    ck_assert_str_eq(duration_format(ms, text), good[_i].written);
}
END_TEST

START_TEST(bad_text_is_refused)
{
    uint64_t ms = 42;

    ck_assert_msg(duration_parse(slice_str(bad[_i]), &ms) == ST_INVALID,
                  "\"%s\" was taken for %llu ms", bad[_i],
                  (unsigned long long)ms);
    ck_assert_uint_eq(ms, 42);
}
END_TEST

UNIT_MAIN("duration", {
    tcase_add_loop_test(tc, good_text_is_read, 0, COUNT_OF(good));
    tcase_add_loop_test(tc, bad_text_is_refused, 0, COUNT_OF(bad));
})
