#include "agent/core/api.h"

#include <jansson.h>
#include <stdio.h>

#include "api_world.h"

/* ---- Golden answers ----------------------------------------------- */

/* Equal as JSON; the texts are printed if not. */
static void same_json(const char *line, const char *got, const char *wanted)
{
    json_error_t error;
    json_t *a = json_loads(got, JSON_DECODE_ANY, &error);
    json_t *b = json_loads(wanted, JSON_DECODE_ANY, &error);

    ck_assert_msg(b != NULL, "%s: the test's own JSON: %s", line, error.text);
    ck_assert_msg(a != NULL && json_equal(a, b),
                  "%s:\n  %s\n  was expected, but it is\n  %s", line, wanted,
                  got);
    json_decref(a);
    json_decref(b);
}

#define NODE_EDGE                                                          \
    "{\"ID\":\"7a1f0c5e-9a54-4d0a-8a7e-3c1b5a2f9d10\",\"Node\":\"edge\","  \
    "\"Address\":\"10.0.0.7\",\"Datacenter\":\"dc1\",\"TaggedAddresses\":" \
    "{\"lan\":\"10.0.0.7\"},\"Meta\":{\"zone\":\"b\"},\"CreateIndex\":3,"  \
    "\"ModifyIndex\":3}"
#define NODE_PRINTER                                                  \
    "{\"ID\":\"p-1\",\"Node\":\"printer\",\"Address\":\"10.0.0.99\"," \
    "\"Datacenter\":\"dc1\",\"TaggedAddresses\":{},\"Meta\":{},"      \
    "\"CreateIndex\":4,\"ModifyIndex\":4}"
#define SERVICE_BILLING                                                       \
    "{\"ID\":\"billing-1\",\"Service\":\"billing\",\"Tags\":[\"v3\",\"eu\"]," \
    "\"Address\":\"\",\"TaggedAddresses\":{},\"Meta\":{\"team\":\"pay\"},"    \
    "\"Port\":9400,\"Weights\":{\"Passing\":20,\"Warning\":2},"               \
    "\"EnableTagOverride\":false,\"Proxy\":{},\"Connect\":{},\"PeerName\":"   \
    "\"\",\"CreateIndex\":3,\"ModifyIndex\":3}"
#define CHECK_SERF                                                          \
    "{\"Node\":\"edge\",\"CheckID\":\"serfHealth\",\"Name\":\"Serf Health " \
    "Status\",\"Status\":\"passing\",\"Notes\":\"\",\"Output\":\"Agent "    \
    "alive and reachable\",\"ServiceID\":\"\",\"ServiceName\":\"\","        \
    "\"ServiceTags\":[],\"Type\":\"\",\"Interval\":\"\",\"Timeout\":\"\","  \
    "\"ExposedPort\":0,\"PeerName\":\"\",\"Definition\":{},"                \
    "\"CreateIndex\":3,\"ModifyIndex\":3}"
#define CHECK_BILLING(create, modify)                                         \
    "{\"Node\":\"edge\",\"CheckID\":\"service:billing-1\",\"Name\":\"Service" \
    " 'billing' check\",\"Status\":\"passing\",\"Notes\":\"\",\"Output\":"    \
    "\"\",\"ServiceID\":\"billing-1\",\"ServiceName\":\"billing\","           \
    "\"ServiceTags\":[\"v3\",\"eu\"],\"Type\":\"http\",\"Interval\":\"5s\","  \
    "\"Timeout\":\"800ms\",\"ExposedPort\":0,\"PeerName\":\"\","              \
    "\"Definition\":{},\"CreateIndex\":" create ",\"ModifyIndex\":" modify "}"
#define CHECK_PAPER                                                           \
    "{\"Node\":\"printer\",\"CheckID\":\"paper\",\"Name\":\"Paper\","         \
    "\"Status\":\"warning\",\"Notes\":\"\",\"Output\":\"low\",\"ServiceID\":" \
    "\"lpd\",\"ServiceName\":\"lpd\",\"ServiceTags\":[],\"Type\":\"\","       \
    "\"Interval\":\"\",\"Timeout\":\"\",\"ExposedPort\":0,\"PeerName\":\"\"," \
    "\"Definition\":{},\"CreateIndex\":4,\"ModifyIndex\":4}"
#define LOCAL_BILLING                                                        \
    "\"ID\":\"billing-1\",\"Service\":\"billing\",\"Tags\":[\"v3\",\"eu\"]," \
    "\"Meta\":{\"team\":\"pay\"},\"Port\":9400,\"Address\":\"\","            \
    "\"TaggedAddresses\":{},\"Weights\":{\"Passing\":20,\"Warning\":2},"     \
    "\"EnableTagOverride\":false,\"Proxy\":{},\"Connect\":{},\"PeerName\":"  \
    "\"\",\"CreateIndex\":3,\"ModifyIndex\":3,\"Datacenter\":\"dc1\""
#define MEMBER(name)                                                         \
    "{\"Name\":\"" name "\",\"Addr\":\"10.0.0.7\",\"Port\":8301,"            \
    "\"Tags\":{\"role\":\"node\",\"dc\":\"dc1\",\"segment\":\"\","           \
    "\"id\":\"7a1f0c5e-9a54-4d0a-8a7e-3c1b5a2f9d10\",\"build\":\"1.16.0:\"," \
    "\"vsn\":\"2\",\"vsn_min\":\"2\",\"vsn_max\":\"3\"},\"Status\":1,"       \
    "\"ProtocolMin\":1,\"ProtocolMax\":2,\"ProtocolCur\":2,"                 \
    "\"DelegateMin\":2,\"DelegateMax\":5,\"DelegateCur\":4}"

static const struct {
    const char *line;
    const char *json;
} views[] = {
    {"GET /v1/catalog/datacenters", "[\"dc1\"]"},
    {"GET /v1/catalog/services", "{\"billing\":[\"eu\",\"v3\"],\"lpd\":[]}"},
    {"GET /v1/catalog/services?node-meta=zone:b",
     "{\"billing\":[\"eu\",\"v3\"]}"},
    {"GET /v1/catalog/services?node-meta=zone:c", "{}"},
    {"GET /v1/catalog/nodes", "[" NODE_EDGE "," NODE_PRINTER "]"},
    {"GET /v1/catalog/node/EDGE",
     "{\"Node\":" NODE_EDGE ",\"Services\":{\"billing-1\":" SERVICE_BILLING
     "}}"},
    {"GET /v1/catalog/node/nobody", "null"},
    {"GET /v1/catalog/node-services/edge",
     "{\"Node\":" NODE_EDGE ",\"Services\":[" SERVICE_BILLING "]}"},
    {"GET /v1/catalog/service/billing?tag=EU",
     "[{\"ID\":\"7a1f0c5e-9a54-4d0a-8a7e-3c1b5a2f9d10\",\"Node\":\"edge\","
     "\"Address\":\"10.0.0.7\",\"Datacenter\":\"dc1\",\"TaggedAddresses\":"
     "{\"lan\":\"10.0.0.7\"},\"NodeMeta\":{\"zone\":\"b\"},\"ServiceKind\":"
     "\"\",\"ServiceID\":\"billing-1\",\"ServiceName\":\"billing\","
     "\"ServiceTags\":[\"v3\",\"eu\"],\"ServiceAddress\":\"\","
     "\"ServiceTaggedAddresses\":{},\"ServiceWeights\":{\"Passing\":20,"
     "\"Warning\":2},\"ServiceMeta\":{\"team\":\"pay\"},\"ServicePort\":9400,"
     "\"ServiceSocketPath\":\"\",\"ServiceEnableTagOverride\":false,"
     "\"ServiceProxy\":{},\"ServiceConnect\":{},\"ServiceLocality\":null,"
     "\"CreateIndex\":3,\"ModifyIndex\":3}]"},
    {"GET /v1/catalog/service/billing?tag=v3&tag=us", "[]"},
    {"GET /v1/catalog/service/nothing", "[]"},
    {"GET /v1/health/service/billing",
     "[{\"Node\":" NODE_EDGE ",\"Service\":" SERVICE_BILLING
     ",\"Checks\":[" CHECK_SERF "," CHECK_BILLING("3", "3") "]}]"},
    {"GET /v1/health/service/billing?passing=1&tag=v3&stale=",
     "[{\"Node\":" NODE_EDGE ",\"Service\":" SERVICE_BILLING
     ",\"Checks\":[" CHECK_SERF "," CHECK_BILLING("3", "3") "]}]"},
    {"GET /v1/health/service/lpd?passing", "[]"},
    {"GET /v1/health/connect/billing", "[]"},
    {"GET /v1/health/checks/billing", "[" CHECK_BILLING("3", "3") "]"},
    {"GET /v1/health/checks/lpd", "[" CHECK_PAPER "]"},
    {"GET /v1/health/node/edge",
     "[" CHECK_SERF "," CHECK_BILLING("3", "3") "]"},
    {"GET /v1/health/node/printer", "[" CHECK_PAPER "]"},
    {"GET /v1/health/state/warning", "[" CHECK_PAPER "]"},
    {"GET /v1/health/state/passing",
     "[" CHECK_SERF "," CHECK_BILLING("3", "3") "]"},
    {"GET /v1/health/state/any",
     "[" CHECK_SERF "," CHECK_BILLING("3", "3") "," CHECK_PAPER "]"},
    {"GET /v1/health/state/critical", "[]"},
    {"GET /v1/agent/services?pretty", "{\"billing-1\":{" LOCAL_BILLING "}}"},
    {"GET /v1/agent/checks",
     "{\"service:billing-1\":" CHECK_BILLING("0", "0") "}"},
    {"GET /v1/agent/health/service/id/billing-1",
     "{\"AggregatedStatus\":\"passing\",\"Service\":{" LOCAL_BILLING
     "},\"Checks\":[" CHECK_BILLING("0", "0") "]}"},
    {"GET /v1/agent/health/service/name/billing",
     "[{\"AggregatedStatus\":\"passing\",\"Service\":{" LOCAL_BILLING
     "},\"Checks\":[" CHECK_BILLING("0", "0") "]}]"},
    {"GET /v1/agent/self",
     "{\"Config\":{\"Datacenter\":\"dc1\",\"PrimaryDatacenter\":\"dc1\","
     "\"NodeName\":\"edge\",\"NodeID\":\"7a1f0c5e-9a54-4d0a-8a7e-3c1b5a2f9d10\""
     ",\"Revision\":\"\",\"Server\":false,\"Version\":\"1.16.0\",\"BuildDate\":"
     "\"2026-01-01T00:00:00Z\"},\"DebugConfig\":{},\"Coord\":{\"Adjustment\":0,"
     "\"Error\":1.5,\"Height\":0,\"Vec\":[0,0,0,0,0,0,0,0]},\"Member\":" MEMBER(
         "edge") ",\"Stats\":{\"muster\":{\"version\":\"0.1.0\"},"
                 "\"file_faults\":{}},\"Meta\":{\"zone\":\"b\"}}"},
    {"GET /v1/agent/members?segment=_all", "[" MEMBER("edge") "]"},
    {"GET /v1/agent/members?wan=1", "[" MEMBER("edge.dc1") "]"},
    {"GET /v1/operator/raft/configuration",
     "{\"Servers\":[{\"ID\":\"8e9e05c5\",\"Node\":\"m1\",\"Address\":"
     "\"127.0.0.1:2380\",\"Leader\":true,\"Voter\":true,"
     "\"ProtocolVersion\":\"3\"},{\"ID\":\"2\",\"Node\":\"m2\",\"Address\":"
     "\"10.0.0.2:2379\",\"Leader\":false,\"Voter\":true,"
     "\"ProtocolVersion\":\"3\"}],\"Index\":4}"},
    {"GET /v1/status/leader", "\"127.0.0.1:2380\""},
    {"GET /v1/status/peers", "[\"127.0.0.1:2380\"]"},
    {"GET /v1/coordinate/nodes", "[]"},
};

START_TEST(view_is_as_expected)
{
    struct fake f;

    stage_two_hosts(&f);
    same_json(views[_i].line, fake_reply(&f, views[_i].line, "", 200),
              views[_i].json);
    fake_stop(&f);
}
END_TEST

/* ---- Errors ------------------------------------------------------- */

static const struct {
    const char *line;
    const char *body;
    int status;
    const char *text;
} errors[] = {
    {"GET /v1/nonsense", "", 404,
     "Invalid URL path: not a recognized HTTP API endpoint"},
    {"GET /v1/operator/areas", "", 404,
     "Invalid URL path: not a recognized HTTP API endpoint"},
    {"GET /v1/snapshot", "", 404,
     "Invalid URL path: not a recognized HTTP API endpoint: the data is the "
     "store's: \"muster ctl snapshot save\" and \"restore\""},
    {"DELETE /v1/operator/raft/peer?id=x", "", 404,
     "Invalid URL path: not a recognized HTTP API endpoint: the store's "
     "members are changed with \"etcdctl member\""},
    {"GET /v1/connect/intentions", "", 404,
     "Invalid URL path: not a recognized HTTP API endpoint: there is no "
     "Connect (mesh, intentions) here; tokens say who may read or register a "
     "service"},
    {"GET /v1/agent/members?segment=a", "", 400,
     "There are no network segments here"},
    {"PUT /v1/event/fire/_rexec", "{}", 400,
     "Agents run no commands for others (exec): let a \"watch -type=event\" "
     "on each host run one of its own choice"},
    {"GET /v1/catalog/register", "", 405, "method GET not allowed"},
    {"GET /v1/agent/service/register", "", 405, "method GET not allowed"},
    /* As python3-consul asks. */
    {"GET /v1/agent/service/deregister/x", "", 404, "Unknown service ID \"x\""},
    {"PUT /v1/agent/ready", "", 405, "method PUT not allowed"},
    {"DELETE /v1/catalog/nodes", "", 405, "method DELETE not allowed"},
    {"OPTIONS /v1/catalog/nodes", "", 200, ""},
    {"GET /v1/catalog/service/", "", 400,
     "Missing the name behind /v1/catalog/service/"},
    {"PUT /v1/agent/service/deregister/", "", 400,
     "Missing the name behind /v1/agent/service/deregister/"},
    {"GET /v1/health/service/web?passing=junk", "", 400,
     "Invalid value for ?passing"},
    {"GET /v1/agent/health/service/name/none", "", 404, "[]"},
    {"GET /v1/agent/health/service/id/none?format=text", "", 404,
     "ServiceId none not found"},
    {"GET /v1/catalog/nodes?index=abc", "", 400, "Invalid index"},
    {"GET /v1/catalog/nodes?index=99999999999999999999999", "", 400,
     "Invalid index"},
    {"GET /v1/catalog/nodes?wait=soon", "", 400, "Invalid wait time"},
    {"GET /v1/catalog/nodes?dc=dc2", "", 500, "No path to datacenter"},
    {"GET /v1/catalog/nodes?stale&consistent", "", 400,
     "Cannot specify ?consistent together with ?stale or ?cached"},
    {"GET /v1/catalog/nodes?ns=blue", "", 400,
     "Only the namespace and partition \"default\" exist"},
    {"GET /v1/catalog/nodes?x=%zz", "", 400,
     "Invalid percent code in the query"},
    {"GET /v1/catalog/node/%", "", 400, "Invalid percent code in the path"},
    {"GET /v1/catalog/nodes?filter=a", "", 400,
     "filter: expected ==, !=, in, contains, is or matches at byte 1 of "
     "\"a\""},
    {"GET /v1/health/service/billing?filter=Service.Prt==x", "", 400,
     "filter: selector \"Service.Prt\" is not known here; did you mean "
     "Service.Port?"},
    {"GET /v1/agent/checks?filter=Meta.x==x", "", 400,
     "filter: selector \"Meta.x\" is not known here"},
    {"GET /v1/health/state/green", "", 400,
     "Invalid state \"green\"; use any, passing, warning or critical"},
    {"GET /v1/agent/service/x", "", 404, "unknown service ID: x"},
    {"PUT /v1/agent/service/deregister/x", "", 404, "Unknown service ID \"x\""},
    {"PUT /v1/agent/check/deregister/x", "", 404, "Unknown check ID \"x\""},
    {"PUT /v1/agent/check/pass/service%3Ax", "", 404,
     "Unknown check ID \"service:x\". CheckID \"service:x\" does not have "
     "associated TTL"},
    {"PUT /v1/agent/check/pass/service:billing-1", "", 404,
     "Unknown check ID \"service:billing-1\". CheckID \"service:billing-1\" "
     "does not have associated TTL"},
    {"PUT /v1/agent/check/update/x", "{\"Status\":\"blue\"}", 400,
     "Invalid check status: 'blue'"},
    {"PUT /v1/agent/service/register", "{\"Port\":1}", 400,
     "Request decode failed: service: name is missing"},
    {"PUT /v1/agent/service/register", "{", 400,
     "Request decode failed: not JSON: string or '}' expected near end of "
     "file (line 1, column 1)"},
    {"PUT /v1/agent/service/register",
     "{\"Name\":\"x\",\"Check\":{\"TCP\":\"a:1\",\"Interval\":\"x\"}}", 400,
     "Request decode failed: service \"x\": Check.Interval: \"x\" is not a "
     "duration; write it like \"10s\", \"500ms\" or \"1m30s\""},
    {"PUT /v1/agent/check/register",
     "{\"Name\":\"x\",\"TTL\":\"5s\",\"ServiceID\":\"none\"}", 404,
     "check \"x\": service_id \"none\" is not registered here"},
    {"PUT /v1/agent/service/maintenance/billing-1", "", 400,
     "Missing value for enable"},
    {"PUT /v1/agent/service/maintenance/x?enable=true", "", 404,
     "Unknown service ID \"x\""},
    {"PUT /v1/agent/maintenance?enable=perhaps", "", 400,
     "Invalid value for enable: \"perhaps\""},
    {"PUT /v1/catalog/register", "{\"Node\":\"edge\",\"Address\":\"1.2.3.4\"}",
     409, "Node \"edge\" runs an agent; use /v1/agent/ there, or force=1"},
    {"PUT /v1/catalog/register", "{\"Address\":\"1.2.3.4\"}", 400,
     "Must provide node"},
    {"PUT /v1/catalog/register",
     "{\"Node\":\"Printer\",\"Address\":\"1.2.3.4\",\"ID\":\"p-2\"}", 409,
     "Node name Printer is reserved by node p-1 with name printer "
     "(10.0.0.99); deregister that one first, or force=1"},
    {"PUT /v1/catalog/register", "{\"Node\":\"n\"}", 400,
     "Must provide address"},
    /* As python3-consul asks. */
    {"GET /v1/acl/list", "", 401,
     "ACL support disabled; set acl.enabled in the agent's configuration"},
    {"PUT /v1/acl/clone/x", "", 401,
     "ACL support disabled; set acl.enabled in the agent's configuration"},
    {"PUT /v1/catalog/deregister", "{\"Node\":\"edge\"}", 409,
     "Node \"edge\" runs an agent; use /v1/agent/ there, or force=1"},
};

START_TEST(error_has_status_and_words)
{
    struct fake f;

    stage_two_hosts(&f);
    ck_assert_str_eq(
        fake_reply(&f, errors[_i].line, errors[_i].body, errors[_i].status),
        errors[_i].text);
    fake_stop(&f);
}
END_TEST

/* ---- Writes ------------------------------------------------------- */

START_TEST(status_code_is_the_health)
{
    struct fake f;

    stage_two_hosts(&f);
    (void)fake_reply(&f, "PUT /v1/agent/check/register",
                     "{\"Name\":\"beat\",\"ServiceID\":\"billing-1\",\"TTL\":"
                     "\"9s\",\"Status\":\"warning\"}",
                     200);
    ck_assert_str_eq(
        fake_reply(&f, "GET /v1/agent/health/service/name/billing?format=text",
                   "", 429),
        "warning");
    (void)fake_reply(&f, "PUT /v1/agent/check/update/beat",
                     "{\"Status\":\"critical\",\"Output\":\"x\"}", 200);
    ck_assert_str_eq(
        fake_reply(&f, "GET /v1/agent/health/service/id/billing-1?format=text",
                   "", 503),
        "critical");
    (void)fake_reply(&f, "PUT /v1/agent/maintenance?enable=true", "", 200);
    ck_assert_str_eq(
        fake_reply(&f, "GET /v1/agent/health/service/id/billing-1?format=text",
                   "", 503),
        "maintenance");
    (void)fake_reply(&f, "GET /v1/agent/health/service/name/none", "", 404);
    fake_stop(&f);
}
END_TEST

START_TEST(own_output_is_shown_without_the_store)
{
    const char *page;
    struct fake f;

    stage_two_hosts(&f);
    (void)fake_reply(&f, "PUT /v1/agent/check/register",
                     "{\"Name\":\"beat\",\"ServiceID\":\"billing-1\",\"TTL\":"
                     "\"9s\"}",
                     200);
    (void)fake_settle(&f);
    (void)fake_reply(&f, "PUT /v1/agent/check/fail/beat?note=no+beat%21", "",
                     200);
    page = fake_reply(&f, "GET /v1/health/service/billing", "", 200);
    ck_assert_ptr_nonnull(strstr(page, "\"Output\":\"no beat!\""));
    ck_assert_ptr_null(strstr(
        fake_get(&f, "/muster/v1/dc1/inst/billing/edge/billing-1")->value,
        "no beat"));
    fake_stop(&f);
}
END_TEST

/* Of exactly the longest that is kept, and longer. */
START_TEST(long_output_is_cut_and_shown)
{
    static const size_t lengths[] = {LIMIT_CHECK_OUTPUT - 1, LIMIT_CHECK_OUTPUT,
                                     LIMIT_CHECK_OUTPUT + 1};
    char body[LIMIT_CHECK_OUTPUT + 64] = "{\"Output\":\"";
    size_t head = strlen(body);
    struct fake f;
    const char *shown;

    stage_two_hosts(&f);
    (void)fake_reply(&f, "PUT /v1/agent/check/register",
                     "{\"Name\":\"beat\",\"TTL\":\"9s\"}", 200);
    memset(body + head, 'o', lengths[_i]);
    strcpy(body + head + lengths[_i], "\",\"Status\":\"passing\"}");
    (void)fake_reply(&f, "PUT /v1/agent/check/update/beat", body, 200);
    shown = strstr(fake_reply(&f, "GET /v1/agent/checks", "", 200), "\"ooo");
    ck_assert_ptr_nonnull(shown);
    ck_assert_uint_eq(strspn(shown + 1, "o"), lengths[_i] < LIMIT_CHECK_OUTPUT
                                                  ? lengths[_i]
                                                  : LIMIT_CHECK_OUTPUT);
    fake_stop(&f);
}
END_TEST

START_TEST(catalog_registrations_come_and_go)
{
    struct fake f;

    stage_two_hosts(&f);
    /* The same again writes nothing. */
    (void)fake_reply(&f, "PUT /v1/catalog/register",
                     "{\"Node\":\"printer\",\"Address\":\"10.0.0.99\",\"ID\":"
                     "\"p-1\",\"Service\":{\"Service\":\"lpd\",\"Port\":515}}",
                     200);
    ck_assert_int_eq(f.revision, 4);
    /* Another check of a service that is there already. */
    (void)fake_reply(&f, "PUT /v1/catalog/register",
                     "{\"node\":\"printer\",\"skipnodeupdate\":true,\"check\":"
                     "{\"checkid\":\"ink\",\"serviceid\":\"lpd\",\"status\":"
                     "\"passing\"}}",
                     200);
    ck_assert_ptr_nonnull(strstr(
        fake_get(&f, "/muster/v1/dc1/inst/lpd/printer/lpd")->value, "\"ink\""));
    ck_assert_ptr_nonnull(
        strstr(fake_get(&f, "/muster/v1/dc1/inst/lpd/printer/lpd")->value,
               "\"paper\""));
    /* A renamed service moves. */
    (void)fake_reply(&f, "PUT /v1/catalog/register",
                     "{\"Node\":\"printer\",\"Service\":{\"ID\":\"lpd\","
                     "\"Service\":\"ipp\"}}",
                     200);
    ck_assert_ptr_null(fake_get(&f, "/muster/v1/dc1/inst/lpd/printer/lpd"));
    ck_assert_ptr_nonnull(fake_get(&f, "/muster/v1/dc1/inst/ipp/printer/lpd"));
    (void)fake_reply(&f, "PUT /v1/catalog/deregister",
                     "{\"Node\":\"printer\",\"CheckID\":\"ink\"}", 200);
    ck_assert_ptr_null(strstr(
        fake_get(&f, "/muster/v1/dc1/inst/ipp/printer/lpd")->value, "\"ink\""));
    (void)fake_reply(&f, "PUT /v1/catalog/register",
                     "{\"Node\":\"printer\",\"Check\":{\"CheckID\":\"up\","
                     "\"Status\":\"critical\"}}",
                     200);
    same_json("down",
              fake_reply(&f, "GET /v1/health/service/ipp?passing", "", 200),
              "[]");
    ck_assert_str_eq(fake_reply(&f, "PUT /v1/catalog/deregister",
                                "{\"Node\":\"printer\"}", 200),
                     "true");
    ck_assert_ptr_null(catalog_node(f.catalog, "printer"));
    ck_assert_str_eq(fake_reply(&f, "PUT /v1/catalog/deregister",
                                "{\"Node\":\"printer\"}", 200),
                     "true");
    fake_stop(&f);
}
END_TEST

/* Values in the store that are no records, of a host without an agent. */
#define UNREAD_INST  "/muster/v1/dc1/inst/lpd/printer/old"
#define UNREAD_CHECK "/muster/v1/dc1/ncheck/printer/ink"
#define UNREAD_NODE  "/muster/v1/dc1/node/lost"

static const struct {
    const char *body;
    bool left[3]; /* Of the three above. */
} clearings[] = {
    {"{\"Node\":\"printer\",\"ServiceID\":\"old\"}", {false, true, true}},
    {"{\"Node\":\"printer\",\"ServiceID\":\"ink\"}", {true, true, true}},
    {"{\"Node\":\"printer\",\"CheckID\":\"ink\"}", {true, false, true}},
    {"{\"Node\":\"Printer\"}", {false, false, true}},
    {"{\"Node\":\"lost\"}", {true, true, false}},
    {"{\"Node\":\"print\"}", {true, true, true}},
};

START_TEST(deregistration_removes_what_is_no_record)
{
    static const char *const keys[] = {UNREAD_INST, UNREAD_CHECK, UNREAD_NODE};
    struct fake f;

    stage_two_hosts(&f);
    f.unreadable = true;
    for (int i = 0; i < 3; i++) {
        fake_put(&f, keys[i], i == 0 ? "{" : "no record");
    }
    ck_assert_str_eq(
        fake_reply(&f, "PUT /v1/catalog/deregister", clearings[_i].body, 200),
        "true");
    for (int i = 0; i < 3; i++) {
        ck_assert_msg((fake_get(&f, keys[i]) != NULL) == clearings[_i].left[i],
                      "%s: %s", clearings[_i].body, keys[i]);
    }
    fake_stop(&f);
}
END_TEST

START_TEST(warnings_cannot_break_the_header)
{
    struct api_outcome o;
    struct fake f;

    fake_start(&f);
    fake_ask(&f, "PUT /v1/agent/service/register",
             "{\"Name\":\"web\",\"a\\r\\nX: y\":1}", &o);
    ck_assert_int_eq(o.status, 200);
    ck_assert_str_eq(header(&o, "X-Muster-Warning"),
                     "service \"web\": a??X: y: unknown field, ignored");
    api_outcome_release(&o);
    fake_stop(&f);
}
END_TEST

/* The 29th of February, and a change that was gone within the same moment. */
START_TEST(history_has_every_change)
{
    struct fake f;

    fake_start(&f);
    f.now.wall_ms = 1709251199999;
    (void)fake_reply(
        &f, "PUT /v1/agent/service/register",
        "{\"Name\":\"web\",\"Check\":{\"CheckID\":\"t\",\"TTL\":\"9s\"}}", 200);
    (void)fake_reply(
        &f, "PUT /v1/agent/service/register",
        "{\"Name\":\"db\",\"Check\":{\"CheckID\":\"d\",\"TTL\":\"9s\"}}", 200);
    (void)fake_reply(&f, "PUT /v1/agent/check/pass/t?note=up", "", 200);
    (void)fake_reply(&f, "PUT /v1/agent/check/fail/t?note=down", "", 200);
    (void)fake_reply(&f, "PUT /v1/agent/check/pass/d", "", 200);
    f.now.now_ms += 1;
    f.now.wall_ms += 1;
    (void)fake_reply(&f, "PUT /v1/agent/check/warn/t?note=slow", "", 200);
    ck_assert_str_eq(
        fake_reply(&f, "GET /v1/agent/history?service_id=web", "", 200),
        "[{\"Time\":\"2024-03-01T00:00:00.000Z\",\"CheckID\":\"t\","
        "\"ServiceID\":\"web\",\"Status\":\"warning\",\"Output\":\"slow\"},"
        "{\"Time\":\"2024-02-29T23:59:59.999Z\",\"CheckID\":\"t\","
        "\"ServiceID\":\"web\",\"Status\":\"critical\",\"Output\":\"down\"},"
        "{\"Time\":\"2024-02-29T23:59:59.999Z\",\"CheckID\":\"t\","
        "\"ServiceID\":\"web\",\"Status\":\"passing\",\"Output\":\"up\"}]");
    for (int i = 0; i < 100; i++) {
        (void)fake_reply(&f, "PUT /v1/agent/check/fail/d", "", 200);
        (void)fake_reply(&f, "PUT /v1/agent/check/pass/d", "", 200);
    }
    ck_assert_ptr_nonnull(
        strstr(fake_reply(&f, "GET /v1/agent/history?service_id=web", "", 200),
               "slow"));
    fake_stop(&f);
}
END_TEST

START_TEST(all_that_is_ignored_is_named)
{
    struct api_outcome o;
    struct fake f;
    struct buf body;

    fake_start(&f);
    fake_ask(&f, "PUT /v1/agent/check/register",
             "{\"Name\":\"up\",\"TTL\":\"5s\",\"Colour\":1,\"Intervall\":2}",
             &o);
    ck_assert_int_eq(o.status, 200);
    ck_assert_str_eq(header(&o, "X-Muster-Warning"),
                     "check \"up\": Colour: unknown field, ignored; check "
                     "\"up\": Intervall: unknown field, ignored; did you mean "
                     "\"interval\"?");
    api_outcome_release(&o);
    buf_init(&body, 65536);
    (void)buf_add_str(&body, "{\"Name\":\"web\"");
    for (int i = 0; i < 100; i++) {
        (void)buf_addf(&body, ",\"Nonsense%d\":1", i);
    }
    (void)buf_add_str(&body, "}");
    fake_ask(&f, "PUT /v1/agent/service/register", buf_cstr(&body), &o);
    ck_assert_int_eq(o.status, 200);
    ck_assert_ptr_nonnull(strstr(header(&o, "X-Muster-Warning"), "; and "));
    ck_assert_uint_lt(strlen(header(&o, "X-Muster-Warning")), 1100);
    api_outcome_release(&o);
    buf_release(&body);
    fake_stop(&f);
}
END_TEST

static const struct {
    const char *line;
    enum api_outcome_kind kind;
} effects[] = {
    {"GET /v1/metrics", API_METRICS},
    {"GET /v1/agent/metrics?format=prometheus", API_METRICS},
    {"PUT /v1/agent/reload", API_RELOAD},
    {"POST /v1/agent/leave", API_LEAVE},
    {"GET /v1/catalog/nodes?consistent", API_CONFIRM},
};

START_TEST(effect_is_asked_for)
{
    struct api_outcome o;
    struct fake f;

    stage_two_hosts(&f);
    fake_ask(&f, effects[_i].line, "", &o);
    ck_assert_int_eq(o.kind, effects[_i].kind);
    api_outcome_release(&o);
    fake_stop(&f);
}
END_TEST

UNIT_MAIN("api", {
    tcase_add_loop_test(tc, view_is_as_expected, 0, COUNT_OF(views));
    tcase_add_loop_test(tc, error_has_status_and_words, 0, COUNT_OF(errors));
    tcase_add_test(tc, status_code_is_the_health);
    tcase_add_test(tc, own_output_is_shown_without_the_store);
    tcase_add_loop_test(tc, long_output_is_cut_and_shown, 0, 3);
    tcase_add_test(tc, catalog_registrations_come_and_go);
    tcase_add_loop_test(tc, deregistration_removes_what_is_no_record, 0,
                        COUNT_OF(clearings));
    tcase_add_test(tc, warnings_cannot_break_the_header);
    tcase_add_test(tc, all_that_is_ignored_is_named);
    tcase_add_test(tc, history_has_every_change);
    tcase_add_loop_test(tc, effect_is_asked_for, 0, COUNT_OF(effects));
})
