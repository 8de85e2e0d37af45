#include <stdio.h>

#include "agent/core/api.h"
#include "fake_store.h"
#include "suite.h"

#define DC1(rest) "/muster/v1/dc1/" rest
#define DC2(rest) "/muster/v1/dc2/" rest
#define INSTANCE(node, service, id, more)                             \
    "{\"node\":\"" node "\",\"service\":\"" service "\",\"id\":\"" id \
    "\"" more "}"
#define NODE(name, address, more)                                          \
    "{\"name\":\"" name "\",\"id\":\"id-" name "\",\"address\":\"" address \
    "\"" more "}"

/* A host and a service here, and the same names elsewhere. */
static void stage(struct fake *f)
{
    fake_start(f);
    fake_elsewhere(f, "dc2");
    (void)fake_settle(f);
    fake_put(f, DC1("node/edge"), NODE("edge", "10.0.0.7", ""));
    fake_put(f, DC1("inst/web/edge/w1"), INSTANCE("edge", "web", "w1", ""));
    fake_put(f, DC2("node/far"), NODE("far", "10.2.0.1", ""));
    fake_put(f, DC2("live/far"), "{\"node_id\":\"id-far\"}");
    fake_put(f, DC2("inst/web/far/w9"),
             INSTANCE("far", "web", "w9", ",\"port\":9"));
}

static void in_the(struct fake *f, const char *line, const char *body,
                   const char *wanted, const char *unwanted)
{
    const char *text = fake_reply(f, line, body, 200);

    ck_assert_msg(strstr(text, wanted) != NULL, "%s: %s", line, text);
    ck_assert_msg(unwanted == NULL || strstr(text, unwanted) == NULL, "%s: %s",
                  line, text);
}

/* What is asked, what is in the answer, and what must not be. */
static const struct {
    const char *line;
    const char *wanted;
    const char *unwanted;
} reads[] = {
    {"GET /v1/catalog/nodes", "\"edge\"", "\"far\""},
    {"GET /v1/catalog/nodes?dc=", "\"edge\"", "\"far\""},
    {"GET /v1/catalog/nodes?dc=dc1", "\"edge\"", "\"far\""},
    {"GET /v1/catalog/nodes?dc=dc2", "\"far\"", "\"edge\""},
    {"GET /v1/catalog/nodes?dc=dc2", "\"Datacenter\":\"dc2\"", "dc1"},
    {"GET /v1/catalog/node/far?dc=dc2", "\"w9\"", NULL},
    {"GET /v1/catalog/node/edge?dc=dc2", "null", NULL},
    {"GET /v1/catalog/service/web?dc=dc2", "\"w9\"", "\"w1\""},
    {"GET /v1/health/service/web?dc=dc2&passing", "\"w9\"", "\"w1\""},
    {"GET /v1/health/service/web?dc=dc2&filter=Service.Port==9", "\"w9\"",
     "\"w1\""},
    {"GET /v1/health/service/web?dc=dc2&filter=Service.Port==8", "[]", NULL},
    {"GET /v1/health/service/web?dc=dc2&near=_agent", "\"w9\"", NULL},
    {"GET /v1/health/state/passing?dc=dc2", "\"serfHealth\"", "edge"},
    {"GET /v1/prometheus/sd?service=web&dc=dc2", "dc2", "dc1"},
    {"GET /v1/status/leader?dc=dc2", "\"10.2.0.9:2380\"", NULL},
    {"GET /v1/status/peers?dc=dc2", "\"10.2.0.9:2380\"", NULL},
    {"GET /v1/status/leader", "\"127.0.0.1:2380\"", NULL},
    {"GET /v1/catalog/datacenters", "[\"dc1\",\"dc2\"]", NULL},
    {"GET /v1/catalog/datacenters?dc=dc2", "[\"dc1\",\"dc2\"]", NULL},
    {"GET /v1/coordinate/datacenters",
     "{\"Datacenter\":\"dc1\",\"AreaID\":\"wan\",\"Coordinates\":[]},"
     "{\"Datacenter\":\"dc2\",\"AreaID\":\"wan\",\"Coordinates\":["
     "{\"Node\":\"10.2.0.9:2380\",\"Coord\":{\"Adjustment\":0,\"Error\":0.2,"
     "\"Height\":0,\"Vec\":[0.025000000,0,",
     NULL},
    {"GET /v1/coordinate/nodes?dc=dc2", "[]", NULL},
    /* This agent's own affairs. */
    {"GET /v1/agent/self?dc=dc2", "\"Datacenter\":\"dc1\"", NULL},
    {"GET /v1/agent/self?dc=nowhere", "\"Datacenter\":\"dc1\"", NULL},
};

START_TEST(reads_by_row)
{
    struct fake f;

    stage(&f);
    in_the(&f, reads[_i].line, "", reads[_i].wanted, reads[_i].unwanted);
    fake_stop(&f);
}
END_TEST

static const struct {
    const char *line;
    const char *body;
    int status;
    const char *text;
} refusals[] = {
    {"GET /v1/catalog/nodes?dc=dc3", "", 500, "No path to datacenter"},
    {"GET /v1/catalog/datacenters?dc=dc3", "", 500, "No path to datacenter"},
    {"PUT /v1/kv/a?dc=dc3", "x", 500, "No path to datacenter"},
    {"PUT /v1/catalog/register",
     "{\"Datacenter\":\"dc3\",\"Node\":\"n\",\"Address\":\"10.0.0.1\"}", 500,
     "No path to datacenter"},
    {"GET /v1/operator/raft/configuration?dc=dc2", "", 400,
     "An agent knows its own store's members only: ask one of datacenter dc2"},
    {"GET /v1/acl/tokens?dc=dc2", "", 400,
     "Tokens and policies of \"dc2\" are changed by its own agents"},
    {"PUT /v1/session/create?dc=dc2", "{}", 400,
     "Missing node registration: \"edge\""},
};

START_TEST(refusals_by_row)
{
    struct fake f;

    stage(&f);
    ck_assert_str_eq(fake_reply(&f, refusals[_i].line, refusals[_i].body,
                                refusals[_i].status),
                     refusals[_i].text);
    fake_stop(&f);
}
END_TEST

static bool has_row(const struct fake *f, const char *prefix)
{
    for (size_t i = 0; i < FAKE_ROWS && f->rows[i].key != NULL; i++) {
        if (f->rows[i].exists &&
            strncmp(f->rows[i].key, prefix, strlen(prefix)) == 0) {
            return true;
        }
    }
    return false;
}

/* What is written, and the key that is there afterwards. */
static const struct {
    const char *line;
    const char *body;
    const char *key;
} writes[] = {
    {"PUT /v1/kv/a?dc=dc2", "x", DC2("pairs/a")},
    {"PUT /v1/kv/a?dc=dc1", "x", DC1("pairs/a")},
    {"PUT /v1/txn?dc=dc2",
     "[{\"KV\":{\"Verb\":\"set\",\"Key\":\"b\",\"Value\":\"eA==\"}}]",
     DC2("pairs/b")},
    {"PUT /v1/session/create?dc=dc2", "{\"Node\":\"far\"}", DC2("sess/")},
    {"PUT /v1/event/fire/e?dc=dc2", "", DC2("event/")},
    {"PUT /v1/catalog/register?dc=dc2",
     "{\"Node\":\"n\",\"Address\":\"10.0.0.1\"}", DC2("node/n")},
    {"PUT /v1/catalog/register",
     "{\"Datacenter\":\"dc2\",\"Node\":\"n\",\"Address\":\"10.0.0.1\"}",
     DC2("node/n")},
    {"PUT /v1/catalog/register?dc=dc2",
     "{\"Datacenter\":\"dc1\",\"Node\":\"n\",\"Address\":\"10.0.0.1\"}",
     DC1("node/n")},
};

START_TEST(writes_by_row)
{
    struct api_outcome o;
    struct fake f;

    stage(&f);
    fake_ask(&f, writes[_i].line, writes[_i].body, &o);
    ck_assert_int_eq(o.status, 200);
    api_outcome_release(&o);
    ck_assert_msg(has_row(&f, writes[_i].key), "%s", writes[_i].key);
    fake_stop(&f);
}
END_TEST

START_TEST(what_is_written_there_is_read_there)
{
    struct fake f;

    stage(&f);
    (void)fake_reply(&f, "PUT /v1/kv/a?dc=dc2", "x", 200);
    in_the(&f, "GET /v1/kv/a?dc=dc2", "", "\"eA==\"", NULL);
    (void)fake_reply(&f, "GET /v1/kv/a", "", 404);
    fake_stop(&f);
}
END_TEST

/* Whoever carries an outcome out is told where. */
static const struct {
    const char *line;
    enum api_outcome_kind kind;
    const char *dc;
} outcomes[] = {
    {"GET /v1/health/service/web?dc=dc2", API_WAIT, "dc2"},
    {"GET /v1/health/service/web?dc=dc2&passing", API_WAIT, "dc2"},
    {"GET /v1/health/service/web?stale", API_WAIT, NULL},
    {"GET /v1/health/service/web?dc=dc2&consistent", API_CONFIRM, "dc2"},
    {"GET /v1/kv/a?dc=dc2", API_FOLLOW, "dc2"},
    {"GET /v1/kv/a?pretty", API_FOLLOW, NULL},
    {"GET /v1/stream?dc=dc2", API_STREAM, "dc2"},
    {"GET /v1/explain/web?dc=dc2", API_EXPLAIN, "dc2"},
    {"GET /v1/explain/web?pretty", API_EXPLAIN, NULL},
};

START_TEST(outcomes_by_row)
{
    struct api_outcome o;
    char line[200];
    struct fake f;

    stage(&f);
    (void)snprintf(line, sizeof(line), "%s&index=%lld", outcomes[_i].line,
                   (long long)f.revision);
    fake_ask(&f, line, "", &o);
    ck_assert_int_eq(o.kind, outcomes[_i].kind);
    if (outcomes[_i].dc == NULL) {
        ck_assert_ptr_null(o.datacenter);
    } else {
        ck_assert_str_eq(o.datacenter, outcomes[_i].dc);
    }
    api_outcome_release(&o);
    fake_stop(&f);
}
END_TEST

static void header_is(const struct api_outcome *o, const char *name,
                      const char *value)
{
    for (size_t i = 0; i < o->headers_count; i++) {
        if (strcmp(o->headers[i].name, name) == 0) {
            ck_assert_str_eq(o->headers[i].value, value);
            return;
        }
    }
    ck_abort_msg("no header %s", name);
}

/* A datacenter is as old as its own replica. */
START_TEST(age_is_that_of_the_datacenter)
{
    struct api_outcome o;
    struct fake f;

    stage(&f);
    f.elsewhere_away_ms = 1234;
    fake_ask(&f, "GET /v1/health/service/web?dc=dc2", "", &o);
    header_is(&o, "X-Consul-LastContact", "1234");
    header_is(&o, "X-Consul-KnownLeader", "false");
    api_outcome_release(&o);
    fake_ask(&f, "GET /v1/health/service/web", "", &o);
    header_is(&o, "X-Consul-LastContact", "0");
    header_is(&o, "X-Consul-KnownLeader", "true");
    api_outcome_release(&o);
    fake_stop(&f);
}
END_TEST

/* Addresses that are meant for the outside: which are shown where. */
static const struct {
    const char *line;
    const char *wanted;
    const char *unwanted;
} addresses[] = {
    {"GET /v1/health/service/db?dc=dc2", "\"Address\":\"192.0.2.9\"",
     "\"Tags\":[],\"Address\":\"10.2.0.5\""},
    {"GET /v1/health/service/db?dc=dc2", "\"Port\":9999", NULL},
    {"GET /v1/health/service/db?dc=dc2", "\"Address\":\"192.0.2.1\"", NULL},
    {"GET /v1/catalog/service/db?dc=dc2", "\"ServiceAddress\":\"192.0.2.9\"",
     NULL},
    {"GET /v1/catalog/service/db?dc=dc2", "\"ServicePort\":9999", NULL},
    {"GET /v1/catalog/nodes?dc=dc2", "\"Address\":\"192.0.2.1\"", NULL},
    {"GET /v1/prometheus/sd?service=db&dc=dc2", "192.0.2.9:9999", NULL},
    {"GET /v1/prometheus/sd?service=web&dc=dc2", "192.0.2.1:9", NULL},
    {"GET /v1/catalog/service/web?dc=dc2", "\"ServiceAddress\":\"\"", NULL},
    {"GET /v1/catalog/nodes", "\"Address\":\"10.0.0.7\"", "192.0.2"},
    {"GET /v1/catalog/service/db", "\"ServiceAddress\":\"10.0.0.5\"",
     "ServiceAddress\":\"192"},
};

#define TAGGED(value) ",\"tagged_addresses\":{" value "}"
#define DB(node, address)                                                     \
    INSTANCE(node, "db", "d1",                                                \
             ",\"address\":\"" address "\",\"port\":5,\"tagged_addresses\":{" \
             "\"wan\":{\"address\":\"192.0.2.9\",\"port\":9999}}")

START_TEST(addresses_by_row)
{
    struct fake f;

    stage(&f);
    f.translate_wan = true;
    fake_put(&f, DC2("node/far"),
             NODE("far", "10.2.0.1",
                  TAGGED("\"lan\":\"10.2.0.1\",\"wan_ipv4\":\"192.0.2.1\"")));
    fake_put(&f, DC1("inst/db/edge/d1"), DB("edge", "10.0.0.5"));
    fake_put(&f, DC2("inst/db/far/d1"), DB("far", "10.2.0.5"));
    in_the(&f, addresses[_i].line, "", addresses[_i].wanted,
           addresses[_i].unwanted);
    fake_stop(&f);
}
END_TEST

/* A name says itself where its service is. */
START_TEST(a_name_is_explained_where_it_lies)
{
    struct api_dns_answer answer = {.name = "web.service.dc2.consul",
                                    .service = "web",
                                    .datacenter = "dc2"};
    struct api_request request = {.method = slice_str("GET"),
                                  .path = slice_str("/v1/explain/dns"),
                                  .query =
                                      slice_str("name=web.service.dc2.consul")};
    struct api_outcome o;
    struct api_view view;
    struct fake f;

    stage(&f);
    view = fake_view(&f);
    view.explained = &answer;
    api_handle(&request, &view, &f.arena, &o);
    ck_assert_int_eq(o.status, 200);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&o.body), "\"w9\""));
    ck_assert_ptr_null(strstr(buf_cstr(&o.body), "\"w1\""));
    api_outcome_release(&o);
    fake_stop(&f);
}
END_TEST

UNIT_MAIN("api_datacenter", {
    tcase_add_loop_test(tc, reads_by_row, 0, COUNT_OF(reads));
    tcase_add_loop_test(tc, refusals_by_row, 0, COUNT_OF(refusals));
    tcase_add_loop_test(tc, writes_by_row, 0, COUNT_OF(writes));
    tcase_add_test(tc, what_is_written_there_is_read_there);
    tcase_add_loop_test(tc, outcomes_by_row, 0, COUNT_OF(outcomes));
    tcase_add_loop_test(tc, addresses_by_row, 0, COUNT_OF(addresses));
    tcase_add_test(tc, a_name_is_explained_where_it_lies);
    tcase_add_test(tc, age_is_that_of_the_datacenter);
})
