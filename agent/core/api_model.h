/*
 * api_model.h - what the handlers of the API share (private to api*.c).
 */
#pragma once

#include "agent/core/api.h"
#include "agent/core/jsonw.h"

#define API_PARAMS_MAX 64

struct api_call {
    const struct api_request *request;
    const struct api_view *view;
    struct arena *arena;
    struct api_outcome *outcome;
    struct pair params[API_PARAMS_MAX]; /* Decoded query. */
    size_t params_count;
    const char *rest; /* Path behind the route's, decoded; "" if exact. */
    struct jsonw json;
};

typedef void (*api_handler)(struct api_call *call);

/* ---- Parameters (api_params.c) ------------------------------------ */

/* Percent codes (and, in queries, '+') taken out. NULL: malformed. */
const char *api_decode(struct arena *a, struct slice text, bool plus_is_blank);

/* False: malformed or too many; the reply is made. */
bool api_params_read(struct api_call *call);

/* NULL: not given. "": given without a value. */
const char *api_param(const struct api_call *call, const char *key);
bool api_flag(const struct api_call *call, const char *key);

/* Whether a node passes all node-meta parameters. */
bool api_node_matches(const struct api_call *call,
                      const struct node_record *node);
/* Whether an instance has all tags of the tag parameters. */
bool api_tags_match(const struct api_call *call, struct texts tags);

/* ---- Replies (api.c) ---------------------------------------------- */

void api_header(struct api_call *call, const char *name, const char *value);
void api_text(struct api_call *call, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* 200 and an empty body. */
void api_done(struct api_call *call);

/* Open a JSON reply, and close it. */
struct jsonw *api_json(struct api_call *call, int status);
void api_json_end(struct api_call *call);

/* For endpoints that block: true if the reply may be made now, with its
 * headers set; false if the outcome is made (wait, confirm, or an error). */
bool api_ready(struct api_call *call, struct catalog_scope scope);

/* ---- JSON of things (api_json.c) ---------------------------------- */

void api_write_node(struct api_call *call, const struct catalog_node *n);
void api_write_service(struct api_call *call, const struct catalog_instance *i);
void api_write_local_service(struct api_call *call,
                             const struct local_service *s);
void api_write_local_check(struct api_call *call, const char *id,
                           const struct local_check *c);
/* `instance` NULL: a check of the node. */
void api_write_check(struct api_call *call, const struct catalog_node *node,
                     const struct catalog_instance *instance,
                     const struct catalog_check *check);
/* All checks that bear on an instance: its own, its node's, serfHealth. */
void api_write_checks(struct api_call *call, const struct catalog_node *node,
                      const struct catalog_instance *instance);
void api_write_node_checks(struct api_call *call,
                           const struct catalog_node *node);
void api_write_instance_checks(struct api_call *call,
                               const struct catalog_node *node,
                               const struct catalog_instance *instance);
void api_write_texts(struct jsonw *w, struct texts texts);
void api_write_pairs(struct jsonw *w, struct pairs pairs);
void api_write_tagged(struct jsonw *w, const struct tagged_address *tagged,
                      size_t count);
void api_write_weights(struct jsonw *w, uint32_t passing, uint32_t warning);
void api_write_ports(struct jsonw *w, const struct named_port *ports,
                     size_t count);

/* The known node of an instance; NULL: its record is missing, leave it out. */
const struct catalog_node *api_node_of(const struct api_call *call,
                                       const struct catalog_instance *i);

/* ---- Handlers ----------------------------------------------------- */

/* api_agent.c */
void api_agent_self(struct api_call *call);
void api_agent_members(struct api_call *call);
void api_agent_services(struct api_call *call);
void api_agent_service(struct api_call *call);
void api_agent_checks(struct api_call *call);
void api_agent_health_name(struct api_call *call);
void api_agent_health_id(struct api_call *call);
void api_agent_metrics(struct api_call *call);
void api_agent_version(struct api_call *call);
void api_agent_ready(struct api_call *call);
void api_agent_live(struct api_call *call);

/* api_agent_write.c */
void api_service_register(struct api_call *call);
void api_service_deregister(struct api_call *call);
void api_service_maintenance(struct api_call *call);
void api_node_maintenance(struct api_call *call);
void api_check_register(struct api_call *call);
void api_check_deregister(struct api_call *call);
void api_check_pass(struct api_call *call);
void api_check_warn(struct api_call *call);
void api_check_fail(struct api_call *call);
void api_check_update(struct api_call *call);
void api_reload(struct api_call *call);
void api_leave(struct api_call *call);
void api_join(struct api_call *call);

/* api_catalog.c */
void api_catalog_datacenters(struct api_call *call);
void api_catalog_services(struct api_call *call);
void api_catalog_service(struct api_call *call);
void api_catalog_nodes(struct api_call *call);
void api_catalog_node(struct api_call *call);
void api_catalog_node_services(struct api_call *call);
void api_health_service(struct api_call *call);
void api_health_connect(struct api_call *call);
void api_health_checks(struct api_call *call);
void api_health_node(struct api_call *call);
void api_health_state(struct api_call *call);
void api_status_leader(struct api_call *call);
void api_status_peers(struct api_call *call);
void api_empty_list(struct api_call *call);

/* api_register.c */
void api_catalog_register(struct api_call *call);
void api_catalog_deregister(struct api_call *call);
