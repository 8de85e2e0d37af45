#include "dns/core/rate.h"

#include <stdlib.h>

#include "base/core/check.h"

enum {
    SETS = 2048,
    WAYS = 4,
    COST = 1000 /* Tokens a response: as many come in a millisecond as
                   responses may go in a second. */
};

struct bucket {
    uint64_t tag; /* 0: free. */
    uint32_t tokens;
    uint32_t seen_ms;
    uint32_t refused; /* Counts for the slip. */
};

struct dns_rates {
    struct hash_key key;
    struct bucket buckets[SETS][WAYS];
};

struct dns_rates *dns_rates_new(struct hash_key key)
{
    struct dns_rates *r = calloc(1, sizeof(*r));

    CHECK(r != NULL);
    r->key = key;
    return r;
}

void dns_rates_free(struct dns_rates *r)
{
    free(r);
}

static void refill(struct bucket *b, uint32_t per_second, uint32_t now_ms)
{
    uint64_t full = (uint64_t)per_second * COST;
    uint64_t tokens = b->tokens + (uint64_t)(now_ms - b->seen_ms) * per_second;

    b->tokens = (uint32_t)(tokens < full ? tokens : full);
    b->seen_ms = now_ms;
}

/* Its bucket, or the one that was quiet for longest, made its own. */
static struct bucket *bucket_of(struct dns_rates *r, struct slice prefix,
                                uint32_t per_second, uint32_t now_ms)
{
    uint64_t hash = hash_bytes(r->key, prefix) | 1;
    struct bucket *set = r->buckets[(hash >> 1) % SETS];
    struct bucket *oldest = &set[0];

    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].tag == hash) {
            return &set[i];
        }
        if (set[i].tag == 0) {
            oldest = &set[i];
            break;
        }
        if (now_ms - set[i].seen_ms > now_ms - oldest->seen_ms) {
            oldest = &set[i];
        }
    }
    *oldest = (struct bucket){
        .tag = hash, .tokens = per_second * COST, .seen_ms = now_ms};
    return oldest;
}

enum dns_rate_verdict dns_rates_take(struct dns_rates *r,
                                     const struct dns_rate_limits *limits,
                                     struct slice prefix, uint32_t now_ms)
{
    struct bucket *b = bucket_of(r, prefix, limits->per_second, now_ms);

    refill(b, limits->per_second, now_ms);
    if (b->tokens >= COST) {
        b->tokens -= COST;
        return DNS_RATE_PASS;
    }
    b->refused++;
    return limits->slip > 0 && b->refused % limits->slip == 0 ? DNS_RATE_SLIP
                                                              : DNS_RATE_DROP;
}
