/* The checks of etcd's spec that need only the request. */
#include "base/core/check.h"
#include "base/core/limits.h"
#include "store/kv/state.h"
#include "store/kv/txn.h"

enum kv_error range_check(const struct range_request *r)
{
    return r->key.len == 0 ? KV_EMPTY_KEY : KV_OK;
}

enum kv_error put_check(const struct put_request *r)
{
    if (r->key.len == 0) {
        return KV_EMPTY_KEY;
    }
    if (r->ignore_value && r->value.len > 0) {
        return KV_VALUE_PROVIDED;
    }
    return r->ignore_lease && r->lease != 0 ? KV_LEASE_PROVIDED : KV_OK;
}

enum kv_error delete_check(const struct delete_request *r)
{
    return r->key.len == 0 ? KV_EMPTY_KEY : KV_OK;
}

/* ------------------------------------------------------------------ shape */

/* Ops seen so far, on all levels. */
struct tally {
    uint64_t total;
    uint64_t total_max;
};

static enum kv_error shape_check(const struct txn_request *txn,
                                 uint64_t max_ops, struct tally *tally);

/* Recursion is bounded: a decoded txn nests LIMIT_TXN_DEPTH deep at most. */
static enum kv_error op_check(const struct request_op *op, uint64_t max_ops,
                              struct tally *tally)
{
    switch (op->type) {
    case OP_RANGE:
        return range_check(&op->range);
    case OP_PUT:
        return put_check(&op->put);
    case OP_DELETE_RANGE:
        return delete_check(&op->delete_range);
    case OP_TXN:
        return shape_check(op->txn, max_ops, tally);
    case OP_NONE:
        return KV_KEY_NOT_FOUND;
    }
    UNREACHABLE();
}

static enum kv_error ops_check(const struct request_ops *ops, uint64_t max_ops,
                               struct tally *tally)
{
    for (size_t i = 0; i < ops->count; i++) {
        enum kv_error e = op_check(&ops->list[i], max_ops, tally);

        if (e) {
            return e;
        }
    }
    return KV_OK;
}

static size_t longest_list(const struct txn_request *txn)
{
    size_t longest = txn->compares_count;

    if (txn->success.count > longest) {
        longest = txn->success.count;
    }
    return txn->failure.count > longest ? txn->failure.count : longest;
}

/* A nested txn has what the longest list around it leaves. Besides, all levels
 * together are bounded (etcd has no such bound): the checks below are
 * quadratic. */
static enum kv_error shape_check(const struct txn_request *txn,
                                 uint64_t max_ops, struct tally *tally)
{
    size_t longest = longest_list(txn);
    enum kv_error e;

    tally->total +=
        txn->compares_count + txn->success.count + txn->failure.count;
    if (longest > max_ops || tally->total > tally->total_max) {
        return KV_TOO_MANY_OPS;
    }
    for (size_t i = 0; i < txn->compares_count; i++) {
        if (txn->compares[i].key.len == 0) {
            return KV_EMPTY_KEY;
        }
    }
    e = ops_check(&txn->success, max_ops - longest, tally);
    return e ? e : ops_check(&txn->failure, max_ops - longest, tally);
}

enum kv_error txn_check_shape(const struct txn_request *txn)
{
    struct tally tally = {.total_max = UINT64_MAX};

    return shape_check(txn, UINT64_MAX, &tally);
}

/* ---------------------------------------------------------------- overlap */

/* What a list of ops writes. A put key's `origin` tells the then-branch of a
 * nested txn (its number + 1) from everything else (0). */
struct put_key {
    struct slice key;
    size_t origin;
};

struct writes {
    struct put_key *puts;
    size_t puts_count;
    size_t puts_cap;
    const struct delete_request **dels;
    size_t dels_count;
    size_t dels_cap;
};

/* An arena gives nothing back, so arrays grow by doubling into new places. */
static void *roomier(struct arena *arena, void *array, size_t count,
                     size_t *cap, size_t size)
{
    void *larger;

    if (count < *cap) {
        return array;
    }
    *cap = *cap == 0 ? 16 : *cap * 2;
    larger = arena_alloc(arena, *cap * size);
    if (count > 0) {
        memcpy(larger, array, count * size);
    }
    return larger;
}

static void writes_add_put(struct arena *arena, struct writes *w,
                           struct slice key, size_t origin)
{
    w->puts =
        roomier(arena, w->puts, w->puts_count, &w->puts_cap, sizeof(*w->puts));
    w->puts[w->puts_count++] = (struct put_key){key, origin};
}

static void writes_add_del(struct arena *arena, struct writes *w,
                           const struct delete_request *del)
{
    w->dels =
        roomier(arena, w->dels, w->dels_count, &w->dels_cap, sizeof(*w->dels));
    w->dels[w->dels_count++] = del;
}

/* etcd takes a range_end of one zero byte as the literal byte here, so such a
 * delete covers nothing. */
static bool del_covers(const struct delete_request *del, struct slice key)
{
    if (del->range_end.len == 0) {
        return slice_eq(key, del->key);
    }
    return slice_cmp(key, del->key) >= 0 && slice_cmp(key, del->range_end) < 0;
}

static bool writes_put_has(const struct writes *w, struct slice key)
{
    for (size_t i = 0; i < w->puts_count; i++) {
        if (slice_eq(w->puts[i].key, key)) {
            return true;
        }
    }
    return false;
}

/* The key is put already, other than by the branch `origin` (0: by anyone), or
 * deleted. */
static bool writes_conflict(const struct writes *w, struct slice key,
                            size_t origin)
{
    for (size_t i = 0; i < w->puts_count; i++) {
        bool excused = origin != 0 && w->puts[i].origin == origin;

        if (!excused && slice_eq(w->puts[i].key, key)) {
            return true;
        }
    }
    for (size_t i = 0; i < w->dels_count; i++) {
        if (del_covers(w->dels[i], key)) {
            return true;
        }
    }
    return false;
}

static bool overlap_find(struct arena *arena, const struct request_ops *ops,
                         struct writes *out);

/* Take over what one branch of a nested txn puts. true: conflict. Keys of the
 * then-branch are marked with `mark`, and excused for the else-branch. A key
 * that both put is there once: whoever nests us must not see it twice. */
static bool branch_join(struct arena *arena, const struct writes *branch,
                        size_t mark, size_t excused, struct writes *out)
{
    for (size_t i = 0; i < branch->puts_count; i++) {
        struct slice key = branch->puts[i].key;

        if (writes_conflict(out, key, excused)) {
            return true;
        }
        if (!writes_put_has(out, key)) {
            writes_add_put(arena, out, key, mark);
        }
    }
    return false;
}

/* Both branches may put the same key, for only one of them runs. The number
 * is this nested txn's place + 1. */
static bool nested_join(struct arena *arena, const struct txn_request *txn,
                        size_t number, struct writes *out)
{
    struct writes then_writes = {0};
    struct writes else_writes = {0};

    if (overlap_find(arena, &txn->success, &then_writes) ||
        overlap_find(arena, &txn->failure, &else_writes) ||
        branch_join(arena, &then_writes, number, 0, out) ||
        branch_join(arena, &else_writes, 0, number, out)) {
        return true;
    }
    for (size_t i = 0; i < then_writes.dels_count; i++) {
        writes_add_del(arena, out, then_writes.dels[i]);
    }
    for (size_t i = 0; i < else_writes.dels_count; i++) {
        writes_add_del(arena, out, else_writes.dels[i]);
    }
    return false;
}

/* etcd's procedure: this list's deletes, then nested txns in order, then this
 * list's puts. true: a key is written twice. */
static bool overlap_find(struct arena *arena, const struct request_ops *ops,
                         struct writes *out)
{
    for (size_t i = 0; i < ops->count; i++) {
        if (ops->list[i].type == OP_DELETE_RANGE) {
            writes_add_del(arena, out, &ops->list[i].delete_range);
        }
    }
    for (size_t i = 0; i < ops->count; i++) {
        if (ops->list[i].type == OP_TXN &&
            nested_join(arena, ops->list[i].txn, i + 1, out)) {
            return true;
        }
    }
    for (size_t i = 0; i < ops->count; i++) {
        if (ops->list[i].type != OP_PUT) {
            continue;
        }
        if (writes_conflict(out, ops->list[i].put.key, 0)) {
            return true;
        }
        writes_add_put(arena, out, ops->list[i].put.key, 0);
    }
    return false;
}

enum kv_error txn_check(struct arena *arena, const struct txn_request *txn,
                        uint64_t max_ops)
{
    struct writes then_writes = {0};
    struct writes else_writes = {0};
    struct tally tally = {.total_max = max_ops * 3};
    enum kv_error e;

    if (tally.total_max < LIMIT_TXN_OPS_TOTAL) {
        tally.total_max = LIMIT_TXN_OPS_TOTAL;
    }
    e = shape_check(txn, max_ops, &tally);
    if (e) {
        return e;
    }
    return overlap_find(arena, &txn->success, &then_writes) ||
                   overlap_find(arena, &txn->failure, &else_writes)
               ? KV_DUPLICATE_KEY
               : KV_OK;
}
