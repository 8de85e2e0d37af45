/* What the store keeps of a membership entry: a restart believes it. */
#include "base/io/loop.h"
#include "store/api/core.h"
#include "suite.h"
#include "unit/store_kv/memory_table.h"

struct world {
    struct memory_table table;
    struct kv *kv;
    struct loop *loop;
    struct api api;
};

static struct world w;

static void world_init(void)
{
    struct kv_config config = kv_config_default();

    w = (struct world){.loop = loop_new()};
    memory_table_init(&w.table);
    ck_assert_int_eq(kv_open(&config, &w.table.port, &w.kv, NULL), ST_OK);
    w.api.config.kv = w.kv;
    w.api.config.loop = w.loop;
}

static void world_release(void)
{
    kv_free(w.kv);
    memory_table_release(&w.table);
    loop_free(w.loop);
}

static const struct raft_conf one = {.list = {{7, RAFT_VOTER}}, .count = 1};
static const struct raft_conf joint = {
    .list = {{7, RAFT_VOTER | RAFT_OUTGOING}, {8, RAFT_VOTER}, {9, RAFT_VOTER}},
    .count = 3,
    .auto_leave = true};

/* An entry whose bytes say nothing more than `changes` does. */
static enum kv_error apply(enum raft_entry_type type, struct raft_change change,
                           const struct raft_conf *conf, bool refused)
{
    struct raft_changes changes = {.list = {change}, .count = 1};
    struct raft_entry e = {.pos = {1, kv_index(w.kv) + 1}, .type = type};
    struct node_conf_entry told = {
        .entry = &e, .changes = &changes, .conf = conf, .refused = refused};
    enum kv_error error = api_apply_member(&w.api, &told);

    ck_assert_uint_eq(kv_index(w.kv), e.pos.index);
    return error;
}

static bool is_kept(const struct raft_conf *conf)
{
    struct raft_conf kept;

    ck_assert_int_eq(raftpb_conf_from_json(kv_conf_state(w.kv), &kept), ST_OK);
    return raft_conf_eq(&kept, conf);
}

START_TEST(the_configuration_is_kept_by_either_kind_of_entry)
{
    size_t count;

    world_init();
    ck_assert_int_eq(apply(RAFT_ENTRY_CONF,
                           (struct raft_change){RAFT_ADD_VOTER, 7}, &one,
                           false),
                     KV_OK);
    ck_assert(is_kept(&one));
    ck_assert_int_eq(apply(RAFT_ENTRY_CONF_V2,
                           (struct raft_change){RAFT_ADD_VOTER, 8}, &joint,
                           false),
                     KV_OK);
    ck_assert(is_kept(&joint));
    (void)kv_members(w.kv, &count);
    ck_assert_uint_eq(count, 1); /* It brings nobody's name and URLs. */
    world_release();
}
END_TEST

START_TEST(what_is_refused_changes_nothing)
{
    world_init();
    (void)apply(RAFT_ENTRY_CONF, (struct raft_change){RAFT_ADD_VOTER, 7}, &one,
                false);
    ck_assert_int_eq(apply(RAFT_ENTRY_CONF_V2,
                           (struct raft_change){RAFT_REMOVE, 7}, &joint, true),
                     KV_MALFORMED);
    ck_assert_int_eq(apply(RAFT_ENTRY_CONF,
                           (struct raft_change){RAFT_REMOVE, 8}, &joint, false),
                     KV_MEMBER_NOT_FOUND);
    ck_assert(is_kept(&one));
    world_release();
}
END_TEST

UNIT_MAIN("apply_member", {
    tcase_add_test(tc, the_configuration_is_kept_by_either_kind_of_entry);
    tcase_add_test(tc, what_is_refused_changes_nothing);
})
