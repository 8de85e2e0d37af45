/*
 * DNS-SD (RFC 6763): what a browser asks to see which services there are.
 *
 *     _services._dns-sd._udp.<domain>        PTR  the types, one a service
 *     _web._tcp.service.<domain>             PTR  the instances, by their ids
 *     <id>._web._tcp.service.<domain>        SRV, TXT
 *
 * All of them with and without "service", like other RFC 2782 names; what is
 * named in an answer has it.
 */
#include "base/core/check.h"
#include "dns/core/distinct.h"
#include "dns/core/select.h"

static bool label_is(const struct dns_decider *d, unsigned index,
                     const char *word)
{
    return slice_eq(dns_label(d->q, index), slice_str(word));
}

static bool is_transport(const struct dns_decider *d, unsigned index)
{
    return label_is(d, index, "_tcp") || label_is(d, index, "_udp");
}

static struct slice arena_lower(struct arena *arena, struct slice bytes)
{
    uint8_t *copy = arena_alloc(arena, bytes.len);

    for (size_t i = 0; i < bytes.len; i++) {
        copy[i] = dns_lower(bytes.data[i]);
    }
    return slice_of(copy, bytes.len);
}

/* "[<id>.]_<service>.<protocol>.service[.<dc>].<domain>"; empty when too long.
 */
static struct slice type_name(struct dns_decider *d, struct slice id,
                              struct slice service, struct slice protocol)
{
    uint8_t text[DNS_LABEL_MAX + 1] = {'_'};
    struct dns_name n = {0};
    struct slice domain = dns_name_slice(&d->config->domains[d->place.domain]);

    CHECK(service.len <= DNS_LABEL_MAX);
    memcpy(text + 1, service.data, service.len);
    if ((id.len > 0 && !dns_name_add_label(&n, id)) ||
        !dns_name_add_label(&n, slice_of(text, service.len + 1)) ||
        !dns_name_add_label(&n, protocol) ||
        !dns_name_add_label(&n, slice_str("service")) ||
        (d->place.dc > 0 &&
         !dns_name_add_wire(&n, dns_name_slice(&d->config->datacenter))) ||
        !dns_name_add_wire(&n, domain)) {
        return slice_of(NULL, 0);
    }
    return arena_copy(d->arena, dns_name_slice(&n));
}

static struct dns_record *add_ptr(struct dns_decider *d, struct slice name,
                                  uint32_t ttl_s)
{
    struct dns_record *r =
        dns_record_add(d, &d->answer->answers, d->q->name, DNS_TYPE_PTR, ttl_s);

    r->data.name = name;
    return r;
}

static void add_text(struct dns_decider *d, struct dns_records *to,
                     struct slice owner, const struct dns_member *m,
                     uint32_t ttl_s)
{
    struct dns_record *r = dns_record_add(d, to, owner, DNS_TYPE_TXT, ttl_s);

    r->data.txt.text = m->strings;
    r->data.txt.strings = true;
}

static void finish(struct dns_decider *d)
{
    if (d->answer->answers.count == 0) {
        dns_decide_nodata(d);
    }
}

/* One TTL for all of them (RFC 2181, 5.2): the least. */
static uint32_t least_ttl(const struct dns_decider *d)
{
    const struct dns_service_names *all = d->zone->services;
    uint32_t least_s = UINT32_MAX;

    for (size_t i = 0; i < all->count; i++) {
        uint32_t ttl_s;

        (void)dns_config_ttl(d->config, all->items[i], &ttl_s);
        least_s = ttl_s < least_s ? ttl_s : least_s;
    }
    return least_s;
}

static void decide_types(struct dns_decider *d)
{
    const struct dns_service_names *all = d->zone->services;
    uint32_t ttl_s = least_ttl(d);

    for (size_t i = 0; dns_wants(d, DNS_TYPE_PTR) && i < all->count; i++) {
        struct slice name =
            type_name(d, slice_of(NULL, 0), all->items[i], slice_str("_tcp"));

        if (name.len > 0) {
            (void)add_ptr(d, name, ttl_s);
        }
    }
    finish(d);
}

/* Whoever browses asks for these next (RFC 6763, 12.1). */
static void add_ptr_extras(struct dns_decider *d, struct dns_record *ptr,
                           const struct dns_selection *s,
                           const struct dns_member *m, uint32_t ttl_s)
{
    struct dns_records *extras = &d->answer->extras;

    ptr->extras_first = (uint32_t)extras->count;
    dns_add_srv_extras(d, s, m, ptr->data.name, ttl_s);
    add_text(d, extras, ptr->data.name, m, ttl_s);
    ptr->extras_count = (uint32_t)extras->count - ptr->extras_first;
}

/* Ids are unique on their node only: two instances may share a name, and are
 * told apart by their SRV records. */
static void add_ids(struct dns_decider *d, const struct dns_selection *s,
                    struct dns_members chosen, uint32_t ttl_s)
{
    struct dns_distinct seen;

    dns_distinct_init(&seen, d->arena, chosen.count);
    for (size_t i = 0; i < chosen.count; i++) {
        const struct dns_member *m = chosen.items[i];
        struct slice name =
            type_name(d, m->id, s->service->name, dns_label(d->q, 1));

        if (name.len > 0 &&
            dns_distinct_add(&seen, arena_lower(d->arena, name), i) == i) {
            add_ptr_extras(d, add_ptr(d, name, ttl_s), s, m, ttl_s);
        }
    }
    d->answer->extras_optional = true;
}

static void decide_instances(struct dns_decider *d)
{
    struct dns_selection s = {0};
    struct dns_members chosen = {0};
    uint32_t ttl_s;

    if (dns_select_underscored(d, 0, &s)) {
        chosen = dns_choose(d, &s);
    }
    if (chosen.count == 0) {
        dns_decide_missing(d);
        return;
    }
    (void)dns_config_ttl(d->config, s.service->name, &ttl_s);
    add_ids(d, &s, chosen, ttl_s);
    finish(d);
}

static void keep_id(struct dns_members *chosen, struct slice id)
{
    size_t kept = 0;

    for (size_t i = 0; i < chosen->count; i++) {
        if (dns_same(chosen->items[i]->id, id)) {
            chosen->items[kept++] = chosen->items[i];
        }
    }
    chosen->count = kept;
}

static void decide_instance(struct dns_decider *d)
{
    struct dns_selection s = {0};
    struct dns_members chosen = {0};
    uint32_t ttl_s;

    if (dns_select_underscored(d, 1, &s)) {
        chosen = dns_choose(d, &s);
        keep_id(&chosen, dns_label(d->q, 0));
    }
    if (chosen.count == 0) {
        dns_decide_missing(d);
        return;
    }
    (void)dns_config_ttl(d->config, s.service->name, &ttl_s);
    d->answer->order = chosen.order;
    if (dns_wants(d, DNS_TYPE_SRV)) {
        dns_add_srv(d, &s, chosen, ttl_s);
    }
    if (dns_wants(d, DNS_TYPE_TXT)) {
        add_text(d, &d->answer->answers, d->q->name, chosen.items[0], ttl_s);
    }
    finish(d);
}

bool dns_decide_sd(struct dns_decider *d)
{
    unsigned parts = d->place.parts;

    if (parts == 3 && label_is(d, 0, "_services") &&
        label_is(d, 1, "_dns-sd") && label_is(d, 2, "_udp")) {
        decide_types(d);
        return true;
    }
    if (parts == 2 && label_is(d, 0, "_dns-sd") && label_is(d, 1, "_udp") &&
        dns_find_service(d, slice_str("dns-sd")) == NULL) {
        dns_decide_nodata(d);
        return true;
    }
    if (d->place.underscored && is_transport(d, 1) &&
        d->q->type == DNS_TYPE_PTR) {
        decide_instances(d);
        return true;
    }
    if (parts == 3 && dns_underscored(d->q, 1) && is_transport(d, 2) &&
        !label_is(d, 0, "_grpc_config")) {
        decide_instance(d);
        return true;
    }
    return false;
}
