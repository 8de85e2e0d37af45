/*
 * pack_edns.h - the OPT record of a response (RFC 6891, 7828, 7830, 7871, 7873,
 * 8914).
 */
#pragma once

#include "dns/core/pack.h"

/* Fixed part, client subnet, extended error, cookie, keepalive. */
#define DNS_OPT_MAX (11 + 4 + 20 + 6 + 4 + DNS_COOKIE_BYTES + 6)

struct dns_opt {
    uint8_t len;      /* 0: the query had none, so neither has the response. */
    uint8_t scope_at; /* Where the scope of the client subnet stands, or 0. */
    uint8_t scope;    /* What it can be at most. */
    uint16_t pad_block; /* Padding is added when the rest is known; 0: none. */
    uint8_t bytes[DNS_OPT_MAX];
};

void dns_opt_make(const struct dns_question *q, const struct dns_transport *t,
                  uint16_t udp_size, enum dns_rcode rcode, int extended_error,
                  struct dns_opt *out_opt);

/* The answer depends on the client: it holds for the subnet only that the query
 * told of (RFC 7871, 7.2.1). */
void dns_opt_narrow(struct dns_opt *opt);

/* Append it to the message of `len` bytes, which has room for it (for the
 * padding up to 65 535), and count it there; returns the new length. */
size_t dns_opt_append(const struct dns_opt *opt, uint8_t *message, size_t len);
