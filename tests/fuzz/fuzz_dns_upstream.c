/*
 * Any bytes may come as an answer from upstream. What is accepted is a sound
 * message about our question; looking through it again changes nothing, and
 * dressed for a client of any size it is a sound response to his.
 *
 * The first byte chooses type and DO bit; the rest is the packet, whose own
 * question, as far as it has a plain name, is taken for ours.
 */
#include <ldns/ldns.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "dns/core/reply.h"
#include "tests/fuzz/fuzz.h"

static const uint16_t types[] = {DNS_TYPE_A,   DNS_TYPE_AAAA, DNS_TYPE_CNAME,
                                 DNS_TYPE_SRV, DNS_TYPE_ANY,  DNS_TYPE_TXT,
                                 DNS_TYPE_NS,  DNS_TYPE_SOA};

static struct slice name_in(struct slice packet)
{
    size_t at = DNS_HEADER_BYTES;

    while (at < packet.len && packet.data[at] != 0) {
        if (packet.data[at] > DNS_LABEL_MAX) {
            return slice_of(NULL, 0);
        }
        at += (size_t)packet.data[at] + 1;
    }
    if (at >= packet.len || at + 1 - DNS_HEADER_BYTES > DNS_NAME_MAX) {
        return slice_of(NULL, 0);
    }
    return slice_of(packet.data + DNS_HEADER_BYTES, at + 1 - DNS_HEADER_BYTES);
}

static void check_response(const uint8_t *out, size_t len,
                           const struct dns_dress *dress)
{
    ldns_pkt *pkt = NULL;

    CHECK(len <= dress->transport->size_max);
    CHECK(ldns_wire2pkt(&pkt, out, len) == LDNS_STATUS_OK);
    CHECK(ldns_pkt_qdcount(pkt) == 1);
    CHECK(ldns_pkt_qr(pkt) && !ldns_pkt_aa(pkt) && !ldns_pkt_ad(pkt));
    for (size_t i = 0; dress->stale && i < ldns_pkt_ancount(pkt); i++) {
        CHECK(ldns_rr_ttl(ldns_rr_list_rr(ldns_pkt_answer(pkt), i)) == 30);
    }
    ldns_pkt_free(pkt);
}

static void dress_all(const struct dns_reply *reply,
                      const struct dns_asked *asked)
{
    static uint8_t out[LIMIT_DNS_TCP];
    static const uint16_t sizes[] = {512, 1232, LIMIT_DNS_TCP};
    struct dns_question q;

    dns_question_make(&q, asked->name, asked->type);
    q.edns.present = asked->dnssec_ok;
    q.edns.dnssec_ok = asked->dnssec_ok;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct dns_transport t = {.size_max = sizes[i]};
        struct dns_dress dress = {.age_s = 7,
                                  .stale = i == 1,
                                  .extended_error =
                                      i == 1 ? DNS_EDE_STALE : DNS_EDE_NONE,
                                  .transport = &t};
        size_t len = dns_reply_dress(slice_of(reply->bytes, reply->len), &q,
                                     &dress, out);

        check_response(out, len, &dress);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice packet;
    struct dns_asked asked = {.ttl_max_s = 86400};
    struct dns_reply reply;
    struct dns_reply again;
    struct dns_name lower = {0};

    if (size < 1 || size > LIMIT_DNS_TCP) {
        return 0;
    }
    packet = slice_of(data + 1, size - 1);
    asked.name = name_in(packet);
    asked.type = types[data[0] & 7];
    asked.dnssec_ok = (data[0] & 8) != 0;
    if (asked.name.len == 0 ||
        dns_reply_read(packet, &asked, &reply) != DNS_REPLY_GOOD) {
        return 0;
    }
    CHECK(reply.ttl_s <= asked.ttl_max_s);
    CHECK(dns_name_add_wire(&lower, asked.name));
    dns_name_lower(&lower);
    asked.name = dns_name_slice(&lower);
    CHECK(dns_reply_read(slice_of(reply.bytes, reply.len), &asked, &again) ==
          DNS_REPLY_GOOD);
    CHECK(reply.ttl_s == again.ttl_s);
    CHECK(slice_eq(slice_of(reply.bytes, reply.len),
                   slice_of(again.bytes, again.len)));
    dress_all(&reply, &asked);
    dns_reply_release(&again);
    dns_reply_release(&reply);
    return 0;
}
