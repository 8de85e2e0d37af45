#include "agent/core/acl.h"

#include <stdio.h>

#include "base/core/rng.h"
#include "suite.h"

/* ---- Policies as text --------------------------------------------- */

/* Rules as "service*web=read", in the order in which they count. */
static const char *listing(struct arena *a, struct acl_rules rules)
{
    const char *text = "";

    for (size_t i = 0; i < rules.count; i++) {
        const struct acl_rule *r = &rules.items[i];

        text =
            arena_printf(a, "%s%s%s%s%s=%s", text, i == 0 ? "" : " ",
                         acl_resource_text(r->resource), r->prefix ? "*" : ":",
                         r->name, acl_access_text(r->access));
    }
    return text;
}

static const struct {
    const char *text;
    const char *rules;
} policies[] = {
    {"", ""},
    {" \n\t", ""},
    {"{}", ""},
    {"# nothing\n// at all /*\n/* really\n */", ""},
    {"service \"web\" { policy = \"read\" }", "service:web=read"},
    {"service_prefix \"\" {policy=\"write\"}", "service*=write"},
    {"\"service\" \"web\" { \"policy\" = \"read\", }", "service:web=read"},
    {"service \"a\" { policy = \"read\" intentions = \"write\" }\n"
     "service \"b\" { policy = \"deny\" }",
     "service:a=read service:b=deny"},
    {"operator = \"read\"\nacl = \"write\"\nkeyring = \"write\"",
     "acl*=write operator*=read"},
    {"key_prefix \"a/\" { policy = \"list\" } key \"a\" { policy = \"deny\" }",
     "key:a=deny key*a/=list"},
    {"agent \"\" { policy = \"read\" } event_prefix \"e\" { policy = "
     "\"write\" } node \"n\" { policy = \"read\" } query_prefix \"q\" { "
     "policy = \"read\" } session \"s\" { policy = \"write\" }",
     "agent:=read event*e=write node:n=read query*q=read session:s=write"},
    {"key \"q\\\"uote\\\\\" { policy = \"read\" }", "key:q\"uote\\=read"},
    {"{\"service\": {\"web\": {\"policy\": \"read\"}}, \"key_prefix\": "
     "{\"\": {\"policy\": \"list\"}, \"x/\": {\"policy\": \"write\"}}, "
     "\"operator\": \"deny\"}",
     "key*x/=write key*=list operator*=deny service:web=read"},
};

START_TEST(policy_is_read)
{
    struct arena a = {0};
    struct acl_rules rules;
    const struct acl_rules *part = &rules;
    struct err err;

    ck_assert_msg(acl_rules_parse(&a, slice_str(policies[_i].text), &rules,
                                  &err) == ST_OK,
                  "%s: %s", policies[_i].text, err.text);
    ck_assert_str_eq(listing(&a, acl_rules_merge(&a, &part, 1)),
                     policies[_i].rules);
    arena_release(&a);
}
END_TEST

static const struct {
    const char *text;
    const char *words;
} mistakes[] = {
    {"service \"web\" { policy = \"raed\" }",
     "service.web.policy: \"raed\" is not one of \"deny\", \"read\", "
     "\"write\""},
    {"service \"web\" { policy = \"list\" }",
     "service.web.policy: \"list\" is not one of \"deny\", \"read\", "
     "\"write\""},
    {"service \"web\" { }",
     "service.web: policy is missing; say policy = \"read\", \"write\" or "
     "\"deny\""},
    {"servise \"web\" { policy = \"read\" }",
     "servise: unknown field; did you mean \"service\"?"},
    {"service \"web\" {\n policy = \"read\"", "line 2: \"}\" is missing"},
    {"service \"web\" {\n policy read }",
     "line 2: \"=\", \"{\" or a name in quotes is expected"},
    {"service \"web { policy = \"read\" }\n",
     "line 1: \"{\" is expected behind the name in quotes"},
    {"service \"web", "line 1: the text does not end on its line"},
    {"}", "line 1: \"}\" without a block"},
    {"operator = read",
     "line 1: a text in double quotes is expected behind \"=\""},
    {"operator = \"read\"\noperator = \"write\"",
     "line 2: \"operator\" is there twice"},
    {"service \"a\" {policy=\"read\"} service \"a\" {policy=\"deny\"}",
     "line 1: \"a\" is there twice"},
    {"service = \"read\"", "service: must be an object, not a string"},
    {"service \"a\" {policy=\"read\"} service = \"read\"",
     "line 1: \"service\" is there twice"},
    {"operator = \"read\" operator \"a\" {policy=\"read\"}",
     "line 1: a block and a text have the same name, or a name is not valid "
     "UTF-8"},
    {"/* never ends", "line 1: the comment does not end"},
    {"key \"\\n\" {}", "line 1: the only escapes are \\\" and \\\\"},
    {"a { b { c { d { e { } } } } }", "line 1: blocks are nested too deep"},
    {"service \"\xff\" {policy=\"read\"}", "line 1: a name is not valid UTF-8"},
    {"operator = \"\xff\"", "line 1: a text is not valid UTF-8"},
    {"= \"x\"", "line 1: a name such as service_prefix or policy is expected"},
    {"{\"service\": {\"web\": \"read\"}}",
     "service.web: must be an object, not a string"},
    {"{\"service\": ", "not JSON: unexpected token near end of file (line 1, "
                       "column 12)"},
};

START_TEST(mistake_is_named)
{
    struct arena a = {0};
    struct acl_rules rules;
    struct err err = {.text = ""};

    ck_assert_int_eq(
        acl_rules_parse(&a, slice_str(mistakes[_i].text), &rules, &err),
        ST_INVALID);
    ck_assert_str_eq(err.text, mistakes[_i].words);
    arena_release(&a);
}
END_TEST

START_TEST(a_policy_has_limits)
{
    struct arena a = {0};
    struct acl_rules rules;
    struct buf text;
    struct err err;

    buf_init(&text, 1 << 20);
    for (int i = 0; i < 1100; i++) {
        ck_assert(!buf_addf(&text, "key \"%d\" {policy=\"read\"}\n", i));
    }
    ck_assert_int_ne(acl_rules_parse(&a, buf_slice(&text), &rules, &err),
                     ST_OK);
    buf_clear(&text);
    while (text.len <= 65536) {
        ck_assert(!buf_add_str(&text, "# a long story\n"));
    }
    ck_assert_int_eq(acl_rules_parse(&a, buf_slice(&text), &rules, &err),
                     ST_TOO_BIG);
    buf_release(&text);
    arena_release(&a);
}
END_TEST

/* ---- What is allowed ---------------------------------------------- */

static const struct {
    const char *policies[3];
    enum acl_access otherwise;
    enum acl_resource resource;
    const char *name;
    enum acl_access access;
} questions[] = {
    {{""}, ACL_DENY, ACL_SERVICE, "web", ACL_DENY},
    {{""}, ACL_READ, ACL_SERVICE, "web", ACL_READ},
    {{""}, ACL_WRITE, ACL_KEY, "a", ACL_WRITE},
    /* Nobody gets at tokens by a default. */
    {{""}, ACL_WRITE, ACL_ACL, "", ACL_DENY},
    {{"acl = \"write\""}, ACL_DENY, ACL_ACL, "", ACL_WRITE},
    {{"service \"web\" {policy=\"write\"}"},
     ACL_DENY,
     ACL_SERVICE,
     "web",
     ACL_WRITE},
    {{"service \"web\" {policy=\"write\"}"},
     ACL_DENY,
     ACL_SERVICE,
     "web2",
     ACL_DENY},
    {{"service \"web\" {policy=\"write\"}"},
     ACL_DENY,
     ACL_NODE,
     "web",
     ACL_DENY},
    {{"service_prefix \"web\" {policy=\"read\"}"},
     ACL_DENY,
     ACL_SERVICE,
     "web2",
     ACL_READ},
    {{"service_prefix \"web\" {policy=\"read\"}"},
     ACL_DENY,
     ACL_SERVICE,
     "we",
     ACL_DENY},
    /* The exact one before the prefix, whatever their order. */
    {{"service_prefix \"web\" {policy=\"write\"} service \"web\" "
      "{policy=\"deny\"}"},
     ACL_WRITE,
     ACL_SERVICE,
     "web",
     ACL_DENY},
    {{"service_prefix \"\" {policy=\"read\"} service_prefix \"we\" "
      "{policy=\"write\"} service_prefix \"w\" {policy=\"deny\"}"},
     ACL_DENY,
     ACL_SERVICE,
     "web",
     ACL_WRITE},
    /* A longer prefix of one policy before a shorter denial of another. */
    {{"key_prefix \"a\" {policy=\"deny\"}", "key_prefix \"a/b\" "
                                            "{policy=\"read\"}"},
     ACL_DENY,
     ACL_KEY,
     "a/b/c",
     ACL_READ},
    /* The same rule twice. */
    {{"key \"a\" {policy=\"write\"}", "key \"a\" {policy=\"deny\"}"},
     ACL_WRITE,
     ACL_KEY,
     "a",
     ACL_DENY},
    {{"key \"a\" {policy=\"read\"}", "key \"a\" {policy=\"list\"}"},
     ACL_WRITE,
     ACL_KEY,
     "a",
     ACL_LIST},
    {{"key \"a\" {policy=\"read\"}", "key \"a\" {policy=\"write\"}"},
     ACL_DENY,
     ACL_KEY,
     "a",
     ACL_WRITE},
    /* Case: none for what is a DNS name. */
    {{"service \"web\" {policy=\"deny\"}"},
     ACL_WRITE,
     ACL_SERVICE,
     "WEB",
     ACL_DENY},
    {{"node \"Edge\" {policy=\"deny\"}"},
     ACL_WRITE,
     ACL_NODE,
     "edge",
     ACL_DENY},
    {{"session_prefix \"E\" {policy=\"deny\"}"},
     ACL_WRITE,
     ACL_SESSION,
     "edge",
     ACL_DENY},
    {{"service \"web\" {policy=\"write\"}", "service \"Web\" "
                                            "{policy=\"deny\"}"},
     ACL_WRITE,
     ACL_SERVICE,
     "web",
     ACL_DENY},
    {{"key \"a\" {policy=\"deny\"}"}, ACL_WRITE, ACL_KEY, "A", ACL_WRITE},
};

static struct acl_auth auth_of(struct arena *a, const char *const *texts,
                               size_t count, enum acl_access otherwise)
{
    static struct acl_rules rules[3];
    const struct acl_rules *parts[3];
    size_t parts_count = 0;
    struct err err;

    for (size_t i = 0; i < count && texts[i] != NULL; i++) {
        ck_assert_msg(
            acl_rules_parse(a, slice_str(texts[i]), &rules[i], &err) == ST_OK,
            "%s: %s", texts[i], err.text);
        parts[parts_count++] = &rules[i];
    }
    return (struct acl_auth){
        .rules = acl_rules_merge(a, parts, parts_count),
        .otherwise = otherwise,
        .accessor = "",
    };
}

START_TEST(question_has_its_answer)
{
    struct arena a = {0};
    struct acl_auth auth =
        auth_of(&a, questions[_i].policies, 3, questions[_i].otherwise);

    ck_assert_str_eq(acl_access_text(acl_access_to(
                         &auth, questions[_i].resource, questions[_i].name)),
                     acl_access_text(questions[_i].access));
    auth.management = true;
    ck_assert(
        acl_may(&auth, questions[_i].resource, questions[_i].name, ACL_WRITE));
    arena_release(&a);
}
END_TEST

/* ---- The same by brute force -------------------------------------- */

enum {
    RULES_MAX = 6,
    NAME_MAX_LEN = 3
};

struct world {
    struct acl_rule rules[3][RULES_MAX]; /* Of three policies. */
    size_t count[3];
    enum acl_access otherwise;
};

static const char *random_name(struct rng *rng, struct arena *a, size_t longest)
{
    char text[8];
    size_t len = rng_below(rng, longest + 1);

    for (size_t i = 0; i < len; i++) {
        text[i] = "aAb"[rng_below(rng, 3)];
    }
    return arena_strdup(a, slice_of(text, len));
}

static void random_world(struct rng *rng, struct arena *a, struct world *w)
{
    static const enum acl_access defaults[] = {ACL_DENY, ACL_READ, ACL_WRITE};
    static const enum acl_resource resources[] = {ACL_KEY, ACL_SERVICE};

    w->otherwise = defaults[rng_below(rng, 3)];
    for (size_t p = 0; p < 3; p++) {
        w->count[p] = rng_below(rng, RULES_MAX + 1);
        for (size_t i = 0; i < w->count[p]; i++) {
            w->rules[p][i] = (struct acl_rule){
                .resource = resources[rng_below(rng, 2)],
                .prefix = rng_below(rng, 2) == 1,
                .access = (enum acl_access)(ACL_DENY + rng_below(rng, 4)),
                .name = random_name(rng, a, NAME_MAX_LEN)};
        }
    }
}

static bool naive_equal(enum acl_resource resource, char a, char b)
{
    return a == b || (resource == ACL_SERVICE && (a | 32) == (b | 32));
}

static bool naive_fits(const struct acl_rule *r, enum acl_resource resource,
                       const char *name)
{
    size_t len = strlen(r->name);

    if (r->resource != resource || strlen(name) < len ||
        (!r->prefix && strlen(name) != len)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!naive_equal(resource, r->name[i], name[i])) {
            return false;
        }
    }
    return true;
}

/* How much a rule has to say: exact ones most, then by length. */
static size_t naive_weight(const struct acl_rule *r)
{
    return (r->prefix ? 0 : 100) + strlen(r->name);
}

static enum acl_access naive_access(const struct world *w,
                                    enum acl_resource resource,
                                    const char *name)
{
    bool given[ACL_WRITE + 1] = {false};
    size_t most = 0;
    bool any = false;

    for (int pass = 0; pass < 2; pass++) {
        for (size_t p = 0; p < 3; p++) {
            for (size_t i = 0; i < w->count[p]; i++) {
                const struct acl_rule *r = &w->rules[p][i];

                if (!naive_fits(r, resource, name)) {
                    continue;
                }
                if (pass == 0 && naive_weight(r) >= most) {
                    most = naive_weight(r);
                    any = true;
                } else if (pass == 1 && naive_weight(r) == most) {
                    given[r->access] = true;
                }
            }
        }
    }
    if (!any) {
        return w->otherwise;
    }
    if (given[ACL_DENY]) {
        return ACL_DENY;
    }
    return given[ACL_WRITE] ? ACL_WRITE : given[ACL_LIST] ? ACL_LIST : ACL_READ;
}

/* Names of at most `longest` letters, all of them. */
static bool next_name(char *name, size_t longest)
{
    static const char letters[] = "aAb";
    size_t len = strlen(name);

    for (size_t i = len; i-- > 0;) {
        const char *at = strchr(letters, name[i]);

        if (at[1] != '\0') {
            name[i] = at[1];
            return true;
        }
        name[i] = letters[0];
    }
    if (len == longest) {
        return false;
    }
    memset(name, letters[0], len + 1);
    name[len + 1] = '\0';
    return true;
}

START_TEST(as_a_naive_reader_says)
{
    static const enum acl_resource resources[] = {ACL_KEY, ACL_SERVICE};
    struct rng rng;

    rng_init(&rng, 20261128);
    for (int round = 0; round < 150; round++) {
        struct arena a = {0};
        struct world w;
        struct acl_rules parts[3];
        const struct acl_rules *pointers[3] = {&parts[0], &parts[1], &parts[2]};
        struct acl_auth auth = {.accessor = ""};
        char name[NAME_MAX_LEN + 2] = "";

        random_world(&rng, &a, &w);
        for (size_t p = 0; p < 3; p++) {
            parts[p] = (struct acl_rules){w.rules[p], w.count[p]};
        }
        auth.rules = acl_rules_merge(&a, pointers, 3);
        auth.otherwise = w.otherwise;
        do {
            for (size_t i = 0; i < 2; i++) {
                ck_assert_msg(acl_access_to(&auth, resources[i], name) ==
                                  naive_access(&w, resources[i], name),
                              "round %d, \"%s\" of %s: %s", round, name,
                              acl_resource_text(resources[i]),
                              listing(&a, auth.rules));
            }
        } while (next_name(name, NAME_MAX_LEN + 1));
        arena_release(&a);
    }
}
END_TEST

/* Whether each name of up to five letters below the prefix may. Rules have up
 * to three, so a name that no rule names is among them. */
static bool naive_below(const struct acl_auth *auth, enum acl_resource resource,
                        const char *prefix, enum acl_access wanted)
{
    char name[NAME_MAX_LEN + 3] = "";

    do {
        if (strncmp(name, prefix, strlen(prefix)) == 0 &&
            !acl_may(auth, resource, name, wanted)) {
            return false;
        }
    } while (next_name(name, NAME_MAX_LEN + 1));
    return true;
}

/* It may be stricter than a look at each name is (a short denial that longer
 * rules make up for), never laxer. */
START_TEST(below_is_never_laxer_than_each)
{
    struct rng rng;
    unsigned allowed = 0;
    unsigned strict = 0;

    rng_init(&rng, 7);
    for (int round = 0; round < 150; round++) {
        struct arena a = {0};
        struct world w;
        struct acl_rules parts[3];
        const struct acl_rules *pointers[3] = {&parts[0], &parts[1], &parts[2]};
        struct acl_auth auth = {.accessor = ""};
        const char *prefix;
        bool below;

        random_world(&rng, &a, &w);
        for (size_t p = 0; p < 3; p++) {
            parts[p] = (struct acl_rules){w.rules[p], w.count[p]};
        }
        auth.rules = acl_rules_merge(&a, pointers, 3);
        auth.otherwise = w.otherwise;
        prefix = random_name(&rng, &a, 2);
        below = acl_may_below(&auth, ACL_KEY, prefix, ACL_WRITE);
        if (below) {
            allowed++;
            ck_assert_msg(naive_below(&auth, ACL_KEY, prefix, ACL_WRITE),
                          "round %d, below \"%s\": %s", round, prefix,
                          listing(&a, auth.rules));
        } else {
            strict += naive_below(&auth, ACL_KEY, prefix, ACL_WRITE);
        }
        arena_release(&a);
    }
    ck_assert_uint_gt(allowed, 10);
    ck_assert_uint_lt(strict, 20);
}
END_TEST

UNIT_MAIN("acl", {
    tcase_add_loop_test(tc, policy_is_read, 0, COUNT_OF(policies));
    tcase_add_loop_test(tc, mistake_is_named, 0, COUNT_OF(mistakes));
    tcase_add_test(tc, a_policy_has_limits);
    tcase_add_loop_test(tc, question_has_its_answer, 0, COUNT_OF(questions));
    tcase_add_test(tc, as_a_naive_reader_says);
    tcase_add_test(tc, below_is_never_laxer_than_each);
})
