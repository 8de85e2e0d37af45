/*
 * rank.h - which records stay when not all may: stable subsets.
 *
 * Rendezvous hashing: each client has its own ranking of the instances, so that
 * what it gets changes only when an instance it had is gone or a better ranked
 * one has come. The key is fixed: two agents give the same client the same.
 */
#pragma once

#include <stdbool.h>

#include "base/core/bytes.h"
#include "dns/core/model.h"
#include "dns/core/spot.h"

/* Are answers of this type cut so? */
bool dns_subset_is_stable(const struct dns_settings *s, uint16_t type);

/* A record to be ranked. What is set by the caller comes first. */
struct dns_ranked {
    struct slice identity; /* SRV: the target; else the address. */
    uint16_t salt;         /* SRV: the port; else the type. */
    uint16_t area;
    uint16_t spot;
    uint16_t index;
    unsigned group;
    uint64_t score;
};

/* Sort, the best one for `client` first; those that are nearer to where it is
 * before all others. */
void dns_rank(struct dns_ranked *items, size_t count, struct slice client,
              const struct dns_near *near);
