/*
 * hash.h - SipHash-1-3 for tables whose keys come from outside.
 *
 * With a random key nobody can choose names that all fall into one bucket.
 */
#pragma once

#include <stdint.h>

#include "base/core/bytes.h"

struct hash_key {
    uint64_t k0;
    uint64_t k1;
};

uint64_t hash_bytes(struct hash_key key, struct slice bytes);

/* SipHash-2-4 with a key of 16 bytes, for what others compute as well (DNS
 * cookies, RFC 9018). Its bytes on the wire are little-endian. */
uint64_t hash_siphash24(const uint8_t *key, struct slice bytes);
