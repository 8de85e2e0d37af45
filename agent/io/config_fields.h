/*
 * config_fields.h - the keys of the configuration as one table. Private to
 * config*.c.
 */
#pragma once

#include "agent/core/fields.h"
#include "agent/io/config.h"
#include "agent/io/config_access.h"

/* What the table reads into: the keys as written, before they are put
 * together into a struct agent_config. "" and UINT32_MAX: not given. */
struct config_keys {
    bool dev;
    const char *services;
    struct texts store;
    const char *store_cacert;
    const char *store_cert;
    const char *store_key;
    const char *node;
    const char *datacenter;
    const char *advertise;
    const char *data_dir;
    struct texts dns;
    const char *http;
    const char *socket;
    const char *line_socket; /* "": beside the socket. */
    const char *domain;
    const char *alt_domain;
    struct texts recursors;
    struct pairs recursors_for;
    struct texts recursion_from;
    uint32_t dns_threads;
    const char *store_listen;
    const char *log_level;
    struct pairs node_meta;
    const char *client_addr;
    struct agent_ports_config ports;
    struct agent_addresses_config addresses;
    struct agent_socket_config unix_sockets;
    struct agent_dns_config dns_config;
    bool enable_script_checks;
    bool discard_check_output;
    bool enable_local_script_checks;
    bool leave_on_terminate;
    uint64_t leave_drain_ms;
    bool http_strict_default;
    uint32_t http_max_connections;
    const char *api_level;
    uint64_t lease_ttl_ms;
    uint64_t restart_grace_ms;
    uint64_t round_trip_interval_ms;
    uint64_t reap_ms;
    const char *https;
    const char *dot;
    struct config_acl acl;
    struct config_http http_config;
    struct config_tls tls;
    struct config_tls_side old_tls; /* As before Consul 1.12. */
    enum guard_mode guard_mode;
    struct guard_limits guard;
    bool guard_serve_passing;
    const char *user;
    const char *group;
    struct agent_datacenter *datacenters;
    size_t datacenters_count;
    bool translate_wan_addrs;
    const char *skydns_prefix;
    const char *skydns_domain;
    uint64_t skydns_ttl_ms;
    const char *grpc_prefix;
};

extern const struct fields config_fields;

/* Of remote_datacenters (config_datacenters.c). */
extern const struct fields config_datacenter_fields;
enum status config_rule_datacenters(struct field_reader *r,
                                    const struct json_at *at,
                                    const void *value);
/* After the store and our own datacenter are known. */
enum status config_datacenters_take(struct agent_config *c,
                                    const struct config_keys *k,
                                    struct err *err);

/* Of dns_config (config_protect.c). */
extern const struct fields config_rrl_fields;
extern const struct fields config_tcp_fields;
extern const struct fields config_transfer_fields; /* config_transfer.c */

/* Whether the key is accepted but has no meaning here. */
bool config_key_ignored(const char *key);
