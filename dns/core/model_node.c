/* A node is its own name, the empty ones above it, and an owner of addresses.
 */

#include "dns/core/model_impl.h"

bool dns_model_node_key(const char *name, struct dns_name *out_key)
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
        dns_model_edit(m, &parent)->below += (uint32_t)by;
        dns_model_settle(m, &parent);
    }
}

static bool has_location(const struct dns_model *m, const struct dns_host *h)
{
    return h != NULL && (h->area != 0 || dns_spot_known(m->spots, h->spot));
}

/* `host` takes the place of what was there; NULL removes it. */
static void set_host(struct dns_model *m, const struct dns_name *key,
                     struct dns_host *host)
{
    const struct dns_entry *entry = dns_model_find(m, key);
    const struct dns_host *old = entry == NULL ? NULL : entry->host;

    if (old == NULL && host == NULL) {
        return;
    }
    if (old != NULL) {
        struct dns_owner owner = {true, old->name};

        dns_model_change_owner(m, dns_address_slice(&old->ipv4), &owner, false);
        dns_model_change_owner(m, dns_address_slice(&old->ipv6), &owner, false);
        change_below(m, key, -1);
    }
    if (has_location(m, old) || has_location(m, host)) {
        dns_model_drop_locations(m);
    }
    dns_model_edit(m, key)->host = host;
    if (host != NULL) {
        struct dns_owner owner = {true, host->name};

        dns_model_change_owner(m, dns_address_slice(&host->ipv4), &owner, true);
        dns_model_change_owner(m, dns_address_slice(&host->ipv6), &owner, true);
        change_below(m, key, 1);
    }
    DROP(m, old);
    dns_model_settle(m, key);
}

void dns_model_put_node(struct dns_model *m, const struct dns_node *node)
{
    struct dns_name key;

    if (dns_model_node_key(node->name, &key)) {
        set_host(m, &key, dns_host_new(node, &m->areas, &m->spot_names));
    }
}

void dns_model_remove_node(struct dns_model *m, const char *name)
{
    struct dns_name key;

    if (dns_model_node_key(name, &key)) {
        set_host(m, &key, NULL);
    }
}

void dns_model_set_positions(struct dns_model *m,
                             const struct dns_position *positions, size_t count)
{
    DROP(m, m->spots);
    m->spots = dns_spots_new(&m->spot_names, positions, count);
    dns_model_drop_locations(m);
}
