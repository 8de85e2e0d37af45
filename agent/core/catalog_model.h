/*
 * catalog_model.h - what a snapshot is made of (private to catalog*.c).
 *
 * Boxes are shared objects in persistent maps. A box that another snapshot can
 * see is never changed: catalog_apply.c gets its own copy through pmap_slot().
 */
#pragma once

#include "agent/core/catalog.h"
#include "agent/core/pmap.h"

#define NODE_NAME_MAX 512

/* Strings of a record, held by every box that shows them. */
struct held {
    struct shared shared;
    struct arena arena;
};

struct instance_box {
    struct shared shared;
    struct arena arena;
    struct instance_box *origin; /* Of a ghost: holds what it points to. */
    struct catalog_instance pub;
};

struct node_check_box {
    struct shared shared;
    struct arena arena;
    struct node_check_box *origin; /* As of instances. */
    struct catalog_node_check pub;
};

struct node_box {
    struct shared shared;
    struct catalog_node pub;
    struct held *record_text; /* Also of the bare name of an unknown node. */
    struct held *live_text;   /* NULL: not live. */
    struct pmap instances;    /* "service\0id" -> instance_box */
    struct pmap checks;       /* "id" -> node_check_box */
    uint64_t index;
};

struct tag_box {
    struct shared shared;
    size_t uses;
};

struct catalog_service {
    struct shared shared;
    struct pmap instances; /* "node\0id" -> instance_box */
    struct pmap tags;      /* tag -> tag_box */
    uint64_t index;
    uint64_t checks_index;
    char name[];
};

struct query_box {
    struct shared shared;
    struct catalog_query pub;
    uint64_t index;
};

struct unread_box {
    struct shared shared;
    struct arena arena;
    struct catalog_unread pub;
};

struct tombstone {
    struct shared shared;
    uint64_t index;
};

struct catalog {
    struct shared shared;
    char *datacenter;
    int64_t revision;
    uint64_t skew;          /* How far indexes are ahead of revisions. */
    struct pmap nodes;      /* Lower-case name -> node_box */
    struct pmap services;   /* name -> catalog_service */
    struct pmap tombstones; /* "s:name" or "n:name" -> tombstone */
    struct pmap queries;    /* id -> query_box */
    struct pmap unread;     /* "node\0key" -> unread_box */
    struct query_table *query_table; /* Of all of them; NULL: none. */
    size_t nodes_known;
    size_t nodes_live;
    size_t instances_count;
    uint64_t services_index;
    uint64_t nodes_index;
    uint64_t state_index;
    uint64_t all_index;
    uint64_t queries_index;
    uint64_t floor_index; /* Of names that were never seen. */
};

/* Lower case, into `out`. Longer names than any record has give an empty one.
 */
struct slice catalog_lower(const char *name, char out[NODE_NAME_MAX + 1]);

uint64_t catalog_query_index(const struct catalog *c, const char *id);
struct node_box *catalog_node_box(const struct catalog *c, const char *name);
struct catalog *catalog_copy(const struct catalog *old);
