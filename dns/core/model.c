#include "dns/core/model.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "dns/core/content.h"
#include "dns/core/serial.h"

struct dns_model {
    struct hash_key hash_key;
    struct dns_config *config;
    struct dns_table names;
    uint64_t round;           /* The sequence of the zone being made. */
    struct dns_zone *last;    /* NULL when it is gone already. */
    struct dns_entry **dirty; /* Made since the last commit. */
    size_t dirty_count;
    size_t dirty_cap;
    struct dns_garbage_list dropped; /* Still read in zones up to `last`. */
    struct dns_areas areas;
    struct dns_locations *locations;    /* NULL: to be made at the commit. */
    struct dns_service_names *services; /* Likewise. */
    struct dns_queries *queries;        /* NULL: none. */
    size_t oversized;                   /* Services that are. */
    struct dns_zone *others[LIMIT_DATACENTERS]; /* Ours, or NULL. */
    uint32_t distances[LIMIT_DATACENTERS];      /* Round trips to them. */
    bool changed;  /* What is shown, since the last commit. */
    bool numbered; /* There is a serial before the next one. */
    uint32_t serial;
};

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
    m->config = config;
    m->round = 1;
    *out_model = m;
    return ST_OK;
}

/* Things that may be NULL go through here: */
#define DROP(m, thing)                                        \
    do {                                                      \
        if ((thing) != NULL) {                                \
            drop(m, (struct dns_garbage *)&(thing)->garbage); \
        }                                                     \
    } while (0)

static void drop(struct dns_model *m, struct dns_garbage *piece)
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

static const struct dns_entry *find(const struct dns_model *m,
                                    const struct dns_name *key)
{
    struct slice bytes = dns_name_slice(key);

    return dns_table_find(&m->names, hash_bytes(m->hash_key, bytes), bytes);
}

/* The entry of this key, to be changed: it is made when there is none, and a
 * copy takes its place when older zones know it. Nothing is prepared of it. */
static struct dns_entry *edit(struct dns_model *m, const struct dns_name *key)
{
    const struct dns_entry *old = find(m, key);
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

/* Take the entry out when it has no reason left to be there. */
static void settle(struct dns_model *m, const struct dns_name *key)
{
    const struct dns_entry *e = find(m, key);

    if (e == NULL || e->service != NULL || e->tag || e->host != NULL ||
        e->owners != NULL || e->below > 0) {
        return;
    }
    CHECK(dns_table_remove(&m->names, m->round, e->hash, dns_entry_key(e),
                           &m->dropped) == e);
    ((struct dns_entry *)e)->dead = true;
    DROP(m, e);
}

static bool service_key(const char *name, struct dns_name *out_key)
{
    *out_key = (struct dns_name){0};
    if (!dns_name_add_label(out_key, slice_str(name)) ||
        !dns_name_add_label(out_key, slice_str("service"))) {
        return false;
    }
    dns_name_lower(out_key);
    return true;
}

/* "<tag>.<name>.service"; false when the tag makes no name. */
static bool tag_key(struct slice tag, const struct dns_name *service,
                    struct dns_name *out_key)
{
    *out_key = (struct dns_name){0};
    return dns_name_add_text(out_key, tag) &&
           dns_name_add_wire(out_key, dns_name_slice(service));
}

enum tag_change {
    TAGS_UNSET,
    TAGS_SET,
    TAGS_SETTLE
};

static void change_tags(struct dns_model *m, const struct dns_service *s,
                        const struct dns_name *key, enum tag_change change)
{
    for (size_t i = 0; s != NULL && i < s->members_count; i++) {
        const struct dns_member *member = &s->members[i];

        for (size_t t = 0; t < member->tags_count; t++) {
            struct dns_name name;

            if (!tag_key(member->tags[t], key, &name)) {
                continue;
            }
            if (change == TAGS_SETTLE) {
                settle(m, &name);
            } else {
                edit(m, &name)->tag = change == TAGS_SET;
            }
        }
    }
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

static void change_owner(struct dns_model *m, const struct dns_address *address,
                         const struct dns_owner *owner, bool add)
{
    struct dns_name key;
    struct dns_entry *e;
    const struct dns_owners *old;

    if (address->len == 0) {
        return;
    }
    dns_name_reverse(&key, slice_of(address->ip, address->len));
    if (is_owner(find(m, &key), owner) == add) {
        return;
    }
    e = edit(m, &key);
    old = e->owners;
    e->owners = dns_owners_change(old, owner, add);
    DROP(m, old);
    settle(m, &key);
}

/* Instances' own addresses; a node's belongs to the node. */
static void change_service_owners(struct dns_model *m,
                                  const struct dns_service *s, bool add)
{
    struct dns_name name = {0};
    struct dns_owner owner = {.is_node = false};

    if (s == NULL) {
        return;
    }
    CHECK(dns_name_add_label(&name, s->name));
    owner.name = dns_name_slice(&name);
    for (size_t i = 0; i < s->members_count; i++) {
        if (s->members[i].address_is_own) {
            change_owner(m, &s->members[i].address, &owner, add);
        }
    }
}

static void drop_service_names(struct dns_model *m)
{
    DROP(m, m->services);
    m->services = NULL;
}

static void drop_locations(struct dns_model *m)
{
    DROP(m, m->locations);
    m->locations = NULL;
}

void dns_model_put_service(struct dns_model *m, const char *name,
                           const struct dns_instance *instances, size_t count)
{
    struct dns_name key;
    const struct dns_entry *entry;
    const struct dns_service *old;
    struct dns_service *s = NULL;

    if (!service_key(name, &key)) {
        return;
    }
    entry = find(m, &key);
    old = entry == NULL ? NULL : entry->service;
    if (old == NULL && count == 0) {
        return;
    }
    if (count > 0) {
        s = dns_service_new(name, instances,
                            count < LIMIT_DNS_INSTANCES ? count
                                                        : LIMIT_DNS_INSTANCES,
                            &m->areas);
    }
    if (old == NULL || s == NULL) {
        drop_service_names(m);
    }
    change_tags(m, old, &key, TAGS_UNSET);
    change_service_owners(m, old, false);
    edit(m, &key)->service = s;
    change_tags(m, s, &key, TAGS_SET);
    change_service_owners(m, s, true);
    change_tags(m, old, &key, TAGS_SETTLE);
    DROP(m, old);
    settle(m, &key);
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

bool dns_model_take_asked(const struct dns_model *m, const char *name)
{
    const struct dns_entry *entry;
    struct dns_name key;

    if (!service_key(name, &key)) {
        return false;
    }
    entry = find(m, &key);
    return entry != NULL && entry->service != NULL &&
           entry->service->asked != NULL &&
           atomic_exchange_explicit(entry->service->asked, false,
                                    memory_order_relaxed);
}

static bool node_key(const char *name, struct dns_name *out_key)
{
    *out_key = (struct dns_name){0};
    if (!dns_name_add_text(out_key, slice_str(name)) ||
        !dns_name_add_label(out_key, slice_str("node"))) {
        return false;
    }
    dns_name_lower(out_key);
    return true;
}

/* A node "a.b" makes "b.node" an empty non-terminal. */
static void change_below(struct dns_model *m, const struct dns_name *key,
                         int by)
{
    struct dns_name parent = *key;

    for (;;) {
        size_t skip = parent.bytes[0] + 1u;

        parent.len = (uint8_t)(parent.len - skip);
        memmove(parent.bytes, parent.bytes + skip, parent.len);
        if (parent.len <= sizeof("node")) {
            return; /* "node" itself. */
        }
        edit(m, &parent)->below += (uint32_t)by;
        settle(m, &parent);
    }
}

/* `host` takes the place of what was there; NULL removes it. */
static void set_host(struct dns_model *m, const struct dns_name *key,
                     struct dns_host *host)
{
    const struct dns_entry *entry = find(m, key);
    const struct dns_host *old = entry == NULL ? NULL : entry->host;

    if (old == NULL && host == NULL) {
        return;
    }
    if (old != NULL) {
        struct dns_owner owner = {true, old->name};

        change_owner(m, &old->ipv4, &owner, false);
        change_owner(m, &old->ipv6, &owner, false);
        change_below(m, key, -1);
    }
    if ((old != NULL && old->area != 0) || (host != NULL && host->area != 0)) {
        drop_locations(m);
    }
    edit(m, key)->host = host;
    if (host != NULL) {
        struct dns_owner owner = {true, host->name};

        change_owner(m, &host->ipv4, &owner, true);
        change_owner(m, &host->ipv6, &owner, true);
        change_below(m, key, 1);
    }
    DROP(m, old);
    settle(m, key);
}

void dns_model_put_node(struct dns_model *m, const struct dns_node *node)
{
    struct dns_name key;

    if (node_key(node->name, &key)) {
        set_host(m, &key, dns_host_new(node, &m->areas));
    }
}

void dns_model_remove_node(struct dns_model *m, const char *name)
{
    struct dns_name key;

    if (node_key(name, &key)) {
        set_host(m, &key, NULL);
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
    drop_locations(m);
    drop_service_names(m);
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
    dns_garbage_free(&m->dropped);
    dns_areas_release(&m->areas);
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
        (void)edit(m, &keys.items[i]);
    }
    free(keys.items);
    return ST_OK;
}

/* Where we are: the area of the node that we are. */
static uint16_t self_area(const struct dns_model *m)
{
    const char *self = m->config->settings.self_node;
    const struct dns_entry *entry = NULL;
    struct dns_name key;

    if (self != NULL && node_key(self, &key)) {
        entry = find(m, &key);
    }
    return entry == NULL || entry->host == NULL ? 0 : entry->host->area;
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
        m->locations = dns_locations_new(&m->names);
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
    z->self_area = self_area(m);
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
