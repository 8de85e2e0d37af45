#include "dns/io/transfer_take.h"

#include <arpa/inet.h>
#include <time.h>

#include "base/core/check.h"
#include "base/core/log.h"

/* What a response must have room for whatever it is signed with: question, OPT;
 * see KEY_NAME_MAX. */
#define UNSIGNED_MIN 352

/* One query. */
struct taking {
    struct responder *r;
    struct transfer_rules *rules;
    const struct dns_zone *zone;
    const struct query *query;
    uint8_t *out;
    struct taken *taken;
    bool is_signed;
    struct tsig tsig;
    uint32_t serial; /* IXFR: what the client has. */
};

static uint64_t now_s(void)
{
    return (uint64_t)time(NULL);
}

/* Whatever is at `out` becomes the response. */
static enum response send_signed(struct taking *g, size_t len)
{
    g->taken->len =
        g->is_signed ? tsig_sign(&g->tsig, g->out, len, now_s()) : len;
    return RESPONSE_SEND;
}

static enum response refuse(struct taking *g, enum dns_rcode rcode)
{
    return send_signed(
        g, responder_fail(g->r, g->query, &g->taken->question, rcode, g->out));
}

/* ---- Queries like others, but signed ------------------------------------- */

static uint16_t size_for(const struct taking *g, uint16_t size_max)
{
    size_t room = tsig_room(&g->tsig);

    return size_max >= UNSIGNED_MIN + room ? (uint16_t)(size_max - room)
                                           : UNSIGNED_MIN;
}

/* They are answered from what we have: a response that comes later could not be
 * signed. */
static enum response answer(struct taking *g)
{
    struct dns_question *q = &g->taken->question;
    uint16_t wanted = q->flags & DNS_FLAG_RD;
    struct dns_transport t = responder_transport(g->r, q, g->query);
    enum response kind;

    t.size_max = size_for(g, t.size_max);
    q->flags &= (uint16_t)~DNS_FLAG_RD;
    kind = responder_respond(g->r, g->zone, g->query, &t, g->out, g->taken);
    CHECK(kind == RESPONSE_SEND);
    g->out[2] |= (uint8_t)(wanted >> 8);
    return send_signed(g, g->taken->len);
}

/* ---- Transfers ----------------------------------------------------------- */

static struct dns_transfer_request request_of(const struct taking *g)
{
    const struct dns_question *q = &g->taken->question;

    return (struct dns_transfer_request){
        .id = q->id,
        .type = q->type,
        .serial = g->serial,
        .name = q->name,
        .recursion_desired = (q->flags & DNS_FLAG_RD) != 0,
        .edns = q->edns.present,
    };
}

static const char *client_text(const struct taking *g, char out[64])
{
    struct slice ip = address_ip(g->query->client);

    if (inet_ntop(ip.len == 4 ? AF_INET : AF_INET6, ip.data, out, 64) == NULL) {
        return "?";
    }
    return out;
}

static enum response disallow(struct taking *g)
{
    char client[64];

    count(&g->r->counts->transfers_refused);
    log_debug("dns", "transfer refused to %s, which %s", client_text(g, client),
              g->is_signed ? "has signed" : "has not signed");
    return refuse(g, DNS_REFUSED);
}

static enum response begin(struct taking *g, unsigned domain)
{
    struct transfer_job *job = transfer_job_new(g->r->transfers);

    if (job == NULL) {
        count(&g->r->counts->transfers_refused);
        return refuse(g, DNS_SERVFAIL);
    }
    job->rules = transfer_rules_ref(g->rules);
    job->domain = domain;
    job->is_signed = g->is_signed;
    job->tsig = g->tsig;
    job->request = request_of(g);
    CHECK(dns_name_add_wire(&job->name, job->request.name));
    job->request.name = dns_name_slice(&job->name);
    g->taken->job = job;
    return RESPONSE_TRANSFER;
}

/* RFC 1995, 2: who asks over UDP learns from the SOA whether it is worth to
 * come back over TCP. */
static enum response tell_serial(struct taking *g, unsigned domain)
{
    struct dns_transfer_request request = request_of(g);

    count(&g->r->counts->noerror);
    return send_signed(g, dns_transfer_soa(g->zone, domain, &request, g->out));
}

static enum response transfer(struct taking *g)
{
    const struct dns_question *q = &g->taken->question;
    unsigned domain;

    if (!transfer_rules_allow(g->rules, address_ip(g->query->client),
                              g->is_signed ? g->tsig.key : NULL)) {
        return disallow(g);
    }
    if (q->class != DNS_CLASS_IN ||
        (!g->query->tcp && q->type == DNS_TYPE_AXFR)) {
        return refuse(g, DNS_FORMERR);
    }
    if (g->zone == NULL) {
        return refuse(g, DNS_SERVFAIL);
    }
    if (!dns_zone_domain(g->zone, q->name, &domain) ||
        !transfer_rules_zone(g->rules, dns_zone_domain_name(g->zone, domain))) {
        return refuse(g, DNS_NOTAUTH);
    }
    if (!dns_zone_may_transfer(g->zone)) {
        return refuse(g, DNS_SERVFAIL);
    }
    return g->query->tcp ? begin(g, domain) : tell_serial(g, domain);
}

/* ---- The way in ---------------------------------------------------------- */

static enum response by_signature(struct taking *g)
{
    const struct dns_question *q = &g->taken->question;

    switch (tsig_request(g->query->packet, q->tsig_at, g->rules->keys,
                         g->rules->keys_count, now_s(), &g->tsig)) {
    case TSIG_GOOD:
        g->is_signed = true;
        return is_transfer(q) ? transfer(g) : answer(g);
    case TSIG_BAD:
        g->is_signed = true;
        count(&g->r->counts->tsig_bad);
        return refuse(g, DNS_NOTAUTH);
    case TSIG_MALFORMED:
        break;
    }
    count(&g->r->counts->tsig_bad);
    return refuse(g, DNS_FORMERR);
}

/* Strangers may ask no more often for this than for anything. */
static bool is_over_rate(const struct taking *g, bool proven)
{
    return !proven && !g->query->tcp &&
           !address_is_loopback(g->query->client) &&
           guard_rate(&g->r->guard, g->query->client) != DNS_RATE_PASS;
}

enum response transfer_take(struct responder *r, struct transfer_rules *rules,
                            const struct dns_zone *zone,
                            const struct query *query, bool proven,
                            uint8_t *out, struct taken *taken)
{
    struct dns_question *q = &taken->question;
    struct taking g = {.r = r,
                       .rules = rules,
                       .zone = zone,
                       .query = query,
                       .out = out,
                       .taken = taken};

    if (is_over_rate(&g, proven)) {
        count(&r->counts->rate_dropped);
        return RESPONSE_NONE;
    }
    if (is_transfer(q) && dns_question_transfer(query->packet, q, &g.serial)) {
        return refuse(&g, DNS_FORMERR);
    }
    return q->tsig_at > 0 ? by_signature(&g) : transfer(&g);
}
