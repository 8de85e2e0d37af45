/*
 * secondary.h - a secondary of the zone "consul": takes transfers as RFC 1995
 * and RFC 5936 have it, and fails the test where what comes does not fit what
 * it has.
 */
#pragma once

#include "dns/core/transfer.h"

enum {
    SECONDARY_RECORDS_MAX = 4096
};

struct secondary { /* Zeroed: has nothing. */
    uint32_t serial;
    char
        *records[SECONDARY_RECORDS_MAX]; /* As text, without the SOA; sorted. */
    size_t count;
};

/* Its records go; for the end, too. */
void secondary_clear(struct secondary *s);

/* Where the record is; if it is not (*out_is), where it would be. */
size_t secondary_find(const struct secondary *s, const char *text,
                      bool *out_is);

/* One transfer, DNS_TYPE_AXFR or DNS_TYPE_IXFR from its serial; the kind it
 * was. */
enum dns_transfer_kind secondary_transfer(struct dns_transfer_set *set,
                                          struct secondary *to, uint16_t type);

/* Both have the same records. */
void secondary_same(const struct secondary *a, const struct secondary *b);
