#include "dns/io/server.h"

#include <ares.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "dns/io/recursion.h"
#include "dns/io/server_impl.h"
#include "dns/io/transfers.h"
#include "dns/io/upstream.h"

/* The rules of `config`, which must not lead back to where we listen. */
static enum status read_recursion(const struct socket_set *sockets,
                                  const struct dns_recursion_config *config,
                                  struct recursion **out, struct err *err)
{
    union address own[WORKER_LISTENERS_MAX];

    for (size_t i = 0; i < sockets->count; i++) {
        own[i] = sockets->listeners[i].address;
    }
    return recursion_new(config, own, sockets->count, out, err);
}

static void read_limits(struct dns_server *s,
                        const struct dns_server_config *config)
{
    s->worker_config = (struct worker_config){
        .gate = s->waits ? &s->gate : NULL,
        .woke = config->woke,
        .woke_arg = config->woke_arg,
        .upstream = s->upstream,
        .recursion = s->recursion,
        .transfers = s->transfers,
        .protection = s->protection,
    };
}

void dns_protection_init(struct dns_protection *p)
{
    static const char *const private[] = {"10.0.0.0/8",     "172.16.0.0/12",
                                          "192.168.0.0/16", "169.254.0.0/16",
                                          "fc00::/7",       "fe80::/10"};

    *p = (struct dns_protection){.rate = {.per_second = 200, .slip = 2},
                                 .tcp_idle_ms = 10000,
                                 .tcp_conns_max = 1024,
                                 .tcp_conns_per_client = 128,
                                 .udp_max_remote = 1232,
                                 .cookies = true};
    for (size_t i = 0; i < sizeof(private) / sizeof(private[0]); i++) {
        CHECK(dns_network_parse(private[i],
                                &p -> networks[p->networks_count++]) == ST_OK);
    }
}

/* A server that was given no key for cookies keeps the one it made. */
static void read_protection(struct dns_server *s,
                            const struct dns_protection *given)
{
    static const uint8_t zeros[DNS_COOKIE_KEY_BYTES];
    struct dns_protection *p = &s->protection;
    uint8_t own[DNS_COOKIE_KEY_BYTES];

    memcpy(own, p->cookie_key, sizeof(own));
    if (given != NULL) {
        *p = *given;
    } else {
        dns_protection_init(p);
    }
    if (memcmp(p->cookie_key, zeros, sizeof(zeros)) == 0) {
        memcpy(p->cookie_key, own, sizeof(own));
    }
    OPENSSL_cleanse(own, sizeof(own));
}

void dns_server_protect(struct dns_server *s,
                        const struct dns_protection *protection)
{
    read_protection(s, protection);
    for (size_t i = 0; i < s->workers_count; i++) {
        dns_worker_protect(s->workers[i], &s->protection);
    }
}

bool dns_server_pulse(struct dns_server *s)
{
    bool alive = upstream_pulse(s->upstream);

    for (size_t i = 0; i < s->workers_count; i++) {
        alive = dns_worker_pulse(s->workers[i]) && alive;
    }
    return alive;
}

/* Where NOTIFY may come from. */
static void own_addresses(struct dns_server *s)
{
    union address own[WORKER_LISTENERS_MAX];

    for (size_t i = 0; i < s->sockets.count; i++) {
        own[i] = s->sockets.listeners[i].address;
    }
    transfers_listen(s->transfers, own, s->sockets.count);
}

static void gate_open(struct dns_server *s)
{
    for (size_t i = 0; i < s->workers_count && s->waits && !s->open; i++) {
        uv_sem_post(&s->gate);
    }
    s->open = true;
}

/* The first sockets, and what goes with them. */
static enum status open_first(struct dns_server *s,
                              const struct dns_server_config *config,
                              struct listen_change *out_change, struct err *err)
{
    if (config->sockets_count > 0) {
        s->handed = true;
        return listen_change_adopt(s, config, out_change, err);
    }
    if (config->listen.plain_count + config->listen.tls_count == 0) {
        return err_set(err, ST_INVALID,
                       "dns: between 1 and %d addresses to listen on",
                       LISTEN_MAX);
    }
    return listen_change_prepare(s, &config->listen, out_change, err);
}

static enum status workers_start(struct dns_server *s, struct err *err)
{
    enum status st = ST_OK;

    s->readers[s->workers_count] = transfers_reader(s->transfers);
    publisher_init(&s->publisher, s->readers, s->workers_count + 1);
    for (size_t i = 0; i < s->workers_count && st == ST_OK; i++) {
        st = dns_worker_start(s->workers[i], err);
    }
    return st;
}

static void workers_make(struct dns_server *s)
{
    for (size_t i = 0; i < s->threads; i++) {
        s->workers[i] = dns_worker_new(&s->worker_config, &s->publisher);
        s->readers[i] = &s->workers[i]->reader;
        s->workers_count++;
    }
}

static struct dns_server *server_new(const struct dns_server_config *config)
{
    struct dns_server *s = calloc(1, sizeof(*s));

    CHECK(s != NULL);
    s->threads = dns_threads(config);
    s->waits = config->waits;
    if (s->waits) {
        CHECK(uv_sem_init(&s->gate, 0) == 0);
    }
    CHECK(ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS);
    s->upstream = upstream_new();
    s->transfers = transfers_new(&s->publisher);
    socket_set_init(&s->sockets);
    CHECK(RAND_bytes(s->protection.cookie_key,
                     sizeof(s->protection.cookie_key)) == 1);
    read_protection(s, config->protection);
    return s;
}

enum status dns_server_start(const struct dns_server_config *config,
                             struct dns_server **out_server, struct err *err)
{
    struct dns_server *s = server_new(config);
    struct listen_change change = {0};
    enum status st = open_first(s, config, &change, err);

    if (st == ST_OK) {
        st = read_recursion(&change.next, &config->recursion, &s->recursion,
                            err);
    }
    if (st == ST_OK) {
        st = upstream_set(s->upstream, s->recursion, err);
    }
    if (st == ST_OK) {
        read_limits(s, config);
        workers_make(s);
        listen_change_commit(s, &change);
        own_addresses(s);
        st = workers_start(s, err);
    } else {
        listen_change_drop(&change);
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

/* Takes `r` over. */
static enum status set_recursion(struct dns_server *s, struct recursion *r,
                                 struct err *err)
{
    enum status st = upstream_set(s->upstream, r, err);

    if (st) {
        recursion_unref(r);
        return st;
    }
    for (size_t i = 0; i < s->workers_count; i++) {
        forwarder_set(s->workers[i]->forwarder, r);
    }
    recursion_unref(s->recursion);
    s->recursion = r;
    return ST_OK;
}

enum status dns_server_recursion(struct dns_server *s,
                                 const struct dns_recursion_config *config,
                                 struct err *err)
{
    struct recursion *r = NULL;
    enum status st = read_recursion(&s->sockets, config, &r, err);

    return st ? st : set_recursion(s, r, err);
}

enum status dns_server_transfer(struct dns_server *s,
                                const struct dns_transfer_config *config,
                                struct err *err)
{
    struct transfer_rules *rules = NULL;
    enum status st = transfer_rules_new(config, &rules, err);

    return st ? st : transfers_set(s->transfers, rules, err);
}

/* What is opened, read and checked, but in force nowhere yet. */
struct prepared {
    struct listen_change listen;
    bool listens; /* It is there. */
    struct recursion *recursion;
    struct transfer_rules *rules;
};

static void prepared_drop(struct prepared *p)
{
    if (p->listens) {
        listen_change_drop(&p->listen);
    }
    recursion_unref(p->recursion);
    transfer_rules_unref(p->rules);
}

static enum status prepare(struct dns_server *s,
                           const struct dns_recursion_config *recursion,
                           const struct dns_transfer_config *transfer,
                           const struct dns_listen_config *listen,
                           struct prepared *p, struct err *err)
{
    enum status st = ST_OK;

    if (listen != NULL && !s->handed) {
        p->listens = true;
        st = listen_change_prepare(s, listen, &p->listen, err);
    }
    if (st == ST_OK) {
        st = read_recursion(p->listens ? &p->listen.next : &s->sockets,
                            recursion, &p->recursion, err);
    }
    if (st == ST_OK) {
        st = transfer_rules_new(transfer, &p->rules, err);
    }
    return st;
}

enum status dns_server_configure(struct dns_server *s,
                                 const struct dns_recursion_config *recursion,
                                 const struct dns_transfer_config *transfer,
                                 const struct dns_listen_config *listen,
                                 struct err *err)
{
    struct prepared p = {0};
    struct recursion *r;
    enum status st = prepare(s, recursion, transfer, listen, &p, err);

    if (st == ST_OK) {
        r = p.recursion;
        p.recursion = NULL;
        st = set_recursion(s, r, err);
    }
    if (st) {
        prepared_drop(&p);
        return st;
    }
    st = transfers_set(s->transfers, p.rules, err);
    if (st == ST_OK && p.listens) {
        listen_change_commit(s, &p.listen);
        own_addresses(s);
    } else if (p.listens) {
        listen_change_drop(&p.listen);
    }
    return st;
}

void dns_server_transfer_stats(struct dns_server *s,
                               struct dns_transfer_stats *out_stats)
{
    transfers_stats(s->transfers, out_stats);
}

void dns_server_upstream_stats(struct dns_server *s,
                               struct dns_upstream_stats *out_stats)
{
    upstream_stats(s->upstream, out_stats);
}

void dns_server_publish(struct dns_server *s, struct dns_zone *zone)
{
    publisher_show(&s->publisher, zone);
    gate_open(s);
    transfers_published(s->transfers);
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
    gate_open(s); /* Who waits would never hear that it is to end. */
    transfers_stop(s->transfers);
    upstream_stop(s->upstream); /* It hands back what the workers wait for. */
    for (size_t i = 0; i < s->workers_count; i++) {
        dns_worker_free(s->workers[i]);
    }
    upstream_free(s->upstream);
    transfers_free(s->transfers);
    recursion_unref(s->recursion);
    publisher_release(&s->publisher);
    socket_set_release(&s->sockets);
    server_tls_release(&s->tls);
    if (s->waits) {
        uv_sem_destroy(&s->gate);
    }
    ares_library_cleanup();
    free(s);
}
