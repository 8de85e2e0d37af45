#include <jansson.h>
#include <stdio.h>

#include "agent/core/api.h"
#include "api_world.h"

#define DC1(rest) "/muster/v1/dc1/" rest
#define DC2(rest) "/muster/v1/dc2/" rest
#define INSTANCE(node, service, id, more)                             \
    "{\"node\":\"" node "\",\"service\":\"" service "\",\"id\":\"" id \
    "\"" more "}"
#define NODE(name, address, more)                                          \
    "{\"name\":\"" name "\",\"id\":\"id-" name "\",\"address\":\"" address \
    "\"" more "}"
#define CHECK_OF(id, status) \
    "{\"id\":\"" id "\",\"name\":\"" id "\",\"status\":\"" status "\"}"

static void stage(struct fake *f)
{
    fake_start(f);
    fake_elsewhere(f, "dc2");
    (void)fake_settle(f);
    fake_put(f, DC1("node/edge"),
             NODE("edge", "10.0.0.7", ",\"meta\":{\"zone\":\"a\"}"));
    fake_put(f, DC1("node/north"),
             NODE("north", "10.0.0.8", ",\"meta\":{\"zone\":\"b\"}"));
    fake_put(f, DC1("live/north"), "{\"node_id\":\"id-north\"}");
    fake_put(
        f, DC1("inst/web/edge/w1"),
        INSTANCE("edge", "web", "w1",
                 ",\"tags\":[\"v1\",\"blue\"],\"meta\":{\"team\":\"pay\"}"));
    fake_put(f, DC1("inst/web/north/w2"),
             INSTANCE("north", "web", "w2",
                      ",\"tags\":[\"v2\"],\"checks\":[" CHECK_OF(
                          "c2", "warning") "]"));
    fake_put(f, DC1("inst/web/north/w3"),
             INSTANCE("north", "web", "w3",
                      ",\"tags\":[\"v3\"],\"checks\":[" CHECK_OF(
                          "c3", "critical") "]"));
    fake_put(f, DC2("node/far"), NODE("far", "10.2.0.1", ""));
    fake_put(f, DC2("live/far"), "{\"node_id\":\"id-far\"}");
    fake_put(f, DC2("inst/web/far/w9"),
             INSTANCE("far", "web", "w9", ",\"tags\":[\"v1\"]"));
    fake_put(f, DC2("inst/db/far/d9"), INSTANCE("far", "db", "d9", ""));
}

/* "$" in a line or a body stands for an id. */
static const char *reply_of(struct fake *f, const char *line, const char *id,
                            const char *body, int status)
{
    static char full[2][512];
    const char *given[] = {line, body};

    for (size_t i = 0; i < 2; i++) {
        const char *at = strchr(given[i], '$');

        if (at != NULL && at[1] != '{') {
            (void)snprintf(full[i], sizeof(full[i]), "%.*s%s%s",
                           (int)(at - given[i]), given[i], id, at + 1);
        } else {
            (void)snprintf(full[i], sizeof(full[i]), "%s", given[i]);
        }
    }
    return fake_reply(f, full[0], full[1], status);
}

static const char *create(struct fake *f, const char *body)
{
    static char id[40];
    const char *reply = fake_reply(f, "POST /v1/query", body, 200);

    ck_assert_int_eq(strncmp(reply, "{\"ID\":\"", 7), 0);
    (void)snprintf(id, sizeof(id), "%.36s", reply + 7);
    return id;
}

/* Ids of the instances, in the reply's order. */
static const char *ids_of(const char *reply)
{
    static char ids[256];
    json_t *object = json_loads(reply, 0, NULL);
    const json_t *nodes = json_object_get(object, "Nodes");

    ck_assert_msg(object != NULL, "%s", reply);
    ids[0] = '\0';
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *service =
            json_object_get(json_array_get(nodes, i), "Service");

        (void)snprintf(ids + strlen(ids), sizeof(ids) - strlen(ids), "%s%s",
                       i == 0 ? "" : " ",
                       json_string_value(json_object_get(service, "ID")));
    }
    json_decref(object);
    return ids;
}

/* ---- Executing ----------------------------------------------------- */

/* What a query says beside its name; what is asked; the instances, of which
 * several are sorted; the datacenter and how many others were tried. */
static const struct {
    const char *query;
    const char *name;
    const char *ids;
    const char *datacenter;
    int failovers;
} executions[] = {
    {"\"Service\":{\"Service\":\"web\",\"Near\":\"_agent\"}", "q", "w1 w2",
     "dc1", 0},
    {"\"Service\":{\"Service\":\"web\",\"Near\":\"north\"}", "Q", "w2 w1",
     "dc1", 0},
    {"\"Service\":{\"Service\":\"web\",\"Near\":\"north\"}", "q?limit=1", "w2",
     "dc1", 0},
    {"\"Service\":{\"Service\":\"web\"}", "q?near=north", "w2 w1", "dc1", 0},
    {"\"Service\":{\"Service\":\"web\"}", "q?passing", "w1", "dc1", 0},
    {"\"Service\":{\"Service\":\"web\",\"OnlyPassing\":true}", "q", "w1", "dc1",
     0},
    {"\"service\":{\"service\":\"web\",\"onlypassing\":true}", "q", "w1", "dc1",
     0},
    {"\"Service\":{\"Service\":\"web\",\"Tags\":[\"V2\"]}", "q", "w2", "dc1",
     0},
    {"\"Service\":{\"Service\":\"web\",\"Tags\":[\"!v2\"]}", "q", "w1", "dc1",
     0},
    {"\"Service\":{\"Service\":\"web\",\"NodeMeta\":{\"zone\":\"b\"}}", "q",
     "w2", "dc1", 0},
    {"\"Service\":{\"Service\":\"web\",\"ServiceMeta\":{\"team\":\"pay\"}}",
     "q", "w1", "dc1", 0},
    {"\"Service\":{\"Service\":\"web\",\"Tags\":[\"v3\"],\"OnlyPassing\":true,"
     "\"IgnoreCheckIDs\":[\"c3\"]}",
     "q", "w3", "dc1", 0},
    {"\"Service\":{\"Service\":\"db\"}", "q", "", "dc1", 0},
    {"\"Service\":{\"Service\":\"db\",\"Failover\":{\"NearestN\":2}}", "q",
     "d9", "dc2", 1},
    {"\"Service\":{\"Service\":\"db\",\"Failover\":{\"Datacenters\":[\"dc7\","
     "\"dc2\"]}}",
     "q", "d9", "dc2", 1},
    {"\"Service\":{\"Service\":\"none\",\"Failover\":{\"Datacenters\":["
     "\"dc2\"]}}",
     "q", "", "dc2", 1},
    {"\"Service\":{\"Service\":\"web\",\"Failover\":{\"NearestN\":1}}",
     "q?passing", "w1", "dc1", 0},
    {"\"Template\":{\"Type\":\"name_prefix_match\"},\"Service\":{\"Service\":"
     "\"${name.suffix}\",\"Tags\":[\"v2\"]}",
     "qweb", "w2", "dc1", 0},
    {"\"Template\":{\"Type\":\"name_prefix_match\",\"Regexp\":\"^q-(.+)-(.+)$\""
     "},\"Service\":{\"Service\":\"${match(1)}\",\"Tags\":[\"${match(2)}\"]}",
     "q-web-v1", "w1", "dc1", 0},
    {"\"Template\":{\"Type\":\"name_prefix_match\",\"Regexp\":\"^q-(.+)-(.+)$\""
     ",\"RemoveEmptyTags\":true},\"Service\":{\"Service\":\"web\",\"Tags\":"
     "[\"${match(2)}\"],\"OnlyPassing\":true}",
     "qx", "w1", "dc1", 0},
};

START_TEST(executed_by_row)
{
    char text[512];
    struct fake f;
    json_t *reply;

    stage(&f);
    (void)snprintf(text, sizeof(text), "{\"Name\":\"q\",%s}",
                   executions[_i].query);
    (void)create(&f, text);
    (void)snprintf(text, sizeof(text), "GET /v1/query/%.*s/execute%s",
                   (int)strcspn(executions[_i].name, "?"), executions[_i].name,
                   executions[_i].name + strcspn(executions[_i].name, "?"));
    reply = json_loads(fake_reply(&f, text, "", 200), 0, NULL);
    ck_assert_str_eq(ids_of(fake_reply(&f, text, "", 200)), executions[_i].ids);
    ck_assert_str_eq(json_string_value(json_object_get(reply, "Datacenter")),
                     executions[_i].datacenter);
    ck_assert_int_eq(json_integer_value(json_object_get(reply, "Failovers")),
                     executions[_i].failovers);
    json_decref(reply);
    fake_stop(&f);
}
END_TEST

START_TEST(executed_elsewhere)
{
    const char *reply;
    struct fake f;

    stage(&f);
    fake_put(&f, DC2("lookup/x"),
             "{\"name\":\"q\",\"service\":{\"service\":\"web\",\"tags\":[\"v2\""
             "],\"failover\":{\"nearest_n\":1}}}");
    (void)fake_reply(&f, "GET /v1/query/q/execute", "", 404);
    reply = fake_reply(&f, "GET /v1/query/q/execute?dc=dc2", "", 200);
    ck_assert_str_eq(ids_of(reply), "w2");
    ck_assert_msg(strstr(reply, "\"Datacenter\":\"dc1\",\"Failovers\":1"), "%s",
                  reply);
    fake_stop(&f);
}
END_TEST

START_TEST(several_are_shuffled)
{
    unsigned first_w1 = 0;
    struct fake f;

    stage(&f);
    (void)create(&f, "{\"Name\":\"q\",\"Service\":{\"Service\":\"web\"}}");
    for (unsigned i = 0; i < 200; i++) {
        f.from.jitter = i * 7919;
        first_w1 += ids_of(fake_reply(&f, "GET /v1/query/q/execute", "",
                                      200))[1] == '1';
    }
    ck_assert_uint_gt(first_w1, 50);
    ck_assert_uint_lt(first_w1, 150);
    fake_stop(&f);
}
END_TEST

/* ---- Refusals ------------------------------------------------------ */

static const struct {
    const char *line;
    const char *body;
    int status;
    const char *text;
} refusals[] = {
    {"GET /v1/query/nope", "", 404, "Query not found"},
    {"GET /v1/query/nope/execute", "", 404, "Query not found"},
    {"GET /v1/query/nope/explain", "", 404, "Query not found"},
    {"GET /v1/query/q/execute?limit=x", "", 400,
     "Bad limit \"x\": not a number"},
    {"GET /v1/query/q/execute?connect=true", "", 400,
     "connect is not supported: there is no service mesh"},
    {"PUT /v1/query/nope", "{\"Name\":\"x\",\"Service\":{\"Service\":\"web\"}}",
     404, "Cannot modify non-existent prepared query: 'nope'"},
    {"DELETE /v1/query/nope", "", 404,
     "Cannot modify non-existent prepared query: 'nope'"},
    {"DELETE /v1/query", "", 405, "method DELETE not allowed"},
    {"POST /v1/query", "{\"Name\":\"x\"}", 400,
     "Invalid prepared query: Must provide a Service name to query"},
    {"POST /v1/query", "{\"Service\":{\"Service\":\"web\"}}", 400,
     "Invalid prepared query: Must be bound to a session"},
    {"POST /v1/query", "{\"Name\":\"Q\",\"Service\":{\"Service\":\"web\"}}",
     400, "name 'Q' aliases an existing query name"},
    {"POST /v1/query", "{\"Name\":\"$\",\"Service\":{\"Service\":\"web\"}}",
     400, "name '$' aliases an existing query ID"},
    {"POST /v1/query",
     "{\"Name\":\"x\",\"Session\":\"s\",\"Service\":{\"Service\":\"web\"}}",
     400, "invalid session \"s\": there is no such session"},
    {"POST /v1/query",
     "{\"Name\":\"x\",\"Session\":\"a/b\",\"Service\":{\"Service\":\"web\"}}",
     400, "invalid session \"a/b\": that is no session's id"},
    {"POST /v1/query",
     "{\"Name\":\"x\",\"Service\":{\"Service\":\"web\",\"Connect\":true}}", 400,
     "Invalid prepared query: Connect is not supported: there is no service "
     "mesh"},
};

START_TEST(refused_by_row)
{
    char wanted[256];
    const char *at = strchr(refusals[_i].text, '$');
    struct fake f;
    const char *id;

    stage(&f);
    id = create(&f, "{\"Name\":\"q\",\"Service\":{\"Service\":\"web\"}}");
    (void)snprintf(wanted, sizeof(wanted), "%.*s%s%s",
                   at ? (int)(at - refusals[_i].text) : 255, refusals[_i].text,
                   at ? id : "", at ? at + 1 : "");
    ck_assert_str_eq(reply_of(&f, refusals[_i].line, id, refusals[_i].body,
                              refusals[_i].status),
                     wanted);
    fake_stop(&f);
}
END_TEST

START_TEST(what_cannot_be_read_is_said)
{
    const char *text;
    struct fake f;

    stage(&f);
    text = fake_reply(&f, "POST /v1/query", "{", 400);
    ck_assert_int_eq(strncmp(text, "Request decode failed: ", 23), 0);
    text = fake_reply(&f, "POST /v1/query",
                      "{\"Name\":\"x\",\"DNS\":{\"TTL\":\"soon\"},\"Service\":{"
                      "\"Service\":\"web\"}}",
                      400);
    ck_assert_msg(strstr(text, "Bad DNS TTL 'soon'") != NULL, "%s", text);
    fake_stop(&f);
}
END_TEST

/* ---- Life ---------------------------------------------------------- */

#define SHOWN(name, token, revisions)                                          \
    "[{\"ID\":\"$\",\"Name\":\"" name "\",\"Session\":\"\",\"Token\":\"" token \
    "\",\"Template\":{\"Type\":\"\",\"Regexp\":\"\",\"RemoveEmptyTags\":"      \
    "false},\"Service\":{\"Service\":\"web\",\"Failover\":{\"NearestN\":0,"    \
    "\"Datacenters\":[]},\"OnlyPassing\":false,\"IgnoreCheckIDs\":[],"         \
    "\"Near\":\"\",\"Tags\":[],\"NodeMeta\":{},\"ServiceMeta\":{},"            \
    "\"Connect\":false},\"DNS\":{\"TTL\":\"10s\"}" revisions "}]"

static void expect_shown(const char *got, const char *wanted, const char *id)
{
    const char *at = strchr(wanted, '$');
    char text[1024];
    const char *end = strstr(got, ",\"CreateIndex\"");

    (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - wanted), wanted,
                   id, at + 1);
    ck_assert_ptr_nonnull(end);
    ck_assert_msg(strncmp(got, text, (size_t)(end - got)) == 0, "%s", got);
}

START_TEST(made_changed_and_deleted)
{
    const char *id;
    struct fake f;

    stage(&f);
    id = create(&f, "{\"Name\":\"q\",\"DNS\":{\"TTL\":\"10s\"},\"Service\":{"
                    "\"Service\":\"web\"}}");
    expect_shown(reply_of(&f, "GET /v1/query/$", id, "", 200),
                 SHOWN("q", "", ""), id);
    expect_shown(reply_of(&f, "GET /v1/query", id, "", 200), SHOWN("q", "", ""),
                 id);
    ck_assert_str_eq(
        reply_of(&f, "PUT /v1/query/$", id,
                 "{\"Name\":\"r\",\"DNS\":{\"TTL\":\"10s\"},\"Service\":{"
                 "\"Service\":\"web\"}}",
                 200),
        "");
    expect_shown(reply_of(&f, "GET /v1/query/$", id, "", 200),
                 SHOWN("r", "", ""), id);
    (void)fake_reply(&f, "GET /v1/query/q/execute", "", 404);
    ck_assert_str_eq(reply_of(&f, "DELETE /v1/query/$", id, "", 200), "");
    ck_assert_str_eq(fake_reply(&f, "GET /v1/query", "", 200), "[]");
    (void)reply_of(&f, "GET /v1/query/$", id, "", 404);
    fake_stop(&f);
}
END_TEST

START_TEST(explained)
{
    const char *reply;
    struct fake f;

    stage(&f);
    (void)create(&f, "{\"Name\":\"q-\",\"Template\":{\"Type\":\"name_prefix_"
                     "match\"},\"Service\":{\"Service\":\"${name.suffix}\"}}");
    reply = fake_reply(&f, "GET /v1/query/q-web/explain", "", 200);
    ck_assert_int_eq(strncmp(reply, "{\"Query\":{\"ID\":", 15), 0);
    ck_assert_msg(strstr(reply, "\"Service\":{\"Service\":\"web\","), "%s",
                  reply);
    fake_stop(&f);
}
END_TEST

/* Somebody takes the name while we ask for it. */
static void take_name(struct fake *f, const struct store_ask *ask)
{
    (void)ask;
    f->before_ask = NULL;
    fake_put(f, DC1("lookup/other"),
             "{\"name\":\"q\",\"service\":{\"service\":\"db\"}}");
}

START_TEST(a_name_is_given_once)
{
    struct fake f;

    stage(&f);
    f.before_ask = take_name;
    ck_assert_str_eq(
        fake_reply(&f, "POST /v1/query",
                   "{\"Name\":\"q\",\"Service\":{\"Service\":\"web\"}}", 400),
        "name 'q' aliases an existing query name");
    fake_stop(&f);
}
END_TEST

/* ---- Sessions ------------------------------------------------------ */

START_TEST(goes_with_its_session)
{
    static char session[40];
    const char *id;
    struct fake f;

    stage(&f);
    (void)snprintf(
        session, sizeof(session), "%.36s",
        fake_reply(&f, "PUT /v1/session/create", "{\"Checks\":[]}", 200) + 7);
    id = reply_of(&f, "POST /v1/query", session,
                  "{\"Session\":\"$\",\"Service\":{\"Service\":\"web\"}}", 200);
    (void)id;
    (void)reply_of(&f, "POST /v1/query", session,
                   "{\"Name\":\"q\",\"Session\":\"$\",\"Service\":{\"Service\":"
                   "\"web\"}}",
                   200);
    (void)create(&f, "{\"Name\":\"stays\",\"Service\":{\"Service\":\"web\"}}");
    (void)fake_reply(&f, "GET /v1/query/q/execute", "", 200);
    (void)reply_of(&f, "PUT /v1/session/destroy/$", session, "", 200);
    (void)fake_reply(&f, "GET /v1/query/q/execute", "", 404);
    (void)fake_reply(&f, "GET /v1/query/stays/execute", "", 200);
    ck_assert_ptr_null(
        strstr(fake_reply(&f, "GET /v1/query", "", 200), "\"Name\":\"\""));
    fake_stop(&f);
}
END_TEST

START_TEST(many_go_with_their_session)
{
    static char session[40];
    char body[256];
    struct fake f;

    stage(&f);
    (void)snprintf(
        session, sizeof(session), "%.36s",
        fake_reply(&f, "PUT /v1/session/create", "{\"Checks\":[]}", 200) + 7);
    for (int i = 0; i < 20; i++) {
        (void)snprintf(body, sizeof(body),
                       "{\"Name\":\"q%d\",\"Session\":\"%s\",\"Service\":{"
                       "\"Service\":\"web\"}}",
                       i, session);
        (void)create(&f, body);
    }
    (void)reply_of(&f, "PUT /v1/session/destroy/$", session, "", 200);
    ck_assert_str_eq(fake_reply(&f, "GET /v1/query", "", 200), "[]");
    fake_stop(&f);
}
END_TEST

/* Unbound again, it stays. */
START_TEST(can_be_parted_from_its_session)
{
    static char session[40];
    static char id[40];
    struct fake f;

    stage(&f);
    (void)snprintf(
        session, sizeof(session), "%.36s",
        fake_reply(&f, "PUT /v1/session/create", "{\"Checks\":[]}", 200) + 7);
    (void)snprintf(id, sizeof(id), "%.36s",
                   reply_of(&f, "POST /v1/query", session,
                            "{\"Name\":\"q\",\"Session\":\"$\",\"Service\":{"
                            "\"Service\":\"web\"}}",
                            200) +
                       7);
    (void)reply_of(&f, "PUT /v1/query/$", id,
                   "{\"Name\":\"q\",\"Service\":{\"Service\":\"web\"}}", 200);
    (void)reply_of(&f, "PUT /v1/session/destroy/$", session, "", 200);
    (void)fake_reply(&f, "GET /v1/query/q/execute", "", 200);
    fake_stop(&f);
}
END_TEST

/* ---- Polls --------------------------------------------------------- */

static const struct {
    const char *path;
    const char *key;
    const char *value;
    bool wakes;
} polls[] = {
    {"/v1/query", DC1("lookup/b"),
     "{\"name\":\"b\",\"service\":{\"service\":\"db\"}}", true},
    {"/v1/query", DC1("lookup/a"), NULL, true},
    {"/v1/query", DC1("inst/web/edge/w1"), NULL, false},
    {"/v1/query/a", DC1("lookup/b"),
     "{\"name\":\"b\",\"service\":{\"service\":\"db\"}}", false},
    {"/v1/query/a", DC1("lookup/a"),
     "{\"name\":\"a2\",\"service\":{\"service\":\"db\"}}", true},
    {"/v1/query/a", DC1("lookup/a"), NULL, true},
};

START_TEST(polls_by_row)
{
    struct api_outcome o;
    char line[128];
    struct fake f;

    stage(&f);
    fake_put(&f, DC1("lookup/a"),
             "{\"name\":\"a\",\"service\":{\"service\":\"web\"}}");
    (void)snprintf(line, sizeof(line), "GET %s", polls[_i].path);
    (void)snprintf(line, sizeof(line), "GET %s?index=%llu", polls[_i].path,
                   (unsigned long long)index_of(&f, line));
    fake_ask(&f, line, "", &o);
    ck_assert_int_eq(o.kind, API_WAIT);
    o.scope.name = "a"; /* The arena is that of one request. */
    fake_put(&f, polls[_i].key, polls[_i].value);
    ck_assert_int_eq(api_should_wake(&o, f.catalog), polls[_i].wakes);
    api_outcome_release(&o);
    fake_stop(&f);
}
END_TEST

UNIT_MAIN("api_query", {
    tcase_add_loop_test(tc, executed_by_row, 0, COUNT_OF(executions));
    tcase_add_test(tc, executed_elsewhere);
    tcase_add_test(tc, several_are_shuffled);
    tcase_add_loop_test(tc, refused_by_row, 0, COUNT_OF(refusals));
    tcase_add_test(tc, what_cannot_be_read_is_said);
    tcase_add_test(tc, made_changed_and_deleted);
    tcase_add_test(tc, explained);
    tcase_add_test(tc, a_name_is_given_once);
    tcase_add_test(tc, goes_with_its_session);
    tcase_add_test(tc, many_go_with_their_session);
    tcase_add_test(tc, can_be_parted_from_its_session);
    tcase_add_loop_test(tc, polls_by_row, 0, COUNT_OF(polls));
})
