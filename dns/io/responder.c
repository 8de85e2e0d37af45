#include "dns/io/responder.h"

#include "base/core/check.h"
#include "base/core/limits.h"
#include "dns/core/prepared.h"
#include "dns/io/recursion.h"

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

void responder_count(struct responder *r, const uint8_t *response)
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

struct dns_transport responder_transport(struct responder *r,
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
    struct dns_transport t = responder_transport(r, q, query);
    size_t len = dns_pack_error(q, rcode, &t, out);

    responder_count(r, out);
    return len;
}

size_t responder_failure(struct responder *r, const struct query *query,
                         const struct dns_question *q, int extended_error,
                         uint8_t *out)
{
    struct dns_transport t = responder_transport(r, q, query);
    size_t len = dns_pack_failure(q, DNS_SERVFAIL, extended_error, &t, out);

    responder_count(r, out);
    return len;
}

/* It could be asked upstream, but not for this client. */
static size_t refuse(struct responder *r, const struct dns_transport *t,
                     const struct dns_question *q, uint8_t *out)
{
    size_t len = dns_pack_failure(q, DNS_REFUSED, DNS_EDE_PROHIBITED, t, out);

    responder_count(r, out);
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
    bool wanted = r->recursion && (q->flags & DNS_FLAG_RD);
    bool allowed = wanted && recursion_is_for(r->rules, query->client);

    arena_reset(&r->scratch);
    dns_decide(zone, q, &r->scratch, &answer);
    if (answer.verdict == DNS_FOREIGN && allowed) {
        taken->wants[0] = (struct dns_want){.name = q->name, .type = q->type};
        taken->wants_count = 1;
        return responder_remember(r, zone, query, RESPONSE_FORWARD, out, taken);
    }
    if (answer.verdict == DNS_CHASE && allowed) {
        taken->wants_count = dns_chase_wants(zone, q, &answer, taken->wants);
        if (taken->wants_count > 0) {
            return responder_remember(r, zone, query, RESPONSE_CHASE, out,
                                      taken);
        }
    }
    if (answer.verdict == DNS_FOREIGN && wanted &&
        answer.rcode == DNS_REFUSED) {
        taken->len = refuse(r, t, q, out);
        return RESPONSE_SEND;
    }
    taken->len = dns_pack(zone, q, &answer, t, out);
    responder_count(r, out);
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
    t = responder_transport(r, q, query);
    out_taken->len = dns_answer_prepared(zone, q, &t, out);
    if (out_taken->len == 0) {
        return decide(r, zone, query, &t, out, out_taken);
    }
    count(&r->counts->answers_prepared);
    responder_count(r, out);
    return RESPONSE_SEND;
}
