/*
 * dns_storm.c - many clients, random questions, and a catalogue that changes
 * all the time: is every answer one to its question, and from one picture?
 *
 *     dns_storm QUESTIONS [SEED]
 *
 * A server with two workers in this process, and 64 clients, who together ask
 * QUESTIONS questions over UDP and TCP. The whole catalogue belongs to a
 * generation: addresses, ports, texts and how many instances there are say
 * which one. It is replaced as a whole, again and again, so that any answer
 * that holds something of two generations shows. An answer must have
 *   - the id, the question with its letters as they were asked, and type;
 *   - records of one generation only, as many as that one has, each of the type
 *     and owner asked for; each SRV record its own address among the extras;
 *   - a generation that is no older than the one that was published when the
 *     question was asked, and no younger than the one that is being made.
 * The exit code is 1 when anything was wrong. Meant to run with sanitizers on.
 */
#include <arpa/inet.h>
#include <ldns/ldns.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/core/check.h"
#include "base/core/rng.h"
#include "dns/core/question.h"
#include "dns/io/server.h"

enum {
    CLIENTS = 64,
    SMALL = 4,  /* Instances of "gen", and up to SMALL more. */
    BIG = 60,   /* Of "big": not every packet has room for them. */
    NODES = 16, /* Nodes "n0" ... */
    GENERATIONS_MAX = 60000,
    CHANGE_NS = 2000000,
    PACKET_MAX = 65535,
    ANSWER_S = 30,
    COMPLAINTS_MAX = 20
};

static uint16_t port;
static atomic_uint announced; /* Is being made or published. */
static atomic_uint published; /* Was published. */
static atomic_long left;
static atomic_ulong wrong;
static atomic_ulong kinds_seen;
static atomic_bool over;
static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;

static unsigned small_count(unsigned generation)
{
    return SMALL + generation % (SMALL + 1);
}

/* ---- The catalogue ----------------------------------------------------- */

static void put_service(struct dns_model *m, const char *name, unsigned count,
                        unsigned g)
{
    struct dns_instance all[BIG];
    char text[BIG][2][48];
    char generation[24];
    const char *tags[] = {"v1", "eu.west"};
    struct dns_pair meta = {"txt-g", generation};
    struct dns_named_port named = {"admin", (uint16_t)g};

    (void)snprintf(generation, sizeof(generation), "%u", g);
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(text[i][0], sizeof(text[i][0]), "10.%u.%u.%u", g >> 8,
                       g & 255, i);
        (void)snprintf(text[i][1], sizeof(text[i][1]), "i%u", i);
        all[i] = (struct dns_instance){
            .id = text[i][1],
            .node = "n0",
            .node_address = "10.255.0.1",
            .address = text[i][0],
            .port = (uint16_t)g,
            .weight_passing = (uint16_t)(1 + i),
            .tags = tags,
            .tags_count = 2,
            .meta = &meta,
            .meta_count = 1,
            .ports = &named,
            .ports_count = 1,
        };
    }
    dns_model_put_service(m, name, all, count);
}

/* "alias" is a host name of ours: a CNAME to "gen", with its port of now. */
static void put_alias(struct dns_model *m, unsigned g)
{
    struct dns_instance one = {.id = "a",
                               .node = "n0",
                               .node_address = "10.255.0.1",
                               .address = "gen.service.consul",
                               .port = (uint16_t)g,
                               .weight_passing = 1};

    dns_model_put_service(m, "alias", &one, 1);
}

static struct dns_zone *make_generation(struct dns_model *m, unsigned g)
{
    put_service(m, "gen", small_count(g), g);
    put_service(m, "big", BIG, g);
    put_alias(m, g);
    for (unsigned i = 0; i < NODES; i++) {
        char name[24];
        char address[48];
        struct dns_node node = {.name = name, .address = address};

        (void)snprintf(name, sizeof(name), "n%u", i);
        (void)snprintf(address, sizeof(address), "10.%u.%u.%u", g >> 8, g & 255,
                       i);
        dns_model_put_node(m, &node);
    }
    return dns_model_commit(m, g, DNS_FRESH);
}

/* ---- Questions --------------------------------------------------------- */

enum shape {
    WHOLE, /* As many records as the generation has, unless cut. */
    PART,  /* Some of them. */
    ONE,
    GONE, /* NXDOMAIN */
    NOTHING
};

static const struct kind {
    const char *name;
    uint16_t type;
    enum shape shape;
} kinds[] = {
    {"gen.service", DNS_TYPE_A, WHOLE},
    {"gen.service", DNS_TYPE_SRV, WHOLE},
    {"gen.service", DNS_TYPE_ANY, WHOLE},
    {"gen.service", DNS_TYPE_TXT, ONE},
    {"gen.service", DNS_TYPE_AAAA, NOTHING},
    {"v1.gen.service.dc1", DNS_TYPE_A, WHOLE},
    {"eu.west.gen.service", DNS_TYPE_SRV, WHOLE},
    {"v1.eu.west.gen.service", DNS_TYPE_A, GONE},
    {"_gen._tcp.service", DNS_TYPE_SRV, WHOLE},
    {"_gen._v1", DNS_TYPE_SRV, WHOLE},
    {"admin.port.gen.service", DNS_TYPE_SRV, WHOLE},
    {"i2._gen._tcp.service", DNS_TYPE_SRV, ONE},
    {"big.service", DNS_TYPE_A, PART},
    {"big.service", DNS_TYPE_SRV, PART},
    {"alias.service", DNS_TYPE_A, WHOLE},
    {"alias.service", DNS_TYPE_SRV, ONE},
    {"n3.node", DNS_TYPE_A, ONE},
    {"n15.node.dc1", DNS_TYPE_A, ONE},
    {"none.service", DNS_TYPE_A, GONE},
    {"none.node", DNS_TYPE_AAAA, GONE},
    {"service", DNS_TYPE_A, NOTHING},
    {"gen.service", 65, NOTHING},
};

enum {
    KINDS = sizeof(kinds) / sizeof(kinds[0])
};

struct asking {
    const struct kind *kind;
    uint8_t packet[512];
    size_t len;
    size_t question_len;
    bool tcp;
    bool edns;
    bool roomy; /* Whatever "gen" has fits. */
    unsigned published_before;
};

struct client {
    struct rng rng;
    int udp;
    int tcp;
    uint8_t response[PACKET_MAX];
    struct asking asking;
};

static void put_u16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* Letters of any case. */
static void add_name(struct client *c, struct asking *a)
{
    struct dns_name name = {0};
    const char *domain = rng_below(&c->rng, 2) ? "consul" : "muster.internal";

    CHECK(dns_name_add_text(&name, slice_str(a->kind->name)));
    CHECK(dns_name_add_text(&name, slice_str(domain)));
    CHECK(dns_name_end(&name));
    for (size_t i = 0; i < name.len; i++) {
        uint8_t b = name.bytes[i];

        if (b >= 'a' && b <= 'z' && rng_below(&c->rng, 2)) {
            name.bytes[i] = (uint8_t)(b - 'a' + 'A');
        }
    }
    memcpy(a->packet + a->len, name.bytes, name.len);
    a->len += name.len;
}

static void make_question(struct client *c)
{
    static const uint16_t sizes[] = {512, 1232, 4096, 65000};
    struct asking *a = &c->asking;

    *a = (struct asking){.kind = &kinds[rng_below(&c->rng, KINDS)],
                         .tcp = rng_below(&c->rng, 8) == 0,
                         .edns = rng_below(&c->rng, 2) == 0,
                         .len = DNS_HEADER_BYTES};
    put_u16(a->packet, (unsigned)rng_below(&c->rng, 65536));
    put_u16(a->packet + 2, DNS_FLAG_RD);
    put_u16(a->packet + 4, 1);
    put_u16(a->packet + 10, a->edns);
    add_name(c, a);
    put_u16(a->packet + a->len, a->kind->type);
    put_u16(a->packet + a->len + 2, DNS_CLASS_IN);
    a->len += 4;
    a->question_len = a->len - DNS_HEADER_BYTES;
    a->roomy = a->tcp;
    if (a->edns) {
        uint16_t size = sizes[rng_below(&c->rng, 4)];

        a->roomy = a->tcp || size > 512;
        put_u16(a->packet + a->len + 1, DNS_TYPE_OPT);
        put_u16(a->packet + a->len + 3, size);
        a->len += 11;
    }
}

/* ---- Sending and receiving --------------------------------------------- */

static int open_socket(int type)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval wait = {.tv_sec = ANSWER_S};
    int fd = socket(AF_INET, type, 0);

    CHECK(fd >= 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0);
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
    return fd;
}

static bool read_all(int fd, uint8_t *at, size_t len)
{
    while (len > 0) {
        ssize_t n = recv(fd, at, len, 0);

        if (n <= 0) {
            return false;
        }
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* 0: none came. */
static size_t exchange_tcp(struct client *c)
{
    uint8_t frame[2 + sizeof(c->asking.packet)];
    uint8_t head[2];
    size_t len;

    if (c->tcp < 0) {
        c->tcp = open_socket(SOCK_STREAM);
    }
    put_u16(frame, (unsigned)c->asking.len);
    memcpy(frame + 2, c->asking.packet, c->asking.len);
    len = c->asking.len + 2;
    if (send(c->tcp, frame, len, MSG_NOSIGNAL) != (ssize_t)len ||
        !read_all(c->tcp, head, 2)) {
        return 0;
    }
    len = (size_t)(head[0] << 8 | head[1]);
    return read_all(c->tcp, c->response, len) ? len : 0;
}

static size_t exchange(struct client *c)
{
    ssize_t n;

    c->asking.published_before = atomic_load(&published);
    if (c->asking.tcp) {
        return exchange_tcp(c);
    }
    if (send(c->udp, c->asking.packet, c->asking.len, 0) < 0) {
        return 0;
    }
    n = recv(c->udp, c->response, sizeof(c->response), 0);
    return n > 0 ? (size_t)n : 0;
}

/* ---- Judging ----------------------------------------------------------- */

/* What an answer tells of its generation. */
struct finding {
    unsigned generation; /* 0: nothing yet. */
    const char *wrong;   /* NULL: nothing. */
};

static void expect(struct finding *f, bool good, const char *what)
{
    if (!good && f->wrong == NULL) {
        f->wrong = what;
    }
}

static void is_of(struct finding *f, unsigned generation)
{
    if (f->generation == 0) {
        f->generation = generation;
    }
    expect(f, f->generation == generation, "two generations in one answer");
}

static unsigned generation_of_address(const ldns_rdf *rdf)
{
    const uint8_t *ip = ldns_rdf_data(rdf);

    return (unsigned)(ip[1] << 8 | ip[2]);
}

/* An SRV record's target is its instance's address in hex. */
static void look_at_srv(struct finding *f, const ldns_rr *rr,
                        const ldns_pkt *pkt)
{
    const ldns_rdf *target = ldns_rr_rdf(rr, 3);
    const ldns_rr_list *extras = ldns_pkt_additional(pkt);
    char hex[9] = {0};
    bool found = false;

    is_of(f, ldns_rdf2native_int16(ldns_rr_rdf(rr, 2)));
    if (ldns_rdf_data(target)[0] == 8) {
        memcpy(hex, ldns_rdf_data(target) + 1, 8);
        is_of(f, (unsigned)(strtoul(hex, NULL, 16) >> 8 & 0xffff));
        for (size_t i = 0; i < ldns_rr_list_rr_count(extras); i++) {
            const ldns_rr *extra = ldns_rr_list_rr(extras, i);

            found =
                found || ldns_dname_compare(ldns_rr_owner(extra), target) == 0;
        }
        expect(f, found, "an SRV record without its address");
    }
}

static void look_at(struct finding *f, const ldns_rr *rr, const ldns_pkt *pkt)
{
    const ldns_rdf *data = ldns_rr_rdf(rr, 0);
    char text[8] = {0};

    switch ((unsigned)ldns_rr_get_type(rr)) {
    case LDNS_RR_TYPE_A:
        is_of(f, generation_of_address(data));
        return;
    case LDNS_RR_TYPE_SRV:
        look_at_srv(f, rr, pkt);
        return;
    case LDNS_RR_TYPE_TXT:
        memcpy(text, ldns_rdf_data(data) + 1, ldns_rdf_data(data)[0] & 7);
        is_of(f, (unsigned)strtoul(text, NULL, 10));
        return;
    case LDNS_RR_TYPE_SOA:
        is_of(f, ldns_rdf2native_int32(ldns_rr_rdf(rr, 2)));
        return;
    case LDNS_RR_TYPE_CNAME:
        return;
    default:
        expect(f, false, "a record of a type that nobody asked for");
        return;
    }
}

static void look_at_all(struct finding *f, const ldns_rr_list *list,
                        const ldns_pkt *pkt)
{
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        look_at(f, ldns_rr_list_rr(list, i), pkt);
    }
}

/* How many answers it has to have. */
static void count_answers(struct finding *f, const struct asking *a,
                          const ldns_pkt *pkt)
{
    unsigned count = ldns_pkt_ancount(pkt);
    bool alias = strncmp(a->kind->name, "alias", 5) == 0;
    unsigned whole = small_count(f->generation) +
                     (alias && a->kind->type == DNS_TYPE_A ? 1 : 0);

    switch (a->kind->shape) {
    case WHOLE:
        expect(f,
               a->roomy || alias ? count == whole
                                 : count >= 1 && count <= whole,
               "not as many records as the generation has");
        return;
    case PART:
        expect(f, a->tcp ? count == BIG : count >= 1 && count <= BIG,
               "not as many records as there are");
        return;
    case ONE:
        expect(f, count == 1, "not one record");
        return;
    case GONE:
        expect(f, ldns_pkt_get_rcode(pkt) == LDNS_RCODE_NXDOMAIN,
               "a name that should not be there");
        return;
    case NOTHING:
        expect(f, count == 0, "a record where there is none");
        return;
    }
    UNREACHABLE();
}

static void judge_packet(struct finding *f, const struct asking *a,
                         const ldns_pkt *pkt)
{
    enum shape shape = a->kind->shape;

    expect(f,
           ldns_pkt_get_rcode(pkt) ==
               (shape == GONE ? LDNS_RCODE_NXDOMAIN : LDNS_RCODE_NOERROR),
           "another code");
    expect(f, ldns_pkt_aa(pkt), "not authoritative");
    expect(f, ldns_pkt_edns(pkt) == a->edns, "EDNS where none was, or none");
    look_at_all(f, ldns_pkt_answer(pkt), pkt);
    look_at_all(f, ldns_pkt_authority(pkt), pkt);
    look_at_all(f, ldns_pkt_additional(pkt), pkt);
    count_answers(f, a, pkt);
    expect(f, f->generation >= a->published_before, "an older generation");
    expect(f, f->generation <= atomic_load(&announced),
           "a generation that is not made yet");
}

static const char *judge(const struct client *c, size_t len)
{
    const struct asking *a = &c->asking;
    struct finding f = {0};
    ldns_pkt *pkt = NULL;

    if (len == 0) {
        return "no answer";
    }
    if (len < DNS_HEADER_BYTES + a->question_len ||
        memcmp(c->response, a->packet, 2) != 0 ||
        memcmp(c->response + DNS_HEADER_BYTES, a->packet + DNS_HEADER_BYTES,
               a->question_len) != 0) {
        return "an answer to another question";
    }
    if (ldns_wire2pkt(&pkt, c->response, len) != LDNS_STATUS_OK) {
        return "no message";
    }
    judge_packet(&f, a, pkt);
    ldns_pkt_free(pkt);
    return f.wrong;
}

static void complain(const struct client *c, const char *what, size_t len)
{
    unsigned long number = atomic_fetch_add(&wrong, 1);

    if (number < COMPLAINTS_MAX) {
        CHECK(pthread_mutex_lock(&output) == 0);
        printf("# %s type %u over %s%s: %s (%zu bytes)\n", c->asking.kind->name,
               c->asking.kind->type, c->asking.tcp ? "TCP" : "UDP",
               c->asking.edns ? " with EDNS" : "", what, len);
        CHECK(pthread_mutex_unlock(&output) == 0);
    }
}

static void *ask_on(void *arg)
{
    struct client *c = arg;

    c->udp = open_socket(SOCK_DGRAM);
    c->tcp = -1;
    while (atomic_fetch_sub(&left, 1) > 0) {
        const char *what;
        size_t len;

        make_question(c);
        len = exchange(c);
        what = judge(c, len);
        if (what != NULL) {
            complain(c, what, len);
        }
        atomic_fetch_or(&kinds_seen, 1ul << (c->asking.kind - kinds));
    }
    (void)close(c->udp);
    if (c->tcp >= 0) {
        (void)close(c->tcp);
    }
    return NULL;
}

/* ---- The whole --------------------------------------------------------- */

/* Whoever makes zones also publishes them: one thread, this one. */
static unsigned churn_until_over(struct dns_server *server,
                                 struct dns_model *model)
{
    struct timespec pause = {.tv_nsec = CHANGE_NS};
    unsigned g = 1;

    while (!atomic_load(&over) && g < GENERATIONS_MAX) {
        g++;
        atomic_store(&announced, g);
        dns_server_publish(server, make_generation(model, g));
        atomic_store(&published, g);
        (void)nanosleep(&pause, NULL);
    }
    return g;
}

static void *wait_for_clients(void *arg)
{
    pthread_t *threads = arg;

    for (unsigned i = 0; i < CLIENTS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    atomic_store(&over, true);
    return NULL;
}

static unsigned storm(struct dns_server *server, struct dns_model *model,
                      uint64_t seed)
{
    struct client *clients = calloc(CLIENTS, sizeof(*clients));
    pthread_t threads[CLIENTS];
    pthread_t waiter;
    unsigned generations;

    CHECK(clients != NULL);
    for (unsigned i = 0; i < CLIENTS; i++) {
        rng_init(&clients[i].rng, seed + i);
        CHECK(pthread_create(&threads[i], NULL, ask_on, &clients[i]) == 0);
    }
    CHECK(pthread_create(&waiter, NULL, wait_for_clients, threads) == 0);
    generations = churn_until_over(server, model);
    CHECK(pthread_join(waiter, NULL) == 0);
    free(clients);
    return generations;
}

int main(int argc, char **argv)
{
    static const char *const listen[] = {"127.0.0.1:0"};
    struct dns_server_config config = {
        .listen = {.plain = listen, .plain_count = 1}, .threads = 2};
    long questions = argc > 1 ? atol(argv[1]) : 100000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    struct dns_settings settings;
    struct dns_server *server;
    struct dns_model *model;
    unsigned generations;
    bool good;

    dns_settings_init(&settings);
    settings.order = DNS_ORDER_WEIGHTED;
    CHECK(dns_model_new(&settings, (struct hash_key){1, 2}, &model, NULL) ==
          ST_OK);
    CHECK(dns_server_start(&config, &server, NULL) == ST_OK);
    port = dns_server_port(server, 0);
    atomic_store(&announced, 1);
    dns_server_publish(server, make_generation(model, 1));
    atomic_store(&published, 1);
    atomic_store(&left, questions);
    generations = storm(server, model, seed);
    dns_server_stop(server);
    dns_model_free(model);
    good = atomic_load(&wrong) == 0 && generations > 2 &&
           (questions < 1000 || atomic_load(&kinds_seen) == (1ul << KINDS) - 1);
    printf("%s 1 - %ld questions of %u clients, %u generations, %lu wrong\n"
           "1..1\n",
           good ? "ok" : "not ok", questions, (unsigned)CLIENTS, generations,
           atomic_load(&wrong));
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
