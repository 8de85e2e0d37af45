/*
 * core.h - what the files of this room share.
 *
 * wal.c     create, append, release
 * files.c   names, headers, the change from one file to the next
 * replay.c  reading everything at open, and telling torn from damaged
 */
#pragma once

#include "store/wal/record.h"
#include "store/wal/wal.h"

#define WAL_SPARE "next.spare" /* Ready to become the next file. */
#define WAL_TMP   "next.tmp"   /* About to. */

/* An older file, or the one being written. */
struct wal_file {
    uint64_t sequence;
    uint64_t last_index; /* The highest index of its entries. */
    uint64_t size;
};

struct wal_files {
    struct wal_file *list; /* In order of sequence; the last is written to. */
    size_t count;
    size_t cap;
};

struct wal {
    struct disk *disk;
    struct wal_config config;
    struct wal_ids ids;
    enum status failed; /* Final. */

    struct wal_files files;
    struct disk_file *file; /* The newest. */
    uint64_t end;           /* Where the next record goes. */
    struct wal_place place; /* Of the next record, as `end` says. */

    /* Said again at the start of each file, so that older ones can go. */
    struct raft_hard hard;
    struct raft_pos mark;
    struct buf mark_state;

    bool spare; /* One is there, or being made. */

    struct buf record; /* The one being written. */
    bool committing;
    uint32_t sum;        /* Of that record. */
    uint64_t last_index; /* The highest in it. */
};

void wal_name(char out_name[DISK_NAME_MAX], uint64_t sequence);

/* The newest file of `files`; there is one. */
struct wal_file *wal_newest(struct wal *w);
void wal_files_add(struct wal_files *files, struct wal_file file);

/* Put a file with room for `need` bytes of records behind the newest, and make
 * it the newest. `first` (or NULL) is in it from the beginning. */
enum status wal_next_file(struct wal *w, uint64_t need,
                          const struct wal_batch *first, struct err *err);

/* Make w->record from the batch, for the place where the next one goes. */
void wal_write_record(struct wal *w, const struct wal_batch *batch);

/* What a listing of the folder tells. */
struct wal_listing {
    uint64_t *sequences; /* Sorted. */
    size_t count;
    size_t cap;
    char (*leftovers)[DISK_NAME_MAX]; /* To be removed. */
    size_t leftovers_count;
    size_t leftovers_cap;
    bool spare; /* There is one. */
};

enum status wal_list(struct disk *d, struct wal_listing *out_listing);
void wal_listing_release(struct wal_listing *l);

/* Read all files of the listing into w and *content; see wal_open(). */
enum status wal_replay(struct wal *w, const struct wal_listing *listing,
                       struct wal_content *content, struct err *err);
