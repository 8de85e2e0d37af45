#include "secondary.h"

#include <check.h>
#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

size_t secondary_find(const struct secondary *s, const char *text, bool *out_is)
{
    size_t low = 0;
    size_t high = s->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (strcmp(s->records[middle], text) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *out_is = low < s->count && strcmp(s->records[low], text) == 0;
    return low;
}

static void take(struct secondary *s, char *text)
{
    bool is;
    size_t at = secondary_find(s, text, &is);

    ck_assert_msg(!is, "twice: %s", text);
    ck_assert_uint_lt(s->count, SECONDARY_RECORDS_MAX);
    memmove(s->records + at + 1, s->records + at,
            (s->count - at) * sizeof(s->records[0]));
    s->records[at] = text;
    s->count++;
}

static void drop(struct secondary *s, char *text)
{
    bool is;
    size_t at = secondary_find(s, text, &is);

    ck_assert_msg(is, "not there: %s", text);
    free(s->records[at]);
    s->count--;
    memmove(s->records + at, s->records + at + 1,
            (s->count - at) * sizeof(s->records[0]));
    free(text);
}

void secondary_clear(struct secondary *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->records[i]);
    }
    s->count = 0;
}

static uint32_t serial_of(const ldns_rr *rr)
{
    return ldns_rdf2native_int32(ldns_rr_rdf(rr, 2));
}

/* How far a transfer has got (RFC 1995, 4). */
struct applying {
    struct secondary *to;
    enum dns_transfer_kind kind;
    unsigned soas;
    uint32_t last;
};

static void apply_soa(struct applying *a, const ldns_rr *rr)
{
    a->soas++;
    if (a->kind == DNS_TRANSFER_DIFFERENCES && a->soas % 2 == 0 &&
        serial_of(rr) != a->last) {
        ck_assert_uint_eq(serial_of(rr), a->to->serial);
    }
    if (a->soas == 1) {
        a->last = serial_of(rr);
    } else {
        a->to->serial = serial_of(rr);
    }
}

static void apply(struct applying *a, const ldns_rr *rr)
{
    if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_SOA) {
        apply_soa(a, rr);
    } else if (a->kind == DNS_TRANSFER_WHOLE || a->soas % 2 == 1) {
        take(a->to, ldns_rr2str(rr));
    } else {
        drop(a->to, ldns_rr2str(rr));
    }
}

enum dns_transfer_kind secondary_transfer(struct dns_transfer_set *set,
                                          struct secondary *to, uint16_t type)
{
    static uint8_t message[DNS_TRANSFER_MESSAGE_MIN];
    struct dns_transfer_request request = {
        .type = type, .serial = to->serial, .name = slice_of("\6CONSUL", 8)};
    struct dns_transfer_stream *t = dns_transfer_open(set, &request);
    struct applying a = {.to = to, .kind = dns_transfer_kind(t)};
    size_t len;

    if (a.kind == DNS_TRANSFER_WHOLE) {
        secondary_clear(to);
    }
    while ((len = dns_transfer_next(t, message, sizeof(message))) > 0) {
        ldns_pkt *pkt = NULL;

        ck_assert_int_eq(ldns_wire2pkt(&pkt, message, len), LDNS_STATUS_OK);
        ck_assert(ldns_pkt_aa(pkt));
        ldns_rr_list2canonical(ldns_pkt_answer(pkt));
        for (size_t i = 0; i < ldns_rr_list_rr_count(ldns_pkt_answer(pkt));
             i++) {
            apply(&a, ldns_rr_list_rr(ldns_pkt_answer(pkt), i));
        }
        ldns_pkt_free(pkt);
    }
    if (a.kind != DNS_TRANSFER_CURRENT) {
        ck_assert_uint_eq(to->serial, a.last);
    }
    dns_transfer_close(t);
    return a.kind;
}

void secondary_same(const struct secondary *a, const struct secondary *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        ck_assert_str_eq(a->records[i], b->records[i]);
    }
    ck_assert_uint_eq(a->count, b->count);
}
