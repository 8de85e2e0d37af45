/*
 * From one snapshot to the next by a full read, and the indexes that are kept
 * with a replica.
 */
#include <stdlib.h>

#include "agent/core/catalog_change.h"

#include "base/core/check.h"

/* ---- Full reads --------------------------------------------------- */

static int compare_keys(const void *a, const void *b)
{
    const struct catalog_event *x = *(const struct catalog_event *const *)a;
    const struct catalog_event *y = *(const struct catalog_event *const *)b;

    return slice_cmp(x->key, y->key);
}

struct sweep {
    struct change *x;
    const struct catalog_event **sorted;
    size_t count;
    int64_t revision;
};

/* Delete `key` in the new snapshot unless the full read has it. */
static void sweep_key(const struct sweep *w, struct slice key)
{
    struct catalog_event gone = {
        .key = key, .deleted = true, .mod_revision = w->revision};
    const struct catalog_event *probe = &gone;

    if (w->count == 0 || bsearch(&probe, w->sorted, w->count,
                                 sizeof(*w->sorted), compare_keys) == NULL) {
        change_apply(w->x, &gone);
    }
}

static bool sweep_instance(void *ctx, struct slice key, struct shared *value)
{
    const struct instance_box *i = (struct instance_box *)value;

    (void)key;
    if (i->origin == NULL) { /* A ghost is the guard's. */
        sweep_key(ctx, i->pub.key);
    }
    return true;
}

static bool sweep_node_check(void *ctx, struct slice key, struct shared *value)
{
    const struct node_check_box *k = (struct node_check_box *)value;

    (void)key;
    if (k->origin == NULL) {
        sweep_key(ctx, k->pub.key);
    }
    return true;
}

static bool sweep_node(void *ctx, struct slice key, struct shared *value)
{
    const struct sweep *w = ctx;
    const struct node_box *n = (struct node_box *)value;

    pmap_each(&n->instances, (struct slice){0}, sweep_instance, ctx);
    pmap_each(&n->checks, (struct slice){0}, sweep_node_check, ctx);
    if (n->pub.known && !n->pub.ghost) {
        sweep_key(w, n->pub.key);
    }
    if (n->pub.live) {
        struct arena scratch = {0};
        const char *name = arena_strdup(&scratch, key);
        struct record_key live = {.kind = RECORD_LIVE, .node = name};

        sweep_key(w, record_key_write(&scratch, w->x->c->datacenter, &live));
        arena_release(&scratch);
    }
    return true;
}

static bool sweep_query(void *ctx, struct slice key, struct shared *value)
{
    const struct sweep *w = ctx;
    struct arena scratch = {0};
    struct record_key query = {.kind = RECORD_QUERY,
                               .id = arena_strdup(&scratch, key)};

    (void)value;
    sweep_key(w, record_key_write(&scratch, w->x->c->datacenter, &query));
    arena_release(&scratch);
    return true;
}

static bool sweep_unread(void *ctx, struct slice key, struct shared *value)
{
    (void)key;
    sweep_key(ctx, ((const struct unread_box *)value)->pub.key);
    return true;
}

/* Whether `old` holds exactly this already. */
static bool is_unchanged(struct change *x, const struct catalog *old,
                         const struct catalog_event *e)
{
    struct record_key key;
    const struct node_box *n;
    const struct instance_box *i;
    const struct node_check_box *k;
    const struct catalog_query *q;

    arena_reset(&x->scratch);
    if (record_key_read(&x->scratch, old->datacenter, e->key, &key)) {
        return false;
    }
    if (key.kind == RECORD_QUERY) {
        q = catalog_query(old, key.id);
        return q != NULL && q->mod_revision == e->mod_revision &&
               q->value_hash == catalog_hash(e->value);
    }
    n = key.kind == RECORD_FOREIGN ? NULL : catalog_node_box(old, key.node);
    if (n == NULL) {
        return false;
    }
    switch (key.kind) {
    case RECORD_NODE:
        return n->pub.known && n->pub.mod_revision == e->mod_revision &&
               n->pub.value_hash == catalog_hash(e->value);
    case RECORD_INSTANCE:
        i = (struct instance_box *)pmap_get(&n->instances,
                                            change_key(x, key.service, key.id));
        return i != NULL && i->pub.mod_revision == e->mod_revision &&
               i->pub.value_hash == catalog_hash(e->value);
    case RECORD_NODE_CHECK:
        k = (struct node_check_box *)pmap_get(&n->checks, slice_str(key.id));
        return k != NULL && k->pub.mod_revision == e->mod_revision &&
               k->pub.value_hash == catalog_hash(e->value);
    case RECORD_QUERY: /* Looked at above. */
    case RECORD_LIVE:  /* put_live() tells a change from none itself. */
    case RECORD_FOREIGN:
        return false;
    }
    UNREACHABLE();
}

static bool touch_gone_service(void *ctx, struct slice key,
                               struct shared *value)
{
    struct change *x = ctx;

    (void)value;
    change_name(x, &x->services, arena_strdup(x->arena, key));
    return true;
}

static bool touch_gone_query(void *ctx, struct slice key, struct shared *value)
{
    struct change *x = ctx;

    (void)value;
    change_name(x, &x->query_marks, arena_strdup(x->arena, key));
    return true;
}

static bool touch_gone_node(void *ctx, struct slice key, struct shared *value)
{
    struct change *x = ctx;
    const char *name = arena_strdup(x->arena, key);

    (void)value;
    change_name(x, &x->nodes, name);
    change_name(x, &x->lives, name);
    change_name(x, &x->node_marks, name);
    return true;
}

/* Everything in `old` is of another store: start from nothing, but tell
 * readers about each name that was there. */
static struct change change_from_nothing(const struct catalog *old,
                                         struct arena *arena)
{
    struct change x = {.c = catalog_new(old->datacenter), .arena = arena};

    pmap_each(&old->services, (struct slice){0}, touch_gone_service, &x);
    pmap_each(&old->nodes, (struct slice){0}, touch_gone_node, &x);
    pmap_each(&old->queries, (struct slice){0}, touch_gone_query, &x);
    pmap_each(&old->tombstones, (struct slice){0}, change_forget, &x);
    return x;
}

struct catalog *catalog_replace(const struct catalog *old,
                                const struct catalog_event *events,
                                size_t events_count, int64_t revision,
                                struct arena *arena,
                                struct catalog_changes *out_changes)
{
    bool anew = revision < old->revision || old->revision == 0;
    struct change x = {.arena = arena};
    struct sweep w = {.x = &x, .count = events_count, .revision = revision};

    if (anew) {
        x = change_from_nothing(old, arena);
        x.c->floor_index = (uint64_t)revision;
        x.c->services_index = (uint64_t)revision;
        x.c->nodes_index = (uint64_t)revision;
        x.c->state_index = (uint64_t)revision;
        x.c->all_index = (uint64_t)revision;
        x.c->queries_index = (uint64_t)revision;
        x.queries_changed = true;
    } else {
        x.c = catalog_copy(old);
    }
    change_at(&x, revision);
    for (size_t i = 0; i < events_count; i++) {
        if (anew || !is_unchanged(&x, old, &events[i])) {
            change_apply(&x, &events[i]);
        }
    }
    if (!anew) {
        w.sorted = calloc(events_count + 1, sizeof(*w.sorted));
        CHECK(w.sorted != NULL);
        for (size_t i = 0; i < events_count; i++) {
            w.sorted[i] = &events[i];
        }
        qsort(w.sorted, events_count, sizeof(*w.sorted), compare_keys);
        pmap_each(&old->nodes, (struct slice){0}, sweep_node, &w);
        pmap_each(&old->queries, (struct slice){0}, sweep_query, &w);
        pmap_each(&old->unread, (struct slice){0}, sweep_unread, &w);
        free(w.sorted);
    }
    x.c->revision = revision;
    change_finish(&x, out_changes);
    return x.c;
}

/* ---- Indexes kept with a replica ---------------------------------- */

static void restore_tombstone(struct change *x, const struct catalog_mark *m)
{
    if (x->c->tombstones.count < LIMIT_TOMBSTONES) {
        change_bury(x, m->scope[0], m->scope + 2);
    } else if (x->c->floor_index < m->index) {
        x->c->floor_index = m->index;
    }
}

static void restore_mark(struct change *x, const struct catalog_mark *m)
{
    const char *name = m->scope + 2;
    struct shared *exists;

    x->index = m->index;
    if (m->scope[0] == '\0' || m->scope[1] != ':') {
        x->c->services_index =
            m->scope[0] == 'S' ? m->index : x->c->services_index;
        x->c->nodes_index = m->scope[0] == 'N' ? m->index : x->c->nodes_index;
        x->c->state_index = m->scope[0] == 'T' ? m->index : x->c->state_index;
        x->c->all_index = m->scope[0] == 'A' ? m->index : x->c->all_index;
        x->c->floor_index = m->scope[0] == 'F' ? m->index : x->c->floor_index;
        x->c->queries_index =
            m->scope[0] == 'Q' ? m->index : x->c->queries_index;
        return;
    }
    if (m->scope[0] == 'q') {
        change_restore_query(x, name, m->index);
        return;
    }
    exists = pmap_get(m->scope[0] == 'n' ? &x->c->nodes : &x->c->services,
                      slice_str(name));
    if (m->scope[0] == 's' && exists != NULL) {
        change_service(x, name)->index = m->index;
    } else if (m->scope[0] == 'c' && exists != NULL) {
        change_service(x, name)->checks_index = m->index;
    } else if (m->scope[0] == 'n' && exists != NULL) {
        change_node(x, name)->index = m->index;
    } else if (exists == NULL && m->scope[0] != 'c') {
        restore_tombstone(x, m);
    }
}

void catalog_restore_marks(struct catalog *c, const struct catalog_mark *marks,
                           size_t marks_count)
{
    struct change x = {.c = c};

    CHECK(shared_is_sole(&c->shared));
    for (size_t i = 0; i < marks_count; i++) {
        if (strcmp(marks[i].scope, "K") == 0) {
            c->skew = marks[i].index;
        }
    }
    for (size_t i = 0; i < marks_count; i++) {
        if (marks[i].index > 0 &&
            marks[i].index <= (uint64_t)c->revision + c->skew) {
            restore_mark(&x, &marks[i]);
        }
        arena_reset(&x.scratch);
    }
    arena_release(&x.scratch);
}
