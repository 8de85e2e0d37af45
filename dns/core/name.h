/*
 * name.h - building domain names in wire form (RFC 1035, 3.1).
 *
 * A name under construction is a run of labels; dns_name_end() adds the root.
 * Every function that adds returns false, and leaves the name as it was, when
 * the label is empty or longer than 63 bytes or the name would pass 255.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/core/bytes.h"

#define DNS_LABEL_MAX 63
#define DNS_NAME_MAX  255

struct dns_name {
    uint8_t len;
    uint8_t bytes[DNS_NAME_MAX];
};

static inline uint8_t dns_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static inline struct slice dns_name_slice(const struct dns_name *n)
{
    return slice_of(n->bytes, n->len);
}

bool dns_name_add_label(struct dns_name *n, struct slice label);

/* Dotted text, all labels or none; one dot at the end is fine. */
bool dns_name_add_text(struct dns_name *n, struct slice text);

/* Labels that are in wire form already. */
bool dns_name_add_wire(struct dns_name *n, struct slice labels);

bool dns_name_end(struct dns_name *n);

void dns_name_lower(struct dns_name *n);

/* Compare wire names or text without regard to ASCII case. */
bool dns_same(struct slice a, struct slice b);

/* The PTR name of an address, below "arpa": "5.2.0.192.in-addr". `ip` has 4 or
 * 16 bytes. */
void dns_name_reverse(struct dns_name *n, struct slice ip);

/* "c0000205" and the like: the address as one hexadecimal label. */
void dns_name_add_hex(struct dns_name *n, struct slice ip);
