#include "agent/core/sync.h"

#include <stdio.h>

#include "fake_store.h"
#include "suite.h"

#define INST "/muster/v1/dc1/inst/"

static void register_json(struct fake *f, const char *json)
{
    (void)fake_reply(f, "PUT /v1/agent/service/register", json, 200);
}

static enum sync_next ask(struct fake *f, struct arena *a, struct sync_txn *txn,
                          uint64_t *wake_ms)
{
    return sync_next(f->sync, f->local, f->catalog, f->now.now_ms, a, txn,
                     wake_ms);
}

START_TEST(wanted_records_arrive_and_stay)
{
    struct fake f;
    unsigned txns;

    fake_start(&f);
    register_json(&f, "{\"Name\":\"web\",\"Port\":80}");
    (void)fake_settle(&f);
    ck_assert_ptr_nonnull(fake_get(&f, "/muster/v1/dc1/node/edge"));
    ck_assert_str_eq(fake_get(&f, INST "web/edge/web")->value,
                     "{\"node\":\"edge\",\"service\":\"web\",\"id\":\"web\","
                     "\"port\":80,\"owner\":{\"node\":\"edge\","
                     "\"incarnation\":\"inc-1\"}}");
    ck_assert_uint_eq(f.txns, 1);
    ck_assert(sync_stats(f.sync).in_sync);
    txns = f.txns;
    (void)fake_settle(&f);
    ck_assert_uint_eq(f.txns, txns); /* Nothing changed, nothing written. */
    (void)fake_reply(&f, "PUT /v1/agent/service/deregister/web", "", 200);
    (void)fake_settle(&f);
    ck_assert_ptr_null(fake_get(&f, INST "web/edge/web"));
    fake_stop(&f);
}
END_TEST

START_TEST(strangers_are_left_alone_and_own_ones_restored)
{
    static const char foreign[] =
        "{\"node\":\"edge\",\"service\":\"x\",\"id\":\"x\",\"owner\":"
        "{\"node\":\"catalog\"}}";
    static const char stale[] =
        "{\"node\":\"edge\",\"service\":\"y\",\"id\":\"y\",\"owner\":"
        "{\"node\":\"edge\",\"incarnation\":\"old\"}}";
    struct fake f;

    fake_start(&f);
    fake_put(&f, INST "x/edge/x", foreign);
    fake_put(&f, INST "y/edge/y", stale);
    register_json(&f, "{\"Name\":\"web\",\"Port\":80}");
    (void)fake_settle(&f);
    ck_assert_ptr_nonnull(fake_get(&f, INST "x/edge/x"));
    ck_assert_ptr_null(fake_get(&f, INST "y/edge/y"));
    /* Somebody deletes or changes ours: it comes back. */
    fake_put(&f, INST "web/edge/web", NULL);
    (void)fake_settle(&f);
    ck_assert_ptr_nonnull(fake_get(&f, INST "web/edge/web"));
    fake_put(&f, INST "web/edge/web",
             "{\"node\":\"edge\",\"service\":\"web\",\"id\":\"web\"}");
    (void)fake_settle(&f);
    ck_assert_ptr_nonnull(
        strstr(fake_get(&f, INST "web/edge/web")->value, "\"port\":80"));
    fake_stop(&f);
}
END_TEST

/* Another spelling of its name is the same host. */
START_TEST(a_name_in_another_case_is_ours)
{
    struct fake f;

    fake_start(&f);
    fake_put(&f, INST "y/edge/y",
             "{\"node\":\"EDGE\",\"service\":\"y\",\"id\":\"y\",\"owner\":"
             "{\"node\":\"EDGE\",\"incarnation\":\"inc-1\"}}");
    (void)fake_settle(&f);
    ck_assert_ptr_null(fake_get(&f, INST "y/edge/y"));
    fake_stop(&f);
}
END_TEST

/* The host was "old" before it was "edge"; "edge" has the node id NODE_ID. */
#define OLD_NODE                                                \
    "{\"name\":\"old\",\"id\":\"%s\",\"address\":\"10.0.0.7\"," \
    "\"owner\":{\"node\":\"old\",\"incarnation\":\"inc-1\"}}"
#define OLD_LIVE "{\"node_id\":\"%s\",\"incarnation\":\"inc-1\"%s}"

static void was_old(struct fake *f)
{
    char text[256];

    (void)snprintf(text, sizeof(text), OLD_NODE, local_host(f->local)->node.id);
    fake_put(f, "/muster/v1/dc1/node/old", text);
    fake_put(f, INST "web/old/web",
             "{\"node\":\"old\",\"service\":\"web\",\"id\":\"web\"}");
}

static void old_lives(struct fake *f, const char *more)
{
    char text[256];

    (void)snprintf(text, sizeof(text), OLD_LIVE, local_host(f->local)->node.id,
                   more);
    fake_put(f, "/muster/v1/dc1/live/old", text);
}

static bool old_is_gone(const struct fake *f)
{
    return fake_get(f, "/muster/v1/dc1/node/old") == NULL &&
           fake_get(f, "/muster/v1/dc1/live/old") == NULL &&
           fake_get(f, INST "web/old/web") == NULL;
}

START_TEST(an_earlier_name_goes_when_the_new_one_stands)
{
    struct fake f;
    struct arena a = {0};
    struct sync_txn txn;
    uint64_t wake_ms;

    fake_start(&f);
    was_old(&f);
    register_json(&f, "{\"Name\":\"web\"}");
    /* The new records come first. */
    ck_assert_int_eq(ask(&f, &a, &txn, &wake_ms), SYNC_TXN);
    ck_assert_uint_eq(txn.ops_count, 2);
    ck_assert_int_eq(txn.ops[1].kind, SYNC_PUT);
    sync_done(f.sync, fake_txn(&f, &txn), f.revision, f.now.now_ms);
    ck_assert_ptr_nonnull(fake_get(&f, INST "web/old/web"));
    (void)fake_settle(&f);
    ck_assert(old_is_gone(&f));
    ck_assert_ptr_nonnull(fake_get(&f, INST "web/edge/web"));
    ck_assert_ptr_null(sync_stats(f.sync).earlier);
    arena_release(&a);
    fake_stop(&f);
}
END_TEST

START_TEST(an_earlier_name_that_lives_stays)
{
    struct fake f;

    fake_start(&f);
    was_old(&f);
    old_lives(&f, "");
    (void)fake_settle(&f);
    ck_assert_ptr_nonnull(fake_get(&f, INST "web/old/web"));
    ck_assert_str_eq(sync_stats(f.sync).earlier, "old");
    ck_assert(sync_stats(f.sync).earlier_lives);
    /* Its lease ends, which is no change of ours. */
    fake_put(&f, "/muster/v1/dc1/live/old", NULL);
    (void)fake_settle(&f);
    ck_assert(old_is_gone(&f));
    fake_stop(&f);
}
END_TEST

START_TEST(a_key_that_was_left_behind_goes_at_once)
{
    struct fake f;

    fake_start(&f);
    was_old(&f);
    old_lives(&f, ",\"stopped\":true");
    (void)fake_settle(&f);
    ck_assert(old_is_gone(&f));
    fake_stop(&f);
}
END_TEST

START_TEST(tags_of_others_are_kept_if_allowed)
{
    static const char changed[] =
        "{\"node\":\"edge\",\"service\":\"web\",\"id\":\"web\",\"tags\":[\"b\"]"
        ",\"enable_tag_override\":true,\"owner\":{\"node\":\"edge\","
        "\"incarnation\":\"inc-1\"}}";
    struct fake f;

    fake_start(&f);
    register_json(&f, "{\"Name\":\"web\",\"Tags\":[\"a\"],"
                      "\"EnableTagOverride\":true}");
    (void)fake_settle(&f);
    fake_put(&f, INST "web/edge/web", changed);
    (void)fake_settle(&f);
    ck_assert_str_eq(fake_get(&f, INST "web/edge/web")->value, changed);
    /* Other changes of ours still go out, with the others' tags. */
    register_json(&f, "{\"Name\":\"web\",\"Tags\":[\"a\"],\"Port\":1,"
                      "\"EnableTagOverride\":true}");
    (void)fake_settle(&f);
    ck_assert_ptr_nonnull(strstr(fake_get(&f, INST "web/edge/web")->value,
                                 "\"tags\":[\"b\"],\"port\":1"));
    fake_stop(&f);
}
END_TEST

START_TEST(many_records_go_in_bounded_batches)
{
    struct fake f;

    fake_start(&f);
    for (int i = 0; i < 300; i++) {
        char json[64];

        (void)snprintf(json, sizeof(json), "{\"Name\":\"s%d\"}", i);
        register_json(&f, json);
    }
    (void)fake_settle(&f);
    ck_assert_uint_eq(f.txns, 3);
    ck_assert_uint_eq(f.largest_txn, LIMIT_TXN_OPS - 1);
    ck_assert_uint_eq(catalog_instances_count(f.catalog), 300);
    ck_assert(sync_stats(f.sync).in_sync);
    fake_stop(&f);
}
END_TEST

/* Our lease has run out and another incarnation has the name: the guard keeps
 * every write back until we are attached again. */
START_TEST(lost_name_stops_writing)
{
    struct fake f;
    uint64_t wake_ms;

    fake_start(&f);
    fake_put(&f, "/muster/v1/dc1/live/edge", NULL);
    fake_put(&f, "/muster/v1/dc1/live/edge", "{\"incarnation\":\"other\"}");
    register_json(&f, "{\"Name\":\"web\"}");
    wake_ms = fake_settle(&f);
    ck_assert_ptr_null(fake_get(&f, INST "web/edge/web"));
    ck_assert_uint_eq(sync_stats(f.sync).guarded, 1);
    ck_assert_uint_gt(wake_ms, f.now.now_ms);
    ck_assert_uint_le(wake_ms, f.now.now_ms + 1000);
    sync_detached(f.sync);
    ck_assert_uint_eq(fake_settle(&f), UINT64_MAX);
    sync_attached(f.sync, f.revision, f.now.now_ms);
    (void)fake_settle(&f);
    ck_assert_ptr_nonnull(fake_get(&f, INST "web/edge/web"));
    fake_stop(&f);
}
END_TEST

/* The catalogue leaves out what it cannot read, so that a guard for "nothing is
 * there" fails, and with it every record of the batch, for as long as the value
 * is there. */
START_TEST(what_cannot_be_read_in_our_place_is_replaced)
{
    static const char *const keys[] = {"/muster/v1/dc1/node/edge",
                                       INST "web/edge/web"};
    struct fake f;

    fake_start(&f);
    f.unreadable = true;
    fake_put(&f, keys[_i], "no record");
    register_json(&f, "{\"Name\":\"web\",\"Port\":80}");
    register_json(&f, "{\"Name\":\"db\",\"Port\":81}");
    for (int i = 0; i < 10; i++) {
        f.now.now_ms += 100;
        (void)fake_settle(&f);
    }
    ck_assert_ptr_nonnull(fake_get(&f, INST "db/edge/db"));
    ck_assert_str_ne(fake_get(&f, keys[_i])->value, "no record");
    ck_assert(sync_stats(f.sync).in_sync);
    /* It is guarded still: what can be read is not overwritten blindly. */
    fake_put(&f, INST "db/edge/db",
             "{\"node\":\"edge\",\"service\":\"db\",\"id\":\"db\"}");
    (void)fake_settle(&f);
    ck_assert_uint_le(sync_stats(f.sync).guarded, 3);
    fake_stop(&f);
}
END_TEST

START_TEST(one_transaction_at_a_time_and_the_replica_first)
{
    struct fake f;
    struct arena a = {0};
    struct sync_txn txn;
    uint64_t wake_ms;

    fake_start(&f);
    ck_assert_int_eq(ask(&f, &a, &txn, &wake_ms), SYNC_TXN);
    ck_assert_int_eq(ask(&f, &a, &txn, &wake_ms), SYNC_WAIT);
    ck_assert_uint_eq(wake_ms, UINT64_MAX);
    sync_done(f.sync, SYNC_WRITTEN, f.revision + 5, f.now.now_ms);
    /* The replica has not shown it yet: writing again would be blind. */
    ck_assert_int_eq(ask(&f, &a, &txn, &wake_ms), SYNC_WAIT);
    ck_assert_uint_eq(wake_ms, f.now.now_ms + 5000);
    f.now.now_ms += 5000;
    ck_assert_int_eq(ask(&f, &a, &txn, &wake_ms), SYNC_TXN);
    arena_release(&a);
    fake_stop(&f);
}
END_TEST

START_TEST(failures_back_off)
{
    struct fake f;
    struct arena a = {0};
    struct sync_txn txn;
    uint64_t wake_ms;
    uint64_t least = 1000;

    fake_start(&f);
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(ask(&f, &a, &txn, &wake_ms), SYNC_TXN);
        sync_done(f.sync, SYNC_FAILED, 0, f.now.now_ms);
        ck_assert_int_eq(ask(&f, &a, &txn, &wake_ms), SYNC_WAIT);
        ck_assert_uint_ge(wake_ms, f.now.now_ms + least);
        ck_assert_uint_lt(wake_ms, f.now.now_ms + 2 * least);
        f.now.now_ms = wake_ms;
        least = least * 2 > 15000 ? 15000 : least * 2;
    }
    arena_release(&a);
    fake_stop(&f);
}
END_TEST

/* One record the store will not take must not hold up the others. */
START_TEST(refused_record_is_singled_out)
{
    struct fake f;
    struct arena a = {0};
    struct sync_txn txn;
    uint64_t wake_ms;
    int tries = 0;

    fake_start(&f);
    register_json(&f, "{\"Name\":\"good\"}");
    register_json(&f, "{\"Name\":\"evil\"}");
    while (ask(&f, &a, &txn, &wake_ms) == SYNC_TXN) {
        bool evil = false;

        ck_assert_int_lt(++tries, 10);
        for (size_t i = 0; i < txn.ops_count; i++) {
            evil = evil ||
                   slice_eq(txn.ops[i].key, slice_str(INST "evil/edge/evil"));
        }
        sync_done(f.sync, evil ? SYNC_REFUSED : fake_txn(&f, &txn), f.revision,
                  f.now.now_ms);
    }
    ck_assert_ptr_nonnull(fake_get(&f, INST "good/edge/good"));
    ck_assert_ptr_null(fake_get(&f, INST "evil/edge/evil"));
    ck_assert_uint_gt(wake_ms, f.now.now_ms);
    ck_assert_uint_eq(sync_stats(f.sync).refused_records, 1);
    ck_assert_str_eq(sync_stats(f.sync).refused_key, INST "evil/edge/evil");
    /* The next full pass tries again; that it is refused is no news. */
    f.now.now_ms = wake_ms;
    ck_assert_int_eq(ask(&f, &a, &txn, &wake_ms), SYNC_TXN);
    sync_done(f.sync, SYNC_REFUSED, f.revision, f.now.now_ms);
    ck_assert_int_eq(ask(&f, &a, &txn, &wake_ms), SYNC_WAIT);
    ck_assert_uint_eq(sync_stats(f.sync).refused_records, 1);
    f.now.now_ms = wake_ms;
    (void)fake_settle(&f);
    ck_assert_ptr_nonnull(fake_get(&f, INST "evil/edge/evil"));
    arena_release(&a);
    fake_stop(&f);
}
END_TEST

/* A flapping check is slowed down to the rate of its tokens; going critical
 * is written at once. */
static void flap(struct fake *f, const char *check, int i)
{
    char line[64];

    (void)snprintf(line, sizeof(line), "PUT /v1/agent/check/%s/%s",
                   i % 2 == 0 ? "warn" : "pass", check);
    (void)fake_reply(f, line, "", 200);
}

START_TEST(flapping_is_slowed_down)
{
    struct fake f;
    uint64_t wake_ms = 0;
    unsigned txns;

    fake_start(&f);
    register_json(&f, "{\"Name\":\"web\",\"Check\":{\"CheckID\":\"c\","
                      "\"TTL\":\"60s\",\"Status\":\"passing\"}}");
    register_json(&f, "{\"Name\":\"db\",\"Check\":{\"CheckID\":\"d\","
                      "\"TTL\":\"60s\",\"Status\":\"passing\"}}");
    (void)fake_settle(&f);
    txns = f.txns;
    for (int i = 0; i < 301; i++) {
        flap(&f, "c", i);
        wake_ms = fake_settle(&f);
    }
    ck_assert_uint_eq(f.txns - txns, 20);
    ck_assert_uint_eq(wake_ms, f.now.now_ms + 1000);
    /* The others are not held up, nor is what turns critical. */
    flap(&f, "d", 0);
    (void)fake_settle(&f);
    ck_assert_uint_eq(f.txns - txns, 21);
    (void)fake_reply(&f, "PUT /v1/agent/check/fail/c", "", 200);
    (void)fake_settle(&f);
    ck_assert_uint_eq(f.txns - txns, 22);
    /* What it is in the end is written in the end. */
    flap(&f, "c", 1);
    wake_ms = fake_settle(&f);
    ck_assert_uint_eq(f.txns - txns, 22);
    f.now.now_ms = wake_ms;
    (void)fake_settle(&f);
    ck_assert_uint_eq(f.txns - txns, 23);
    ck_assert(sync_stats(f.sync).in_sync);
    fake_stop(&f);
}
END_TEST

START_TEST(many_changes_are_slowed_down)
{
    struct fake f;
    uint64_t wake_ms = 0;
    unsigned txns;

    fake_start(&f);
    for (int i = 0; i < 40; i++) {
        char json[128];

        (void)snprintf(json, sizeof(json),
                       "{\"Name\":\"s%d\",\"Check\":{\"CheckID\":\"c%d\","
                       "\"TTL\":\"60s\",\"Status\":\"passing\"}}",
                       i, i);
        register_json(&f, json);
    }
    (void)fake_settle(&f);
    txns = f.txns;
    for (int i = 0; i < 301; i++) {
        char check[8];

        (void)snprintf(check, sizeof(check), "c%d", i % 40);
        flap(&f, check, i / 40);
        wake_ms = fake_settle(&f);
    }
    ck_assert_uint_eq(f.txns - txns, 200);
    ck_assert_uint_eq(wake_ms, f.now.now_ms + 50);
    fake_stop(&f);
}
END_TEST

/* Nodes of the cluster: how often all is compared, in minutes. */
static const struct {
    unsigned nodes;
    unsigned minutes;
} passes[] = {{2, 1}, {128, 1}, {129, 2}, {256, 2}, {257, 3}, {500, 3}};

START_TEST(full_passes_by_row)
{
    struct fake f;
    uint64_t period_ms = UINT64_C(60000) * passes[_i].minutes;
    uint64_t wake_ms;

    fake_start(&f);
    for (unsigned i = 1; i < passes[_i].nodes; i++) {
        char key[64];
        char value[96];

        (void)snprintf(key, sizeof(key), "/muster/v1/dc1/node/n%u", i);
        (void)snprintf(
            value, sizeof(value),
            "{\"name\":\"n%u\",\"id\":\"%u\",\"address\":\"10.0.0.1\"}", i, i);
        fake_put(&f, key, value);
    }
    (void)fake_settle(&f); /* It is of the cluster now, too. */
    f.now.now_ms = fake_settle(&f);
    for (int i = 0; i < 20; i++) {
        wake_ms = fake_settle(&f);
        ck_assert_uint_ge(wake_ms - f.now.now_ms, period_ms);
        ck_assert_uint_lt(wake_ms - f.now.now_ms, 2 * period_ms);
        f.now.now_ms = wake_ms;
    }
    ck_assert_uint_eq(sync_stats(f.sync).passes, 21);
    fake_stop(&f);
}
END_TEST

START_TEST(foreign_bytes_still_make_a_record)
{
    char line[64 + 3 * 512];
    size_t len;
    struct fake f;

    fake_start(&f);
    len = (size_t)snprintf(line, sizeof(line),
                           "PUT /v1/agent/maintenance?enable=true&reason=");
    for (int i = 0; i < 512; i++) {
        memcpy(line + len, "%FF", 4);
        len += 3;
    }
    (void)fake_reply(&f, line, "", 200);
    (void)fake_settle(&f);
    ck_assert_ptr_nonnull(
        fake_get(&f, "/muster/v1/dc1/ncheck/edge/_node_maintenance"));
    fake_stop(&f);
}
END_TEST

START_TEST(leaving_removes_everything)
{
    struct fake f;
    struct arena a = {0};
    struct sync_txn txn;

    fake_start(&f);
    register_json(&f, "{\"Name\":\"web\"}");
    (void)fake_reply(&f, "PUT /v1/agent/maintenance?enable=true", "", 200);
    (void)fake_settle(&f);
    while (sync_leave(f.local, f.catalog, &a, &txn)) {
        ck_assert_int_eq(fake_txn(&f, &txn), SYNC_WRITTEN);
    }
    ck_assert_uint_eq(catalog_nodes_count(f.catalog), 0);
    ck_assert_uint_eq(catalog_instances_count(f.catalog), 0);
    arena_release(&a);
    fake_stop(&f);
}
END_TEST

UNIT_MAIN("sync", {
    tcase_add_test(tc, wanted_records_arrive_and_stay);
    tcase_add_test(tc, strangers_are_left_alone_and_own_ones_restored);
    tcase_add_test(tc, a_name_in_another_case_is_ours);
    tcase_add_test(tc, an_earlier_name_goes_when_the_new_one_stands);
    tcase_add_test(tc, an_earlier_name_that_lives_stays);
    tcase_add_test(tc, a_key_that_was_left_behind_goes_at_once);
    tcase_add_test(tc, tags_of_others_are_kept_if_allowed);
    tcase_add_test(tc, many_records_go_in_bounded_batches);
    tcase_add_test(tc, lost_name_stops_writing);
    tcase_add_loop_test(tc, what_cannot_be_read_in_our_place_is_replaced, 0, 2);
    tcase_add_test(tc, one_transaction_at_a_time_and_the_replica_first);
    tcase_add_test(tc, failures_back_off);
    tcase_add_test(tc, refused_record_is_singled_out);
    tcase_add_test(tc, flapping_is_slowed_down);
    tcase_add_test(tc, many_changes_are_slowed_down);
    tcase_add_loop_test(tc, full_passes_by_row, 0,
                        sizeof(passes) / sizeof(passes[0]));
    tcase_add_test(tc, foreign_bytes_still_make_a_record);
    tcase_add_test(tc, leaving_removes_everything);
})
