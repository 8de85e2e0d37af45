/*
 * ?filter=: what can be selected in each list, by the names that its JSON has.
 */
#include "agent/core/api_model.h"
#include "base/core/check.h"

/* An element of any list; what a list does not have is not in its schema. */
struct element {
    struct api_call *call;
    const struct catalog_node *node;
    const struct instance_record *service;
    const struct catalog_instance *instance; /* For Checks.* */
    struct check_view check;
};

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

/* A function that tells one field of a struct element, `e`. */
#define TELL(name, statement)                                       \
    static void name(const void *subject, struct filter_sink *sink) \
    {                                                               \
        const struct element *e = subject;                          \
                                                                    \
        statement;                                                  \
    }

static void tell_texts(struct filter_sink *sink, struct texts texts)
{
    for (size_t i = 0; i < texts.count; i++) {
        filter_tell(sink, texts.items[i]);
    }
}

static void tell_pairs(struct filter_sink *sink, struct pairs pairs)
{
    for (size_t i = 0; i < pairs.count; i++) {
        filter_tell_pair(sink, pairs.items[i].key, pairs.items[i].value);
    }
}

/* ---- Nodes ---------------------------------------------------------- */

TELL(node_id, filter_tell(sink, e->node->record.id))
TELL(node_name, filter_tell(sink, e->node->record.name))
TELL(node_address, filter_tell(sink, e->node->record.address))
TELL(node_tagged, tell_pairs(sink, e->node->record.tagged))
TELL(node_meta, tell_pairs(sink, e->node->record.meta))
TELL(datacenter, filter_tell(sink, catalog_datacenter(e->call->view->catalog)))

static const struct filter_field node_fields[] = {
    {"ID", FILTER_TEXT, node_id},
    {"Node", FILTER_TEXT, node_name},
    {"Address", FILTER_TEXT, node_address},
    {"Datacenter", FILTER_TEXT, datacenter},
    {"TaggedAddresses", FILTER_MAP, node_tagged},
    {"Meta", FILTER_MAP, node_meta},
};

/* ---- Services ------------------------------------------------------- */

TELL(kind, filter_tell(sink, e->service->kind))
TELL(service_id, filter_tell(sink, e->service->id))
TELL(service_name, filter_tell(sink, e->service->service))
TELL(tags, tell_texts(sink, e->service->tags))
TELL(address, filter_tell(sink, e->service->address))
TELL(meta, tell_pairs(sink, e->service->meta))
TELL(port, filter_tell_number(sink, e->service->port))
TELL(socket_path, filter_tell(sink, e->service->socket_path))
TELL(passing, filter_tell_number(sink, e->service->weight_passing))
TELL(warning, filter_tell_number(sink, e->service->weight_warning))
TELL(tag_override, filter_tell_bool(sink, e->service->enable_tag_override))
TELL(native, filter_tell_bool(sink, e->service->connect_native))

static void tagged(const void *subject, struct filter_sink *sink)
{
    const struct instance_record *r =
        ((const struct element *)subject)->service;

    for (size_t i = 0; i < r->tagged_count; i++) {
        filter_tell_pair(sink, r->tagged[i].name, r->tagged[i].address);
    }
}

static void tagged_port(const void *subject, struct filter_sink *sink)
{
    const struct instance_record *r =
        ((const struct element *)subject)->service;

    for (size_t i = 0; i < r->tagged_count; i++) {
        if (filter_wants(sink, r->tagged[i].name)) {
            filter_tell_number(sink, r->tagged[i].port);
        }
    }
}

static void tagged_address(const void *subject, struct filter_sink *sink)
{
    const struct instance_record *r =
        ((const struct element *)subject)->service;

    for (size_t i = 0; i < r->tagged_count; i++) {
        if (filter_wants(sink, r->tagged[i].name)) {
            filter_tell(sink, r->tagged[i].address);
        }
    }
}

static void port_names(const void *subject, struct filter_sink *sink)
{
    const struct instance_record *r =
        ((const struct element *)subject)->service;

    for (size_t i = 0; i < r->ports_count; i++) {
        filter_tell(sink, r->ports[i].name);
    }
}

static void port_numbers(const void *subject, struct filter_sink *sink)
{
    const struct instance_record *r =
        ((const struct element *)subject)->service;

    for (size_t i = 0; i < r->ports_count; i++) {
        filter_tell_number(sink, r->ports[i].port);
    }
}

static const struct filter_field service_fields[] = {
    {"Kind", FILTER_TEXT, kind},
    {"ID", FILTER_TEXT, service_id},
    {"Service", FILTER_TEXT, service_name},
    {"Tags", FILTER_LIST, tags},
    {"Address", FILTER_TEXT, address},
    {"TaggedAddresses.*.Address", FILTER_TEXT, tagged_address},
    {"TaggedAddresses.*.Port", FILTER_NUMBER, tagged_port},
    {"TaggedAddresses", FILTER_MAP, tagged},
    {"Meta", FILTER_MAP, meta},
    {"Port", FILTER_NUMBER, port},
    {"Ports.Name", FILTER_TEXT, port_names},
    {"Ports.Port", FILTER_NUMBER, port_numbers},
    {"Ports", FILTER_OBJECTS, port_names},
    {"SocketPath", FILTER_TEXT, socket_path},
    {"Weights.Passing", FILTER_NUMBER, passing},
    {"Weights.Warning", FILTER_NUMBER, warning},
    {"EnableTagOverride", FILTER_BOOL, tag_override},
    {"Connect.Native", FILTER_BOOL, native},
};

static const struct filter_field agent_service_fields[] = {
    {"Datacenter", FILTER_TEXT, datacenter},
};

/* The records of /v1/catalog/service, in which node and service are one. */
static const struct filter_field flat_fields[] = {
    {"ID", FILTER_TEXT, node_id},
    {"Node", FILTER_TEXT, node_name},
    {"Address", FILTER_TEXT, node_address},
    {"Datacenter", FILTER_TEXT, datacenter},
    {"TaggedAddresses", FILTER_MAP, node_tagged},
    {"NodeMeta", FILTER_MAP, node_meta},
    {"ServiceKind", FILTER_TEXT, kind},
    {"ServiceID", FILTER_TEXT, service_id},
    {"ServiceName", FILTER_TEXT, service_name},
    {"ServiceTags", FILTER_LIST, tags},
    {"ServiceAddress", FILTER_TEXT, address},
    {"ServiceTaggedAddresses.*.Address", FILTER_TEXT, tagged_address},
    {"ServiceTaggedAddresses.*.Port", FILTER_NUMBER, tagged_port},
    {"ServiceTaggedAddresses", FILTER_MAP, tagged},
    {"ServiceWeights.Passing", FILTER_NUMBER, passing},
    {"ServiceWeights.Warning", FILTER_NUMBER, warning},
    {"ServiceMeta", FILTER_MAP, meta},
    {"ServicePort", FILTER_NUMBER, port},
    {"ServicePorts.Name", FILTER_TEXT, port_names},
    {"ServicePorts.Port", FILTER_NUMBER, port_numbers},
    {"ServicePorts", FILTER_OBJECTS, port_names},
    {"ServiceSocketPath", FILTER_TEXT, socket_path},
    {"ServiceEnableTagOverride", FILTER_BOOL, tag_override},
    {"ServiceConnect.Native", FILTER_BOOL, native},
};

/* ---- One check ------------------------------------------------------ */

TELL(check_id, filter_tell(sink, e->check.record->id))
TELL(check_name, filter_tell(sink, e->check.record->name))
TELL(check_node, filter_tell(sink, e->check.node))
TELL(check_notes, filter_tell(sink, e->check.record->notes))
TELL(check_output, filter_tell(sink, e->check.output))
TELL(check_service_id, filter_tell(sink, e->check.service_id))
TELL(check_service, filter_tell(sink, e->check.service_name))
TELL(check_tags, tell_texts(sink, e->check.service_tags))
TELL(check_status,
     filter_tell(sink, check_status_text(e->check.record->status)))
TELL(check_type, filter_tell(sink, check_type_text(e->check.record->type)))

static const struct filter_field check_fields[] = {
    {"CheckID", FILTER_TEXT, check_id},
    {"Name", FILTER_TEXT, check_name},
    {"Node", FILTER_TEXT, check_node},
    {"Notes", FILTER_TEXT, check_notes},
    {"Output", FILTER_TEXT, check_output},
    {"ServiceID", FILTER_TEXT, check_service_id},
    {"ServiceName", FILTER_TEXT, check_service},
    {"ServiceTags", FILTER_LIST, check_tags},
    {"Status", FILTER_TEXT, check_status},
    {"Type", FILTER_TEXT, check_type},
};

/* ---- All checks of an instance -------------------------------------- */

struct each_check {
    void (*tell)(const void *subject, struct filter_sink *sink);
    struct filter_sink *sink;
};

static void tell_check(void *ctx, struct api_call *call,
                       const struct check_view *check)
{
    const struct each_check *each = ctx;
    struct element e = {.call = call, .check = *check};

    each->tell(&e, each->sink);
}

static void of_all(const void *subject, struct filter_sink *sink,
                   void (*tell)(const void *subject, struct filter_sink *sink))
{
    const struct element *e = subject;
    struct each_check each = {.tell = tell, .sink = sink};

    api_each_check(e->call, e->node, e->instance, tell_check, &each);
}

#define TELL_ALL(name)                                                    \
    static void all_##name(const void *subject, struct filter_sink *sink) \
    {                                                                     \
        of_all(subject, sink, name);                                      \
    }

TELL_ALL(check_id)
TELL_ALL(check_name)
TELL_ALL(check_node)
TELL_ALL(check_notes)
TELL_ALL(check_output)
TELL_ALL(check_service_id)
TELL_ALL(check_service)
TELL_ALL(check_tags)
TELL_ALL(check_status)
TELL_ALL(check_type)

static const struct filter_field all_checks_fields[] = {
    {"CheckID", FILTER_TEXT, all_check_id},
    {"Name", FILTER_TEXT, all_check_name},
    {"Node", FILTER_TEXT, all_check_node},
    {"Notes", FILTER_TEXT, all_check_notes},
    {"Output", FILTER_TEXT, all_check_output},
    {"ServiceID", FILTER_TEXT, all_check_service_id},
    {"ServiceName", FILTER_TEXT, all_check_service},
    {"ServiceTags", FILTER_LIST, all_check_tags},
    {"Status", FILTER_TEXT, all_check_status},
    {"Type", FILTER_TEXT, all_check_type},
};

static const struct filter_field checks_field[] = {
    {"Checks", FILTER_OBJECTS, all_check_id},
};

/* ---- Schemas -------------------------------------------------------- */

#define PART(prefix, fields)             \
    {                                    \
        prefix, fields, COUNT_OF(fields) \
    }

static const struct filter_part health_parts[] = {
    PART("Node.", node_fields),
    PART("Service.", service_fields),
    PART("Checks.", all_checks_fields),
    PART("", checks_field),
};
static const struct filter_part flat_parts[] = {PART("", flat_fields)};
static const struct filter_part node_parts[] = {PART("", node_fields)};
static const struct filter_part service_parts[] = {
    PART("", service_fields),
    PART("", agent_service_fields),
};
static const struct filter_part check_parts[] = {PART("", check_fields)};

static const struct filter_schema schemas[] = {
    [API_FILTER_HEALTH] = {health_parts, COUNT_OF(health_parts)},
    [API_FILTER_FLAT] = {flat_parts, COUNT_OF(flat_parts)},
    [API_FILTER_NODES] = {node_parts, COUNT_OF(node_parts)},
    [API_FILTER_SERVICES] = {service_parts, COUNT_OF(service_parts)},
    [API_FILTER_CHECKS] = {check_parts, COUNT_OF(check_parts)},
};

bool api_filter_read(struct api_call *call, enum api_filter_kind kind)
{
    const char *text = api_param(call, "filter");
    struct err err;

    if (text == NULL || *text == '\0') {
        return true;
    }
    if (filter_compile(call->arena, &schemas[kind], slice_str(text),
                       &call->filter, &err)) {
        api_text(call, 400, "%s", err.text);
        return false;
    }
    return true;
}

/* ---- Questions ------------------------------------------------------ */

static bool chosen(const struct element *e)
{
    return e->call->filter == NULL || filter_eval(e->call->filter, e);
}

bool api_chosen(struct api_call *call, const struct catalog_node *node,
                const struct catalog_instance *i)
{
    struct element e = {.call = call, .node = node, .instance = i};

    e.service = i == NULL ? NULL : &i->record;
    return chosen(&e);
}

bool api_chosen_check(struct api_call *call, const struct check_view *check)
{
    struct element e = {.call = call, .check = *check};

    return chosen(&e);
}

bool api_chosen_local(struct api_call *call, const struct service_def *d)
{
    struct instance_record r = instance_record_of(d);
    struct element e = {.call = call, .service = &r};

    return chosen(&e);
}
