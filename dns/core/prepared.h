/*
 * prepared.h - answers made once, and sent whenever they are asked for.
 *
 * When a name and type is asked for the first time after it changed, the
 * decision (answer.h) is taken and its records are packed with ldns, without
 * owner names: those of the answers are a pointer to the question, those of the
 * extras a pointer into the SRV record they belong to. So one prepared answer
 * serves every spelling of the name and every order of the records, and sending
 * it is copying. What nobody asks for costs neither time nor memory when the
 * catalogue changes.
 *
 * A prepared answer depends on nothing but its entry and the settings, so it is
 * the same in every zone that has the entry, and whichever thread comes first
 * may put it there.
 */
#pragma once

#include <stdatomic.h>

#include "dns/core/pack.h"

struct dns_entry;

/* What an entry has prepared answers for. SRV targets lie in the domain that
 * was asked, hence one for each. */
enum dns_slot {
    DNS_SLOT_A,
    DNS_SLOT_AAAA,
    DNS_SLOT_TXT,
    DNS_SLOT_PTR,
    DNS_SLOT_SRV,
    DNS_SLOT_SRV_ALT,
    DNS_SLOTS,
};

enum dns_prepared_kind {
    DNS_PREPARED_READY,
    DNS_PREPARED_NODATA,
    DNS_PREPARED_NXDOMAIN,
    DNS_PREPARED_DECIDE, /* Unusual (a CNAME, say): ask dns_decide(). */
};

enum {
    DNS_READY_RECORDS_MAX = 1024 /* Answers with more are decided each time. */
};

struct dns_prepared_record {
    uint32_t offset; /* Of its bytes from type on, owner left out. */
    uint16_t len;
    uint16_t extras_first; /* Among the extras; shared by equal targets. */
    uint16_t extras_count;
};

struct dns_prepared {
    enum dns_prepared_kind kind;
    uint16_t count;
    uint16_t extras_count;
    uint32_t size;  /* Of all records with two-byte owners. */
    uint32_t plain; /* With the extras' owners spelt out, the answers' not. */
    enum dns_order order;
    const struct dns_standing *standings; /* Of the answers; NULL: shuffled. */
    /* Answers, then extras; behind them the standings, then their bytes. */
    struct dns_prepared_record records[];
};

/* Where one is kept; NULL: not asked for yet. */
typedef _Atomic(struct dns_prepared *) dns_prepared_slot;

/* When nobody looks at it any more. */
void dns_prepared_slot_free(dns_prepared_slot *slot);

static inline const uint8_t *dns_prepared_wire(const struct dns_prepared *p,
                                               size_t index)
{
    return (const uint8_t *)p + p->records[index].offset;
}

/* Without records, each the only one of its kind. */
extern const struct dns_prepared *const dns_prepared_nxdomain;
extern const struct dns_prepared *const dns_prepared_undecided;

/* What `entry` of `zone` answers to the slot's type, in the slot's domain: made
 * now, if nobody has asked for it yet. Never NULL; lives as long as the entry.
 */
const struct dns_prepared *dns_prepared_of_entry(const struct dns_zone *zone,
                                                 const struct dns_entry *entry,
                                                 enum dns_slot slot);

/* The SOA record of a domain, an index of zone->config->domains, for the
 * authority section: its TTL is that of NODATA or of NXDOMAIN (RFC 2308, 3).
 * Lives as long as the zone. */
const struct dns_prepared *dns_prepared_of_soa(const struct dns_zone *zone,
                                               unsigned domain, bool is_nodata);

/* Answers that do not go out whole. */
struct dns_cut {
    const struct dns_settings *settings;
    const struct dns_question *q;
    const struct dns_transport *transport;
    struct dns_near near;
    size_t head_size; /* Of header, question and OPT. */
    size_t most;      /* By dns_count_max(). */
};

/* Choose which of the answers in `p` go out, and their order, as dns_pack()
 * would; order[] has room for all of them. Returns how many there are; 0: not
 * even one has room as it is, dns_pack() knows what to do. *out_ranked: the
 * choice was this client's. */
size_t dns_prepared_cut(const struct dns_prepared *p, const struct dns_cut *cut,
                        uint16_t *order, bool *out_ranked);

/* The hot path: the response to `q` if it is of those that can be prepared,
 * else 0 and nothing was written. Says the same as dns_decide() and dns_pack().
 * `out` has room for transport->size_max bytes. */
size_t dns_answer_prepared(const struct dns_zone *zone,
                           const struct dns_question *q,
                           const struct dns_transport *transport, uint8_t *out);
