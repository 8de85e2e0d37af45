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

static int by_score(const void *a, const void *b)
{
    const struct dns_ranked *x = a;
    const struct dns_ranked *y = b;

    if (x->group != y->group) {
        return x->group < y->group ? -1 : 1;
    }
    if (x->score != y->score) {
        return x->score < y->score ? 1 : -1;
    }
    return (int)x->index - (int)y->index;
}

void dns_rank(struct dns_ranked *items, size_t count, struct slice client,
              const struct dns_near *near)
{
    uint64_t seed = hash_bytes((struct hash_key){0}, client);

    for (size_t i = 0; i < count; i++) {
        struct hash_key key = {seed, items[i].salt};

        items[i].group = dns_near_group(near, items[i].area, items[i].spot);
        items[i].score = hash_bytes(key, items[i].identity);
    }
    qsort(items, count, sizeof(items[0]), by_score);
}
