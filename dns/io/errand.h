/*
 * errand.h - a client's query that has to ask upstream.
 *
 * A worker makes it, the upstream thread (upstream.h) fills in what it has
 * heard, and the worker answers the client and throws it away. One owner at a
 * time: it changes hands through the two inboxes.
 */
#pragma once

#include <sys/queue.h>

#include "dns/core/chase.h"
#include "dns/io/worker.h"

enum errand_outcome {
    ERRAND_HEARD,     /* There is a reply. */
    ERRAND_TRUNCATED, /* It is too long for UDP. */
    ERRAND_UNROUTED,  /* No recursor is for this name. */
    ERRAND_FAILED,    /* All recursors have failed. */
};

/* One question of it. */
struct errand_part {
    LIST_ENTRY(errand_part) link; /* Among those who wait for the same. */
    struct errand *errand;
    struct dns_name name;
    uint16_t type;
    enum errand_outcome outcome;
    int extended_error;
    uint8_t *reply; /* Owned. */
    size_t reply_len;
    uint32_t age_s;
    bool stale;
};

LIST_HEAD(errand_parts, errand_part);

struct errand {
    STAILQ_ENTRY(errand) link; /* In an inbox. */
    struct forwarder *from;    /* Whose it is: forward.c. */
    struct upstream *upstream; /* Who has it, or had. */
    struct origin origin;
    enum response kind;
    bool tcp;
    bool dnssec_ok;
    bool checking_disabled;
    bool refused;    /* Upstream has ended; nothing was asked. */
    size_t path_len; /* Of the agents it came through; in `packet`. */
    size_t path_at;
    size_t packet_len;
    uint8_t *packet; /* The client's query, behind the parts. */
    size_t waiting;  /* Parts that have not come back. */
    size_t parts_count;
    struct errand_part parts[];
};

STAILQ_HEAD(errands, errand);

/* The upstream thread is done with it (forward.c). Any thread. */
void errand_done(struct errand *e);
