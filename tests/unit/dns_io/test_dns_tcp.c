/* Connections: order, bounds, readers and senders who take their time. */
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>

#include "dns/core/question.h"
#include "tests/unit/dns_io/fixture.h"

enum {
    IDLE_MS = 700
};

static void start_idle(struct fixture *f, uint32_t idle_ms,
                       const char *recursor)
{
    const char *listen = "127.0.0.1:0";
    struct dns_protection protection;
    struct dns_server_config config = {
        .listen = {.plain = &listen, .plain_count = 1},
        .threads = 1,
        .recursion = {.recursors = &recursor,
                      .recursors_count = recursor == NULL ? 0 : 1,
                      .timeout_ms = 1000},
        .protection = &protection,
    };

    dns_protection_init(&protection);
    protection.tcp_idle_ms = idle_ms;

    start_with(f, "muster.internal.", &config);
}

static size_t frame_query(const char *name, uint16_t type, uint16_t id,
                          uint8_t *out)
{
    size_t len = make_query(name, type, id, 0, out + 2);

    out[0] = (uint8_t)(len >> 8);
    out[1] = (uint8_t)len;
    return len + 2;
}

static void send_query(int fd, const char *name, uint16_t type, uint16_t id)
{
    uint8_t query[514];
    size_t len = frame_query(name, type, id, query);

    ck_assert_int_eq(send(fd, query, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* The next response; its length. */
static size_t read_response(int fd, uint8_t *out)
{
    uint8_t head[2];
    size_t len;

    read_exactly(fd, head, 2);
    len = (size_t)(head[0] << 8 | head[1]);
    read_exactly(fd, out, len);
    return len;
}

static uint16_t read_id(int fd)
{
    uint8_t response[65535];

    ck_assert_uint_ge(read_response(fd, response), 12);
    return (uint16_t)(response[0] << 8 | response[1]);
}

/* Waits (for as long as a client waits) until the server has closed it. */
static void expect_closed(int fd)
{
    uint8_t bytes[4096];
    ssize_t n;

    do {
        n = recv(fd, bytes, sizeof(bytes), 0);
    } while (n > 0);
    ck_assert_msg(n == 0 || errno == ECONNRESET, "it is still open: %s",
                  strerror(errno));
}

static void put_many(struct fixture *f, const char *service, unsigned count)
{
    static char names[200][24];
    static char addresses[200][24];
    static struct dns_instance many[200];

    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "n%u", i);
        (void)snprintf(addresses[i], sizeof(addresses[i]), "10.1.0.%u", i);
        many[i] = (struct dns_instance){.id = names[i],
                                        .node = names[i],
                                        .node_address = addresses[i],
                                        .port = 80};
    }
    dns_model_put_service(f->model, service, many, count);
    publish(f);
}

/* Who has no more to ask may say so and still gets what it asked for. */
START_TEST(half_close_gets_its_answers)
{
    struct fixture f;
    int fd;

    start_idle(&f, 60000, NULL);
    publish(&f);
    fd = client(&f, SOCK_STREAM);
    for (uint16_t i = 1; i <= 3; i++) {
        send_query(fd, "x.service.consul", DNS_TYPE_A, i);
    }
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    for (uint16_t i = 1; i <= 3; i++) {
        ck_assert_uint_eq(read_id(fd), i);
    }
    expect_closed(fd);
    (void)close(fd);
    stop(&f);
}
END_TEST

/* A recursor that never answers: what needs none overtakes, and the question
 * to it is answered in the end although the client has half closed. */
START_TEST(forwarded_queries_hold_up_nobody)
{
    struct sockaddr_in silent = {.sin_family = AF_INET};
    socklen_t len = sizeof(silent);
    int recursor_fd = socket(AF_INET, SOCK_STREAM, 0);
    char recursor[32];
    struct fixture f;
    int fd;

    silent.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(recursor_fd, (struct sockaddr *)&silent, len), 0);
    ck_assert_int_eq(getsockname(recursor_fd, (struct sockaddr *)&silent, &len),
                     0);
    /* Asked as we are, over TCP: it takes the question, and that is all. */
    ck_assert_int_eq(listen(recursor_fd, 8), 0);
    (void)snprintf(recursor, sizeof(recursor), "127.0.0.1:%u",
                   ntohs(silent.sin_port));
    start_idle(&f, 60000, recursor);
    publish(&f);
    fd = client(&f, SOCK_STREAM);
    send_query(fd, "far.example.com", DNS_TYPE_A, 1);
    send_query(fd, "x.service.consul", DNS_TYPE_A, 2);
    ck_assert_uint_eq(read_id(fd), 2);
    send_query(fd, "x.service.consul", DNS_TYPE_A, 3);
    ck_assert_uint_eq(read_id(fd), 3);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    ck_assert_uint_eq(read_id(fd), 1);
    expect_closed(fd);
    (void)close(fd);
    (void)close(recursor_fd);
    stop(&f);
}
END_TEST

/* Two thousand queries for 100 SRV each, some 12 MB of responses, while the
 * client reads at its leisure: all come, in bounded memory. */
START_TEST(a_long_pipeline)
{
    enum {
        QUERIES = 2000
    };
    static uint8_t stream[QUERIES * 64];
    struct fixture f;
    size_t used = 0;
    size_t sent = 0;
    unsigned answered = 0;
    uint8_t response[65535];
    int fd;

    start_idle(&f, 60000, NULL);
    put_many(&f, "many", 100);
    fd = client(&f, SOCK_STREAM);
    for (uint16_t i = 0; i < QUERIES; i++) {
        used +=
            frame_query("many.service.consul", DNS_TYPE_SRV, i, stream + used);
    }
    while (answered < QUERIES) {
        ssize_t n = sent == used ? 0
                                 : send(fd, stream + sent, used - sent,
                                        MSG_DONTWAIT | MSG_NOSIGNAL);

        sent += n > 0 ? (size_t)n : 0;
        ck_assert_uint_gt(read_response(fd, response), 4000);
        ck_assert_uint_eq((unsigned)(response[0] << 8 | response[1]), answered);
        answered++;
    }
    ck_assert_uint_eq(sent, used);
    (void)close(fd);
    stop(&f);
}
END_TEST

/* It asks and does not read. Others are served meanwhile, and it is closed. */
START_TEST(slow_reader)
{
    struct fixture f;
    struct dns_server_stats stats = {0};
    int small = 4096;
    int fd;
    int other;

    start_idle(&f, IDLE_MS, NULL);
    put_many(&f, "many", 100);
    fd = client(&f, SOCK_STREAM);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    for (;;) { /* Until it does not take queries any more. */
        uint8_t query[514];
        size_t len = frame_query("many.service.consul", DNS_TYPE_SRV, 1, query);
        struct pollfd writable = {.fd = fd, .events = POLLOUT};

        if (send(fd, query, len, MSG_DONTWAIT | MSG_NOSIGNAL) < (ssize_t)len &&
            poll(&writable, 1, 100) <= 0) {
            break;
        }
        dns_server_stats(f.server, &stats);
        if (stats.tcp_slow_readers > 0) {
            break;
        }
    }
    other = client(&f, SOCK_STREAM);
    send_query(other, "x.service.consul", DNS_TYPE_A, 7);
    ck_assert_uint_eq(read_id(other), 7);
    for (unsigned i = 0; i < 1000 && stats.tcp_slow_readers == 0; i++) {
        (void)poll(NULL, 0, 10);
        dns_server_stats(f.server, &stats);
    }
    ck_assert_uint_eq(stats.tcp_slow_readers, 1);
    (void)close(other);
    (void)close(fd);
    stop(&f);
}
END_TEST

/* Bytes that never make a query do not keep a connection. */
START_TEST(slow_sender)
{
    struct fixture f;
    struct dns_server_stats stats;
    uint8_t query[514];
    size_t len = frame_query("x.service.consul", DNS_TYPE_A, 1, query);
    struct pollfd readable = {.events = POLLIN};
    bool closed = false;

    start_idle(&f, IDLE_MS, NULL);
    publish(&f);
    readable.fd = client(&f, SOCK_STREAM);
    for (size_t i = 0; i + 1 < len && !closed; i++) {
        ck_assert_int_le(send(readable.fd, query + i, 1, MSG_NOSIGNAL), 1);
        closed = poll(&readable, 1, 200) > 0;
    }
    ck_assert(closed);
    expect_closed(readable.fd);
    dns_server_stats(f.server, &stats);
    ck_assert_uint_eq(stats.tcp_slow_senders, 1);
    (void)close(readable.fd);
    stop(&f);
}
END_TEST

START_TEST(idle_connections_end)
{
    struct fixture f;
    struct dns_server_stats stats;
    int fd;

    start_idle(&f, IDLE_MS, NULL);
    publish(&f);
    fd = client(&f, SOCK_STREAM);
    send_query(fd, "x.service.consul", DNS_TYPE_A, 1);
    ck_assert_uint_eq(read_id(fd), 1);
    expect_closed(fd);
    dns_server_stats(f.server, &stats);
    ck_assert_uint_eq(stats.tcp_idle, 1);
    ck_assert_uint_eq(stats.tcp_conns, 0);
    (void)close(fd);
    stop(&f);
}
END_TEST

START_TEST(too_long_a_query)
{
    struct fixture f;
    struct dns_server_stats stats;
    uint8_t head[2] = {0x20, 0};
    int fd;

    start_idle(&f, 60000, NULL);
    publish(&f);
    fd = client(&f, SOCK_STREAM);
    ck_assert_int_eq(send(fd, head, 2, 0), 2);
    expect_closed(fd);
    dns_server_stats(f.server, &stats);
    ck_assert_uint_eq(stats.malformed_long, 1);
    (void)close(fd);
    stop(&f);
}
END_TEST

/* RFC 7828: who asks how long it may be quiet is told, over TCP only. */
START_TEST(keepalive)
{
    static const struct {
        int type;
        size_t frame;
        bool told;
    } rows[] = {{SOCK_STREAM, 2, true}, {SOCK_DGRAM, 0, false}};
    struct fixture f;

    start_idle(&f, 12300, NULL);
    publish(&f);
    for (size_t i = 0; i < 2; i++) {
        static const uint8_t told[] = {0, 11, 0, 2, 0, 123};
        uint8_t query[600];
        uint8_t response[600];
        size_t len =
            make_query("x.service.consul", DNS_TYPE_A, 1, 1232, query + 2);
        int fd = client(&f, rows[i].type);
        ssize_t n;

        query[2 + len - 1] = 4; /* Length of the options. */
        memcpy(query + 2 + len, "\0\13\0\0", 4);
        len += 4;
        query[0] = 0;
        query[1] = (uint8_t)len;
        len += rows[i].frame;
        ck_assert_int_eq(send(fd, query + 2 - rows[i].frame, len, 0),
                         (ssize_t)len);
        n = recv(fd, response, sizeof(response), 0);
        ck_assert_int_gt(n, 12);
        ck_assert((memmem(response, (size_t)n, told, sizeof(told)) != NULL) ==
                  rows[i].told);
        (void)close(fd);
    }
    stop(&f);
}
END_TEST

UNIT_MAIN("dns_tcp", {
    tcase_add_test(tc, half_close_gets_its_answers);
    tcase_add_test(tc, forwarded_queries_hold_up_nobody);
    tcase_add_test(tc, a_long_pipeline);
    tcase_add_test(tc, slow_reader);
    tcase_add_test(tc, slow_sender);
    tcase_add_test(tc, idle_connections_end);
    tcase_add_test(tc, too_long_a_query);
    tcase_add_test(tc, keepalive);
})
