/* The examples of RFC 9018, appendix A, and what time does to a cookie. */
#include "dns/core/cookie.h"

#include <arpa/inet.h>

#include "suite.h"

static void unhex(const char *text, uint8_t *out)
{
    for (size_t i = 0; text[2 * i] != '\0'; i++) {
        unsigned byte = 0;

        for (size_t k = 0; k < 2; k++) {
            char c = text[2 * i + k];

            byte = byte * 16 + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
        }
        out[i] = (uint8_t)byte;
    }
}

static const struct {
    const char *name;
    const char *secret;
    const char *ip;
    const char *client;
    uint32_t now_s;
    const char *cookie;
} rows[] = {
    {"A.1, a new server cookie", "e5e973e5a6b2a43f48e7dc849e37bfcf",
     "198.51.100.100", "2464c4abcf10c957", 0x5cf79f11,
     "2464c4abcf10c957010000005cf79f111f8130c3eee29480"},
    {"A.4, IPv6, the earlier secret", "dd3bdf9344b678b185a6f5cb60fca715",
     "2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298", 0x5cf7c579,
     "22681ab97d52c298010000005cf7c57926556bd0934c72f8"},
    {"A.4, IPv6, the new secret", "445536bcd2513298075a5d379663c962",
     "2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298", 0x5cf7c609,
     "22681ab97d52c298010000005cf7c609a6bb79d16625507a"},
};

START_TEST(examples)
{
    uint8_t secret[DNS_COOKIE_SECRET_BYTES];
    uint8_t ip[16];
    uint8_t client[8];
    uint8_t wanted[DNS_COOKIE_BYTES];
    uint8_t made[DNS_COOKIE_BYTES];
    size_t ip_len = strchr(rows[_i].ip, ':') != NULL ? 16 : 4;

    unhex(rows[_i].secret, secret);
    unhex(rows[_i].client, client);
    unhex(rows[_i].cookie, wanted);
    ck_assert_int_eq(
        inet_pton(ip_len == 16 ? AF_INET6 : AF_INET, rows[_i].ip, ip), 1);
    dns_cookie_make(secret, slice_of(client, 8), slice_of(ip, ip_len),
                    rows[_i].now_s, made);
    ck_assert_msg(memcmp(made, wanted, sizeof(made)) == 0, "%s", rows[_i].name);
    ck_assert(dns_cookie_good(secret, slice_of(made, sizeof(made)),
                              slice_of(ip, ip_len)));
    ip[0] ^= 1;
    ck_assert(!dns_cookie_good(secret, slice_of(made, sizeof(made)),
                               slice_of(ip, ip_len)));
}
END_TEST

static const struct {
    const char *name;
    uint32_t made_s;
    uint32_t now_s;
    bool timely;
} times[] = {
    {"just made", 1000000, 1000000, true},
    {"an hour old", 1000000, 1003600, true},
    {"older", 1000000, 1003601, false},
    {"from a clock ahead", 1000000, 999700, true},
    {"too far ahead", 1000000, 999699, false},
    {"over the end of 32 bits", UINT32_MAX - 10, 20, true},
};

START_TEST(age)
{
    uint8_t secret[DNS_COOKIE_SECRET_BYTES] = {0};
    uint8_t cookie[DNS_COOKIE_BYTES];
    uint32_t made_s = 0;

    dns_cookie_make(secret, slice_of("12345678", 8), slice_of("\1\2\3\4", 4),
                    times[_i].made_s, cookie);
    ck_assert_msg(dns_cookie_timely(slice_of(cookie, sizeof(cookie)),
                                    times[_i].now_s,
                                    &made_s) == times[_i].timely,
                  "%s", times[_i].name);
    ck_assert_uint_eq(made_s, times[_i].made_s);
}
END_TEST

START_TEST(not_ours)
{
    uint8_t cookie[DNS_COOKIE_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8, 2};
    uint32_t made_s;

    ck_assert(!dns_cookie_timely(slice_of(cookie, 8), 0, &made_s));
    ck_assert(!dns_cookie_timely(slice_of(cookie, 16), 0, &made_s));
    ck_assert(!dns_cookie_timely(slice_of(cookie, 24), 0, &made_s));
}
END_TEST

UNIT_MAIN("dns_cookie", {
    tcase_add_loop_test(tc, examples, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_loop_test(tc, age, 0, sizeof(times) / sizeof(times[0]));
    tcase_add_test(tc, not_ours);
})
