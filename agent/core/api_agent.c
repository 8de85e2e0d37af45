/*
 * Reads of the agent itself: who it is, what is registered here, how it does.
 */
#include <stdio.h>

#include "agent/core/api_model.h"
#include "base/core/check.h"
#include "base/core/hash.h"

/* ---- Who ---------------------------------------------------------- */

static void write_config(struct api_call *call)
{
    const struct local_host *host = local_host(call->view->local);
    struct jsonw *w = &call->json;

    jsonw_key(w, "Config");
    jsonw_object(w);
    jsonw_key_text(w, "Datacenter", host->datacenter);
    jsonw_key_text(w, "PrimaryDatacenter", host->datacenter);
    jsonw_key_text(w, "NodeName", host->node.name);
    jsonw_key_text(w, "NodeID", host->node.id);
    jsonw_key_text(w, "Revision", "");
    jsonw_key_bool(w, "Server", false);
    jsonw_key_text(w, "Version", call->view->api_level);
    jsonw_key_text(w, "BuildDate", "2026-01-01T00:00:00Z");
    jsonw_object_end(w);
}

/* As long as nothing has been measured, nowhere. */
static void write_coordinate(struct api_call *call)
{
    const struct local_host *host = local_host(call->view->local);
    struct coord at;
    bool known = coords_find(call->view->coords, host->node.name, &at);

    jsonw_key(&call->json, "Coord");
    api_write_coord(call, known ? &at : NULL);
}

enum member_status {
    MEMBER_ALIVE = 1,
    MEMBER_FAILED = 4
};

/* Between datacenters names have the datacenter behind them, as in
 * /v1/coordinate/datacenters. */
static const char *member_name(const struct api_call *call, const char *node)
{
    return api_flag(call, "wan")
               ? arena_printf(call->arena, "%s.%s", node, call->dc)
               : node;
}

/* What a Consul agent that is no server tells of itself; version and protocol
 * are those of the API. */
static void write_member_tags(struct api_call *call,
                              const struct node_record *node)
{
    struct jsonw *w = &call->json;

    jsonw_key(w, "Tags");
    jsonw_object(w);
    jsonw_key_text(w, "role", "node");
    jsonw_key_text(w, "dc", call->dc);
    jsonw_key_text(w, "segment", "");
    jsonw_key_text(w, "id", node->id);
    jsonw_key_text(w, "build",
                   arena_printf(call->arena, "%s:", call->view->api_level));
    jsonw_key_text(w, "vsn", "2");
    jsonw_key_text(w, "vsn_min", "2");
    jsonw_key_text(w, "vsn_max", "3");
    jsonw_object_end(w);
}

static void write_member(struct api_call *call, const struct node_record *node,
                         enum member_status status)
{
    struct jsonw *w = &call->json;

    jsonw_object(w);
    jsonw_key_text(w, "Name", member_name(call, node->name));
    jsonw_key_text(w, "Addr", node->address);
    jsonw_key_int(w, "Port", 8301);
    write_member_tags(call, node);
    jsonw_key_int(w, "Status", status);
    jsonw_key_int(w, "ProtocolMin", 1);
    jsonw_key_int(w, "ProtocolMax", 2);
    jsonw_key_int(w, "ProtocolCur", 2);
    jsonw_key_int(w, "DelegateMin", 2);
    jsonw_key_int(w, "DelegateMax", 5);
    jsonw_key_int(w, "DelegateCur", 4);
    jsonw_object_end(w);
}

static void write_fault(void *ctx, const char *file, const char *text)
{
    jsonw_key_text(ctx, file, text);
}

static void write_stats(struct api_call *call)
{
    struct jsonw *w = &call->json;

    jsonw_key(w, "Stats");
    jsonw_object(w);
    jsonw_key(w, "muster");
    jsonw_object(w);
    jsonw_key_text(w, "version", call->view->version);
    for (size_t i = 0; i < call->view->stats.count; i++) {
        jsonw_key_text(w, call->view->stats.items[i].key,
                       call->view->stats.items[i].value);
    }
    jsonw_object_end(w);
    /* Sidecar files whose last content was refused. */
    jsonw_key(w, "file_faults");
    jsonw_object(w);
    local_each_fault(call->view->local, write_fault, w);
    jsonw_object_end(w);
    jsonw_object_end(w);
}

void api_agent_self(struct api_call *call)
{
    const struct node_record *node = &local_host(call->view->local)->node;
    struct jsonw *w = api_json(call, 200);

    jsonw_object(w);
    write_config(call);
    jsonw_key(w, "DebugConfig");
    jsonw_object(w);
    jsonw_object_end(w);
    write_coordinate(call);
    jsonw_key(w, "Member");
    write_member(call, node, MEMBER_ALIVE);
    write_stats(call);
    jsonw_key(w, "Meta");
    api_write_pairs(w, node->meta);
    jsonw_object_end(w);
    api_json_end(call);
}

static bool write_node_member(void *ctx, const struct catalog_node *n)
{
    if (!n->record.external && api_sees(ctx, ACL_NODE, n->record.name)) {
        write_member(ctx, &n->record, n->live ? MEMBER_ALIVE : MEMBER_FAILED);
    }
    return true;
}

void api_agent_members(struct api_call *call)
{
    const char *segment = api_param(call, "segment");
    struct jsonw *w;

    if (segment != NULL && *segment != '\0' && strcmp(segment, "_all") != 0) {
        api_text(call, 400, "There are no network segments here");
        return;
    }
    w = api_json(call, 200);
    jsonw_list(w);
    catalog_each_node(call->view->catalog, write_node_member, call);
    jsonw_list_end(w);
    api_json_end(call);
}

/* For init systems and load balancers: 200 once there is a catalogue, however
 * old, to answer from. */
void api_agent_ready(struct api_call *call)
{
    if (catalog_revision(call->view->catalog) == 0) {
        api_text(call, 503, "The catalogue has never been read");
    } else {
        api_text(call, 200, "ready");
    }
}

void api_agent_live(struct api_call *call)
{
    api_text(call, 200, "live");
}

void api_agent_version(struct api_call *call)
{
    struct jsonw *w = api_json(call, 200);

    jsonw_object(w);
    jsonw_key_text(w, "SHA", "");
    jsonw_key_text(w, "BuildDate", "2026-01-01T00:00:00Z");
    jsonw_key_text(w, "HumanVersion", call->view->api_level);
    jsonw_key_text(w, "FIPS", "");
    jsonw_object_end(w);
    api_json_end(call);
}

void api_agent_metrics(struct api_call *call)
{
    const char *format = api_param(call, "format");
    bool text = slice_eq(call->request->path, slice_str("/v1/metrics")) ||
                (format != NULL && strcmp(format, "prometheus") == 0) ||
                api_accepts(call, "openmetrics");

    call->outcome->kind = API_METRICS;
    call->outcome->metrics = text ? API_METRICS_TEXT : API_METRICS_JSON;
}

/* ---- Services and checks ------------------------------------------ */

static bool write_service(void *ctx, const struct local_service *s)
{
    struct api_call *call = ctx;

    if (!api_sees(call, ACL_SERVICE, s->def->name) ||
        !api_chosen_local(call, s->def)) {
        return true;
    }
    jsonw_key(&call->json, s->def->id);
    jsonw_object(&call->json);
    api_write_local_service(call, s);
    jsonw_object_end(&call->json);
    return true;
}

void api_agent_services(struct api_call *call)
{
    struct jsonw *w;

    if (!api_filter_read(call, API_FILTER_SERVICES)) {
        return;
    }
    w = api_json(call, 200);
    jsonw_object(w);
    local_each_service(call->view->local, write_service, call);
    jsonw_object_end(w);
    api_json_end(call);
}

/* A check as its agent knows it; `room` holds what the view points to. */
static struct check_view view_of(const struct api_call *call,
                                 const struct local_check *c,
                                 struct check_record *room)
{
    *room = (struct check_record){.id = c->def->id,
                                  .name = c->def->name,
                                  .notes = c->def->notes,
                                  .output = c->output,
                                  .type = c->def->type,
                                  .status = c->status,
                                  .interval_ms = c->def->interval_ms,
                                  .timeout_ms = c->def->timeout_ms};
    return (struct check_view){
        .node = local_host(call->view->local)->node.name,
        .record = room,
        .output = c->output,
        .service_id = c->def->service_id,
        .service_name = c->service_name,
        .service_tags = c->service_tags,
    };
}

static bool write_check(void *ctx, const struct local_check *c)
{
    struct api_call *call = ctx;
    struct check_record room;
    struct check_view view = view_of(call, c, &room);
    bool of_node = *c->def->service_id == '\0';
    bool seen = of_node ? api_sees(call, ACL_NODE,
                                   local_host(call->view->local)->node.name)
                        : api_sees(call, ACL_SERVICE, c->service_name);

    if (seen && api_chosen_check(call, &view)) {
        jsonw_key(&call->json, c->def->id);
        api_write_check(call, &view);
    }
    return true;
}

void api_agent_checks(struct api_call *call)
{
    struct jsonw *w;

    if (!api_filter_read(call, API_FILTER_CHECKS)) {
        return;
    }
    w = api_json(call, 200);
    jsonw_object(w);
    local_each_check(call->view->local, write_check, call);
    jsonw_object_end(w);
    api_json_end(call);
}

/* 16 hex digits over what the endpoint shows. */
static const char *content_hash(struct api_call *call,
                                const struct service_def *def)
{
    static const struct hash_key key = {0x636f6e74656e7401, 0x6861736800000002};
    struct buf text;
    uint64_t hash;

    buf_init(&text, LIMIT_RECORD_BYTES);
    (void)service_def_write(def, &text); /* Cut at the limit hashes as well. */
    hash = hash_bytes(key, buf_slice(&text));
    buf_release(&text);
    return arena_printf(call->arena, "%016llx", (unsigned long long)hash);
}

void api_agent_service(struct api_call *call)
{
    struct local_service s;
    const char *asked = api_param(call, "hash");
    uint64_t deadline_ms;
    const char *hash;
    struct jsonw *w;

    if (!api_read_wait(call, &deadline_ms)) {
        return;
    }
    deadline_ms += call->request->arrived_ms;

    if (!local_service_get(call->view->local, call->rest, &s)) {
        api_text(call, 404, "unknown service ID: %.512s", call->rest);
        return;
    }
    if (!api_demand(call, ACL_SERVICE, s.def->name, ACL_READ)) {
        return;
    }
    hash = content_hash(call, s.def);
    if (asked != NULL && strcmp(asked, hash) == 0 &&
        call->view->now.now_ms < deadline_ms) {
        call->outcome->kind = API_HASH_WAIT;
        call->outcome->deadline_ms = deadline_ms;
        return;
    }
    api_header(call, "X-Consul-ContentHash", hash);
    w = api_json(call, 200);
    jsonw_object(w);
    api_write_local_service(call, &s);
    jsonw_key_text(w, "ContentHash", hash);
    jsonw_object_end(w);
    api_json_end(call);
}

/* ---- Health for load balancers: the status code says it ----------- */

static int health_code(enum health_sum sum)
{
    switch (sum) {
    case HEALTH_PASSING:
        return 200;
    case HEALTH_WARNING:
        return 429;
    case HEALTH_CRITICAL:
    case HEALTH_MAINTENANCE:
        return 503;
    }
    UNREACHABLE();
}

struct health_page {
    struct api_call *call;
    const char *service_id;   /* For checks: whose. */
    const char *service_name; /* For services: which. */
    enum health_sum worst;
    size_t count;
};

static bool write_its_check(void *ctx, const struct local_check *c)
{
    const struct health_page *p = ctx;
    struct check_record room;
    struct check_view view = view_of(p->call, c, &room);

    if (*c->def->service_id == '\0' ||
        strcmp(c->def->service_id, p->service_id) == 0) {
        api_write_check(p->call, &view);
    }
    return true;
}

static void write_health(struct health_page *p, const struct local_service *s)
{
    struct jsonw *w = &p->call->json;

    p->service_id = s->def->id;
    jsonw_object(w);
    jsonw_key_text(w, "AggregatedStatus", health_sum_text(s->health));
    jsonw_key(w, "Service");
    jsonw_object(w);
    api_write_local_service(p->call, s);
    jsonw_object_end(w);
    jsonw_key(w, "Checks");
    jsonw_list(w);
    local_each_check(p->call->view->local, write_its_check, p);
    jsonw_list_end(w);
    jsonw_object_end(w);
}

static bool wants_text(const struct api_call *call)
{
    const char *format = api_param(call, "format");

    return (format != NULL && strcmp(format, "text") == 0) ||
           api_accepts(call, "text/plain");
}

/* Begins the reply: its status code says the health, and so do a header and, if
 * that is all that was asked for, the body; then false. */
static bool begin_health(struct api_call *call, int status, const char *reason)
{
    if (status == 404) {
        api_header(call, "X-Consul-Index", api_revision_text(call));
    }
    api_header(call, "X-Consul-Reason", reason);
    if (wants_text(call)) {
        api_text(call, status, "%s", reason);
        return false;
    }
    (void)api_json(call, status);
    return true;
}

/* What the path names, in words that fit into a header. */
static const char *unknown_text(const struct api_call *call, const char *kind,
                                const char *end)
{
    char *name = arena_strdup(call->arena, slice_str(call->rest));

    for (char *c = name; *c != '\0'; c++) {
        *c = *c < ' ' || *c > '~' ? '?' : *c;
    }
    return arena_printf(call->arena, "%s %.512s %s", kind, name, end);
}

static void reply_unknown_id(struct api_call *call)
{
    struct jsonw *w = &call->json;

    if (!begin_health(call, 404,
                      unknown_text(call, "ServiceId", "not found"))) {
        return;
    }
    jsonw_object(w);
    jsonw_key_text(w, "AggregatedStatus", health_sum_text(HEALTH_CRITICAL));
    jsonw_key(w, "Service");
    jsonw_null(w);
    jsonw_key(w, "Checks");
    jsonw_list(w);
    jsonw_list_end(w);
    jsonw_object_end(w);
    api_json_end(call);
}

void api_agent_health_id(struct api_call *call)
{
    struct health_page p = {.call = call};
    struct local_service s;

    if (!local_service_get(call->view->local, call->rest, &s)) {
        reply_unknown_id(call);
        return;
    }
    if (api_demand(call, ACL_SERVICE, s.def->name, ACL_READ) &&
        begin_health(call, health_code(s.health), health_sum_text(s.health))) {
        write_health(&p, &s);
        api_json_end(call);
    }
}

static bool add_named(void *ctx, const struct local_service *s)
{
    struct health_page *p = ctx;

    if (strcmp(s->def->name, p->service_name) == 0) {
        p->worst = s->health > p->worst ? s->health : p->worst;
        p->count++;
    }
    return true;
}

static bool write_named(void *ctx, const struct local_service *s)
{
    struct health_page *p = ctx;

    if (strcmp(s->def->name, p->service_name) == 0) {
        write_health(p, s);
    }
    return true;
}

void api_agent_health_name(struct api_call *call)
{
    struct health_page p = {.call = call, .service_name = call->rest};

    bool found;

    local_each_service(call->view->local, add_named, &p);
    found = p.count > 0;
    if (begin_health(call, found ? health_code(p.worst) : 404,
                     found ? health_sum_text(p.worst)
                           : unknown_text(call, "ServiceName", "Not Found"))) {
        jsonw_list(&call->json);
        local_each_service(call->view->local, write_named, &p);
        jsonw_list_end(&call->json);
        api_json_end(call);
    }
}
