#include "base/core/check.h"
#include "base/core/wire.h"
#include "dns/core/area.h"
#include "dns/core/prepared.h"
#include "dns/core/rank.h"

/* Where the data of a record stand, from its type on. */
enum {
    DATA_AT = 10,
    PORT_AT = DATA_AT + 4,
    TARGET_AT = DATA_AT + 6
};

static struct slice data_from(const struct dns_prepared *p, size_t index,
                              size_t at)
{
    return slice_of(dns_prepared_wire(p, index) + at,
                    p->records[index].len - at);
}

static uint16_t u16_at(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static void rank_for_client(const struct dns_prepared *p,
                            const struct dns_cut *cut, uint16_t *order)
{
    struct dns_ranked ranked[DNS_READY_RECORDS_MAX];
    bool srv = cut->q->type == DNS_TYPE_SRV;

    for (size_t i = 0; i < p->count; i++) {
        ranked[i].identity = data_from(p, i, srv ? TARGET_AT : DATA_AT);
        ranked[i].salt =
            srv ? u16_at(dns_prepared_wire(p, i) + PORT_AT) : cut->q->type;
        ranked[i].area = p->standings == NULL ? 0 : p->standings[i].area;
        ranked[i].spot = p->standings == NULL ? 0 : p->standings[i].spot;
        ranked[i].index = (uint16_t)i;
    }
    dns_rank(ranked, p->count, dns_client_address(cut->q, cut->transport),
             &cut->near);
    for (size_t i = 0; i < p->count; i++) {
        order[i] = ranked[i].index;
    }
}

/* Of the extras that come with a record, each with its owner: a pointer, or the
 * record's target spelt out. */
static size_t extras_size(const struct dns_prepared *p, size_t index,
                          bool plain)
{
    const struct dns_prepared_record *r = &p->records[index];
    size_t owner = plain ? r->len - (size_t)TARGET_AT : 2;
    size_t size = 0;

    for (size_t e = 0; e < r->extras_count; e++) {
        size += owner + p->records[p->count + r->extras_first + e].len;
    }
    return size;
}

/* How many of order[0 .. most - 1], from the front, have room with their
 * extras. */
static size_t most_that_fit(const struct dns_prepared *p,
                            const struct dns_cut *cut, const uint16_t *order)
{
    bool plain = !cut->transport->tcp && !cut->q->edns.present && cut->most > 1;
    size_t owner = plain ? cut->q->name.len : 2;
    size_t size = cut->head_size;
    bool seen[DNS_READY_RECORDS_MAX];

    memset(seen, 0, p->extras_count * sizeof(seen[0]));
    for (size_t i = 0; i < cut->most; i++) {
        const struct dns_prepared_record *r = &p->records[order[i]];

        size += owner + r->len;
        if (r->extras_count > 0 && !seen[r->extras_first]) {
            seen[r->extras_first] = true;
            size += extras_size(p, order[i], plain);
        }
        if (size > cut->transport->size_max) {
            return i;
        }
    }
    return cut->most;
}

/* Put in order what the first `count` of the order name. */
static void order_first(const struct dns_prepared *p, const struct dns_cut *cut,
                        uint16_t *order, size_t count)
{
    struct dns_standing standings[DNS_READY_RECORDS_MAX];
    uint16_t places[DNS_READY_RECORDS_MAX];
    uint16_t before[DNS_READY_RECORDS_MAX];

    memcpy(before, order, count * sizeof(before[0]));
    standings[0] = (struct dns_standing){0};
    for (size_t i = 0; p->standings != NULL && i < count; i++) {
        standings[i] = p->standings[order[i]];
    }
    dns_order(cut->transport->rng, p->order, standings, &cut->near, places,
              count, count);
    for (size_t i = 0; i < count; i++) {
        order[i] = before[places[i]];
    }
}

size_t dns_prepared_cut(const struct dns_prepared *p, const struct dns_cut *cut,
                        uint16_t *order, bool *out_ranked)
{
    bool stable = dns_subset_is_stable(cut->settings, cut->q->type);
    size_t kept;

    *out_ranked = stable;
    if (!stable || cut->most == p->count) {
        dns_order(cut->transport->rng, p->order, p->standings, &cut->near,
                  order, p->count, cut->most);
    }
    if (stable) {
        rank_for_client(p, cut, order);
    }
    kept = most_that_fit(p, cut, order);
    if (stable) {
        order_first(p, cut, order, kept);
    }
    return kept;
}
