/*
 * explain.h - why each instance is, or is not, in an answer.
 *
 * Nothing is decided here: the question is answered as for a client, and each
 * instance's own records are looked for in what was decided and in what was
 * packed.
 */
#pragma once

#include "dns/core/answer.h"
#include "dns/core/pack.h"

enum dns_why {
    DNS_WHY_IN,
    DNS_WHY_OTHER, /* It lacks the tag or the named port that was asked. */
    DNS_WHY_QUERY, /* It lacks the tag or meta that the prepared query wants. */
    DNS_WHY_HEALTH, /* It is not healthy, and others are; or none may serve. */
    DNS_WHY_TYPE,   /* It has no record of this type: the family, a name. */
    DNS_WHY_ONE,    /* Only one can be told, another's: a CNAME. */
    DNS_WHY_CUT     /* Not in this client's share: limits, size, subset. */
};

struct dns_reason {
    struct slice id;   /* As registered; lies in the zone. */
    struct slice node; /* Wire form; empty when it is no DNS name. */
    enum dns_health health;
    enum dns_why why;
    uint16_t weight;
};

struct dns_explanation {
    enum dns_verdict verdict;
    enum dns_rcode rcode;
    int extended_error;
    uint32_t ttl_s;      /* Of the first answer; 0 without one. */
    size_t decided;      /* Answers before limits and size, */
    size_t packed;       /* and those in the packet. */
    size_t packet_bytes; /* Of the response. */
    bool truncated;
    const char *query;    /* The prepared query that it executes; or NULL. */
    bool query_ttl;       /* The TTL is the query's. */
    struct slice service; /* Which one the name means; empty: none. */
    unsigned dc;          /* Where: 0 here, else in settings.others[dc - 1]. */
    const struct dns_reason *reasons;
    size_t reasons_count;
};

/* `q` from dns_question_make(); everything lies in the arena or the zone. */
void dns_explain(const struct dns_zone *zone, const struct dns_question *q,
                 const struct dns_transport *transport, struct arena *arena,
                 struct dns_explanation *out_explanation);
