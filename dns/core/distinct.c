#include "dns/core/distinct.h"

#include "base/core/hash.h"

void dns_distinct_init(struct dns_distinct *d, struct arena *arena,
                       size_t count_max)
{
    size_t cap = 8;

    while (cap < 2 * count_max) {
        cap *= 2;
    }
    d->items = arena_zalloc(arena, cap, sizeof(d->items[0]));
    d->mask = cap - 1;
}

size_t dns_distinct_add(struct dns_distinct *d, struct slice key, size_t value)
{
    /* The keys come from the catalogue, not from whoever asks: the key of the
     * hash needs not be secret. */
    size_t at = hash_bytes((struct hash_key){0}, key) & d->mask;

    while (d->items[at].key.data != NULL) {
        if (slice_eq(d->items[at].key, key)) {
            return d->items[at].value;
        }
        at = (at + 1) & d->mask;
    }
    d->items[at] = (struct dns_distinct_item){key, value};
    return value;
}
