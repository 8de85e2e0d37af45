/*
 * shared_cache.h - one cache of upstream's answers for all threads.
 *
 * Shards by key, a lock each, held while an answer is copied out. Shared,
 * because the kernel spreads clients over the workers by port: with a cache a
 * worker each name would be asked for and kept once a worker.
 */
#pragma once

#include "dns/core/cache.h"

#define CACHE_SHARDS 8

struct shared_cache;

struct shared_cache *shared_cache_new(void);
void shared_cache_free(struct shared_cache *c); /* NULL is fine. */

/* Limits of all shards together. */
void shared_cache_limit(struct shared_cache *c,
                        const struct dns_cache_limits *limits);

/* What was found, copied to `out`, which has room for 65 535 bytes;
 * found->reply borrows from there. Nothing is copied but for what may be
 * served. */
enum dns_cache_state shared_cache_get(struct shared_cache *c,
                                      const struct dns_cache_key *key,
                                      uint64_t now_ms, uint8_t *out,
                                      struct dns_cached *found);

void shared_cache_put(struct shared_cache *c, const struct dns_cache_key *key,
                      struct slice reply, uint32_t ttl_s, uint64_t now_ms);
void shared_cache_fail(struct shared_cache *c, const struct dns_cache_key *key,
                       const struct dns_cache_failure *failure,
                       uint64_t now_ms);
void shared_cache_size(struct shared_cache *c, struct dns_cache_size *out_size);
