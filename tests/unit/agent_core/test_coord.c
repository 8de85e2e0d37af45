#include "agent/core/coord.h"

#include <stdio.h>

#include "fake_store.h"
#include "suite.h"

#define KEY(node) "/muster/v1/dc1/coord/" node

static void put(struct coords *c, const char *key, const char *value,
                int64_t revision)
{
    struct catalog_event e = {.key = slice_str(key),
                              .value = slice_str(value),
                              .deleted = value == NULL,
                              .mod_revision = revision};

    coords_apply(c, &e, 1, false);
}

static void put_node(struct coords *c, const char *node, int a, int b, int d,
                     int64_t revision)
{
    char key[100];
    char value[200];

    (void)snprintf(key, sizeof(key), KEY("%s"), node);
    (void)snprintf(
        value, sizeof(value),
        "{\"node\":\"%s\",\"rtt_us\":{\"b:1\":%d,\"a:1\":%d,\"d:1\":%d}}", node,
        b, a, d);
    put(c, key, value, revision);
}

/* In tens of microseconds. */
static int distance(const struct coords *c, const char *a, const char *b)
{
    struct coord from;
    struct coord to;

    ck_assert(coords_find(c, a, &from));
    ck_assert(coords_find(c, b, &to));
    return (int)(coord_distance(&from, &to) * 100000 + 0.5);
}

/* Three towns, each with a member of the store; two hosts in the first. */
static struct coords *towns(void)
{
    struct coords *c = coords_new("dc1");

    put_node(c, "one", 200, 20000, 30000, 11);
    put_node(c, "two", 300, 20100, 30100, 12);
    put_node(c, "b", 20000, 200, 40000, 13);
    put_node(c, "d", 30000, 40000, 200, 14);
    return c;
}

START_TEST(the_near_are_nearer)
{
    struct coords *c = towns();

    ck_assert_int_eq(distance(c, "one", "two"), 35); /* Heights, a little. */
    ck_assert_int_eq(distance(c, "one", "b"), 1737);
    ck_assert_int_gt(distance(c, "one", "d"), distance(c, "one", "b"));
    ck_assert_int_gt(distance(c, "b", "d"), distance(c, "one", "d"));
    ck_assert_int_eq(distance(c, "one", "d"), distance(c, "D", "ONE"));
    ck_assert_uint_eq(coords_index(c), 14);
    coords_free(c);
}
END_TEST

START_TEST(what_is_deleted_is_gone)
{
    struct coords *c = towns();
    struct coord at;
    struct catalog_event one = {
        .key = slice_str(KEY("x")),
        .value = slice_str("{\"node\":\"X\",\"rtt_us\":{\"a:1\":100}}"),
        .mod_revision = 30};

    put(c, KEY("b"), NULL, 20);
    ck_assert(!coords_find(c, "b", &at));
    ck_assert(coords_find(c, "d", &at));
    ck_assert_uint_eq(coords_index(c), 20);
    coords_apply(c, &one, 1, true); /* All there is. */
    ck_assert(!coords_find(c, "d", &at));
    ck_assert(coords_find(c, "x", &at));
    coords_free(c);
}
END_TEST

static const struct {
    const char *key;
    const char *value;
} bad[] = {
    {KEY("n"), ""},
    {KEY("n"), "[]"},
    {KEY("n"), "{\"node\":\"n\"}"},
    {KEY("n"), "{\"node\":\"n\",\"rtt_us\":{}}"},
    {KEY("n"), "{\"node\":\"n\",\"rtt_us\":{\"a\":-1}}"},
    {KEY("n"), "{\"node\":\"n\",\"rtt_us\":{\"a\":\"1\"}}"},
    {KEY("n"), "{\"node\":\"n\",\"rtt_us\":{\"a\":1e12}}"},
    {KEY("n"), "{\"node\":\"m\",\"rtt_us\":{\"a\":1}}"}, /* Another's. */
    {KEY("n"),
     "{\"node\":\"n\",\"rtt_us\":{\"1\":1,\"2\":1,\"3\":1,\"4\":1,\"5\":1,"
     "\"6\":1,\"7\":1,\"8\":1,\"9\":1,\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,"
     "\"f\":1,\"g\":1,\"h\":1}}"},
    {KEY("n"), "{\"node\":\"n\",\"vec\":[1,2,3],\"height\":0}"},
    {KEY("n"), "{\"node\":\"n\",\"vec\":[1,2,3,4,5,6,7,8]}"},
    {KEY("n"), "{\"node\":\"n\",\"vec\":[1,2,3,4,5,6,7,8],\"height\":-1}"},
    {KEY("n"), "{\"node\":\"n\",\"vec\":[1,2,3,4,5,6,7,1e9],\"height\":0}"},
    {"/muster/v1/dc1/node/n", "{\"node\":\"n\",\"rtt_us\":{\"a\":1}}"},
    {"/muster/v1/dc2/coord/n", "{\"node\":\"n\",\"rtt_us\":{\"a\":1}}"},
};

START_TEST(what_is_none_is_passed_over)
{
    struct coords *c = towns();
    struct coord at;

    put(c, bad[_i].key, bad[_i].value, 20);
    ck_assert(!coords_find(c, "n", &at));
    ck_assert(coords_find(c, "one", &at));
    coords_free(c);
}
END_TEST

/* More landmarks than there are dimensions; each node knows another part. */
START_TEST(landmarks_are_the_first_eight)
{
    struct coords *c = coords_new("dc1");
    struct coord at;

    put(c, KEY("n"),
        "{\"node\":\"n\",\"rtt_us\":{\"j\":900,\"i\":900,\"h\":800,\"g\":700,"
        "\"f\":600,\"e\":500}}",
        5);
    put(c, KEY("m"),
        "{\"node\":\"m\",\"rtt_us\":{\"a\":100,\"b\":200,\"c\":300,\"d\":400}}",
        6);
    ck_assert(coords_find(c, "n", &at));
    /* a to d are not known: 4400 / 6, over the root of 8. */
    ck_assert_int_eq((int)(at.vec[0] * 1e6), 259);
    ck_assert_int_eq((int)(at.vec[3] * 1e6), 259);
    ck_assert_int_eq((int)(at.vec[4] * 1e6), 176);
    ck_assert_int_eq((int)(at.vec[7] * 1e6), 282);
    ck_assert_int_eq((int)(at.height * 1e6 + 0.5), 250);
    coords_free(c);
}
END_TEST

/* ---- Measuring ---------------------------------------------------- */

static void measure(struct coord_track *t, int a, int b)
{
    coord_track_begin(t);
    if (a > 0) {
        coord_track_add(t, "a:1", (uint64_t)a);
    }
    if (b > 0) {
        coord_track_add(t, "b:1", (uint64_t)b);
    }
    coord_track_end(t);
}

/* Told, and taken for said; "": no news. */
static const char *news(const struct coord_track *t, struct coords *c)
{
    static char text[300];
    struct arena a = {0};
    struct slice value = {0};

    text[0] = '\0';
    if (coord_track_news(t, c, "n", &a, &value)) {
        (void)snprintf(text, sizeof(text), "%.*s", (int)value.len,
                       (const char *)value.data);
        put(c, KEY("n"), text, 50);
    }
    arena_release(&a);
    return text;
}

START_TEST(only_what_matters_is_told)
{
    struct coord_track t = {0};
    struct coords *c = coords_new("dc1");

    ck_assert_str_eq(news(&t, c), ""); /* Nothing is known. */
    measure(&t, 200, 20000);
    ck_assert_str_eq(news(&t, c),
                     "{\"node\":\"n\",\"rtt_us\":{\"a:1\":200,\"b:1\":20000}}");
    ck_assert_str_eq(news(&t, c), "");
    measure(&t, 1500, 22000); /* 590: less than half a millisecond more. */
    ck_assert_str_eq(news(&t, c), "");
    measure(&t, 2000, 24000); /* 1013 */
    ck_assert_str_eq(news(&t, c), "{\"node\":\"n\",\"rtt_us\":{\"a:1\":1013,"
                                  "\"b:1\":21620}}");
    measure(&t, 1000, 0);
    ck_assert_str_eq(news(&t, c), "{\"node\":\"n\",\"rtt_us\":{\"a:1\":1009}}");
    put(c, KEY("n"), NULL, 60); /* Our lease has ended. */
    ck_assert_str_eq(news(&t, c), "{\"node\":\"n\",\"rtt_us\":{\"a:1\":1009}}");
    coords_free(c);
}
END_TEST

/* ---- The API ------------------------------------------------------ */

#define NODE(name, zone)                                                   \
    "{\"name\":\"" name "\",\"id\":\"" name "\",\"address\":\"10.0.0.1\"," \
    "\"external\":true,\"meta\":{\"zone\":\"" zone "\"}}"
#define INSTANCE(node) \
    "{\"node\":\"" node "\",\"service\":\"web\",\"id\":\"" node "\"}"

static void stage(struct fake *f)
{
    static const char *const hosts[][2] = {
        {"one", "x"}, {"two", "x"}, {"b", "x"}, {"d", "y"}, {"away", "x"}};

    fake_start(f);
    for (size_t i = 0; i < 5; i++) {
        char key[100];
        char value[300];

        (void)snprintf(key, sizeof(key), "/muster/v1/dc1/node/%s", hosts[i][0]);
        (void)snprintf(value, sizeof(value), NODE("%s", "%s"), hosts[i][0],
                       hosts[i][0], hosts[i][1]);
        fake_put(f, key, value);
        (void)snprintf(key, sizeof(key), "/muster/v1/dc1/inst/web/%s/%s",
                       hosts[i][0], hosts[i][0]);
        (void)snprintf(value, sizeof(value), INSTANCE("%s"), hosts[i][0],
                       hosts[i][0]);
        fake_put(f, key, value);
    }
    f->coords = towns();
}

static void stage_end(struct fake *f)
{
    coords_free(f->coords);
    fake_stop(f);
}

/* The values of a key, one behind the other. */
static const char *list(const char *json, const char *key)
{
    static char text[300];
    size_t len = 0;

    text[0] = '\0';
    while ((json = strstr(json, key)) != NULL) {
        json += strlen(key);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s",
                                len ? " " : "", (int)strcspn(json, "\""), json);
    }
    return text;
}

static const struct {
    const char *line;
    const char *order;
} orders[] = {
    {"GET /v1/catalog/service/web", "away b d one two"},
    {"GET /v1/catalog/service/web?near=one", "one two b away d"},
    {"GET /v1/catalog/service/web?near=b", "b one two away d"},
    {"GET /v1/catalog/service/web?near=d", "d one two b away"},
    {"GET /v1/catalog/service/web?near=away", "away b one two d"},
    {"GET /v1/catalog/service/web?near=_agent", "away b d one two"},
    {"GET /v1/catalog/nodes?near=one", "one two b away d"},
};

START_TEST(near_by_row)
{
    struct fake f;

    stage(&f);
    ck_assert_str_eq(
        list(fake_reply(&f, orders[_i].line, "", 200), "\"Node\":\""),
        orders[_i].order);
    stage_end(&f);
}
END_TEST

START_TEST(coordinates_are_shown)
{
    struct api_outcome o;
    struct fake f;

    stage(&f);
    ck_assert_str_eq(list(fake_reply(&f, "GET /v1/coordinate/nodes", "", 200),
                          "\"Node\":\""),
                     "b d one two");
    ck_assert_str_eq(
        fake_reply(&f, "GET /v1/coordinate/node/one", "", 200),
        "[{\"Node\":\"one\",\"Segment\":\"\",\"Coord\":{\"Adjustment\":"
        "0,\"Error\":0.2,\"Height\":0.000100000,\"Vec\":["
        "0.000115470,0.011547005,0.017320508,0,0,"
        "0,0,0]}}]");
    (void)fake_reply(&f, "GET /v1/coordinate/node/away", "", 404);
    ck_assert_str_eq(
        fake_reply(&f, "GET /v1/coordinate/datacenters", "", 200),
        "[{\"Datacenter\":\"dc1\",\"AreaID\":\"wan\",\"Coordinates\":[]}]");
    fake_ask(&f, "GET /v1/coordinate/nodes?index=14", "", &o);
    ck_assert_int_eq(o.kind, API_FOLLOW);
    api_outcome_release(&o);
    (void)fake_reply(&f, "GET /v1/coordinate/nodes?index=13", "", 200);
    fake_ask(&f, "GET /v1/coordinate/datacenters?index=14", "", &o);
    ck_assert_int_eq(o.kind, API_FOLLOW);
    api_outcome_release(&o);
    stage_end(&f);
}
END_TEST

/* ---- What is said by others --------------------------------------- */

#define VEC "[0.01,0.02,0,0,0,0,0,0]"

static const struct {
    const char *name;
    const char *query;
    const char *body;
    int status;
    const char *text; /* Of the reply, its beginning; of 200 the record. */
} told[] = {
    {"a host without an agent", "",
     "{\"Node\":\"printer\",\"Segment\":\"\",\"Coord\":{\"Vec\":" VEC
     ",\"Error\":1.5,\"Adjustment\":0.001,\"Height\":0.002}}",
     200,
     "{\"node\":\"printer\",\"vec\":[0.010000000,0.020000000,0.000000000,"
     "0.000000000,0.000000000,0.000000000,0.000000000,0.000000000],"
     "\"height\":0.003000000}"},
    {"keys in any case", "",
     "{\"node\":\"printer\",\"coord\":{\"vec\":[0,0,0,0,0,0,0,0]}}", 200,
     "{\"node\":\"printer\",\"vec\":[0.0"},
    {"a host with one", "", "{\"Node\":\"edge\",\"Coord\":{\"Vec\":" VEC "}}",
     409, "Node \"edge\" runs an agent"},
    {"which is insisted on", "?force=1",
     "{\"Node\":\"edge\",\"Coord\":{\"Vec\":" VEC "}}", 200,
     "{\"node\":\"edge\""},
    {"an unknown one", "", "{\"Node\":\"none\",\"Coord\":{\"Vec\":" VEC "}}",
     404, "Node \"none\" is not registered"},
    {"no name", "", "{\"Coord\":{\"Vec\":" VEC "}}", 400,
     "Request decode failed: Node: "},
    {"too few dimensions", "", "{\"Node\":\"printer\",\"Coord\":{\"Vec\":[1]}}",
     400, "Request decode failed: Coord.Vec: must be 8 numbers"},
    {"no coordinate", "", "{\"Node\":\"printer\"}", 400,
     "Request decode failed: Coord.Vec"},
    {"a height that is none", "",
     "{\"Node\":\"printer\",\"Coord\":{\"Height\":\"x\",\"Vec\":" VEC "}}", 400,
     "Request decode failed: Coord.Height"},
    {"no JSON", "", "{", 400, "Request decode failed: not JSON"},
};

START_TEST(told_by_row)
{
    struct coords *c = coords_new("dc1");
    const char *text;
    char line[64];
    struct fake f;

    fake_start(&f);
    (void)fake_settle(&f);
    f.coords = c;
    (void)fake_reply(&f, "PUT /v1/catalog/register",
                     "{\"Node\":\"printer\",\"Address\":\"10.0.0.99\"}", 200);
    (void)snprintf(line, sizeof(line), "PUT /v1/coordinate/update%s",
                   told[_i].query);
    text = fake_reply(&f, line, told[_i].body, told[_i].status);
    if (told[_i].status == 200) {
        const struct fake_row *row = fake_get(&f, KEY("printer"));

        row = row == NULL ? fake_get(&f, KEY("edge")) : row;
        ck_assert_ptr_nonnull(row);
        ck_assert_str_eq(text, "");
        text = row->value;
    }
    ck_assert_msg(strncmp(text, told[_i].text, strlen(told[_i].text)) == 0,
                  "%s: %s", told[_i].name, text);
    fake_stop(&f);
    coords_free(c);
}
END_TEST

/* It is where it was said to be, until it is deregistered. */
START_TEST(what_is_told_is_used)
{
    struct coords *c = towns();
    struct coord at;
    struct fake f;

    put(c, KEY("printer"),
        "{\"node\":\"printer\",\"vec\":[0.002,0,0,0,0,0,0,0],\"height\":0.5}",
        15);
    ck_assert(coords_find(c, "Printer", &at));
    ck_assert(at.vec[0] > 0.0019 && at.vec[0] < 0.0021 && at.height > 0.49);
    fake_start(&f);
    (void)fake_settle(&f);
    f.coords = c;
    (void)fake_reply(&f, "PUT /v1/catalog/register",
                     "{\"Node\":\"printer\",\"Address\":\"10.0.0.99\"}", 200);
    fake_put(&f, KEY("printer"), "{}");
    (void)fake_reply(&f, "PUT /v1/catalog/deregister", "{\"Node\":\"printer\"}",
                     200);
    ck_assert_ptr_null(fake_get(&f, KEY("printer")));
    fake_stop(&f);
    coords_free(c);
}
END_TEST

/* ---- Elsewhere ----------------------------------------------------- */

static void put_elsewhere(struct fake *f, const char *node)
{
    char key[64];
    char value[128];

    (void)snprintf(key, sizeof(key), "/muster/v1/dc2/node/%s", node);
    (void)snprintf(value, sizeof(value),
                   "{\"name\":\"%s\",\"id\":\"%s\",\"address\":\"10.2.0.1\"}",
                   node, node);
    fake_put(f, key, value);
}

/* Distances in another datacenter are those that its own nodes have measured;
 * this host, which has not, is near to none of them. */
START_TEST(near_elsewhere)
{
    struct coords *c = coords_new("dc2");
    struct fake f;

    fake_start(&f);
    fake_elsewhere(&f, "dc2");
    f.elsewhere_coords = c;
    put_elsewhere(&f, "a");
    put_elsewhere(&f, "b");
    put_elsewhere(&f, "edge");
    for (int i = 0; i < 3; i++) {
        const char *const values[] = {
            "{\"node\":\"a\",\"rtt_us\":{\"m\":90000}}",
            "{\"node\":\"b\",\"rtt_us\":{\"m\":1000}}",
            "{\"node\":\"edge\",\"rtt_us\":{\"m\":1200}}"};
        const char *const keys[] = {"/muster/v1/dc2/coord/a",
                                    "/muster/v1/dc2/coord/b",
                                    "/muster/v1/dc2/coord/edge"};

        put(c, keys[i], values[i], i + 1);
    }
    ck_assert_str_eq(
        list(fake_reply(&f, "GET /v1/coordinate/nodes?dc=dc2", "", 200),
             "\"Node\":\""),
        "a b edge");
    ck_assert_str_eq(
        list(fake_reply(&f, "GET /v1/catalog/nodes?dc=dc2&near=b", "", 200),
             "\"Node\":\""),
        "b edge a");
    ck_assert_str_eq(
        list(
            fake_reply(&f, "GET /v1/catalog/nodes?dc=dc2&near=_agent", "", 200),
            "\"Node\":\""),
        "a b edge");
    fake_stop(&f);
    coords_free(c);
}
END_TEST

UNIT_MAIN("coord", {
    tcase_add_test(tc, the_near_are_nearer);
    tcase_add_test(tc, what_is_deleted_is_gone);
    tcase_add_loop_test(tc, what_is_none_is_passed_over, 0, COUNT_OF(bad));
    tcase_add_test(tc, landmarks_are_the_first_eight);
    tcase_add_test(tc, only_what_matters_is_told);
    tcase_add_loop_test(tc, near_by_row, 0, COUNT_OF(orders));
    tcase_add_test(tc, coordinates_are_shown);
    tcase_add_loop_test(tc, told_by_row, 0, COUNT_OF(told));
    tcase_add_test(tc, what_is_told_is_used);
    tcase_add_test(tc, near_elsewhere);
})
