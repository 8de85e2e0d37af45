#include "fake_cluster.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/pb.h"
#include "base/proto/pb_arena.h"
#include "base/proto/rpc.pb-c.h"

#define CLUSTER_ID 77

static struct fake_member *member_of(struct grpc_call *call)
{
    return grpc_call_ctx(call);
}

static struct slice slice_of_pb(ProtobufCBinaryData data)
{
    return slice_of(data.data, data.len);
}

/* ---- content ---- */

static int kv_compare(const struct fake_kv *kv, struct slice key)
{
    return slice_cmp(slice_of(kv->key, kv->key_len), key);
}

static struct fake_kv *kv_find(struct fake_cluster *c, struct slice key)
{
    for (size_t i = 0; i < c->keys_count; i++) {
        if (kv_compare(&c->keys[i], key) == 0) {
            return &c->keys[i];
        }
    }
    return NULL;
}

static char *copy_of(struct slice bytes)
{
    char *copy = malloc(bytes.len + 1);

    ck_assert_ptr_nonnull(copy);
    if (bytes.len > 0) {
        memcpy(copy, bytes.data, bytes.len);
    }
    copy[bytes.len] = '\0';
    return copy;
}

static struct fake_kv kv_copy(const struct fake_kv *kv)
{
    struct fake_kv copy = *kv;

    copy.key = copy_of(slice_of(kv->key, kv->key_len));
    copy.value = copy_of(slice_of(kv->value, kv->value_len));
    return copy;
}

static void kv_release(struct fake_kv *kv)
{
    free(kv->key);
    free(kv->value);
}

static void event_add(struct fake_cluster *c, const struct fake_kv *kv)
{
    ck_assert_uint_lt(c->events_count, FAKE_EVENTS_MAX);
    c->events[c->events_count++] = kv_copy(kv);
}

static struct fake_kv *kv_insert(struct fake_cluster *c, struct slice key)
{
    size_t at = 0;

    ck_assert_uint_lt(c->keys_count, FAKE_KEYS_MAX);
    while (at < c->keys_count && kv_compare(&c->keys[at], key) < 0) {
        at++;
    }
    memmove(&c->keys[at + 1], &c->keys[at],
            (c->keys_count - at) * sizeof(c->keys[0]));
    c->keys_count++;
    c->keys[at] = (struct fake_kv){
        .key = copy_of(key), .key_len = key.len, .create = c->revision};
    return &c->keys[at];
}

static void kv_put(struct fake_cluster *c, const Etcdserverpb__PutRequest *r)
{
    struct fake_kv *kv = kv_find(c, slice_of_pb(r->key));

    if (kv == NULL) {
        kv = kv_insert(c, slice_of_pb(r->key));
    }
    free(kv->value);
    kv->value = copy_of(slice_of_pb(r->value));
    kv->value_len = r->value.len;
    kv->lease = r->lease;
    kv->mod = c->revision;
    event_add(c, kv);
}

static void kv_delete(struct fake_cluster *c, struct slice key)
{
    struct fake_kv *kv = kv_find(c, key);
    struct fake_kv event = {.deleted = true, .mod = c->revision};
    size_t at;

    if (kv == NULL) {
        return;
    }
    at = (size_t)(kv - c->keys);
    event.key = kv->key;
    event.key_len = kv->key_len;
    event_add(c, &event);
    kv_release(kv);
    c->keys_count--;
    memmove(kv, kv + 1, (c->keys_count - at) * sizeof(*kv));
}

/* ---- answers ---- */

static void write_header(struct buf *out, int64_t revision)
{
    size_t mark = pb_begin(out, 1);

    pb_uint(out, 1, CLUSTER_ID);
    pb_int(out, 3, revision);
    pb_end(out, mark);
}

static struct buf *begin(struct grpc_call *call)
{
    struct buf *out = grpc_call_begin_message(call);

    write_header(out, member_of(call)->cluster->revision);
    return out;
}

static void end(struct grpc_call *call)
{
    grpc_call_end_message(call);
    grpc_call_finish(call, GRPC_OK, NULL);
}

static void write_kv(struct buf *out, unsigned field, const struct fake_kv *kv)
{
    size_t mark = pb_begin(out, field);

    pb_bytes(out, 1, slice_of(kv->key, kv->key_len));
    pb_int(out, 2, kv->create);
    pb_int(out, 3, kv->mod);
    pb_bytes(out, 5, slice_of(kv->value, kv->value_len));
    pb_int(out, 6, kv->lease);
    pb_end(out, mark);
}

/* True: the call is refused, or will never be answered. */
static bool in_the_mood(struct grpc_call *call)
{
    if (member_of(call)->silent) {
        return true;
    }
    if (member_of(call)->leaderless) {
        grpc_call_finish(call, GRPC_UNAVAILABLE, "etcdserver: no leader");
        return true;
    }
    return false;
}

/* ---- KV ---- */

static bool in_range(const struct fake_kv *kv,
                     const Etcdserverpb__RangeRequest *r)
{
    if (r->range_end.len == 0) {
        return kv_compare(kv, slice_of_pb(r->key)) == 0;
    }
    return kv_compare(kv, slice_of_pb(r->key)) >= 0 &&
           kv_compare(kv, slice_of_pb(r->range_end)) < 0;
}

/* All keys, or the one that was changed last: what agents ask for. */
static void on_range(struct grpc_call *call, struct slice message)
{
    struct fake_cluster *c = member_of(call)->cluster;
    const Etcdserverpb__RangeRequest *r =
        pb_decode(grpc_call_arena(call),
                  &etcdserverpb__range_request__descriptor, message);
    const struct fake_kv *newest = NULL;
    int64_t count = 0;
    struct buf *out;

    ck_assert_ptr_nonnull(r);
    if (in_the_mood(call)) {
        return;
    }
    out = begin(call);
    for (size_t i = 0; i < c->keys_count; i++) {
        if (!in_range(&c->keys[i], r)) {
            continue;
        }
        count++;
        if (newest == NULL || c->keys[i].mod > newest->mod) {
            newest = &c->keys[i];
        }
        if (r->limit != 1) {
            write_kv(out, 2, &c->keys[i]);
        }
    }
    if (r->limit == 1 && newest != NULL) {
        write_kv(out, 2, newest);
    }
    pb_int(out, 4, count);
    end(call);
}

static bool holds(struct fake_cluster *c, const Etcdserverpb__Compare *compare)
{
    const struct fake_kv *kv = kv_find(c, slice_of_pb(compare->key));

    if (compare->target == ETCDSERVERPB__COMPARE__COMPARE_TARGET__CREATE) {
        return (kv == NULL ? 0 : kv->create) == compare->create_revision;
    }
    return (kv == NULL ? 0 : kv->mod) == compare->mod_revision;
}

static void watches_feed(struct fake_cluster *c, size_t from);

static void txn_apply(struct fake_cluster *c, const Etcdserverpb__TxnRequest *r)
{
    size_t before = c->events_count;

    c->revision++;
    for (size_t i = 0; i < r->n_success; i++) {
        const Etcdserverpb__RequestOp *op = r->success[i];

        if (op->request_case == ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT) {
            kv_put(c, op->request_put);
        } else {
            kv_delete(c, slice_of_pb(op->request_delete_range->key));
        }
    }
    watches_feed(c, before);
}

static void txn_refuse(struct grpc_call *call,
                       const Etcdserverpb__TxnRequest *r)
{
    struct buf *out = begin(call);
    const struct fake_kv *kv = NULL;

    if (r->n_failure > 0) {
        size_t op = pb_begin(out, 3);
        size_t range = pb_begin(out, 1);

        kv = kv_find(member_of(call)->cluster,
                     slice_of_pb(r->failure[0]->request_range->key));
        if (kv != NULL) {
            write_kv(out, 2, kv);
        }
        pb_end(out, range);
        pb_end(out, op);
    }
    end(call);
}

static void on_txn(struct grpc_call *call, struct slice message)
{
    struct fake_member *m = member_of(call);
    const Etcdserverpb__TxnRequest *r = pb_decode(
        grpc_call_arena(call), &etcdserverpb__txn_request__descriptor, message);
    bool good = true;

    ck_assert_ptr_nonnull(r);
    m->txns++;
    if (in_the_mood(call) || m->keeps_writes) {
        return;
    }
    if (m->busy > 0) {
        m->busy--;
        grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED,
                         "etcdserver: too many requests");
        return;
    }
    for (size_t i = 0; i < r->n_compare; i++) {
        good = good && holds(m->cluster, r->compare[i]);
    }
    if (!good) {
        txn_refuse(call, r);
        return;
    }
    txn_apply(m->cluster, r);
    pb_bool(begin(call), 2, true);
    end(call);
}

static void on_put(struct grpc_call *call, struct slice message)
{
    struct fake_cluster *c = member_of(call)->cluster;
    size_t before = c->events_count;
    const Etcdserverpb__PutRequest *r = pb_decode(
        grpc_call_arena(call), &etcdserverpb__put_request__descriptor, message);

    ck_assert_ptr_nonnull(r);
    if (!in_the_mood(call)) {
        c->revision++;
        kv_put(c, r);
        watches_feed(c, before);
        (void)begin(call);
        end(call);
    }
}

/* ---- watches ---- */

static void event_send(struct grpc_call *call, const struct fake_kv *kv)
{
    struct buf *out = begin(call);
    size_t event = pb_begin(out, 11);

    pb_uint(out, 1, kv->deleted);
    write_kv(out, 2, kv);
    pb_end(out, event);
    grpc_call_end_message(call);
}

static void watches_feed(struct fake_cluster *c, size_t from)
{
    struct fake_watch *w;

    LIST_FOREACH(w, &c->watches, link)
    {
        for (size_t i = from;
             i < c->events_count && !member_of(w->call)->silent; i++) {
            event_send(w->call, &c->events[i]);
        }
    }
}

static void on_watch(struct grpc_call *call, struct slice message)
{
    struct fake_member *m = member_of(call);
    struct fake_cluster *c = m->cluster;
    const Etcdserverpb__WatchRequest *r =
        pb_decode(grpc_call_arena(call),
                  &etcdserverpb__watch_request__descriptor, message);
    struct fake_watch *w = calloc(1, sizeof(*w));
    struct buf *out;

    ck_assert_ptr_nonnull(r);
    ck_assert_ptr_nonnull(w);
    w->call = call;
    LIST_INSERT_HEAD(&c->watches, w, link);
    grpc_call_set_data(call, w);
    m->connects++;
    if (in_the_mood(call)) {
        return;
    }
    out = grpc_call_begin_message(call);
    write_header(out, c->revision - m->behind);
    pb_bool(out, 3, true);
    grpc_call_end_message(call);
    for (size_t i = 0; i < c->events_count; i++) {
        if (c->events[i].mod >= r->create_request->start_revision) {
            event_send(call, &c->events[i]);
        }
    }
}

static void on_watch_closed(struct grpc_call *call)
{
    struct fake_watch *w = grpc_call_data(call);

    if (w != NULL) {
        LIST_REMOVE(w, link);
        free(w);
    }
}

/* ---- leases, status ---- */

static void on_grant(struct grpc_call *call, struct slice message)
{
    struct fake_cluster *c = member_of(call)->cluster;
    const Etcdserverpb__LeaseGrantRequest *r =
        pb_decode(grpc_call_arena(call),
                  &etcdserverpb__lease_grant_request__descriptor, message);
    struct buf *out;

    ck_assert_ptr_nonnull(r);
    if (!in_the_mood(call)) {
        out = begin(call);
        pb_int(out, 2, c->next_lease++);
        pb_int(out, 3, r->ttl);
        end(call);
    }
}

static void on_keep_alive(struct grpc_call *call, struct slice message)
{
    struct fake_member *m = member_of(call);
    const Etcdserverpb__LeaseKeepAliveRequest *r =
        pb_decode(grpc_call_arena(call),
                  &etcdserverpb__lease_keep_alive_request__descriptor, message);
    struct buf *out;

    ck_assert_ptr_nonnull(r);
    m->renewals++;
    if (in_the_mood(call) || m->keeps_renewals) {
        return;
    }
    out = begin(call);
    pb_int(out, 2, r->id);
    pb_int(out, 3, 5);
    grpc_call_end_message(call);
}

static void on_revoke(struct grpc_call *call, struct slice message)
{
    (void)message;
    if (!in_the_mood(call)) {
        (void)begin(call);
        end(call);
    }
}

static void on_status(struct grpc_call *call, struct slice message)
{
    struct fake_member *m = member_of(call);
    bool lonely = m->leaderless || m->lonely > 0;
    struct buf *out;

    (void)message;
    m->statuses++;
    if (m->silent) {
        return;
    }
    m->lonely -= m->lonely > 0;
    out = begin(call);
    pb_uint(out, 4, lonely ? 0 : m->cluster->leader);
    pb_uint(out, 6, m->cluster->term);
    end(call);
}

static void on_members(struct grpc_call *call, struct slice message)
{
    (void)message;
    if (!in_the_mood(call)) {
        (void)begin(call);
        end(call);
    }
}

static const struct grpc_method methods[] = {
    {.path = "/etcdserverpb.KV/Range", .on_message = on_range},
    {.path = "/etcdserverpb.KV/Put", .on_message = on_put},
    {.path = "/etcdserverpb.KV/Txn", .on_message = on_txn},
    {.path = "/etcdserverpb.Watch/Watch",
     .requests = GRPC_MANY_REQUESTS,
     .on_message = on_watch,
     .on_closed = on_watch_closed},
    {.path = "/etcdserverpb.Lease/LeaseGrant", .on_message = on_grant},
    {.path = "/etcdserverpb.Lease/LeaseRevoke", .on_message = on_revoke},
    {.path = "/etcdserverpb.Lease/LeaseKeepAlive",
     .requests = GRPC_MANY_REQUESTS,
     .on_message = on_keep_alive},
    {.path = "/etcdserverpb.Maintenance/Status", .on_message = on_status},
    {.path = "/etcdserverpb.Cluster/MemberList", .on_message = on_members},
};

/* ---- life ---- */

static void member_start(struct fake_cluster *c, struct fake_member *m)
{
    struct server_config config;
    struct err err;

    m->cluster = c;
    m->methods =
        (struct grpc_methods){.ctx = m,
                              .methods = methods,
                              .count = sizeof(methods) / sizeof(methods[0]),
                              .message_bytes_max = 1 << 20};
    server_config_init(&config);
    config.address = "127.0.0.1:0";
    config.grpc = &m->methods;
    ck_assert_msg(server_start(c->loop, &config, &m->server, &err) == ST_OK,
                  "%s", err.text);
    (void)snprintf(m->url, sizeof(m->url), "http://127.0.0.1:%u",
                   server_port(m->server));
}

void fake_cluster_start(struct fake_cluster *c, struct loop *loop)
{
    *c = (struct fake_cluster){
        .loop = loop, .revision = 1, .next_lease = 1, .leader = 1, .term = 2};
    LIST_INIT(&c->watches);
    for (size_t i = 0; i < FAKE_MEMBERS; i++) {
        member_start(c, &c->members[i]);
    }
}

static void on_server_stopped(void *ctx)
{
    struct fake_cluster *c = ctx;

    if (--c->stopping == 0) {
        c->on_stopped(c->ctx);
    }
}

void fake_cluster_stop(struct fake_cluster *c, void (*on_stopped)(void *ctx),
                       void *ctx)
{
    c->on_stopped = on_stopped;
    c->ctx = ctx;
    c->stopping = FAKE_MEMBERS;
    for (size_t i = 0; i < FAKE_MEMBERS; i++) {
        server_stop(c->members[i].server, 0, on_server_stopped, c);
    }
}

void fake_cluster_release(struct fake_cluster *c)
{
    ck_assert(LIST_EMPTY(&c->watches));
    for (size_t i = 0; i < c->keys_count; i++) {
        kv_release(&c->keys[i]);
    }
    for (size_t i = 0; i < c->events_count; i++) {
        kv_release(&c->events[i]);
    }
}

struct fake_member *fake_cluster_used(struct fake_cluster *c)
{
    struct fake_watch *w = LIST_FIRST(&c->watches);

    return w == NULL ? NULL : member_of(w->call);
}

void fake_cluster_rewind(struct fake_cluster *c, int64_t count)
{
    c->revision -= count;
    while (c->events_count > 0 &&
           c->events[c->events_count - 1].mod > c->revision) {
        kv_release(&c->events[--c->events_count]);
    }
}
