/*
 * definition_tables.h - the fields of services and checks (private to
 * definition*.c and the API's catalogue registrations).
 */
#pragma once

#include "agent/core/definition.h"
#include "agent/core/fields.h"

extern const struct fields service_fields; /* struct service_draft */
extern const struct fields check_fields;   /* struct check_def */
extern const struct fields named_port_fields;
extern const struct fields tagged_address_fields;
extern const struct fields weights_fields; /* struct weights */

extern const char *const check_status_words[];

struct weights {
    uint32_t passing;
    uint32_t warning;
};

/* A service while it is being read. */
struct service_draft {
    struct service_def def;
    const char *unused; /* namespace, partition: looked at, not kept. */
    const struct check_def *check; /* `check`: one or none. */
    size_t check_count;
    struct weights weights;
    struct {
        bool native;
    } connect;
};

/* What a check is and what its words mean (definition_type.c): the type, the
 * target, the statuses. */
enum status check_type_finish(struct field_reader *r, const struct json_at *at,
                              struct check_def *c);

/* Rules that records and registrations share. */
enum status rule_default_only(struct field_reader *r, const struct json_at *at,
                              const void *value);
enum status rule_meta(struct field_reader *r, const struct json_at *at,
                      const void *value);
enum status rule_address(struct field_reader *r, const struct json_at *at,
                         const void *value);
