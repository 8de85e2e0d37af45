#include "dns/core/explain.h"

#include <ldns/ldns.h>

#include "dns/core/select.h"

/* A record's type and data, whatever its owner and TTL. */
struct datum {
    uint16_t type;
    struct slice data;
};

struct data {
    struct datum *items;
    size_t count;
};

/* ---- What is in the packet ------------------------------------------- */

static struct slice data_of(const ldns_rr *rr, struct arena *arena)
{
    struct slice data = {0};
    size_t len = 0;
    uint8_t *bytes;

    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
        len += ldns_rdf_size(ldns_rr_rdf(rr, i));
    }
    bytes = arena_alloc(arena, len + 1);
    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
        const ldns_rdf *part = ldns_rr_rdf(rr, i);

        memcpy(bytes + data.len, ldns_rdf_data(part), ldns_rdf_size(part));
        data.len += ldns_rdf_size(part);
    }
    data.data = bytes;
    return data;
}

static struct data packed_data(struct slice packet, struct arena *arena,
                               bool *out_truncated)
{
    struct data found = {0};
    ldns_pkt *p = NULL;
    ldns_rr_list *answers;

    if (ldns_wire2pkt(&p, packet.data, packet.len) != LDNS_STATUS_OK) {
        return found;
    }
    *out_truncated = ldns_pkt_tc(p);
    answers = ldns_pkt_answer(p);
    found.items = arena_alloc(arena, (ldns_rr_list_rr_count(answers) + 1) *
                                         sizeof(found.items[0]));
    for (size_t i = 0; i < ldns_rr_list_rr_count(answers); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(answers, i);

        found.items[found.count++] = (struct datum){
            .type = (uint16_t)ldns_rr_get_type(rr), .data = data_of(rr, arena)};
    }
    ldns_pkt_free(p);
    return found;
}

/* ---- Looking for records --------------------------------------------- */

/* Behind type, class, TTL and length. */
static struct slice record_data(const struct dns_record *r, struct arena *arena)
{
    return slice_skip(dns_record_wire(r, arena), 10);
}

static bool in_packet(const struct data *packed, const struct dns_record *r,
                      struct arena *arena)
{
    struct slice data = record_data(r, arena);

    for (size_t i = 0; i < packed->count; i++) {
        if (packed->items[i].type == r->type &&
            slice_eq(packed->items[i].data, data)) {
            return true;
        }
    }
    return false;
}

static bool in_answer(const struct dns_records *answers,
                      const struct dns_record *r, struct arena *arena)
{
    struct slice data = record_data(r, arena);

    for (size_t i = 0; i < answers->count; i++) {
        if (answers->items[i].type == r->type &&
            slice_eq(record_data(&answers->items[i], arena), data)) {
            return true;
        }
    }
    return false;
}

/* ---- One instance ---------------------------------------------------- */

struct explainer {
    struct dns_decider *decider;
    struct dns_selection selection;
    struct dns_members chosen;
    const struct query_def *query; /* By which they were chosen; or NULL. */
    const struct dns_answer *whole;
    struct data packed;
};

static bool is_chosen(const struct explainer *e, const struct dns_member *m)
{
    for (size_t i = 0; i < e->chosen.count; i++) {
        if (e->chosen.items[i] == m) {
            return true;
        }
    }
    return false;
}

/* Its own records are those of an answer that it alone would make. */
static enum dns_why why_of_records(struct explainer *e,
                                   const struct dns_member *m)
{
    struct arena *arena = e->decider->arena;
    struct dns_answer alone = {0};
    bool decided = false;

    e->decider->answer = &alone;
    dns_answer_member(e->decider, &e->selection, m);
    for (size_t i = 0; i < alone.answers.count; i++) {
        if (in_packet(&e->packed, &alone.answers.items[i], arena)) {
            return DNS_WHY_IN;
        }
        decided = decided ||
                  in_answer(&e->whole->answers, &alone.answers.items[i], arena);
    }
    if (alone.answers.count == 0) {
        return DNS_WHY_TYPE;
    }
    return decided ? DNS_WHY_CUT : DNS_WHY_ONE;
}

static enum dns_why why_of(struct explainer *e, const struct dns_member *m)
{
    if (e->query != NULL && !dns_query_selects(e->query, m)) {
        return DNS_WHY_QUERY;
    }
    if (!dns_member_selected(&e->selection, m)) {
        return DNS_WHY_OTHER;
    }
    return is_chosen(e, m) ? why_of_records(e, m) : DNS_WHY_HEALTH;
}

static void explain_members(struct explainer *e, struct dns_explanation *out)
{
    const struct dns_service *s = e->selection.service;
    struct dns_reason *reasons = arena_alloc(
        e->decider->arena, (s->members_count + 1) * sizeof(reasons[0]));

    for (size_t i = 0; i < s->members_count; i++) {
        const struct dns_member *m = &s->members[i];

        reasons[i] = (struct dns_reason){.id = m->id,
                                         .node = m->node,
                                         .health = m->health,
                                         .why = why_of(e, m),
                                         .weight = m->weight};
    }
    out->service = s->name;
    out->reasons = reasons;
    out->reasons_count = s->members_count;
}

static void explain_service(struct explainer *e, struct dns_explanation *out)
{
    struct dns_decider *d = e->decider;

    if ((d->place.dc == 0 || dns_turn_to(d)) && dns_select(d, &e->selection)) {
        out->dc = d->place.dc;
        e->chosen = dns_choose(d, &e->selection);
        explain_members(e, out);
    }
}

/* Where it was found: a query may have failed over. */
static unsigned dc_of(const struct dns_decider *d)
{
    for (unsigned i = 0; i < d->home->config->others_count; i++) {
        if (d->home->others[i] == d->zone) {
            return i + 1;
        }
    }
    return 0;
}

static void explain_query(struct explainer *e, struct dns_explanation *out)
{
    struct dns_decider *d = e->decider;
    struct dns_answer unsaid = {0};
    struct dns_query_use *use = arena_alloc(d->arena, sizeof(*use));

    if (d->place.dc > 0 && !dns_turn_to(d)) {
        return;
    }
    d->answer = &unsaid;
    dns_use_query(d, use);
    if (use->query == NULL) {
        return;
    }
    out->query = use->def.name;
    out->query_ttl = use->selection.ttl_given;
    if (use->selection.service != NULL) {
        out->dc = dc_of(d);
        e->query = &use->def;
        e->selection = use->selection;
        e->chosen = use->chosen;
        explain_members(e, out);
    }
}

/* ---- The whole ------------------------------------------------------- */

void dns_explain(const struct dns_zone *zone, const struct dns_question *q,
                 const struct dns_transport *transport, struct arena *arena,
                 struct dns_explanation *out_explanation)
{
    struct dns_explanation *out = out_explanation;
    struct dns_answer answer;
    struct dns_decider d = {.home = zone,
                            .zone = zone,
                            .config = zone->config,
                            .q = q,
                            .arena = arena};
    struct explainer e = {.decider = &d, .whole = &answer};
    uint8_t *packet = arena_alloc(arena, transport->size_max);

    *out = (struct dns_explanation){0};
    dns_decide(zone, q, arena, &answer);
    out->packet_bytes = dns_pack(zone, q, &answer, transport, packet);
    e.packed = packed_data(slice_of(packet, out->packet_bytes), arena,
                           &out->truncated);
    out->verdict = answer.verdict;
    out->rcode = answer.rcode;
    out->extended_error = answer.extended_error;
    out->ttl_s = answer.answers.count > 0 ? answer.answers.items[0].ttl_s : 0;
    out->decided = answer.answers.count;
    out->packed = e.packed.count;
    dns_place_of(zone->config, q, &d.place);
    if (d.place.kind == DNS_KIND_SERVICE) {
        explain_service(&e, out);
    } else if (d.place.kind == DNS_KIND_QUERY) {
        explain_query(&e, out);
    }
}
