#include "store/io/member.h"

#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/core/log.h"
#include "base/core/metrics.h"
#include "base/io/loop.h"
#include "base/io/server.h"
#include "base/io/tls.h"
#include "store/api/api.h"
#include "store/io/backend.h"
#include "store/io/config.h"
#include "store/io/data_dir.h"
#include "store/io/file_disk.h"
#include "store/kv/kv.h"
#include "store/node/node.h"

enum {
    BATCH_MS = 100,      /* As etcd's backend-batch-interval, */
    BATCH_ROWS = 10000,  /* and -limit. */
    STOP_GRACE_MS = 500, /* For answers that are on their way. */
    QUOTA_DEFAULT_GIB = 2,
};

/* Address space, not memory: LMDB never grows past it. */
#define MAP_BYTES (UINT64_C(256) << 30)

struct listener {
    struct member *member;
    struct server *server;
    char *url;
};

struct member {
    struct member_plan plan;
    struct member_hooks hooks;
    struct loop *loop;
    struct data_dir dir;
    struct backend *backend;
    struct file_disk *disk;
    struct kv *kv;
    struct node *node;
    struct api *api;
    struct metrics metrics;
    struct tls *tls;
    struct listener *listeners;
    size_t listeners_count;
    size_t listeners_open;
    const char **advertised; /* NULL-terminated. */

    uv_timer_t beat;
    uv_timer_t batch;
    size_t timers_open;
    struct loop_task turn;   /* Deferred: the end of a turn. */
    struct loop_task again;  /* Posted: another turn. */
    struct loop_task fatal;  /* Posted: tell the owner. */
    struct loop_task closed; /* Posted: on_stopped. */
    uint64_t batch_index;    /* Of the batch that is being written. */
    bool running;
    bool failed;
    bool stopping;
    struct err why;
    member_stopped_fn *on_stopped;
    void *stopped_ctx;
};

static struct member *member_of(void *task, size_t offset)
{
    return (struct member *)((char *)task - offset);
}

#define MEMBER_OF(task, name) member_of(task, offsetof(struct member, name))

static void stop_step(struct member *m);

/* --- Failure --- */

static void on_fatal_posted(struct loop_task *task)
{
    struct member *m = MEMBER_OF(task, fatal);

    if (!m->stopping) {
        m->hooks.on_fatal(m->hooks.ctx, &m->why);
    }
}

/* Nothing is acknowledged from here on. */
static void member_fail(struct member *m, const struct err *why)
{
    if (m->failed) {
        return;
    }
    m->failed = true;
    m->why = *why;
    log_error("store", "the member stops: %s", why->text);
    api_stop(m->api);
    m->fatal.run = on_fatal_posted;
    loop_post(m->loop, &m->fatal);
}

static void fail_by_backend(struct member *m)
{
    struct err why = *backend_error(m->backend);

    if (why.text[0] == '\0') {
        (void)err_set(&why, ST_CORRUPT,
                      "what the backend holds does not make sense: %s",
                      status_text(kv_failure(m->kv)));
    }
    member_fail(m, &why);
}

/* --- The end of a turn --- */

static void wake(void *ctx)
{
    struct member *m = ctx;

    if (m->running) {
        loop_defer(m->loop, LOOP_WORK, &m->turn);
    }
}

static void on_again(struct loop_task *task)
{
    wake(MEMBER_OF(task, again));
}

static void write_batch(struct member *m)
{
    const struct kv_batch *batch;

    if (m->failed || backend_is_writing(m->backend)) {
        return;
    }
    batch = kv_take(m->kv);
    if (batch != NULL) {
        m->batch_index = batch->index;
        backend_write(m->backend, batch);
    }
}

static void on_turn(struct loop_task *task)
{
    struct member *m = MEMBER_OF(task, turn);
    bool more;

    if (!m->running || m->failed) {
        return;
    }
    /* A failure reaches us by on_failed. */
    (void)node_flush(m->node, loop_now_ms(m->loop));
    more = api_turn(m->api) || node_wants_flush(m->node);
    if (kv_failure(m->kv) && !m->failed) {
        fail_by_backend(m);
    }
    if (m->failed) {
        return;
    }
    if (kv_pending(m->kv) >= BATCH_ROWS) {
        write_batch(m);
    }
    if (more) {
        loop_post(m->loop, &m->again);
    }
}

/* --- What comes back from the disk --- */

static void on_written(void *ctx, enum status result)
{
    struct member *m = ctx;

    if (result) {
        fail_by_backend(m);
    } else {
        kv_done(m->kv);
        (void)node_durable(m->node, m->batch_index);
        wake(m);
    }
    stop_step(m);
}

static void on_committed(void *ctx, enum status result)
{
    struct member *m = ctx;

    (void)node_persisted(m->node, result, loop_now_ms(m->loop));
    wake(m);
    stop_step(m);
}

static void on_idle(void *ctx)
{
    stop_step(ctx);
}

/* The disk's own words are more exact, if it was the disk. */
static void on_node_failed(void *ctx, const struct err *why)
{
    struct member *m = ctx;
    const struct err *disk = file_disk_error(m->disk);
    struct err words = *why;

    if (disk->text[0] != '\0') {
        (void)err_set(&words, ST_IO,
                      "%.300s; nothing was acknowledged that is not on disk: "
                      "see to the disk, then start again",
                      disk->text);
    }
    member_fail(m, &words);
}

static void on_send(void *ctx, const struct raft_msg *messages, size_t count)
{
    /* Peer listeners and links are not open yet: what is sent is lost, which
     * raft allows. A lone voter sends nothing. */
    (void)ctx;
    (void)messages;
    (void)count;
}

static void on_send_snapshot(void *ctx, const struct raft_msg *message)
{
    on_send(ctx, message, 1);
}

static enum status on_install(void *ctx, struct raft_pos pos, struct err *err)
{
    (void)ctx;
    (void)pos;
    return err_set(err, ST_UNSUPPORTED, "nobody sends snapshots");
}

/* --- Timers --- */

static void on_beat(uv_timer_t *timer)
{
    struct member *m = timer->data;
    uint64_t now_ms = loop_now_ms(m->loop);

    if (!m->running || m->failed) {
        return;
    }
    (void)node_tick(m->node, now_ms);
    api_tick(m->api, now_ms);
    wake(m);
}

static void on_batch(uv_timer_t *timer)
{
    write_batch(timer->data);
}

static void start_timers(struct member *m)
{
    uint64_t beat_ms = m->plan.config.heartbeat_interval_ms;

    CHECK(uv_timer_init(loop_uv(m->loop), &m->beat) == 0);
    CHECK(uv_timer_init(loop_uv(m->loop), &m->batch) == 0);
    m->timers_open = 2;
    m->beat.data = m;
    m->batch.data = m;
    CHECK(uv_timer_start(&m->beat, on_beat, beat_ms, beat_ms) == 0);
    CHECK(uv_timer_start(&m->batch, on_batch, BATCH_MS, BATCH_MS) == 0);
}

/* --- Starting --- */

static enum status open_stores(struct member *m, struct err *err)
{
    struct backend_config backend = {
        .loop = m->loop,
        .path = m->dir.backend,
        .map_bytes = MAP_BYTES,
        .on_written = on_written,
        .ctx = m,
        .no_sync = m->plan.config.unsafe_no_fsync,
    };
    struct file_disk_config disk = {
        .loop = m->loop,
        .path = m->dir.wal,
        .on_committed = on_committed,
        .on_idle = on_idle,
        .ctx = m,
        .no_sync = m->plan.config.unsafe_no_fsync,
    };
    enum status st = backend_open(&backend, &m->backend, err);

    if (!st) {
        st = file_disk_new(&disk, &m->disk, err);
    }
    if (!st) {
        backend_metrics(m->backend, &m->metrics);
        file_disk_metrics(m->disk, &m->metrics);
    }
    return st;
}

static void random_bytes(void *out, size_t len)
{
    CHECK(RAND_bytes(out, (int)len) == 1);
}

static enum status open_kv(struct member *m, struct err *err)
{
    const struct member_config *c = &m->plan.config;
    struct kv_config config = kv_config_default();
    enum status st;

    random_bytes(&config.hash_key, sizeof(config.hash_key));
    random_bytes(&config.seed, sizeof(config.seed));
    config.max_txn_ops = c->max_txn_ops;
    config.quota_bytes = c->quota_backend_bytes;
    config.lease_ttl_min_s =
        kv_lease_ttl_min(c->election_timeout_ms, c->heartbeat_interval_ms);
    st = kv_open(&config, backend_table(m->backend), &m->kv, err);
    if (st && backend_error(m->backend)->text[0] != '\0') {
        *err = *backend_error(m->backend); /* Names file, row and remedy. */
    }
    return st;
}

static int64_t quota_of(const struct member_config *c)
{
    return c->quota_backend_bytes == 0 ? (int64_t)QUOTA_DEFAULT_GIB << 30
                                       : c->quota_backend_bytes;
}

static void make_api(struct member *m)
{
    const struct member_config *c = &m->plan.config;
    struct api_config config = {
        .loop = m->loop,
        .kv = m->kv,
        .table = backend_table(m->backend),
        .name = c->name,
        .max_request_bytes = c->max_request_bytes,
        .quota_bytes = quota_of(c),
        .election_timeout_ms = c->election_timeout_ms,
        .progress_notify_interval_ms = c->progress_notify_interval_ms,
        .metrics = &m->metrics,
        .ctx = m,
        .wake = wake,
        .send = on_send,
        .send_snapshot = on_send_snapshot,
        .install = on_install,
        .failed = on_node_failed,
    };

    m->api = api_new(&config);
}

static enum status make_node(struct member *m, struct err *err)
{
    const struct member_config *c = &m->plan.config;
    const struct founding *f = &m->plan.founding;
    struct node_member *members =
        arena_zalloc(&m->plan.arena, f->founders_count, sizeof(*members));
    struct node_config config = node_config_default();
    struct node_ports ports = api_ports(m->api);

    for (size_t i = 0; i < f->founders_count; i++) {
        members[i].id = f->founders[i].id;
        members[i].context = founder_json(&m->plan.arena, &f->founders[i]);
    }
    config.raft.id = f->founders[f->self].id;
    config.raft.heartbeat_ms = c->heartbeat_interval_ms;
    config.raft.election_ms = c->election_timeout_ms;
    random_bytes(&config.raft.rng_seed, sizeof(config.raft.rng_seed));
    config.cluster_id = f->cluster_id;
    config.members = members;
    config.members_count = f->founders_count;
    config.applied = kv_index(m->kv);
    config.snapshot_count = c->snapshot_count;
    return node_new(&config, file_disk_port(m->disk), &ports, &m->node, err);
}

/* --- Listening --- */

static enum status listen_one(struct member *m, const struct url *url,
                              struct err *err)
{
    struct listener *l = &m->listeners[m->listeners_count];
    const char *host = url->host;
    struct server_config config;
    enum status st;

    server_config_init(&config);
    config.address = url->unix_socket
                         ? arena_printf(&m->plan.arena, "unix:%s", host)
                         : arena_printf(&m->plan.arena,
                                        strchr(host, ':') ? "[%s]:%u" : "%s:%u",
                                        host, url->port);
    config.tls = url->tls ? m->tls : NULL;
    config.grpc = api_grpc(m->api);
    config.http = api_http(m->api);
    st = server_start(m->loop, &config, &l->server, err);
    if (st) {
        return err_prefix(err, st, "--listen-client-urls: %s", url->text);
    }
    l->member = m;
    l->url =
        arena_printf(&m->plan.arena, "%s%s", url->tls ? "https://" : "http://",
                     server_address(l->server));
    if (url->unix_socket || url->port != 0) {
        l->url = arena_strdup(&m->plan.arena, slice_str(url->text));
    }
    m->listeners_count++;
    m->listeners_open++;
    return ST_OK;
}

static enum status make_tls(struct member *m, struct err *err)
{
    const struct member_config *c = &m->plan.config;
    struct tls_files files = {
        .cert = c->cert_file, .key = c->key_file, .ca = c->trusted_ca_file};

    if (c->cert_file == NULL) {
        return ST_OK;
    }
    return tls_server_new(
        &files, c->client_cert_auth ? TLS_CLIENT_REQUIRED : TLS_CLIENT_ANY,
        &m->tls, err);
}

/* What clients are told: as configured, or where we really listen. */
static void choose_advertised(struct member *m)
{
    const struct url_list *given = &m->plan.advertised;
    size_t count = given->count > 0 ? given->count : m->listeners_count;

    m->advertised =
        arena_zalloc(&m->plan.arena, count + 1, sizeof(*m->advertised));
    for (size_t i = 0; i < count; i++) {
        m->advertised[i] =
            given->count > 0 ? given->urls[i].text : m->listeners[i].url;
    }
}

static enum status listen_all(struct member *m, struct err *err)
{
    const struct url_list *urls = &m->plan.client_urls;
    enum status st = make_tls(m, err);

    m->listeners =
        arena_zalloc(&m->plan.arena, urls->count, sizeof(*m->listeners));
    for (size_t i = 0; i < urls->count && !st; i++) {
        st = listen_one(m, &urls->urls[i], err);
    }
    if (!st) {
        choose_advertised(m);
    }
    return st;
}

static void begin(struct member *m)
{
    api_start(m->api, m->node, m->advertised);
    start_timers(m);
    m->running = true;
    m->turn.run = on_turn;
    m->again.run = on_again;
    if (node_torn_bytes(m->node) > 0) {
        log_warn("store",
                 "cut %" PRIu64 " bytes of an unfinished record off the log; "
                 "none of it was acknowledged",
                 node_torn_bytes(m->node));
    }
    log_info("store",
             "member %016" PRIx64 " of cluster %016" PRIx64
             " serves %s from %s, revision %lld",
             member_id(m), member_cluster_id(m), member_client_url(m, 0),
             m->plan.config.data_dir, (long long)kv_revision(m->kv));

    /* Before any timer or request can reach the node. A failure comes by
     * on_failed, and from there to the owner. */
    (void)node_start(m->node, loop_now_ms(m->loop));
    wake(m);
}

/* Nothing of it runs any more. */
static void member_free(struct member *m)
{
    node_free(m->node);
    api_free(m->api);
    kv_free(m->kv);
    backend_close(m->backend);
    file_disk_free(m->disk);
    tls_free(m->tls);
    data_dir_close(&m->dir);
    member_plan_release(&m->plan);
    free(m);
}

static void on_undone(void *ctx)
{
    loop_stop(ctx);
}

/* Some ports were bound already: closing them takes turns of the loop. */
static void start_undo(struct member *m)
{
    struct loop *loop = m->loop;

    if (m->listeners_open == 0) {
        member_free(m);
        return;
    }
    member_stop(m, on_undone, loop);
    loop_run(loop);
}

enum status member_start(struct loop *loop, const struct member_config *config,
                         struct member_hooks hooks, struct member **out_member,
                         struct err *err)
{
    struct member *m = calloc(1, sizeof(*m));
    enum status st;

    CHECK(m != NULL);
    m->loop = loop;
    m->hooks = hooks;
    m->dir.lock = -1;
    st = member_plan_make(&m->plan, config, err);
    if (!st) {
        st = data_dir_open(&m->plan.arena, m->plan.config.data_dir, &m->dir,
                           err);
    }
    if (!st) {
        st = open_stores(m, err);
    }
    if (!st) {
        st = open_kv(m, err);
    }
    if (!st) {
        make_api(m);
        st = make_node(m, err);
    }
    if (!st) {
        st = listen_all(m, err);
    }
    if (!st) {
        begin(m);
        *out_member = m;
    } else {
        start_undo(m);
    }
    return st;
}

/* --- Stopping --- */

static void on_closed(struct loop_task *task)
{
    struct member *m = MEMBER_OF(task, closed);
    member_stopped_fn *on_stopped = m->on_stopped;
    void *ctx = m->stopped_ctx;

    member_free(m);
    if (on_stopped != NULL) {
        on_stopped(ctx);
    }
}

/* What is applied and not in the backend yet would only be replayed. */
static void write_last_batch(struct member *m)
{
    const struct kv_batch *batch = m->failed ? NULL : kv_take(m->kv);

    if (batch == NULL) {
        return;
    }
    if (backend_write_now(m->backend, batch)) {
        log_error("store", "%s; the log has it all",
                  backend_error(m->backend)->text);
    }
    kv_done(m->kv);
}

/* Called whenever something has ended: go on with what is next. */
static void stop_step(struct member *m)
{
    if (!m->stopping || m->listeners_open > 0 || m->timers_open > 0 ||
        backend_is_writing(m->backend) || file_disk_is_busy(m->disk) ||
        m->closed.run != NULL) {
        return;
    }
    m->running = false;
    loop_undefer(m->loop, LOOP_WORK, &m->turn);
    write_last_batch(m);
    m->closed.run = on_closed;
    loop_post(m->loop, &m->closed);
}

static void on_server_stopped(void *ctx)
{
    struct listener *l = ctx;

    CHECK(l->member->listeners_open > 0);
    l->member->listeners_open--;
    stop_step(l->member);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct member *m = handle->data;

    CHECK(m->timers_open > 0);
    m->timers_open--;
    stop_step(m);
}

void member_stop(struct member *m, member_stopped_fn *on_stopped, void *ctx)
{
    CHECK(!m->stopping);
    m->stopping = true;
    m->on_stopped = on_stopped;
    m->stopped_ctx = ctx;
    api_stop(m->api);
    for (size_t i = 0; i < m->listeners_count; i++) {
        server_stop(m->listeners[i].server, m->failed ? 0 : STOP_GRACE_MS,
                    on_server_stopped, &m->listeners[i]);
    }
    if (m->timers_open > 0) {
        uv_close((uv_handle_t *)&m->beat, on_timer_closed);
        uv_close((uv_handle_t *)&m->batch, on_timer_closed);
    }
}

/* --- Looking --- */

const char *member_client_url(const struct member *m, unsigned index)
{
    return index < m->listeners_count ? m->listeners[index].url : NULL;
}

uint64_t member_id(const struct member *m)
{
    return node_ids(m->node).member;
}

uint64_t member_cluster_id(const struct member *m)
{
    return node_ids(m->node).cluster;
}
