/* Reading the configuration and the services again while running. */

#include "agent/core/duration.h"
#include "agent/io/agent_impl.h"
#include "agent/io/listen.h"
#include "agent/io/protect.h"
#include "base/core/check.h"
#include "base/core/log.h"

static uint32_t seconds_up(uint64_t ms)
{
    uint64_t s = (ms + 999) / 1000;

    return s > INT32_MAX ? INT32_MAX : (uint32_t)s;
}

static const struct dns_service_ttl *ttls_of(struct arena *arena,
                                             const struct pairs *pairs)
{
    struct dns_service_ttl *out =
        arena_zalloc(arena, pairs->count, sizeof(*out));

    for (size_t i = 0; i < pairs->count; i++) {
        uint64_t ms = 0;

        /* Looked at when the configuration was read. */
        (void)duration_parse(slice_str(pairs->items[i].value), &ms);
        out[i].pattern = pairs->items[i].key;
        out[i].ttl_s = seconds_up(ms);
    }
    return out;
}

static enum dns_none_healthy none_healthy_of(enum agent_none_healthy rule)
{
    switch (rule) {
    case NONE_HEALTHY_NXDOMAIN:
        return DNS_NONE_NXDOMAIN;
    case NONE_HEALTHY_LAST_HEALTHY:
        return DNS_NONE_LAST_HEALTHY;
    case NONE_HEALTHY_ALL:
        return DNS_NONE_ALL;
    }
    UNREACHABLE();
}

void agent_dns_settings(const struct agent_config *c, struct arena *arena,
                        struct dns_settings *out_settings)
{
    const struct agent_dns_config *d = &c->dns_config;
    struct dns_settings *s = out_settings;

    dns_settings_init(s);
    s->domain = c->domain;
    s->alt_domain = c->alt_domain;
    s->datacenter = c->datacenter;
    s->self_node = c->node;
    s->node_ttl_s = seconds_up(d->node_ttl_ms);
    s->service_ttls = ttls_of(arena, &d->service_ttl);
    s->service_ttls_count = d->service_ttl.count;
    s->soa_refresh_s = d->soa.refresh;
    s->soa_retry_s = d->soa.retry;
    s->soa_expire_s = d->soa.expire;
    s->soa_min_ttl_s = d->soa.min_ttl;
    s->nodata_ttl_s = seconds_up(d->nodata_ttl_ms);
    s->a_record_limit = d->a_record_limit;
    s->udp_answer_limit = d->udp_answer_limit;
    s->edns_udp_size = (uint16_t)d->edns_udp_size;
    s->only_passing = d->only_passing;
    s->enable_truncate = d->enable_truncate;
    s->node_meta_txt = d->node_meta_txt;
    s->always_ra = d->always_ra;
    s->when_none_healthy = none_healthy_of(d->when_none_healthy);
    s->disable_compression = d->disable_compression;
    s->srv_udp_is_tag = d->srv_udp_is_tag;
    s->order = (enum dns_order)d->order;
    s->subset = (enum dns_subset)d->subset;
    s->near_min_healthy = d->near_min_healthy;
    s->near_min_percent = d->near_min_percent;
    s->self_service = d->self_service;
}

void agent_dns_others(const struct agent_config *running, struct arena *arena,
                      struct dns_settings *settings)
{
    const char **names =
        arena_zalloc(arena, running->datacenters_count, sizeof(*names));

    for (size_t i = 0; i < running->datacenters_count; i++) {
        names[i] = running->datacenters[i].name;
    }
    settings->others = names;
    settings->others_count = running->datacenters_count;
}

void agent_dns_recursion(const struct agent_config *c, struct arena *arena,
                         struct dns_recursion_config *out_recursion)
{
    const struct agent_dns_config *d = &c->dns_config;
    struct dns_domain_recursor *domains =
        arena_zalloc(arena, c->recursors_for.count, sizeof(*domains));

    for (size_t i = 0; i < c->recursors_for.count; i++) {
        domains[i].domain = c->recursors_for.items[i].key;
        domains[i].recursor = c->recursors_for.items[i].value;
    }
    *out_recursion = (struct dns_recursion_config){
        .recursors = c->recursors.items,
        .recursors_count = c->recursors.count,
        .domains = domains,
        .domains_count = c->recursors_for.count,
        .order = d->recursor_strategy == RECURSORS_RANDOM
                     ? DNS_RECURSORS_SHUFFLED
                     : DNS_RECURSORS_IN_ORDER,
        .timeout_ms = (uint32_t)d->recursor_timeout_ms,
        .from = c->recursion_from.items,
        .from_count = c->recursion_from.count,
        .cache_bytes = d->cache.bytes,
        .cache_entries = d->cache.entries,
        .ttl_max_s = seconds_up(d->cache.max_ttl_ms),
        .stale_max_s =
            d->cache.serve_stale ? seconds_up(d->cache.max_stale_ms) : 0,
    };
}

static void say_fixed(const char *key, const char *now, const char *wanted)
{
    if (strcmp(now ? now : "off", wanted ? wanted : "off") != 0) {
        log_warn("agent",
                 "reload: %s cannot change while running; restart for \"%s\"",
                 key, wanted ? wanted : "off");
    }
}

/* "dc2 http://10.2.0.1:2379; dc3" */
static const char *others_text(const struct agent_config *c,
                               struct arena *arena)
{
    const char *text = "";

    for (size_t i = 0; i < c->datacenters_count; i++) {
        const struct agent_datacenter *d = &c->datacenters[i];

        text = arena_printf(arena, "%s%s%s", text, i > 0 ? "; " : "", d->name);
        for (size_t k = 0; k < d->store.count; k++) {
            text = arena_printf(arena, "%s %s", text, d->store.items[k]);
        }
    }
    return text;
}

/* What has to stay as it is until a restart. */
static void compare_fixed(const struct agent_config *now,
                          const struct agent_config *wanted)
{
    struct arena arena = {0};

    say_fixed("node", now->node, wanted->node);
    say_fixed("datacenter", now->datacenter, wanted->datacenter);
    say_fixed("remote_datacenters", others_text(now, &arena),
              others_text(wanted, &arena));
    say_fixed("advertise", now->advertise, wanted->advertise);
    say_fixed("data_dir", now->data_dir, wanted->data_dir);
    say_fixed("services", now->services_dir, wanted->services_dir);
    say_fixed("user", now->user, wanted->user);
    say_fixed("group", now->group, wanted->group);
    say_fixed("socket", now->socket_path, wanted->socket_path);
    arena_release(&arena);
}

/* What DNS answers, after it was found good (dns_settings_verify). */
static enum status answers_reload(struct agent *a,
                                  const struct agent_config *wanted,
                                  const struct dns_settings *settings,
                                  struct err *out_err)
{
    struct dnsfeed_ages ages = {
        .mark_ms = wanted->dns_config.stale_mark_ms,
        .max_ms = wanted->dns_config.max_stale_ms,
        .held_is_passing = wanted->guard_serve_passing,
        .translate_wan = wanted->translate_wan_addrs,
    };

    return dnsfeed_set(a->feed, settings, ages, out_err);
}

/* What DNS shows may be more or less then. */
static void rights_reload(struct agent *a, const struct agent_config *wanted)
{
    bool before = acl_enabled(access_table(a->access));

    access_configure(a->access, wanted);
    if (access_news(a->access) || before) {
        dnsfeed_catalog(a->feed, link_catalog(a->link), NULL);
        datacenters_feed(a->datacenters);
        front_rights_changed(a->front);
    }
}

enum status agent_explain_denied(const struct agent *a, enum status st,
                                 struct err *err)
{
    struct err why = *err;

    if (st != ST_DENIED || *a->config->user == '\0') {
        return st;
    }
    return err_set(err, st,
                   "%s; the rights for it were given up after the start: "
                   "restart the agent",
                   why.text);
}

static enum status reload(struct agent *a, struct err *out_err)
{
    struct agent_config wanted;
    struct front_relisten *listeners = NULL;
    struct dns_settings settings;
    struct arena arena = {0};
    enum status st = agent_config_reread(a->config, &wanted, out_err);

    if (st) {
        return st;
    }
    agent_dns_settings(&wanted, &arena, &settings);
    agent_dns_others(a->config, &arena, &settings);
    st = dns_settings_verify(&settings, out_err);
    if (!st) {
        struct front_config front = agent_front_config(a, &wanted);

        st = front_relisten_prepare(a->front, &front, &listeners, out_err);
    }
    if (!st) {
        st = agent_dns_reload(a, &wanted, out_err);
    }
    if (!st) {
        st = answers_reload(a, &wanted, &settings, out_err);
    }
    arena_release(&arena);
    if (st) {
        front_relisten_drop(listeners);
        agent_config_release(&wanted);
        return agent_explain_denied(a, st, out_err);
    }
    front_relisten_commit(a->front, listeners);
    if (a->dns) {
        struct dns_protection protection;

        protect_settings(&wanted.dns_config, a->cookie_key, &protection);
        dns_server_protect(a->dns, &protection);
    }
    members_rename(a->members, wanted.dns_config.self_service);
    janitor_poke(a->janitor);
    log_set_level(wanted.log_level);
    rights_reload(a, &wanted);
    a->strict_default = wanted.http_strict_default;
    agent_view_set_level(a, wanted.api_level);
    a->translate_wan = wanted.translate_wan_addrs;
    projector_set(a->projector, &wanted.projections);
    sentry_set_limits(a->sentry, &wanted.guard);
    datacenters_set_limits(a->datacenters, &wanted.guard);
    if (wanted.guard_mode != a->guard_configured) {
        /* Only if the file has changed: what was said by hand stands. */
        a->guard_configured = wanted.guard_mode;
        sentry_set_mode(a->sentry, wanted.guard_mode);
        datacenters_set_guard(a->datacenters, wanted.guard_mode);
    }
    compare_fixed(a->config, &wanted);
    services_reload(a->services);
    a->reloads++;
    /* The settings' strings were copied; nothing of it is needed longer. */
    agent_config_release(&wanted);
    log_info("agent", "reloaded");
    return ST_OK;
}

enum status agent_reload_now(struct agent *a, struct err *out_err)
{
    enum status st;

    agent_notify_reload(a, true);
    st = reload(a, out_err);
    agent_notify_reload(a, false);
    return st;
}
