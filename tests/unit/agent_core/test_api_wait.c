#include "agent/core/api.h"

#include <stdio.h>

#include "api_world.h"

/* Which reads wait, for what, and what they say when it is over. */

static const struct {
    const char *line;
    enum api_outcome_kind kind;
    const char *index; /* Of a reply; or what a waiting one waits beyond. */
} blocking[] = {
    {"GET /v1/health/service/billing", API_REPLY, "3"},
    {"GET /v1/health/service/billing?index=0", API_REPLY, "3"},
    {"GET /v1/health/service/billing?index=", API_REPLY, "3"},
    {"GET /v1/health/service/billing?index=2", API_REPLY, "3"},
    {"GET /v1/health/service/billing?index=3", API_WAIT, "3"},
    {"GET /v1/health/service/billing?index=4", API_WAIT, "4"},
    {"GET /v1/health/service/billing?index=5", API_REPLY, "3"}, /* Replaced. */
    {"GET /v1/health/service/lpd?index=3", API_REPLY, "4"},
    {"GET /v1/health/service/none", API_REPLY, "1"},
    {"GET /v1/health/service/none?index=1", API_WAIT, "1"},
    {"GET /v1/catalog/services?index=3", API_REPLY, "4"},
    {"GET /v1/catalog/services?index=4", API_WAIT, "4"},
    {"GET /v1/catalog/nodes?index=4", API_WAIT, "4"},
    {"GET /v1/catalog/node/edge?index=2", API_REPLY, "3"},
    {"GET /v1/catalog/node/edge?index=3", API_WAIT, "3"},
    {"GET /v1/health/checks/billing?index=3", API_WAIT, "3"},
    {"GET /v1/health/state/any?index=4", API_WAIT, "4"},
    {"GET /v1/agent/self?index=4", API_REPLY, NULL},
};

START_TEST(index_decides_whether_to_wait)
{
    struct api_outcome o;
    char text[24];
    struct fake f;

    stage_two_hosts(&f);
    fake_ask(&f, blocking[_i].line, "", &o);
    ck_assert_msg(o.kind == blocking[_i].kind, "%s: outcome %d",
                  blocking[_i].line, (int)o.kind);
    if (o.kind == API_WAIT) {
        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)o.index);
        ck_assert_str_eq(text, blocking[_i].index);
        ck_assert_uint_eq(o.deadline_ms, f.now.now_ms + 300000);
        ck_assert(!api_should_wake(&o, f.catalog));
    } else if (blocking[_i].index != NULL) {
        ck_assert_str_eq(header(&o, "X-Consul-Index"), blocking[_i].index);
        ck_assert_str_eq(header(&o, "X-Consul-LastContact"), "0");
        ck_assert_str_eq(header(&o, "X-Consul-KnownLeader"), "true");
    }
    api_outcome_release(&o);
    fake_stop(&f);
}
END_TEST

START_TEST(waiter_wakes_for_its_own_scope)
{
    struct api_outcome one;
    struct api_outcome none;
    struct api_outcome nodes;
    struct fake f;

    stage_two_hosts(&f);
    fake_ask(&f, "GET /v1/health/service/billing?index=3", "", &one);
    fake_ask(&f, "GET /v1/catalog/nodes?index=4", "", &nodes);
    fake_ask(&f, "GET /v1/health/service/none?index=1", "", &none);
    one.scope.name = "billing"; /* The arena was for one request. */
    none.scope.name = "none";
    fake_put(&f, "/muster/v1/dc1/inst/other/edge/o",
             "{\"node\":\"edge\",\"service\":\"other\",\"id\":\"o\"}");
    ck_assert(!api_should_wake(&one, f.catalog));
    ck_assert(!api_should_wake(&none, f.catalog));
    ck_assert(!api_should_wake(&nodes, f.catalog));
    /* The agent dies: its services are critical, its record is as it was. */
    fake_put(&f, "/muster/v1/dc1/live/edge", NULL);
    ck_assert(api_should_wake(&one, f.catalog));
    ck_assert(!api_should_wake(&nodes, f.catalog));
    fake_put(&f, "/muster/v1/dc1/inst/none/edge/n",
             "{\"node\":\"edge\",\"service\":\"none\",\"id\":\"n\"}");
    ck_assert(api_should_wake(&none, f.catalog));
    api_outcome_release(&one);
    api_outcome_release(&none);
    api_outcome_release(&nodes);
    fake_stop(&f);
}
END_TEST

/* Ask as the shell does: again, with the same arrival, when time is up. */
START_TEST(wait_ends_with_the_same_answer)
{
    struct api_outcome o;
    struct api_request request = {
        .method = slice_str("GET"),
        .path = slice_str("/v1/catalog/services"),
        .query = slice_str("index=4&wait=16s"),
        .jitter = 500,
    };
    struct api_view view;
    struct fake f;

    stage_two_hosts(&f);
    request.arrived_ms = f.now.now_ms;
    view = (struct api_view){.local = f.local,
                             .catalog = f.catalog,
                             .now = f.now,
                             .last_contact_ms = 1234,
                             .leader = "",
                             .version = "",
                             .api_level = ""};
    api_handle(&request, &view, &f.arena, &o);
    ck_assert_int_eq(o.kind, API_WAIT);
    ck_assert_uint_eq(o.deadline_ms, f.now.now_ms + 16000 + 500);
    api_outcome_release(&o);
    view.now.now_ms += 16500;
    api_handle(&request, &view, &f.arena, &o);
    ck_assert_int_eq(o.kind, API_REPLY);
    ck_assert_int_eq(o.status, 200);
    ck_assert_str_eq(header(&o, "X-Consul-Index"), "4");
    ck_assert_str_eq(header(&o, "X-Consul-KnownLeader"), "false");
    ck_assert_str_eq(header(&o, "X-Consul-LastContact"), "1234");
    api_outcome_release(&o);
    /* Longer than ten minutes nobody waits. */
    request.query = slice_str("index=4&wait=1h");
    request.jitter = UINT64_MAX;
    view.now = f.now;
    api_handle(&request, &view, &f.arena, &o);
    ck_assert_uint_le(o.deadline_ms, f.now.now_ms + 637500);
    api_outcome_release(&o);
    fake_stop(&f);
}
END_TEST

START_TEST(nothing_known_is_no_empty_list)
{
    struct api_outcome o;
    struct fake f;

    fake_start(&f);
    catalog_unref(f.catalog);
    f.catalog = catalog_new("dc1");
    ck_assert_str_eq(fake_reply(&f, "GET /v1/catalog/services", "", 500),
                     "No cluster leader");
    ck_assert_str_eq(fake_reply(&f, "GET /v1/health/service/x", "", 500),
                     "No cluster leader");
    (void)fake_reply(&f, "GET /v1/catalog/datacenters", "", 200);
    (void)fake_reply(&f, "GET /v1/agent/self", "", 200);
    fake_ask(&f, "GET /v1/catalog/services?consistent=1", "", &o);
    ck_assert_int_eq(o.kind, API_CONFIRM);
    api_outcome_release(&o);
    fake_stop(&f);
}
END_TEST

START_TEST(content_hash_waits_for_another)
{
    struct api_outcome o;
    char line[96];
    struct fake f;

    stage_two_hosts(&f);
    fake_ask(&f, "GET /v1/agent/service/billing-1", "", &o);
    ck_assert_int_eq(o.kind, API_REPLY);
    (void)snprintf(line, sizeof(line),
                   "GET /v1/agent/service/billing-1?hash=%s",
                   header(&o, "X-Consul-ContentHash"));
    api_outcome_release(&o);
    fake_ask(&f, line, "", &o);
    ck_assert_int_eq(o.kind, API_HASH_WAIT);
    api_outcome_release(&o);
    (void)fake_reply(&f, "PUT /v1/agent/service/register",
                     "{\"Name\":\"billing\",\"ID\":\"billing-1\",\"Port\":1}",
                     200);
    fake_ask(&f, line, "", &o);
    ck_assert_int_eq(o.kind, API_REPLY);
    api_outcome_release(&o);
    fake_stop(&f);
}
END_TEST

UNIT_MAIN("api_wait", {
    tcase_add_loop_test(tc, index_decides_whether_to_wait, 0,
                        COUNT_OF(blocking));
    tcase_add_test(tc, waiter_wakes_for_its_own_scope);
    tcase_add_test(tc, wait_ends_with_the_same_answer);
    tcase_add_test(tc, nothing_known_is_no_empty_list);
    tcase_add_test(tc, content_hash_waits_for_another);
})
