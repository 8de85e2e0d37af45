/*
 * distinct.h - has this been seen before? For leaving records out twice.
 */
#pragma once

#include "base/core/arena.h"

struct dns_distinct_item {
    struct slice key;
    size_t value;
};

struct dns_distinct {
    struct dns_distinct_item *items;
    size_t mask;
};

/* For at most `count_max` different keys. */
void dns_distinct_init(struct dns_distinct *d, struct arena *arena,
                       size_t count_max);

/* The value stored with `key`, which must live as long as the arena. When it is
 * new it is stored with `value`, and that comes back. */
size_t dns_distinct_add(struct dns_distinct *d, struct slice key, size_t value);
