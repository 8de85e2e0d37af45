/*
 * cache.h - what upstream has said, for as long as it may be said again.
 *
 * Bounded in bytes and entries. Time comes in with each call, in milliseconds
 * of one monotonic clock. Eviction is SIEVE (Zhang et al., NSDI 2024): entries
 * stand in the order of their coming, a hand goes from the oldest to the newest
 * and takes the first that nobody has asked for since it passed last. A flood
 * of names that are asked once (random sub-domains) pushes out itself, not what
 * is in use, and a hit changes one bit.
 *
 * A failure is remembered too (RFC 9520), unless an answer is there that may be
 * served stale (RFC 8767): then that answer is held, and served without asking
 * upstream again until the hold ends.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/core/hash.h"
#include "dns/core/name.h"

/* Name, type, and what makes answers differ: DO and CD. */
#define DNS_CACHE_KEY_MAX (DNS_NAME_MAX + 3)

struct dns_cache_key {
    uint16_t len;
    uint8_t bytes[DNS_CACHE_KEY_MAX];
};

void dns_cache_key_make(struct dns_cache_key *key, struct slice name,
                        uint16_t type, bool dnssec_ok, bool checking_disabled);

static inline struct slice dns_cache_key_slice(const struct dns_cache_key *key)
{
    return slice_of(key->bytes, key->len);
}

struct dns_cache_limits {
    size_t bytes;         /* Of entries and index; 0: keep nothing. */
    size_t entries;       /* 0: as many as the bytes allow. */
    uint32_t stale_max_s; /* How long past its TTL an answer may be served;
                             0: never. */
};

struct dns_cache;

struct dns_cache *dns_cache_new(const struct dns_cache_limits *limits,
                                struct hash_key key);
void dns_cache_free(struct dns_cache *c); /* NULL is fine. */

/* Change the limits, keeping what fits. */
void dns_cache_limit(struct dns_cache *c,
                     const struct dns_cache_limits *limits);

enum dns_cache_state {
    DNS_CACHE_MISS,
    DNS_CACHE_FRESH,
    DNS_CACHE_STALE,  /* Expired: ask upstream, serve it should that fail. */
    DNS_CACHE_HELD,   /* Expired, and upstream has just failed: serve it. */
    DNS_CACHE_FAILED, /* Upstream has just failed, and there is nothing. */
};

struct dns_cached {
    struct slice reply; /* In the cache, until the next call that changes it. */
    uint32_t age_s;     /* Since it came. */
    int extended_error; /* DNS_CACHE_FAILED: why. */
};

enum dns_cache_state dns_cache_get(struct dns_cache *c, struct slice key,
                                   uint64_t now_ms, struct dns_cached *out);

/* Remember `reply`, which is copied, for `ttl_s`; what was there goes. Nothing
 * is kept with a TTL of 0, or when it would take more than an eighth of all. */
void dns_cache_put(struct dns_cache *c, struct slice key, struct slice reply,
                   uint32_t ttl_s, uint64_t now_ms);

/* Upstream has failed. A stale answer is held for `hold_ms`; without one the
 * failure is remembered for `fail_ms`. */
struct dns_cache_failure {
    int extended_error;
    uint32_t fail_ms;
    uint32_t hold_ms;
};

void dns_cache_fail(struct dns_cache *c, struct slice key,
                    const struct dns_cache_failure *failure, uint64_t now_ms);

struct dns_cache_size {
    size_t bytes;
    size_t entries;
    uint64_t evicted; /* For room, since the beginning. */
};

void dns_cache_size(const struct dns_cache *c, struct dns_cache_size *out_size);

/* CHECKs that index, order and sums agree. For tests. */
void dns_cache_verify(const struct dns_cache *c);
