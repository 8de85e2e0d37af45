#include "agent/core/api.h"

#include <jansson.h>
#include <stdio.h>

#include "fake_store.h"
#include "suite.h"

#define ROOT "root-secret"
#define WEB  "service \\\"web\\\" { policy = \\\"write\\\" }"

static const char *const reader_links[] = {"reader"};
static const struct acl_policy_setting policies[] = {
    {"reader", "acl = \"read\""}};
static const struct acl_token_setting tokens[] = {
    {"reader-secret", "reader", "", {reader_links, 1}}};

static void stage(struct fake *f, const char *management)
{
    struct acl_settings settings = {.enabled = true,
                                    .otherwise = ACL_DEFAULT_DENY,
                                    .policies = policies,
                                    .policies_count = 1,
                                    .tokens = tokens,
                                    .tokens_count = 1,
                                    .management = management};

    fake_start(f);
    f->acl = acl_new("dc1");
    acl_configure(f->acl, &settings);
    f->from.token = slice_str(management);
    f->now.wall_ms = 1796000000123; /* 2026-11-30T00:53:20Z */
    memset(f->from.random, 0xa5, sizeof(f->from.random));
    memset(f->from.random + 16, 0x5a, 16);
}

static void stage_end(struct fake *f)
{
    acl_free(f->acl);
    fake_stop(f);
}

#define ACCESSOR "a5a5a5a5-a5a5-45a5-a5a5-a5a5a5a5a5a5"
#define SECRET   "5a5a5a5a-5a5a-4a5a-9a5a-5a5a5a5a5a5a"

/* The text of a member of a JSON object; to be used before the next one. */
static const char *member(const char *json, const char *key)
{
    static char text[256];
    json_t *object = json_loads(json, 0, NULL);

    ck_assert_msg(object != NULL, "%s", json);
    (void)snprintf(text, sizeof(text), "%s",
                   json_string_value(json_object_get(object, key)));
    json_decref(object);
    return text;
}

static void make_web(struct fake *f)
{
    (void)fake_reply(f, "PUT /v1/acl/policy",
                     "{\"Name\":\"web\",\"Rules\":\"" WEB "\"}", 200);
    f->from.random[0] = 0xa5;
    (void)fake_reply(f, "PUT /v1/acl/token",
                     "{\"Description\":\"team\",\"Policies\":[{\"Name\":"
                     "\"web\"}]}",
                     200);
}

START_TEST(token_is_made_and_works)
{
    const char *reply;
    struct fake f;

    stage(&f, ROOT);
    make_web(&f);
    reply = fake_reply(&f, "GET /v1/acl/token/" ACCESSOR, "", 200);
    ck_assert_str_eq(member(reply, "AccessorID"), ACCESSOR);
    ck_assert_str_eq(member(reply, "SecretID"), "<hidden>");
    ck_assert_str_eq(member(reply, "Description"), "team");
    ck_assert_str_eq(member(reply, "CreateTime"), "2026-11-30T00:53:20Z");
    ck_assert_ptr_nonnull(strstr(reply, "\"Name\":\"web\""));
    ck_assert_ptr_nonnull(
        strstr(fake_reply(&f, "GET /v1/acl/tokens", "", 200), ACCESSOR));
    /* The store has not seen the secret. */
    for (size_t i = 0; i < FAKE_ROWS; i++) {
        ck_assert(!f.rows[i].exists ||
                  memmem(f.rows[i].value, f.rows[i].value_len, SECRET,
                         strlen(SECRET)) == NULL);
    }
    f.from.token = slice_str(SECRET);
    (void)fake_reply(&f, "PUT /v1/agent/service/register", "{\"Name\":\"web\"}",
                     200);
    (void)fake_reply(&f, "PUT /v1/agent/service/register", "{\"Name\":\"db\"}",
                     403);
    reply = fake_reply(&f, "GET /v1/acl/token/self", "", 200);
    ck_assert_str_eq(member(reply, "SecretID"), SECRET);
    (void)fake_reply(&f, "GET /v1/acl/token/" ACCESSOR, "", 403);
    stage_end(&f);
}
END_TEST

START_TEST(token_changes_and_goes)
{
    const char *reply;
    struct fake f;

    stage(&f, ROOT);
    make_web(&f);
    reply = fake_reply(&f, "PUT /v1/acl/token/" ACCESSOR,
                       "{\"AccessorID\":\"" ACCESSOR
                       "\",\"SecretID\":\"<hidden>\",\"Description\":\"x\"}",
                       200);
    ck_assert_str_eq(member(reply, "Description"), "x");
    ck_assert_str_eq(member(reply, "CreateTime"), "2026-11-30T00:53:20Z");
    f.from.token = slice_str(SECRET);
    (void)fake_reply(&f, "PUT /v1/agent/service/register", "{\"Name\":\"web\"}",
                     403);
    f.from.token = slice_str(ROOT);
    memset(f.from.random, 0x11, sizeof(f.from.random));
    reply = fake_reply(&f, "PUT /v1/acl/token/" ACCESSOR "/clone", "", 200);
    ck_assert_str_eq(member(reply, "Description"), "x");
    ck_assert_str_eq(member(reply, "SecretID"),
                     "11111111-1111-4111-9111-111111111111");
    ck_assert_str_eq(fake_reply(&f, "DELETE /v1/acl/token/" ACCESSOR, "", 200),
                     "true");
    f.from.token = slice_str(SECRET);
    (void)fake_reply(&f, "GET /v1/acl/token/self", "", 403);
    f.from.token = slice_str("11111111-1111-4111-9111-111111111111");
    (void)fake_reply(&f, "GET /v1/acl/token/self", "", 200);
    stage_end(&f);
}
END_TEST

START_TEST(policy_changes_and_goes)
{
    const char *reply;
    char line[128];
    struct fake f;

    stage(&f, ROOT);
    make_web(&f);
    reply = fake_reply(&f, "GET /v1/acl/policy/name/WEB", "", 200);
    (void)snprintf(line, sizeof(line), "PUT /v1/acl/policy/%s",
                   member(reply, "ID"));
    reply = fake_reply(&f, line,
                       "{\"Name\":\"web2\",\"Rules\":\"operator = "
                       "\\\"read\\\"\"}",
                       200);
    ck_assert_str_eq(member(reply, "Rules"), "operator = \"read\"");
    (void)fake_reply(&f, "GET /v1/acl/policy/name/web", "", 404);
    (void)fake_reply(&f, "GET /v1/acl/policy/name/web2", "", 200);
    /* The token goes with it. */
    ck_assert_ptr_nonnull(
        strstr(fake_reply(&f, "GET /v1/acl/token/" ACCESSOR, "", 200),
               "\"Name\":\"web2\""));
    f.from.token = slice_str(SECRET);
    (void)fake_reply(&f, "PUT /v1/agent/service/register", "{\"Name\":\"web\"}",
                     403);
    f.from.token = slice_str(ROOT);
    memcpy(line, "DELETE", 6);
    (void)snprintf(
        line, sizeof(line), "DELETE /v1/acl/policy/%s",
        member(fake_reply(&f, "GET /v1/acl/policy/name/web2", "", 200), "ID"));
    ck_assert_str_eq(fake_reply(&f, line, "", 200), "true");
    ck_assert_ptr_nonnull(
        strstr(fake_reply(&f, "GET /v1/acl/token/" ACCESSOR, "", 200),
               "\"Policies\":[]"));
    ck_assert_ptr_null(
        strstr(fake_reply(&f, "GET /v1/acl/policies", "", 200), "web"));
    stage_end(&f);
}
END_TEST

START_TEST(bootstrap_is_once)
{
    const char *reply;
    struct fake f;

    stage(&f, "");
    reply = fake_reply(&f, "PUT /v1/acl/bootstrap", "", 200);
    ck_assert_str_eq(member(reply, "SecretID"), SECRET);
    ck_assert_ptr_nonnull(strstr(
        fake_reply(&f, "PUT /v1/acl/bootstrap", "", 403),
        "Permission denied: ACL bootstrap no longer allowed (the first token "
        "is there already; to make another one, delete the store's key "
        "/muster/v1/dc1/acl/bootstrap)"));
    f.from.token = slice_str(SECRET);
    (void)fake_reply(&f, "GET /v1/acl/tokens", "", 200);
    (void)fake_reply(&f, "PUT /v1/agent/join/x", "", 200);
    /* Whoever may write the store may begin anew. */
    fake_put(&f, "/muster/v1/dc1/acl/bootstrap", NULL);
    f.from.token = slice_str("");
    memset(f.from.random, 0x22, sizeof(f.from.random));
    (void)fake_reply(&f, "PUT /v1/acl/bootstrap", "", 200);
    stage_end(&f);
}
END_TEST

/* Two at once: the guard lets one through, and the other is told when it asks
 * again. */
START_TEST(bootstrap_is_a_race_with_one_winner)
{
    struct api_outcome late = {0};
    struct api_request request = {.method = slice_str("PUT"),
                                  .path = slice_str("/v1/acl/bootstrap")};
    struct arena arena = {0};
    struct fake f;

    stage(&f, "");
    struct api_view view = {
        .local = f.local, .catalog = f.catalog, .now = f.now, .acl = f.acl};

    memset(request.random, 0x33, sizeof(request.random));
    api_handle(&request, &view, &arena, &late);
    ck_assert_int_eq(late.kind, API_TXN);
    (void)fake_reply(&f, "PUT /v1/acl/bootstrap", "", 200);
    ck_assert_int_eq(fake_txn(&f, &late.txn), SYNC_GUARDED);
    api_outcome_release(&late);
    view.catalog = f.catalog;
    api_handle(&request, &view, &arena, &late);
    ck_assert_int_eq(late.status, 403);
    api_outcome_release(&late);
    arena_release(&arena);
    stage_end(&f);
}
END_TEST

static const struct {
    const char *line;
    const char *body;
    const char *token;
    int status;
    const char *text; /* The beginning. */
} refusals[] = {
    {"PUT /v1/acl/bootstrap", "", "", 403,
     "Permission denied: ACL bootstrap no longer allowed"},
    {"GET /v1/acl/tokens", "", "", 403,
     "Permission denied: anonymous token lacks permission 'acl:read'"},
    {"GET /v1/acl/policies", "", "", 403, "Permission denied"},
    {"GET /v1/acl/policy/name/reader", "", "", 403, "Permission denied"},
    {"GET /v1/acl/token/reader", "", "", 403, "Permission denied"},
    {"PUT /v1/acl/token", "", "reader-secret", 403,
     "Permission denied: token with AccessorID 'reader' lacks permission "
     "'acl:write'"},
    {"PUT /v1/acl/token/reader/clone", "", "reader-secret", 403,
     "Permission denied"},
    {"PUT /v1/acl/policy", "{\"Name\":\"x\"}", "reader-secret", 403,
     "Permission denied"},
    {"DELETE /v1/acl/token/reader", "", "reader-secret", 403,
     "Permission denied"},
    {"DELETE /v1/acl/tokens", "", ROOT, 405, "method DELETE not allowed"},
    {"DELETE /v1/acl/token", "", ROOT, 405, "method DELETE not allowed"},
    {"GET /v1/acl/token/none", "", ROOT, 404,
     "token does not exist: ACL not found"},
    {"DELETE /v1/acl/token/none", "", ROOT, 404,
     "token does not exist: ACL not found"},
    {"PUT /v1/acl/token/none", "", ROOT, 404,
     "token does not exist: ACL not found"},
    {"PUT /v1/acl/token/none/clone", "", ROOT, 404,
     "token does not exist: ACL not found"},
    {"PUT /v1/acl/token/reader", "", ROOT, 400,
     "Token reader is written in the agent's configuration"},
    {"DELETE /v1/acl/token/" ACL_ANONYMOUS, "", ROOT, 400,
     "Delete operation not permitted on the anonymous token"},
    {"PUT /v1/acl/token", "{\"Policies\":[{\"Name\":\"none\"}]}", ROOT, 400,
     "No such ACL policy: \"none\""},
    {"PUT /v1/acl/token", "{\"Policies\":[{\"ID\":\"none\"}]}", ROOT, 400,
     "No such ACL policy: \"none\""},
    {"PUT /v1/acl/token", "{\"SecretID\":\"easy\"}", ROOT, 400,
     "Invalid Token: SecretID is not a UUID"},
    {"PUT /v1/acl/token", "{\"AccessorID\":\"../policy/web\"}", ROOT, 400,
     "Invalid Token: AccessorID is not a UUID"},
    {"PUT /v1/acl/token", "{\"ExpirationTTL\":\"1h\"}", ROOT, 400,
     "Roles, identities, templates and expiration are not supported"},
    {"PUT /v1/acl/token", "{\"Roles\":[{\"Name\":\"x\"}]}", ROOT, 400,
     "Roles, identities, templates and expiration are not supported"},
    {"PUT /v1/acl/token", "{\"ServiceIdentities\":[{}]}", ROOT, 400,
     "Roles, identities, templates and expiration are not supported"},
    {"PUT /v1/acl/token", "[]", ROOT, 400, "Request decode failed"},
    {"PUT /v1/acl/policy", "{}", ROOT, 400, "Invalid Policy: invalid Name"},
    {"PUT /v1/acl/policy", "{\"Name\":\"a/b\"}", ROOT, 400,
     "Invalid Policy: invalid Name"},
    {"PUT /v1/acl/policy", "{\"Name\":\"Reader\"}", ROOT, 400,
     "Invalid Policy: A Policy with Name \"reader\" already exists"},
    {"PUT /v1/acl/policy", "{\"Name\":\"x\",\"Rules\":\"nonsense\"}", ROOT, 400,
     "Invalid Policy: rules: line 1: "},
    {"PUT /v1/acl/policy/" ACL_GLOBAL_ID, "{\"Name\":\"x\"}", ROOT, 400,
     "Policy \"global-management\" is built in"},
    {"DELETE /v1/acl/policy/" ACL_GLOBAL_ID, "", ROOT, 400,
     "Policy \"global-management\" is built in"},
    {"DELETE /v1/acl/policy/file:reader", "", ROOT, 400,
     "Policy \"reader\" is built in or written"},
    {"GET /v1/acl/policy/none", "", ROOT, 404,
     "policy does not exist: ACL not found"},
    {"PUT /v1/acl/create", "{}", ROOT, 410,
     "Tokens of the old kind do not exist here"},
};

START_TEST(refusal_has_its_words)
{
    const char *got;
    struct fake f;

    stage(&f, ROOT);
    f.from.token = slice_str(refusals[_i].token);
    got = fake_reply(&f, refusals[_i].line, refusals[_i].body,
                     refusals[_i].status);
    ck_assert_msg(strncmp(got, refusals[_i].text, strlen(refusals[_i].text)) ==
                      0,
                  "%s: %s", refusals[_i].line, got);
    stage_end(&f);
}
END_TEST

/* Empty lists and zeroes of things that are not supported say nothing. */
START_TEST(what_says_nothing_is_accepted)
{
    struct fake f;

    stage(&f, ROOT);
    (void)fake_reply(&f, "PUT /v1/acl/token",
                     "{\"Roles\":[],\"ServiceIdentities\":null,"
                     "\"ExpirationTTL\":\"0s\",\"Local\":true}",
                     200);
    stage_end(&f);
}
END_TEST

START_TEST(nobody_deletes_what_asks)
{
    struct fake f;

    stage(&f, "");
    (void)fake_reply(&f, "PUT /v1/acl/bootstrap", "", 200);
    f.from.token = slice_str(SECRET);
    ck_assert_str_eq(
        fake_reply(&f, "DELETE /v1/acl/token/" ACCESSOR, "", 400),
        "Deletion of the request's authorization token is not permitted");
    stage_end(&f);
}
END_TEST

START_TEST(rights_of_everybody_can_be_given)
{
    struct fake f;

    stage(&f, ROOT);
    make_web(&f);
    (void)fake_reply(&f, "PUT /v1/acl/token/" ACL_ANONYMOUS,
                     "{\"Policies\":[{\"Name\":\"web\"}]}", 200);
    f.from.token = slice_str("");
    (void)fake_reply(&f, "PUT /v1/agent/service/register", "{\"Name\":\"web\"}",
                     200);
    stage_end(&f);
}
END_TEST

START_TEST(without_access_control_there_are_no_tokens)
{
    static const char *const lines[] = {
        "PUT /v1/acl/bootstrap", "GET /v1/acl/tokens", "PUT /v1/acl/token",
        "GET /v1/acl/token/self", "GET /v1/acl/policies"};
    struct acl_settings off = {0};
    struct fake f;

    stage(&f, ROOT);
    acl_configure(f.acl, &off);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        ck_assert_int_eq(strncmp(fake_reply(&f, lines[i], "", 401),
                                 "ACL support disabled", 20),
                         0);
    }
    stage_end(&f);
}
END_TEST

UNIT_MAIN("api_acl", {
    tcase_add_test(tc, token_is_made_and_works);
    tcase_add_test(tc, token_changes_and_goes);
    tcase_add_test(tc, policy_changes_and_goes);
    tcase_add_test(tc, bootstrap_is_once);
    tcase_add_test(tc, bootstrap_is_a_race_with_one_winner);
    tcase_add_loop_test(tc, refusal_has_its_words, 0, COUNT_OF(refusals));
    tcase_add_test(tc, what_says_nothing_is_accepted);
    tcase_add_test(tc, nobody_deletes_what_asks);
    tcase_add_test(tc, rights_of_everybody_can_be_given);
    tcase_add_test(tc, without_access_control_there_are_no_tokens);
})
