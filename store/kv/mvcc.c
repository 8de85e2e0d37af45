#include "store/kv/mvcc.h"

#include "base/core/check.h"
#include "store/kv/state.h"

int64_t mvcc_view(const struct kv *kv)
{
    return kv->revision + (kv->changes > 0);
}

static struct kv_rev next_rev(struct kv *kv)
{
    return (struct kv_rev){.main = kv->revision + 1, .sub = kv->changes++};
}

static struct index_rev index_rev_of(const struct record *r)
{
    return (struct index_rev){.main = r->rev.main,
                              .sub = (int32_t)r->rev.sub,
                              .tombstone = r->tombstone};
}

void mvcc_put(struct kv *kv, struct slice key, struct slice value,
              struct lease *lease)
{
    struct index_key *k = index_find_or_add(&kv->index, key);
    struct kv_rev rev = next_rev(kv);
    struct kv_fields fields = {
        .key = key,
        .create = index_key_alive(k) ? k->create : rev.main,
        .version = k->version + 1,
        .value = value,
        .lease = lease == NULL ? 0 : lease_id(lease),
    };
    struct record *r = record_put(rev, &fields);

    index_push(&kv->index, k, index_rev_of(r), fields.create, fields.version);
    if (lease != NULL || k->lease != NULL) {
        lease_attach(k, lease);
    }
    if (k->row != NULL) {
        /* What nobody has read would only push out what somebody reads. */
        rows_keep(&kv->rows, k, r);
    }
    pending_add(&kv->pending, r);
}

void mvcc_delete(struct kv *kv, struct index_key *k)
{
    struct record *r;

    CHECK(index_key_alive(k));
    r = record_tombstone(next_rev(kv), index_key_slice(k));
    lease_attach(k, NULL);
    rows_drop(&kv->rows, k);
    index_push(&kv->index, k, index_rev_of(r), 0, 0);
    pending_add(&kv->pending, r);
}

void mvcc_end(struct kv *kv)
{
    struct record *const *records;
    size_t count;

    if (kv->changes == 0) {
        return;
    }
    kv->revision++;
    kv->changes = 0;
    records = pending_from(&kv->pending, kv->revision, &count);
    watch_notify(kv, records, count);
}

bool mvcc_read(struct kv *kv, struct index_rev rev, struct slice *out_row)
{
    struct kv_rev at = {.main = rev.main, .sub = rev.sub};
    const struct record *r = pending_find(&kv->pending, at);
    struct rev_key row_key;
    enum status st;

    if (r != NULL) {
        *out_row = record_row(r);
        return true;
    }
    row_key = rev_key_pack(at, rev.tombstone);
    st = kv->table->get(kv->table, TABLE_KEY, rev_key_slice(&row_key), out_row);
    if (st) {
        /* The index says that it is there: then its absence is damage too. */
        kv->failure = st == ST_NOT_FOUND ? ST_CORRUPT : st;
        return false;
    }
    return true;
}

bool mvcc_read_newest(struct kv *kv, struct index_key *k, struct slice *out_row)
{
    struct kv_rev rev;
    struct record *r;
    struct slice row;

    if (k == NULL || !index_key_alive(k)) {
        *out_row = slice_of(NULL, 0);
        return true;
    }
    r = rows_find(k);
    if (r == NULL) {
        if (!mvcc_read(kv, k->newest, &row)) {
            return false;
        }
        if (row.len > ROWS_ROW_MAX / 2) {
            *out_row = row;
            return true;
        }
        rev = (struct kv_rev){.main = k->newest.main, .sub = k->newest.sub};
        r = record_copy(rev, index_key_slice(k), row);
        rows_keep(&kv->rows, k, r);
        record_unref(r);
        CHECK(k->row == r);
    }
    *out_row = record_row(r);
    return true;
}
