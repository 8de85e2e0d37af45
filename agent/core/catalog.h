/*
 * catalog.h - the whole catalogue as immutable snapshots.
 *
 * A struct catalog never changes once it was made. An update makes a new one
 * that shares everything unchanged with the old, so it costs what changed; the
 * owner publishes it by swapping one pointer. Counting references is atomic, so
 * a snapshot may be read on any thread. Pointers into a snapshot are good as
 * long as a reference to it is held.
 *
 * Input is what the store holds: keys and values (record.h) with revisions, as
 * a full read or as watch events. Records that cannot be read are left out,
 * reported, and known by their keys.
 *
 * Scope indexes (for blocking queries) are the revision of the last change that
 * could alter that very result; they are 1 at least.
 */
#pragma once

#include "agent/core/health.h"
#include "agent/core/record.h"
#include "query/core/table.h"

struct catalog;
struct catalog_service; /* A service name and its instances. */

/* What the store says about one key. */
struct catalog_event {
    struct slice key;
    struct slice value; /* Ignored if `deleted`. */
    bool deleted;
    int64_t create_revision;
    int64_t mod_revision; /* For a deletion: its revision. */
};

struct catalog_check {
    struct check_record record;
    int64_t create_revision;
    int64_t mod_revision;
};

struct catalog_instance {
    struct instance_record record;
    struct slice key;    /* In the store. */
    uint64_t value_hash; /* catalog_hash() of the stored value. */
    int64_t create_revision;
    int64_t mod_revision; /* 0: a ghost. */
};

struct catalog_node_check {
    struct node_check_record record;
    struct slice key;
    uint64_t value_hash;
    int64_t create_revision;
    int64_t mod_revision; /* 0: a ghost. */
};

struct catalog_node {
    struct node_record record;      /* name only, if `known` is false. */
    bool known;                     /* A node record exists. */
    bool live;                      /* Its leased key exists. */
    bool held;                      /* Not live, but a guard keeps it. */
    bool ghost;                     /* Nor in the store: held, too. */
    struct live_record live_record; /* If live. */
    struct slice key;
    uint64_t value_hash;
    int64_t create_revision;
    int64_t mod_revision;
    int64_t live_create_revision; /* 0 if not live. */
    int64_t live_key_revision;    /* mod_revision of its key; 0 if not live. */
    int64_t live_mod_revision;    /* Of the last change of liveness. */
};

/* A key whose value is no record. It is left out of all that follows, and
 * remembered so that it can be removed. */
struct catalog_unread {
    struct record_key parts; /* RECORD_NODE, _INSTANCE or _NODE_CHECK. */
    struct slice key;
    int64_t mod_revision;
};

/* A prepared query. */
struct catalog_query {
    struct query *query;
    uint64_t value_hash;
    int64_t create_revision;
    int64_t mod_revision;
};

/* The synthesized check on a node's agent, CHECK_ID_SERF. False for external
 * nodes, which have none. */
bool catalog_node_serf(const struct catalog_node *n,
                       struct catalog_check *out_check);

/* One key that could not be read, and why; or a change a reader cares about. */
struct catalog_problem {
    const char *key;
    const char *text;
};

/* A scope index to keep with the replica, so that indexes survive a restart of
 * the agent. `scope` is opaque; index 0 means "forget it". */
struct catalog_mark {
    const char *scope;
    uint64_t index;
};

/* What differs between a snapshot and the one before it. Everything lies in the
 * arena that was passed in. */
struct catalog_changes {
    struct texts services; /* Names to look at again: changed, new or gone. */
    struct texts nodes;    /* The same, names in lower case. */
    struct texts lives;    /* Nodes whose liveness may have changed, or that
                              came or went; in lower case. */
    bool queries;          /* Prepared queries have changed. */
    const struct catalog_problem *problems;
    size_t problems_count;
    const struct catalog_mark *marks;
    size_t marks_count;
};

/* An empty catalogue of one reference, at revision 0: nothing is known yet. */
struct catalog *catalog_new(const char *datacenter);
struct catalog *catalog_ref(const struct catalog *c);
void catalog_unref(const struct catalog *c); /* NULL is fine. */

/* The snapshot after `events`, of which the last one is at `revision`.
 * Never fails; events of unreadable records delete what was there. */
struct catalog *catalog_apply(const struct catalog *old,
                              const struct catalog_event *events,
                              size_t events_count, int64_t revision,
                              struct arena *arena,
                              struct catalog_changes *out_changes);

/* The snapshot after a full read at `revision`: `events` (none deleted) are all
 * there is. What is equal in `old` keeps its indexes; what differs or is
 * missing gets `revision`. If `revision` is below old's, the store was
 * replaced, and every index starts anew. */
struct catalog *catalog_replace(const struct catalog *old,
                                const struct catalog_event *events,
                                size_t events_count, int64_t revision,
                                struct arena *arena,
                                struct catalog_changes *out_changes);

/* What a guard (guard.h) keeps.
 *
 * A node that is held counts as of unknown liveness: its serfHealth is warning.
 * It ceases to be held when it is live again, or its record is deleted. A ghost
 * is a record that the store has lost and the guard keeps; it has revision 0,
 * and goes when it is released or its node's own record is written again.
 *
 * Both functions make a snapshot of the same revision. Indexes move all the
 * same: they run ahead of the store's revisions from then on. */

/* Hold `hold`, which are not live, and let go of `release`. Names in any case;
 * names of others are passed over. */
struct catalog *catalog_hold(const struct catalog *old, struct texts hold,
                             struct texts release, struct arena *arena,
                             struct catalog_changes *out_changes);

/* `old`, and all nodes of `before` that it has no record of, as ghosts. */
struct catalog *catalog_refill(const struct catalog *old,
                               const struct catalog *before,
                               struct arena *arena,
                               struct catalog_changes *out_changes);

/* Put back the indexes that were kept with a replica; call it once, on a
 * snapshot made by catalog_replace() that nobody else has seen yet. */
void catalog_restore_marks(struct catalog *c, const struct catalog_mark *marks,
                           size_t marks_count);

uint64_t catalog_hash(struct slice value);
int64_t catalog_revision(const struct catalog *c); /* 0: never filled. */
const char *catalog_datacenter(const struct catalog *c);

/* Scopes of blocking queries. */
enum catalog_scope_kind {
    SCOPE_NONE,     /* The highest index that may be given out. */
    SCOPE_SERVICES, /* Map of names to tags. */
    SCOPE_SERVICE,  /* Instances, their health, the nodes that host them. */
    SCOPE_CHECKS,   /* Checks of one service's instances. */
    SCOPE_NODES,    /* Node records. */
    SCOPE_NODE,     /* One node, its services and checks. */
    SCOPE_STATE,    /* All checks. */
    SCOPE_ALL,      /* Any instance or node: SCOPE_SERVICES with conditions. */
    SCOPE_QUERIES,  /* All prepared queries. */
    SCOPE_QUERY,    /* One of them, by id. */
};

struct catalog_scope {
    enum catalog_scope_kind kind;
    const char *name; /* Service, node or query; else NULL. */
};

uint64_t catalog_index(const struct catalog *c, struct catalog_scope scope);

/* Look-ups; NULL if absent. Node names in any case. A node that is only known
 * from its lease or its instances is found too, with `known` false. */
const struct catalog_node *catalog_node(const struct catalog *c,
                                        const char *name);
const struct catalog_service *catalog_service(const struct catalog *c,
                                              const char *name);
const struct catalog_instance *catalog_instance(const struct catalog *c,
                                                const char *service,
                                                const char *node,
                                                const char *id);
size_t catalog_nodes_count(const struct catalog *c);
size_t catalog_live_count(const struct catalog *c); /* Nodes. */
size_t catalog_services_count(const struct catalog *c);
size_t catalog_instances_count(const struct catalog *c);

/* All prepared queries; NULL: there are none. And one with its revisions. */
const struct query_table *catalog_queries(const struct catalog *c);
const struct catalog_query *catalog_query(const struct catalog *c,
                                          const char *id);

const char *catalog_service_name(const struct catalog_service *s);
size_t catalog_service_size(const struct catalog_service *s);

/* Visits are in order of name, then id; return false from `fn` to stop. Nodes
 * without a node record are not visited. */
typedef bool (*catalog_node_fn)(void *ctx, const struct catalog_node *n);
typedef bool (*catalog_service_fn)(void *ctx, const struct catalog_service *s);
typedef bool (*catalog_instance_fn)(void *ctx,
                                    const struct catalog_instance *i);
typedef bool (*catalog_node_check_fn)(void *ctx,
                                      const struct catalog_node_check *k);

void catalog_each_node(const struct catalog *c, catalog_node_fn fn, void *ctx);
void catalog_each_service(const struct catalog *c, catalog_service_fn fn,
                          void *ctx);
/* By node name, then instance id. */
void catalog_each_instance(const struct catalog_service *s,
                           catalog_instance_fn fn, void *ctx);
/* The tags of all instances, each once, in order. */
typedef bool (*catalog_tag_fn)(void *ctx, struct slice tag);
void catalog_each_tag(const struct catalog_service *s, catalog_tag_fn fn,
                      void *ctx);
void catalog_each_node_instance(const struct catalog *c, const char *node,
                                catalog_instance_fn fn, void *ctx);
void catalog_each_node_check(const struct catalog *c, const char *node,
                             catalog_node_check_fn fn, void *ctx);
/* Of this node, in order of keys; of all nodes LIMIT_UNREAD_RECORDS are known.
 */
typedef bool (*catalog_unread_fn)(void *ctx, const struct catalog_unread *u);
void catalog_each_unread(const struct catalog *c, const char *node,
                         catalog_unread_fn fn, void *ctx);

/* An instance's checks and its node's, without serfHealth. */
enum health_sum catalog_instance_alone(const struct catalog *c,
                                       const struct catalog_instance *i);
/* All of an instance's checks, the node's and serfHealth taken together. */
enum health_sum catalog_instance_health(const struct catalog *c,
                                        const struct catalog_instance *i);
