#include "dns/io/shared_cache.h"

#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/core/check.h"

struct shard {
    _Alignas(64) pthread_mutex_t lock;
    struct dns_cache *cache;
};

struct shared_cache {
    struct hash_key key; /* Which shard; each has another one within. */
    struct shard shards[CACHE_SHARDS];
};

struct shared_cache *shared_cache_new(void)
{
    static const struct dns_cache_limits nothing;
    struct shared_cache *c = aligned_alloc(64, sizeof(*c));

    CHECK(c != NULL);
    CHECK(RAND_bytes((unsigned char *)&c->key, sizeof(c->key)) == 1);
    for (int i = 0; i < CACHE_SHARDS; i++) {
        struct hash_key own = {c->key.k1, c->key.k0 + (uint64_t)i};

        CHECK(pthread_mutex_init(&c->shards[i].lock, NULL) == 0);
        c->shards[i].cache = dns_cache_new(&nothing, own);
    }
    return c;
}

void shared_cache_free(struct shared_cache *c)
{
    if (c == NULL) {
        return;
    }
    for (int i = 0; i < CACHE_SHARDS; i++) {
        dns_cache_free(c->shards[i].cache);
        (void)pthread_mutex_destroy(&c->shards[i].lock);
    }
    free(c);
}

static struct shard *lock_all_of(struct shared_cache *c, int index)
{
    struct shard *s = &c->shards[index];

    CHECK(pthread_mutex_lock(&s->lock) == 0);
    return s;
}

static struct shard *lock_shard(struct shared_cache *c,
                                const struct dns_cache_key *key)
{
    uint64_t hash = hash_bytes(c->key, dns_cache_key_slice(key));

    return lock_all_of(c, (int)(hash % CACHE_SHARDS));
}

static void unlock(struct shard *s)
{
    CHECK(pthread_mutex_unlock(&s->lock) == 0);
}

void shared_cache_limit(struct shared_cache *c,
                        const struct dns_cache_limits *limits)
{
    struct dns_cache_limits part = {
        .bytes = limits->bytes / CACHE_SHARDS,
        .entries = (limits->entries + CACHE_SHARDS - 1) / CACHE_SHARDS,
        .stale_max_s = limits->stale_max_s,
    };

    for (int i = 0; i < CACHE_SHARDS; i++) {
        struct shard *s = lock_all_of(c, i);

        dns_cache_limit(s->cache, &part);
        unlock(s);
    }
}

enum dns_cache_state shared_cache_get(struct shared_cache *c,
                                      const struct dns_cache_key *key,
                                      uint64_t now_ms, uint8_t *out,
                                      struct dns_cached *found)
{
    struct shard *s = lock_shard(c, key);
    enum dns_cache_state state =
        dns_cache_get(s->cache, dns_cache_key_slice(key), now_ms, found);

    if (state != DNS_CACHE_MISS && found->reply.len > 0) {
        memcpy(out, found->reply.data, found->reply.len);
        found->reply.data = out;
    }
    unlock(s);
    return state;
}

void shared_cache_put(struct shared_cache *c, const struct dns_cache_key *key,
                      struct slice reply, uint32_t ttl_s, uint64_t now_ms)
{
    struct shard *s = lock_shard(c, key);

    dns_cache_put(s->cache, dns_cache_key_slice(key), reply, ttl_s, now_ms);
    unlock(s);
}

void shared_cache_fail(struct shared_cache *c, const struct dns_cache_key *key,
                       const struct dns_cache_failure *failure, uint64_t now_ms)
{
    struct shard *s = lock_shard(c, key);

    dns_cache_fail(s->cache, dns_cache_key_slice(key), failure, now_ms);
    unlock(s);
}

void shared_cache_size(struct shared_cache *c, struct dns_cache_size *out_size)
{
    struct dns_cache_size sum = {0};

    for (int i = 0; i < CACHE_SHARDS; i++) {
        struct shard *s = lock_all_of(c, i);
        struct dns_cache_size one;

        dns_cache_size(s->cache, &one);
        unlock(s);
        sum.bytes += one.bytes;
        sum.entries += one.entries;
        sum.evicted += one.evicted;
    }
    *out_size = sum;
}
