/*
 * api_plan.h - a catalogue registration or deregistration on its way to be a
 * transaction (private to api_*register.c).
 */
#pragma once

#include "agent/core/api_model.h"
#include "agent/core/definition_tables.h"

#define OWNER_CATALOG "catalog"

struct reg_service {
    struct instance_record record;
    struct weights weights;
};

struct reg_check {
    struct check_record record;
    const char *service_id;
};

struct reg {
    const char *datacenter;
    const char *id;
    const char *node;
    const char *address;
    struct pairs tagged;
    struct pairs meta;
    bool skip_node_update;
    const struct reg_service *service;
    size_t service_count;
    const struct reg_check *check;
    size_t check_count;
    const struct reg_check *checks;
    size_t checks_count;
    /* Deregistration. */
    const char *service_id;
    const char *check_id;
};

extern const struct fields reg_service_fields; /* struct reg_service */
extern const struct fields reg_check_fields;   /* struct reg_check */

/* A stable UUID for a host that has none: some clients key on it. */
const char *plan_made_up_id(struct arena *arena, struct slice node_key);

struct plan {
    struct api_call *call;
    struct reg reg;
    struct sync_op *ops;
    size_t ops_count;
    bool failed; /* The reply is made. */
};

/* Read the request's body. False: the reply is made. */
bool plan_read(struct plan *p, struct api_call *call);

/* A host with an agent is that agent's business: it would undo what we write
 * at its next comparison. False: the reply is made. */
bool plan_accept_node(struct plan *p, const struct catalog_node *n);

void plan_op(struct plan *p, enum sync_op_kind kind, struct slice key,
             struct slice value, int64_t mod_revision);
/* Takes the encoded record; a failed `st` makes the reply. */
void plan_put(struct plan *p, struct slice key, enum status st,
              struct buf *value, int64_t mod_revision);
/* Failed, with the reply made, unless it is allowed. */
bool plan_demand(struct plan *p, enum acl_resource resource, const char *name);
/* The outcome: the transaction, or "true" if there is nothing to do. */
void plan_send(struct plan *p);

/* Of the request's node. */
struct slice plan_key(struct plan *p, enum record_kind kind,
                      const char *service, const char *id);
const struct catalog_instance *plan_find_instance(const struct plan *p,
                                                  const char *id);
const struct catalog_node_check *plan_find_check(const struct plan *p,
                                                 const char *id);
