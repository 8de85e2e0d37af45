/*
 * /v1/catalog/register and /deregister: services on hosts without an agent,
 * written to the store directly, as one guarded transaction.
 */
#include <stdio.h>

#include "agent/core/api_model.h"
#include "agent/core/definition_tables.h"
#include "base/core/check.h"
#include "base/core/hash.h"

enum {
    CHECKS_MAX = LIMIT_CHECKS_OF_ONE,
    ID_MAX = 512
};

#define OWNER_CATALOG "catalog"

/* The live key's guard is not used here, so all places are free. */
#define OPS_MAX LIMIT_TXN_OPS

struct reg_service {
    struct instance_record record;
    struct weights weights;
};

struct reg_check {
    struct check_record record;
    const char *service_id;
};

struct reg {
    const char *datacenter;
    const char *id;
    const char *node;
    const char *address;
    struct pairs tagged;
    struct pairs meta;
    bool skip_node_update;
    const struct reg_service *service;
    size_t service_count;
    const struct reg_check *check;
    size_t check_count;
    const struct reg_check *checks;
    size_t checks_count;
    /* Deregistration. */
    const char *service_id;
    const char *check_id;
};

/* ---- What a body may say
 * -------------------------------------------------------- */

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

static const struct fields reg_service_fields = {
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

static const struct fields reg_check_fields = {
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

/* ---- Gathering operations
 * ------------------------------------------------------------ */

struct plan {
    struct api_call *call;
    struct reg reg;
    struct sync_op *ops;
    size_t ops_count;
    bool failed; /* The reply is made. */
};

static void plan_op(struct plan *p, enum sync_op_kind kind, struct slice key,
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

static struct slice key_of(struct plan *p, enum record_kind kind,
                           const char *service, const char *id)
{
    struct record_key key = {
        .kind = kind, .node = p->reg.node, .service = service, .id = id};

    return record_key_write(p->call->arena,
                            local_host(p->call->view->local)->datacenter, &key);
}

/* Takes the encoded record; 413 if it did not fit. */
static void plan_put(struct plan *p, struct slice key, enum status st,
                     struct buf *value, int64_t mod_revision)
{
    if (st) {
        api_text(p->call, 413, "The record is larger than %d bytes",
                 LIMIT_RECORD_BYTES);
        p->failed = true;
    }
    plan_op(p, SYNC_PUT, key, arena_copy(p->call->arena, buf_slice(value)),
            mod_revision);
    buf_release(value);
}

static void plan_send(struct plan *p)
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

static bool plan_read(struct plan *p, struct api_call *call)
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
    if (*p->reg.datacenter != '\0' &&
        strcmp(p->reg.datacenter, local_host(call->view->local)->datacenter)) {
        api_text(call, 500, "No path to datacenter");
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
static bool accept_node(struct plan *p, const struct catalog_node *n)
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

/* ---- Register
 * ------------------------------------------------------------------------- */

/* A stable UUID for a host that has none: some clients key on it. */
static const char *made_up_id(struct plan *p)
{
    static const struct hash_key keys[2] = {{1, 2}, {3, 4}};
    struct slice text = key_of(p, RECORD_NODE, NULL, NULL);
    unsigned long long a = hash_bytes(keys[0], text);
    unsigned long long b = hash_bytes(keys[1], text);

    return arena_printf(p->call->arena, "%08llx-%04llx-8%03llx-a%03llx-%012llx",
                        a >> 32, a >> 16 & 0xffff, a & 0xfff, b >> 48 & 0xfff,
                        b & 0xffffffffffff);
}

static void plan_node(struct plan *p, const struct catalog_node *n)
{
    struct node_record record = {
        .name = p->reg.node,
        .id = *p->reg.id != '\0' ? p->reg.id : NULL,
        .address = p->reg.address,
        .tagged = p->reg.tagged,
        .meta = p->reg.meta,
        .external = true,
        .owner = {.node = OWNER_CATALOG, .incarnation = ""},
    };
    bool known = n != NULL && n->known;
    struct slice key = key_of(p, RECORD_NODE, NULL, NULL);
    struct buf value;

    if (known && (p->reg.skip_node_update || !n->record.external)) {
        return;
    }
    if (*record.address == '\0' && known) {
        record.address = n->record.address;
    }
    if (*record.address == '\0') {
        api_text(p->call, 400, "Must provide address");
        p->failed = true;
        return;
    }
    if (record.id == NULL) {
        record.id = known ? n->record.id : made_up_id(p);
    }
    buf_init(&value, LIMIT_RECORD_BYTES);
    CHECK(node_record_write(&record, &value) == ST_OK);
    if (known && catalog_hash(buf_slice(&value)) == n->value_hash) {
        buf_release(&value);
        return;
    }
    plan_put(p, key, ST_OK, &value, known ? n->mod_revision : 0);
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

static const struct catalog_instance *find_instance(const struct plan *p,
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

static const struct catalog_node_check *find_check(const struct plan *p,
                                                   const char *id)
{
    struct find_check f = {.id = id};

    catalog_each_node_check(p->call->view->catalog, p->reg.node, match_check,
                            &f);
    return f.found;
}

/* `checks` and those of the request that belong to service `id`. NULL with the
 * reply made: there would be too many. */
static const struct check_record *merge_checks(struct plan *p, const char *id,
                                               const struct check_record *old,
                                               size_t old_count,
                                               size_t *out_count)
{
    struct check_record *all = arena_zalloc(
        p->call->arena, old_count + p->reg.checks_count + 1, sizeof(*all));
    size_t count = old_count;

    if (old_count > 0) {
        memcpy(all, old, old_count * sizeof(*all));
    }
    for (size_t i = 0; i < p->reg.checks_count; i++) {
        const struct reg_check *c = &p->reg.checks[i];
        size_t at = 0;

        if (strcmp(c->service_id, id) != 0) {
            continue;
        }
        while (at < count && strcmp(all[at].id, c->record.id) != 0) {
            at++;
        }
        all[at] = c->record;
        count += at == count;
    }
    if (count > LIMIT_CHECKS_OF_ONE) {
        api_text(p->call, 413, "More than %d checks of one service",
                 LIMIT_CHECKS_OF_ONE);
        p->failed = true;
    }
    *out_count = count;
    return all;
}

static void plan_instance(struct plan *p, struct instance_record record,
                          const struct catalog_instance *old)
{
    struct slice key = key_of(p, RECORD_INSTANCE, record.service, record.id);
    bool moved = old != NULL && strcmp(old->record.service, record.service);
    struct buf value;
    enum status st;

    record.node = p->reg.node;
    record.owner =
        (struct record_owner){.node = OWNER_CATALOG, .incarnation = ""};
    record.checks = merge_checks(
        p, record.id, old == NULL ? NULL : old->record.checks,
        old == NULL ? 0 : old->record.checks_count, &record.checks_count);
    if (moved) { /* The name is part of the key. */
        plan_op(p, SYNC_DELETE, old->key, (struct slice){0}, old->mod_revision);
    }
    buf_init(&value, LIMIT_RECORD_BYTES);
    st = instance_record_write(&record, &value);
    if (st == ST_OK && old != NULL && !moved &&
        catalog_hash(buf_slice(&value)) == old->value_hash) {
        buf_release(&value);
        return;
    }
    plan_put(p, key, st, &value, old == NULL || moved ? 0 : old->mod_revision);
}

/* `check` counts as the first of `checks`; without a ServiceID they are about
 * the node. */
static void join_checks(struct plan *p)
{
    size_t count = p->reg.check_count + p->reg.checks_count;
    struct reg_check *all = arena_zalloc(p->call->arena, count, sizeof(*all));

    if (p->reg.check_count > 0) {
        all[0] = p->reg.check[0];
    }
    for (size_t i = 0; i < p->reg.checks_count; i++) {
        all[p->reg.check_count + i] = p->reg.checks[i];
    }
    p->reg.checks = all;
    p->reg.checks_count = count;
}

static void plan_node_check(struct plan *p, const struct reg_check *c)
{
    const struct catalog_node_check *old = find_check(p, c->record.id);
    struct node_check_record record = {
        .node = p->reg.node,
        .check = c->record,
        .owner = {.node = OWNER_CATALOG, .incarnation = ""},
    };
    struct buf value;

    buf_init(&value, LIMIT_RECORD_BYTES);
    CHECK(node_check_record_write(&record, &value) == ST_OK);
    if (old != NULL && catalog_hash(buf_slice(&value)) == old->value_hash) {
        buf_release(&value);
        return;
    }
    plan_put(p, key_of(p, RECORD_NODE_CHECK, NULL, c->record.id), ST_OK, &value,
             old == NULL ? 0 : old->mod_revision);
}

/* Checks of services that are not in this request but registered before. */
static void plan_other_services(struct plan *p)
{
    for (size_t i = 0; i < p->reg.checks_count && !p->failed; i++) {
        const struct reg_check *c = &p->reg.checks[i];
        const struct catalog_instance *old;
        bool done = p->reg.service_count > 0 &&
                    strcmp(c->service_id, p->reg.service->record.id) == 0;

        for (size_t k = 0; k < i && !done; k++) {
            done = strcmp(p->reg.checks[k].service_id, c->service_id) == 0;
        }
        if (done) {
            continue;
        }
        if (*c->service_id == '\0') {
            continue;
        }
        old = find_instance(p, c->service_id);
        if (old == NULL) {
            api_text(p->call, 400, "Unknown service ID \"%.300s\" of check",
                     c->service_id);
            p->failed = true;
            return;
        }
        plan_instance(p, old->record, old);
    }
}

void api_catalog_register(struct api_call *call)
{
    struct plan p = {0};
    const struct catalog_node *n;

    if (!plan_read(&p, call)) {
        return;
    }
    n = catalog_node(call->view->catalog, p.reg.node);
    if (!accept_node(&p, n)) {
        return;
    }
    join_checks(&p);
    plan_node(&p, n);
    if (p.reg.service_count > 0 && !p.failed) {
        plan_instance(&p, p.reg.service->record,
                      find_instance(&p, p.reg.service->record.id));
    }
    plan_other_services(&p);
    for (size_t i = 0; i < p.reg.checks_count && !p.failed; i++) {
        if (*p.reg.checks[i].service_id == '\0') {
            plan_node_check(&p, &p.reg.checks[i]);
        }
    }
    plan_send(&p);
}

/* ---- Deregister
 * ---------------------------------------------------------------------------
 */

static bool delete_instance(void *ctx, const struct catalog_instance *i)
{
    plan_op(ctx, SYNC_DELETE, i->key, (struct slice){0}, i->mod_revision);
    return true;
}

static bool delete_check(void *ctx, const struct catalog_node_check *k)
{
    plan_op(ctx, SYNC_DELETE, k->key, (struct slice){0}, k->mod_revision);
    return true;
}

struct find_owner {
    const char *check_id;
    const struct catalog_instance *found;
};

static bool match_owner(void *ctx, const struct catalog_instance *i)
{
    struct find_owner *f = ctx;

    for (size_t k = 0; k < i->record.checks_count; k++) {
        if (strcmp(i->record.checks[k].id, f->check_id) == 0) {
            f->found = i;
            return false;
        }
    }
    return true;
}

/* A check of the node goes; one of an instance is left out of its record. */
static void plan_delete_check(struct plan *p)
{
    const struct catalog_node_check *k = find_check(p, p->reg.check_id);
    struct find_owner f = {.check_id = p->reg.check_id};
    struct instance_record record;
    struct check_record *left;
    size_t count = 0;

    if (k != NULL) {
        (void)delete_check(p, k);
        return;
    }
    catalog_each_node_instance(p->call->view->catalog, p->reg.node, match_owner,
                               &f);
    if (f.found == NULL) {
        return;
    }
    record = f.found->record;
    left = arena_zalloc(p->call->arena, record.checks_count, sizeof(*left));
    for (size_t i = 0; i < record.checks_count; i++) {
        if (strcmp(record.checks[i].id, p->reg.check_id) != 0) {
            left[count++] = record.checks[i];
        }
    }
    record.checks = left;
    record.checks_count = count;

    struct buf value;

    buf_init(&value, LIMIT_RECORD_BYTES);
    CHECK(instance_record_write(&record, &value) == ST_OK);
    plan_put(p, f.found->key, ST_OK, &value, f.found->mod_revision);
}

void api_catalog_deregister(struct api_call *call)
{
    struct plan p = {0};
    const struct catalog_instance *i;
    const struct catalog_node *n;

    if (!plan_read(&p, call)) {
        return;
    }
    n = catalog_node(call->view->catalog, p.reg.node);
    /* What a dead agent left behind may be removed by anybody. */
    if (n != NULL && n->live && !accept_node(&p, n)) {
        return;
    }
    if (*p.reg.service_id != '\0') {
        i = find_instance(&p, p.reg.service_id);
        if (i != NULL) {
            (void)delete_instance(&p, i);
        }
    } else if (*p.reg.check_id != '\0') {
        plan_delete_check(&p);
    } else if (n != NULL) {
        catalog_each_node_instance(call->view->catalog, p.reg.node,
                                   delete_instance, &p);
        catalog_each_node_check(call->view->catalog, p.reg.node, delete_check,
                                &p);
        if (n->known) {
            plan_op(&p, SYNC_DELETE, n->key, (struct slice){0},
                    n->mod_revision);
        }
    }
    plan_send(&p);
}
