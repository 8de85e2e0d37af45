/*
 * run.c - runs DNS scripts: a catalogue and questions, and what is answered.
 *
 *     dns_script FILE...            compare
 *     dns_script --rewrite FILE...  fill in what comes out
 *
 * A block is commands, a line "----", and the output expected, up to an empty
 * line. The catalogue lives on from block to block. Commands:
 *
 *     set KEY VALUE             a setting: alt_domain, node_ttl, nodata_ttl,
 * ... state unknown|fresh|stale|expired node NAME ADDRESS [KEY=VALUE...] with
 * meta forget NAME                              the node goes instance SERVICE
 * ID [node=N] [at=NODE-ADDRESS] [addr=A] [port=P] [tags=a,b]
 * [health=passing|warning|critical] [weights=P,W] [ports=name:1,other:2]
 * [meta.KEY=VALUE] [lan6=ADDRESS] gone SERVICE [ID]                        an
 * instance, or all of them ask NAME TYPE [tcp] [edns=SIZE] [do]     prints what
 * is decided send NAME TYPE [same]                    prints what is sent, in
 * counts
 *
 * Every question is also packed and asked of the prepared answers; the two
 * packets must be equal byte by byte.
 */
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "dns/core/prepared.h"

enum {
    WORDS_MAX = 32,
    INSTANCES_MAX = 1024,
    LINE_MAX_BYTES = 2048
};

struct held {
    char *service;
    struct dns_instance instance;
};

struct run {
    struct dns_model *model;
    struct dns_settings settings;
    enum dns_state state;
    uint64_t revision;
    struct held held[INSTANCES_MAX];
    size_t held_count;
    struct arena words; /* Every text of the script. */
    struct buf *out;
};

static void say(struct run *r, const char *text)
{
    CHECK(buf_add_str(r->out, text) == ST_OK);
}

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

/* The question as a packet: parsed like one from outside. */
static size_t make_packet(char **words, size_t count, uint8_t *packet,
                          bool *out_tcp)
{
    struct dns_name name = {0};
    size_t len = DNS_HEADER_BYTES;
    unsigned edns = 0;
    bool dnssec = false;

    *out_tcp = false;
    for (size_t i = 3; i < count; i++) {
        if (strncmp(words[i], "edns=", 5) == 0) {
            edns = (unsigned)atoi(words[i] + 5);
        }
        *out_tcp = *out_tcp || strcmp(words[i], "tcp") == 0;
        dnssec = dnssec || strcmp(words[i], "do") == 0;
    }
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
    if (edns > 0) {
        packet[11] = 1;
        packet[len + 2] = DNS_TYPE_OPT;
        packet[len + 3] = (uint8_t)(edns >> 8);
        packet[len + 4] = (uint8_t)edns;
        packet[len + 7] = dnssec ? 0x80 : 0;
        len += 11;
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

static void ask(struct run *r, char **words, size_t count, struct asked *a,
                struct arena *arena)
{
    struct dns_zone *zone = dns_model_commit(r->model, r->revision, r->state);
    struct rng rng;
    struct dns_transport t = {
        .client = slice_of("\177\0\0\1", 4), .rng = &rng, .scratch = arena};
    uint8_t *hot = malloc(65535);
    enum dns_rcode rcode;
    size_t hot_len;
    bool tcp;
    size_t len = make_packet(words, count, a->packet, &tcp);

    CHECK(dns_question_parse(slice_of(a->packet, len), &a->q, &rcode) ==
          DNS_PARSE_OK);
    t.tcp = tcp;
    t.size_max = dns_size_max(&a->q, tcp, 65467);
    rng_init(&rng, r->revision);
    hot_len = dns_answer_prepared(zone, &a->q, &t, hot);
    rng_init(&rng, r->revision);
    dns_decide(zone, &a->q, arena, &a->answer);
    a->len = dns_pack(zone, &a->q, &a->answer, &t, a->response);
    if (hot_len > 0 &&
        (hot_len != a->len || memcmp(hot, a->response, hot_len) != 0)) {
        say(r, "PREPARED ANSWER DIFFERS\n");
    }
    a->prepared = hot_len > 0;
    a->zone = zone;
    free(hot);
}

static void do_ask(struct run *r, char **words, size_t count)
{
    struct arena arena = {0};
    struct asked *a = malloc(sizeof(*a));

    ask(r, words, count, a, &arena);
    say_answer(r, &a->answer);
    dns_zone_free(a->zone);
    free(a);
    arena_release(&arena);
}

static void do_send(struct run *r, char **words, size_t count)
{
    struct arena arena = {0};
    struct asked *a = malloc(sizeof(*a));
    ldns_pkt *pkt = NULL;

    ask(r, words, count, a, &arena);
    CHECK(ldns_wire2pkt(&pkt, a->response, a->len) == LDNS_STATUS_OK);
    CHECK(buf_addf(r->out, "%s%s%s%s %u answers, %u authority, %u extras%s\n",
                   rcode_text((unsigned)ldns_pkt_get_rcode(pkt)),
                   ldns_pkt_aa(pkt) ? " aa" : "", ldns_pkt_tc(pkt) ? " tc" : "",
                   a->prepared ? " prepared" : "", ldns_pkt_ancount(pkt),
                   ldns_pkt_nscount(pkt), ldns_pkt_arcount(pkt),
                   ldns_pkt_edns(pkt) ? ", edns" : "") == ST_OK);
    CHECK(memcmp(a->packet + DNS_HEADER_BYTES, a->response + DNS_HEADER_BYTES,
                 a->q.name.len) == 0);
    ldns_pkt_free(pkt);
    dns_zone_free(a->zone);
    free(a);
    arena_release(&arena);
}

static void put_service(struct run *r, const char *service)
{
    struct dns_instance *all = calloc(r->held_count + 1, sizeof(*all));
    size_t count = 0;

    for (size_t i = 0; i < r->held_count; i++) {
        if (strcmp(r->held[i].service, service) == 0) {
            all[count++] = r->held[i].instance;
        }
    }
    dns_model_put_service(r->model, service, all, count);
    free(all);
}

static const char **split(struct run *r, char *text, size_t *out_count)
{
    const char **items = arena_alloc(&r->words, WORDS_MAX * sizeof(items[0]));
    char *save = NULL;

    *out_count = 0;
    for (char *item = strtok_r(text, ",", &save); item != NULL;
         item = strtok_r(NULL, ",", &save)) {
        CHECK(*out_count < WORDS_MAX);
        items[(*out_count)++] = item;
    }
    return items;
}

static struct dns_pair *read_pairs(struct run *r, char **words, size_t count,
                                   const char *prefix, size_t *out_count)
{
    struct dns_pair *pairs =
        arena_alloc(&r->words, (count + 1) * sizeof(*pairs));

    *out_count = 0;
    for (size_t i = 0; i < count; i++) {
        char *equals = strrchr(words[i], '=');

        if (equals != NULL && strncmp(words[i], prefix, strlen(prefix)) == 0) {
            *equals = '\0';
            pairs[*out_count].key = words[i] + strlen(prefix);
            pairs[(*out_count)++].value = equals + 1;
        }
    }
    return pairs;
}

static const struct dns_named_port *read_ports(struct run *r, char *text,
                                               size_t *out_count)
{
    const char **items = split(r, text, out_count);
    struct dns_named_port *ports =
        arena_alloc(&r->words, (*out_count + 1) * sizeof(*ports));

    for (size_t i = 0; i < *out_count; i++) {
        char *colon = strchr(items[i], ':');

        *colon = '\0';
        ports[i] = (struct dns_named_port){items[i], (uint16_t)atoi(colon + 1)};
    }
    return ports;
}

static enum dns_health health_of(const char *text)
{
    return *text == 'p'   ? DNS_PASSING
           : *text == 'w' ? DNS_WARNING
                          : DNS_CRITICAL;
}

static void read_field(struct run *r, struct dns_instance *in, char *key,
                       char *value)
{
    if (strcmp(key, "node") == 0) {
        in->node = value;
    } else if (strcmp(key, "at") == 0) {
        in->node_address = value;
    } else if (strcmp(key, "addr") == 0) {
        in->address = value;
    } else if (strcmp(key, "lan6") == 0) {
        in->lan_ipv6 = value;
    } else if (strcmp(key, "port") == 0) {
        in->port = (uint16_t)atoi(value);
    } else if (strcmp(key, "health") == 0) {
        in->health = health_of(value);
    } else if (strcmp(key, "weights") == 0) {
        in->weight_passing = (uint16_t)atoi(value);
        in->weight_warning = (uint16_t)atoi(strchr(value, ',') + 1);
    } else if (strcmp(key, "tags") == 0) {
        in->tags = split(r, value, &in->tags_count);
    } else if (strcmp(key, "ports") == 0) {
        in->ports = read_ports(r, value, &in->ports_count);
    }
}

static void do_instance(struct run *r, char **words, size_t count)
{
    struct held *h = NULL;

    for (size_t i = 0; i < r->held_count; i++) {
        if (strcmp(r->held[i].service, words[1]) == 0 &&
            strcmp(r->held[i].instance.id, words[2]) == 0) {
            h = &r->held[i];
        }
    }
    if (h == NULL) {
        CHECK(r->held_count < INSTANCES_MAX);
        h = &r->held[r->held_count++];
    }
    h->service = words[1];
    h->instance = (struct dns_instance){
        .id = words[2],
        .node = "n1",
        .node_address = "10.0.0.1",
        .weight_passing = 1,
        .weight_warning = 1,
    };
    h->instance.meta =
        read_pairs(r, words + 3, count - 3, "meta.", &h->instance.meta_count);
    for (size_t i = 3; i < count; i++) {
        char *equals = strchr(words[i], '=');

        if (equals != NULL) {
            *equals = '\0';
            read_field(r, &h->instance, words[i], equals + 1);
        }
    }
    put_service(r, words[1]);
}

static void do_gone(struct run *r, char **words, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < r->held_count; i++) {
        bool out = strcmp(r->held[i].service, words[1]) == 0 &&
                   (count < 3 || strcmp(r->held[i].instance.id, words[2]) == 0);

        if (!out) {
            r->held[kept++] = r->held[i];
        }
    }
    r->held_count = kept;
    put_service(r, words[1]);
}

static void do_node(struct run *r, char **words, size_t count)
{
    struct dns_node node = {.name = words[1], .address = words[2]};

    node.meta = read_pairs(r, words + 3, count - 3, "", &node.meta_count);
    dns_model_put_node(r->model, &node);
}

static void do_set(struct run *r, const char *key, char *value)
{
    struct dns_settings *s = &r->settings;
    struct err err = {0};
    static struct dns_service_ttl ttls[WORDS_MAX];
    uint32_t number = (uint32_t)atoi(value);

    if (strcmp(key, "alt_domain") == 0) {
        s->alt_domain = value;
    } else if (strcmp(key, "self_node") == 0) {
        s->self_node = value;
    } else if (strcmp(key, "node_ttl") == 0) {
        s->node_ttl_s = number;
    } else if (strcmp(key, "nodata_ttl") == 0) {
        s->nodata_ttl_s = number;
    } else if (strcmp(key, "min_ttl") == 0) {
        s->soa_min_ttl_s = number;
    } else if (strcmp(key, "a_record_limit") == 0) {
        s->a_record_limit = number;
    } else if (strcmp(key, "udp_answer_limit") == 0) {
        s->udp_answer_limit = number;
    } else if (strcmp(key, "only_passing") == 0) {
        s->only_passing = number != 0;
    } else if (strcmp(key, "enable_truncate") == 0) {
        s->enable_truncate = number != 0;
    } else if (strcmp(key, "node_meta_txt") == 0) {
        s->node_meta_txt = number != 0;
    } else if (strcmp(key, "none_healthy") == 0) {
        s->when_none_healthy = DNS_NONE_ALL;
    } else if (strncmp(key, "ttl:", 4) == 0) {
        ttls[s->service_ttls_count++] =
            (struct dns_service_ttl){key + 4, number};
        s->service_ttls = ttls;
    } else {
        say(r, "unknown setting\n");
    }
    CHECK(dns_model_set_settings(r->model, s, &err) == ST_OK);
}

static void do_state(struct run *r, const char *word)
{
    r->state = *word == 'u'   ? DNS_UNKNOWN
               : *word == 's' ? DNS_STALE
               : *word == 'e' ? DNS_EXPIRED
                              : DNS_FRESH;
}

static void command(struct run *r, char *line)
{
    char *words[WORDS_MAX] = {0};
    size_t count = 0;
    char *save = NULL;
    char *copy = arena_strdup(&r->words, slice_str(line));

    for (char *w = strtok_r(copy, " ", &save); w != NULL && count < WORDS_MAX;
         w = strtok_r(NULL, " ", &save)) {
        words[count++] = w;
    }
    r->revision++;
    if (count >= 3 && strcmp(words[0], "ask") == 0) {
        do_ask(r, words, count);
    } else if (count >= 3 && strcmp(words[0], "send") == 0) {
        do_send(r, words, count);
    } else if (count >= 3 && strcmp(words[0], "node") == 0) {
        do_node(r, words, count);
    } else if (count >= 2 && strcmp(words[0], "forget") == 0) {
        dns_model_remove_node(r->model, words[1]);
    } else if (count >= 3 && strcmp(words[0], "instance") == 0) {
        do_instance(r, words, count);
    } else if (count >= 2 && strcmp(words[0], "gone") == 0) {
        do_gone(r, words, count);
    } else if (count >= 3 && strcmp(words[0], "set") == 0) {
        do_set(r, words[1], words[2]);
    } else if (count >= 2 && strcmp(words[0], "state") == 0) {
        do_state(r, words[1]);
    } else {
        say(r, "unknown command\n");
    }
}

/* Copies the script to `result` with every output as it comes out now. */
static void run_script(FILE *in, struct buf *result)
{
    struct run *r = calloc(1, sizeof(*r));
    char line[LINE_MAX_BYTES];
    struct buf out;
    bool skipping = false;

    buf_init(&out, 1 << 20);
    dns_settings_init(&r->settings);
    r->state = DNS_FRESH;
    r->out = &out;
    CHECK(dns_model_new(&r->settings, (struct hash_key){1, 2}, &r->model,
                        NULL) == ST_OK);
    while (fgets(line, sizeof(line), in) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (skipping && line[0] != '\0') {
            continue;
        }
        skipping = strcmp(line, "----") == 0;
        CHECK(buf_addf(result, "%s\n", line) == ST_OK);
        if (skipping) {
            CHECK(buf_add(result, buf_slice(&out)) == ST_OK);
            buf_clear(&out);
        } else if (line[0] != '\0' && line[0] != '#') {
            command(r, line);
        }
    }
    dns_model_free(r->model);
    arena_release(&r->words);
    buf_release(&out);
    free(r);
}

static bool check_file(const char *path, bool rewrite)
{
    struct buf result;
    struct buf before;
    FILE *file = fopen(path, "r");
    uint8_t *space;
    bool same;

    if (file == NULL) {
        perror(path);
        return false;
    }
    buf_init(&result, 1 << 22);
    buf_init(&before, 1 << 22);
    run_script(file, &result);
    rewind(file);
    CHECK(buf_reserve(&before, (1 << 22) - 1, &space) == ST_OK);
    before.len = fread(space, 1, (1 << 22) - 1, file);
    (void)fclose(file);
    same = slice_eq(buf_slice(&before), buf_slice(&result));
    if (!same && rewrite) {
        file = fopen(path, "w");
        CHECK(file != NULL);
        CHECK(fwrite(result.data, 1, result.len, file) == result.len);
        CHECK(fclose(file) == 0);
        printf("%s: rewritten\n", path);
    } else if (!same) {
        printf("%s: comes out differently:\n%s", path, buf_cstr(&result));
    }
    buf_release(&before);
    buf_release(&result);
    return same || rewrite;
}

int main(int argc, char **argv)
{
    bool rewrite = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
    bool ok = true;

    for (int i = rewrite ? 2 : 1; i < argc; i++) {
        ok = check_file(argv[i], rewrite) && ok;
    }
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
