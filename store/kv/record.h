/*
 * record.h - one change of one key: its stored row and its event, encoded once.
 *
 * A record is one piece of memory. The KeyValue bytes in it are what table
 * `key` stores; what lies around them makes the event that watchers get:
 *
 *     5a len  [08 01]  12 len | 0a key 10.. 18.. 20.. 2a value 30..
 *     '--- the event's head --' '--- KeyValue, the stored row ----'
 *
 * A tombstone's row holds the key only; in its event the revision follows.
 *
 * References are counted for the loop's thread. The backend thread reads the
 * rows of a batch, whose records the pending list keeps alive.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/core/bytes.h"

/* A place in the order of all changes: revision of the transaction, number of
 * the change in it. */
struct kv_rev {
    int64_t main;
    int64_t sub;
};

static inline int kv_rev_cmp(struct kv_rev a, struct kv_rev b)
{
    if (a.main != b.main) {
        return a.main < b.main ? -1 : 1;
    }
    return a.sub < b.sub ? -1 : a.sub > b.sub;
}

/* The key of a row: 8 bytes main, '_', 8 bytes sub, 't' for a tombstone. */
enum {
    REV_KEY_LEN = 17,
    REV_KEY_MAX = 18
};

struct rev_key {
    uint8_t bytes[REV_KEY_MAX];
    uint8_t len;
};

struct rev_key rev_key_pack(struct kv_rev rev, bool tombstone);

static inline struct slice rev_key_slice(const struct rev_key *k)
{
    return slice_of(k->bytes, k->len);
}

/* false: not such a key. */
bool rev_key_parse(struct slice bytes, struct kv_rev *out_rev,
                   bool *out_tombstone);

/* A decoded mvccpb.KeyValue; slices point into the bytes. */
struct kv_fields {
    struct slice key;
    int64_t create;
    int64_t mod;
    int64_t version;
    struct slice value;
    int64_t lease;
};

/* false: damaged, or without a key. */
bool kv_fields_parse(struct slice bytes, struct kv_fields *out_fields);

/* The key alone, which is the first field of what we and etcd write. */
bool kv_fields_key(struct slice bytes, struct slice *out_key);

/* Append KeyValue bytes as they are, but for the value. */
void kv_fields_without_value(struct buf *out, struct slice bytes);

struct index_key;

struct record {
    unsigned refs;
    bool tombstone;
    bool read_lately; /* With the two below: see rows.h. */
    bool obsolete;    /* Compacted before it was ever written. */
    struct rev_key row_key;
    struct kv_rev rev;
    TAILQ_ENTRY(record) line;
    struct index_key *kept_for;
    uint32_t event_at; /* Offsets into `bytes`. */
    uint32_t kv_at;
    uint32_t key_at;
    uint32_t key_len;
    uint32_t row_end;
    uint32_t event_end;
    struct slice with_prev; /* The event with prev_kv, once somebody wanted it;
                               owned. */
    uint8_t bytes[];
};

/* With one reference. Nothing is kept of `fields`; `mod` is rev.main. */
struct record *record_put(struct kv_rev rev, const struct kv_fields *fields);
/* From a stored row of a put, whose key is its first field. */
struct record *record_copy(struct kv_rev rev, struct slice key,
                           struct slice row);
struct record *record_tombstone(struct kv_rev rev, struct slice key);

struct record *record_ref(struct record *r);
void record_unref(struct record *r);

static inline struct slice record_key(const struct record *r)
{
    return slice_of(r->bytes + r->key_at, r->key_len);
}

/* The stored row's value: KeyValue bytes. */
static inline struct slice record_row(const struct record *r)
{
    return slice_of(r->bytes + r->kv_at, r->row_end - r->kv_at);
}

/* Field 11 of a WatchResponse. */
static inline struct slice record_event(const struct record *r)
{
    return slice_of(r->bytes + r->event_at, r->event_end - r->event_at);
}

/* Make with_prev, if it is not there yet. `prev` is KeyValue bytes. */
void record_set_prev(struct record *r, struct slice prev);

/* Append an event made from a stored row; an empty `prev` is left out. */
void event_append(struct buf *out, struct kv_rev rev, bool tombstone,
                  struct slice row, struct slice prev);
