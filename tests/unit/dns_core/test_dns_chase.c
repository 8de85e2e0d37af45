#include "dns/core/chase.h"

#include <ldns/ldns.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/suite.h"

/* An SRV record of ours, what upstream says of its target, and the address that
 * comes with it. Records as text, one a line. */
static const struct {
    const char *said;
    uint32_t ttl_max_s; /* The service's own TTL. */
    uint32_t age_s;
    bool stale;
    uint32_t ttl_s; /* Wanted. */
} rows[] = {
    {"api.example. 300 IN A 192.0.2.1", UINT32_MAX, 0, false, 300},
    {"api.example. 300 IN A 192.0.2.1", 40, 0, false, 40},
    {"api.example. 300 IN A 192.0.2.1", UINT32_MAX, 100, false, 200},
    /* An alias counts, though it is left out. */
    {"api.example. 60 IN CNAME w.example.\nw.example. 300 IN A 192.0.2.1",
     UINT32_MAX, 0, false, 60},
    {"api.example. 60 IN CNAME v.example.\nv.example. 20 IN CNAME w.example.\n"
     "w.example. 300 IN A 192.0.2.1",
     UINT32_MAX, 5, false, 15},
    {"api.example. 600 IN CNAME w.example.\nw.example. 300 IN A 192.0.2.1", 40,
     0, false, 40},
    {"api.example. 60 IN CNAME w.example.\nw.example. 300 IN A 192.0.2.1",
     UINT32_MAX, 900, true, 30},
};

static struct slice name_of(struct dns_name *space, const char *text)
{
    *space = (struct dns_name){0};
    ck_assert(dns_name_add_text(space, slice_str(text)));
    ck_assert(dns_name_end(space));
    return dns_name_slice(space);
}

static uint8_t *packet(const char *text, size_t *out_len)
{
    ldns_pkt *pkt = ldns_pkt_new();
    uint8_t *wire = NULL;

    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        char line[128];
        ldns_rr *rr = NULL;

        (void)snprintf(line, sizeof(line), "%.*s", (int)len, text);
        text += len + (text[len] == '\n');
        ck_assert_int_eq(ldns_rr_new_frm_str(&rr, line, 60, NULL, NULL),
                         LDNS_STATUS_OK);
        ck_assert(ldns_pkt_push_rr(pkt, LDNS_SECTION_ANSWER, rr));
    }
    ck_assert_int_eq(ldns_pkt2wire(&wire, pkt, out_len), LDNS_STATUS_OK);
    ldns_pkt_free(pkt);
    return wire;
}

START_TEST(addresses_of_targets_last_as_long_as_their_aliases)
{
    struct dns_name target;
    struct dns_record srv = {.type = DNS_TYPE_SRV};
    struct dns_answer answer = {
        .verdict = DNS_CHASE,
        .upstream_ttl_max_s = rows[_i].ttl_max_s,
        .answers = {.items = &srv, .count = 1, .cap = 1},
    };
    struct dns_heard heard = {.name = name_of(&target, "api.example"),
                              .type = DNS_TYPE_A,
                              .age_s = rows[_i].age_s,
                              .stale = rows[_i].stale};
    struct arena arena = {0};
    size_t len = 0;
    uint8_t *wire = packet(rows[_i].said, &len);

    srv.data.srv.target = heard.name;
    heard.reply = slice_of(wire, len);
    dns_chase_add(&arena, &answer, &heard, 1);
    ck_assert_uint_eq(answer.extras.count, 1);
    ck_assert_uint_eq(srv.extras_count, 1);
    ck_assert(dns_same(answer.extras.items[0].owner, heard.name));
    ck_assert_uint_eq(answer.extras.items[0].ttl_s, rows[_i].ttl_s);
    arena_release(&arena);
    LDNS_FREE(wire);
}
END_TEST

UNIT_MAIN("dns_chase", {
    tcase_add_loop_test(tc, addresses_of_targets_last_as_long_as_their_aliases,
                        0, COUNT_OF(rows));
})
