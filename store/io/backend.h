/*
 * backend.h - the store's tables (store/kv/table.h) in LMDB.
 *
 * Each stored value is preceded by a CRC-32C over key and value, because LMDB
 * would not notice a bit that the disk has flipped. It is checked whenever a
 * row is read; a row that fails is never handed out.
 *
 * Two threads touch the environment: the loop reads from one transaction that
 * stays open from batch to batch and moves on to a batch before its on_written,
 * and a thread of the backend's own writes each batch in one synced
 * transaction.
 */
#pragma once

#include "base/core/err.h"
#include "base/core/metrics.h"
#include "store/kv/kv.h"
#include "store/kv/table.h"

struct backend;
struct loop;

/* A batch is durable and the port shows it, or (ST_NO_SPACE, ST_IO) it is not
 * and the member must stop. On the loop's thread. */
typedef void backend_written_fn(void *ctx, enum status result);

struct backend_config {
    struct loop *loop;
    const char *path;   /* A folder of its own; made when missing. */
    uint64_t map_bytes; /* Address space to reserve: the size never passed. */
    backend_written_fn *on_written;
    void *ctx;
    bool no_sync;
};

/* ST_CORRUPT: what is there is not ours or LMDB finds it damaged. */
enum status backend_open(const struct backend_config *config,
                         struct backend **out_backend, struct err *err);

/* No write may be under way. NULL is fine. */
void backend_close(struct backend *b);

struct table *backend_table(struct backend *b);

/* Write a batch on the backend's thread; on_written follows. It stays the
 * caller's and unchanged until then. One at a time. */
void backend_write(struct backend *b, const struct kv_batch *batch);
bool backend_is_writing(const struct backend *b);

/* Block until the write under way has ended; what on_written would have said.
 * It will not come for it, but the backend counts as writing a little longer.
 */
enum status backend_wait(struct backend *b);

/* The same, here and now: for the last batch of all. */
enum status backend_write_now(struct backend *b, const struct kv_batch *batch);

/* Let go of the files, so that others can take their place, and open what is
 * there then. The table port stays the same; open views stay with the old
 * files. No write may be under way, except one that was waited for;
 * kv_reopen() is due after it. */
void backend_suspend(struct backend *b);
enum status backend_resume(struct backend *b, struct err *err);

/* One state, that of the last write, to be walked in peace while writing goes
 * on; on any thread, one at a time. LMDB keeps what it needs: the file grows
 * meanwhile. */
struct backend_view;
enum status backend_view_open(struct backend *b, struct backend_view **out_view,
                              struct err *err);
void backend_view_close(struct backend_view *v); /* On the loop's thread. */

/* ST_OK: borrowed until the view is closed. ST_NOT_FOUND. ST_CORRUPT, ST_IO:
 * see backend_view_error(). */
enum status backend_view_get(struct backend_view *v, enum table_id id,
                             struct slice key, struct slice *out_value);

/* Walk a table, in the order of its keys; ST_NOT_FOUND: the end. */
void backend_view_begin(struct backend_view *v, enum table_id id);
enum status backend_view_next(struct backend_view *v, struct slice *out_key,
                              struct slice *out_value);
const struct err *backend_view_error(const struct backend_view *v);

/* What the last failed read or write met: file, table, key, remedy. Empty when
 * nothing has failed. */
const struct err *backend_error(const struct backend *b);

/* etcd_disk_backend_commit_duration_seconds and sizes. */
void backend_metrics(struct backend *b, struct metrics *list);
