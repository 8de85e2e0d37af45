/*
 * HashKV: CRC-32C over the history, the same on every member.
 *
 * Over the table's name and then each stored row, key and value, up to the
 * revision asked for. What a compaction may or may not have removed yet must
 * not count: of rows at or below the compacted revision only those that are a
 * key's newest as of the revision hashed, unless no key at all was alive then
 * (etcd's rule), and no tombstone at the compacted revision itself. The hash
 * starts when compaction is idle and holds up the next one, so that the last
 * two exceptions have one meaning only.
 */
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/crc32c.h"
#include "base/core/pb.h"
#include "store/kv/compact.h"
#include "store/kv/range.h"
#include "store/kv/state.h"

/* Rows and bytes of one slice. */
enum {
    SLICE_ROWS = 2000,
    SLICE_BYTES = 1024 * 1024
};

/* Fields of HashKVResponse. */
enum {
    RESPONSE_HASH = 2,
    RESPONSE_COMPACT_REVISION = 3
};

struct kv_hash {
    struct kv *kv;
    struct kv_reply *reply;
    int64_t revision;
    int64_t compacted;
    bool started;
    bool any_alive; /* Some key was alive at `revision`. */
    bool ended;
    struct kv_rev next; /* Where to go on. */
    uint32_t sum;
    size_t rows;
    size_t bytes;
};

struct kv_hash *kv_hash_start(struct kv *kv, int64_t revision,
                              struct kv_reply *reply)
{
    struct kv_hash *h;
    enum kv_error e = range_check_revision(kv, revision);

    kv_reply_reset(reply);
    reply->revision = kv->revision;
    if (e) {
        (void)kv_reply_fail(reply, e);
        return NULL;
    }
    h = calloc(1, sizeof(*h));
    CHECK(h != NULL);
    h->kv = kv;
    h->reply = reply;
    h->revision = revision == 0 ? kv->revision : revision;
    h->next = (struct kv_rev){.main = 0, .sub = 0};
    return h;
}

static bool any_alive_at(const struct kv *kv, int64_t revision)
{
    struct index_cursor c = index_seek(&kv->index, slice_of(NULL, 0));
    const struct index_key *k;
    struct index_rev rev;

    while ((k = index_here(&c)) != NULL) {
        if (index_at(k, revision, &rev)) {
            return true;
        }
        index_next(&c);
    }
    return false;
}

/* Whether the row is what a read of its key at `revision` finds. */
static bool row_is_kept(const struct kv_hash *h, struct kv_rev rev,
                        struct slice row)
{
    const struct index_key *k;
    struct index_rev found;
    struct slice key;

    if (!kv_fields_key(row, &key)) {
        h->kv->failure = ST_CORRUPT;
        return false;
    }
    k = index_find(&h->kv->index, key);
    return k != NULL && index_at(k, h->revision, &found) &&
           found.main == rev.main && found.sub == rev.sub;
}

/* false: the slice is full, or the revision passed. */
static bool hash_row(struct kv_hash *h, struct kv_rev rev, bool tombstone,
                     struct slice row_key, struct slice row)
{
    if (rev.main > h->revision) {
        h->ended = true;
        return false;
    }
    if (h->rows >= SLICE_ROWS || h->bytes >= SLICE_BYTES) {
        h->next = rev;
        return false;
    }
    h->rows++;
    h->bytes += row.len;
    if (rev.main <= h->compacted) {
        if (rev.main == h->compacted && tombstone) {
            return true;
        }
        if (h->any_alive && !row_is_kept(h, rev, row)) {
            return true;
        }
    }
    h->sum = crc32c(crc32c(h->sum, row_key), row);
    return true;
}

struct hash_scan {
    struct kv_hash *hash;
    bool full;
};

static bool on_hash_row(void *ctx, struct slice row_key, struct slice row)
{
    struct hash_scan *s = ctx;
    struct kv_rev rev;
    bool tombstone;

    if (!rev_key_parse(row_key, &rev, &tombstone)) {
        s->hash->kv->failure = ST_CORRUPT;
        return false;
    }
    s->full = !hash_row(s->hash, rev, tombstone, row_key, row);
    return !s->full;
}

/* What is not in the table yet. */
static void hash_pending(struct kv_hash *h)
{
    struct record *const *records;
    size_t count;

    records = pending_from(&h->kv->pending, h->next.main, &count);
    for (size_t i = 0; i < count; i++) {
        const struct record *r = records[i];

        if (kv_rev_cmp(r->rev, h->next) < 0 || r->obsolete) {
            continue;
        }
        if (!hash_row(h, r->rev, r->tombstone, rev_key_slice(&r->row_key),
                      record_row(r))) {
            return;
        }
    }
    h->ended = true;
}

static void hash_slice(struct kv_hash *h)
{
    struct rev_key from = rev_key_pack(h->next, false);
    struct hash_scan scan = {.hash = h};
    enum status st;

    h->rows = 0;
    h->bytes = 0;
    st = h->kv->table->scan(h->kv->table, TABLE_KEY, rev_key_slice(&from),
                            &scan, on_hash_row);
    if (st) {
        h->kv->failure = st;
    }
    if (!scan.full && !h->kv->failure) {
        hash_pending(h);
    }
}

/* Only now is it known which compaction counts. */
static bool hash_begin(struct kv_hash *h)
{
    struct kv *kv = h->kv;
    enum kv_error e = range_check_revision(kv, h->revision);

    if (e) {
        (void)kv_reply_fail(h->reply, e);
        h->ended = true;
        return false;
    }
    kv->hash = h;
    h->started = true;
    h->compacted = kv->compacted;
    h->any_alive = any_alive_at(kv, h->revision);
    h->sum = crc32c(0, slice_str(table_name(TABLE_KEY)));
    return true;
}

bool kv_hash_step(struct kv_hash *h)
{
    if (!h->started) {
        if (!compact_idle(h->kv) || h->kv->hash != NULL) {
            return false;
        }
        if (!hash_begin(h)) {
            return true;
        }
    }
    hash_slice(h);
    if (h->kv->failure) {
        (void)kv_reply_fail(h->reply, KV_DAMAGED);
        return true;
    }
    if (h->ended) {
        pb_uint(&h->reply->body, RESPONSE_HASH, h->sum);
        pb_int(&h->reply->body, RESPONSE_COMPACT_REVISION, h->compacted);
    }
    return h->ended;
}

void kv_hash_free(struct kv_hash *h)
{
    if (h != NULL) {
        if (h->kv->hash == h) {
            h->kv->hash = NULL;
        }
        free(h);
    }
}
