#include "agent/core/follow.h"

#include <jansson.h>
#include <stdio.h>

#include "fake_store.h"
#include "suite.h"

#define KEY(rest) "/muster/v1/dc1/" rest
#define INSTANCE(service, id, more) \
    "{\"node\":\"edge\",\"service\":\"" service "\",\"id\":\"" id "\"" more "}"

static void stage(struct fake *f)
{
    fake_start(f);
    (void)fake_settle(f);
    fake_put(f, KEY("inst/web/edge/w1"), INSTANCE("web", "w1", ""));
    fake_put(f, KEY("inst/web/edge/w2"), INSTANCE("web", "w2", ""));
    fake_put(f, KEY("inst/webmail/edge/m"), INSTANCE("webmail", "m", ""));
    fake_put(f, KEY("inst/db/edge/d"), INSTANCE("db", "d", ""));
}

/* The lines of one step, short: "put web/w1 passing, sync full". */
static const char *step(struct fake *f, struct follow *follow)
{
    static char text[1024];
    struct api_view view = fake_view(f);
    struct buf lines;
    char *line;
    char *rest;

    buf_init(&lines, 1024 * 1024);
    ck_assert_int_eq(follow_next(follow, &view, 1024 * 1024, &lines),
                     FOLLOW_DONE);
    text[0] = '\0';
    rest = (char *)buf_cstr(&lines);
    while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
        json_t *j = json_loads(line, 0, NULL);
        const char *id = json_string_value(json_object_get(j, "id"));
        size_t len = strlen(text);

        ck_assert_msg(j != NULL, "%s", line);
        ck_assert_int_gt(json_integer_value(json_object_get(j, "index")), 0);
        if (id != NULL) {
            const char *status =
                json_string_value(json_object_get(j, "status"));

            (void)snprintf(text + len, sizeof(text) - len, "%s%s %s/%s%s%s",
                           len > 0 ? ", " : "",
                           json_string_value(json_object_get(j, "op")),
                           json_string_value(json_object_get(j, "service")), id,
                           status ? " " : "", status ? status : "");
        } else {
            (void)snprintf(
                text + len, sizeof(text) - len, "%s%s%s", len > 0 ? ", " : "",
                json_string_value(json_object_get(j, "op")),
                json_is_true(json_object_get(j, "full")) ? " full" : "");
        }
        json_decref(j);
    }
    buf_release(&lines);
    return text;
}

static const char *const web[] = {"web"};
static const char *const web_and_none[] = {"web", "none"};

START_TEST(differences_are_told)
{
    struct api_follow wanted = {.services = {web, 1}};
    struct follow *follow = follow_new(&wanted);
    struct fake f;

    stage(&f);
    ck_assert_str_eq(step(&f, follow),
                     "put web/w1 passing, put web/w2 passing, sync full");
    ck_assert_str_eq(step(&f, follow), "");
    fake_put(&f, KEY("inst/db/edge/d"), NULL);
    ck_assert_str_eq(step(&f, follow), "");
    fake_put(&f, KEY("inst/web/edge/w1"), NULL);
    fake_put(&f, KEY("inst/web/edge/w0"), INSTANCE("web", "w0", ""));
    ck_assert_str_eq(step(&f, follow), "put web/w0 passing, del web/w1");
    /* The node's agent dies: everything on it. */
    fake_put(&f, KEY("live/edge"), NULL);
    ck_assert_str_eq(step(&f, follow),
                     "put web/w0 critical, put web/w2 critical");
    fake_put(&f, KEY("inst/web/edge/w0"), NULL);
    fake_put(&f, KEY("inst/web/edge/w2"), NULL);
    ck_assert_str_eq(step(&f, follow), "del web/w0, del web/w2");
    follow_free(follow);
    fake_stop(&f);
}
END_TEST

static const struct {
    const char *name;
    struct api_follow wanted;
    const char *told;
} choices[] = {
    {"all",
     {{NULL, 0}, NULL, 0},
     "put db/d passing, put web/w1 passing, put web/w2 passing, "
     "put webmail/m passing, sync full"},
    {"prefix",
     {{NULL, 0}, "web", 0},
     "put web/w1 passing, put web/w2 passing, put webmail/m passing, "
     "sync full"},
    {"nothing", {{NULL, 0}, "x", 0}, "sync full"},
    {"missing",
     {{web_and_none, 2}, NULL, 0},
     "put web/w1 passing, put web/w2 passing, sync full"},
    {"known", {{web, 1}, NULL, 5}, "sync"},
    {"too old",
     {{web, 1}, NULL, 3},
     "put web/w1 passing, put web/w2 passing, sync full"},
    {"from another store",
     {{web, 1}, NULL, 999},
     "put web/w1 passing, put web/w2 passing, sync full"},
};

START_TEST(beginning_by_row)
{
    struct follow *follow = follow_new(&choices[_i].wanted);
    struct fake f;

    stage(&f);
    ck_assert_msg(strcmp(step(&f, follow), choices[_i].told) == 0,
                  "%s: at revision %lld: not %s", choices[_i].name,
                  (long long)f.revision, choices[_i].told);
    follow_free(follow);
    fake_stop(&f);
}
END_TEST

START_TEST(contact_is_told)
{
    struct api_follow wanted = {.services = {web, 1}};
    struct follow *follow = follow_new(&wanted);
    struct fake f;

    stage(&f);
    (void)step(&f, follow);
    f.away_ms = 5;
    ck_assert_str_eq(step(&f, follow), "stale");
    ck_assert_str_eq(step(&f, follow), "");
    f.away_ms = 0;
    ck_assert_str_eq(step(&f, follow), "sync");
    follow_free(follow);
    fake_stop(&f);
}
END_TEST

/* A client that read nothing while an instance came and went hears of neither,
 * and that it is up to date. */
START_TEST(slow_client_gets_the_difference)
{
    struct api_follow wanted = {.services = {web, 1}};
    struct follow *follow = follow_new(&wanted);
    struct fake f;

    stage(&f);
    (void)step(&f, follow);
    fake_put(&f, KEY("inst/web/edge/w3"), INSTANCE("web", "w3", ""));
    follow_behind(follow);
    fake_put(&f, KEY("inst/web/edge/w3"), NULL);
    fake_put(&f, KEY("inst/web/edge/w4"), INSTANCE("web", "w4", ""));
    ck_assert_str_eq(step(&f, follow), "put web/w4 passing, sync");
    follow_free(follow);
    fake_stop(&f);
}
END_TEST

START_TEST(room_is_kept_to)
{
    struct api_follow wanted = {0};
    struct follow *follow = follow_new(&wanted);
    struct api_view view;
    struct buf lines;
    unsigned steps = 0;
    enum follow_step st;
    struct fake f;

    stage(&f);
    view = fake_view(&f);
    buf_init(&lines, 1024 * 1024);
    do {
        buf_clear(&lines);
        st = follow_next(follow, &view, 1, &lines);
        ck_assert_int_ne(st, FOLLOW_FULL);
        steps++;
    } while (st == FOLLOW_MORE);
    ck_assert_uint_eq(steps, 3); /* One service each; "sync" with the last. */
    buf_release(&lines);
    follow_free(follow);

    follow = follow_new(&wanted);
    buf_init(&lines, 100);
    ck_assert_int_eq(follow_next(follow, &view, 1, &lines), FOLLOW_FULL);
    buf_release(&lines);
    follow_free(follow);
    fake_stop(&f);
}
END_TEST

UNIT_MAIN("follow", {
    tcase_add_test(tc, differences_are_told);
    tcase_add_loop_test(tc, beginning_by_row, 0, COUNT_OF(choices));
    tcase_add_test(tc, contact_is_told);
    tcase_add_test(tc, slow_client_gets_the_difference);
    tcase_add_test(tc, room_is_kept_to);
})
