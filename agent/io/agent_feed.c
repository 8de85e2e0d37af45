/* What DNS is fed: our catalogue, and those of other datacenters. */

#include "agent/io/agent_impl.h"

/* ---- What the home feed asks ------------------------------------------- */

static uint64_t stale_ms(void *arg)
{
    struct agent *a = arg;

    return a->link ? link_stale_ms(a->link) : 0;
}

static bool is_kept(void *arg)
{
    struct agent *a = arg;

    return a->sentry && sentry_status(a->sentry).store_emptied;
}

static void on_asked(void *arg, const char *service)
{
    struct agent *a = arg;

    if (a->sentry) {
        sentry_asked(a->sentry, service);
    }
}

static enum knock_verdict verdict_of(void *arg, const char *address,
                                     uint16_t port)
{
    struct agent *a = arg;

    return a->sentry ? sentry_verdict(a->sentry, address, port) : KNOCK_UNKNOWN;
}

/* ---- Start ------------------------------------------------------------- */

/* What all feeds have in common, and what is that of the home feed. */
static struct dnsfeed_config feed_config(struct agent *a, struct arena *arena)
{
    struct dnsfeed_config config = {
        .acl = access_table(a->access),
        .stale_mark_ms = a->config->dns_config.stale_mark_ms,
        .stale_max_ms = a->config->dns_config.max_stale_ms,
        .server = a->dns,
        .stale_ms = stale_ms,
        .kept = is_kept,
        .asked = on_asked,
        .verdict = verdict_of,
        .held_is_passing = a->config->guard_serve_passing,
        .arg = a,
    };

    agent_dns_settings(a->config, arena, &config.settings);
    agent_dns_others(a->config, arena, &config.settings);
    config.serial_known = agent_transfer_serial(a->config, &config.serial);
    return config;
}

enum status agent_feed_open(struct agent *a, struct err *err)
{
    struct arena arena = {0};
    struct dnsfeed_config config = feed_config(a, &arena);
    enum status st = dnsfeed_start(a->loop, &config, &a->feed, err);

    arena_release(&arena);
    return st;
}

static void on_other_catalog(void *ctx)
{
    struct agent *a = ctx;

    if (a->front) {
        front_catalog_changed(a->front);
    }
}

static void on_other_contact(void *ctx)
{
    struct agent *a = ctx;

    if (a->front) {
        front_contact_changed(a->front);
    }
}

enum status agent_datacenters_open(struct agent *a, struct err *err)
{
    struct arena arena = {0};
    struct dnsfeed_config config = feed_config(a, &arena);
    struct datacenters_hooks hooks = {.ctx = a,
                                      .on_catalog = on_other_catalog,
                                      .on_contact = on_other_contact};
    enum status st = datacenters_start(a->loop, a->config, a->feed, &config,
                                       hooks, &a->datacenters, err);

    arena_release(&arena);
    return st;
}
