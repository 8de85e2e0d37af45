/*
 * /v1/txn: what it says of nodes, services and checks, and is answered.
 */
#include <strings.h>

#include "agent/core/api_plan.h"
#include "agent/core/api_txn.h"
#include "base/core/check.h"

static const struct {
    const char *name;
    enum cat_verb verb;
} verbs[] = {
    {"get", CAT_GET},
    {"set", CAT_SET},
    {"cas", CAT_CAS},
    {"delete", CAT_DELETE},
    {"delete-cas", CAT_DELETE_CAS},
};

static const struct {
    const char *name;
    enum cat_kind kind;
} kinds[] = {
    {"Node", CAT_NODE}, {"Service", CAT_SERVICE}, {"Check", CAT_CHECK}};

/* ---- A node's fields ---------------------------------------------- */

#define NODE(member) offsetof(struct node_record, member)

static const struct field node_items[] = {
    {.key = "id", .kind = FIELD_TEXT, .offset = NODE(id), .max = 128},
    {.key = "node", .kind = FIELD_TEXT, .offset = NODE(name), .max = 255},
    {.key = "address",
     .kind = FIELD_TEXT,
     .offset = NODE(address),
     .max = 255,
     .rule = rule_address},
    {.key = "tagged_addresses",
     .kind = FIELD_PAIRS,
     .offset = NODE(tagged),
     .max = 16},
    {.key = "meta",
     .kind = FIELD_PAIRS,
     .offset = NODE(meta),
     .rule = rule_meta},
};

static const struct fields node_fields = {
    .items = node_items,
    .count = sizeof(node_items) / sizeof(node_items[0]),
    .size = sizeof(struct node_record),
};

/* ---- Reading ------------------------------------------------------ */

static bool find_verb(const char *name, enum cat_verb *out)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            *out = verbs[i].verb;
            return true;
        }
    }
    return false;
}

static bool read_thing(struct api_call *call, size_t at,
                       const struct fields *fields, const json_t *json,
                       void *object)
{
    struct err err;
    struct json_at root = {0};
    struct field_reader r = {
        .arena = call->arena, .unknown = FIELD_UNKNOWN_IGNORED, .err = &err};

    if (fields_read(&r, &root, fields, json, object)) {
        api_text(call, 400, "Operation %zu: %s", at, err.text);
        return false;
    }
    return true;
}

static bool read_service(struct api_call *call, const json_t *json,
                         struct cat_op *op)
{
    struct fields fields = reg_service_fields;
    struct reg_service s = {0};

    if (op->verb != CAT_SET && op->verb != CAT_CAS) {
        fields.finish = NULL; /* The id will do. */
    }
    if (!read_thing(call, op->at, &fields, json, &s)) {
        return false;
    }
    op->service = s.record;
    op->service_id = *s.record.id != '\0' ? s.record.id : s.record.service;
    op->service.node = op->node;
    op->service.owner =
        (struct record_owner){.node = OWNER_CATALOG, .incarnation = ""};
    return *op->service_id != '\0' ||
           api_txn_refuse(call, op->at, "Service.ID is missing");
}

static bool read_check(struct api_call *call, const json_t *json,
                       struct cat_op *op)
{
    struct reg_check c = {0};

    if (!read_thing(call, op->at, &reg_check_fields, json, &c)) {
        return false;
    }
    op->check = c.record;
    op->service_id = c.service_id;
    return true;
}

static bool read_node(struct api_call *call, const json_t *json,
                      struct cat_op *op)
{
    struct node_record *n = &op->node_record;

    if (!read_thing(call, op->at, &node_fields, json, n)) {
        return false;
    }
    op->node = n->name;
    op->service_id = "";
    n->external = true;
    n->owner = (struct record_owner){.node = OWNER_CATALOG, .incarnation = ""};
    return true;
}

static bool read_op(struct api_call *call, const char *name,
                    const json_t *outer, struct cat_op *op)
{
    const json_t *inner = api_txn_member(outer, name);
    bool good = false;

    if (!json_is_object(inner)) {
        return api_txn_refuse(call, op->at, "what is it about?");
    }
    if (!api_txn_number(inner, "ModifyIndex", &op->index)) {
        return api_txn_refuse(call, op->at,
                              "ModifyIndex is a number of 0 or more");
    }
    op->node =
        api_txn_text(call, op->kind == CAT_CHECK ? inner : outer, "Node");
    switch (op->kind) {
    case CAT_NODE:
        good = read_node(call, inner, op);
        break;
    case CAT_SERVICE:
        good = read_service(call, inner, op);
        break;
    case CAT_CHECK:
        good = read_check(call, inner, op);
        break;
    }
    if (good && (*op->node == '\0' || strlen(op->node) > 255)) {
        return api_txn_refuse(call, op->at, "Node, its name, is missing");
    }
    return good;
}

/* ---- Rights ------------------------------------------------------- */

struct named {
    struct api_call *call;
    const struct cat_op *op;
    enum acl_access wanted;
    bool good;
};

/* Under whatever name the id is registered. */
static bool demand_present(void *ctx, const struct catalog_instance *i)
{
    struct named *n = ctx;

    if (strcmp(i->record.id, n->op->service_id) == 0) {
        n->good =
            api_demand(n->call, ACL_SERVICE, i->record.service, n->wanted);
    }
    return n->good;
}

/* As for registrations: a service and its checks go by its name, the rest by
 * the node's; who reads a service must see its node, too. */
static bool may_do(struct api_call *call, const struct cat_op *op)
{
    struct named n = {
        .call = call,
        .op = op,
        .wanted = op->verb == CAT_GET ? ACL_READ : ACL_WRITE,
        .good = true,
    };

    if (*op->service_id == '\0') {
        return api_demand(call, ACL_NODE, op->node, n.wanted);
    }
    if (op->verb == CAT_GET &&
        !api_demand(call, ACL_NODE, op->node, ACL_READ)) {
        return false;
    }
    if (op->kind == CAT_SERVICE && *op->service.service != '\0' &&
        !api_demand(call, ACL_SERVICE, op->service.service, n.wanted)) {
        return false;
    }
    catalog_each_node_instance(call->view->catalog, op->node, demand_present,
                               &n);
    return n.good;
}

bool api_txn_read_catalog(struct api_call *call, size_t at, const json_t *item,
                          struct api_txn *t)
{
    struct cat_op *op = &t->cat_ops[t->cat.ops_count];
    const char *verb;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const json_t *outer = api_txn_member(item, kinds[i].name);

        if (!json_is_object(outer)) {
            continue;
        }
        verb = api_txn_text(call, outer, "Verb");
        if (!find_verb(verb, &op->verb)) {
            return api_txn_fault(t, at,
                                 arena_printf(call->arena,
                                              "unknown %s verb \"%.64s\"",
                                              kinds[i].name, verb));
        }
        op->at = at;
        op->kind = kinds[i].kind;
        op->service.service = "";
        op->service_id = "";
        if (!read_op(call, kinds[i].name, outer, op) || !may_do(call, op)) {
            return false;
        }
        t->cat.ops_count++;
        return true;
    }
    return api_txn_refuse(call, at,
                          "it has none of KV, Node, Service and Check");
}

/* ---- Results ------------------------------------------------------ */

static void write_check(struct api_call *call, const struct cat_op *op,
                        const struct cat_result *r)
{
    bool of_node = *op->service_id == '\0';
    const struct instance_record *i = &r->slot.instance;
    struct check_view view = {
        .node = op->node,
        .record = &r->check,
        .output = r->check.output,
        .service_id = op->service_id,
        .service_name = of_node ? "" : i->service,
        .create_revision = r->slot.create_revision,
        .mod_revision = r->slot.mod_revision,
    };

    if (!of_node) {
        view.service_tags = i->tags;
    }
    api_write_check(call, &view);
}

void api_txn_write_catalog(struct api_call *call, const struct api_txn *t,
                           const struct cat_result *result)
{
    const struct cat_op *op = &t->cat_ops[result->op];
    const struct cat_slot *s = &result->slot;
    struct catalog_node node = {.known = true,
                                .create_revision = s->create_revision,
                                .mod_revision = s->mod_revision};
    struct catalog_instance instance = {.create_revision = s->create_revision,
                                        .mod_revision = s->mod_revision};

    jsonw_object(&call->json);
    switch (op->kind) {
    case CAT_NODE:
        node.record = s->node;
        jsonw_key(&call->json, "Node");
        api_write_node(call, &node);
        break;
    case CAT_SERVICE:
        instance.record = s->instance;
        jsonw_key(&call->json, "Service");
        api_write_service(call, &instance);
        break;
    case CAT_CHECK:
        jsonw_key(&call->json, "Check");
        write_check(call, op, result);
        break;
    }
    jsonw_object_end(&call->json);
}
