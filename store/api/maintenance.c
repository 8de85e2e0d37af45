/*
 * maintenance.c - service etcdserverpb.Maintenance, and grpc.health.v1.
 */
#include <inttypes.h>

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/pb.h"
#include "base/proto/health.pb-c.h"
#include "base/proto/pb_arena.h"
#include "base/proto/rpc.pb-c.h"
#include "store/api/core.h"

/* --- Status --- */

static void put_error(struct buf *out, const char *text)
{
    pb_bytes(out, 8, slice_str(text));
}

static void put_alarms(const struct api *api, struct buf *out)
{
    size_t count;
    const struct kv_alarm_member *alarms = kv_alarms(api->config.kv, &count);

    for (size_t i = 0; i < count; i++) {
        char text[64];

        /* With the blank at the end, as etcd prints it. */
        (void)snprintf(text, sizeof(text), "memberID:%" PRIu64 " alarm:%s ",
                       alarms[i].member_id,
                       alarms[i].alarm == KV_ALARM_NO_SPACE ? "NOSPACE"
                                                            : "CORRUPT");
        put_error(out, text);
    }
}

void api_status(struct grpc_call *call, struct slice request)
{
    struct api *api = api_of(call);
    struct table *table = api->config.table;
    struct buf *out = grpc_call_begin_message(call);
    struct raft_status raft = node_status(api->node);
    const struct kv_member *self = api_member(api, api->own.member);

    (void)request; /* Has no fields. */
    api_write_header(api, out, kv_revision(api->config.kv));
    pb_bytes(out, 2, slice_str(API_VERSION));
    pb_uint(out, 3, table->size(table));
    pb_uint(out, 4, raft.leader);
    pb_uint(out, 5, raft.hard.commit);
    pb_uint(out, 6, raft.hard.term);
    pb_uint(out, 7, kv_index(api->config.kv));
    if (raft.leader == RAFT_NOBODY) {
        put_error(out, "etcdserver: no leader");
    }
    put_alarms(api, out);
    pb_uint(out, 9, table->size_in_use(table));
    pb_bool(out, 10, self != NULL && self->is_learner);
    grpc_call_end_message(call);
    grpc_call_finish(call, GRPC_OK, NULL);
}

/* --- HashKV --- */

/* In the call's arena. */
struct hash_call {
    struct slow slow;
    struct grpc_call *call;
    struct kv_hash *hash;
    struct kv_reply reply;
};

static struct hash_call *hash_of(struct slow *s)
{
    return (struct hash_call *)((char *)s - offsetof(struct hash_call, slow));
}

static void hash_release(struct slow *s)
{
    kv_hash_free(hash_of(s)->hash);
    kv_reply_release(&hash_of(s)->reply);
}

static bool hash_step(struct slow *s)
{
    struct hash_call *h = hash_of(s);

    if (!kv_hash_step(h->hash)) {
        return false;
    }
    api_answer(h->call, &h->reply);
    slow_end(h->call);
    return true;
}

static void hash_begin(struct grpc_call *call, int64_t revision)
{
    struct hash_call *h = arena_alloc(grpc_call_arena(call), sizeof(*h));

    *h = (struct hash_call){
        .slow = {.step = hash_step, .release = hash_release}, .call = call};
    kv_reply_init(&h->reply);
    h->hash = kv_hash_start(api_of(call)->config.kv, revision, &h->reply);
    if (h->hash != NULL) {
        slow_begin(call, &h->slow);
        return;
    }
    api_answer(call, &h->reply);
    kv_reply_release(&h->reply);
}

void api_hash_kv(struct grpc_call *call, struct slice request)
{
    const Etcdserverpb__HashKVRequest *r =
        pb_decode(grpc_call_arena(call),
                  &etcdserverpb__hash_kvrequest__descriptor, request);

    if (r == NULL) {
        api_refuse(call, KV_MALFORMED);
    } else if (api_may_learner(call, false)) {
        hash_begin(call, r->revision);
    }
}

/* --- Alarm --- */

static void send_alarms(struct grpc_call *call, enum kv_alarm wanted)
{
    struct api *api = api_of(call);
    struct buf *out = grpc_call_begin_message(call);
    size_t count;
    const struct kv_alarm_member *alarms = kv_alarms(api->config.kv, &count);

    api_write_header(api, out, kv_revision(api->config.kv));
    for (size_t i = 0; i < count; i++) {
        if (wanted == KV_ALARM_NONE || alarms[i].alarm == wanted) {
            size_t mark = pb_begin(out, 2);

            pb_uint(out, 1, alarms[i].member_id);
            pb_uint(out, 2, alarms[i].alarm);
            pb_end(out, mark);
        }
    }
    grpc_call_end_message(call);
    grpc_call_finish(call, GRPC_OK, NULL);
}

void api_alarm(struct grpc_call *call, struct slice request)
{
    const Etcdserverpb__AlarmRequest *r =
        pb_decode(grpc_call_arena(call),
                  &etcdserverpb__alarm_request__descriptor, request);

    if (r == NULL) {
        api_refuse(call, KV_MALFORMED);
    } else if (!api_may_learner(call, false)) {
        return;
    } else if (r->action == ETCDSERVERPB__ALARM_REQUEST__ALARM_ACTION__GET) {
        send_alarms(call, (enum kv_alarm)r->alarm);
    } else if (api_check(call, KV_ALARM, request)) {
        api_propose(call, KV_ALARM, request);
    }
}

static void on_raised(struct wait *w, enum status st,
                      const struct kv_reply *reply)
{
    struct api *api = w->owner;

    (void)reply;
    api->raising = NULL;
    if (st == ST_OK) {
        log_warn("store", "out of space by --quota-backend-bytes: writes are "
                          "refused until keys are deleted, the history is "
                          "compacted and the alarm is disarmed");
    }
}

void api_raise_no_space(struct api *api)
{
    struct buf request;
    enum status st;

    if (api->raising != NULL) {
        return;
    }
    buf_init(&request, 32);
    pb_uint(&request, 1, 1); /* ACTIVATE */
    pb_uint(&request, 2, api->own.member);
    pb_uint(&request, 3, KV_ALARM_NO_SPACE);
    api->raising =
        wait_propose(api, KV_ALARM, buf_slice(&request), on_raised, api, &st);
    buf_release(&request);
}

/* --- grpc.health.v1 --- */

enum {
    SERVING = 1,
    SERVICE_UNKNOWN = 3
};

/* The name of the service asked for, or NULL: malformed. */
static const char *health_service(struct grpc_call *call, struct slice request)
{
    const Grpc__Health__V1__HealthCheckRequest *r =
        pb_decode(grpc_call_arena(call),
                  &grpc__health__v1__health_check_request__descriptor, request);

    return r == NULL ? NULL : r->service;
}

static void send_health(struct grpc_call *call, unsigned status)
{
    pb_uint(grpc_call_begin_message(call), 1, status);
    grpc_call_end_message(call);
}

void api_health_check(struct grpc_call *call, struct slice request)
{
    const char *service = health_service(call, request);

    if (service == NULL) {
        api_refuse(call, KV_MALFORMED);
    } else if (*service != '\0') {
        grpc_call_finish(call, GRPC_NOT_FOUND, "unknown service");
    } else {
        send_health(call, SERVING);
        grpc_call_finish(call, GRPC_OK, NULL);
    }
}

/* The stream then stays open in silence: a member that serves does so until it
 * ends, and its connections with it. */
void api_health_watch(struct grpc_call *call, struct slice request)
{
    const char *service = health_service(call, request);

    if (service == NULL) {
        api_refuse(call, KV_MALFORMED);
    } else {
        send_health(call, *service == '\0' ? SERVING : SERVICE_UNKNOWN);
    }
}
