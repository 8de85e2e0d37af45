/*
 * kv.c - service etcdserverpb.KV.
 */
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/pb.h"
#include "store/api/core.h"

/* --- Range --- */

/* A range too long for one turn. */
struct range_call {
    struct slow slow;
    struct grpc_call *call;
    struct kv_range *range;
    struct kv_reply reply;
};

static struct range_call *range_of(struct slow *s)
{
    return (struct range_call *)((char *)s - offsetof(struct range_call, slow));
}

static void range_release(struct slow *s)
{
    struct range_call *r = range_of(s);

    kv_range_free(r->range);
    reply_give(api_of(r->call), r->reply);
}

static bool range_step(struct slow *s)
{
    struct range_call *r = range_of(s);

    if (!kv_range_step(r->range)) {
        return false;
    }
    api_answer(r->call, &r->reply);
    slow_end(r->call);
    return true;
}

static void range_answer(struct grpc_call *call, struct slice request)
{
    struct api *api = api_of(call);
    struct range_call *r = arena_alloc(grpc_call_arena(call), sizeof(*r));

    *r = (struct range_call){
        .slow = {.step = range_step, .release = range_release},
        .call = call,
        .reply = reply_take(api)};
    api->numbers.ranges.value++;
    kv_range_start(api->config.kv, request, &r->reply, &r->range);
    if (r->range != NULL) {
        slow_begin(call, &r->slow);
        return;
    }
    api_answer(call, &r->reply);
    reply_give(api, r->reply);
}

/* Field 7: answer from here and now, without asking a majority. */
static bool is_serializable(struct slice request)
{
    bool serializable = false;
    struct pb_field field;

    while (pb_next(&request, &field)) {
        if (field.number == 7) {
            serializable = field.value != 0;
        }
    }
    return serializable;
}

void api_range(struct grpc_call *call, struct slice request)
{
    if (!api_check(call, KV_RANGE, request) ||
        !api_may_learner(call, is_serializable(request))) {
        return;
    }
    if (is_serializable(request)) {
        range_answer(call, request);
    } else {
        api_read(call, request, range_answer);
    }
}

/* --- Put, DeleteRange, Txn --- */

/* A request that grows the store when there is no room: the alarm is raised,
 * so that all members refuse the next ones. */
static bool has_room(struct grpc_call *call, enum kv_kind kind,
                     struct slice request)
{
    struct api *api = api_of(call);

    if (!kv_over_quota(api->config.kv, kind, request)) {
        return true;
    }
    api_raise_no_space(api);
    api_refuse(call, KV_NO_SPACE);
    return false;
}

void api_put(struct grpc_call *call, struct slice request)
{
    if (api_check(call, KV_PUT, request) && has_room(call, KV_PUT, request)) {
        api_of(call)->numbers.puts.value++;
        api_propose(call, KV_PUT, request);
    }
}

void api_delete_range(struct grpc_call *call, struct slice request)
{
    if (api_check(call, KV_DELETE_RANGE, request)) {
        api_of(call)->numbers.deletes.value++;
        api_propose(call, KV_DELETE_RANGE, request);
    }
}

static void txn_answer(struct grpc_call *call, struct slice request)
{
    struct api *api = api_of(call);
    struct kv_reply reply = reply_take(api);

    kv_txn_read(api->config.kv, request, &reply);
    api_answer(call, &reply);
    reply_give(api, reply);
}

void api_txn(struct grpc_call *call, struct slice request)
{
    struct kv_txn_facts facts;

    if (!api_check(call, KV_TXN, request)) {
        return;
    }
    facts = kv_txn_facts(request);
    api_of(call)->numbers.txns.value++;
    if (facts.read_only && facts.serializable) {
        txn_answer(call, request);
    } else if (facts.read_only) {
        api_read(call, request, txn_answer);
    } else if (!facts.has_puts || has_room(call, KV_TXN, request)) {
        api_propose(call, KV_TXN, request);
    }
}

/* --- Compact --- */

/* A reply that waits until the old data is really gone. In the call's arena. */
struct held {
    LIST_ENTRY(held) link;
    struct grpc_call *call;
    int64_t revision; /* For the header. */
    int64_t compacting;
    bool listed;
    struct wait *wait;
};

static void on_compacted(struct wait *w, enum status st,
                         const struct kv_reply *reply)
{
    struct held *h = w->owner;

    h->wait = NULL;
    if (st) {
        api_end_failed(h->call, st);
    } else if (reply->error || reply->compacting == 0) {
        api_answer(h->call, reply);
    } else {
        h->revision = reply->revision;
        h->compacting = reply->compacting;
        h->listed = true;
        LIST_INSERT_HEAD(&w->api->held, h, link);
    }
}

void api_compact(struct grpc_call *call, struct slice request)
{
    struct held *h;
    enum status st;

    if (!api_check(call, KV_COMPACTION, request)) {
        return;
    }
    h = arena_zalloc(grpc_call_arena(call), 1, sizeof(*h));
    h->call = call;
    grpc_call_set_data(call, h);
    h->wait = wait_propose(api_of(call), KV_COMPACTION, request, on_compacted,
                           h, &st);
    if (h->wait == NULL) {
        api_end_failed(call, st);
    }
}

void api_compact_closed(struct grpc_call *call)
{
    struct held *h = grpc_call_data(call);

    if (h == NULL) {
        return;
    }
    wait_forget(h->wait);
    if (h->listed) {
        LIST_REMOVE(h, link);
    }
}

void api_release_held(struct api *api)
{
    int64_t gone = kv_compacted_to(api->config.kv);
    struct held *next;

    for (struct held *h = LIST_FIRST(&api->held); h != NULL; h = next) {
        next = LIST_NEXT(h, link);
        if (h->compacting <= gone) {
            LIST_REMOVE(h, link);
            h->listed = false;
            api_reply(h->call, h->revision, (struct slice){0});
        }
    }
}
