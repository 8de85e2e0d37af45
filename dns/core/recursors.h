/*
 * recursors.h - which recursors are asked for a name, and in which order.
 *
 * A route is a domain and its recursors; the route with the most labels that a
 * name lies in is the name's. Recursors are known by number, 0 to
 * DNS_RECURSORS_MAX - 1, to whoever holds their addresses. One that failed is
 * asked last for a while: it is not left out, for the others may fail, too.
 */
#pragma once

#include "base/core/rng.h"
#include "dns/core/name.h"

#define DNS_RECURSORS_MAX       32 /* All together. */
#define DNS_ROUTE_RECURSORS_MAX 8  /* Of one domain. */
#define DNS_ROUTES_MAX          64

struct dns_route {
    struct dns_name domain; /* Lower case, with root; the root: all names. */
    uint8_t recursors[DNS_ROUTE_RECURSORS_MAX];
    size_t count;
};

struct dns_routes {
    struct dns_route items[DNS_ROUTES_MAX];
    size_t count;
};

/* Add recursor `number` to the route of `domain` ("corp.example", "."), which
 * is made when it is new. ST_INVALID: no domain name; ST_TOO_BIG: no room. */
enum status dns_routes_add(struct dns_routes *routes, const char *domain,
                           uint8_t number);

/* `name` in wire form with root. NULL: nobody is to be asked. */
const struct dns_route *dns_routes_find(const struct dns_routes *routes,
                                        struct slice name);

enum dns_recursor_order {
    DNS_RECURSORS_IN_ORDER,
    DNS_RECURSORS_SHUFFLED
};

/* When each recursor may come first again; zeroed at first. */
struct dns_recursor_health {
    uint64_t demoted_until_ms[DNS_RECURSORS_MAX];
};

void dns_recursor_failed(struct dns_recursor_health *h, uint8_t number,
                         uint64_t now_ms);
void dns_recursor_answered(struct dns_recursor_health *h, uint8_t number);

/* The route's recursors in the order in which to ask them, into `out`, which
 * has room for route->count. */
void dns_recursors_arrange(const struct dns_route *route,
                           enum dns_recursor_order order,
                           const struct dns_recursor_health *h, uint64_t now_ms,
                           struct rng *rng, uint8_t *out);
