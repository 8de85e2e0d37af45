/*
 * kv_txn.h - operations on entries, decided against what was read.
 *
 * One operation of /v1/kv or many of /v1/txn: the keys they need are read, the
 * operations are played one after the other on a copy, and what has changed in
 * the end is written in one transaction, guarded by all that was read. Either
 * all of them are carried out or none.
 *
 *     kv_txn_reads()                 the first ask
 *     kv_txn_play()                  with the answer: errors, results, changes
 *     kv_txn_changes()               the second ask, unless there were errors
 *     kv_txn_play() once more        with the same first answer and the
 *                                    revision of the second: the results
 */
#pragma once

#include "agent/core/kv.h"
#include "agent/core/session.h"

#define LIMIT_KV_OPS  64   /* As Consul. */
#define LIMIT_KV_TREE 4096 /* Entries of a tree within a transaction. */

enum kv_verb {
    KV_SET,
    KV_CAS, /* index 0: only if it is absent. */
    KV_LOCK,
    KV_UNLOCK,
    KV_GET,
    KV_GET_OR_EMPTY,
    KV_GET_TREE,
    KV_CHECK_INDEX,
    KV_CHECK_SESSION,
    KV_CHECK_NOT_EXISTS,
    KV_DELETE,
    KV_DELETE_TREE,
    KV_DELETE_CAS,
    KV_OTHER, /* Not of entries: passed over. */
};

struct kv_op {
    enum kv_verb verb;
    struct slice key;
    struct slice value;
    uint64_t flags;
    uint64_t index;
    const char *session;
};

/* What the results of an operation look like. */
struct kv_result {
    size_t op;
    struct kv_entry entry;
    bool with_value;
};

struct kv_error {
    size_t op;
    const char *text;
};

struct kv_slot;

struct kv_txn {
    struct arena *arena;
    const char *dc;
    const struct catalog *catalog;
    const struct kv_op *ops;
    size_t ops_count;

    /* Made by kv_txn_play(). */
    struct kv_error errors[LIMIT_KV_OPS];
    size_t errors_count;
    struct kv_result *results;
    size_t results_count;
    bool wrong_session; /* One of the errors is about a session. */

    /* Its own. */
    const struct store_answer *seen;
    int64_t revision;
    struct kv_slot *slots;
    size_t slots_count;
    size_t slots_cap;
    size_t results_cap;
    size_t trees[LIMIT_KV_OPS]; /* Of operations that deleted one. */
    size_t trees_count;
};

void kv_txn_reads(const struct kv_txn *t, struct store_ask *ask);

/* `revision`: 0 before it is written. */
void kv_txn_play(struct kv_txn *t, const struct store_answer *seen,
                 int64_t revision);

/* Guards and changes; the same reads. No changes: there is nothing to write. */
void kv_txn_changes(struct kv_txn *t, struct store_ask *ask);
