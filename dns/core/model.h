/*
 * model.h - what DNS knows of the catalogue, fed by name.
 *
 * The agent puts nodes and whole services in as they change; each call costs by
 * what changed, never by how large the catalogue is. dns_model_commit() then
 * gives an immutable zone that holds what answers are made of and shares
 * everything that did not change with the zone before it.
 *
 *     dns_model_put_service(m, "web", instances, count);
 *     dns_model_put_node(m, &node);
 *     dns_server_publish(server, dns_model_commit(m, revision, DNS_FRESH));
 *
 * One thread owns the model and publishes; readers only ever see zones. All
 * that is passed in is copied: nothing is borrowed past a call. Text that
 * cannot be a DNS name (a service named "a b", a label of 70 bytes) is kept out
 * of the zone in silence; the agent warns when it reads the definition.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/err.h"
#include "base/core/hash.h"

/* Aggregated over the instance's checks and its node's. Maintenance is
 * critical. */
enum dns_health {
    DNS_PASSING,
    DNS_WARNING,
    DNS_CRITICAL
};

/* How much the replica may be believed. */
enum dns_state {
    DNS_UNKNOWN, /* The store was never reached and there is no replica: what is
                    in the model is answered, other names are SERVFAIL. */
    DNS_FRESH,   /* In contact. */
    DNS_STALE,   /* Out of contact for some time: answers are marked (extended
                    error 3) and their TTL is capped at 30 s. */
    DNS_EXPIRED, /* Older than max_stale: SERVFAIL for everything. */
};

struct dns_pair {
    const char *key;
    const char *value;
};

struct dns_named_port {
    const char *name;
    uint16_t port;
};

struct dns_check {
    const char *id;
    enum dns_health health;
};

#define DNS_POSITION_DIMS 8

/* How far a node is from what all nodes have measured (agent/core/coord.h). */
struct dns_position {
    const char *node;
    float at_us[DNS_POSITION_DIMS];
    float height_us;
};

struct dns_node {
    const char *name;
    const char *address;  /* IPv4 or IPv6 */
    const char *lan_ipv4; /* Tagged addresses; NULL or "" when not set. */
    const char *lan_ipv6;
    const struct dns_pair *meta;
    size_t meta_count;
};

/* One instance, complete in itself: when a node's address changes or its health
 * takes its services along, put these services again. */
struct dns_instance {
    const char *id; /* Unique on its node. */
    const char *node;
    const char *node_address;
    const char *address;  /* IP or host name; NULL or "": the node's. */
    const char *lan_ipv4; /* Tagged addresses; NULL or "" when not set. */
    const char *lan_ipv6;
    const char *area; /* Its node's meta "zone"; NULL or "": none. */
    uint16_t port;
    uint16_t weight_passing;
    uint16_t weight_warning;
    enum dns_health health;
    bool recent; /* Not healthy now, but a moment ago. */
    bool held;   /* Nobody knows whether it lives. Questions for its service
                    are noted: dns_model_take_asked(). */
    bool last_resort; /* Only when there is nothing better. */
    const char *const *tags;
    size_t tags_count;
    const struct dns_pair *meta;
    size_t meta_count;
    const struct dns_named_port *ports;
    size_t ports_count;
    /* What prepared queries may look at; to be left out when none does. */
    bool meta_for_queries; /* `meta`, and that of its node: */
    const struct dns_pair *node_meta;
    size_t node_meta_count;
    const struct dns_check *checks; /* All that bear on its health. */
    size_t checks_count;
};

/* The TTL of services whose name is `pattern`: exact, or ending in '*'. */
struct dns_service_ttl {
    const char *pattern;
    uint32_t ttl_s;
};

enum dns_none_healthy {
    DNS_NONE_NXDOMAIN,
    DNS_NONE_LAST_HEALTHY, /* Those that were healthy a moment ago. */
    DNS_NONE_ALL
};

/* In which order the records of an answer go out. */
enum dns_order {
    DNS_ORDER_SHUFFLE,
    DNS_ORDER_WEIGHTED, /* The first one drawn by weight, then shuffled. */
    DNS_ORDER_NEAR,     /* Those of the client's area first, and within it and
                           out of it by round trips; see below. */
};

/* Which records stay when not all may. */
enum dns_subset {
    DNS_SUBSET_BY_TYPE, /* SRV: stable, addresses: random. */
    DNS_SUBSET_RANDOM,
    DNS_SUBSET_STABLE, /* For a client the same ones as long as they live. */
};

/* The keys of spec `dns_config`. dns_settings_init() sets the defaults. */
struct dns_settings {
    const char *domain;        /* "muster.internal." */
    const char *alt_domain;    /* "consul."; NULL or "": none */
    const char *datacenter;    /* "dc1" */
    const char *const *others; /* Datacenters with zones of their own, which */
    size_t others_count;       /* dns_model_set_other() brings. */
    bool elsewhere; /* It is itself another one: who asks is near to none of
                       its areas. */
    const char *self_service; /* Its nodes are the name servers: "consul" */
    const char *self_node; /* The name server when there are none; or NULL. */
    uint32_t node_ttl_s;
    const struct dns_service_ttl *service_ttls;
    size_t service_ttls_count;
    uint32_t soa_refresh_s;
    uint32_t soa_retry_s;
    uint32_t soa_expire_s;
    uint32_t soa_min_ttl_s; /* Also the TTL of NXDOMAIN. */
    uint32_t nodata_ttl_s;
    uint32_t a_record_limit;   /* 0: none */
    uint32_t udp_answer_limit; /* Without EDNS; at most 8. */
    uint16_t edns_udp_size;    /* What we advertise. */
    bool only_passing;         /* Drop DNS_WARNING too. */
    bool enable_truncate;      /* TC when something was cut. */
    bool node_meta_txt;        /* Node meta as additional TXT. */
    bool always_ra;            /* RA without recursors. */
    bool disable_compression;  /* Names are spelt out. */
    bool srv_udp_is_tag;       /* "_web._udp": a tag; else any instance. */
    enum dns_none_healthy when_none_healthy;
    enum dns_order order; /* A service may have its own: meta "dns-order". */
    enum dns_subset subset;
    uint32_t near_min_healthy; /* An area counts as near with this many */
    uint32_t near_min_percent; /* healthy, and this part of its instances. */
};

void dns_settings_init(struct dns_settings *s);

/* Whether a model takes them: ST_INVALID, ST_TOO_BIG, and `err` says why. */
enum status dns_settings_verify(const struct dns_settings *settings,
                                struct err *err);

struct dns_model;
struct dns_zone;

/* `key` seeds the hash tables; random in production. ST_INVALID: a domain or
 * the datacenter is no DNS name; `err` says which. */
enum status dns_model_new(const struct dns_settings *settings,
                          struct hash_key key, struct dns_model **out_model,
                          struct err *err);

/* After the last zone was freed (dns_server_stop() frees those published). */
void dns_model_free(struct dns_model *m);

/* Settings changed (reload): what was prepared goes with the next commit.
 * ST_INVALID: as dns_model_new(); the old settings stay. */
enum status dns_model_set_settings(struct dns_model *m,
                                   const struct dns_settings *settings,
                                   struct err *err);

/* Insert or replace by node name (compared without case). */
void dns_model_put_node(struct dns_model *m, const struct dns_node *node);
void dns_model_remove_node(struct dns_model *m, const char *name);

/* The service's instances are now exactly these; zero removes the service. */
void dns_model_put_service(struct dns_model *m, const char *name,
                           const struct dns_instance *instances, size_t count);

/* The datacenter's prepared queries are now these; NULL: none. Takes a
 * reference of its own. They are executed when they are asked for. */
struct query_table;
void dns_model_set_queries(struct dns_model *m, const struct query_table *t);

/* Whether somebody has asked for the service since it was put, or since the
 * last call; noted only while an instance of it is held. */
bool dns_model_take_asked(const struct dns_model *m, const char *name);

/* Forget everything, for a full reload. Nothing is seen before the commit. */
void dns_model_clear(struct dns_model *m);

/* The zone of settings.others[index] is from now on `zone`, of a model of that
 * datacenter: the zones of later commits refer to it. It is taken over: this
 * model, which is freed first, and its zones keep it as long as they need it.
 * Of a datacenter without zone nothing is known. */
void dns_model_set_other(struct dns_model *m, size_t index,
                         struct dns_zone *zone);

/* Where nodes are, from now on; of all others nothing is known. Nodes without
 * content may be among them. */
void dns_model_set_positions(struct dns_model *m,
                             const struct dns_position *positions,
                             size_t count);

/* How far it is to that datacenter, for prepared queries that fail over to the
 * nearest. 0: not measured, the farthest. */
void dns_model_set_distance(struct dns_model *m, size_t index,
                            uint32_t round_trip_us);

/* Serials come after `serial`, which was given out in an earlier life. Once,
 * before the first commit. */
void dns_model_serial_after(struct dns_model *m, uint32_t serial);

/* A zone of the present content. `revision` is the SOA serial, but for changes
 * that come without one (serial.h).
 * The zone belongs to the caller, who passes it to dns_server_publish() or
 * frees it; zones are freed in the order they were made, before the model. */
struct dns_zone *dns_model_commit(struct dns_model *m, uint64_t revision,
                                  enum dns_state state);
