#include "agent/io/config_access.h"

#include <errno.h>
#include <grp.h>
#include <jansson.h>
#include <pwd.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/suggest.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* ---- acl --------------------------------------------------------------- */

/* Whoever guesses a secret has what it gives. */
static enum status rule_secret(struct field_reader *r, const struct json_at *at,
                               const void *value)
{
    size_t len = strlen(*(const char *const *)value);

    if (len > 0 && len < 8) {
        return field_error(r, at,
                           "is shorter than 8 bytes; make one with: "
                           "cat /proc/sys/kernel/random/uuid");
    }
    return ST_OK;
}

#define POLICY(k, member) \
    .key = k, .offset = offsetof(struct config_policy, member)

static const struct field policy_items[] = {
    {POLICY("name", name), .kind = FIELD_TEXT, .max = 128},
    {POLICY("rules", rules), .kind = FIELD_OBJECT, .sub = &acl_policy_fields},
    {POLICY("hcl", hcl), .kind = FIELD_TEXT, .max = LIMIT_ACL_POLICY_BYTES},
    {.key = "description", .kind = FIELD_ANY},
};

static enum status policy_finish(struct field_reader *r,
                                 const struct json_at *at, void *object)
{
    const struct config_policy *p = object;
    struct acl_rules rules;
    struct err why;

    if (*p->name == '\0') {
        return field_error(r, at, "name is missing");
    }
    if (acl_rules_parse(r->arena, slice_str(p->hcl), &rules, &why)) {
        return field_error(r, at, "hcl: %s", why.text);
    }
    return ST_OK;
}

static const struct fields policy_fields = {
    .what = "policy",
    .items = policy_items,
    .count = COUNT(policy_items),
    .size = sizeof(struct config_policy),
    .finish = policy_finish,
};

#define TOKEN(k, member) \
    .key = k, .offset = offsetof(struct acl_token_setting, member)

static const struct field token_items[] = {
    {TOKEN("secret", secret), .kind = FIELD_TEXT, .max = LIMIT_ACL_SECRET,
     .rule = rule_secret},
    {TOKEN("accessor", accessor), .kind = FIELD_TEXT, .max = 64},
    {TOKEN("description", description), .kind = FIELD_TEXT, .max = 512},
    {TOKEN("policies", policies), .kind = FIELD_TEXTS, .max = LIMIT_ACL_LINKS},
};

static enum status token_finish(struct field_reader *r,
                                const struct json_at *at, void *object)
{
    const struct acl_token_setting *k = object;

    return *k->secret == '\0' ? field_error(r, at, "secret is missing") : ST_OK;
}

static const struct fields token_fields = {
    .items = token_items,
    .count = COUNT(token_items),
    .size = sizeof(struct acl_token_setting),
    .finish = token_finish,
};

#define PEER(k, member) .key = k, .offset = offsetof(struct config_peer, member)

static const struct field peer_items[] = {
    {PEER("uid", uid), .kind = FIELD_TEXT, .max = 64},
    {PEER("gid", gid), .kind = FIELD_TEXT, .max = 64},
    {PEER("token", token), .kind = FIELD_TEXT, .max = LIMIT_ACL_SECRET},
};

static enum status peer_finish(struct field_reader *r, const struct json_at *at,
                               void *object)
{
    const struct config_peer *p = object;

    if (*p->token == '\0' || (*p->uid == '\0' && *p->gid == '\0')) {
        return field_error(r, at, "needs a token, and a uid, a gid or both");
    }
    return ST_OK;
}

static const struct fields peer_fields = {
    .items = peer_items,
    .count = COUNT(peer_items),
    .size = sizeof(struct config_peer),
    .finish = peer_finish,
};

#define NAMED(k, member)                                   \
    .key = k, .kind = FIELD_TEXT, .max = LIMIT_ACL_SECRET, \
    .rule = rule_secret,                                   \
    .offset = offsetof(struct config_acl, named.member) -  \
              offsetof(struct config_acl, named)

static const struct field named_items[] = {
    {NAMED("initial_management", management)},
    {NAMED("master", management), .alias = true},
    {NAMED("default", standard)},
    {NAMED("dns", dns)},
    {NAMED("config_file_service_registration", files)},
    /* Of servers, and of an agent that asks others. */
    {.key = "agent", .kind = FIELD_ANY},
    {.key = "agent_master", .kind = FIELD_ANY},
    {.key = "agent_recovery", .kind = FIELD_ANY},
    {.key = "replication", .kind = FIELD_ANY},
};

static const struct fields named_fields = {
    .items = named_items,
    .count = COUNT(named_items),
    .size = sizeof(((struct config_acl *)NULL)->named),
};

static const char *const defaults[] = {[ACL_DEFAULT_READ] = "read",
                                       [ACL_DEFAULT_DENY] = "deny",
                                       [ACL_DEFAULT_ALLOW] = "allow",
                                       NULL};

#define ACL(k, member) .key = k, .offset = offsetof(struct config_acl, member)

static const struct field acl_items[] = {
    {ACL("enabled", enabled), .kind = FIELD_BOOL},
    {ACL("default_policy", default_policy), .kind = FIELD_WORD,
     .words = defaults},
    {ACL("policies", policies), .kind = FIELD_LIST, .max = 256,
     .count_offset = offsetof(struct config_acl, policies_count),
     .sub = &policy_fields},
    {ACL("static_tokens", tokens), .kind = FIELD_LIST, .max = 1024,
     .count_offset = offsetof(struct config_acl, tokens_count),
     .sub = &token_fields},
    {ACL("socket_tokens", peers), .kind = FIELD_LIST, .max = 256,
     .count_offset = offsetof(struct config_acl, peers_count),
     .sub = &peer_fields},
    {ACL("anonymous_policies", anonymous), .kind = FIELD_TEXTS,
     .max = LIMIT_ACL_LINKS},
    {ACL("tokens", named), .kind = FIELD_OBJECT, .sub = &named_fields},
    /* Consul's, of no meaning to an agent that knows all tokens. */
    {.key = "down_policy", .kind = FIELD_ANY},
    {.key = "enable_key_list_policy", .kind = FIELD_ANY},
    {.key = "enable_token_persistence", .kind = FIELD_ANY},
    {.key = "enable_token_replication", .kind = FIELD_ANY},
    {.key = "policy_ttl", .kind = FIELD_ANY},
    {.key = "role_ttl", .kind = FIELD_ANY},
    {.key = "token_ttl", .kind = FIELD_ANY},
};

const struct fields config_acl_fields = {
    .items = acl_items,
    .count = COUNT(acl_items),
    .size = sizeof(struct config_acl),
};

/* ---- http_config ------------------------------------------------------- */

static enum status rule_networks(struct field_reader *r,
                                 const struct json_at *at, const void *value)
{
    const struct texts *texts = value;
    struct network n;

    for (size_t i = 0; i < texts->count; i++) {
        struct json_at inner = {.up = at, .index = i};

        if (network_parse(texts->items[i], &n)) {
            return field_error(r, &inner,
                               "\"%.64s\" is not a network such as "
                               "\"10.0.0.0/8\" (with no bits behind the mask)",
                               texts->items[i]);
        }
    }
    return ST_OK;
}

static const struct field http_items[] = {
    {.key = "allow_write_http_from",
     .kind = FIELD_TEXTS,
     .max = 256,
     .rule = rule_networks,
     .offset = offsetof(struct config_http, writers)},
    {.key = "allowed_hosts",
     .kind = FIELD_TEXTS,
     .max = 256,
     .offset = offsetof(struct config_http, hosts)},
    {.key = "block_endpoints", .kind = FIELD_ANY},
    {.key = "max_header_bytes", .kind = FIELD_ANY},
    {.key = "response_headers", .kind = FIELD_ANY},
    {.key = "use_cache", .kind = FIELD_ANY},
};

const struct fields config_http_fields = {
    .items = http_items,
    .count = COUNT(http_items),
    .size = sizeof(struct config_http),
};

/* ---- tls --------------------------------------------------------------- */

static const char *const versions[] = {"TLSv1_2", NULL};

#define SIDE(k, member) \
    .key = k, .offset = offsetof(struct config_tls_side, member)

static const struct field side_items[] = {
    {SIDE("ca_file", ca_file), .kind = FIELD_TEXT},
    {SIDE("cert_file", cert_file), .kind = FIELD_TEXT},
    {SIDE("key_file", key_file), .kind = FIELD_TEXT},
    {SIDE("verify_incoming", verify_incoming), .kind = FIELD_BOOL},
    {SIDE("tls_min_version", version), .kind = FIELD_WORD, .words = versions},
    {.key = "verify_outgoing", .kind = FIELD_ANY},
    {.key = "verify_server_hostname", .kind = FIELD_ANY},
};

static const struct fields side_fields = {
    .items = side_items,
    .count = COUNT(side_items),
    .size = sizeof(struct config_tls_side),
};

static const struct field tls_items[] = {
    {.key = "defaults",
     .kind = FIELD_OBJECT,
     .sub = &side_fields,
     .offset = offsetof(struct config_tls, defaults)},
    {.key = "https",
     .kind = FIELD_OBJECT,
     .sub = &side_fields,
     .offset = offsetof(struct config_tls, https)},
    {.key = "grpc", .kind = FIELD_ANY},
    {.key = "internal_rpc", .kind = FIELD_ANY},
};

const struct fields config_tls_fields = {
    .items = tls_items,
    .count = COUNT(tls_items),
    .size = sizeof(struct config_tls),
};

/* ---- Owners of sockets ------------------------------------------------- */

static void number_to_text(json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (json_is_integer(value)) {
        CHECK(json_object_set_new(
                  object, key,
                  json_sprintf("%lld", (long long)json_integer_value(value))) ==
              0);
    }
}

void config_access_texts(json_t *root)
{
    json_t *list =
        json_object_get(json_object_get(root, "acl"), "socket_tokens");
    json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        number_to_text(item, "uid");
        number_to_text(item, "gid");
    }
}

/* A number that is an id; -1 as one means "unchanged" to the kernel. */
static bool id_parse(const char *text, uint32_t *out_id)
{
    char *end;
    unsigned long long number;

    errno = 0;
    number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 ||
        number >= UINT32_MAX) {
        return false;
    }
    *out_id = (uint32_t)number;
    return true;
}

static enum status user_id(const char *text, uint32_t *out_id, struct err *err)
{
    struct passwd room;
    struct passwd *found = NULL;
    char buffer[16384];

    if (id_parse(text, out_id)) {
        return ST_OK;
    }
    if (getpwnam_r(text, &room, buffer, sizeof(buffer), &found) || !found) {
        return err_set(err, ST_INVALID,
                       "acl.socket_tokens: there is no user \"%s\"", text);
    }
    *out_id = found->pw_uid;
    return ST_OK;
}

static enum status group_id(const char *text, uint32_t *out_id, struct err *err)
{
    struct group room;
    struct group *found = NULL;
    char buffer[16384];

    if (id_parse(text, out_id)) {
        return ST_OK;
    }
    if (getgrnam_r(text, &room, buffer, sizeof(buffer), &found) || !found) {
        return err_set(err, ST_INVALID,
                       "acl.socket_tokens: there is no group \"%s\"", text);
    }
    *out_id = found->gr_gid;
    return ST_OK;
}

static enum status peers_take(struct agent_config *c,
                              const struct config_acl *acl, struct err *err)
{
    struct acl_peer_setting *peers =
        arena_zalloc(&c->arena, acl->peers_count, sizeof(*peers));
    enum status st = ST_OK;

    for (size_t i = 0; i < acl->peers_count && !st; i++) {
        const struct config_peer *p = &acl->peers[i];

        peers[i] = (struct acl_peer_setting){.has_uid = *p->uid != '\0',
                                             .has_gid = *p->gid != '\0',
                                             .token = p->token};
        if (peers[i].has_uid) {
            st = user_id(p->uid, &peers[i].uid, err);
        }
        if (!st && peers[i].has_gid) {
            st = group_id(p->gid, &peers[i].gid, err);
        }
    }
    c->acl.peers = peers;
    c->acl.peers_count = acl->peers_count;
    return st;
}

/* ---- Policies and tokens ----------------------------------------------- */

/* Rules of the table as the text that stands for them. */
static const char *rules_text(struct arena *a, const struct acl_policy *rules)
{
    struct buf text;
    struct jsonw w;
    const char *copy;

    buf_init(&text, 4UL * 1024 * 1024);
    jsonw_init(&w, &text, JSONW_COMPACT);
    fields_write(&acl_policy_fields, rules, &w);
    CHECK(jsonw_finish(&w) == ST_OK);
    copy = arena_strdup(a, buf_slice(&text));
    buf_release(&text);
    return copy;
}

static enum status policies_take(struct agent_config *c,
                                 const struct config_acl *acl, struct err *err)
{
    struct acl_policy_setting *out =
        arena_zalloc(&c->arena, acl->policies_count, sizeof(*out));

    for (size_t i = 0; i < acl->policies_count; i++) {
        const struct config_policy *p = &acl->policies[i];
        struct acl_rules rules;

        out[i].name = p->name;
        out[i].text =
            *p->hcl != '\0' ? p->hcl : rules_text(&c->arena, &p->rules);
        for (size_t k = 0; k < i; k++) {
            if (strcasecmp(out[k].name, p->name) == 0) {
                return err_set(err, ST_INVALID,
                               "acl.policies: \"%s\" is there twice", p->name);
            }
        }
        if (strcasecmp(p->name, ACL_GLOBAL_MANAGEMENT) == 0) {
            return err_set(err, ST_INVALID, "acl.policies: \"%s\" is built in",
                           p->name);
        }
        if (acl_rules_parse(&c->arena, slice_str(out[i].text), &rules, err)) {
            return err_prefix(err, ST_INVALID, "acl.policies: \"%s\"", p->name);
        }
    }
    c->acl.policies = out;
    c->acl.policies_count = acl->policies_count;
    return ST_OK;
}

static enum status links_check(const struct agent_config *c, struct texts names,
                               const char *where, struct err *err)
{
    for (size_t i = 0; i < names.count; i++) {
        struct suggestion nearest = {0};
        bool found = strcmp(names.items[i], ACL_GLOBAL_MANAGEMENT) == 0;

        suggest_consider(&nearest, names.items[i], ACL_GLOBAL_MANAGEMENT);
        for (size_t k = 0; k < c->acl.policies_count && !found; k++) {
            found = strcmp(c->acl.policies[k].name, names.items[i]) == 0;
            suggest_consider(&nearest, names.items[i], c->acl.policies[k].name);
        }
        if (!found) {
            return err_set(
                err, ST_INVALID, "%s: acl.policies has no \"%.128s\"%s%s%s",
                where, names.items[i], nearest.word ? "; did you mean \"" : "",
                nearest.word ? nearest.word : "", nearest.word ? "\"?" : "");
        }
    }
    return ST_OK;
}

static enum status tokens_take(struct agent_config *c,
                               const struct config_acl *acl, struct err *err)
{
    enum status st = ST_OK;

    for (size_t i = 0; i < acl->tokens_count && !st; i++) {
        const struct acl_token_setting *k = &acl->tokens[i];

        st = links_check(c, k->policies, "acl.static_tokens", err);
        for (size_t other = 0; other < i && !st; other++) {
            const struct acl_token_setting *o = &acl->tokens[other];

            if (strcmp(o->secret, k->secret) == 0 ||
                (*k->accessor != '\0' &&
                 strcmp(o->accessor, k->accessor) == 0)) {
                st = err_set(err, ST_INVALID,
                             "acl.static_tokens: number %zu has the secret or "
                             "accessor of number %zu",
                             i + 1, other + 1);
            }
        }
    }
    c->acl.tokens = acl->tokens;
    c->acl.tokens_count = acl->tokens_count;
    return st;
}

static enum status acl_take(struct agent_config *c,
                            const struct config_acl *acl, struct err *err)
{
    enum status st = policies_take(c, acl, err);

    c->acl.enabled = acl->enabled;
    c->acl.otherwise = (enum acl_default)acl->default_policy;
    c->acl.anonymous = acl->anonymous;
    c->acl.management = acl->named.management;
    c->acl.default_token = acl->named.standard;
    c->acl.dns_token = acl->named.dns;
    c->acl.file_token = acl->named.files;
    if (!st) {
        st = tokens_take(c, acl, err);
    }
    if (!st) {
        st = links_check(c, acl->anonymous, "acl.anonymous_policies", err);
    }
    return st ? st : peers_take(c, acl, err);
}

/* ---- The rest ---------------------------------------------------------- */

static void writers_take(struct agent_config *c, struct texts texts)
{
    static const char *const loopback[] = {"127.0.0.0/8", "::1/128"};
    struct network *networks;

    if (texts.count == 0) {
        texts = (struct texts){.items = loopback, .count = 2};
    }
    networks = arena_zalloc(&c->arena, texts.count, sizeof(*networks));
    for (size_t i = 0; i < texts.count; i++) {
        CHECK(network_parse(texts.items[i], &networks[i]) == ST_OK);
    }
    c->writers = networks;
    c->writers_count = texts.count;
}

/* The names by which this host is known. */
static void hosts_take(struct agent_config *c, struct texts more)
{
    const char **items =
        arena_zalloc(&c->arena, more.count + 5, sizeof(*items));
    size_t count = 0;

    items[count++] = c->node;
    items[count++] = arena_printf(&c->arena, "%s.node.%s", c->node, c->domain);
    items[count++] = arena_printf(&c->arena, "%s.node.%s.%s", c->node,
                                  c->datacenter, c->domain);
    if (*c->alt_domain != '\0') {
        items[count++] =
            arena_printf(&c->arena, "%s.node.%s", c->node, c->alt_domain);
        items[count++] = arena_printf(&c->arena, "%s.node.%s.%s", c->node,
                                      c->datacenter, c->alt_domain);
    }
    for (size_t i = 0; i < more.count; i++) {
        items[count++] = more.items[i];
    }
    c->hosts = (struct texts){.items = items, .count = count};
}

static const char *either(const char *one, const char *other)
{
    return *one != '\0' ? one : other;
}

void config_tls_join(struct config_tls_side *side,
                     const struct config_tls_side *other)
{
    side->ca_file = either(side->ca_file, other->ca_file);
    side->cert_file = either(side->cert_file, other->cert_file);
    side->key_file = either(side->key_file, other->key_file);
    side->verify_incoming = side->verify_incoming || other->verify_incoming;
}

static enum status tls_take(struct agent_config *c, const struct config_tls *t,
                            struct err *err)
{
    c->tls.ca = either(t->https.ca_file, t->defaults.ca_file);
    c->tls.cert = either(t->https.cert_file, t->defaults.cert_file);
    c->tls.key = either(t->https.key_file, t->defaults.key_file);
    c->tls.verify_incoming =
        t->https.verify_incoming || t->defaults.verify_incoming;
    if (c->https.host && (*c->tls.cert == '\0' || *c->tls.key == '\0')) {
        return err_set(err, ST_INVALID,
                       "https: needs tls.defaults.cert_file and key_file");
    }
    if (c->dot.host && (*c->tls.cert == '\0' || *c->tls.key == '\0')) {
        return err_set(err, ST_INVALID,
                       "dot: needs tls.defaults.cert_file and key_file");
    }
    if ((c->https.host || c->dot.host) && c->tls.verify_incoming &&
        *c->tls.ca == '\0') {
        return err_set(err, ST_INVALID,
                       "tls: verify_incoming needs ca_file, which has signed "
                       "the clients' certificates");
    }
    return ST_OK;
}

enum status config_access_take(struct agent_config *c,
                               const struct config_acl *acl,
                               const struct config_http *http,
                               const struct config_tls *tls, struct err *err)
{
    enum status st = acl_take(c, acl, err);

    writers_take(c, http->writers);
    hosts_take(c, http->hosts);
    return st ? st : tls_take(c, tls, err);
}
