/*
 * pack_edns.h - the OPT record of a response (RFC 6891, 7871, 8914).
 */
#pragma once

#include "dns/core/answer.h"

/* Fixed part, client subnet, extended error. */
#define DNS_OPT_MAX (11 + 4 + 20 + 6)

struct dns_opt {
    uint8_t len;      /* 0: the query had none, so neither has the response. */
    uint8_t scope_at; /* Where the scope of the client subnet stands, or 0. */
    uint8_t scope;    /* What it can be at most. */
    uint8_t bytes[DNS_OPT_MAX];
};

void dns_opt_make(const struct dns_question *q, uint16_t udp_size,
                  enum dns_rcode rcode, int extended_error,
                  struct dns_opt *out_opt);

/* The answer depends on the client: it holds for the subnet only that the query
 * told of (RFC 7871, 7.2.1). */
void dns_opt_narrow(struct dns_opt *opt);

/* Append it to the message of `len` bytes, which has room for it, and count it
 * there; returns the new length. */
size_t dns_opt_append(const struct dns_opt *opt, uint8_t *message, size_t len);
