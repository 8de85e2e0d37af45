/*
 * log.h - the entries in memory: a row without gaps behind a known position.
 *
 * Adjacent entries are adjacent in memory, so that a run of them can be handed
 * out as one array. Entries own their data.
 */
#pragma once

#include "store/raft/entry.h"

struct raft_log {
    struct raft_pos compacted; /* The last entry not kept any more. */
    struct raft_entry *slots;
    size_t head; /* slots[head] has index compacted.index + 1. */
    size_t count;
    size_t cap;
    size_t bytes; /* Data of all entries kept. */
};

/* With data of its own, and no tag. */
struct raft_entry raft_entry_copy(const struct raft_entry *e);

void raft_log_release(struct raft_log *l); /* Safe on a zeroed log. */

/* Only on an empty log. */
void raft_log_start(struct raft_log *l, struct raft_pos compacted);

static inline uint64_t raft_log_last(const struct raft_log *l)
{
    return l->compacted.index + l->count;
}

/* NULL when not kept. */
const struct raft_entry *raft_log_at(const struct raft_log *l, uint64_t index);

/* 0 when unknown: compacted long ago, or not there yet. */
uint64_t raft_log_term(const struct raft_log *l, uint64_t index);

struct raft_pos raft_log_end(const struct raft_log *l);

/* The next entry; its data is the log's from here. */
void raft_log_append(struct raft_log *l, struct raft_entry entry);

/* Remove the entries from `index` to the end. */
void raft_log_cut(struct raft_log *l, uint64_t index);

/* Remove the entries up to `index`, which must be kept or just before. */
void raft_log_compact(struct raft_log *l, uint64_t index);

/* The last position not behind `index` whose term is at most `term`: the
 * latest place at which a log with an entry of `term` there could agree with
 * this one. Its term is 0 when the place is out of sight. */
struct raft_pos raft_log_agree(const struct raft_log *l, uint64_t index,
                               uint64_t term);

/* Bytes of data in the entries after `index`. */
size_t raft_log_bytes_after(const struct raft_log *l, uint64_t index);
