/*
 * spot.h - where nodes are, by measured round trips: what DNS_ORDER_NEAR looks
 * at within an area, and where there are none.
 *
 * A spot is a node's number, from 1 on; 0 is no node. Nodes get theirs in the
 * order in which they are first heard of, measured or not, and keep it as long
 * as the model lives: records may refer to it, and a new measurement changes no
 * prepared answer. Where the spots are is a table, which each zone has.
 *
 * Distances are told apart in classes, each a third or so farther than the one
 * before: measurements are not better than that.
 */
#pragma once

#include "dns/core/model.h"
#include "dns/core/table.h"

#define DNS_SPOTS_MAX   UINT16_MAX
#define DNS_SPOT_FAR    30 /* Class of what was not measured, or is farther. */
#define DNS_SPOT_GROUPS (2 * (DNS_SPOT_FAR + 1))

/* Node names and their numbers; belongs to the model. */
struct dns_spot_names {
    struct hash_key key;         /* As the model's. */
    struct dns_spot_name *slots; /* Open addressing; a power of two of them. */
    size_t cap;
    size_t count;
};

/* The number of a node, by its name in any case; 0 for NULL, "", what is too
 * long for DNS, and past DNS_SPOTS_MAX nodes. */
uint16_t dns_spot_number(struct dns_spot_names *names, const char *node);
void dns_spot_names_release(struct dns_spot_names *names);

struct dns_spot_at {
    bool known;
    float v[DNS_POSITION_DIMS]; /* us */
    float height;
};

/* Where spots are; of those past the end nothing is known. */
struct dns_spots {
    struct dns_garbage garbage;
    size_t count;
    struct dns_spot_at items[]; /* Of spot i + 1. */
};

struct dns_spots *dns_spots_new(struct dns_spot_names *names,
                                const struct dns_position *positions,
                                size_t count);

bool dns_spot_known(const struct dns_spots *spots, uint16_t spot);

/* 0: the nearest, or the same. `spots` may be NULL. */
unsigned dns_spot_class(const struct dns_spots *spots, uint16_t from,
                        uint16_t to);

/* Who asks, as far as that matters. */
struct dns_near {
    uint16_t area; /* 0: not known, like the next. */
    uint16_t spot;
    const struct dns_spots *spots;
    uint32_t least; /* So many come first, in no order, be they the nearest or
                       not: near_min_healthy. */
};

/* The group of a record: those of lower ones are nearer. */
static inline unsigned dns_near_group(const struct dns_near *near,
                                      uint16_t area, uint16_t spot)
{
    bool here = near->area != 0 && near->area == area;

    return (here ? 0 : DNS_SPOT_FAR + 1) +
           (near->spot == 0 ? DNS_SPOT_FAR
                            : dns_spot_class(near->spots, near->spot, spot));
}
