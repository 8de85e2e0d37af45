/*
 * config.h - what the operator wants of an agent.
 *
 * One struct, filled in three layers: defaults, files (Consul's agent JSON
 * keys, and every flag as a key with '_' for '-'), flags. Later layers win.
 * Nothing is guessed: an unknown key, a value of the wrong type or out of range
 * is an error that names file, line and field, and the struct is unusable then.
 *
 *     struct agent_config config;
 *
 *     agent_config_init(&config);
 *     agent_config_load(&config, "/etc/muster/agent.json", &err);
 *     agent_config_flag(&config, "dns", "127.0.0.1:0", &err);
 *     agent_config_finish(&config, &err);
 *
 * All strings are owned by the struct and live until agent_config_release().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/arena.h"
#include "base/core/err.h"
#include "base/core/log.h"

#define AGENT_STORE_ENDPOINTS_MAX 16
#define AGENT_RECURSORS_MAX       8
#define AGENT_NODE_META_MAX       64
#define AGENT_SERVICE_TTLS_MAX    256

/* Where to listen. `host` is an IP address in text form. */
struct agent_listen {
    const char *host; /* NULL: do not listen. */
    uint16_t port;    /* 0: the kernel chooses. */
};

struct agent_pair {
    const char *key;
    const char *value;
};

/* A service's DNS TTL; `name` may end in '*'. */
struct agent_ttl {
    const char *name;
    uint32_t seconds;
};

/* Consul's dns_config. */
struct agent_dns_config {
    uint32_t node_ttl_s;
    struct agent_ttl service_ttls[AGENT_SERVICE_TTLS_MAX];
    size_t service_ttls_count;
    bool only_passing;
    bool enable_truncate;
    bool always_ra;
    bool recursors_random; /* recursor_strategy "random". */
    uint32_t a_record_limit;
    uint32_t udp_answer_limit;
    uint32_t edns_udp_size;
    uint32_t nodata_ttl_s;
    uint32_t recursor_timeout_ms;
    uint32_t soa_refresh_s;
    uint32_t soa_retry_s;
    uint32_t soa_expire_s;
    uint32_t soa_min_ttl_s;
};

struct agent_config {
    struct arena arena;

    /* Who we are. */
    const char *node;       /* Default: the host name, its first label. */
    const char *datacenter; /* Default dc1. */
    const char *advertise;  /* Default: the address of the default route. */
    struct agent_pair node_meta[AGENT_NODE_META_MAX];
    size_t node_meta_count;

    /* Where things are. */
    const char *data_dir;     /* Default /var/lib/muster. */
    const char *services_dir; /* Default /etc/muster/services.d. */

    /* Where we listen. */
    struct agent_listen dns;  /* Default 127.0.0.1:8600. */
    struct agent_listen http; /* Default 127.0.0.1:8500. */
    const char *socket_path;  /* Default /run/muster/agent.sock; NULL: off. */
    unsigned socket_mode;     /* Default 0660. */
    const char *socket_user;  /* NULL: unchanged. */
    const char *socket_group; /* NULL: unchanged. */

    /* The store. */
    const char *store_urls[AGENT_STORE_ENDPOINTS_MAX];
    size_t store_urls_count;
    const char *store_cacert; /* NULL: the system's. */
    const char *store_cert;   /* NULL: no client certificate. */
    const char *store_key;
    const char *store_root; /* Default /muster/v1. */
    uint32_t lease_ttl_s;   /* Default 15. */

    /* --dev: one member inside, listening here. */
    bool dev;
    struct agent_listen store_listen; /* Default 127.0.0.1:2379. */

    /* DNS. */
    const char *domain;     /* Default muster.internal. */
    const char *alt_domain; /* Default consul; NULL: none. */
    const char *recursors[AGENT_RECURSORS_MAX];
    size_t recursors_count;
    unsigned dns_threads; /* Default: one a core, at most 8. */
    struct agent_dns_config dns_config;

    /* Behaviour. */
    bool enable_script_checks;       /* Exec checks registered by the API. */
    bool enable_local_script_checks; /* Exec checks of files. Default true. */
    bool leave_on_terminate;         /* SIGTERM means leave. Default false. */
    uint32_t restart_grace_s;        /* Lease left behind by a stop: 60. */
    enum log_level log_level;

    /* For reload: the files given, in order. */
    const char *files[8];
    size_t files_count;
};

/* Defaults. */
void agent_config_init(struct agent_config *c);
void agent_config_release(struct agent_config *c); /* Safe when zeroed. */

/* Read a JSON file, or every *.json of a directory in name order. */
enum status agent_config_load(struct agent_config *c, const char *path,
                              struct err *out_err);

/* Read JSON text; `name` stands for the file in errors. */
enum status agent_config_parse(struct agent_config *c, const char *name,
                               struct slice text, struct err *out_err);

/* Set what the flag `--name value` sets; `name` without dashes in front.
 * Repeatable flags add. */
enum status agent_config_flag(struct agent_config *c, const char *name,
                              const char *value, struct err *out_err);

/* Fill in what depends on the host or on other fields, and look at the whole.
 * With `dev`, paths that root owns move below the user's own state folder when
 * they cannot be written. Call once, last. */
enum status agent_config_finish(struct agent_config *c, struct err *out_err);
