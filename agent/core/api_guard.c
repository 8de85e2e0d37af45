/*
 * The guard (guard.h): what it does, and the operator's word to it.
 */
#include "agent/core/api_model.h"
#include "agent/core/reaper.h"

static const char *cause_text(enum guard_cause cause)
{
    switch (cause) {
    case GUARD_CAUSE_NONE:
        return "";
    case GUARD_CAUSE_NODES:
        return "nodes";
    case GUARD_CAUSE_SERVICE:
        return "service";
    case GUARD_CAUSE_EMPTIED:
        return "emptied";
    case GUARD_CAUSE_OPERATOR:
        return "operator";
    }
    return "";
}

static void write_guard(struct api_call *call)
{
    const struct guard_status *g = &call->view->guard;
    bool active = g->cause != GUARD_CAUSE_NONE;
    struct jsonw *w = api_json(call, 200);

    jsonw_object(w);
    jsonw_key_text(w, "Mode", guard_mode_text(g->mode));
    jsonw_key_bool(w, "Active", active);
    jsonw_key_text(w, "Cause", cause_text(g->cause));
    jsonw_key_text(w, "Why", g->why);
    jsonw_key_int(
        w, "Seconds",
        active ? (int64_t)((call->view->now.now_ms - g->began_ms) / 1000) : 0);
    jsonw_key_int(w, "NodesHeld", (int64_t)g->held);
    jsonw_key_bool(w, "StoreEmptied", g->store_emptied);
    jsonw_key_int(w, "Activations", (int64_t)g->activations);
    jsonw_object_end(w);
    api_json_end(call);
}

void api_agent_guard(struct api_call *call)
{
    const char *mode = api_param(call, "mode");

    if (mode == NULL || slice_eq(call->request->method, slice_str("GET")) ||
        call->request->confirmed) {
        write_guard(call);
    } else if (!guard_mode_parse(mode, &call->outcome->guard_mode)) {
        api_text(call, 400, "Invalid mode \"%.32s\": it is on, off or auto",
                 mode);
    } else {
        call->outcome->kind = API_GUARD;
    }
}

/* Consul's force-leave: a dead node goes now. "prune" changes nothing: we have
 * no members that have left and are still listed. */
void api_force_leave(struct api_call *call)
{
    const struct catalog_node *n =
        catalog_node(call->view->catalog, call->rest);

    if (catalog_revision(call->view->catalog) == 0) {
        api_text(call, 500, "No cluster leader");
    } else if (call->request->confirmed && (n == NULL || !n->known)) {
        api_done(call); /* The last part is gone. */
    } else if (n == NULL || !n->known) {
        api_text(call, 404, "No node found with name '%.512s'", call->rest);
    } else if (n->live) {
        api_text(call, 409,
                 "Node \"%.512s\" lives: its agent would register it again; "
                 "use leave there",
                 n->record.name);
    } else if (n->ghost) {
        api_text(call, 409,
                 "The store has lost node \"%.512s\" already; it is shown "
                 "until the guard is over or off",
                 n->record.name);
    } else {
        call->outcome->kind = API_TXN;
        call->outcome->txn_again = !reaper_removal(
            call->view->catalog, n, call->arena, &call->outcome->txn);
    }
}
