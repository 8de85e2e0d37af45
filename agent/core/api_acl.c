/*
 * /v1/acl/: what tokens and policies have in common, bootstrap, and reads.
 */
#include "agent/core/api_acl.h"

#include "agent/core/fields.h"
#include "base/core/check.h"
#include "base/core/limits.h"

/* ---- Shared -------------------------------------------------------- */

static bool acl_on(struct api_call *call)
{
    if (acl_enabled(call->view->acl)) {
        return true;
    }
    api_text(call, 401,
             "ACL support disabled; set acl.enabled in the agent's "
             "configuration");
    return false;
}

/* Tokens before Consul 1.4; 1.11 has taken them out, and says so. */
void api_acl_legacy(struct api_call *call)
{
    if (acl_on(call)) {
        api_text(call, 410,
                 "Tokens of the old kind do not exist here; use /v1/acl/token "
                 "and /v1/acl/policy");
    }
}

bool acl_gate(struct api_call *call, enum acl_access wanted)
{
    return acl_on(call) && api_demand(call, ACL_ACL, "", wanted);
}

static const struct field link_items[] = {
    {.key = "id",
     .kind = FIELD_TEXT,
     .max = 256,
     .offset = offsetof(struct acl_link, id)},
    {.key = "name",
     .kind = FIELD_TEXT,
     .max = 128,
     .offset = offsetof(struct acl_link, name)},
};

static const struct fields link_fields = {
    .items = link_items, .count = 2, .size = sizeof(struct acl_link)};

#define BODY(k, member) .key = k, .offset = offsetof(struct acl_body, member)

/* What is understood only to be refused. */
#define ABSENT(k, index)                                            \
    .key = k, .kind = FIELD_LIST, .max = 64,                        \
    .offset = offsetof(struct acl_body, absent[index]),             \
    .count_offset = offsetof(struct acl_body, absent_count[index]), \
    .sub = &nothing_fields

static const struct fields nothing_fields = {.size = 1};

static const struct field body_items[] = {
    {BODY("accessor_id", accessor), .kind = FIELD_TEXT, .max = 64},
    {BODY("secret_id", secret), .kind = FIELD_TEXT, .max = LIMIT_ACL_SECRET},
    {BODY("id", id), .kind = FIELD_TEXT, .max = 256},
    {BODY("name", name), .kind = FIELD_TEXT, .max = 128},
    {BODY("description", description), .kind = FIELD_TEXT, .max = 512},
    {BODY("rules", rules), .kind = FIELD_TEXT, .max = LIMIT_ACL_POLICY_BYTES},
    {BODY("policies", links), .kind = FIELD_LIST, .max = LIMIT_ACL_LINKS,
     .count_offset = offsetof(struct acl_body, links_count),
     .sub = &link_fields},
    {BODY("expiration_ttl", ttl_ms), .kind = FIELD_DURATION},
    {BODY("expiration_time", expires), .kind = FIELD_TEXT},
    {ABSENT("roles", 0)},
    {ABSENT("service_identities", 1)},
    {ABSENT("node_identities", 2)},
    {ABSENT("templated_policies", 3)},
};

static const struct fields body_fields = {
    .items = body_items,
    .count = sizeof(body_items) / sizeof(body_items[0]),
    .size = sizeof(struct acl_body),
};

/* Limits and rights that would be lost without a word are refused. */
static bool asks_for_more(const struct acl_body *b)
{
    bool more = b->ttl_ms > 0 || *b->expires != '\0';

    for (size_t i = 0; i < sizeof(b->absent) / sizeof(b->absent[0]); i++) {
        more = more || b->absent_count[i] > 0;
    }
    return more;
}

bool acl_read_body(struct api_call *call, struct acl_body *out_body)
{
    struct err err;
    struct field_reader r = {.arena = call->arena,
                             .text = call->request->body,
                             .unknown = FIELD_UNKNOWN_IGNORED,
                             .err = &err};

    *out_body = (struct acl_body){0};
    if (call->request->body.len == 0) {
        fields_init(&body_fields, out_body);
        return true;
    }
    if (fields_parse(&r, &body_fields, LIMIT_DEFINITION_BYTES, out_body)) {
        api_text(call, 400, "Request decode failed: %s", err.text);
        return false;
    }
    if (asks_for_more(out_body)) {
        api_text(call, 400,
                 "Roles, identities, templates and expiration are not "
                 "supported; use policies");
        return false;
    }
    return true;
}

const char *acl_uuid(struct arena *a, const uint8_t bytes[16])
{
    const uint8_t *b = bytes;

    /* RFC 9562, 5.4. */
    return arena_printf(a,
                        "%02x%02x%02x%02x-%02x%02x-4%01x%02x-%02x%02x-"
                        "%02x%02x%02x%02x%02x%02x",
                        b[0], b[1], b[2], b[3], b[4], b[5], b[6] & 15, b[7],
                        (b[8] & 0x3f) | 0x80, b[9], b[10], b[11], b[12], b[13],
                        b[14], b[15]);
}

bool acl_is_uuid(const char *text)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

    for (size_t i = 0; i < sizeof(form); i++) {
        bool hex = (text[i] >= '0' && text[i] <= '9') ||
                   (text[i] >= 'a' && text[i] <= 'f');

        if (form[i] == 'x' ? !hex : text[i] != form[i]) {
            return false;
        }
    }
    return true;
}

static void send_op(struct api_call *call, struct sync_op op)
{
    struct sync_op *ops = arena_zalloc(call->arena, 1, sizeof(*ops));

    ops[0] = op;
    call->outcome->kind = API_TXN;
    call->outcome->settle = true;
    call->outcome->txn = (struct sync_txn){.ops = ops, .ops_count = 1};
}

void acl_put(struct api_call *call, struct slice key, enum status st,
             struct buf *value, int64_t mod_revision)
{
    struct slice copy = arena_copy(call->arena, buf_slice(value));

    CHECK(st == ST_OK); /* Limits of its parts keep it small. */
    buf_release(value);
    send_op(call, (struct sync_op){.kind = SYNC_PUT,
                                   .key = key,
                                   .value = copy,
                                   .expect_mod_revision = mod_revision});
}

void acl_delete(struct api_call *call, struct slice key, int64_t mod_revision)
{
    jsonw_bool(api_json(call, 200), true);
    api_json_end(call);
    send_op(call, (struct sync_op){.kind = SYNC_DELETE,
                                   .key = arena_copy(call->arena, key),
                                   .expect_mod_revision = mod_revision});
}

/* ---- As JSON -------------------------------------------------------- */

/* Days to a date: the calendar repeats every 400 years. */
static const char *time_text(struct arena *a, int64_t seconds)
{
    int64_t days = seconds / 86400 + 719468; /* From 1 March of year 0. */
    int64_t rest = seconds % 86400;
    int64_t era = days / 146097;
    int64_t day_of_era = days % 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
                           day_of_era / 146096) /
                          365;
    int64_t day =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day + 2) / 153; /* From March. */
    int64_t month_real = month < 10 ? month + 3 : month - 9;

    return arena_printf(
        a, "%04lld-%02lld-%02lldT%02lld:%02lld:%02lldZ",
        (long long)(year_of_era + era * 400 + (month_real <= 2)),
        (long long)month_real, (long long)(day - (153 * month + 2) / 5 + 1),
        (long long)(rest / 3600), (long long)(rest / 60 % 60),
        (long long)(rest % 60));
}

static void write_links(struct api_call *call, struct texts ids)
{
    struct jsonw *w = &call->json;

    jsonw_list(w);
    for (size_t i = 0; i < ids.count; i++) {
        const struct acl_policy_item *p =
            acl_policy_by_id(call->view->acl, ids.items[i]);

        if (p != NULL) { /* Else it was deleted. */
            jsonw_object(w);
            jsonw_key_text(w, "ID", p->id);
            jsonw_key_text(w, "Name", p->name);
            jsonw_object_end(w);
        }
    }
    jsonw_list_end(w);
}

void acl_write_token(struct api_call *call, const struct acl_token_item *token,
                     const char *secret)
{
    struct jsonw *w = &call->json;

    jsonw_object(w);
    jsonw_key_text(w, "AccessorID", token->accessor);
    /* The store has hashes only. */
    jsonw_key_text(w, "SecretID", secret != NULL ? secret : "<hidden>");
    jsonw_key_text(w, "Description", token->description);
    jsonw_key(w, "Policies");
    write_links(call, token->policies);
    jsonw_key_bool(w, "Local", !token->from_store);
    jsonw_key_text(w, "CreateTime", time_text(call->arena, token->created_s));
    jsonw_key_int(w, "CreateIndex", token->create_revision);
    jsonw_key_int(w, "ModifyIndex", token->mod_revision);
    jsonw_object_end(w);
}

void acl_write_policy(struct api_call *call, const struct acl_policy_item *p,
                      bool with_rules)
{
    struct jsonw *w = &call->json;

    jsonw_object(w);
    jsonw_key_text(w, "ID", p->id);
    jsonw_key_text(w, "Name", p->name);
    jsonw_key_text(w, "Description", p->description);
    if (with_rules) {
        jsonw_key_text(w, "Rules", p->text);
    }
    jsonw_key(w, "Datacenters");
    jsonw_null(w); /* All. */
    jsonw_key_int(w, "CreateIndex", p->create_revision);
    jsonw_key_int(w, "ModifyIndex", p->mod_revision);
    jsonw_object_end(w);
}

/* ---- Reads ---------------------------------------------------------- */

static void list_token(void *ctx, const struct acl_token_item *token)
{
    acl_write_token(ctx, token, NULL);
}

void api_acl_tokens(struct api_call *call)
{
    if (!acl_gate(call, ACL_READ)) {
        return;
    }
    jsonw_list(api_json(call, 200));
    acl_each_token(call->view->acl, list_token, call);
    jsonw_list_end(&call->json);
    api_json_end(call);
}

static void list_policy(void *ctx, const struct acl_policy_item *p)
{
    acl_write_policy(ctx, p, false);
}

void api_acl_policies(struct api_call *call)
{
    if (!acl_gate(call, ACL_READ)) {
        return;
    }
    jsonw_list(api_json(call, 200));
    acl_each_policy(call->view->acl, list_policy, call);
    jsonw_list_end(&call->json);
    api_json_end(call);
}

/* Whoever has a token may see what it is. */
void api_acl_token_self(struct api_call *call)
{
    const struct acl_token_item *token;
    const char *shown = NULL;

    if (!acl_on(call)) {
        return;
    }
    token = acl_token(call->view->acl, call->auth.accessor);
    CHECK(token != NULL);
    if (call->own_token && !call->request->by_socket && call->secret.len > 0) {
        shown = arena_strdup(call->arena, call->secret);
    }
    (void)api_json(call, 200);
    acl_write_token(call, token, shown);
    api_json_end(call);
}

/* ---- The first token ------------------------------------------------ */

void api_acl_bootstrap(struct api_call *call)
{
    static const char *const all[] = {ACL_GLOBAL_ID};
    struct acl *acl = call->view->acl;
    struct slice key;
    struct sync_op *ops;

    if (!acl_on(call)) {
        return;
    }
    key = acl_bootstrap_key(acl, call->arena);
    if (catalog_revision(call->view->catalog) == 0) {
        api_text(call, 500, "No cluster leader");
        return;
    }
    if (acl_bootstrap_revision(acl) != 0 || acl_has_management(acl)) {
        api_text(call, 403,
                 "Permission denied: ACL bootstrap no longer allowed (the "
                 "first token is there already; to make another one, delete "
                 "the store's key %.*s)",
                 (int)key.len, (const char *)key.data);
        return;
    }
    acl_create_token(call,
                     (struct acl_token_record){
                         .description = "Bootstrap Token (Global Management)",
                         .policies = {.items = all, .count = 1}},
                     NULL);
    if (call->outcome->kind != API_TXN) {
        return;
    }
    /* One of several that try at once. */
    ops = arena_zalloc(call->arena, 2, sizeof(*ops));
    ops[0] = call->outcome->txn.ops[0];
    ops[1] = (struct sync_op){.kind = SYNC_PUT,
                              .key = key,
                              .value = slice_str("{}"),
                              .expect_mod_revision = 0};
    call->outcome->txn = (struct sync_txn){.ops = ops, .ops_count = 2};
}
