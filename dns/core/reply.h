/*
 * reply.h - what a recursor answered: what of it may be believed, kept and
 * passed on.
 *
 * Hostile bytes welcome. A reply is accepted only when it repeats our question
 * letter by letter (we spell names at random: RFC 5452, 9.2, and the "0x20"
 * draft). Of its records only those stay that belong to the answer: the chain
 * of CNAMEs from the question's name and what stands at its end, the SOA of a
 * zone that the last name lies in when there is nothing at the end, addresses
 * of targets within the answer's own domain, and, for clients that asked for
 * it, DNSSEC's proofs. Everything else is somebody's idea of our cache.
 *
 * What is kept is a message without OPT, its question in lower case, its TTLs
 * capped; for each client it is
 * dressed with id, flags, spelling, TTLs counted down, and OPT.
 */
#pragma once

#include "dns/core/pack.h"
#include "dns/core/question.h"

/* What we sent. */
struct dns_asked {
    struct slice name; /* Wire form, as it was spelled. */
    uint16_t type;
    bool dnssec_ok;
    uint32_t ttl_max_s; /* No TTL above it is believed. */
};

enum dns_reply_verdict {
    DNS_REPLY_GOOD,      /* NOERROR or NXDOMAIN: final. */
    DNS_REPLY_TRUNCATED, /* TC: ask over TCP. */
    DNS_REPLY_MISSPELT,  /* Our question in other letters: forged, or from one
                            that cannot keep them. Ask over TCP. */
    DNS_REPLY_FOREIGN,   /* An answer to something else. */
    DNS_REPLY_BROKEN,    /* No DNS message, or one that makes no sense. */
    DNS_REPLY_LAME,      /* It does not recurse. */
    DNS_REPLY_REFUSED,   /* REFUSED, NOTIMP: not for us. */
    DNS_REPLY_FORMERR, /* Does not understand our query; it may without OPT. */
    DNS_REPLY_FAILED,  /* SERVFAIL or another error. */
};

struct dns_reply {
    uint8_t *bytes; /* The message; owned. */
    size_t len;
    uint32_t ttl_s; /* May be kept so long; 0: not at all. */
};

/* Only with DNS_REPLY_GOOD is *out_reply filled in; release it. */
enum dns_reply_verdict dns_reply_read(struct slice packet,
                                      const struct dns_asked *asked,
                                      struct dns_reply *out_reply);
void dns_reply_release(struct dns_reply *r);

/* How one client gets it. */
struct dns_dress {
    uint32_t age_s;     /* Taken off every TTL, down to 0. */
    bool stale;         /* All TTLs are 30 s (RFC 8767, 5.2). */
    int extended_error; /* DNS_EDE_NONE: none. */
    const struct dns_transport *transport;
};

/* Write the response to `q`, whose name and type are the reply's, at `out`,
 * which has room for transport->size_max bytes; the length. What is too long
 * loses its additional section, then everything, and has TC set. */
size_t dns_reply_dress(struct slice reply, const struct dns_question *q,
                       const struct dns_dress *dress, uint8_t *out);
