#include "store/io/founding.h"

#include "suite.h"

/* Ids as etcd 3.5 gives them for the same flags. */
static const struct {
    const char *name;
    const char *cluster;
    const char *self;
    const char *urls;
    uint64_t id;
    uint64_t cluster_id;
} good[] = {
    {"etcd's default", "default=http://localhost:2380", "default",
     "http://localhost:2380", 0x8e9e05c52164694d, 0xcdf818194e3a8c32},
};

START_TEST(ids_are_etcds)
{
    struct arena arena = {0};
    struct founding f;
    struct err err = {""};

    ck_assert_msg(founding_parse(&arena, good[_i].cluster, "etcd-cluster",
                                 good[_i].self, good[_i].urls, &f,
                                 &err) == ST_OK,
                  "%s: %s", good[_i].name, err.text);
    ck_assert_uint_eq(f.founders[f.self].id, good[_i].id);
    ck_assert_uint_eq(f.cluster_id, good[_i].cluster_id);
    arena_release(&arena);
}
END_TEST

START_TEST(members_are_found_by_name)
{
    struct arena arena = {0};
    struct founding f;

    ck_assert_int_eq(
        founding_parse(&arena,
                       "a=http://h1:2380,b=http://h2:1,b=http://h2:0,c=http://"
                       "h3:2380",
                       "t", "b", "http://h2:0,http://h2:1", &f, NULL),
        ST_OK);
    ck_assert_uint_eq(f.founders_count, 3);
    ck_assert_str_eq(f.founders[f.self].name, "b");
    ck_assert_str_eq(f.founders[f.self].peer_urls[0], "http://h2:0");
    ck_assert_uint_lt(f.founders[0].id, f.founders[1].id);
    ck_assert_uint_lt(f.founders[1].id, f.founders[2].id);
    arena_release(&arena);
}
END_TEST

static const struct {
    const char *cluster;
    const char *urls;
    const char *message;
} bad[] = {
    {"x", "http://h:1", "--initial-cluster: \"x\" is not name=URL"},
    {"b=http://h:1", "http://h:1",
     "--initial-cluster: this member's name \"a\" (--name) is not in it"},
    {"a=http://h:1", "http://h:2",
     "--initial-cluster: the URLs of \"a\" differ from "
     "--initial-advertise-peer-urls=http://h:2"},
    {"a=http://h", "http://h:1",
     "--initial-cluster: \"http://h\": the port is missing"},
    {"a=http://h:1/p", "http://h:1",
     "--initial-cluster: \"http://h:1/p\": it must not have a path"},
    {"a=ftp://h:1", "http://h:1",
     "--initial-cluster: \"ftp://h:1\": it must begin with http://, "
     "https://, unix:// or unixs://"},
    {"a=http://h:70000", "http://h:1",
     "--initial-cluster: \"http://h:70000\": the port must be a number from "
     "0 to 65535"},
    {"a=http://::1:70", "http://h:1",
     "--initial-cluster: \"http://::1:70\": an IPv6 address stands in "
     "brackets"},
    {"a=http://h:1,b=http://h:1", "http://h:1",
     "--initial-cluster: \"a\" and \"b\" have the same URLs"},
};

START_TEST(mistakes_are_named)
{
    struct arena arena = {0};
    struct founding f;
    struct err err = {""};

    ck_assert_int_eq(founding_parse(&arena, bad[_i].cluster, "t", "a",
                                    bad[_i].urls, &f, &err),
                     ST_INVALID);
    ck_assert_str_eq(err.text, bad[_i].message);
    arena_release(&arena);
}
END_TEST

UNIT_MAIN("founding", {
    tcase_add_loop_test(tc, ids_are_etcds, 0, COUNT_OF(good));
    tcase_add_test(tc, members_are_found_by_name);
    tcase_add_loop_test(tc, mistakes_are_named, 0, COUNT_OF(bad));
})
