#include "dns/core/reply.h"

#include <ldns/ldns.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/limits.h"

/* RFC 2308, 5: one to three hours have been found to work. */
#define NEGATIVE_TTL_MAX_S 10800

/* A reply being looked through. */
struct sieve {
    const struct dns_asked *asked;
    const ldns_pkt *pkt;
    ldns_rdf *chain[LIMIT_DNS_CHAIN + 1]; /* Names from the question's on. */
    size_t names;
    ldns_rr_list *answers; /* What stays; they own their records. */
    ldns_rr_list *authority;
    ldns_rr_list *extras;
    bool has_end; /* A record of the type that was asked for. */
    uint32_t ttl_s;
};

static uint16_t get_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* The header and the question, before anything is parsed. */
static enum dns_reply_verdict look_at_head(struct slice packet,
                                           const struct dns_asked *asked)
{
    const uint8_t *at = packet.data;
    size_t question = DNS_HEADER_BYTES + asked->name.len;
    struct slice name;

    if (packet.len < question + 4 || get_u16(at + 4) != 1 ||
        !(get_u16(at + 2) & DNS_FLAG_QR) || (get_u16(at + 2) & 0x7800)) {
        return DNS_REPLY_BROKEN;
    }
    name = slice_of(at + DNS_HEADER_BYTES, asked->name.len);
    if (!dns_same(name, asked->name) || get_u16(at + question) != asked->type ||
        get_u16(at + question + 2) != DNS_CLASS_IN) {
        return DNS_REPLY_FOREIGN;
    }
    if (!slice_eq(name, asked->name)) {
        return DNS_REPLY_MISSPELT;
    }
    if ((unsigned)get_u16(at + 6) + get_u16(at + 8) + get_u16(at + 10) >
        LIMIT_DNS_REPLY_RECORDS) {
        return DNS_REPLY_BROKEN;
    }
    return DNS_REPLY_GOOD;
}

static enum dns_reply_verdict look_at_code(const ldns_pkt *pkt)
{
    if (ldns_pkt_edns(pkt) && ldns_pkt_edns_extended_rcode(pkt) != 0) {
        return DNS_REPLY_FORMERR; /* BADVERS and the like: OPT's own. */
    }
    switch ((int)ldns_pkt_get_rcode(pkt)) {
    case LDNS_RCODE_NOERROR:
    case LDNS_RCODE_NXDOMAIN:
        return DNS_REPLY_GOOD;
    case LDNS_RCODE_FORMERR:
        return DNS_REPLY_FORMERR;
    case LDNS_RCODE_NOTIMPL:
    case LDNS_RCODE_REFUSED:
        return DNS_REPLY_REFUSED;
    default:
        return DNS_REPLY_FAILED;
    }
}

/* RFC 2181, 8: a TTL with its highest bit set is 0. */
static uint32_t ttl_of(const struct sieve *s, const ldns_rr *rr)
{
    uint32_t ttl = ldns_rr_ttl(rr);

    if (ttl > INT32_MAX) {
        return 0;
    }
    return ttl < s->asked->ttl_max_s ? ttl : s->asked->ttl_max_s;
}

static void keep(struct sieve *s, ldns_rr_list *list, const ldns_rr *rr,
                 uint32_t ttl_s)
{
    ldns_rr *copy = ldns_rr_clone(rr);

    CHECK(copy != NULL);
    ldns_rr_set_ttl(copy, ttl_s);
    CHECK(ldns_rr_list_push_rr(list, copy));
    if (ttl_s < s->ttl_s) {
        s->ttl_s = ttl_s;
    }
}

/* Of the Internet, and with all its fields: ldns reads a record whose data ends
 * early as one that has fewer. */
static bool is_in(const ldns_rr *rr)
{
    const ldns_rr_descriptor *d = ldns_rr_descript(ldns_rr_get_type(rr));

    return ldns_rr_get_class(rr) == LDNS_RR_CLASS_IN &&
           ldns_rr_rd_count(rr) >= ldns_rr_descriptor_minimum(d);
}

static bool is_within(const ldns_rdf *name, const ldns_rdf *domain)
{
    return ldns_dname_compare(name, domain) == 0 ||
           ldns_dname_is_subdomain(name, domain);
}

static ldns_rdf *end_of(const struct sieve *s)
{
    return s->chain[s->names - 1];
}

/* Does `rr`, which stands at the name, belong to the answer? */
static bool is_wanted(const struct sieve *s, const ldns_rr *rr)
{
    ldns_rr_type type = ldns_rr_get_type(rr);

    if (type == LDNS_RR_TYPE_RRSIG && s->asked->type != LDNS_RR_TYPE_RRSIG) {
        return s->asked->dnssec_ok;
    }
    return s->asked->type == DNS_TYPE_ANY ||
           type == (ldns_rr_type)s->asked->type;
}

/* The records at the chain's last name: those asked for stay; a CNAME makes the
 * chain longer, and comes back. DNAMEs above the name are what a CNAME was made
 * of (RFC 6672). */
static ldns_rdf *take_name(struct sieve *s, const ldns_rr_list *list)
{
    const ldns_rdf *name = end_of(s);
    const ldns_rr *cname = NULL;

    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(list, i);
        ldns_rr_type type = ldns_rr_get_type(rr);

        if (!is_in(rr)) {
            continue;
        }
        if (type == LDNS_RR_TYPE_DNAME && s->asked->type != type &&
            ldns_dname_is_subdomain(name, ldns_rr_owner(rr))) {
            keep(s, s->answers, rr, ttl_of(s, rr));
        }
        if (ldns_dname_compare(ldns_rr_owner(rr), name) != 0) {
            continue;
        }
        if (is_wanted(s, rr)) {
            keep(s, s->answers, rr, ttl_of(s, rr));
            s->has_end = s->has_end || type != LDNS_RR_TYPE_RRSIG;
        } else if (type == LDNS_RR_TYPE_CNAME && cname == NULL) {
            cname = rr;
            keep(s, s->answers, rr, ttl_of(s, rr));
        }
    }
    return cname != NULL && !s->has_end ? ldns_rr_rdf(cname, 0) : NULL;
}

/* false: it turns in a circle, or does not end. */
static bool take_chain(struct sieve *s)
{
    const ldns_rr_list *list = ldns_pkt_answer(s->pkt);
    ldns_rdf *next;

    s->chain[0] = ldns_rr_owner(ldns_rr_list_rr(ldns_pkt_question(s->pkt), 0));
    s->names = 1;
    while ((next = take_name(s, list)) != NULL) {
        for (size_t i = 0; i < s->names; i++) {
            if (ldns_dname_compare(s->chain[i], next) == 0) {
                return false;
            }
        }
        if (s->names > LIMIT_DNS_CHAIN) {
            return false;
        }
        s->chain[s->names++] = next;
    }
    return true;
}

/* The SOA's own numbers say how long "no" may be believed (RFC 2308, 5). */
static void take_soa(struct sieve *s, const ldns_rr *rr)
{
    uint32_t ttl = ttl_of(s, rr);
    uint32_t minimum = ldns_rdf2native_int32(ldns_rr_rdf(rr, 6));

    ttl = minimum < ttl ? minimum : ttl;
    ttl = ttl < NEGATIVE_TTL_MAX_S ? ttl : NEGATIVE_TTL_MAX_S;
    keep(s, s->authority, rr, ttl);
}

static bool is_proof(const ldns_rr *rr)
{
    switch ((int)ldns_rr_get_type(rr)) {
    case LDNS_RR_TYPE_NSEC:
    case LDNS_RR_TYPE_NSEC3:
    case LDNS_RR_TYPE_RRSIG:
        return true;
    default:
        return false;
    }
}

/* A proof stands in the zone of the SOA; with a positive answer (a wildcard's)
 * there is none, and the last name's parent has to do. */
static bool is_proof_within(const struct sieve *s, const ldns_rr *rr,
                            const ldns_rr *soa)
{
    ldns_rdf *parent;
    bool within;

    if (soa != NULL) {
        return is_within(ldns_rr_owner(rr), ldns_rr_owner(soa));
    }
    parent = ldns_dname_left_chop(end_of(s));
    within = parent != NULL && is_within(ldns_rr_owner(rr), parent);
    ldns_rdf_deep_free(parent);
    return within;
}

static void take_authority(struct sieve *s)
{
    const ldns_rr_list *list = ldns_pkt_authority(s->pkt);
    const ldns_rr *soa = NULL;

    for (size_t i = 0; !s->has_end && i < ldns_rr_list_rr_count(list); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(list, i);

        if (soa == NULL && is_in(rr) &&
            ldns_rr_get_type(rr) == LDNS_RR_TYPE_SOA &&
            is_within(end_of(s), ldns_rr_owner(rr))) {
            soa = rr;
            take_soa(s, rr);
        }
    }
    if (!s->has_end && soa == NULL) {
        s->ttl_s = 0; /* RFC 2308, 5: not to be kept. */
    }
    for (size_t i = 0; s->asked->dnssec_ok && i < ldns_rr_list_rr_count(list);
         i++) {
        const ldns_rr *rr = ldns_rr_list_rr(list, i);

        if (is_in(rr) && is_proof(rr) && is_proof_within(s, rr, soa)) {
            keep(s, s->authority, rr, ttl_of(s, rr));
        }
    }
}

/* The name whose addresses may come along with a record; NULL: none. */
static ldns_rdf *target_of(const ldns_rr *rr)
{
    switch ((int)ldns_rr_get_type(rr)) {
    case LDNS_RR_TYPE_NS:
        return ldns_rr_rdf(rr, 0);
    case LDNS_RR_TYPE_MX:
        return ldns_rr_rdf(rr, 1);
    case LDNS_RR_TYPE_SRV:
        return ldns_rr_rdf(rr, 3);
    default:
        return NULL;
    }
}

/* The owner without its labels that begin with '_': "_sip._tcp.example" speaks
 * for "example". */
static ldns_rdf *domain_of(const ldns_rdf *owner)
{
    ldns_rdf *domain = ldns_rdf_clone(owner);

    while (ldns_rdf_size(domain) > 1 && ldns_rdf_data(domain)[1] == '_') {
        ldns_rdf *parent = ldns_dname_left_chop(domain);

        ldns_rdf_deep_free(domain);
        domain = parent;
    }
    return domain;
}

static bool is_target(const struct sieve *s, const ldns_rdf *name)
{
    for (size_t i = 0; i < ldns_rr_list_rr_count(s->answers); i++) {
        const ldns_rdf *target = target_of(ldns_rr_list_rr(s->answers, i));

        if (target != NULL && ldns_dname_compare(target, name) == 0) {
            return true;
        }
    }
    return false;
}

static void take_extras(struct sieve *s)
{
    const ldns_rr_list *list = ldns_pkt_additional(s->pkt);
    ldns_rdf *domain = domain_of(end_of(s));

    for (size_t i = 0;
         i < ldns_rr_list_rr_count(list) && i < LIMIT_DNS_REPLY_EXTRAS; i++) {
        const ldns_rr *rr = ldns_rr_list_rr(list, i);
        ldns_rr_type type = ldns_rr_get_type(rr);

        if (is_in(rr) &&
            (type == LDNS_RR_TYPE_A || type == LDNS_RR_TYPE_AAAA) &&
            ldns_rdf_size(domain) > 1 && is_within(ldns_rr_owner(rr), domain) &&
            is_target(s, ldns_rr_owner(rr))) {
            keep(s, s->extras, rr, ttl_of(s, rr));
        }
    }
    ldns_rdf_deep_free(domain);
}

/* Nothing is said of the name but who would know more. */
static bool is_referral(const struct sieve *s)
{
    const ldns_rr_list *list = ldns_pkt_authority(s->pkt);

    if (ldns_rr_list_rr_count(s->answers) > 0 ||
        ldns_rr_list_rr_count(s->authority) > 0 ||
        ldns_pkt_get_rcode(s->pkt) != LDNS_RCODE_NOERROR) {
        return false;
    }
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        if (ldns_rr_get_type(ldns_rr_list_rr(list, i)) == LDNS_RR_TYPE_NS) {
            return true;
        }
    }
    return false;
}

static void add_all(ldns_pkt *to, ldns_pkt_section section,
                    const ldns_rr_list *list)
{
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        CHECK(ldns_pkt_push_rr(to, section,
                               ldns_rr_clone(ldns_rr_list_rr(list, i))));
    }
}

static bool write_reply(const struct sieve *s, struct dns_reply *out)
{
    ldns_pkt *clean = ldns_pkt_new();
    bool ok;

    CHECK(clean != NULL);
    ldns_pkt_set_qr(clean, true);
    ldns_pkt_set_rcode(clean, ldns_pkt_get_rcode(s->pkt));
    add_all(clean, LDNS_SECTION_QUESTION, ldns_pkt_question(s->pkt));
    add_all(clean, LDNS_SECTION_ANSWER, s->answers);
    add_all(clean, LDNS_SECTION_AUTHORITY, s->authority);
    add_all(clean, LDNS_SECTION_ADDITIONAL, s->extras);
    *out = (struct dns_reply){.ttl_s = s->ttl_s};
    ok = ldns_pkt2wire(&out->bytes, clean, &out->len) == LDNS_STATUS_OK &&
         out->len <= LIMIT_DNS_TCP;
    ldns_pkt_free(clean);
    if (!ok) {
        dns_reply_release(out);
    }
    return ok;
}

static enum dns_reply_verdict sieve_run(struct sieve *s, struct dns_reply *out)
{
    if (!take_chain(s)) {
        return DNS_REPLY_BROKEN;
    }
    take_authority(s);
    if (is_referral(s)) {
        return DNS_REPLY_LAME;
    }
    take_extras(s);
    return write_reply(s, out) ? DNS_REPLY_GOOD : DNS_REPLY_BROKEN;
}

static enum dns_reply_verdict read_parsed(const ldns_pkt *pkt,
                                          const struct dns_asked *asked,
                                          struct dns_reply *out)
{
    struct sieve s = {.asked = asked, .pkt = pkt, .ttl_s = asked->ttl_max_s};
    enum dns_reply_verdict verdict = look_at_code(pkt);

    if (verdict != DNS_REPLY_GOOD) {
        return verdict;
    }
    s.answers = ldns_rr_list_new();
    s.authority = ldns_rr_list_new();
    s.extras = ldns_rr_list_new();
    verdict = sieve_run(&s, out);
    ldns_rr_list_deep_free(s.answers);
    ldns_rr_list_deep_free(s.authority);
    ldns_rr_list_deep_free(s.extras);
    return verdict;
}

/* Parsed with the question in lower case: names of upstream that are pointers
 * to it would else show our spelling to clients. */
static ldns_pkt *parse(struct slice packet, size_t name_len)
{
    uint8_t *copy = malloc(packet.len);
    ldns_pkt *pkt = NULL;
    ldns_status status;

    CHECK(copy != NULL);
    memcpy(copy, packet.data, packet.len);
    for (size_t i = DNS_HEADER_BYTES; i < DNS_HEADER_BYTES + name_len; i++) {
        copy[i] = dns_lower(copy[i]);
    }
    status = ldns_wire2pkt(&pkt, copy, packet.len);
    free(copy);
    return status == LDNS_STATUS_OK ? pkt : NULL;
}

enum dns_reply_verdict dns_reply_read(struct slice packet,
                                      const struct dns_asked *asked,
                                      struct dns_reply *out_reply)
{
    enum dns_reply_verdict verdict = look_at_head(packet, asked);
    ldns_pkt *pkt;

    if (verdict != DNS_REPLY_GOOD) {
        return verdict;
    }
    if (get_u16(packet.data + 2) & DNS_FLAG_TC) {
        return DNS_REPLY_TRUNCATED; /* The rest may be cut anywhere. */
    }
    pkt = parse(packet, asked->name.len);
    if (pkt == NULL) {
        return DNS_REPLY_BROKEN;
    }
    verdict = read_parsed(pkt, asked, out_reply);
    ldns_pkt_free(pkt);
    return verdict;
}

void dns_reply_release(struct dns_reply *r)
{
    free(r->bytes);
    *r = (struct dns_reply){0};
}
