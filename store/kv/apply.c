/* Committed entries come in here. */
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/core/pb.h"
#include "store/kv/compact.h"
#include "store/kv/mvcc.h"
#include "store/kv/state.h"
#include "store/kv/txn.h"

/* Fields of the lease responses. */
enum {
    GRANT_ID = 2,
    GRANT_TTL = 3
};

struct request {
    enum kv_kind kind; /* 0: none */
    struct slice bytes;
};

/* Find the request in an InternalRaftRequest; the header is the proposer's
 * business. Requests of etcd that we do not have (users, roles) are refused,
 * and so is anything with a foreign wire type. */
static enum kv_error entry_parse(struct slice data, struct request *out)
{
    enum {
        ID = 1,
        HEADER = 100
    };
    struct request r = {0};
    struct pb_field field;

    while (pb_next(&data, &field)) {
        if (field.number == ID || field.number == HEADER) {
            continue;
        }
        if (field.type != PB_BYTES) {
            return KV_MALFORMED;
        }
        r.kind = (enum kv_kind)field.number;
        r.bytes = field.bytes;
    }
    *out = r;
    return data.len > 0 ? KV_MALFORMED : KV_OK;
}

static enum kv_error apply_put(struct kv *kv, struct slice bytes,
                               struct kv_reply *reply)
{
    struct put_request r;

    if (!put_request_parse(bytes, &r)) {
        return KV_MALFORMED;
    }
    if (alarms_on(&kv->alarms, KV_ALARM_NO_SPACE)) {
        return KV_NO_SPACE;
    }
    return put_run(kv, &r, &reply->body);
}

static enum kv_error apply_delete(struct kv *kv, struct slice bytes,
                                  struct kv_reply *reply)
{
    struct delete_request r;

    if (!delete_request_parse(bytes, &r)) {
        return KV_MALFORMED;
    }
    return r.key.len == 0 ? KV_EMPTY_KEY : delete_run(kv, &r, &reply->body);
}

static enum kv_error apply_txn(struct kv *kv, struct slice bytes,
                               struct kv_reply *reply)
{
    struct txn_request txn;
    enum kv_error e;

    if (!txn_request_parse(&kv->scratch, bytes, &txn)) {
        return KV_MALFORMED;
    }
    e = txn_check_shape(&txn);
    if (e) {
        return e;
    }
    if (alarms_on(&kv->alarms, KV_ALARM_NO_SPACE) && txn_facts(&txn).has_puts) {
        return KV_NO_SPACE;
    }
    return txn_run(kv, &txn, &reply->body);
}

static enum kv_error apply_compaction(struct kv *kv, struct slice bytes,
                                      struct kv_reply *reply)
{
    struct compaction_request r;
    enum kv_error e;

    if (!compaction_request_parse(bytes, &r)) {
        return KV_MALFORMED;
    }
    e = compact_to(kv, r.revision);
    if (!e && r.physical) {
        reply->compacting = r.revision;
    }
    return e;
}

static void lease_note(struct kv *kv, const struct lease *lease)
{
    uint8_t key[8];
    struct buf row;

    buf_init(&row, 64);
    lease_row_key(lease_id(lease), key);
    lease_row(lease, &row);
    pending_note(&kv->pending, TABLE_LEASE, slice_of(key, sizeof(key)),
                 buf_slice(&row));
    buf_release(&row);
}

static enum kv_error apply_grant(struct kv *kv, struct slice bytes,
                                 uint64_t now_ms, struct kv_reply *reply)
{
    struct lease_request r;
    struct lease *lease;

    if (!lease_grant_parse(bytes, &r)) {
        return KV_MALFORMED;
    }
    if (alarms_on(&kv->alarms, KV_ALARM_NO_SPACE)) {
        return KV_NO_SPACE;
    }
    if (r.id == 0) {
        return KV_LEASE_NOT_FOUND; /* Whoever proposes must choose an id. */
    }
    if (r.ttl > LIMIT_LEASE_TTL_S) {
        return KV_LEASE_TTL_TOO_LARGE;
    }
    if (lease_find(&kv->lessor, r.id) != NULL) {
        return KV_LEASE_EXISTS;
    }
    if (r.ttl < kv->config.lease_ttl_min_s) {
        r.ttl = kv->config.lease_ttl_min_s;
    }
    lease = lease_add(&kv->lessor, r.id, r.ttl, 0, now_ms);
    lease_note(kv, lease);
    pb_int(&reply->body, GRANT_ID, r.id);
    pb_int(&reply->body, GRANT_TTL, r.ttl);
    return KV_OK;
}

static enum kv_error apply_revoke(struct kv *kv, struct slice bytes)
{
    struct lease_request r;
    struct index_key **keys;
    struct lease *lease;
    uint8_t key[8];
    size_t count;

    if (!lease_revoke_parse(bytes, &r)) {
        return KV_MALFORMED;
    }
    lease = lease_find(&kv->lessor, r.id);
    if (lease == NULL) {
        return KV_LEASE_NOT_FOUND;
    }
    keys = lease_keys(lease, &count);
    for (size_t i = 0; i < count; i++) {
        mvcc_delete(kv, keys[i]);
    }
    free(keys);
    lease_remove(&kv->lessor, lease);
    lease_row_key(r.id, key);
    pending_note_remove(&kv->pending, TABLE_LEASE, slice_of(key, sizeof(key)));
    return KV_OK;
}

static void checkpoint_one(struct kv *kv, struct slice bytes)
{
    struct lease *lease;
    struct pb_field field;
    int64_t remaining_s = 0;
    int64_t id = 0;

    while (pb_next(&bytes, &field)) {
        if (field.number == 1) {
            id = (int64_t)field.value;
        } else if (field.number == 2) {
            remaining_s = (int64_t)field.value;
        }
    }
    lease = lease_find(&kv->lessor, id);
    if (bytes.len == 0 && lease != NULL) {
        lease_checkpoint(lease, remaining_s);
        lease_note(kv, lease);
    }
}

static enum kv_error apply_checkpoint(struct kv *kv, struct slice bytes)
{
    struct pb_field field;

    while (pb_next(&bytes, &field)) {
        if (field.number == 1 && field.type == PB_BYTES) {
            checkpoint_one(kv, field.bytes);
        }
    }
    return bytes.len > 0 ? KV_MALFORMED : KV_OK;
}

static enum kv_error apply_alarm(struct kv *kv, struct slice bytes,
                                 struct kv_reply *reply)
{
    struct alarm_request r;

    if (!alarm_request_parse(bytes, &r)) {
        return KV_MALFORMED;
    }
    alarms_apply(&kv->alarms, &r, &kv->pending, &reply->body);
    return KV_OK;
}

/* What a member that knows itself damaged still does: nothing that changes
 * keys or leases. */
static bool corrupt_refuses(enum kv_kind kind)
{
    switch (kind) {
    case KV_PUT:
    case KV_DELETE_RANGE:
    case KV_TXN:
    case KV_COMPACTION:
    case KV_LEASE_GRANT:
    case KV_LEASE_REVOKE:
        return true;
    case KV_RANGE:
    case KV_ALARM:
    case KV_LEASE_CHECKPOINT:
    case KV_CLUSTER_VERSION_SET:
    case KV_CLUSTER_MEMBER_ATTR_SET:
        return false;
    }
    return false;
}

static enum kv_error apply_request(struct kv *kv, const struct request *r,
                                   uint64_t now_ms, struct kv_reply *reply)
{
    if (alarms_on(&kv->alarms, KV_ALARM_CORRUPT) && corrupt_refuses(r->kind)) {
        return KV_CORRUPT;
    }
    switch (r->kind) {
    case KV_PUT:
        return apply_put(kv, r->bytes, reply);
    case KV_DELETE_RANGE:
        return apply_delete(kv, r->bytes, reply);
    case KV_TXN:
        return apply_txn(kv, r->bytes, reply);
    case KV_COMPACTION:
        return apply_compaction(kv, r->bytes, reply);
    case KV_LEASE_GRANT:
        return apply_grant(kv, r->bytes, now_ms, reply);
    case KV_LEASE_REVOKE:
        return apply_revoke(kv, r->bytes);
    case KV_LEASE_CHECKPOINT:
        return apply_checkpoint(kv, r->bytes);
    case KV_ALARM:
        return apply_alarm(kv, r->bytes, reply);
    case KV_CLUSTER_VERSION_SET:
        return cluster_set_version(&kv->cluster, r->bytes, &kv->pending);
    case KV_CLUSTER_MEMBER_ATTR_SET:
        return cluster_set_attributes(&kv->cluster, r->bytes, &kv->pending);
    case KV_RANGE:
        break; /* Reads do not come through the log. */
    }
    return KV_UNSUPPORTED;
}

/* Note the entry. false: it was applied before, or the member has failed. */
static bool apply_enter(struct kv *kv, const struct kv_entry *entry)
{
    if (kv->failure || entry->index <= kv->applied_index) {
        return false;
    }
    CHECK_IF(kv->applied_index > 0, entry->index == kv->applied_index + 1);
    CHECK(entry->term >= kv->applied_term);
    kv->applied_index = entry->index;
    kv->applied_term = entry->term;
    kv->applied_since_take = true;
    return true;
}

void kv_apply(struct kv *kv, const struct kv_entry *entry, uint64_t now_ms,
              struct kv_reply *reply)
{
    struct request request;
    enum kv_error e;

    if (reply == NULL) {
        reply = &kv->discarded;
    }
    kv_reply_reset(reply);
    if (apply_enter(kv, entry) && entry->data.len > 0) {
        e = entry_parse(entry->data, &request);
        if (!e && request.kind != 0) {
            e = apply_request(kv, &request, now_ms, reply);
        }
        mvcc_end(kv);
        arena_reset(&kv->scratch);
        if (e) {
            (void)kv_reply_fail(reply, e);
        }
    }
    if (kv->failure) {
        (void)kv_reply_fail(reply, KV_DAMAGED);
    }
    reply->revision = kv->revision;
}

enum kv_error kv_check_member(const struct kv *kv,
                              const struct kv_membership *m)
{
    return cluster_check(&kv->cluster, m);
}

void kv_apply_member(struct kv *kv, const struct kv_entry *entry,
                     const struct kv_membership *m, struct slice conf_state)
{
    if (!apply_enter(kv, entry)) {
        return;
    }
    if (m != NULL) {
        cluster_change(&kv->cluster, m, &kv->pending);
    }
    if (conf_state.len > 0) {
        cluster_set_conf_state(&kv->cluster, conf_state, &kv->pending);
    }
}

void kv_txn_read(struct kv *kv, struct slice request, struct kv_reply *reply)
{
    struct txn_request txn;
    enum kv_error e = KV_MALFORMED;

    kv_reply_reset(reply);
    reply->revision = kv->revision;
    if (txn_request_parse(&kv->scratch, request, &txn)) {
        CHECK(txn_facts(&txn).read_only);
        e = txn_run(kv, &txn, &reply->body);
    }
    arena_reset(&kv->scratch);
    if (e) {
        (void)kv_reply_fail(reply, e);
    }
}
