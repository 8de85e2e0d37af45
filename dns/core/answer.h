/*
 * answer.h - decides what to say. pack.h decides what fits.
 *
 * An answer is a plain value: no packet, no limit, no socket. That is why one
 * table of questions and answers can test every rule of our name space.
 * The prepared answers of the hot path are made from the same decisions, so
 * that there is one place where a rule stands.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/core/arena.h"
#include "dns/core/order.h"
#include "dns/core/question.h"
#include "dns/core/zone.h"

/* Names are in wire form, uncompressed, with the root label. */
struct dns_record {
    struct slice owner;
    uint16_t type;
    uint32_t ttl_s;
    struct dns_standing standing; /* A, AAAA and SRV of services. */
    uint32_t
        extras_first; /* SRV, NS, PTR: the target's records among the extras; */
    uint32_t extras_count; /* records with one target share them. */
    union {
        uint8_t ipv4[4];   /* A */
        uint8_t ipv6[16];  /* AAAA */
        struct slice name; /* CNAME, NS, PTR */
        struct {
            struct slice text; /* One string of any length, split when packed */
            bool strings;      /* or several, in wire form already. */
        } txt;
        struct {
            uint16_t priority;
            uint16_t weight;
            uint16_t port;
            struct slice target;
        } srv;
        struct {
            struct slice mname;
            struct slice rname;
            uint32_t serial;
            uint32_t refresh_s;
            uint32_t retry_s;
            uint32_t expire_s;
            uint32_t minimum_s;
        } soa;
    } data;
};

struct dns_records {
    struct dns_record *items;
    size_t count;
    size_t cap;
};

/* Extended DNS errors, RFC 8914. */
enum {
    DNS_EDE_NONE = -1,
    DNS_EDE_STALE = 3,
    DNS_EDE_PROHIBITED = 18,
    DNS_EDE_STALE_NXDOMAIN = 19,
    DNS_EDE_NO_AUTHORITY = 22,  /* No recursor could be reached. */
    DNS_EDE_NETWORK_ERROR = 23, /* They could, and it did not help. */
};

enum dns_verdict {
    DNS_ANSWERED, /* Send it. */
    DNS_FOREIGN,  /* Not ours: the recursors' business. Without any, send it:
                     REFUSED, or what can be said of an unknown address. */
    DNS_CHASE, /* Answered, but a CNAME (answers[0]) or SRV target leads out of
                  our domains: with recursors, add what they know of it. */
};

struct dns_answer {
    enum dns_verdict verdict;
    enum dns_rcode rcode;
    bool authoritative;
    bool stale;   /* Made of a zone that is. */
    bool depends; /* On names of ours other than the one that was asked. */
    atomic_bool *asked; /* For dns_answer_note(); NULL: nothing to note. */
    int extended_error;
    enum dns_order
        order;         /* Of the answers; NEAR makes it depend on the client. */
    bool origin_given; /* NEAR: to what the area 1 of standings stands for, not
                          to the client; */
    uint16_t origin_spot;        /* it is there. */
    uint32_t upstream_ttl_max_s; /* DNS_CHASE: no TTL above this, of what
                                    upstream says. */
    struct dns_records answers;
    struct dns_records authority;
    struct dns_records extras; /* Addresses of SRV and NS targets, and what
                                  lies at those of DNS-SD's PTR, in their
                                  order. */
    bool extras_optional;      /* They go before any answer does. */
};

/* Never fails: trouble is an answer too (SERVFAIL, REFUSED). Records are in
 * catalogue order; the packer shuffles. Everything lies in `arena` or the
 * zone. */
void dns_decide(const struct dns_zone *zone, const struct dns_question *q,
                struct arena *arena, struct dns_answer *out_answer);

/* Somebody gets this answer: if it is of a service with instances that nobody
 * knows to live, the model is told (dns_model_take_asked()). */
void dns_answer_note(const struct dns_answer *answer);
