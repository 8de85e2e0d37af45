/*
 * config.h - what the operator wants of an agent.
 *
 * One struct, filled in layers: defaults, files (Consul's agent JSON keys, and
 * every flag as a key with '_' for '-'), flags. Later layers win; objects are
 * merged key by key, lists replaced. Nothing is guessed: an unknown key, a
 * value of the wrong type or out of range is an error that names file, line
 * and field.
 *
 *     struct agent_config config;
 *
 *     agent_config_init(&config);
 *     st = agent_config_load(&config, "/etc/muster/agent.json", &err);
 *     st = agent_config_flag(&config, "dns", "127.0.0.1:0", &err);
 *     st = agent_config_finish(&config, &err);
 *
 * The fields below `files` are valid after agent_config_finish(); all strings
 * are owned by the struct. Keys of Consul's that mean nothing here (gossip, its
 * own servers) are accepted and listed in `ignored`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/core/acl_table.h"
#include "agent/core/definition.h"
#include "agent/core/guard.h"
#include "agent/core/networks.h"
#include "agent/core/projection.h"
#include "base/core/arena.h"
#include "base/core/err.h"
#include "base/core/limits.h"
#include "base/core/log.h"

struct json_t;

/* Where to listen. */
struct agent_listen {
    const char *host; /* An IP address in text form; NULL: do not listen. */
    uint16_t port;    /* 0: the kernel chooses. */
};

struct agent_listens {
    struct agent_listen items[LIMIT_DNS_LISTENS];
    size_t count; /* 0: none. */
};

enum agent_recursor_strategy {
    RECURSORS_SEQUENTIAL,
    RECURSORS_RANDOM,
};

enum agent_none_healthy {
    NONE_HEALTHY_NXDOMAIN,
    NONE_HEALTHY_LAST_HEALTHY,
    NONE_HEALTHY_ALL,
};

struct agent_soa_config {
    uint32_t refresh;
    uint32_t retry;
    uint32_t expire;
    uint32_t min_ttl;
};

/* dns_config.cache: what recursors have said. */
struct agent_cache_config {
    uint32_t bytes;   /* 0: off. Default 8 MiB. */
    uint32_t entries; /* 0: as many as the bytes allow. */
    uint64_t max_ttl_ms;
    bool serve_stale; /* RFC 8767. */
    uint64_t max_stale_ms;
};

/* Responses over UDP; see struct dns_protection. */
struct agent_rrl_config {
    uint32_t responses_per_second;
    uint32_t slip;
    struct texts exempt; /* Networks; default: the private ones. */
};

/* DNS over TCP and TLS; counts are for each worker. */
struct agent_tcp_config {
    uint64_t idle_timeout_ms;
    uint32_t connections;
    uint32_t connections_per_client;
};

/* dns_config.transfer: secondaries; see struct dns_transfer_config. */
struct agent_transfer_key {
    const char *name;
    const char *algorithm;
    const char *secret; /* Base64; or the file that begins with it. */
    const char *secret_file;
};

struct agent_transfer_rule {
    struct texts networks;
    const char *key;
};

struct agent_transfer_target {
    const char *address;
    const char *key;
};

struct agent_transfer_config {
    const struct agent_transfer_key *keys;
    size_t keys_count;
    const struct agent_transfer_rule *allow;
    size_t allow_count;
    const struct agent_transfer_target *notify;
    size_t notify_count;
    uint64_t notify_interval_ms;
    struct texts zones;
};

/* Consul's dns_config. */
struct agent_dns_config {
    uint64_t node_ttl_ms;
    struct pairs service_ttl; /* Name, or "prefix*": duration. */
    bool only_passing;
    bool enable_truncate;
    bool always_ra;
    bool node_meta_txt;
    enum agent_recursor_strategy recursor_strategy;
    enum agent_none_healthy when_none_healthy;
    uint32_t a_record_limit;
    uint32_t udp_answer_limit;
    uint32_t edns_udp_size;
    uint32_t udp_max_remote; /* Largest response over UDP off loopback. */
    uint64_t nodata_ttl_ms;
    uint64_t recursor_timeout_ms;
    uint64_t max_stale_ms;
    uint64_t stale_mark_ms;
    struct agent_soa_config soa;
    bool cookies;
    struct agent_rrl_config rrl;
    struct agent_tcp_config tcp;
    bool disable_compression;
    bool srv_udp_is_tag;
    unsigned order;  /* enum dns_order */
    unsigned subset; /* enum dns_subset */
    uint32_t near_min_healthy;
    uint32_t near_min_percent;
    bool allow_stale;
    const char *self_service; /* Stands for the store's members. */
    struct agent_cache_config cache;
    struct agent_transfer_config transfer;
};

/* Consul's ports, addresses and unix_sockets. */
struct agent_ports_config {
    int64_t dns; /* -1: off, -2: not given. */
    int64_t http;
    int64_t https;
    int64_t dot;
};

struct agent_addresses_config {
    struct texts dns;
    const char *http;
    const char *https;
    const char *dot;
};

/* For listeners of ours; "": not given. */
struct agent_tls_config {
    const char *ca;
    const char *cert;
    const char *key;
    bool verify_incoming; /* Clients must show a certificate of `ca`. */
};

struct agent_socket_config {
    const char *user; /* Name or number; "": unchanged. */
    const char *group;
    const char *mode; /* Octal text. */
};

/* Another datacenter that we follow. */
struct agent_datacenter {
    const char *name;   /* A DNS label, lower case. */
    struct texts store; /* Empty: our own store, which has its keys, too. */
    const char *cacert; /* As store_cacert and the like. */
    const char *cert;
    const char *key;
};

struct agent_config {
    struct arena arena;
    struct json_t *files;                  /* What the files say, merged. */
    struct json_t *flags;                  /* What the flags say. */
    const char *paths[LIMIT_CONFIG_FILES]; /* As loaded, for a reload. */
    size_t paths_count;
    struct texts ignored; /* Keys that mean nothing here. */

    /* Who we are. */
    const char *node;       /* Default: the host name's first label. */
    const char *datacenter; /* Default dc1. */
    const char *advertise;  /* Default: the address of the default route. */
    struct pairs node_meta;

    /* Where things are. */
    const char *data_dir;     /* Default /var/lib/muster. */
    const char *services_dir; /* Default /etc/muster/services.d. */

    /* Who we become when root has started us; name or number, "": who we are.
     */
    const char *user;
    const char *group; /* "": the user's. */

    /* Where we listen. */
    struct agent_listens dns;  /* Default 127.0.0.1:8600. */
    struct agent_listen dot;   /* DNS over TLS. Default: off. */
    struct agent_listen http;  /* Default 127.0.0.1:8500. */
    struct agent_listen https; /* Default off. */
    const char *socket_path;   /* Default /run/muster/agent.sock; NULL: off. */
    const char *line_socket;   /* Default: beside it, agent.lines; NULL: off. */
    bool line_socket_chosen;   /* Not by us. */
    unsigned socket_mode;      /* Default 0660. */
    struct agent_socket_config unix_sockets;

    /* The store; unused with `dev`. */
    struct texts store_urls;  /* Default http://127.0.0.1:2379. */
    const char *store_cacert; /* NULL: the system's. */
    const char *store_cert;   /* NULL: no client certificate. */
    const char *store_key;
    uint32_t lease_ttl_s; /* Default 15. */

    /* Others, in the order in which they were given. */
    const struct agent_datacenter *datacenters;
    size_t datacenters_count;
    bool translate_wan_addrs; /* Their tagged "wan" addresses are shown. */

    /* --dev: one member inside, listening here. */
    bool dev;
    struct agent_listen store_listen; /* Default 127.0.0.1:2379. */

    bool http_strict_default;      /* No default reads without a leader. */
    uint32_t http_max_connections; /* Default LIMIT_CONNS; then 429. */
    const char *api_level; /* The version of Consul's API that is told. */

    /* DNS. */
    const char *domain;     /* Default muster.internal. */
    const char *alt_domain; /* Default consul; "": none. */
    struct texts recursors;
    struct pairs recursors_for;  /* Domain, recursor; domains may repeat. */
    struct texts recursion_from; /* Networks, besides loopback. */
    unsigned dns_threads;        /* 0: one a processor. */
    struct agent_dns_config dns_config;

    /* Who may do what. */
    struct agent_tls_config tls;
    struct acl_settings acl;
    const struct network *writers; /* Default: loopback. */
    size_t writers_count;
    struct texts hosts; /* Our names, and http_config.allowed_hosts. */

    /* Behaviour. */
    bool enable_script_checks;       /* Exec checks registered by the API. */
    bool discard_check_output;       /* Keep outputs out of the store. */
    bool enable_local_script_checks; /* Exec checks of files. Default true. */
    bool leave_on_terminate;         /* SIGTERM means leave. Default false. */
    uint64_t leave_drain_ms; /* Critical for so long before it is gone: 5 s. */
    uint64_t restart_grace_ms;       /* Lease left behind by a stop: 60 s. */
    uint64_t round_trip_interval_ms; /* 0: not measured. Default 5 min. */
    uint64_t reap_ms; /* Records go when we are dead for so long: 72 h. */
    struct guard_limits guard;
    enum guard_mode guard_mode;
    struct projection_settings projections; /* Default: none. */
    bool guard_serve_passing; /* In DNS, with only_passing, too. */
    enum log_level log_level;
};

void agent_config_init(struct agent_config *c);
void agent_config_release(struct agent_config *c); /* Safe when zeroed. */

/* Read a JSON file, or every *.json of a folder in name order. */
enum status agent_config_load(struct agent_config *c, const char *path,
                              struct err *out_err);

/* Read JSON text; `name` stands for the file in errors. */
enum status agent_config_parse(struct agent_config *c, const char *name,
                               struct slice text, struct err *out_err);

/* Set what the flag `--name value` sets; `name` without dashes in front. Lists
 * are split at commas; repeated, they add. */
enum status agent_config_flag(struct agent_config *c, const char *name,
                              const char *value, struct err *out_err);

/* Put the layers together, fill in what depends on the host or on other
 * fields. With `dev`, paths that only root may write move to the user's own
 * folders when they cannot be written. Call once, last. */
enum status agent_config_finish(struct agent_config *c, struct err *out_err);

/* Read the same files again, with the same flags, into the fresh struct `out`.
 * On failure it is released. */
enum status agent_config_reread(const struct agent_config *c,
                                struct agent_config *out, struct err *out_err);
