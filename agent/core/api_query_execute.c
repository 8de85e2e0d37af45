/*
 * /v1/query/<id or name>/execute and /explain.
 */
#include <stdlib.h>
#include <strings.h>

#include "agent/core/api_query.h"
#include "base/core/check.h"
#include "base/core/rng.h"
#include "query/core/choose.h"

/* ---- An instance as a candidate ------------------------------------ */

static enum query_health health_of(enum health_sum sum)
{
    switch (sum) {
    case HEALTH_PASSING:
        return QUERY_PASSING;
    case HEALTH_WARNING:
        return QUERY_WARNING;
    case HEALTH_CRITICAL:
    case HEALTH_MAINTENANCE:
        return QUERY_CRITICAL;
    }
    UNREACHABLE();
}

static enum query_health health_of_check(enum check_status status)
{
    switch (status) {
    case CHECK_PASSING:
        return QUERY_PASSING;
    case CHECK_WARNING:
        return QUERY_WARNING;
    case CHECK_CRITICAL:
        return QUERY_CRITICAL;
    }
    UNREACHABLE();
}

static const struct query_pair *pairs_of(struct arena *a, struct pairs pairs)
{
    struct query_pair *out = arena_zalloc(a, pairs.count, sizeof(*out));

    for (size_t i = 0; i < pairs.count; i++) {
        out[i].key = slice_str(pairs.items[i].key);
        out[i].value = slice_str(pairs.items[i].value);
    }
    return out;
}

static const struct slice *slices_of(struct arena *a, struct texts texts)
{
    struct slice *out = arena_zalloc(a, texts.count, sizeof(*out));

    for (size_t i = 0; i < texts.count; i++) {
        out[i] = slice_str(texts.items[i]);
    }
    return out;
}

struct checks {
    struct query_check *items;
    size_t count;
    size_t cap;
};

static void add_check(void *ctx, struct api_call *call,
                      const struct check_view *check)
{
    struct checks *list = ctx;

    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? 8 : 2 * list->cap;
        struct query_check *grown =
            arena_zalloc(call->arena, cap, sizeof(*grown));

        if (list->count > 0) {
            memcpy(grown, list->items, list->count * sizeof(*grown));
        }
        list->items = grown;
        list->cap = cap;
    }
    list->items[list->count++] = (struct query_check){
        slice_str(check->record->id), health_of_check(check->record->status)};
}

/* ---- Choosing ------------------------------------------------------ */

struct execution {
    struct api_call *call;
    struct query_def def;
    uint64_t limit; /* 0: none. */
    const struct catalog_instance **items;
    size_t count;
    size_t failovers;
};

static bool is_chosen(struct execution *x, const struct catalog_node *node,
                      const struct catalog_instance *i)
{
    struct arena *a = x->call->arena;
    const struct instance_record *r = &i->record;
    struct query_candidate c = {
        .tags = slices_of(a, r->tags),
        .tags_count = r->tags.count,
        .node_meta = pairs_of(a, node->record.meta),
        .node_meta_count = node->record.meta.count,
        .service_meta = pairs_of(a, r->meta),
        .service_meta_count = r->meta.count,
        .health = health_of(catalog_instance_health(x->call->view->catalog, i)),
    };
    struct checks checks = {0};

    if (x->def.ignore_checks.count > 0) {
        api_each_check(x->call, node, i, add_check, &checks);
        c.checks = checks.items;
        c.checks_count = checks.count;
    }
    return query_chooses(&x->def, &c);
}

static bool choose(void *ctx, const struct catalog_instance *i)
{
    struct execution *x = ctx;
    const struct catalog_node *node = api_node_of(x->call, i);

    if (node != NULL && is_chosen(x, node, i)) {
        x->items[x->count++] = i;
    }
    return true;
}

static void choose_all(struct execution *x)
{
    const struct catalog_service *s =
        catalog_service(x->call->view->catalog, x->def.service);

    x->count = 0;
    if (s != NULL) {
        x->items = arena_zalloc(x->call->arena, catalog_service_size(s),
                                sizeof(*x->items));
        catalog_each_instance(s, choose, x);
    }
}

/* Somewhere else, while there is nothing here. What the token may see counts
 * there too. */
static void fail_over(struct execution *x)
{
    struct api_call *call = x->call;
    struct texts dcs =
        query_failover(&x->def, api_nearest_datacenters(call), call->arena);

    for (size_t i = 0; i < dcs.count && x->count == 0; i++) {
        CHECK(api_turn_to(call, dcs.items[i])); /* It is one of the known. */
        x->failovers++;
        choose_all(x);
    }
}

/* ---- Order --------------------------------------------------------- */

/* As Consul: whoever takes the first ones only spreads what it asks. */
static void shuffle(struct execution *x)
{
    struct rng rng;

    rng_init(&rng, x->call->request->jitter);
    for (size_t i = x->count; i > 1; i--) {
        size_t other = (size_t)rng_below(&rng, i);
        const struct catalog_instance *swap = x->items[i - 1];

        x->items[i - 1] = x->items[other];
        x->items[other] = swap;
    }
}

struct find_address {
    struct slice address;
    const char *found;
};

static bool match_address(void *ctx, const struct catalog_node *n)
{
    struct find_address *f = ctx;

    if (slice_eq(slice_str(n->record.address), f->address)) {
        f->found = n->record.name;
    }
    return f->found == NULL;
}

/* The node that asks, by its address; "_agent" if it is this host. */
static const char *node_of_peer(const struct api_call *call)
{
    struct find_address f = {.address = call->request->peer};

    if (api_is_near(call)) {
        return "_agent";
    }
    while (f.address.len > 0 && f.address.data[f.address.len - 1] != ':') {
        f.address.len--;
    }
    f.address.len -= f.address.len > 0;
    if (f.address.len > 1 && f.address.data[0] == '[') {
        f.address = slice_of(f.address.data + 1, f.address.len - 2);
    }
    catalog_each_node(call->view->catalog, match_address, &f);
    return f.found == NULL ? "" : f.found;
}

/* What the query says comes before ?near=. */
static void set_origin(struct execution *x)
{
    const char *near = x->def.near;

    if (*near == '\0') {
        near = api_param(x->call, "near");
    }
    x->call->near =
        near != NULL && strcmp(near, "_ip") == 0 ? node_of_peer(x->call) : near;
}

/* ---- The reply ------------------------------------------------------ */

static void write_instances(struct execution *x)
{
    struct api_call *call = x->call;
    uint64_t written = 0;

    shuffle(x);
    set_origin(x);
    jsonw_list(&call->json);
    while (api_next_turn(call)) {
        for (size_t i = 0; i < x->count; i++) {
            const struct catalog_node *node =
                catalog_node(call->view->catalog, x->items[i]->record.node);

            if (api_has_turn(call, &node->record) &&
                (x->limit == 0 || written < x->limit)) {
                api_write_entry(call, node, x->items[i]);
                written++;
            }
        }
    }
    jsonw_list_end(&call->json);
}

static void write_result(struct execution *x)
{
    struct api_call *call = x->call;
    struct jsonw *w = api_json(call, 200);

    jsonw_object(w);
    jsonw_key_text(w, "Service", x->def.service);
    jsonw_key(w, "Nodes");
    write_instances(x);
    jsonw_key(w, "DNS");
    jsonw_object(w);
    jsonw_key_text(w, "TTL", x->def.ttl);
    jsonw_object_end(w);
    jsonw_key_text(w, "Datacenter", call->dc);
    jsonw_key_uint(w, "Failovers", x->failovers);
    jsonw_object_end(w);
    api_json_end(call);
}

/* ---- Executing ------------------------------------------------------ */

static bool read_limit(struct api_call *call, uint64_t *out_limit)
{
    const char *text = api_param(call, "limit");
    uint64_t limit = 0;

    for (; text != NULL && *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || limit > UINT32_MAX) {
            api_text(call, 400, "Bad limit \"%.64s\": not a number",
                     api_param(call, "limit"));
            return false;
        }
        limit = 10 * limit + (uint64_t)(*text - '0');
    }
    *out_limit = limit;
    return true;
}

/* The query that a name means, its texts filled in. False: the reply is made.
 */
static bool find_def(struct api_call *call, const char *name,
                     struct query_def *out_def)
{
    const struct query *q =
        query_table_find(catalog_queries(call->view->catalog), name);
    struct err err;

    if (q == NULL) {
        api_query_missing(call);
        return false;
    }
    if (query_render(q, name, call->arena, out_def, &err)) {
        api_text(call, 400, "Query \"%.200s\": %s", name, err.text);
        return false;
    }
    return true;
}

/* A query that has a token reads with it. False: the reply is made. */
static bool take_token(struct api_call *call, const char *token)
{
    if (*token == '\0' || !acl_enabled(call->view->acl) ||
        acl_for_record(call->view->acl, token, &call->auth) == ACL_FOUND) {
        return true;
    }
    api_text(call, 403, "ACL not found: the token of the query is not known");
    return false;
}

void api_query_execute(struct api_call *call, const char *name)
{
    struct execution x = {.call = call};
    struct catalog_scope scope = {.kind = SCOPE_SERVICE};

    if (api_flag(call, "connect")) {
        api_text(call, 400,
                 "connect is not supported: there is no service "
                 "mesh");
        return;
    }
    if (!read_limit(call, &x.limit) || !find_def(call, name, &x.def) ||
        !take_token(call, x.def.token)) {
        return;
    }
    scope.name = x.def.service;
    call->answer_now = true; /* As Consul: executing does not wait. */
    if (!api_ready(call, scope)) {
        return;
    }
    x.def.only_passing = x.def.only_passing || api_flag(call, "passing");
    choose_all(&x);
    if (x.count == 0) {
        fail_over(&x);
    }
    write_result(&x);
}

void api_query_explain(struct api_call *call, const char *name)
{
    struct query_def def;

    if (!find_def(call, name, &def) ||
        !api_demand_query(call, &def, ACL_READ)) {
        return;
    }
    call->answer_now = true;
    if (!api_ready(call, (struct catalog_scope){.kind = SCOPE_QUERY,
                                                .name = def.id})) {
        return;
    }
    jsonw_object(api_json(call, 200));
    jsonw_key(&call->json, "Query");
    api_write_query(call, &def, catalog_query(call->view->catalog, def.id));
    jsonw_object_end(&call->json);
    api_json_end(call);
}
