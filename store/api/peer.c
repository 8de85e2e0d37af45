/*
 * peer.c - what other members ask on the peer port: who belongs, which version,
 * and what only a leader can do (promote a learner, renew a lease, tell how
 * long it has).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/core/pb.h"
#include "store/api/core.h"

/* In the exchange's arena while it waits for the log. */
struct question {
    struct http_exchange *exchange;
    struct api *api;
    struct wait *wait;
    uint64_t id; /* Of the member, or the lease. */
    bool keys;   /* Of the lease are wanted. */
    void (*answer)(struct question *q);
};

/* --- GET /members --- */

static void reply_members(struct api *api, struct http_exchange *x)
{
    char cluster[20];
    struct http_header headers[] = {
        {slice_str("X-Etcd-Cluster-ID"), {0}},
        {slice_str("Content-Type"), slice_str("application/json")}};
    size_t count;
    const struct kv_member *members = kv_members(api->config.kv, &count);
    struct buf body;

    (void)snprintf(cluster, sizeof(cluster), "%" PRIx64, api->own.cluster);
    headers[0].value = slice_str(cluster);
    buf_init(&body, SIZE_MAX);
    for (size_t i = 0; i < count; i++) {
        CHECK(buf_add_str(&body, i == 0 ? "[" : ",") == ST_OK);
        kv_member_json(&members[i], &body);
    }
    CHECK(buf_add_str(&body, count == 0 ? "[]\n" : "]\n") == ST_OK);
    http_reply(x, 200, headers, 2, buf_slice(&body));
    buf_release(&body);
}

/* --- POST /members/promote/<decimal id> --- */

static void reply_error(struct http_exchange *x, enum kv_error error)
{
    int status =
        error == KV_MEMBER_NOT_FOUND || error == KV_LEASE_NOT_FOUND ? 404 : 412;

    http_reply_text(x, status, kv_error_text(error));
}

static void on_promoted(struct wait *w, enum status st,
                        const struct kv_reply *reply)
{
    struct question *q = w->owner;

    http_set_data(q->exchange, NULL);
    if (st) {
        http_reply_text(q->exchange, 504, status_text(st));
    } else if (reply->error) {
        reply_error(q->exchange, reply->error);
    } else {
        reply_members(q->api, q->exchange);
    }
}

static struct question *question_of(struct api *api, struct http_exchange *x,
                                    uint64_t id)
{
    struct question *q = arena_zalloc(http_arena(x), 1, sizeof(*q));

    q->exchange = x;
    q->api = api;
    q->id = id;
    return q;
}

static void serve_promote(struct api *api, struct http_exchange *x,
                          struct slice id_text)
{
    char text[24] = {0};
    struct question *q;
    enum kv_error error;
    enum status st;

    memcpy(text, id_text.data,
           id_text.len < sizeof(text) ? id_text.len : sizeof(text) - 1);
    q = question_of(api, x, strtoull(text, NULL, 10));
    if (api->leader != api->own.member) {
        http_reply_text(x, 503, "not the leader\n");
        return;
    }
    error = api_check_promotion(api, q->id);
    if (error) {
        reply_error(x, error);
        return;
    }
    q->wait = api_promote(api, q->id, on_promoted, q, &st);
    if (q->wait == NULL) {
        http_reply_text(x, 503, status_text(st));
    } else {
        http_set_data(x, q);
    }
}

/* --- POST /leases, /leases/internal --- */

static void reply_pb(struct http_exchange *x, const struct buf *body)
{
    http_reply_type(x, 200, "application/protobuf", buf_slice(body));
}

static void answer_renewal(struct question *q)
{
    struct api *api = q->api;
    int64_t ttl = kv_lease_renew(api->config.kv, (int64_t)q->id,
                                 loop_now_ms(api->config.loop));
    struct buf body;

    if (ttl <= 0) {
        reply_error(q->exchange, KV_LEASE_NOT_FOUND);
        return;
    }
    api->numbers.leases_renewed.value++;
    buf_init(&body, SIZE_MAX);
    api_write_header(api, &body, kv_revision(api->config.kv));
    pb_uint(&body, 2, q->id);
    pb_int(&body, 3, ttl);
    reply_pb(q->exchange, &body);
    buf_release(&body);
}

static void answer_time(struct question *q)
{
    struct api *api = q->api;
    struct kv_reply reply;
    struct buf request;
    struct buf body;
    size_t mark;

    buf_init(&request, 64);
    pb_uint(&request, 1, q->id);
    pb_bool(&request, 2, q->keys);
    kv_reply_init(&reply);
    kv_lease_time_to_live(api->config.kv, buf_slice(&request),
                          loop_now_ms(api->config.loop), &reply);
    buf_init(&body, SIZE_MAX);
    mark = pb_begin(&body, 1);
    api_write_header(api, &body, reply.revision);
    CHECK(buf_add(&body, buf_slice(&reply.body)) == ST_OK);
    pb_end(&body, mark);
    if (reply.error) {
        reply_error(q->exchange, reply.error);
    } else {
        reply_pb(q->exchange, &body);
    }
    buf_release(&request);
    buf_release(&body);
    kv_reply_release(&reply);
}

static void on_leading(struct wait *w, enum status st,
                       const struct kv_reply *reply)
{
    struct question *q = w->owner;

    (void)reply;
    http_set_data(q->exchange, NULL);
    if (st) {
        http_reply_text(q->exchange, 503, status_text(st));
    } else {
        q->answer(q);
    }
}

/* Only who leads for sure speaks of leases. */
static void ask_whether_we_lead(struct question *q)
{
    enum status st;
    bool ready;

    if (q->api->leader != q->api->own.member) {
        http_reply_text(q->exchange, 503, "not the leader\n");
        return;
    }
    q->wait = wait_read(q->api, on_leading, q, &ready, &st);
    if (ready) {
        q->answer(q);
    } else if (q->wait == NULL) {
        http_reply_text(q->exchange, 503, status_text(st));
    } else {
        http_set_data(q->exchange, q);
    }
}

static bool take_lease(struct slice body, struct question *q)
{
    struct pb_field f;

    while (pb_next(&body, &f)) {
        if (f.number == 1 && f.type == PB_VARINT) {
            q->id = f.value;
        } else if (f.number == 2 && f.type == PB_VARINT) {
            q->keys = f.value != 0;
        }
    }
    return body.len == 0;
}

static void serve_renewal(struct api *api, struct http_exchange *x)
{
    struct question *q = question_of(api, x, 0);

    q->answer = answer_renewal;
    if (take_lease(http_body(x), q)) {
        ask_whether_we_lead(q);
    } else {
        http_reply_text(x, 400, "error unmarshalling request\n");
    }
}

static void serve_time(struct api *api, struct http_exchange *x)
{
    struct question *q = question_of(api, x, 0);
    struct slice body = http_body(x);
    struct pb_field f;
    bool good = false;

    q->answer = answer_time;
    while (pb_next(&body, &f)) {
        good = f.number == 1 && f.type == PB_BYTES && take_lease(f.bytes, q);
    }
    if (good && body.len == 0) {
        ask_whether_we_lead(q);
    } else {
        http_reply_text(x, 400, "error unmarshalling request\n");
    }
}

/* --- The table --- */

void api_peer_request(struct api *api, struct http_exchange *x)
{
    static const char promote[] = "/members/promote/";
    struct slice path = http_path(x);
    bool get = slice_eq(http_method(x), slice_str("GET"));
    bool post = slice_eq(http_method(x), slice_str("POST"));

    if (get && slice_eq(path, slice_str("/members"))) {
        reply_members(api, x);
    } else if (get && slice_eq(path, slice_str("/version"))) {
        api_reply_version(api, x);
    } else if (post && slice_starts(path, slice_str(promote))) {
        serve_promote(api, x, slice_skip(path, sizeof(promote) - 1));
    } else if (post && slice_eq(path, slice_str("/leases"))) {
        serve_renewal(api, x);
    } else if (post && slice_eq(path, slice_str("/leases/internal"))) {
        serve_time(api, x);
    } else {
        http_reply_text(x, 404, "404 page not found\n");
    }
}

void api_peer_gone(struct api *api, struct http_exchange *x)
{
    struct question *q = http_data(x);

    (void)api;
    if (q != NULL) {
        wait_forget(q->wait);
    }
}
