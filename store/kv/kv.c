#include "store/kv/kv.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/core/pb.h"
#include "store/kv/state.h"

struct kv_config kv_config_default(void)
{
    return (struct kv_config){
        .seed = 1,
        .max_txn_ops = LIMIT_TXN_OPS,
        .lease_ttl_min_s = kv_lease_ttl_min(1000, 100),
    };
}

/* As etcd computes it: in whole heartbeats, then rounded up to seconds. */
int64_t kv_lease_ttl_min(uint64_t election_ms, uint64_t heartbeat_ms)
{
    uint64_t ticks = election_ms / heartbeat_ms;
    uint64_t least_ms = 3 * ticks / 2 * heartbeat_ms;

    return (int64_t)((least_ms + 999) / 1000);
}

uint64_t kv_index(const struct kv *kv)
{
    return kv->applied_index;
}

int64_t kv_revision(const struct kv *kv)
{
    return kv->revision;
}

int64_t kv_compacted(const struct kv *kv)
{
    return kv->compacted;
}

int64_t kv_keys_count(const struct kv *kv)
{
    return (int64_t)kv->index.alive;
}

enum status kv_failure(const struct kv *kv)
{
    return kv->failure;
}

/* --------------------------------------------------------------- replies */

void kv_reply_init(struct kv_reply *r)
{
    *r = (struct kv_reply){0};
    buf_init(&r->body, SIZE_MAX);
}

/* One huge answer must not hold its memory for ever. */
#define BODY_KEPT_MAX (1024 * 1024)

void kv_reply_reset(struct kv_reply *r)
{
    if (r->body.cap > BODY_KEPT_MAX) {
        buf_release(&r->body);
        buf_init(&r->body, SIZE_MAX);
    }
    buf_clear(&r->body);
    r->error = KV_OK;
    r->revision = 0;
    r->compacting = 0;
}

void kv_reply_release(struct kv_reply *r)
{
    buf_release(&r->body);
}

/* --------------------------------------------------------------- batches */

size_t kv_pending(const struct kv *kv)
{
    return kv->pending.records_count - kv->pending.records_taken +
           kv->pending.notes_count;
}

const struct kv_batch *kv_take(struct kv *kv)
{
    if (kv->pending.out || !kv->applied_since_take || kv->failure) {
        return NULL;
    }
    kv->applied_since_take = false;
    kv->compaction.taken = kv->compaction.walked;
    return pending_take(&kv->pending, kv->applied_index, kv->applied_term);
}

void kv_done(struct kv *kv)
{
    pending_done(&kv->pending);
    kv->compaction.finished = kv->compaction.taken;
}

/* ---------------------------------------------------------------- leases */

void kv_lead(struct kv *kv, uint64_t now_ms)
{
    lessor_lead(&kv->lessor, now_ms);
}

void kv_follow(struct kv *kv)
{
    lessor_follow(&kv->lessor);
}

size_t kv_leases_expired(struct kv *kv, uint64_t now_ms, int64_t *out_ids,
                         size_t max)
{
    return lessor_expired(&kv->lessor, now_ms, out_ids, max);
}

int64_t kv_lease_pick_id(struct kv *kv)
{
    for (;;) {
        int64_t id = (int64_t)(rng_next(&kv->rng) >> 1);

        if (id != 0 && lease_find(&kv->lessor, id) == NULL) {
            return id;
        }
    }
}

int64_t kv_lease_renew(struct kv *kv, int64_t id, uint64_t now_ms)
{
    struct lease *lease = lease_find(&kv->lessor, id);

    return lease == NULL ? 0 : lease_renew(&kv->lessor, lease, now_ms);
}

size_t kv_leases_count(const struct kv *kv)
{
    return lessor_count(&kv->lessor);
}

/* Fields of LeaseTimeToLiveResponse. */
enum {
    TTL_ID = 2,
    TTL_REMAINING = 3,
    TTL_GRANTED = 4,
    TTL_KEYS = 5
};

static void lease_keys_append(const struct lease *lease, struct buf *body)
{
    size_t count;
    struct index_key **keys = lease_keys(lease, &count);

    for (size_t i = 0; i < count; i++) {
        pb_message(body, TTL_KEYS, index_key_slice(keys[i]));
    }
    free(keys);
}

void kv_lease_time_to_live(struct kv *kv, struct slice request, uint64_t now_ms,
                           struct kv_reply *reply)
{
    const struct lease *lease;
    struct lease_request r;

    kv_reply_reset(reply);
    reply->revision = kv->revision;
    if (!lease_time_to_live_parse(request, &r)) {
        (void)kv_reply_fail(reply, KV_MALFORMED);
        return;
    }
    lease = lease_find(&kv->lessor, r.id);
    pb_int(&reply->body, TTL_ID, r.id);
    if (lease == NULL) {
        pb_int(&reply->body, TTL_REMAINING, -1);
        return;
    }
    pb_int(&reply->body, TTL_REMAINING, lease_remaining_s(lease, now_ms));
    pb_int(&reply->body, TTL_GRANTED, lease_ttl_s(lease));
    if (r.keys) {
        lease_keys_append(lease, &reply->body);
    }
}

void kv_lease_list(struct kv *kv, struct kv_reply *reply)
{
    struct lease **list = lessor_list(&kv->lessor);

    kv_reply_reset(reply);
    reply->revision = kv->revision;
    for (size_t i = 0; i < lessor_count(&kv->lessor); i++) {
        size_t mark = pb_begin(&reply->body, 2);

        pb_int(&reply->body, 1, lease_id(list[i]));
        pb_end(&reply->body, mark);
    }
    free(list);
}

/* ------------------------------------------------------- alarms, members */

const struct kv_alarm_member *kv_alarms(const struct kv *kv, size_t *out_count)
{
    *out_count = kv->alarms.count;
    return kv->alarms.list;
}

bool kv_alarm_on(const struct kv *kv, enum kv_alarm alarm)
{
    return alarms_on(&kv->alarms, alarm);
}

const struct kv_member *kv_members(const struct kv *kv, size_t *out_count)
{
    *out_count = kv->cluster.count;
    return kv->cluster.list;
}

const uint64_t *kv_members_removed(const struct kv *kv, size_t *out_count)
{
    *out_count = kv->cluster.removed_count;
    return kv->cluster.removed;
}

struct slice kv_conf_state(const struct kv *kv)
{
    return buf_slice(&kv->cluster.conf_state);
}

const char *kv_cluster_version(const struct kv *kv)
{
    return kv->cluster.version == NULL ? "" : kv->cluster.version;
}
