/*
 * index.h - every key's revisions, in key order, in memory.
 *
 * A B+ tree whose leaves point to one entry a key. A range costs no disk seek;
 * the rows themselves are in the table or on the pending list. An entry costs
 * about 90 bytes beyond the key: 60 of its own, some of malloc, and its share
 * of a leaf.
 *
 * An entry stays while any of its revisions can still be asked for: a deleted
 * key goes when compaction has passed its tombstone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/bytes.h"
#include "store/kv/record.h"

struct lease_item;
struct record;

struct index_rev {
    int64_t main;
    int32_t sub;
    bool tombstone;
};

/* A key's revisions but the newest, ascending. Most keys have none. */
struct index_older {
    uint32_t count;
    uint32_t cap;
    struct index_rev revs[];
};

struct index_key {
    struct index_rev newest;
    int64_t create;            /* Of the newest incarnation. */
    int64_t version;           /* The same; 0: deleted. */
    struct index_older *older; /* NULL: none. */
    struct lease_item *lease;  /* NULL: none. lease.h owns it. */
    struct record *row;        /* The newest, if at hand; see rows.h. */
    uint32_t len;
    uint8_t key[];
};

static inline struct slice index_key_slice(const struct index_key *k)
{
    return slice_of(k->key, k->len);
}

static inline bool index_key_alive(const struct index_key *k)
{
    return k->version > 0;
}

struct index_node;

struct index {
    struct index_node *root;
    size_t entries; /* Dead ones included. */
    size_t alive;
};

void index_init(struct index *x);
void index_release(struct index *x);

/* NULL: not there. A dead key is there. */
struct index_key *index_find(const struct index *x, struct slice key);

/* The same; when not there, make an entry without any revision, which the
 * caller gives one at once with index_push(). */
struct index_key *index_find_or_add(struct index *x, struct slice key);

/* A newer revision of the key. For tombstones `create` and `version` are 0. */
void index_push(struct index *x, struct index_key *k, struct index_rev rev,
                int64_t create, int64_t version);

/* The revision that was the newest at `main`; false: the key was not alive
 * then. */
bool index_at(const struct index_key *k, int64_t main,
              struct index_rev *out_rev);

/* The revision with number i, oldest first; there are index_revs_count(). */
size_t index_revs_count(const struct index_key *k);
struct index_rev index_rev_at(const struct index_key *k, size_t i);

/* Called for each revision that compaction drops. */
typedef void index_drop_fn(void *ctx, struct index_rev rev);

/* Forget what nobody may ask for after compaction at `main`: what was
 * superseded by then, and tombstones before it. A tombstone at `main` itself
 * stays, for a watch that starts there. true: the entry had nothing else and
 * is gone from the index (and freed). */
bool index_compact(struct index *x, struct index_key *k, int64_t main,
                   void *ctx, index_drop_fn *on_drop);

/* A place in key order. Any index_find_or_add() that adds and any
 * index_compact() that removes makes it invalid: seek again. */
struct index_cursor {
    struct index_node *leaf; /* NULL: past the end. */
    unsigned at;
};

/* The first entry with key >= `from`. */
struct index_cursor index_seek(const struct index *x, struct slice from);
struct index_key *index_here(const struct index_cursor *c); /* NULL: the end. */
void index_next(struct index_cursor *c);

void index_verify(const struct index *x);
