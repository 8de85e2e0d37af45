#include "store/kv/compact.h"

#include "base/core/check.h"
#include "store/kv/range.h"
#include "store/kv/state.h"

/* Keys looked at, and revisions dropped, in one slice. */
enum {
    SLICE_KEYS = 4000,
    SLICE_DROPS = 1000
};

static void note_revision(struct kv *kv, const char *name, int64_t main)
{
    struct rev_key row = rev_key_pack((struct kv_rev){.main = main}, false);

    pending_note(&kv->pending, TABLE_META, slice_str(name),
                 rev_key_slice(&row));
}

/* A compaction that is still walking begins anew with the later target, which
 * includes what is left of the earlier. */
static void compact_walk(struct kv *kv, int64_t target)
{
    kv->compaction.running = true;
    kv->compaction.target = target;
    buf_clear(&kv->compaction.resume);
}

enum kv_error compact_to(struct kv *kv, int64_t revision)
{
    if (revision <= kv->compacted) {
        return KV_COMPACTED;
    }
    if (revision > kv->revision) {
        return KV_FUTURE_REV;
    }
    kv->compacted = revision;
    note_revision(kv, "scheduledCompactRev", revision);
    compact_walk(kv, revision);
    return KV_OK;
}

void compact_resume(struct kv *kv, int64_t scheduled, int64_t finished)
{
    kv->compaction.walked = finished;
    kv->compaction.taken = finished;
    kv->compaction.finished = finished;
    kv->compacted = finished > scheduled ? finished : scheduled;
    if (scheduled > finished) {
        compact_walk(kv, scheduled);
    }
}

bool compact_idle(const struct kv *kv)
{
    return !kv->compaction.running &&
           kv->compaction.finished == kv->compaction.walked;
}

static void on_drop(void *ctx, struct index_rev rev)
{
    struct kv *kv = ctx;

    pending_drop(&kv->pending,
                 (struct kv_rev){.main = rev.main, .sub = rev.sub},
                 rev.tombstone);
}

static void compact_finish(struct kv *kv)
{
    struct compaction *c = &kv->compaction;

    c->running = false;
    c->walked = c->target;
    buf_clear(&c->resume);
    note_revision(kv, "finishedCompactRev", c->target);
    kv->applied_since_take = true; /* There is something to write. */
}

/* One slice of the walk. Removing an entry makes cursors invalid, so the walk
 * takes the next key before and seeks again. */
static void compact_step(struct kv *kv)
{
    struct compaction *c = &kv->compaction;
    struct index_cursor cursor = index_seek(&kv->index, buf_slice(&c->resume));
    size_t budget = SLICE_DROPS;
    struct index_key *k;

    for (size_t i = 0; i < SLICE_KEYS && budget > 0; i++) {
        size_t before;
        struct index_key *next;

        k = index_here(&cursor);
        if (k == NULL) {
            compact_finish(kv);
            return;
        }
        before = index_revs_count(k);
        index_next(&cursor);
        next = index_here(&cursor);
        if (index_compact(&kv->index, k, c->target, kv, on_drop)) {
            budget--;
            if (next == NULL) {
                compact_finish(kv);
                return;
            }
            cursor = index_seek(&kv->index, index_key_slice(next));
        } else {
            size_t drops = before - index_revs_count(k);

            budget -= drops < budget ? drops : budget;
        }
    }
    k = index_here(&cursor);
    if (k == NULL) {
        compact_finish(kv);
        return;
    }
    buf_clear(&c->resume);
    CHECK(buf_add(&c->resume, index_key_slice(k)) == ST_OK);
}

bool kv_work(struct kv *kv)
{
    if (!kv->compaction.running || kv->hash != NULL || kv->failure ||
        ranges_below(kv, kv->compaction.target)) {
        return false;
    }
    compact_step(kv);
    return kv->compaction.running;
}

int64_t kv_compacted_to(const struct kv *kv)
{
    return kv->compaction.finished;
}
