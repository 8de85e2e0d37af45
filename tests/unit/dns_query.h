/*
 * dns_query.h - a query as a client sends it.
 */
#pragma once

#include <check.h>
#include <string.h>

#include "dns/core/name.h"
#include "dns/core/question.h"

/* Header with RD, a question of class IN, and for `edns` > 0 an OPT that offers
 * so many bytes. Returns its length; `out` has room for 300 bytes. */
static inline size_t make_query(const char *name, uint16_t type, uint16_t id,
                                uint16_t edns, uint8_t *out)
{
    struct dns_name n = {0};
    size_t len = DNS_HEADER_BYTES;

    memset(out, 0, 300);
    out[0] = (uint8_t)(id >> 8);
    out[1] = (uint8_t)id;
    out[2] = 1;
    out[5] = 1;
    ck_assert(dns_name_add_text(&n, slice_str(name)));
    ck_assert(dns_name_end(&n));
    memcpy(out + len, n.bytes, n.len);
    len += n.len;
    out[len + 1] = (uint8_t)type;
    out[len + 3] = DNS_CLASS_IN;
    len += 4;
    if (edns > 0) {
        out[11] = 1;
        out[len + 2] = DNS_TYPE_OPT;
        out[len + 3] = (uint8_t)(edns >> 8);
        out[len + 4] = (uint8_t)edns;
        len += 11;
    }
    return len;
}
