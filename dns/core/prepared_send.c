/* The sending of what is prepared: dns_answer_prepared(). */

#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/core/wire.h"
#include "dns/core/pack_edns.h"
#include "dns/core/place.h"
#include "dns/core/prepared.h"
#include "dns/core/rank.h"

enum {
    POINTER_MAX = 0x3fff,
    SRV_TARGET_AT = 16, /* From the record's type to its target. */
};

static void store_u16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* Header and question; the counts of the sections follow later. */
static uint8_t *put_head(const struct dns_question *q, unsigned flags,
                         uint8_t *out)
{
    uint8_t *at = out + DNS_HEADER_BYTES;

    store_u16(out, q->id);
    store_u16(out + 2, flags);
    store_u16(out + 4, 1);
    memset(out + 6, 0, 6);
    memcpy(at, q->name.data, q->name.len);
    at += q->name.len;
    store_u16(at, q->type);
    store_u16(at + 2, q->class);
    return at + 4;
}

static uint8_t *put_record(const struct dns_prepared *p, size_t index,
                           size_t owner_at, uint8_t *at)
{
    store_u16(at, 0xc000u | (unsigned)owner_at);
    memcpy(at + 2, dns_prepared_wire(p, index), p->records[index].len);
    return at + 2 + p->records[index].len;
}

/* Out of contact: no TTL above DNS_STALE_TTL_S. The records from `at` to `end`
 * have two bytes of owner each. */
static void cap_ttls(uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        uint8_t *ttl = at + 2 + 4;

        if (wire_get_u32be(ttl) > DNS_STALE_TTL_S) {
            wire_put_u32be(ttl, DNS_STALE_TTL_S);
        }
        at += 2 + 10 + (at[10] << 8 | at[11]);
    }
}

/* The answers, in order. targets[e]: where the name that owns extra e and those
 * after it stands first; 0 while nobody has named it. */
static uint8_t *put_answers(const struct dns_prepared *p, const uint16_t *order,
                            size_t most, uint16_t *targets, uint8_t *out,
                            uint8_t *at)
{
    memset(targets, 0, p->extras_count * sizeof(targets[0]));
    for (size_t i = 0; i < most; i++) {
        const struct dns_prepared_record *r = &p->records[order[i]];

        if (r->extras_count > 0 && targets[r->extras_first] == 0) {
            targets[r->extras_first] =
                (uint16_t)((size_t)(at - out) + 2 + SRV_TARGET_AT);
        }
        at = put_record(p, order[i], DNS_HEADER_BYTES, at);
    }
    store_u16(out + 6, (unsigned)most);
    return at;
}

/* The extras of the answers sent, in their order, once for each target. */
static uint8_t *put_extras(const struct dns_prepared *p, const uint16_t *order,
                           size_t most, uint16_t *targets, uint8_t *out,
                           uint8_t *at)
{
    unsigned count = 0;

    for (size_t i = 0; i < most; i++) {
        const struct dns_prepared_record *r = &p->records[order[i]];
        size_t target = r->extras_count == 0 ? 0 : targets[r->extras_first];

        if (target == 0) {
            continue;
        }
        targets[r->extras_first] = 0;
        for (size_t e = 0; e < r->extras_count; e++) {
            at = put_record(p, p->count + r->extras_first + e, target, at);
            count++;
        }
    }
    store_u16(out + 10, count);
    return at;
}

/* A response being sent. */
struct sending {
    const struct dns_zone *home; /* What was asked, */
    const struct dns_zone *zone; /* and the one of it that has the name. */
    const struct dns_question *q;
    const struct dns_transport *transport;
    struct dns_place place;
    struct dns_opt opt;
    struct dns_near near; /* Where the client is, when that matters. */
    uint8_t *out;
};

/* The records that are sent, with all names spelt out where that is the
 * measure; else with pointers to them. */
static size_t size_of(const struct sending *s, const struct dns_prepared *p,
                      size_t most)
{
    const struct dns_question *q = s->q;
    bool plain = !s->transport->tcp && !q->edns.present && most > 1;
    size_t owner = plain ? q->name.len : 2;
    size_t head = DNS_HEADER_BYTES + q->name.len + 4 + s->opt.len;

    if (most < p->count) { /* Addresses are all of one length. */
        return head + most * (p->records[0].len + owner);
    }
    return head + (plain ? p->plain + most * owner : p->size);
}

/* How many of at most `most` answers go out; 0: the slow path is to see. */
static size_t cut_down(struct sending *s, const struct dns_prepared *p,
                       size_t most, uint16_t *order)
{
    struct dns_cut cut = {
        .settings = &s->zone->config->settings,
        .q = s->q,
        .transport = s->transport,
        .near = s->near,
        .head_size = DNS_HEADER_BYTES + s->q->name.len + 4 + s->opt.len,
        .most = most,
    };
    bool ranked;
    size_t kept = dns_prepared_cut(p, &cut, order, &ranked);

    if (ranked) {
        dns_opt_narrow(&s->opt);
    }
    return kept;
}

/* The end of the records; NULL when the slow path has to see to it: one answer
 * is too long, or pointers do not reach. */
static uint8_t *send_ready(struct sending *s, const struct dns_prepared *p)
{
    uint16_t order[DNS_READY_RECORDS_MAX];
    uint16_t targets[DNS_READY_RECORDS_MAX];
    const struct dns_settings *settings = &s->zone->config->settings;
    const struct dns_question *q = s->q;
    bool addresses = q->type == DNS_TYPE_A || q->type == DNS_TYPE_AAAA;
    bool cut;
    size_t most =
        dns_count_max(settings, q, s->transport, p->count, addresses, &cut);
    size_t size = size_of(s, p, most);
    unsigned flags =
        dns_response_flags(q, settings, s->transport->recursion, true);
    bool subset = most < p->count &&
                  (!addresses || dns_subset_is_stable(settings, q->type));
    uint8_t *at;

    if (size > POINTER_MAX && s->transport->size_max > POINTER_MAX) {
        return NULL;
    }
    if (subset || size > s->transport->size_max) {
        size_t kept = cut_down(s, p, most, order);

        cut = cut || kept < most;
        most = kept;
    } else {
        dns_order(s->transport->rng, p->order, p->standings, &s->near, order,
                  p->count, most);
    }
    if (most == 0) {
        return NULL;
    }
    if (cut && settings->enable_truncate) {
        flags |= DNS_FLAG_TC;
    }
    at = put_head(q, flags, s->out);
    at = put_answers(p, order, most, targets, s->out, at);
    return p->extras_count == 0
               ? at
               : put_extras(p, order, most, targets, s->out, at);
}

/* NODATA or NXDOMAIN with the SOA of the domain asked. */
static uint8_t *send_negative(const struct sending *s, enum dns_rcode rcode)
{
    const struct dns_question *q = s->q;
    const struct dns_prepared *soa =
        dns_prepared_of_soa(s->home, s->place.domain, rcode == DNS_NOERROR);
    size_t size = DNS_HEADER_BYTES + q->name.len + 4 + soa->size + s->opt.len;
    unsigned flags = dns_response_flags(q, &s->zone->config->settings,
                                        s->transport->recursion, true);
    uint8_t *at;

    if (size > s->transport->size_max) {
        return NULL;
    }
    at = put_head(q, flags | (unsigned)rcode, s->out);
    store_u16(s->out + 8, 1);
    return put_record(soa, 0, DNS_HEADER_BYTES + q->labels[s->place.apex], at);
}

static uint8_t *send_prepared(struct sending *s, const struct dns_prepared *p)
{
    switch (p->kind) {
    case DNS_PREPARED_READY:
        return send_ready(s, p);
    case DNS_PREPARED_NODATA:
        return send_negative(s, DNS_NOERROR);
    case DNS_PREPARED_NXDOMAIN:
        return send_negative(s, DNS_NXDOMAIN);
    case DNS_PREPARED_DECIDE:
        return NULL;
    }
    UNREACHABLE();
}

static int slot_of(const struct dns_question *q, const struct dns_place *place)
{
    switch (q->type) {
    case DNS_TYPE_A:
        return DNS_SLOT_A;
    case DNS_TYPE_AAAA:
        return DNS_SLOT_AAAA;
    case DNS_TYPE_TXT:
        return DNS_SLOT_TXT;
    case DNS_TYPE_PTR:
        return DNS_SLOT_PTR;
    case DNS_TYPE_SRV:
        return place->domain == 0 ? DNS_SLOT_SRV : DNS_SLOT_SRV_ALT;
    default:
        return -1;
    }
}

/* What is known without deciding of a name that has no entry: a plain service
 * name or a node's is not there. Others may be computed, or mean several tags.
 */
static const struct dns_prepared *of_missing(const struct dns_place *place,
                                             const struct dns_question *q)
{
    bool plain = place->kind == DNS_KIND_NODE ||
                 (place->kind == DNS_KIND_SERVICE && place->parts == 1 &&
                  q->lower[1] != '_');

    return plain ? dns_prepared_nxdomain : dns_prepared_undecided;
}

static const struct dns_prepared *lookup(const struct dns_zone *zone,
                                         const struct dns_place *place,
                                         const struct dns_question *q)
{
    struct dns_name scratch;
    const struct dns_entry *entry;
    int slot = slot_of(q, place);

    if (slot < 0 || (place->implied && q->type != DNS_TYPE_SRV) ||
        (place->underscored && q->type == DNS_TYPE_PTR)) {
        return dns_prepared_undecided;
    }
    switch (place->kind) {
    case DNS_KIND_SERVICE:
    case DNS_KIND_NODE:
    case DNS_KIND_ARPA:
        break;
    case DNS_KIND_FOREIGN:
    case DNS_KIND_APEX:
    case DNS_KIND_EMPTY:
    case DNS_KIND_NONE:
    case DNS_KIND_QUERY:
    case DNS_KIND_ADDR:
    case DNS_KIND_NS:
        return dns_prepared_undecided;
    }
    entry = dns_zone_find(zone, dns_place_key(place, q, &scratch));
    if (entry == NULL) {
        return of_missing(place, q);
    }
    return dns_prepared_of_entry(zone, entry, (enum dns_slot)slot);
}

static int extended_error(const struct dns_zone *zone,
                          const struct dns_prepared *p)
{
    if (zone->state != DNS_STALE) {
        return DNS_EDE_NONE;
    }
    return p->kind == DNS_PREPARED_NXDOMAIN ? DNS_EDE_STALE_NXDOMAIN
                                            : DNS_EDE_STALE;
}

/* May `p` be sent for this place and state? */
static bool holds(const struct dns_zone *zone, const struct dns_place *place,
                  const struct dns_prepared *p)
{
    switch (p->kind) {
    case DNS_PREPARED_READY:
        return true;
    case DNS_PREPARED_NODATA:
        return place->kind != DNS_KIND_ARPA; /* Its SOA is another one. */
    case DNS_PREPARED_NXDOMAIN:
        /* "Nobody is healthy" is a lie while we may not know everybody. */
        return place->kind != DNS_KIND_ARPA && zone->state != DNS_UNKNOWN;
    case DNS_PREPARED_DECIDE:
        return false;
    }
    UNREACHABLE();
}

size_t dns_answer_prepared(const struct dns_zone *zone,
                           const struct dns_question *q,
                           const struct dns_transport *transport, uint8_t *out)
{
    struct sending s = {
        .home = zone, .zone = zone, .q = q, .transport = transport, .out = out};
    const struct dns_prepared *p;
    uint8_t *end;

    dns_place_of(zone->config, q, &s.place);
    if (s.place.dc > 0) {
        zone = zone->others[s.place.dc - 1];
        s.zone = zone;
    }
    if (zone == NULL || zone->state == DNS_EXPIRED ||
        q->class != DNS_CLASS_IN ||
        zone->config->settings.disable_compression) {
        return 0;
    }
    p = lookup(zone, &s.place, q);
    if (!holds(zone, &s.place, p)) {
        return 0;
    }
    dns_opt_make(q, transport, zone->config->settings.edns_udp_size,
                 DNS_NOERROR, extended_error(zone, p), &s.opt);
    if (p->order == DNS_ORDER_NEAR) {
        s.near = dns_client_near(zone, q, transport);
        dns_opt_narrow(&s.opt);
    }
    end = send_prepared(&s, p);
    if (end == NULL) {
        return 0;
    }
    if (zone->state == DNS_STALE) {
        cap_ttls(out + DNS_HEADER_BYTES + q->name.len + 4, end);
    }
    return dns_opt_append(&s.opt, out, (size_t)(end - out));
}
