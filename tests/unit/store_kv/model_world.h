/*
 * model_world.h - a store and the model beside it, and those who watch it.
 */
#pragma once

#include <stdio.h>

#include "base/core/check.h"
#include "base/core/pb.h"
#include "base/core/rng.h"
#include "store/kv/watch.h"
#include "suite.h"
#include "unit/store_kv/memory_table.h"
#include "unit/store_kv/model.h"

enum {
    KEYS = 12,
    STEPS = 1500,
    SEEDS = 12,
    WATCHERS = 4,
    LOG_MAX = 4 * STEPS
};

struct listener {
    struct watcher *watcher;
    char from[24];
    char to[24]; /* "": the one key */
    bool paused;
    size_t seen; /* Changes of the model that it has been told or skipped. */
};

struct world {
    struct rng rng;
    struct memory_table table;
    struct kv *kv;
    struct model model;
    struct slice log[LOG_MAX];
    size_t log_count;
    struct arena arena;
    struct kv_reply reply;
    struct buf request;
    struct listener listeners[WATCHERS];
};

static inline uint64_t pick(struct world *w, uint64_t bound)
{
    return rng_below(&w->rng, bound);
}

static inline const char *pick_key(struct world *w, char out[24])
{
    (void)snprintf(out, 24, "k%c%s", (char)('a' + (char)pick(w, KEYS)),
                   pick(w, 4) == 0 ? "/long/name" : "");
    return out;
}

static inline void world_open(struct world *w)
{
    struct kv_config config = kv_config_default();
    struct err err = {0};

    ck_assert_msg(kv_open(&config, &w->table.port, &w->kv, &err) == ST_OK, "%s",
                  err.text);
    kv_lead(w->kv, 0);
}

static inline void world_init(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof(*w));
    rng_init(&w->rng, seed);
    memory_table_init(&w->table);
    model_init(&w->model);
    kv_reply_init(&w->reply);
    buf_init(&w->request, SIZE_MAX);
    world_open(w);
}

static inline void listeners_stop(struct world *w)
{
    for (size_t i = 0; i < WATCHERS; i++) {
        watch_free(w->listeners[i].watcher);
        w->listeners[i].watcher = NULL;
    }
}

static inline void world_release(struct world *w)
{
    listeners_stop(w);
    kv_free(w->kv);
    memory_table_release(&w->table);
    model_release(&w->model);
    kv_reply_release(&w->reply);
    buf_release(&w->request);
    arena_release(&w->arena);
}

static inline void apply_at(struct world *w, size_t i)
{
    struct kv_entry e = {.index = i + 1, .term = 1, .data = w->log[i]};

    kv_apply(w->kv, &e, 0, &w->reply);
}

/* What w->request holds, through the log. */
static inline void propose(struct world *w, enum kv_kind kind)
{
    struct buf entry;

    ck_assert(w->log_count < LOG_MAX);
    ck_assert_int_eq(kv_check(w->kv, kind, buf_slice(&w->request)), KV_OK);
    buf_init(&entry, SIZE_MAX);
    kv_entry_pack(&entry, 1, kind, buf_slice(&w->request));
    w->log[w->log_count] = arena_copy(&w->arena, buf_slice(&entry));
    buf_release(&entry);
    apply_at(w, w->log_count++);
    buf_clear(&w->request);
}

static inline bool in_range(const char *key, const char *from, const char *to)
{
    return to[0] == '\0' ? strcmp(key, from) == 0
                         : strcmp(key, from) >= 0 && strcmp(key, to) < 0;
}

/* --------------------------------------------------------------- watchers */

static inline void do_watch(struct world *w)
{
    struct listener *l = &w->listeners[pick(w, WATCHERS)];
    int64_t start = (int64_t)pick(w, (uint64_t)w->model.revision + 3);
    struct watch_spec spec = {.start_revision = start, .owner = l};

    if (pick(w, 2) == 0 && w->model.compacted > 0) {
        spec.start_revision = w->model.compacted; /* The edge. */
        start = w->model.compacted;
    }
    watch_free(l->watcher);
    *l = (struct listener){0};
    pick_key(w, l->from);
    if (pick(w, 3) > 0) {
        (void)snprintf(l->to, sizeof(l->to), "l");
    }
    spec.key = slice_str(l->from);
    spec.range_end = slice_str(l->to);
    l->watcher = watch_add(w->kv, &spec);
    start = start > 0 ? start : w->model.revision + 1;
    while (l->seen < w->model.count &&
           w->model.list[l->seen].rev.main < start) {
        l->seen++;
    }
    if (start > w->model.revision) {
        /* Of a future start nothing before it may come. */
        watch_free(l->watcher);
        l->watcher = NULL;
    }
}

/* The next change of the model that the listener must hear of. */
static inline const struct model_change *listener_next(const struct world *w,
                                                       struct listener *l)
{
    while (l->seen < w->model.count) {
        const struct model_change *c = &w->model.list[l->seen++];

        if (in_range(c->key, l->from, l->to)) {
            return c;
        }
    }
    return NULL;
}

static inline void listener_check(const struct world *w, struct listener *l,
                                  struct slice event)
{
    const struct model_change *c = listener_next(w, l);
    struct kv_fields kv = {0};
    struct pb_field f;
    bool tombstone = false;

    ck_assert_ptr_nonnull(c);
    ck_assert(pb_next(&event, &f));
    event = f.bytes;
    while (pb_next(&event, &f)) {
        tombstone |= f.number == 1;
        if (f.number == 2) {
            ck_assert(kv_fields_parse(f.bytes, &kv));
        }
    }
    ck_assert(tombstone == c->tombstone);
    ck_assert(slice_eq(kv.key, slice_str(c->key)));
    ck_assert_int_eq(kv.mod, c->rev.main);
    ck_assert_int_eq(kv.version, c->version);
}

static inline void listen(struct world *w)
{
    struct watcher *ready;

    while ((ready = watch_ready(w->kv)) != NULL) {
        struct listener *l = watch_owner(ready);
        struct watch_notice notice;

        watch_next(ready, &notice);
        if (notice.type == WATCH_COMPACTED) {
            ck_assert(w->model.list[l->seen].rev.main < w->model.compacted);
            watch_free(ready);
            l->watcher = NULL;
            continue;
        }
        for (size_t i = 0; i < notice.events_count; i++) {
            listener_check(w, l, notice.events[i]);
        }
        if (watch_synced(ready)) {
            ck_assert_ptr_null(listener_next(w, l));
        }
    }
}

static inline void do_pause(struct world *w)
{
    struct listener *l = &w->listeners[pick(w, WATCHERS)];

    if (l->watcher == NULL) {
        return;
    }
    if (l->paused) {
        watch_resume(l->watcher);
    } else {
        watch_pause(l->watcher);
    }
    l->paused = !l->paused;
}
