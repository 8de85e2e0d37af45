#include "agent/core/projection.h"

#include <stdio.h>

#include "fake_store.h"
#include "suite.h"

#define LIVE   "/muster/v1/dc1/live/edge"
#define SKYDNS "/skydns/internal/muster/"

static const struct projection_settings both = {.skydns = "/skydns",
                                                .domain = "muster.internal.",
                                                .ttl_s = 5,
                                                .grpc = "/grpc"};
static const struct projection_settings off = {
    .skydns = "", .domain = "muster.internal", .grpc = ""};

struct world {
    struct fake f;
    struct projections *p;
    int64_t lease;
    uint64_t wake_ms;
};

static void start(struct world *w, const struct projection_settings *settings)
{
    fake_start(&w->f);
    w->f.leases = 10;
    w->p = projections_new();
    w->lease = 7;
    projections_set(w->p, settings, w->f.now.now_ms);
}

static void stop(struct world *w)
{
    projections_free(w->p);
    fake_stop(&w->f);
}

static bool next(struct world *w, struct arena *a, struct store_ask *ask)
{
    struct projection_ground ground = {.lease = w->lease,
                                       .live_key = slice_str(LIVE),
                                       .live_create_revision =
                                           fake_get(&w->f, LIVE)->create};

    return projections_next(w->p, w->f.local, &ground, w->f.now.now_ms, a, ask,
                            &w->wake_ms);
}

/* Let it write until it waits; returns how many transactions that took. */
static unsigned settle(struct world *w)
{
    unsigned count = 0;

    for (;; count++) {
        struct arena a = {0};
        struct store_ask ask;
        struct store_answer answer = {0};
        bool more = next(w, &a, &ask);

        if (more) {
            ck_assert_uint_le(ask.guards_count, LIMIT_TXN_OPS);
            fake_store(&w->f, &ask, &answer);
            projections_done(w->p, &answer, w->f.now.now_ms);
            store_answer_release(&answer);
        }
        arena_release(&a);
        if (!more) {
            return count;
        }
    }
}

/* The transaction gets no answer, or another one than that it is done. */
static void fails(struct world *w, enum store_result result)
{
    struct store_answer answer = {.result = result};
    struct arena a = {0};
    struct store_ask ask;

    ck_assert(next(w, &a, &ask));
    projections_done(w->p, &answer, w->f.now.now_ms);
    arena_release(&a);
}

static void put(struct world *w, const char *line, const char *body)
{
    (void)fake_reply(&w->f, line, body, 200);
}

static void registers(struct world *w, const char *json)
{
    put(w, "PUT /v1/agent/service/register", json);
}

static const char *value(struct world *w, const char *key)
{
    const struct fake_row *row = fake_get(&w->f, key);

    return row == NULL ? "" : row->value;
}

/* What each service becomes. */
static const struct {
    const char *json;
    const char *key;
    const char *value;
} forms[] = {
    {"{\"Name\":\"web\",\"Port\":80}", SKYDNS "web/edge/web",
     "{\"host\":\"10.0.0.7\",\"port\":80,\"priority\":1,\"weight\":1,"
     "\"ttl\":5}"},
    {"{\"Name\":\"web\",\"Port\":80,\"Tags\":[\"v1\"]}",
     "/grpc/web/10.0.0.7:80",
     "{\"Op\":0,\"Addr\":\"10.0.0.7:80\",\"Metadata\":{\"node\":\"edge\","
     "\"id\":\"web\",\"weight\":1,\"tags\":[\"v1\"]}}"},
    /* Names in lower case; ids as they are, but harmless. */
    {"{\"Name\":\"Web\",\"ID\":\"W/1.a:b\",\"Port\":80}",
     SKYDNS "web/edge/%57%2f1%2ea%3ab",
     "{\"host\":\"10.0.0.7\",\"port\":80,\"priority\":1,\"weight\":1,"
     "\"ttl\":5}"},
    {"{\"Name\":\"a/b\",\"Address\":\"fd00::7\",\"Port\":80}",
     "/grpc/a%2fb/[fd00::7]:80",
     "{\"Op\":0,\"Addr\":\"[fd00::7]:80\",\"Metadata\":{\"node\":\"edge\","
     "\"id\":\"a/b\",\"weight\":1,\"tags\":[]}}"},
    {"{\"Name\":\"db\",\"Address\":\"db.example.com\",\"Meta\":{"
     "\"dns_priority\":\"7\",\"txt-a\":\"x=1\",\"txt-b\":\"y\",\"z\":\"q\"},"
     "\"Weights\":{\"Passing\":20,\"Warning\":3}}",
     SKYDNS "db/edge/db",
     "{\"host\":\"db.example.com\",\"priority\":7,\"weight\":20,\"ttl\":5,"
     "\"text\":\"x=1 y\"}"},
    {"{\"Name\":\"db\",\"Port\":1,\"Weights\":{\"Passing\":20,\"Warning\":3},"
     "\"Check\":{\"TTL\":\"1h\",\"Status\":\"warning\"}}",
     SKYDNS "db/edge/db",
     "{\"host\":\"10.0.0.7\",\"port\":1,\"priority\":1,\"weight\":3,"
     "\"ttl\":5}"},
    /* No port, no endpoint; in no health, nothing. */
    {"{\"Name\":\"db\"}", "/grpc/db/10.0.0.7:0", ""},
    {"{\"Name\":\"db\",\"Port\":1,\"Check\":{\"TTL\":\"1h\"}}",
     SKYDNS "db/edge/db", ""},
    {"{\"Name\":\"db\",\"Port\":1,\"Check\":{\"TTL\":\"1h\"}}",
     "/grpc/db/10.0.0.7:1", ""},
};

START_TEST(forms_by_row)
{
    struct world w;

    start(&w, &both);
    registers(&w, forms[_i].json);
    (void)settle(&w);
    ck_assert_str_eq(value(&w, forms[_i].key), forms[_i].value);
    stop(&w);
}
END_TEST

START_TEST(keys_follow_health)
{
    struct world w;

    start(&w, &both);
    registers(&w, "{\"Name\":\"web\",\"Port\":80,\"Check\":{\"TTL\":\"1h\","
                  "\"Status\":\"passing\"}}");
    ck_assert_uint_eq(settle(&w), 1);
    ck_assert_int_eq(fake_get(&w.f, SKYDNS "web/edge/web")->lease, 7);
    ck_assert_uint_eq(projections_count(w.p), 2);
    ck_assert_uint_eq(settle(&w), 0);
    /* It sleeps until it looks whether all is still there. */
    ck_assert_uint_eq(w.wake_ms, w.f.now.now_ms + 60000);
    put(&w, "PUT /v1/agent/check/fail/service:web", "");
    ck_assert_uint_eq(settle(&w), 1);
    ck_assert_ptr_null(fake_get(&w.f, SKYDNS "web/edge/web"));
    ck_assert_ptr_null(fake_get(&w.f, "/grpc/web/10.0.0.7:80"));
    put(&w, "PUT /v1/agent/check/pass/service:web", "");
    (void)settle(&w);
    ck_assert_ptr_nonnull(fake_get(&w.f, SKYDNS "web/edge/web"));
    put(&w, "PUT /v1/agent/maintenance?enable=true", "");
    (void)settle(&w);
    ck_assert_uint_eq(projections_count(w.p), 0);
    ck_assert_ptr_null(fake_get(&w.f, SKYDNS "web/edge/web"));
    stop(&w);
}
END_TEST

/* Going up and down without end is slowed down; going down is not. */
START_TEST(flapping_is_slowed_down)
{
    struct world w;
    unsigned puts = 0;

    start(&w, &both);
    registers(&w, "{\"Name\":\"web\",\"Check\":{\"TTL\":\"1h\"}}");
    for (int i = 0; i < 40; i++) {
        put(&w, "PUT /v1/agent/check/pass/service:web", "");
        puts += settle(&w);
        put(&w, "PUT /v1/agent/check/fail/service:web", "");
        (void)settle(&w);
        ck_assert_ptr_null(fake_get(&w.f, SKYDNS "web/edge/web"));
    }
    ck_assert_uint_eq(puts, 20);
    put(&w, "PUT /v1/agent/check/pass/service:web", "");
    ck_assert_uint_eq(settle(&w), 0);
    ck_assert_uint_eq(w.wake_ms, w.f.now.now_ms + 1000);
    w.f.now.now_ms = w.wake_ms;
    ck_assert_uint_eq(settle(&w), 1);
    ck_assert_ptr_nonnull(fake_get(&w.f, SKYDNS "web/edge/web"));
    stop(&w);
}
END_TEST

START_TEST(settings_change_and_many_go_in_batches)
{
    struct world w;

    start(&w, &both);
    for (int i = 0; i < 100; i++) {
        char json[64];

        (void)snprintf(json, sizeof(json), "{\"Name\":\"s%d\",\"Port\":%d}", i,
                       1000 + i);
        registers(&w, json);
    }
    ck_assert_uint_eq(settle(&w), 2); /* 200 keys. */
    ck_assert_uint_eq(projections_count(w.p), 200);
    projections_set(w.p, &off, w.f.now.now_ms);
    ck_assert_uint_eq(settle(&w), 2);
    ck_assert_uint_eq(projections_count(w.p), 0);
    ck_assert_ptr_null(fake_get(&w.f, SKYDNS "s99/edge/s99"));
    stop(&w);
}
END_TEST

/* Two instances behind one address are one endpoint, always the same. */
START_TEST(one_key_for_one_address)
{
    struct world w;

    start(&w, &both);
    registers(&w, "{\"Name\":\"web\",\"ID\":\"b\",\"Port\":80}");
    registers(&w, "{\"Name\":\"web\",\"ID\":\"a\",\"Port\":80}");
    (void)settle(&w);
    ck_assert_ptr_nonnull(
        strstr(value(&w, "/grpc/web/10.0.0.7:80"), "\"id\":\"a\""));
    ck_assert_uint_eq(settle(&w), 0);
    put(&w, "PUT /v1/agent/service/deregister/a", "");
    (void)settle(&w);
    ck_assert_ptr_nonnull(
        strstr(value(&w, "/grpc/web/10.0.0.7:80"), "\"id\":\"b\""));
    stop(&w);
}
END_TEST

START_TEST(what_others_have_written_is_not_deleted)
{
    struct world w;

    start(&w, &both);
    registers(&w, "{\"Name\":\"web\",\"Port\":80}");
    registers(&w, "{\"Name\":\"db\",\"Port\":81}");
    (void)settle(&w);
    fake_put(&w.f, "/grpc/web/10.0.0.7:80", "theirs");
    fake_put(&w.f, "/grpc/db/10.0.0.7:81", NULL);
    put(&w, "PUT /v1/agent/service/deregister/web", "");
    put(&w, "PUT /v1/agent/service/deregister/db", "");
    ck_assert_uint_eq(settle(&w), 1); /* Refused by its guards. */
    w.f.now.now_ms = w.wake_ms;
    ck_assert_uint_eq(settle(&w), 1);
    ck_assert_ptr_null(fake_get(&w.f, SKYDNS "web/edge/web"));
    ck_assert_ptr_null(fake_get(&w.f, SKYDNS "db/edge/db"));
    ck_assert_str_eq(value(&w, "/grpc/web/10.0.0.7:80"), "theirs");
    ck_assert_uint_eq(projections_count(w.p), 0);
    stop(&w);
}
END_TEST

/* With the lease all keys are gone, and with another store. */
START_TEST(a_new_lease_or_store_gets_all_again)
{
    struct world w;

    start(&w, &both);
    registers(&w, "{\"Name\":\"web\",\"Port\":80}");
    (void)settle(&w);
    fake_lease_end(&w.f, 7);
    w.lease = 8;
    ck_assert_uint_eq(settle(&w), 1);
    ck_assert_int_eq(fake_get(&w.f, SKYDNS "web/edge/web")->lease, 8);
    fake_put(&w.f, SKYDNS "web/edge/web", NULL);
    ck_assert_uint_eq(settle(&w), 0);
    projections_forget(w.p);
    ck_assert_uint_eq(settle(&w), 1);
    ck_assert_ptr_nonnull(fake_get(&w.f, SKYDNS "web/edge/web"));
    /* The live key is another one: guarded, until we know of it. */
    fake_put(&w.f, LIVE, NULL);
    fake_put(&w.f, LIVE, "{}");
    ck_assert_uint_eq(settle(&w), 1);
    stop(&w);
}
END_TEST

/* What somebody has deleted, or changed, is back within a minute. */
START_TEST(what_is_gone_is_written_again)
{
    struct world w;

    start(&w, &both);
    registers(&w, "{\"Name\":\"web\",\"Port\":80}");
    registers(&w, "{\"Name\":\"db\",\"Port\":81}");
    (void)settle(&w);
    w.f.now.now_ms = w.wake_ms;
    ck_assert_uint_eq(settle(&w), 1); /* It looks; all is there. */
    fake_put(&w.f, SKYDNS "web/edge/web", NULL);
    fake_put(&w.f, "/grpc/db/10.0.0.7:81", "x");
    w.f.now.now_ms = w.wake_ms - 1;
    ck_assert_uint_eq(settle(&w), 0);
    w.f.now.now_ms = w.wake_ms;
    ck_assert_uint_eq(settle(&w), 2); /* It looks, and writes. */
    ck_assert_int_eq(fake_get(&w.f, SKYDNS "web/edge/web")->lease, 7);
    ck_assert_str_ne(value(&w, "/grpc/db/10.0.0.7:81"), "x");
    ck_assert_uint_eq(projections_count(w.p), 4);
    /* More than one transaction can read. */
    for (unsigned i = 0; i < 100; i++) {
        char json[64];

        (void)snprintf(json, sizeof(json), "{\"Name\":\"m%u\",\"Port\":%u}", i,
                       1000 + i);
        registers(&w, json);
    }
    (void)settle(&w);
    fake_put(&w.f, SKYDNS "m99/edge/m99", NULL);
    w.f.now.now_ms = w.wake_ms;
    ck_assert_uint_ge(settle(&w), 3);
    ck_assert_ptr_nonnull(fake_get(&w.f, SKYDNS "m99/edge/m99"));
    ck_assert_int_eq(fake_get(&w.f, SKYDNS "m99/edge/m99")->lease, 7);
    stop(&w);
}
END_TEST

/* An answer that comes after that is not about what is there now. */
START_TEST(late_answers_are_of_no_use)
{
    struct world w;
    struct store_answer answer = {0};
    struct arena a = {0};
    struct store_ask ask;

    start(&w, &both);
    registers(&w, "{\"Name\":\"web\",\"Port\":80}");
    ck_assert(next(&w, &a, &ask));
    fake_store(&w.f, &ask, &answer);
    projections_forget(w.p);
    projections_done(w.p, &answer, w.f.now.now_ms);
    store_answer_release(&answer);
    arena_release(&a);
    ck_assert_uint_eq(projections_count(w.p), 0);
    ck_assert_uint_eq(settle(&w), 1);
    ck_assert_uint_eq(projections_count(w.p), 2);
    stop(&w);
}
END_TEST

static const struct {
    enum store_result result;
    uint64_t pauses_ms[3];
} failures[] = {
    {STORE_FAILED, {1000, 2000, 4000}},
    {STORE_REFUSED, {60000, 60000, 60000}},
};

START_TEST(failures_by_row)
{
    struct world w;

    start(&w, &both);
    registers(&w, "{\"Name\":\"web\",\"Port\":80}");
    for (int i = 0; i < 3; i++) {
        fails(&w, failures[_i].result);
        ck_assert_uint_eq(settle(&w), 0);
        ck_assert_uint_eq(w.wake_ms,
                          w.f.now.now_ms + failures[_i].pauses_ms[i]);
        w.f.now.now_ms = w.wake_ms;
    }
    ck_assert_uint_eq(settle(&w), 1);
    stop(&w);
}
END_TEST

START_TEST(a_stop_leaves_all_under_the_lease_of_the_restart)
{
    struct world w;
    struct arena a = {0};
    struct sync_txn txn;

    start(&w, &both);
    registers(&w, "{\"Name\":\"web\",\"Port\":80}");
    (void)settle(&w);
    registers(&w, "{\"Name\":\"late\",\"Port\":81}"); /* Not written yet. */
    ck_assert(projections_farewell(w.p, w.f.local, 9, &a, &txn));
    ck_assert_uint_eq(txn.ops_count, 2);
    for (size_t i = 0; i < txn.ops_count; i++) {
        ck_assert_int_eq(txn.ops[i].lease, 9);
        ck_assert_int_eq(txn.ops[i].kind, SYNC_PUT);
    }
    ck_assert(!projections_farewell(w.p, w.f.local, 9, &a, &txn));
    arena_release(&a);
    stop(&w);
}
END_TEST

UNIT_MAIN("projection", {
    tcase_add_loop_test(tc, forms_by_row, 0, COUNT_OF(forms));
    tcase_add_test(tc, keys_follow_health);
    tcase_add_test(tc, flapping_is_slowed_down);
    tcase_add_test(tc, settings_change_and_many_go_in_batches);
    tcase_add_test(tc, one_key_for_one_address);
    tcase_add_test(tc, what_others_have_written_is_not_deleted);
    tcase_add_test(tc, a_new_lease_or_store_gets_all_again);
    tcase_add_test(tc, what_is_gone_is_written_again);
    tcase_add_test(tc, late_answers_are_of_no_use);
    tcase_add_loop_test(tc, failures_by_row, 0, COUNT_OF(failures));
    tcase_add_test(tc, a_stop_leaves_all_under_the_lease_of_the_restart);
})
