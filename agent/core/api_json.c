/*
 * Nodes, services and checks as Consul writes them. Lists and maps are never
 * null.
 */
#include <arpa/inet.h>

#include "agent/core/api_model.h"
#include "agent/core/api_plan.h"
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

static void write_tagged(struct jsonw *w, const char *name, const char *address,
                         uint16_t port)
{
    jsonw_key(w, name);
    jsonw_object(w);
    jsonw_key_text(w, "Address", address);
    jsonw_key_uint(w, "Port", port);
    jsonw_object_end(w);
}

static bool has_tagged(const struct tagged_address *tagged, size_t count,
                       const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(tagged[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* As Consul's agents: a service's own address is there under the names of its
 * family, too, unless the definition has others. */
static void write_families(struct jsonw *w, const struct tagged_address *tagged,
                           size_t count, const char *address, uint16_t port)
{
    static const char *const names[2][2] = {{"lan_ipv4", "wan_ipv4"},
                                            {"lan_ipv6", "wan_ipv6"}};
    uint8_t binary[16];
    bool is_v6 = strchr(address, ':') != NULL;

    if (*address == '\0' ||
        inet_pton(is_v6 ? AF_INET6 : AF_INET, address, binary) != 1) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        if (!has_tagged(tagged, count, names[is_v6][i])) {
            write_tagged(w, names[is_v6][i], address, port);
        }
    }
}

/* `address` "": no families are made of it. */
static void write_tagged_list(struct jsonw *w,
                              const struct tagged_address *tagged, size_t count,
                              const char *address, uint16_t port)
{
    jsonw_object(w);
    for (size_t i = 0; i < count; i++) {
        write_tagged(w, tagged[i].name, tagged[i].address, tagged[i].port);
    }
    write_families(w, tagged, count, address, port);
    jsonw_object_end(w);
}

void api_write_tagged(struct jsonw *w, const struct instance_record *r)
{
    bool by_agent = strcmp(r->owner.node, OWNER_CATALOG) != 0;

    write_tagged_list(w, r->tagged, r->tagged_count, by_agent ? r->address : "",
                      r->port);
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

const struct catalog_node *api_node_of(struct api_call *call,
                                       const struct catalog_instance *i)
{
    const struct catalog_node *n =
        catalog_node(call->view->catalog, i->record.node);

    return n == NULL || !n->known || !api_sees_instance(call, i) ? NULL : n;
}

void api_write_node(struct api_call *call, const struct catalog_node *n)
{
    struct jsonw *w = &call->json;

    jsonw_object(w);
    jsonw_key_text(w, "ID", n->record.id);
    jsonw_key_text(w, "Node", n->record.name);
    jsonw_key_text(w, "Address", api_node_address(call, &n->record));
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

void api_write_connect(struct jsonw *w, bool native)
{
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
    jsonw_key_text(w, "Address", api_service_address(call, r));
    jsonw_key(w, "TaggedAddresses");
    api_write_tagged(w, r);
    jsonw_key(w, "Meta");
    api_write_pairs(w, r->meta);
    jsonw_key_uint(w, "Port", api_service_port(call, r));
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
    jsonw_key(w, "Connect");
    api_write_connect(w, r->connect_native);
    jsonw_key_text(w, "PeerName", "");
    jsonw_key_int(w, "CreateIndex", i->create_revision);
    jsonw_key_int(w, "ModifyIndex", i->mod_revision);
    jsonw_object_end(w);
}

/* Those of its record; 0 until the store has it. */
static void write_revisions_of(struct api_call *call,
                               const struct service_def *d)
{
    const struct catalog_instance *i =
        catalog_instance(call->home->catalog, d->name,
                         local_host(call->view->local)->node.name, d->id);

    jsonw_key_int(&call->json, "CreateIndex",
                  i == NULL ? 0 : i->create_revision);
    jsonw_key_int(&call->json, "ModifyIndex", i == NULL ? 0 : i->mod_revision);
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
    write_tagged_list(w, d->tagged, d->tagged_count, d->address, d->port);
    jsonw_key(w, "Weights");
    api_write_weights(w, d->weight_passing, d->weight_warning);
    jsonw_key_bool(w, "EnableTagOverride", d->enable_tag_override);
    write_mesh(w);
    jsonw_key(w, "Connect");
    api_write_connect(w, d->connect_native);
    jsonw_key_text(w, "PeerName", "");
    write_revisions_of(call, d);
    jsonw_key_text(w, "Datacenter", local_host(call->view->local)->datacenter);
}

/* ---- Checks ------------------------------------------------------- */

/* The store has what was said at the last change of status; of what this agent
 * runs itself it knows better. */
static const char *output_of(const struct api_call *call,
                             const struct catalog_node *node,
                             const struct check_record *check)
{
    const struct local *l = call->view->local;
    struct local_check own;

    if (strcmp(node->record.id, local_host(l)->node.id) == 0 &&
        local_check_get(l, check->id, &own)) {
        return own.output;
    }
    return check->output;
}

static void write_duration(struct jsonw *w, const char *key, uint64_t ms)
{
    char text[DURATION_TEXT];

    jsonw_key_text(w, key, ms == 0 ? "" : duration_format(ms, text));
}

static const char *type_text(const struct check_record *r)
{
    return check_id_is_maintenance(r->id) ? "maintenance"
                                          : check_type_text(r->type);
}

void api_write_check(struct api_call *call, const struct check_view *check)
{
    const struct check_record *r = check->record;
    struct jsonw *w = &call->json;

    jsonw_object(w);
    jsonw_key_text(w, "Node", check->node);
    jsonw_key_text(w, "CheckID", r->id);
    jsonw_key_text(w, "Name", r->name);
    jsonw_key_text(w, "Status", check_status_text(r->status));
    jsonw_key_text(w, "Notes", r->notes);
    jsonw_key_text(w, "Output", check->output);
    jsonw_key_text(w, "ServiceID", check->service_id);
    jsonw_key_text(w, "ServiceName", check->service_name);
    jsonw_key(w, "ServiceTags");
    api_write_texts(w, check->service_tags);
    jsonw_key_text(w, "Type", type_text(r));
    write_duration(w, "Interval", r->interval_ms);
    write_duration(w, "Timeout", r->timeout_ms);
    jsonw_key_uint(w, "ExposedPort", 0);
    jsonw_key_text(w, "PeerName", "");
    jsonw_key(w, "Definition");
    jsonw_object(w);
    jsonw_object_end(w);
    jsonw_key_int(w, "CreateIndex", check->create_revision);
    jsonw_key_int(w, "ModifyIndex", check->mod_revision);
    jsonw_object_end(w);
}

/* ---- Checks in order ---------------------------------------------- */

void api_each_instance_check(struct api_call *call,
                             const struct catalog_node *node,
                             const struct catalog_instance *instance,
                             api_check_fn fn, void *ctx)
{
    for (size_t i = 0; i < instance->record.checks_count; i++) {
        const struct check_record *r = &instance->record.checks[i];
        struct check_view view = {
            .node = node->record.name,
            .record = r,
            .output = output_of(call, node, r),
            .service_id = instance->record.id,
            .service_name = instance->record.service,
            .service_tags = instance->record.tags,
            .create_revision = instance->create_revision,
            .mod_revision = instance->mod_revision,
        };

        fn(ctx, call, &view);
    }
}

struct node_checks {
    struct api_call *call;
    const struct catalog_node *node;
    api_check_fn fn;
    void *ctx;
};

static void tell_node_check(const struct node_checks *n,
                            const struct check_record *record,
                            int64_t create_revision, int64_t mod_revision)
{
    struct check_view view = {
        .node = n->node->record.name,
        .record = record,
        .output = output_of(n->call, n->node, record),
        .service_id = "",
        .service_name = "",
        .create_revision = create_revision,
        .mod_revision = mod_revision,
    };

    n->fn(n->ctx, n->call, &view);
}

static bool each_node_check(void *ctx, const struct catalog_node_check *k)
{
    tell_node_check(ctx, &k->record.check, k->create_revision, k->mod_revision);
    return true;
}

void api_each_node_check(struct api_call *call, const struct catalog_node *node,
                         api_check_fn fn, void *ctx)
{
    struct node_checks n = {.call = call, .node = node, .fn = fn, .ctx = ctx};
    struct catalog_check serf;

    if (catalog_node_serf(node, &serf)) {
        tell_node_check(&n, &serf.record, serf.create_revision,
                        serf.mod_revision);
    }
    catalog_each_node_check(call->view->catalog, node->record.name,
                            each_node_check, &n);
}

void api_each_check(struct api_call *call, const struct catalog_node *node,
                    const struct catalog_instance *instance, api_check_fn fn,
                    void *ctx)
{
    api_each_node_check(call, node, fn, ctx);
    api_each_instance_check(call, node, instance, fn, ctx);
}

static void write_one(void *ctx, struct api_call *call,
                      const struct check_view *check)
{
    (void)ctx;
    api_write_check(call, check);
}

void api_write_checks(struct api_call *call, const struct catalog_node *node,
                      const struct catalog_instance *instance)
{
    jsonw_list(&call->json);
    api_each_check(call, node, instance, write_one, NULL);
    jsonw_list_end(&call->json);
}

void api_write_entry(struct api_call *call, const struct catalog_node *node,
                     const struct catalog_instance *i)
{
    jsonw_object(&call->json);
    jsonw_key(&call->json, "Node");
    api_write_node(call, node);
    jsonw_key(&call->json, "Service");
    api_write_service(call, i);
    jsonw_key(&call->json, "Checks");
    api_write_checks(call, node, i);
    jsonw_object_end(&call->json);
}
