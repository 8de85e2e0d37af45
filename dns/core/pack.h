/*
 * pack.h - puts an answer into a packet: order, what fits, EDNS.
 *
 * Records are written with ldns; owner names are pointers to the question, to
 * its domain or to the target they belong to. When it does not fit, the
 * authority section goes first, then answers from the end with their extras;
 * a CNAME chain is kept or dropped as a unit. TC is set only if answers were
 * cut and the settings ask for it, or if nothing at all could be said. For
 * clients without EDNS several answers are measured with all names spelt out,
 * as Consul does: some forward them so.
 */
#pragma once

#include "base/core/rng.h"
#include "dns/core/answer.h"
#include "dns/core/cookie.h"

struct dns_transport {
    bool tcp;
    bool recursion;        /* We have recursors: RA. */
    uint16_t size_max;     /* Largest response: see dns_size_max(). */
    struct slice client;   /* Its address: picks the stable subset, and what is
                              near. */
    struct rng *rng;       /* For the order of the records. */
    struct arena *scratch; /* For dns_pack(); not reset by it. */
    struct slice cookie;   /* What the cookie option of the response says,
                              DNS_COOKIE_BYTES; or empty. */
    uint16_t idle_ds;      /* For those who ask (RFC 7828): tenths of a second
                              that a quiet connection lives. 0: no connection. */
    uint16_t pad_block; /* Encrypted: who pads gets multiples of it. 0: no. */
};

/* The largest response to `q`: 65 535 over TCP, 512 without EDNS,
 * else what the client can take, at most `udp_cap`. */
uint16_t dns_size_max(const struct dns_question *q, bool tcp, uint16_t udp_cap);

/* Write the response to `q` at `out`, which has room for transport->size_max
 * bytes; returns its length, at least a header. */
size_t dns_pack(const struct dns_zone *zone, const struct dns_question *q,
                const struct dns_answer *answer,
                const struct dns_transport *transport, uint8_t *out);

/* A response without records: FORMERR, NOTIMP, REFUSED, BADVERS, SERVFAIL.
 * `out` has room for 512 bytes, or for a block when it is to be padded. */
size_t dns_pack_error(const struct dns_question *q, enum dns_rcode rcode,
                      const struct dns_transport *transport, uint8_t *out);

/* The same with an extended error (RFC 8914), for clients that sent OPT. */
size_t dns_pack_failure(const struct dns_question *q, enum dns_rcode rcode,
                        int extended_error,
                        const struct dns_transport *transport, uint8_t *out);

/* The record in wire form from its type on, owner left out; in `arena`. */
struct slice dns_record_wire(const struct dns_record *r, struct arena *arena);

/* What the settings let through of `count` records to a client on this
 * transport, before size is looked at. `addresses`: all of them are A and AAAA,
 * whatever was asked for. *out_cut: it loses some. */
size_t dns_count_max(const struct dns_settings *s, const struct dns_question *q,
                     const struct dns_transport *t, size_t count,
                     bool addresses, bool *out_cut);

/* The flags of a response, TC and the code in the header included. */
uint16_t dns_response_flags(const struct dns_question *q,
                            const struct dns_settings *s, bool recursion,
                            bool authoritative);
