#include "agent/core/api.h"

#include <stdio.h>

#include "fake_store.h"
#include "suite.h"

#define REGISTER "PUT /v1/agent/service/register"
#define CHECK    "PUT /v1/agent/check/register"
#define WEB      "{\"Name\":\"web\",\"Port\":80,\"Tags\":[\"v1\"]}"

/* `before` is registered and in the store already. */
static const struct {
    const char *name;
    const char *before;
    const char *line;
    const char *body;
    enum api_outcome_kind kind;
    int status; /* Of a reply. */
} rows[] = {
    {"not asked for", "", REGISTER, WEB, API_REPLY, 200},
    {"a new service", "", REGISTER "?sync=5s", WEB, API_WAIT, 0},
    {"one that the store has", WEB, REGISTER "?sync=5s", WEB, API_REPLY, 200},
    {"one that changes", WEB, REGISTER "?sync=5s",
     "{\"Name\":\"web\",\"Port\":81}", API_WAIT, 0},
    {"no time to wait", "", REGISTER "?sync=0s", WEB, API_REPLY, 202},
    {"a check of the node", "", CHECK "?sync=5s",
     "{\"Name\":\"disk\",\"TTL\":\"1m\"}", API_WAIT, 0},
    {"a check of a service", WEB, CHECK "?sync=5s",
     "{\"Name\":\"beat\",\"TTL\":\"1m\",\"ServiceID\":\"web\"}", API_WAIT, 0},
    {"no duration", "", REGISTER "?sync=soon", WEB, API_REPLY, 400},
    {"without one", "", REGISTER "?sync", WEB, API_REPLY, 400},
    {"too long", "", REGISTER "?sync=11m", WEB, API_REPLY, 400},
    {"what is refused", "", REGISTER "?sync=5s", "{}", API_REPLY, 400},
};

static void start(struct fake *f, const char *before)
{
    fake_start(f);
    (void)fake_settle(f);
    if (*before != '\0') {
        (void)fake_reply(f, REGISTER, before, 200);
        (void)fake_settle(f);
    }
}

/* Waiting ends with 200 when the store has it. */
START_TEST(answered_when_the_store_has_it)
{
    struct api_outcome o;
    struct fake f;

    start(&f, rows[_i].before);
    fake_ask(&f, rows[_i].line, rows[_i].body, &o);
    ck_assert_msg(o.kind == rows[_i].kind, "%s: outcome %d", rows[_i].name,
                  (int)o.kind);
    if (o.kind == API_WAIT) {
        ck_assert(!api_should_wake(&o, f.catalog));
        fake_ask_again(&f, rows[_i].line, &o);
        ck_assert_int_eq(o.kind, API_WAIT);
        (void)fake_settle(&f);
        ck_assert(api_should_wake(&o, f.catalog));
        fake_ask_again(&f, rows[_i].line, &o);
        ck_assert_int_eq(o.kind, API_REPLY);
        ck_assert_int_eq(o.status, 200);
        ck_assert_uint_eq(o.body.len, 0);
    } else {
        ck_assert_msg(o.status == rows[_i].status, "%s: %d", rows[_i].name,
                      o.status);
    }
    api_outcome_release(&o);
    fake_stop(&f);
}
END_TEST

START_TEST(time_ends_the_wait)
{
    struct api_outcome o;
    struct fake f;

    start(&f, "");
    f.arrived_ms = f.now.now_ms;
    fake_ask(&f, REGISTER "?sync=5s", WEB, &o);
    ck_assert_int_eq(o.kind, API_WAIT);
    ck_assert_uint_eq(o.deadline_ms, f.now.now_ms + 5000);
    f.now.now_ms += 5000;
    fake_ask_again(&f, REGISTER "?sync=5s", &o);
    ck_assert_int_eq(o.kind, API_REPLY);
    ck_assert_int_eq(o.status, 202);
    api_outcome_release(&o);
    ck_assert_uint_eq(local_services_count(f.local), 1);
    fake_stop(&f);
}
END_TEST

/* What others have set in the store stands, and is no reason to wait. */
START_TEST(tags_of_others_are_no_difference)
{
    static const char web[] = "{\"Name\":\"web\",\"Tags\":[\"v1\"],"
                              "\"EnableTagOverride\":true}";
    static const char key[] = "/muster/v1/dc1/inst/web/edge/web";
    struct fake f;
    char *value;
    char *tag;

    start(&f, web);
    value = strndup(fake_get(&f, key)->value, fake_get(&f, key)->value_len);
    tag = strstr(value, "\"v1\"");
    ck_assert_ptr_nonnull(tag);
    tag[2] = '2';
    fake_put(&f, key, value);
    free(value);
    (void)fake_reply(&f, REGISTER "?sync=5s", web, 200);
    fake_stop(&f);
}
END_TEST

UNIT_MAIN("api_sync", {
    tcase_add_loop_test(tc, answered_when_the_store_has_it, 0, COUNT_OF(rows));
    tcase_add_test(tc, time_ends_the_wait);
    tcase_add_test(tc, tags_of_others_are_no_difference);
})
