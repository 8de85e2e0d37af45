/* Who belongs: the rules, the rows, and all of it again from the table. */
#include <stdio.h>

#include "suite.h"
#include "unit/store_kv/memory_table.h"

struct world {
    struct memory_table table;
    struct kv *kv;
};

static void world_open(struct world *w)
{
    struct kv_config config = kv_config_default();

    ck_assert_int_eq(kv_open(&config, &w->table.port, &w->kv, NULL), ST_OK);
}

static void world_init(struct world *w)
{
    memory_table_init(&w->table);
    world_open(w);
}

/* What is not in the table is forgotten. */
static void world_restart(struct world *w)
{
    memory_table_commit(&w->table, w->kv);
    kv_free(w->kv);
    world_open(w);
}

static void world_release(struct world *w)
{
    kv_verify(w->kv);
    kv_free(w->kv);
    memory_table_release(&w->table);
}

/* As an entry of the log, if it may be. */
static enum kv_error change(struct world *w, enum kv_member_change kind,
                            uint64_t id, const char *json)
{
    struct kv_membership m = {
        .change = kind, .id = id, .context = slice_str(json)};
    struct kv_entry e = {.index = kv_index(w->kv) + 1, .term = 1};
    enum kv_error error = kv_check_member(w->kv, &m);
    char conf[64];
    int len = snprintf(conf, sizeof(conf), "{\"voters\":[%d]}", (int)id);

    if (error == KV_OK) {
        kv_apply_member(w->kv, &e, &m, slice_of(conf, (size_t)len));
    }
    return error;
}

static const struct kv_member *member(struct world *w, uint64_t id)
{
    size_t count;
    const struct kv_member *list = kv_members(w->kv, &count);

    for (size_t i = 0; i < count; i++) {
        if (list[i].id == id) {
            return &list[i];
        }
    }
    return NULL;
}

static void found(struct world *w)
{
    ck_assert_int_eq(change(w, KV_MEMBER_ADD, 7,
                            "{\"id\":7,\"peerURLs\":[\"http://h:1\"],"
                            "\"name\":\"a\"}"),
                     KV_OK);
    ck_assert_int_eq(change(w, KV_MEMBER_ADD_LEARNER, 9,
                            "{\"id\":9,\"peerURLs\":[\"http://h:2\"],"
                            "\"isLearner\":true}"),
                     KV_OK);
}

#define PROMOTE "{\"id\":9,\"peerURLs\":[\"http://h:2\"],\"isPromote\":true}"

static const struct {
    const char *name;
    enum kv_member_change kind;
    uint64_t id;
    const char *json;
    enum kv_error want;
} rules[] = {
    {"another", KV_MEMBER_ADD, 8, "{\"peerURLs\":[\"http://h:3\"]}", KV_OK},
    {"the same id", KV_MEMBER_ADD, 7, "{\"peerURLs\":[\"http://h:3\"]}",
     KV_MEMBER_EXISTS},
    {"a URL of another", KV_MEMBER_ADD, 8,
     "{\"peerURLs\":[\"http://h:3\",\"http://h:1\"]}", KV_PEER_URL_EXISTS},
    {"a second learner", KV_MEMBER_ADD_LEARNER, 8,
     "{\"peerURLs\":[\"http://h:3\"],\"isLearner\":true}",
     KV_TOO_MANY_LEARNERS},
    {"promote the learner", KV_MEMBER_ADD, 9, PROMOTE, KV_OK},
    {"promote a voter", KV_MEMBER_ADD, 7, "{\"isPromote\":true}",
     KV_MEMBER_NOT_LEARNER},
    {"promote nobody", KV_MEMBER_ADD, 8, "{\"isPromote\":true}",
     KV_MEMBER_NOT_FOUND},
    {"remove", KV_MEMBER_REMOVE, 9, "", KV_OK},
    {"remove nobody", KV_MEMBER_REMOVE, 8, "", KV_MEMBER_NOT_FOUND},
    {"update", KV_MEMBER_UPDATE, 7, "{\"peerURLs\":[\"http://h:3\"]}", KV_OK},
    {"update with its own", KV_MEMBER_UPDATE, 7,
     "{\"peerURLs\":[\"http://h:1\"]}", KV_OK},
    {"update with another's", KV_MEMBER_UPDATE, 7,
     "{\"peerURLs\":[\"http://h:2\"]}", KV_PEER_URL_EXISTS},
    {"update nobody", KV_MEMBER_UPDATE, 8, "{\"peerURLs\":[\"http://h:3\"]}",
     KV_MEMBER_NOT_FOUND},
};

START_TEST(a_change_must_fit)
{
    struct world w;
    enum kv_error said;

    world_init(&w);
    found(&w);
    said = change(&w, rules[_i].kind, rules[_i].id, rules[_i].json);
    ck_assert_msg(said == rules[_i].want, "%s: %s", rules[_i].name,
                  said == KV_OK ? "fine" : kv_error_text(said));
    world_release(&w);
}
END_TEST

START_TEST(a_promoted_learner_keeps_the_rest)
{
    struct world w;

    world_init(&w);
    found(&w);
    ck_assert(member(&w, 9)->is_learner);
    ck_assert_int_eq(change(&w, KV_MEMBER_ADD, 9, PROMOTE), KV_OK);
    world_restart(&w);
    ck_assert(!member(&w, 9)->is_learner);
    ck_assert_str_eq(member(&w, 9)->peer_urls[0], "http://h:2");
    world_release(&w);
}
END_TEST

START_TEST(an_update_changes_peer_urls_only)
{
    struct world w;

    world_init(&w);
    found(&w);
    ck_assert_int_eq(change(&w, KV_MEMBER_UPDATE, 7,
                            "{\"id\":7,\"peerURLs\":[\"http://h:5\"]}"),
                     KV_OK);
    ck_assert_int_eq(change(&w, KV_MEMBER_UPDATE, 9,
                            "{\"id\":9,\"peerURLs\":[\"http://h:6\"]}"),
                     KV_OK);
    world_restart(&w);
    ck_assert_str_eq(member(&w, 7)->name, "a");
    ck_assert_str_eq(member(&w, 7)->peer_urls[0], "http://h:5");
    ck_assert(member(&w, 9)->is_learner);
    world_release(&w);
}
END_TEST

START_TEST(a_removed_id_never_comes_back)
{
    struct world w;
    size_t count;

    world_init(&w);
    found(&w);
    ck_assert_int_eq(change(&w, KV_MEMBER_REMOVE, 9, ""), KV_OK);
    world_restart(&w);
    ck_assert_ptr_null(member(&w, 9));
    ck_assert_uint_eq(kv_members_removed(w.kv, &count)[0], 9);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(
        change(&w, KV_MEMBER_ADD, 9, "{\"peerURLs\":[\"http://h:2\"]}"),
        KV_MEMBER_NOT_FOUND);
    ck_assert_int_eq(
        change(&w, KV_MEMBER_ADD, 10, "{\"peerURLs\":[\"http://h:2\"]}"),
        KV_OK);
    world_release(&w);
}
END_TEST

START_TEST(the_configuration_is_written_with_the_change)
{
    struct world w;

    world_init(&w);
    ck_assert_uint_eq(kv_conf_state(w.kv).len, 0);
    found(&w);
    world_restart(&w);
    ck_assert(slice_eq(kv_conf_state(w.kv), slice_str("{\"voters\":[9]}")));
    ck_assert_uint_eq(kv_index(w.kv), 2);
    world_release(&w);
}
END_TEST

UNIT_MAIN("kv_cluster", {
    tcase_add_loop_test(tc, a_change_must_fit, 0, COUNT_OF(rules));
    tcase_add_test(tc, a_promoted_learner_keeps_the_rest);
    tcase_add_test(tc, an_update_changes_peer_urls_only);
    tcase_add_test(tc, a_removed_id_never_comes_back);
    tcase_add_test(tc, the_configuration_is_written_with_the_change);
})
