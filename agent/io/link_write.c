/* The way out: sync's transactions one at a time, those of the API beside
 * them, and confirmations that the replica is where the store is. */

#include <stdlib.h>

#include "agent/io/link_impl.h"
#include "base/core/check.h"
#include "base/core/log.h"

/* ---- What the store made of a transaction ----------------------------------
 */

struct txn_outcome {
    enum sync_result result;
    int64_t revision;
};

static struct txn_outcome txn_outcome(enum grpc_code code, const char *text,
                                      struct slice reply)
{
    struct txn_outcome out = {.result = SYNC_FAILED};
    struct arena arena = {0};
    Etcdserverpb__TxnResponse *r;

    if (code == GRPC_RESOURCE_EXHAUSTED &&
        strstr(text, "too many requests") != NULL) {
        return out; /* Busy, which passes; unlike a request too large. */
    }
    if (code == GRPC_INVALID_ARGUMENT || code == GRPC_PERMISSION_DENIED ||
        code == GRPC_RESOURCE_EXHAUSTED || code == GRPC_OUT_OF_RANGE ||
        code == GRPC_UNAUTHENTICATED) {
        out.result = SYNC_REFUSED;
        return out;
    }
    if (code != GRPC_OK) {
        return out;
    }
    r = pb_decode(&arena, &etcdserverpb__txn_response__descriptor, reply);
    if (r && r->header) {
        out.result = r->succeeded ? SYNC_WRITTEN : SYNC_GUARDED;
        out.revision = r->header->revision;
    }
    arena_release(&arena);
    return out;
}

/* ---- Own records ------------------------------------------------------- */

/* What the host has under an earlier name is gone, or has to stay for now. */
static void earlier_removed(const struct link *l)
{
    const char *name = sync_stats(l->sync).earlier;

    if (name) {
        log_info("agent",
                 "store: this host was \"%s\" before: what was registered "
                 "under that name is removed",
                 name);
    }
}

static void earlier_tell(struct link *l)
{
    struct sync_stats s = sync_stats(l->sync);

    if (s.earlier_lives && !l->writer.earlier_told) {
        log_warn(
            "agent",
            "store: node \"%s\" has our node id, and its lease stands. If "
            "this host was renamed, its records go when the lease is over; "
            "if the data folder was copied from that host, stop this agent "
            "and start it with an empty one (--data-dir)",
            s.earlier);
    }
    l->writer.earlier_told = s.earlier_lives;
}

static void on_written(void *ctx, enum grpc_code code, const char *text,
                       struct slice reply)
{
    struct link *l = ctx;
    struct txn_outcome out = txn_outcome(code, text, reply);
    bool lost = l->writer.lost && code == GRPC_CANCELLED;
    uint64_t refused;

    l->writer.stream = NULL;
    l->writer.lost = false;
    if (!l->lease.attached) {
        return; /* sync has forgotten it. */
    }
    if (lost) {
        /* Whatever has become of it: its guards hold for the next, too. */
        sync_attached(l->sync, l->lease.live_create_revision,
                      loop_now_ms(l->loop));
        link_poke(l);
        return;
    }
    if (out.result == SYNC_WRITTEN && sync_stats(l->sync).in_sync) {
        earlier_removed(l);
    }
    refused = sync_stats(l->sync).refused_records;
    sync_done(l->sync, out.result, out.revision, loop_now_ms(l->loop));
    if (sync_stats(l->sync).refused_records != refused) {
        log_error("agent",
                  "store: %s was refused: %s (%s); tried again with each full "
                  "comparison",
                  sync_stats(l->sync).refused_key, text, grpc_code_name(code));
    }
    if (out.result == SYNC_FAILED) {
        link_call_failed(l, "registration", code, text);
    }
    link_poke(l);
}

static void on_wake(uv_timer_t *timer)
{
    link_poke(timer->data);
}

/* Ask sync what to do, as long as the way is free. */
static void on_next(struct loop_task *task)
{
    struct link *l =
        (struct link *)(void *)((char *)task - offsetof(struct link, writer) -
                                offsetof(struct link_writer, next));
    uint64_t now = loop_now_ms(l->loop);
    uint64_t wake_ms = UINT64_MAX;
    struct arena arena = {0};
    struct sync_txn txn;

    if (!link_ready(l) || !l->current || !l->lease.attached ||
        l->writer.stream || l->stopping) {
        return;
    }
    (void)uv_timer_stop(&l->writer.wake);
    if (sync_next(l->sync, l->local, l->catalog, now, &arena, &txn, &wake_ms) ==
        SYNC_TXN) {
        etcd_txn(&l->request, &txn);
        l->writer.stream =
            grpc_unary(l->channel, ETCD_TXN, buf_slice(&l->request),
                       LINK_CALL_MS, on_written, l);
        link_pulse_quicken(l);
    } else if (wake_ms != UINT64_MAX) {
        wake_ms = wake_ms > now ? wake_ms - now : 1;
        CHECK(uv_timer_start(&l->writer.wake, on_wake, wake_ms, 0) == 0);
    }
    earlier_tell(l);
    arena_release(&arena);
}

void link_poke(struct link *l)
{
    if (link_ready(l)) {
        loop_defer(l->loop, LOOP_WORK, &l->writer.next);
    }
}

/* ---- Transactions of the API ------------------------------------------------
 */

static void request_end(struct link_request *q, struct txn_outcome out)
{
    struct link *l = q->link;

    STAILQ_REMOVE(&l->writer.requests, q, link_request, next);
    q->on_done(q->arg, out.result, out.revision);
    buf_release(&q->message);
    free(q);
}

static void on_request_done(void *ctx, enum grpc_code code, const char *text,
                            struct slice reply)
{
    struct link_request *q = ctx;
    struct link *l = q->link;

    q->stream = NULL;
    request_end(q, txn_outcome(code, text, reply));
    if (code != GRPC_OK) {
        link_call_failed(l, "transaction", code, text);
    }
}

static void request_send(struct link_request *q)
{
    q->stream = grpc_unary(q->link->channel, ETCD_TXN, buf_slice(&q->message),
                           LINK_CALL_MS, on_request_done, q);
    link_pulse_quicken(q->link);
}

void link_txn(struct link *l, const struct sync_txn *txn, link_txn_fn *on_done,
              void *arg)
{
    struct link_request *q = calloc(1, sizeof(*q));

    CHECK(q != NULL);
    CHECK(!l->stopping);
    q->link = l;
    q->on_done = on_done;
    q->arg = arg;
    q->deadline_ms = loop_now_ms(l->loop) + LINK_CALL_MS;
    buf_init(&q->message, LIMIT_STORE_REQUEST);
    etcd_txn(&q->message, txn);
    STAILQ_INSERT_TAIL(&l->writer.requests, q, next);
    link_sweep_soon(l);
    if (link_ready(l)) {
        request_send(q);
    }
}

/* ---- Confirmations ----------------------------------------------------- */

static void confirmation_end(struct link_confirmation *c, enum status st)
{
    STAILQ_REMOVE(&c->link->writer.confirmations, c, link_confirmation, next);
    c->on_done(c->arg, st);
    free(c);
}

/* Is the replica what the store was when it was asked?
 *
 * At its revision, certainly. Below it, if nothing that is in the store was
 * changed later than what we have seen, and there are as many keys: then ours
 * hold all of the store's in the same state and none besides. (Progress
 * notifications would be simpler, but etcd 3.4 lets them overtake events.) */
static bool confirmation_holds(const struct link_confirmation *c)
{
    const struct link *l = c->link;
    int64_t seen = catalog_revision(l->catalog);

    if (!c->answered || !l->current) {
        return false;
    }
    return seen >= c->revision ||
           (seen >= c->newest && (size_t)c->count == l->keys_count);
}

static void on_newest(void *ctx, enum grpc_code code, const char *text,
                      struct slice reply)
{
    struct link_confirmation *c = ctx;
    struct link *l = c->link;
    struct arena arena = {0};
    Etcdserverpb__RangeResponse *r = NULL;

    c->stream = NULL;
    if (l->stopping) {
        confirmation_end(c, ST_TIMEOUT); /* No other channel will come. */
        return;
    }
    if (code != GRPC_OK) {
        c->asked = false; /* Again on the next channel, within the deadline. */
        link_call_failed(l, "read", code, text);
        return;
    }
    r = pb_decode(&arena, &etcdserverpb__range_response__descriptor, reply);
    if (r && r->header) {
        c->answered = true;
        c->revision = r->header->revision;
        c->count = r->count;
        c->newest = r->n_kvs > 0 ? r->kvs[0]->mod_revision : 0;
    }
    arena_release(&arena);
    if (confirmation_holds(c)) {
        confirmation_end(c, ST_OK);
    }
}

static void confirmation_ask(struct link_confirmation *c)
{
    struct link *l = c->link;

    etcd_newest(&l->request, l->range);
    c->asked = true;
    c->stream = grpc_unary(l->channel, ETCD_RANGE, buf_slice(&l->request),
                           LINK_CALL_MS, on_newest, c);
}

void link_confirm(struct link *l, uint64_t timeout_ms, link_confirm_fn *on_done,
                  void *arg)
{
    struct link_confirmation *c = calloc(1, sizeof(*c));

    CHECK(c != NULL);
    CHECK(!l->stopping);
    c->link = l;
    c->on_done = on_done;
    c->arg = arg;
    c->deadline_ms = loop_now_ms(l->loop) + timeout_ms;
    STAILQ_INSERT_TAIL(&l->writer.confirmations, c, next);
    link_sweep_soon(l);
    if (link_ready(l)) {
        confirmation_ask(c);
    }
}

void link_writer_catalog_changed(struct link *l)
{
    struct link_confirmation *c = STAILQ_FIRST(&l->writer.confirmations);

    while (c) {
        struct link_confirmation *after = STAILQ_NEXT(c, next);

        if (confirmation_holds(c)) {
            confirmation_end(c, ST_OK);
        }
        c = after;
    }
    link_poke(l);
}

/* ---- Deadlines --------------------------------------------------------- */

#define SWEEP_MS 250

/* What is on its way ends by its own deadline; this is for what still waits
 * for a connection, or for the replica. */
static void sweep(struct link *l, uint64_t now)
{
    struct link_request *q = STAILQ_FIRST(&l->writer.requests);
    struct link_confirmation *c = STAILQ_FIRST(&l->writer.confirmations);

    while (q) {
        struct link_request *after = STAILQ_NEXT(q, next);

        if (!q->stream && now >= q->deadline_ms) {
            request_end(q, (struct txn_outcome){.result = SYNC_FAILED});
        }
        q = after;
    }
    while (c) {
        struct link_confirmation *after = STAILQ_NEXT(c, next);

        if (!c->stream && now >= c->deadline_ms) {
            confirmation_end(c, ST_TIMEOUT);
        }
        c = after;
    }
    link_asks_sweep(l, now);
}

/* Runs only while something has a deadline: an idle agent sleeps. */
static void on_sweep(uv_timer_t *timer)
{
    struct link *l = timer->data;

    sweep(l, loop_now_ms(l->loop));
    if (!link_watch_sweep(l, loop_now_ms(l->loop)) &&
        STAILQ_EMPTY(&l->writer.requests) &&
        STAILQ_EMPTY(&l->writer.confirmations) && !link_asks_wait(l)) {
        (void)uv_timer_stop(timer);
    }
}

void link_sweep_soon(struct link *l)
{
    if (!l->farewell_done && !uv_is_active((uv_handle_t *)&l->writer.sweep)) {
        CHECK(uv_timer_start(&l->writer.sweep, on_sweep, SWEEP_MS, SWEEP_MS) ==
              0);
    }
}

/* ---- Of a channel ------------------------------------------------------ */

void link_writer_init(struct link *l)
{
    STAILQ_INIT(&l->writer.requests);
    STAILQ_INIT(&l->writer.confirmations);
    l->writer.next.run = on_next;
    link_timer_init(l, &l->writer.wake);
    link_timer_init(l, &l->writer.sweep);
}

void link_writer_begin(struct link *l)
{
    struct link_request *q;
    struct link_confirmation *c;

    STAILQ_FOREACH(q, &l->writer.requests, next)
    {
        request_send(q);
    }
    STAILQ_FOREACH(c, &l->writer.confirmations, next)
    {
        if (!c->asked) {
            confirmation_ask(c);
        }
    }
}

bool link_writer_waits(const struct link *l)
{
    return l->writer.stream != NULL || !STAILQ_EMPTY(&l->writer.requests) ||
           !STAILQ_EMPTY(&l->writer.confirmations) || link_asks_wait(l);
}

/* Sync's transaction is guarded and may be tried again. Those of the API are
 * not ours to repeat. */
void link_writer_leader_changed(struct link *l)
{
    if (l->writer.stream) {
        l->writer.lost = true;
        grpc_stream_cancel(l->writer.stream);
    }
}

void link_writer_end(struct link *l)
{
    (void)uv_timer_stop(&l->writer.wake);
    loop_undefer(l->loop, LOOP_WORK, &l->writer.next);
}

void link_writer_fail_all(struct link *l)
{
    sweep(l, UINT64_MAX);
}
