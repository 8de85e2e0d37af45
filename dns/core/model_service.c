/* A service is its own name, those of its tags, and an owner of addresses. */

#include "base/core/arena.h"
#include "base/core/check.h"
#include "dns/core/distinct.h"
#include "dns/core/model_impl.h"

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

enum {
    BEFORE = 1,
    AFTER = 2
};

/* What a service had and has: each key once, and when it was there. A change is
 * mostly one of many instances, so most keys were and are. */
struct comparison {
    struct arena arena;
    struct dns_distinct seen;
    struct slice *keys;
    uint8_t *when; /* BEFORE, AFTER or both. */
    size_t count;
};

static void comparison_init(struct comparison *c, size_t count_max)
{
    *c = (struct comparison){0};
    dns_distinct_init(&c->seen, &c->arena, count_max);
    c->keys = arena_alloc(&c->arena, count_max * sizeof(c->keys[0]));
    c->when = arena_zalloc(&c->arena, count_max, sizeof(c->when[0]));
}

static void compare(struct comparison *c, struct slice key, uint8_t when)
{
    size_t at = dns_distinct_add(&c->seen, key, c->count);

    if (at == c->count) {
        c->keys[c->count++] = key;
    }
    c->when[at] |= when;
}

static size_t tags_count(const struct dns_service *s)
{
    size_t count = 0;

    for (size_t i = 0; s != NULL && i < s->members_count; i++) {
        count += s->members[i].tags_count;
    }
    return count;
}

static void compare_tags(struct comparison *c, const struct dns_service *s,
                         uint8_t when)
{
    for (size_t i = 0; s != NULL && i < s->members_count; i++) {
        const struct dns_member *m = &s->members[i];

        for (size_t t = 0; t < m->tags_count; t++) {
            compare(c, m->tags[t], when);
        }
    }
}

static void put_tags(struct dns_model *m, const struct dns_name *key,
                     const struct comparison *c, bool are)
{
    for (size_t i = 0; i < c->count; i++) {
        struct dns_name name;

        if ((c->when[i] != BEFORE) == are && tag_key(c->keys[i], key, &name)) {
            dns_model_edit(m, &name)->tag = are;
            dns_model_settle(m, &name);
        }
    }
}

/* Those that were and are become new entries, too: what they answer has
 * changed. Two spellings may be one name, so what is comes last. */
static void change_tags(struct dns_model *m, const struct dns_service *old,
                        const struct dns_service *s, const struct dns_name *key)
{
    struct comparison c;

    comparison_init(&c, tags_count(old) + tags_count(s));
    compare_tags(&c, old, BEFORE);
    compare_tags(&c, s, AFTER);
    put_tags(m, key, &c, false);
    put_tags(m, key, &c, true);
    arena_release(&c.arena);
}

/* Instances' own addresses; a node's belongs to the node. */
static void compare_addresses(struct comparison *c, const struct dns_service *s,
                              uint8_t when)
{
    for (size_t i = 0; s != NULL && i < s->members_count; i++) {
        const struct dns_address *a = &s->members[i].address;

        if (s->members[i].address_is_own && a->len > 0) {
            compare(c, dns_address_slice(a), when);
        }
    }
}

static size_t members_count(const struct dns_service *s)
{
    return s == NULL ? 0 : s->members_count;
}

static void change_owners(struct dns_model *m, const struct dns_service *old,
                          const struct dns_service *s)
{
    struct dns_owner owner = {.is_node = false};
    struct dns_name name = {0};
    struct comparison c;

    CHECK(dns_name_add_label(&name, s == NULL ? old->name : s->name));
    owner.name = dns_name_slice(&name);
    comparison_init(&c, members_count(old) + members_count(s));
    compare_addresses(&c, old, BEFORE);
    compare_addresses(&c, s, AFTER);
    for (size_t i = 0; i < c.count; i++) {
        if (c.when[i] != (BEFORE | AFTER)) {
            dns_model_change_owner(m, c.keys[i], &owner, c.when[i] == AFTER);
        }
    }
    arena_release(&c.arena);
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
    entry = dns_model_find(m, &key);
    old = entry == NULL ? NULL : entry->service;
    if (old == NULL && count == 0) {
        return;
    }
    if (count > 0) {
        s = dns_service_new(name, instances,
                            count < LIMIT_DNS_INSTANCES ? count
                                                        : LIMIT_DNS_INSTANCES,
                            &m->areas, &m->spot_names);
    }
    if (old == NULL || s == NULL) {
        dns_model_drop_service_names(m);
    }
    dns_model_edit(m, &key)->service = s;
    change_tags(m, old, s, &key);
    change_owners(m, old, s);
    DROP(m, old);
    dns_model_settle(m, &key);
}

bool dns_model_take_asked(const struct dns_model *m, const char *name)
{
    const struct dns_entry *entry;
    struct dns_name key;

    if (!service_key(name, &key)) {
        return false;
    }
    entry = dns_model_find(m, &key);
    return entry != NULL && entry->service != NULL &&
           entry->service->asked != NULL &&
           atomic_exchange_explicit(entry->service->asked, false,
                                    memory_order_relaxed);
}
