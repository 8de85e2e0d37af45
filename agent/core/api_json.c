/*
 * Nodes, services and checks as Consul writes them. Lists and maps are never
 * null.
 */
#include "agent/core/api_model.h"
#include "agent/core/duration.h"
#include "base/core/check.h"

void api_write_texts(struct jsonw *w, struct texts texts)
{
    jsonw_list(w);
    for (size_t i = 0; i < texts.count; i++) {
        jsonw_text(w, texts.items[i]);
    }
    jsonw_list_end(w);
}

void api_write_pairs(struct jsonw *w, struct pairs pairs)
{
    jsonw_object(w);
    for (size_t i = 0; i < pairs.count; i++) {
        jsonw_key_text(w, pairs.items[i].key, pairs.items[i].value);
    }
    jsonw_object_end(w);
}

void api_write_tagged(struct jsonw *w, const struct tagged_address *tagged,
                      size_t count)
{
    jsonw_object(w);
    for (size_t i = 0; i < count; i++) {
        jsonw_key(w, tagged[i].name);
        jsonw_object(w);
        jsonw_key_text(w, "Address", tagged[i].address);
        jsonw_key_uint(w, "Port", tagged[i].port);
        jsonw_object_end(w);
    }
    jsonw_object_end(w);
}

void api_write_weights(struct jsonw *w, uint32_t passing, uint32_t warning)
{
    jsonw_object(w);
    jsonw_key_uint(w, "Passing", passing);
    jsonw_key_uint(w, "Warning", warning);
    jsonw_object_end(w);
}

void api_write_ports(struct jsonw *w, const struct named_port *ports,
                     size_t count)
{
    jsonw_list(w);
    for (size_t i = 0; i < count; i++) {
        jsonw_object(w);
        jsonw_key_text(w, "Name", ports[i].name);
        jsonw_key_uint(w, "Port", ports[i].port);
        jsonw_key_bool(w, "Default", ports[i].is_default);
        jsonw_object_end(w);
    }
    jsonw_list_end(w);
}

const struct catalog_node *api_node_of(const struct api_call *call,
                                       const struct catalog_instance *i)
{
    const struct catalog_node *n =
        catalog_node(call->view->catalog, i->record.node);

    return n == NULL || !n->known ? NULL : n;
}

void api_write_node(struct api_call *call, const struct catalog_node *n)
{
    struct jsonw *w = &call->json;

    jsonw_object(w);
    jsonw_key_text(w, "ID", n->record.id);
    jsonw_key_text(w, "Node", n->record.name);
    jsonw_key_text(w, "Address", n->record.address);
    jsonw_key_text(w, "Datacenter", catalog_datacenter(call->view->catalog));
    jsonw_key(w, "TaggedAddresses");
    api_write_pairs(w, n->record.tagged);
    jsonw_key(w, "Meta");
    api_write_pairs(w, n->record.meta);
    jsonw_key_int(w, "CreateIndex", n->create_revision);
    jsonw_key_int(w, "ModifyIndex", n->mod_revision);
    jsonw_object_end(w);
}

/* ---- Services ----------------------------------------------------- */

static void write_mesh(struct jsonw *w)
{
    jsonw_key(w, "Proxy");
    jsonw_object(w);
    jsonw_object_end(w);
}

static void write_connect(struct jsonw *w, bool native)
{
    jsonw_key(w, "Connect");
    jsonw_object(w);
    if (native) {
        jsonw_key_bool(w, "Native", true);
    }
    jsonw_object_end(w);
}

void api_write_service(struct api_call *call, const struct catalog_instance *i)
{
    const struct instance_record *r = &i->record;
    struct jsonw *w = &call->json;

    jsonw_object(w);
    if (*r->kind != '\0') {
        jsonw_key_text(w, "Kind", r->kind);
    }
    jsonw_key_text(w, "ID", r->id);
    jsonw_key_text(w, "Service", r->service);
    jsonw_key(w, "Tags");
    api_write_texts(w, r->tags);
    jsonw_key_text(w, "Address", r->address);
    jsonw_key(w, "TaggedAddresses");
    api_write_tagged(w, r->tagged, r->tagged_count);
    jsonw_key(w, "Meta");
    api_write_pairs(w, r->meta);
    jsonw_key_uint(w, "Port", r->port);
    if (r->ports_count > 0) {
        jsonw_key(w, "Ports");
        api_write_ports(w, r->ports, r->ports_count);
    }
    if (*r->socket_path != '\0') {
        jsonw_key_text(w, "SocketPath", r->socket_path);
    }
    jsonw_key(w, "Weights");
    api_write_weights(w, r->weight_passing, r->weight_warning);
    jsonw_key_bool(w, "EnableTagOverride", r->enable_tag_override);
    write_mesh(w);
    write_connect(w, r->connect_native);
    jsonw_key_text(w, "PeerName", "");
    jsonw_key_int(w, "CreateIndex", i->create_revision);
    jsonw_key_int(w, "ModifyIndex", i->mod_revision);
    jsonw_object_end(w);
}

void api_write_local_service(struct api_call *call,
                             const struct local_service *s)
{
    const struct service_def *d = s->def;
    struct jsonw *w = &call->json;

    if (*d->kind != '\0') {
        jsonw_key_text(w, "Kind", d->kind);
    }
    jsonw_key_text(w, "ID", d->id);
    jsonw_key_text(w, "Service", d->name);
    jsonw_key(w, "Tags");
    api_write_texts(w, d->tags);
    jsonw_key(w, "Meta");
    api_write_pairs(w, d->meta);
    jsonw_key_uint(w, "Port", d->port);
    if (d->ports_count > 0) {
        jsonw_key(w, "Ports");
        api_write_ports(w, d->ports, d->ports_count);
    }
    jsonw_key_text(w, "Address", d->address);
    if (*d->socket_path != '\0') {
        jsonw_key_text(w, "SocketPath", d->socket_path);
    }
    jsonw_key(w, "TaggedAddresses");
    api_write_tagged(w, d->tagged, d->tagged_count);
    jsonw_key(w, "Weights");
    api_write_weights(w, d->weight_passing, d->weight_warning);
    jsonw_key_bool(w, "EnableTagOverride", d->enable_tag_override);
    if (d->connect_native) {
        write_connect(w, true);
    }
    jsonw_key_text(w, "Datacenter", local_host(call->view->local)->datacenter);
}

/* ---- Checks ------------------------------------------------------- */

/* Output is not in the store; what this agent runs itself it knows better. */
static const char *output_of(const struct api_call *call,
                             const struct catalog_node *node,
                             const struct catalog_check *check)
{
    const struct local *l = call->view->local;
    struct local_check own;

    if (*check->record.output == '\0' &&
        strcmp(node->record.id, local_host(l)->node.id) == 0 &&
        local_check_get(l, check->record.id, &own)) {
        return own.output;
    }
    return check->record.output;
}

static void write_duration(struct jsonw *w, const char *key, uint64_t ms)
{
    char text[DURATION_TEXT];

    jsonw_key_text(w, key, ms == 0 ? "" : duration_format(ms, text));
}

static void write_check_end(struct jsonw *w, const char *type,
                            uint64_t interval_ms, uint64_t timeout_ms)
{
    jsonw_key_text(w, "Type", type);
    write_duration(w, "Interval", interval_ms);
    write_duration(w, "Timeout", timeout_ms);
    jsonw_key_uint(w, "ExposedPort", 0);
    jsonw_key_text(w, "PeerName", "");
    jsonw_key(w, "Definition");
    jsonw_object(w);
    jsonw_object_end(w);
}

void api_write_check(struct api_call *call, const struct catalog_node *node,
                     const struct catalog_instance *instance,
                     const struct catalog_check *check)
{
    const struct check_record *r = &check->record;
    struct texts tags = {0};
    struct jsonw *w = &call->json;

    if (instance != NULL) {
        tags = instance->record.tags;
    }
    jsonw_object(w);
    jsonw_key_text(w, "Node", node->record.name);
    jsonw_key_text(w, "CheckID", r->id);
    jsonw_key_text(w, "Name", r->name);
    jsonw_key_text(w, "Status", check_status_text(r->status));
    jsonw_key_text(w, "Notes", r->notes);
    jsonw_key_text(w, "Output", output_of(call, node, check));
    jsonw_key_text(w, "ServiceID", instance == NULL ? "" : instance->record.id);
    jsonw_key_text(w, "ServiceName",
                   instance == NULL ? "" : instance->record.service);
    jsonw_key(w, "ServiceTags");
    api_write_texts(w, tags);
    write_check_end(w, check_type_text(r->type), r->interval_ms, r->timeout_ms);
    jsonw_key_int(w, "CreateIndex", check->create_revision);
    jsonw_key_int(w, "ModifyIndex", check->mod_revision);
    jsonw_object_end(w);
}

void api_write_instance_checks(struct api_call *call,
                               const struct catalog_node *node,
                               const struct catalog_instance *instance)
{
    for (size_t i = 0; i < instance->record.checks_count; i++) {
        struct catalog_check check = {
            .record = instance->record.checks[i],
            .create_revision = instance->create_revision,
            .mod_revision = instance->mod_revision,
        };

        api_write_check(call, node, instance, &check);
    }
}

struct node_checks {
    struct api_call *call;
    const struct catalog_node *node;
};

static bool write_node_check(void *ctx, const struct catalog_node_check *k)
{
    const struct node_checks *n = ctx;
    struct catalog_check check = {
        .record = k->record.check,
        .create_revision = k->create_revision,
        .mod_revision = k->mod_revision,
    };

    api_write_check(n->call, n->node, NULL, &check);
    return true;
}

void api_write_node_checks(struct api_call *call,
                           const struct catalog_node *node)
{
    struct node_checks n = {.call = call, .node = node};
    struct catalog_check serf;

    if (catalog_node_serf(node, &serf)) {
        api_write_check(call, node, NULL, &serf);
    }
    catalog_each_node_check(call->view->catalog, node->record.name,
                            write_node_check, &n);
}

void api_write_checks(struct api_call *call, const struct catalog_node *node,
                      const struct catalog_instance *instance)
{
    jsonw_list(&call->json);
    api_write_node_checks(call, node);
    api_write_instance_checks(call, node, instance);
    jsonw_list_end(&call->json);
}

void api_write_local_check(struct api_call *call, const char *id,
                           const struct local_check *c)
{
    struct jsonw *w = &call->json;

    jsonw_object(w);
    jsonw_key_text(w, "Node", local_host(call->view->local)->node.name);
    jsonw_key_text(w, "CheckID", id);
    jsonw_key_text(w, "Name", c->def->name);
    jsonw_key_text(w, "Status", check_status_text(c->status));
    jsonw_key_text(w, "Notes", c->def->notes);
    jsonw_key_text(w, "Output", c->output);
    jsonw_key_text(w, "ServiceID", c->def->service_id);
    jsonw_key_text(w, "ServiceName", c->service_name);
    jsonw_key(w, "ServiceTags");
    api_write_texts(w, c->service_tags);
    write_check_end(w, check_type_text(c->def->type), c->def->interval_ms,
                    c->def->timeout_ms);
    jsonw_key_uint(w, "CreateIndex", 0);
    jsonw_key_uint(w, "ModifyIndex", 0);
    jsonw_object_end(w);
}
