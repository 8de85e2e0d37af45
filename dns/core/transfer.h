/*
 * transfer.h - a zone for secondaries: AXFR (RFC 5936) and IXFR (RFC 1995).
 *
 * A set holds one of our domains as records (transfer_render.h), brought up to
 * date from the published zone at a cost of what changed, and a journal of the
 * differences between the serials that it had. A stream is one transfer: it
 * refers to the records as they were when it was opened, and fills one message
 * after the other, however slow its reader is.
 *
 * A set and the opening and closing of its streams belong to one thread; an
 * open stream may be read by one other thread.
 */
#pragma once

#include "dns/core/question.h"
#include "dns/core/zone.h"

struct dns_transfer_set;
struct dns_transfer_stream;

/* For our domain number `domain`. */
struct dns_transfer_set *dns_transfer_set_new(unsigned domain);

/* Its streams may live longer. NULL is fine. */
void dns_transfer_set_free(struct dns_transfer_set *s);

/* Take over what `zone` shows, of which nothing is kept. true: there is a new
 * serial. Zones come from one model, in order, and are known
 * (dns_zone_may_transfer()). */
bool dns_transfer_set_update(struct dns_transfer_set *s,
                             const struct dns_zone *zone);

/* Of the last update. */
size_t dns_transfer_set_bytes(const struct dns_transfer_set *s);
size_t dns_transfer_set_records(const struct dns_transfer_set *s);

/* The zone holds what the store says, and is not too old. */
bool dns_zone_may_transfer(const struct dns_zone *zone);
uint32_t dns_zone_serial(const struct dns_zone *zone);

/* Whether the serial went ahead of the store: who starts again has to go on
 * after it (dns_model_serial_after()). */
bool dns_zone_serial_is_ahead(const struct dns_zone *zone);

/* Which of our domains `name` (wire form with root) is: *out_domain. */
bool dns_zone_domain(const struct dns_zone *zone, struct slice name,
                     unsigned *out_domain);

/* How many there are, and their names. */
unsigned dns_zone_domains(const struct dns_zone *zone);
struct slice dns_zone_domain_name(const struct dns_zone *zone, unsigned domain);

/* What is asked for. */
struct dns_transfer_request {
    uint16_t id;
    uint16_t type;     /* DNS_TYPE_AXFR or DNS_TYPE_IXFR */
    uint32_t serial;   /* IXFR: what the secondary has. */
    struct slice name; /* Of the zone, in the secondary's spelling. Copied. */
    bool recursion_desired; /* To be echoed. */
    bool edns;              /* It has sent OPT. */
};

enum dns_transfer_kind {
    DNS_TRANSFER_WHOLE,
    DNS_TRANSFER_DIFFERENCES,
    DNS_TRANSFER_CURRENT, /* It has it all: one SOA. */
};

/* The set is one that was updated. */
struct dns_transfer_stream *dns_transfer_open(
    struct dns_transfer_set *s, const struct dns_transfer_request *request);
enum dns_transfer_kind dns_transfer_kind(
    const struct dns_transfer_stream *stream);

/* The next message, of at most `cap` bytes (DNS_TRANSFER_MESSAGE_MIN at least);
 * 0: that was all. */
#define DNS_TRANSFER_MESSAGE_MIN 61000
size_t dns_transfer_next(struct dns_transfer_stream *stream, uint8_t *out,
                         size_t cap);

/* By the thread of the set, even if that is gone. NULL is fine. */
void dns_transfer_close(struct dns_transfer_stream *stream);

/* A response that is the SOA and nothing else: IXFR over UDP. `out` has room
 * for 1 024 bytes. */
size_t dns_transfer_soa(const struct dns_zone *zone, unsigned domain,
                        const struct dns_transfer_request *request,
                        uint8_t *out);
