/*
 * record.h - what the agent keeps in the store: keys and JSON values.
 *
 *   /muster/v1/<dc>/node/<node>                  node record, no lease
 *   /muster/v1/<dc>/live/<node>                  leased: the agent is alive
 *   /muster/v1/<dc>/inst/<service>/<node>/<id>   instance and its checks
 *   /muster/v1/<dc>/ncheck/<node>/<check>        a check of the node
 *   /muster/v1/<dc>/lookup/<id>                  a prepared query
 *
 *   /muster/v1/<dc>/acl/...                      tokens, policies: acl_table.h
 *   /muster/v1/<dc>/coord/<node>                 leased: round trips, coord.h
 *
 * Parts of a key are percent-encoded, so a "/" in an id is harmless. Node names
 * in keys are in lower case. A change of a check's output is no change of the
 * catalogue: a record holds what the check said when it turned ill, and nothing
 * of one that passes. (Checks that were registered with /v1/catalog/register
 * have no agent that could be asked, so theirs is kept.)
 *
 * Decoding trusts nothing. A record that does not parse, passes a limit or
 * contradicts its key is refused with a text; unknown fields are ignored, so a
 * newer muster can add some.
 */
#pragma once

#include "agent/core/definition.h"
#include "base/core/arena.h"

struct fields; /* fields.h */

#define RECORD_ROOT "/muster/v1/"

enum record_kind {
    RECORD_NODE,
    RECORD_LIVE,
    RECORD_INSTANCE,
    RECORD_NODE_CHECK,
    RECORD_QUERY,
    RECORD_FOREIGN, /* Not ours to read: kv, out, other data under the root. */
};

/* A key's parts, decoded. Unused ones are NULL. */
struct record_key {
    enum record_kind kind;
    const char *node;
    const char *service;
    const char *id; /* Of instance, check or query. */
};

/* Where a datacenter's catalogue lies: read [begin, end) with one range, watch
 * it with one watch. Strings from the arena. */
struct record_range {
    struct slice begin;
    struct slice end;
};

struct record_range record_range(struct arena *a, const char *dc);
/* The same of a datacenter that is not ours, whose tokens are not our business.
 */
struct record_range record_range_elsewhere(struct arena *a, const char *dc);

/* "/muster/v1/dc1/acl/" for "acl": where other things of a datacenter are. */
struct slice record_folder(struct arena *a, const char *dc, const char *name);

/* The key's bytes, from the arena. kind must not be RECORD_FOREIGN. */
struct slice record_key_write(struct arena *a, const char *dc,
                              const struct record_key *key);

/* The key of a lock that one agent of the datacenter holds; `name` is plain.
 * Read as RECORD_FOREIGN, and in the catalogue's range, so all see it go. */
struct slice record_lock_key(struct arena *a, const char *dc, const char *name);

/* ST_INVALID: below the datacenter's prefix but not well formed (bad percent
 * code, missing or empty parts, over a limit). Keys of unknown kinds and other
 * datacenters give ST_OK and RECORD_FOREIGN. Strings from the arena. */
enum status record_key_read(struct arena *a, const char *dc, struct slice bytes,
                            struct record_key *out_key);

/* Who writes a record: node name and incarnation, or "catalog" for what came
 * through /v1/catalog/register. */
struct record_owner {
    const char *node;
    const char *incarnation;
};

struct node_record {
    const char *name; /* As configured; the key has it in lower case. */
    const char *id;   /* UUID, never empty. */
    const char *address;
    struct pairs tagged; /* Names as of tagged_address, values addresses. */
    struct pairs meta;
    bool external;    /* No agent there: no serfHealth, never "dead". */
    uint64_t reap_ms; /* Records of a node gone this long may be removed. */
    struct record_owner owner;
};

struct live_record {
    const char *node_id;
    const char *incarnation;
    int64_t start_revision;
    bool stopped; /* Its agent has ended and left the key behind for a while. */
};

struct check_record {
    const char *id;
    const char *name;
    const char *notes;
    const char *output; /* Of the last turn for the worse; else "". */
    enum check_type type;
    enum check_status status;
    uint64_t interval_ms;
    uint64_t timeout_ms;
};

struct instance_record {
    const char *node;
    const char *service;
    const char *id;
    struct texts tags;
    const char *address;
    uint16_t port;
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
    const struct check_record *checks;
    size_t checks_count;
    struct record_owner owner;
};

struct node_check_record {
    const char *node;
    struct check_record check;
    struct record_owner owner;
};

/* What the definition says of an instance; without checks and owner, of no node
 * yet. Strings stay the definition's. */
struct instance_record instance_record_of(const struct service_def *d);

/* Any record that a table describes; unknown fields are ignored. Returns as the
 * functions below do. */
enum status record_fields_write(const struct fields *fields, const void *record,
                                struct buf *out);
enum status record_fields_read(struct arena *a, const struct fields *fields,
                               struct slice value, void *record,
                               struct err *err);

/* Encoding appends to `out`. ST_TOO_BIG: over out's limit. */
enum status node_record_write(const struct node_record *r, struct buf *out);
enum status live_record_write(const struct live_record *r, struct buf *out);
enum status instance_record_write(const struct instance_record *r,
                                  struct buf *out);
enum status node_check_record_write(const struct node_check_record *r,
                                    struct buf *out);

/* ST_CORRUPT: not a record of this kind, err says why. ST_TOO_BIG: over
 * LIMIT_RECORD_BYTES or another limit. `key` is the decoded key, which must
 * agree with the value. Strings from the arena. */
enum status node_record_read(struct arena *a, const struct record_key *key,
                             struct slice value, struct node_record *out_record,
                             struct err *err);
enum status live_record_read(struct arena *a, struct slice value,
                             struct live_record *out_record, struct err *err);
enum status instance_record_read(struct arena *a, const struct record_key *key,
                                 struct slice value,
                                 struct instance_record *out_record,
                                 struct err *err);
enum status node_check_record_read(struct arena *a,
                                   const struct record_key *key,
                                   struct slice value,
                                   struct node_check_record *out_record,
                                   struct err *err);
