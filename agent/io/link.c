#include "agent/io/link.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/io/link_impl.h"
#include "base/core/check.h"
#include "base/core/log.h"

#define PAUSE_MS_MIN 100
#define PAUSE_MS_MAX 5000

/* The endpoint must say something within 5 s in all: 2 s without a byte, then
 * a PING that is not answered within 3 s. */
#define KEEPALIVE_MS         2000
#define KEEPALIVE_TIMEOUT_MS 3000
#define CONNECT_MS           3000

static void connect_now(struct link *l);

/* ---- State ------------------------------------------------------------- */

bool link_ready(const struct link *l)
{
    return l->state == LINK_READY;
}

bool link_current(const struct link *l)
{
    return l->current;
}

uint64_t link_stale_ms(const struct link *l)
{
    return l->current ? 0 : loop_now_ms(l->loop) - l->stale_since_ms;
}

const struct catalog *link_catalog(const struct link *l)
{
    return l->catalog;
}

const char *link_endpoint(const struct link *l)
{
    return l->endpoints[l->endpoint].target;
}

struct link_stats link_stats(const struct link *l)
{
    struct link_stats stats = l->stats;

    stats.sync = sync_stats(l->sync);
    stats.lease_id = l->lease.id;
    stats.attached = l->lease.attached;
    stats.name_in_use = l->lease.name_in_use;
    return stats;
}

void link_set_current(struct link *l, bool current)
{
    if (l->current == current) {
        return;
    }
    l->current = current;
    if (!current) {
        l->stale_since_ms = loop_now_ms(l->loop);
    }
    if (!l->stopping) {
        l->hooks.on_contact(l->hooks.ctx);
    }
}

void link_maybe_healthy(struct link *l)
{
    if (!l->current || !l->lease.attached) {
        return;
    }
    if (l->failures_in_row > 0 || !l->ever_current) {
        log_info("agent",
                 "store: in contact with %s, catalogue at revision %lld",
                 link_endpoint(l), (long long)catalog_revision(l->catalog));
    }
    l->ever_current = true;
    l->failures_in_row = 0;
    l->failure_logged = false;
}

void link_adopt_catalog(struct link *l, struct catalog *next,
                        const struct link_update *update)
{
    const struct catalog *old = l->catalog;

    l->catalog = next;
    for (size_t i = 0; i < update->changes->problems_count; i++) {
        const struct catalog_problem *p = &update->changes->problems[i];

        log_warn("agent", "store: %s: %s; left out", p->key, p->text);
    }
    if (!l->stopping) {
        l->hooks.on_update(l->hooks.ctx, update);
    }
    catalog_unref(old);
    link_lease_catalog_changed(l);
    link_writer_catalog_changed(l);
    link_farewell_catalog_changed(l);
}

/* ---- Losing an endpoint ------------------------------------------------ */

/* A failure is logged when it begins, not at each of the tries that follow. */
static void failure_log(struct link *l, const char *why)
{
    enum log_level level = l->failure_logged ? LOG_DEBUG : LOG_WARN;

    log_line(level, "agent", "store: %s: %s; trying %s", link_endpoint(l), why,
             l->endpoints_count > 1 ? "the next endpoint" : "again");
    if (l->failures_in_row >= l->endpoints_count) {
        l->failure_logged = true;
    }
}

static void parts_end(struct link *l)
{
    link_watch_end(l);
    link_lease_end(l);
    link_writer_end(l);
    link_members_end(l);
}

static uint64_t pause_ms(struct link *l)
{
    unsigned rounds = l->failures_in_row / (unsigned)l->endpoints_count;
    uint64_t longest = PAUSE_MS_MIN;

    for (unsigned i = 1; i < rounds && longest < PAUSE_MS_MAX; i++) {
        longest *= 2;
    }
    if (longest > PAUSE_MS_MAX) {
        longest = PAUSE_MS_MAX;
    }
    return longest / 2 + rng_below(&l->rng, longest / 2 + 1);
}

static void on_retry(uv_timer_t *timer)
{
    connect_now(timer->data);
}

static void on_channel_closed(void *ctx)
{
    struct link *l = ctx;

    l->channel = NULL;
    if (l->stopping) {
        l->state = LINK_STOPPED;
        link_farewell_done(l); /* If the store went first. */
        link_maybe_stopped(l);
        return;
    }
    l->state = LINK_WAITING;
    l->endpoint = (l->endpoint + 1) % l->endpoints_count;
    if (l->failures_in_row % l->endpoints_count != 0) {
        connect_now(l);
        return;
    }
    CHECK(uv_timer_start(&l->retry, on_retry, pause_ms(l), 0) == 0);
}

static void channel_close(struct link *l)
{
    if (l->state == LINK_READY) {
        parts_end(l);
    }
    l->state = LINK_CLOSING;
    grpc_channel_close(l->channel, on_channel_closed, l);
}

void link_drop(struct link *l, const char *format, ...)
{
    struct err why;
    va_list args;

    if (l->state != LINK_READY && l->state != LINK_CONNECTING) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(why.text, sizeof(why.text), format, args);
    va_end(args);
    l->stats.failures++;
    l->failures_in_row++;
    if (!l->stopping) {
        failure_log(l, why.text);
    }
    channel_close(l);
}

void link_call_failed(struct link *l, const char *what, enum grpc_code code,
                      const char *text)
{
    if (code == GRPC_UNAVAILABLE || code == GRPC_DEADLINE_EXCEEDED ||
        code == GRPC_INTERNAL || code == GRPC_UNKNOWN) {
        link_drop(l, "%s: %s (%s)", what, text, grpc_code_name(code));
    } else if (code != GRPC_CANCELLED) {
        log_warn("agent", "store: %s: %s (%s)", what, text,
                 grpc_code_name(code));
    }
}

/* ---- Getting one ------------------------------------------------------- */

static void on_ready(void *ctx)
{
    struct link *l = ctx;

    if (l->state != LINK_CONNECTING) {
        return;
    }
    l->state = LINK_READY;
    link_watch_begin(l);
    link_lease_begin(l);
    link_writer_begin(l);
    link_members_begin(l);
}

static void on_failed(void *ctx, const struct err *why)
{
    link_drop(ctx, "%s", why->text);
}

static void connect_now(struct link *l)
{
    const struct link_endpoint *e = &l->endpoints[l->endpoint];
    struct grpc_channel_config config = {
        .target = e->target,
        .tls = e->tls ? l->tls : NULL,
        .user_agent = "muster-agent",
        .connect_timeout_ms = CONNECT_MS,
        .keepalive_ms = KEEPALIVE_MS,
        .keepalive_timeout_ms = KEEPALIVE_TIMEOUT_MS,
    };
    struct grpc_channel_hooks hooks = {
        .ctx = l, .on_ready = on_ready, .on_failed = on_failed};

    CHECK(!l->channel);
    l->state = LINK_CONNECTING;
    l->stats.connects++;
    l->channel = grpc_channel_open(l->loop, &config, hooks);
}

/* ---- Start ------------------------------------------------------------- */

void link_timer_init(struct link *l, uv_timer_t *timer)
{
    CHECK(uv_timer_init(loop_uv(l->loop), timer) == 0);
    timer->data = l;
    l->open_handles++;
}

/* "host:port" with a port of 1 to 65535. */
static bool has_port(const char *target)
{
    const char *colon = strrchr(target, ':');
    char *end;
    long port;

    if (!colon || colon == target || colon[1] < '0' || colon[1] > '9') {
        return false;
    }
    port = strtol(colon + 1, &end, 10);
    return *end == '\0' && port > 0 && port <= 65535;
}

static enum status endpoint_add(struct link *l, const char *url,
                                struct err *err)
{
    struct link_endpoint *e = &l->endpoints[l->endpoints_count];
    const char *target = url;

    if (l->endpoints_count == LIMIT_STORE_ENDPOINTS) {
        return err_set(err, ST_TOO_BIG, "store: more than %d URLs",
                       LIMIT_STORE_ENDPOINTS);
    }
    if (strncmp(url, "https://", 8) == 0) {
        e->tls = true;
        target = url + 8;
    } else if (strncmp(url, "http://", 7) == 0) {
        target = url + 7;
    } else if (strstr(url, "://") != NULL) {
        return err_set(err, ST_INVALID,
                       "store: %s: a URL must begin with http:// or https://",
                       url);
    }
    e->target = arena_strdup(&l->names, slice_str(target));
    if (target[0] != '\0' && target[strlen(target) - 1] == '/') {
        e->target[strlen(target) - 1] = '\0';
    }
    if (strncmp(e->target, "unix:", 5) != 0 && !has_port(e->target)) {
        return err_set(err, ST_INVALID, "store: %s: no port (etcd's is 2379)",
                       url);
    }
    l->endpoints_count++;
    return ST_OK;
}

static enum status endpoints_init(struct link *l, struct err *err)
{
    bool tls = false;
    enum status st = ST_OK;

    for (size_t i = 0; i < l->config.urls_count && !st; i++) {
        st = endpoint_add(l, l->config.urls[i], err);
    }
    if (!st && l->endpoints_count == 0) {
        st = err_set(err, ST_INVALID, "store: no URL is given");
    }
    for (size_t i = 0; i < l->endpoints_count; i++) {
        tls |= l->endpoints[i].tls;
    }
    if (!st && tls) {
        struct tls_files files = {.cert = l->config.cert,
                                  .key = l->config.key,
                                  .ca = l->config.cacert};

        st = tls_client_new(&files, &l->tls, err);
        if (st) {
            st = err_prefix(err, st,
                            "store (--store-cacert, --store-cert, "
                            "--store-key)");
        }
    }
    /* Agents that start together should not all take the first. */
    if (!st) {
        l->endpoint = rng_below(&l->rng, l->endpoints_count);
    }
    return st;
}

static void strings_copy(struct link *l)
{
    struct record_key live = {.kind = RECORD_LIVE};
    struct live_record record = {0};

    l->config.datacenter =
        arena_strdup(&l->names, slice_str(l->config.datacenter));
    l->config.node = arena_strdup(&l->names, slice_str(l->config.node));
    l->config.node_id = arena_strdup(&l->names, slice_str(l->config.node_id));
    l->config.incarnation =
        arena_strdup(&l->names, slice_str(l->config.incarnation));
    l->range = record_range(&l->names, l->config.datacenter);
    live.node = l->config.node;
    l->live_key = record_key_write(&l->names, l->config.datacenter, &live);
    record.node_id = l->config.node_id;
    record.incarnation = l->config.incarnation;
    buf_init(&l->live_value, LIMIT_RECORD_BYTES);
    CHECK(live_record_write(&record, &l->live_value) == ST_OK);
    /* Only used while starting. */
    l->config.urls = NULL;
    l->config.cacert = NULL;
    l->config.cert = NULL;
    l->config.key = NULL;
}

static void link_free(struct link *l)
{
    link_watch_release(l);
    link_members_release(l);
    sync_free(l->sync);
    catalog_unref(l->catalog);
    buf_release(&l->request);
    buf_release(&l->live_value);
    tls_free(l->tls);
    arena_release(&l->names);
    free(l);
}

enum status link_start(struct loop *loop, const struct link_config *config,
                       struct local *local, struct catalog *catalog,
                       uint64_t cluster_id, size_t keys_count,
                       struct link_hooks hooks, struct link **out_link,
                       struct err *out_err)
{
    struct link *l = calloc(1, sizeof(*l));
    enum status st;

    CHECK(l != NULL);
    l->loop = loop;
    l->config = *config;
    l->hooks = hooks;
    l->local = local;
    l->catalog = catalog;
    l->cluster_id = cluster_id;
    l->keys_count = keys_count;
    l->stale_since_ms = loop_now_ms(loop);
    rng_init(&l->rng, config->seed);
    l->sync = sync_new(config->seed);
    buf_init(&l->request, LIMIT_STORE_REQUEST);
    st = endpoints_init(l, out_err);
    if (st) {
        link_free(l);
        return st;
    }
    strings_copy(l);
    link_timer_init(l, &l->retry);
    link_timer_init(l, &l->stop_timer);
    link_watch_init(l);
    link_lease_init(l);
    link_writer_init(l);
    link_members_init(l);
    connect_now(l);
    *out_link = l;
    return ST_OK;
}

/* ---- Stop -------------------------------------------------------------- */

void link_maybe_stopped(struct link *l)
{
    link_stopped_fn *on_stopped = l->on_stopped;
    void *arg = l->stopped_arg;

    if (l->state != LINK_STOPPED || l->open_handles > 0) {
        return;
    }
    link_free(l);
    on_stopped(arg);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct link *l = handle->data;

    l->open_handles--;
    link_maybe_stopped(l);
}

void link_farewell_done(struct link *l)
{
    uv_timer_t *timers[] = {&l->retry,        &l->stop_timer,
                            &l->lease.timer,  &l->writer.wake,
                            &l->writer.sweep, &l->members_timer};

    if (l->farewell_done) {
        return;
    }
    l->farewell_done = true;
    if (l->channel && l->state != LINK_CLOSING) {
        channel_close(l);
    } else if (!l->channel) {
        l->state = LINK_STOPPED;
    }
    for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
        uv_close((uv_handle_t *)timers[i], on_timer_closed);
    }
}

static void on_stop_timer(uv_timer_t *timer)
{
    struct link *l = timer->data;

    log_warn("agent", "store: no answer to our good-bye; stopping anyway");
    link_farewell_done(l);
}

void link_stop(struct link *l, enum link_stop_mode mode,
               link_stopped_fn *on_stopped, void *arg)
{
    CHECK(!l->stopping);
    l->stopping = true;
    l->stop_mode = mode;
    l->on_stopped = on_stopped;
    l->stopped_arg = arg;
    link_writer_fail_all(l);
    CHECK(uv_timer_start(&l->stop_timer, on_stop_timer, LINK_STOP_MS, 0) == 0);
    link_farewell_begin(l);
}
