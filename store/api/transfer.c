/*
 * transfer.c - Maintenance.MoveLeader: answered when the target leads.
 */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/pb.h"
#include "store/api/core.h"

#define TOO_LONG "etcdserver: request timed out, leader transfer took too long"

/* In the call's arena. */
struct transfer {
    LIST_ENTRY(transfer) link;
    struct grpc_call *call;
    uint64_t target;
    uint64_t gives_up_ms;
    bool listed;
};

static void transfer_end(struct transfer *t)
{
    LIST_REMOVE(t, link);
    t->listed = false;
}

static void answer(struct grpc_call *call)
{
    (void)grpc_call_begin_message(call); /* Empty: no header, as etcd. */
    grpc_call_end_message(call);
    grpc_call_finish(call, GRPC_OK, NULL);
}

void api_transfer_changed(struct api *api)
{
    struct transfer *t;
    struct transfer *next;

    for (t = LIST_FIRST(&api->transfers); t != NULL; t = next) {
        next = LIST_NEXT(t, link);
        if (api->leader == t->target) {
            transfer_end(t);
            answer(t->call);
        }
    }
}

void api_transfer_expire(struct api *api, uint64_t now_ms)
{
    struct transfer *t;
    struct transfer *next;

    for (t = LIST_FIRST(&api->transfers); t != NULL; t = next) {
        next = LIST_NEXT(t, link);
        if (now_ms >= t->gives_up_ms) {
            transfer_end(t);
            grpc_call_finish(t->call, GRPC_UNAVAILABLE, TOO_LONG);
        }
    }
}

void api_transfer_closed(struct grpc_call *call)
{
    struct transfer *t = grpc_call_data(call);

    if (t != NULL && t->listed) {
        transfer_end(t);
    }
}

/* One heartbeat more than raft tries: then it has given up. */
static uint64_t patience(const struct api *api)
{
    return api->config.election_timeout_ms +
           api->config.election_timeout_ms / 5;
}

static void transfer_begin(struct grpc_call *call, uint64_t target)
{
    struct api *api = api_of(call);
    uint64_t now_ms = loop_now_ms(api->config.loop);
    struct transfer *t = arena_zalloc(grpc_call_arena(call), 1, sizeof(*t));

    log_info("store", "leadership goes to member %llx on request",
             (unsigned long long)target);
    t->call = call;
    t->target = target;
    t->gives_up_ms = now_ms + patience(api);
    t->listed = true;
    LIST_INSERT_HEAD(&api->transfers, t, link);
    grpc_call_set_data(call, t);
    if (node_transfer(api->node, target, now_ms)) {
        transfer_end(t);
        api_refuse(call, KV_BAD_TRANSFEREE);
    }
    api->config.wake(api->config.ctx);
}

void api_move_leader(struct grpc_call *call, struct slice request)
{
    struct api *api = api_of(call);
    uint64_t target = 0;
    const struct kv_member *m;
    struct pb_field f;

    while (pb_next(&request, &f)) {
        target = f.number == 1 ? f.value : target;
    }
    m = api_member(api, target);
    if (!api_may_learner(call, false)) {
        return;
    }
    if (api->leader != api->own.member) {
        api_refuse(call, KV_NOT_LEADER);
    } else if (m == NULL || m->is_learner) {
        api_refuse(call, KV_BAD_TRANSFEREE);
    } else if (target == api->own.member) {
        answer(call);
    } else {
        transfer_begin(call, target);
    }
}
