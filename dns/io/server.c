#include "dns/io/server.h"

#include <ares.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/core/check.h"
#include "base/core/log.h"
#include "dns/io/worker.h"

enum {
    THREADS_MAX = 16,
    LISTEN_MAX = 16,
    RECURSORS_MAX = 16,
    PORT_ATTEMPTS = 16, /* A free UDP port whose TCP twin is free too. */
    DNS_PORT = 53,
    UDP_BUFFER_BYTES = 1 << 20, /* A burst of a few thousand queries. */
};

struct dns_server {
    struct worker_config worker_config;
    struct buf recursors; /* Text for c-ares. */
    union address listen[LISTEN_MAX];
    size_t listen_count;
    struct publisher publisher;
    struct worker *workers[THREADS_MAX];
    struct reader *readers[THREADS_MAX];
    size_t workers_count;
};

static enum status fail_io(struct err *err, const char *what, const char *text)
{
    return err_set(err, ST_IO, "dns: cannot %s %s: %s", what, text,
                   strerror(errno));
}

/* A bound socket of `type` that shares its address with those of the other
 * workers. */
static enum status open_socket(const union address *address, int type,
                               const char *text, int *out_fd, struct err *err)
{
    int on = 1;
    int size = UDP_BUFFER_BYTES;
    int fd =
        socket(address->any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return fail_io(err, "open a socket for", text);
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (type == SOCK_STREAM) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    } else {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    }
    if (address->any.sa_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    if (bind(fd, &address->any, address_len(address)) != 0) {
        enum status st = fail_io(err, "bind to", text);

        (void)close(fd);
        return st;
    }
    *out_fd = fd;
    return ST_OK;
}

/* Is somebody there already? SO_REUSEPORT would let us share a port with
 * another server of the same user in silence, and each get half the queries. */
static enum status claim(const union address *address, const char *text,
                         struct err *err)
{
    int fd = socket(address->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int on = 1;
    enum status st = ST_OK;

    if (fd < 0) {
        return fail_io(err, "open a socket for", text);
    }
    if (address->any.sa_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    if (bind(fd, &address->any, address_len(address)) != 0) {
        st = fail_io(err, "bind to", text);
    }
    (void)close(fd);
    return st;
}

/* The sockets of one worker for one address. With port 0 the kernel chooses,
 * and *address learns what. */
static enum status open_pair(union address *address, const char *text,
                             int *out_udp, int *out_tcp, struct err *err)
{
    bool any_port = address_port(address) == 0;
    enum status st = ST_IO;

    for (int i = 0; i < (any_port ? PORT_ATTEMPTS : 1); i++) {
        union address bound = *address;
        socklen_t len = sizeof(bound);

        st = open_socket(address, SOCK_DGRAM, text, out_udp, err);
        if (st) {
            return st;
        }
        CHECK(getsockname(*out_udp, &bound.any, &len) == 0);
        st = open_socket(&bound, SOCK_STREAM, text, out_tcp, err);
        if (st == ST_OK) {
            *address = bound;
            return ST_OK;
        }
        (void)close(*out_udp);
    }
    return st;
}

static enum status worker_add(struct dns_server *s,
                              const struct dns_server_config *config,
                              struct err *err)
{
    int udps[LISTEN_MAX] = {0};
    int tcps[LISTEN_MAX] = {0};
    struct worker *w = NULL;
    size_t opened = 0;
    enum status st = ST_OK;

    while (opened < s->listen_count) {
        st = open_pair(&s->listen[opened], config->listen[opened],
                       &udps[opened], &tcps[opened], err);
        if (st) {
            break;
        }
        opened++;
    }
    if (st == ST_OK) {
        struct sockets sockets = {udps, tcps, opened};

        st = dns_worker_new(&s->worker_config, &s->publisher, sockets, &w, err);
        opened = 0; /* The worker's, either way. */
    }
    while (opened-- > 0) {
        (void)close(udps[opened]);
        (void)close(tcps[opened]);
    }
    if (st == ST_OK) {
        s->workers[s->workers_count] = w;
        s->readers[s->workers_count] = &w->reader;
        s->workers_count++;
    }
    return st;
}

static enum status read_listen(struct dns_server *s,
                               const struct dns_server_config *config,
                               struct err *err)
{
    if (config->listen_count == 0 || config->listen_count > LISTEN_MAX) {
        return err_set(err, ST_INVALID,
                       "dns: between 1 and %d addresses to listen on",
                       LISTEN_MAX);
    }
    for (size_t i = 0; i < config->listen_count; i++) {
        enum status st =
            dns_address_parse(config->listen[i], -1, "dns", &s->listen[i], err);

        if (st == ST_OK && address_port(&s->listen[i]) != 0) {
            st = claim(&s->listen[i], config->listen[i], err);
        }
        if (st) {
            return st;
        }
    }
    s->listen_count = config->listen_count;
    return ST_OK;
}

/* Would a question forwarded there come back to us? */
static bool is_own(const struct dns_server *s, const union address *recursor)
{
    for (size_t i = 0; i < s->listen_count; i++) {
        const union address *own = &s->listen[i];

        if (address_port(own) == address_port(recursor) &&
            (slice_eq(address_ip(own), address_ip(recursor)) ||
             (address_is_wildcard(own) && address_is_loopback(recursor)))) {
            return true;
        }
    }
    return false;
}

static enum status read_recursors(struct dns_server *s,
                                  const struct dns_server_config *config,
                                  struct err *err)
{
    if (config->recursors_count > RECURSORS_MAX) {
        return err_set(err, ST_INVALID, "recursor: at most %d", RECURSORS_MAX);
    }
    for (size_t i = 0; i < config->recursors_count; i++) {
        char ip[INET6_ADDRSTRLEN];
        const char *text = config->recursors[i];
        union address a;
        enum status st = dns_address_parse(text, DNS_PORT, "recursor", &a, err);
        bool ipv6 = a.any.sa_family == AF_INET6;

        if (st) {
            return st;
        }
        if (is_own(s, &a)) {
            return err_set(err, ST_INVALID,
                           "recursor \"%s\" is one of our own addresses; a "
                           "question would come back for ever",
                           text);
        }
        CHECK(inet_ntop(a.any.sa_family,
                        ipv6 ? (void *)&a.ipv6.sin6_addr
                             : (void *)&a.ipv4.sin_addr,
                        ip, sizeof(ip)) != NULL);
        CHECK(buf_addf(&s->recursors, "%s%s%s%s:%u", i > 0 ? "," : "",
                       ipv6 ? "[" : "", ip, ipv6 ? "]" : "",
                       address_port(&a)) == ST_OK);
    }
    return ST_OK;
}

static unsigned threads_of(const struct dns_server_config *config)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = config->threads;

    if (threads == 0) {
        threads = processors < 1 ? 1 : (unsigned)processors;
    }
    return threads < THREADS_MAX ? threads : THREADS_MAX;
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value != 0 ? value : otherwise;
}

static void read_limits(struct dns_server *s,
                        const struct dns_server_config *config)
{
    s->worker_config = (struct worker_config){
        .recursors = buf_cstr(&s->recursors),
        .recursors_rotated = config->recursor_order == DNS_RECURSORS_ROTATED,
        .recursor_timeout_ms = or_default(config->recursor_timeout_ms, 2000),
        .udp_max_remote = (uint16_t)or_default(config->udp_max_remote, 1232),
        .tcp_idle_ms = or_default(config->tcp_idle_ms, 10000),
        .tcp_conns_max = or_default(config->tcp_conns_max, 256),
    };
}

enum status dns_server_start(const struct dns_server_config *config,
                             struct dns_server **out_server, struct err *err)
{
    struct dns_server *s = calloc(1, sizeof(*s));
    unsigned threads = threads_of(config);
    enum status st;

    CHECK(s != NULL);
    CHECK(ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS);
    buf_init(&s->recursors, (size_t)RECURSORS_MAX * (INET6_ADDRSTRLEN + 10));
    st = read_listen(s, config, err);
    if (st == ST_OK) {
        st = read_recursors(s, config, err);
    }
    if (st == ST_OK) {
        read_limits(s, config);
    }
    for (unsigned i = 0; i < threads && st == ST_OK; i++) {
        st = worker_add(s, config, err);
    }
    publisher_init(&s->publisher, s->readers, s->workers_count);
    for (unsigned i = 0; i < threads && st == ST_OK; i++) {
        st = dns_worker_start(s->workers[i], err);
    }
    if (st) {
        dns_server_stop(s);
        return st;
    }
    *out_server = s;
    return ST_OK;
}

uint16_t dns_server_port(const struct dns_server *s, size_t index)
{
    CHECK(index < s->listen_count);
    return address_port(&s->listen[index]);
}

void dns_server_publish(struct dns_server *s, struct dns_zone *zone)
{
    publisher_show(&s->publisher, zone);
}

void dns_server_stats(const struct dns_server *s,
                      struct dns_server_stats *out_stats)
{
    struct dns_server_stats sums = {0};

    for (size_t i = 0; i < s->workers_count; i++) {
        const struct counts *c = &s->workers[i]->counts;

#define X(name) \
    sums.name += atomic_load_explicit(&c->name, memory_order_relaxed);
        COUNTS_LIST(X)
#undef X
    }
    *out_stats = sums;
}

void dns_server_stop(struct dns_server *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < s->workers_count; i++) {
        dns_worker_free(s->workers[i]);
    }
    publisher_release(&s->publisher);
    buf_release(&s->recursors);
    ares_library_cleanup();
    free(s);
}
