#include "dns/core/rank.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/hash.h"
#include "dns/core/question.h"

bool dns_subset_is_stable(const struct dns_settings *s, uint16_t type)
{
    switch (s->subset) {
    case DNS_SUBSET_BY_TYPE:
        return type == DNS_TYPE_SRV;
    case DNS_SUBSET_RANDOM:
        return false;
    case DNS_SUBSET_STABLE:
        return type == DNS_TYPE_SRV || type == DNS_TYPE_A ||
               type == DNS_TYPE_AAAA;
    }
    UNREACHABLE();
}

struct ranked {
    uint64_t score;
    bool near;
    uint16_t index;
};

static int by_score(const void *a, const void *b)
{
    const struct ranked *x = a;
    const struct ranked *y = b;

    if (x->near != y->near) {
        return x->near ? -1 : 1;
    }
    return x->score < y->score ? 1 : x->score > y->score ? -1 : 0;
}

static uint64_t score_of(const struct dns_record *r, uint64_t seed)
{
    struct hash_key key = {seed, r->type};

    switch (r->type) {
    case DNS_TYPE_A:
        return hash_bytes(key, slice_of(r->data.ipv4, 4));
    case DNS_TYPE_AAAA:
        return hash_bytes(key, slice_of(r->data.ipv6, 16));
    default:
        key.k1 = r->data.srv.port;
        return hash_bytes(key, r->data.srv.target);
    }
}

void dns_rank(const struct dns_records *records, struct slice client,
              uint16_t near, struct arena *arena, uint16_t *order)
{
    size_t count = records->count;
    struct ranked *ranked = arena_alloc(arena, count * sizeof(ranked[0]));
    uint64_t seed = hash_bytes((struct hash_key){0}, client);

    for (size_t i = 0; i < count; i++) {
        const struct dns_record *r = &records->items[i];

        ranked[i].index = (uint16_t)i;
        ranked[i].near = near != 0 && r->standing.area == near;
        ranked[i].score = score_of(r, seed);
    }
    qsort(ranked, count, sizeof(ranked[0]), by_score);
    for (size_t i = 0; i < count; i++) {
        order[i] = ranked[i].index;
    }
}
