/*
 * question.h - reads a query packet: header, the one question, EDNS.
 *
 * Hostile bytes welcome. Nothing is allocated; the question's name is borrowed
 * from the packet (its letter case is echoed), and a lower-case copy with label
 * offsets is kept for looking up.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/core/bytes.h"
#include "dns/core/name.h"

#define DNS_HEADER_BYTES 12
#define DNS_LABELS_MAX   127

enum {
    DNS_TYPE_A = 1,
    DNS_TYPE_NS = 2,
    DNS_TYPE_CNAME = 5,
    DNS_TYPE_SOA = 6,
    DNS_TYPE_PTR = 12,
    DNS_TYPE_TXT = 16,
    DNS_TYPE_AAAA = 28,
    DNS_TYPE_SRV = 33,
    DNS_TYPE_OPT = 41,
    DNS_TYPE_TSIG = 250,
    DNS_TYPE_IXFR = 251,
    DNS_TYPE_AXFR = 252,
    DNS_TYPE_ANY = 255,
};

/* An option of our own (RFC 6891, 9: for local use): the agents that a query
 * has passed through on its way upstream, 8 random bytes each. Who finds
 * himself there is in a loop. */
#define DNS_OPTION_PATH 65314

enum {
    DNS_CLASS_IN = 1,
    DNS_CLASS_ANY = 255
};

enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5,
    DNS_NOTAUTH = 9,    /* Not signed as it should be, or not our zone. */
    DNS_BADVERS = 16,   /* Needs EDNS: the high bits travel in OPT. */
    DNS_BADCOOKIE = 23, /* The same. */
};

/* Header bits, as in the 16-bit flags field. */
enum {
    DNS_FLAG_QR = 0x8000,
    DNS_FLAG_AA = 0x0400,
    DNS_FLAG_TC = 0x0200,
    DNS_FLAG_RD = 0x0100,
    DNS_FLAG_RA = 0x0080,
    DNS_FLAG_CD = 0x0010,
};

struct dns_edns {
    bool present;
    bool dnssec_ok; /* DO, copied into the response. */
    uint8_t version;
    uint16_t udp_size; /* Raised to 512 when smaller (RFC 6891, 6.2.3). */
    bool keepalive;    /* Wants to know how long it may stay (RFC 7828). */
    bool padding;      /* Has padded its query (RFC 7830). */
    struct slice
        subnet; /* Client subnet option's body, to be echoed; or empty. */
    struct slice cookie; /* The cookie option's body: the client's 8 bytes, and
                            perhaps a server's 8 to 32; or empty. */
    struct slice path;   /* DNS_OPTION_PATH, or empty. */
};

/* What is wrong with a packet that is no proper query. */
enum dns_flaw {
    DNS_FLAW_NONE,
    DNS_FLAW_SHORT,    /* No whole header. */
    DNS_FLAW_RESPONSE, /* Itself a response. */
    DNS_FLAW_COUNTS,   /* Not one question and nothing else. */
    DNS_FLAW_NAME,     /* No question, or its name is none. */
    DNS_FLAW_OPTIONS,  /* The additional section, OPT above all. */
};

struct dns_question {
    enum dns_flaw flaw;
    uint16_t id;
    uint16_t flags;
    uint16_t type;
    uint16_t class;
    struct slice name; /* Wire form with root, as asked; in the packet. */
    uint8_t lower[DNS_NAME_MAX + 1];    /* The same in lower case. */
    uint8_t labels[DNS_LABELS_MAX + 1]; /* Offset of each label; then root's. */
    unsigned labels_count;              /* Without the root. */
    struct dns_edns edns;
    size_t tsig_at; /* Where the TSIG record begins, the last one; 0: none. */
    bool stream;    /* Came over TCP: the receiver says so after parsing. */
};

enum dns_parse {
    DNS_PARSE_OK,
    DNS_PARSE_DROP,  /* No header, or itself a response: say nothing. */
    DNS_PARSE_ERROR, /* Answer with *out_rcode. What could be read is in the
                        question; `name` is empty, and `type` 0, when the
                        question could not. */
};

enum dns_parse dns_question_parse(struct slice packet, struct dns_question *q,
                                  enum dns_rcode *out_rcode);

/* The rest of a question for AXFR or IXFR, which dns_question_parse() has
 * refused with NOTIMP: the serial that the client has (IXFR), OPT and TSIG.
 * DNS_PARSE_ERROR: it is malformed. */
enum dns_parse dns_question_transfer(struct slice packet,
                                     struct dns_question *q,
                                     uint32_t *out_serial);

/* A question of our own for `name` (wire form with root), which is borrowed. */
void dns_question_make(struct dns_question *q, struct slice name,
                       uint16_t type);
