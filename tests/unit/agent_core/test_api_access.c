#include "agent/core/api.h"

#include <stdio.h>

#include "api_world.h"

static const char *const web_links[] = {"web"};
static const char *const read_links[] = {"read-web"};
static const char *const node_links[] = {"node"};
static const char *const agent_links[] = {"agent"};
static const char *const take_links[] = {"take"};

static const struct acl_policy_setting policies[] = {
    {"web", "service_prefix \"web\" {policy=\"write\"} node_prefix \"\" "
            "{policy=\"read\"}"},
    {"read-web", "service \"web\" {policy=\"read\"}"},
    {"node", "node \"edge\" {policy=\"write\"} node \"printer\" "
             "{policy=\"write\"}"},
    {"agent", "agent \"edge\" {policy=\"write\"}"},
    {"take", "service \"free\" {policy=\"write\"}"},
};

static const struct acl_token_setting tokens[] = {
    {"web-secret", "web", "", {web_links, 1}},
    {"read-secret", "read", "", {read_links, 1}},
    {"node-secret", "node", "", {node_links, 1}},
    {"agent-secret", "agent", "", {agent_links, 1}},
    {"take-secret", "take", "", {take_links, 1}},
};

/* An agent "edge" with services web and db, each with a check, a node check,
 * and a host without agent, "printer", with one service. */
static void stage(struct fake *f, enum acl_default otherwise)
{
    struct acl_settings settings = {.enabled = true,
                                    .otherwise = otherwise,
                                    .policies = policies,
                                    .policies_count = 5,
                                    .tokens = tokens,
                                    .tokens_count = 5,
                                    .management = "root-secret"};

    fake_start(f);
    (void)fake_reply(f, "PUT /v1/agent/service/register",
                     "{\"Name\":\"web\",\"Check\":{\"TTL\":\"30s\"}}", 200);
    (void)fake_reply(f, "PUT /v1/agent/service/register",
                     "{\"Name\":\"db\",\"Check\":{\"TTL\":\"30s\"}}", 200);
    (void)fake_reply(f, "PUT /v1/agent/check/register",
                     "{\"Name\":\"disk\",\"TTL\":\"30s\"}", 200);
    (void)fake_settle(f);
    (void)fake_reply(f, "PUT /v1/catalog/register",
                     "{\"Node\":\"printer\",\"Address\":\"10.0.0.99\","
                     "\"Service\":{\"Service\":\"lpd\"},\"Check\":{\"CheckID\":"
                     "\"paper\",\"ServiceID\":\"lpd\"}}",
                     200);
    f->acl = acl_new("dc1");
    acl_configure(f->acl, &settings);
}

static void stage_end(struct fake *f)
{
    acl_free(f->acl);
    fake_stop(f);
}

/* ---- Who may ------------------------------------------------------ */

#define NEW_WEB "{\"Name\":\"web2\"}"
#define NEW_DB  "{\"Name\":\"db2\"}"
#define TAKE_DB "{\"Name\":\"free\",\"ID\":\"db\"}"
#define TAKE_CHECK                                                             \
    "{\"Name\":\"free\",\"Check\":{\"TTL\":\"9s\",\"CheckID\":\"service:db\"}" \
    "}"

static const struct {
    const char *line;
    const char *body;
    const char *token;
    const char *lacks; /* NULL: allowed; else what the 403 says. */
} rights[] = {
    {"GET /v1/agent/self", "", "", "agent:read' on \"edge\""},
    {"GET /v1/agent/self", "", "web-secret", "agent:read' on \"edge\""},
    {"GET /v1/agent/self", "", "agent-secret", NULL},
    {"GET /v1/agent/self", "", "root-secret", NULL},
    {"GET /v1/agent/version", "", "", "agent:read' on \"edge\""},
    {"GET /v1/agent/ready", "", "", NULL},
    {"GET /v1/agent/live", "", "", NULL},
    {"GET /v1/status/leader", "", "", NULL},
    {"GET /v1/catalog/datacenters", "", "", NULL},
    {"GET /v1/agent/service/db", "", "web-secret", "service:read' on \"db\""},
    {"GET /v1/agent/service/web", "", "web-secret", NULL},
    {"GET /v1/agent/health/service/id/db", "", "web-secret",
     "service:read' on \"db\""},
    {"GET /v1/agent/health/service/name/db", "", "web-secret",
     "service:read' on \"db\""},
    {"PUT /v1/agent/maintenance?enable=true", "", "web-secret",
     "node:write' on \"edge\""},
    {"PUT /v1/agent/maintenance?enable=true", "", "node-secret", NULL},
    {"PUT /v1/agent/join/1.2.3.4", "", "node-secret",
     "agent:write' on \"edge\""},
    {"PUT /v1/agent/join/1.2.3.4", "", "agent-secret", NULL},
    {"PUT /v1/agent/service/register", NEW_WEB, "web-secret", NULL},
    {"PUT /v1/agent/service/register", NEW_WEB, "read-secret",
     "service:write' on \"web2\""},
    {"PUT /v1/agent/service/register", NEW_WEB, "",
     "service:write' on \"web2\""},
    {"PUT /v1/agent/service/register", NEW_DB, "web-secret",
     "service:write' on \"db2\""},
    /* An id or a check of somebody else's. */
    {"PUT /v1/agent/service/register", TAKE_DB, "take-secret",
     "service:write' on \"db\""},
    {"PUT /v1/agent/service/register", TAKE_CHECK, "take-secret",
     "service:write' on \"db\""},
    {"PUT /v1/agent/check/register", "{\"Name\":\"x\",\"TTL\":\"9s\"}",
     "web-secret", "node:write' on \"edge\""},
    {"PUT /v1/agent/check/register",
     "{\"Name\":\"x\",\"TTL\":\"9s\",\"ServiceID\":\"web\"}", "web-secret",
     NULL},
    {"PUT /v1/agent/check/register",
     "{\"Name\":\"x\",\"ID\":\"disk\",\"TTL\":\"9s\",\"ServiceID\":\"web\"}",
     "web-secret", "node:write' on \"edge\""},
    {"PUT /v1/agent/service/deregister/db", "", "web-secret",
     "service:write' on \"db\""},
    {"GET /v1/agent/service/deregister/db", "", "web-secret",
     "service:write' on \"db\""},
    {"PUT /v1/agent/service/deregister/web", "", "web-secret", NULL},
    {"PUT /v1/agent/service/maintenance/db?enable=true", "", "web-secret",
     "service:write' on \"db\""},
    {"PUT /v1/agent/check/pass/service:db", "", "web-secret",
     "service:write' on \"db\""},
    {"PUT /v1/agent/check/pass/service:web", "", "web-secret", NULL},
    {"PUT /v1/agent/check/update/service:db", "{\"Status\":\"passing\"}",
     "web-secret", "service:write' on \"db\""},
    {"PUT /v1/agent/check/fail/disk", "", "web-secret",
     "node:write' on \"edge\""},
    {"PUT /v1/agent/check/fail/disk", "", "node-secret", NULL},
    {"PUT /v1/agent/check/deregister/disk", "", "web-secret",
     "node:write' on \"edge\""},
    {"PUT /v1/catalog/register", "{\"Node\":\"n\",\"Address\":\"1.2.3.4\"}",
     "web-secret", "node:write' on \"n\""},
    {"PUT /v1/catalog/register",
     "{\"Node\":\"printer\",\"SkipNodeUpdate\":true,\"Service\":{\"Service\":"
     "\"web3\"}}",
     "web-secret", NULL},
    {"PUT /v1/catalog/register",
     "{\"Node\":\"printer\",\"SkipNodeUpdate\":true,\"Service\":{\"Service\":"
     "\"web3\",\"ID\":\"lpd\"}}",
     "web-secret", "service:write' on \"lpd\""},
    {"PUT /v1/catalog/register",
     "{\"Node\":\"printer\",\"SkipNodeUpdate\":true,\"Check\":{\"CheckID\":"
     "\"x\",\"ServiceID\":\"lpd\"}}",
     "node-secret", "service:write' on \"lpd\""},
    {"PUT /v1/catalog/register",
     "{\"Node\":\"printer\",\"SkipNodeUpdate\":true,\"Check\":{\"CheckID\":"
     "\"x\"}}",
     "web-secret", "node:write' on \"printer\""},
    {"PUT /v1/catalog/deregister", "{\"Node\":\"printer\"}", "web-secret",
     "node:write' on \"printer\""},
    {"PUT /v1/catalog/deregister", "{\"Node\":\"printer\"}", "node-secret",
     NULL},
    {"PUT /v1/catalog/deregister",
     "{\"Node\":\"printer\",\"ServiceID\":\"lpd\"}", "web-secret",
     "service:write' on \"lpd\""},
    {"PUT /v1/catalog/deregister",
     "{\"Node\":\"printer\",\"CheckID\":\"paper\"}", "web-secret",
     "service:write' on \"lpd\""},
};

START_TEST(right_is_asked_for)
{
    char wanted[64];
    const char *got;
    struct fake f;

    stage(&f, ACL_DEFAULT_DENY);
    f.from.token = slice_str(rights[_i].token);
    got = fake_reply(&f, rights[_i].line, rights[_i].body,
                     rights[_i].lacks == NULL ? 200 : 403);
    if (rights[_i].lacks != NULL) {
        (void)snprintf(wanted, sizeof(wanted), "lacks permission '%s",
                       rights[_i].lacks);
        ck_assert_msg(strstr(got, wanted) != NULL &&
                          strncmp(got, "Permission denied: ", 19) == 0,
                      "%s: %s", rights[_i].line, got);
    }
    stage_end(&f);
}
END_TEST

/* ---- Lists -------------------------------------------------------- */

/* Names in the reply that stand for what is seen. */
static const struct {
    const char *line;
    const char *token;
    const char *has;   /* NULL: nothing. */
    const char *lacks; /* NULL: nothing is left out. */
} lists[] = {
    {"GET /v1/catalog/services", "web-secret", "\"web\"", "\"db\""},
    {"GET /v1/catalog/services", "root-secret", "\"db\"", NULL},
    {"GET /v1/catalog/services?node-meta=zone:b", "web-secret", "\"web\"",
     "\"db\""},
    {"GET /v1/catalog/service/db", "web-secret", NULL, "\"db\""},
    {"GET /v1/catalog/service/web", "web-secret", "\"web\"", NULL},
    /* The service is not enough without its node. */
    {"GET /v1/catalog/service/web", "read-secret", NULL, "\"web\""},
    {"GET /v1/health/service/web", "read-secret", NULL, "\"web\""},
    {"GET /v1/health/service/web?passing", "web-secret", NULL, NULL},
    {"GET /v1/health/service/web", "web-secret", "\"web\"", NULL},
    {"GET /v1/health/service/db", "web-secret", NULL, "\"db\""},
    {"GET /v1/health/checks/db", "web-secret", NULL, "\"db\""},
    {"GET /v1/health/node/edge", "web-secret", "service:web", "service:db"},
    {"GET /v1/health/node/edge", "read-secret", NULL, "service:web"},
    {"GET /v1/health/state/any", "web-secret", "service:web", "service:db"},
    {"GET /v1/health/state/any", "node-secret", "disk", "service:db"},
    {"GET /v1/health/state/any", "read-secret", NULL, "disk"},
    {"GET /v1/catalog/nodes", "web-secret", "printer", NULL},
    {"GET /v1/catalog/nodes", "node-secret", "edge", NULL},
    {"GET /v1/catalog/nodes", "read-secret", NULL, "edge"},
    {"GET /v1/catalog/node/edge", "web-secret", "\"web\"", "\"db\""},
    {"GET /v1/catalog/node/EDGE", "read-secret", "null", "\"web\""},
    {"GET /v1/catalog/node-services/edge", "web-secret", "\"web\"", "\"db\""},
    {"GET /v1/agent/members", "web-secret", "edge", NULL},
    {"GET /v1/agent/members", "read-secret", NULL, "edge"},
    {"GET /v1/agent/services", "web-secret", "\"web\"", "\"db\""},
    {"GET /v1/agent/checks", "web-secret", "service:web", "service:db"},
    {"GET /v1/agent/checks", "read-secret", "service:web", "disk"},
};

START_TEST(list_shows_what_may_be_read)
{
    struct api_outcome o;
    const char *body;
    struct fake f;

    stage(&f, ACL_DEFAULT_DENY);
    f.from.token = slice_str(lists[_i].token);
    fake_ask(&f, lists[_i].line, "", &o);
    ck_assert_int_eq(o.status, 200);
    body = buf_cstr(&o.body);
    ck_assert_msg(lists[_i].has != NULL
                      ? strstr(body, lists[_i].has) != NULL
                      : strcmp(body, "[]") == 0 || strcmp(body, "{}") == 0,
                  "%s: %s", lists[_i].line, body);
    ck_assert_msg(lists[_i].lacks == NULL ||
                      strstr(body, lists[_i].lacks) == NULL,
                  "%s: %s", lists[_i].line, body);
    ck_assert_msg((header(&o, "X-Consul-Results-Filtered-By-ACLs") != NULL) ==
                      (lists[_i].lacks != NULL),
                  "%s: %s", lists[_i].line, body);
    api_outcome_release(&o);
    stage_end(&f);
}
END_TEST

/* As Consul: a stranger is not told that there is more. */
START_TEST(strangers_are_not_told)
{
    struct api_outcome o;
    struct fake f;

    stage(&f, ACL_DEFAULT_DENY);
    fake_ask(&f, "GET /v1/catalog/services", "", &o);
    ck_assert_str_eq(buf_cstr(&o.body), "{}");
    ck_assert(header(&o, "X-Consul-Results-Filtered-By-ACLs") == NULL);
    ck_assert_str_eq(header(&o, "X-Consul-Default-ACL-Policy"), "deny");
    api_outcome_release(&o);
    stage_end(&f);
}
END_TEST

/* What "read" is for: a request without token reads and changes nothing. */
START_TEST(read_only_is_for_everybody)
{
    struct api_outcome o;
    struct fake f;

    stage(&f, ACL_DEFAULT_READ);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        f.from.token = slice_str("");
        fake_ask(&f, lists[i].line, "", &o);
        ck_assert_int_eq(o.status, 200);
        ck_assert(header(&o, "X-Consul-Results-Filtered-By-ACLs") == NULL);
        api_outcome_release(&o);
    }
    (void)fake_reply(&f, "GET /v1/agent/self", "", 200);
    for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
        if (strncmp(rights[i].line, "PUT ", 4) == 0) {
            ck_assert_ptr_nonnull(
                strstr(fake_reply(&f, rights[i].line, rights[i].body, 403),
                       "Permission denied: anonymous token lacks permission"));
        }
    }
    stage_end(&f);
}
END_TEST

/* ---- The token ---------------------------------------------------- */

static const struct {
    const char *line;
    const char *token;
    const char *authorization;
    int status;
    const char *text; /* The beginning. */
} sent[] = {
    {"GET /v1/agent/self", "", "", 403, "Permission denied: anonymous token"},
    {"GET /v1/agent/self?token=root-secret", "", "", 200, "{"},
    {"GET /v1/agent/self?token=root%2Dsecret", "", "", 200, "{"},
    {"GET /v1/agent/self", "root-secret", "", 200, "{"},
    {"GET /v1/agent/self", "", "Bearer root-secret", 200, "{"},
    {"GET /v1/agent/self", "", "bearer  root-secret", 200, "{"},
    {"GET /v1/agent/self", "", "Basic root-secret", 403, "Permission denied"},
    {"GET /v1/agent/self", "", "Bearer", 403, "Permission denied: anonymous"},
    {"GET /v1/agent/self", "", "Bearerroot-secret", 403,
     "Permission denied: anonymous"},
    /* The order: query, header, bearer; an empty one is none. */
    {"GET /v1/agent/self?token=web-secret", "root-secret", "", 403,
     "Permission denied: token with AccessorID 'web'"},
    {"GET /v1/agent/self", "web-secret", "Bearer root-secret", 403,
     "Permission denied: token with AccessorID 'web'"},
    {"GET /v1/agent/self?token=", "root-secret", "", 200, "{"},
    {"GET /v1/agent/self?token", "", "Bearer root-secret", 200, "{"},
    /* What is not there, or not clear. */
    {"GET /v1/agent/self?token=nobody", "root-secret", "", 403,
     "ACL not found"},
    {"GET /v1/agent/self?token=root-secret%20", "", "", 403, "ACL not found"},
    {"GET /v1/agent/self?token=ROOT-SECRET", "", "", 403, "ACL not found"},
    {"GET /v1/agent/self?token=root-secret%00", "", "", 400,
     "Invalid percent code in the query"},
    {"GET /v1/agent/self?token=root-secret&token=web-secret", "", "", 400,
     "Two different values for token"},
    {"GET /v1/agent/self?token=&token=root-secret", "", "", 400,
     "Two different values for token"},
    {"GET /v1/agent/self?token=root-secret&token=root-secret", "", "", 200,
     "{"},
    {"GET /v1/agent/self?Token=root-secret", "", "", 403, "Permission denied"},
    {"GET /v1/catalog/services?token=nobody", "", "", 403, "ACL not found"},
    {"GET /v1/agent/ready?token=nobody", "", "", 403, "ACL not found"},
};

START_TEST(token_is_found)
{
    const char *got;
    struct fake f;

    stage(&f, ACL_DEFAULT_DENY);
    f.from.token = slice_str(sent[_i].token);
    f.from.authorization = slice_str(sent[_i].authorization);
    got = fake_reply(&f, sent[_i].line, "", sent[_i].status);
    ck_assert_msg(strncmp(got, sent[_i].text, strlen(sent[_i].text)) == 0,
                  "%s: %s", sent[_i].line, got);
    stage_end(&f);
}
END_TEST

/* With the catalogue unknown, so are the tokens: 403 would be for good. */
START_TEST(unknown_store_is_no_denial)
{
    struct fake f;

    stage(&f, ACL_DEFAULT_DENY);
    catalog_unref(f.catalog);
    f.catalog = catalog_new("dc1");
    f.from.token = slice_str("nobody");
    ck_assert_str_eq(fake_reply(&f, "GET /v1/agent/self", "", 500),
                     "No cluster leader");
    stage_end(&f);
}
END_TEST

START_TEST(without_access_control_all_is_allowed)
{
    struct acl_settings off = {0};
    struct api_outcome o;
    struct fake f;

    stage(&f, ACL_DEFAULT_DENY);
    acl_configure(f.acl, &off);
    f.from.token = slice_str("nobody");
    (void)fake_reply(&f, "GET /v1/agent/self", "", 200);
    (void)fake_reply(&f, "PUT /v1/agent/service/register", NEW_DB, 200);
    fake_ask(&f, "GET /v1/catalog/services", "", &o);
    ck_assert_str_eq(header(&o, "X-Consul-Default-ACL-Policy"), "allow");
    api_outcome_release(&o);
    stage_end(&f);
}
END_TEST

/* ---- Where it comes from ------------------------------------------ */

static const struct {
    const char *host;
    const char *origin;
    bool secure;
    bool by_socket;
    int status;
} sites[] = {
    {"127.0.0.1:8500", "", false, false, 200},
    {"127.0.0.1", "", false, false, 200},
    {"[::1]:8500", "", false, false, 200},
    {"localhost:8500", "", false, false, 200},
    {"localhost", "", false, false, 200},
    {"", "", false, false, 200}, /* HTTP/1.0 */
    {"edge", "", false, false, 200},
    {"EDGE.node.consul:80", "", false, false, 200},
    {"evil.example", "", false, false, 403},
    {"evil.example:8500", "", false, false, 403},
    {"localhost.evil.example", "", false, false, 403},
    {"127.0.0.1.evil.example", "", false, false, 403},
    {"evil.example:127.0.0.1", "", false, false, 403},
    {"[127.0.0.1]evil.example", "", false, false, 403},
    {"[::1", "", false, false, 403},
    {"[::1]", "", false, false, 200},
    {"edge.evil.example", "", false, false, 403},
    {"evil.example", "", true, false, 200},
    {"agent", "", false, true, 200},
    {"127.0.0.1:8500", "http://127.0.0.1:8500", false, false, 200},
    {"127.0.0.1:8500", "https://127.0.0.1:8500", false, false, 403},
    {"127.0.0.1:8500", "http://127.0.0.1:3000", false, false, 403},
    {"127.0.0.1:8500", "http://evil.example", false, false, 403},
    {"127.0.0.1:8500", "null", false, false, 403},
    {"127.0.0.1:8500", "http://127.0.0.1:8500.evil.example", false, false, 403},
    {"127.0.0.1:8500", "http://ui.example:80", false, false, 200},
    {"localhost:8500", "https://localhost:8500", true, false, 200},
};

START_TEST(only_our_own_pages_may_ask)
{
    static const char *const hosts[] = {"edge", "edge.node.consul",
                                        "ui.example:80"};
    const char *got;
    struct fake f;

    stage(&f, ACL_DEFAULT_ALLOW);
    f.hosts = (struct texts){hosts, 3};
    f.from.host = slice_str(sites[_i].host);
    f.from.origin = slice_str(sites[_i].origin);
    f.from.secure = sites[_i].secure;
    f.from.by_socket = sites[_i].by_socket;
    got = fake_reply(&f, "GET /v1/agent/services", "", sites[_i].status);
    ck_assert_msg((strstr(got, "http_config.allowed_hosts") != NULL) ==
                      (sites[_i].status == 403),
                  "%s", got);
    stage_end(&f);
}
END_TEST

static const struct {
    const char *line;
    const char *peer;
    bool by_socket;
    int status;
} changes[] = {
    {"PUT /v1/agent/join/x", "127.0.0.1:5", false, 200},
    {"PUT /v1/agent/join/x", "10.1.2.3:5", false, 200},
    {"PUT /v1/agent/join/x", "11.1.2.3:5", false, 403},
    {"POST /v1/agent/join/x", "11.1.2.3:5", false, 403},
    {"GET /v1/agent/join/x", "11.1.2.3:5", false, 403}, /* It changes. */
    {"GET /v1/agent/services", "11.1.2.3:5", false, 200},
    {"HEAD /v1/agent/services", "11.1.2.3:5", false, 200},
    {"PUT /v1/agent/join/x", "unix", true, 200},
    {"PUT /v1/agent/join/x", "unix", false, 403},
};

START_TEST(changes_come_from_listed_networks)
{
    struct network networks[2];
    struct fake f;

    ck_assert(!network_parse("127.0.0.0/8", &networks[0]));
    ck_assert(!network_parse("10.0.0.0/8", &networks[1]));
    stage(&f, ACL_DEFAULT_ALLOW);
    f.writers = networks;
    f.writers_count = 2;
    f.from.peer = slice_str(changes[_i].peer);
    f.from.by_socket = changes[_i].by_socket;
    (void)fake_reply(&f, changes[_i].line, "", changes[_i].status);
    stage_end(&f);
}
END_TEST

/* ---- Programs ----------------------------------------------------- */

#define EXEC_SERVICE                                                      \
    "{\"Name\":\"web\",\"Check\":{\"Args\":[\"/bin/true\"],\"Interval\":" \
    "\"5s\"}}"
#define EXEC_CHECK \
    "{\"Name\":\"x\",\"Args\":[\"/bin/true\"],\"Interval\":\"5s\"}"

static const struct {
    const char *peer;
    bool by_socket;
    const char *token;
    const char *text; /* Of the 403 of an agent that takes no programs. */
} programs[] = {
    {"127.0.0.1:5", false, "", "enable_script_checks"},
    {"unix", true, "", "enable_script_checks"},
    {"10.1.2.3:5", false, "root-secret", "enable_script_checks"},
    {"10.1.2.3:5", false, "", "over the network with a token only"},
};

START_TEST(programs_are_refused)
{
    static const char *const lines[] = {"PUT /v1/agent/service/register",
                                        "PUT /v1/agent/check/register"};
    static const char *const bodies[] = {EXEC_SERVICE, EXEC_CHECK};
    struct fake f;

    stage(&f, ACL_DEFAULT_ALLOW);
    f.from.peer = slice_str(programs[_i].peer);
    f.from.by_socket = programs[_i].by_socket;
    f.from.token = slice_str(programs[_i].token);
    for (int i = 0; i < 2; i++) {
        const char *got = fake_reply(&f, lines[i], bodies[i], 403);

        ck_assert_msg(strstr(got, programs[_i].text) != NULL, "%s", got);
    }
    stage_end(&f);
}
END_TEST

UNIT_MAIN("api_access", {
    tcase_add_loop_test(tc, right_is_asked_for, 0, COUNT_OF(rights));
    tcase_add_loop_test(tc, list_shows_what_may_be_read, 0, COUNT_OF(lists));
    tcase_add_test(tc, strangers_are_not_told);
    tcase_add_test(tc, read_only_is_for_everybody);
    tcase_add_loop_test(tc, token_is_found, 0, COUNT_OF(sent));
    tcase_add_test(tc, unknown_store_is_no_denial);
    tcase_add_test(tc, without_access_control_all_is_allowed);
    tcase_add_loop_test(tc, only_our_own_pages_may_ask, 0, COUNT_OF(sites));
    tcase_add_loop_test(tc, changes_come_from_listed_networks, 0,
                        COUNT_OF(changes));
    tcase_add_loop_test(tc, programs_are_refused, 0, COUNT_OF(programs));
})
