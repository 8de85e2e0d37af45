#include <openssl/rand.h>
#include <stdlib.h>

#include "agent/io/dnsfeed_impl.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/io/loop.h"
#include "dns/io/server.h"

#define AGE_EVERY_MS 1000

/* ---- From catalogue to model ------------------------------------------- */

/* Questions come without tokens, so all get what one token may read; a token
 * that nobody knows may read nothing. */
static bool may_show(struct dnsfeed *f, enum acl_resource resource,
                     const char *name)
{
    struct acl_auth auth;

    if (!acl_enabled(f->config.acl)) {
        return true;
    }
    return acl_for_dns(f->config.acl, &auth) == ACL_FOUND &&
           acl_may(&auth, resource, name, ACL_READ);
}

/* One service's instances, gathered in an arena. */
struct gathering {
    struct dnsfeed *feed;
    struct arena *arena;
    const struct catalog *catalog;
    struct dns_instance *items;
    size_t count;
    size_t cap;
    size_t held;
};

static enum dns_health health_of(enum health_sum sum)
{
    switch (sum) {
    case HEALTH_PASSING:
        return DNS_PASSING;
    case HEALTH_WARNING:
        return DNS_WARNING;
    case HEALTH_CRITICAL:
    case HEALTH_MAINTENANCE:
        return DNS_CRITICAL;
    }
    UNREACHABLE();
}

const char *dnsfeed_pair(struct pairs pairs, const char *key)
{
    for (size_t i = 0; i < pairs.count; i++) {
        if (strcmp(pairs.items[i].key, key) == 0) {
            return pairs.items[i].value;
        }
    }
    return NULL;
}

const char *dnsfeed_tagged(const struct tagged_address *tagged, size_t count,
                           const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(tagged[i].name, name) == 0) {
            return tagged[i].address;
        }
    }
    return NULL;
}

const struct dns_pair *dnsfeed_pairs(struct arena *a, struct pairs pairs)
{
    struct dns_pair *out = arena_zalloc(a, pairs.count, sizeof(*out));

    for (size_t i = 0; i < pairs.count; i++) {
        out[i].key = pairs.items[i].key;
        out[i].value = pairs.items[i].value;
    }
    return out;
}

static const struct dns_named_port *ports_of(struct arena *a,
                                             const struct named_port *ports,
                                             size_t count)
{
    struct dns_named_port *out = arena_zalloc(a, count, sizeof(*out));

    for (size_t i = 0; i < count; i++) {
        out[i].name = ports[i].name;
        out[i].port = ports[i].port;
    }
    return out;
}

static uint16_t weight_of(uint32_t weight)
{
    return weight > UINT16_MAX ? UINT16_MAX : (uint16_t)weight;
}

static struct dns_instance *gathering_add(struct gathering *g)
{
    if (g->count == g->cap) {
        size_t cap = g->cap ? g->cap * 2 : 8;
        struct dns_instance *grown =
            arena_zalloc(g->arena, cap, sizeof(*grown));

        if (g->count > 0) {
            memcpy(grown, g->items, g->count * sizeof(*grown));
        }
        g->items = grown;
        g->cap = cap;
    }
    return &g->items[g->count++];
}

static bool on_instance(void *ctx, const struct catalog_instance *i)
{
    struct gathering *g = ctx;
    const struct instance_record *r = &i->record;
    const struct catalog_node *node = catalog_node(g->catalog, r->node);
    struct dns_instance *out;

    if (!may_show(g->feed, ACL_NODE, r->node)) {
        return true;
    }
    out = gathering_add(g);
    *out = (struct dns_instance){
        .id = r->id,
        .node = node && node->known ? node->record.name : r->node,
        .area = node ? dnsfeed_pair(node->record.meta, "zone") : NULL,
        .weight_passing = weight_of(r->weight_passing),
        .weight_warning = weight_of(r->weight_warning),
        .health = health_of(catalog_instance_health(g->catalog, i)),
        .tags = r->tags.items,
        .tags_count = r->tags.count,
        .meta = dnsfeed_pairs(g->arena, r->meta),
        .meta_count = r->meta.count,
        .ports = ports_of(g->arena, r->ports, r->ports_count),
        .ports_count = r->ports_count,
    };
    dnsfeed_instance_addresses(g->feed, r, node, out);
    dnsfeed_held_mark(g->feed, node, i, out);
    dnsfeed_query_mark(g->feed, g->arena, g->catalog, node, i, out);
    g->held += out->held;
    return true;
}

static void service_feed(struct dnsfeed *f, const struct catalog *catalog,
                         const char *name)
{
    const struct catalog_service *service = catalog_service(catalog, name);
    struct arena arena = {0};
    struct gathering g = {.feed = f, .arena = &arena, .catalog = catalog};

    dnsfeed_recent_look(f, catalog, name);
    if (service && may_show(f, ACL_SERVICE, name)) {
        catalog_each_instance(service, on_instance, &g);
    }
    dns_model_put_service(f->model, name, g.items, g.count);
    dnsfeed_held_note(f, name, g.held);
    arena_release(&arena);
}

void dnsfeed_service(struct dnsfeed *f, const char *name)
{
    if (f->catalog && !f->stopped) {
        service_feed(f, f->catalog, name);
        loop_defer(f->loop, LOOP_WORK, &f->commit);
    }
}

static void node_put(struct dnsfeed *f, const struct node_record *r)
{
    struct arena arena = {0};
    struct dns_node node = {
        .name = r->name,
        .meta = dnsfeed_pairs(&arena, r->meta),
        .meta_count = r->meta.count,
    };

    dnsfeed_node_addresses(f, r, &node);
    dns_model_put_node(f->model, &node);
    arena_release(&arena);
}

static void node_feed(struct dnsfeed *f, const struct catalog *catalog,
                      const char *name)
{
    const struct catalog_node *node = catalog_node(catalog, name);

    if (node && node->known && may_show(f, ACL_NODE, name)) {
        node_put(f, &node->record);
    } else {
        dns_model_remove_node(f->model, name);
    }
}

struct feeding {
    struct dnsfeed *feed;
    const struct catalog *catalog;
};

static bool on_service(void *ctx, const struct catalog_service *s)
{
    struct feeding *g = ctx;

    service_feed(g->feed, g->catalog, catalog_service_name(s));
    return true;
}

static bool on_node(void *ctx, const struct catalog_node *n)
{
    struct feeding *g = ctx;

    node_feed(g->feed, g->catalog, n->record.name);
    return true;
}

/* What differs from what was fed last. */
static bool differences_feed(struct dnsfeed *f, const struct catalog *catalog,
                             const struct catalog_changes *changes)
{
    for (size_t i = 0; i < changes->nodes.count; i++) {
        node_feed(f, catalog, changes->nodes.items[i]);
    }
    for (size_t i = 0; i < changes->services.count; i++) {
        service_feed(f, catalog, changes->services.items[i]);
    }
    return changes->nodes.count > 0 || changes->services.count > 0;
}

void dnsfeed_catalog(struct dnsfeed *f, const struct catalog *catalog,
                     const struct catalog_changes *changes)
{
    struct feeding all = {.feed = f, .catalog = catalog};
    const struct catalog *before = f->catalog;
    bool changed = true;
    bool all_again = !changes || !before;

    if (catalog_revision(catalog) == 0) {
        return;
    }
    /* The serial of the zone: what a guard does is a change, too. */
    f->revision =
        catalog_index(catalog, (struct catalog_scope){.kind = SCOPE_NONE});
    if (all_again || changes->queries) {
        all_again = dnsfeed_query_take(f, catalog) || all_again;
    }
    if (all_again) {
        dns_model_clear(f->model);
        catalog_each_node(catalog, on_node, &all);
        catalog_each_service(catalog, on_service, &all);
    } else {
        changed = differences_feed(f, catalog, changes) || changes->queries;
    }
    f->catalog = catalog_ref(catalog);
    catalog_unref(before);
    if (changed) {
        loop_defer(f->loop, LOOP_WORK, &f->commit);
    }
}

/* ---- From the own services --------------------------------------------- */

static bool same_service(const struct gathering *g, const char *name)
{
    for (size_t i = 0; i < g->count; i++) {
        if (strcmp(g->items[i].id, name) == 0) {
            return true;
        }
    }
    return false;
}

struct own {
    struct dnsfeed *feed;
    struct local *local;
    struct gathering names; /* Names done so far, as ids. */
    struct gathering now;   /* Of the service at hand. */
    const char *name;
};

static bool on_own_instance(void *ctx, const struct local_service *s)
{
    struct own *o = ctx;
    const struct service_def *d = s->def;
    const struct node_record *node = &local_host(o->local)->node;

    if (strcmp(d->name, o->name) != 0) {
        return true;
    }
    *gathering_add(&o->now) = (struct dns_instance){
        .id = d->id,
        .node = node->name,
        .node_address = node->address,
        .address = d->address,
        .lan_ipv4 = dnsfeed_tagged(d->tagged, d->tagged_count, "lan_ipv4"),
        .lan_ipv6 = dnsfeed_tagged(d->tagged, d->tagged_count, "lan_ipv6"),
        .area = dnsfeed_pair(node->meta, "zone"),
        .port = d->port,
        .weight_passing = weight_of(d->weight_passing),
        .weight_warning = weight_of(d->weight_warning),
        .health = health_of(s->health),
        .tags = d->tags.items,
        .tags_count = d->tags.count,
        .meta = dnsfeed_pairs(o->now.arena, d->meta),
        .meta_count = d->meta.count,
        .ports = ports_of(o->now.arena, d->ports, d->ports_count),
        .ports_count = d->ports_count,
    };
    return true;
}

static bool on_own_service(void *ctx, const struct local_service *s)
{
    struct own *o = ctx;

    if (same_service(&o->names, s->def->name) ||
        !may_show(o->feed, ACL_SERVICE, s->def->name)) {
        return true;
    }
    gathering_add(&o->names)->id = s->def->name;
    o->name = s->def->name;
    o->now = (struct gathering){.arena = o->names.arena};
    local_each_service(o->local, on_own_instance, o);
    dns_model_put_service(o->feed->model, o->name, o->now.items, o->now.count);
    return true;
}

void dnsfeed_local(struct dnsfeed *f, struct local *local)
{
    struct arena arena = {0};
    struct own o = {.feed = f, .local = local, .names = {.arena = &arena}};

    if (f->revision != 0) {
        return;
    }
    dns_model_clear(f->model);
    if (may_show(f, ACL_NODE, local_host(local)->node.name)) {
        node_put(f, &local_host(local)->node);
    }
    local_each_service(local, on_own_service, &o);
    loop_defer(f->loop, LOOP_WORK, &f->commit);
    arena_release(&arena);
}

/* ---- Publishing -------------------------------------------------------- */

static enum dns_state state_now(struct dnsfeed *f)
{
    uint64_t stale_ms = f->config.stale_ms(f->config.arg);

    if (f->revision == 0) {
        return DNS_UNKNOWN;
    }
    if (stale_ms >= f->config.stale_max_ms) {
        return DNS_EXPIRED;
    }
    return stale_ms >= f->config.stale_mark_ms || f->config.kept(f->config.arg)
               ? DNS_STALE
               : DNS_FRESH;
}

static bool warned_before(struct dnsfeed *f, struct slice name)
{
    for (size_t i = 0; i < f->warned_count; i++) {
        if (slice_eq(slice_str(f->warned[i]), name)) {
            return true;
        }
    }
    return false;
}

/* Once a service, and for the first ones only. */
void dnsfeed_warn_oversized(struct dnsfeed *f, const struct dns_zone *zone)
{
    struct slice names[DNS_OVERSIZED_NAMES];
    size_t count = dns_zone_new_oversized(zone, names);

    f->oversized = dns_zone_oversized(zone);
    for (size_t i = 0; i < count && f->warned_count < WARNED_MAX; i++) {
        if (warned_before(f, names[i])) {
            continue;
        }
        f->warned[f->warned_count++] = arena_strdup(&f->warned_texts, names[i]);
        log_warn("dns",
                 "service \"%.*s\" has more instances than one DNS message "
                 "holds; clients get a part of them. Ask by tag, in parts "
                 "(1of4.page.%.*s.service), or over HTTP",
                 (int)names[i].len, (const char *)names[i].data,
                 (int)names[i].len, (const char *)names[i].data);
    }
}

void dnsfeed_publish(struct dnsfeed *f)
{
    loop_undefer(f->loop, LOOP_WORK, &f->commit);
    f->state = state_now(f);
    if (f->config.home) {
        f->fed = true;
        loop_defer(f->loop, LOOP_WORK, &f->config.home->commit);
        return;
    }
    if (f->config.server) {
        dnsfeed_others_commit(f);
        f->zone = dns_model_commit(f->model, f->revision, f->state);
        dnsfeed_warn_oversized(f, f->zone);
        dns_server_publish(f->config.server, f->zone);
    }
}

const struct dns_zone *dnsfeed_zone(const struct dnsfeed *f)
{
    return f->zone;
}

size_t dnsfeed_oversized(const struct dnsfeed *f)
{
    return f->oversized;
}

static void on_commit(struct loop_task *task)
{
    dnsfeed_publish(
        (struct dnsfeed *)(void *)((char *)task -
                                   offsetof(struct dnsfeed, commit)));
}

static void on_age(uv_timer_t *timer)
{
    struct dnsfeed *f = timer->data;

    if (state_now(f) != f->state) {
        loop_defer(f->loop, LOOP_WORK, &f->commit);
    }
}

enum status dnsfeed_set(struct dnsfeed *f, const struct dns_settings *settings,
                        struct dnsfeed_ages ages, struct err *out_err)
{
    struct dns_settings own = dnsfeed_settings(f, settings);
    enum status st = dns_model_set_settings(f->model, &own, out_err);

    if (!st) {
        f->config.translate_wan = ages.translate_wan;
        f->config.stale_mark_ms = ages.mark_ms;
        f->config.stale_max_ms = ages.max_ms;
        f->config.held_is_passing = ages.held_is_passing;
        dnsfeed_held_feed(f, HELD_ALL);
    }
    if (!st && !f->stopped) {
        loop_defer(f->loop, LOOP_WORK, &f->commit);
    }
    return st ? st : dnsfeed_others_set(f, settings, ages, out_err);
}

void dnsfeed_serve(struct dnsfeed *f, struct dns_server *server)
{
    f->config.server = server;
    loop_defer(f->loop, LOOP_WORK, &f->commit);
}

/* ---- Start, stop ------------------------------------------------------- */

enum status dnsfeed_start(struct loop *loop,
                          const struct dnsfeed_config *config,
                          struct dnsfeed **out_feed, struct err *out_err)
{
    struct dnsfeed *f = calloc(1, sizeof(*f));
    struct dns_settings settings;
    struct hash_key key;
    enum status st;

    CHECK(f != NULL);
    CHECK(RAND_bytes((unsigned char *)&key, sizeof(key)) == 1);
    f->loop = loop;
    f->config = *config;
    f->commit.run = on_commit;
    settings = dnsfeed_settings(f, &config->settings);
    st = dns_model_new(&settings, key, &f->model, out_err);
    if (st) {
        free(f);
        return st;
    }
    if (config->serial_known) {
        dns_model_serial_after(f->model, config->serial);
    }
    CHECK(uv_timer_init(loop_uv(loop), &f->age) == 0);
    f->age.data = f;
    CHECK(uv_timer_start(&f->age, on_age, AGE_EVERY_MS, AGE_EVERY_MS) == 0);
    dnsfeed_held_init(f);
    if (f->config.home) {
        CHECK(f->config.home->others_count == f->config.index);
        f->config.home->others[f->config.home->others_count++] = f;
    }
    *out_feed = f;
    return ST_OK;
}

void dnsfeed_stop(struct dnsfeed *f)
{
    f->stopped = true;
    f->zone = NULL; /* The server frees it. */
    dnsfeed_others_stop(f);
    loop_undefer(f->loop, LOOP_WORK, &f->commit);
    (void)uv_timer_stop(&f->age);
    dnsfeed_held_stop(f);
}

static void on_other_closed(void *arg);

/* Of our zones, the last of which keeps those of the others, nothing is left:
 * now these may go. */
static void others_close(struct dnsfeed *f)
{
    f->others_open = f->others_count;
    for (size_t i = 0; i < f->others_count; i++) {
        dnsfeed_close(f->others[i], on_other_closed, f);
    }
}

static void feed_free(struct dnsfeed *f)
{
    dnsfeed_closed_fn *on_closed = f->on_closed;
    void *arg = f->closed_arg;

    free(f);
    on_closed(arg);
}

static void on_other_closed(void *arg)
{
    struct dnsfeed *home = arg;

    if (--home->others_open == 0) {
        feed_free(home);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct dnsfeed *f = handle->data;

    if (--f->open > 0) {
        return;
    }
    dnsfeed_held_release(f);
    catalog_unref(f->catalog);
    dns_model_free(f->model);
    arena_release(&f->warned_texts);
    others_close(f);
    if (f->others_count == 0) {
        feed_free(f);
    }
}

void dnsfeed_close(struct dnsfeed *f, dnsfeed_closed_fn *on_closed, void *arg)
{
    CHECK(f->stopped);
    f->on_closed = on_closed;
    f->closed_arg = arg;
    f->open = 3;
    uv_close((uv_handle_t *)&f->age, on_timer_closed);
    uv_close((uv_handle_t *)&f->look, on_timer_closed);
    uv_close((uv_handle_t *)&f->forget, on_timer_closed);
}
