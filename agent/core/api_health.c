/*
 * Reads of health, all from one snapshot.
 */
#include "agent/core/api_model.h"

/* ---- Instances with their checks ---------------------------------- */

struct health_query {
    struct api_call *call;
    bool passing;
    bool native;
};

static bool write_health(void *ctx, const struct catalog_instance *i)
{
    const struct health_query *q = ctx;
    struct api_call *call = q->call;
    const struct catalog_node *node = api_node_of(call, i);

    if (node == NULL || !api_has_turn(call, &node->record) ||
        !api_node_matches(call, &node->record) ||
        !api_tags_match(call, i->record.tags) ||
        (q->native && !i->record.connect_native) ||
        (q->passing &&
         catalog_instance_health(call->view->catalog, i) != HEALTH_PASSING) ||
        !api_chosen(call, node, i)) {
        return true;
    }
    api_write_entry(call, node, i);
    return true;
}

static void health_service(struct api_call *call, struct health_query q)
{
    struct catalog_scope scope = {.kind = SCOPE_SERVICE, .name = call->rest};
    const struct catalog_service *s =
        catalog_service(call->view->catalog, call->rest);

    if (!api_truth_read(call, "passing", &q.passing) ||
        !api_filter_read(call, API_FILTER_HEALTH) || !api_ready(call, scope)) {
        return;
    }
    jsonw_list(api_json(call, 200));
    while (s != NULL && api_next_turn(call)) {
        catalog_each_instance(s, write_health, &q);
    }
    jsonw_list_end(&call->json);
    api_json_end(call);
}

void api_health_service(struct api_call *call)
{
    health_service(call, (struct health_query){.call = call});
}

void api_health_connect(struct api_call *call)
{
    health_service(call, (struct health_query){.call = call, .native = true});
}

/* ---- Checks ------------------------------------------------------- */

static void write_chosen(void *ctx, struct api_call *call,
                         const struct check_view *check)
{
    (void)ctx;
    if (api_chosen_check(call, check)) {
        api_write_check(call, check);
    }
}

static bool write_checks(void *ctx, const struct catalog_instance *i)
{
    struct api_call *call = ctx;
    const struct catalog_node *node = api_node_of(call, i);

    if (node != NULL && api_has_turn(call, &node->record) &&
        api_node_matches(call, &node->record)) {
        api_each_instance_check(call, node, i, write_chosen, NULL);
    }
    return true;
}

void api_health_checks(struct api_call *call)
{
    struct catalog_scope scope = {.kind = SCOPE_CHECKS, .name = call->rest};
    const struct catalog_service *s =
        catalog_service(call->view->catalog, call->rest);

    if (!api_filter_read(call, API_FILTER_CHECKS) || !api_ready(call, scope)) {
        return;
    }
    jsonw_list(api_json(call, 200));
    while (s != NULL && api_next_turn(call)) {
        catalog_each_instance(s, write_checks, call);
    }
    jsonw_list_end(&call->json);
    api_json_end(call);
}

void api_health_node(struct api_call *call)
{
    const struct catalog_node *n = api_known_node(call);

    if (!api_filter_read(call, API_FILTER_CHECKS) ||
        !api_ready(call, api_node_scope(call))) {
        return;
    }
    jsonw_list(api_json(call, 200));
    if (n != NULL) {
        api_each_node_check(call, n, write_chosen, NULL);
        catalog_each_node_instance(call->view->catalog, call->rest,
                                   write_checks, call);
    }
    jsonw_list_end(&call->json);
    api_json_end(call);
}

/* ---- Checks by status --------------------------------------------- */

struct state_query {
    struct api_call *call;
    const struct catalog_node *node;
    bool any;
    enum check_status status;
};

static void write_wanted(void *ctx, struct api_call *call,
                         const struct check_view *check)
{
    const struct state_query *q = ctx;

    if (q->any || q->status == check->record->status) {
        write_chosen(NULL, call, check);
    }
}

static bool write_instance_state(void *ctx, const struct catalog_instance *i)
{
    struct state_query *q = ctx;

    if (!api_sees_instance(q->call, i)) {
        return true;
    }
    api_each_instance_check(q->call, q->node, i, write_wanted, q);
    return true;
}

static bool write_node_state(void *ctx, const struct catalog_node *n)
{
    struct state_query *q = ctx;

    if (!api_has_turn(q->call, &n->record) ||
        !api_sees(q->call, ACL_NODE, n->record.name) ||
        !api_node_matches(q->call, &n->record)) {
        return true;
    }
    q->node = n;
    api_each_node_check(q->call, n, write_wanted, q);
    catalog_each_node_instance(q->call->view->catalog, n->record.name,
                               write_instance_state, q);
    return true;
}

void api_health_state(struct api_call *call)
{
    struct state_query q = {.call = call,
                            .any = strcmp(call->rest, "any") == 0};

    if (!q.any && !check_status_parse(slice_str(call->rest), &q.status)) {
        api_text(call, 400,
                 "Invalid state \"%.64s\"; use any, passing, warning or "
                 "critical",
                 call->rest);
        return;
    }
    if (!api_filter_read(call, API_FILTER_CHECKS) ||
        !api_ready(call, (struct catalog_scope){.kind = SCOPE_STATE})) {
        return;
    }
    jsonw_list(api_json(call, 200));
    while (api_next_turn(call)) {
        catalog_each_node(call->view->catalog, write_node_state, &q);
    }
    jsonw_list_end(&call->json);
    api_json_end(call);
}
