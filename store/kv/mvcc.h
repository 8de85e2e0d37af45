/*
 * mvcc.h - changing the key space, and reading single rows of it.
 *
 * A transaction is any number of mvcc_put() and mvcc_delete(), then mvcc_end().
 * Its changes get the next revision and are numbered in it; if there were none,
 * no revision is used. Nothing can be undone: check first.
 */
#pragma once

#include "store/kv/index.h"
#include "store/kv/kv.h"

struct lease;

/* The revision that a read inside the transaction under way sees. */
int64_t mvcc_view(const struct kv *kv);

/* `value` may lie in the row being replaced. `lease` may be NULL. */
void mvcc_put(struct kv *kv, struct slice key, struct slice value,
              struct lease *lease);

/* The key must be alive. */
void mvcc_delete(struct kv *kv, struct index_key *k);

/* The transaction is over: its revision is the store's, watchers know. */
void mvcc_end(struct kv *kv);

/* The stored KeyValue of a revision that the index knows. false: the table has
 * failed (see kv_failure()). Borrowed until the next read or write. */
bool mvcc_read(struct kv *kv, struct index_rev rev, struct slice *out_row);

/* The newest row of a key that may be absent or dead: then empty. It is kept
 * at hand for the next time. */
bool mvcc_read_newest(struct kv *kv, struct index_key *k,
                      struct slice *out_row);
