/*
 * lease.h - leases, the keys attached to them, and when they expire.
 *
 * Pure bookkeeping: granting and revoking are log entries (apply.h), so the set
 * of leases is the same on every member. Clocks are not: only the leader lets
 * leases run, by its own monotonic time, and what it finds expired it proposes
 * to revoke. A new leader gives every lease its full time again, since it
 * cannot know how much is used up.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "store/kv/index.h"

struct lease;

/* Ties a key to its lease. */
struct lease_item {
    LIST_ENTRY(lease_item) entry;
    struct lease *lease;
    struct index_key *key;
};

LIST_HEAD(lease_items, lease_item);

struct lessor {
    struct lease *by_id; /* uthash */
    size_t count;
    bool leading;
    struct lease **heap; /* By wake_ms; empty unless leading. */
    size_t heap_count;
    size_t heap_cap;
};

/* A zeroed struct lessor is empty. */
void lessor_release(struct lessor *l);
size_t lessor_count(const struct lessor *l);

struct lease *lease_find(const struct lessor *l, int64_t id);

/* `id` must not be there yet. `remaining_s` is that of a checkpoint, or 0. */
struct lease *lease_add(struct lessor *l, int64_t id, int64_t ttl_s,
                        int64_t remaining_s, uint64_t now_ms);

/* No key may be attached any more. */
void lease_remove(struct lessor *l, struct lease *lease);

int64_t lease_id(const struct lease *lease);
int64_t lease_ttl_s(const struct lease *lease);

/* Of a later leader: begin with this much instead of the full TTL. */
void lease_checkpoint(struct lease *lease, int64_t remaining_s);

/* leasepb.Lease, as table `lease` stores it under the id, big-endian. */
void lease_row_key(int64_t id, uint8_t out[8]);
void lease_row(const struct lease *lease, struct buf *out);

/* Put the key under `lease`; NULL: under none. */
void lease_attach(struct index_key *key, struct lease *lease);

/* The id of the key's lease, or 0. */
int64_t lease_of(const struct index_key *key);

/* The attached keys in key order: an array from malloc for the caller. */
struct index_key **lease_keys(const struct lease *lease, size_t *out_count);

void lessor_lead(struct lessor *l, uint64_t now_ms);
void lessor_follow(struct lessor *l);

/* Up to `max` ids of expired leases. They come again after a while. */
size_t lessor_expired(struct lessor *l, uint64_t now_ms, int64_t *out_ids,
                      size_t max);

/* The TTL, or 0 when it has expired or we do not lead. */
int64_t lease_renew(struct lessor *l, struct lease *lease, uint64_t now_ms);

/* Whole seconds left, rounded down; the full TTL while it does not run. */
int64_t lease_remaining_s(const struct lease *lease, uint64_t now_ms);

/* All leases, soonest expiry first: an array from malloc for the caller. */
struct lease **lessor_list(const struct lessor *l);

void lessor_verify(const struct lessor *l);
