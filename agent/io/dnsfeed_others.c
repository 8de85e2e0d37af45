/* Other datacenters: their zones stand in ours, and those of their addresses
 * are shown that are meant for us. */

#include "agent/io/dnsfeed_impl.h"
#include "base/core/check.h"

/* ---- Addresses --------------------------------------------------------- */

static bool has_address(const struct instance_record *r)
{
    return r->address && r->address[0] != '\0';
}

/* An instance without an address of its own has its node's, all of them. */
static const char *tagged_of(const struct instance_record *r,
                             const struct catalog_node *node, const char *name)
{
    const char *own = dnsfeed_tagged(r->tagged, r->tagged_count, name);

    if (own || has_address(r) || !node) {
        return own;
    }
    return dnsfeed_pair(node->record.tagged, name);
}

static const char *or_else(const char *text, const char *otherwise)
{
    return text && text[0] != '\0' ? text : otherwise;
}

/* That of the address "wan", if it has one of its own. */
static uint16_t wan_port(const struct instance_record *r)
{
    for (size_t i = 0; i < r->tagged_count; i++) {
        if (strcmp(r->tagged[i].name, "wan") == 0 && r->tagged[i].port != 0) {
            return r->tagged[i].port;
        }
    }
    return r->port;
}

void dnsfeed_instance_addresses(const struct dnsfeed *f,
                                const struct instance_record *r,
                                const struct catalog_node *node,
                                struct dns_instance *out)
{
    const struct node_record *n = node && node->known ? &node->record : NULL;

    out->node_address = n ? n->address : "";
    out->address = r->address;
    out->port = r->port;
    if (!f->config.home) {
        out->lan_ipv4 = tagged_of(r, node, "lan_ipv4");
        out->lan_ipv6 = tagged_of(r, node, "lan_ipv6");
    } else if (f->config.translate_wan) {
        out->lan_ipv4 = tagged_of(r, node, "wan_ipv4");
        out->lan_ipv6 = tagged_of(r, node, "wan_ipv6");
        out->address = or_else(
            dnsfeed_tagged(r->tagged, r->tagged_count, "wan"), r->address);
        out->node_address =
            n ? or_else(dnsfeed_pair(n->tagged, "wan"), n->address) : "";
        out->port = wan_port(r);
    }
}

void dnsfeed_node_addresses(const struct dnsfeed *f,
                            const struct node_record *r, struct dns_node *out)
{
    out->address = r->address;
    if (!f->config.home) {
        out->lan_ipv4 = dnsfeed_pair(r->tagged, "lan_ipv4");
        out->lan_ipv6 = dnsfeed_pair(r->tagged, "lan_ipv6");
    } else if (f->config.translate_wan) {
        out->lan_ipv4 = dnsfeed_pair(r->tagged, "wan_ipv4");
        out->lan_ipv6 = dnsfeed_pair(r->tagged, "wan_ipv6");
        out->address = or_else(dnsfeed_pair(r->tagged, "wan"), r->address);
    }
}

/* ---- Zones ------------------------------------------------------------- */

struct dns_settings dnsfeed_settings(const struct dnsfeed *f,
                                     const struct dns_settings *home)
{
    struct dns_settings settings = *home;

    if (f->config.home) {
        settings.datacenter = f->config.datacenter;
        settings.others = NULL;
        settings.others_count = 0;
        settings.self_node = NULL;
        settings.elsewhere = true;
    }
    return settings;
}

void dnsfeed_others_commit(struct dnsfeed *home)
{
    for (size_t i = 0; i < home->others_count; i++) {
        struct dnsfeed *f = home->others[i];
        struct dns_zone *zone;

        dns_model_set_distance(home->model, f->config.index,
                               f->config.round_trip_us(f->config.arg));
        if (!f->fed) {
            continue;
        }
        f->fed = false;
        zone = dns_model_commit(f->model, f->revision, f->state);
        dnsfeed_warn_oversized(f, zone);
        dns_model_set_other(home->model, f->config.index, zone);
    }
}

enum status dnsfeed_others_set(struct dnsfeed *home,
                               const struct dns_settings *settings,
                               struct dnsfeed_ages ages, struct err *err)
{
    enum status st = ST_OK;

    for (size_t i = 0; i < home->others_count && !st; i++) {
        struct dnsfeed *f = home->others[i];
        bool other_addresses = f->config.translate_wan != ages.translate_wan;

        st = dnsfeed_set(f, settings, ages, err);
        if (!st && other_addresses && f->catalog) {
            dnsfeed_catalog(f, f->catalog, NULL);
        }
    }
    return st;
}

void dnsfeed_others_stop(struct dnsfeed *home)
{
    for (size_t i = 0; i < home->others_count; i++) {
        dnsfeed_stop(home->others[i]);
    }
}
