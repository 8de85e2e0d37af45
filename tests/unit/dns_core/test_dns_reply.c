#include "dns/core/reply.h"

#include <ldns/ldns.h>
#include <stdio.h>
#include <strings.h>

#include "tests/unit/dns_query.h"
#include "tests/unit/suite.h"

/* What upstream says: a question, header bits, and records as text, one a line,
 * sections apart by "--". */
struct said {
    const char *question;
    uint16_t type;
    uint16_t flags; /* Besides QR and RA. */
    const char *records;
};

static void push_lines(ldns_pkt *pkt, const char *text)
{
    ldns_pkt_section section = LDNS_SECTION_ANSWER;

    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        char line[256];
        ldns_rr *rr = NULL;

        (void)snprintf(line, sizeof(line), "%.*s", (int)len, text);
        text += len + (text[len] == '\n');
        if (strcmp(line, "--") == 0) {
            section++;
            continue;
        }
        ck_assert_msg(ldns_rr_new_frm_str(&rr, line, 60, NULL, NULL) ==
                          LDNS_STATUS_OK,
                      "%s", line);
        ck_assert(ldns_pkt_push_rr(pkt, section, rr));
    }
}

static size_t make(const struct said *said, uint8_t *out)
{
    ldns_pkt *pkt = ldns_pkt_new();
    ldns_rr *question = ldns_rr_new();
    uint8_t *wire = NULL;
    size_t len = 0;

    ldns_rr_set_question(question, true);
    ldns_rr_set_owner(question, ldns_dname_new_frm_str(said->question));
    ldns_rr_set_type(question, (ldns_rr_type)said->type);
    ldns_rr_set_class(question, LDNS_RR_CLASS_IN);
    ck_assert(ldns_pkt_push_rr(pkt, LDNS_SECTION_QUESTION, question));
    push_lines(pkt, said->records);
    ck_assert_int_eq(ldns_pkt2wire(&wire, pkt, &len), LDNS_STATUS_OK);
    memcpy(out, wire, len);
    out[2] = (uint8_t)((DNS_FLAG_QR | said->flags) >> 8);
    out[3] = (uint8_t)(DNS_FLAG_RA | said->flags);
    LDNS_FREE(wire);
    ldns_pkt_free(pkt);
    return len;
}

static void ask(const char *name, uint16_t type, struct dns_name *space,
                struct dns_asked *out)
{
    *space = (struct dns_name){0};
    ck_assert(dns_name_add_text(space, slice_str(name)));
    ck_assert(dns_name_end(space));
    *out = (struct dns_asked){
        .name = dns_name_slice(space), .type = type, .ttl_max_s = 86400};
}

/* Records as "A a.example 192.0.2.1", sections apart by " | ". */
static void add_section(char *text, size_t size, const ldns_rr_list *list)
{
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(list, i);
        char *owner = ldns_rdf2str(ldns_rr_owner(rr));
        char *type = ldns_rr_type2str(ldns_rr_get_type(rr));
        size_t used = strlen(text);

        (void)snprintf(text + used, size - used, " %s %s %u", owner, type,
                       ldns_rr_ttl(rr));
        free(owner);
        free(type);
    }
}

static void describe(struct slice message, char *text, size_t size)
{
    ldns_pkt *pkt = NULL;

    ck_assert_int_eq(ldns_wire2pkt(&pkt, message.data, message.len),
                     LDNS_STATUS_OK);
    (void)snprintf(text, size, "%d", ldns_pkt_get_rcode(pkt));
    add_section(text, size, ldns_pkt_answer(pkt));
    strcat(text, " |");
    add_section(text, size, ldns_pkt_authority(pkt));
    strcat(text, " |");
    add_section(text, size, ldns_pkt_additional(pkt));
    ldns_pkt_free(pkt);
}

#define SOA(zone, ttl, minimum) \
    zone " " #ttl " SOA ns." zone " h." zone " 1 2 3 4 " #minimum "\n"

static const struct {
    const char *name;
    const char *asked;
    uint16_t type;
    struct said said;
    enum dns_reply_verdict verdict;
    const char *kept;
    uint32_t ttl_s;
} rows[] = {
    {"an address",
     "www.example",
     1,
     {"www.example", 1, 0, "www.example. 60 A 192.0.2.1\n"},
     DNS_REPLY_GOOD,
     "0 www.example. A 60 | |",
     60},
    {"the owner's letters do not matter",
     "www.example",
     1,
     {"www.example", 1, 0, "WWW.Example. 60 A 192.0.2.1\n"},
     DNS_REPLY_GOOD,
     "0 www.example. A 60 | |",
     60},
    {"another question",
     "www.example",
     1,
     {"www.other", 1, 0, "www.other. 60 A 192.0.2.1\n"},
     DNS_REPLY_FOREIGN,
     NULL,
     0},
    {"another type",
     "www.example",
     1,
     {"www.example", 28, 0, "www.example. 60 AAAA ::1\n"},
     DNS_REPLY_FOREIGN,
     NULL,
     0},
    {"other letters",
     "wWw.eXample",
     1,
     {"www.example", 1, 0, "www.example. 60 A 192.0.2.1\n"},
     DNS_REPLY_MISSPELT,
     NULL,
     0},
    {"truncated",
     "www.example",
     1,
     {"www.example", 1, 0x0200, ""},
     DNS_REPLY_TRUNCATED,
     NULL,
     0},
    {"server failure",
     "www.example",
     1,
     {"www.example", 1, 2, ""},
     DNS_REPLY_FAILED,
     NULL,
     0},
    {"refused",
     "www.example",
     1,
     {"www.example", 1, 5, ""},
     DNS_REPLY_REFUSED,
     NULL,
     0},
    {"format error",
     "www.example",
     1,
     {"www.example", 1, 1, ""},
     DNS_REPLY_FORMERR,
     NULL,
     0},
    {"an update is no answer",
     "www.example",
     1,
     {"www.example", 1, 0x2800, ""},
     DNS_REPLY_BROKEN,
     NULL,
     0},
    {"a record beside the question",
     "www.example",
     1,
     {"www.example", 1, 0,
      "www.example. 60 A 192.0.2.1\nwww.bank. 60 A 192.0.2.66\n"},
     DNS_REPLY_GOOD,
     "0 www.example. A 60 | |",
     60},
    {"only records beside the question",
     "www.example",
     1,
     {"www.example", 1, 0, "www.bank. 60 A 192.0.2.66\n"},
     DNS_REPLY_GOOD,
     "0 | |",
     0},
    {"of another type",
     "www.example",
     1,
     {"www.example", 1, 0,
      "www.example. 60 A 192.0.2.1\nwww.example. 5 MX 1 m.example.\n"},
     DNS_REPLY_GOOD,
     "0 www.example. A 60 | |",
     60},
    {"of another class",
     "www.example",
     1,
     {"www.example", 1, 0, "www.example. 60 CH A 192.0.2.1\n"},
     DNS_REPLY_GOOD,
     "0 | |",
     0},
    {"authority and glue that nobody asked for",
     "www.example",
     1,
     {"www.example", 1, 0,
      "www.example. 60 A 192.0.2.1\n--\nexample. 60 NS ns.evil.\n"
      "com. 60 NS ns.evil.\n--\nns.evil. 60 A 192.0.2.66\n"},
     DNS_REPLY_GOOD,
     "0 www.example. A 60 | |",
     60},
    {"a chain, out of order",
     "www.example",
     1,
     {"www.example", 1, 0,
      "c.net. 30 A 192.0.2.1\nb.org. 40 CNAME c.net.\n"
      "www.example. 60 CNAME b.org.\n"},
     DNS_REPLY_GOOD,
     "0 www.example. CNAME 60 b.org. CNAME 40 c.net. A 30 | |",
     30},
    {"a chain that turns in a circle",
     "a.example",
     1,
     {"a.example", 1, 0,
      "a.example. 60 CNAME b.example.\nb.example. 60 CNAME a.example.\n"},
     DNS_REPLY_BROKEN,
     NULL,
     0},
    {"a second CNAME",
     "www.example",
     1,
     {"www.example", 1, 0,
      "www.example. 60 CNAME a.net.\nwww.example. 60 CNAME b.net.\n"
      "a.net. 60 A 192.0.2.1\nb.net. 60 A 192.0.2.66\n"},
     DNS_REPLY_GOOD,
     "0 www.example. CNAME 60 a.net. A 60 | |",
     60},
    {"the CNAME itself",
     "www.example",
     5,
     {"www.example", 5, 0,
      "www.example. 60 CNAME a.net.\na.net. 60 A 192.0.2.1\n"},
     DNS_REPLY_GOOD,
     "0 www.example. CNAME 60 | |",
     60},
    {"a DNAME and what it makes",
     "a.old.example",
     1,
     {"a.old.example", 1, 0,
      "old.example. 60 DNAME new.example.\n"
      "a.old.example. 60 CNAME a.new.example.\na.new.example. 9 A 192.0.2.1\n"},
     DNS_REPLY_GOOD,
     "0 old.example. DNAME 60 a.old.example. CNAME 60 a.new.example. A 9 | |",
     9},
    {"no such name",
     "www.example",
     1,
     {"www.example", 1, 3, "--\n" SOA("example.", 900, 300)},
     DNS_REPLY_GOOD,
     "3 | example. SOA 300 |",
     300},
    {"nothing of this type",
     "www.example",
     28,
     {"www.example", 28, 0, "--\n" SOA("example.", 60, 300)},
     DNS_REPLY_GOOD,
     "0 | example. SOA 60 |",
     60},
    {"no is not believed for a day",
     "www.example",
     28,
     {"www.example", 28, 0, "--\n" SOA("example.", 86400, 86400)},
     DNS_REPLY_GOOD,
     "0 | example. SOA 10800 |",
     10800},
    {"the SOA of another zone",
     "www.example",
     1,
     {"www.example", 1, 3, "--\n" SOA("evil.", 900, 300)},
     DNS_REPLY_GOOD,
     "3 | |",
     0},
    {"nothing at the end of a chain",
     "www.example",
     1,
     {"www.example", 1, 3,
      "www.example. 60 CNAME gone.net.\n--\n" SOA("net.", 40, 300)},
     DNS_REPLY_GOOD,
     "3 www.example. CNAME 60 | net. SOA 40 |",
     40},
    {"no SOA: not to be kept",
     "www.example",
     1,
     {"www.example", 1, 3, ""},
     DNS_REPLY_GOOD,
     "3 | |",
     0},
    {"a referral",
     "www.example",
     1,
     {"www.example", 1, 0,
      "--\nexample. 60 NS ns.example.\n--\nns.example. 60 A 192.0.2.1\n"},
     DNS_REPLY_LAME,
     NULL,
     0},
    {"targets of the same domain, not of others",
     "_sip._tcp.example",
     33,
     {"_sip._tcp.example", 33, 0,
      "_sip._tcp.example. 60 SRV 1 1 5060 s.example.\n"
      "_sip._tcp.example. 60 SRV 1 1 5060 www.bank.\n--\n--\n"
      "s.example. 50 A 192.0.2.1\nwww.bank. 50 A 192.0.2.66\n"
      "x.example. 50 A 192.0.2.66\n"},
     DNS_REPLY_GOOD,
     "0 _sip._tcp.example. SRV 60 _sip._tcp.example. SRV 60 | | s.example. A "
     "50",
     50},
    {"a TTL above the limit",
     "www.example",
     1,
     {"www.example", 1, 0, "www.example. 999999 A 192.0.2.1\n"},
     DNS_REPLY_GOOD,
     "0 www.example. A 86400 | |",
     86400},
    {"a TTL with its highest bit set is 0",
     "www.example",
     1,
     {"www.example", 1, 0, "www.example. 2147483648 A 192.0.2.1\n"},
     DNS_REPLY_GOOD,
     "0 www.example. A 0 | |",
     0},
    {"the least TTL counts",
     "www.example",
     1,
     {"www.example", 1, 0,
      "www.example. 60 A 192.0.2.1\nwww.example. 20 A 192.0.2.2\n"},
     DNS_REPLY_GOOD,
     "0 www.example. A 60 www.example. A 20 | |",
     20},
    {"ANY",
     "www.example",
     255,
     {"www.example", 255, 0,
      "www.example. 60 A 192.0.2.1\nwww.example. 60 TXT \"x\"\n"},
     DNS_REPLY_GOOD,
     "0 www.example. A 60 www.example. TXT 60 | |",
     60},
};

START_TEST(read_by_row)
{
    uint8_t message[4096];
    size_t len = make(&rows[_i].said, message);
    struct dns_asked asked;
    struct dns_name space;
    struct dns_reply reply = {0};
    enum dns_reply_verdict verdict;
    char text[1024];

    ask(rows[_i].asked, rows[_i].type, &space, &asked);
    verdict = dns_reply_read(slice_of(message, len), &asked, &reply);
    ck_assert_msg(verdict == rows[_i].verdict, "%s: verdict %d", rows[_i].name,
                  verdict);
    if (verdict != DNS_REPLY_GOOD) {
        return;
    }
    describe(slice_of(reply.bytes, reply.len), text, sizeof(text));
    ck_assert_msg(strcmp(text, rows[_i].kept) == 0, "%s: %s", rows[_i].name,
                  text);
    ck_assert_msg(reply.ttl_s == rows[_i].ttl_s, "%s: %u s", rows[_i].name,
                  reply.ttl_s);
    dns_reply_release(&reply);
}
END_TEST

/* RRSIGs and NSECs only for who asked for them, and only of the zone. */
START_TEST(proofs_for_who_asked)
{
    struct said said = {
        "www.example", 1, 3,
        "--\n" SOA("example.", 60, 60) "a.example. 60 NSEC z.example. A NSEC\n"
                                       "a.evil. 60 NSEC z.evil. A NSEC\n"
                                       "www.example. 60 NS ns.evil.\n"};
    uint8_t message[4096];
    size_t len = make(&said, message);
    struct dns_asked asked;
    struct dns_name space;
    struct dns_reply reply;
    char text[1024];

    ask("www.example", 1, &space, &asked);
    for (int wanted = 0; wanted < 2; wanted++) {
        asked.dnssec_ok = wanted != 0;
        ck_assert_int_eq(dns_reply_read(slice_of(message, len), &asked, &reply),
                         DNS_REPLY_GOOD);
        describe(slice_of(reply.bytes, reply.len), text, sizeof(text));
        ck_assert_str_eq(text, wanted
                                   ? "3 | example. SOA 60 a.example. NSEC 60 |"
                                   : "3 | example. SOA 60 |");
        dns_reply_release(&reply);
    }
}
END_TEST

/* How we spelled the question is between us and upstream. */
START_TEST(our_spelling_stays_with_us)
{
    struct said said = {"wWw.exaMPLE", 1, 0,
                        "www.example. 60 CNAME b.example.\n"
                        "b.example. 60 A 192.0.2.1\n"};
    uint8_t message[4096];
    size_t len = make(&said, message);
    struct dns_asked asked;
    struct dns_name space;
    struct dns_reply reply;

    ask("wWw.exaMPLE", 1, &space, &asked);
    ck_assert_int_eq(dns_reply_read(slice_of(message, len), &asked, &reply),
                     DNS_REPLY_GOOD);
    for (size_t i = 0; i < reply.len; i++) {
        ck_assert(reply.bytes[i] != 'W' && reply.bytes[i] != 'M');
    }
    dns_reply_release(&reply);
}
END_TEST

/* A message cut anywhere is broken or, by luck, whole; never more than that. */
START_TEST(cut_anywhere)
{
    struct said said = {"www.example", 1, 0,
                        "www.example. 60 CNAME b.org.\nb.org. 60 A 192.0.2.1\n"
                        "--\n--\nb.org. 60 MX 1 b.org.\n"};
    uint8_t message[4096];
    size_t len = make(&said, message);
    struct dns_asked asked;
    struct dns_name space;

    ask("www.example", 1, &space, &asked);
    for (size_t cut = 0; cut < len; cut++) {
        struct dns_reply reply;
        enum dns_reply_verdict verdict =
            dns_reply_read(slice_of(message, cut), &asked, &reply);

        ck_assert_msg(verdict == DNS_REPLY_BROKEN, "cut at %zu: %d", cut,
                      verdict);
    }
}
END_TEST

/* An answer as it is dressed for clients. */
static const struct {
    const char *name;
    struct dns_dress dress;
    const char *text;
    bool tc;
} dressed[] = {
    {"new",
     {.transport = &(struct dns_transport){.size_max = 1232},
      .extended_error = -1},
     "0 www.example. CNAME 60 _s._tcp.example. SRV 40 | | s.example. A 50",
     false},
    {"older",
     {.transport = &(struct dns_transport){.size_max = 1232},
      .age_s = 45,
      .extended_error = -1},
     "0 www.example. CNAME 15 _s._tcp.example. SRV 0 | | s.example. A 5",
     false},
    {"stale",
     {.transport = &(struct dns_transport){.size_max = 1232},
      .stale = true,
      .extended_error = 3},
     "0 www.example. CNAME 30 _s._tcp.example. SRV 30 | | s.example. A 30",
     false},
    {"no room for extras",
     {.transport = &(struct dns_transport){.size_max = 97},
      .extended_error = -1},
     "0 www.example. CNAME 60 _s._tcp.example. SRV 40 | |",
     false},
    {"no room",
     {.transport = &(struct dns_transport){.size_max = 70},
      .extended_error = -1},
     "0 | |",
     true},
};

START_TEST(dressed_by_row)
{
    struct said said = {"www.example", 33, 0,
                        "www.example. 60 CNAME _s._tcp.example.\n"
                        "_s._tcp.example. 40 SRV 1 1 1 s.example.\n--\n--\n"
                        "s.example. 50 A 192.0.2.1\n"};
    uint8_t message[4096];
    size_t len = make(&said, message);
    struct dns_asked asked;
    struct dns_name space;
    struct dns_reply reply;
    struct dns_question q;
    enum dns_rcode rcode;
    uint8_t query[512];
    uint8_t out[4096];
    char text[1024];

    ask("www.example", 33, &space, &asked);
    ck_assert_int_eq(dns_reply_read(slice_of(message, len), &asked, &reply),
                     DNS_REPLY_GOOD);
    for (int edns = 0; edns < 2; edns++) {
        len =
            make_query("wWW.EXample", 33, 0x4711, edns != 0 ? 4096 : 0, query);
        ck_assert_int_eq(dns_question_parse(slice_of(query, len), &q, &rcode),
                         DNS_PARSE_OK);
        len = dns_reply_dress(slice_of(reply.bytes, reply.len), &q,
                              &dressed[_i].dress, out);
        ck_assert_uint_le(len, dressed[_i].dress.transport->size_max);
        describe(slice_of(out, len), text, sizeof(text));
        ck_assert_msg(strcasecmp(text, dressed[_i].text) == 0, "%s: %s",
                      dressed[_i].name, text);
        ck_assert(memcmp(out, query, 2) == 0);
        ck_assert(memcmp(out + 12, query + 12, q.name.len) == 0);
        ck_assert_int_eq((out[2] & 2) != 0, dressed[_i].tc);
        ck_assert_int_eq(out[2] & 0x84, 0x80); /* QR, not AA. */
        ck_assert_int_eq(out[3] & 0xa0, 0x80); /* RA, not AD. */
    }
    dns_reply_release(&reply);
}
END_TEST

UNIT_MAIN("dns_reply", {
    tcase_add_loop_test(tc, read_by_row, 0, COUNT_OF(rows));
    tcase_add_test(tc, proofs_for_who_asked);
    tcase_add_test(tc, our_spelling_stays_with_us);
    tcase_add_test(tc, cut_anywhere);
    tcase_add_loop_test(tc, dressed_by_row, 0, COUNT_OF(dressed));
})
