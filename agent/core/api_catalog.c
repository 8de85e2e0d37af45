/*
 * Reads of the catalogue, all from one snapshot.
 */
#include <stdlib.h>

#include "agent/core/api_model.h"
#include "base/core/check.h"

/* ---- The catalogue ------------------------------------------------ */

static bool write_tag(void *ctx, struct slice tag)
{
    jsonw_slice(ctx, tag);
    return true;
}

struct tag_list {
    struct api_call *call;
    const char **items;
    size_t count;
    size_t cap;
    bool any; /* An instance is chosen, on a node that matches. */
};

static bool gather_tags(void *ctx, const struct catalog_instance *i)
{
    struct tag_list *list = ctx;
    const struct catalog_node *node = api_node_of(list->call, i);

    if (node == NULL || !api_node_matches(list->call, &node->record) ||
        !api_chosen(list->call, node, i)) {
        return true;
    }
    list->any = true;
    for (size_t k = 0; k < i->record.tags.count; k++) {
        if (list->count == list->cap) {
            list->cap = list->cap == 0 ? 32 : 2 * list->cap;
            list->items =
                realloc(list->items, list->cap * sizeof(*list->items));
            CHECK(list->items != NULL);
        }
        list->items[list->count++] = i->record.tags.items[k];
    }
    return true;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Only what the chosen instances on matching nodes have. */
static void write_matching(struct api_call *call,
                           const struct catalog_service *s)
{
    struct tag_list list = {.call = call};

    catalog_each_instance(s, gather_tags, &list);
    if (list.count > 0) {
        qsort(list.items, list.count, sizeof(*list.items), compare_texts);
    }
    if (list.any) {
        jsonw_key(&call->json, catalog_service_name(s));
        jsonw_list(&call->json);
        for (size_t i = 0; i < list.count; i++) {
            if (i == 0 || strcmp(list.items[i - 1], list.items[i]) != 0) {
                jsonw_text(&call->json, list.items[i]);
            }
        }
        jsonw_list_end(&call->json);
    }
    free(list.items);
}

static bool write_name_and_tags(void *ctx, const struct catalog_service *s)
{
    struct api_call *call = ctx;

    if (!api_sees(call, ACL_SERVICE, catalog_service_name(s))) {
        return true;
    }
    if (api_param(call, "node-meta") != NULL || call->filter != NULL) {
        write_matching(call, s);
        return true;
    }
    jsonw_key(&call->json, catalog_service_name(s));
    jsonw_list(&call->json);
    catalog_each_tag(s, write_tag, &call->json);
    jsonw_list_end(&call->json);
    return true;
}

/* With conditions, more than names and tags decide. */
static struct catalog_scope services_scope(const struct api_call *call)
{
    bool plain = call->filter == NULL && api_param(call, "node-meta") == NULL;

    return (struct catalog_scope){.kind = plain ? SCOPE_SERVICES : SCOPE_ALL};
}

void api_catalog_services(struct api_call *call)
{
    struct jsonw *w;

    if (!api_filter_read(call, API_FILTER_FLAT) ||
        !api_ready(call, services_scope(call))) {
        return;
    }
    w = api_json(call, 200);
    jsonw_object(w);
    catalog_each_service(call->view->catalog, write_name_and_tags, call);
    jsonw_object_end(w);
    api_json_end(call);
}

static void write_flat_node(struct api_call *call, const struct catalog_node *n)
{
    struct jsonw *w = &call->json;

    jsonw_key_text(w, "ID", n->record.id);
    jsonw_key_text(w, "Node", n->record.name);
    jsonw_key_text(w, "Address", api_node_address(call, &n->record));
    jsonw_key_text(w, "Datacenter", catalog_datacenter(call->view->catalog));
    jsonw_key(w, "TaggedAddresses");
    api_write_pairs(w, n->record.tagged);
    jsonw_key(w, "NodeMeta");
    api_write_pairs(w, n->record.meta);
}

static void write_flat_service(struct api_call *call,
                               const struct instance_record *r)
{
    struct jsonw *w = &call->json;

    jsonw_key_text(w, "ServiceKind", r->kind);
    jsonw_key_text(w, "ServiceID", r->id);
    jsonw_key_text(w, "ServiceName", r->service);
    jsonw_key(w, "ServiceTags");
    api_write_texts(w, r->tags);
    jsonw_key_text(w, "ServiceAddress", api_service_address(call, r));
    jsonw_key(w, "ServiceTaggedAddresses");
    api_write_tagged(w, r);
    jsonw_key(w, "ServiceWeights");
    api_write_weights(w, r->weight_passing, r->weight_warning);
    jsonw_key(w, "ServiceMeta");
    api_write_pairs(w, r->meta);
    jsonw_key_uint(w, "ServicePort", api_service_port(call, r));
    if (r->ports_count > 0) {
        jsonw_key(w, "ServicePorts");
        api_write_ports(w, r->ports, r->ports_count);
    }
    jsonw_key_text(w, "ServiceSocketPath", r->socket_path);
    jsonw_key_bool(w, "ServiceEnableTagOverride", r->enable_tag_override);
    jsonw_key(w, "ServiceProxy");
    jsonw_object(w);
    jsonw_object_end(w);
    jsonw_key(w, "ServiceConnect");
    api_write_connect(w, r->connect_native);
    jsonw_key(w, "ServiceLocality");
    jsonw_null(w);
}

struct flat_query {
    struct api_call *call;
    bool native;
};

static bool write_flat(void *ctx, const struct catalog_instance *i)
{
    const struct flat_query *q = ctx;
    struct api_call *call = q->call;
    const struct catalog_node *node = api_node_of(call, i);

    if (node == NULL || !api_has_turn(call, &node->record) ||
        !api_node_matches(call, &node->record) ||
        !api_tags_match(call, i->record.tags) ||
        (q->native && !i->record.connect_native) ||
        !api_chosen(call, node, i)) {
        return true;
    }
    jsonw_object(&call->json);
    write_flat_node(call, node);
    write_flat_service(call, &i->record);
    jsonw_key_int(&call->json, "CreateIndex", i->create_revision);
    jsonw_key_int(&call->json, "ModifyIndex", i->mod_revision);
    jsonw_object_end(&call->json);
    return true;
}

static void flat_list(struct flat_query q)
{
    struct api_call *call = q.call;
    struct catalog_scope scope = {.kind = SCOPE_SERVICE, .name = call->rest};
    const struct catalog_service *s =
        catalog_service(call->view->catalog, call->rest);

    if (!api_filter_read(call, API_FILTER_FLAT) || !api_ready(call, scope)) {
        return;
    }
    jsonw_list(api_json(call, 200));
    while (s != NULL && api_next_turn(call)) {
        catalog_each_instance(s, write_flat, &q);
    }
    jsonw_list_end(&call->json);
    api_json_end(call);
}

void api_catalog_service(struct api_call *call)
{
    flat_list((struct flat_query){.call = call});
}

void api_catalog_connect(struct api_call *call)
{
    flat_list((struct flat_query){.call = call, .native = true});
}

static bool write_matching_node(void *ctx, const struct catalog_node *n)
{
    if (api_has_turn(ctx, &n->record) &&
        api_sees(ctx, ACL_NODE, n->record.name) &&
        api_node_matches(ctx, &n->record) && api_chosen(ctx, n, NULL)) {
        api_write_node(ctx, n);
    }
    return true;
}

void api_catalog_nodes(struct api_call *call)
{
    if (!api_filter_read(call, API_FILTER_NODES) ||
        !api_ready(call, (struct catalog_scope){.kind = SCOPE_NODES})) {
        return;
    }
    jsonw_list(api_json(call, 200));
    while (api_next_turn(call)) {
        catalog_each_node(call->view->catalog, write_matching_node, call);
    }
    jsonw_list_end(&call->json);
    api_json_end(call);
}

/* ---- One node ----------------------------------------------------- */

static bool write_keyed_service(void *ctx, const struct catalog_instance *i)
{
    struct api_call *call = ctx;

    if (api_sees_instance(call, i) && api_chosen(call, NULL, i)) {
        jsonw_key(&call->json, i->record.id);
        api_write_service(call, i);
    }
    return true;
}

static bool write_listed_service(void *ctx, const struct catalog_instance *i)
{
    if (api_sees_instance(ctx, i) && api_chosen(ctx, NULL, i)) {
        api_write_service(ctx, i);
    }
    return true;
}

const struct catalog_node *api_known_node(struct api_call *call)
{
    const struct catalog_node *n =
        catalog_node(call->view->catalog, call->rest);

    return n == NULL || !n->known || !api_sees(call, ACL_NODE, n->record.name)
               ? NULL
               : n;
}

struct catalog_scope api_node_scope(const struct api_call *call)
{
    return (struct catalog_scope){.kind = SCOPE_NODE, .name = call->rest};
}

void api_catalog_node(struct api_call *call)
{
    const struct catalog_node *n = api_known_node(call);
    struct jsonw *w;

    if (!api_filter_read(call, API_FILTER_SERVICES) ||
        !api_ready(call, api_node_scope(call))) {
        return;
    }
    w = api_json(call, 200);
    if (n == NULL) {
        jsonw_null(w);
        api_json_end(call);
        return;
    }
    jsonw_object(w);
    jsonw_key(w, "Node");
    api_write_node(call, n);
    jsonw_key(w, "Services");
    jsonw_object(w);
    catalog_each_node_instance(call->view->catalog, call->rest,
                               write_keyed_service, call);
    jsonw_object_end(w);
    jsonw_object_end(w);
    api_json_end(call);
}

void api_catalog_node_services(struct api_call *call)
{
    const struct catalog_node *n = api_known_node(call);
    struct jsonw *w;

    if (!api_filter_read(call, API_FILTER_SERVICES) ||
        !api_ready(call, api_node_scope(call))) {
        return;
    }
    w = api_json(call, 200);
    jsonw_object(w);
    jsonw_key(w, "Node");
    if (n == NULL) {
        jsonw_null(w);
    } else {
        api_write_node(call, n);
    }
    jsonw_key(w, "Services");
    jsonw_list(w);
    if (n != NULL) {
        catalog_each_node_instance(call->view->catalog, call->rest,
                                   write_listed_service, call);
    }
    jsonw_list_end(w);
    jsonw_object_end(w);
    api_json_end(call);
}

/* ---- The store ---------------------------------------------------- */

void api_status_leader(struct api_call *call)
{
    jsonw_text(api_json(call, 200), call->view->leader);
    api_json_end(call);
}

void api_status_peers(struct api_call *call)
{
    api_write_texts(api_json(call, 200), call->view->peers);
    api_json_end(call);
}
