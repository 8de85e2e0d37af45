#include "dns/core/model_impl.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "dns/core/serial.h"

enum status dns_model_new(const struct dns_settings *settings,
                          struct hash_key key, struct dns_model **out_model,
                          struct err *err)
{
    struct dns_model *m;
    struct dns_config *config = NULL;
    enum status st = dns_config_new(settings, &config, err);

    if (st) {
        return st;
    }
    m = calloc(1, sizeof(*m));
    CHECK(m != NULL);
    m->hash_key = key;
    m->spot_names.key = key;
    m->config = config;
    m->round = 1;
    *out_model = m;
    return ST_OK;
}

void dns_model_drop(struct dns_model *m, struct dns_garbage *piece)
{
    dns_garbage_add(&m->dropped, piece);
}

static void entry_release(void *piece)
{
    struct dns_entry *e = piece;

    for (unsigned slot = 0; slot < DNS_SLOTS; slot++) {
        dns_prepared_slot_free(&e->prepared[slot]);
    }
}

static void mark_dirty(struct dns_model *m, struct dns_entry *entry)
{
    if (m->dirty_count == m->dirty_cap) {
        m->dirty_cap = m->dirty_cap == 0 ? 64 : 2 * m->dirty_cap;
        m->dirty = realloc(m->dirty, m->dirty_cap * sizeof(m->dirty[0]));
        CHECK(m->dirty != NULL);
    }
    m->dirty[m->dirty_count++] = entry;
    m->changed = true;
}

const struct dns_entry *dns_model_find(const struct dns_model *m,
                                       const struct dns_name *key)
{
    struct slice bytes = dns_name_slice(key);

    return dns_table_find(&m->names, hash_bytes(m->hash_key, bytes), bytes);
}

struct dns_entry *dns_model_edit(struct dns_model *m,
                                 const struct dns_name *key)
{
    const struct dns_entry *old = dns_model_find(m, key);
    struct dns_entry *e;

    if (old != NULL && old->round == m->round) {
        return (struct dns_entry *)old;
    }
    e = calloc(1, sizeof(*e) + key->len);
    CHECK(e != NULL);
    if (old != NULL) {
        m->oversized -= old->oversized;
        e->service = old->service;
        e->tag = old->tag;
        e->host = old->host;
        e->owners = old->owners;
        e->below = old->below;
    }
    e->garbage.release = entry_release;
    e->round = m->round;
    e->hash = hash_bytes(m->hash_key, dns_name_slice(key));
    e->key_len = key->len;
    memcpy(e->key, key->bytes, key->len);
    CHECK(dns_table_put(&m->names, m->round, e, &m->dropped) == old);
    DROP(m, old);
    mark_dirty(m, e);
    return e;
}

void dns_model_settle(struct dns_model *m, const struct dns_name *key)
{
    const struct dns_entry *e = dns_model_find(m, key);

    if (e == NULL || e->service != NULL || e->tag || e->host != NULL ||
        e->owners != NULL || e->below > 0) {
        return;
    }
    CHECK(dns_table_remove(&m->names, m->round, e->hash, dns_entry_key(e),
                           &m->dropped) == e);
    ((struct dns_entry *)e)->dead = true;
    DROP(m, e);
}

static bool is_owner(const struct dns_entry *e, const struct dns_owner *owner)
{
    for (size_t i = 0; e != NULL && e->owners != NULL && i < e->owners->count;
         i++) {
        if (dns_owner_order(&e->owners->items[i], owner) == 0) {
            return true;
        }
    }
    return false;
}

void dns_model_change_owner(struct dns_model *m, struct slice address,
                            const struct dns_owner *owner, bool add)
{
    struct dns_name key;
    struct dns_entry *e;
    const struct dns_owners *old;

    if (address.len == 0) {
        return;
    }
    dns_name_reverse(&key, address);
    if (is_owner(dns_model_find(m, &key), owner) == add) {
        return;
    }
    e = dns_model_edit(m, &key);
    old = e->owners;
    e->owners = dns_owners_change(old, owner, add);
    DROP(m, old);
    dns_model_settle(m, &key);
}

void dns_model_drop_service_names(struct dns_model *m)
{
    DROP(m, m->services);
    m->services = NULL;
}

void dns_model_drop_locations(struct dns_model *m)
{
    DROP(m, m->locations);
    m->locations = NULL;
}

static void queries_release(void *piece)
{
    query_table_unref(((struct dns_queries *)piece)->table);
}

void dns_model_set_queries(struct dns_model *m, const struct query_table *t)
{
    DROP(m, m->queries);
    m->queries = NULL;
    if (t != NULL) {
        m->queries = calloc(1, sizeof(*m->queries));
        CHECK(m->queries != NULL);
        m->queries->garbage.release = queries_release;
        m->queries->table = query_table_ref(t);
    }
}

static void drop_entry(void *ctx, const struct dns_entry *entry)
{
    struct dns_model *m = ctx;

    DROP(m, entry->service);
    DROP(m, entry->host);
    DROP(m, entry->owners);
    ((struct dns_entry *)entry)->dead = entry->round == m->round;
    DROP(m, entry);
}

void dns_model_clear(struct dns_model *m)
{
    dns_table_each(&m->names, drop_entry, m);
    dns_table_drop(&m->names, &m->dropped);
    m->names.count = 0;
    m->oversized = 0;
    m->changed = true;
    dns_model_drop_locations(m);
    dns_model_drop_service_names(m);
}

void dns_model_free(struct dns_model *m)
{
    if (m == NULL) {
        return;
    }
    CHECK(m->last == NULL);
    dns_others_unref(m->others);
    dns_model_clear(m);
    dns_model_set_queries(m, NULL);
    DROP(m, m->spots);
    dns_garbage_free(&m->dropped);
    dns_areas_release(&m->areas);
    dns_spot_names_release(&m->spot_names);
    free(m->config);
    free(m->dirty);
    free(m);
}

struct key_list {
    struct dns_name *items;
    size_t count;
};

static void collect_key(void *ctx, const struct dns_entry *entry)
{
    struct key_list *keys = ctx;
    struct dns_name *key = &keys->items[keys->count++];

    key->len = 0;
    CHECK(dns_name_add_wire(key, dns_entry_key(entry)));
}

enum status dns_model_set_settings(struct dns_model *m,
                                   const struct dns_settings *settings,
                                   struct err *err)
{
    struct dns_config *config = NULL;
    struct key_list keys = {0};
    enum status st = dns_config_new(settings, &config, err);

    if (st) {
        return st;
    }
    DROP(m, m->config);
    m->config = config;
    keys.items = malloc((m->names.count + 1) * sizeof(keys.items[0]));
    CHECK(keys.items != NULL);
    dns_table_each(&m->names, collect_key, &keys);
    for (size_t i = 0; i < keys.count; i++) {
        (void)dns_model_edit(m, &keys.items[i]);
    }
    free(keys.items);
    return ST_OK;
}

/* Where we are: the node that we are. */
static void find_self(const struct dns_model *m, struct dns_zone *z)
{
    const char *self = m->config->settings.self_node;
    const struct dns_entry *entry = NULL;
    struct dns_name key;

    if (self != NULL && dns_model_node_key(self, &key)) {
        entry = dns_model_find(m, &key);
    }
    if (entry != NULL && entry->host != NULL) {
        z->self_area = entry->host->area;
        z->self_spot = entry->host->spot;
    }
}

static void measure_dirty(struct dns_model *m, struct dns_zone *z)
{
    for (size_t i = 0; i < m->dirty_count; i++) {
        struct dns_entry *e = m->dirty[i];

        e->oversized = !e->dead && dns_entry_oversized(z, e);
        m->oversized += e->oversized;
        if (e->oversized && z->new_oversized_count < DNS_OVERSIZED_NAMES) {
            z->new_oversized[z->new_oversized_count++] = e->service->name;
        }
    }
    m->dirty_count = 0;
    z->oversized = m->oversized;
}

void dns_model_serial_after(struct dns_model *m, uint32_t serial)
{
    m->numbered = true;
    m->serial = serial;
}

/* Before anything is known of the store, the zone is not the store's. */
static void number(struct dns_model *m, struct dns_zone *z, uint64_t revision)
{
    if (z->state == DNS_UNKNOWN) {
        z->serial = m->numbered ? m->serial : (uint32_t)revision;
        return;
    }
    m->serial = m->numbered
                    ? dns_serial_next(m->serial, (uint32_t)revision, m->changed)
                    : (uint32_t)revision;
    m->numbered = true;
    m->changed = false;
    z->serial = m->serial;
    z->serial_ahead = z->serial != (uint32_t)revision;
}

struct dns_zone *dns_model_commit(struct dns_model *m, uint64_t revision,
                                  enum dns_state state)
{
    struct dns_zone *z = calloc(1, sizeof(*z));

    CHECK(z != NULL);
    z->model = m;
    z->sequence = m->round;
    z->state = state;
    number(m, z, revision);
    z->hash_key = m->hash_key;
    z->names = m->names;
    z->config = m->config;
    if (m->locations == NULL) {
        m->locations = dns_locations_new(&m->names, m->spots);
    }
    if (m->services == NULL) {
        m->services = dns_service_names_new(&m->names);
    }
    dns_others_ref(m->others, z->others);
    memcpy(z->distances, m->distances, sizeof(z->distances));
    z->locations = m->locations;
    z->services = m->services;
    z->queries = m->queries;
    z->areas_count = m->areas.count;
    z->spots = m->spots;
    find_self(m, z);
    measure_dirty(m, z);
    if (m->last == NULL) {
        dns_garbage_free(&m->dropped);
    } else {
        m->last->dropped = m->dropped;
        m->last->model = NULL;
    }
    m->dropped = (struct dns_garbage_list){0};
    m->last = z;
    m->round++;
    return z;
}

void dns_model_set_other(struct dns_model *m, size_t index,
                         struct dns_zone *zone)
{
    CHECK(index < m->config->others_count);
    dns_zone_free(m->others[index]);
    m->others[index] = zone;
}

void dns_model_set_distance(struct dns_model *m, size_t index,
                            uint32_t round_trip_us)
{
    CHECK(index < m->config->others_count);
    m->distances[index] = round_trip_us;
}

uint64_t dns_zone_sequence(const struct dns_zone *z)
{
    return z->sequence;
}

size_t dns_zone_oversized(const struct dns_zone *z)
{
    return z->oversized;
}

size_t dns_zone_new_oversized(const struct dns_zone *z,
                              struct slice out_names[DNS_OVERSIZED_NAMES])
{
    memcpy(out_names, z->new_oversized, sizeof(z->new_oversized));
    return z->new_oversized_count;
}

size_t dns_zone_names(const struct dns_zone *z)
{
    return z->names.count;
}

void dns_zone_as_fresh(const struct dns_zone *zone, struct dns_zone *out_fresh)
{
    *out_fresh = (struct dns_zone){.sequence = zone->sequence,
                                   .serial = zone->serial,
                                   .state = DNS_FRESH,
                                   .hash_key = zone->hash_key,
                                   .names = zone->names,
                                   .config = zone->config,
                                   .locations = zone->locations,
                                   .services = zone->services,
                                   .queries = zone->queries,
                                   .areas_count = zone->areas_count,
                                   .self_area = zone->self_area,
                                   .self_spot = zone->self_spot,
                                   .spots = zone->spots};
    memcpy(out_fresh->others, zone->others, sizeof(zone->others));
}

void dns_zone_free(struct dns_zone *z)
{
    if (z == NULL) {
        return;
    }
    if (z->refs > 0) { /* Other zones still look at it. */
        z->refs--;
        return;
    }
    dns_others_unref(z->others);
    if (z->model != NULL) {
        CHECK(z->model->last == z);
        z->model->last = NULL;
    }
    for (unsigned d = 0; d < DNS_DOMAINS_MAX; d++) {
        dns_prepared_slot_free(&z->soa[d][0]);
        dns_prepared_slot_free(&z->soa[d][1]);
    }
    dns_garbage_free(&z->dropped);
    free(z);
}
