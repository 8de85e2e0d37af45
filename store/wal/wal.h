/*
 * wal.h - the log files: what a member has promised, on disk before it says so.
 *
 * A log is a row of files, `<sequence in hex>.wal`. Each is allocated and
 * zeroed once and, when its entries are no longer needed, renamed to `.spare`
 * and used again. A file is a header and then records; one append is one
 * record, one write and one sync.
 *
 *   header  names the cluster and the member, carries a fresh random seed, and
 *           says where the file before it ended (offset and check sum)
 *   record  seed | check sum of the record head | check sum of all, chained
 *           from the record before | length | own offset | items; 8-byte
 *           aligned
 *   item    hard state, entry, or the mark of a compaction
 *
 * Old bytes of a reused file are never taken for new ones: they carry another
 * seed, and do not chain.
 *
 * **Torn or damaged?** A record is written only after the one before it was
 * synced. So a bad record is a torn tail, never acknowledged and cut off, only
 * if nothing was ever written behind it: it is in the newest file, and no
 * record head of this file's seed lies behind it. Anything else is damage to
 * what had been synced, and wal_open() refuses with a message naming file and
 * offset.
 *
 * Damage to the very last record looks like a torn write. That it was
 * acknowledged is known to whoever applied it: the node refuses a log that ends
 * before what its state machine has on disk.
 *
 * Entries may come again with an index that was there before; the later one
 * replaces it and all behind it.
 *
 * A failed write or sync is final: every later call fails with the same
 * status and nothing is tried again, because after a failed sync nobody knows
 * what the disk holds. Restart the program to read what is really there.
 */
#pragma once

#include "base/core/bytes.h"
#include "base/core/err.h"
#include "base/core/limits.h"
#include "store/raft/log.h"
#include "store/wal/disk.h"

struct wal_ids {
    uint64_t cluster;
    uint64_t member;
};

/* The log before and at `pos` is not needed any more. `state` is the caller's
 * (the members as of then); it comes back at open. With `restart` nothing
 * behind `pos` counts either: a snapshot has taken the place of all entries. */
struct wal_mark {
    struct raft_pos pos;
    struct slice state;
    bool restart;
};

struct wal_config {
    uint64_t first_bytes; /* Size of the very first file: quick to make. */
    uint64_t file_bytes;  /* Size of all others; a record that is longer gets
                             a file of its own size. */
};

#define WAL_FIRST_BYTES ((uint64_t)4 * 1024 * 1024)
#define WAL_FILE_BYTES  ((uint64_t)16 * 1024 * 1024)

/* What the files hold. */
struct wal_content {
    struct raft_hard hard;
    struct raft_log log;   /* Starts behind the last mark. */
    struct buf mark_state; /* Of the last mark; empty when there is none. */
    uint64_t torn_bytes;   /* Of a torn record that was cut off; 0: clean. */
    char end_name[DISK_NAME_MAX]; /* The file in which the log ends ... */
    uint64_t end_offset;          /* ... and where. */
};

void wal_content_release(struct wal_content *c); /* Safe on a zeroed one. */

/* One append. */
struct wal_batch {
    const struct raft_hard *hard; /* NULL: as before. */
    const struct raft_entry *entries;
    size_t entries_count;
    const struct wal_mark *mark; /* NULL: as before. */
};

struct wal;

/* Does the folder hold a log? */
enum status wal_exists(struct disk *d, bool *out_exists);

/* Make a log in a folder that holds none, with one record in it. Nothing of the
 * log is visible until all of that is durable. */
enum status wal_create(struct disk *d, const struct wal_config *config,
                       struct wal_ids ids, const struct wal_batch *first,
                       struct err *err);

/* Read everything into *out_content (the caller's to release), cut off a torn
 * tail, sync what was read, and be ready to append.
 * ST_CORRUPT: damage; err names file, offset and remedy, and nothing on disk
 * was changed. */
enum status wal_open(struct disk *d, const struct wal_config *config,
                     struct wal_content *out_content, struct wal **out_wal,
                     struct err *err);

void wal_free(struct wal *w); /* Closes. No commit may be under way. */

struct wal_ids wal_ids(const struct wal *w);

/* Bytes of one append; the caller splits what is longer, entry by entry. */
size_t wal_entry_bytes(const struct raft_entry *e);
#define WAL_APPEND_BYTES_MAX (LIMIT_WAL_RECORD / 2)

/* Append one record and sync it. *out_later false: it is durable. True: the
 * disk works on it; wal_committed() ends it, and no other call is allowed
 * until then. Any failure is final. */
enum status wal_append(struct wal *w, const struct wal_batch *batch,
                       bool *out_later, struct err *err);

/* The end of a commit that the disk had put off. Returns its status. */
enum status wal_committed(struct wal *w, enum status result, struct err *err);

/* Files whose entries all lie at or before the last durable mark become spares
 * or are removed. */
enum status wal_release(struct wal *w, struct err *err);
