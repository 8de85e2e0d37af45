#include <stdlib.h>

#include "base/core/check.h"
#include "dns/core/decide.h"
#include "dns/core/distinct.h"
#include "dns/core/select.h"

/* Its address of the asked family: the plain one, or the tagged one. */
static const struct dns_address *address_of(const struct dns_member *m,
                                            uint8_t len)
{
    if (m->address.len == len) {
        return &m->address;
    }
    return len == 4 ? &m->lan_ipv4 : &m->lan_ipv6;
}

/* Several instances at one address are one record, of all their weight. */
static void add_standing(struct dns_record *r, struct dns_standing s)
{
    uint32_t weight = (uint32_t)r->standing.weight + s.weight;

    r->standing.weight = weight > UINT16_MAX ? UINT16_MAX : (uint16_t)weight;
    r->standing.area = s.area;
    r->standing.spot = s.spot;
}

static void add_addresses(struct dns_decider *d, struct dns_members chosen,
                          uint8_t len, uint32_t ttl_s)
{
    struct dns_records *answers = &d->answer->answers;
    struct dns_distinct seen;

    dns_distinct_init(&seen, d->arena, chosen.count);
    for (size_t i = 0; i < chosen.count; i++) {
        const struct dns_member *m = chosen.items[i];
        const struct dns_address *a = address_of(m, len);
        size_t at = answers->count;

        if (a->len != len) {
            continue;
        }
        at = dns_distinct_add(&seen, slice_of(a->ip, len), at);
        if (at == answers->count) {
            dns_record_add_address(d, answers, d->q->name, a, ttl_s);
        }
        add_standing(&answers->items[at], dns_member_standing(&chosen, m));
    }
}

static bool find_ttl(const struct dns_decider *d, const struct dns_selection *s,
                     uint32_t *out_ttl_s)
{
    *out_ttl_s = s->ttl_s;
    return s->ttl_given ||
           dns_config_ttl(d->config, s->service->name, out_ttl_s);
}

/* Without a TTL of the service's, upstream's counts. */
static void limit_upstream_ttl(struct dns_decider *d,
                               const struct dns_selection *s)
{
    uint32_t ttl_s;

    if (find_ttl(d, s, &ttl_s)) {
        d->answer->upstream_ttl_max_s = ttl_s;
    }
}

/* An instance whose address is the name that was asked for, in any of our
 * domains, with the datacenter or without: its node's address is meant. */
static bool names_itself(const struct dns_decider *d,
                         const struct dns_member *m)
{
    size_t len = d->q->labels[d->place.parts];
    struct dns_question itself;
    struct dns_place place;

    if (m->hostname.len <= len || !dns_same(slice_of(m->hostname.data, len),
                                            slice_of(d->q->lower, len))) {
        return false;
    }
    dns_question_make(&itself, m->hostname, DNS_TYPE_A);
    dns_place_of(d->config, &itself, &place);
    return place.kind == d->place.kind && place.parts == d->place.parts &&
           place.dc == d->place.dc;
}

static void add_host_addresses(struct dns_decider *d, struct dns_records *to,
                               struct slice owner, struct slice node,
                               uint32_t ttl_s)
{
    const struct dns_host *host = dns_find_host(d, node);
    bool all = to != &d->answer->answers;

    if (host != NULL && (all || dns_wants(d, DNS_TYPE_A))) {
        dns_record_add_address(d, to, owner, &host->ipv4, ttl_s);
    }
    if (host != NULL && (all || dns_wants(d, DNS_TYPE_AAAA))) {
        dns_record_add_address(d, to, owner, &host->ipv6, ttl_s);
    }
}

/* Only one CNAME may stand at a name, and nothing beside it. Which instance's
 * does not depend on the order in which the catalogue came. */
static void add_cname(struct dns_decider *d, const struct dns_selection *s,
                      struct dns_members chosen, uint32_t ttl_s)
{
    const struct dns_member *first = NULL;

    for (size_t i = 0; i < chosen.count; i++) {
        const struct dns_member *m = chosen.items[i];

        if (m->hostname.len > 0 &&
            (first == NULL || slice_cmp(m->hostname, first->hostname) < 0)) {
            first = m;
        }
    }
    if (first == NULL) {
        return;
    }
    if (names_itself(d, first)) {
        add_host_addresses(d, &d->answer->answers, d->q->name, first->node,
                           ttl_s);
        return;
    }
    dns_record_add(d, &d->answer->answers, d->q->name, DNS_TYPE_CNAME, ttl_s)
        ->data.name = first->hostname;
    limit_upstream_ttl(d, s);
}

static bool any_address(struct dns_members chosen)
{
    for (size_t i = 0; i < chosen.count; i++) {
        if (address_of(chosen.items[i], 4)->len > 0 ||
            address_of(chosen.items[i], 16)->len > 0) {
            return true;
        }
    }
    return false;
}

static struct slice srv_target(struct dns_decider *d,
                               const struct dns_member *m)
{
    struct slice target = {0};

    if (m->hostname.len > 0 && !names_itself(d, m)) {
        return m->hostname;
    }
    if (!m->address_is_own || m->hostname.len > 0) {
        target = dns_node_name(d, m->node);
    }
    if (target.len == 0 && m->address.len > 0) {
        target = dns_addr_name(d, &m->address);
    }
    return target;
}

/* What makes an SRV record one of its own: node, address and port. */
static struct slice srv_identity(struct dns_decider *d,
                                 const struct dns_member *m, uint16_t port)
{
    const struct slice parts[] = {
        slice_of(&port, sizeof(port)),
        slice_of(m->address.ip, m->address.len),
        m->hostname,
        m->node,
    };
    uint8_t *bytes = arena_alloc(d->arena, sizeof(port) + sizeof(m->address) +
                                               m->hostname.len + m->node.len);
    size_t len = 0;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i].len > 0) {
            memcpy(bytes + len, parts[i].data, parts[i].len);
            len += parts[i].len;
        }
    }
    return slice_of(bytes, len);
}

/* The meta of the instance's node, once an answer. */
static void add_node_meta(struct dns_decider *d, const struct dns_member *m,
                          struct dns_distinct *nodes)
{
    struct slice name = dns_node_name(d, m->node);
    size_t at = d->answer->answers.count;

    if (d->config->settings.node_meta_txt && name.len > 0 &&
        dns_distinct_add(nodes, m->node, at) == at) {
        dns_add_node_texts(d, &d->answer->extras, name, m->node);
    }
}

/* The addresses behind a target, once for all records that name it. */
static void link_extras(struct dns_decider *d, struct dns_record *r,
                        const struct dns_member *m,
                        struct dns_distinct *targets,
                        struct dns_distinct *nodes)
{
    struct dns_records *extras = &d->answer->extras;
    size_t records = d->answer->answers.count;
    size_t same = dns_distinct_add(targets, r->data.srv.target, records - 1);

    if (same != records - 1) {
        r->data.srv.target = d->answer->answers.items[same].data.srv.target;
        r->extras_first = d->answer->answers.items[same].extras_first;
        r->extras_count = d->answer->answers.items[same].extras_count;
        return;
    }
    r->extras_first = (uint32_t)extras->count;
    dns_record_add_address(d, extras, r->data.srv.target, &m->address,
                           r->ttl_s);
    if (names_itself(d, m)) {
        add_host_addresses(d, extras, r->data.srv.target, m->node, r->ttl_s);
    } else if (m->hostname.len > 0) {
        dns_record_add_host(d, extras, r->data.srv.target, r->ttl_s);
    } else {
        add_node_meta(d, m, nodes);
    }
    r->extras_count = (uint32_t)extras->count - r->extras_first;
}

/* The named port that was asked for, else the instance's own. */
static uint16_t port_of(const struct dns_selection *s,
                        const struct dns_member *m)
{
    return s->port.len > 0 ? dns_member_find_port(m, s->port)->port : m->port;
}

static void fill_srv(const struct dns_selection *s, const struct dns_member *m,
                     struct slice target, struct dns_record *r)
{
    r->data.srv.priority = m->priority;
    r->data.srv.weight = m->weight;
    r->data.srv.port = port_of(s, m);
    r->data.srv.target = target;
}

void dns_add_srv_extras(struct dns_decider *d, const struct dns_selection *s,
                        const struct dns_member *m, struct slice owner,
                        uint32_t ttl_s)
{
    struct dns_records *extras = &d->answer->extras;
    struct slice target = srv_target(d, m);

    if (target.len == 0) {
        return;
    }
    fill_srv(s, m, target,
             dns_record_add(d, extras, owner, DNS_TYPE_SRV, ttl_s));
    dns_record_add_address(d, extras, target, &m->address, ttl_s);
    if (m->hostname.len > 0) {
        dns_record_add_host(d, extras, target, ttl_s);
    }
}

void dns_add_srv(struct dns_decider *d, const struct dns_selection *s,
                 struct dns_members chosen, uint32_t ttl_s)
{
    struct dns_distinct seen;
    struct dns_distinct targets;
    struct dns_distinct nodes;

    dns_distinct_init(&seen, d->arena, chosen.count);
    dns_distinct_init(&targets, d->arena, chosen.count);
    dns_distinct_init(&nodes, d->arena, chosen.count);
    limit_upstream_ttl(d, s);
    for (size_t i = 0; i < chosen.count; i++) {
        const struct dns_member *m = chosen.items[i];
        struct slice target = srv_target(d, m);
        struct dns_record *r;

        if (target.len == 0 ||
            dns_distinct_add(&seen, srv_identity(d, m, port_of(s, m)), i) !=
                i) {
            continue;
        }
        r = dns_record_add(d, &d->answer->answers, d->q->name, DNS_TYPE_SRV,
                           ttl_s);
        fill_srv(s, m, target, r);
        r->standing = dns_member_standing(&chosen, m);
        link_extras(d, r, m, &targets, &nodes);
    }
}

static void add_text(struct dns_decider *d, struct slice text, uint32_t ttl_s)
{
    dns_record_add(d, &d->answer->answers, d->q->name, DNS_TYPE_TXT, ttl_s)
        ->data.txt.text = text;
}

static void add_texts(struct dns_decider *d, struct dns_members chosen,
                      uint32_t ttl_s)
{
    struct dns_distinct seen;
    size_t texts = 0;

    for (size_t i = 0; i < chosen.count; i++) {
        texts += chosen.items[i]->texts_count;
    }
    dns_distinct_init(&seen, d->arena, texts);
    texts = 0;
    for (size_t i = 0; i < chosen.count; i++) {
        for (size_t t = 0; t < chosen.items[i]->texts_count; t++, texts++) {
            struct slice text = chosen.items[i]->texts[t];

            if (dns_distinct_add(&seen, text, texts) == texts) {
                add_text(d, text, ttl_s);
            }
        }
    }
}

/* gRFC A2: one TXT record beginning "grpc_config=". */
static void add_grpc_config(struct dns_decider *d, struct dns_members chosen,
                            uint32_t ttl_s)
{
    for (size_t i = 0; i < chosen.count; i++) {
        struct slice json = chosen.items[i]->grpc_config;

        if (json.len > 0) {
            add_text(d,
                     slice_str(arena_printf(d->arena, "grpc_config=%.*s",
                                            (int)json.len, json.data)),
                     ttl_s);
            return;
        }
    }
}

static void answer_addresses(struct dns_decider *d,
                             const struct dns_selection *s,
                             struct dns_members chosen, uint32_t ttl_s)
{
    if (!any_address(chosen)) {
        add_cname(d, s, chosen, ttl_s);
        return;
    }
    if (dns_wants(d, DNS_TYPE_A)) {
        add_addresses(d, chosen, 4, ttl_s);
    }
    if (dns_wants(d, DNS_TYPE_AAAA)) {
        add_addresses(d, chosen, 16, ttl_s);
    }
}

void dns_answer_members(struct dns_decider *d, const struct dns_selection *s,
                        struct dns_members chosen)
{
    uint16_t type = d->q->type;
    uint32_t ttl_s;

    (void)find_ttl(d, s, &ttl_s);
    if (s->grpc_config) {
        if (dns_wants(d, DNS_TYPE_TXT)) {
            add_grpc_config(d, chosen, ttl_s);
        }
    } else if (type == DNS_TYPE_SRV) {
        dns_add_srv(d, s, chosen, ttl_s);
    } else if (d->place.implied && type != DNS_TYPE_ANY) {
        /* "_web._tcp.<domain>" is there for SRV alone. */
    } else if (type == DNS_TYPE_TXT) {
        add_texts(d, chosen, ttl_s);
    } else if (type == DNS_TYPE_A || type == DNS_TYPE_AAAA ||
               type == DNS_TYPE_ANY || type == DNS_TYPE_CNAME) {
        answer_addresses(d, s, chosen, ttl_s);
    }
}

void dns_answer_member(struct dns_decider *d, const struct dns_selection *s,
                       const struct dns_member *m)
{
    dns_answer_members(d, s, (struct dns_members){.items = &m, .count = 1});
}

void dns_decide_service(struct dns_decider *d)
{
    struct dns_selection s;
    struct dns_members chosen;

    if (dns_decide_sd(d)) {
        return;
    }
    if (!dns_select(d, &s)) {
        /* "_tcp.service": "_web._tcp.service" may lie below. */
        if (d->place.parts == 1 && dns_label(d->q, 0).data[0] == '_') {
            dns_decide_nodata(d);
        } else {
            dns_decide_missing(d);
        }
        return;
    }
    d->answer->asked = s.service->asked;
    if (s.only_above) {
        dns_decide_nodata(d);
        return;
    }
    chosen = dns_choose(d, &s);
    if (chosen.count == 0 && s.pages > 0) {
        dns_decide_nodata(d); /* The other parts may have some. */
        return;
    }
    if (chosen.count == 0) {
        dns_decide_missing(d);
        return;
    }
    d->answer->order = chosen.order;
    dns_answer_members(d, &s, chosen);
    if (d->answer->answers.count == 0) {
        dns_decide_nodata(d);
    }
}
