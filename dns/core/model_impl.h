/*
 * model_impl.h - the model's inside, for model*.c.
 */
#pragma once

#include "base/core/limits.h"
#include "dns/core/content.h"

struct dns_model {
    struct hash_key hash_key;
    struct dns_config *config;
    struct dns_table names;
    uint64_t round;           /* The sequence of the zone being made. */
    struct dns_zone *last;    /* NULL when it is gone already. */
    struct dns_entry **dirty; /* Made since the last commit. */
    size_t dirty_count;
    size_t dirty_cap;
    struct dns_garbage_list dropped; /* Still read in zones up to `last`. */
    struct dns_areas areas;
    struct dns_spot_names spot_names;
    struct dns_spots *spots;            /* NULL: nobody has measured. */
    struct dns_locations *locations;    /* NULL: to be made at the commit. */
    struct dns_service_names *services; /* Likewise. */
    struct dns_queries *queries;        /* NULL: none. */
    size_t oversized;                   /* Services that are. */
    struct dns_zone *others[LIMIT_DATACENTERS]; /* Ours, or NULL. */
    uint32_t distances[LIMIT_DATACENTERS];      /* Round trips to them. */
    bool changed;  /* What is shown, since the last commit. */
    bool numbered; /* There is a serial before the next one. */
    uint32_t serial;
};

/* Nobody needs `piece` any more once the zones up to now are gone. */
void dns_model_drop(struct dns_model *m, struct dns_garbage *piece);

/* Things that may be NULL go through here: */
#define DROP(m, thing)                                                  \
    do {                                                                \
        if ((thing) != NULL) {                                          \
            dns_model_drop(m, (struct dns_garbage *)&(thing)->garbage); \
        }                                                               \
    } while (0)

/* The entry of a key, or NULL. */
const struct dns_entry *dns_model_find(const struct dns_model *m,
                                       const struct dns_name *key);

/* The same, to be changed: it is made when there is none, and a copy takes its
 * place when older zones know it. Nothing is prepared of it. */
struct dns_entry *dns_model_edit(struct dns_model *m,
                                 const struct dns_name *key);

/* Take the entry out when it has no reason left to be there. */
void dns_model_settle(struct dns_model *m, const struct dns_name *key);

/* What an address's PTR record names. */
void dns_model_change_owner(struct dns_model *m, struct slice address,
                            const struct dns_owner *owner, bool add);

/* Lists that are to be made anew at the commit. */
void dns_model_drop_locations(struct dns_model *m);
void dns_model_drop_service_names(struct dns_model *m);

/* False: the node's name is no DNS name. */
bool dns_model_node_key(const char *name, struct dns_name *out_key);
