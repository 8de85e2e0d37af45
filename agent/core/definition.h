/*
 * definition.h - what a sidecar file or a registration says, checked.
 *
 * Consul's JSON: a file holds `service`, `services`, `check`, `checks`, or a
 * list of such objects; an API body is one service or one check object. Keys
 * are matched without case and underscores, so "EnableTagOverride" and
 * "enable_tag_override" are the same. All limits and rules are applied here;
 * who accepts a struct definitions need not look again.
 *
 * A definitions object owns everything in it (one arena) and is shared by
 * counting: whoever keeps a service_def or check_def keeps a reference.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/bytes.h"
#include "base/core/err.h"
#include "base/core/limits.h"
#include "base/core/texts.h"

struct named_port {
    const char *name;
    uint16_t port;
    bool is_default;
};

/* `name`: lan, wan, lan_ipv4, lan_ipv6, wan_ipv4, wan_ipv6, virtual. */
struct tagged_address {
    const char *name;
    const char *address;
    uint16_t port; /* 0 for nodes. */
};

/* How grave a status is grows with its number. */
enum check_status {
    CHECK_PASSING,
    CHECK_WARNING,
    CHECK_CRITICAL
};

/* The name is what Consul prints as a check's Type. */
#define CHECK_TYPE_LIST(X)                                                 \
    X(CHECK_TYPE_NONE, "") /* Set from outside: catalogue, maintenance. */ \
    X(CHECK_TYPE_EXEC, "script")                                           \
    X(CHECK_TYPE_HTTP, "http")                                             \
    X(CHECK_TYPE_TCP, "tcp")                                               \
    X(CHECK_TYPE_TTL, "ttl")                                               \
    X(CHECK_TYPE_UDP, "udp")                                               \
    X(CHECK_TYPE_GRPC, "grpc")                                             \
    X(CHECK_TYPE_H2PING, "h2ping")                                         \
    X(CHECK_TYPE_OS_SERVICE, "os_service")                                 \
    X(CHECK_TYPE_ALIAS, "alias")

enum check_type {
#define X(name, text) name,
    CHECK_TYPE_LIST(X)
#undef X
};

const char *check_type_text(enum check_type type);
const char *check_status_text(enum check_status status);

/* "passing", "warning" or "critical", else false. */
bool check_status_parse(struct slice text, enum check_status *out_status);

/* HTTP statuses that pass, both ends included. */
struct code_range {
    uint16_t from;
    uint16_t to;
};

struct check_def {
    const char *id;
    const char *name;
    const char *notes;
    const char *service_id; /* "" for a check of the node. */
    enum check_type type;
    enum check_status status; /* Until the first result. */
    uint64_t interval_ms;     /* Active types; at least 1000. */
    uint64_t timeout_ms;
    uint64_t ttl_ms;
    uint64_t start_period_ms;
    uint64_t initial_delay_ms;    /* UINT64_MAX: by the schedule (health.h). */
    uint64_t deregister_after_ms; /* 0: never. */
    uint32_t success_before_passing;
    uint32_t failures_before_warning;
    uint32_t failures_before_critical;
    bool first_result_counts;
    uint32_t flap_max; /* Changes of status; 0: flapping is of no concern. */
    uint64_t flap_window_ms;
    uint64_t flap_hold_ms;
    uint32_t output_max;
    /* CHECK_TYPE_HTTP */
    const char *http;
    const char *method;
    struct pairs headers; /* A header with several values comes repeatedly. */
    const char *body;
    bool disable_redirects;     /* Kept for those who ask; none is followed. */
    struct texts success_codes; /* As written: "204", "200-299". */
    const struct code_range *codes;
    size_t codes_count; /* 0: 2xx passes. */
    /* CHECK_TYPE_TCP, _UDP, _GRPC, _H2PING: as written, and as "host:port" or
     * "[v6]:port" in `target`. */
    const char *tcp;
    bool tcp_use_tls;
    const char *udp;
    const char *grpc;
    bool grpc_use_tls;
    const char *h2ping;
    bool h2ping_use_tls;
    const char *target;
    const char *grpc_service; /* "" asks for the server as a whole. */
    /* Types that speak TLS. */
    const char *tls_server_name; /* "": the target's host. */
    bool tls_skip_verify;
    const char *tls_ca_file; /* "": the system's. */
    /* CHECK_TYPE_OS_SERVICE: a systemd unit. */
    const char *os_service;
    /* CHECK_TYPE_ALIAS: a service, or with alias_service "" the checks of the
     * node itself. alias_node "": this one. */
    const char *alias_service;
    const char *alias_node;
    /* CHECK_TYPE_EXEC: args.items[args.count] is NULL, as execvp wants it. */
    struct texts args;
    const char *unused; /* namespace, partition: looked at, not kept. */
};

struct service_def {
    const char *id;
    const char *name;
    struct texts tags;
    const char *address; /* "": the node's. */
    uint16_t port;       /* The default one, if `ports` are named. */
    const struct named_port *ports;
    size_t ports_count;
    const char *socket_path;
    const struct tagged_address *tagged;
    size_t tagged_count;
    struct pairs meta;
    uint32_t weight_passing;
    uint32_t weight_warning;
    bool enable_tag_override;
    bool connect_native;
    const char *kind;
    const char *token;
    uint64_t drain_ms;
    const struct check_def *checks; /* service_id is set in each. */
    size_t checks_count;
};

struct definitions;

enum definition_form {
    DEFINITION_FILE,    /* A sidecar file: unknown keys are errors. */
    DEFINITION_SERVICE, /* Body of /v1/agent/service/register. */
    DEFINITION_CHECK,   /* Body of /v1/agent/check/register. */
};

/* Parse and check `text`. `file` names it in errors ("-" for API bodies, which
 * leaves file and line out). On success *out_definitions holds one reference.
 *
 * ST_INVALID  err says "FILE:LINE: service "web": port: 70000 is not within
 * ..." ST_TOO_BIG  over LIMIT_DEFINITION_BYTES; err says so */
enum status definitions_parse(enum definition_form form, const char *file,
                              struct slice text,
                              struct definitions **out_definitions,
                              struct err *err);

struct definitions *definitions_ref(struct definitions *d);
void definitions_unref(struct definitions *d); /* NULL is fine. */

size_t definitions_services_count(const struct definitions *d);
const struct service_def *definitions_service(const struct definitions *d,
                                              size_t index);
/* Checks of the node, and those bound to another definition's service. */
size_t definitions_checks_count(const struct definitions *d);
const struct check_def *definitions_check(const struct definitions *d,
                                          size_t index);
/* Things that are accepted but deserve a word, e.g. a name that DNS cannot
 * carry: one line each, with file and line as in errors. */
size_t definitions_warnings_count(const struct definitions *d);
const char *definitions_warning(const struct definitions *d, size_t index);

/* Write as JSON that definitions_parse reads back to the same value
 * (DEFINITION_SERVICE, DEFINITION_CHECK). ST_TOO_BIG: over out's limit. */
enum status service_def_write(const struct service_def *s, struct buf *out);
enum status check_def_write(const struct check_def *c, struct buf *out);

/* A definition without anything in it: every text "", defaults set. */
void check_def_init(struct check_def *c);

/* Whether it runs by the clock: not ttl, alias, or what we make ourselves. */
bool check_def_active(const struct check_def *c);

/* Whether two definitions would register and check the same thing. */
bool check_def_equal(const struct check_def *a, const struct check_def *b);
