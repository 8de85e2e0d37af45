/*
 * page.h - bbolt's file, as far as both sides of this room need it.
 *
 *   page 0, 1   meta: the valid one with the higher transaction id counts
 *   page 2      free list (empty in ours)
 *   then        leaf and branch pages of each bucket, last the leaf of buckets
 *
 * A page begins with id (8 bytes), flags (2), count of elements (2), overflow
 * (4: further pages that belong to it). All numbers are little-endian.
 */
#pragma once

#include <stdint.h>

enum {
    SNAP_PAGE_BYTES = 4096,
    SNAP_HEAD_BYTES = 16,
    SNAP_LEAF_BYTES = 16,   /* flags, pos, key size, value size: 4 each */
    SNAP_BRANCH_BYTES = 16, /* pos, key size: 4 each; page: 8 */
    SNAP_BUCKET_BYTES = 16, /* root page, sequence: 8 each */
    SNAP_META_BYTES = 64,   /* With its check sum. */
    SNAP_META_SUMMED = 56,
    SNAP_META_PAGES = 2,

    SNAP_FLAG_BRANCH = 1,
    SNAP_FLAG_LEAF = 2,
    SNAP_FLAG_META = 4,
    SNAP_FLAG_FREE = 16,

    SNAP_ELEMENT_BUCKET = 1,
    SNAP_VERSION = 2,
};

#define SNAP_MAGIC 0xED0CDAEDu

/* FNV-1a, 64 bits. */
static inline uint64_t snap_sum(const uint8_t *bytes, size_t len)
{
    uint64_t sum = 0xcbf29ce484222325u;

    for (size_t i = 0; i < len; i++) {
        sum = (sum ^ bytes[i]) * 0x100000001b3u;
    }
    return sum;
}
