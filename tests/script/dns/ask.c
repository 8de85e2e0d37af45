/* Questions: what is decided, and what is sent. */
#include <arpa/inet.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "dns/core/explain.h"
#include "dns/core/prepared.h"
#include "run.h"

static void say_record(struct run *r, const char *section,
                       const struct dns_record *record)
{
    struct arena arena = {0};
    struct slice wire = dns_record_wire(record, &arena);
    ldns_buffer *whole = ldns_buffer_new(65536 + 256);
    ldns_rr *rr = NULL;
    size_t at = 0;
    char *text;

    ldns_buffer_write(whole, record->owner.data, record->owner.len);
    ldns_buffer_write(whole, wire.data, wire.len);
    CHECK(ldns_wire2rr(&rr, ldns_buffer_begin(whole),
                       ldns_buffer_position(whole), &at,
                       LDNS_SECTION_ANSWER) == LDNS_STATUS_OK);
    text = ldns_rr2str(rr);
    for (char *c = text; *c != '\0'; c++) {
        *c = *c == '\t' ? ' ' : *c;
    }
    CHECK(buf_addf(r->out, "%s %s", section, text) == ST_OK);
    free(text);
    ldns_rr_free(rr);
    ldns_buffer_free(whole);
    arena_release(&arena);
}

static void say_records(struct run *r, const char *section,
                        const struct dns_records *records)
{
    for (size_t i = 0; i < records->count; i++) {
        say_record(r, section, &records->items[i]);
    }
}

static const char *rcode_text(unsigned rcode)
{
    static const char *const texts[] = {"NOERROR",  "FORMERR", "SERVFAIL",
                                        "NXDOMAIN", "NOTIMP",  "REFUSED"};

    return rcode < 6 ? texts[rcode] : "BADVERS";
}

static void say_answer(struct run *r, const struct dns_answer *a)
{
    say(r, rcode_text(a->rcode));
    say(r, a->authoritative ? " aa" : "");
    say(r, a->verdict == DNS_FOREIGN ? " foreign" : "");
    say(r, a->verdict == DNS_CHASE ? " chase" : "");
    if (a->extended_error != DNS_EDE_NONE) {
        CHECK(buf_addf(r->out, " ede=%d", a->extended_error) == ST_OK);
    }
    say(r, "\n");
    say_records(r, "answer", &a->answers);
    say_records(r, "authority", &a->authority);
    say_records(r, "extra", &a->extras);
}

static uint16_t type_number(const char *text)
{
    return (uint16_t)ldns_get_rr_type_by_name(text);
}

struct options {
    bool tcp;
    bool dnssec;
    unsigned edns;
    uint8_t from[16];
    size_t from_len;
    uint8_t subnet[4 + 16]; /* As in the packet. */
    size_t subnet_len;
    unsigned at;
};

static size_t read_ip(const char *text, uint8_t *out)
{
    if (inet_pton(AF_INET, text, out) == 1) {
        return 4;
    }
    CHECK(inet_pton(AF_INET6, text, out) == 1);
    return 16;
}

static void read_subnet(char *text, struct options *o)
{
    char *slash = strchr(text, '/');
    uint8_t ip[16];
    size_t len;

    CHECK(slash != NULL);
    *slash = '\0';
    len = read_ip(text, ip);
    o->subnet[1] = len == 4 ? 1 : 2;
    o->subnet[2] = (uint8_t)atoi(slash + 1);
    o->subnet_len = 4 + (o->subnet[2] + 7u) / 8;
    memcpy(o->subnet + 4, ip, o->subnet_len - 4);
    *slash = '/';
}

static void read_options(char **words, size_t count, struct options *o)
{
    *o = (struct options){.from = {127, 0, 0, 1}, .from_len = 4};
    for (size_t i = 3; i < count; i++) {
        char *value = strchr(words[i], '=');

        value = value == NULL ? words[i] : value + 1;
        if (strncmp(words[i], "edns=", 5) == 0) {
            o->edns = (unsigned)atoi(value);
        } else if (strncmp(words[i], "from=", 5) == 0) {
            o->from_len = read_ip(value, o->from);
        } else if (strncmp(words[i], "subnet=", 7) == 0) {
            read_subnet(value, o);
        } else if (strncmp(words[i], "at=", 3) == 0) {
            o->at = (unsigned)atoi(value);
        }
        o->tcp = o->tcp || strcmp(words[i], "tcp") == 0;
        o->dnssec = o->dnssec || strcmp(words[i], "do") == 0;
    }
    o->edns = o->edns == 0 && o->subnet_len > 0 ? 1232 : o->edns;
}

static size_t put_opt(const struct options *o, uint8_t *at)
{
    size_t len = o->subnet_len > 0 ? 4 + o->subnet_len : 0;

    at[2] = DNS_TYPE_OPT;
    at[3] = (uint8_t)(o->edns >> 8);
    at[4] = (uint8_t)o->edns;
    at[7] = o->dnssec ? 0x80 : 0;
    at[10] = (uint8_t)len;
    if (len > 0) {
        at[12] = 8;
        at[14] = (uint8_t)o->subnet_len;
        memcpy(at + 15, o->subnet, o->subnet_len);
    }
    return 11 + len;
}

/* The question as a packet: parsed like one from outside. */
static size_t make_packet(char **words, const struct options *o,
                          uint8_t *packet)
{
    struct dns_name name = {0};
    size_t len = DNS_HEADER_BYTES;

    memset(packet, 0, 512);
    packet[1] = 77;
    packet[2] = 1; /* RD */
    packet[5] = 1;
    if (strcmp(words[1], ".") != 0) {
        CHECK(dns_name_add_text(&name, slice_str(words[1])));
    }
    CHECK(dns_name_end(&name));
    memcpy(packet + len, name.bytes, name.len);
    len += name.len;
    packet[len] = (uint8_t)(type_number(words[2]) >> 8);
    packet[len + 1] = (uint8_t)type_number(words[2]);
    packet[len + 3] = DNS_CLASS_IN;
    len += 4;
    if (o->edns > 0) {
        packet[11] = 1;
        len += put_opt(o, packet + len);
    }
    return len;
}

struct asked {
    struct dns_zone *zone; /* What the answer refers to. */
    struct dns_question q;
    struct dns_answer answer;
    uint8_t packet[512];
    uint8_t response[65535];
    size_t len;
    bool prepared;
};

struct dns_zone *commit_now(struct run *r)
{
    for (size_t i = 0; i < r->others_count; i++) {
        const struct site *s = &r->others[i];

        dns_model_set_other(
            r->home.model, i,
            dns_model_commit(s->model, 1000 + r->revision, s->state));
    }
    return dns_model_commit(r->home.model, r->revision, r->home.state);
}

static void ask(struct run *r, char **words, const struct options *o,
                struct asked *a, struct arena *arena)
{
    struct dns_zone *zone = commit_now(r);
    struct rng rng;
    struct dns_transport t = {.tcp = o->tcp,
                              .client = slice_of(o->from, o->from_len),
                              .rng = &rng,
                              .scratch = arena};
    uint8_t *hot = malloc(65535);
    enum dns_rcode rcode;
    size_t hot_len;
    size_t len = make_packet(words, o, a->packet);

    CHECK(dns_question_parse(slice_of(a->packet, len), &a->q, &rcode) ==
          DNS_PARSE_OK);
    a->q.stream = o->tcp;
    t.size_max = dns_size_max(&a->q, o->tcp, 65467);
    rng_init(&rng, r->revision);
    hot_len = dns_answer_prepared(zone, &a->q, &t, hot);
    rng_init(&rng, r->revision);
    dns_decide(zone, &a->q, arena, &a->answer);
    dns_answer_note(&a->answer);
    a->len = dns_pack(zone, &a->q, &a->answer, &t, a->response);
    if (hot_len > 0 &&
        (hot_len != a->len || memcmp(hot, a->response, hot_len) != 0)) {
        say(r, "PREPARED ANSWER DIFFERS\n");
    }
    a->prepared = hot_len > 0;
    a->zone = zone;
    free(hot);
}

void do_ask(struct run *r, char **words, size_t count)
{
    struct arena arena = {0};
    struct asked *a = malloc(sizeof(*a));
    struct options o;

    read_options(words, count, &o);
    ask(r, words, &o, a, &arena);
    say_answer(r, &a->answer);
    dns_zone_free(a->zone);
    free(a);
    arena_release(&arena);
}

/* Of the client subnet in the response; -1: it has none. */
static int scope_of(const ldns_pkt *pkt)
{
    const ldns_rdf *options = ldns_pkt_edns_data(pkt);
    const uint8_t *at;

    if (options == NULL || ldns_rdf_size(options) < 8) {
        return -1;
    }
    at = ldns_rdf_data(options);
    return at[1] == 8 ? at[7] : -1;
}

void do_send(struct run *r, char **words, size_t count)
{
    struct arena arena = {0};
    struct asked *a = malloc(sizeof(*a));
    struct options o;
    ldns_pkt *pkt = NULL;

    read_options(words, count, &o);
    ask(r, words, &o, a, &arena);
    CHECK(ldns_wire2pkt(&pkt, a->response, a->len) == LDNS_STATUS_OK);
    CHECK(buf_addf(r->out, "%s%s%s%s %u answers, %u authority, %u extras%s",
                   rcode_text((unsigned)ldns_pkt_get_rcode(pkt)),
                   ldns_pkt_aa(pkt) ? " aa" : "", ldns_pkt_tc(pkt) ? " tc" : "",
                   a->prepared ? " prepared" : "", ldns_pkt_ancount(pkt),
                   ldns_pkt_nscount(pkt), ldns_pkt_arcount(pkt),
                   ldns_pkt_edns(pkt) ? ", edns" : "") == ST_OK);
    if (o.subnet_len > 0) {
        CHECK(buf_addf(r->out, ", scope %d", scope_of(pkt)) == ST_OK);
    }
    say(r, "\n");
    CHECK(memcmp(a->packet + DNS_HEADER_BYTES, a->response + DNS_HEADER_BYTES,
                 a->q.name.len) == 0);
    ldns_pkt_free(pkt);
    dns_zone_free(a->zone);
    free(a);
    arena_release(&arena);
}

enum {
    TIMES = 400,
    TARGETS_MAX = 64
};

/* How often each record stood at a place. */
struct tally {
    char *text[TARGETS_MAX];
    unsigned times[TARGETS_MAX];
    size_t count;
};

static void tally_add(struct tally *t, char *text)
{
    size_t i = 0;

    while (i < t->count && strcmp(t->text[i], text) != 0) {
        i++;
    }
    if (i == t->count) {
        CHECK(t->count < TARGETS_MAX);
        t->text[t->count++] = text;
    } else {
        free(text);
    }
    t->times[i]++;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void tally_say(struct run *r, struct tally *t)
{
    char *lines[TARGETS_MAX];

    for (size_t i = 0; i < t->count; i++) {
        struct buf line;

        buf_init(&line, 1024);
        CHECK(buf_addf(&line, "%s: %u\n", t->text[i], t->times[i]) == ST_OK);
        lines[i] = strdup(buf_cstr(&line));
        buf_release(&line);
        free(t->text[i]);
    }
    qsort(lines, t->count, sizeof(lines[0]), by_text);
    for (size_t i = 0; i < t->count; i++) {
        say(r, lines[i]);
        free(lines[i]);
    }
}

/* The data of the record at `at`; of an SRV record its target. */
static char *record_at(const struct asked *a, unsigned at)
{
    ldns_pkt *pkt = NULL;
    const ldns_rr *rr;
    char *text;

    CHECK(ldns_wire2pkt(&pkt, a->response, a->len) == LDNS_STATUS_OK);
    rr = ldns_rr_list_rr(ldns_pkt_answer(pkt), at);
    CHECK(rr != NULL);
    text = ldns_rdf2str(ldns_rr_rdf(rr, ldns_rr_rd_count(rr) - 1));
    ldns_pkt_free(pkt);
    return text;
}

void do_order(struct run *r, char **words, size_t count)
{
    struct asked *a = malloc(sizeof(*a));
    struct tally tally = {0};
    struct options o;
    unsigned slow = 0;

    read_options(words, count, &o);
    for (unsigned i = 0; i < TIMES; i++) {
        struct arena arena = {0};

        r->revision++;
        ask(r, words, &o, a, &arena);
        slow += !a->prepared;
        tally_add(&tally, record_at(a, o.at));
        dns_zone_free(a->zone);
        arena_release(&arena);
    }
    CHECK(buf_addf(r->out, "%s\n", slow == 0 ? "prepared" : "decided") ==
          ST_OK);
    tally_say(r, &tally);
    free(a);
}

static const char *why_text(enum dns_why why)
{
    static const char *const texts[] = {"in",   "other", "query", "health",
                                        "type", "one",   "cut"};

    CHECK((size_t)why < sizeof(texts) / sizeof(texts[0]));
    return texts[why];
}

void do_explain(struct run *r, char **words, size_t count)
{
    struct dns_zone *zone = commit_now(r);
    struct arena arena = {0};
    struct dns_explanation e;
    struct asked *a = malloc(sizeof(*a));
    struct options o;
    struct rng rng;
    struct dns_transport t = {.size_max = 1232, .rng = &rng, .scratch = &arena};
    enum dns_rcode rcode;

    read_options(words, count, &o);
    CHECK(dns_question_parse(
              slice_of(a->packet, make_packet(words, &o, a->packet)), &a->q,
              &rcode) == DNS_PARSE_OK);
    t.client = slice_of(o.from, o.from_len);
    rng_init(&rng, 1);
    dns_explain(zone, &a->q, &t, &arena, &e);
    CHECK(buf_addf(r->out, "%s ttl %u query %s%s service %.*s dc %u\n",
                   rcode_text(e.rcode), e.ttl_s, e.query ? e.query : "-",
                   e.query_ttl ? " (its ttl)" : "", (int)e.service.len,
                   (const char *)e.service.data, e.dc) == ST_OK);
    for (size_t i = 0; i < e.reasons_count; i++) {
        CHECK(buf_addf(r->out, "%.*s %s\n", (int)e.reasons[i].id.len,
                       (const char *)e.reasons[i].id.data,
                       why_text(e.reasons[i].why)) == ST_OK);
    }
    dns_zone_free(zone);
    free(a);
    arena_release(&arena);
}
