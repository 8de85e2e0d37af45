#include "dns/io/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/dns_io/asker.h"
#include "tests/unit/dns_io/fake_upstream.h"
#include "tests/unit/dns_io/fixture.h"
#include "tests/unit/suite.h"

/* Addresses that change while questions are asked. */

#define NOBODY "192.0.2.53" /* A recursor that is never asked. */

static enum status listen_on(const struct fixture *f,
                             const char *const *addresses, size_t count,
                             const char *recursor, struct err *err)
{
    struct dns_listen_config listen = {.plain = addresses,
                                       .plain_count = count};
    struct dns_recursion_config recursion = {.recursors = &recursor,
                                             .recursors_count =
                                                 recursor == NULL ? 0 : 1,
                                             .timeout_ms = 6000};
    struct dns_transfer_config transfer = {0};

    return dns_server_configure(f->server, &recursion, &transfer, &listen, err);
}

static void listen_now(const struct fixture *f, const char *const *addresses,
                       size_t count, const char *recursor)
{
    struct err err = {0};

    ck_assert_msg(listen_on(f, addresses, count, recursor, &err) == ST_OK, "%s",
                  err.text);
}

static void begin(struct fixture *f, const char *recursor)
{
    start(f, "muster.internal.", recursor);
    put(f, "web", "192.0.2.1", 80);
    publish(f);
}

static void expect_udp(uint16_t port)
{
    ck_assert_str_eq(say(ask_udp(port, "web.service.consul", 1)),
                     "0 192.0.2.1");
}

static void expect_web(uint16_t port)
{
    expect_udp(port);
    ck_assert_str_eq(say(ask_tcp(port, "web.service.consul", 1)),
                     "0 192.0.2.1");
}

static void expect_nobody(uint16_t port)
{
    uint8_t query[512];
    size_t len = asker_query("web.service.consul", 1, 7, query) - 2;
    unsigned tries = 5000;
    ssize_t n;

    do { /* Until the workers have closed theirs. */
        int fd = asker_socket(port, SOCK_DGRAM);

        (void)send(fd, query + 2, len, 0);
        n = recv(fd, query + 2, len, 0);
        (void)close(fd);
        ck_assert_msg(--tries > 0, "port %u is still served", port);
    } while (n >= 0 || errno != ECONNREFUSED);
}

static const char *on_port(uint16_t port, char text[32])
{
    (void)snprintf(text, 32, "127.0.0.1:%u", port);
    return text;
}

/* ---- One that stays ------------------------------------------------------ */

struct questioner {
    uint16_t port;
    pthread_t thread;
    _Atomic bool over;
    unsigned asked;
    unsigned answered;
};

static void *ask_on(void *arg)
{
    struct questioner *q = arg;
    int fd = asker_socket(q->port, SOCK_DGRAM);
    uint8_t query[512];
    size_t len = asker_query("web.service.consul", 1, 9, query) - 2;
    uint8_t response[512];

    while (!atomic_load(&q->over)) {
        q->asked++;
        (void)send(fd, query + 2, len, 0);
        q->answered += recv(fd, response, sizeof(response), 0) > 12;
    }
    (void)close(fd);
    return NULL;
}

START_TEST(one_that_stays_misses_nothing)
{
    static const char *const two[] = {"127.0.0.1:0", "127.0.0.1:0"};
    struct fixture f;
    struct questioner q[4];
    uint16_t stays;

    begin(&f, NOBODY);
    stays = dns_server_port(f.server, 0);
    for (size_t i = 0; i < 4; i++) {
        q[i] = (struct questioner){.port = stays};
        ck_assert_int_eq(pthread_create(&q[i].thread, NULL, ask_on, &q[i]), 0);
    }
    for (unsigned i = 0; i < 20; i++) {
        uint16_t comes;

        listen_now(&f, two, 2, NOBODY);
        ck_assert_uint_eq(dns_server_port(f.server, 0), stays);
        comes = dns_server_port(f.server, 1);
        expect_web(comes);
        listen_now(&f, two, 1, NOBODY);
        ck_assert_uint_eq(dns_server_port(f.server, 0), stays);
        ck_assert_uint_eq(dns_server_port(f.server, 1), 0);
        if (i == 0) {
            expect_nobody(comes);
        }
    }
    for (size_t i = 0; i < 4; i++) {
        atomic_store(&q[i].over, true);
        ck_assert_int_eq(pthread_join(q[i].thread, NULL), 0);
        ck_assert_uint_eq(q[i].answered, q[i].asked);
    }
    stop(&f);
}
END_TEST

/* ---- All or nothing ------------------------------------------------------ */

START_TEST(a_port_that_is_taken_changes_nothing)
{
    char old[32];
    char taken[32];
    const char *wanted[] = {"127.0.0.1:0", taken};
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof(at);
    int other = socket(AF_INET, SOCK_DGRAM, 0);
    struct fixture f;
    struct err err = {0};
    uint16_t port;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(other, (struct sockaddr *)&at, sizeof(at)), 0);
    ck_assert_int_eq(getsockname(other, (struct sockaddr *)&at, &len), 0);
    begin(&f, NOBODY);
    port = dns_server_port(f.server, 0);
    (void)on_port(ntohs(at.sin_port), taken);
    ck_assert_int_eq(listen_on(&f, wanted, 2, NULL, &err), ST_IO);
    ck_assert_msg(strstr(err.text, taken) != NULL, "%s", err.text);
    ck_assert_uint_eq(dns_server_port(f.server, 0), port);
    ck_assert_uint_eq(dns_server_port(f.server, 1), 0);
    expect_web(port); /* Which looks for recursion, too. */

    /* Nor does a recursor that is the new address. */
    (void)close(other);
    ck_assert_int_eq(listen_on(&f, wanted, 2, taken, &err), ST_INVALID);
    ck_assert_msg(strstr(err.text, taken) != NULL, "%s", err.text);
    expect_web(port);
    expect_nobody(ntohs(at.sin_port));
    wanted[0] = on_port(port, old);
    listen_now(&f, wanted, 2, NOBODY);
    ck_assert_uint_eq(dns_server_port(f.server, 0), port);
    expect_web(ntohs(at.sin_port));
    stop(&f);
}
END_TEST

/* ---- There and back ------------------------------------------------------ */

/* The old sockets of an address may still be open when it comes back, and those
 * of one address are in the way of all addresses with its port. */
START_TEST(there_and_back_and_all_addresses)
{
    char first[32];
    char all[32];
    const char *home[] = {first};
    const char *everywhere[] = {all};
    static const char *const away[] = {"0.0.0.0:0"};
    struct fixture f;
    uint16_t port;

    begin(&f, NOBODY);
    port = dns_server_port(f.server, 0);
    (void)on_port(port, first);
    (void)snprintf(all, sizeof(all), "0.0.0.0:%u", port);
    for (unsigned i = 0; i < 20; i++) {
        listen_now(&f, everywhere, 1, NOBODY);
        expect_udp(port);
        listen_now(&f, home, 1, NOBODY);
        expect_udp(port);
        listen_now(&f, NULL, 0, NOBODY);
        ck_assert_uint_eq(dns_server_port(f.server, 0), 0);
        listen_now(&f, away, 1, NOBODY);
        expect_web(dns_server_port(f.server, 0));
        listen_now(&f, home, 1, NOBODY);
        ck_assert_uint_eq(dns_server_port(f.server, 0), port);
        expect_udp(port);
    }
    stop(&f);
}
END_TEST

/* ---- Open work ----------------------------------------------------------- */

static int tcp_asked(uint16_t port, const char *name, size_t part)
{
    uint8_t query[512];
    size_t len = asker_query(name, 1, 11, query);
    int fd = asker_socket(port, SOCK_STREAM);

    len = part < len ? part : len;
    ck_assert_int_eq(send(fd, query, len, 0), (ssize_t)len);
    return fd;
}

static void expect_tcp(int fd, uint8_t rcode)
{
    uint8_t head[2];
    uint8_t body[4096];

    read_exactly(fd, head, 2);
    read_exactly(fd, body, (size_t)(head[0] << 8 | head[1]));
    ck_assert_int_eq(body[3] & 15, rcode);
}

static void expect_end(int fd, const char *what)
{
    uint8_t byte;
    ssize_t n = recv(fd, &byte, 1, 0);

    ck_assert_msg(n == 0, "%s: %zd, %s", what, n, strerror(errno));
    (void)close(fd);
}

START_TEST(what_is_under_way_upstream_is_answered)
{
    static const char *const away[] = {"0.0.0.0:0"};
    struct fake_upstream up;
    struct fixture f;
    uint8_t query[512];
    size_t len = asker_query("ok.test", 1, 5, query);
    uint8_t response[512];
    char first[32];
    const char *home[] = {first};
    struct dns_server_stats stats = {0};
    int udp;
    int tcp;

    fake_upstream_start(&up, 1);
    begin(&f, up.address);
    (void)on_port(dns_server_port(f.server, 0), first);
    listen_now(&f, home, 1, up.address); /* It is patient from now on. */
    atomic_store(&up.stalls, true);
    udp = asker_socket(dns_server_port(f.server, 0), SOCK_DGRAM);
    ck_assert_int_eq(send(udp, query + 2, len - 2, 0), (ssize_t)len - 2);
    tcp = tcp_asked(dns_server_port(f.server, 0), "nx.test", SIZE_MAX);
    for (unsigned tries = 5000; stats.forwarded < 2; tries--) {
        ck_assert_uint_gt(tries, 0);
        (void)usleep(1000);
        dns_server_stats(f.server, &stats);
    }
    listen_now(&f, away, 1, up.address);
    expect_web(dns_server_port(f.server, 0));
    atomic_store(&up.stalls, false);
    ck_assert_int_gt(recv(udp, response, sizeof(response), 0), 12);
    ck_assert_int_eq(response[3] & 15, 0);
    ck_assert_int_eq(response[7], 1);
    expect_tcp(tcp, 3);
    expect_end(tcp, "under way");
    (void)close(udp);
    stop(&f);
    fake_upstream_stop(&up);
}
END_TEST

START_TEST(connections_are_served_and_closed)
{
    static const char *const away[] = {"0.0.0.0:0"};
    struct fixture f;
    uint8_t query[512];
    size_t len = asker_query("web.service.consul", 1, 11, query);
    int served;
    int silent;
    int halfway;
    int fresh;
    uint16_t port;

    begin(&f, NOBODY);
    port = dns_server_port(f.server, 0);
    served = tcp_asked(port, "web.service.consul", SIZE_MAX);
    expect_tcp(served, 0);
    halfway = tcp_asked(port, "web.service.consul", 5);
    fresh = asker_socket(port, SOCK_STREAM);
    silent = asker_socket(port, SOCK_STREAM);
    listen_now(&f, away, 1, NOBODY);
    expect_end(served, "served");
    ck_assert_int_eq(send(halfway, query + 5, len - 5, 0), (ssize_t)len - 5);
    expect_tcp(halfway, 0);
    expect_end(halfway, "halfway");
    ck_assert_int_eq(send(fresh, query, len, 0), (ssize_t)len);
    expect_tcp(fresh, 0);
    expect_end(fresh, "fresh");
    expect_end(silent, "silent"); /* When its time is over. */
    stop(&f);
}
END_TEST

UNIT_MAIN("dns_listen", {
    tcase_add_test(tc, one_that_stays_misses_nothing);
    tcase_add_test(tc, a_port_that_is_taken_changes_nothing);
    tcase_add_test(tc, there_and_back_and_all_addresses);
    tcase_add_test(tc, what_is_under_way_upstream_is_answered);
    tcase_add_test(tc, connections_are_served_and_closed);
})
