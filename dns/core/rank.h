/*
 * rank.h - which records stay when not all may: stable subsets.
 *
 * Rendezvous hashing: each client has its own ranking of the instances, so that
 * what it gets changes only when an instance it had is gone or a better ranked
 * one has come. The key is fixed: two agents give the same client the same.
 */
#pragma once

#include "dns/core/answer.h"

/* Are answers of this type cut so? */
bool dns_subset_is_stable(const struct dns_settings *s, uint16_t type);

/* Fill order[] with the numbers of all records, A, AAAA or SRV, the best one
 * for `client` first; those in the area `near` before all others, unless it is
 * 0. */
void dns_rank(const struct dns_records *records, struct slice client,
              uint16_t near, struct arena *arena, uint16_t *order);
