#include "agent/io/link.h"

#include <stdlib.h>

#include "agent/io/link_impl.h"
#include "base/core/check.h"
#include "base/core/log.h"

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
    return l->addresses[l->endpoints.current].target;
}

uint32_t link_round_trip_us(const struct link *l)
{
    return l->pulse.round_trip_us;
}

struct link_stats link_stats(const struct link *l)
{
    struct link_stats stats = l->stats;

    stats.sync = sync_stats(l->sync);
    stats.lease_id = l->lease.id;
    stats.attached = l->lease.attached;
    stats.live_create_revision = l->lease.live_create_revision;
    stats.name_in_use = l->lease.claim.taken;
    stats.name_owner = l->lease.claim.other_id;
    stats.follows = l->follows.count;
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
    if (current && !l->config.follows_only) {
        link_lease_contact(l);
    }
}

void link_slept(struct link *l, uint64_t slept_ms)
{
    link_drop(l, "this machine has slept");
    link_set_current(l, false);
    l->stale_since_ms -= slept_ms; /* What is older than the clock wraps. */
}

void link_maybe_healthy(struct link *l)
{
    bool registers = !l->config.follows_only;

    if (!l->current ||
        (registers && !l->lease.attached && !l->lease.claim.taken)) {
        return;
    }
    if (l->endpoints.failures_in_row > 0 || !l->ever_current) {
        log_info("agent", "%s: in contact with %s, catalogue at revision %lld",
                 l->title, link_endpoint(l),
                 (long long)catalog_revision(l->catalog));
    }
    l->ever_current = true;
    endpoints_serves(&l->endpoints);
}

void link_adopt_catalog(struct link *l, struct catalog *next,
                        const struct link_update *given)
{
    const struct catalog *old = l->catalog;
    struct link_update update = *given;

    update.before = old;
    l->catalog = next;
    for (size_t i = 0; i < update.changes->problems_count; i++) {
        const struct catalog_problem *p = &update.changes->problems[i];

        log_warn("agent", "%s: %s: %s; left out", l->title, p->key, p->text);
    }
    if (!l->stopping) {
        l->hooks.on_update(l->hooks.ctx, &update);
    }
    catalog_unref(old);
    link_lease_catalog_changed(l);
    link_writer_catalog_changed(l);
    link_farewell_catalog_changed(l);
}

void link_show(struct link *l, struct catalog *next,
               const struct catalog_changes *changes)
{
    struct link_update update = {.aside = true,
                                 .revision = catalog_revision(next),
                                 .cluster_id = l->cluster_id,
                                 .changes = changes};

    CHECK(catalog_revision(next) == catalog_revision(l->catalog));
    link_adopt_catalog(l, next, &update);
}

/* ---- Start ------------------------------------------------------------- */

void link_timer_init(struct link *l, uv_timer_t *timer)
{
    CHECK(uv_timer_init(loop_uv(l->loop), timer) == 0);
    timer->data = l;
    l->open_handles++;
}

void link_live_value(struct link *l, bool stopped)
{
    struct live_record record = {.node_id = l->config.node_id,
                                 .incarnation = l->config.incarnation,
                                 .stopped = stopped};

    buf_clear(&l->live_value);
    CHECK(live_record_write(&record, &l->live_value) == ST_OK);
}

/* What this host is called in the store. */
static void self_copy(struct link *l)
{
    struct record_key live = {.kind = RECORD_LIVE};

    l->config.node = arena_strdup(&l->names, slice_str(l->config.node));
    l->config.node_id = arena_strdup(&l->names, slice_str(l->config.node_id));
    l->config.incarnation =
        arena_strdup(&l->names, slice_str(l->config.incarnation));
    live.node = l->config.node;
    l->live_key = record_key_write(&l->names, l->config.datacenter, &live);
    buf_init(&l->live_value, LIMIT_RECORD_BYTES);
    link_live_value(l, false);
}

static void strings_copy(struct link *l)
{
    l->config.datacenter =
        arena_strdup(&l->names, slice_str(l->config.datacenter));
    if (l->config.follows_only) {
        l->range = record_range_elsewhere(&l->names, l->config.datacenter);
    } else {
        l->range = record_range(&l->names, l->config.datacenter);
        self_copy(l);
    }
    /* Only used while starting. */
    l->config.urls = NULL;
    l->config.cacert = NULL;
    l->config.cert = NULL;
    l->config.key = NULL;
}

static void link_free(struct link *l)
{
    link_watch_release(l);
    link_follows_release(l);
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
    uv_update_time(loop_uv(loop)); /* What came before may have blocked. */
    l->stale_since_ms = loop_now_ms(loop);
    l->title = config->follows_only
                   ? arena_printf(&l->names, "store of %s", config->datacenter)
                   : "store";
    l->sync = sync_new(config->seed);
    buf_init(&l->request, LIMIT_STORE_REQUEST);
    st = link_endpoints_init(l, out_err);
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
    link_asks_init(l);
    link_follows_init(l);
    link_pulse_init(l);
    link_connect(l);
    *out_link = l;
    return ST_OK;
}

/* ---- Stop -------------------------------------------------------------- */

void link_maybe_stopped(struct link *l)
{
    link_stopped_fn *on_stopped = l->on_stopped;
    void *arg = l->stopped_arg;

    if (l->state != LINK_STOPPED || l->open_handles > 0) {
        return; /* Channels that are closing count as handles. */
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
    uv_timer_t *timers[] = {&l->retry,       &l->stop_timer,   &l->lease.timer,
                            &l->writer.wake, &l->writer.sweep, &l->pulse.timer};

    if (l->farewell_done) {
        return;
    }
    l->farewell_done = true;
    link_disconnect(l);
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
