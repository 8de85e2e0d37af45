#include "dns/core/transfer.h"

#include <stdlib.h>
#include <sys/queue.h>
#include <uthash.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "dns/core/serial.h"
#include "dns/core/transfer_render.h"

/* What one entry of the zone brings forth. */
struct unit {
    UT_hash_handle hh;
    uint64_t seen; /* The update that found it. */
    struct dns_piece *piece;
    size_t key_len;
    uint8_t key[];
};

/* From one serial to the next. */
struct step {
    STAILQ_ENTRY(step) link;
    uint32_t from;
    size_t bytes;
    struct dns_piece *from_soa;
    struct dns_piece *to_soa;
    struct dns_piece **gone; /* Pieces. */
    size_t gone_count;
    struct dns_piece **come;
    size_t come_count;
};

STAILQ_HEAD(steps, step);

struct dns_transfer_set {
    unsigned domain;
    uint64_t sequence; /* Of the zone as updated last; 0: never. */
    uint32_t serial;
    bool untold; /* There is more than whoever has `serial` was told: no step
                    may begin there. */
    struct dns_piece *soa;
    struct dns_piece *apex;
    struct unit *units; /* By key. */
    size_t bytes;       /* Of all records. */
    size_t records;
    struct steps journal; /* The oldest first. */
    size_t journal_count;
    size_t journal_bytes;
};

struct dns_transfer_set *dns_transfer_set_new(unsigned domain)
{
    struct dns_transfer_set *s = calloc(1, sizeof(*s));

    CHECK(s != NULL);
    s->domain = domain;
    STAILQ_INIT(&s->journal);
    return s;
}

/* ---- The journal ------------------------------------------------------- */

static void step_free(struct step *step)
{
    for (size_t i = 0; i < step->gone_count; i++) {
        dns_piece_unref(step->gone[i]);
    }
    for (size_t i = 0; i < step->come_count; i++) {
        dns_piece_unref(step->come[i]);
    }
    dns_piece_unref(step->from_soa);
    dns_piece_unref(step->to_soa);
    free(step->gone);
    free(step->come);
    free(step);
}

static void journal_drop_first(struct dns_transfer_set *s)
{
    struct step *first = STAILQ_FIRST(&s->journal);

    STAILQ_REMOVE_HEAD(&s->journal, link);
    s->journal_count--;
    s->journal_bytes -= first->bytes;
    step_free(first);
}

static void journal_clear(struct dns_transfer_set *s)
{
    while (!STAILQ_EMPTY(&s->journal)) {
        journal_drop_first(s);
    }
}

static void journal_add(struct dns_transfer_set *s, struct step *step)
{
    STAILQ_INSERT_TAIL(&s->journal, step, link);
    s->journal_count++;
    s->journal_bytes += step->bytes;
    while (s->journal_count > LIMIT_DNS_JOURNAL_STEPS ||
           s->journal_bytes > LIMIT_DNS_JOURNAL_BYTES) {
        journal_drop_first(s);
    }
}

static void list_add(struct dns_piece ***list, size_t *count,
                     struct dns_piece *piece)
{
    if (piece == NULL) {
        return;
    }
    /* Grows at each power of two. */
    if ((*count & (*count - 1)) == 0) {
        size_t cap = *count == 0 ? 1 : 2 * *count;

        *list = realloc(*list, cap * sizeof((*list)[0]));
        CHECK(*list != NULL);
    }
    (*list)[(*count)++] = piece;
}

/* ---- An update --------------------------------------------------------- */

struct update {
    struct dns_transfer_set *set;
    const struct dns_zone *zone;
    struct step *step;
    struct arena arena;
};

static size_t size_of(const struct dns_piece *p)
{
    return p == NULL ? 0 : p->size;
}

/* `after` takes the place of `*before`; NULL: no records. */
static void replace(struct update *u, struct dns_piece **before,
                    struct dns_piece *after)
{
    struct dns_transfer_set *s = u->set;
    struct step *step = u->step;
    struct dns_piece *gone = NULL;
    struct dns_piece *come = NULL;

    if (s->sequence > 0) { /* There is nobody who has less. */
        dns_piece_compare(*before, after, &u->arena, &gone, &come);
        arena_reset(&u->arena);
        step->bytes += size_of(gone) + size_of(come);
        list_add(&step->gone, &step->gone_count, gone);
        list_add(&step->come, &step->come_count, come);
    }
    s->bytes += size_of(after) - size_of(*before);
    s->records += (after == NULL ? 0 : after->count) -
                  (*before == NULL ? 0 : (*before)->count);
    dns_piece_unref(*before);
    *before = after;
}

static struct unit *unit_of(struct dns_transfer_set *s, struct slice key)
{
    struct unit *unit = NULL;

    HASH_FIND(hh, s->units, key.data, key.len, unit);
    if (unit == NULL) {
        unit = calloc(1, sizeof(*unit) + key.len);
        CHECK(unit != NULL);
        unit->key_len = key.len;
        memcpy(unit->key, key.data, key.len);
        HASH_ADD_KEYPTR(hh, s->units, unit->key, key.len, unit);
    }
    return unit;
}

static void on_entry(void *ctx, const struct dns_entry *entry)
{
    struct update *u = ctx;
    struct dns_transfer_set *s = u->set;
    struct unit *unit;

    if (!dns_entry_renders(entry)) {
        return;
    }
    unit = unit_of(s, dns_entry_key(entry));
    unit->seen = u->zone->sequence;
    if (unit->piece == NULL || entry->round > s->sequence) {
        replace(u, &unit->piece, dns_render_entry(u->zone, s->domain, entry));
    }
}

static void drop_unseen(struct update *u)
{
    struct unit *unit;
    struct unit *next;

    HASH_ITER(hh, u->set->units, unit, next)
    {
        if (unit->seen != u->zone->sequence) {
            replace(u, &unit->piece, NULL);
            HASH_DEL(u->set->units, unit);
            free(unit);
        }
    }
}

/* A secondary cannot be told of a change without a new serial; it is told all
 * when the next one comes. */
static void finish(struct update *u)
{
    struct dns_transfer_set *s = u->set;
    struct step *step = u->step;
    struct dns_piece *soa = dns_render_soa(u->zone, s->domain);
    bool first = s->sequence == 0;
    bool quiet = !first && s->serial == u->zone->serial;

    if (quiet && step->bytes > 0) {
        journal_clear(s);
        s->untold = true;
    }
    if (first || quiet || s->untold) {
        s->untold = s->untold && quiet;
        step_free(step);
    } else {
        step->from = s->serial;
        step->from_soa = dns_piece_ref(s->soa);
        step->to_soa = dns_piece_ref(soa);
        journal_add(s, step);
    }
    dns_piece_unref(s->soa);
    s->soa = soa;
    s->serial = u->zone->serial;
    s->sequence = u->zone->sequence;
}

bool dns_transfer_set_update(struct dns_transfer_set *s,
                             const struct dns_zone *zone)
{
    struct update u = {.set = s, .zone = zone};
    bool first = s->sequence == 0;
    uint32_t before = s->serial;

    if (zone->sequence == s->sequence) {
        return false;
    }
    u.step = calloc(1, sizeof(*u.step));
    CHECK(u.step != NULL);
    replace(&u, &s->apex, dns_render_apex(zone, s->domain));
    dns_table_each(&zone->names, on_entry, &u);
    drop_unseen(&u);
    finish(&u);
    arena_release(&u.arena);
    return first || s->serial != before;
}

void dns_transfer_set_free(struct dns_transfer_set *s)
{
    struct unit *unit;
    struct unit *next;

    if (s == NULL) {
        return;
    }
    journal_clear(s);
    HASH_ITER(hh, s->units, unit, next)
    {
        HASH_DEL(s->units, unit);
        dns_piece_unref(unit->piece);
        free(unit);
    }
    dns_piece_unref(s->apex);
    dns_piece_unref(s->soa);
    free(s);
}

size_t dns_transfer_set_bytes(const struct dns_transfer_set *s)
{
    return s->bytes + s->journal_bytes;
}

size_t dns_transfer_set_records(const struct dns_transfer_set *s)
{
    return s->records;
}

/* ---- Opening a transfer ------------------------------------------------ */

struct dns_transfer_stream {
    enum dns_transfer_kind kind;
    struct dns_transfer_request request;
    struct dns_name name;
    struct dns_piece **pieces;
    size_t count;
    size_t piece; /* The next record is in this one, */
    size_t at;    /* here. */
    bool begun;
};

static void stream_add(struct dns_transfer_stream *t, struct dns_piece *piece)
{
    list_add(&t->pieces, &t->count, dns_piece_ref(piece));
}

static int by_key(const void *a, const void *b)
{
    const struct unit *x = *(struct unit *const *)a;
    const struct unit *y = *(struct unit *const *)b;

    return slice_cmp(slice_of(x->key, x->key_len),
                     slice_of(y->key, y->key_len));
}

/* In the order of the keys, so that who looks at it finds things. */
static void open_whole(struct dns_transfer_set *s,
                       struct dns_transfer_stream *t)
{
    size_t count = HASH_COUNT(s->units);
    struct unit **sorted = malloc((count + 1) * sizeof(sorted[0]));
    size_t i = 0;

    CHECK(sorted != NULL);
    for (struct unit *u = s->units; u != NULL; u = u->hh.next) {
        sorted[i++] = u;
    }
    if (count > 0) {
        qsort(sorted, count, sizeof(sorted[0]), by_key);
    }
    t->kind = DNS_TRANSFER_WHOLE;
    stream_add(t, s->soa);
    stream_add(t, s->apex);
    for (i = 0; i < count; i++) {
        stream_add(t, sorted[i]->piece);
    }
    stream_add(t, s->soa);
    free(sorted);
}

static void open_differences(struct dns_transfer_set *s,
                             struct dns_transfer_stream *t,
                             const struct step *first)
{
    t->kind = DNS_TRANSFER_DIFFERENCES;
    stream_add(t, s->soa);
    for (const struct step *step = first; step != NULL;
         step = STAILQ_NEXT(step, link)) {
        stream_add(t, step->from_soa);
        for (size_t i = 0; i < step->gone_count; i++) {
            stream_add(t, step->gone[i]);
        }
        stream_add(t, step->to_soa);
        for (size_t i = 0; i < step->come_count; i++) {
            stream_add(t, step->come[i]);
        }
    }
    stream_add(t, s->soa);
}

/* The step that begins with what the secondary has, when all from there on are
 * shorter than the zone; else NULL. */
static const struct step *worthwhile(const struct dns_transfer_set *s,
                                     uint32_t serial)
{
    const struct step *step = STAILQ_FIRST(&s->journal);
    size_t bytes = 0;

    while (step != NULL && step->from != serial) {
        step = STAILQ_NEXT(step, link);
    }
    for (const struct step *i = step; i != NULL; i = STAILQ_NEXT(i, link)) {
        bytes += i->bytes;
    }
    return bytes <= s->bytes ? step : NULL;
}

struct dns_transfer_stream *dns_transfer_open(
    struct dns_transfer_set *s, const struct dns_transfer_request *request)
{
    struct dns_transfer_stream *t = calloc(1, sizeof(*t));
    const struct step *step = NULL;
    bool incremental = request->type == DNS_TYPE_IXFR;

    CHECK(t != NULL);
    CHECK(s->sequence > 0);
    t->request = *request;
    CHECK(dns_name_add_wire(&t->name, request->name));
    t->request.name = dns_name_slice(&t->name);
    if (incremental && !dns_serial_newer(s->serial, request->serial)) {
        t->kind = DNS_TRANSFER_CURRENT;
        stream_add(t, s->soa);
        return t;
    }
    if (incremental) {
        step = worthwhile(s, request->serial);
    }
    if (step != NULL) {
        open_differences(s, t, step);
    } else {
        open_whole(s, t);
    }
    return t;
}

enum dns_transfer_kind dns_transfer_kind(
    const struct dns_transfer_stream *stream)
{
    return stream->kind;
}

void dns_transfer_close(struct dns_transfer_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    for (size_t i = 0; i < stream->count; i++) {
        dns_piece_unref(stream->pieces[i]);
    }
    free(stream->pieces);
    free(stream);
}

/* ---- Messages ---------------------------------------------------------- */

static void put_u16(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* The question comes with every message: the owners point to it. */
static size_t put_head(const struct dns_transfer_request *r, uint8_t *out)
{
    unsigned flags =
        DNS_FLAG_QR | DNS_FLAG_AA | (r->recursion_desired ? DNS_FLAG_RD : 0);
    size_t len = DNS_HEADER_BYTES;

    memset(out, 0, DNS_HEADER_BYTES);
    put_u16(out, r->id);
    put_u16(out + 2, flags);
    put_u16(out + 4, 1);
    memcpy(out + len, r->name.data, r->name.len);
    len += r->name.len;
    put_u16(out + len, r->type);
    put_u16(out + len + 2, DNS_CLASS_IN);
    return len + 4;
}

/* Nothing in it but that we know of EDNS. */
enum {
    OPT_BYTES = 11
};

static size_t put_opt(uint8_t *out, size_t len)
{
    static const uint8_t opt[OPT_BYTES] = {
        0, 0, DNS_TYPE_OPT, LIMIT_DNS_UDP >> 8, LIMIT_DNS_UDP & 0xff};

    memcpy(out + len, opt, sizeof(opt));
    put_u16(out + 10, 1);
    return len + sizeof(opt);
}

/* The next record; empty at the end. */
static struct slice record_next(struct dns_transfer_stream *t, size_t *piece,
                                size_t *at)
{
    while (*piece < t->count) {
        struct slice record = dns_piece_next(t->pieces[*piece], at);

        if (record.len > 0) {
            return record;
        }
        (*piece)++;
        *at = 0;
    }
    return slice_of(NULL, 0);
}

size_t dns_transfer_next(struct dns_transfer_stream *stream, uint8_t *out,
                         size_t cap)
{
    struct dns_transfer_stream *t = stream;
    bool edns = t->request.edns && !t->begun;
    size_t len = put_head(&t->request, out);
    size_t count = 0;

    CHECK(cap >= DNS_TRANSFER_MESSAGE_MIN);
    cap -= edns ? OPT_BYTES : 0;
    for (;;) {
        size_t piece = t->piece;
        size_t at = t->at;
        struct slice record = record_next(t, &piece, &at);

        if (record.len == 0 || record.len > cap - len) {
            break;
        }
        memcpy(out + len, record.data, record.len);
        len += record.len;
        count++;
        t->piece = piece;
        t->at = at;
    }
    if (count == 0) {
        return 0;
    }
    put_u16(out + 6, count);
    t->begun = true;
    return edns ? put_opt(out, len) : len;
}

size_t dns_transfer_soa(const struct dns_zone *zone, unsigned domain,
                        const struct dns_transfer_request *request,
                        uint8_t *out)
{
    struct dns_piece *soa = dns_render_soa(zone, domain);
    size_t len = put_head(request, out);
    size_t at = 0;
    struct slice record = dns_piece_next(soa, &at);

    memcpy(out + len, record.data, record.len);
    len += record.len;
    put_u16(out + 6, 1);
    dns_piece_unref(soa);
    return request->edns ? put_opt(out, len) : len;
}

/* ---- The zone's -------------------------------------------------------- */

bool dns_zone_may_transfer(const struct dns_zone *zone)
{
    return zone->state == DNS_FRESH || zone->state == DNS_STALE;
}

uint32_t dns_zone_serial(const struct dns_zone *zone)
{
    return zone->serial;
}

bool dns_zone_serial_is_ahead(const struct dns_zone *zone)
{
    return zone->serial_ahead;
}

bool dns_zone_domain(const struct dns_zone *zone, struct slice name,
                     unsigned *out_domain)
{
    for (unsigned d = 0; d < zone->config->domains_count; d++) {
        if (dns_same(dns_name_slice(&zone->config->domains[d]), name)) {
            *out_domain = d;
            return true;
        }
    }
    return false;
}

unsigned dns_zone_domains(const struct dns_zone *zone)
{
    return zone->config->domains_count;
}

struct slice dns_zone_domain_name(const struct dns_zone *zone, unsigned domain)
{
    return dns_name_slice(&zone->config->domains[domain]);
}
