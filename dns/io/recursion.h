/*
 * recursion.h - who is asked for other people's names, and on whose behalf.
 *
 * Immutable and counted: a new one replaces it when the configuration is read
 * again, and what is under way goes on with the one it began with.
 */
#pragma once

#include <stdatomic.h>

#include "base/core/err.h"
#include "dns/core/cache.h"
#include "dns/core/network.h"
#include "dns/core/recursors.h"
#include "dns/io/address.h"
#include "dns/io/server.h"

#define RECURSOR_TEXT_MAX (INET6_ADDRSTRLEN + 9) /* "[v6]:65535" */
#define NETWORKS_MAX      64

struct recursor {
    union address address;
    char text[RECURSOR_TEXT_MAX]; /* As c-ares and metrics have it. */
};

struct recursion {
    _Atomic unsigned refs;
    struct recursor recursors[DNS_RECURSORS_MAX];
    size_t count;
    struct dns_routes routes;
    enum dns_recursor_order order;
    uint32_t timeout_ms;
    struct dns_network from[NETWORKS_MAX]; /* Besides loopback. */
    size_t from_count;
    struct dns_cache_limits cache;
    uint32_t ttl_max_s;
    uint32_t stale_wait_ms;
};

/* ST_INVALID: `err` names the key and what is wrong with it. `own`: where we
 * listen. */
enum status recursion_new(const struct dns_recursion_config *config,
                          const union address *own, size_t own_count,
                          struct recursion **out, struct err *err);
struct recursion *recursion_ref(struct recursion *r);
void recursion_unref(struct recursion *r); /* NULL is fine. */

/* May this client have names of others? Loopback and the listed networks. */
bool recursion_is_for(const struct recursion *r, const union address *client);
