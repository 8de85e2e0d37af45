/*
 * /v1/query: prepared queries are made, listed, read, changed and deleted.
 * Reading is done from the replica, like executing (api_query_execute.c).
 */
#include "agent/core/api_query.h"

#include "agent/core/api_acl.h"
#include "agent/core/query_record.h"
#include "agent/core/session.h"
#include "base/core/check.h"
#include "base/core/limits.h"

static const struct slice none;

/* ---- JSON ---------------------------------------------------------- */

static bool sees_tokens(const struct api_call *call)
{
    return api_may(call, ACL_ACL, "", ACL_WRITE);
}

/* The secret itself is nobody's to see; its hash is for those who may change
 * tokens, and says that there is one. */
static const char *shown_token(const struct api_call *call,
                               const struct query_def *d)
{
    if (*d->token != '\0' && !sees_tokens(call)) {
        return "<hidden>";
    }
    return *d->token == '\0' || acl_is_hashed(d->token)
               ? d->token
               : acl_hashed(call->arena, d->token);
}

static void write_failover(struct jsonw *w, const struct query_def *d)
{
    jsonw_key(w, "Failover");
    jsonw_object(w);
    jsonw_key_int(w, "NearestN", d->nearest_n);
    jsonw_key(w, "Datacenters");
    api_write_texts(w, d->datacenters);
    jsonw_object_end(w);
}

static void write_service(struct jsonw *w, const struct query_def *d)
{
    jsonw_key(w, "Service");
    jsonw_object(w);
    jsonw_key_text(w, "Service", d->service);
    write_failover(w, d);
    jsonw_key_bool(w, "OnlyPassing", d->only_passing);
    jsonw_key(w, "IgnoreCheckIDs");
    api_write_texts(w, d->ignore_checks);
    jsonw_key_text(w, "Near", d->near);
    jsonw_key(w, "Tags");
    api_write_texts(w, d->tags);
    jsonw_key(w, "NodeMeta");
    api_write_pairs(w, d->node_meta);
    jsonw_key(w, "ServiceMeta");
    api_write_pairs(w, d->service_meta);
    jsonw_key_bool(w, "Connect", d->connect);
    jsonw_object_end(w);
}

void api_write_query(struct api_call *call, const struct query_def *def,
                     const struct catalog_query *q)
{
    struct jsonw *w = &call->json;

    jsonw_object(w);
    jsonw_key_text(w, "ID", def->id);
    jsonw_key_text(w, "Name", def->name);
    jsonw_key_text(w, "Session", def->session);
    jsonw_key_text(w, "Token", shown_token(call, def));
    jsonw_key(w, "Template");
    jsonw_object(w);
    jsonw_key_text(w, "Type", def->template_type);
    jsonw_key_text(w, "Regexp", def->template_regexp);
    jsonw_key_bool(w, "RemoveEmptyTags", def->remove_empty_tags);
    jsonw_object_end(w);
    write_service(w, def);
    jsonw_key(w, "DNS");
    jsonw_object(w);
    jsonw_key_text(w, "TTL", def->ttl);
    jsonw_object_end(w);
    if (q != NULL) {
        jsonw_key_int(w, "CreateIndex", q->create_revision);
        jsonw_key_int(w, "ModifyIndex", q->mod_revision);
    }
    jsonw_object_end(w);
}

/* ---- Rights -------------------------------------------------------- */

static bool has_rules(const struct query_def *d)
{
    return *d->name != '\0' || *d->template_type != '\0';
}

bool api_demand_query(struct api_call *call, const struct query_def *def,
                      enum acl_access wanted)
{
    return !has_rules(def) || api_demand(call, ACL_QUERY, def->name, wanted);
}

void api_query_missing(struct api_call *call)
{
    if (catalog_revision(call->view->catalog) == 0) {
        api_text(call, 500, "No cluster leader");
    } else {
        api_poll_headers(
            call, catalog_index(call->view->catalog,
                                (struct catalog_scope){.kind = SCOPE_QUERIES}));
        api_text(call, 404, "Query not found");
    }
}

/* ---- Reading ------------------------------------------------------- */

/* A nameless one is listed to those who may do everything only. */
static bool is_listed(struct api_call *call, const struct query_def *d)
{
    if (sees_tokens(call)) {
        return true;
    }
    if (has_rules(d)) {
        return api_sees(call, ACL_QUERY, d->name);
    }
    call->filtered = true;
    return false;
}

static void list_queries(struct api_call *call)
{
    const struct catalog *catalog = call->view->catalog;
    const struct query_table *table = catalog_queries(catalog);

    if (!api_ready(call, (struct catalog_scope){.kind = SCOPE_QUERIES})) {
        return;
    }
    jsonw_list(api_json(call, 200));
    for (size_t i = 0; i < query_table_count(table); i++) {
        const struct query_def *d = query_def(query_table_at(table, i));

        if (is_listed(call, d)) {
            api_write_query(call, d, catalog_query(catalog, d->id));
        }
    }
    jsonw_list_end(&call->json);
    api_json_end(call);
}

static void read_query(struct api_call *call)
{
    const struct catalog_query *q =
        catalog_query(call->view->catalog, call->rest);
    struct catalog_scope scope = {.kind = SCOPE_QUERY, .name = call->rest};

    if (q == NULL) {
        api_query_missing(call);
        return;
    }
    if (!api_demand_query(call, query_def(q->query), ACL_READ) ||
        !api_ready(call, scope)) {
        return;
    }
    jsonw_list(api_json(call, 200));
    api_write_query(call, query_def(q->query), q);
    jsonw_list_end(&call->json);
    api_json_end(call);
}

/* ---- Whether it may be so ------------------------------------------ */

static const struct query *find_nameless_template(const struct query_table *t)
{
    for (size_t i = 0; i < query_table_count(t); i++) {
        const struct query *q = query_table_at(t, i);

        if (query_is_template(q) && *query_def(q)->name == '\0') {
            return q;
        }
    }
    return NULL;
}

static bool is_other(const struct query *q, const struct query_def *def)
{
    return q != NULL && strcmp(query_def(q)->id, def->id) != 0;
}

/* Names mean one query, and never another's id. False: the reply is made. */
static bool accept_name(struct api_call *call, const struct query_def *def)
{
    const struct query_table *t = catalog_queries(call->view->catalog);

    if (is_other(query_table_name(t, def->name), def)) {
        api_text(call, 400, "name '%s' aliases an existing query name",
                 def->name);
        return false;
    }
    if (query_table_id(t, def->name) != NULL) {
        api_text(call, 400, "name '%s' aliases an existing query ID",
                 def->name);
        return false;
    }
    if (*def->name == '\0' && *def->template_type != '\0' &&
        is_other(find_nameless_template(t), def)) {
        api_text(call, 400,
                 "a query template with an empty name already exists");
        return false;
    }
    return true;
}

static bool accept_def(struct api_call *call, const struct query_def *def)
{
    struct query *q = NULL;
    struct err err;

    if (query_new(def, &q, &err)) {
        api_text(call, 400, "Invalid prepared query: %s", err.text);
        return false;
    }
    query_unref(q);
    if (query_def_write(call->arena, def).len > LIMIT_RECORD_BYTES) {
        api_text(call, 400, "Invalid prepared query: longer than %lu bytes",
                 LIMIT_RECORD_BYTES);
        return false;
    }
    return accept_name(call, def);
}

/* What is kept of a token is its hash. The one that was shown may come back,
 * and means the same token; nobody else can name one by its hash, for that is
 * no proof of knowing it. False: the reply is made. */
static bool settle_token(struct api_call *call, const struct catalog_query *old,
                         struct query_def *def)
{
    if (*def->token == '\0' || !acl_is_hashed(def->token)) {
        def->token = *def->token == '\0' ? def->token
                                         : acl_hashed(call->arena, def->token);
        return true;
    }
    if (old != NULL && sees_tokens(call) &&
        strcmp(shown_token(call, query_def(old->query)), def->token) == 0) {
        return true;
    }
    api_text(call, 400, "Bad Token: a token is named by its secret");
    return false;
}

/* ---- Writing ------------------------------------------------------- */

enum write_step {
    WRITE_BEGINS,
    WRITE_ASKED,
    WRITE_SETTLES
};

/* One change: from `old`, which may be NULL, to `def`, which may be NULL. */
struct change_of_query {
    const char *id;
    const struct catalog_query *old;
    const struct query_def *def;
    struct session session; /* Of `def`, if it is bound. */
};

static bool is_bound(const struct query_def *d)
{
    return d != NULL && *d->session != '\0';
}

/* The session is known to live. False: it is to be asked for, or the reply is
 * made. */
static bool find_session(struct api_call *call, struct change_of_query *c)
{
    const struct store_answer *seen = call->request->flow->seen;
    const char *id = c->def->session;
    const char *trouble = "that is no session's id";

    if (session_id_fits(id)) {
        if (seen == NULL ||
            !store_was_read(seen, session_key(call->arena, call->dc, id))) {
            session_add_reads(api_ask(call), call->arena, call->dc, id);
            return false;
        }
        trouble = session_trouble(call->arena, call->dc, call->view->catalog,
                                  id, seen, &c->session);
    }
    if (trouble != NULL) {
        api_text(call, 400, "invalid session \"%.64s\": %s", id, trouble);
    }
    return trouble == NULL;
}

static void bind(struct api_call *call, const struct change_of_query *c,
                 struct store_ask *ask)
{
    const struct query_def *old = c->old ? query_def(c->old->query) : NULL;
    bool same = is_bound(old) && is_bound(c->def) &&
                strcmp(old->session, c->def->session) == 0;

    if (is_bound(old) && !same) {
        store_delete(
            ask, query_bound_key(call->arena, call->dc, old->session, c->id),
            none);
    }
    if (is_bound(c->def)) {
        session_add_reads(ask, call->arena, call->dc, c->def->session);
        session_add_guards(ask, call->arena, call->dc, &c->session,
                           call->request->flow->seen);
        store_put(
            ask, query_bound_key(call->arena, call->dc, c->def->session, c->id),
            none, 0);
    }
}

/* What was decided by holds if no query has changed that the replica has not
 * shown yet. */
static void ask_change(struct api_call *call, const struct change_of_query *c)
{
    struct store_ask *ask = api_ask(call);
    struct slice folder = query_key(call->arena, call->dc, "");
    struct slice key = query_key(call->arena, call->dc, c->id);

    call->request->flow->step = WRITE_ASKED;
    store_guard(ask, STORE_MOD_IS, key, none,
                c->old == NULL ? 0 : c->old->mod_revision);
    bind(call, c, ask);
    if (c->def == NULL) {
        store_delete(ask, key, none);
        return;
    }
    store_guard(ask, STORE_MOD_BELOW, folder,
                store_prefix_end(call->arena, folder),
                catalog_revision(call->view->catalog) + 1);
    store_put(ask, key, query_def_write(call->arena, c->def), 0);
}

/* What has been asked for was done, or others were quicker: either way the
 * replica has to show it first. True: that, or the end, was seen to. */
static bool go_on(struct api_call *call, void (*reply)(struct api_call *call))
{
    struct api_flow *flow = call->request->flow;

    if (flow->step == WRITE_SETTLES) {
        reply(call);
        return true;
    }
    if (flow->step == WRITE_ASKED) {
        flow->step = flow->done != NULL ? WRITE_SETTLES : WRITE_BEGINS;
        call->outcome->kind = API_CONFIRM;
        return true;
    }
    return false;
}

static void change_query(struct api_call *call, struct change_of_query *c)
{
    struct query_def settled;

    if (catalog_revision(call->view->catalog) == 0) {
        api_text(call, 500, "No cluster leader");
        return;
    }
    if ((c->old != NULL &&
         !api_demand_query(call, query_def(c->old->query), ACL_WRITE)) ||
        (c->def != NULL && (!api_demand_query(call, c->def, ACL_WRITE) ||
                            !accept_def(call, c->def)))) {
        return;
    }
    if (c->def != NULL) {
        settled = *c->def;
        if (!settle_token(call, c->old, &settled)) {
            return;
        }
        c->def = &settled;
    }
    if (!is_bound(c->def) || find_session(call, c)) {
        ask_change(call, c);
    }
}

static bool read_body(struct api_call *call, struct query_def *out_def)
{
    struct err err;

    if (query_def_read(call->arena, call->request->body, out_def, &err)) {
        api_text(call, 400, "Request decode failed: %s", err.text);
        return false;
    }
    return true;
}

static const char *new_id(struct api_call *call)
{
    return acl_uuid(call->arena, call->request->random);
}

static void reply_id(struct api_call *call)
{
    struct jsonw *w = api_json(call, 200);

    jsonw_object(w);
    jsonw_key_text(w, "ID", new_id(call));
    jsonw_object_end(w);
    api_json_end(call);
}

static void create_query(struct api_call *call)
{
    struct query_def def;
    struct change_of_query c = {.id = new_id(call), .def = &def};
    const struct query_table *t = catalog_queries(call->view->catalog);

    if (go_on(call, reply_id) || !read_body(call, &def)) {
        return;
    }
    if (query_table_count(t) >= LIMIT_QUERIES) {
        api_text(call, 400, "There are %d prepared queries, which is the limit",
                 LIMIT_QUERIES);
        return;
    }
    def.id = c.id;
    change_query(call, &c);
}

/* An update, or with `def` NULL the end. */
static void change_known(struct api_call *call, struct query_def *def)
{
    struct change_of_query c = {
        .id = call->rest,
        .old = catalog_query(call->view->catalog, call->rest),
        .def = def};

    if (c.old == NULL && catalog_revision(call->view->catalog) != 0) {
        api_text(call, 404, "Cannot modify non-existent prepared query: '%s'",
                 call->rest);
        return;
    }
    if (def != NULL) {
        def->id = c.id;
    }
    change_query(call, &c);
}

static void update_query(struct api_call *call)
{
    struct query_def def;

    if (!go_on(call, api_done) && read_body(call, &def)) {
        change_known(call, &def);
    }
}

static void delete_query(struct api_call *call)
{
    if (!go_on(call, api_done)) {
        change_known(call, NULL);
    }
}

/* ---- Routes -------------------------------------------------------- */

void api_queries(struct api_call *call)
{
    if (api_verb(call) == API_VERB_READ) {
        list_queries(call);
    } else {
        create_query(call);
    }
}

/* "name/execute" without its end; NULL: it has another one. */
static const char *before(struct api_call *call, const char *end)
{
    size_t len = strlen(call->rest);
    size_t end_len = strlen(end);

    return len > end_len && strcmp(call->rest + len - end_len, end) == 0
               ? arena_strdup(call->arena, slice_of(call->rest, len - end_len))
               : NULL;
}

static void read_something(struct api_call *call)
{
    const char *executed = before(call, "/execute");
    const char *explained = before(call, "/explain");

    if (executed != NULL) {
        api_query_execute(call, executed);
    } else if (explained != NULL) {
        api_query_explain(call, explained);
    } else {
        read_query(call);
    }
}

void api_query(struct api_call *call)
{
    switch (api_verb(call)) {
    case API_VERB_READ:
        read_something(call);
        return;
    case API_VERB_WRITE:
        update_query(call);
        return;
    case API_VERB_DELETE:
        delete_query(call);
        return;
    }
    UNREACHABLE();
}
