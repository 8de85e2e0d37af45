#include "store/kv/range.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/pb.h"
#include "base/core/row.h"
#include "store/kv/mvcc.h"
#include "store/kv/state.h"

/* Fields of RangeResponse. */
enum {
    RESPONSE_KVS = 2,
    RESPONSE_MORE = 3,
    RESPONSE_COUNT = 4
};

/* What things cost, in units of about 0.1 us. */
enum {
    COST_VISIT = 1,
    COST_READ = 8,
    COST_BYTES = 1024
};

/* A row to be sorted: `number` or `value` is what it is sorted by, `place` its
 * place in key order. */
struct range_row {
    struct index_rev rev;
    size_t place;
    int64_t number;
    struct slice value;
};

struct kv_range {
    LIST_ENTRY(kv_range) entry;
    struct range_scan scan;
    struct kv_reply *reply;
    uint8_t request[];
};

enum kv_error range_check_revision(const struct kv *kv, int64_t revision)
{
    if (revision <= 0) {
        return KV_OK;
    }
    if (revision > kv->revision) {
        return KV_FUTURE_REV;
    }
    return revision < kv->compacted ? KV_COMPACTED : KV_OK;
}

/* etcd: no order and a target other than the key means ascending; an undefined
 * order means none; an undefined target means the key. */
static bool range_sorts(const struct range_request *r)
{
    bool by_key = r->sort_target <= TARGET_KEY || r->sort_target > TARGET_VALUE;

    switch (r->sort_order) {
    case SORT_NONE:
    case SORT_ASCEND:
        return !by_key;
    case SORT_DESCEND:
        return true;
    default:
        return false;
    }
}

void range_scan_init(struct range_scan *s, struct kv *kv,
                     const struct range_request *request, struct buf *out)
{
    *s = (struct range_scan){
        .kv = kv,
        .request = *request,
        .keys = key_range_of(request->key, request->range_end),
        .at = request->revision > 0 ? request->revision : mvcc_view(kv),
        .out = out,
        .phase = RANGE_FIND,
        .sorted = !request->count_only && range_sorts(request),
    };
    buf_init(&s->resume, SIZE_MAX);
}

void range_scan_release(struct range_scan *s)
{
    buf_release(&s->resume);
    free(s->rows);
    s->rows = NULL;
    arena_release(&s->values);
}

static bool range_fail(struct range_scan *s, enum kv_error e)
{
    s->error = e;
    s->phase = RANGE_DONE;
    return false;
}

/* false: failed. */
static bool range_read(struct range_scan *s, struct index_rev rev,
                       struct slice *out_row)
{
    return mvcc_read(s->kv, rev, out_row) || range_fail(s, KV_DAMAGED);
}

static bool is_newest(const struct index_key *k, struct index_rev rev)
{
    return rev.main == k->newest.main && rev.sub == k->newest.sub;
}

/* Create revision, version and value of a row, reading it only if the index
 * does not know. */
static bool range_fields(struct range_scan *s, const struct index_key *k,
                         struct index_rev rev, bool want_value,
                         struct kv_fields *out)
{
    struct slice row;

    if (rev.main == k->newest.main && rev.sub == k->newest.sub && !want_value) {
        *out = (struct kv_fields){.create = k->create, .version = k->version};
        return true;
    }
    if (!range_read(s, rev, &row)) {
        return false;
    }
    if (!kv_fields_parse(row, out)) {
        s->kv->failure = ST_CORRUPT;
        return range_fail(s, KV_DAMAGED);
    }
    return true;
}

static bool outside(int64_t value, int64_t min, int64_t max)
{
    return (max != 0 && value > max) || (min != 0 && value < min);
}

static bool range_matches(struct range_scan *s, const struct index_key *k,
                          struct index_rev rev)
{
    const struct range_request *r = &s->request;
    struct kv_fields fields;

    if (outside(rev.main, r->min_mod, r->max_mod)) {
        return false;
    }
    if (r->min_create == 0 && r->max_create == 0) {
        return true;
    }
    return range_fields(s, k, rev, false, &fields) &&
           !outside(fields.create, r->min_create, r->max_create);
}

/* Append the row; returns what that cost. */
static int64_t range_append(struct range_scan *s, struct slice row)
{
    size_t mark;

    if (s->out->len > KV_BODY_MAX || row.len > KV_BODY_MAX - s->out->len) {
        (void)range_fail(s, KV_REPLY_TOO_LARGE);
        return 0;
    }
    if (!s->request.keys_only) {
        pb_message(s->out, RESPONSE_KVS, row);
        return COST_READ + (int64_t)(row.len / COST_BYTES);
    }
    mark = pb_begin(s->out, RESPONSE_KVS);
    kv_fields_without_value(s->out, row);
    pb_end(s->out, mark);
    return COST_READ;
}

static int64_t range_emit(struct range_scan *s, struct index_key *k,
                          struct index_rev rev)
{
    struct slice row;

    if (is_newest(k, rev)) {
        return mvcc_read_newest(s->kv, k, &row) ? range_append(s, row)
                                                : range_fail(s, KV_DAMAGED);
    }
    return range_read(s, rev, &row) ? range_append(s, row) : 0;
}

static int64_t range_remember(struct range_scan *s, const struct index_key *k,
                              struct index_rev rev)
{
    bool by_value = s->request.sort_target == TARGET_VALUE;
    struct range_row row = {.rev = rev, .place = s->rows_count};
    struct kv_fields fields;

    if (!range_fields(s, k, rev, by_value, &fields)) {
        return 0;
    }
    if (s->request.sort_target == TARGET_VERSION) {
        row.number = fields.version;
    } else if (s->request.sort_target == TARGET_CREATE) {
        row.number = fields.create;
    } else if (s->request.sort_target == TARGET_MOD) {
        row.number = rev.main;
    } else if (by_value) {
        row.value = arena_copy(&s->values, fields.value);
    } else {
        row.number = (int64_t)row.place;
    }
    s->rows = row_room(s->rows, &s->rows_cap, s->rows_count, sizeof(*s->rows));
    s->rows[s->rows_count++] = row;
    return COST_READ;
}

static bool range_full(const struct range_scan *s)
{
    return s->request.limit > 0 && s->matched >= s->request.limit;
}

/* One key that is there at the revision. */
static int64_t range_visit(struct range_scan *s, struct index_key *k,
                           struct index_rev rev)
{
    s->count++;
    if (s->request.count_only || s->more) {
        return COST_VISIT;
    }
    if (!range_matches(s, k, rev)) {
        return COST_READ;
    }
    if (s->sorted) {
        s->matched++;
        return range_remember(s, k, rev);
    }
    if (range_full(s)) {
        s->more = true; /* Only counting from here on. */
        return COST_VISIT;
    }
    s->matched++;
    return range_emit(s, k, rev);
}

/* true: all keys were seen, or it failed. */
static bool range_find(struct range_scan *s, int64_t *budget)
{
    struct slice from =
        s->resume.len > 0 ? buf_slice(&s->resume) : s->keys.from;
    struct index_cursor c = index_seek(&s->kv->index, from);
    struct index_key *k;

    while ((k = index_here(&c)) != NULL &&
           key_range_reaches(&s->keys, index_key_slice(k))) {
        struct index_rev rev;

        if (*budget <= 0) {
            buf_clear(&s->resume);
            CHECK(buf_add(&s->resume, index_key_slice(k)) == ST_OK);
            return false;
        }
        *budget -=
            index_at(k, s->at, &rev) ? range_visit(s, k, rev) : COST_VISIT;
        if (s->error) {
            return true;
        }
        index_next(&c);
    }
    return true;
}

static int row_cmp(const struct range_row *a, const struct range_row *b)
{
    int order = (a->number > b->number) - (a->number < b->number);

    return order != 0 ? order : slice_cmp(a->value, b->value);
}

/* Equal elements keep key order in both directions. */
static int row_cmp_ascend(const void *left, const void *right)
{
    const struct range_row *a = left;
    const struct range_row *b = right;
    int order = row_cmp(a, b);

    return order != 0 ? order : (a->place > b->place) - (a->place < b->place);
}

static int row_cmp_descend(const void *left, const void *right)
{
    const struct range_row *a = left;
    const struct range_row *b = right;
    int order = row_cmp(b, a);

    return order != 0 ? order : (a->place > b->place) - (a->place < b->place);
}

static void range_sort(struct range_scan *s)
{
    if (s->rows_count > 1) {
        qsort(s->rows, s->rows_count, sizeof(*s->rows),
              s->request.sort_order == SORT_DESCEND ? row_cmp_descend
                                                    : row_cmp_ascend);
    }
    if (s->request.limit > 0 && s->matched > s->request.limit) {
        s->rows_count = (size_t)s->request.limit;
        s->more = true;
    }
    arena_release(&s->values);
}

/* true: all rows are out, or it failed. */
static bool range_emit_rows(struct range_scan *s, int64_t *budget)
{
    while (s->rows_done < s->rows_count) {
        struct slice row;

        if (*budget <= 0) {
            return false;
        }
        if (!range_read(s, s->rows[s->rows_done].rev, &row)) {
            return true;
        }
        *budget -= range_append(s, row);
        s->rows_done++;
        if (s->error) {
            return true;
        }
    }
    return true;
}

static void range_finish(struct range_scan *s)
{
    pb_bool(s->out, RESPONSE_MORE, s->more);
    pb_int(s->out, RESPONSE_COUNT, s->count);
    s->phase = RANGE_DONE;
}

bool range_scan_run(struct range_scan *s, int64_t budget)
{
    if (s->phase == RANGE_FIND && range_find(s, &budget) && !s->error) {
        s->phase = s->sorted ? RANGE_SORT : RANGE_EMIT;
    }
    if (s->phase == RANGE_SORT) {
        range_sort(s);
        s->phase = RANGE_EMIT;
    }
    if (s->phase == RANGE_EMIT && range_emit_rows(s, &budget) && !s->error) {
        range_finish(s);
    }
    return s->phase == RANGE_DONE;
}

/* Move a scan that is not over to the heap, with its own copy of the request,
 * and note that compaction must wait for it. */
static struct kv_range *range_keep(struct range_scan *s, struct slice request,
                                   struct kv_reply *reply)
{
    struct kv_range *range = malloc(sizeof(*range) + request.len);

    CHECK(range != NULL);
    memcpy(range->request, request.data, request.len);
    range->scan = *s;
    range->reply = reply;
    CHECK(range_request_parse(slice_of(range->request, request.len),
                              &range->scan.request));
    range->scan.keys =
        key_range_of(range->scan.request.key, range->scan.request.range_end);
    LIST_INSERT_HEAD(&s->kv->ranges, range, entry);
    return range;
}

void kv_range_start(struct kv *kv, struct slice request, struct kv_reply *reply,
                    struct kv_range **out_more)
{
    struct range_request r;
    struct range_scan scan;
    enum kv_error e;

    *out_more = NULL;
    kv_reply_reset(reply);
    reply->revision = kv->revision;
    e = !range_request_parse(request, &r)
            ? KV_MALFORMED
            : range_check_revision(kv, r.revision);
    if (e) {
        (void)kv_reply_fail(reply, e);
        return;
    }
    range_scan_init(&scan, kv, &r, &reply->body);
    if (!range_scan_run(&scan, RANGE_SLICE)) {
        *out_more = range_keep(&scan, request, reply);
        return;
    }
    if (scan.error) {
        (void)kv_reply_fail(reply, scan.error);
    }
    range_scan_release(&scan);
}

bool kv_range_step(struct kv_range *range)
{
    if (!range_scan_run(&range->scan, RANGE_SLICE)) {
        return false;
    }
    if (range->scan.error) {
        (void)kv_reply_fail(range->reply, range->scan.error);
    }
    return true;
}

void kv_range_free(struct kv_range *range)
{
    if (range != NULL) {
        LIST_REMOVE(range, entry);
        range_scan_release(&range->scan);
        free(range);
    }
}

bool ranges_below(const struct kv *kv, int64_t main)
{
    const struct kv_range *range;

    LIST_FOREACH(range, &kv->ranges, entry)
    {
        if (range->scan.at < main) {
            return true;
        }
    }
    return false;
}
