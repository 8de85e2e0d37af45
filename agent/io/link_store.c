/* What requests ask of the store: one call each, beside everything else.
 *
 * An ask that changes nothing, or nothing that matters twice, is sent again on
 * the next channel when one breaks, as long as its time lasts. The fate of a
 * change that got no answer is unknown, and is reported so. */

#include <stdlib.h>

#include "agent/io/link_impl.h"
#include "base/core/check.h"

/* How long a request waits for a store that has no leader. */
#define ASK_MS 7000

/* Pages of a list: small at first, then as large as its values allow. */
#define PAGE_FIRST 64
#define PAGE_MAX   8192
#define PAGE_BYTES (4UL * 1024 * 1024)

static void ask_send(struct link_ask *q);

static void ask_end(struct link_ask *q, enum store_result result,
                    const char *text)
{
    struct link *l = q->link;
    struct store_answer answer = q->answer;

    answer.result = result;
    answer.text =
        text == NULL ? NULL : arena_strdup(&answer.arena, slice_str(text));
    STAILQ_REMOVE(&l->asks.list, q, link_ask, next);
    q->on_done(q->arg, &answer);
    store_answer_release(&answer); /* What is left of it. */
    buf_release(&q->message);
    arena_release(&q->arena);
    free(q->items);
    free(q);
}

static bool may_repeat(const struct link_ask *q)
{
    return q->kind != STORE_TXN || q->ask.changes_count == 0;
}

static bool is_refusal(enum grpc_code code, const char *text)
{
    if (code == GRPC_RESOURCE_EXHAUSTED) {
        /* Busy passes; too large does not. */
        return strstr(text, "too many requests") == NULL;
    }
    return code == GRPC_NOT_FOUND || code == GRPC_INVALID_ARGUMENT ||
           code == GRPC_PERMISSION_DENIED || code == GRPC_OUT_OF_RANGE ||
           code == GRPC_UNAUTHENTICATED || code == GRPC_FAILED_PRECONDITION;
}

/* The call ended without an answer. It goes out again with the next channel,
 * if there is to be one. */
static void ask_failed(struct link_ask *q, enum grpc_code code,
                       const char *text)
{
    struct link *l = q->link;
    bool broken = !link_ready(l) || code == GRPC_UNAVAILABLE ||
                  code == GRPC_DEADLINE_EXCEEDED || code == GRPC_INTERNAL ||
                  code == GRPC_UNKNOWN;

    if (q->kind == STORE_REVOKE && code == GRPC_NOT_FOUND) {
        ask_end(q, STORE_DONE, NULL);
        return;
    }
    if (is_refusal(code, text)) {
        ask_end(q, STORE_REFUSED, text);
        return;
    }
    if (!broken || !may_repeat(q) || l->stopping) {
        ask_end(q, STORE_FAILED, NULL);
    }
    link_call_failed(l, "request", code, text);
}

/* ---- Answers ----------------------------------------------------------- */

static struct slice slice_of_pb(ProtobufCBinaryData data)
{
    return slice_of(data.data, data.len);
}

static struct store_kv kv_of(const Mvccpb__KeyValue *kv)
{
    return (struct store_kv){
        .key = slice_of_pb(kv->key),
        .value = slice_of_pb(kv->value),
        .create_revision = kv->create_revision,
        .mod_revision = kv->mod_revision,
        .lease = kv->lease,
    };
}

static struct store_range range_of(struct arena *a, const struct store_read *r,
                                   const Etcdserverpb__RangeResponse *answer)
{
    struct store_kv *items = arena_zalloc(a, answer->n_kvs, sizeof(*items));

    for (size_t i = 0; i < answer->n_kvs; i++) {
        items[i] = kv_of(answer->kvs[i]);
    }
    return (struct store_range){.key = arena_copy(a, r->key),
                                .end = arena_copy(a, r->end),
                                .items = items,
                                .count = answer->n_kvs,
                                .more = answer->more};
}

/* The ranges of the answer, in the order in which they were asked. */
static enum store_result take_txn(struct link_ask *q,
                                  const Etcdserverpb__TxnResponse *r)
{
    struct store_answer *a = &q->answer;
    bool wrote = q->ask.changes_count > 0 && r->succeeded;
    struct store_range *ranges;

    a->revision = r->header->revision;
    if (wrote) {
        return STORE_DONE;
    }
    if (r->n_responses != q->ask.reads_count) {
        return STORE_FAILED;
    }
    ranges = arena_zalloc(&a->arena, r->n_responses, sizeof(*ranges));
    for (size_t i = 0; i < r->n_responses; i++) {
        if (r->responses[i]->response_case !=
            ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_RANGE) {
            return STORE_FAILED;
        }
        ranges[i] = range_of(&a->arena, &q->ask.reads[i],
                             r->responses[i]->response_range);
    }
    a->ranges = ranges;
    a->ranges_count = r->n_responses;
    return q->ask.changes_count > 0 ? STORE_GUARDED : STORE_DONE;
}

static void on_txn(void *ctx, enum grpc_code code, const char *text,
                   struct slice reply)
{
    struct link_ask *q = ctx;
    Etcdserverpb__TxnResponse *r;

    q->stream = NULL;
    if (code != GRPC_OK) {
        ask_failed(q, code, text);
        return;
    }
    r = pb_decode(&q->answer.arena, &etcdserverpb__txn_response__descriptor,
                  reply);
    ask_end(q, r && r->header ? take_txn(q, r) : STORE_FAILED, NULL);
}

static void keep_items(struct link_ask *q, const Etcdserverpb__RangeResponse *r)
{
    if (q->items_count + r->n_kvs > q->items_cap) {
        q->items_cap = (q->items_count + r->n_kvs) * 2;
        q->items = realloc(q->items, q->items_cap * sizeof(*q->items));
        CHECK(q->items != NULL);
    }
    for (size_t i = 0; i < r->n_kvs; i++) {
        q->items[q->items_count++] = kv_of(r->kvs[i]);
        q->bytes +=
            r->kvs[i]->key.len + r->kvs[i]->value.len + sizeof(*q->items);
    }
}

static int64_t next_page(const struct link_ask *q)
{
    size_t each = q->items_count == 0 ? 1 : q->bytes / q->items_count + 1;
    size_t page = PAGE_BYTES / each;

    if (page < PAGE_FIRST) {
        page = PAGE_FIRST;
    }
    return (int64_t)(page > PAGE_MAX ? PAGE_MAX : page);
}

static void list_end(struct link_ask *q)
{
    struct arena *a = &q->answer.arena;
    struct store_range *range = arena_zalloc(a, 1, sizeof(*range));
    struct store_kv *items = arena_zalloc(a, q->items_count, sizeof(*items));

    if (q->items_count > 0) {
        memcpy(items, q->items, q->items_count * sizeof(*items));
    }
    *range = (struct store_range){.key = arena_copy(a, q->ask.reads[0].key),
                                  .end = arena_copy(a, q->ask.reads[0].end),
                                  .items = items,
                                  .count = q->items_count};
    q->answer.ranges = range;
    q->answer.ranges_count = 1;
    ask_end(q, STORE_DONE, NULL);
}

static void list_restart(struct link_ask *q)
{
    store_answer_release(&q->answer);
    q->items_count = 0;
    q->bytes = 0;
    etcd_store_page(&q->message, &q->ask, q->ask.reads[0].key, PAGE_FIRST, 0);
}

static void on_list_page(void *ctx, enum grpc_code code, const char *text,
                         struct slice reply)
{
    struct link_ask *q = ctx;
    Etcdserverpb__RangeResponse *r;
    struct slice last;

    q->stream = NULL;
    if (code != GRPC_OK) {
        if (code == GRPC_OUT_OF_RANGE && q->answer.revision > 0) {
            list_restart(q); /* Compacted between two pages. */
            ask_send(q);
            return;
        }
        list_restart(q);
        ask_failed(q, code, text);
        return;
    }
    r = pb_decode(&q->answer.arena, &etcdserverpb__range_response__descriptor,
                  reply);
    if (!r || !r->header) {
        ask_end(q, STORE_FAILED, NULL);
        return;
    }
    if (q->answer.revision == 0) {
        q->answer.revision = r->header->revision;
    }
    keep_items(q, r);
    if (!r->more || r->n_kvs == 0) {
        list_end(q);
        return;
    }
    if (q->bytes > LIMIT_STORE_ANSWER) {
        ask_end(q, STORE_TOO_BIG, NULL);
        return;
    }
    last = q->items[q->items_count - 1].key;
    last = slice_of(arena_strdup(&q->answer.arena, last), last.len + 1);
    etcd_store_page(&q->message, &q->ask, last, next_page(q),
                    q->answer.revision);
    ask_send(q);
}

static void on_lease(void *ctx, enum grpc_code code, const char *text,
                     struct slice reply)
{
    struct link_ask *q = ctx;
    Etcdserverpb__LeaseGrantResponse *r;

    q->stream = NULL;
    if (code != GRPC_OK) {
        ask_failed(q, code, text);
        return;
    }
    if (q->kind == STORE_GRANT) {
        r = pb_decode(&q->answer.arena,
                      &etcdserverpb__lease_grant_response__descriptor, reply);
        if (!r || !r->header || r->id == 0) {
            ask_end(q, STORE_FAILED, NULL);
            return;
        }
        q->answer.lease = r->id;
        q->answer.ttl_s = r->ttl;
    }
    ask_end(q, STORE_DONE, NULL);
}

/* ---- Renewals: a stream for one question ------------------------------------
 */

static void on_renewed(void *ctx, struct slice message)
{
    struct link_ask *q = ctx;
    struct arena arena = {0};
    Etcdserverpb__LeaseKeepAliveResponse *r = pb_decode(
        &arena, &etcdserverpb__lease_keep_alive_response__descriptor, message);

    if (r && !q->answered) {
        q->answered = true;
        q->answer.ttl_s = r->ttl;
        q->answer.lease = r->id;
    }
    arena_release(&arena);
    grpc_stream_cancel(q->stream);
}

static void on_renewal_closed(void *ctx, enum grpc_code code, const char *text)
{
    struct link_ask *q = ctx;

    q->stream = NULL;
    if (q->answered) {
        ask_end(q, STORE_DONE, NULL);
    } else if (loop_now_ms(q->link->loop) >= q->deadline_ms) {
        ask_end(q, STORE_FAILED, NULL);
    } else {
        ask_failed(q, code, text);
    }
}

static void renewal_send(struct link_ask *q)
{
    static const struct grpc_metadata has_leader = {"hasleader", "true"};
    struct grpc_stream_hooks hooks = {
        .ctx = q, .on_message = on_renewed, .on_closed = on_renewal_closed};

    q->stream = grpc_stream_open(q->link->channel, ETCD_KEEPALIVE, &has_leader,
                                 1, hooks);
    grpc_stream_send(q->stream, buf_slice(&q->message));
}

/* ---- Questions --------------------------------------------------------- */

static const struct {
    const char *method;
    grpc_unary_fn *on_done;
} calls[] = {
    [STORE_TXN] = {ETCD_TXN, on_txn},
    [STORE_LIST] = {ETCD_RANGE, on_list_page},
    [STORE_GRANT] = {ETCD_GRANT, on_lease},
    [STORE_RENEW] = {ETCD_KEEPALIVE, NULL},
    [STORE_REVOKE] = {ETCD_REVOKE, on_lease},
};

static void ask_send(struct link_ask *q)
{
    struct link *l = q->link;

    if (!link_ready(l)) {
        return; /* link_asks_begin(), or the sweep. */
    }
    if (q->kind == STORE_RENEW) {
        renewal_send(q);
    } else {
        q->stream = grpc_unary(l->channel, calls[q->kind].method,
                               buf_slice(&q->message), LINK_CALL_MS,
                               calls[q->kind].on_done, q);
    }
    link_pulse_quicken(l);
}

static void ask_encode(struct link_ask *q, const struct store_ask *ask)
{
    switch (ask->kind) {
    case STORE_TXN:
        etcd_store_txn(&q->message, ask);
        return;
    case STORE_LIST:
        etcd_store_page(&q->message, ask, ask->reads[0].key, PAGE_FIRST, 0);
        return;
    case STORE_GRANT:
        etcd_grant(&q->message, ask->ttl_s);
        return;
    case STORE_RENEW:
    case STORE_REVOKE:
        etcd_lease_id(&q->message, ask->lease);
        return;
    }
    UNREACHABLE();
}

/* What is needed of it beyond its bytes. */
static void ask_keep(struct link_ask *q, const struct store_ask *ask)
{
    q->ask = *ask;
    q->ask.guards = NULL;
    q->ask.changes = NULL;
    q->ask.reads =
        arena_zalloc(&q->arena, ask->reads_count, sizeof(*q->ask.reads));
    for (size_t i = 0; i < ask->reads_count; i++) {
        q->ask.reads[i] = ask->reads[i];
        q->ask.reads[i].key = arena_copy(&q->arena, ask->reads[i].key);
        q->ask.reads[i].end = arena_copy(&q->arena, ask->reads[i].end);
    }
}

void link_store(struct link *l, const struct store_ask *ask,
                link_store_fn *on_done, void *arg)
{
    struct link_ask *q = calloc(1, sizeof(*q));

    CHECK(q != NULL);
    CHECK(!l->stopping);
    CHECK(!ask->full);
    q->link = l;
    q->kind = ask->kind;
    q->on_done = on_done;
    q->arg = arg;
    q->deadline_ms = loop_now_ms(l->loop) + ASK_MS;
    buf_init(&q->message, LIMIT_STORE_REQUEST);
    ask_encode(q, ask);
    ask_keep(q, ask);
    STAILQ_INSERT_TAIL(&l->asks.list, q, next);
    link_sweep_soon(l);
    ask_send(q);
}

/* ---- Of a channel ------------------------------------------------------ */

void link_asks_init(struct link *l)
{
    STAILQ_INIT(&l->asks.list);
}

void link_asks_begin(struct link *l)
{
    struct link_ask *q;

    STAILQ_FOREACH(q, &l->asks.list, next)
    {
        if (!q->stream) {
            ask_send(q);
        }
    }
}

bool link_asks_wait(const struct link *l)
{
    return !STAILQ_EMPTY(&l->asks.list);
}

void link_asks_sweep(struct link *l, uint64_t now_ms)
{
    struct link_ask *q = STAILQ_FIRST(&l->asks.list);

    while (q) {
        struct link_ask *after = STAILQ_NEXT(q, next);

        if (now_ms >= q->deadline_ms) {
            if (!q->stream) {
                ask_end(q, STORE_FAILED, NULL);
            } else if (q->kind == STORE_RENEW) {
                grpc_stream_cancel(q->stream); /* It has no deadline. */
            }
        }
        q = after;
    }
}
