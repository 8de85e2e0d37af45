/*
 * cluster.c - service etcdserverpb.Cluster, and what a member tells of itself.
 */
#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/core/log.h"
#include "base/core/pb.h"
#include "store/api/core.h"

/* --- MemberList --- */

void api_put_member(struct buf *out, unsigned field, const struct kv_member *m)
{
    size_t mark = pb_begin(out, field);

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

void api_put_members(const struct api *api, struct buf *out, unsigned field)
{
    size_t count;
    const struct kv_member *members = kv_members(api->config.kv, &count);

    for (size_t i = 0; i < count; i++) {
        api_put_member(out, field, &members[i]);
    }
}

const struct kv_member *api_member(const struct api *api, uint64_t id)
{
    size_t count;
    const struct kv_member *members = kv_members(api->config.kv, &count);

    for (size_t i = 0; i < count; i++) {
        if (members[i].id == id) {
            return &members[i];
        }
    }
    return NULL;
}

static void member_list_answer(struct grpc_call *call, struct slice request)
{
    struct buf *out = grpc_call_begin_message(call);

    (void)request;
    api_write_header(api_of(call), out, 0);
    api_put_members(api_of(call), out, 2);
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
    } else if (!api_may_learner(call, false)) {
        return;
    } else if (linearizable) {
        api_read(call, request, member_list_answer);
    } else {
        member_list_answer(call, request);
    }
}

/* --- Membership entries of the log --- */

static void apply_index(struct api *api, const struct kv_entry *e)
{
    kv_apply(api->config.kv, e, loop_now_ms(api->config.loop), NULL);
}

/* Raft's four kinds are ConfChange's, in another order. */
static enum kv_member_change change_of(enum raft_change_type type)
{
    static const enum kv_member_change changes[] = {
        [RAFT_ADD_VOTER] = KV_MEMBER_ADD,
        [RAFT_ADD_LEARNER] = KV_MEMBER_ADD_LEARNER,
        [RAFT_REMOVE] = KV_MEMBER_REMOVE,
        [RAFT_UPDATE] = KV_MEMBER_UPDATE};

    return changes[type];
}

/* etcd's rules, for an entry that is new to the store. */
static enum kv_error check_member(const struct api *api, uint64_t index,
                                  const struct kv_membership *m)
{
    return kv_index(api->config.kv) >= index
               ? KV_OK
               : kv_check_member(api->config.kv, m);
}

/* Entries of type ConfChangeV2 say nothing of who the members are: raft's
 * configuration follows them, which is kept; the table of members does not. */
enum kv_error api_apply_member(struct api *api,
                               const struct node_conf_entry *told)
{
    const struct raft_entry *entry = told->entry;
    const struct raft_change *change = &told->changes->list[0];
    bool of_members = entry->type == RAFT_ENTRY_CONF;
    struct kv_entry e = {.index = entry->pos.index, .term = entry->pos.term};
    struct kv_membership m = {.context = raftpb_change_note(entry).context};
    enum kv_error error = told->refused ? KV_MALFORMED : KV_OK;
    struct buf conf;

    if (!error && of_members) {
        m.change = change_of(change->type);
        m.id = change->id;
        error = check_member(api, e.index, &m);
    }
    if (error) {
        apply_index(api, &e);
        return error;
    }
    buf_init(&conf, SIZE_MAX);
    raftpb_conf_to_json(told->conf, &conf);
    kv_apply_member(api->config.kv, &e, of_members ? &m : NULL,
                    buf_slice(&conf));
    buf_release(&conf);
    return KV_OK;
}

/* --- What we publish, until it is in the log --- */

static void on_published(struct wait *w, enum status st,
                         const struct kv_reply *reply)
{
    struct api *api = w->owner;

    api->publishing = NULL;
    if (st == ST_OK && reply->error == KV_OK) {
        api->published = true;
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

void api_publish(struct api *api)
{
    if (api->stopped || api->leader == RAFT_NOBODY) {
        return;
    }
    if (!api->published && api->publishing == NULL) {
        publish_attributes(api);
    }
    api_version_tick(api, loop_now_ms(api->config.loop));
}
