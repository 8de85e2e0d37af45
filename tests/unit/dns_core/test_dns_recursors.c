#include "dns/core/network.h"
#include "dns/core/recursors.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "tests/unit/suite.h"

static struct slice wire(const char *text, struct dns_name *n)
{
    *n = (struct dns_name){0};
    if (strcmp(text, ".") != 0) {
        ck_assert(dns_name_add_text(n, slice_str(text)));
    }
    ck_assert(dns_name_end(n));
    return dns_name_slice(n);
}

/* Number of the first recursor of the route; -1: no route. */
static const struct {
    const char *name;
    int first;
} routed[] = {
    {"example.com", 0},
    {".", 0},
    {"corp.example", 1},
    {"CORP.Example", 1},
    {"a.b.corp.example", 1},
    {"lab.corp.example", 2},
    {"x.lab.corp.example", 2},
    {"notcorp.example", 0},
    {"example", 0},
    {"7.10.in-addr.arpa", 3},
};

START_TEST(the_longest_domain_wins)
{
    struct dns_routes routes = {0};
    const struct dns_route *found;
    struct dns_name n;

    ck_assert_int_eq(dns_routes_add(&routes, "corp.example", 1), ST_OK);
    ck_assert_int_eq(dns_routes_add(&routes, ".", 0), ST_OK);
    ck_assert_int_eq(dns_routes_add(&routes, "Lab.Corp.Example.", 2), ST_OK);
    ck_assert_int_eq(dns_routes_add(&routes, "10.in-addr.arpa", 3), ST_OK);
    ck_assert_int_eq(dns_routes_add(&routes, "corp.example", 4), ST_OK);
    found = dns_routes_find(&routes, wire(routed[_i].name, &n));
    ck_assert(found != NULL);
    ck_assert_msg(found->recursors[0] == routed[_i].first, "%s: %u",
                  routed[_i].name, found->recursors[0]);
    ck_assert_uint_eq(found->count, routed[_i].first == 1 ? 2 : 1);
}
END_TEST

START_TEST(without_a_default_others_have_no_route)
{
    struct dns_routes routes = {0};
    struct dns_name n;

    ck_assert_int_eq(dns_routes_add(&routes, "corp.example", 1), ST_OK);
    ck_assert(dns_routes_find(&routes, wire("example.com", &n)) == NULL);
    ck_assert_int_eq(dns_routes_add(&routes, "a..b", 1), ST_INVALID);
    for (uint8_t i = 1; i < DNS_ROUTE_RECURSORS_MAX; i++) {
        ck_assert_int_eq(dns_routes_add(&routes, "corp.example", i), ST_OK);
    }
    ck_assert_int_eq(dns_routes_add(&routes, "corp.example", 9), ST_TOO_BIG);
}
END_TEST

/* Recursors 0, 1, 2; those of `failed` failed at 0. */
static const struct {
    const char *failed;
    uint64_t at_ms;
    const char *order;
} orders[] = {
    {"", 0, "012"},      {"0", 0, "120"},  {"1", 14999, "021"},
    {"1", 15000, "012"}, {"01", 0, "201"}, {"012", 0, "012"},
    {"0a", 0, "012"}, /* It has answered since. */
};

START_TEST(who_failed_is_asked_last)
{
    struct dns_route route = {.recursors = {0, 1, 2}, .count = 3};
    struct dns_recursor_health h = {0};
    struct rng rng;
    uint8_t out[3];
    char text[4] = "";

    rng_init(&rng, 1);
    for (const char *at = orders[_i].failed; *at != '\0'; at++) {
        if (*at == 'a') {
            dns_recursor_answered(&h, 0);
        } else {
            dns_recursor_failed(&h, (uint8_t)(*at - '0'), 0);
        }
    }
    dns_recursors_arrange(&route, DNS_RECURSORS_IN_ORDER, &h, orders[_i].at_ms,
                          &rng, out);
    for (int i = 0; i < 3; i++) {
        text[i] = (char)('0' + out[i]);
    }
    ck_assert_str_eq(text, orders[_i].order);
}
END_TEST

START_TEST(random_order_is_fair_and_keeps_the_failed_last)
{
    struct dns_route route = {.recursors = {0, 1, 2}, .count = 3};
    struct dns_recursor_health h = {0};
    unsigned first[3] = {0};
    struct rng rng;
    uint8_t out[3];

    rng_init(&rng, 1);
    for (int i = 0; i < 3000; i++) {
        dns_recursors_arrange(&route, DNS_RECURSORS_SHUFFLED, &h, 1, &rng, out);
        first[out[0]]++;
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_gt(first[i], 900);
    }
    dns_recursor_failed(&h, 1, 0);
    for (int i = 0; i < 100; i++) {
        dns_recursors_arrange(&route, DNS_RECURSORS_SHUFFLED, &h, 1, &rng, out);
        ck_assert_uint_eq(out[2], 1);
    }
}
END_TEST

static const struct {
    const char *network;
    const char *ip; /* NULL: the network is wrong. */
    bool has;
} networks[] = {
    {"10.0.0.0/8", "10.255.0.1", true},
    {"10.0.0.0/8", "11.0.0.1", false},
    {"192.168.4.0/22", "192.168.7.255", true},
    {"192.168.4.0/22", "192.168.8.0", false},
    {"192.0.2.7", "192.0.2.7", true},
    {"192.0.2.7", "192.0.2.6", false},
    {"0.0.0.0/0", "8.8.8.8", true},
    {"0.0.0.0/0", "2001:db8::1", false},
    {"2001:db8::/33", "2001:db8:7fff::1", true},
    {"2001:db8::/33", "2001:db8:8000::1", false},
    {"::/0", "2001:db8::1", true},
    {"10.0.0.1/8", NULL, false},
    {"10.0.0.0/33", NULL, false},
    {"10.0.0.0/", NULL, false},
    {"10.0.0.0/8x", NULL, false},
    {"10.0.0/8", NULL, false},
    {"::/129", NULL, false},
    {"localhost", NULL, false},
    {"", NULL, false},
};

START_TEST(networks_by_row)
{
    struct dns_network n;
    uint8_t ip[16];
    enum status st = dns_network_parse(networks[_i].network, &n);
    const char *text = networks[_i].ip;
    bool ipv6;

    ck_assert_msg(st == (text != NULL ? ST_OK : ST_INVALID), "%s",
                  networks[_i].network);
    if (text == NULL) {
        return;
    }
    ipv6 = strchr(text, ':') != NULL;
    ck_assert_int_eq(inet_pton(ipv6 ? AF_INET6 : AF_INET, text, ip), 1);
    ck_assert_msg(dns_network_has(&n, slice_of(ip, ipv6 ? 16 : 4)) ==
                      networks[_i].has,
                  "%s %s", networks[_i].network, text);
}
END_TEST

UNIT_MAIN("dns_recursors", {
    tcase_add_loop_test(tc, the_longest_domain_wins, 0, COUNT_OF(routed));
    tcase_add_test(tc, without_a_default_others_have_no_route);
    tcase_add_loop_test(tc, who_failed_is_asked_last, 0, COUNT_OF(orders));
    tcase_add_test(tc, random_order_is_fair_and_keeps_the_failed_last);
    tcase_add_loop_test(tc, networks_by_row, 0, COUNT_OF(networks));
})
