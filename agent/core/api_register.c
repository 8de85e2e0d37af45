/*
 * /v1/catalog/register: services on hosts without an agent, written to the
 * store directly, as one guarded transaction.
 */
#include <strings.h>

#include "agent/core/api_plan.h"
#include "base/core/check.h"

static const char *made_up_id(struct plan *p)
{
    return plan_made_up_id(p->call->arena,
                           plan_key(p, RECORD_NODE, NULL, NULL));
}

/* A name belongs to the node id that it was first registered with, as with
 * Consul; an id that we have made up stands for any. */
static bool name_is_reserved(struct plan *p, const struct catalog_node *n)
{
    if (n == NULL || !n->known || *p->reg.id == '\0' ||
        strcasecmp(p->reg.id, n->record.id) == 0 ||
        strcmp(n->record.id, made_up_id(p)) == 0 ||
        api_flag(p->call, "force")) {
        return false;
    }
    api_text(p->call, 409,
             "Node name %s is reserved by node %s with name %s (%s); "
             "deregister that one first, or force=1",
             p->reg.node, n->record.id, n->record.name, n->record.address);
    p->failed = true;
    return true;
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
    struct slice key = plan_key(p, RECORD_NODE, NULL, NULL);
    struct buf value;

    if (name_is_reserved(p, n) ||
        (known && (p->reg.skip_node_update || !n->record.external))) {
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
    if ((known && catalog_hash(buf_slice(&value)) == n->value_hash) ||
        !plan_demand(p, ACL_NODE, p->reg.node)) {
        buf_release(&value);
        return;
    }
    plan_put(p, key, ST_OK, &value, known ? n->mod_revision : 0);
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
    struct slice key = plan_key(p, RECORD_INSTANCE, record.service, record.id);
    bool moved = old != NULL && strcmp(old->record.service, record.service);
    struct buf value;
    enum status st;

    if (!plan_demand(p, ACL_SERVICE, record.service) ||
        (moved && !plan_demand(p, ACL_SERVICE, old->record.service))) {
        return;
    }
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
    const struct catalog_node_check *old = plan_find_check(p, c->record.id);
    struct node_check_record record = {
        .node = p->reg.node,
        .check = c->record,
        .owner = {.node = OWNER_CATALOG, .incarnation = ""},
    };
    struct buf value;

    if (!plan_demand(p, ACL_NODE, p->reg.node)) {
        return;
    }
    buf_init(&value, LIMIT_RECORD_BYTES);
    CHECK(node_check_record_write(&record, &value) == ST_OK);
    if (old != NULL && catalog_hash(buf_slice(&value)) == old->value_hash) {
        buf_release(&value);
        return;
    }
    plan_put(p, plan_key(p, RECORD_NODE_CHECK, NULL, c->record.id), ST_OK,
             &value, old == NULL ? 0 : old->mod_revision);
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
        old = plan_find_instance(p, c->service_id);
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
    if (!plan_accept_node(&p, n)) {
        return;
    }
    join_checks(&p);
    plan_node(&p, n);
    if (p.reg.service_count > 0 && !p.failed) {
        plan_instance(&p, p.reg.service->record,
                      plan_find_instance(&p, p.reg.service->record.id));
    }
    plan_other_services(&p);
    for (size_t i = 0; i < p.reg.checks_count && !p.failed; i++) {
        if (*p.reg.checks[i].service_id == '\0') {
            plan_node_check(&p, &p.reg.checks[i]);
        }
    }
    plan_send(&p);
}
