#include "dns/core/pack.h"

#include "base/core/check.h"
#include "base/core/limits.h"
#include "dns/core/content.h"
#include "dns/core/pack_edns.h"
#include "dns/core/rank.h"

enum {
    POINTER_MAX = 0x3fff, /* A compression pointer reaches no further. */
    UDP_ANSWERS_MAX = 8,  /* Whatever udp_answer_limit says. */
    RECORD_FIXED = 10,    /* Type, class, TTL, length of the data. */
    SRV_FIXED = 6,        /* Priority, weight, port. */
};

uint16_t dns_size_max(const struct dns_question *q, bool tcp, uint16_t udp_cap)
{
    if (tcp) {
        return LIMIT_DNS_TCP;
    }
    if (!q->edns.present) {
        return 512;
    }
    return q->edns.udp_size < udp_cap ? q->edns.udp_size : udp_cap;
}

size_t dns_count_max(const struct dns_settings *s, const struct dns_question *q,
                     const struct dns_transport *t, size_t count,
                     bool addresses, bool *out_cut)
{
    size_t most = count;
    size_t udp = s->udp_answer_limit < UDP_ANSWERS_MAX ? s->udp_answer_limit
                                                       : UDP_ANSWERS_MAX;

    *out_cut = false;
    if (addresses && s->a_record_limit > 0 && s->a_record_limit < most) {
        most = s->a_record_limit;
    }
    if (!t->tcp && !q->edns.present && udp > 0 && udp < most) {
        most = udp;
        *out_cut = true;
    }
    return most;
}

uint16_t dns_response_flags(const struct dns_question *q,
                            const struct dns_settings *s, bool recursion,
                            bool authoritative)
{
    unsigned flags = DNS_FLAG_QR | (q->flags & (DNS_FLAG_RD | DNS_FLAG_CD));

    if (authoritative) {
        flags |= DNS_FLAG_AA;
    }
    if (recursion || (s != NULL && s->always_ra)) {
        flags |= DNS_FLAG_RA;
    }
    return (uint16_t)flags;
}

/* A message being written. */
struct packer {
    const struct dns_question *q;
    const struct dns_answer *answer;
    struct arena *arena;
    struct rng *rng;
    struct slice client;
    struct dns_near near; /* Where the client is, when that matters. */
    bool stable;          /* dns_subset_is_stable() */
    bool depends;         /* On the client. */
    bool spelt;           /* No name is a pointer to another. */
    bool plain;           /* It has to fit with all names spelt out, too. */
    size_t saved;         /* By pointers. */
    struct slice *answers_wire; /* Made when first written. */
    struct slice *authority_wire;
    struct slice *extras_wire;
    uint16_t *order;
    uint32_t *extras_at; /* Where extra i's owner stands already; 0: not yet. */
    uint8_t *out;
    size_t cap; /* Without the room for OPT. */
    size_t len;
    bool full;
};

static void put(struct packer *p, const void *bytes, size_t len)
{
    if (p->full || len > p->cap - p->len) {
        p->full = true;
        return;
    }
    if (len > 0) {
        memcpy(p->out + p->len, bytes, len);
    }
    p->len += len;
}

static void put_u16(struct packer *p, unsigned value)
{
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};

    put(p, bytes, sizeof(bytes));
}

/* Where in the message `owner` is spelt out as the question or as a parent of
 * it; 0 when it is not. */
static size_t in_question(const struct dns_question *q, struct slice owner)
{
    for (unsigned i = 0; i <= q->labels_count; i++) {
        size_t at = q->labels[i];

        if (q->name.len - at == owner.len && owner.len > 1) {
            return dns_same(slice_skip(q->name, at), owner)
                       ? DNS_HEADER_BYTES + at
                       : 0;
        }
    }
    return 0;
}

/* `known_at`: where the name stands already, or 0. */
static void put_owner(struct packer *p, struct slice owner, size_t known_at)
{
    if (known_at == 0 || known_at > POINTER_MAX) {
        known_at = in_question(p->q, owner);
    }
    if (known_at == 0 || p->spelt) {
        put(p, owner.data, owner.len);
    } else {
        put_u16(p, 0xc000u | (unsigned)known_at);
        p->saved += owner.len - 2;
    }
}

/* Returns where the name in the record's data stands. */
static size_t put_record(struct packer *p, const struct dns_record *r,
                         struct slice *wire, size_t owner_at)
{
    size_t name_at;

    if (wire->len == 0) {
        *wire = dns_record_wire(r, p->arena);
    }
    put_owner(p, r->owner, owner_at);
    name_at = p->len + RECORD_FIXED;
    put(p, wire->data, wire->len);
    return r->type == DNS_TYPE_SRV ? name_at + SRV_FIXED : name_at;
}

/* The name that a record's data ends in or is; empty for other types. */
static struct slice target_of(const struct dns_record *r)
{
    switch (r->type) {
    case DNS_TYPE_SRV:
        return r->data.srv.target;
    case DNS_TYPE_NS:
    case DNS_TYPE_CNAME:
    case DNS_TYPE_PTR:
        return r->data.name;
    default:
        return slice_of(NULL, 0);
    }
}

/* Note where the extras of a record find their owner. */
static void note_target(struct packer *p, const struct dns_record *r, size_t at)
{
    for (size_t i = r->extras_first; i < r->extras_first + r->extras_count;
         i++) {
        bool same = p->answer->extras.items[i].owner.data == target_of(r).data;

        if (p->extras_at[i] == 0) {
            p->extras_at[i] = same ? (uint32_t)at : UINT32_MAX;
        }
    }
}

/* Extras of one record, unless an earlier one with that target brought them. */
static unsigned put_extras(struct packer *p, const struct dns_record *r)
{
    unsigned count = 0;

    for (size_t i = r->extras_first; i < r->extras_first + r->extras_count;
         i++) {
        if (p->extras_at[i] == 0) {
            continue;
        }
        (void)put_record(p, &p->answer->extras.items[i], &p->extras_wire[i],
                         p->extras_at[i]);
        p->extras_at[i] = 0;
        count++;
    }
    return count;
}

struct extent {
    size_t answers;
    bool authority;
    bool extras;
};

/* A chain's next record is owned by the name that the one before ended in. */
static size_t chain_owner(const struct packer *p, size_t index, size_t name_at)
{
    const struct dns_record *before;

    if (index == 0) {
        return 0;
    }
    before = &p->answer->answers.items[index - 1];
    return before->type == DNS_TYPE_CNAME &&
                   dns_same(before->data.name,
                            p->answer->answers.items[index].owner)
               ? name_at
               : 0;
}

static unsigned put_all_extras(struct packer *p, struct extent e)
{
    const struct dns_answer *a = p->answer;
    unsigned count = 0;

    for (size_t i = 0; i < e.answers; i++) {
        count += put_extras(p, &a->answers.items[p->order[i]]);
    }
    for (size_t i = 0; e.authority && i < a->authority.count; i++) {
        count += put_extras(p, &a->authority.items[i]);
    }
    return count;
}

/* Write all but OPT. false: it does not fit. */
static bool write_message(struct packer *p, unsigned flags, struct extent e)
{
    const struct dns_answer *a = p->answer;
    size_t authority = e.authority ? a->authority.count : 0;
    size_t name_at = 0;
    unsigned extras = 0;

    p->len = 0;
    p->saved = 0;
    p->full = false;
    if (a->extras.count > 0) {
        memset(p->extras_at, 0, a->extras.count * sizeof(p->extras_at[0]));
    }
    put_u16(p, p->q->id);
    put_u16(p, flags | (a->rcode & 15u));
    put_u16(p, 1);
    put_u16(p, (unsigned)e.answers);
    put_u16(p, (unsigned)authority);
    put_u16(p, 0); /* Extras: filled in below. */
    put(p, p->q->name.data, p->q->name.len);
    put_u16(p, p->q->type);
    put_u16(p, p->q->class);
    for (size_t i = 0; i < e.answers && !p->full; i++) {
        const struct dns_record *r = &a->answers.items[p->order[i]];

        name_at = put_record(p, r, &p->answers_wire[p->order[i]],
                             chain_owner(p, i, name_at));
        note_target(p, r, name_at);
    }
    for (size_t i = 0; i < authority; i++) {
        const struct dns_record *r = &a->authority.items[i];

        note_target(p, r, put_record(p, r, &p->authority_wire[i], 0));
    }
    if (e.extras) {
        extras = put_all_extras(p, e);
    }
    if (p->full || (p->plain && p->len + p->saved > p->cap)) {
        return false;
    }
    p->out[10] = (uint8_t)(extras >> 8);
    p->out[11] = (uint8_t)extras;
    return true;
}

static struct slice *wires(const struct dns_records *records,
                           struct arena *arena)
{
    return arena_zalloc(arena, records->count + 1, sizeof(struct slice));
}

static struct dns_ranked ranked_of(const struct dns_record *r)
{
    struct dns_ranked ranked = {
        .salt = r->type, .area = r->standing.area, .spot = r->standing.spot};

    switch (r->type) {
    case DNS_TYPE_A:
        ranked.identity = slice_of(r->data.ipv4, 4);
        break;
    case DNS_TYPE_AAAA:
        ranked.identity = slice_of(r->data.ipv6, 16);
        break;
    default:
        ranked.salt = r->data.srv.port;
        ranked.identity = r->data.srv.target;
        break;
    }
    return ranked;
}

static void rank_for_client(struct packer *p)
{
    size_t count = p->answer->answers.count;
    struct dns_ranked *ranked =
        arena_alloc(p->arena, count * sizeof(ranked[0]));

    for (size_t i = 0; i < count; i++) {
        ranked[i] = ranked_of(&p->answer->answers.items[i]);
        ranked[i].index = (uint16_t)i;
    }
    dns_rank(ranked, count, p->client, &p->near);
    for (size_t i = 0; i < count; i++) {
        p->order[i] = ranked[i].index;
    }
    p->depends = true;
}

/* Put in order what the first `count` of the order name. */
static void order_first(struct packer *p, size_t count, size_t most)
{
    uint16_t *places = arena_alloc(p->arena, count * sizeof(places[0]));
    uint16_t *ordered = arena_alloc(p->arena, count * sizeof(ordered[0]));
    struct dns_standing *standings =
        arena_alloc(p->arena, count * sizeof(standings[0]));

    for (size_t i = 0; i < count; i++) {
        standings[i] = p->answer->answers.items[p->order[i]].standing;
    }
    dns_order(p->rng, p->answer->order, standings, &p->near, places, count,
              most);
    for (size_t i = 0; i < count; i++) {
        ordered[i] = p->order[places[i]];
    }
    if (count > 0) {
        memcpy(p->order, ordered, count * sizeof(ordered[0]));
    }
}

/* The most answers that fit, without authority; by halving, since every further
 * answer makes the message longer. */
static size_t most_that_fit(struct packer *p, unsigned flags, size_t most)
{
    size_t fits = 0;
    size_t too_many = most + 1;

    while (fits + 1 < too_many) {
        size_t middle = fits + (too_many - fits) / 2;
        struct extent e = {.answers = middle,
                           .extras = !p->answer->extras_optional};

        if (write_message(p, flags, e)) {
            fits = middle;
        } else {
            too_many = middle;
        }
    }
    return fits;
}

static bool only_addresses(const struct dns_answer *a)
{
    for (size_t i = 0; i < a->answers.count; i++) {
        uint16_t type = a->answers.items[i].type;

        if (type != DNS_TYPE_A && type != DNS_TYPE_AAAA) {
            return false;
        }
    }
    return true;
}

static bool is_chain(const struct dns_answer *a)
{
    for (size_t i = 0; i < a->answers.count; i++) {
        if (a->answers.items[i].type == DNS_TYPE_CNAME) {
            return true;
        }
    }
    return false;
}

/* It does not fit whole: the authority section goes, then answers. `flags` gets
 * `tc` when answers are lost. */
static struct extent cut_down(struct packer *p, unsigned *flags, unsigned tc,
                              size_t most)
{
    const struct dns_answer *a = p->answer;
    bool chain = is_chain(a);
    struct extent e = {most, a->answers.count == 0, !a->extras_optional};

    if (write_message(p, *flags, e)) {
        return e;
    }
    *flags |= tc;
    e.answers = chain ? 0 : most_that_fit(p, *flags, most);
    p->plain = false; /* One goes out however long its names are. */
    if (e.answers == 0 && !chain && most > 0) {
        e.answers = 1;
        e.extras = write_message(p, *flags, e);
    }
    return e;
}

/* Order, cut, write. `tc` is what losing answers sets in the flags. */
static void write_fitting(struct packer *p, unsigned flags, unsigned tc,
                          size_t most)
{
    const struct dns_answer *a = p->answer;
    bool chain = is_chain(a);
    bool subset = p->stable && most < a->answers.count;
    struct extent e = {most, true, true};

    for (size_t i = 0; i < a->answers.count; i++) {
        p->order[i] = (uint16_t)i;
    }
    if (!chain && !subset) {
        order_first(p, a->answers.count, most);
    }
    if (!subset && write_message(p, flags, e)) {
        return;
    }
    if (p->stable && !chain) {
        rank_for_client(p);
    }
    e = cut_down(p, &flags, tc, most);
    if (p->stable && !chain) {
        order_first(p, e.answers, e.answers);
    }
    if (!write_message(p, flags, e)) {
        e.answers = 0;
        CHECK(write_message(p, flags | DNS_FLAG_TC, e));
    }
}

static void packer_init(struct packer *p, const struct dns_question *q,
                        const struct dns_answer *answer,
                        const struct dns_transport *t, uint8_t *out)
{
    struct arena *arena = t->scratch;

    *p = (struct packer){
        .q = q,
        .answer = answer,
        .arena = arena,
        .rng = t->rng,
        .client = dns_client_address(q, t),
        .answers_wire = wires(&answer->answers, arena),
        .authority_wire = wires(&answer->authority, arena),
        .extras_wire = wires(&answer->extras, arena),
        .order =
            arena_zalloc(arena, answer->answers.count + 1, sizeof(p->order[0])),
        .extras_at = arena_zalloc(arena, answer->extras.count + 1,
                                  sizeof(p->extras_at[0])),
        .out = out,
    };
}

size_t dns_pack(const struct dns_zone *zone, const struct dns_question *q,
                const struct dns_answer *answer,
                const struct dns_transport *transport, uint8_t *out)
{
    const struct dns_settings *s = &zone->config->settings;
    struct packer p;
    struct dns_opt opt;
    bool cut = false;
    size_t most = answer->answers.count;
    unsigned tc = s->enable_truncate ? DNS_FLAG_TC : 0;
    unsigned flags =
        dns_response_flags(q, s, transport->recursion, answer->authoritative);

    if (!is_chain(answer)) {
        most =
            dns_count_max(s, q, transport, most, only_addresses(answer), &cut);
    }
    packer_init(&p, q, answer, transport, out);
    p.stable = dns_subset_is_stable(s, q->type);
    if (answer->order == DNS_ORDER_NEAR && most > 0) {
        p.near = dns_client_near(zone, q, transport);
        if (answer->origin_given) {
            p.near.area = 1;
            p.near.spot = answer->origin_spot;
        }
        p.depends = !answer->origin_given;
    }
    dns_opt_make(q, transport, s->edns_udp_size, answer->rcode,
                 answer->extended_error, &opt);
    p.cap = transport->size_max - opt.len;
    p.spelt = s->disable_compression;
    p.plain =
        !transport->tcp && !q->edns.present && most > 1 && !is_chain(answer);
    write_fitting(&p, cut ? flags | tc : flags, tc, most);
    if (p.depends && answer->rcode == DNS_NOERROR) {
        dns_opt_narrow(&opt);
    }
    return dns_opt_append(&opt, out, p.len);
}

size_t dns_pack_error(const struct dns_question *q, enum dns_rcode rcode,
                      const struct dns_transport *transport, uint8_t *out)
{
    return dns_pack_failure(q, rcode, DNS_EDE_NONE, transport, out);
}

size_t dns_pack_failure(const struct dns_question *q, enum dns_rcode rcode,
                        int extended_error,
                        const struct dns_transport *transport, uint8_t *out)
{
    struct dns_opt opt;
    struct packer p = {.q = q, .out = out, .cap = 512};
    unsigned flags = dns_response_flags(q, NULL, transport->recursion, false);

    put_u16(&p, q->id);
    /* The opcode comes back with NOTIMP, so that the client knows its own. */
    put_u16(&p, flags | (q->flags & 0x7800u) | (rcode & 15u));
    put_u16(&p, q->name.len > 0 ? 1 : 0);
    put_u16(&p, 0);
    put_u16(&p, 0);
    put_u16(&p, 0);
    if (q->name.len > 0) {
        put(&p, q->name.data, q->name.len);
        put_u16(&p, q->type);
        put_u16(&p, q->class);
    }
    dns_opt_make(q, transport, LIMIT_DNS_UDP, rcode, extended_error, &opt);
    return dns_opt_append(&opt, out, p.len);
}
