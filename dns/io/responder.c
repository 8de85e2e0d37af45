#include "dns/io/responder.h"

#include "base/core/check.h"
#include "base/core/limits.h"
#include "dns/core/prepared.h"
#include "dns/io/recursion.h"
#include "dns/io/transfer_take.h"

/* UDP's own limit, less a little. */
enum {
    UDP_LOOPBACK_MAX = 65467,
    PAD_BLOCK = 468, /* RFC 8467, 4.1. */
    AMPLIFY_MAX = 4, /* Response to query, for clients we do not know. */
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

/* *out_proven: the query's cookie shows that its address is no lie. */
static struct slice cookie_of(struct responder *r, const struct dns_question *q,
                              const struct query *query, bool *out_proven)
{
    struct slice cookie;

    *out_proven = false;
    if (q->edns.cookie.len == 0) {
        return slice_of(NULL, 0);
    }
    cookie = guard_cookie(&r->guard, q->edns.cookie, query->client, out_proven);
    count(*out_proven ? &r->counts->cookies_good : &r->counts->cookies_new);
    return cookie;
}

static struct dns_transport transport_with(struct responder *r,
                                           const struct dns_question *q,
                                           const struct query *query,
                                           struct slice cookie)
{
    uint32_t idle_ds = query->idle_ms / 100;

    return (struct dns_transport){
        .cookie = cookie,
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

/* For a response that is made later, or not by deciding. */
struct dns_transport responder_transport(struct responder *r,
                                         const struct dns_question *q,
                                         const struct query *query)
{
    bool proven;

    return transport_with(r, q, query, cookie_of(r, q, query, &proven));
}

static size_t fail(struct responder *r, const struct dns_question *q,
                   enum dns_rcode rcode, const struct dns_transport *t,
                   uint8_t *out)
{
    size_t len = dns_pack_error(q, rcode, t, out);

    responder_count(r, out);
    return len;
}

size_t responder_fail(struct responder *r, const struct query *query,
                      const struct dns_question *q, enum dns_rcode rcode,
                      uint8_t *out)
{
    struct dns_transport t = responder_transport(r, q, query);

    return fail(r, q, rcode, &t, out);
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
    dns_answer_note(&answer);
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

enum response responder_respond(struct responder *r,
                                const struct dns_zone *zone,
                                const struct query *query,
                                const struct dns_transport *t, uint8_t *out,
                                struct taken *taken)
{
    const struct dns_question *q = &taken->question;

    if (taken->parse == DNS_PARSE_ERROR || zone == NULL) {
        taken->len = fail(r, q, taken->rcode, t, out);
        return RESPONSE_SEND;
    }
    taken->len = dns_answer_prepared(zone, q, t, out);
    if (taken->len == 0) {
        return decide(r, zone, query, t, out, taken);
    }
    count(&r->counts->answers_prepared);
    responder_count(r, out);
    return RESPONSE_SEND;
}

/* Nothing but "come back over TCP". */
static size_t truncated(struct responder *r, const struct dns_question *q,
                        const struct dns_transport *t, uint8_t *out)
{
    size_t len = dns_pack_error(q, DNS_NOERROR, t, out);

    out[2] |= DNS_FLAG_TC >> 8;
    count(&r->counts->truncated);
    return len;
}

/* Over its rate, and it is to hear of it. Who knows cookies only has to show
 * the one that it gets here (RFC 7873, 5.2.3). */
static size_t slip(struct responder *r, const struct dns_question *q,
                   const struct dns_transport *t, uint8_t *out)
{
    count(&r->counts->rate_slipped);
    return t->cookie.len > 0 ? dns_pack_error(q, DNS_BADCOOKIE, t, out)
                             : truncated(r, q, t, out);
}

/* A datagram whose address may be a lie. */
static enum response respond_unproven(struct responder *r,
                                      const struct dns_zone *zone,
                                      const struct query *query,
                                      const struct dns_transport *t,
                                      uint8_t *out, struct taken *taken)
{
    const struct dns_question *q = &taken->question;
    enum response kind;

    switch (guard_rate(&r->guard, query->client)) {
    case DNS_RATE_PASS:
        break;
    case DNS_RATE_DROP:
        count(&r->counts->rate_dropped);
        return RESPONSE_NONE;
    case DNS_RATE_SLIP:
        taken->len = slip(r, q, t, out);
        return RESPONSE_SEND;
    }
    kind = responder_respond(r, zone, query, t, out, taken);
    if (kind == RESPONSE_SEND && taken->len > AMPLIFY_MAX * query->packet.len &&
        !guard_knows(&r->guard, query->client) &&
        !(r->recursion && recursion_is_for(r->rules, query->client))) {
        count(&r->counts->amplified);
        taken->len = truncated(r, q, t, out);
    }
    return kind;
}

static void count_flaw(struct counts *c, enum dns_flaw flaw)
{
    switch (flaw) {
    case DNS_FLAW_NONE:
        return;
    case DNS_FLAW_SHORT:
        count(&c->malformed_short);
        return;
    case DNS_FLAW_RESPONSE:
        count(&c->malformed_response);
        return;
    case DNS_FLAW_COUNTS:
        count(&c->malformed_counts);
        return;
    case DNS_FLAW_NAME:
        count(&c->malformed_name);
        return;
    case DNS_FLAW_OPTIONS:
        count(&c->malformed_options);
        return;
    }
    UNREACHABLE();
}

/* false: nobody is to transfer anything, nor to sign. */
static bool take_with_rules(struct responder *r, const struct dns_zone *zone,
                            const struct query *query, uint8_t *out,
                            struct taken *taken, enum response *out_kind)
{
    struct transfer_rules *rules = transfers_rules(r->transfers);
    bool proven;

    if (rules == NULL) {
        return false;
    }
    (void)cookie_of(r, &taken->question, query, &proven);
    *out_kind = transfer_take(r, rules, zone, query, proven, out, taken);
    transfer_rules_unref(rules);
    return true;
}

enum response responder_take(struct responder *r, const struct dns_zone *zone,
                             const struct query *query, uint8_t *out,
                             struct taken *out_taken)
{
    struct dns_question *q = &out_taken->question;
    struct dns_transport t;
    bool proven;

    out_taken->rcode = DNS_SERVFAIL;
    out_taken->parse = dns_question_parse(query->packet, q, &out_taken->rcode);
    count_flaw(r->counts, q->flaw);
    if (out_taken->parse == DNS_PARSE_DROP) {
        count(&r->counts->dropped);
        return RESPONSE_NONE;
    }
    q->stream = query->tcp;
    if (q->name.len > 0 && (q->tsig_at > 0 || is_transfer(q))) {
        enum response kind;

        if (take_with_rules(r, zone, query, out, out_taken, &kind)) {
            return kind;
        }
    }
    t = transport_with(r, q, query, cookie_of(r, q, query, &proven));
    if (query->tcp || proven || address_is_loopback(query->client)) {
        return responder_respond(r, zone, query, &t, out, out_taken);
    }
    return respond_unproven(r, zone, query, &t, out, out_taken);
}
