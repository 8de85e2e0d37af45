/*
 * backend_impl.h - the parts of a backend. Private to backend*.c.
 */
#pragma once

#include <lmdb.h>

#include "store/io/backend.h"
#include "store/io/worker.h"

/* The files as they were opened. Views keep theirs when others take its place.
 */
struct environment {
    MDB_env *env;
    MDB_dbi tables[TABLES_COUNT];
    size_t users;
};

struct backend {
    struct table port;
    struct backend_config config;
    char *path;
    struct environment *files;         /* NULL: let go of. */
    MDB_txn *reader;                   /* The loop's. */
    MDB_cursor *cursors[TABLES_COUNT]; /* Its places of the last look-ups. */
    uint64_t size;
    uint64_t size_in_use;
    struct worker *worker;
    struct worker_job job;
    const struct kv_batch *batch; /* What the job writes ... */
    bool waited;         /* For its end; only its `done` is still to come. */
    enum status written; /* ... and what came of it. */
    struct err write_error;
    double write_seconds;
    struct err error;
    struct metric_buckets commit_buckets;
    struct metric commit_metric;
};

static inline MDB_val val_of(struct slice s)
{
    return (MDB_val){.mv_size = s.len, .mv_data = (void *)(uintptr_t)s.data};
}

static inline struct slice slice_of_val(MDB_val v)
{
    return slice_of(v.mv_data, v.mv_size);
}

/* What LMDB's `code` means, in words and as a status. */
enum status backend_explain(const struct backend *b, const char *what, int code,
                            struct err *err);

/* Check a stored row and take the check sum off. */
enum status backend_unwrap_row(const struct backend *b, enum table_id id,
                               struct slice key, MDB_val stored,
                               struct slice *out_value, struct err *err);

/* One user of them less; the last one closes them. */
void backend_files_leave(struct environment *files);
