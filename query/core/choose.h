/*
 * choose.h - whether an instance is one that a query asks for.
 */
#pragma once

#include "query/core/query.h"

enum query_health {
    QUERY_PASSING,
    QUERY_WARNING,
    QUERY_CRITICAL
};

struct query_pair {
    struct slice key;
    struct slice value;
};

struct query_check {
    struct slice id;
    enum query_health health;
};

/* An instance, as far as queries are concerned. */
struct query_candidate {
    const struct slice *tags; /* In any case. */
    size_t tags_count;
    const struct query_pair *node_meta;
    size_t node_meta_count;
    const struct query_pair *service_meta;
    size_t service_meta_count;
    enum query_health health;         /* Of all its checks, and its node's. */
    const struct query_check *checks; /* One by one; needed only if the query
                                         ignores some. */
    size_t checks_count;
};

/* `def` as query_render() gave it. */
bool query_chooses(const struct query_def *def,
                   const struct query_candidate *candidate);

/* Where to look when there are none: of the datacenters `known`, nearest first
 * and without the one that was asked, those to be tried, in order; from the
 * arena. A datacenter that is not known is passed over. */
struct texts query_failover(const struct query_def *def, struct texts known,
                            struct arena *a);
