/*
 * responder.h - from a query's bytes to a response's bytes, for UDP and TCP.
 *
 * Belongs to one worker. The hot path first, then decide and pack; what must be
 * asked upstream is the caller's to forward.
 */
#pragma once

#include "base/core/rng.h"
#include "dns/core/cache.h"
#include "dns/core/chase.h"
#include "dns/core/pack.h"
#include "dns/io/address.h"
#include "dns/io/counts.h"
#include "dns/io/guard.h"

struct recursion;
struct shared_cache;
struct transfers;
struct transfer_job;

struct responder {
    struct rng rng;
    struct arena scratch;
    bool recursion;                /* There are recursors. */
    const struct recursion *rules; /* Who may use them. */
    struct shared_cache *cache;    /* What they have said. */
    uint16_t udp_remote;           /* Largest UDP response off loopback. */
    struct guard guard;
    struct transfers *transfers; /* NULL: no secondaries. */
    struct counts *counts;
};

struct query {
    struct slice packet;
    const union address *client;
    bool tcp;
    bool encrypted;
    uint32_t idle_ms; /* How long its connection may be quiet; 0: none. */
};

enum response {
    RESPONSE_SEND,     /* It is ready. */
    RESPONSE_NONE,     /* Not a query: silence. */
    RESPONSE_FORWARD,  /* Ask upstream for the question's own name. */
    RESPONSE_CHASE,    /* Ask upstream where a CNAME of ours leads. */
    RESPONSE_TRANSFER, /* TCP: open taken->job. */
};

/* How long a response to `q` may be; what `out` below must have room for. */
uint16_t responder_size_max(const struct responder *r,
                            const struct dns_question *q,
                            const struct query *query);

/* Room that is always enough. */
#define RESPONSE_BYTES_MAX 65535

/* What became of a query. */
struct taken {
    size_t len;                   /* RESPONSE_SEND: of what is at `out`. */
    struct dns_question question; /* Borrows from the packet. */
    enum dns_parse parse;         /* How reading it went, and what it gets if */
    enum dns_rcode rcode;         /* not well. */
    struct dns_want wants[DNS_WANTS_MAX]; /* RESPONSE_FORWARD, RESPONSE_CHASE:
                                             what to ask for. Valid until the
                                             next call. */
    size_t wants_count;
    struct transfer_job *job; /* RESPONSE_TRANSFER: the caller's. */
};

/* Decide on one query; `zone` may be NULL. After RESPONSE_NONE *out_taken means
 * nothing. */
enum response responder_take(struct responder *r, const struct dns_zone *zone,
                             const struct query *query, uint8_t *out,
                             struct taken *out_taken);

/* A query that was read, or could not be and gets taken->rcode; nothing of
 * rates and signatures is looked at. */
enum response responder_respond(struct responder *r,
                                const struct dns_zone *zone,
                                const struct query *query,
                                const struct dns_transport *t, uint8_t *out,
                                struct taken *taken);

/* A response to a forwarded query: what upstream has said, made fit for our
 * client (relay.c). */
size_t responder_relay(struct responder *r, const struct query *query,
                       const struct dns_question *q,
                       const struct dns_cached *found, bool stale,
                       uint8_t *out);

/* A response to a chased query: our own records, and what upstream says of the
 * names that they lead to (relay.c). */
size_t responder_chased(struct responder *r, const struct dns_zone *zone,
                        const struct query *query, const struct dns_question *q,
                        const struct dns_heard *heard, size_t count,
                        uint8_t *out);

/* Answer from the cache what taken->wants says; RESPONSE_SEND when that could
 * be done, else `kind` (relay.c). */
enum response responder_remember(struct responder *r,
                                 const struct dns_zone *zone,
                                 const struct query *query, enum response kind,
                                 uint8_t *out, struct taken *taken);

size_t responder_fail(struct responder *r, const struct query *query,
                      const struct dns_question *q, enum dns_rcode rcode,
                      uint8_t *out);

/* SERVFAIL, and why: RFC 8914. */
size_t responder_failure(struct responder *r, const struct query *query,
                         const struct dns_question *q, int extended_error,
                         uint8_t *out);

/* Nothing, and TC: come back over TCP. */
size_t responder_truncated(struct responder *r, const struct query *query,
                           const struct dns_question *q, uint8_t *out);

/* Count a response by its code. */
void responder_count(struct responder *r, const uint8_t *response);

struct dns_transport responder_transport(struct responder *r,
                                         const struct dns_question *q,
                                         const struct query *query);
