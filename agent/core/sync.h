/*
 * sync.h - makes the store hold what this agent wants it to hold.
 *
 * Compares the wanted records (local.h) with what the replica shows of this
 * node (catalog.h) and hands out one transaction at a time. Records of other
 * writers are left alone; own records that are no longer wanted are deleted,
 * and when all is well, those of an earlier name of this host (rename.h).
 *
 * Every transaction is guarded: the live key must still be ours, and each key
 * must be as the replica showed it. If the guard fails nothing was written; the
 * replica will catch up, and the comparison starts again. If it has caught up
 * and shows nothing where the guard finds something, that cannot be read, and
 * is replaced.
 *
 * Pure: time comes in, transactions and the time of the next call come out.
 */
#pragma once

#include "agent/core/catalog.h"
#include "agent/core/local.h"
#include "base/core/rng.h"

struct sync;

/* Owner's part: the shell grants the lease, attaches the live key (value from
 * sync_live_value()) and tells when it stands. */
struct sync *sync_new(uint64_t seed);
void sync_free(struct sync *s); /* NULL is fine. */

/* The live key is in the store with this create revision, under our lease. */
void sync_attached(struct sync *s, int64_t live_create_revision,
                   uint64_t now_ms);
/* Connection or lease lost: no writes until attached again. A transaction under
 * way has an unknown fate and is forgotten. */
void sync_detached(struct sync *s);

enum sync_op_kind {
    SYNC_PUT,
    SYNC_DELETE
};

struct sync_op {
    enum sync_op_kind kind;
    struct slice key;
    struct slice value;
    int64_t lease;               /* Of a put; 0: none. */
    int64_t expect_mod_revision; /* Guard; 0: the key must be absent;
                                    SYNC_ANY: no guard. */
};

#define SYNC_ANY (-1)

struct sync_txn {
    const struct sync_op *ops;
    size_t ops_count;
    struct slice live_key; /* Guard; empty: none. */
    int64_t live_create_revision;
};

enum sync_next {
    SYNC_TXN,  /* Send *out_txn; then sync_done(). */
    SYNC_WAIT, /* Call again at *out_wake_ms, or after a change of local,
                  catalogue or attachment. */
};

/* What to do now. Strings of *out_txn live in the arena, or are borrowed from
 * `local` and `catalog` until they change. */
enum sync_next sync_next(struct sync *s, struct local *local,
                         const struct catalog *catalog, uint64_t now_ms,
                         struct arena *a, struct sync_txn *out_txn,
                         uint64_t *out_wake_ms);

enum sync_result {
    SYNC_WRITTEN, /* Guards held; `revision` is the transaction's. */
    SYNC_GUARDED, /* A guard did not hold; `revision` is the store's. */
    SYNC_REFUSED, /* Permission or size: not tried again before a full pass. */
    SYNC_FAILED,  /* Anything else; tried again after a pause. */
};

void sync_done(struct sync *s, enum sync_result result, int64_t revision,
               uint64_t now_ms);

struct sync_stats {
    uint64_t written;
    uint64_t guarded;
    uint64_t refused;
    uint64_t refused_records; /* The same without those known before. */
    const char *refused_key;  /* Of the last one. */
    uint64_t failed;
    uint64_t passes; /* Full comparisons by the clock. */
    bool in_sync;    /* The last comparison found nothing to do. */
    /* A node that has our node id (rename.h); NULL: none. */
    const char *earlier;
    bool earlier_lives;
};

struct sync_stats sync_stats(const struct sync *s);

/* For leaving: one transaction that deletes all that the replica shows as ours,
 * at most LIMIT_TXN_OPS keys. False: nothing is left. */
bool sync_leave(const struct local *local, const struct catalog *catalog,
                struct arena *a, struct sync_txn *out_txn);
