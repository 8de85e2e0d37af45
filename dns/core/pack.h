/*
 * pack.h - puts an answer into a packet: order, what fits, EDNS.
 *
 * Built with ldns, names compressed. When it does not fit, the authority
 * section goes first, then answers from the end with their extras; a CNAME
 * chain is kept or dropped as a unit. TC is set only if the settings ask for
 * it.
 */
#pragma once

#include "base/core/rng.h"
#include "dns/core/answer.h"

struct dns_transport {
    bool tcp;
    bool recursion;    /* We have recursors: RA. */
    uint16_t size_max; /* Largest response: see dns_size_max(). */
};

/* The largest response to `q` (spec 2.8): 65 535 over TCP, 512 without EDNS,
 * else what the client can take, at most `udp_cap`. */
uint16_t dns_size_max(const struct dns_question *q, bool tcp, uint16_t udp_cap);

/* Write the response to `q` at `out`, which has room for transport->size_max
 * bytes; returns its length, at least a header. Answers are shuffled with
 * `rng`. */
size_t dns_pack(const struct dns_zone *zone, const struct dns_question *q,
                const struct dns_answer *answer,
                const struct dns_transport *transport, struct rng *rng,
                uint8_t *out);

/* A response without records: FORMERR, NOTIMP, REFUSED, BADVERS, SERVFAIL. */
size_t dns_pack_error(const struct dns_question *q, enum dns_rcode rcode,
                      const struct dns_transport *transport, uint8_t *out);
