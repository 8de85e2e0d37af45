/*
 * disk.h - what the log needs from a disk: a port.
 *
 * One struct disk is one folder. Implemented in store/io over files and, in the
 * tests, in memory with faults. All calls are made from one thread and return
 * when the work is done, except `commit`, which may finish later.
 *
 * Statuses: ST_NOT_FOUND (no such name), ST_NO_SPACE, ST_IO, ST_TRUNCATED (a
 * read past the end). A short write is ST_IO. The log never repeats a failed
 * write or sync: it stops, so the implementation must not either.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/bytes.h"
#include "base/core/status.h"

struct disk_file; /* An open file; the implementation's own. */

/* Longest file name the log uses, with its NUL. */
#define DISK_NAME_MAX 32

typedef void (*disk_name_fn)(void *ctx, const char *name);

struct disk {
    /* Every regular file in the folder, in any order. */
    enum status (*list)(struct disk *d, disk_name_fn on_name, void *ctx);

    /* Open for reading and writing. */
    enum status (*open)(struct disk *d, const char *name,
                        struct disk_file **out_file, uint64_t *out_size);

    /* A new file of `size` zero bytes, really allocated, so that writing into
     * it later changes no metadata; replaces a file of that name. Mode 0600.
     * The file's content and size are durable at return; its name need not
     * be. */
    enum status (*create)(struct disk *d, const char *name, uint64_t size,
                          struct disk_file **out_file);

    /* A hint: a file `name` of `size` zero bytes will be wanted soon. Make it
     * in the background, under another name ending in ".tmp" until it is
     * durable. May do nothing; may be NULL. */
    void (*prepare)(struct disk *d, const char *name, uint64_t size);

    enum status (*read)(struct disk *d, struct disk_file *f, uint64_t offset,
                        uint8_t *out_bytes, size_t len);
    enum status (*write)(struct disk *d, struct disk_file *f, uint64_t offset,
                         struct slice bytes);
    enum status (*sync)(struct disk *d, struct disk_file *f);

    /* Write, then sync. When it is done at return, the result is returned and
     * *out_later is false. Otherwise ST_OK is returned, *out_later is true,
     * the bytes stay untouched and the file open, and the end is reported with
     * wal_committed() on the caller's thread. Never more than one at a time,
     * and no other call on the file meanwhile. */
    enum status (*commit)(struct disk *d, struct disk_file *f, uint64_t offset,
                          struct slice bytes, bool *out_later);

    void (*close)(struct disk *d, struct disk_file *f); /* NULL is fine. */

    /* Names. Durable only after sync_folder. Rename replaces. */
    enum status (*rename)(struct disk *d, const char *from, const char *to);
    enum status (*remove)(struct disk *d, const char *name);
    enum status (*sync_folder)(struct disk *d);

    /* 64 bits that nobody can guess or has seen before. */
    uint64_t (*random)(struct disk *d);
};
