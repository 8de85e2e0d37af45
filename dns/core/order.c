#include "dns/core/order.h"

/* Fisher-Yates from the front, as far as it is used. Scaling 32 random bits by
 * a bound below 2^16 is off by less than one in 2^16, and cheaper than a
 * division. */
static void shuffle(struct rng *rng, uint16_t *order, size_t count, size_t most)
{
    for (size_t i = 0; i < most && i + 1 < count; i++) {
        size_t j = i + (size_t)((rng_next(rng) >> 32) * (count - i) >> 32);
        uint16_t kept = order[i];

        order[i] = order[j];
        order[j] = kept;
    }
}

static void swap(uint16_t *order, size_t a, size_t b)
{
    uint16_t kept = order[a];

    order[a] = order[b];
    order[b] = kept;
}

/* The first one is drawn, each with the chance of its weight; where all weigh
 * nothing, each with the same. */
static void weighted(struct rng *rng, const struct dns_standing *standings,
                     uint16_t *order, size_t count, size_t most)
{
    uint64_t total = 0;
    uint64_t drawn;
    size_t first = 0;

    for (size_t i = 0; i < count; i++) {
        total += standings[i].weight;
    }
    if (total == 0 || count < 2) {
        shuffle(rng, order, count, most);
        return;
    }
    drawn = rng_below(rng, total);
    while (drawn >= standings[first].weight) {
        drawn -= standings[first].weight;
        first++;
    }
    swap(order, 0, first);
    shuffle(rng, order + 1, count - 1, most - 1);
}

/* A counting sort by group; then each group is shuffled. */
static void near_first(struct rng *rng, const struct dns_standing *standings,
                       const struct dns_near *near, uint16_t *order,
                       size_t count, size_t most)
{
    size_t ends[DNS_SPOT_GROUPS + 1] = {0};
    size_t begin = 0;

    for (size_t i = 0; i < count; i++) {
        ends[dns_near_group(near, standings[i].area, standings[i].spot) + 1]++;
    }
    for (size_t g = 1; g <= DNS_SPOT_GROUPS; g++) {
        ends[g] += ends[g - 1];
    }
    for (size_t i = 0; i < count; i++) {
        order[ends[dns_near_group(near, standings[i].area,
                                  standings[i].spot)]++] = (uint16_t)i;
    }
    for (size_t g = 0; g < DNS_SPOT_GROUPS && begin < most; g++) {
        size_t len = ends[g] - begin;
        bool last_of_area = g % (DNS_SPOT_FAR + 1) == DNS_SPOT_FAR;

        /* One alone would get every client that takes the first. */
        if (len == 0 || (ends[g] < near->least && !last_of_area)) {
            continue;
        }
        shuffle(rng, order + begin, len, most - begin);
        begin = ends[g];
    }
}

void dns_order(struct rng *rng, enum dns_order how,
               const struct dns_standing *standings,
               const struct dns_near *near, uint16_t *order, size_t count,
               size_t most)
{
    for (size_t i = 0; i < count; i++) {
        order[i] = (uint16_t)i;
    }
    if (most == 0) {
        return;
    }
    switch (how) {
    case DNS_ORDER_SHUFFLE:
        shuffle(rng, order, count, most);
        return;
    case DNS_ORDER_WEIGHTED:
        weighted(rng, standings, order, count, most);
        return;
    case DNS_ORDER_NEAR:
        near_first(rng, standings, near, order, count, most);
        return;
    }
}
