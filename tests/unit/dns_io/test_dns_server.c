#include "dns/io/server.h"

#include <arpa/inet.h>
#include <ldns/ldns.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dns/core/question.h"
#include "tests/unit/dns_io/fixture.h"
#include "tests/unit/suite.h"

/* Asks over UDP; the response is checked for id and question, letter by letter.
 */
static ldns_pkt *ask(const struct fixture *f, const char *name, uint16_t type,
                     uint16_t edns)
{
    static uint16_t id = 4711;
    uint8_t query[512];
    uint8_t response[65535];
    size_t len = make_query(name, type, ++id, edns, query);
    int fd = client(f, SOCK_DGRAM);
    ldns_pkt *pkt = NULL;
    ssize_t n;

    ck_assert_int_eq(send(fd, query, len, 0), (ssize_t)len);
    n = recv(fd, response, sizeof(response), 0);
    ck_assert_msg(n > 12, "no response to %s", name);
    (void)close(fd);
    ck_assert(memcmp(query, response, 2) == 0);
    ck_assert(memcmp(query + 12, response + 12, strlen(name) + 2 + 4) == 0);
    ck_assert_int_eq(ldns_wire2pkt(&pkt, response, (size_t)n), LDNS_STATUS_OK);
    return pkt;
}

/* "<rcode> <record data> <record data>", answers only, in order. */
static void expect(const struct fixture *f, const char *name, uint16_t type,
                   const char *expected)
{
    ldns_pkt *pkt = ask(f, name, type, 1232);
    char text[1024];
    size_t used =
        (size_t)snprintf(text, sizeof(text), "%d", ldns_pkt_get_rcode(pkt));

    for (size_t i = 0; i < ldns_pkt_ancount(pkt); i++) {
        ldns_rr *rr = ldns_rr_list_rr(ldns_pkt_answer(pkt), i);
        char *data = ldns_rdf2str(ldns_rr_rdf(rr, ldns_rr_rd_count(rr) - 1));

        used += (size_t)snprintf(text + used, sizeof(text) - used, " %s", data);
        free(data);
    }
    ldns_pkt_free(pkt);
    ck_assert_msg(strcmp(text, expected) == 0, "%s: %s, not %s", name, text,
                  expected);
}

START_TEST(udp_answers)
{
    struct fixture f;
    struct dns_server_stats stats;

    start(&f, "muster.internal.", NULL);
    expect(&f, "web.service.consul", DNS_TYPE_A, "2"); /* Nothing published. */
    put(&f, "web", "192.0.2.1", 80);
    publish(&f);
    expect(&f, "web.service.consul", DNS_TYPE_A, "0 192.0.2.1");
    expect(&f, "wEb.SeRvIcE.MUSTER.internal", DNS_TYPE_A, "0 192.0.2.1");
    expect(&f, "none.service.consul", DNS_TYPE_A, "3");
    expect(&f, "web.service.consul", DNS_TYPE_AAAA, "0");
    expect(&f, "example.com", DNS_TYPE_A, "5");
    put(&f, "web", "192.0.2.2", 80);
    publish(&f);
    expect(&f, "web.service.consul", DNS_TYPE_A, "0 192.0.2.2");
    dns_server_stats(f.server, &stats);
    ck_assert_uint_eq(stats.queries_udp, 7);
    ck_assert_uint_eq(stats.answers_prepared, 5);
    ck_assert_uint_eq(stats.nxdomain, 1);
    ck_assert_uint_eq(stats.refused, 1);
    ck_assert_uint_eq(stats.servfail, 1);
    stop(&f);
}
END_TEST

static void start_waiting(struct fixture *f)
{
    static const char *const listen = "127.0.0.1:0";
    struct dns_protection protection;
    struct dns_server_config config = {
        .listen = {.plain = &listen, .plain_count = 1},
        .threads = 2,
        .protection = &protection,
        .waits = true};

    dns_protection_init(&protection);
    start_with(f, "muster.internal.", &config);
}

/* Who asks while the replica is being read is answered from it, not told that
 * nothing is known. */
START_TEST(questions_wait_for_the_first_zone)
{
    struct fixture f;
    uint8_t query[512];
    uint8_t response[512];
    size_t len = make_query("web.service.consul", DNS_TYPE_A, 7, 0, query);
    int fds[8];

    start_waiting(&f);
    for (size_t i = 0; i < 8; i++) { /* Of both workers. */
        fds[i] = client(&f, SOCK_DGRAM);
        ck_assert_int_eq(send(fds[i], query, len, 0), (ssize_t)len);
    }
    put(&f, "web", "192.0.2.1", 80);
    publish(&f);
    for (size_t i = 0; i < 8; i++) {
        ck_assert_int_gt(recv(fds[i], response, sizeof(response), 0), 12);
        ck_assert_int_eq(response[3] & 15, 0);
        ck_assert_int_eq(response[7], 1);
        (void)close(fds[i]);
    }
    stop(&f);
    start_waiting(&f); /* A start that fails ends without a zone. */
    stop(&f);
}
END_TEST

/* Asked three times, so that the answer to the first asking counts as well. */
START_TEST(threads_turn)
{
    struct fixture f;

    start(&f, "muster.internal.", "192.0.2.1");
    for (unsigned i = 0; i < 3; i++) {
        unsigned tries = 20000;

        while (!dns_server_pulse(f.server)) {
            ck_assert_msg(--tries > 0, "a thread hangs");
            (void)usleep(1000);
        }
    }
    stop(&f);
}
END_TEST

START_TEST(edns_is_mirrored)
{
    struct fixture f;
    ldns_pkt *pkt;

    start(&f, "muster.internal.", NULL);
    put(&f, "web", "192.0.2.1", 80);
    publish(&f);
    pkt = ask(&f, "web.service.consul", DNS_TYPE_A, 4096);
    ck_assert(ldns_pkt_edns(pkt));
    ck_assert_uint_eq(ldns_pkt_edns_udp_size(pkt), 1232);
    ldns_pkt_free(pkt);
    pkt = ask(&f, "web.service.consul", DNS_TYPE_A, 0);
    ck_assert(!ldns_pkt_edns(pkt));
    ldns_pkt_free(pkt);
    stop(&f);
}
END_TEST

/* 100 instances: three over plain UDP, all with room, all over TCP. */
START_TEST(sizes)
{
    struct dns_instance many[100];
    char nodes[100][16];
    char addresses[100][16];
    struct fixture f;
    ldns_pkt *pkt;

    start(&f, "muster.internal.", NULL);
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(nodes[i], sizeof(nodes[i]), "n%u", i);
        (void)snprintf(addresses[i], sizeof(addresses[i]), "10.1.0.%u", i);
        many[i] = (struct dns_instance){.id = nodes[i],
                                        .node = nodes[i],
                                        .node_address = addresses[i],
                                        .port = 80};
    }
    dns_model_put_service(f.model, "many", many, 100);
    publish(&f);
    pkt = ask(&f, "many.service.consul", DNS_TYPE_SRV, 0);
    ck_assert_uint_eq(ldns_pkt_ancount(pkt), 3);
    ck_assert_uint_eq(ldns_pkt_arcount(pkt), 3);
    ck_assert(!ldns_pkt_tc(pkt));
    ldns_pkt_free(pkt);
    pkt = ask(&f, "many.service.consul", DNS_TYPE_SRV, 16384);
    ck_assert_uint_eq(ldns_pkt_ancount(pkt), 100);
    ldns_pkt_free(pkt);
    stop(&f);
}
END_TEST

/* Two queries in pieces of one byte, then three at once. */
START_TEST(tcp_pipelines)
{
    struct fixture f;
    uint8_t stream[5 * 514];
    size_t used = 0;
    size_t slow = 0;
    int fd;

    start(&f, "muster.internal.", NULL);
    put(&f, "web", "192.0.2.1", 80);
    publish(&f);
    fd = client(&f, SOCK_STREAM);
    for (uint16_t i = 0; i < 5; i++) {
        size_t len = make_query("web.service.consul", DNS_TYPE_A,
                                (uint16_t)(100 + i), 0, stream + used + 2);

        stream[used] = 0;
        stream[used + 1] = (uint8_t)len;
        used += 2 + len;
        slow = i == 1 ? used : slow;
    }
    for (size_t i = 0; i < slow; i++) {
        ck_assert_int_eq(send(fd, stream + i, 1, 0), 1);
    }
    ck_assert_int_eq(send(fd, stream + slow, used - slow, 0),
                     (ssize_t)(used - slow));
    for (uint16_t i = 0; i < 5; i++) {
        uint8_t head[2];
        uint8_t body[512];

        read_exactly(fd, head, 2);
        read_exactly(fd, body, (size_t)(head[0] << 8 | head[1]));
        ck_assert_uint_eq((unsigned)(body[0] << 8 | body[1]), 100u + i);
        ck_assert_uint_eq(body[7], 1);
    }
    (void)close(fd);
    stop(&f);
}
END_TEST

/* The fifth connection costs the idlest its place. */
START_TEST(tcp_limit)
{
    struct fixture f;
    int fds[16];
    unsigned closed = 0;
    struct dns_server_stats stats;

    start(&f, "muster.internal.", NULL);
    for (unsigned i = 0; i < 16; i++) {
        uint8_t query[514];
        uint8_t head[2];
        size_t len = make_query("x.consul", DNS_TYPE_A, 1, 0, query + 2);

        query[0] = 0;
        query[1] = (uint8_t)len;
        fds[i] = client(&f, SOCK_STREAM);
        ck_assert_int_eq(send(fds[i], query, len + 2, 0), (ssize_t)len + 2);
        read_exactly(fds[i], head, 2); /* It was accepted and served. */
        read_exactly(fds[i], query, (size_t)(head[0] << 8 | head[1]));
    }
    dns_server_stats(f.server, &stats);
    ck_assert_uint_le(stats.tcp_conns, 8); /* Two workers, four each. */
    for (unsigned i = 0; i < 16; i++) {
        uint8_t byte;

        closed += recv(fds[i], &byte, 1, MSG_DONTWAIT) == 0;
        (void)close(fds[i]);
    }
    ck_assert_uint_ge(closed, 8);
    stop(&f);
}
END_TEST

/* The recursor is a server of ours that is at home in example.com. */
START_TEST(foreign_names_are_forwarded)
{
    struct fixture upstream;
    struct fixture f;
    char recursor[32];
    struct dns_server_stats stats;

    start(&upstream, "example.com.", NULL);
    put(&upstream, "api", "203.0.113.9", 443);
    publish(&upstream);
    (void)snprintf(recursor, sizeof(recursor), "127.0.0.1:%u",
                   dns_server_port(upstream.server, 0));
    start(&f, "muster.internal.", recursor);
    put(&f, "ext", "api.service.example.com", 443);
    publish(&f);
    expect(&f, "API.service.example.com", DNS_TYPE_A, "0 203.0.113.9");
    expect(&f, "none.service.example.com", DNS_TYPE_A, "3");
    expect(&f, "ext.service.consul", DNS_TYPE_A,
           "0 api.service.example.com. 203.0.113.9");
    dns_server_stop(upstream.server);
    expect(&f, "api.service.example.com", DNS_TYPE_A, "2");
    expect(&f, "ext.service.consul", DNS_TYPE_A, "0 api.service.example.com.");
    dns_server_stats(f.server, &stats);
    ck_assert_uint_eq(stats.forwarded, 5);
    ck_assert_uint_eq(stats.forward_failed, 2);
    dns_model_free(upstream.model);
    stop(&f);
}
END_TEST

/* Stopped with a question under way: nothing leaks, nothing hangs. */
START_TEST(stop_while_forwarding)
{
    struct fixture f;
    struct sockaddr_in silent = {.sin_family = AF_INET};
    socklen_t len = sizeof(silent);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    char recursor[32];
    uint8_t query[512];
    size_t query_len = make_query("example.com", DNS_TYPE_A, 1, 0, query);
    uint8_t seen[512];
    int udp;

    silent.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&silent, len), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&silent, &len), 0);
    (void)snprintf(recursor, sizeof(recursor), "127.0.0.1:%u",
                   ntohs(silent.sin_port));
    start(&f, "muster.internal.", recursor);
    publish(&f);
    udp = client(&f, SOCK_DGRAM);
    ck_assert_int_eq(send(udp, query, query_len, 0), (ssize_t)query_len);
    ck_assert_int_gt(recv(fd, seen, sizeof(seen), 0), 12);
    stop(&f);
    (void)close(udp);
    (void)close(fd);
}
END_TEST

/* Bound to all addresses, a response comes from the one that was asked, also
 * when it had to go upstream; the client's socket takes no other. */
START_TEST(wildcard_answers_from_the_asked_address)
{
    static const char *const names[] = {"web.service.consul",
                                        "api.service.example.com"};
    struct fixture upstream;
    struct fixture f;
    char recursor[32];

    start(&upstream, "example.com.", NULL);
    put(&upstream, "api", "203.0.113.9", 443);
    publish(&upstream);
    (void)snprintf(recursor, sizeof(recursor), "127.0.0.1:%u",
                   dns_server_port(upstream.server, 0));
    start_on(&f, "0.0.0.0:0", "muster.internal.", recursor);
    put(&f, "web", "192.0.2.1", 80);
    publish(&f);
    for (unsigned i = 0; i < 2; i++) {
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port =
                                     htons(dns_server_port(f.server, 0)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 4)};
        struct timeval patience = {.tv_sec = 10};
        uint8_t query[512];
        size_t len = make_query(names[i], DNS_TYPE_A, 1, 0, query);
        int fd = socket(AF_INET, SOCK_DGRAM, 0);

        ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
                         sizeof(patience));
        ck_assert_int_eq(send(fd, query, len, 0), (ssize_t)len);
        ck_assert_int_gt(recv(fd, query, sizeof(query), 0), 12);
        ck_assert_uint_eq(query[7], 1);
        (void)close(fd);
    }
    stop(&f);
    stop(&upstream);
}
END_TEST

START_TEST(ipv6)
{
    struct fixture f;
    struct sockaddr_in6 to = {.sin6_family = AF_INET6,
                              .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct timeval patience = {.tv_sec = 10};
    uint8_t query[512];
    size_t len = make_query("web.service.consul", DNS_TYPE_A, 1, 0, query);
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);

    start_on(&f, "[::1]:0", "muster.internal.", NULL);
    put(&f, "web", "192.0.2.1", 80);
    publish(&f);
    to.sin6_port = htons(dns_server_port(f.server, 0));
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    ck_assert_int_eq(send(fd, query, len, 0), (ssize_t)len);
    ck_assert_int_gt(recv(fd, query, sizeof(query), 0), 12);
    ck_assert_uint_eq(query[7], 1);
    (void)close(fd);
    stop(&f);
}
END_TEST

START_TEST(bad_addresses_are_refused)
{
    static const struct {
        const char *listen;
        const char *recursor;
    } bad[] = {
        {"localhost:53", "192.0.2.1"},          {"127.0.0.1", "192.0.2.1"},
        {"127.0.0.1:70000", "192.0.2.1"},       {"127.0.0.1:0", "dns.example"},
        {"127.0.0.1:15353", "127.0.0.1:15353"}, {"[::1:53", "192.0.2.1"},
        {"0.0.0.0:15354", "127.0.0.9:15354"},   {"[::]:15355", "[::1]:15355"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct dns_server_config config = {
            .listen = {.plain = &bad[i].listen, .plain_count = 1},
            .threads = 1,
            .recursion = {
                .recursors = &bad[i].recursor,
                .recursors_count = 1,
            }};
        struct dns_server *server;
        struct err err = {0};

        ck_assert_msg(dns_server_start(&config, &server, &err) == ST_INVALID,
                      "%s was taken", bad[i].listen);
        ck_assert(strlen(err.text) > 20);
    }
}
END_TEST

struct asker {
    const struct fixture *f;
    pthread_t thread;
    unsigned index;
    bool failed;
};

/* Service s<k> always has port == last byte of its address: a response mixed
 * from two revisions or meant for another question shows. */
static void *ask_many(void *arg)
{
    struct asker *a = arg;
    int fd = client(a->f, SOCK_DGRAM);

    for (unsigned i = 0; i < 300 && !a->failed; i++) {
        char name[64];
        uint8_t query[512];
        uint8_t response[2048];
        uint16_t id = (uint16_t)(a->index << 10 | i);
        unsigned k = (i * 7 + a->index) % 16;
        size_t len;
        ssize_t n;

        (void)snprintf(name, sizeof(name), "s%u.service.consul", k);
        len = make_query(name, DNS_TYPE_SRV, id, 1232, query);
        (void)send(fd, query, len, 0);
        n = recv(fd, response, sizeof(response), 0);
        /* SRV data: priority, weight, port; the extra ends in the address, and
         * OPT follows it. */
        a->failed = n < 60 || memcmp(response, query, 2) != 0 ||
                    memcmp(response + 12, query + 12, len - 12 - 11) != 0 ||
                    response[len - 11 + 12 + 5] != response[n - 12];
    }
    (void)close(fd);
    return NULL;
}

START_TEST(answers_stay_whole_under_change)
{
    struct fixture f;
    struct asker askers[4];

    start(&f, "muster.internal.", NULL);
    for (unsigned k = 0; k < 16; k++) {
        char service[8];

        (void)snprintf(service, sizeof(service), "s%u", k);
        put(&f, service, "10.0.0.1", 1);
    }
    publish(&f);
    for (unsigned i = 0; i < 4; i++) {
        askers[i] = (struct asker){.f = &f, .index = i};
        ck_assert_int_eq(
            pthread_create(&askers[i].thread, NULL, ask_many, &askers[i]), 0);
    }
    for (unsigned i = 0; i < 500; i++) {
        char service[8];
        char address[16];
        unsigned port = 1 + i % 250;

        (void)snprintf(service, sizeof(service), "s%u", i % 16);
        (void)snprintf(address, sizeof(address), "10.0.0.%u", port);
        put(&f, service, address, (uint16_t)port);
        publish(&f);
    }
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(askers[i].thread, NULL), 0);
        ck_assert_msg(!askers[i].failed, "asker %u got a wrong answer", i);
    }
    stop(&f);
}
END_TEST

UNIT_MAIN("dns_server", {
    tcase_add_test(tc, udp_answers);
    tcase_add_test(tc, questions_wait_for_the_first_zone);
    tcase_add_test(tc, threads_turn);
    tcase_add_test(tc, edns_is_mirrored);
    tcase_add_test(tc, sizes);
    tcase_add_test(tc, tcp_pipelines);
    tcase_add_test(tc, tcp_limit);
    tcase_add_test(tc, foreign_names_are_forwarded);
    tcase_add_test(tc, stop_while_forwarding);
    tcase_add_test(tc, wildcard_answers_from_the_asked_address);
    tcase_add_test(tc, ipv6);
    tcase_add_test(tc, bad_addresses_are_refused);
    tcase_add_test(tc, answers_stay_whole_under_change);
})
