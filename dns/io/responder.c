#include "dns/io/responder.h"

#include <ldns/ldns.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "dns/core/pack_edns.h"
#include "dns/core/prepared.h"

/* UDP's own limit, less a little. */
enum {
    UDP_LOOPBACK_MAX = 65467,
    PAD_BLOCK = 468 /* RFC 8467, 4.1. */
};

uint16_t responder_size_max(const struct responder *r,
                            const struct dns_question *q,
                            const struct query *query)
{
    uint16_t udp_cap =
        address_is_loopback(query->client) ? UDP_LOOPBACK_MAX : r->udp_remote;

    return dns_size_max(q, query->tcp, udp_cap);
}

static void count_response(struct responder *r, const uint8_t *response)
{
    struct counts *c = r->counts;

    switch (response[3] & 15) {
    case DNS_NOERROR:
        count(&c->noerror);
        break;
    case DNS_NXDOMAIN:
        count(&c->nxdomain);
        break;
    case DNS_SERVFAIL:
        count(&c->servfail);
        break;
    case DNS_REFUSED:
        count(&c->refused);
        break;
    default:
        break;
    }
    if (response[2] & (DNS_FLAG_TC >> 8)) {
        count(&c->truncated);
    }
}

static struct dns_transport transport_of(struct responder *r,
                                         const struct dns_question *q,
                                         const struct query *query)
{
    uint32_t idle_ds = query->idle_ms / 100;

    return (struct dns_transport){
        .tcp = query->tcp,
        .recursion = r->recursion,
        .size_max = responder_size_max(r, q, query),
        .client = address_ip(query->client),
        .rng = &r->rng,
        .scratch = &r->scratch,
        .idle_ds = idle_ds < UINT16_MAX ? (uint16_t)idle_ds : UINT16_MAX,
        .pad_block = query->encrypted ? PAD_BLOCK : 0,
    };
}

size_t responder_fail(struct responder *r, const struct query *query,
                      const struct dns_question *q, enum dns_rcode rcode,
                      uint8_t *out)
{
    struct dns_transport t = transport_of(r, q, query);
    size_t len = dns_pack_error(q, rcode, &t, out);

    count_response(r, out);
    return len;
}

/* The slow path. */
static enum response decide(struct responder *r, const struct dns_zone *zone,
                            const struct query *query,
                            const struct dns_transport *t, uint8_t *out,
                            struct taken *taken)
{
    const struct dns_question *q = &taken->question;
    struct dns_answer answer;
    bool upstream = r->recursion && address_is_local(query->client) &&
                    (q->flags & DNS_FLAG_RD);

    arena_reset(&r->scratch);
    dns_decide(zone, q, &r->scratch, &answer);
    if (upstream && answer.verdict == DNS_FOREIGN) {
        taken->name = q->name;
        return RESPONSE_FORWARD;
    }
    if (upstream && answer.verdict == DNS_CHASE) {
        const struct dns_records *a = &answer.answers;

        taken->name = a->items[a->count - 1].data.name;
        return RESPONSE_CHASE;
    }
    taken->len = dns_pack(zone, q, &answer, t, out);
    count_response(r, out);
    return RESPONSE_SEND;
}

enum response responder_take(struct responder *r, const struct dns_zone *zone,
                             const struct query *query, uint8_t *out,
                             struct taken *out_taken)
{
    struct dns_question *q = &out_taken->question;
    enum dns_rcode rcode = DNS_SERVFAIL;
    struct dns_transport t;
    enum dns_parse parse = dns_question_parse(query->packet, q, &rcode);

    if (parse == DNS_PARSE_DROP) {
        count(&r->counts->dropped);
        return RESPONSE_NONE;
    }
    if (parse == DNS_PARSE_ERROR || zone == NULL) {
        out_taken->len = responder_fail(r, query, q, rcode, out);
        return RESPONSE_SEND;
    }
    q->stream = query->tcp;
    t = transport_of(r, q, query);
    out_taken->len = dns_answer_prepared(zone, q, &t, out);
    if (out_taken->len == 0) {
        return decide(r, zone, query, &t, out, out_taken);
    }
    count(&r->counts->answers_prepared);
    count_response(r, out);
    return RESPONSE_SEND;
}

/* Upstream must repeat what was asked, in a response that makes sense. c-ares
 * has compared id and server; this is the last look. */
static bool is_response_to(struct slice packet, struct slice name,
                           uint16_t type, ldns_pkt **out_pkt)
{
    ldns_pkt *pkt = NULL;
    const ldns_rr *question;
    bool same;

    if (packet.len == 0 ||
        ldns_wire2pkt(&pkt, packet.data, packet.len) != LDNS_STATUS_OK) {
        return false;
    }
    question = ldns_pkt_qdcount(pkt) == 1
                   ? ldns_rr_list_rr(ldns_pkt_question(pkt), 0)
                   : NULL;
    same = ldns_pkt_qr(pkt) && question != NULL &&
           ldns_rr_get_type(question) == (ldns_rr_type)type &&
           dns_same(name, slice_of(ldns_rdf_data(ldns_rr_owner(question)),
                                   ldns_rdf_size(ldns_rr_owner(question))));
    if (!same) {
        ldns_pkt_free(pkt);
        return false;
    }
    *out_pkt = pkt;
    return true;
}

size_t responder_relay(struct responder *r, const struct query *query,
                       const struct dns_question *q, struct slice upstream,
                       uint8_t *out)
{
    struct dns_transport t = transport_of(r, q, query);
    struct dns_opt opt;
    ldns_pkt *pkt = NULL;
    uint8_t *wire = NULL;
    size_t len = 0;

    if (!is_response_to(upstream, q->name, q->type, &pkt)) {
        count(&r->counts->forward_failed);
        return responder_fail(r, query, q, DNS_SERVFAIL, out);
    }
    dns_opt_make(q, &t, LIMIT_DNS_UDP, DNS_NOERROR, DNS_EDE_NONE, &opt);
    ldns_pkt_set_id(pkt, q->id);
    ldns_pkt_set_ra(pkt, true);
    ldns_pkt_set_aa(pkt, false);
    ldns_pkt_set_ad(pkt, false);
    ldns_pkt_set_cd(pkt, (q->flags & DNS_FLAG_CD) != 0);
    ldns_pkt_set_edns_data(pkt, NULL);
    ldns_pkt_set_edns_extended_rcode(pkt, 0);
    ldns_pkt_set_edns_udp_size(pkt, 0); /* OPT is ours, and comes last. */
    ldns_pkt_set_edns_do(pkt, false);
    pkt->_edns_present = false; /* ldns has no function for it. */
    if (ldns_pkt2wire(&wire, pkt, &len) != LDNS_STATUS_OK ||
        len + opt.len > t.size_max) {
        /* Too long for this client: it comes back over TCP. */
        len =
            dns_pack_error(q, (enum dns_rcode)ldns_pkt_get_rcode(pkt), &t, out);
        out[2] |= DNS_FLAG_TC >> 8;
    } else {
        memcpy(out, wire, len);
        memcpy(out + DNS_HEADER_BYTES, q->name.data, q->name.len); /* Case. */
        len = dns_opt_append(&opt, out, len);
    }
    LDNS_FREE(wire);
    ldns_pkt_free(pkt);
    count_response(r, out);
    return len;
}

static struct slice rdf_copy(struct arena *a, const ldns_rdf *rdf)
{
    return arena_copy(a, slice_of(ldns_rdf_data(rdf), ldns_rdf_size(rdf)));
}

/* Addresses and CNAMEs of upstream's answer, behind our own. */
static void add_upstream(struct arena *arena, struct dns_answer *answer,
                         const ldns_pkt *pkt)
{
    const ldns_rr_list *list = ldns_pkt_answer(pkt);
    size_t count = ldns_rr_list_rr_count(list);
    struct dns_records *to = &answer->answers;
    struct dns_record *items =
        arena_zalloc(arena, to->count + count, sizeof(items[0]));

    memcpy(items, to->items, to->count * sizeof(items[0]));
    to->items = items;
    for (size_t i = 0; i < count; i++) {
        const ldns_rr *rr = ldns_rr_list_rr(list, i);
        const ldns_rdf *data =
            ldns_rr_rd_count(rr) > 0 ? ldns_rr_rdf(rr, 0) : NULL;
        struct dns_record *r = &items[to->count];

        r->type = (uint16_t)ldns_rr_get_type(rr);
        r->ttl_s = ldns_rr_ttl(rr);
        if (r->ttl_s > answer->upstream_ttl_max_s) {
            r->ttl_s = answer->upstream_ttl_max_s;
        }
        if (r->type == DNS_TYPE_A && data != NULL) {
            memcpy(r->data.ipv4, ldns_rdf_data(data), 4);
        } else if (r->type == DNS_TYPE_AAAA && data != NULL) {
            memcpy(r->data.ipv6, ldns_rdf_data(data), 16);
        } else if (r->type == DNS_TYPE_CNAME && data != NULL) {
            r->data.name = rdf_copy(arena, data);
        } else {
            continue;
        }
        r->owner = rdf_copy(arena, ldns_rr_owner(rr));
        to->count++;
    }
}

size_t responder_chased(struct responder *r, const struct dns_zone *zone,
                        const struct query *query, const struct dns_question *q,
                        struct slice upstream, uint8_t *out)
{
    struct dns_transport t = transport_of(r, q, query);
    struct dns_answer answer;
    ldns_pkt *pkt = NULL;
    size_t len;

    arena_reset(&r->scratch);
    dns_decide(zone, q, &r->scratch, &answer);
    if (answer.verdict == DNS_CHASE) {
        const struct dns_record *last =
            &answer.answers.items[answer.answers.count - 1];

        if (is_response_to(upstream, last->data.name, q->type, &pkt)) {
            add_upstream(&r->scratch, &answer, pkt);
            ldns_pkt_free(pkt);
        } else {
            count(&r->counts->forward_failed);
        }
    }
    len = dns_pack(zone, q, &answer, &t, out);
    count_response(r, out);
    return len;
}
