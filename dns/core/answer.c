#include "dns/core/answer.h"

#include "base/core/check.h"
#include "base/core/limits.h"
#include "dns/core/decide.h"

struct dns_record *dns_record_add(struct dns_decider *d, struct dns_records *to,
                                  struct slice owner, uint16_t type,
                                  uint32_t ttl_s)
{
    struct dns_record *r;

    if (to->count == to->cap) {
        size_t cap = to->cap == 0 ? 8 : 2 * to->cap;
        struct dns_record *items =
            arena_alloc(d->arena, cap * sizeof(items[0]));

        if (to->count > 0) {
            memcpy(items, to->items, to->count * sizeof(items[0]));
        }
        to->items = items;
        to->cap = cap;
    }
    r = &to->items[to->count++];
    *r = (struct dns_record){.owner = owner, .type = type, .ttl_s = ttl_s};
    return r;
}

void dns_record_add_address(struct dns_decider *d, struct dns_records *to,
                            struct slice owner,
                            const struct dns_address *address, uint32_t ttl_s)
{
    struct dns_record *r;

    if (address->len == 4) {
        r = dns_record_add(d, to, owner, DNS_TYPE_A, ttl_s);
        memcpy(r->data.ipv4, address->ip, 4);
    } else if (address->len == 16) {
        r = dns_record_add(d, to, owner, DNS_TYPE_AAAA, ttl_s);
        memcpy(r->data.ipv6, address->ip, 16);
    }
}

/* The name in `n`, completed by dc and domain; empty when it is too long. */
static struct slice finish_name(struct dns_decider *d, struct dns_name *n,
                                const char *keyword)
{
    const struct dns_config *c = d->config;

    if (!dns_name_add_label(n, slice_str(keyword)) ||
        !dns_name_add_wire(n, dns_name_slice(&c->datacenter)) ||
        !dns_name_add_wire(n, dns_name_slice(&c->domains[d->place.domain]))) {
        return slice_of(NULL, 0);
    }
    return arena_copy(d->arena, dns_name_slice(n));
}

struct slice dns_node_name(struct dns_decider *d, struct slice name)
{
    struct dns_name n = {0};

    if (name.len == 0 || !dns_name_add_wire(&n, name)) {
        return slice_of(NULL, 0);
    }
    return finish_name(d, &n, "node");
}

struct slice dns_addr_name(struct dns_decider *d,
                           const struct dns_address *address)
{
    struct dns_name n = {0};

    dns_name_add_hex(&n, slice_of(address->ip, address->len));
    return finish_name(d, &n, "addr");
}

bool dns_wants(const struct dns_decider *d, uint16_t type)
{
    return d->q->type == type || d->q->type == DNS_TYPE_ANY;
}

/* The domain asked. For arpa the two labels that stand for the whole tree:
 * whatever we say of it, we say as if that were the zone. */
static struct slice apex_name(const struct dns_decider *d)
{
    if (d->place.kind == DNS_KIND_ARPA) {
        return slice_skip(d->q->name, d->q->labels[d->place.apex]);
    }
    return dns_name_slice(&d->config->domains[d->place.domain]);
}

static struct slice below_domain(struct dns_decider *d, const char *label)
{
    struct dns_name n = {0};
    struct slice domain = dns_name_slice(&d->config->domains[d->place.domain]);

    CHECK(dns_name_add_label(&n, slice_str(label)));
    CHECK(dns_name_add_wire(&n, domain)); /* The config has left room. */
    return arena_copy(d->arena, dns_name_slice(&n));
}

static void add_soa(struct dns_decider *d, struct dns_records *to,
                    uint32_t ttl_s)
{
    const struct dns_settings *s = &d->config->settings;
    struct dns_record *r =
        dns_record_add(d, to, apex_name(d), DNS_TYPE_SOA, ttl_s);

    r->data.soa.mname = below_domain(d, "ns");
    r->data.soa.rname = below_domain(d, "hostmaster");
    r->data.soa.serial = d->home->serial;
    r->data.soa.refresh_s = s->soa_refresh_s;
    r->data.soa.retry_s = s->soa_retry_s;
    r->data.soa.expire_s = s->soa_expire_s;
    r->data.soa.minimum_s = ttl_s;
}

static void decide_unknown(struct dns_decider *d)
{
    d->answer->rcode = DNS_SERVFAIL;
    d->answer->authoritative = false;
    d->answer->extended_error = DNS_EDE_NO_AUTHORITY;
}

void dns_decide_missing(struct dns_decider *d)
{
    if (d->zone->state == DNS_UNKNOWN) {
        decide_unknown(d);
        return;
    }
    d->answer->rcode = DNS_NXDOMAIN;
    add_soa(d, &d->answer->authority, d->config->settings.soa_min_ttl_s);
}

void dns_decide_nodata(struct dns_decider *d)
{
    add_soa(d, &d->answer->authority, d->config->settings.nodata_ttl_s);
}

static void decide_soa(struct dns_decider *d)
{
    add_soa(d, &d->answer->answers, d->config->settings.soa_min_ttl_s);
    dns_add_name_servers(d, &d->answer->authority);
}

static void decide_apex(struct dns_decider *d)
{
    if (d->q->type != DNS_TYPE_ANY) {
        dns_decide_nodata(d);
        return;
    }
    add_soa(d, &d->answer->answers, d->config->settings.soa_min_ttl_s);
    dns_add_name_servers(d, &d->answer->answers);
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(struct slice text, struct dns_address *out_address)
{
    if (text.len != 8 && text.len != 32) {
        return false;
    }
    out_address->len = (uint8_t)(text.len / 2);
    for (size_t i = 0; i < out_address->len; i++) {
        int high = hex_value(text.data[2 * i]);
        int low = hex_value(text.data[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        out_address->ip[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* Computed, not looked up: true whatever the catalogue says. */
static void decide_addr(struct dns_decider *d)
{
    struct dns_address address;

    if (d->place.parts != 1 || !read_hex(dns_label(d->q, 0), &address)) {
        dns_decide_missing(d);
        return;
    }
    if (dns_wants(d, address.len == 4 ? DNS_TYPE_A : DNS_TYPE_AAAA)) {
        dns_record_add_address(d, &d->answer->answers, d->q->name, &address,
                               d->config->settings.node_ttl_s);
    } else {
        dns_decide_nodata(d);
    }
}

static struct slice owner_name(struct dns_decider *d,
                               const struct dns_owner *owner)
{
    struct dns_name n = {0};

    if (owner->is_node) {
        return dns_node_name(d, owner->name);
    }
    CHECK(dns_name_add_wire(&n, owner->name));
    return finish_name(d, &n, "service");
}

/* Labels of a whole address's name, below in-addr.arpa or ip6.arpa. */
static unsigned labels_of_address(const struct dns_decider *d)
{
    struct slice tree = dns_label(d->q, d->place.apex);

    return slice_eq(tree, slice_str("ip6")) ? 32 : 4;
}

/* Names that we do not know are the recursors' (verdict FOREIGN). Without any,
 * a network's name is not denied: that would deny all addresses in it. */
static void decide_ptr(struct dns_decider *d)
{
    struct dns_name scratch;
    const struct dns_entry *entry =
        dns_zone_find(d->zone, dns_place_key(&d->place, d->q, &scratch));
    struct slice name = {0};

    if (entry != NULL && entry->owners != NULL) {
        name = owner_name(d, &entry->owners->items[0]);
    }
    if (name.len == 0 && entry == NULL) {
        d->answer->verdict = DNS_FOREIGN;
        if (d->place.apex < labels_of_address(d)) {
            dns_decide_nodata(d);
        } else {
            dns_decide_missing(d);
        }
    } else if (name.len == 0 || !dns_wants(d, DNS_TYPE_PTR)) {
        dns_decide_nodata(d);
    } else {
        dns_record_add(d, &d->answer->answers, d->q->name, DNS_TYPE_PTR,
                       d->config->settings.node_ttl_s)
            ->data.name = name;
    }
}

static void decide_ns_host(struct dns_decider *d)
{
    dns_add_name_server_addresses(d);
    if (d->answer->answers.count == 0) {
        dns_decide_nodata(d);
    }
}

static void decide_kind(struct dns_decider *d)
{
    switch (d->place.kind) {
    case DNS_KIND_FOREIGN:
        d->answer->verdict = DNS_FOREIGN;
        d->answer->rcode = DNS_REFUSED;
        d->answer->authoritative = false;
        return;
    case DNS_KIND_APEX:
        decide_apex(d);
        return;
    case DNS_KIND_EMPTY:
        dns_decide_nodata(d);
        return;
    case DNS_KIND_NONE:
        dns_decide_missing(d);
        return;
    case DNS_KIND_SERVICE:
        dns_decide_service(d);
        return;
    case DNS_KIND_NODE:
        dns_decide_node(d);
        return;
    case DNS_KIND_QUERY:
        dns_decide_query(d);
        return;
    case DNS_KIND_ADDR:
        decide_addr(d);
        return;
    case DNS_KIND_NS:
        decide_ns_host(d);
        return;
    case DNS_KIND_ARPA:
        decide_ptr(d);
        return;
    }
    UNREACHABLE();
}

static void decide_expired(struct dns_answer *a)
{
    *a = (struct dns_answer){.verdict = DNS_ANSWERED,
                             .rcode = DNS_SERVFAIL,
                             .extended_error = DNS_EDE_NO_AUTHORITY};
}

/* What is the name's own is in the zone of its datacenter. */
static bool is_in_a_zone(const struct dns_place *place)
{
    return place->kind == DNS_KIND_SERVICE || place->kind == DNS_KIND_NODE ||
           place->kind == DNS_KIND_QUERY || place->kind == DNS_KIND_NONE;
}

static void decide_place(struct dns_decider *d)
{
    *d->answer = (struct dns_answer){.verdict = DNS_ANSWERED,
                                     .rcode = DNS_NOERROR,
                                     .authoritative = true,
                                     .extended_error = DNS_EDE_NONE,
                                     .upstream_ttl_max_s = UINT32_MAX};
    dns_place_of(d->config, d->q, &d->place);
    if (d->q->class != DNS_CLASS_IN && d->q->class != DNS_CLASS_ANY) {
        d->answer->rcode = DNS_REFUSED;
        d->answer->authoritative = false;
        return;
    }
    if (d->place.kind != DNS_KIND_FOREIGN && d->place.kind != DNS_KIND_ARPA) {
        if (d->q->type == DNS_TYPE_SOA) {
            decide_soa(d);
            return;
        }
        if (d->q->type == DNS_TYPE_NS) {
            dns_add_name_servers(d, &d->answer->answers);
            return;
        }
    }
    if (d->place.dc > 0 && is_in_a_zone(&d->place) && !dns_turn_to(d)) {
        decide_unknown(d);
        return;
    }
    decide_kind(d);
}

/* One name, no CNAME followed. */
static void decide_one(struct dns_decider *d)
{
    d->zone = d->home;
    d->config = d->home->config;
    decide_place(d);
    d->answer->stale |= d->zone->state == DNS_STALE;
    if (d->zone->state == DNS_EXPIRED && d->answer->verdict != DNS_FOREIGN) {
        decide_expired(d->answer);
    }
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Answers of one question of ours about `name`. */
static struct dns_answer *ask_inside(struct dns_decider *d, struct slice name,
                                     uint16_t type)
{
    struct dns_question *q = arena_zalloc(d->arena, 1, sizeof(*q));
    struct dns_decider sub = *d;

    dns_question_make(q, name, type);
    q->stream = d->q->stream;
    sub.q = q;
    sub.answer = arena_zalloc(d->arena, 1, sizeof(*sub.answer));
    decide_one(&sub);
    return sub.answer;
}

static const struct dns_record *last_cname(const struct dns_answer *a)
{
    const struct dns_record *last =
        a->answers.count == 0 ? NULL : &a->answers.items[a->answers.count - 1];

    return last != NULL && last->type == DNS_TYPE_CNAME ? last : NULL;
}

static void add_found(struct dns_decider *d, struct dns_records *to,
                      struct slice owner, const struct dns_records *found,
                      uint32_t ttl_s)
{
    for (size_t i = 0; i < found->count; i++) {
        const struct dns_record *r = &found->items[i];

        dns_record_add(d, to, owner, r->type, min_u32(ttl_s, r->ttl_s))->data =
            r->data;
    }
}

static bool is_owner(const struct dns_records *records, size_t first,
                     struct slice name)
{
    for (size_t i = first; i < records->count; i++) {
        if (dns_same(records->items[i].owner, name)) {
            return true;
        }
    }
    return false;
}

void dns_record_add_host(struct dns_decider *d, struct dns_records *to,
                         struct slice host, uint32_t ttl_s)
{
    const struct dns_record *cname = NULL;
    struct slice name = host;
    size_t first = to->count;

    if (d->hosts_count == LIMIT_DNS_HOSTS) {
        return;
    }
    d->hosts_count++;
    for (int step = 0; step <= LIMIT_DNS_CNAMES; step++) {
        const struct dns_answer *found = ask_inside(d, name, DNS_TYPE_A);

        if (found->verdict == DNS_FOREIGN) {
            d->answer->verdict = DNS_CHASE;
            return;
        }
        d->answer->depends = true;
        d->answer->stale |= found->stale;
        add_found(d, to, name, &found->answers, ttl_s);
        cname = last_cname(found);
        if (cname == NULL) {
            found = ask_inside(d, name, DNS_TYPE_AAAA);
            add_found(d, to, name, &found->answers, ttl_s);
            return;
        }
        name = cname->data.name;
        if (is_owner(to, first, name)) {
            return;
        }
    }
}

static void append(struct dns_decider *d, struct dns_records *to,
                   const struct dns_records *from)
{
    for (size_t i = 0; i < from->count; i++) {
        *dns_record_add(d, to, from->items[i].owner, from->items[i].type, 0) =
            from->items[i];
    }
}

/* A host name that is one of our own names is resolved here, a few steps far; a
 * loop ends with what there is. One outside is for the recursors. What is said
 * of the last name is said of the whole (RFC 6604, 3). */
static void follow_cnames(struct dns_decider *d)
{
    const struct dns_record *cname = last_cname(d->answer);

    if (d->q->type == DNS_TYPE_CNAME) {
        return;
    }
    for (int step = 0; step < LIMIT_DNS_CNAMES && cname != NULL; step++) {
        const struct dns_answer *next;

        if (is_owner(&d->answer->answers, 0, cname->data.name)) {
            return;
        }
        next = ask_inside(d, cname->data.name, d->q->type);
        if (next->verdict == DNS_FOREIGN) {
            d->answer->verdict = DNS_CHASE;
            return;
        }
        d->answer->upstream_ttl_max_s =
            min_u32(d->answer->upstream_ttl_max_s, next->upstream_ttl_max_s);
        append(d, &d->answer->answers, &next->answers);
        append(d, &d->answer->authority, &next->authority);
        d->answer->stale |= next->stale;
        d->answer->rcode = next->rcode;
        cname = next->answers.count == 0 ? NULL : last_cname(next);
    }
}

static void cap_ttl(struct dns_records *records)
{
    for (size_t i = 0; i < records->count; i++) {
        records->items[i].ttl_s =
            min_u32(records->items[i].ttl_s, DNS_STALE_TTL_S);
    }
}

/* Out of contact: say so, and do not let it be remembered for long. */
static void mark_stale(struct dns_answer *a)
{
    a->extended_error =
        a->rcode == DNS_NXDOMAIN ? DNS_EDE_STALE_NXDOMAIN : DNS_EDE_STALE;
    cap_ttl(&a->answers);
    cap_ttl(&a->authority);
    cap_ttl(&a->extras);
}

void dns_decide(const struct dns_zone *zone, const struct dns_question *q,
                struct arena *arena, struct dns_answer *out_answer)
{
    struct dns_decider d = {
        .home = zone, .q = q, .arena = arena, .answer = out_answer};

    decide_one(&d);
    if (d.answer->verdict == DNS_FOREIGN) {
        return;
    }
    follow_cnames(&d);
    if (out_answer->stale && out_answer->rcode != DNS_REFUSED) {
        mark_stale(out_answer);
    }
}

void dns_answer_note(const struct dns_answer *answer)
{
    if (answer->asked != NULL) {
        atomic_store_explicit(answer->asked, true, memory_order_relaxed);
    }
}
