/*
 * Keys in a snapshot whose values are no records.
 */
#include <stdlib.h>

#include "agent/core/catalog_change.h"
#include "base/core/check.h"
#include "base/core/limits.h"

static void unread_free(struct shared *s)
{
    struct unread_box *u = (struct unread_box *)s;

    arena_release(&u->arena);
    free(u);
}

static struct unread_box *unread_new(const struct catalog_event *e,
                                     const struct record_key *key)
{
    struct unread_box *u = calloc(1, sizeof(*u));

    CHECK(u != NULL);
    shared_init(&u->shared, unread_free);
    u->pub.key = arena_copy(&u->arena, e->key);
    u->pub.mod_revision = e->mod_revision;
    u->pub.parts = (struct record_key){
        .kind = key->kind,
        .node = arena_strdup(&u->arena, slice_str(key->node)),
        .service = arena_strdup(&u->arena, slice_str(key->service)),
        .id = arena_strdup(&u->arena, slice_str(key->id)),
    };
    return u;
}

static bool is_of_node(const struct record_key *key)
{
    return key->kind == RECORD_NODE || key->kind == RECORD_INSTANCE ||
           key->kind == RECORD_NODE_CHECK;
}

void change_note_unread(struct change *x, const struct catalog_event *e,
                        const struct record_key *key, bool unread)
{
    struct slice place;

    if (!is_of_node(key) || (!unread && x->c->unread.count == 0)) {
        return;
    }
    place = change_key(x, key->node, arena_strdup(&x->scratch, e->key));
    if (!unread) {
        (void)pmap_remove(&x->c->unread, place);
    } else if (x->c->unread.count < LIMIT_UNREAD_RECORDS ||
               pmap_get(&x->c->unread, place) != NULL) {
        pmap_put(&x->c->unread, place, &unread_new(e, key)->shared);
    }
}

/* ---- Reading ------------------------------------------------------- */

struct visit {
    struct slice node;
    catalog_unread_fn fn;
    void *ctx;
};

static bool visit_unread(void *ctx, struct slice key, struct shared *value)
{
    const struct visit *v = ctx;

    /* Behind the node's name is a zero. */
    return slice_starts(key, v->node) && key.data[v->node.len] == '\0' &&
           v->fn(v->ctx, &((const struct unread_box *)value)->pub);
}

void catalog_each_unread(const struct catalog *c, const char *node,
                         catalog_unread_fn fn, void *ctx)
{
    char lower[NODE_NAME_MAX + 2];
    struct visit v = {.node = catalog_lower(node, lower), .fn = fn, .ctx = ctx};

    if (c->unread.count > 0) {
        lower[v.node.len] = '\0';
        pmap_each(&c->unread, slice_of(lower, v.node.len + 1), visit_unread,
                  &v);
    }
}
