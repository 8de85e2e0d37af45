#include "agent/core/filter.h"

#include <stdio.h>

#include "base/core/limits.h"
#include "suite.h"

/* ---- One element ---------------------------------------------------- */

static void tell_name(const void *subject, struct filter_sink *sink)
{
    (void)subject;
    filter_tell(sink, "web-1");
}

static void tell_nothing(const void *subject, struct filter_sink *sink)
{
    (void)subject;
    filter_tell(sink, "");
}

static void tell_port(const void *subject, struct filter_sink *sink)
{
    (void)subject;
    filter_tell_number(sink, 80);
}

static void tell_yes(const void *subject, struct filter_sink *sink)
{
    (void)subject;
    filter_tell_bool(sink, true);
}

static void tell_tags(const void *subject, struct filter_sink *sink)
{
    (void)subject;
    filter_tell(sink, "eu");
    filter_tell(sink, "v3");
}

static void tell_none(const void *subject, struct filter_sink *sink)
{
    (void)subject;
    (void)sink;
}

static void tell_meta(const void *subject, struct filter_sink *sink)
{
    (void)subject;
    filter_tell_pair(sink, "team", "pay");
    filter_tell_pair(sink, "a.b", "dots");
    filter_tell_pair(sink, "empty", "");
}

static void tell_lan_port(const void *subject, struct filter_sink *sink)
{
    (void)subject;
    if (filter_wants(sink, "lan")) {
        filter_tell_number(sink, 8080);
    }
}

static void tell_states(const void *subject, struct filter_sink *sink)
{
    (void)subject;
    filter_tell(sink, "passing");
    filter_tell(sink, "warning");
}

static const struct filter_field fields[] = {
    {"Name", FILTER_TEXT, tell_name},
    {"Nothing", FILTER_TEXT, tell_nothing},
    {"Port", FILTER_NUMBER, tell_port},
    {"Yes", FILTER_BOOL, tell_yes},
    {"Tags", FILTER_LIST, tell_tags},
    {"None", FILTER_LIST, tell_none},
    {"Meta", FILTER_MAP, tell_meta},
    {"NoMeta", FILTER_MAP, tell_none},
    {"Tagged.*.Port", FILTER_NUMBER, tell_lan_port},
};
static const struct filter_field checks[] = {
    {"Status", FILTER_TEXT, tell_states},
    {"Output", FILTER_TEXT, tell_none},
};
static const struct filter_field lists[] = {
    {"Checks", FILTER_OBJECTS, tell_states},
};
static const struct filter_part parts[] = {
    {"", fields, 9}, {"Checks.", checks, 2}, {"", lists, 1}};
static const struct filter_schema schema = {parts, 3};

/* ---- Truth ---------------------------------------------------------- */

static const struct {
    const char *text;
    bool chosen;
} truths[] = {
    {"Name == \"web-1\"", true},
    {"Name == web-1", true},
    {"Name == `web-1`", true},
    {"Name != web-1", false},
    {"Name == web", false},
    {"Name==\"web-1\"", true},
    {"Name == \"\\x77eb-\\u0031\"", true},
    {"Port == 80", true},
    {"Port == \"80\"", true},
    {"Port != 81", true},
    {"Yes == true", true},
    {"Yes != true", false},
    {"eu in Tags", true},
    {"\"us\" in Tags", false},
    {"us not in Tags", true},
    {"Tags contains v3", true},
    {"Tags not contains v3", false},
    {"Tags == eu", true},
    {"Tags != eu", false},
    {"Tags matches \"^v[0-9]$\"", true},
    {"Tags is empty", false},
    {"Tags is not empty", true},
    {"None is empty", true},
    {"x in None", false},
    {"x not in None", true},
    {"None != x", true},
    {"eb in Name", true},
    {"Name contains \"b-\"", true},
    {"Name not contains \"x\"", true},
    {"Name is empty", false},
    {"Nothing is empty", true},
    {"Name matches \"^web-[0-9]+$\"", true},
    {"Name not matches `^db`", true},
    {"Name matches web", true},
    {"Meta.team == pay", true},
    {"Meta[\"team\"] == pay", true},
    {"Meta.team != pay", false},
    {"team in Meta", true},
    {"Meta contains boss", false},
    {"Meta.team matches \"^p\"", true},
    {"Meta.a.b == dots", true},
    {"Meta[\"a.b\"] == dots", true},
    {"pa in Meta.team", true},
    {"Meta is empty", false},
    {"NoMeta is empty", true},
    {"Meta.empty is empty", true},
    /* What a map does not have. */
    {"Meta.boss == pay", false},
    {"Meta.boss != pay", true},
    {"p in Meta.boss", false},
    {"p not in Meta.boss", true},
    {"Meta.boss matches x", false},
    {"Meta.boss not matches x", true},
    {"Meta.boss is empty", true},
    {"Tagged.lan.Port == 8080", true},
    {"Tagged.wan.Port == 8080", false},
    {"Tagged[\"lan\"].Port != 1", true},
    /* Any of many. */
    {"Checks.Status == warning", true},
    {"Checks.Status != warning", false},
    {"Checks.Status != critical", true},
    {"not Checks.Status == passing", false},
    {"Checks.Status matches \"^w\"", true},
    {"Checks.Output is empty", false},
    {"Checks.Output is not empty", true},
    {"Checks is not empty", true},
    /* Order. */
    {"Port == 1 and Port == 1 or Port == 80", true},
    {"Port == 80 or Port == 1 and Port == 1", true},
    {"(Port == 80 or Port == 1) and Port == 1", false},
    {"not Port == 1 and Port == 80", true},
    {"not (Port == 1 or Port == 80)", false},
    {"not not Port == 80", true},
    {"not (not (Port == 80))", true},
    {"Port == 80 and not Port == 80 or Port == 80", true},
    {"((((Port == 80))))", true},
    {"Port == 80\n\tand  Port == 80", true},
    /* Words of the language as values. */
    {"Name == in", false},
    {"\"and\" in Tags", false},
};

static bool is_chosen(const char *text)
{
    struct arena a = {0};
    struct filter *f = NULL;
    struct err err = {0};
    bool chosen;

    ck_assert_msg(!filter_compile(&a, &schema, slice_str(text), &f, &err),
                  "%s: %s", text, err.text);
    chosen = filter_eval(f, NULL);
    ck_assert(!filter_exhausted(f));
    arena_release(&a);
    return chosen;
}

/* How many elements of `most` are looked at. */
static unsigned looked_at(const char *text, unsigned most)
{
    struct arena a = {0};
    struct filter *f = NULL;
    struct err err = {0};
    unsigned count = 0;

    ck_assert_msg(!filter_compile(&a, &schema, slice_str(text), &f, &err),
                  "%s: %s", text, err.text);
    while (count < most && !filter_exhausted(f)) {
        (void)filter_eval(f, NULL);
        count++;
    }
    arena_release(&a);
    return count;
}

/* The loop that answers everybody is held for tens of milliseconds at most, and
 * what is cheap for each element may have any number of them. */
START_TEST(work_is_bounded)
{
    unsigned most = 20000;

    ck_assert_uint_eq(looked_at("Name matches \"^w.*b$\"", most), most);
    ck_assert_uint_eq(looked_at("\"eb\" in Name and Port != 81", most), most);
    ck_assert_uint_lt(looked_at("Name matches \"^([a-z]?){500}9$\"", most),
                      3000);
}
END_TEST

START_TEST(chosen_by_row)
{
    ck_assert_msg(is_chosen(truths[_i].text) == truths[_i].chosen, "%s",
                  truths[_i].text);
}
END_TEST

/* ---- Refusals ------------------------------------------------------- */

static const struct {
    const char *text;
    const char *words;
} refused[] = {
    {"", "expected a comparison at byte 0 of \"\""},
    {"Nam == x", "selector \"Nam\" is not known here; did you mean Name?"},
    {"Service.Blue == x", "selector \"Service.Blue\" is not known here"},
    {"Name.x == x",
     "selector \"Name.x\" is not known here; did you mean Name?"},
    {"x in Nowhere", "selector \"Nowhere\" is not known here"},
    {"Checks.Statuss == x",
     "selector \"Checks.Statuss\" is not known here; did you mean "
     "Checks.Status?"},
    {"Meta == x", "== and != cannot be asked of selector \"Meta\""},
    {"Meta matches x", "matches cannot be asked of selector \"Meta\""},
    {"8 in Port", "in and contains cannot be asked of selector \"Port\""},
    {"Port is empty", "is empty cannot be asked of selector \"Port\""},
    {"Checks == x", "== and != cannot be asked of selector \"Checks\""},
    {"Port == http", "expected a number at byte 8 of \"Port == http\""},
    {"Yes == 2", "expected true or false at byte 7 of \"Yes == 2\""},
    {"Name", "expected ==, !=, in, contains, is or matches at byte 4 of "
             "\"Name\""},
    {"Name ==", "expected a value at byte 7 of \"Name ==\""},
    {"Name = x", "expected == or != at byte 5 of \"Name = x\""},
    {"Name == x y", "expected and, or, ) or the end at byte 10 of \"Name == "
                    "x y\""},
    {"Name == x and", "expected a comparison at byte 13 of \"Name == x and\""},
    {"(Name == x", "missing ) at byte 10 of \"(Name == x\""},
    {"Name == x)", "unexpected ) at byte 9 of \"Name == x)\""},
    {"Name == \"x", "missing \" of the text at byte 8 of \"Name == \"x\""},
    {"Name == `x", "missing ` of the text at byte 8 of \"Name == `x\""},
    {"Name == \"\\q\"", "unknown escape in the text at byte 8 of \"Name == "
                        "\"\\q\"\""},
    {"\"Name\" == x", "expected in or not in behind a value at byte 7 of "
                      "\"\"Name\" == x\""},
    {"Name not == x", "expected in, contains or matches behind not at byte 9 "
                      "of \"Name not == x\""},
    {"Name is full", "expected empty at byte 8 of \"Name is full\""},
    {"Meta[\"x == y", "missing ] at byte 0 of \"Meta[\"x == y\""},
    {"()", "expected a comparison at byte 1 of \"()\""},
};

START_TEST(refused_with_words)
{
    struct arena a = {0};
    struct filter *f;
    struct err err = {0};

    ck_assert_int_eq(
        filter_compile(&a, &schema, slice_str(refused[_i].text), &f, &err),
        ST_INVALID);
    ck_assert_str_eq(err.text + strlen("filter: "), refused[_i].words);
    arena_release(&a);
}
END_TEST

START_TEST(a_regular_expression_is_refused_as_such)
{
    struct arena a = {0};
    struct filter *f;
    struct err err = {0};

    ck_assert_int_eq(
        filter_compile(&a, &schema, slice_str("Name matches \"(\""), &f, &err),
        ST_INVALID);
    ck_assert_str_eq(err.text,
                     "regular expression: missing ) at byte 1 of \"(\"");
    arena_release(&a);
}
END_TEST

/* ---- Limits --------------------------------------------------------- */

static enum status compile_repeated(const char *piece, size_t count,
                                    const char *end)
{
    struct arena a = {0};
    struct filter *f;
    struct buf text;
    enum status st;

    buf_init(&text, 1024 * 1024);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(buf_add_str(&text, piece), ST_OK);
    }
    ck_assert_int_eq(buf_add_str(&text, end), ST_OK);
    st = filter_compile(&a, &schema, buf_slice(&text), &f, NULL);
    buf_release(&text);
    arena_release(&a);
    return st;
}

START_TEST(size_is_limited)
{
    ck_assert_int_eq(compile_repeated(" ", LIMIT_FILTER_BYTES - 7, "Port==1"),
                     ST_OK);
    ck_assert_int_eq(compile_repeated(" ", LIMIT_FILTER_BYTES - 6, "Port==1"),
                     ST_TOO_BIG);
    ck_assert_int_eq(
        compile_repeated("Port==1 or ", LIMIT_FILTER_MATCHES - 1, "Port==1"),
        ST_OK);
    ck_assert_int_eq(
        compile_repeated("Port==1 or ", LIMIT_FILTER_MATCHES, "Port==1"),
        ST_TOO_BIG);
    ck_assert_int_eq(compile_repeated("(", LIMIT_FILTER_DEPTH, "Port==1"),
                     ST_INVALID); /* Not closed, but not too deep. */
    ck_assert_int_eq(compile_repeated("(", LIMIT_FILTER_DEPTH + 1, "Port==1"),
                     ST_TOO_BIG);
    ck_assert_int_eq(compile_repeated("not ", LIMIT_FILTER_DEPTH + 1, "Yes"),
                     ST_TOO_BIG);
}
END_TEST

UNIT_MAIN("filter", {
    tcase_add_loop_test(tc, chosen_by_row, 0, COUNT_OF(truths));
    tcase_add_loop_test(tc, refused_with_words, 0, COUNT_OF(refused));
    tcase_add_test(tc, a_regular_expression_is_refused_as_such);
    tcase_add_test(tc, size_is_limited);
    tcase_add_test(tc, work_is_bounded);
})
