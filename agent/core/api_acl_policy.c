/*
 * /v1/acl/policy: policies are made, read, changed and deleted.
 */
#include "agent/core/api_acl.h"

#include "base/core/check.h"
#include "base/core/limits.h"

static bool is_name(const char *text)
{
    return *text != '\0' && strlen(text) <= 128 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz"
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789-_") == strlen(text);
}

/* Name and rules can be used. False: the reply is made. */
static bool accept_policy(struct api_call *call, const struct acl_body *body,
                          const struct acl_policy_item *old)
{
    const struct acl_policy_item *same =
        acl_policy_by_name(call->view->acl, body->name);
    struct acl_rules rules;
    struct err err;

    if (!is_name(body->name)) {
        api_text(call, 400,
                 "Invalid Policy: invalid Name; only letters, digits, '-' and "
                 "'_' are allowed, 128 at most");
        return false;
    }
    if (same != NULL && same != old) {
        api_text(call, 400,
                 "Invalid Policy: A Policy with Name \"%s\" already exists",
                 same->name);
        return false;
    }
    if (acl_rules_parse(call->arena, slice_str(body->rules), &rules, &err)) {
        api_text(call, 400, "Invalid Policy: rules: %s", err.text);
        return false;
    }
    return true;
}

static void show_policy(struct api_call *call,
                        const struct acl_policy_record *record,
                        const struct acl_policy_item *old)
{
    struct acl_policy_item item = {
        .id = record->id,
        .name = record->name,
        .description = record->description,
        .text = record->text,
        .create_revision = old == NULL ? 0 : old->create_revision,
        .mod_revision = old == NULL ? 0 : old->mod_revision,
    };

    (void)api_json(call, 200);
    acl_write_policy(call, &item, true);
    api_json_end(call);
}

/* Under a new name it moves: the old key goes with the same transaction. */
static void put_policy(struct api_call *call,
                       const struct acl_policy_record *record,
                       const struct acl_policy_item *old)
{
    struct slice key =
        acl_policy_key(call->view->acl, call->arena, record->name);
    bool moves = old != NULL && !slice_eq(old->key, key);
    struct sync_op *ops;
    struct buf value;

    buf_init(&value, LIMIT_RECORD_BYTES);
    acl_put(call, key, acl_policy_write(record, &value), &value,
            old == NULL || moves ? 0 : old->mod_revision);
    if (moves) {
        ops = arena_zalloc(call->arena, 2, sizeof(*ops));
        ops[0] = (struct sync_op){.kind = SYNC_DELETE,
                                  .key = arena_copy(call->arena, old->key),
                                  .expect_mod_revision = old->mod_revision};
        ops[1] = call->outcome->txn.ops[0];
        call->outcome->txn = (struct sync_txn){.ops = ops, .ops_count = 2};
    }
}

void api_acl_policy_create(struct api_call *call)
{
    struct acl_policy_record record;
    struct acl_body body;

    if (!acl_gate(call, ACL_WRITE) || !acl_read_body(call, &body) ||
        !accept_policy(call, &body, NULL)) {
        return;
    }
    if (acl_policies_count(call->view->acl) >= LIMIT_ACL_POLICIES) {
        api_text(call, 400, "There are %d policies, which is the limit",
                 LIMIT_ACL_POLICIES);
        return;
    }
    record = (struct acl_policy_record){
        .id = acl_uuid(call->arena, call->request->random),
        .name = body.name,
        .description = body.description,
        .text = body.rules,
    };
    show_policy(call, &record, NULL);
    put_policy(call, &record, NULL);
}

/* ---- One policy ------------------------------------------------------ */

static void read_policy(struct api_call *call, const struct acl_policy_item *p)
{
    if (p == NULL) {
        api_text(call, 404, "policy does not exist: ACL not found");
        return;
    }
    (void)api_json(call, 200);
    acl_write_policy(call, p, true);
    api_json_end(call);
}

/* A policy of the store. False: the reply is made. */
static bool find_policy(struct api_call *call,
                        const struct acl_policy_item **out_policy)
{
    const struct acl_policy_item *p =
        acl_policy_by_id(call->view->acl, call->rest);

    if (p == NULL) {
        api_text(call, 404, "policy does not exist: ACL not found");
        return false;
    }
    if (!p->from_store) {
        api_text(call, 400,
                 "Policy \"%s\" is built in or written in the agent's "
                 "configuration",
                 p->name);
        return false;
    }
    *out_policy = p;
    return true;
}

static void update_policy(struct api_call *call)
{
    const struct acl_policy_item *old = NULL;
    struct acl_policy_record record;
    struct acl_body body;

    if (!acl_gate(call, ACL_WRITE) || !acl_read_body(call, &body) ||
        !find_policy(call, &old)) {
        return;
    }
    if (*body.name == '\0') {
        body.name = old->name;
    }
    if (!accept_policy(call, &body, old)) {
        return;
    }
    record = (struct acl_policy_record){
        .id = old->id,
        .name = body.name,
        .description = body.description,
        .text = body.rules,
    };
    show_policy(call, &record, old);
    put_policy(call, &record, old);
}

static void delete_policy(struct api_call *call)
{
    const struct acl_policy_item *p;

    if (acl_gate(call, ACL_WRITE) && find_policy(call, &p)) {
        acl_delete(call, p->key, p->mod_revision);
    }
}

void api_acl_policy_name(struct api_call *call)
{
    if (acl_gate(call, ACL_READ)) {
        read_policy(call, acl_policy_by_name(call->view->acl, call->rest));
    }
}

void api_acl_policy(struct api_call *call)
{
    switch (api_verb(call)) {
    case API_VERB_READ:
        if (acl_gate(call, ACL_READ)) {
            read_policy(call, acl_policy_by_id(call->view->acl, call->rest));
        }
        return;
    case API_VERB_WRITE:
        update_policy(call);
        return;
    case API_VERB_DELETE:
        delete_policy(call);
        return;
    }
    UNREACHABLE();
}
