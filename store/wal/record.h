/*
 * record.h - the bytes of a log file: header, records, items.
 *
 * Everything is little-endian and 8-byte aligned.
 *
 *   header  magic 8 | version u32 | check sum u32 | seed | sequence | cluster
 *           | member | end of the file before | its check sum u32 | 0 u32
 *   record  seed | own offset | length u32 | check sum of these u32
 *           | check sum of all u32 | 0 u32 | items
 *   item    length u32 | kind u8 | entry type u8 | 0 u16 | fields, padded
 *
 * The check sum of a record continues that of the record before, the first one
 * that of the header; the head has one of its own, so that a head can be told
 * from other bytes wherever it lies.
 */
#pragma once

#include "base/core/bytes.h"
#include "store/raft/entry.h"
#include "store/wal/wal.h"

#define WAL_HEADER_BYTES 64
#define WAL_HEAD_BYTES   32

struct wal_header {
    uint64_t seed;
    uint64_t sequence;
    struct wal_ids ids;
    uint64_t before_end; /* Of the file before: where it ends ... */
    uint32_t before_sum; /* ... and the check sum of its last record. */
};

/* Returns the check sum that the first record continues. */
uint32_t wal_header_write(uint8_t *out_bytes, const struct wal_header *h);

/* ST_CORRUPT: not a header. ST_UNSUPPORTED: a version that we do not know. */
enum status wal_header_read(struct slice bytes, struct wal_header *out_header,
                            uint32_t *out_sum);

/* Where a record stands: what it must say to be believed. */
struct wal_place {
    uint64_t seed;
    uint64_t offset;
    uint32_t sum; /* Of the record before. */
};

/* Is there a head of a record of this file? Gives the length of its items. */
enum status wal_head_read(struct slice bytes, uint64_t seed, uint64_t offset,
                          uint32_t *out_length);

/* `record` is the head and its items, as long as the head says. */
enum status wal_record_check(struct slice record, struct wal_place place,
                             uint32_t *out_sum);

/* Fill in the head of `record`, whose items are in place. Returns its sum. */
uint32_t wal_record_seal(uint8_t *record, size_t len, struct wal_place place);

enum wal_item_kind {
    WAL_HARD = 1,
    WAL_ENTRY = 2,
    WAL_MARK = 3,
    WAL_RESTART = 4 /* A mark; see wal.h. */
};

struct wal_item {
    enum wal_item_kind kind;
    struct raft_hard hard;   /* WAL_HARD */
    struct raft_entry entry; /* WAL_ENTRY; its data is borrowed. */
    struct wal_mark mark;    /* The last two; its state is borrowed. */
};

/* Take the next item off *rest. ST_NOT_FOUND: the end. ST_CORRUPT. */
enum status wal_item_next(struct slice *rest, struct wal_item *out_item);

size_t wal_item_size(const struct wal_item *item);

/* Write at `at`, which has room for wal_item_size(); returns its end. */
uint8_t *wal_item_write(uint8_t *at, const struct wal_item *item);
