#include "agent/core/acl_table.h"

#include <stdio.h>

#include "agent/core/acl_record.h"
#include "suite.h"

static const char *const web_links[] = {"web"};
static const char *const read_links[] = {"keys", "web"};

static const struct acl_policy_setting policies[] = {
    {.name = "web", .text = "service \"web\" { policy = \"write\" }"},
    {.name = "keys", .text = "key_prefix \"\" { policy = \"read\" }"},
};

static const struct acl_token_setting tokens[] = {
    {.secret = "open-sesame",
     .accessor = "a-web",
     .description = "the web team",
     .policies = {web_links, 1}},
    {.secret = "reader-secret",
     .accessor = "",
     .description = "",
     .policies = {read_links, 2}},
};

static const struct acl_peer_setting peers[] = {
    {.has_uid = true, .uid = 33, .token = "open-sesame"},
    {.has_uid = true, .has_gid = true, .uid = 44, .gid = 7, .token = "root"},
    {.has_gid = true, .gid = 8, .token = "reader-secret"},
};

static struct acl_settings settings_of(enum acl_default otherwise)
{
    return (struct acl_settings){.enabled = true,
                                 .otherwise = otherwise,
                                 .policies = policies,
                                 .policies_count = 2,
                                 .tokens = tokens,
                                 .tokens_count = 2,
                                 .peers = peers,
                                 .peers_count = 3,
                                 .management = "root"};
}

static struct acl *table_of(enum acl_default otherwise)
{
    struct acl_settings settings = settings_of(otherwise);
    struct acl *t = acl_new("dc1");

    acl_configure(t, &settings);
    return t;
}

/* ---- Who asks ----------------------------------------------------- */

static const struct {
    const char *secret;
    bool by_socket;
    uint32_t uid;
    uint32_t groups[2];
    const char *fallback; /* The agent's default token. */
    const char *accessor; /* NULL: unknown. */
    bool own;
    bool management;
} callers[] = {
    {.secret = "", .accessor = ACL_ANONYMOUS},
    {.secret = "anonymous", .accessor = ACL_ANONYMOUS},
    {.secret = "open-sesame", .accessor = "a-web", .own = true},
    {.secret = "open-sesam", .accessor = NULL, .own = true},
    {.secret = "open-sesame ", .accessor = NULL, .own = true},
    {.secret = "OPEN-SESAME", .accessor = NULL, .own = true},
    {.secret = "a-web", .accessor = NULL, .own = true}, /* No secret. */
    {.secret = "root",
     .accessor = "file:4813494d137e1631",
     .own = true,
     .management = true},
    {.secret = "", .fallback = "open-sesame", .accessor = "a-web"},
    {.secret = "", .fallback = "nonsense", .accessor = NULL},
    {.secret = "anonymous", .fallback = "root", .accessor = ACL_ANONYMOUS},
    /* By the socket's owner: uid, uid and group, group. */
    {.secret = "",
     .by_socket = true,
     .uid = 33,
     .accessor = "a-web",
     .own = true},
    {.secret = "", .uid = 33, .accessor = ACL_ANONYMOUS},
    {.secret = "", .by_socket = true, .uid = 44, .accessor = ACL_ANONYMOUS},
    {.secret = "",
     .by_socket = true,
     .uid = 44,
     .groups = {1, 7},
     .accessor = "file:4813494d137e1631",
     .own = true,
     .management = true},
    {.secret = "",
     .by_socket = true,
     .uid = 45,
     .groups = {7, 1},
     .accessor = ACL_ANONYMOUS},
    {.secret = "",
     .by_socket = true,
     .uid = 45,
     .groups = {8, 7},
     .fallback = "root",
     .accessor = "file:f03319dee240faa7",
     .own = true},
    /* What was sent comes before who sent it. */
    {.secret = "reader-secret",
     .by_socket = true,
     .uid = 33,
     .accessor = "file:f03319dee240faa7",
     .own = true},
};

START_TEST(caller_is_known)
{
    struct acl_settings settings = settings_of(ACL_DEFAULT_READ);
    struct acl_caller caller = {.secret = slice_str(callers[_i].secret),
                                .by_socket = callers[_i].by_socket,
                                .uid = callers[_i].uid,
                                .groups = callers[_i].groups,
                                .groups_count = 2};
    struct acl *t = acl_new("dc1");
    struct acl_auth auth;
    enum acl_found found;
    bool own;

    settings.default_token = callers[_i].fallback;
    acl_configure(t, &settings);
    found = acl_identify(t, &caller, &auth, &own);
    ck_assert_int_eq(found == ACL_FOUND, callers[_i].accessor != NULL);
    ck_assert_int_eq(own, callers[_i].own);
    if (found == ACL_FOUND) {
        ck_assert_str_eq(auth.accessor, callers[_i].accessor);
        ck_assert_int_eq(auth.management, callers[_i].management);
        ck_assert_int_eq(auth.anonymous,
                         strcmp(auth.accessor, ACL_ANONYMOUS) == 0);
    }
    acl_free(t);
}
END_TEST

/* Rights of a secret. */
static struct acl_auth rights(struct acl *t, const char *secret)
{
    struct acl_caller caller = {.secret = slice_str(secret)};
    struct acl_auth auth;
    bool own;

    ck_assert_msg(acl_identify(t, &caller, &auth, &own) == ACL_FOUND,
                  "nobody knows \"%s\"", secret);
    return auth;
}

static bool unknown(struct acl *t, const char *secret)
{
    struct acl_caller caller = {.secret = slice_str(secret)};
    struct acl_auth auth;
    bool own;

    return acl_identify(t, &caller, &auth, &own) == ACL_UNKNOWN_TOKEN;
}

static const struct {
    enum acl_default otherwise;
    enum acl_access anonymous; /* To a service and to a key. */
    enum acl_access web;       /* Of the token that may write "web". */
    enum acl_access other;
} defaults[] = {
    {ACL_DEFAULT_READ, ACL_LIST, ACL_WRITE, ACL_LIST},
    {ACL_DEFAULT_DENY, ACL_DENY, ACL_WRITE, ACL_DENY},
    {ACL_DEFAULT_ALLOW, ACL_WRITE, ACL_WRITE, ACL_WRITE},
};

START_TEST(default_fills_the_gaps)
{
    struct acl *t = table_of(defaults[_i].otherwise);
    struct acl_auth nobody = rights(t, "");
    struct acl_auth web = rights(t, "open-sesame");

    ck_assert_int_eq(acl_access_to(&nobody, ACL_SERVICE, "web"),
                     defaults[_i].anonymous);
    ck_assert_int_eq(acl_access_to(&nobody, ACL_KEY, "a"),
                     defaults[_i].anonymous);
    ck_assert_int_eq(acl_access_to(&nobody, ACL_ACL, ""), ACL_DENY);
    ck_assert_int_eq(acl_access_to(&web, ACL_SERVICE, "web"), defaults[_i].web);
    ck_assert_int_eq(acl_access_to(&web, ACL_SERVICE, "db"),
                     defaults[_i].other);
    acl_free(t);
}
END_TEST

START_TEST(oversized_secret_is_unknown)
{
    struct acl *t = table_of(ACL_DEFAULT_READ);
    char secret[1024];

    memset(secret, 'x', sizeof(secret));
    secret[sizeof(secret) - 1] = '\0';
    ck_assert(unknown(t, secret));
    acl_free(t);
}
END_TEST

START_TEST(files_are_trusted_unless_told_otherwise)
{
    struct acl_settings settings = settings_of(ACL_DEFAULT_DENY);
    struct acl *t = acl_new("dc1");
    struct acl_auth auth;

    acl_configure(t, &settings);
    ck_assert_int_eq(acl_for_file(t, "", &auth), ACL_FOUND);
    ck_assert(acl_may(&auth, ACL_SERVICE, "db", ACL_WRITE));
    ck_assert_int_eq(acl_for_file(t, "open-sesame", &auth), ACL_FOUND);
    ck_assert(acl_may(&auth, ACL_SERVICE, "web", ACL_WRITE));
    ck_assert(!acl_may(&auth, ACL_SERVICE, "db", ACL_WRITE));
    ck_assert_int_eq(acl_for_file(t, "none", &auth), ACL_UNKNOWN_TOKEN);
    settings.file_token = "open-sesame";
    acl_configure(t, &settings);
    ck_assert_int_eq(acl_for_file(t, "", &auth), ACL_FOUND);
    ck_assert(!acl_may(&auth, ACL_SERVICE, "db", ACL_WRITE));
    settings.enabled = false;
    acl_configure(t, &settings);
    ck_assert_int_eq(acl_for_file(t, "none", &auth), ACL_FOUND);
    ck_assert(acl_may(&auth, ACL_SERVICE, "db", ACL_WRITE));
    acl_free(t);
}
END_TEST

START_TEST(dns_has_rights_of_its_own)
{
    struct acl_settings settings = settings_of(ACL_DEFAULT_DENY);
    struct acl *t = acl_new("dc1");
    struct acl_auth auth;

    acl_configure(t, &settings);
    ck_assert_int_eq(acl_for_dns(t, &auth), ACL_FOUND);
    ck_assert(!acl_may(&auth, ACL_SERVICE, "web", ACL_READ));
    settings.default_token = "reader-secret";
    acl_configure(t, &settings);
    ck_assert_int_eq(acl_for_dns(t, &auth), ACL_FOUND);
    ck_assert(acl_may(&auth, ACL_SERVICE, "web", ACL_READ));
    settings.dns_token = "root";
    acl_configure(t, &settings);
    ck_assert_int_eq(acl_for_dns(t, &auth), ACL_FOUND);
    ck_assert(acl_may(&auth, ACL_SERVICE, "db", ACL_READ));
    acl_free(t);
}
END_TEST

/* ---- The store ---------------------------------------------------- */

struct told {
    struct arena arena;
    struct catalog_event events[8];
    size_t count;
};

static void tell_token(struct told *n, const char *accessor, const char *secret,
                       const char *policy_id)
{
    const char *links[] = {policy_id};
    uint8_t hash[ACL_HASH_BYTES];
    struct acl_token_record r = {
        .accessor = accessor, .description = "", .policies = {links, 1}};
    struct buf value;

    acl_hash(slice_str(secret), hash);
    r.hash = acl_hash_text(&n->arena, hash);
    buf_init(&value, 4096);
    ck_assert(!acl_token_write(&r, &value));
    n->events[n->count++] = (struct catalog_event){
        .key = slice_str(
            arena_printf(&n->arena, "/muster/v1/dc1/acl/token/%s", accessor)),
        .value = arena_copy(&n->arena, buf_slice(&value)),
        .create_revision = 5,
        .mod_revision = 6};
    buf_release(&value);
}

static void tell_policy(struct told *n, const char *id, const char *name,
                        const char *text)
{
    struct acl_policy_record r = {
        .id = id, .name = name, .description = "", .text = text};
    struct buf value;

    buf_init(&value, 4096);
    ck_assert(!acl_policy_write(&r, &value));
    n->events[n->count++] = (struct catalog_event){
        .key = slice_str(
            arena_printf(&n->arena, "/muster/v1/dc1/acl/policy/%s", name)),
        .value = arena_copy(&n->arena, buf_slice(&value)),
        .create_revision = 5,
        .mod_revision = 6};
    buf_release(&value);
}

static void tell(struct told *n, const char *key, const char *value)
{
    n->events[n->count++] = (struct catalog_event){.key = slice_str(key),
                                                   .value = slice_str(value),
                                                   .deleted = value == NULL,
                                                   .mod_revision = 7};
}

static void hear(struct acl *t, struct told *n, bool full)
{
    acl_apply(t, n->events, n->count, full);
    arena_release(&n->arena);
    *n = (struct told){0};
}

START_TEST(what_the_store_says_counts)
{
    struct acl *t = table_of(ACL_DEFAULT_DENY);
    struct acl_auth auth;
    struct told n = {0};

    tell_token(&n, "t-1", "stored-1", "p-1");
    tell_policy(&n, "p-1", "db", "service \"db\" { policy = \"read\" }");
    hear(t, &n, false);
    auth = rights(t, "stored-1");
    ck_assert_str_eq(auth.accessor, "t-1");
    ck_assert(acl_may(&auth, ACL_SERVICE, "db", ACL_READ));
    ck_assert(!acl_may(&auth, ACL_SERVICE, "db", ACL_WRITE));
    ck_assert_int_eq(acl_token(t, "t-1")->mod_revision, 6);

    /* A new text of the policy counts at once, under a new name, too. */
    tell(&n, "/muster/v1/dc1/acl/policy/db", NULL);
    tell_policy(&n, "p-1", "base", "service \"db\" { policy = \"write\" }");
    hear(t, &n, false);
    auth = rights(t, "stored-1");
    ck_assert(acl_may(&auth, ACL_SERVICE, "db", ACL_WRITE));
    ck_assert(acl_policy_by_name(t, "db") == NULL);
    ck_assert_str_eq(acl_policy_by_name(t, "BASE")->id, "p-1");

    /* Without its policy a token may nothing; a new one of the same name is
     * another. */
    tell(&n, "/muster/v1/dc1/acl/policy/base", NULL);
    tell_policy(&n, "p-2", "base", "service \"db\" { policy = \"write\" }");
    hear(t, &n, false);
    auth = rights(t, "stored-1");
    ck_assert(!acl_may(&auth, ACL_SERVICE, "db", ACL_READ));

    tell(&n, "/muster/v1/dc1/acl/token/t-1", NULL);
    hear(t, &n, false);
    ck_assert(unknown(t, "stored-1"));
    acl_free(t);
}
END_TEST

START_TEST(a_full_read_is_all_there_is)
{
    struct acl *t = table_of(ACL_DEFAULT_DENY);
    struct told n = {0};

    tell_token(&n, "t-1", "stored-1", "p-1");
    tell_token(&n, "t-2", "stored-2", "p-1");
    tell_policy(&n, "p-1", "db", "");
    tell(&n, "/muster/v1/dc1/acl/bootstrap", "t-1");
    hear(t, &n, true);
    ck_assert_uint_eq(acl_tokens_count(t), 5);
    ck_assert_uint_eq(acl_policies_count(t), 4);
    ck_assert_int_eq(acl_bootstrap_revision(t), 7);
    tell_token(&n, "t-2", "stored-2", "p-1");
    hear(t, &n, true);
    ck_assert(unknown(t, "stored-1"));
    ck_assert_str_eq(rights(t, "stored-2").accessor, "t-2");
    ck_assert_uint_eq(acl_tokens_count(t), 4);
    ck_assert_uint_eq(acl_policies_count(t), 3);
    ck_assert_int_eq(acl_bootstrap_revision(t), 0);
    /* What the configuration says is not the store's to take. */
    ck_assert_str_eq(rights(t, "open-sesame").accessor, "a-web");
    acl_free(t);
}
END_TEST

/* Whoever can write the store's keys is trusted with much, but not to take over
 * what the configuration has, nor to bring the agent down. */
START_TEST(odd_records_count_as_none)
{
    static const char *const odd[][2] = {
        {"/muster/v1/dc1/acl/token/x", ""},
        {"/muster/v1/dc1/acl/token/x", "[]"},
        {"/muster/v1/dc1/acl/token/x", "{\"accessor\":\"x\"}"},
        {"/muster/v1/dc1/acl/token/x", "{\"accessor\":\"x\",\"hash\":\"zz\"}"},
        {"/muster/v1/dc1/acl/token/x",
         "{\"accessor\":\"y\",\"hash\":\"00000000000000000000000000000000000000"
         "00000000000000000000000000\"}"},
        {"/muster/v1/dc1/acl/token/a-web",
         "{\"accessor\":\"a-web\",\"hash\":\"0000000000000000000000000000000000"
         "000000000000000000000000000000\"}"},
        {"/muster/v1/dc1/acl/policy/x", "{\"name\":\"x\"}"},
        {"/muster/v1/dc1/acl/policy/x",
         "{\"id\":\"1\",\"name\":\"x\",\"rules\":\"nonsense\"}"},
        {"/muster/v1/dc1/acl/policy/x",
         "{\"id\":\"" ACL_GLOBAL_ID "\",\"name\":\"x\"}"},
        {"/muster/v1/dc1/acl/policy/x", "{\"id\":\"file:web\",\"name\":\"x\"}"},
        {"/muster/v1/dc1/acl/token/", "{}"},
        {"/muster/v1/dc1/acl/other", "{}"},
        {"/muster/v1/dc2/acl/token/x",
         "{\"accessor\":\"x\",\"hash\":\"00000000000000000000000000000000000000"
         "00000000000000000000000000\"}"},
    };
    struct acl *t = table_of(ACL_DEFAULT_DENY);
    struct told n = {0};

    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        tell(&n, odd[i][0], odd[i][1]);
        hear(t, &n, false);
        ck_assert_msg(acl_tokens_count(t) == 3 && acl_policies_count(t) == 3,
                      "%s: %s", odd[i][0], odd[i][1]);
    }
    ck_assert_str_eq(rights(t, "open-sesame").accessor, "a-web");
    acl_free(t);
}
END_TEST

/* A second token with somebody's secret does not change what that one may. */
START_TEST(a_secret_belongs_to_the_first)
{
    struct acl *t = table_of(ACL_DEFAULT_DENY);
    struct told n = {0};

    tell_token(&n, "thief", "open-sesame", ACL_GLOBAL_ID);
    hear(t, &n, false);
    ck_assert_str_eq(rights(t, "open-sesame").accessor, "a-web");
    ck_assert(!rights(t, "open-sesame").management);
    tell(&n, "/muster/v1/dc1/acl/token/thief", NULL);
    hear(t, &n, false);
    ck_assert_str_eq(rights(t, "open-sesame").accessor, "a-web");
    acl_free(t);
}
END_TEST

START_TEST(the_stores_anonymous_token_counts)
{
    struct acl *t = table_of(ACL_DEFAULT_DENY);
    struct acl_auth auth;
    struct told n = {0};

    tell_policy(&n, "p-1", "db", "service \"db\" { policy = \"read\" }");
    tell_token(&n, ACL_ANONYMOUS, "anonymous", "p-1");
    hear(t, &n, false);
    auth = rights(t, "");
    ck_assert(acl_may(&auth, ACL_SERVICE, "db", ACL_READ));
    ck_assert(auth.anonymous);
    acl_free(t);
}
END_TEST

/* Read and written, the settings of a reload take the place of the old ones;
 * the store's tokens stay. */
START_TEST(settings_can_be_changed)
{
    struct acl *t = table_of(ACL_DEFAULT_DENY);
    struct acl_settings settings = settings_of(ACL_DEFAULT_READ);
    uint64_t before = acl_generation(t);
    struct told n = {0};

    tell_token(&n, "t-1", "stored-1", "file:web");
    hear(t, &n, false);
    settings.tokens_count = 1;
    settings.management = "";
    acl_configure(t, &settings);
    ck_assert_uint_gt(acl_generation(t), before);
    ck_assert(unknown(t, "reader-secret"));
    ck_assert(unknown(t, "root"));
    ck_assert_str_eq(rights(t, "open-sesame").accessor, "a-web");
    ck_assert_str_eq(rights(t, "stored-1").accessor, "t-1");
    acl_free(t);
}
END_TEST

UNIT_MAIN("acl_table", {
    tcase_add_loop_test(tc, caller_is_known, 0, COUNT_OF(callers));
    tcase_add_loop_test(tc, default_fills_the_gaps, 0, COUNT_OF(defaults));
    tcase_add_test(tc, oversized_secret_is_unknown);
    tcase_add_test(tc, files_are_trusted_unless_told_otherwise);
    tcase_add_test(tc, dns_has_rights_of_its_own);
    tcase_add_test(tc, what_the_store_says_counts);
    tcase_add_test(tc, a_full_read_is_all_there_is);
    tcase_add_test(tc, odd_records_count_as_none);
    tcase_add_test(tc, a_secret_belongs_to_the_first);
    tcase_add_test(tc, the_stores_anonymous_token_counts);
    tcase_add_test(tc, settings_can_be_changed);
})
