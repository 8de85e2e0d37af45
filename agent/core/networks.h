/*
 * networks.h - IP networks as text, and whether an address is in one.
 *
 * "10.0.0.0/8", "::1/128", or one address alone. IPv4 addresses that come in
 * IPv6's clothes ("::ffff:10.0.0.1") are IPv4 addresses.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/core/bytes.h"
#include "base/core/status.h"

struct network {
    uint8_t bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
    unsigned bits;     /* Of 128. */
};

/* ST_INVALID: not a network, or bits are set behind the mask. */
enum status network_parse(const char *text, struct network *out_network);

/* `peer` is "10.0.0.1:4711", "[::1]:80", or an address alone; anything else is
 * in no network. */
bool network_has(const struct network *networks, size_t count,
                 struct slice peer);

/* 127.0.0.0/8 and ::1. */
bool network_is_loopback(struct slice peer);
