/*
 * state.h - what struct kv is made of, for the files of this room only.
 *
 * mvcc.c changes the key space, range.c and txn.c answer from it, watch.c tells
 * of changes, compact.c and hash.c work in the background, apply.c is where
 * entries come in, open.c where the tables are read.
 */
#pragma once

#include <sys/queue.h>

#include "base/core/arena.h"
#include "base/core/rng.h"
#include "store/kv/alarm.h"
#include "store/kv/cluster.h"
#include "store/kv/index.h"
#include "store/kv/kv.h"
#include "store/kv/lease.h"
#include "store/kv/pending.h"
#include "store/kv/rows.h"
#include "store/kv/watch_hub.h"

/* gRPC messages end at 2^31-1 bytes; rows stop being added well before. */
#define KV_BODY_MAX ((size_t)INT32_MAX - 1024 * 1024)

LIST_HEAD(kv_ranges, kv_range);

/* Compaction under way: the index is walked in slices, and what it drops is
 * removed from the table by the next batches. */
struct compaction {
    bool running;
    int64_t target;
    struct buf resume; /* The key to go on with. */
    int64_t walked;    /* The index holds nothing older than this needs. */
    int64_t taken;     /* The same of the table, once the batch out is done. */
    int64_t finished;  /* The same of the table now. */
};

struct kv {
    struct kv_config config;
    struct table *table;
    enum status failure;

    int64_t revision;
    int64_t compacted; /* Reads below it fail. -1: never compacted. */
    int64_t changes;   /* Made in the transaction under way: its subs. */
    uint64_t applied_index;
    uint64_t applied_term;
    bool applied_since_take;

    struct index index;
    struct pending pending;
    struct rows rows;
    struct lessor lessor;
    struct alarms alarms;
    struct cluster cluster;
    struct watch_hub hub;
    struct compaction compaction;

    struct kv_ranges ranges; /* Under way: compaction waits for them. */
    struct kv_hash *hash;    /* The same. */

    struct arena scratch;      /* Of the request at hand. */
    struct kv_reply discarded; /* The reply that nobody waits for. */
    struct rng rng;
};

static inline enum kv_error kv_reply_fail(struct kv_reply *r, enum kv_error e)
{
    r->error = e;
    buf_clear(&r->body);
    return e;
}
