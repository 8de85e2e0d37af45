#include "agent/core/kv.h"

#include <stdio.h>

#include "api_world.h"
#include "base/core/base64.h"

/* Steps are played in order on one store that is at revision 2. `body` NULL:
 * none. */
struct step {
    const char *line;
    const char *body;
    int status;
    const char *reply;
};

static void play(const struct step *steps)
{
    struct fake f;

    fake_start(&f);
    for (; steps->line != NULL; steps++) {
        const char *got = fake_reply(
            &f, steps->line, steps->body ? steps->body : "", steps->status);

        ck_assert_msg(strcmp(got, steps->reply) == 0,
                      "%s:\n  %s\n  was expected, but it is\n  %s", steps->line,
                      steps->reply, got);
    }
    fake_stop(&f);
}

static const struct step set_and_get[] = {
    {"PUT /v1/kv/a/b", "hello", 200, "true"},
    {"GET /v1/kv/a/b", NULL, 200,
     "[{\"LockIndex\":0,\"Key\":\"a/b\",\"Flags\":0,\"Value\":\"aGVsbG8=\","
     "\"CreateIndex\":3,\"ModifyIndex\":3}]"},
    {"GET /v1/kv/a/b?raw", NULL, 200, "hello"},
    {"PUT /v1/kv/a%2Fb?flags=18446744073709551615", "", 200, "true"},
    {"GET /v1/kv/a/b?raw", NULL, 200, ""},
    {"GET /v1/kv/a/b?stale", NULL, 200,
     "[{\"LockIndex\":0,\"Key\":\"a/b\",\"Flags\":18446744073709551615,"
     "\"Value\":null,\"CreateIndex\":3,\"ModifyIndex\":4}]"},
    /* What changes nothing is no change. */
    {"PUT /v1/kv/a/b?flags=18446744073709551615", "", 200, "true"},
    {"PUT /v1/kv/z", "", 200, "true"},
    {"GET /v1/kv/z", NULL, 200,
     "[{\"LockIndex\":0,\"Key\":\"z\",\"Flags\":0,\"Value\":null,"
     "\"CreateIndex\":5,\"ModifyIndex\":5}]"},
    {"GET /v1/kv/nothing", NULL, 404, ""},
    {"HEAD /v1/kv/nothing?recurse", NULL, 404, ""},
    {NULL, NULL, 0, NULL},
};

static const struct step trees[] = {
    {"PUT /v1/kv/web", "1", 200, "true"},
    {"PUT /v1/kv/web/a/1", "1", 200, "true"},
    {"PUT /v1/kv/web/a/2", "1", 200, "true"},
    {"PUT /v1/kv/web/b", "1", 200, "true"},
    {"PUT /v1/kv/webb", "1", 200, "true"},
    {"GET /v1/kv/web/?keys", NULL, 200, "[\"web/a/1\",\"web/a/2\",\"web/b\"]"},
    {"GET /v1/kv/web/?keys&separator=/", NULL, 200, "[\"web/a/\",\"web/b\"]"},
    {"GET /v1/kv/web/?recurse&keys&separator=/", NULL, 200,
     "[\"web/a/\",\"web/b\"]"},
    {"GET /v1/kv/?keys&separator=/", NULL, 200, "[\"web\",\"web/\",\"webb\"]"},
    {"GET /v1/kv?keys", NULL, 404,
     "Invalid URL path: not a recognized HTTP API endpoint"},
    {"GET /v1/kv/web/b?recurse", NULL, 200,
     "[{\"LockIndex\":0,\"Key\":\"web/b\",\"Flags\":0,\"Value\":\"MQ==\","
     "\"CreateIndex\":6,\"ModifyIndex\":6}]"},
    {"GET /v1/kv/none?keys", NULL, 404, ""},
    {"DELETE /v1/kv/web/?recurse", NULL, 200, "true"},
    {"GET /v1/kv/?keys", NULL, 200, "[\"web\",\"webb\"]"},
    {"DELETE /v1/kv/?recurse", NULL, 200, "true"},
    {"GET /v1/kv/?keys", NULL, 200, "[]"},
    {NULL, NULL, 0, NULL},
};

static const struct step compare_and_set[] = {
    {"PUT /v1/kv/k?cas=1", "x", 200, "false"},
    {"PUT /v1/kv/k?cas=0", "x", 200, "true"}, /* 3 */
    {"PUT /v1/kv/k?cas=0", "y", 200, "false"},
    {"PUT /v1/kv/k?cas=3", "y", 200, "true"},
    {"PUT /v1/kv/k?cas=3", "z", 200, "false"},
    {"GET /v1/kv/k?raw", NULL, 200, "y"},
    {"DELETE /v1/kv/k?cas=3", NULL, 200, "false"},
    {"DELETE /v1/kv/k?cas=0", NULL, 200, "false"},
    {"DELETE /v1/kv/k?cas=4", NULL, 200, "true"},
    {"DELETE /v1/kv/k?cas=4", NULL, 200, "true"}, /* It is gone, as asked. */
    {"DELETE /v1/kv/k", NULL, 200, "true"},
    {"GET /v1/kv/k", NULL, 404, ""},
    {NULL, NULL, 0, NULL},
};

static const struct step refused[] = {
    {"PUT /v1/kv/", "x", 400, "Missing key name"},
    {"GET /v1/kv/", NULL, 400, "Missing key name"},
    {"DELETE /v1/kv/", NULL, 400, "Missing key name"},
    {"PUT /v1/kv/a?cas=x", "x", 400, "Invalid value for cas: not a number"},
    {"PUT /v1/kv/a?flags=18446744073709551616", "x", 400,
     "Invalid value for flags: not a number"},
    {"PUT /v1/kv/a?cas=1&acquire=s", "x", 400,
     "Conflicting flags: cas=1&acquire=s"},
    {"DELETE /v1/kv/a?cas=1&recurse", "x", 400,
     "Conflicting flags: cas=1&recurse"},
    {"PUT /v1/kv/a?acquire=", "x", 500, "missing session"},
    {"PUT /v1/kv/a?cas=", "x", 400, "Missing value for cas"},
    {"PUT /v1/kv/a?flags=", "x", 400, "Missing value for flags"},
    {"PUT /v1/kv/a?acquire=../x", "x", 500,
     "invalid session \"../x\": this is no session's id"},
    {"PUT /v1/kv/a?acquire=no-one", "x", 500,
     "invalid session \"no-one\": there is no such session"},
    {"PUT /v1/kv/a?release=no-one", "x", 200, "false"},
    {"GET /v1/kv/a?index=x", NULL, 400, "Invalid index"},
    {"GET /v1/kv/a?wait=x", NULL, 400, "Invalid wait time"},
    {"GET /v1/kv/a?stale&consistent", NULL, 400,
     "Cannot specify ?stale with ?consistent"},
    {"GET /v1/kv/a?dc=elsewhere", NULL, 500, "No path to datacenter"},
    {"OPTIONS /v1/kv/a", NULL, 200, ""},
    {NULL, NULL, 0, NULL},
};

static const struct step *const stories[] = {set_and_get, trees,
                                             compare_and_set, refused};

START_TEST(stories_hold)
{
    play(stories[_i]);
}
END_TEST

START_TEST(limits_hold)
{
    struct fake f;
    struct buf body;
    char line[LIMIT_KV_KEY + 64];

    fake_start(&f);
    buf_init(&body, LIMIT_KV_VALUE + 2);
    for (size_t i = 0; i < LIMIT_KV_VALUE; i++) {
        ck_assert_int_eq(buf_add_u8(&body, 'x'), ST_OK);
    }
    (void)fake_reply(&f, "PUT /v1/kv/large", buf_cstr(&body), 200);
    ck_assert_int_eq(buf_add_u8(&body, 'x'), ST_OK);
    ck_assert_str_eq(fake_reply(&f, "PUT /v1/kv/large", buf_cstr(&body), 413),
                     "Request body(524289 bytes) too large, max size: 524288 "
                     "bytes");
    buf_release(&body);

    (void)snprintf(line, sizeof(line), "PUT /v1/kv/%0*d", LIMIT_KV_KEY, 0);
    (void)fake_reply(&f, line, "x", 200);
    (void)snprintf(line, sizeof(line), "PUT /v1/kv/%0*d", LIMIT_KV_KEY + 1, 0);
    (void)fake_reply(&f, line, "x", 400);
    fake_stop(&f);
}
END_TEST

/* Another one writes between reading and writing. */
static void get_in_between(struct fake *f, const struct store_ask *ask)
{
    if (ask->changes_count > 0 && f->txns++ == 0) {
        fake_put(f, "/muster/v1/dc1/pairs/k", "1 0 0 -\nother");
    }
}

START_TEST(a_race_is_decided_anew)
{
    struct fake f;

    fake_start(&f);
    f.before_ask = get_in_between;
    ck_assert_str_eq(fake_reply(&f, "PUT /v1/kv/k?cas=0", "mine", 200),
                     "false");
    ck_assert_str_eq(fake_reply(&f, "GET /v1/kv/k?raw", "", 200), "other");
    f.txns = 0;
    ck_assert_str_eq(fake_reply(&f, "PUT /v1/kv/k", "mine", 200), "true");
    ck_assert_str_eq(fake_reply(&f, "GET /v1/kv/k?raw", "", 200), "mine");
    fake_stop(&f);
}
END_TEST

START_TEST(a_store_that_is_away_is_said_so)
{
    struct fake f;

    fake_start(&f);
    f.store_down = true;
    ck_assert_str_eq(fake_reply(&f, "GET /v1/kv/k", "", 500),
                     "No cluster leader");
    ck_assert_str_eq(fake_reply(&f, "PUT /v1/kv/k", "x", 500),
                     "No cluster leader");
    fake_stop(&f);
}
END_TEST

/* ---- Waiting ------------------------------------------------------ */

/* k is set at 3, t/x at 4; then something else is written at 5. `index`: of the
 * reply, or NULL if it waits. */
static const struct {
    const char *line;
    const char *index;
} polls[] = {
    {"GET /v1/kv/k", "3"},
    {"GET /v1/kv/k?index=0", "3"},
    {"GET /v1/kv/k?index=2", "3"},
    {"GET /v1/kv/k?index=3", NULL},
    {"GET /v1/kv/k?index=5", NULL},
    {"GET /v1/kv/k?index=6", "3"},
    {"GET /v1/kv/no", "5"},
    {"GET /v1/kv/no?index=1", NULL},
    {"GET /v1/kv/no?index=9", "5"},
    {"GET /v1/kv/t/?recurse", "5"},
    {"GET /v1/kv/t/?keys&index=3", "5"},
    {"GET /v1/kv/t/?keys&index=4", NULL},
};

static void stage_polls(struct fake *f)
{
    fake_start(f);
    (void)fake_reply(f, "PUT /v1/kv/k", "x", 200);
    (void)fake_reply(f, "PUT /v1/kv/t/x", "x", 200);
    (void)fake_reply(f, "PUT /v1/kv/other", "x", 200);
    ck_assert_int_eq(f->revision, 5);
}

START_TEST(polls_by_row)
{
    struct fake f;
    struct api_outcome o;

    stage_polls(&f);
    fake_ask(&f, polls[_i].line, "", &o);
    if (polls[_i].index == NULL) {
        ck_assert_msg(o.kind == API_FOLLOW, "%s", polls[_i].line);
    } else {
        ck_assert_msg(o.kind == API_REPLY, "%s", polls[_i].line);
        ck_assert_str_eq(header(&o, "X-Consul-Index"), polls[_i].index);
    }
    api_outcome_release(&o);
    fake_stop(&f);
}
END_TEST

/* A poll is asked again as the shell does, without what it had seen. */
static void again(struct fake *f, const char *line, bool woken,
                  struct api_outcome *out)
{
    uint64_t arrived = f->now.now_ms;

    f->flow_woken = woken;
    f->now.now_ms += woken ? 0 : 1000000;
    f->arrived_ms = arrived;
    fake_ask(f, line, "", out);
    f->arrived_ms = 0;
    f->flow_woken = false;
}

START_TEST(a_poll_ends_by_time_with_its_index)
{
    struct fake f;
    struct api_outcome o;

    stage_polls(&f);
    again(&f, "GET /v1/kv/t/?recurse&index=4", false, &o);
    ck_assert_int_eq(o.kind, API_REPLY);
    ck_assert_str_eq(header(&o, "X-Consul-Index"), "4");
    api_outcome_release(&o);
    again(&f, "GET /v1/kv/no?index=4", false, &o);
    ck_assert_int_eq(o.status, 404);
    ck_assert_str_eq(header(&o, "X-Consul-Index"), "4");
    api_outcome_release(&o);
    fake_stop(&f);
}
END_TEST

START_TEST(a_poll_hears_of_a_deletion)
{
    struct fake f;
    struct api_outcome o;

    stage_polls(&f);
    (void)fake_reply(&f, "DELETE /v1/kv/t/x", "", 200);
    again(&f, "GET /v1/kv/t/?recurse&index=4", true, &o);
    ck_assert_int_eq(o.kind, API_REPLY);
    ck_assert_int_eq(o.status, 404);
    ck_assert_str_eq(header(&o, "X-Consul-Index"), "6");
    api_outcome_release(&o);
    fake_stop(&f);
}
END_TEST

/* ---- What the store holds ----------------------------------------- */

static const struct {
    const char *stored;
    const char *value;
    uint64_t flags;
    uint64_t lock_index;
    const char *session;
} values[] = {
    {"1 0 0 -\nv", "v", 0, 0, ""},
    {"1 7 3 s-1\n", "", 7, 3, "s-1"},
    {"1 7 3 s-1\nline\nline", "line\nline", 7, 3, "s-1"},
    /* By other hands. */
    {"", "", 0, 0, ""},
    {"plain", "plain", 0, 0, ""},
    {"2 0 0 -\nv", "2 0 0 -\nv", 0, 0, ""},
    {"1 0 0 -", "1 0 0 -", 0, 0, ""},
    {"1 x 0 -\nv", "1 x 0 -\nv", 0, 0, ""},
    {"1 99999999999999999999 0 -\n", "1 99999999999999999999 0 -\n", 0, 0, ""},
};

START_TEST(values_by_row)
{
    struct arena a = {0};
    struct kv_entry e;
    struct store_kv kv = {.key = kv_key(&a, "dc1", slice_str("k")),
                          .value = slice_str(values[_i].stored)};

    kv_read(&a, "dc1", &kv, &e);
    ck_assert(slice_eq(e.key, slice_str("k")));
    ck_assert(slice_eq(e.value, slice_str(values[_i].value)));
    ck_assert_uint_eq(e.flags, values[_i].flags);
    ck_assert_uint_eq(e.lock_index, values[_i].lock_index);
    ck_assert_str_eq(e.session, values[_i].session);
    kv.value = kv_write(&a, &e);
    kv_read(&a, "dc1", &kv, &e);
    ck_assert(slice_eq(e.value, slice_str(values[_i].value)));
    arena_release(&a);
}
END_TEST

static const struct {
    const char *text;
    const char *base64; /* NULL: not decodable, only `text` is. */
} codes[] = {
    {"", ""},           {"f", "Zg=="},        {"fo", "Zm8="},
    {"foo", "Zm9v"},    {"foob", "Zm9vYg=="}, {"\xff\xfe?>", "//4/Pg=="},
    {"Zg=", NULL},      {"Zg", NULL},         {"Z===", NULL},
    {"Zg==Zg==", NULL}, {"Z*==", NULL},       {"====", NULL},
};

START_TEST(base64_by_row)
{
    struct arena a = {0};
    struct slice out;

    if (codes[_i].base64 == NULL) {
        ck_assert_int_eq(base64_decode(&a, slice_str(codes[_i].text), &out),
                         ST_INVALID);
    } else {
        out = base64_encode(&a, slice_str(codes[_i].text));
        ck_assert(slice_eq(out, slice_str(codes[_i].base64)));
        ck_assert_int_eq(base64_decode(&a, out, &out), ST_OK);
        ck_assert(slice_eq(out, slice_str(codes[_i].text)));
    }
    arena_release(&a);
}
END_TEST

UNIT_MAIN("kv", {
    tcase_add_loop_test(tc, stories_hold, 0, COUNT_OF(stories));
    tcase_add_test(tc, limits_hold);
    tcase_add_test(tc, a_race_is_decided_anew);
    tcase_add_test(tc, a_store_that_is_away_is_said_so);
    tcase_add_loop_test(tc, polls_by_row, 0, COUNT_OF(polls));
    tcase_add_test(tc, a_poll_ends_by_time_with_its_index);
    tcase_add_test(tc, a_poll_hears_of_a_deletion);
    tcase_add_loop_test(tc, values_by_row, 0, COUNT_OF(values));
    tcase_add_loop_test(tc, base64_by_row, 0, COUNT_OF(codes));
})
