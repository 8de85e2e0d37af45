/*
 * /v1/txn: operations on entries, nodes, services and checks, all of them or
 * none.
 */
#include "agent/core/api_txn.h"
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

const json_t *api_txn_member(const json_t *object, const char *name)
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

bool api_txn_refuse(struct api_call *call, size_t at, const char *what)
{
    api_text(call, 400, "Operation %zu: %s", at, what);
    return false;
}

const char *api_txn_text(struct api_call *call, const json_t *object,
                         const char *name)
{
    const json_t *value = api_txn_member(object, name);

    return json_is_string(value)
               ? arena_strdup(call->arena, slice_of(json_string_value(value),
                                                    json_string_length(value)))
               : "";
}

bool api_txn_number(const json_t *object, const char *name, uint64_t *out)
{
    const json_t *value = api_txn_member(object, name);

    *out = json_is_integer(value) ? (uint64_t)json_integer_value(value) : 0;
    return value == NULL || json_is_null(value) ||
           (json_is_integer(value) && json_integer_value(value) >= 0);
}

bool api_txn_fault(struct api_txn *t, size_t at, const char *text)
{
    t->kv.errors[t->kv.errors_count++] =
        (struct kv_error){.op = at, .text = text};
    return true;
}

static bool read_kv(struct api_call *call, size_t at, const json_t *kv,
                    struct api_txn *t)
{
    struct kv_op *op = &t->kv_ops[at];
    const char *verb = api_txn_text(call, kv, "Verb");
    const char *key = api_txn_text(call, kv, "Key");
    const char *value = api_txn_text(call, kv, "Value");

    bool known = find_verb(verb, &op->verb);

    op->key = slice_str(key);
    op->session = api_txn_text(call, kv, "Session");
    if (op->key.len > LIMIT_KV_KEY) {
        return api_txn_refuse(call, at, "the key is too long");
    }
    if (op->key.len == 0 && op->verb != KV_GET_TREE &&
        op->verb != KV_DELETE_TREE) {
        return api_txn_fault(t, at, "Must provide key");
    }
    if (!known) {
        return api_txn_fault(
            t, at,
            arena_printf(call->arena, "unknown KV verb \"%.64s\"", verb));
    }
    if (!api_txn_number(kv, "Flags", &op->flags) ||
        !api_txn_number(kv, "Index", &op->index)) {
        return api_txn_refuse(call, at,
                              "Flags and Index are numbers of 0 or more");
    }
    if (base64_decode(call->arena, slice_str(value), &op->value)) {
        return api_txn_refuse(call, at, "the value is not base64");
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

/* A place in the list of entries' operations for each, so that errors and
 * results name it. */
static bool read_item(struct api_call *call, size_t at, const json_t *item,
                      struct api_txn *t)
{
    const json_t *kv = api_txn_member(item, "KV");
    struct kv_op *op = &t->kv_ops[at];

    if (json_is_object(kv)) {
        size_t faults = t->kv.errors_count;

        return read_kv(call, at, kv, t) &&
               (t->kv.errors_count > faults || may_do(call, op));
    }
    *op = (struct kv_op){.verb = KV_OTHER, .session = ""};
    return api_txn_read_catalog(call, at, item, t);
}

static bool read_list(struct api_call *call, const json_t *list,
                      struct api_txn *t)
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
        if (!read_item(call, i, item, t)) {
            return false;
        }
    }
    t->kv.ops_count = json_array_size(list);
    return true;
}

static bool read_ops(struct api_call *call, struct api_txn *t)
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
    good = read_list(call, json, t);
    json_decref(json);
    return good;
}

/* ---- Replies ------------------------------------------------------ */

static void write_error(struct jsonw *w, size_t at, const char *text)
{
    jsonw_object(w);
    jsonw_key_uint(w, "OpIndex", at);
    jsonw_key_text(w, "What", text);
    jsonw_object_end(w);
}

/* Where nothing is written, it is an answer to a question: how old it is. */
static struct jsonw *begin_reply(struct api_call *call, const struct api_txn *t,
                                 int status)
{
    const struct api_view *v = call->view;
    /* For a fault of the request nothing was asked. */
    bool reads = t->kv.seen != NULL || t->kv.ops_count == 0;

    for (size_t i = 0; i < t->kv.ops_count && reads; i++) {
        reads = t->kv_ops[i].verb == KV_OTHER || reads_only(t->kv_ops[i].verb);
    }
    for (size_t i = 0; i < t->cat.ops_count && reads; i++) {
        reads = t->cat_ops[i].verb == CAT_GET;
    }
    if (reads) {
        api_header(call, "X-Consul-KnownLeader",
                   v->known_leader ? "true" : "false");
        api_header(call, "X-Consul-LastContact",
                   arena_printf(call->arena, "%llu",
                                (unsigned long long)v->last_contact_ms));
    }
    return api_json(call, status);
}

/* In the order of the operations. */
static void reply_errors(struct api_call *call, const struct api_txn *t)
{
    struct jsonw *w = begin_reply(call, t, 409);
    size_t kv = 0;
    size_t cat = 0;

    jsonw_object(w);
    jsonw_key(w, "Results");
    jsonw_null(w);
    jsonw_key(w, "Errors");
    jsonw_list(w);
    for (size_t i = 0; i < t->kv.ops_count; i++) {
        for (; kv < t->kv.errors_count && t->kv.errors[kv].op == i; kv++) {
            write_error(w, i, t->kv.errors[kv].text);
        }
        for (; cat < t->cat.errors_count &&
               t->cat_ops[t->cat.errors[cat].op].at == i;
             cat++) {
            write_error(w, i, t->cat.errors[cat].text);
        }
    }
    jsonw_list_end(w);
    jsonw_object_end(w);
    api_json_end(call);
}

static void reply_results(struct api_call *call, const struct api_txn *t)
{
    struct jsonw *w = begin_reply(call, t, 200);
    size_t kv = 0;
    size_t cat = 0;

    jsonw_object(w);
    jsonw_key(w, "Results");
    jsonw_list(w);
    for (size_t i = 0; i < t->kv.ops_count; i++) {
        for (; kv < t->kv.results_count && t->kv.results[kv].op == i; kv++) {
            jsonw_object(w);
            jsonw_key(w, "KV");
            api_write_kv(call, &t->kv.results[kv].entry,
                         t->kv.results[kv].with_value);
            jsonw_object_end(w);
        }
        for (; cat < t->cat.results_count &&
               t->cat_ops[t->cat.results[cat].op].at == i;
             cat++) {
            api_txn_write_catalog(call, t, &t->cat.results[cat]);
        }
    }
    jsonw_list_end(w);
    jsonw_key(w, "Errors");
    jsonw_null(w);
    jsonw_object_end(w);
    api_json_end(call);
}

/* ---- Steps -------------------------------------------------------- */

/* What is to be written goes out, under the guards of all that was read; the
 * reply is made if there is nothing. */
static void write_changes(struct api_call *call, struct api_txn *t)
{
    struct store_ask *ask = api_ask(call);

    if (cat_txn_changes(&t->cat, ask)) {
        call->outcome->kind = API_REPLY;
        api_text(call, 413, "A record is larger than %lu bytes",
                 LIMIT_RECORD_BYTES);
        return;
    }
    kv_txn_changes(&t->kv, ask);
    if (ask->changes_count > 0) {
        cat_txn_guards(&t->cat, ask);
    } else {
        reply_results(call, t);
    }
}

static void next_step(struct api_call *call, struct api_txn *t)
{
    const struct api_flow *flow = call->request->flow;
    int64_t revision = flow->done ? flow->done->revision : 0;
    struct store_ask *ask;

    if (flow->seen == NULL && flow->done == NULL) {
        ask = api_ask(call);
        cat_txn_reads(&t->cat, ask);
        kv_txn_reads(&t->kv, ask);
        if (ask->reads_count > 0) {
            return;
        }
    }
    cat_txn_play(&t->cat, flow->seen, revision);
    kv_txn_play(&t->kv, flow->seen, revision);
    if (t->kv.errors_count + t->cat.errors_count > 0) {
        reply_errors(call, t);
    } else if (flow->done != NULL) {
        reply_results(call, t);
    } else {
        write_changes(call, t);
    }
}

void api_kv_txn(struct api_call *call)
{
    struct api_txn *t = arena_zalloc(call->arena, 1, sizeof(*t));

    t->kv_ops = arena_zalloc(call->arena, LIMIT_KV_OPS, sizeof(*t->kv_ops));
    t->cat_ops = arena_zalloc(call->arena, LIMIT_KV_OPS, sizeof(*t->cat_ops));
    t->kv.arena = call->arena;
    t->kv.dc = call->dc;
    t->kv.catalog = call->view->catalog;
    t->kv.ops = t->kv_ops;
    t->cat.arena = call->arena;
    t->cat.dc = call->dc;
    t->cat.catalog = call->view->catalog;
    t->cat.force = api_flag(call, "force");
    t->cat.ops = t->cat_ops;
    if (!read_ops(call, t)) {
        return;
    }
    if (t->kv.errors_count > 0) {
        reply_errors(call, t);
        return;
    }
    /* Where things are, the replica says: let it be up to date. */
    if (t->cat.ops_count > 0 && !call->request->confirmed) {
        call->outcome->kind = API_CONFIRM;
        return;
    }
    next_step(call, t);
}
