#include "dns/core/prepared.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "dns/core/content.h"

/* Kinds without records need no memory of their own. */
static struct dns_prepared nodata = {.kind = DNS_PREPARED_NODATA};
static struct dns_prepared nxdomain = {.kind = DNS_PREPARED_NXDOMAIN};
static struct dns_prepared undecided = {.kind = DNS_PREPARED_DECIDE};

const struct dns_prepared *const dns_prepared_nxdomain = &nxdomain;
const struct dns_prepared *const dns_prepared_undecided = &undecided;

static void prepared_free(struct dns_prepared *p)
{
    if (p != NULL && p->kind == DNS_PREPARED_READY) {
        free(p);
    }
}

void dns_prepared_slot_free(dns_prepared_slot *slot)
{
    prepared_free(atomic_load_explicit(slot, memory_order_relaxed));
}

/* Two threads may have prepared the same at once: the first one's is kept. */
static const struct dns_prepared *keep(dns_prepared_slot *slot,
                                       struct dns_prepared *p)
{
    struct dns_prepared *first = NULL;

    if (atomic_compare_exchange_strong_explicit(
            slot, &first, p, memory_order_acq_rel, memory_order_acquire)) {
        return p;
    }
    prepared_free(p);
    return first;
}

/* Every answer is owned by the question and of its type, every extra by its SRV
 * record's target: only then can owners be left to the sending. */
static bool can_be_ready(const struct dns_question *q,
                         const struct dns_answer *a)
{
    if (a->verdict != DNS_ANSWERED || a->rcode != DNS_NOERROR || a->depends ||
        a->answers.count == 0 || a->answers.count > DNS_READY_RECORDS_MAX ||
        a->authority.count > 0 || a->extras.count > DNS_READY_RECORDS_MAX) {
        return false;
    }
    for (size_t i = 0; i < a->answers.count; i++) {
        const struct dns_record *r = &a->answers.items[i];

        if (r->type != q->type || !slice_eq(r->owner, q->name) ||
            (r->extras_count > 0 && r->type != DNS_TYPE_SRV)) {
            return false;
        }
    }
    return true;
}

static uint8_t *add_records(struct dns_prepared *p, size_t first,
                            const struct dns_records *records,
                            struct slice *wires, uint8_t *at)
{
    for (size_t i = 0; i < records->count; i++) {
        const struct dns_record *r = &records->items[i];

        p->records[first + i] = (struct dns_prepared_record){
            .offset = (uint32_t)(at - (uint8_t *)p),
            .len = (uint16_t)wires[i].len,
            .extras_first = (uint16_t)r->extras_first,
            .extras_count = (uint16_t)r->extras_count,
        };
        memcpy(at, wires[i].data, wires[i].len);
        at += wires[i].len;
        p->size += (uint32_t)wires[i].len + 2;
    }
    return at;
}

static struct slice *wires_of(const struct dns_records *records,
                              struct arena *arena, size_t *size)
{
    struct slice *wires =
        arena_alloc(arena, (records->count + 1) * sizeof(wires[0]));

    for (size_t i = 0; i < records->count; i++) {
        wires[i] = dns_record_wire(&records->items[i], arena);
        *size += wires[i].len;
    }
    return wires;
}

static size_t standings_size(const struct dns_answer *a)
{
    return a->order == DNS_ORDER_SHUFFLE
               ? 0
               : a->answers.count * sizeof(struct dns_standing);
}

static uint8_t *add_standings(struct dns_prepared *p,
                              const struct dns_answer *a, uint8_t *at)
{
    struct dns_standing *standings = (struct dns_standing *)(void *)at;

    if (standings_size(a) == 0) {
        return at;
    }
    for (size_t i = 0; i < a->answers.count; i++) {
        standings[i] = a->answers.items[i].standing;
    }
    p->standings = standings;
    return at + standings_size(a);
}

static struct dns_prepared *make_ready(const struct dns_answer *a,
                                       struct arena *arena)
{
    size_t count = a->answers.count + a->extras.count;
    struct dns_prepared *p;
    size_t size =
        sizeof(*p) + count * sizeof(p->records[0]) + standings_size(a);
    struct slice *answers = wires_of(&a->answers, arena, &size);
    struct slice *extras = wires_of(&a->extras, arena, &size);
    uint8_t *at;

    p = malloc(size);
    CHECK(p != NULL);
    *p = (struct dns_prepared){.kind = DNS_PREPARED_READY,
                               .count = (uint16_t)a->answers.count,
                               .extras_count = (uint16_t)a->extras.count,
                               .order = a->order};
    at = (uint8_t *)&p->records[count];
    at = add_standings(p, a, at);
    at = add_records(p, 0, &a->answers, answers, at);
    at = add_records(p, a->answers.count, &a->extras, extras, at);
    CHECK(at == (uint8_t *)p + size);
    p->plain = p->size - 2 * (uint32_t)count;
    for (size_t i = 0; i < a->extras.count; i++) {
        p->plain += (uint32_t)a->extras.items[i].owner.len;
    }
    return p;
}

/* Nothing but the SOA that belongs to it. A chain that ends in nothing is not:
 * it depends on names other than the entry's. */
static bool is_negative(const struct dns_answer *a)
{
    return a->verdict == DNS_ANSWERED &&
           (a->rcode == DNS_NOERROR || a->rcode == DNS_NXDOMAIN) &&
           a->answers.count == 0 && a->extras.count == 0;
}

static struct dns_prepared *prepare(const struct dns_zone *zone,
                                    struct slice name, uint16_t type)
{
    struct arena arena = {0};
    struct dns_question q;
    struct dns_answer answer;
    struct dns_prepared *p;

    dns_question_make(&q, name, type);
    dns_decide(zone, &q, &arena, &answer);
    if (answer.asked != NULL) {
        p = &undecided; /* Who asks has to be noted. */
    } else if (is_negative(&answer)) {
        p = answer.rcode == DNS_NOERROR ? &nodata : &nxdomain;
    } else {
        p = can_be_ready(&q, &answer) ? make_ready(&answer, &arena)
                                      : &undecided;
    }
    arena_release(&arena);
    return p;
}

static const uint16_t slot_types[DNS_SLOTS] = {
    DNS_TYPE_A,   DNS_TYPE_AAAA, DNS_TYPE_TXT,
    DNS_TYPE_PTR, DNS_TYPE_SRV,  DNS_TYPE_SRV,
};

/* The name of an entry in the domain that the slot is for; false: none. */
static bool slot_name(const struct dns_zone *zone,
                      const struct dns_entry *entry, enum dns_slot slot,
                      struct dns_name *out_name)
{
    unsigned index = slot == DNS_SLOT_SRV_ALT ? 1 : 0;
    struct slice domain = slice_of("\4arpa", 6);

    if (entry->owners == NULL) {
        if (index >= zone->config->domains_count) {
            return false;
        }
        domain = dns_name_slice(&zone->config->domains[index]);
    }
    *out_name = (struct dns_name){0};
    return dns_name_add_wire(out_name, dns_entry_key(entry)) &&
           dns_name_add_wire(out_name, domain);
}

static struct dns_prepared *prepare_entry(const struct dns_zone *zone,
                                          const struct dns_entry *entry,
                                          enum dns_slot slot)
{
    /* What is prepared holds in every state that answers from it. */
    struct dns_zone fresh;
    struct dns_name name;

    dns_zone_as_fresh(zone, &fresh);
    return slot_name(zone, entry, slot, &name)
               ? prepare(&fresh, dns_name_slice(&name), slot_types[slot])
               : &undecided;
}

const struct dns_prepared *dns_prepared_of_entry(const struct dns_zone *zone,
                                                 const struct dns_entry *entry,
                                                 enum dns_slot slot)
{
    dns_prepared_slot *at = (dns_prepared_slot *)&entry->prepared[slot];
    const struct dns_prepared *p =
        atomic_load_explicit(at, memory_order_acquire);

    return p ? p : keep(at, prepare_entry(zone, entry, slot));
}

static struct dns_prepared *prepare_soa(const struct dns_zone *zone,
                                        unsigned domain, uint32_t ttl_s)
{
    struct arena arena = {0};
    struct dns_zone fresh;
    struct dns_question q;
    struct dns_answer answer;
    struct dns_prepared *p;

    dns_zone_as_fresh(zone, &fresh);
    dns_question_make(&q, dns_name_slice(&zone->config->domains[domain]),
                      DNS_TYPE_SOA);
    dns_decide(&fresh, &q, &arena, &answer);
    answer.answers.items[0].ttl_s = ttl_s;
    answer.answers.items[0].data.soa.minimum_s = ttl_s;
    answer.answers.count = 1;
    answer.extras.count = 0;
    p = make_ready(&answer, &arena);
    arena_release(&arena);
    return p;
}

const struct dns_prepared *dns_prepared_of_soa(const struct dns_zone *zone,
                                               unsigned domain, bool is_nodata)
{
    const struct dns_settings *s = &zone->config->settings;
    dns_prepared_slot *at = (dns_prepared_slot *)&zone->soa[domain][is_nodata];
    const struct dns_prepared *p =
        atomic_load_explicit(at, memory_order_acquire);

    return p ? p
             : keep(at, prepare_soa(zone, domain,
                                    is_nodata ? s->nodata_ttl_s
                                              : s->soa_min_ttl_s));
}
