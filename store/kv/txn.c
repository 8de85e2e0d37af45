#include "store/kv/txn.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/pb.h"
#include "base/core/row.h"
#include "store/kv/mvcc.h"
#include "store/kv/range.h"
#include "store/kv/state.h"

/* Field numbers: of the responses, of ResponseOp, of ResponseHeader. */
enum {
    HEADER = 1,
    HEADER_REVISION = 3,
    PUT_PREV_KV = 2,
    DELETE_DELETED = 2,
    DELETE_PREV_KVS = 3,
    TXN_SUCCEEDED = 2,
    TXN_RESPONSES = 3,
};

/* --------------------------------------------------------------- compares */

static int int_cmp(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static bool result_holds(int32_t result, int order)
{
    switch (result) {
    case COMPARE_EQUAL:
        return order == 0;
    case COMPARE_NOT_EQUAL:
        return order != 0;
    case COMPARE_GREATER:
        return order > 0;
    case COMPARE_LESS:
        return order < 0;
    default:
        return true; /* As etcd. */
    }
}

/* The operand counts only if it is the target's own member of the oneof. */
static bool number_holds(const struct compare *c, int64_t stored)
{
    int64_t given = c->operand == (unsigned)c->target + 4 ? c->number : 0;

    return result_holds(c->result, int_cmp(stored, given));
}

static bool value_holds(struct kv *kv, const struct compare *c,
                        struct index_key *k)
{
    struct kv_fields fields;
    struct slice row;

    if (!mvcc_read_newest(kv, k, &row)) {
        return false;
    }
    if (!kv_fields_parse(row, &fields)) {
        kv->failure = ST_CORRUPT;
        return false;
    }
    return result_holds(c->result, slice_cmp(fields.value, c->value));
}

/* `k` NULL: an absent key, of which every number is 0. */
static bool key_holds(struct kv *kv, const struct compare *c,
                      struct index_key *k)
{
    switch (c->target) {
    case COMPARE_VERSION:
        return number_holds(c, k == NULL ? 0 : k->version);
    case COMPARE_CREATE:
        return number_holds(c, k == NULL ? 0 : k->create);
    case COMPARE_MOD:
        return number_holds(c, k == NULL ? 0 : k->newest.main);
    case COMPARE_LEASE:
        return number_holds(c, k == NULL ? 0 : lease_of(k));
    case COMPARE_VALUE:
        return k != NULL && value_holds(kv, c, k);
    default:
        return result_holds(c->result, 0);
    }
}

static bool interval_holds(struct kv *kv, const struct compare *c)
{
    struct key_range keys = key_range_of(c->key, c->range_end);
    struct index_cursor cursor = index_seek(&kv->index, keys.from);
    struct index_key *k;
    bool any = false;

    while ((k = index_here(&cursor)) != NULL &&
           key_range_reaches(&keys, index_key_slice(k))) {
        if (index_key_alive(k)) {
            any = true;
            if (!key_holds(kv, c, k)) {
                return false;
            }
        }
        index_next(&cursor);
    }
    return any || key_holds(kv, c, NULL);
}

static bool compare_holds(struct kv *kv, const struct compare *c)
{
    struct index_key *k;

    if (c->range_end.len > 0) {
        return interval_holds(kv, c);
    }
    k = index_find(&kv->index, c->key);
    return key_holds(kv, c, k != NULL && index_key_alive(k) ? k : NULL);
}

/* The branch that runs. */
static const struct request_ops *txn_branch(const struct txn_request *txn)
{
    return txn->succeeded ? &txn->success : &txn->failure;
}

/* Fix the way through all levels before anything is written. Recursion here
 * and below is bounded by LIMIT_TXN_DEPTH. */
static void txn_choose(struct kv *kv, struct txn_request *txn)
{
    const struct request_ops *ops;

    txn->succeeded = true;
    for (size_t i = 0; i < txn->compares_count && txn->succeeded; i++) {
        txn->succeeded = compare_holds(kv, &txn->compares[i]);
    }
    ops = txn_branch(txn);
    for (size_t i = 0; i < ops->count; i++) {
        if (ops->list[i].type == OP_TXN) {
            txn_choose(kv, ops->list[i].txn);
        }
    }
}

/* ------------------------------------------------- what could go wrong */

/* The writes on the chosen way, in order. */
struct way {
    const struct request_op **ops;
    size_t count;
    size_t cap;
    size_t deletes;
};

static void way_collect(struct way *way, const struct txn_request *txn)
{
    const struct request_ops *ops = txn_branch(txn);

    for (size_t i = 0; i < ops->count; i++) {
        const struct request_op *op = &ops->list[i];

        if (op->type == OP_TXN) {
            way_collect(way, op->txn);
            continue;
        }
        way->ops = row_room(way->ops, &way->cap, way->count, sizeof(*way->ops));
        way->ops[way->count++] = op;
        way->deletes += op->type == OP_DELETE_RANGE;
    }
}

static bool delete_reaches(const struct delete_request *del, struct slice key)
{
    struct key_range keys = key_range_of(del->key, del->range_end);

    return slice_cmp(key, keys.from) >= 0 && key_range_reaches(&keys, key);
}

/* Whether the key will be there when op number `at` runs. etcd looks at the
 * state before the txn only, lets a delete of everything after a key through,
 * and stops when the put then finds nothing. */
static bool way_finds(const struct kv *kv, const struct way *way, size_t at,
                      struct slice key)
{
    const struct index_key *k = index_find(&kv->index, key);

    if (k == NULL || !index_key_alive(k)) {
        return false;
    }
    for (size_t i = at; way->deletes > 0 && i > 0; i--) {
        const struct request_op *op = way->ops[i - 1];

        if (op->type == OP_PUT && slice_eq(op->put.key, key)) {
            return true;
        }
        if (op->type == OP_DELETE_RANGE &&
            delete_reaches(&op->delete_range, key)) {
            return false;
        }
    }
    return true;
}

static enum kv_error way_check_puts(const struct kv *kv, const struct way *way)
{
    for (size_t i = 0; i < way->count; i++) {
        const struct put_request *put = &way->ops[i]->put;

        if (way->ops[i]->type != OP_PUT) {
            continue;
        }
        if ((put->ignore_value || put->ignore_lease) &&
            !way_finds(kv, way, i, put->key)) {
            return KV_KEY_NOT_FOUND;
        }
        if (put->lease != 0 && lease_find(&kv->lessor, put->lease) == NULL) {
            return KV_LEASE_NOT_FOUND;
        }
    }
    return KV_OK;
}

/* Unlike a plain Range, a negative revision counts as one (as etcd). */
static enum kv_error way_check_ranges(const struct kv *kv,
                                      const struct way *way)
{
    for (size_t i = 0; i < way->count; i++) {
        const struct range_request *range = &way->ops[i]->range;

        if (way->ops[i]->type != OP_RANGE || range->revision == 0) {
            continue;
        }
        if (range->revision > kv->revision) {
            return KV_FUTURE_REV;
        }
        if (range->revision < kv->compacted) {
            return KV_COMPACTED;
        }
    }
    return KV_OK;
}

static enum kv_error txn_precheck(const struct kv *kv,
                                  const struct txn_request *txn)
{
    struct way way = {0};
    enum kv_error e;

    way_collect(&way, txn);
    e = way_check_puts(kv, &way);
    if (!e) {
        e = way_check_ranges(kv, &way);
    }
    free(way.ops);
    return e;
}

/* -------------------------------------------------------------- running */

static enum kv_error row_append(struct buf *body, unsigned field,
                                struct slice row)
{
    if (body->len > KV_BODY_MAX || row.len > KV_BODY_MAX - body->len) {
        return KV_REPLY_TOO_LARGE;
    }
    pb_message(body, field, row);
    return KV_OK;
}

/* Everything was checked: the lease and, if needed, the key are there. */
static enum kv_error put_do(struct kv *kv, const struct put_request *r,
                            struct buf *body)
{
    struct lease *lease =
        r->lease == 0 ? NULL : lease_find(&kv->lessor, r->lease);
    struct slice value = r->value;
    struct kv_fields fields;
    enum kv_error e = KV_OK;

    if (r->prev_kv || r->ignore_value || r->ignore_lease) {
        struct index_key *k = index_find(&kv->index, r->key);
        struct slice row;

        if (!mvcc_read_newest(kv, k, &row)) {
            return KV_DAMAGED;
        }
        if (r->prev_kv && row.len > 0) {
            e = row_append(body, PUT_PREV_KV, row);
        }
        if (r->ignore_lease) {
            lease = lease_find(&kv->lessor, lease_of(k));
        }
        if (r->ignore_value) {
            if (!kv_fields_parse(row, &fields)) {
                kv->failure = ST_CORRUPT;
                return KV_DAMAGED;
            }
            value = fields.value;
        }
    }
    mvcc_put(kv, r->key, value, lease);
    return e;
}

enum kv_error put_run(struct kv *kv, const struct put_request *r,
                      struct buf *body)
{
    if (r->key.len == 0) {
        return KV_EMPTY_KEY;
    }
    if (r->lease != 0 && lease_find(&kv->lessor, r->lease) == NULL) {
        return KV_LEASE_NOT_FOUND;
    }
    if (r->ignore_value || r->ignore_lease) {
        const struct index_key *k = index_find(&kv->index, r->key);

        if (k == NULL || !index_key_alive(k)) {
            return KV_KEY_NOT_FOUND;
        }
    }
    return put_do(kv, r, body);
}

/* Deleting adds no entry to the index and removes none, so the cursor holds. */
enum kv_error delete_run(struct kv *kv, const struct delete_request *r,
                         struct buf *body)
{
    struct key_range keys = key_range_of(r->key, r->range_end);
    struct index_cursor c = index_seek(&kv->index, keys.from);
    enum kv_error e = KV_OK;
    struct index_key *k;
    int64_t deleted = 0;

    while ((k = index_here(&c)) != NULL &&
           key_range_reaches(&keys, index_key_slice(k))) {
        struct slice row;

        index_next(&c);
        if (!index_key_alive(k)) {
            continue;
        }
        if (r->prev_kv && !e) {
            e = mvcc_read_newest(kv, k, &row)
                    ? row_append(body, DELETE_PREV_KVS, row)
                    : KV_DAMAGED;
        }
        mvcc_delete(kv, k);
        deleted++;
    }
    pb_int(body, DELETE_DELETED, deleted);
    return e;
}

static void op_header(struct buf *body, int64_t revision)
{
    size_t mark = pb_begin(body, HEADER);

    pb_int(body, HEADER_REVISION, revision);
    pb_end(body, mark);
}

static enum kv_error op_range(struct kv *kv, const struct range_request *r,
                              struct buf *body)
{
    struct range_scan scan;
    enum kv_error e;

    op_header(body, mvcc_view(kv));
    range_scan_init(&scan, kv, r, body);
    (void)range_scan_run(&scan, RANGE_WHOLE);
    e = scan.error;
    range_scan_release(&scan);
    return e;
}

/* The header tells the revision after the op, so it is written last; protobuf
 * fields may come in any order. */
static enum kv_error op_write(struct kv *kv, const struct request_op *op,
                              struct buf *body)
{
    enum kv_error e = op->type == OP_PUT
                          ? put_do(kv, &op->put, body)
                          : delete_run(kv, &op->delete_range, body);

    op_header(body, mvcc_view(kv));
    return e;
}

static enum kv_error txn_do(struct kv *kv, const struct txn_request *txn,
                            struct buf *body);

static enum kv_error op_do(struct kv *kv, const struct request_op *op,
                           struct buf *body)
{
    size_t mark = pb_begin(body, op->type);
    enum kv_error e = KV_OK;

    switch (op->type) {
    case OP_RANGE:
        e = op_range(kv, &op->range, body);
        break;
    case OP_PUT:
    case OP_DELETE_RANGE:
        e = op_write(kv, op, body);
        break;
    case OP_TXN:
        pb_message(body, HEADER, slice_of(NULL, 0));
        e = txn_do(kv, op->txn, body);
        break;
    case OP_NONE:
        UNREACHABLE();
    }
    pb_end(body, mark);
    return e;
}

/* Every op runs, whatever became of the answer: an answer that is too large is
 * no reason to change something else on this member than on the others. */
static enum kv_error txn_do(struct kv *kv, const struct txn_request *txn,
                            struct buf *body)
{
    const struct request_ops *ops = txn_branch(txn);
    enum kv_error e = KV_OK;

    pb_bool(body, TXN_SUCCEEDED, txn->succeeded);
    for (size_t i = 0; i < ops->count; i++) {
        size_t mark = pb_begin(body, TXN_RESPONSES);
        enum kv_error op_error = op_do(kv, &ops->list[i], body);

        pb_end(body, mark);
        e = e ? e : op_error;
    }
    return e;
}

enum kv_error txn_run(struct kv *kv, struct txn_request *txn, struct buf *body)
{
    enum kv_error e;

    txn_choose(kv, txn);
    if (kv->failure) {
        return KV_DAMAGED;
    }
    e = txn_precheck(kv, txn);
    return e ? e : txn_do(kv, txn, body);
}
