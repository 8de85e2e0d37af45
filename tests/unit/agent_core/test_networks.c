#include "agent/core/networks.h"

#include "suite.h"

static const struct {
    const char *network;
    const char *peer;
    bool in; /* False with network NULL: it must not be accepted. */
} rows[] = {
    {"127.0.0.0/8", "127.0.0.1:80", true},
    {"127.0.0.0/8", "127.255.255.255:80", true},
    {"127.0.0.0/8", "128.0.0.1:80", false},
    {"127.0.0.0/8", "[::ffff:127.0.0.1]:80", true},
    {"127.0.0.0/8", "::ffff:127.0.0.1", true},
    {"127.0.0.0/8", "[::1]:80", false},
    {"127.0.0.0/8", "[::127.0.0.1]:80", false},
    {"10.1.2.3", "10.1.2.3:1", true},
    {"10.1.2.3", "10.1.2.4:1", false},
    {"10.1.2.3/32", "10.1.2.3", true},
    {"0.0.0.0/0", "1.2.3.4:5", true},
    {"0.0.0.0/0", "[2001:db8::1]:5", false},
    {"::/0", "[2001:db8::1]:5", true},
    {"::/0", "1.2.3.4:5", true},
    {"2001:db8::/33", "[2001:db8:7fff::1]:5", true},
    {"2001:db8::/33", "[2001:db8:8000::1]:5", false},
    {"::1", "[::1]:80", true},
    {"::1", "[::2]:80", false},
    {"127.0.0.0/8", "", false},
    {"127.0.0.0/8", "unix", false},
    {"127.0.0.0/8", "127.0.0.1.evil.example:80", false},
    {"127.0.0.0/8", "[127.0.0.1", true}, /* The kernel says no such thing. */
    {"127.0.0.0/8",
     "127.0.0.1000000000000000000000000000000000000000000000000000000000000:1",
     false},
};

START_TEST(peer_is_in_or_out)
{
    struct network n;

    ck_assert_int_eq(network_parse(rows[_i].network, &n), ST_OK);
    ck_assert_msg(network_has(&n, 1, slice_str(rows[_i].peer)) == rows[_i].in,
                  "%s in %s", rows[_i].peer, rows[_i].network);
}
END_TEST

static const char *const bad[] = {
    "",
    "10",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/8x",
    "10.0.0.1/8",
    "::1/127",
    "::/129",
    "localhost",
    "10.0.0.0/8/8",
    "/8",
    "10.0.0.0/ 8",
};

START_TEST(what_is_no_network_is_refused)
{
    struct network n;

    ck_assert_msg(network_parse(bad[_i], &n) == ST_INVALID, "%s", bad[_i]);
}
END_TEST

START_TEST(loopback_is_known)
{
    ck_assert(network_is_loopback(slice_str("127.0.0.1:4711")));
    ck_assert(network_is_loopback(slice_str("127.9.9.9:4711")));
    ck_assert(network_is_loopback(slice_str("[::1]:4711")));
    ck_assert(network_is_loopback(slice_str("[::ffff:127.0.0.1]:4711")));
    ck_assert(!network_is_loopback(slice_str("10.0.0.1:4711")));
    ck_assert(!network_is_loopback(slice_str("[fe80::1]:4711")));
    ck_assert(!network_is_loopback(slice_str("unix")));
}
END_TEST

UNIT_MAIN("networks", {
    tcase_add_loop_test(tc, peer_is_in_or_out, 0, COUNT_OF(rows));
    tcase_add_loop_test(tc, what_is_no_network_is_refused, 0, COUNT_OF(bad));
    tcase_add_test(tc, loopback_is_known);
})
