/*
 * transfer_take.h - queries that are signed, or ask for a whole zone. Private
 * to responder*.c and this.
 */
#pragma once

#include "dns/io/responder.h"
#include "dns/io/transfers.h"

static inline bool is_transfer(const struct dns_question *q)
{
    return q->type == DNS_TYPE_AXFR || q->type == DNS_TYPE_IXFR;
}

/* The query has a TSIG record, or is_transfer(), and there are rules. `proven`:
 * its address is no lie. As responder_take(). */
enum response transfer_take(struct responder *r, struct transfer_rules *rules,
                            const struct dns_zone *zone,
                            const struct query *query, bool proven,
                            uint8_t *out, struct taken *taken);
