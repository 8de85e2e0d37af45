/*
 * acl_policy.h - a policy as its JSON says it, and HCL as such JSON. For the
 * table of the configuration; others use acl_rules_parse().
 */
#pragma once

#include <jansson.h>

#include "agent/core/acl.h"
#include "agent/core/fields.h"

struct acl_policy_entry {
    const char *name;
    int word; /* Index into the table's words. */
};

struct acl_policy_names {
    const struct acl_policy_entry *items;
    size_t count;
};

struct acl_policy {
    struct acl_policy_names names[ACL_RESOURCES][2]; /* Exact; prefixes. */
    int whole[ACL_RESOURCES]; /* The same of ACL_ACL and ACL_OPERATOR. */
};

extern const struct fields acl_policy_fields; /* Of struct acl_policy. */

/* Blocks with and without a label, assignments of texts, comments. Blocks of
 * one kind are gathered: service "a" {} service "b" {} is {"service": {"a": {},
 * "b": {}}}. ST_INVALID: err has the line. The caller releases *out_json. */
enum status acl_hcl_parse(struct slice text, json_t **out_json,
                          struct err *err);
