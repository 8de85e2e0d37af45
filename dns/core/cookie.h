/*
 * cookie.h - DNS cookies (RFC 7873) in the form that all servers share
 * (RFC 9018): who shows one has received a packet of ours at its address.
 *
 * Pure: time and secrets come in. A cookie tells when it was made, so the
 * secret it was made with can be one of its period; see dns_cookie_period().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/core/bytes.h"

/* The client's cookie and ours, as the option of a response has them. */
#define DNS_COOKIE_BYTES        (8 + 16)

#define DNS_COOKIE_SECRET_BYTES 16

/* Secrets change with the period, a day. */
uint32_t dns_cookie_period(uint32_t made_s);

/* Is there a cookie of ours in the option's body that is neither older than an
 * hour nor more than five minutes ahead? Then it was made at *out_made_s, which
 * says with which secret it has to be compared. Times are seconds of the
 * calendar, modulo 2^32. */
bool dns_cookie_timely(struct slice option, uint32_t now_s,
                       uint32_t *out_made_s);

/* Compare a timely one with what `secret` would have made for this client. */
bool dns_cookie_good(const uint8_t *secret, struct slice option,
                     struct slice client_ip);

/* The option's body in a response to a query with `option`. */
void dns_cookie_make(const uint8_t *secret, struct slice option,
                     struct slice client_ip, uint32_t now_s,
                     uint8_t out_cookie[DNS_COOKIE_BYTES]);
