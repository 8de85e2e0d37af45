/*
 * ?near=: whose turn it is in a list that is ordered by distance: what is on
 * that node, what is in its zone (node meta "zone"), the rest; each in the
 * order that lists have anyway.
 */
#include <strings.h>

#include "agent/core/api_model.h"

enum turn {
    TURN_SAME_NODE,
    TURN_SAME_ZONE,
    TURN_OTHERS,
    TURNS
};

static const char *zone_of(const struct node_record *n)
{
    for (size_t i = 0; i < n->meta.count; i++) {
        if (strcmp(n->meta.items[i].key, "zone") == 0) {
            return n->meta.items[i].value;
        }
    }
    return "";
}

/* NULL: no order is asked for, or nobody knows that node. */
static const struct node_record *origin_of(const struct api_call *call)
{
    const char *near =
        call->near != NULL ? call->near : api_param(call, "near");
    const struct node_record *own = &local_host(call->view->local)->node;
    const struct catalog_node *n;

    if (near == NULL || *near == '\0') {
        return NULL;
    }
    if (strcmp(near, "_agent") == 0) {
        return own;
    }
    n = catalog_node(call->view->catalog, near);
    return n == NULL || !n->known ? NULL : &n->record;
}

static unsigned turn_of(const struct node_record *origin,
                        const struct node_record *node)
{
    const char *zone = zone_of(origin);

    if (strcasecmp(origin->name, node->name) == 0) {
        return TURN_SAME_NODE;
    }
    return *zone != '\0' && strcmp(zone, zone_of(node)) == 0 ? TURN_SAME_ZONE
                                                             : TURN_OTHERS;
}

bool api_next_turn(struct api_call *call)
{
    if (call->turn == 0) {
        call->origin = origin_of(call);
    }
    return call->turn++ < (call->origin == NULL ? 1U : (unsigned)TURNS);
}

bool api_has_turn(const struct api_call *call, const struct node_record *node)
{
    return call->origin == NULL ||
           turn_of(call->origin, node) == call->turn - 1;
}
