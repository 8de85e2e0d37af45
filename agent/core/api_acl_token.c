/*
 * /v1/acl/token: tokens are made, changed and deleted.
 */
#include "agent/core/api_acl.h"

#include "base/core/check.h"
#include "base/core/limits.h"

/* ---- Of all writes -------------------------------------------------- */

/* Ids of the policies that the body names. False: the reply is made. */
static bool resolve_links(struct api_call *call, const struct acl_body *body,
                          struct texts *out_ids)
{
    const char **ids =
        arena_zalloc(call->arena, body->links_count, sizeof(*ids));

    for (size_t i = 0; i < body->links_count; i++) {
        const struct acl_link *link = &body->links[i];
        const struct acl_policy_item *p =
            *link->id != '\0' ? acl_policy_by_id(call->view->acl, link->id)
                              : acl_policy_by_name(call->view->acl, link->name);

        if (p == NULL) {
            api_text(call, 400, "No such ACL policy: \"%.128s\"",
                     *link->id != '\0' ? link->id : link->name);
            return false;
        }
        ids[i] = p->id;
    }
    *out_ids = (struct texts){.items = ids, .count = body->links_count};
    return true;
}

static void put_token(struct api_call *call,
                      const struct acl_token_record *record,
                      int64_t mod_revision)
{
    struct buf value;

    buf_init(&value, LIMIT_RECORD_BYTES);
    acl_put(call, acl_token_key(call->view->acl, call->arena, record->accessor),
            acl_token_write(record, &value), &value, mod_revision);
}

static void show_token(struct api_call *call,
                       const struct acl_token_record *record,
                       const struct acl_token_item *old, const char *secret)
{
    struct acl_token_item item = {
        .accessor = record->accessor,
        .description = record->description,
        .policies = record->policies,
        .created_s = record->created_s,
        .from_store = true,
        .create_revision = old == NULL ? 0 : old->create_revision,
        .mod_revision = old == NULL ? 0 : old->mod_revision,
    };

    (void)api_json(call, 200);
    acl_write_token(call, &item, secret);
    api_json_end(call);
}

/* A token of the store. False: the reply is made. */
static bool find_token(struct api_call *call, const char *accessor,
                       const struct acl_token_item **out_token)
{
    const struct acl_token_item *token = acl_token(call->view->acl, accessor);

    if (token == NULL) {
        api_text(call, 404, "token does not exist: ACL not found");
        return false;
    }
    if (!token->from_store && strcmp(accessor, ACL_ANONYMOUS) != 0) {
        api_text(call, 400,
                 "Token %.64s is written in the agent's configuration",
                 accessor);
        return false;
    }
    *out_token = token;
    return true;
}

/* ---- Making --------------------------------------------------------- */

void acl_create_token(struct api_call *call, struct acl_token_record record,
                      const char *secret)
{
    const uint8_t *random = call->request->random;
    struct acl *acl = call->view->acl;
    uint8_t hash[ACL_HASH_BYTES];

    _Static_assert(API_RANDOM_BYTES >= 32, "accessor and secret");
    if (acl_tokens_count(acl) >= LIMIT_ACL_TOKENS) {
        api_text(call, 400, "There are %d tokens, which is the limit",
                 LIMIT_ACL_TOKENS);
        return;
    }
    if (record.accessor == NULL) {
        record.accessor = acl_uuid(call->arena, random);
    }
    if (secret == NULL) {
        secret = acl_uuid(call->arena, random + 16);
    }
    acl_hash(slice_str(secret), hash);
    record.hash = acl_hash_text(call->arena, hash);
    record.created_s = call->view->now.wall_ms / 1000;
    show_token(call, &record, NULL, secret);
    put_token(call, &record, 0);
}

/* An id of the client's own choice. False: the reply is made. */
static bool accept_ids(struct api_call *call, const struct acl_body *body)
{
    struct acl *acl = call->view->acl;

    if (*body->accessor != '\0' && !acl_is_uuid(body->accessor)) {
        api_text(call, 400,
                 "Invalid Token: AccessorID is not a UUID in lower "
                 "case");
        return false;
    }
    if (*body->secret != '\0' && !acl_is_uuid(body->secret)) {
        api_text(call, 400,
                 "Invalid Token: SecretID is not a UUID in lower "
                 "case");
        return false;
    }
    if (acl_token(acl, body->accessor) != NULL) {
        api_text(call, 400, "Invalid Token: AccessorID is already in use");
        return false;
    }
    if (*body->secret != '\0' &&
        acl_token_of_secret(acl, slice_str(body->secret)) != NULL) {
        api_text(call, 400, "Invalid Token: SecretID is already in use");
        return false;
    }
    return true;
}

void api_acl_token_create(struct api_call *call)
{
    struct acl_token_record record = {0};
    struct acl_body body;

    if (!acl_gate(call, ACL_WRITE) || !acl_read_body(call, &body) ||
        !accept_ids(call, &body) ||
        !resolve_links(call, &body, &record.policies)) {
        return;
    }
    record.description = body.description;
    record.accessor = *body.accessor != '\0' ? body.accessor : NULL;
    acl_create_token(call, record, *body.secret != '\0' ? body.secret : NULL);
}

static void clone_token(struct api_call *call, const char *accessor)
{
    const struct acl_token_item *token = acl_token(call->view->acl, accessor);
    struct acl_body body;

    if (!acl_gate(call, ACL_WRITE) || !acl_read_body(call, &body)) {
        return;
    }
    if (token == NULL) {
        api_text(call, 404, "token does not exist: ACL not found");
        return;
    }
    acl_create_token(
        call,
        (struct acl_token_record){.description = *body.description != '\0'
                                                     ? body.description
                                                     : token->description,
                                  .policies = token->policies},
        NULL);
}

/* ---- One token ------------------------------------------------------ */

static void read_token(struct api_call *call)
{
    const struct acl_token_item *token;

    if (!acl_gate(call, ACL_READ)) {
        return;
    }
    token = acl_token(call->view->acl, call->rest);
    if (token == NULL) {
        api_text(call, 404, "token does not exist: ACL not found");
        return;
    }
    (void)api_json(call, 200);
    acl_write_token(call, token, NULL);
    api_json_end(call);
}

static void update_token(struct api_call *call)
{
    const struct acl_token_item *old = NULL;
    struct acl_token_record record = {0};
    uint8_t hash[ACL_HASH_BYTES];
    struct acl_body body;

    if (!acl_gate(call, ACL_WRITE) || !acl_read_body(call, &body) ||
        !find_token(call, call->rest, &old) ||
        !resolve_links(call, &body, &record.policies)) {
        return;
    }
    acl_hash(slice_str(body.secret), hash);
    if ((*body.accessor != '\0' && strcmp(body.accessor, old->accessor) != 0) ||
        (*body.secret != '\0' && strcmp(body.secret, "<hidden>") != 0 &&
         memcmp(hash, old->hash, ACL_HASH_BYTES) != 0)) {
        api_text(call, 400,
                 "Invalid Token: AccessorID and SecretID cannot be "
                 "changed");
        return;
    }
    record.accessor = old->accessor;
    record.description = body.description;
    record.hash = acl_hash_text(call->arena, old->hash);
    record.created_s = old->created_s;
    show_token(call, &record, old, NULL);
    put_token(call, &record, old->mod_revision);
}

static void delete_token(struct api_call *call)
{
    const struct acl_token_item *token;

    if (!acl_gate(call, ACL_WRITE) || !find_token(call, call->rest, &token)) {
        return;
    }
    if (strcmp(token->accessor, ACL_ANONYMOUS) == 0) {
        api_text(call, 400,
                 "Delete operation not permitted on the anonymous token");
        return;
    }
    if (strcmp(token->accessor, call->auth.accessor) == 0) {
        api_text(call, 400,
                 "Deletion of the request's authorization token is not "
                 "permitted");
        return;
    }
    acl_delete(call, token->key, token->mod_revision);
}

/* "ID/clone" */
static bool is_clone(struct api_call *call, const char **out_accessor)
{
    static const char end[] = "/clone";
    size_t len = strlen(call->rest);

    if (len < sizeof(end) ||
        strcmp(call->rest + len - (sizeof(end) - 1), end)) {
        return false;
    }
    *out_accessor = arena_strdup(call->arena,
                                 slice_of(call->rest, len - (sizeof(end) - 1)));
    return true;
}

void api_acl_token(struct api_call *call)
{
    const char *accessor;

    switch (api_verb(call)) {
    case API_VERB_READ:
        read_token(call);
        return;
    case API_VERB_WRITE:
        if (is_clone(call, &accessor)) {
            clone_token(call, accessor);
        } else {
            update_token(call);
        }
        return;
    case API_VERB_DELETE:
        delete_token(call);
        return;
    }
    UNREACHABLE();
}
