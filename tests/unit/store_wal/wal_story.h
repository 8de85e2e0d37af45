/*
 * wal_story.h - a log over a disk in memory, and stories that are written to
 * it.
 */
#pragma once

#include "mem_disk.h"
#include "store/wal/wal.h"
#include "suite.h"

static const struct wal_config config = {.first_bytes = 8 * 1024,
                                         .file_bytes = 16 * 1024};
static const struct wal_ids ids = {.cluster = 0xc1, .member = 0x3e};

/* Content that anybody can recompute from the index. */
static inline struct raft_entry entry_of(uint64_t index, uint8_t *space,
                                         size_t len)
{
    for (size_t i = 0; i < len; i++) {
        space[i] = (uint8_t)(index * 31 + i);
    }
    return (struct raft_entry){
        .pos = {.term = 1, .index = index}, .data = space, .len = len};
}

static inline void create(struct mem_disk *m)
{
    struct raft_hard hard = {.term = 1};
    struct wal_batch first = {.hard = &hard};
    struct err err = {0};

    ck_assert_msg(wal_create(mem_disk_port(m), &config, ids, &first, &err) ==
                      ST_OK,
                  "%s", err.text);
}

static inline enum status open_log(struct mem_disk *m, struct wal_content *c,
                                   struct wal **w, struct err *err)
{
    *err = (struct err){0};
    return wal_open(mem_disk_port(m), &config, c, w, err);
}

static inline struct wal *open_well(struct mem_disk *m, struct wal_content *c)
{
    struct wal *w = NULL;
    struct err err;
    enum status st = open_log(m, c, &w, &err);

    ck_assert_msg(st == ST_OK, "%s", err.text);
    return w;
}

static inline enum status append(struct wal *w, uint64_t index, size_t len)
{
    uint8_t space[4096];
    struct raft_entry e = entry_of(index, space, len);
    struct wal_batch b = {.entries = &e, .entries_count = 1};
    struct err err = {0};
    bool later;

    return wal_append(w, &b, &later, &err);
}

static inline enum status append_mark(struct wal *w, uint64_t index)
{
    struct wal_mark mark = {.pos = {.term = 1, .index = index},
                            .state = slice_str("members")};
    struct wal_batch b = {.mark = &mark};
    struct err err = {0};
    bool later;

    return wal_append(w, &b, &later, &err);
}

static inline size_t len_of(uint64_t index)
{
    return (size_t)(index * 397 % 1500);
}

static inline void check_content(const struct wal_content *c)
{
    uint8_t space[4096];

    for (uint64_t i = c->log.compacted.index + 1; i <= raft_log_last(&c->log);
         i++) {
        const struct raft_entry *e = raft_log_at(&c->log, i);
        struct raft_entry want = entry_of(i, space, len_of(i));

        ck_assert(slice_eq(raft_entry_data(e), raft_entry_data(&want)));
        ck_assert_uint_eq(e->pos.term, 1);
    }
}

/* A story with files that are finished, released, used again. Stops at the
 * first failure; returns the last index whose append had returned. */
static inline uint64_t story(struct mem_disk *m, struct wal *w, uint64_t from,
                             uint64_t to)
{
    struct err err = {0};

    (void)m;
    for (uint64_t i = from; i <= to; i++) {
        if (append(w, i, len_of(i))) {
            return i - 1;
        }
        if (i % 12 == 0 && (append_mark(w, i - 5) || wal_release(w, &err))) {
            return i;
        }
    }
    return to;
}

#define STORY_END 60

static inline struct mem_disk *written(uint64_t last)
{
    struct mem_disk *m = mem_disk_new();
    struct wal_content c;
    struct wal *w;

    create(m);
    w = open_well(m, &c);
    wal_content_release(&c);
    ck_assert_uint_eq(story(m, w, 1, last), last);
    wal_free(w);
    return m;
}
