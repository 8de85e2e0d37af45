/*
 * Which datacenter a request is about: ?dc=, and the lists of them.
 */
#include <stdlib.h>

#include "agent/core/api_model.h"
#include "base/core/check.h"

const struct api_datacenter *api_find_datacenter(const struct api_view *view,
                                                 const char *name)
{
    for (size_t i = 0; i < view->datacenters_count; i++) {
        if (strcmp(view->datacenters[i].name, name) == 0) {
            return &view->datacenters[i];
        }
    }
    return NULL;
}

/* ---- One of them -------------------------------------------------- */

void api_view_turn(struct api_view *view, const struct api_datacenter *dc)
{
    view->catalog = dc->catalog;
    view->known_leader = dc->known_leader;
    view->last_contact_ms = dc->last_contact_ms;
    view->leader = dc->leader;
    view->peers = dc->peers;
    view->coords = dc->coords;
}

static void look_at(struct api_call *call, const struct api_datacenter *dc)
{
    call->elsewhere = *call->home;
    api_view_turn(&call->elsewhere, dc);
    call->view = &call->elsewhere;
    call->dc = dc->name;
    call->is_elsewhere = true;
}

bool api_turn_to(struct api_call *call, const char *name)
{
    const char *own = local_host(call->home->local)->datacenter;
    const struct api_datacenter *dc;

    if (*name == '\0' || strcmp(name, call->dc) == 0) {
        return true;
    }
    if (strcmp(name, own) == 0) {
        call->view = call->home;
        call->dc = own;
        call->is_elsewhere = false;
        return true;
    }
    dc = api_find_datacenter(call->home, name);
    if (dc == NULL) {
        api_text(call, 500, "No path to datacenter");
        return false;
    }
    look_at(call, dc);
    return true;
}

/* What is about this agent is, whatever ?dc= says. */
static bool is_about_us(struct slice path)
{
    return slice_starts(path, slice_str("/v1/agent/")) ||
           slice_eq(path, slice_str("/v1/metrics")) ||
           !slice_starts(path, slice_str("/v1/"));
}

bool api_accept_datacenter(struct api_call *call)
{
    const char *dc = api_param(call, "dc");

    call->home = call->view;
    call->dc = local_host(call->home->local)->datacenter;
    if (dc == NULL || is_about_us(call->request->path)) {
        return true;
    }
    if (!api_turn_to(call, dc)) {
        return false;
    }
    if (call->is_elsewhere &&
        slice_starts(call->request->path, slice_str("/v1/acl/"))) {
        api_text(call, 400,
                 "Tokens and policies of \"%s\" are changed by its own agents",
                 dc);
        return false;
    }
    return true;
}

/* ---- Its addresses ------------------------------------------------ */

static const char *const wan_names[] = {"wan", "wan_ipv4", "wan_ipv6"};

#define WAN_NAMES (sizeof(wan_names) / sizeof(wan_names[0]))

static bool translates(const struct api_call *call)
{
    return call->is_elsewhere && call->view->translate_wan;
}

const char *api_node_address(const struct api_call *call,
                             const struct node_record *n)
{
    for (size_t i = 0; translates(call) && i < WAN_NAMES; i++) {
        for (size_t k = 0; k < n->tagged.count; k++) {
            if (strcmp(n->tagged.items[k].key, wan_names[i]) == 0) {
                return n->tagged.items[k].value;
            }
        }
    }
    return n->address;
}

/* NULL: the plain one is shown. */
static const struct tagged_address *wan_of(const struct api_call *call,
                                           const struct instance_record *r)
{
    for (size_t i = 0; translates(call) && i < WAN_NAMES; i++) {
        for (size_t k = 0; k < r->tagged_count; k++) {
            if (strcmp(r->tagged[k].name, wan_names[i]) == 0) {
                return &r->tagged[k];
            }
        }
    }
    return NULL;
}

const char *api_service_address(const struct api_call *call,
                                const struct instance_record *r)
{
    const struct tagged_address *wan = wan_of(call, r);

    return wan == NULL ? r->address : wan->address;
}

uint16_t api_service_port(const struct api_call *call,
                          const struct instance_record *r)
{
    const struct tagged_address *wan = wan_of(call, r);

    return wan == NULL || wan->port == 0 ? r->port : wan->port;
}

/* ---- All of them -------------------------------------------------- */

static int compare_by_distance(const void *a, const void *b)
{
    const struct api_datacenter *x = *(const struct api_datacenter *const *)a;
    const struct api_datacenter *y = *(const struct api_datacenter *const *)b;
    uint32_t far = UINT32_MAX; /* What was not measured is the farthest. */
    uint32_t x_us = x->round_trip_us == 0 ? far : x->round_trip_us;
    uint32_t y_us = y->round_trip_us == 0 ? far : y->round_trip_us;

    if (x_us != y_us) {
        return x_us < y_us ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

/* The others, nearest first. */
static const struct api_datacenter **by_distance(const struct api_call *call)
{
    const struct api_view *v = call->home;
    const struct api_datacenter **list =
        arena_zalloc(call->arena, v->datacenters_count + 1, sizeof(*list));

    for (size_t i = 0; i < v->datacenters_count; i++) {
        list[i] = &v->datacenters[i];
    }
    if (v->datacenters_count > 1) {
        qsort(list, v->datacenters_count, sizeof(*list), compare_by_distance);
    }
    return list;
}

/* Distances are those from here; seen from another one, we are its first. */
struct texts api_nearest_datacenters(struct api_call *call)
{
    const struct api_datacenter **others = by_distance(call);
    size_t total = call->home->datacenters_count;
    const char **names = arena_zalloc(call->arena, total + 1, sizeof(*names));
    size_t count = 0;

    if (call->is_elsewhere) {
        names[count++] = local_host(call->home->local)->datacenter;
    }
    for (size_t i = 0; i < total; i++) {
        if (strcmp(others[i]->name, call->dc) != 0) {
            names[count++] = others[i]->name;
        }
    }
    return (struct texts){.items = names, .count = count};
}

/* Must work without the store. */
void api_catalog_datacenters(struct api_call *call)
{
    const struct api_datacenter **others = by_distance(call);
    struct jsonw *w = api_json(call, 200);

    jsonw_list(w);
    jsonw_text(w, local_host(call->view->local)->datacenter);
    for (size_t i = 0; i < call->view->datacenters_count; i++) {
        jsonw_text(w, others[i]->name);
    }
    jsonw_list_end(w);
    api_json_end(call);
}
