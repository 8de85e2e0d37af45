/*
 * projection_format.h - one service as others write it. Private to
 * projection*.c.
 */
#pragma once

#include "agent/core/record.h"

struct projected {
    const char *key;
    struct slice value;
    uint64_t hash; /* Of the value, never 0. */
};

/* https://github.com/skynetservices/skydns: what CoreDNS's etcd plugin reads.
 */
struct projected projected_skydns(struct arena *a, const char *prefix,
                                  const char *domain, uint32_t ttl_s,
                                  const struct node_record *node,
                                  const struct service_def *s, bool warning);

/* go.etcd.io/etcd/client/v3/naming: what a gRPC client's resolver reads. The
 * service must have a port. */
struct projected projected_grpc(struct arena *a, const char *prefix,
                                const struct node_record *node,
                                const struct service_def *s, bool warning);
