#include <stdio.h>

#include "agent/core/api.h"
#include "fake_store.h"
#include "suite.h"

#define DC1(rest) "/muster/v1/dc1/" rest

/* A service "web" on this host, and who may do what. */
static void stage(struct fake *f, const struct acl_settings *settings)
{
    fake_start(f);
    (void)fake_settle(f);
    fake_put(f, DC1("inst/web/edge/w1"),
             "{\"node\":\"edge\",\"service\":\"web\",\"id\":\"w1\"}");
    f->acl = acl_new("dc1");
    acl_configure(f->acl, settings);
}

static void stage_end(struct fake *f)
{
    acl_free(f->acl);
    fake_stop(f);
}

/* "$" in a line stands for an id. */
static const char *reply_of(struct fake *f, const char *line, const char *id,
                            const char *body, int status)
{
    static char full[128];
    const char *at = strchr(line, '$');

    (void)snprintf(full, sizeof(full), "%.*s%s%s",
                   (int)(at == NULL ? strlen(line) : (size_t)(at - line)), line,
                   at == NULL ? "" : id, at == NULL ? "" : at + 1);
    return fake_reply(f, full, body, status);
}

static const char *const weak_links[] = {"weak"};
static const char *const web_links[] = {"web"};
static const struct acl_policy_setting policies[] = {
    {"weak", "query_prefix \"q\" { policy = \"write\" } query \"q-secret\" { "
             "policy = \"deny\" }"},
    {"web", "service_prefix \"\" { policy = \"read\" } node_prefix \"\" { "
            "policy = \"read\" }"}};
static const struct acl_token_setting tokens[] = {
    {"weak", "weak", "", {weak_links, 1}}, {"web", "web", "", {web_links, 1}}};

static const struct {
    const char *line;
    const char *body;
    int status;
    const char *has; /* In the reply. */
    const char *lacks;
} rights[] = {
    {"GET /v1/query", "", 200, "\"Name\":\"q-open\"", "q-secret"},
    {"GET /v1/query", "", 200, "\"Token\":\"<hidden>\"", "other"},
    {"GET /v1/query/$", "", 200, "<hidden>", "\"web\"}"},
    {"GET /v1/query/s", "", 403, "query:read", NULL},
    {"GET /v1/query/q-secret/explain", "", 403, "query:read", NULL},
    {"POST /v1/query",
     "{\"Name\":\"other2\",\"Service\":{\"Service\":\"web\"}}", 403,
     "query:write", NULL},
    {"POST /v1/query", "{\"Name\":\"q2\",\"Service\":{\"Service\":\"web\"}}",
     200, "ID", NULL},
    {"DELETE /v1/query/s", "", 403, "query:write", NULL},
    {"PUT /v1/query/$", "{\"Name\":\"x\",\"Service\":{\"Service\":\"web\"}}",
     403, "query:write", NULL},
    {"PUT /v1/query/$",
     "{\"Name\":\"q-open\",\"Token\":\"<hidden>\",\"Service\":{\"Service\":"
     "\"web\"}}",
     400, "Bad Token", NULL},
    /* Reading is done with the query's own token, or that of who asks. */
    {"GET /v1/query/q-open/execute", "", 200, "\"ID\":\"w1\"", NULL},
    {"GET /v1/query/q-secret/execute", "", 200, "\"Nodes\":[]", "w1"},
    {"GET /v1/query/q-lost/execute", "", 403, "ACL not found", NULL},
};

#define HASH_OF_WEB \
    "sha256:"       \
    "4b5e57f6eb2f42b9039b3d1e13929295f231749c510cbe341cd68036d9af97e2"

static const struct acl_settings settings = {.enabled = true,
                                             .otherwise = ACL_DEFAULT_DENY,
                                             .policies = policies,
                                             .policies_count = 2,
                                             .tokens = tokens,
                                             .tokens_count = 2,
                                             .management = "root"};

START_TEST(rights_by_row)
{
    const char *reply;
    struct fake f;

    stage(&f, &settings);
    fake_put(&f, DC1("lookup/o"),
             "{\"name\":\"q-open\",\"token\":\"web\",\"service\":{\"service\":"
             "\"web\"}}");
    fake_put(&f, DC1("lookup/s"),
             "{\"name\":\"q-secret\",\"service\":{\"service\":\"web\"}}");
    fake_put(&f, DC1("lookup/l"),
             "{\"name\":\"q-lost\",\"token\":\"gone\",\"service\":{\"service\":"
             "\"web\"}}");
    fake_put(&f, DC1("lookup/x"),
             "{\"name\":\"other\",\"service\":{\"service\":\"web\"}}");
    f.from.token = slice_str("weak");
    reply =
        reply_of(&f, rights[_i].line, "o", rights[_i].body, rights[_i].status);
    ck_assert_msg(strstr(reply, rights[_i].has) != NULL, "%s", reply);
    ck_assert_msg(rights[_i].lacks == NULL ||
                      strstr(reply, rights[_i].lacks) == NULL,
                  "%s", reply);
    f.from.token = slice_str("root");
    ck_assert_ptr_nonnull(strstr(fake_reply(&f, "GET /v1/query", "", 200),
                                 "\"Token\":\"" HASH_OF_WEB "\""));
    stage_end(&f);
}
END_TEST

/* ---- Tokens of queries --------------------------------------------- */

#define QUERY(token)                                                    \
    "{\"Name\":\"q\",\"Token\":\"" token "\",\"Service\":{\"Service\":" \
    "\"web\"}}"

/* `who` changes the query "q", which has the token "web" already; it is run
 * with that token still, or not at all. */
static const struct {
    const char *name;
    const char *who;
    const char *body;
    int status;
    const char *has; /* In what executing gives then, to who sees nothing. */
} changes[] = {
    {"the same secret", "root", QUERY("web"), 200, "\"ID\":\"w1\""},
    {"what was shown", "root", QUERY(HASH_OF_WEB), 200, "\"ID\":\"w1\""},
    {"without one", "root", QUERY(""), 200, "\"Nodes\":[]"},
    {"the hash, by who may not see it", "weak", QUERY(HASH_OF_WEB), 400,
     "\"ID\":\"w1\""},
    {"another's hash", "root", QUERY("sha256:00"), 400, "\"ID\":\"w1\""},
};

START_TEST(token_is_kept_as_its_hash)
{
    const char *reply;
    const struct fake_row *row;
    char id[40];
    char key[100];
    struct fake f;

    stage(&f, &settings);
    f.from.token = slice_str("root");
    reply = fake_reply(&f, "POST /v1/query", QUERY("web"), 200);
    (void)snprintf(id, sizeof(id), "%.36s", reply + 7);
    (void)snprintf(key, sizeof(key), DC1("lookup/%s"), id);
    row = fake_get(&f, key);
    ck_assert_ptr_nonnull(row);
    ck_assert_ptr_nonnull(strstr(row->value, "\"token\":\"" HASH_OF_WEB "\""));
    f.from.token = slice_str(changes[_i].who);
    (void)reply_of(&f, "PUT /v1/query/$", id, changes[_i].body,
                   changes[_i].status);
    f.from.token = slice_str("weak");
    reply = fake_reply(&f, "GET /v1/query/q/execute", "", 200);
    ck_assert_msg(strstr(reply, changes[_i].has) != NULL, "%s: %s",
                  changes[_i].name, reply);
    stage_end(&f);
}
END_TEST

START_TEST(nobody_names_a_token_by_its_hash)
{
    struct fake f;

    stage(&f, &settings);
    f.from.token = slice_str("root");
    ck_assert_str_eq(fake_reply(&f, "POST /v1/query", QUERY(HASH_OF_WEB), 400),
                     "Bad Token: a token is named by its secret");
    stage_end(&f);
}
END_TEST

UNIT_MAIN("api_query_rights", {
    tcase_add_loop_test(tc, rights_by_row, 0, COUNT_OF(rights));
    tcase_add_loop_test(tc, token_is_kept_as_its_hash, 0, COUNT_OF(changes));
    tcase_add_test(tc, nobody_names_a_token_by_its_hash);
})
