/*
 * txn.h - transactions: checked at the door, then run as one revision.
 *
 * txn_check.c makes the checks before the log, which depend on the request
 * alone. txn.c runs one: all compares of the whole path first, against the
 * state before; then what could fail; only then the first write, so that an
 * error leaves nothing behind.
 */
#pragma once

#include "store/kv/kv.h"
#include "store/kv/request.h"

enum kv_error range_check(const struct range_request *r);
enum kv_error put_check(const struct put_request *r);
enum kv_error delete_check(const struct delete_request *r);

/* KV_TOO_MANY_OPS, KV_EMPTY_KEY, KV_DUPLICATE_KEY and the ops' own. */
enum kv_error txn_check(struct arena *arena, const struct txn_request *txn,
                        uint64_t max_ops);

/* Only what txn_run() relies on: no empty key, no empty op. For entries of the
 * log, which another member may have checked by other limits. */
enum kv_error txn_check_shape(const struct txn_request *txn);

/* Run it; `body` gets the fields of TxnResponse after the header. The caller
 * ends the transaction with mvcc_end(). On errors nothing has changed, unless
 * the error is KV_DAMAGED or KV_REPLY_TOO_LARGE. */
enum kv_error txn_run(struct kv *kv, struct txn_request *txn, struct buf *body);

/* The same for single requests, whose body is that of their own response. */
enum kv_error put_run(struct kv *kv, const struct put_request *r,
                      struct buf *body);
enum kv_error delete_run(struct kv *kv, const struct delete_request *r,
                         struct buf *body);

/* What kv_txn_facts() tells. */
struct kv_txn_facts txn_facts(const struct txn_request *txn);
