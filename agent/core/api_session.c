/*
 * /v1/session: made, renewed, listed, destroyed.
 */
#include <stdio.h>
#include <strings.h>

#include "agent/core/api_kv.h"
#include "agent/core/duration.h"
#include "agent/core/fields.h"
#include "agent/core/session_end.h"
#include "base/core/check.h"

enum {
    TTL_MS_MIN = 10000,
    TTL_MS_MAX = 86400000,
    DELAY_MS_DEFAULT = 15000,
};

static const struct slice none;

/* ---- JSON --------------------------------------------------------- */

/* Durations are nanoseconds where Consul has numbers. */
static void write_session(struct api_call *call, const struct session *s)
{
    struct jsonw *w = &call->json;
    char ttl[DURATION_TEXT];

    jsonw_object(w);
    jsonw_key_text(w, "ID", s->id);
    jsonw_key_text(w, "Name", s->name);
    jsonw_key_text(w, "Node", s->node);
    for (int i = 0; i < 2; i++) {
        /* Both names of the list: before Consul 1.7, and since. */
        jsonw_key(w, i == 0 ? "Checks" : "NodeChecks");
        jsonw_list(w);
        if (s->serf) {
            jsonw_text(w, CHECK_ID_SERF);
        }
        for (size_t k = 0; k < s->node_checks.count; k++) {
            jsonw_text(w, s->node_checks.items[k]);
        }
        jsonw_list_end(w);
    }
    jsonw_key(w, "ServiceChecks");
    jsonw_list(w);
    for (size_t k = 0; k < s->service_checks.count; k++) {
        jsonw_object(w);
        jsonw_key_text(w, "ID", s->service_checks.items[k]);
        jsonw_object_end(w);
    }
    jsonw_list_end(w);
    jsonw_key_uint(w, "LockDelay", s->lock_delay_ms * 1000000);
    jsonw_key_text(w, "Behavior",
                   s->behavior == SESSION_DELETE ? "delete" : "release");
    jsonw_key_text(w, "TTL",
                   s->ttl_ms == 0 ? "" : duration_format(s->ttl_ms, ttl));
    jsonw_key_int(w, "CreateIndex", s->create_index);
    jsonw_key_int(w, "ModifyIndex", s->modify_index);
    jsonw_object_end(w);
}

static void reply_true(struct api_call *call)
{
    jsonw_bool(api_json(call, 200), true);
    api_json_end(call);
}

/* ---- Create ------------------------------------------------------- */

struct check_ref {
    const char *id;
};

struct wish {
    const char *name;
    const char *node;
    struct texts node_checks;
    const struct check_ref *service_checks;
    size_t service_checks_count;
    uint64_t lock_delay_ms;
    const char *behavior;
    const char *ttl;
};

static const char *const serf_only[] = {CHECK_ID_SERF};

static void wish_init(void *object)
{
    struct wish *w = object;

    w->node_checks = (struct texts){.items = serf_only, .count = 1};
    w->lock_delay_ms = DELAY_MS_DEFAULT;
}

static const struct field check_ref_items[] = {
    {.key = "id",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct check_ref, id),
     .max = 512},
};

static const struct fields check_ref_fields = {
    .items = check_ref_items, .count = 1, .size = sizeof(struct check_ref)};

#define AT(member) offsetof(struct wish, member)

static const struct field wish_items[] = {
    {.key = "name", .kind = FIELD_TEXT, .offset = AT(name), .max = 512},
    {.key = "node", .kind = FIELD_TEXT, .offset = AT(node), .max = 255},
    {.key = "node_checks",
     .kind = FIELD_TEXTS,
     .offset = AT(node_checks),
     .max = LIMIT_SESSION_CHECKS},
    {.key = "checks",
     .alias = true,
     .kind = FIELD_TEXTS,
     .offset = AT(node_checks),
     .max = LIMIT_SESSION_CHECKS},
    {.key = "service_checks",
     .kind = FIELD_LIST,
     .offset = AT(service_checks),
     .count_offset = AT(service_checks_count),
     .max = LIMIT_SESSION_CHECKS,
     .sub = &check_ref_fields},
    {.key = "lock_delay",
     .kind = FIELD_DURATION,
     .max = 1000, /* As Consul: nobody means nanoseconds then. */
     .offset = AT(lock_delay_ms)},
    {.key = "behavior", .kind = FIELD_TEXT, .offset = AT(behavior), .max = 32},
    {.key = "ttl", .kind = FIELD_TEXT, .offset = AT(ttl), .max = 64},
};

static const struct fields wish_fields = {
    .items = wish_items,
    .count = sizeof(wish_items) / sizeof(wish_items[0]),
    .size = sizeof(struct wish),
    .init = wish_init,
};

static bool read_wish(struct api_call *call, struct wish *out)
{
    struct err err;
    struct field_reader r = {.arena = call->arena,
                             .text = call->request->body,
                             .unknown = FIELD_UNKNOWN_IGNORED,
                             .err = &err};

    if (call->request->body.len == 0) {
        r.text = slice_str("{}");
    }
    if (fields_parse(&r, &wish_fields, LIMIT_DEFINITION_BYTES, out)) {
        api_text(call, 400, "Request decode failed: %s", err.text);
        return false;
    }
    return true;
}

static bool read_behavior(struct api_call *call, const char *text,
                          struct session *s)
{
    if (*text == '\0' || strcmp(text, "release") == 0) {
        s->behavior = SESSION_RELEASE;
    } else if (strcmp(text, "delete") == 0) {
        s->behavior = SESSION_DELETE;
    } else {
        api_text(call, 400, "Invalid Behavior setting '%.32s'", text);
        return false;
    }
    return true;
}

static bool read_ttl(struct api_call *call, const char *text, struct session *s)
{
    if (*text == '\0') {
        return true;
    }
    if (duration_parse(slice_str(text), &s->ttl_ms)) {
        api_text(call, 400, "Request TTL decode failed: '%.64s'", text);
        return false;
    }
    if (s->ttl_ms == 0) {
        return true;
    }
    if (s->ttl_ms < TTL_MS_MIN || s->ttl_ms > TTL_MS_MAX) {
        api_text(call, 400,
                 "Invalid Session TTL '%.64s', must be between [10s=24h0m0s]",
                 text);
        return false;
    }
    return true;
}

/* ---- Its checks --------------------------------------------------- */

struct find_status {
    const char *id;
    bool found;
    enum check_status status;
};

static bool match_node_check(void *ctx, const struct catalog_node_check *k)
{
    struct find_status *f = ctx;

    if (strcmp(k->record.check.id, f->id) == 0) {
        f->found = true;
        f->status = k->record.check.status;
    }
    return !f->found;
}

static bool match_instance(void *ctx, const struct catalog_instance *i)
{
    struct find_status *f = ctx;

    for (size_t k = 0; k < i->record.checks_count && !f->found; k++) {
        if (strcmp(i->record.checks[k].id, f->id) == 0) {
            f->found = true;
            f->status = i->record.checks[k].status;
        }
    }
    return !f->found;
}

/* Sorted into the session's lists; Consul has both kinds in one, too. */
static bool accept_check(struct api_call *call, const struct session *s,
                         const char *id, bool *out_of_service)
{
    struct find_status f = {.id = id};

    catalog_each_node_check(call->view->catalog, s->node, match_node_check, &f);
    *out_of_service = !f.found;
    if (!f.found) {
        catalog_each_node_instance(call->view->catalog, s->node, match_instance,
                                   &f);
    }
    if (!f.found) {
        api_text(call, 400, "Missing check '%.200s' registration", id);
        return false;
    }
    if (f.status == CHECK_CRITICAL) {
        api_text(call, 400, "Check '%.200s' is in critical state", id);
        return false;
    }
    return true;
}

static bool read_checks(struct api_call *call, const struct wish *w,
                        struct session *s)
{
    size_t max = w->node_checks.count + w->service_checks_count;
    const char **of_node = arena_zalloc(call->arena, max, sizeof(*of_node));
    const char **of_service =
        arena_zalloc(call->arena, max, sizeof(*of_service));
    bool out_of_service;

    s->node_checks.items = of_node;
    s->service_checks.items = of_service;
    for (size_t i = 0; i < max; i++) {
        const char *id = i < w->node_checks.count
                             ? w->node_checks.items[i]
                             : w->service_checks[i - w->node_checks.count].id;

        if (strcmp(id, CHECK_ID_SERF) == 0) {
            s->serf = true;
            continue;
        }
        if (!accept_check(call, s, id, &out_of_service)) {
            return false;
        }
        if (out_of_service) {
            of_service[s->service_checks.count++] = id;
        } else {
            of_node[s->node_checks.count++] = id;
        }
    }
    return true;
}

static bool read_node(struct api_call *call, const struct wish *w,
                      struct session *s)
{
    const struct catalog_node *n;

    s->node =
        *w->node == '\0' ? local_host(call->view->local)->node.name : w->node;
    if (catalog_revision(call->view->catalog) == 0) {
        api_text(call, 500, "No cluster leader");
        return false;
    }
    n = catalog_node(call->view->catalog, s->node);
    if (n == NULL || (!n->known && !n->live)) {
        api_text(call, 400, "Missing node registration: \"%.255s\"", s->node);
        return false;
    }
    s->live_create = n->live_create_revision;
    if (!read_checks(call, w, s)) {
        return false;
    }
    if (s->serf && !n->live && !n->record.external) {
        api_text(call, 400, "Check '" CHECK_ID_SERF "' is in critical state");
        return false;
    }
    return true;
}

/* ---- Its steps ---------------------------------------------------- */

enum create_step {
    CREATE_BEGINS,
    CREATE_GRANTED,
    CREATE_WRITTEN
};

/* A version 4 UUID (RFC 9562, 5.4). */
void api_make_uuid(struct api_call *call)
{
    struct api_flow *flow = call->request->flow;
    const uint8_t *r = call->request->random;
    char *to = flow->id;

    for (size_t i = 0; i < 16; i++) {
        unsigned byte = r[i];

        byte = i == 6 ? (byte & 0x0f) | 0x40 : byte;
        byte = i == 8 ? (byte & 0x3f) | 0x80 : byte;
        to += snprintf(to, 4, "%s%02x",
                       i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", byte);
    }
}

static void write_new(struct api_call *call, const struct session *s)
{
    struct store_ask *ask = api_ask(call);
    struct slice key = session_key(call->arena, call->dc, s->id);

    store_guard(ask, STORE_MOD_IS, key, none, 0);
    if (s->serf && s->live_create != 0) {
        store_guard(ask, STORE_CREATE_IS,
                    session_live_key(call->arena, call->dc, s->node), none,
                    s->live_create);
    }
    store_put(ask, key, session_write(call->arena, s), 0);
    if (s->ttl_ms > 0) {
        store_put(ask, session_alive_key(call->arena, call->dc, s->id), none,
                  s->lease);
    }
}

static void create_step(struct api_call *call, struct session *s)
{
    struct api_flow *flow = call->request->flow;

    if (flow->step == CREATE_BEGINS) {
        api_make_uuid(call);
        if (s->ttl_ms > 0) {
            flow->step = CREATE_GRANTED;
            call->outcome->kind = API_STORE;
            call->outcome->ask = (struct store_ask){
                .kind = STORE_GRANT,
                .ttl_s = (int64_t)((s->ttl_ms + 999) / 1000)};
            return;
        }
    } else if (flow->step == CREATE_GRANTED) {
        flow->lease = flow->done->lease;
    } else if (flow->done != NULL) {
        struct jsonw *w = api_json(call, 200);

        jsonw_object(w);
        jsonw_key_text(w, "ID", flow->id);
        jsonw_object_end(w);
        api_json_end(call);
        return;
    }
    flow->step = CREATE_WRITTEN;
    s->id = flow->id;
    s->lease = flow->lease;
    write_new(call, s);
}

void api_session_create(struct api_call *call)
{
    struct wish w = {0};
    struct session s = {0};

    if (!read_wish(call, &w) || !read_behavior(call, w.behavior, &s) ||
        !read_ttl(call, w.ttl, &s) || !read_node(call, &w, &s) ||
        !api_demand(call, ACL_SESSION, s.node, ACL_WRITE)) {
        return;
    }
    s.name = w.name;
    s.lock_delay_ms = w.lock_delay_ms > SESSION_DELAY_MS_MAX
                          ? SESSION_DELAY_MS_MAX
                          : w.lock_delay_ms;
    create_step(call, &s);
}

/* ---- Destroy ------------------------------------------------------ */

static bool may_end(struct api_call *call)
{
    struct slice key = session_key(call->arena, call->dc, call->rest);
    const struct store_kv *kv = store_found(call->request->flow->seen, key);
    struct session s;
    struct err err;

    return kv == NULL ||
           session_read(call->arena, call->dc, kv, &s, &err) != ST_OK ||
           api_demand(call, ACL_SESSION, s.node, ACL_WRITE);
}

void api_session_destroy(struct api_call *call)
{
    struct api_flow *flow = call->request->flow;
    struct session_end e = {.id = call->rest,
                            .why = SESSION_END_ASKED,
                            .step = flow->step,
                            .lease = flow->lease};

    if (!session_id_fits(call->rest)) {
        api_text(call, 400, "\"%.64s\" is no session's id", call->rest);
        return;
    }
    if (flow->seen != NULL && !may_end(call)) {
        return;
    }
    call->outcome->kind = API_STORE;
    if (session_end_step(&e, call->arena, call->dc, call->view->catalog,
                         flow->seen, flow->done,
                         &call->outcome->ask) != SESSION_END_ASK) {
        reply_true(call);
    }
    flow->step = e.step;
    flow->lease = e.lease;
}

/* ---- Renew -------------------------------------------------------- */

enum renew_step {
    RENEW_BEGINS,
    RENEW_RENEWED
};

static void refuse_unknown(struct api_call *call)
{
    api_header(call, "X-Consul-Index", "1");
    api_text(call, 404, "Session id '%.64s' not found", call->rest);
}

void api_session_renew(struct api_call *call)
{
    struct api_flow *flow = call->request->flow;
    struct session s;

    if (!session_id_fits(call->rest)) {
        refuse_unknown(call);
        return;
    }
    if (flow->seen == NULL) {
        session_add_reads(api_ask(call), call->arena, call->dc, call->rest);
        return;
    }
    if (session_trouble(call->arena, call->dc, call->view->catalog, call->rest,
                        flow->seen, &s) != NULL ||
        (flow->step == RENEW_RENEWED && flow->done->ttl_s <= 0)) {
        refuse_unknown(call);
        return;
    }
    if (!api_demand(call, ACL_SESSION, s.node, ACL_WRITE)) {
        return;
    }
    if (flow->step == RENEW_BEGINS && s.ttl_ms > 0) {
        flow->step = RENEW_RENEWED;
        call->outcome->kind = API_STORE;
        call->outcome->ask =
            (struct store_ask){.kind = STORE_RENEW, .lease = s.lease};
        return;
    }
    jsonw_list(api_json(call, 200));
    write_session(call, &s);
    jsonw_list_end(&call->json);
    api_json_end(call);
}

/* ---- List --------------------------------------------------------- */

static bool is_alive(const struct api_call *call, const struct session *s)
{
    const struct store_answer *seen = call->request->flow->seen;
    struct slice own = session_alive_key(call->arena, call->dc, s->id);
    const struct store_range *r;

    if (s->ending) {
        return false;
    }
    if (s->ttl_ms == 0) {
        return true;
    }
    r = store_range_of(seen, session_alive_key(call->arena, call->dc, ""));
    for (size_t low = 0, high = r->count; low < high;) {
        size_t middle = low + (high - low) / 2;
        int order = slice_cmp(r->items[middle].key, own);

        if (order == 0) {
            return true;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return false;
}

/* Those of one id or of one node; NULL: all. */
static void list_sessions(struct api_call *call, const char *id,
                          const char *node)
{
    const struct store_answer *seen = call->request->flow->seen;
    struct slice all = session_key(call->arena, call->dc, "");
    struct slice alive = session_alive_key(call->arena, call->dc, "");
    struct slice key =
        id == NULL ? all : session_key(call->arena, call->dc, id);
    struct slice end = id == NULL ? store_prefix_end(call->arena, all) : none;
    const struct store_range *r;
    struct api_poll poll;
    struct err err;
    uint64_t index;

    if (!api_poll_read(call, &poll)) {
        return;
    }
    if (seen == NULL) {
        struct store_ask *ask = api_ask(call);

        store_read_range(ask, key, end, 0, false);
        store_read_range(ask, alive, store_prefix_end(call->arena, alive), 0,
                         true);
        return;
    }
    r = store_range_of(seen, key);
    index = api_poll_index(call, &poll, id != NULL && r->count > 0, seen, r);
    if (index == 0) {
        api_wait_for(call, &poll, key, end);
        return;
    }
    api_poll_headers(call, index);
    jsonw_list(api_json(call, 200));
    for (size_t i = 0; i < r->count; i++) {
        struct session s;

        if (session_read(call->arena, call->dc, &r->items[i], &s, &err) ==
                ST_OK &&
            is_alive(call, &s) &&
            (node == NULL || strcasecmp(s.node, node) == 0) &&
            api_sees(call, ACL_SESSION, s.node)) {
            write_session(call, &s);
        }
    }
    jsonw_list_end(&call->json);
    api_json_end(call);
}

void api_session_info(struct api_call *call)
{
    if (!session_id_fits(call->rest)) {
        api_text(call, 400, "\"%.64s\" is no session's id", call->rest);
        return;
    }
    list_sessions(call, call->rest, NULL);
}

void api_session_node(struct api_call *call)
{
    list_sessions(call, NULL, call->rest);
}

void api_session_list(struct api_call *call)
{
    list_sessions(call, NULL, NULL);
}
