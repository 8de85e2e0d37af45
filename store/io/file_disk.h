/*
 * file_disk.h - the log's disk (store/wal/disk.h) over a folder of files.
 *
 * Commits are synced on the caller's thread as long as the disk is quick,
 * because waking another thread costs more than such a sync; what arrives
 * meanwhile is the next batch. When syncs take longer than FILE_DISK_QUICK_US
 * on average, they move to a thread of the disk's own, so that the loop goes
 * on serving; and back when the disk has become quick again.
 *
 * A write that fails, ends early, or cannot be synced is reported once and
 * never repeated: what the disk holds then is unknown.
 */
#pragma once

#include "base/core/err.h"
#include "base/core/metrics.h"
#include "store/wal/disk.h"

struct loop;

#define FILE_DISK_QUICK_US 400

/* A commit that was put off has ended; on the loop's thread. */
typedef void file_disk_committed_fn(void *ctx, enum status result);

struct file_disk_config {
    struct loop *loop;
    const char *path; /* The folder; made when missing (mode 0700). */
    file_disk_committed_fn *on_committed;
    void (*on_idle)(void *ctx); /* A file made ahead is ready. */
    void *ctx;
    bool no_sync; /* Skip every sync: only for measuring. */
};

struct file_disk;

enum status file_disk_new(const struct file_disk_config *config,
                          struct file_disk **out_disk, struct err *err);

/* NULL is fine. All files must be closed, and no job under way. */
void file_disk_free(struct file_disk *d);

/* Something is done in the background; do not free. */
bool file_disk_is_busy(const struct file_disk *d);

struct disk *file_disk_port(struct file_disk *d);

/* The words for the last failure: what was tried, on which file, why. Empty
 * when nothing has failed. */
const struct err *file_disk_error(const struct file_disk *d);

/* etcd_disk_wal_fsync_duration_seconds, etcd_disk_wal_write_bytes_total. */
void file_disk_metrics(struct file_disk *d, struct metrics *list);
