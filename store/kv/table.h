/*
 * table.h - what the store needs from durable storage, and nothing more.
 *
 * A handful of ordered tables of bytes, named as etcd's buckets. store/io
 * implements them with LMDB, the tests in memory. The store only reads through
 * this port; what is to be written is handed out as a batch (kv.h), which the
 * owner writes in one synced transaction, on whatever thread.
 *
 * Reading sees one committed state: that of the last batch for which kv_done()
 * was called. The implementation moves on to the next state only then, just
 * before it calls kv_done(); between two calls nothing may change.
 *
 * Stored values may carry a check sum; it is checked and stripped here, below
 * the port. Damage is ST_CORRUPT, never a wrong value.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/core/bytes.h"

/* etcd's bucket names. */
#define TABLE_LIST(X)                           \
    X(TABLE_KEY, "key")                         \
    X(TABLE_META, "meta")                       \
    X(TABLE_LEASE, "lease")                     \
    X(TABLE_ALARM, "alarm")                     \
    X(TABLE_CLUSTER, "cluster")                 \
    X(TABLE_MEMBERS, "members")                 \
    X(TABLE_MEMBERS_REMOVED, "members_removed") \
    X(TABLE_AUTH, "auth")                       \
    X(TABLE_AUTH_USERS, "authUsers")            \
    X(TABLE_AUTH_ROLES, "authRoles")

enum table_id {
#define X(name, text) name,
    TABLE_LIST(X)
#undef X
    TABLES_COUNT
};

const char *table_name(enum table_id id);

/* Called for each row of a scan, in key order. false ends the scan. Key and
 * value are borrowed for the call. */
typedef bool table_row_fn(void *ctx, struct slice key, struct slice value);

struct table {
    /* ST_OK: *out_value is borrowed until kv_done() or the next call of this
     * port. ST_NOT_FOUND; ST_CORRUPT; ST_IO. */
    enum status (*get)(struct table *t, enum table_id id, struct slice key,
                       struct slice *out_value);

    /* All rows with from <= key, in order, until `on_row` says stop or there
     * are no more (both ST_OK). `on_row` may call get. ST_CORRUPT, ST_IO: ended
     * early by damage or failure. */
    enum status (*scan)(struct table *t, enum table_id id, struct slice from,
                        void *ctx, table_row_fn *on_row);

    /* Bytes of the file, and how many of them hold data: etcd's dbSize and
     * dbSizeInUse. */
    uint64_t (*size)(struct table *t);
    uint64_t (*size_in_use)(struct table *t);
};

/* One change of a batch. */
struct table_write {
    enum table_id table;
    bool remove; /* Of a key that may be absent. */
    struct slice key;
    struct slice value; /* Empty when `remove`; may be empty otherwise. */
};
