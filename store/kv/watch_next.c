/* What a watcher is told next: queued events, or a slice of history. */
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/row.h"
#include "store/kv/mvcc.h"
#include "store/kv/state.h"
#include "store/kv/watch_queue.h"

/* A slice of history ends at the first whole revision past one of these. */
enum {
    SLICE_ROWS = 1000,
    SLICE_BYTES = 256 * 1024
};

/* All events of the first queued revision. */
static void next_queued(struct watcher *w, struct watch_notice *n)
{
    struct watch_hub *hub = &w->kv->hub;
    int64_t main = (*queue_at(w, 0))->rev.main;

    while (w->count > 0 && (*queue_at(w, 0))->rev.main == main) {
        struct record *r = *queue_at(w, 0);
        struct slice event = w->prev_kv ? r->with_prev : record_event(r);

        hub->lent = row_room(hub->lent, &hub->lent_cap, hub->lent_count,
                             sizeof(*hub->lent));
        hub->lent[hub->lent_count++] = r; /* With the queue's reference. */
        hub->slices = row_room(hub->slices, &hub->slices_cap, n->events_count,
                               sizeof(*hub->slices));
        hub->slices[n->events_count++] = event;
        n->events_bytes += event.len;
        w->bytes -= record_event(r).len;
        w->first = (w->first + 1) & (w->cap - 1);
        w->count--;
    }
    n->type = WATCH_EVENTS;
    n->revision = main;
    n->events = hub->slices;
}

/* A walk over history for one watcher. */
struct history {
    struct watcher *watcher;
    size_t rows;  /* Looked at. */
    int64_t main; /* The revision being walked. */
    bool cut;     /* Enough for one slice: `main` is not in it. */
    bool damaged;
    size_t *lens; /* Of the events found, which lie in hub->history. */
    size_t lens_count;
    size_t lens_cap;
};

static bool watcher_watches(const struct watcher *w, struct slice key)
{
    const struct key_range *r = &w->watched->interval.range;

    return slice_cmp(key, r->from) >= 0 && key_range_reaches(r, key);
}

static struct slice history_prev(struct kv *kv, struct slice key, int64_t main)
{
    const struct index_key *k = index_find(&kv->index, key);
    struct slice prev = {0};
    struct index_rev rev;

    if (k == NULL || !index_at(k, main - 1, &rev) ||
        !mvcc_read(kv, rev, &prev)) {
        return slice_of(NULL, 0);
    }
    return prev;
}

/* The row is borrowed from the table until the next read, so with prev_kv it
 * is copied first. */
static void history_emit(struct history *h, struct kv_rev rev, bool tombstone,
                         struct slice key, struct slice row)
{
    struct kv *kv = h->watcher->kv;
    struct buf *out = &kv->hub.history;
    size_t before = out->len;

    if (h->watcher->prev_kv) {
        struct slice own_row = arena_copy(&kv->scratch, row);
        struct slice own_key = arena_copy(&kv->scratch, key);

        event_append(out, rev, tombstone, own_row,
                     history_prev(kv, own_key, rev.main));
    } else {
        event_append(out, rev, tombstone, row, slice_of(NULL, 0));
    }
    h->lens = row_room(h->lens, &h->lens_cap, h->lens_count, sizeof(*h->lens));
    h->lens[h->lens_count++] = out->len - before;
}

/* A revision begins: is there room for it in this slice? */
static bool history_enter(struct history *h, int64_t main)
{
    if (main != h->main && (h->rows >= SLICE_ROWS ||
                            h->watcher->kv->hub.history.len >= SLICE_BYTES)) {
        h->cut = true;
    }
    h->main = main;
    h->rows++;
    return !h->cut;
}

static void history_row(struct history *h, struct kv_rev rev, bool tombstone,
                        struct slice row)
{
    struct slice key;

    if (!kv_fields_key(row, &key)) {
        h->damaged = true;
    } else if (watcher_watches(h->watcher, key) &&
               watcher_wants(h->watcher, rev.main, tombstone)) {
        history_emit(h, rev, tombstone, key, row);
    }
}

static bool on_history_row(void *ctx, struct slice row_key, struct slice row)
{
    struct history *h = ctx;
    struct kv_rev rev;
    bool tombstone;

    if (!rev_key_parse(row_key, &rev, &tombstone)) {
        h->damaged = true;
        return false;
    }
    if (!history_enter(h, rev.main)) {
        return false;
    }
    history_row(h, rev, tombstone, row);
    return !h->damaged;
}

/* Everything from w->next on: what the table has, then what is pending. */
static void history_scan(struct history *h)
{
    struct watcher *w = h->watcher;
    struct kv *kv = w->kv;
    struct rev_key from = rev_key_pack((struct kv_rev){.main = w->next}, false);
    struct record *const *records;
    enum status st;
    size_t count;

    st = kv->table->scan(kv->table, TABLE_KEY, rev_key_slice(&from), h,
                         on_history_row);
    if (st) {
        kv->failure = st;
        h->damaged = true;
    }
    records = pending_from(&kv->pending, w->next, &count);
    for (size_t i = 0; i < count && !h->cut && !h->damaged; i++) {
        if (history_enter(h, records[i]->rev.main)) {
            history_row(h, records[i]->rev, records[i]->tombstone,
                        record_row(records[i]));
        }
    }
}

/* A single key's history is known to the index: read just that. */
static void history_of_key(struct history *h)
{
    struct watcher *w = h->watcher;
    const struct index_key *k =
        index_find(&w->kv->index, w->watched->interval.range.from);
    size_t count = k == NULL ? 0 : index_revs_count(k);

    for (size_t i = 0; i < count && !h->damaged; i++) {
        struct index_rev rev = index_rev_at(k, i);
        struct slice row;

        if (!watcher_wants(w, rev.main, rev.tombstone)) {
            continue;
        }
        if (!history_enter(h, rev.main)) {
            return;
        }
        if (!mvcc_read(w->kv, rev, &row)) {
            h->damaged = true;
            return;
        }
        history_emit(h, (struct kv_rev){rev.main, rev.sub}, rev.tombstone,
                     index_key_slice(k), row);
    }
}

static void history_hand_out(const struct history *h, struct watch_notice *n)
{
    struct watch_hub *hub = &h->watcher->kv->hub;
    const uint8_t *at = hub->history.data;

    for (size_t i = 0; i < h->lens_count; i++) {
        hub->slices =
            row_room(hub->slices, &hub->slices_cap, i, sizeof(*hub->slices));
        hub->slices[i] = slice_of(at, h->lens[i]);
        at += h->lens[i];
    }
    n->type = h->lens_count > 0 ? WATCH_EVENTS : WATCH_NOTHING;
    n->events = hub->slices;
    n->events_count = h->lens_count;
    n->events_bytes = hub->history.len;
    hub->counts.events_total += h->lens_count;
}

static void next_from_history(struct watcher *w, struct watch_notice *n)
{
    struct kv *kv = w->kv;
    struct history h = {.watcher = w};

    if (w->next < kv->compacted) {
        n->type = WATCH_COMPACTED;
        n->compact_revision = kv->compacted;
        return;
    }
    buf_clear(&kv->hub.history);
    if (w->watched->interval.range.single) {
        history_of_key(&h);
    } else {
        history_scan(&h);
    }
    n->rows_read = h.rows;
    arena_reset(&kv->scratch);
    if (h.damaged) {
        kv->failure = kv->failure ? kv->failure : ST_CORRUPT;
        free(h.lens);
        return;
    }
    w->next = h.cut ? h.main : kv->revision + 1;
    n->revision = w->next - 1;
    if (!h.cut) {
        w->behind = false;
        kv->hub.counts.behind--;
    }
    history_hand_out(&h, n);
    free(h.lens);
}

void watch_next(struct watcher *w, struct watch_notice *out_notice)
{
    *out_notice = (struct watch_notice){.type = WATCH_NOTHING};
    watch_give_back(&w->kv->hub);
    if (w->kv->failure) {
        return;
    }
    if (w->behind) {
        next_from_history(w, out_notice);
    } else if (w->count > 0) {
        next_queued(w, out_notice);
    }
    if (out_notice->type != WATCH_COMPACTED) {
        watcher_line_up(w);
    }
}
