/*
 * request.h - clients' requests, decoded without copying.
 *
 * Slices point into the request's bytes, arrays lie in the caller's arena. As
 * in any proto3 decoder, unknown fields are skipped, the last of several scalar
 * values counts, and undefined enum numbers are kept as numbers. A known field
 * with a foreign wire type makes the request malformed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/arena.h"
#include "base/core/bytes.h"

/* Enums of the messages that clients may also send undefined numbers for. */
enum {
    SORT_NONE = 0,
    SORT_ASCEND = 1,
    SORT_DESCEND = 2
};
enum {
    TARGET_KEY = 0,
    TARGET_VERSION = 1,
    TARGET_CREATE = 2,
    TARGET_MOD = 3,
    TARGET_VALUE = 4
};

struct range_request {
    struct slice key;
    struct slice range_end;
    int64_t limit;
    int64_t revision;
    int32_t sort_order;
    int32_t sort_target;
    bool serializable;
    bool keys_only;
    bool count_only;
    int64_t min_mod;
    int64_t max_mod;
    int64_t min_create;
    int64_t max_create;
};

struct put_request {
    struct slice key;
    struct slice value;
    int64_t lease;
    bool prev_kv;
    bool ignore_value;
    bool ignore_lease;
};

struct delete_request {
    struct slice key;
    struct slice range_end;
    bool prev_kv;
};

enum {
    COMPARE_EQUAL = 0,
    COMPARE_GREATER,
    COMPARE_LESS,
    COMPARE_NOT_EQUAL
};
enum {
    COMPARE_VERSION = 0,
    COMPARE_CREATE,
    COMPARE_MOD,
    COMPARE_VALUE,
    COMPARE_LEASE
};

struct compare {
    int32_t result;
    int32_t target;
    struct slice key;
    struct slice range_end;
    unsigned operand; /* Field number of the oneof member that is set. */
    int64_t number;
    struct slice value;
};

enum request_op_type {
    OP_NONE = 0, /* No member of the oneof is set. */
    OP_RANGE = 1,
    OP_PUT = 2,
    OP_DELETE_RANGE = 3,
    OP_TXN = 4,
};

struct txn_request;

struct request_op {
    enum request_op_type type;
    union {
        struct range_request range;
        struct put_request put;
        struct delete_request delete_range;
        struct txn_request *txn;
    };
};

struct request_ops {
    struct request_op *list;
    size_t count;
};

struct txn_request {
    struct compare *compares;
    size_t compares_count;
    struct request_ops success;
    struct request_ops failure;
    bool succeeded; /* Set by txn_run(): what the compares said. */
};

struct compaction_request {
    int64_t revision;
    bool physical;
};

/* LeaseGrant, LeaseRevoke, LeaseTimeToLive: their fields 1 and 2. */
struct lease_request {
    int64_t id;
    int64_t ttl;
    bool keys;
};

struct alarm_request {
    int32_t action;
    uint64_t member_id;
    int32_t alarm;
};

/* false: malformed (txn: or nested deeper than LIMIT_TXN_DEPTH). */
bool range_request_parse(struct slice bytes, struct range_request *out);
bool put_request_parse(struct slice bytes, struct put_request *out);
bool delete_request_parse(struct slice bytes, struct delete_request *out);
bool txn_request_parse(struct arena *arena, struct slice bytes,
                       struct txn_request *out);
bool compaction_request_parse(struct slice bytes,
                              struct compaction_request *out);
bool lease_grant_parse(struct slice bytes, struct lease_request *out);
bool lease_revoke_parse(struct slice bytes, struct lease_request *out);
bool lease_time_to_live_parse(struct slice bytes, struct lease_request *out);
bool alarm_request_parse(struct slice bytes, struct alarm_request *out);

/* An interval of keys, as requests and watchers mean it. */
struct key_range {
    struct slice from;
    struct slice to; /* Not in it. Unused when `single` or `open`. */
    bool single;
    bool open; /* All keys from `from` on. */
};

struct key_range key_range_of(struct slice key, struct slice range_end);

/* For a key at or after `from`: whether it is before the end. */
static inline bool key_range_reaches(const struct key_range *r,
                                     struct slice key)
{
    if (r->open) {
        return true;
    }
    return r->single ? slice_eq(key, r->from) : slice_cmp(key, r->to) < 0;
}
