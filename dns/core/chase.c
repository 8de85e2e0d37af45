#include "dns/core/chase.h"

#include <ldns/ldns.h>

#include "dns/core/content.h"
#include "dns/core/place.h"

static bool is_foreign(const struct dns_zone *zone, struct slice name)
{
    struct dns_question q;
    struct dns_place place;

    dns_question_make(&q, name, DNS_TYPE_A);
    dns_place_of(zone->config, &q, &place);
    return place.kind == DNS_KIND_FOREIGN;
}

static size_t want(struct dns_want *out, size_t count, struct slice name,
                   uint16_t type)
{
    for (size_t i = 0; i < count; i++) {
        if (out[i].type == type && dns_same(out[i].name, name)) {
            return count;
        }
    }
    if (count < DNS_WANTS_MAX) {
        out[count++] = (struct dns_want){.name = name, .type = type};
    }
    return count;
}

static size_t want_both(struct dns_want *out, size_t count, struct slice name)
{
    count = want(out, count, name, DNS_TYPE_A);
    return want(out, count, name, DNS_TYPE_AAAA);
}

size_t dns_chase_wants(const struct dns_zone *zone,
                       const struct dns_question *q,
                       const struct dns_answer *answer,
                       struct dns_want out[DNS_WANTS_MAX])
{
    const struct dns_records *a = &answer->answers;
    size_t count = 0;

    for (size_t i = 0; i < a->count; i++) {
        const struct dns_record *r = &a->items[i];

        if (r->type == DNS_TYPE_SRV && r->extras_count == 0 &&
            is_foreign(zone, r->data.srv.target)) {
            count = want_both(out, count, r->data.srv.target);
        }
        if (r->type != DNS_TYPE_CNAME || i + 1 < a->count) {
            continue;
        }
        if (q->type == DNS_TYPE_ANY) {
            count = want_both(out, count, r->data.name);
        } else {
            count = want(out, count, r->data.name, q->type);
        }
    }
    return count;
}

static struct slice rdf_copy(struct arena *a, const ldns_rdf *rdf)
{
    return arena_copy(a, slice_of(ldns_rdf_data(rdf), ldns_rdf_size(rdf)));
}

/* `most`: no TTL above it. */
static uint32_t ttl_of(const ldns_rr *rr, const struct dns_heard *h,
                       uint32_t most)
{
    uint32_t ttl = ldns_rr_ttl(rr);

    if (h->stale) {
        ttl = DNS_STALE_TTL_S;
    } else {
        ttl = ttl > h->age_s ? ttl - h->age_s : 0;
    }
    return most < ttl ? most : ttl;
}

static struct dns_record *grow(struct arena *arena, struct dns_records *to)
{
    if (to->count == to->cap) {
        size_t cap = to->cap < 8 ? 8 : to->cap * 2;
        struct dns_record *items = arena_zalloc(arena, cap, sizeof(items[0]));

        if (to->count > 0) {
            memcpy(items, to->items, to->count * sizeof(items[0]));
        }
        to->items = items;
        to->cap = cap;
    }
    to->items[to->count] = (struct dns_record){0};
    return &to->items[to->count++];
}

/* A, AAAA and, in a chain, CNAME. `owner`: empty for the record's own. */
static void add_record(struct arena *arena, struct dns_records *to,
                       const ldns_rr *rr, uint32_t ttl_s, struct slice owner)
{
    ldns_rr_type type = ldns_rr_get_type(rr);
    const ldns_rdf *data = ldns_rr_rd_count(rr) > 0 ? ldns_rr_rdf(rr, 0) : NULL;
    struct dns_record r = {.type = (uint16_t)type, .ttl_s = ttl_s};

    if (data == NULL) {
        return;
    }
    if (type == LDNS_RR_TYPE_A) {
        memcpy(r.data.ipv4, ldns_rdf_data(data), sizeof(r.data.ipv4));
    } else if (type == LDNS_RR_TYPE_AAAA) {
        memcpy(r.data.ipv6, ldns_rdf_data(data), sizeof(r.data.ipv6));
    } else if (type == LDNS_RR_TYPE_CNAME && owner.len == 0) {
        r.data.name = rdf_copy(arena, data);
    } else {
        return;
    }
    r.owner = owner.len > 0 ? owner : rdf_copy(arena, ldns_rr_owner(rr));
    *grow(arena, to) = r;
}

/* Behind our CNAME comes what upstream says of its target. Both families of a
 * name have the same CNAMEs: the second time they are left out. What is said of
 * the last name is said of the whole (RFC 6604, 3). */
static void extend_chain(struct arena *arena, struct dns_answer *answer,
                         const struct dns_heard *h, const ldns_pkt *pkt,
                         bool again)
{
    struct dns_records *to = &answer->answers;
    const ldns_rr_list *list = ldns_pkt_answer(pkt);
    uint32_t most = answer->upstream_ttl_max_s;

    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(list, i);

        if (!again || ldns_rr_get_type(rr) != LDNS_RR_TYPE_CNAME) {
            add_record(arena, to, rr, ttl_of(rr, h, most), slice_of(NULL, 0));
        }
    }
    answer->rcode = (enum dns_rcode)ldns_pkt_get_rcode(pkt);
}

/* The CNAMEs of a list last no longer than this. */
static uint32_t ttl_of_aliases(const ldns_rr_list *list,
                               const struct dns_heard *h, uint32_t most)
{
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(list, i);

        if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_CNAME) {
            most = ttl_of(rr, h, most);
        }
    }
    return most;
}

/* The addresses of a target come as the target's own, whatever CNAMEs there
 * are between: a client looks for them under the name that SRV gives. */
static void add_extras(struct arena *arena, struct dns_answer *answer,
                       struct slice target, const struct dns_heard *h)
{
    uint32_t most = answer->upstream_ttl_max_s;
    ldns_pkt *pkt = NULL;
    const ldns_rr_list *list;

    if (h->reply.len == 0 || !dns_same(h->name, target) ||
        ldns_wire2pkt(&pkt, h->reply.data, h->reply.len) != LDNS_STATUS_OK) {
        return;
    }
    list = ldns_pkt_answer(pkt);
    most = ttl_of_aliases(list, h, most);
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(list, i);

        add_record(arena, &answer->extras, rr, ttl_of(rr, h, most), target);
    }
    ldns_pkt_free(pkt);
}

static struct dns_record *earlier_with_target(struct dns_records *records,
                                              size_t before)
{
    for (size_t i = 0; i < before; i++) {
        if (records->items[i].type == DNS_TYPE_SRV &&
            dns_same(records->items[i].data.srv.target,
                     records->items[before].data.srv.target)) {
            return &records->items[i];
        }
    }
    return NULL;
}

static void add_to_srv(struct arena *arena, struct dns_answer *answer,
                       size_t at, const struct dns_heard *heard, size_t count)
{
    struct dns_record *r = &answer->answers.items[at];
    const struct dns_record *same = earlier_with_target(&answer->answers, at);

    if (same != NULL) {
        r->data.srv.target = same->data.srv.target;
        r->extras_first = same->extras_first;
        r->extras_count = same->extras_count;
        return;
    }
    r->extras_first = (uint32_t)answer->extras.count;
    for (size_t i = 0; i < count; i++) {
        add_extras(arena, answer, r->data.srv.target, &heard[i]);
    }
    r->extras_count = (uint32_t)answer->extras.count - r->extras_first;
}

void dns_chase_add(struct arena *arena, struct dns_answer *answer,
                   const struct dns_heard *heard, size_t count)
{
    struct dns_records *a = &answer->answers;
    struct slice end = {0};
    bool again = false;

    if (a->count > 0 && a->items[a->count - 1].type == DNS_TYPE_CNAME) {
        end = a->items[a->count - 1].data.name;
    }
    for (size_t i = 0; i < count && end.len > 0; i++) {
        ldns_pkt *pkt = NULL;

        if (heard[i].reply.len > 0 && dns_same(heard[i].name, end) &&
            ldns_wire2pkt(&pkt, heard[i].reply.data, heard[i].reply.len) ==
                LDNS_STATUS_OK) {
            extend_chain(arena, answer, &heard[i], pkt, again);
            ldns_pkt_free(pkt);
            again = true;
        }
    }
    for (size_t i = 0; i < a->count; i++) {
        if (a->items[i].type == DNS_TYPE_SRV && a->items[i].extras_count == 0) {
            add_to_srv(arena, answer, i, heard, count);
        }
    }
}
