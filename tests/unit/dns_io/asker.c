#include "tests/unit/dns_io/asker.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/dns_query.h"

int asker_socket(uint16_t port, int type)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval patience = {.tv_sec = 20};
    int fd = socket(AF_INET, type, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return fd;
}

size_t asker_query(const char *name, uint16_t type, uint16_t id, uint8_t *out)
{
    size_t len = make_query(name, type, id, 4096, out + 2);

    out[0] = (uint8_t)(len >> 8);
    out[1] = (uint8_t)len;
    return 2 + len;
}

static void read_all(int fd, uint8_t *into, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = recv(fd, into + at, len - at, 0);

        ck_assert_int_gt(n, 0);
        at += (size_t)n;
    }
}

static ldns_pkt *parse(const uint8_t *query, const uint8_t *response,
                       size_t len)
{
    ldns_pkt *pkt = NULL;

    ck_assert_uint_gt(len, DNS_HEADER_BYTES);
    ck_assert(memcmp(query, response, 2) == 0);
    ck_assert(response[2] & 0x80);
    ck_assert(response[3] & 0x80); /* Recursion is offered. */
    ck_assert(memcmp(query + 12, response + 12,
                     strlen((const char *)query + 12) + 5) == 0);
    ck_assert_int_eq(ldns_wire2pkt(&pkt, response, len), LDNS_STATUS_OK);
    return pkt;
}

ldns_pkt *ask_udp(uint16_t port, const char *name, uint16_t type)
{
    static uint16_t id = 815;
    static uint8_t response[65535];
    uint8_t query[512];
    size_t len = asker_query(name, type, ++id, query);
    int fd = asker_socket(port, SOCK_DGRAM);
    ssize_t n;

    ck_assert_int_eq(send(fd, query + 2, len - 2, 0), (ssize_t)len - 2);
    n = recv(fd, response, sizeof(response), 0);
    ck_assert_msg(n > 0, "no response to %s", name);
    (void)close(fd);
    return parse(query + 2, response, (size_t)n);
}

ldns_pkt *ask_tcp(uint16_t port, const char *name, uint16_t type)
{
    static uint8_t response[65535];
    uint8_t query[512];
    uint8_t head[2];
    size_t len = asker_query(name, type, 4711, query);
    int fd = asker_socket(port, SOCK_STREAM);

    ck_assert_int_eq(send(fd, query, len, 0), (ssize_t)len);
    read_all(fd, head, 2);
    len = (size_t)(head[0] << 8 | head[1]);
    read_all(fd, response, len);
    (void)close(fd);
    return parse(query + 2, response, len);
}

static int ede_of(const ldns_pkt *pkt)
{
    const ldns_rdf *data = ldns_pkt_edns_data(pkt);
    const uint8_t *at = data != NULL ? ldns_rdf_data(data) : NULL;

    return at != NULL && ldns_rdf_size(data) == 6 && at[1] == 15
               ? at[4] << 8 | at[5]
               : -1;
}

const char *say(ldns_pkt *pkt)
{
    static char text[2048];
    size_t used =
        (size_t)snprintf(text, sizeof(text), "%d", ldns_pkt_get_rcode(pkt));

    for (size_t i = 0; i < ldns_pkt_ancount(pkt) && used < 1900; i++) {
        const ldns_rr *rr = ldns_rr_list_rr(ldns_pkt_answer(pkt), i);
        char *data = ldns_rdf2str(ldns_rr_rdf(rr, ldns_rr_rd_count(rr) - 1));

        used += (size_t)snprintf(text + used, sizeof(text) - used, " %s", data);
        free(data);
    }
    if (ede_of(pkt) >= 0) {
        (void)snprintf(text + used, sizeof(text) - used, " e%d", ede_of(pkt));
    }
    ldns_pkt_free(pkt);
    return text;
}
