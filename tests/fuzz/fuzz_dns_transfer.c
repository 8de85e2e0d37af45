/*
 * Anybody may ask for a zone, sign what they ask, or answer our NOTIFY. Nothing
 * is sent to who may not have it, whatever is sent is well formed and signed if
 * the question was, and a transfer begins and ends with the SOA.
 *
 * The first byte chooses the transport, and whether the packet behind it is
 * signed here, as by somebody who has the key.
 */
#include <ldns/ldns.h>
#include <time.h>

#include "base/core/check.h"
#include "dns/io/responder.h"
#include "dns/io/transfers.h"
#include "tests/fuzz/fuzz.h"

static struct counts counts;
static struct responder responder;
static const struct dns_zone *zone;
static struct dns_transfer_set *sets[2];
static struct publisher publisher;
static struct tsig_key key;

static void open_zone(void)
{
    struct dns_settings settings;
    struct dns_instance one = {
        .id = "1", .node = "n1", .node_address = "10.0.0.4", .port = 80};
    struct dns_model *m;
    struct dns_zone *before;

    dns_settings_init(&settings);
    CHECK(dns_model_new(&settings, (struct hash_key){1, 2}, &m, NULL) == ST_OK);
    dns_model_put_service(m, "web", &one, 1);
    before = dns_model_commit(m, 41, DNS_FRESH);
    for (unsigned d = 0; d < 2; d++) {
        sets[d] = dns_transfer_set_new(d);
        CHECK(dns_transfer_set_update(sets[d], before));
    }
    dns_zone_free(before);
    dns_model_put_service(m, "db", &one, 1);
    zone = dns_model_commit(m, 42, DNS_FRESH);
    for (unsigned d = 0; d < 2; d++) {
        CHECK(dns_transfer_set_update(sets[d], zone));
    }
}

static void open_responder(void)
{
    static const char secret[] = "0123456789abcdef0123456789abcdef";
    struct dns_transfer_key given = {
        "k", "hmac-sha256", {(const uint8_t *)secret, 32}};
    struct dns_transfer_rule allow = {.key = "k"};
    struct dns_transfer_config config = {
        .keys = &given, .keys_count = 1, .allow = &allow, .allow_count = 1};
    struct dns_protection protection;
    struct transfer_rules *rules = NULL;

    open_zone();
    dns_protection_init(&protection);
    protection.rate = (struct dns_rate_limits){1000000, 2};
    rng_init(&responder.rng, 1);
    responder.udp_remote = 4096;
    responder.counts = &counts;
    guard_init(&responder.guard, &protection);
    CHECK(transfer_rules_new(&config, &rules, NULL) == ST_OK);
    key = rules->keys[0];
    responder.transfers = transfers_new(&publisher);
    transfers_listen(responder.transfers, NULL, 0);
    CHECK(transfers_set(responder.transfers, rules, NULL) == ST_OK);
}

static void look_at_transfer(struct transfer_job *job)
{
    static uint8_t message[DNS_TRANSFER_MESSAGE_MIN];
    struct dns_transfer_stream *t =
        dns_transfer_open(sets[job->domain], &job->request);
    size_t len = dns_transfer_next(t, message, sizeof(message));
    ldns_rr_list *records;
    ldns_pkt *pkt = NULL;
    size_t count;

    CHECK(job->is_signed && job->tsig.key != NULL);
    CHECK(ldns_wire2pkt(&pkt, message, len) == LDNS_STATUS_OK);
    records = ldns_pkt_answer(pkt);
    count = ldns_rr_list_rr_count(records);
    CHECK(count > 0);
    CHECK(ldns_rr_get_type(ldns_rr_list_rr(records, 0)) == LDNS_RR_TYPE_SOA);
    CHECK(ldns_rr_get_type(ldns_rr_list_rr(records, count - 1)) ==
          LDNS_RR_TYPE_SOA);
    CHECK(dns_transfer_next(t, message, sizeof(message)) == 0);
    ldns_pkt_free(pkt);
    dns_transfer_close(t);
}

static void look_at_response(struct slice packet, bool was_signed,
                             struct slice response)
{
    ldns_pkt *pkt = NULL;
    size_t at;

    CHECK(ldns_wire2pkt(&pkt, response.data, response.len) == LDNS_STATUS_OK);
    CHECK(memcmp(packet.data, response.data, 2) == 0);
    if (was_signed && ldns_pkt_get_rcode(pkt) == LDNS_RCODE_NOERROR) {
        CHECK(tsig_find(response, &at));
    }
    ldns_pkt_free(pkt);
}

static void ask(const struct query *query, bool was_signed)
{
    static uint8_t out[RESPONSE_BYTES_MAX + TSIG_ROOM];
    struct taken taken;

    counts = (struct counts){0};
    switch (responder_take(&responder, zone, query, out, &taken)) {
    case RESPONSE_SEND:
        look_at_response(query->packet, was_signed, slice_of(out, taken.len));
        return;
    case RESPONSE_TRANSFER:
        CHECK(query->tcp);
        look_at_transfer(taken.job);
        transfer_job_close(taken.job);
        return;
    case RESPONSE_NONE:
    case RESPONSE_FORWARD:
    case RESPONSE_CHASE:
        return;
    }
}

/* As the answer to a NOTIFY of ours. */
static void answer(struct slice packet)
{
    struct tsig ours;
    size_t at;

    tsig_begin(&ours, &key);
    ours.mac_len = 32;
    if (tsig_find(packet, &at)) {
        CHECK(at < packet.len);
        CHECK(!tsig_response(&ours, packet, at, (uint64_t)time(NULL)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t packet[4096 + TSIG_ROOM];
    union address client = {.ipv4 = {.sin_family = AF_INET}};
    struct query query = {.client = &client};
    bool sign;

    if (zone == NULL) {
        open_responder();
    }
    if (size < 1 || size > 4096) {
        return 0;
    }
    memcpy(packet, data + 1, size - 1);
    query.packet = slice_of(packet, size - 1);
    answer(query.packet);
    client.ipv4.sin_addr.s_addr = data[0] & 4 ? htonl(0x7f000001) : 7;
    query.tcp = (data[0] & 1) != 0;
    sign = (data[0] & 2) != 0 && query.packet.len >= 12;
    if (sign) {
        struct tsig t;

        tsig_begin(&t, &key);
        query.packet.len =
            tsig_sign(&t, packet, query.packet.len, (uint64_t)time(NULL));
    }
    /* Behind bytes that are no record, it is none either. */
    ask(&query, sign && tsig_find(query.packet, &(size_t){0}));
    return 0;
}
