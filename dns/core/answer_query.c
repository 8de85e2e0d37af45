/*
 * Names below "query": a prepared query is executed in the zone, and when its
 * service has nobody to offer there, in those of other datacenters.
 */
#include <stdlib.h>
#include <strings.h>

#include "base/core/check.h"
#include "dns/core/select.h"
#include "query/core/choose.h"

/* ---- The name ------------------------------------------------------- */

/* "_name._tcp" is "name", as RFC 2782 would have it; else the labels, with dots
 * between them. NULL: no query has such a name. */
static const char *name_of(struct dns_decider *d)
{
    char *name = arena_alloc(d->arena, DNS_NAME_MAX + 1);
    unsigned parts = d->place.parts;
    size_t skip = 0;
    size_t len = 0;

    if (parts == 2 && dns_underscored(d->q, 0) && dns_underscored(d->q, 1)) {
        parts = 1;
        skip = 1;
    }
    for (unsigned i = 0; i < parts; i++) {
        struct slice label = slice_skip(dns_label(d->q, i), skip);

        if (memchr(label.data, '\0', label.len) != NULL) {
            return NULL;
        }
        if (i > 0) {
            name[len++] = '.';
        }
        memcpy(name + len, label.data, label.len);
        len += label.len;
    }
    name[len] = '\0';
    return name;
}

/* ---- Choosing ------------------------------------------------------- */

static enum query_health health_of(enum dns_health health)
{
    switch (health) {
    case DNS_PASSING:
        return QUERY_PASSING;
    case DNS_WARNING:
        return QUERY_WARNING;
    case DNS_CRITICAL:
        return QUERY_CRITICAL;
    }
    UNREACHABLE();
}

static struct query_candidate candidate(const struct dns_member *m)
{
    return (struct query_candidate){
        .tags = m->tags,
        .tags_count = m->tags_count,
        .node_meta = m->node_meta,
        .node_meta_count = m->node_meta_count,
        .service_meta = m->meta,
        .service_meta_count = m->meta_count,
        .health = health_of(m->health),
        .checks = m->checks,
        .checks_count = m->checks_count,
    };
}

static bool is_chosen(const struct query_def *def, const struct dns_member *m)
{
    struct query_candidate c = candidate(m);

    return query_chooses(def, &c);
}

bool dns_query_selects(const struct query_def *def, const struct dns_member *m)
{
    struct query_candidate c = candidate(m);

    c.health = QUERY_PASSING;
    c.checks_count = 0;
    return query_chooses(def, &c);
}

static struct dns_members choose(struct dns_decider *d,
                                 const struct query_def *def,
                                 const struct dns_service *service)
{
    struct dns_members chosen = {
        .items = arena_alloc(d->arena, (service->members_count + 1) *
                                           sizeof(chosen.items[0])),
        .order = dns_order_of(&d->config->settings, service)};

    for (size_t i = 0; i < service->members_count; i++) {
        if (is_chosen(def, &service->members[i])) {
            chosen.items[chosen.count++] = &service->members[i];
        }
    }
    if (service->asked != NULL && d->q->type != DNS_TYPE_SRV) {
        dns_drop_last_resort(&chosen);
    }
    return chosen;
}

/* ---- Nearness ------------------------------------------------------- */

static const bool *all_areas(struct dns_decider *d)
{
    size_t areas = d->zone->areas_count + 1;
    bool *near = arena_alloc(d->arena, areas * sizeof(near[0]));

    for (size_t i = 0; i < areas; i++) {
        near[i] = i > 0;
    }
    return near;
}

static bool is_on(const struct dns_member *m, struct slice node)
{
    return m->node.len > 0 && dns_same(m->node, node);
}

/* Those on the node come first; if there are none, those in its area. */
static void near_node(struct dns_decider *d, const char *name,
                      struct dns_members *chosen)
{
    struct dns_name key = {0};
    const struct dns_entry *entry;

    if (!dns_name_add_text(&key, slice_str(name)) ||
        !dns_name_add_label(&key, slice_str("node"))) {
        return;
    }
    dns_name_lower(&key);
    entry = dns_zone_find(d->zone, dns_name_slice(&key));
    if (entry == NULL || entry->host == NULL) {
        return;
    }
    chosen->order = DNS_ORDER_NEAR;
    chosen->by_origin = true;
    chosen->origin_area = entry->host->area;
    d->answer->origin_given = true;
    d->answer->origin_spot = entry->host->spot;
    for (size_t i = 0; i < chosen->count; i++) {
        if (is_on(chosen->items[i], entry->host->name)) {
            chosen->origin_node = entry->host->name;
        }
    }
}

/* Elsewhere nobody is near. */
static void order(struct dns_decider *d, const struct query_def *def,
                  struct dns_members *chosen)
{
    const struct dns_settings *settings = &d->config->settings;

    if (settings->elsewhere) {
        chosen->order =
            chosen->order == DNS_ORDER_NEAR ? DNS_ORDER_SHUFFLE : chosen->order;
    } else if (strcmp(def->near, "_agent") == 0) {
        if (settings->self_node != NULL) {
            near_node(d, settings->self_node, chosen);
        }
    } else if (strcmp(def->near, "_ip") == 0 ||
               (*def->near == '\0' && chosen->order == DNS_ORDER_NEAR)) {
        chosen->order = DNS_ORDER_NEAR;
        chosen->near = all_areas(d);
    } else if (*def->near != '\0') {
        near_node(d, def->near, chosen);
    }
}

/* ---- Executing ------------------------------------------------------- */

/* In the zone at hand. */
static struct dns_members execute(struct dns_decider *d,
                                  const struct query_def *def,
                                  struct dns_selection *s)
{
    struct dns_name label = {0};
    struct dns_name lower = {0};

    s->service = NULL;
    if (!dns_name_add_label(&label, slice_str(def->service))) {
        return (struct dns_members){0};
    }
    lower = label;
    dns_name_lower(&lower);
    s->service = dns_find_service(d, slice_skip(dns_name_slice(&lower), 1));
    if (s->service == NULL) {
        return (struct dns_members){0};
    }
    d->answer->asked = s->service->asked;
    return choose(d, def, s->service);
}

/* What a datacenter is called, here and there. NULL: it has no zone that could
 * be believed. */
static const struct dns_zone *zone_of(const struct dns_decider *d,
                                      unsigned index)
{
    const struct dns_zone *zone =
        index == 0 ? d->home : d->home->others[index - 1];

    return zone == NULL || zone->state == DNS_UNKNOWN ||
                   zone->state == DNS_EXPIRED
               ? NULL
               : zone;
}

static void turn_to(struct dns_decider *d, const struct dns_zone *zone)
{
    d->zone = zone;
    d->config = zone->config;
}

struct site {
    const char *name;
    uint32_t distance; /* 0: this is home; UINT32_MAX: not measured. */
};

static int by_distance(const void *a, const void *b)
{
    const struct site *x = a;
    const struct site *y = b;

    if (x->distance != y->distance) {
        return x->distance < y->distance ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

static uint32_t distance_of(const struct dns_decider *d, unsigned index)
{
    uint32_t us = index == 0 ? 0 : d->home->distances[index - 1];

    return index > 0 && us == 0 ? UINT32_MAX : us;
}

/* Other datacenters than the one that was asked, the nearest first. Distances
 * are those from here; seen from another one, we are its first. */
static struct texts known(struct dns_decider *d)
{
    unsigned total = d->home->config->others_count + 1;
    struct site *sites = arena_zalloc(d->arena, total, sizeof(*sites));
    const char **names = arena_zalloc(d->arena, total, sizeof(*names));
    size_t count = 0;

    for (unsigned i = 0; i < total; i++) {
        const struct dns_zone *zone = zone_of(d, i);

        if (zone != NULL && zone != d->zone) {
            sites[count++] = (struct site){zone->config->settings.datacenter,
                                           distance_of(d, i)};
        }
    }
    qsort(sites, count, sizeof(*sites), by_distance);
    for (size_t i = 0; i < count; i++) {
        names[i] = sites[i].name;
    }
    return (struct texts){.items = names, .count = count};
}

static const struct dns_zone *find_zone(const struct dns_decider *d,
                                        const char *name)
{
    for (unsigned i = 0; i <= d->home->config->others_count; i++) {
        const struct dns_zone *zone = zone_of(d, i);

        if (zone != NULL &&
            strcasecmp(zone->config->settings.datacenter, name) == 0) {
            return zone;
        }
    }
    return NULL;
}

static struct dns_members fail_over(struct dns_decider *d,
                                    const struct query_def *def,
                                    struct dns_selection *s)
{
    const struct dns_zone *asked = d->zone;
    struct texts dcs = query_failover(def, known(d), d->arena);
    struct dns_members chosen = {0};

    for (size_t i = 0; i < dcs.count; i++) {
        turn_to(d, find_zone(d, dcs.items[i]));
        chosen = execute(d, def, s);
        if (chosen.count > 0) {
            return chosen;
        }
    }
    turn_to(d, asked);
    return chosen;
}

void dns_use_query(struct dns_decider *d, struct dns_query_use *out_use)
{
    struct dns_query_use *u = out_use;
    struct dns_selection asked;
    uint64_t ttl_s;

    *u = (struct dns_query_use){.name = name_of(d)};
    if (u->name != NULL && d->zone->queries != NULL) {
        u->query = query_table_find(d->zone->queries->table, u->name);
    }
    if (u->query != NULL &&
        query_render(u->query, u->name, d->arena, &u->def, NULL) != ST_OK) {
        u->query = NULL;
    }
    if (u->query == NULL) {
        return;
    }
    ttl_s = (u->def.ttl_ms + 999) / 1000;
    u->selection.ttl_given = *u->def.ttl != '\0';
    u->selection.ttl_s = ttl_s > INT32_MAX ? INT32_MAX : (uint32_t)ttl_s;
    u->chosen = execute(d, &u->def, &u->selection);
    if (u->chosen.count == 0) {
        asked = u->selection;
        u->chosen = fail_over(d, &u->def, &u->selection);
        if (u->chosen.count == 0) {
            u->selection = asked;
            return;
        }
    }
    order(d, &u->def, &u->chosen);
}

static void answer(struct dns_decider *d, const struct dns_query_use *use)
{
    if (use->chosen.count == 0) {
        dns_decide_missing(d);
        return;
    }
    d->answer->order = use->chosen.order;
    dns_answer_members(d, &use->selection, use->chosen);
    if (d->answer->answers.count == 0) {
        dns_decide_nodata(d);
    }
}

void dns_decide_query(struct dns_decider *d)
{
    const struct query_table *queries =
        d->zone->queries == NULL ? NULL : d->zone->queries->table;
    struct dns_query_use use;

    d->answer->depends = true;
    dns_use_query(d, &use);
    if (use.query != NULL) {
        answer(d, &use);
    } else if (use.name != NULL &&
               (query_table_below(queries, use.name) ||
                (d->place.parts == 1 && dns_label(d->q, 0).data[0] == '_'))) {
        dns_decide_nodata(d); /* Others lie below it. */
    } else {
        dns_decide_missing(d);
    }
}
