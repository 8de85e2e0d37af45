/* Secondaries: who may transfer, those who read slowly, and NOTIFY. */
#include <poll.h>
#include <stdio.h>
#include <time.h>

#include "base/core/limits.h"
#include "dns/core/question.h"
#include "dns/core/transfer.h"
#include "dns/io/tsig.h"
#include "tests/unit/dns_io/fixture.h"

enum {
    MANY = 1200, /* Nodes, with some TXT each: more than sockets hold. */
    TEXTS = 10,
};

static const char secret[] = "0123456789abcdef0123456789abcdef";
static const char *const loopback[] = {"127.0.0.0/8"};
static const char *const elsewhere[] = {"192.0.2.0/24"};

static void configure(struct fixture *f, const char *const *networks,
                      const char *notify, uint32_t interval_ms)
{
    static const char *const zones[] = {"muster.internal"};
    struct dns_transfer_key key = {
        "k", "hmac-sha256", {(const uint8_t *)secret, 32}};
    struct dns_transfer_rule allow = {.networks = networks,
                                      .networks_count = 1};
    struct dns_transfer_target target = {.address = notify, .key = "k"};
    struct dns_transfer_config config = {
        .keys = &key,
        .keys_count = 1,
        .allow = &allow,
        .allow_count = 1,
        .notify = &target,
        .notify_count = notify == NULL ? 0 : 1,
        .notify_interval_ms = interval_ms,
        .zones = zones,
        .zones_count = 1,
    };
    struct err err = {0};

    ck_assert_msg(dns_server_transfer(f->server, &config, &err) == ST_OK, "%s",
                  err.text);
}

static void put_nodes(struct fixture *f, unsigned count)
{
    static char text[231];
    char keys[TEXTS][4];
    struct dns_pair meta[TEXTS];

    memset(text, 'x', sizeof(text) - 1);
    for (unsigned i = 0; i < TEXTS; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "k%u", i);
        meta[i] = (struct dns_pair){keys[i], text};
    }
    for (unsigned i = 0; i < count; i++) {
        char name[32];
        struct dns_node node = {.name = name,
                                .address = "10.0.0.1",
                                .meta = meta,
                                .meta_count = TEXTS};

        (void)snprintf(name, sizeof(name), "a-rather-long-name-%u", i);
        dns_model_put_node(f->model, &node);
    }
    publish(f);
}

static void send_framed(int fd, const uint8_t *query, size_t len)
{
    uint8_t framed[600] = {(uint8_t)(len >> 8), (uint8_t)len};

    memcpy(framed + 2, query, len);
    ck_assert_int_eq(send(fd, framed, len + 2, MSG_NOSIGNAL), (ssize_t)len + 2);
}

static size_t read_framed(int fd, uint8_t *out)
{
    uint8_t head[2];
    size_t len;

    read_exactly(fd, head, 2);
    len = (size_t)(head[0] << 8 | head[1]);
    read_exactly(fd, out, len);
    return len;
}

/* ---- Who may ----------------------------------------------------------------
 */

static const struct {
    const char *what;
    const char *name;
    uint16_t type;
    int transport;
    bool configured;
    bool near;    /* The rule has our network. */
    bool unknown; /* Nothing was published. */
    unsigned rcode;
} requests[] = {
    {"allowed", "muster.internal", 252, SOCK_STREAM, true, true, false, 0},
    {"not configured", "muster.internal", 252, SOCK_STREAM, false, true, false,
     DNS_NOTIMP},
    {"not for us", "muster.internal", 252, SOCK_STREAM, true, false, false,
     DNS_REFUSED},
    {"no such zone, and not for us", "example", 252, SOCK_STREAM, true, false,
     false, DNS_REFUSED},
    {"no zone of ours", "example", 252, SOCK_STREAM, true, true, false,
     DNS_NOTAUTH},
    {"not where the zone begins", "web.service.muster.internal", 252,
     SOCK_STREAM, true, true, false, DNS_NOTAUTH},
    {"a zone of ours that is not for secondaries", "consul", 252, SOCK_STREAM,
     true, true, false, DNS_NOTAUTH},
    {"over UDP", "muster.internal", 252, SOCK_DGRAM, true, true, false,
     DNS_FORMERR},
    {"IXFR without a serial", "muster.internal", 251, SOCK_STREAM, true, true,
     false, DNS_FORMERR},
    {"nothing is known yet", "muster.internal", 252, SOCK_STREAM, true, true,
     true, DNS_SERVFAIL},
};

START_TEST(requests_by_row)
{
    struct fixture f;
    uint8_t query[512];
    uint8_t response[65535];
    size_t len;
    int fd;

    start(&f, "muster.internal.", NULL);
    if (!requests[_i].unknown) {
        publish(&f);
    }
    if (requests[_i].configured) {
        configure(&f, requests[_i].near ? loopback : elsewhere, NULL, 0);
    }
    fd = client(&f, requests[_i].transport);
    len = make_query(requests[_i].name, requests[_i].type, 77, 0, query);
    if (requests[_i].transport == SOCK_STREAM) {
        send_framed(fd, query, len);
        len = read_framed(fd, response);
    } else {
        ck_assert_int_eq(send(fd, query, len, 0), (ssize_t)len);
        len = (size_t)recv(fd, response, sizeof(response), 0);
    }
    ck_assert_uint_ge(len, 12);
    ck_assert_msg((response[3] & 15U) == requests[_i].rcode, "%s: %u",
                  requests[_i].what, response[3] & 15U);
    ck_assert_uint_eq(response[7] > 0, requests[_i].rcode == 0);
    (void)close(fd);
    stop(&f);
}
END_TEST

/* ---- How it is sent
 * ----------------------------------------------------------- */

static int ask_for_all(const struct fixture *f)
{
    uint8_t query[512];
    size_t len = make_query("muster.internal", DNS_TYPE_AXFR, 5, 0, query);
    int fd = client(f, SOCK_STREAM);

    send_framed(fd, query, len);
    return fd;
}

/* The serial of a SOA that is the first record behind the question, whose owner
 * is a pointer. */
static uint32_t serial_in(const uint8_t *message)
{
    const uint8_t *at = message + 12 + 17 + 4 + 2 + 10;

    at += 4 + 16 + 12 + 16; /* ns and hostmaster, spelt out. */
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
           (uint32_t)at[2] << 8 | at[3];
}

static bool is_soa_at_end(const uint8_t *message, size_t len)
{
    /* Owner, fixed part, names, numbers. */
    size_t size = 2 + 10 + 4 + 16 + 12 + 16 + 20;

    return len > size && message[len - size] == 0xc0 &&
           message[len - size + 3] == DNS_TYPE_SOA;
}

/* Records up to the SOA at the end. */
static size_t read_transfer(int fd, uint32_t *out_serial)
{
    static uint8_t message[65535];
    size_t count = 0;
    size_t len;
    bool first = true;

    do {
        len = read_framed(fd, message);
        ck_assert_uint_eq(message[3] & 15U, 0);
        count += (size_t)(message[6] << 8 | message[7]);
        if (first) {
            *out_serial = serial_in(message);
        }
        first = false;
    } while (!is_soa_at_end(message, len));
    return count;
}

static bool udp_answers(const struct fixture *f)
{
    uint8_t query[512];
    uint8_t response[512];
    size_t len =
        make_query("a-rather-long-name-0.node.muster.internal", 1, 9, 0, query);
    int fd = client(f, SOCK_DGRAM);
    bool good = send(fd, query, len, 0) == (ssize_t)len &&
                recv(fd, response, sizeof(response), 0) > 12 &&
                response[7] == 1;

    (void)close(fd);
    return good;
}

/* Nobody waits for who does not read; zones come and go meanwhile, and what is
 * read in the end is all of one serial. A question behind it is answered. */
START_TEST(a_slow_reader_gets_one_serial)
{
    struct fixture f;
    struct dns_server_stats stats;
    uint8_t response[65535];
    uint8_t query[512];
    uint32_t serial = 0;
    size_t len;
    int fd;

    start(&f, "muster.internal.", NULL);
    put_nodes(&f, MANY);
    configure(&f, loopback, NULL, 0);
    fd = ask_for_all(&f);
    len = make_query("muster.internal", DNS_TYPE_SOA, 6, 0, query);
    send_framed(fd, query, len);
    /* Something has come: the transfer is open. */
    ck_assert_int_eq(
        poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 20000), 1);
    for (unsigned i = 0; i < 20; i++) {
        put(&f, "web", "10.0.0.9", (uint16_t)i);
        publish(&f);
        ck_assert(udp_answers(&f));
    }
    /* Each node by two names; SOA twice, NS. */
    ck_assert_uint_eq(read_transfer(fd, &serial), 2 * MANY * (1 + TEXTS) + 3);
    ck_assert_uint_eq(serial, 1);
    len = read_framed(fd, response);
    ck_assert_uint_gt(len, 12);
    ck_assert_uint_eq(response[1], 6);
    (void)close(fd);
    fd = ask_for_all(&f);
    (void)read_transfer(fd, &serial);
    ck_assert_uint_eq(serial, f.revision);
    (void)close(fd);
    dns_server_stats(f.server, &stats);
    ck_assert_uint_eq(stats.transfers_broken, 0);
    stop(&f);
}
END_TEST

/* More than so many at a time are turned away; who goes makes room. */
START_TEST(transfers_are_bounded)
{
    static uint8_t message[65535];
    struct fixture f;
    int fds[LIMIT_DNS_TRANSFERS];
    unsigned rcode = DNS_SERVFAIL;
    int fd;
    const char *listen = "127.0.0.1:0";
    struct dns_server_config config = {
        .listen = {.plain = &listen, .plain_count = 1}, .threads = 2};

    start_with(&f, "muster.internal.", &config);
    put_nodes(&f, MANY);
    configure(&f, loopback, NULL, 0);
    for (int i = 0; i < LIMIT_DNS_TRANSFERS; i++) {
        fds[i] = ask_for_all(&f);
        (void)read_framed(fds[i], message);
        ck_assert_uint_eq(message[3] & 15U, 0);
    }
    fd = ask_for_all(&f);
    (void)read_framed(fd, message);
    ck_assert_uint_eq(message[3] & 15U, DNS_SERVFAIL);
    (void)close(fd);
    (void)close(fds[0]);
    while (rcode == DNS_SERVFAIL) { /* Until the server has seen it. */
        fd = ask_for_all(&f);
        (void)read_framed(fd, message);
        rcode = message[3] & 15U;
        (void)close(fd);
    }
    ck_assert_uint_eq(rcode, 0);
    /* The others are there while the server ends. */
    stop(&f);
    for (int i = 1; i < LIMIT_DNS_TRANSFERS; i++) {
        (void)close(fds[i]);
    }
}
END_TEST

/* ---- NOTIFY
 * -------------------------------------------------------------------- */

/* Our key, as a secondary has it. */
static struct tsig_key own_key(void)
{
    struct tsig_key key = {.algorithm = TSIG_HMAC_SHA256, .secret_len = 32};

    memcpy(key.secret, secret, 32);
    ck_assert(dns_name_add_text(&key.name, slice_str("k")));
    ck_assert(dns_name_end(&key.name));
    return key;
}

static int secondary_socket(char out_address[32])
{
    struct sockaddr_in own = {.sin_family = AF_INET};
    struct timeval patience = {.tv_sec = 20};
    socklen_t len = sizeof(own);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&own, &len), 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)snprintf(out_address, 32, "127.0.0.1:%u", ntohs(own.sin_port));
    return fd;
}

struct told {
    struct sockaddr_in from;
    struct tsig tsig;
    uint8_t message[1024];
    size_t len;
};

static void hear(int fd, const struct tsig_key *key, struct told *t)
{
    socklen_t from_len = sizeof(t->from);
    ssize_t len = recvfrom(fd, t->message, sizeof(t->message), 0,
                           (struct sockaddr *)&t->from, &from_len);
    size_t at = 0;

    ck_assert_int_gt(len, 12);
    t->len = (size_t)len;
    ck_assert_uint_eq(t->message[2] & 0x78, 0x20);
    ck_assert(tsig_find(slice_of(t->message, t->len), &at));
    ck_assert_int_eq(tsig_request(slice_of(t->message, t->len), at, key, 1,
                                  (uint64_t)time(NULL), &t->tsig),
                     TSIG_GOOD);
}

enum flaw {
    FLAW_NONE,
    FLAW_ID,
    FLAW_QUESTION,
    FLAW_UNSIGNED,
};

static void answer(int fd, struct told *t, enum flaw flaw)
{
    uint8_t out[1024 + TSIG_ROOM] = {0};
    size_t len = 12 + 17 + 4;

    memcpy(out, t->message, len);
    out[1] = (uint8_t)(out[1] ^ (flaw == FLAW_ID));
    out[2] |= 0x80;
    memset(out + 6, 0, 6);
    out[14] = (uint8_t)(out[14] ^ (flaw == FLAW_QUESTION));
    if (flaw != FLAW_UNSIGNED) {
        len = tsig_sign(&t->tsig, out, len, (uint64_t)time(NULL));
    }
    ck_assert_int_eq(
        sendto(fd, out, len, 0, (struct sockaddr *)&t->from, sizeof(t->from)),
        (ssize_t)len);
}

static struct dns_transfer_stats stats_of(const struct fixture *f)
{
    struct dns_transfer_stats stats;

    dns_server_transfer_stats(f->server, &stats);
    return stats;
}

/* It is repeated until an answer comes that counts; then there is no other one
 * before its time, however much changes. */
START_TEST(notify_is_repeated_and_rare)
{
    struct fixture f;
    struct tsig_key key = own_key();
    struct told first;
    struct told again;
    char address[32];
    uint32_t serial = 0;
    int fd = secondary_socket(address);
    int tcp;

    start(&f, "muster.internal.", NULL);
    publish(&f);
    configure(&f, loopback, address, 3600000);
    hear(fd, &key, &first);
    ck_assert_uint_eq(serial_in(first.message), 1);
    answer(fd, &first, FLAW_ID);
    answer(fd, &first, FLAW_QUESTION);
    answer(fd, &first, FLAW_UNSIGNED);
    hear(fd, &key, &again);
    ck_assert_mem_eq(first.message, again.message, 2);
    ck_assert_uint_eq(stats_of(&f).notify_answered, 0);
    answer(fd, &again, FLAW_NONE);
    while (stats_of(&f).notify_answered == 0) {
        ck_assert(poll(NULL, 0, 10) == 0);
    }
    for (unsigned i = 0; i < 20; i++) {
        put(&f, "web", "10.0.0.9", (uint16_t)i);
        publish(&f);
        tcp = ask_for_all(&f);
        (void)read_transfer(tcp, &serial);
        ck_assert_uint_eq(serial, f.revision);
        (void)close(tcp);
    }
    ck_assert_uint_eq(stats_of(&f).notify_sent, 2);
    /* Rules read again: what was due is told now. */
    configure(&f, loopback, address, 0);
    hear(fd, &key, &again);
    ck_assert_uint_eq(serial_in(again.message), f.revision);
    answer(fd, &again, FLAW_NONE);
    put(&f, "web", "10.0.0.9", 99);
    publish(&f);
    hear(fd, &key, &again);
    ck_assert_uint_eq(serial_in(again.message), f.revision);
    (void)close(fd);
    stop(&f);
}
END_TEST

/* ---- Configuration
 * --------------------------------------------------------------- */

static const struct {
    const char *what;
    const char *name;
    const char *algorithm;
    size_t secret_len;
    const char *allow_key;
    const char *network;
    const char *notify;
    const char *message;
} configs[] = {
    {"good", "k", "hmac-sha256", 32, "k", "10.0.0.0/8", "10.0.0.1", NULL},
    {"good, by network", "k", "HMAC-SHA512", 32, NULL, "::1", "[::1]:5353",
     NULL},
    {"SHA-1", "k", "hmac-sha1", 32, "k", NULL, NULL, "hmac-sha256"},
    {"a short secret", "k", "hmac-sha256", 15, "k", NULL, NULL, "16 to"},
    {"a bad name", "a..b", "hmac-sha256", 32, NULL, "::1", NULL, "DNS name"},
    {"no such key", "k", "hmac-sha256", 32, "l", NULL, NULL, "\"l\""},
    {"everybody", "k", "hmac-sha256", 32, NULL, NULL, NULL, "0.0.0.0/0"},
    {"no network", "k", "hmac-sha256", 32, NULL, "10.0.0.1/8", NULL,
     "not a network"},
    {"no address", "k", "hmac-sha256", 32, "k", NULL, "secondary.example",
     "not an IP address"},
};

START_TEST(configurations_by_row)
{
    struct dns_transfer_key key = {
        configs[_i].name,
        configs[_i].algorithm,
        {(const uint8_t *)secret, configs[_i].secret_len}};
    struct dns_transfer_rule allow = {.networks = &configs[_i].network,
                                      .networks_count =
                                          configs[_i].network == NULL ? 0 : 1,
                                      .key = configs[_i].allow_key};
    struct dns_transfer_target target = {.address = configs[_i].notify};
    struct dns_transfer_config config = {
        .keys = &key,
        .keys_count = 1,
        .allow = &allow,
        .allow_count = 1,
        .notify = &target,
        .notify_count = configs[_i].notify == NULL ? 0 : 1,
    };
    struct err err = {0};
    struct fixture f;
    enum status st;

    start(&f, "muster.internal.", NULL);
    st = dns_server_transfer(f.server, &config, &err);
    if (configs[_i].message == NULL) {
        ck_assert_msg(st == ST_OK, "%s: %s", configs[_i].what, err.text);
    } else {
        ck_assert_msg(st != ST_OK &&
                          strstr(err.text, configs[_i].message) != NULL,
                      "%s: %s", configs[_i].what, err.text);
        ck_assert(strstr(err.text, secret) == NULL);
    }
    stop(&f);
}
END_TEST

UNIT_MAIN("dns_secondary", {
    tcase_add_loop_test(tc, requests_by_row, 0, COUNT_OF(requests));
    tcase_add_test(tc, a_slow_reader_gets_one_serial);
    tcase_add_test(tc, transfers_are_bounded);
    tcase_add_test(tc, notify_is_repeated_and_rare);
    tcase_add_loop_test(tc, configurations_by_row, 0, COUNT_OF(configs));
})
