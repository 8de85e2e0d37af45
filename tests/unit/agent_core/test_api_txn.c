#include <stdio.h>

#include "fake_store.h"
#include "suite.h"

struct step {
    const char *line;
    const char *body;
    int status;
    const char *part; /* That the reply holds. */
};

static void play(const struct step *steps)
{
    struct fake f;

    fake_start(&f);
    f.confirms = true;
    (void)fake_reply(&f, "PUT /v1/agent/service/register",
                     "{\"Name\":\"web\",\"Tags\":[\"v1\"]}", 200);
    (void)fake_settle(&f); /* Revision 3. */
    for (; steps->line != NULL; steps++) {
        const char *got = fake_reply(
            &f, steps->line, steps->body ? steps->body : "", steps->status);

        ck_assert_msg(strstr(got, steps->part) != NULL,
                      "%s %s:\n  %s\n  was expected in\n  %s", steps->line,
                      steps->body ? steps->body : "", steps->part, got);
    }
    fake_stop(&f);
}

#define TXN(ops)         "PUT /v1/txn", "[" ops "]"
#define KV(verb, key)    "{\"KV\":{\"Verb\":\"" verb "\",\"Key\":\"" key "\"}}"
#define SET(key, base64) KV3("set", key, "\"Value\":\"" base64 "\"")
#define NODE(verb, fields) \
    "{\"Node\":{\"Verb\":\"" verb "\",\"Node\":{" fields "}}}"
#define SERVICE(verb, node, fields)                        \
    "{\"Service\":{\"Verb\":\"" verb "\",\"Node\":\"" node \
    "\",\"Service\":{" fields "}}}"
#define CHECK(verb, fields) \
    "{\"Check\":{\"Verb\":\"" verb "\",\"Check\":{" fields "}}}"
#define KV3(verb, key, more) \
    "{\"KV\":{\"Verb\":\"" verb "\",\"Key\":\"" key "\"," more "}}"

static const struct step results[] = {
    {TXN(SET("a", "MQ==") "," SET("b", "Mg==")), 200,
     "{\"Results\":[{\"KV\":{\"LockIndex\":0,\"Key\":\"a\",\"Flags\":0,"
     "\"Value\":null,\"CreateIndex\":4,\"ModifyIndex\":4}},{\"KV\":{"
     "\"LockIndex\":0,\"Key\":\"b\",\"Flags\":0,\"Value\":null,\"CreateIndex\":"
     "4,\"ModifyIndex\":4}}],\"Errors\":null}"},
    {TXN(KV("get", "a") "," KV("get", "b")), 200, "\"Value\":\"Mg==\""},
    {TXN(KV("get-tree", "")), 200, "\"Key\":\"b\""},
    {TXN(KV("get", "none")), 409,
     "{\"Results\":null,\"Errors\":[{\"OpIndex\":0,\"What\":\"key \\\"none\\\" "
     "doesn't exist\"}]}"},
    {TXN(KV("get-or-empty", "none")), 200, "\"CreateIndex\":0"},
    {TXN(KV("delete", "a")), 200, "{\"Results\":[],\"Errors\":null}"},
    {TXN(KV("check-not-exists", "a")), 200, "\"Results\":[]"},
    {TXN(KV("check-not-exists", "b")), 409, "exists"},
    {TXN(""), 200, "{\"Results\":[],\"Errors\":null}"},
    {NULL, NULL, 0, NULL},
};

/* One that fails keeps all others from being carried out. */
static const struct step all_or_none[] = {
    {TXN(SET("a", "MQ==")), 200, "4"},
    {TXN(SET("b", "MQ==") "," KV3("cas", "a", "\"Index\":3")), 409,
     "\"OpIndex\":1,\"What\":\"failed to set key \\\"a\\\", index is stale\""},
    {"GET /v1/kv/b", NULL, 404, ""},
    {TXN(SET("b", "MQ==") "," KV3("check-index", "a", "\"Index\":4")), 200,
     "\"Key\":\"b\""},
    {TXN(KV3("check-index", "a", "\"Index\":9")), 409,
     "current modify index 4 != 9"},
    {TXN(KV3("check-session", "a", "\"Session\":\"s\"")), 409,
     "current session \\\"\\\" != \\\"s\\\""},
    {TXN(KV3("delete-cas", "a", "\"Index\":9")), 409, "index is stale"},
    {TXN(KV3("delete-cas", "a", "\"Index\":4")), 200, "\"Results\":[]"},
    {TXN(KV3("cas", "c", "\"Index\":0")), 200, "\"Key\":\"c\""},
    {TXN(KV3("lock", "a", "\"Session\":\"none\"")), 409, "invalid session"},
    {TXN(KV3("unlock", "b", "\"Session\":\"none\"")), 409, "lock isn't held"},
    {NULL, NULL, 0, NULL},
};

/* Later operations see what earlier ones did. */
static const struct step in_order[] = {
    {TXN(SET("t/1", "MQ==") "," SET("t/2", "MQ==")), 200, "4"},
    {TXN(KV("delete-tree", "t/") "," KV("check-not-exists", "t/1") "," SET(
         "t/2", "Mg==") "," KV("get-tree", "t/")),
     200, "\"Value\":\"Mg==\""},
    {"GET /v1/kv/?keys", NULL, 200, "[\"t/2\"]"},
    {"GET /v1/kv/t/2?raw", NULL, 200, "2"},
    {TXN(SET("x", "MQ==") "," KV("delete", "x")), 200, "\"Errors\":null"},
    {"GET /v1/kv/x", NULL, 404, ""},
    {TXN(SET("t/9", "MQ==") "," KV("delete-tree", "t/")), 200, "t/9"},
    {"GET /v1/kv/?keys", NULL, 200, "[]"},
    {TXN(KV("get-tree", "none/")), 200, "{\"Results\":[],\"Errors\":null}"},
    {TXN(KV3("check-index", "none", "\"Index\":1")), 409,
     "failed to check index, key \\\"none\\\" doesn't exist"},
    {NULL, NULL, 0, NULL},
};

static const struct step refused[] = {
    {"PUT /v1/txn", "{}", 400, "a list is expected"},
    {"PUT /v1/txn", "[", 400, "Request decode failed"},
    {TXN("{}"), 400, "Operation 0: it has none of KV, Node"},
    {TXN(NODE("jump", "\"Node\":\"h\"")), 409,
     "{\"OpIndex\":0,\"What\":\"unknown Node verb \\\"jump\\\"\"}"},
    {TXN("{\"Node\":{\"Verb\":\"get\"}}"), 400, "what is it about"},
    {TXN(NODE("get", "")), 400, "Node, its name, is missing"},
    {TXN(NODE("set", "\"Node\":\"h\",\"Address\":\"0.0.0.0\"")), 400,
     "0.0.0.0"},
    {TXN(NODE("cas", "\"Node\":\"h\",\"ModifyIndex\":-1")), 400,
     "number of 0 or more"},
    {TXN(SERVICE("set", "h", "\"ID\":\"w1\"")), 400, "the name, is missing"},
    {TXN(SERVICE("get", "h", "")), 400, "Service.ID is missing"},
    {TXN(SERVICE("get", "", "\"ID\":\"w1\"")), 400, "its name, is missing"},
    {TXN(CHECK("set", "\"Node\":\"h\"")), 400, "CheckID is missing"},
    {TXN(SET("a", "eA==") "," KV("jump", "a")), 409,
     "{\"OpIndex\":1,\"What\":\"unknown KV verb \\\"jump\\\"\"}"},
    {TXN(KV("set", "")), 409, "{\"OpIndex\":0,\"What\":\"Must provide key\"}"},
    {TXN(SET("a", "x")), 400, "not base64"},
    {TXN(KV3("set", "a", "\"Flags\":-1")), 400, "numbers of 0 or more"},
    {"GET /v1/txn", NULL, 405, "not allowed"},
    {NULL, NULL, 0, NULL},
};

/* ---- Events ------------------------------------------------------- */

static const struct step events[] = {
    {"GET /v1/event/list", NULL, 200, "[]"},
    {"PUT /v1/event/fire/deploy", "v2", 200,
     "\"Name\":\"deploy\",\"Payload\":\"djI=\",\"NodeFilter\":\"\","
     "\"ServiceFilter\":\"\",\"TagFilter\":\"\",\"Version\":1,\"LTime\":4}"},
    {"PUT /v1/event/fire/empty?node=^ed", "", 200, "\"Payload\":null"},
    {"GET /v1/event/list?name=deploy", NULL, 200, "\"LTime\":4}]"},
    {"GET /v1/event/list?name=empty", NULL, 200, "\"NodeFilter\":\"^ed\""},
    {"GET /v1/event/list?name=other", NULL, 200, "[]"},
    /* For others. */
    {"PUT /v1/event/fire/o?node=^x", "", 200, "o"},
    {"GET /v1/event/list?name=o", NULL, 200, "[]"},
    {"PUT /v1/event/fire/s?service=web&tag=v2", "", 200, "s"},
    {"GET /v1/event/list?name=s", NULL, 200, "[]"},
    {"PUT /v1/event/fire/w?service=web&tag=v1", "", 200, "w"},
    {"GET /v1/event/list?name=w", NULL, 200, "\"Name\":\"w\""},
    {"PUT /v1/event/fire/x?node=(", "", 400, "Invalid node filter"},
    {"PUT /v1/event/fire/x?tag=v1", "", 400, "needs a service filter"},
    {NULL, NULL, 0, NULL},
};

/* ---- Nodes, services and checks ----------------------------------- */

#define H    "\"Node\":\"h\""
#define HOST NODE("set", H ",\"Address\":\"10.0.0.9\"")
#define WEB  SERVICE("set", "h", "\"ID\":\"w1\",\"Service\":\"web\"")
#define C_OF_WEB                                              \
    CHECK("set", H ",\"CheckID\":\"c\",\"ServiceID\":\"w1\"," \
                   "\"Status\":\"passing\"")

static const struct step catalogue[] = {
    {TXN(HOST "," WEB "," C_OF_WEB "," SET("k", "MQ==")), 200,
     "{\"Results\":[{\"Node\":{\"ID\":\""},
    {"GET /v1/health/service/web?passing", NULL, 200, "\"CheckID\":\"c\""},
    {"GET /v1/kv/k?raw", NULL, 200, "1"},
    {TXN(SERVICE("get", "H", "\"ID\":\"w1\"")), 200,
     "{\"Results\":[{\"Service\":{\"ID\":\"w1\",\"Service\":\"web\""},
    {TXN(NODE("get", H)), 200, "\"CreateIndex\":4,\"ModifyIndex\":4}}]"},
    {TXN(CHECK("get", H ",\"CheckID\":\"c\",\"ServiceID\":\"w1\"")), 200,
     "\"ServiceName\":\"web\""},
    {TXN(SERVICE("get", "h", "\"ID\":\"w2\"")), 409,
     "{\"OpIndex\":0,\"What\":\"service \\\"w2\\\" on node \\\"h\\\" "
     "doesn't exist\"}"},
    /* Its checks stay when a service is written again; under another name,
     * too, and then the old one is gone. */
    {TXN(SERVICE("set", "h", "\"ID\":\"w1\",\"Service\":\"api\"")), 200,
     "\"Service\":\"api\""},
    {"GET /v1/health/service/web", NULL, 200, "[]"},
    {"GET /v1/health/service/api", NULL, 200, "\"CheckID\":\"c\""},
    {TXN(CHECK("delete", H ",\"CheckID\":\"c\",\"ServiceID\":\"w1\"")), 200,
     "{\"Results\":[],\"Errors\":null}"},
    {"GET /v1/health/checks/api", NULL, 200, "[]"},
    {TXN(SERVICE("delete", "h", "\"ID\":\"w1\"")), 200, "\"Results\":[]"},
    {"GET /v1/catalog/node/h", NULL, 200, "\"Services\":{}"},
    {TXN(SERVICE("delete", "h", "\"ID\":\"w1\"")), 200, "\"Errors\":null"},
    {NULL, NULL, 0, NULL},
};

/* Nothing is written when one of them fails, on whichever side. */
static const struct step catalogue_or_none[] = {
    {TXN(SET("k", "MQ==") "," WEB "," KV("get", "none")), 409,
     "[{\"OpIndex\":1,\"What\":\"Missing node registration\"},{\"OpIndex\":2"},
    {"GET /v1/kv/k", NULL, 404, ""},
    {TXN(HOST "," KV("get", "none")), 409, "\"OpIndex\":1"},
    {"GET /v1/catalog/node/h", NULL, 200, "null"},
    {TXN(HOST "," C_OF_WEB), 409, "Missing service registration"},
    {TXN(NODE("set", H)), 409, "Must provide address"},
    {TXN(HOST "," NODE("set", H ",\"ID\":\"x\"") "," WEB), 200, "4"},
    {TXN(NODE("set", H ",\"ID\":\"y\"")), 409, "is reserved by node x"},
    {TXN(NODE("set", "\"Node\":\"edge\",\"Address\":\"10.0.0.1\"")), 409,
     "runs an agent"},
    {TXN(SERVICE("delete", "edge", "\"ID\":\"web\"")), 409, "runs an agent"},
    {TXN(SERVICE("get", "edge", "\"ID\":\"web\"")), 200, "\"Tags\":[\"v1\"]"},
    {"PUT /v1/txn?force", "[" SERVICE("delete", "edge", "\"ID\":\"web\"") "]",
     200, "[]"},
    {NULL, NULL, 0, NULL},
};

static const struct step catalogue_cas[] = {
    {TXN(NODE("cas", H ",\"Address\":\"10.0.0.9\",\"ModifyIndex\":1")), 409,
     "failed to set node \\\"h\\\", index is stale"},
    {TXN(NODE("cas", H ",\"Address\":\"10.0.0.9\",\"ModifyIndex\":0")), 200,
     "\"ModifyIndex\":4"},
    {TXN(NODE("cas", H ",\"Address\":\"10.0.0.8\",\"ModifyIndex\":4")), 200,
     "\"CreateIndex\":4,\"ModifyIndex\":5"},
    {TXN(WEB "," C_OF_WEB), 200, "6"},
    {TXN(SERVICE("delete-cas", "h", "\"ID\":\"w1\",\"ModifyIndex\":5")), 409,
     "failed to delete service"},
    {TXN(CHECK("cas", H ",\"CheckID\":\"n\",\"ModifyIndex\":0")), 200,
     "\"ServiceID\":\"\""},
    {TXN(CHECK("cas", H ",\"CheckID\":\"n\",\"ModifyIndex\":0")), 409,
     "failed to set check"},
    {"GET /v1/health/node/h", NULL, 200, "\"CheckID\":\"n\""},
    /* All of a node goes with it, in the order of the operations. */
    {TXN(NODE("delete-cas", H ",\"ModifyIndex\":5") "," HOST "," SERVICE(
         "set", "h", "\"ID\":\"w9\",\"Service\":\"web\"")),
     200, "\"CreateIndex\":8,\"ModifyIndex\":8"},
    {"GET /v1/health/node/h", NULL, 200, "[]"},
    {"GET /v1/catalog/service/web?filter=Node==h", NULL, 200,
     "\"ServiceID\":\"w9\""},
    {TXN(NODE("delete", H)), 200, "[]"},
    {"GET /v1/catalog/node/h", NULL, 200, "null"},
    {NULL, NULL, 0, NULL},
};

static const struct step *const stories[] = {
    results, all_or_none, in_order,          refused,
    events,  catalogue,   catalogue_or_none, catalogue_cas};

/* Somebody writes the node between reading and writing: decided again. */
static void get_in_between(struct fake *f, const struct store_ask *ask)
{
    if (ask->changes_count > 0) {
        f->before_ask = NULL;
        fake_put(f, "/muster/v1/dc1/node/h",
                 "{\"name\":\"h\",\"id\":\"z\",\"address\":\"10.9.9.9\","
                 "\"external\":true}");
    }
}

START_TEST(a_race_is_decided_again)
{
    struct fake f;

    fake_start(&f);
    f.confirms = true;
    f.before_ask = get_in_between;
    (void)fake_reply(
        &f, TXN(NODE("cas", H ",\"Address\":\"10.0.0.9\",\"ModifyIndex\":0")),
        409);
    ck_assert_ptr_nonnull(
        strstr(fake_reply(&f, "GET /v1/catalog/node/h", "", 200), "10.9.9.9"));
    fake_stop(&f);
}
END_TEST

static const char *const web_links[] = {"web"};
static const struct acl_policy_setting policies[] = {
    {"web", "service \"web\" {policy=\"write\"} node \"h\" {policy=\"read\"}"},
};
static const struct acl_token_setting tokens[] = {
    {"web-secret", "web", "", {web_links, 1}},
};

static const struct {
    const char *op;
    int status;
} rights[] = {
    {WEB, 200},
    {C_OF_WEB, 200},
    {SERVICE("get", "h", "\"ID\":\"w1\""), 200},
    {NODE("get", H), 200},
    {HOST, 403},
    {NODE("delete", H), 403},
    {CHECK("set", H ",\"CheckID\":\"n\""), 403},
    {SERVICE("get", "h", "\"ID\":\"d1\""), 403},
    {SERVICE("get", "edge", "\"ID\":\"web\""), 403}, /* Not that node. */
    {SERVICE("delete", "h", "\"ID\":\"d1\""), 403},
    {SERVICE("set", "h", "\"ID\":\"d1\",\"Service\":\"web\""), 403},
    {SERVICE("set", "h", "\"ID\":\"x\",\"Service\":\"db\""), 403},
};

START_TEST(rights_by_row)
{
    struct acl_settings settings = {.enabled = true,
                                    .otherwise = ACL_DEFAULT_DENY,
                                    .policies = policies,
                                    .policies_count = 1,
                                    .tokens = tokens,
                                    .tokens_count = 1};
    char body[400];
    struct fake f;

    fake_start(&f);
    f.confirms = true;
    (void)fake_reply(&f,
                     TXN(HOST "," WEB "," SERVICE(
                         "set", "h", "\"ID\":\"d1\",\"Service\":\"db\"")),
                     200);
    f.acl = acl_new("dc1");
    acl_configure(f.acl, &settings);
    (void)snprintf(body, sizeof(body), "[%s]", rights[_i].op);
    (void)fake_reply(&f, "PUT /v1/txn?token=web-secret", body,
                     rights[_i].status);
    acl_free(f.acl);
    fake_stop(&f);
}
END_TEST

START_TEST(stories_hold)
{
    play(stories[_i]);
}
END_TEST

START_TEST(a_transaction_has_64_operations_at_most)
{
    struct fake f;
    struct buf body;

    fake_start(&f);
    buf_init(&body, 64 * 1024);
    ck_assert_int_eq(buf_add_str(&body, "["), ST_OK);
    for (int i = 0; i < 64; i++) {
        ck_assert_int_eq(buf_addf(&body,
                                  "%s{\"KV\":{\"Verb\":\"set\",\"Key\":\"k%d\"}"
                                  "}",
                                  i ? "," : "", i),
                         ST_OK);
    }
    ck_assert_int_eq(buf_add_str(&body, "]"), ST_OK);
    (void)fake_reply(&f, "PUT /v1/txn", buf_cstr(&body), 200);
    body.len--;
    ck_assert_int_eq(
        buf_add_str(&body, ",{\"KV\":{\"Verb\":\"get\",\"Key\":\"x\"}}]"),
        ST_OK);
    (void)fake_reply(&f, "PUT /v1/txn", buf_cstr(&body), 413);
    buf_release(&body);
    fake_stop(&f);
}
END_TEST

START_TEST(a_poll_waits_for_an_event)
{
    struct fake f;
    struct api_outcome o;

    fake_start(&f);
    (void)fake_reply(&f, "PUT /v1/event/fire/one", "", 200); /* 3 */
    fake_ask(&f, "GET /v1/event/list?index=3", "", &o);
    ck_assert_int_eq(o.kind, API_FOLLOW);
    api_outcome_release(&o);
    (void)fake_reply(&f, "PUT /v1/event/fire/two", "", 200);
    ck_assert_ptr_nonnull(
        strstr(fake_reply(&f, "GET /v1/event/list?index=3", "", 200), "two"));
    /* The end of an old one is no news. */
    fake_lease_end(&f, 1);
    fake_ask(&f, "GET /v1/event/list?index=4", "", &o);
    ck_assert_int_eq(o.kind, API_FOLLOW);
    api_outcome_release(&o);
    fake_stop(&f);
}
END_TEST

UNIT_MAIN("api_txn", {
    tcase_add_loop_test(tc, stories_hold, 0, COUNT_OF(stories));
    tcase_add_test(tc, a_transaction_has_64_operations_at_most);
    tcase_add_test(tc, a_poll_waits_for_an_event);
    tcase_add_test(tc, a_race_is_decided_again);
    tcase_add_loop_test(tc, rights_by_row, 0, COUNT_OF(rights));
})
