/*
 * order.h - in which order the records of an answer go out.
 *
 * Pure, and the same for prepared answers and for packed ones: with the same
 * random numbers both come to the same order.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/core/rng.h"
#include "dns/core/model.h"
#include "dns/core/spot.h"

/* What of a record matters for its place. */
struct dns_standing {
    uint16_t weight;
    uint16_t area; /* Number of its area, when enough of that is healthy. */
    uint16_t spot; /* Its node's. */
};

/* Fill order[0 .. count - 1] with a permutation of these numbers, of which the
 * first `most` will be used. `standings` has one a record; it is not looked at
 * for DNS_ORDER_SHUFFLE, like `near`: where the client is. */
void dns_order(struct rng *rng, enum dns_order how,
               const struct dns_standing *standings,
               const struct dns_near *near, uint16_t *order, size_t count,
               size_t most);
