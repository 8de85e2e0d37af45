/*
 * Any bytes may come as a DNS query. Whatever can be parsed is answered with a
 * packet that is well formed, echoes id and question and keeps to the limit,
 * and the prepared answer says byte for byte what deciding and packing say.
 *
 * The first byte chooses transport and state; the rest is the packet.
 */
#include <ldns/ldns.h>

#include "base/core/check.h"
#include "dns/core/prepared.h"
#include "tests/fuzz/fuzz.h"

enum {
    UDP_CAP = 4096,
    ROOM = 65535
};

static const char *const tags[] = {"v3", "eu.west", "_odd"};
static const struct dns_pair meta[] = {
    {"txt-path", "/v1"}, {"dns_priority", "9"}, {"grpc_config", "{}"}};
static const struct dns_named_port ports[] = {{"metrics", 9100}};

/* The order of each service is its own: shuffled, by weight, or near first. */
static const struct dns_pair weighted[] = {{"dns-order", "weighted"}};
static const struct dns_pair near[] = {{"dns-order", "near"}};

static void put_service(struct dns_model *m, const char *name, unsigned count,
                        enum dns_health health, const struct dns_pair *order)
{
    static const char *const nodes[] = {"n1", "n2", "n3.rack", "n4"};
    static const char *const addresses[] = {"10.1.0.1", "", "2001:db8::5",
                                            "10.1.0.9"};
    struct dns_instance all[64] = {0};

    for (unsigned i = 0; i < count; i++) {
        all[i] = (struct dns_instance){.id = "1",
                                       .node = nodes[i % 4],
                                       .node_address = "10.0.0.4",
                                       .address = addresses[i % 4],
                                       .port = (uint16_t)(8000 + i),
                                       .weight_passing = (uint16_t)(i % 7),
                                       .health = health,
                                       .tags = tags,
                                       .tags_count = 1 + i % 3,
                                       .area = i % 3 ? "east" : "west",
                                       .meta = order ? order : meta,
                                       .meta_count = order ? 1 : i % 4,
                                       .ports = ports,
                                       .ports_count = i % 2};
    }
    dns_model_put_service(m, name, all, count);
}

/* Another datacenter, in another state than ours. */
static struct dns_zone *elsewhere(int state)
{
    static const struct dns_node node = {"far", "10.30.0.7", "", "", meta, 3};
    struct dns_settings settings;
    struct dns_model *m;

    dns_settings_init(&settings);
    settings.datacenter = "dc2";
    settings.elsewhere = true;
    CHECK(dns_model_new(&settings, (struct hash_key){3, 4}, &m, NULL) == ST_OK);
    put_service(m, "web", 5, DNS_PASSING, NULL);
    put_service(m, "close", 8, DNS_PASSING, near);
    dns_model_put_node(m, &node);
    return dns_model_commit(m, 7, (enum dns_state)((state + 1) % 4));
}

/* Made once; every state is a zone of its own. */
static struct dns_zone *const *zones(void)
{
    static struct dns_zone *made[4];
    static struct dns_model *m; /* Reachable: no leak. */
    static const char *const others[] = {"dc2"};
    struct dns_settings settings;
    const struct dns_pair zone[] = {{"zone", "east"}};
    const struct dns_node here = {"here", "10.20.0.8", "", "", zone, 1};
    const struct dns_node node = {"edge-07", "10.20.0.7", "", "", meta, 3};
    const struct dns_node deep = {"a.b", "2001:db8::1", "", "", meta, 1};
    struct dns_instance alias = {.id = "1",
                                 .node = "n1",
                                 .node_address = "10.0.0.1",
                                 .address = "web.service.consul"};

    if (m != NULL) {
        return made;
    }
    dns_settings_init(&settings);
    settings.self_node = "here";
    settings.others = others;
    settings.others_count = 1;
    CHECK(dns_model_new(&settings, (struct hash_key){1, 2}, &m, NULL) == ST_OK);
    put_service(m, "web", 5, DNS_PASSING, NULL);
    put_service(m, "many", 64, DNS_PASSING, NULL);
    put_service(m, "heavy", 64, DNS_PASSING, weighted);
    put_service(m, "close", 64, DNS_PASSING, near);
    put_service(m, "sick", 2, DNS_CRITICAL, NULL);
    put_service(m, "consul", 4, DNS_PASSING, NULL);
    dns_model_put_service(m, "alias", &alias, 1);
    alias.address = "nowhere.service.consul";
    dns_model_put_service(m, "dangling", &alias, 1);
    alias.address = "web.service.dc2.consul";
    dns_model_put_service(m, "abroad", &alias, 1);
    dns_model_put_node(m, &here);
    dns_model_put_node(m, &node);
    dns_model_put_node(m, &deep);
    for (int state = 0; state < 4; state++) {
        dns_model_set_other(m, 0, elsewhere(state));
        made[state] = dns_model_commit(m, 42, (enum dns_state)state);
    }
    return made;
}

static void check_response(const uint8_t *response, size_t len,
                           const struct dns_question *q,
                           const struct dns_transport *t)
{
    ldns_pkt *pkt = NULL;

    CHECK(len >= DNS_HEADER_BYTES);
    CHECK(len <= t->size_max);
    CHECK(response[0] == q->id >> 8);
    CHECK(response[1] == (q->id & 255));
    CHECK(response[2] & 0x80);
    CHECK(memcmp(response + DNS_HEADER_BYTES, q->name.data, q->name.len) == 0);
    CHECK(ldns_wire2pkt(&pkt, response, len) == LDNS_STATUS_OK);
    CHECK(ldns_pkt_qdcount(pkt) == 1);
    CHECK(ldns_pkt_edns(pkt) == q->edns.present);
    ldns_pkt_free(pkt);
}

static void answer(const struct dns_zone *zone, const struct dns_question *q,
                   struct dns_transport *t)
{
    static uint8_t slow[ROOM];
    static uint8_t quick[ROOM];
    struct arena arena = {0};
    struct dns_answer decided;
    struct rng rng;
    size_t slow_len;
    size_t quick_len;

    t->rng = &rng;
    t->scratch = &arena;
    rng_init(&rng, q->id);
    dns_decide(zone, q, &arena, &decided);
    slow_len = dns_pack(zone, q, &decided, t, slow);
    check_response(slow, slow_len, q, t);
    rng_init(&rng, q->id);
    quick_len = dns_answer_prepared(zone, q, t, quick);
    if (quick_len > 0) {
        CHECK(quick_len == slow_len);
        CHECK(memcmp(quick, slow, slow_len) == 0);
    }
    arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns_question q;
    enum dns_rcode rcode = DNS_NOERROR;
    struct dns_transport t = {.client = slice_of("\177\0\0\1", 4)};
    uint8_t error[512];
    size_t len;

    if (size < 1) {
        return 0;
    }
    t.tcp = (data[0] & 1) != 0;
    t.recursion = (data[0] & 2) != 0;
    switch (dns_question_parse(slice_of(data + 1, size - 1), &q, &rcode)) {
    case DNS_PARSE_DROP:
        return 0;
    case DNS_PARSE_ERROR:
        len = dns_pack_error(&q, rcode, &t, error);
        CHECK(len >= DNS_HEADER_BYTES);
        CHECK(len <= sizeof(error));
        return 0;
    case DNS_PARSE_OK:
        break;
    }
    t.size_max = dns_size_max(&q, t.tcp, UDP_CAP);
    answer(zones()[data[0] >> 2 & 3], &q, &t);
    return 0;
}
