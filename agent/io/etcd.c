#include "agent/io/etcd.h"

#include "base/core/pb.h"

/* etcdserverpb enums. */
enum {
    SORT_DESCEND = 2,
    SORT_MOD = 3
};
enum {
    COMPARE_EQUAL = 0,
    COMPARE_LESS = 2,
    COMPARE_CREATE = 1,
    COMPARE_MOD = 2
};

void etcd_page(struct buf *b, struct slice from, struct slice end,
               int64_t limit, int64_t revision)
{
    buf_clear(b);
    pb_bytes(b, 1, from);
    pb_bytes(b, 2, end);
    pb_int(b, 3, limit);
    pb_int(b, 4, revision);
}

void etcd_newest(struct buf *b, struct record_range range)
{
    etcd_page(b, range.begin, range.end, 1, 0);
    pb_uint(b, 5, SORT_DESCEND);
    pb_uint(b, 6, SORT_MOD);
    pb_bool(b, 8, true); /* keys_only */
}

void etcd_watch(struct buf *b, struct record_range range, int64_t revision)
{
    size_t create;

    buf_clear(b);
    create = pb_begin(b, 1);
    pb_bytes(b, 1, range.begin);
    pb_bytes(b, 2, range.end);
    pb_int(b, 3, revision);
    pb_bool(b, 4, true); /* progress_notify */
    pb_end(b, create);
}

void etcd_grant(struct buf *b, int64_t ttl_s)
{
    buf_clear(b);
    pb_int(b, 1, ttl_s);
}

void etcd_lease_id(struct buf *b, int64_t id)
{
    buf_clear(b);
    pb_int(b, 1, id);
}

/* A zero revision is left out of the message, which means the same. */
static void add_compare(struct buf *b, unsigned target, unsigned field,
                        struct slice key, int64_t revision)
{
    size_t compare = pb_begin(b, 1);

    pb_uint(b, 1, COMPARE_EQUAL);
    pb_uint(b, 2, target);
    pb_bytes(b, 3, key);
    pb_int(b, field, revision);
    pb_end(b, compare);
}

static void add_put(struct buf *b, struct slice key, struct slice value,
                    int64_t lease)
{
    size_t op = pb_begin(b, 2); /* success */
    size_t put = pb_begin(b, 2);

    pb_bytes(b, 1, key);
    pb_bytes(b, 2, value);
    pb_int(b, 3, lease);
    pb_end(b, put);
    pb_end(b, op);
}

static void add_delete(struct buf *b, struct slice key)
{
    size_t op = pb_begin(b, 2); /* success */
    size_t del = pb_begin(b, 3);

    pb_bytes(b, 1, key);
    pb_end(b, del);
    pb_end(b, op);
}

void etcd_put(struct buf *b, struct slice key, struct slice value,
              int64_t lease)
{
    buf_clear(b);
    pb_bytes(b, 1, key);
    pb_bytes(b, 2, value);
    pb_int(b, 3, lease);
}

void etcd_attach(struct buf *b, struct slice key, struct slice value,
                 int64_t lease, int64_t expect_mod_revision)
{
    size_t op;
    size_t range;

    buf_clear(b);
    add_compare(b, COMPARE_MOD, 6, key, expect_mod_revision);
    add_put(b, key, value, lease);
    op = pb_begin(b, 3); /* failure */
    range = pb_begin(b, 1);
    pb_bytes(b, 1, key);
    pb_end(b, range);
    pb_end(b, op);
}

void etcd_txn(struct buf *b, const struct sync_txn *txn)
{
    buf_clear(b);
    if (txn->live_key.len > 0) {
        add_compare(b, COMPARE_CREATE, 5, txn->live_key,
                    txn->live_create_revision);
    }
    for (size_t i = 0; i < txn->ops_count; i++) {
        const struct sync_op *op = &txn->ops[i];

        if (op->expect_mod_revision != SYNC_ANY) {
            add_compare(b, COMPARE_MOD, 6, op->key, op->expect_mod_revision);
        }
    }
    for (size_t i = 0; i < txn->ops_count; i++) {
        const struct sync_op *op = &txn->ops[i];

        if (op->kind == SYNC_PUT) {
            add_put(b, op->key, op->value, op->lease);
        } else {
            add_delete(b, op->key);
        }
    }
}

/* ---- What requests ask --------------------------------------------------- */

static void add_guard(struct buf *b, const struct store_guard *g)
{
    size_t compare = pb_begin(b, 1);
    bool create = g->kind == STORE_CREATE_IS;

    pb_uint(b, 1, g->kind == STORE_MOD_BELOW ? COMPARE_LESS : COMPARE_EQUAL);
    pb_uint(b, 2, create ? COMPARE_CREATE : COMPARE_MOD);
    pb_bytes(b, 3, g->key);
    pb_int(b, create ? 5 : 6, g->revision);
    pb_bytes(b, 64, g->end);
    pb_end(b, compare);
}

static void add_read_fields(struct buf *b, const struct store_read *r)
{
    pb_bytes(b, 1, r->key);
    pb_bytes(b, 2, r->end);
    pb_int(b, 3, r->limit);
    pb_bool(b, 8, r->keys_only);
}

static void add_read(struct buf *b, unsigned branch, const struct store_read *r,
                     bool stale)
{
    size_t op = pb_begin(b, branch);
    size_t range = pb_begin(b, 1);

    add_read_fields(b, r);
    pb_bool(b, 7, stale);
    pb_end(b, range);
    pb_end(b, op);
}

static void add_change(struct buf *b, const struct store_change *c)
{
    size_t op = pb_begin(b, 2); /* success */
    size_t body = pb_begin(b, c->deletes ? 3 : 2);

    pb_bytes(b, 1, c->key);
    if (c->deletes) {
        pb_bytes(b, 2, c->end);
    } else {
        pb_bytes(b, 2, c->value);
        pb_int(b, 3, c->lease);
    }
    pb_end(b, body);
    pb_end(b, op);
}

/* The reads are made when the guards fail; or always, if nothing is to be
 * changed. */
void etcd_store_txn(struct buf *b, const struct store_ask *ask)
{
    unsigned branch = ask->changes_count > 0 ? 3 : 2;

    buf_clear(b);
    for (size_t i = 0; i < ask->guards_count; i++) {
        add_guard(b, &ask->guards[i]);
    }
    for (size_t i = 0; i < ask->changes_count; i++) {
        add_change(b, &ask->changes[i]);
    }
    for (size_t i = 0; i < ask->reads_count; i++) {
        add_read(b, branch, &ask->reads[i], ask->stale);
    }
}

void etcd_store_page(struct buf *b, const struct store_ask *ask,
                     struct slice from, int64_t limit, int64_t revision)
{
    struct store_read page = ask->reads[0];

    page.key = from;
    page.limit = limit;
    buf_clear(b);
    add_read_fields(b, &page);
    pb_int(b, 4, revision);
    pb_bool(b, 7, ask->stale);
}

void etcd_follow(struct buf *b, const struct store_read *range, int64_t from,
                 int64_t watch_id)
{
    size_t create;

    buf_clear(b);
    create = pb_begin(b, 1);
    pb_bytes(b, 1, range->key);
    pb_bytes(b, 2, range->end);
    pb_int(b, 3, from);
    pb_int(b, 7, watch_id);
    pb_end(b, create);
}

void etcd_unfollow(struct buf *b, int64_t watch_id)
{
    size_t cancel;

    buf_clear(b);
    cancel = pb_begin(b, 2);
    pb_int(b, 1, watch_id);
    pb_end(b, cancel);
}
