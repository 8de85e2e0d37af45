/*
 * pack_edns.h - the OPT record of a response (RFC 6891, 7871, 8914).
 */
#pragma once

#include "dns/core/answer.h"

/* Fixed part, client subnet, extended error. */
#define DNS_OPT_MAX (11 + 4 + 20 + 6)

struct dns_opt {
    uint8_t len; /* 0: the query had none, so neither has the response. */
    uint8_t bytes[DNS_OPT_MAX];
};

void dns_opt_make(const struct dns_question *q, uint16_t udp_size,
                  enum dns_rcode rcode, int extended_error,
                  struct dns_opt *out_opt);

/* Append it to the message of `len` bytes, which has room for it, and count it
 * there; returns the new length. */
size_t dns_opt_append(const struct dns_opt *opt, uint8_t *message, size_t len);
