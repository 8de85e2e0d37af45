#include "dns/core/question.h"

#include "suite.h"

#define HEAD(qd, an, ns, ar) 0x12, 0x34, 1, 0, 0, qd, 0, an, 0, ns, 0, ar
#define NAME                 3, 'W', 'e', 'B', 1, 'x', 0
#define BYTES(...) \
    (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static const struct {
    const char *name;
    const uint8_t *packet;
    size_t len;
    enum dns_parse parse;
    enum dns_rcode rcode;
} rows[] = {
    {"a plain question", BYTES(HEAD(1, 0, 0, 0), NAME, 0, 1, 0, 1),
     DNS_PARSE_OK, 0},
    {"no header", BYTES(0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0), DNS_PARSE_DROP,
     0},
    {"a response is not answered",
     BYTES(0x12, 0x34, 0x81, 0, 0, 1, 0, 0, 0, 0, 0, 0, NAME, 0, 1, 0, 1),
     DNS_PARSE_DROP, 0},
    {"another opcode",
     BYTES(0x12, 0x34, 0x29, 0, 0, 1, 0, 0, 0, 0, 0, 0, NAME, 0, 1, 0, 1),
     DNS_PARSE_ERROR, DNS_NOTIMP},
    {"no question", BYTES(HEAD(0, 0, 0, 0)), DNS_PARSE_ERROR, DNS_FORMERR},
    {"two questions",
     BYTES(HEAD(2, 0, 0, 0), NAME, 0, 1, 0, 1, NAME, 0, 1, 0, 1),
     DNS_PARSE_ERROR, DNS_FORMERR},
    {"answers in a query", BYTES(HEAD(1, 1, 0, 0), NAME, 0, 1, 0, 1),
     DNS_PARSE_ERROR, DNS_FORMERR},
    {"a name without end", BYTES(HEAD(1, 0, 0, 0), 3, 'w', 'e', 'b'),
     DNS_PARSE_ERROR, DNS_FORMERR},
    {"a compressed name", BYTES(HEAD(1, 0, 0, 0), 0xc0, 12, 0, 1, 0, 1),
     DNS_PARSE_ERROR, DNS_FORMERR},
    {"no type", BYTES(HEAD(1, 0, 0, 0), NAME, 0, 1, 0), DNS_PARSE_ERROR,
     DNS_FORMERR},
    {"a zone transfer", BYTES(HEAD(1, 0, 0, 0), NAME, 0, 252, 0, 1),
     DNS_PARSE_ERROR, DNS_NOTIMP},
    {"EDNS",
     BYTES(HEAD(1, 0, 0, 1), NAME, 0, 1, 0, 1, 0, 0, 41, 16, 0, 0, 0, 0x80, 0,
           0, 0),
     DNS_PARSE_OK, 0},
    {"EDNS, a later version",
     BYTES(HEAD(1, 0, 0, 1), NAME, 0, 1, 0, 1, 0, 0, 41, 16, 0, 0, 1, 0, 0, 0,
           0),
     DNS_PARSE_ERROR, DNS_BADVERS},
    {"EDNS twice",
     BYTES(HEAD(1, 0, 0, 2), NAME, 0, 1, 0, 1, 0, 0, 41, 16, 0, 0, 0, 0, 0, 0,
           0, 0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0),
     DNS_PARSE_ERROR, DNS_FORMERR},
    {"EDNS not at the root",
     BYTES(HEAD(1, 0, 0, 1), NAME, 0, 1, 0, 1, 1, 'a', 0, 0, 41, 16, 0, 0, 0, 0,
           0, 0, 0),
     DNS_PARSE_ERROR, DNS_FORMERR},
    {"an option longer than its record",
     BYTES(HEAD(1, 0, 0, 1), NAME, 0, 1, 0, 1, 0, 0, 41, 16, 0, 0, 0, 0, 0, 0,
           4, 0, 10, 0, 9),
     DNS_PARSE_ERROR, DNS_FORMERR},
    {"an unknown option",
     BYTES(HEAD(1, 0, 0, 1), NAME, 0, 1, 0, 1, 0, 0, 41, 16, 0, 0, 0, 0, 0, 0,
           6, 0xfd, 0xe9, 0, 2, 1, 2),
     DNS_PARSE_OK, 0},
    {"a client's cookie",
     BYTES(HEAD(1, 0, 0, 1), NAME, 0, 1, 0, 1, 0, 0, 41, 16, 0, 0, 0, 0, 0, 0,
           12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8),
     DNS_PARSE_OK, 0},
    {"a cookie of no allowed length",
     BYTES(HEAD(1, 0, 0, 1), NAME, 0, 1, 0, 1, 0, 0, 41, 16, 0, 0, 0, 0, 0, 0,
           13, 0, 10, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9),
     DNS_PARSE_ERROR, DNS_FORMERR},
    {"keepalive and padding",
     BYTES(HEAD(1, 0, 0, 1), NAME, 0, 1, 0, 1, 0, 0, 41, 16, 0, 0, 0, 0, 0, 0,
           10, 0, 11, 0, 0, 0, 12, 0, 2, 0, 0),
     DNS_PARSE_OK, 0},
    {"a client subnet with a scope",
     BYTES(HEAD(1, 0, 0, 1), NAME, 0, 1, 0, 1, 0, 0, 41, 16, 0, 0, 0, 0, 0, 0,
           11, 0, 8, 0, 7, 0, 1, 24, 1, 192, 0, 2),
     DNS_PARSE_ERROR, DNS_FORMERR},
    {"a client subnet with bits behind its prefix",
     BYTES(HEAD(1, 0, 0, 1), NAME, 0, 1, 0, 1, 0, 0, 41, 16, 0, 0, 0, 0, 0, 0,
           11, 0, 8, 0, 7, 0, 1, 23, 0, 192, 0, 3),
     DNS_PARSE_ERROR, DNS_FORMERR},
    {"a client subnet with none",
     BYTES(HEAD(1, 0, 0, 1), NAME, 0, 1, 0, 1, 0, 0, 41, 16, 0, 0, 0, 0, 0, 0,
           11, 0, 8, 0, 7, 0, 1, 23, 0, 192, 0, 2),
     DNS_PARSE_OK, 0},
    {"a client subnet whose address is too long",
     BYTES(HEAD(1, 0, 0, 1), NAME, 0, 1, 0, 1, 0, 0, 41, 16, 0, 0, 0, 0, 0, 0,
           12, 0, 8, 0, 8, 0, 1, 24, 0, 192, 0, 2, 1),
     DNS_PARSE_ERROR, DNS_FORMERR},
    {"a record behind that is not EDNS",
     BYTES(HEAD(1, 0, 0, 1), NAME, 0, 1, 0, 1, 1, 'k', 0, 0, 250, 0, 255, 0, 0,
           0, 0, 0, 1, 7),
     DNS_PARSE_OK, 0},
    {"more records promised than there are",
     BYTES(HEAD(1, 0, 0, 9), NAME, 0, 1, 0, 1), DNS_PARSE_ERROR, DNS_FORMERR},
};

START_TEST(packets)
{
    struct dns_question q;
    enum dns_rcode rcode = DNS_NOERROR;
    enum dns_parse parse =
        dns_question_parse(slice_of(rows[_i].packet, rows[_i].len), &q, &rcode);

    ck_assert_msg(parse == rows[_i].parse, "%s: parse is %d", rows[_i].name,
                  parse);
    ck_assert_msg(parse != DNS_PARSE_ERROR || rcode == rows[_i].rcode,
                  "%s: rcode is %d", rows[_i].name, rcode);
    if (parse == DNS_PARSE_OK) {
        ck_assert_uint_eq(q.id, 0x1234);
        ck_assert_uint_eq(q.labels_count, 2);
        ck_assert(memcmp(q.lower, "\3web\1x", 7) == 0);
        ck_assert(memcmp(q.name.data, "\3WeB\1x", 7) == 0);
    }
}
END_TEST

START_TEST(edns_is_read)
{
    static const uint8_t packet[] = {HEAD(1, 0, 0, 1),
                                     NAME,
                                     0,
                                     1,
                                     0,
                                     1,
                                     0,
                                     0,
                                     41,
                                     0,
                                     100,
                                     0,
                                     0,
                                     0x80,
                                     0,
                                     0,
                                     11,
                                     0,
                                     8,
                                     0,
                                     7,
                                     0,
                                     1,
                                     24,
                                     0,
                                     192,
                                     0,
                                     2};
    struct dns_question q;
    enum dns_rcode rcode;

    ck_assert_int_eq(
        dns_question_parse(slice_of(packet, sizeof(packet)), &q, &rcode),
        DNS_PARSE_OK);
    ck_assert(q.edns.present);
    ck_assert(q.edns.dnssec_ok);
    ck_assert_uint_eq(q.edns.udp_size, 512); /* 100 counts as 512. */
    ck_assert_uint_eq(q.edns.subnet.len, 7);
}
END_TEST

/* 255 bytes are a name, 256 are not; 127 labels are the most. */
START_TEST(longest_names)
{
    uint8_t packet[12 + 300] = {HEAD(1, 0, 0, 0)};
    struct dns_question q;
    enum dns_rcode rcode;

    for (unsigned i = 0; i < 127; i++) {
        packet[12 + 2 * i] = 1;
        packet[13 + 2 * i] = 'a';
    }
    ck_assert_int_eq(
        dns_question_parse(slice_of(packet, 12 + 255 + 4), &q, &rcode),
        DNS_PARSE_OK);
    ck_assert_uint_eq(q.labels_count, 127);
    packet[12 + 254] = 1;
    packet[12 + 255] = 'a';
    ck_assert_int_eq(
        dns_question_parse(slice_of(packet, 12 + 257 + 4), &q, &rcode),
        DNS_PARSE_ERROR);
}
END_TEST

UNIT_MAIN("dns_question", {
    tcase_add_loop_test(tc, packets, 0, COUNT_OF(rows));
    tcase_add_test(tc, edns_is_read);
    tcase_add_test(tc, longest_names);
})
