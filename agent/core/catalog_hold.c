/*
 * What a guard keeps: nodes that are held, and ghosts of records that the store
 * has lost.
 */
#include "agent/core/catalog_change.h"
#include "base/core/check.h"

/* A snapshot that is not the store's doing: indexes go ahead by one. */
static struct change change_aside(const struct catalog *old,
                                  struct arena *arena)
{
    struct change x = {.c = catalog_copy(old), .arena = arena};

    x.c->skew++;
    change_at(&x, old->revision);
    return x;
}

/* ---- Ghosts ------------------------------------------------------- */

static bool note_instance(void *ctx, struct slice key, struct shared *value)
{
    struct pmap *ghosts = ctx;

    if (((struct instance_box *)value)->origin != NULL) {
        pmap_put(ghosts, key, shared_ref(value));
    }
    return true;
}

static bool note_check(void *ctx, struct slice key, struct shared *value)
{
    struct pmap *ghosts = ctx;

    if (((struct node_check_box *)value)->origin != NULL) {
        pmap_put(ghosts, key, shared_ref(value));
    }
    return true;
}

static bool drop_instance(void *ctx, struct slice key, struct shared *value)
{
    const struct instance_record *r =
        &((struct instance_box *)value)->pub.record;
    char lower[NODE_NAME_MAX + 1];
    struct record_key of = {
        .kind = RECORD_INSTANCE,
        .node = (const char *)catalog_lower(r->node, lower).data,
        .service = r->service,
        .id = r->id};

    (void)key;
    change_remove_instance(ctx, &of);
    return true;
}

static bool drop_check(void *ctx, struct slice key, struct shared *value)
{
    const struct node_check_record *r =
        &((struct node_check_box *)value)->pub.record;
    char lower[NODE_NAME_MAX + 1];
    struct record_key of = {
        .kind = RECORD_NODE_CHECK,
        .node = (const char *)catalog_lower(r->node, lower).data,
        .id = r->check.id};

    (void)key;
    change_remove_node_check(ctx, &of);
    return true;
}

void change_drop_ghosts(struct change *x, const char *name)
{
    const struct node_box *n = catalog_node_box(x->c, name);
    struct pmap instances = {0};
    struct pmap checks = {0};

    if (n == NULL) {
        return;
    }
    pmap_each(&n->instances, (struct slice){0}, note_instance, &instances);
    pmap_each(&n->checks, (struct slice){0}, note_check, &checks);
    pmap_each(&instances, (struct slice){0}, drop_instance, x);
    pmap_each(&checks, (struct slice){0}, drop_check, x);
    pmap_release(&instances);
    pmap_release(&checks);
}

static bool add_instance(void *ctx, struct slice key, struct shared *value)
{
    struct instance_box *of = (struct instance_box *)value;
    struct instance_box *ghost = change_new_instance();

    (void)key;
    of = of->origin != NULL ? of->origin : of;
    ghost->origin = (struct instance_box *)shared_ref(&of->shared);
    ghost->pub = of->pub;
    ghost->pub.create_revision = 0;
    ghost->pub.mod_revision = 0;
    change_put_instance(ctx, ghost);
    return true;
}

static bool add_check(void *ctx, struct slice key, struct shared *value)
{
    struct node_check_box *of = (struct node_check_box *)value;
    struct node_check_box *ghost = change_new_node_check();

    (void)key;
    of = of->origin != NULL ? of->origin : of;
    ghost->origin = (struct node_check_box *)shared_ref(&of->shared);
    ghost->pub = of->pub;
    ghost->pub.create_revision = 0;
    ghost->pub.mod_revision = 0;
    change_put_node_check(ctx, ghost);
    return true;
}

static bool add_node(void *ctx, struct slice key, struct shared *value)
{
    struct change *x = ctx;
    const struct node_box *of = (struct node_box *)value;
    char lower[NODE_NAME_MAX + 1];
    const char *name =
        (const char *)catalog_lower(of->pub.record.name, lower).data;
    const struct node_box *now = catalog_node_box(x->c, name);
    struct catalog_node ghost = of->pub;

    (void)key;
    if (!of->pub.known || (now != NULL && now->pub.known)) {
        return true;
    }
    ghost.held = (now == NULL || !now->pub.live) && !of->pub.record.external;
    ghost.ghost = true;
    ghost.create_revision = 0;
    ghost.mod_revision = 0;
    (void)shared_ref(&of->record_text->shared);
    change_put_node(x, name, &ghost, of->record_text);
    pmap_each(&of->instances, (struct slice){0}, add_instance, x);
    pmap_each(&of->checks, (struct slice){0}, add_check, x);
    return true;
}

struct catalog *catalog_refill(const struct catalog *old,
                               const struct catalog *before,
                               struct arena *arena,
                               struct catalog_changes *out_changes)
{
    struct change x = change_aside(old, arena);

    pmap_each(&before->nodes, (struct slice){0}, add_node, &x);
    change_finish(&x, out_changes);
    return x.c;
}

/* ---- Holding ------------------------------------------------------ */

static void set_held(struct change *x, const char *name, bool held)
{
    char lower[NODE_NAME_MAX + 1];
    const char *key = (const char *)catalog_lower(name, lower).data;
    const struct node_box *now = catalog_node_box(x->c, key);
    struct node_box *n;

    if (now == NULL || !now->pub.known || now->pub.live ||
        now->pub.held == held) {
        return;
    }
    n = change_node(x, key);
    n->pub.held = held;
    change_touch_wholly(x, key, n);
}

static void release(struct change *x, const char *name)
{
    char lower[NODE_NAME_MAX + 1];
    const char *key = (const char *)catalog_lower(name, lower).data;
    const struct node_box *now = catalog_node_box(x->c, key);

    if (now != NULL && now->pub.ghost) {
        change_drop_ghosts(x, key);
        change_remove_node(x, key);
    } else {
        set_held(x, name, false);
    }
}

struct catalog *catalog_hold(const struct catalog *old, struct texts hold,
                             struct texts names, struct arena *arena,
                             struct catalog_changes *out_changes)
{
    struct change x = change_aside(old, arena);

    for (size_t i = 0; i < hold.count; i++) {
        set_held(&x, hold.items[i], true);
    }
    for (size_t i = 0; i < names.count; i++) {
        release(&x, names.items[i]);
    }
    change_finish(&x, out_changes);
    return x.c;
}
