/*
 * rate.h - how many responses a prefix may have: token buckets in a table of
 * fixed size.
 *
 * Pure: time comes in. Each bucket holds the responses of one second; what is
 * not in the table has a full one. Four places are looked at for a prefix, and
 * the one that was quiet for longest makes room for a new one, so a flood from
 * invented addresses cannot make the table grow, only forget.
 */
#pragma once

#include <stdint.h>

#include "base/core/bytes.h"
#include "base/core/hash.h"

enum dns_rate_verdict {
    DNS_RATE_PASS,
    DNS_RATE_DROP, /* Say nothing. */
    DNS_RATE_SLIP, /* One of `slip`: say shortly that there is TCP. */
};

struct dns_rate_limits {
    uint32_t per_second; /* 1 .. 1 000 000 */
    uint32_t slip;       /* 0: never, 1: each that does not pass. */
};

struct dns_rates;

struct dns_rates *dns_rates_new(struct hash_key key);
void dns_rates_free(struct dns_rates *r); /* NULL is fine. */

/* One response to a client of `prefix`. `now_ms` is monotonic; it may wrap. */
enum dns_rate_verdict dns_rates_take(struct dns_rates *r,
                                     const struct dns_rate_limits *limits,
                                     struct slice prefix, uint32_t now_ms);
