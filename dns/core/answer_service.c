#include <stdlib.h>

#include "base/core/check.h"
#include "dns/core/decide.h"
#include "dns/core/distinct.h"

/* Name servers told of. */
enum {
    NAME_SERVERS_MAX = 3
};

/* Which instances of a service a name means. */
struct selection {
    const struct dns_service *service;
    const struct slice *tags; /* All of these. */
    size_t tags_count;
    struct slice port; /* And this named port; empty: any. */
    bool grpc_config;  /* "_grpc_config.<name>": only its TXT. */
    bool only_above;   /* Nothing has this name, but names lie below it. */
};

struct members {
    const struct dns_member **items;
    size_t count;
};

static bool member_has_tag(const struct dns_member *m, struct slice tag)
{
    for (size_t i = 0; i < m->tags_count; i++) {
        if (slice_eq(m->tags[i], tag)) {
            return true;
        }
    }
    return false;
}

static const struct dns_member_port *member_port(const struct dns_member *m,
                                                 struct slice name)
{
    for (size_t i = 0; i < m->ports_count; i++) {
        if (slice_eq(m->ports[i].name, name)) {
            return &m->ports[i];
        }
    }
    return NULL;
}

static bool has_tag(const struct dns_service *s, struct slice tag)
{
    for (size_t i = 0; i < s->members_count; i++) {
        if (member_has_tag(&s->members[i], tag)) {
            return true;
        }
    }
    return false;
}

static bool has_port(const struct dns_service *s, struct slice name)
{
    for (size_t i = 0; i < s->members_count; i++) {
        if (member_port(&s->members[i], name) != NULL) {
            return true;
        }
    }
    return false;
}

/* "b" when there is a tag "a.b": something lies below that name. */
static bool has_dotted_tag(const struct dns_service *s, struct slice end)
{
    for (size_t i = 0; i < s->members_count; i++) {
        const struct dns_member *m = &s->members[i];

        for (size_t t = 0; t < m->tags_count; t++) {
            struct slice tag = m->tags[t];

            if (tag.len > end.len && tag.data[tag.len - end.len - 1] == '.' &&
                memcmp(tag.data + tag.len - end.len, end.data, end.len) == 0) {
                return true;
            }
        }
    }
    return false;
}

static bool any_port(const struct dns_service *s)
{
    for (size_t i = 0; i < s->members_count; i++) {
        if (s->members[i].ports_count > 0) {
            return true;
        }
    }
    return false;
}

/* Labels `first` .. `end` - 1 of the question, joined by dots. */
static struct slice join(struct dns_decider *d, unsigned first, unsigned end)
{
    struct slice text = {0};
    uint8_t *copy = arena_alloc(d->arena, DNS_NAME_MAX);

    for (unsigned i = first; i < end; i++) {
        struct slice label = dns_label(d->q, i);

        if (text.len > 0) {
            copy[text.len++] = '.';
        }
        memcpy(copy + text.len, label.data, label.len);
        text.len += label.len;
    }
    text.data = copy;
    return text;
}

static void select_tags(struct dns_decider *d, struct selection *s,
                        unsigned first, unsigned end)
{
    struct slice *tags = arena_alloc(d->arena, (end - first) * sizeof(tags[0]));

    for (unsigned i = first; i < end; i++) {
        tags[i - first] = dns_label(d->q, i);
    }
    s->tags = tags;
    s->tags_count = end - first;
}

static void select_one_tag(struct dns_decider *d, struct selection *s,
                           struct slice tag)
{
    struct slice *tags = arena_alloc(d->arena, sizeof(*tags));

    *tags = tag;
    s->tags = tags;
    s->tags_count = 1;
}

/* Labels `first` .. `end` - 1, left of the service's: one tag with dots in it,
 * or a named port, or several tags of which an instance must have all. */
static void select_by_labels(struct dns_decider *d, struct selection *s,
                             unsigned first, unsigned end)
{
    struct slice joined = join(d, first, end);

    if (has_tag(s->service, joined)) {
        select_one_tag(d, s, joined);
    } else if (end - first == 2 &&
               slice_eq(dns_label(d->q, first + 1), slice_str("port")) &&
               has_port(s->service, dns_label(d->q, first))) {
        s->port = dns_label(d->q, first);
    } else if (has_dotted_tag(s->service, joined) ||
               (slice_eq(joined, slice_str("port")) && any_port(s->service))) {
        s->only_above = true;
    } else {
        select_tags(d, s, first, end);
    }
}

/* "_name._tag": tcp stands for every tag; a port's name comes second. */
static void select_by_underscores(struct dns_decider *d, struct selection *s)
{
    struct slice tag = slice_skip(dns_label(d->q, 1), 1);

    if (slice_eq(tag, slice_str("tcp"))) {
        return;
    }
    if (!has_tag(s->service, tag) && has_port(s->service, tag)) {
        s->port = tag;
    } else {
        select_one_tag(d, s, tag);
    }
}

const struct dns_service *dns_find_service(const struct dns_decider *d,
                                           struct slice name)
{
    struct dns_name key = {0};
    const struct dns_entry *entry;

    CHECK(dns_name_add_label(&key, name));
    CHECK(dns_name_add_label(&key, slice_str("service")));
    entry = dns_zone_find(d->zone, dns_name_slice(&key));
    return entry == NULL ? NULL : entry->service;
}

/* false: there is no such service. */
static bool selection_of(struct dns_decider *d, struct selection *s)
{
    unsigned parts = d->place.parts;
    unsigned first = 0;

    *s = (struct selection){0};
    if (parts > 1 && slice_eq(dns_label(d->q, 0), slice_str("_grpc_config"))) {
        s->grpc_config = true;
        first = 1;
    }
    if (d->place.underscored && !s->grpc_config) {
        s->service = dns_find_service(d, slice_skip(dns_label(d->q, 0), 1));
        if (s->service != NULL) {
            select_by_underscores(d, s);
        }
        return s->service != NULL;
    }
    s->service = dns_find_service(d, dns_label(d->q, parts - 1));
    if (s->service != NULL && parts - first > 1) {
        select_by_labels(d, s, first, parts - 1);
    }
    return s->service != NULL;
}

static bool selected(const struct selection *s, const struct dns_member *m)
{
    for (size_t i = 0; i < s->tags_count; i++) {
        if (!member_has_tag(m, s->tags[i])) {
            return false;
        }
    }
    return s->port.len == 0 || member_port(m, s->port) != NULL;
}

static bool healthy(const struct dns_settings *s, const struct dns_member *m)
{
    return m->health == DNS_PASSING ||
           (m->health == DNS_WARNING && !s->only_passing);
}

static bool served_when_none_healthy(const struct dns_settings *s,
                                     const struct dns_member *m)
{
    enum dns_none_healthy rule =
        m->none_healthy_set ? m->none_healthy : s->when_none_healthy;

    return rule == DNS_NONE_ALL;
}

/* The instances to answer with: the healthy ones, or when there are none, those
 * that are to be served all the same. */
static struct members choose(struct dns_decider *d, const struct selection *s)
{
    const struct dns_settings *settings = &d->config->settings;
    size_t total = s->service->members_count;
    struct members chosen = {
        arena_alloc(d->arena, (total + 1) * sizeof(chosen.items[0])), 0};

    for (int pass = 0; pass < 2 && chosen.count == 0; pass++) {
        for (size_t i = 0; i < total; i++) {
            const struct dns_member *m = &s->service->members[i];

            if (selected(s, m) &&
                (pass == 0 ? healthy(settings, m)
                           : served_when_none_healthy(settings, m))) {
                chosen.items[chosen.count++] = m;
            }
        }
    }
    return chosen;
}

/* Its address of the asked family: the plain one, or the tagged one. */
static const struct dns_address *address_of(const struct dns_member *m,
                                            uint8_t len)
{
    if (m->address.len == len) {
        return &m->address;
    }
    return len == 4 ? &m->lan_ipv4 : &m->lan_ipv6;
}

static void add_addresses(struct dns_decider *d, struct members chosen,
                          uint8_t len, uint32_t ttl_s)
{
    struct dns_distinct seen;

    dns_distinct_init(&seen, d->arena, chosen.count);
    for (size_t i = 0; i < chosen.count; i++) {
        const struct dns_address *a = address_of(chosen.items[i], len);

        if (a->len == len &&
            dns_distinct_add(&seen, slice_of(a->ip, len), i) == i) {
            dns_record_add_address(d, &d->answer->answers, d->q->name, a,
                                   ttl_s);
        }
    }
}

/* Only one CNAME may stand at a name, and nothing beside it. Which instance's
 * does not depend on the order in which the catalogue came. */
static void add_cname(struct dns_decider *d, struct members chosen,
                      uint32_t ttl_s)
{
    const struct slice *first = NULL;

    for (size_t i = 0; i < chosen.count; i++) {
        const struct slice *name = &chosen.items[i]->hostname;

        if (name->len > 0 && (first == NULL || slice_cmp(*name, *first) < 0)) {
            first = name;
        }
    }
    if (first != NULL) {
        dns_record_add(d, &d->answer->answers, d->q->name, DNS_TYPE_CNAME,
                       ttl_s)
            ->data.name = *first;
    }
}

static bool any_address(struct members chosen)
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

    if (m->hostname.len > 0) {
        return m->hostname;
    }
    if (!m->address_is_own) {
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

/* The addresses behind a target, once for all records that name it. */
static void link_extras(struct dns_decider *d, struct dns_record *r,
                        const struct dns_member *m,
                        struct dns_distinct *targets)
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
    if (m->hostname.len > 0) {
        dns_record_add_host(d, extras, r->data.srv.target, r->ttl_s);
    }
    r->extras_count = (uint32_t)extras->count - r->extras_first;
}

static void add_srv(struct dns_decider *d, const struct selection *s,
                    struct members chosen, uint32_t ttl_s)
{
    struct dns_distinct seen;
    struct dns_distinct targets;

    dns_distinct_init(&seen, d->arena, chosen.count);
    dns_distinct_init(&targets, d->arena, chosen.count);
    for (size_t i = 0; i < chosen.count; i++) {
        const struct dns_member *m = chosen.items[i];
        uint16_t port =
            s->port.len > 0 ? member_port(m, s->port)->port : m->port;
        struct slice target = srv_target(d, m);
        struct dns_record *r;

        if (target.len == 0 ||
            dns_distinct_add(&seen, srv_identity(d, m, port), i) != i) {
            continue;
        }
        r = dns_record_add(d, &d->answer->answers, d->q->name, DNS_TYPE_SRV,
                           ttl_s);
        r->data.srv.priority = m->priority;
        r->data.srv.weight = m->weight;
        r->data.srv.port = port;
        r->data.srv.target = target;
        link_extras(d, r, m, &targets);
    }
}

static void add_text(struct dns_decider *d, struct slice text, uint32_t ttl_s)
{
    dns_record_add(d, &d->answer->answers, d->q->name, DNS_TYPE_TXT, ttl_s)
        ->data.text = text;
}

static void add_texts(struct dns_decider *d, struct members chosen,
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
static void add_grpc_config(struct dns_decider *d, struct members chosen,
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

static void answer_addresses(struct dns_decider *d, struct members chosen,
                             uint32_t ttl_s)
{
    if (!any_address(chosen)) {
        add_cname(d, chosen, ttl_s);
        return;
    }
    if (dns_wants(d, DNS_TYPE_A)) {
        add_addresses(d, chosen, 4, ttl_s);
    }
    if (dns_wants(d, DNS_TYPE_AAAA)) {
        add_addresses(d, chosen, 16, ttl_s);
    }
}

static void answer_by_type(struct dns_decider *d, const struct selection *s,
                           struct members chosen)
{
    uint32_t ttl_s = dns_config_ttl(d->config, s->service->name);
    uint16_t type = d->q->type;

    if (s->grpc_config) {
        if (dns_wants(d, DNS_TYPE_TXT)) {
            add_grpc_config(d, chosen, ttl_s);
        }
    } else if (type == DNS_TYPE_SRV) {
        add_srv(d, s, chosen, ttl_s);
    } else if (d->place.implied && type != DNS_TYPE_ANY) {
        /* "_web._tcp.<domain>" is there for SRV alone. */
    } else if (type == DNS_TYPE_TXT) {
        add_texts(d, chosen, ttl_s);
    } else if (type == DNS_TYPE_A || type == DNS_TYPE_AAAA ||
               type == DNS_TYPE_ANY || type == DNS_TYPE_CNAME) {
        answer_addresses(d, chosen, ttl_s);
    }
}

void dns_decide_service(struct dns_decider *d)
{
    struct selection s;
    struct members chosen;

    if (!selection_of(d, &s)) {
        /* "_tcp.service": "_web._tcp.service" may lie below. */
        if (d->place.parts == 1 && dns_label(d->q, 0).data[0] == '_') {
            dns_decide_nodata(d);
        } else {
            dns_decide_missing(d);
        }
        return;
    }
    if (s.only_above) {
        dns_decide_nodata(d);
        return;
    }
    chosen = choose(d, &s);
    if (chosen.count == 0) {
        dns_decide_missing(d);
        return;
    }
    answer_by_type(d, &s, chosen);
    if (d->answer->answers.count == 0) {
        dns_decide_nodata(d);
    }
}
