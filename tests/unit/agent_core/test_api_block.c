#include "agent/core/api.h"

#include <stdio.h>

#include "api_world.h"

#define KEY(rest) "/muster/v1/dc1/" rest
#define INSTANCE(service, id, more) \
    "{\"node\":\"edge\",\"service\":\"" service "\",\"id\":\"" id "\"" more "}"
#define NODE(more)                                                        \
    "{\"name\":\"edge\",\"id\":\"7a1f0c5e-9a54-4d0a-8a7e-3c1b5a2f9d10\"," \
    "\"address\":\"10.0.0.7\"" more "}"
#define CHECK(status)                                                        \
    ",\"checks\":[{\"id\":\"c\",\"name\":\"c\",\"type\":\"ttl\",\"status\":" \
    "\"" status "\"}]"

/* Two services on one node, one instance critical, one without checks. */
static void stage(struct fake *f)
{
    fake_start(f);
    (void)fake_settle(f);
    fake_put(f, KEY("node/edge"), NODE(",\"meta\":{\"zone\":\"b\"}"));
    fake_put(f, KEY("inst/web/edge/w1"),
             INSTANCE("web", "w1", ",\"tags\":[\"eu\"]" CHECK("passing")));
    fake_put(f, KEY("inst/web/edge/w2"),
             INSTANCE("web", "w2", CHECK("critical")));
    fake_put(f, KEY("inst/db/edge/d"), INSTANCE("db", "d", ",\"port\":1"));
}

/* Who hears of what: a poll, a change, and whether the poll is answered ('!'),
 * looked at and put back ('~'), or not even looked at ('.'). */
static const struct {
    const char *path;
    const char *key;
    const char *value;
    char effect;
} rows[] = {
    {"/v1/health/service/web", KEY("inst/web/edge/w1"), NULL, '!'},
    {"/v1/health/service/web", KEY("inst/web/edge/w3"),
     INSTANCE("web", "w3", ""), '!'},
    {"/v1/health/service/web", KEY("inst/db/edge/d"), NULL, '.'},
    {"/v1/health/service/web", KEY("live/edge"), NULL, '!'},
    {"/v1/health/service/web", KEY("ncheck/edge/disk"),
     "{\"node\":\"edge\",\"check\":{\"id\":\"disk\",\"name\":\"d\",\"type\":"
     "\"ttl\",\"status\":\"warning\"}}",
     '!'},
    {"/v1/health/service/web", KEY("node/edge"), NODE(""), '!'},
    {"/v1/health/service/web", KEY("node/other"),
     "{\"name\":\"other\",\"id\":\"o\",\"address\":\"10.0.0.8\"}", '.'},
    {"/v1/health/service/none", KEY("inst/web/edge/w1"), NULL, '.'},
    {"/v1/health/service/none", KEY("inst/none/edge/n"),
     INSTANCE("none", "n", ""), '!'},
    {"/v1/catalog/service/web", KEY("inst/web/edge/w2"), NULL, '!'},
    /* What a poll has chosen. */
    {"/v1/health/service/web?passing", KEY("inst/web/edge/w2"), NULL, '~'},
    {"/v1/health/service/web?passing", KEY("inst/web/edge/w1"), NULL, '!'},
    {"/v1/health/service/web?tag=eu", KEY("inst/web/edge/w2"), NULL, '~'},
    {"/v1/health/service/web?filter=Service.ID==w1", KEY("inst/web/edge/w2"),
     NULL, '~'},
    {"/v1/health/service/web?filter=Service.ID!=w1", KEY("inst/web/edge/w2"),
     NULL, '!'},
    /* The map of names to tags. */
    {"/v1/catalog/services", KEY("inst/web/edge/w2"), NULL, '.'},
    {"/v1/catalog/services", KEY("inst/web/edge/w1"), NULL, '!'},
    {"/v1/catalog/services", KEY("inst/db/edge/d"), NULL, '!'},
    {"/v1/catalog/services", KEY("live/edge"), NULL, '.'},
    {"/v1/catalog/services?node-meta=zone:b", KEY("inst/db/edge/d2"),
     INSTANCE("db", "d2", ""), '~'},
    {"/v1/catalog/services?node-meta=zone:b", KEY("node/edge"), NODE(""), '!'},
    {"/v1/catalog/services?filter=ServicePort==1", KEY("inst/db/edge/d"),
     INSTANCE("db", "d", ",\"port\":2"), '!'},
    {"/v1/catalog/services?filter=ServicePort==1", KEY("inst/web/edge/w1"),
     NULL, '~'},
    /* Checks. */
    {"/v1/health/checks/web", KEY("inst/web/edge/w1"),
     INSTANCE("web", "w1", ",\"tags\":[\"eu\"],\"port\":7" CHECK("passing")),
     '.'},
    {"/v1/health/checks/web", KEY("inst/web/edge/w1"),
     INSTANCE("web", "w1", ",\"tags\":[\"eu\"]" CHECK("warning")), '!'},
    {"/v1/health/checks/web?node-meta=zone:b", KEY("node/edge"), NODE(""), '!'},
    {"/v1/health/checks/web", KEY("live/edge"), NULL, '.'},
    {"/v1/health/state/any", KEY("inst/other/edge/o"),
     INSTANCE("other", "o", ""), '.'},
    {"/v1/health/state/any", KEY("inst/web/edge/w1"), NULL, '!'},
    {"/v1/health/state/warning", KEY("inst/web/edge/w1"), NULL, '~'},
    {"/v1/health/state/critical", KEY("live/edge"), NULL, '!'},
    /* Nodes. */
    {"/v1/catalog/nodes", KEY("inst/web/edge/w1"), NULL, '.'},
    {"/v1/catalog/nodes", KEY("live/edge"), NULL, '.'},
    {"/v1/catalog/nodes", KEY("node/other"),
     "{\"name\":\"other\",\"id\":\"o\",\"address\":\"10.0.0.8\"}", '!'},
    {"/v1/catalog/nodes?node-meta=zone:b", KEY("node/other"),
     "{\"name\":\"other\",\"id\":\"o\",\"address\":\"10.0.0.8\"}", '~'},
    {"/v1/catalog/node/edge", KEY("inst/db/edge/d"), NULL, '!'},
    {"/v1/catalog/node/edge", KEY("node/other"),
     "{\"name\":\"other\",\"id\":\"o\",\"address\":\"10.0.0.8\"}", '.'},
    {"/v1/health/node/edge", KEY("live/edge"), NULL, '!'},
    {"/v1/catalog/node-services/nobody", KEY("inst/db/edge/d"), NULL, '.'},
};

START_TEST(hears_by_row)
{
    struct api_outcome o;
    char line[256];
    struct fake f;
    char effect = '.';

    stage(&f);
    (void)snprintf(line, sizeof(line), "GET %s", rows[_i].path);
    (void)snprintf(line, sizeof(line), "GET %s%cindex=%llu", rows[_i].path,
                   strchr(rows[_i].path, '?') ? '&' : '?',
                   (unsigned long long)index_of(&f, line));
    fake_ask(&f, line, "", &o);
    ck_assert_int_eq(o.kind, API_WAIT);
    fake_put(&f, rows[_i].key, rows[_i].value);
    if (o.scope.name) {
        /* The path's last part; the arena is that of one request. */
        o.scope.name = strstr(line, "none")     ? "none"
                       : strstr(line, "nobody") ? "nobody"
                       : strstr(line, "/edge")  ? "edge"
                                                : "web";
    }
    if (api_should_wake(&o, f.catalog)) {
        uint64_t before = o.index;

        fake_ask_again(&f, line, &o);
        effect = o.kind == API_WAIT ? '~' : '!';
        if (effect == '~') {
            ck_assert_uint_gt(o.index, before);
        }
    }
    ck_assert_msg(effect == rows[_i].effect, "%s: %c at a change of %s", line,
                  effect, rows[_i].key);
    api_outcome_release(&o);
    fake_stop(&f);
}
END_TEST

/* A narrowed poll that slept on is answered at its end, with what it has. */
START_TEST(narrowed_poll_ends)
{
    static const char line[] =
        "GET /v1/health/service/web?passing&index=%llu&wait=10s";
    struct api_outcome o;
    char text[128];
    struct fake f;

    stage(&f);
    (void)snprintf(
        text, sizeof(text), line,
        (unsigned long long)index_of(&f, "GET /v1/health/service/web?passing"));
    fake_ask(&f, text, "", &o);
    fake_put(&f, KEY("inst/web/edge/w2"), NULL);
    fake_ask_again(&f, text, &o);
    ck_assert_int_eq(o.kind, API_WAIT);
    /* A change that it must hear of, and one that takes that back. */
    fake_put(&f, KEY("inst/web/edge/w3"), INSTANCE("web", "w3", ""));
    fake_ask_again(&f, text, &o);
    ck_assert_int_eq(o.kind, API_REPLY);
    api_outcome_release(&o);
    fake_stop(&f);
}
END_TEST

/* The store was replaced by one that is not as far: whatever was asked for, the
 * answer comes at once, with the lower index. */
START_TEST(index_from_another_store)
{
    struct api_outcome o;
    struct fake f;

    stage(&f);
    fake_ask(&f, "GET /v1/health/service/web?passing&index=9999", "", &o);
    ck_assert_int_eq(o.kind, API_REPLY);
    ck_assert_uint_lt(index_of(&f, "GET /v1/health/service/web"), 9999);
    api_outcome_release(&o);
    fake_stop(&f);
}
END_TEST

/* ---- Order ------------------------------------------------------------- */

static const struct {
    const char *line;
    const char *order; /* Node names in the reply, without repetition. */
} nears[] = {
    {"GET /v1/catalog/nodes", "a b edge y z "},
    {"GET /v1/catalog/nodes?near=_agent", "edge z a b y "},
    {"GET /v1/catalog/nodes?near=edge", "edge z a b y "},
    {"GET /v1/catalog/nodes?near=y", "y b a edge z "},
    {"GET /v1/catalog/nodes?near=a", "a b edge y z "},
    {"GET /v1/catalog/nodes?near=nobody", "a b edge y z "},
    {"GET /v1/health/service/far?near=y", "y b a z "},
    {"GET /v1/catalog/service/far?near=_agent", "z a b y "},
    {"GET /v1/health/checks/far?near=y", "y b a z "},
    {"GET /v1/health/state/passing?near=y", "y b a edge z "},
};

static void put_node(struct fake *f, const char *name, const char *meta)
{
    char key[128];
    char value[512];

    (void)snprintf(key, sizeof(key), KEY("node/%s"), name);
    (void)snprintf(value, sizeof(value),
                   "{\"name\":\"%s\",\"id\":\"id-%s\",\"address\":"
                   "\"10.0.0.9\"%s}",
                   name, name, meta);
    fake_put(f, key, value);
    (void)snprintf(key, sizeof(key), KEY("inst/far/%s/i"), name);
    (void)snprintf(value, sizeof(value),
                   "{\"node\":\"%s\",\"service\":\"far\",\"id\":\"i\","
                   "\"checks\":[{\"id\":\"c\",\"status\":\"passing\"}]}",
                   name);
    fake_put(f, key, value);
}

START_TEST(order_by_row)
{
    static const char mark[] = "\"Node\":\"";
    char order[64] = "";
    const char *at;
    struct fake f;

    stage(&f);
    put_node(&f, "a", "");
    put_node(&f, "b", ",\"meta\":{\"zone\":\"c\"}");
    put_node(&f, "y", ",\"meta\":{\"zone\":\"c\"}");
    put_node(&f, "z", ",\"meta\":{\"zone\":\"b\"}");
    at = fake_reply(&f, nears[_i].line, "", 200);
    while ((at = strstr(at, mark)) != NULL) {
        size_t len = strcspn(at + strlen(mark), "\"");
        size_t all = strlen(order);

        at += strlen(mark);
        if (all < len + 1 || strncmp(order + all - len - 1, at, len) != 0) {
            (void)snprintf(order + all, sizeof(order) - all, "%.*s ", (int)len,
                           at);
        }
    }
    ck_assert_msg(strcmp(order, nears[_i].order) == 0, "%s: %s", nears[_i].line,
                  order);
    fake_stop(&f);
}
END_TEST

/* ---- How old an answer may be -------------------------------------- */

static const struct {
    const char *query;
    uint64_t away_ms;
    bool strict;
    int status;
} ages[] = {
    {"", 0, false, 200},
    {"", 60000, false, 200},
    {"?stale", 60000, false, 200},
    {"?leader", 60000, false, 200},
    {"?cached", 60000, false, 200},
    {"?consistent", 60000, false, 500},
    {"", 0, true, 200},
    {"", 60000, true, 500},
    {"?cached", 60000, true, 500},
    {"?stale", 60000, true, 200},
    {"?stale=&max_stale=2m", 60000, true, 200},
    {"?stale=&max_stale=10s", 60000, true, 500},
    {"?stale=&max_stale=10s", 60000, false, 200},
    {"?max_stale=soon", 0, false, 400},
};

START_TEST(age_by_row)
{
    char line[128];
    struct fake f;

    stage(&f);
    f.away_ms = ages[_i].away_ms;
    f.strict = ages[_i].strict;
    (void)snprintf(line, sizeof(line), "GET /v1/health/service/web%s",
                   ages[_i].query);
    (void)fake_reply(&f, line, "", ages[_i].status);
    fake_stop(&f);
}
END_TEST

static const struct {
    const char *line;
    const char *name;
    const char *value;
} headers[] = {
    {"GET /v1/catalog/nodes", "X-Consul-Effective-Consistency", "leader"},
    {"GET /v1/catalog/nodes?stale", "X-Consul-Effective-Consistency", "stale"},
    {"GET /v1/catalog/nodes", "X-Consul-KnownLeader", "false"},
    {"GET /v1/catalog/nodes", "X-Consul-LastContact", "61500"},
    {"GET /v1/catalog/nodes", "X-Consul-Query-Backend", "blocking-query"},
    {"GET /v1/catalog/nodes", "X-Consul-Default-ACL-Policy", "allow"},
    {"GET /v1/catalog/nodes", "X-Cache", NULL},
    {"GET /v1/catalog/nodes?cached", "X-Cache", "HIT"},
    {"GET /v1/catalog/nodes?cached", "Age", "61"},
    {"GET /v1/agent/service/none", "X-Consul-Index", "7"},
    {"GET /v1/query/none", "X-Consul-LastContact", "61500"},
    {"GET /v1/query/none/execute", "X-Consul-LastContact", "61500"},
    {"GET /v1/coordinate/node/none", "X-Consul-LastContact", "61500"},
    {"GET /v1/coordinate/datacenters", "X-Consul-LastContact", "61500"},
    {"GET /v1/coordinate/datacenters", "X-Consul-Index", "1"},
    {"GET /v1/nonsense", "X-Consul-Index", "7"},
};

START_TEST(header_by_row)
{
    struct api_outcome o;
    struct fake f;

    stage(&f);
    f.away_ms = 61500;
    fake_ask(&f, headers[_i].line, "", &o);
    ck_assert_int_eq(o.kind, API_REPLY);
    ck_assert_pstr_eq(header(&o, headers[_i].name), headers[_i].value);
    api_outcome_release(&o);
    fake_stop(&f);
}
END_TEST

UNIT_MAIN("api_block", {
    tcase_add_loop_test(tc, hears_by_row, 0, COUNT_OF(rows));
    tcase_add_test(tc, narrowed_poll_ends);
    tcase_add_test(tc, index_from_another_store);
    tcase_add_loop_test(tc, order_by_row, 0, COUNT_OF(nears));
    tcase_add_loop_test(tc, age_by_row, 0, COUNT_OF(ages));
    tcase_add_loop_test(tc, header_by_row, 0, COUNT_OF(headers));
})
