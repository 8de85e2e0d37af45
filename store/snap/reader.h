/*
 * reader.h - the rows of a bbolt file that lies in memory (mapped, say).
 *
 * Whatever the bytes are, nothing outside of `file` is read, and the walk ends:
 * no page is visited twice. Rows are told bucket by bucket, in the file's
 * order, which must be ascending. Buckets within buckets are refused: etcd has
 * none.
 */
#pragma once

#include <stdbool.h>

#include "base/core/bytes.h"
#include "base/core/err.h"

struct snap_hooks {
    void *ctx;
    /* false: do not tell the rows of this one. */
    bool (*on_bucket)(void *ctx, struct slice name);
    /* Borrowed. Anything but ST_OK ends the walk with that status. */
    enum status (*on_row)(void *ctx, struct slice key, struct slice value);
};

/* ST_CORRUPT: `err` says where the file makes no sense; or on_row's status. */
enum status snap_read(struct slice file, const struct snap_hooks *hooks,
                      struct err *err);

/* Bytes of the file that its pages claim: shorter than `file` if something
 * follows, as the check sum of `snapshot save`. 0: no such file. */
uint64_t snap_file_bytes(struct slice file);
