/*
 * fixture.h - a DNS server with its model, and a client's end of a socket.
 */
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dns/core/model.h"
#include "dns/core/name.h"
#include "dns/io/server.h"
#include "tests/unit/dns_query.h"
#include "tests/unit/suite.h"

/* A server and its model. */
struct fixture {
    struct dns_model *model;
    struct dns_server *server;
    uint64_t revision;
};

static inline void start_with(struct fixture *f, const char *domain,
                              const struct dns_server_config *config)
{
    struct dns_settings settings;
    struct err err = {0};

    *f = (struct fixture){0};
    dns_settings_init(&settings);
    settings.domain = domain;
    ck_assert_int_eq(
        dns_model_new(&settings, (struct hash_key){7, 9}, &f->model, &err),
        ST_OK);
    ck_assert_msg(dns_server_start(config, &f->server, &err) == ST_OK, "%s",
                  err.text);
}

static inline void start_on(struct fixture *f, const char *listen,
                            const char *domain, const char *recursor)
{
    struct dns_protection protection;
    struct dns_server_config config = {
        .listen = {.plain = &listen, .plain_count = 1},
        .threads = 2,
        .recursion = {.recursors = &recursor,
                      .recursors_count = recursor == NULL ? 0 : 1,
                      .timeout_ms = 300},
        .protection = &protection,
    };

    dns_protection_init(&protection);
    protection.tcp_idle_ms = 60000;
    protection.tcp_conns_max = 4;

    start_with(f, domain, &config);
}

static inline void start(struct fixture *f, const char *domain,
                         const char *recursor)
{
    start_on(f, "127.0.0.1:0", domain, recursor);
}

static inline void publish(struct fixture *f)
{
    dns_server_publish(f->server,
                       dns_model_commit(f->model, ++f->revision, DNS_FRESH));
}

static inline void put(struct fixture *f, const char *service,
                       const char *address, uint16_t port)
{
    struct dns_instance one = {.id = "1",
                               .node = "n1",
                               .node_address = "10.0.0.1",
                               .address = address,
                               .port = port,
                               .weight_passing = 1};

    dns_model_put_service(f->model, service, &one, 1);
}

static inline void stop(struct fixture *f)
{
    dns_server_stop(f->server);
    dns_model_free(f->model);
}

static inline int client(const struct fixture *f, int type)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(dns_server_port(f->server, 0))};
    struct timeval patience = {.tv_sec = 10};
    int fd = socket(AF_INET, type, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    ck_assert_int_eq(
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)),
        0);
    return fd;
}

static inline void read_exactly(int fd, uint8_t *into, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = recv(fd, into + at, len - at, 0);

        ck_assert_msg(n > 0, "the connection ended early");
        at += (size_t)n;
    }
}
