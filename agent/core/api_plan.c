#include "agent/core/api_plan.h"

#include "base/core/check.h"
#include "base/core/hash.h"

enum {
    CHECKS_MAX = LIMIT_CHECKS_OF_ONE,
    ID_MAX = 512
};

/* The live key's guard is not used here, so all places are free. */
#define OPS_MAX LIMIT_TXN_OPS

/* ---- What a body may say ------------------------------------------ */

static void reg_service_init(void *object)
{
    struct reg_service *s = object;

    s->weights = (struct weights){.passing = 1, .warning = 1};
}

static enum status reg_service_finish(struct field_reader *r,
                                      const struct json_at *at, void *object)
{
    struct reg_service *s = object;

    if (*s->record.service == '\0') {
        return field_error(r, at, "Service.Service, the name, is missing");
    }
    if (*s->record.id == '\0') {
        s->record.id = s->record.service;
    }
    s->record.weight_passing = s->weights.passing;
    s->record.weight_warning = s->weights.warning;
    for (size_t i = 0; i < s->record.ports_count && s->record.port == 0; i++) {
        if (s->record.ports[i].is_default || s->record.ports_count == 1) {
            s->record.port = s->record.ports[i].port;
        }
    }
    return ST_OK;
}

#define SERVICE(member) offsetof(struct reg_service, member)

static const struct field service_items[] = {
    {.key = "service",
     .kind = FIELD_TEXT,
     .offset = SERVICE(record.service),
     .max = LIMIT_SERVICE_NAME},
    {.key = "id",
     .kind = FIELD_TEXT,
     .offset = SERVICE(record.id),
     .max = ID_MAX},
    {.key = "tags",
     .kind = FIELD_TEXTS,
     .offset = SERVICE(record.tags),
     .max = LIMIT_TAGS},
    {.key = "address",
     .kind = FIELD_TEXT,
     .offset = SERVICE(record.address),
     .max = 255,
     .rule = rule_address},
    {.key = "port",
     .kind = FIELD_U16,
     .offset = SERVICE(record.port),
     .max = UINT16_MAX},
    {.key = "ports",
     .kind = FIELD_LIST,
     .offset = SERVICE(record.ports),
     .count_offset = SERVICE(record.ports_count),
     .max = 64,
     .sub = &named_port_fields},
    {.key = "socket_path",
     .kind = FIELD_TEXT,
     .offset = SERVICE(record.socket_path)},
    {.key = "tagged_addresses",
     .kind = FIELD_MAP,
     .offset = SERVICE(record.tagged),
     .count_offset = SERVICE(record.tagged_count),
     .max = 16,
     .sub = &tagged_address_fields},
    {.key = "meta",
     .kind = FIELD_PAIRS,
     .offset = SERVICE(record.meta),
     .rule = rule_meta},
    {.key = "weights",
     .kind = FIELD_OBJECT,
     .offset = SERVICE(weights),
     .sub = &weights_fields},
    {.key = "enable_tag_override",
     .kind = FIELD_BOOL,
     .offset = SERVICE(record.enable_tag_override)},
    {.key = "kind",
     .kind = FIELD_TEXT,
     .offset = SERVICE(record.kind),
     .max = 64},
};

const struct fields reg_service_fields = {
    .items = service_items,
    .count = sizeof(service_items) / sizeof(service_items[0]),
    .size = sizeof(struct reg_service),
    .init = reg_service_init,
    .finish = reg_service_finish,
};

static void reg_check_init(void *object)
{
    struct reg_check *c = object;

    c->record.status = CHECK_CRITICAL;
}

static enum status reg_check_finish(struct field_reader *r,
                                    const struct json_at *at, void *object)
{
    struct reg_check *c = object;

    if (*c->record.id == '\0') {
        c->record.id = c->record.name;
    }
    if (*c->record.id == '\0') {
        return field_error(r, at, "CheckID is missing");
    }
    return ST_OK;
}

#define CHECK_AT(member) offsetof(struct reg_check, member)

static const struct field check_items[] = {
    {.key = "check_id",
     .kind = FIELD_TEXT,
     .offset = CHECK_AT(record.id),
     .max = ID_MAX},
    {.key = "name",
     .kind = FIELD_TEXT,
     .offset = CHECK_AT(record.name),
     .max = ID_MAX},
    {.key = "notes",
     .kind = FIELD_TEXT,
     .offset = CHECK_AT(record.notes),
     .max = 512},
    {.key = "output", .kind = FIELD_TEXT, .offset = CHECK_AT(record.output)},
    {.key = "status",
     .kind = FIELD_WORD,
     .offset = CHECK_AT(record.status),
     .words = check_status_words},
    {.key = "service_id",
     .kind = FIELD_TEXT,
     .offset = CHECK_AT(service_id),
     .max = ID_MAX},
};

const struct fields reg_check_fields = {
    .items = check_items,
    .count = sizeof(check_items) / sizeof(check_items[0]),
    .size = sizeof(struct reg_check),
    .init = reg_check_init,
    .finish = reg_check_finish,
};

#define REG(member) offsetof(struct reg, member)

static const struct field reg_items[] = {
    {.key = "datacenter", .kind = FIELD_TEXT, .offset = REG(datacenter)},
    {.key = "id", .kind = FIELD_TEXT, .offset = REG(id), .max = 128},
    {.key = "node", .kind = FIELD_TEXT, .offset = REG(node), .max = 255},
    {.key = "address",
     .kind = FIELD_TEXT,
     .offset = REG(address),
     .max = 255,
     .rule = rule_address},
    {.key = "tagged_addresses",
     .kind = FIELD_PAIRS,
     .offset = REG(tagged),
     .max = 16},
    {.key = "node_meta",
     .kind = FIELD_PAIRS,
     .offset = REG(meta),
     .rule = rule_meta},
    {.key = "skip_node_update",
     .kind = FIELD_BOOL,
     .offset = REG(skip_node_update)},
    {.key = "service",
     .kind = FIELD_ONE,
     .offset = REG(service),
     .count_offset = REG(service_count),
     .sub = &reg_service_fields},
    {.key = "check",
     .kind = FIELD_ONE,
     .offset = REG(check),
     .count_offset = REG(check_count),
     .sub = &reg_check_fields},
    {.key = "checks",
     .kind = FIELD_LIST,
     .offset = REG(checks),
     .count_offset = REG(checks_count),
     .max = CHECKS_MAX,
     .sub = &reg_check_fields},
    {.key = "service_id",
     .kind = FIELD_TEXT,
     .offset = REG(service_id),
     .max = ID_MAX},
    {.key = "check_id",
     .kind = FIELD_TEXT,
     .offset = REG(check_id),
     .max = ID_MAX},
};

static const struct fields reg_fields = {
    .items = reg_items,
    .count = sizeof(reg_items) / sizeof(reg_items[0]),
    .size = sizeof(struct reg),
};

/* ---- Gathering operations ----------------------------------------- */

void plan_op(struct plan *p, enum sync_op_kind kind, struct slice key,
             struct slice value, int64_t mod_revision)
{
    if (p->failed) {
        return;
    }
    if (p->ops_count == OPS_MAX) {
        api_text(p->call, 400,
                 "More than %d records at once; deregister the services one "
                 "by one first",
                 OPS_MAX);
        p->failed = true;
        return;
    }
    p->ops[p->ops_count++] =
        (struct sync_op){.kind = kind,
                         .key = key,
                         .value = value,
                         .expect_mod_revision = mod_revision};
}

bool plan_demand(struct plan *p, enum acl_resource resource, const char *name)
{
    if (!p->failed && !api_demand(p->call, resource, name, ACL_WRITE)) {
        p->failed = true;
    }
    return !p->failed;
}

struct slice plan_key(struct plan *p, enum record_kind kind,
                      const char *service, const char *id)
{
    struct record_key key = {
        .kind = kind, .node = p->reg.node, .service = service, .id = id};

    return record_key_write(p->call->arena, p->call->dc, &key);
}

const char *plan_made_up_id(struct arena *arena, struct slice node_key)
{
    static const struct hash_key keys[2] = {{1, 2}, {3, 4}};
    unsigned long long a = hash_bytes(keys[0], node_key);
    unsigned long long b = hash_bytes(keys[1], node_key);

    return arena_printf(arena, "%08llx-%04llx-8%03llx-a%03llx-%012llx", a >> 32,
                        a >> 16 & 0xffff, a & 0xfff, b >> 48 & 0xfff,
                        b & 0xffffffffffff);
}

/* Takes the encoded record; 413 if it did not fit. */
void plan_put(struct plan *p, struct slice key, enum status st,
              struct buf *value, int64_t mod_revision)
{
    if (st) {
        api_text(p->call, 413, "The record is larger than %lu bytes",
                 LIMIT_RECORD_BYTES);
        p->failed = true;
    }
    plan_op(p, SYNC_PUT, key, arena_copy(p->call->arena, buf_slice(value)),
            mod_revision);
    buf_release(value);
}

void plan_send(struct plan *p)
{
    struct api_outcome *o = p->call->outcome;

    if (p->failed) {
        return;
    }
    if (p->ops_count == 0) {
        jsonw_bool(api_json(p->call, 200), true);
        api_json_end(p->call);
        return;
    }
    o->kind = API_TXN;
    o->txn = (struct sync_txn){.ops = p->ops, .ops_count = p->ops_count};
}

bool plan_read(struct plan *p, struct api_call *call)
{
    struct err err;
    struct field_reader r = {.arena = call->arena,
                             .text = call->request->body,
                             .unknown = FIELD_UNKNOWN_IGNORED,
                             .err = &err};

    p->call = call;
    p->ops = arena_zalloc(call->arena, OPS_MAX, sizeof(*p->ops));
    if (fields_parse(&r, &reg_fields, LIMIT_DEFINITION_BYTES, &p->reg)) {
        api_text(call, 400, "Request decode failed: %s", err.text);
        return false;
    }
    if (*p->reg.node == '\0') {
        api_text(call, 400, "Must provide node");
        return false;
    }
    if (!api_turn_to(call, p->reg.datacenter)) {
        return false;
    }
    if (catalog_revision(call->view->catalog) == 0) {
        api_text(call, 500, "No cluster leader");
        return false;
    }
    return true;
}

/* A host with an agent is that agent's business: it would undo what we write
 * at its next comparison. */
bool plan_accept_node(struct plan *p, const struct catalog_node *n)
{
    bool has_agent =
        n != NULL && (n->live || (n->known && !n->record.external));

    if (has_agent && !api_flag(p->call, "force")) {
        api_text(p->call, 409,
                 "Node \"%s\" runs an agent; use /v1/agent/ there, or force=1",
                 n->record.name);
        return false;
    }
    return true;
}

struct find_instance {
    const char *id;
    const struct catalog_instance *found;
};

static bool match_instance(void *ctx, const struct catalog_instance *i)
{
    struct find_instance *f = ctx;

    if (strcmp(i->record.id, f->id) == 0) {
        f->found = i;
        return false;
    }
    return true;
}

const struct catalog_instance *plan_find_instance(const struct plan *p,
                                                  const char *id)
{
    struct find_instance f = {.id = id};

    catalog_each_node_instance(p->call->view->catalog, p->reg.node,
                               match_instance, &f);
    return f.found;
}

struct find_check {
    const char *id;
    const struct catalog_node_check *found;
};

static bool match_check(void *ctx, const struct catalog_node_check *k)
{
    struct find_check *f = ctx;

    if (strcmp(k->record.check.id, f->id) == 0) {
        f->found = k;
        return false;
    }
    return true;
}

const struct catalog_node_check *plan_find_check(const struct plan *p,
                                                 const char *id)
{
    struct find_check f = {.id = id};

    catalog_each_node_check(p->call->view->catalog, p->reg.node, match_check,
                            &f);
    return f.found;
}
