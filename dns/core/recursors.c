#include "dns/core/recursors.h"

/* How long a recursor that failed is asked last. */
#define DEMOTION_MS 15000

static bool parse_domain(const char *text, struct dns_name *out)
{
    *out = (struct dns_name){0};
    if (strcmp(text, ".") != 0 && !dns_name_add_text(out, slice_str(text))) {
        return false;
    }
    dns_name_lower(out);
    return dns_name_end(out);
}

enum status dns_routes_add(struct dns_routes *routes, const char *domain,
                           uint8_t number)
{
    struct dns_route *route = NULL;
    struct dns_name name;

    if (!parse_domain(domain, &name)) {
        return ST_INVALID;
    }
    for (size_t i = 0; i < routes->count; i++) {
        if (slice_eq(dns_name_slice(&routes->items[i].domain),
                     dns_name_slice(&name))) {
            route = &routes->items[i];
        }
    }
    if (route == NULL) {
        if (routes->count == DNS_ROUTES_MAX) {
            return ST_TOO_BIG;
        }
        route = &routes->items[routes->count++];
        *route = (struct dns_route){.domain = name};
    }
    if (route->count == DNS_ROUTE_RECURSORS_MAX) {
        return ST_TOO_BIG;
    }
    route->recursors[route->count++] = number;
    return ST_OK;
}

const struct dns_route *dns_routes_find(const struct dns_routes *routes,
                                        struct slice name)
{
    /* The parents of a name, longest first: the first match is the best. */
    for (size_t at = 0; at < name.len; at += (size_t)name.data[at] + 1) {
        struct slice parent = slice_skip(name, at);

        for (size_t i = 0; i < routes->count; i++) {
            if (dns_same(dns_name_slice(&routes->items[i].domain), parent)) {
                return &routes->items[i];
            }
        }
    }
    return NULL;
}

void dns_recursor_failed(struct dns_recursor_health *h, uint8_t number,
                         uint64_t now_ms)
{
    h->demoted_until_ms[number] = now_ms + DEMOTION_MS;
}

void dns_recursor_answered(struct dns_recursor_health *h, uint8_t number)
{
    h->demoted_until_ms[number] = 0;
}

static bool is_demoted(const struct dns_recursor_health *h, uint8_t number,
                       uint64_t now_ms)
{
    return now_ms < h->demoted_until_ms[number];
}

void dns_recursors_arrange(const struct dns_route *route,
                           enum dns_recursor_order order,
                           const struct dns_recursor_health *h, uint64_t now_ms,
                           struct rng *rng, uint8_t *out)
{
    uint8_t all[DNS_ROUTE_RECURSORS_MAX];
    size_t used = 0;

    memcpy(all, route->recursors, route->count);
    for (size_t i = route->count; order == DNS_RECURSORS_SHUFFLED && i > 1;
         i--) {
        size_t j = (size_t)rng_below(rng, i);
        uint8_t kept = all[i - 1];

        all[i - 1] = all[j];
        all[j] = kept;
    }
    for (int demoted = 0; demoted <= 1; demoted++) {
        for (size_t i = 0; i < route->count; i++) {
            if (is_demoted(h, all[i], now_ms) == demoted) {
                out[used++] = all[i];
            }
        }
    }
}
