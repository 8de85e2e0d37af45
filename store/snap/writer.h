/*
 * writer.h - a bbolt file as a stream, front to back, with bounded memory.
 *
 * The file's first page names its last ones, so the rows are walked twice: the
 * first time only their sizes count (SNAP_MEASURE), the second time bytes come
 * out. Both times the same rows, in ascending order of keys within a bucket,
 * buckets in ascending order of names.
 *
 *     snap_writer_init(&w, SNAP_MEASURE, 0, out)   -> snap_writer_pages(&w)
 *     snap_writer_init(&w, SNAP_WRITE, pages, out) -> bytes in *out, to be
 * taken away after each call
 *
 *     for each bucket: snap_bucket(&w, name); snap_row(...) ...; at last
 *     snap_end(&w)
 *
 * Leaves are several pages long, so that the list of their first keys, which is
 * all that must be kept, is short: some 30 bytes for 64 KiB of rows.
 */
#pragma once

#include <stdbool.h>

#include "base/core/bytes.h"

enum snap_mode {
    SNAP_MEASURE,
    SNAP_WRITE
};

/* A page that has been written, and its first key. */
struct snap_child {
    uint64_t page;
    size_t key; /* Where it begins in the level's keys. */
    size_t key_len;
};

struct snap_level {
    struct snap_child *list;
    size_t count;
    size_t cap;
    struct buf keys;
};

struct snap_writer {
    enum snap_mode mode;
    struct buf *out;
    uint64_t pages; /* SNAP_WRITE: of the whole file. */
    uint64_t next;  /* The page to be written next. */
    bool in_bucket;
    struct buf elements; /* Of the leaf that gathers. */
    struct buf data;
    size_t rows;
    struct snap_level level;   /* Pages of the bucket so far. */
    struct snap_level buckets; /* Roots; the keys are names. */
};

void snap_writer_init(struct snap_writer *w, enum snap_mode mode,
                      uint64_t pages, struct buf *out);
void snap_writer_release(struct snap_writer *w);

void snap_bucket(struct snap_writer *w, struct slice name);
void snap_row(struct snap_writer *w, struct slice key, struct slice value);
void snap_end(struct snap_writer *w);

/* Of the file; after snap_end(). */
uint64_t snap_writer_pages(const struct snap_writer *w);
