/*
 * guard.h - how far a worker trusts whom: cookies, rates, who is known.
 *
 * Belongs to one worker. Loopback is always trusted, and none of this is looked
 * at for it but the cookie, if it sent one. Nothing here is shared, so a prefix
 * whose queries the kernel spreads over n workers gets up to n times the rate.
 *
 * Cookies (RFC 7873, RFC 9018): the secret of a day is derived from the key in
 * the settings, HMAC-SHA256(key, "dns cookie" and the day), its first 16 bytes.
 * So all workers, a restart with the same key, and other servers that were
 * given it accept each other's.
 */
#pragma once

#include "dns/core/cookie.h"
#include "dns/core/question.h"
#include "dns/core/rate.h"
#include "dns/io/address.h"
#include "dns/io/server.h"

struct guard {
    struct dns_protection settings;
    struct dns_rates *rates; /* Made when the first is looked up. */
    struct {
        bool known;
        uint32_t period;
        uint8_t bytes[DNS_COOKIE_SECRET_BYTES];
    } secrets[2];
    uint8_t cookie[DNS_COOKIE_BYTES]; /* Of the last response. */
};

void guard_init(struct guard *g, const struct dns_protection *settings);
void guard_set(struct guard *g, const struct dns_protection *settings);
void guard_release(struct guard *g);

/* The cookie for the response to a query that has one; empty when we do not use
 * cookies. Valid until the next call. *out_proven: it was a good one of ours,
 * so the client is at the address that it says. */
struct slice guard_cookie(struct guard *g, struct slice option,
                          const union address *client, bool *out_proven);

/* One response over UDP to a client that is neither on loopback nor proven. */
enum dns_rate_verdict guard_rate(struct guard *g, const union address *client);

/* Loopback, private, or in the settings' networks. */
bool guard_knows(const struct guard *g, const union address *client);
