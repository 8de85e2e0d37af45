/*
 * /v1/coordinate: how far nodes are from each other (coord.h), as Consul's
 * clients want it.
 */
#include "agent/core/api_model.h"
#include "agent/core/coord.h"

static void write_number(struct jsonw *w, const char *key, double value,
                         struct arena *a)
{
    if (key != NULL) {
        jsonw_key(w, key);
    }
    jsonw_raw(w, value == 0 ? "0" : arena_printf(a, "%.9f", value));
}

void api_write_coord(struct api_call *call, const struct coord *measured)
{
    static const struct coord nowhere;
    const struct coord *at = measured ? measured : &nowhere;
    struct jsonw *w = &call->json;

    jsonw_object(w);
    write_number(w, "Adjustment", 0, call->arena);
    jsonw_key(w, "Error");
    jsonw_raw(w, measured ? "0.2" : "1.5"); /* As Consul's: of no use yet. */
    write_number(w, "Height", at->height, call->arena);
    jsonw_key(w, "Vec");
    jsonw_list(w);
    for (int i = 0; i < COORD_DIMS; i++) {
        write_number(w, NULL, at->vec[i], call->arena);
    }
    jsonw_list_end(w);
    jsonw_object_end(w);
}

static void write_node(void *ctx, const char *node, const struct coord *at)
{
    struct api_call *call = ctx;

    if (!api_sees(call, ACL_NODE, node)) {
        return;
    }
    jsonw_object(&call->json);
    jsonw_key_text(&call->json, "Node", node);
    jsonw_key_text(&call->json, "Segment", "");
    jsonw_key(&call->json, "Coord");
    api_write_coord(call, at);
    jsonw_object_end(&call->json);
}

/* An index that we have given out ourselves waits until another one comes. */
static bool waits(struct api_call *call, const struct api_poll *poll,
                  const struct coords *c)
{
    struct slice folder;

    if (c == NULL || poll->index == 0 || poll->index != coords_index(c) ||
        call->request->flow == NULL || call->request->flow->woken ||
        call->view->now.now_ms >= poll->deadline_ms) {
        return false;
    }
    folder = coords_folder(c, call->arena);
    api_wait_for(call, poll, folder, store_prefix_end(call->arena, folder));
    return true;
}

/* False: the reply is made, or will be. */
static bool begin(struct api_call *call, const struct coords *c)
{
    struct api_poll poll;

    if (!api_poll_read(call, &poll) || waits(call, &poll, c)) {
        return false;
    }
    api_poll_headers(call, coords_index(c));
    return true;
}

void api_coordinate_nodes(struct api_call *call)
{
    if (!begin(call, call->view->coords)) {
        return;
    }
    jsonw_list(api_json(call, 200));
    coords_each(call->view->coords, write_node, call);
    jsonw_list_end(&call->json);
    api_json_end(call);
}

/* A node that has not measured is a 404, as with Consul. */
void api_coordinate_node(struct api_call *call)
{
    struct coord at;

    if (!api_demand(call, ACL_NODE, call->rest, ACL_READ) ||
        !begin(call, call->view->coords)) {
        return;
    }
    if (!coords_find(call->view->coords, call->rest, &at)) {
        api_text(call, 404, "Nothing has been measured by node \"%.300s\"",
                 call->rest);
        return;
    }
    jsonw_list(api_json(call, 200));
    write_node(call, call->rest, &at);
    jsonw_list_end(&call->json);
    api_json_end(call);
}

static void datacenter_begin(struct jsonw *w, const char *name)
{
    jsonw_object(w);
    jsonw_key_text(w, "Datacenter", name);
    jsonw_key_text(w, "AreaID", "wan");
    jsonw_key(w, "Coordinates");
    jsonw_list(w);
}

static void datacenter_end(struct jsonw *w)
{
    jsonw_list_end(w);
    jsonw_object_end(w);
}

/* Its store stands as far from us as a question to it takes. */
static void write_other(struct api_call *call, const struct api_datacenter *dc,
                        const struct coord *own)
{
    struct jsonw *w = &call->json;
    struct coord at = *own;
    double rest = dc->round_trip_us / 1e6 - own->height;

    at.vec[0] += rest > 0 ? rest : 0;
    at.height = 0;
    datacenter_begin(w, dc->name);
    if (dc->round_trip_us > 0) {
        jsonw_object(w);
        jsonw_key_text(w, "Node", dc->leader);
        jsonw_key(w, "Coord");
        api_write_coord(call, &at);
        jsonw_object_end(w);
    }
    datacenter_end(w);
}

/* Consul's form is of its servers in each datacenter; here it is this agent as
 * it stands to its own store, and the stores of the others, nearest first. */
void api_coordinate_datacenters(struct api_call *call)
{
    const struct local_host *host = local_host(call->home->local);
    struct texts others = api_nearest_datacenters(call);
    struct coord at = {0};
    struct jsonw *w;

    if (!begin(call, call->home->coords)) {
        return;
    }
    w = api_json(call, 200);
    jsonw_list(w);
    datacenter_begin(w, host->datacenter);
    if (coords_find(call->home->coords, host->node.name, &at)) {
        write_node(call, host->node.name, &at);
    }
    datacenter_end(w);
    for (size_t i = 0; i < others.count; i++) {
        const struct api_datacenter *dc =
            api_find_datacenter(call->home, others.items[i]);

        if (dc != NULL) {
            write_other(call, dc, &at);
        }
    }
    jsonw_list_end(w);
    api_json_end(call);
}

/* ---- Update --------------------------------------------------------- */

/* False: the reply is made. What a node with an agent has measured itself is
 * better than what others say. */
static bool may_tell(struct api_call *call, const char *node)
{
    const struct catalog_node *n = catalog_node(call->view->catalog, node);

    if (call->view->coords == NULL ||
        catalog_revision(call->view->catalog) == 0) {
        api_text(call, 500, "No cluster leader");
        return false;
    }
    if (!api_demand(call, ACL_NODE, node, ACL_WRITE)) {
        return false;
    }
    if (n == NULL || !n->known) {
        api_text(call, 404, "Node \"%.255s\" is not registered", node);
        return false;
    }
    if (!n->record.external && !api_flag(call, "force")) {
        api_text(call, 409,
                 "Node \"%.255s\" runs an agent, which measures by itself; "
                 "force=1 writes all the same",
                 node);
        return false;
    }
    return true;
}

void api_coordinate_update(struct api_call *call)
{
    const char *node;
    struct coord at;
    struct err err;

    if (call->request->flow->done != NULL) {
        api_done(call);
        return;
    }
    if (coord_read(call->arena, call->request->body, &node, &at, &err)) {
        api_text(call, 400, "Request decode failed: %s", err.text);
        return;
    }
    if (may_tell(call, node)) {
        store_put(api_ask(call),
                  coords_key(call->view->coords, call->arena, node),
                  coord_write(call->arena, node, &at), 0);
    }
}
