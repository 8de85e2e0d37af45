/*
 * snapshot_file.h - a snapshot that lies in a file: what `snapshot save` has
 * written, or a copy of etcd's database.
 *
 * The former ends with the SHA-256 of all before it, and is known by its size:
 * 32 bytes more than a multiple of 512.
 */
#pragma once

#include <stdbool.h>

#include "base/core/bytes.h"
#include "base/core/err.h"

struct snapshot_file {
    const char *path;   /* Borrowed. */
    struct slice bytes; /* Mapped; with the sum. */
    bool has_sum;
};

/* ST_NOT_FOUND, ST_IO, ST_CORRUPT (it is empty): `err` names the file. The file
 * must not be cut while it is open. */
enum status snapshot_file_open(const char *path, struct snapshot_file *out_file,
                               struct err *err);
void snapshot_file_close(struct snapshot_file *f); /* A zeroed one is fine. */

/* ST_CORRUPT: the sum is not that of the content. ST_OK too when there is none
 * to compare with (f->has_sum). */
enum status snapshot_file_check_sum(const struct snapshot_file *f,
                                    struct err *err);

/* What `etcdctl snapshot status` says of it. */
struct snapshot_summary {
    uint32_t hash;    /* CRC-32C over names of buckets, keys and values. */
    int64_t revision; /* Of the last change; 0: there is none. */
    uint64_t rows;    /* In all buckets. */
    uint64_t bytes;   /* Of the database, without the sum. */
};

/* Walks the whole file. ST_CORRUPT: it is damaged. */
enum status snapshot_file_sum_up(const struct snapshot_file *f,
                                 struct snapshot_summary *out_summary,
                                 struct err *err);
