/* What the catalogue makes of single changes of the store; random stories are
 * in test_catalog.c. */
#include "agent/core/catalog.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "suite.h"

static struct catalog *with(struct catalog *old, const char *key,
                            const char *value, int64_t revision)
{
    struct arena a = {0};
    struct catalog_changes changes;
    struct catalog_event e = {.key = slice_str(key),
                              .value = slice_str(value),
                              .deleted = value == NULL,
                              .create_revision = revision,
                              .mod_revision = revision};
    struct catalog *c = catalog_apply(old, &e, 1, revision, &a, &changes);

    catalog_unref(old);
    arena_release(&a);
    return c;
}

#define WEB_1                                                               \
    "{\"node\":\"n\",\"service\":\"web\",\"id\":\"1\",\"checks\":[{\"id\":" \
    "\"c\",\"status\":\"passing\"}]}"

START_TEST(damaged_record_is_left_out_and_told)
{
    struct catalog *c =
        with(catalog_new("dc1"), "/muster/v1/dc1/inst/web/n/1", WEB_1, 5);
    struct catalog_event events[] = {
        {.key = slice_str("/muster/v1/dc1/inst/web/n/1"),
         .value = slice_str("{"),
         .mod_revision = 6},
        {.key = slice_str("/muster/v1/dc1/node/"),
         .value = slice_str("{}"),
         .mod_revision = 6},
        {.key = slice_str("/muster/v1/dc1/kv/x"),
         .value = slice_str("\xff"),
         .mod_revision = 6},
    };
    struct arena a = {0};
    struct catalog_changes changes;
    struct catalog *next = catalog_apply(c, events, 3, 6, &a, &changes);

    ck_assert_ptr_null(catalog_service(next, "web"));
    ck_assert_uint_eq(changes.problems_count, 2);
    ck_assert_str_eq(changes.problems[0].key, "/muster/v1/dc1/inst/web/n/1");
    ck_assert_str_eq(changes.problems[1].text, "the key is not well formed");
    catalog_unref(c);
    catalog_unref(next);
    arena_release(&a);
}
END_TEST

static bool list_unread(void *ctx, const struct catalog_unread *u)
{
    char *text = ctx;
    size_t len = strlen(text);

    (void)snprintf(text + len, 200 - len, "%s/%s/%s@%lld ", u->parts.node,
                   u->parts.service, u->parts.id, (long long)u->mod_revision);
    return true;
}

/* "node/service/id@revision " for each. */
static const char *unread(const struct catalog *c, const char *node)
{
    static char text[200];

    text[0] = '\0';
    catalog_each_unread(c, node, list_unread, text);
    return text;
}

START_TEST(what_is_no_record_is_known_by_its_key)
{
    struct catalog_event left = {.key = slice_str("/muster/v1/dc1/ncheck/n/c"),
                                 .value = slice_str("x"),
                                 .mod_revision = 7};
    struct catalog *c =
        with(catalog_new("dc1"), "/muster/v1/dc1/inst/web/n/1", "{", 5);
    struct catalog *next;
    struct arena a = {0};
    struct catalog_changes changes;

    c = with(c, "/muster/v1/dc1/node/n2", "", 6);
    c = with(c, "/muster/v1/dc1/ncheck/n/c", "x", 7);
    c = with(c, "/muster/v1/dc1/live/n", "x", 8); /* Its lease ends it. */
    ck_assert_str_eq(unread(c, "N"), "n/web/1@5 n//c@7 ");
    ck_assert_str_eq(unread(c, "n2"), "n2//@6 ");
    ck_assert_str_eq(unread(c, ""), "");
    /* It becomes a record, or goes. */
    c = with(c, "/muster/v1/dc1/inst/web/n/1", WEB_1, 9);
    c = with(c, "/muster/v1/dc1/node/n2", NULL, 10);
    ck_assert_str_eq(unread(c, "n"), "n//c@7 ");
    ck_assert_str_eq(unread(c, "n2"), "");
    /* Full reads. */
    next = catalog_replace(c, &left, 1, 11, &a, &changes);
    catalog_unref(c);
    ck_assert_str_eq(unread(next, "n"), "n//c@7 ");
    c = catalog_replace(next, NULL, 0, 12, &a, &changes);
    ck_assert_str_eq(unread(c, "n"), "");
    catalog_unref(c);
    catalog_unref(next);
    arena_release(&a);
}
END_TEST

START_TEST(what_is_no_record_is_known_up_to_a_limit)
{
    struct catalog *c = catalog_new("dc1");
    char key[64];

    for (int i = 0; i <= LIMIT_UNREAD_RECORDS; i++) {
        (void)snprintf(key, sizeof(key), "/muster/v1/dc1/node/n%d", i);
        c = with(c, key, "", i + 1);
    }
    ck_assert_str_eq(unread(c, "n4095"), "n4095//@4096 ");
    ck_assert_str_eq(unread(c, "n4096"), "");
    c = with(c, "/muster/v1/dc1/node/n0", NULL, 5000);
    c = with(c, "/muster/v1/dc1/node/n4096", "", 5001);
    ck_assert_str_eq(unread(c, "n4096"), "n4096//@5001 ");
    catalog_unref(c);
}
END_TEST

#define QUERY       "/muster/v1/dc1/lookup/q1"
#define QUERY_VALUE "{\"name\":\"q\",\"service\":{\"service\":\"web\"}}"

START_TEST(queries_are_part_of_it)
{
    struct catalog_scope all = {SCOPE_QUERIES, NULL};
    struct catalog_scope one = {SCOPE_QUERY, "q1"};
    struct catalog_event same = {.key = slice_str(QUERY),
                                 .value = slice_str(QUERY_VALUE),
                                 .create_revision = 5,
                                 .mod_revision = 5};
    struct catalog_event bad = {
        .key = slice_str(QUERY), .value = slice_str("{}"), .mod_revision = 9};
    struct catalog *c = with(catalog_new("dc1"), QUERY, QUERY_VALUE, 5);
    struct catalog *next;
    struct arena a = {0};
    struct catalog_changes changes;

    ck_assert_ptr_nonnull(query_table_find(catalog_queries(c), "q"));
    ck_assert_uint_eq(catalog_index(c, one), 5);
    c = with(c, "/muster/v1/dc1/lookup/q2", QUERY_VALUE, 6);
    ck_assert_uint_eq(catalog_index(c, one), 5);
    ck_assert_uint_eq(catalog_index(c, all), 6);
    /* A full read that has lost one of them. */
    next = catalog_replace(c, &same, 1, 8, &a, &changes);
    ck_assert(changes.queries);
    ck_assert_uint_eq(query_table_count(catalog_queries(next)), 1);
    ck_assert_uint_eq(query_table_count(catalog_queries(c)), 2);
    ck_assert_uint_eq(catalog_index(next, one), 5);
    ck_assert_uint_eq(catalog_index(next, all), 8);
    catalog_unref(c);
    /* A record that cannot be read is none. */
    c = catalog_apply(next, &bad, 1, 9, &a, &changes);
    ck_assert_uint_eq(changes.problems_count, 1);
    ck_assert_ptr_null(catalog_queries(c));
    ck_assert_uint_eq(catalog_index(c, one), 9);
    catalog_unref(c);
    catalog_unref(next);
    arena_release(&a);
}
END_TEST

START_TEST(missing_service_wakes_for_itself_only)
{
    struct catalog_scope web = {SCOPE_SERVICE, "web"};
    struct catalog_scope checks = {SCOPE_CHECKS, "web"};
    struct catalog *c =
        with(catalog_new("dc1"), "/muster/v1/dc1/inst/web/n/1", WEB_1, 5);

    c = with(c, "/muster/v1/dc1/inst/web/n/1", NULL, 6);
    ck_assert_uint_eq(catalog_index(c, web), 6);
    c = with(c, "/muster/v1/dc1/inst/db/n/1",
             "{\"node\":\"n\",\"service\":\"db\",\"id\":\"1\"}", 7);
    ck_assert_uint_eq(catalog_index(c, web), 6);
    c = with(c, "/muster/v1/dc1/inst/web/n/1", WEB_1, 8);
    ck_assert_uint_eq(catalog_index(c, web), 8);
    ck_assert_uint_eq(catalog_index(c, checks), 8);
    /* A new port changes the service, but not what its checks look like. */
    c = with(c, "/muster/v1/dc1/inst/web/n/1",
             "{\"node\":\"n\",\"service\":\"web\",\"id\":\"1\",\"port\":80,"
             "\"checks\":[{\"id\":\"c\",\"status\":\"passing\"}]}",
             9);
    ck_assert_uint_eq(catalog_index(c, web), 9);
    ck_assert_uint_eq(catalog_index(c, checks), 8);
    catalog_unref(c);
}
END_TEST

START_TEST(replaced_store_starts_anew)
{
    struct catalog_scope web = {SCOPE_SERVICE, "web"};
    struct catalog *c =
        with(catalog_new("dc1"), "/muster/v1/dc1/inst/web/n/1", WEB_1, 500);
    struct arena a = {0};
    struct catalog_changes changes;
    struct catalog *next = catalog_replace(c, NULL, 0, 20, &a, &changes);

    ck_assert_ptr_null(catalog_service(next, "web"));
    ck_assert_uint_eq(catalog_index(next, web), 20);
    ck_assert_uint_eq(changes.services.count, 1);
    ck_assert_str_eq(changes.services.items[0], "web");
    catalog_unref(c);
    catalog_unref(next);
    arena_release(&a);
}
END_TEST

/* More names come and go than tombstones are kept for. */
START_TEST(tombstones_are_bounded)
{
    struct catalog *c = catalog_new("dc1");
    int64_t revision = 0;
    char key[64];
    char value[96];

    for (int i = 0; i < LIMIT_TOMBSTONES + 10; i++) {
        (void)snprintf(key, sizeof(key), "/muster/v1/dc1/inst/s%d/n/1", i);
        (void)snprintf(value, sizeof(value),
                       "{\"node\":\"n\",\"service\":\"s%d\",\"id\":\"1\"}", i);
        c = with(c, key, value, ++revision);
        c = with(c, key, NULL, ++revision);
    }
    /* Never below what a client may have seen. */
    ck_assert_uint_ge(
        catalog_index(c, (struct catalog_scope){SCOPE_SERVICE, "s0"}), 2);
    ck_assert_uint_gt(
        catalog_index(c, (struct catalog_scope){SCOPE_SERVICE, "never"}), 1);
    catalog_unref(c);
}
END_TEST

UNIT_MAIN("catalog_rules", {
    tcase_add_test(tc, damaged_record_is_left_out_and_told);
    tcase_add_test(tc, what_is_no_record_is_known_by_its_key);
    tcase_add_test(tc, what_is_no_record_is_known_up_to_a_limit);
    tcase_add_test(tc, queries_are_part_of_it);
    tcase_add_test(tc, missing_service_wakes_for_itself_only);
    tcase_add_test(tc, replaced_store_starts_anew);
    tcase_add_test(tc, tombstones_are_bounded);
})
