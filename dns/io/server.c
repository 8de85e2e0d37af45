#include "dns/io/server.h"

#include <ares.h>
#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/io/tls.h"
#include "dns/io/sockets.h"
#include "dns/io/worker.h"

enum {
    RECURSORS_MAX = 16,
    DNS_PORT = 53,
};

struct dns_server {
    struct worker_config worker_config;
    struct buf recursors;      /* Text for c-ares. */
    struct socket_set sockets; /* Addresses; dealt out. */
    struct tls_files tls;
    uint8_t ticket_key[TLS_TICKET_KEY_BYTES];
    struct publisher publisher;
    struct worker *workers[THREADS_MAX];
    struct reader *readers[THREADS_MAX];
    size_t workers_count;
};

/* Would a question forwarded there come back to us? */
static bool is_own(const struct dns_server *s, const union address *recursor)
{
    for (size_t i = 0; i < s->sockets.count; i++) {
        const union address *own = &s->sockets.listeners[i].address;

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

static enum status worker_add(struct dns_server *s, unsigned threads,
                              struct err *err)
{
    struct dealt dealt;
    struct worker *w = NULL;
    enum status st =
        socket_set_deal(&s->sockets, &dealt, s->workers_count, threads, err);

    if (st) {
        dealt_close(&dealt);
        return st;
    }
    st = dns_worker_new(&s->worker_config, &s->publisher, dealt.sockets, &w,
                        err);
    if (st == ST_OK) {
        s->workers[s->workers_count] = w;
        s->readers[s->workers_count] = &w->reader;
        s->workers_count++;
    }
    return st;
}

/* Workers share the key of the session tickets: the kernel decides to which of
 * them a client comes back. */
static enum status read_tls(struct dns_server *s,
                            const struct dns_server_config *config,
                            struct err *err)
{
    bool wanted = false;

    for (size_t i = 0; i < s->sockets.count; i++) {
        wanted = wanted || s->sockets.listeners[i].tls;
    }
    if (!wanted) {
        return ST_OK;
    }
    if (config->tls == NULL) {
        return err_set(err, ST_INVALID,
                       "dns over TLS needs a certificate and its key");
    }
    CHECK(RAND_bytes(s->ticket_key, sizeof(s->ticket_key)) == 1);
    s->tls = *config->tls;
    s->tls.alpn = "dot";
    s->tls.ticket_key = s->ticket_key;
    s->worker_config.tls = &s->tls;
    return ST_OK;
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
        .tcp_conns_max = or_default(config->tcp_conns_max, 1024),
        .tcp_conns_per_client = or_default(config->tcp_conns_per_client, 128),
    };
}

enum status dns_server_start(const struct dns_server_config *config,
                             struct dns_server **out_server, struct err *err)
{
    struct dns_server *s = calloc(1, sizeof(*s));
    unsigned threads = dns_threads(config);
    enum status st;

    CHECK(s != NULL);
    CHECK(ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS);
    buf_init(&s->recursors, (size_t)RECURSORS_MAX * (INET6_ADDRSTRLEN + 10));
    socket_set_init(&s->sockets);
    st = socket_set_open(&s->sockets, config, err);
    if (st == ST_OK) {
        st = read_recursors(s, config, err);
    }
    if (st == ST_OK) {
        read_limits(s, config);
        st = read_tls(s, config, err);
    }
    for (unsigned i = 0; i < threads && st == ST_OK; i++) {
        st = worker_add(s, threads, err);
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

static uint16_t port_of(const struct dns_server *s, bool tls, size_t index)
{
    for (size_t i = 0; i < s->sockets.count; i++) {
        const struct listener *l = &s->sockets.listeners[i];

        if (l->stream == tls && l->tls == tls && index-- == 0) {
            return address_port(&l->address);
        }
    }
    return 0;
}

uint16_t dns_server_port(const struct dns_server *s, size_t index)
{
    return port_of(s, false, index);
}

uint16_t dns_server_tls_port(const struct dns_server *s, size_t index)
{
    return port_of(s, true, index);
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
    socket_set_release(&s->sockets);
    OPENSSL_cleanse(s->ticket_key, sizeof(s->ticket_key));
    buf_release(&s->recursors);
    ares_library_cleanup();
    free(s);
}
