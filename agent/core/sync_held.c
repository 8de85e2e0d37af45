#include "agent/core/sync_held.h"

#include <stdlib.h>
#include <strings.h>

static void held_add(struct sync_held_list *list, struct sync_held held)
{
    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? 32 : 2 * list->cap;
        struct sync_held *items =
            arena_alloc(list->arena, cap * sizeof(*list->items));

        if (list->count > 0) {
            memcpy(items, list->items, list->count * sizeof(*items));
        }
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = held;
}

/* The host may have been known by another spelling of its name. */
static bool same_node(const char *owner, const struct sync_held_list *list)
{
    return strcasecmp(owner, list->node) == 0;
}

static bool held_instance(void *ctx, const struct catalog_instance *i)
{
    struct sync_held_list *list = ctx;

    if (i->mod_revision == 0) {
        return true; /* A ghost: the store does not have it. */
    }
    held_add(list, (struct sync_held){
                       .key = i->key,
                       .hash = i->value_hash,
                       .mod_revision = i->mod_revision,
                       .ours = same_node(i->record.owner.node, list),
                       .tags = i->record.tags,
                   });
    return true;
}

static bool held_node_check(void *ctx, const struct catalog_node_check *k)
{
    struct sync_held_list *list = ctx;

    if (k->mod_revision == 0) {
        return true;
    }
    held_add(list, (struct sync_held){
                       .key = k->key,
                       .hash = k->value_hash,
                       .mod_revision = k->mod_revision,
                       .ours = same_node(k->record.owner.node, list),
                   });
    return true;
}

static int compare_held(const void *a, const void *b)
{
    return slice_cmp(((const struct sync_held *)a)->key,
                     ((const struct sync_held *)b)->key);
}

struct sync_held_list sync_held_by(const struct catalog *catalog,
                                   const char *node, struct arena *a)
{
    struct sync_held_list list = {.node = node, .arena = a};
    const struct catalog_node *n = catalog_node(catalog, node);

    if (n != NULL && n->known && !n->ghost) {
        held_add(&list, (struct sync_held){
                            .key = n->key,
                            .hash = n->value_hash,
                            .mod_revision = n->mod_revision,
                            .ours = same_node(n->record.owner.node, &list),
                        });
    }
    catalog_each_node_check(catalog, node, held_node_check, &list);
    catalog_each_node_instance(catalog, node, held_instance, &list);
    if (list.count > 0) {
        qsort(list.items, list.count, sizeof(*list.items), compare_held);
    }
    return list;
}

const struct sync_held *sync_held_find(const struct sync_held_list *list,
                                       struct slice key)
{
    struct sync_held probe = {.key = key};

    return list->count == 0 ? NULL
                            : bsearch(&probe, list->items, list->count,
                                      sizeof(*list->items), compare_held);
}
