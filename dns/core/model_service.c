/* A service is its own name, those of its tags, and an owner of addresses. */

#include "base/core/check.h"
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
                dns_model_settle(m, &name);
            } else {
                dns_model_edit(m, &name)->tag = change == TAGS_SET;
            }
        }
    }
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
            dns_model_change_owner(m, &s->members[i].address, &owner, add);
        }
    }
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
                            &m->areas);
    }
    if (old == NULL || s == NULL) {
        dns_model_drop_service_names(m);
    }
    change_tags(m, old, &key, TAGS_UNSET);
    change_service_owners(m, old, false);
    dns_model_edit(m, &key)->service = s;
    change_tags(m, s, &key, TAGS_SET);
    change_service_owners(m, s, true);
    change_tags(m, old, &key, TAGS_SETTLE);
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
