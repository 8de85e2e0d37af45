/*
 * chase.h - answers of ours that lead out of our domains.
 *
 * A CNAME or an SRV target may be somebody else's name. What upstream knows of
 * it is added here: of the family that was asked for, both for ANY and SRV. A
 * chain of CNAMEs is one unit. Upstream's TTL stands, but a service's own TTL,
 * when it has one, is an upper limit.
 */
#pragma once

#include "dns/core/answer.h"

/* Four targets, two families. */
#define DNS_WANTS_MAX 8

/* A question for upstream. */
struct dns_want {
    struct slice name; /* Wire form with root; as long as the answer. */
    uint16_t type;
};

/* What is to be asked for `answer`, whose verdict is DNS_CHASE; how many. */
size_t dns_chase_wants(const struct dns_zone *zone,
                       const struct dns_question *q,
                       const struct dns_answer *answer,
                       struct dns_want out[DNS_WANTS_MAX]);

/* What upstream said: a message of dns_reply_read(). */
struct dns_heard {
    struct slice name;
    uint16_t type;
    struct slice reply; /* Empty: nothing. */
    uint32_t age_s;
    bool stale;
};

/* Add it to the answer; what nobody said of stays away. */
void dns_chase_add(struct arena *arena, struct dns_answer *answer,
                   const struct dns_heard *heard, size_t count);
