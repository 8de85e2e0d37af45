/* What DNS would say to a client, in words. dns/core says why. */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "agent/io/agent_impl.h"
#include "agent/io/dnsfeed.h"
#include "base/core/check.h"
#include "base/core/rng.h"
#include "dns/core/explain.h"
#include "dns/core/name.h"

/* What a client with EDNS offers: answers are explained for one that does. */
#define CLIENT_UDP_SIZE 1232

static const struct {
    const char *text;
    uint16_t type;
} types[] = {
    {"A", DNS_TYPE_A},     {"AAAA", DNS_TYPE_AAAA}, {"SRV", DNS_TYPE_SRV},
    {"TXT", DNS_TYPE_TXT}, {"ANY", DNS_TYPE_ANY},   {"CNAME", DNS_TYPE_CNAME},
    {"PTR", DNS_TYPE_PTR}, {"NS", DNS_TYPE_NS},     {"SOA", DNS_TYPE_SOA},
};

static bool type_find(const char *text, uint16_t *out_type)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcasecmp(types[i].text, text) == 0) {
            *out_type = types[i].type;
            return true;
        }
    }
    return false;
}

static const char *code_text(enum dns_verdict verdict, enum dns_rcode code)
{
    static const char *const names[] = {"NOERROR",  "FORMERR", "SERVFAIL",
                                        "NXDOMAIN", "NOTIMP",  "REFUSED"};

    if (verdict == DNS_FOREIGN) {
        return "none of ours: the recursors' business";
    }
    return (unsigned)code < 6 ? names[code] : "BADVERS";
}

static const char *why_text(const struct dns_reason *r)
{
    switch (r->why) {
    case DNS_WHY_IN:
        return "in the answer";
    case DNS_WHY_OTHER:
        return "it does not have the tags or the port that the name asks for";
    case DNS_WHY_QUERY:
        return "it does not have the tags or meta that the query wants";
    case DNS_WHY_HEALTH:
        return r->health == DNS_CRITICAL
                   ? "a check of it or of its node is critical"
                   : "it has a warning, and only_passing is set";
    case DNS_WHY_TYPE:
        return "it has no record of this type (address of the other family, or "
               "a host name)";
    case DNS_WHY_ONE:
        return "a name may have one CNAME only, and it is another instance's";
    case DNS_WHY_CUT:
        return "not in this client's share: limits, size, or stable subset";
    }
    UNREACHABLE();
}

/* "\5edge-7" or "\1a\1b": as the catalogue spells it. */
static const char *node_text(struct arena *arena, struct slice wire)
{
    char *text = arena_alloc(arena, wire.len + 1);
    size_t len = 0;

    while (wire.len > 0 && wire.data[0] < wire.len) {
        size_t label = wire.data[0];

        if (len > 0) {
            text[len++] = '.';
        }
        memcpy(text + len, wire.data + 1, label);
        len += label;
        wire = slice_skip(wire, label + 1);
    }
    text[len] = '\0';
    return text;
}

static size_t address_of(const char *text, uint8_t out[16])
{
    if (inet_pton(AF_INET, text, out) == 1) {
        return 4;
    }
    return inet_pton(AF_INET6, text, out) == 1 ? 16 : 0;
}

static void write_reasons(struct arena *arena, const struct dns_explanation *e,
                          struct api_dns_answer *out)
{
    struct api_dns_reason *reasons =
        arena_zalloc(arena, e->reasons_count + 1, sizeof(*reasons));

    for (size_t i = 0; i < e->reasons_count; i++) {
        const struct dns_reason *r = &e->reasons[i];

        reasons[i] = (struct api_dns_reason){
            .id = arena_strdup(arena, r->id),
            .node = node_text(arena, r->node),
            .in = r->why == DNS_WHY_IN,
            .why = why_text(r),
            .weight = r->weight,
        };
    }
    out->reasons = reasons;
    out->reasons_count = e->reasons_count;
}

/* Where the TTL comes from, by what the settings and the state say. */
static const char *ttl_source(const struct agent *a,
                              const struct dns_explanation *e)
{
    if (e->extended_error == DNS_EDE_STALE) {
        return "capped, because the store is out of reach";
    }
    if (e->query_ttl) {
        return "the query's";
    }
    if (e->service.len == 0) {
        return "node_ttl";
    }
    return a->config->dns_config.service_ttl.count > 0
               ? "service_ttl"
               : "no service_ttl is set";
}

static void ask(struct agent *a, const struct dns_question *q,
                struct slice client, struct arena *arena,
                struct api_dns_answer *out)
{
    struct dns_explanation e;
    struct rng rng;
    struct dns_transport transport = {
        .recursion = a->config->recursors.count > 0,
        .size_max = CLIENT_UDP_SIZE,
        .client = client,
        .rng = &rng,
        .scratch = arena,
    };

    rng_init(&rng, 1); /* Explanations do not depend on luck. */
    dns_explain(dnsfeed_zone(a->feed), q, &transport, arena, &e);
    out->code = code_text(e.verdict, e.rcode);
    out->extended_error = e.extended_error;
    out->ttl_s = e.ttl_s;
    out->ttl_source = ttl_source(a, &e);
    out->decided = e.decided;
    out->sent = e.packed;
    out->bytes = e.packet_bytes;
    out->truncated = e.truncated;
    out->query =
        e.query == NULL ? NULL : arena_strdup(arena, slice_str(e.query));
    out->service = arena_strdup(arena, e.service);
    out->datacenter = e.dc > 0 ? a->config->datacenters[e.dc - 1].name : NULL;
    write_reasons(arena, &e, out);
}

static const char *service_name(const struct api_question *q,
                                struct arena *arena, const char *domain)
{
    return arena_printf(arena, "%s.service.%s%s%s", q->service,
                        q->datacenter ? q->datacenter : "",
                        q->datacenter ? "." : "", domain);
}

void agent_explain(void *ctx, const struct api_question *question,
                   struct arena *arena, struct api_dns_answer *out_answer)
{
    struct agent *a = ctx;
    const char *domain =
        *a->config->domain != '\0' ? a->config->domain : a->config->alt_domain;
    struct dns_name name = {0};
    struct dns_question q;
    uint8_t client[16];
    size_t client_len = address_of(question->client, client);
    uint16_t type;

    *out_answer = (struct api_dns_answer){
        .type = question->type, .service = "", .extended_error = DNS_EDE_NONE};
    out_answer->name =
        question->name ? question->name : service_name(question, arena, domain);
    if (!a->feed || !dnsfeed_zone(a->feed)) {
        out_answer->trouble = "DNS is off (--dns), or has nothing yet";
    } else if (!type_find(question->type, &type)) {
        out_answer->trouble = "type is not one of A, AAAA, SRV, TXT, ANY, "
                              "CNAME, PTR, NS, SOA";
    } else if (client_len == 0) {
        out_answer->trouble = "client is not an IP address";
    } else if (!dns_name_add_text(&name, slice_str(out_answer->name)) ||
               !dns_name_end(&name)) {
        out_answer->trouble = "the name is no DNS name";
    } else {
        dns_question_make(&q, dns_name_slice(&name), type);
        q.edns.present = true;
        q.edns.udp_size = CLIENT_UDP_SIZE;
        ask(a, &q, slice_of(client, client_len), arena, out_answer);
    }
}
