/*
 * projection.h - this host's services once more, in the words of others.
 *
 *   SkyDNS, CoreDNS    <prefix>/<domain, reversed>/<service>/<node>/<id>
 *                      {"host":"10.0.0.1","port":80,"priority":1,...}
 *   etcd's gRPC naming <prefix>/<service>/<address>:<port>
 *                      {"Op":0,"Addr":"10.0.0.1:80","Metadata":{...}}
 *
 * A service has its keys while it is healthy enough for DNS (not critical, not
 * in maintenance). All are under this host's lease, so they go with the host.
 * An id is unique on its host only, hence the node in SkyDNS's keys.
 *
 * Nothing is read: what was written under a lease is remembered, and forgotten
 * with the lease. A key that somebody else has written since is not deleted.
 *
 * Pure: time comes in; asks for the store and the time of the next call come
 * out.
 */
#pragma once

#include "agent/core/local.h"
#include "agent/core/store.h"
#include "agent/core/sync.h"

struct projections;

/* Copied. "": off. */
struct projection_settings {
    const char *skydns; /* Prefix, such as "/skydns". */
    const char *domain; /* What SkyDNS's names end with. */
    uint32_t ttl_s;     /* Of SkyDNS's records; at least 1. */
    const char *grpc;   /* Prefix. */
};

struct projections *projections_new(void);
void projections_free(struct projections *p); /* NULL is fine. */

/* May be changed at any time: keys under an earlier prefix go. */
void projections_set(struct projections *p, const struct projection_settings *s,
                     uint64_t now_ms);

/* The lease, and our live key as a guard. Where this changes, nothing of what
 * was written before is left. */
struct projection_ground {
    int64_t lease;
    struct slice live_key;
    int64_t live_create_revision;
};

/* What is written is looked at once a minute, and what is not there as it was
 * written is written again.
 *
 * The store was replaced, or may be: write everything again. */
void projections_forget(struct projections *p);

/* What to ask now, as a STORE_TXN, to be followed by projections_done(); its
 * strings are in the arena. False: nothing before *out_wake_ms (UINT64_MAX:
 * never), unless the local state, the ground or the settings change. */
bool projections_next(struct projections *p, const struct local *local,
                      const struct projection_ground *ground, uint64_t now_ms,
                      struct arena *a, struct store_ask *out_ask,
                      uint64_t *out_wake_ms);

void projections_done(struct projections *p, const struct store_answer *answer,
                      uint64_t now_ms);

/* For a stop that is to be seen by nobody: what was written, once more, under
 * the lease that is left behind; call it until it is false. */
bool projections_farewell(struct projections *p, const struct local *local,
                          int64_t lease, struct arena *a,
                          struct sync_txn *out_txn);

size_t projections_count(const struct projections *p); /* Keys that stand. */
