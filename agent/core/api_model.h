/*
 * api_model.h - what the handlers of the API share (private to api*.c).
 */
#pragma once

#include "agent/core/acl.h"
#include "agent/core/api.h"
#include "agent/core/filter.h"
#include "agent/core/jsonw.h"

#define API_PARAMS_MAX 64

struct api_call {
    const struct api_request *request;
    const struct api_view *view;
    struct arena *arena;
    struct api_outcome *outcome;
    struct pair params[API_PARAMS_MAX]; /* Decoded query. */
    size_t params_count;
    const char *rest;      /* Path behind the route's, decoded; "" if exact. */
    struct filter *filter; /* NULL: all elements. */
    /* Of an endpoint that blocks, as api_ready() has found it. */
    struct catalog_scope scope;
    uint64_t index; /* The scope's. */
    uint64_t deadline_ms;
    bool may_wait;    /* An index was asked for that this store has given. */
    const char *near; /* Instead of ?near=; NULL: that. */
    const struct node_record *origin; /* Of ?near=, see api_next_turn(). */
    unsigned turn;
    uint64_t turns; /* Bits. */
    bool origin_measured;
    struct coord origin_at;
    bool answer_now; /* The reply is wanted whatever the index says. */
    struct jsonw json;
    struct acl_auth auth; /* What its token may do. */
    struct slice secret;  /* As sent; empty: none. */
    bool own_token;       /* It came with the request, or by the socket's
                             owner: it is not the agent's default one. */
    bool filtered;        /* Something was left out for want of rights. */
    const char *dc;       /* What the request is about: this datacenter. */
    const struct api_view *home; /* What the shell has shown. */
    bool is_elsewhere;           /* `dc` is not our own; `view` is then */
    struct api_view elsewhere;   /* this. */
};

typedef void (*api_handler)(struct api_call *call);

/* What is to be done with a thing that can be read, written and deleted. */
enum api_verb {
    API_VERB_READ,
    API_VERB_WRITE,
    API_VERB_DELETE
};

enum api_verb api_verb(const struct api_call *call); /* api.c */

/* ---- Parameters (api_params.c) ------------------------------------ */

/* Percent codes (and, in queries, '+') taken out. NULL: malformed. */
const char *api_decode(struct arena *a, struct slice text, bool plus_is_blank);

/* False: malformed or too many; the reply is made. */
bool api_params_read(struct api_call *call);

/* NULL: not given. "": given without a value. */
const char *api_param(const struct api_call *call, const char *key);
bool api_flag(const struct api_call *call, const char *key);
/* Like a flag, but only words for yes and no are taken. False: the reply is
 * made. */
bool api_truth_read(struct api_call *call, const char *key, bool *out);

/* Whether the Accept header has this in it. */
bool api_accepts(const struct api_call *call, const char *kind);

/* Whether a node passes all node-meta parameters. */
bool api_node_matches(const struct api_call *call,
                      const struct node_record *node);
/* Whether an instance has all tags of the tag parameters. */
bool api_tags_match(const struct api_call *call, struct texts tags);

/* ---- Datacenters (api_datacenter.c) ------------------------------- */

/* Heed ?dc=. False: the reply is made. */
bool api_accept_datacenter(struct api_call *call);
/* What follows is about this datacenter; "": as it is. False: there is no way
 * to it, and the reply is made. */
bool api_turn_to(struct api_call *call, const char *name);
/* Names of all others than that one, the nearest first. */
struct texts api_nearest_datacenters(struct api_call *call);

/* What is shown of addresses and ports: of another datacenter those that are
 * meant for the outside, if view.translate_wan says so. */
const char *api_node_address(const struct api_call *call,
                             const struct node_record *n);
const char *api_service_address(const struct api_call *call,
                                const struct instance_record *r);
uint16_t api_service_port(const struct api_call *call,
                          const struct instance_record *r);

/* ---- Access (api_access.c) ---------------------------------------- */

/* What a route asks for before its handler is called. */
enum api_need_kind {
    API_NEED_OPERATOR = 0, /* operator:write: a route that says nothing. */
    API_NEED_NOTHING,
    API_NEED_BY_HANDLER, /* It asks for each thing (api_demand, api_sees). */
    API_NEED_OF_ALL,     /* `access` to a resource without names. */
    API_NEED_OF_SELF,    /* `access` to this node's name. */
    API_NEED_OF_REST     /* `access` to what stands behind the path. */
};

struct api_need {
    enum api_need_kind kind;
    enum acl_resource resource;
    enum acl_access access;
};

/* Find out who asks. False: there is no such token; the reply is made. */
bool api_identify(struct api_call *call);
/* False: the reply (403) is made. */
bool api_grant(struct api_call *call, const struct api_need *need);
bool api_demand(struct api_call *call, enum acl_resource resource,
                const char *name, enum acl_access wanted);

bool api_may(const struct api_call *call, enum acl_resource resource,
             const char *name, enum acl_access wanted);
/* For items of a list: whether it may be read. If not, leave it out; the reply
 * says that something was. */
bool api_sees(struct api_call *call, enum acl_resource resource,
              const char *name);

/* An instance is seen by who may read its service and its node. */
bool api_sees_instance(struct api_call *call, const struct catalog_instance *i);

/* "allow" or "deny" */
const char *api_default_policy(const struct api_call *call);
/* From this host: by the socket or from loopback. */
bool api_is_near(const struct api_call *call);
/* Host and Origin are ours; a change comes from where changes may come from.
 * False: the reply is made. */
bool api_accept_site(struct api_call *call);
bool api_accept_change(struct api_call *call);

/* ---- Replies (api.c) ---------------------------------------------- */

void api_outcome_init(struct api_outcome *o);
/* The replica's revision, 1 at least: an index where there is no scope. */
const char *api_revision_text(const struct api_call *call);
void api_header(struct api_call *call, const char *name, const char *value);
void api_text(struct api_call *call, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* 200 and an empty body. */
void api_done(struct api_call *call);

/* Open a JSON reply, and close it. */
struct jsonw *api_json(struct api_call *call, int status);
void api_json_end(struct api_call *call);

/* ---- Blocking (api_block.c) --------------------------------------- */

/* How long `wait` allows. False: the reply is made. */
bool api_read_wait(struct api_call *call, uint64_t *out_ms);

#define API_WAIT_MS_MAX 600000

/* After a handler that has called api_ready(): a poll whose parameters choose
 * (filter, passing, near, ...) sleeps on when its scope has changed and its
 * reply has not. */
void api_settle_wait(struct api_call *call, api_handler handle);

/* ?index=, 0 if there is none. False: the reply is made. */
bool api_read_index(struct api_call *call, uint64_t *out_index);

/* For endpoints that block: true if the reply may be made now, with its
 * headers set; false if the outcome is made (wait, confirm, or an error). */
bool api_ready(struct api_call *call, struct catalog_scope scope);

/* ---- Registrations that wait for the store (api_sync.c) ----------- */

/* ?sync=. False: the reply is made. */
bool api_sync_read(struct api_call *call, uint64_t *out_ms);
/* What was asked for is registered, and the request comes again to look. */
bool api_sync_looks(const struct api_call *call);
/* 200 if ?sync was not given or the store has the service (`check_id` NULL) or
 * the check; 202 if time is over; else an outcome that waits. */
void api_sync_reply(struct api_call *call, uint64_t ms, const char *service_id,
                    const char *check_id);

/* ---- Choosing (api_filter.c) -------------------------------------- */

/* What a list's elements are, and so what ?filter= can select in them. */
enum api_filter_kind {
    API_FILTER_HEALTH,   /* Node.*, Service.*, Checks.* */
    API_FILTER_FLAT,     /* Instance and node in one: ServiceName, NodeMeta. */
    API_FILTER_NODES,    /* Node, Address, Meta. */
    API_FILTER_SERVICES, /* Service, ID, Port, Tags. */
    API_FILTER_CHECKS,   /* CheckID, Status. */
};

/* False: not a filter for such elements; the reply is made. */
bool api_filter_read(struct api_call *call, enum api_filter_kind kind);

/* A check as it is shown, whoever knows it. */
struct check_view {
    const char *node;
    const struct check_record *record;
    const char *output;
    const char *service_id; /* "" for a check of the node. */
    const char *service_name;
    struct texts service_tags;
    int64_t create_revision;
    int64_t mod_revision;
};

/* Whether the filter lets it pass. `instance` NULL: a list of nodes; `node` is
 * not needed for API_FILTER_SERVICES. */
bool api_chosen(struct api_call *call, const struct catalog_node *node,
                const struct catalog_instance *instance);
bool api_chosen_local(struct api_call *call, const struct service_def *def);
bool api_chosen_check(struct api_call *call, const struct check_view *check);

/* For those that block on the store (API_FOLLOW). False: the reply is made. */
struct api_poll {
    uint64_t index; /* 0: answer at once. */
    uint64_t deadline_ms;
};

bool api_poll_read(struct api_call *call, struct api_poll *out_poll);
void api_poll_headers(struct api_call *call, uint64_t index);
/* Wait for a change of [key, end) after the poll's index. */
void api_wait_for(struct api_call *call, const struct api_poll *poll,
                  struct slice key, struct slice end);
/* The next step is this ask, a transaction to be filled. */
struct store_ask *api_ask(struct api_call *call);

/* ---- Order (api_near.c) ------------------------------------------- */

/* A list is gone through once, or with ?near= once for each class of distance:
 *     while (api_next_turn(call)) { visit all; skip whose turn it is not }
 */
bool api_next_turn(struct api_call *call);
bool api_has_turn(const struct api_call *call, const struct node_record *node);

/* ---- JSON of things (api_json.c) ---------------------------------- */

void api_write_node(struct api_call *call, const struct catalog_node *n);
void api_write_service(struct api_call *call, const struct catalog_instance *i);
void api_write_local_service(struct api_call *call,
                             const struct local_service *s);
void api_write_check(struct api_call *call, const struct check_view *check);
/* All checks that bear on an instance: its own, its node's, serfHealth. */
void api_write_checks(struct api_call *call, const struct catalog_node *node,
                      const struct catalog_instance *instance);
/* One of /v1/health/service and of an executed query: all three of them. */
void api_write_entry(struct api_call *call, const struct catalog_node *node,
                     const struct catalog_instance *i);

/* Checks in the order of all lists: serfHealth, the node's, the instance's. */
typedef void (*api_check_fn)(void *ctx, struct api_call *call,
                             const struct check_view *check);
void api_each_node_check(struct api_call *call, const struct catalog_node *node,
                         api_check_fn fn, void *ctx);
void api_each_instance_check(struct api_call *call,
                             const struct catalog_node *node,
                             const struct catalog_instance *instance,
                             api_check_fn fn, void *ctx);
void api_each_check(struct api_call *call, const struct catalog_node *node,
                    const struct catalog_instance *instance, api_check_fn fn,
                    void *ctx);
void api_write_texts(struct jsonw *w, struct texts texts);
void api_write_pairs(struct jsonw *w, struct pairs pairs);
void api_write_tagged(struct jsonw *w, const struct instance_record *r);
void api_write_connect(struct jsonw *w, bool native);
void api_write_weights(struct jsonw *w, uint32_t passing, uint32_t warning);
void api_write_ports(struct jsonw *w, const struct named_port *ports,
                     size_t count);

/* The known node of an instance; NULL: leave the instance out, since the node's
 * record is missing or the two may not be seen. It comes before all other
 * questions, so that nobody can ask about what is hidden. */
const struct catalog_node *api_node_of(struct api_call *call,
                                       const struct catalog_instance *i);

/* The node that the path names; NULL: unknown, or hidden. And what its polls
 * wait for. */
const struct catalog_node *api_known_node(struct api_call *call);
struct catalog_scope api_node_scope(const struct api_call *call);

/* ---- Handlers ----------------------------------------------------- */

/* api_agent.c */
void api_agent_self(struct api_call *call);
void api_agent_members(struct api_call *call);
void api_agent_services(struct api_call *call);
void api_agent_service(struct api_call *call);
void api_agent_checks(struct api_call *call);
void api_agent_history(struct api_call *call);
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

/* api_guard.c */
void api_agent_guard(struct api_call *call);
void api_force_leave(struct api_call *call);

/* api_datacenter.c */
void api_catalog_datacenters(struct api_call *call);

/* api_catalog.c */
void api_catalog_services(struct api_call *call);
void api_catalog_service(struct api_call *call);
void api_catalog_connect(struct api_call *call);
void api_catalog_nodes(struct api_call *call);
void api_catalog_node(struct api_call *call);
void api_catalog_node_services(struct api_call *call);
void api_status_leader(struct api_call *call);
void api_status_peers(struct api_call *call);
void api_raft_configuration(struct api_call *call);
/* 404, and what to use instead. */
void api_absent(struct api_call *call);

/* api_coordinate.c */
struct coord;
/* NULL: nothing has been measured. */
void api_write_coord(struct api_call *call, const struct coord *measured);
void api_coordinate_nodes(struct api_call *call);
void api_coordinate_node(struct api_call *call);
void api_coordinate_datacenters(struct api_call *call);
void api_coordinate_update(struct api_call *call);

/* api_health.c */
void api_health_service(struct api_call *call);
void api_health_connect(struct api_call *call);
void api_health_checks(struct api_call *call);
void api_health_node(struct api_call *call);
void api_health_state(struct api_call *call);

/* api_ui.c */
void api_ui_start(struct api_call *call);
void api_ui(struct api_call *call);

/* api_stream.c */
void api_stream(struct api_call *call);

/* api_explain.c */
void api_explain(struct api_call *call);

/* api_prometheus.c */
void api_prometheus_sd(struct api_call *call);

/* api_acl.c, api_acl_token.c, api_acl_policy.c */
void api_acl_bootstrap(struct api_call *call);
void api_acl_legacy(struct api_call *call);
void api_acl_tokens(struct api_call *call);
void api_acl_token_self(struct api_call *call);
void api_acl_token_create(struct api_call *call);
void api_acl_token(struct api_call *call);
void api_acl_policies(struct api_call *call);
void api_acl_policy_create(struct api_call *call);
void api_acl_policy(struct api_call *call);
void api_acl_policy_name(struct api_call *call);

/* api_register.c */
void api_catalog_register(struct api_call *call);
void api_catalog_deregister(struct api_call *call);

/* api_kv.c */
void api_kv(struct api_call *call);

/* api_session.c */
void api_session_create(struct api_call *call);
void api_session_destroy(struct api_call *call);
void api_session_renew(struct api_call *call);
void api_session_info(struct api_call *call);
void api_session_node(struct api_call *call);
void api_session_list(struct api_call *call);

/* api_query.c */
void api_queries(struct api_call *call);
void api_query(struct api_call *call);

/* api_txn.c */
void api_kv_txn(struct api_call *call);

/* api_event.c */
void api_event_fire(struct api_call *call);
void api_event_list(struct api_call *call);
