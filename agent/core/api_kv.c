/*
 * /v1/kv: entries by key or prefix, their changes, and waiting for them.
 */
#include "agent/core/api_kv.h"

#include "agent/core/api_model.h"
#include "base/core/base64.h"
#include "base/core/check.h"

void api_write_kv(struct api_call *call, const struct kv_entry *e,
                  bool with_value)
{
    struct jsonw *w = &call->json;

    jsonw_object(w);
    jsonw_key_uint(w, "LockIndex", e->lock_index);
    jsonw_key(w, "Key");
    jsonw_slice(w, e->key);
    jsonw_key_uint(w, "Flags", e->flags);
    jsonw_key(w, "Value");
    if (with_value && e->value.len > 0) {
        jsonw_slice(w, base64_encode(call->arena, e->value));
    } else {
        jsonw_null(w);
    }
    if (*e->session != '\0') {
        jsonw_key_text(w, "Session", e->session);
    }
    jsonw_key_int(w, "CreateIndex", e->create_index);
    jsonw_key_int(w, "ModifyIndex", e->modify_index);
    jsonw_object_end(w);
}

/* Two of them in one request contradict each other. */
static bool accept_alone(struct api_call *call, const char *const *names)
{
    size_t given = 0;

    for (; *names != NULL; names++) {
        given += api_param(call, *names) != NULL ? 1 : 0;
    }
    if (given > 1) {
        api_text(call, 400, "Conflicting flags: %.*s",
                 (int)call->request->query.len,
                 (const char *)call->request->query.data);
        return false;
    }
    return true;
}

static bool read_number(struct api_call *call, const char *name, uint64_t *out)
{
    const char *text = api_param(call, name);
    uint64_t value = 0;

    *out = 0;
    if (text == NULL) {
        return true;
    }
    if (*text == '\0') {
        api_text(call, 400, "Missing value for %s", name);
        return false;
    }
    for (; *text != '\0'; text++) {
        uint64_t digit = (uint64_t)(*text - '0');

        if (*text < '0' || *text > '9' || value > (UINT64_MAX - digit) / 10) {
            api_text(call, 400, "Invalid value for %s: not a number", name);
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

static bool accept_key(struct api_call *call, bool may_be_empty)
{
    if (*call->rest == '\0' && !may_be_empty) {
        api_text(call, 400, "Missing key name");
        return false;
    }
    if (strlen(call->rest) > LIMIT_KV_KEY) {
        api_text(call, 400, "The key is longer than %d bytes", LIMIT_KV_KEY);
        return false;
    }
    return true;
}

/* ---- Reading ------------------------------------------------------ */

enum kv_form {
    FORM_ENTRY,
    FORM_TREE,
    FORM_KEYS
};

static uint64_t newest_of(const struct store_range *r)
{
    int64_t newest = 0;

    for (size_t i = 0; i < r->count; i++) {
        if (r->items[i].mod_revision > newest) {
            newest = r->items[i].mod_revision;
        }
    }
    return (uint64_t)newest;
}

/* An entry's index is that of its last change. That of a list, and of what is
 * not there, is where the store was when it was looked at, for the store does
 * not say when something was deleted; but a poll that nothing has happened to
 * keeps the index that it came with. */
uint64_t api_poll_index(const struct api_call *call,
                        const struct api_poll *poll, bool exact,
                        const struct store_answer *seen,
                        const struct store_range *r)
{
    uint64_t newest = newest_of(r);
    uint64_t now = (uint64_t)seen->revision;
    bool news =
        newest > poll->index || poll->index > now || call->request->flow->woken;
    bool over = call->view->now.now_ms >= poll->deadline_ms;

    if (poll->index > 0 && !news && !over) {
        return 0;
    }
    if (exact) {
        return newest;
    }
    return poll->index > 0 && !news ? poll->index : now;
}

static bool sees_key(struct api_call *call, struct slice key)
{
    return call->auth.management ||
           api_sees(call, ACL_KEY, arena_strdup(call->arena, key));
}

static void write_entries(struct api_call *call, const struct store_range *r)
{
    struct jsonw *w = api_json(call, 200);
    struct kv_entry e;

    jsonw_list(w);
    for (size_t i = 0; i < r->count; i++) {
        kv_read(call->arena, call->dc, &r->items[i], &e);
        if (sees_key(call, e.key)) {
            api_write_kv(call, &e, true);
        }
    }
    jsonw_list_end(w);
    api_json_end(call);
}

/* Keys; those that go on behind a separator once, up to it. */
static void write_keys(struct api_call *call, const struct store_range *r)
{
    struct jsonw *w = api_json(call, 200);
    struct slice separator = slice_str(api_param(call, "separator"));
    size_t prefix_len = strlen(call->rest);
    struct slice last = {0};

    jsonw_list(w);
    for (size_t i = 0; i < r->count; i++) {
        struct slice key = kv_user_key(call->dc, r->items[i].key);
        const uint8_t *cut =
            separator.len == 0
                ? NULL
                : memmem(key.data + prefix_len, key.len - prefix_len,
                         separator.data, separator.len);

        if (!sees_key(call, key)) {
            continue;
        }
        if (cut != NULL) {
            key.len = (size_t)(cut - key.data) + separator.len;
            if (slice_eq(key, last)) {
                continue;
            }
            last = key;
        }
        jsonw_slice(w, key);
    }
    jsonw_list_end(w);
    api_json_end(call);
}

static void write_raw(struct api_call *call, const struct store_kv *kv)
{
    struct kv_entry e;

    kv_read(call->arena, call->dc, kv, &e);
    call->outcome->kind = API_REPLY;
    call->outcome->status = 200;
    /* Somebody's bytes: a browser is to take them for nothing else. */
    api_header(call, "Content-Type", "text/plain");
    api_header(call, "X-Content-Type-Options", "nosniff");
    api_header(call, "Content-Security-Policy", "sandbox");
    CHECK(buf_add(&call->outcome->body, e.value) == ST_OK);
}

static void reply_read(struct api_call *call, enum kv_form form,
                       const struct store_range *r, uint64_t index)
{
    api_poll_headers(call, index);
    if (r->count == 0 && (form != FORM_KEYS || *call->rest != '\0')) {
        api_text(call, 404, "%s", "");
    } else if (form == FORM_KEYS) {
        write_keys(call, r);
    } else if (form == FORM_ENTRY && api_param(call, "raw") != NULL) {
        write_raw(call, &r->items[0]);
    } else {
        write_entries(call, r);
    }
}

static void kv_get(struct api_call *call)
{
    enum kv_form form = FORM_ENTRY;
    const struct store_answer *seen = call->request->flow->seen;
    struct api_poll poll;
    struct slice key;
    struct slice end = {0};
    uint64_t index;

    if (api_param(call, "keys") != NULL) {
        form = FORM_KEYS;
    } else if (api_param(call, "recurse") != NULL) {
        form = FORM_TREE;
    }
    if (!accept_key(call, form != FORM_ENTRY) || !api_poll_read(call, &poll) ||
        (form == FORM_ENTRY &&
         !api_demand(call, ACL_KEY, call->rest, ACL_READ))) {
        return;
    }
    key = kv_key(call->arena, call->dc, slice_str(call->rest));
    if (form != FORM_ENTRY) {
        end = store_prefix_end(call->arena, key);
    }
    if (seen == NULL) {
        struct store_ask *ask = api_ask(call);
        bool stale = ask->stale;

        store_list(ask, call->arena, key, end, form == FORM_KEYS);
        ask->stale = stale;
        return;
    }
    index = api_poll_index(call, &poll,
                           form == FORM_ENTRY && seen->ranges[0].count > 0,
                           seen, &seen->ranges[0]);
    if (index == 0) {
        api_wait_for(call, &poll, key, end);
    } else {
        reply_read(call, form, &seen->ranges[0], index);
    }
}

/* ---- Writing ------------------------------------------------------ */

static void reply_bool(struct api_call *call, bool value)
{
    jsonw_bool(api_json(call, 200), value);
    api_json_end(call);
}

/* One operation: true, or false if it did not fit. */
static void kv_change(struct api_call *call, const struct kv_op *op)
{
    const struct api_flow *flow = call->request->flow;
    struct kv_txn *t = arena_zalloc(call->arena, 1, sizeof(*t));
    struct store_ask *ask;

    t->arena = call->arena;
    t->dc = call->dc;
    t->catalog = call->view->catalog;
    t->ops = op;
    t->ops_count = 1;
    if (flow->done != NULL) {
        reply_bool(call, true);
        return;
    }
    if (flow->seen == NULL && op->verb != KV_DELETE_TREE) {
        kv_txn_reads(t, api_ask(call));
        return;
    }
    kv_txn_play(t, flow->seen, 0);
    if (t->wrong_session) {
        api_text(call, 500, "%s", t->errors[0].text);
        return;
    }
    if (t->errors_count > 0) {
        reply_bool(call, false);
        return;
    }
    ask = api_ask(call);
    kv_txn_changes(t, ask);
    if (ask->changes_count == 0) {
        reply_bool(call, true);
    }
}

static void kv_put(struct api_call *call)
{
    static const char *const alone[] = {"cas", "acquire", "release", NULL};
    struct kv_op op = {.verb = KV_SET,
                       .key = slice_str(call->rest),
                       .value = call->request->body,
                       .session = ""};

    if (!accept_key(call, false) || !accept_alone(call, alone) ||
        !read_number(call, "flags", &op.flags) ||
        !read_number(call, "cas", &op.index) ||
        !api_demand(call, ACL_KEY, call->rest, ACL_WRITE)) {
        return;
    }
    if (op.value.len > LIMIT_KV_VALUE) {
        api_text(call, 413,
                 "Request body(%zu bytes) too large, max size: %lu bytes",
                 op.value.len, LIMIT_KV_VALUE);
        return;
    }
    if (api_param(call, "cas") != NULL) {
        op.verb = KV_CAS;
    } else if (api_param(call, "acquire") != NULL) {
        op.verb = KV_LOCK;
        op.session = api_param(call, "acquire");
    } else if (api_param(call, "release") != NULL) {
        op.verb = KV_UNLOCK;
        op.session = api_param(call, "release");
    }
    kv_change(call, &op);
}

static void kv_delete(struct api_call *call)
{
    static const char *const alone[] = {"recurse", "cas", NULL};
    struct kv_op op = {
        .verb = KV_DELETE, .key = slice_str(call->rest), .session = ""};
    bool recurse = api_param(call, "recurse") != NULL;

    if (!accept_key(call, recurse) || !accept_alone(call, alone) ||
        !read_number(call, "cas", &op.index) ||
        !api_demand(call, ACL_KEY, call->rest, ACL_WRITE)) {
        return;
    }
    if (recurse &&
        !acl_may_below(&call->auth, ACL_KEY, call->rest, ACL_WRITE)) {
        api_text(call, 403,
                 "Permission denied: not every key below \"%.512s\" may be "
                 "written",
                 call->rest);
        return;
    }
    if (recurse) {
        op.verb = KV_DELETE_TREE;
    } else if (api_param(call, "cas") != NULL) {
        op.verb = KV_DELETE_CAS;
    }
    kv_change(call, &op);
}

void api_kv(struct api_call *call)
{
    struct slice method = call->request->method;

    if (slice_eq(method, slice_str("DELETE"))) {
        kv_delete(call);
    } else if (slice_eq(method, slice_str("GET")) ||
               slice_eq(method, slice_str("HEAD"))) {
        kv_get(call);
    } else {
        kv_put(call);
    }
}
