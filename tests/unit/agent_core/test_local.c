#include "agent/core/local.h"

#include <stdio.h>

#include "local_world.h"

/* ---- Files -------------------------------------------------------- */

START_TEST(file_is_replaced_as_a_whole)
{
    struct fake f;
    struct err err;

    fake_start(&f);
    ck_assert_int_eq(load(&f, "a.json",
                          "{\"services\": [{\"name\": \"a\", \"check\": "
                          "{\"ttl\": \"5s\", \"status\": \"passing\"}}, "
                          "{\"name\": \"b\"}], \"check\": {\"name\": \"disk\", "
                          "\"ttl\": \"5s\"}}",
                          &err),
                     ST_OK);
    ck_assert_uint_eq(local_services_count(f.local), 2);
    ck_assert_uint_eq(local_checks_count(f.local), 2);
    put(&f, "PUT /v1/agent/check/warn/service:a?note=x", "");
    /* b is gone, disk is gone, a's check keeps its state. */
    ck_assert_int_eq(load(&f, "a.json",
                          "{\"service\": {\"name\": \"a\", \"port\": 1, "
                          "\"check\": {\"ttl\": \"5s\", \"status\": "
                          "\"passing\"}}}",
                          &err),
                     ST_OK);
    ck_assert_uint_eq(local_services_count(f.local), 1);
    ck_assert_uint_eq(local_checks_count(f.local), 1);
    ck_assert_int_eq(status_of(&f, "service:a"), CHECK_WARNING);
    ASSERT_OUTPUT(&f, "service:a", "x");
    /* Defined otherwise, it begins again. */
    ck_assert_int_eq(load(&f, "a.json",
                          "{\"service\": {\"name\": \"a\", \"check\": "
                          "{\"ttl\": \"6s\", \"status\": \"passing\"}}}",
                          &err),
                     ST_OK);
    ck_assert_int_eq(status_of(&f, "service:a"), CHECK_PASSING);
    local_forget_file(f.local, "a.json", f.now);
    ck_assert_uint_eq(local_services_count(f.local), 0);
    ck_assert_uint_eq(local_checks_count(f.local), 0);
    fake_stop(&f);
}
END_TEST

START_TEST(registering_again_keeps_the_state)
{
    struct fake f;

    fake_start(&f);
    put(&f, "PUT /v1/agent/check/register",
        "{\"Name\": \"disk\", \"TTL\": \"60s\"}");
    put(&f, "PUT /v1/agent/check/warn/disk?note=x", "");
    put(&f, "PUT /v1/agent/check/register",
        "{\"Name\": \"disk\", \"TTL\": \"61s\"}");
    ck_assert_int_eq(status_of(&f, "disk"), CHECK_WARNING);
    ASSERT_OUTPUT(&f, "disk", "x");
    fake_stop(&f);
}
END_TEST

START_TEST(two_files_may_not_define_one_id)
{
    struct fake f;
    struct err err;

    fake_start(&f);
    ck_assert_int_eq(
        load(&f, "a.json", "{\"service\": {\"name\": \"a\"}}", &err), ST_OK);
    ck_assert_int_eq(load(&f, "b.json",
                          "{\"services\": [{\"name\": \"b\"}, {\"name\": "
                          "\"a\", \"port\": 5}]}",
                          &err),
                     ST_EXISTS);
    ck_assert_str_eq(err.text, "b.json: service \"a\" is already defined in "
                               "a.json; choose another id");
    ck_assert_uint_eq(local_services_count(f.local), 1); /* Not half of it. */
    fake_stop(&f);
}
END_TEST

static void count_fault(void *ctx, const char *file, const char *text)
{
    ck_assert_str_eq(file, "a.json");
    ck_assert_str_eq(text, "a.json:1: not JSON");
    (*(int *)ctx)++;
}

START_TEST(bad_file_keeps_the_last_good_registration)
{
    struct fake f;
    struct err err;
    int faults = 0;

    fake_start(&f);
    ck_assert_int_eq(
        load(&f, "a.json", "{\"service\": {\"name\": \"a\"}}", &err), ST_OK);
    local_file_fault(f.local, "a.json", "a.json:1: not JSON");
    local_each_fault(f.local, count_fault, &faults);
    ck_assert_int_eq(faults, 1);
    ck_assert_uint_eq(local_services_count(f.local), 1);
    ck_assert_int_eq(
        load(&f, "a.json", "{\"service\": {\"name\": \"a\"}}", &err), ST_OK);
    local_each_fault(f.local, count_fault, &faults);
    ck_assert_int_eq(faults, 1);
    fake_stop(&f);
}
END_TEST

START_TEST(file_wins_over_the_api)
{
    struct local_service s;
    struct fake f;
    struct err err;

    fake_start(&f);
    put(&f, "PUT /v1/agent/service/register", "{\"Name\":\"a\",\"Port\":1}");
    ck_assert_int_eq(load(&f, "a.json",
                          "{\"service\": {\"name\": \"a\", \"port\": 2}}",
                          &err),
                     ST_OK);
    ck_assert(local_service_get(f.local, "a", &s));
    ck_assert_uint_eq(s.def->port, 2);
    ck_assert_str_eq(s.file, "a.json");
    (void)fake_reply(&f, "PUT /v1/agent/service/register",
                     "{\"Name\":\"a\",\"Port\":1}", 409);
    fake_stop(&f);
}
END_TEST

/* ---- Checks that run here ----------------------------------------- */

#define TCP_CHECK                                                     \
    "{\"Name\":\"web\",\"Check\":{\"CheckID\":\"c\",\"TCP\":\"a:1\"," \
    "\"Interval\":\"10s\",\"FailuresBeforeCritical\":2}}"

START_TEST(check_runs_once_an_interval)
{
    struct local_run run;
    struct fake f;
    uint64_t first_ms;
    uint64_t next_ms;

    fake_start(&f);
    put(&f, "PUT /v1/agent/service/register", TCP_CHECK);
    first_ms = local_wake_ms(f.local);
    ck_assert_uint_lt(first_ms, f.now.now_ms + 2000);
    f.now.now_ms = first_ms;
    ck_assert(local_due(f.local, f.now, &run));
    ck_assert_str_eq(run.def->id, "c");
    ck_assert(!local_due(f.local, f.now, &run)); /* It is running. */
    ck_assert_uint_eq(local_wake_ms(f.local), UINT64_MAX);
    f.now.now_ms += 300;
    ck_assert(
        local_result(f.local, run.run, CHECK_PASSING, slice_str("ok"), f.now));
    next_ms = local_wake_ms(f.local);
    ck_assert_uint_gt(next_ms, first_ms);
    ck_assert_uint_lt(next_ms, first_ms + 11000);
    f.now.now_ms = next_ms;
    ck_assert(local_due(f.local, f.now, &run));
    (void)local_result(f.local, run.run, CHECK_PASSING, slice_str("ok"), f.now);
    ck_assert_uint_eq(local_wake_ms(f.local), next_ms + 10000);
    ck_assert_int_eq(status_of(&f, "c"), CHECK_PASSING);
    ASSERT_OUTPUT(&f, "c", "ok");
    fake_stop(&f);
}
END_TEST

/* Ten thousand checks at an interval of ten seconds: from the second run on
 * each second has its thousand, each check runs once an interval, and none
 * late. */
START_TEST(many_checks_are_spread_evenly)
{
    enum {
        CHECKS = 10000,
        SECONDS = 60
    };
    static unsigned each_second[SECONDS];
    struct local_run run;
    struct fake f;
    struct err err;
    struct buf text;
    uint64_t start_ms;
    unsigned least = UINT32_MAX;
    unsigned most = 0;

    fake_start(&f);
    start_ms = f.now.now_ms;
    buf_init(&text, LIMIT_DEFINITION_BYTES);
    (void)buf_add_str(&text, "{\"checks\":[");
    for (int i = 0; i < CHECKS; i++) {
        (void)buf_addf(
            &text, "%s{\"name\":\"c%d\",\"interval\":\"10s\",\"tcp\":\"a:1\"}",
            i == 0 ? "" : ",", i);
    }
    (void)buf_add_str(&text, "]}");
    ck_assert_int_eq(load(&f, "many.json", buf_cstr(&text), &err), ST_OK);
    while (local_wake_ms(f.local) < start_ms + SECONDS * 1000) {
        f.now.now_ms = local_wake_ms(f.local);
        while (local_due(f.local, f.now, &run)) {
            each_second[(f.now.now_ms - start_ms) / 1000]++;
            ck_assert_uint_eq(run.late_ms, 0);
            (void)local_result(f.local, run.run, CHECK_PASSING, slice_str(""),
                               f.now);
        }
    }
    ck_assert_uint_eq(each_second[0] + each_second[1], CHECKS);
    for (int i = 12; i < SECONDS; i++) {
        least = each_second[i] < least ? each_second[i] : least;
        most = each_second[i] > most ? each_second[i] : most;
    }
    ck_assert_msg(least >= 900 && most <= 1100, "%u to %u a second", least,
                  most);
    ck_assert_uint_eq(local_missed(f.local), 0);
    buf_release(&text);
    fake_stop(&f);
}
END_TEST

START_TEST(result_of_a_replaced_check_is_ignored)
{
    struct local_run run;
    struct fake f;

    fake_start(&f);
    put(&f, "PUT /v1/agent/service/register", TCP_CHECK);
    f.now.now_ms += 2000;
    ck_assert(local_due(f.local, f.now, &run));
    put(&f, "PUT /v1/agent/service/register",
        "{\"Name\":\"web\",\"Check\":{\"CheckID\":\"c\",\"TCP\":\"b:1\","
        "\"Interval\":\"10s\"}}");
    ck_assert(
        !local_result(f.local, run.run, CHECK_PASSING, slice_str(""), f.now));
    ck_assert_int_eq(status_of(&f, "c"), CHECK_CRITICAL);
    ck_assert_ptr_null(local_run_hold(f.local, run.run));
    fake_stop(&f);
}
END_TEST

START_TEST(output_alone_is_no_news_for_the_store)
{
    struct local_run run;
    struct fake f;
    uint64_t generation;

    fake_start(&f);
    put(&f, "PUT /v1/agent/service/register", TCP_CHECK);
    f.now.now_ms += 2000;
    ck_assert(local_due(f.local, f.now, &run));
    generation = local_generation(f.local);
    ck_assert(!local_result(f.local, run.run, CHECK_CRITICAL,
                            slice_str("refused"), f.now));
    ck_assert_uint_eq(local_generation(f.local), generation);
    fake_stop(&f);
}
END_TEST

#define TTL_CHECK \
    "{\"Name\":\"web\",\"Check\":{\"CheckID\":\"c\",\"TTL\":\"60s\"}}"

START_TEST(store_hears_what_a_check_said_when_it_turned_ill)
{
    struct fake f;

    fake_start(&f);
    put(&f, "PUT /v1/agent/service/register", TTL_CHECK);
    put(&f, "PUT /v1/agent/check/pass/c?note=fine", "");
    ASSERT_TOLD(&f, "c", "");
    put(&f, "PUT /v1/agent/check/fail/c?note=no+route", "");
    ASSERT_TOLD(&f, "c", "no route");
    put(&f, "PUT /v1/agent/check/fail/c?note=still+none", "");
    ASSERT_TOLD(&f, "c", "no route");
    ASSERT_OUTPUT(&f, "c", "still none");
    put(&f, "PUT /v1/agent/service/register",
        "{\"Name\":\"web\",\"Check\":{\"CheckID\":\"c\",\"TTL\":\"90s\"}}");
    ASSERT_TOLD(&f, "c", "no route"); /* Another definition, the same check. */
    put(&f, "PUT /v1/agent/check/warn/c?note=slow", "");
    ASSERT_TOLD(&f, "c", "slow");
    put(&f, "PUT /v1/agent/check/pass/c?note=well", "");
    ASSERT_TOLD(&f, "c", "");
    fake_stop(&f);
}
END_TEST

START_TEST(ttl_runs_out)
{
    struct fake f;

    fake_start(&f);
    put(&f, "PUT /v1/agent/check/register",
        "{\"Name\":\"beat\",\"TTL\":\"5s\"}");
    put(&f, "PUT /v1/agent/check/pass/beat?note=fine", "");
    ck_assert_uint_eq(local_wake_ms(f.local), f.now.now_ms + 5000);
    f.now.now_ms += 4999;
    local_tick(f.local, f.now);
    ck_assert_int_eq(status_of(&f, "beat"), CHECK_PASSING);
    f.now.now_ms += 1;
    local_tick(f.local, f.now);
    ck_assert_int_eq(status_of(&f, "beat"), CHECK_CRITICAL);
    ASSERT_OUTPUT(&f, "beat", "TTL expired. Last output: fine");
    ck_assert_uint_eq(local_wake_ms(f.local), UINT64_MAX);
    fake_stop(&f);
}
END_TEST

START_TEST(hopeless_service_is_removed)
{
    struct fake f;

    fake_start(&f);
    put(&f, "PUT /v1/agent/service/register",
        "{\"Name\":\"web\",\"Check\":{\"TTL\":\"5s\",\"Status\":\"passing\","
        "\"DeregisterCriticalServiceAfter\":\"1m\"}}");
    f.now.now_ms += 5000;
    local_tick(f.local, f.now);
    ck_assert_uint_eq(local_wake_ms(f.local), f.now.now_ms + 60000);
    f.now.now_ms += 59999;
    local_tick(f.local, f.now);
    ck_assert_uint_eq(local_services_count(f.local), 1);
    f.now.now_ms += 1;
    local_tick(f.local, f.now);
    ck_assert_uint_eq(local_services_count(f.local), 0);
    ck_assert_uint_eq(local_checks_count(f.local), 0);
    fake_stop(&f);
}
END_TEST

START_TEST(drain_reports_critical_first)
{
    struct local_service s;
    struct fake f;

    fake_start(&f);
    put(&f, "PUT /v1/agent/service/register",
        "{\"Name\":\"web\",\"Drain\":\"3s\"}");
    put(&f, "PUT /v1/agent/service/deregister/web", "");
    ck_assert(local_service_get(f.local, "web", &s));
    ck_assert_int_eq(s.health, HEALTH_CRITICAL);
    f.now.now_ms += 3000;
    local_tick(f.local, f.now);
    ck_assert(!local_service_get(f.local, "web", &s));
    /* Registering again ends the drain. */
    put(&f, "PUT /v1/agent/service/register",
        "{\"Name\":\"web\",\"Drain\":\"3s\"}");
    put(&f, "PUT /v1/agent/service/deregister/web", "");
    put(&f, "PUT /v1/agent/service/register",
        "{\"Name\":\"web\",\"Drain\":\"3s\"}");
    f.now.now_ms += 9000;
    local_tick(f.local, f.now);
    ck_assert(local_service_get(f.local, "web", &s));
    ck_assert_int_eq(s.health, HEALTH_PASSING);
    fake_stop(&f);
}
END_TEST

START_TEST(api_may_not_run_programs)
{
    struct fake f;

    fake_start(&f);
    (void)fake_reply(&f, "PUT /v1/agent/check/register",
                     "{\"Name\":\"x\",\"Args\":[\"id\"],\"Interval\":\"5s\"}",
                     403);
    (void)fake_reply(&f, "PUT /v1/agent/service/register",
                     "{\"Name\":\"x\",\"Check\":{\"Args\":[\"id\"],"
                     "\"Interval\":\"5s\"}}",
                     403);
    ck_assert_uint_eq(local_checks_count(f.local), 0);
    fake_stop(&f);
}
END_TEST

START_TEST(checks_of_a_service_are_kept_or_replaced)
{
    static const char again[] = "{\"Name\":\"web\"}";
    struct fake f;

    fake_start(&f);
    put(&f, "PUT /v1/agent/service/register",
        "{\"Name\":\"web\",\"Check\":{\"TTL\":\"5s\"}}");
    put(&f, "PUT /v1/agent/check/register",
        "{\"Name\":\"more\",\"ServiceID\":\"web\",\"TTL\":\"5s\"}");
    put(&f, "PUT /v1/agent/service/maintenance/web?enable=true", "");
    put(&f, "PUT /v1/agent/service/register", again);
    ck_assert_uint_eq(local_checks_count(f.local), 3);
    put(&f, "PUT /v1/agent/service/register?replace-existing-checks", again);
    ck_assert_uint_eq(local_checks_count(f.local), 1); /* Maintenance. */
    ck_assert_int_eq(status_of(&f, "_service_maintenance:web"), CHECK_CRITICAL);
    fake_stop(&f);
}
END_TEST

START_TEST(checks_of_one_service_are_bounded)
{
    struct fake f;
    char json[128];

    fake_start(&f);
    put(&f, "PUT /v1/agent/service/register", "{\"Name\":\"web\"}");
    for (int i = 0; i < LIMIT_CHECKS_OF_ONE + 1; i++) {
        (void)snprintf(
            json, sizeof(json),
            "{\"Name\":\"c%d\",\"ServiceID\":\"web\",\"TTL\":\"5s\"}", i);
        (void)fake_reply(&f, "PUT /v1/agent/check/register", json,
                         i < LIMIT_CHECKS_OF_ONE ? 200 : 413);
    }
    (void)fake_reply(&f, "PUT /v1/agent/service/register",
                     "{\"Name\":\"web\",\"Check\":{\"TTL\":\"5s\"}}", 413);
    put(&f, "PUT /v1/agent/service/register?replace-existing-checks=true",
        "{\"Name\":\"web\",\"Check\":{\"TTL\":\"5s\"}}");
    ck_assert_uint_eq(local_checks_count(f.local), 1);
    fake_stop(&f);
}
END_TEST

UNIT_MAIN("local", {
    tcase_add_test(tc, file_is_replaced_as_a_whole);
    tcase_add_test(tc, registering_again_keeps_the_state);
    tcase_add_test(tc, two_files_may_not_define_one_id);
    tcase_add_test(tc, bad_file_keeps_the_last_good_registration);
    tcase_add_test(tc, file_wins_over_the_api);
    tcase_add_test(tc, check_runs_once_an_interval);
    tcase_add_test(tc, many_checks_are_spread_evenly);
    tcase_add_test(tc, result_of_a_replaced_check_is_ignored);
    tcase_add_test(tc, output_alone_is_no_news_for_the_store);
    tcase_add_test(tc, store_hears_what_a_check_said_when_it_turned_ill);
    tcase_add_test(tc, ttl_runs_out);
    tcase_add_test(tc, hopeless_service_is_removed);
    tcase_add_test(tc, drain_reports_critical_first);
    tcase_add_test(tc, api_may_not_run_programs);
    tcase_add_test(tc, checks_of_a_service_are_kept_or_replaced);
    tcase_add_test(tc, checks_of_one_service_are_bounded);
})
