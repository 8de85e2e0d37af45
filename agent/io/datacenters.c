#include "agent/io/datacenters.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "agent/io/coords_told.h"
#include "agent/io/dnsfeed.h"
#include "agent/io/link.h"
#include "agent/io/replica.h"
#include "agent/io/sentry.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/metrics.h"
#include "base/io/loop.h"

/* A replica that could not be written is tried again after this. */
#define RELIST_MS 60000

struct datacenter {
    struct datacenters *all;
    const struct agent_datacenter *config;
    const char *title; /* Of its guard. */
    struct link *link; /* NULL: not begun, or ended. */
    struct coords_told *coords;
    struct replica *replica;
    struct sentry *sentry;
    struct dnsfeed *feed;
    bool replica_behind; /* It keeps what the store has lost. */
    bool has_timer;
    uv_timer_t relist;
};

struct datacenters {
    struct loop *loop;
    const struct agent_config *config;
    struct datacenters_hooks hooks;
    struct datacenter *items;
    struct api_datacenter *views;
    size_t count;
    struct arena titles;
    bool stopping;
    unsigned open;
    datacenters_done_fn *on_done;
    void *arg;
};

/* ---- What its link brings ---------------------------------------------- */

/* As of our own: what the guard keeps from readers is kept from the disk. */
static void replica_follow(struct datacenter *dc,
                           const struct link_update *update)
{
    bool emptied = sentry_status(dc->sentry).store_emptied;

    dc->replica_behind = emptied || (dc->replica_behind && !update->full);
    if (!dc->replica_behind) {
        replica_update(dc->replica, update);
    }
}

static void on_update(void *ctx, const struct link_update *update)
{
    struct datacenter *dc = ctx;

    sentry_look(dc->sentry, update);
    coords_told_update(dc->coords, update);
    replica_follow(dc, update);
    dnsfeed_catalog(dc->feed, link_catalog(dc->link), update->changes);
    dc->all->hooks.on_catalog(dc->all->hooks.ctx);
    if (!update->aside) {
        sentry_act(dc->sentry);
    }
}

static void on_contact(void *ctx)
{
    struct datacenter *dc = ctx;

    coords_told_contact(dc->coords);
    dc->all->hooks.on_contact(dc->all->hooks.ctx);
}

static void relist(struct datacenter *dc)
{
    if (!dc->all->stopping) {
        link_relist(dc->link);
    }
}

static void on_relist(uv_timer_t *timer)
{
    relist(timer->data);
}

static void on_replica_lost(void *arg)
{
    struct datacenter *dc = arg;

    if (!dc->all->stopping) {
        CHECK(uv_timer_start(&dc->relist, on_relist, RELIST_MS, 0) == 0);
    }
}

static void on_refill_over(void *ctx)
{
    relist(ctx);
}

/* Nobody knocks at doors elsewhere, so there is no news of them. */
static void on_verdict(void *ctx)
{
    (void)ctx;
}

/* ---- What its feed asks ------------------------------------------------ */

static uint64_t stale_ms(void *arg)
{
    const struct datacenter *dc = arg;

    return dc->link ? link_stale_ms(dc->link) : 0;
}

static uint32_t round_trip_us(void *arg)
{
    const struct datacenter *dc = arg;

    return dc->link ? link_round_trip_us(dc->link) : 0;
}

static bool is_kept(void *arg)
{
    const struct datacenter *dc = arg;

    return dc->sentry && sentry_status(dc->sentry).store_emptied;
}

/* Addresses elsewhere may be other hosts' here: a door that is shut says
 * nothing. */
static void on_asked(void *arg, const char *service)
{
    (void)arg;
    (void)service;
}

static enum knock_verdict verdict_of(void *arg, const char *address,
                                     uint16_t port)
{
    (void)arg;
    (void)address;
    (void)port;
    return KNOCK_UNKNOWN;
}

/* ---- Start ------------------------------------------------------------- */

static enum status feed_open(struct datacenter *dc, struct dnsfeed *home,
                             const struct dnsfeed_config *dns, struct err *err)
{
    struct dnsfeed_config config = *dns;

    config.home = home;
    config.server = NULL;
    config.datacenter = dc->config->name;
    config.index = (size_t)(dc - dc->all->items);
    config.translate_wan = dc->all->config->translate_wan_addrs;
    config.stale_ms = stale_ms;
    config.round_trip_us = round_trip_us;
    config.kept = is_kept;
    config.asked = on_asked;
    config.verdict = verdict_of;
    config.arg = dc;
    return dnsfeed_start(dc->all->loop, &config, &dc->feed, err);
}

static enum status link_open(struct datacenter *dc, struct err *err)
{
    const struct agent_config *c = dc->all->config;
    struct texts urls =
        dc->config->store.count > 0 ? dc->config->store : c->store_urls;
    struct link_config config = {.urls = urls.items,
                                 .urls_count = urls.count,
                                 .cacert = dc->config->cacert,
                                 .cert = dc->config->cert,
                                 .key = dc->config->key,
                                 .datacenter = dc->config->name,
                                 .follows_only = true};
    struct link_hooks hooks = {
        .ctx = dc, .on_update = on_update, .on_contact = on_contact};
    struct replica_content content;
    enum status st;

    CHECK(RAND_bytes((unsigned char *)&config.seed, sizeof(config.seed)) == 1);
    replica_take(dc->replica, &content);
    arena_release(&content.acl_arena);
    st = link_start(dc->all->loop, &config, NULL, content.catalog,
                    content.cluster_id, content.keys_count, hooks, &dc->link,
                    err);
    if (!st) {
        dc->coords = coords_told_new(dc->link, dc->config->name, NULL, NULL);
        log_info("agent",
                 "replica of %s: %zu services on %zu nodes at revision %lld",
                 dc->config->name, catalog_services_count(content.catalog),
                 catalog_nodes_count(content.catalog),
                 (long long)catalog_revision(content.catalog));
        dnsfeed_catalog(dc->feed, content.catalog, NULL);
        dnsfeed_publish(dc->feed);
    }
    return st;
}

static enum status datacenter_open(struct datacenter *dc, struct dnsfeed *home,
                                   const struct dnsfeed_config *dns,
                                   struct err *err)
{
    struct datacenters *d = dc->all;
    struct sentry_hooks hooks = {.ctx = dc,
                                 .title = dc->title,
                                 .on_refill_over = on_refill_over,
                                 .on_verdict = on_verdict};
    char path[4200];
    enum status st;

    CHECK(uv_timer_init(loop_uv(d->loop), &dc->relist) == 0);
    dc->relist.data = dc;
    dc->has_timer = true;
    (void)snprintf(path, sizeof(path), "%s/replica-%s.mdb", d->config->data_dir,
                   dc->config->name);
    st = replica_open(loop_uv(d->loop), path, dc->config->name, on_replica_lost,
                      dc, &dc->replica, err);
    if (!st) {
        st = feed_open(dc, home, dns, err);
    }
    if (!st) {
        st = link_open(dc, err);
    }
    if (st) {
        return err_prefix(err, st, "remote_datacenters.%s", dc->config->name);
    }
    dc->sentry = sentry_start(d->loop, dc->link, &d->config->guard,
                              d->config->guard_mode, hooks);
    return ST_OK;
}

enum status datacenters_start(struct loop *loop,
                              const struct agent_config *config,
                              struct dnsfeed *feed,
                              const struct dnsfeed_config *dns,
                              struct datacenters_hooks hooks,
                              struct datacenters **out, struct err *out_err)
{
    struct datacenters *d = calloc(1, sizeof(*d));
    size_t count = config->datacenters_count;
    enum status st = ST_OK;

    CHECK(d != NULL);
    d->loop = loop;
    d->config = config;
    d->hooks = hooks;
    d->items = calloc(count + 1, sizeof(*d->items));
    d->views = calloc(count + 1, sizeof(*d->views));
    CHECK(d->items != NULL && d->views != NULL);
    *out = d;
    for (size_t i = 0; i < count && !st; i++) {
        struct datacenter *dc = &d->items[i];

        dc->all = d;
        dc->config = &config->datacenters[i];
        dc->title = arena_printf(&d->titles, "guard of %s", dc->config->name);
        d->count++;
        st = datacenter_open(dc, feed, dns, out_err);
    }
    return st;
}

/* ---- While it runs ----------------------------------------------------- */

const struct api_datacenter *datacenters_view(struct datacenters *d,
                                              size_t *out_count)
{
    size_t count = 0;

    for (size_t i = 0; i < d->count; i++) {
        const struct link *l = d->items[i].link;

        if (!l) {
            continue; /* It has ended. */
        }
        d->views[count++] = (struct api_datacenter){
            .name = d->items[i].config->name,
            .catalog = link_catalog(l),
            .known_leader = link_current(l),
            .last_contact_ms = link_stale_ms(l),
            .leader = link_leader(l),
            .peers = link_peers(l),
            .round_trip_us = link_round_trip_us(l),
            .coords = coords_told_known(d->items[i].coords),
        };
    }
    *out_count = count;
    return d->views;
}

enum {
    GAUGES = 4
};

static double gauge_of(const struct api_datacenter *v, size_t which)
{
    switch (which) {
    case 0:
        return v->known_leader ? 1 : 0;
    case 1:
        return (double)v->last_contact_ms / 1000;
    case 2:
        return (double)catalog_revision(v->catalog);
    default:
        return (double)v->round_trip_us / 1e6;
    }
}

void datacenters_metrics(struct datacenters *d, struct arena *arena,
                         struct metrics *list)
{
    static const char *const names[GAUGES][2] = {
        {"muster_datacenter_current",
         "Whether the replica of another datacenter follows its store."},
        {"muster_datacenter_replica_age_seconds",
         "Time since that replica was last known to be current."},
        {"muster_datacenter_replica_revision",
         "The revision of that store that it shows."},
        {"muster_datacenter_round_trip_seconds",
         "Of a question to that store; 0: not known yet."},
    };
    size_t count;
    const struct api_datacenter *views = datacenters_view(d, &count);
    struct metric *all = arena_zalloc(arena, GAUGES * count, sizeof(*all));

    for (size_t i = 0; i < GAUGES * count; i++) {
        size_t which = i / count;
        const struct api_datacenter *v = &views[i % count];

        all[i] =
            (struct metric){.name = names[which][0],
                            .help = names[which][1],
                            .type = METRIC_GAUGE,
                            .labels = arena_printf(arena, "dc=\"%s\"", v->name),
                            .value = gauge_of(v, which)};
        metrics_add(list, &all[i]);
    }
}

struct link *datacenters_link(struct datacenters *d, const char *name)
{
    for (size_t i = 0; i < d->count; i++) {
        if (strcmp(d->items[i].config->name, name) == 0) {
            return d->items[i].link;
        }
    }
    return NULL;
}

void datacenters_feed(struct datacenters *d)
{
    for (size_t i = 0; i < d->count; i++) {
        dnsfeed_catalog(d->items[i].feed, link_catalog(d->items[i].link), NULL);
    }
}

void datacenters_slept(struct datacenters *d, uint64_t slept_ms)
{
    for (size_t i = 0; i < d->count; i++) {
        link_slept(d->items[i].link, slept_ms);
    }
}

void datacenters_set_guard(struct datacenters *d, enum guard_mode mode)
{
    for (size_t i = 0; i < d->count; i++) {
        sentry_set_mode(d->items[i].sentry, mode);
    }
}

void datacenters_set_limits(struct datacenters *d,
                            const struct guard_limits *limits)
{
    for (size_t i = 0; i < d->count; i++) {
        sentry_set_limits(d->items[i].sentry, limits);
    }
}

/* ---- End --------------------------------------------------------------- */

static void one_done(struct datacenters *d)
{
    if (--d->open == 0) {
        d->on_done(d->arg);
    }
}

static void on_link_stopped(void *arg)
{
    struct datacenter *dc = arg;

    dc->link = NULL;
    one_done(dc->all);
}

void datacenters_stop(struct datacenters *d, datacenters_done_fn *on_done,
                      void *arg)
{
    d->stopping = true;
    d->on_done = on_done;
    d->arg = arg;
    d->open = 1;
    for (size_t i = 0; i < d->count; i++) {
        if (d->items[i].link) {
            d->open++;
            coords_told_stop(d->items[i].coords);
            link_stop(d->items[i].link, LINK_STOP_KEEP, on_link_stopped,
                      &d->items[i]);
        }
    }
    one_done(d);
}

static void on_part_closed(void *arg)
{
    struct datacenter *dc = arg;

    one_done(dc->all);
}

static void on_sentry_stopped(void *arg)
{
    struct datacenter *dc = arg;

    dc->sentry = NULL;
    one_done(dc->all);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct datacenter *dc = handle->data;

    one_done(dc->all);
}

static void datacenter_close(struct datacenter *dc)
{
    if (dc->sentry) {
        dc->all->open++;
        sentry_stop(dc->sentry, on_sentry_stopped, dc);
    }
    if (dc->replica) {
        dc->all->open++;
        replica_close(dc->replica, on_part_closed, dc);
    }
    if (dc->has_timer) {
        dc->all->open++;
        uv_close((uv_handle_t *)&dc->relist, on_timer_closed);
    }
}

void datacenters_close(struct datacenters *d, datacenters_done_fn *on_done,
                       void *arg)
{
    d->on_done = on_done;
    d->arg = arg;
    d->open = 1;
    for (size_t i = 0; i < d->count; i++) {
        datacenter_close(&d->items[i]);
    }
    one_done(d);
}

void datacenters_free(struct datacenters *d)
{
    if (!d) {
        return;
    }
    for (size_t i = 0; i < d->count; i++) {
        coords_told_free(d->items[i].coords);
    }
    arena_release(&d->titles);
    free(d->views);
    free(d->items);
    free(d);
}
