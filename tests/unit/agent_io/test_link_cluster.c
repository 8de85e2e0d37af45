/* One agent's link and three members that fail in every way. */

#include <limits.h>
#include <stdio.h>

#include "agent/io/link.h"
#include "base/core/log.h"
#include "fake_cluster.h"
#include "fake_names.h"
#include "suite.h"

struct world {
    struct loop *loop;
    struct fake_cluster cluster;
    struct local *local;
    struct link *link;
    uv_timer_t tick;
    uint64_t limit_ms;
    bool (*until)(void);
    bool reached;
    struct fake_member *first; /* That was in use when a test began. */
    unsigned asked;            /* A count of it then. */
};

static struct world w;

/* ---- running ---- */

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
    if (w.until()) {
        w.reached = true;
        loop_stop(w.loop);
    } else if (loop_now_ms(w.loop) > w.limit_ms) {
        loop_stop(w.loop);
    }
}

static void await(const char *what, bool (*until)(void))
{
    w.until = until;
    w.reached = false;
    w.limit_ms = loop_now_ms(w.loop) + 30000;
    ck_assert_int_eq(uv_timer_start(&w.tick, on_tick, 0, 5), 0);
    loop_run(w.loop);
    (void)uv_timer_stop(&w.tick);
    ck_assert_msg(w.reached, "waited in vain: %s", what);
}

static void on_update(void *ctx, const struct link_update *update)
{
    (void)ctx;
    (void)update;
}

static void on_contact(void *ctx)
{
    (void)ctx;
}

static void register_service(const char *name)
{
    struct definitions *defs;
    struct err err = {""};
    char text[128];

    (void)snprintf(text, sizeof(text), "{\"name\": \"%s\", \"port\": 80}",
                   name);
    ck_assert_msg(definitions_parse(DEFINITION_SERVICE, "-", slice_str(text),
                                    &defs, &err) == ST_OK,
                  "%s", err.text);
    ck_assert_int_eq(local_register_service(
                         w.local, defs, LOCAL_KEEP_CHECKS,
                         (struct local_time){loop_now_ms(w.loop), 1}, &err),
                     ST_OK);
    definitions_unref(defs);
    if (w.link) {
        link_poke(w.link);
    }
}

#define LEASE_TTL_S 5

static void link_begin(const char *const *urls, size_t count, uint64_t seed,
                       uint32_t lease_ttl_s)
{
    struct link_config config = {.urls = urls,
                                 .urls_count = count,
                                 .datacenter = "dc1",
                                 .node = "a",
                                 .node_id = "a",
                                 .incarnation = "a",
                                 .lease_ttl_s = lease_ttl_s,
                                 .restart_grace_s = 60,
                                 .seed = seed};
    struct link_hooks hooks = {.on_update = on_update,
                               .on_contact = on_contact};
    struct err err = {""};

    ck_assert_msg(link_start(w.loop, &config, w.local, catalog_new("dc1"), 0, 0,
                             hooks, &w.link, &err) == ST_OK,
                  "%s", err.text);
}

static void world_init(void)
{
    struct local_host host = {
        .datacenter = "dc1",
        .node = {.name = "a",
                 .id = "a",
                 .address = "127.0.0.1",
                 .owner = {.node = "a", .incarnation = "a"}}};

    log_set_level(LOG_ERROR);
    w = (struct world){.loop = loop_new()};
    ck_assert_int_eq(uv_timer_init(loop_uv(w.loop), &w.tick), 0);
    fake_cluster_start(&w.cluster, w.loop);
    w.local = local_new(&host, (struct hash_key){1, 2});
    local_restored(w.local, (struct local_time){1, 1});
}

static void on_stopped(void *arg)
{
    (void)arg;
    loop_stop(w.loop);
}

static void world_release(void)
{
    link_stop(w.link, LINK_STOP_LEAVE, on_stopped, NULL);
    loop_run(w.loop);
    fake_cluster_stop(&w.cluster, on_stopped, NULL);
    loop_run(w.loop);
    fake_cluster_release(&w.cluster);
    local_free(w.local);
    uv_close((uv_handle_t *)&w.tick, NULL);
    loop_free(w.loop);
}

/* ---- what is waited for ---- */

static bool sees(const char *service)
{
    return catalog_service(link_catalog(w.link), service) != NULL;
}

static bool settled(void)
{
    struct link_stats s = link_stats(w.link);

    return link_current(w.link) && s.attached && s.sync.in_sync && sees("web");
}

static bool settled_elsewhere(void)
{
    return settled() && fake_cluster_used(&w.cluster) != w.first;
}

static bool settled_there(void)
{
    return settled() && fake_cluster_used(&w.cluster) == w.first;
}

static bool sees_mail(void)
{
    return sees("mail") && settled();
}

/* Follows the cluster, by whichever member; `first` is the one. */
static void begin_with(uint64_t seed, uint32_t lease_ttl_s)
{
    const char *urls[FAKE_MEMBERS];

    world_init();
    for (size_t i = 0; i < FAKE_MEMBERS; i++) {
        urls[i] = w.cluster.members[i].url;
    }
    register_service("web");
    link_begin(urls, FAKE_MEMBERS, seed, lease_ttl_s);
    await("the beginning", settled);
    w.first = fake_cluster_used(&w.cluster);
}

static void begin(uint64_t seed)
{
    begin_with(seed, LEASE_TTL_S);
}

/* What must hold after every change of members. */
static void end_as_begun(void)
{
    struct link_stats s = link_stats(w.link);

    ck_assert_int_eq(s.lease_id, 1);
    ck_assert_uint_eq(s.lease_grants, 1);
    ck_assert_uint_eq(s.lease_losses, 0);
    ck_assert_uint_eq(s.lists, 1);
    register_service("mail");
    await("a registration after it", sees_mail);
    ck_assert_uint_eq(link_stats(w.link).lists, 1);
    world_release();
}

/* ---- members that are of no use ---- */

/* By the renewals that it does not answer; or by its pulse, long before one of
 * them is due. */
static const uint32_t ttls[] = {LEASE_TTL_S, 600};

START_TEST(a_silent_member_is_left)
{
    begin_with(1, ttls[_i]);
    w.first->silent = true;
    await("another member", settled_elsewhere);
    end_as_begun();
}
END_TEST

START_TEST(a_member_without_a_leader_is_left)
{
    begin(2);
    w.first->lonely = UINT_MAX; /* And is quiet about it otherwise. */
    await("another member", settled_elsewhere);
    end_as_begun();
}
END_TEST

static bool asked_again(void)
{
    return w.first->statuses > w.asked;
}

START_TEST(an_election_is_no_reason_to_leave)
{
    begin(3);
    w.first->lonely = 1;
    w.asked = w.first->statuses;
    await("the pulse", asked_again);
    w.cluster.term++;
    w.asked = w.first->statuses;
    await("the next pulse", asked_again);
    ck_assert_uint_eq(link_stats(w.link).failures, 0);
    ck_assert_ptr_eq(fake_cluster_used(&w.cluster), w.first);
    end_as_begun();
}
END_TEST

START_TEST(who_keeps_renewals_is_left)
{
    begin(4);
    w.first->keeps_renewals = true;
    await("another member", settled_elsewhere);
    end_as_begun();
}
END_TEST

START_TEST(the_one_that_works_is_found)
{
    for (size_t works = 0; works < FAKE_MEMBERS; works++) {
        begin(works);
        for (size_t i = 0; i < FAKE_MEMBERS; i++) {
            w.cluster.members[i].leaderless = i != works;
        }
        w.first = &w.cluster.members[works];
        await("the one that works", settled_there);
        end_as_begun();
    }
}
END_TEST

static bool all_were_tried(void)
{
    return w.cluster.members[0].connects > 1 &&
           w.cluster.members[1].connects > 1 &&
           w.cluster.members[2].connects > 1;
}

START_TEST(an_outage_of_all_is_outlived)
{
    begin(5);
    for (size_t i = 0; i < FAKE_MEMBERS; i++) {
        w.cluster.members[i].leaderless = true;
    }
    await("all to be tried twice", all_were_tried);
    ck_assert(sees("web"));
    ck_assert(!link_current(w.link));
    for (size_t i = 0; i < FAKE_MEMBERS; i++) {
        w.cluster.members[i].leaderless = false;
    }
    await("the return", settled);
    end_as_begun();
}
END_TEST

/* ---- answers that do not come ---- */

static bool write_is_kept(void)
{
    return w.first->txns > w.asked;
}

START_TEST(what_an_old_leader_has_lost_is_written_again)
{
    begin(6);
    w.first->keeps_writes = true;
    w.asked = w.first->txns;
    register_service("mail");
    await("the write", write_is_kept);
    w.first->keeps_writes = false;
    w.cluster.term++; /* Whoever leads now has never heard of it. */
    await("the write anew", sees_mail);
    ck_assert_uint_eq(link_stats(w.link).failures, 0);
    ck_assert_ptr_eq(fake_cluster_used(&w.cluster), w.first);
    end_as_begun();
}
END_TEST

static bool renewal_is_kept(void)
{
    return w.first->renewals > w.asked;
}

START_TEST(what_an_old_leader_was_to_renew_is_renewed_again)
{
    begin(7);
    w.first->keeps_renewals = true;
    w.asked = w.first->renewals;
    await("the renewal", renewal_is_kept);
    w.first->keeps_renewals = false;
    w.asked = w.first->renewals;
    w.cluster.term++;
    await("the renewal anew", renewal_is_kept);
    ck_assert_ptr_eq(fake_cluster_used(&w.cluster), w.first);
    end_as_begun();
}
END_TEST

START_TEST(a_busy_store_is_asked_again)
{
    begin(8);
    w.first->busy = 1;
    register_service("mail");
    await("the second attempt", sees_mail);
    ck_assert_uint_eq(link_stats(w.link).sync.refused, 0);
    end_as_begun();
}
END_TEST

/* ---- members that are behind ---- */

START_TEST(a_member_that_is_behind_is_waited_for)
{
    begin(9);
    for (size_t i = 0; i < FAKE_MEMBERS; i++) {
        w.cluster.members[i].behind = 1;
    }
    w.first->silent = true;
    await("another member", settled_elsewhere);
    end_as_begun(); /* Nothing was read anew. */
}
END_TEST

static bool read_anew(void)
{
    return link_stats(w.link).lists == 2 && settled();
}

START_TEST(a_restored_store_is_read_anew)
{
    int64_t before;

    begin(10);
    before = catalog_revision(link_catalog(w.link));
    fake_cluster_rewind(&w.cluster, 2);
    w.first->silent = true;
    await("the whole catalogue", read_anew);
    ck_assert_int_lt(catalog_revision(link_catalog(w.link)), before);
    world_release();
}
END_TEST

/* ---- names ---- */

START_TEST(a_name_server_that_hangs_holds_nobody_up)
{
    const char *urls[] = {"http://slow.test:1", NULL};
    int pipes[2];

    for (uint64_t seed = 0; seed < 4; seed++) { /* Some begin with the name. */
        ck_assert_int_eq(pipe(pipes), 0);
        fake_names_hold = pipes[0];
        world_init();
        urls[1] = w.cluster.members[0].url;
        register_service("web");
        link_begin(urls, 2, seed, LEASE_TTL_S);
        await("the member that needs no name", settled);
        (void)close(pipes[1]); /* It goes on at last. */
        world_release();
        (void)close(pipes[0]);
    }
    fake_names_hold = -1;
}
END_TEST

START_TEST(behind_one_name_there_are_several_members)
{
    const char *url = "http://many.test:1";

    world_init();
    fake_addresses_count = 0;
    for (size_t i = 0; i < FAKE_MEMBERS; i++) {
        fake_names_have("127.0.0.1", server_port(w.cluster.members[i].server));
    }
    register_service("web");
    link_begin(&url, 1, 11, LEASE_TTL_S);
    await("the first address", settled);
    w.first = fake_cluster_used(&w.cluster);
    ck_assert_ptr_eq(w.first, &w.cluster.members[0]);
    w.first->leaderless = true;
    await("the next address", settled_elsewhere);
    end_as_begun();
}
END_TEST

START_TEST(a_frozen_member_costs_a_second)
{
    const char *urls[2];
    char url[64];
    unsigned port;
    int fd = fake_frozen_open(&port);

    (void)snprintf(url, sizeof(url), "127.0.0.1:%u", port);
    for (uint64_t seed = 0; seed < 4; seed++) {
        world_init();
        urls[0] = url;
        urls[1] = w.cluster.members[0].url;
        register_service("web");
        link_begin(urls, 2, seed, LEASE_TTL_S);
        await("the one that lives", settled);
        end_as_begun();
    }
    (void)close(fd);
}
END_TEST

UNIT_MAIN("link_cluster", {
    tcase_add_loop_test(tc, a_silent_member_is_left, 0, COUNT_OF(ttls));
    tcase_add_test(tc, a_member_without_a_leader_is_left);
    tcase_add_test(tc, an_election_is_no_reason_to_leave);
    tcase_add_test(tc, who_keeps_renewals_is_left);
    tcase_add_test(tc, the_one_that_works_is_found);
    tcase_add_test(tc, an_outage_of_all_is_outlived);
    tcase_add_test(tc, what_an_old_leader_has_lost_is_written_again);
    tcase_add_test(tc, what_an_old_leader_was_to_renew_is_renewed_again);
    tcase_add_test(tc, a_busy_store_is_asked_again);
    tcase_add_test(tc, a_member_that_is_behind_is_waited_for);
    tcase_add_test(tc, a_restored_store_is_read_anew);
    tcase_add_test(tc, a_name_server_that_hangs_holds_nobody_up);
    tcase_add_test(tc, behind_one_name_there_are_several_members);
    tcase_add_test(tc, a_frozen_member_costs_a_second);
})
