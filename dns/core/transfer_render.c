#include "dns/core/transfer_render.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "dns/core/select.h"
#include "dns/core/transfer_names.h"

enum {
    RECORD_MAX = 60000, /* What is longer is left out. */
    POINTER = 0xc000 | DNS_HEADER_BYTES,
};

/* A piece under way. */
struct rendering {
    struct dns_zone zone; /* As if in contact: age is no change. */
    unsigned domain;
    struct arena arena;   /* The records. */
    struct arena scratch; /* One decision. */
    struct slice *items;
    size_t count;
    size_t cap;
};

static void rendering_begin(struct rendering *r, const struct dns_zone *zone,
                            unsigned domain)
{
    *r = (struct rendering){.domain = domain};
    dns_zone_as_fresh(zone, &r->zone);
}

static struct dns_piece *rendering_end(struct rendering *r)
{
    struct dns_piece *p = dns_piece_new(r->items, r->count);

    free(r->items);
    arena_release(&r->arena);
    arena_release(&r->scratch);
    return p;
}

/* ---- Records ----------------------------------------------------------- */

/* `labels` are the owner's, below the domain. */
static void add_wire(struct rendering *r, struct slice labels,
                     struct slice wire)
{
    uint8_t *bytes;

    if (labels.len + 2 + wire.len > RECORD_MAX) {
        return;
    }
    if (r->count == r->cap) {
        r->cap = r->cap == 0 ? 32 : 2 * r->cap;
        r->items = realloc(r->items, r->cap * sizeof(r->items[0]));
        CHECK(r->items != NULL);
    }
    bytes = arena_alloc(&r->arena, labels.len + 2 + wire.len);
    if (labels.len > 0) {
        memcpy(bytes, labels.data, labels.len);
    }
    bytes[labels.len] = POINTER >> 8;
    bytes[labels.len + 1] = POINTER & 0xff;
    memcpy(bytes + labels.len + 2, wire.data, wire.len);
    r->items[r->count++] = slice_of(bytes, labels.len + 2 + wire.len);
}

/* Which forms of a name there are. */
enum {
    WITH_DC = 1,     /* "<name>.<dc>.<domain>" */
    NO_KEYWORD = 2,  /* Without "service", for SRV and PTR; */
    INSTANCE = 8,    /* for TXT, too. */
    UNDERSCORED = 4, /* No addresses: BIND finds such owners bad. */
};

static const struct dns_config *config_of(const struct rendering *r)
{
    return r->zone.config;
}

static void add_forms(struct rendering *r, const struct dns_name *name,
                      unsigned forms, struct slice wire)
{
    struct slice dc = dns_name_slice(&config_of(r)->datacenter);
    struct dns_name n = *name;

    add_wire(r, dns_name_slice(&n), wire);
    if ((forms & WITH_DC) && dns_name_add_wire(&n, dc) &&
        n.len + config_of(r)->domains[r->domain].len <= DNS_NAME_MAX) {
        add_wire(r, dns_name_slice(&n), wire);
    }
}

/* "_web._tcp.service" is there as "_web._tcp" as well, for some types. */
static bool is_without_keyword(unsigned forms, uint16_t type)
{
    return (forms & NO_KEYWORD) &&
           (type == DNS_TYPE_SRV || type == DNS_TYPE_PTR ||
            (type == DNS_TYPE_TXT && (forms & INSTANCE)));
}

static void add_record(struct rendering *r, const struct dns_name *name,
                       unsigned forms, const struct dns_record *record)
{
    struct slice wire = dns_record_wire(record, &r->scratch);
    struct dns_name bare = *name;

    add_forms(r, name, forms, wire);
    if (is_without_keyword(forms, record->type)) {
        bare.len = (uint8_t)(bare.len - sizeof("service"));
        add_forms(r, &bare, forms, wire);
    }
}

/* ---- Decisions --------------------------------------------------------- */

/* The question for `name` below the domain. false: too long to be a name. */
static bool question_of(struct rendering *r, const struct dns_name *name,
                        uint16_t type, struct dns_question *q)
{
    struct dns_name n = *name;

    if (!dns_name_add_wire(&n,
                           dns_name_slice(&config_of(r)->domains[r->domain]))) {
        return false;
    }
    dns_question_make(q, arena_copy(&r->scratch, dns_name_slice(&n)), type);
    q->stream = true;
    return true;
}

static void decide(struct rendering *r, const struct dns_name *name,
                   uint16_t type, struct dns_records *out)
{
    struct dns_question *q = arena_zalloc(&r->scratch, 1, sizeof(*q));
    struct dns_answer answer = {0};
    size_t kept = 0;

    *out = (struct dns_records){0};
    if (!question_of(r, name, type, q)) {
        return;
    }
    dns_decide(&r->zone, q, &r->scratch, &answer);
    for (size_t i = 0; i < answer.answers.count; i++) {
        if (dns_same(answer.answers.items[i].owner, q->name)) {
            answer.answers.items[kept++] = answer.answers.items[i];
        }
    }
    answer.answers.count = kept;
    *out = answer.answers;
}

/* Beside a CNAME there is nothing (RFC 1034, 3.6.2): it is what counts where
 * clients look for addresses. */
static void add_name(struct rendering *r, const struct dns_name *name,
                     unsigned forms)
{
    static const uint16_t types[] = {DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_SRV,
                                     DNS_TYPE_TXT, DNS_TYPE_PTR};

    arena_reset(&r->scratch);
    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
        struct dns_records records;

        if ((forms & UNDERSCORED) &&
            (types[t] == DNS_TYPE_A || types[t] == DNS_TYPE_AAAA)) {
            continue;
        }
        decide(r, name, types[t], &records);
        for (size_t i = 0; i < records.count; i++) {
            add_record(r, name, forms, &records.items[i]);
        }
        if (records.count > 0 && records.items[0].type == DNS_TYPE_CNAME) {
            return;
        }
    }
}

/* ---- Services ---------------------------------------------------------- */

static const char *const protocols[] = {"_tcp", "_udp"};

static bool any_grpc_config(const struct dns_service *s)
{
    for (size_t i = 0; i < s->members_count; i++) {
        if (s->members[i].grpc_config.len > 0) {
            return true;
        }
    }
    return false;
}

static void add_grpc_config(struct rendering *r, const struct dns_name *name)
{
    struct dns_name n = {0};

    if (dns_name_add_label(&n, slice_str("_grpc_config")) &&
        dns_name_add_wire(&n, dns_name_slice(name))) {
        add_name(r, &n, WITH_DC);
    }
}

/* ---- Instances by id (RFC 6763) ---------------------------------------- */

struct by_id {
    const struct dns_member *member;
    size_t index;
};

static int id_order(struct slice a, struct slice b)
{
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        int order = dns_lower(a.data[i]) - dns_lower(b.data[i]);

        if (order != 0) {
            return order;
        }
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

static int by_id_order(const void *a, const void *b)
{
    const struct by_id *x = a;
    const struct by_id *y = b;
    int order = id_order(x->member->id, y->member->id);

    if (order != 0) {
        return order;
    }
    return x->index < y->index ? -1 : x->index > y->index;
}

/* The instances that a question of this type for "<id>._web._tcp.service" would
 * be answered from, were they all of one id; chosen once for all. */
static bool choose_all(struct rendering *r, const struct dns_name *parent,
                       uint16_t type, struct dns_decider *d,
                       struct dns_selection *s, struct dns_members *out)
{
    struct dns_question *q = arena_zalloc(&r->scratch, 1, sizeof(*q));
    struct dns_name any = {0};

    if (!dns_name_add_label(&any, slice_str("x")) ||
        !dns_name_add_wire(&any, dns_name_slice(parent)) ||
        !question_of(r, &any, type, q)) {
        return false;
    }
    *d = (struct dns_decider){.home = &r->zone,
                              .zone = &r->zone,
                              .config = r->zone.config,
                              .q = q,
                              .arena = &r->scratch};
    dns_place_of(d->config, q, &d->place);
    *s = (struct dns_selection){0};
    if (!dns_select_underscored(d, 1, s)) {
        return false;
    }
    *out = dns_choose(d, s);
    return out->count > 0;
}

static const struct by_id *sorted_by_id(struct rendering *r,
                                        const struct dns_members *chosen)
{
    struct by_id *all =
        arena_alloc(&r->scratch, chosen->count * sizeof(all[0]));

    for (size_t i = 0; i < chosen->count; i++) {
        all[i] = (struct by_id){chosen->items[i], i};
    }
    qsort(all, chosen->count, sizeof(all[0]), by_id_order);
    return all;
}

/* What is said of the instances of one id: `group`. */
static void add_id(struct rendering *r, const struct dns_name *parent,
                   struct dns_decider *d, const struct dns_selection *s,
                   struct dns_members group)
{
    struct dns_answer answer = {0};
    struct dns_name name = {0};
    uint32_t ttl_s;

    if (!dns_name_add_label(&name, group.items[0]->id) ||
        !dns_name_add_wire(&name, dns_name_slice(parent)) ||
        name.len + config_of(r)->domains[r->domain].len > DNS_NAME_MAX ||
        dns_same(group.items[0]->id, slice_str("_grpc_config"))) {
        return;
    }
    dns_name_lower(&name);
    (void)dns_config_ttl(d->config, s->service->name, &ttl_s);
    d->answer = &answer;
    if (d->q->type == DNS_TYPE_SRV) {
        dns_add_srv(d, s, group, ttl_s);
    } else {
        struct dns_record *t =
            dns_record_add(d, &answer.answers, d->q->name, DNS_TYPE_TXT, ttl_s);

        t->data.txt.text = group.items[0]->strings;
        t->data.txt.strings = true;
    }
    for (size_t i = 0; i < answer.answers.count; i++) {
        add_record(r, &name, WITH_DC | NO_KEYWORD | INSTANCE,
                   &answer.answers.items[i]);
    }
}

static void add_ids(struct rendering *r, const struct dns_name *parent,
                    uint16_t type)
{
    struct dns_decider d;
    struct dns_selection s;
    struct dns_members chosen;
    const struct by_id *all;
    const struct dns_member **items;

    arena_reset(&r->scratch);
    if (!choose_all(r, parent, type, &d, &s, &chosen)) {
        return;
    }
    all = sorted_by_id(r, &chosen);
    items = arena_alloc(&r->scratch, chosen.count * sizeof(items[0]));
    for (size_t i = 0; i < chosen.count; i++) {
        items[i] = all[i].member;
    }
    for (size_t first = 0, end = 0; first < chosen.count; first = end) {
        struct dns_members group = chosen;

        while (end < chosen.count &&
               id_order(items[first]->id, items[end]->id) == 0) {
            end++;
        }
        group.items = items + first;
        group.count = end - first;
        add_id(r, parent, &d, &s, group);
    }
}

static void add_instances(struct rendering *r, const struct dns_service *s)
{
    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
        struct dns_names one = {0};

        /* "_services._dns-sd._udp" is the list of all. */
        if (i > 0 && slice_eq(s->name, slice_str("dns-sd"))) {
            continue;
        }
        dns_names_add_underscored(&one, s, slice_str(protocols[i] + 1));
        for (size_t n = 0; n < one.count; n++) {
            add_ids(r, &one.items[n], DNS_TYPE_SRV);
            add_ids(r, &one.items[n], DNS_TYPE_TXT);
        }
        free(one.items);
    }
}

static void add_service(struct rendering *r, const struct dns_entry *e)
{
    const struct dns_service *s = e->service;
    struct dns_names plain = {0};
    struct dns_names underscored = {0};
    struct dns_name self = {0};
    bool grpc = any_grpc_config(s);

    CHECK(dns_name_add_wire(&self, dns_entry_key(e)));
    dns_names_add(&plain, &self);
    if (s->name.data[0] != '_') {
        for (size_t i = 0; i < s->members_count; i++) {
            dns_names_of_member(&plain, &underscored, e, &s->members[i]);
        }
        for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
            dns_names_add_underscored(&underscored, s,
                                      slice_str(protocols[i] + 1));
        }
        add_instances(r, s);
    }
    dns_names_sort(&plain);
    dns_names_sort(&underscored);
    for (size_t i = 0; i < plain.count; i++) {
        add_name(r, &plain.items[i], WITH_DC);
        if (grpc) {
            add_grpc_config(r, &plain.items[i]);
        }
    }
    for (size_t i = 0; i < underscored.count; i++) {
        add_name(r, &underscored.items[i], WITH_DC | NO_KEYWORD | UNDERSCORED);
    }
    free(plain.items);
    free(underscored.items);
}

/* ---- Nodes, addresses -------------------------------------------------- */

static void add_host(struct rendering *r, const struct dns_entry *e)
{
    struct dns_name name = {0};

    CHECK(dns_name_add_wire(&name, dns_entry_key(e)));
    add_name(r, &name, WITH_DC);
}

/* "5.2.0.192.in-addr" and the like, read back. */
static bool address_of_key(struct slice key, struct dns_address *out)
{
    unsigned labels = 0;
    unsigned nibbles[32] = {0};

    *out = (struct dns_address){0};
    while (key.len > 0 && labels < 32 && key.data[0] < 4) {
        struct slice label = slice_of(key.data + 1, key.data[0]);
        unsigned decimal = 0;

        for (size_t i = 0; i < label.len; i++) {
            unsigned digit = label.data[i] <= '9' ? label.data[i] - '0' + 0U
                                                  : label.data[i] - 'a' + 10U;

            decimal = 10 * decimal + digit;
        }
        nibbles[labels++] = decimal;
        key = slice_skip(key, label.len + 1);
        if (key.len > 0 && key.data[0] > 2 && key.data[1] == 'i') {
            break;
        }
    }
    if (labels == 4) {
        out->len = 4;
        for (unsigned i = 0; i < 4; i++) {
            out->ip[3 - i] = (uint8_t)nibbles[i];
        }
    } else if (labels == 32) {
        out->len = 16;
        for (unsigned i = 0; i < 16; i++) {
            out->ip[15 - i] =
                (uint8_t)(nibbles[2 * i + 1] << 4 | nibbles[2 * i]);
        }
    }
    return out->len > 0;
}

/* Services' own addresses have names that SRV records lead to. */
static void add_address(struct rendering *r, const struct dns_entry *e)
{
    struct dns_address address;
    struct dns_name name = {0};
    bool wanted = false;

    for (size_t i = 0; i < e->owners->count; i++) {
        wanted = wanted || !e->owners->items[i].is_node;
    }
    if (wanted && address_of_key(dns_entry_key(e), &address)) {
        dns_name_add_hex(&name, slice_of(address.ip, address.len));
        CHECK(dns_name_add_label(&name, slice_str("addr")));
        add_name(r, &name, WITH_DC);
    }
}

struct dns_piece *dns_render_entry(const struct dns_zone *zone, unsigned domain,
                                   const struct dns_entry *entry)
{
    struct rendering r;

    rendering_begin(&r, zone, domain);
    if (entry->service != NULL) {
        add_service(&r, entry);
    }
    if (entry->host != NULL) {
        add_host(&r, entry);
    }
    if (entry->owners != NULL) {
        add_address(&r, entry);
    }
    return rendering_end(&r);
}

/* ---- The zone's own ---------------------------------------------------- */

static void add_apex(struct rendering *r, uint16_t type)
{
    struct dns_name none = {0};
    struct dns_records records;

    decide(r, &none, type, &records);
    for (size_t i = 0; i < records.count; i++) {
        add_record(r, &none, 0, &records.items[i]);
    }
}

struct dns_piece *dns_render_apex(const struct dns_zone *zone, unsigned domain)
{
    struct rendering r;
    struct dns_name ns = {0};
    struct dns_name types = {0};

    rendering_begin(&r, zone, domain);
    add_apex(&r, DNS_TYPE_NS);
    CHECK(dns_name_add_label(&ns, slice_str("ns")));
    add_name(&r, &ns, 0);
    CHECK(dns_name_add_text(&types, slice_str("_services._dns-sd._udp")));
    CHECK(dns_name_add_label(&types, slice_str("service")));
    add_name(&r, &types, WITH_DC | NO_KEYWORD | UNDERSCORED);
    return rendering_end(&r);
}

struct dns_piece *dns_render_soa(const struct dns_zone *zone, unsigned domain)
{
    struct rendering r;

    rendering_begin(&r, zone, domain);
    add_apex(&r, DNS_TYPE_SOA);
    return rendering_end(&r);
}
