/*
 * replica.h - the catalogue on disk, so that a restart answers before the store
 * is reached.
 *
 * Lives in DATA-DIR/replica.mdb: the store's keys and values as last seen, the
 * revision, and the scope indexes. Follows the link's updates in batches off
 * the hot path; the file is always one earlier state whole. It is a copy: when
 * it is damaged or belongs to another datacenter it is thrown away and read
 * again from the store.
 */
#pragma once

#include <uv.h>

#include "agent/core/catalog.h"
#include "agent/io/link.h"

struct replica;

/* The disk did not take a batch, or took none for so long that those that wait
 * came to LIMIT_REPLICA_BACKLOG, and now it does; what it holds is old. A full
 * update (link_relist) puts it right. Not called again before one has come. */
typedef void replica_lost_fn(void *arg);

/* Open or create. ST_IO: not even a fresh file works; out_err says why. */
enum status replica_open(uv_loop_t *loop, const char *path,
                         const char *datacenter, replica_lost_fn *on_lost,
                         void *arg, struct replica **out_replica,
                         struct err *out_err);

struct replica_content {
    struct catalog *catalog; /* One reference; revision 0 when empty. */
    uint64_t cluster_id;
    size_t keys_count;
    const struct catalog_event *acl; /* Tokens and policies, for acl_apply(). */
    size_t acl_count;
    struct arena acl_arena; /* Owns them; to be released by the taker. */
};

/* What it held when it was opened. Call once. */
void replica_take(struct replica *r, struct replica_content *out_content);

/* Follow the link; returns at once. */
void replica_update(struct replica *r, const struct link_update *update);

typedef void replica_closed_fn(void *arg);
void replica_close(struct replica *r, replica_closed_fn *on_closed, void *arg);
