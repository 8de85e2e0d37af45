#include "store/api/core.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/core/log.h"
#include "base/core/pb.h"

/* Of one answer. gRPC's lengths have 32 bits, clients sign them. */
#define REPLY_BYTES_MAX ((size_t)INT32_MAX)

/* --- Answers --- */

void api_write_header(const struct api *api, struct buf *out, int64_t revision)
{
    size_t len = api->ids_len;

    len += revision == 0 ? 0 : 1 + pb_varint_len((uint64_t)revision);
    len += api->term == 0 ? 0 : 1 + pb_varint_len(api->term);
    pb_message_head(out, 1, len);
    CHECK(buf_add(out, slice_of(api->ids, api->ids_len)) == ST_OK);
    pb_int(out, 3, revision);
    pb_uint(out, 4, api->term);
}

void api_reply(struct grpc_call *call, int64_t revision, struct slice body)
{
    struct buf *out = grpc_call_begin_message(call);

    api_write_header(api_of(call), out, revision);
    if (buf_add(out, body)) {
        grpc_call_abandon_message(call);
        grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED,
                         "etcdserver: the answer is too large");
        return;
    }
    grpc_call_end_message(call);
    grpc_call_finish(call, GRPC_OK, NULL);
}

void api_refuse(struct grpc_call *call, enum kv_error error)
{
    grpc_call_finish(call, (enum grpc_code)kv_error_code(error),
                     kv_error_text(error));
}

enum grpc_code api_failure(enum status st, const char **out_text)
{
    /* -Wswitch-enum would want all statuses of the program here. */
    static const struct {
        enum status st;
        enum grpc_code code;
        const char *text;
    } failures[] = {
        {ST_TIMEOUT, GRPC_UNAVAILABLE, "etcdserver: request timed out"},
        {ST_BUSY, GRPC_UNKNOWN, "etcdserver: too many requests"},
        {ST_TOO_BIG, GRPC_INVALID_ARGUMENT, "etcdserver: request is too large"},
        {ST_NOT_LEADER, GRPC_UNAVAILABLE, "etcdserver: leader changed"},
        {ST_NO_LEADER, GRPC_UNAVAILABLE, "etcdserver: no leader"},
    };

    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        if (failures[i].st == st) {
            *out_text = failures[i].text;
            return failures[i].code;
        }
    }
    *out_text = "etcdserver: server stopped";
    return GRPC_UNAVAILABLE;
}

void api_end_failed(struct grpc_call *call, enum status st)
{
    const char *text;
    enum grpc_code code = api_failure(st, &text);

    grpc_call_finish(call, code, text);
}

bool api_has_leader(struct grpc_call *call)
{
    if (api_of(call)->leader != RAFT_NOBODY ||
        !slice_eq(grpc_call_metadata(call, "hasleader"), slice_str("true"))) {
        return true;
    }
    api_end_failed(call, ST_NO_LEADER);
    return false;
}

/* A learner answers nothing but what it has, to those who want just that. */
bool api_may_learner(struct grpc_call *call, bool reads_locally)
{
    const struct api *api = api_of(call);
    const struct kv_member *self = api_member(api, api->own.member);

    if (reads_locally || self == NULL || !self->is_learner) {
        return true;
    }
    api_refuse(call, KV_LEARNER);
    return false;
}

bool api_check(struct grpc_call *call, enum kv_kind kind, struct slice request)
{
    enum kv_error error = kv_check(api_of(call)->config.kv, kind, request);

    if (error) {
        api_refuse(call, error);
        return false;
    }
    return api_may_learner(call, kind == KV_RANGE) && api_has_leader(call);
}

void api_answer(struct grpc_call *call, const struct kv_reply *reply)
{
    if (reply->error) {
        api_refuse(call, reply->error);
    } else {
        api_reply(call, reply->revision, buf_slice(&reply->body));
    }
}

/* --- Unary calls that wait --- */

static struct unary *unary_of(struct grpc_call *call)
{
    struct unary *u = grpc_call_data(call);

    if (u == NULL) {
        u = arena_zalloc(grpc_call_arena(call), 1, sizeof(*u));
        u->call = call;
        grpc_call_set_data(call, u);
    }
    return u;
}

static void on_proposed(struct wait *w, enum status st,
                        const struct kv_reply *reply)
{
    struct unary *u = w->owner;

    u->wait = NULL;
    if (st) {
        api_end_failed(u->call, st);
    } else {
        api_answer(u->call, reply);
    }
}

void api_propose(struct grpc_call *call, enum kv_kind kind,
                 struct slice request)
{
    struct unary *u = unary_of(call);
    enum status st;

    u->wait = wait_propose(api_of(call), kind, request, on_proposed, u, &st);
    if (u->wait == NULL) {
        api_end_failed(call, st);
    }
}

static void on_read(struct wait *w, enum status st,
                    const struct kv_reply *reply)
{
    struct unary *u = w->owner;

    (void)reply;
    u->wait = NULL;
    if (st) {
        api_end_failed(u->call, st);
    } else {
        u->answer(u->call, u->request);
    }
}

void api_read(struct grpc_call *call, struct slice request,
              unary_answer_fn *answer)
{
    struct unary *u = unary_of(call);
    enum status st;
    bool ready;

    u->wait = wait_read(api_of(call), on_read, u, &ready, &st);
    if (ready) {
        answer(call, request);
    } else if (u->wait == NULL) {
        api_end_failed(call, st);
    } else {
        u->answer = answer;
        u->request = arena_copy(grpc_call_arena(call), request);
    }
}

void api_unary_closed(struct grpc_call *call)
{
    struct unary *u = grpc_call_data(call);

    if (u != NULL) {
        wait_forget(u->wait);
        slow_end(call);
    }
}

/* --- Lent replies and slow answers --- */

struct kv_reply reply_take(struct api *api)
{
    struct kv_reply reply;

    if (api->spare_lent) {
        kv_reply_init(&reply);
        return reply;
    }
    api->spare_lent = true;
    kv_reply_reset(&api->spare);
    return api->spare;
}

void reply_give(struct api *api, struct kv_reply reply)
{
    if (api->spare_lent && reply.body.cap <= API_SPARE_BYTES) {
        api->spare = reply;
        api->spare_lent = false;
    } else if (api->spare_lent) {
        kv_reply_release(&reply);
        kv_reply_init(&api->spare);
        api->spare_lent = false;
    } else {
        kv_reply_release(&reply);
    }
}

void slow_begin(struct grpc_call *call, struct slow *s)
{
    struct api *api = api_of(call);

    unary_of(call)->slow = s;
    TAILQ_INSERT_TAIL(&api->slow, s, link);
    api->config.wake(api->config.ctx);
}

void slow_end(struct grpc_call *call)
{
    struct unary *u = unary_of(call);
    struct slow *s = u->slow;

    if (s != NULL) {
        u->slow = NULL;
        TAILQ_REMOVE(&api_of(call)->slow, s, link);
        s->release(s);
    }
}

/* One slice of the longest waiting; then it goes to the end of the line. */
static void slow_step(struct api *api)
{
    struct slow *s = TAILQ_FIRST(&api->slow);

    if (s != NULL && !s->step(s)) {
        TAILQ_REMOVE(&api->slow, s, link);
        TAILQ_INSERT_TAIL(&api->slow, s, link);
    }
}

void api_finish_slow(struct api *api)
{
    while (!TAILQ_EMPTY(&api->slow)) {
        slow_step(api);
    }
}

/* --- The node's side --- */

static void on_apply(void *ctx, const struct raft_entry *entries, size_t count)
{
    wait_apply(ctx, entries, count);
}

static bool on_apply_conf(void *ctx, const struct node_conf_entry *told)
{
    struct api *api = ctx;
    bool good = wait_apply_conf(api, told);

    if (good) {
        api->config.members_changed(api->config.ctx);
    }
    return good;
}

static enum status on_install(void *ctx, struct raft_pos pos, struct err *err)
{
    struct api *api = ctx;

    return api->config.install(api->config.ctx, pos, err);
}

static void on_send_snapshot(void *ctx, const struct raft_msg *message)
{
    struct api *api = ctx;

    api->config.send_snapshot(api->config.ctx, message);
}

static void on_dropped(void *ctx, uint64_t tag, enum status why)
{
    wait_dropped(ctx, tag, why);
}

static void on_read_ready(void *ctx, uint64_t tag, enum status why)
{
    wait_read_ready(ctx, tag, why);
}

static void on_changed(void *ctx, const struct raft_status *status)
{
    struct api *api = ctx;
    bool led = api->leader == api->own.member;
    bool leads = status->role == RAFT_LEADER;
    bool found = api->leader == RAFT_NOBODY && status->leader != RAFT_NOBODY;

    if (status->leader != api->leader && status->leader != RAFT_NOBODY) {
        api->numbers.leader_changes.value++;
        log_info("store", "member %" PRIx64 " leads in term %" PRIu64,
                 status->leader, status->hard.term);
    }
    api->term = status->hard.term;
    api->leader = status->leader;
    if (leads && !led) {
        kv_lead(api->config.kv, loop_now_ms(api->config.loop));
    } else if (!leads && led) {
        kv_follow(api->config.kv);
    }
    if (found) {
        wait_unpark(api);
        api_publish(api);
    }
    api_transfer_changed(api);
}

static void on_send(void *ctx, const struct raft_msg *messages, size_t count)
{
    struct api *api = ctx;

    api->config.send(api->config.ctx, messages, count);
}

static void on_failed(void *ctx, enum status why, const struct err *err)
{
    struct api *api = ctx;

    (void)why; /* In the words, too. */
    api->config.failed(api->config.ctx, err);
}

struct node_ports api_ports(struct api *api)
{
    return (struct node_ports){
        .ctx = api,
        .apply = on_apply,
        .apply_conf = on_apply_conf,
        .install = on_install,
        .dropped = on_dropped,
        .read_ready = on_read_ready,
        .changed = on_changed,
        .send = on_send,
        .send_snapshot = on_send_snapshot,
        .failed = on_failed,
    };
}

/* --- Life --- */

static void count_handled(const struct grpc_method *method, void *ctx,
                          enum grpc_code code)
{
    struct api *api = ctx;

    numbers_handled(&api->numbers, (size_t)(method - api_methods), code);
}

static void handlers_init(struct api *api)
{
    api->grpc = (struct grpc_methods){
        .ctx = api,
        .methods = api_methods,
        .count = api_methods_count,
        .message_bytes_max =
            api->config.max_request_bytes + LIMIT_GRPC_OVERHEAD,
        .on_handled = count_handled,
    };
    api->http = (struct http_handler){
        .ctx = api,
        .on_request = api_http_request,
        .on_gone = api_http_gone,
    };
}

static void ids_init(struct api *api)
{
    struct buf ids;

    buf_init(&ids, sizeof(api->ids));
    pb_uint(&ids, 1, api->own.cluster);
    pb_uint(&ids, 2, api->own.member);
    memcpy(api->ids, ids.data, ids.len);
    api->ids_len = ids.len;
    buf_release(&ids);

    /* As etcd's: unique among members and over restarts. */
    api->next_id = api->own.member << 48 | (loop_wall_ms() & 0xffffffffff) << 8;
}

struct api *api_new(const struct api_config *config)
{
    struct api *api = calloc(1, sizeof(*api));

    CHECK(api != NULL);
    api->config = *config;
    TAILQ_INIT(&api->waits);
    TAILQ_INIT(&api->parked);
    TAILQ_INIT(&api->idle);
    TAILQ_INIT(&api->slow);
    TAILQ_INIT(&api->asks);
    LIST_INIT(&api->held);
    LIST_INIT(&api->streams);
    LIST_INIT(&api->snapshots);
    LIST_INIT(&api->transfers);
    buf_init(&api->entry, SIZE_MAX);
    kv_reply_init(&api->reply);
    kv_reply_init(&api->spare);
    handlers_init(api);
    api->progress_due_ms =
        loop_now_ms(config->loop) + config->progress_notify_interval_ms;
    return api;
}

void api_free(struct api *api)
{
    if (api == NULL) {
        return;
    }
    CHECK(LIST_EMPTY(&api->streams));
    CHECK(LIST_EMPTY(&api->snapshots));
    CHECK(TAILQ_EMPTY(&api->slow));
    wait_release_all(api);
    ask_release_all(api);
    buf_release(&api->entry);
    kv_reply_release(&api->reply);
    if (!api->spare_lent) {
        kv_reply_release(&api->spare);
    }
    numbers_release(&api->numbers);
    free(api);
}

const char *api_version(void)
{
    return API_VERSION;
}

const struct grpc_methods *api_grpc(struct api *api)
{
    return &api->grpc;
}

const struct http_handler *api_http(struct api *api)
{
    return &api->http;
}

void api_start(struct api *api, struct node *node,
               const char *const *client_urls)
{
    CHECK(api->node == NULL);
    api->node = node;
    api->client_urls = client_urls;
    api->own = node_ids(node);
    ids_init(api);
    numbers_init(&api->numbers, api->config.metrics, api->own.member);
}

void api_stop(struct api *api)
{
    api->stopped = true;
    wait_refuse_all(api);
}

bool api_turn(struct api *api)
{
    bool more = kv_work(api->config.kv);

    slow_step(api);
    more = api_watch_pump(api) || more;
    more = api_snapshot_pump(api) || more;
    api_release_held(api);
    return more || !TAILQ_EMPTY(&api->slow);
}

void api_tick(struct api *api, uint64_t now_ms)
{
    wait_expire(api, now_ms);
    ask_tick(api, now_ms);
    api_transfer_expire(api, now_ms);
    api_snapshot_expire(api, now_ms);
    api_publish(api); /* Again, where a change of leaders has lost it. */
    if (now_ms >= api->expiry_due_ms) {
        api->expiry_due_ms = now_ms + API_EXPIRY_MS;
        api_lease_expire(api, now_ms);
    }
    if (now_ms >= api->progress_due_ms) {
        api->progress_due_ms = now_ms + api->config.progress_notify_interval_ms;
        api_watch_progress(api);
    }
}
