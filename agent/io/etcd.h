/*
 * etcd.h - the few messages of etcd's API that an agent sends, encoded.
 *
 * Each function replaces what the buffer holds. Answers are decoded with the
 * generated types (base/proto).
 */
#pragma once

#include "agent/core/record.h"
#include "agent/core/store.h"
#include "agent/core/sync.h"

#define ETCD_RANGE       "/etcdserverpb.KV/Range"
#define ETCD_PUT         "/etcdserverpb.KV/Put"
#define ETCD_TXN         "/etcdserverpb.KV/Txn"
#define ETCD_WATCH       "/etcdserverpb.Watch/Watch"
#define ETCD_GRANT       "/etcdserverpb.Lease/LeaseGrant"
#define ETCD_REVOKE      "/etcdserverpb.Lease/LeaseRevoke"
#define ETCD_KEEPALIVE   "/etcdserverpb.Lease/LeaseKeepAlive"
#define ETCD_STATUS      "/etcdserverpb.Maintenance/Status"
#define ETCD_MEMBER_LIST "/etcdserverpb.Cluster/MemberList"

/* One page of [from, end) at `revision` (0: now). */
void etcd_page(struct buf *b, struct slice from, struct slice end,
               int64_t limit, int64_t revision);

/* The key of the range that was changed last, and how many there are. */
void etcd_newest(struct buf *b, struct record_range range);

void etcd_watch(struct buf *b, struct record_range range, int64_t revision);
void etcd_grant(struct buf *b, int64_t ttl_s);
void etcd_lease_id(struct buf *b, int64_t id); /* Revoke and KeepAlive. */

/* The live key under a lease, if it has this mod_revision (0: is absent).
 * Otherwise the answer carries what is there. */
void etcd_attach(struct buf *b, struct slice key, struct slice value,
                 int64_t lease, int64_t expect_mod_revision);

void etcd_put(struct buf *b, struct slice key, struct slice value,
              int64_t lease);
void etcd_txn(struct buf *b, const struct sync_txn *txn);

/* What a request asks: STORE_TXN, or one page of STORE_LIST from `from` on. */
void etcd_store_txn(struct buf *b, const struct store_ask *ask);
void etcd_store_page(struct buf *b, const struct store_ask *ask,
                     struct slice from, int64_t limit, int64_t revision);

/* On a Watch stream: begin to watch [key, end) from a revision; end it. */
void etcd_follow(struct buf *b, const struct store_read *range, int64_t from,
                 int64_t watch_id);
void etcd_unfollow(struct buf *b, int64_t watch_id);
