#include "agent/core/record.h"

#include "suite.h"

static const struct {
    const char *key;
    enum status st;
    enum record_kind kind;
    const char *node;
    const char *service;
    const char *id;
} keys[] = {
    {"/muster/v1/dc1/node/edge", ST_OK, RECORD_NODE, "edge", NULL, NULL},
    {"/muster/v1/dc1/live/edge", ST_OK, RECORD_LIVE, "edge", NULL, NULL},
    {"/muster/v1/dc1/inst/web/edge/web-1", ST_OK, RECORD_INSTANCE, "edge",
     "web", "web-1"},
    {"/muster/v1/dc1/inst/we%20b/edge/a%2Fb", ST_OK, RECORD_INSTANCE, "edge",
     "we b", "a/b"},
    {"/muster/v1/dc1/ncheck/edge/disk:root", ST_OK, RECORD_NODE_CHECK, "edge",
     NULL, "disk:root"},
    {"/muster/v1/dc1/kv/a/b/c", ST_OK, RECORD_FOREIGN, NULL, NULL, NULL},
    {"/muster/v1/dc2/node/edge", ST_OK, RECORD_FOREIGN, NULL, NULL, NULL},
    {"/other", ST_OK, RECORD_FOREIGN, NULL, NULL, NULL},
    {"", ST_OK, RECORD_FOREIGN, NULL, NULL, NULL},
    {"/muster/v1/dc1/node/", ST_INVALID, 0, NULL, NULL, NULL},
    {"/muster/v1/dc1/node/a/b", ST_INVALID, 0, NULL, NULL, NULL},
    {"/muster/v1/dc1/node/Edge", ST_INVALID, 0, NULL, NULL, NULL},
    {"/muster/v1/dc1/inst/web/edge", ST_INVALID, 0, NULL, NULL, NULL},
    {"/muster/v1/dc1/inst/web//x", ST_INVALID, 0, NULL, NULL, NULL},
    {"/muster/v1/dc1/inst/web/edge/%2", ST_INVALID, 0, NULL, NULL, NULL},
    {"/muster/v1/dc1/inst/web/edge/%zz", ST_INVALID, 0, NULL, NULL, NULL},
    {"/muster/v1/dc1/inst/web/edge/%00", ST_INVALID, 0, NULL, NULL, NULL},
    {"/muster/v1/dc1/inst/web/edge/%41", ST_INVALID, 0, NULL, NULL, NULL},
    {"/muster/v1/dc1/inst/web/edge/%2f", ST_INVALID, 0, NULL, NULL, NULL},
    {"/muster/v1/dc1/inst/web/edge/a b", ST_INVALID, 0, NULL, NULL, NULL},
};

static void same_or_null(const char *a, const char *b)
{
    if (b == NULL) {
        ck_assert_ptr_null(a);
    } else {
        ck_assert_str_eq(a, b);
    }
}

START_TEST(key_is_taken_apart)
{
    struct arena a = {0};
    struct record_key key = {0};
    struct slice bytes = slice_str(keys[_i].key);

    ck_assert_msg(record_key_read(&a, "dc1", bytes, &key) == keys[_i].st, "%s",
                  keys[_i].key);
    if (keys[_i].st == ST_OK) {
        ck_assert_int_eq(key.kind, keys[_i].kind);
        same_or_null(key.node, keys[_i].node);
        same_or_null(key.service, keys[_i].service);
        same_or_null(key.id, keys[_i].id);
    }
    if (keys[_i].st == ST_OK && key.kind != RECORD_FOREIGN) {
        ck_assert(slice_eq(record_key_write(&a, "dc1", &key), bytes));
    }
    arena_release(&a);
}
END_TEST

START_TEST(range_covers_what_is_ours)
{
    struct arena a = {0};
    struct record_range range = record_range(&a, "dc1");

    for (int i = 0; i < COUNT_OF(keys); i++) {
        struct slice bytes = slice_str(keys[i].key);
        bool within = slice_cmp(bytes, range.begin) >= 0 &&
                      slice_cmp(bytes, range.end) < 0;

        if (keys[i].st == ST_OK && keys[i].kind != RECORD_FOREIGN) {
            ck_assert_msg(within, "%s", keys[i].key);
        }
    }
    arena_release(&a);
}
END_TEST

/* All of the catalogue and its coordinates, and no tokens or sessions. */
START_TEST(range_elsewhere_is_the_catalogue)
{
    static const char *const secrets[] = {"/muster/v1/dc1/acl/token/a",
                                          "/muster/v1/dc1/alive/a"};
    struct arena a = {0};
    struct record_range range = record_range_elsewhere(&a, "dc1");

    for (int i = 0; i < COUNT_OF(keys); i++) {
        struct slice bytes = slice_str(keys[i].key);

        if (keys[i].st == ST_OK && keys[i].kind != RECORD_FOREIGN) {
            ck_assert_msg(slice_cmp(bytes, range.begin) >= 0 &&
                              slice_cmp(bytes, range.end) < 0,
                          "%s", keys[i].key);
        }
    }
    for (int i = 0; i < COUNT_OF(secrets); i++) {
        ck_assert(slice_cmp(slice_str(secrets[i]), range.begin) < 0);
    }
    arena_release(&a);
}
END_TEST

START_TEST(instance_survives_its_record)
{
    static const char *const tags[] = {"a", "b\"\\\n"};
    static const struct pair meta[] = {{"k", "v"}};
    static const struct named_port ports[] = {{"main", 80, true}};
    static const struct tagged_address tagged[] = {{"lan", "10.0.0.1", 80}};
    static const struct check_record checks[] = {
        {"c1", "Check", "notes", "", CHECK_TYPE_HTTP, CHECK_WARNING, 5000, 800},
        {"c2", "Check", "", "", CHECK_TYPE_TTL, CHECK_PASSING, 0, 0},
    };
    struct instance_record first = {
        .node = "Edge",
        .service = "web",
        .id = "web-1",
        .tags = {tags, 2},
        .address = "10.0.0.9",
        .port = 80,
        .ports = ports,
        .ports_count = 1,
        .socket_path = "",
        .tagged = tagged,
        .tagged_count = 1,
        .meta = {meta, 1},
        .weight_passing = 10,
        .weight_warning = 0,
        .enable_tag_override = true,
        .kind = "",
        .checks = checks,
        .checks_count = 2,
        .owner = {"Edge", "i-1"},
    };
    struct record_key key = {RECORD_INSTANCE, "edge", "web", "web-1"};
    struct instance_record second;
    struct arena a = {0};
    struct buf text;
    struct buf again;
    struct err err;

    buf_init(&text, LIMIT_RECORD_BYTES);
    buf_init(&again, LIMIT_RECORD_BYTES);
    ck_assert_int_eq(instance_record_write(&first, &text), ST_OK);
    ck_assert_msg(instance_record_read(&a, &key, buf_slice(&text), &second,
                                       &err) == ST_OK,
                  "%s", err.text);
    ck_assert_int_eq(instance_record_write(&second, &again), ST_OK);
    ck_assert_str_eq(buf_cstr(&text), buf_cstr(&again));
    ck_assert_str_eq(second.tags.items[1], "b\"\\\n");
    ck_assert_int_eq(second.checks[0].status, CHECK_WARNING);
    ck_assert_uint_eq(second.checks[0].timeout_ms, 800);
    key.id = "web-2";
    ck_assert_int_eq(
        instance_record_read(&a, &key, buf_slice(&text), &second, &err),
        ST_CORRUPT);
    ck_assert_str_eq(err.text, "id is not what the key says");
    buf_release(&text);
    buf_release(&again);
    arena_release(&a);
}
END_TEST

static const struct {
    const char *value;
    const char *error;
} damaged[] = {
    {"", "is empty"},
    {"[]", "must be an object, not a list"},
    {"{\"node\":\"edge\",\"service\":\"web\",\"id\":1}",
     "id: must be a string, not a number"},
    {"{\"node\":\"other\",\"service\":\"web\",\"id\":\"web-1\"}",
     "node is not what the key says"},
    {"{\"node\":\"edge\",\"service\":\"web\",\"id\":\"web-1\",\"port\":-1}",
     "port: -1 is not within 0 to 65535"},
    {"{\"node\":\"edge\",\"service\":\"web\",\"id\":\"web-1\",\"checks\":[{}]}",
     "checks[0]: id is missing"},
};

START_TEST(damage_is_named)
{
    struct record_key key = {RECORD_INSTANCE, "edge", "web", "web-1"};
    struct instance_record record;
    struct arena a = {0};
    struct err err;

    ck_assert_int_eq(instance_record_read(
                         &a, &key, slice_str(damaged[_i].value), &record, &err),
                     ST_CORRUPT);
    ck_assert_str_eq(err.text, damaged[_i].error);
    arena_release(&a);
}
END_TEST

START_TEST(newer_fields_are_ignored)
{
    struct record_key key = {.kind = RECORD_NODE, .node = "edge"};
    struct node_record record;
    struct arena a = {0};
    struct err err;

    ck_assert_int_eq(
        node_record_read(
            &a, &key,
            slice_str("{\"name\":\"edge\",\"id\":\"u\",\"address\":"
                      "\"10.0.0.1\",\"flavour\":{\"a\":[1]}}"),
            &record, &err),
        ST_OK);
    ck_assert_str_eq(record.address, "10.0.0.1");
    arena_release(&a);
}
END_TEST

UNIT_MAIN("record", {
    tcase_add_loop_test(tc, key_is_taken_apart, 0, COUNT_OF(keys));
    tcase_add_test(tc, range_covers_what_is_ours);
    tcase_add_test(tc, range_elsewhere_is_the_catalogue);
    tcase_add_test(tc, instance_survives_its_record);
    tcase_add_loop_test(tc, damage_is_named, 0, COUNT_OF(damaged));
    tcase_add_test(tc, newer_fields_are_ignored);
})
