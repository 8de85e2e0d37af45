#include "agent/core/lines.h"

#include <stdio.h>

#include "fake_store.h"
#include "suite.h"

#define KEY(rest) "/muster/v1/dc1/" rest
#define INSTANCE(id, more) \
    "{\"node\":\"edge\",\"service\":\"web\",\"id\":\"" id "\"" more "}"
#define CHECKS(status) \
    ",\"checks\":[{\"id\":\"c\",\"name\":\"c\",\"status\":\"" status "\"}]"

static void stage(struct fake *f)
{
    fake_start(f);
    (void)fake_settle(f);
    fake_put(f, KEY("inst/web/edge/a"),
             INSTANCE("a", ",\"port\":80,\"tags\":[\"v1\",\"eu west\"],"
                           "\"address\":\"10.0.0.9\","
                           "\"weight_passing\":7" CHECKS("passing")));
    fake_put(f, KEY("inst/web/edge/b"),
             INSTANCE("b", ",\"port\":81,\"tags\":[\"V1\"],"
                           "\"weight_warning\":3" CHECKS("warning")));
    fake_put(f, KEY("inst/web/edge/c%20%25"),
             INSTANCE("c %", ",\"tags\":[\"v2\"]" CHECKS("critical")));
}

static const char *answer_as(struct fake *f, const char *line,
                             const struct acl_caller *caller)
{
    static struct buf out;
    struct lines_request request;
    struct api_view view = fake_view(f);
    struct arena arena = {0};
    struct err err;

    buf_release(&out);
    buf_init(&out, 1024 * 1024);
    if (lines_read(&arena, slice_str(line), &request, &err)) {
        lines_write_error(err.text, &out);
    } else {
        lines_write(&request, caller, &view, &out);
    }
    arena_release(&arena);
    return buf_cstr(&out);
}

static const char *answer(struct fake *f, const char *line)
{
    struct acl_caller nobody = {0};

    return answer_as(f, line, &nobody);
}

#define A "10.0.0.9 80 7 passing edge a\n"
#define B "10.0.0.7 81 3 warning edge b\n"
#define C "10.0.0.7 0 0 critical edge c%20%25\n"
#define USAGE                                                        \
    "a request is: LOOKUP|WATCH <service> [tag=<tag>]... [passing] " \
    "[token=<secret>]\n\n"

static const struct {
    const char *line;
    const char *block;
} rows[] = {
    {"LOOKUP web", A B C "\n"},
    {"WATCH web", A B C "\n"},
    {"LOOKUP web passing", A "\n"},
    {"LOOKUP web tag=v1", A B "\n"},
    {"LOOKUP web tag=v1 tag=eu%20west", A "\n"},
    {"LOOKUP web passing tag=v2", "\n"},
    {"LOOKUP %77eb tag=v2", C "\n"},
    {"LOOKUP nothing", "\n"},
    {"LOOKUP web token=of-nobody passing", A "\n"}, /* No access control. */
    {"", "error: " USAGE},
    {"lookup web", "error: " USAGE},
    {"LOOKUP", "error: which service? " USAGE},
    {"LOOKUP  web", "error: which service? " USAGE},
    {"LOOKUP we%0", "error: which service? " USAGE},
    {"LOOKUP web ", A B C "\n"},
    {"LOOKUP web Passing", "error: \"Passing\" is not understood; " USAGE},
    {"LOOKUP web tag=%zz", "error: \"tag=%zz\" is not understood; " USAGE},
    {"LOOKUP web  passing", "error: \"\" is not understood; " USAGE},
    {"LOOKUP web \x01", "error: \"?\" is not understood; " USAGE},
};

START_TEST(answers_by_row)
{
    struct fake f;

    stage(&f);
    ck_assert_str_eq(answer(&f, rows[_i].line), rows[_i].block);
    fake_stop(&f);
}
END_TEST

START_TEST(limits_hold)
{
    char line[LIMIT_LINE_BYTES + 16] = "LOOKUP web";
    struct fake f;

    stage(&f);
    for (int i = 0; i < LIMIT_LINE_TAGS; i++) {
        (void)strcat(line, " tag=v1");
    }
    ck_assert_str_eq(answer(&f, line), A B "\n");
    (void)strcat(line, " tag=v1");
    ck_assert_str_eq(answer(&f, line), "error: more than 32 tags\n\n");
    memset(line, 'x', LIMIT_LINE_BYTES + 1);
    line[LIMIT_LINE_BYTES + 1] = '\0';
    ck_assert_str_eq(answer(&f, line),
                     "error: a request has at most 4096 bytes\n\n");
    fake_stop(&f);
}
END_TEST

START_TEST(nothing_known_is_not_nothing_there)
{
    struct lines_request request = {.service = "web"};
    struct acl_caller nobody = {0};
    struct catalog *empty = catalog_new("dc1");
    struct api_view view;
    struct lines_mark known;
    struct fake f;
    struct buf out;

    stage(&f);
    view = fake_view(&f);
    known = lines_mark(&request, &view);
    ck_assert(lines_mark_equal(known, lines_mark(&request, &view)));
    view.catalog = empty;
    buf_init(&out, 1000);
    lines_write(&request, &nobody, &view, &out);
    ck_assert_str_eq(buf_cstr(&out), "error: No cluster leader\n\n");
    ck_assert(!lines_mark_equal(known, lines_mark(&request, &view)));
    buf_release(&out);
    catalog_unref(empty);
    fake_stop(&f);
}
END_TEST

/* A block that does not fit is not sent in part. */
START_TEST(too_long_is_said)
{
    struct lines_request request = {.service = "web"};
    struct acl_caller nobody = {0};
    struct api_view view;
    struct fake f;
    struct buf out;

    stage(&f);
    view = fake_view(&f);
    buf_init(&out, 64);
    lines_write(&request, &nobody, &view, &out);
    ck_assert_str_eq(buf_cstr(&out),
                     "error: the answer is too long; ask for a tag\n\n");
    buf_release(&out);
    fake_stop(&f);
}
END_TEST

/* Only what may alter the block. */
START_TEST(marks_move_with_the_service)
{
    struct lines_request request = {.service = "web"};
    struct lines_mark before;
    struct api_view view;
    struct fake f;

    stage(&f);
    view = fake_view(&f);
    before = lines_mark(&request, &view);
    fake_put(&f, KEY("inst/db/edge/d"),
             "{\"node\":\"edge\",\"service\":\"db\",\"id\":\"d\"}");
    view = fake_view(&f);
    ck_assert(lines_mark_equal(before, lines_mark(&request, &view)));
    fake_put(&f, KEY("inst/web/edge/b"), NULL);
    view = fake_view(&f);
    ck_assert(!lines_mark_equal(before, lines_mark(&request, &view)));
    fake_stop(&f);
}
END_TEST

static const char *const web_links[] = {"web"};
static const struct acl_policy_setting policies[] = {
    {"web", "service \"web\" {policy=\"read\"} node_prefix \"\" "
            "{policy=\"read\"}"},
};
static const struct acl_token_setting tokens[] = {
    {"web-secret", "web", "", {web_links, 1}},
};
static const struct acl_peer_setting peers[] = {
    {.has_uid = true, .uid = 4711, .token = "web-secret"},
};

static const struct {
    uint32_t uid;
    const char *line;
    const char *block;
} rights[] = {
    {1, "LOOKUP web", "\n"},
    {1, "LOOKUP web token=web-secret passing", A "\n"},
    {4711, "LOOKUP web passing", A "\n"},
    {4711, "LOOKUP web passing token=root-secret", A "\n"},
    {4711, "LOOKUP web token=wrong",
     "error: ACL not found: no token has this secret\n\n"},
};

/* As on the other socket: what may not be seen is not there. */
START_TEST(rights_by_row)
{
    struct acl_settings settings = {.enabled = true,
                                    .otherwise = ACL_DEFAULT_DENY,
                                    .policies = policies,
                                    .policies_count = 1,
                                    .tokens = tokens,
                                    .tokens_count = 1,
                                    .peers = peers,
                                    .peers_count = 1,
                                    .management = "root-secret"};
    uint32_t group = 100;
    struct acl_caller caller = {.by_socket = true,
                                .uid = rights[_i].uid,
                                .groups = &group,
                                .groups_count = 1};
    struct fake f;

    stage(&f);
    f.acl = acl_new("dc1");
    acl_configure(f.acl, &settings);
    ck_assert_str_eq(answer_as(&f, rights[_i].line, &caller), rights[_i].block);
    acl_free(f.acl);
    fake_stop(&f);
}
END_TEST

UNIT_MAIN("lines", {
    tcase_add_loop_test(tc, answers_by_row, 0, COUNT_OF(rows));
    tcase_add_loop_test(tc, rights_by_row, 0, COUNT_OF(rights));
    tcase_add_test(tc, limits_hold);
    tcase_add_test(tc, nothing_known_is_not_nothing_there);
    tcase_add_test(tc, too_long_is_said);
    tcase_add_test(tc, marks_move_with_the_service);
})
