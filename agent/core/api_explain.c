/*
 * Why: GET /v1/explain/<service> and /v1/explain/dns?name=&type=&client=
 */
#include <strings.h>

#include "agent/core/api_model.h"

/* ---- Instances ---------------------------------------------------- */

/* One reason is enough to be left out, and the gravest is the one to mend. */
static const enum check_status worst_first[] = {CHECK_CRITICAL, CHECK_WARNING};

/* `ctx` is the status that is told of. */
static void write_reason(void *ctx, struct api_call *call,
                         const struct check_view *check)
{
    const struct check_record *r = check->record;

    if (r->status != *(const enum check_status *)ctx) {
        return;
    }
    jsonw_text(&call->json,
               arena_printf(call->arena, "check %s (%s) is %s%s%s", r->id,
                            r->name, check_status_text(r->status),
                            *check->output == '\0' ? "" : ": ", check->output));
}

static const struct api_dns_reason *dns_reason(const struct api_call *call,
                                               const struct catalog_instance *i)
{
    const struct api_dns_answer *a = call->view->explained;

    for (size_t k = 0; k < a->reasons_count; k++) {
        const struct api_dns_reason *r = &a->reasons[k];

        if (strcmp(r->id, i->record.id) == 0 &&
            (*r->node == '\0' || strcasecmp(r->node, i->record.node) == 0)) {
            return r;
        }
    }
    return NULL;
}

static void write_dns_reason(struct api_call *call,
                             const struct catalog_instance *i)
{
    const struct api_dns_reason *r = dns_reason(call, i);
    struct jsonw *w = &call->json;

    jsonw_key(w, "DNS");
    jsonw_object(w);
    jsonw_key_bool(w, "In", r != NULL && r->in);
    jsonw_key_text(w, "Why",
                   r == NULL ? "DNS does not have it: a name in it is no DNS "
                               "name"
                             : r->why);
    if (r != NULL) {
        jsonw_key_uint(w, "Weight", r->weight);
    }
    jsonw_object_end(w);
}

static bool write_instance(void *ctx, const struct catalog_instance *i)
{
    struct api_call *call = ctx;
    const struct catalog_node *node = api_node_of(call, i);
    enum health_sum health = catalog_instance_health(call->view->catalog, i);
    struct jsonw *w = &call->json;

    if (node == NULL) {
        return true;
    }
    jsonw_object(w);
    jsonw_key_text(w, "Node", node->record.name);
    jsonw_key_text(w, "ID", i->record.id);
    jsonw_key_text(w, "Status", health_sum_text(health));
    jsonw_key_bool(w, "Passing", health == HEALTH_PASSING);
    jsonw_key(w, "Why");
    jsonw_list(w);
    for (size_t k = 0; k < sizeof(worst_first) / sizeof(worst_first[0]); k++) {
        enum check_status status = worst_first[k];

        api_each_check(call, node, i, write_reason, &status);
    }
    jsonw_list_end(w);
    if (call->view->explained->trouble == NULL) {
        write_dns_reason(call, i);
    }
    jsonw_object_end(w);
    return true;
}

/* ---- The whole ---------------------------------------------------- */

static void write_replica(struct api_call *call)
{
    const struct api_view *v = call->view;
    struct jsonw *w = &call->json;

    jsonw_key(w, "Replica");
    jsonw_object(w);
    jsonw_key_int(w, "Index", catalog_revision(v->catalog));
    jsonw_key_bool(w, "KnownLeader", v->known_leader);
    jsonw_key_uint(w, "AgeMs", v->last_contact_ms);
    jsonw_object_end(w);
}

static void write_answer(struct api_call *call)
{
    const struct api_dns_answer *a = call->view->explained;
    struct jsonw *w = &call->json;

    jsonw_key(w, "DNS");
    jsonw_object(w);
    if (a->trouble != NULL) {
        jsonw_key_text(w, "Trouble", a->trouble);
        jsonw_object_end(w);
        return;
    }
    jsonw_key_text(w, "Name", a->name);
    jsonw_key_text(w, "Type", a->type);
    jsonw_key_text(w, "Code", a->code);
    if (a->query != NULL) {
        jsonw_key_text(w, "Query", a->query);
    }
    if (a->extended_error >= 0) {
        jsonw_key_int(w, "ExtendedError", a->extended_error);
    }
    jsonw_key_uint(w, "TTL", a->ttl_s);
    jsonw_key_text(w, "TTLSource", a->ttl_source);
    jsonw_key_uint(w, "Decided", a->decided);
    jsonw_key_uint(w, "Sent", a->sent);
    jsonw_key_uint(w, "Bytes", a->bytes);
    jsonw_key_bool(w, "Truncated", a->truncated);
    jsonw_object_end(w);
}

static void write_explained(struct api_call *call, const char *service)
{
    const struct catalog_service *s =
        catalog_service(call->view->catalog, service);
    struct jsonw *w = api_json(call, 200);

    jsonw_object(w);
    jsonw_key_text(w, "Service", service);
    write_replica(call);
    write_answer(call);
    jsonw_key(w, "Instances");
    jsonw_list(w);
    if (s != NULL) {
        catalog_each_instance(s, write_instance, call);
    }
    jsonw_list_end(w);
    jsonw_object_end(w);
    api_json_end(call);
}

static const char *or_default(const char *text, const char *otherwise)
{
    return text == NULL || *text == '\0' ? otherwise : text;
}

void api_explain(struct api_call *call)
{
    const char *name = api_param(call, "name");
    bool by_name = strcmp(call->rest, "dns") == 0 && name != NULL;

    if (by_name && !acl_may_below(&call->auth, ACL_SERVICE, "", ACL_READ)) {
        api_text(call, 403,
                 "Permission denied: service:read for all names is "
                 "needed");
        return;
    }
    if (!by_name && !api_demand(call, ACL_SERVICE, call->rest, ACL_READ)) {
        return;
    }
    if (call->view->explained == NULL) {
        call->outcome->kind = API_EXPLAIN;
        call->outcome->question = (struct api_question){
            .name = name,
            .service = by_name ? NULL : call->rest,
            .datacenter = call->is_elsewhere ? call->dc : NULL,
            .type = or_default(api_param(call, "type"), "SRV"),
            .client = or_default(api_param(call, "client"), "127.0.0.1"),
        };
        return;
    }
    if (by_name && call->view->explained->trouble != NULL) {
        api_text(call, 400, "%s", call->view->explained->trouble);
        return;
    }
    if (by_name && call->view->explained->datacenter != NULL &&
        !api_turn_to(call, call->view->explained->datacenter)) {
        return;
    }
    write_explained(call,
                    by_name ? call->view->explained->service : call->rest);
}
