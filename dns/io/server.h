/*
 * server.h - the DNS server: threads, sockets, forwarding.
 *
 * Each worker thread has its own UDP socket and TCP listener on every address
 * (SO_REUSEPORT), takes queries in batches and answers from the last published
 * zone without a lock. Before the first publication every question gets
 * SERVFAIL. Names that are not ours go to the recursors (c-ares) for clients on
 * loopback and private networks; other clients, and everybody when there are no
 * recursors, get REFUSED.
 *
 * start, publish, stats and stop are called from one thread, the one that owns
 * the model.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/err.h"
#include "dns/core/zone.h"

enum dns_recursor_order {
    DNS_RECURSORS_IN_ORDER,
    DNS_RECURSORS_ROTATED
};

struct dns_server_config {
    const char *const *listen; /* "127.0.0.1:8600", "[::1]:0" */
    size_t listen_count;
    unsigned threads;             /* 0: one a processor, at most 16. */
    const char *const *recursors; /* "ip", "ip:port", "[v6]:port" */
    size_t recursors_count;
    enum dns_recursor_order recursor_order;
    uint32_t recursor_timeout_ms; /* For each upstream; 0: 2 000 */
    uint16_t udp_max_remote; /* Largest UDP response off loopback; 0: 1 232 */
    uint32_t tcp_idle_ms;    /* 0: 10 000 */
    uint32_t tcp_conns_max;  /* A worker; 0: 256. Then the idlest is closed. */
};

struct dns_server;

/* Opens the sockets and starts the workers. ST_INVALID: an address does not
 * parse, or a recursor is one of our own addresses; ST_IO: a socket could not
 * be opened or bound. `err` says which and why. */
enum status dns_server_start(const struct dns_server_config *config,
                             struct dns_server **out_server, struct err *err);

/* The port of config->listen[index], which may have been given as 0. */
uint16_t dns_server_port(const struct dns_server *s, size_t index);

/* From now on questions are answered from `zone`, which the server owns and
 * frees when no worker reads it any more (checked at later publications). Zones
 * come from one model, in order. Never blocks. */
void dns_server_publish(struct dns_server *s, struct dns_zone *zone);

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
    uint64_t dropped; /* Not a query, or the response could not be sent. */
    uint64_t forwarded;
    uint64_t forward_failed;
    uint64_t tcp_conns; /* Open now. */
};

void dns_server_stats(const struct dns_server *s,
                      struct dns_server_stats *out_stats);

/* Stop the workers, close everything, free the zones. NULL is fine. */
void dns_server_stop(struct dns_server *s);
