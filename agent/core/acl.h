/*
 * acl.h - what a token's policies allow: resources, rules, and their algebra.
 *
 * A policy is a list of rules, each for one resource and one name or all names
 * with a prefix. The policies of a token are merged into one acl_auth, which
 * answers questions. The words and forms are Consul's.
 *
 *   the exact name before any prefix, the longest prefix before shorter ones;
 *   of several policies' rules for the very same name or prefix, deny before
 *   write before list before read;
 *   where no rule speaks, the default policy.
 *
 * Names of services, nodes, agents, sessions (which go by node) and queries are
 * compared without case: DNS and node names know none, so "Web" must not get
 * past a rule for "web". Keys and events are compared byte by byte.
 */
#pragma once

#include "base/core/arena.h"
#include "base/core/err.h"

enum acl_resource {
    ACL_ACL, /* Tokens and policies. As ACL_OPERATOR it has no names. */
    ACL_AGENT,
    ACL_EVENT,
    ACL_KEY,
    ACL_NODE,
    ACL_OPERATOR,
    ACL_QUERY,
    ACL_SERVICE,
    ACL_SESSION,
    ACL_RESOURCES /* How many. */
};

enum acl_access {
    ACL_UNSAID,
    ACL_DENY,
    ACL_READ,
    ACL_LIST, /* Keys: read, and list what is below. */
    ACL_WRITE
};

const char *acl_resource_text(enum acl_resource resource); /* "service" */
const char *acl_access_text(enum acl_access access);       /* "read" */

struct acl_rule {
    enum acl_resource resource;
    bool prefix;
    enum acl_access access;
    const char *name; /* "" for ACL_ACL and ACL_OPERATOR. */
};

struct acl_rules {
    const struct acl_rule *items;
    size_t count;
};

/* Read a policy: Consul's JSON, or its HCL (`service "web" { policy = "read"
 * }`, `operator = "read"`). Nothing but blanks is a policy without rules.
 * ST_INVALID: err says what and where; ST_TOO_BIG: over LIMIT_ACL_POLICY_BYTES
 * or LIMIT_ACL_RULES. Strings from the arena. */
enum status acl_rules_parse(struct arena *a, struct slice text,
                            struct acl_rules *out_rules, struct err *err);

/* Sorted for acl_access_to(), of one rule for each name. From the arena; names
 * are borrowed from the parts. */
struct acl_rules acl_rules_merge(struct arena *a,
                                 const struct acl_rules *const *parts,
                                 size_t parts_count);

/* What one request may do. */
struct acl_auth {
    struct acl_rules rules;    /* Merged. */
    enum acl_access otherwise; /* Where no rule speaks: deny, read or write. */
    bool management;           /* Everything, whatever the rules say. */
    bool anonymous;
    const char *accessor; /* Of the token; "" if there is none. */
};

/* Everything is allowed: access control is off. */
extern const struct acl_auth acl_auth_all;

enum acl_access acl_access_to(const struct acl_auth *auth,
                              enum acl_resource resource, const char *name);

/* Whether `wanted` (read, list, write) is allowed. */
bool acl_may(const struct acl_auth *auth, enum acl_resource resource,
             const char *name, enum acl_access wanted);

/* Whether `wanted` is allowed for every name that begins with `prefix`. */
bool acl_may_below(const struct acl_auth *auth, enum acl_resource resource,
                   const char *prefix, enum acl_access wanted);
