/*
 * ?near=: whose turn it is in a list that is ordered by distance: what is on
 * that node, what is in its zone (node meta "zone"), the rest. Within these,
 * who is nearer by measured round trips (coord.h) comes first; distances that
 * differ by less than a third or so count as one, and who has not measured is
 * last. Equals keep the order that lists have anyway.
 */
#include <strings.h>

#include "agent/core/api_model.h"
#include "agent/core/coord.h"

/* Classes of distance, of nodes in the zone and of others. */
#define CLASSES       31
#define TURN_SAME     0
#define TURN_ZONE     1
#define TURN_OTHERS   (TURN_ZONE + CLASSES)
#define TURNS         (TURN_OTHERS + CLASSES) /* 63: they are bits, below. */

#define CLASS_FIRST_S 0.00025
#define CLASS_STEP    1.35

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

static unsigned class_of(const struct api_call *call,
                         const struct node_record *node)
{
    struct coord to;
    double limit = CLASS_FIRST_S;
    unsigned class = 0;
    double distance;

    if (!call->origin_measured ||
        !coords_find(call->view->coords, node->name, &to)) {
        return CLASSES - 1;
    }
    distance = coord_distance(&call->origin_at, &to);
    while (class < CLASSES - 2 && distance >= limit) {
        limit *= CLASS_STEP;
        class ++;
    }
    return class;
}

/* This host is no node of another datacenter, whatever is called so there; and
 * it has measured its own store, not that one's members. */
static bool is_stranger(const struct api_call *call)
{
    return call->is_elsewhere &&
           call->origin == &local_host(call->view->local)->node;
}

static bool is_origin(const struct api_call *call,
                      const struct node_record *node)
{
    return !is_stranger(call) &&
           strcasecmp(call->origin->name, node->name) == 0;
}

static unsigned turn_of(const struct api_call *call,
                        const struct node_record *node)
{
    const char *zone = zone_of(call->origin);

    if (is_origin(call, node)) {
        return TURN_SAME;
    }
    return (*zone != '\0' && strcmp(zone, zone_of(node)) == 0 ? TURN_ZONE
                                                              : TURN_OTHERS) +
           class_of(call, node);
}

/* Which turns there are at all. */
static bool note_turn(void *ctx, const struct catalog_node *n)
{
    struct api_call *call = ctx;

    call->turns |= 1ULL << turn_of(call, &n->record);
    return true;
}

bool api_next_turn(struct api_call *call)
{
    if (call->turn == 0) {
        call->origin = origin_of(call);
        call->turns = 1;
        if (call->origin != NULL) {
            call->origin_measured =
                !is_stranger(call) &&
                coords_find(call->view->coords, call->origin->name,
                            &call->origin_at);
            catalog_each_node(call->view->catalog, note_turn, call);
        }
    }
    while (call->turn < TURNS && (call->turns >> call->turn & 1) == 0) {
        call->turn++;
    }
    return call->turn++ < TURNS;
}

bool api_has_turn(const struct api_call *call, const struct node_record *node)
{
    return call->origin == NULL || turn_of(call, node) == call->turn - 1;
}
