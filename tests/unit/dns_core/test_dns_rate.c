#include "dns/core/rate.h"

#include "suite.h"

/* One row a story: who asks when ('a'..'z' are prefixes, '+' lets 100 ms pass,
 * '|' a second), and what becomes of each: p(ass), d(rop), s(lip). */
static const struct {
    const char *name;
    uint32_t per_second;
    uint32_t slip;
    const char *asks;
    const char *expect;
} rows[] = {
    {"a second's worth, then every second slips", 3, 2, "aaaaaaa", "pppdsds"},
    {"slip 1: each is told", 1, 1, "aaa", "pss"},
    {"slip 0: nobody is told", 1, 0, "aaaa", "pddd"},
    {"others are not held up", 2, 2, "aaabbb", "ppdppd"},
    {"it fills up again", 10, 0, "aaaaaaaaaaa+aa|a", "ppppppppppdpdp"},
    {"not above a second's worth", 2, 0, "aa|||||aaa", "ppppd"},
};

START_TEST(stories)
{
    struct dns_rates *r = dns_rates_new((struct hash_key){1, 2});
    struct dns_rate_limits limits = {rows[_i].per_second, rows[_i].slip};
    uint32_t now_ms = UINT32_MAX - 50; /* It may wrap. */
    const char *expect = rows[_i].expect;

    for (const char *at = rows[_i].asks; *at != '\0'; at++) {
        static const char letters[] = {'p', 'd', 's'};

        if (*at == '+' || *at == '|') {
            now_ms += *at == '+' ? 100 : 1000;
            continue;
        }
        ck_assert_msg(
            letters[dns_rates_take(r, &limits, slice_of(at, 1), now_ms)] ==
                *expect,
            "%s: wrong at %s", rows[_i].name, at);
        expect++;
    }
    ck_assert_int_eq(*expect, '\0');
    dns_rates_free(r);
}
END_TEST

/* A flood from a hundred thousand prefixes lets none of them have more. */
START_TEST(flood)
{
    struct dns_rates *r = dns_rates_new((struct hash_key){3, 4});
    struct dns_rate_limits limits = {1, 0};
    unsigned passed = 0;

    for (uint32_t i = 0; i < 100000; i++) {
        passed += dns_rates_take(r, &limits, slice_of(&i, 4), i / 100) ==
                  DNS_RATE_PASS;
        passed += dns_rates_take(r, &limits, slice_of(&i, 4), i / 100) ==
                  DNS_RATE_PASS;
    }
    ck_assert_uint_eq(passed, 100000);
    dns_rates_free(r);
}
END_TEST

UNIT_MAIN("dns_rate", {
    tcase_add_loop_test(tc, stories, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tc, flood);
})
