/*
 * /v1/txn: operations on entries, all of them or none.
 */
#include "agent/core/api_kv.h"
#include "agent/core/fields.h"
#include "base/core/base64.h"
#include "base/core/check.h"

static const struct {
    const char *name;
    enum kv_verb verb;
} verbs[] = {
    {"set", KV_SET},
    {"cas", KV_CAS},
    {"lock", KV_LOCK},
    {"unlock", KV_UNLOCK},
    {"get", KV_GET},
    {"get-or-empty", KV_GET_OR_EMPTY},
    {"get-tree", KV_GET_TREE},
    {"check-index", KV_CHECK_INDEX},
    {"check-session", KV_CHECK_SESSION},
    {"check-not-exists", KV_CHECK_NOT_EXISTS},
    {"delete", KV_DELETE},
    {"delete-tree", KV_DELETE_TREE},
    {"delete-cas", KV_DELETE_CAS},
};

static bool find_verb(const char *name, enum kv_verb *out)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            *out = verbs[i].verb;
            return true;
        }
    }
    return false;
}

static bool reads_only(enum kv_verb verb)
{
    return verb == KV_GET || verb == KV_GET_OR_EMPTY || verb == KV_GET_TREE ||
           verb == KV_CHECK_INDEX || verb == KV_CHECK_SESSION ||
           verb == KV_CHECK_NOT_EXISTS;
}

/* ---- Reading ------------------------------------------------------ */

/* A member by Consul's rule for names. */
static const json_t *member(const json_t *object, const char *name)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value)
    {
        if (field_key_equal(key, name)) {
            return value;
        }
    }
    return NULL;
}

static bool refuse(struct api_call *call, size_t at, const char *what)
{
    api_text(call, 400, "Operation %zu: %s", at, what);
    return false;
}

static const char *text_of(struct api_call *call, const json_t *object,
                           const char *name)
{
    const json_t *value = member(object, name);

    return json_is_string(value)
               ? arena_strdup(call->arena, slice_of(json_string_value(value),
                                                    json_string_length(value)))
               : "";
}

static bool number_of(const json_t *object, const char *name, uint64_t *out)
{
    const json_t *value = member(object, name);

    *out = json_is_integer(value) ? (uint64_t)json_integer_value(value) : 0;
    return value == NULL || json_is_null(value) ||
           (json_is_integer(value) && json_integer_value(value) >= 0);
}

static bool read_kv(struct api_call *call, size_t at, const json_t *kv,
                    struct kv_op *op)
{
    const char *verb = text_of(call, kv, "Verb");
    const char *key = text_of(call, kv, "Key");
    const char *value = text_of(call, kv, "Value");

    if (!find_verb(verb, &op->verb)) {
        api_text(call, 400, "Operation %zu: unknown KV verb \"%.64s\"", at,
                 verb);
        return false;
    }
    op->key = slice_str(key);
    op->session = text_of(call, kv, "Session");
    if (op->key.len > LIMIT_KV_KEY) {
        return refuse(call, at, "the key is too long");
    }
    if (op->key.len == 0 && op->verb != KV_GET_TREE &&
        op->verb != KV_DELETE_TREE) {
        return refuse(call, at, "missing key name");
    }
    if (!number_of(kv, "Flags", &op->flags) ||
        !number_of(kv, "Index", &op->index)) {
        return refuse(call, at, "Flags and Index are numbers of 0 or more");
    }
    if (base64_decode(call->arena, slice_str(value), &op->value)) {
        return refuse(call, at, "the value is not base64");
    }
    if (op->value.len > LIMIT_KV_VALUE) {
        api_text(call, 413,
                 "Value for key \"%.256s\" is too large (%zu > %lu bytes)", key,
                 op->value.len, LIMIT_KV_VALUE);
        return false;
    }
    return true;
}

static bool may_do(struct api_call *call, const struct kv_op *op)
{
    const char *key = arena_strdup(call->arena, op->key);
    bool tree = op->verb == KV_DELETE_TREE || op->verb == KV_GET_TREE;
    enum acl_access wanted = reads_only(op->verb) ? ACL_READ : ACL_WRITE;

    if (!api_demand(call, ACL_KEY, key, wanted)) {
        return false;
    }
    if (tree && !acl_may_below(&call->auth, ACL_KEY, key, wanted)) {
        api_text(call, 403,
                 "Permission denied: not for every key below "
                 "\"%.512s\"",
                 key);
        return false;
    }
    return true;
}

static bool read_list(struct api_call *call, const json_t *list,
                      struct kv_op *ops, size_t *out_count)
{
    size_t i;
    json_t *item;

    if (!json_is_array(list)) {
        api_text(call, 400, "Request decode failed: a list is expected");
        return false;
    }
    if (json_array_size(list) > LIMIT_KV_OPS) {
        api_text(call, 413,
                 "Transaction contains too many operations (%zu > %d)",
                 json_array_size(list), LIMIT_KV_OPS);
        return false;
    }
    json_array_foreach((json_t *)list, i, item)
    {
        const json_t *kv = member(item, "KV");

        if (!json_is_object(kv)) {
            return refuse(call, i,
                          "only KV operations are served; for nodes, services "
                          "and checks use /v1/catalog/register");
        }
        if (!read_kv(call, i, kv, &ops[i]) || !may_do(call, &ops[i])) {
            return false;
        }
    }
    *out_count = json_array_size(list);
    return true;
}

static bool read_ops(struct api_call *call, struct kv_op *ops,
                     size_t *out_count)
{
    struct err err;
    struct field_reader r = {
        .arena = call->arena, .text = call->request->body, .err = &err};
    json_t *json;
    bool good;

    if (fields_json(&r, LIMIT_HTTP_BODY, &json)) {
        api_text(call, 400, "Request decode failed: %s", err.text);
        return false;
    }
    good = read_list(call, json, ops, out_count);
    json_decref(json);
    return good;
}

/* ---- Replies ------------------------------------------------------ */

static void reply_errors(struct api_call *call, const struct kv_txn *t)
{
    struct jsonw *w = api_json(call, 409);

    jsonw_object(w);
    jsonw_key(w, "Results");
    jsonw_null(w);
    jsonw_key(w, "Errors");
    jsonw_list(w);
    for (size_t i = 0; i < t->errors_count; i++) {
        jsonw_object(w);
        jsonw_key_uint(w, "OpIndex", t->errors[i].op);
        jsonw_key_text(w, "What", t->errors[i].text);
        jsonw_object_end(w);
    }
    jsonw_list_end(w);
    jsonw_object_end(w);
    api_json_end(call);
}

static void reply_results(struct api_call *call, const struct kv_txn *t)
{
    struct jsonw *w = api_json(call, 200);

    jsonw_object(w);
    jsonw_key(w, "Results");
    jsonw_list(w);
    for (size_t i = 0; i < t->results_count; i++) {
        jsonw_object(w);
        jsonw_key(w, "KV");
        api_write_kv(call, &t->results[i].entry, t->results[i].with_value);
        jsonw_object_end(w);
    }
    jsonw_list_end(w);
    jsonw_key(w, "Errors");
    jsonw_null(w);
    jsonw_object_end(w);
    api_json_end(call);
}

/* ---- Steps -------------------------------------------------------- */

static void next_step(struct api_call *call, struct kv_txn *t)
{
    const struct api_flow *flow = call->request->flow;
    struct store_ask *ask;

    if (flow->seen == NULL && flow->done == NULL) {
        ask = api_ask(call);
        kv_txn_reads(t, ask);
        if (ask->reads_count > 0) {
            return;
        }
    }
    kv_txn_play(t, flow->seen, flow->done ? flow->done->revision : 0);
    if (t->errors_count > 0) {
        reply_errors(call, t);
        return;
    }
    if (flow->done != NULL) {
        reply_results(call, t);
        return;
    }
    ask = api_ask(call);
    kv_txn_changes(t, ask);
    if (ask->changes_count == 0) {
        reply_results(call, t);
    }
}

void api_kv_txn(struct api_call *call)
{
    struct kv_op *ops = arena_zalloc(call->arena, LIMIT_KV_OPS, sizeof(*ops));
    struct kv_txn *t = arena_zalloc(call->arena, 1, sizeof(*t));

    t->arena = call->arena;
    t->dc = call->dc;
    t->catalog = call->view->catalog;
    t->ops = ops;
    if (read_ops(call, ops, &t->ops_count)) {
        next_step(call, t);
    }
}
