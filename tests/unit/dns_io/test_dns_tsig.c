#include "dns/io/tsig.h"

#include <ldns/ldns.h>
#include <time.h>

#include "base/core/base64.h"
#include "dns/core/question.h"
#include "suite.h"

/* "0123456789abcdef0123456789abcdef" */
#define SECRET "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

enum {
    MESSAGE_MAX = 4096
};

static struct tsig_key key_of(const char *name, enum tsig_algorithm algorithm)
{
    struct tsig_key key = {.algorithm = algorithm};
    struct arena arena = {0};
    struct slice secret;

    ck_assert(dns_name_add_text(&key.name, slice_str(name)));
    ck_assert(dns_name_end(&key.name));
    ck_assert_int_eq(base64_decode(&arena, slice_str(SECRET), &secret), ST_OK);
    memcpy(key.secret, secret.data, secret.len);
    key.secret_len = (uint16_t)secret.len;
    arena_release(&arena);
    return key;
}

static uint64_t now_s(void)
{
    return (uint64_t)time(NULL);
}

/* A question that ldns has signed. */
static size_t ldns_query(const char *key, const char *algorithm,
                         uint8_t out[MESSAGE_MAX])
{
    ldns_pkt *pkt = ldns_pkt_query_new(ldns_dname_new_frm_str("consul."),
                                       LDNS_RR_TYPE_SOA, LDNS_RR_CLASS_IN, 0);
    uint8_t *wire = NULL;
    size_t len = 0;

    ldns_pkt_set_id(pkt, 4711);
    ck_assert_int_eq(ldns_pkt_tsig_sign(pkt, key, SECRET, 300, algorithm, NULL),
                     LDNS_STATUS_OK);
    ck_assert_int_eq(ldns_pkt2wire(&wire, pkt, &len), LDNS_STATUS_OK);
    ck_assert_uint_le(len, MESSAGE_MAX);
    memcpy(out, wire, len);
    free(wire);
    ldns_pkt_free(pkt);
    return len;
}

static enum tsig_verdict judge(struct slice packet, const struct tsig_key *key,
                               uint64_t now, struct tsig *out)
{
    struct dns_question q;
    enum dns_rcode rcode;

    if (dns_question_parse(packet, &q, &rcode) != DNS_PARSE_OK ||
        q.tsig_at == 0) {
        return TSIG_MALFORMED;
    }
    return tsig_request(packet, q.tsig_at, key, 1, now, out);
}

/* A response without records, to be signed. */
static size_t response_to(const uint8_t *query, uint8_t out[MESSAGE_MAX])
{
    memset(out, 0, DNS_HEADER_BYTES);
    memcpy(out, query, 2);
    out[2] = 0x84;
    out[5] = 1;
    memcpy(out + DNS_HEADER_BYTES, query + DNS_HEADER_BYTES, 8 + 4);
    return DNS_HEADER_BYTES + 8 + 4;
}

/* Whether ldns takes it. *mac, the one before, becomes its own. */
static bool ldns_takes(struct slice message, const char *key, ldns_rdf **mac,
                       int later)
{
    ldns_pkt *pkt = NULL;
    bool good;

    ck_assert_int_eq(ldns_wire2pkt(&pkt, message.data, message.len),
                     LDNS_STATUS_OK);
    ck_assert(ldns_pkt_tsig(pkt) != NULL);
    good = ldns_pkt_tsig_verify_next(pkt, message.data, message.len, key,
                                     SECRET, *mac, later);
    ldns_rdf_deep_free(*mac);
    *mac = ldns_rdf_clone(ldns_rr_rdf(ldns_pkt_tsig(pkt), 3));
    ldns_pkt_free(pkt);
    return good;
}

static ldns_rdf *mac_of(struct slice message)
{
    ldns_pkt *pkt = NULL;
    ldns_rdf *mac;

    ck_assert_int_eq(ldns_wire2pkt(&pkt, message.data, message.len),
                     LDNS_STATUS_OK);
    mac = ldns_rdf_clone(ldns_rr_rdf(ldns_pkt_tsig(pkt), 3));
    ldns_pkt_free(pkt);
    return mac;
}

static const struct {
    const char *name;
    enum tsig_algorithm algorithm;
} algorithms[] = {
    {"hmac-sha256.", TSIG_HMAC_SHA256},
    {"hmac-sha512.", TSIG_HMAC_SHA512},
};

START_TEST(ldns_and_we_take_each_others_word)
{
    struct tsig_key key = key_of("site.example", algorithms[_i].algorithm);
    uint8_t query[MESSAGE_MAX];
    uint8_t response[MESSAGE_MAX + TSIG_ROOM];
    size_t query_len = ldns_query("Site.Example.", algorithms[_i].name, query);
    ldns_rdf *mac = mac_of(slice_of(query, query_len));
    struct tsig t;

    ck_assert_int_eq(judge(slice_of(query, query_len), &key, now_s(), &t),
                     TSIG_GOOD);
    for (int i = 0; i < 3; i++) {
        size_t len = response_to(query, response);

        len = tsig_sign(&t, response, len, now_s());
        ck_assert(
            ldns_takes(slice_of(response, len), "site.example.", &mac, i > 0));
    }
    ldns_rdf_deep_free(mac);
}
END_TEST

/* What is wrong with a query of ldns's, by byte from its end: the record ends
 * with the MAC, the original id, the error, and no other data. */
static const struct {
    const char *what;
    const char *key;
    int64_t late_s;
    size_t change_at; /* From the end; 0: nothing is changed. */
    enum tsig_verdict verdict;
    enum tsig_error error;
} queries[] = {
    {"good", "site.example", 0, 0, TSIG_GOOD, TSIG_OK},
    {"another key", "other.example", 0, 0, TSIG_BAD, TSIG_BADKEY},
    {"a changed MAC", "site.example", 0, 7, TSIG_BAD, TSIG_BADSIG},
    {"a changed time", "site.example", 0, 6 + 32 + 5, TSIG_BAD, TSIG_BADSIG},
    {"the last second", "site.example", 299, 0, TSIG_GOOD, TSIG_OK},
    {"too late", "site.example", 302, 0, TSIG_BAD, TSIG_BADTIME},
    {"from the future", "site.example", -302, 0, TSIG_BAD, TSIG_BADTIME},
    {"other data that is not there", "site.example", 0, 1, TSIG_MALFORMED,
     TSIG_OK},
};

START_TEST(queries_by_row)
{
    struct tsig_key key = key_of(queries[_i].key, TSIG_HMAC_SHA256);
    uint8_t query[MESSAGE_MAX];
    size_t len = ldns_query("site.example.", "hmac-sha256.", query);
    struct tsig t = {0};

    if (queries[_i].change_at > 0) {
        query[len - queries[_i].change_at] ^= 1;
    }
    ck_assert_msg(judge(slice_of(query, len), &key,
                        now_s() + (uint64_t)queries[_i].late_s,
                        &t) == queries[_i].verdict,
                  "%s", queries[_i].what);
    if (queries[_i].verdict != TSIG_MALFORMED) {
        ck_assert_msg(t.error == queries[_i].error, "%s", queries[_i].what);
    }
}
END_TEST

/* Half a MAC may be sent (RFC 8945, 5.2.2.1) and is not enough for us; less is
 * malformed. */
START_TEST(a_mac_is_whole)
{
    static const struct {
        size_t kept;
        enum tsig_verdict verdict;
    } cuts[] = {{31, TSIG_BAD},
                {16, TSIG_BAD},
                {15, TSIG_MALFORMED},
                {0, TSIG_MALFORMED}};
    struct tsig_key key = key_of("site.example", TSIG_HMAC_SHA256);

    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        uint8_t query[MESSAGE_MAX];
        size_t len = ldns_query("site.example.", "hmac-sha256.", query);
        size_t cut = 32 - cuts[i].kept;
        uint8_t *end = query + len;
        uint8_t *length = end - 6 - 32 - 2 - 2 - 6 - 13 - 2;
        struct tsig t;

        memmove(end - 6 - cut, end - 6, 6);
        (end - 6 - 32)[-1] = (uint8_t)cuts[i].kept;
        length[1] = (uint8_t)(length[1] - cut);
        ck_assert_int_eq(judge(slice_of(query, len - cut), &key, now_s(), &t),
                         cuts[i].verdict);
        if (cuts[i].verdict == TSIG_BAD) {
            ck_assert_int_eq(t.error, TSIG_BADTRUNC);
        }
    }
}
END_TEST

/* The other way round: what we ask, and whose answer counts. */
START_TEST(answers_to_us_are_verified)
{
    struct tsig_key key = key_of("site.example", TSIG_HMAC_SHA512);
    struct tsig_key other = key_of("site.example", TSIG_HMAC_SHA256);
    uint8_t query[MESSAGE_MAX] = {0};
    uint8_t answer[MESSAGE_MAX + TSIG_ROOM];
    struct tsig ours;
    struct tsig theirs;
    size_t len;
    size_t at = 0;

    query[5] = 1;
    memcpy(query + DNS_HEADER_BYTES, "\6consul\0\0\6\0\1", 12);
    tsig_begin(&ours, &key);
    len = tsig_sign(&ours, query, DNS_HEADER_BYTES + 12, now_s());
    ck_assert_int_eq(judge(slice_of(query, len), &other, now_s(), &theirs),
                     TSIG_BAD);
    ck_assert_int_eq(theirs.error, TSIG_BADKEY);
    ck_assert_int_eq(judge(slice_of(query, len), &key, now_s(), &theirs),
                     TSIG_GOOD);
    len = response_to(query, answer);
    ck_assert(!tsig_find(slice_of(answer, len), &at));
    len = tsig_sign(&theirs, answer, len, now_s());
    ck_assert(tsig_find(slice_of(answer, len), &at));
    ck_assert(tsig_response(&ours, slice_of(answer, len), at, now_s()));
    ck_assert(!tsig_response(&ours, slice_of(answer, len), at, now_s() + 400));
    answer[3] ^= 1;
    ck_assert(!tsig_response(&ours, slice_of(answer, len), at, now_s()));
}
END_TEST

UNIT_MAIN("dns_tsig", {
    tcase_add_loop_test(tc, ldns_and_we_take_each_others_word, 0,
                        COUNT_OF(algorithms));
    tcase_add_loop_test(tc, queries_by_row, 0, COUNT_OF(queries));
    tcase_add_test(tc, a_mac_is_whole);
    tcase_add_test(tc, answers_to_us_are_verified);
})
