#include "cli/view.h"

#include "tests/unit/suite.h"

static const struct {
    const char *name;
    const char *json;
    const char *service; /* NULL: all count. */
    enum view_health wanted;
} rows[] = {
    {"none", "[]", NULL, VIEW_PASSING},
    {"no list at all", "{}", NULL, VIEW_PASSING},
    {"passing", "[{\"Status\":\"passing\"}]", NULL, VIEW_PASSING},
    {"the worst wins", "[{\"Status\":\"critical\"},{\"Status\":\"warning\"}]",
     NULL, VIEW_CRITICAL},
    {"an unknown word is critical", "[{\"Status\":\"odd\"}]", NULL,
     VIEW_CRITICAL},
    {"no word is critical", "[{}]", NULL, VIEW_CRITICAL},
    {"no object is critical", "[7]", NULL, VIEW_CRITICAL},
    {"maintenance of a node",
     "[{\"CheckID\":\"_node_maintenance\",\"Status\":\"critical\"}]", NULL,
     VIEW_MAINTENANCE},
    {"maintenance of a service",
     "[{\"CheckID\":\"_service_maintenance:web\",\"Status\":\"critical\"}]",
     NULL, VIEW_MAINTENANCE},
    {"only checks of the service",
     "[{\"ServiceID\":\"db\",\"Status\":\"critical\"},"
     "{\"ServiceID\":\"web\",\"Status\":\"warning\"}]",
     "web", VIEW_WARNING},
    {"and of its node",
     "[{\"ServiceID\":\"\",\"Status\":\"critical\"},"
     "{\"ServiceID\":\"web\",\"Status\":\"passing\"}]",
     "web", VIEW_CRITICAL},
};

START_TEST(health_follows_row)
{
    json_t *checks = json_loads(rows[_i].json, 0, NULL);

    ck_assert_ptr_nonnull(checks);
    ck_assert_msg(view_health_of(checks, rows[_i].service) == rows[_i].wanted,
                  "%s", rows[_i].name);
    json_decref(checks);
}
END_TEST

/* Flags of keys are 64 bits without a sign. */
static const struct {
    const char *json;
    const char *digits; /* Of "n". NULL: no document. */
} numbers[] = {
    {"{\"n\": 7}", "7"},
    {"{\"n\": 9223372036854775807}", "9223372036854775807"},
    {"{\"n\": 9223372036854775808}", "9223372036854775808"},
    {"[{\"m\":18446744073709551615},{\"n\":1}]", "1"},
    {"{\"n\":18446744073709551615}", "18446744073709551615"},
    {"{\"a\":\"1\\\"23456789012345678901\",\"n\":18446744073709551615,"
     "\"b\":0.12345678901234567890}",
     "18446744073709551615"},
    {"{\"n\": -9223372036854775808}", "-9223372036854775808"},
    {"{\"n\":-9223372036854775809,\"m\":[-1,-0.5,1e-3]}",
     "-9223372036854775809"},
    {"[-99999999999999999999,{\"n\":-3}]", "-3"},
    {"{\"n\": \"x\"}", "0"},
    {"{\"n\": \"-\"}", "0"},
    {"{}", "0"},
    {"{\"n\": 18446744073709551615", NULL},
    {"{\"n\": \"18446744073709551615", NULL},
    {"18446744073709551615 x", NULL},
    {"--18446744073709551615", NULL},
    {"-18446744073709551615-", NULL},
    {"[18446744073709551615, -]", NULL},
};

START_TEST(large_numbers_are_kept)
{
    struct arena arena = {0};
    json_error_t error;
    json_t *json = view_load(slice_str(numbers[_i].json), &error);
    const json_t *object = json_is_array(json) ? json_array_get(json, 1) : json;

    if (numbers[_i].digits == NULL) {
        ck_assert_ptr_null(json);
    } else {
        ck_assert_ptr_nonnull(json);
        ck_assert_str_eq(view_digits(&arena, object, "n"), numbers[_i].digits);
    }
    json_decref(json);
    arena_release(&arena);
}
END_TEST

START_TEST(endpoints)
{
    struct arena arena = {0};

    ck_assert_str_eq(view_endpoint(&arena, "10.0.0.1", 80), "10.0.0.1:80");
    ck_assert_str_eq(view_endpoint(&arena, "fd00::1", 80), "[fd00::1]:80");
    ck_assert_str_eq(view_endpoint(&arena, "10.0.0.1", 0), "10.0.0.1");
    ck_assert_str_eq(view_endpoint(&arena, "", 80), "-");
    arena_release(&arena);
}
END_TEST

START_TEST(words_are_joined)
{
    struct arena arena = {0};
    json_t *words = json_pack("[s, s, i]", "a", "b", 7);

    ck_assert_str_eq(view_join(&arena, words), "a, b, ?");
    ck_assert_str_eq(view_join(&arena, NULL), "-");
    json_decref(words);
    arena_release(&arena);
}
END_TEST

UNIT_MAIN("view", {
    tcase_add_loop_test(tc, health_follows_row, 0, COUNT_OF(rows));
    tcase_add_test(tc, endpoints);
    tcase_add_loop_test(tc, large_numbers_are_kept, 0, COUNT_OF(numbers));
    tcase_add_test(tc, words_are_joined);
})
