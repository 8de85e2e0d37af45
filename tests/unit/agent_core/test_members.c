#include "agent/core/members.h"

#include <stdio.h>

#include "suite.h"

/* ---- Reading the list ---------------------------------------------- */

static const struct {
    const char *rule;
    const char *name;
    const char *url;
    const char *expect; /* "name host port address"; NULL: of no use. */
} urls[] = {
    {"by address", "m1", "http://10.0.0.1:2379",
     "m1 10.0.0.1 2379 10.0.0.1:2379"},
    {"with TLS, by name", "m1", "https://db.example:2379",
     "m1 db.example 2379 db.example:2379"},
    {"IPv6", "m1", "http://[2001:db8::1]:2379",
     "m1 2001:db8::1 2379 [2001:db8::1]:2379"},
    {"no name", "", "http://10.0.0.1:1",
     "store-00000000000000ab 10.0.0.1 1 10.0.0.1:1"},
    {"etcd's default", "default", "http://localhost:2379",
     "default 127.0.0.1 2379 localhost:2379"},
    {"every address is none", "m1", "http://0.0.0.0:2379", NULL},
    {"the same of IPv6", "m1", "http://[::]:2379", NULL},
    {"no port", "m1", "http://10.0.0.1", NULL},
    {"port 0", "m1", "http://10.0.0.1:0", NULL},
    {"no host", "m1", "http://:2379", NULL},
    {"not started", "", "", NULL},
    {"a Unix socket", "m1", "unix://m1:2379", NULL},
};

START_TEST(urls_by_row)
{
    struct member m;
    char text[512] = "";
    bool good = member_read(0xab, urls[_i].name, urls[_i].url, &m);

    ck_assert_msg(good == (urls[_i].expect != NULL), "%s", urls[_i].rule);
    if (good) {
        (void)snprintf(text, sizeof(text), "%s %s %u %s", m.name, m.host,
                       m.port, m.address);
        ck_assert_str_eq(text, urls[_i].expect);
    }
}
END_TEST

/* ---- A catalogue that takes what is written ------------------------- */

#define PREFIX "/muster/v1/dc1/"

struct world {
    struct catalog *catalog;
    struct members *members;
    struct arena arena;
    int64_t revision;
};

static void apply(struct world *w, struct slice key, struct slice value,
                  bool deleted)
{
    struct catalog_changes changes;
    struct catalog_event e = {.key = key,
                              .value = value,
                              .deleted = deleted,
                              .create_revision = w->revision + 1,
                              .mod_revision = w->revision + 1};
    struct catalog *next =
        catalog_apply(w->catalog, &e, 1, ++w->revision, &w->arena, &changes);

    ck_assert_uint_eq(changes.problems_count, 0);
    catalog_unref(w->catalog);
    w->catalog = next;
}

static void agent_is(struct world *w, const char *name, const char *address)
{
    apply(w, slice_str(arena_printf(&w->arena, PREFIX "node/%s", name)),
          slice_str(arena_printf(&w->arena,
                                 "{\"name\":\"%s\",\"id\":\"id-%s\","
                                 "\"address\":\"%s\",\"owner\":{\"node\":"
                                 "\"%s\",\"incarnation\":\"1\"}}",
                                 name, name, address, name)),
          false);
}

static void agent_goes(struct world *w, const char *name)
{
    apply(w, slice_str(arena_printf(&w->arena, PREFIX "node/%s", name)),
          slice_str(""), true);
}

static void world_init(struct world *w)
{
    *w = (struct world){.catalog = catalog_new("dc1"),
                        .members = members_new("consul")};
    agent_is(w, "edge", "10.0.0.9");
}

static void world_release(struct world *w)
{
    catalog_unref(w->catalog);
    members_free(w->members);
    arena_release(&w->arena);
}

/* "id name url" and so on. */
static void members_are(struct world *w, size_t count, const char *const *urls_)
{
    struct member list[4];

    for (size_t i = 0; i < count; i++) {
        const char *name = arena_printf(&w->arena, "m%zu", i + 1);

        ck_assert(member_read(i + 1, name, urls_[i], &list[i]));
    }
    members_set(w->members, list, count);
}

/* Write until nothing is left to do; how many operations there were. */
static size_t settle(struct world *w)
{
    struct sync_txn txn;
    size_t total = 0;

    while (members_next(w->members, w->catalog, &w->arena, &txn)) {
        ck_assert_uint_lt(total, 100);
        total += txn.ops_count;
        for (size_t i = 0; i < txn.ops_count; i++) {
            apply(w, txn.ops[i].key, txn.ops[i].value,
                  txn.ops[i].kind == SYNC_DELETE);
        }
    }
    return total;
}

static bool show_one(void *ctx, const struct catalog_instance *i)
{
    char *text = ctx;
    size_t len = strlen(text);

    (void)snprintf(text + len, 256 - len, "%s%s %s:%u %s", len > 0 ? "; " : "",
                   i->record.node, i->record.address, i->record.port,
                   check_status_text(i->record.checks[0].status));
    return true;
}

/* "node address:port status; ..." */
static const char *show(struct world *w, const char *service)
{
    const struct catalog_service *s = catalog_service(w->catalog, service);
    char *text = arena_zalloc(&w->arena, 256, 1);

    if (s != NULL) {
        catalog_each_instance(s, show_one, text);
    }
    return text;
}

static bool is_node(const struct world *w, const char *name)
{
    const struct catalog_node *n = catalog_node(w->catalog, name);

    return n != NULL && n->known;
}

/* ---- Rules ----------------------------------------------------------- */

START_TEST(nothing_is_done_before_the_list_is_known)
{
    struct world w;

    world_init(&w);
    ck_assert_uint_eq(settle(&w), 0);
    world_release(&w);
}
END_TEST

START_TEST(each_member_is_an_instance_and_stays)
{
    static const char *const three[] = {
        "http://10.0.0.1:2379", "http://10.0.0.2:2379", "http://10.0.0.3:2379"};
    struct world w;

    world_init(&w);
    members_are(&w, 3, three);
    ck_assert_uint_eq(settle(&w), 6); /* A node for each. */
    ck_assert_str_eq(show(&w, "consul"), "m1 :2379 passing; m2 :2379 passing; "
                                         "m3 :2379 passing");
    ck_assert_uint_eq(settle(&w), 0);

    members_are(&w, 2, three);
    ck_assert_uint_eq(settle(&w), 2);
    ck_assert_str_eq(show(&w, "consul"), "m1 :2379 passing; m2 :2379 passing");
    ck_assert(!is_node(&w, "m3"));
    ck_assert(is_node(&w, "m2"));
    ck_assert(is_node(&w, "edge"));
    world_release(&w);
}
END_TEST

START_TEST(it_is_on_the_host_whose_agent_has_its_name_or_address)
{
    static const char *const two[] = {"http://127.0.0.1:2379",
                                      "http://10.0.0.9:2380"};
    struct world w;

    world_init(&w);
    agent_is(&w, "m1", "10.0.0.8");
    members_are(&w, 2, two);
    ck_assert_uint_eq(settle(&w), 2);
    ck_assert_str_eq(show(&w, "consul"),
                     "edge :2380 passing; m1 127.0.0.1:2379 passing");
    world_release(&w);
}
END_TEST

START_TEST(a_loopback_address_means_no_host)
{
    static const char *const one[] = {"http://127.0.0.1:2379"};
    struct world w;

    world_init(&w);
    agent_is(&w, "other", "127.0.0.1");
    members_are(&w, 1, one);
    (void)settle(&w);
    ck_assert_str_eq(show(&w, "consul"), "m1 :2379 passing");
    world_release(&w);
}
END_TEST

START_TEST(it_moves_when_an_agent_comes_or_goes)
{
    static const char *const one[] = {"http://10.0.0.1:2379"};
    struct world w;

    world_init(&w);
    members_are(&w, 1, one);
    (void)settle(&w);
    agent_is(&w, "here", "10.0.0.1");
    ck_assert_uint_eq(settle(&w), 3);
    ck_assert_str_eq(show(&w, "consul"), "here :2379 passing");
    ck_assert(!is_node(&w, "m1"));

    agent_goes(&w, "here");
    (void)settle(&w);
    ck_assert_str_eq(show(&w, "consul"), "m1 :2379 passing");

    agent_is(&w, "m1", "10.0.0.7"); /* Over the node that we have made. */
    (void)settle(&w);
    ck_assert_str_eq(show(&w, "consul"), "m1 10.0.0.1:2379 passing");
    world_release(&w);
}
END_TEST

START_TEST(who_has_missed_two_answers_is_critical)
{
    static const char *const one[] = {"http://10.0.0.1:2379"};
    struct world w;

    world_init(&w);
    members_are(&w, 1, one);
    (void)settle(&w);
    members_answered(w.members, "10.0.0.1:2379", false);
    members_answered(w.members, "10.0.0.99:1", false); /* Nobody's. */
    ck_assert_uint_eq(settle(&w), 0);
    members_answered(w.members, "10.0.0.1:2379", false);
    ck_assert_uint_eq(settle(&w), 1);
    ck_assert_str_eq(show(&w, "consul"), "m1 :2379 critical");
    members_are(&w, 1, one); /* The list came again. */
    ck_assert_uint_eq(settle(&w), 0);
    members_answered(w.members, "10.0.0.1:2379", true);
    (void)settle(&w);
    ck_assert_str_eq(show(&w, "consul"), "m1 :2379 passing");
    world_release(&w);
}
END_TEST

START_TEST(another_name_or_none_takes_the_old_one_away)
{
    static const char *const one[] = {"http://10.0.0.1:2379"};
    struct world w;

    world_init(&w);
    members_are(&w, 1, one);
    (void)settle(&w);
    members_rename(w.members, "muster");
    (void)settle(&w);
    ck_assert_str_eq(show(&w, "consul"), "");
    ck_assert_str_eq(show(&w, "muster"), "m1 :2379 passing");

    members_rename(w.members, "");
    (void)settle(&w);
    ck_assert_str_eq(show(&w, "muster"), "");
    ck_assert(!is_node(&w, "m1"));
    world_release(&w);
}
END_TEST

START_TEST(what_others_registered_is_left_alone)
{
    static const char *const one[] = {"http://10.0.0.1:2379"};
    struct world w;

    world_init(&w);
    apply(&w, slice_str(PREFIX "inst/consul/edge/mine"),
          slice_str("{\"node\":\"edge\",\"service\":\"consul\",\"id\":\"mine\","
                    "\"checks\":[{\"id\":\"c\",\"status\":\"warning\"}]}"),
          false);
    apply(&w, slice_str(PREFIX "node/m1"),
          slice_str("{\"name\":\"m1\",\"id\":\"x\",\"address\":\"10.0.0.5\","
                    "\"external\":true,\"owner\":{\"node\":\"catalog\"}}"),
          false);
    members_are(&w, 1, one);
    ck_assert_uint_eq(settle(&w), 1);
    ck_assert_str_eq(show(&w, "consul"),
                     "edge :0 warning; m1 10.0.0.1:2379 passing");
    members_rename(w.members, "");
    (void)settle(&w);
    ck_assert_str_eq(show(&w, "consul"), "edge :0 warning");
    ck_assert(is_node(&w, "m1"));
    world_release(&w);
}
END_TEST

/* A guard keeps what the store has lost until its writers have put it back. */
START_TEST(what_the_store_has_lost_is_written_again)
{
    static const char *const one[] = {"http://10.0.0.1:2379"};
    struct world w;
    struct catalog_changes changes;
    struct catalog *empty;
    struct catalog *held;

    world_init(&w);
    members_are(&w, 1, one);
    (void)settle(&w);
    empty =
        catalog_replace(w.catalog, NULL, 0, ++w.revision, &w.arena, &changes);
    held = catalog_refill(empty, w.catalog, &w.arena, &changes);
    catalog_unref(empty);
    catalog_unref(w.catalog);
    w.catalog = held;
    ck_assert_str_eq(show(&w, "consul"), "m1 :2379 passing");
    ck_assert_uint_eq(settle(&w), 2);
    members_rename(w.members, "");
    ck_assert_uint_eq(settle(&w), 2);
    world_release(&w);
}
END_TEST

START_TEST(members_of_one_name_share_a_node)
{
    struct member list[2];
    struct world w;

    world_init(&w);
    ck_assert(member_read(1, "default", "http://10.0.0.1:2379", &list[0]));
    ck_assert(member_read(2, "default", "http://10.0.0.2:2379", &list[1]));
    members_set(w.members, list, 2);
    ck_assert_uint_eq(settle(&w), 3);
    ck_assert_str_eq(show(&w, "consul"),
                     "default :2379 passing; default 10.0.0.2:2379 passing");
    members_set(w.members, list + 1, 1);
    (void)settle(&w);
    ck_assert_str_eq(show(&w, "consul"), "default :2379 passing");
    ck_assert(is_node(&w, "default"));
    world_release(&w);
}
END_TEST

UNIT_MAIN("members", {
    tcase_add_loop_test(tc, urls_by_row, 0, sizeof(urls) / sizeof(urls[0]));
    tcase_add_test(tc, nothing_is_done_before_the_list_is_known);
    tcase_add_test(tc, each_member_is_an_instance_and_stays);
    tcase_add_test(tc, it_is_on_the_host_whose_agent_has_its_name_or_address);
    tcase_add_test(tc, a_loopback_address_means_no_host);
    tcase_add_test(tc, it_moves_when_an_agent_comes_or_goes);
    tcase_add_test(tc, who_has_missed_two_answers_is_critical);
    tcase_add_test(tc, another_name_or_none_takes_the_old_one_away);
    tcase_add_test(tc, what_others_registered_is_left_alone);
    tcase_add_test(tc, what_the_store_has_lost_is_written_again);
    tcase_add_test(tc, members_of_one_name_share_a_node);
})
