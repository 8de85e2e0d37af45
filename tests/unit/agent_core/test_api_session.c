#include "agent/core/session_end.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "fake_store.h"
#include "suite.h"

/* "$" in a line stands for an id. */
static const char *reply_of(struct fake *f, const char *line, const char *id,
                            const char *body, int status)
{
    char full[256];
    const char *at = strchr(line, '$');

    if (at != NULL) {
        (void)snprintf(full, sizeof(full), "%.*s%s%s", (int)(at - line), line,
                       id, at + 1);
        line = full;
    }
    return fake_reply(f, line, body, status);
}

static void expect(struct fake *f, const char *line, const char *id,
                   const char *body, const char *reply)
{
    const char *got = reply_of(f, line, id, body, 200);

    ck_assert_msg(strcmp(got, reply) == 0, "%s: %s was expected, not %s", line,
                  reply, got);
}

static void create(struct fake *f, const char *body, char out[40])
{
    const char *reply = fake_reply(f, "PUT /v1/session/create", body, 200);

    ck_assert_int_eq(strncmp(reply, "{\"ID\":\"", 7), 0);
    (void)snprintf(out, 40, "%.36s", reply + 7);
}

/* A node with two checks of its own and a service with one. */
static void stage(struct fake *f)
{
    fake_start(f);
    (void)fake_reply(f, "PUT /v1/agent/service/register",
                     "{\"Name\":\"web\",\"Check\":{\"TTL\":\"1m\",\"Status\":"
                     "\"passing\"}}",
                     200);
    (void)fake_reply(
        f, "PUT /v1/agent/check/register",
        "{\"Name\":\"disk\",\"TTL\":\"1m\",\"Status\":\"passing\"}", 200);
    (void)fake_reply(
        f, "PUT /v1/agent/check/register",
        "{\"Name\":\"bad\",\"TTL\":\"1m\",\"Status\":\"critical\"}", 200);
    (void)fake_settle(f);
}

static const struct {
    const char *body;
    const char *refusal; /* NULL: it is made. */
} wishes[] = {
    {"", NULL},
    {"{}", NULL},
    {"{\"Name\":\"n\",\"TTL\":\"10s\",\"Behavior\":\"delete\"}", NULL},
    {"{\"ttl\":\"24h\",\"lockdelay\":\"0s\"}", NULL},
    {"{\"TTL\":\"9s\"}",
     "Invalid Session TTL '9s', must be between [10s=24h0m0s]"},
    {"{\"TTL\":\"24h1s\"}",
     "Invalid Session TTL '24h1s', must be between [10s=24h0m0s]"},
    {"{\"TTL\":\"x\"}", "Request TTL decode failed: 'x'"},
    {"{\"Behavior\":\"keep\"}", "Invalid Behavior setting 'keep'"},
    {"{\"Node\":\"nowhere\"}", "Missing node registration: \"nowhere\""},
    {"{\"Checks\":[\"serfHealth\",\"disk\"]}", NULL},
    {"{\"NodeChecks\":[],\"TTL\":\"15s\"}", NULL},
    {"{\"Checks\":[\"service:web\"]}", NULL},
    {"{\"ServiceChecks\":[{\"ID\":\"service:web\"}]}", NULL},
    {"{\"Checks\":[\"none\"]}", "Missing check 'none' registration"},
    {"{\"Checks\":[\"bad\"]}", "Check 'bad' is in critical state"},
};

START_TEST(wishes_by_row)
{
    struct fake f;

    stage(&f);
    if (wishes[_i].refusal == NULL) {
        char id[40];

        create(&f, wishes[_i].body, id);
    } else {
        ck_assert_str_eq(
            fake_reply(&f, "PUT /v1/session/create", wishes[_i].body, 400),
            wishes[_i].refusal);
    }
    fake_stop(&f);
}
END_TEST

START_TEST(a_session_is_shown)
{
    struct fake f;
    char id[40];
    char json[600];

    fake_start(&f);
    create(&f,
           "{\"Name\":\"n\",\"TTL\":\"90s\",\"LockDelay\":\"5s\",\"Behavior\":"
           "\"delete\"}",
           id);
    (void)snprintf(json, sizeof(json),
                   "[{\"ID\":\"%s\",\"Name\":\"n\",\"Node\":\"edge\","
                   "\"Checks\":[\"serfHealth\"],\"NodeChecks\":[\"serfHealth\"]"
                   ",\"ServiceChecks\":[],\"LockDelay\":5000000000,"
                   "\"Behavior\":\"delete\",\"TTL\":\"1m30s\",\"CreateIndex\":3"
                   ",\"ModifyIndex\":3}]",
                   id);
    expect(&f, "GET /v1/session/info/$", id, "", json);
    expect(&f, "GET /v1/session/list", id, "", json);
    expect(&f, "GET /v1/session/node/EDGE", id, "", json);
    expect(&f, "GET /v1/session/node/other", id, "", "[]");
    expect(&f, "PUT /v1/session/renew/$", id, "", json);
    expect(&f, "PUT /v1/session/destroy/$", id, "", "true");
    expect(&f, "PUT /v1/session/destroy/$", id, "", "true");
    expect(&f, "GET /v1/session/info/$", id, "", "[]");
    (void)reply_of(&f, "PUT /v1/session/renew/$", id, "", 404);
    /* Nothing is left of it. */
    ck_assert_ptr_null(fake_get(&f, "/muster/v1/dc1/sess/"));
    fake_stop(&f);
}
END_TEST

/* ---- Locks -------------------------------------------------------- */

START_TEST(one_holds_a_lock)
{
    struct fake f;
    char a[40];
    char b[40];

    fake_start(&f);
    create(&f, "{\"LockDelay\":\"0s\"}", a);
    create(&f, "{\"LockDelay\":\"0s\"}", b);
    expect(&f, "PUT /v1/kv/l?acquire=$", a, "of a", "true");
    expect(&f, "PUT /v1/kv/l?acquire=$", b, "of b", "false");
    expect(&f, "PUT /v1/kv/l?acquire=$", a, "again", "true");
    expect(&f, "PUT /v1/kv/l?release=$", b, "", "false");
    ck_assert_ptr_nonnull(
        strstr(fake_reply(&f, "GET /v1/kv/l", "", 200), "\"LockIndex\":1,"));
    /* Others may write it; it stays locked. */
    expect(&f, "PUT /v1/kv/l", a, "by hand", "true");
    expect(&f, "PUT /v1/kv/l?acquire=$", b, "of b", "false");
    expect(&f, "PUT /v1/kv/l?release=$", a, "free", "true");
    expect(&f, "GET /v1/kv/l?raw", a, "", "free");
    expect(&f, "PUT /v1/kv/l?acquire=$", b, "of b", "true");
    ck_assert_ptr_nonnull(
        strstr(fake_reply(&f, "GET /v1/kv/l", "", 200), "\"LockIndex\":2,"));
    expect(&f, "PUT /v1/session/destroy/$", b, "", "true");
    expect(&f, "PUT /v1/kv/l?acquire=$", a, "of a", "true");
    ck_assert_ptr_nonnull(
        strstr(fake_reply(&f, "GET /v1/kv/l", "", 200), "\"LockIndex\":3,"));
    fake_stop(&f);
}
END_TEST

START_TEST(a_lock_delay_keeps_others_off)
{
    struct fake f;
    char a[40];
    char b[40];

    fake_start(&f);
    create(&f, "{}", a);
    create(&f, "{}", b);
    expect(&f, "PUT /v1/kv/l?acquire=$", a, "x", "true");
    expect(&f, "PUT /v1/session/destroy/$", a, "", "true");
    ck_assert_int_eq(f.leases, 1);
    ck_assert_ptr_null(strstr(fake_reply(&f, "GET /v1/kv/l", "", 200), a));
    expect(&f, "PUT /v1/kv/l?acquire=$", b, "x", "false");
    expect(&f, "PUT /v1/kv/l", b, "but written", "true");
    fake_lease_end(&f, f.leases);
    expect(&f, "PUT /v1/kv/l?acquire=$", b, "x", "true");
    fake_stop(&f);
}
END_TEST

START_TEST(delete_deletes_what_it_holds)
{
    struct fake f;
    char a[40];
    char b[40];

    fake_start(&f);
    create(&f, "{\"Behavior\":\"delete\"}", a);
    create(&f, "{}", b);
    expect(&f, "PUT /v1/kv/l?acquire=$", a, "x", "true");
    expect(&f, "PUT /v1/kv/free?acquire=$", a, "x", "true");
    expect(&f, "PUT /v1/kv/free?release=$", a, "x", "true");
    expect(&f, "PUT /v1/session/destroy/$", a, "", "true");
    (void)fake_reply(&f, "GET /v1/kv/l", "", 404);
    expect(&f, "GET /v1/kv/free?raw", a, "", "x");
    expect(&f, "PUT /v1/kv/l?acquire=$", b, "x", "false");
    fake_lease_end(&f, f.leases);
    expect(&f, "PUT /v1/kv/l?acquire=$", b, "x", "true");
    fake_stop(&f);
}
END_TEST

/* ---- Ends --------------------------------------------------------- */

/* What the janitor does, until it dies after `most` asks; how many it took, or
 * 0: it lives. */
static unsigned end_steps(struct fake *f, const char *id, unsigned most)
{
    struct session_end e = {.id = id, .why = SESSION_END_IF_OVER};
    struct store_answer seen = {0};
    struct store_answer done = {0};
    struct api_flow flow = {0};
    unsigned asks = 0;

    for (;;) {
        struct arena a = {0};
        struct store_ask ask = {0};
        struct store_answer answer;
        struct api_outcome o = {0};
        enum session_end_next next = session_end_step(
            &e, &a, "dc1", f->catalog, flow.seen, flow.done, &ask);

        if (next != SESSION_END_ASK || asks == most) {
            arena_release(&a);
            store_answer_release(&seen);
            store_answer_release(&done);
            return next == SESSION_END_LIVES ? 0 : asks;
        }
        asks++;
        fake_store(f, &ask, &answer);
        ck_assert(api_store_answered(&flow, &answer, &seen, &done, &o));
        arena_release(&a);
    }
}

static unsigned end_if_over(struct fake *f, const char *id)
{
    return end_steps(f, id, UINT_MAX);
}

static void lose_node(struct fake *f)
{
    fake_put(f, "/muster/v1/dc1/live/edge", NULL);
}

static void node_is_back(struct fake *f)
{
    lose_node(f);
    fake_put(f, "/muster/v1/dc1/live/edge",
             "{\"node_id\":\"7a1f\",\"incarnation\":\"inc-1\"}");
}

static void ttl_passes(struct fake *f)
{
    fake_lease_end(f, 1);
}

static void check_fails(struct fake *f)
{
    (void)fake_reply(f, "PUT /v1/agent/check/fail/disk", "", 200);
    (void)fake_settle(f);
}

static void service_fails(struct fake *f)
{
    (void)fake_reply(f, "PUT /v1/agent/check/fail/service:web", "", 200);
    (void)fake_settle(f);
}

static void nothing_happens(struct fake *f)
{
    (void)f;
}

static const struct {
    const char *body;
    void (*happens)(struct fake *f);
    bool ends;
} ends[] = {
    {"{}", nothing_happens, false},
    {"{}", lose_node, true},
    {"{}", node_is_back, true},
    {"{\"Checks\":[]}", lose_node, false},
    {"{\"TTL\":\"10s\"}", ttl_passes, true},
    {"{\"TTL\":\"10s\"}", lose_node, true},
    {"{\"TTL\":\"10s\",\"Checks\":[]}", lose_node, false},
    {"{\"Checks\":[\"disk\"]}", check_fails, true},
    {"{\"Checks\":[\"disk\"]}", service_fails, false},
    {"{\"Checks\":[\"service:web\"]}", service_fails, true},
    {"{}", check_fails, false},
};

/* From the moment on in which it is over it locks nothing, nobody else gets
 * what it holds, and it can be ended. */
START_TEST(ends_by_row)
{
    struct fake f;
    char id[40];
    char other[40];

    stage(&f);
    create(&f, ends[_i].body, id);
    create(&f, "{\"Checks\":[]}", other);
    expect(&f, "PUT /v1/kv/l?acquire=$", id, "x", "true");
    ends[_i].happens(&f);
    if (ends[_i].ends) {
        (void)reply_of(&f, "PUT /v1/kv/m?acquire=$", id, "x", 500);
        (void)reply_of(&f, "PUT /v1/session/renew/$", id, "", 404);
        expect(&f, "PUT /v1/kv/l?acquire=$", other, "x", "false");
        ck_assert_uint_gt(end_if_over(&f, id), 0);
        ck_assert_ptr_null(strstr(fake_reply(&f, "GET /v1/kv/l", "", 200), id));
        expect(&f, "PUT /v1/kv/l?acquire=$", other, "x", "false");
        fake_lease_end(&f, f.leases);
        expect(&f, "PUT /v1/kv/l?acquire=$", other, "x", "true");
    } else {
        ck_assert_uint_eq(end_if_over(&f, id), 0);
        expect(&f, "PUT /v1/kv/m?acquire=$", id, "x", "true");
    }
    fake_stop(&f);
}
END_TEST

static void hold_many(struct fake *f, char id[40])
{
    char line[128];

    fake_start(f);
    create(f, "{\"TTL\":\"10s\"}", id);
    for (int i = 0; i < 70; i++) {
        (void)snprintf(line, sizeof(line), "PUT /v1/kv/l/%02d?acquire=%s", i,
                       id);
        (void)fake_reply(f, line, "x", 200);
    }
}

static bool holds_any(struct fake *f, const char *id)
{
    return strstr(fake_reply(f, "GET /v1/kv/l/?recurse", "", 200), id) != NULL;
}

START_TEST(many_locks_are_let_go_in_batches)
{
    struct fake f;
    char id[40];

    hold_many(&f, id);
    ttl_passes(&f);
    /* Each batch: read twice, a lease, a write. */
    ck_assert_uint_ge(end_if_over(&f, id), 9);
    ck_assert(!holds_any(&f, id));
    fake_stop(&f);
}
END_TEST

/* The janitor dies after any of its asks: until another one has gone on, what
 * is let go already is kept by the lock-delay, and the session locks nothing.
 */
START_TEST(another_janitor_goes_on)
{
    struct fake f;
    char id[40];
    char other[40];

    hold_many(&f, id);
    create(&f, "{\"Checks\":[]}", other);
    ttl_passes(&f);
    (void)end_steps(&f, id, (unsigned)_i);
    (void)reply_of(&f, "PUT /v1/kv/m?acquire=$", id, "x", 500);
    expect(&f, "PUT /v1/kv/l/00?acquire=$", other, "x", "false");
    expect(&f, "PUT /v1/kv/l/69?acquire=$", other, "x", "false");
    (void)end_if_over(&f, id);
    ck_assert(!holds_any(&f, id));
    ck_assert_ptr_null(
        strstr(fake_reply(&f, "GET /v1/session/list", "", 200), id));
    while (f.leases_gone_count < (size_t)f.leases) {
        fake_lease_end(&f, (int64_t)f.leases_gone_count + 1);
    }
    expect(&f, "PUT /v1/kv/l/69?acquire=$", other, "x", "true");
    fake_stop(&f);
}
END_TEST

/* Somebody locks with the session while it is being ended. */
static void lock_in_between(struct fake *f, const struct store_ask *ask)
{
    if (ask->changes_count > 0 && f->txns++ == 0) {
        const struct fake_row *r = fake_get(f, "/muster/v1/dc1/pairs/l");
        char *session = strdup(strrchr(r->value, ' ') + 1);
        char line[256];

        *strchr(session, '\n') = '\0';
        (void)snprintf(line, sizeof(line), "1 0 1 %s\nlate", session);
        fake_put(f, "/muster/v1/dc1/pairs/late", line);
        (void)snprintf(line, sizeof(line), "/muster/v1/dc1/held/%s/late",
                       session);
        fake_put(f, line, "");
        free(session);
    }
}

START_TEST(what_is_locked_meanwhile_is_let_go_too)
{
    struct fake f;
    char id[40];

    fake_start(&f);
    create(&f, "{\"TTL\":\"10s\"}", id);
    expect(&f, "PUT /v1/kv/l?acquire=$", id, "x", "true");
    ttl_passes(&f);
    f.txns = 0;
    f.before_ask = lock_in_between;
    ck_assert_uint_gt(end_if_over(&f, id), 0);
    ck_assert_ptr_null(strstr(fake_reply(&f, "GET /v1/kv/late", "", 200), id));
    fake_stop(&f);
}
END_TEST

UNIT_MAIN("api_session", {
    tcase_add_loop_test(tc, wishes_by_row, 0, COUNT_OF(wishes));
    tcase_add_test(tc, a_session_is_shown);
    tcase_add_test(tc, one_holds_a_lock);
    tcase_add_test(tc, a_lock_delay_keeps_others_off);
    tcase_add_test(tc, delete_deletes_what_it_holds);
    tcase_add_loop_test(tc, ends_by_row, 0, COUNT_OF(ends));
    tcase_add_test(tc, many_locks_are_let_go_in_batches);
    tcase_add_loop_test(tc, another_janitor_goes_on, 0, 16);
    tcase_add_test(tc, what_is_locked_meanwhile_is_let_go_too);
})
