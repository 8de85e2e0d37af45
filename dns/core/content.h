/*
 * content.h - what a zone is made of. For this room only.
 *
 * Everything here is immutable once its zone is out, and lies in one piece of
 * memory each: services and hosts are copies of what the agent put in, turned
 * into wire form; entries are names, with the answers that were asked for; the
 * config is the settings with their names in wire form.
 */
#pragma once

#include "dns/core/area.h"
#include <stdatomic.h>

#include "base/core/limits.h"
#include "dns/core/model.h"
#include "dns/core/name.h"
#include "dns/core/prepared.h"
#include "dns/core/table.h"
#include "dns/core/zone.h"
#include "query/core/choose.h"
#include "query/core/table.h"

#define DNS_DOMAINS_MAX 2

/* TTL of answers while the replica is out of contact. */
#define DNS_STALE_TTL_S 30

struct dns_address {
    uint8_t len; /* 0: none, 4 or 16 */
    uint8_t ip[16];
};

static inline struct slice dns_address_slice(const struct dns_address *a)
{
    return slice_of(a->ip, a->len);
}

struct dns_text_pair {
    struct slice key;
    struct slice value;
};

struct dns_member_port {
    struct slice name; /* Lower case. */
    uint16_t port;
};

/* An instance of a service. */
struct dns_member {
    struct slice id;            /* As registered. */
    struct slice node;          /* Name in wire form, no root; empty when the
                                   node's name is no DNS name. */
    struct dns_address address; /* Its own, else the node's; none with a host
                                   name. */
    struct dns_address lan_ipv4;
    struct dns_address lan_ipv6;
    struct slice hostname; /* Wire form with root, when that is its address. */
    bool address_is_own;   /* Not the node's. */
    enum dns_health health;
    uint16_t port;
    uint16_t weight; /* For its present health. */
    uint16_t priority;
    const struct slice *tags; /* Lower case. */
    size_t tags_count;
    const struct dns_member_port *ports;
    size_t ports_count;
    const struct slice *texts; /* Values of the meta keys "txt-…". */
    size_t texts_count;
    struct slice
        strings; /* The same as "…=value", in wire form (RFC 6763, 6). */
    struct slice grpc_config; /* Of the meta key of this name. */
    /* For prepared queries; none when none asks for them. */
    const struct query_pair *meta;
    size_t meta_count;
    const struct query_pair *node_meta;
    size_t node_meta_count;
    const struct query_check *checks;
    size_t checks_count;
    bool recent;
    bool last_resort;
    enum dns_none_healthy none_healthy;
    bool none_healthy_set;
    enum dns_order order;
    bool order_set;
    uint16_t area;
    uint16_t spot; /* Its node's (spot.h). */
};

struct dns_service {
    struct dns_garbage garbage;
    struct slice name; /* Lower case, one label's text. */
    const struct dns_member *members;
    size_t members_count;
    atomic_bool *asked; /* NULL: nobody is held. The one thing that changes:
                           workers set it, the model's thread takes it. */
};

struct dns_host {
    struct dns_garbage garbage;
    struct slice name; /* Wire form, no root, as registered. */
    struct dns_address ipv4;
    struct dns_address ipv6;
    struct slice hostname; /* Wire form with root, when that is its address. */
    const struct slice *texts; /* Meta as "key=value", RFC 1464. */
    size_t texts_count;
    uint16_t area;
    uint16_t spot;
};

/* Copies of what the agent has put in; NULL when the name cannot be served. */
struct dns_service *dns_service_new(const char *name,
                                    const struct dns_instance *instances,
                                    size_t count, struct dns_areas *areas,
                                    struct dns_spot_names *spots);
struct dns_host *dns_host_new(const struct dns_node *node,
                              struct dns_areas *areas,
                              struct dns_spot_names *spots);

/* The prepared queries of the zone's datacenter. */
struct dns_queries {
    struct dns_garbage garbage;
    struct query_table *table;
};

/* All services, by name. */
struct dns_service_names {
    struct dns_garbage garbage;
    size_t count;
    struct slice items[];
};

struct dns_service_names *dns_service_names_new(const struct dns_table *names);

/* Who owns an address: what its PTR record names. */
struct dns_owner {
    bool is_node;      /* Else a service. */
    struct slice name; /* Wire form, no root. */
};

struct dns_owners {
    struct dns_garbage garbage;
    size_t count; /* At least 1; nodes first, each by name. */
    struct dns_owner items[];
};

int dns_owner_order(const struct dns_owner *a, const struct dns_owner *b);

/* The owners of an address without `change`, or with it, each once; a copy.
 * NULL: none left. */
struct dns_owners *dns_owners_change(const struct dns_owners *from,
                                     const struct dns_owner *change, bool add);

struct dns_config {
    struct dns_garbage garbage;
    struct dns_settings settings; /* Its texts are copies in this memory. */
    unsigned domains_count;
    struct dns_name domains[DNS_DOMAINS_MAX]; /* Lower case, with root. */
    unsigned domain_labels[DNS_DOMAINS_MAX];
    struct dns_name datacenter; /* One label; lower case, no root. */
    unsigned others_count;
    struct slice others[LIMIT_DATACENTERS]; /* Labels' texts, lower case. */
    struct slice self_service;
};

enum status dns_config_new(const struct dns_settings *settings,
                           struct dns_config **out_config, struct err *err);

/* The TTL of a service: the exact name, else the longest prefix. false:
 * neither, and *out_ttl_s is 0. */
bool dns_config_ttl(const struct dns_config *c, struct slice service,
                    uint32_t *out_ttl_s);

/* A name. It exists for one or several reasons. */
struct dns_entry {
    struct dns_garbage garbage;
    uint64_t hash;
    const struct dns_service *service; /* "web.service" */
    bool tag;                          /* "v3.web.service" */
    const struct dns_host *host;       /* "edge-07.node" */
    const struct dns_owners *owners;   /* "5.2.0.192.in-addr" */
    uint64_t
        round; /* Of the model when it was made; it may change till then. */
    bool dead; /* Taken out again in its own round. */
    bool oversized; /* The SRV answer is longer than any message. */
    uint32_t below; /* Names that lie under this one: an empty non-terminal. */
    dns_prepared_slot prepared[DNS_SLOTS]; /* Made by who asks first. */
    uint8_t key_len;
    uint8_t key[];
};

/* Whether an entry's service has more instances than a message has room for:
 * its SRV answer, addresses included. */
bool dns_entry_oversized(const struct dns_zone *zone,
                         const struct dns_entry *entry);

static inline struct slice dns_entry_key(const struct dns_entry *e)
{
    return slice_of(e->key, e->key_len);
}

struct dns_zone {
    struct dns_model *model; /* NULL once it has gone on without us. */
    uint64_t sequence;
    uint32_t serial;
    bool serial_ahead; /* Of the store's revision. */
    enum dns_state state;
    struct hash_key hash_key;
    struct dns_table names;
    const struct dns_config *config;
    const struct dns_locations *locations;
    const struct dns_service_names *services;
    const struct dns_queries *queries; /* NULL: there are none. */
    size_t areas_count;
    uint16_t self_area;            /* Of this host, */
    uint16_t self_spot;            /* and where it is; */
    const struct dns_spots *spots; /* NULL: nothing is known of distances. */
    size_t oversized;
    struct slice new_oversized[DNS_OVERSIZED_NAMES];
    size_t new_oversized_count;
    dns_prepared_slot soa[DNS_DOMAINS_MAX][2]; /* [domain][NODATA?] */
    unsigned refs; /* Of the zones that have it among these: */
    struct dns_zone *others[LIMIT_DATACENTERS]; /* By config->others; or NULL.
                                                 */
    uint32_t distances[LIMIT_DATACENTERS]; /* Round trips to them, in us. */
    struct dns_garbage_list dropped;       /* By the zones that came after. */
};

/* The same names, as if in contact, to decide what holds in every state. What
 * the model changes in a zone that it has given out is left out. Good as long
 * as `zone` is. */
void dns_zone_as_fresh(const struct dns_zone *zone, struct dns_zone *out_fresh);

/* others.c: what one model and its zones know of other datacenters' zones. */
void dns_others_ref(struct dns_zone *const *from, struct dns_zone **to);
void dns_others_unref(struct dns_zone **others);

/* The entry of a key, or NULL. */
static inline const struct dns_entry *dns_zone_find(const struct dns_zone *z,
                                                    struct slice key)
{
    return dns_table_find(&z->names, hash_bytes(z->hash_key, key), key);
}
