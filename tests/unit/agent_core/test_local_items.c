#include "agent/core/local.h"

#include <stdio.h>

#include "local_world.h"

/* What is kept over a restart, and what comes back. */

/* A service of a file, with a check that begins as passing. */
static void file_appears(struct fake *f)
{
    struct err err;

    ck_assert_int_eq(load(f, "a.json",
                          "{\"service\": {\"name\": \"file\", \"check\": "
                          "{\"id\": \"fc\", \"tcp\": \"a:1\", \"interval\": "
                          "\"10s\", \"status\": \"passing\"}}}",
                          &err),
                     ST_OK);
}

/* It is the one that is due. */
static void file_check_fails(struct fake *f)
{
    struct local_run run;

    f->now.now_ms += 2000;
    ck_assert(local_due(f->local, f->now, &run));
    ck_assert(local_result(f->local, run.run, CHECK_CRITICAL,
                           slice_str("refused"), f->now));
}

/* Everything kept goes to a second agent, `away_ms` later. */
static void restart(struct fake *from, struct fake *to, int64_t away_ms,
                    bool with_files)
{
    struct arena a = {0};
    struct local_item item;
    struct err err;

    fake_start(to);
    to->now.wall_ms = from->now.wall_ms + away_ms;
    to->now.now_ms = 5000; /* Monotonic time begins anew. */
    while (local_item_next(from->local, from->now, &a, &item)) {
        if (item.value.len > 0) {
            ck_assert_msg(local_restore(to->local, &item, to->now, &err) ==
                              ST_OK,
                          "%s", err.text);
        }
    }
    local_restored(to->local, to->now);
    ck_assert(!local_item_next(to->local, to->now, &a, &item));
    if (with_files) {
        file_appears(to);
    }
    arena_release(&a);
}

/* A service of a file is not there yet when the API's checks come back. */
START_TEST(check_of_a_files_service_survives)
{
    struct fake before;
    struct fake after;
    struct err err;

    fake_start(&before);
    ck_assert_int_eq(
        load(&before, "a.json", "{\"service\": {\"name\": \"file\"}}", &err),
        ST_OK);
    put(&before, "PUT /v1/agent/check/register",
        "{\"Name\":\"more\",\"ServiceID\":\"file\",\"TTL\":\"60s\"}");
    put(&before, "PUT /v1/agent/check/pass/more", "");
    put(&before, "PUT /v1/agent/service/maintenance/file?enable=true", "");
    restart(&before, &after, 1000, true);
    ck_assert_int_eq(status_of(&after, "more"), CHECK_PASSING);
    ck_assert_int_eq(status_of(&after, "_service_maintenance:file"),
                     CHECK_CRITICAL);
    fake_stop(&before);
    fake_stop(&after);
}
END_TEST

/* Else each restart would be a change for everybody. */
START_TEST(restart_tells_the_store_the_same)
{
    struct fake before;
    struct fake after;

    fake_start(&before);
    put(&before, "PUT /v1/agent/service/register",
        "{\"Name\":\"web\",\"Check\":{\"CheckID\":\"beat\",\"TTL\":\"60s\"}}");
    put(&before, "PUT /v1/agent/check/warn/beat?note=slow", "");
    put(&before, "PUT /v1/agent/check/warn/beat?note=slower", "");
    restart(&before, &after, 10000, true);
    ASSERT_OUTPUT(&after, "beat", "slower");
    ASSERT_TOLD(&after, "beat", "slow");
    fake_stop(&before);
    fake_stop(&after);
}
END_TEST

START_TEST(restart_brings_everything_back)
{
    struct local_service s;
    struct fake before;
    struct fake after;

    fake_start(&before);
    put(&before, "PUT /v1/agent/service/register",
        "{\"Name\":\"web\",\"Check\":{\"CheckID\":\"beat\",\"TTL\":\"60s\"}}");
    put(&before, "PUT /v1/agent/check/register",
        "{\"Name\":\"more\",\"ServiceID\":\"web\",\"TTL\":\"60s\"}");
    put(&before, "PUT /v1/agent/check/pass/beat?note=hello", "");
    put(&before, "PUT /v1/agent/service/maintenance/web?enable=1&reason=r1",
        "");
    put(&before, "PUT /v1/agent/maintenance?enable=true&reason=r2", "");
    file_appears(&before);
    file_check_fails(&before);
    restart(&before, &after, 10000, true);
    ck_assert_int_eq(status_of(&after, "beat"), CHECK_PASSING);
    ASSERT_OUTPUT(&after, "beat", "hello");
    ck_assert_int_eq(status_of(&after, "more"), CHECK_CRITICAL);
    ck_assert_int_eq(status_of(&after, "_node_maintenance"), CHECK_CRITICAL);
    ck_assert(local_service_get(after.local, "web", &s));
    ck_assert(s.maintenance);
    ck_assert_ptr_null(s.file);
    ck_assert_int_eq(status_of(&after, "fc"), CHECK_CRITICAL);
    ASSERT_OUTPUT(&after, "fc", "refused");
    /* The TTL goes on where it was: 60 s after the last beat. */
    after.now.now_ms = 5000 + 60000 - 2000 - 10000 - 1;
    local_tick(after.local, after.now);
    ck_assert_int_eq(status_of(&after, "beat"), CHECK_PASSING);
    after.now.now_ms += 1;
    local_tick(after.local, after.now);
    ck_assert_int_eq(status_of(&after, "beat"), CHECK_CRITICAL);
    fake_stop(&before);
    fake_stop(&after);
}
END_TEST

START_TEST(old_statuses_are_not_believed)
{
    struct fake before;
    struct fake after;

    fake_start(&before);
    put(&before, "PUT /v1/agent/check/register",
        "{\"Name\":\"beat\",\"TTL\":\"60s\"}");
    put(&before, "PUT /v1/agent/check/pass/beat", "");
    file_appears(&before);
    file_check_fails(&before);
    restart(&before, &after, 61000, true);
    ck_assert_int_eq(status_of(&after, "beat"), CHECK_CRITICAL);
    ck_assert_int_eq(status_of(&after, "fc"), CHECK_PASSING);
    fake_stop(&before);
    fake_stop(&after);
}
END_TEST

START_TEST(damaged_items_are_named)
{
    static const char *const bad[][2] = {
        {"service/x", "{\"Port\":1}"},
        {"status/x", "{"},
        {"colour/x", "{}"},
    };
    struct fake f;
    struct err err;

    fake_start(&f);
    for (int i = 0; i < COUNT_OF(bad); i++) {
        struct local_item item = {.key = slice_str(bad[i][0]),
                                  .value = slice_str(bad[i][1])};

        ck_assert_int_eq(local_restore(f.local, &item, f.now, &err),
                         ST_CORRUPT);
        ck_assert_ptr_nonnull(strstr(err.text, bad[i][0]));
    }
    local_restored(f.local, f.now);
    ck_assert_uint_eq(local_services_count(f.local), 0);
    fake_stop(&f);
}
END_TEST

START_TEST(outdated_status_is_dropped)
{
    struct local_item old = {
        .key = slice_str("status/x"),
        .value = slice_str("{\"status\":\"passing\",\"saved_ms\":1}")};
    struct arena a = {0};
    struct local_item item;
    struct fake f;
    struct err err;

    fake_start(&f);
    ck_assert_int_eq(local_restore(f.local, &old, f.now, &err), ST_OK);
    local_restored(f.local, f.now);
    ck_assert(local_item_next(f.local, f.now, &a, &item));
    ck_assert(slice_eq(item.key, old.key));
    ck_assert_uint_eq(item.value.len, 0);
    ck_assert(!local_item_next(f.local, f.now, &a, &item));
    arena_release(&a);
    fake_stop(&f);
}
END_TEST

/* The longest id there may be, with everything that is made of it. */
START_TEST(long_ids_fit_everywhere)
{
    char id[258];
    char body[400];
    char line[400];
    struct fake f;

    memset(id, 'i', 257);
    id[257] = '\0';
    fake_start(&f);
    (void)snprintf(body, sizeof(body),
                   "{\"Name\":\"web\",\"ID\":\"%s\",\"Checks\":[{\"TTL\":"
                   "\"5s\"},{\"TTL\":\"5s\"}]}",
                   id);
    (void)fake_reply(&f, "PUT /v1/agent/service/register", body, 400);
    id[256] = '\0';
    (void)snprintf(body, sizeof(body),
                   "{\"Name\":\"web\",\"ID\":\"%s\",\"Drain\":\"1s\","
                   "\"Checks\":[{\"TTL\":\"5s\"},{\"TTL\":\"5s\"}]}",
                   id);
    put(&f, "PUT /v1/agent/service/register", body);
    (void)snprintf(line, sizeof(line),
                   "PUT /v1/agent/service/maintenance/%s?enable=1", id);
    put(&f, line, "");
    (void)snprintf(line, sizeof(line), "PUT /v1/agent/service/deregister/%s",
                   id);
    put(&f, line, "");
    (void)fake_settle(&f);
    ck_assert_uint_eq(catalog_instances_count(f.catalog), 1);
    f.now.now_ms += 5000;
    local_tick(f.local, f.now);
    (void)fake_settle(&f);
    ck_assert_uint_eq(catalog_instances_count(f.catalog), 0);
    fake_stop(&f);
}
END_TEST

START_TEST(registration_is_urgent)
{
    struct arena a = {0};
    struct local_item item;
    struct fake f;

    fake_start(&f);
    put(&f, "PUT /v1/agent/service/register", "{\"Name\":\"web\",\"Port\":1}");
    ck_assert(local_item_next(f.local, f.now, &a, &item));
    ck_assert(slice_eq(item.key, slice_str("service/web")));
    ck_assert(item.urgent);
    ck_assert(!local_item_next(f.local, f.now, &a, &item));
    put(&f, "PUT /v1/agent/service/deregister/web", "");
    ck_assert(local_item_next(f.local, f.now, &a, &item)); /* maint/web */
    ck_assert(local_item_next(f.local, f.now, &a, &item));
    ck_assert(slice_eq(item.key, slice_str("service/web")));
    ck_assert_uint_eq(item.value.len, 0);
    arena_release(&a);
    fake_stop(&f);
}
END_TEST

START_TEST(new_status_is_urgent_and_an_old_one_is_not)
{
    struct arena a = {0};
    struct local_item item;
    struct fake f;

    fake_start(&f);
    put(&f, "PUT /v1/agent/service/register",
        "{\"Name\":\"web\",\"Port\":1,\"Check\":{\"TTL\":\"60s\"}}");
    while (local_item_next(f.local, f.now, &a, &item)) {
    }
    put(&f, "PUT /v1/agent/check/pass/service:web", "");
    ck_assert(local_item_next(f.local, f.now, &a, &item));
    ck_assert(slice_eq(item.key, slice_str("status/service:web")));
    ck_assert(item.urgent);
    ck_assert(!local_item_next(f.local, f.now, &a, &item));
    put(&f, "PUT /v1/agent/check/pass/service:web", "");
    ck_assert(local_item_next(f.local, f.now, &a, &item));
    ck_assert(slice_eq(item.key, slice_str("status/service:web")));
    ck_assert(!item.urgent);
    arena_release(&a);
    fake_stop(&f);
}
END_TEST

UNIT_MAIN("local_items", {
    tcase_add_test(tc, restart_tells_the_store_the_same);
    tcase_add_test(tc, restart_brings_everything_back);
    tcase_add_test(tc, check_of_a_files_service_survives);
    tcase_add_test(tc, old_statuses_are_not_believed);
    tcase_add_test(tc, damaged_items_are_named);
    tcase_add_test(tc, outdated_status_is_dropped);
    tcase_add_test(tc, long_ids_fit_everywhere);
    tcase_add_test(tc, registration_is_urgent);
    tcase_add_test(tc, new_status_is_urgent_and_an_old_one_is_not);
})
