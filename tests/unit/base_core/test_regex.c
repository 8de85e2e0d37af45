#include "base/core/regex.h"

#include <regex.h>
#include <stdio.h>

#include "base/core/limits.h"
#include "suite.h"

static const uint64_t plenty = 100000000;

/* "+text" must be found, "-text" must not. */
static const struct {
    const char *pattern;
    const char *texts[10];
} matches[] = {
    {"", {"+", "+a"}},
    {"b", {"+abc", "-ac", "-"}},
    {"^b", {"-abc", "+bc"}},
    {"c$", {"+abc", "-cb"}},
    {"^$", {"+", "-a"}},
    {"\\Aab\\z", {"+ab", "-xab", "-abx"}},
    {"^web-\\d+$", {"+web-1", "+web-42", "-web-", "-web-1a", "-xweb-1"}},
    {"a.c",
     {"+abc", "+a.c", "-ac", "-a\nc",
      "+a\xC3\xA9"
      "c"}},
    {"(?s)a.c", {"+a\nc"}},
    {"(?i)AbC[D-F]", {"+abcd", "+ABCE", "-abcg"}},
    {"(?m)^b$", {"+a\nb\nc", "-ab"}},
    {"a*", {"+", "+b"}},
    {"^a*$", {"+", "+aaa", "-ab"}},
    {"^a+$", {"-", "+a", "+aaa"}},
    {"^a?b$", {"+b", "+ab", "-aab"}},
    {"^a+?b*?$", {"+a", "+aab", "-b"}},
    {"^a{2}$", {"-a", "+aa", "-aaa"}},
    {"^a{2,}$", {"-a", "+aa", "+aaaa"}},
    {"^a{0,2}$", {"+", "+a", "+aa", "-aaa"}},
    {"^a{2,3}$", {"-a", "+aa", "+aaa", "-aaaa"}},
    {"^(ab){2,3}$", {"-ab", "+abab", "+ababab", "-abababab"}},
    {"^a{0}b$", {"+b", "-ab"}},
    {"a{,2}", {"+a{,2}", "-aa"}},
    {"a|b|cd", {"+xa", "+xb", "+cd", "-c"}},
    {"^(?:a|b|cd)$", {"+a", "+b", "+cd", "-ab", "-c"}},
    {"^(a|b|)c$", {"+ac", "+bc", "+c", "-abc"}},
    {"^(a|(b|c)d)*e$", {"+e", "+ae", "+bdcde", "-be"}},
    {"(a*)*", {"+", "+b"}},
    {"^(a|ab)(c|bcd)(d*)$", {"+abcd", "+acd", "-abd"}},
    {"^[a-c]+$", {"+abc", "-abd"}},
    {"^[^a-c]+$", {"+xyz", "-xa", "+\xC3\xA9"}},
    {"^[]x]+$", {"+]x", "-y"}},
    {"^[a-]+$", {"+a-a", "-b"}},
    {"^[\\d_]+$", {"+12_", "-a"}},
    {"^[\\D]$", {"+a", "-1"}},
    {"^[[:alpha:]]+$", {"+abC", "-a1"}},
    {"^[[:^alpha:]]+$", {"+12", "-1a"}},
    {"^\\w+\\s\\S$", {"+ab_1 x", "-ab1x", "-a.b x"}},
    {"^\\W$", {"+.", "-a"}},
    {"\\bcat\\b", {"+a cat.", "-concat", "+cat"}},
    {"\\Bcat", {"+concat", "-cat"}},
    {"^\\x41\\x{42}\\n$", {"+AB\n"}},
    {"a\\.b\\$", {"+a.b$", "-axb$"}},
    {"^.$", {"+\xC3\xA9", "+\xFF", "-\xC3\xA9\xC3\xA9"}},
    {"^[\xC3\xA0-\xC3\xBF]$", {"+\xC3\xA9", "-e"}},
    {"x{3}{2}", {0}}, /* Refused below. */
};

static bool matched(struct regex *r, const char *text)
{
    uint64_t work = plenty;

    return regex_match(r, slice_str(text), &work);
}

START_TEST(text_matches_by_row)
{
    struct arena a = {0};
    struct regex *r;
    struct err err = {0};

    for (size_t i = 0; i < 10 && matches[_i].texts[i]; i++) {
        const char *text = matches[_i].texts[i];

        ck_assert_msg(
            !regex_compile(&a, slice_str(matches[_i].pattern), &r, &err),
            "%s: %s", matches[_i].pattern, err.text);
        ck_assert_msg(matched(r, text + 1) == (*text == '+'), "%s on \"%s\"",
                      matches[_i].pattern, text);
    }
    arena_release(&a);
}
END_TEST

static const struct {
    const char *pattern;
    const char *words;
} refused[] = {
    {"(", "missing ) at byte 1 of \"(\""},
    {"a)", "unexpected ) at byte 2 of \"a)\""},
    {"[a", "missing ] at byte 2 of \"[a\""},
    {"*a", "nothing to repeat at byte 1 of \"*a\""},
    {"a**", "nothing to repeat at byte 3 of \"a**\""},
    {"x{3}{2}", "nothing to repeat at byte 7 of \"x{3}{2}\""},
    {"a{3,2}", "bad repetition at byte 6 of \"a{3,2}\""},
    {"a{1001}", "bad repetition at byte 7 of \"a{1001}\""},
    {"(a)\\1", "back-references are not known at byte 5 of \"(a)\\1\""},
    {"\\q", "unknown escape at byte 2 of \"\\q\""},
    {"a\\", "unexpected end at byte 2 of \"a\\\""},
    {"[b-a]", "bad range at byte 4 of \"[b-a]\""},
    {"(?=a)", "only (?:...) is known, and (?i), (?s), (?m) at the beginning "
              "at byte 2 of \"(?=a)\""},
    {"((a{100}){100}){100}",
     "more than 2048 steps when its repetitions are written out"},
    {"\\xZZ", "bad \\x at byte 2 of \"\\xZZ\""},
};

START_TEST(refused_with_words)
{
    struct arena a = {0};
    struct regex *r;
    struct err err = {0};

    ck_assert(regex_compile(&a, slice_str(refused[_i].pattern), &r, &err));
    ck_assert_str_eq(err.text + strlen("regular expression: "),
                     refused[_i].words);
    arena_release(&a);
}
END_TEST

START_TEST(length_is_limited)
{
    struct arena a = {0};
    struct regex *r;
    char pattern[LIMIT_REGEX_BYTES + 1];

    memset(pattern, 'a', sizeof(pattern));
    ck_assert_int_eq(
        regex_compile(&a, slice_of(pattern, LIMIT_REGEX_BYTES), &r, NULL),
        ST_OK);
    ck_assert_int_eq(
        regex_compile(&a, slice_of(pattern, sizeof(pattern)), &r, NULL),
        ST_TOO_BIG);
    arena_release(&a);
}
END_TEST

/* What takes a backtracking engine for ever is counted in states here. */
START_TEST(work_is_linear_in_the_text)
{
    static const char *const patterns[] = {"(a*)*b", "(a|aa)+$b", "(.*.*.*)x",
                                           "(a?){50}a{50}b"};
    struct arena a = {0};
    char text[20000];

    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < 4; i++) {
        struct regex *r;
        uint64_t half = plenty;
        uint64_t whole = plenty;

        ck_assert_int_eq(regex_compile(&a, slice_str(patterns[i]), &r, NULL),
                         ST_OK);
        ck_assert(!regex_match(r, slice_of(text, sizeof(text) / 2), &half));
        ck_assert(!regex_match(r, slice_of(text, sizeof(text)), &whole));
        ck_assert_uint_le(plenty - whole, 2 * (plenty - half) + 10000);
    }
    arena_release(&a);
}
END_TEST

START_TEST(work_can_end)
{
    struct arena a = {0};
    struct regex *r;
    uint64_t work = 5;

    ck_assert_int_eq(regex_compile(&a, slice_str("x$"), &r, NULL), ST_OK);
    ck_assert(!regex_match(r, slice_str("aaaaaaaaaaaaaaaaax"), &work));
    ck_assert_uint_eq(work, 0);
    arena_release(&a);
}
END_TEST

/* The C library's extended expressions as a witness: small patterns and texts
 * over few letters, every one of them. */
static const char *const atoms[] = {"a",     "b",  ".",    "[ab]",
                                    "[^a]",  "a*", "b+",   "(ab)?",
                                    "(a|b)", "^",  "a{2}", "(a|ab)*"};

static void compare(const char *pattern, const char *text)
{
    struct arena a = {0};
    struct regex *r;
    struct slice groups[REGEX_GROUPS_MAX];
    uint64_t work = plenty;
    regex_t witness;
    bool expected;

    ck_assert_int_eq(regcomp(&witness, pattern, REG_EXTENDED | REG_NOSUB), 0);
    expected = regexec(&witness, text, 0, NULL, 0) == 0;
    regfree(&witness);
    ck_assert_int_eq(regex_compile(&a, slice_str(pattern), &r, NULL), ST_OK);
    ck_assert_msg(matched(r, text) == expected, "%s on \"%s\": not %d", pattern,
                  text, !expected);
    ck_assert_int_eq(regex_find(r, slice_str(text), &a, groups, &work),
                     expected);
    arena_release(&a);
}

START_TEST(agrees_with_the_c_library)
{
    static const char *const texts[] = {"",   "a",   "b",    "ab",  "ba",
                                        "aa", "aba", "abab", "bbb", "aab"};
    size_t n = sizeof(atoms) / sizeof(atoms[0]);

    for (size_t i = 0; i < n * n; i++) {
        char pattern[64];

        (void)snprintf(pattern, sizeof(pattern), "%s%s%s|%s$", atoms[_i],
                       atoms[i % n], atoms[i / n], atoms[(i + (size_t)_i) % n]);
        for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++) {
            compare(pattern, texts[k]);
        }
    }
}
END_TEST

/* ---- Groups -------------------------------------------------------- */

static const struct {
    const char *pattern;
    const char *text;
    const char *groups[5]; /* "-": took no part. First NULL: no match. */
} finds[] = {
    {"b+", "abbc", {"bb"}},
    {"b+?", "abbc", {"b"}},
    {"x", "abc", {NULL}},
    {"(a)(b)", "xab", {"ab", "a", "b"}},
    {"(a|ab)(c|bcd)(d*)", "abcd", {"abcd", "a", "bcd", ""}},
    {"(ab|a)(bcd|c)?", "abcd", {"abc", "ab", "c"}},
    {"(.*)-(.*)", "a-b-c", {"a-b-c", "a-b", "c"}},
    {"(.*?)-(.*)", "a-b-c", {"a-b-c", "a", "b-c"}},
    {"(a)|(b)", "b", {"b", "-", "b"}},
    {"(?:a)(b)", "ab", {"ab", "b"}},
    {"((a)b)+", "abab", {"abab", "ab", "a"}},
    {"(a*)*", "aa", {"aa", "aa"}},
    {"(a*)+", "b", {"", ""}},
    {"(a){2,3}", "aaaa", {"aaa", "a"}},
    {"(a){2,3}?", "aaaa", {"aa", "a"}},
    {"(a?)??b", "ab", {"ab", "a"}},
    {"^(\\w+)$", "a\nb", {NULL}},
    {"(\xC3\xA9+)",
     "x\xC3\xA9\xC3\xA9",
     {"\xC3\xA9\xC3\xA9", "\xC3\xA9\xC3\xA9"}},
    {"(?i)(B)", "abc", {"b", "b"}},
    {"(a|b|)c", "c", {"c", ""}},
};

START_TEST(groups_by_row)
{
    struct slice groups[REGEX_GROUPS_MAX];
    struct arena a = {0};
    struct regex *r;
    struct err err = {0};
    uint64_t work = plenty;
    bool expected = finds[_i].groups[0] != NULL;

    ck_assert_msg(regex_compile(&a, slice_str(finds[_i].pattern), &r, &err) ==
                      ST_OK,
                  "%s", err.text);
    ck_assert_int_eq(
        regex_find(r, slice_str(finds[_i].text), &a, groups, &work), expected);
    for (size_t i = 0; i < 5 && finds[_i].groups[i] != NULL; i++) {
        const char *wanted = finds[_i].groups[i];

        ck_assert_msg((strcmp(wanted, "-") == 0 && groups[i].data == NULL) ||
                          slice_eq(groups[i], slice_str(wanted)),
                      "%s on %s: group %zu is %.*s", finds[_i].pattern,
                      finds[_i].text, i, (int)groups[i].len,
                      (const char *)groups[i].data);
    }
    arena_release(&a);
}
END_TEST

START_TEST(groups_cost_no_more_than_allowed)
{
    struct slice groups[REGEX_GROUPS_MAX];
    struct arena a = {0};
    struct regex *r;
    uint64_t work = 5;

    ck_assert_int_eq(regex_compile(&a, slice_str("(a*)*x"), &r, NULL), ST_OK);
    ck_assert(!regex_find(r, slice_str("aaaaaaaaaaaaaax"), &a, groups, &work));
    ck_assert_uint_eq(work, 0);
    arena_release(&a);
}
END_TEST

UNIT_MAIN("regex", {
    tcase_add_loop_test(tc, groups_by_row, 0, COUNT_OF(finds));
    tcase_add_test(tc, groups_cost_no_more_than_allowed);
    tcase_add_loop_test(tc, text_matches_by_row, 0, COUNT_OF(matches));
    tcase_add_loop_test(tc, refused_with_words, 0, COUNT_OF(refused));
    tcase_add_test(tc, length_is_limited);
    tcase_add_test(tc, work_is_linear_in_the_text);
    tcase_add_test(tc, work_can_end);
    tcase_add_loop_test(tc, agrees_with_the_c_library, 0, COUNT_OF(atoms));
})
