#include "store/io/member.h"

#include <inttypes.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "store/io/bootstrap.h"
#include "store/io/member_impl.h"
#include "store/raftpb/raftpb.h"

enum {
    BATCH_MS = 100,     /* As etcd's backend-batch-interval, */
    BATCH_ROWS = 10000, /* and -limit. */
    QUOTA_DEFAULT_GIB = 2,
};

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
    member_abandon_arriving(m);
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

static void on_gone_posted(struct loop_task *task)
{
    struct member *m = MEMBER_OF(task, gone);

    if (!m->stopping && !m->failed) {
        m->hooks.on_removed(m->hooks.ctx);
    }
}

void member_removed(struct member *m)
{
    struct err why = {0};

    if (m->removed || m->failed) {
        return;
    }
    m->removed = true;
    (void)err_set(&why, ST_DENIED,
                  "this member, %016" PRIx64 ", has been permanently removed "
                  "from the cluster; its data directory %s cannot be used "
                  "again: to come back, remove it and add the member anew",
                  member_id(m), m->plan.config.data_dir);
    if (m->hooks.on_removed == NULL) {
        member_fail(m, &why);
        return;
    }
    log_warn("store", "%s", why.text);
    m->gone.run = on_gone_posted;
    loop_post(m->loop, &m->gone);
}

/* --- The end of a turn --- */

void member_wake(struct member *m)
{
    if (m->running) {
        loop_defer(m->loop, LOOP_WORK, &m->turn);
    }
}

static void on_wake(void *ctx)
{
    member_wake(ctx);
}

static void on_again(struct loop_task *task)
{
    member_wake(MEMBER_OF(task, again));
}

void member_write_batch(struct member *m)
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
        member_write_batch(m);
    }
    member_save_step(m);
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
        m->written_index = m->batch_index;
        (void)node_durable(m->node, m->batch_index);
        member_save_step(m);
        member_wake(m);
    }
    member_stop_step(m);
}

static void on_committed(void *ctx, enum status result)
{
    struct member *m = ctx;

    (void)node_persisted(m->node, result, loop_now_ms(m->loop));
    member_wake(m);
    member_stop_step(m);
}

static void on_idle(void *ctx)
{
    member_stop_step(ctx);
}

static void on_outdated(void *ctx, const struct err *why)
{
    member_fail(ctx, why);
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
    member_send(ctx, messages, count);
}

static void on_send_snapshot(void *ctx, const struct raft_msg *message)
{
    member_send_snapshot(ctx, message);
}

static enum status on_install(void *ctx, struct raft_pos pos, struct err *err)
{
    return member_install(ctx, pos, err);
}

static bool was_removed(const struct member *m)
{
    size_t count;
    const uint64_t *removed = kv_members_removed(m->kv, &count);

    for (size_t i = 0; i < count; i++) {
        if (removed[i] == member_id(m)) {
            return true;
        }
    }
    return false;
}

static void on_members_changed(void *ctx)
{
    struct member *m = ctx;

    member_follow_members(m);
    if (was_removed(m)) {
        member_removed(m);
    }
}

static uint64_t on_active_since(void *ctx, uint64_t id)
{
    struct member *m = ctx;

    return m->peers == NULL ? 0 : peers_active_since(m->peers, id);
}

static void on_ask(void *ctx, uint64_t id, const char *method, const char *path,
                   struct slice body, uint64_t timeout_ms,
                   peers_answer_fn *on_answer, void *answer_ctx)
{
    struct member *m = ctx;

    if (m->peers == NULL) {
        on_answer(answer_ctx, 0, (struct slice){0}, "the member stops");
    } else {
        peers_fetch(m->peers, id, method, path, body, timeout_ms, on_answer,
                    answer_ctx);
    }
}

static void on_snapshot(void *ctx, api_snapshot_fn *on_ready, void *ready_ctx)
{
    member_snapshot(ctx, on_ready, ready_ctx);
}

/* --- Timers --- */

static void on_beat(uv_timer_t *timer)
{
    struct member *m = timer->data;
    uint64_t now_ms = loop_now_ms(m->loop);

    if (m->leaving) {
        member_leave_step(m, now_ms);
    }
    if (!m->running || m->failed) {
        return;
    }
    (void)node_tick(m->node, now_ms);
    api_tick(m->api, now_ms);
    member_wake(m);
}

static void on_batch(uv_timer_t *timer)
{
    member_write_batch(timer->data);
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
        .map_bytes = MEMBER_MAP_BYTES,
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
    enum status st = file_disk_new(&disk, &m->disk, err);

    if (!st) {
        st = member_finish_install(m, err);
    }
    if (!st) {
        st = backend_open(&backend, &m->backend, err);
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
    if (!st) {
        m->written_index = kv_index(m->kv);
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
        .cluster_token = c->initial_cluster_token,
        .strict_reconfig_check = c->strict_reconfig_check,
        .progress_notify_interval_ms = c->progress_notify_interval_ms,
        .metrics = &m->metrics,
        .ctx = m,
        .wake = on_wake,
        .send = on_send,
        .send_snapshot = on_send_snapshot,
        .install = on_install,
        .members_changed = on_members_changed,
        .active_since = on_active_since,
        .ask = on_ask,
        .snapshot = on_snapshot,
        .failed = on_node_failed,
        .outdated = on_outdated,
    };

    m->api = api_new(&config);
}

static enum status make_node(struct member *m, struct err *err)
{
    struct node_config config = member_plan_node(&m->plan);
    struct raft_conf conf;
    struct node_ports ports = api_ports(m->api);

    random_bytes(&config.raft.rng_seed, sizeof(config.raft.rng_seed));
    config.applied = kv_index(m->kv);
    if (kv_conf_state(m->kv).len > 0) {
        if (raftpb_conf_from_json(kv_conf_state(m->kv), &conf)) {
            return err_set(err, ST_CORRUPT,
                           "table \"meta\", row confState: not a "
                           "configuration; restore the data directory from a "
                           "backup, or remove it and let this member join "
                           "again");
        }
        config.conf = &conf;
    }
    return node_new(&config, file_disk_port(m->disk), &ports, &m->node, err);
}

/* --- Beginning --- */

static enum status check_not_removed(const struct member *m, struct err *err)
{
    if (!was_removed(m)) {
        return ST_OK;
    }
    return err_set(err, ST_DENIED,
                   "%s: the member has been permanently removed from the "
                   "cluster; to come back, remove this directory and add the "
                   "member anew",
                   m->plan.config.data_dir);
}

/* The name in the data is the one that was published last. Without a peer's URL
 * the store is one inside an agent, and may be called anew as that is. */
static enum status check_name(const struct member *m, struct err *err)
{
    const struct member_config *c = &m->plan.config;
    size_t count;
    const struct kv_member *list = kv_members(m->kv, &count);

    for (size_t i = 0; i < count && !c->force_new_cluster; i++) {
        if (c->listen_peer_urls != NULL && list[i].id == member_id(m) &&
            list[i].name[0] != '\0' && strcmp(list[i].name, c->name) != 0) {
            return err_set(err, ST_INVALID,
                           "--name: %s holds the data of member \"%s\", not "
                           "of \"%s\": is it the right --data-dir?",
                           c->data_dir, list[i].name, c->name);
        }
    }
    return ST_OK;
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
    member_wake(m);
}

void member_free(struct member *m)
{
    node_free(m->node);
    api_free(m->api);
    kv_free(m->kv);
    backend_close(m->backend);
    file_disk_free(m->disk);
    tls_free(m->tls);
    tls_free(m->peer_server_tls);
    tls_free(m->peer_client_tls);
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

    if (m->listeners_open == 0 && m->peers == NULL) {
        member_free(m);
        return;
    }
    member_stop(m, on_undone, loop);
    loop_run(loop);
}

/* Without data: who are we, and may we be it? */
static enum status bootstrap(struct member *m, struct err *err)
{
    if (m->plan.founding.founders_count == 0) {
        return ST_OK;
    }
    if (strcmp(m->plan.config.initial_cluster_state, "existing") == 0) {
        return bootstrap_join(m->loop, m->peer_client_tls, &m->plan, err);
    }
    return bootstrap_check_new(m->loop, m->peer_client_tls, &m->plan, err);
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
    TAILQ_INIT(&m->savings);
    st = member_plan_make(&m->plan, config, err);
    if (!st) {
        st = data_dir_open(&m->plan.arena, m->plan.config.data_dir, &m->dir,
                           err);
    }
    if (!st) {
        st = member_open_peer_tls(m, err);
    }
    if (!st) {
        st = bootstrap(m, err);
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
        st = check_not_removed(m, err);
    }
    if (!st) {
        st = check_name(m, err);
    }
    if (!st) {
        st = member_open_peers(m, err);
    }
    if (!st) {
        st = member_listen(m, err);
    }
    if (!st) {
        begin(m);
        *out_member = m;
    } else {
        start_undo(m);
    }
    return st;
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
