#include "dns/core/pack.h"

#include <ldns/ldns.h>
#include <stdio.h>

#include "dns/core/prepared.h"
#include "suite.h"

enum {
    MANY = 200
};

static struct dns_model *make_model(unsigned count)
{
    static char nodes[MANY + 1][32];
    static char addresses[MANY + 1][32];
    struct dns_instance all[MANY + 1] = {0};
    struct dns_settings settings;
    struct dns_model *m;

    dns_settings_init(&settings);
    settings.udp_answer_limit = 0;
    ck_assert_int_eq(
        dns_model_new(&settings, (struct hash_key){1, 2}, &m, NULL), ST_OK);
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(nodes[i], sizeof(nodes[i]), "n%u", i);
        (void)snprintf(addresses[i], sizeof(addresses[i]), "10.0.0.%u", i);
        all[i].id = nodes[i];
        all[i].node = nodes[i];
        all[i].node_address = addresses[i];
        all[i].port = (uint16_t)(1000 + i);
    }
    dns_model_put_service(m, "many", all, count);
    return m;
}

/* The ports of the SRV records in a response of at most `size` bytes. */
static size_t ports_for(const struct dns_zone *z, const char *client,
                        uint16_t size, uint64_t seed, bool *present,
                        uint16_t *out_first)
{
    static const uint8_t packet[] =
        "\0\1\1\0\0\1\0\0\0\0\0\1\4many\7service\6consul\0\0\41\0\1"
        "\0\0\51\20\0\0\0\0\0\0";
    uint8_t out[65535];
    uint8_t prepared[65535];
    struct arena arena = {0};
    struct rng rng;
    struct dns_transport t = {.size_max = size,
                              .client = slice_of(client, 4),
                              .rng = &rng,
                              .scratch = &arena};
    struct dns_question q;
    struct dns_answer answer;
    enum dns_rcode rcode;
    ldns_pkt *pkt = NULL;
    size_t count;
    size_t len;

    rng_init(&rng, seed);
    ck_assert_int_eq(
        dns_question_parse(slice_of(packet, sizeof(packet)), &q, &rcode),
        DNS_PARSE_OK);
    dns_decide(z, &q, &arena, &answer);
    len = dns_pack(z, &q, &answer, &t, out);
    ck_assert_uint_le(len, size);
    /* What is prepared is cut to the same bytes. */
    rng_init(&rng, seed);
    ck_assert_uint_eq(dns_answer_prepared(z, &q, &t, prepared), len);
    ck_assert(memcmp(prepared, out, len) == 0);
    ck_assert_int_eq(ldns_wire2pkt(&pkt, out, len), LDNS_STATUS_OK);
    count = ldns_pkt_ancount(pkt);
    ck_assert_uint_eq(ldns_pkt_arcount(pkt), count);
    memset(present, 0, (MANY + 1) * sizeof(present[0]));
    for (size_t i = 0; i < count; i++) {
        const ldns_rr *rr = ldns_rr_list_rr(ldns_pkt_answer(pkt), i);
        uint16_t port = ldns_rdf2native_int16(ldns_rr_rdf(rr, 2));

        *out_first = i == 0 ? port : *out_first;
        present[port - 1000] = true;
    }
    ldns_pkt_free(pkt);
    arena_release(&arena);
    return count;
}

/* Cut to what fits: one client always gets the same members in changing order,
 * another one others; a new instance displaces one member at most. */
START_TEST(stable_subset)
{
    struct dns_model *m = make_model(MANY);
    struct dns_zone *z = dns_model_commit(m, 1, DNS_FRESH);
    struct dns_model *m2 = make_model(MANY + 1);
    struct dns_zone *more = dns_model_commit(m2, 1, DNS_FRESH);
    bool first[MANY + 1];
    bool again[MANY + 1];
    uint16_t first_port = 0;
    unsigned orders = 0;
    unsigned gone = 0;
    size_t count = ports_for(z, "\12\0\0\1", 1232, 0, first, &first_port);

    ck_assert_uint_gt(count, 10);
    ck_assert_uint_lt(count, MANY);
    for (uint64_t seed = 1; seed < 20; seed++) {
        uint16_t port = 0;

        ck_assert_uint_eq(ports_for(z, "\12\0\0\1", 1232, seed, again, &port),
                          count);
        ck_assert(memcmp(first, again, sizeof(first)) == 0);
        orders += port != first_port;
    }
    ck_assert_uint_gt(orders, 0);
    (void)ports_for(z, "\12\0\0\2", 1232, 0, again, &first_port);
    ck_assert(memcmp(first, again, sizeof(first)) != 0);
    (void)ports_for(more, "\12\0\0\1", 1232, 0, again, &first_port);
    for (unsigned i = 0; i < MANY; i++) {
        gone += first[i] && !again[i];
    }
    ck_assert_uint_le(gone, 1);
    dns_zone_free(z);
    dns_zone_free(more);
    dns_model_free(m);
    dns_model_free(m2);
}
END_TEST

START_TEST(shuffle_is_a_fair_permutation)
{
    enum {
        COUNT = 5,
        ROUNDS = 50000
    };
    unsigned at[COUNT][COUNT] = {0};
    struct rng rng;

    rng_init(&rng, 1);
    for (unsigned r = 0; r < ROUNDS; r++) {
        uint16_t order[COUNT];
        unsigned seen = 0;

        dns_order(&rng, DNS_ORDER_SHUFFLE, NULL, 0, order, COUNT, COUNT);
        for (unsigned i = 0; i < COUNT; i++) {
            seen |= 1u << order[i];
            at[i][order[i]]++;
        }
        ck_assert_uint_eq(seen, (1u << COUNT) - 1);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        for (unsigned j = 0; j < COUNT; j++) {
            ck_assert_uint_gt(at[i][j], ROUNDS / COUNT * 95 / 100);
            ck_assert_uint_lt(at[i][j], ROUNDS / COUNT * 105 / 100);
        }
    }
}
END_TEST

/* Every size from the least to more than enough: never over, never broken. */
START_TEST(every_size_is_kept)
{
    struct dns_model *m = make_model(12);
    struct dns_zone *z = dns_model_commit(m, 1, DNS_FRESH);
    bool present[MANY + 1];
    uint16_t port;
    size_t most = 0;

    for (uint16_t size = 512; size < 1400; size++) {
        size_t count = ports_for(z, "\12\0\0\1", size, size, present, &port);

        ck_assert_uint_ge(count, most);
        most = count;
    }
    ck_assert_uint_eq(most, 12);
    dns_zone_free(z);
    dns_model_free(m);
}
END_TEST

static const struct {
    const char *name;
    const char *options; /* Of the query. */
    size_t options_len;
    uint16_t pad_block;
    size_t multiple; /* Of the response; 1: it is as long as it is. */
} pads[] = {
    {"padded over TLS", "\0\14\0\3...", 7, 468, 468},
    {"not padded by the client", "", 0, 468, 1},
    {"not over UDP", "\0\14\0\3...", 7, 0, 1},
};

/* Whole blocks (RFC 8467), for short messages and long ones, and the padding is
 * the last option. */
START_TEST(padding)
{
    struct dns_model *m = make_model(MANY);
    struct dns_zone *z = dns_model_commit(m, 1, DNS_FRESH);
    static const char *const names[] = {"\4many\7service\6consul",
                                        "\4none\7service\6consul"};

    for (size_t i = 0; i < 2; i++) {
        uint8_t packet[512] = "\0\1\1\0\0\1\0\0\0\0\0\1";
        uint8_t out[65535];
        size_t len = 12;
        struct arena arena = {0};
        struct rng rng;
        struct dns_transport t = {.tcp = true,
                                  .size_max = 65535,
                                  .client = slice_of("\12\0\0\1", 4),
                                  .pad_block = pads[_i].pad_block,
                                  .rng = &rng,
                                  .scratch = &arena};
        struct dns_question q;
        struct dns_answer answer;
        enum dns_rcode rcode;
        ldns_pkt *pkt = NULL;

        rng_init(&rng, 1);
        memcpy(packet + len, names[i], strlen(names[i]) + 1);
        len += strlen(names[i]) + 1;
        memcpy(packet + len, "\0\41\0\1\0\0\51\20\0\0\0\0\0\0", 15);
        len += 15;
        packet[len - 1] = (uint8_t)pads[_i].options_len;
        memcpy(packet + len, pads[_i].options, pads[_i].options_len);
        len += pads[_i].options_len;
        ck_assert_int_eq(dns_question_parse(slice_of(packet, len), &q, &rcode),
                         DNS_PARSE_OK);
        dns_decide(z, &q, &arena, &answer);
        len = dns_pack(z, &q, &answer, &t, out);
        ck_assert_uint_eq(len % pads[_i].multiple, 0);
        ck_assert_int_eq(ldns_wire2pkt(&pkt, out, len), LDNS_STATUS_OK);
        ck_assert((ldns_pkt_edns_data(pkt) != NULL) == (pads[_i].multiple > 1));
        ldns_pkt_free(pkt);
        arena_release(&arena);
    }
    dns_zone_free(z);
    dns_model_free(m);
}
END_TEST

UNIT_MAIN("dns_pack", {
    tcase_add_test(tc, stable_subset);
    tcase_add_test(tc, shuffle_is_a_fair_permutation);
    tcase_add_test(tc, every_size_is_kept);
    tcase_add_loop_test(tc, padding, 0, sizeof(pads) / sizeof(pads[0]));
})
