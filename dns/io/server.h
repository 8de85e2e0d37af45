/*
 * server.h - the DNS server: threads, sockets, forwarding.
 *
 * Each worker thread has its own UDP socket and TCP listener on every address
 * (SO_REUSEPORT), takes queries in batches and answers from the last published
 * zone without a lock. Before the first publication every question gets
 * SERVFAIL. Names that are not ours go to the recursors (c-ares) for clients on
 * loopback and listed networks; other clients, and everybody when there are no
 * recursors, get REFUSED. One more thread asks the recursors, so that equal
 * questions of all workers are one; what they say is in a cache for all.
 *
 * start, publish, stats and stop are called from one thread, the one that owns
 * the model.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/err.h"
#include "dns/core/network.h"
#include "dns/core/rate.h"
#include "dns/core/recursors.h"
#include "dns/core/zone.h"

/* A recursor for the names of one domain. */
struct dns_domain_recursor {
    const char *domain; /* "corp.example" */
    const char *recursor;
};

/* Addresses are "ip", "ip:port", "[v6]:port"; port 53 if absent. */
struct dns_recursion_config {
    const char *const *recursors;
    size_t recursors_count;
    const struct dns_domain_recursor *domains; /* The longest domain counts. */
    size_t domains_count;
    enum dns_recursor_order order;
    uint32_t timeout_ms;     /* For each recursor; 0: 2 000 */
    const char *const *from; /* Networks that may have names of others. */
    size_t from_count;
    size_t cache_bytes;     /* 0: no cache. */
    size_t cache_entries;   /* 0: as many as the bytes allow. */
    uint32_t ttl_max_s;     /* No TTL above it is believed; 0: a day. */
    uint32_t stale_max_s;   /* RFC 8767; 0: nothing stale is served. */
    uint32_t stale_wait_ms; /* How long a client waits for better; 0: 1 800 */
};

/* A bound socket, UDP or TCP, that is handed over; for TLS when so marked. */
struct dns_socket {
    int fd;
    bool tls;
};

/* Addresses (16 plain ones with UDP and TCP, 16 with TLS) times 16 workers. */
#define DNS_SOCKETS_MAX (3 * 16 * 16)

struct tls_files;

#define DNS_COOKIE_KEY_BYTES    32
#define DNS_PROTECTION_NETS_MAX 64

/* Against floods, and against being used to flood others. Rates are not for
 * loopback, TCP, or clients with a good cookie. */
struct dns_protection {
    /* Responses over UDP a second for each IPv4 /24 and IPv6 /56, in each
     * worker; 0: as many as they ask for. */
    struct dns_rate_limits rate;
    struct dns_network networks[DNS_PROTECTION_NETS_MAX]; /* Not limited. */
    size_t networks_count;
    uint32_t tcp_idle_ms;          /* Then a quiet connection is closed. */
    uint32_t tcp_conns_max;        /* A worker; then the idlest is closed. */
    uint32_t tcp_conns_per_client; /* Of an IPv4 /24 or IPv6 /56, a worker; then
                                      newcomers are closed. */
    uint16_t udp_max_remote;       /* Largest UDP response off loopback. */
    bool cookies;                  /* RFC 7873. */
    uint8_t cookie_key[DNS_COOKIE_KEY_BYTES]; /* All zero: one of this server's
                                                 own, until it stops. */
};

/* 200 a second, slip 2, private networks unlimited, cookies, 1 232 bytes over
 * UDP; 1 024 connections, 128 of one client, 10 s. */
void dns_protection_init(struct dns_protection *p);

/* The machine has slept; `offset_ms` is by how much boot time is ahead of the
 * monotonic clock by now. On a worker's thread, before the first answer that
 * follows; the worker waits for it to return. */
typedef void dns_woke_fn(void *arg, int64_t offset_ms);

struct dns_transfer_key {
    const char *name;      /* "site.example" */
    const char *algorithm; /* "hmac-sha256" */
    struct slice secret;   /* 16 to LIMIT_DNS_TSIG_SECRET bytes. */
};

/* Who comes from one of the networks and signs with the key may transfer. */
struct dns_transfer_rule {
    const char *const *networks;
    size_t networks_count; /* 0: from anywhere. */
    const char *key;       /* NULL: unsigned. */
};

struct dns_transfer_target {
    const char *address; /* "192.0.2.1", "192.0.2.1:5353" */
    const char *key;     /* NULL: unsigned. */
};

/* Secondaries: AXFR, IXFR, NOTIFY, and queries with TSIG. Without rules there
 * are none, and AXFR is NOTIMP. */
struct dns_transfer_config {
    const struct dns_transfer_key *keys;
    size_t keys_count;
    const struct dns_transfer_rule *allow;
    size_t allow_count;
    const struct dns_transfer_target *notify;
    size_t notify_count;
    uint32_t notify_interval_ms; /* Least time from one to the next. */
    const char *const *zones;    /* Which of our domains. */
    size_t zones_count;          /* 0: all. */
    const char *serial_path; /* For serials ahead of the store; NULL: nowhere */
};

/* Where to listen. Strings are copied. */
struct dns_listen_config {
    const char *const *plain; /* UDP and TCP: "127.0.0.1:8600", "[::1]:0" */
    size_t plain_count;
    const char *const *tls; /* DNS over TLS. */
    size_t tls_count;
    const struct tls_files *files; /* Certificate and key; NULL: no TLS. Read at
                                      the start, and again when they change. */
    bool clients_verified; /* They must show a certificate of files->ca. */
};

struct dns_server_config {
    dns_woke_fn *woke; /* NULL: nobody wants to know. */
    void *woke_arg;
    struct dns_listen_config listen;
    const struct dns_socket *sockets; /* Instead of all of listen; the server's
                                         from the call on, whatever comes. */
    size_t sockets_count;
    unsigned threads; /* 0: one a processor, at most 16. */
    bool waits;       /* Questions wait in their sockets for the first zone. */
    struct dns_recursion_config recursion;
    const struct dns_protection *protection; /* Copied; NULL: as initialised. */
};

struct dns_server;

/* Opens the sockets and starts the workers. ST_INVALID: an address does not
 * parse, there is none, or a recursor is one of our own addresses; ST_IO: a
 * socket could not be opened or bound; ST_DENIED: we may not bind a port that
 * low. `err` says which and why. */
enum status dns_server_start(const struct dns_server_config *config,
                             struct dns_server **out_server, struct err *err);

/* The port of listen.plain[index], as it is now, which may have been given as
 * 0; of the index-th UDP socket that was handed over. 0: there is none. */
uint16_t dns_server_port(const struct dns_server *s, size_t index);
uint16_t dns_server_tls_port(const struct dns_server *s, size_t index);

/* Other recursors, rules and limits from now on; what is under way ends as it
 * began, and the cache keeps what fits. ST_INVALID: as at the start, and
 * everything stays as it was. */
enum status dns_server_recursion(struct dns_server *s,
                                 const struct dns_recursion_config *config,
                                 struct err *err);

/* Other secondaries from now on; transfers that are under way go on. Everything
 * is copied. ST_INVALID, ST_NOT_FOUND (a key that is not there), ST_IO: `err`
 * says what, and everything stays as it was. */
enum status dns_server_transfer(struct dns_server *s,
                                const struct dns_transfer_config *config,
                                struct err *err);

/* Both of these and the addresses, or with an error of any of them none. Only
 * ST_IO, a thread that cannot be started, leaves other recursors behind.
 *
 * An address that stays keeps its sockets. A new one is bound before an old one
 * is closed; what an old one was asked is answered, for some seconds. NULL:
 * they stay as they are; they do, too, if sockets were handed over. */
enum status dns_server_configure(struct dns_server *s,
                                 const struct dns_recursion_config *recursion,
                                 const struct dns_transfer_config *transfer,
                                 const struct dns_listen_config *listen,
                                 struct err *err);

/* What serials have to come after (dns_model_serial_after()), from the file at
 * config->serial_path. false: nothing was kept there. */
bool dns_transfer_serial(const char *path, uint32_t *out_serial);

/* From now on questions are answered from `zone`, which the server owns and
 * frees when no worker reads it any more (checked at later publications). Zones
 * come from one model, in order. Never blocks. */
void dns_server_publish(struct dns_server *s, struct dns_zone *zone);

/* From now on; files of TLS are looked at again. Never blocks. */
void dns_server_protect(struct dns_server *s,
                        const struct dns_protection *protection);

/* Whether all threads have turned since the last call: what answered slowly, or
 * hangs, is told by calls some seconds apart. Never blocks. */
bool dns_server_pulse(struct dns_server *s);

/* Sums over the workers, monotonic. */
struct dns_server_stats {
    uint64_t queries_udp;
    uint64_t queries_tcp;
    uint64_t answers_prepared; /* Taken by the hot path. */
    uint64_t noerror;
    uint64_t nxdomain;
    uint64_t servfail;
    uint64_t refused;
    uint64_t truncated;
    uint64_t dropped;   /* Not a query, or the response could not be sent. */
    uint64_t forwarded; /* Had to wait for upstream. */
    uint64_t forward_failed;
    uint64_t forward_loops; /* Came back to us, and were refused. */
    uint64_t cache_hits;
    uint64_t cache_stale; /* Answered with what had expired. */
    uint64_t cache_misses;
    uint64_t tcp_conns; /* Open now, TLS included. */
    uint64_t queries_tls;
    uint64_t tls_handshakes; /* That succeeded. */
    uint64_t tls_failed;     /* Handshakes that did not. */
    /* Connections closed by us, because */
    uint64_t tcp_idle;         /* no query came for tcp_idle_ms; */
    uint64_t tcp_evicted;      /* there were too many; */
    uint64_t tcp_refused;      /* there were too many from one prefix; */
    uint64_t tcp_slow_readers; /* responses waited too long, or too many; */
    uint64_t tcp_slow_senders; /* a query did not end in tcp_idle_ms. */
    /* Packets that were no proper query, by what is wrong with them (enum
     * dns_flaw); long: above 4 096 bytes over TCP, 2 112 over UDP. */
    uint64_t malformed_long;
    uint64_t malformed_short;
    uint64_t malformed_response;
    uint64_t malformed_counts;
    uint64_t malformed_name;
    uint64_t malformed_options;
    uint64_t rate_dropped; /* Over the rate: no response; */
    uint64_t rate_slipped; /* a short one with TC, or BADCOOKIE. */
    uint64_t amplified;    /* Above four times the query: TC. */
    uint64_t cookies_good;
    uint64_t
        cookies_new; /* From clients that had none of ours, or an old one. */
    uint64_t transfers_whole;       /* Ended well: the whole zone, */
    uint64_t transfers_differences; /* differences, */
    uint64_t transfers_current;     /* nothing new. */
    uint64_t transfers_refused;     /* Who asks may not, or too many do. */
    uint64_t transfers_broken;      /* The client went away. */
    uint64_t tsig_bad;              /* Signatures that are not good. */
};

struct dns_transfer_stats {
    size_t running;
    size_t records; /* Of all zones that were asked for. */
    size_t bytes;   /* Of these, and of the journal. */
    uint64_t notify_sent;
    uint64_t notify_answered;
    uint64_t notify_failed; /* No answer, or a refusal. */
};

void dns_server_transfer_stats(struct dns_server *s,
                               struct dns_transfer_stats *out_stats);

void dns_server_stats(const struct dns_server *s,
                      struct dns_server_stats *out_stats);

#define DNS_UPSTREAM_STATS_MAX 64  /* Recursors, over all reloads. */
#define DNS_LATENCY_BUCKETS    14  /* Up to 4 s. */
#define DNS_LATENCY_FIRST_US   500 /* Then 1 ms, 2 ms, ... */

struct dns_recursor_stats {
    const char *address; /* As long as the server. */
    uint64_t asked;
    uint64_t answered;
    uint64_t failed; /* Silent, refusing, broken or in trouble. */
};

struct dns_upstream_stats {
    size_t cache_bytes;
    size_t cache_entries;
    uint64_t cache_evicted;
    uint64_t joined;   /* Questions that another one was under way for. */
    uint64_t rejected; /* Answers that were not to our question. */
    size_t waiting;    /* Clients' queries, now. */
    uint64_t latency[DNS_LATENCY_BUCKETS + 1]; /* Answers by time taken. */
    uint64_t latency_us;                       /* Sum. */
    size_t recursors_count;
    struct dns_recursor_stats recursors[DNS_UPSTREAM_STATS_MAX];
};

void dns_server_upstream_stats(struct dns_server *s,
                               struct dns_upstream_stats *out_stats);

/* Stop the workers, close everything, free the zones. NULL is fine. */
void dns_server_stop(struct dns_server *s);
