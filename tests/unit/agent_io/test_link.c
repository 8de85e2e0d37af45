/* Two hosts and a real etcd-server, Debian's: what one registers the other
 * sees, over failures of the store too. */

#include "link_world.h"

static bool a_is_in_sync(struct world *w)
{
    return link_stats(w->a.link).sync.in_sync;
}

START_TEST(what_one_registers_the_other_sees)
{
    struct world w;

    world_init(&w);
    start_both(&w);
    await(&w, "a comparison without difference", a_is_in_sync);
    ck_assert_uint_eq(w.a.fulls, 1);
    ck_assert_int_eq(link_stats(w.a.link).lease_grants, 1);
    ck_assert_str_ne(link_endpoint(w.a.link), "");
    world_release(&w);
}
END_TEST

static bool b_sees_mail(struct world *w)
{
    return seen(&w->b, "mail") == 1;
}

/* A link of another datacenter: it sees, and leaves no trace. */
static void follower_start(struct host *h)
{
    const char *url = h->world->etcd.url;
    struct link_config config = {.urls = &url,
                                 .urls_count = 1,
                                 .datacenter = "dc1",
                                 .follows_only = true,
                                 .seed = 4711};
    struct link_hooks hooks = {
        .ctx = h, .on_update = on_update, .on_contact = on_contact};
    struct err err = {""};

    ck_assert_msg(link_start(h->world->loop, &config, NULL, catalog_new("dc1"),
                             0, 0, hooks, &h->link, &err) == ST_OK,
                  "%s", err.text);
}

static bool follower_sees_a(struct world *w)
{
    return seen(&w->b, "web") == 1 && live(&w->b, "a") &&
           link_current(w->b.link) && link_round_trip_us(w->b.link) > 0;
}

static bool follower_sees_mail(struct world *w)
{
    return seen(&w->b, "mail") == 1;
}

static bool follower_lost_contact(struct world *w)
{
    return !link_current(w->b.link);
}

START_TEST(a_follower_writes_nothing)
{
    struct world w;

    world_init(&w);
    host_register(&w.a, "web");
    host_register(&w.b, "web"); /* Is not this link's business. */
    host_start(&w.a);
    follower_start(&w.b);
    await(&w, "what another host has registered", follower_sees_a);
    host_register(&w.a, "mail");
    await(&w, "a change", follower_sees_mail);
    etcd_kill(&w.etcd);
    await(&w, "the loss", follower_lost_contact);
    ck_assert_uint_eq(seen(&w.b, "web"), 1);
    etcd_start(&w.etcd);
    await(&w, "the return", follower_sees_a);
    ck_assert_int_eq(link_stats(w.b.link).lease_grants, 0);
    ck_assert(!live(&w.b, "b"));
    host_stop(&w.b, LINK_STOP_KEEP);
    world_release(&w);
}
END_TEST

START_TEST(changes_follow_soon)
{
    struct world w;
    uint64_t begin;

    world_init(&w);
    start_both(&w);
    begin = loop_now_ms(w.loop);
    host_register(&w.a, "mail");
    await(&w, "the new service", b_sees_mail);
    ck_assert_uint_lt(loop_now_ms(w.loop) - begin, 1000);
    world_release(&w);
}
END_TEST

static bool b_lost_contact(struct world *w)
{
    return !link_current(w->b.link) && !link_current(w->a.link);
}

static bool b_sees_mail_again(struct world *w)
{
    return b_sees_mail(w) && both_see_both(w);
}

START_TEST(store_restart_is_survived)
{
    struct world w;

    world_init(&w);
    start_both(&w);
    etcd_kill(&w.etcd);
    await(&w, "the loss", b_lost_contact);
    ck_assert_uint_eq(seen(&w.b, "web"), 2); /* Never emptier by losing it. */
    host_register(&w.a, "mail");             /* Is kept for later. */
    etcd_start(&w.etcd);
    await(&w, "the return", b_sees_mail_again);
    ck_assert_uint_eq(w.b.fulls, 1); /* Resumed, not read again. */
    world_release(&w);
}
END_TEST

static bool b_misses_a(struct world *w)
{
    return seen(&w->b, "web") == 1 && !live(&w->b, "a");
}

START_TEST(leave_removes_all)
{
    struct world w;

    world_init(&w);
    start_both(&w);
    host_stop(&w.a, LINK_STOP_LEAVE);
    await(&w, "the records' removal", b_misses_a);
    world_release(&w);
}
END_TEST

static bool six_seconds_over(struct world *w)
{
    return loop_now_ms(w->loop) > w->limit_ms - 30000 + 6000;
}

START_TEST(keep_outlives_the_lease)
{
    struct world w;

    world_init(&w);
    start_both(&w);
    host_stop(&w.a, LINK_STOP_KEEP);
    await(&w, "longer than the lease", six_seconds_over);
    ck_assert(live(&w.b, "a"));
    ck_assert_uint_eq(seen(&w.b, "web"), 2);
    host_start(&w.a);
    await(&w, "the return", both_see_both);
    world_release(&w);
}
END_TEST

START_TEST(dead_endpoint_is_passed_over)
{
    struct world w;
    char dead[64];
    const char *urls[2];
    uint64_t begin;

    world_init(&w);
    start_both(&w);
    host_stop(&w.a, LINK_STOP_KEEP);
    (void)snprintf(dead, sizeof(dead), "http://127.0.0.1:%d", free_port());
    for (int turn = 0; turn < 2; turn++) {
        urls[turn] = dead;
        urls[1 - turn] = w.etcd.url;
        begin = loop_now_ms(w.loop);
        host_start_as(&w.a, "a", urls, 2);
        await(&w, "the endpoint that lives", both_see_both);
        ck_assert_uint_lt(loop_now_ms(w.loop) - begin, 2000);
        host_stop(&w.a, LINK_STOP_KEEP);
    }
    world_release(&w);
}
END_TEST

static bool b_is_refused(struct world *w)
{
    return link_stats(w->b.link).name_in_use;
}

static bool b_is_attached(struct world *w)
{
    return link_stats(w->b.link).attached;
}

static bool b_sees_the_end_of_a(struct world *w)
{
    return !live(&w->b, "a");
}

START_TEST(second_agent_of_a_name_waits)
{
    struct world w;
    const char *url;
    uint64_t begin;

    world_init(&w);
    url = w.etcd.url;
    w.b.lease_ttl_s = 2;
    host_register(&w.a, "web");
    host_start(&w.a);
    await(&w, "the first", a_is_in_sync);
    host_start_as(&w.b, "A", &url, 1); /* Names are compared in lower case. */
    await(&w, "the refusal", b_is_refused);
    ck_assert_str_eq(link_stats(w.b.link).name_owner, "a");
    ck_assert_int_eq(link_stats(w.b.link).lease_id, 0);
    host_stop(&w.a, LINK_STOP_LEAVE);
    await(&w, "the end of the first", b_sees_the_end_of_a);
    begin = loop_now_ms(w.loop);
    await(&w, "the name to be free", b_is_attached);
    ck_assert_uint_ge(loop_now_ms(w.loop) - begin, 3900); /* Twice 2 s. */
    ck_assert(!link_stats(w.b.link).name_in_use);
    world_release(&w);
}
END_TEST

static void on_confirmed(void *arg, enum status st)
{
    struct world *w = arg;

    w->answered = true;
    w->confirmed = st;
}

static void on_txn(void *arg, enum sync_result result, int64_t revision)
{
    struct world *w = arg;

    ck_assert_int_gt(revision, 0);
    w->answered = true;
    w->txn_result = result;
}

static bool is_answered(struct world *w)
{
    return w->answered;
}

START_TEST(confirmation_waits_for_the_replica)
{
    struct sync_op op = {.kind = SYNC_PUT,
                         .key = slice_str("/muster/v1/dc1/later/x"),
                         .value = slice_str("1"),
                         .expect_mod_revision = 0};
    struct sync_txn txn = {.ops = &op, .ops_count = 1};
    struct world w;
    int64_t before;

    world_init(&w);
    start_both(&w);
    before = catalog_revision(link_catalog(w.b.link));
    link_txn(w.a.link, &txn, on_txn, &w);
    await(&w, "the transaction", is_answered);
    ck_assert_int_eq(w.txn_result, SYNC_WRITTEN);
    w.answered = false;
    link_confirm(w.b.link, 5000, on_confirmed, &w);
    await(&w, "the confirmation", is_answered);
    ck_assert_int_eq(w.confirmed, ST_OK);
    ck_assert_int_gt(catalog_revision(link_catalog(w.b.link)), before);

    w.answered = false; /* The key is there now: the guard must hold. */
    link_txn(w.a.link, &txn, on_txn, &w);
    await(&w, "the second transaction", is_answered);
    ck_assert_int_eq(w.txn_result, SYNC_GUARDED);
    world_release(&w);
}
END_TEST

static bool b_sees_a_anew(struct world *w)
{
    const struct catalog_node *a = catalog_node(link_catalog(w->b.link), "a");

    return a && a->known && a->live &&
           a->live_create_revision > w->removed_revision &&
           a->create_revision > w->removed_revision && both_see_both(w);
}

static void on_removed(void *arg, enum sync_result result, int64_t revision)
{
    struct world *w = arg;

    ck_assert_int_eq(result, SYNC_WRITTEN);
    w->removed_revision = revision;
}

START_TEST(what_others_remove_comes_back)
{
    struct sync_op ops[] = {
        {.kind = SYNC_DELETE,
         .key = slice_str("/muster/v1/dc1/live/a"),
         .expect_mod_revision = SYNC_ANY},
        {.kind = SYNC_DELETE,
         .key = slice_str("/muster/v1/dc1/node/a"),
         .expect_mod_revision = SYNC_ANY},
    };
    struct sync_txn txn = {.ops = ops, .ops_count = 2};
    struct world w;

    world_init(&w);
    start_both(&w);
    await(&w, "a comparison without difference", a_is_in_sync);
    w.removed_revision = INT64_MAX;
    link_txn(w.b.link, &txn, on_removed, &w);
    await(&w, "the records' return", b_sees_a_anew);
    ck_assert_int_eq(link_stats(w.a.link).lease_grants,
                     1); /* The same lease. */
    world_release(&w);
}
END_TEST

START_TEST(without_a_store_confirmations_time_out)
{
    struct world w;

    world_init(&w);
    start_both(&w);
    etcd_kill(&w.etcd);
    await(&w, "the loss", b_lost_contact);
    link_confirm(w.b.link, 500, on_confirmed, &w);
    await(&w, "the timeout", is_answered);
    ck_assert_int_eq(w.confirmed, ST_TIMEOUT);
    etcd_start(&w.etcd);
    world_release(&w);
}
END_TEST

/* The question is out and the store does not answer any more. */
START_TEST(stop_ends_confirmations)
{
    struct world w;

    world_init(&w);
    start_both(&w);
    ck_assert_int_eq(kill(w.etcd.pid, SIGSTOP), 0);
    link_confirm(w.b.link, 5000, on_confirmed, &w);
    host_stop(&w.b, LINK_STOP_KEEP);
    ck_assert_int_eq(kill(w.etcd.pid, SIGCONT), 0);
    ck_assert(w.answered);
    ck_assert_int_eq(w.confirmed, ST_TIMEOUT);
    world_release(&w);
}
END_TEST

static const struct {
    const char *url;
    const char *text;
} bad_urls[] = {
    {"ftp://127.0.0.1:2379", "must begin with http:// or https://"},
    {"http://127.0.0.1", "no port"},
    {"http://127.0.0.1:99999", "port of 0 to 65535"},
    {"http://:2379", "no host"},
    {"http://127.0.0.1:0", "1 to 65535"},
    {"http://[::1]", "no port"},
    {"http://::1:2379", "in brackets"},
    {"https://db.example:2379/v3", "no path"},
    {"unix:", "Unix socket"},
    {"", "no port"},
};

START_TEST(bad_url_is_refused)
{
    struct link_config config = {.urls = &bad_urls[_i].url,
                                 .urls_count = 1,
                                 .datacenter = "dc1",
                                 .node = "a",
                                 .node_id = "a",
                                 .incarnation = "a"};
    struct loop *loop = loop_new();
    struct link *link;
    struct err err = {""};

    ck_assert_int_eq(link_start(loop, &config, NULL, catalog_new("dc1"), 0, 0,
                                (struct link_hooks){0}, &link, &err),
                     ST_INVALID);
    ck_assert_msg(strstr(err.text, bad_urls[_i].text) != NULL, "%s", err.text);
    loop_free(loop);
}
END_TEST

UNIT_MAIN("link", {
    tcase_add_test(tc, what_one_registers_the_other_sees);
    tcase_add_test(tc, a_follower_writes_nothing);
    tcase_add_test(tc, changes_follow_soon);
    tcase_add_test(tc, store_restart_is_survived);
    tcase_add_test(tc, leave_removes_all);
    tcase_add_test(tc, keep_outlives_the_lease);
    tcase_add_test(tc, dead_endpoint_is_passed_over);
    tcase_add_test(tc, second_agent_of_a_name_waits);
    tcase_add_test(tc, what_others_remove_comes_back);
    tcase_add_test(tc, confirmation_waits_for_the_replica);
    tcase_add_test(tc, without_a_store_confirmations_time_out);
    tcase_add_test(tc, stop_ends_confirmations);
    tcase_add_loop_test(tc, bad_url_is_refused, 0, COUNT_OF(bad_urls));
})
