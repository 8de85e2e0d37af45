/*
 * transfer_render.h - the records of a zone, as they go to secondaries. For
 * this room only.
 *
 * A zone of ours has no list of records: names are understood and answered. So
 * the names that a zone file would hold are enumerated here, and each is asked
 * of answer.h: what a secondary says is what we would have said, but for what
 * depends on the client. contrib/dns.md tells which names are left out.
 *
 * Records come in pieces: those that one entry of the zone brings forth. A
 * piece depends on nothing but its entry and the settings, and two pieces never
 * hold the same record; so a change of one entry is the difference of two
 * pieces.
 */
#pragma once

#include "dns/core/content.h"

/* Records behind each other, each with its length (16 bits, big-endian) before
 * it, sorted by their bytes, none twice. The owner of a record is spelt out up
 * to the zone's name, which is a pointer to the question: messages of a
 * transfer have the zone's name at offset 12. Immutable; counted by the one
 * thread that owns the set. */
struct dns_piece {
    unsigned refs;
    size_t size; /* Of the bytes. */
    size_t count;
    uint8_t bytes[];
};

static inline struct dns_piece *dns_piece_ref(struct dns_piece *p)
{
    p->refs++;
    return p;
}

void dns_piece_unref(struct dns_piece *p); /* NULL is fine. */

/* Of records as above, without their lengths, in any order. */
struct dns_piece *dns_piece_new(struct slice *records, size_t count);

/* The record at *at, which goes on to the next; empty at the end. */
struct slice dns_piece_next(const struct dns_piece *p, size_t *at);

/* What is only in `before`, and what is only in `after`; NULL stands for no
 * records, also in the results. */
void dns_piece_compare(const struct dns_piece *before,
                       const struct dns_piece *after, struct arena *arena,
                       struct dns_piece **out_gone,
                       struct dns_piece **out_come);

/* Whether an entry brings forth records by itself. */
static inline bool dns_entry_renders(const struct dns_entry *e)
{
    return e->service != NULL || e->host != NULL || e->owners != NULL;
}

/* What the entry brings forth in our domain number `domain`. */
struct dns_piece *dns_render_entry(const struct dns_zone *zone, unsigned domain,
                                   const struct dns_entry *entry);

/* The zone's own: name servers and the list of services; and the SOA, alone. */
struct dns_piece *dns_render_apex(const struct dns_zone *zone, unsigned domain);
struct dns_piece *dns_render_soa(const struct dns_zone *zone, unsigned domain);
