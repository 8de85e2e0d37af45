#include "base/core/check.h"
#include "dns/core/decide.h"
#include "dns/core/distinct.h"

/* Name servers told of. */
enum {
    NAME_SERVERS_MAX = 3
};

struct name_server {
    struct slice node; /* Labels, no root. */
    struct dns_address ipv4;
    struct dns_address ipv6;
};

struct name_servers {
    struct name_server items[NAME_SERVERS_MAX];
    size_t count;
};

static void add_member(struct name_servers *to, const struct dns_member *m)
{
    struct name_server *n = &to->items[to->count++];

    *n = (struct name_server){.node = m->node};
    *(m->address.len == 4 ? &n->ipv4 : &n->ipv6) = m->address;
}

/* The nodes that run the service named in self_service: distinct, with a name
 * and an address, healthy ones first. */
static void add_members(const struct dns_decider *d, struct name_servers *to)
{
    struct slice self = d->config->self_service;
    const struct dns_service *s =
        self.len == 0 ? NULL : dns_find_service(d, self);
    size_t total = s == NULL ? 0 : s->members_count;
    struct dns_distinct seen;

    dns_distinct_init(&seen, d->arena, 2 * total);
    for (size_t i = 0; i < 2 * total && to->count < NAME_SERVERS_MAX; i++) {
        bool second_pass = i >= total;
        const struct dns_member *m = &s->members[second_pass ? i - total : i];
        bool sick = m->health == DNS_CRITICAL;

        if (sick == second_pass && m->node.len > 0 && m->address.len > 0 &&
            dns_distinct_add(&seen, m->node, i) == i) {
            add_member(to, m);
        }
    }
}

/* Nobody is registered: this host then, which does answer. */
static void add_self(const struct dns_decider *d, struct name_servers *to)
{
    struct dns_name key = {0};
    struct slice self = slice_str(d->config->settings.self_node);
    const struct dns_entry *entry;

    if (self.len == 0 || !dns_name_add_text(&key, self) ||
        !dns_name_add_label(&key, slice_str("node"))) {
        return;
    }
    dns_name_lower(&key);
    entry = dns_zone_find(d->zone, dns_name_slice(&key));
    if (entry != NULL && entry->host != NULL) {
        to->items[to->count++] = (struct name_server){
            entry->host->name, entry->host->ipv4, entry->host->ipv6};
    }
}

static void name_servers(const struct dns_decider *d, struct name_servers *to)
{
    to->count = 0;
    add_members(d, to);
    if (to->count == 0) {
        add_self(d, to);
    }
}

/* A zone has a name server: without any, the one that its SOA tells of. */
static struct slice ns_name(struct dns_decider *d)
{
    struct dns_name ns = {0};
    const struct dns_name *domain = &d->config->domains[d->place.domain];

    CHECK(dns_name_add_label(&ns, slice_str("ns")));
    CHECK(dns_name_add_wire(&ns, dns_name_slice(domain)));
    return arena_copy(d->arena, dns_name_slice(&ns));
}

void dns_add_name_servers(struct dns_decider *d, struct dns_records *to)
{
    struct slice owner = dns_name_slice(&d->config->domains[d->place.domain]);
    uint32_t ttl_s = d->config->settings.node_ttl_s;
    struct dns_records *extras = &d->answer->extras;
    size_t before = to->count;
    struct name_servers servers;

    name_servers(d, &servers);
    for (size_t i = 0; i < servers.count; i++) {
        struct slice name = dns_node_name(d, servers.items[i].node);
        struct dns_record *r;

        if (name.len == 0) {
            continue;
        }
        r = dns_record_add(d, to, owner, DNS_TYPE_NS, ttl_s);
        r->data.name = name;
        r->extras_first = (uint32_t)extras->count;
        dns_record_add_address(d, extras, name, &servers.items[i].ipv4, ttl_s);
        dns_record_add_address(d, extras, name, &servers.items[i].ipv6, ttl_s);
        r->extras_count = (uint32_t)extras->count - r->extras_first;
    }
    if (to->count == before) {
        dns_record_add(d, to, owner, DNS_TYPE_NS, ttl_s)->data.name =
            ns_name(d);
    }
}

/* Several of them may be on one host; no record stands twice in a set. */
static void add_address(struct dns_decider *d, const struct dns_address *a,
                        struct dns_distinct *seen)
{
    struct dns_records *answers = &d->answer->answers;

    if (a->len > 0 && dns_wants(d, a->len == 4 ? DNS_TYPE_A : DNS_TYPE_AAAA) &&
        dns_distinct_add(seen, slice_of(a->ip, a->len), answers->count) ==
            answers->count) {
        dns_record_add_address(d, answers, d->q->name, a,
                               d->config->settings.node_ttl_s);
    }
}

void dns_add_name_server_addresses(struct dns_decider *d)
{
    struct name_servers servers;
    struct dns_distinct seen;

    name_servers(d, &servers);
    dns_distinct_init(&seen, d->arena, 2 * servers.count);
    for (size_t i = 0; i < servers.count; i++) {
        add_address(d, &servers.items[i].ipv4, &seen);
        add_address(d, &servers.items[i].ipv6, &seen);
    }
}
