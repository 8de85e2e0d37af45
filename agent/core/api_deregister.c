/*
 * /v1/catalog/deregister: a service, a check, or all of a host.
 */
#include "agent/core/api_plan.h"

/* Who may write the node may clear it; else it goes service by service. NULL:
 * it is the node's own. */
static bool may_write(struct plan *p, const char *service)
{
    if (!api_may(p->call, ACL_NODE, p->reg.node, ACL_WRITE)) {
        return plan_demand(p, service == NULL ? ACL_NODE : ACL_SERVICE,
                           service == NULL ? p->reg.node : service);
    }
    return true;
}

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

/* What is no record, under a key that the request names. */
struct unread_deletion {
    struct plan *p;
    enum record_kind kind;
    const char *id; /* NULL: all of the node. */
};

static bool delete_unread(void *ctx, const struct catalog_unread *u)
{
    const struct unread_deletion *d = ctx;
    bool of_service = d->id != NULL && u->parts.kind == RECORD_INSTANCE;

    if ((d->id == NULL ||
         (u->parts.kind == d->kind && strcmp(u->parts.id, d->id) == 0)) &&
        may_write(d->p, of_service ? u->parts.service : NULL)) {
        plan_op(d->p, SYNC_DELETE, u->key, (struct slice){0}, u->mod_revision);
    }
    return !d->p->failed;
}

static void plan_delete_unread(struct plan *p, enum record_kind kind,
                               const char *id)
{
    struct unread_deletion d = {.p = p, .kind = kind, .id = id};

    catalog_each_unread(p->call->view->catalog, p->reg.node, delete_unread, &d);
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
    const struct catalog_node_check *k = plan_find_check(p, p->reg.check_id);
    struct find_owner f = {.check_id = p->reg.check_id};
    struct instance_record record;
    struct check_record *left;
    size_t count = 0;
    struct buf value;
    enum status st;

    if (k != NULL) {
        if (may_write(p, NULL)) {
            (void)delete_check(p, k);
        }
        return;
    }
    catalog_each_node_instance(p->call->view->catalog, p->reg.node, match_owner,
                               &f);
    if (f.found == NULL || !may_write(p, f.found->record.service)) {
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

    buf_init(&value, LIMIT_RECORD_BYTES);
    st = instance_record_write(&record, &value);
    plan_put(p, f.found->key, st, &value, f.found->mod_revision);
}

/* Where somebody has said that it is. */
static void delete_place(struct plan *p)
{
    const struct coords *c = p->call->view->coords;
    struct coord at;

    if (coords_find(c, p->reg.node, &at)) {
        plan_op(p, SYNC_DELETE, coords_key(c, p->call->arena, p->reg.node),
                (struct slice){0}, SYNC_ANY);
    }
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
    if (n != NULL && n->live && !plan_accept_node(&p, n)) {
        return;
    }
    if (*p.reg.service_id != '\0') {
        i = plan_find_instance(&p, p.reg.service_id);
        if (i != NULL && may_write(&p, i->record.service)) {
            (void)delete_instance(&p, i);
        }
        plan_delete_unread(&p, RECORD_INSTANCE, p.reg.service_id);
    } else if (*p.reg.check_id != '\0') {
        plan_delete_check(&p);
        plan_delete_unread(&p, RECORD_NODE_CHECK, p.reg.check_id);
    } else if (n == NULL) {
        plan_delete_unread(&p, RECORD_NODE, NULL);
    } else if (may_write(&p, NULL)) {
        catalog_each_node_instance(call->view->catalog, p.reg.node,
                                   delete_instance, &p);
        catalog_each_node_check(call->view->catalog, p.reg.node, delete_check,
                                &p);
        plan_delete_unread(&p, RECORD_NODE, NULL);
        if (n->known) {
            plan_op(&p, SYNC_DELETE, n->key, (struct slice){0},
                    n->mod_revision);
        }
        delete_place(&p);
    }
    plan_send(&p);
}
