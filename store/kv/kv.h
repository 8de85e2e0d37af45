/*
 * kv.h - the store's state machine: etcd's data model, as a core.
 *
 * Committed log entries go in with kv_apply(), in order and each exactly once;
 * reads are answered between them. No clock, thread, file or socket: time comes
 * in as now_ms (monotonic), durable state through the port table.h.
 *
 *   kv_apply   entry -> revision given, index updated, record put on the
 *              pending list, watchers fed (watch.h), reply made
 *   kv_take    pending records and meta -> one batch, for the backend thread
 *   kv_done    that batch is durable and visible through the table port
 *   kv_work    a slice of whatever may take long: compaction
 *
 * **Requests** come in as the bytes of etcd's messages and are decoded here,
 * without copying. **Replies** leave as the encoded fields of the response
 * *after* its header: the caller writes field 1 (ResponseHeader with
 * reply.revision; if reply.header says so) and appends reply.body as it is.
 * Stored KeyValue bytes are copied through, never decoded.
 *
 * **The door.** Before anything is proposed or read, kv_check() must have said
 * KV_OK: it makes the checks that etcd makes before the log. What depends on
 * the state is checked when applied, and is part of the reply.
 *
 * **Failure.** If the table port reports damage or a failed read, the call
 * answers KV_DAMAGED and kv_failure() stays set from then on: the member must
 * stop. Nothing half-applied is ever handed out in a batch after that.
 *
 * One thread. Everything borrowed from here is valid until the next call of a
 * kv_ function that takes a non-const struct kv, unless said otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/bytes.h"
#include "base/core/err.h"
#include "base/core/hash.h"
#include "store/kv/kv_error.h"
#include "store/kv/table.h"

struct kv;

struct kv_config {
    struct hash_key hash_key; /* Random: keys come from outside. */
    uint64_t seed;            /* Random: for lease ids. */
    uint64_t max_txn_ops;     /* 128 */
    int64_t lease_ttl_min_s;  /* kv_lease_ttl_min() */
    int64_t quota_bytes;      /* 0: 2 GiB; below: none */
};

struct kv_config kv_config_default(void);

/* etcd's least TTL, from its flags: 2 with 1000 ms elections, 100 ms beats. */
int64_t kv_lease_ttl_min(uint64_t election_ms, uint64_t heartbeat_ms);

/* Read the tables and build index, leases, alarms and members. One pass over
 * `key`. Leases do not run until kv_lead().
 * ST_CORRUPT: `err` says which row is damaged; ST_IO. */
enum status kv_open(const struct kv_config *config, struct table *table,
                    struct kv **out_kv, struct err *err);

/* Replace the whole state by what another table holds: a snapshot that is
 * further than this state. No batch may be out, no range or hash under way.
 * Watchers stay, and each goes on from its next revision, out of the new
 * history; if that was compacted there, it is told so. What was pending is
 * dropped. Leases do not run until kv_lead().
 * Statuses as of kv_open(); then kv_failure() is set. */
enum status kv_reopen(struct kv *kv, struct table *table, struct err *err);

/* Nobody may be at work on a batch any more. Watchers, ranges and hashes must
 * be gone. */
void kv_free(struct kv *kv);

uint64_t kv_index(const struct kv *kv); /* Consistent index: last applied. */
int64_t kv_revision(const struct kv *kv);
int64_t kv_compacted(const struct kv *kv);  /* -1 before the first. */
int64_t kv_keys_count(const struct kv *kv); /* Keys alive now. */

/* ST_OK, or what the table port reported once. */
enum status kv_failure(const struct kv *kv);

/* CHECK all invariants of all parts. Slow: for tests. */
void kv_verify(struct kv *kv);

/* ------------------------------------------------------------- requests -- */

/* The numbers of InternalRaftRequest's fields, where there is one. */
enum kv_kind {
    KV_RANGE = 3,
    KV_PUT = 4,
    KV_DELETE_RANGE = 5,
    KV_TXN = 6,
    KV_COMPACTION = 7,
    KV_LEASE_GRANT = 8,
    KV_LEASE_REVOKE = 9,
    KV_ALARM = 10,
    KV_LEASE_CHECKPOINT = 11,
    KV_CLUSTER_VERSION_SET = 1300,
    KV_CLUSTER_MEMBER_ATTR_SET = 1301,
};

struct kv_reply {
    enum kv_error error;
    int64_t revision;   /* For the header. Set on errors too. */
    struct buf body;    /* Response fields after the header. Empty on errors. */
    int64_t compacting; /* Of a compaction asked for with physical = true: hold
                           the reply until kv_compacted_to() has reached it.
                           Else 0. */
};

void kv_reply_init(struct kv_reply *r);
void kv_reply_reset(struct kv_reply *r); /* Keeps the memory, if not much. */
void kv_reply_release(struct kv_reply *r);

/* The checks before the log, in etcd's order (shape, sizes of transactions,
 * duplicate keys). KV_MALFORMED: not such a message, or nested too deep. */
enum kv_error kv_check(const struct kv *kv, enum kv_kind kind,
                       struct slice request);

/* What must be known of a TxnRequest to route it. */
struct kv_txn_facts {
    bool read_only;    /* Answer with kv_txn_read(); not for the log. */
    bool serializable; /* read_only, and all its ranges are serializable. */
    bool has_puts;     /* At its top level, in either branch. */
};

/* The request must have passed kv_check(). */
struct kv_txn_facts kv_txn_facts(struct slice request);

/* Whether the backend has no room for this put, txn or lease grant any more
 * (etcd's cost rules): answer KV_NO_SPACE and propose an alarm. */
bool kv_over_quota(const struct kv *kv, enum kv_kind kind,
                   struct slice request);

/* Wrap a request as a log entry: InternalRaftRequest {header.ID = id; kind}.
 * The request's bytes are embedded as they are. */
void kv_entry_pack(struct buf *out, uint64_t id, enum kv_kind kind,
                   struct slice request);

/* The id that kv_entry_pack() has put into an entry; 0: none. */
uint64_t kv_entry_id(struct slice entry);

/* ---------------------------------------------------------------- apply -- */

struct kv_entry {
    uint64_t index;
    uint64_t term;
    struct slice data; /* InternalRaftRequest; empty: nothing but the index. */
};

/* Apply a committed entry. Entries at or below kv_index() are skipped: then,
 * and for entries without a request, the reply is empty and KV_OK. `reply` is
 * reset first; NULL when nobody waits for it. */
void kv_apply(struct kv *kv, const struct kv_entry *entry, uint64_t now_ms,
              struct kv_reply *reply);

/* A membership entry: as kv_apply(), with raftpb.ConfChange's parts. `context`
 * is the member's JSON. The row of table `members` follows. */
enum kv_member_change {
    KV_MEMBER_ADD = 0,
    KV_MEMBER_REMOVE = 1,
    KV_MEMBER_UPDATE = 2,
    KV_MEMBER_ADD_LEARNER = 3,
};
struct kv_membership {
    enum kv_member_change change;
    uint64_t id;
    struct slice context;
};

/* Whether the members as they are now can follow the change: etcd's rules. What
 * it says no to must change nothing on any member. */
enum kv_error kv_check_member(const struct kv *kv,
                              const struct kv_membership *m);

/* As kv_apply(), with an entry that has passed; `m` NULL: it says nothing of
 * who the members are. `conf_state` (JSON, as etcd's `confState`) is kept with
 * it; empty: it is not known, and stays. */
void kv_apply_member(struct kv *kv, const struct kv_entry *entry,
                     const struct kv_membership *m, struct slice conf_state);

/* What was kept last; empty: nothing. */
struct slice kv_conf_state(const struct kv *kv);

/* ---------------------------------------------------------------- reads -- */

/* Answers from the state as it is; a linearizable read waits before it asks
 * (node_read). Long ranges come in slices: when *out_more is not NULL after the
 * start, call kv_range_step() in later turns until it is true, then
 * kv_range_free(); the reply must stay where it is meanwhile. The answer is
 * that of the moment of the start. Freeing early gives the range up. */
struct kv_range;
void kv_range_start(struct kv *kv, struct slice request, struct kv_reply *reply,
                    struct kv_range **out_more);
bool kv_range_step(struct kv_range *range); /* true: the reply is complete. */
void kv_range_free(struct kv_range *range);

/* A txn that kv_txn_facts() calls read-only. */
void kv_txn_read(struct kv *kv, struct slice request, struct kv_reply *reply);

/* HashKV, in slices in the same way. `revision` as in the request; 0: now. The
 * body is {2 hash, 3 compact_revision}. The hash begins once compaction that
 * was under way has ended; new compaction waits for it. */
struct kv_hash;
struct kv_hash *kv_hash_start(struct kv *kv, int64_t revision,
                              struct kv_reply *reply);
bool kv_hash_step(struct kv_hash *hash); /* true: the reply is complete. */
void kv_hash_free(struct kv_hash *hash);

/* ---------------------------------------------- batches for the backend -- */

/* What one synced transaction must write: consistent_index and term (in table
 * `meta`) among the writes. Reading it from another thread is safe: nothing in
 * it changes before kv_done(). Rows are in no particular order; no key comes
 * twice. */
struct kv_batch {
    const struct table_write *writes;
    size_t writes_count;
    uint64_t index; /* kv is durable up to here once this is written. */
    uint64_t term;
};

/* Records and other rows that wait; the shell takes a batch every 100 ms or
 * above 10 000. */
size_t kv_pending(const struct kv *kv);

/* NULL when nothing has been applied since the last. At most one batch is out
 * at a time. It stays kv's and valid until kv_done(). */
const struct kv_batch *kv_take(struct kv *kv);

/* The batch that is out is durable, and the table port shows it. (A failed
 * write is final: the member stops instead.) */
void kv_done(struct kv *kv);

/* ----------------------------------------------------------- background -- */

/* One slice, well below a millisecond, of compaction. true: there is more
 * to do at once. Call in every turn that has time; when it answers false, again
 * after the next kv_apply(), kv_done() or freed range. */
bool kv_work(struct kv *kv);

/* Old data is gone from the table up to this compaction; -1: none yet. */
int64_t kv_compacted_to(const struct kv *kv);

/* --------------------------------------------------------------- leases -- */

/* We lead: every lease has its full TTL again, and expiry begins. */
void kv_lead(struct kv *kv, uint64_t now_ms);
/* We do not (any more): nothing expires here. */
void kv_follow(struct kv *kv);

/* Up to `max` ids of leases that have expired: propose a LeaseRevoke for each.
 * An id that is not revoked comes again after 3 s. Confirm leadership first
 * (a node_read round): a paused leader must not revoke what its successor has
 * renewed. etcd asks every 500 ms for 500 ids. */
size_t kv_leases_expired(struct kv *kv, uint64_t now_ms, int64_t *out_ids,
                         size_t max);

/* An id for a grant that leaves the choice to us: positive, unused. */
int64_t kv_lease_pick_id(struct kv *kv);

/* Keep alive; for the leader, after it has confirmed that it leads. The TTL
 * granted again; 0: unknown or expired. */
int64_t kv_lease_renew(struct kv *kv, int64_t id, uint64_t now_ms);

/* LeaseTimeToLiveRequest, LeaseLeasesRequest. */
void kv_lease_time_to_live(struct kv *kv, struct slice request, uint64_t now_ms,
                           struct kv_reply *reply);
void kv_lease_list(struct kv *kv, struct kv_reply *reply);
size_t kv_leases_count(const struct kv *kv);

/* ------------------------------------------------------ alarms, members -- */

enum kv_alarm {
    KV_ALARM_NONE,
    KV_ALARM_NO_SPACE,
    KV_ALARM_CORRUPT
};

struct kv_alarm_member {
    uint64_t member_id;
    enum kv_alarm alarm;
};

/* By member id, then alarm. Borrowed. */
const struct kv_alarm_member *kv_alarms(const struct kv *kv, size_t *out_count);
bool kv_alarm_on(const struct kv *kv, enum kv_alarm alarm);

struct kv_member {
    uint64_t id;
    char *name; /* "": not started yet. */
    char **peer_urls;
    size_t peer_urls_count;
    char **client_urls;
    size_t client_urls_count;
    bool is_learner;
};

/* One as etcd writes it: {"id":1,"peerURLs":[...],"name":"a",...}. */
void kv_member_json(const struct kv_member *m, struct buf *out);

/* Ids that can never come back. Borrowed. */
const uint64_t *kv_members_removed(const struct kv *kv, size_t *out_count);

/* By id, ascending. Borrowed. */
const struct kv_member *kv_members(const struct kv *kv, size_t *out_count);

/* "3.5.0", or "" as long as the cluster has not decided. */
const char *kv_cluster_version(const struct kv *kv);
