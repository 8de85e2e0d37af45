/*
 * lease.c - service etcdserverpb.Lease, and the end of leases.
 *
 * A lease is revoked or renewed only by a leader that has just confirmed that
 * it leads: one that was paused must not undo what its successor has done.
 */
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/core/pb.h"
#include "store/api/core.h"

enum {
    EXPIRED_MAX = 500, /* A round; with API_EXPIRY_MS etcd's 1000 a second. */
    KEEP_ALIVES_MAX = 1024, /* Of one stream, unanswered. */
    GRANT_BYTES_MAX = 64
};

/* --- Grant, Revoke --- */

static int64_t field_int(struct slice message, unsigned number)
{
    struct pb_field field;
    int64_t value = 0;

    while (pb_next(&message, &field)) {
        if (field.number == number) {
            value = (int64_t)field.value;
        }
    }
    return value;
}

/* An id of 0 leaves the choice to us. It is made here, because all members must
 * find the same one in the log. */
static void grant_with_id(struct grpc_call *call, struct slice request)
{
    struct buf with_id;

    buf_init(&with_id, GRANT_BYTES_MAX);
    pb_int(&with_id, 1, field_int(request, 1));
    pb_int(&with_id, 2, kv_lease_pick_id(api_of(call)->config.kv));
    api_propose(call, KV_LEASE_GRANT, buf_slice(&with_id));
    buf_release(&with_id);
}

void api_lease_grant(struct grpc_call *call, struct slice request)
{
    struct api *api = api_of(call);

    if (!api_check(call, KV_LEASE_GRANT, request)) {
        return;
    }
    if (kv_over_quota(api->config.kv, KV_LEASE_GRANT, request)) {
        api_raise_no_space(api);
        api_refuse(call, KV_NO_SPACE);
        return;
    }
    api->numbers.leases_granted.value++;
    if (field_int(request, 2) == 0) {
        grant_with_id(call, request);
    } else {
        api_propose(call, KV_LEASE_GRANT, request);
    }
}

void api_lease_revoke(struct grpc_call *call, struct slice request)
{
    if (api_check(call, KV_LEASE_REVOKE, request)) {
        api_of(call)->numbers.leases_revoked.value++;
        api_propose(call, KV_LEASE_REVOKE, request);
    }
}

/* --- TimeToLive: the leader knows; Leases: what this member has --- */

static void time_from_here(struct grpc_call *call, struct slice request)
{
    struct api *api = api_of(call);
    struct kv_reply reply = reply_take(api);

    kv_lease_time_to_live(api->config.kv, request,
                          loop_now_ms(api->config.loop), &reply);
    api_answer(call, &reply);
    reply_give(api, reply);
}

/* In the call's arena. */
struct time_call {
    struct grpc_call *call;
    struct ask *ask;
};

/* The leader's answer, which only lacks our own header. */
static void on_time_said(void *owner, int status, struct slice body)
{
    struct time_call *t = owner;
    struct slice answer = {0};
    struct pb_field f;

    t->ask = NULL;
    while (status == 200 && pb_next(&body, &f)) {
        answer = f.number == 1 ? f.bytes : answer;
    }
    if (status == 200) {
        grpc_call_send(t->call, answer);
        grpc_call_finish(t->call, GRPC_OK, NULL);
    } else if (kv_error_of_text(body) != KV_OK) {
        api_refuse(t->call, kv_error_of_text(body));
    } else {
        api_end_failed(t->call, ST_TIMEOUT);
    }
}

static void time_by_leader(struct grpc_call *call, struct slice request)
{
    struct time_call *t = arena_zalloc(grpc_call_arena(call), 1, sizeof(*t));
    struct buf body;

    buf_init(&body, request.len + 16);
    pb_message(&body, 1, request);
    t->call = call;
    grpc_call_set_data(call, t);
    t->ask = ask_leader(api_of(call), "/leases/internal", buf_slice(&body),
                        on_time_said, t);
    buf_release(&body);
}

void api_time_to_live_closed(struct grpc_call *call)
{
    struct time_call *t = grpc_call_data(call);

    if (t != NULL) {
        ask_forget(t->ask);
    }
}

void api_lease_time_to_live(struct grpc_call *call, struct slice request)
{
    struct api *api = api_of(call);

    if (!api_may_learner(call, false)) {
        return;
    }
    if (kv_check(api->config.kv, KV_LEASE_REVOKE, request)) {
        api_refuse(call, KV_MALFORMED);
    } else if (api->leader == api->own.member) {
        time_from_here(call, request);
    } else {
        time_by_leader(call, request);
    }
}

void api_lease_leases(struct grpc_call *call, struct slice request)
{
    struct api *api = api_of(call);
    struct kv_reply reply;

    (void)request; /* Has no fields. */
    if (!api_may_learner(call, false)) {
        return;
    }
    reply = reply_take(api);
    kv_lease_list(api->config.kv, &reply);
    api_answer(call, &reply);
    reply_give(api, reply);
}

/* --- KeepAlive --- */

/* In the call's arena. */
struct keep_alive {
    struct grpc_call *call;
    struct wait *wait; /* One confirmation for all that wait. */
    struct ask *ask;   /* Or the leader's word, for the oldest of them. */
    int64_t *ids;      /* Of KEEP_ALIVES_MAX; made when first needed. */
    size_t ids_count;
    bool half_closed;
};

static void send_renewal(struct keep_alive *k, int64_t id, int64_t ttl)
{
    struct api *api = api_of(k->call);
    int64_t revision = kv_revision(api->config.kv);
    struct buf *out = grpc_call_begin_message(k->call);

    api_write_header(api, out, revision);
    pb_int(out, 2, id);
    pb_int(out, 3, ttl);
    grpc_call_end_message(k->call);
}

static void renew(struct keep_alive *k, int64_t id)
{
    struct api *api = api_of(k->call);
    int64_t ttl =
        kv_lease_renew(api->config.kv, id, loop_now_ms(api->config.loop));

    send_renewal(k, id, ttl);
    api->numbers.leases_renewed.value += ttl > 0;
}

static void finish_if_done(struct keep_alive *k)
{
    if (k->half_closed && k->wait == NULL && k->ask == NULL) {
        grpc_call_finish(k->call, GRPC_OK, NULL);
    }
}

static void on_confirmed(struct wait *w, enum status st,
                         const struct kv_reply *reply)
{
    struct keep_alive *k = w->owner;

    (void)reply;
    k->wait = NULL;
    if (st) {
        api_end_failed(k->call, st);
        return;
    }
    for (size_t i = 0; i < k->ids_count; i++) {
        renew(k, k->ids[i]);
    }
    k->ids_count = 0;
    finish_if_done(k);
}

/* --- KeepAlive on a follower: the leader renews --- */

static void ask_next(struct keep_alive *k);

/* 404: the lease is gone, which is said by a TTL of 0. */
static void on_renewal_said(void *owner, int status, struct slice body)
{
    struct keep_alive *k = owner;

    k->ask = NULL;
    if (status != 200 && status != 404) {
        api_end_failed(k->call, ST_TIMEOUT);
        return;
    }
    send_renewal(k, k->ids[0], status == 200 ? field_int(body, 3) : 0);
    k->ids_count--;
    memmove(k->ids, k->ids + 1, k->ids_count * sizeof(k->ids[0]));
    ask_next(k);
    finish_if_done(k);
}

static void ask_next(struct keep_alive *k)
{
    struct buf body;

    if (k->ids_count == 0 || k->ask != NULL) {
        return;
    }
    buf_init(&body, GRANT_BYTES_MAX);
    pb_int(&body, 1, k->ids[0]);
    k->ask = ask_leader(api_of(k->call), "/leases", buf_slice(&body),
                        on_renewal_said, k);
    buf_release(&body);
}

void api_keep_alive_open(struct grpc_call *call)
{
    struct keep_alive *k = arena_zalloc(grpc_call_arena(call), 1, sizeof(*k));

    k->call = call;
    grpc_call_set_data(call, k);
    (void)api_may_learner(call, false);
}

static void keep_for_later(struct keep_alive *k, int64_t id)
{
    if (k->ids == NULL) {
        k->ids = arena_zalloc(grpc_call_arena(k->call), KEEP_ALIVES_MAX,
                              sizeof(*k->ids));
    }
    if (k->ids_count == KEEP_ALIVES_MAX) {
        api_end_failed(k->call, ST_BUSY);
        return;
    }
    k->ids[k->ids_count++] = id;
}

void api_keep_alive_message(struct grpc_call *call, struct slice message)
{
    struct keep_alive *k = grpc_call_data(call);
    int64_t id;
    enum status st;
    bool ready;

    if (kv_check(api_of(call)->config.kv, KV_LEASE_REVOKE, message)) {
        api_refuse(call, KV_MALFORMED); /* The same shape: {1 ID}. */
        return;
    }
    id = field_int(message, 1);
    if (k->wait != NULL) {
        keep_for_later(k, id);
        return;
    }
    if (k->ask != NULL || api_of(call)->leader != api_of(call)->own.member) {
        keep_for_later(k, id);
        ask_next(k);
        return;
    }
    k->wait = wait_read(api_of(call), on_confirmed, k, &ready, &st);
    if (ready) {
        renew(k, id);
    } else if (k->wait == NULL) {
        api_end_failed(call, st);
    } else {
        keep_for_later(k, id);
    }
}

void api_keep_alive_half_closed(struct grpc_call *call)
{
    struct keep_alive *k = grpc_call_data(call);

    k->half_closed = true;
    finish_if_done(k);
}

void api_keep_alive_closed(struct grpc_call *call)
{
    struct keep_alive *k = grpc_call_data(call);

    wait_forget(k->wait);
    ask_forget(k->ask);
}

/* --- Expiry --- */

static void on_revoked(struct wait *w, enum status st,
                       const struct kv_reply *reply)
{
    /* Whatever came of it: a lease that is still there is reported again. */
    if (st == ST_OK && reply->error == KV_OK) {
        w->api->numbers.leases_expired.value++;
    }
}

static void revoke_expired(struct api *api)
{
    int64_t ids[EXPIRED_MAX];
    size_t count = kv_leases_expired(
        api->config.kv, loop_now_ms(api->config.loop), ids, EXPIRED_MAX);

    for (size_t i = 0; i < count; i++) {
        struct buf request;
        enum status st;

        buf_init(&request, GRANT_BYTES_MAX);
        pb_int(&request, 1, ids[i]);
        (void)wait_propose(api, KV_LEASE_REVOKE, buf_slice(&request),
                           on_revoked, api, &st);
        buf_release(&request);
    }
}

static void on_leading(struct wait *w, enum status st,
                       const struct kv_reply *reply)
{
    struct api *api = w->owner;

    (void)reply;
    api->confirming = NULL;
    if (st == ST_OK) {
        revoke_expired(api);
    }
}

void api_lease_expire(struct api *api, uint64_t now_ms)
{
    enum status st;
    bool ready;

    (void)now_ms;
    if (api->leader != api->own.member || api->confirming != NULL ||
        kv_leases_count(api->config.kv) == 0) {
        return;
    }
    api->confirming = wait_read(api, on_leading, api, &ready, &st);
    if (ready) {
        revoke_expired(api);
    }
}
