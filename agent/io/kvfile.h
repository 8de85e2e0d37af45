/*
 * kvfile.h - a small durable key-value file: LMDB, written in batches by the
 * thread pool.
 *
 * The owner reads the whole file at start and from then on only writes; what it
 * works with is in its own memory. Changes are collected and written by
 * kvfile_flush() in one synced transaction, so the file always holds some
 * earlier state whole, never a mixture.
 *
 * Keys may be of any length. Each entry carries a CRC-32C; an entry that fails
 * it, or a file that is cut, is ST_CORRUPT and the owner decides what a loss
 * means.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/core/bytes.h"
#include "base/core/err.h"

struct kvfile;

/* Open or create. ST_CORRUPT: damaged, or not such a file; ST_IO: the rest. */
enum status kvfile_open(uv_loop_t *loop, const char *path, size_t bytes_max,
                        struct kvfile **out_file, struct err *out_err);

/* Visit each entry of a table (a letter) in no particular order, before the
 * first flush. Slices live during the call; return false from `fn` to stop.
 * ST_CORRUPT: damage. */
typedef bool kvfile_entry_fn(void *ctx, struct slice key, struct slice value);
enum status kvfile_each(struct kvfile *f, char table, kvfile_entry_fn *fn,
                        void *ctx);

/* Add to the next batch; copies. */
void kvfile_put(struct kvfile *f, char table, struct slice key,
                struct slice value);
void kvfile_delete(struct kvfile *f, char table, struct slice key);
void kvfile_clear(struct kvfile *f, char table);

/* Write what was added up to now. on_written (may be NULL) comes once, from the
 * loop, when it is durable or has failed; a failed batch is gone. Flushes are
 * carried out in order. */
typedef void kvfile_written_fn(void *arg, enum status st,
                               const struct err *err);
void kvfile_flush(struct kvfile *f, kvfile_written_fn *on_written, void *arg);

/* Bytes that were added and are not written yet: memory that a disk which hangs
 * makes us hold. */
size_t kvfile_pending(const struct kvfile *f);

/* How long the last transaction took, 0 before the first. */
uint64_t kvfile_took_ms(const struct kvfile *f);

/* Write the rest, close, free; then on_closed, from the loop. */
typedef void kvfile_closed_fn(void *arg);
void kvfile_close(struct kvfile *f, kvfile_closed_fn *on_closed, void *arg);
