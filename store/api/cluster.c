/*
 * cluster.c - service etcdserverpb.Cluster, and what a member tells of itself.
 */
#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/core/log.h"
#include "base/core/pb.h"
#include "base/proto/pb_arena.h"
#include "base/proto/raft.pb-c.h"
#include "store/api/core.h"

/* --- MemberList --- */

static void put_member(struct buf *out, const struct kv_member *m)
{
    size_t mark = pb_begin(out, 2);

    pb_uint(out, 1, m->id);
    pb_bytes(out, 2, slice_str(m->name));
    for (size_t i = 0; i < m->peer_urls_count; i++) {
        pb_message(out, 3, slice_str(m->peer_urls[i]));
    }
    for (size_t i = 0; i < m->client_urls_count; i++) {
        pb_message(out, 4, slice_str(m->client_urls[i]));
    }
    pb_bool(out, 5, m->is_learner);
    pb_end(out, mark);
}

static void member_list_answer(struct grpc_call *call, struct slice request)
{
    struct api *api = api_of(call);
    struct buf *out = grpc_call_begin_message(call);
    size_t count;
    const struct kv_member *members = kv_members(api->config.kv, &count);

    (void)request;
    api_write_header(api, out, 0);
    for (size_t i = 0; i < count; i++) {
        put_member(out, &members[i]);
    }
    grpc_call_end_message(call);
    grpc_call_finish(call, GRPC_OK, NULL);
}

void api_member_list(struct grpc_call *call, struct slice request)
{
    struct slice rest = request;
    struct pb_field field;
    bool linearizable = false;

    while (pb_next(&rest, &field)) {
        if (field.number == 1) {
            linearizable = field.value != 0;
        }
    }
    if (rest.len > 0) {
        api_refuse(call, KV_MALFORMED);
    } else if (linearizable) {
        api_read(call, request, member_list_answer);
    } else {
        member_list_answer(call, request);
    }
}

/* --- Membership entries of the log --- */

void api_apply_member(struct api *api, const struct raft_entry *entry)
{
    struct arena arena = {0};
    struct kv_entry e = {.index = entry->pos.index, .term = entry->pos.term};
    const Raftpb__ConfChange *c = NULL;

    if (entry->type == RAFT_ENTRY_CONF) {
        c = pb_decode(&arena, &raftpb__conf_change__descriptor,
                      raft_entry_data(entry));
    }
    if (c == NULL) {
        /* The node has understood it or stopped; for us nothing but an index.
         */
        kv_apply(api->config.kv, &e, loop_now_ms(api->config.loop), NULL);
    } else {
        kv_apply_member(api->config.kv, &e, (enum kv_member_change)c->type,
                        c->node_id, slice_of(c->context.data, c->context.len));
    }
    arena_release(&arena);
}

/* --- What we publish when we begin to lead --- */

static void on_published(struct wait *w, enum status st,
                         const struct kv_reply *reply)
{
    struct api *api = w->owner;

    (void)reply;
    api->publishing = NULL;
    if (st == ST_OK) {
        log_info("store", "published name \"%s\" and client URLs",
                 api->config.name);
    }
}

static void publish_attributes(struct api *api)
{
    struct buf request;
    size_t mark;
    enum status st;

    buf_init(&request, LIMIT_HEADER_BYTES);
    pb_uint(&request, 1, api->own.member);
    mark = pb_begin(&request, 2);
    pb_bytes(&request, 1, slice_str(api->config.name));
    for (const char *const *url = api->client_urls; *url; url++) {
        pb_message(&request, 2, slice_str(*url));
    }
    pb_end(&request, mark);
    api->publishing = wait_propose(api, KV_CLUSTER_MEMBER_ATTR_SET,
                                   buf_slice(&request), on_published, api, &st);
    buf_release(&request);
}

static void on_versioned(struct wait *w, enum status st,
                         const struct kv_reply *reply)
{
    struct api *api = w->owner;

    (void)st;
    (void)reply;
    api->versioning = NULL;
}

static void publish_version(struct api *api)
{
    struct buf request;
    enum status st;

    buf_init(&request, LIMIT_HEADER_BYTES);
    pb_bytes(&request, 1, slice_str(API_CLUSTER_VERSION));
    api->versioning = wait_propose(api, KV_CLUSTER_VERSION_SET,
                                   buf_slice(&request), on_versioned, api, &st);
    buf_release(&request);
}

void api_publish(struct api *api)
{
    if (api->publishing == NULL) {
        publish_attributes(api);
    }
    if (api->versioning == NULL && *kv_cluster_version(api->config.kv) == 0) {
        publish_version(api);
    }
}
