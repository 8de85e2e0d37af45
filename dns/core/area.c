#include "dns/core/area.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "dns/core/content.h"
#include "dns/core/pack.h"

uint16_t dns_areas_number(struct dns_areas *areas, const char *name)
{
    if (name == NULL || *name == '\0') {
        return 0;
    }
    for (size_t i = 0; i < areas->count; i++) {
        if (strcmp(areas->names[i], name) == 0) {
            return (uint16_t)(i + 1);
        }
    }
    if (areas->count == LIMIT_DNS_AREAS) {
        return 0;
    }
    if (areas->names == NULL) {
        areas->names = calloc(LIMIT_DNS_AREAS, sizeof(areas->names[0]));
        CHECK(areas->names != NULL);
    }
    areas->names[areas->count] = strdup(name);
    CHECK(areas->names[areas->count] != NULL);
    areas->count++;
    return (uint16_t)areas->count;
}

void dns_areas_release(struct dns_areas *areas)
{
    for (size_t i = 0; i < areas->count; i++) {
        free(areas->names[i]);
    }
    free(areas->names);
    *areas = (struct dns_areas){0};
}

/* The 16 bytes of either kind of address; shorter ones are filled with zeros,
 * as the addresses of subnets are sent. */
static void widen(struct slice ip, bool ipv6, uint8_t *out)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0,    0,
                                       0, 0, 0, 0, 0xff, 0xff};
    size_t at = ipv6 ? 0 : sizeof(mapped);

    memset(out, 0, 16);
    memcpy(out, mapped, at);
    if (ip.len > 0) {
        memcpy(out + at, ip.data, ip.len);
    }
}

struct collecting {
    const struct dns_spots *spots;
    struct dns_locations *to;
    size_t count;
};

static void add_location(struct collecting *c, const struct dns_address *a,
                         const struct dns_host *host)
{
    struct dns_location *item;

    if (a->len == 0) {
        return;
    }
    if (c->to != NULL) {
        item = &c->to->items[c->count];
        widen(slice_of(a->ip, a->len), a->len == 16, item->ip);
        item->area = host->area;
        item->spot = host->spot;
    }
    c->count++;
}

static void collect(void *ctx, const struct dns_entry *entry)
{
    const struct dns_host *host = entry->host;
    const struct collecting *c = ctx;

    if (host != NULL &&
        (host->area != 0 || dns_spot_known(c->spots, host->spot))) {
        add_location(ctx, &host->ipv4, host);
        add_location(ctx, &host->ipv6, host);
    }
}

static int by_address(const void *a, const void *b)
{
    const struct dns_location *x = a;
    const struct dns_location *y = b;
    int order = memcmp(x->ip, y->ip, sizeof(x->ip));

    if (order == 0) {
        order = (int)x->area - (int)y->area;
    }
    return order != 0 ? order : (int)x->spot - (int)y->spot;
}

struct dns_locations *dns_locations_new(const struct dns_table *names,
                                        const struct dns_spots *spots)
{
    struct collecting c = {.spots = spots};

    dns_table_each(names, collect, &c);
    c.to = calloc(1, sizeof(*c.to) + c.count * sizeof(c.to->items[0]));
    CHECK(c.to != NULL);
    c.to->count = c.count;
    c.count = 0;
    dns_table_each(names, collect, &c);
    qsort(c.to->items, c.to->count, sizeof(c.to->items[0]), by_address);
    return c.to;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned bytes = bits / 8;
    unsigned rest = bits % 8;

    return memcmp(a, b, bytes) == 0 &&
           (rest == 0 || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0);
}

/* The first node within the prefix; NULL: none is known. */
static const struct dns_location *location_at(const struct dns_locations *l,
                                              const uint8_t *ip, unsigned bits)
{
    size_t low = 0;
    size_t high = l->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (memcmp(l->items[middle].ip, ip, 16) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < l->count && same_bits(l->items[low].ip, ip, bits)
               ? &l->items[low]
               : NULL;
}

enum {
    SUBNET_FIXED = 4, /* Family, source and scope prefix. */
    SUBNET_IPV6 = 2
};

struct slice dns_client_address(const struct dns_question *q,
                                const struct dns_transport *t)
{
    return q->edns.subnet.len > SUBNET_FIXED
               ? slice_skip(q->edns.subnet, SUBNET_FIXED)
               : t->client;
}

/* At the spot of a node with that address, of which the first one counts. */
static void locate(const struct dns_zone *zone, const struct dns_question *q,
                   const struct dns_transport *t, struct dns_near *near)
{
    static const uint8_t loopback6[16] = {[15] = 1};
    struct slice ip = dns_client_address(q, t);
    bool subnet = ip.data != t->client.data;
    bool ipv6 = subnet ? q->edns.subnet.data[1] == SUBNET_IPV6 : ip.len == 16;
    unsigned bits = subnet ? q->edns.subnet.data[2] : (unsigned)ip.len * 8;
    const struct dns_location *at;
    uint8_t wide[16];

    if (ip.len == 0) {
        return;
    }
    widen(ip, ipv6, wide);
    if (ipv6 ? memcmp(wide, loopback6, sizeof(wide)) == 0 : ip.data[0] == 127) {
        near->area = zone->self_area;
        near->spot = zone->self_spot;
        return;
    }
    at = location_at(zone->locations, wide, ipv6 ? bits : bits + 96);
    if (at != NULL) {
        near->area = at->area;
        near->spot = at->spot;
    }
}

struct dns_near dns_client_near(const struct dns_zone *zone,
                                const struct dns_question *q,
                                const struct dns_transport *t)
{
    struct dns_near near = {
        .spots = zone->spots,
        .least = zone->config->settings.near_min_healthy,
    };

    locate(zone, q, t, &near);
    return near;
}
