/*
 * snapshot.h - the backend's content as a snapshot file, and back.
 *
 * A source reads one state of the backend and gives it piece by piece as a
 * bbolt file (store/snap). Its size must be known first, so it walks the rows
 * once on a thread of its own; then on_ready comes, and snapshot_source_next()
 * gives the bytes.
 */
#pragma once

#include "base/core/err.h"
#include "store/io/backend.h"
#include "store/raft/raft.h"

struct loop;
struct snapshot_source;

/* ST_OK: it may be read. Anything else: `why` says why; free it all the same.
 */
typedef void snapshot_ready_fn(void *ctx, struct snapshot_source *s,
                               enum status st, const struct err *why);

/* The state of the last write of the backend. */
enum status snapshot_source_open(struct loop *loop, struct backend *backend,
                                 snapshot_ready_fn *on_ready, void *ctx,
                                 struct snapshot_source **out_source,
                                 struct err *err);

/* Not while it prepares (before on_ready). */
void snapshot_source_free(struct snapshot_source *s);

/* Of what: as its own tables say. The configuration may be empty: the state was
 * written before that was kept. */
struct raft_snapshot snapshot_source_state(const struct snapshot_source *s);
uint64_t snapshot_source_bytes(const struct snapshot_source *s);

/* Append some 64 KiB of the file, more if a row is larger; *out_end: that was
 * all. */
enum status snapshot_source_next(struct snapshot_source *s, struct buf *out,
                                 bool *out_end, struct err *err);

/* What becomes of it. */
enum snapshot_use {
    SNAPSHOT_INSTALL,    /* The state of this cluster, all of it. */
    SNAPSHOT_NEW_CLUSTER /* Keys, leases and the like; who the members were and
                            how far their log went is left out. */
};

/* What a file says of itself. */
struct snapshot_facts {
    struct raft_pos pos;   /* SNAPSHOT_INSTALL only. */
    struct raft_conf conf; /* Empty: it does not say. */
    uint64_t rows;
};

/* Write the tables of the file into a new folder of the backend, synced, with
 * `folder` itself. What is there is removed first. Runs on any thread.
 * ST_CORRUPT: `err` says what is wrong with the file. */
enum status snapshot_import(const char *file, const char *folder,
                            enum snapshot_use use,
                            struct snapshot_facts *out_facts, struct err *err);
