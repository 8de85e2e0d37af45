#include <stdlib.h>

#include <uthash.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "store/kv/mvcc.h"
#include "store/kv/state.h"
#include "store/kv/watch_queue.h"

bool watch_range_ok(struct slice key, struct slice range_end)
{
    struct key_range r = key_range_of(key, range_end);

    if (r.single || r.open || key.len == 0) {
        return true;
    }
    return slice_cmp(key, range_end) < 0;
}

void watch_hub_init(struct watch_hub *hub)
{
    *hub = (struct watch_hub){.intervals = {.seed = 0x9e3779b9u}};
    TAILQ_INIT(&hub->line);
    buf_init(&hub->history, SIZE_MAX);
}

void watch_give_back(struct watch_hub *hub)
{
    for (size_t i = 0; i < hub->lent_count; i++) {
        record_unref(hub->lent[i]);
    }
    hub->lent_count = 0;
}

void watch_hub_release(struct watch_hub *hub)
{
    CHECK(hub->counts.watchers == 0);
    watch_give_back(hub);
    free(hub->lent);
    free(hub->slices);
    buf_release(&hub->history);
    *hub = (struct watch_hub){0};
}

/* ---------------------------------------------------------- who watches -- */

static struct watched *watched_new(struct slice key, struct slice range_end)
{
    struct watched *g = calloc(1, sizeof(*g) + key.len + range_end.len);

    CHECK(g != NULL);
    memcpy(g->bytes, key.data, key.len);
    if (range_end.len > 0) {
        memcpy(g->bytes + key.len, range_end.data, range_end.len);
    }
    g->interval.range =
        key_range_of(slice_of(g->bytes, key.len),
                     slice_of(g->bytes + key.len, range_end.len));
    LIST_INIT(&g->watchers);
    return g;
}

/* Keyed, because keys come from outside. */
static unsigned key_hash(const struct kv *kv, struct slice key)
{
    return (unsigned)hash_bytes(kv->config.hash_key, key);
}

/* The group of this key or interval, made when there is none. */
static struct watched *watched_get(struct kv *kv, struct slice key,
                                   struct slice range_end)
{
    struct watch_hub *hub = &kv->hub;
    unsigned hash = key_hash(kv, key);
    struct key_range range = key_range_of(key, range_end);
    struct watched *g;

    if (range.single) {
        HASH_FIND_BYHASHVALUE(hh, hub->by_key, key.data, key.len, hash, g);
        if (g == NULL) {
            g = watched_new(key, range_end);
            HASH_ADD_KEYPTR_BYHASHVALUE(
                hh, hub->by_key, g->interval.range.from.data, key.len, hash, g);
        }
        return g;
    }
    g = (struct watched *)(void *)intervals_find(&hub->intervals, &range);
    if (g == NULL) {
        g = watched_new(key, range_end);
        CHECK(intervals_add(&hub->intervals, &g->interval) == NULL);
    }
    return g;
}

static void watched_leave(struct watch_hub *hub, struct watcher *w)
{
    struct watched *g = w->watched;

    LIST_REMOVE(w, entry);
    if (!LIST_EMPTY(&g->watchers)) {
        return;
    }
    if (g->interval.range.single) {
        HASH_DELETE(hh, hub->by_key, g);
    } else {
        intervals_remove(&hub->intervals, &g->interval);
    }
    free(g);
}

/* ------------------------------------------------------------- the line -- */

static bool watcher_has_something(const struct watcher *w)
{
    return w->behind || w->count > 0;
}

void watcher_line_up(struct watcher *w)
{
    if (!w->in_line && !w->paused && watcher_has_something(w)) {
        TAILQ_INSERT_TAIL(&w->kv->hub.line, w, line);
        w->in_line = true;
    }
}

static void watcher_leave_line(struct watcher *w)
{
    if (w->in_line) {
        TAILQ_REMOVE(&w->kv->hub.line, w, line);
        w->in_line = false;
    }
}

struct watcher *watch_ready(struct kv *kv)
{
    struct watcher *w = TAILQ_FIRST(&kv->hub.line);

    if (w != NULL) {
        watcher_leave_line(w);
    }
    return w;
}

void watch_pause(struct watcher *w)
{
    w->paused = true;
    watcher_leave_line(w);
}

void watch_resume(struct watcher *w)
{
    w->paused = false;
    watcher_line_up(w);
}

bool watch_synced(const struct watcher *w)
{
    return !watcher_has_something(w);
}

/* ----------------------------------------------------------- watchers -- */

struct watcher *watch_add(struct kv *kv, const struct watch_spec *spec)
{
    struct watcher *w = calloc(1, sizeof(*w));
    bool past =
        spec->start_revision > 0 && spec->start_revision <= kv->revision;

    CHECK(w != NULL);
    CHECK(spec->key.len > 0);
    w->kv = kv;
    w->owner = spec->owner;
    w->no_put = spec->no_put;
    w->no_delete = spec->no_delete;
    w->prev_kv = spec->prev_kv;
    w->next =
        spec->start_revision > 0 ? spec->start_revision : kv->revision + 1;
    w->behind = past;
    w->watched = watched_get(kv, spec->key, spec->range_end);
    LIST_INSERT_HEAD(&w->watched->watchers, w, entry);
    kv->hub.counts.watchers++;
    kv->hub.counts.behind += past;
    watcher_line_up(w);
    return w;
}

/* Forget what is queued. */
static void queue_clear(struct watcher *w)
{
    for (size_t i = 0; i < w->count; i++) {
        record_unref(*queue_at(w, i));
    }
    w->first = 0;
    w->count = 0;
    w->bytes = 0;
}

void watch_free(struct watcher *w)
{
    if (w == NULL) {
        return;
    }
    watcher_leave_line(w);
    queue_clear(w);
    free(w->queue);
    w->kv->hub.counts.watchers--;
    w->kv->hub.counts.behind -= w->behind;
    watched_leave(&w->kv->hub, w);
    free(w);
}

void *watch_owner(const struct watcher *w)
{
    return w->owner;
}

struct watch_counts watch_counts(const struct kv *kv)
{
    return kv->hub.counts;
}

/* ------------------------------------------------------------ new events -- */

static void queue_grow(struct watcher *w)
{
    size_t cap = w->cap == 0 ? 4 : w->cap * 2;
    struct record **queue = malloc(cap * sizeof(struct record *));

    CHECK(queue != NULL);
    for (size_t i = 0; i < w->count; i++) {
        queue[i] = *queue_at(w, i);
    }
    free(w->queue);
    w->queue = queue;
    w->cap = cap;
    w->first = 0;
}

/* Too much has gathered for a slow reader: it will read history instead, from
 * the first thing it has not seen. */
static void watcher_fall_behind(struct watcher *w)
{
    CHECK(w->count > 0);
    w->next = (*queue_at(w, 0))->rev.main;
    w->behind = true;
    w->kv->hub.counts.behind++;
    queue_clear(w);
    free(w->queue);
    w->queue = NULL;
    w->cap = 0;
}

/* The event with the key's former row, unless somebody wanted it before. */
static void record_find_prev(struct kv *kv, struct record *r)
{
    const struct index_key *k;
    struct index_rev rev;
    struct slice prev;

    if (r->with_prev.len > 0) {
        return;
    }
    k = index_find(&kv->index, record_key(r));
    if (k == NULL || !index_at(k, r->rev.main - 1, &rev) ||
        !mvcc_read(kv, rev, &prev)) {
        prev = slice_of(NULL, 0);
    }
    record_set_prev(r, prev);
}

bool watcher_wants(const struct watcher *w, int64_t main, bool tombstone)
{
    return main >= w->next && !(tombstone ? w->no_delete : w->no_put);
}

static void watcher_give(struct watcher *w, struct record *r)
{
    size_t bytes = record_event(r).len;

    if (w->behind || !watcher_wants(w, r->rev.main, r->tombstone)) {
        return;
    }
    if (w->count == w->cap) {
        queue_grow(w);
    }
    *queue_at(w, w->count) = record_ref(r);
    w->count++;
    w->bytes += bytes;
    w->kv->hub.counts.events_total++;
    if (w->prev_kv) {
        record_find_prev(w->kv, r);
    }
    if (w->count > LIMIT_WATCH_BACKLOG ||
        w->bytes > LIMIT_WATCH_BACKLOG_BYTES) {
        /* Whatever this revision alone brings may stay: it was asked for. */
        if ((*queue_at(w, 0))->rev.main != r->rev.main) {
            watcher_fall_behind(w);
        }
    }
    watcher_line_up(w);
}

static void watched_give(const struct watched *g, struct record *r)
{
    struct watcher *w;

    LIST_FOREACH(w, &g->watchers, entry)
    {
        watcher_give(w, r);
    }
}

static void on_interval(void *ctx, struct interval *found)
{
    watched_give((const struct watched *)(void *)found, ctx);
}

void watch_notify(struct kv *kv, struct record *const *records, size_t count)
{
    struct watch_hub *hub = &kv->hub;

    if (hub->counts.watchers == 0) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct slice key = record_key(records[i]);
        struct watched *g;

        HASH_FIND_BYHASHVALUE(hh, hub->by_key, key.data, key.len,
                              key_hash(kv, key), g);
        if (g != NULL) {
            watched_give(g, records[i]);
        }
        intervals_stab(&hub->intervals, key, records[i], on_interval);
    }
}

/* ------------------------------------------------------------------ jump -- */

void watch_hub_forget_pending(struct watch_hub *hub)
{
    watch_give_back(hub);
    buf_clear(&hub->history);
}

/* Go on in history, from the first revision that it has not been told. */
static void watcher_jump(struct watcher *w, int64_t before)
{
    if (w->behind) {
        return;
    }
    if (w->count > 0) {
        watcher_fall_behind(w);
    } else {
        w->next = w->next > before ? w->next : before + 1;
        w->behind = w->next <= w->kv->revision;
        w->kv->hub.counts.behind += w->behind;
    }
    watcher_line_up(w);
}

static void watched_jump(struct watched *g, int64_t before)
{
    struct watcher *w;

    LIST_FOREACH(w, &g->watchers, entry)
    {
        watcher_jump(w, before);
    }
}

static void on_any_interval(void *ctx, struct interval *found)
{
    watched_jump((struct watched *)(void *)found, *(const int64_t *)ctx);
}

void watch_hub_jumped(struct kv *kv, int64_t before)
{
    struct watched *g;
    struct watched *next;

    HASH_ITER(hh, kv->hub.by_key, g, next)
    {
        watched_jump(g, before);
    }
    intervals_each(&kv->hub.intervals, &before, on_any_interval);
}

/* ---------------------------------------------------------------- verify -- */

static void watcher_verify(const struct watcher *w)
{
    CHECK_IF(w->behind, w->count == 0);
    CHECK_IF(w->in_line, !w->paused);
    CHECK_IF(w->in_line, watcher_has_something(w));
    CHECK(w->count <= w->cap);
    for (size_t i = 1; i < w->count; i++) {
        CHECK(kv_rev_cmp((*queue_at(w, i - 1))->rev, (*queue_at(w, i))->rev) <
              0);
    }
}

void watch_hub_verify(const struct kv *kv)
{
    const struct watcher *w;
    struct watched *g;
    struct watched *next;

    intervals_verify(&kv->hub.intervals);
    HASH_ITER(hh, kv->hub.by_key, g, next)
    {
        CHECK(!LIST_EMPTY(&g->watchers));
        LIST_FOREACH(w, &g->watchers, entry)
        {
            watcher_verify(w);
        }
    }
    TAILQ_FOREACH(w, &kv->hub.line, line)
    {
        CHECK(w->in_line);
        watcher_verify(w);
    }
}
