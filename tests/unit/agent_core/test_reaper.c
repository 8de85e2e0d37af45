#include "agent/core/reaper.h"

#include <stdio.h>

#include "suite.h"

#define MINUTE UINT64_C(60000)

/* A catalogue that grows by records. */
struct world {
    struct catalog *catalog;
    struct reaper *reaper;
    struct arena arena;
    int64_t revision;
    uint64_t now_ms;
};

static void record(struct world *w, const char *key, const char *value)
{
    char full[160];
    struct catalog_changes changes;
    struct catalog_event e = {.deleted = value == NULL,
                              .create_revision = w->revision + 1,
                              .mod_revision = w->revision + 1};
    struct catalog *next;

    (void)snprintf(full, sizeof(full), "/muster/v1/dc1/%s", key);
    e.key = slice_str(full);
    e.value = slice_str(value == NULL ? "" : value);
    next = catalog_apply(w->catalog, &e, 1, ++w->revision, &w->arena, &changes);
    catalog_unref(w->catalog);
    w->catalog = next;
    if (changes.lives.count > 0) {
        reaper_look(w->reaper, w->catalog, w->now_ms);
    }
}

static void node(struct world *w, const char *name, const char *more)
{
    char key[64];
    char value[256];

    (void)snprintf(key, sizeof(key), "node/%s", name);
    (void)snprintf(value, sizeof(value),
                   "{\"name\":\"%s\",\"id\":\"id-%s\",\"address\":\"10.0.0.1\""
                   "%s}",
                   name, name, more);
    record(w, key, value);
}

static void live(struct world *w, const char *name, bool lives)
{
    char key[64];

    (void)snprintf(key, sizeof(key), "live/%s", name);
    record(w, key, lives ? "{\"node_id\":\"x\",\"incarnation\":\"1\"}" : NULL);
}

static void instance(struct world *w, const char *service, const char *name)
{
    char key[96];
    char value[160];

    (void)snprintf(key, sizeof(key), "inst/%s/%s/1", service, name);
    (void)snprintf(value, sizeof(value),
                   "{\"node\":\"%s\",\"service\":\"%s\",\"id\":\"1\"}", name,
                   service);
    record(w, key, value);
}

static void world_init(struct world *w)
{
    *w = (struct world){
        .catalog = catalog_new("dc1"), .reaper = reaper_new(), .now_ms = 1000};
    node(w, "edge", ",\"reap\":\"60s\"");
    live(w, "edge", true);
    instance(w, "web", "edge");
    instance(w, "db", "edge");
}

static void world_release(struct world *w)
{
    catalog_unref(w->catalog);
    reaper_free(w->reaper);
    arena_release(&w->arena);
}

/* What would be removed now: operations, 0: nothing. */
static size_t next(struct world *w, struct sync_txn *out_txn,
                   uint64_t *out_wake_ms)
{
    return reaper_next(w->reaper, w->catalog, w->now_ms, &w->arena, out_txn,
                       out_wake_ms)
               ? out_txn->ops_count
               : 0;
}

/* Carry it out. */
static void removed(struct world *w, const struct sync_txn *txn)
{
    for (size_t i = 1; i < txn->ops_count; i++) {
        char key[160];

        (void)snprintf(key, sizeof(key), "%.*s", (int)txn->ops[i].key.len,
                       (const char *)txn->ops[i].key.data);
        record(w, key + strlen("/muster/v1/dc1/"), NULL);
    }
    reaper_done(w->reaper, true, w->now_ms);
}

static bool key_is(const struct sync_op *op, const char *key)
{
    return slice_eq(op->key, slice_str(key));
}

START_TEST(dead_node_goes_after_its_own_time_with_all_its_records)
{
    struct world w;
    struct sync_txn txn;
    uint64_t wake = 0;

    world_init(&w);
    ck_assert_uint_eq(next(&w, &txn, &wake), 0);
    ck_assert_uint_eq(wake, UINT64_MAX); /* Alive: nothing to wait for. */
    live(&w, "edge", false);
    ck_assert_uint_eq(next(&w, &txn, &wake), 0);
    ck_assert_uint_eq(wake, 1000 + MINUTE);
    w.now_ms = 1000 + MINUTE;
    ck_assert_uint_eq(next(&w, &txn, &wake), 4);
    ck_assert(key_is(&txn.ops[0], "/muster/v1/dc1/live/edge"));
    ck_assert_int_eq(txn.ops[0].expect_mod_revision, 0); /* Dead still. */
    ck_assert(key_is(&txn.ops[1], "/muster/v1/dc1/inst/db/edge/1"));
    ck_assert_int_eq(txn.ops[1].expect_mod_revision, 4);
    ck_assert(key_is(&txn.ops[3], "/muster/v1/dc1/node/edge"));
    removed(&w, &txn);
    ck_assert_uint_eq(catalog_nodes_count(w.catalog), 0);
    ck_assert_uint_eq(catalog_instances_count(w.catalog), 0);
    ck_assert_uint_eq(reaper_stats(w.reaper).nodes, 1);
    ck_assert_uint_eq(reaper_stats(w.reaper).records, 3);
    world_release(&w);
}
END_TEST

/* What is no record would outlive its node for ever. */
START_TEST(what_cannot_be_read_goes_too)
{
    struct world w;
    struct sync_txn txn;
    uint64_t wake = 0;

    world_init(&w);
    record(&w, "inst/mail/edge/1", "{");
    live(&w, "edge", false);
    w.now_ms = 1000 + MINUTE;
    ck_assert_uint_eq(next(&w, &txn, &wake), 5);
    ck_assert(key_is(&txn.ops[3], "/muster/v1/dc1/inst/mail/edge/1"));
    ck_assert_int_eq(txn.ops[3].expect_mod_revision, 5);
    world_release(&w);
}
END_TEST

START_TEST(who_comes_back_starts_anew)
{
    struct world w;
    struct sync_txn txn;
    uint64_t wake = 0;

    world_init(&w);
    live(&w, "edge", false);
    w.now_ms += MINUTE - 1;
    live(&w, "edge", true);
    live(&w, "edge", false);
    w.now_ms += MINUTE - 1;
    ck_assert_uint_eq(next(&w, &txn, &wake), 0);
    ck_assert_uint_eq(wake, w.now_ms + 1);
    world_release(&w);
}
END_TEST

/* Without a setting 72 hours; without an agent never. */
START_TEST(node_says_when_and_external_ones_never_go)
{
    struct world w;
    struct sync_txn txn;
    uint64_t wake = 0;

    world_init(&w);
    node(&w, "plain", "");
    node(&w, "printer", ",\"external\":true,\"reap\":\"60s\"");
    reaper_look(w.reaper, w.catalog, w.now_ms);
    ck_assert_uint_eq(next(&w, &txn, &wake), 0);
    ck_assert_uint_eq(wake, w.now_ms + 72 * 60 * MINUTE);
    ck_assert_uint_eq(reaper_stats(w.reaper).dead, 1);
    world_release(&w);
}
END_TEST

/* 300 nodes die at once: three a minute go. */
START_TEST(at_most_one_in_a_hundred_a_minute)
{
    struct world w;
    struct sync_txn txn;
    uint64_t begin;
    uint64_t wake = 0;
    char name[16];

    world_init(&w);
    for (int i = 0; i < 299; i++) {
        (void)snprintf(name, sizeof(name), "n%d", i);
        node(&w, name, ",\"reap\":\"60s\"");
    }
    reaper_look(w.reaper, w.catalog, w.now_ms);
    w.now_ms += MINUTE;
    begin = w.now_ms;
    while (w.now_ms < begin + 10 * MINUTE) {
        size_t ops = next(&w, &txn, &wake);

        if (ops > 0) {
            removed(&w, &txn);
        } else {
            ck_assert_uint_gt(wake, w.now_ms);
            w.now_ms = wake;
        }
    }
    /* Fewer than 300 nodes: two a minute, soon. */
    ck_assert_uint_ge(reaper_stats(w.reaper).nodes, 20);
    ck_assert_uint_le(reaper_stats(w.reaper).nodes, 30);
    world_release(&w);
}
END_TEST

/* What does not fit into one transaction goes in several, the node last. */
START_TEST(many_records_go_in_parts)
{
    struct world w;
    struct sync_txn txn;
    uint64_t wake = 0;
    char name[16];

    world_init(&w);
    for (int i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof(name), "s%d", i);
        instance(&w, name, "edge");
    }
    live(&w, "edge", false);
    w.now_ms += MINUTE;
    for (int part = 0; part < 3; part++) {
        ck_assert_uint_gt(next(&w, &txn, &wake), 0);
        ck_assert_uint_le(txn.ops_count, LIMIT_TXN_OPS - 1);
        ck_assert(key_is(&txn.ops[txn.ops_count - 1],
                         "/muster/v1/dc1/node/edge") == (part == 2));
        removed(&w, &txn);
    }
    ck_assert_uint_eq(catalog_instances_count(w.catalog), 0);
    ck_assert_uint_eq(reaper_stats(w.reaper).nodes, 1);
    world_release(&w);
}
END_TEST

UNIT_MAIN("reaper", {
    tcase_add_test(tc, dead_node_goes_after_its_own_time_with_all_its_records);
    tcase_add_test(tc, what_cannot_be_read_goes_too);
    tcase_add_test(tc, who_comes_back_starts_anew);
    tcase_add_test(tc, node_says_when_and_external_ones_never_go);
    tcase_add_test(tc, at_most_one_in_a_hundred_a_minute);
    tcase_add_test(tc, many_records_go_in_parts);
})
