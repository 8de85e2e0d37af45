/* A snapshot takes the place of the state, and watchers see no gap. */
#include <stdio.h>

#include "base/core/pb.h"
#include "base/core/rng.h"
#include "suite.h"
#include "unit/store_kv/memory_table.h"

#include "store/kv/watch.h"

enum {
    WATCHERS = 6,
    ENTRIES = 120,
    SEEDS = 60
};

/* A member that has all entries, and one that is away meanwhile. */
struct world {
    struct rng rng;
    struct memory_table ahead_table;
    struct memory_table late_table;
    struct kv *ahead;
    struct kv *late;
    struct watcher *watchers[WATCHERS];
    int64_t seen[WATCHERS]; /* Revision of the last event. */
    int64_t told_compacted[WATCHERS];
};

static struct kv *open_on(struct memory_table *t)
{
    struct kv_config config = kv_config_default();
    struct kv *kv = NULL;

    memory_table_init(t);
    ck_assert_int_eq(kv_open(&config, &t->port, &kv, NULL), ST_OK);
    return kv;
}

static void watch(struct world *w, int i, int64_t start)
{
    struct watch_spec spec = {.key = slice_of("\0", 1),
                              .range_end = slice_of("\0", 1),
                              .start_revision = start,
                              .owner = &w->seen[i]};

    if (i % 2 == 1) {
        spec.key = slice_str("k");
        spec.range_end = (struct slice){0};
    }
    w->seen[i] = start > 0 ? start - 1 : kv_revision(w->late);
    w->watchers[i] = watch_add(w->late, &spec);
}

static void world_init(struct world *w, uint64_t seed)
{
    *w = (struct world){0};
    rng_init(&w->rng, seed);
    w->ahead = open_on(&w->ahead_table);
    w->late = open_on(&w->late_table);
}

static void world_release(struct world *w)
{
    for (int i = 0; i < WATCHERS; i++) {
        watch_free(w->watchers[i]);
    }
    kv_verify(w->late);
    kv_free(w->ahead);
    kv_free(w->late);
    memory_table_release(&w->ahead_table);
    memory_table_release(&w->late_table);
}

static void apply(struct kv *kv, uint64_t index, enum kv_kind kind,
                  struct slice request)
{
    struct kv_entry e = {.index = index, .term = 1};
    struct buf data;

    buf_init(&data, SIZE_MAX);
    kv_entry_pack(&data, index, kind, request);
    e.data = buf_slice(&data);
    kv_apply(kv, &e, 0, NULL);
    buf_release(&data);
}

/* Entry number `index` puts "k": each revision has one event. */
static void put(struct kv *kv, uint64_t index)
{
    struct buf request;

    buf_init(&request, SIZE_MAX);
    pb_bytes(&request, 1, slice_str("k"));
    pb_bytes(&request, 2, slice_str("value"));
    apply(kv, index, KV_PUT, buf_slice(&request));
    buf_release(&request);
}

static void compact(struct kv *kv, int64_t revision)
{
    struct buf request;

    buf_init(&request, SIZE_MAX);
    pb_int(&request, 1, revision);
    apply(kv, kv_index(kv) + 1, KV_COMPACTION, buf_slice(&request));
    buf_release(&request);
}

static int64_t event_revision(struct slice field)
{
    struct pb_field event;
    struct pb_field row;
    struct pb_field f;
    int64_t revision = 0;

    ck_assert(pb_next(&field, &event));
    while (pb_next(&event.bytes, &row)) {
        while (row.number == 2 && pb_next(&row.bytes, &f)) {
            revision = f.number == 3 ? (int64_t)f.value : revision;
        }
    }
    return revision;
}

/* Every event is the one after the last. */
static void hear(struct world *w, size_t most)
{
    struct watcher *ready;

    while (most-- > 0 && (ready = watch_ready(w->late)) != NULL) {
        int64_t *seen = watch_owner(ready);
        size_t i = (size_t)(seen - w->seen);
        struct watch_notice notice;

        watch_next(ready, &notice);
        if (notice.type == WATCH_COMPACTED) {
            ck_assert_int_lt(*seen + 1, notice.compact_revision);
            w->told_compacted[i] = notice.compact_revision;
            watch_free(ready);
            w->watchers[i] = NULL;
            continue;
        }
        for (size_t n = 0; n < notice.events_count; n++) {
            ck_assert_int_eq(event_revision(notice.events[n]), *seen + 1);
            *seen += 1;
        }
    }
}

static void install(struct world *w)
{
    struct err err = {0};

    memory_table_commit(&w->ahead_table, w->ahead);
    while (kv_work(w->ahead)) {
        memory_table_commit(&w->ahead_table, w->ahead);
    }
    memory_table_commit(&w->ahead_table, w->ahead);
    ck_assert_msg(kv_reopen(w->late, &w->ahead_table.port, &err) == ST_OK, "%s",
                  err.text);
    kv_verify(w->late);
    ck_assert_int_eq(kv_revision(w->late), kv_revision(w->ahead));
    ck_assert_uint_eq(kv_index(w->late), kv_index(w->ahead));
}

/* Puts on the one that is not away, up to entry `to`. */
static void go_ahead(struct world *w, uint64_t to)
{
    while (kv_index(w->ahead) < to) {
        put(w->ahead, kv_index(w->ahead) + 1);
    }
}

START_TEST(watchers_go_on_after_a_snapshot)
{
    struct world w;
    uint64_t away;

    world_init(&w, (uint64_t)_i);
    away = rng_below(&w.rng, ENTRIES);
    for (int i = 0; i < WATCHERS; i++) {
        watch(&w, i, (int64_t)rng_below(&w.rng, ENTRIES + 20));
    }
    for (uint64_t n = 1; n <= away; n++) {
        put(w.late, n);
        hear(&w, rng_below(&w.rng, 3));
        if (rng_below(&w.rng, 10) == 0) {
            struct watcher *some = w.watchers[rng_below(&w.rng, WATCHERS)];

            watch_pause(some);
        }
    }
    go_ahead(&w, ENTRIES);
    install(&w);
    for (int i = 0; i < WATCHERS; i++) {
        watch_resume(w.watchers[i]);
    }
    hear(&w, SIZE_MAX);
    for (uint64_t n = 1; n <= 20; n++) {
        put(w.late, kv_index(w.late) + 1);
        hear(&w, SIZE_MAX);
    }
    for (int i = 0; i < WATCHERS; i++) {
        ck_assert_int_eq(w.seen[i], kv_revision(w.late));
    }
    world_release(&w);
}
END_TEST

START_TEST(what_was_compacted_meanwhile_is_said)
{
    struct world w;

    world_init(&w, 1);
    for (uint64_t n = 1; n <= 10; n++) {
        put(w.late, n);
    }
    watch(&w, 0, 0);  /* From 12 on: gone in the snapshot. */
    watch(&w, 1, 90); /* Later than the compaction. */
    go_ahead(&w, ENTRIES);
    compact(w.ahead, 60);
    install(&w);
    hear(&w, SIZE_MAX);
    ck_assert_int_eq(w.told_compacted[0], 60);
    ck_assert_ptr_null(w.watchers[0]);
    ck_assert_int_eq(w.told_compacted[1], 0);
    ck_assert_int_eq(w.seen[1], kv_revision(w.late));
    world_release(&w);
}
END_TEST

START_TEST(a_damaged_snapshot_is_final)
{
    struct table_write damage = {.table = TABLE_LEASE,
                                 .key = slice_str("\1\2\3\4\5\6\7\10"),
                                 .value = slice_str("x")};
    struct world w;

    world_init(&w, 1);
    go_ahead(&w, 3);
    memory_table_commit(&w.ahead_table, w.ahead);
    memory_table_write(&w.ahead_table, &damage);
    ck_assert_int_eq(kv_reopen(w.late, &w.ahead_table.port, NULL), ST_CORRUPT);
    ck_assert_int_eq(kv_failure(w.late), ST_CORRUPT);
    kv_free(w.late);
    w.late = open_on(&w.late_table);
    world_release(&w);
}
END_TEST

UNIT_MAIN("kv_reopen", {
    tcase_add_loop_test(tc, watchers_go_on_after_a_snapshot, 0, SEEDS);
    tcase_add_test(tc, what_was_compacted_meanwhile_is_said);
    tcase_add_test(tc, a_damaged_snapshot_is_final);
})
