#include "base/core/limits.h"
#include "query/core/choose.h"
#include "query/core/table.h"
#include "suite.h"

static const struct query_def plain = {
    .id = "1",
    .name = "q",
    .session = "",
    .token = "",
    .template_type = "",
    .template_regexp = "",
    .service = "web",
    .near = "",
    .ttl = "",
};

static struct query *make(struct query_def def)
{
    struct query *q = NULL;
    struct err err = {0};

    ck_assert_msg(query_new(&def, &q, &err) == ST_OK, "%s", err.text);
    return q;
}

/* ---- Refusals ------------------------------------------------------ */

static const struct {
    const char *name;
    const char *type;
    const char *regexp;
    const char *service;
    const char *token;
    int64_t nearest_n;
    const char *refusal;
} refused[] = {
    {"", "", "", "web", "", 0, "Must be bound to a session"},
    {"q", "", "", "", "", 0, "Must provide a Service name to query"},
    {"q", "", "", "web", "<hidden>", 0, "Bad Token '<hidden>'"},
    {"q", "", "", "web", "", -1, "Bad NearestN '-1', must be >= 0"},
    {"q", "exact", "", "web", "", 0, "Bad Template.Type 'exact'"},
    {"q", QUERY_TEMPLATE, "(", "web", "", 0, "Bad Template.Regexp"},
    {"q", QUERY_TEMPLATE, "(a{100}){100}", "web", "", 0, "Bad Template.Regexp"},
    {"q", QUERY_TEMPLATE, "a{900}", "web", "", 0, "more than 512 steps"},
    {"q", QUERY_TEMPLATE, "", "${name}", "", 0, "\"${name}\" is not known"},
    {"q", QUERY_TEMPLATE, "", "${name.full", "", 0, "without \"}\""},
    {"q", QUERY_TEMPLATE, "", "${match(x)}", "", 0, "is not known"},
    {"q", QUERY_TEMPLATE, "", "${match()}", "", 0, "is not known"},
};

START_TEST(refused_with_words)
{
    struct query_def def = plain;
    struct query *q = NULL;
    struct err err = {0};

    def.name = refused[_i].name;
    def.template_type = refused[_i].type;
    def.template_regexp = refused[_i].regexp;
    def.service = refused[_i].service;
    def.token = refused[_i].token;
    def.nearest_n = refused[_i].nearest_n;
    ck_assert_int_ne(query_new(&def, &q, &err), ST_OK);
    ck_assert_msg(strstr(err.text, refused[_i].refusal) != NULL, "%s",
                  err.text);
}
END_TEST

/* ---- Templates ----------------------------------------------------- */

static const struct {
    const char *prefix;
    const char *regexp;
    const char *text;
    const char *name;
    const char *result;
} rendered[] = {
    {"geo-", "", "${name.full}", "geo-db", "geo-db"},
    {"geo-", "", "${name.prefix}|${name.suffix}", "geo-db", "geo-|db"},
    {"geo-", "", "x${ name.suffix }y", "geo-db", "xdby"},
    {"geo-", "", "${agent.segment}x", "geo-db", "x"},
    {"geo-", "", "$${name.full}", "geo-db", "${name.full}"},
    {"geo-", "", "$5 }{ $", "geo-db", "$5 }{ $"},
    {"Geo-", "", "${name.prefix}${name.suffix}", "geo-db", "Geo-db"},
    {"geo-db", "^geo-db-(.*?)-([^\\-]+?)$", "mysql-${match(1)}",
     "geo-db-customer-primary", "mysql-customer"},
    {"geo-db", "^geo-db-(.*?)-([^\\-]+?)$", "${match(2)}",
     "geo-db-customer-primary", "primary"},
    {"geo-db", "^geo-db-(.*?)-([^\\-]+?)$", "${match(0)}",
     "geo-db-customer-primary", "geo-db-customer-primary"},
    {"geo-db", "^geo-db-(.*?)-([^\\-]+?)$", "<${match(3)}${match(999)}>",
     "geo-db-customer-primary", "<>"},
    {"geo-db", "^geo-db-(.*?)-([^\\-]+?)$", "<${match(1)}>", "geo-db", "<>"},
    {"", "^(\\w+)\\.(\\w+)$", "${match(2)}-${match(1)}", "a.b", "b-a"},
};

START_TEST(a_template_is_filled_in)
{
    struct query_def def = plain;
    struct arena a = {0};
    struct query_def out;
    struct query *q;
    struct err err = {0};
    const char *items[] = {rendered[_i].text};
    struct pair pairs[] = {{"k", rendered[_i].text}};

    def.name = rendered[_i].prefix;
    def.template_type = QUERY_TEMPLATE;
    def.template_regexp = rendered[_i].regexp;
    def.service = rendered[_i].text;
    def.near = rendered[_i].text;
    def.tags = def.datacenters = (struct texts){items, 1};
    def.node_meta = def.service_meta = (struct pairs){pairs, 1};
    q = make(def);
    ck_assert_int_eq(query_render(q, rendered[_i].name, &a, &out, &err), ST_OK);
    ck_assert_str_eq(out.service, rendered[_i].result);
    ck_assert_str_eq(out.near, rendered[_i].result);
    ck_assert_str_eq(out.tags.items[0], rendered[_i].result);
    ck_assert_str_eq(out.datacenters.items[0], rendered[_i].result);
    ck_assert_str_eq(out.node_meta.items[0].value, rendered[_i].result);
    ck_assert_str_eq(out.service_meta.items[0].value, rendered[_i].result);
    query_unref(q);
    arena_release(&a);
}
END_TEST

START_TEST(a_query_that_is_no_template_stays_as_it_is)
{
    struct query_def def = plain;
    struct arena a = {0};
    struct query_def out;
    struct query *q;

    def.service = "${name.full}";
    q = make(def);
    ck_assert_int_eq(query_render(q, "q", &a, &out, NULL), ST_OK);
    ck_assert_str_eq(out.service, "${name.full}");
    query_unref(q);
    arena_release(&a);
}
END_TEST

START_TEST(empty_tags_go_if_they_are_to)
{
    static const char *const tags[] = {"${match(1)}", "a"};
    struct query_def def = plain;
    struct arena a = {0};
    struct query_def out;

    def.template_type = QUERY_TEMPLATE;
    def.tags = (struct texts){tags, 2};
    for (int remove = 0; remove < 2; remove++) {
        struct query *q;

        def.remove_empty_tags = remove;
        q = make(def);
        ck_assert_int_eq(query_render(q, "qx", &a, &out, NULL), ST_OK);
        ck_assert_uint_eq(out.tags.count, remove ? 1 : 2);
        ck_assert_str_eq(out.tags.items[0], remove ? "a" : "");
        query_unref(q);
    }
    arena_release(&a);
}
END_TEST

/* As many states as there may be, over the longest name. */
START_TEST(work_and_length_are_bounded)
{
    struct query_def def = plain;
    struct arena a = {0};
    struct query_def out;
    struct err err = {0};
    struct query *q;
    char name[600];
    char text[1200] = "";

    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    def.template_type = QUERY_TEMPLATE;
    def.name = "a";
    def.template_regexp = "((a*)*b?){40}c";
    def.service = "x${match(0)}";
    q = make(def);
    ck_assert_int_eq(query_render(q, name, &a, &out, &err), ST_OK);
    ck_assert_str_eq(out.service, "x");
    query_unref(q);
    for (size_t i = 0; i < 3; i++) {
        strcat(text, "${name.full}");
    }
    def.template_regexp = "";
    def.service = text;
    q = make(def);
    ck_assert_int_eq(query_render(q, name, &a, &out, &err), ST_TOO_BIG);
    query_unref(q);
    arena_release(&a);
}
END_TEST

/* ---- Which one a name means ---------------------------------------- */

static const struct {
    const char *id;
    const char *name;
    bool template;
} queries[] = {
    {"aa", "db", false},    {"bb", "geo-", true},
    {"cc", "geo-db", true}, {"dd", "geo-db-main", false},
    {"ee", "a.b.c", false}, {"ff", "DB2", false},
    {"gg", "same", false},  {"hh", "same", false},
};

static struct query_table *table(bool with_catch_all)
{
    const struct query *items[COUNT_OF(queries) + 1];
    struct query_table *t;
    size_t count = 0;

    for (int i = COUNT_OF(queries); i >= 0; i--) {
        struct query_def def = plain;

        if (i == COUNT_OF(queries) && !with_catch_all) {
            continue;
        }
        def.id = i == COUNT_OF(queries) ? "zz" : queries[i].id;
        def.name = i == COUNT_OF(queries) ? "" : queries[i].name;
        if (i == COUNT_OF(queries) || queries[i].template) {
            def.template_type = QUERY_TEMPLATE;
        }
        items[count++] = make(def);
    }
    t = query_table_new(items, count);
    for (size_t i = 0; i < count; i++) {
        query_unref(items[i]);
    }
    return t;
}

static const struct {
    const char *name;
    const char *id; /* NULL: none; "zz": only by the one for all. */
} found[] = {
    {"db", "aa"},           {"aa", "aa"},      {"DB", "aa"},
    {"db2", "ff"},          {"d", "zz"},       {"", NULL},
    {"geo-", "bb"},         {"geo-x", "bb"},   {"geo", "zz"},
    {"geo-db", "cc"},       {"geo-dbx", "cc"}, {"GEO-DB-MAIN", "dd"},
    {"geo-db-main1", "cc"}, {"same", "gg"},    {"a.b.c", "ee"},
    {"b.c", "zz"},
};

START_TEST(a_name_means_one)
{
    for (int with = 0; with < 2; with++) {
        struct query_table *t = table(with);
        const struct query *q = query_table_find(t, found[_i].name);
        const char *id = found[_i].id;

        if (id != NULL && strcmp(id, "zz") == 0 && !with) {
            id = NULL;
        }
        if (id == NULL) {
            ck_assert_ptr_null(q);
        } else {
            ck_assert_ptr_nonnull(q);
            ck_assert_str_eq(query_def(q)->id, id);
        }
        query_table_unref(t);
    }
}
END_TEST

START_TEST(names_lie_below_others)
{
    struct query_table *t = table(false);

    ck_assert(query_table_below(t, "c"));
    ck_assert(query_table_below(t, "B.C"));
    ck_assert(!query_table_below(t, "a.b.c"));
    ck_assert(!query_table_below(t, ".c"));
    ck_assert(!query_table_below(t, "main"));
    ck_assert(!query_table_below(NULL, "c"));
    ck_assert_ptr_null(query_table_find(NULL, "db"));
    ck_assert_uint_eq(query_table_count(NULL), 0);
    query_table_unref(t);
}
END_TEST

/* ---- Choosing ------------------------------------------------------- */

/* The candidate has the tags "v1" and "Primary", its node zone=a, itself
 * team=pay, its check "c" is as `health`, its check "d" passes. */
static const struct {
    const char *tags[3];
    struct pair node_meta;
    struct pair service_meta;
    bool only_passing;
    const char *ignored;
    enum query_health health;
    bool chosen;
} choices[] = {
    {{0}, {0}, {0}, false, NULL, QUERY_PASSING, true},
    {{0}, {0}, {0}, false, NULL, QUERY_WARNING, true},
    {{0}, {0}, {0}, true, NULL, QUERY_WARNING, false},
    {{0}, {0}, {0}, false, NULL, QUERY_CRITICAL, false},
    {{0}, {0}, {0}, true, "c", QUERY_CRITICAL, true},
    {{0}, {0}, {0}, false, "d", QUERY_CRITICAL, false},
    {{"v1"}, {0}, {0}, false, NULL, QUERY_PASSING, true},
    {{"V1", "primary"}, {0}, {0}, false, NULL, QUERY_PASSING, true},
    {{"v1", "v2"}, {0}, {0}, false, NULL, QUERY_PASSING, false},
    {{"!v2"}, {0}, {0}, false, NULL, QUERY_PASSING, true},
    {{"v1", "!primary"}, {0}, {0}, false, NULL, QUERY_PASSING, false},
    {{""}, {0}, {0}, false, NULL, QUERY_PASSING, false},
    {{0}, {"zone", "a"}, {0}, false, NULL, QUERY_PASSING, true},
    {{0}, {"zone", "b"}, {0}, false, NULL, QUERY_PASSING, false},
    {{0}, {"zone", "A"}, {0}, false, NULL, QUERY_PASSING, false},
    {{0}, {0}, {"team", "pay"}, false, NULL, QUERY_PASSING, true},
    {{0}, {0}, {"zone", "a"}, false, NULL, QUERY_PASSING, false},
};

START_TEST(chosen_by_row)
{
    const struct slice tags[] = {slice_str("v1"), slice_str("Primary")};
    const struct query_pair node_meta = {slice_str("zone"), slice_str("a")};
    const struct query_pair meta = {slice_str("team"), slice_str("pay")};
    const struct query_check checks[] = {{slice_str("c"), choices[_i].health},
                                         {slice_str("d"), QUERY_PASSING}};
    const struct query_candidate c = {.tags = tags,
                                      .tags_count = 2,
                                      .node_meta = &node_meta,
                                      .node_meta_count = 1,
                                      .service_meta = &meta,
                                      .service_meta_count = 1,
                                      .health = choices[_i].health,
                                      .checks = checks,
                                      .checks_count = 2};
    struct query_def def = plain;

    def.tags.items = choices[_i].tags;
    while (def.tags.count < 3 && choices[_i].tags[def.tags.count] != NULL) {
        def.tags.count++;
    }
    def.node_meta = (struct pairs){&choices[_i].node_meta,
                                   choices[_i].node_meta.key != NULL};
    def.service_meta = (struct pairs){&choices[_i].service_meta,
                                      choices[_i].service_meta.key != NULL};
    def.ignore_checks =
        (struct texts){&choices[_i].ignored, choices[_i].ignored != NULL};
    def.only_passing = choices[_i].only_passing;
    ck_assert_int_eq(query_chooses(&def, &c), choices[_i].chosen);
}
END_TEST

static const struct {
    int64_t nearest_n;
    const char *datacenters[4];
    const char *tried[5];
} failovers[] = {
    {0, {0}, {0}},
    {1, {0}, {"dc2"}},
    {9, {0}, {"dc2", "dc3", "dc4"}},
    {0, {"dc4", "dc2"}, {"dc4", "dc2"}},
    {2, {"dc4", "dc2", "nowhere"}, {"dc2", "dc3", "dc4"}},
    {0, {"dc3", "dc3"}, {"dc3"}},
};

START_TEST(fails_over_in_order)
{
    static const char *const known[] = {"dc2", "dc3", "dc4"};
    struct query_def def = plain;
    struct arena a = {0};
    struct texts tried;
    size_t i = 0;

    def.nearest_n = failovers[_i].nearest_n;
    def.datacenters.items = failovers[_i].datacenters;
    while (def.datacenters.count < 4 &&
           failovers[_i].datacenters[def.datacenters.count] != NULL) {
        def.datacenters.count++;
    }
    tried = query_failover(&def, (struct texts){known, 3}, &a);
    for (; failovers[_i].tried[i] != NULL; i++) {
        ck_assert_uint_lt(i, tried.count);
        ck_assert_str_eq(tried.items[i], failovers[_i].tried[i]);
    }
    ck_assert_uint_eq(tried.count, i);
    arena_release(&a);
}
END_TEST

UNIT_MAIN("query", {
    tcase_add_loop_test(tc, refused_with_words, 0, COUNT_OF(refused));
    tcase_add_loop_test(tc, a_template_is_filled_in, 0, COUNT_OF(rendered));
    tcase_add_test(tc, a_query_that_is_no_template_stays_as_it_is);
    tcase_add_test(tc, empty_tags_go_if_they_are_to);
    tcase_add_test(tc, work_and_length_are_bounded);
    tcase_add_loop_test(tc, a_name_means_one, 0, COUNT_OF(found));
    tcase_add_test(tc, names_lie_below_others);
    tcase_add_loop_test(tc, chosen_by_row, 0, COUNT_OF(choices));
    tcase_add_loop_test(tc, fails_over_in_order, 0, COUNT_OF(failovers));
})
