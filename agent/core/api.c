#include "agent/core/api.h"

#include <stdarg.h>
#include <stdio.h>

#include "agent/core/api_model.h"
#include "base/core/check.h"

/* A page of 10 000 instances takes about 8 MiB. */
#define REPLY_BYTES_MAX (256 * 1024 * 1024)

enum route_kind {
    ROUTE_EXACT,
    ROUTE_ONE,  /* One more part, which may hold encoded slashes. */
    ROUTE_REST, /* Whatever follows, if anything. */
};

enum route_method {
    ROUTE_GET,
    ROUTE_PUT,
    ROUTE_ANY, /* A change that older clients ask for with GET. */
    ROUTE_ALL, /* The handler looks: GET, PUT, DELETE; api_verb(). */
};

/* What a route needs; see api_need_kind. */
#define OPEN                     \
    {                            \
        .kind = API_NEED_NOTHING \
    }
#define HANDLER                     \
    {                               \
        .kind = API_NEED_BY_HANDLER \
    }
#define OF(what, r, a)                                                     \
    {                                                                      \
        .kind = API_NEED_OF_##what, .resource = ACL_##r, .access = ACL_##a \
    }

static const struct route {
    const char *path;
    enum route_kind kind;
    enum route_method method;
    api_handler handle;
    struct api_need need;
} routes[] = {
    {"/", ROUTE_EXACT, ROUTE_GET, api_ui_start, OPEN},
    {"/ui", ROUTE_EXACT, ROUTE_GET, api_ui_start, OPEN},
    {"/ui/", ROUTE_EXACT, ROUTE_GET, api_ui, OPEN},
    {"/ui/", ROUTE_ONE, ROUTE_GET, api_ui, OPEN},
    {"/v1/agent/self", ROUTE_EXACT, ROUTE_GET, api_agent_self,
     OF(SELF, AGENT, READ)},
    {"/v1/agent/members", ROUTE_EXACT, ROUTE_GET, api_agent_members, HANDLER},
    {"/v1/agent/services", ROUTE_EXACT, ROUTE_GET, api_agent_services, HANDLER},
    {"/v1/agent/service/register", ROUTE_EXACT, ROUTE_PUT, api_service_register,
     HANDLER},
    {"/v1/agent/service/deregister/", ROUTE_ONE, ROUTE_ANY,
     api_service_deregister, HANDLER},
    {"/v1/agent/service/maintenance/", ROUTE_ONE, ROUTE_PUT,
     api_service_maintenance, HANDLER},
    {"/v1/agent/service/", ROUTE_ONE, ROUTE_GET, api_agent_service, HANDLER},
    {"/v1/agent/checks", ROUTE_EXACT, ROUTE_GET, api_agent_checks, HANDLER},
    {"/v1/agent/history", ROUTE_EXACT, ROUTE_GET, api_agent_history, HANDLER},
    {"/v1/agent/check/register", ROUTE_EXACT, ROUTE_PUT, api_check_register,
     HANDLER},
    {"/v1/agent/check/deregister/", ROUTE_ONE, ROUTE_ANY, api_check_deregister,
     HANDLER},
    {"/v1/agent/check/pass/", ROUTE_ONE, ROUTE_ANY, api_check_pass, HANDLER},
    {"/v1/agent/check/warn/", ROUTE_ONE, ROUTE_ANY, api_check_warn, HANDLER},
    {"/v1/agent/check/fail/", ROUTE_ONE, ROUTE_ANY, api_check_fail, HANDLER},
    {"/v1/agent/check/update/", ROUTE_ONE, ROUTE_PUT, api_check_update,
     HANDLER},
    {"/v1/agent/maintenance", ROUTE_EXACT, ROUTE_PUT, api_node_maintenance,
     OF(SELF, NODE, WRITE)},
    {"/v1/agent/health/service/name/", ROUTE_ONE, ROUTE_GET,
     api_agent_health_name, OF(REST, SERVICE, READ)},
    {"/v1/agent/health/service/id/", ROUTE_ONE, ROUTE_GET, api_agent_health_id,
     HANDLER},
    {"/v1/agent/reload", ROUTE_EXACT, ROUTE_PUT, api_reload,
     OF(SELF, AGENT, WRITE)},
    {"/v1/agent/leave", ROUTE_EXACT, ROUTE_PUT, api_leave,
     OF(SELF, AGENT, WRITE)},
    {"/v1/agent/join/", ROUTE_ONE, ROUTE_ANY, api_join, OF(SELF, AGENT, WRITE)},
    {"/v1/agent/force-leave/", ROUTE_ONE, ROUTE_PUT, api_force_leave,
     OF(REST, NODE, WRITE)},
    {"/v1/agent/guard", ROUTE_EXACT, ROUTE_GET, api_agent_guard,
     OF(SELF, AGENT, READ)},
    {"/v1/agent/guard", ROUTE_EXACT, ROUTE_PUT, api_agent_guard,
     OF(SELF, AGENT, WRITE)},
    {"/v1/agent/metrics", ROUTE_EXACT, ROUTE_GET, api_agent_metrics,
     OF(SELF, AGENT, READ)},
    {"/v1/agent/version", ROUTE_EXACT, ROUTE_GET, api_agent_version,
     OF(SELF, AGENT, READ)},
    {"/v1/agent/ready", ROUTE_EXACT, ROUTE_GET, api_agent_ready, OPEN},
    {"/v1/agent/live", ROUTE_EXACT, ROUTE_GET, api_agent_live, OPEN},
    {"/v1/catalog/datacenters", ROUTE_EXACT, ROUTE_GET, api_catalog_datacenters,
     OPEN},
    {"/v1/catalog/services", ROUTE_EXACT, ROUTE_GET, api_catalog_services,
     HANDLER},
    {"/v1/catalog/service/", ROUTE_ONE, ROUTE_GET, api_catalog_service,
     HANDLER},
    {"/v1/catalog/connect/", ROUTE_ONE, ROUTE_GET, api_catalog_connect,
     HANDLER},
    {"/v1/catalog/nodes", ROUTE_EXACT, ROUTE_GET, api_catalog_nodes, HANDLER},
    {"/v1/catalog/node/", ROUTE_ONE, ROUTE_GET, api_catalog_node, HANDLER},
    {"/v1/catalog/node-services/", ROUTE_ONE, ROUTE_GET,
     api_catalog_node_services, HANDLER},
    {"/v1/catalog/register", ROUTE_EXACT, ROUTE_PUT, api_catalog_register,
     HANDLER},
    {"/v1/catalog/deregister", ROUTE_EXACT, ROUTE_PUT, api_catalog_deregister,
     HANDLER},
    {"/v1/health/service/", ROUTE_ONE, ROUTE_GET, api_health_service, HANDLER},
    {"/v1/health/connect/", ROUTE_ONE, ROUTE_GET, api_health_connect, HANDLER},
    {"/v1/health/ingress/", ROUTE_ONE, ROUTE_GET, api_health_connect, HANDLER},
    {"/v1/health/checks/", ROUTE_ONE, ROUTE_GET, api_health_checks, HANDLER},
    {"/v1/health/node/", ROUTE_ONE, ROUTE_GET, api_health_node, HANDLER},
    {"/v1/health/state/", ROUTE_ONE, ROUTE_GET, api_health_state, HANDLER},
    {"/v1/coordinate/nodes", ROUTE_EXACT, ROUTE_GET, api_coordinate_nodes,
     HANDLER},
    {"/v1/coordinate/node/", ROUTE_ONE, ROUTE_GET, api_coordinate_node,
     HANDLER},
    {"/v1/coordinate/datacenters", ROUTE_EXACT, ROUTE_GET,
     api_coordinate_datacenters, HANDLER},
    {"/v1/coordinate/update", ROUTE_EXACT, ROUTE_PUT, api_coordinate_update,
     HANDLER},
    {"/v1/acl/bootstrap", ROUTE_EXACT, ROUTE_PUT, api_acl_bootstrap, HANDLER},
    {"/v1/acl/tokens", ROUTE_EXACT, ROUTE_GET, api_acl_tokens, HANDLER},
    {"/v1/acl/token/self", ROUTE_EXACT, ROUTE_GET, api_acl_token_self, HANDLER},
    {"/v1/acl/token", ROUTE_EXACT, ROUTE_PUT, api_acl_token_create, HANDLER},
    {"/v1/acl/token/", ROUTE_ONE, ROUTE_ALL, api_acl_token, HANDLER},
    {"/v1/acl/policies", ROUTE_EXACT, ROUTE_GET, api_acl_policies, HANDLER},
    {"/v1/acl/policy", ROUTE_EXACT, ROUTE_PUT, api_acl_policy_create, HANDLER},
    {"/v1/acl/policy/name/", ROUTE_ONE, ROUTE_GET, api_acl_policy_name,
     HANDLER},
    {"/v1/acl/policy/", ROUTE_ONE, ROUTE_ALL, api_acl_policy, HANDLER},
    {"/v1/acl/create", ROUTE_EXACT, ROUTE_PUT, api_acl_legacy, OPEN},
    {"/v1/acl/update", ROUTE_EXACT, ROUTE_PUT, api_acl_legacy, OPEN},
    {"/v1/acl/destroy/", ROUTE_ONE, ROUTE_PUT, api_acl_legacy, OPEN},
    {"/v1/acl/clone/", ROUTE_ONE, ROUTE_PUT, api_acl_legacy, OPEN},
    {"/v1/acl/info/", ROUTE_ONE, ROUTE_GET, api_acl_legacy, OPEN},
    {"/v1/acl/list", ROUTE_EXACT, ROUTE_GET, api_acl_legacy, OPEN},
    {"/v1/status/leader", ROUTE_EXACT, ROUTE_GET, api_status_leader, OPEN},
    {"/v1/status/peers", ROUTE_EXACT, ROUTE_GET, api_status_peers, OPEN},
    {"/v1/operator/raft/configuration", ROUTE_EXACT, ROUTE_GET,
     api_raft_configuration, OF(ALL, OPERATOR, READ)},
    {"/v1/metrics", ROUTE_EXACT, ROUTE_GET, api_agent_metrics,
     OF(SELF, AGENT, READ)},
    {"/v1/explain/", ROUTE_ONE, ROUTE_GET, api_explain, HANDLER},
    {"/v1/stream", ROUTE_EXACT, ROUTE_GET, api_stream, HANDLER},
    {"/v1/prometheus/sd", ROUTE_EXACT, ROUTE_GET, api_prometheus_sd, HANDLER},
    {"/v1/kv/", ROUTE_REST, ROUTE_ALL, api_kv, HANDLER},
    {"/v1/session/create", ROUTE_EXACT, ROUTE_PUT, api_session_create, HANDLER},
    {"/v1/session/destroy/", ROUTE_ONE, ROUTE_PUT, api_session_destroy,
     HANDLER},
    {"/v1/session/renew/", ROUTE_ONE, ROUTE_PUT, api_session_renew, HANDLER},
    {"/v1/session/info/", ROUTE_ONE, ROUTE_GET, api_session_info, HANDLER},
    {"/v1/session/node/", ROUTE_ONE, ROUTE_GET, api_session_node, HANDLER},
    {"/v1/session/list", ROUTE_EXACT, ROUTE_GET, api_session_list, HANDLER},
    {"/v1/query", ROUTE_EXACT, ROUTE_GET, api_queries, HANDLER},
    {"/v1/query", ROUTE_EXACT, ROUTE_PUT, api_queries, HANDLER},
    {"/v1/query/", ROUTE_ONE, ROUTE_ALL, api_query, HANDLER},
    {"/v1/txn", ROUTE_EXACT, ROUTE_PUT, api_kv_txn, HANDLER},
    {"/v1/event/fire/", ROUTE_ONE, ROUTE_PUT, api_event_fire, HANDLER},
    {"/v1/event/list", ROUTE_EXACT, ROUTE_GET, api_event_list, HANDLER},
};

#define ROUTES_COUNT (sizeof(routes) / sizeof(routes[0]))

/* ---- Replies ------------------------------------------------------ */

void api_outcome_init(struct api_outcome *o)
{
    *o = (struct api_outcome){.kind = API_REPLY, .status = 200};
    buf_init(&o->body, REPLY_BYTES_MAX);
}

void api_outcome_release(struct api_outcome *o)
{
    buf_release(&o->body);
    *o = (struct api_outcome){0};
}

static void add_header(struct api_outcome *o, const char *name,
                       const char *value)
{
    CHECK(o->headers_count < API_HEADERS_MAX);
    o->headers[o->headers_count++] =
        (struct api_header){.name = name, .value = value};
}

void api_header(struct api_call *call, const char *name, const char *value)
{
    add_header(call->outcome, name, value);
}

void api_fail(int status, const char *text, struct api_outcome *out_outcome)
{
    api_outcome_init(out_outcome);
    out_outcome->status = status;
    add_header(out_outcome, "Content-Type", "text/plain; charset=utf-8");
    CHECK(buf_add_str(&out_outcome->body, text) == ST_OK);
}

void api_text(struct api_call *call, int status, const char *format, ...)
{
    struct api_outcome *o = call->outcome;
    char text[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    o->kind = API_REPLY;
    o->status = status;
    buf_clear(&o->body);
    if (status == 404 && o->headers_count == 0) {
        /* python-consul reads it off every 404. */
        api_header(call, "X-Consul-Index", api_revision_text(call));
    }
    add_header(o, "Content-Type", "text/plain; charset=utf-8");
    CHECK(buf_add_str(&o->body, text) == ST_OK);
}

const char *api_revision_text(const struct api_call *call)
{
    int64_t revision = catalog_revision(call->view->catalog);

    return arena_printf(call->arena, "%lld",
                        (long long)(revision < 1 ? 1 : revision));
}

void api_done(struct api_call *call)
{
    call->outcome->kind = API_REPLY;
    call->outcome->status = 200;
}

struct jsonw *api_json(struct api_call *call, int status)
{
    call->outcome->kind = API_REPLY;
    call->outcome->status = status;
    api_header(call, "Content-Type", "application/json");
    jsonw_init(&call->json, &call->outcome->body,
               api_param(call, "pretty") != NULL ? JSONW_PRETTY
                                                 : JSONW_COMPACT);
    return &call->json;
}

void api_json_end(struct api_call *call)
{
    bool fits = jsonw_finish(&call->json) == ST_OK;
    bool exhausted = call->filter != NULL && filter_exhausted(call->filter);

    if (fits && !exhausted) {
        /* As Consul: whoever shows no token is not told that there is more. */
        if (call->filtered && !call->auth.anonymous) {
            api_header(call, "X-Consul-Results-Filtered-By-ACLs", "true");
        }
        return;
    }
    call->outcome->headers_count = 0;
    if (exhausted) {
        api_text(call, 400,
                 "filter: its comparisons cost too much on this list; make the "
                 "regular expressions simpler, or ask for fewer entries");
        return;
    }
    api_text(call, 500, "The reply would be larger than %d MiB",
             REPLY_BYTES_MAX / (1024 * 1024));
}

/* ---- Routes ------------------------------------------------------- */

static bool method_is(const struct api_request *r, const char *method)
{
    return slice_eq(r->method, slice_str(method));
}

static bool method_fits(const struct api_request *r, const struct route *route)
{
    bool reads = method_is(r, "GET") || method_is(r, "HEAD");
    bool writes = method_is(r, "PUT") || method_is(r, "POST");

    switch (route->method) {
    case ROUTE_GET:
        return reads;
    case ROUTE_PUT:
        return writes;
    case ROUTE_ANY:
        return writes || method_is(r, "GET");
    case ROUTE_ALL:
        return reads || writes || method_is(r, "DELETE");
    }
    UNREACHABLE();
}

enum api_verb api_verb(const struct api_call *call)
{
    if (method_is(call->request, "DELETE")) {
        return API_VERB_DELETE;
    }
    return method_is(call->request, "GET") || method_is(call->request, "HEAD")
               ? API_VERB_READ
               : API_VERB_WRITE;
}

static bool path_fits(const struct api_request *r, const struct route *route,
                      struct slice *out_rest)
{
    struct slice path = slice_str(route->path);

    if (route->kind == ROUTE_EXACT) {
        *out_rest = (struct slice){0};
        return slice_eq(r->path, path);
    }
    if (!slice_starts(r->path, path)) {
        return false;
    }
    *out_rest = slice_skip(r->path, path.len);
    return true;
}

/* A path may have a row for each of its methods. If none of them fits, the
 * first row of the path is found. */
static const struct route *find_route(const struct api_request *r,
                                      struct slice *out_rest)
{
    const struct route *first = NULL;
    struct slice rest;

    for (size_t i = 0; i < ROUTES_COUNT; i++) {
        if (first != NULL && strcmp(first->path, routes[i].path) != 0) {
            continue;
        }
        if (!path_fits(r, &routes[i], &rest)) {
            continue;
        }
        *out_rest = rest;
        if (method_fits(r, &routes[i])) {
            return &routes[i];
        }
        first = first == NULL ? &routes[i] : first;
    }
    return first;
}

static bool is_default_name(const char *name)
{
    return name == NULL || *name == '\0' || strcmp(name, "default") == 0;
}

/* Parameters that decide whether the request is for us at all. */
static bool accept_target(struct api_call *call)
{
    if (!is_default_name(api_param(call, "ns")) ||
        !is_default_name(api_param(call, "partition"))) {
        api_text(call, 400,
                 "Only the namespace and partition \"default\" "
                 "exist");
        return false;
    }
    return api_accept_datacenter(call);
}

/* 405, or what OPTIONS asks for: RFC 9110, 9.3.7. */
static void tell_methods(struct api_call *call, const struct route *route)
{
    static const char *const allowed[] = {
        [ROUTE_GET] = "OPTIONS, GET, HEAD",
        [ROUTE_PUT] = "OPTIONS, PUT, POST",
        [ROUTE_ANY] = "OPTIONS, PUT, POST, GET",
        [ROUTE_ALL] = "OPTIONS, GET, HEAD, PUT, POST, DELETE"};

    api_header(call, "Allow", allowed[route->method]);
    if (method_is(call->request, "OPTIONS")) {
        api_done(call);
        return;
    }
    api_text(call, 405, "method %.*s not allowed",
             (int)call->request->method.len,
             (const char *)call->request->method.data);
}

/* GET of a route that changes something is a change, too. */
static bool is_change(const struct api_request *r, const struct route *route)
{
    return route->method == ROUTE_ANY ||
           (!method_is(r, "GET") && !method_is(r, "HEAD"));
}

static bool accept(struct api_call *call, const struct route *route)
{
    return (!is_change(call->request, route) || api_accept_change(call)) &&
           api_params_read(call) && accept_target(call) && api_identify(call) &&
           api_grant(call, &route->need);
}

void api_handle(const struct api_request *request, const struct api_view *view,
                struct arena *arena, struct api_outcome *out_outcome)
{
    struct api_call call = {.request = request,
                            .view = view,
                            .arena = arena,
                            .outcome = out_outcome};
    const struct route *route;
    struct slice rest;

    api_outcome_init(out_outcome);
    if (!api_accept_site(&call)) {
        return;
    }
    route = find_route(request, &rest);
    if (route == NULL) {
        api_absent(&call);
        return;
    }
    if (!method_fits(request, route)) {
        tell_methods(&call, route);
        return;
    }
    call.rest = api_decode(arena, rest, false);
    if (call.rest == NULL) {
        api_text(&call, 400, "Invalid percent code in the path");
        return;
    }
    if (route->kind == ROUTE_ONE && *call.rest == '\0') {
        api_text(&call, 400, "Missing the name behind %s", route->path);
        return;
    }
    if (accept(&call, route)) {
        route->handle(&call);
        api_settle_wait(&call, route->handle);
        out_outcome->datacenter = call.is_elsewhere ? call.dc : NULL;
    }
}

void api_txn_done(enum sync_result result, const struct api_view *view,
                  struct arena *arena, struct api_outcome *out_outcome)
{
    (void)view;
    (void)arena;
    if (result == SYNC_WRITTEN && out_outcome->body.len > 0) {
        out_outcome->kind = API_REPLY; /* It was made beforehand. */
        return;
    }
    api_outcome_release(out_outcome);
    switch (result) {
    case SYNC_WRITTEN:
        api_outcome_init(out_outcome);
        add_header(out_outcome, "Content-Type", "application/json");
        CHECK(buf_add_str(&out_outcome->body, "true") == ST_OK);
        return;
    case SYNC_GUARDED:
        api_fail(500,
                 "The records were changed by somebody else meanwhile, or what "
                 "the store has under their keys cannot be read: then the "
                 "agent's log names the key to delete",
                 out_outcome);
        return;
    case SYNC_REFUSED:
        api_fail(403, "Permission denied", out_outcome);
        return;
    case SYNC_FAILED:
        api_fail(500, "No cluster leader", out_outcome);
        return;
    }
    UNREACHABLE();
}
