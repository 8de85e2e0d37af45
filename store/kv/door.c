/* What is asked of a request before it goes into the log. */
#include "base/core/check.h"
#include "base/core/pb.h"
#include "store/kv/state.h"
#include "store/kv/txn.h"

static enum kv_error door_range(struct slice bytes)
{
    struct range_request r;

    return range_request_parse(bytes, &r) ? range_check(&r) : KV_MALFORMED;
}

static enum kv_error door_put(struct slice bytes)
{
    struct put_request r;

    return put_request_parse(bytes, &r) ? put_check(&r) : KV_MALFORMED;
}

static enum kv_error door_delete(struct slice bytes)
{
    struct delete_request r;

    return delete_request_parse(bytes, &r) ? delete_check(&r) : KV_MALFORMED;
}

static enum kv_error door_txn(const struct kv *kv, struct slice bytes)
{
    struct arena arena = {0};
    struct txn_request txn;
    enum kv_error e = KV_MALFORMED;

    if (txn_request_parse(&arena, bytes, &txn)) {
        e = txn_check(&arena, &txn, kv->config.max_txn_ops);
    }
    arena_release(&arena);
    return e;
}

static enum kv_error door_well_formed(bool fine)
{
    return fine ? KV_OK : KV_MALFORMED;
}

enum kv_error kv_check(const struct kv *kv, enum kv_kind kind,
                       struct slice request)
{
    struct compaction_request compaction;
    struct lease_request lease;
    struct alarm_request alarm;

    switch (kind) {
    case KV_RANGE:
        return door_range(request);
    case KV_PUT:
        return door_put(request);
    case KV_DELETE_RANGE:
        return door_delete(request);
    case KV_TXN:
        return door_txn(kv, request);
    case KV_COMPACTION:
        return door_well_formed(compaction_request_parse(request, &compaction));
    case KV_LEASE_GRANT:
        return door_well_formed(lease_grant_parse(request, &lease));
    case KV_LEASE_REVOKE:
        return door_well_formed(lease_revoke_parse(request, &lease));
    case KV_ALARM:
        return door_well_formed(alarm_request_parse(request, &alarm));
    case KV_LEASE_CHECKPOINT:
    case KV_CLUSTER_VERSION_SET:
    case KV_CLUSTER_MEMBER_ATTR_SET:
        return KV_OK; /* Members' own; checked when applied. */
    }
    return KV_UNSUPPORTED;
}

static bool all_ranges(const struct request_ops *ops, bool *all_serializable)
{
    for (size_t i = 0; i < ops->count; i++) {
        if (ops->list[i].type != OP_RANGE) {
            return false;
        }
        *all_serializable &= ops->list[i].range.serializable;
    }
    return true;
}

static bool any_put(const struct request_ops *ops)
{
    for (size_t i = 0; i < ops->count; i++) {
        if (ops->list[i].type == OP_PUT) {
            return true;
        }
    }
    return false;
}

struct kv_txn_facts txn_facts(const struct txn_request *txn)
{
    bool serializable = true;
    bool read_only = all_ranges(&txn->success, &serializable) &&
                     all_ranges(&txn->failure, &serializable);

    return (struct kv_txn_facts){
        .read_only = read_only,
        .serializable = read_only && serializable,
        .has_puts = any_put(&txn->success) || any_put(&txn->failure),
    };
}

struct kv_txn_facts kv_txn_facts(struct slice request)
{
    struct arena arena = {0};
    struct kv_txn_facts facts = {0};
    struct txn_request txn;

    if (txn_request_parse(&arena, request, &txn)) {
        facts = txn_facts(&txn);
    }
    arena_release(&arena);
    return facts;
}

/* etcd's estimates of what a request will take in the backend. */
enum {
    COST_PUT = 256,
    COST_LEASE = 64
};

static uint64_t ops_cost(const struct request_ops *ops)
{
    uint64_t cost = 0;

    for (size_t i = 0; i < ops->count; i++) {
        const struct put_request *put = &ops->list[i].put;

        if (ops->list[i].type == OP_PUT) {
            cost += COST_PUT + put->key.len + put->value.len;
        }
    }
    return cost;
}

static uint64_t txn_cost(struct slice request)
{
    struct arena arena = {0};
    struct txn_request txn;
    uint64_t cost = 0;

    if (txn_request_parse(&arena, request, &txn)) {
        uint64_t other = ops_cost(&txn.failure);

        cost = ops_cost(&txn.success);
        cost = cost > other ? cost : other;
    }
    arena_release(&arena);
    return cost;
}

static uint64_t request_cost(enum kv_kind kind, struct slice request)
{
    struct put_request put;

    if (kind == KV_PUT && put_request_parse(request, &put)) {
        return COST_PUT + put.key.len + put.value.len;
    }
    if (kind == KV_TXN) {
        return txn_cost(request);
    }
    return kind == KV_LEASE_GRANT ? COST_LEASE : 0;
}

bool kv_over_quota(const struct kv *kv, enum kv_kind kind, struct slice request)
{
    int64_t quota = kv->config.quota_bytes;
    uint64_t cost;

    if (quota < 0) {
        return false;
    }
    cost = request_cost(kind, request);
    /* etcd counts the file, which shrinks by defragmentation only. Our tables
     * use freed space again, so what is in use counts. */
    return cost > 0 &&
           kv->table->size_in_use(kv->table) + cost >= (uint64_t)quota;
}

void kv_entry_pack(struct buf *out, uint64_t id, enum kv_kind kind,
                   struct slice request)
{
    size_t mark;

    pb_message(out, kind, request);
    mark = pb_begin(out, 100); /* header */
    pb_uint(out, 1, id);
    pb_end(out, mark);
}

uint64_t kv_entry_id(struct slice entry)
{
    struct pb_field f;
    struct slice header = {0};

    while (pb_next(&entry, &f)) {
        if (f.number == 100 && f.type == PB_BYTES) {
            header = f.bytes;
        }
    }
    while (pb_next(&header, &f)) {
        if (f.number == 1) {
            return f.value;
        }
    }
    return 0;
}
