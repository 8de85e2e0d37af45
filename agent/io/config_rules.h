/*
 * config_rules.h - what the values of the configuration's keys have to be,
 * beyond their kind: the `rule` of a struct field. Private to config*.c.
 *
 * A rule returns ST_OK, or ST_INVALID after field_error() has said what is
 * wrong with the value and what a good one looks like. `value` points at the
 * field that was read; it is borrowed.
 */
#pragma once

#include "agent/core/fields.h"
#include "agent/io/config.h"

/* "127.0.0.1:8600", "[::1]:0"; `out->host` points into `text`, and for IPv6
 * includes the closing bracket. ST_INVALID: neither. */
enum status config_listen_parse(const char *text, struct agent_listen *out);

/* Of a const char *: what config_listen_parse() takes, "off" or "". */
enum status config_rule_listen(struct field_reader *r, const struct json_at *at,
                               const void *value);
/* Of a struct texts: each as config_rule_listen(); "off" stands alone. */
enum status config_rule_listens(struct field_reader *r,
                                const struct json_at *at, const void *value);

/* An IPv4 or IPv6 address, or "". */
enum status config_rule_ip_address(struct field_reader *r,
                                   const struct json_at *at, const void *value);
/* Of a struct texts: each as config_rule_ip_address(). */
enum status config_rule_ip_addresses(struct field_reader *r,
                                     const struct json_at *at,
                                     const void *value);
/* An IP address that others can reach, or "". */
enum status config_rule_advertise(struct field_reader *r,
                                  const struct json_at *at, const void *value);

/* "1.16.0": what clients compare with. */
enum status config_rule_api_level(struct field_reader *r,
                                  const struct json_at *at, const void *value);
/* A level that log_level_parse() knows, or "". */
enum status config_rule_log_level(struct field_reader *r,
                                  const struct json_at *at, const void *value);
/* A file mode in octal, up to 0777. */
enum status config_rule_mode(struct field_reader *r, const struct json_at *at,
                             const void *value);
/* A datacenter, or a service: a label of DNS names (RFC 1035, 2.3.4), or "". */
enum status config_rule_label(struct field_reader *r, const struct json_at *at,
                              const void *value);
/* A node: a label, or several of them, as a host's name in full has; or "". */
enum status config_rule_node(struct field_reader *r, const struct json_at *at,
                             const void *value);
/* A prefix of the store's keys for projections: not among our own records. */
enum status config_rule_prefix(struct field_reader *r, const struct json_at *at,
                               const void *value);
/* Of a struct pairs: each value is a duration (agent/core/duration.h). */
enum status config_rule_ttls(struct field_reader *r, const struct json_at *at,
                             const void *value);
