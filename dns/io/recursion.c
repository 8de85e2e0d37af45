#include "dns/io/recursion.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"

enum {
    DNS_PORT = 53,
    TIMEOUT_MS = 2000,
    TTL_MAX_S = 86400,
    STALE_WAIT_MS = 1800 /* RFC 8767, 5: the client response timer. */
};

/* Is `ip` an address of this host? */
static bool is_of_host(struct slice ip)
{
    struct ifaddrs *all = NULL;
    bool found = false;

    if (getifaddrs(&all) != 0) {
        return false;
    }
    for (const struct ifaddrs *i = all; i != NULL && !found; i = i->ifa_next) {
        int family = i->ifa_addr != NULL ? i->ifa_addr->sa_family : AF_UNSPEC;

        found = (family == AF_INET || family == AF_INET6) &&
                slice_eq(address_ip((const union address *)i->ifa_addr), ip);
    }
    freeifaddrs(all);
    return found;
}

/* Would a question sent there come back to us? */
static bool is_own(const union address *own, size_t own_count,
                   const union address *recursor)
{
    struct slice ip = address_ip(recursor);

    for (size_t i = 0; i < own_count; i++) {
        bool whole_host = address_is_wildcard(&own[i]);

        if (address_port(&own[i]) != address_port(recursor)) {
            continue;
        }
        if (slice_eq(address_ip(&own[i]), ip) ||
            address_is_wildcard(recursor) ||
            (whole_host && (address_is_loopback(recursor) || is_of_host(ip)))) {
            return true;
        }
    }
    return false;
}

/* As c-ares reads it: "192.0.2.1:53", "[2001:db8::1]:53". */
static void write_text(struct recursor *r)
{
    const union address *a = &r->address;
    bool ipv6 = a->any.sa_family == AF_INET6;
    char ip[INET6_ADDRSTRLEN];

    CHECK(inet_ntop(a->any.sa_family,
                    ipv6 ? (const void *)&a->ipv6.sin6_addr
                         : (const void *)&a->ipv4.sin_addr,
                    ip, sizeof(ip)) != NULL);
    (void)snprintf(r->text, sizeof(r->text), ipv6 ? "[%s]:%u" : "%s:%u", ip,
                   address_port(a));
}

/* The number of a recursor, which may stand at several domains. */
static enum status number_of(struct recursion *r, const char *field,
                             const char *text, uint8_t *out_number,
                             struct err *err)
{
    struct recursor one = {0};
    enum status st =
        dns_address_parse(text, DNS_PORT, field, &one.address, err);

    if (st) {
        return st;
    }
    write_text(&one);
    for (size_t i = 0; i < r->count; i++) {
        if (strcmp(r->recursors[i].text, one.text) == 0) {
            *out_number = (uint8_t)i;
            return ST_OK;
        }
    }
    if (r->count == DNS_RECURSORS_MAX) {
        return err_set(err, ST_INVALID, "%s: more than %d different recursors",
                       field, DNS_RECURSORS_MAX);
    }
    *out_number = (uint8_t)r->count;
    r->recursors[r->count++] = one;
    return ST_OK;
}

static enum status add(struct recursion *r, const char *domain,
                       const char *field, const char *text, struct err *err)
{
    uint8_t number = 0;
    enum status st = number_of(r, field, text, &number, err);

    if (st) {
        return st;
    }
    st = dns_routes_add(&r->routes, domain, number);
    if (st == ST_INVALID) {
        return err_set(err, st, "%s: \"%s\" is not a domain name", field,
                       domain);
    }
    if (st) {
        return err_set(err, ST_INVALID,
                       "%s: at most %d domains, and %d recursors of each",
                       field, DNS_ROUTES_MAX, DNS_ROUTE_RECURSORS_MAX);
    }
    return ST_OK;
}

static enum status read_recursors(struct recursion *r,
                                  const struct dns_recursion_config *c,
                                  struct err *err)
{
    enum status st = ST_OK;

    for (size_t i = 0; i < c->recursors_count && !st; i++) {
        st = add(r, ".", "recursors", c->recursors[i], err);
    }
    for (size_t i = 0; i < c->domains_count && !st; i++) {
        st = add(r, c->domains[i].domain, "recursors_for",
                 c->domains[i].recursor, err);
    }
    return st;
}

static enum status check_loops(const struct recursion *r,
                               const union address *own, size_t own_count,
                               struct err *err)
{
    for (size_t i = 0; i < r->count; i++) {
        if (is_own(own, own_count, &r->recursors[i].address)) {
            return err_set(err, ST_INVALID,
                           "recursor \"%s\" is one of our own addresses; a "
                           "question would come back for ever",
                           r->recursors[i].text);
        }
    }
    return ST_OK;
}

static enum status read_networks(struct recursion *r,
                                 const struct dns_recursion_config *c,
                                 struct err *err)
{
    if (c->from_count > NETWORKS_MAX) {
        return err_set(err, ST_INVALID, "recursion_from: at most %d networks",
                       NETWORKS_MAX);
    }
    for (size_t i = 0; i < c->from_count; i++) {
        if (dns_network_parse(c->from[i], &r->from[i])) {
            return err_set(err, ST_INVALID,
                           "recursion_from: \"%s\" is not a network such as "
                           "10.0.0.0/8 or 2001:db8::/32, with zeros behind "
                           "its length",
                           c->from[i]);
        }
        r->from_count++;
    }
    return ST_OK;
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value != 0 ? value : otherwise;
}

enum status recursion_new(const struct dns_recursion_config *config,
                          const union address *own, size_t own_count,
                          struct recursion **out, struct err *err)
{
    struct recursion *r = calloc(1, sizeof(*r));
    enum status st;

    CHECK(r != NULL);
    atomic_init(&r->refs, 1);
    r->order = config->order;
    r->timeout_ms = or_default(config->timeout_ms, TIMEOUT_MS);
    r->ttl_max_s = or_default(config->ttl_max_s, TTL_MAX_S);
    r->stale_wait_ms = or_default(config->stale_wait_ms, STALE_WAIT_MS);
    r->cache = (struct dns_cache_limits){.bytes = config->cache_bytes,
                                         .entries = config->cache_entries,
                                         .stale_max_s = config->stale_max_s};
    st = read_recursors(r, config, err);
    if (!st) {
        st = check_loops(r, own, own_count, err);
    }
    if (!st) {
        st = read_networks(r, config, err);
    }
    if (st) {
        free(r);
        return st;
    }
    *out = r;
    return ST_OK;
}

struct recursion *recursion_ref(struct recursion *r)
{
    atomic_fetch_add(&r->refs, 1);
    return r;
}

void recursion_unref(struct recursion *r)
{
    if (r != NULL && atomic_fetch_sub(&r->refs, 1) == 1) {
        free(r);
    }
}

bool recursion_is_for(const struct recursion *r, const union address *client)
{
    struct slice ip = address_ip(client);

    if (address_is_loopback(client)) {
        return true;
    }
    for (size_t i = 0; i < r->from_count; i++) {
        if (dns_network_has(&r->from[i], ip)) {
            return true;
        }
    }
    return false;
}
