/*
 * Any bytes may come from anybody over UDP, TCP or TLS. Whatever the responder
 * says is well formed, fits, and costs a stranger's victim at most four times
 * what the stranger sent; a padded query over TLS gets whole blocks.
 *
 * The first byte chooses transport and client; the rest is the packet. What was
 * said is asked again with the cookie that it held, which must be believed.
 */
#include <ldns/ldns.h>

#include "base/core/check.h"
#include "dns/io/responder.h"
#include "tests/fuzz/fuzz.h"

static struct counts counts;
static struct responder responder;
static const struct dns_zone *zone;

static void open_responder(void)
{
    struct dns_protection protection;
    struct dns_settings settings;
    struct dns_instance all[30] = {0};
    struct dns_model *m;

    dns_settings_init(&settings);
    CHECK(dns_model_new(&settings, (struct hash_key){1, 2}, &m, NULL) == ST_OK);
    for (unsigned i = 0; i < 30; i++) {
        all[i] = (struct dns_instance){.id = "1",
                                       .node = "n1",
                                       .node_address = "10.0.0.4",
                                       .port = (uint16_t)(8000 + i)};
    }
    dns_model_put_service(m, "web", all, 5);
    dns_model_put_service(m, "many", all, 30);
    zone = dns_model_commit(m, 42, DNS_FRESH);
    dns_protection_init(&protection);
    protection.rate = (struct dns_rate_limits){1000000, 2};
    rng_init(&responder.rng, 1);
    responder.udp_remote = 4096;
    responder.counts = &counts;
    guard_init(&responder.guard, &protection);
}

static void check_response(const struct query *query, const struct taken *taken,
                           const uint8_t *out)
{
    const struct dns_question *q = &taken->question;
    ldns_pkt *pkt = NULL;

    CHECK(taken->len >= DNS_HEADER_BYTES);
    CHECK(taken->len <= responder_size_max(&responder, q, query));
    CHECK(memcmp(out, query->packet.data, 2) == 0);
    CHECK(out[2] & 0x80);
    CHECK(ldns_wire2pkt(&pkt, out, taken->len) == LDNS_STATUS_OK);
    ldns_pkt_free(pkt);
    if (query->encrypted && q->edns.present && q->edns.padding) {
        CHECK(taken->len % 468 == 0 || taken->len > 65535 - 468);
    }
    if (!query->tcp && !guard_knows(&responder.guard, query->client)) {
        CHECK(taken->len <= 4 * query->packet.len ||
              atomic_load(&counts.cookies_good) > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t out[RESPONSE_BYTES_MAX];
    static const uint8_t addresses[4][4] = {
        {127, 0, 0, 1}, {10, 0, 0, 1}, {198, 51, 100, 7}, {203, 0, 113, 9}};
    union address client = {.ipv4 = {.sin_family = AF_INET}};
    struct query query = {.client = &client};
    struct taken taken;

    if (zone == NULL) {
        open_responder();
    }
    if (size < 1) {
        return 0;
    }
    memcpy(&client.ipv4.sin_addr, addresses[data[0] >> 2 & 3], 4);
    query.tcp = (data[0] & 1) != 0;
    query.encrypted = query.tcp && (data[0] & 2) != 0;
    query.idle_ms = query.tcp ? 10000 : 0;
    query.packet = slice_of(data + 1, size - 1);
    counts = (struct counts){0};
    if (responder_take(&responder, zone, &query, out, &taken) ==
        RESPONSE_SEND) {
        check_response(&query, &taken, out);
        CHECK(responder_fail(&responder, &query, &taken.question, DNS_SERVFAIL,
                             out) >= DNS_HEADER_BYTES);
    }
    if (taken.parse == DNS_PARSE_OK && taken.question.edns.cookie.len > 0) {
        bool proven = false;
        uint8_t cookie[DNS_COOKIE_BYTES];

        memcpy(cookie,
               guard_cookie(&responder.guard, taken.question.edns.cookie,
                            &client, &proven)
                   .data,
               sizeof(cookie));
        (void)guard_cookie(&responder.guard, slice_of(cookie, sizeof(cookie)),
                           &client, &proven);
        CHECK(proven);
    }
    return 0;
}
