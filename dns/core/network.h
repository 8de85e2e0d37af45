/*
 * network.h - IP networks: "10.0.0.0/8", "2001:db8::/32", "192.0.2.7".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/bytes.h"

struct dns_network {
    uint8_t len; /* 4 or 16 */
    uint8_t bits;
    uint8_t ip[16];
};

/* ST_INVALID: no address, a length that its kind does not have, or bits set
 * behind the length. */
enum status dns_network_parse(const char *text, struct dns_network *out);

/* `ip` has 4 or 16 bytes. */
bool dns_network_has(const struct dns_network *n, struct slice ip);
