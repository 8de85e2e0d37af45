/* The way of a request:
 *
 *   on_request -> ask (api_handle) -> reply
 *                    ^      |-> parked by scope, asked again when it changed
 *                    |      |-> confirm / transaction at the store -+
 *                    +------------------------------------------------+
 *   replies to requests that have changed the local state wait until that is
 *   on disk.
 *
 * A client may leave at any time. What only waits is freed then; what is on its
 * way to the disk or the store loses its exchange and ends silently. */

#include "agent/io/front.h"

#include <openssl/rand.h>
#include <stdlib.h>

#include "agent/io/front_impl.h"
#include "agent/io/link.h"
#include "agent/io/state.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/io/http_server.h"
#include "base/io/tls.h"

/* A stop lets replies that are made reach their clients for so long. */
#define LAST_REPLIES_MS 500

/* ---- Replies ----------------------------------------------------------- */

void pending_free(struct pending *p)
{
    parking_leave(&p->front->parking, p);
    LIST_REMOVE(p, link);
    api_outcome_release(&p->outcome);
    store_answer_release(&p->seen);
    store_answer_release(&p->done);
    arena_release(&p->arena);
    free(p);
}

void pending_reply(struct pending *p)
{
    const struct api_outcome *o = &p->outcome;
    struct http_header headers[API_HEADERS_MAX];

    if (p->exchange) {
        for (size_t i = 0; i < o->headers_count; i++) {
            headers[i].name = slice_str(o->headers[i].name);
            headers[i].value = slice_str(o->headers[i].value);
        }
        http_reply(p->exchange, o->status, headers, o->headers_count,
                   buf_slice(&o->body));
    }
    pending_free(p);
}

void pending_fail(struct pending *p, int status, const char *text)
{
    api_outcome_release(&p->outcome);
    api_fail(status, text, &p->outcome);
    pending_reply(p);
}

static void on_durable(void *arg, enum status st, const struct err *err)
{
    struct pending *p = arg;

    p->busy = false;
    if (st) {
        pending_fail(p, 500, err->text);
    } else {
        pending_reply(p);
    }
}

/* A registration must survive us before it is acknowledged. */
static void reply_durably(struct pending *p, uint64_t generation_before)
{
    struct front *f = p->front;

    if (p->reads_only && local_generation(p->local) == generation_before) {
        pending_reply(p);
    } else if (f->hooks.changed(f->hooks.ctx)) {
        p->busy = true;
        state_sync(f->state, on_durable, p);
    } else {
        pending_reply(p);
    }
}

/* A registration that waits for the store (api_sync.c) is on disk first. */
static void on_durable_wait(void *arg, enum status st, const struct err *err)
{
    struct pending *p = arg;

    p->busy = false;
    if (!p->exchange) {
        pending_free(p);
    } else if (st) {
        pending_fail(p, 500, err->text);
    } else {
        pending_ask(p);
    }
}

static void wait_durably(struct pending *p)
{
    struct front *f = p->front;

    if (!p->reads_only && f->hooks.changed(f->hooks.ctx)) {
        p->busy = true;
        state_sync(f->state, on_durable_wait, p);
    } else {
        parking_enter(&f->parking, p);
    }
}

/* ---- Asking ------------------------------------------------------------ */

static void reply_metrics(struct pending *p)
{
    struct front *f = p->front;
    enum api_metrics form = p->outcome.metrics;
    struct buf page;

    buf_init(&page, 4 * 1024 * 1024);
    f->hooks.metrics(f->hooks.ctx, form, &page);
    http_reply_type(p->exchange, 200,
                    form == API_METRICS_JSON
                        ? "application/json"
                        : "text/plain; version=0.0.4; charset=utf-8",
                    buf_slice(&page));
    buf_release(&page);
    pending_free(p);
}

static void do_reload(struct pending *p)
{
    struct front *f = p->front;
    struct err err;

    if (f->hooks.reload(f->hooks.ctx, &err)) {
        pending_fail(p, 500, err.text);
        return;
    }
    http_reply(p->exchange, 200, NULL, 0, (struct slice){0});
    pending_free(p);
}

static void do_leave(struct pending *p)
{
    struct front *f = p->front;

    http_reply(p->exchange, 200, NULL, 0, (struct slice){0});
    pending_free(p);
    f->hooks.leave(f->hooks.ctx);
}

/* The core asks for it in the middle of a reply: once DNS has spoken, the
 * request is handled again, to its end. */
static void do_explain(struct pending *p)
{
    struct front *f = p->front;
    struct api_question question = p->outcome.question;
    struct api_dns_answer answer;
    struct api_view view;

    f->hooks.explain(f->hooks.ctx, &question, &p->arena, &answer);
    api_outcome_release(&p->outcome);
    f->hooks.view(f->hooks.ctx, FRONT_PLAIN, &view);
    view.explained = &answer;
    api_handle(&p->request, &view, &p->arena, &p->outcome);
    pending_reply(p);
}

static void on_stream_ended(void *arg)
{
    pending_free(arg);
}

/* Carry out what the core has decided. */
static void act(struct pending *p, uint64_t generation_before)
{
    struct front *f = p->front;

    p->store = f->hooks.link(f->hooks.ctx, p->outcome.datacenter);
    switch (p->outcome.kind) {
    case API_REPLY:
        reply_durably(p, generation_before);
        return;
    case API_WAIT:
    case API_HASH_WAIT:
        wait_durably(p);
        return;
    case API_CONFIRM:
        front_confirm(p);
        return;
    case API_TXN:
        front_txn(p);
        return;
    case API_STORE:
        front_store(p);
        return;
    case API_FOLLOW:
        front_follow(p);
        return;
    case API_METRICS:
        reply_metrics(p);
        return;
    case API_RELOAD:
        do_reload(p);
        return;
    case API_LEAVE:
        do_leave(p);
        return;
    case API_EXPLAIN:
        do_explain(p);
        return;
    case API_STREAM:
        p->streamer = streams_open(&f->streams, p->exchange, &p->outcome,
                                   on_stream_ended, p);
        return;
    case API_GUARD:
        f->hooks.guard(f->hooks.ctx, p->outcome.guard_mode);
        p->request.confirmed = true;
        pending_ask(p);
        return;
    }
    UNREACHABLE();
}

void pending_ask(struct pending *p)
{
    struct front *f = p->front;
    struct api_view view;
    uint64_t generation;

    if (f->stopping) {
        pending_fail(p, 500, "the agent is stopping");
        return;
    }
    p->request.seen = p->outcome.seen;
    api_outcome_release(&p->outcome);
    arena_reset(&p->arena);
    f->hooks.view(f->hooks.ctx,
                  slice_eq(p->request.path, slice_str("/v1/agent/self"))
                      ? FRONT_STATS
                      : FRONT_PLAIN,
                  &view);
    p->local = view.local;
    generation = local_generation(view.local);
    api_handle(&p->request, &view, &p->arena, &p->outcome);
    act(p, generation);
}

void pending_ask_again(struct pending *p)
{
    p->front->stats.wakeups++;
    pending_ask(p);
}

/* ---- Exchanges --------------------------------------------------------- */

static uint64_t jitter(struct front *f)
{
    return rng_next(&f->rng);
}

/* Fetch Metadata (W3C): browsers say where a request comes from, and pages
 * cannot change what they say. Other clients do not send it. */
static bool from_other_site(const struct http_exchange *x)
{
    struct slice site = http_header_get(x, "Sec-Fetch-Site");

    return site.len > 0 && !slice_eq(site, slice_str("same-origin")) &&
           !slice_eq(site, slice_str("none"));
}

/* Where the request comes from, and what it shows. */
static void read_sender(struct pending *p)
{
    const struct http_exchange *x = p->exchange;
    struct api_request *r = &p->request;

    r->from_other_site = from_other_site(x);
    r->host = http_host(x);
    r->origin = http_header_get(x, "Origin");
    r->token = http_header_get(x, "X-Consul-Token");
    r->authorization = http_header_get(x, "Authorization");
    r->peer = slice_str(http_peer(x));
    r->secure = http_is_secure(x);
    r->by_socket = http_is_unix(x);
    r->has_owner = r->by_socket && http_owner(x, &p->owner);
    if (r->has_owner) {
        r->uid = p->owner.uid;
        r->groups = p->owner.groups;
        r->groups_count = p->owner.groups_count;
    }
}

static void on_request(struct http_exchange *x)
{
    struct front *f = http_ctx(x);
    struct pending *p = calloc(1, sizeof(*p));

    CHECK(p != NULL);
    f->hooks.arrives(f->hooks.ctx);
    p->front = f;
    p->exchange = x;
    p->request = (struct api_request){.method = http_method(x),
                                      .path = http_path(x),
                                      .query = http_query(x),
                                      .body = http_body(x),
                                      .accept = http_header_get(x, "Accept"),
                                      .arrived_ms = loop_now_ms(f->loop),
                                      .jitter = jitter(f),
                                      .flow = &p->flow};
    read_sender(p);
    p->reads_only = slice_eq(p->request.method, slice_str("GET")) ||
                    slice_eq(p->request.method, slice_str("HEAD"));
    if (!p->reads_only) {
        CHECK(RAND_bytes(p->request.random, API_RANDOM_BYTES) == 1);
    }
    http_set_data(x, p);
    LIST_INSERT_HEAD(&f->pendings, p, link);
    f->stats.requests++;
    pending_ask(p);
}

static void on_gone(struct http_exchange *x)
{
    struct pending *p = http_data(x);

    if (p->streamer) {
        streams_gone(p->streamer);
        p->streamer = NULL;
    }
    p->exchange = NULL;
    if (!p->busy) {
        pending_free(p);
    }
}

/* ---- Changes ----------------------------------------------------------- */

void front_catalog_changed(struct front *f)
{
    parking_catalog_changed(&f->parking);
    streams_changed(&f->streams);
}

void front_contact_changed(struct front *f)
{
    streams_changed(&f->streams);
}

/* Whether the request would be answered as it was. */
static bool may_go_on(struct pending *p)
{
    struct api_outcome outcome = {0};
    struct arena arena = {0};
    struct api_view view;
    bool may;

    p->front->hooks.view(p->front->hooks.ctx, FRONT_PLAIN, &view);
    api_handle(&p->request, &view, &arena, &outcome);
    may = outcome.kind == API_STREAM;
    api_outcome_release(&outcome);
    arena_release(&arena);
    return may;
}

/* Long polls are asked again before they are told anything; streams were asked
 * when they began. */
void front_rights_changed(struct front *f)
{
    struct pending *p = LIST_FIRST(&f->pendings);

    while (p) {
        struct pending *after = LIST_NEXT(p, link);

        if (p->streamer && !may_go_on(p)) {
            log_info("http",
                     "the stream to %s ends: its token may not read it "
                     "any more",
                     http_peer(p->exchange));
            streams_end(p->streamer);
        }
        p = after;
    }
}

void front_local_changed(struct front *f)
{
    parking_local_changed(&f->parking);
}

struct front_stats front_stats(const struct front *f)
{
    struct front_stats stats = f->stats;

    stats.waiting = f->parking.count;
    return stats;
}

/* ---- Start, stop ------------------------------------------------------- */

/* A server that has been told to stop. */
struct ending_server {
    LIST_ENTRY(ending_server) link;
    struct front *front;
    struct server *server;
};

static void on_part_closed(void *arg)
{
    struct front *f = arg;

    if (--f->open == 0 && f->stopping) {
        f->on_stopped(f->stopped_arg);
    }
}

static void on_server_stopped(void *ctx)
{
    struct ending_server *e = ctx;
    struct front *f = e->front;

    LIST_REMOVE(e, link);
    free(e);
    on_part_closed(f);
}

static void on_failed_start_closed(void *arg)
{
    front_free(arg);
}

void front_server_end(struct front *f, struct server *s, uint64_t grace_ms)
{
    struct ending_server *e;

    if (!s) {
        return;
    }
    e = calloc(1, sizeof(*e));
    CHECK(e != NULL);
    e->front = f;
    e->server = s;
    LIST_INSERT_HEAD(&f->ending, e, link);
    f->open++;
    server_stop(s, grace_ms, on_server_stopped, e);
}

static void on_drained(struct http_exchange *x)
{
    struct pending *p = http_data(x);

    if (p->streamer) {
        streams_drained(p->streamer);
    }
}

void front_stop(struct front *f, front_stopped_fn *on_stopped, void *arg)
{
    struct ending_server *e;

    CHECK(!f->stopping);
    f->stopping = true;
    f->on_stopped = on_stopped;
    f->stopped_arg = arg;
    f->open += 2; /* Parking and streams. */
    parking_answer_all(&f->parking);
    LIST_FOREACH(e, &f->ending, link)
    {
        server_hurry(e->server, LAST_REPLIES_MS);
    }
    front_server_end(f, f->http, LAST_REPLIES_MS);
    front_server_end(f, f->https, LAST_REPLIES_MS);
    front_server_end(f, f->unix_socket, LAST_REPLIES_MS);
    f->http = NULL;
    f->https = NULL;
    f->unix_socket = NULL;
    streams_close(&f->streams, on_part_closed, f);
    parking_close(&f->parking, on_part_closed, f);
}

void front_free(struct front *f)
{
    if (!f) {
        return;
    }
    CHECK(f->stopping);
    CHECK(f->open == 0);
    CHECK(LIST_EMPTY(&f->pendings));
    tls_free(f->tls);
    front_wanted_free(f->wanted);
    free(f);
}

enum status front_start(struct loop *loop, const struct front_config *config,
                        struct state *state, struct front_hooks hooks,
                        struct front **out_front, struct err *out_err)
{
    struct front *f = calloc(1, sizeof(*f));
    uint64_t seed;
    enum status st;

    CHECK(f != NULL);
    CHECK(RAND_bytes((unsigned char *)&seed, sizeof(seed)) == 1);
    rng_init(&f->rng, seed);
    f->loop = loop;
    f->state = state;
    f->hooks = hooks;
    f->handler = (struct http_handler){.ctx = f,
                                       .server = config->server,
                                       .bodies_bytes = &f->bodies_bytes,
                                       .on_request = on_request,
                                       .on_gone = on_gone,
                                       .on_drained = on_drained};
    LIST_INIT(&f->pendings);
    LIST_INIT(&f->ending);
    parking_init(&f->parking, loop);
    streams_init(&f->streams, loop, &f->hooks);
    st = front_listen(f, config, out_err);
    if (st) {
        front_stop(f, on_failed_start_closed, f);
        return st;
    }
    *out_front = f;
    return ST_OK;
}
