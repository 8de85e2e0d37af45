#include "agent/core/acl_table.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <strings.h>

#include "agent/core/acl_model.h"
#include "agent/core/acl_record.h"
#include "base/core/check.h"
#include "base/core/limits.h"

void acl_hash(struct slice secret, uint8_t out_hash[ACL_HASH_BYTES])
{
    (void)SHA256(secret.len == 0 ? (const uint8_t *)"" : secret.data,
                 secret.len, out_hash);
}

/* ---- Boxes -------------------------------------------------------- */

static void policy_free(struct policy_box *p)
{
    arena_release(&p->arena);
    free(p);
}

static void token_free(struct token_box *k)
{
    arena_release(&k->arena);
    arena_release(&k->rules_arena);
    free(k);
}

void acl_drop_policy(struct acl *t, struct policy_box *p)
{
    HASH_DELETE(hh, t->policies, p);
    policy_free(p);
    t->generation++;
}

void acl_drop_token(struct acl *t, struct token_box *k)
{
    struct token_box *found;

    HASH_DELETE(by_accessor, t->tokens, k);
    HASH_FIND(by_hash, t->secrets, k->hash, ACL_HASH_BYTES, found);
    if (found == k) {
        HASH_DELETE(by_hash, t->secrets, k);
    }
    token_free(k);
    t->generation++;
}

void acl_put_policy(struct acl *t, struct policy_box *p)
{
    struct policy_box *old;

    HASH_FIND(hh, t->policies, p->pub.id, strlen(p->pub.id), old);
    if (old != NULL) {
        acl_drop_policy(t, old);
    }
    HASH_ADD_KEYPTR(hh, t->policies, p->pub.id, strlen(p->pub.id), p);
    t->generation++;
}

/* Of two tokens with one secret the first counts, so that nobody can change
 * what another's secret means. */
void acl_put_token(struct acl *t, struct token_box *k)
{
    struct token_box *old;

    HASH_FIND(by_accessor, t->tokens, k->pub.accessor, strlen(k->pub.accessor),
              old);
    if (old != NULL) {
        acl_drop_token(t, old);
    }
    k->pub.hash = k->hash;
    HASH_ADD_KEYPTR(by_accessor, t->tokens, k->pub.accessor,
                    strlen(k->pub.accessor), k);
    HASH_FIND(by_hash, t->secrets, k->hash, ACL_HASH_BYTES, old);
    if (old == NULL) {
        HASH_ADD(by_hash, t->secrets, hash, ACL_HASH_BYTES, k);
    }
    t->generation++;
}

/* ---- Configuration ------------------------------------------------ */

static struct token_box *token_box_new(void)
{
    struct token_box *k = calloc(1, sizeof(*k));

    CHECK(k != NULL);
    return k;
}

/* Policies of the configuration have ids that nobody can make by the API. */
static const char *file_policy_id(struct arena *a, const char *name)
{
    if (strcmp(name, ACL_GLOBAL_MANAGEMENT) == 0) {
        return ACL_GLOBAL_ID;
    }
    return arena_printf(a, "file:%s", name);
}

static void add_policy(struct acl *t, const struct acl_policy_setting *s)
{
    struct policy_box *p = calloc(1, sizeof(*p));
    struct err err;

    CHECK(p != NULL);
    p->pub = (struct acl_policy_item){
        .id = file_policy_id(&p->arena, s->name),
        .name = arena_strdup(&p->arena, slice_str(s->name)),
        .description = "",
        .text = arena_strdup(&p->arena, slice_str(s->text)),
    };
    /* It was read once, when the configuration was; now into our arena. */
    CHECK(acl_rules_parse(&p->arena, slice_str(s->text), &p->pub.rules, &err) ==
          ST_OK);
    acl_put_policy(t, p);
}

static void add_token(struct acl *t, const struct acl_token_setting *s)
{
    struct token_box *k = token_box_new();
    const char **ids = arena_zalloc(&k->arena, s->policies.count, sizeof(*ids));

    acl_hash(slice_str(s->secret), k->hash);
    for (size_t i = 0; i < s->policies.count; i++) {
        ids[i] = file_policy_id(
            &k->arena,
            arena_strdup(&k->arena, slice_str(s->policies.items[i])));
    }
    k->pub = (struct acl_token_item){
        .accessor = arena_strdup(&k->arena, slice_str(s->accessor)),
        .description = arena_strdup(&k->arena, slice_str(s->description)),
        .policies = {.items = ids, .count = s->policies.count},
    };
    if (*s->accessor == '\0') {
        k->pub.accessor = arena_printf(&k->arena, "file:%.16s",
                                       acl_hash_text(&k->arena, k->hash));
    }
    acl_put_token(t, k);
}

static void name_token(struct named_token *n, const char *secret)
{
    n->given = secret != NULL && *secret != '\0';
    if (n->given) {
        acl_hash(slice_str(secret), n->hash);
    }
}

static void add_peers(struct acl *t, const struct acl_settings *s)
{
    free(t->peers);
    t->peers = calloc(s->peers_count + 1, sizeof(*t->peers));
    CHECK(t->peers != NULL);
    t->peers_count = s->peers_count;
    for (size_t i = 0; i < s->peers_count; i++) {
        t->peers[i].setting = s->peers[i];
        t->peers[i].setting.token = NULL;
        acl_hash(slice_str(s->peers[i].token), t->peers[i].hash);
    }
}

static void forget_settings(struct acl *t)
{
    struct policy_box *p, *next_p;
    struct token_box *k, *next_k;

    HASH_ITER(hh, t->policies, p, next_p)
    {
        if (!p->pub.from_store) {
            acl_drop_policy(t, p);
        }
    }
    HASH_ITER(by_accessor, t->tokens, k, next_k)
    {
        if (!k->pub.from_store) {
            acl_drop_token(t, k);
        }
    }
}

static void set_anonymous(struct acl *t, struct texts policies)
{
    struct token_box *k = token_box_new();
    const char **ids = arena_zalloc(&k->arena, policies.count, sizeof(*ids));

    for (size_t i = 0; i < policies.count; i++) {
        ids[i] = file_policy_id(&k->arena, policies.items[i]);
    }
    acl_hash(slice_str("anonymous"), k->hash);
    k->pub.hash = k->hash;
    k->pub.accessor = ACL_ANONYMOUS;
    k->pub.description = "Anonymous Token";
    k->pub.policies = (struct texts){.items = ids, .count = policies.count};
    if (t->anonymous != NULL) {
        token_free(t->anonymous);
    }
    t->anonymous = k;
}

static const struct acl_policy_setting global_management = {
    .name = ACL_GLOBAL_MANAGEMENT,
    .text = "acl = \"write\"\noperator = \"write\"\n"
            "agent_prefix \"\" { policy = \"write\" }\n"
            "event_prefix \"\" { policy = \"write\" }\n"
            "key_prefix \"\" { policy = \"write\" }\n"
            "node_prefix \"\" { policy = \"write\" }\n"
            "query_prefix \"\" { policy = \"write\" }\n"
            "service_prefix \"\" { policy = \"write\" }\n"
            "session_prefix \"\" { policy = \"write\" }\n"};

void acl_configure(struct acl *t, const struct acl_settings *s)
{
    static const char *const all[] = {ACL_GLOBAL_MANAGEMENT};
    struct acl_token_setting management = {
        .secret = s->management,
        .accessor = "",
        .description = "Initial management token of the configuration",
        .policies = {.items = all, .count = 1}};

    forget_settings(t);
    t->enabled = s->enabled;
    t->otherwise = s->otherwise;
    add_policy(t, &global_management);
    for (size_t i = 0; i < s->policies_count; i++) {
        add_policy(t, &s->policies[i]);
    }
    for (size_t i = 0; i < s->tokens_count; i++) {
        add_token(t, &s->tokens[i]);
    }
    t->has_management = s->management != NULL && *s->management != '\0';
    if (t->has_management) {
        add_token(t, &management);
    }
    set_anonymous(t, s->anonymous);
    add_peers(t, s);
    name_token(&t->default_token, s->default_token);
    name_token(&t->dns_token, s->dns_token);
    name_token(&t->file_token, s->file_token);
    t->generation++;
}

struct acl *acl_new(const char *datacenter)
{
    struct acl_settings nothing = {0};
    struct acl *t = calloc(1, sizeof(*t));

    CHECK(t != NULL);
    t->datacenter = strdup(datacenter);
    CHECK(t->datacenter != NULL);
    acl_configure(t, &nothing);
    return t;
}

void acl_free(struct acl *t)
{
    struct policy_box *p, *next_p;
    struct token_box *k, *next_k;

    if (t == NULL) {
        return;
    }
    HASH_ITER(hh, t->policies, p, next_p)
    {
        acl_drop_policy(t, p);
    }
    HASH_ITER(by_accessor, t->tokens, k, next_k)
    {
        acl_drop_token(t, k);
    }
    token_free(t->anonymous);
    free(t->peers);
    free(t->datacenter);
    free(t);
}

bool acl_enabled(const struct acl *t)
{
    return t != NULL && t->enabled;
}

enum acl_default acl_default_policy(const struct acl *t)
{
    return t->otherwise;
}

bool acl_has_management(const struct acl *t)
{
    return t->has_management;
}

uint64_t acl_generation(const struct acl *t)
{
    return t->generation;
}

/* ---- Who asks ----------------------------------------------------- */

static struct token_box *find_hash(const struct acl *t,
                                   const uint8_t hash[ACL_HASH_BYTES])
{
    struct token_box *k;

    /* The look-up may tell how many bits of a hash fit, which helps nobody who
     * cannot choose them; the last word is a comparison in constant time. */
    HASH_FIND(by_hash, t->secrets, hash, ACL_HASH_BYTES, k);
    return k != NULL && CRYPTO_memcmp(k->hash, hash, ACL_HASH_BYTES) == 0
               ? k
               : NULL;
}

/* Merge the policies of a token, unless that was done since the last change. */
static void merge_token(const struct acl *t, struct token_box *k)
{
    const struct acl_rules *parts[LIMIT_ACL_LINKS];
    size_t count = 0;

    if (k->merged == t->generation) {
        return;
    }
    k->management = false;
    for (size_t i = 0; i < k->pub.policies.count && count < LIMIT_ACL_LINKS;
         i++) {
        const struct acl_policy_item *p =
            acl_policy_by_id(t, k->pub.policies.items[i]);

        if (p != NULL) { /* Else it was deleted; it gives nothing. */
            k->management |= strcmp(p->id, ACL_GLOBAL_ID) == 0;
            parts[count++] = &p->rules;
        }
    }
    arena_reset(&k->rules_arena);
    k->rules = acl_rules_merge(&k->rules_arena, parts, count);
    k->merged = t->generation;
}

static void auth_of(const struct acl *t, struct token_box *k,
                    struct acl_auth *out)
{
    static const enum acl_access defaults[] = {[ACL_DEFAULT_READ] =
                                                   ACL_LIST, /* Of keys, too. */
                                               [ACL_DEFAULT_DENY] = ACL_DENY,
                                               [ACL_DEFAULT_ALLOW] = ACL_WRITE};

    merge_token(t, k);
    *out = (struct acl_auth){
        .rules = k->rules,
        .otherwise = defaults[t->otherwise],
        .management = k->management,
        .anonymous = strcmp(k->pub.accessor, ACL_ANONYMOUS) == 0,
        .accessor = k->pub.accessor,
    };
}

static enum acl_found auth_of_hash(const struct acl *t, const uint8_t *hash,
                                   struct acl_auth *out_auth)
{
    struct token_box *k = find_hash(t, hash);

    if (k == NULL) {
        return ACL_UNKNOWN_TOKEN;
    }
    auth_of(t, k, out_auth);
    return ACL_FOUND;
}

/* The store's token for everybody, if there is one, else the configuration's.
 */
static void auth_of_nobody(const struct acl *t, struct acl_auth *out)
{
    struct token_box *k;

    HASH_FIND(by_accessor, t->tokens, ACL_ANONYMOUS, strlen(ACL_ANONYMOUS), k);
    auth_of(t, k != NULL ? k : t->anonymous, out);
}

static bool has_group(const struct acl_caller *c, uint32_t gid)
{
    for (size_t i = 0; i < c->groups_count; i++) {
        if (c->groups[i] == gid) {
            return true;
        }
    }
    return false;
}

static const struct peer_rule *find_peer(const struct acl *t,
                                         const struct acl_caller *c)
{
    for (size_t i = 0; c->by_socket && i < t->peers_count; i++) {
        const struct acl_peer_setting *s = &t->peers[i].setting;

        if ((!s->has_uid || s->uid == c->uid) &&
            (!s->has_gid || has_group(c, s->gid))) {
            return &t->peers[i];
        }
    }
    return NULL;
}

enum acl_found acl_identify(struct acl *t, const struct acl_caller *caller,
                            struct acl_auth *out_auth, bool *out_own)
{
    const struct peer_rule *peer = find_peer(t, caller);
    uint8_t hash[ACL_HASH_BYTES];

    *out_own = false;
    if (caller->secret.len > LIMIT_ACL_SECRET) {
        return ACL_UNKNOWN_TOKEN;
    }
    if (slice_eq(caller->secret, slice_str("anonymous"))) {
        auth_of_nobody(t, out_auth);
        return ACL_FOUND;
    }
    if (caller->secret.len > 0) {
        *out_own = true;
        acl_hash(caller->secret, hash);
        return auth_of_hash(t, hash, out_auth);
    }
    if (peer != NULL) {
        *out_own = true;
        return auth_of_hash(t, peer->hash, out_auth);
    }
    if (t->default_token.given) {
        return auth_of_hash(t, t->default_token.hash, out_auth);
    }
    auth_of_nobody(t, out_auth);
    return ACL_FOUND;
}

enum acl_found acl_for_dns(struct acl *t, struct acl_auth *out_auth)
{
    if (!acl_enabled(t)) {
        *out_auth = acl_auth_all;
        return ACL_FOUND;
    }
    if (t->dns_token.given) {
        return auth_of_hash(t, t->dns_token.hash, out_auth);
    }
    if (t->default_token.given) {
        return auth_of_hash(t, t->default_token.hash, out_auth);
    }
    auth_of_nobody(t, out_auth);
    return ACL_FOUND;
}

enum acl_found acl_for_file(struct acl *t, const char *token,
                            struct acl_auth *out_auth)
{
    uint8_t hash[ACL_HASH_BYTES];

    if (acl_enabled(t) && *token != '\0') {
        acl_hash(slice_str(token), hash);
        return auth_of_hash(t, hash, out_auth);
    }
    if (acl_enabled(t) && t->file_token.given) {
        return auth_of_hash(t, t->file_token.hash, out_auth);
    }
    *out_auth = acl_auth_all;
    return ACL_FOUND;
}

#define HASHED "sha256:"

bool acl_is_hashed(const char *token)
{
    return strncmp(token, HASHED, sizeof(HASHED) - 1) == 0;
}

const char *acl_hashed(struct arena *a, const char *secret)
{
    uint8_t hash[ACL_HASH_BYTES];

    acl_hash(slice_str(secret), hash);
    return arena_printf(a, HASHED "%s", acl_hash_text(a, hash));
}

enum acl_found acl_for_record(struct acl *t, const char *token,
                              struct acl_auth *out_auth)
{
    uint8_t hash[ACL_HASH_BYTES];

    if (!acl_enabled(t) || !acl_is_hashed(token)) {
        return acl_for_file(t, token, out_auth);
    }
    return acl_hash_read(token + sizeof(HASHED) - 1, hash) == ST_OK
               ? auth_of_hash(t, hash, out_auth)
               : ACL_UNKNOWN_TOKEN;
}

/* ---- What is there ------------------------------------------------ */

const struct acl_token_item *acl_token(const struct acl *t,
                                       const char *accessor)
{
    struct token_box *k;

    HASH_FIND(by_accessor, t->tokens, accessor, strlen(accessor), k);
    if (k == NULL && strcmp(accessor, ACL_ANONYMOUS) == 0) {
        k = t->anonymous;
    }
    return k == NULL ? NULL : &k->pub;
}

const struct acl_token_item *acl_token_of_secret(const struct acl *t,
                                                 struct slice secret)
{
    uint8_t hash[ACL_HASH_BYTES];
    const struct token_box *k;

    acl_hash(secret, hash);
    k = find_hash(t, hash);
    return k == NULL ? NULL : &k->pub;
}

const struct acl_policy_item *acl_policy_by_id(const struct acl *t,
                                               const char *id)
{
    struct policy_box *p;

    HASH_FIND(hh, t->policies, id, strlen(id), p);
    return p == NULL ? NULL : &p->pub;
}

const struct acl_policy_item *acl_policy_by_name(const struct acl *t,
                                                 const char *name)
{
    struct policy_box *p, *next;

    HASH_ITER(hh, t->policies, p, next)
    {
        if (strcasecmp(p->pub.name, name) == 0) {
            return &p->pub;
        }
    }
    return NULL;
}

static int order_of_tokens(struct token_box *a, struct token_box *b)
{
    return strcmp(a->pub.accessor, b->pub.accessor);
}

static int order_of_policies(struct policy_box *a, struct policy_box *b)
{
    return strcmp(a->pub.name, b->pub.name);
}

void acl_each_token(const struct acl *t, acl_token_fn fn, void *ctx)
{
    struct acl *mine = (struct acl *)t; /* Sorting changes no content. */
    struct token_box *k, *next;

    HASH_SRT(by_accessor, mine->tokens, order_of_tokens);
    if (acl_token(t, ACL_ANONYMOUS) == &t->anonymous->pub) {
        fn(ctx, &t->anonymous->pub);
    }
    HASH_ITER(by_accessor, mine->tokens, k, next)
    {
        fn(ctx, &k->pub);
    }
}

void acl_each_policy(const struct acl *t, acl_policy_fn fn, void *ctx)
{
    struct acl *mine = (struct acl *)t;
    struct policy_box *p, *next;

    HASH_SORT(mine->policies, order_of_policies);
    HASH_ITER(hh, mine->policies, p, next)
    {
        fn(ctx, &p->pub);
    }
}

size_t acl_tokens_count(const struct acl *t)
{
    return HASH_CNT(by_accessor, t->tokens);
}

size_t acl_policies_count(const struct acl *t)
{
    return HASH_COUNT(t->policies);
}

int64_t acl_bootstrap_revision(const struct acl *t)
{
    return t->bootstrap_revision;
}
